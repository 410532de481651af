/*
 * conn.c - one TLS connection with its queue of frames in each direction.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "common/base/clock.h"
#include "common/wire/frame.h"
#include "common/base/pollset.h"
#include "common/endpoint/conn.h"
#include "common/tls/tls.h"

struct conn {
	int fd;
	struct tls *tls;
	struct buf in;
	struct buf out;
	size_t slot;		/* In the poll set of this step. */
	bool eof;		/* The peer has sent close_notify. */
	size_t held;		/* Bytes of "out" that wait for more, */
	int64_t held_until;	/* and until when. */
	uint64_t sent;		/* See conn_sent(). */
};

struct conn *
conn_open(struct tls_context *context, int fd, const char *name)
{
	struct conn *c = calloc(1, sizeof *c);

	if (c != NULL && (c->tls = tls_open(context, fd, name)) != NULL) {
		c->fd = fd;
		c->slot = POLLSET_NONE;
		buf_init(&c->in, CONN_QUEUE);
		buf_init(&c->out, CONN_QUEUE);
		return c;
	}
	free(c);
	fd_close(&fd);
	return NULL;
}

int
conn_linger(struct conn *c)
{
	int fd;

	if (c == NULL)
		return -1;
	fd = c->fd;
	c->held = 0;
	(void)conn_write(c);
	tls_shutdown(c->tls);
	tls_free(c->tls);
	buf_free(&c->in);
	buf_free(&c->out);
	free(c);
	(void)shutdown(fd, SHUT_WR);
	return fd;
}

void
conn_close(struct conn *c)
{
	int fd = conn_linger(c);

	fd_close(&fd);
}

struct buf *
conn_out(struct conn *c)
{
	return &c->out;
}

struct tls *
conn_tls(const struct conn *c)
{
	return c->tls;
}

int
conn_fd(const struct conn *c)
{
	return c->fd;
}

enum io
conn_handshake(struct conn *c)
{
	return tls_handshake(c->tls);
}

static bool
conn_is_held(const struct conn *c)
{
	return c->held > 0 && c->held == buf_used(&c->out) &&
	    !clock_past(c->held_until);
}

/* Is there room for tls_fill(), and anything more to come? */
static bool
conn_can_fill(const struct conn *c)
{
	return buf_room(&c->in) > 0 && !c->eof;
}

void
conn_poll(struct conn *c, struct pollset *ps, bool reading)
{
	if (c == NULL)
		return;
	reading = reading && conn_can_fill(c);
	c->slot = pollset_add(ps, c->fd, tls_events(c->tls, reading,
	    conn_has_output(c)));
	if (reading && tls_pending(c->tls))
		pollset_deadline(ps, clock_now());
	if (conn_is_held(c))
		pollset_deadline(ps, c->held_until);
}

short
conn_events(const struct conn *c, const struct pollset *ps)
{
	return pollset_events(ps, c->slot);
}

bool
conn_ready(const struct conn *c, const struct pollset *ps)
{
	return c != NULL && (conn_events(c, ps) != 0 ||
	    (conn_can_fill(c) && tls_pending(c->tls)));
}

enum io
conn_read(struct conn *c)
{
	enum io io;

	if (!conn_can_fill(c))
		return IO_WAIT;
	io = tls_fill(c->tls, &c->in);
	if (io == IO_EOF)
		c->eof = true;
	return io;
}

enum io
conn_write(struct conn *c)
{
	size_t before = buf_used(&c->out);
	enum io io;

	if (!conn_has_output(c))
		return IO_WAIT;
	c->held = 0;
	io = tls_drain(c->tls, &c->out);
	c->sent += before - buf_used(&c->out);
	return io;
}

uint64_t
conn_sent(const struct conn *c)
{
	return c->sent;
}

void
conn_stretch(struct conn *c, size_t most)
{
	size_t used = buf_used(&c->in);

	c->in.limit = most > CONN_QUEUE ? most : CONN_QUEUE;
	if (c->in.limit < used)
		c->in.limit = used;
}

bool
conn_is_full(const struct conn *c)
{
	return buf_room(&c->in) == 0;
}

int
conn_peek(const struct conn *c, struct frame *f)
{
	return frame_peek(&c->in, f);
}

int
conn_peek_at(const struct conn *c, size_t skip, struct frame *f)
{
	return frame_peek_at(&c->in, skip, f);
}

void
conn_done(struct conn *c, const struct frame *f)
{
	frame_consume(&c->in, f);
}

size_t
conn_data_room(const struct conn *c)
{
	size_t used = buf_used(&c->out), room;

	if (used >= CONN_DATA_MAX)
		return 0;
	room = CONN_DATA_MAX - used;
	if (room <= PROTO_HEADER)
		return 0;
	room -= PROTO_HEADER;
	return room < PROTO_PAYLOAD_MAX ? room : PROTO_PAYLOAD_MAX;
}

void
conn_hold(struct conn *c, int64_t deadline)
{
	c->held = buf_used(&c->out);
	c->held_until = deadline;
}

bool
conn_has_output(const struct conn *c)
{
	return (buf_used(&c->out) > 0 && !conn_is_held(c)) ||
	    tls_has_output(c->tls);
}
