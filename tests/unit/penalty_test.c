/* Unit tests of daemon/front/penalty.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include "tests/unit/unit.h"

#include "common/base/net.h"
#include "daemon/front/penalty.h"

#define COST	1000
/* Some moment. */
#define NOW	INT64_C(123456789)

static struct penalty table;

static struct net_network
network(uint32_t n)
{
	struct net_network w;

	memset(&w, 0, sizeof w);
	w.bytes[0] = 0x20;
	memcpy(w.bytes + 4, &n, sizeof n);
	return w;
}

static int
set_up(void **state)
{
	(void)state;
	penalty_init(&table);
	return 0;
}

static void
fails(uint32_t n, int times, int64_t now)
{
	struct net_network w = network(n);

	for (int i = 0; i < times; i++)
		penalty_add(&table, &w, COST, now);
}

static bool
holds(uint32_t n, int64_t now)
{
	struct net_network w = network(n);

	return penalty_holds(&table, &w, COST, now);
}

static void
some_failures_are_free(void **state)
{
	(void)state;
	fails(1, PENALTY_FREE, NOW);
	assert_false(holds(1, NOW));
	fails(1, 1, NOW);
	assert_true(holds(1, NOW));
	assert_false(holds(2, NOW));
}

static void
time_forgives(void **state)
{
	(void)state;
	fails(1, PENALTY_FREE + 3, NOW);
	assert_true(holds(1, NOW + 3 * COST - 1));
	assert_false(holds(1, NOW + 3 * COST));
	/* One failure a second or less never adds up. */
	for (int i = 0; i < 1000; i++)
		fails(2, 1, NOW + i * COST);
	assert_false(holds(2, NOW + 999 * COST));
}

static void
there_is_a_most(void **state)
{
	(void)state;
	fails(1, 100000, NOW);
	assert_true(holds(1, NOW + PENALTY_MOST * COST - 1));
	assert_false(holds(1, NOW + PENALTY_MOST * COST));
}

static void
without_cost_nothing_is_held(void **state)
{
	struct net_network w = network(1);

	(void)state;
	for (int i = 0; i < 100; i++)
		penalty_add(&table, &w, 0, NOW);
	assert_false(holds(1, NOW));
	/* The key may be set to 0 by a reload. */
	fails(1, 100, NOW);
	assert_false(penalty_holds(&table, &w, 0, NOW));
}

/* However many there are, those who owe most are known. */
static void
many_networks(void **state)
{
	size_t known = 0;

	(void)state;
	fails(0, 50, NOW);
	for (uint32_t n = 1; n < 100000; n++)
		fails(n, 1 + PENALTY_FREE, NOW);
	assert_true(holds(0, NOW));
	for (uint32_t n = 1; n < 100000; n++)
		known += holds(n, NOW);
	assert_in_range(known, PENALTY_ENTRIES / 2, PENALTY_ENTRIES);
}

/* What two tables make of the same networks differs: no stranger can choose
 * networks that share one row. */
static void
rows_are_secret(void **state)
{
	static struct penalty other;
	size_t differ = 0;

	(void)state;
	penalty_init(&other);
	for (uint32_t n = 0; n < 5000; n++) {
		struct net_network w = network(n);

		penalty_add(&table, &w, COST, NOW + n);
		penalty_add(&other, &w, COST, NOW + n);
	}
	for (size_t i = 0; i < PENALTY_ENTRIES; i++)
		differ += memcmp(table.entries[i].network.bytes,
		    other.entries[i].network.bytes, 16) != 0;
	assert_true(differ > PENALTY_ENTRIES / 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(some_failures_are_free, set_up),
		cmocka_unit_test_setup(time_forgives, set_up),
		cmocka_unit_test_setup(there_is_a_most, set_up),
		cmocka_unit_test_setup(without_cost_nothing_is_held, set_up),
		cmocka_unit_test_setup(many_networks, set_up),
		cmocka_unit_test_setup(rows_are_secret, set_up),
	};

	return cmocka_run_group_tests_name("penalty", tests, NULL, NULL);
}
