/*
 * service.h - what systemd has passed to a service: sockets, and how often its
 * watchdog wants to hear from it.  What it is told is in notify.h.
 *
 * service.c does it with libsystemd; service-plain.c is built where there is
 * none, and speaks the socket-passing protocol by itself.  Without systemd
 * nothing here fails, and nothing is done.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_SERVICE_H
#define AIS_SERVICE_H

#include <stddef.h>
#include <stdint.h>

/*
 * The sockets that were passed at the start, at most "max", close-on-exec,
 * and removes the variables that say so from the environment.  Returns how
 * many, or -1 after a message.
 */
int service_sockets(int *fds, size_t max);

/* How often the watchdog wants to be told, in milliseconds; 0: never. */
int64_t service_watchdog(void);

#endif
