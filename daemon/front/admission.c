/*
 * admission.c - which connections may come in, and which are dropped.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/pollset.h"
#include "daemon/record/audit.h"
#include "daemon/front/admission.h"

/* Dropped connections are on record once in so many milliseconds. */
#define DROPS_INTERVAL	10000

void
admission_init(struct admission *a)
{
	memset(a, 0, sizeof *a);
	penalty_init(&a->failed);
	penalty_init(&a->unfinished);
}

bool
admission_allows(const struct admission *a, const struct net_network *network,
    int64_t cost)
{
	return !penalty_holds(&a->failed, network, cost, clock_now());
}

void
admission_failed(struct admission *a, const struct net_network *network,
    int64_t cost)
{
	penalty_add(&a->failed, network, cost, clock_now());
}

/*
 * It had a place and cost us no more.  So its network, which may be that of
 * good clients as well, is not kept out for it; only the log is spared.
 */
bool
admission_unfinished(struct admission *a, const struct net_network *network,
    int64_t cost)
{
	int64_t now = clock_now();
	bool many = penalty_holds(&a->unfinished, network, cost, now);

	penalty_add(&a->unfinished, network, cost, now);
	return many;
}

static bool
admission_is_of(const struct admission_place *p,
    const struct net_network *network)
{
	return memcmp(&p->network, network, sizeof *network) == 0;
}

size_t
admission_victim(const struct admission_place *places, size_t count,
    const struct net_network *newcomer)
{
	size_t victim = count, most = 0;

	for (size_t i = 0; i < count; i++) {
		size_t n = admission_is_of(&places[i], newcomer) ? 1 : 0;

		for (size_t k = 0; k < count; k++)
			n += admission_is_of(&places[k], &places[i].network);
		if (n < most || (n == most && places[i].kept_until >=
		    places[victim].kept_until))
			continue;
		most = n;
		victim = i;
	}
	if (victim < count && admission_is_of(&places[victim], newcomer) &&
	    places[victim].kept_until > clock_now())
		return count;
	return victim;
}

void
admission_dispatch(struct admission *a)
{
	static const char *const reasons[ADMISSION_DROPS] = {
		[ADMISSION_PENALTY] = "penalty", [ADMISSION_CROWD] = "crowd",
		[ADMISSION_UNFINISHED] = "unfinished"
	};

	for (size_t i = 0; i < ADMISSION_DROPS; i++) {
		if (a->drops[i].count == 0 || !clock_past(a->drops[i].next))
			continue;
		audit_dropped(reasons[i], a->drops[i].count,
		    a->drops[i].address);
		a->drops[i].count = 0;
		a->drops[i].next = clock_in(DROPS_INTERVAL);
	}
}

void
admission_record(struct admission *a, enum admission_drop why,
    const char *address)
{
	a->drops[why].count++;
	(void)snprintf(a->drops[why].address, NET_TEXT_MAX, "%s", address);
	admission_dispatch(a);
}

void
admission_poll(const struct admission *a, struct pollset *ps)
{
	for (size_t i = 0; i < ADMISSION_DROPS; i++) {
		if (a->drops[i].count > 0)
			pollset_deadline(ps, a->drops[i].next);
	}
}
