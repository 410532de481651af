#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/wire/body.h"
#include "common/base/net.h"
#include "common/base/number.h"
#include "common/wire/proto.h"
#include "common/base/text.h"

#include "client/core/outcome.h"
#include "client/core/settings.h"
#include "client/core/signals.h"
#include "client/core/stream.h"
#include "client/ask/mistakes.h"
#include "client/core/printer.h"
#include "client/session/request.h"
#include "client/ask/check.h"
#include "client/ask/question.h"
#include "client/ask/report.h"
#include "client/prompt/commands.h"
#include "client/ssh.h"

/* Long names of hosts, and of ports. */
#define HOST_MAX	256
#define PORT_MAX	8
/* A year is no limit. */
#define SECONDS_MAX	(365.0 * 86400)
/* A century. */
#define DAYS_MAX	36500
/* Where the words of --help begin, unless the options need more. */
#define HELP_COLUMN	30

/* What the command line says, and what the files add to it. */
struct call {
	struct settings settings;
	char *shell;		/* The line for a shell, or NULL. */
	char *file;		/* The configuration to use alone, or NULL. */
	char *script;		/* The file of commands, or NULL. */
	bool stop_on_error;
	bool keep_going;
	int64_t status_fd;	/* Where JSON of commands goes; or -1. */
	bool capture;
	bool progress;		/* To show it, or not to. */
	bool no_progress;
	bool list;		/* What to do in place of running. */
	bool can;
	bool checks;
	struct check check;
	bool valid;		/* The options are good. */
	bool show_config;
	bool help;
	bool version;
	char host[HOST_MAX];
	char port[PORT_MAX];
	char **argv;		/* The command's, or NULL. */
	size_t argc;
};

/* The options that have no letter. */
enum {
	LONG_CA = 256, LONG_CERT, LONG_KEY, LONG_TIMEOUT, LONG_CONNECT_TIMEOUT,
	LONG_WAIT, LONG_LIST, LONG_CAN, LONG_CHECK, LONG_JSON, LONG_WARN_DAYS,
	LONG_CRITICAL_DAYS, LONG_SHOW_CONFIG, LONG_STOP_ON_ERROR,
	LONG_STATUS_FD, LONG_CAPTURE, LONG_PROGRESS, LONG_NO_PROGRESS,
	LONG_KEEP_GOING
};

#define SETTING(name)	offsetof(struct call, settings.name)
#define CALL(name)	offsetof(struct call, name)

/* What an option's value becomes. */
enum kind {
	KIND_FLAG,		/* bool */
	KIND_TEXT,		/* char * */
	KIND_PORT,		/* int64_t */
	KIND_SECONDS,		/* int64_t, milliseconds */
	KIND_DAYS,		/* int64_t */
	KIND_FD,		/* int64_t */
	KIND_VARIABLE		/* Added to the environment. */
};

