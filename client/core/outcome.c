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
	enum outcome_class class;
	const char *name;
	int status;
	const char *hint;	/* For texts that have none. */
} classes[] = {
	{ OUTCOME_DONE, "done", 0, "" },
	{ OUTCOME_UNKNOWN, "unknown", 127,
	    "aisc --list shows what you may run" },
	{ OUTCOME_NOT_EXECUTABLE, "not-executable", 126,
	    "the server's operator has to mend the program" },
	{ OUTCOME_CONNECT, "connect", OUTCOME_FAILED,
	    "look whether aisd runs there and can be reached" },
	{ OUTCOME_TLS, "tls", OUTCOME_FAILED,
	    "the log of aisd there may say more" },
	{ OUTCOME_NAME, "name", OUTCOME_FAILED,
	    "use a name that the certificate has" },
	{ OUTCOME_DENIED, "denied", OUTCOME_FAILED,
	    "aisc --list shows what you may run" },
	{ OUTCOME_BUSY, "busy", OUTCOME_FAILED, "try again later" },
	{ OUTCOME_PROTOCOL, "protocol", OUTCOME_FAILED,
	    "compare the versions of aisc and aisd" },
	{ OUTCOME_LOST, "lost", OUTCOME_FAILED,
	    "find out how far the command has come before you run it again" },
	{ OUTCOME_TURN, "turn", OUTCOME_FAILED, "try again" },
	{ OUTCOME_TIMEOUT, "timeout", OUTCOME_FAILED,
	    "allow more time, here or in the server's rules" },
	{ OUTCOME_LIMIT, "limit", OUTCOME_FAILED,
	    "let the command write less" },
	{ OUTCOME_STOPPED, "stopped", OUTCOME_FAILED, "try again later" },
	{ OUTCOME_DIRECTORY, "directory", OUTCOME_FAILED,
	    "name a directory that the server lets you enter" },
	{ OUTCOME_RESOURCES, "resources", OUTCOME_FAILED, "try again later" },
	{ OUTCOME_AUDIT, "audit", OUTCOME_FAILED,
	    "the server's log needs its operator" },
	{ OUTCOME_INVALID, "invalid", OUTCOME_FAILED, "change the command" },
	{ OUTCOME_CONFIG, "config", OUTCOME_FAILED,
	    "aisc --show-config shows the settings" },
	{ OUTCOME_INPUT, "input", OUTCOME_FAILED,
	    "look at what standard input is" },
	{ OUTCOME_OUTPUT, "output", OUTCOME_FAILED,
	    "look at where the output goes" },
	{ OUTCOME_PIPE, "pipe", OUTCOME_SIGNAL + SIGPIPE, "" },
	{ OUTCOME_INTERRUPTED, "interrupted", OUTCOME_FAILED, "" }
};

/* What each code of the protocol is to us, and what to say where the server
 * says nothing. */
static const struct {
	enum proto_code code;
	enum outcome_class class;
	const char *text;
} codes[] = {
	{ PROTO_CODE_NONE, OUTCOME_LOST, "the server ended the session" },
	{ PROTO_CODE_PROTOCOL, OUTCOME_PROTOCOL,
	    "the server found a fault in what we sent" },
	{ PROTO_CODE_DENIED, OUTCOME_DENIED,
	    "no rule of the server allows this" },
	{ PROTO_CODE_UNKNOWN, OUTCOME_UNKNOWN, "unknown command" },
	{ PROTO_CODE_NOT_EXECUTABLE, OUTCOME_NOT_EXECUTABLE,
	    "the command cannot be executed" },
	{ PROTO_CODE_DIRECTORY, OUTCOME_DIRECTORY,
	    "the directory cannot be entered" },
	{ PROTO_CODE_RESOURCES, OUTCOME_RESOURCES,
	    "the server lacks memory or processes; try again later" },
	{ PROTO_CODE_AUDIT, OUTCOME_AUDIT,
	    "the server cannot put commands on record, and so runs none" },
	{ PROTO_CODE_BUSY, OUTCOME_BUSY,
	    "too many others wait; try again later" },
	{ PROTO_CODE_TIMEOUT, OUTCOME_TIMEOUT,
	    "a time limit of the server has passed" },
	{ PROTO_CODE_OUTPUT, OUTCOME_LIMIT,
	    "the server's limit of output has been reached" },
	{ PROTO_CODE_STOPPING, OUTCOME_STOPPED,
	    "the server stops; try again later" },
	{ PROTO_CODE_INVALID, OUTCOME_INVALID,
	    "the server cannot use this request" },
	{ PROTO_CODE_TURN, OUTCOME_TURN,
	    "others wait for their turn" },
	{ PROTO_CODE_UNSUPPORTED, OUTCOME_PROTOCOL,
	    "the server does not know such a request" }
};

