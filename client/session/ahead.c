/*
 * ahead.c - requests that are sent before their turn.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <string.h>

#include "common/wire/body.h"
#include "common/wire/frame.h"
#include "common/endpoint/conn.h"

#include "client/session/ahead.h"

void
ahead_init(struct ahead *a)
{
	*a = (struct ahead){ .count = 0 };
	buf_init(&a->bodies, AHEAD_BYTES);
}

void
ahead_free(struct ahead *a)
{
	buf_free(&a->bodies);
	a->count = 0;
	ahead_reset(a);
}

bool
ahead_put(struct ahead *a, const struct body *body)
{
	struct buf one;
	bool fits;

	if (a->count == AHEAD_REQUESTS)
		return false;
	buf_init(&one, PROTO_PAYLOAD_MAX);
	fits = body_put(&one, body) == 0 && buf_put(&a->bodies,
	    buf_data(&one), buf_used(&one)) == 0;
	if (fits) {
		a->entries[a->count].number = 0;
		a->entries[a->count].length = buf_used(&one);
		a->count++;
	}
	buf_free(&one);
	return fits;
}

void
ahead_send(struct ahead *a, struct conn *c, uint32_t most,
    uint32_t most_bytes, uint32_t *newest)
{
	size_t length;

	while (a->sent < a->count && a->sent < most && !a->cancelled &&
	    !a->lost) {
		length = a->entries[a->sent].length;
		if (a->sent_bytes + length > most_bytes ||
		    conn_data_room(c) < length ||
		    frame_put(conn_out(c), PROTO_REQUEST, *newest + 1,
		    buf_data(&a->bodies) + a->sent_bytes, length) == -1)
			return;
		a->entries[a->sent].number = ++*newest;
		a->sent_bytes += length;
		a->sent++;
	}
}

uint32_t
ahead_take(struct ahead *a)
{
	uint32_t number;
	size_t length;

	if (a->count == 0)
		return 0;
	number = a->entries[0].number;
	length = a->entries[0].length;
	if (number != 0) {
		a->sent--;
		a->sent_bytes -= length;
	}
	buf_consume(&a->bodies, length);
	a->count--;
	memmove(a->entries, a->entries + 1, a->count * sizeof a->entries[0]);
	return number;
}

int
ahead_cancel(struct ahead *a, struct conn *c)
{
	if (a->cancelled)
		return 0;
	a->cancelled = true;
	for (size_t i = a->sent; i-- > 0;) {
		if (frame_put(conn_out(c), PROTO_CANCEL, a->entries[i].number,
		    NULL, 0) == -1)
			return -1;
	}
	return 0;
}

size_t
ahead_most(const struct ahead *a)
{
	/* Both outputs, and what begins and ends a request. */
	return a->sent * (2 * AHEAD_WINDOW * (size_t)(PROTO_HEADER + 1) +
	    2 * (size_t)PROTO_FRAME_MAX);
}

void
ahead_lose(struct ahead *a)
{
	a->lost = a->sent > 0;
}

void
ahead_reset(struct ahead *a)
{
	for (size_t i = 0; i < a->count; i++)
		a->entries[i].number = 0;
	a->sent = 0;
	a->sent_bytes = 0;
	a->cancelled = a->lost = false;
}
