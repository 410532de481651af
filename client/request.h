/*
 * request.h - one conversation with a server: dial, ask, stream, finish.
 *
 * A session is opened when the first request is asked and serves those that
 * follow.  A request leaves together with the end of the handshake; it does
 * not wait until the server greets.  While it runs our standard input goes to
 * the command, its output to ours, and signals to it.
 */
#ifndef AIS_REQUEST_H
#define AIS_REQUEST_H

#include <stdbool.h>

struct body;
struct outcome;
struct request;
struct settings;

/* Make ready to talk to the server of "settings", which are borrowed.
 * Nothing is connected yet.  NULL if memory is out. */
struct request *request_new(const struct settings *settings);

/* Take leave of the server and free "r". */
void request_free(struct request *r);

/*
 * Ask for what is in "body", whose windows are set here, and stay until it
 * has come to an end: "o" says to which.  All output that came has been
 * written then, unless writing it is what failed.  A session that has ended
 * meanwhile is opened anew.
 */
void request_ask(struct request *r, const struct body *body,
    struct outcome *o);

/* Is there a session, so far as we know? */
bool request_is_open(const struct request *r);

/*
 * Wait until "fd" can be read, and answer what the server asks meanwhile.
 * 1: it can be; 0: a signal came, see signals.h; -1: the session has ended,
 * for the reason in "o", which is said once.
 */
int request_wait(struct request *r, int fd, struct outcome *o);

#endif
