#include <config.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/wire/body.h"
#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/wire/frame.h"
#include "common/endpoint/conn.h"
#include "common/base/pollset.h"
#include "common/wire/proto.h"
#include "common/tls/tls.h"
#include "common/base/text.h"

#include "client/core/outcome.h"
#include "client/core/settings.h"
#include "client/core/signals.h"
#include "client/core/stream.h"
#include "client/session/dial.h"
#include "client/session/outlet.h"
#include "client/session/progress.h"

#include "client/session/request.h"

/* A second Ctrl-C within this time ends aisc, in ms. */
#define TWICE		1000
/* A server may drop a connection before TLS says anything, as it does with some
 * of many that come from one address: how often, and after how many ms, it is
 * tried again. */
#define TRIES		4
#define TRY_AGAIN	100
/* Between the attempts that somebody has asked for, in ms, as ssh(1) has it. */
#define ATTEMPT_AGAIN	1000
/* A wait in the server's line that is shorter is not worth a word, in ms. */
#define TELL_AFTER	1000
/* Whether a job in the background has come to the front of its terminal is
 * asked so often, in ms: nothing tells it. */
#define ASK_FRONT	250
/* The connection, the three streams, and what request_wait() waits for. */
#define DESCRIPTORS	6
/* What is said to who waits for a session of its own certificate. */
#define OWN_SESSION	"the session that is served is your own (it has the " \
			"same certificate): a tool that needs two at once " \
			"needs aisd-each.socket there"
/* Our outputs, as indices. */
#define OUT		0
#define ERR		1

/* Where a session stands, as bits, for the table of frames. */
enum state {
	STATE_GREETING	= 1,	/* The server has not said HELLO. */
	STATE_IDLE	= 2,	/* No request is under way. */
	STATE_ASKED	= 4,	/* The answer is awaited. */
	STATE_RUNNING	= 8	/* The command runs. */
};
#define STATE_ANY	(STATE_GREETING | STATE_IDLE | STATE_ASKED | \
			STATE_RUNNING)

struct request {
	const struct settings *settings;
	struct tls_context *tls;
	struct conn *conn;	/* NULL: there is none. */
	struct pollset ps;
	enum state state;
	bool shaking;		/* The TLS handshake is not done. */
	bool broken;		/* The session is of no use any more. */
	bool dropped;		/* The server never said anything. */
	int64_t connected;	/* When the handshake must be done. */
	int64_t dialed;		/* When the connection was begun. */
	int64_t dialed_us;
	struct greeting greeting;
	int64_t waited;		/* When waiting in line must be over. */
	int64_t tell;		/* When to say that we wait. */
	bool told_own;		/* It has been said for whom. */
	int64_t pinged_us;	/* When our PING left; 0: none did. */
	int64_t rtt_us;		/* How long its PONG took. */

	uint32_t number;
	struct outcome *outcome;	/* Where the end is told. */
	bool sent;		/* It has got to a connection. */
	struct traffic traffic;
	bool asked;		/* It has not come yet. */
	bool chdir;		/* Its answer is a directory, not an end. */
	bool flush;		/* What came is written before we return. */
	bool failed;		/* By us, and its command is to end. */
	bool deaf;		/* Error output is not wanted. */
	int64_t deadline;
	int64_t interrupted;	/* When the last SIGINT was passed on. */
	bool passed[NSIG];	/* Which signals were. */
	struct body ask;	/* Its words are the caller's. */
	struct buf body;	/* What of it has not been sent. */

	struct stream in;
	bool reading;		/* Standard input has not ended. */
	bool terminal;		/* It is one. */
	uint32_t credit;	/* How much of it the server takes. */
	struct buf early;	/* Sent before STARTED came: if it does not, */
	bool again;		/* this is sent in the next session. */
	size_t in_slot;
	struct outlet outlets[2];
	struct progress progress;
};

/* --- the end of a request ---------------------------------------------- */

/* The session is of no use any more, and the request, if it has not come to
 * its end before, ends with it. */
