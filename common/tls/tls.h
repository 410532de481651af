/*
 * tls.h - one non-blocking mutual TLS connection, and the peer's identity.
 *
 * SPDX-License-Identifier: ISC
 *
 * TLS 1.3 unless a context allows 1.2; both sides show a certificate and
 * verify the other's: chain to the one authority, dates, purpose, revocation
 * where a list is given, and on the client the server's name against its
 * subjectAltName alone (RFC 9525).  No tickets and no resumption, since a
 * resumed session would outlive its certificate.
 */
#ifndef AIS_TLS_H
#define AIS_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/failure.h"
#include "common/base/fd.h"
#include "common/tls/context.h"
#include "common/tls/types.h"

struct buf;
struct tls;

/*
 * Begin a connection over "fd", which stays the caller's.  A client names the
 * server that must answer (a DNS name or an address); a server passes NULL.
 * NULL if memory is out, or if net_host() does not take the name.
 */
struct tls *tls_open(struct tls_context *context, int fd, const char *name);
void tls_free(struct tls *tls);

/*
 * Go on with the handshake.  IO_OK: done, the peer is verified and speaks our
 * ALPN protocol.  IO_WAIT: wait for tls_events().  IO_ERROR: refused, see
 * tls_failure(); an alert that says so is on its way.  A client
 * that is verified and offers no protocol is told in a line of text what it has
 * reached.
 */
enum io tls_handshake(struct tls *tls);

/*
 * Has the handshake been answered, so that it has cost us our share of the
 * arithmetic?  The peer's first message was whole, then.  An alert is no
 * answer.
 */
bool tls_answered(const struct tls *tls);

/* What to wait for, in poll(2) events, to do what last answered IO_WAIT and
 * what the caller wants now. */
short tls_events(const struct tls *tls, bool reading, bool writing);

/* Are there bytes that can be read without waiting for the descriptor? */
bool tls_pending(const struct tls *tls);

/* Are there bytes that tls_drain() has taken and not yet written?  It will,
 * when it is called again, whether or not there are more. */
bool tls_has_output(const struct tls *tls);

/*
 * Move bytes once: to the end of "b", as much as it has room for; from the
 * front of "b".  IO_EOF: the peer has sent close_notify.  A stream that ends
 * without it is IO_ERROR with TLS_FAILURE_CUT.  When it is time, the key that
 * we send with is replaced (RFC 8446, 4.6.3 and 5.5; not with TLS 1.2).
 */
enum io tls_fill(struct tls *tls, struct buf *b);
enum io tls_drain(struct tls *tls, struct buf *b);

/* Send close_notify if the connection is whole.  Does not wait. */
void tls_shutdown(struct tls *tls);

/* Why the last call failed; its code is an enum tls_failure. */
const struct failure *tls_failure(const struct tls *tls);

/*
 * Would the peer's chain be accepted now, by "context"?  0, or -1 with the
 * reason in "why" and one word for the record in "reason": "revoked",
 * "expired" or "untrusted".  The handshake is done.
 */
int tls_recheck(struct tls *tls, struct tls_context *context,
    const char **reason, struct failure *why);

/* When the first certificate expires of the chain by which the peer was last
 * accepted, in seconds since 1970.  The handshake is done. */
int64_t tls_peer_expires(const struct tls *tls);

/* Of the revocation lists that the peer's chain is looked for on, the one that
 * ends first.  0, or -1: there is none, or none that ends. */
int tls_peer_list(const struct tls *tls, struct tls_term *list);

/* The peer, once it has shown a certificate, verified or not; else NULL. */
const struct tls_identity *tls_peer(const struct tls *tls);

/* The certificate number "n" of the chain by which the peer was accepted in
 * the handshake; 0 is its own, the last one an authority's of ours.  0, or -1:
 * there is no such. */
int tls_peer_certificate(const struct tls *tls, size_t n,
    struct tls_identity *id);

/*
 * Read who a certificate is for from the first one in the PEM file "path",
 * without verifying it.  0, or -1 with the reason in "why".
 */
int tls_identity_load(const char *path, struct tls_identity *id,
    struct failure *why);

/* The protocol version and the cipher, such as "TLSv1.3". */
const char *tls_version(const struct tls *tls);
const char *tls_cipher(const struct tls *tls);

#endif
