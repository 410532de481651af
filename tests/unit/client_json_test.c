/* Tests of client/json. */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/unit.h"

#include "client/outcome.h"
#include "client/json.h"

static char *text;
static size_t size;

static struct json
begin(void)
{
	struct json j = { .out = open_memstream(&text, &size) };

	assert_non_null(j.out);
	return j;
}

static void
expect(struct json *j, const char *wanted)
{
	assert_int_equal(fclose(j->out), 0);
	assert_string_equal(text, wanted);
	free(text);
}

static void
members(void **state)
{
	struct json j = begin();

	(void)state;
	json_open(&j, NULL, '{');
	json_text(&j, "a", "");
	json_integer(&j, "b", INT64_MIN);
	json_open(&j, "c", '[');
	json_close(&j, ']');
	json_open(&j, "d", '[');
	json_bool(&j, NULL, true);
	json_open(&j, NULL, '{');
	json_seconds(&j, "e", 1000001);
	json_close(&j, '}');
	json_seconds(&j, NULL, 999);
	json_close(&j, ']');
	json_bool(&j, "f", false);
	json_close(&j, '}');
	expect(&j, "{\"a\": \"\", \"b\": -9223372036854775808, \"c\": [], "
	    "\"d\": [true, {\"e\": 1.000001}, 0.000999], \"f\": false}");
}

static void
texts(void **state)
{
	static const struct {
		const char *in;
		const char *out;
	} cases[] = {
		{ "", "" }, { "a b~", "a b~" }, { "\"\\", "\\\"\\\\" },
		{ "\n\033\177", "\\u000a\\u001b\\u007f" },
		{ "gr\303\274n", "gr\\u00fcn" },
		{ "\342\200\256", "\\u202e" },
		{ "\360\237\230\200", "\\ud83d\\ude00" },
		{ "\364\217\277\277", "\\udbff\\udfff" },
		/* Broken: one for each byte. */
		{ "\377", "\\ufffd" }, { "\200", "\\ufffd" },
		{ "\300\200", "\\ufffd\\ufffd" }, { "\303", "\\ufffd" },
		{ "\303x", "\\ufffdx" }, { "\341\200x", "\\ufffd\\ufffdx" },
		{ "\340\200\200", "\\ufffd\\ufffd\\ufffd" },
		{ "\355\240\200", "\\ufffd\\ufffd\\ufffd" },
		{ "\360\200\200\200", "\\ufffd\\ufffd\\ufffd\\ufffd" },
		{ "\364\220\200\200", "\\ufffd\\ufffd\\ufffd\\ufffd" },
		{ "\365\200\200\200", "\\ufffd\\ufffd\\ufffd\\ufffd" }
	};
	char wanted[128];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct json j = begin();

		json_text(&j, NULL, cases[i].in);
		(void)snprintf(wanted, sizeof wanted, "\"%s\"", cases[i].out);
		expect(&j, wanted);
	}
}

static void
bytes(void **state)
{
	struct json j = begin();

	(void)state;
	json_open(&j, NULL, '[');
	json_bytes(&j, NULL, "a\0b", 3);
	json_bytes(&j, NULL, "\303\274", 1);
	json_close(&j, ']');
	expect(&j, "[\"a\\u0000b\", \"\\ufffd\"]");
}

static void
base64(void **state)
{
	/* RFC 4648, section 10, and bytes that are no text. */
	static const struct {
		const char *in;
		const char *out;
		bool text;
	} cases[] = {
		{ "", "", true }, { "f", "Zg==", true }, { "fo", "Zm8=", true },
		{ "foo", "Zm9v", true }, { "foob", "Zm9vYg==", true },
		{ "fooba", "Zm9vYmE=", true }, { "foobar", "Zm9vYmFy", true },
		{ "\377\376\375", "//79", false },
		{ "gr\303\274n", "Z3LDvG4=", true },
		{ "\357\277\275", "77+9", true }, { "\303", "ww==", false }
	};
	char wanted[32];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct json j = begin();
		size_t n = strlen(cases[i].in);

		assert_int_equal(json_is_text(cases[i].in, n), cases[i].text);
		json_base64(&j, NULL, cases[i].in, n);
		(void)snprintf(wanted, sizeof wanted, "\"%s\"", cases[i].out);
		expect(&j, wanted);
	}
}

static void
errors(void **state)
{
	struct outcome o = { .class = OUTCOME_DONE };
	struct json j = begin();

	(void)state;
	outcome_fail(&o, OUTCOME_LOST, "it is \"so\"; do this");
	json_open(&j, NULL, '{');
	json_error(&j, &o);
	json_close(&j, '}');
	expect(&j, "{\"error\": {\"code\": \"lost\", \"message\": \"it is "
	    "\\\"so\\\"\", \"hint\": \"do this\"}}");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members),
		cmocka_unit_test(texts),
		cmocka_unit_test(bytes),
		cmocka_unit_test(base64),
		cmocka_unit_test(errors),
	};

	return cmocka_run_group_tests_name("client_json", tests, NULL, NULL);
}
