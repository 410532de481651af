/*
 * load.h - certificates, keys and authorities from their files: a part of
 * common/tls, and for it alone.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_TLS_LOAD_H
#define AIS_TLS_LOAD_H

#include <stdbool.h>

#include <openssl/ssl.h>

#include "common/base/failure.h"
#include "common/tls/types.h"

/*
 * Read our own certificate, what leads from it to the authority, and its key
 * into "ssl".  0, or -1 with the reason in "why" and files->at_fault set.
 */
int load_own(SSL_CTX *ssl, struct tls_files *files, struct failure *why);

/*
 * Read the certificates of the authority into "ssl".  A revocation list among
 * them is a failure: there it would be of no effect.  "server": say what a
 * server can do about that.  0, or -1 as above.
 */
int load_authority(SSL_CTX *ssl, bool server, struct tls_files *files,
    struct failure *why);

/* The first certificate in the file "path", which the caller frees.  NULL with
 * the reason in "why". */
X509 *load_first(const char *path, struct failure *why);

#endif
