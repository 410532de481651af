/* json-read.h - what the writer of JSON has written, read again.
 * SPDX-License-Identifier: ISC */
#ifndef AIS_JSON_READ_H
#define AIS_JSON_READ_H

#include <sys/types.h>

/*
 * Look in "text", which is one flat object whose members are all texts, for the
 * member "name", and write its value into "out", which has as much room as
 * "text"; a NUL is after it.  Returns its length, or -1 if there is none, or
 * "text" is something else.  json_get_bytes() prefers the member "NAME_base64",
 * which has the bytes of a text that is not UTF-8.
 */
ssize_t json_get(const char *text, const char *name, char *out);
ssize_t json_get_bytes(const char *text, const char *name, char *out);

#endif
