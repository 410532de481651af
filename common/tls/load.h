/*
 * load.h - certificates and authorities from their files, and other files into
 * memory: a part of common/tls, and for it alone.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_TLS_LOAD_H
#define AIS_TLS_LOAD_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/ssl.h>

#include "common/base/failure.h"
#include "common/tls/types.h"

/* A file's bytes, and OpenSSL's reader of them. */
struct load_file {
	char *data;
	size_t size;
	BIO *bio;
};

/*
 * Read the file at fault, which is the "what" of the configuration.  0, or -1
 * with the reason in "why", and files->may_pass set.  load_close() is due after
 * success; it clears the memory, for it may be a key.
 */
int load_open(struct load_file *s, const char *what, struct tls_files *files,
    struct failure *why);
void load_close(struct load_file *s);

/* Say why a file cannot be used, and what to do ("": nothing), and empty
 * OpenSSL's queue of errors.  -1. */
int load_fail(struct failure *why, const char *hint, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * Read our own certificate, and what leads from it to the authority, into
 * "ssl".  0, or -1 with the reason in "why" and files->at_fault set.
 */
int load_chain(SSL_CTX *ssl, struct tls_files *files, struct failure *why);

/*
 * Read the certificates of authorities, at each of which a chain may end, into
 * "ssl".  A revocation list among them is a failure: there it would be of no
 * effect.  "server": say what a server can do about that.  0, or -1 as above.
 */
int load_authority(SSL_CTX *ssl, bool server, struct tls_files *files,
    struct failure *why);

/* The first certificate in the file "path", which the caller frees.  NULL with
 * the reason in "why". */
X509 *load_first(const char *path, struct failure *why);

#endif
