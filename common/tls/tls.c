#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/date.h"
#include "common/base/text.h"
#include "common/base/net.h"
#include "common/wire/proto.h"
#include "common/base/retry.h"
#include "common/tls/cert.h"
#include "common/tls/revocation.h"
#include "common/tls/load.h"
#include "common/tls/term.h"
#include "common/tls/trial.h"
#include "common/tls/why.h"
#include "common/tls/tls.h"

/* Longer chains than this have no place in a site of one authority. */
#define DEPTH_MAX	8
/* 112 bits: no RSA below 2048, no SHA-1; SSL_CTX_set_security_level(3). */
#define SECURITY_LEVEL	2
/* What one read(2) may bring: four records of the largest size. */
#define READ_AHEAD	(4 * 16384 + 1024)
/* How many bytes of records one write(2) takes; and from how many bytes on it
 * is worth to gather them, which are those of more than one record. */
#define GATHER		(8 * 16384 + 1024)
#define GATHER_FROM	16384
/* An alert that has no key yet, RFC 8446, section 5.1 and 6: header, level,
 * description. */
#define ALERT_SIZE	7
/* So much of what the peer says first is kept, to tell what it is. */
#define FIRST_MAX	64
/* Records sent under one key, and its age in ms.  AES-GCM is
 * safe for 2^24.5 records of the largest size: RFC 8446, 5.5. */
#define KEY_RECORDS	(UINT64_C(1) << 23)
#define KEY_AGE		INT64_C(3600000)
/* So much of a name is shown in a sentence. */
#define NAME_SHOWN	160

/* alerts, RFC 8446, section 6.2 */
enum {
	ALERT_BAD_RECORD_MAC = 20, ALERT_HANDSHAKE_FAILURE = 40,
	ALERT_BAD_CERTIFICATE = 42, ALERT_UNSUPPORTED_CERTIFICATE = 43,
	ALERT_REVOKED = 44, ALERT_EXPIRED = 45, ALERT_CERTIFICATE_UNKNOWN = 46,
	ALERT_UNKNOWN_CA = 48, ALERT_DECRYPT_ERROR = 51,
	ALERT_PROTOCOL_VERSION = 70, ALERT_CERTIFICATE_REQUIRED = 116,
	ALERT_NO_APPLICATION_PROTOCOL = 120
};

struct tls_context {
	SSL_CTX *ssl;
	bool server;
	bool any_purpose;	/* A client need not say that it is one. */
	struct revocation *crl;	/* NULL: revocation is not checked. */
	bool old_crl;
	uint64_t key_records;	/* See struct tls_files. */
	int64_t key_age;
	STACK_OF(X509) *accepted;	/* Our own chain, once checked. */
	size_t users;		/* The owner and every open connection. */
};

struct tls {
	struct tls_context *context;
	SSL *ssl;
	struct net_host host;	/* The server's, on the client. */
	short handshake_events;	/* What the handshake waits for. */
	bool done;		/* The handshake is complete. */
	bool broken;		/* No close_notify any more. */
	bool more;		/* The last fill left bytes behind. */
	bool gathers;		/* Records go through a buffer. */
	bool write_pending;	/* A record is written in part. */
	uint64_t records;	/* Sent since our key was replaced, */
	int64_t renewed;	/* which was then, by clock_now(). */
	bool read_wants_write;
	bool write_wants_read;
	bool has_peer;
	char first[FIRST_MAX];	/* The first bytes of the peer, as it sent
				 * them; not kept once it is done. */
	size_t first_used;
	struct tls_identity peer;
	int64_t expires;	/* The first of the peer's chain. */
	enum tls_failure failure;
	char error[TLS_TEXT_MAX];
};

static void __attribute__((format(printf, 2, 3)))
say(char out[TLS_TEXT_MAX], const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(out, TLS_TEXT_MAX, format, ap);
	va_end(ap);
}

/* --- is a chain good? ---------------------------------------------------- */

static void
fail_for_memory(struct tls *tls)
{
	tls->failure = TLS_FAILURE_MEMORY;
	say(tls->error, "out of memory");
}

/* Note the reason why the peer is refused, by the error in "store". */
static void
note_refusal(struct tls *tls, X509_STORE_CTX *store)
{
	const struct tls_context *c = tls->context;
	const struct why_case w = { .store = store, .lists = c->crl,
	    .server = c->server, .client = c->server };
	X509 *leaf = X509_STORE_CTX_get0_cert(store);
	int e = X509_STORE_CTX_get_error(store);
	char names[TLS_TEXT_MAX / 2];

	/* For want of memory a good certificate looks like any bad one. */
	if (e == X509_V_ERR_OUT_OF_MEM || cert_lacked_memory() ||
	    cert_identity(leaf, &tls->peer) == -1) {
		fail_for_memory(tls);
		return;
	}
	tls->has_peer = true;
	tls->failure = why_is_chain(e) ? TLS_FAILURE_AUTHORITY :
	    TLS_FAILURE_CERTIFICATE;
	if (e == X509_V_ERR_HOSTNAME_MISMATCH) {
		tls->failure = TLS_FAILURE_NAME;
		cert_names(leaf, names, sizeof names);
		say(tls->error, "the server's certificate is for %s, not for "
		    "%s:%.100s; use a name that it has, or set "
		    "\"server_name\" in aisc.conf", names,
		    tls->host.length > 0 ? "IP" : "DNS", tls->host.name);
	} else if (e == X509_V_ERR_UNSUPPORTED_NAME_SYNTAX &&
	    tls->peer.lacks != NULL)
		say(tls->error, "the certificate \"%.160s\" has %s, which "
		    "cannot be compared with the rules; make one without",
		    tls->peer.subject, tls->peer.lacks);
	else
		why_refused(&w, tls->error);
}

/*
 * Has "cert" or one of its authorities been revoked?  "store" has verified
 * the chain.  1, or 0 after the error has been set.
 */
