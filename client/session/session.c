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
	r->broken = true;
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
	r->dropped = dial_was_dropped(r->conn, r->shaking);
	if (tells(r))
		dial_explain(r->settings, r->conn, stage_of(r), r->outcome);
	request_give_up(r);
}

/* The server does what the protocol forbids.  Always -1. */
static int
violation(struct request *r, const char *what)
{
	(void)frame_put_code(conn_out(r->conn), PROTO_GOODBYE, 0,
	    PROTO_CODE_PROTOCOL, what);
	if (r->asked) {
		outcome_fail(r->outcome, OUTCOME_PROTOCOL, "the server does "
		    "not keep to the protocol (%s)", what);
		outcome_hint(r->outcome, "compare \"aisc -V\" here with "
		    "\"aisd -V\" there");
	}
	request_give_up(r);
	return -1;
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
	return r->broken;
}

/* Tell the command that its output has no reader.  Can the server do so? */
static bool
close_output(struct request *r)
{
	const uint8_t stream = PROTO_STREAM_STDOUT;

	return r->greeting.closes && frame_put(conn_out(r->conn), PROTO_CLOSE,
	    r->number, &stream, 1) == 0;
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
	    frame_put(conn_out(r->conn), PROTO_CANCEL, r->number, NULL,
	    0) == 0)))
		return 0;
	r->flush = false;
	request_give_up(r);
	return -1;
}

static int
on_ping(struct request *r, const struct frame *f)
{
	if (f->length > PROTO_PING_MAX)
		return violation(r, "a PING is too long");
	if (frame_put(conn_out(r->conn), PROTO_PONG, 0, f->payload,
	    f->length) == 0)
		return 0;
	return violation(r, "PING comes faster than PONG can go");
}

/* The PONG that request_ping() waits for, or one that was not asked for. */
static int
on_pong(struct request *r, const struct frame *f)
{
	if (r->pinged_us == 0 || f->length != sizeof r->pinged_us ||
	    memcmp(f->payload, &r->pinged_us, f->length) != 0)
		return 0;
	r->rtt_us = clock_now_us() - r->pinged_us;
	r->asked = false;
	return 0;
}

