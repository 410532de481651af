/*
 * Tests of daemon/service, or of daemon/service-plain where the build has no
 * libsystemd: both keep the same contract.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "tests/unit/messages.h"
#include "tests/unit/unit.h"

#include "daemon/service.h"

static int
enter(void **state)
{
	static const char *const names[] = { "WATCHDOG_USEC",
	    "WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES" };

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		assert_int_equal(unsetenv(names[i]), 0);
	return messages_enter(state);
}

/* A variable with the number "n". */
static void
set_number(const char *name, long n)
{
	char text[32];

	(void)snprintf(text, sizeof text, "%ld", n);
	assert_int_equal(setenv(name, text, 1), 0);
}

/* --- the watchdog --------------------------------------------------------- */

static void
watchdog(void **state)
{
	(void)state;
	assert_int_equal(service_watchdog(), 0);
	set_number("WATCHDOG_USEC", 3000000);
	/* Half of it, in milliseconds. */
	assert_int_equal(service_watchdog(), 1500);
	set_number("WATCHDOG_PID", getpid());
	assert_int_equal(service_watchdog(), 1500);
	set_number("WATCHDOG_PID", getpid() + 1);
	assert_int_equal(service_watchdog(), 0);
}

/* --- sockets -------------------------------------------------------------- */

/* What is passed as the descriptors from 3 on, in a child of its own. */
static int
take_sockets(int count, int max, pid_t whom)
{
	int fds[8] = { -1, -1, -1, -1, -1, -1, -1, -1 }, n;

	for (int fd = 3; fd < 3 + count; fd++) {
		int one = socket(AF_INET, SOCK_STREAM, 0);

		if (one == -1 || (one != fd && dup2(one, fd) == -1))
			return 101;
		if (one != fd)
			(void)close(one);
		if (fcntl(fd, F_SETFD, 0) == -1)
			return 102;
	}
	set_number("LISTEN_FDS", count);
	set_number("LISTEN_PID", whom == 0 ? getpid() : whom);
	(void)setenv("LISTEN_FDNAMES", "a", 1);
	n = service_sockets(fds, (size_t)max);
	if (n == -1)
		return 99;
	for (int i = 0; i < n; i++) {
		if (fds[i] != 3 + i ||
		    (fcntl(fds[i], F_GETFD) & FD_CLOEXEC) == 0)
			return 103;
	}
	/* No command may take itself for the one that is meant. */
	if (getenv("LISTEN_FDS") != NULL || getenv("LISTEN_PID") != NULL ||
	    getenv("LISTEN_FDNAMES") != NULL)
		return 104;
	return n;
}

/* How many are taken; 99 for none with a message. */
static int
taken(int count, int max, pid_t whom)
{
	int status;
	pid_t pid = fork();

	assert_int_not_equal(pid, -1);
	if (pid == 0)
		_exit(take_sockets(count, max, whom));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
sockets(void **state)
{
	int fds[4];

	(void)state;
	assert_int_equal(service_sockets(fds, 4), 0);
	assert_int_equal(taken(1, 4, 0), 1);
	assert_int_equal(taken(4, 4, 0), 4);
	/* More than are served: none, rather than some. */
	assert_int_equal(taken(5, 4, 0), 99);
	/* They were passed to another process. */
	assert_int_equal(taken(2, 4, getppid()), 0);
}

int
main(void)
{
#define TEST(name)	cmocka_unit_test_setup_teardown(name, enter, \
	messages_leave)
	const struct CMUnitTest tests[] = {
		TEST(watchdog), TEST(sockets),
	};

	return cmocka_run_group_tests_name("service", tests, NULL, NULL);
}
