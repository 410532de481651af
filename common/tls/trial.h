/*
 * trial.h - whether OpenSSL, as this machine has it configured, can do
 * what is asked of it: a part of common/tls, and for it alone.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_TLS_TRIAL_H
#define AIS_TLS_TRIAL_H

#include <openssl/ssl.h>

#include "common/base/failure.h"
#include "common/tls/types.h"

#define TRIAL_FILE_MAX	256
/* Write where the configuration of OpenSSL is to "out", and return that. */
const char *trial_configuration(char out[TRIAL_FILE_MAX]);

/* Why OpenSSL has not made a context: the reason in "why", from its queue of
 * errors, which is emptied. */
void trial_explain(struct failure *why);

/* Does the configuration of OpenSSL leave "ssl" a version of TLS that AIS
 * takes?  0, or -1 with the reason in "why". */
int trial_versions(SSL_CTX *ssl, struct failure *why);

/*
 * Shake hands, in memory, as a server by "ssl" with a client under the same
 * configuration: is there a signature of our key, a version, a cipher and a
 * group that both take?  Certificates are not verified.  "stored" names a key
 * that a provider has, and is else NULL.  0, or -1 with the reason in "why".
 */
int trial_handshake(SSL_CTX *ssl, const char *stored, struct failure *why);

#endif