static void
give_up(struct request *r)
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

/* The same, with the reason for the request's end. */
static void __attribute__((format(printf, 3, 4)))
fail(struct request *r, enum outcome_class class, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	if (tells(r))
		outcome_vfail(r->outcome, class, format, ap);
	va_end(ap);
	give_up(r);
}

static enum dial_stage
stage_of(const struct request *r)
{
	if (r->shaking)
		return DIAL_SHAKING;
	return r->state == STATE_GREETING && !r->greeting.waits ?
	    DIAL_GREETING : DIAL_SERVED;
}

/* Has the server not yet said whether it serves us, or lets us wait? */
static bool
is_connecting(const struct request *r)
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
	give_up(r);
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
	give_up(r);
	return -1;
}

/* A signal tells us to leave: at once, whatever is still to be written. */
static void
leave(struct request *r, int signo)
{
	outcome_signal(r->outcome, signo);
	give_up(r);
	r->flush = false;
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
	give_up(r);
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
		fail(r, OUTCOME_TIMEOUT, "no connection within %s, the time "
		    "limit given to aisc; nothing has been run", within);
	else
		fail(r, OUTCOME_TIMEOUT, "not done within %s, the time limit "
		    "given to aisc; the server ends the command", within);
	r->flush = false;
}

/* Has the time for connecting, or for all, passed?  Then that is the end. */
static bool
is_late(struct request *r)
{
	if (clock_past(r->deadline))
		out_of_time(r);
	else if (is_connecting(r) && clock_past(r->connected)) {
		dial_no_answer(r->settings, DIAL_SHAKING, r->outcome);
		give_up(r);
	} else if (r->greeting.waits && clock_past(r->waited))
		not_our_turn(r, r->settings->wait);
	return r->broken;
}

/* --- our standard streams ---------------------------------------------- */

/* Let the command know that nobody reads its output.  Can the server do so? */
static bool
close_output(struct request *r)
{
	const uint8_t stream = PROTO_STREAM_STDOUT;

	return r->greeting.closes && frame_put(conn_out(r->conn), PROTO_CLOSE,
	    r->number, &stream, 1) == 0;
}

/* An output cannot be written, for errno.  0, or -1 if that is the end. */
static int
output_failed(struct request *r, const struct outlet *o)
{
	bool closed = errno == EPIPE;

	if (o == &r->outlets[ERR] && (o->keep == NULL || r->deaf))
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
	else if (closed)
		outcome_fail(r->outcome, OUTCOME_PIPE, "nobody reads our "
		    "standard output");
	else
		outcome_fail(r->outcome, OUTCOME_OUTPUT, "cannot write "
		    "standard output: %s", strerror(errno));
	r->failed = true;
	/* The session goes on where the server can end the command in it. */
	if (r->state == STATE_IDLE || (closed ? close_output(r) :
	    r->greeting.cancels && frame_put(conn_out(r->conn), PROTO_CANCEL,
	    r->number, NULL, 0) == 0))
		return 0;
	r->flush = false;
	give_up(r);
	return -1;
}

static void
drain(struct request *r, struct outlet *o)
{
	progress_make_way(&r->progress, o == &r->outlets[ERR] ?
	    STDERR_FILENO : STDOUT_FILENO, NULL, 0);
	if (outlet_drain(o) == -1)
		(void)output_failed(r, o);
}

/* Grant again what has been written, in few frames. */
static void
grant(struct request *r)
{
	const enum proto_stream names[2] = { PROTO_STREAM_STDOUT,
	    PROTO_STREAM_STDERR };

	for (size_t i = 0; i < 2 && r->state == STATE_RUNNING; i++) {
		uint32_t due = outlet_due(&r->outlets[i]);

		/* If the queue is full: at the next turn, then. */
		if (due > 0 && frame_put_window(conn_out(r->conn), r->number,
		    names[i], due) == 0)
			outlet_grant(&r->outlets[i]);
	}
}

/*
 * May standard input go along with the request, without word of a start?  What
 * is typed may be meant for what comes after a command that is refused.
 */