/* Every option: parsing, --help and the manual page agree on this table. */
static const struct row {
	int letter;
	const char *name;
	const char *argument;	/* NULL: it takes none. */
	const char *help;	/* NULL: it shares the line of the next. */
	enum kind kind;
	size_t offset;		/* In struct call. */
} rows[] = {
	{ 'c', "command", "LINE", "let the server's shell run LINE",
	    KIND_TEXT, CALL(shell) },
	{ 'C', "directory", "DIR", "run in the directory DIR",
	    KIND_TEXT, SETTING(directory) },
	{ 'e', "env", "NAME=VALUE", "set a variable for the command",
	    KIND_VARIABLE, 0 },
	{ 'f', "file", "FILE", "run the commands in FILE",
	    KIND_TEXT, CALL(script) },
	{ LONG_STOP_ON_ERROR, "stop-on-error", NULL,
	    "end a script with the first status that is not 0",
	    KIND_FLAG, CALL(stop_on_error) },
	{ LONG_KEEP_GOING, "keep-going", NULL,
	    "go on after a command that the server refuses",
	    KIND_FLAG, CALL(keep_going) },
	{ 'F', "config", "FILE", "read FILE in place of all aisc.conf",
	    KIND_TEXT, CALL(file) },
	{ 'n', "no-stdin", NULL, "give the command no standard input",
	    KIND_FLAG, SETTING(no_stdin) },
	{ 'p', "port", "PORT", "connect to PORT (" PROTO_PORT_TEXT ")",
	    KIND_PORT, SETTING(port) },
	{ 'q', "quiet", NULL, NULL,
	    KIND_FLAG, SETTING(quiet) },
	{ 'v', "verbose", NULL, "say nothing but errors; say what is done",
	    KIND_FLAG, SETTING(verbose) },
	{ LONG_CA, "ca", "FILE", NULL,
	    KIND_TEXT, SETTING(authority) },
	{ LONG_CERT, "cert", "FILE", NULL,
	    KIND_TEXT, SETTING(certificate) },
	{ LONG_KEY, "key", "FILE", "the authority, who you are, your key",
	    KIND_TEXT, SETTING(key) },
	{ LONG_TIMEOUT, "timeout", "SECONDS", "time limit for everything",
	    KIND_SECONDS, SETTING(timeout) },
	{ LONG_CONNECT_TIMEOUT, "connect-timeout", "SECONDS",
	    "time limit for connecting (10)",
	    KIND_SECONDS, SETTING(connect_timeout) },
	{ LONG_WAIT, "wait", "SECONDS",
	    "give up when others are served for so long (600)",
	    KIND_SECONDS, SETTING(wait) },
	{ LONG_LIST, "list", NULL, NULL,
	    KIND_FLAG, CALL(list) },
	{ LONG_CAN, "can", NULL, "show what you may run; ask if you may run it",
	    KIND_FLAG, CALL(can) },
	{ LONG_CHECK, "check", NULL,
	    "check files, server, certificates, as a plugin",
	    KIND_FLAG, CALL(checks) },
	{ LONG_WARN_DAYS, "warn-days", "N", NULL,
	    KIND_DAYS, CALL(check.warn_days) },
	{ LONG_CRITICAL_DAYS, "critical-days", "N",
	    "days that are too few for it (30, 7)",
	    KIND_DAYS, CALL(check.critical_days) },
	{ LONG_JSON, "json", NULL, NULL,
	    KIND_FLAG, CALL(check.json) },
	{ LONG_CAPTURE, "capture", NULL,
	    "answer as JSON, with a command's output in it",
	    KIND_FLAG, CALL(capture) },
	{ LONG_STATUS_FD, "status-fd", "N",
	    "tell descriptor N what came of it, as JSON",
	    KIND_FD, CALL(status_fd) },
	{ LONG_PROGRESS, "progress", NULL, NULL,
	    KIND_FLAG, CALL(progress) },
	{ LONG_NO_PROGRESS, "no-progress", NULL,
	    "always or never show how much has passed",
	    KIND_FLAG, CALL(no_progress) },
	{ LONG_SHOW_CONFIG, "show-config", NULL,
	    "show the settings for HOST and exit",
	    KIND_FLAG, CALL(show_config) },
	{ 'h', "help", NULL, NULL,
	    KIND_FLAG, CALL(help) },
	{ 'V', "version", NULL, "show this, or the version, and exit",
	    KIND_FLAG, CALL(version) }
};

#define ROWS	(sizeof rows / sizeof rows[0])

static void
print_help(FILE *out)
{
	int width = 0;

	(void)fputs(
	    "usage: aisc [OPTION...] HOST[:PORT] [PROGRAM [ARG...]]\n"
	    "       aisc --rsh [SSH-OPTION...] HOST [WORD...]\n",
	    out);
	for (size_t i = 0; i < ROWS; i++) {
		const struct row *r = &rows[i];

		width += fprintf(out, "%s", width == 0 ? "  " : ", ");
		if (r->letter < LONG_CA)
			width += fprintf(out, "-%c, ", r->letter);
		width += fprintf(out, "--%s%s%s", r->name,
		    r->argument == NULL ? "" : " ",
		    r->argument == NULL ? "" : r->argument);
		if (r->help == NULL)
			continue;
		(void)fprintf(out, "%*s %s\n", width < HELP_COLUMN ?
		    HELP_COLUMN - width : 1, "", r->help);
		width = 0;
	}
}

