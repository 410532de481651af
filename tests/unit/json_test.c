/* Unit tests of common/base/json.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/json-read.h"
#include "tests/unit/unit.h"

#include "common/base/json.h"

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
check_get(const char *object, const char *name, const char *wanted)
{
	char out[256];
	ssize_t n = json_get(object, name, out);

	if (wanted == NULL) {
		assert_int_equal(n, -1);
		return;
	}
	assert_int_equal(n, strlen(wanted));
	assert_string_equal(out, wanted);
}

static void
reading(void **state)
{
	static const char *const broken[] = { "", "{", "{\"", "{\"a", "{\"a\"",
	    "{\"a\":", "{\"a\":\"", "{\"a\":\"x", "{\"a\":\"x\\",
	    "{\"a\":\"\\x\"}", "{\"a\":\"\\u12\"}", "{\"a\":\"\\ud800\"}",
	    "{\"a\":\"\\ud800\\u0041\"}", "{\"a\":\"\\udc00\"}",
	    "{\"a\":\"x\ny\"}", "{\"a\":1}", "[\"a\"]", "a=x",
	    "{\"b\":\"1\" \"a\":\"2\"}" };

	(void)state;
	check_get("{\"a\": \"x\", \"b\": \"\"}\n", "a", "x");
	check_get("{\"a\": \"x\", \"b\": \"\"}\n", "b", "");
	check_get(" {\t\"b\" :\"1\"\n,\"a\":\"2\" }", "a", "2");
	check_get("{\"a\": \"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}", "a",
	    "\"\\/\b\f\n\r\t");
	check_get("{\"a\": \"\\u00E9\\u20ac\\ud83c\\udf82\\u0041\"}", "a",
	    "\xc3\xa9\xe2\x82\xac\xf0\x9f\x8e\x82" "A");
	check_get("{\"a\": \"gr\xc3\xbcn\"}", "a", "gr\xc3\xbcn");
	/* The name of a member is no value, and no part of one. */
	check_get("{\"b\": \"a\", \"aa\": \"1\"}", "a", NULL);
	check_get("{\"b\": \"\\\"a\\\":\\\"1\\\"\"}", "a", NULL);
	for (size_t i = 0; i < sizeof broken / sizeof *broken; i++)
		check_get(broken[i], "a", NULL);
}

/* What is written is read again, of any kind; and as much of it as fits is
 * as long as it is said to be. */
static void
round_trip(void **state)
{
	uint8_t value[60];
	uint64_t seed = 23;
	char out[1024];

	(void)state;
	for (int i = 0; i < 5000; i++) {
		size_t n = unit_below(&seed, sizeof value), room, fits;
		struct json j = begin();

		unit_fill(&seed, value, n);
		for (size_t k = 0; k < n; k++) {
			if (unit_below(&seed, 3) > 0)
				value[k] = (uint8_t)"aZ\"\\\n\xc3\xa9"[
				    unit_below(&seed, 7)];
		}
		json_open(&j, NULL, '{');
		json_bytes(&j, "v", value, n);
		if (!json_is_text(value, n))
			json_base64(&j, "v_base64", value, n);
		json_close(&j, '}');
		assert_int_equal(fclose(j.out), 0);
		assert_int_equal(json_get_bytes(text, "v", out), n);
		assert_memory_equal(out, value, n);
		free(text);

		room = unit_below(&seed, 80);
		fits = json_fit(value, n, room);
		j = begin();
		json_bytes(&j, NULL, value, fits);
		assert_int_equal(fclose(j.out), 0);
		assert_true(size - 2 <= room);
		assert_true(fits == n || size - 2 + 12 > room);
		free(text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members),
		cmocka_unit_test(texts),
		cmocka_unit_test(bytes),
		cmocka_unit_test(base64),
		cmocka_unit_test(reading),
		cmocka_unit_test(round_trip),
	};

	return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
