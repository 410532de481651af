/*
 * wire.h - a connection in memory, and a clock that stands still: common/tls
 * and common/clock as the targets of whole sessions have them.
 *
 * wire.c defines all functions of the two, so that a program that is linked
 * with it has neither OpenSSL nor the time of day.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_FUZZ_WIRE_H
#define AIS_FUZZ_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/wire/frame.h"
#include "common/base/pollset.h"
#include "common/tls/tls.h"

#include "tests/fuzz/fuzz.h"

/* The one connection, as its other end sees it. */
struct wire {
	struct buf to_us;	/* What the peer has sent... */
	struct buf from_us;	/* ...and what has been sent to it. */
	size_t piece;		/* As much as one reading brings. */
	size_t room;		/* What the peer takes still. */
	bool eof;		/* The peer says no more, in order... */
	bool cut;		/* ...or because the connection has failed, */
	bool altered;		/* altered on its way. */
	bool open;		/* Our side still has it. */
	enum io shaken;		/* What a handshake answers. */
	bool untrusted;		/* What tls_recheck() answers. */
	struct tls_identity identity;	/* The peer's. */
};

extern struct wire wire;

/* The time in microseconds since the clock began. */
extern int64_t wire_now_us;

/* As new: an empty connection with all the room there is, and the clock at
 * its beginning. */
void wire_reset(void);

/* A descriptor for it, which is no socket. */
int wire_descriptor(void);

/* Can our side read or write? */
bool wire_is_ready(short events);

/* Let "ps" say of the descriptor "fd" what is true of the connection. */
void wire_poll(struct pollset *ps, int fd);

/* The peer sends bytes; what is too much is not sent. */
void wire_send(const void *bytes, size_t n);

/* The lowest descriptor that is free: it is the same where none is lost. */
int wire_lowest_descriptor(void);

#endif
