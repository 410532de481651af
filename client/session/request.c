/*
 * request.c - one request: its streams, its signals, its end.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/pollset.h"
#include "common/wire/body.h"
#include "common/wire/frame.h"
#include "common/endpoint/conn.h"

#include "client/core/outcome.h"
#include "client/core/settings.h"
#include "client/core/signals.h"
#include "client/core/stream.h"
#include "client/session/attempts.h"
#include "client/session/exchange.h"
#include "client/session/request.h"

/* The connection, the three streams, and what request_wait() waits for. */
#define DESCRIPTORS	6

struct request {
	const struct settings *settings;
	struct exchange x;
	struct pollset ps;
	bool sent;		/* It has got to a connection. */
	int64_t deadline;
	struct body ask;	/* Its words are the caller's. */
};

/* --- signals ----------------------------------------------------------- */

/* A signal tells us to exit: at once, with output that is not written yet. */
static void
request_leave(struct request *r, int signo)
{
	outcome_signal(r->x.outcome, signo);
	session_give_up(&r->x.session);
	r->x.flush = false;
}

/* Pass on what has come to the command, if there is one or will be once our
 * request has arrived; or end for it. */
static void
request_take_signals(struct request *r)
{
	struct session *s = &r->x.session;
	bool passed, command = session_is_awaited(s) &&
	    (s->state == SESSION_RUNNING || (s->state == SESSION_ASKED &&
	    !r->x.chdir && buf_used(&s->body) == 0));
	int signo = interrupt_take(&r->x.interrupt, s, command, &passed);

	if (signo != 0)
		request_leave(r, signo);
	/* What the terminal has not shown yet is not worth the wait. */
	for (size_t i = 0; i < 2 && passed; i++)
		outlet_drop(&r->x.outlets[i]);
}

/* --- the loop ---------------------------------------------------------- */

/* Say what this step waits for. */
static void
request_poll(struct request *r)
{
	/* Without error output, standard output is all that can be read. */
	bool watch = r->x.session.state == SESSION_RUNNING &&
	    r->x.outlets[EXCHANGE_ERR].dead && !r->x.failed;

	pollset_clear(&r->ps);
	session_poll(&r->x.session, &r->ps);
	outlet_poll(&r->x.outlets[EXCHANGE_OUT], &r->ps, watch);
	outlet_poll(&r->x.outlets[EXCHANGE_ERR], &r->ps, false);
	inlet_poll(&r->x.inlet, &r->x.session, &r->ps);
	progress_poll(&r->x.progress, &r->ps);
}

/* Send what waits: what stays in the queue is waited for, the body is not. */
static void
request_send(struct request *r)
{
	struct session *s = &r->x.session;

	if (s->end.over || s->end.conn == NULL || s->shaking)
		return;
	do {
		session_put_body(s);
		inlet_put_early(&r->x.inlet, s);
		if (r->ask.place != BODY_ALONE)
			session_put_ahead(s);
	} while (session_send(s) && buf_used(&s->body) > 0);
}

/* Wait once, and do what has become possible. */
static void
request_step(struct request *r)
{
	struct session *s = &r->x.session;

	request_poll(r);
	if (pollset_wait(&r->ps, signals_mask()) == -1) {
		session_fail(s, OUTCOME_RESOURCES, "cannot wait: %s",
		    strerror(errno));
		r->x.flush = false;
		return;
	}
	request_take_signals(r);
	for (size_t i = 0; i < 2; i++) {
		if (outlet_dispatch(&r->x.outlets[i], &r->ps) == -1)
			exchange_output_failed(&r->x, &r->x.outlets[i]);
	}
	session_dispatch(s, &r->ps);
	/* Grant again what has been written; if the queue is full, at the next
	 * step. */
	for (size_t i = 0; i < 2 && !s->end.over &&
	    s->state == SESSION_RUNNING; i++)
		(void)window_renew(&r->x.outlets[i].window,
		    conn_fd(s->end.conn), conn_out(s->end.conn),
		    s->end.request, r->x.outlets[i].name);
	inlet_dispatch(&r->x.inlet, s, &r->ps);
	r->x.traffic.in = r->x.inlet.bytes;
	progress_dispatch(&r->x.progress, r->x.traffic.in, r->x.traffic.out);
	if (session_is_late(s))
		r->x.flush = false;
	request_send(r);
}

