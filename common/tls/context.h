/*
 * context.h - from the files of one side to a context, of which connections
 * are made.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_TLS_CONTEXT_H
#define AIS_TLS_CONTEXT_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/failure.h"
#include "common/tls/types.h"

struct tls_context;

/*
 * Read the files, without being kept waiting by what is no file, and make the
 * context of a server or a client.  Checked is
 * that files can be read and parsed, that the key matches the certificate and
 * that the certificate is valid now.  NULL with the reason in "why" that names
 * the file and says what to do, and files->at_fault being one of its members.
 * A certificate or a list whose time is to come, or may seem to be over by a
 * wrong clock, may pass, and so may lack of memory, of descriptors, or of a
 * file.
 */
struct tls_context *tls_server_new(struct tls_files *files,
    struct failure *why);
struct tls_context *tls_client_new(struct tls_files *files,
    struct failure *why);

/*
 * Would a client take our certificate?  Checks the chain of a server's context
 * as its clients will: authority, purpose, dates, revocation; that it has the
 * name of a host; and, by a handshake in memory, that key, version and cipher
 * are such as clients take.  A list that is overdue is none of its faults: see
 * tls_context_terms().  0, or -1 with the reason in "why", and "files", from
 * which it was made, as above.
 */
int tls_server_check(struct tls_context *context, struct tls_files *files,
    struct failure *why);

/* The same of a client's context: would a server take our certificate, if its
 * authority is ours? */
int tls_client_check(struct tls_context *context, struct failure *why);

/*
 * The certificate number "n" of our own chain, which begins with 0, our own:
 * of that in our file, or where tls_client_check() has accepted it, of the one
 * that it has found, up to the authority.  0, or -1: it has no such.
 */
int tls_context_certificate(const struct tls_context *context, size_t n,
    struct tls_identity *id);

/* Contexts are counted by their connections: free whenever it is unused. */
void tls_context_free(struct tls_context *context);

/*
 * All that ends of "context", of which tls_server_check() has found the
 * intermediate certificates, and of the authority's certificates the first to
 * end of those that have not.  An array of "*count" that the caller frees; NULL
 * if memory is out.
 */
struct tls_term *tls_context_terms(const struct tls_context *context,
    size_t *count);

/* The second at which a revocation list begins that is there already, and takes
 * the place of another; 0: never. */
int64_t tls_context_crl_begins(const struct tls_context *context);

#endif
