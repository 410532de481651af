/* Unit tests of common/base/words.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include "tests/unit/memory.h"
#include "tests/unit/unit.h"

#include "common/base/text.h"
#include "common/base/words.h"

/* The words that a line must give, NULL terminated. */
#define MOST	12

struct example {
	const char *line;
	const char *words[MOST];
};

static void
check(const char *line, int strict, const char *const *expected)
{
	char **words = NULL;
	size_t count = 99, at = 99, n = 0;

	assert_int_equal(words_split(line, strict, &words, &count, &at),
	    WORDS_OK);
	for (; expected[n] != NULL; n++) {
		assert_non_null(words[n]);
		assert_string_equal(words[n], expected[n]);
	}
	assert_null(words[n]);
	assert_int_equal(count, n);
	words_free(words);
}

static void
split(void **state)
{
	static const struct example examples[] = {
		{ "", { NULL } },
		{ " \t\n ", { NULL } },
		{ "\na", { "a" } },
		{ "a", { "a" } },
		{ " a  b\tc d\n ", { "a", "b", "c", "d" } },
		{ "''", { "" } },
		{ "\"\"", { "" } },
		{ "'' \"\" ''\"\"", { "", "", "" } },
		{ "a'b c'd", { "ab cd" } },
		{ "a\"b c\"d", { "ab cd" } },
		{ "'a'\"b\"c", { "abc" } },
		{ "\\a\\ \\b", { "a b" } },
		{ "a\\\\b", { "a\\b" } },
		{ "\\'\\\"", { "'\"" } },
		{ "'\\'", { "\\" } },
		{ "'a\\b'", { "a\\b" } },
		{ "'\"'", { "\"" } },
		{ "\"'\"", { "'" } },
		{ "\"a\\\"b\"", { "a\"b" } },
		{ "\"a\\\\b\"", { "a\\b" } },
		{ "\"\\$\\`\"", { "$`" } },
		/* Other characters keep their backslash within "...". */
		{ "\"\\a\\ \\'\"", { "\\a\\ \\'" } },
		{ "\"\t\n\"", { "\t\n" } },
		{ "'\t\n'", { "\t\n" } },
		/* A backslash and a newline join two lines. */
		{ "a\\\nb", { "ab" } },
		{ "a \\\n b", { "a", "b" } },
		{ "\\\n", { NULL } },
		{ "\"a\\\nb\"", { "ab" } },
		{ "'a\\\nb'", { "a\\\nb" } },
		/* Only at the start of a word do these mean something. */
		{ "a#b a~b", { "a#b", "a~b" } },
		{ "x a=b c=d", { "x", "a=b", "c=d" } },
		{ "'a'=b c=d", { "a=b", "c=d" } },
		{ "-x --y=z .:/@%+,!^", { "-x", "--y=z", ".:/@%+,!^" } },
		{ "'|&;<>()$`*?[]{}~#'", { "|&;<>()$`*?[]{}~#" } },
		{ "\\| \\& \\; \\$ \\* \\~a \\#a",
		    { "|", "&", ";", "$", "*", "~a", "#a" } },
		{ "\"|&;<>()*?[]{}~#\"", { "|&;<>()*?[]{}~#" } },
		{ "\xc3\xa9\xff \x01", { "\xc3\xa9\xff", "\x01" } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
		check(examples[i].line, 1, examples[i].words);
		check(examples[i].line, 0, examples[i].words);
	}
}

/* Without "strict" what a shell would act upon is plain text. */
static void
plain(void **state)
{
	static const struct example examples[] = {
		{ "a|b >c;d", { "a|b", ">c;d" } },
		{ "$HOME `id` *.c", { "$HOME", "`id`", "*.c" } },
		{ "~a #b {c} [d] (e) f&", { "~a", "#b", "{c}", "[d]", "(e)",
		    "f&" } },
		{ "\"$HOME `id`\"", { "$HOME `id`" } },
		{ "a?<", { "a?<" } },
		{ "a\nb", { "a", "b" } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++)
		check(examples[i].line, 0, examples[i].words);
}

static void
refuse(const char *line, int strict, enum words_error error, size_t place)
{
	static char *untouched[] = { NULL };
	char **words = untouched;
	size_t count = 99, at = 99;

	assert_int_equal(words_split(line, strict, &words, &count, &at),
	    error);
	assert_int_equal(at, place);
}

static void
errors(void **state)
{
	static const struct {
		const char *line;
		enum words_error error;
		size_t at;
	} examples[] = {
		{ "'", WORDS_QUOTE, 0 },
		{ "\"", WORDS_QUOTE, 0 },
		{ "a 'b", WORDS_QUOTE, 2 },
		{ "a b\"c'd'", WORDS_QUOTE, 3 },
		{ "'a' 'b", WORDS_QUOTE, 4 },
		{ "\"a\\\"", WORDS_QUOTE, 0 },
		{ "\\", WORDS_BACKSLASH, 0 },
		{ "a b\\", WORDS_BACKSLASH, 3 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
		refuse(examples[i].line, 1, examples[i].error,
		    examples[i].at);
		refuse(examples[i].line, 0, examples[i].error,
		    examples[i].at);
	}
}

/* Each character that needs a shell, in each place where it does. */
static void
needs_a_shell(void **state)
{
	static const char anywhere[] = "|&;<>()$`*?[]{}";
	static const char first[] = "~#";
	char line[16];

	(void)state;
	for (const char *p = anywhere; *p != '\0'; p++) {
		(void)snprintf(line, sizeof line, "%c", *p);
		refuse(line, 1, WORDS_SHELL, 0);
		(void)snprintf(line, sizeof line, "a b%cc", *p);
		refuse(line, 1, WORDS_SHELL, 3);
		(void)snprintf(line, sizeof line, "'x'%c", *p);
		refuse(line, 1, WORDS_SHELL, 3);
	}
	for (const char *p = first; *p != '\0'; p++) {
		(void)snprintf(line, sizeof line, "%ca", *p);
		refuse(line, 1, WORDS_SHELL, 0);
		(void)snprintf(line, sizeof line, "a %ca", *p);
		refuse(line, 1, WORDS_SHELL, 2);
	}
	/* A newline ends a command, where one more begins. */
	refuse("a\nb", 1, WORDS_SHELL, 1);
	refuse("a \n\n b", 1, WORDS_SHELL, 2);
	/* "..." does not keep these from a shell. */
	refuse("\"a$b\"", 1, WORDS_SHELL, 2);
	refuse("\"a`b\"", 1, WORDS_SHELL, 2);
}

/* As a first word; what is quoted or only looks like one means itself. */
static void
constructs(void **state)
{
	static const struct {
		const char *line;
		size_t at;	/* WORDS_SHELL here, and */
		size_t culprit;	/* for so much; 0: it can be split. */
	} cases[] = {
		{ "if test -e x", 0, 2 }, { "  then", 2, 4 }, { "fi", 0, 2 },
		{ "! true", 0, 1 }, { "while\tread x", 0, 5 },
		{ "for i in 1 2", 0, 3 }, { "function f", 0, 8 },
		{ "LANG=C date", 0, 5 }, { "_x9=", 0, 4 },
		{ "A='b c' d", 0, 2 }, { "A=$b", 0, 2 },
		{ "'if' x", 0, 0 }, { "i\\f x", 0, 0 }, { "\"fi\"", 0, 0 },
		{ "iff x", 0, 0 }, { "echo if", 0, 0 }, { "echo A=b", 0, 0 },
		{ "'A'=b", 0, 0 }, { "9a=b", 0, 0 }, { "a-b=c", 0, 0 },
		{ "=b", 0, 0 }, { "./a=b", 0, 0 }
	};
	char **words;
	size_t count, at;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_int_equal(words_split(cases[i].line, 0, &words, &count,
		    &at), WORDS_OK);
		words_free(words);
		if (cases[i].culprit > 0) {
			refuse(cases[i].line, 1, WORDS_SHELL, cases[i].at);
			assert_int_equal(words_culprit(cases[i].line,
			    cases[i].at), cases[i].culprit);
			continue;
		}
		assert_int_equal(words_split(cases[i].line, 1, &words, &count,
		    &at), WORDS_OK);
		words_free(words);
	}
	assert_int_equal(words_culprit("a | b", 2), 1);
}

/* They are quoted as first words, and only there. */
static void
constructs_are_quoted(void **state)
{
	static const struct {
		const char *words[4];
		const char *line;
	} cases[] = {
		{ { "if", "if", NULL }, "'if' if" },
		{ { "A=b", "A=b", NULL }, "'A=b' A=b" },
		{ { "!", NULL }, "'!'" },
		{ { "./a=b", NULL }, "./a=b" }
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char *words[4], *text;

		memcpy(words, cases[i].words, sizeof words);
		text = words_join(words, 0);

		assert_string_equal(text, cases[i].line);
		free(text);
	}
}

static void
sentences(void **state)
{
	static const enum words_error all[] = { WORDS_OK, WORDS_QUOTE,
	    WORDS_BACKSLASH, WORDS_SHELL, WORDS_MEMORY };

	(void)state;
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		assert_true(strlen(words_strerror(all[i])) > 5);
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(words_strerror(all[i]),
			    words_strerror(all[k]));
	}
}

static void
join(void **state)
{
	char a[] = "a", empty[] = "", blank[] = "b c", quote[] = "it's",
	    wild[] = "*";
	char *words[] = { a, empty, blank, quote, wild, NULL };
	char one[] = "A=1", two[] = "B=2";
	char *assignments[] = { one, two, NULL };
	char *none[] = { NULL };
	char *text = words_join(words, 0);

	(void)state;
	assert_string_equal(text, "a '' 'b c' 'it'\\''s' '*'");
	free(text);
	/* To a shell, the first of these would be no word but an assignment. */
	text = words_join(assignments, 0);
	assert_string_equal(text, "'A=1' B=2");
	free(text);
	text = words_join(none, 0);
	assert_string_equal(text, "");
	free(text);
	text = words_join(none, 10);
	assert_string_equal(text, "");
	free(text);
}

/* A few random words; returns their number. */
static size_t
some_words(uint64_t *seed, const char *alphabet, char bytes[MOST][24],
    char *words[MOST])
{
	size_t count = unit_below(seed, MOST), letters = strlen(alphabet);

	for (size_t i = 0; i < count; i++) {
		size_t n = unit_below(seed, 24);

		for (size_t k = 0; k < n; k++) {
			bytes[i][k] = alphabet[unit_below(seed, letters)];
			/* Half of the words are of any byte. */
			if (i % 2 == 0)
				bytes[i][k] = (char)(1 + unit_below(seed,
				    255));
		}
		bytes[i][n] = '\0';
		words[i] = bytes[i];
	}
	words[count] = NULL;
	return count;
}

static const char special[] = "ab \t\n'\"\\$`|&;<>()*?[]{}~#=!%-\xc3\xa9";

/* Any words that join gives, split gives back. */
static void
round_trip(void **state)
{
	char bytes[MOST][24], *words[MOST], **back;
	size_t count, got, at;
	uint64_t seed = 8;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		char *text;

		count = some_words(&seed, special, bytes, words);
		text = words_join(words, 0);
		assert_non_null(text);
		assert_int_equal(words_split(text, 1, &back, &got, &at),
		    WORDS_OK);
		assert_int_equal(got, count);
		for (size_t k = 0; k < count; k++)
			assert_string_equal(back[k], words[k]);
		words_free(back);
		free(text);
	}
}

