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
#include "daemon/front/intake.h"
#include "daemon/front/peer.h"
#include "daemon/front/request.h"
#include "daemon/front/session.h"

struct session {
	struct peer peer;
	struct intake intake;
	struct request request;
	int64_t opened_us;	/* 0 once the end is on record. */
	int64_t others_since;	/* When others began to wait; or NEVER. */
	int64_t taken;		/* When output was seen to be taken. */
	uint64_t given;		/* Output that had been sent then, */
	uint64_t owed;		/* and where TCP will be when it has that. */

	/* The end. */
	const char *stop_reason;	/* Not NULL: end when idle, and say */
	struct failure stop_why;	/* this. */
	bool stopping;			/* And its command is ended now. */
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
	intake_free(&s->intake);
	request_clear(&s->request);
	free(s);
	return fd;
}

void
session_configure(struct session *s, const struct settings *settings)
{
	struct failure why;

	request_configure(&s->request, settings);
	if (s->request.rule != NULL)
		return;
	failure_set(&why, PROTO_CODE_DENIED, "no rule of the server matches "
	    "this client any more");
	session_stop(s, &why, "no-rule");
}

void
session_reverify(struct session *s, struct tls_context *context)
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
	why.code = PROTO_CODE_DENIED;
	session_stop(s, &why, reason);
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

static unsigned
session_state(const void *owner)
{
	return request_state(&((const struct session *)owner)->request);
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
	return session_state(s) == REQUEST_IDLE &&
	    intake_is_empty(&s->intake);
}

bool
session_is_over(const struct session *s)
{
	return peer_is_gone(&s->peer) && session_state(s) != REQUEST_BUSY &&
	    !tree_is_ending(s->request.tree);
}

/* The peer has left in order, either by GOODBYE or by close_notify alone. */
static void
session_left(struct session *s)
{
	peer_end(&s->peer, session_is_idle(s) ? "done" :
	    "the client went away in the middle of a request");
}

/* Until when may the peer start something?  Once it may in any case. */
static int64_t
session_turn_deadline(const struct session *s)
{
	if (session_state(s) == REQUEST_BUSY || s->peer.end.request == 0)
		return CLOCK_NEVER;
	return clock_after(s->others_since, s->request.settings->turn);
}

/*
 * May the peer go on?  If its turn is over, it is told.  Asked for each request
 * as well: many may be there already when the answer to the last one is.
 */
static bool
session_has_turn(struct session *s)
{
	struct failure why;

	if (!clock_past(session_turn_deadline(s)))
		return true;
	failure_set(&why, PROTO_CODE_TURN, "others wait, and this session's "
	    "turn is over");
	peer_goodbye(&s->peer, &why, "turn");
	return false;
}

static const char *
session_on_request(void *owner, const struct frame *f)
{
	struct session *s = owner;
	bool full = false;
	const char *wrong = intake_take(&s->intake, f,
	    session_state(s) == REQUEST_BUSY, &full);

	if (full)
		peer_out_of_memory(&s->peer);
	/* What follows may be for it, and it has to begin before that. */
	s->peer.end.paused = f->type == PROTO_REQUEST;
	return wrong;
}

static const char *
session_on_cancel(void *owner, const struct frame *f)
{
	struct session *s = owner;
	bool waits = f->request > s->peer.end.request;
	const uint8_t *item;
	size_t n;

	if (!waits && (f->request < s->peer.end.request ||
	    session_state(s) != REQUEST_BUSY))
		return NULL;
	if (item_find(f->payload, f->length, PROTO_ITEM_TEXT, &item, &n) == -1)
		return "a cancel is malformed";
	if (!waits)
		request_cancel(&s->request);
	else if (!intake_cancel(&s->intake, f->request))
		return "a frame came where it is not legal";
	return NULL;
}

static void
session_on_goodbye(void *owner, const struct frame_code *said)
{
	(void)said;
	session_left(owner);
}

static void
session_on_full(void *owner)
{
	struct session *s = owner;

	peer_put(&s->peer, -1);
}

static void
session_on_violation(void *owner, const char *what)
{
	struct session *s = owner;
	struct failure why;

	failure_set(&why, PROTO_CODE_PROTOCOL, "%s", what);
	peer_goodbye(&s->peer, &why, what);
}

/* The frames of requests that wait; those of the one that is served go to
 * it. */
static const struct endpoint_frame frames[] = {
	{ PROTO_REQUEST_PART, ENDPOINT_ANY, ~0U, session_on_request },
	{ PROTO_REQUEST, ENDPOINT_ANY, ~0U, session_on_request },
	{ PROTO_CANCEL, ENDPOINT_ANY, ~0U, session_on_cancel }
};

static const struct endpoint_side session_side = {
	.frames = frames, .nframes = sizeof frames / sizeof *frames,
	.state = session_state, .on_violation = session_on_violation,
	.on_full = session_on_full, .on_goodbye = session_on_goodbye
};

struct session *
session_new(struct conn *c, const char *address, const char *name,
    const struct settings *settings, struct tree *tree)
{
	struct session *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	intake_init(&s->intake);
	request_init(&s->request, &s->peer, tree);
	if (tree_spare(tree) == -1 ||
	    peer_begin(&s->peer, c, address, name, &session_side, s) == -1) {
		request_clear(&s->request);
		free(s);
		return NULL;
	}
	s->peer.end.requests = request_table(&s->request);
	request_configure(&s->request, settings);
	s->expires = tls_peer_expires(conn_tls(c));
	s->opened_us = clock_now_us();
	s->others_since = CLOCK_NEVER;
	return s;
}

