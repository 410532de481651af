/*
 * datagram.h - messages to a log of this machine, by a socket in the file
 * system, of which none holds the daemon.
 *
 * Whoever reads such a socket can be stopped, hang, or be started anew: then
 * the message is not taken, the caller is told so at once, and the next one is
 * tried again.
 */
#ifndef AIS_DATAGRAM_H
#define AIS_DATAGRAM_H

#include <stdbool.h>

struct msghdr;

struct datagram {
	const char *path;	/* Kept by the caller for good. */
	int fd;			/* -1: not connected. */
	bool stream;		/* It is a stream, and no datagrams. */
};

/* Not connected; datagram_send() connects when there is something to send. */
#define DATAGRAM(path)	{ (path), -1, false }

/* The most parts of one message. */
#define DATAGRAM_PARTS_MAX	2

/* Does anybody listen at "path"? */
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

#endif
