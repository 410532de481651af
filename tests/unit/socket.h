/*
 * socket.h - the other end of a socket in the file system, for the tests of
 * what writes to logs of this machine.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_SOCKET_H
#define AIS_SOCKET_H

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/unit/unit.h"

/* A reader at "path", which does not wait. */
static inline int
socket_bind(const char *path, int type)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_int_not_equal(fd, -1);
	assert_true(strlen(path) < sizeof sun.sun_path);
	memcpy(sun.sun_path, path, strlen(path));
	(void)unlink(path);
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof sun), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 4), 0);
	return fd;
}

/* The next message as a text of less than "size" bytes; its length, or -1 if
 * there is none. */
static inline ssize_t
socket_read(int fd, char *text, size_t size)
{
	ssize_t n = recv(fd, text, size - 1, 0);

	if (n == -1)
		assert_int_equal(errno, EAGAIN);
	else
		text[n] = '\0';
	return n;
}

#endif
