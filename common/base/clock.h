/*
 * clock.h - monotonic milliseconds and deadlines.
 *
 * Every wait and limit of AIS counts on this clock, which no change of the
 * time of day moves.  A deadline is a point on it, in milliseconds;
 * CLOCK_NEVER is the deadline that does not come.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_CLOCK_H
#define AIS_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define CLOCK_NEVER	INT64_MAX

/* The time now, in milliseconds since some fixed point in the past. */
int64_t clock_now(void);

/* The same in microseconds, to measure durations. */
int64_t clock_now_us(void);

/*
 * The deadline "ms" milliseconds from now.  A negative "ms" gives
 * CLOCK_NEVER, and so does a sum that does not fit.
 */
int64_t clock_in(int64_t ms);

/* The deadline "limit" milliseconds after "since", where a limit of 0 is none,
 * and CLOCK_NEVER stays that. */
int64_t clock_after(int64_t since, int64_t limit);

/* Has "deadline" come?  Never true for CLOCK_NEVER. */
bool clock_past(int64_t deadline);

/*
 * Milliseconds left until "deadline", 0 if it has come, -1 for CLOCK_NEVER:
 * what poll(2) takes.  A wait too long for an int is cut to INT_MAX.
 */
int clock_left(int64_t deadline);

#endif
