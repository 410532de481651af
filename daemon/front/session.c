/*
 * session.c - the session of one peer: its frames, its turn, its deadlines.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/net.h"
#include "common/base/pollset.h"
#include "common/base/text.h"
#include "common/wire/frame.h"
#include "common/endpoint/conn.h"
#include "common/tls/tls.h"
#include "daemon/exec/tree.h"
#include "daemon/conf/settings.h"
#include "daemon/front/peer.h"
#include "daemon/front/request.h"
#include "daemon/front/session.h"

struct session {
	struct peer peer;
	struct request request;
	int64_t opened_us;	/* 0 once the end is on record. */
	int64_t others_since;	/* When others began to wait; or NEVER. */
	int64_t taken;		/* When output was seen to be taken. */
	uint64_t given;		/* Output that had been sent then, */
	uint64_t owed;		/* and where TCP will be when it has that. */
	bool unhandled;		/* There are frames for the next turn. */

	/* The end. */
	enum proto_code stop_code;	/* With stop_text: end when idle. */
	const char *stop_reason;
	const char *stop_text;
	char judgement[FAILURE_MAX];	/* The text, if we judged. */
	int64_t expires;
};

struct session *
session_new(struct conn *c, const char *address, const char *name,
    const struct settings *settings, struct tree *tree)
{
	struct session *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	request_init(&s->request, &s->peer, tree);
	if (tree_spare(tree) == -1 ||
	    peer_begin(&s->peer, c, address, name) == -1) {
		request_clear(&s->request);
		free(s);
		return NULL;
	}
	request_configure(&s->request, settings);
	s->expires = tls_peer_expires(conn_tls(c));
	s->opened_us = clock_now_us();
	s->others_since = CLOCK_NEVER;
	return s;
}

void
session_announce(const struct session *s)
{
	audit_session_open(&s->peer.audit);
}

int
session_free(struct session *s)
{
	int fd = s->peer.linger;

	if (fd == -1)
		fd = conn_linger(s->peer.conn);
	request_clear(&s->request);
	free(s);
	return fd;
}

void
session_configure(struct session *s, const struct settings *settings)
{
	request_configure(&s->request, settings);
	if (s->request.rule == NULL)
		session_stop(s, PROTO_CODE_DENIED, "no-rule", "no rule of the "
		    "server matches this client any more");
}

void
session_judge(struct session *s, struct tls_context *context)
{
	const char *reason;
	struct failure why;

	/* Judged once, it need not be woken for that again. */
	s->expires = INT64_MAX;
	if (s->peer.gone)
		return;
	if (tls_recheck(conn_tls(s->peer.conn), context, &reason,
	    &why) == 0) {
		s->expires = tls_peer_expires(conn_tls(s->peer.conn));
		return;
	}
	session_stop(s, PROTO_CODE_DENIED, reason,
	    failure_sentence(&why, s->judgement));
}

const struct tls_identity *
session_identity(const struct session *s)
{
	return &s->peer.identity;
}

int64_t
session_expires(const struct session *s)
{
	return s->expires;
}

static enum request_state
state_of(const struct session *s)
{
	return request_state(&s->request);
}

void
session_others_wait(struct session *s, bool wait)
{
	if (!wait)
		s->others_since = CLOCK_NEVER;
	else if (s->others_since == CLOCK_NEVER)
		s->others_since = clock_now();
}

bool
session_is_idle(const struct session *s)
{
	return state_of(s) == REQUEST_IDLE;
}

bool
session_is_over(const struct session *s)
{
	return s->peer.gone && s->request.command.state == COMMAND_NONE &&
	    !tree_is_ending(s->request.tree);
}

/* The peer has left in order, whether by GOODBYE or by close_notify alone. */
static void
peer_left(struct session *s)
{
	peer_end(&s->peer, state_of(s) == REQUEST_IDLE ? "done" :
	    "the client went away in the middle of a request");
}

/* Until when may the peer start something?  Once it may in any case. */
static int64_t
turn_deadline(const struct session *s)
{
	if (state_of(s) == REQUEST_BUSY || s->request.last == 0)
		return CLOCK_NEVER;
	return clock_after(s->others_since, s->request.settings->turn);
}

/*
 * May the peer go on?  If its turn is over, it is told.  Asked for each request
 * as well: one may be there already when the answer to the last one is.
 */
static bool
has_turn(struct session *s)
{
	if (!clock_past(turn_deadline(s)))
		return true;
	peer_goodbye(&s->peer, PROTO_CODE_TURN, "others wait, and this "
	    "session's turn is over", "turn");
	return false;
}

