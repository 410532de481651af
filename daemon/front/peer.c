/*
 * peer.c - what can still be said to a client.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <stdio.h>
#include <string.h>

#include "common/wire/body.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/wire/frame.h"
#include "common/endpoint/conn.h"
#include "common/tls/tls.h"
#include "daemon/front/intake.h"
#include "daemon/front/peer.h"
#include "daemon/conf/settings.h"

/* The peer has this long to take the last frames, or some of them. */
#define FLUSH_TIMEOUT	2000
/* What TCP carries of a PING and its PONG at most. */
#define PING_BYTES	256
/* A session whose turn is over may be followed by another at once: in ms. */
#define RETRY_TURN	1

/* When there has to be a new list, or the client is refused. */
static int
peer_put_list(const struct peer *p, struct buf *body)
{
	struct tls_term list;
	uint8_t bytes[16 + TLS_NAME_MAX];
	size_t n;

	if (tls_peer_list(conn_tls(p->end.conn), &list) == -1)
		return 0;
	n = strlen(list.name);
	store_u64(bytes, (uint64_t)list.begins);
	store_u64(bytes + 8, (uint64_t)list.ends);
	memcpy(bytes + 16, list.name, n);
	return item_put(body, PROTO_ITEM_REVOCATIONS, bytes, 16 + n);
}

static int
peer_put_hello(struct peer *p)
{
	static const char server[] = "aisd " PACKAGE_VERSION;
	const char *name = p->audit.session, *cn = p->identity.common_name;
	uint8_t ahead[8];
	struct buf body;
	int result;

	store_u32(ahead, INTAKE_REQUESTS);
	store_u32(ahead + 4, INTAKE_BYTES);
	buf_init(&body, PROTO_PAYLOAD_MAX);
	result = item_put(&body, PROTO_ITEM_SESSION, name, strlen(name)) ||
	    item_put(&body, PROTO_ITEM_SERVER, server, strlen(server)) ||
	    item_put(&body, PROTO_ITEM_FEATURES, PROTO_FEATURES,
	    strlen(PROTO_FEATURES)) ||
	    item_put(&body, PROTO_ITEM_AHEAD, ahead, sizeof ahead) ||
	    item_put(&body, PROTO_ITEM_PEER, cn, strlen(cn)) ||
	    peer_put_list(p, &body) ||
	    frame_put(conn_out(p->end.conn), PROTO_HELLO, 0, buf_data(&body),
	    buf_used(&body));
	buf_free(&body);
	return result == 0 ? 0 : -1;
}

int
peer_begin(struct peer *p, struct conn *c, const char *address,
    const char *name, const struct endpoint_side *side, void *owner)
{
	p->end = (struct endpoint){ .side = side, .owner = owner, .conn = c };
	p->identity = *tls_peer(conn_tls(c));
	(void)snprintf(p->address, sizeof p->address, "%s", address);
	(void)snprintf(p->audit.session, sizeof p->audit.session, "%s", name);
	p->audit.address = p->address;
	p->audit.identity = &p->identity;
	p->last_rx = clock_now();
	p->linger = -1;
	/* The kernel's timer would end a slow peer with a dead one. */
	net_dead_after(conn_fd(c), 0);
	return peer_put_hello(p);
}

void
peer_end(struct peer *p, const char *reason)
{
	if (peer_is_gone(p))
		return;
	if (p->close_reason == NULL)
		p->close_reason = reason;
	p->linger = conn_linger(p->end.conn);
	p->end.conn = NULL;
	p->end.over = true;
}

void
peer_put(struct peer *p, int result)
{
	if (result == -1)
		peer_end(p, "the client does not read what it asks for");
}

bool
peer_is_gone(const struct peer *p)
{
	return p->end.conn == NULL;
}

bool
peer_can_speak(const struct peer *p)
{
	return !p->end.over;
}

void
peer_refuse(struct peer *p, uint32_t request, const struct failure *why)
{
	if (peer_can_speak(p))
		peer_put(p, frame_put_failure(conn_out(p->end.conn),
		    PROTO_REFUSED, request, why, 0));
}

