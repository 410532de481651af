/*
 * date.h - the calendar, in UTC, and the time of day.
 *
 * Seconds since 1970-01-01 00:00:00 UTC have 64 bits here.  Where time_t has 32
 * bits, timegm(3) and gmtime(3) know no certificate that ends after 2038-01-19.
 * The calendar is the Gregorian one for all years, as in RFC 3339, and no
 * second is a leap second.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_DATE_H
#define AIS_DATE_H

#include <stdint.h>
#include <time.h>

/* Room for any date as text, with the NUL. */
#define DATE_TEXT_MAX	40

/* The seconds now, by the clock that people set. */
int64_t date_now(void);

/*
 * How far that clock is ahead of one that cannot be set and that goes on while
 * the machine sleeps, in seconds: another value later is a clock that was set.
 * 0, or -1 with errno set: it cannot be seen.
 */
int date_ahead(int64_t *seconds);

/*
 * The seconds at "tm", of which the members from tm_year to tm_sec count.
 * Months and days of the month may be out of range, as for timegm(3): the 31st
 * of a short month is the first of the next one.
 */
int64_t date_seconds(const struct tm *tm);

/* "seconds" as "2026-01-31T23:59:59Z", in "out". */
const char *date_record(int64_t seconds, char out[DATE_TEXT_MAX]);

/* "seconds" as "2026-01-31 23:59:59 UTC", in "out". */
const char *date_words(int64_t seconds, char out[DATE_TEXT_MAX]);

/* The day alone, as "2026-01-31", in "out". */
const char *date_day(int64_t seconds, char out[DATE_TEXT_MAX]);

#endif
