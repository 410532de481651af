/*
 * penalty.c - which networks have failed so often that they are held off.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <string.h>
#include <sys/random.h>

#include "daemon/front/penalty.h"

/* A network is found in one row, by a look at each of its entries. */
#define ROW	8

void
penalty_init(struct penalty *p)
{
	memset(p, 0, sizeof *p);
	/* Without a key the table works too, unless it is attacked. */
	if (getrandom(&p->secret, sizeof p->secret, GRND_NONBLOCK) == -1)
		p->secret = 0;
}

/* The first entry of its row: FNV-1a over the secret and the bytes, and a last
 * step that brings the high bits down. */
static size_t
penalty_row(const struct penalty *p, const struct net_network *network)
{
	uint64_t h = UINT64_C(14695981039346656037) ^ p->secret;

	for (size_t i = 0; i < sizeof network->bytes; i++)
		h = (h ^ network->bytes[i]) * UINT64_C(1099511628211);
	h ^= h >> 32;
	return (size_t)(h % (PENALTY_ENTRIES / ROW)) * ROW;
}

static bool
penalty_is_same(const struct net_network *a, const struct net_network *b)
{
	return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

void
penalty_add(struct penalty *p, const struct net_network *network,
    int64_t cost, int64_t now)
{
	size_t row = penalty_row(p, network), at = row;
	int64_t until;

	if (cost == 0)
		return;
	for (size_t i = row; i < row + ROW; i++) {
		if (p->entries[i].until != 0 &&
		    penalty_is_same(&p->entries[i].network, network)) {
			at = i;
			break;
		}
		if (p->entries[i].until < p->entries[at].until)
			at = i;
	}
	until = now;
	if (penalty_is_same(&p->entries[at].network, network) &&
	    p->entries[at].until > now)
		until = p->entries[at].until;
	until += cost;
	if (until > now + (PENALTY_FREE + PENALTY_MOST) * cost)
		until = now + (PENALTY_FREE + PENALTY_MOST) * cost;
	p->entries[at].network = *network;
	p->entries[at].until = until;
}

bool
penalty_holds(const struct penalty *p, const struct net_network *network,
    int64_t cost, int64_t now)
{
	size_t row = penalty_row(p, network);

	for (size_t i = row; i < row + ROW && cost > 0; i++) {
		if (penalty_is_same(&p->entries[i].network, network))
			return p->entries[i].until > now + PENALTY_FREE * cost;
	}
	return false;
}
