/*
 * crl.h - certificate revocation lists: a part of common/tls, and for it
 * alone.
 *
 * OpenSSL's own check digests the whole list again at each handshake, and
 * keeps an object of some 300 bytes for each entry.  Here the signature is
 * verified once, and of the entries their serial numbers alone are kept.
 */
#ifndef AIS_TLS_CRL_H
#define AIS_TLS_CRL_H

#include <stdbool.h>
#include <stdint.h>

#include <openssl/x509.h>

#include "common/tls/tls.h"

struct revocation;

/*
 * Read all lists of the file "path", in PEM, or the one that it has in DER; or
 * of the files *.pem of the directory "path".  NULL with a sentence in "why",
 * and errno being that of the call that failed, or 0 where a file says what it
 * must not.
 */
struct revocation *revocation_load(const char *path, char why[TLS_TEXT_MAX]);
void revocation_free(struct revocation *r);

/*
 * Verify the lists whose issuer is one of "certs".  0, or -1 with a sentence
 * in "why": a list names one of them, and none of them has signed it.  A list
 * of another issuer is verified when that one's certificate comes.
 */
int revocation_verify(struct revocation *r, STACK_OF(X509) *certs,
    char why[TLS_TEXT_MAX]);

/*
 * Is "cert", which "issuer" has signed, on the newest of its lists?  X509_V_OK
 * if there is one and the certificate is not on it, else an X509_V_ERR.  With
 * "old" a list past its nextUpdate will do.
 */
int revocation_check(struct revocation *r, X509 *cert, X509 *issuer,
    bool old);

/*
 * Take down the newest list of the issuer of "cert", which is what
 * revocation_check() asks.  0, or -1: there is none.
 */
int revocation_list(struct revocation *r, X509 *cert, X509 *issuer,
    struct tls_term *term);

/* How many lists there are. */
size_t revocation_count(const struct revocation *r);

/* Of the lists of each issuer take down the one that revocation_check() asks.
 * There is room for revocation_count() in "terms"; returns how many it was. */
size_t revocation_terms(const struct revocation *r, struct tls_term *terms);

/*
 * From which second on, since 1970, has each issuer a list that has begun, by
 * thisUpdate?  0 where each has one now; else there is a sentence in "why":
 * every client of that issuer would be refused.
 */
int64_t revocation_begins(const struct revocation *r, char why[TLS_TEXT_MAX]);

/* The second at which the next list begins, which is then the newest of its
 * issuer; 0: there is none. */
int64_t revocation_next(const struct revocation *r);

#endif
