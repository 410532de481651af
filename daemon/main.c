/*
 * main.c - aisd: its options, the order of its start, its exit codes.
 *
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <link.h>
#include <malloc.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/conf/conf.h"
#include "common/base/log.h"
#include "common/base/net.h"
#include "common/base/number.h"
#include "common/wire/proto.h"
#include "common/base/retry.h"
#include "common/base/text.h"
#include "common/tls/tls.h"
#include "daemon/explain.h"
#include "daemon/record/audit.h"
#include "daemon/exec/child.h"
#include "daemon/exec/openfiles.h"
#include "daemon/record/logfile.h"
#include "daemon/exec/privilege.h"
#include "daemon/logs.h"
#include "daemon/server.h"
#include "daemon/start.h"
#include "daemon/check.h"
#include "daemon/service.h"
#include "daemon/conf/settings.h"
#include "daemon/conf/files.h"
#include "daemon/exec/tree.h"
#include "daemon/certwatch.h"

#define DEFAULT_CONFIG	AIS_SYSCONFDIR "/aisd.conf"

struct options {
	const char *config;
	const char *port;	/* In place of every port of "listen". */
	bool check;
	bool show;
	bool verbose;
	bool quiet;		/* A check is about errors alone. */
	bool version;
	bool help;
	const char *explain;	/* Whose rights to explain, or NULL. */
	char **argv;		/* What is to be explained. */
};

/* Every option; one with a letter above those of ASCII has none. */
static const struct row {
	int letter;
	const char *name;
	int argument;		/* The member is a text; else it is a bool. */
	size_t offset;		/* In struct options. */
} rows[] = {
	{ 'c', "config", required_argument, offsetof(struct options, config) },
	{ 't', "check-config", no_argument, offsetof(struct options, check) },
	{ 'T', "show-config", no_argument, offsetof(struct options, show) },
	{ 'q', "quiet", no_argument, offsetof(struct options, quiet) },
	{ 256, "explain", required_argument,
	    offsetof(struct options, explain) },
	{ 'p', "port", required_argument, offsetof(struct options, port) },
	{ 'v', "verbose", no_argument, offsetof(struct options, verbose) },
	{ 'V', "version", no_argument, offsetof(struct options, version) },
	{ 'h', "help", no_argument, offsetof(struct options, help) }
};

#define ROWS	(sizeof rows / sizeof rows[0])

static const char usage[] =
    "Usage: aisd [-c FILE] [-p PORT] [-tqTvVh]\n"
    "       aisd [-c FILE] --explain WHO [-- PROGRAM [ARG...]]\n"
    "Serve commands over mutual TLS, in the foreground.\n"
    "\n"
    "  -c, --config FILE    read FILE and FILE.d/*.conf\n"
    "                       (default: " DEFAULT_CONFIG ")\n"
    "  -p, --port PORT      listen on PORT in place of \"listen\"\n"
    "  -t, --check-config   check the configuration, and exit\n"
    "  -q, --quiet          with -t: errors of a reload alone\n"
    "  -T, --show-config    print the configuration in force, and exit\n"
    "  -v, --verbose        log to standard error as well, and more\n"
    "      --explain WHO    say what the rules do for WHO: a certificate's\n"
    "                       file, or names as CN=alice,FROM=192.0.2.1\n"
    "  -V, --version        print the version, and exit\n"
    "  -h, --help           print this, and exit\n"
    "\n"
    "See aisd(8) and aisd.conf(5).\n";

/* What has been printed is "code", if all of it has been written. */
static int
told(int code)
{
	if (fflush(stdout) == 0 && ferror(stdout) == 0)
		return code;
	log_errno("cannot write standard output");
	return EXIT_FAILED;
}

/* Say what is wrong with "word", after getopt_long(3) has returned "c". */
static void
complain_option(int c, const char *word)
{
	const char *close = NULL;
	char name[64], shown[TEXT_ESCAPED_MAX(sizeof name)];

	(void)snprintf(name, sizeof name, "%.*s", (int)strcspn(word, "="),
	    word);
	(void)text_printable(shown, sizeof shown, name, strlen(name));
	if (c == '?' && optopt == 0)
		close = text_closest(name + 2, &rows->name, ROWS, sizeof *rows);
	if (c == ':')
		fprintf(stderr, "aisd: %s needs a value\n", shown);
	else if (optopt != 0 && name[1] == '-')
		fprintf(stderr, "aisd: %s takes no value\n", shown);
	else if (close != NULL)
		fprintf(stderr, "aisd: unknown option %s; did you mean --%s?\n",
		    shown, close);
	else
		fprintf(stderr, "aisd: unknown option %s\n", shown);
}

