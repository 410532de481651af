/*
 * key.h - the private key of our own certificate: a part of common/tls, and
 * for it alone.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_TLS_KEY_H
#define AIS_TLS_KEY_H

#include <openssl/ssl.h>

#include "common/base/failure.h"
#include "common/tls/types.h"

/*
 * Take files->key, a file or what tls_store_uri() knows, into "ssl", whose
 * certificate is there already and must be that of the key.  A provider may
 * block for as long as its device does; it is asked once for a key, which is
 * kept while the process lives.  0, or -1 with the reason in "why" and
 * files->at_fault set.
 */
int key_load(SSL_CTX *ssl, struct tls_files *files, struct failure *why);

#endif