static int
on_goodbye(struct request *r, const struct frame *f)
{
	char text[PROTO_TEXT_MAX + 1];
	uint16_t code;

	if (frame_get_code(f, &code, text) == -1)
		return violation(r, "a malformed GOODBYE");
	if (tells(r))
		outcome_code(r->outcome, code, text);
	r->outcome->retry = frame_get_retry(f);
	/* What has not been answered has not been begun. */
	r->outcome->again = r->asked && (code == PROTO_CODE_TURN ||
	    code == PROTO_CODE_TIMEOUT) && (r->state == STATE_IDLE ||
	    (r->state == STATE_ASKED && r->number > 1));
	request_give_up(r);
	return -1;
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
static int
on_waiting(struct request *r, const struct frame *f)
{
	struct greeting *g = &r->greeting;
	uint8_t flags;

	if (frame_get_waiting(f, &g->ahead, &flags) == -1)
		return violation(r, "a malformed WAITING");
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
	return 0;
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

static int
on_hello(struct request *r, const struct frame *f)
{
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
			return violation(r, "a malformed HELLO");
	}
	if (got == -1)
		return violation(r, "a malformed HELLO");
	g->waits = false;
	if (r->settings->verbose)
		outcome_say("session: %s, server: %s, the server knows us "
		    "as: %s, greeted after %.1f ms", g->session, g->server,
		    g->peer, (double)(clock_now_us() - r->dialed_us) / 1000);
	r->state = STATE_ASKED;
	return 0;
}

static int
on_started(struct request *r, const struct frame *f)
{
	uint32_t credit;

	if (r->chdir)
		return violation(r, "STARTED for a change of directory");
	if (frame_get_u32(f, &credit) == -1 ||
	    credit > PROTO_WINDOW_MAX - r->credit)
		return violation(r, "a malformed STARTED");
	r->credit += credit;
	buf_free(&r->early);
	r->state = STATE_RUNNING;
	/* As earlier commands of the session have found out. */
	if (r->outlets[REQUEST_OUT].dead && r->outlets[REQUEST_OUT].keep ==
	    NULL)
		(void)close_output(r);
	return 0;
}

static int
on_output(struct request *r, const struct frame *f)
{
	struct outlet *o = &r->outlets[f->type == PROTO_STDERR ? REQUEST_ERR :
	    REQUEST_OUT];

	if (f->length == 0)
		return violation(r, "empty output");
	if (f->length > o->window)
		return violation(r, "more output than we granted");
	*(f->type == PROTO_STDERR ? &r->traffic.err : &r->traffic.out) +=
	    f->length;
	if (o->keep == NULL)
		progress_make_way(&r->progress, f->type == PROTO_STDERR ?
		    STDERR_FILENO : STDOUT_FILENO, f->payload, f->length);
	if (outlet_take(o, f->payload, f->length) == 0)
		return 0;
	return request_output_failed(r, o);
}

static int
on_window(struct request *r, const struct frame *f)
{
	uint8_t stream;
	uint32_t more;

	if (frame_get_window(f, &stream, &more) == -1 ||
	    stream != PROTO_STREAM_STDIN)
		return violation(r, "a malformed WINDOW");
	if (r->state != STATE_RUNNING)
		return 0;	/* It crossed with our last word. */
	if (more > PROTO_WINDOW_MAX - r->credit)
		return violation(r, "a window that is too large");
	r->credit += more;
	return 0;
}

/* The request has its answer; the session goes on. */
static int
answered(struct request *r)
{
	r->state = STATE_IDLE;
	r->asked = false;
	r->outcome->answered = true;
	return 0;
}

static int
on_exit(struct request *r, const struct frame *f)
{
	struct frame_exit e;

	if (frame_get_exit(f, &e) == -1 || e.status > 255 ||
	    (e.end == PROTO_END_SIGNAL && e.status > 127))
		return violation(r, "a malformed EXIT");
	if (r->failed)
		return answered(r);
	outcome_exit(r->outcome, &e);
	r->outcome->passed = e.end == PROTO_END_SIGNAL &&
	    e.status < NSIG && r->passed[e.status];
	return answered(r);
}

static int
on_refused(struct request *r, const struct frame *f)
{
	char text[PROTO_TEXT_MAX + 1];
	uint16_t code;

	if (frame_get_code(f, &code, text) == -1 || code == PROTO_CODE_NONE)
		return violation(r, "a malformed REFUSED");
	outcome_code(r->outcome, code, text);
	return answered(r);
}

static int
on_directory(struct request *r, const struct frame *f)
{
	/* A command is over by EXIT alone. */
	if (!r->chdir)
		return violation(r, "DIRECTORY for a command");
	if (f->length == 0 || f->length > PROTO_PATH_MAX ||
	    memchr(f->payload, '\0', f->length) != NULL)
		return violation(r, "a malformed DIRECTORY");
	memcpy(r->outcome->directory, f->payload, f->length);
	r->outcome->directory[f->length] = '\0';
	return answered(r);
}

/* Which frames are legal in which states, and who takes them. */
static const struct {
	uint8_t type;
	bool session;		/* It belongs to no request. */
	unsigned states;
	int (*handle)(struct request *r, const struct frame *f);
} handlers[] = {
	{ PROTO_STDOUT, false, STATE_RUNNING, on_output },
	{ PROTO_STDERR, false, STATE_RUNNING, on_output },
	{ PROTO_WINDOW, false, STATE_RUNNING | STATE_IDLE, on_window },
	{ PROTO_STARTED, false, STATE_ASKED, on_started },
	{ PROTO_EXIT, false, STATE_RUNNING, on_exit },
	{ PROTO_REFUSED, false, STATE_ASKED, on_refused },
	{ PROTO_DIRECTORY, false, STATE_ASKED, on_directory },
	{ PROTO_HELLO, true, STATE_GREETING, on_hello },
	{ PROTO_WAITING, true, STATE_GREETING, on_waiting },
	{ PROTO_PING, true, STATE_ANY, on_ping },
	{ PROTO_PONG, true, STATE_ANY, on_pong },
	{ PROTO_GOODBYE, true, STATE_ANY, on_goodbye }
};

/* 0, or -1 if no more frames are to be looked at. */
static int
on_frame(struct request *r, const struct frame *f)
{
	size_t i = 0;

	while (handlers[i].type != f->type) {
		if (++i == sizeof handlers / sizeof handlers[0])
			return violation(r, "an unknown type of frame");
	}
	if (f->request != (handlers[i].session ? 0 : r->number))
		return violation(r, "a frame for another request");
	if ((handlers[i].states & r->state) == 0)
		return violation(r, "a frame out of order");
	return handlers[i].handle(r, f);
}

void
request_receive(struct request *r)
{
	enum io io = conn_read(r->conn);
	struct frame f;
	int got = 0;

	while (!r->broken && (got = conn_peek(r->conn, &f)) == 1) {
		if (on_frame(r, &f) == -1)
			return;
		conn_done(r->conn, &f);
	}
	if (got == -1)
		(void)violation(r, "a frame that is too long");
	else if (io == IO_EOF) {
		if (tells(r))
			dial_ended(r->settings, stage_of(r), r->outcome);
		request_give_up(r);
	} else if (io == IO_ERROR)
		tls_failed(r);
}

/* Put as much of the request into the queue as it takes. */
static void
put_body(struct request *r)
{
	size_t room, n, left;

	while ((left = buf_used(&r->body)) > 0 &&
	    (room = conn_data_room(r->conn)) > 0) {
		n = left < room ? left : room;
		if (frame_put(conn_out(r->conn), n == left ? PROTO_REQUEST :
		    PROTO_REQUEST_PART, r->number, buf_data(&r->body),
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
	    conn_data_room(r->conn) < n ||
	    (n > 0 && frame_put(conn_out(r->conn), PROTO_STDIN, r->number,
	    buf_data(&r->early), n) == -1) ||
	    (!r->reading && frame_put(conn_out(r->conn), PROTO_STDIN_EOF,
	    r->number, NULL, 0) == -1))
		return;
	r->again = false;
	r->credit -= (uint32_t)n;
}

void
request_send(struct request *r)
{
	enum io io = IO_OK;

	if (r->broken || r->conn == NULL || r->shaking)
		return;
	/* What stays in the queue is waited for; the body is not. */
	do {
		put_body(r);
		put_early(r);
		if (conn_has_output(r->conn))
			io = conn_write(r->conn);
	} while (io == IO_OK && !conn_has_output(r->conn) &&
	    buf_used(&r->body) > 0);
	if (io != IO_ERROR)
		return;
	request_receive(r);
	if (!r->broken)
		tls_failed(r);
}

void
request_shake(struct request *r)
{
	enum io io = conn_handshake(r->conn);

	if (io == IO_ERROR || io == IO_EOF)
		tls_failed(r);
	if (io != IO_OK)
		return;
	r->shaking = false;
	r->greeting.shaken_us = clock_now_us() - r->dialed_us;
	if (r->settings->verbose)
		dial_describe(r->conn,
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
	r->conn = dial_connect(r->settings, r->tls, r->deadline <
	    r->connected ? r->deadline : r->connected, r->outcome);
	signals_catch();
	if (r->conn == NULL) {
		/* Why there is none is told already, but for the time limit. */
		if (clock_past(r->deadline))
			out_of_time(r);
		return -1;
	}
	r->number = 0;
	r->state = STATE_GREETING;
	request_shake(r);
	return 0;
}
