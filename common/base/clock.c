/* Monotonic milliseconds and deadlines.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <limits.h>
#include <time.h>

#include "common/base/clock.h"

int64_t
clock_now_us(void)
{
	static int64_t last;
	struct timespec ts;

	/* No Linux refuses this clock; and if one does for once, no time has
	 * passed: a deadline that is made of nonsense might never come. */
	if (clock_gettime(CLOCK_MONOTONIC, &ts) == 0)
		last = (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
	return last;
}

int64_t
clock_now(void)
{
	return clock_now_us() / 1000;
}

int64_t
clock_in(int64_t ms)
{
	int64_t now = clock_now();

	if (ms < 0 || ms > CLOCK_NEVER - now)
		return CLOCK_NEVER;
	return now + ms;
}

int64_t
clock_after(int64_t since, int64_t limit)
{
	return limit == 0 || since == CLOCK_NEVER ? CLOCK_NEVER :
	    since + limit;
}

bool
clock_past(int64_t deadline)
{
	return deadline != CLOCK_NEVER && clock_now() >= deadline;
}

int
clock_left(int64_t deadline)
{
	int64_t left;

	if (deadline == CLOCK_NEVER)
		return -1;
	left = deadline - clock_now();
	if (left <= 0)
		return 0;
	return left > INT_MAX ? INT_MAX : (int)left;
}
