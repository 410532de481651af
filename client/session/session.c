/*
 * session.c - the client's end of a session: connection, handshake, frames.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/pollset.h"
#include "common/base/text.h"
#include "common/wire/body.h"
#include "common/wire/frame.h"
#include "common/tls/tls.h"
#include "common/endpoint/conn.h"

#include "client/core/outcome.h"
#include "client/core/settings.h"
#include "client/core/signals.h"
#include "client/core/spawn.h"
#include "client/session/dial.h"
#include "client/session/session.h"

/* A wait in the server's line that is shorter is not worth a word, in ms. */
#define TELL_AFTER	1000
/* After the end of a session, what carried it ends by itself within so many
 * ms. */
#define PROXY_GRACE	1000
/* What a client is told that waits for a session of its own certificate. */
#define OWN_SESSION	"the session that is served is your own (it has the " \
			"same certificate): a tool that needs two at once " \
			"needs aisd-each.socket there"

/* --- the end ----------------------------------------------------------- */

void
session_give_up(struct session *s)
{
	s->end.over = true;
}

/* Where to tell what happens now, or NULL. */
static struct outcome *
session_listener(const struct session *s)
{
	return s->muted || s->end.over ? NULL : s->outcome;
}

void
session_fail(struct session *s, enum outcome_class class, const char *format,
    ...)
{
	struct outcome *o = session_listener(s);
	va_list ap;

	va_start(ap, format);
	if (o != NULL)
		outcome_vfail(o, class, format, ap);
	va_end(ap);
	session_give_up(s);
}

/* How far it is: SERVED as soon as the server has said that it serves us, or
 * lets us wait. */
static enum dial_stage
session_stage(const struct session *s)
{
	if (s->shaking)
		return DIAL_SHAKING;
	return s->state == SESSION_GREETING && !s->greeting.waits ?
	    DIAL_GREETING : DIAL_SERVED;
}

static void
session_tls_failed(struct session *s)
{
	struct outcome *o = session_listener(s);
	int status;

	s->dropped = dial_was_dropped(s->end.conn, s->shaking);
	if (s->dropped && s->proxy != 0) {
		/* One that fails once fails again. */
		s->dropped = false;
		(void)shutdown(conn_fd(s->end.conn), SHUT_WR);
		status = spawn_end(s->proxy, clock_in(PROXY_GRACE));
		s->proxy = 0;
		if (o != NULL)
			dial_proxy_ended(s->settings, status, o);
	} else if (o != NULL)
		dial_explain(s->settings, s->end.conn, session_stage(s), o);
	session_give_up(s);
}

static void
session_on_violation(void *owner, const char *what)
{
	struct session *s = owner;
	struct outcome *o = session_listener(s);

	(void)frame_put_code(conn_out(s->end.conn), PROTO_GOODBYE, 0,
	    PROTO_CODE_PROTOCOL, what);
	session_fail(s, OUTCOME_PROTOCOL, "the server does not keep to the "
	    "protocol (%s)", what);
	if (o != NULL)
		outcome_hint(o, "compare \"aisc -V\" here with \"aisd -V\" "
		    "there");
}

/* The line was too long for a wait of "limit" ms: nothing has been run. */
static void
session_waited_in_vain(struct session *s, int64_t limit)
{
	char within[TEXT_COUNT_MAX], ahead[TEXT_COUNT_MAX];

	(void)text_count(ahead, s->greeting.ahead, "client");
	if (limit == 0)
		session_fail(s, OUTCOME_BUSY, "others are served, with %s "
		    "before us, and we do not wait", ahead);
	else
		session_fail(s, OUTCOME_BUSY, "our turn did not come within "
		    "%s, with %s still before us", text_count(within,
		    (double)limit / 1000, "second"), ahead);
	outcome_hint(s->outcome, "%s", s->greeting.own ? OWN_SESSION :
	    "try again later, or wait for longer: \"wait\" in aisc.conf");
}

/* The time for all has passed. */
static void
session_out_of_time(struct session *s)
{
	char within[TEXT_COUNT_MAX];

	(void)text_count(within, (double)s->settings->timeout / 1000,
	    "second");
	if (s->greeting.waits)
		session_waited_in_vain(s, s->settings->timeout);
	else if (s->shaking)
		session_fail(s, OUTCOME_TIMEOUT, "no connection within %s, the "
		    "time limit given to aisc; nothing has been run", within);
	else
		session_fail(s, OUTCOME_TIMEOUT, "not done within %s, the time "
		    "limit given to aisc; the server ends the command", within);
}