static bool
may_go_early(const struct request *r)
{
	return r->asked && !r->shaking && !r->terminal && !r->again &&
	    (r->state & (STATE_GREETING | STATE_ASKED)) != 0 &&
	    buf_used(&r->body) == 0 && buf_room(&r->early) > 0;
}

/* Can the command take some of our standard input now? */
static bool
wants_input(const struct request *r)
{
	return (r->state == STATE_RUNNING || may_go_early(r)) && r->reading &&
	    r->credit > 0 && conn_data_room(r->conn) > 0;
}

/* May we read it?  A job in the background that reads its terminal is stopped,
 * and its command would stand still with it. */
static bool
may_read(const struct request *r)
{
	pid_t front = r->terminal ? tcgetpgrp(STDIN_FILENO) : -1;

	return front == -1 || front == getpgrp();
}

/*
 * Standard input cannot be read, for errno.  Its end is not to be taken for
 * the end of what it was to give: the command is ended, and not finished.
 */
static void
input_failed(struct request *r)
{
	if (stream_input_is_lost()) {
		fail(r, OUTCOME_INPUT, "cannot read standard input: %s",
		    strerror(errno));
		return;
	}
	progress_make_way(&r->progress, STDERR_FILENO, NULL, 0);
	outcome_say("cannot read standard input: %s; it ends here",
	    strerror(errno));
	r->reading = frame_put(conn_out(r->conn), PROTO_STDIN_EOF, r->number,
	    NULL, 0) == -1;
}

static void
read_input(struct request *r)
{
	enum io io = IO_OK;
	size_t room, n;
	uint8_t *p;

	while (io == IO_OK && wants_input(r) && may_read(r)) {
		room = conn_data_room(r->conn);
		if (room > r->credit)
			room = r->credit;
		if (r->state != STATE_RUNNING && room > buf_room(&r->early))
			room = buf_room(&r->early);
		if ((p = frame_reserve(conn_out(r->conn), room)) == NULL)
			return;
		io = stream_read(&r->in, p, room, &n);
		if (io == IO_OK && r->state != STATE_RUNNING &&
		    buf_put(&r->early, p, n) == -1) {
			fail(r, OUTCOME_RESOURCES, "out of memory");
			return;
		}
		if (io == IO_OK) {
			frame_commit(conn_out(r->conn), PROTO_STDIN,
			    r->number, n);
			r->credit -= (uint32_t)n;
			r->traffic.in += n;
		}
	}
	if (io == IO_ERROR)
		input_failed(r);
	else if (io == IO_EOF)
		r->reading = frame_put(conn_out(r->conn), PROTO_STDIN_EOF,
		    r->number, NULL, 0) == -1;
}

/* --- frames from the server -------------------------------------------- */

static int
take_ping(struct request *r, const struct frame *f)
{
	if (f->length > PROTO_PING_MAX)
		return violation(r, "a PING is too long");
	if (frame_put(conn_out(r->conn), PROTO_PONG, 0, f->payload,
	    f->length) == 0)
		return 0;
	return violation(r, "PING comes faster than PONG can go");
}

/* The PONG that request_ping() waits for, or one that nobody asked for. */
static int
take_pong(struct request *r, const struct frame *f)
{
	if (r->pinged_us == 0 || f->length != sizeof r->pinged_us ||
	    memcmp(f->payload, &r->pinged_us, f->length) != 0)
		return 0;
	r->rtt_us = clock_now_us() - r->pinged_us;
	r->asked = false;
	return 0;
}

static int
take_goodbye(struct request *r, const struct frame *f)
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
	give_up(r);
	return -1;
}

/* Say that we wait, if it is time to. */
static void
tell_place(struct request *r)
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
take_waiting(struct request *r, const struct frame *f)
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
	tell_place(r);
	return 0;
}

