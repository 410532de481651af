/* The same functions where there is no libsystemd.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/log.h"
#include "daemon/service.h"

/* The first passed descriptor, sd_listen_fds(3). */
#define FIRST_FD	3

/* A number from the environment, if the variable "pid" names us. */
static long
number_for_us(const char *name, const char *pid)
{
	const char *value = getenv(name), *ours = getenv(pid);

	if (value == NULL ||
	    (ours != NULL && strtol(ours, NULL, 10) != (long)getpid()))
		return 0;
	return strtol(value, NULL, 10);
}

int
service_sockets(int *fds, size_t max)
{
	long n = getenv("LISTEN_PID") == NULL ? 0 :
	    number_for_us("LISTEN_FDS", "LISTEN_PID");

	if (n < 0 || (size_t)n > max) {
		log_error("%ld sockets were passed, and at most %zu are "
		    "served; name fewer in the socket unit", n, max);
		return -1;
	}
	for (int i = 0; i < n; i++) {
		fds[i] = FIRST_FD + i;
		if (fcntl(fds[i], F_SETFD, FD_CLOEXEC) == -1) {
			log_errno("cannot take the passed socket %d", fds[i]);
			return -1;
		}
	}
	(void)unsetenv("LISTEN_PID");
	(void)unsetenv("LISTEN_FDS");
	(void)unsetenv("LISTEN_FDNAMES");
	return (int)n;
}

int64_t
service_watchdog(void)
{
	return number_for_us("WATCHDOG_USEC", "WATCHDOG_PID") / 2000;
}
