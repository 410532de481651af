/*
 * verify.h - whether a chain of certificates is good: a part of common/tls,
 * and for it alone.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_TLS_VERIFY_H
#define AIS_TLS_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include <openssl/x509.h>

#include "common/tls/state.h"

/* Longer chains than this have no place in a site of one authority. */
#define VERIFY_DEPTH_MAX	8
/* 112 bits: no RSA below 2048, no SHA-1; SSL_CTX_set_security_level(3). */
#define VERIFY_LEVEL	2

/*
 * Is the peer's chain good, and has it the names that it needs?  For
 * SSL_CTX_set_cert_verify_callback(3) with a struct tls_context.  1, or 0 after
 * the error in "store", from which the alert comes, and the failure of the
 * connection have been set.
 */
int verify_peer(X509_STORE_CTX *store, void *context);

/* What has come of a check, and of whose certificate. */
struct verdict {
	bool client;
	const char *reason;	/* A word, */
	struct failure *why;	/* and all of it. */
	bool may_pass;		/* As in struct tls_files, */
	int64_t when;		/* and the same. */
	int64_t expires;
	STACK_OF(X509) **chain;	/* Where the chain goes, or NULL; */
	int untrusted;		/* how many of it, from the first on, are not
				 * in the authority's file. */
};

/*
 * Check the chain from "cert" over "chain" to an authority of "c" out of a
 * handshake, as the certificate of a client or of a server (v->client).  0, or
 * -1 with the reasons in "v".
 */
int verify_alone(struct tls_context *c, X509 *cert, STACK_OF(X509) *chain,
    struct verdict *v);

/* The first notAfter of a chain, in seconds since 1970. */
int64_t verify_expires(STACK_OF(X509) *chain);

#endif
