/*
 * notify.c - tell the service manager, without waiting for it.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/base/clock.h"
#include "common/base/fd.h"
#include "daemon/notify.h"

/* A manager that had no room is asked again after so many milliseconds. */
#define RETRY	250

/* Send "text".  False: try again later, since there was no room or descriptor.
 * Other errors do not pass: they count as sent. */
static bool
notify_send(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	bool sent = true;
	socklen_t length;
	int fd;

	if (path == NULL || strlen(path) >= sizeof sun.sun_path)
		return true;
	memcpy(sun.sun_path, path, strlen(path));
	length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
	    strlen(path));
	/* "@" stands for the NUL of an abstract address. */
	if (sun.sun_path[0] == '@')
		sun.sun_path[0] = '\0';
	if ((fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    0)) == -1)
		return false;
	if (sendto(fd, text, strlen(text), MSG_NOSIGNAL,
	    (struct sockaddr *)&sun, length) == -1)
		sent = errno != EAGAIN && errno != ENOBUFS && errno != ENOMEM;
	fd_close(&fd);
	return sent;
}

void
notify_init(struct notify *n, int64_t watchdog)
{
	memset(n, 0, sizeof *n);
	n->managed = getenv("NOTIFY_SOCKET") != NULL;
	n->watchdog = watchdog;
}

/* As notify_send(), with a pause after a failure. */
static bool
notify_try(struct notify *n, const char *text)
{
	if (!n->managed || !clock_past(n->retry))
		return false;
	if (notify_send(text))
		return true;
	n->retry = clock_in(RETRY);
	return false;
}

void
notify_state(struct notify *n, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(n->owed, sizeof n->owed, format, ap);
	va_end(ap);
	if (notify_try(n, n->owed))
		n->owed[0] = '\0';
}

static void
send_status(struct notify *n)
{
	char text[NOTIFY_STATUS_MAX + 8];

	(void)snprintf(text, sizeof text, "STATUS=%s", n->wanted);
	if (notify_try(n, text))
		memcpy(n->status, n->wanted, sizeof n->status);
}

/* Does it have an old status? */
static bool
owes_status(const struct notify *n)
{
	return strcmp(n->status, n->wanted) != 0;
}

void
notify_status(struct notify *n, const char *status)
{
	(void)snprintf(n->wanted, sizeof n->wanted, "%s", status);
	if (owes_status(n))
		send_status(n);
}

void
notify_dispatch(struct notify *n)
{
	if (n->owed[0] != '\0' && notify_try(n, n->owed))
		n->owed[0] = '\0';
	if (n->watchdog > 0 && clock_past(n->watchdog_next) &&
	    notify_try(n, "WATCHDOG=1"))
		n->watchdog_next = clock_in(n->watchdog);
	if (owes_status(n))
		send_status(n);
}

int64_t
notify_deadline(const struct notify *n)
{
	bool owes = n->owed[0] != '\0' || owes_status(n);
	int64_t next = owes ? 0 : CLOCK_NEVER;

	if (!n->managed)
		return CLOCK_NEVER;
	if (n->watchdog > 0 && n->watchdog_next < next)
		next = n->watchdog_next;
	/* It has no room before that. */
	return next < n->retry ? n->retry : next;
}
