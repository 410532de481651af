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

	/* The end. */
	enum proto_code stop_code;	/* With stop_text: end when idle. */
	const char *stop_reason;
	const char *stop_text;
	char judgement[FAILURE_MAX];	/* The text, if we judged. */
	int64_t expires;
};

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
		fd = conn_linger(s->peer.end.conn);
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
	if (peer_is_gone(&s->peer))
		return;
	if (tls_recheck(conn_tls(s->peer.end.conn), context, &reason,
	    &why) == 0) {
		s->expires = tls_peer_expires(conn_tls(s->peer.end.conn));
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
	return peer_is_gone(&s->peer) &&
	    s->request.command.state == COMMAND_NONE &&
	    !tree_is_ending(s->request.tree);
}

/* The peer has left in order, either by GOODBYE or by close_notify alone. */
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
	if (state_of(s) == REQUEST_BUSY || s->peer.end.request == 0)
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

static const char *
on_request_part(void *owner, const struct frame *f)
{
	struct session *s = owner;
	bool more = state_of(s) == REQUEST_BODY;

	if (more && f->request != s->peer.end.request)
		return "a request began within another";
	if (!more && f->request <= s->peer.end.request)
		return "a request's number is not above the last";
	if (!more && !has_turn(s))
		return NULL;
	if (f->type == PROTO_REQUEST_PART && f->length == 0)
		return "a part of a request is empty";
	s->peer.end.request = f->request;
	if (f->length > buf_room(&s->request.pieces))
		return "a request is too long";
	if (buf_put(&s->request.pieces, f->payload, f->length) == -1)
		peer_goodbye(&s->peer, PROTO_CODE_RESOURCES,
		    "the server is out of memory", "out of memory");
	return NULL;
}

static const char *
on_request(void *owner, const struct frame *f)
{
	struct session *s = owner;
	enum proto_code code;
	const char *why = on_request_part(s, f);

	/* To decide on one takes time: others are served before the next. */
	s->peer.end.paused = true;
	if (why != NULL || !peer_can_speak(&s->peer))
		return why;
	why = body_parse(&s->request.body, buf_data(&s->request.pieces),
	    buf_used(&s->request.pieces), &code);
	buf_free(&s->request.pieces);
	if (why == NULL) {
		request_begin(&s->request);
		return NULL;
	}
	if (code != PROTO_CODE_PROTOCOL)
		peer_refuse(&s->peer, f->request, code, why);
	request_reset(&s->request);
	return code == PROTO_CODE_PROTOCOL ? why : NULL;
}

static const char *
on_stdin(void *owner, const struct frame *f)
{
	struct session *s = owner;

	return input_take(&s->request.command.input, f->payload, f->length);
}

static const char *
on_stdin_eof(void *owner, const struct frame *f)
{
	struct session *s = owner;

	if (f->length != 0 || s->request.command.input.ended)
		return "the end of standard input is out of place";
	input_end(&s->request.command.input);
	return NULL;
}

static const char *
on_window(void *owner, const struct frame *f)
{
	struct session *s = owner;
	uint8_t stream;
	uint32_t credit;

	if (frame_get_window(f, &stream, &credit) == -1 ||
	    stream == PROTO_STREAM_STDIN)
		return "a window is malformed";
	if (output_grant(&s->request.command.outputs[stream -
	    PROTO_STREAM_STDOUT], credit) == -1)
		return "a window is too large";
	return NULL;
}

static const char *
on_signal(void *owner, const struct frame *f)
{
	struct session *s = owner;
	char name[PROTO_SIGNAL_MAX + 1];

	if (frame_get_signal(f, name) == -1 ||
	    request_signal(&s->request, name) == -1)
		return "a signal has an unknown name";
	return NULL;
}

/* It ends as by any other limit: with all that the session has started. */
static const char *
on_cancel(void *owner, const struct frame *f)
{
	struct session *s = owner;
	const uint8_t *item;
	size_t n;

	if (item_find(f->payload, f->length, PROTO_ITEM_TEXT, &item, &n) == -1)
		return "a cancel is malformed";
	command_cut(&s->request.command, PROTO_CODE_CANCELLED, "cancelled");
	return NULL;
}

