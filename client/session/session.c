/*
 * session.c - the client's end of a session: connection, handshake, frames.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "common/wire/body.h"
#include "common/base/clock.h"
#include "common/base/text.h"
#include "common/wire/frame.h"
#include "common/endpoint/conn.h"
#include "common/wire/proto.h"
#include "common/tls/tls.h"

#include "client/core/outcome.h"
#include "client/core/settings.h"
#include "client/core/signals.h"
#include "client/session/dial.h"
#include "client/session/session.h"

/* A wait in the server's line that is shorter is not worth a word, in ms. */
#define TELL_AFTER	1000
/* What a client is told that waits for a session of its own certificate. */
#define OWN_SESSION	"the session that is served is your own (it has the " \
			"same certificate): a tool that needs two at once " \
			"needs aisd-each.socket there"

void
request_give_up(struct request *r)
{
	r->asked = false;
	r->end.over = true;
}

/* Is what happens now the end of the request? */
static bool
tells(const struct request *r)
{
	return r->asked && !r->failed;
}

void
request_fail(struct request *r, enum outcome_class class, const char *format,
    ...)
{
	va_list ap;

	va_start(ap, format);
	if (tells(r))
		outcome_vfail(r->outcome, class, format, ap);
	va_end(ap);
	request_give_up(r);
}

static enum dial_stage
stage_of(const struct request *r)
{
	if (r->shaking)
		return DIAL_SHAKING;
	return r->state == STATE_GREETING && !r->greeting.waits ?
	    DIAL_GREETING : DIAL_SERVED;
}

bool
request_is_connecting(const struct request *r)
{
	return r->shaking ||
	    (r->state == STATE_GREETING && !r->greeting.waits);
}

static void
tls_failed(struct request *r)
{
	r->dropped = dial_was_dropped(r->end.conn, r->shaking);
	if (tells(r))
		dial_explain(r->settings, r->end.conn, stage_of(r), r->outcome);
	request_give_up(r);
}

static void
violation(void *owner, const char *what)
{
	struct request *r = owner;

	(void)frame_put_code(conn_out(r->end.conn), PROTO_GOODBYE, 0,
	    PROTO_CODE_PROTOCOL, what);
	if (r->asked) {
		outcome_fail(r->outcome, OUTCOME_PROTOCOL, "the server does "
		    "not keep to the protocol (%s)", what);
		outcome_hint(r->outcome, "compare \"aisc -V\" here with "
		    "\"aisd -V\" there");
	}
	request_give_up(r);
}

/* The line was too long for a wait of "limit" ms: nothing has been run. */
static void
not_our_turn(struct request *r, int64_t limit)
{
	char within[TEXT_COUNT_MAX];

	if (r->asked) {
		outcome_fail(r->outcome, OUTCOME_BUSY, "it was not our turn "
		    "within %s, with %u before us still", text_count(within,
		    (double)limit / 1000, "second"), r->greeting.ahead);
		outcome_hint(r->outcome, "%s", r->greeting.own ? OWN_SESSION :
		    "try again later, or wait for longer: \"wait\" in "
		    "aisc.conf");
	}
	request_give_up(r);
}

/* The time for all has passed. */
static void
out_of_time(struct request *r)
{
	char within[TEXT_COUNT_MAX];

	(void)text_count(within, (double)r->settings->timeout / 1000,
	    "second");
	if (r->greeting.waits) {
		not_our_turn(r, r->settings->timeout);
		return;
	}
	if (r->shaking)
		request_fail(r, OUTCOME_TIMEOUT,
		    "no connection within %s, the time "
		    "limit given to aisc; nothing has been run", within);
	else
		request_fail(r, OUTCOME_TIMEOUT,
		    "not done within %s, the time limit "
		    "given to aisc; the server ends the command", within);
	r->flush = false;
}

bool
request_is_late(struct request *r)
{
	if (clock_past(r->deadline))
		out_of_time(r);
	else if (request_is_connecting(r) && clock_past(r->connected)) {
		dial_no_answer(r->settings, DIAL_SHAKING, r->outcome);
		request_give_up(r);
	} else if (r->greeting.waits && clock_past(r->waited))
		not_our_turn(r, r->settings->wait);
	return r->end.over;
}

/* Tell the command that its output has no reader.  Can the server do so? */
static bool
close_output(struct request *r)
{
	const uint8_t stream = PROTO_STREAM_STDOUT;

	return r->greeting.closes && frame_put(conn_out(r->end.conn),
	    PROTO_CLOSE, r->end.request, &stream, 1) == 0;
}

