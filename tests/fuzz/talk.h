/*
 * talk.h - what a client may rely on in a session, after anything that it said: read
 * along in both directions.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_FUZZ_TALK_H
#define AIS_FUZZ_TALK_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"

/* Requests that are remembered: what an input has room for. */
#define TALK_REQUESTS	2048

extern struct talk {
	struct buf client, server;	/* What is no whole frame yet. */
	struct buf pieces;		/* Of a request's body. */
	struct talk_request {
		uint32_t number;
		uint64_t credit[2];
	} requests[TALK_REQUESTS];
	size_t count;
	size_t pings;
	bool lost;		/* The client's bytes are no frames any more. */

	bool greeted;
	bool parted;		/* GOODBYE came. */
	uint32_t last;		/* The newest that was answered. */
	uint32_t running;	/* STARTED, and no EXIT yet; 0: none. */
	uint64_t bytes[2];	/* Of its output. */
	size_t started, exits;
} talk;

/* As new. */
void talk_reset(void);

/* The client has said this. */
void talk_client(const void *bytes, size_t n);

/* The server has; what it must not say is a broken promise. */
void talk_server(const void *bytes, size_t n);

#endif