/* The beginning of a text, marked, with any bound. */
static void
bounded(void **state)
{
	char bytes[MOST][24], *words[MOST];
	uint64_t seed = 9;

	(void)state;
	for (int i = 0; i < 300; i++) {
		char *whole, *text;
		size_t n;

		(void)some_words(&seed, special, bytes, words);
		whole = words_join(words, 0);
		n = strlen(whole);
		for (size_t max = 1; max < n + 3; max++) {
			text = words_join(words, max);
			assert_non_null(text);
			if (n <= max) {
				assert_string_equal(text, whole);
			} else {
				assert_true(strlen(text) <= max + 4);
				assert_string_equal(text + strlen(text) - 4,
				    " ...");
				assert_memory_equal(text, whole,
				    strlen(text) - 4);
			}
			free(text);
		}
		free(whole);
	}
}

/* Any line: an answer, within bounds, and nothing to free after an error. */
static void
any_line(void **state)
{
	uint64_t seed = 10;
	size_t counts[WORDS_MEMORY + 1] = { 0 };

	(void)state;
	for (int i = 0; i < 50000; i++) {
		size_t n = unit_below(&seed, 20), count = 0, at = 0;
		char *line = test_malloc(n + 1), **words = NULL;
		enum words_error e;

		for (size_t k = 0; k < n; k++)
			line[k] = special[unit_below(&seed,
			    sizeof special - 1)];
		line[n] = '\0';
		e = words_split(line, i % 2, &words, &count, &at);
		counts[e]++;
		if (e == WORDS_OK) {
			assert_null(words[count]);
			for (size_t k = 0; k < count; k++)
				assert_true(strlen(words[k]) <= n);
			words_free(words);
		} else
			assert_true(at < n);
		test_free(line);
	}
	assert_true(counts[WORDS_OK] > 1000);
	assert_true(counts[WORDS_QUOTE] > 1000);
	assert_true(counts[WORDS_SHELL] > 1000);
	assert_true(counts[WORDS_BACKSLASH] > 100);
}

