/*
 * why.h - why a chain of certificates is refused, in words: a part of
 * common/tls, and for it alone.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_TLS_WHY_H
#define AIS_TLS_WHY_H

#include <stdbool.h>

#include <openssl/x509.h>

#include "common/base/failure.h"
#include "common/tls/types.h"

struct revocation;

/* A check that has failed, and what is known of the chain besides. */
struct why_case {
	X509_STORE_CTX *store;		/* The check, with its error. */
	struct revocation *lists;	/* The revocation lists, or NULL. */
	bool server;			/* We are a server, */
	bool client;			/* and the chain is a client's. */
};

/* Is the X509_V_ERR "e" about the revocation list? */
bool why_is_list(int e);

/* May "cert" sign a handshake, and is it not an authority's own? */
bool why_is_leaf(X509 *cert);

/*
 * Is an intermediate authority's certificate probably missing: is "cert" issued
 * by another that is not in "store", and has nothing but itself come along with
 * it, in "others" (or NULL)?
 */
bool why_is_alone(X509 *cert, STACK_OF(X509) *others, X509_STORE *store);

/* Make "f" say which certificate is refused, why, and what to do. */
void why_refused(const struct why_case *w, struct failure *f);

#endif
