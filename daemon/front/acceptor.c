/*
 * acceptor.c - new connections, until their TLS handshake is done.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/pollset.h"
#include "common/tls/tls.h"
#include "common/endpoint/conn.h"
#include "daemon/record/audit.h"
#include "daemon/conf/settings.h"
#include "daemon/front/admission.h"
#include "daemon/front/linger.h"
#include "daemon/front/queue.h"
#include "daemon/front/acceptor.h"

/* A client speaks first: within so many milliseconds. */
#define FIRST_BYTE_TIMEOUT 3000
/* After accept(2) has failed for lack of descriptors or memory, it is called
 * again after so many. */
#define ACCEPT_PAUSE	200
/* At most so many new connections in a round, so that the session has its
 * own. */
#define ACCEPTS_PER_ROUND 16

struct handshake {
	struct conn *conn;
	char address[NET_TEXT_MAX];
	struct net_network network;
	int64_t arrived;
	bool heard;		/* It has sent something. */
	bool verify;		/* Its context may be an older one. */
};

struct acceptor {
	const struct settings *settings;
	struct tls_context *context;
	struct queue *queue;
	struct lingers *linger;
	struct handshake *all;
	struct admission_place *places;	/* Of "all", to find one. */
	size_t count;
	int64_t accept_again;
	bool accept_failed;
	struct admission admission;
};

static void
acceptor_remove(struct acceptor *a, size_t at)
{
	a->count--;
	memmove(&a->all[at], &a->all[at + 1],
	    (a->count - at) * sizeof *a->all);
}

/* Its network pays for the answer that "h" had from us. */
static void
acceptor_penalise(struct acceptor *a, const struct handshake *h)
{
	admission_failed(&a->admission, &h->network,
	    a->settings->failure_penalty);
}

/* --- new connections ----------------------------------------------------- */

/*
 * From when on may "h" lose its place?  To send nothing, or half of a message,
 * costs an attacker nothing: such a place is not kept.  An answer has cost us
 * arithmetic, and lets the slowest network finish what it has begun.
 */
static int64_t
acceptor_kept_until(const struct acceptor *a, const struct handshake *h)
{
	return h->arrived + (tls_answered(conn_tls(h->conn)) ?
	    a->settings->handshake_timeout / 2 : 0);
}

/* Drop the handshake at "at" for another one. */
static void
acceptor_drop(struct acceptor *a, size_t at)
{
	struct handshake *h = &a->all[at];

	/* Its network pays unless it was still in time. */
	if (tls_answered(conn_tls(h->conn)) &&
	    clock_past(acceptor_kept_until(a, h)))
		acceptor_penalise(a, h);
	admission_record(&a->admission, ADMISSION_CROWD, h->address);
	conn_close(h->conn);
	acceptor_remove(a, at);
}

/* Is there a place for one from "network", if need be that of another?  Sets
 * "why" if not. */
static bool
acceptor_find_place(struct acceptor *a, const struct net_network *network,
    enum admission_drop *why)
{
	size_t victim;

	*why = ADMISSION_PENALTY;
	if (!admission_allows(&a->admission, network,
	    a->settings->failure_penalty))
		return false;
	if (a->count < acceptor_capacity(a->settings))
		return true;
	for (size_t i = 0; i < a->count; i++)
		a->places[i] = (struct admission_place){ a->all[i].network,
		    acceptor_kept_until(a, &a->all[i]) };
	*why = ADMISSION_CROWD;
	victim = admission_victim(a->places, a->count, network);
	if (victim == a->count)
		return false;
	acceptor_drop(a, victim);
	return true;
}

void
acceptor_add(struct acceptor *a, int fd, const struct net_address *address)
{
	struct handshake *h;
	struct net_network network = net_network(address);
	char text[NET_TEXT_MAX];
	enum admission_drop why;

	/* Which rule is for it may depend on its address. */
	if (strcmp(net_text(address, false, text), NET_UNKNOWN) == 0) {
		log_error("cannot tell the address of a client; its "
		    "connection is closed");
		fd_close(&fd);
		return;
	}
	if (!acceptor_find_place(a, &network, &why)) {
		admission_record(&a->admission, why, text);
		fd_close(&fd);
		return;
	}
	h = &a->all[a->count];
	net_dead_after(fd, a->settings->dead_timeout);
	*h = (struct handshake){ .network = network,
	    .arrived = clock_now() };
	memcpy(h->address, text, sizeof h->address);
	if ((h->conn = conn_open(a->context, fd, NULL)) != NULL)
		a->count++;
	else
		log_error("cannot serve %s: out of memory", h->address);
}

static void
acceptor_pause(struct acceptor *a)
{
	a->accept_again = clock_in(ACCEPT_PAUSE);
	if (!a->accept_failed)
		log_errno("cannot accept connections; trying again until it "
		    "works");
	a->accept_failed = true;
}

bool
acceptor_is_open(const struct acceptor *a)
{
	return clock_past(a->accept_again);
}

