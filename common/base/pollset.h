/*
 * pollset.h - the poll set of one step and its nearest deadline.
 *
 * The set is rebuilt from the state of things at each step of a loop: clear,
 * add what each part is interested in, wait, ask what happened.  It has a
 * fixed capacity, so adding cannot fail.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_POLLSET_H
#define AIS_POLLSET_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pollset {
	struct pollfd *fds;
	size_t count;
	size_t capacity;
	int64_t deadline;	/* The nearest; a clock.h deadline. */
	bool starved;		/* The last wait failed, which was said. */
};

/* The slot of a descriptor that was not added in this step. */
#define POLLSET_NONE	((size_t)-1)

/* Make room for "capacity" descriptors.  0, or -1 if memory is out. */
int pollset_init(struct pollset *ps, size_t capacity);
void pollset_free(struct pollset *ps);

/* Begin a new step. */
void pollset_clear(struct pollset *ps);

/*
 * Wait for "events" (poll(2)) of "fd" and return the slot to ask about later.
 * "fd" -1 is not added: POLLSET_NONE.  No more than "capacity" may be added.
 */
size_t pollset_add(struct pollset *ps, int fd, short events);

/* Wake up at "deadline" at the latest. */
void pollset_deadline(struct pollset *ps, int64_t deadline);

/*
 * Wait in one ppoll(2) with "mask" as the signal mask (NULL: unchanged).
 * Returns the number of descriptors with events, 0 after a deadline or a
 * signal, or if memory is out in the kernel, which is said once; or -1 with
 * errno set.
 */
int pollset_wait(struct pollset *ps, const sigset_t *mask);

/* What happened at "slot"; 0 for POLLSET_NONE. */
short pollset_events(const struct pollset *ps, size_t slot);

#endif
