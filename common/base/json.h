/*
 * json.h - one JSON object (RFC 8259), written member by member, or read.
 *
 * Texts may hold foreign bytes.  What is written is printable ASCII in
 * any case, so that it can go to a terminal, a log or a pipe.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_JSON_H
#define AIS_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct json {
	FILE *out;
	bool more;		/* A comma is due before the next one. */
};

/*
 * Open an object or an array, and close it.  "name" is the member's in the
 * object around it; NULL at the top and within an array.
 */
void json_open(struct json *j, const char *name, char bracket);
void json_close(struct json *j, char bracket);

/*
 * A member, or with "name" NULL an element.  json_bytes() writes UTF-8 as the
 * characters that it is, and U+FFFD for each byte that is none; so does
 * json_text(), for a string.
 */
void json_bytes(struct json *j, const char *name, const void *bytes,
    size_t n);
void json_text(struct json *j, const char *name, const char *text);
void json_integer(struct json *j, const char *name, int64_t v);
void json_bool(struct json *j, const char *name, bool v);

/* Is all of it UTF-8?  Then json_bytes() loses nothing. */
bool json_is_text(const void *bytes, size_t n);

/* How many of the first bytes json_bytes() writes as at most "room" characters,
 * quotes left out; no character is divided. */
size_t json_fit(const void *bytes, size_t n, size_t room);

/* Any bytes, in base64 (RFC 4648, section 4). */
void json_base64(struct json *j, const char *name, const void *bytes,
    size_t n);

/* "us" microseconds, as a number of seconds. */
void json_seconds(struct json *j, const char *name, int64_t us);

#endif
