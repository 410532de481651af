/*
 * tls-failure.c - why a connection failed, in words: ours, the peer's by its
 * alert, or the network's.
 *
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "common/base/text.h"
#include "common/wire/proto.h"
#include "common/tls/cert.h"
#include "common/tls/why.h"
#include "common/tls/tls-failure.h"

/* alerts, RFC 8446, section 6.2 */
enum {
	ALERT_BAD_RECORD_MAC = 20, ALERT_HANDSHAKE_FAILURE = 40,
	ALERT_BAD_CERTIFICATE = 42, ALERT_UNSUPPORTED_CERTIFICATE = 43,
	ALERT_REVOKED = 44, ALERT_EXPIRED = 45, ALERT_CERTIFICATE_UNKNOWN = 46,
	ALERT_UNKNOWN_CA = 48, ALERT_DECRYPT_ERROR = 51,
	ALERT_PROTOCOL_VERSION = 70, ALERT_CERTIFICATE_REQUIRED = 116,
	ALERT_NO_APPLICATION_PROTOCOL = 120
};

void
tls_failure_memory(struct tls *tls)
{
	failure_set(&tls->failure, TLS_FAILURE_MEMORY, "out of memory");
}

void
tls_failure_chain(struct tls *tls, X509_STORE_CTX *store)
{
	const struct tls_context *c = tls->context;
	const struct why_case w = { .store = store, .lists = c->crl,
	    .server = c->server, .client = c->server };
	X509 *leaf = X509_STORE_CTX_get0_cert(store);
	int e = X509_STORE_CTX_get_error(store);
	char names[512];

	/* Without memory a good certificate looks like any bad one. */
	if (e == X509_V_ERR_OUT_OF_MEM || cert_lacked_memory() ||
	    cert_identity(leaf, &tls->peer) == -1) {
		tls_failure_memory(tls);
		return;
	}
	tls->has_peer = true;
	if (e == X509_V_ERR_HOSTNAME_MISMATCH) {
		cert_names(leaf, names, sizeof names);
		failure_set(&tls->failure, TLS_FAILURE_NAME, "the server's "
		    "certificate is for %s, not for %s:%s", names,
		    tls->host.length > 0 ? "IP" : "DNS", tls->host.name);
		failure_hint(&tls->failure, "use a name that it has, or set "
		    "\"server_name\" in aisc.conf");
	} else if (e == X509_V_ERR_UNSUPPORTED_NAME_SYNTAX &&
	    tls->peer.lacks != NULL) {
		failure_set(&tls->failure, TLS_FAILURE_CERTIFICATE, "the "
		    "certificate \"%.160s\" has %s, which cannot be compared "
		    "with the rules", tls->peer.subject, tls->peer.lacks);
		failure_hint(&tls->failure, "make one without");
	} else
		why_refused(&w, &tls->failure);
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
	{ ALERT_REVOKED, PLAIN, "it has been revoked",
	    "it has been revoked" },
	{ ALERT_UNSUPPORTED_CERTIFICATE, PURPOSE, "it is not for use as a "
	    "client", "it is not for use as a server" },
	{ ALERT_CERTIFICATE_UNKNOWN, PLAIN, "the server cannot tell whether "
	    "it is good, as when its revocation list is overdue",
	    "the client cannot tell whether it is good" },
	{ ALERT_CERTIFICATE_REQUIRED, PLAIN, "it was not shown, for the "
	    "server takes no signature of its kind", "it was not shown" }
};

/* Why the server may not take our certificate for a client's, to "more". */
static void
explain_purpose(X509 *own, char *more, size_t size)
{
	struct tls_identity id;

	if (!cert_has_purpose(own))
		(void)snprintf(more, size, "; it has no extendedKeyUsage with "
		    "clientAuth, which the server asks for");
	else if (cert_identity(own, &id) == 0 && id.lacks != NULL)
		(void)snprintf(more, size, "; it has %s, which the server "
		    "cannot compare with its rules", id.lacks);
}

/* The other side refuses our certificate. */
static void
explain_refusal(struct tls *tls, const struct refusal *r)
{
	X509 *own = SSL_get_certificate(tls->ssl);
	STACK_OF(X509) *chain = NULL;
	bool server = tls->context->server;
	char subject[CERT_NAME_SHOWN], issuer[CERT_NAME_SHOWN];
	char more[512] = "", when[CERT_WHEN_MAX];

	if (own == NULL) {
		failure_set(&tls->failure, TLS_FAILURE_REFUSED, "the other "
		    "side wants a certificate");
		return;
	}
	(void)cert_name(X509_get_subject_name(own), subject, sizeof subject);
	(void)cert_name(X509_get_issuer_name(own), issuer, sizeof issuer);
	(void)SSL_get0_chain_certs(tls->ssl, &chain);
	if (r->add == ISSUER)
		(void)snprintf(more, sizeof more, " \"%s\"", issuer);
	else if (r->add == PURPOSE && !server)
		explain_purpose(own, more, sizeof more);
	else if (r->add == BEGIN || r->add == END)
		(void)snprintf(more, sizeof more, "; it is valid %s %s",
		    r->add == BEGIN ? "from" : "until",
		    cert_when(r->add == BEGIN ? X509_get0_notBefore(own) :
		    X509_get0_notAfter(own), server ? "the server's" : "our",
		    when));
	failure_set(&tls->failure, TLS_FAILURE_REFUSED, "the %s refused %s "
	    "certificate \"%s\": %s%s", server ? "client" : "server",
	    server ? "the server's" : "our", subject, server ? r->server :
	    r->client, more);
	if (r->alert == ALERT_REVOKED)
		failure_hint(&tls->failure, "use another one in its place");
	else if (r->alert == ALERT_UNKNOWN_CA && why_is_alone(own, chain,
	    SSL_CTX_get_cert_store(tls->context->ssl)))
		failure_hint(&tls->failure, "if that is an intermediate "
		    "authority, add its certificate to the file of this one, "
		    "after it");
}

