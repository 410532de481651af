/*
 * common/pattern: a pattern, a NUL, and a text.  Whether it matches is found
 * out a second time, by a table.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "common/base/pattern.h"

#include "tests/fuzz/fuzz.h"

const size_t fuzz_mutations = 12000;

/* matched[j]: the pattern up to here matches the first j bytes of the text. */
static bool
match(const char *pattern, const char *text)
{
	size_t n = strlen(text);
	bool *matched = calloc(n + 1, sizeof *matched), result;

	must(matched != NULL);
	matched[0] = true;
	for (; *pattern != '\0'; pattern++) {
		if (*pattern == '*') {
			for (size_t j = 1; j <= n; j++)
				matched[j] = matched[j] || matched[j - 1];
			continue;
		}
		for (size_t j = n; j > 0; j--)
			matched[j] = matched[j - 1] && text[j - 1] == *pattern;
		matched[0] = false;
	}
	result = matched[n];
	free(matched);
	return result;
}

static struct pattern_set *
compile(char *pattern)
{
	char *patterns[] = { pattern, NULL }, why[PATTERN_WHY_MAX] = "";
	struct pattern_set *set = pattern_compile(patterns, why);

	must(set != NULL || (*why != '\0' && strlen(why) < sizeof why));
	return set;
}

/* An expression that is "text" itself matches nothing else. */
static void
check_literal(const char *text, const char *other)
{
	char *pattern = malloc(2 * strlen(text) + 2), *p = pattern;
	struct pattern_set *set;

	must(pattern != NULL);
	*p++ = '~';
	for (const char *t = text; *t != '\0'; t++) {
		if (strchr("\\^$.[]|()*+?{}", *t) != NULL)
			*p++ = '\\';
		*p++ = *t;
	}
	*p = '\0';
	set = compile(pattern);
	must(set != NULL);
	must(pattern_set_match(set, text));
	must(pattern_set_match(set, other) == (strcmp(text, other) == 0));
	pattern_set_free(set);
	free(pattern);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	char *pattern = input_text(&in), *text = input_text(&in);
	char *list[] = { pattern, NULL };
	struct pattern_set *set;
	bool matched = match(pattern, text);

	must(pattern_match(pattern, text) == matched);
	must(pattern_match_any((const char *const *)list, text) == matched);
	must(!pattern_match_any(NULL, text));
	if (*pattern != '~' || fuzz_is_tame((const uint8_t *)pattern,
	    strlen(pattern))) {
		set = compile(pattern);
		if (*pattern != '~')
			must(set != NULL &&
			    pattern_set_match(set, text) == matched);
		else if (set != NULL && strlen(text) < 256)
			(void)pattern_set_match(set, text);
		pattern_set_free(set);
	}
	if (strlen(text) < 256)
		check_literal(text, pattern);
	free(pattern);
	free(text);
	return 0;
}