void
acceptor_accept(struct acceptor *a, int listener)
{
	struct net_address address;
	int fd;

	for (int i = 0; i < ACCEPTS_PER_ROUND; i++) {
		fd = net_accept(listener, &address);
		if (fd == -1 && (errno == EAGAIN || errno == EINTR))
			return;
		/* accept(2): errors of the connection, not of ours. */
		if (fd == -1 && errno != EMFILE && errno != ENFILE &&
		    errno != ENOBUFS && errno != ENOMEM)
			continue;
		if (fd == -1) {
			acceptor_pause(a);
			return;
		}
		a->accept_failed = false;
		acceptor_add(a, fd, &address);
	}
}

/* --- handshakes ---------------------------------------------------------- */

/* The handshake has failed; "gone": because the peer has, or is too slow. */
static void
acceptor_refuse(struct acceptor *a, struct handshake *h, bool gone,
    const struct failure *why)
{
	struct tls *tls = conn_tls(h->conn);
	struct audit_peer record = { .address = h->address,
	    .identity = tls_peer(tls) };

	if (!gone || tls_answered(tls)) {
		audit_handshake_failed(&record, why);
		acceptor_penalise(a, h);
	} else if (admission_unfinished(&a->admission, &h->network,
	    a->settings->failure_penalty))
		admission_record(&a->admission, ADMISSION_UNFINISHED,
		    h->address);
	else
		audit_handshake_failed(&record, why);
	linger_add(a->linger, conn_linger(h->conn));
}

static int64_t
acceptor_deadline(const struct acceptor *a, const struct handshake *h)
{
	int64_t limit = a->settings->handshake_timeout;

	if (!h->heard && limit > FIRST_BYTE_TIMEOUT)
		limit = FIRST_BYTE_TIMEOUT;
	return h->arrived + limit;
}

/* Go on with "h".  Is it over?  Then its connection belongs to others. */
static bool
acceptor_advance(struct acceptor *a, const struct pollset *ps,
    struct handshake *h, bool served)
{
	short events = conn_events(h->conn, ps);
	struct failure late;
	const struct failure *why;

	if ((events & POLLIN) != 0)
		h->heard = true;
	switch (events == 0 ? IO_WAIT : conn_handshake(h->conn)) {
	case IO_OK:
		/* A client that is refused costs its network what a failure
		 * does, since each try takes a handshake. */
		if (!queue_add(a->queue, h->conn, h->address, h->verify,
		    served))
			acceptor_penalise(a, h);
		return true;
	case IO_WAIT:
		if (!clock_past(acceptor_deadline(a, h)))
			return false;
		failure_set(&late, 0, h->heard ?
		    "the handshake took too long" : "no data received");
		acceptor_refuse(a, h, true, &late);
		return true;
	default:
		why = tls_failure(conn_tls(h->conn));
		acceptor_refuse(a, h, why->code == TLS_FAILURE_CUT ||
		    why->code == TLS_FAILURE_SYSTEM, why);
		return true;
	}
}

void
acceptor_dispatch(struct acceptor *a, const struct pollset *ps, bool served)
{
	for (size_t i = 0; i < a->count;) {
		if (acceptor_advance(a, ps, &a->all[i], served))
			acceptor_remove(a, i);
		else
			i++;
	}
	admission_dispatch(&a->admission);
}

void
acceptor_poll(struct acceptor *a, struct pollset *ps)
{
	if (!acceptor_is_open(a))
		pollset_deadline(ps, a->accept_again);
	admission_poll(&a->admission, ps);
	for (size_t i = 0; i < a->count; i++) {
		conn_poll(a->all[i].conn, ps, true);
		pollset_deadline(ps, acceptor_deadline(a, &a->all[i]));
	}
}

void
acceptor_reverify(struct acceptor *a)
{
	for (size_t i = 0; i < a->count; i++)
		a->all[i].verify = true;
}

void
acceptor_stop(struct acceptor *a)
{
	while (a->count > 0)
		linger_add(a->linger, conn_linger(a->all[--a->count].conn));
}

bool
acceptor_is_empty(const struct acceptor *a)
{
	return a->count == 0;
}

/* --- the whole ----------------------------------------------------------- */

size_t
acceptor_capacity(const struct settings *s)
{
	return (size_t)s->max_handshakes;
}

void
acceptor_configure(struct acceptor *a, const struct settings *s,
    struct tls_context *context)
{
	a->settings = s;
	a->context = context;
}

struct acceptor *
acceptor_new(const struct settings *s, struct tls_context *context,
    struct queue *queue, struct lingers *linger)
{
	struct acceptor *a = calloc(1, sizeof *a);

	if (a == NULL)
		return NULL;
	acceptor_configure(a, s, context);
	a->queue = queue;
	a->linger = linger;
	a->all = calloc(acceptor_capacity(s), sizeof *a->all);
	a->places = calloc(acceptor_capacity(s), sizeof *a->places);
	if (a->all == NULL || a->places == NULL) {
		acceptor_free(a);
		return NULL;
	}
	admission_init(&a->admission);
	return a;
}

void
acceptor_free(struct acceptor *a)
{
	if (a == NULL)
		return;
	for (size_t i = 0; i < a->count; i++)
		conn_close(a->all[i].conn);
	free(a->all);
	free(a->places);
	free(a);
}
