/* Unit tests of common/base/date.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "unit.h"

#include "common/base/date.h"

/* 9999-12-31T23:59:59Z, the last date of a certificate (RFC 5280, 4.1.2.5),
 * and 0000-01-01, the first of RFC 3339. */
#define LAST	INT64_C(253402300799)
#define FIRST	INT64_C(-62167219200)

static void
is(int64_t seconds, const char *expected)
{
	char text[DATE_TEXT_MAX];
	struct tm tm;

	assert_string_equal(date_record(seconds, text), expected);
	memset(&tm, 0, sizeof tm);
	assert_non_null(strptime(expected, "%Y-%m-%dT%H:%M:%SZ", &tm));
	assert_true(date_seconds(&tm) == seconds);
}

/* As date(1) has them: date -u -d @NUMBER. */
static void
known(void **state)
{
	(void)state;
	is(0, "1970-01-01T00:00:00Z");
	is(-1, "1969-12-31T23:59:59Z");
	is(951782399, "2000-02-28T23:59:59Z");
	is(951782400, "2000-02-29T00:00:00Z");
	is(951868800, "2000-03-01T00:00:00Z");
	is(INT32_MAX, "2038-01-19T03:14:07Z");
	is(INT64_C(2147483648), "2038-01-19T03:14:08Z");
	is(INT32_MIN, "1901-12-13T20:45:52Z");
	is(INT64_C(2524607999), "2049-12-31T23:59:59Z");
	is(INT64_C(4107542399), "2100-02-28T23:59:59Z");
	is(INT64_C(4107542400), "2100-03-01T00:00:00Z");
	is(LAST, "9999-12-31T23:59:59Z");
	is(FIRST, "0000-01-01T00:00:00Z");
}

static void
forms(void **state)
{
	char text[DATE_TEXT_MAX];

	(void)state;
	assert_string_equal(date_words(INT64_C(2147483648), text),
	    "2038-01-19 03:14:08 UTC");
	assert_string_equal(date_day(INT64_C(2147483648), text),
	    "2038-01-19");
	/* Nothing is too far away to be written. */
	assert_true(strlen(date_words(INT64_MAX, text)) < DATE_TEXT_MAX - 1);
	assert_true(strlen(date_words(INT64_MIN, text)) < DATE_TEXT_MAX - 1);
}

/* What timegm(3) makes of days that there are not. */
static void
out_of_range(void **state)
{
	struct tm tm = { .tm_year = 126, .tm_mon = 1, .tm_mday = 30 };
	char text[DATE_TEXT_MAX];

	(void)state;
	assert_string_equal(date_day(date_seconds(&tm), text), "2026-03-02");
	tm = (struct tm){ .tm_year = 126, .tm_mon = 14, .tm_mday = 1 };
	assert_string_equal(date_day(date_seconds(&tm), text), "2027-03-01");
	tm = (struct tm){ .tm_year = 126, .tm_mon = -1, .tm_mday = 1 };
	assert_string_equal(date_day(date_seconds(&tm), text), "2025-12-01");
}

/* libc has the last word, where its time_t is wide enough. */
static void
as_libc(void **state)
{
	char ours[DATE_TEXT_MAX], theirs[DATE_TEXT_MAX];
	uint64_t random = 1;
	struct tm tm;

	(void)state;
	for (int i = 0; i < 300000; i++) {
		/* Every day from 1600 on, and then seconds at random. */
		int64_t t = i < 200000 ? INT64_C(-11676096000) +
		    (int64_t)i * 86400 : FIRST + (int64_t)(unit_random(&random)
		    % (uint64_t)(LAST - FIRST));
		time_t wide = (time_t)t;

		assert_true((int64_t)wide == t);
		assert_non_null(gmtime_r(&wide, &tm));
		assert_true(date_seconds(&tm) == t);
		(void)snprintf(theirs, sizeof theirs,
		    "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900,
		    tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
		    tm.tm_sec);
		assert_string_equal(date_record(t, ours), theirs);
	}
}

static void
now(void **state)
{
	int64_t before = (int64_t)time(NULL), seen = date_now();

	(void)state;
	assert_true(seen >= before && seen <= before + 60);
}

int
main(void)
{
	const char *narrow = sizeof(time_t) > 4 ? NULL :
	    "libc's time_t has 32 bits";
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known),
		cmocka_unit_test(forms),
		cmocka_unit_test(out_of_range),
		unit_test_unless(narrow, as_libc, NULL, NULL),
		cmocka_unit_test(now),
	};

	return cmocka_run_group_tests_name("date", tests, NULL, NULL);
}
