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
#include "common/wire/credit.h"

#include "client/core/stream.h"

struct outcome;
struct pollset;
struct progress;

/* What may be under way to one output, at first, and at the most over a long
 * path; to a terminal no more than is shown within a moment, because Ctrl-C
 * does not call it back.  Half of it, once it is written, is granted again. */
#define OUTLET_WINDOW	(1024 * 1024)
#define OUTLET_MOST	(64 * OUTLET_WINDOW)
#define OUTLET_TERMINAL	(64 * 1024)

struct outlet {
	struct stream stream;
	enum proto_stream name;	/* Its descriptor has the same number. */
	struct progress *progress;	/* What makes way for it. */
	bool terminal;
	struct buf queue;	/* What came and could not be written yet. */
	struct window window;	/* What the server may still send. */
	bool dead;		/* It cannot be written; drop what comes. */
	struct buf *keep;	/* Where it goes instead, or NULL. */
	size_t slot;
};

/* Make "o" the output to "fd", 1 or 2, which stays open when it is closed;
 * "progress" is borrowed. */
void outlet_open(struct outlet *o, int fd, struct progress *progress);
void outlet_close(struct outlet *o);

/* Put what comes from now on into "keep", and write nothing; NULL: write it
 * again.  outlet_take() fails with EMSGSIZE where "keep" is full. */
void outlet_keep(struct outlet *o, struct buf *keep);

/* The window at first: OUTLET_TERMINAL or OUTLET_WINDOW. */
uint32_t outlet_window(const struct outlet *o);

/* Begin a request: nothing is queued, and the whole window is granted; or of
 * one that was sent ahead no more than AHEAD_WINDOW, and the rest is owed. */
void outlet_begin(struct outlet *o);
void outlet_follow(struct outlet *o);

/*
 * Write the "n" bytes that came, or keep what cannot be written at once; their
 * credit is taken.  0, or -1 with errno set if the output fails; it is
 * dead from then on, and drops everything.
 */
int outlet_take(struct outlet *o, const uint8_t *bytes, size_t n);

/*
 * Wait until what waits can be written, or, if nothing does, with "watch" until
 * its reader has gone.  Then write it, as far as it goes.  As
 * outlet_take().
 */
void outlet_poll(struct outlet *o, struct pollset *ps, bool watch);
int outlet_dispatch(struct outlet *o, const struct pollset *ps);

/* Tell in "to" why it has failed, for errno. */
void outlet_explain(const struct outlet *o, struct outcome *to);

/* Drop what waits for a terminal. */
void outlet_drop(struct outlet *o);

/* Does something wait to be written? */
bool outlet_waits(const struct outlet *o);

#endif
