/*
 * buf.h - a bounded queue of bytes.
 *
 * Bytes are put at the end and consumed at the front.  A queue never grows
 * beyond the limit it was made with; it allocates when first used and gives
 * its memory back when told to.  Numbers are big endian, as on the wire.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_BUF_H
#define AIS_BUF_H

#include <stddef.h>
#include <stdint.h>

struct buf {
	uint8_t *data;		/* The allocation, or NULL. */
	size_t start;		/* First byte not yet consumed. */
	size_t used;		/* Bytes between start and the end. */
	size_t size;		/* Size of the allocation. */
	size_t limit;		/* Never hold more than this. */
};

/* Make "b" an empty queue that will hold at most "limit" bytes. */
void buf_init(struct buf *b, size_t limit);

/* Give back the memory of "b".  It stays usable, and empty. */
void buf_free(struct buf *b);

/* How many bytes can be consumed, and how many more "b" may take. */
size_t buf_used(const struct buf *b);
size_t buf_room(const struct buf *b);

/* The bytes at the front; valid until "b" next changes. */
const uint8_t *buf_data(const struct buf *b);

/*
 * Make room for "n" more bytes in one piece and return where they go, or NULL
 * if the limit forbids it or memory is out.  buf_commit() then says how many
 * of them have been written.
 */
uint8_t *buf_reserve(struct buf *b, size_t n);
void buf_commit(struct buf *b, size_t n);

/* Drop "n" bytes from the front; "n" is at most buf_used(). */
void buf_consume(struct buf *b, size_t n);

/* Append "n" bytes.  0, or -1 if they do not fit or memory is out. */
int buf_put(struct buf *b, const void *bytes, size_t n);

/* Append a byte.  0, or -1 as buf_put(). */
int buf_put_u8(struct buf *b, uint8_t v);

/* Store and fetch a number at "p", without any check of bounds. */
void store_u16(uint8_t *p, uint16_t v);
void store_u32(uint8_t *p, uint32_t v);
void store_u64(uint8_t *p, uint64_t v);
uint16_t fetch_u16(const uint8_t *p);
uint32_t fetch_u32(const uint8_t *p);
uint64_t fetch_u64(const uint8_t *p);

/* A reader over bytes that it borrows. */
struct reader {
	const uint8_t *p;
	size_t left;
};

/*
 * Take a number, or "n" bytes, from the front.  0, or -1 and nothing is taken
 * if there is less.
 */
int reader_u8(struct reader *r, uint8_t *v);
int reader_u32(struct reader *r, uint32_t *v);
int reader_bytes(struct reader *r, const uint8_t **p, size_t n);

#endif
