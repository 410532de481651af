/*
 * frames.h - what both targets of the frame codec do: take frames off a queue
 * that is filled in pieces, and look at each.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_FUZZ_FRAMES_H
#define AIS_FUZZ_FRAMES_H

#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/failure.h"
#include "common/wire/frame.h"
#include "common/endpoint/conn.h"

#include "tests/fuzz/fuzz.h"

/* The frame, put again, has the same bytes as "in" has in front. */
static inline void
frames_check_put(const struct buf *in, const struct frame *f)
{
	size_t n = PROTO_HEADER + f->length;
	struct buf out;

	buf_init(&out, CONN_QUEUE);
	must(frame_put(&out, (enum proto_type)f->type, f->request, f->payload,
	    f->length) == 0);
	must(buf_used(&out) == n);
	must(memcmp(buf_data(&out), buf_data(in), n) == 0);
	buf_free(&out);
}

/* Does "out" hold one frame, equal to "f"?  It is freed. */
static inline void
frames_check_same(struct buf *out, const struct frame *f)
{
	struct frame g;

	must(frame_peek(out, &g) == 1);
	must(buf_used(out) == PROTO_HEADER + g.length);
	must(g.type == f->type && g.request == f->request);
	must(g.length == f->length);
	must(memcmp(g.payload, f->payload, g.length) == 0);
	buf_free(out);
}

/* The same, but that "f" may have more items after its "fixed" part. */
static inline void
frames_check_fixed(struct buf *out, const struct frame *f, size_t fixed)
{
	struct frame like = *f;

	must(f->length >= fixed);
	like.length = fixed;
	frames_check_same(out, &like);
}

/* GOODBYE and REFUSED. */
static inline void
frames_check_code(const struct frame *f)
{
	struct frame_code said, same;
	struct failure why;
	struct frame g;
	struct buf out;

	buf_init(&out, PROTO_FRAME_MAX);
	if (frame_get_code(f, &said) == -1)
		return;
	must(said.retry == 0 || f->length >= 2 + 5 + 4);
	(void)failure_make(&why, said.code, said.hint, "%s", said.text);
	must(frame_put_failure(&out, (enum proto_type)f->type, f->request,
	    &why, said.retry) == 0);
	must(frame_peek(&out, &g) == 1 && g.length <= f->length);
	must(frame_get_code(&g, &same) == 0);
	must(same.code == said.code && same.retry == said.retry &&
	    strcmp(said.text, same.text) == 0 &&
	    strcmp(why.hint, same.hint) == 0);
	buf_free(&out);
}

/* What is said to be in a row of names stands there between blanks. */
static inline void
frames_check_features(const uint8_t *names, size_t n)
{
	char *text = malloc(n + 3);

	must(text != NULL);
	text[0] = text[n + 1] = ' ';
	text[n + 2] = '\0';
	if (n > 0)
		memcpy(text + 1, names, n);
	must(feature_is_in(names, n, "close") ==
	    (memmem(text, n + 2, " close ", 7) != NULL));
	free(text);
}

static inline void
frames_check_window(const struct frame *f)
{
	struct frame like = *f;
	struct buf out;
	uint32_t credit;
	uint8_t stream;

	buf_init(&out, PROTO_FRAME_MAX);
	if (frame_get_window(f, &stream, &credit) == -1)
		return;
	must(stream <= PROTO_STREAM_STDERR && credit <= PROTO_WINDOW_MAX);
	must(frame_put_window(&out, f->request, (enum proto_stream)stream,
	    credit) == 0);
	like.type = PROTO_WINDOW;
	frames_check_same(&out, &like);
}

/* Take the frame in front and hand it to "look".  What frame_peek() says. */
static inline int
frames_take(struct buf *in, void (*look)(const struct frame *))
{
	size_t before = buf_used(in);
	struct frame f;
	int got = frame_peek(in, &f);

	must(buf_used(in) == before);
	if (got != 1)
		return got;
	must(f.length <= PROTO_PAYLOAD_MAX);
	must(PROTO_HEADER + f.length <= before);
	must(f.payload == buf_data(in) + PROTO_HEADER);
	frames_check_put(in, &f);
	look(&f);
	frame_consume(in, &f);
	must(buf_used(in) == before - PROTO_HEADER - f.length);
	return 1;
}

/* The first byte says in which pieces the others come. */
static inline void
frames_run(const uint8_t *data, size_t size, void (*look)(const struct frame *))
{
	struct input in = { data, size };
	size_t piece = (size_t)input_u8(&in) + 1;
	struct buf queue;
	int got = 0;

	buf_init(&queue, CONN_QUEUE);
	while (in.left > 0 && got != -1) {
		size_t n = piece;
		const uint8_t *p = input_bytes(&in, &n);

		must(buf_put(&queue, p, n) == 0);
		while ((got = frames_take(&queue, look)) == 1)
			continue;
	}
	/* What cannot become a frame has a length that is too long. */
	if (got == -1)
		must(fetch_u32(buf_data(&queue) + 5) > PROTO_PAYLOAD_MAX);
	buf_free(&queue);
}

#endif
