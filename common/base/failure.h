/*
 * failure.h - what went wrong, in its parts.
 *
 * SPDX-License-Identifier: ISC
 *
 * A failure is made where it is known, and carried whole to the terminal, to
 * JSON and to the log.  No code takes its sentence apart.
 */
#ifndef AIS_FAILURE_H
#define AIS_FAILURE_H

#include <stdarg.h>
#include <stddef.h>

#define FAILURE_ABOUT_MAX	384
#define FAILURE_TEXT_MAX	1536
#define FAILURE_HINT_MAX	640
/* Room for all of it in one sentence. */
#define FAILURE_MAX	(FAILURE_ABOUT_MAX + FAILURE_TEXT_MAX + \
			FAILURE_HINT_MAX)

/* The texts are printable: what puts a foreign one in escapes it. */
struct failure {
	int code;		/* The kind, as the module that makes it
				 * numbers them. */
	char about[FAILURE_ABOUT_MAX];	/* The key, or the place in a file; ""
					 * where the text says it. */
	char text[FAILURE_TEXT_MAX];	/* What is wrong. */
	char hint[FAILURE_HINT_MAX];	/* What to do; "" if none is known. */
};

/* Make "f" a failure with this text, about nothing and with no hint.  A text
 * that is too long is cut. */
void failure_set(struct failure *f, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void failure_vset(struct failure *f, int code, const char *format, va_list ap)
    __attribute__((format(printf, 3, 0)));

/* The same, with the hint "hint" ("": none).  -1. */
int failure_make(struct failure *f, int code, const char *hint,
    const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Say what "f" is about, and what to do, in place of what it says of that. */
void failure_about(struct failure *f, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void failure_hint(struct failure *f, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Say what else to do, after "; " where "f" has a hint already. */
void failure_more(struct failure *f, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Write "about: text" into "out", and "; hint" after it; returns "out". */
char *failure_message(const struct failure *f, char out[FAILURE_MAX]);
char *failure_sentence(const struct failure *f, char out[FAILURE_MAX]);

#endif