static int
take_list(struct greeting *g, const uint8_t *bytes, size_t n)
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
take_hello(struct request *r, const struct frame *f)
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
		    take_list(g, bytes, n) == -1)
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
take_started(struct request *r, const struct frame *f)
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
	if (r->outlets[OUT].dead && r->outlets[OUT].keep == NULL)
		(void)close_output(r);
	return 0;
}

static int
take_output(struct request *r, const struct frame *f)
{
	struct outlet *o = &r->outlets[f->type == PROTO_STDERR ? ERR : OUT];

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
	return output_failed(r, o);
}

static int
take_window(struct request *r, const struct frame *f)
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
take_exit(struct request *r, const struct frame *f)
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
take_refused(struct request *r, const struct frame *f)
{
	char text[PROTO_TEXT_MAX + 1];
	uint16_t code;

	if (frame_get_code(f, &code, text) == -1 || code == PROTO_CODE_NONE)
		return violation(r, "a malformed REFUSED");
	outcome_code(r->outcome, code, text);
	return answered(r);
}

static int
take_directory(struct request *r, const struct frame *f)
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
	int (*take)(struct request *r, const struct frame *f);
} handlers[] = {
	{ PROTO_STDOUT, false, STATE_RUNNING, take_output },
	{ PROTO_STDERR, false, STATE_RUNNING, take_output },
	{ PROTO_WINDOW, false, STATE_RUNNING | STATE_IDLE, take_window },
	{ PROTO_STARTED, false, STATE_ASKED, take_started },
	{ PROTO_EXIT, false, STATE_RUNNING, take_exit },
	{ PROTO_REFUSED, false, STATE_ASKED, take_refused },
	{ PROTO_DIRECTORY, false, STATE_ASKED, take_directory },
	{ PROTO_HELLO, true, STATE_GREETING, take_hello },
	{ PROTO_WAITING, true, STATE_GREETING, take_waiting },
	{ PROTO_PING, true, STATE_ANY, take_ping },
	{ PROTO_PONG, true, STATE_ANY, take_pong },
	{ PROTO_GOODBYE, true, STATE_ANY, take_goodbye }
};

/* 0, or -1 if no more frames are to be looked at. */
static int
take_frame(struct request *r, const struct frame *f)
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
	return handlers[i].take(r, f);
}

/* --- the connection ---------------------------------------------------- */

static void
close_session(struct request *r)
{
	/* What we said last may still fit. */
	if (r->conn != NULL && !r->shaking)
		(void)conn_write(r->conn);
	conn_close(r->conn);
	r->conn = NULL;
	r->state = STATE_GREETING;	/* Of the next one. */
	r->broken = false;
}

/* Read what the server sends, and act on it. */
static void
read_link(struct request *r)
{
	enum io io = conn_read(r->conn);
	struct frame f;
	int got = 0;

	while (!r->broken && (got = conn_peek(r->conn, &f)) == 1) {
		if (take_frame(r, &f) == -1)
			return;
		conn_done(r->conn, &f);
	}
	if (got == -1)
		(void)violation(r, "a frame that is too long");
	else if (io == IO_EOF) {
		if (tells(r))
			dial_ended(r->settings, stage_of(r), r->outcome);
		give_up(r);
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

/*
 * Write what waits.  A server that refuses us closes the connection, so that
 * writing may fail before we have read why.
 */
static void
write_link(struct request *r)
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
	read_link(r);
	if (!r->broken)
		tls_failed(r);
}

static void
shake_hands(struct request *r)
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

/* Open the connection and begin the session. */
static int
dial(struct request *r)
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
	shake_hands(r);
	return 0;
}

/* --- the loop ---------------------------------------------------------- */

