/* The streams of a command: pipes, frames, credit.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/wire/frame.h"
#include "common/base/pollset.h"
#include "daemon/exec/stream.h"

void
output_begin(struct output *o, enum proto_type type, int *fd, uint32_t credit)
{
	*o = (struct output){ .type = type, .fd = fd, .credit.left = credit,
	    .left = -1, .slot = POLLSET_NONE };
}

size_t
output_room(const struct output *o, size_t max)
{
	if (*o->fd == -1)
		return 0;
	if (max > o->credit.left)
		max = o->credit.left;
	if (o->left >= 0 && max > (uint64_t)o->left)
		max = (size_t)o->left;
	return max;
}

int
output_pending(struct output *o)
{
	int n = 0;

	if (*o->fd != -1 && ioctl(*o->fd, FIONREAD, &n) == -1)
		o->error = errno;
	return n;
}

int
output_read(struct output *o, struct buf *out, uint32_t request, size_t room)
{
	static uint8_t nowhere[PROTO_PAYLOAD_MAX];
	uint8_t *p = nowhere;
	ssize_t n;

	if (room > sizeof nowhere)
		room = sizeof nowhere;
	if (o->left >= 0 && room > (uint64_t)o->left)
		room = (size_t)o->left;
	if (*o->fd == -1 || room == 0)
		return 0;
	if (out != NULL && (p = frame_reserve(out, room)) == NULL)
		return -1;
	n = read(*o->fd, p, room);
	/* A process that was left behind may have read what was left: ask. */
	if (n == -1 && errno == EAGAIN && o->left > 0)
		o->left = output_pending(o);
	else if (n == -1 && errno != EAGAIN && errno != EINTR)
		o->error = errno;
	if (n == 0 || o->error != 0)
		fd_close(o->fd);
	if (n <= 0)
		return 0;
	if (o->left > 0)
		o->left -= n;
	if (out != NULL) {
		frame_commit(out, o->type, request, (size_t)n);
		credit_spend(&o->credit, (size_t)n);
		o->bytes += (uint64_t)n;
	}
	return (int)n;
}

void
output_finish(struct output *o)
{
	o->left = output_pending(o);
}

bool
output_is_done(const struct output *o)
{
	return *o->fd == -1 || o->left == 0;
}

int
outputs_open(void)
{
	return epoll_create1(EPOLL_CLOEXEC);
}

void
outputs_watch(int epoll, int out, int err)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLET };

	/* Closing a pipe takes it out again. */
	(void)epoll_ctl(epoll, EPOLL_CTL_ADD, out, &e);
	e.data.u32 = 1;
	(void)epoll_ctl(epoll, EPOLL_CTL_ADD, err, &e);
}

size_t
outputs_first(int epoll)
{
	struct epoll_event e[2];
	int n = epoll_wait(epoll, e, 2, 0);

	/* If the other one has bytes as well, they were there before. */
	if (n == 1)
		return 1 - e[0].data.u32;
	return n == 2 ? e[0].data.u32 : 0;
}

void
input_init(struct input *in)
{
	memset(in, 0, sizeof *in);
	buf_init(&in->queue, STREAM_INPUT_MOST);
}

void
input_begin(struct input *in, int *fd)
{
	*in = (struct input){ .queue = in->queue, .fd = fd, .ended = true,
	    .slot = POLLSET_NONE };
}

void
input_offer(struct input *in)
{
	in->window = (struct window){ .left = PROTO_STDIN_FIRST,
	    .size = STREAM_INPUT_WINDOW, .most = STREAM_INPUT_MOST };
	in->ended = false;
}

uint32_t
input_start(struct input *in)
{
	uint32_t credit = STREAM_INPUT_WINDOW - PROTO_STDIN_FIRST;

	if (*in->fd == -1 || in->ended)
		return 0;
	in->window.left += credit;
	return credit;
}

const char *
input_take(struct input *in, const uint8_t *bytes, size_t n)
{
	const char *wrong = in->ended ? "standard input went on after its end" :
	    window_take(&in->window, n);

	if (wrong != NULL)
		return wrong;
	/* A command may close its standard input early; that is no fault of
	 * the peer, which gets no more credit then. */
	if (*in->fd != -1 && buf_put(&in->queue, bytes, n) == -1)
		return "the server is out of memory";
	return NULL;
}

void
input_end(struct input *in)
{
	in->ended = true;
}

void
input_write(struct input *in)
{
	size_t before = buf_used(&in->queue), taken;

	if (*in->fd == -1)
		return;
	if (fd_drain(*in->fd, &in->queue) == IO_ERROR) {
		/* A command need not read all that it is given. */
		if (errno != EPIPE)
			in->error = errno;
		input_finish(in);
		return;
	}
	taken = before - buf_used(&in->queue);
	window_settle(&in->window, taken);
	in->bytes += taken;
	if (in->ended && buf_used(&in->queue) == 0)
		fd_close(in->fd);
}

int
input_renew(struct input *in, int fd, struct buf *out, uint32_t request)
{
	if (in->ended || *in->fd == -1)
		return 0;
	return window_renew(&in->window, fd, out, request, PROTO_STREAM_STDIN);
}

void
input_finish(struct input *in)
{
	fd_close(in->fd);
	input_drop(in);
}

void
input_drop(struct input *in)
{
	if (in->queue.size > STREAM_INPUT_WINDOW)
		buf_free(&in->queue);
	buf_consume(&in->queue, buf_used(&in->queue));
}
