/*
 * greeting.h - what the server says of itself and of the session.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_GREETING_H
#define AIS_GREETING_H

#include <stdbool.h>
#include <stdint.h>

struct frame;

/* The longest item of HELLO that is kept; what is longer is cut. */
#define GREETING_MAX	256

/* What the server has said of the session; foreign bytes are escaped. */
struct greeting {
	char session[GREETING_MAX];	/* Its name. */
	char server[GREETING_MAX];	/* The program and its version. */
	char peer[GREETING_MAX];	/* By which name it knows us. */
	/* Of the revocation lists that we were looked for on the one that ends
	 * first: whose it is, and its seconds since 1970; 0: none ends. */
	char list[GREETING_MAX];
	int64_t list_begins;
	int64_t list_ends;
	bool waits;			/* Others are served before us, */
	uint32_t ahead;			/* so many of them, */
	bool own;			/* now one of our certificate. */
	bool cancels;			/* It can end a request in a session, */
	bool closes;			/* and close an output of one. */
	uint32_t most;			/* So many requests may wait there, */
	uint32_t most_bytes;		/* with so many bytes in all. */
	int64_t shaken_us;		/* How long TLS took to be ready. */
};

/* Take what HELLO says.  NULL, or what is wrong with it, as a constant. */
const char *greeting_take(struct greeting *g, const struct frame *f);

#endif
