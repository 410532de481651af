/* Unit tests of daemon/exec/stream.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>

#include "tests/unit/unit.h"

#include "common/base/buf.h"
#include "common/base/fd.h"
#include "common/wire/frame.h"
#include "daemon/exec/stream.h"

/* A stream's pipe: what is ours, and the command's end. */
static int ours, theirs;

static void
open_pipe(int our_end)
{
	int pair[2];

	assert_int_equal(fd_pipe(pair, our_end), 0);
	ours = pair[our_end];
	theirs = pair[1 - our_end];
}

static int
close_both(void **state)
{
	(void)state;
	fd_close(&ours);
	fd_close(&theirs);
	return 0;
}

static void
write_all(const void *bytes, size_t n)
{
	assert_int_equal(write(theirs, bytes, n), (ssize_t)n);
}

/* --- output --------------------------------------------------------------- */

static void
output_becomes_frames(void **state)
{
	struct output o;
	struct buf out;
	struct frame f;

	(void)state;
	buf_init(&out, 1000);
	open_pipe(0);
	output_begin(&o, PROTO_STDERR, &ours, 100);
	assert_int_equal(output_room(&o, 70), 70);
	assert_int_equal(output_room(&o, 700), 100);
	assert_int_equal(output_read(&o, &out, 7, 70), 0);
	assert_int_equal(buf_used(&out), 0);
	assert_false(output_is_done(&o));

	write_all("abcdef", 6);
	assert_int_equal(output_read(&o, &out, 7, 4), 4);
	assert_int_equal(frame_peek(&out, &f), 1);
	assert_int_equal(f.type, PROTO_STDERR);
	assert_int_equal(f.request, 7);
	assert_int_equal(f.length, 4);
	assert_memory_equal(f.payload, "abcd", 4);
	assert_int_equal(o.credit.left, 96);
	assert_int_equal(o.bytes, 4);
	assert_int_equal(output_read(&o, &out, 7, 90), 2);
	assert_int_equal(o.credit.left, 94);

	fd_close(&theirs);
	assert_int_equal(output_read(&o, &out, 7, 90), 0);
	assert_int_equal(ours, -1);
	assert_true(output_is_done(&o));
	assert_int_equal(output_room(&o, 90), 0);
	assert_int_equal(output_read(&o, &out, 7, 90), 0);
	buf_free(&out);
}

static void
output_without_a_reader(void **state)
{
	struct output o;

	(void)state;
	open_pipe(0);
	output_begin(&o, PROTO_STDOUT, &ours, 100);
	write_all("abcdef", 6);
	assert_int_equal(output_read(&o, NULL, 1, 4), 4);
	/* Dropped, it costs no credit and is not counted. */
	assert_int_equal(o.credit.left, 100);
	assert_int_equal(o.bytes, 0);
}

/* What was left in the pipe at the end can be taken out by who still has it. */
static void
output_that_another_has_read(void **state)
{
	struct output o;
	char bytes[6];

	(void)state;
	open_pipe(0);
	output_begin(&o, PROTO_STDOUT, &ours, 100);
	write_all("abcdef", 6);
	output_finish(&o);
	assert_false(output_is_done(&o));
	assert_int_equal(read(ours, bytes, 6), 6);
	assert_int_equal(output_read(&o, NULL, 1, 50), 0);
	assert_true(output_is_done(&o));
	assert_int_equal(o.error, 0);
}

static void
output_without_memory(void **state)
{
	struct output o;
	struct buf out;

	(void)state;
	buf_init(&out, 10);
	open_pipe(0);
	output_begin(&o, PROTO_STDOUT, &ours, 100);
	write_all("abcdef", 6);
	assert_int_equal(output_read(&o, &out, 1, 50), -1);
}

/* What cannot be read is not the end. */
static void
output_that_fails(void **state)
{
	struct output o;
	int directory = open("/", O_RDONLY);

	(void)state;
	assert_return_code(directory, errno);
	output_begin(&o, PROTO_STDOUT, &directory, 100);
	assert_int_equal(output_read(&o, NULL, 1, 50), 0);
	assert_int_equal(directory, -1);
	assert_int_equal(o.error, EISDIR);
	open_pipe(0);
	output_begin(&o, PROTO_STDOUT, &ours, 100);
	write_all("x", 1);
	assert_int_equal(output_read(&o, NULL, 1, 50), 1);
	assert_int_equal(output_read(&o, NULL, 1, 50), 0);
	assert_int_equal(o.error, 0);
}

