/*
 * main.c - the options of aisc, its standard streams, its exit status.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
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
#include "common/base/failure.h"
#include "common/base/log.h"
#include "common/base/net.h"
#include "common/wire/proto.h"

#include "client/core/outcome.h"
#include "client/core/memory.h"
#include "client/core/settings.h"
#include "client/core/signals.h"
#include "client/core/stream.h"
#include "client/core/printer.h"
#include "client/session/request.h"
#include "client/ask/check.h"
#include "client/ask/plugin.h"
#include "client/ask/question.h"
#include "client/ask/report.h"
#include "client/ask/run.h"
#include "client/prompt/commands.h"
#include "client/options.h"
#include "client/ssh.h"

/* Long names of hosts, and of ports. */
#define HOST_MAX	256
#define PORT_MAX	8
#define SEE		"aisc --help"
#define usage(...)	options_usage(SEE, __VA_ARGS__)
/* A century. */
#define DAYS_MAX	36500

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
	bool plugin;		/* Run one of a monitoring system. */
	struct check check;
	bool valid;		/* The options are good. */
	char why[FAILURE_MAX];	/* What is wrong with the settings. */
	bool show_config;
	bool help;
	bool version;
	char host[HOST_MAX];
	char port[PORT_MAX];
	char **argv;		/* The command's, or NULL. */
	size_t argc;
};

#define SETTING(name)	offsetof(struct call, settings.name)
#define CALL(name)	offsetof(struct call, name)

/* Every option: parsing, --help and the manual page agree on this table. */
static const struct option_row rows[] = {
	{ "command", 'c', "LINE", "let the server's shell run LINE",
	    OPTION_TEXT, CALL(shell), 0, 0 },
	{ "directory", 'C', "DIR", "run in the directory DIR",
	    OPTION_TEXT, SETTING(directory), 0, 0 },
	{ "env", 'e', "NAME=VALUE", "set a variable for the command",
	    OPTION_VARIABLE, CALL(settings), 0, 0 },
	{ "file", 'f', "FILE", "run the commands in FILE",
	    OPTION_TEXT, CALL(script), 0, 0 },
	{ "stop-on-error", 0, NULL, NULL,
	    OPTION_FLAG, CALL(stop_on_error), 0, 0 },
	{ "keep-going", 0, NULL,
	    "end a script at a status; go on if refused",
	    OPTION_FLAG, CALL(keep_going), 0, 0 },
	{ "config", 'F', "FILE", "read FILE in place of all aisc.conf",
	    OPTION_TEXT, CALL(file), 0, 0 },
	{ "no-stdin", 'n', NULL, "give the command no standard input",
	    OPTION_FLAG, SETTING(no_stdin), 0, 0 },
	{ "port", 'p', "PORT", "connect to PORT (" PROTO_PORT_TEXT ")",
	    OPTION_NUMBER, SETTING(port), 1, 65535 },
	{ "quiet", 'q', NULL, NULL,
	    OPTION_FLAG, SETTING(quiet), 0, 0 },
	{ "verbose", 'v', NULL, "say nothing but errors; say what is done",
	    OPTION_FLAG, SETTING(verbose), 0, 0 },
	{ "ca", 0, "FILE", NULL,
	    OPTION_TEXT, SETTING(authority), 0, 0 },
	{ "cert", 0, "FILE", NULL,
	    OPTION_TEXT, SETTING(certificate), 0, 0 },
	{ "key", 0, "FILE", "the authority, who you are, your key",
	    OPTION_TEXT, SETTING(key), 0, 0 },
	{ "timeout", 0, "SECONDS", "time limit for everything",
	    OPTION_SECONDS, SETTING(timeout), 0, 0 },
	{ "connect-timeout", 0, "SECONDS", "time limit for connecting (10)",
	    OPTION_SECONDS, SETTING(connect_timeout), 0, 0 },
	{ "wait", 0, "SECONDS",
	    "give up when others are served for so long (600)",
	    OPTION_SECONDS, SETTING(wait), 0, 0 },
	{ "list", 0, NULL, NULL,
	    OPTION_FLAG, CALL(list), 0, 0 },
	{ "can", 0, NULL, "show what you may run; ask if you may run it",
	    OPTION_FLAG, CALL(can), 0, 0 },
	{ "check", 0, NULL, "check files, server, certificates, as a plugin",
	    OPTION_FLAG, CALL(checks), 0, 0 },
	{ "plugin", 0, NULL, "run a plugin; our failures are UNKNOWN (3)",
	    OPTION_FLAG, CALL(plugin), 0, 0 },
	{ "warn-days", 0, "N", NULL,
	    OPTION_NUMBER, CALL(check.warn_days), 0, DAYS_MAX },
	{ "critical-days", 0, "N", "days that are too few for it (30, 7)",
	    OPTION_NUMBER, CALL(check.critical_days), 0, DAYS_MAX },
	{ "json", 0, NULL, NULL,
	    OPTION_FLAG, CALL(check.json), 0, 0 },
	{ "capture", 0, NULL, "answer as JSON, with a command's output in it",
	    OPTION_FLAG, CALL(capture), 0, 0 },
	{ "status-fd", 0, "N", "tell descriptor N what came of it, as JSON",
	    OPTION_NUMBER, CALL(status_fd), 1, INT_MAX },
	{ "progress", 0, NULL, NULL,
	    OPTION_FLAG, CALL(progress), 0, 0 },
	{ "no-progress", 0, NULL, "always or never show how much has passed",
	    OPTION_FLAG, CALL(no_progress), 0, 0 },
	{ "show-config", 0, NULL, "show the settings for HOST and exit",
	    OPTION_FLAG, CALL(show_config), 0, 0 },
	{ "help", 'h', NULL, NULL,
	    OPTION_FLAG, CALL(help), 0, 0 },
	{ "version", 'V', NULL, "show this, or the version, and exit",
	    OPTION_FLAG, CALL(version), 0, 0 }
};