static int
usage(const char *what, const char *which)
{
	outcome_say("usage: %s%s; see aisc --help", what, which);
	return -1;
}

/* Make what getopt_long(3) wants of the table. */
static void
make_tables(char letters[2 * ROWS + 3], struct option longs[ROWS + 1])
{
	/* "+": options end at HOST.  ":": we say ourselves what is wrong. */
	char *p = letters;

	*p++ = '+';
	*p++ = ':';
	memset(longs, 0, (ROWS + 1) * sizeof *longs);
	for (size_t i = 0; i < ROWS; i++) {
		longs[i].name = rows[i].name;
		longs[i].has_arg = rows[i].argument != NULL;
		longs[i].val = rows[i].letter;
		if (rows[i].letter >= LONG_CA)
			continue;
		*p++ = (char)rows[i].letter;
		if (rows[i].argument != NULL)
			*p++ = ':';
	}
	*p = '\0';
}

/* Set what "row" is for to "text".  0, or -1 if that cannot be. */
static int
take_value(struct call *call, const struct row *row, const char *text)
{
	void *place = (char *)call + row->offset;
	const char *end;
	double seconds;

	switch (row->kind) {
	case KIND_FLAG:
		*(bool *)place = true;
		return 0;
	case KIND_TEXT:
		return settings_set(place, text);
	case KIND_VARIABLE:
		return settings_add_environment(&call->settings, text);
	case KIND_PORT:
		return number_whole(text, 1, 65535, place);
	case KIND_FD:
		return number_whole(text, 1, INT_MAX, place);
	case KIND_DAYS:
		return number_whole(text, 0, DAYS_MAX, place);
	case KIND_SECONDS:
		if ((end = number_decimal(text, &seconds)) == NULL ||
		    *end != '\0' || seconds > SECONDS_MAX)
			return -1;
		*(int64_t *)place = (int64_t)(seconds * 1000);
		return 0;
	}
	return -1;
}

static int
take_option(struct call *call, int letter)
{
	const struct row *row = rows;

	while (row->letter != letter)
		row++;
	if (take_value(call, row, optarg) == 0)
		return 0;
	outcome_say("usage: %s is no %s for --%s; see aisc --help", optarg,
	    row->argument, row->name);
	return -1;
}

/* "word" cannot be HOST[:PORT].  What was it meant to be? */
static int
usage_host(const char *word)
{
	char shown[2 * HOST_MAX];
	const char *hint = "see aisc --help";

	text_printable(shown, sizeof shown, word, strnlen(word, HOST_MAX));
	if (strpbrk(word, " \t") != NULL)
		hint = "write the host and the words of the command apart";
	else if (strchr(word, '@') != NULL)
		hint = "there are no users here: the server's rules say who "
		    "runs what";
	outcome_say("usage: this is no HOST[:PORT]: %s; %s", shown, hint);
	return -1;
}

/* What follows the options: HOST[:PORT] [--] [PROGRAM [ARG...]]. */
static int
take_rest(struct call *call, int argc, char **argv)
{
	if (argc == 0)
		return 0;
	if (net_split(argv[0], call->host, sizeof call->host, call->port,
	    sizeof call->port) == -1 || !settings_is_host(call->host))
		return usage_host(argv[0]);
	argv++;
	argc--;
	if (argc > 0 && strcmp(argv[0], "--") == 0) {
		argv++;
		argc--;
	}
	call->argv = argc > 0 ? argv : NULL;
	call->argc = (size_t)argc;
	return 0;
}

/*
 * All options are looked at, also behind one that is wrong: whether this is a
 * check decides how that is told.
 */