static void
output_after_the_end(void **state)
{
	struct output o;
	struct buf out;

	(void)state;
	buf_init(&out, 1000);
	open_pipe(0);
	output_begin(&o, PROTO_STDOUT, &ours, 100);
	write_all("abcdef", 6);
	output_finish(&o);
	assert_false(output_is_done(&o));
	/* What is written after the end is not the command's. */
	write_all("LATE", 4);
	assert_int_equal(output_room(&o, 90), 6);
	assert_int_equal(output_read(&o, &out, 1, 90), 6);
	assert_true(output_is_done(&o));
	assert_int_equal(output_read(&o, &out, 1, 90), 0);
	assert_int_equal(o.bytes, 6);
	/* An empty pipe is done at once. */
	fd_close(&theirs);
	fd_close(&ours);
	open_pipe(0);
	output_begin(&o, PROTO_STDOUT, &ours, 100);
	output_finish(&o);
	assert_true(output_is_done(&o));
	buf_free(&out);
}

/* --- input ---------------------------------------------------------------- */

static const uint8_t bytes[STREAM_INPUT_WINDOW + 1];

/* Input that is offered, to a command that has started. */
static void
begin_input(struct input *in)
{
	input_begin(in, &ours);
	input_offer(in);
	assert_int_equal(input_start(in),
	    STREAM_INPUT_WINDOW - PROTO_STDIN_FIRST);
}

static void
input_reaches_the_pipe(void **state)
{
	struct input in;
	char got[16];

	(void)state;
	open_pipe(1);
	input_init(&in);
	begin_input(&in);
	assert_int_equal(in.window.left, STREAM_INPUT_WINDOW);
	assert_null(input_take(&in, (const uint8_t *)"hello", 5));
	assert_int_equal(in.window.left, STREAM_INPUT_WINDOW - 5);
	input_write(&in);
	assert_int_equal(read(theirs, got, sizeof got), 5);
	assert_memory_equal(got, "hello", 5);
	assert_int_equal(in.bytes, 5);
	/* Five bytes are not worth a frame. */
	assert_int_equal(input_renew(&in, -1, NULL, 1), 0);
	input_end(&in);
	input_write(&in);
	assert_int_equal(ours, -1);
	assert_int_equal(read(theirs, got, sizeof got), 0);
	buf_free(&in.queue);
}

static void
input_is_bounded(void **state)
{
	struct input in;

	(void)state;
	open_pipe(1);
	input_init(&in);
	begin_input(&in);
	assert_non_null(input_take(&in, bytes, 0));
	assert_non_null(input_take(&in, bytes, STREAM_INPUT_WINDOW + 1));
	assert_null(input_take(&in, bytes, STREAM_INPUT_WINDOW));
	assert_int_equal(in.window.left, 0);
	assert_non_null(input_take(&in, bytes, 1));
	buf_free(&in.queue);
	fd_close(&ours);
	fd_close(&theirs);

	open_pipe(1);
	input_begin(&in, &ours);
	assert_non_null(input_take(&in, bytes, 1));
	assert_int_equal(input_start(&in), 0);
	/* Before the start, the first credit is there. */
	input_begin(&in, &ours);
	input_offer(&in);
	assert_null(input_take(&in, bytes, PROTO_STDIN_FIRST));
	assert_non_null(input_take(&in, bytes, 1));
	assert_int_equal(buf_used(&in.queue), PROTO_STDIN_FIRST);
	assert_int_equal(input_start(&in),
	    STREAM_INPUT_WINDOW - PROTO_STDIN_FIRST);
	assert_null(input_take(&in, bytes,
	    STREAM_INPUT_WINDOW - PROTO_STDIN_FIRST));
	assert_non_null(input_take(&in, bytes, 1));
	buf_free(&in.queue);
	/* A command that reads none gets none, and no more is granted. */
	fd_close(&ours);
	input_begin(&in, &ours);
	input_offer(&in);
	assert_null(input_take(&in, bytes, 10));
	assert_int_equal(buf_used(&in.queue), 0);
	assert_int_equal(input_start(&in), 0);
	assert_non_null(input_take(&in, bytes, PROTO_STDIN_FIRST));
	input_begin(&in, &ours);
	input_offer(&in);
	input_end(&in);
	assert_non_null(input_take(&in, bytes, 1));
}

/* The credit of the WINDOW that is in "b", if there is one. */
static uint32_t
granted(struct buf *b)
{
	struct frame f;
	uint8_t stream;
	uint32_t credit;

	if (frame_peek(b, &f) != 1)
		return 0;
	assert_int_equal(frame_get_window(&f, &stream, &credit), 0);
	assert_int_equal(stream, PROTO_STREAM_STDIN);
	frame_consume(b, &f);
	return credit;
}

/* A reader that takes everything gets all of it, through a window that is
 * granted again and again, and never beyond it. */
