/* A line to words and back, by the shell's quoting.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/text.h"
#include "common/base/words.h"

/* As the first word these begin or end what a shell does with other commands:
 * those of POSIX.1-2017, 2.4, and what shells add. */
static const char *const reserved[] = {
	"!", "case", "coproc", "do", "done", "elif", "else", "esac", "fi",
	"for", "function", "if", "select", "then", "until", "while"
};
#define RESERVED	(sizeof reserved / sizeof reserved[0])

/* The state of one split. */
struct split {
	const char *line;
	size_t pos;
	bool strict;
	char *text;		/* Where the words' bytes are written. */
	size_t used;
	char **words;
	size_t count;
};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n';
}

/* Does the unquoted "c" mean something to a shell, at this place? */
static bool
is_shell(char c, bool first)
{
	if (c == '#' || c == '~')
		return first;
	return c != '\0' && strchr("|&;<>()$`*?[]{}", c) != NULL;
}

size_t
words_assignment(const char *word)
{
	static const char name[] = "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
	size_t n = strspn(word, name);

	return n > 0 && word[n] == '=' && (*word < '0' || *word > '9') ?
	    n + 1 : 0;
}

/* Would a shell not take "word", which goes up to a blank or the end, for the
 * name of a command?  What is quoted is another word. */
static bool
is_construct(const char *word)
{
	size_t n = strcspn(word, " \t\n");

	for (size_t i = 0; i < RESERVED; i++) {
		if (strlen(reserved[i]) == n &&
		    strncmp(word, reserved[i], n) == 0)
			return true;
	}
	return words_assignment(word) > 0;
}

size_t
words_culprit(const char *line, size_t at)
{
	size_t n = words_assignment(line + at);

	if (n > 0)
		return n;
	return is_construct(line + at) ? strcspn(line + at, " \t\n") : 1;
}

static void
split_put(struct split *s, char c)
{
	s->text[s->used++] = c;
}

/* The inside of '...'; "pos" is after the first quote. */
static enum words_error
single_quotes(struct split *s)
{
	const char *start = s->line + s->pos, *end = strchr(start, '\'');

	if (end == NULL) {
		s->pos--;
		return WORDS_QUOTE;
	}
	for (const char *p = start; p < end; p++)
		split_put(s, *p);
	s->pos += (size_t)(end - start) + 1;
	return WORDS_OK;
}

/* The inside of "..."; "pos" is after the first quote. */
static enum words_error
double_quotes(struct split *s)
{
	size_t start = s->pos - 1;
	char c;

	while ((c = s->line[s->pos]) != '"') {
		if (c == '\0') {
			s->pos = start;
			return WORDS_QUOTE;
		}
		if (s->strict && (c == '$' || c == '`'))
			return WORDS_SHELL;
		if (c == '\\' && s->line[s->pos + 1] == '\n') {
			/* The two join lines, and leave nothing. */
			s->pos += 2;
			continue;
		}
		if (c == '\\' && s->line[s->pos + 1] != '\0' &&
		    strchr("$`\"\\", s->line[s->pos + 1]) != NULL)
			c = s->line[++s->pos];
		split_put(s, c);
		s->pos++;
	}
	s->pos++;
	return WORDS_OK;
}

/* One word, up to the blank or the end after it. */
static enum words_error
split_word(struct split *s)
{
	enum words_error e = WORDS_OK;
	size_t start = s->pos;
	char c;

	while ((c = s->line[s->pos]) != '\0' && !is_blank(c)) {
		if (s->strict && is_shell(c, s->pos == start))
			return WORDS_SHELL;
		s->pos++;
		if (c == '\'')
			e = single_quotes(s);
		else if (c == '"')
			e = double_quotes(s);
		else if (c != '\\')
			split_put(s, c);
		else if (s->line[s->pos] == '\0') {
			s->pos--;
			return WORDS_BACKSLASH;
		} else if (s->line[s->pos++] != '\n')
			split_put(s, s->line[s->pos - 1]);
		if (e != WORDS_OK)
			return e;
	}
	split_put(s, '\0');
	return WORDS_OK;
}

/*
 * Skip blanks, and backslash-newline pairs, which join lines.  A newline by
 * itself ends a shell's command: with another after it, that takes a shell.
 */
static enum words_error
skip_blanks(struct split *s)
{
	const char *p = s->line + s->pos, *newline = NULL;

	for (; is_blank(*p) || (p[0] == '\\' && p[1] == '\n'); p++) {
		if (*p == '\\')
			p++;
		else if (*p == '\n' && newline == NULL)
			newline = p;
	}
	if (s->strict && newline != NULL && s->count > 0 && *p != '\0') {
		s->pos = (size_t)(newline - s->line);
		return WORDS_SHELL;
	}
	s->pos = (size_t)(p - s->line);
	return WORDS_OK;
}