/* Set the members that the options of the command line are for.  0, or -1
 * after a message. */
static int
read_options(int argc, char **argv, struct options *o)
{
	struct option longs[ROWS + 1] = { 0 };
	void *member;
	int c;

	for (size_t i = 0; i < ROWS; i++)
		longs[i] = (struct option){ rows[i].name, rows[i].argument,
		    NULL, rows[i].letter };
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":c:tqTp:vVh", longs, NULL)) !=
	    -1) {
		const struct row *row = rows;

		while (row < rows + ROWS && row->letter != c)
			row++;
		if (row == rows + ROWS) {
			complain_option(c, argv[optind - 1]);
			return -1;
		}
		member = (char *)o + row->offset;
		if (row->argument == required_argument)
			*(const char **)member = optarg;
		else
			*(bool *)member = true;
	}
	o->argv = argv + optind;
	return 0;
}

/* An exit code, or -1: go on. */
static int
parse_options(int argc, char **argv, struct options *o)
{
	int64_t port;

	*o = (struct options){ .config = DEFAULT_CONFIG };
	if (read_options(argc, argv, o) == -1) {
		fputs("Try: aisd --help\n", stderr);
		return EXIT_USAGE;
	}
	if (o->version || o->help) {
		fputs(o->help ? usage : "aisd " PACKAGE_VERSION "\n", stdout);
		return told(EXIT_DONE);
	}
	if (*o->argv != NULL && o->explain == NULL) {
		fprintf(stderr, "aisd: unexpected argument \"%s\"\n"
		    "Try: aisd --help\n", *o->argv);
		return EXIT_USAGE;
	}
	if (o->port != NULL &&
	    number_whole(o->port, 0, 65535, &port) == -1) {
		fprintf(stderr, "aisd: the port must be a number from 0 to "
		    "65535\n");
		return EXIT_USAGE;
	}
	return -1;
}

/* --- the start, in the order that main() has it -------------------------- */

/* The file's absolute name: a reload happens in another directory. */
static int
make_absolute(struct options *o)
{
	static char path[2 * PATH_MAX];
	char here[PATH_MAX];

	if (o->config[0] == '/')
		return 0;
	if (getcwd(here, sizeof here) == NULL)
		return -1;
	(void)snprintf(path, sizeof path, "%s/%.*s", here, PATH_MAX - 1,
	    o->config);
	o->config = path;
	return 0;
}

/*
 * What we inherit must not matter: dispositions, mask, umask, directory, and
 * standard descriptors, whose numbers would otherwise go to a socket.
 */
static int
be_sane(struct options *o)
{
	struct sigaction sa;
	sigset_t none;
	int fd;

	memset(&sa, 0, sizeof sa);
	sa.sa_handler = SIG_DFL;
	for (int sig = 1; sig < NSIG; sig++)
		(void)sigaction(sig, &sa, NULL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)umask(027);
	do {
		if ((fd = open("/dev/null", O_RDWR)) == -1)
			return -1;
	} while (fd <= 2);
	(void)close(fd);
	return make_absolute(o);
}

/* Take what the service manager has passed.  1: it has; 0: nothing; -1. */
static int
adopt_sockets(struct server_start *start)
{
	int n = service_sockets(start->listeners, SERVER_LISTENERS_MAX);

	for (int i = 0; i < n; i++) {
		int listens = net_adopt(start->listeners[i], &start->peer);

		if (listens == -1)
			return -1;
		if (listens == 1) {
			start->count++;
			continue;
		}
		if (n > 1) {
			log_error("%d sockets were passed, and one of them is "
			    "a connection: aisd serves listening sockets or "
			    "one connection", n);
			return -1;
		}
		start->connection = start->listeners[i];
	}
	return n > 0 ? 1 : n;
}

static int
open_sockets(struct server_start *start, const struct options *o)
{
	int n = adopt_sockets(start);

	if (n != 0)
		return n == 1 ? EXIT_DONE : EXIT_FAILED;
	return start_listen(start->settings, o->port, start->listeners,
	    &start->count);
}

