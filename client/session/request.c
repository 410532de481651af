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
#include "client/session/progress.h"
#include "client/session/outlet.h"
#include "client/session/session.h"
#include "client/session/interrupt.h"
#include "client/session/inlet.h"
#include "client/session/request.h"

/* A server may drop a connection before TLS says anything, as it does with some
 * of many that come from one address: how often, and after how many ms, it is
 * tried again. */
#define TRIES		4
#define TRY_AGAIN	100
/* Between the attempts that the user asked for, in ms, as ssh(1) has it. */
#define ATTEMPT_AGAIN	1000
/* The connection, the three streams, and what request_wait() waits for. */
#define DESCRIPTORS	6

/* Our outputs, as indices. */
#define OUT	0
#define ERR	1

struct request {
	const struct settings *settings;
	struct session session;
	struct pollset ps;

	struct outcome *outcome;	/* Where the end is told. */
	bool sent;		/* It has got to a connection. */
	struct traffic traffic;
	bool chdir;		/* Its answer is a directory, not an end. */
	bool flush;		/* What came is written before we return. */
	bool failed;		/* By us, and its command is to end. */
	bool deaf;		/* Error output is not wanted. */
	int64_t deadline;
	struct interrupt interrupt;
	struct body ask;	/* Its words are the caller's. */

	struct inlet inlet;
	struct outlet outlets[2];
	struct progress progress;
};

/* Tell the command that its output has no reader, or to end.  Can the server
 * do so? */
static bool
request_stop(struct request *r, enum proto_type type)
{
	const struct greeting *g = &r->session.greeting;
	const uint8_t stream = PROTO_STREAM_STDOUT;

	return (type == PROTO_CLOSE ? g->closes : g->cancels) &&
	    session_put(&r->session, type, &stream, type == PROTO_CLOSE) == 0;
}

/* An output cannot be written, for errno.  The session goes on, if it has not
 * been lost meanwhile, where the server can end the command in it. */
static void
request_output_failed(struct request *r, const struct outlet *o)
{
	struct session *s = &r->session;
	enum proto_type end = errno == EPIPE ? PROTO_CLOSE : PROTO_CANCEL;

	if (o == &r->outlets[ERR] && (o->keep == NULL || r->deaf))
		return;		/* Like ssh, we can do without. */
	if (r->failed)
		return;
	/* A finished command has failed to deliver as well. */
	outlet_explain(o, r->outcome);
	r->failed = true;
	session_mute(s);
	if (s->state != SESSION_IDLE && (s->state != SESSION_RUNNING ||
	    !request_stop(r, end))) {
		session_give_up(s);
		r->flush = false;
	}
}

static const char *
request_on_output(void *owner, const struct frame *f)
{
	struct request *r = owner;
	struct outlet *o = &r->outlets[f->type == PROTO_STDERR ? ERR : OUT];
	const char *wrong = window_take(&o->window, f->length);

	if (wrong != NULL)
		return wrong;
	*(o == &r->outlets[ERR] ? &r->traffic.err : &r->traffic.out) +=
	    f->length;
	if (outlet_take(o, f->payload, f->length) == -1)
		request_output_failed(r, o);
	return NULL;
}

static const char *
request_on_started(void *owner, const struct frame *f)
{
	struct request *r = owner;
	const struct outlet *out = &r->outlets[OUT];
	uint32_t credit;

	if (r->chdir)
		return "STARTED for a change of directory";
	if (frame_get_u32(f, &credit) == -1)
		return "a malformed STARTED";
	buf_free(&r->inlet.early);
	session_started(&r->session);
	/* As earlier commands of the session have found out. */
	if (out->dead && out->keep == NULL)
		(void)request_stop(r, PROTO_CLOSE);
	return credit_add(&r->inlet.credit, credit);
}