/*
 * A line that needs no shell gives the words that a shell would have found.
 * The shell prints, for each line, the number of its words and the words,
 * each with a NUL after it.
 */
static void
as_the_shell_does(void **state)
{
	enum { LINES = 3000 };
	static const char letters[] = "ab \t'\"\\\\\n$#~=!";
	static const char command[] = "sh ./script > answer 2> complaints";
	static char *words[LINES][64];
	static size_t counts[LINES];
	uint64_t seed = 11;
	FILE *script = fopen("script", "w"), *answer;
	char word[256], number[32];
	size_t lines = 0, at;

	(void)state;
	assert_non_null(script);
	fputs("p() { printf '%s\\0' $# \"$@\"; }\n", script);
	while (lines < LINES) {
		char line[24], **found;
		size_t n = unit_below(&seed, sizeof line - 1);

		for (size_t i = 0; i < n; i++)
			line[i] = letters[unit_below(&seed,
			    sizeof letters - 1)];
		line[n] = '\0';
		if (words_split(line, 1, &found, &counts[lines], &at) !=
		    WORDS_OK)
			continue;
		/* An unquoted newline would end the shell's command; the
		 * space is for what ends in a backslash and a newline. */
		for (size_t i = 0; i < counts[lines]; i++)
			words[lines][i] = strdup(found[i]);
		words_free(found);
		fputs("p ", script);
		for (size_t i = 0, quote = 0; i < n; i++) {
			if (line[i] == '\\' && quote != '\'') {
				fputc(line[i], script);
				fputc(line[++i], script);
				continue;
			}
			if (quote == 0 && (line[i] == '\'' || line[i] == '"'))
				quote = (size_t)line[i];
			else if ((size_t)line[i] == quote)
				quote = 0;
			fputc(quote == 0 && line[i] == '\n' ? ' ' : line[i],
			    script);
		}
		fputs("\n", script);
		lines++;
	}
	assert_int_equal(fclose(script), 0);
	assert_int_equal(system(command), 0);
	answer = fopen("answer", "r");
	assert_non_null(answer);
	for (size_t i = 0; i < lines; i++) {
		(void)snprintf(number, sizeof number, "%zu", counts[i]);
		for (size_t k = 0; k <= counts[i]; k++) {
			size_t n = 0;
			int c;

			while ((c = fgetc(answer)) > 0) {
				word[n++] = (char)c;
				assert_true(n < sizeof word);
			}
			assert_int_equal(c, 0);
			word[n] = '\0';
			assert_string_equal(word, k == 0 ? number :
			    words[i][k - 1]);
			if (k > 0)
				free(words[i][k - 1]);
		}
	}
	assert_int_equal(fgetc(answer), EOF);
	assert_int_equal(fclose(answer), 0);
}