void
peer_goodbye(struct peer *p, const struct failure *why, const char *reason)
{
	if (!peer_can_speak(p))
		return;
	p->closing = true;
	p->end.over = true;
	p->close_reason = reason;
	p->closing_deadline = clock_in(FLUSH_TIMEOUT);
	/* A client that comes again at once finds its place in the line. */
	peer_put(p, frame_put_failure(conn_out(p->end.conn), PROTO_GOODBYE, 0,
	    why, why->code == PROTO_CODE_TURN ? RETRY_TURN : 0));
}

void
peer_out_of_memory(struct peer *p)
{
	struct failure why;

	failure_set(&why, PROTO_CODE_RESOURCES, "the server is out of memory");
	peer_goodbye(p, &why, "out of memory");
}

int64_t
peer_dead_deadline(const struct peer *p, const struct settings *settings)
{
	int64_t patience = settings->dead_timeout / 3;

	if (p->ping_sent != 0)
		return clock_after(p->ping_sent,
		    settings->dead_timeout - patience);
	return clock_after(p->last_rx, patience);
}

void
peer_lose(struct peer *p)
{
	const struct failure *why = tls_failure(conn_tls(p->end.conn));

	log_info("session of %s from %s: %s", p->identity.common_name,
	    p->address, why->text);
	peer_end(p, why->code == TLS_FAILURE_ALTERED ? "altered" :
	    why->code == TLS_FAILURE_MEMORY ? "out of memory" :
	    "the connection was cut");
}

/* Has the peer taken some of what it was sent since the last look? */
static bool
peer_takes_more(struct peer *p)
{
	struct net_carried c;
	bool more;

	net_carried(conn_fd(p->end.conn), &c);
	more = c.acked != p->acked &&
	    (c.unacked > 0 || conn_has_output(p->end.conn));
	p->acked = c.acked;
	return more;
}

/* Tell the peer why, and end the session at once. */
static void
peer_give_up(struct peer *p, const char *reason, const char *text)
{
	peer_put(p, frame_put_code(conn_out(p->end.conn), PROTO_GOODBYE, 0,
	    PROTO_CODE_TIMEOUT, text));
	peer_end(p, reason);
}

/* Until when may a peer be stopped, whose machine alone answers? */
static int64_t
peer_stopped_deadline(const struct peer *p, const struct settings *settings,
    int64_t others_since)
{
	int64_t end = clock_after(p->last_rx, settings->stopped_timeout);
	int64_t since = others_since, turn;

	if (since < p->last_rx)
		since = p->last_rx;
	turn = clock_after(since, settings->turn);
	return turn < end ? turn : end;
}

void
peer_check_dead(struct peer *p, const struct settings *settings,
    int64_t others_since)
{
	struct net_carried c;

	if (!peer_can_speak(p) || !clock_past(peer_dead_deadline(p,
	    settings)))
		return;
	net_carried(conn_fd(p->end.conn), &c);
	if (p->ping_sent != 0 && c.acked + c.received > p->carried + PING_BYTES)
		p->last_rx = clock_now();
	else if (p->ping_sent != 0 && !c.answers) {
		peer_give_up(p, "the client does not answer any more", "this "
		    "client has not answered");
		return;
	} else if (p->ping_sent != 0 && clock_past(peer_stopped_deadline(p,
	    settings, others_since))) {
		peer_give_up(p, "the client was stopped for too long", "this "
		    "client was stopped, or its connection stood still, for "
		    "longer than the server allows");
		return;
	}
	p->ping_sent = clock_now();
	p->carried = c.acked + c.received;
	/* What is on its way already is as good a question. */
	if (!conn_has_output(p->end.conn))
		peer_put(p, frame_put(conn_out(p->end.conn), PROTO_PING, 0,
		    NULL, 0));
}

void
peer_check_closing(struct peer *p, bool at_once)
{
	if (!p->closing || peer_is_gone(p) || !clock_past(p->closing_deadline))
		return;
	if (!at_once && peer_takes_more(p))
		p->closing_deadline = clock_in(FLUSH_TIMEOUT);
	else
		peer_end(p, p->close_reason);
}

void
peer_flush(struct peer *p)
{
	if (peer_is_gone(p))
		return;
	if (conn_write(p->end.conn) == IO_ERROR) {
		/* An alert that has come may say why. */
		(void)conn_read(p->end.conn);
		peer_lose(p);
	} else if (p->closing && !conn_has_output(p->end.conn))
		peer_end(p, p->close_reason);
}

struct conn *
peer_output(struct peer *p)
{
	return peer_can_speak(p) ? p->end.conn : NULL;
}
