#include <config.h>

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/tls/serials.h"

/*
 * One row a number, all equally wide: its length, its bytes, zeros.  Rows
 * compare as bytes; the length in front makes the zeros harmless.
 */
struct serials {
	size_t width;
	size_t count;
	size_t room;
	uint8_t rows[];
};

struct serials *
serials_new(size_t count, size_t longest)
{
	struct serials *s;
	size_t width = longest + 1;

	assert(longest <= SERIALS_BYTES_MAX);
	if (count > (SIZE_MAX - sizeof *s) / width)
		return NULL;
	/* calloc() of this size leaves the zeros to the kernel. */
	if ((s = calloc(1, sizeof *s + count * width)) == NULL)
		return NULL;
	s->width = width;
	s->room = count;
	return s;
}

void
serials_free(struct serials *s)
{
	free(s);
}

static void
fill_row(uint8_t *row, const uint8_t *bytes, size_t n)
{
	row[0] = (uint8_t)n;
	memcpy(row + 1, bytes, n);
}

void
serials_add(struct serials *s, const uint8_t *bytes, size_t n)
{
	assert(s->count < s->room && n < s->width);
	fill_row(s->rows + s->width * s->count++, bytes, n);
}

static int
compare(const void *a, const void *b, void *width)
{
	return memcmp(a, b, *(const size_t *)width);
}

void
serials_sort(struct serials *s)
{
	/* Most authorities write their lists in order. */
	for (size_t i = 1; i < s->count; i++) {
		if (memcmp(s->rows + s->width * (i - 1),
		    s->rows + s->width * i, s->width) > 0) {
			qsort_r(s->rows, s->count, s->width, compare,
			    &s->width);
			return;
		}
	}
}

bool
serials_has(const struct serials *s, const uint8_t *bytes, size_t n)
{
	uint8_t row[SERIALS_BYTES_MAX + 1] = { 0 };
	size_t low = 0, high = s->count;

	if (n >= s->width)
		return false;
	fill_row(row, bytes, n);
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = memcmp(row, s->rows + s->width * middle, s->width);

		if (order == 0)
			return true;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return false;
}

size_t
serials_count(const struct serials *s)
{
	return s->count;
}
