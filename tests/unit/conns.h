/*
 * conns.h - two connections of common/endpoint/conn that are joined, for tests.
 * SPDX-License-Identifier: ISC
 *
 * conns_enter() and conns_leave() are the fixtures of the group: a directory
 * with certificates.
 */
#ifndef AIS_CONNS_H
#define AIS_CONNS_H

#include <signal.h>
#include <sys/socket.h>

#include "tests/unit/certificates.h"
#include "tests/unit/unit.h"

#include "common/base/failure.h"
#include "common/endpoint/conn.h"
#include "common/tls/tls.h"

static inline struct tls_context *
conns_context(bool server)
{
	struct tls_files f = {
		.certificate = server ? "server.pem" : "alice.pem",
		.key = server ? "server.key" : "alice.key",
		.authority = "site/ca.pem"
	};
	struct failure why;
	struct tls_context *c = server ? tls_server_new(&f, &why) :
	    tls_client_new(&f, &why);

	if (c == NULL)
		fail_msg("%s", why.text);
	return c;
}

/* Two connections, joined, that have not shaken hands. */
static inline void
conns_open(struct conn **client, struct conn **server)
{
	struct tls_context *c = conns_context(false), *s = conns_context(true);
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0, fds), 0);
	*client = conn_open(c, fds[0], "localhost");
	*server = conn_open(s, fds[1], NULL);
	assert_true(*client != NULL && *server != NULL);
	tls_context_free(c);
	tls_context_free(s);
}

/* The same, ready for frames. */
static inline void
conns_shaken(struct conn **client, struct conn **server)
{
	enum io a = IO_WAIT, b = IO_WAIT;

	conns_open(client, server);
	for (int i = 0; i < 10 && (a != IO_OK || b != IO_OK); i++) {
		if (a == IO_WAIT)
			a = conn_handshake(*client);
		if (b == IO_WAIT)
			b = conn_handshake(*server);
	}
	assert_int_equal(a, IO_OK);
	assert_int_equal(b, IO_OK);
}

static char conns_folder[UNIT_PATH_MAX];

static inline int
conns_enter(void **state)
{
	(void)state;
	(void)signal(SIGPIPE, SIG_IGN);
	unit_enter(conns_folder);
	return certificates_make();
}

static inline int
conns_leave(void **state)
{
	(void)state;
	unit_leave(conns_folder);
	return 0;
}

#endif
