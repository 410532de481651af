/*
 * commands.c - command after command, from a prompt or a script.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/wire/body.h"
#include "common/base/buf.h"
#include "common/base/number.h"
#include "common/wire/proto.h"
#include "common/base/words.h"
#include "common/base/text.h"

#include "client/core/outcome.h"
#include "client/core/memory.h"
#include "client/core/settings.h"
#include "client/core/signals.h"
#include "client/core/printer.h"
#include "client/session/request.h"
#include "client/prompt/complete.h"
#include "client/prompt/editor.h"
#include "client/prompt/lines.h"
#include "client/prompt/following.h"
#include "client/prompt/place.h"
#include "client/prompt/split.h"
#include "client/ask/question.h"
#include "client/ask/report.h"
#include "client/ask/run.h"

#include "client/prompt/commands.h"

/* What the server says of our rule is not more. */
#define ANSWER_MAX	4096
/* What of a directory is shown. */
#define SHOWN_MAX	256

struct commands {
	const struct settings *settings;
	const struct script *script;
	struct request *request;
	bool prompt;		/* A person types, and no script is read. */
	struct complete *complete;	/* Of a prompt, or NULL. */
	struct editor *editor;	/* One of these two gives the lines. */
	struct lines *lines;
	struct following following;	/* What of them goes ahead. */
	size_t number;		/* Of the line in the script. */
	struct place place;	/* Where they run. */
	bool tilde;		/* The line is "cd" with a word in it that
				 * begins with an unquoted "~". */
	int status;		/* Of the last command. */
	bool looked;		/* There was something to do. */
	bool done;		/* Read no more. */
};

/* Take down the status of a line; it may be the end of a script. */
static void
set_status(struct commands *c, int status)
{
	c->status = status;
	if (status != 0 && !c->prompt && c->script->stop_on_error)
		c->done = true;
}

/* A line begins: the command "body", or NULL where it is none. */
static void
commands_begin(struct commands *c, const struct body *body)
{
	c->looked = true;
	report_begin(c->script->report, c->settings, c->request, body,
	    c->prompt ? 0 : c->number);
}

/* Does a failure mean that there is nothing more to run or to tell? */
static bool
is_final(const struct commands *c, const struct outcome *o)
{
	return (o->class == OUTCOME_INTERRUPTED &&
	    (!c->prompt || outcome_signo(o) != SIGINT)) ||
	    (o->class == OUTCOME_PIPE && !o->answered) ||
	    o->class == OUTCOME_OUTPUT || o->class == OUTCOME_INPUT ||
	    (!c->prompt && !o->answered && !request_is_open(c->request));
}

/* Ctrl-C ends a script when the command that it was sent to has ended, also
 * where that was no end by a signal: it may have come too late for that. */
static void
commands_check_interrupted(struct commands *c, const struct outcome *o)
{
	if (c->prompt || !o->interrupted)
		return;
	c->done = true;
	c->status = OUTCOME_SIGNAL + SIGINT;
	signals_end_by(SIGINT);
}

/* Report how a request ended. */
static void
commands_conclude(struct commands *c, struct outcome *o)
{
	set_status(c, run_tell(c->settings, c->script->report, o));
	if (is_final(c, o) || (!c->prompt && outcome_signo(o) != 0)) {
		c->done = true;
		signals_end_by(outcome_signo(o));
	} else
		commands_check_interrupted(c, o);
}

/*
 * Report what became of a line.  In a script, what has not been run to its end
 * is the last that is run, because lines that follow may rely on it: half
 * of what a shell would take for one construct is never run.  --keep-going is
 * about what the server refuses or ends, where it "may_go_on".
 */
static void
conclude_line(struct commands *c, struct outcome *o, bool may_go_on)
{
	const char *file = c->script->file;

	if (!c->prompt && o->class != OUTCOME_DONE &&
	    (o->class != OUTCOME_PIPE || !o->answered) &&
	    o->class != OUTCOME_INTERRUPTED) {
		c->done = !may_go_on || !c->script->keep_going ||
		    is_final(c, o);
		failure_about(&o->failure, "%.*s%s%zu%s", SHOWN_MAX,
		    file == NULL ? "" : file, file == NULL ? "line " : ":",
		    c->number, c->done ? ": the script ends here" : "");
	}
	commands_conclude(c, o);
}

/* Say what is wrong with a line. */
static void
commands_complain(struct commands *c, const char *text)
{
	struct outcome o = { .class = OUTCOME_DONE };

	outcome_fail(&o, OUTCOME_INVALID, "%s", text);
	conclude_line(c, &o, false);
}

