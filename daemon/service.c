/* systemd: sockets that it passes, its watchdog.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <errno.h>

#include <systemd/sd-daemon.h>

#include "common/base/log.h"
#include "daemon/service.h"

int
service_sockets(int *fds, size_t max)
{
	int n = sd_listen_fds(1);

	if (n < 0) {
		errno = -n;
		log_errno("cannot take the passed sockets");
		return -1;
	}
	if ((size_t)n > max) {
		log_error("%d sockets were passed, and at most %zu are served; "
		    "name fewer in the socket unit", n, max);
		return -1;
	}
	for (int i = 0; i < n; i++)
		fds[i] = SD_LISTEN_FDS_START + i;
	return n;
}

int64_t
service_watchdog(void)
{
	uint64_t us;

	/* Half of the time, as sd_watchdog_enabled(3) advises. */
	return sd_watchdog_enabled(0, &us) > 0 ? (int64_t)(us / 2000) : 0;
}
