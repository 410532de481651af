/*
 * crl.h - one certificate revocation list: a part of common/tls, and for it
 * alone.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_TLS_CRL_H
#define AIS_TLS_CRL_H

#include <stdbool.h>
#include <stdint.h>

#include <openssl/x509v3.h>

#include "common/base/failure.h"
#include "common/tls/types.h"

struct crl {
	char *path;			/* The file that has it. */
	X509_CRL *crl;
	ISSUING_DIST_POINT *scope;	/* NULL: all certificates. */
	int64_t this_update;
	int64_t next_update;		/* 0: none. */
	EVP_PKEY *key;			/* Has signed it; NULL: not known. */
};

/*
 * Make "l" of the list "crl", which is taken over, of the file "path", and sort
 * its entries.  0, or -1: AIS cannot use it, as "wrong" says, or memory is out
 * (TLS_FAILURE_MEMORY).  crl_free() follows in both cases.
 */
int crl_init(struct crl *l, const char *path, X509_CRL *crl,
    struct failure *wrong);
void crl_free(struct crl *l);

/* Would "cert" be on the list if its issuer had revoked it? */
bool crl_covers(const struct crl *l, X509 *cert);

/* Are two lists for the same certificates, if they have one issuer? */
bool crl_same_scope(const struct crl *a, const struct crl *b);

/* Are two lists of one issuer?  Of those of one name by the key, and where no
 * certificate has told it by the number that the lists give it. */
bool crl_same_issuer(const struct crl *a, const struct crl *b);

/* Does the list say that it is of the issuer "name"? */
bool crl_names_issuer(const struct crl *l, const X509_NAME *name);

/* Has "issuer" signed the list?  Found out once: the list then remembers the
 * key. */
bool crl_is_of(struct crl *l, X509 *issuer);

/* Is "a" to be used at "now", in seconds since 1970, and not "b" of the same
 * issuer and scope?  A list whose time is to come may have been put in place
 * early. */
bool crl_is_newer(const struct crl *a, const struct crl *b, int64_t now);

/* Is "cert" good by the list, of its issuer, at "now"?  With "stale" the list
 * may be after its nextUpdate.  X509_V_OK, or another X509_V_ERR. */
int crl_check(const struct crl *l, X509 *cert, bool stale, int64_t now);

/* What ends of the list; term->file stays the list's. */
void crl_describe(const struct crl *l, struct tls_term *term);

#endif
