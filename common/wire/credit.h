/*
 * credit.h - how much of a stream may be under way.
 * SPDX-License-Identifier: ISC
 *
 * The receiver of a stream grants credit, and its sender never has more bytes
 * under way than that.  So each side can always read its connection, and a
 * signal or a ping never waits for data.  Functions that return a text return
 * NULL, or what the peer did wrong, as a constant.
 */
#ifndef AIS_CREDIT_H
#define AIS_CREDIT_H

#include <stddef.h>
#include <stdint.h>

#include "common/wire/proto.h"

struct buf;
struct frame;

/* Of the sender. */
struct credit {
	uint32_t left;		/* So many bytes may still be sent. */
};

/*
 * Of the receiver.  What it lets be under way grows with the path: a sender
 * that has to wait for credit once in each round trip could send more, and a
 * stream that its reader empties slowly never looks like that.
 */
struct window {
	uint32_t left;		/* Granted, and not come yet. */
	uint32_t owed;		/* Done with, and not granted again yet. */
	uint32_t size;		/* What comes unasked for: what is left, what
				 * waits for its reader and what is owed. */
	uint32_t most;		/* The bytes to which "size" may grow. */
	int64_t since;		/* When it was granted last, in microseconds of
				 * clock_now_us(); 0: not yet. */
};

/* The sender: its peer grants "more", PROTO_WINDOW_MAX in sum at the most. */
const char *credit_add(struct credit *c, uint32_t more);

/* The sender: take a WINDOW for one of "streams", by enum proto_stream; NULL
 * stands for one whose credit is not the peer's to grant. */
const char *credit_window(struct credit *const streams[3],
    const struct frame *f);

/* The sender: "n" bytes are sent, no more than are left. */
void credit_spend(struct credit *c, size_t n);

/* The receiver: a frame with "n" bytes of data has come. */
const char *window_take(struct window *w, size_t n);

/* The receiver: "n" of these bytes are done with. */
void window_settle(struct window *w, size_t n);

/*
 * The receiver: by how many bytes the window is to grow if half of it has been
 * used up in "elapsed" microseconds over a path with a round trip of "path"
 * microseconds, 0 if that is not known.
 */
uint32_t window_growth(const struct window *w, int64_t elapsed, int64_t path);

/*
 * The receiver: grant again what it owes, and what the window grows by, with a
 * WINDOW of "stream" in "out", if half of the window is owed and that is worth
 * a frame.  "fd" is the connection's socket.  0, or -1 if the frame does not
 * fit, and nothing is granted.
 */
int window_renew(struct window *w, int fd, struct buf *out,
    uint32_t request, enum proto_stream stream);

#endif
