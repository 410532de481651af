/*
 * outcome.c - what came of a request: its class, the exit status, the words.
 *
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/json.h"
#include "common/base/text.h"

#include "client/core/outcome.h"

static const struct {
	const char *name;
	int status;
	const char *hint;	/* For failures that have none. */
} classes[] = {
	[OUTCOME_DONE] = { "done", 0, "" },
	[OUTCOME_UNKNOWN] = { "unknown", 127,
	    "aisc --list shows what you may run" },
	[OUTCOME_NOT_EXECUTABLE] = { "not-executable", 126,
	    "the server's operator has to mend the program" },
	[OUTCOME_CONNECT] = { "connect", OUTCOME_FAILED,
	    "look whether aisd runs there and can be reached" },
	[OUTCOME_TLS] = { "tls", OUTCOME_FAILED,
	    "the log of aisd there may say more" },
	[OUTCOME_NAME] = { "name", OUTCOME_FAILED,
	    "use a name that the certificate has" },
	[OUTCOME_DENIED] = { "denied", OUTCOME_FAILED,
	    "aisc --list shows what you may run" },
	[OUTCOME_BUSY] = { "busy", OUTCOME_FAILED, "try again later" },
	[OUTCOME_PROTOCOL] = { "protocol", OUTCOME_FAILED,
	    "compare the versions of aisc and aisd" },
	[OUTCOME_LOST] = { "lost", OUTCOME_FAILED,
	    "find out how far the command has come before you run it again" },
	[OUTCOME_TURN] = { "turn", OUTCOME_FAILED, "try again" },
	[OUTCOME_TIMEOUT] = { "timeout", OUTCOME_FAILED,
	    "allow more time, here or in the server's rules" },
	[OUTCOME_LIMIT] = { "limit", OUTCOME_FAILED,
	    "let the command write less" },
	[OUTCOME_STOPPED] = { "stopped", OUTCOME_FAILED, "try again later" },
	[OUTCOME_DIRECTORY] = { "directory", OUTCOME_FAILED,
	    "name a directory that the server lets you enter" },
	[OUTCOME_RESOURCES] = { "resources", OUTCOME_FAILED,
	    "try again later" },
	[OUTCOME_AUDIT] = { "audit", OUTCOME_FAILED,
	    "the server's log needs its operator" },
	[OUTCOME_INVALID] = { "invalid", OUTCOME_FAILED, "change the command" },
	[OUTCOME_CONFIG] = { "config", OUTCOME_FAILED,
	    "aisc --show-config shows the settings" },
	[OUTCOME_INPUT] = { "input", OUTCOME_FAILED,
	    "look at what standard input is" },
	[OUTCOME_OUTPUT] = { "output", OUTCOME_FAILED,
	    "look at where the output goes" },
	[OUTCOME_PIPE] = { "pipe", OUTCOME_SIGNAL + SIGPIPE, "" },
	[OUTCOME_INTERRUPTED] = { "interrupted", OUTCOME_FAILED, "" }
};

/* What each code of the protocol is to us, what to say where the server says
 * nothing, and what it says of a command that the server has ended for it. */
static const struct {
	enum outcome_class class;
	const char *text;
	const char *end;	/* NULL: the text above. */
} codes[] = {
	[PROTO_CODE_NONE] = { OUTCOME_LOST,
	    "the server ended the session", NULL },
	[PROTO_CODE_PROTOCOL] = { OUTCOME_PROTOCOL,
	    "the server found a fault in what we sent", NULL },
	[PROTO_CODE_DENIED] = { OUTCOME_DENIED,
	    "no rule of the server allows this",
	    "the server has withdrawn its permission, for our certificate or "
	    "its rules have changed" },
	[PROTO_CODE_UNKNOWN] = { OUTCOME_UNKNOWN, "unknown command", NULL },
	[PROTO_CODE_NOT_EXECUTABLE] = { OUTCOME_NOT_EXECUTABLE,
	    "the command cannot be executed", NULL },
	[PROTO_CODE_DIRECTORY] = { OUTCOME_DIRECTORY,
	    "the directory cannot be entered", NULL },
	[PROTO_CODE_RESOURCES] = { OUTCOME_RESOURCES,
	    "the server lacks memory or processes",
	    "the server lacked memory for its input or output" },
	[PROTO_CODE_AUDIT] = { OUTCOME_AUDIT,
	    "the server cannot put commands on record, and so runs none",
	    NULL },
	[PROTO_CODE_BUSY] = { OUTCOME_BUSY, "too many others wait", NULL },
	[PROTO_CODE_TIMEOUT] = { OUTCOME_TIMEOUT,
	    "a time limit of the server has passed",
	    "a time limit of the server has passed; its log says which one" },
	[PROTO_CODE_OUTPUT] = { OUTCOME_LIMIT,
	    "the server's limit of output has been reached",
	    "the limit of output of its rule has been reached" },
	[PROTO_CODE_STOPPING] = { OUTCOME_STOPPED, "the server stops", NULL },
	[PROTO_CODE_INVALID] = { OUTCOME_INVALID,
	    "the server cannot use this request", NULL },
	[PROTO_CODE_TURN] = { OUTCOME_TURN,
	    "others wait for their turn", NULL },
	[PROTO_CODE_UNSUPPORTED] = { OUTCOME_PROTOCOL,
	    "the server does not know such a request", NULL },
	[PROTO_CODE_CANCELLED] = { OUTCOME_LOST, "it was cancelled", NULL },
	[PROTO_CODE_SKIPPED] = { OUTCOME_PROTOCOL,
	    "the server has skipped it", NULL }
};

