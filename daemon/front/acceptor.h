/*
 * acceptor.h - new connections, until their TLS handshake is done.
 * SPDX-License-Identifier: ISC
 *
 * A handshake has a short time, and there are bounds for all and for each
 * network.  A connection goes from here to the queue; none of them can hold up
 * the session or another one.
 */
#ifndef AIS_ACCEPTOR_H
#define AIS_ACCEPTOR_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/net.h"

struct acceptor;
struct lingers;
struct pollset;
struct queue;
struct settings;
struct tls_context;

/* All arguments are borrowed.  NULL if memory is out. */
struct acceptor *acceptor_new(const struct settings *s,
    struct tls_context *context, struct queue *queue, struct lingers *linger);
void acceptor_free(struct acceptor *a);

/* How many handshakes there can be at a time by "s". */
size_t acceptor_capacity(const struct settings *s);

/* Go on with these. */
void acceptor_configure(struct acceptor *a, const struct settings *s,
    struct tls_context *context);

/* The certificates of handshakes under way are verified again at their end. */
void acceptor_reverify(struct acceptor *a);

/* May acceptor_accept() be called? */
bool acceptor_is_open(const struct acceptor *a);

/* Accept what waits at the listening socket "fd", within one round's share. */
void acceptor_accept(struct acceptor *a, int fd);

/* Begin the handshake of the connection "fd", which the acceptor owns. */
void acceptor_add(struct acceptor *a, int fd,
    const struct net_address *address);

/* End all handshakes. */
void acceptor_stop(struct acceptor *a);

/* Is no handshake under way? */
bool acceptor_is_empty(const struct acceptor *a);

/* Add all to the poll set; do what it has brought.  "served": there is a
 * session, as queue_add() wants to know. */
void acceptor_poll(struct acceptor *a, struct pollset *ps);
void acceptor_dispatch(struct acceptor *a, const struct pollset *ps,
    bool served);

#endif
