/*
 * logjson.h - an event as a line of JSON.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_LOGJSON_H
#define AIS_LOGJSON_H

#include <stddef.h>

struct log_event;

/* Room for a line. */
#define LOGJSON_MAX	(48 * 1024)

/*
 * Write "e" as one object with a newline into "out" of LOGJSON_MAX bytes: the
 * members are those of log_format() and all texts.  One that is not UTF-8 has
 * U+FFFD for each byte that is none, and all of its bytes in base64 in a member
 * NAME_base64 after it.  Returns the length, or 0 with errno set where there
 * is no memory.
 */
size_t logjson_format(char *out, const struct log_event *e);

#endif