const char *
outcome_class_name(enum outcome_class class)
{
	return classes[class].name;
}

static void
outcome_set(struct outcome *o, enum outcome_class class)
{
	o->class = class;
	o->status = classes[class].status;
}

void
outcome_vfail(struct outcome *o, enum outcome_class class, const char *format,
    va_list ap)
{
	outcome_set(o, class);
	failure_vset(&o->failure, (int)class, format, ap);
}

void
outcome_fail(struct outcome *o, enum outcome_class class, const char *format,
    ...)
{
	va_list ap;

	va_start(ap, format);
	outcome_vfail(o, class, format, ap);
	va_end(ap);
}

void
outcome_failure(struct outcome *o, enum outcome_class class,
    const struct failure *f)
{
	outcome_set(o, class);
	o->failure = *f;
	o->failure.code = (int)class;
}

void
outcome_hint(struct outcome *o, const char *format, ...)
{
	char text[FAILURE_HINT_MAX];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof text, format, ap);
	failure_more(&o->failure, "%s", text);
	va_end(ap);
}

/* Do we know the code?  If not, say that in "o". */
static bool
outcome_knows(struct outcome *o, uint32_t code)
{
	if (code < sizeof codes / sizeof codes[0])
		return true;
	outcome_fail(o, OUTCOME_PROTOCOL, "the server gives a reason that we "
	    "do not know (%u); is it newer than this aisc?", code);
	return false;
}

/* Say in "o", of which the server says no more, what will pass by itself. */
static void
outcome_advise(struct outcome *o)
{
	if (o->class == OUTCOME_BUSY || o->class == OUTCOME_RESOURCES ||
	    o->class == OUTCOME_STOPPED)
		outcome_hint(o, "%s", classes[o->class].hint);
}

void
outcome_code(struct outcome *o, const struct frame_code *said)
{
	char shown[FAILURE_TEXT_MAX];

	if (!outcome_knows(o, said->code))
		return;
	if (said->text[0] == '\0') {
		outcome_fail(o, codes[said->code].class, "%s",
		    codes[said->code].text);
		outcome_advise(o);
		return;
	}
	outcome_fail(o, codes[said->code].class, "%s", text_printable(shown,
	    sizeof shown, said->text, strlen(said->text)));
	failure_hint(&o->failure, "%s", text_printable(shown,
	    FAILURE_HINT_MAX, said->hint, strlen(said->hint)));
}

void
outcome_exit(struct outcome *o, const struct frame_exit *e)
{
	uint64_t bytes = e->out_bytes + e->err_bytes;

	o->has_exit = true;
	o->exit = *e;
	if (e->reason == PROTO_CODE_NONE) {
		outcome_set(o, OUTCOME_DONE);
		o->status = (int)e->status;
		if (e->end == PROTO_END_SIGNAL)
			o->status += OUTCOME_SIGNAL;
	} else if (outcome_knows(o, e->reason)) {
		outcome_fail(o, codes[e->reason].class, "the command was ended "
		    "after %.3g s and %llu byte%s of output: %s",
		    (double)e->duration_us / 1e6, (unsigned long long)bytes,
		    bytes == 1 ? "" : "s", codes[e->reason].end == NULL ?
		    codes[e->reason].text : codes[e->reason].end);
		outcome_advise(o);
	}
}

