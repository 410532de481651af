/*
 * notify.h - tell the service manager, by sd_notify(3)'s protocol, without
 * waiting for it.
 * SPDX-License-Identifier: ISC
 *
 * The library's sd_notify() waits for ever if the manager does not read.  No
 * message must be lost: without READY=1 after a reload the daemon counts as
 * still reloading.  So what finds no room is sent later.
 */
#ifndef AIS_NOTIFY_H
#define AIS_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

#define NOTIFY_STATE_MAX	256
#define NOTIFY_STATUS_MAX	2048

struct notify {
	bool managed;		/* There is a service manager. */
	char owed[NOTIFY_STATE_MAX];	/* A state that has not been sent. */
	char status[NOTIFY_STATUS_MAX];	/* What it was told last, */
	char wanted[NOTIFY_STATUS_MAX];	/* and what it should be told. */
	int64_t watchdog;	/* Interval in milliseconds; 0: none. */
	int64_t watchdog_next;
	int64_t retry;		/* When what is owed is tried again. */
};

/* Look in the environment whether there is a service manager.  "watchdog" is
 * how often that wants to hear from us, in milliseconds, or 0. */
void notify_init(struct notify *n, int64_t watchdog);

/* Tell a state, as "READY=1".  It replaces one that has not been sent yet. */
void notify_state(struct notify *n, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Tell the status, if it is another one; without "STATUS=", and of less than
 * NOTIFY_STATUS_MAX bytes: the rest is cut. */
void notify_status(struct notify *n, const char *status);

/* In each round of the loop: send what is owed, and to the watchdog. */
void notify_dispatch(struct notify *n);

/* When notify_dispatch() has something to do. */
int64_t notify_deadline(const struct notify *n);

#endif
