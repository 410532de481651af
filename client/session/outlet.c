/* One of our outputs, its queue and its window.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "common/base/pollset.h"

#include "client/core/outcome.h"
#include "client/session/ahead.h"
#include "client/session/progress.h"
#include "client/session/outlet.h"

uint32_t
outlet_window(const struct outlet *o)
{
	return o->terminal ? OUTLET_TERMINAL : OUTLET_WINDOW;
}

void
outlet_open(struct outlet *o, int fd, struct progress *progress)
{
	stream_open(&o->stream, fd, true);
	o->name = (enum proto_stream)fd;
	o->progress = progress;
	o->terminal = isatty(fd) == 1;
	buf_init(&o->queue, OUTLET_MOST);
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
	o->window = (struct window){ .left = outlet_window(o),
	    .size = outlet_window(o),
	    .most = o->terminal ? OUTLET_TERMINAL : OUTLET_MOST };
}

void
outlet_follow(struct outlet *o)
{
	outlet_begin(o);
	if (o->window.left <= AHEAD_WINDOW)
		return;
	o->window.owed = o->window.left - AHEAD_WINDOW;
	o->window.left = AHEAD_WINDOW;
}

static int
outlet_die(struct outlet *o)
{
	window_settle(&o->window, buf_used(&o->queue));
	buf_free(&o->queue);
	o->dead = true;
	return -1;
}

/* Queue bytes.  There is room for the window from the first of them on; since
 * it is granted again by halves, no byte is moved to the front more often than
 * twice. */
static bool
outlet_queue(struct outlet *o, const uint8_t *bytes, size_t n)
{
	if (!outlet_waits(o) &&
	    buf_reserve(&o->queue, o->window.size) == NULL)
		return false;
	return buf_put(&o->queue, bytes, n) == 0;
}

int
outlet_take(struct outlet *o, const uint8_t *bytes, size_t n)
{
	enum io io = IO_OK;
	size_t done;

	if (o->keep != NULL) {
		window_settle(&o->window, n);
		errno = buf_room(o->keep) < n ? EMSGSIZE : ENOMEM;
		return buf_put(o->keep, bytes, n);
	}
	progress_make_way(o->progress, (int)o->name, bytes, n);
	while (io == IO_OK && n > 0 && !o->dead && !outlet_waits(o)) {
		io = stream_write(&o->stream, bytes, n, &done);
		window_settle(&o->window, done);
		bytes += done;
		n -= done;
	}
	if (n == 0)
		return 0;
	if (!o->dead && io != IO_ERROR && outlet_queue(o, bytes, n))
		return 0;
	window_settle(&o->window, n);
	return o->dead ? 0 : outlet_die(o);
}

void
outlet_poll(struct outlet *o, struct pollset *ps, bool watch)
{
	bool waits = outlet_waits(o);

	/* poll(2) reports an end even where no event is asked for. */
	o->slot = pollset_add(ps, waits || watch ? o->stream.fd : -1,
	    waits ? POLLOUT : 0);
}

int
outlet_dispatch(struct outlet *o, const struct pollset *ps)
{
	enum io io = IO_OK;
	size_t done;

	if (pollset_events(ps, o->slot) == 0)
		return 0;
	if (!outlet_waits(o)) {
		errno = EPIPE;
		/* What waited may have been dropped meanwhile. */
		return pollset_events(ps, o->slot) == POLLOUT ? 0 : -1;
	}
	progress_make_way(o->progress, (int)o->name, NULL, 0);
	while (io == IO_OK && outlet_waits(o)) {
		io = stream_write(&o->stream, buf_data(&o->queue),
		    buf_used(&o->queue), &done);
		buf_consume(&o->queue, done);
		window_settle(&o->window, done);
	}
	return io == IO_ERROR ? outlet_die(o) : 0;
}

void
outlet_explain(const struct outlet *o, struct outcome *to)
{
	if (errno == EMSGSIZE)
		outcome_fail(to, OUTCOME_RESOURCES, "the output is longer than "
		    "the %zu bytes that aisc can keep; the server ends the "
		    "command", o->keep->limit);
	else if (o->keep != NULL)
		outcome_fail(to, OUTCOME_RESOURCES, "cannot keep the output: "
		    "%s", strerror(errno));
	else
		outcome_unwritten(to, errno);
}

void
outlet_drop(struct outlet *o)
{
	if (!o->terminal)
		return;
	window_settle(&o->window, buf_used(&o->queue));
	buf_free(&o->queue);
}

bool
outlet_waits(const struct outlet *o)
{
	return buf_used(&o->queue) > 0;
}
