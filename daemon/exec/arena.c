/* Many small allocations that are freed together.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/exec/arena.h"

/* What most users of an arena need in all. */
#define CHUNK_SIZE	4096

struct arena_chunk {
	struct arena_chunk *next;
	size_t size;
	max_align_t data[];
};

void *
arena_alloc(struct arena *a, size_t n)
{
	struct arena_chunk *c = a->chunks;
	size_t size = CHUNK_SIZE;
	void *p;

	if (n > SIZE_MAX / 2)
		return NULL;
	n = (n + sizeof(void *) - 1) / sizeof(void *) * sizeof(void *);
	if (c == NULL || n > c->size - a->used) {
		if (size < n)
			size = n;
		if ((c = malloc(sizeof *c + size)) == NULL)
			return NULL;
		c->next = a->chunks;
		c->size = size;
		a->chunks = c;
		a->used = 0;
	}
	p = (char *)c->data + a->used;
	a->used += n;
	return p;
}

char *
arena_printf(struct arena *a, const char *format, ...)
{
	va_list ap;
	char *text;
	int n;

	va_start(ap, format);
	n = vsnprintf(NULL, 0, format, ap);
	va_end(ap);
	if (n < 0 || (text = arena_alloc(a, (size_t)n + 1)) == NULL)
		return NULL;
	va_start(ap, format);
	(void)vsnprintf(text, (size_t)n + 1, format, ap);
	va_end(ap);
	return text;
}

char **
arena_copy_list(struct arena *a, char *const *list)
{
	size_t n = 0;
	char **copy;

	while (list[n] != NULL)
		n++;
	if ((copy = arena_alloc(a, (n + 1) * sizeof *copy)) == NULL)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		if ((copy[i] = arena_printf(a, "%s", list[i])) == NULL)
			return NULL;
	}
	copy[n] = NULL;
	return copy;
}

void
arena_free(struct arena *a)
{
	struct arena_chunk *c = a->chunks, *next;

	for (; c != NULL; c = next) {
		next = c->next;
		free(c);
	}
	memset(a, 0, sizeof *a);
}
