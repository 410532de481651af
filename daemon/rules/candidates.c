#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "common/base/pattern.h"
#include "daemon/rules/candidates.h"

/* The beginning of a pattern: "length" bytes of "text". */
struct candidate {
	const char *text;
	size_t length;
	size_t number;
};

void
candidates_init(struct candidates *c)
{
	memset(c, 0, sizeof *c);
}

void
candidates_free(struct candidates *c)
{
	free(c->all);
	candidates_init(c);
}

static int
add(struct candidates *c, const char *pattern, size_t number)
{
	size_t size = c->size == 0 ? 16 : 2 * c->size;
	struct candidate *all;

	if (c->count == c->size) {
		if ((all = realloc(c->all, size * sizeof *all)) == NULL)
			return -1;
		c->all = all;
		c->size = size;
	}
	c->all[c->count++] = (struct candidate){ .text = pattern,
	    .length = pattern_beginning(pattern), .number = number };
	return 0;
}

int
candidates_add(struct candidates *c, char *const *patterns, size_t number)
{
	if (patterns == NULL)
		return add(c, "", number);
	for (; *patterns != NULL; patterns++) {
		if (add(c, *patterns, number) == -1)
			return -1;
	}
	return 0;
}

/* By length, then by text. */
static int
compare_texts(const struct candidate *x, const struct candidate *y)
{
	if (x->length != y->length)
		return x->length < y->length ? -1 : 1;
	return memcmp(x->text, y->text, x->length);
}

static int
compare(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;
	int order = compare_texts(x, y);

	if (order != 0)
		return order;
	return (x->number > y->number) - (x->number < y->number);
}

void
candidates_sort(struct candidates *c)
{
	if (c->count > 0)
		qsort(c->all, c->count, sizeof *c->all, compare);
}

/* Where the first that is not before "key" stands, from "low" on. */
static size_t
find(const struct candidates *c, size_t low, const struct candidate *key)
{
	size_t high = c->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare(&c->all[middle], key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

size_t
candidates_first(const struct candidates *c, const char *text,
    bool (*fits)(void *context, size_t number), void *context)
{
	size_t length = strlen(text), first = CANDIDATES_NONE, at = 0;
	struct candidate key = { .text = text };

	while ((at = find(c, at, &key)) < c->count &&
	    c->all[at].length <= length) {
		for (; at < c->count &&
		    compare_texts(&c->all[at], &key) == 0 &&
		    c->all[at].number < first; at++) {
			if (fits(context, c->all[at].number))
				first = c->all[at].number;
		}
		/* On to the next length, past those that nothing has. */
		key.length++;
		if (at < c->count && c->all[at].length > key.length)
			key.length = c->all[at].length;
	}
	return first;
}
