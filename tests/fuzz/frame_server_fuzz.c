/*
 * common/frame, as the server uses it: what a client sends.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include "tests/fuzz/frames.h"

const size_t fuzz_mutations = 60000;

static void
look(const struct frame *f)
{
	char name[PROTO_SIGNAL_MAX + 1];
	uint8_t stream;

	frames_check_window(f);
	frames_check_code(f);
	if (frame_get_close(f, &stream) == 0)
		must((stream == PROTO_STREAM_STDOUT ||
		    stream == PROTO_STREAM_STDERR) &&
		    stream == f->payload[0]);
	if (frame_get_signal(f, name) == 0)
		must(f->length > 0 && strlen(name) == f->length &&
		    memcmp(name, f->payload, f->length) == 0 &&
		    strpbrk(name, " abcz\x1b\n") == NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	frames_run(data, size, look);
	return 0;
}
