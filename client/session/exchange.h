/*
 * exchange.h - what the server sends for a request, and what becomes of it.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_EXCHANGE_H
#define AIS_EXCHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "client/session/progress.h"
#include "client/session/outlet.h"
#include "client/session/session.h"
#include "client/session/interrupt.h"
#include "client/session/inlet.h"

struct outcome;
struct settings;

/* How many bytes of a request's streams have passed through us. */
struct traffic {
	uint64_t in;			/* Read, to be sent to the server. */
	uint64_t out;			/* Come from there. */
	uint64_t err;
};

/* Our outputs. */
enum exchange_output {
	EXCHANGE_OUT,
	EXCHANGE_ERR
};

/* A session, our streams, and the request that they are for now. */
struct exchange {
	struct session session;
	struct inlet inlet;
	struct outlet outlets[2];
	struct progress progress;
	struct interrupt interrupt;

	/* The request. */
	struct outcome *outcome;	/* Where the end is told. */
	struct traffic traffic;
	bool chdir;		/* Its answer is a directory, not an end. */
	bool flush;		/* What came is written before we return. */
	bool failed;		/* By us, and its command is to end. */
	bool deaf;		/* Error output is not wanted. */
};

/* Make ready to talk to the server of "settings", which are borrowed; in a
 * struct that is all zero. */
void exchange_open(struct exchange *x, const struct settings *settings);
void exchange_close(struct exchange *x);

/* One of its outputs cannot be written, for errno.  The session goes on, if it
 * has not been lost meanwhile, where the server can end the command in it. */
void exchange_output_failed(struct exchange *x, const struct outlet *o);

#endif
