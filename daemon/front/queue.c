/*
 * queue.c - clients that have shaken hands and wait for the session.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/pollset.h"
#include "common/wire/frame.h"
#include "common/tls/tls.h"
#include "common/endpoint/conn.h"
#include "daemon/record/audit.h"
#include "daemon/rules/policy.h"
#include "daemon/conf/settings.h"
#include "daemon/front/linger.h"
#include "daemon/front/queue.h"

/* Where the line is full, a client is told to come again after so many ms: each
 * try costs both sides a handshake. */
#define RETRY_BUSY	3000

struct waiting {
	struct conn *conn;
	size_t slot;
	char address[NET_TEXT_MAX];
	uint64_t round;		/* See queue_round(). */
	int64_t expires;	/* Its certificate. */
	uint32_t told;		/* Which place it was told; 0: none, */
	uint8_t flags;		/* and what with it. */
};

struct queue {
	const struct settings *settings;
	struct tls_context *context;
	struct lingers *linger;
	struct waiting *all;	/* In the order in which they are served. */
	size_t count;
	/* The last one that was served: its round, and its certificate. */
	uint64_t round;
	char served[TLS_FINGERPRINT_MAX];
};

static const char *
queue_fingerprint(const struct waiting *w)
{
	return tls_peer(conn_tls(w->conn))->fingerprint;
}

static bool
queue_is_same(const struct waiting *a, const struct waiting *b)
{
	return strcmp(queue_fingerprint(a), queue_fingerprint(b)) == 0;
}

static void
queue_remove(struct queue *q, size_t at)
{
	q->count--;
	memmove(&q->all[at], &q->all[at + 1],
	    (q->count - at) * sizeof *q->all);
}

/* The client at "at" has gone, or its connection is lost. */
static void
queue_lose(struct queue *q, size_t at)
{
	linger_add(q->linger, conn_linger(q->all[at].conn));
	queue_remove(q, at);
}

void
queue_refuse(struct queue *q, struct conn *conn, const char *address,
    enum proto_code code, const struct failure *why)
{
	struct audit_peer record = { .address = address,
	    .identity = tls_peer(conn_tls(conn)) };
	struct failure told = *why;

	audit_handshake_failed(&record, why);
	told.code = (int)code;
	/* A queue that cannot take this is a connection that is lost. */
	(void)frame_put_failure(conn_out(conn), PROTO_GOODBYE, 0, &told,
	    code == PROTO_CODE_BUSY ? RETRY_BUSY : 0);
	linger_add(q->linger, conn_linger(conn));
}

/* Take the client at "at" out of the queue, and tell it why. */
static void
queue_send_away(struct queue *q, size_t at, enum proto_code code,
    const struct failure *why)
{
	struct waiting w = q->all[at];

	queue_remove(q, at);
	queue_refuse(q, w.conn, w.address, code, why);
}

/* May "w" have a session?  Else "why" says why not. */
static bool
queue_admits(const struct queue *q, struct waiting *w, bool verify,
    struct failure *why)
{
	struct tls *tls = conn_tls(w->conn);
	const char *reason;

	if (verify && tls_recheck(tls, q->context, &reason, why) == -1)
		return false;
	w->expires = tls_peer_expires(tls);
	return policy_admits(q->settings->rules, tls_peer(tls), w->address,
	    why);
}

/* In which round "w" is served: each certificate has one session in each. */
static uint64_t
queue_round(const struct queue *q, const struct waiting *w)
{
	uint64_t round = q->round +
	    (strcmp(q->served, queue_fingerprint(w)) == 0 ? 1 : 0);

	for (size_t i = 0; i < q->count; i++) {
		const struct waiting *other = &q->all[i];

		if (other->round >= round && queue_is_same(other, w))
			round = other->round + 1;
	}
	return round;
}

/* Put "w" in its place, and return that. */
static size_t
queue_insert(struct queue *q, struct waiting *w)
{
	size_t at = q->count;

	w->round = queue_round(q, w);
	while (at > 0 && q->all[at - 1].round > w->round)
		at--;
	memmove(&q->all[at + 1], &q->all[at],
	    (q->count - at) * sizeof *q->all);
	q->all[at] = *w;
	q->count++;
	return at;
}

/* How many show the certificate of "w", itself included? */
static size_t
queue_count(const struct queue *q, const struct waiting *w)
{
	size_t n = 0;

	for (size_t i = 0; i < q->count; i++)
		n += queue_is_same(&q->all[i], w);
	return n;
}

/*
 * Send one away: the last of the certificate that has the most places.  The
 * one at "newcomer" goes if no other certificate has more than its own.
 */
