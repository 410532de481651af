/*
 * words.h - POSIX word splitting and quoting, without a shell.
 *
 * Words are split as the shell's token recognition and quote removal do it
 * (POSIX.1-2017, Shell Command Language, 2.2 and 2.3): blanks separate,
 * '...' keeps all, "..." keeps all but backslash before $ ` " \ and newline,
 * a backslash keeps the next character.  Nothing is expanded.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_WORDS_H
#define AIS_WORDS_H

#include <stdbool.h>
#include <stddef.h>

/* The answers of words_split(). */
enum words_error {
	WORDS_OK,
	WORDS_QUOTE,		/* A quote is not closed. */
	WORDS_BACKSLASH,	/* A backslash is the last character. */
	WORDS_SHELL,		/* It needs a shell; "*at" is the place. */
	WORDS_MEMORY
};

/*
 * Split "line" into "*words", NULL terminated, "*count" of them, which the
 * caller frees with words_free().  An unquoted character that means something
 * to a shell (| & ; < > ( ) $ ` * ? [ ] { } ~ at the start of a word, # at the
 * start of a word, a newline with more after it) is an error WORDS_SHELL where
 * "strict", else plain text; and so is a first word that a shell keeps for
 * itself, such as "if", or takes for an assignment.  On error nothing is left
 * to free, and "*at" is the offset of the offending character or word.
 */
enum words_error words_split(const char *line, int strict, char ***words,
    size_t *count, size_t *at);

/* How many bytes of "line" are to blame for WORDS_SHELL at "at": a character's,
 * a word's, or those of the name and the = of an assignment. */
size_t words_culprit(const char *line, size_t at);

/* The length of the NAME= with which "word" begins, 0: it is no assignment. */
size_t words_assignment(const char *word);

/* Free what words_split() has made; NULL is nothing. */
void words_free(char **words);

/* What an answer means, in a few words. */
const char *words_strerror(enum words_error e);

/*
 * Quote "words" so that words_split() or a shell gives them back, joined by
 * blanks.  The caller frees the string; NULL if memory is out.  "max" bounds
 * its length in bytes, 0 is no bound: what comes after is cut at a word's or
 * a byte's end and " ..." follows.
 */
char *words_join(char *const *words, size_t max);

/*
 * The same for a sentence: as many of "words" as "out", of "size" bytes, has
 * room for, and of the last one as much as that.  Each word is quoted so that
 * it can be pasted into a shell, and text_printable() leaves it as it is: a
 * word with control characters, or with bytes that are not UTF-8, is written as
 * $'a\nb', which bash(1) and zsh(1) take.  "size" is at least 8.  Whether all
 * is there.
 */
bool words_show(char *out, size_t size, char *const *words);

#endif
