/*
 * penalty.h - which networks have failed so often that they are held off.
 * SPDX-License-Identifier: ISC
 *
 * A leaky bucket: each failure adds a time, which passes; a network whose
 * bucket holds more than a few failures is held off until it has leaked.  The
 * table has a fixed size: if it is full, the bucket nearest to empty is reused.
 */
#ifndef AIS_PENALTY_H
#define AIS_PENALTY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/net.h"

/* So many failures in a row are free. */
#define PENALTY_FREE	5
/* However often it fails, it is held off for no more than so many. */
#define PENALTY_MOST	60

/* Networks that are known at a time: a power of two. */
#define PENALTY_ENTRIES	1024

struct penalty {
	struct {
		struct net_network network;
		int64_t until;	/* When its bucket is empty; 0: unused. */
	} entries[PENALTY_ENTRIES];
	uint64_t secret;	/* Random key: attackers cannot choose
				 * colliding rows. */
};

/* Forget all. */
void penalty_init(struct penalty *p);

/* "network" has failed now, at "now", a time of clock.h; a failure costs
 * "cost" milliseconds, and nothing where that is 0. */
void penalty_add(struct penalty *p, const struct net_network *network,
    int64_t cost, int64_t now);

/* Is it held off at "now"? */
bool penalty_holds(const struct penalty *p, const struct net_network *network,
    int64_t cost, int64_t now);

#endif
