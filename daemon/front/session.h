/*
 * session.h - the state machine of one peer: frames in, decision, child,
 * frames out.
 *
 * A session owns its connection and, one after the other, its commands.  It is
 * over when the peer has gone and nothing of what it started is left, but for
 * what was there before.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_SESSION_H
#define AIS_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/wire/proto.h"

struct conn;
struct pollset;
struct rusage;
struct session;
struct settings;
struct tls_context;
struct tree;

/*
 * Begin the session of the peer of "c", whose handshake is done; the session
 * owns it from now on, and HELLO is put into its queue.  "address" is the
 * peer's as text, "name" the session's own.  "settings" must outlive the
 * session, or be replaced by session_configure().  "tree" is the daemon's.
 * NULL if memory is out, and "c" is the caller's still.
 */
struct session *session_new(struct conn *c, const char *address,
    const char *name, const struct settings *settings, struct tree *tree);

/* Put the session's beginning on record. */
void session_announce(const struct session *s);

/* Free a session that is over; the descriptor to linger on, or -1. */
int session_free(struct session *s);

/* Decide and limit by "settings" from the next request on. */
void session_configure(struct session *s, const struct settings *settings);

/*
 * Judge the peer's certificate again, by "context": if it would not be
 * accepted now, the session is ended.
 */
void session_reverify(struct session *s, struct tls_context *context);

/* Whose session it is; borrowed. */
const struct tls_identity *session_identity(const struct session *s);

/* When the peer's certificate expires, in seconds since 1970. */
int64_t session_expires(const struct session *s);

/* Do others wait for their session? */
void session_others_wait(struct session *s, bool wait);

/* Add to this step what the session waits for. */
void session_poll(struct session *s, struct pollset *ps);

/* Do what the step has brought. */
void session_dispatch(struct session *s, const struct pollset *ps);

/*
 * A child of the daemon has been reaped, with its wait(2) status and what it
 * used.  It may be this session's command.
 */
void session_reaped(struct session *s, pid_t pid, int status,
    const struct rusage *usage);

/*
 * End it when the command that runs, if there is one, has ended; the peer is
 * told "why" then, whose code is one of enum proto_code, and may begin nothing
 * any more.  "reason" is for the record, and must outlive the session.
 */
void session_drain(struct session *s, const struct failure *why,
    const char *reason);

/*
 * End it: the command is ended politely, then by force, and the peer is told
 * "why"; as for session_drain().  What is to be done is done in the next step.
 */
void session_stop(struct session *s, const struct failure *why,
    const char *reason);

/* Has the peer gone, and everything that the session started? */
bool session_is_over(const struct session *s);

/* Is no request being served? */
bool session_is_idle(const struct session *s);

/* "serving alice from 192.0.2.7: make (12 s)", for people. */
void session_describe(const struct session *s, char *out, size_t size);

#endif