/* Go on until there is nothing more to do for the request. */
static void
request_run(struct request *r)
{
	request_send(r);
	while (session_is_awaited(&r->x.session) || (r->x.flush &&
	    (outlet_waits(&r->x.outlets[EXCHANGE_OUT]) ||
	    outlet_waits(&r->x.outlets[EXCHANGE_ERR])))) {
		if (r->x.session.end.over)
			session_close(&r->x.session);
		request_step(r);
	}
}

/* --- from its beginning to its end ------------------------------------- */

/* Set everything to the beginning of a request. */
static int
request_begin(struct request *r, const struct body *body, struct outcome *o)
{
	int64_t limit = r->settings->timeout;

	memset(o, 0, sizeof *o);
	r->x.outcome = o;
	r->x.failed = false;
	r->x.flush = true;
	r->x.chdir = body->operation == PROTO_CHDIR;
	r->ask = *body;
	r->ask.features = request_is_open(r) ? NULL : PROTO_FEATURES;
	r->ask.wants_stdin = body->wants_stdin && !stream_input_is_null();
	inlet_begin(&r->x.inlet, r->ask.wants_stdin);
	request_forget(r);
	interrupt_begin(&r->x.interrupt);
	r->deadline = clock_in(limit > 0 ? limit : -1);
	session_await(&r->x.session, o, r->deadline);
	for (size_t i = 0; i < 2; i++) {
		r->ask.windows[i] = outlet_window(&r->x.outlets[i]);
		outlet_begin(&r->x.outlets[i]);
	}
	progress_begin(&r->x.progress, r->ask.wants_stdin);
	return session_prepare(&r->x.session, &r->ask);
}

/* Ask on the connection that there is. */
static void
request_serve(struct request *r)
{
	session_ask(&r->x.session);
	r->sent = true;
	request_run(r);
}

/* Its turn has come, and it is on its way already. */
static void
request_follow(struct request *r)
{
	r->sent = true;
	for (size_t i = 0; i < 2; i++)
		outlet_follow(&r->x.outlets[i]);
	request_run(r);
}

/* Wait until then, and make ready for another try.  False if there is to be
 * none, and the outcome is what the last one came to. */
static bool
request_pause(struct request *r, int64_t until)
{
	char why[FAILURE_MAX];

	if (until > r->deadline)
		return false;
	if (r->settings->verbose)
		outcome_say("not connected: %s; trying again",
		    failure_sentence(&r->x.outcome->failure, why));
	signals_catch();
	pollset_clear(&r->ps);
	pollset_deadline(&r->ps, until);
	if (pollset_wait(&r->ps, signals_mask()) == -1)
		return false;
	session_close(&r->x.session);
	memset(r->x.outcome, 0, sizeof *r->x.outcome);
	session_await(&r->x.session, r->x.outcome, r->deadline);
	/* It may have been sent before the server refused us. */
	if (session_prepare(&r->x.session, &r->ask) == -1)
		return false;
	r->x.flush = true;
	inlet_again(&r->x.inlet, r->ask.wants_stdin);
	request_take_signals(r);
	return session_is_awaited(&r->x.session);
}

/* Dial until there is a connection on which the request can be made, or no
 * other attempt could come to more. */
static void
request_dial(struct request *r)
{
	struct attempts a;
	int64_t until;

	attempts_begin(&a, r->settings);
	do {
		if (session_dial(&r->x.session, attempts_deadline(&a)) == 0)
			request_serve(r);
		until = attempts_next(&a, &r->x.session, r->x.outcome);
	} while (until != CLOCK_NEVER && request_pause(r, until));
}

/* Nothing is awaited any more.  Returns whether the session goes on. */
static bool
request_settle(struct request *r)
{
	session_await(&r->x.session, NULL, CLOCK_NEVER);
	if (r->x.session.end.over)
		session_close(&r->x.session);
	return request_is_open(r);
}

