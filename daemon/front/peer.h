/*
 * peer.h - what can still be said to a client.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_PEER_H
#define AIS_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/net.h"
#include "common/endpoint/endpoint.h"
#include "common/tls/tls.h"
#include "common/wire/proto.h"
#include "daemon/record/audit.h"

struct conn;
struct settings;

/* The peer of a session.  All zero before peer_begin(). */
struct peer {
	struct endpoint end;	/* Over: nothing can be said any more. */
	struct audit_peer audit;
	char address[NET_TEXT_MAX];
	struct tls_identity identity;
	int64_t last_rx;	/* When something came from the peer. */
	int64_t ping_sent;	/* When it was asked to answer; 0: not. */
	uint64_t carried;	/* By TCP, both ways, until then. */
	uint64_t acked;		/* What the peer had taken. */
	bool closing;		/* GOODBYE is in the queue, */
	int64_t closing_deadline; /* and has so long to be taken. */
	const char *close_reason;
	int linger;		/* The descriptor to linger on, or -1. */
};

/*
 * Begin with "c", whose handshake is done, and put HELLO into its queue; the
 * frames go to "owner", by "side".  0 and "c" is owned from now on; or -1:
 * memory is out, "c" is the caller's still.
 */
int peer_begin(struct peer *p, struct conn *c, const char *address,
    const char *name, const struct endpoint_side *side, void *owner);

/* Has it gone?  Nothing is read or written any more. */
bool peer_is_gone(const struct peer *p);

/* Can frames be sent to it?  Not once it is gone, or GOODBYE was said. */
bool peer_can_speak(const struct peer *p);

/* Where output for it goes: its connection, or NULL if it takes none. */
struct conn *peer_output(struct peer *p);

/* Take the result of a frame_put() for it: a queue that is full of small
 * frames, which the peer has asked for and does not read, ends it. */
void peer_put(struct peer *p, int result);

/* Send REFUSED for the request; GOODBYE, after which nothing is sent.  The code
 * of "why" is one of enum proto_code; "reason" is for the record. */
void peer_refuse(struct peer *p, uint32_t request, const struct failure *why);
void peer_goodbye(struct peer *p, const struct failure *why,
    const char *reason);
void peer_out_of_memory(struct peer *p);	/* GOODBYE, for that. */

/* It has gone, for this reason if there was none before; or its connection
 * has failed: not ended in order, but altered or cut. */
void peer_end(struct peer *p, const char *reason);
void peer_lose(struct peer *p);

/* When must peer_check_dead() be called? */
int64_t peer_dead_deadline(const struct peer *p,
    const struct settings *settings);

/*
 * Ask a silent peer whether it is there, and give up one that is not.  One
 * that TCP has carried bytes for is there, however slowly they come.  One that
 * does not answer, while its machine does, is stopped: it may be so for some
 * time, or while no others wait, see "others_since".
 */
void peer_check_dead(struct peer *p, const struct settings *settings,
    int64_t others_since);

/* After GOODBYE: has it had its time?  It has more while it takes what it is
 * sent, unless it has to go "at_once". */
void peer_check_closing(struct peer *p, bool at_once);

/* Write what waits; after GOODBYE, that is the end of it. */
void peer_flush(struct peer *p);

#endif
