/* Unit tests of client/core/outcome.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include "tests/unit/unit.h"

#include "common/base/json.h"

#include "client/core/outcome.h"

static void
classes(void **state)
{
	struct outcome o = { .class = OUTCOME_DONE };

	(void)state;
	/* The table is in the order of the numbers. */
	assert_string_equal(outcome_class_name(OUTCOME_DONE), "done");
	assert_string_equal(outcome_class_name(OUTCOME_LOST), "lost");
	assert_string_equal(outcome_class_name(OUTCOME_INTERRUPTED),
	    "interrupted");
	outcome_fail(&o, OUTCOME_LOST, "%s %d", "x", 3);
	assert_int_equal(o.status, 255);
	assert_string_equal(o.failure.text, "x 3");
	outcome_signal(&o, 15);
	assert_int_equal(o.status, 143);
	assert_string_equal(o.failure.text, "a signal has ended aisc");
}

/* outcome_code() of this. */
static void
told(struct outcome *o, uint16_t code, const char *text, const char *hint)
{
	struct frame_code said = { .code = code };

	(void)snprintf(said.text, sizeof said.text, "%s", text);
	(void)snprintf(said.hint, sizeof said.hint, "%s", hint);
	outcome_code(o, &said);
}

static void
codes(void **state)
{
	struct outcome o = { .class = OUTCOME_DONE };

	(void)state;
	for (uint16_t code = 0; code <= PROTO_CODE_TURN; code++) {
		told(&o, code, "", "");
		assert_int_not_equal(o.class, OUTCOME_DONE);
		assert_true(o.status > 125);
		assert_true(strlen(o.failure.text) > 5);
		told(&o, code, "said \"so\"\n", "do\t");
		assert_string_equal(o.failure.hint, "do\\t");
		assert_string_equal(o.failure.text, "said \"so\"\\n");
	}
	told(&o, PROTO_CODE_UNKNOWN, "", "");
	assert_int_equal(o.status, 127);
	told(&o, PROTO_CODE_NOT_EXECUTABLE, "", "");
	assert_int_equal(o.status, 126);
	told(&o, 999, "anything", "");
	assert_int_equal(o.class, OUTCOME_PROTOCOL);
	assert_int_equal(o.status, 255);
}

static void
ends(void **state)
{
	struct frame_exit e = { .end = PROTO_END_EXIT, .status = 3 };
	struct outcome o = { .class = OUTCOME_LOST };

	(void)state;
	outcome_exit(&o, &e);
	assert_int_equal(o.class, OUTCOME_DONE);
	assert_int_equal(o.status, 3);
	assert_true(o.has_exit);
	e.end = PROTO_END_SIGNAL;
	e.status = 9;
	outcome_exit(&o, &e);
	assert_int_equal(o.status, 137);
	/* A command that the server has ended is never a success. */
	e.end = PROTO_END_EXIT;
	e.status = 0;
	e.reason = PROTO_CODE_TIMEOUT;
	outcome_exit(&o, &e);
	assert_int_equal(o.class, OUTCOME_TIMEOUT);
	assert_int_equal(o.status, 255);
	assert_true(o.has_exit);
}

/* "o" as an object. */
static char *
json_of(const struct outcome *o)
{
	char *text;
	size_t size;
	struct json j = { .out = open_memstream(&text, &size) };

	assert_non_null(j.out);
	json_open(&j, NULL, '{');
	outcome_json(&j, o);
	json_close(&j, '}');
	assert_int_equal(fclose(j.out), 0);
	return text;
}

static void
check_json(const struct outcome *o, const char *expected)
{
	char *text = json_of(o);

	assert_string_equal(text, expected);
	free(text);
}

static void
as_json(void **state)
{
	struct outcome o = { .class = OUTCOME_DONE };

	(void)state;
	outcome_fail(&o, OUTCOME_LOST, "it is \"so\"");
	outcome_hint(&o, "do this");
	outcome_hint(&o, "do %s", "that");
	check_json(&o, "{\"error\": {\"code\": \"lost\", "
	    "\"message\": \"it is \\\"so\\\"\", "
	    "\"hint\": \"do this; do that\"}}");
	/* Where it came about is a part of the message. */
	failure_about(&o.failure, "line %d", 7);
	check_json(&o, "{\"error\": {\"code\": \"lost\", \"message\": "
	    "\"line 7: it is \\\"so\\\"\", "
	    "\"hint\": \"do this; do that\"}}");
	/* The class has a hint where nothing else has. */
	outcome_fail(&o, OUTCOME_BUSY, "it is so");
	check_json(&o, "{\"error\": {\"code\": \"busy\", \"message\": "
	    "\"it is so\", \"hint\": \"try again later\"}}");
	outcome_signal(&o, 15);
	check_json(&o, "{\"error\": {\"code\": \"interrupted\", "
	    "\"message\": \"a signal has ended aisc\", \"hint\": \"\"}}");
}

/* What another side says is its text, in any form. */
static void
foreign_text_has_no_hint(void **state)
{
	struct outcome o = { .class = OUTCOME_DONE };

	(void)state;
	told(&o, PROTO_CODE_UNKNOWN, "unknown command: foo; rm -rf x", "");
	check_json(&o, "{\"error\": {\"code\": \"unknown\", \"message\": "
	    "\"unknown command: foo; rm -rf x\", "
	    "\"hint\": \"aisc --list shows what you may run\"}}");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_json),
		cmocka_unit_test(classes),
		cmocka_unit_test(codes),
		cmocka_unit_test(ends),
		cmocka_unit_test(foreign_text_has_no_hint)
	};

	return cmocka_run_group_tests_name("client_outcome", tests, NULL,
	    NULL);
}