static void
on_request_part(struct session *s, const struct frame *f)
{
	bool more = state_of(s) == REQUEST_BODY;

	if (more && f->request != s->request.last) {
		peer_violates(&s->peer, "a request began within another");
		return;
	}
	if (!more && f->request <= s->request.last) {
		peer_violates(&s->peer,
		    "a request's number is not above the last");
		return;
	}
	if (!more && !has_turn(s))
		return;
	if (f->type == PROTO_REQUEST_PART && f->length == 0) {
		peer_violates(&s->peer, "a part of a request is empty");
		return;
	}
	s->request.last = f->request;
	if (f->length > buf_room(&s->request.pieces))
		peer_violates(&s->peer, "a request is too long");
	else if (buf_put(&s->request.pieces, f->payload, f->length) == -1)
		peer_goodbye(&s->peer, PROTO_CODE_RESOURCES,
		    "the server is out of memory", "out of memory");
}

static void
on_request(struct session *s, const struct frame *f)
{
	enum proto_code code;
	const char *why;

	on_request_part(s, f);
	if (!peer_can_speak(&s->peer))
		return;
	s->request.record.request = f->request;
	why = body_parse(&s->request.body, buf_data(&s->request.pieces),
	    buf_used(&s->request.pieces), &code);
	buf_free(&s->request.pieces);
	if (why == NULL) {
		request_begin(&s->request);
		return;
	}
	if (code == PROTO_CODE_PROTOCOL)
		peer_violates(&s->peer, why);
	else
		peer_refuse(&s->peer, s->request.record.request, code, why);
	request_reset(&s->request);
}

static void
on_stdin(struct session *s, const struct frame *f)
{
	const char *why = input_take(&s->request.command.input, f->payload,
	    f->length);

	if (why != NULL)
		peer_violates(&s->peer, why);
}

static void
on_stdin_eof(struct session *s, const struct frame *f)
{
	if (f->length != 0 || s->request.command.input.ended)
		peer_violates(&s->peer,
		    "the end of standard input is out of place");
	input_end(&s->request.command.input);
}

static void
on_window(struct session *s, const struct frame *f)
{
	uint8_t stream;
	uint32_t credit;

	if (frame_get_window(f, &stream, &credit) == -1 ||
	    stream == PROTO_STREAM_STDIN)
		peer_violates(&s->peer, "a window is malformed");
	else if (output_grant(&s->request.command.outputs[stream -
	    PROTO_STREAM_STDOUT], credit) == -1)
		peer_violates(&s->peer, "a window is too large");
}

static void
on_signal(struct session *s, const struct frame *f)
{
	char name[PROTO_SIGNAL_MAX + 1];

	if (frame_get_signal(f, name) == -1 ||
	    request_signal(&s->request, name) == -1)
		peer_violates(&s->peer, "a signal has an unknown name");
}

/* It ends as by any other limit: with all that the session has started. */
static void
on_cancel(struct session *s, const struct frame *f)
{
	const uint8_t *item;
	size_t n;

	if (item_find(f->payload, f->length, PROTO_ITEM_TEXT, &item, &n) == -1)
		peer_violates(&s->peer, "a cancel is malformed");
	else
		command_cut(&s->request.command, PROTO_CODE_CANCELLED,
		    "cancelled");
}

static void
on_close(struct session *s, const struct frame *f)
{
	uint8_t stream;

	if (frame_get_close(f, &stream) == -1)
		peer_violates(&s->peer, "a close is malformed");
	else
		command_close(&s->request.command,
		    stream == PROTO_STREAM_STDERR);
}

static void
on_ping(struct session *s, const struct frame *f)
{
	if (f->length > PROTO_PING_MAX)
		peer_violates(&s->peer, "a ping is too long");
	else
		peer_put(&s->peer, frame_put(conn_out(s->peer.conn),
		    PROTO_PONG, 0, f->payload, f->length));
}

static void
on_pong(struct session *s, const struct frame *f)
{
	if (f->length > PROTO_PING_MAX)
		peer_violates(&s->peer, "a pong is too long");
}

static void
on_goodbye(struct session *s, const struct frame *f)
{
	char text[PROTO_TEXT_MAX + 1];
	uint16_t code;

	if (frame_get_code(f, &code, text) == -1)
		peer_violates(&s->peer, "a goodbye is malformed");
	else
		peer_left(s);
}

#define ANY	(REQUEST_IDLE | REQUEST_BODY | REQUEST_BUSY)