static const char *
request_on_window(void *owner, const struct frame *f)
{
	struct request *r = owner;

	/* It may have crossed with our last word. */
	return credit_window((struct credit *[]){ &r->inlet.credit, NULL,
	    NULL }, f);
}

/* The request has its answer; the session goes on. */
static const char *
request_answered(struct request *r)
{
	session_answered(&r->session);
	r->outcome->answered = true;
	return NULL;
}

/* The server has ended the command because we have asked for that: if it was
 * for a signal, that has ended it. */
static void
request_cancelled(struct request *r)
{
	if (r->interrupt.cancelled)
		outcome_signal(r->outcome, SIGINT);
}

static const char *
request_on_exit(void *owner, const struct frame *f)
{
	struct request *r = owner;
	struct frame_exit e;

	if (frame_get_exit(f, &e) == -1 || e.status > 255 ||
	    (e.end == PROTO_END_SIGNAL && e.status > 127))
		return "a malformed EXIT";
	if (!r->failed) {
		outcome_exit(r->outcome, &e);
		r->outcome->passed = e.end == PROTO_END_SIGNAL &&
		    e.status < NSIG && r->interrupt.passed[e.status];
		if (e.reason == PROTO_CODE_CANCELLED)
			request_cancelled(r);
	}
	return request_answered(r);
}

static const char *
request_on_refused(void *owner, const struct frame *f)
{
	struct request *r = owner;
	struct frame_code said;

	if (frame_get_code(f, &said) == -1 || said.code == PROTO_CODE_NONE)
		return "a malformed REFUSED";
	outcome_code(r->outcome, &said);
	if (said.code == PROTO_CODE_CANCELLED)
		request_cancelled(r);
	return request_answered(r);
}

static const char *
request_on_directory(void *owner, const struct frame *f)
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
	return request_answered(r);
}

static const struct endpoint_frame request_frames[] = {
	{ PROTO_STDOUT, ENDPOINT_REQUEST, SESSION_RUNNING, request_on_output },
	{ PROTO_STDERR, ENDPOINT_REQUEST, SESSION_RUNNING, request_on_output },
	{ PROTO_WINDOW, ENDPOINT_REQUEST, SESSION_RUNNING | SESSION_IDLE,
	    request_on_window },
	{ PROTO_STARTED, ENDPOINT_REQUEST, SESSION_ASKED, request_on_started },
	{ PROTO_EXIT, ENDPOINT_REQUEST, SESSION_RUNNING, request_on_exit },
	{ PROTO_REFUSED, ENDPOINT_REQUEST, SESSION_ASKED, request_on_refused },
	{ PROTO_DIRECTORY, ENDPOINT_REQUEST, SESSION_ASKED,
	    request_on_directory }
};

/* --- signals ----------------------------------------------------------- */

/* A signal tells us to exit: at once, with output that is not written yet. */
static void
request_leave(struct request *r, int signo)
{
	outcome_signal(r->outcome, signo);
	session_give_up(&r->session);
	r->flush = false;
}

/* Pass on what has come to the command, if there is one or will be once our
 * request has arrived; or end for it. */
static void
request_take_signals(struct request *r)
{
	struct session *s = &r->session;
	bool passed, command = session_is_awaited(s) &&
	    (s->state == SESSION_RUNNING || (s->state == SESSION_ASKED &&
	    !r->chdir && buf_used(&s->body) == 0));
	int signo = interrupt_take(&r->interrupt, s, command, &passed);

	if (signo != 0)
		request_leave(r, signo);
	/* What the terminal has not shown yet is not worth the wait. */
	for (size_t i = 0; i < 2 && passed; i++)
		outlet_drop(&r->outlets[i]);
}

/* --- the loop ---------------------------------------------------------- */

