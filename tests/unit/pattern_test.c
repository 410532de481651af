/* Unit tests of pattern.
 * SPDX-License-Identifier: ISC */
/* Tests of common/pattern. */
#include <config.h>

#include <ctype.h>

#include "tests/unit/memory.h"
#include "tests/unit/unit.h"

#include "common/base/pattern.h"

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

/* The same, where from "from" to "to" of the text capitals do not count. */
static bool
slowly_folded(const char *pattern, const char *text, size_t from, size_t to)
{
	size_t f = from > 0 ? from - 1 : 0, t = to > 0 ? to - 1 : 0;

	if (*pattern == '\0')
		return *text == '\0';
	if (*pattern == '*')
		return slowly_folded(pattern + 1, text, from, to) ||
		    (*text != '\0' && slowly_folded(pattern, text + 1, f, t));
	if (*text == '\0' || (*pattern != *text && (from > 0 || to == 0 ||
	    tolower((unsigned char)*pattern) !=
	    tolower((unsigned char)*text))))
		return false;
	return slowly_folded(pattern + 1, text + 1, f, t);
}

static void
folded(void **state)
{
	char pattern[8], text[8];
	uint64_t seed = 18;
	int matches = 0;

	(void)state;
	for (int i = 0; i < 100000; i++) {
		size_t n = unit_below(&seed, sizeof pattern);
		size_t m = unit_below(&seed, sizeof text);
		struct pattern_fold fold = { unit_below(&seed, 5),
		    unit_below(&seed, 9) };

		for (size_t k = 0; k < n; k++)
			pattern[k] = "aA@[*"[unit_below(&seed, 5)];
		pattern[n] = '\0';
		for (size_t k = 0; k < m; k++)
			text[k] = "aA@["[unit_below(&seed, 4)];
		text[m] = '\0';
		if (pattern_match_folded(pattern, text, fold) != slowly_folded(
		    pattern, text, fold.from, fold.to))
			fail_msg("\"%s\", \"%s\", %zu, %zu", pattern, text,
			    fold.from, fold.to);
		matches += pattern_match_folded(pattern, text, fold);
	}
	assert_in_range(matches, 5000, 95000);
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

/* Does the expression, or plain pattern, match? */
static bool
set_matches(const char *pattern, const char *text)
{
	char copy[64], *patterns[] = { copy, NULL }, why[PATTERN_WHY_MAX];
	struct pattern_set *set;
	bool result;

	(void)snprintf(copy, sizeof copy, "%s", pattern);
	set = pattern_compile(patterns, why);
	if (set == NULL)
		fail_msg("%s", why);
	result = pattern_set_match(set, text);
	pattern_set_free(set);
	return result;
}

static void
sets(void **state)
{
	static const struct {
		const char *pattern, *text;
		bool matches;
	} rows[] = {
		/* Without "~" as pattern_match() has it. */
		{ "al*", "alice", true }, { "al*", "mal", false },
		{ "a.c", "abc", false }, { "", "", true }, { "", "a", false },
		/* With it an expression, for all of the text. */
		{ "~a.c", "abc", true }, { "~a.c", "abcd", false },
		{ "~a.c", "xabc", false }, { "~", "", true },
		{ "~", "a", false }, { "~[0-9]+", "42", true },
		{ "~[0-9]+", "42\n", false }, { "~[0-9]+", "a42", false },
		{ "~(a|ab)(c|bcd)", "abcd", true }, { "~a|ab", "ab", true },
		{ "~a|b", "a", true }, { "~a|b", "b", true },
		{ "~a|b", "ax", false }, { "~a|b", "xb", false },
		{ "~^a$", "a", true }, { "~^a", "ab", false },
		{ "~a*", "aaab", false }, { "~x{2,3}", "xxxx", false },
		{ "~x{2,3}", "xxx", true }, { "~\\.", ".", true },
		{ "~\\.", "x", false }, { "~.*", "a\nb", true },
		/* Parentheses do not lead out of what was put around it. */
		{ "~a)|(b", "axx", false }, { "~a)|(b", "xxb", false },
		{ "~a)|(b", "", false },
		{ "~~a", "~a", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (set_matches(rows[i].pattern, rows[i].text) !=
		    rows[i].matches)
			fail_msg("\"%s\" and \"%s\"", rows[i].pattern,
			    rows[i].text);
	}
}

static void
sets_of_some(void **state)
{
	char one[] = "a", two[] = "~b+", three[] = "c*";
	char *patterns[] = { one, two, three, NULL }, *none[] = { NULL };
	char why[PATTERN_WHY_MAX];
	struct pattern_set *set = pattern_compile(patterns, why);

	(void)state;
	assert_non_null(set);
	assert_true(pattern_set_match(set, "a"));
	assert_true(pattern_set_match(set, "bb"));
	assert_true(pattern_set_match(set, "cd"));
	assert_false(pattern_set_match(set, "bd"));
	assert_false(pattern_set_match(set, ""));
	pattern_set_free(set);
	set = pattern_compile(none, why);
	assert_non_null(set);
	assert_false(pattern_set_match(set, ""));
	pattern_set_free(set);
	pattern_set_free(NULL);
}

static void
no_expressions(void **state)
{
	static const char *const texts[] = { "~(", "~[", "~[a", "~a{2",
	    "~a{3,2}", "~\\", "~*a" };
	char good[] = "~ok", copy[16], why[PATTERN_WHY_MAX];
	char *patterns[] = { good, copy, NULL };

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		(void)snprintf(copy, sizeof copy, "%s", texts[i]);
		why[0] = '\0';
		if (pattern_compile(patterns, why) != NULL)
			fail_msg("%s", texts[i]);
		/* It names the one that is wrong, as it was written. */
		assert_non_null(strstr(why, texts[i] + 1));
		assert_null(strstr(why, "^("));
	}
}

/* A repetition of a repetition has no meaning, and may never be compiled. */
static void
repetitions(void **state)
{
	static const char *const bad[] = { "~a**", "~a+*", "~a?{2}", "~a{2}{3}",
	    "~a{2,}*", "~(ab)*+", "~[a*]**", "~\\***", "~a****a****a****b" };
	static const char *const good[] = { "~a*b*", "~a\\**", "~[*][*+]*",
	    "~[]*]*[^]+]+", "~[[:digit:]*+]*", "~[[.*.]+]*", "~(a*)*",
	    "~a{2}b{3}", "~a*}*" };
	char copy[32], why[PATTERN_WHY_MAX];
	char *patterns[] = { copy, NULL };
	struct pattern_set *set;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		(void)snprintf(copy, sizeof copy, "%s", bad[i]);
		if (pattern_compile(patterns, why) != NULL)
			fail_msg("%s", bad[i]);
		assert_non_null(strstr(why, "is a repetition already"));
	}
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		(void)snprintf(copy, sizeof copy, "%s", good[i]);
		if ((set = pattern_compile(patterns, why)) == NULL)
			fail_msg("%s: %s", good[i], why);
		pattern_set_free(set);
	}
}

