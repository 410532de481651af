/*
 * common/words: the input is words, with a NUL between them.  The first is
 * split as a line; all of them are quoted, and have to come back.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "common/base/text.h"
#include "common/base/words.h"

#include "tests/fuzz/fuzz.h"

const size_t fuzz_mutations = 60000;

static bool
same(char *const *a, char *const *b)
{
	while (*a != NULL && *b != NULL && strcmp(*a, *b) == 0) {
		a++;
		b++;
	}
	return *a == NULL && *b == NULL;
}

/* What is quoted is the same again, for any reader. */
static void
check_join(char **words, size_t count)
{
	char *line = words_join(words, 0), **again;
	size_t n, at;

	must(line != NULL);
	for (int strict = 0; strict < 2; strict++) {
		must(words_split(line, strict, &again, &n, &at) == WORDS_OK);
		must(n == count && same(words, again));
		words_free(again);
	}
	free(line);
}

static void
check_cut(char **words, size_t max)
{
	char *whole = words_join(words, 0), *line = words_join(words, max);

	must(whole != NULL && line != NULL);
	if (strlen(whole) <= max)
		must(strcmp(line, whole) == 0);
	else {
		must(strlen(line) == max + 4);
		must(memcmp(line, whole, max) == 0);
		must(strcmp(line + max, " ...") == 0);
	}
	free(whole);
	free(line);
}

/* What is shown of them is printable, and less only for lack of room. */
static void
check_shown(char **words, size_t size)
{
	char text[256 + 8];
	bool whole = words_show(text, size, words);
	char again[TEXT_ESCAPED_MAX(sizeof text)];

	must(strlen(text) < size);
	must(strcmp(text_printable(again, sizeof again, text, strlen(text)),
	    text) == 0);
	must(whole || strlen(text) + 8 >= size);
}

/* The character that is blamed is one that can be. */
static void
check_blame(const char *line, enum words_error e, size_t at)
{
	must(at < strlen(line));
	if (e == WORDS_QUOTE)
		must(line[at] == '\'' || line[at] == '"');
	else if (e == WORDS_BACKSLASH)
		must(line[at] == '\\' && line[at + 1] == '\0');
	else {
		must(e == WORDS_SHELL);
		must(strchr("|&;<>()$`*?[]{}#~\n", line[at]) != NULL ||
		    words_culprit(line, at) > 1 || line[at] == '!');
		must(at + words_culprit(line, at) <= strlen(line));
	}
	must(*words_strerror(e) != '\0');
}

static void
check_split(const char *line)
{
	char **words, **strict;
	size_t n, at, bytes = 0;
	enum words_error e = words_split(line, 0, &words, &n, &at);

	if (e != WORDS_OK) {
		must(e != WORDS_SHELL);
		check_blame(line, e, at);
		e = words_split(line, 1, &strict, &n, &at);
		must(e != WORDS_OK);
		check_blame(line, e, at);
		return;
	}
	for (size_t i = 0; i < n; i++)
		bytes += strlen(words[i]);
	must(words[n] == NULL && bytes <= strlen(line));
	check_join(words, n);
	e = words_split(line, 1, &strict, &n, &at);
	if (e == WORDS_OK) {
		must(same(words, strict));
		words_free(strict);
	} else {
		must(e == WORDS_SHELL);
		check_blame(line, e, at);
	}
	words_free(words);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	size_t max = (size_t)input_u8(&in) + 1, count;
	char **words = input_texts(&in, &count);

	if (count > 0)
		check_split(words[0]);
	check_join(words, count);
	check_cut(words, max);
	check_shown(words, max + 7);
	fuzz_free_list(words);
	return 0;
}
