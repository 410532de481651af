/*
 * openfiles.h - how many descriptors the daemon may have, and its commands.
 *
 * The daemon takes as many as its configuration can need, up to the hard
 * limit.  A command gets the soft limit that aisd was started with, because a
 * higher one breaks programs that use select(2).
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_OPENFILES_H
#define AIS_OPENFILES_H

#include <stddef.h>

/* Raise the soft limit of RLIMIT_NOFILE to "count" where it is lower.  0, or -1
 * after a message with that number, where the hard limit is lower or the limit
 * cannot be read or set. */
int openfiles_raise(size_t count);

/* In the child: the soft limit that was there before.  0, or -1 with errno
 * set. */
int openfiles_restore(void);

#endif
