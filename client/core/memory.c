/*
 * memory.c - memory that is there: aisc exits where there is none.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/core/outcome.h"

#include "client/core/memory.h"

void
memory_out(void)
{
	outcome_say("resources: out of memory");
	/* Half of what stdio still holds must not be written. */
	_exit(OUTCOME_FAILED);
}

void *
memory_get(size_t n)
{
	void *p = calloc(1, n);

	if (p == NULL)
		memory_out();
	return p;
}

void *
memory_grow(void *old, size_t count, size_t size)
{
	void *p = reallocarray(old, count, size);

	if (p == NULL)
		memory_out();
	return p;
}

char *
memory_copy(const char *text)
{
	char *copy = strdup(text);

	if (copy == NULL)
		memory_out();
	return copy;
}

void
memory_set(char **place, const char *text)
{
	char *copy = memory_copy(text);

	free(*place);
	*place = copy;
}
