/*
 * arena.h - many small allocations that are freed together.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_ARENA_H
#define AIS_ARENA_H

#include <stddef.h>

struct arena_chunk;

/* All zero at first. */
struct arena {
	struct arena_chunk *chunks;	/* The newest first. */
	size_t used;			/* Of the newest. */
};

/* "n" bytes, aligned for a pointer; NULL if memory is out. */
void *arena_alloc(struct arena *a, size_t n);

/* A string by a format; NULL if memory is out. */
char *arena_printf(struct arena *a, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A copy of "list", NULL terminated, and of its strings; NULL if memory is
 * out. */
char **arena_copy_list(struct arena *a, char *const *list);

/* Free everything that came from it; it is as new. */
void arena_free(struct arena *a);

#endif