/* Say what this turn waits for. */
static void
gather(struct request *r)
{
	bool wants, reads;

	pollset_clear(&r->ps);
	conn_poll(r->conn, &r->ps, true);
	for (size_t i = 0; i < 2; i++) {
		struct outlet *o = &r->outlets[i];

		o->slot = pollset_add(&r->ps, outlet_waits(o) ?
		    o->stream.fd : -1, POLLOUT);
	}
	/* Without error output, all that is left for somebody to read is
	 * standard output: poll(2) reports its end even where no event is
	 * asked for. */
	if (r->state == STATE_RUNNING && r->outlets[ERR].dead && !r->failed &&
	    !outlet_waits(&r->outlets[OUT]))
		r->outlets[OUT].slot = pollset_add(&r->ps,
		    r->outlets[OUT].stream.fd, 0);
	wants = wants_input(r);
	reads = wants && may_read(r);
	r->in_slot = pollset_add(&r->ps, reads ? r->in.fd : -1, POLLIN);
	if (wants && !reads)
		pollset_deadline(&r->ps, clock_in(ASK_FRONT));
	if (r->asked)
		pollset_deadline(&r->ps, r->deadline);
	if (r->asked && is_connecting(r))
		pollset_deadline(&r->ps, r->connected);
	if (r->asked && r->greeting.waits) {
		pollset_deadline(&r->ps, r->waited);
		pollset_deadline(&r->ps, r->tell);
	}
	progress_poll(&r->progress, &r->ps);
}

/* Do what has become possible. */
static void
act(struct request *r)
{
	for (size_t i = 0; i < 2; i++) {
		if (pollset_events(&r->ps, r->outlets[i].slot) == 0)
			continue;
		if (outlet_waits(&r->outlets[i]))
			drain(r, &r->outlets[i]);
		else {
			errno = EPIPE;
			(void)output_failed(r, &r->outlets[i]);
		}
	}
	if (!r->broken && conn_ready(r->conn, &r->ps)) {
		if (r->shaking)
			shake_hands(r);
		else
			read_link(r);
	}
	if (!r->broken)
		grant(r);
	if (!r->broken && pollset_events(&r->ps, r->in_slot) != 0)
		read_input(r);
}

/* Is there a command, or will there be one once our request has arrived? */
static bool
has_command(const struct request *r)
{
	return r->asked && (r->state == STATE_RUNNING ||
	    (r->state == STATE_ASKED && !r->chdir &&
	    buf_used(&r->body) == 0));
}

/* Pass "signo" on to the command, or end for it. */
static void
pass_on(struct request *r, int signo, const char *name)
{
	bool twice = signo == SIGINT &&
	    clock_now() - r->interrupted < TWICE;

	if (!has_command(r) || twice ||
	    frame_put(conn_out(r->conn), PROTO_SIGNAL, r->number, name,
	    strlen(name)) == -1)
		leave(r, signo);
	else {
		r->passed[signo] = true;
		if (signo == SIGINT)
			r->interrupted = clock_now();
	}
}

/*
 * A command cannot be told apart from the session that is to end: SIGTERM and
 * SIGHUP end the session, and with it the server ends the command.
 */
static void
heed_signals(struct request *r)
{
	if (signals_take(SIGINT))
		pass_on(r, SIGINT, "INT");
	if (signals_take(SIGQUIT))
		pass_on(r, SIGQUIT, "QUIT");
	if (signals_take(SIGTERM))
		leave(r, SIGTERM);
	if (signals_take(SIGHUP))
		leave(r, SIGHUP);
}

/* Is there still something to do for the request? */
static bool
goes_on(const struct request *r)
{
	return r->asked || (r->flush && (outlet_waits(&r->outlets[OUT]) ||
	    outlet_waits(&r->outlets[ERR])));
}

static void
run(struct request *r)
{
	write_link(r);
	while (goes_on(r)) {
		if (r->broken)
			close_session(r);
		gather(r);
		if (pollset_wait(&r->ps, signals_mask()) == -1) {
			fail(r, OUTCOME_RESOURCES, "cannot wait: %s",
			    strerror(errno));
			return;
		}
		heed_signals(r);
		act(r);
		progress_turn(&r->progress, r->traffic.in, r->traffic.out);
		if (r->asked && !is_late(r))
			tell_place(r);
		write_link(r);
	}
}