/* Which frame is legal in which state, and about whom it is. */
static const struct rule_of_frame {
	uint8_t type;
	bool of_request;	/* It belongs to the request being served; a
				 * late one to a request before it. */
	bool of_session;	/* Its request number is 0. */
	unsigned states;
	void (*handle)(struct session *, const struct frame *);
} frames[] = {
	{ PROTO_REQUEST_PART, false, false, REQUEST_IDLE | REQUEST_BODY,
	    on_request_part },
	{ PROTO_REQUEST, false, false, REQUEST_IDLE | REQUEST_BODY,
	    on_request },
	{ PROTO_STDIN, true, false, REQUEST_BUSY, on_stdin },
	{ PROTO_STDIN_EOF, true, false, REQUEST_BUSY, on_stdin_eof },
	{ PROTO_SIGNAL, true, false, REQUEST_BUSY, on_signal },
	{ PROTO_CANCEL, true, false, REQUEST_BUSY, on_cancel },
	{ PROTO_CLOSE, true, false, REQUEST_BUSY, on_close },
	{ PROTO_WINDOW, true, false, REQUEST_BUSY, on_window },
	{ PROTO_PING, false, true, ANY, on_ping },
	{ PROTO_PONG, false, true, ANY, on_pong },
	{ PROTO_GOODBYE, false, true, ANY, on_goodbye },
};

/* Is the frame about a request that has ended, and crossed its end? */
static bool
is_late(const struct session *s, const struct frame *f)
{
	if (f->request == 0 || f->request > s->request.last)
		return false;
	return f->request < s->request.last || state_of(s) == REQUEST_IDLE;
}

static void
handle_frame(struct session *s, const struct frame *f)
{
	const struct rule_of_frame *r = NULL;

	for (size_t i = 0; i < sizeof frames / sizeof *frames; i++) {
		if (frames[i].type == f->type)
			r = &frames[i];
	}
	if (r == NULL)
		peer_violates(&s->peer,
		    "a frame has a type that no client sends");
	else if (r->of_session != (f->request == 0))
		peer_violates(&s->peer,
		    "a frame has a request's number where it may not, or none "
		    "where it must");
	else if (r->of_request && is_late(s, f))
		return;
	else if ((r->states & state_of(s)) == 0 ||
	    (r->of_request && f->request != s->request.record.request))
		peer_violates(&s->peer, "a frame came where it is not legal");
	else
		r->handle(s, f);
}

/*
 * Handle the frames that have come, up to the first request: to decide on one
 * may take its time, and the daemon has others to look after before the next.
 */
static void
handle_frames(struct session *s)
{
	struct frame f;
	bool asked = false;
	int got = 0;

	s->unhandled = false;
	while (peer_can_speak(&s->peer) && (got = conn_peek(s->peer.conn,
	    &f)) == 1) {
		if (asked) {
			s->unhandled = true;
			return;
		}
		asked = f.type == PROTO_REQUEST;
		handle_frame(s, &f);
		if (!s->peer.gone)
			conn_done(s->peer.conn, &f);
	}
	if (got == -1 && peer_can_speak(&s->peer))
		peer_violates(&s->peer, "a frame is too long");
}

void
session_reaped(struct session *s, pid_t pid, int status,
    const struct rusage *usage)
{
	command_reaped(&s->request.command, pid, status, usage);
}

/*
 * Until when may the peer ask for nothing?  A command that has ended, but
 * whose last output the peer does not take, is not waited for any longer; one
 * that takes it slowly is not idle.
 */
static int64_t
idle_deadline(const struct session *s)
{
	int64_t since = s->request.idle_since;

	if (state_of(s) == REQUEST_BUSY && !s->request.command.reaped)
		return CLOCK_NEVER;
	if (state_of(s) == REQUEST_BUSY)
		since = s->request.command.ended_us / 1000;
	if (since < s->taken)
		since = s->taken;
	return since + (s->others_since == CLOCK_NEVER ?
	    s->request.settings->idle_timeout :
	    s->request.settings->idle_timeout_waiting);
}

/* How long may all of it last? */
static int64_t
session_deadline(const struct session *s)
{
	if (s->stop_text != NULL)
		return CLOCK_NEVER;
	return clock_after(s->opened_us / 1000,
	    s->request.settings->session_timeout);
}

void
session_poll(struct session *s, struct pollset *ps)
{
	if (!s->peer.gone)
		conn_poll(s->peer.conn, ps, !s->peer.closing);
	command_poll(&s->request.command, ps, peer_output(&s->peer));
	pollset_deadline(ps, tree_deadline(s->request.tree));
	if (s->peer.closing && !s->peer.gone)
		pollset_deadline(ps, s->peer.closing_deadline);
	if (!peer_can_speak(&s->peer))
		return;
	if (s->unhandled)
		pollset_deadline(ps, clock_now());
	pollset_deadline(ps, idle_deadline(s));
	pollset_deadline(ps, turn_deadline(s));
	pollset_deadline(ps, session_deadline(s));
	pollset_deadline(ps, peer_dead_deadline(&s->peer, s->request.settings));
}

