/*
 * retry.h - what has failed and is tried again: whether that is of use, and
 * after which pauses.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_RETRY_H
#define AIS_RETRY_H

#include <stdbool.h>
#include <stdint.h>

/* The first pause and the longest one, in milliseconds; each is twice the one
 * before. */
#define RETRY_FIRST	1000
#define RETRY_LONGEST	60000

/*
 * May a system call that has failed with "error", an errno, succeed later
 * although what it was asked for stays the same?  Memory, descriptors and
 * disks come back, and what is not there may be mounted or written yet; a
 * right that is denied and a name that cannot be one stay as they are.
 */
bool retry_may_help(int error);

/* Pauses between tries. */
struct retry {
	int64_t pause;		/* The last one, in milliseconds; 0: none. */
	int64_t next;		/* The deadline of the next try, by clock.h. */
};

/* No try is due, ever. */
void retry_stop(struct retry *r);

/* A try has failed: the next one is due after a longer pause, or after the
 * first one if retry_stop() came before. */
void retry_later(struct retry *r);

#endif