/* What "write" makes of words, "shell" takes for the same words. */
static void
check_for(const char *shell, uint64_t seed,
    char *(*write)(char *const *words))
{
	enum { LINES = 500 };
	static char bytes[LINES][MOST][24], command[64];
	char *words[MOST];
	static size_t counts[LINES];
	FILE *script = fopen("script", "w"), *answer;
	int c;

	assert_non_null(script);
	fputs("p() { for w; do printf '%s\\0' \"$w\"; done; }\n", script);
	for (size_t i = 0; i < LINES; i++) {
		char *text;

		counts[i] = some_words(&seed, special, bytes[i], words);
		text = write(words);
		fprintf(script, "p %s\n", text);
		free(text);
	}
	assert_int_equal(fclose(script), 0);
	(void)snprintf(command, sizeof command, "LC_ALL=C %s ./script > answer",
	    shell);
	assert_int_equal(system(command), 0);
	answer = fopen("answer", "r");
	assert_non_null(answer);
	for (size_t i = 0; i < LINES; i++) {
		for (size_t k = 0; k < counts[i]; k++) {
			for (const char *p = bytes[i][k];; p++) {
				c = fgetc(answer);
				assert_int_equal(c, (unsigned char)*p);
				if (c == '\0')
					break;
			}
		}
	}
	assert_int_equal(fgetc(answer), EOF);
	assert_int_equal(fclose(answer), 0);
}

static char *
joined(char *const *words)
{
	return words_join(words, 0);
}

/* And what join gives, a shell takes for the same words. */
static void
for_the_shell(void **state)
{
	(void)state;
	check_for("sh", 12, joined);
}

/* --- words in a sentence -------------------------------------------------- */

