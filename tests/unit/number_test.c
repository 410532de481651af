/*
 * Tests of common/base/number.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include "tests/unit/unit.h"

#include "common/base/number.h"

static void
whole(void **state)
{
	static const struct {
		const char *text;
		int64_t min, max;
		int result;
		int64_t value;
	} examples[] = {
		{ "0", 0, 65535, 0, 0 },
		{ "65535", 0, 65535, 0, 65535 },
		{ "65536", 0, 65535, -1, 0 },
		{ "0", 1, 65535, -1, 0 },
		{ "-5", -10, 10, 0, -5 },
		{ "-5", 0, 10, -1, 0 },
		{ "-11", -10, 10, -1, 0 },
		{ "9223372036854775807", 0, INT64_MAX, 0, INT64_MAX },
		{ "9223372036854775808", 0, INT64_MAX, -1, 0 },
		{ "-9223372036854775808", INT64_MIN, 0, 0, INT64_MIN },
		{ "-9223372036854775809", INT64_MIN, 0, -1, 0 },
		{ "", 0, 10, -1, 0 },
		{ "-", -10, 10, -1, 0 },
		{ "--1", -10, 10, -1, 0 },
		{ "-0", -10, 10, -1, 0 },
		{ "+1", 0, 10, -1, 0 },
		{ "01", 0, 10, -1, 0 },
		{ "00", 0, 10, -1, 0 },
		{ " 1", 0, 10, -1, 0 },
		{ "1 ", 0, 10, -1, 0 },
		{ "1.0", 0, 10, -1, 0 },
		{ "1e0", 0, 10, -1, 0 },
		{ "0x1", 0, 10, -1, 0 },
		{ "1:2", 0, 10, -1, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
		int64_t value = 42;
		int result = number_whole(examples[i].text, examples[i].min,
		    examples[i].max, &value);

		if (result != examples[i].result || value !=
		    (result == 0 ? examples[i].value : 42))
			fail_msg("%s", examples[i].text);
	}
}

static void
decimal(void **state)
{
	static const struct {
		const char *text;
		double value;
		const char *rest;	/* NULL: no number. */
	} examples[] = {
		{ "0", 0, "" }, { "90", 90, "" }, { "1.5", 1.5, "" },
		{ "007.25", 7.25, "" }, { "1.", 1, "" }, { "2 h", 2, " h" },
		{ "2h", 2, "h" }, { "3,5", 3, ",5" }, { "5-", 5, "-" },
		{ "", 0, NULL }, { ".5", 0, NULL }, { "-1", 0, NULL },
		{ "+1", 0, NULL }, { " 1", 0, NULL }, { "1.2.3", 0, NULL },
		{ "4e3", 0, NULL }, { "4.7e-3", 0, NULL }, { "0x10", 0, NULL },
		{ "inf", 0, NULL }, { "nan", 0, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
		double value = 0;
		const char *rest = number_decimal(examples[i].text, &value);

		if ((rest == NULL) != (examples[i].rest == NULL))
			fail_msg("%s", examples[i].text);
		if (rest == NULL)
			continue;
		assert_string_equal(rest, examples[i].rest);
		assert_int_equal((int)(value * 100),
		    (int)(examples[i].value * 100));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole),
		cmocka_unit_test(decimal),
	};

	return cmocka_run_group_tests_name("number", tests, NULL, NULL);
}
