/* Descriptors: flags, fill a queue, drain a queue.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/fd.h"

void
fd_close(int *fd)
{
	int keep = errno;

	if (*fd != -1)
		(void)close(*fd);
	*fd = -1;
	errno = keep;
}

void
fd_close_pair(int pair[2])
{
	fd_close(&pair[0]);
	fd_close(&pair[1]);
}

int
fd_set_blocking(int fd, bool blocking)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags == -1)
		return -1;
	flags = blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK;
	return fcntl(fd, F_SETFL, flags);
}

int
fd_pipe(int pair[2], int ours)
{
	if (pipe2(pair, O_CLOEXEC) == -1) {
		pair[0] = pair[1] = -1;
		return -1;
	}
	if (ours != -1 && fd_set_blocking(pair[ours], false) == -1) {
		fd_close_pair(pair);
		return -1;
	}
	return 0;
}

enum io
fd_fill(int fd, struct buf *b, size_t max)
{
	size_t room = buf_room(b);
	uint8_t *p;
	ssize_t n;

	if (max > room)
		max = room;
	if (max == 0)
		return IO_WAIT;
	if ((p = buf_reserve(b, max)) == NULL) {
		errno = ENOMEM;
		return IO_ERROR;
	}
	n = read(fd, p, max);
	if (n > 0) {
		buf_commit(b, (size_t)n);
		return IO_OK;
	}
	if (n == 0)
		return IO_EOF;
	return errno == EAGAIN || errno == EINTR ? IO_WAIT : IO_ERROR;
}

enum io
fd_drain(int fd, struct buf *b)
{
	ssize_t n;

	if (buf_used(b) == 0)
		return IO_OK;
	n = write(fd, buf_data(b), buf_used(b));
	if (n >= 0) {
		buf_consume(b, (size_t)n);
		return IO_OK;
	}
	return errno == EAGAIN || errno == EINTR ? IO_WAIT : IO_ERROR;
}

/* Wait until "fd" can be read, or until "deadline".  0, or -1 with errno. */
static int
await_bytes(int fd, int64_t deadline)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int n = poll(&p, 1, clock_left(deadline));

	if (n == 0)
		errno = ETIMEDOUT;
	return n > 0 ? 0 : -1;
}

bool
fd_wait_writable(int fd, int64_t deadline)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	return fd != -1 && !clock_past(deadline) &&
	    poll(&p, 1, clock_left(deadline)) == 1;
}

/* Read "fd" to its end, "max" bytes at most; of a pipe until "deadline".
 * NULL with errno set. */
static char *
fd_read_all(int fd, size_t max, bool is_pipe, int64_t deadline, size_t *size)
{
	char *data = malloc(max + 1);
	size_t used = 0;
	ssize_t n;

	if (data == NULL)
		return NULL;
	for (;;) {
		/* Before the writer of a pipe has opened it, read(2) says that
		 * it has ended; poll(2) waits for it. */
		if (is_pipe && await_bytes(fd, deadline) == -1)
			goto fail;
		n = read(fd, data + used, max + 1 - used);
		if (n == 0)
			break;
		if (n == -1 && (errno == EINTR || (is_pipe &&
		    errno == EAGAIN)))
			continue;
		if (n == -1)
			goto fail;
		used += (size_t)n;
		if (used > max) {
			errno = EFBIG;
			goto fail;
		}
	}
	data[used] = '\0';
	*size = used;
	return data;

fail:
	free(data);
	return NULL;
}

/* Open "path" without being kept waiting, and look what it is. */
static int
open_path(const char *path, struct stat *st)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd != -1 && fstat(fd, st) == -1)
		fd_close(&fd);
	return fd;
}

int
fd_open_file(const char *path, size_t max)
{
	struct stat st;
	int fd = open_path(path, &st);

	if (fd == -1)
		return -1;
	if (S_ISREG(st.st_mode) && (uintmax_t)st.st_size <= max)
		return fd;
	errno = S_ISDIR(st.st_mode) ? EISDIR : S_ISREG(st.st_mode) ? EFBIG :
	    EINVAL;
	fd_close(&fd);
	return -1;
}

char *
fd_read_file(const char *path, size_t max, size_t *size)
{
	char *data = NULL;
	struct stat st;
	int fd = fd_open_file(path, max);

	/* What knows no size, as in /proc, has a length all the same. */
	if (fd != -1 && fstat(fd, &st) == 0)
		data = fd_read_all(fd, st.st_size > 0 &&
		    (size_t)st.st_size + 1 < max ? (size_t)st.st_size + 1 :
		    max, false, 0, size);
	fd_close(&fd);
	return data;
}

char *
fd_read_pipe(const char *path, size_t max, int64_t wait, size_t *size)
{
	char *data = NULL;
	struct stat st;
	int fd = open_path(path, &st);

	if (fd == -1)
		return NULL;
	if (S_ISFIFO(st.st_mode))
		data = fd_read_all(fd, max, true, clock_in(wait), size);
	else
		errno = EINVAL;
	fd_close(&fd);
	return data;
}

/* Is it listed?  A name that is hidden, or the suffix alone, is not. */
static bool
is_listed(const char *name, const char *suffix)
{
	size_t n = strlen(name), end = strlen(suffix);

	return name[0] != '.' && n > end &&
	    strcmp(name + n - end, suffix) == 0;
}

char **
fd_list(const char *directory, const char *suffix)
{
	struct dirent **names;
	/* No program of ours sets LC_COLLATE. */
	int n = scandir(directory, &names, NULL, alphasort), error = ENOMEM;
	char **paths;
	size_t count = 0;

	if (n == -1)
		return NULL;
	if ((paths = calloc((size_t)n + 1, sizeof *paths)) != NULL)
		error = 0;
	for (int i = 0; i < n; i++) {
		if (error == 0 && is_listed(names[i]->d_name, suffix) &&
		    asprintf(&paths[count++], "%s/%s", directory,
		    names[i]->d_name) == -1) {
			paths[count - 1] = NULL;
			error = ENOMEM;
		}
		free(names[i]);
	}
	free(names);
	if (error == 0)
		return paths;
	fd_list_free(paths);
	errno = error;
	return NULL;
}

void
fd_list_free(char **paths)
{
	for (char **p = paths; p != NULL && *p != NULL; p++)
		free(*p);
	free(paths);
}
