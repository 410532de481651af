/*
 * penalty.h - which networks have failed so often that they are held off.
 *
 * A bucket that leaks: each failure adds a time, time takes it away again, and
 * a network whose bucket holds more than a few failures is held off until it
 * has leaked.  The table has a fixed size: where it is full, the network that
 * is nearest to being forgiven is forgotten.
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
	uint64_t secret;	/* Where a network stands, nobody foresees. */
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
