/*
 * memory.h - memory that is there: aisc exits where there is none.
 * SPDX-License-Identifier: ISC
 *
 * The message is of class "resources", and the exit status is OUTCOME_FAILED:
 * a lack of memory never looks like an answer of the command.  What these
 * return is never NULL and is for free(3).
 */
#ifndef AIS_MEMORY_H
#define AIS_MEMORY_H

#include <stddef.h>

/* Say that memory is out, and exit. */
void memory_out(void) __attribute__((noreturn));

/* "n" bytes, each 0. */
void *memory_get(size_t n);

/* "old", or NULL, with room for "count" elements of "size" bytes. */
void *memory_grow(void *old, size_t count, size_t size);

/* A copy of "text". */
char *memory_copy(const char *text);

/* Replace the text at "place", or NULL, by a copy of "text". */
void memory_set(char **place, const char *text);

#endif
