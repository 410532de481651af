/*
 * link.h - one TLS connection with its queue of frames in each direction.
 *
 * Both programs speak through a link.  It moves bytes between the connection
 * and the queues and rebuilds its interest from their state: a full inbound
 * queue stops reading, an empty outbound one stops writing.
 */
#ifndef AIS_LINK_H
#define AIS_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/fd.h"

struct frame;
struct pollset;
struct tls;
struct tls_context;

/* Each queue's size: bytes gathered for one go, and room for small frames
 * (answers, windows, signals) beside a full load of data. */
#define LINK_QUEUE	(4 * 65536 + 8192)
/* Data is added to the outbound queue only up to here. */
#define LINK_DATA_MAX	(4 * 65536)

struct link {
	int fd;
	struct tls *tls;
	struct buf in;
	struct buf out;
	size_t slot;		/* In this turn's poll set. */
	bool eof;		/* The peer has sent close_notify. */
	size_t held;		/* Bytes of "out" that wait for more, */
	int64_t held_until;	/* and until when. */
};

/*
 * Begin a link over "fd", which it owns from now on, also on failure.  "name"
 * as for tls_open().  0, or -1 if memory is out.
 */
int link_open(struct link *l, struct tls_context *context, int fd,
    const char *name);

/* Say close_notify, close and free.  Does nothing if it is closed. */
void link_close(struct link *l);

/*
 * Say close_notify, end the sending side, free all but the descriptor, and
 * return it; -1 if the link is closed.  The caller reads and drops what still
 * comes until the peer has closed, for a while: closing at once, with bytes
 * unread, would reset the connection and lose what was said last.
 */
int link_linger(struct link *l);

/* Is there a connection, in whatever state? */
bool link_is_open(const struct link *l);

/* Go on with the handshake, as tls_handshake(). */
enum io link_handshake(struct link *l);

/*
 * Add the link to this turn: for reading where "reading" and there is room,
 * for writing where frames wait.  If bytes are ready already, the turn does
 * not wait.
 */
void link_poll(struct link *l, struct pollset *ps, bool reading);

/* Is there something to do for link_read() after the wait? */
bool link_ready(const struct link *l, const struct pollset *ps);

/*
 * Read what there is to the inbound queue, and write what waits.  IO_OK,
 * IO_WAIT: nothing moved; IO_EOF, IO_ERROR: as tls_fill() and tls_drain().
 */
enum io link_read(struct link *l);
enum io link_write(struct link *l);

/* The next frame: as frame_peek().  link_done() drops it. */
int link_peek(const struct link *l, struct frame *f);
void link_done(struct link *l, const struct frame *f);

/* How much more data, header not counted, may be put into the next frame:
 * 0 if the outbound queue holds its load. */
size_t link_data_room(const struct link *l);

/*
 * What stands in the outbound queue may wait for more to go with it, in one
 * record and one packet, until "deadline", of clock.h.  It goes with the next
 * frame at once.
 */
void link_hold(struct link *l, int64_t deadline);

/* Are frames waiting to be written, other than those that are held? */
bool link_has_output(const struct link *l);

#endif
