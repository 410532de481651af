/* Unit tests of client/session/outlet and of client/core/stream below it.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>

#include "tests/unit/memory.h"
#include "tests/unit/unit.h"

#include "common/base/clock.h"
#include "common/base/pollset.h"

#include "client/session/progress.h"
#include "client/session/outlet.h"

#define PIECE	65527

static struct progress progress;	/* Off. */

/* Write of "o" what goes at once. */
static int
drain(struct outlet *o)
{
	struct pollset ps;
	int result, error;

	assert_int_equal(pollset_init(&ps, 1), 0);
	pollset_clear(&ps);
	outlet_poll(o, &ps, false);
	pollset_deadline(&ps, clock_now());
	assert_int_not_equal(pollset_wait(&ps, NULL), -1);
	result = outlet_dispatch(o, &ps);
	error = errno;
	pollset_free(&ps);
	errno = error;
	return result;
}

/* Both ends of a pipe, or of a pair of sockets. */
static void
open_pair(int pair[2], bool sockets)
{
	if (sockets)
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	else
		assert_int_equal(pipe(pair), 0);
}

/* Read "n" bytes of the sequence, with "o" drained meanwhile. */
static void
read_sequence(int fd, struct outlet *o, size_t n)
{
	uint8_t bytes[4096];
	size_t at = 0;
	ssize_t got;

	while (at < n) {
		assert_int_equal(drain(o), 0);
		got = read(fd, bytes, sizeof bytes);
		assert_true(got > 0);
		for (ssize_t i = 0; i < got; i++, at++)
			assert_int_equal(bytes[i], (uint8_t)(at * 7));
	}
	assert_int_equal(at, n);
}

/* A whole window to a reader that reads only afterwards. */
static void
whole_window(bool sockets, bool blocking)
{
	static uint8_t all[OUTLET_WINDOW];
	struct outlet o;
	int pair[2], flags;

	open_pair(pair, sockets);
	if (!blocking)
		assert_int_equal(fcntl(pair[1], F_SETFL, O_NONBLOCK), 0);
	flags = fcntl(pair[1], F_GETFL);
	for (size_t i = 0; i < sizeof all; i++)
		all[i] = (uint8_t)(i * 7);
	outlet_open(&o, pair[1], &progress);
	for (size_t at = 0, n = PIECE; at < sizeof all; at += n) {
		n = sizeof all - at < PIECE ? sizeof all - at : PIECE;
		assert_null(window_take(&o.window, n));
		assert_int_equal(outlet_take(&o, all + at, n), 0);
	}
	assert_true(outlet_waits(&o));
	assert_true(o.queue.size <= OUTLET_WINDOW);
	assert_int_equal(o.window.left, 0);
	assert_true(o.window.owed < OUTLET_WINDOW / 2);
	read_sequence(pair[0], &o, sizeof all);
	assert_false(outlet_waits(&o));
	assert_int_equal(o.window.owed, OUTLET_WINDOW);
	/* Others who have this file see no difference. */
	assert_int_equal(fcntl(pair[1], F_GETFL), flags);
	outlet_close(&o);
	assert_int_equal(close(pair[0]), 0);
	assert_int_equal(close(pair[1]), 0);
}

static void
windows(void **state)
{
	(void)state;
	whole_window(false, true);
	whole_window(false, false);
	whole_window(true, true);
	whole_window(true, false);
}

/* Where a pipe cannot be opened again, small steps do. */
static void
careful(void **state)
{
	static const uint8_t zeros[200000];
	uint8_t bytes[4096];
	struct stream s;
	int pair[2];
	size_t n, total = 0;
	enum io io;

	(void)state;
	open_pair(pair, false);
	stream_open(&s, pair[1], true);
	s.kind = STREAM_CAREFUL;
	while ((io = stream_write(&s, zeros, sizeof zeros, &n)) == IO_OK)
		total += n;
	assert_int_equal(io, IO_WAIT);
	assert_int_equal(total, 65536);
	stream_close(&s);
	stream_open(&s, pair[0], false);
	s.kind = STREAM_CAREFUL;
	while ((io = stream_read(&s, bytes, sizeof bytes, &n)) == IO_OK)
		total -= n;
	assert_int_equal(io, IO_WAIT);
	assert_int_equal(total, 0);
	assert_int_equal(close(pair[1]), 0);
	assert_int_equal(stream_read(&s, bytes, sizeof bytes, &n), IO_EOF);
	stream_close(&s);
	assert_int_equal(close(pair[0]), 0);
}

static void
reading(void **state)
{
	char text[8];
	struct stream s;
	int pair[2];
	size_t n;

	(void)state;
	for (int sockets = 0; sockets < 2; sockets++) {
		open_pair(pair, sockets == 1);
		stream_open(&s, pair[0], false);
		assert_int_equal(stream_read(&s, text, sizeof text, &n),
		    IO_WAIT);
		assert_int_equal(write(pair[1], "abc", 3), 3);
		assert_int_equal(stream_read(&s, text, sizeof text, &n),
		    IO_OK);
		assert_int_equal(n, 3);
		assert_memory_equal(text, "abc", 3);
		assert_int_equal(close(pair[1]), 0);
		assert_int_equal(stream_read(&s, text, sizeof text, &n),
		    IO_EOF);
		stream_close(&s);
		assert_int_equal(s.fd, -1);
		assert_int_equal(close(pair[0]), 0);
	}
}