/* What to say at the end of a command that the server has cut short. */
static const struct {
	enum proto_code code;
	const char *text;
} cuts[] = {
	{ PROTO_CODE_DENIED, "the server has withdrawn its permission, for "
	    "our certificate or its rules have changed" },
	{ PROTO_CODE_RESOURCES, "the server lacked memory for its input or "
	    "output" },
	{ PROTO_CODE_TIMEOUT, "a time limit of the server has passed, which "
	    "its log names" },
	{ PROTO_CODE_OUTPUT, "the limit of output of its rule has been "
	    "reached" },
	{ PROTO_CODE_STOPPING, "the server stops; try again later" }
};

#define COUNT(array)	(sizeof (array) / sizeof (array)[0])

const char *
outcome_class_name(enum outcome_class class)
{
	return classes[class].name;
}

static void
set_class(struct outcome *o, enum outcome_class class)
{
	o->class = class;
	o->status = classes[class].status;
	o->plain = false;
}

void
outcome_vfail(struct outcome *o, enum outcome_class class, const char *format,
    va_list ap)
{
	set_class(o, class);
	(void)vsnprintf(o->text, sizeof o->text, format, ap);
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
outcome_code(struct outcome *o, uint16_t code, const char *text)
{
	size_t i = 0;

	while (i < COUNT(codes) && codes[i].code != code)
		i++;
	if (i == COUNT(codes)) {
		outcome_fail(o, OUTCOME_PROTOCOL, "the server gives a reason "
		    "that we do not know (%u); is it newer than this aisc?",
		    code);
		return;
	}
	set_class(o, codes[i].class);
	if (*text == '\0')
		text = codes[i].text;
	text_printable(o->text, sizeof o->text, text, strlen(text));
}

/* What ended a command that was cut short for "code". */
static const char *
cut_text(uint32_t code)
{
	size_t i = 0;

	while (i < COUNT(cuts) && cuts[i].code != code)
		i++;
	return i < COUNT(cuts) ? cuts[i].text : "the server's log says why";
}

void
outcome_exit(struct outcome *o, const struct frame_exit *e)
{
	uint64_t bytes = e->out_bytes + e->err_bytes;

	if (e->reason != PROTO_CODE_NONE) {
		outcome_code(o, (uint16_t)e->reason, "");
		/* A code that we do not know is told as that. */
		if (o->class != OUTCOME_PROTOCOL)
			(void)snprintf(o->text, sizeof o->text, "the command "
			    "was ended after %.3g s and %llu byte%s of output: "
			    "%s", (double)e->duration_us / 1e6,
			    (unsigned long long)bytes, bytes == 1 ? "" : "s",
			    cut_text(e->reason));
	} else {
		set_class(o, OUTCOME_DONE);
		o->status = (int)e->status;
		if (e->end == PROTO_END_SIGNAL)
			o->status += OUTCOME_SIGNAL;
	}
	o->has_exit = true;
	o->exit = *e;
}

/* The last "; " of the text, or NULL.  Behind a backslash a semicolon belongs
 * to a name in a certificate. */
static const char *
advice(const struct outcome *o)
{
	const char *found = NULL, *p = o->plain ? NULL : o->text;

	while (p != NULL && (p = strstr(p, "; ")) != NULL) {
		if (p > o->text && p[-1] != '\\')
			found = p;
		p++;
	}
	return found;
}

void
outcome_advise(struct outcome *o, const char *format, ...)
{
	char *end = o->text + (advice(o) == NULL ? strlen(o->text) :
	    (size_t)(advice(o) - o->text));
	size_t room = sizeof o->text - (size_t)(end - o->text);
	va_list ap;

	if (room <= 3)
		return;
	o->plain = false;
	memcpy(end, "; ", 3);
	va_start(ap, format);
	(void)vsnprintf(end + 2, room - 2, format, ap);
	va_end(ap);
}

void
outcome_place(struct outcome *o, const char *where)
{
	size_t n = strlen(where), used = strlen(o->text);

	if (n + 2 >= sizeof o->text)
		return;
	/* What does not fit is cut off at the end. */
	if (used > sizeof o->text - 1 - n - 2)
		used = sizeof o->text - 1 - n - 2;
	memmove(o->text + n + 2, o->text, used);
	memcpy(o->text, where, n);
	memcpy(o->text + n, ": ", 2);
	o->text[n + 2 + used] = '\0';
}

void
outcome_signal(struct outcome *o, int signo)
{
	set_class(o, OUTCOME_INTERRUPTED);
	o->status = OUTCOME_SIGNAL + signo;
	o->text[0] = '\0';
}

int
outcome_signo(const struct outcome *o)
{
	if (o->class == OUTCOME_INTERRUPTED)
		return o->status - OUTCOME_SIGNAL;
	return o->class == OUTCOME_DONE && o->passed ? (int)o->exit.status : 0;
}

/* Is "signo" one by which people end commands?  They know about it. */
static bool
is_usual(uint32_t signo)
{
	return signo == SIGINT || signo == SIGPIPE || signo == SIGTERM ||
	    signo == SIGHUP || signo == SIGQUIT;
}

/* Say which signal has ended the command, as a shell does: nothing else tells
 * that its output is not whole. */
static void
report_signal(const struct outcome *o)
{
	const struct frame_exit *e = &o->exit;
	bool want = e->status == SIGKILL || e->status == SIGSEGV ||
	    e->status == SIGABRT || e->status == SIGBUS;

	if (o->has_exit && e->end == PROTO_END_SIGNAL && e->status == 0)
		outcome_say("the command was ended by signal %s, which this "
		    "machine does not have", e->signal);
	else if (o->has_exit && e->end == PROTO_END_SIGNAL &&
	    !is_usual(e->status))
		outcome_say("the command was ended by signal %u (%s)%s",
		    e->status, strsignal((int)e->status), want ? "; if that "
		    "was for want of memory, the server's log shows its limit" :
		    "");
}

void
outcome_report(const struct outcome *o)
{
	switch (o->class) {
	case OUTCOME_DONE:
		report_signal(o);
		break;
	case OUTCOME_PIPE:
	case OUTCOME_INTERRUPTED:
		break;
	case OUTCOME_UNKNOWN:
	case OUTCOME_NOT_EXECUTABLE:
		/* As a shell would say it. */
		outcome_say("%s", o->text);
		break;
	default:
		outcome_say("%s: %s", outcome_class_name(o->class), o->text);
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

const char *
outcome_hint(const struct outcome *o)
{
	const char *p = advice(o);

	return p == NULL ? classes[o->class].hint : p + 2;
}

char *
outcome_message(const struct outcome *o, char out[OUTCOME_TEXT_MAX])
{
	const char *p = advice(o);
	size_t n = p == NULL ? strlen(o->text) : (size_t)(p - o->text);

	if (n == 0)
		(void)snprintf(out, OUTCOME_TEXT_MAX, "%s",
		    o->class == OUTCOME_INTERRUPTED ?
		    "a signal has ended aisc" : outcome_class_name(o->class));
	else
		(void)snprintf(out, OUTCOME_TEXT_MAX, "%.*s", (int)n, o->text);
	return out;
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
	char line[OUTCOME_TEXT_MAX + 64] = "aisc: ";
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
	char message[OUTCOME_TEXT_MAX];

	json_open(j, "error", '{');
	json_text(j, "code", outcome_class_name(o->class));
	json_text(j, "message", outcome_message(o, message));
	json_text(j, "hint", outcome_hint(o));
	json_close(j, '}');
}