static int
check_revocation(struct tls_context *c, X509_STORE_CTX *store)
{
	STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(store);
	int n = sk_X509_num(chain), e;

	for (int i = 0; i < n && c->crl != NULL; i++) {
		X509 *cert = sk_X509_value(chain, i);

		e = revocation_check(c->crl, cert, sk_X509_value(chain,
		    i + 1 < n ? i + 1 : i), c->old_crl);
		/* An authority that we trust by itself needs to be on no
		 * list: its own may be for other certificates alone. */
		if (e == X509_V_OK || (i > 0 && i + 1 == n &&
		    e == X509_V_ERR_DIFFERENT_CRL_SCOPE))
			continue;
		X509_STORE_CTX_set_error(store, e);
		X509_STORE_CTX_set_error_depth(store, i);
		X509_STORE_CTX_set_current_cert(store, cert);
		return 0;
	}
	return 1;
}

/*
 * Is the chain, which "store" has verified, for use by a "client", or else by
 * a server?  1, or 0 after the error has been set.
 */
static int
check_purpose(const struct tls_context *c, X509_STORE_CTX *store, bool client)
{
	STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(store);
	bool must_say = c->server && client && !c->any_purpose;

	for (int i = 0; i < sk_X509_num(chain); i++) {
		X509 *cert = sk_X509_value(chain, i);
		bool good = cert_allows(cert, client, i > 0);

		if (i == 0)
			good = good && why_is_leaf(cert) &&
			    (!must_say || cert_has_purpose(cert));
		if (good)
			continue;
		X509_STORE_CTX_set_error(store, X509_V_ERR_INVALID_PURPOSE);
		X509_STORE_CTX_set_error_depth(store, i);
		X509_STORE_CTX_set_current_cert(store, cert);
		return 0;
	}
	return 1;
}

/* Can the serial numbers of the chain be on a list, and on record, whole?  1,
 * or 0 after the error has been set. */
static int
check_serials(X509_STORE_CTX *store)
{
	STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(store);

	for (int i = 0; i < sk_X509_num(chain); i++) {
		X509 *cert = sk_X509_value(chain, i);

		if (cert_has_serial(cert))
			continue;
		X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
		X509_STORE_CTX_set_error_depth(store, i);
		X509_STORE_CTX_set_current_cert(store, cert);
		return 0;
	}
	return 1;
}

/*
 * Everything that is asked of a chain, in a handshake and out of one.  The
 * lists come last: to verify a list's signature is work, which no stranger
 * shall be able to ask for.
 */
static int
check_chain(struct tls_context *c, X509_STORE_CTX *store, bool client)
{
	return X509_verify_cert(store) == 1 &&
	    check_serials(store) == 1 &&
	    check_purpose(c, store, client) == 1 &&
	    check_revocation(c, store) == 1;
}

/*
 * Is the certificate for this host?  RFC 9525: its subjectAltName alone counts,
 * and a wildcard stands for one whole label.
 */
static bool
is_for_host(X509 *cert, const struct net_host *host)
{
	if (host->length > 0)
		return X509_check_ip(cert, host->address, host->length,
		    0) == 1;
	return X509_check_host(cert, host->name, strlen(host->name),
	    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
	    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1;
}

/* What is wrong with the names of a peer whose chain is good: an X509_V_ERR. */
static int
check_names(struct tls *tls, X509 *leaf)
{
	if (!tls->context->server)
		return is_for_host(leaf, &tls->host) ? X509_V_OK :
		    X509_V_ERR_HOSTNAME_MISMATCH;
	if (cert_identity(leaf, &tls->peer) == -1)
		return X509_V_ERR_OUT_OF_MEM;
	tls->has_peer = true;
	return tls->peer.lacks == NULL ? X509_V_OK :
	    X509_V_ERR_UNSUPPORTED_NAME_SYNTAX;
}

/*
 * The same as check_chain() for a connection's peer, with its names, and with
 * the reason for people.  The alert comes of the error in "store": for a list
 * that is overdue it would be that the peer's certificate is, and who gets it
 * would renew that in vain.
 */
static int
check_peer(X509_STORE_CTX *store, void *context)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store,
	    SSL_get_ex_data_X509_STORE_CTX_idx());
	X509 *leaf = X509_STORE_CTX_get0_cert(store);
	struct tls_context *c = context;
	struct tls *tls = SSL_get_app_data(ssl);
	int e;

	if (check_chain(c, store, c->server) == 1) {
		e = check_names(tls, leaf);
		if (e == X509_V_OK)
			return 1;
		X509_STORE_CTX_set_error(store, e);
		X509_STORE_CTX_set_current_cert(store, leaf);
	}
	e = X509_STORE_CTX_get_error(store);
	note_refusal(tls, store);
	/* The first becomes "certificate unknown", the second "unsupported
	 * certificate". */
	if (why_is_list(e))
		X509_STORE_CTX_set_error(store,
		    X509_V_ERR_UNHANDLED_CRITICAL_CRL_EXTENSION);
	else if (e == X509_V_ERR_UNSUPPORTED_NAME_SYNTAX)
		X509_STORE_CTX_set_error(store, X509_V_ERR_INVALID_PURPOSE);
	return 0;
}

/* --- contexts ---------------------------------------------------------- */

