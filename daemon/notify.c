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

/*
 * Whether it need not be told again.  Only want of room, or of a descriptor, is
 * something that passes: where nobody listens nobody will miss it.
 */
static bool
tell(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	bool told = true;
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
		told = errno != EAGAIN && errno != ENOBUFS && errno != ENOMEM;
	fd_close(&fd);
	return told;
}

void
notify_init(struct notify *n, int64_t watchdog)
{
	memset(n, 0, sizeof *n);
	n->managed = getenv("NOTIFY_SOCKET") != NULL;
	n->watchdog = watchdog;
}

/* Is there room now, as far as is known? */
static bool
may_try(const struct notify *n)
{
	return n->managed && clock_past(n->retry);
}

/* As tell(), which is asked again later where there is no room. */
static bool
try(struct notify *n, const char *text)
{
	if (!may_try(n))
		return false;
	if (tell(text))
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
	if (try(n, n->owed))
		n->owed[0] = '\0';
}

static void
tell_status(struct notify *n)
{
	char text[NOTIFY_STATUS_MAX + 8];

	(void)snprintf(text, sizeof text, "STATUS=%s", n->wanted);
	if (try(n, text))
		memcpy(n->status, n->wanted, sizeof n->status);
}

/* Does it know another status than the one that is so? */
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
		tell_status(n);
}

void
notify_dispatch(struct notify *n)
{
	if (n->owed[0] != '\0' && try(n, n->owed))
		n->owed[0] = '\0';
	if (n->watchdog > 0 && clock_past(n->watchdog_next) &&
	    try(n, "WATCHDOG=1"))
		n->watchdog_next = clock_in(n->watchdog);
	if (owes_status(n))
		tell_status(n);
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
