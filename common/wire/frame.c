/*
 * frame.c - frames, items and small payloads to and from bytes.
 *
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <assert.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/failure.h"
#include "common/wire/frame.h"

/* The kind and the length of an item. */
#define ITEM_HEADER	5

static void
store_item(uint8_t *p, enum proto_item kind, const void *bytes, size_t n)
{
	p[0] = (uint8_t)kind;
	store_u32(p + 1, (uint32_t)n);
	if (n > 0)
		memcpy(p + ITEM_HEADER, bytes, n);
}

int
item_put(struct buf *out, enum proto_item kind, const void *bytes, size_t n)
{
	uint8_t *p;

	if (n > PROTO_BODY_MAX ||
	    (p = buf_reserve(out, ITEM_HEADER + n)) == NULL)
		return -1;
	store_item(p, kind, bytes, n);
	buf_commit(out, ITEM_HEADER + n);
	return 0;
}

int
item_get(struct reader *r, uint8_t *kind, const uint8_t **bytes, size_t *n)
{
	uint32_t length;

	if (r->left == 0)
		return 0;
	if (reader_u8(r, kind) == -1 || reader_u32(r, &length) == -1 ||
	    reader_bytes(r, bytes, length) == -1)
		return -1;
	*n = length;
	return 1;
}

int
item_find(const uint8_t *items, size_t n, enum proto_item kind,
    const uint8_t **bytes, size_t *length)
{
	struct reader r = { items, n };
	const uint8_t *p;
	uint8_t k;
	int got, found = 0;

	*bytes = items;
	*length = 0;
	while ((got = item_get(&r, &k, &p, &n)) == 1) {
		if (k != kind || found == 1)
			continue;
		*bytes = p;
		*length = n;
		found = 1;
	}
	return got == -1 ? -1 : found;
}

bool
feature_is_in(const uint8_t *names, size_t n, const char *name)
{
	size_t length = strlen(name), end;

	for (size_t at = 0; at < n; at = end + 1) {
		for (end = at; end < n && names[end] != ' ';)
			end++;
		if (end - at == length &&
		    memcmp(names + at, name, length) == 0)
			return true;
	}
	return false;
}

int
frame_peek(const struct buf *in, struct frame *f)
{
	return frame_peek_at(in, 0, f);
}

