/*
 * dial.h - from the settings to a connection, and why there is none.
 */
#ifndef AIS_DIAL_H
#define AIS_DIAL_H

#include <stdbool.h>
#include <stdint.h>

struct link;
struct outcome;
struct settings;
struct tls_context;

/* Read the files that "s" names.  NULL with the reason in "o". */
struct tls_context *dial_context(const struct settings *s, struct outcome *o);

/*
 * Connect to the server of "s" until "deadline", and begin a link with it,
 * whose handshake is still to be made.  0, or -1 with the reason in "o"; it
 * is of class OUTCOME_CONNECT, also when the deadline has passed.
 */
int dial_connect(const struct settings *s, struct tls_context *context,
    int64_t deadline, struct link *link, struct outcome *o);

/* Tell in "o" that the server does not answer in time. */
void dial_no_answer(const struct settings *s, struct outcome *o);

/*
 * Was the connection of "link", which has failed, closed before the server had
 * shown a certificate?  Then it has seen nothing of us either.
 */
bool dial_was_dropped(const struct link *link, bool shaking);

/* Tell in "o" why TLS failed; "shaking" says that it was in the handshake. */
void dial_explain(const struct settings *s, const struct link *link,
    bool shaking, struct outcome *o);

/* Say on standard error who the other end of "link" is, and how we got to it
 * in "ms" milliseconds. */
void dial_describe(const struct link *link, double ms);

#endif