/* Say what this step waits for. */
static void
request_poll(struct request *r)
{
	/* Without error output, standard output is all that can be read. */
	bool watch = r->session.state == SESSION_RUNNING &&
	    r->outlets[ERR].dead && !r->failed;

	pollset_clear(&r->ps);
	session_poll(&r->session, &r->ps);
	outlet_poll(&r->outlets[OUT], &r->ps, watch);
	outlet_poll(&r->outlets[ERR], &r->ps, false);
	inlet_poll(&r->inlet, &r->session, &r->ps);
	progress_poll(&r->progress, &r->ps);
}

/* Send what waits: what stays in the queue is waited for, the body is not. */
static void
request_send(struct request *r)
{
	struct session *s = &r->session;

	if (s->end.over || s->end.conn == NULL || s->shaking)
		return;
	do {
		session_put_body(s);
		inlet_put_early(&r->inlet, s);
	} while (session_send(s) && buf_used(&s->body) > 0);
}

/* Wait once, and do what has become possible. */
static void
request_step(struct request *r)
{
	struct session *s = &r->session;

	request_poll(r);
	if (pollset_wait(&r->ps, signals_mask()) == -1) {
		session_fail(s, OUTCOME_RESOURCES, "cannot wait: %s",
		    strerror(errno));
		r->flush = false;
		return;
	}
	request_take_signals(r);
	for (size_t i = 0; i < 2; i++) {
		if (outlet_dispatch(&r->outlets[i], &r->ps) == -1)
			request_output_failed(r, &r->outlets[i]);
	}
	session_dispatch(s, &r->ps);
	/* Grant again what has been written; if the queue is full, at the next
	 * step. */
	for (size_t i = 0; i < 2 && !s->end.over &&
	    s->state == SESSION_RUNNING; i++)
		(void)window_renew(&r->outlets[i].window,
		    conn_fd(s->end.conn), conn_out(s->end.conn),
		    s->end.request, r->outlets[i].name);
	inlet_dispatch(&r->inlet, s, &r->ps);
	r->traffic.in = r->inlet.bytes;
	progress_dispatch(&r->progress, r->traffic.in, r->traffic.out);
	if (session_is_late(s))
		r->flush = false;
	request_send(r);
}

/* Go on until there is nothing more to do for the request. */
static void
request_run(struct request *r)
{
	request_send(r);
	while (session_is_awaited(&r->session) || (r->flush &&
	    (outlet_waits(&r->outlets[OUT]) ||
	    outlet_waits(&r->outlets[ERR])))) {
		if (r->session.end.over)
			session_close(&r->session);
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
	r->outcome = o;
	r->failed = false;
	r->flush = true;
	r->chdir = body->operation == PROTO_CHDIR;
	r->ask = *body;
	r->ask.features = request_is_open(r) ? NULL : PROTO_FEATURES;
	r->ask.wants_stdin = body->wants_stdin && !stream_input_is_null();
	inlet_begin(&r->inlet, r->ask.wants_stdin);
	request_forget(r);
	interrupt_begin(&r->interrupt);
	r->deadline = clock_in(limit > 0 ? limit : -1);
	session_await(&r->session, o, r->deadline);
	for (size_t i = 0; i < 2; i++) {
		r->ask.windows[i] = outlet_window(&r->outlets[i]);
		outlet_begin(&r->outlets[i]);
	}
	progress_begin(&r->progress, r->ask.wants_stdin);
	return session_prepare(&r->session, &r->ask);
}

/* Ask on the connection that there is. */
static void
request_serve(struct request *r)
{
	session_ask(&r->session);
	r->sent = true;
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
		    failure_sentence(&r->outcome->failure, why));
	signals_catch();
	pollset_clear(&r->ps);
	pollset_deadline(&r->ps, until);
	if (pollset_wait(&r->ps, signals_mask()) == -1)
		return false;
	session_close(&r->session);
	memset(r->outcome, 0, sizeof *r->outcome);
	session_await(&r->session, r->outcome, r->deadline);
	/* It may have been sent before the server refused us. */
	if (session_prepare(&r->session, &r->ask) == -1)
		return false;
	r->flush = true;
	inlet_again(&r->inlet, r->ask.wants_stdin);
	request_take_signals(r);
	return session_is_awaited(&r->session);
}