/* RFC 7301: the server takes our protocol from the client's list, or none. */
static int
select_alpn(SSL *ssl, const unsigned char **out, unsigned char *outlen,
    const unsigned char *in, unsigned inlen, void *context)
{
	static const unsigned char ours[] = "\x05" PROTO_ALPN;
	unsigned char *chosen;

	(void)ssl;
	(void)context;
	if (SSL_select_next_proto(&chosen, outlen, ours, sizeof ours - 1, in,
	    inlen) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

/* Verify the lists that an authority at hand must have signed. */
static int
verify_lists(struct tls_context *c, char why[TLS_TEXT_MAX])
{
	X509_STORE *store = SSL_CTX_get_cert_store(c->ssl);
	STACK_OF(X509) *certs = X509_STORE_get1_all_certs(store);
	int result = revocation_verify(c->crl, certs, why);

	sk_X509_pop_free(certs, X509_free);
	return result;
}

static int
load_lists(struct tls_context *c, struct tls_files *files,
    char why[TLS_TEXT_MAX])
{
	if (files->crl == NULL)
		return 0;
	files->at_fault = files->crl;
	c->old_crl = files->old_crl;
	if ((c->crl = revocation_load(files->crl, why)) == NULL) {
		files->may_pass = retry_may_help(errno);
		return -1;
	}
	if (verify_lists(c, why) == -1)
		return -1;
	files->when = revocation_begins(c->crl, why);
	files->may_pass = files->when != 0;
	return files->when == 0 ? 0 : -1;
}

/* Is our own certificate valid at this time? */
static int
check_dates(struct tls_context *c, struct tls_files *files,
    char why[TLS_TEXT_MAX])
{
	X509 *cert = SSL_CTX_get0_certificate(c->ssl);
	const ASN1_TIME *end = X509_get0_notAfter(cert);
	const ASN1_TIME *begin = X509_get0_notBefore(cert);
	char date[DATE_TEXT_MAX], distance[128];

	files->at_fault = files->certificate;
	/* The clock may be wrong, and nobody may be there to see it. */
	files->may_pass = true;
	if (X509_cmp_current_time(end) < 0) {
		say(why, "the certificate %s has expired on %s, %s; renew it, "
		    "or set that clock", files->certificate,
		    cert_date(end, date), cert_distance(end, "this machine's",
		    distance));
		return -1;
	}
	if (X509_cmp_current_time(begin) > 0) {
		files->when = cert_seconds(begin);
		say(why, "the certificate %s is not valid before %s, %s; "
		    "check that clock, and the authority's",
		    files->certificate, cert_date(begin, date),
		    cert_distance(begin, "this machine's", distance));
		return -1;
	}
	files->may_pass = false;
	return 0;
}

/* What both sides want of TLS. */
static void
set_common(SSL_CTX *ssl, const struct tls_files *files)
{
	SSL_CTX_set_security_level(ssl, SECURITY_LEVEL);
	(void)SSL_CTX_set_min_proto_version(ssl, files->allow_tls12 ?
	    TLS1_2_VERSION : TLS1_3_VERSION);
	(void)SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET |
	    SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	(void)SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	(void)SSL_CTX_clear_mode(ssl, SSL_MODE_AUTO_RETRY);
	(void)SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_read_ahead(ssl, 1);
	SSL_CTX_set_default_read_buffer_len(ssl, READ_AHEAD);
	SSL_CTX_set_verify_depth(ssl, DEPTH_MAX);
	/* The purpose is ours to check: see check_purpose(). */
	(void)SSL_CTX_set_purpose(ssl, X509_PURPOSE_ANY);
}

static struct tls_context *
context_new(bool server, struct tls_files *files, char why[TLS_TEXT_MAX])
{
	struct tls_context *c = calloc(1, sizeof *c);

	/* At exit the system takes the memory back by itself; for OpenSSL to
	 * do so first would be 4 percent of a short-lived client. */
	(void)OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL);
	ERR_clear_error();
	files->at_fault = NULL;
	files->may_pass = false;
	files->when = 0;
	if (c == NULL || (c->ssl = SSL_CTX_new(server ? TLS_server_method() :
	    TLS_client_method())) == NULL) {
		files->may_pass = c == NULL;
		trial_explain(why);
		free(c);
		return NULL;
	}
	c->users = 1;
	c->server = server;
	c->key_records = files->key_records != 0 ? files->key_records :
	    KEY_RECORDS;
	c->key_age = files->key_age != 0 ? files->key_age : KEY_AGE;
	set_common(c->ssl, files);
	SSL_CTX_set_cert_verify_callback(c->ssl, check_peer, c);
	if (trial_versions(c->ssl, why) == 0 &&
	    load_own(c->ssl, files, why) == 0 &&
	    load_authority(c->ssl, server, files, why) == 0 &&
	    load_lists(c, files, why) == 0 &&
	    check_dates(c, files, why) == 0)
		return c;
	tls_context_free(c);
	return NULL;
}

struct tls_context *
tls_server_new(struct tls_files *files, char why[TLS_TEXT_MAX])
{
	struct tls_context *c = context_new(true, files, why);

	if (c == NULL)
		return NULL;
	c->any_purpose = files->any_purpose;
	(void)SSL_CTX_set_num_tickets(c->ssl, 0);
	SSL_CTX_set_alpn_select_cb(c->ssl, select_alpn, NULL);
	SSL_CTX_set_verify(c->ssl, SSL_VERIFY_PEER |
	    SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	return c;
}

struct tls_context *
tls_client_new(struct tls_files *files, char why[TLS_TEXT_MAX])
{
	static const unsigned char ours[] = "\x05" PROTO_ALPN;
	struct tls_context *c = context_new(false, files, why);

	if (c == NULL)
		return NULL;
	SSL_CTX_set_verify(c->ssl, SSL_VERIFY_PEER, NULL);
	if (SSL_CTX_set_alpn_protos(c->ssl, ours, sizeof ours - 1) == 0)
		return c;
	say(why, "cannot make a TLS context: out of memory");
	tls_context_free(c);
	return NULL;
}

/* The record's word for a chain's error. */
static const char *
reason_word(int e)
{
	return e == X509_V_ERR_CERT_REVOKED ? "revoked" :
	    e == X509_V_ERR_CERT_HAS_EXPIRED ? "expired" : "untrusted";
}

/* The first notAfter of a chain. */
static int64_t
chain_expires(STACK_OF(X509) *chain)
{
	int64_t first = INT64_MAX, t;

	for (int i = 0; i < sk_X509_num(chain); i++) {
		t = cert_seconds(X509_get0_notAfter(sk_X509_value(chain, i)));
		if (t < first)
			first = t;
	}
	return first;
}

/* What has come of a check, and of whose certificate. */
struct verdict {
	bool client;
	const char *reason;	/* A word, */
	char *why;		/* and a sentence. */
	bool may_pass;		/* As in struct tls_files, */
	int64_t when;		/* and the same. */
	int64_t expires;
	STACK_OF(X509) **chain;	/* Where the chain goes, or NULL. */
};

/* Say what is wrong with the chain that fails in "store". */
static void
note_verdict(const struct tls_context *c, X509_STORE_CTX *store,
    struct verdict *v)
{
	const struct why_case w = { .store = store, .lists = c->crl,
	    .server = c->server, .client = v->client };
	X509 *current = X509_STORE_CTX_get_current_cert(store);
	int e = X509_STORE_CTX_get_error(store);

	why_refused(&w, v->why);
	v->reason = reason_word(e);
	v->may_pass = e == X509_V_ERR_CERT_HAS_EXPIRED ||
	    e == X509_V_ERR_CERT_NOT_YET_VALID ||
	    e == X509_V_ERR_CRL_HAS_EXPIRED || e == X509_V_ERR_OUT_OF_MEM;
	if (e == X509_V_ERR_CERT_NOT_YET_VALID && current != NULL)
		v->when = cert_seconds(X509_get0_notBefore(current));
}

/* Check a chain out of a handshake, as the certificate of a client or of a
 * server.  0, or -1 with the reasons. */
static int
check_alone(struct tls_context *c, X509 *cert, STACK_OF(X509) *chain,
    struct verdict *v)
{
	X509_STORE_CTX *store = X509_STORE_CTX_new();
	int result = -1;

	v->reason = "untrusted";
	v->may_pass = true;
	v->when = 0;
	if (store == NULL || X509_STORE_CTX_init(store,
	    SSL_CTX_get_cert_store(c->ssl), cert, chain) != 1 ||
	    X509_STORE_CTX_set_default(store, v->client ? "ssl_client" :
	    "ssl_server") != 1)
		say(v->why, "cannot check a certificate: out of memory");
	else {
		X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(store);

		X509_VERIFY_PARAM_set_auth_level(param, SECURITY_LEVEL);
		X509_VERIFY_PARAM_set_depth(param, DEPTH_MAX);
		(void)X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_ANY);
		if (check_chain(c, store, v->client) == 1) {
			if (v->chain != NULL)
				*v->chain = X509_STORE_CTX_get1_chain(store);
			v->expires = chain_expires(
			    X509_STORE_CTX_get0_chain(store));
			result = 0;
		} else
			note_verdict(c, store, v);
	}
	X509_STORE_CTX_free(store);
	ERR_clear_error();
	return result;
}

/* Check our own chain. */
static int
check_own(struct tls_context *c, struct verdict *v)
{
	STACK_OF(X509) *chain = NULL;
	bool old = c->old_crl;
	int result;

	(void)SSL_CTX_get0_chain_certs(c->ssl, &chain);
	sk_X509_pop_free(c->accepted, X509_free);
	c->accepted = NULL;
	v->chain = &c->accepted;
	/* An overdue list shuts out clients.  New files with it are taken all
	 * the same: the next list in them may be of today, and the certificate
	 * on it still be let in by the files before. */
	c->old_crl = true;
	result = check_alone(c, SSL_CTX_get0_certificate(c->ssl), chain, v);
	c->old_crl = old;
	return result;
}

int
tls_server_check(struct tls_context *c, struct tls_files *files,
    char why[TLS_TEXT_MAX])
{
	struct verdict v = { .why = why };
	X509 *cert = SSL_CTX_get0_certificate(c->ssl);
	char subject[NAME_SHOWN];
	int result = check_own(c, &v);

	files->at_fault = files->certificate;
	files->may_pass = result == -1 && v.may_pass;
	files->when = v.when;
	if (result == -1)
		return -1;
	if (cert_has_host(cert))
		return trial_handshake(c->ssl, why);
	(void)cert_name(X509_get_subject_name(cert), subject,
	    sizeof subject);
	say(why, "the certificate \"%s\" is for no host: its subjectAltName "
	    "has no DNS name and no address, and aisc looks at nothing else; "
	    "make one with \"ais-ca server NAME\"", subject);
	return -1;
}

int
tls_client_check(struct tls_context *c, char why[TLS_TEXT_MAX])
{
	struct verdict v = { .client = true, .why = why };

	return check_own(c, &v);
}

/* Fill "id" from "cert", if there is one. */
static int
identify(X509 *cert, struct tls_identity *id)
{
	if (cert == NULL)
		return -1;
	memset(id, 0, sizeof *id);
	return cert_identity(cert, id);
}

int
tls_context_certificate(const struct tls_context *c, size_t n,
    struct tls_identity *id)
{
	STACK_OF(X509) *chain = NULL;

	if (c->accepted != NULL)
		return identify(sk_X509_value(c->accepted, (int)n), id);
	if (n == 0)
		return identify(SSL_CTX_get0_certificate(c->ssl), id);
	(void)SSL_CTX_get0_chain_certs(c->ssl, &chain);
	return identify(sk_X509_value(chain, (int)n - 1), id);
}

void
tls_context_free(struct tls_context *c)
{
	if (c == NULL || --c->users > 0)
		return;
	SSL_CTX_free(c->ssl);
	sk_X509_pop_free(c->accepted, X509_free);
	revocation_free(c->crl);
	free(c);
}

struct tls_term *
tls_context_terms(const struct tls_context *c, size_t *count)
{
	const struct term_sources from = {
		.own = SSL_CTX_get0_certificate(c->ssl),
		.path = c->accepted,
		.store = SSL_CTX_get_cert_store(c->ssl), .lists = c->crl
	};

	return term_all(&from, count);
}

int64_t
tls_context_crl_begins(const struct tls_context *c)
{
	return c->crl == NULL ? 0 : revocation_next(c->crl);
}

/* --- one connection ---------------------------------------------------- */

/* On a client: whom to expect, and to ask for.  check_peer() compares. */
static int
expect_name(struct tls *tls, const char *name)
{
	if (net_host(name, &tls->host) == -1)
		return -1;
	return tls->host.length > 0 || SSL_set_tlsext_host_name(tls->ssl,
	    tls->host.name) == 1 ? 0 : -1;
}

/* Keep the first bytes that come from the peer. */
static long
keep_first(BIO *bio, int operation, const char *bytes, size_t length, int i,
    long l, int result, size_t *done)
{
	struct tls *tls = (void *)BIO_get_callback_arg(bio);
	size_t n = done == NULL ? 0 : *done;

	(void)length;
	(void)i;
	(void)l;
	if (operation != (BIO_CB_READ | BIO_CB_RETURN) || result <= 0)
		return result;
	if (n > FIRST_MAX - tls->first_used)
		n = FIRST_MAX - tls->first_used;
	memcpy(tls->first + tls->first_used, bytes, n);
	tls->first_used += n;
	return result;
}

struct tls *
tls_open(struct tls_context *c, int fd, const char *name)
{
	struct tls *tls = calloc(1, sizeof *tls);

	if (tls == NULL)
		return NULL;
	c->users++;
	tls->context = c;
	tls->handshake_events = POLLIN;
	if ((tls->ssl = SSL_new(c->ssl)) == NULL ||
	    SSL_set_fd(tls->ssl, fd) != 1 ||
	    SSL_set_app_data(tls->ssl, (void *)tls) != 1 ||
	    (name != NULL && expect_name(tls, name) == -1))
		goto fail;
	BIO_set_callback_ex(SSL_get_rbio(tls->ssl), keep_first);
	BIO_set_callback_arg(SSL_get_rbio(tls->ssl), (char *)tls);
	if (c->server)
		SSL_set_accept_state(tls->ssl);
	else
		SSL_set_connect_state(tls->ssl);
	return tls;

fail:
	ERR_clear_error();
	tls_free(tls);
	return NULL;
}

void
tls_free(struct tls *tls)
{
	if (tls == NULL)
		return;
	SSL_free(tls->ssl);
	tls_context_free(tls->context);
	free(tls);
}

/*
 * Why the other side refuses our certificate, by its alert.  What can be told
 * from our side has been looked at before, so that a date is a matter of two
 * clocks.  "begin" and "end" ask for that of our certificate.
 */
static const struct refusal {
	int alert;
	enum { PLAIN, ISSUER, BEGIN, END, PURPOSE } add;
	const char *client;	/* Where we are one. */
	const char *server;
} refusals[] = {
	{ ALERT_UNKNOWN_CA, ISSUER, "the server does not trust its issuer",
	    "the client does not trust its issuer" },
	{ ALERT_EXPIRED, END, "by the server's clock it, or its issuer, has "
	    "expired", "by the client's clock it, or its issuer, has expired" },
	{ ALERT_BAD_CERTIFICATE, BEGIN, "by the server's clock it is not yet "
	    "valid, or it is too weak", "it is not for the name that the "
	    "client used, too weak, or by its clock not yet valid" },
	{ ALERT_DECRYPT_ERROR, ISSUER, "it is damaged, or not signed by the "
	    "server's authority of the name", "it is damaged, or not signed "
	    "by the client's authority of the name" },
	{ ALERT_REVOKED, PLAIN, "it has been revoked, and another one has to "
	    "take its place", "it has been revoked" },
	{ ALERT_UNSUPPORTED_CERTIFICATE, PURPOSE, "it is not for use as a "
	    "client", "it is not for use as a server" },
	{ ALERT_CERTIFICATE_UNKNOWN, PLAIN, "the server cannot tell whether "
	    "it is good, as when its revocation list is overdue",
	    "the client cannot tell whether it is good" },
	{ ALERT_CERTIFICATE_REQUIRED, PLAIN, "it was not shown, for the "
	    "server takes no signature of its kind", "it was not shown" }
};

/* Do we show no certificate but our own, "own", and not know its issuer? */
static bool
is_alone(const struct tls *tls, X509 *own)
{
	STACK_OF(X509) *chain = NULL;

	(void)SSL_get0_chain_certs(tls->ssl, &chain);
	return sk_X509_num(chain) <= 0 && !why_is_own_issuer(own) &&
	    !why_has_authority(
	    SSL_CTX_get_cert_store(tls->context->ssl),
	    X509_get_issuer_name(own));
}

/* Why the server may not take our certificate for a client's, to "more". */
static void
explain_purpose(X509 *own, char more[TLS_TEXT_MAX])
{
	struct tls_identity id;

	if (!cert_has_purpose(own))
		say(more, "; it has no extendedKeyUsage with clientAuth, "
		    "which the server asks for");
	else if (cert_identity(own, &id) == 0 && id.lacks != NULL)
		say(more, "; it has %s, which the server cannot compare with "
		    "its rules", id.lacks);
}

/* The other side refuses our certificate. */
static void
explain_refusal(struct tls *tls, const struct refusal *r)
{
	X509 *own = SSL_get_certificate(tls->ssl);
	bool server = tls->context->server;
	char subject[NAME_SHOWN], more[TLS_TEXT_MAX] = "";
	char issuer[NAME_SHOWN], date[DATE_TEXT_MAX], distance[128];
	const ASN1_TIME *t;

	if (own == NULL) {
		say(tls->error, "the other side wants a certificate");
		return;
	}
	(void)cert_name(X509_get_subject_name(own), subject,
	    sizeof subject);
	(void)cert_name(X509_get_issuer_name(own), issuer,
	    sizeof issuer);
	t = r->add == BEGIN ? X509_get0_notBefore(own) :
	    X509_get0_notAfter(own);
	if (r->add == ISSUER)
		(void)snprintf(more, sizeof more, " \"%s\"%s", issuer,
		    r->alert == ALERT_UNKNOWN_CA && is_alone(tls, own) ?
		    "; if that is an intermediate authority, its certificate "
		    "belongs behind this one in the same file" : "");
	else if (r->add == PURPOSE && !server)
		explain_purpose(own, more);
	else if (r->add == BEGIN || r->add == END)
		(void)snprintf(more, sizeof more, "; it is valid %s %s, %s",
		    r->add == BEGIN ? "from" : "until", cert_date(t, date),
		    cert_distance(t, server ? "the server's" : "our",
		    distance));
	say(tls->error, "the %s refused %s certificate \"%s\": %s%s",
	    server ? "client" : "server", server ? "the server's" : "our",
	    subject, server ? r->server : r->client, more);
}

/* The other side does not speak a version of TLS that we take. */
static void
explain_version(struct tls *tls)
{
	bool strict = SSL_get_min_proto_version(tls->ssl) == TLS1_3_VERSION;

	tls->failure = TLS_FAILURE_PROTOCOL;
	say(tls->error, "the %s does not speak TLS %s%s",
	    tls->context->server ? "client" : "server", strict ? "1.3" :
	    "1.2 or 1.3", strict ? " (\"allow_tls12\" would take 1.2)" : "");
}

/* What the other side means by an alert. */
static void
explain_alert(struct tls *tls, int alert)
{
	const char *whose = tls->context->server ? "client" : "server";

	tls->failure = TLS_FAILURE_REFUSED;
	for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
		if (refusals[i].alert != alert)
			continue;
		explain_refusal(tls, &refusals[i]);
		return;
	}
	/* With the handshake done, the rest is settled. */
	switch (tls->done && alert != ALERT_BAD_RECORD_MAC ? 0 : alert) {
	case ALERT_BAD_RECORD_MAC:
		tls->failure = TLS_FAILURE_ALTERED;
		say(tls->error, "the %s received a record that was altered on "
		    "the way", whose);
		break;
	case ALERT_PROTOCOL_VERSION:
		explain_version(tls);
		break;
	case ALERT_HANDSHAKE_FAILURE:
	case ALERT_NO_APPLICATION_PROTOCOL:
		tls->failure = TLS_FAILURE_PROTOCOL;
		say(tls->error, "the %s has no %s in common with us", whose,
		    alert == ALERT_NO_APPLICATION_PROTOCOL ?
		    "application protocol (" PROTO_ALPN ")" :
		    "cipher or signature algorithm");
		break;
	default:
		tls->failure = TLS_FAILURE_ENDED;
		say(tls->error, "the %s ended the connection: %s", whose,
		    SSL_alert_desc_string_long(alert));
		break;
	}
}

