/* Whether a text matches a pattern with "*".
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/pattern.h"
#include "common/base/text.h"

/* "c" as a small letter, if it is one of ASCII. */
static char
small(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool
pattern_match_folded(const char *pattern, const char *text,
    struct pattern_fold fold)
{
	const char *star = NULL, *resume = NULL, *begin = text;

	/* The last "*" alone is ever retried, so the time is bounded by the
	 * product of the lengths, for any pattern. */
	while (*text != '\0') {
		size_t at = (size_t)(text - begin);
		bool folded = at >= fold.from && at < fold.to;

		if (*pattern == '*') {
			star = ++pattern;
			resume = text;
		} else if (*pattern == *text ||
		    (folded && small(*pattern) == small(*text))) {
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
pattern_match(const char *pattern, const char *text)
{
	return pattern_match_folded(pattern, text,
	    (struct pattern_fold){ 0, 0 });
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

struct pattern {
	const char *text;	/* NULL for an expression. */
	regex_t expression;
};

struct pattern_set {
	size_t count;
	struct pattern patterns[];
};

/* What follows the bracket expression at "p", such as "[^]a-z[:digit:]]". */
static const char *
skip_brackets(const char *p)
{
	p++;
	p += *p == '^';
	p += *p == ']';
	while (*p != '\0' && *p != ']') {
		/* A class, a collating element, an equivalence class. */
		if (*p == '[' && p[1] != '\0' && strchr(":.=", p[1]) != NULL) {
			const char end[] = { p[1], ']', '\0' };
			const char *close = strstr(p + 2, end);

			p = close != NULL ? close + 1 : p;
		}
		p++;
	}
	return p + (*p == ']');
}

/*
 * Does one repetition follow another, as in "a**"?  POSIX leaves that undefined
 * (POSIX.1-2017, 9.4.6), and the C library takes ever longer over it.
 */
static bool
repeats_twice(const char *p)
{
	bool before = false;

	while (*p != '\0') {
		bool repeats = strchr("*+?{", *p) != NULL;

		if (repeats && before)
			return true;
		before = repeats;
		if (*p == '[')
			p = skip_brackets(p);
		else if (*p == '{' && strchr(p, '}') != NULL)
			p = strchr(p, '}') + 1;
		else
			p += *p == '\\' && p[1] != '\0' ? 2 : 1;
	}
	return false;
}

/* Compile the expression "text", anchored at both ends. */
static int
compile(struct pattern *p, const char *text, char why[PATTERN_WHY_MAX])
{
	size_t size = strlen(text) + sizeof "^()$";
	char *whole, reason[PATTERN_WHY_MAX / 2];
	int e = REG_ESPACE;

	if (repeats_twice(text)) {
		(void)snprintf(why, PATTERN_WHY_MAX, "\"%.80s\" repeats what "
		    "is a repetition already; one of \"*\", \"+\", \"?\" and "
		    "\"{\" will do, or put \"\\\" before what means itself",
		    text);
		return -1;
	}
	whole = malloc(size);
	if (whole != NULL) {
		(void)snprintf(whole, size, "^(%s)$", text);
		e = regcomp(&p->expression, whole, REG_EXTENDED);
		free(whole);
	}
	if (e == 0)
		return 0;
	(void)regerror(e, NULL, reason, sizeof reason);
	(void)snprintf(why, PATTERN_WHY_MAX, "\"%.80s\" is no regular "
	    "expression: %s", text, reason);
	return -1;
}

struct pattern_set *
pattern_compile(char *const *patterns, char why[PATTERN_WHY_MAX])
{
	struct pattern_set *set;
	size_t n = 0;

	n = text_list_length(patterns);
	set = calloc(1, sizeof *set + n * sizeof set->patterns[0]);
	if (set == NULL) {
		(void)snprintf(why, PATTERN_WHY_MAX, "out of memory");
		return NULL;
	}
	for (; set->count < n; set->count++) {
		struct pattern *p = &set->patterns[set->count];
		const char *text = patterns[set->count];

		if (*text != '~')
			p->text = text;
		else if (compile(p, text + 1, why) == -1) {
			pattern_set_free(set);
			return NULL;
		}
	}
	return set;
}

/*
 * Does the expression match all of "text"?  The anchors do not suffice: they
 * belong to parts of "^(a)|(b)$", of which the C library makes what it can.
 * A match is the longest of the leftmost, so it is the whole if one is.
 */
static bool
matches(const struct pattern *p, const char *text)
{
	size_t n = strnlen(text, PATTERN_TEXT_MAX + 1);
	regmatch_t m;

	return n <= PATTERN_TEXT_MAX &&
	    regexec(&p->expression, text, 1, &m, 0) == 0 &&
	    m.rm_so == 0 && (size_t)m.rm_eo == n;
}

/* The same, with what is folded in small letters. */
static bool
matches_folded(const struct pattern *p, const char *text,
    struct pattern_fold fold)
{
	char shown[PATTERN_TEXT_MAX + 2];
	size_t n;

	if (fold.from >= fold.to)
		return matches(p, text);
	/* What is cut here is too long in any case. */
	(void)snprintf(shown, sizeof shown, "%s", text);
	n = strlen(shown);
	for (size_t i = fold.from; i < fold.to && i < n; i++)
		shown[i] = small(shown[i]);
	return matches(p, shown);
}

bool
pattern_set_match_folded(const struct pattern_set *set, const char *text,
    struct pattern_fold fold)
{
	for (size_t i = 0; i < set->count; i++) {
		const struct pattern *p = &set->patterns[i];

		if (p->text != NULL ? pattern_match_folded(p->text, text,
		    fold) : matches_folded(p, text, fold))
			return true;
	}
	return false;
}

bool
pattern_set_match(const struct pattern_set *set, const char *text)
{
	return pattern_set_match_folded(set, text,
	    (struct pattern_fold){ 0, 0 });
}

void
pattern_set_free(struct pattern_set *set)
{
	if (set == NULL)
		return;
	for (size_t i = 0; i < set->count; i++) {
		if (set->patterns[i].text == NULL)
			regfree(&set->patterns[i].expression);
	}
	free(set);
}