int
request_output_failed(struct request *r, const struct outlet *o)
{
	bool closed = errno == EPIPE;

	if (o == &r->outlets[REQUEST_ERR] && (o->keep == NULL || r->deaf))
		return 0;	/* Like ssh, we can do without. */
	if (r->failed)
		return 0;
	/* A finished command has failed to deliver as well. */
	if (errno == EMSGSIZE)
		outcome_fail(r->outcome, OUTCOME_RESOURCES, "the output is "
		    "longer than the %zu bytes that aisc can keep; the server "
		    "ends the command", o->keep->limit);
	else if (o->keep != NULL)
		outcome_fail(r->outcome, OUTCOME_RESOURCES, "cannot keep the "
		    "output: %s", strerror(errno));
	else
		outcome_unwritten(r->outcome, errno);
	r->failed = true;
	/* The session goes on, if it has not been lost meanwhile, where the
	 * server can end the command in it. */
	if (r->state == STATE_IDLE || (r->state == STATE_RUNNING &&
	    (closed ? close_output(r) : r->greeting.cancels &&
	    frame_put(conn_out(r->end.conn), PROTO_CANCEL, r->end.request, NULL,
	    0) == 0)))
		return 0;
	r->flush = false;
	request_give_up(r);
	return -1;
}

static void
on_full(void *owner)
{
	violation(owner, "PING comes faster than PONG can go");
}

/* The PONG that request_ping() waits for, or one that was not asked for. */
static void
on_pong(void *owner, const struct frame *f)
{
	struct request *r = owner;

	if (r->pinged_us == 0 || f->length != sizeof r->pinged_us ||
	    memcmp(f->payload, &r->pinged_us, f->length) != 0)
		return;
	r->rtt_us = clock_now_us() - r->pinged_us;
	r->asked = false;
}

static void
on_goodbye(void *owner, uint16_t code, const char *text,
    uint32_t retry)
{
	struct request *r = owner;

	if (tells(r))
		outcome_code(r->outcome, code, text);
	r->outcome->retry = retry;
	/* What has not been answered has not been begun. */
	r->outcome->again = r->asked && (code == PROTO_CODE_TURN ||
	    code == PROTO_CODE_TIMEOUT) && (r->state == STATE_IDLE ||
	    (r->state == STATE_ASKED && r->end.request > 1));
	request_give_up(r);
}

void
request_tell_wait(struct request *r)
{
	const struct greeting *g = &r->greeting;

	if (!g->waits || !clock_past(r->tell))
		return;
	outcome_say("waiting: %u before you%s%s", g->ahead, g->own ? "; " : "",
	    g->own ? OWN_SESSION : "");
	r->tell = CLOCK_NEVER;
	r->told_own = g->own;
}

/*
 * A short wait is not told.  Each change is told to who watches, but a log
 * gets one line, and another where a job waits for itself: it could do so for
 * ever.
 */
static const char *
on_waiting(void *owner, const struct frame *f)
{
	struct request *r = owner;
	struct greeting *g = &r->greeting;
	uint8_t flags;

	if (frame_get_waiting(f, &g->ahead, &flags) == -1)
		return "a malformed WAITING";
	g->own = (flags & PROTO_WAITING_OWN) != 0;
	if (!g->waits) {
		g->waits = true;
		r->waited = r->dialed + r->settings->wait;
		r->tell = clock_in(r->settings->verbose ? 0 : TELL_AFTER);
		r->told_own = false;
	} else if (r->tell == CLOCK_NEVER && (r->settings->verbose ||
	    (g->own && !r->told_own) || isatty(STDERR_FILENO) == 1))
		r->tell = clock_now();
	if (r->settings->quiet)
		r->tell = CLOCK_NEVER;
	request_tell_wait(r);
	return NULL;
}

static int
read_list(struct greeting *g, const uint8_t *bytes, size_t n)
{
	if (n < 16 || fetch_u64(bytes) > INT64_MAX ||
	    fetch_u64(bytes + 8) > INT64_MAX)
		return -1;
	g->list_begins = (int64_t)fetch_u64(bytes);
	g->list_ends = (int64_t)fetch_u64(bytes + 8);
	text_printable(g->list, GREETING_MAX, bytes + 16, n - 16);
	return 0;
}