#define ROWS	(sizeof rows / sizeof rows[0])

static void
print_help(FILE *out)
{
	(void)fputs(
	    "usage: aisc [OPTION...] HOST[:PORT] [PROGRAM [ARG...]]\n"
	    "       aisc --rsh [SSH-OPTION...] HOST [WORD...]\n",
	    out);
	options_help(rows, ROWS, out);
}

/* "word" cannot be HOST[:PORT].  What was it meant to be? */
static int
usage_host(const char *word)
{
	const char *hint = "see " SEE;

	if (*word == '\0')
		return options_usage(SEE, "HOST is empty");
	if (strpbrk(word, " \t") != NULL)
		hint = "write the host and the words of the command apart";
	else if (strchr(word, '@') != NULL)
		hint = "there are no users here: the server's rules say who "
		    "runs what";
	return options_usage(NULL, "this is no HOST[:PORT]: %.*s; %s",
	    HOST_MAX - 1, word, hint);
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

static int
main_parse(struct call *call, int argc, char **argv)
{
	int n = options_take(rows, ROWS, call, argc, argv);

	return n == -1 ? -1 : take_rest(call, argc - n, argv + n);
}

/* Is there one thing to do, and what it needs? */
static int
check_call(const struct call *call)
{
	int questions = call->list + call->can + call->checks;
	int scripts = (call->shell != NULL) + (call->script != NULL);
	const struct {
		bool wrong;
		const char *text;
	} checks[] = {
		{ call->host[0] == '\0' && !call->show_config,
		    "there is no HOST" },
		{ questions + scripts > 1, "-c, -f, --list, --can and --check "
		    "exclude each other" },
		{ questions > 0 && (call->capture || call->status_fd != -1),
		    "--capture and --status-fd are for commands" },
		{ call->plugin && (questions > 0 || call->script != NULL ||
		    call->check.json || call->capture ||
		    call->status_fd != -1 || (!call->show_config &&
		    call->argv == NULL && call->shell == NULL)),
		    "--plugin goes with a PROGRAM or -c alone, and answers by "
		    "its own line" },
		{ call->capture && !call->check.json,
		    "--capture goes with --json" },
		{ call->check.json && questions == 0 && !call->capture &&
		    call->status_fd == -1, "--json of a command would mix with "
		    "its output; add --status-fd N or --capture" },
		{ call->status_fd == STDOUT_FILENO && !call->capture,
		    "--status-fd 1 would mix with the output; take another, or "
		    "add --capture" },
		{ call->stop_on_error && call->keep_going,
		    "--stop-on-error and --keep-going exclude each other" },
		{ (call->stop_on_error || call->keep_going) && (questions > 0 ||
		    call->argv != NULL || call->shell != NULL),
		    "--stop-on-error and --keep-going are for scripts" },
		{ !call->checks && (call->check.warn_days != CHECK_WARN_DAYS ||
		    call->check.critical_days != CHECK_CRITICAL_DAYS),
		    "--warn-days and --critical-days go with --check" },
		{ questions > 0 && call->settings.no_stdin,
		    "-n is for commands" },
		{ call->settings.quiet && call->settings.verbose,
		    "-q and -v exclude each other" },
		{ call->progress && call->no_progress,
		    "--progress and --no-progress exclude each other" },
		{ call->status_fd == STDERR_FILENO,
		    "--status-fd 2 would mix with messages; take another" },
	};

	for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
		if (checks[i].wrong)
			return usage("%s", checks[i].text);
	}
	if (call->argv != NULL && (call->list || call->checks || scripts > 0))
		return usage("-c, -f, --list and --check take no program: %s",
		    call->argv[0]);
	return 0;
}

