/*
 * text.h - foreign bytes as printable text, UTF-8, and small words of English.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_TEXT_H
#define AIS_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEXT_NO_CHARACTER	UINT32_MAX
/*
 * The UTF-8 character (RFC 3629) at the start of the "n" bytes at "bytes", of
 * which there is at least one; "*length" says how many of them it takes.  If
 * there is none: TEXT_NO_CHARACTER, and "*length" is 1.
 */
uint32_t text_character(const void *bytes, size_t n, size_t *length);

/*
 * Write "n" foreign bytes as printable text into "out" of "size" bytes, NUL
 * terminated; return "out".  Backslash, double quote, control characters,
 * bytes that are not UTF-8, and characters that change the direction of text
 * or end a line are written as \\ \" \n \r \t or \xHH, so the text can be
 * turned back.  What does not fit is cut, and "..." ends the text.
 * TEXT_ESCAPED_MAX(n) bytes always suffice.
 */
char *text_escape(char *out, size_t size, const void *bytes, size_t n);
#define TEXT_ESCAPED_MAX(n)	(4 * (size_t)(n) + 1)

/* The same; whether all of it is there. */
bool text_escape_whole(char *out, size_t size, const void *bytes, size_t n);

/* The same as text_escape() for a terminal or a sentence, where double quotes
 * and backslashes stand for themselves, so that words can be pasted: it cannot
 * be turned back, and text that is printable stays as it is. */
char *text_printable(char *out, size_t size, const void *bytes, size_t n);

/* Append "name=value", escaped text, as a field of a logfmt line to the "*used"
 * bytes in "out", if it fits before "limit"; whether it did. */
bool text_put_field(char *out, size_t limit, size_t *used, const char *name,
    const char *value);

/* How many characters, and so columns, the "n" bytes of printable text take. */
size_t text_columns(const char *text, size_t n);

/* How many strings there are before the NULL that ends "list", which may itself
 * be NULL. */
size_t text_list_length(char *const *list);

/* Is "text" one of the strings of "list", which is not NULL? */
bool text_list_has(const char *const *list, const char *text);

#define TEXT_COUNT_MAX	48
/* Write "n" and "unit", in the plural unless "n" is 1, as in "1 second" and
 * "2.5 seconds"; returns "out". */
char *text_count(char out[TEXT_COUNT_MAX], double n, const char *unit);

/*
 * The name that "word" may have been meant to be, or NULL if none is close.
 * "names" is the first of "count" names, each "stride" bytes after the one
 * before, as in a table of structs; one that is NULL is passed over.
 */
const char *text_closest(const char *word, const char *const *names,
    size_t count, size_t stride);

#endif
