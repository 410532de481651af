/*
 * options.h - a command line by a table of options.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_OPTIONS_H
#define AIS_OPTIONS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* What the value of an option becomes, at "offset" in the caller's struct. */
enum option_kind {
	OPTION_FLAG,		/* bool: true. */
	OPTION_TEXT,		/* char *: a copy, for free(3). */
	OPTION_NUMBER,		/* int64_t, a whole number up to "max". */
	OPTION_SECONDS,		/* int64_t, milliseconds, up to a year. */
	OPTION_VARIABLE		/* struct settings: its environment. */
};

struct option_row {
	const char *name;	/* Without its "--". */
	int letter;		/* 0: it has none. */
	const char *argument;	/* In capitals; NULL: it takes none. */
	const char *help;	/* NULL: it shares the line of the next. */
	enum option_kind kind;
	size_t offset;
	int64_t min, max;	/* Of OPTION_NUMBER. */
};

/* Say on standard error what is wrong with the command line, as a failure of
 * class "usage"; "see" names where the options are described, or is NULL where
 * the message says what to do.  Foreign bytes are escaped.  Always -1. */
int options_usage(const char *see, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Read "text", the value of the option "name", as a whole number from "min" to
 * "max" into "*v".  0, or -1 after a message as options_usage() has it. */
int options_number(const char *see, const char *name, const char *text,
    int64_t min, int64_t max, int64_t *v);

/*
 * Take the options at the beginning of "argv" by the "count" rows of the table
 * and put their values into "base".  Returns how many words they are, the first
 * included, which is no option, or -1 after a message.  Flags after one that is
 * wrong are set all the same, as they may say how that is to be told.
 */
int options_take(const struct option_row *rows, size_t count, void *base,
    int argc, char **argv);

/* Write the lines of --help about the table. */
void options_help(const struct option_row *rows, size_t count, FILE *out);

#endif
