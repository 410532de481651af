/*
 * Tests of daemon/service, or of daemon/service-plain where the build has no
 * libsystemd: both keep the same contract.
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "tests/unit/messages.h"
#include "tests/unit/unit.h"

#include "daemon/service.h"


static int
enter(void **state)
{
	static const char *const names[] = { "NOTIFY_SOCKET", "WATCHDOG_USEC",
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

/* --- notifications -------------------------------------------------------- */

/* A socket of the service manager at "path", where "@" begins an abstract
 * address; NOTIFY_SOCKET says so. */
static int
manager(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_int_not_equal(fd, -1);
	memcpy(sun.sun_path, path, strlen(path));
	if (*path == '@')
		sun.sun_path[0] = '\0';
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, (socklen_t)
	    (offsetof(struct sockaddr_un, sun_path) + strlen(path))), 0);
	assert_int_equal(setenv("NOTIFY_SOCKET", path, 1), 0);
	return fd;
}

static void
expect_told(int fd, const char *wanted)
{
	char text[2048];
	ssize_t n = recv(fd, text, sizeof text - 1, 0);

	assert_int_not_equal(n, -1);
	text[n] = '\0';
	assert_string_equal(text, wanted);
}

static void
notifications(void **state)
{
	char abstract[64], path[UNIT_PATH_MAX + 16];
	int fd;

	(void)state;
	(void)snprintf(path, sizeof path, "%s/notify", messages_directory);
	fd = manager(path);
	service_notify("READY=1");
	expect_told(fd, "READY=1");
	service_notify("STATUS=%s (%d s)", "serving", 12);
	expect_told(fd, "STATUS=serving (12 s)");
	service_notify("STOPPING=1\nSTATUS=stopping\nEXTEND_TIMEOUT_USEC=%lld",
	    17000000LL);
	expect_told(fd, "STOPPING=1\nSTATUS=stopping\n"
	    "EXTEND_TIMEOUT_USEC=17000000");
	assert_int_equal(close(fd), 0);

	(void)snprintf(abstract, sizeof abstract, "@ais-unit-%ld",
	    (long)getpid());
	fd = manager(abstract);
	service_notify("WATCHDOG=1");
	expect_told(fd, "WATCHDOG=1");
	assert_int_equal(close(fd), 0);
}

/* Nobody is there to be told, and nothing comes of it. */
static void
nobody_to_notify(void **state)
{
	char path[UNIT_PATH_MAX + 16], longer[300];

	(void)state;
	service_notify("READY=1");
	(void)snprintf(path, sizeof path, "%s/gone", messages_directory);
	assert_int_equal(setenv("NOTIFY_SOCKET", path, 1), 0);
	service_notify("READY=1");
	memset(longer, 'x', sizeof longer);
	longer[0] = '/';
	longer[sizeof longer - 1] = '\0';
	assert_int_equal(setenv("NOTIFY_SOCKET", longer, 1), 0);
	service_notify("READY=1");
	assert_int_equal(setenv("NOTIFY_SOCKET", "", 1), 0);
	service_notify("READY=1");
	messages_expect_none();
}

/* A text that is too long is cut, and goes nowhere else. */
static void
long_notification(void **state)
{
	char path[UNIT_PATH_MAX + 16], text[2000];
	int fd;
	ssize_t n;

	(void)state;
	(void)snprintf(path, sizeof path, "%s/notify", messages_directory);
	fd = manager(path);
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	service_notify("STATUS=%s", text);
	n = recv(fd, text, sizeof text, 0);
	assert_true(n > 512 && n < (ssize_t)sizeof text);
	assert_memory_equal(text, "STATUS=x", 8);
	assert_int_equal(close(fd), 0);
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
		TEST(notifications), TEST(nobody_to_notify),
		TEST(long_notification), TEST(watchdog), TEST(sockets),
	};

	return cmocka_run_group_tests_name("service", tests, NULL, NULL);
}
