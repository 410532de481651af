#include <config.h>

#include <assert.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/wire/frame.h"

int
frame_peek(const struct buf *in, struct frame *f)
{
	const uint8_t *p = buf_data(in);
	uint32_t length;

	if (buf_used(in) < PROTO_HEADER)
		return 0;
	length = fetch_u32(p + 5);
	if (length > PROTO_PAYLOAD_MAX)
		return -1;
	if (buf_used(in) - PROTO_HEADER < length)
		return 0;
	f->type = p[0];
	f->request = fetch_u32(p + 1);
	f->payload = p + PROTO_HEADER;
	f->length = length;
	return 1;
}

void
frame_consume(struct buf *in, const struct frame *f)
{
	buf_consume(in, PROTO_HEADER + f->length);
}

uint8_t *
frame_reserve(struct buf *out, size_t n)
{
	uint8_t *p;

	assert(n <= PROTO_PAYLOAD_MAX);
	p = buf_reserve(out, PROTO_HEADER + n);
	return p == NULL ? NULL : p + PROTO_HEADER;
}

void
frame_commit(struct buf *out, enum proto_type type, uint32_t request, size_t n)
{
	/* What frame_reserve() has reserved needs no growing here. */
	uint8_t *p = buf_reserve(out, PROTO_HEADER + n);

	assert(p != NULL && n <= PROTO_PAYLOAD_MAX);
	p[0] = (uint8_t)type;
	store_u32(p + 1, request);
	store_u32(p + 5, (uint32_t)n);
	buf_commit(out, PROTO_HEADER + n);
}

int
frame_put(struct buf *out, enum proto_type type, uint32_t request,
    const void *payload, size_t n)
{
	uint8_t *p = frame_reserve(out, n);

	if (p == NULL)
		return -1;
	if (n > 0)
		memcpy(p, payload, n);
	frame_commit(out, type, request, n);
	return 0;
}

int
frame_put_window(struct buf *out, uint32_t request, enum proto_stream stream,
    uint32_t credit)
{
	uint8_t p[5];

	p[0] = (uint8_t)stream;
	store_u32(p + 1, credit);
	return frame_put(out, PROTO_WINDOW, request, p, sizeof p);
}

int
frame_put_code(struct buf *out, enum proto_type type, uint32_t request,
    enum proto_code code, const char *text)
{
	uint8_t p[2 + PROTO_TEXT_MAX];
	size_t n = strnlen(text, PROTO_TEXT_MAX);

	store_u16(p, (uint16_t)code);
	memcpy(p + 2, text, n);
	return frame_put(out, type, request, p, 2 + n);
}

int
frame_put_u32(struct buf *out, enum proto_type type, uint32_t request,
    uint32_t v)
{
	uint8_t p[4];

	store_u32(p, v);
	return frame_put(out, type, request, p, sizeof p);
}

int
frame_put_waiting(struct buf *out, uint32_t ahead, uint8_t flags)
{
	uint8_t p[5];

	store_u32(p, ahead);
	p[4] = flags;
	return frame_put(out, PROTO_WAITING, 0, p, sizeof p);
}

int
frame_put_exit(struct buf *out, uint32_t request, const struct frame_exit *e)
{
	uint8_t p[PROTO_EXIT_SIZE];

	p[0] = (uint8_t)e->end;
	store_u16(p + 1, (uint16_t)e->reason);
	store_u32(p + 3, e->status);
	store_u64(p + 7, e->duration_us);
	store_u64(p + 15, e->cpu_us);
	store_u64(p + 23, e->out_bytes);
	store_u64(p + 31, e->err_bytes);
	store_u32(p + 39, e->left);
	return frame_put(out, PROTO_EXIT, request, p, sizeof p);
}

/* Copy the "n" bytes of a text, which may hold no NUL. */
static int
get_text(const uint8_t *p, size_t n, char *text, size_t max)
{
	if (n > max || (n > 0 && memchr(p, '\0', n) != NULL))
		return -1;
	if (n > 0)
		memcpy(text, p, n);
	text[n] = '\0';
	return 0;
}

int
frame_get_window(const struct frame *f, uint8_t *stream, uint32_t *credit)
{
	if (f->length != 5 || f->payload[0] > PROTO_STREAM_STDERR)
		return -1;
	*stream = f->payload[0];
	*credit = fetch_u32(f->payload + 1);
	return *credit > PROTO_WINDOW_MAX ? -1 : 0;
}

int
frame_get_code(const struct frame *f, uint16_t *code,
    char text[PROTO_TEXT_MAX + 1])
{
	if (f->length < 2)
		return -1;
	*code = fetch_u16(f->payload);
	return get_text(f->payload + 2, f->length - 2, text, PROTO_TEXT_MAX);
}

int
frame_get_u32(const struct frame *f, uint32_t *v)
{
	if (f->length != 4)
		return -1;
	*v = fetch_u32(f->payload);
	return 0;
}

int
frame_get_waiting(const struct frame *f, uint32_t *ahead, uint8_t *flags)
{
	if (f->length != 5)
		return -1;
	*ahead = fetch_u32(f->payload);
	*flags = f->payload[4];
	return 0;
}

int
frame_get_exit(const struct frame *f, struct frame_exit *e)
{
	const uint8_t *p = f->payload;

	if (f->length != PROTO_EXIT_SIZE || p[0] > PROTO_END_SIGNAL)
		return -1;
	e->end = p[0] == PROTO_END_EXIT ? PROTO_END_EXIT : PROTO_END_SIGNAL;
	e->reason = (enum proto_code)fetch_u16(p + 1);
	e->status = fetch_u32(p + 3);
	e->duration_us = fetch_u64(p + 7);
	e->cpu_us = fetch_u64(p + 15);
	e->out_bytes = fetch_u64(p + 23);
	e->err_bytes = fetch_u64(p + 31);
	e->left = fetch_u32(p + 39);
	return e->status > 255 ? -1 : 0;
}

int
frame_get_signal(const struct frame *f, char name[PROTO_SIGNAL_MAX + 1])
{
	return get_text(f->payload, f->length, name, PROTO_SIGNAL_MAX);
}