static int
parse(struct call *call, int argc, char **argv)
{
	char letters[2 * ROWS + 3];
	struct option longs[ROWS + 1];
	int c, result = 0;

	make_tables(letters, longs);
	optind = 0;		/* Begin anew. */
	while ((c = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		if (result == -1 && c != LONG_CHECK && c != LONG_JSON)
			continue;
		if (c == ':')
			result = usage("there is something missing behind ",
			    argv[optind - 1]);
		else if (c == '?')
			result = usage("this option does not exist or takes "
			    "no value: ", argv[optind - 1]);
		else if (take_option(call, c) == -1)
			result = -1;
	}
	return result == -1 ? -1 :
	    take_rest(call, argc - optind, argv + optind);
}

/* Is there one thing to do, and what it needs? */
static int
check_call(const struct call *call)
{
	int questions = call->list + call->can + call->checks;

	if (call->host[0] == '\0' && !call->show_config)
		return usage("there is no HOST", "");
	if (questions + (call->shell != NULL) + (call->script != NULL) > 1)
		return usage("-c, -f, --list, --can and --check exclude each "
		    "other", "");
	if (questions > 0 && (call->capture || call->status_fd != -1))
		return usage("--capture and --status-fd are for commands", "");
	if (call->capture && !call->check.json)
		return usage("--capture goes with --json", "");
	if (call->check.json && questions == 0 && !call->capture &&
	    call->status_fd == -1)
		return usage("--json of a command would mix with its output; "
		    "add --status-fd N or --capture", "");
	if (call->status_fd == STDOUT_FILENO && !call->capture)
		return usage("--status-fd 1 would mix with the output; take "
		    "another, or add --capture", "");
	if (call->stop_on_error && call->keep_going)
		return usage("--stop-on-error and --keep-going exclude each "
		    "other", "");
	if (call->progress && call->no_progress)
		return usage("--progress and --no-progress exclude each other",
		    "");
	if (call->status_fd == STDERR_FILENO)
		return usage("--status-fd 2 would mix with messages; take "
		    "another", "");
	if (call->argv == NULL)
		return 0;
	if (call->shell != NULL)
		return usage("-c LINE leaves no place for ", call->argv[0]);
	if (call->list || call->checks || call->script != NULL)
		return usage("-f, --list and --check leave no place for ",
		    call->argv[0]);
	return 0;
}

/* HOST:PORT, unless -p says something else. */
static int
take_port(struct call *call)
{
	if (call->port[0] == '\0' || number_whole(call->port, 1, 65535,
	    &call->settings.port) == 0)
		return 0;
	return usage("this is no port: ", call->port);
}

/*
 * Options and files together.  The options are read twice: first to learn
 * which host and which file, and then to override what the files say.
 */
static int
configure(struct call *call, int argc, char **argv)
{
	if (parse(call, argc, argv) == -1)
		return -1;
	if (call->help || call->version)
		return 0;
	if (check_call(call) == -1)
		return -1;
	call->valid = true;
	settings_free(&call->settings);
	if (settings_load(&call->settings, call->file,
	    call->host[0] == '\0' ? NULL : call->host, SETTINGS_WAIT) == -1 ||
	    take_port(call) == -1 || parse(call, argc, argv) == -1)
		return -1;
	call->settings.progress = call->progress ? PROGRESS_ON :
	    call->no_progress || call->settings.quiet || call->list ||
	    call->can || call->checks ? PROGRESS_OFF : PROGRESS_AUTO;
	/* Who monitors wants an answer in time, and nothing but one. */
	if (call->checks) {
		call->settings.quiet = true;
		if (call->settings.timeout == 0)
			call->settings.timeout = CHECK_TIMEOUT;
	}
	return 0;
}

/* Run the one command of the command line, or ask whether it may be. */
static int
run_one(const struct call *call, struct request *r, struct report *report,
    struct outcome *o)
{
	const struct settings *s = &call->settings;
	char *line[] = { call->shell, NULL };
	struct body body = { .operation = PROTO_RUN, .words = call->argv,
	    .nwords = call->argc, .env = s->environment,
	    .directory = s->directory, .wants_stdin = !s->no_stdin };

	while (body.env != NULL && body.env[body.nenv] != NULL)
		body.nenv++;
	if (call->can) {
		body.operation = PROTO_CAN;
		body.wants_stdin = false;
		return question_can(s, r, &body, call->check.json, o);
	}
	if (call->shell != NULL) {
		body.operation = PROTO_SHELL;
		body.words = line;
		body.nwords = 1;
	}
	report_begin(report, s, r, &body, 0);
	report_ask(report, r, &body, o);
	mistakes_explain(o, &body);
	report_tell(report, o);
	outcome_report(o);
	if (s->verbose)
		outcome_summary(o);
	return o->status;
}

/* Open what is told of each command, if anything.  0, or -1 after a message. */
static int
open_report(const struct call *call, struct report **report)
{
	int fd = call->status_fd != -1 ? (int)call->status_fd : STDOUT_FILENO;
	int flags;

	*report = NULL;
	if (call->status_fd == -1 && !call->capture)
		return 0;
	flags = fcntl(fd, F_GETFL);
	if (flags == -1 || (flags & O_ACCMODE) == O_RDONLY) {
		outcome_say("usage: descriptor %d is not open for writing; "
		    "with a shell, add \"%d>FILE\"", fd, fd);
		return -1;
	}
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	if ((*report = report_new(fd, call->capture)) != NULL)
		return 0;
	outcome_say("resources: cannot use descriptor %d: %s", fd,
	    strerror(errno));
	return -1;
}

static int
run(const struct call *call, struct report *report)
{
	const struct script script = { .file = call->script,
	    .stop_on_error = call->stop_on_error,
	    .keep_going = call->keep_going, .report = report };
	struct request *r = request_new(&call->settings);
	struct outcome outcome = { .class = OUTCOME_DONE };
	int status;

	if (r == NULL) {
		outcome_say("resources: out of memory");
		return OUTCOME_FAILED;
	}
	if (call->list)
		status = question_list(&call->settings, r, call->check.json,
		    &outcome);
	else if (call->checks)
		status = check_run(&call->check, &call->settings, r);
	else if (call->can || call->argv != NULL || call->shell != NULL)
		status = run_one(call, r, report, &outcome);
	else
		status = commands_run(&call->settings, &script, r);
	if (outcome_signo(&outcome) != 0)
		signals_end_by(outcome_signo(&outcome));
	request_free(r);
	return status;
}

/* Answer for ourselves. */
static int
tell(const struct call *call)
{
	struct outcome o = { .class = OUTCOME_DONE };
	struct printer p;

	if (printer_open(&p, STDOUT_FILENO) == -1) {
		outcome_say("resources: out of memory");
		return OUTCOME_FAILED;
	}
	if (call->help)
		print_help(p.out);
	else if (call->version)
		(void)fputs("aisc (" PACKAGE_NAME ") " PACKAGE_VERSION "\n",
		    p.out);
	else
		settings_print(&call->settings, p.out);
	printer_finish(&p, &o);
	printer_close(&p);
	outcome_report(&o);
	return o.status;
}

/* A message has said what is wrong with the options or the settings.  Say it to
 * those who read no messages. */
static int
refuse(const struct call *call)
{
	const char *host = call->host[0] == '\0' ? NULL : call->host;
	struct report *report;

	if (call->checks)
		return check_unknown(&call->check, host);
	if (call->valid && open_report(call, &report) == 0) {
		report_refuse(report, host);
		report_free(report);
	}
	return OUTCOME_FAILED;
}

int
main(int argc, char **argv)
{
	struct call call = { .check = { .warn_days = CHECK_WARN_DAYS,
	    .critical_days = CHECK_CRITICAL_DAYS }, .status_fd = -1 };
	struct report *report;
	int status = 0;

	if (stream_fill_gaps() == -1) {
		outcome_say("resources: cannot open /dev/null: %s",
		    strerror(errno));
		return OUTCOME_FAILED;
	}
	/* A reader that has gone is an error of write(2). */
	(void)signal(SIGPIPE, SIG_IGN);
	if (argc > 0 && ssh_is_called(argv[0]))
		return ssh_run(argc, argv);
	if (argc > 1 && strcmp(argv[1], "--rsh") == 0)
		return ssh_run(argc - 1, argv + 1);
	if (configure(&call, argc, argv) == -1)
		status = refuse(&call);
	else if (call.help || call.version || call.show_config)
		status = tell(&call);
	else if (open_report(&call, &report) == -1)
		status = OUTCOME_FAILED;
	else {
		status = run(&call, report);
		report_free(report);
	}
	settings_free(&call.settings);
	free(call.shell);
	free(call.file);
	free(call.script);
	signals_finish();
	return status;
}