/* Say that we wait in the server's line, if it is time to. */
static void
session_tell_wait(struct session *s)
{
	const struct greeting *g = &s->greeting;

	if (!g->waits || !clock_past(s->tell))
		return;
	outcome_say("waiting: %u before you%s%s", g->ahead, g->own ? "; " : "",
	    g->own ? OWN_SESSION : "");
	s->tell = CLOCK_NEVER;
	s->told_own = g->own;
}

bool
session_is_late(struct session *s)
{
	if (!session_is_awaited(s))
		return false;
	if (clock_past(s->deadline))
		session_out_of_time(s);
	else if (session_stage(s) != DIAL_SERVED && clock_past(s->connected)) {
		dial_no_answer(s->settings, DIAL_SHAKING, s->outcome);
		session_give_up(s);
	} else if (s->greeting.waits && clock_past(s->waited))
		session_waited_in_vain(s, s->settings->wait);
	else
		session_tell_wait(s);
	return s->end.over;
}

/* --- frames ------------------------------------------------------------ */

static void
session_on_full(void *owner)
{
	session_on_violation(owner, "PING comes faster than PONG can go");
}

/* The PONG that session_ping() asked for, or one that was not. */
static void
session_on_pong(void *owner, const struct frame *f)
{
	struct session *s = owner;

	if (s->pinged_us == 0 || f->length != sizeof s->pinged_us ||
	    memcmp(f->payload, &s->pinged_us, f->length) != 0)
		return;
	s->rtt_us = clock_now_us() - s->pinged_us;
	s->pinged_us = 0;
}

static void
session_on_goodbye(void *owner, const struct frame_code *said)
{
	struct session *s = owner;
	struct outcome *o = session_listener(s);

	ahead_reset(&s->ahead);
	if (o != NULL) {
		outcome_code(o, said);
		o->retry = said->retry;
		/* What has not been answered has not been begun. */
		o->again = (said->code == PROTO_CODE_TURN ||
		    said->code == PROTO_CODE_TIMEOUT) &&
		    (s->state == SESSION_IDLE ||
		    (s->state == SESSION_ASKED && s->end.request > 1));
	}
	session_give_up(s);
}

/*
 * A short wait is not told.  Each change is told on a terminal, but a log
 * gets one line, and another where a job waits for itself, which could be for
 * ever.
 */
static const char *
session_on_waiting(void *owner, const struct frame *f)
{
	struct session *s = owner;
	struct greeting *g = &s->greeting;
	uint8_t flags;

	if (frame_get_waiting(f, &g->ahead, &flags) == -1)
		return "a malformed WAITING";
	g->own = (flags & PROTO_WAITING_OWN) != 0;
	if (!g->waits) {
		g->waits = true;
		s->waited = s->dialed + s->settings->wait;
		s->tell = clock_in(s->settings->verbose ? 0 : TELL_AFTER);
		s->told_own = false;
	} else if (s->tell == CLOCK_NEVER && (s->settings->verbose ||
	    (g->own && !s->told_own) || isatty(STDERR_FILENO) == 1))
		s->tell = clock_now();
	if (s->settings->quiet)
		s->tell = CLOCK_NEVER;
	session_tell_wait(s);
	return NULL;
}

static const char *
session_on_hello(void *owner, const struct frame *f)
{
	struct session *s = owner;
	struct greeting *g = &s->greeting;
	const char *wrong = greeting_take(g, f);

	if (wrong != NULL)
		return wrong;
	g->waits = false;
	if (s->settings->verbose)
		outcome_say("session: %s, server: %s, the server knows us "
		    "as: %s, greeted after %.1f ms", g->session, g->server,
		    g->peer, (double)(clock_now_us() - s->dialed_us) / 1000);
	s->state = SESSION_ASKED;
	return NULL;
}

static const struct endpoint_frame session_frames[] = {
	{ PROTO_HELLO, ENDPOINT_SESSION, SESSION_GREETING, session_on_hello },
	{ PROTO_WAITING, ENDPOINT_SESSION, SESSION_GREETING,
	    session_on_waiting }
};

static unsigned
session_frame_state(const void *owner)
{
	return ((const struct session *)owner)->state;
}

static const struct endpoint_side session_side = {
	.frames = session_frames,
	.nframes = sizeof session_frames / sizeof *session_frames,
	.state = session_frame_state, .on_violation = session_on_violation,
	.on_full = session_on_full, .on_pong = session_on_pong,
	.on_goodbye = session_on_goodbye
};

