/*
 * intake.h - requests that have come and are not begun yet.
 * SPDX-License-Identifier: ISC
 *
 * A client may send requests before the one that is served has its answer, so
 * that a script does not take a round trip for each line.  Their bodies wait
 * here as they came; what they ask for is looked at when their turn comes.
 */
#ifndef AIS_INTAKE_H
#define AIS_INTAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"

struct frame;

/* So many may wait behind the one that is served, and so many bytes of bodies;
 * HELLO says so.  The bytes are memory that each client can fill. */
#define INTAKE_REQUESTS	16
#define INTAKE_BYTES	65536

struct intake_entry {
	uint32_t number;
	size_t length;		/* Of its body, so far. */
	bool cancelled;
};

struct intake {
	uint32_t newest;	/* The number of the last that began to come. */
	bool partial;		/* More of that one's body is to come. */
	struct buf bytes;	/* The bodies, one after the other. */
	struct intake_entry entries[INTAKE_REQUESTS + 1];
	size_t count;
};

/* Nothing waits.  intake_free() forgets what does, and its memory. */
void intake_init(struct intake *in);
void intake_free(struct intake *in);

/*
 * Take a frame with a part of a body, or its end.  "busy": a request is served.
 * NULL, or what the peer did wrong, as a constant; "*full" is set if memory is
 * out.
 */
const char *intake_take(struct intake *in, const struct frame *f, bool busy,
    bool *full);

/* The oldest one that is whole, whose body is at the front of "bytes"; or
 * NULL.  intake_done() drops it. */
const struct intake_entry *intake_next(const struct intake *in);
void intake_done(struct intake *in);

/* Let the one with this number be refused when its turn comes; false if no such
 * one waits. */
bool intake_cancel(struct intake *in, uint32_t number);

/* Does nothing wait, and not a part either? */
bool intake_is_empty(const struct intake *in);

#endif
