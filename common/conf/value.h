/*
 * value.h - the values of configuration keys: read, compare, print, free.
 * SPDX-License-Identifier: ISC
 *
 * A table says which keys there are, of which type, and where the value of
 * each goes in a struct of the caller.
 */
#ifndef AIS_VALUE_H
#define AIS_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/base/failure.h"

struct config_setting_t;	/* A value in a file, of libconfig. */

/* The most bytes of one string, with its NUL. */
#define CONF_STRING_MAX		4096

enum conf_type {
	CONF_BOOL,		/* bool */
	CONF_INT,		/* int64_t, between min and max */
	CONF_SECONDS,		/* int64_t milliseconds; a number or "1.5 s",
				 * "10 min", "2 h"; min and max in ms */
	CONF_SIZE,		/* int64_t bytes; a number or "16 KiB", "1 MiB",
				 * "2 GiB" */
	CONF_STRING,		/* char *, from malloc(3); "" is NULL */
	CONF_PATH,		/* char *, absolute; "" is NULL */
	CONF_STRINGS,		/* char **, NULL terminated; one string is a
				 * list of one */
	CONF_VARIABLES,		/* The same, each of them "NAME=VALUE" */
	CONF_WORD,		/* int64_t: which of "words" it is, from 0 */
	CONF_OCTAL,		/* int64_t; a string of octal digits */
	CONF_GROUPS		/* Read by conf_each(); no value here. */
};

/* One key: where its value goes in the caller's struct, and what it may be. */
struct conf_key {
	const char *name;
	enum conf_type type;
	size_t offset;
	int64_t min;
	int64_t max;
	const char *const *words;	/* NULL terminated; or NULL. */
};

/* Rows of such a table: the key "name" is the member of that name of the struct
 * "base".  offsetof() takes no parentheses. */
/* NOLINTBEGIN(bugprone-macro-parentheses) */
#define CONF_KEY(base, name, type) \
	{ #name, type, offsetof(base, name), 0, 0, NULL }
#define CONF_NUMBER(base, name, type, min, max) \
	{ #name, type, offsetof(base, name), min, max, NULL }
#define CONF_CHOICE(base, name, words) \
	{ #name, CONF_WORD, offsetof(base, name), 0, 0, words }
#define CONF_LIST_OF_GROUPS(name) { #name, CONF_GROUPS, 0, 0, 0, NULL }
/* NOLINTEND(bugprone-macro-parentheses) */

/*
 * Read the value "s" of "key" into its place in "base"; what it replaces is
 * freed.  0, or -1 with the reason in "why", without the key: "must be a
 * string".
 */
int value_read(const struct config_setting_t *s, const struct conf_key *key,
    void *base, struct failure *why);

/* Read "text" as a CONF_SECONDS, "10" being as good as "10 s", into "*ms".  0,
 * or -1: it is none. */
int value_seconds(const char *text, int64_t *ms);

/* The string "s", or NULL: it is no string, or too long. */
const char *value_string(const struct config_setting_t *s);

/* Do "a" and "b" hold the same value of "key"?  CONF_GROUPS have none. */
bool conf_same(const struct conf_key *key, const void *a, const void *b);

/* Write the values of "base" in libconfig syntax, "indent" tabs deep. */
void conf_print(FILE *out, const struct conf_key *table, size_t n,
    const void *base, int indent);

/* Write one string as libconfig reads it back, with its quotes. */
void conf_print_string(FILE *out, const char *text);

/* A copy of "words", NULL terminated, as the value of a CONF_STRINGS key; NULL
 * if memory is out. */
char **conf_list(const char *const *words);

/* Free the strings that a table's values own, and set them to NULL. */
void conf_free_values(const struct conf_key *table, size_t n, void *base);

#endif
