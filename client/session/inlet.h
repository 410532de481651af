/*
 * inlet.h - our standard input, and how much of it the command takes.
 * SPDX-License-Identifier: ISC
 *
 * The first of it goes along with the request, without word of a start.  It is
 * kept until that comes: a server that drops us gets it again in the next
 * session.
 */
#ifndef AIS_INLET_H
#define AIS_INLET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/wire/credit.h"

#include "client/core/stream.h"

struct pollset;
struct progress;
struct session;

struct inlet {
	struct stream stream;
	struct progress *progress;	/* What makes way for a message. */
	bool terminal;		/* It is one. */
	bool reading;		/* It has not ended, and is wanted. */
	struct credit credit;	/* How much of it the server takes. */
	uint64_t bytes;		/* Read, to be sent to the server. */
	struct buf early;	/* Sent before STARTED came: if it does not, */
	bool again;		/* this is sent in the next session. */
	size_t slot;
};

/* "progress" is borrowed. */
void inlet_open(struct inlet *i, struct progress *progress);
void inlet_close(struct inlet *i);

/* Begin a request, which wants standard input or does not. */
void inlet_begin(struct inlet *i, bool wanted);

/* Begin it once more, in another session: what was sent is sent again. */
void inlet_again(struct inlet *i, bool wanted);

/* Wait for input, if the request of "s" can take some; then send it. */
void inlet_poll(struct inlet *i, const struct session *s, struct pollset *ps);
void inlet_dispatch(struct inlet *i, struct session *s,
    const struct pollset *ps);

/* After inlet_again(), send that once the request itself is queued. */
void inlet_put_early(struct inlet *i, struct session *s);

#endif
