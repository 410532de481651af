/*
 * verify.c - whether a chain of certificates is good, in a handshake and out
 * of one.
 *
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "common/base/net.h"
#include "common/tls/cert.h"
#include "common/tls/revocation.h"
#include "common/tls/why.h"
#include "common/tls/tls-failure.h"
#include "common/tls/verify.h"

/* Set the error "e" of the certificate number "depth" of the chain that "store"
 * has verified.  0, for "refused". */
static int
verify_refuse(X509_STORE_CTX *store, int e, int depth)
{
	X509_STORE_CTX_set_error(store, e);
	X509_STORE_CTX_set_error_depth(store, depth);
	X509_STORE_CTX_set_current_cert(store,
	    sk_X509_value(X509_STORE_CTX_get0_chain(store), depth));
	return 0;
}

/*
 * Checks of the certificate number "i" of a chain that OpenSSL has verified,
 * 0 being the peer's own, for use by a "client" or else by a server.  Each
 * returns an X509_V_ERR.
 */
typedef int verify_fn(const struct tls_context *c, STACK_OF(X509) *chain,
    int i, bool client);

/* Is it valid now?  OpenSSL has asked that of all but an authority that is no
 * root and ends the chain. */
static int
verify_dates(const struct tls_context *c, STACK_OF(X509) *chain, int i,
    bool client)
{
	X509 *cert = sk_X509_value(chain, i);

	(void)c;
	(void)client;
	return X509_cmp_current_time(X509_get0_notBefore(cert)) >= 0 ?
	    X509_V_ERR_CERT_NOT_YET_VALID :
	    X509_cmp_current_time(X509_get0_notAfter(cert)) <= 0 ?
	    X509_V_ERR_CERT_HAS_EXPIRED : X509_V_OK;
}

/* Can its serial number be on a list, and on record, whole? */
static int
verify_serial(const struct tls_context *c, STACK_OF(X509) *chain, int i,
    bool client)
{
	(void)c;
	(void)client;
	return cert_has_serial(sk_X509_value(chain, i)) ? X509_V_OK :
	    X509_V_ERR_CERT_REJECTED;
}

/* Is it for this use? */
static int
verify_purpose(const struct tls_context *c, STACK_OF(X509) *chain, int i,
    bool client)
{
	X509 *cert = sk_X509_value(chain, i);
	bool must_say = c->server && client && !c->any_purpose;

	return cert_allows(cert, client, i > 0) && (i > 0 ||
	    (why_is_leaf(cert) && (!must_say || cert_has_purpose(cert)))) ?
	    X509_V_OK : X509_V_ERR_INVALID_PURPOSE;
}

/* Has it been revoked?  A root needs to be on no list: its own may be for other
 * certificates alone.  Nor does an authority whose issuer is not in our file
 * need one: the lists of that issuer cannot be verified. */
static int
verify_revocation(const struct tls_context *c, STACK_OF(X509) *chain, int i,
    bool client)
{
	X509 *cert = sk_X509_value(chain, i);
	bool last = i + 1 == sk_X509_num(chain);
	int e;

	(void)client;
	if (c->crl == NULL)
		return X509_V_OK;
	if (i > 0 && last && (X509_get_extension_flags(cert) & EXFLAG_SS) == 0)
		return revocation_says(c->crl, cert) ?
		    X509_V_ERR_CERT_REVOKED : X509_V_OK;
	e = revocation_check(c->crl, cert, sk_X509_value(chain, last ? i :
	    i + 1), c->allow_stale_crl);
	return i > 0 && last && e == X509_V_ERR_DIFFERENT_CRL_SCOPE ?
	    X509_V_OK : e;
}

/*
 * A chain has come to an authority of our file whose issuer is not there: it
 * may end so.  X509_V_FLAG_PARTIAL_CHAIN would let it end at the first one of
 * the file, and what those above it there say would no longer count.
 */
static int
end_chain(int good, X509_STORE_CTX *store)
{
	if (good || X509_STORE_CTX_get_error(store) !=
	    X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT)
		return good;
	X509_STORE_CTX_set_error(store, X509_V_OK);
	return 1;
}

