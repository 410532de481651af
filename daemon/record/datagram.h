/*
 * datagram.h - messages to a log of this machine or its service manager, by a
 * socket, without waiting for its reader.
 *
 * The reader can be stopped, hang, or be restarted: then the message is not
 * taken, the caller is told so at once, and the next one is tried again.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_DATAGRAM_H
#define AIS_DATAGRAM_H

#include <stdbool.h>

#include "common/base/log.h"

struct msghdr;

struct datagram {
	const char *path;	/* Kept by the caller; with "@" first it is an
				 * abstract address, unix(7). */
	int fd;			/* -1: not connected. */
	bool stream;		/* It is a stream, and no datagrams. */
};

/* Not connected; datagram_send() connects when there is something to send. */
#define DATAGRAM(where)	{ .path = (where), .fd = -1 }

/* The most parts of one message. */
#define DATAGRAM_PARTS_MAX	2

/* Is there a reader at "path"? */
bool datagram_is_there(const char *path);

/*
 * Send "m", which has no address and DATAGRAM_PARTS_MAX parts at most; in a
 * stream a NUL ends it, as syslog(3) does it.  With "patient", wait for
 * LOG_WAIT_MS at most where the reader has no room.  A reader that has
 * come back since the last message is connected to again.  0, or -1 with errno
 * set: the message was not taken.  EAGAIN: there is no room; EMSGSIZE or
 * ENOBUFS: it is too long for this socket; others: nobody reads it.
 */
int datagram_send(struct datagram *d, const struct msghdr *m, bool patient);

/* Not connected any more. */
void datagram_close(struct datagram *d);

/* A sink of the log that sends messages; it needs no closing. */
struct datagram_sink {
	struct log_sink sink;
	struct datagram socket;
	const char *ident;	/* What the records say that we are. */
};

/* Make "s", which the caller keeps for good, a sink called "name" that sends
 * to "path" by "take", whose context is "s".  Returns the sink.  It connects
 * when there is an event. */
struct log_sink *datagram_sink_open(struct datagram_sink *s, const char *name,
    int (*take)(void *context, const struct log_event *e), const char *path,
    const char *ident);

/* As datagram_send(); a sink that fails does not wait. */
int datagram_sink_send(struct datagram_sink *s, const struct msghdr *m);

#endif