/* One attempt: a server that drops the connection at once is tried again, after
 * a time that is longer at each. */
static void
request_attempt(struct request *r)
{
	int64_t limit = r->settings->connect_timeout, until;
	int64_t connected = clock_in(limit > 0 ? limit : -1);
	int tries = 0;

	do {
		if (session_dial(&r->session, connected) == -1)
			return;
		request_serve(r);
		until = clock_in((int64_t)TRY_AGAIN << tries);
	} while (r->session.dropped && tries++ < TRIES &&
	    until <= connected && request_pause(r, until));
}

/* Dial until there is a connection on which the request can be made, if another
 * attempt may come to more: nothing has begun then. */
static void
request_dial(struct request *r)
{
	const struct outcome *o = r->outcome;
	int64_t left = r->settings->attempts;

	do
		request_attempt(r);
	while (--left > 0 && (r->session.dropped ||
	    o->class == OUTCOME_CONNECT || (o->class == OUTCOME_BUSY &&
	    !r->session.greeting.waits)) && request_pause(r, clock_in(
	    o->retry > ATTEMPT_AGAIN ? o->retry : ATTEMPT_AGAIN)));
}

/* Nothing is awaited any more.  Returns whether the session goes on. */
static bool
request_settle(struct request *r)
{
	session_await(&r->session, NULL, CLOCK_NEVER);
	if (r->session.end.over)
		session_close(&r->session);
	return request_is_open(r);
}

void
request_ask(struct request *r, const struct body *body, struct outcome *o)
{
	if (request_begin(r, body, o) == 0) {
		if (request_is_open(r))
			request_serve(r);
		else
			request_dial(r);
	}
	progress_end(&r->progress);
	for (size_t i = 0; i < 2; i++)
		outlet_begin(&r->outlets[i]);
	(void)request_settle(r);
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

/* Await something other than a request's answer. */
static void
request_await(struct request *r, struct outcome *o, int64_t deadline)
{
	memset(o, 0, sizeof *o);
	r->outcome = o;
	r->failed = false;
	session_await(&r->session, request_is_open(r) ? o : NULL, deadline);
}

void
request_keep_session(struct request *r)
{
	r->interrupt.keeps = true;
}

int64_t
request_ping(struct request *r, struct outcome *o)
{
	struct session *s = &r->session;

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
		session_dispatch(&r->session, &r->ps);
		request_send(r);
	} while (n > 0 && !r->session.end.over &&
	    pollset_events(&r->ps, slot) == 0);
	if (r->session.end.over) {
		session_close(&r->session);
		return -1;
	}
	session_await(&r->session, NULL, CLOCK_NEVER);
	return n == 0 ? 0 : 1;
}

uint32_t
request_number(const struct request *r)
{
	return r->sent ? r->session.end.request : 0;
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

const struct session *
request_session(const struct request *r)
{
	return &r->session;
}

bool
request_is_open(const struct request *r)
{
	return r->session.end.conn != NULL;
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
	session_init(&r->session, settings, request_frames,
	    sizeof request_frames / sizeof *request_frames, r);
	inlet_open(&r->inlet, &r->progress);
	outlet_open(&r->outlets[OUT], STDOUT_FILENO, &r->progress);
	outlet_open(&r->outlets[ERR], STDERR_FILENO, &r->progress);
	progress_open(&r->progress, settings->progress);
	return r;
}

void
request_free(struct request *r)
{
	if (r == NULL)
		return;
	session_clear(&r->session);
	pollset_free(&r->ps);
	inlet_close(&r->inlet);
	outlet_close(&r->outlets[OUT]);
	outlet_close(&r->outlets[ERR]);
	progress_close(&r->progress);
	free(r);
}
