/*
 * linger.h - connections that have their last frame, until the peer closes.
 * SPDX-License-Identifier: ISC
 *
 * A connection that is closed with bytes unread is reset, and the peer may lose
 * what it was sent last.  So what still comes is read and dropped for a while.
 */
#ifndef AIS_LINGER_H
#define AIS_LINGER_H

#include <stdbool.h>
#include <stddef.h>

struct lingers;
struct pollset;

/* Room for "capacity" connections; NULL if memory is out. */
struct lingers *linger_new(size_t capacity);

/* Closes all that are left. */
void linger_free(struct lingers *l);

/* Close "fd" once its peer has closed, or takes nothing more; -1: do nothing.
 * Without room for one more, the oldest is closed at once. */
void linger_add(struct lingers *l, int fd);

/* From now on none is waited for longer than a second. */
void linger_stop(struct lingers *l);

/* Are all closed? */
bool linger_is_empty(const struct lingers *l);

/* Add all to the poll set; do what it has brought. */
void linger_poll(struct lingers *l, struct pollset *ps);
void linger_dispatch(struct lingers *l, const struct pollset *ps);

#endif
