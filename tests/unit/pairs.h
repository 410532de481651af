/*
 * pairs.h - contexts of common/tls and pairs of connections, for tests.
 *
 * SPDX-License-Identifier: ISC
 *
 * pairs_enter() and pairs_leave() are the fixtures of the group: a directory
 * with certificates, and with several lists in "lists".
 */
#ifndef AIS_PAIRS_H
#define AIS_PAIRS_H

#include <signal.h>
#include <sys/socket.h>

#include "tests/unit/certificates.h"
#include "tests/unit/unit.h"

#include "common/base/buf.h"
#include "common/base/fd.h"
#include "common/tls/tls.h"

static struct failure why;
static char sentence[FAILURE_MAX];

static struct tls_files
files_of(const char *certificate, const char *key, const char *authority,
    const char *crl)
{
	struct tls_files f = { .certificate = certificate, .key = key,
	    .authority = authority, .crl = crl };

	return f;
}

static inline struct tls_context *
server_with(const char *crl)
{
	struct tls_files f = files_of("server.pem", "server.key",
	    "site/ca.pem", crl);
	struct tls_context *c = tls_server_new(&f, &why);

	if (c == NULL)
		fail_msg("%s", failure_sentence(&why, sentence));
	return c;
}

/* A client that trusts the site, whoever issued its own certificate. */
static inline struct tls_context *
client_with(const char *name)
{
	char pem[64], key[64];
	struct tls_files f = files_of(pem, key, "site/ca.pem", NULL);
	struct tls_context *c;

	(void)snprintf(pem, sizeof pem, "%s.pem", name);
	(void)snprintf(key, sizeof key, "%s.key", name);
	c = tls_client_new(&f, &why);
	if (c == NULL)
		fail_msg("%s", failure_sentence(&why, sentence));
	return c;
}

/*
 * Two ends, and between them two wires with the test in the middle: what one
 * end sends is passed on by carry(), or altered, or not.
 */
struct pair {
	struct tls *client, *server;
	int ends[2], wires[2];		/* Of the client, of the server. */
	enum io client_io, server_io;
	struct buf to_client, to_server, client_in, server_in;
};

static inline void
open_pair(struct pair *p, struct tls_context *client,
    struct tls_context *server, const char *name)
{
	int fds[2];

	memset(p, 0, sizeof *p);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM |
		    SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
		p->ends[i] = fds[0];
		p->wires[i] = fds[1];
	}
	p->client = tls_open(client, p->ends[0], name);
	p->server = tls_open(server, p->ends[1], NULL);
	assert_non_null(p->client);
	assert_non_null(p->server);
	tls_context_free(client);	/* Counted by their connections. */
	tls_context_free(server);
	p->client_io = p->server_io = IO_WAIT;
	buf_init(&p->to_client, 1 << 20);
	buf_init(&p->to_server, 1 << 20);
	buf_init(&p->client_in, 1 << 20);
	buf_init(&p->server_in, 1 << 20);
}

static inline void
close_pair(struct pair *p)
{
	tls_free(p->client);
	tls_free(p->server);
	fd_close_pair(p->ends);
	fd_close_pair(p->wires);
	buf_free(&p->to_client);
	buf_free(&p->to_server);
	buf_free(&p->client_in);
	buf_free(&p->server_in);
}

/* Take what the ends have sent off the wires, without passing it on. */
static inline void
collect(struct pair *p)
{
	while (fd_fill(p->wires[0], &p->to_server, 65536) == IO_OK)
		;
	while (fd_fill(p->wires[1], &p->to_client, 65536) == IO_OK)
		;
}

/* Pass on what has been collected. */
static inline void
deliver(struct pair *p)
{
	while (buf_used(&p->to_server) > 0 &&
	    fd_drain(p->wires[1], &p->to_server) == IO_OK)
		;
	while (buf_used(&p->to_client) > 0 &&
	    fd_drain(p->wires[0], &p->to_client) == IO_OK)
		;
}

static inline void
carry(struct pair *p)
{
	collect(p);
	deliver(p);
}

/* Shake hands, as far as it goes. */
static inline void
shake(struct pair *p)
{
	for (int i = 0; i < 20; i++) {
		if (p->client_io == IO_WAIT)
			p->client_io = tls_handshake(p->client);
		carry(p);
		if (p->server_io == IO_WAIT)
			p->server_io = tls_handshake(p->server);
		carry(p);
	}
}

/* A pair that has shaken hands. */
static inline void
open_good(struct pair *p)
{
	open_pair(p, client_with("alice"), server_with(NULL), "localhost");
	shake(p);
	if (p->client_io != IO_OK)
		fail_msg("client: %s", tls_failure(p->client)->text);
	if (p->server_io != IO_OK)
		fail_msg("server: %s", tls_failure(p->server)->text);
}

static inline void
send_text(struct tls *tls, const char *text)
{
	struct buf b;

	buf_init(&b, 1000);
	assert_int_equal(buf_put(&b, text, strlen(text)), 0);
	assert_int_equal(tls_drain(tls, &b), IO_OK);
	assert_int_equal(buf_used(&b), 0);
	buf_free(&b);
}

static inline void
expect_text(struct buf *b, const char *text)
{
	assert_int_equal(buf_used(b), strlen(text));
	assert_memory_equal(buf_data(b), text, strlen(text));
	buf_consume(b, strlen(text));
}

/* A server's context that knows "authority", with the lists of "crl". */
static inline struct tls_context *
context_with(const char *authority, const char *crl, bool old)
{
	struct tls_files f = files_of("both.pem", "both.key", authority, crl);
	struct tls_context *c;

	f.allow_stale_crl = old;
	c = tls_server_new(&f, &why);
	if (c == NULL)
		fail_msg("%s", failure_sentence(&why, sentence));
	return c;
}

static char pairs_folder[UNIT_PATH_MAX];

static inline int
pairs_enter(void **state)
{
	(void)state;
	(void)signal(SIGPIPE, SIG_IGN);
	unit_enter(pairs_folder);
	if (certificates_make() != 0)
		return -1;
	return system("mkdir lists && cp crl.pem lists/b.pem && "
	    "cp oldcrl.pem lists/a.pem && cp alice.key lists/key");
}

static inline int
pairs_leave(void **state)
{
	(void)state;
	unit_leave(pairs_folder);
	return 0;
}

#endif
