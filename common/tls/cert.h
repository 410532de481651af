/*
 * cert.h - what a certificate says: a part of common/tls, and for it
 * alone.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_TLS_CERT_H
#define AIS_TLS_CERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/x509.h>

#include "common/base/failure.h"
#include "common/tls/types.h"

/* Was it memory that OpenSSL lacked?  Its queue of errors is emptied. */
bool cert_lacked_memory(void);

/* The reason of the last error in OpenSSL's queue, or "unknown error". */
const char *cert_last_reason(void);

/* Seconds since 1970; 0 for NULL and for what is no time. */
int64_t cert_seconds(const ASN1_TIME *t);

#define CERT_WHEN_MAX	192
/*
 * A time as people read it, in UTC; how far it is from now; and what "whose"
 * clock says, by which a wrong one is seen: "2026-01-02 03:04:05 UTC, 2 days
 * ago by our clock (2026-01-04 03:04:05 UTC)".
 */
const char *cert_when(const ASN1_TIME *t, const char *whose,
    char out[CERT_WHEN_MAX]);

/* Make "f" say that "what" has expired on "t", and that "what" is not valid
 * before "t", each by "whose" clock. */
void cert_expired(struct failure *f, int code, const char *what,
    const ASN1_TIME *t, const char *whose);
void cert_not_yet(struct failure *f, int code, const char *what,
    const ASN1_TIME *t, const char *whose);

/* So much of a name is shown in a sentence. */
#define CERT_NAME_SHOWN	160

/* A name by RFC 2253, which escapes what is not printable ASCII, into "out"
 * of "size" bytes, at least 4.  0; 1: it is cut, and ends in "..."; -1: it
 * could not be written. */
int cert_name(X509_NAME *name, char *out, size_t size);

/*
 * Does "cert" allow to be used by a client, or else by a server, as keyUsage,
 * extendedKeyUsage and nsCertType have it?  Those of an authority count as
 * well, for what is below it.  Without extendedKeyUsage, and with
 * anyExtendedKeyUsage, it is for any use (RFC 5280, 4.2.1.12).
 */
bool cert_allows(X509 *cert, bool client, bool authority);

/* Does it say what it is for, by an extendedKeyUsage? */
bool cert_has_purpose(X509 *cert);

/* Fill "id", which says itself what it lacks.  0, or -1: out of memory, or
 * there is no "cert". */
int cert_identity(X509 *cert, struct tls_identity *id);

/*
 * The longest serial number, in bytes of its DER.  RFC 5280, 4.1.2.2, allows
 * 20, and one for the sign; there are authorities that take a whole hash.
 */
#define CERT_SERIAL_BYTES	64

/* A serial number in hexadecimal, cut if it is too long; "": out of memory. */
void cert_serial(const ASN1_INTEGER *serial, char out[TLS_SERIAL_MAX]);

/* Has "cert" a serial number that is short enough to be looked up in lists? */
bool cert_has_serial(X509 *cert);

/* Write the DNS names and addresses that "cert" is for, by which clients verify
 * it, as a list for a sentence, "DNS:a.example, IP:192.0.2.1"; or as many as
 * there is room for.  Whether it has any. */
bool cert_names(X509 *cert, char *out, size_t size);

#endif
