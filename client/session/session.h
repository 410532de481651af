/*
 * session.h - the client's end of a session: connection, handshake, frames.
 * SPDX-License-Identifier: ISC
 *
 * What ends a session or a request is told here, in the outcome of the request
 * that is under way.  Only request.c, of which this is the lower half, calls
 * these functions; others need the greeting and the traffic alone.
 */
#ifndef AIS_CLIENT_SESSION_H
#define AIS_CLIENT_SESSION_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/pollset.h"
#include "common/wire/body.h"
#include "common/endpoint/endpoint.h"

#include "client/core/outcome.h"
#include "client/core/stream.h"
#include "client/session/outlet.h"
#include "client/session/progress.h"

struct settings;
struct tls_context;

/* The longest item of HELLO that is kept; what is longer is cut. */
#define GREETING_MAX	256

/* What the server has said of the session; foreign bytes are escaped. */
struct greeting {
	char session[GREETING_MAX];	/* Its name. */
	char server[GREETING_MAX];	/* The program and its version. */
	char peer[GREETING_MAX];	/* By which name it knows us. */
	/* Of the revocation lists that we were looked for on the one that ends
	 * first: whose it is, and its seconds since 1970; 0: none ends. */
	char list[GREETING_MAX];
	int64_t list_begins;
	int64_t list_ends;
	bool waits;			/* Others are served before us, */
	uint32_t ahead;			/* so many of them, */
	bool own;			/* now one of our certificate. */
	bool cancels;			/* It can end a request in a session, */
	bool closes;			/* and close an output of one. */
	int64_t shaken_us;		/* How long TLS took to be ready. */
};

/* How many bytes of a request's streams have passed through us. */
struct traffic {
	uint64_t in;			/* Read, to be sent to the server. */
	uint64_t out;			/* Come from there. */
	uint64_t err;
};

/* Our outputs, as indices. */
#define REQUEST_OUT	0
#define REQUEST_ERR	1

/* Where a session stands, as bits, for the table of frames. */
enum state {
	STATE_IDLE	= ENDPOINT_IDLE,
	STATE_GREETING	= 2,	/* The server has not said HELLO. */
	STATE_ASKED	= 4,	/* The answer is awaited. */
	STATE_RUNNING	= 8	/* The command runs. */
};

struct request {
	const struct settings *settings;
	struct tls_context *tls;
	struct endpoint end;	/* Over: the session is of no use any more. */
	struct pollset ps;
	enum state state;
	bool shaking;		/* The TLS handshake is not done. */
	bool dropped;		/* The server never said anything. */
	int64_t connected;	/* When the handshake must be done. */
	int64_t dialed;		/* When the connection was begun. */
	int64_t dialed_us;
	struct greeting greeting;
	int64_t waited;		/* When waiting in line must be over. */
	int64_t tell;		/* When to say that we wait. */
	bool told_own;		/* It has been said for whom. */
	int64_t pinged_us;	/* When our PING left; 0: none did. */
	int64_t rtt_us;		/* How long its PONG took. */

	struct outcome *outcome;	/* Where the end is told. */
	bool sent;		/* It has got to a connection. */
	struct traffic traffic;
	bool asked;		/* It has not come yet. */
	bool chdir;		/* Its answer is a directory, not an end. */
	bool flush;		/* What came is written before we return. */
	bool failed;		/* By us, and its command is to end. */
	bool deaf;		/* Error output is not wanted. */
	int64_t deadline;
	int64_t interrupted;	/* When the last SIGINT was passed on. */
	bool passed[NSIG];	/* Which signals were. */
	struct body ask;	/* Its words are the caller's. */
	struct buf body;	/* What of it has not been sent. */

	struct stream in;
	bool reading;		/* Standard input has not ended. */
	bool terminal;		/* It is one. */
	uint32_t credit;	/* How much of it the server takes. */
	struct buf early;	/* Sent before STARTED came: if it does not, */
	bool again;		/* this is sent in the next session. */
	size_t in_slot;
	struct outlet outlets[2];
	struct progress progress;
};

/* The frames that a server may send; their owner is a struct request. */
extern const struct endpoint_side session_side;

/* The session is of no use any more, and the request, if it has not come to
 * its end before, ends with it; request_fail() tells why. */
void request_give_up(struct request *r);
void request_fail(struct request *r, enum outcome_class class,
    const char *format, ...) __attribute__((format(printf, 3, 4)));

/* A signal tells us to exit: at once, with output that is not written yet. */
void request_leave(struct request *r, int signo);

/* Has the server not yet said whether it serves us, or lets us wait? */
bool request_is_connecting(const struct request *r);

/* Has the time for connecting, or for all, passed?  Then that is the end. */
bool request_is_late(struct request *r);

/* An output cannot be written, for errno.  0, or -1 if that is the end. */
int request_output_failed(struct request *r, const struct outlet *o);

/* Say that we wait in the server's line, if it is time to. */
void request_tell_wait(struct request *r);

/* Open the connection and begin the session.  0, or -1 with the reason. */
int request_dial(struct request *r);

/* Go on with the TLS handshake. */
void request_shake(struct request *r);

/* Read what the server sends, and act on it. */
void request_receive(struct request *r);

/* Write what waits.  A server that refuses us closes the connection, so that
 * writing may fail before we have read why. */
void request_send(struct request *r);

/* Close the connection, after what was said last. */
void request_close(struct request *r);

#endif
