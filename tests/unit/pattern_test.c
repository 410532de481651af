/* Tests of common/pattern. */
#include <config.h>

#include "tests/unit/unit.h"

#include "common/pattern.h"

static void
examples(void **state)
{
	static const struct {
		const char *pattern, *text;
		bool matches;
	} rows[] = {
		{ "", "", true }, { "", "a", false }, { "a", "", false },
		{ "*", "", true }, { "*", "anything at all", true },
		{ "alice", "alice", true }, { "alice", "Alice", false },
		{ "alice", "alice2", false }, { "alice", "malice", false },
		{ "al*", "alice", true }, { "al*", "al", true },
		{ "al*", "a", false }, { "*ce", "alice", true },
		{ "*ce", "ce", true }, { "*ce", "cet", false },
		{ "a*e", "alice", true }, { "a*e", "ae", true },
		{ "a*e", "a", false }, { "a*a", "a", false },
		{ "a*b*c", "axxbyyc", true }, { "a*b*c", "acb", false },
		{ "*ab*", "aab", true }, { "*aab", "aaab", true },
		{ "**", "", true }, { "**a**", "bab", true },
		/* Every other byte stands for itself alone. */
		{ "a?", "ab", false }, { "a?", "a?", true },
		{ "[a]", "a", false }, { "[a]", "[a]", true },
		{ "\\*", "*", false }, { "\\*", "\\x", true },
		{ ".", "x", false }, { "a\xc3\xa9*", "a\xc3\xa9z", true },
		/* A star in the text is a byte as any other. */
		{ "a", "*", false }, { "*", "*", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (pattern_match(rows[i].pattern, rows[i].text) !=
		    rows[i].matches)
			fail_msg("\"%s\" and \"%s\"", rows[i].pattern,
			    rows[i].text);
	}
}

/* The definition, word for word. */
static bool
slowly(const char *pattern, const char *text)
{
	if (*pattern == '\0')
		return *text == '\0';
	if (*pattern == '*')
		return slowly(pattern + 1, text) ||
		    (*text != '\0' && slowly(pattern, text + 1));
	return *pattern == *text && slowly(pattern + 1, text + 1);
}

static void
as_defined(void **state)
{
	char pattern[8], text[10];
	uint64_t seed = 17;
	int matches = 0;

	(void)state;
	for (int i = 0; i < 100000; i++) {
		size_t n = unit_below(&seed, sizeof pattern);
		size_t m = unit_below(&seed, sizeof text);

		for (size_t k = 0; k < n; k++)
			pattern[k] = "ab*"[unit_below(&seed, 3)];
		pattern[n] = '\0';
		for (size_t k = 0; k < m; k++)
			text[k] = "ab"[unit_below(&seed, 2)];
		text[m] = '\0';
		assert_int_equal(pattern_match(pattern, text),
		    slowly(pattern, text));
		matches += pattern_match(pattern, text);
	}
	assert_true(matches > 5000 && matches < 95000);
}

/* Many stars and a text that almost matches take no time. */
static void
no_explosion(void **state)
{
	char pattern[201], text[4001];

	(void)state;
	for (size_t i = 0; i < sizeof pattern - 1; i++)
		pattern[i] = i % 2 == 0 ? '*' : 'a';
	pattern[sizeof pattern - 1] = '\0';
	pattern[sizeof pattern - 2] = 'b';
	memset(text, 'a', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	for (int i = 0; i < 10; i++)
		assert_false(pattern_match(pattern, text));
}

static void
lists(void **state)
{
	static const char *const patterns[] = { "a*", "b", NULL };
	static const char *const none[] = { NULL };

	(void)state;
	assert_true(pattern_match_any(patterns, "abc"));
	assert_true(pattern_match_any(patterns, "b"));
	assert_false(pattern_match_any(patterns, "bc"));
	assert_false(pattern_match_any(none, ""));
	assert_false(pattern_match_any(NULL, "a"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(examples),
		cmocka_unit_test(as_defined),
		cmocka_unit_test(no_explosion),
		cmocka_unit_test(lists),
	};

	return cmocka_run_group_tests_name("pattern", tests, NULL, NULL);
}
