/*
 * door.h - all who have no session: at the door, in the line, on their way
 * out.
 *
 * A connection is at the door while TLS shakes hands, for a short time and
 * within bounds for all and for each network; who has proved itself waits in
 * the line until it is its turn.  Nobody here can hold up the session or one
 * another.
 */
#ifndef AIS_DOOR_H
#define AIS_DOOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/net.h"
#include "common/wire/proto.h"

struct door;
struct conn;
struct pollset;
struct settings;
struct tls_context;
struct tls_identity;

/* A door with room for what "s" says, which is borrowed, as "context" is.
 * NULL if memory is out. */
struct door *door_new(const struct settings *s, struct tls_context *context);
void door_free(struct door *d);

/* How many connections there can be by "s", each with a descriptor. */
size_t door_places(const struct settings *s);

/* How many descriptors door_poll() may add to a turn. */
size_t door_capacity(const struct door *d);

/* Go on with these. */
void door_configure(struct door *d, const struct settings *s,
    struct tls_context *context);

/*
 * Ask of all in the line whether the certificate is good now and a rule fits,
 * as door_configure() has set them; who fails is told, and leaves.
 */
void door_judge(struct door *d);

/* When the first certificate in the line expires, in seconds since 1970;
 * INT64_MAX: never. */
int64_t door_expires(const struct door *d);

/* May door_accept() be called? */
bool door_is_open(const struct door *d);

/* Accept what waits at the listening socket "fd", within one turn's share. */
void door_accept(struct door *d, int fd);

/* Let in the connection "fd", which is the door's from here on. */
void door_admit(struct door *d, int fd, const struct net_address *address);

/* Add to this turn what is waited for; do what it has brought. */
void door_poll(struct door *d, struct pollset *ps);
void door_dispatch(struct door *d, const struct pollset *ps, bool serving);

/*
 * Take the first connection out of the line, with the text of its peer's
 * address; the caller owns it.  False: the line is empty.
 */
bool door_take(struct door *d, struct conn **conn,
    char address[NET_TEXT_MAX]);

/* Tell the peer of a connection that door_take() gave, and that the door owns
 * again, why it is not served. */
void door_turn_away(struct door *d, struct conn *conn, const char *address,
    enum proto_code code, const char *text);

/*
 * Tell all in line which place they have, and whether "served", who has the
 * session (NULL: nobody), shows the same certificate; if they do not know it.
 * A client learns nothing about the sessions of other certificates.
 */
void door_tell(struct door *d, const struct tls_identity *served);

/* How many stand in line. */
size_t door_waiting(const struct door *d);

/* Wait for a moment until the other end of "fd" has closed, and close. */
void door_linger(struct door *d, int fd);

/* Send all away, with this text. */
void door_stop(struct door *d, enum proto_code code, const char *text);

/* Is nobody there any more, not even on the way out? */
bool door_is_empty(const struct door *d);

#endif