/* Has the next line been typed or pasted already?  It is meant for us. */
static bool
is_typed_ahead(void)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

/* --- what is not sent to the server ------------------------------------ */

/* Give out what a command of our own has to say; "o" is what comes of it. */
static void
commands_show(struct commands *c, const char *text, struct outcome *o)
{
	struct printer p;

	if (report_take(c->script->report, text))
		return;
	printer_open(&p, STDOUT_FILENO);
	(void)fputs(text, p.out);
	printer_close(&p, o);
}

/* Show the directory: a terminal no foreign bytes; a program what is. */
static void
show_directory(struct commands *c, struct outcome *o)
{
	const char *directory = c->place.directory;
	char shown[4 * PROTO_PATH_MAX + 1], text[sizeof shown + 1];

	(void)snprintf(text, sizeof text, "%s\n", !c->prompt ? directory :
	    text_printable(shown, sizeof shown, directory, strlen(directory)));
	commands_show(c, text, o);
}

static void
do_cd(struct commands *c, char **words)
{
	struct outcome o = { .class = OUTCOME_DONE };
	const char *to = words[1];

	if (to != NULL && words[2] != NULL) {
		commands_complain(c, "cd takes one directory");
		return;
	}
	if (to != NULL && c->tilde)
		place_change_from_home(&c->place, to + 1 + strspn(to + 1, "/"),
		    &o);
	else if (to != NULL && strcmp(to, "-") == 0) {
		place_change_back(&c->place, &o);
		if (o.class == OUTCOME_DONE)
			show_directory(c, &o);
	} else
		place_change(&c->place, to, &o);
	/* The lines that follow are meant for there. */
	conclude_line(c, &o, false);
}

static void
do_pwd(struct commands *c, char **words)
{
	struct outcome o = { .class = OUTCOME_DONE };

	(void)words;
	if (c->place.directory == NULL)
		place_ask(&c->place, &o);
	if (o.class == OUTCOME_DONE)
		show_directory(c, &o);
	conclude_line(c, &o, false);
}

static void
do_exit(struct commands *c, char **words)
{
	int64_t status = c->status;
	bool good = words[1] == NULL || (words[2] == NULL && number_whole(
	    words[1], INT64_MIN, INT64_MAX, &status) == 0);

	if (good) {
		c->done = true;
		c->status = (int)(status & 255);
	} else
		commands_complain(c, "exit takes one number");
}

static void
do_list(struct commands *c, char **words)
{
	const struct body body = { .operation = PROTO_LIST,
	    .arguments = true };
	struct outcome o = { .class = OUTCOME_DONE };

	if (words[1] != NULL)
		commands_complain(c, "list takes no word");
	else if (report_captures(c->script->report)) {
		outcome_fail(&o, OUTCOME_INVALID, "list does not go with "
		    "--capture");
		outcome_hint(&o, "run \"aisc --list --json %s\"",
		    c->settings->host);
		conclude_line(c, &o, false);
	} else if (!place_return(&c->place, &o))
		conclude_line(c, &o, false);
	else {
		(void)question_ask(c->settings, c->request, &body, false, &o);
		report_tell(c->script->report, &o);
		set_status(c, o.status);
		if (!c->prompt && o.class != OUTCOME_DONE) {
			c->done = true;
			signals_end_by(outcome_signo(&o));
		} else
			commands_check_interrupted(c, &o);
	}
}

static void
do_help(struct commands *c, char **words)
{
	struct outcome o = { .class = OUTCOME_DONE };

	(void)words;
	commands_show(c,
	    "A line is split into words as a shell does it, and run by the\n"
	    "server without a shell: put single quotes around what a shell\n"
	    "would not take literally, such as * or $.  Commands have no\n"
	    "terminal there.  Besides there are:\n"
	    "  cd [DIR]   change to DIR, or to the home directory; \"cd -\"\n"
	    "             goes back to the one before\n"
	    "  pwd        show the directory\n"
	    "  list       show what you may run\n"
	    "  exit [N]   exit with status N; so do quit and Ctrl-D\n"
	    "  help       show this\n"
	    "Ctrl-C goes to the running command, and twice within a second\n"
	    "ends it.  \"aisc -c LINE HOST\" asks for a shell.\n", &o);
	commands_conclude(c, &o);
}

