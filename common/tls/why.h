/*
 * why.h - why a chain of certificates is refused, in words: a part of
 * common/tls, and for it alone.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_TLS_WHY_H
#define AIS_TLS_WHY_H

#include <stdbool.h>

#include <openssl/x509.h>

#include "common/tls/types.h"

struct revocation;

/* A check that has failed, and what is known of the chain beside. */
struct why_case {
	X509_STORE_CTX *store;		/* The check, with its error. */
	struct revocation *lists;	/* That were asked, or NULL. */
	bool server;			/* We are a server, */
	bool client;			/* and the chain is a client's. */
};

/* Is the X509_V_ERR "e" about where the chain leads? */
bool why_is_chain(int e);

/* Is it about the revocation list? */
bool why_is_list(int e);

/* May "cert" sign a handshake, and is it no authority's own? */
bool why_is_leaf(X509 *cert);

/* Does "cert" name itself as its issuer? */
bool why_is_own_issuer(X509 *cert);

/* Is there a certificate in "store" that has this name? */
bool why_has_authority(X509_STORE *store, const X509_NAME *name);

/* A sentence that says which certificate is refused, why, and what to do. */
void why_refused(const struct why_case *w, char out[TLS_TEXT_MAX]);

#endif
