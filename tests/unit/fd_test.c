/* Unit tests of common/base/fd.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/unit/memory.h"
#include "tests/unit/unit.h"

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/fd.h"

static bool
is_blocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	assert_int_not_equal(flags, -1);
	return (flags & O_NONBLOCK) == 0;
}

static bool
is_open(int fd)
{
	int keep = errno;
	bool open = fcntl(fd, F_GETFD) != -1;

	errno = keep;
	return open;
}

static void
closing(void **state)
{
	int pair[2], fd, was;

	(void)state;
	assert_int_equal(pipe(pair), 0);
	fd = was = pair[0];
	errno = EXDEV;
	fd_close(&fd);
	assert_int_equal(fd, -1);
	assert_int_equal(errno, EXDEV);
	assert_false(is_open(was));
	/* Nothing is closed twice, and nothing happens for -1. */
	fd_close(&fd);
	assert_int_equal(fd, -1);
	assert_int_equal(errno, EXDEV);

	pair[0] = -1;
	was = pair[1];
	fd_close_pair(pair);
	assert_int_equal(pair[0], -1);
	assert_int_equal(pair[1], -1);
	assert_int_equal(errno, EXDEV);
	assert_false(is_open(was));
	assert_int_equal(pipe(pair), 0);
	fd = pair[0];
	was = pair[1];
	fd_close_pair(pair);
	assert_false(is_open(fd));
	assert_false(is_open(was));
}

static void
blocking(void **state)
{
	int pair[2];

	(void)state;
	assert_int_equal(pipe(pair), 0);
	assert_int_equal(fd_set_blocking(pair[0], false), 0);
	assert_false(is_blocking(pair[0]));
	assert_int_equal(fd_set_blocking(pair[0], false), 0);
	assert_false(is_blocking(pair[0]));
	assert_int_equal(fd_set_blocking(pair[0], true), 0);
	assert_true(is_blocking(pair[0]));
	/* Other flags stay. */
	assert_int_equal(fcntl(pair[1], F_SETFL, O_APPEND), 0);
	assert_int_equal(fd_set_blocking(pair[1], false), 0);
	assert_true((fcntl(pair[1], F_GETFL) & O_APPEND) != 0);
	fd_close_pair(pair);
	errno = 0;
	assert_int_equal(fd_set_blocking(-1, true), -1);
	assert_int_equal(errno, EBADF);
}

static void
pipes(void **state)
{
	int pair[2];

	(void)state;
	for (int ours = -1; ours <= 1; ours++) {
		assert_int_equal(fd_pipe(pair, ours), 0);
		for (int i = 0; i < 2; i++) {
			assert_true((fcntl(pair[i], F_GETFD) & FD_CLOEXEC) !=
			    0);
			assert_int_equal(is_blocking(pair[i]), i != ours);
		}
		assert_int_equal(write(pair[1], "x", 1), 1);
		fd_close_pair(pair);
	}
}

