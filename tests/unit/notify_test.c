/* Unit tests of daemon/notify.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/unit/messages.h"
#include "tests/unit/unit.h"

#include "common/base/clock.h"
#include "daemon/notify.h"

static char path[UNIT_PATH_MAX + 16];

static int
enter(void **state)
{
	assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
	(void)messages_enter(state);
	(void)snprintf(path, sizeof path, "%s/notify", messages_directory);
	return 0;
}

/* A socket of the service manager at "at", where "@" begins an abstract
 * address; NOTIFY_SOCKET says so. */
static int
manager(const char *at)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_int_not_equal(fd, -1);
	memcpy(sun.sun_path, at, strlen(at));
	if (*at == '@')
		sun.sun_path[0] = '\0';
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, (socklen_t)
	    (offsetof(struct sockaddr_un, sun_path) + strlen(at))), 0);
	assert_int_equal(setenv("NOTIFY_SOCKET", at, 1), 0);
	return fd;
}

/* It is told this, and "wanted" NULL: nothing. */
static void
expect_told(int fd, const char *wanted)
{
	char text[NOTIFY_STATUS_MAX + 64];
	ssize_t n = recv(fd, text, sizeof text - 1, 0);

	if (wanted == NULL) {
		assert_int_equal(n, -1);
		return;
	}
	assert_int_not_equal(n, -1);
	text[n] = '\0';
	assert_string_equal(text, wanted);
}

/* It has no room from now on; how many messages it has had room for. */
static size_t
fill(const char *at)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	size_t count = 0;

	assert_int_not_equal(fd, -1);
	memcpy(sun.sun_path, at, strlen(at));
	while (sendto(fd, "x", 1, 0, (struct sockaddr *)&sun,
	    sizeof sun) == 1)
		count++;
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(close(fd), 0);
	return count;
}

static void
drain(int fd, size_t count)
{
	while (count-- > 0)
		expect_told(fd, "x");
}

/* Turn until its deadline has come once. */
static void
wait_and_turn(struct notify *n)
{
	int left = clock_left(notify_deadline(n));

	assert_int_not_equal(left, -1);
	assert_true(left <= 1000);
	(void)usleep((useconds_t)left * 1000);
	notify_dispatch(n);
}

static void
told_at_once(void **state)
{
	char abstract[64];
	struct notify n;
	int fd = manager(path);

	(void)state;
	notify_init(&n, 0);
	assert_true(n.managed);
	notify_state(&n, "READY=%d", 1);
	expect_told(fd, "READY=1");
	notify_status(&n, "serving");
	expect_told(fd, "STATUS=serving");
	/* Not twice. */
	notify_status(&n, "serving");
	notify_dispatch(&n);
	expect_told(fd, NULL);
	assert_int_equal(notify_deadline(&n), CLOCK_NEVER);
	assert_int_equal(close(fd), 0);

	(void)snprintf(abstract, sizeof abstract, "@ais-unit-%ld",
	    (long)getpid());
	fd = manager(abstract);
	notify_state(&n, "READY=1");
	expect_told(fd, "READY=1");
	assert_int_equal(close(fd), 0);
	messages_expect_none();
}

/* Without a service manager nothing is told. */
static void
nobody_to_notify(void **state)
{
	char longer[300];
	struct notify n;

	(void)state;
	notify_init(&n, 1);
	assert_false(n.managed);
	notify_state(&n, "READY=1");
	notify_status(&n, "idle");
	notify_dispatch(&n);
	assert_int_equal(notify_deadline(&n), CLOCK_NEVER);
	memset(longer, 'x', sizeof longer);
	longer[0] = '/';
	longer[sizeof longer - 1] = '\0';
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(setenv("NOTIFY_SOCKET", i == 0 ? path :
		    i == 1 ? longer : "", 1), 0);
		notify_init(&n, 0);
		notify_state(&n, "READY=1");
		notify_status(&n, "idle");
		/* It is not tried for ever. */
		assert_int_equal(notify_deadline(&n), CLOCK_NEVER);
	}
	messages_expect_none();
}

/* What has no room is told later, and of states the last one alone. */
static void
owed(void **state)
{
	struct notify n;
	int fd = manager(path);
	size_t count = fill(path);
	int64_t before = clock_now();

	(void)state;
	notify_init(&n, 0);
	notify_state(&n, "RELOADING=1");
	notify_status(&n, "one");
	notify_state(&n, "READY=1");
	notify_status(&n, "two");
	for (int i = 0; i < 1000; i++)
		notify_dispatch(&n);
	assert_true(clock_now() - before < 5000);
	drain(fd, count);
	expect_told(fd, NULL);
	wait_and_turn(&n);
	expect_told(fd, "READY=1");
	expect_told(fd, "STATUS=two");
	expect_told(fd, NULL);
	assert_int_equal(notify_deadline(&n), CLOCK_NEVER);
	/* A status that was true for a while, and is not any more. */
	count = fill(path);
	notify_status(&n, "three");
	notify_status(&n, "two");
	drain(fd, count);
	assert_int_equal(notify_deadline(&n), CLOCK_NEVER);
	notify_dispatch(&n);
	expect_told(fd, NULL);
	assert_int_equal(close(fd), 0);
}

static void
watchdog(void **state)
{
	struct notify n;
	int fd = manager(path);
	size_t count;

	(void)state;
	notify_init(&n, 100);
	notify_dispatch(&n);
	expect_told(fd, "WATCHDOG=1");
	notify_dispatch(&n);
	expect_told(fd, NULL);
	assert_true(clock_left(notify_deadline(&n)) <= 100);
	wait_and_turn(&n);
	expect_told(fd, "WATCHDOG=1");
	/* One that is late is told as soon as there is room. */
	count = fill(path);
	wait_and_turn(&n);
	drain(fd, count);
	expect_told(fd, NULL);
	wait_and_turn(&n);
	expect_told(fd, "WATCHDOG=1");
	assert_int_equal(close(fd), 0);
}

/* A text that is too long is cut, and goes nowhere else. */
static void
long_notification(void **state)
{
	char text[3 * NOTIFY_STATUS_MAX];
	struct notify n;
	int fd = manager(path);
	ssize_t length;

	(void)state;
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	notify_init(&n, 0);
	notify_status(&n, text);
	length = recv(fd, text, sizeof text, 0);
	assert_int_equal(length, strlen("STATUS=") + NOTIFY_STATUS_MAX - 1);
	assert_memory_equal(text, "STATUS=x", 8);
	notify_state(&n, "%s", text);
	length = recv(fd, text, sizeof text, 0);
	assert_int_equal(length, NOTIFY_STATE_MAX - 1);
	assert_int_equal(close(fd), 0);
}

int
main(void)
{
#define TEST(name)	cmocka_unit_test_setup_teardown(name, enter, \
	messages_leave)
	const struct CMUnitTest tests[] = {
		TEST(told_at_once), TEST(nobody_to_notify), TEST(owed),
		TEST(watchdog), TEST(long_notification),
	};

	return cmocka_run_group_tests_name("notify", tests, NULL, NULL);
}