void
outcome_unwritten(struct outcome *o, int error)
{
	if (error == EPIPE)
		outcome_fail(o, OUTCOME_PIPE, "the reader of our standard "
		    "output has gone");
	else
		outcome_fail(o, OUTCOME_OUTPUT, "cannot write standard "
		    "output: %s", strerror(error));
}

void
outcome_signal(struct outcome *o, int signo)
{
	outcome_fail(o, OUTCOME_INTERRUPTED, "a signal has ended aisc");
	o->status = OUTCOME_SIGNAL + signo;
}

int
outcome_signo(const struct outcome *o)
{
	if (o->class == OUTCOME_INTERRUPTED)
		return o->status - OUTCOME_SIGNAL;
	return o->class == OUTCOME_DONE && o->passed ? (int)o->exit.status : 0;
}

/* Say which signal has ended the command, as a shell does: nothing else tells
 * that its output is not whole. */
static void
outcome_report_signal(const struct outcome *o)
{
	const struct frame_exit *e = &o->exit;
	const char *memory = "";

	if (!o->has_exit || e->end != PROTO_END_SIGNAL)
		return;
	switch (e->status) {
	case 0:
		outcome_say("the command was ended by signal %s, which this "
		    "machine does not have", e->signal);
		return;
	case SIGHUP:
	case SIGINT:
	case SIGPIPE:
	case SIGQUIT:
	case SIGTERM:
		return;		/* People end commands by these. */
	case SIGABRT:
	case SIGBUS:
	case SIGKILL:
	case SIGSEGV:
		memory = "; if that was for lack of memory, the server's log "
		    "shows its limit";
		break;
	}
	outcome_say("the command was ended by signal %u (%s)%s", e->status,
	    strsignal((int)e->status), memory);
}

void
outcome_report(const struct outcome *o)
{
	char sentence[FAILURE_MAX];

	switch (o->class) {
	case OUTCOME_DONE:
		outcome_report_signal(o);
		break;
	case OUTCOME_PIPE:
	case OUTCOME_INTERRUPTED:
		break;
	case OUTCOME_UNKNOWN:
	case OUTCOME_NOT_EXECUTABLE:
		/* As a shell would say it. */
		outcome_say("%s", failure_sentence(&o->failure, sentence));
		break;
	default:
		outcome_say("%s: %s", outcome_class_name(o->class),
		    failure_sentence(&o->failure, sentence));
		break;
	}
}

void
outcome_summary(const struct outcome *o)
{
	const struct frame_exit *e = &o->exit;

	if (!o->has_exit)
		return;
	outcome_say("%s %u after %.3f s, processor time %.3f s, %llu bytes of "
	    "output, %llu of error output", e->end == PROTO_END_SIGNAL ?
	    "ended by signal" : "exit status", e->status,
	    (double)e->duration_us / 1e6, (double)e->cpu_us / 1e6,
	    (unsigned long long)e->out_bytes,
	    (unsigned long long)e->err_bytes);
	if (e->left > 0)
		outcome_say("%u process%s that the command has left behind "
		    "%s ended with the session; see \"background\" in "
		    "aisd.conf(5)", e->left, e->left == 1 ? "" : "es",
		    e->left == 1 ? "is" : "are");
}

void
outcome_write(const char *text)
{
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };
	size_t used = strlen(text), done = 0;
	ssize_t n;

	while (done < used) {
		n = write(STDERR_FILENO, text + done, used - done);
		if (n == -1 && errno == EAGAIN)
			(void)poll(&p, 1, -1);
		else if (n == -1 && errno != EINTR)
			break;
		else if (n > 0)
			done += (size_t)n;
	}
}

void
outcome_say(const char *format, ...)
{
	char line[FAILURE_MAX + 64] = "aisc: ";
	size_t used = strlen(line);
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(line + used, sizeof line - 1 - used, format, ap);
	va_end(ap);
	used = strlen(line);
	line[used] = '\n';
	line[used + 1] = '\0';
	outcome_write(line);
}

void
outcome_json(struct json *j, const struct outcome *o)
{
	const struct failure *f = &o->failure;
	char message[FAILURE_MAX];

	json_open(j, "error", '{');
	json_text(j, "code", outcome_class_name(o->class));
	json_text(j, "message", failure_message(f, message));
	json_text(j, "hint", f->hint[0] != '\0' ? f->hint :
	    classes[o->class].hint);
	if (o->retry > 0)
		json_integer(j, "retry_ms", o->retry);
	json_close(j, '}');
}