/* What kind of stream makes OpenSSL give up before the handshake? */
static bool
is_not_tls(int reason)
{
	return reason == SSL_R_WRONG_VERSION_NUMBER ||
	    reason == SSL_R_HTTP_REQUEST ||
	    reason == SSL_R_HTTPS_PROXY_REQUEST ||
	    reason == SSL_R_UNKNOWN_PROTOCOL ||
	    reason == SSL_R_BAD_RECORD_TYPE ||
	    reason == SSL_R_PACKET_LENGTH_TOO_LONG;
}

/* Is it that the other side's version of TLS is not one of ours? */
static bool
is_version(int reason)
{
	return reason == SSL_R_UNSUPPORTED_PROTOCOL ||
	    reason == SSL_R_WRONG_SSL_VERSION ||
	    reason == SSL_R_NO_PROTOCOLS_AVAILABLE;
}

/* What came is not TLS: say what it looks like, by its first line. */
static void
explain_stranger(struct tls *tls)
{
	static const struct {
		const char *begin;
		const char *name;
	} kinds[] = {
		{ "SSH-", "an ssh" }, { "HTTP/", "an HTTP" },
		{ "GET ", "an HTTP" }, { "HEAD ", "an HTTP" },
		{ "POST ", "an HTTP" }, { "CONNECT ", "an HTTP" }
	};
	const char *whose = tls->context->server ? "client" : "server";
	char line[TEXT_ESCAPED_MAX(FIRST_MAX)];
	size_t n = 0;

	tls->failure = TLS_FAILURE_NOT_TLS;
	while (n < tls->first_used && tls->first[n] != '\r' &&
	    tls->first[n] != '\n')
		n++;
	text_escape(line, sizeof line, tls->first, n);
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		size_t length = strlen(kinds[i].begin);

		if (n < length || memcmp(tls->first, kinds[i].begin,
		    length) != 0)
			continue;
		say(tls->error, "%s %s %s (\"%s\"), and not %s",
		    kinds[i].name, whose, tls->context->server ?
		    "has called" : "answers", line, tls->context->server ?
		    "aisc" : "aisd");
		return;
	}
	say(tls->error, "what the %s sends is not TLS, but begins with \"%s\"",
	    whose, line);
}