enum words_error
words_split(const char *line, int strict, char ***words, size_t *count,
    size_t *at)
{
	size_t length = strlen(line), most = length / 2 + 2;
	struct split s = { .line = line, .strict = strict != 0 };
	enum words_error e;

	/* The pointers and, after them, the bytes; no word is longer than
	 * what it is made of, but for its NUL, which its blank makes room
	 * for. */
	if ((s.words = malloc(most * sizeof *s.words + length + 1)) == NULL)
		return WORDS_MEMORY;
	s.text = (char *)(s.words + most);
	while ((e = skip_blanks(&s)) == WORDS_OK && line[s.pos] != '\0') {
		s.words[s.count++] = s.text + s.used;
		if (strict && s.count == 1 && is_construct(line + s.pos)) {
			e = WORDS_SHELL;
			break;
		}
		if ((e = split_word(&s)) != WORDS_OK)
			break;
	}
	if (e != WORDS_OK) {
		*at = s.pos;
		free(s.words);
		return e;
	}
	s.words[s.count] = NULL;
	*words = s.words;
	*count = s.count;
	return WORDS_OK;
}

void
words_free(char **words)
{
	free(words);
}

const char *
words_strerror(enum words_error e)
{
	switch (e) {
	case WORDS_OK:
		return "no error";
	case WORDS_QUOTE:
		return "a quote is not closed";
	case WORDS_BACKSLASH:
		return "a backslash at the end quotes nothing";
	case WORDS_SHELL:
		return "this needs a shell";
	case WORDS_MEMORY:
		break;
	}
	return "out of memory";
}

/* Can a word stand without quotes, also in a shell?  To that a "first" word may
 * be an assignment, or a word of its own. */
static bool
is_plain(const char *word, bool first)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@%+,=";

	return *word != '\0' && word[strspn(word, plain)] == '\0' &&
	    !(first && is_construct(word));
}

/* How a word is quoted. */
enum quoting { PLAIN, QUOTES, DOLLAR };

/* Words that are being joined. */
struct shown {
	char *out;
	size_t size;
	size_t used;
};

/* Add "n" bytes, if there is room for them, a closing quote and the NUL. */
static bool
show_bytes(struct shown *s, const char *bytes, size_t n)
{
	if (n + 2 > s->size - s->used)
		return false;
	memcpy(s->out + s->used, bytes, n);
	s->used += n;
	return true;
}

/* The length of the character at "p", or of the escape of text_escape(). */
static size_t
unit_at(const char *p, enum quoting q)
{
	size_t n = 1;

	if (q == DOLLAR && *p == '\\')
		return p[1] == 'x' ? 4 : 2;
	while (((unsigned char)p[n] & 0xc0) == 0x80)
		n++;
	return n;
}

/* Add one word, or as much as there is room for, every ' as '\''.  Whether that
 * is all. */
static bool
show_word(struct shown *s, const char *text, bool first, enum quoting q)
{
	static const char *const before[] = { "", "'", "$'" };
	const char *quote = q == DOLLAR ? "\\'" : "'\\''";
	bool fits = (first || show_bytes(s, " ", 1)) &&
	    show_bytes(s, before[q], strlen(before[q]));

	if (!fits)
		return false;
	for (size_t n; fits && *text != '\0'; text += n) {
		n = *text == '\'' ? 1 : unit_at(text, q);
		fits = *text == '\'' ? show_bytes(s, quote, strlen(quote)) :
		    show_bytes(s, text, n);
	}
	if (q != PLAIN)
		s->out[s->used++] = '\'';
	return fits;
}

char *
words_join(char *const *words, size_t max)
{
	struct shown s = { .size = sizeof " ..." };

	/* At its longest a byte becomes four; two quotes and a blank. */
	for (char *const *w = words; *w != NULL; w++)
		s.size += 4 * strlen(*w) + 3;
	if ((s.out = malloc(s.size)) == NULL)
		return NULL;
	for (char *const *w = words; *w != NULL; w++) {
		(void)show_word(&s, *w, w == words, is_plain(*w,
		    w == words) ? PLAIN : QUOTES);
		if (max > 0 && s.used > max) {
			memcpy(s.out + max, " ...", 4);
			s.used = max + 4;
			break;
		}
	}
	s.out[s.used] = '\0';
	return s.out;
}

bool
words_show(char *out, size_t size, char *const *words)
{
	struct shown s = { .out = out, .size = size };
	/* More of a word than there is room for, with any bytes. */
	size_t most = TEXT_ESCAPED_MAX(size);
	char *text = malloc(most);
	bool fits = text != NULL;

	for (char *const *w = words; fits && *w != NULL; w++) {
		size_t n = strnlen(*w, size);
		enum quoting q = PLAIN;

		(void)text_printable(text, most, *w, strlen(*w));
		if (strncmp(text, *w, n) != 0) {
			(void)text_escape(text, most, *w, n);
			q = DOLLAR;
		} else if (!is_plain(*w, w == words))
			q = QUOTES;
		fits = show_word(&s, text, w == words, q);
	}
	out[s.used] = '\0';
	free(text);
	return fits;
}
