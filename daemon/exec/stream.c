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
	memset(o, 0, sizeof *o);
	o->type = type;
	o->fd = fd;
	o->credit = credit;
	o->left = -1;
	o->slot = POLLSET_NONE;
}

int
output_grant(struct output *o, uint32_t credit)
{
	if (credit > PROTO_WINDOW_MAX - o->credit)
		return -1;
	o->credit += credit;
	return 0;
}

size_t
output_room(const struct output *o, size_t max)
{
	if (*o->fd == -1)
		return 0;
	if (max > o->credit)
		max = o->credit;
	if (o->left >= 0 && max > (uint64_t)o->left)
		max = (size_t)o->left;
	return max;
}

/* No more is left than there is. */
static void
lower_left(struct output *o)
{
	int there = output_pending(o);

	if (there < o->left)
		o->left = there;
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
	/* A process that was left behind may have read what was left. */
	if (n == -1 && errno == EAGAIN && o->left > 0)
		lower_left(o);
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
		o->credit -= (uint32_t)n;
		o->bytes += (uint64_t)n;
	}
	return (int)n;
}

int
output_pending(struct output *o)
{
	int n = 0;

	if (*o->fd != -1 && ioctl(*o->fd, FIONREAD, &n) == -1)
		o->error = errno;
	return n;
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
	buf_init(&in->queue, STREAM_INPUT_WINDOW);
}

void
input_begin(struct input *in, int *fd)
{
	struct buf queue = in->queue;

	memset(in, 0, sizeof *in);
	in->queue = queue;
	in->fd = fd;
	in->ended = true;
	in->slot = POLLSET_NONE;
}

void
input_offer(struct input *in)
{
	in->granted = PROTO_STDIN_FIRST;
	in->ended = false;
}

uint32_t
input_start(struct input *in)
{
	uint32_t credit = STREAM_INPUT_WINDOW - PROTO_STDIN_FIRST;

	if (*in->fd == -1 || in->ended)
		return 0;
	in->granted += credit;
	return credit;
}

const char *
input_take(struct input *in, const uint8_t *bytes, size_t n)
{
	if (n == 0)
		return "a frame of standard input is empty";
	if (in->ended)
		return "standard input went on after its end";
	if (n > in->granted)
		return "standard input overran its window";
	in->granted -= (uint32_t)n;
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
	in->consumed += (uint32_t)taken;
	in->bytes += taken;
	if (in->ended && buf_used(&in->queue) == 0)
		fd_close(in->fd);
}

uint32_t
input_regrant(struct input *in)
{
	uint32_t credit = in->consumed;

	if (in->ended || *in->fd == -1 || credit < STREAM_INPUT_WINDOW / 2)
		return 0;
	in->granted += credit;
	in->consumed = 0;
	return credit;
}

void
input_finish(struct input *in)
{
	fd_close(in->fd);
	buf_consume(&in->queue, buf_used(&in->queue));
}
