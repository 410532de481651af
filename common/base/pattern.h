/*
 * pattern.h - texts matched by patterns, always as a whole.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_PATTERN_H
#define AIS_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

struct pattern_set;

/* Room for a sentence about a pattern that cannot be used. */
#define PATTERN_WHY_MAX	256

/* No longer text is given to a regular expression, whose time may grow faster
 * than the text: it does not match. */
#define PATTERN_TEXT_MAX 4096

/*
 * Does the whole of "text" match "pattern", where each "*" stands for any
 * bytes, none included, and every other byte for itself?
 */
bool pattern_match(const char *pattern, const char *text);

/* Of a text, the bytes in which capitals of ASCII and small letters are the
 * same: from "from" on, up to "to", which may be beyond its end. */
struct pattern_fold {
	size_t from, to;
};

/* The same with such bytes in "text". */
bool pattern_match_folded(const char *pattern, const char *text,
    struct pattern_fold fold);

/* Does "text" match one of "patterns", NULL terminated?  NULL is no list. */
bool pattern_match_any(const char *const *patterns, const char *text);

/*
 * Compile "patterns", NULL terminated, which must outlive the set.  One that
 * begins with "~" is an extended regular expression (POSIX.1-2017, 9.4),
 * which has to match the whole text; any other is as for pattern_match().
 * NULL with a sentence in "why".
 */
struct pattern_set *pattern_compile(char *const *patterns,
    char why[PATTERN_WHY_MAX]);

/* Does "text" match one pattern of the set? */
bool pattern_set_match(const struct pattern_set *set, const char *text);

/* The same with a "fold", which an expression sees in small letters. */
bool pattern_set_match_folded(const struct pattern_set *set, const char *text,
    struct pattern_fold fold);

/* Free a set; NULL is none. */
void pattern_set_free(struct pattern_set *set);

#endif
