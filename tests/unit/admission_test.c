/*
 * admission_test.c - tests of daemon/front/admission.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include "tests/unit/unit.h"

#include "common/base/clock.h"
#include "daemon/front/admission.h"

/* A place of network "n" that is kept for "ms" from now on. */
static struct admission_place
place(uint8_t n, int64_t ms)
{
	struct admission_place p = { .kept_until = clock_now() + ms };

	p.network.bytes[0] = n;
	return p;
}

/* The network that has the most loses the place that is kept the shortest. */
static void
most(void **state)
{
	struct admission_place places[] = { place(1, 5000), place(2, 2000),
	    place(2, 1000), place(3, 0) };
	struct net_network four = place(4, 0).network;
	struct net_network one = place(1, 0).network;

	(void)state;
	assert_int_equal(admission_victim(places, 4, &four), 2);
	/* Network 1 would have as many as network 2. */
	assert_int_equal(admission_victim(places, 4, &one), 2);
}

/* A newcomer takes a place of its own network only if that is kept no more. */
static void
own(void **state)
{
	struct admission_place places[] = { place(1, 5000), place(1, 4000),
	    place(2, 0) };
	struct net_network one = place(1, 0).network;

	(void)state;
	assert_int_equal(admission_victim(places, 3, &one), 3);
	places[0] = place(1, -1);
	assert_int_equal(admission_victim(places, 3, &one), 0);
	assert_int_equal(admission_victim(places, 0, &one), 0);
}

/* A network is held off by what it has failed, and not by what it has left
 * unfinished. */
static void
held_off(void **state)
{
	static struct admission a;
	struct net_network one = place(1, 0).network;

	(void)state;
	admission_init(&a);
	for (int i = 0; i <= PENALTY_FREE; i++)
		assert_false(admission_unfinished(&a, &one, 60000));
	assert_true(admission_unfinished(&a, &one, 60000));
	assert_true(admission_allows(&a, &one, 60000));
	for (int i = 0; i <= PENALTY_FREE; i++) {
		assert_true(admission_allows(&a, &one, 60000));
		admission_failed(&a, &one, 60000);
	}
	assert_false(admission_allows(&a, &one, 60000));
	assert_true(admission_allows(&a, &one, 0));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(most),
		cmocka_unit_test(own),
		cmocka_unit_test(held_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
