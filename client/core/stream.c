/*
 * stream.c - our own standard streams, read and written without blocking.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "client/core/stream.h"

void
stream_open(struct stream *s, int fd, bool writing)
{
	s->fd = fd;
	s->writing = writing;
	s->owned = false;
	s->kind = STREAM_FRESH;
}

void
stream_close(struct stream *s)
{
	if (s->owned)
		fd_close(&s->fd);
	s->fd = -1;
	s->owned = false;
}

/* Open the pipe or terminal of "s" for ourselves. */
static void
stream_open_again(struct stream *s)
{
	char path[32];
	int fd;

	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", s->fd);
	fd = open(path, (s->writing ? O_WRONLY : O_RDONLY) | O_NONBLOCK |
	    O_NOCTTY | O_CLOEXEC);
	if (fd == -1) {
		s->kind = STREAM_CAREFUL;
		return;
	}
	s->fd = fd;
	s->owned = true;
	s->kind = STREAM_PLAIN;
}

/* Find out what "s" is. */
static void
stream_examine(struct stream *s)
{
	int flags = fcntl(s->fd, F_GETFL);
	struct stat st;

	s->kind = STREAM_PLAIN;
	if (fstat(s->fd, &st) == -1)
		return;
	if (S_ISSOCK(st.st_mode))
		s->kind = STREAM_SOCKET;
	else if (flags != -1 && (flags & O_NONBLOCK) != 0)
		return;
	else if (S_ISFIFO(st.st_mode) || isatty(s->fd) == 1)
		stream_open_again(s);
}

/* Does poll(2) see that "s" is ready, or broken? */
static bool
stream_is_ready(const struct stream *s)
{
	struct pollfd p = { .fd = s->fd,
	    .events = s->writing ? POLLOUT : POLLIN };

	return poll(&p, 1, 0) == 1;
}

static enum io
stream_failure(void)
{
	return errno == EAGAIN || errno == EINTR ? IO_WAIT : IO_ERROR;
}

enum io
stream_read(struct stream *s, void *bytes, size_t n, size_t *done)
{
	ssize_t got;

	*done = 0;
	if (s->kind == STREAM_FRESH)
		stream_examine(s);
	if (s->kind == STREAM_CAREFUL && !stream_is_ready(s))
		return IO_WAIT;
	if (s->kind == STREAM_SOCKET)
		got = recv(s->fd, bytes, n, MSG_DONTWAIT);
	else
		got = read(s->fd, bytes, n);
	if (got == -1)
		return stream_failure();
	*done = (size_t)got;
	return got == 0 ? IO_EOF : IO_OK;
}

enum io
stream_write(struct stream *s, const void *bytes, size_t n, size_t *done)
{
	ssize_t put;

	*done = 0;
	if (s->kind == STREAM_FRESH)
		stream_examine(s);
	if (s->kind == STREAM_CAREFUL) {
		if (!stream_is_ready(s))
			return IO_WAIT;
		if (n > PIPE_BUF)
			n = PIPE_BUF;
	}
	if (s->kind == STREAM_SOCKET)
		put = send(s->fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	else
		put = write(s->fd, bytes, n);
	if (put == -1)
		return stream_failure();
	*done = (size_t)put;
	return IO_OK;
}

bool
stream_input_is_lost(void)
{
	int error = errno;
	bool lost = error != EBADF && isatty(STDIN_FILENO) == 0;

	errno = error;
	return lost;
}

bool
stream_input_is_null(void)
{
	struct stat null, input;

	return fstat(STDIN_FILENO, &input) == 0 && S_ISCHR(input.st_mode) &&
	    stat("/dev/null", &null) == 0 && input.st_rdev == null.st_rdev;
}

int
stream_fill_gaps(void)
{
	int fd;

	/* open(2) takes the lowest number that is free. */
	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd == -1)
		return -1;
	(void)close(fd);
	return 0;
}

void
stream_close_others(void)
{
	long end = sysconf(_SC_OPEN_MAX);

	/* The call is as new as Linux 5.9. */
	if (syscall(SYS_close_range, STDERR_FILENO + 1, UINT_MAX, 0) == 0)
		return;
	for (int fd = STDERR_FILENO + 1; fd < end; fd++)
		(void)close(fd);
}
