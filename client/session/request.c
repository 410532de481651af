/*
 * request.c - one request: its streams, signals and deadlines.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/wire/body.h"
#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/wire/frame.h"
#include "common/endpoint/conn.h"
#include "common/base/pollset.h"
#include "common/tls/tls.h"

#include "client/core/outcome.h"
#include "client/core/settings.h"
#include "client/core/signals.h"
#include "client/core/stream.h"
#include "client/session/session.h"
#include "client/session/request.h"

/* A second Ctrl-C within this time ends aisc, in ms. */
#define TWICE		1000
/* A server may drop a connection before TLS says anything, as it does with some
 * of many that come from one address: how often, and after how many ms, it is
 * tried again. */
#define TRIES		4
#define TRY_AGAIN	100
/* Between the attempts that the user asked for, in ms, as ssh(1) has it. */
#define ATTEMPT_AGAIN	1000
/* Whether a job in the background has come to the front of its terminal is
 * asked so often, in ms: nothing tells it. */
#define ASK_FRONT	250
/* The connection, the three streams, and what request_wait() waits for. */
#define DESCRIPTORS	6

void
request_leave(struct request *r, int signo)
{
	outcome_signal(r->outcome, signo);
	request_give_up(r);
	r->flush = false;
}

void
request_close(struct request *r)
{
	/* What we said last may still fit. */
	if (r->end.conn != NULL && !r->shaking)
		(void)conn_write(r->end.conn);
	conn_close(r->end.conn);
	r->end.conn = NULL;
	r->state = STATE_GREETING;	/* Of the next one. */
	r->end.over = false;
}

static void
drain(struct request *r, struct outlet *o)
{
	progress_make_way(&r->progress, o == &r->outlets[REQUEST_ERR] ?
	    STDERR_FILENO : STDOUT_FILENO, NULL, 0);
	if (outlet_drain(o) == -1)
		(void)request_output_failed(r, o);
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
		if (due > 0 && frame_put_window(conn_out(r->end.conn),
		    r->end.request, names[i], due) == 0)
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
	    r->credit > 0 && conn_data_room(r->end.conn) > 0;
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
		request_fail(r, OUTCOME_INPUT, "cannot read standard input: %s",
		    strerror(errno));
		return;
	}
	progress_make_way(&r->progress, STDERR_FILENO, NULL, 0);
	outcome_say("cannot read standard input: %s; it ends here",
	    strerror(errno));
	r->reading = frame_put(conn_out(r->end.conn), PROTO_STDIN_EOF,
	    r->end.request, NULL, 0) == -1;
}

static void
read_input(struct request *r)
{
	enum io io = IO_OK;
	size_t room, n;
	uint8_t *p;

	while (io == IO_OK && wants_input(r) && may_read(r)) {
		room = conn_data_room(r->end.conn);
		if (room > r->credit)
			room = r->credit;
		if (r->state != STATE_RUNNING && room > buf_room(&r->early))
			room = buf_room(&r->early);
		if ((p = frame_reserve(conn_out(r->end.conn), room)) == NULL)
			return;
		io = stream_read(&r->in, p, room, &n);
		if (io == IO_OK && r->state != STATE_RUNNING &&
		    buf_put(&r->early, p, n) == -1) {
			request_fail(r, OUTCOME_RESOURCES, "out of memory");
			return;
		}
		if (io == IO_OK) {
			frame_commit(conn_out(r->end.conn), PROTO_STDIN,
			    r->end.request, n);
			r->credit -= (uint32_t)n;
			r->traffic.in += n;
		}
	}
	if (io == IO_ERROR)
		input_failed(r);
	else if (io == IO_EOF)
		r->reading = frame_put(conn_out(r->end.conn), PROTO_STDIN_EOF,
		    r->end.request, NULL, 0) == -1;
}

/* --- the loop ---------------------------------------------------------- */

/* Say what this turn waits for. */
static void
poll_all(struct request *r)
{
	bool wants, reads;

	pollset_clear(&r->ps);
	endpoint_poll(&r->end, &r->ps);
	for (size_t i = 0; i < 2; i++) {
		struct outlet *o = &r->outlets[i];

		o->slot = pollset_add(&r->ps, outlet_waits(o) ?
		    o->stream.fd : -1, POLLOUT);
	}
	/* Without error output, all that is left for somebody to read is
	 * standard output: poll(2) reports its end even where no event is
	 * asked for. */
	if (r->state == STATE_RUNNING && r->outlets[REQUEST_ERR].dead &&
	    !r->failed &&
	    !outlet_waits(&r->outlets[REQUEST_OUT]))
		r->outlets[REQUEST_OUT].slot = pollset_add(&r->ps,
		    r->outlets[REQUEST_OUT].stream.fd, 0);
	wants = wants_input(r);
	reads = wants && may_read(r);
	r->in_slot = pollset_add(&r->ps, reads ? r->in.fd : -1, POLLIN);
	if (wants && !reads)
		pollset_deadline(&r->ps, clock_in(ASK_FRONT));
	if (r->asked)
		pollset_deadline(&r->ps, r->deadline);
	if (r->asked && request_is_connecting(r))
		pollset_deadline(&r->ps, r->connected);
	if (r->asked && r->greeting.waits) {
		pollset_deadline(&r->ps, r->waited);
		pollset_deadline(&r->ps, r->tell);
	}
	progress_poll(&r->progress, &r->ps);
}

