/*
 * dial.h - from the settings to a connection, and why there is none.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_DIAL_H
#define AIS_DIAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct conn;
struct outcome;
struct settings;
struct tls_context;

/* Read the files that "s" names.  NULL with the reason in "o". */
struct tls_context *dial_context(const struct settings *s, struct outcome *o);

/*
 * Connect to the server of "s" until "deadline".  The connection, whose
 * handshake is still to be made, or NULL with the reason in "o"; it is of
 * class OUTCOME_CONNECT, also when the deadline has passed.  "proxy" is set to
 * the process that carries it, for spawn_end() when the connection is closed,
 * or to 0.
 */
struct conn *dial_connect(const struct settings *s,
    struct tls_context *context, int64_t deadline, struct outcome *o,
    pid_t *proxy);

/* How far a connection had got. */
enum dial_stage {
	DIAL_CONNECTING,	/* There is none. */
	DIAL_SHAKING,		/* TLS is not ready. */
	DIAL_GREETING,		/* The server has said nothing yet. */
	DIAL_SERVED
};

/* Tell in "o" that the server, at "stage", does not answer in time. */
void dial_no_answer(const struct settings *s, enum dial_stage stage,
    struct outcome *o);

/* Tell in "o" that the proxy_command has ended, with the "status" that
 * spawn_end() gives, before there was a connection. */
void dial_proxy_ended(const struct settings *s, int status,
    struct outcome *o);

/*
 * Was the connection of "conn", which has failed, closed before the server had
 * shown a certificate?  Then it has seen nothing of us either.
 */
bool dial_was_dropped(const struct conn *conn, bool shaking);

/* Tell in "o" why TLS failed at "stage". */
void dial_explain(const struct settings *s, const struct conn *conn,
    enum dial_stage stage, struct outcome *o);

/* Tell in "o" that the server has ended the session in order at "stage",
 * without saying why. */
void dial_ended(const struct settings *s, enum dial_stage stage,
    struct outcome *o);

#define DIAL_PEER_MAX	256

/* The address at the other end of "conn", or what carries it, as text in
 * "out". */
void dial_peer(const struct settings *s, const struct conn *conn,
    char out[DIAL_PEER_MAX]);

/* Say on standard error who the other end of "conn" is, and how we got to it
 * in "ms" milliseconds. */
void dial_describe(const struct settings *s, const struct conn *conn,
    double ms);

#endif
