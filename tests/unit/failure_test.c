/* Unit tests of common/base/failure.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include "tests/unit/unit.h"

#include "common/base/failure.h"

static void
parts(void **state)
{
	struct failure f;
	char out[FAILURE_MAX];

	(void)state;
	failure_set(&f, 7, "%s is wrong", "it");
	assert_int_equal(f.code, 7);
	assert_string_equal(failure_sentence(&f, out), "it is wrong");
	failure_more(&f, "do that");
	assert_string_equal(f.hint, "do that");
	failure_more(&f, "and %d", 7);
	assert_string_equal(f.hint, "do that; and 7");
	failure_hint(&f, "do this");
	failure_hint(&f, "do %s", "that");
	failure_about(&f, "file:%d", 3);
	assert_string_equal(failure_message(&f, out), "file:3: it is wrong");
	assert_string_equal(failure_sentence(&f, out),
	    "file:3: it is wrong; do that");
	/* Another failure begins anew. */
	failure_set(&f, 8, "no; it is not");
	assert_string_equal(failure_message(&f, out), "no; it is not");
	assert_string_equal(failure_sentence(&f, out), "no; it is not");
	assert_string_equal(f.hint, "");
}

static void
too_long(void **state)
{
	struct failure f;
	char out[FAILURE_MAX], text[2 * FAILURE_MAX];

	(void)state;
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	failure_set(&f, 0, "%s", text);
	failure_hint(&f, "%s", text);
	failure_about(&f, "%s", text);
	assert_int_equal(strlen(f.text), sizeof f.text - 1);
	assert_int_equal(strlen(f.hint), sizeof f.hint - 1);
	assert_int_equal(strlen(f.about), sizeof f.about - 1);
	assert_int_equal(strlen(failure_sentence(&f, out)), FAILURE_MAX - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts),
		cmocka_unit_test(too_long)
	};

	return cmocka_run_group_tests_name("failure", tests, NULL, NULL);
}
