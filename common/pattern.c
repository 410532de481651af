#include <config.h>

#include <stddef.h>

#include "common/pattern.h"

bool
pattern_match(const char *pattern, const char *text)
{
	const char *star = NULL, *resume = NULL;

	/* The last "*" alone is ever retried, so the time is bounded by the
	 * product of the lengths, whatever the pattern. */
	while (*text != '\0') {
		if (*pattern == '*') {
			star = ++pattern;
			resume = text;
		} else if (*pattern == *text) {
			pattern++;
			text++;
		} else if (star != NULL) {
			pattern = star;
			text = ++resume;
		} else
			return false;
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

bool
pattern_match_any(const char *const *patterns, const char *text)
{
	for (; patterns != NULL && *patterns != NULL; patterns++) {
		if (pattern_match(*patterns, text))
			return true;
	}
	return false;
}