/*
 * Everything that is asked of a chain, in a handshake and out of one.  The
 * lists come last: to verify a list's signature is work, which must not be done
 * for a chain that is refused anyway.  1, or 0 after the error has been set.
 */
static int
check_chain(struct tls_context *c, X509_STORE_CTX *store, bool client)
{
	static verify_fn *const checks[] = { verify_dates, verify_serial,
	    verify_purpose, verify_revocation };
	STACK_OF(X509) *chain;
	int e;

	X509_STORE_CTX_set_verify_cb(store, end_chain);
	if (X509_verify_cert(store) != 1)
		return 0;
	chain = X509_STORE_CTX_get0_chain(store);
	for (size_t k = 0; k < sizeof checks / sizeof checks[0]; k++) {
		for (int i = 0; i < sk_X509_num(chain); i++) {
			e = checks[k](c, chain, i, client);
			if (e != X509_V_OK)
				return verify_refuse(store, e, i);
		}
	}
	return 1;
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

int
verify_peer(X509_STORE_CTX *store, void *context)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store,
	    SSL_get_ex_data_X509_STORE_CTX_idx());
	X509 *leaf = X509_STORE_CTX_get0_cert(store);
	struct tls_context *c = context;
	struct tls *tls = SSL_get_app_data(ssl);
	int e;

	/* It has signed; what is verified is no business of its provider. */
	if (c->signer != NULL)
		(void)SSL_set_SSL_CTX(ssl, c->ssl);
	if (check_chain(c, store, c->server) == 1) {
		if ((e = check_names(tls, leaf)) == X509_V_OK)
			return 1;
		(void)verify_refuse(store, e, 0);
	}
	e = X509_STORE_CTX_get_error(store);
	tls_failure_chain(tls, store);
	/* The alert comes from the error in "store".  For a list that is
	 * overdue it would say that the peer's certificate is, which would
	 * then be renewed in vain.  The first becomes "certificate unknown",
	 * the second "unsupported certificate". */
	if (why_is_list(e))
		X509_STORE_CTX_set_error(store,
		    X509_V_ERR_UNHANDLED_CRITICAL_CRL_EXTENSION);
	else if (e == X509_V_ERR_UNSUPPORTED_NAME_SYNTAX)
		X509_STORE_CTX_set_error(store, X509_V_ERR_INVALID_PURPOSE);
	return 0;
}

/* The record's word for a chain's error. */
static const char *
reason_word(int e)
{
	return e == X509_V_ERR_CERT_REVOKED ? "revoked" :
	    e == X509_V_ERR_CERT_HAS_EXPIRED ? "expired" : "untrusted";
}

int64_t
verify_expires(STACK_OF(X509) *chain)
{
	int64_t first = INT64_MAX, t;

	for (int i = 0; i < sk_X509_num(chain); i++) {
		t = cert_seconds(X509_get0_notAfter(sk_X509_value(chain, i)));
		if (t < first)
			first = t;
	}
	return first;
}

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

int
verify_alone(struct tls_context *c, X509 *cert, STACK_OF(X509) *chain,
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
		failure_set(v->why, TLS_FAILURE_MEMORY, "cannot check a "
		    "certificate: out of memory");
	else {
		X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(store);

		X509_VERIFY_PARAM_set_auth_level(param, VERIFY_LEVEL);
		X509_VERIFY_PARAM_set_depth(param, VERIFY_DEPTH_MAX);
		(void)X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_ANY);
		if (check_chain(c, store, v->client) == 1) {
			if (v->chain != NULL)
				*v->chain = X509_STORE_CTX_get1_chain(store);
			v->untrusted = X509_STORE_CTX_get_num_untrusted(store);
			v->expires = verify_expires(
			    X509_STORE_CTX_get0_chain(store));
			result = 0;
		} else
			note_verdict(c, store, v);
	}
	X509_STORE_CTX_free(store);
	ERR_clear_error();
	return result;
}
