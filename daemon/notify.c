/*
 * notify.c - tell the service manager, without waiting for it.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/clock.h"
#include "daemon/record/datagram.h"
#include "daemon/notify.h"

/* A manager that had no room is asked again after so many milliseconds. */
#define RETRY	250

/* Send "text".  False: try again later, since there was no room or descriptor.
 * Other errors do not pass: they count as sent. */
static bool
notify_send(const char *text)
{
	struct datagram d = DATAGRAM(getenv("NOTIFY_SOCKET"));
	struct iovec whole = { (char *)(uintptr_t)text, strlen(text) };
	struct msghdr m = { .msg_iov = &whole, .msg_iovlen = 1 };
	bool sent = datagram_send(&d, &m, false) == 0 || (errno != EAGAIN &&
	    errno != ENOBUFS && errno != ENOMEM && errno != EMFILE &&
	    errno != ENFILE);

	datagram_close(&d);
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

/* Does it have an old status? */
static bool
owes_status(const struct notify *n)
{
	return strcmp(n->status, n->wanted) != 0;
}

/* Send what is owed. */
static void
notify_flush(struct notify *n)
{
	char text[NOTIFY_STATUS_MAX + 8];

	if (n->owed[0] != '\0' && notify_try(n, n->owed))
		n->owed[0] = '\0';
	if (!owes_status(n))
		return;
	(void)snprintf(text, sizeof text, "STATUS=%s", n->wanted);
	if (notify_try(n, text))
		memcpy(n->status, n->wanted, sizeof n->status);
}

void
notify_state(struct notify *n, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(n->owed, sizeof n->owed, format, ap);
	va_end(ap);
	notify_flush(n);
}

void
notify_status(struct notify *n, const char *status)
{
	(void)snprintf(n->wanted, sizeof n->wanted, "%s", status);
	notify_flush(n);
}

void
notify_dispatch(struct notify *n)
{
	if (n->watchdog > 0 && clock_past(n->watchdog_next) &&
	    notify_try(n, "WATCHDOG=1"))
		n->watchdog_next = clock_in(n->watchdog);
	notify_flush(n);
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
