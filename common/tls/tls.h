/*
 * tls.h - contexts, one non-blocking mutual TLS connection, and the peer's
 * identity.  The only module that knows OpenSSL.
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

#include "common/base/fd.h"

struct buf;
struct tls_context;
struct tls;

/* What a message of this module may hold. */
#define TLS_TEXT_MAX	512
/* Names and serial of an identity as text. */
#define TLS_NAME_MAX	512
#define TLS_DN_MAX	4096	/* Subject and issuer. */
#define TLS_SERIAL_MAX	132	/* Of the longest that is accepted. */
#define TLS_FINGERPRINT_MAX 65	/* SHA-256 in hexadecimal. */
#define TLS_SANS_MAX	16384

/* The files of one side. */
struct tls_files {
	const char *certificate;	/* PEM: own chain, leaf first. */
	const char *key;		/* PEM: its private key. */
	const char *authority;		/* PEM: the authority's. */
	const char *crl;		/* PEM: revocation lists; or one in
					 * DER, or a directory of *.pem with
					 * such, or NULL. */
	bool old_crl;			/* A list past its nextUpdate is good
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

/* Who the other side is, as its verified certificate says. */
struct tls_identity {
	char common_name[TLS_NAME_MAX];	/* "" unless exactly one, in UTF-8. */
	char subject[TLS_DN_MAX];	/* RFC 2253, escaped; "..." ends one */
	char issuer[TLS_DN_MAX];	/* that is cut. */
	char serial[TLS_SERIAL_MAX];	/* Hexadecimal, upper case. */
	char fingerprint[TLS_FINGERPRINT_MAX];
	/*
	 * The subjectAltNames, one string after the other, each with its kind
	 * before it: "DNS:", "EMAIL:", "URI:", "IP:".  An empty string ends
	 * them.  There are none of another kind.
	 */
	char sans[TLS_SANS_MAX];
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

/* The kinds of failure that callers tell apart. */
enum tls_failure {
	TLS_FAILURE_NONE,
	TLS_FAILURE_CERTIFICATE, /* The other's certificate: see the text. */
	TLS_FAILURE_AUTHORITY,	/* The same: it is from another authority. */
	TLS_FAILURE_NAME,	/* It is valid, for another name. */
	TLS_FAILURE_REFUSED,	/* The other side refused ours, by an alert. */
	TLS_FAILURE_ENDED,	/* It left by another alert. */
	TLS_FAILURE_NOT_TLS,	/* What came is not TLS. */
	TLS_FAILURE_PROTOCOL,	/* No common version, cipher or ALPN. */
	TLS_FAILURE_ALTERED,	/* A record failed its integrity check. */
	TLS_FAILURE_CUT,	/* The stream ended without close_notify. */
	TLS_FAILURE_SYSTEM,	/* The socket. */
	TLS_FAILURE_MEMORY	/* There was none left, on our side. */
};

/*
 * Read the files, without being kept waiting by what is no file, and make the
 * context of a server or a client.  Checked is
 * that files can be read and parsed, that the key matches the certificate and
 * that the certificate is valid now.  NULL with a sentence in "why" that names
 * the file and says what to do, and files->at_fault being one of its members.
 * A certificate or a list whose time is to come, or may seem to be over by a
 * wrong clock, may pass, and so may lack of memory, of descriptors, or of a
 * file.
 */
struct tls_context *tls_server_new(struct tls_files *files,
    char why[TLS_TEXT_MAX]);
struct tls_context *tls_client_new(struct tls_files *files,
    char why[TLS_TEXT_MAX]);

/*
 * Would a client take our certificate?  Checks the chain of a server's context
 * as its clients will: authority, purpose, dates, revocation; that it has the
 * name of a host; and, by a handshake in memory, that key, version and cipher
 * are such as clients take.  A list that is overdue is none of its faults: see
 * tls_context_terms().  0, or -1 with a sentence in "why", and "files", from
 * which it was made, as above.
 */
int tls_server_check(struct tls_context *context, struct tls_files *files,
    char why[TLS_TEXT_MAX]);

/* The same of a client's context: would a server take our certificate, if its
 * authority is ours? */
int tls_client_check(struct tls_context *context, char why[TLS_TEXT_MAX]);

/*
 * The certificate number "n" of our own chain, which begins with 0, our own:
 * of that in our file, or where tls_client_check() has accepted it, of the one
 * that it has found, up to the authority.  0, or -1: it has no such.
 */
int tls_context_certificate(const struct tls_context *context, size_t n,
    struct tls_identity *id);

/* Contexts are counted by their connections: free whenever it is unused. */
void tls_context_free(struct tls_context *context);

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
 * tls_error() and tls_failure(); an alert that says so is on its way.  A client
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

/* Why the last call failed: a sentence for people, foreign bytes escaped. */
const char *tls_error(const struct tls *tls);
enum tls_failure tls_failure(const struct tls *tls);

/*
 * Would the peer's chain be accepted now, by "context"?  0, or -1 with a
 * sentence in "why" and one word for the record in "reason": "revoked",
 * "expired" or "untrusted".  The handshake is done.
 */
int tls_recheck(struct tls *tls, struct tls_context *context,
    const char **reason, char why[TLS_TEXT_MAX]);

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
 * without verifying it.  0, or -1 with a sentence in "why".
 */
int tls_identity_load(const char *path, struct tls_identity *id,
    char why[TLS_TEXT_MAX]);

/* The protocol version and the cipher, such as "TLSv1.3". */
const char *tls_version(const struct tls *tls);
const char *tls_cipher(const struct tls *tls);

#endif
