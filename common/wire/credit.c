/*
 * credit.c - how much of a stream may be under way.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <assert.h>

#include "common/base/clock.h"
#include "common/base/net.h"
#include "common/wire/frame.h"
#include "common/wire/credit.h"

const char *
credit_add(struct credit *c, uint32_t more)
{
	if (more > PROTO_WINDOW_MAX - c->left)
		return "a window is too large";
	c->left += more;
	return NULL;
}

const char *
credit_window(struct credit *const streams[3], const struct frame *f)
{
	uint8_t stream;
	uint32_t more;

	if (frame_get_window(f, &stream, &more) == -1 ||
	    streams[stream] == NULL)
		return "a malformed WINDOW";
	return credit_add(streams[stream], more);
}

void
credit_spend(struct credit *c, size_t n)
{
	assert(n <= c->left);
	c->left -= (uint32_t)n;
}

const char *
window_take(struct window *w, size_t n)
{
	if (n == 0)
		return "a frame of a stream is empty";
	if (n > w->left)
		return "a stream overran its window";
	w->left -= (uint32_t)n;
	return NULL;
}

void
window_settle(struct window *w, size_t n)
{
	w->owed += (uint32_t)n;
}

uint32_t
window_growth(const struct window *w, int64_t elapsed, int64_t path)
{
	/* Where the window is what limits the sender, half of it is used up in
	 * each round trip.  Where the path or the reader is, less: the window
	 * is large enough when a third of it would be. */
	if (path <= 0 || elapsed > path + path / 2)
		return 0;
	return w->size < w->most - w->size ? w->size : w->most - w->size;
}

int
window_renew(struct window *w, int fd, struct buf *out, uint32_t request,
    enum proto_stream stream)
{
	struct net_carried path;
	uint32_t growth = 0;
	int64_t now;

	if (w->owed < w->size / 2)
		return 0;
	now = clock_now_us();
	if (w->size < w->most && w->since != 0) {
		net_carried(fd, &path);
		growth = window_growth(w, now - w->since, path.round_trip);
	}
	if (frame_put_window(out, request, stream, w->owed + growth) == -1)
		return -1;
	w->left += w->owed + growth;
	w->owed = 0;
	w->size += growth;
	w->since = now;
	return 0;
}
