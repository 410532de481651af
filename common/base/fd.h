/*
 * fd.h - descriptors: close-on-exec, non-blocking, to and from a buf.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_FD_H
#define AIS_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

/* The answer of everything that moves bytes without blocking. */
enum io {
	IO_OK,		/* Some bytes were moved. */
	IO_WAIT,	/* None could be; wait for the descriptor. */
	IO_EOF,		/* The other end has finished, in order. */
	IO_ERROR	/* Broken; errno, or the module, knows why. */
};

/* Close "*fd" unless it is -1, and set it to -1.  errno is kept. */
void fd_close(int *fd);

/* Close both ends of a pipe, as fd_close(). */
void fd_close_pair(int pair[2]);

/* Switch blocking on or off.  0, or -1 with errno set. */
int fd_set_blocking(int fd, bool blocking);

/*
 * A pipe, close-on-exec.  "ours" (0 or 1) is the end that is made
 * non-blocking; -1 leaves both blocking.  0, or -1 with errno set and both
 * ends -1.
 */
int fd_pipe(int pair[2], int ours);

/*
 * Read once, at most "max" bytes, to the end of "b".  IO_WAIT also where "b"
 * is full; ENOMEM gives IO_ERROR.
 */
enum io fd_fill(int fd, struct buf *b, size_t max);

/* Write once from the front of "b".  IO_OK also where "b" is empty. */
enum io fd_drain(int fd, struct buf *b);

/*
 * Open a regular file of at most "max" bytes for reading.  What is not one, a
 * pipe or a device, is not waited for.  -1 with errno set: EFBIG if it is
 * larger, EISDIR if it is a directory, EINVAL if it is something else.
 */
int fd_open_file(const char *path, size_t max);

/* Wait until "fd" can be written to, or has an error to tell, until "deadline"
 * of common/clock.  Whether it came to that. */
bool fd_wait_writable(int fd, int64_t deadline);

/*
 * Read all of a regular file of at most "max" bytes.  The caller frees the
 * result, which is NUL terminated beyond "*size".  NULL with errno set, as
 * fd_open_file() sets it.
 */
char *fd_read_file(const char *path, size_t max, size_t *size);

/*
 * The same of a pipe, whose writer has "wait" milliseconds to open it, to
 * write and to close it.  NULL with errno set: ETIMEDOUT after that, EINVAL if
 * it is no pipe, EFBIG if more than "max" bytes come.  This waits: it is not
 * for a loop.
 */
char *fd_read_pipe(const char *path, size_t max, int64_t wait, size_t *size);

/*
 * The paths of what is in "directory" with a name that ends in "suffix" and
 * does not begin with ".", in the order of their bytes, and NULL after them.
 * NULL with errno set.
 */
char **fd_list(const char *directory, const char *suffix);
void fd_list_free(char **paths);

#endif