static const char *
on_hello(void *owner, const struct frame *f)
{
	struct request *r = owner;
	struct reader reader = { f->payload, f->length };
	struct greeting *g = &r->greeting;
	const uint8_t *bytes;
	uint8_t kind;
	size_t n;
	int got;

	while ((got = item_get(&reader, &kind, &bytes, &n)) == 1) {
		if (kind == PROTO_ITEM_SESSION)
			text_printable(g->session, GREETING_MAX, bytes, n);
		else if (kind == PROTO_ITEM_SERVER)
			text_printable(g->server, GREETING_MAX, bytes, n);
		else if (kind == PROTO_ITEM_PEER)
			text_printable(g->peer, GREETING_MAX, bytes, n);
		else if (kind == PROTO_ITEM_FEATURES) {
			g->cancels = feature_is_in(bytes, n, "cancel");
			g->closes = feature_is_in(bytes, n, "close");
		} else if (kind == PROTO_ITEM_REVOCATIONS &&
		    read_list(g, bytes, n) == -1)
			return "a malformed HELLO";
	}
	if (got == -1)
		return "a malformed HELLO";
	g->waits = false;
	if (r->settings->verbose)
		outcome_say("session: %s, server: %s, the server knows us "
		    "as: %s, greeted after %.1f ms", g->session, g->server,
		    g->peer, (double)(clock_now_us() - r->dialed_us) / 1000);
	r->state = STATE_ASKED;
	return NULL;
}

static const char *
on_started(void *owner, const struct frame *f)
{
	struct request *r = owner;
	uint32_t credit;

	if (r->chdir)
		return "STARTED for a change of directory";
	if (frame_get_u32(f, &credit) == -1 ||
	    credit > PROTO_WINDOW_MAX - r->credit)
		return "a malformed STARTED";
	r->credit += credit;
	buf_free(&r->early);
	r->state = STATE_RUNNING;
	/* As earlier commands of the session have found out. */
	if (r->outlets[REQUEST_OUT].dead && r->outlets[REQUEST_OUT].keep ==
	    NULL)
		(void)close_output(r);
	return NULL;
}

static const char *
on_output(void *owner, const struct frame *f)
{
	struct request *r = owner;
	struct outlet *o = &r->outlets[f->type == PROTO_STDERR ? REQUEST_ERR :
	    REQUEST_OUT];

	if (f->length == 0)
		return "empty output";
	if (f->length > o->window)
		return "more output than we granted";
	*(f->type == PROTO_STDERR ? &r->traffic.err : &r->traffic.out) +=
	    f->length;
	if (o->keep == NULL)
		progress_make_way(&r->progress, f->type == PROTO_STDERR ?
		    STDERR_FILENO : STDOUT_FILENO, f->payload, f->length);
	if (outlet_take(o, f->payload, f->length) == -1)
		(void)request_output_failed(r, o);
	return NULL;
}

static const char *
on_window(void *owner, const struct frame *f)
{
	struct request *r = owner;
	uint8_t stream;
	uint32_t more;

	if (frame_get_window(f, &stream, &more) == -1 ||
	    stream != PROTO_STREAM_STDIN)
		return "a malformed WINDOW";
	if (r->state != STATE_RUNNING)
		return NULL;	/* It crossed with our last word. */
	if (more > PROTO_WINDOW_MAX - r->credit)
		return "a window that is too large";
	r->credit += more;
	return NULL;
}

/* The request has its answer; the session goes on. */
static const char *
answered(struct request *r)
{
	r->state = STATE_IDLE;
	r->asked = false;
	r->outcome->answered = true;
	return NULL;
}

static const char *
on_exit(void *owner, const struct frame *f)
{
	struct request *r = owner;
	struct frame_exit e;

	if (frame_get_exit(f, &e) == -1 || e.status > 255 ||
	    (e.end == PROTO_END_SIGNAL && e.status > 127))
		return "a malformed EXIT";
	if (r->failed)
		return answered(r);
	outcome_exit(r->outcome, &e);
	r->outcome->passed = e.end == PROTO_END_SIGNAL &&
	    e.status < NSIG && r->passed[e.status];
	return answered(r);
}

static const char *
on_refused(void *owner, const struct frame *f)
{
	struct request *r = owner;
	char text[PROTO_TEXT_MAX + 1];
	uint16_t code;

	if (frame_get_code(f, &code, text) == -1 || code == PROTO_CODE_NONE)
		return "a malformed REFUSED";
	outcome_code(r->outcome, code, text);
	return answered(r);
}

static const char *
on_directory(void *owner, const struct frame *f)
{
	struct request *r = owner;

	/* A command is over by EXIT alone. */
	if (!r->chdir)
		return "DIRECTORY for a command";
	if (f->length == 0 || f->length > PROTO_PATH_MAX ||
	    memchr(f->payload, '\0', f->length) != NULL)
		return "a malformed DIRECTORY";
	memcpy(r->outcome->directory, f->payload, f->length);
	r->outcome->directory[f->length] = '\0';
	return answered(r);
}

