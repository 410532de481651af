/*
 * stream.h - our own standard streams, read and written without blocking.
 * SPDX-License-Identifier: ISC
 *
 * Descriptors 0 to 2 are inherited, and so are their open files: to
 * set O_NONBLOCK there would set it for the shell, the pager and every other
 * program that has the same pipe or terminal.  So it is left as it is, and
 * each kind of file gets what serves it:
 *
 * - a socket is used with MSG_DONTWAIT;
 * - a pipe or a terminal is opened again through /proc/self/fd, which gives
 *   an open file of our own that can be non-blocking;
 * - where that is not possible, poll(2) is asked before each go, and no more
 *   than PIPE_BUF is written, for which a writable pipe has room;
 * - a regular file is used as it is, since it is never long in coming and its
 *   offset belongs to all that share it.
 */
#ifndef AIS_STREAM_H
#define AIS_STREAM_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/fd.h"

enum stream_kind {
	STREAM_FRESH,		/* Its kind is not known yet. */
	STREAM_PLAIN,		/* read(2) and write(2) do. */
	STREAM_SOCKET,
	STREAM_CAREFUL		/* It may block: ask poll(2) first. */
};

struct stream {
	int fd;			/* To poll, and to use. */
	bool writing;
	bool owned;		/* It is opened again, and ours to close. */
	enum stream_kind kind;
};

/* Use "fd" for writing or for reading.  Nothing is done to it before the
 * first byte moves. */
void stream_open(struct stream *s, int fd, bool writing);
void stream_close(struct stream *s);

/*
 * Move up to "n" bytes without blocking; "*done" says how many.  IO_OK: some;
 * IO_WAIT: none, poll "fd"; IO_EOF: nothing more to read; IO_ERROR: errno.
 */
enum io stream_read(struct stream *s, void *bytes, size_t n, size_t *done);
enum io stream_write(struct stream *s, const void *bytes, size_t n,
    size_t *done);

/*
 * Is something lost when our standard input cannot be read, for errno?  Not
 * after nohup(1), which puts in its place what gives nothing, and not at the
 * terminal of a session that is over.  errno stays as it is.
 */
bool stream_input_is_lost(void);

/* Is our standard input /dev/null, so that there is nothing to send? */
bool stream_input_is_null(void);

/*
 * Open /dev/null on those of the descriptors 0 to 2 that are closed, so that
 * no socket of ours becomes a standard output.  0, or -1 with errno.
 */
int stream_fill_gaps(void);

/* Close every descriptor above the standard ones. */
void stream_close_others(void);

#endif