static const char *
on_close(void *owner, const struct frame *f)
{
	struct session *s = owner;
	uint8_t stream;

	if (frame_get_close(f, &stream) == -1)
		return "a close is malformed";
	command_close(&s->request.command, stream == PROTO_STREAM_STDERR);
	return NULL;
}

static void
on_goodbye(void *owner, uint16_t code, const char *text,
    uint32_t retry)
{
	(void)code;
	(void)text;
	(void)retry;
	peer_left(owner);
}

/* Something has come, which is all that is asked for. */
static void
on_pong(void *owner, const struct frame *f)
{
	(void)owner;
	(void)f;
}

static void
on_full(void *owner)
{
	struct session *s = owner;

	peer_put(&s->peer, -1);
}

static void
on_violation(void *owner, const char *what)
{
	struct session *s = owner;

	peer_violates(&s->peer, what);
}

static unsigned
frame_state(const void *owner)
{
	return state_of(owner);
}

#define PARTS	(REQUEST_IDLE | REQUEST_BODY)

/* The frames that a client may send. */
static const struct endpoint_frame frames[] = {
	{ PROTO_REQUEST_PART, ENDPOINT_OPENS, PARTS, on_request_part },
	{ PROTO_REQUEST, ENDPOINT_OPENS, PARTS, on_request },
	{ PROTO_STDIN, ENDPOINT_TRAILS, REQUEST_BUSY, on_stdin },
	{ PROTO_STDIN_EOF, ENDPOINT_TRAILS, REQUEST_BUSY, on_stdin_eof },
	{ PROTO_SIGNAL, ENDPOINT_TRAILS, REQUEST_BUSY, on_signal },
	{ PROTO_CANCEL, ENDPOINT_TRAILS, REQUEST_BUSY, on_cancel },
	{ PROTO_CLOSE, ENDPOINT_TRAILS, REQUEST_BUSY, on_close },
	{ PROTO_WINDOW, ENDPOINT_TRAILS, REQUEST_BUSY, on_window }
};

static const struct endpoint_side session_side = {
	.frames = frames, .nframes = sizeof frames / sizeof *frames,
	.state = frame_state, .on_violation = on_violation,
	.on_full = on_full, .on_pong = on_pong, .on_goodbye = on_goodbye
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
	    peer_begin(&s->peer, c, address, name, &session_side, s) == -1) {
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
	endpoint_poll(&s->peer.end, ps);
	command_poll(&s->request.command, ps, peer_output(&s->peer));
	pollset_deadline(ps, tree_deadline(s->request.tree));
	if (s->peer.closing && !peer_is_gone(&s->peer))
		pollset_deadline(ps, s->peer.closing_deadline);
	if (!peer_can_speak(&s->peer))
		return;
	pollset_deadline(ps, idle_deadline(s));
	pollset_deadline(ps, turn_deadline(s));
	pollset_deadline(ps, session_deadline(s));
	pollset_deadline(ps, peer_dead_deadline(&s->peer, s->request.settings));
}

static void
session_receive(struct session *s, const struct pollset *ps)
{
	enum io io;

	if (!endpoint_ready(&s->peer.end, ps))
		return;
	io = endpoint_receive(&s->peer.end);
	if (!peer_can_speak(&s->peer))
		return;
	if (io == IO_OK) {
		s->peer.last_rx = clock_now();
		s->peer.ping_sent = 0;
	} else if (io == IO_EOF)
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
	net_carried(conn_fd(s->peer.end.conn), &c);
	more = c.acked != s->peer.acked && s->peer.acked < s->owed;
	if (given != s->given) {
		s->given = given;
		s->owed = c.acked + c.unacked +
		    buf_used(conn_out(s->peer.end.conn));
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
		const char *program = audit_command_name(
		    &s->request.decision.record);
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