/* The stream has ended without a word; "e" is an errno, or 0. */
static void
explain_cut(struct tls *tls, int e)
{
	tls->failure = e == 0 || e == ECONNRESET || e == EPIPE ?
	    TLS_FAILURE_CUT : TLS_FAILURE_SYSTEM;
	say(tls->error, "the connection was cut%s%s%s", tls->done ? "" :
	    " within the handshake", e == 0 ? "" : ": ", e == 0 ? "" :
	    strerror(e));
}

/* A failure that OpenSSL found itself, or that an alert reports. */
static void
explain_protocol(struct tls *tls)
{
	int reason = ERR_GET_REASON(ERR_peek_error());
	const char *last = ERR_reason_error_string(ERR_peek_last_error());

	/* verify() has said it better.  A write that failed has not: why it
	 * did may well be in the alert that is read after it. */
	if (tls->failure == TLS_FAILURE_CERTIFICATE ||
	    tls->failure == TLS_FAILURE_AUTHORITY ||
	    tls->failure == TLS_FAILURE_NAME ||
	    tls->failure == TLS_FAILURE_MEMORY)
		return;
	if (last == NULL)
		last = "unknown error";
	if (cert_lacked_memory())
		fail_for_memory(tls);
	else if (reason > SSL_AD_REASON_OFFSET &&
	    reason <= SSL_AD_REASON_OFFSET + 255) {
		explain_alert(tls, reason - SSL_AD_REASON_OFFSET);
	} else if (reason == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
		explain_cut(tls, 0);
	} else if (tls->done) {
		tls->failure = TLS_FAILURE_ALTERED;
		say(tls->error, "a record failed its integrity check (%s): it "
		    "was altered on the way", last);
	} else if (reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) {
		tls->failure = TLS_FAILURE_CERTIFICATE;
		say(tls->error, "the client showed no certificate");
	} else if (is_version(reason)) {
		explain_version(tls);
	} else if (is_not_tls(reason)) {
		explain_stranger(tls);
	} else {
		tls->failure = TLS_FAILURE_PROTOCOL;
		say(tls->error, "the TLS handshake failed: %s", last);
	}
}

