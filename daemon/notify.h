/*
 * notify.h - what the service manager is told, by sd_notify(3)'s protocol, and
 * without waiting for it.
 *
 * libsystemd's sd_notify() waits for ever where the manager does not read, and
 * what it says must not be lost: a manager that has missed READY=1 after a
 * reload takes the daemon for one that is still reloading.  So what has no
 * room is owed, and told when there is some.
 */
#ifndef AIS_NOTIFY_H
#define AIS_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

#define NOTIFY_STATE_MAX	256
#define NOTIFY_STATUS_MAX	2048

struct notify {
	bool managed;		/* There is a service manager. */
	char owed[NOTIFY_STATE_MAX];	/* A state that it has not taken. */
	char status[NOTIFY_STATUS_MAX];	/* What it was told last, */
	char wanted[NOTIFY_STATUS_MAX];	/* and what it should be told. */
	int64_t watchdog;	/* Interval in milliseconds; 0: none. */
	int64_t watchdog_next;
	int64_t retry;		/* When what is owed is tried again. */
};

/* Look in the environment whether there is a service manager.  "watchdog" is
 * how often that wants to hear from us, in milliseconds, or 0. */
void notify_init(struct notify *n, int64_t watchdog);

/* Tell a state, as "READY=1".  The last one counts: one that it did not take
 * before is not told any more. */
void notify_state(struct notify *n, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Tell the status, if it is another one; without "STATUS=", and of less than
 * NOTIFY_STATUS_MAX bytes: the rest is cut. */
void notify_status(struct notify *n, const char *status);

/* At each turn of the loop: what is owed, and the watchdog's due. */
void notify_dispatch(struct notify *n);

/* When notify_dispatch() has something to do. */
int64_t notify_deadline(const struct notify *n);

#endif
