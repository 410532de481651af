/*
 * endpoint.h - one end of a session: which frame is legal when.
 * SPDX-License-Identifier: ISC
 *
 * Both programs speak through it.  Each gives tables of the frames that the
 * other one may send; PING, PONG and GOODBYE are legal at any time, and are
 * taken apart here.  What a frame means is the business of its handler.
 */
#ifndef AIS_ENDPOINT_H
#define AIS_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/fd.h"
#include "common/wire/frame.h"

struct conn;
struct pollset;

/* What a frame belongs to. */
enum endpoint_scope {
	ENDPOINT_SESSION,	/* The session: its request number is 0. */
	ENDPOINT_ANY,		/* A request of which the handler judges the
				 * number. */
	ENDPOINT_REQUEST,	/* The one that is served. */
	ENDPOINT_TRAILS		/* The one that is served; or one that has
				 * ended while the frame was on its way:
				 * dropped. */
};

/* A type of frame, the states of its owner in which it is legal, which are bits
 * of its own, and what takes it: NULL, or what the peer did wrong, as a
 * constant. */
struct endpoint_frame {
	uint8_t type;
	enum endpoint_scope scope;
	unsigned states;
	const char *(*handle)(void *owner, const struct frame *f);
};

/* A table of them, and what its handlers are given. */
struct endpoint_table {
	const struct endpoint_frame *frames;
	size_t count;
	void *owner;
};

/* What an endpoint needs of the program that it speaks for; all constant. */
struct endpoint_side {
	/* The frames of the session; the owner of their handlers is that of
	 * the functions below. */
	const struct endpoint_frame *frames;
	size_t nframes;

	/* The state of "owner", one bit. */
	unsigned (*state)(const void *owner);

	/* The peer does what the protocol forbids; "what" is a constant. */
	void (*on_violation)(void *owner, const char *what);

	/* Answers to PING fill the queue, and the peer does not read them. */
	void (*on_full)(void *owner);

	/* PONG, or NULL; GOODBYE. */
	void (*on_pong)(void *owner, const struct frame *f);
	void (*on_goodbye)(void *owner, const struct frame_code *said);
};

struct endpoint {
	const struct endpoint_side *side;
	void *owner;
	struct endpoint_table requests;	/* The frames of requests. */
	struct conn *conn;	/* NULL: there is none. */
	uint32_t request;	/* The number of the one that is served, or
				 * was last. */
	bool over;		/* No frame is handled any more. */
	bool paused;		/* Frames wait for the next dispatch, */
	bool held;		/* or for endpoint_release(). */
	size_t scanned;		/* Bytes of theirs whose PINGs have answers. */
	enum io ended;		/* How the connection has ended behind frames
				 * that wait; IO_OK: it has not. */
};

/* Add the connection to the step of "ps", for reading unless it is over. */
void endpoint_poll(struct endpoint *e, struct pollset *ps);

/* Is there something for endpoint_receive() to do after the wait? */
bool endpoint_ready(const struct endpoint *e, const struct pollset *ps);

/*
 * Read, and handle the frames that have come, until the endpoint is over.  A
 * handler that has set "paused" is the last one before the next call, which
 * does not read before it has handled what waits.  One that has set "held" is
 * the last one before endpoint_release(): until then no frame is acted on, but
 * PING has its answer.  As conn_read(); the end of the connection comes after
 * the last frame, and IO_WAIT as well if nothing was read.
 */
enum io endpoint_receive(struct endpoint *e);
void endpoint_release(struct endpoint *e);

/* Forget what there was of a connection; "e" may be given another. */
void endpoint_reset(struct endpoint *e);

#endif
