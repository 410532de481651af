/*
 * frame.h - frames, items and typed payloads to and from bytes.
 *
 * SPDX-License-Identifier: ISC
 *
 * A pure codec: it reads from and writes to struct buf, and neither logs nor
 * does any I/O.  Every length is compared with its limit in proto.h first.
 * The order of frames is the business of the session, not of this file.
 */
#ifndef AIS_FRAME_H
#define AIS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/wire/proto.h"

struct buf;
struct failure;
struct reader;

/* A frame in a buf, which it borrows. */
struct frame {
	uint8_t type;
	uint32_t request;
	const uint8_t *payload;
	size_t length;
};

/* The payload of REFUSED and GOODBYE. */
struct frame_code {
	uint16_t code;		/* It may be one that is not known. */
	uint32_t retry;		/* After how many ms to come again; 0: not
				 * said. */
	char text[PROTO_TEXT_MAX + 1];	/* "" where there is none. */
	char hint[PROTO_TEXT_MAX + 1];
};

/* The payload of EXIT. */
struct frame_exit {
	enum proto_end end;
	enum proto_code reason;	/* NONE, or why the server ended it. */
	uint32_t status;	/* The exit status, or the signal's number
				 * here; 0: this machine has none. */
	uint64_t duration_us;	/* From start to end. */
	uint64_t cpu_us;	/* User and system, its children included. */
	uint64_t out_bytes;	/* What was sent of each stream. */
	uint64_t err_bytes;
	uint32_t left;		/* Processes that end with the session. */
	char signal[PROTO_SIGNAL_MAX + 1]; /* As it came; not to be sent. */
};

/* Append one item.  0, or -1 with "out" unchanged. */
int item_put(struct buf *out, enum proto_item kind, const void *bytes,
    size_t n);

/*
 * Take the next item.  1 and its kind and bytes, which are borrowed; 0 at the
 * end; -1 if the rest is no item.
 */
int item_get(struct reader *r, uint8_t *kind, const uint8_t **bytes,
    size_t *n);

/* Does a FEATURES item, of "n" bytes, have "name"? */
bool feature_is_in(const uint8_t *names, size_t n, const char *name);

/*
 * Look for the first item of "kind" among the "n" bytes of "items".  1 and its
 * bytes, which are borrowed; 0 and no bytes if there is none; -1 if they are
 * not a row of items.
 */
int item_find(const uint8_t *items, size_t n, enum proto_item kind,
    const uint8_t **bytes, size_t *length);

/*
 * Look at the first frame in "in" without consuming it.  Return 1 and fill
 * "f" if a whole frame is there, 0 if more bytes are needed, or -1 if its
 * length is above PROTO_PAYLOAD_MAX and the caller should hang up.  "f"
 * borrows from "in" and is valid until "in" next changes.
 */
int frame_peek(const struct buf *in, struct frame *f);

/* The same of the frame that begins after the first "skip" bytes. */
int frame_peek_at(const struct buf *in, size_t skip, struct frame *f);

/* Drop the frame that frame_peek() found from the front of "in". */
void frame_consume(struct buf *in, const struct frame *f);

/*
 * Append a frame with a payload of "n" bytes, at most PROTO_PAYLOAD_MAX.
 * This and every frame_put function below: 0, or -1 with "out" unchanged if
 * it does not fit or memory is out.
 */
int frame_put(struct buf *out, enum proto_type type, uint32_t request,
    const void *payload, size_t n);

/*
 * Write a payload in place: frame_reserve() returns where up to "n" bytes of
 * payload may be written, or NULL; frame_commit() makes the frame of the
 * first "n" of them, which may be fewer.
 */
uint8_t *frame_reserve(struct buf *out, size_t n);
void frame_commit(struct buf *out, enum proto_type type, uint32_t request,
    size_t n);

/* WINDOW: "credit" more bytes may be sent on "stream". */
int frame_put_window(struct buf *out, uint32_t request,
    enum proto_stream stream, uint32_t credit);

/*
 * GOODBYE and REFUSED: the code and the text of "why", what it is about before
 * that, and its hint, each cut to PROTO_TEXT_MAX; and after how many ms the
 * client may try again, 0: not said.
 */
int frame_put_failure(struct buf *out, enum proto_type type, uint32_t request,
    const struct failure *why, uint32_t retry);

/* The same of a code and a text alone. */
int frame_put_code(struct buf *out, enum proto_type type, uint32_t request,
    enum proto_code code, const char *text);

/* WAITING: how many are served first, and flags of enum proto_waiting. */
int frame_put_waiting(struct buf *out, uint32_t ahead, uint8_t flags);

/* STARTED: one number. */
int frame_put_u32(struct buf *out, enum proto_type type, uint32_t request,
    uint32_t v);

/* EXIT. */
int frame_put_exit(struct buf *out, uint32_t request,
    const struct frame_exit *e);

/*
 * The other direction.  Each returns 0, or -1 if the payload is not what its
 * type says; what follows a fixed part must be items.  Texts are copied and
 * NUL terminated; their bytes are foreign still (escape them), but hold no NUL.
 */
int frame_get_window(const struct frame *f, uint8_t *stream,
    uint32_t *credit);
int frame_get_code(const struct frame *f, struct frame_code *out);
/* CLOSE: the stream. */
int frame_get_close(const struct frame *f, uint8_t *stream);
int frame_get_waiting(const struct frame *f, uint32_t *ahead, uint8_t *flags);
int frame_get_u32(const struct frame *f, uint32_t *v);
int frame_get_exit(const struct frame *f, struct frame_exit *e);
/* SIGNAL: the name of a signal, which may be one that we do not know. */
int frame_get_signal(const struct frame *f, char name[PROTO_SIGNAL_MAX + 1]);

#endif
