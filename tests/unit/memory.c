/* Allocations that fail when told to.
 * SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>

#include "tests/unit/memory.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
char *__real_strdup(const char *text);
FILE *__real_open_memstream(char **text, size_t *size);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
char *__wrap_strdup(const char *text);
FILE *__wrap_open_memstream(char **text, size_t *size);

/* The allocation that fails, counted down to 0; negative: none does. */
static int memory_left = -1;

void
memory_fail_at(int n)
{
	memory_left = n;
}

int
memory_has_failed(void)
{
	int failed = memory_left == -2;

	memory_left = -1;
	return failed;
}

static int
memory_fails(void)
{
	if (memory_left < 0 || memory_left-- > 0)
		return 0;
	memory_left = -2;
	errno = ENOMEM;
	return 1;
}

void *
__wrap_malloc(size_t size)
{
	return memory_fails() ? NULL : __real_malloc(size);
}

void *
__wrap_calloc(size_t n, size_t size)
{
	return memory_fails() ? NULL : __real_calloc(n, size);
}

void *
__wrap_realloc(void *p, size_t size)
{
	return memory_fails() ? NULL : __real_realloc(p, size);
}

char *
__wrap_strdup(const char *text)
{
	return memory_fails() ? NULL : __real_strdup(text);
}

FILE *
__wrap_open_memstream(char **text, size_t *size)
{
	return memory_fails() ? NULL : __real_open_memstream(text, size);
}
