/*
 * endpoint.c - one end of a session: which frame is legal when.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include "common/base/clock.h"
#include "common/base/pollset.h"
#include "common/wire/frame.h"
#include "common/endpoint/conn.h"
#include "common/endpoint/endpoint.h"

static const char *
endpoint_on_ping(void *owner, const struct frame *f)
{
	struct endpoint *e = owner;

	if (f->length > PROTO_PING_MAX)
		return "a PING is too long";
	if (frame_put(conn_out(e->conn), PROTO_PONG, 0, f->payload,
	    f->length) == -1)
		e->side->on_full(e->owner);
	return NULL;
}

static const char *
endpoint_on_pong(void *owner, const struct frame *f)
{
	struct endpoint *e = owner;

	if (f->length > PROTO_PING_MAX)
		return "a PONG is too long";
	if (e->side->on_pong != NULL)
		e->side->on_pong(e->owner, f);
	return NULL;
}

static const char *
endpoint_on_goodbye(void *owner, const struct frame *f)
{
	struct endpoint *e = owner;
	struct frame_code said;

	if (frame_get_code(f, &said) == -1)
		return "a malformed GOODBYE";
	e->side->on_goodbye(e->owner, &said);
	return NULL;
}

/* What both sides say; the owner of the handlers is the endpoint. */
static const struct endpoint_frame common_frames[] = {
	{ PROTO_PING, ENDPOINT_SESSION, ~0U, endpoint_on_ping },
	{ PROTO_PONG, ENDPOINT_SESSION, ~0U, endpoint_on_pong },
	{ PROTO_GOODBYE, ENDPOINT_SESSION, ~0U, endpoint_on_goodbye }
};

/* What takes frames of "type", with its owner; or NULL. */
static const struct endpoint_frame *
endpoint_find(struct endpoint *e, uint8_t type, void **owner)
{
	const struct endpoint_table tables[] = {
		{ common_frames, sizeof common_frames / sizeof *common_frames,
		    e },
		{ e->side->frames, e->side->nframes, e->owner }, e->requests
	};

	for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
		*owner = tables[i].owner;
		for (size_t k = 0; k < tables[i].count; k++) {
			if (tables[i].frames[k].type == type)
				return &tables[i].frames[k];
		}
	}
	return NULL;
}

/* Handle one frame.  NULL, or what is wrong with it. */
static const char *
endpoint_take(struct endpoint *e, const struct frame *f)
{
	unsigned state = e->side->state(e->owner);
	bool legal;
	void *owner;
	const struct endpoint_frame *known = endpoint_find(e, f->type, &owner);

	if (known == NULL)
		return "an unknown type of frame";
	if ((known->scope == ENDPOINT_SESSION) != (f->request == 0))
		return "a frame has a request's number where it may not, or "
		    "none where it must";
	legal = (known->states & state) != 0;
	if (known->scope == ENDPOINT_TRAILS && (f->request < e->request ||
	    (f->request == e->request && !legal)))
		return NULL;
	if ((known->scope >= ENDPOINT_REQUEST && f->request != e->request) ||
	    !legal)
		return "a frame came where it is not legal";
	return known->handle(owner, f);
}

void
endpoint_poll(struct endpoint *e, struct pollset *ps)
{
	/* poll(2) reports an end again and again. */
	conn_poll(e->ended == IO_OK ? e->conn : NULL, ps, !e->over);
	if (e->paused && !e->over)
		pollset_deadline(ps, clock_now());
}

bool
endpoint_ready(const struct endpoint *e, const struct pollset *ps)
{
	return !e->over && (e->paused ||
	    (e->ended == IO_OK && conn_ready(e->conn, ps)));
}

/* Answer the PINGs among the frames that wait. */
static void
endpoint_scan(struct endpoint *e)
{
	struct frame f;

	while (!e->over && conn_peek_at(e->conn, e->scanned, &f) == 1) {
		if (f.type == PROTO_PING && f.request == 0 &&
		    endpoint_on_ping(e, &f) != NULL)
			return;
		e->scanned += PROTO_HEADER + f.length;
	}
}

/* Handle a frame that has not been answered while it waited, and drop it. */
static void
endpoint_handle(struct endpoint *e, const struct frame *f)
{
	bool scanned = e->scanned > 0;
	const char *wrong = NULL;

	e->scanned -= scanned ? PROTO_HEADER + f->length : 0;
	if (!scanned || f->type != PROTO_PING || f->request != 0)
		wrong = endpoint_take(e, f);
	if (wrong != NULL && !e->over)
		e->side->on_violation(e->owner, wrong);
	/* A handler may have given the connection away. */
	if (e->conn != NULL)
		conn_done(e->conn, f);
}

enum io
endpoint_receive(struct endpoint *e)
{
	enum io io = e->paused || e->ended != IO_OK ? IO_WAIT :
	    conn_read(e->conn);
	struct frame f;
	int got = 0;

	if (io == IO_EOF || io == IO_ERROR)
		e->ended = io;
	e->paused = false;
	while (!e->over && !e->held &&
	    (got = conn_peek(e->conn, &f)) == 1 && !e->paused)
		endpoint_handle(e, &f);
	/* Without another frame there is nothing to come back to. */
	e->paused = e->paused && got == 1 && !e->over;
	if (e->held)
		endpoint_scan(e);
	if (e->held && conn_is_full(e->conn) && !e->over)
		e->side->on_violation(e->owner, "more came than was granted");
	if (!e->held && got == -1 && !e->over)
		e->side->on_violation(e->owner, "a frame is too long");
	if (e->ended == IO_OK)
		return io;
	return e->paused || e->held ? IO_OK : e->ended;
}

void
endpoint_release(struct endpoint *e)
{
	e->held = false;
	e->paused = true;
}

void
endpoint_reset(struct endpoint *e)
{
	e->conn = NULL;
	e->over = e->paused = e->held = false;
	e->scanned = 0;
	e->ended = IO_OK;
}