static const struct builtin {
	const char *name;
	void (*run)(struct commands *c, char **words);
} builtins[] = {
	{ "cd", do_cd },
	{ "pwd", do_pwd },
	{ "list", do_list },
	{ "exit", do_exit },
	{ "quit", do_exit },
	{ "help", do_help }
};

/* The command of our own with this name, or NULL. */
static const struct builtin *
find_builtin(const char *name)
{
	for (size_t i = 0; i < sizeof builtins / sizeof builtins[0]; i++) {
		if (strcmp(name, builtins[i].name) == 0)
			return &builtins[i];
	}
	return NULL;
}

static bool
is_own(const char *name)
{
	return find_builtin(name) != NULL;
}

/* --- lines ------------------------------------------------------------- */

static void
run_command(struct commands *c, char **words, size_t count)
{
	const struct settings *s = c->settings;
	struct body body = { .operation = PROTO_RUN, .words = words,
	    .nwords = count };
	struct outcome o;

	run_prepare(s, &body);
	body.wants_stdin = c->prompt && !s->no_stdin &&
	    !is_typed_ahead();
	/* An output that is too long to be kept may end the script when the
	 * command has ended, and then it is too late to take others back. */
	if (!c->prompt && (!report_captures(c->script->report) ||
	    c->script->keep_going))
		body.place = following_next(&c->following);
	if (!place_return(&c->place, &o)) {
		conclude_line(c, &o, false);
		return;
	}
	run_ask(c->request, c->script->report, &body, &o);
	if (o.again) {
		place_say_again(&c->place, &o);
		if (!place_return(&c->place, &o)) {
			conclude_line(c, &o, false);
			return;
		}
		body.place = BODY_LEADS;
		run_ask(c->request, c->script->report, &body, &o);
	}
	following_explain(&o);
	/* The terminal has shown "^C"; the prompt begins on a line of its
	 * own, as a shell's does. */
	if (c->prompt && o.status == OUTCOME_SIGNAL + SIGINT)
		outcome_write("\n");
	conclude_line(c, &o, true);
}

static void
run_words(struct commands *c, char **words, size_t count)
{
	const struct body body = { .operation = PROTO_RUN, .words = words,
	    .nwords = count };
	const struct builtin *own = find_builtin(words[0]);

	commands_begin(c, &body);
	if (own != NULL)
		own->run(c, words);
	else
		run_command(c, words, count);
}

static void
run_line(struct commands *c, const char *line)
{
	struct outcome o = { .class = OUTCOME_DONE };
	enum words_error e;
	char **words;
	size_t count, at;

	line += strspn(line, " \t");
	if (*line == '\0' || *line == '#')
		return;
	commands_begin(c, NULL);
	e = split_line(line, &words, &count, &at, &c->tilde);
	if (e == WORDS_SHELL) {
		outcome_fail(&o, OUTCOME_INVALID, "%.*s needs a shell, and "
		    "there is none here", (int)words_culprit(line, at),
		    line + at);
		outcome_hint(&o, "to pass it on, quote it: '%.*s'; where the "
		    "server's rule grants a shell: aisc -c LINE %s",
		    (int)words_culprit(line, at), line + at,
		    c->settings->host);
		conclude_line(c, &o, false);
	} else if (e != WORDS_OK)
		commands_complain(c, words_strerror(e));
	if (e != WORDS_OK)
		return;
	if (count > 0)
		run_words(c, words, count);
	words_free(words);
}

/* Show the prompt "text" and read a line, as editor_read() does, also without
 * an editor. */
static int
typed_line(struct commands *c, const char *text, const char **line,
    struct outcome *o)
{
	int n;

	if (c->editor != NULL)
		return editor_read(c->editor, text, line, o);
	outcome_write(text);
	n = lines_read(c->lines, line, o);
	if (n != 1)
		outcome_write("\n");
	/* Ctrl-C gives up the line, and not the prompt. */
	return n == 0 && outcome_signo(o) == SIGINT ? -1 : n;
}

static int
next_line(struct commands *c, const char **line, struct outcome *o)
{
	char text[SHOWN_MAX * 2 + 16], directory[SHOWN_MAX] = "";
	char status[8] = "";

	c->number++;
	if (!c->prompt)
		return lines_read(c->lines, line, o);
	if (c->place.directory != NULL)
		text_printable(directory, sizeof directory,
		    c->place.directory, strlen(c->place.directory));
	if (c->status != 0)
		(void)snprintf(status, sizeof status, " [%d]", c->status);
	(void)snprintf(text, sizeof text, "%.*s%s%s%s> ", SHOWN_MAX,
	    c->settings->host, directory[0] == '\0' ? "" : ":", directory,
	    status);
	return typed_line(c, text, line, o);
}