static void
input_window(void **state)
{
	static uint8_t piece[40000], got[65536];
	uint64_t seed = 1, sum = 0, back = 0;
	size_t total = 4 * STREAM_INPUT_WINDOW, sent = 0, received = 0;
	uint32_t credit = STREAM_INPUT_WINDOW;
	struct input in;
	struct buf windows;

	(void)state;
	buf_init(&windows, PROTO_FRAME_MAX);
	open_pipe(1);
	assert_int_equal(fd_set_blocking(theirs, false), 0);
	input_init(&in);
	begin_input(&in);
	while (received < total) {
		size_t n = total - sent < sizeof piece ? total - sent :
		    sizeof piece;
		ssize_t r;

		if (n > credit)
			n = credit;
		if (n > 0) {
			unit_fill(&seed, piece, n);
			for (size_t i = 0; i < n; i++)
				sum = sum * 31 + piece[i];
			assert_null(input_take(&in, piece, n));
			sent += n;
			credit -= (uint32_t)n;
		}
		input_write(&in);
		assert_int_equal(input_renew(&in, -1, &windows, 1), 0);
		credit += granted(&windows);
		assert_true(credit <= STREAM_INPUT_WINDOW);
		assert_int_equal(in.window.left, credit);
		r = read(theirs, got, sizeof got);
		for (ssize_t i = 0; i < r; i++)
			back = back * 31 + got[i];
		received += r > 0 ? (size_t)r : 0;
	}
	assert_true(sum == back);
	assert_int_equal(in.bytes, total);
	buf_free(&in.queue);
	buf_free(&windows);
}

static void
input_that_nobody_reads(void **state)
{
	struct input in;

	(void)state;
	(void)signal(SIGPIPE, SIG_IGN);
	open_pipe(1);
	input_init(&in);
	begin_input(&in);
	fd_close(&theirs);
	assert_null(input_take(&in, bytes, 10));
	input_write(&in);
	assert_int_equal(ours, -1);
	assert_int_equal(in.error, 0);
	/* The peer cannot know yet: what it sends is dropped, without more
	 * credit. */
	assert_null(input_take(&in, bytes, STREAM_INPUT_WINDOW - 10));
	assert_int_equal(buf_used(&in.queue), 0);
	assert_int_equal(input_renew(&in, -1, NULL, 1), 0);
	buf_free(&in.queue);
}

/* --- which output was first ----------------------------------------------- */

/* Write to one of two pipes, and empty one as a turn does. */
static void
put(int pipes[2][2], int i)
{
	assert_int_equal(write(pipes[i][1], "x", 1), 1);
}

static void
take(int pipes[2][2], int i)
{
	char taken[16];

	assert_true(read(pipes[i][0], taken, sizeof taken) > 0);
}

static void
outputs_in_order(void **state)
{
	int pipes[2][2], epoll = outputs_open();

	(void)state;
	assert_int_not_equal(epoll, -1);
	for (int i = 0; i < 2; i++)
		assert_int_equal(fd_pipe(pipes[i], 0), 0);
	outputs_watch(epoll, pipes[0][0], pipes[1][0]);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 2; i++) {
			put(pipes, i);
			put(pipes, 1 - i);
			put(pipes, i);
			assert_int_equal(outputs_first(epoll), i);
			take(pipes, i);
			take(pipes, 1 - i);
		}
	}
	/* What is left over is older than what has come since. */
	put(pipes, 1);
	(void)outputs_first(epoll);
	put(pipes, 0);
	assert_int_equal(outputs_first(epoll), 1);
	for (int i = 0; i < 2; i++) {
		fd_close(&pipes[i][0]);
		fd_close(&pipes[i][1]);
	}
	fd_close(&epoll);
	assert_int_equal(outputs_first(epoll), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(output_becomes_frames, close_both),
		cmocka_unit_test_teardown(output_without_a_reader, close_both),
		cmocka_unit_test_teardown(output_that_another_has_read,
		    close_both),
		cmocka_unit_test_teardown(output_without_memory, close_both),
		cmocka_unit_test_teardown(output_that_fails, close_both),
		cmocka_unit_test_teardown(output_after_the_end, close_both),
		cmocka_unit_test_teardown(input_reaches_the_pipe, close_both),
		cmocka_unit_test_teardown(input_is_bounded, close_both),
		cmocka_unit_test_teardown(input_window, close_both),
		cmocka_unit_test_teardown(input_that_nobody_reads, close_both),
		cmocka_unit_test(outputs_in_order),
	};

	ours = theirs = -1;
	return cmocka_run_group_tests_name("stream", tests, NULL, NULL);
}