static void
queue_shorten(struct queue *q, size_t newcomer)
{
	size_t most = queue_count(q, &q->all[newcomer]), n;
	size_t last = newcomer;
	struct failure why;

	for (size_t i = 0; i < q->count; i++) {
		n = queue_count(q, &q->all[i]);
		if (n > most || (n == most && last != newcomer &&
		    queue_is_same(&q->all[i], &q->all[last]))) {
			most = n;
			last = i;
		}
	}
	failure_set(&why, 0, "the server is busy and its line is full");
	if (most > 1) {
		failure_set(&why, 0, "the server is busy and its line is full; "
		    "this certificate has %zu of the %lld places there",
		    most - 1, (long long)q->settings->max_waiting);
		failure_hint(&why, "try again in %d seconds, or start fewer at "
		    "once", RETRY_BUSY / 1000);
	} else
		failure_hint(&why, "try again in %d seconds",
		    RETRY_BUSY / 1000);
	queue_send_away(q, last, PROTO_CODE_BUSY, &why);
}

bool
queue_add(struct queue *q, struct conn *conn, const char *address,
    bool verify, bool served)
{
	struct waiting w = { .conn = conn, .slot = POLLSET_NONE };
	struct failure why;
	size_t at;

	(void)snprintf(w.address, sizeof w.address, "%s", address);
	if (!queue_admits(q, &w, verify, &why)) {
		queue_refuse(q, conn, address, PROTO_CODE_DENIED, &why);
		return false;
	}
	at = queue_insert(q, &w);
	/* One more than may wait, if that one can have the session. */
	if (q->count > (size_t)q->settings->max_waiting + (served ? 0 : 1))
		queue_shorten(q, at);
	return true;
}

bool
queue_take(struct queue *q, struct conn **conn, char address[NET_TEXT_MAX])
{
	struct waiting *w = q->all;

	if (q->count == 0)
		return false;
	q->round = w->round;
	memcpy(q->served, queue_fingerprint(w), sizeof q->served);
	*conn = w->conn;
	memcpy(address, w->address, sizeof w->address);
	queue_remove(q, 0);
	return true;
}

void
queue_tell(struct queue *q, const struct tls_identity *served)
{
	uint32_t place = 0;
	uint8_t flags;

	for (size_t i = 0; i < q->count;) {
		struct waiting *w = &q->all[i];

		flags = served != NULL && strcmp(served->fingerprint,
		    queue_fingerprint(w)) == 0 ? PROTO_WAITING_OWN : 0;
		if (w->told != ++place || w->flags != flags) {
			w->told = place;
			w->flags = flags;
			if (frame_put_waiting(conn_out(w->conn), place,
			    flags) == -1 || conn_write(w->conn) == IO_ERROR) {
				queue_lose(q, i);
				continue;
			}
		}
		i++;
	}
}

void
queue_reverify(struct queue *q)
{
	struct failure why;

	for (size_t i = 0; i < q->count;) {
		if (queue_admits(q, &q->all[i], true, &why))
			i++;
		else
			queue_send_away(q, i, PROTO_CODE_DENIED, &why);
	}
}

int64_t
queue_expires(const struct queue *q)
{
	int64_t first = INT64_MAX;

	for (size_t i = 0; i < q->count; i++) {
		if (q->all[i].expires < first)
			first = q->all[i].expires;
	}
	return first;
}

size_t
queue_length(const struct queue *q)
{
	return q->count;
}

void
queue_stop(struct queue *q, const struct failure *why)
{
	while (q->count > 0)
		queue_send_away(q, 0, (enum proto_code)why->code, why);
}

void
queue_poll(struct queue *q, struct pollset *ps)
{
	for (size_t i = 0; i < q->count; i++) {
		struct waiting *w = &q->all[i];

		w->slot = pollset_add(ps, conn_fd(w->conn), (short)(POLLRDHUP |
		    (conn_has_output(w->conn) ? POLLOUT : 0)));
	}
}

/* What a client sends early is for its session, and not read; that it has gone
 * is seen all the same. */
void
queue_dispatch(struct queue *q, const struct pollset *ps)
{
	for (size_t i = 0; i < q->count;) {
		struct waiting *w = &q->all[i];
		short events = pollset_events(ps, w->slot);
		bool gone = (events & (POLLRDHUP | POLLHUP | POLLERR)) != 0;

		if (gone)
			log_info("connection of %s from %s closed while it "
			    "waited in line",
			    tls_peer(conn_tls(w->conn))->common_name,
			    w->address);
		if (gone || ((events & POLLOUT) != 0 &&
		    conn_write(w->conn) == IO_ERROR))
			queue_lose(q, i);
		else
			i++;
	}
}

void
queue_configure(struct queue *q, const struct settings *s,
    struct tls_context *context)
{
	q->settings = s;
	q->context = context;
}

size_t
queue_capacity(const struct settings *s)
{
	/* And one that can have the session, and one that is sent away. */
	return (size_t)s->max_waiting + 2;
}

struct queue *
queue_new(const struct settings *s, struct tls_context *context,
    struct lingers *linger)
{
	struct queue *q = calloc(1, sizeof *q);

	if (q == NULL)
		return NULL;
	if ((q->all = calloc(queue_capacity(s), sizeof *q->all)) == NULL) {
		free(q);
		return NULL;
	}
	q->linger = linger;
	queue_configure(q, s, context);
	return q;
}

void
queue_free(struct queue *q)
{
	if (q == NULL)
		return;
	for (size_t i = 0; i < q->count; i++)
		conn_close(q->all[i].conn);
	free(q->all);
	free(q);
}
