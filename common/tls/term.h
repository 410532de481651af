/*
 * term.h - what of a context ends by itself: a part of common/tls, and for
 * it alone.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_TLS_TERM_H
#define AIS_TLS_TERM_H

#include <stddef.h>

#include <openssl/x509.h>

#include "common/tls/types.h"

struct revocation;

/* Where it is found; all is borrowed. */
struct term_sources {
	X509 *own;		/* Our certificate. */
	STACK_OF(X509) *path;	/* From that to the authority, or NULL; */
	int untrusted;		/* so many are not in the authority's file. */
	X509_STORE *store;	/* The authority's certificates. */
	const struct revocation *lists;	/* Or NULL. */
};

/* See tls_context_terms(). */
struct tls_term *term_all(const struct term_sources *from, size_t *count);

#endif
