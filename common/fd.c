#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/fd.h"

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

/* Read "fd" to its end, "max" bytes at most; NULL with errno set. */
static char *
read_all(int fd, size_t max, size_t *size)
{
	char *data = malloc(max + 1);
	size_t used = 0;
	ssize_t n;

	if (data == NULL)
		return NULL;
	for (;;) {
		n = read(fd, data + used, max + 1 - used);
		if (n == 0)
			break;
		if (n == -1 && errno == EINTR)
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

char *
fd_read_file(const char *path, size_t max, size_t *size)
{
	char *data = NULL;
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd == -1)
		return NULL;
	if (fstat(fd, &st) == -1)
		goto out;
	if (!S_ISREG(st.st_mode)) {
		errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
		goto out;
	}
	if ((uintmax_t)st.st_size > max) {
		errno = EFBIG;
		goto out;
	}
	data = read_all(fd, (size_t)st.st_size + 1 < max ?
	    (size_t)st.st_size + 1 : max, size);
out:
	fd_close(&fd);
	return data;
}
