/*
 * printer.c - a descriptor of ours as a FILE that is written whole.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "client/core/outcome.h"
#include "client/core/memory.h"
#include "client/core/signals.h"

#include "client/core/printer.h"

/* Wait until it takes more.  0, or -1 if a signal ends us. */
static int
printer_wait(struct printer *p)
{
	struct pollfd reader = { .fd = p->stream.fd, .events = POLLOUT };

	if (ppoll(&reader, 1, NULL, signals_mask()) == -1 && errno != EINTR)
		return -1;
	p->signo = signals_take_end();
	errno = EINTR;
	return p->signo == 0 ? 0 : -1;
}

/* The function by which "out" is written. */
static ssize_t
printer_write(void *cookie, const char *bytes, size_t n)
{
	struct printer *p = cookie;
	size_t at = 0, done;
	enum io io;

	while (at < n && p->signo == 0) {
		io = stream_write(&p->stream, bytes + at, n - at, &done);
		at += done;
		if (io == IO_ERROR || (io == IO_WAIT &&
		    printer_wait(p) == -1)) {
			p->error = errno;
			break;
		}
	}
	/* fopencookie(3): 0 is an error, and nothing is below it. */
	return at == n ? (ssize_t)n : 0;
}

void
printer_open(struct printer *p, int fd)
{
	const cookie_io_functions_t functions = { .write = printer_write };

	p->fd = fd;
	p->signo = 0;
	p->error = 0;
	stream_open(&p->stream, fd, true);
	if ((p->out = fopencookie(p, "w", functions)) == NULL)
		memory_out();
}

void
printer_finish(struct printer *p, struct outcome *o)
{
	if ((fflush(p->out) == 0 && ferror(p->out) == 0) ||
	    o->class != OUTCOME_DONE)
		return;
	if (p->signo != 0)
		outcome_signal(o, p->signo);
	else if (p->fd != STDOUT_FILENO)
		outcome_fail(o, OUTCOME_OUTPUT, "cannot write to descriptor "
		    "%d: %s", p->fd, strerror(p->error));
	else
		outcome_unwritten(o, p->error);
}

void
printer_close(struct printer *p, struct outcome *o)
{
	printer_finish(p, o);
	(void)fclose(p->out);
	stream_close(&p->stream);
}
