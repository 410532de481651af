/*
 * exchange.c - what the server sends for a request, and what becomes of it.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "common/wire/frame.h"
#include "common/endpoint/conn.h"

#include "client/core/settings.h"
#include "client/session/exchange.h"

/* Tell the command that its output has no reader, or to end.  Can the server
 * do so? */
static bool
exchange_stop(struct exchange *x, enum proto_type type)
{
	const struct greeting *g = &x->session.greeting;
	const uint8_t stream = PROTO_STREAM_STDOUT;

	return (type == PROTO_CLOSE ? g->closes : g->cancels) &&
	    session_put(&x->session, type, &stream, type == PROTO_CLOSE) == 0;
}

void
exchange_output_failed(struct exchange *x, const struct outlet *o)
{
	struct session *s = &x->session;
	enum proto_type end = errno == EPIPE ? PROTO_CLOSE : PROTO_CANCEL;

	if (o == &x->outlets[EXCHANGE_ERR] && (o->keep == NULL || x->deaf))
		return;		/* Like ssh, we can do without. */
	if (x->failed)
		return;
	/* A finished command has failed to deliver as well. */
	outlet_explain(o, x->outcome);
	x->failed = true;
	if (end == PROTO_CANCEL && o->keep == NULL)
		session_recall(s);	/* It ends the script. */
	session_mute(s);
	if (s->state != SESSION_IDLE && (s->state != SESSION_RUNNING ||
	    !exchange_stop(x, end))) {
		session_give_up(s);
		x->flush = false;
	}
}

static const char *
exchange_on_output(void *owner, const struct frame *f)
{
	struct exchange *x = owner;
	bool error = f->type == PROTO_STDERR;
	struct outlet *o = &x->outlets[error ? EXCHANGE_ERR : EXCHANGE_OUT];
	const char *wrong = window_take(&o->window, f->length);

	if (wrong != NULL)
		return wrong;
	*(error ? &x->traffic.err : &x->traffic.out) += f->length;
	if (outlet_take(o, f->payload, f->length) == -1)
		exchange_output_failed(x, o);
	return NULL;
}

static const char *
exchange_on_started(void *owner, const struct frame *f)
{
	struct exchange *x = owner;
	const struct outlet *out = &x->outlets[EXCHANGE_OUT];
	uint32_t credit;

	if (x->chdir)
		return "STARTED for a change of directory";
	if (frame_get_u32(f, &credit) == -1)
		return "a malformed STARTED";
	buf_free(&x->inlet.early);
	session_started(&x->session);
	/* As earlier commands of the session have found out. */
	if (out->dead && out->keep == NULL)
		(void)exchange_stop(x, PROTO_CLOSE);
	return credit_add(&x->inlet.credit, credit);
}

static const char *
exchange_on_window(void *owner, const struct frame *f)
{
	struct exchange *x = owner;

	/* It may have crossed with our last word. */
	return credit_window((struct credit *[]){ &x->inlet.credit, NULL,
	    NULL }, f);
}

/* The request has its answer; the session goes on. */
static const char *
exchange_answered(struct exchange *x)
{
	session_answered(&x->session);
	x->outcome->answered = true;
	return NULL;
}

/* The server has ended the command because we have asked for that: if it was
 * for a signal, that has ended it. */
static void
exchange_cancelled(struct exchange *x)
{
	if (x->interrupt.cancelled)
		outcome_signal(x->outcome, SIGINT);
}

static const char *
exchange_on_exit(void *owner, const struct frame *f)
{
	struct exchange *x = owner;
	struct frame_exit e;

	if (frame_get_exit(f, &e) == -1)
		return "a malformed EXIT";
	if (!x->failed) {
		outcome_exit(x->outcome, &e);
		x->outcome->passed = e.end == PROTO_END_SIGNAL &&
		    e.status < NSIG && x->interrupt.passed[e.status];
		if (e.reason == PROTO_CODE_CANCELLED)
			exchange_cancelled(x);
	}
	return exchange_answered(x);
}

static const char *
exchange_on_refused(void *owner, const struct frame *f)
{
	struct exchange *x = owner;
	struct frame_code said;

	if (frame_get_code(f, &said) == -1 || said.code == PROTO_CODE_NONE)
		return "a malformed REFUSED";
	outcome_code(x->outcome, &said);
	if (said.code == PROTO_CODE_CANCELLED)
		exchange_cancelled(x);
	return exchange_answered(x);
}

static const char *
exchange_on_directory(void *owner, const struct frame *f)
{
	struct exchange *x = owner;

	/* A command is over by EXIT alone. */
	if (!x->chdir)
		return "DIRECTORY for a command";
	if (f->length == 0 || f->length > PROTO_PATH_MAX ||
	    memchr(f->payload, '\0', f->length) != NULL)
		return "a malformed DIRECTORY";
	memcpy(x->outcome->directory, f->payload, f->length);
	x->outcome->directory[f->length] = '\0';
	return exchange_answered(x);
}

static const struct endpoint_frame frames[] = {
	{ PROTO_STDOUT, ENDPOINT_REQUEST, SESSION_RUNNING, exchange_on_output },
	{ PROTO_STDERR, ENDPOINT_REQUEST, SESSION_RUNNING, exchange_on_output },
	{ PROTO_WINDOW, ENDPOINT_REQUEST, SESSION_RUNNING | SESSION_IDLE,
	    exchange_on_window },
	{ PROTO_STARTED, ENDPOINT_REQUEST, SESSION_ASKED, exchange_on_started },
	{ PROTO_EXIT, ENDPOINT_REQUEST, SESSION_RUNNING, exchange_on_exit },
	{ PROTO_REFUSED, ENDPOINT_REQUEST, SESSION_ASKED, exchange_on_refused },
	{ PROTO_DIRECTORY, ENDPOINT_REQUEST, SESSION_ASKED,
	    exchange_on_directory }
};

void
exchange_open(struct exchange *x, const struct settings *settings)
{
	session_init(&x->session, settings, frames,
	    sizeof frames / sizeof *frames, x);
	progress_open(&x->progress, settings->progress);
	inlet_open(&x->inlet, &x->progress);
	outlet_open(&x->outlets[EXCHANGE_OUT], STDOUT_FILENO, &x->progress);
	outlet_open(&x->outlets[EXCHANGE_ERR], STDERR_FILENO, &x->progress);
}

void
exchange_close(struct exchange *x)
{
	session_clear(&x->session);
	inlet_close(&x->inlet);
	outlet_close(&x->outlets[EXCHANGE_OUT]);
	outlet_close(&x->outlets[EXCHANGE_ERR]);
	progress_close(&x->progress);
}