static void
session_receive(struct session *s)
{
	enum io io = endpoint_receive(&s->end);
	struct outcome *o = session_listener(s);

	pulse_heard(&s->pulse);
	if (s->end.over)
		return;
	if (io == IO_ERROR)
		session_tls_failed(s);
	else if (io == IO_EOF) {
		if (o != NULL)
			dial_ended(s->settings, session_stage(s), o);
		session_give_up(s);
	}
}

/* --- is it still there? ------------------------------------------------- */

/* One that has not greeted us is not asked: the time for that is limited
 * otherwise.  And while we do not look at what comes, nothing can be said. */
static int64_t
session_dead_deadline(const struct session *s)
{
	if (s->end.conn == NULL || s->end.over || s->shaking || s->end.held ||
	    s->state == SESSION_GREETING)
		return CLOCK_NEVER;
	return pulse_deadline(&s->pulse, s->settings->dead_timeout);
}

/* Ask whether it is there, or give it up. */
static void
session_check_dead(struct session *s)
{
	char within[TEXT_COUNT_MAX];
	struct outcome *o = session_listener(s);

	if (!clock_past(session_dead_deadline(s)) ||
	    !pulse_is_gone(&s->pulse, s->end.conn))
		return;
	session_fail(s, OUTCOME_LOST, "nothing has come from the server for "
	    "%s", text_count(within,
	    (double)s->settings->dead_timeout / 1000, "second"));
	if (o != NULL && s->state != SESSION_IDLE)
		outcome_hint(o, "the command may have begun: look whether %s "
		    "can be reached, and into the log of aisd there",
		    s->settings->host);
}

/* --- the connection ---------------------------------------------------- */

/* Go on with the TLS handshake. */
static void
session_shake(struct session *s)
{
	enum io io = conn_handshake(s->end.conn);

	if (io == IO_ERROR || io == IO_EOF)
		session_tls_failed(s);
	if (io != IO_OK)
		return;
	s->shaking = false;
	s->greeting.shaken_us = clock_now_us() - s->dialed_us;
	if (s->settings->verbose)
		dial_describe(s->settings, s->end.conn,
		    (double)s->greeting.shaken_us / 1000);
}

int
session_dial(struct session *s, int64_t connected)
{
	s->connected = connected;
	s->dropped = false;
	if (s->tls == NULL &&
	    (s->tls = dial_context(s->settings, s->outcome)) == NULL)
		return -1;
	s->shaking = true;
	s->greeting = (struct greeting){ .waits = false };
	s->dialed = clock_now();
	pulse_heard(&s->pulse);
	s->dialed_us = clock_now_us();
	/* A look-up cannot be interrupted but by ending aisc. */
	signals_release();
	s->end.conn = dial_connect(s->settings, s->tls, s->deadline <
	    connected ? s->deadline : connected, s->outcome, &s->proxy);
	signals_catch();
	if (s->end.conn == NULL) {
		/* Why there is none is told already, but for the time limit. */
		if (clock_past(s->deadline))
			session_out_of_time(s);
		return -1;
	}
	s->end.request = s->newest = 0;
	session_shake(s);
	return 0;
}

void
session_close(struct session *s)
{
	int fd = conn_linger(s->end.conn);

	endpoint_reset(&s->end);
	ahead_lose(&s->ahead);
	/* It has the server's last words to write yet. */
	if (s->proxy != 0)
		(void)spawn_end(s->proxy, clock_in(PROXY_GRACE));
	s->proxy = 0;
	fd_close(&fd);
	s->outcome = NULL;
	s->state = SESSION_GREETING;	/* Of the next one. */
}

bool
session_send(struct session *s)
{
	if (!conn_has_output(s->end.conn))
		return true;
	if (conn_write(s->end.conn) != IO_ERROR)
		return !conn_has_output(s->end.conn);
	/* A server that refuses us closes the connection, so that writing may
	 * fail before we have read why. */
	session_receive(s);
	if (s->end.held)
		s->end.ended = IO_ERROR;
	else if (!s->end.over)
		session_tls_failed(s);
	return false;
}

void
session_poll(struct session *s, struct pollset *ps)
{
	endpoint_poll(&s->end, ps);
	pollset_deadline(ps, session_dead_deadline(s));
	if (!session_is_awaited(s))
		return;
	pollset_deadline(ps, s->deadline);
	if (session_stage(s) != DIAL_SERVED)
		pollset_deadline(ps, s->connected);
	if (s->greeting.waits) {
		pollset_deadline(ps, s->waited);
		pollset_deadline(ps, s->tell);
	}
}

