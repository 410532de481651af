/*
 * connect.h - from the name of a host to a TCP connection, in bounded time.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_CONNECT_H
#define AIS_CONNECT_H

#include <stddef.h>
#include <stdint.h>

/* After how many milliseconds the next address is tried beside those that have
 * not answered yet (RFC 8305, 5). */
#define CONNECT_DELAY	250

/*
 * Look up "host" and "port" and connect to the first address that answers by
 * "deadline", among those of "family", AF_UNSPEC being any.  The addresses are
 * tried in the order of getaddrinfo(3), but with both families in turn.  This
 * waits.  Returns the descriptor, as net_accept() returns one, or -1 with a
 * sentence in "why" of "size" bytes; errno is ETIMEDOUT if no address has
 * answered by the deadline, ENOENT if there is no such name, EBUSY if it could
 * not be said by then whether there is.
 */
int connect_host(const char *host, const char *port, int family,
    int64_t deadline, char *why, size_t size);

#endif
