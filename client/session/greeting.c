/*
 * greeting.c - what the server says of itself and of the session.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include "common/base/buf.h"
#include "common/base/text.h"
#include "common/wire/frame.h"

#include "client/session/greeting.h"

static int
greeting_take_list(struct greeting *g, const uint8_t *bytes, size_t n)
{
	if (n < 16 || fetch_u64(bytes) > INT64_MAX ||
	    fetch_u64(bytes + 8) > INT64_MAX)
		return -1;
	g->list_begins = (int64_t)fetch_u64(bytes);
	g->list_ends = (int64_t)fetch_u64(bytes + 8);
	text_printable(g->list, GREETING_MAX, bytes + 16, n - 16);
	return 0;
}

/* Take one item. */
static int
greeting_take_item(struct greeting *g, uint8_t kind, const uint8_t *bytes,
    size_t n)
{
	switch (kind) {
	case PROTO_ITEM_SESSION:
		text_printable(g->session, GREETING_MAX, bytes, n);
		return 0;
	case PROTO_ITEM_SERVER:
		text_printable(g->server, GREETING_MAX, bytes, n);
		return 0;
	case PROTO_ITEM_PEER:
		text_printable(g->peer, GREETING_MAX, bytes, n);
		return 0;
	case PROTO_ITEM_FEATURES:
		g->cancels = feature_is_in(bytes, n, "cancel");
		g->closes = feature_is_in(bytes, n, "close");
		return 0;
	case PROTO_ITEM_AHEAD:
		if (n != 8)
			return -1;
		if (g->most != 0)
			return 0;	/* The first counts. */
		g->most = fetch_u32(bytes);
		g->most_bytes = fetch_u32(bytes + 4);
		return 0;
	case PROTO_ITEM_REVOCATIONS:
		return greeting_take_list(g, bytes, n);
	default:
		return 0;
	}
}

const char *
greeting_take(struct greeting *g, const struct frame *f)
{
	struct reader reader = { f->payload, f->length };
	const uint8_t *bytes;
	uint8_t kind;
	size_t n;
	int got;

	while ((got = item_get(&reader, &kind, &bytes, &n)) == 1) {
		if (greeting_take_item(g, kind, bytes, n) == -1)
			return "a malformed HELLO";
	}
	return got == -1 ? "a malformed HELLO" : NULL;
}