/*
 * Until when may the peer ask for nothing?  A command that has ended, but
 * whose last output the peer does not take, is not waited for any longer; one
 * that takes it slowly is not idle.
 */
static int64_t
session_idle_deadline(const struct session *s)
{
	int64_t since = request_idle_since(&s->request);

	if (since == CLOCK_NEVER)
		return CLOCK_NEVER;
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
	if (s->stopping)
		return CLOCK_NEVER;
	return clock_after(s->opened_us / 1000,
	    s->request.settings->session_timeout);
}

/* Is there a request that can be begun? */
static bool
session_may_begin(const struct session *s)
{
	return peer_can_speak(&s->peer) && s->stop_reason == NULL &&
	    session_state(s) == REQUEST_IDLE &&
	    intake_next(&s->intake) != NULL &&
	    /* The answer may be a refusal, for which there has to be room. */
	    conn_data_room(s->peer.end.conn) > 0;
}

/* Begin the next request. */
static void
session_begin_next(struct session *s)
{
	const struct intake_entry *next;
	const char *wrong = NULL;
	struct failure why;

	if (!session_has_turn(s))
		return;
	next = intake_next(&s->intake);
	s->peer.end.request = next->number;
	if (next->cancelled) {
		failure_set(&why, PROTO_CODE_CANCELLED, "it was cancelled "
		    "before it began");
		peer_refuse(&s->peer, next->number, &why);
	} else
		wrong = request_begin(&s->request, buf_data(&s->intake.bytes),
		    next->length);
	intake_done(&s->intake);
	if (wrong != NULL)
		session_on_violation(s, wrong);
}

/* Begin what can be begun: before the peer has the answer to one, it may not
 * send a frame of the next. */
static void
session_go_on(struct session *s)
{
	while (session_may_begin(s))
		session_begin_next(s);
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
	pollset_deadline(ps, session_idle_deadline(s));
	pollset_deadline(ps, session_turn_deadline(s));
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
		session_left(s);
	else if (io == IO_ERROR)
		peer_lose(&s->peer);
}

/*
 * Has the peer taken some of the output of commands since the last look?  What
 * else it is sent it has asked for, and it could ask for that without end.
 */
static bool
session_takes_output(struct session *s)
{
	uint64_t given = request_output(&s->request);
	struct net_carried c;
	bool more;

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
session_check_idle(struct session *s)
{
	struct failure why;

	if (!peer_can_speak(&s->peer) || !clock_past(session_idle_deadline(s)))
		return;
	if (session_takes_output(s)) {
		s->taken = clock_now();
		return;
	}
	failure_set(&why, PROTO_CODE_TIMEOUT, "the session was idle%s",
	    s->others_since == CLOCK_NEVER ? " for too long" :
	    ", and others wait");
	peer_goodbye(&s->peer, &why, "idle");
}

static void
session_check_deadlines(struct session *s)
{
	struct failure why;

	session_check_idle(s);
	if (peer_can_speak(&s->peer))
		(void)session_has_turn(s);
	if (peer_can_speak(&s->peer) && clock_past(session_deadline(s))) {
		failure_set(&why, PROTO_CODE_TIMEOUT, "the session has lasted "
		    "as long as it may");
		session_stop(s, &why, "session-timeout");
	}
	peer_check_dead(&s->peer, s->request.settings, s->others_since);
	peer_check_closing(&s->peer, s->stopping);
}

/* Once the peer has gone, end all that was started. */
static void
session_check_gone(struct session *s)
{
	if (s->stop_reason != NULL && session_state(s) != REQUEST_BUSY)
		peer_goodbye(&s->peer, &s->stop_why, s->stop_reason);
	if (peer_can_speak(&s->peer))
		return;
	if (session_state(s) == REQUEST_BUSY)
		request_lost(&s->request);
	else if (!tree_is_ending(s->request.tree)) {
		s->request.sums.ended += tree_count(s->request.tree);
		tree_end(s->request.tree, s->request.settings->kill_grace);
	}
}

void
session_dispatch(struct session *s, const struct pollset *ps)
{
	session_receive(s, ps);
	session_go_on(s);
	request_dispatch(&s->request, ps);
	session_check_deadlines(s);
	session_check_gone(s);
	if (tree_go_on(s->request.tree,
	    s->request.settings->policy.account) == -1)
		request_abandon(&s->request);
	request_check_finished(&s->request);
	session_go_on(s);
	peer_flush(&s->peer);
	session_go_on(s);
	session_check_gone(s);
	if (session_is_over(s) && s->opened_us != 0) {
		s->request.sums.duration_us = clock_now_us() - s->opened_us;
		audit_session_close(&s->peer.audit, s->peer.close_reason,
		    &s->request.sums);
		s->opened_us = 0;
	}
}

void
session_drain(struct session *s, const struct failure *why,
    const char *reason)
{
	s->stop_why = *why;
	s->stop_reason = reason;
}

void
session_stop(struct session *s, const struct failure *why, const char *reason)
{
	session_drain(s, why, reason);
	s->stopping = true;
	command_cut(&s->request.command, (enum proto_code)why->code, reason);
}

void
session_reaped(struct session *s, pid_t pid, int status,
    const struct rusage *usage)
{
	command_reaped(&s->request.command, pid, status, usage);
}

void
session_describe(const struct session *s, char *out, size_t size)
{
	char name[256];
	size_t used;

	text_escape(name, sizeof name, s->peer.identity.common_name,
	    strlen(s->peer.identity.common_name));
	used = (size_t)snprintf(out, size, "serving %s from %s: ", name,
	    s->peer.address);
	if (used < size)
		request_describe(&s->request, out + used, size - used);
}