/* Have all of the request to send. */
static int
prepare_body(struct request *r)
{
	buf_free(&r->body);
	if (body_put(&r->body, &r->ask) == 0)
		return 0;
	/* A part may be in it, which must not be sent. */
	buf_free(&r->body);
	outcome_fail(r->outcome, OUTCOME_INVALID, "the command is longer than "
	    "the %d bytes that a request may have", PROTO_BODY_MAX);
	return -1;
}

/* Set everything to the beginning of a request. */
static int
begin(struct request *r, const struct body *body, struct outcome *o)
{
	int64_t limit = r->settings->timeout;

	memset(o, 0, sizeof *o);
	r->outcome = o;
	r->asked = true;
	r->failed = false;
	r->flush = true;
	r->chdir = body->operation == PROTO_CHDIR;
	r->ask = *body;
	r->ask.features = r->conn == NULL ? PROTO_FEATURES : NULL;
	r->ask.wants_stdin = body->wants_stdin && !stream_input_is_null();
	r->reading = r->ask.wants_stdin;
	r->credit = r->reading ? PROTO_STDIN_FIRST : 0;
	r->again = false;
	buf_free(&r->early);
	request_forget(r);
	r->interrupted = -TWICE;
	memset(r->passed, 0, sizeof r->passed);
	r->deadline = clock_in(limit > 0 ? limit : -1);
	for (size_t i = 0; i < 2; i++) {
		r->ask.windows[i] = OUTLET_WINDOW;
		outlet_begin(&r->outlets[i]);
	}
	progress_begin(&r->progress, r->reading);
	return prepare_body(r);
}

/* Wait until then, and make ready for another try.  False if there is to be
 * none, and the outcome is what the last one came to. */
static bool
pause_until(struct request *r, int64_t until)
{
	char why[FAILURE_MAX];

	if (until > r->deadline)
		return false;
	if (r->settings->verbose)
		outcome_say("not connected: %s; trying again",
		    failure_sentence(&r->outcome->failure, why));
	signals_catch();
	pollset_clear(&r->ps);
	pollset_deadline(&r->ps, until);
	if (pollset_wait(&r->ps, signals_mask()) == -1)
		return false;
	close_session(r);
	memset(r->outcome, 0, sizeof *r->outcome);
	/* It may have been sent before the server refused us. */
	if (prepare_body(r) == -1)
		return false;
	r->asked = true;
	r->flush = true;
	r->again = r->ask.wants_stdin;
	r->credit = r->again ? PROTO_STDIN_FIRST : 0;
	heed_signals(r);
	return r->asked;
}

/* One attempt: a server that drops us at its door is tried again, after a
 * time that is longer at each. */
static void
attempt(struct request *r)
{
	int64_t limit = r->settings->connect_timeout, until;
	int tries = 0;

	r->connected = clock_in(limit > 0 ? limit : -1);
	do {
		r->dropped = false;
		if (dial(r) == -1)
			return;
		r->number++;
		r->sent = true;
		run(r);
		until = clock_in((int64_t)TRY_AGAIN << tries);
	} while (r->dropped && !r->asked && tries++ < TRIES &&
	    until <= r->connected && pause_until(r, until));
}

/* May another attempt come to more?  Nothing has begun then. */
static bool
is_worth_another(const struct request *r)
{
	return r->dropped || r->outcome->class == OUTCOME_CONNECT ||
	    (r->outcome->class == OUTCOME_BUSY && !r->greeting.waits);
}

/* Dial until there is a connection on which the request can be made. */
static void
dial_and_run(struct request *r)
{
	int64_t left = r->settings->attempts;

	do
		attempt(r);
	while (--left > 0 && is_worth_another(r) &&
	    pause_until(r, clock_in(r->outcome->retry > ATTEMPT_AGAIN ?
	    r->outcome->retry : ATTEMPT_AGAIN)));
}

void
request_ask(struct request *r, const struct body *body, struct outcome *o)
{
	if (begin(r, body, o) == 0) {
		if (r->conn == NULL)
			dial_and_run(r);
		else {
			r->number++;
			r->sent = true;
			if (r->state == STATE_IDLE)
				r->state = STATE_ASKED;
			run(r);
		}
	}
	r->asked = false;
	progress_end(&r->progress);
	for (size_t i = 0; i < 2; i++)
		outlet_begin(&r->outlets[i]);
	if (r->broken)
		close_session(r);
}