/* All of them, and all of it printable as it stands. */
static char *
shown(char *const *words)
{
	enum { SIZE = MOST * 110 };
	char *text = malloc(SIZE), *again = malloc(SIZE);

	assert_non_null(text);
	assert_non_null(again);
	assert_true(words_show(text, SIZE, words));
	(void)text_printable(again, SIZE, text, strlen(text));
	assert_string_equal(again, text);
	free(again);
	return text;
}

static void
can_be_pasted(void **state)
{
	(void)state;
	if (system("bash -c true 2>/dev/null") == 0)
		check_for("bash", 13, shown);
}

static void
show(void **state)
{
	static const struct {
		const char *words[4];
		const char *line;
	} cases[] = {
		{ { "ls", "-la", "/x", NULL }, "ls -la /x" },
		{ { "grep", "a\\.b", "it's", NULL },
		    "grep 'a\\.b' 'it'\\''s'" },
		{ { "a\nb", "", "\"", NULL }, "$'a\\nb' '' '\"'" },
		{ { "\033[31m'", "\xff" "0", NULL },
		    "$'\\x1b[31m\\'' $'\\xff0'" },
		{ { "gr\xc3\xbc\xc3\x9f" "e", "\xe2\x80\xae", NULL },
		    "'gr\xc3\xbc\xc3\x9f" "e' $'\\xe2\\x80\\xae'" },
		{ { "A=b", "A=b", "a\\\n", NULL }, "'A=b' A=b $'a\\\\\\n'" },
		{ { NULL }, "" },
	};
	char *words[4], text[100];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		memcpy(words, cases[i].words, sizeof words);
		assert_true(words_show(text, sizeof text, words));
		assert_string_equal(text, cases[i].line);
	}
}

/* However little room there is: a beginning of it, whose quotes are closed, and
 * no half of a character or an escape. */
static void
show_a_part(void **state)
{
	char bytes[MOST][24], *words[MOST], text[MOST * 110];
	uint64_t seed = 14;

	(void)state;
	for (int i = 0; i < 300; i++) {
		char *whole, again[sizeof text];
		size_t n, length;
		bool fits;

		(void)some_words(&seed, special, bytes, words);
		whole = shown(words);
		n = strlen(whole);
		for (size_t size = 8; size < n + 3; size++) {
			memset(text, 'x', sizeof text);
			fits = words_show(text, size, words);
			assert_int_equal(fits, strcmp(text, whole) == 0);
			length = strlen(text);
			assert_true(length < size);
			/* As much as fits: 4 for a unit, a quote, a NUL. */
			assert_true(fits || length + 8 >= size);
			if (length > 0 && text[length - 1] == '\'')
				length--;
			/* Of a longer word only so much is looked at. */
			if (size > 24)
				assert_memory_equal(text, whole, length);
			(void)text_printable(again, sizeof again, text,
			    strlen(text));
			assert_string_equal(again, text);
		}
		free(whole);
	}
}

static void
out_of_memory(void **state)
{
	char a[] = "a", *words[] = { a, NULL }, **found = words;
	char text[8] = "x";
	size_t count, at;

	(void)state;
	memory_fail_at(0);
	assert_int_equal(words_split("a b", 1, &found, &count, &at),
	    WORDS_MEMORY);
	assert_true(memory_has_failed());
	memory_fail_at(0);
	assert_null(words_join(words, 0));
	assert_true(memory_has_failed());
	memory_fail_at(0);
	assert_false(words_show(text, sizeof text, words));
	assert_true(memory_has_failed());
	assert_string_equal(text, "");
	words_free(NULL);
}

static char folder[UNIT_PATH_MAX];

static int
enter(void **state)
{
	(void)state;
	unit_enter(folder);
	return 0;
}

static int
leave(void **state)
{
	(void)state;
	unit_leave(folder);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(split),
		cmocka_unit_test(plain),
		cmocka_unit_test(errors),
		cmocka_unit_test(needs_a_shell),
		cmocka_unit_test(constructs),
		cmocka_unit_test(constructs_are_quoted),
		cmocka_unit_test(sentences),
		cmocka_unit_test(join),
		cmocka_unit_test(round_trip),
		cmocka_unit_test(bounded),
		cmocka_unit_test(any_line),
		cmocka_unit_test(as_the_shell_does),
		cmocka_unit_test(for_the_shell),
		cmocka_unit_test(show),
		cmocka_unit_test(can_be_pasted),
		cmocka_unit_test(show_a_part),
		cmocka_unit_test(out_of_memory),
	};

	return cmocka_run_group_tests_name("words", tests, enter, leave);
}
