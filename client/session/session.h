/*
 * session.h - the client's end of a session: connection, handshake, frames.
 * SPDX-License-Identifier: ISC
 *
 * A session carries one request after the other.  It knows how far it is, and
 * where the end of what is awaited is told; what a request asks for, and its
 * streams, are the business of request.c.  The frames of requests are taken in
 * exchange.c; HELLO, WAITING, PING and GOODBYE are taken here.
 */
#ifndef AIS_CLIENT_SESSION_H
#define AIS_CLIENT_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/buf.h"
#include "common/endpoint/endpoint.h"

#include "client/core/outcome.h"
#include "client/session/ahead.h"
#include "client/session/greeting.h"
#include "client/session/pulse.h"

struct body;
struct pollset;
struct settings;
struct tls_context;

/* Where a session stands, as bits, for the tables of frames. */
enum session_state {
	SESSION_IDLE	 = 1,
	SESSION_GREETING = 2,	/* The server has not said HELLO. */
	SESSION_ASKED	 = 4,	/* The answer is awaited. */
	SESSION_RUNNING	 = 8	/* The command runs. */
};

/* The one session that there is at a time.  Others read it; it is changed by
 * the functions below alone. */
struct session {
	const struct settings *settings;
	struct tls_context *tls;
	struct endpoint end;	/* Over: the session is of no use any more. */
	enum session_state state;
	bool shaking;		/* The TLS handshake is not done. */
	bool dropped;		/* The server never said anything. */
	pid_t proxy;		/* What carries the connection, or 0. */
	struct greeting greeting;

	struct buf body;	/* Of the newest request, not sent yet. */
	uint32_t newest;	/* The last number that was used. */
	struct ahead ahead;	/* What is to follow it. */

	/* What is awaited. */
	struct outcome *outcome;	/* Where its end is told, or NULL. */
	bool muted;		/* It is told already. */
	int64_t deadline;	/* For all of it, */
	int64_t connected;	/* and for the handshake. */

	int64_t dialed;		/* When the connection was begun. */
	int64_t dialed_us;
	int64_t waited;		/* When waiting in line must be over. */
	int64_t tell;		/* When to say that we wait. */
	bool told_own;		/* It was said that it is for our own. */
	struct pulse pulse;	/* Is the server there? */
	int64_t pinged_us;	/* When our PING left; 0: none did. */
	int64_t rtt_us;		/* How long its PONG took; -1: none came. */
};

/* Make ready to talk to the server of "settings", which are borrowed; nothing
 * is connected yet.  The "count" frames of "requests" go to "owner". */
void session_init(struct session *s, const struct settings *settings,
    const struct endpoint_frame *requests, size_t count, void *owner);
void session_clear(struct session *s);

/*
 * Something is awaited until "deadline": what ends it before is told in "o".
 * With NULL nothing is.  session_is_awaited() says whether it still is, and
 * the session has not ended.
 */
void session_await(struct session *s, struct outcome *o, int64_t deadline);
bool session_is_awaited(const struct session *s);

/* Its end is told already, but it is awaited still. */
void session_mute(struct session *s);

/* Open the connection, which has to be ready at "connected", and begin the
 * session.  0, or -1 and the reason is told. */
int session_dial(struct session *s, int64_t connected);

/* Close the connection, after what was said last; another may be opened. */
void session_close(struct session *s);

/* The session is of no use any more, and what is awaited ends with it;
 * session_fail() tells why. */
void session_give_up(struct session *s);
void session_fail(struct session *s, enum outcome_class class,
    const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Have "body" to be sent as the next request.  0, or -1: it is too long, which
 * is told. */
int session_prepare(struct session *s, const struct body *body);

/* The one that is awaited: it begins, its command runs, it has its answer. */
void session_ask(struct session *s);
void session_started(struct session *s);
void session_answered(struct session *s);

/*
 * The first of those ahead has its turn: what comes now is about it.  False if
 * it was not sent, and is to be asked like any other.  Where it was, in a
 * session that has ended, that is told.
 */
bool session_follow(struct session *s);

/* Let none of those that were sent ahead begin. */
void session_recall(struct session *s);

/* Send as many of them as the server takes. */
void session_put_ahead(struct session *s);

/* Queue a frame of the one that is awaited.  As frame_put(). */
int session_put(struct session *s, enum proto_type type, const void *payload,
    size_t n);

/* Queue as much of the body as there is room for. */
void session_put_body(struct session *s);

/* Write what is queued.  Returns whether all of it is written; if not, it is
 * waited for, or the session is over. */
bool session_send(struct session *s);

/* Ask an idle server for an answer at once: "rtt_us" has it, once it is
 * there.  0, or -1: there is no such session. */
int session_ping(struct session *s);

/* Add to this step what the session waits for; after the wait, go on with the
 * handshake, or read what the server sends and act on it. */
void session_poll(struct session *s, struct pollset *ps);
void session_dispatch(struct session *s, const struct pollset *ps);

/* Has the time for connecting, waiting, or all passed?  Then that is the end.
 * If not, say that we wait in the server's line where that is due. */
bool session_is_late(struct session *s);

#endif
