/*
 * request.h - one request, from its body to its end.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_DAEMON_REQUEST_H
#define AIS_DAEMON_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/endpoint/endpoint.h"
#include "common/wire/body.h"
#include "common/wire/proto.h"
#include "daemon/exec/command.h"
#include "daemon/rules/policy.h"

struct peer;
struct pollset;
struct settings;
struct tree;

/* How far it is; a bit each, for the table of frames. */
enum request_state {
	REQUEST_IDLE = 1,
	REQUEST_BUSY = 2	/* There is a command. */
};

/* The requests of a session, one after the other. */
struct request {
	struct peer *peer;
	const struct settings *settings;
	struct tree *tree;
	const struct rule *rule;	/* Of the settings; NULL: none. */
	char directory[PROTO_PATH_MAX + 1];	/* "" before any change. */
	struct audit_sums sums;
	int64_t idle_since;

	/* The one that is served. */
	struct body body;
	struct decision decision;
	struct command command;
	bool limited;			/* A limit of it is on record. */

	/* What the last one has come to, for the condition of the next. */
	enum proto_condition met;
};

/* Once, in a struct that is all zero, before request_configure(); both "peer"
 * and "tree" are borrowed. */
void request_init(struct request *r, struct peer *peer, struct tree *tree);
void request_clear(struct request *r);

/* Decide by "settings", which are borrowed, from the next one on. */
void request_configure(struct request *r, const struct settings *settings);

/* How far is the one that is served? */
enum request_state request_state(const struct request *r);

/* Its frames, those that begin one not among them. */
struct endpoint_table request_table(struct request *r);

/* Act on the next one, whose number is the endpoint's; its body is the "n"
 * bytes at "bytes".  NULL, or what the peer did wrong, as a constant. */
const char *request_begin(struct request *r, const uint8_t *bytes, size_t n);

/* Its CANCEL has come. */
void request_cancel(struct request *r);

/* Do what has become possible, see command_dispatch(). */
void request_dispatch(struct request *r, const struct pollset *ps);

/* If its command is finished, tell the record, and the peer. */
void request_check_finished(struct request *r);

/* End its command because the peer has gone, unless it is one that goes on. */
void request_lost(struct request *r);

/* What runs cannot be ended; if it has not even started, it never will. */
void request_abandon(struct request *r);

/* Since when nothing runs, as a time of clock.h; CLOCK_NEVER: something
 * does. */
int64_t request_idle_since(const struct request *r);

/* How many bytes of output the peer was sent, in all. */
uint64_t request_output(const struct request *r);

/* "make (12 s)" or "idle", for people. */
void request_describe(const struct request *r, char *out, size_t size);

#endif
