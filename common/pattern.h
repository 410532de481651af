/*
 * pattern.h - names matched by patterns with "*".
 */
#ifndef AIS_PATTERN_H
#define AIS_PATTERN_H

#include <stdbool.h>

/*
 * Does the whole of "text" match "pattern", where each "*" stands for any
 * bytes, none included, and every other byte for itself?
 */
bool pattern_match(const char *pattern, const char *text);

/* Does "text" match one of "patterns", NULL terminated?  NULL is no list. */
bool pattern_match_any(const char *const *patterns, const char *text);

#endif
