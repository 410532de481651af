/*
 * revocation.h - certificate revocation lists: a part of common/tls, and for
 * it alone.
 *
 * SPDX-License-Identifier: ISC
 *
 * A list is parsed and sorted when it is loaded, and its signature verified
 * once.  OpenSSL's own check, X509_V_FLAG_CRL_CHECK, digests the whole list
 * again at each handshake.
 */
#ifndef AIS_TLS_REVOCATION_H
#define AIS_TLS_REVOCATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/x509.h>

#include "common/base/failure.h"
#include "common/tls/types.h"

struct revocation;

/*
 * Read all lists of the file "path", in PEM, or the one that it has in DER; or
 * of the files *.pem of the directory "path".  If it takes long, the log says
 * how long.  NULL with the reason in "why", and errno being that of the call
 * that failed, or 0 where the content of a file is wrong.
 */
struct revocation *revocation_load(const char *path, struct failure *why);
void revocation_free(struct revocation *r);

/*
 * Verify the lists whose issuer is one of "certs".  0, or -1 with the reason
 * in "why": a list names one of them, and none of them has signed it.  A list
 * of another issuer is verified when that one's certificate comes.
 */
int revocation_verify(struct revocation *r, STACK_OF(X509) *certs,
    struct failure *why);

/*
 * Is "cert", which "issuer" has signed, on the lists of its issuer that are for
 * it?  Of lists for the same certificates (issuingDistributionPoint) the newest
 * counts.  X509_V_OK if there is one at least and the certificate is on none,
 * else an X509_V_ERR.  With "stale" a list after its nextUpdate is accepted.
 */
int revocation_check(struct revocation *r, X509 *cert, X509 *issuer,
    bool stale);

/* Does a list with the name of the issuer of "cert" say that "cert" has been
 * revoked?  Without the issuer's certificate the signature of the list cannot
 * be verified: so it may refuse a certificate, and never accept one. */
bool revocation_says(const struct revocation *r, X509 *cert);

/* Put the list of those that revocation_check() asks into "term" that ends
 * first, unless the one in "term" does (ends == 0: there is none). */
void revocation_first(struct revocation *r, X509 *cert, X509 *issuer,
    struct tls_term *term);

/* How many lists there are. */
size_t revocation_count(const struct revocation *r);

/* Put the newest lists of all issuers into "terms", which has room for
 * revocation_count().  Returns how many it was. */
size_t revocation_terms(const struct revocation *r, struct tls_term *terms);

/*
 * From which second on, since 1970, has each issuer a list that has begun, by
 * thisUpdate?  0 where each has one now; else "why" says so:
 * every client of that issuer would be refused.
 */
int64_t revocation_begins(const struct revocation *r, struct failure *why);

/* The second at which the next list begins, which is then the newest of its
 * issuer; 0: there is none. */
int64_t revocation_next(const struct revocation *r);

#endif
