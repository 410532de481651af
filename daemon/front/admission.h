/*
 * admission.h - which connections may come in, and which are dropped.
 * SPDX-License-Identifier: ISC
 *
 * It counts for each network what has failed, says whose place a newcomer takes
 * where all are taken, and puts dropped connections on record: many in one
 * record, since in a flood a record each would be a flood of its own.
 */
#ifndef AIS_ADMISSION_H
#define AIS_ADMISSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/net.h"
#include "daemon/front/penalty.h"

struct pollset;

/* Why a connection is dropped without an answer. */
enum admission_drop {
	ADMISSION_PENALTY,	/* Its network has failed too often. */
	ADMISSION_CROWD,	/* Its network has the most handshakes. */
	ADMISSION_UNFINISHED,	/* Its network leaves too many unfinished. */
	ADMISSION_DROPS
};

struct admission {
	struct penalty failed;		/* Handshakes that we have answered, */
	struct penalty unfinished;	/* and those before our answer. */
	struct {
		uint64_t count;		/* Not yet on record. */
		char address[NET_TEXT_MAX];	/* Of the last one. */
		int64_t next;		/* When it may be on record again. */
	} drops[ADMISSION_DROPS];
};

/* A handshake that has a place. */
struct admission_place {
	struct net_network network;
	int64_t kept_until;	/* From when on it may lose the place. */
};

/* Nothing has failed yet.  In the functions that follow a failure costs "cost"
 * milliseconds; 0: nothing. */
void admission_init(struct admission *a);

/* May connections of "network" come in? */
bool admission_allows(const struct admission *a,
    const struct net_network *network, int64_t cost);

/* A handshake that we have answered has failed. */
void admission_failed(struct admission *a, const struct net_network *network,
    int64_t cost);

/* A handshake has ended before our answer.  Returns whether the network has too
 * many of them for a record of each. */
bool admission_unfinished(struct admission *a,
    const struct net_network *network, int64_t cost);

/*
 * All "count" places are taken, and a connection of "newcomer" has come: which
 * one is dropped for it?  Of the network that has the most, the newcomer
 * counted, the one that is kept for the shortest time.  Returns its index;
 * "count": the newcomer is dropped, because its own network has the most, and
 * all of its places are still kept.
 */
size_t admission_victim(const struct admission_place *places, size_t count,
    const struct net_network *newcomer);

/* A connection from "address" has been dropped; put it on record, at once or
 * with others later. */
void admission_record(struct admission *a, enum admission_drop why,
    const char *address);

/* When the next record is due; write those that are. */
void admission_poll(const struct admission *a, struct pollset *ps);
void admission_dispatch(struct admission *a);

#endif
