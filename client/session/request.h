/*
 * request.h - one conversation with a server: dial, ask, stream, finish.
 * SPDX-License-Identifier: ISC
 *
 * A session is opened when the first request is asked and serves those that
 * follow.  A request leaves together with the end of the handshake; it does
 * not wait until the server greets.  While it runs our standard input goes to
 * the command, its output to ours, and signals to it.
 */
#ifndef AIS_REQUEST_H
#define AIS_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

struct body;
struct buf;
struct outcome;
struct request;
struct session;
struct settings;
struct traffic;

/* Make ready to talk to the server of "settings", which are borrowed.
 * Nothing is connected yet.  NULL if memory is out. */
struct request *request_new(const struct settings *settings);

/* Take leave of the server and free "r". */
void request_free(struct request *r);

/*
 * Let a second Ctrl-C within a second end the command and keep the session,
 * where the server can do so, and a third end the session.  Without this the
 * second one ends the session.
 */
void request_keep_session(struct request *r);

/*
 * Ask for what is in "body", whose windows are set here, and stay until it
 * has come to an end: "o" says to which.  All output that came has been
 * written then, unless writing it is what failed.  A session that has ended
 * meanwhile is opened anew.
 */
void request_ask(struct request *r, const struct body *body,
    struct outcome *o);

/*
 * Let "body" be sent ahead: behind the next one that is asked, whose place is
 * BODY_LEADS, or behind others that were put ahead.  Its windows are set here,
 * and it has no standard input.  The same command must be asked in its turn,
 * with the place BODY_FOLLOWS; it is sent then if the server could not take it
 * before.  False if there is no room, and nothing has been done.
 */
bool request_put_ahead(struct request *r, struct body *body);

/* Has any been put ahead whose turn has not come? */
bool request_has_ahead(const struct request *r);

/*
 * As request_ask(), but what the command writes goes to the end of "answer" and
 * not to
 * our standard output, and what it writes to its standard error to the end of
 * "errors", or nowhere where that is NULL.  "o" is of class OUTCOME_RESOURCES
 * if it does not fit.
 */
void request_answer(struct request *r, const struct body *body,
    struct buf *answer, struct buf *errors, struct outcome *o);

/* The number of the last request in its session, 0 if it did not get as far as
 * to a connection; and its traffic, until the next one begins. */
uint32_t request_number(const struct request *r);
const struct traffic *request_traffic(const struct request *r);

/* Forget both, for what is done without a request. */
void request_forget(struct request *r);

/* Within the time limit of the last request, whose session must be open: the
 * microseconds that the server takes to answer, or -1 with the reason in
 * "o". */
int64_t request_ping(struct request *r, struct outcome *o);

/* The last session; it is borrowed, and changes with the next request. */
const struct session *request_session(const struct request *r);

/* Is there a session, so far as we know? */
bool request_is_open(const struct request *r);

/*
 * Wait until "fd" can be read, and answer what the server asks meanwhile.
 * 1: it can be; 0: a signal came, see signals.h; -1: the session has ended,
 * for the reason in "o", which is said once.
 */
int request_wait(struct request *r, int fd, struct outcome *o);

#endif
