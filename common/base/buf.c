/* Bounded byte queue, big-endian numbers in and out.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"

/* The first allocation; small queues stay at it. */
#define BUF_FIRST	1024

void
buf_init(struct buf *b, size_t limit)
{
	memset(b, 0, sizeof *b);
	b->limit = limit;
}

void
buf_free(struct buf *b)
{
	free(b->data);
	buf_init(b, b->limit);
}

size_t
buf_used(const struct buf *b)
{
	return b->used;
}

size_t
buf_room(const struct buf *b)
{
	return b->limit - b->used;
}

const uint8_t *
buf_data(const struct buf *b)
{
	/* An empty queue may have no allocation; NULL plus 0 is undefined. */
	return b->data == NULL ? NULL : b->data + b->start;
}

/* Grow the allocation to hold at least "need" bytes; "need" <= limit. */
static int
buf_grow(struct buf *b, size_t need)
{
	size_t size = b->size == 0 ? BUF_FIRST : b->size;
	uint8_t *data;

	while (size < need)
		size *= 2;
	if (size > b->limit)
		size = b->limit;
	if ((data = realloc(b->data, size)) == NULL)
		return -1;
	b->data = data;
	b->size = size;
	return 0;
}

uint8_t *
buf_reserve(struct buf *b, size_t n)
{
	if (n > buf_room(b))
		return NULL;
	if (n > b->size - b->start - b->used && b->start > 0) {
		memmove(b->data, b->data + b->start, b->used);
		b->start = 0;
	}
	if ((b->data == NULL || n > b->size - b->used) &&
	    buf_grow(b, b->used + n) == -1)
		return NULL;
	return b->data + b->start + b->used;
}

void
buf_commit(struct buf *b, size_t n)
{
	assert(n <= b->size - b->start - b->used);
	b->used += n;
}

void
buf_consume(struct buf *b, size_t n)
{
	assert(n <= b->used);
	b->used -= n;
	b->start = b->used == 0 ? 0 : b->start + n;
}

int
buf_put(struct buf *b, const void *bytes, size_t n)
{
	uint8_t *p = buf_reserve(b, n);

	if (p == NULL)
		return -1;
	if (n > 0)
		memcpy(p, bytes, n);
	buf_commit(b, n);
	return 0;
}

int
buf_put_u8(struct buf *b, uint8_t v)
{
	return buf_put(b, &v, 1);
}

void
store_u16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

void
store_u32(uint8_t *p, uint32_t v)
{
	store_u16(p, (uint16_t)(v >> 16));
	store_u16(p + 2, (uint16_t)v);
}

void
store_u64(uint8_t *p, uint64_t v)
{
	store_u32(p, (uint32_t)(v >> 32));
	store_u32(p + 4, (uint32_t)v);
}

uint16_t
fetch_u16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

uint32_t
fetch_u32(const uint8_t *p)
{
	return (uint32_t)fetch_u16(p) << 16 | fetch_u16(p + 2);
}

uint64_t
fetch_u64(const uint8_t *p)
{
	return (uint64_t)fetch_u32(p) << 32 | fetch_u32(p + 4);
}

int
reader_bytes(struct reader *r, const uint8_t **p, size_t n)
{
	if (n > r->left)
		return -1;
	*p = r->p;
	r->left -= n;
	if (n > 0)
		r->p += n;
	return 0;
}

int
reader_u8(struct reader *r, uint8_t *v)
{
	const uint8_t *p;

	if (reader_bytes(r, &p, 1) == -1)
		return -1;
	*v = *p;
	return 0;
}

int
reader_u32(struct reader *r, uint32_t *v)
{
	const uint8_t *p;

	if (reader_bytes(r, &p, 4) == -1)
		return -1;
	*v = fetch_u32(p);
	return 0;
}