void
request_answer(struct request *r, const struct body *body, struct buf *answer,
    struct buf *errors, struct outcome *o)
{
	struct buf nothing;

	buf_init(&nothing, 0);
	r->deaf = errors == NULL;
	outlet_keep(&r->outlets[OUT], answer);
	outlet_keep(&r->outlets[ERR], r->deaf ? &nothing : errors);
	request_ask(r, body, o);
	r->deaf = false;
	outlet_keep(&r->outlets[OUT], NULL);
	outlet_keep(&r->outlets[ERR], NULL);
}

int64_t
request_ping(struct request *r, struct outcome *o)
{
	memset(o, 0, sizeof *o);
	r->outcome = o;
	r->pinged_us = clock_now_us();
	if (r->conn == NULL || r->state != STATE_IDLE ||
	    frame_put(conn_out(r->conn), PROTO_PING, 0, &r->pinged_us,
	    sizeof r->pinged_us) == -1) {
		outcome_fail(o, OUTCOME_LOST, "the session has ended");
		return -1;
	}
	r->asked = true;
	run(r);
	r->pinged_us = 0;
	if (!r->broken)
		return r->rtt_us;
	close_session(r);
	return -1;
}

uint32_t
request_number(const struct request *r)
{
	return r->sent ? r->number : 0;
}

const struct traffic *
request_traffic(const struct request *r)
{
	return &r->traffic;
}

void
request_forget(struct request *r)
{
	r->sent = false;
	r->traffic = (struct traffic){ .in = 0 };
}

const struct greeting *
request_greeting(const struct request *r)
{
	return &r->greeting;
}

const struct conn *
request_conn(const struct request *r)
{
	return r->conn;
}

int
request_wait(struct request *r, int fd, struct outcome *o)
{
	size_t slot;
	int n;

	memset(o, 0, sizeof *o);
	r->outcome = o;
	r->deadline = CLOCK_NEVER;
	for (;;) {
		/* Whatever ends the session now is told as its end. */
		r->asked = r->conn != NULL;
		gather(r);
		slot = pollset_add(&r->ps, fd, POLLIN);
		n = pollset_wait(&r->ps, signals_mask());
		if (conn_ready(r->conn, &r->ps))
			read_link(r);
		write_link(r);
		r->asked = false;
		if (r->broken) {
			close_session(r);
			return -1;
		}
		if (n == -1 || pollset_events(&r->ps, slot) != 0)
			return 1;
		if (n == 0)
			return 0;
	}
}

bool
request_is_open(const struct request *r)
{
	return r->conn != NULL;
}

struct request *
request_new(const struct settings *settings)
{
	struct request *r = calloc(1, sizeof *r);

	if (r == NULL || pollset_init(&r->ps, DESCRIPTORS) == -1) {
		free(r);
		return NULL;
	}
	r->settings = settings;
	buf_init(&r->body, PROTO_BODY_MAX);
	/* It goes into one frame, should it be sent again. */
	buf_init(&r->early, PROTO_PAYLOAD_MAX);
	stream_open(&r->in, STDIN_FILENO, false);
	r->terminal = isatty(STDIN_FILENO) == 1;
	outlet_open(&r->outlets[OUT], STDOUT_FILENO);
	outlet_open(&r->outlets[ERR], STDERR_FILENO);
	progress_open(&r->progress, settings->progress);
	return r;
}

void
request_free(struct request *r)
{
	if (r == NULL)
		return;
	close_session(r);
	tls_context_free(r->tls);
	pollset_free(&r->ps);
	buf_free(&r->body);
	buf_free(&r->early);
	stream_close(&r->in);
	outlet_close(&r->outlets[OUT]);
	outlet_close(&r->outlets[ERR]);
	progress_close(&r->progress);
	free(r);
}