void
request_ask(struct request *r, const struct body *body, struct outcome *o)
{
	if (request_begin(r, body, o) == 0) {
		if (body->place == BODY_FOLLOWS &&
		    session_follow(&r->x.session))
			request_follow(r);
		else if (request_is_open(r))
			request_serve(r);
		else
			request_dial(r);
	} else if (body->place == BODY_FOLLOWS)
		/* Its answer would be taken for the next one's. */
		session_give_up(&r->x.session);
	progress_end(&r->x.progress);
	for (size_t i = 0; i < 2; i++)
		outlet_begin(&r->x.outlets[i]);
	(void)request_settle(r);
	/* Whatever has happened, no answer is no success. */
	if (o->class == OUTCOME_DONE && !o->answered)
		outcome_fail(o, OUTCOME_LOST, "the session has ended");
	o->interrupted = r->x.interrupt.passed[SIGINT];
	/* It would be run in another session, after its Ctrl-C. */
	if (o->again && o->interrupted) {
		o->again = false;
		outcome_signal(o, SIGINT);
	}
	if (!o->answered && !o->again)
		o->unsure = r->x.session.ahead.sent;
}

bool
request_put_ahead(struct request *r, struct body *body)
{
	for (size_t i = 0; i < 2; i++) {
		uint32_t window = outlet_window(&r->x.outlets[i]);

		body->windows[i] = window < AHEAD_WINDOW ? window :
		    AHEAD_WINDOW;
	}
	return ahead_put(&r->x.session.ahead, body);
}

bool
request_has_ahead(const struct request *r)
{
	return r->x.session.ahead.count > 0;
}

void
request_answer(struct request *r, const struct body *body, struct buf *answer,
    struct buf *errors, struct outcome *o)
{
	struct buf nothing;

	buf_init(&nothing, 0);
	r->x.deaf = errors == NULL;
	outlet_keep(&r->x.outlets[EXCHANGE_OUT], answer);
	outlet_keep(&r->x.outlets[EXCHANGE_ERR], r->x.deaf ? &nothing : errors);
	request_ask(r, body, o);
	r->x.deaf = false;
	outlet_keep(&r->x.outlets[EXCHANGE_OUT], NULL);
	outlet_keep(&r->x.outlets[EXCHANGE_ERR], NULL);
}

/* Await something other than a request's answer. */
static void
request_await(struct request *r, struct outcome *o, int64_t deadline)
{
	memset(o, 0, sizeof *o);
	r->x.outcome = o;
	r->x.failed = false;
	session_await(&r->x.session, request_is_open(r) ? o : NULL, deadline);
}

void
request_keep_session(struct request *r)
{
	r->x.interrupt.keeps = true;
}

int64_t
request_ping(struct request *r, struct outcome *o)
{
	struct session *s = &r->x.session;

	request_await(r, o, r->deadline);
	if (session_ping(s) == -1) {
		outcome_fail(o, OUTCOME_LOST, "the session has ended");
		session_await(s, NULL, CLOCK_NEVER);
		return -1;
	}
	request_send(r);
	while (session_is_awaited(s) && s->rtt_us == -1)
		request_step(r);
	return request_settle(r) ? s->rtt_us : -1;
}

int
request_wait(struct request *r, int fd, struct outcome *o)
{
	size_t slot;
	int n;

	request_await(r, o, CLOCK_NEVER);
	do {
		request_poll(r);
		slot = pollset_add(&r->ps, fd, POLLIN);
		n = pollset_wait(&r->ps, signals_mask());
		session_dispatch(&r->x.session, &r->ps);
		request_send(r);
	} while (n > 0 && !r->x.session.end.over &&
	    pollset_events(&r->ps, slot) == 0);
	if (r->x.session.end.over) {
		session_close(&r->x.session);
		return -1;
	}
	session_await(&r->x.session, NULL, CLOCK_NEVER);
	return n == 0 ? 0 : 1;
}

uint32_t
request_number(const struct request *r)
{
	return r->sent ? r->x.session.end.request : 0;
}

const struct traffic *
request_traffic(const struct request *r)
{
	return &r->x.traffic;
}

void
request_forget(struct request *r)
{
	r->sent = false;
	r->x.traffic = (struct traffic){ .in = 0 };
}

const struct session *
request_session(const struct request *r)
{
	return &r->x.session;
}

bool
request_is_open(const struct request *r)
{
	return r->x.session.end.conn != NULL;
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
	exchange_open(&r->x, settings);
	return r;
}

void
request_free(struct request *r)
{
	if (r == NULL)
		return;
	exchange_close(&r->x);
	pollset_free(&r->ps);
	free(r);
}
