/* Tests of client/outcome. */
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
	assert_string_equal(o.text, "x 3");
	outcome_signal(&o, 15);
	assert_int_equal(o.status, 143);
	assert_string_equal(o.text, "");
}

static void
codes(void **state)
{
	struct outcome o = { .class = OUTCOME_DONE };

	(void)state;
	for (uint16_t code = 0; code <= PROTO_CODE_TURN; code++) {
		outcome_code(&o, code, "");
		assert_int_not_equal(o.class, OUTCOME_DONE);
		assert_true(o.status > 125);
		assert_true(strlen(o.text) > 5);
		outcome_code(&o, code, "said \"so\"\n");
		assert_string_equal(o.text, "said \"so\"\\n");
	}
	outcome_code(&o, PROTO_CODE_UNKNOWN, "");
	assert_int_equal(o.status, 127);
	outcome_code(&o, PROTO_CODE_NOT_EXECUTABLE, "");
	assert_int_equal(o.status, 126);
	outcome_code(&o, 999, "anything");
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

static void
hints(void **state)
{
	static const struct {
		const char *text;
		const char *message;
		const char *hint;	/* NULL: the class's. */
	} cases[] = {
		{ "it is so", "it is so", NULL },
		{ "it is so; do this", "it is so", "do this" },
		{ "it is so; it was; do this", "it is so; it was", "do this" },
		{ "the name \"a\\; b\" is bad", "the name \"a\\; b\" is bad",
		    NULL },
		{ "; do this", "; do this", NULL }, { "a;b", "a;b", NULL },
		{ "", "busy", NULL }
	};
	struct outcome o = { .class = OUTCOME_DONE };
	char message[OUTCOME_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		outcome_fail(&o, OUTCOME_BUSY, "%s", cases[i].text);
		assert_string_equal(outcome_message(&o, message),
		    cases[i].message);
		assert_string_equal(outcome_hint(&o), cases[i].hint == NULL ?
		    "try again later" : cases[i].hint);
	}
	outcome_fail(&o, OUTCOME_BUSY, "it is so; this is no advice");
	o.plain = true;
	assert_string_equal(outcome_message(&o, message), o.text);
	assert_string_equal(outcome_hint(&o), "try again later");
	outcome_fail(&o, OUTCOME_BUSY, "it is so; do this");
	assert_string_equal(outcome_hint(&o), "do this");
	outcome_place(&o, "line 7");
	assert_string_equal(o.text, "line 7: it is so; do this");
	assert_string_equal(outcome_hint(&o), "do this");
	outcome_advise(&o, "do %s", "that");
	assert_string_equal(o.text, "line 7: it is so; do that");
	outcome_fail(&o, OUTCOME_UNKNOWN, "no \\; name");
	outcome_advise(&o, "do it");
	assert_string_equal(o.text, "no \\; name; do it");
	/* What is too long is cut, and the place stays. */
	memset(o.text, 'x', sizeof o.text - 1);
	o.text[sizeof o.text - 1] = '\0';
	outcome_place(&o, "line 8");
	assert_int_equal(strlen(o.text), sizeof o.text - 1);
	assert_memory_equal(o.text, "line 8: xxx", 11);
	outcome_advise(&o, "do it");
	assert_int_equal(strlen(o.text), sizeof o.text - 1);
	outcome_signal(&o, 15);
	assert_string_equal(outcome_message(&o, message),
	    "a signal has ended aisc");
	assert_string_equal(outcome_hint(&o), "");
}

static void
as_json(void **state)
{
	struct outcome o = { .class = OUTCOME_DONE };
	char *text;
	size_t size;
	struct json j = { .out = open_memstream(&text, &size) };

	(void)state;
	assert_non_null(j.out);
	outcome_fail(&o, OUTCOME_LOST, "it is \"so\"; do this");
	json_open(&j, NULL, '{');
	outcome_json(&j, &o);
	json_close(&j, '}');
	assert_int_equal(fclose(j.out), 0);
	assert_string_equal(text, "{\"error\": {\"code\": \"lost\", "
	    "\"message\": \"it is \\\"so\\\"\", \"hint\": \"do this\"}}");
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_json),
		cmocka_unit_test(classes),
		cmocka_unit_test(codes),
		cmocka_unit_test(ends),
		cmocka_unit_test(hints)
	};

	return cmocka_run_group_tests_name("client_outcome", tests, NULL,
	    NULL);
}
