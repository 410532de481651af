/*
 * common/frame and the items of HELLO, as the client uses them: what a server
 * sends.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include "common/wire/body.h"

#include "tests/fuzz/frames.h"

const size_t fuzz_mutations = 60000;

static void
check_u32(const struct frame *f)
{
	struct buf out;
	uint32_t v;

	buf_init(&out, PROTO_FRAME_MAX);
	if (frame_get_u32(f, &v) == -1)
		return;
	must(frame_put_u32(&out, (enum proto_type)f->type, f->request, v) == 0);
	frames_check_fixed(&out, f, 4);
}

static void
check_waiting(const struct frame *f)
{
	struct frame like = *f;
	struct buf out;
	uint32_t ahead;
	uint8_t flags;

	buf_init(&out, PROTO_FRAME_MAX);
	if (frame_get_waiting(f, &ahead, &flags) == -1)
		return;
	must(frame_put_waiting(&out, ahead, flags) == 0);
	like.type = PROTO_WAITING;
	like.request = 0;
	frames_check_fixed(&out, &like, 5);
}

static void
check_exit(const struct frame *f)
{
	struct frame like = *f;
	struct frame_exit e;
	struct buf out;

	buf_init(&out, PROTO_FRAME_MAX);
	if (frame_get_exit(f, &e) == -1)
		return;
	must(e.status <= 255);
	must(e.end == PROTO_END_EXIT || e.end == PROTO_END_SIGNAL);
	must(frame_put_exit(&out, f->request, &e) == 0);
	like.type = PROTO_EXIT;
	if (e.end == PROTO_END_EXIT)
		frames_check_fixed(&out, &like, PROTO_EXIT_SIZE);
	else
		buf_free(&out);
}

/* Items lie in the payload, one after the other, to its end. */
static void
check_items(const struct frame *f)
{
	struct reader r = { f->payload, f->length };
	const uint8_t *bytes;
	struct buf out;
	uint8_t kind;
	size_t n;
	int got;

	buf_init(&out, PROTO_FRAME_MAX);
	while ((got = item_get(&r, &kind, &bytes, &n)) == 1) {
		must(bytes >= f->payload);
		must(bytes + n <= f->payload + f->length);
		must(item_put(&out, (enum proto_item)kind, bytes, n) == 0);
		if (kind == PROTO_ITEM_FEATURES)
			frames_check_features(bytes, n);
	}
	if (got == 0)
		must(buf_used(&out) == f->length && (f->length == 0 ||
		    memcmp(buf_data(&out), f->payload, f->length) == 0));
	buf_free(&out);
}

static void
look(const struct frame *f)
{
	frames_check_window(f);
	frames_check_code(f);
	check_u32(f);
	check_waiting(f);
	check_exit(f);
	check_items(f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	frames_run(data, size, look);
	return 0;
}
