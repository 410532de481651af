/*
 * types.h - what the parts of common/tls and their callers share: limits,
 * the files of one side, an identity, the kinds of failure.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_TLS_TYPES_H
#define AIS_TLS_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/wire/proto.h"

/* The protocols of which a peer has to know one, as RFC 7301 lists them: each
 * with its length before it. */
#define TLS_ALPN_LIST	"\x05" PROTO_ALPN

/* Names and serial of an identity as text. */
#define TLS_NAME_MAX	512
#define TLS_DN_MAX	4096	/* Subject and issuer. */
#define TLS_SERIAL_MAX	132	/* Of the longest that is accepted. */
#define TLS_FINGERPRINT_MAX 65	/* SHA-256 in hexadecimal. */
#define TLS_SANS_MAX	16384

struct failure;

/* The files of one side. */
struct tls_files {
	const char *certificate;	/* PEM: own chain, leaf first. */
	const char *key;		/* PEM: its private key; or a name for
					 * tls_store_uri(). */
	/* Called for the passphrase of the key, if that is encrypted: as
	 * passphrase_get(), with "asked".  NULL: there is no one to ask. */
	int (*passphrase)(const void *asked, char *out, int size,
	    struct failure *why);
	const void *asked;
	const char *authority;		/* PEM: the authority's. */
	const char *crl;		/* PEM: revocation lists; or one in
					 * DER, or a directory of *.pem with
					 * such, or NULL. */
	bool allow_stale_crl;		/* A list past its nextUpdate is good
					 * enough. */
	bool allow_tls12;
	bool pipes;			/* A pipe may stand for any of them
					 * but lists: its writer is waited for,
					 * a minute at most. */
	bool any_purpose;		/* On a server: a client's certificate
					 * need not have an extendedKeyUsage. */
	uint64_t key_records;		/* Our key is replaced after so many
					 * records; 0: by AES-GCM's bound. */
	int64_t key_age;		/* And after so many ms; 0: an hour. */
	/* Set by a failure: */
	const char *at_fault;		/* which of them it is about; */
	bool may_pass;			/* whether the same files may be good
					 * enough later; */
	int64_t when;			/* the second since 1970 from which on
					 * they are, or 0: not known. */
};

/* A key that is in no file: after this comes a URI, as ossl_store(7) has them,
 * for a provider of OpenSSL. */
#define TLS_STORE	"store:"

/* The URI in the name "key" of a key; NULL: that names a file, or is NULL. */
static inline const char *
tls_store_uri(const char *key)
{
	return key != NULL && strncmp(key, TLS_STORE,
	    sizeof TLS_STORE - 1) == 0 ? key + sizeof TLS_STORE - 1 : NULL;
}

/* Who the other side is, as its verified certificate says. */
struct tls_identity {
	char common_name[TLS_NAME_MAX];	/* "" unless exactly one, in UTF-8. */
	char subject[TLS_DN_MAX];	/* RFC 2253, escaped; "..." ends one */
	char issuer[TLS_DN_MAX];	/* that is cut. */
	char serial[TLS_SERIAL_MAX];	/* Hexadecimal, upper case. */
	char fingerprint[TLS_FINGERPRINT_MAX];
	/*
	 * The subjectAltNames, one string after the other, each with its kind
	 * before it: "DNS:", "EMAIL:", "URI:", "IP:", and "UPN:" for a user
	 * principal name.  An empty string ends them.  There are none of
	 * another kind.
	 */
	char sans[TLS_SANS_MAX];
	/*
	 * In the same way, in UTF-8, the attributes of the subject: each "CN:",
	 * "OU:", "O:", "UID:", "SERIALNUMBER:" and "EMAILADDRESS:"; and "DC:"
	 * with the domain that the domain components make (RFC 2247).
	 */
	char attributes[TLS_DN_MAX];
	/*
	 * What the certificate has and this struct cannot hold, as the object
	 * of a sentence; NULL: nothing.  A server refuses such a client: the
	 * rule for a name that is missing here would be passed over, for a
	 * wider one.
	 */
	const char *lacks;
	int64_t not_before;		/* Seconds since 1970. */
	int64_t not_after;
};

/* The kinds of failure that callers tell apart: the "code" of each struct
 * failure of this module. */
enum tls_failure {
	TLS_FAILURE_NONE,
	TLS_FAILURE_FILES,	/* One of our own files, or OpenSSL here. */
	TLS_FAILURE_CERTIFICATE, /* The other's certificate: see the text. */
	TLS_FAILURE_AUTHORITY,	/* The same: it is from another authority. */
	TLS_FAILURE_NAME,	/* It is valid, for another name. */
	TLS_FAILURE_REFUSED,	/* The other side refused ours, by an alert. */
	TLS_FAILURE_ENDED,	/* It ended the connection by another alert. */
	TLS_FAILURE_NOT_TLS,	/* What came is not TLS. */
	TLS_FAILURE_PROTOCOL,	/* No common version, cipher or ALPN. */
	TLS_FAILURE_ALTERED,	/* A record failed its integrity check. */
	TLS_FAILURE_CUT,	/* The stream ended without close_notify. */
	TLS_FAILURE_SYSTEM,	/* The socket. */
	TLS_FAILURE_MEMORY	/* There is no more, on our side. */
};

/* What of a context ends by itself. */
enum tls_term_kind {
	TLS_TERM_CERTIFICATE,	/* Our own. */
	TLS_TERM_INTERMEDIATE,	/* One between that and the authority. */
	TLS_TERM_AUTHORITY,
	TLS_TERM_LIST		/* The newest revocation list of one issuer. */
};

struct tls_term {
	enum tls_term_kind kind;
	char name[TLS_NAME_MAX];	/* Its subject, or the list's issuer. */
	const char *file;	/* Of a list: where it stands; the context's. */
	int64_t begins;		/* Seconds since 1970; a list's thisUpdate */
	int64_t ends;		/* and nextUpdate; 0: it has none. */
};

#endif
