/* One of our outputs, its queue and its window.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <errno.h>

#include "client/session/outlet.h"

/*
 * Twice the window, and allocated at once: so the bytes in the queue are moved
 * to its front no more often than once a window.
 */
#define QUEUE	((size_t)2 * OUTLET_WINDOW)

void
outlet_open(struct outlet *o, int fd)
{
	stream_open(&o->stream, fd, true);
	buf_init(&o->queue, QUEUE);
	o->dead = false;
	o->keep = NULL;
	outlet_begin(o);
}

void
outlet_close(struct outlet *o)
{
	stream_close(&o->stream);
	buf_free(&o->queue);
}

void
outlet_keep(struct outlet *o, struct buf *keep)
{
	o->keep = keep;
}

void
outlet_begin(struct outlet *o)
{
	buf_free(&o->queue);
	o->window = OUTLET_WINDOW;
	o->owed = 0;
}

/* Note that "n" bytes are done with. */
static void
settle(struct outlet *o, size_t n)
{
	o->owed += (uint32_t)n;
}

static int
die(struct outlet *o)
{
	settle(o, buf_used(&o->queue));
	buf_free(&o->queue);
	o->dead = true;
	return -1;
}

int
outlet_take(struct outlet *o, const uint8_t *bytes, size_t n)
{
	enum io io = IO_OK;
	size_t done;

	o->window -= (uint32_t)n;
	if (o->keep != NULL) {
		settle(o, n);
		errno = buf_room(o->keep) < n ? EMSGSIZE : ENOMEM;
		return buf_put(o->keep, bytes, n);
	}
	while (io == IO_OK && n > 0 && !o->dead && !outlet_waits(o)) {
		io = stream_write(&o->stream, bytes, n, &done);
		settle(o, done);
		bytes += done;
		n -= done;
	}
	if (n == 0)
		return 0;
	if (!o->dead && io != IO_ERROR &&
	    buf_reserve(&o->queue, buf_room(&o->queue)) != NULL &&
	    buf_put(&o->queue, bytes, n) == 0)
		return 0;
	settle(o, n);
	return o->dead ? 0 : die(o);
}

int
outlet_drain(struct outlet *o)
{
	enum io io = IO_OK;
	size_t done;

	while (io == IO_OK && outlet_waits(o)) {
		io = stream_write(&o->stream, buf_data(&o->queue),
		    buf_used(&o->queue), &done);
		buf_consume(&o->queue, done);
		settle(o, done);
	}
	return io == IO_ERROR ? die(o) : 0;
}

bool
outlet_waits(const struct outlet *o)
{
	return buf_used(&o->queue) > 0;
}

uint32_t
outlet_due(const struct outlet *o)
{
	return o->owed >= OUTLET_WINDOW / 2 ? o->owed : 0;
}

void
outlet_grant(struct outlet *o)
{
	o->window += o->owed;
	o->owed = 0;
}