/* Do what has become possible. */
static void
dispatch_all(struct request *r)
{
	for (size_t i = 0; i < 2; i++) {
		if (pollset_events(&r->ps, r->outlets[i].slot) == 0)
			continue;
		if (outlet_waits(&r->outlets[i]))
			drain(r, &r->outlets[i]);
		else {
			errno = EPIPE;
			(void)request_output_failed(r, &r->outlets[i]);
		}
	}
	if (endpoint_ready(&r->end, &r->ps)) {
		if (r->shaking)
			request_shake(r);
		else
			request_receive(r);
	}
	if (!r->end.over)
		grant(r);
	if (!r->end.over && pollset_events(&r->ps, r->in_slot) != 0)
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
	    frame_put(conn_out(r->end.conn), PROTO_SIGNAL, r->end.request, name,
	    strlen(name)) == -1)
		request_leave(r, signo);
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
handle_signals(struct request *r)
{
	if (signals_take(SIGINT))
		pass_on(r, SIGINT, "INT");
	if (signals_take(SIGQUIT))
		pass_on(r, SIGQUIT, "QUIT");
	if (signals_take(SIGTERM))
		request_leave(r, SIGTERM);
	if (signals_take(SIGHUP))
		request_leave(r, SIGHUP);
}

/* Is there still something to do for the request? */
static bool
goes_on(const struct request *r)
{
	return r->asked || (r->flush &&
	    (outlet_waits(&r->outlets[REQUEST_OUT]) ||
	    outlet_waits(&r->outlets[REQUEST_ERR])));
}

static void
run(struct request *r)
{
	request_send(r);
	while (goes_on(r)) {
		if (r->end.over)
			request_close(r);
		poll_all(r);
		if (pollset_wait(&r->ps, signals_mask()) == -1) {
			request_fail(r, OUTCOME_RESOURCES, "cannot wait: %s",
			    strerror(errno));
			return;
		}
		handle_signals(r);
		dispatch_all(r);
		progress_dispatch(&r->progress, r->traffic.in, r->traffic.out);
		if (r->asked && !request_is_late(r))
			request_tell_wait(r);
		request_send(r);
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
	r->ask.features = r->end.conn == NULL ? PROTO_FEATURES : NULL;
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
	request_close(r);
	memset(r->outcome, 0, sizeof *r->outcome);
	/* It may have been sent before the server refused us. */
	if (prepare_body(r) == -1)
		return false;
	r->asked = true;
	r->flush = true;
	r->again = r->ask.wants_stdin;
	r->credit = r->again ? PROTO_STDIN_FIRST : 0;
	handle_signals(r);
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
		if (request_dial(r) == -1)
			return;
		r->end.request++;
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
		if (r->end.conn == NULL)
			dial_and_run(r);
		else {
			r->end.request++;
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
	if (r->end.over)
		request_close(r);
}

void
request_answer(struct request *r, const struct body *body, struct buf *answer,
    struct buf *errors, struct outcome *o)
{
	struct buf nothing;

	buf_init(&nothing, 0);
	r->deaf = errors == NULL;
	outlet_keep(&r->outlets[REQUEST_OUT], answer);
	outlet_keep(&r->outlets[REQUEST_ERR], r->deaf ? &nothing : errors);
	request_ask(r, body, o);
	r->deaf = false;
	outlet_keep(&r->outlets[REQUEST_OUT], NULL);
	outlet_keep(&r->outlets[REQUEST_ERR], NULL);
}

int64_t
request_ping(struct request *r, struct outcome *o)
{
	memset(o, 0, sizeof *o);
	r->outcome = o;
	r->failed = false;
	r->pinged_us = clock_now_us();
	if (r->end.conn == NULL || r->state != STATE_IDLE ||
	    frame_put(conn_out(r->end.conn), PROTO_PING, 0, &r->pinged_us,
	    sizeof r->pinged_us) == -1) {
		outcome_fail(o, OUTCOME_LOST, "the session has ended");
		return -1;
	}
	r->asked = true;
	run(r);
	r->pinged_us = 0;
	if (!r->end.over)
		return r->rtt_us;
	request_close(r);
	return -1;
}

uint32_t
request_number(const struct request *r)
{
	return r->sent ? r->end.request : 0;
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
	return r->end.conn;
}

int
request_wait(struct request *r, int fd, struct outcome *o)
{
	size_t slot;
	int n;

	memset(o, 0, sizeof *o);
	r->outcome = o;
	r->failed = false;
	r->deadline = CLOCK_NEVER;
	for (;;) {
		/* Whatever ends the session now is told as its end. */
		r->asked = r->end.conn != NULL;
		poll_all(r);
		slot = pollset_add(&r->ps, fd, POLLIN);
		n = pollset_wait(&r->ps, signals_mask());
		if (endpoint_ready(&r->end, &r->ps))
			request_receive(r);
		request_send(r);
		r->asked = false;
		if (r->end.over) {
			request_close(r);
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
	return r->end.conn != NULL;
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
	r->end.side = &session_side;
	r->end.owner = r;
	buf_init(&r->body, PROTO_BODY_MAX);
	/* It goes into one frame, should it be sent again. */
	buf_init(&r->early, PROTO_PAYLOAD_MAX);
	stream_open(&r->in, STDIN_FILENO, false);
	r->terminal = isatty(STDIN_FILENO) == 1;
	outlet_open(&r->outlets[REQUEST_OUT], STDOUT_FILENO);
	outlet_open(&r->outlets[REQUEST_ERR], STDERR_FILENO);
	progress_open(&r->progress, settings->progress);
	return r;
}

void
request_free(struct request *r)
{
	if (r == NULL)
		return;
	request_close(r);
	tls_context_free(r->tls);
	pollset_free(&r->ps);
	buf_free(&r->body);
	buf_free(&r->early);
	stream_close(&r->in);
	outlet_close(&r->outlets[REQUEST_OUT]);
	outlet_close(&r->outlets[REQUEST_ERR]);
	progress_close(&r->progress);
	free(r);
}