/* After the drop: what a reload will need. */
static void
check_reloadable(const struct options *o, const struct settings *s)
{
	if (access(o->config, R_OK) == -1)
		log_warning("the configuration %s cannot be read by the user "
		    "%s, so a reload will fail; run: chown root:%s %s && "
		    "chmod 0640 %s", o->config, s->daemon.name,
		    s->daemon.name, o->config, o->config);
}

/* What is not to serve. */
static int
main_check(const struct options *o, struct settings **s)
{
	int code;

	if (o->explain != NULL) {
		code = explain_rights(stdout, *s, o->explain, o->argv);
		return code == -1 ? EXIT_USAGE : told(code);
	}
	if (o->show) {
		settings_print(stdout, *s);
		return told(EXIT_DONE);
	}
	return check_start(o->config, o->port, o->quiet, s);
}

/*
 * As root only what needs root: the ports, and what root has given us.  Keys
 * are read and the log is opened by the service user, so that what works now
 * works at a reload and after a rotation as well, and no right to read other
 * people's files is needed.
 */
static int
main_prepare(const struct options *o, struct server_start *start)
{
	struct settings *s = start->settings;
	struct settings_hope hope;
	int code;

	if (openfiles_raise(start_files(s)) == -1)
		return EXIT_FAILED;
	if ((code = open_sockets(start, o)) != EXIT_DONE)
		return code;
	if (child_init() == -1)
		return EXIT_FAILED;
	if (logs_open_streams(s, o->verbose) == -1)
		return start_log_failure();
	if (start_drop(s) == -1 || tree_init() == -1)
		return EXIT_PRIVILEGE;
	check_reloadable(o, s);
	if ((start->context = files_load(s, false, &hope)) == NULL)
		return start_failure(&hope);
	/* One connection is judged by the lists for itself: those of others
	 * are no reason to leave it. */
	if (start->count > 0 && certwatch_may_start(s, start->context) == -1)
		return EXIT_TEMPORARY;
	return logs_open(s, o->verbose, &start->file) == 0 ? EXIT_DONE :
	    start_log_failure();
}

/* Forget one library's pages that cannot be written. */
static int
forget_object(struct dl_phdr_info *info, size_t size, void *context)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	(void)size;
	(void)context;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		uintptr_t start = info->dlpi_addr + p->p_vaddr;
		uintptr_t end = start + p->p_memsz;

		start &= ~(page - 1);
		if (p->p_type == PT_LOAD && (p->p_flags & PF_W) == 0)
			(void)madvise((void *)start, end - start,
			    MADV_DONTNEED);
	}
	return 0;
}

/*
 * The start goes through much of OpenSSL, and of what libsystemd brings along,
 * that an idle daemon does not need.  Pages of programs come back from the
 * cache when they are touched; so let them go, and what malloc has left over.
 */
static void
forget_start(void)
{
	(void)dl_iterate_phdr(forget_object, NULL);
	(void)malloc_trim(0);
}

/* "s" is freed here. */
static int
serve(const struct options *o, struct settings *s)
{
	struct server_start start = { .config = o->config, .settings = s };
	int code = EXIT_FAILED;

	/* A peer or a reader of the log that has gone, and a log that may not
	 * grow, are errors of write(2), and not the end of the daemon. */
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN);
	/* So that no file system is kept from being unmounted. */
	if (chdir("/") == -1)
		log_errno("cannot prepare to run");
	else
		code = main_prepare(o, &start);
	forget_start();
	if (code == EXIT_DONE) {
		int served = server_run(&start);

		return served == 0 ? EXIT_DONE :
		    served == 1 ? EXIT_DRAINED : EXIT_FAILED;
	}
	tls_context_free(start.context);
	settings_free(s);
	return code;
}

int
main(int argc, char **argv)
{
	struct options o;
	struct settings_hope hope;
	struct settings *s;
	int code;

	log_set_prefix("aisd: ");
	audit_init();
	if ((code = parse_options(argc, argv, &o)) != -1)
		return code;
	if (be_sane(&o) == -1) {
		log_errno("cannot prepare to run");
		return EXIT_FAILED;
	}
	if ((s = settings_load(o.config, &hope)) == NULL)
		return start_failure(&hope);
	if (o.check || o.show || o.explain != NULL) {
		code = main_check(&o, &s);
		settings_free(s);
		return code;
	}
	return serve(&o, s);
}