/* The offset of a file is that of all who share it. */
static void
plain_file(void **state)
{
	char directory[UNIT_PATH_MAX], text[4];
	struct stream s;
	size_t n;
	int fd;

	(void)state;
	unit_enter(directory);
	unit_write("f", "0123456789");
	assert_true((fd = open("f", O_RDWR)) >= 0);
	stream_open(&s, fd, false);
	assert_int_equal(stream_read(&s, text, sizeof text, &n), IO_OK);
	assert_int_equal(n, 4);
	assert_int_equal(s.fd, fd);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 4);
	stream_close(&s);
	assert_int_equal(close(fd), 0);
	assert_true((fd = open(directory, O_RDONLY)) >= 0);
	stream_open(&s, fd, false);
	assert_int_equal(stream_read(&s, text, sizeof text, &n), IO_ERROR);
	assert_int_equal(errno, EISDIR);
	assert_int_equal(close(fd), 0);
	unit_leave(directory);
}

static void
reader_gone(void **state)
{
	static const uint8_t zeros[PIECE];
	struct outlet o;
	int pair[2];

	(void)state;
	for (int sockets = 0; sockets < 2; sockets++) {
		open_pair(pair, sockets == 1);
		outlet_open(&o, pair[1], &progress);
		assert_int_equal(close(pair[0]), 0);
		assert_int_equal(outlet_take(&o, zeros, sizeof zeros), -1);
		assert_int_equal(errno, EPIPE);
		assert_true(o.dead);
		/* From now on everything is taken, and credit comes back. */
		for (int i = 0; i < 8; i++)
			assert_int_equal(outlet_take(&o, zeros, sizeof zeros),
			    0);
		assert_int_equal(o.window.owed, 9 * sizeof zeros);
		assert_false(outlet_waits(&o));
		assert_int_equal(drain(&o), 0);
		outlet_close(&o);
		assert_int_equal(close(pair[1]), 0);
	}
}

static void
reader_goes(void **state)
{
	static const uint8_t zeros[PIECE];
	struct outlet o;
	int pair[2];

	(void)state;
	open_pair(pair, false);
	outlet_open(&o, pair[1], &progress);
	for (int i = 0; i < 4; i++)
		assert_int_equal(outlet_take(&o, zeros, sizeof zeros), 0);
	assert_true(outlet_waits(&o));
	assert_int_equal(close(pair[0]), 0);
	assert_int_equal(drain(&o), -1);
	assert_int_equal(errno, EPIPE);
	assert_false(outlet_waits(&o));
	outlet_begin(&o);
	assert_int_equal(o.window.left, OUTLET_WINDOW);
	assert_int_equal(o.window.owed, 0);
	assert_true(o.dead);
	outlet_close(&o);
	assert_int_equal(close(pair[1]), 0);
}

/* A reader that goes is seen while nothing waits, if that is watched for. */
static void
watched(void **state)
{
	struct outlet o;
	struct pollset ps;
	int pair[2];

	(void)state;
	open_pair(pair, false);
	outlet_open(&o, pair[1], &progress);
	assert_int_equal(pollset_init(&ps, 1), 0);
	for (int i = 0; i < 4; i++) {
		if (i == 2)
			assert_int_equal(close(pair[0]), 0);
		pollset_clear(&ps);
		outlet_poll(&o, &ps, i & 1);
		pollset_deadline(&ps, clock_now());
		assert_int_not_equal(pollset_wait(&ps, NULL), -1);
		errno = 0;
		assert_int_equal(outlet_dispatch(&o, &ps), i == 3 ? -1 : 0);
		assert_int_equal(errno, i == 3 ? EPIPE : 0);
	}
	pollset_free(&ps);
	outlet_close(&o);
	assert_int_equal(close(pair[1]), 0);
}

static void
kept(void **state)
{
	static const uint8_t zeros[100];
	struct outlet o;
	struct buf keep;
	char byte;
	int pair[2];

	(void)state;
	open_pair(pair, false);
	outlet_open(&o, pair[1], &progress);
	buf_init(&keep, 150);
	outlet_keep(&o, &keep);
	assert_int_equal(outlet_take(&o, zeros, 100), 0);
	assert_int_equal(buf_used(&keep), 100);
	assert_int_equal(outlet_take(&o, zeros, 51), -1);
	assert_int_equal(errno, EMSGSIZE);
	assert_false(o.dead);
	assert_false(outlet_waits(&o));
	assert_int_equal(o.window.owed, 151);
	outlet_keep(&o, NULL);
	assert_int_equal(outlet_take(&o, (const uint8_t *)"x", 1), 0);
	assert_int_equal(read(pair[0], &byte, 1), 1);
	assert_int_equal(byte, 'x');
	buf_free(&keep);

	/* Lack of memory is not a length. */
	outlet_keep(&o, &keep);
	memory_fail_at(0);
	assert_int_equal(outlet_take(&o, zeros, 100), -1);
	assert_int_equal(errno, ENOMEM);
	assert_true(memory_has_failed());
	buf_free(&keep);
	outlet_close(&o);
	assert_int_equal(close(pair[0]), 0);
	assert_int_equal(close(pair[1]), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(windows),
		cmocka_unit_test(careful),
		cmocka_unit_test(reading),
		cmocka_unit_test(plain_file),
		cmocka_unit_test(reader_gone),
		cmocka_unit_test(reader_goes),
		cmocka_unit_test(watched),
		cmocka_unit_test(kept)
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("client_outlet", tests, NULL,
	    NULL);
}