static void
run_all(struct commands *c)
{
	struct outcome o;
	const char *line;
	int n;

	while (!c->done && (n = next_line(c, &line, &o)) != 0) {
		if (n == 1)
			run_line(c, line);
		else if (o.again)
			place_say_again(&c->place, &o);
		else if (!c->prompt) {
			commands_begin(c, NULL);
			if (o.class == OUTCOME_INVALID)
				conclude_line(c, &o, false);
			else
				commands_conclude(c, &o);
		} else
			outcome_report(&o);
	}
	if (!c->done && o.class == OUTCOME_INTERRUPTED) {
		commands_begin(c, NULL);
		commands_conclude(c, &o);
	}
}

/*
 * Begin where we are told to.  A prompt shows where it is, but does not need
 * that: where commands begin may be a place that is gone.
 */
static void
commands_start(struct commands *c)
{
	struct outcome o = { .class = OUTCOME_DONE };
	const char *directory = c->settings->directory;

	if (!c->prompt && directory == NULL)
		return;
	commands_begin(c, NULL);
	if (directory != NULL)
		place_change(&c->place, directory, &o);
	else
		place_ask(&c->place, &o);
	if (o.class == OUTCOME_DONE)
		return;
	commands_conclude(c, &o);
	if (directory != NULL || !request_is_open(c->request)) {
		c->done = true;
		signals_end_by(outcome_signo(&o));
	} else if (!c->done)
		c->status = 0;
}

/*
 * A script in which there was nothing to do, such as an empty standard input
 * in the place of a command that was forgotten: it is no success unless a
 * command could have been run.
 */
static void
commands_greet(struct commands *c)
{
	const struct body body = { .operation = PROTO_CAN };
	struct outcome o;
	struct buf answer;

	buf_init(&answer, ANSWER_MAX);
	commands_begin(c, NULL);
	request_answer(c->request, &body, &answer, NULL, &o);
	if (o.class != OUTCOME_DONE)
		commands_conclude(c, &o);
	buf_free(&answer);
}

/* What must become of a command of a script for the next one to be run. */
static enum proto_condition
commands_condition(const struct commands *c)
{
	return c->script->stop_on_error ? PROTO_IF_SUCCEEDED :
	    c->script->keep_going ? PROTO_IF_ANY : PROTO_IF_ENDED;
}

/* Open what the lines come from.  0, or -1 after a message. */
static int
open_source(struct commands *c)
{
	static const char *own[sizeof builtins / sizeof builtins[0] + 1];
	const char *file = c->script->file;
	struct outcome o = { .class = OUTCOME_DONE };

	for (size_t i = 0; i < sizeof builtins / sizeof builtins[0]; i++)
		own[i] = builtins[i].name;
	c->prompt = file == NULL && isatty(STDIN_FILENO) == 1;
	if (c->prompt && report_captures(c->script->report)) {
		outcome_say("usage: --capture is not for a prompt; "
		    "see aisc --help");
		return -1;
	}
	c->place.tells = c->prompt || c->settings->verbose;
	if (c->prompt) {
		request_keep_session(c->request);
		c->place.complete = c->complete = complete_new(c->request, own);
		c->editor = editor_open(c->request, c->complete);
		if (c->editor != NULL)
			return 0;
	}
	if ((c->lines = lines_open(c->request, file)) != NULL) {
		c->following = (struct following){ .lines = c->lines,
		    .request = c->request, .settings = c->settings,
		    .is_own = is_own, .condition = commands_condition(c) };
		return 0;
	}
	outcome_fail(&o, OUTCOME_INPUT, "cannot read %s: %s", file,
	    strerror(errno));
	commands_begin(c, NULL);
	(void)run_tell(c->settings, c->script->report, &o);
	return -1;
}

int
commands_run(const struct settings *settings, const struct script *script,
    struct request *r)
{
	struct commands c = { .settings = settings, .script = script,
	    .request = r, .place = { .request = r },
	    .status = OUTCOME_FAILED };

	if (open_source(&c) == 0) {
		c.status = 0;
		commands_start(&c);
		run_all(&c);
		if (!c.looked)
			commands_greet(&c);
	}
	lines_close(c.lines);
	editor_close(c.editor);
	complete_free(c.complete);
	place_clear(&c.place);
	return c.status;
}