/* The socket has failed, with "error", or has ended. */
static void
cut(struct tls *tls, int error)
{
	explain_cut(tls, error);
	ERR_clear_error();
	tls->broken = true;
}

/* Turn the failure of an SSL call into an answer. */
static enum io
answer(struct tls *tls, int result, short *wants)
{
	int keep = errno;

	switch (SSL_get_error(tls->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		*wants = POLLIN;
		return IO_WAIT;
	case SSL_ERROR_WANT_WRITE:
		*wants = POLLOUT;
		return IO_WAIT;
	case SSL_ERROR_ZERO_RETURN:
		return IO_EOF;
	case SSL_ERROR_SYSCALL:
		/* A KeyUpdate that had no room: our buffer is below that of
		 * OpenSSL 3.0, which does not pass on that it can be tried
		 * again.  A read goes on with it, too. */
		if (keep == EAGAIN && SSL_want_write(tls->ssl)) {
			*wants = POLLOUT;
			return IO_WAIT;
		}
		cut(tls, keep);
		break;
	default:
		explain_protocol(tls);
		break;
	}
	ERR_clear_error();
	tls->broken = true;
	return IO_ERROR;
}

bool
tls_answered(const struct tls *tls)
{
	/* One BIO of the socket is for both ways. */
	return BIO_number_written(SSL_get_rbio(tls->ssl)) > ALERT_SIZE;
}

/* A verified client that speaks no protocol of ours is probably a person with
 * another program: say what it has reached. */
static void
greet(struct tls *tls)
{
	static const char line[] = "AIS: this is aisd; it speaks " PROTO_ALPN
	    ", named by ALPN: use aisc, or see ais-protocol(7)\n";

	ERR_clear_error();
	(void)SSL_write(tls->ssl, line, sizeof line - 1);
	ERR_clear_error();
}

enum io
tls_handshake(struct tls *tls)
{
	const unsigned char *alpn;
	unsigned length;
	X509 *cert;
	int result;

	ERR_clear_error();
	errno = 0;
	if ((result = SSL_do_handshake(tls->ssl)) != 1)
		return answer(tls, result, &tls->handshake_events);
	tls->done = true;
	BIO_set_callback_ex(SSL_get_rbio(tls->ssl), NULL);
	if ((cert = SSL_get0_peer_certificate(tls->ssl)) == NULL ||
	    SSL_get_verify_result(tls->ssl) != X509_V_OK) {
		/* Cannot be, with SSL_VERIFY_PEER; so much the worse. */
		tls->failure = TLS_FAILURE_CERTIFICATE;
		say(tls->error, "the peer has no verified certificate");
		return IO_ERROR;
	}
	if (!tls->has_peer && cert_identity(cert, &tls->peer) == -1) {
		fail_for_memory(tls);
		return IO_ERROR;
	}
	tls->has_peer = true;
	tls->expires = chain_expires(SSL_get0_verified_chain(tls->ssl));
	tls->renewed = clock_now();
	/* The first frames may have been read along with the handshake. */
	tls->more = SSL_has_pending(tls->ssl) == 1;
	SSL_get0_alpn_selected(tls->ssl, &alpn, &length);
	if (length != sizeof PROTO_ALPN - 1 ||
	    memcmp(alpn, PROTO_ALPN, length) != 0) {
		tls->failure = TLS_FAILURE_PROTOCOL;
		say(tls->error, "the %s does not speak " PROTO_ALPN,
		    tls->context->server ? "client" : "server");
		if (tls->context->server && length == 0)
			greet(tls);
		return IO_ERROR;
	}
	return IO_OK;
}

short
tls_events(const struct tls *tls, bool reading, bool writing)
{
	int events = 0;

	if (!tls->done)
		return tls->handshake_events;
	if (reading)
		events |= tls->read_wants_write ? POLLOUT : POLLIN;
	if (writing)
		events |= tls->write_wants_read ? POLLIN : POLLOUT;
	return (short)events;
}

bool
tls_pending(const struct tls *tls)
{
	return tls->more;
}

/*
 * Has TLS itself failed?  Then it stays so, for the reason that it had.  After
 * a failure of the socket alone there may still be something to read: what
 * the other side said before it left.
 */
static bool
is_lost(const struct tls *tls)
{
	return tls->broken && tls->failure != TLS_FAILURE_CUT &&
	    tls->failure != TLS_FAILURE_SYSTEM;
}

enum io
tls_fill(struct tls *tls, struct buf *b)
{
	size_t room = buf_room(b), n, total = 0;
	uint8_t *p;
	short wants = POLLIN;
	enum io io = IO_OK;

	tls->more = false;
	if (is_lost(tls))
		return IO_ERROR;
	while (room - total > 0) {
		size_t piece = room - total < 16384 ? room - total : 16384;

		if ((p = buf_reserve(b, piece)) == NULL) {
			fail_for_memory(tls);
			return IO_ERROR;
		}
		ERR_clear_error();
		errno = 0;
		if (SSL_read_ex(tls->ssl, p, piece, &n) != 1) {
			io = answer(tls, 0, &wants);
			break;
		}
		buf_commit(b, n);
		total += n;
	}
	tls->read_wants_write = io == IO_WAIT && wants == POLLOUT;
	if (io == IO_OK)
		tls->more = true;	/* It stopped for want of room. */
	/* What was read before an end or a failure is delivered first; the
	 * next call meets the end again. */
	if (total > 0) {
		tls->more = tls->more || io != IO_WAIT;
		return IO_OK;
	}
	return io;
}

/*
 * From now on gather records: to write each of them by itself costs a sixth of
 * the processor time of bulk.  Without memory it stays as it was.  Who sends
 * only little, as those do who wait in line, never comes here.
 */
static void
gather(struct tls *tls)
{
	BIO *gatherer = BIO_new(BIO_f_buffer());

	if (gatherer == NULL || BIO_set_write_buffer_size(gatherer, GATHER)
	    != 1) {
		BIO_free(gatherer);
		return;
	}
	(void)BIO_up_ref(SSL_get_rbio(tls->ssl));
	SSL_set0_wbio(tls->ssl, BIO_push(gatherer, SSL_get_rbio(tls->ssl)));
	tls->gathers = true;
}

bool
tls_has_output(const struct tls *tls)
{
	return tls->gathers && BIO_wpending(SSL_get_wbio(tls->ssl)) > 0;
}

/* Write what has been gathered. */
static enum io
flush(struct tls *tls)
{
	BIO *out = SSL_get_wbio(tls->ssl);

	errno = 0;
	if (BIO_flush(out) == 1)
		return IO_OK;
	if (BIO_should_retry(out))
		return IO_WAIT;
	cut(tls, errno);
	return IO_ERROR;
}

/*
 * If it is time, have OpenSSL replace the key that we send with, before the
 * next record; not within one.  The other side does so for its own: to request
 * it ends connections with OpenSSL 3.0, where a write is pending there.
 */
static void
renew_keys(struct tls *tls)
{
	const struct tls_context *c = tls->context;

	if (tls->write_pending || SSL_version(tls->ssl) != TLS1_3_VERSION ||
	    (tls->records < c->key_records &&
	    clock_now() - tls->renewed < c->key_age))
		return;
	if (SSL_key_update(tls->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1) {
		tls->records = 0;
		tls->renewed = clock_now();
	}
}

enum io
tls_drain(struct tls *tls, struct buf *b)
{
	short wants = POLLOUT;
	size_t n, total = 0;
	enum io io = IO_OK;

	if (is_lost(tls))
		return IO_ERROR;
	if (buf_used(b) > GATHER_FROM && !tls->gathers &&
	    SSL_in_init(tls->ssl) == 0)
		gather(tls);
	while (buf_used(b) > 0) {
		ERR_clear_error();
		renew_keys(tls);
		errno = 0;
		tls->write_pending = SSL_write_ex(tls->ssl, buf_data(b),
		    buf_used(b), &n) != 1;
		if (tls->write_pending) {
			io = answer(tls, 0, &wants);
			break;
		}
		buf_consume(b, n);
		total += n;
		tls->records++;
	}
	tls->write_wants_read = io == IO_WAIT && wants == POLLIN;
	if (io == IO_OK && tls_has_output(tls))
		io = flush(tls);
	return io == IO_WAIT && total > 0 ? IO_OK : io;
}

void
tls_shutdown(struct tls *tls)
{
	if (tls->done && !tls->broken) {
		ERR_clear_error();
		(void)SSL_shutdown(tls->ssl);
		ERR_clear_error();
	}
}

int
tls_recheck(struct tls *tls, struct tls_context *context, const char **reason,
    char why[TLS_TEXT_MAX])
{
	struct verdict v = { .client = tls->context->server, .why = why };

	if (check_alone(context, SSL_get0_peer_certificate(tls->ssl),
	    SSL_get_peer_cert_chain(tls->ssl), &v) == 0) {
		tls->expires = v.expires;
		return 0;
	}
	*reason = v.reason;
	return -1;
}

int64_t
tls_peer_expires(const struct tls *tls)
{
	return tls->expires;
}

int
tls_peer_list(const struct tls *tls, struct tls_term *list)
{
	STACK_OF(X509) *chain = SSL_get0_verified_chain(tls->ssl);
	int n = sk_X509_num(chain);

	list->ends = 0;
	for (int i = 0; i < n && tls->context->crl != NULL; i++)
		revocation_first(tls->context->crl, sk_X509_value(chain, i),
		    sk_X509_value(chain, i + 1 < n ? i + 1 : i), list);
	return list->ends == 0 ? -1 : 0;
}

const char *
tls_error(const struct tls *tls)
{
	return tls->error;
}

enum tls_failure
tls_failure(const struct tls *tls)
{
	return tls->failure;
}

const struct tls_identity *
tls_peer(const struct tls *tls)
{
	return tls->has_peer ? &tls->peer : NULL;
}

int
tls_peer_certificate(const struct tls *tls, size_t n, struct tls_identity *id)
{
	return identify(sk_X509_value(SSL_get0_verified_chain(tls->ssl),
	    (int)n), id);
}

int
tls_identity_load(const char *path, struct tls_identity *id,
    char why[TLS_TEXT_MAX])
{
	X509 *cert = load_first(path, why);
	int result;

	if (cert == NULL)
		return -1;
	if ((result = identify(cert, id)) == -1)
		say(why, "cannot read the certificate %s: out of memory", path);
	X509_free(cert);
	return result;
}

const char *
tls_version(const struct tls *tls)
{
	return SSL_get_version(tls->ssl);
}

const char *
tls_cipher(const struct tls *tls)
{
	return SSL_get_cipher_name(tls->ssl);
}