/* The other side does not speak a version of TLS that we take. */
static void
explain_version(struct tls *tls)
{
	bool strict = SSL_get_min_proto_version(tls->ssl) == TLS1_3_VERSION;

	failure_set(&tls->failure, TLS_FAILURE_PROTOCOL, "the %s does not "
	    "speak TLS %s", tls->context->server ? "client" : "server",
	    strict ? "1.3" : "1.2 or 1.3");
	if (strict)
		failure_hint(&tls->failure, "\"allow_tls12\" would take 1.2");
}

/* What the other side means by an alert. */
static void
explain_alert(struct tls *tls, int alert)
{
	const char *whose = tls->context->server ? "client" : "server";

	for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
		if (refusals[i].alert != alert)
			continue;
		explain_refusal(tls, &refusals[i]);
		return;
	}
	/* After the handshake the versions and the like are settled. */
	switch (tls->done && alert != ALERT_BAD_RECORD_MAC ? 0 : alert) {
	case ALERT_BAD_RECORD_MAC:
		failure_set(&tls->failure, TLS_FAILURE_ALTERED, "the %s "
		    "received a record that was altered on the way", whose);
		break;
	case ALERT_PROTOCOL_VERSION:
		explain_version(tls);
		break;
	case ALERT_HANDSHAKE_FAILURE:
	case ALERT_NO_APPLICATION_PROTOCOL:
		failure_set(&tls->failure, TLS_FAILURE_PROTOCOL, "the %s has "
		    "no %s in common with us", whose,
		    alert == ALERT_NO_APPLICATION_PROTOCOL ?
		    "application protocol (" PROTO_ALPN ")" :
		    "cipher or signature algorithm");
		break;
	default:
		failure_set(&tls->failure, TLS_FAILURE_ENDED, "the %s ended "
		    "the connection: %s", whose,
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
	char line[TEXT_ESCAPED_MAX(TLS_FIRST_MAX)];
	size_t n = 0;

	while (n < tls->first_used && tls->first[n] != '\r' &&
	    tls->first[n] != '\n')
		n++;
	text_escape(line, sizeof line, tls->first, n);
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		size_t length = strlen(kinds[i].begin);

		if (n < length || memcmp(tls->first, kinds[i].begin,
		    length) != 0)
			continue;
		failure_set(&tls->failure, TLS_FAILURE_NOT_TLS, "%s %s %s "
		    "(\"%s\"), and not %s", kinds[i].name, whose,
		    tls->context->server ? "has called" : "answers", line,
		    tls->context->server ? "aisc" : "aisd");
		return;
	}
	failure_set(&tls->failure, TLS_FAILURE_NOT_TLS, "what the %s sends is "
	    "not TLS, but begins with \"%s\"", whose, line);
}

void
tls_failure_cut(struct tls *tls, int e)
{
	failure_set(&tls->failure, e == 0 || e == ECONNRESET || e == EPIPE ?
	    TLS_FAILURE_CUT : TLS_FAILURE_SYSTEM, "the connection was "
	    "cut%s%s%s", tls->done ? "" : " within the handshake",
	    e == 0 ? "" : ": ", e == 0 ? "" : strerror(e));
}

void
tls_failure_protocol(struct tls *tls)
{
	int reason = ERR_GET_REASON(ERR_peek_error());
	int code = tls->failure.code;
	const char *last = cert_last_reason();

	/* verify_peer() has said it better.  A write that failed has not: why
	 * it did may well be in the alert that is read after it. */
	if (code == TLS_FAILURE_CERTIFICATE || code == TLS_FAILURE_AUTHORITY ||
	    code == TLS_FAILURE_NAME || code == TLS_FAILURE_MEMORY)
		return;
	if (cert_lacked_memory())
		tls_failure_memory(tls);
	else if (reason > SSL_AD_REASON_OFFSET &&
	    reason <= SSL_AD_REASON_OFFSET + 255)
		explain_alert(tls, reason - SSL_AD_REASON_OFFSET);
	else if (reason == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		tls_failure_cut(tls, 0);
	else if (tls->done)
		failure_set(&tls->failure, TLS_FAILURE_ALTERED, "a record "
		    "failed its integrity check (%s): it was altered on the "
		    "way", last);
	else if (reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE)
		failure_set(&tls->failure, TLS_FAILURE_CERTIFICATE, "the "
		    "client showed no certificate");
	else if (is_version(reason))
		explain_version(tls);
	else if (is_not_tls(reason))
		explain_stranger(tls);
	else
		failure_set(&tls->failure, TLS_FAILURE_PROTOCOL, "the TLS "
		    "handshake failed: %s", last);
}
