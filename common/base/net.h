/*
 * net.h - TCP: addresses, listening, accepting.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_NET_H
#define AIS_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* An address as text, "[2001:db8::1]:4773", with room to spare. */
#define NET_TEXT_MAX	64
#define NET_UNKNOWN	"unknown"

struct failure;

struct net_address {
	struct sockaddr_storage storage;
	socklen_t length;
};

/* The network that one customer of a provider has as a rule: an IPv4 address
 * as such, IPv6 by its first 64 bits. */
struct net_network {
	uint8_t bytes[16];
};

/* As long as a name in the DNS can be (RFC 1035, 2.3.4), with its NUL. */
#define NET_HOST_MAX	254

/*
 * A host as a certificate names it (RFC 9525, 6): an address, which is compared
 * as such and never goes into SNI (RFC 6066, 3), or a name.
 */
struct net_host {
	char name[NET_HOST_MAX];	/* In lower case, without a dot at the
					 * end; of an address its text, without
					 * a zone. */
	uint8_t address[16];
	size_t length;		/* Of the address: 4 or 16; 0: it is a name. */
};

/*
 * Read "text", a name or a numeric address in any form that getaddrinfo(3)
 * takes, into "host".  0, or -1: it is neither, as what has an empty label, or
 * bytes other than ASCII.
 */
int net_host(const char *text, struct net_host *host);

/*
 * Split "text", one of HOST, HOST:PORT, [HOST], [HOST]:PORT, :PORT, where a
 * HOST with more than one colon is an IPv6 address without a port.  "host" of
 * "hsize" and "port" of "psize" bytes get their parts, "port" an empty string
 * if there is none.  0, or -1 if it is none of these or too long, or if the
 * port is not a number from 0 to 65535.
 */
int net_split(const char *text, char *host, size_t hsize, char *port,
    size_t psize);

/*
 * The addresses to listen on that "host" and "port" mean; an empty host or "*"
 * is every address, IPv6 and IPv4.  Where the kernel has no IPv6, the others
 * are enough.  Up to "max" go to "out".  Returns how many, or -1 with the
 * reason in "why".
 */
int net_resolve(const char *host, const char *port, struct net_address *out,
    size_t max, struct failure *why);

/* Are both the same, with their ports? */
bool net_same(const struct net_address *a, const struct net_address *b);

/* Is "all" every address of the family of "one", on the same port, and that
 * is not 0?  Then they are not listened on beside one another. */
bool net_covers(const struct net_address *all, const struct net_address *one);

/* Open the socket that listens on "address", close-on-exec and non-blocking.
 * Returns the descriptor, or -1 with the reason in "why", and errno set: EINVAL
 * is of the address, and will not pass. */
int net_listen(const struct net_address *address, struct failure *why);

/*
 * Could net_listen() do so now?  The address is bound for a moment, and not
 * listened on; one that is in use already, as by a daemon that runs, is good.
 * Unless "with_port", whether this user may have the port is not asked.  0, or
 * -1 as net_listen() has it.
 */
int net_check(const struct net_address *address, bool with_port,
    struct failure *why);

/*
 * Make an inherited socket ready, with flags as net_listen() and net_accept()
 * set them.  1: it listens; 0: it is a connection, whose other end is
 * "address"; -1 after a message: it is no stream socket, or neither.
 */
int net_adopt(int fd, struct net_address *address);

/*
 * Accept one connection: close-on-exec, non-blocking, TCP_NODELAY, keepalive.
 * Returns the descriptor, or -1 with errno set; EAGAIN: there is none.
 */
int net_accept(int fd, struct net_address *address);

/*
 * Let the kernel give up a connection whose other end has not acknowledged
 * anything for "ms" milliseconds, or has had no room for anything, 0 meaning
 * never: tcp(7), TCP_USER_TIMEOUT and keepalive.
 */
void net_dead_after(int fd, int64_t ms);

/* How TCP gets on with a connection. */
struct net_carried {
	uint64_t acked;		/* Bytes that the other end has acknowledged, */
	uint64_t received;	/* and has sent. */
	uint64_t unacked;	/* Bytes that it has not acknowledged. */
	int64_t round_trip;	/* The shortest of late, in microseconds; 0: not
				 * known. */
	bool answers;		/* Nothing had to be sent twice for lack of an
				 * answer; that it has no room is one. */
};

/* Ask.  On what is no TCP only "unacked" is known: what the other end has not
 * read. */
void net_carried(int fd, struct net_carried *c);

/* Make a connected socket of ours as net_accept() leaves one.  0 or -1. */
int net_prepare(int fd);

/* The address of the other end.  0, or -1 with errno set. */
int net_peer(int fd, struct net_address *address);

/* The address that a socket is bound to.  0, or -1 with errno set. */
int net_local(int fd, struct net_address *address);

/* The network that "address" belongs to; one for all that have none. */
struct net_network net_network(const struct net_address *address);

/* "address" as text, an IPv4-mapped one as IPv4; with or without its port.
 * NET_UNKNOWN if it cannot be told. */
const char *net_text(const struct net_address *address, bool port,
    char out[NET_TEXT_MAX]);

#endif