int
frame_peek_at(const struct buf *in, size_t skip, struct frame *f)
{
	const uint8_t *p;
	uint32_t length;

	if (buf_used(in) < PROTO_HEADER ||
	    buf_used(in) - PROTO_HEADER < skip)
		return 0;
	p = buf_data(in) + skip;
	length = fetch_u32(p + 5);
	if (length > PROTO_PAYLOAD_MAX)
		return -1;
	if (buf_used(in) - PROTO_HEADER - skip < length)
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

/* An item with a text, cut to PROTO_TEXT_MAX, or none without one; its size. */
static size_t
store_text(uint8_t *p, enum proto_item kind, const char *text)
{
	size_t n = strlen(text);

	if (n == 0)
		return 0;
	if (n > PROTO_TEXT_MAX)
		n = PROTO_TEXT_MAX;
	store_item(p, kind, text, n);
	return ITEM_HEADER + n;
}

int
frame_put_failure(struct buf *out, enum proto_type type, uint32_t request,
    const struct failure *why, uint32_t retry)
{
	uint8_t p[2 + 2 * (ITEM_HEADER + PROTO_TEXT_MAX) + ITEM_HEADER + 4];
	uint8_t ms[4];
	char text[FAILURE_MAX];
	size_t n = 2;

	store_u16(p, (uint16_t)why->code);
	n += store_text(p + n, PROTO_ITEM_TEXT, failure_message(why, text));
	n += store_text(p + n, PROTO_ITEM_HINT, why->hint);
	if (retry > 0) {
		store_u32(ms, retry);
		store_item(p + n, PROTO_ITEM_RETRY, ms, 4);
		n += ITEM_HEADER + 4;
	}
	return frame_put(out, type, request, p, n);
}

int
frame_put_code(struct buf *out, enum proto_type type, uint32_t request,
    enum proto_code code, const char *text)
{
	struct failure why;

	failure_set(&why, (int)code, "%s", text);
	return frame_put_failure(out, type, request, &why, 0);
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

/* The name of a signal of this machine. */
static void
signal_name(int number, char name[PROTO_SIGNAL_MAX + 1])
{
	const char *known = sigabbrev_np(number);

	if (known != NULL)
		(void)snprintf(name, PROTO_SIGNAL_MAX + 1, "%s", known);
	else if (number >= SIGRTMIN && number <= SIGRTMAX)
		(void)snprintf(name, PROTO_SIGNAL_MAX + 1, "RTMIN+%d",
		    number - SIGRTMIN);
	else
		(void)snprintf(name, PROTO_SIGNAL_MAX + 1, "%d", number);
}

/* The number here of the signal with this name, or 0. */
static uint32_t
signal_number(const char *name)
{
	char other[PROTO_SIGNAL_MAX + 1];

	for (int number = 1; number <= SIGRTMAX; number++) {
		signal_name(number, other);
		if (strcmp(name, other) == 0)
			return (uint32_t)number;
	}
	return 0;
}

int
frame_put_exit(struct buf *out, uint32_t request, const struct frame_exit *e)
{
	uint8_t p[PROTO_EXIT_SIZE + ITEM_HEADER + PROTO_SIGNAL_MAX];
	bool exited = e->end == PROTO_END_EXIT;
	size_t length = PROTO_EXIT_SIZE;
	char name[PROTO_SIGNAL_MAX + 1];

	p[0] = (uint8_t)e->end;
	store_u16(p + 1, (uint16_t)e->reason);
	store_u32(p + 3, exited ? e->status : 0);
	store_u64(p + 7, e->duration_us);
	store_u64(p + 15, e->cpu_us);
	store_u64(p + 23, e->out_bytes);
	store_u64(p + 31, e->err_bytes);
	store_u32(p + 39, e->left);
	if (!exited) {
		signal_name((int)e->status, name);
		store_item(p + length, PROTO_ITEM_SIGNAL, name, strlen(name));
		length += ITEM_HEADER + strlen(name);
	}
	return frame_put(out, PROTO_EXIT, request, p, length);
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

/* Has "name" the form of a signal's, known here or not? */
static bool
is_signal(const char *name)
{
	return *name != '\0' && name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "0123456789+")] == '\0';
}

/* As item_find(), in what follows the "fixed" bytes of a payload. */
static int
get_item(const struct frame *f, size_t fixed, enum proto_item kind,
    const uint8_t **bytes, size_t *n)
{
	return f->length < fixed ? -1 : item_find(f->payload + fixed,
	    f->length - fixed, kind, bytes, n);
}

/* Are there "fixed" bytes, and items alone after them? */
static int
check_tail(const struct frame *f, size_t fixed)
{
	const uint8_t *bytes;
	size_t n;

	return get_item(f, fixed, PROTO_ITEM_TEXT, &bytes, &n);
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

/* The same for a text after a code, which is "" where there is none. */
static int
get_item_text(const struct frame *f, enum proto_item kind,
    char text[PROTO_TEXT_MAX + 1])
{
	const uint8_t *p;
	size_t n;

	if (get_item(f, 2, kind, &p, &n) == -1)
		return -1;
	return get_text(p, n, text, PROTO_TEXT_MAX);
}

int
frame_get_code(const struct frame *f, struct frame_code *out)
{
	const uint8_t *p;
	size_t n;

	if (get_item_text(f, PROTO_ITEM_TEXT, out->text) == -1 ||
	    get_item_text(f, PROTO_ITEM_HINT, out->hint) == -1)
		return -1;
	out->code = fetch_u16(f->payload);
	out->retry = get_item(f, 2, PROTO_ITEM_RETRY, &p, &n) == 1 && n == 4 ?
	    fetch_u32(p) : 0;
	return 0;
}

int
frame_get_close(const struct frame *f, uint8_t *stream)
{
	if (check_tail(f, 1) == -1)
		return -1;
	*stream = f->payload[0];
	return *stream == PROTO_STREAM_STDOUT ||
	    *stream == PROTO_STREAM_STDERR ? 0 : -1;
}

int
frame_get_u32(const struct frame *f, uint32_t *v)
{
	if (check_tail(f, 4) == -1)
		return -1;
	*v = fetch_u32(f->payload);
	return 0;
}

int
frame_get_waiting(const struct frame *f, uint32_t *ahead, uint8_t *flags)
{
	if (check_tail(f, 5) == -1)
		return -1;
	*ahead = fetch_u32(f->payload);
	*flags = f->payload[4];
	return 0;
}

int
frame_get_exit(const struct frame *f, struct frame_exit *e)
{
	const uint8_t *p = f->payload, *name;
	size_t n;

	if (get_item(f, PROTO_EXIT_SIZE, PROTO_ITEM_SIGNAL, &name, &n) == -1 ||
	    p[0] > PROTO_END_SIGNAL ||
	    get_text(name, n, e->signal, PROTO_SIGNAL_MAX) == -1)
		return -1;
	e->end = p[0] == PROTO_END_EXIT ? PROTO_END_EXIT : PROTO_END_SIGNAL;
	e->reason = (enum proto_code)fetch_u16(p + 1);
	e->status = fetch_u32(p + 3);
	e->duration_us = fetch_u64(p + 7);
	e->cpu_us = fetch_u64(p + 15);
	e->out_bytes = fetch_u64(p + 23);
	e->err_bytes = fetch_u64(p + 31);
	e->left = fetch_u32(p + 39);
	if (e->end == PROTO_END_EXIT)
		return e->status > 255 ? -1 : 0;
	e->status = signal_number(e->signal);
	return is_signal(e->signal) ? 0 : -1;
}

int
frame_get_signal(const struct frame *f, char name[PROTO_SIGNAL_MAX + 1])
{
	return get_text(f->payload, f->length, name, PROTO_SIGNAL_MAX) == 0 &&
	    is_signal(name) ? 0 : -1;
}
