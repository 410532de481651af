/* Unit tests of daemon/record/datagram.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <sys/wait.h>
#include <time.h>

#include "tests/unit/socket.h"
#include "tests/unit/unit.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "daemon/record/datagram.h"

static struct datagram d = DATAGRAM("log");

static int
send_text(const char *text, bool patient)
{
	/* In two parts, as a caller may have it. */
	struct iovec parts[] = {
		{ (char *)(uintptr_t)text, 1 },
		{ (char *)(uintptr_t)text + 1, strlen(text) - 1 }
	};
	struct msghdr m = { .msg_iov = parts, .msg_iovlen = 2 };

	errno = 0;
	return datagram_send(&d, &m, patient);
}

static void
expect_text(int fd, const char *wanted)
{
	char text[256];

	assert_int_equal(socket_read(fd, text, sizeof text), strlen(wanted));
	assert_string_equal(text, wanted);
}

/* Fill the queue; how many messages that took. */
static int
fill(void)
{
	int n = 0;

	while (send_text("filler", false) == 0)
		n++;
	assert_int_equal(errno, EAGAIN);
	assert_true(n > 0);
	return n;
}

static void
nobody(void **state)
{
	struct datagram longer = DATAGRAM("/a/path/that/is/longer/than/any/"
	    "address/of/a/socket/can/be/because/it/has/more/than/a/hundred/"
	    "and/eight/characters");
	struct msghdr m = { .msg_iovlen = 0 };

	(void)state;
	assert_false(datagram_is_there("log"));
	assert_int_equal(send_text("one", true), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(close(socket_bind("log", SOCK_DGRAM)), 0);
	assert_false(datagram_is_there("log"));
	assert_int_equal(send_text("one", true), -1);
	assert_int_equal(errno, ECONNREFUSED);
	assert_int_equal(datagram_send(&longer, &m, true), -1);
	assert_int_equal(errno, ENAMETOOLONG);
}

/* One that has been started anew is found by the first message. */
static void
restarted(void **state)
{
	int fd = socket_bind("log", SOCK_DGRAM);

	(void)state;
	assert_true(datagram_is_there("log"));
	assert_int_equal(send_text("one", true), 0);
	expect_text(fd, "one");
	assert_int_equal(close(fd), 0);
	fd = socket_bind("log", SOCK_DGRAM);
	assert_int_equal(send_text("two", true), 0);
	expect_text(fd, "two");
	/* Its name may be gone while it still reads. */
	assert_int_equal(unlink("log"), 0);
	assert_int_equal(send_text("three", true), 0);
	expect_text(fd, "three");
	assert_int_equal(close(fd), 0);
	assert_int_equal(send_text("four", true), -1);
	assert_int_equal(errno, ENOENT);
}

/* Without room it is waited for once, and not for long. */
static void
no_room(void **state)
{
	int fd = socket_bind("log", SOCK_DGRAM);
	int64_t began;
	char text[64];

	(void)state;
	(void)fill();
	began = clock_now();
	assert_int_equal(send_text("one", true), -1);
	assert_int_equal(errno, EAGAIN);
	assert_true(clock_now() - began >= LOG_WAIT_MS - 1);
	assert_true(clock_now() - began < 20 * LOG_WAIT_MS);
	assert_int_equal(socket_read(fd, text, sizeof text), 6);
	assert_int_equal(send_text("two", false), 0);
	while (socket_read(fd, text, sizeof text) != -1 &&
	    strcmp(text, "filler") == 0)
		;
	assert_string_equal(text, "two");
	assert_int_equal(close(fd), 0);
}

/* A reader that is late for some milliseconds costs no message. */
static void
late_reader(void **state)
{
	int fd = socket_bind("log", SOCK_DGRAM), status;
	struct timespec moment = { .tv_nsec = 10000000 };
	char text[64];
	pid_t pid;

	(void)state;
	(void)fill();
	assert_int_not_equal(pid = fork(), -1);
	if (pid == 0) {
		(void)nanosleep(&moment, NULL);
		_exit(recv(fd, text, sizeof text, 0) == 6 ? 0 : 1);
	}
	assert_int_equal(send_text("one", true), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(close(fd), 0);
}

/* It goes away while it is waited for. */
static void
reader_that_goes(void **state)
{
	int fd = socket_bind("log", SOCK_DGRAM);
	struct timespec moment = { .tv_nsec = 10000000 };
	pid_t pid;

	(void)state;
	(void)fill();
	assert_int_not_equal(pid = fork(), -1);
	if (pid == 0) {
		(void)nanosleep(&moment, NULL);
		_exit(0);
	}
	assert_int_equal(close(fd), 0);
	assert_int_equal(send_text("one", true), -1);
	assert_int_equal(errno, ECONNREFUSED);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void
too_long(void **state)
{
	static char text[1 << 20];
	int fd = socket_bind("log", SOCK_DGRAM);

	(void)state;
	memset(text, 'x', sizeof text - 1);
	assert_int_equal(send_text(text, true), -1);
	assert_int_equal(errno, EMSGSIZE);
	assert_int_equal(send_text("short", true), 0);
	expect_text(fd, "short");
	assert_int_equal(close(fd), 0);
}

/* In a stream a NUL ends each message. */
static void
stream(void **state)
{
	int fd = socket_bind("log", SOCK_STREAM), peer;
	char text[64];

	(void)state;
	assert_true(datagram_is_there("log"));
	assert_int_equal(send_text("one", true), 0);
	assert_int_equal(send_text("two", true), 0);
	/* The first to come is the one who has asked. */
	assert_int_not_equal(peer = accept(fd, NULL, NULL), -1);
	assert_int_equal(close(peer), 0);
	assert_int_not_equal(peer = accept(fd, NULL, NULL), -1);
	assert_int_equal(socket_read(peer, text, sizeof text), 8);
	assert_memory_equal(text, "one\0two", 8);
	assert_int_equal(close(peer), 0);
	/* A reader that has closed the stream is connected to again. */
	assert_int_equal(send_text("three", true), 0);
	assert_int_not_equal(peer = accept(fd, NULL, NULL), -1);
	assert_int_equal(socket_read(peer, text, sizeof text), 6);
	assert_string_equal(text, "three");
	assert_int_equal(close(peer), 0);
	assert_int_equal(close(fd), 0);
}

/* A message of which only the beginning had room ends the stream: what follows
 * would be taken for the rest. */
static void
torn_stream(void **state)
{
	static char text[60000];
	int fd = socket_bind("log", SOCK_STREAM), peer;
	char last = '\0';
	ssize_t n;

	(void)state;
	memset(text, 'x', sizeof text - 1);
	while (send_text(text, false) == 0)
		;
	assert_int_equal(errno, EAGAIN);
	assert_int_not_equal(peer = accept(fd, NULL, NULL), -1);
	while ((n = recv(peer, text, sizeof text, 0)) > 0)
		last = text[n - 1];
	if (last != '\0')
		assert_int_equal(n, 0);
	assert_int_equal(send_text("whole", true), 0);
	if (last != '\0') {
		assert_int_equal(close(peer), 0);
		assert_int_not_equal(peer = accept(fd, NULL, NULL), -1);
	}
	assert_int_equal(socket_read(peer, text, sizeof text), 6);
	assert_string_equal(text, "whole");
	assert_int_equal(close(peer), 0);
	assert_int_equal(close(fd), 0);
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
	datagram_close(&d);
	unit_leave(folder);
	return 0;
}

int
main(void)
{
#define TEST(name)	cmocka_unit_test_setup_teardown(name, enter, leave)
	const struct CMUnitTest tests[] = {
		TEST(nobody), TEST(restarted), TEST(no_room),
		TEST(late_reader), TEST(reader_that_goes), TEST(too_long),
		TEST(stream), TEST(torn_stream),
	};

	return cmocka_run_group_tests_name("datagram", tests, NULL, NULL);
}
