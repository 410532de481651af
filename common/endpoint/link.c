#include <config.h>

#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/clock.h"
#include "common/wire/frame.h"
#include "common/endpoint/link.h"
#include "common/base/pollset.h"
#include "common/tls/tls.h"

int
link_open(struct link *l, struct tls_context *context, int fd,
    const char *name)
{
	memset(l, 0, sizeof *l);
	l->fd = fd;
	l->slot = POLLSET_NONE;
	buf_init(&l->in, LINK_QUEUE);
	buf_init(&l->out, LINK_QUEUE);
	if ((l->tls = tls_open(context, fd, name)) != NULL)
		return 0;
	fd_close(&l->fd);
	return -1;
}

int
link_linger(struct link *l)
{
	int fd = l->fd;

	if (l->tls == NULL)
		return -1;
	tls_shutdown(l->tls);
	tls_free(l->tls);
	l->tls = NULL;
	l->fd = -1;
	buf_free(&l->in);
	buf_free(&l->out);
	(void)shutdown(fd, SHUT_WR);
	return fd;
}

void
link_close(struct link *l)
{
	int fd = link_linger(l);

	fd_close(&fd);
}

bool
link_is_open(const struct link *l)
{
	return l->tls != NULL;
}

enum io
link_handshake(struct link *l)
{
	return tls_handshake(l->tls);
}

static bool
is_held(const struct link *l)
{
	return l->held > 0 && l->held == buf_used(&l->out) &&
	    !clock_past(l->held_until);
}

/* Does an empty place await the bytes that tls_fill() would bring? */
static bool
has_room(const struct link *l)
{
	return buf_room(&l->in) > 0 && !l->eof;
}

void
link_poll(struct link *l, struct pollset *ps, bool reading)
{
	reading = reading && has_room(l);
	l->slot = POLLSET_NONE;
	if (l->tls == NULL)
		return;
	l->slot = pollset_add(ps, l->fd, tls_events(l->tls, reading,
	    link_has_output(l)));
	if (reading && tls_pending(l->tls))
		pollset_deadline(ps, clock_now());
	if (is_held(l))
		pollset_deadline(ps, l->held_until);
}

bool
link_ready(const struct link *l, const struct pollset *ps)
{
	return l->tls != NULL && (pollset_events(ps, l->slot) != 0 ||
	    (has_room(l) && tls_pending(l->tls)));
}

enum io
link_read(struct link *l)
{
	enum io io;

	if (!has_room(l))
		return IO_WAIT;
	io = tls_fill(l->tls, &l->in);
	if (io == IO_EOF)
		l->eof = true;
	return io;
}

enum io
link_write(struct link *l)
{
	if (!link_has_output(l))
		return IO_WAIT;
	l->held = 0;
	return tls_drain(l->tls, &l->out);
}

int
link_peek(const struct link *l, struct frame *f)
{
	return frame_peek(&l->in, f);
}

void
link_done(struct link *l, const struct frame *f)
{
	frame_consume(&l->in, f);
}

size_t
link_data_room(const struct link *l)
{
	size_t used = buf_used(&l->out), room;

	if (used >= LINK_DATA_MAX)
		return 0;
	room = LINK_DATA_MAX - used;
	if (room <= PROTO_HEADER)
		return 0;
	room -= PROTO_HEADER;
	return room < PROTO_PAYLOAD_MAX ? room : PROTO_PAYLOAD_MAX;
}

void
link_hold(struct link *l, int64_t deadline)
{
	l->held = buf_used(&l->out);
	l->held_until = deadline;
}

bool
link_has_output(const struct link *l)
{
	return (buf_used(&l->out) > 0 && !is_held(l)) ||
	    (l->tls != NULL && tls_has_output(l->tls));
}
