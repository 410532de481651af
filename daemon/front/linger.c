/*
 * linger.c - connections that have their last frame, until the peer closes.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/net.h"
#include "common/base/pollset.h"
#include "daemon/front/linger.h"

/* A peer that has all it was sent has so many milliseconds to close; one that
 * takes nothing for so long is closed without that. */
#define LINGER_TIMEOUT	1000
#define LINGER_STALLED	5000
/* What a peer may still send, in a round. */
#define DISCARD_SIZE	4096

struct lingering {
	int fd;
	size_t slot;
	int64_t deadline;
	uint64_t acked;		/* What the peer has taken, */
	int64_t taken;		/* and when it last took something. */
};

struct lingers {
	struct lingering *all;	/* The oldest first. */
	size_t count;
	size_t capacity;
	bool stopping;
};

struct lingers *
linger_new(size_t capacity)
{
	struct lingers *l = calloc(1, sizeof *l);

	if (l == NULL)
		return NULL;
	l->capacity = capacity;
	if ((l->all = calloc(capacity, sizeof *l->all)) == NULL) {
		free(l);
		return NULL;
	}
	return l;
}

void
linger_free(struct lingers *l)
{
	if (l == NULL)
		return;
	for (size_t i = 0; i < l->count; i++)
		fd_close(&l->all[i].fd);
	free(l->all);
	free(l);
}

static void
linger_remove(struct lingers *l, size_t at)
{
	fd_close(&l->all[at].fd);
	l->count--;
	memmove(&l->all[at], &l->all[at + 1],
	    (l->count - at) * sizeof *l->all);
}

void
linger_add(struct lingers *l, int fd)
{
	if (fd == -1)
		return;
	if (l->count == l->capacity)
		linger_remove(l, 0);
	l->all[l->count++] = (struct lingering){
		.fd = fd, .slot = POLLSET_NONE,
		.deadline = clock_in(LINGER_TIMEOUT), .taken = clock_now()
	};
}

void
linger_stop(struct lingers *l)
{
	l->stopping = true;
}

bool
linger_is_empty(const struct lingers *l)
{
	return l->count == 0;
}

void
linger_poll(struct lingers *l, struct pollset *ps)
{
	for (size_t i = 0; i < l->count; i++) {
		l->all[i].slot = pollset_add(ps, l->all[i].fd, POLLIN);
		pollset_deadline(ps, l->all[i].deadline);
	}
}

/* Has its time passed?  A peer that still takes what it was sent has more. */
static bool
linger_is_over(const struct lingers *l, struct lingering *p)
{
	struct net_carried c;

	if (!clock_past(p->deadline))
		return false;
	net_carried(p->fd, &c);
	if (c.acked != p->acked)
		p->taken = clock_now();
	p->acked = c.acked;
	p->deadline = clock_in(LINGER_TIMEOUT);
	return l->stopping || clock_past(p->taken + (c.unacked > 0 ?
	    LINGER_STALLED : LINGER_TIMEOUT));
}

/* Read and drop what has come.  Has the peer closed? */
static bool
linger_has_closed(const struct lingering *p, const struct pollset *ps)
{
	char dropped[DISCARD_SIZE];
	ssize_t n;

	if (pollset_events(ps, p->slot) == 0)
		return false;
	n = read(p->fd, dropped, sizeof dropped);
	return n == 0 || (n == -1 && errno != EAGAIN && errno != EINTR);
}

void
linger_dispatch(struct lingers *l, const struct pollset *ps)
{
	for (size_t i = 0; i < l->count;) {
		if (linger_has_closed(&l->all[i], ps) ||
		    linger_is_over(l, &l->all[i]))
			linger_remove(l, i);
		else
			i++;
	}
}
