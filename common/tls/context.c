/*
 * context.c - from the files of one side to a context, and what is asked of
 * that.
 *
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "common/base/retry.h"
#include "common/tls/types.h"
#include "common/tls/cert.h"
#include "common/tls/revocation.h"
#include "common/tls/load.h"
#include "common/tls/term.h"
#include "common/tls/trial.h"
#include "common/tls/key.h"
#include "common/tls/state.h"
#include "common/tls/verify.h"
#include "common/tls/context.h"

/* What one read(2) may bring: four records of the largest size. */
#define READ_AHEAD	(4 * 16384 + 1024)
/* Records sent under one key, and its age in ms.  AES-GCM is
 * safe for 2^24.5 records of the largest size: RFC 8446, 5.5. */
#define KEY_RECORDS	(UINT64_C(1) << 23)
#define KEY_AGE		INT64_C(3600000)

static const unsigned char alpn[] = TLS_ALPN_LIST;

/* RFC 7301: the server takes our protocol from the client's list, or none. */
static int
select_alpn(SSL *ssl, const unsigned char **out, unsigned char *outlen,
    const unsigned char *in, unsigned inlen, void *context)
{
	unsigned char *chosen;

	(void)ssl;
	(void)context;
	if (SSL_select_next_proto(&chosen, outlen, alpn, sizeof alpn - 1, in,
	    inlen) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

/* Verify the lists that an authority at hand must have signed. */
static int
verify_lists(struct tls_context *c, struct failure *why)
{
	X509_STORE *store = SSL_CTX_get_cert_store(c->ssl);
	STACK_OF(X509) *certs = X509_STORE_get1_all_certs(store);
	int result = revocation_verify(c->crl, certs, why);

	sk_X509_pop_free(certs, X509_free);
	return result;
}

static int
load_lists(struct tls_context *c, struct tls_files *files,
    struct failure *why)
{
	if (files->crl == NULL)
		return 0;
	files->at_fault = files->crl;
	c->allow_stale_crl = files->allow_stale_crl;
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
    struct failure *why)
{
	X509 *cert = SSL_CTX_get0_certificate(c->ssl);
	const ASN1_TIME *end = X509_get0_notAfter(cert);
	const ASN1_TIME *begin = X509_get0_notBefore(cert);
	char what[FAILURE_TEXT_MAX / 2];

	files->at_fault = files->certificate;
	(void)snprintf(what, sizeof what, "the certificate %s",
	    files->certificate);
	if (X509_cmp_current_time(end) < 0)
		cert_expired(why, TLS_FAILURE_FILES, what, end,
		    "this machine's");
	else if (X509_cmp_current_time(begin) > 0) {
		files->when = cert_seconds(begin);
		cert_not_yet(why, TLS_FAILURE_FILES, what, begin,
		    "this machine's");
	} else
		return 0;
	/* The clock may be wrong, and be set later. */
	files->may_pass = true;
	return -1;
}

/* What both sides want of TLS. */
static void
set_common(SSL_CTX *ssl, const struct tls_files *files)
{
	SSL_CTX_set_security_level(ssl, VERIFY_LEVEL);
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
	SSL_CTX_set_verify_depth(ssl, VERIFY_DEPTH_MAX);
	/* The purpose is ours to check: see verify.c. */
	(void)SSL_CTX_set_purpose(ssl, X509_PURPOSE_ANY);
}

/*
 * A connection is about to sign.  Which provider does that is a matter of the
 * SSL_CTX, and for verifying too: so this one is for the signature alone, and
 * verify_peer() puts the other one back.
 */
static int
use_signer(SSL *ssl, void *context)
{
	const struct tls_context *c = context;

	return SSL_set_SSL_CTX(ssl, c->signer) == c->signer;
}

/*
 * OpenSSL takes the first provider for a signature that does not refuse to have
 * our key exported to it.  That of tpm2 1.1 hands out the public half, with
 * which the default provider then cannot sign.  So the provider of the key is
 * to be preferred, by a property that it gives its signatures; to providers
 * without that property this is nothing.  A key that is ours to read is of the
 * provider that has the certificate's key, and needs none of this.
 */
static int
make_signer(struct tls_context *c, const struct tls_files *files,
    struct failure *why)
{
	EVP_PKEY *key = SSL_CTX_get0_privatekey(c->ssl);
	const OSSL_PROVIDER *provider = EVP_PKEY_get0_provider(key);
	X509 *cert = SSL_CTX_get0_certificate(c->ssl);
	const EVP_PKEY *shown = X509_get0_pubkey(cert);
	X509_STORE *store = SSL_CTX_get_cert_store(c->ssl);
	STACK_OF(X509) *chain = NULL;
	char properties[80];

	/* It was decoded once; where memory is out, it is not again. */
	if (shown == NULL) {
		trial_explain(why);
		return -1;
	}
	/* Where memory was out for a moment, OpenSSL may have decoded the key
	 * by itself, without a provider. */
	if (provider == NULL || provider == EVP_PKEY_get0_provider(shown))
		return 0;
	(void)snprintf(properties, sizeof properties, "?%.60s.signature=yes",
	    OSSL_PROVIDER_get0_name(provider));
	(void)SSL_CTX_get0_chain_certs(c->ssl, &chain);
	c->signer = SSL_CTX_new_ex(NULL, properties, TLS_method());
	if (c->signer == NULL ||
	    SSL_CTX_use_certificate(c->signer, cert) != 1 ||
	    SSL_CTX_set1_chain(c->signer, chain) != 1 ||
	    SSL_CTX_use_PrivateKey(c->signer, key) != 1) {
		trial_explain(why);
		return -1;
	}
	set_common(c->signer, files);
	SSL_CTX_set1_cert_store(c->signer, store);
	SSL_CTX_set_cert_verify_callback(c->signer, verify_peer, c);
	SSL_CTX_set_cert_cb(c->ssl, use_signer, c);
	return 0;
}

static struct tls_context *
context_new(bool server, struct tls_files *files, struct failure *why)
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
	SSL_CTX_set_cert_verify_callback(c->ssl, verify_peer, c);
	if (trial_versions(c->ssl, why) == 0 &&
	    load_chain(c->ssl, files, why) == 0 &&
	    key_load(c->ssl, files, why) == 0 &&
	    load_authority(c->ssl, server, files, why) == 0 &&
	    make_signer(c, files, why) == 0 &&
	    load_lists(c, files, why) == 0 &&
	    check_dates(c, files, why) == 0)
		return c;
	tls_context_free(c);
	return NULL;
}

/* Can our key, which is there, sign a handshake? */
static int
try_key(struct tls_context *c, struct tls_files *files, struct failure *why)
{
	if (c->signer == NULL)
		return trial_handshake(c->ssl, NULL, why);
	files->at_fault = files->key;
	return trial_handshake(c->signer, files->key, why);
}

struct tls_context *
tls_server_new(struct tls_files *files, struct failure *why)
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
tls_client_new(struct tls_files *files, struct failure *why)
{
	struct tls_context *c = context_new(false, files, why);

	if (c == NULL)
		return NULL;
	SSL_CTX_set_verify(c->ssl, SSL_VERIFY_PEER, NULL);
	if (SSL_CTX_set_alpn_protos(c->ssl, alpn, sizeof alpn - 1) != 0)
		trial_explain(why);
	/* That the key of a file cannot sign is told by the handshake. */
	else if (c->signer == NULL || try_key(c, files, why) == 0)
		return c;
	tls_context_free(c);
	return NULL;
}

/* Check our own chain. */
static int
check_own(struct tls_context *c, struct verdict *v)
{
	STACK_OF(X509) *chain = NULL;
	bool allow = c->allow_stale_crl;
	int result;

	(void)SSL_CTX_get0_chain_certs(c->ssl, &chain);
	sk_X509_pop_free(c->accepted, X509_free);
	c->accepted = NULL;
	v->chain = &c->accepted;
	/* An overdue list shuts out clients.  New files with it are taken all
	 * the same: the next list in them may be of today, and the certificate
	 * on it still be let in by the files before. */
	c->allow_stale_crl = true;
	result = verify_alone(c, SSL_CTX_get0_certificate(c->ssl), chain, v);
	c->allow_stale_crl = allow;
	c->untrusted = v->untrusted;
	return result;
}

int
tls_server_check(struct tls_context *c, struct tls_files *files,
    struct failure *why)
{
	struct verdict v = { .why = why };
	X509 *cert = SSL_CTX_get0_certificate(c->ssl);
	char subject[CERT_NAME_SHOWN], names[CERT_NAME_SHOWN];
	int result = check_own(c, &v);

	files->at_fault = files->certificate;
	files->may_pass = result == -1 && v.may_pass;
	files->when = v.when;
	if (result == -1)
		return -1;
	if (cert_names(cert, names, sizeof names))
		return try_key(c, files, why);
	(void)cert_name(X509_get_subject_name(cert), subject,
	    sizeof subject);
	return failure_make(why, TLS_FAILURE_FILES, "make one with \"ais-ca "
	    "server NAME\"", "the certificate \"%s\" is for no host: its "
	    "subjectAltName has no DNS name and no address, by which alone "
	    "aisc verifies it", subject);
}

int
tls_client_check(struct tls_context *c, struct failure *why)
{
	struct verdict v = { .client = true, .why = why };

	return check_own(c, &v);
}

int
tls_context_certificate(const struct tls_context *c, size_t n,
    struct tls_identity *id)
{
	STACK_OF(X509) *chain = NULL;

	if (c->accepted != NULL)
		return cert_identity(sk_X509_value(c->accepted, (int)n), id);
	if (n == 0)
		return cert_identity(SSL_CTX_get0_certificate(c->ssl), id);
	(void)SSL_CTX_get0_chain_certs(c->ssl, &chain);
	return cert_identity(sk_X509_value(chain, (int)n - 1), id);
}

void
tls_context_free(struct tls_context *c)
{
	if (c == NULL || --c->users > 0)
		return;
	SSL_CTX_free(c->ssl);
	SSL_CTX_free(c->signer);
	sk_X509_pop_free(c->accepted, X509_free);
	revocation_free(c->crl);
	free(c);
}

struct tls_term *
tls_context_terms(const struct tls_context *c, size_t *count)
{
	const struct term_sources from = {
		.own = SSL_CTX_get0_certificate(c->ssl),
		.path = c->accepted, .untrusted = c->untrusted,
		.store = SSL_CTX_get_cert_store(c->ssl), .lists = c->crl
	};

	return term_all(&from, count);
}

int64_t
tls_context_crl_begins(const struct tls_context *c)
{
	return c->crl == NULL ? 0 : revocation_next(c->crl);
}
