/*
 * datagram.c - messages to a log or the service manager, by a socket.
 *
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "daemon/record/datagram.h"

/* Connect by a socket of this type; -1 with errno set.  Neither waits: without
 * room for one more, a stream is refused with EAGAIN. */
static int
connect_to(const char *path, int type)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	size_t n = strlen(path);
	int fd;

	if (n >= sizeof sun.sun_path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(sun.sun_path, path, n);
	if (path[0] == '@')
		sun.sun_path[0] = '\0';
	n += offsetof(struct sockaddr_un, sun_path);
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd != -1 &&
	    connect(fd, (struct sockaddr *)&sun, (socklen_t)n) == -1)
		fd_close(&fd);
	return fd;
}

/* Some daemons have a stream there; syslog(3) tries both as well. */
static int
open_socket(struct datagram *d)
{
	d->stream = false;
	d->fd = connect_to(d->path, SOCK_DGRAM);
	if (d->fd == -1 && errno == EPROTOTYPE) {
		d->stream = true;
		d->fd = connect_to(d->path, SOCK_STREAM);
	}
	return d->fd == -1 ? -1 : 0;
}

bool
datagram_is_there(const char *path)
{
	struct datagram d = DATAGRAM(path);
	bool there = open_socket(&d) == 0;

	datagram_close(&d);
	return there;
}

void
datagram_close(struct datagram *d)
{
	fd_close(&d->fd);
}

/* Send it once.  0, or -1 with errno set. */
static int
send_once(struct datagram *d, const struct msghdr *m)
{
	struct iovec parts[DATAGRAM_PARTS_MAX + 1];
	struct msghdr all = *m;
	size_t length = 0;
	char end = '\0';	/* Of a message in a stream. */
	ssize_t n;

	for (size_t i = 0; i < m->msg_iovlen; i++) {
		parts[i] = m->msg_iov[i];
		length += parts[i].iov_len;
	}
	all.msg_iov = parts;
	if (d->stream) {
		parts[all.msg_iovlen++] = (struct iovec){ &end, 1 };
		length++;
	}
	if ((n = sendmsg(d->fd, &all, MSG_NOSIGNAL)) == -1)
		return -1;
	if ((size_t)n == length)
		return 0;
	/* A part of it in a stream: the rest has no room, and what follows
	 * must not be taken for it. */
	datagram_close(d);
	errno = EAGAIN;
	return -1;
}

/* Has the reader closed its socket? */
static bool
has_gone(int error)
{
	return error == ECONNREFUSED || error == ECONNRESET ||
	    error == ENOTCONN || error == EPIPE;
}

int
datagram_send(struct datagram *d, const struct msghdr *m, bool patient)
{
	int64_t deadline = clock_in(patient ? LOG_WAIT_MS : 0);
	bool fresh = false;

	for (;;) {
		if (d->fd == -1) {
			if (open_socket(d) == -1)
				return -1;
			fresh = true;
		}
		if (send_once(d, m) == 0)
			return 0;
		if (errno == EAGAIN) {
			if (fd_wait_writable(d->fd, deadline))
				continue;
			errno = EAGAIN;
			return -1;
		}
		if (errno == EINTR)
			continue;
		if (!has_gone(errno))
			return -1;
		datagram_close(d);
		if (fresh)
			return -1;
	}
}

struct log_sink *
datagram_sink_open(struct datagram_sink *s, const char *name,
    int (*take)(void *context, const struct log_event *e), const char *path,
    const char *ident)
{
	if (s->ident != NULL)
		datagram_close(&s->socket);
	*s = (struct datagram_sink){
		.sink = { .name = name, .take = take, .context = s },
		.socket = DATAGRAM(path), .ident = ident
	};
	return &s->sink;
}

int
datagram_sink_send(struct datagram_sink *s, const struct msghdr *m)
{
	return datagram_send(&s->socket, m, !s->sink.failing);
}
