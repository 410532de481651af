/* Unit tests of common/base/clock.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <limits.h>
#include <time.h>

#include "tests/unit/unit.h"

#include "common/base/clock.h"

static void
runs_forward(void **state)
{
	int64_t before = clock_now_us(), now;

	(void)state;
	for (int i = 0; i < 100000; i++) {
		now = clock_now_us();
		assert_true(now >= before);
		before = now;
	}
}

/* Both count the same time, which is the monotonic one. */
static void
units(void **state)
{
	struct timespec ts;
	int64_t us, ms, again;

	(void)state;
	us = clock_now_us();
	ms = clock_now();
	again = clock_now_us();
	assert_true(ms >= us / 1000);
	assert_true(ms <= again / 1000);
	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &ts), 0);
	assert_true((int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000 >= ms);
	assert_true((int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000 - ms <
	    10000);
}

static void
deadlines(void **state)
{
	int64_t before = clock_now(), in = clock_in(5000);

	(void)state;
	assert_true(in >= before + 5000);
	assert_true(in <= clock_now() + 5000);
	assert_false(clock_past(in));
	assert_true(clock_left(in) > 0);
	assert_true(clock_left(in) <= 5000);

	assert_true(clock_past(clock_in(0)));
	assert_int_equal(clock_left(clock_in(0)), 0);
	assert_true(clock_past(before));
	assert_int_equal(clock_left(before), 0);
	assert_true(clock_past(0));
	assert_true(clock_past(-1));
	assert_int_equal(clock_left(-1), 0);
}

static void
a_deadline_comes(void **state)
{
	int64_t in = clock_in(20), before = clock_now_us();

	(void)state;
	while (!clock_past(in))
		assert_true(clock_now_us() - before < 10000000);
	assert_true(clock_now_us() - before >= 19000);
	assert_int_equal(clock_left(in), 0);
}

static void
never(void **state)
{
	(void)state;
	assert_true(clock_in(-1) == CLOCK_NEVER);
	assert_true(clock_in(INT64_MIN) == CLOCK_NEVER);
	assert_true(clock_in(INT64_MAX) == CLOCK_NEVER);
	/* The sum does not fit, at any time of day. */
	assert_true(clock_in(INT64_MAX - 1) == CLOCK_NEVER);
	assert_false(clock_past(CLOCK_NEVER));
	assert_int_equal(clock_left(CLOCK_NEVER), -1);
}

/* What poll(2) can take. */
static void
long_waits(void **state)
{
	(void)state;
	assert_int_equal(clock_left(clock_in((int64_t)INT_MAX + 100000)),
	    INT_MAX);
	assert_int_equal(clock_left(INT64_MAX - 1), INT_MAX);
	assert_true(clock_left(clock_in((int64_t)INT_MAX - 100000)) <
	    INT_MAX);
	assert_true(clock_left(clock_in((int64_t)INT_MAX - 100000)) > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(runs_forward),
		cmocka_unit_test(units),
		cmocka_unit_test(deadlines),
		cmocka_unit_test(a_deadline_comes),
		cmocka_unit_test(never),
		cmocka_unit_test(long_waits),
	};

	return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