static void
no_more_pipes(void **state)
{
	struct rlimit before, few;
	int pair[2] = { 77, 77 };

	(void)state;
	/* Room for one descriptor, where two are needed. */
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = before;
	few.rlim_cur = (rlim_t)dup(0);
	assert_int_equal(close((int)few.rlim_cur), 0);
	few.rlim_cur++;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	errno = 0;
	assert_int_equal(fd_pipe(pair, 0), -1);
	assert_int_equal(errno, EMFILE);
	assert_int_equal(pair[0], -1);
	assert_int_equal(pair[1], -1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static void
filling(void **state)
{
	struct buf b;
	int pair[2];

	(void)state;
	buf_init(&b, 10);
	assert_int_equal(fd_pipe(pair, 0), 0);
	assert_int_equal(fd_fill(pair[0], &b, 100), IO_WAIT);
	assert_int_equal(write(pair[1], "abcdefghijklmnop", 16), 16);
	/* Once, at most "max". */
	assert_int_equal(fd_fill(pair[0], &b, 4), IO_OK);
	assert_int_equal(buf_used(&b), 4);
	assert_memory_equal(buf_data(&b), "abcd", 4);
	assert_int_equal(fd_fill(pair[0], &b, 0), IO_WAIT);
	/* As much as there is room for. */
	assert_int_equal(fd_fill(pair[0], &b, 100), IO_OK);
	assert_int_equal(buf_used(&b), 10);
	assert_memory_equal(buf_data(&b), "abcdefghij", 10);
	assert_int_equal(fd_fill(pair[0], &b, 100), IO_WAIT);
	buf_consume(&b, 10);
	assert_int_equal(fd_fill(pair[0], &b, 100), IO_OK);
	assert_memory_equal(buf_data(&b), "klmnop", 6);
	assert_int_equal(fd_fill(pair[0], &b, 100), IO_WAIT);
	fd_close(&pair[1]);
	assert_int_equal(fd_fill(pair[0], &b, 100), IO_EOF);
	assert_int_equal(fd_fill(pair[0], &b, 100), IO_EOF);
	assert_int_equal(buf_used(&b), 6);
	fd_close(&pair[0]);
	errno = 0;
	assert_int_equal(fd_fill(-1, &b, 100), IO_ERROR);
	assert_int_equal(errno, EBADF);
	buf_free(&b);
}

static void
single_bytes(void **state)
{
	struct buf b;
	int pair[2];
	char c = 0;

	(void)state;
	buf_init(&b, 2);
	assert_int_equal(fd_pipe(pair, 0), 0);
	assert_int_equal(buf_put(&b, "x", 1), 0);
	assert_int_equal(fd_drain(pair[1], &b), IO_OK);
	assert_int_equal(buf_used(&b), 0);
	assert_int_equal(read(pair[0], &c, 1), 1);
	assert_int_equal(c, 'x');
	assert_int_equal(write(pair[1], "y", 1), 1);
	assert_int_equal(fd_fill(pair[0], &b, 1), IO_OK);
	assert_int_equal(buf_used(&b), 1);
	assert_int_equal(*buf_data(&b), 'y');
	fd_close_pair(pair);
	buf_free(&b);
}

/* A full queue does not read, so the end is not met before there is room. */
static void
full_at_the_end(void **state)
{
	struct buf b;
	int pair[2];

	(void)state;
	buf_init(&b, 3);
	assert_int_equal(fd_pipe(pair, 0), 0);
	assert_int_equal(write(pair[1], "abc", 3), 3);
	fd_close(&pair[1]);
	assert_int_equal(fd_fill(pair[0], &b, 100), IO_OK);
	assert_int_equal(fd_fill(pair[0], &b, 100), IO_WAIT);
	buf_consume(&b, 1);
	assert_int_equal(fd_fill(pair[0], &b, 100), IO_EOF);
	fd_close(&pair[0]);
	buf_free(&b);
}

static void
draining(void **state)
{
	static uint8_t bytes[300000];
	uint64_t seed = 7;
	struct buf b;
	int pair[2];
	char back[5];
	size_t before;

	(void)state;
	unit_fill(&seed, bytes, sizeof bytes);
	buf_init(&b, sizeof bytes);
	assert_int_equal(fd_pipe(pair, 1), 0);
	assert_int_equal(fd_drain(pair[1], &b), IO_OK);
	assert_int_equal(buf_put(&b, "hello", 5), 0);
	assert_int_equal(fd_drain(pair[1], &b), IO_OK);
	assert_int_equal(buf_used(&b), 0);
	assert_int_equal(read(pair[0], back, 5), 5);
	assert_memory_equal(back, "hello", 5);

	/* More than the pipe holds: a part, and then nothing. */
	assert_int_equal(buf_put(&b, bytes, sizeof bytes), 0);
	assert_int_equal(fd_drain(pair[1], &b), IO_OK);
	before = buf_used(&b);
	assert_true(before > 0 && before < sizeof bytes);
	while (fd_drain(pair[1], &b) == IO_OK)
		;
	assert_int_equal(fd_drain(pair[1], &b), IO_WAIT);
	assert_true(buf_used(&b) > 0);
	/* What is left is the rest, in its order. */
	assert_memory_equal(buf_data(&b), bytes + sizeof bytes - buf_used(&b),
	    buf_used(&b));

	(void)signal(SIGPIPE, SIG_IGN);
	fd_close(&pair[0]);
	before = buf_used(&b);
	errno = 0;
	assert_int_equal(fd_drain(pair[1], &b), IO_ERROR);
	assert_int_equal(errno, EPIPE);
	assert_int_equal(buf_used(&b), before);
	fd_close(&pair[1]);
	buf_free(&b);
}

static void
fill_out_of_memory(void **state)
{
	struct buf b;
	int pair[2];

	(void)state;
	buf_init(&b, 100);
	assert_int_equal(fd_pipe(pair, 0), 0);
	assert_int_equal(write(pair[1], "abc", 3), 3);
	memory_fail_at(0);
	errno = 0;
	assert_int_equal(fd_fill(pair[0], &b, 10), IO_ERROR);
	assert_true(memory_has_failed());
	assert_int_equal(errno, ENOMEM);
	/* And nothing was lost. */
	assert_int_equal(fd_fill(pair[0], &b, 10), IO_OK);
	assert_memory_equal(buf_data(&b), "abc", 3);
	fd_close_pair(pair);
	buf_free(&b);
}

static void
files(void **state)
{
	static const char text[] = "0123456789";
	char *data;
	size_t size = 99;

	(void)state;
	unit_write("empty", "");
	data = fd_read_file("empty", 0, &size);
	assert_non_null(data);
	assert_int_equal(size, 0);
	assert_string_equal(data, "");
	free(data);

	unit_write("ten", text);
	for (size_t max = 0; max < 13; max++) {
		errno = 0;
		data = fd_read_file("ten", max, &size);
		if (max < 10) {
			assert_null(data);
			assert_int_equal(errno, EFBIG);
			continue;
		}
		assert_non_null(data);
		assert_int_equal(size, 10);
		assert_string_equal(data, text);
		free(data);
	}
}

/* One whose size is not what the kernel says, as in /proc. */
static void
other_size(void **state)
{
	char *data;
	size_t size = 0;

	(void)state;
	data = fd_read_file("/proc/self/status", 100000, &size);
	if (data != NULL)
		assert_int_equal(strlen(data), size);
	free(data);
}

static void
no_files(void **state)
{
	size_t size;

	(void)state;
	errno = 0;
	assert_null(fd_read_file("missing", 10, &size));
	assert_int_equal(errno, ENOENT);
	assert_int_equal(mkdir("folder", 0700), 0);
	errno = 0;
	assert_null(fd_read_file("folder", 10, &size));
	assert_int_not_equal(errno, 0);
	/* A pipe without a writer must not be waited for. */
	assert_int_equal(mkfifo("fifo", 0600), 0);
	errno = 0;
	assert_null(fd_read_file("fifo", 10, &size));
	assert_int_not_equal(errno, 0);
	errno = 0;
	assert_null(fd_read_file("/dev/zero", 10, &size));
	assert_int_not_equal(errno, 0);

	unit_write("some", "text");
	memory_fail_at(0);
	assert_null(fd_read_file("some", 10, &size));
	assert_true(memory_has_failed());
	assert_int_equal(errno, ENOMEM);
}

/* A pipe is read to its end, in pieces, from a writer who may come late. */
static void
read_pipes(void **state)
{
	static char bytes[100000];
	uint64_t seed = 5;
	char *data;
	size_t size = 0;
	pid_t writer;
	int fd;

	(void)state;
	unit_fill(&seed, (uint8_t *)bytes, sizeof bytes);
	assert_int_equal(mkfifo("late", 0600), 0);
	if ((writer = fork()) == 0) {
		fd = open("late", O_WRONLY | O_CLOEXEC);
		_exit(write(fd, bytes, 3) == 3 && write(fd, bytes + 3,
		    sizeof bytes - 3) == (ssize_t)sizeof bytes - 3 ? 0 : 1);
	}
	data = fd_read_pipe("late", sizeof bytes, 60000, &size);
	assert_non_null(data);
	assert_int_equal(size, sizeof bytes);
	assert_memory_equal(data, bytes, size);
	free(data);
	assert_int_equal(waitpid(writer, NULL, 0), writer);

	/* One who does not come, or does not go. */
	assert_null(fd_read_pipe("late", 10, 1, &size));
	assert_int_equal(errno, ETIMEDOUT);
	fd = open("late", O_RDWR | O_CLOEXEC);
	assert_int_equal(write(fd, "text", 4), 4);
	assert_null(fd_read_pipe("late", 10, 1, &size));
	assert_int_equal(errno, ETIMEDOUT);
	assert_int_equal(write(fd, "0123456789x", 11), 11);
	assert_null(fd_read_pipe("late", 10, 60000, &size));
	assert_int_equal(errno, EFBIG);
	fd_close(&fd);
	assert_null(fd_read_pipe("missing", 10, 1, &size));
	assert_int_equal(errno, ENOENT);
	unit_write("plain", "text");
	assert_null(fd_read_pipe("plain", 10, 1, &size));
	assert_int_equal(errno, EINVAL);
}

/* No descriptor is left behind by any of it. */
static void
no_leak(void **state)
{
	size_t size;
	int before = dup(0), after;

	(void)state;
	assert_int_not_equal(before, -1);
	(void)close(before);
	unit_write("leak", "text");
	for (int i = 0; i < 10; i++) {
		free(fd_read_file("leak", 10, &size));
		assert_null(fd_read_file("leak", 1, &size));
		assert_null(fd_read_file(".", 1, &size));
	}
	after = dup(0);
	assert_int_equal(after, before);
	(void)close(after);
}

static char folder[UNIT_PATH_MAX];

static int
enter(void **state)
{
	(void)state;
	unit_enter(folder);
	return 0;
}

static int
leave(void **state)
{
	(void)state;
	unit_leave(folder);
	return 0;
}

/* Room comes in time, too late, or not at all; and an error is no wait. */
static void
waiting_for_room(void **state)
{
	char bytes[4096];
	int64_t began;
	int pair[2];

	(void)state;
	memset(bytes, 'x', sizeof bytes);
	assert_int_equal(fd_pipe(pair, 1), 0);
	assert_true(fd_wait_writable(pair[1], clock_in(1000)));
	while (write(pair[1], bytes, sizeof bytes) > 0)
		;
	assert_false(fd_wait_writable(pair[1], clock_in(0)));
	began = clock_now();
	assert_false(fd_wait_writable(pair[1], clock_in(30)));
	assert_true(clock_now() - began >= 29);
	assert_int_equal(read(pair[0], bytes, sizeof bytes), sizeof bytes);
	assert_true(fd_wait_writable(pair[1], CLOCK_NEVER));
	assert_int_equal(close(pair[0]), 0);
	assert_true(fd_wait_writable(pair[1], CLOCK_NEVER));
	assert_int_equal(close(pair[1]), 0);
	assert_false(fd_wait_writable(-1, CLOCK_NEVER));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(closing),
		cmocka_unit_test(blocking),
		cmocka_unit_test(pipes),
		cmocka_unit_test(no_more_pipes),
		cmocka_unit_test(filling),
		cmocka_unit_test(single_bytes),
		cmocka_unit_test(full_at_the_end),
		cmocka_unit_test(draining),
		cmocka_unit_test(fill_out_of_memory),
		cmocka_unit_test(files),
		cmocka_unit_test(other_size),
		cmocka_unit_test(no_files),
		cmocka_unit_test(read_pipes),
		cmocka_unit_test(waiting_for_room),
		cmocka_unit_test(no_leak),
	};

	return cmocka_run_group_tests_name("fd", tests, enter, leave);
}
