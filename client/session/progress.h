/*
 * progress.h - how much of a request's input and output has passed, in one
 * line on standard error that is drawn again and again.
 * SPDX-License-Identifier: ISC
 *
 * What goes through pipes and files counts, but not what is typed or read at a
 * terminal.  While nothing is shown, nothing is waited for.
 */
#ifndef AIS_PROGRESS_H
#define AIS_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/core/settings.h"
#include "client/core/stream.h"

struct pollset;

struct progress {
	enum settings_progress mode;
	struct stream out;	/* Standard error. */
	bool terminal[3];	/* Which of our streams are one. */

	bool begun;		/* There is a request. */
	bool counts_in;
	int64_t size;		/* Of the input, or -1: not known. */
	uint64_t in, out_bytes;	/* So much has passed. */
	int64_t since;		/* When the first byte did, or -1. */
	int64_t due;		/* When to draw next. */
	int64_t drawn;		/* When it was drawn last, and with what: */
	uint64_t drawn_bytes;
	double rate;		/* Bytes a second. */
	size_t shown;		/* The columns that are on the screen. */
	bool midline;		/* Others have not ended their line there. */
};

/* Make ready, and leave everything as it was. */
void progress_open(struct progress *p, enum settings_progress mode);
void progress_close(struct progress *p);

/* A request begins, which has our standard input or not; and it is over. */
void progress_begin(struct progress *p, bool input);
void progress_end(struct progress *p);

/* Say until when to wait, and after each wait what has passed so far. */
void progress_poll(const struct progress *p, struct pollset *ps);
void progress_dispatch(struct progress *p, uint64_t in, uint64_t out);

/*
 * Make way for what goes to the stream "fd", 1 or 2: "n" bytes, or those of
 * which we have been told before, with NULL.  Nothing is drawn after a line
 * that has no end.
 */
void progress_make_way(struct progress *p, int fd, const void *bytes,
    size_t n);

#endif