void
session_dispatch(struct session *s, const struct pollset *ps)
{
	if (!endpoint_ready(&s->end, ps))
		session_check_dead(s);
	else if (s->shaking)
		session_shake(s);
	else
		session_receive(s);
}

/* --- for requests ------------------------------------------------------ */

void
session_await(struct session *s, struct outcome *o, int64_t deadline)
{
	s->outcome = o;
	s->muted = false;
	s->deadline = deadline;
}

bool
session_is_awaited(const struct session *s)
{
	return s->outcome != NULL && !s->end.over;
}

void
session_mute(struct session *s)
{
	s->muted = true;
}

int
session_prepare(struct session *s, const struct body *body)
{
	buf_free(&s->body);
	if (body_put(&s->body, body) == 0)
		return 0;
	/* A part may be in it, which must not be sent. */
	buf_free(&s->body);
	outcome_fail(s->outcome, OUTCOME_INVALID, "the command is longer than "
	    "the %d bytes that a request may have", PROTO_BODY_MAX);
	return -1;
}

void
session_ask(struct session *s)
{
	s->end.request = ++s->newest;
	if (s->state == SESSION_IDLE)
		s->state = SESSION_ASKED;
}

void
session_started(struct session *s)
{
	s->state = SESSION_RUNNING;
}

void
session_answered(struct session *s)
{
	s->state = SESSION_IDLE;
	s->outcome = NULL;
	/* Theirs may be here already, and their turn comes when all of this one
	 * is done. */
	s->end.held = s->ahead.sent > 0;
	conn_stretch(s->end.conn, ahead_most(&s->ahead));
}

bool
session_follow(struct session *s)
{
	uint32_t number = ahead_take(&s->ahead);

	if (number == 0)
		return false;
	buf_free(&s->body);
	if (s->ahead.lost) {
		session_fail(s, OUTCOME_LOST, "the session has ended; the "
		    "command may have begun");
		return true;
	}
	s->end.request = number;
	s->state = SESSION_ASKED;
	conn_stretch(s->end.conn, 0);
	endpoint_release(&s->end);
	return true;
}

void
session_recall(struct session *s)
{
	if (s->end.conn != NULL && ahead_cancel(&s->ahead, s->end.conn) == -1)
		session_fail(s, OUTCOME_RESOURCES, "out of memory");
}

void
session_put_ahead(struct session *s)
{
	/* Not where they could not be taken back. */
	if (session_is_awaited(s) && buf_used(&s->body) == 0 &&
	    s->greeting.cancels)
		ahead_send(&s->ahead, s->end.conn, s->greeting.most,
		    s->greeting.most_bytes, &s->newest);
}

int
session_put(struct session *s, enum proto_type type, const void *payload,
    size_t n)
{
	return frame_put(conn_out(s->end.conn), type, s->end.request, payload,
	    n);
}

void
session_put_body(struct session *s)
{
	size_t room, n, left;

	while ((left = buf_used(&s->body)) > 0 &&
	    (room = conn_data_room(s->end.conn)) > 0) {
		n = left < room ? left : room;
		if (session_put(s, n == left ? PROTO_REQUEST :
		    PROTO_REQUEST_PART, buf_data(&s->body), n) == -1)
			return;
		buf_consume(&s->body, n);
	}
}

int
session_ping(struct session *s)
{
	s->rtt_us = -1;
	s->pinged_us = clock_now_us();
	if (s->end.conn != NULL && s->state == SESSION_IDLE)
		return frame_put(conn_out(s->end.conn), PROTO_PING, 0,
		    &s->pinged_us, sizeof s->pinged_us);
	return -1;
}

void
session_init(struct session *s, const struct settings *settings,
    const struct endpoint_frame *requests, size_t count, void *owner)
{
	*s = (struct session){ .settings = settings, .end = {
	    .side = &session_side, .owner = s,
	    .requests = { requests, count, owner } },
	    .state = SESSION_GREETING };
	buf_init(&s->body, PROTO_BODY_MAX);
	ahead_init(&s->ahead);
}

void
session_clear(struct session *s)
{
	session_close(s);
	tls_context_free(s->tls);
	buf_free(&s->body);
	ahead_free(&s->ahead);
}