static const struct endpoint_frame frames[] = {
	{ PROTO_STDOUT, ENDPOINT_REQUEST, STATE_RUNNING, on_output },
	{ PROTO_STDERR, ENDPOINT_REQUEST, STATE_RUNNING, on_output },
	{ PROTO_WINDOW, ENDPOINT_REQUEST, STATE_RUNNING | STATE_IDLE,
	    on_window },
	{ PROTO_STARTED, ENDPOINT_REQUEST, STATE_ASKED, on_started },
	{ PROTO_EXIT, ENDPOINT_REQUEST, STATE_RUNNING, on_exit },
	{ PROTO_REFUSED, ENDPOINT_REQUEST, STATE_ASKED, on_refused },
	{ PROTO_DIRECTORY, ENDPOINT_REQUEST, STATE_ASKED, on_directory },
	{ PROTO_HELLO, ENDPOINT_SESSION, STATE_GREETING, on_hello },
	{ PROTO_WAITING, ENDPOINT_SESSION, STATE_GREETING, on_waiting }
};

static unsigned
state_of(const void *owner)
{
	const struct request *r = owner;

	return r->state;
}

const struct endpoint_side session_side = {
	.frames = frames, .nframes = sizeof frames / sizeof *frames,
	.state = state_of, .on_violation = violation, .on_full = on_full,
	.on_pong = on_pong, .on_goodbye = on_goodbye
};

void
request_receive(struct request *r)
{
	enum io io = endpoint_receive(&r->end);

	if (r->end.over)
		return;
	if (io == IO_ERROR)
		tls_failed(r);
	else if (io == IO_EOF) {
		if (tells(r))
			dial_ended(r->settings, stage_of(r), r->outcome);
		request_give_up(r);
	}
}

/* Put as much of the request into the queue as it takes. */
static void
put_body(struct request *r)
{
	size_t room, n, left;

	while ((left = buf_used(&r->body)) > 0 &&
	    (room = conn_data_room(r->end.conn)) > 0) {
		n = left < room ? left : room;
		if (frame_put(conn_out(r->end.conn), n == left ? PROTO_REQUEST :
		    PROTO_REQUEST_PART, r->end.request, buf_data(&r->body),
		    n) == -1)
			return;
		buf_consume(&r->body, n);
	}
}

/* Send what was read of standard input for a session that has not begun. */
static void
put_early(struct request *r)
{
	size_t n = buf_used(&r->early);

	if (!r->again || buf_used(&r->body) > 0 ||
	    conn_data_room(r->end.conn) < n ||
	    (n > 0 && frame_put(conn_out(r->end.conn), PROTO_STDIN,
	    r->end.request, buf_data(&r->early), n) == -1) ||
	    (!r->reading && frame_put(conn_out(r->end.conn), PROTO_STDIN_EOF,
	    r->end.request, NULL, 0) == -1))
		return;
	r->again = false;
	r->credit -= (uint32_t)n;
}

void
request_send(struct request *r)
{
	enum io io = IO_OK;

	if (r->end.over || r->end.conn == NULL || r->shaking)
		return;
	/* What stays in the queue is waited for; the body is not. */
	do {
		put_body(r);
		put_early(r);
		if (conn_has_output(r->end.conn))
			io = conn_write(r->end.conn);
	} while (io == IO_OK && !conn_has_output(r->end.conn) &&
	    buf_used(&r->body) > 0);
	if (io != IO_ERROR)
		return;
	request_receive(r);
	if (!r->end.over)
		tls_failed(r);
}

void
request_shake(struct request *r)
{
	enum io io = conn_handshake(r->end.conn);

	if (io == IO_ERROR || io == IO_EOF)
		tls_failed(r);
	if (io != IO_OK)
		return;
	r->shaking = false;
	r->greeting.shaken_us = clock_now_us() - r->dialed_us;
	if (r->settings->verbose)
		dial_describe(r->end.conn,
		    (double)r->greeting.shaken_us / 1000);
}

int
request_dial(struct request *r)
{
	if (r->tls == NULL &&
	    (r->tls = dial_context(r->settings, r->outcome)) == NULL)
		return -1;
	r->shaking = true;
	r->greeting = (struct greeting){ .waits = false };
	r->dialed = clock_now();
	r->dialed_us = clock_now_us();
	/* A look-up cannot be interrupted but by ending aisc. */
	signals_release();
	r->end.conn = dial_connect(r->settings, r->tls, r->deadline <
	    r->connected ? r->deadline : r->connected, r->outcome);
	signals_catch();
	if (r->end.conn == NULL) {
		/* Why there is none is told already, but for the time limit. */
		if (clock_past(r->deadline))
			out_of_time(r);
		return -1;
	}
	r->end.request = 0;
	r->state = STATE_GREETING;
	request_shake(r);
	return 0;
}