/* HOST:PORT, unless -p says something else. */
static int
take_port(struct call *call)
{
	return call->port[0] == '\0' ? 0 : options_number(SEE, "HOST:PORT",
	    call->port, 1, 65535, &call->settings.port);
}

/*
 * Options and files together.  The options are read twice: first to learn
 * which host and which file, and then to override what the files say.
 */
static int
main_configure(struct call *call, int argc, char **argv)
{
	int loaded;

	if (main_parse(call, argc, argv) == -1)
		return -1;
	if (call->help || call->version)
		return 0;
	if (check_call(call) == -1)
		return -1;
	call->valid = true;
	settings_free(&call->settings);
	/* Held back, so as to know what it was that went wrong. */
	log_hold(call->why, sizeof call->why);
	loaded = settings_load(&call->settings, call->file,
	    call->host[0] == '\0' ? NULL : call->host, SETTINGS_WAIT);
	log_release(true);
	if (loaded == -1 || take_port(call) == -1 ||
	    main_parse(call, argc, argv) == -1)
		return -1;
	call->settings.progress = call->progress ? PROGRESS_ON :
	    call->no_progress || call->settings.quiet || call->list ||
	    call->can || call->checks ? PROGRESS_OFF : PROGRESS_AUTO;
	/* A monitoring system wants an answer in time, and nothing else; it
	 * has nothing to say. */
	call->settings.no_stdin |= call->plugin;
	if (call->checks || call->plugin) {
		call->settings.quiet = true;
		if (call->settings.timeout == 0)
			call->settings.timeout = CHECK_TIMEOUT;
	}
	return 0;
}

/* Run the one command of the command line, or ask whether it may be run, or
 * which may. */
static int
run_one(const struct call *call, struct request *r, struct report *report,
    struct outcome *o)
{
	const struct settings *s = &call->settings;
	char *line[] = { call->shell, NULL };
	struct body body = { .operation = PROTO_RUN, .words = call->argv,
	    .nwords = call->argc, .directory = s->directory,
	    .wants_stdin = !s->no_stdin };

	if (call->list)
		body = (struct body){ .operation = PROTO_LIST,
		    .arguments = true };
	else if (call->can) {
		body.operation = PROTO_CAN;
		body.wants_stdin = false;
		run_prepare(s, &body);
	}
	if (call->list || call->can)
		return question_ask(s, r, &body, call->check.json, o);
	if (call->shell != NULL) {
		body.operation = PROTO_SHELL;
		body.words = line;
		body.nwords = 1;
	}
	return call->plugin ? plugin_run(s, r, &body) :
	    run_once(s, r, report, &body, o);
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
	*report = report_new(fd, call->capture);
	return 0;
}

static int
main_run(const struct call *call, struct report *report)
{
	const struct script script = { .file = call->script,
	    .stop_on_error = call->stop_on_error,
	    .keep_going = call->keep_going, .report = report };
	struct request *r = request_new(&call->settings);
	struct outcome outcome = { .class = OUTCOME_DONE };
	int status;

	if (r == NULL)
		memory_out();
	if (call->checks)
		status = check_run(&call->check, &call->settings, r);
	else if (call->list || call->can || call->argv != NULL ||
	    call->shell != NULL)
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
main_answer(const struct call *call)
{
	struct outcome o = { .class = OUTCOME_DONE };
	struct printer p;

	printer_open(&p, STDOUT_FILENO);
	if (call->help)
		print_help(p.out);
	else if (call->version)
		(void)fputs("aisc (" PACKAGE_NAME ") " PACKAGE_VERSION "\n",
		    p.out);
	else
		settings_print(&call->settings, p.out);
	printer_close(&p, &o);
	outcome_report(&o);
	return o.status;
}

/* A message has said what is wrong with the options or the settings.  Say it in
 * the plugin's line or in JSON as well. */
static int
main_refuse(const struct call *call)
{
	const char *host = call->host[0] == '\0' ? NULL : call->host;
	struct report *report;

	if (call->checks || call->plugin)
		return check_unknown(&call->check, host, call->why);
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
	if (main_configure(&call, argc, argv) == -1)
		status = main_refuse(&call);
	else if (call.help || call.version || call.show_config)
		status = main_answer(&call);
	else if (open_report(&call, &report) == -1)
		status = OUTCOME_FAILED;
	else {
		status = main_run(&call, report);
		report_free(report);
	}
	settings_free(&call.settings);
	free(call.shell);
	free(call.file);
	free(call.script);
	signals_finish();
	return status;
}
