/* The poll set of one step and its nearest deadline.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/pollset.h"

/* Where the kernel lacks memory to wait, in nanoseconds. */
#define PAUSE	50000000

int
pollset_init(struct pollset *ps, size_t capacity)
{
	ps->count = 0;
	ps->capacity = capacity;
	ps->deadline = CLOCK_NEVER;
	ps->starved = false;
	ps->fds = calloc(capacity, sizeof *ps->fds);
	return ps->fds == NULL ? -1 : 0;
}

void
pollset_free(struct pollset *ps)
{
	free(ps->fds);
	ps->fds = NULL;
	ps->capacity = 0;
}

void
pollset_clear(struct pollset *ps)
{
	ps->count = 0;
	ps->deadline = CLOCK_NEVER;
}

size_t
pollset_add(struct pollset *ps, int fd, short events)
{
	if (fd == -1)
		return POLLSET_NONE;
	assert(ps->count < ps->capacity);
	ps->fds[ps->count].fd = fd;
	ps->fds[ps->count].events = events;
	ps->fds[ps->count].revents = 0;
	return ps->count++;
}

void
pollset_deadline(struct pollset *ps, int64_t deadline)
{
	if (deadline < ps->deadline)
		ps->deadline = deadline;
}

int
pollset_wait(struct pollset *ps, const sigset_t *mask)
{
	int left = clock_left(ps->deadline);
	const struct timespec pause = { .tv_nsec = PAUSE }, none = { 0 };
	struct timespec ts;
	int n;

	ts.tv_sec = left / 1000;
	ts.tv_nsec = (long)(left % 1000) * 1000000;
	n = ppoll(ps->fds, ps->count, left == -1 ? NULL : &ts, mask);
	if (n != -1)
		ps->starved = false;
	if (n == -1 && errno == ENOMEM) {
		if (!ps->starved)
			log_errno("cannot wait for events; trying again until "
			    "it works");
		ps->starved = true;
		/* For a moment: as if nothing had happened, a little later. */
		(void)ppoll(NULL, 0, &pause, mask);
		n = 0;
	}
	/* Where a descriptor is ready at once, the kernel lets no signal in:
	 * one that is always ready would keep them out for ever. */
	if (n > 0 && mask != NULL)
		(void)ppoll(NULL, 0, &none, mask);
	if (n == -1 && (errno == EINTR || errno == EAGAIN))
		n = 0;
	if (n <= 0) {
		/* After an error poll(2) leaves the events undefined. */
		for (size_t i = 0; i < ps->count; i++)
			ps->fds[i].revents = 0;
	}
	return n;
}

short
pollset_events(const struct pollset *ps, size_t slot)
{
	return slot == POLLSET_NONE ? 0 : ps->fds[slot].revents;
}
