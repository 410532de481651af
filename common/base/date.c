/* The calendar, and the time of day, in 64 bits.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <stdio.h>

#include "common/base/date.h"

#define MINUTE		60
#define HOUR		3600
#define DAY		86400
/* The calendar repeats itself after 400 years. */
#define ERA_YEARS	400
#define ERA_DAYS	146097
/* Days from 0000-03-01, where an era begins, to 1970-01-01. */
#define EPOCH		719468

struct date {
	int64_t year;
	int month;		/* 1 to 12. */
	int day;		/* 1 to 31. */
	int hour, minute, second;
};

int64_t
date_now(void)
{
	/* time(2) has no error. */
	return (int64_t)time(NULL);
}

int
date_ahead(int64_t *seconds)
{
	struct timespec set, steady;

	if (clock_gettime(CLOCK_REALTIME, &set) == -1 ||
	    clock_gettime(CLOCK_BOOTTIME, &steady) == -1)
		return -1;
	*seconds = (int64_t)set.tv_sec - (int64_t)steady.tv_sec;
	return 0;
}

/* Division that rounds down, and what is left, which is not below 0. */
static int64_t
divide(int64_t a, int64_t b, int64_t *rest)
{
	int64_t q = a / b;

	*rest = a % b;
	if (*rest < 0) {
		*rest += b;
		q--;
	}
	return q;
}

/* Days from the first of March of a year to the first of a month; "month" is
 * 0 for March and 11 for February, so that a leap day is the last of all. */
static int64_t
days_before(int64_t month)
{
	/* 31, 30, 31, 30, 31 days, and again. */
	return (153 * month + 2) / 5;
}

/* Days from 1970-01-01.  "month" counts from January, and may be any. */
static int64_t
days_from_civil(int64_t year, int64_t month, int64_t day)
{
	int64_t era, of_era, of_year;

	year += divide(month - 2, 12, &of_year);
	era = divide(year, ERA_YEARS, &of_era);
	return era * ERA_DAYS + of_era * 365 + of_era / 4 - of_era / 100 +
	    days_before(of_year) + day - 1 - EPOCH;
}

int64_t
date_seconds(const struct tm *tm)
{
	return days_from_civil((int64_t)tm->tm_year + 1900, tm->tm_mon,
	    tm->tm_mday) * DAY + (int64_t)tm->tm_hour * HOUR +
	    (int64_t)tm->tm_min * MINUTE + tm->tm_sec;
}

static struct date
split(int64_t seconds)
{
	struct date d;
	int64_t time, day, year, month;
	int64_t era = divide(divide(seconds, DAY, &time) + EPOCH, ERA_DAYS,
	    &day);

	/* Leap days are at the end of every 4th year, not of the 100th, but
	 * of the 400th. */
	year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
	day -= 365 * year + year / 4 - year / 100;
	month = (5 * day + 2) / 153;
	d.day = (int)(day - days_before(month)) + 1;
	d.month = (int)(month < 10 ? month + 3 : month - 9);
	d.year = era * ERA_YEARS + year + (month >= 10);
	d.hour = (int)(time / HOUR);
	d.minute = (int)(time % HOUR / MINUTE);
	d.second = (int)(time % MINUTE);
	return d;
}

/* A day and a time, with "between" between them and "zone" after them. */
static const char *
print(int64_t seconds, char between, const char *zone,
    char out[DATE_TEXT_MAX])
{
	struct date d = split(seconds);

	(void)snprintf(out, DATE_TEXT_MAX, "%04lld-%02d-%02d%c%02d:%02d:%02d%s",
	    (long long)d.year, d.month, d.day, between, d.hour, d.minute,
	    d.second, zone);
	return out;
}

const char *
date_record(int64_t seconds, char out[DATE_TEXT_MAX])
{
	return print(seconds, 'T', "Z", out);
}

const char *
date_words(int64_t seconds, char out[DATE_TEXT_MAX])
{
	return print(seconds, ' ', " UTC", out);
}

const char *
date_day(int64_t seconds, char out[DATE_TEXT_MAX])
{
	struct date d = split(seconds);

	(void)snprintf(out, DATE_TEXT_MAX, "%04lld-%02d-%02d",
	    (long long)d.year, d.month, d.day);
	return out;
}
