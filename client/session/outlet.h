/*
 * outlet.h - one of our two outputs, with what waits to be written and the
 * window of what may come.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_OUTLET_H
#define AIS_OUTLET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"

#include "client/core/stream.h"

/* What may be under way to one output.  Half of it, once it is written, is
 * granted again. */
#define OUTLET_WINDOW	(1024 * 1024)

struct outlet {
	struct stream stream;
	struct buf queue;	/* What came and could not be written yet. */
	uint32_t window;	/* What the server may still send. */
	uint32_t owed;		/* What was written, to be granted again. */
	bool dead;		/* It cannot be written; drop what comes. */
	struct buf *keep;	/* Where it goes instead, or NULL. */
	size_t slot;		/* In the poll set, for the owner. */
};

/* Make "o" the output to "fd", which stays open when it is closed. */
void outlet_open(struct outlet *o, int fd);
void outlet_close(struct outlet *o);

/* Put what comes from now on into "keep", and write nothing; NULL: write it
 * again.  outlet_take() fails with EMSGSIZE where "keep" is full. */
void outlet_keep(struct outlet *o, struct buf *keep);

/* Begin a request: nothing is queued, and the window is OUTLET_WINDOW. */
void outlet_begin(struct outlet *o);

/*
 * Write the "n" bytes that came, or keep what cannot be written at once; they
 * fit into the window.  0, or -1 with errno set if the output fails; it is
 * dead from then on, and drops everything.
 */
int outlet_take(struct outlet *o, const uint8_t *bytes, size_t n);

/* Write what waits, as far as it goes.  As outlet_take(). */
int outlet_drain(struct outlet *o);

/* Does something wait to be written? */
bool outlet_waits(const struct outlet *o);

/* How much is worth being granted now, or 0.  outlet_grant() then does it. */
uint32_t outlet_due(const struct outlet *o);
void outlet_grant(struct outlet *o);

#endif
