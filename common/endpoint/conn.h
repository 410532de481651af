/*
 * conn.h - one TLS connection with its queue of frames in each direction.
 * SPDX-License-Identifier: ISC
 *
 * Both programs speak through it.  It moves bytes between the connection and
 * the queues and rebuilds its interest from their state: a full inbound queue
 * stops reading, an empty outbound one stops writing.
 */
#ifndef AIS_CONN_H
#define AIS_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/fd.h"

struct conn;
struct frame;
struct pollset;
struct tls;
struct tls_context;

/* Each queue's size: bytes gathered for one go, and room for small frames
 * (answers, windows, signals) beside a full load of data. */
#define CONN_QUEUE	(4 * 65536 + 8192)
/* Data is added to the outbound queue only up to here. */
#define CONN_DATA_MAX	(4 * 65536)

/*
 * Make a connection of "fd", which it owns from now on, also on failure.
 * "name" as for tls_open().  NULL if memory is out.
 */
struct conn *conn_open(struct tls_context *context, int fd, const char *name);

/* As conn_linger(), but close the descriptor at once. */
void conn_close(struct conn *c);

/*
 * Write of the queue what goes at once, say close_notify, end the sending side,
 * free all but the descriptor, and return it; -1 for NULL.  The caller reads
 * and drops what still comes until the peer has closed, for a while: closing at
 * once, with bytes unread, would reset the connection and lose what was said
 * last.
 */
int conn_linger(struct conn *c);

/* The outbound queue, for frame_put() and its like; the connection, to ask who
 * the peer is and why it has failed; the socket, to ask the kernel about it.
 * All three are borrowed until conn_close() or conn_linger(). */
struct buf *conn_out(struct conn *c);
struct tls *conn_tls(const struct conn *c);
int conn_fd(const struct conn *c);

/* Go on with the handshake, as tls_handshake(). */
enum io conn_handshake(struct conn *c);

/*
 * Add the connection (NULL: nothing) to this step: for reading where "reading"
 * and there is room, for writing where frames wait.  If bytes are ready
 * already, the step does not wait.
 */
void conn_poll(struct conn *c, struct pollset *ps, bool reading);

/* The events, of poll(2), that conn_poll() asked for and that have come. */
short conn_events(const struct conn *c, const struct pollset *ps);

/* Is there something to do for conn_read() after the wait? */
bool conn_ready(const struct conn *c, const struct pollset *ps);

/*
 * Read what there is to the inbound queue, and write what waits.  IO_OK,
 * IO_WAIT: nothing moved; IO_EOF, IO_ERROR: as tls_fill() and tls_drain().
 */
enum io conn_read(struct conn *c);
enum io conn_write(struct conn *c);

/* Let the inbound queue hold "most" bytes of frames that have to wait; 0: its
 * usual size, or what it holds now. */
void conn_stretch(struct conn *c, size_t most);

/* Is there no room in it for another byte? */
bool conn_is_full(const struct conn *c);

/* The next frame: as frame_peek().  conn_done() drops it. */
int conn_peek(const struct conn *c, struct frame *f);
int conn_peek_at(const struct conn *c, size_t skip, struct frame *f);
void conn_done(struct conn *c, const struct frame *f);

/* How much more data, header not counted, may be put into the next frame:
 * 0 if the outbound queue holds its load. */
size_t conn_data_room(const struct conn *c);

/*
 * What stands in the outbound queue may wait for more to go with it, in one
 * record and one packet, until "deadline", of clock.h.  It goes with the next
 * frame at once.
 */
void conn_hold(struct conn *c, int64_t deadline);

/* How many bytes of frames have left the queue for TLS and the kernel. */
uint64_t conn_sent(const struct conn *c);

/* Are frames waiting to be written, other than those that are held? */
bool conn_has_output(const struct conn *c);

#endif