static void
session_receive(struct session *s, const struct pollset *ps)
{
	enum io io;

	if (!peer_can_speak(&s->peer))
		return;
	if (s->unhandled) {
		handle_frames(s);
		return;
	}
	if (!conn_ready(s->peer.conn, ps))
		return;
	io = conn_read(s->peer.conn);
	if (io == IO_OK) {
		s->peer.last_rx = clock_now();
		s->peer.ping_sent = 0;
		handle_frames(s);
	}
	else if (io == IO_EOF)
		peer_left(s);
	else if (io == IO_ERROR)
		peer_lose(&s->peer);
}

/*
 * Has the peer taken some of the output of commands since the last look?  What
 * else it is sent it has asked for, and it could ask for that without end.
 */
static bool
takes_output(struct session *s)
{
	const struct output *o = s->request.command.outputs;
	uint64_t given = s->request.sums.out_bytes + s->request.sums.err_bytes;
	struct net_carried c;
	bool more;

	if (state_of(s) == REQUEST_BUSY)
		given += o[0].bytes + o[1].bytes;
	net_carried(conn_fd(s->peer.conn), &c);
	more = c.acked != s->peer.acked && s->peer.acked < s->owed;
	if (given != s->given) {
		s->given = given;
		s->owed = c.acked + c.unacked +
		    buf_used(conn_out(s->peer.conn));
		more = s->owed > c.acked;
	}
	s->peer.acked = c.acked;
	return more;
}

/* Close an idle session, if it is that. */
static void
check_idle(struct session *s)
{
	if (!peer_can_speak(&s->peer) || !clock_past(idle_deadline(s)))
		return;
	if (takes_output(s))
		s->taken = clock_now();
	else
		peer_goodbye(&s->peer, PROTO_CODE_TIMEOUT, s->others_since ==
		    CLOCK_NEVER ? "the session was idle for too long" :
		    "the session was idle, and others wait", "idle");
}

static void
check_deadlines(struct session *s)
{
	check_idle(s);
	if (peer_can_speak(&s->peer))
		(void)has_turn(s);
	if (peer_can_speak(&s->peer) && clock_past(session_deadline(s)))
		session_stop(s, PROTO_CODE_TIMEOUT, "session-timeout",
		    "the session has lasted as long as it may");
	peer_check_dead(&s->peer, s->request.settings, s->others_since);
	peer_check_closing(&s->peer, s->stop_text != NULL);
}

/* With nobody there any more, all that was started is ended. */
static void
check_gone(struct session *s)
{
	if (s->stop_text != NULL && state_of(s) != REQUEST_BUSY)
		peer_goodbye(&s->peer, s->stop_code, s->stop_text,
		    s->stop_reason);
	if (peer_can_speak(&s->peer))
		return;
	/* A command may be one that goes on when its client is lost. */
	if (state_of(s) == REQUEST_BUSY && !s->peer.closing &&
	    s->request.command.limits.finish)
		return;
	if (state_of(s) == REQUEST_BUSY)
		command_cut(&s->request.command, PROTO_CODE_NONE,
		    s->peer.close_reason);
	else if (!tree_is_ending(s->request.tree)) {
		s->request.sums.ended += tree_count(s->request.tree);
		tree_end(s->request.tree, s->request.settings->kill_grace);
	}
}

void
session_dispatch(struct session *s, const struct pollset *ps)
{
	session_receive(s, ps);
	request_dispatch(&s->request, ps);
	request_check_limit(&s->request);
	check_deadlines(s);
	check_gone(s);
	if (tree_go_on(s->request.tree,
	    s->request.settings->policy.account) == -1)
		request_abandon(&s->request);
	if (command_is_finished(&s->request.command, peer_output(&s->peer)))
		request_finish(&s->request);
	peer_flush(&s->peer);
	check_gone(s);
	if (session_is_over(s) && s->opened_us != 0) {
		s->request.sums.duration_us = clock_now_us() - s->opened_us;
		audit_session_close(&s->peer.audit, s->peer.close_reason,
		    &s->request.sums);
		s->opened_us = 0;
	}
}

void
session_stop(struct session *s, enum proto_code code, const char *reason,
    const char *text)
{
	s->stop_code = code;
	s->stop_reason = reason;
	s->stop_text = text;
	command_cut(&s->request.command, code, reason);
}

void
session_describe(const struct session *s, char *out, size_t size)
{
	char name[256];

	text_escape(name, sizeof name, s->peer.identity.common_name,
	    strlen(s->peer.identity.common_name));
	if (state_of(s) == REQUEST_BUSY) {
		const char *program = audit_command_name(&s->request.record);
		char command[128];

		text_printable(command, sizeof command, program,
		    strlen(program));
		(void)snprintf(out, size, "serving %s from %s: %s (%lld s)",
		    name, s->peer.address, command, (long long)(clock_now_us() -
		    s->request.command.child.started_us) / 1000000);
	} else
		(void)snprintf(out, size, "serving %s from %s: idle", name,
		    s->peer.address);
}
