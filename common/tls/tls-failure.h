/*
 * tls-failure.h - why a connection failed, in words: a part of common/tls,
 * and for it alone.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_TLS_FAILURE_H
#define AIS_TLS_FAILURE_H

#include <openssl/x509.h>

#include "common/tls/state.h"

/* Each sets the failure of "tls", which tls_failure() answers. */

/* Memory is out, on our side. */
void tls_failure_memory(struct tls *tls);

/* The chain of the peer is refused, by the error in "store".  The identity that
 * it claims is noted as well. */
void tls_failure_chain(struct tls *tls, X509_STORE_CTX *store);

/* The stream has ended without close_notify; "e" is an errno, or 0. */
void tls_failure_cut(struct tls *tls, int e);

/* OpenSSL has found a failure itself, or an alert reports one: its queue of
 * errors tells which.  What verify_peer() has noted is kept. */
void tls_failure_protocol(struct tls *tls);

#endif
