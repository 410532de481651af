/*
 * ahead.h - requests that are sent before their turn.
 * SPDX-License-Identifier: ISC
 *
 * A script over a long path takes a round trip for each of its commands, unless
 * those that follow are with the server already when one ends.  They wait here
 * until the server can take them, and from then on for their turn.
 */
#ifndef AIS_AHEAD_H
#define AIS_AHEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"

struct body;
struct conn;

/* At most so many wait, and so many bytes, also where the server takes more. */
#define AHEAD_REQUESTS	16
#define AHEAD_BYTES	(128 * 1024)

/* The windows of each: what comes of them before their turn has to be kept. */
#define AHEAD_WINDOW	(256 * 1024)

struct ahead {
	struct buf bodies;	/* One after the other. */
	struct {
		uint32_t number;	/* 0: not sent. */
		size_t length;
	} entries[AHEAD_REQUESTS];
	size_t count;
	size_t sent;		/* So many of them, from the first one on, */
	size_t sent_bytes;
	bool cancelled;		/* and the server is not to begin them; */
	bool lost;		/* or it is not known whether it has, since
				 * their session is over. */
};

/* None waits.  ahead_free() forgets those that do, and their memory. */
void ahead_init(struct ahead *a);
void ahead_free(struct ahead *a);

/* Add a request.  False if there is no room, or it needs more than a frame. */
bool ahead_put(struct ahead *a, const struct body *body);

/* Queue those for "c" that a server takes, of whom no more than "most" and
 * "most_bytes" are to be under way; "*newest" is the last number used, and
 * becomes that of the last. */
void ahead_send(struct ahead *a, struct conn *c, uint32_t most,
    uint32_t most_bytes, uint32_t *newest);

/* The first one's turn has come: forget it.  Its number, or 0: it is not sent,
 * or there is none. */
uint32_t ahead_take(struct ahead *a);

/* Let the server begin none of those that are sent, the last one first: none
 * runs without those before it.  No others are sent then.  0, or -1: memory is
 * out. */
int ahead_cancel(struct ahead *a, struct conn *c);

/* How many bytes may come of those that are sent, in the shortest frames. */
size_t ahead_most(const struct ahead *a);

/* The session is over, and what became of those sent is not known. */
void ahead_lose(struct ahead *a);

/* The server will begin none of them: they are as if they had not been sent. */
void ahead_reset(struct ahead *a);

#endif