/* A text that is too long for an expression is so for no plain pattern. */
static void
long_texts(void **state)
{
	static char text[PATTERN_TEXT_MAX + 2];

	(void)state;
	memset(text, 'a', PATTERN_TEXT_MAX);
	assert_true(set_matches("~a*", text));
	assert_true(set_matches("a*", text));
	text[PATTERN_TEXT_MAX] = 'a';
	assert_false(set_matches("~a*", text));
	assert_true(set_matches("a*", text));
}

static void
out_of_memory(void **state)
{
	char one[] = "~a", *patterns[] = { one, NULL };
	char why[PATTERN_WHY_MAX];

	(void)state;
	for (int i = 0; i < 2; i++) {
		why[0] = '\0';
		memory_fail_at(i);
		assert_null(pattern_compile(patterns, why));
		assert_true(memory_has_failed());
		assert_true(strlen(why) > 5);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(examples),
		cmocka_unit_test(as_defined),
		cmocka_unit_test(folded),
		cmocka_unit_test(no_explosion),
		cmocka_unit_test(lists),
		cmocka_unit_test(sets),
		cmocka_unit_test(sets_of_some),
		cmocka_unit_test(no_expressions),
		cmocka_unit_test(repetitions),
		cmocka_unit_test(long_texts),
		cmocka_unit_test(out_of_memory),
	};

	return cmocka_run_group_tests_name("pattern", tests, NULL, NULL);
}
