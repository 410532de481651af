/*
 * state.h - a context and a connection, as the parts of common/tls that work
 * on them see them: for these alone.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_TLS_STATE_H
#define AIS_TLS_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "common/base/failure.h"
#include "common/base/net.h"
#include "common/tls/types.h"

struct revocation;

/* So much of what the peer says first is kept, to tell what it is. */
#define TLS_FIRST_MAX	64

struct tls_context {
	SSL_CTX *ssl;
	SSL_CTX *signer;	/* What signs by a provider's key, or NULL;
				 * see context.c. */
	bool server;
	bool any_purpose;	/* A client need not say that it is one. */
	struct revocation *crl;	/* NULL: revocation is not checked. */
	bool allow_stale_crl;
	uint64_t key_records;	/* See struct tls_files. */
	int64_t key_age;
	STACK_OF(X509) *accepted;	/* Our own chain, once checked; */
	int untrusted;		/* so many are not in the authority's file. */
	size_t users;		/* The owner and every open connection. */
};

struct tls {
	struct tls_context *context;
	SSL *ssl;
	struct net_host host;	/* The server's, on the client. */
	short handshake_events;	/* What the handshake waits for. */
	bool done;		/* The handshake is complete. */
	bool broken;		/* No close_notify any more. */
	bool more;		/* The last fill has not read all bytes. */
	bool gathers;		/* Records go through a buffer. */
	bool write_pending;	/* A record is written in part. */
	uint64_t records;	/* Sent since our key was replaced, */
	int64_t renewed;	/* which was then, by clock_now(). */
	bool read_wants_write;
	bool write_wants_read;
	bool has_peer;
	char first[TLS_FIRST_MAX];	/* The first bytes of the peer, as it
					 * sent them; only up to "done". */
	size_t first_used;
	struct tls_identity peer;
	int64_t expires;	/* The first of the peer's chain. */
	struct failure failure;	/* Its code is an enum tls_failure. */
};

#endif
