/*
 * lines.c - lines from standard input or a file, the session kept alive.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/fd.h"

#include "client/core/outcome.h"
#include "client/core/memory.h"
#include "client/core/signals.h"
#include "client/core/stream.h"
#include "client/session/request.h"

#include "client/prompt/lines.h"

struct lines {
	struct request *request;
	const char *file;	/* NULL: standard input. */
	int fd;
	struct buf buf;
	size_t taken;		/* By the line that was read last, */
	size_t passed;		/* and by those which were looked at. */
	bool eof;
};

struct lines *
lines_open(struct request *r, const char *file)
{
	int fd = file == NULL ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);
	struct lines *l;

	if (fd == -1)
		return NULL;
	l = memory_get(sizeof *l);
	l->request = r;
	l->file = file;
	l->fd = fd;
	/* Room for the newline, or for the NUL in its place. */
	buf_init(&l->buf, LINES_MAX + 1);
	return l;
}

void
lines_close(struct lines *l)
{
	if (l == NULL)
		return;
	buf_free(&l->buf);
	if (l->file != NULL)
		(void)close(l->fd);
	free(l);
}

/* Turn the first "n" bytes, which one more follows, into a line. */
static int
lines_give(struct lines *l, size_t n, const char **line, struct outcome *o)
{
	/* The buffer is ours, and its front is not read again. */
	char *text = (char *)l->buf.data + l->buf.start;

	l->taken = n + 1;
	text[n] = '\0';
	*line = text;
	if (strlen(text) == n)
		return 1;
	outcome_fail(o, OUTCOME_INVALID, "a line holds a NUL byte");
	return -1;
}

/* The input cannot be read, for errno.  A line of which a part is there may
 * mean something else than all of it. */
static int
lines_lose(struct lines *l, struct outcome *o)
{
	outcome_fail(o, OUTCOME_INPUT, "cannot read %s: %s",
	    l->file == NULL ? "standard input" : l->file, strerror(errno));
	l->taken = buf_used(&l->buf);
	l->eof = true;
	return -1;
}

/* Read more.  1: go on; 0: the end; -1: see lines_read(). */
static int
lines_fill(struct lines *l, struct outcome *o)
{
	int n = request_wait(l->request, l->fd, o), signo;
	enum io io;

	if (n == 0) {
		if ((signo = signals_take_end()) == 0)
			return 1;
		outcome_signal(o, signo);
		return 0;
	}
	if (n == -1)
		return -1;
	io = fd_fill(l->fd, &l->buf, 65536);
	if (io == IO_ERROR && (l->file != NULL || stream_input_is_lost()))
		return lines_lose(l, o);
	l->eof = io == IO_ERROR || io == IO_EOF;
	return 1;
}

int
lines_read(struct lines *l, const char **line, struct outcome *o)
{
	const uint8_t *end;
	size_t used;
	int n;

	memset(o, 0, sizeof *o);
	buf_consume(&l->buf, l->taken);
	l->passed -= l->taken < l->passed ? l->taken : l->passed;
	l->taken = 0;
	for (;;) {
		used = buf_used(&l->buf);
		end = used == 0 ? NULL : memchr(buf_data(&l->buf), '\n', used);
		if (end != NULL)
			return lines_give(l, (size_t)(end - buf_data(&l->buf)),
			    line, o);
		if (l->eof && used == 0)
			return 0;
		if (l->eof && buf_put_u8(&l->buf, '\n') == 0)
			continue;
		if (buf_room(&l->buf) == 0) {
			l->taken = used;
			outcome_fail(o, OUTCOME_INVALID, "a line is longer "
			    "than %d bytes", LINES_MAX);
			return -1;
		}
		if ((n = lines_fill(l, o)) != 1)
			return n;
	}
}

/* Where the next line to be looked at begins, and how long it is with its
 * newline; 0: it is not there. */
static size_t
lines_ahead(const struct lines *l, const uint8_t **line)
{
	size_t start = l->taken > l->passed ? l->taken : l->passed;
	const uint8_t *end;

	if (buf_used(&l->buf) <= start)
		return 0;
	*line = buf_data(&l->buf) + start;
	end = memchr(*line, '\n', buf_used(&l->buf) - start);
	return end == NULL ? 0 : (size_t)(end - *line) + 1;
}

char *
lines_look_ahead(const struct lines *l)
{
	const uint8_t *line = NULL;
	size_t n = lines_ahead(l, &line);
	char *copy;

	if (n == 0 || memchr(line, '\0', n) != NULL)
		return NULL;
	copy = memory_get(n);
	memcpy(copy, line, n - 1);
	return copy;
}

void
lines_pass(struct lines *l)
{
	const uint8_t *line;
	size_t n = lines_ahead(l, &line);

	l->passed = (l->taken > l->passed ? l->taken : l->passed) + n;
}
