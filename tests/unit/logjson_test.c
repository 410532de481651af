/* Unit tests of daemon/record/logjson.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include "tests/unit/json-read.h"
#include "tests/unit/unit.h"

#include "common/base/json.h"
#include "common/base/log.h"
#include "daemon/record/logjson.h"

static char out[LOGJSON_MAX], value[LOGJSON_MAX];

static void
line(void **state)
{
	static const struct log_field fields[] = {
		{ "peer", "alice", 5 }, { "argv", "a \"b\"\n\xc3\xa9", 8 },
		{ "empty", "", 0 }, { "line", "x\xff", 2 },
	};
	const struct log_event e = { .level = LOG_LEVEL_NOTICE,
	    .name = "command-start", .text = "alice starts a",
	    .fields = fields, .count = 4,
	    .time_us = INT64_C(1700000000) * 1000000 + 42 };
	size_t n;

	(void)state;
	n = logjson_format(out, &e);
	assert_int_equal(n, strlen(out));
	assert_string_equal(out, "{\"time\": \"2023-11-14T22:13:20.000042Z\", "
	    "\"level\": \"notice\", \"event\": \"command-start\", "
	    "\"peer\": \"alice\", \"argv\": \"a \\\"b\\\"\\u000a\\u00e9\", "
	    "\"empty\": \"\", \"line\": \"x\\ufffd\", "
	    "\"line_base64\": \"eP8=\", \"msg\": \"alice starts a\"}\n");
}

/* A value that is too long is cut between two characters, and named. */
static void
long_values(void **state)
{
	static char longer[3 * LOG_VALUE_MAX];
	const struct log_field fields[] = {
		{ "argv", longer, sizeof longer }, { "exit", "0", 1 },
	};
	const struct log_event e = { .level = LOG_LEVEL_INFO, .name = "event",
	    .text = "text", .fields = fields, .count = 2 };
	ssize_t n;

	(void)state;
	for (size_t i = 0; i + 1 < sizeof longer; i += 2)
		memcpy(longer + i, "\xc3\xa9", 2);
	assert_true(logjson_format(out, &e) < LOG_VALUE_MAX + 512);
	n = json_get(out, "argv", value);
	assert_true(n > 1000 && n < LOG_VALUE_MAX);
	assert_memory_equal(value, longer, (size_t)n - 3);
	assert_string_equal(value + n - 3, "...");
	assert_int_equal(json_get(out, "argv_base64", value), -1);
	assert_int_equal(json_get(out, "exit", value), 1);
	assert_int_equal(json_get(out, "cut", value), 4);
	assert_string_equal(value, "argv");
}

/* A line that is too long ends with a whole member, and says so. */
static void
long_line(void **state)
{
	static char names[12][8], longer[LOG_VALUE_MAX];
	struct log_field fields[12];
	const struct log_event e = { .level = LOG_LEVEL_INFO, .name = "event",
	    .text = "text", .fields = fields, .count = 12 };
	size_t n, k = 0;

	(void)state;
	memset(longer, 0xff, sizeof longer);
	for (size_t i = 0; i < 12; i++) {
		(void)snprintf(names[i], sizeof names[i], "f%zu", i);
		fields[i] = (struct log_field){ names[i], longer,
		    sizeof longer };
	}
	n = logjson_format(out, &e);
	assert_true(n < LOGJSON_MAX && out[n - 1] == '\n');
	out[n] = '\0';
	assert_true(n < LOG_LINE_MAX + 64);
	assert_true(n > LOG_LINE_MAX / 2);
	while (json_get(out, names[k], value) != -1)
		k++;
	assert_true(k > 2 && k < 12);
	assert_int_equal(json_get(out, "msg", value), -1);
	assert_int_equal(json_get(out, "cut", value), 4);
	assert_string_equal(value, "true");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(line), cmocka_unit_test(long_values),
		cmocka_unit_test(long_line),
	};

	return cmocka_run_group_tests_name("logjson", tests, NULL, NULL);
}
