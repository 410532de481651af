/*
 * queue.h - clients that have shaken hands and wait for the session.
 * SPDX-License-Identifier: ISC
 *
 * Certificates take turns: the first connection of each is served before the
 * second of any, so that a client waits for at most one session of each other
 * certificate, and not for all that one of them has asked for.
 */
#ifndef AIS_QUEUE_H
#define AIS_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/net.h"
#include "common/wire/proto.h"

struct conn;
struct failure;
struct lingers;
struct pollset;
struct queue;
struct settings;
struct tls_context;
struct tls_identity;

/* A queue by what "s" says.  "s", "context" and "linger" are borrowed; those
 * that are sent away go to "linger".  NULL if memory is out. */
struct queue *queue_new(const struct settings *s, struct tls_context *context,
    struct lingers *linger);
void queue_free(struct queue *q);

/* How many connections can wait by "s". */
size_t queue_capacity(const struct settings *s);

/* Go on with these. */
void queue_configure(struct queue *q, const struct settings *s,
    struct tls_context *context);

/*
 * Let the client of "conn", at "address", wait; the queue owns "conn" in any
 * case.  With "verify" its certificate is verified again.  If the queue is full
 * and somebody is "served", the last client of the certificate that has the
 * most places is sent away.  Returns false if no rule or no certificate allows
 * this client to be here: it has been told.
 */
bool queue_add(struct queue *q, struct conn *conn, const char *address,
    bool verify, bool served);

/*
 * Take the first connection out of the queue, with the text of its peer's
 * address; the caller owns it.  False: the queue is empty.
 */
bool queue_take(struct queue *q, struct conn **conn,
    char address[NET_TEXT_MAX]);

/* Tell the client of "conn", which becomes the queue's, why it is not served,
 * and put that on record. */
void queue_refuse(struct queue *q, struct conn *conn, const char *address,
    enum proto_code code, const struct failure *why);

/* Verify all again, and look for their rules, as queue_configure() has them;
 * one that fails is told, and sent away. */
void queue_reverify(struct queue *q);

/* When the first certificate in the queue expires, in seconds since 1970;
 * INT64_MAX: never. */
int64_t queue_expires(const struct queue *q);

/*
 * Tell each client its place, and whether "served", the peer of the session
 * (NULL: none), shows the same certificate, if it does not know it yet.  A
 * client learns nothing about the sessions of other certificates.
 */
void queue_tell(struct queue *q, const struct tls_identity *served);

/* How many wait. */
size_t queue_length(const struct queue *q);

/* Send all away; the code of "why" is one of enum proto_code. */
void queue_stop(struct queue *q, const struct failure *why);

/* Add all to the poll set; do what it has brought. */
void queue_poll(struct queue *q, struct pollset *ps);
void queue_dispatch(struct queue *q, const struct pollset *ps);

#endif
