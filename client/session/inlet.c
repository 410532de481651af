/*
 * inlet.c - our standard input, and how much of it the command takes.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/pollset.h"
#include "common/wire/frame.h"
#include "common/endpoint/conn.h"

#include "client/session/progress.h"
#include "client/session/session.h"
#include "client/session/inlet.h"

/* Whether a job in the background has come to the front of its terminal is
 * asked so often, in ms: nothing tells it. */
#define ASK_FRONT	250

void
inlet_open(struct inlet *i, struct progress *progress)
{
	i->progress = progress;
	stream_open(&i->stream, STDIN_FILENO, false);
	i->terminal = isatty(STDIN_FILENO) == 1;
	/* It goes into one frame, should it be sent again. */
	buf_init(&i->early, PROTO_PAYLOAD_MAX);
}

void
inlet_close(struct inlet *i)
{
	stream_close(&i->stream);
	buf_free(&i->early);
}

void
inlet_again(struct inlet *i, bool wanted)
{
	i->again = wanted;
	i->credit.left = wanted ? PROTO_STDIN_FIRST : 0;
}

void
inlet_begin(struct inlet *i, bool wanted)
{
	inlet_again(i, wanted);
	i->again = false;
	i->reading = wanted;
	i->bytes = 0;
	buf_free(&i->early);
}

/*
 * May standard input go along with the request, without word of a start?  What
 * is typed may be meant for what comes after a command that is refused.
 */
static bool
inlet_is_early(const struct inlet *i, const struct session *s)
{
	return session_is_awaited(s) && !s->shaking && !i->terminal &&
	    !i->again && buf_used(&s->body) == 0 && buf_room(&i->early) > 0 &&
	    (s->state & (SESSION_GREETING | SESSION_ASKED)) != 0;
}

/* Can the command take some of it now? */
static bool
inlet_is_wanted(const struct inlet *i, const struct session *s)
{
	return i->reading && i->credit.left > 0 &&
	    (s->state == SESSION_RUNNING || inlet_is_early(i, s)) &&
	    conn_data_room(s->end.conn) > 0;
}

/* May we read it?  A job in the background that reads its terminal is stopped,
 * and its command would stand still with it. */
static bool
inlet_is_ours(const struct inlet *i)
{
	pid_t front = i->terminal ? tcgetpgrp(STDIN_FILENO) : -1;

	return front == -1 || front == getpgrp();
}

void
inlet_poll(struct inlet *i, const struct session *s, struct pollset *ps)
{
	bool wanted = inlet_is_wanted(i, s), ours = wanted && inlet_is_ours(i);

	i->slot = pollset_add(ps, ours ? i->stream.fd : -1, POLLIN);
	if (wanted && !ours)
		pollset_deadline(ps, clock_in(ASK_FRONT));
}

static void
inlet_end(struct inlet *i, struct session *s)
{
	i->reading = session_put(s, PROTO_STDIN_EOF, NULL, 0) == -1;
}

/*
 * It cannot be read, for errno.  Its end is not to be taken for the end of what
 * it was to give: the command is ended, and not finished.
 */
static void
inlet_failed(struct inlet *i, struct session *s)
{
	if (stream_input_is_lost()) {
		session_fail(s, OUTCOME_INPUT, "cannot read standard input: %s",
		    strerror(errno));
		return;
	}
	progress_make_way(i->progress, STDERR_FILENO, NULL, 0);
	outcome_say("cannot read standard input: %s; it ends here",
	    strerror(errno));
	inlet_end(i, s);
}

/* Read once, into a frame.  As stream_read(). */
static enum io
inlet_read(struct inlet *i, struct session *s)
{
	struct buf *out = conn_out(s->end.conn);
	size_t room = conn_data_room(s->end.conn), n;
	bool early = s->state != SESSION_RUNNING;
	enum io io;
	uint8_t *p;

	if (room > i->credit.left)
		room = i->credit.left;
	if (early && room > buf_room(&i->early))
		room = buf_room(&i->early);
	if ((p = frame_reserve(out, room)) == NULL)
		return IO_WAIT;
	io = stream_read(&i->stream, p, room, &n);
	if (io != IO_OK)
		return io;
	if (early && buf_put(&i->early, p, n) == -1) {
		session_fail(s, OUTCOME_RESOURCES, "out of memory");
		return IO_WAIT;
	}
	frame_commit(out, PROTO_STDIN, s->end.request, n);
	credit_spend(&i->credit, n);
	i->bytes += n;
	return IO_OK;
}

void
inlet_dispatch(struct inlet *i, struct session *s, const struct pollset *ps)
{
	enum io io = IO_OK;

	if (s->end.over || pollset_events(ps, i->slot) == 0)
		return;
	while (io == IO_OK && inlet_is_wanted(i, s) && inlet_is_ours(i))
		io = inlet_read(i, s);
	if (io == IO_ERROR)
		inlet_failed(i, s);
	else if (io == IO_EOF)
		inlet_end(i, s);
}

void
inlet_put_early(struct inlet *i, struct session *s)
{
	size_t n = buf_used(&i->early);

	if (!i->again || buf_used(&s->body) > 0 ||
	    conn_data_room(s->end.conn) < n ||
	    (n > 0 && session_put(s, PROTO_STDIN, buf_data(&i->early),
	    n) == -1) ||
	    (!i->reading && session_put(s, PROTO_STDIN_EOF, NULL, 0) == -1))
		return;
	i->again = false;
	credit_spend(&i->credit, n);
}
