/*
 * server.h - the loop: acceptor, queue, session, signals, reload, stop.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_SERVER_H
#define AIS_SERVER_H

#include <stddef.h>

#include "common/base/net.h"

struct log_sink;
struct settings;
struct tls_context;

/* The most listening sockets. */
#define SERVER_LISTENERS_MAX	32

/* What main() has prepared.  The server owns settings and context from
 * server_run() on, and closes the sockets. */
struct server_start {
	const char *config;	/* The file to read again at a reload. */
	struct settings *settings;
	struct tls_context *context;
	int listeners[SERVER_LISTENERS_MAX];
	size_t count;
	/* Without listeners: the one connection to serve, and its other end.
	 * Others than us run commands as the same user then. */
	int connection;
	struct net_address peer;
	struct log_sink *file;	/* To reopen on SIGUSR1, or NULL. */
};

/* How many connections without a session there can be at a time by "s", each
 * with a descriptor. */
size_t server_connections(const struct settings *s);

/*
 * Serve until SIGTERM or SIGINT, or until the one connection has been served;
 * after SIGUSR2 until the command that runs has ended.  Returns 0; 1 after
 * SIGUSR2; -1 after a message if the loop cannot go on.
 */
int server_run(struct server_start *start);

#endif
