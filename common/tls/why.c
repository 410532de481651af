/* Why a chain is refused, in words.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <stdarg.h>
#include <stdio.h>

#include <openssl/x509v3.h>

#include "common/base/date.h"
#include "common/tls/cert.h"
#include "common/tls/revocation.h"
#include "common/tls/why.h"

/* What a sentence is made of. */
struct parts {
	const struct why_case *w;
	int e;
	X509 *cert;			/* The one that is at fault. */
	char subject[CERT_NAME_SHOWN];
	char issuer[CERT_NAME_SHOWN];
	char *out;
};

static void __attribute__((format(printf, 2, 3)))
say(const struct parts *p, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(p->out, TLS_TEXT_MAX, format, ap);
	va_end(ap);
}

bool
why_is_chain(int e)
{
	switch (e) {
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_CERT_SIGNATURE_FAILURE:
	case X509_V_ERR_CERT_UNTRUSTED:
		return true;
	default:
		return false;
	}
}

bool
why_is_list(int e)
{
	return e == X509_V_ERR_CRL_HAS_EXPIRED ||
	    e == X509_V_ERR_CRL_NOT_YET_VALID ||
	    e == X509_V_ERR_UNABLE_TO_GET_CRL ||
	    e == X509_V_ERR_DIFFERENT_CRL_SCOPE ||
	    e == X509_V_ERR_KEYUSAGE_NO_CRL_SIGN;
}

bool
why_is_leaf(X509 *cert)
{
	return (X509_get_key_usage(cert) & KU_DIGITAL_SIGNATURE) != 0 &&
	    X509_check_ca(cert) == 0;
}

bool
why_has_authority(X509_STORE *store, const X509_NAME *name)
{
	STACK_OF(X509_OBJECT) *all = X509_STORE_get0_objects(store);

	for (int i = 0; i < sk_X509_OBJECT_num(all); i++) {
		X509 *cert = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all,
		    i));

		if (cert != NULL && X509_NAME_cmp(X509_get_subject_name(cert),
		    name) == 0)
			return true;
	}
	return false;
}

/* Is it the certificate that the chain begins with?  The same may stand in the
 * authority's file, and then be that one. */
static bool
is_first(const struct parts *p)
{
	return X509_cmp(p->cert, X509_STORE_CTX_get0_cert(p->w->store)) == 0;
}

bool
why_is_own_issuer(X509 *cert)
{
	return X509_NAME_cmp(X509_get_subject_name(cert),
	    X509_get_issuer_name(cert)) == 0;
}

/* Has no certificate come along with the first, whose issuer is not known? */
static bool
comes_alone(const struct parts *p)
{
	STACK_OF(X509) *others = X509_STORE_CTX_get0_untrusted(p->w->store);

	for (int i = 0; i < sk_X509_num(others); i++) {
		if (X509_cmp(sk_X509_value(others, i), p->cert) != 0)
			return false;
	}
	return is_first(p) && !why_is_own_issuer(p->cert);
}

static void
explain_chain(const struct parts *p)
{
	bool known = why_has_authority(X509_STORE_CTX_get0_store(p->w->store),
	    X509_get_issuer_name(p->cert));

	if (!known && comes_alone(p))
		say(p, "the certificate \"%s\", issued by \"%s\", does not "
		    "come from the configured authority: no other comes with "
		    "it; if its issuer is an intermediate authority, that "
		    "one's certificate belongs behind it in the %s's file",
		    p->subject, p->issuer, p->w->client ? "client" : "server");
	else
		say(p, "the certificate \"%s\", issued by \"%s\", does not "
		    "come from the configured authority%s (%s)", p->subject,
		    p->issuer, known ? ", but from another of the same name" :
		    "", X509_verify_cert_error_string(p->e));
}

/* The sentence for a certificate whose time has passed or is to come. */
static void
explain_dates(const struct parts *p)
{
	const ASN1_TIME *end = X509_get0_notAfter(p->cert);
	const ASN1_TIME *begin = X509_get0_notBefore(p->cert);
	const char *whose = p->w->server ? "the server's" : "our";
	char date[DATE_TEXT_MAX], distance[128];

	if (X509_cmp_current_time(end) < 0)
		say(p, "the certificate \"%s\" has expired on %s, %s; it has "
		    "to be renewed, or that clock set", p->subject,
		    cert_date(end, date),
		    cert_distance(end, whose, distance));
	else
		say(p, "the certificate \"%s\" is not valid before %s, %s; "
		    "check that clock, and the authority's", p->subject,
		    cert_date(begin, date),
		    cert_distance(begin, whose, distance));
}

static void
explain_purpose(const struct parts *p)
{
	bool client = p->w->client;
	const char *role = client ? "client" : "server";
	const char *purpose = client ? "clientAuth" : "serverAuth";

	if (!is_first(p))
		say(p, "the authority \"%s\" may not issue certificates for "
		    "%ss: its own has an extendedKeyUsage without %s; that of "
		    "the authority has to be made anew", p->subject, role,
		    purpose);
	else if (X509_check_ca(p->cert) != 0)
		say(p, "the certificate \"%s\" is not for use as a %s: it is "
		    "that of an authority%s; make one with \"ais-ca %s\"",
		    p->subject, role, X509_check_ca(p->cert) == 1 ?
		    " (CA:TRUE as basicConstraints), as \"openssl req -x509\" "
		    "makes them" : "", role);
	else if (client && why_is_leaf(p->cert) && !cert_has_purpose(p->cert))
		say(p, "the certificate \"%s\" does not say that it is for "
		    "clients: it has no extendedKeyUsage with clientAuth; "
		    "make one with \"ais-ca client\", or set client_purpose "
		    "= \"optional\" in aisd.conf", p->subject);
	else
		say(p, "the certificate \"%s\" is not for use as a %s: that "
		    "needs digitalSignature as keyUsage and %s as "
		    "extendedKeyUsage; make one with \"ais-ca %s\"",
		    p->subject, role, purpose, role);
}

/* Something is wrong with the list that should tell. */
static void
explain_list(const struct parts *p)
{
	static const char cannot[] = "cannot be checked for revocation";
	char begins[TLS_TEXT_MAX];

	if (p->e == X509_V_ERR_KEYUSAGE_NO_CRL_SIGN)
		say(p, "the certificate \"%s\" %s: \"%s\" may not sign lists, "
		    "for its own certificate has a keyUsage without cRLSign; "
		    "that of the authority has to be made anew", p->subject,
		    cannot, p->issuer);
	else if (p->e == X509_V_ERR_CRL_NOT_YET_VALID &&
	    revocation_begins(p->w->lists, begins) != 0)
		say(p, "the certificate \"%s\" %s: %s", p->subject, cannot,
		    begins);
	else if (p->e == X509_V_ERR_UNABLE_TO_GET_CRL)
		say(p, "the certificate \"%s\" %s: the files of \"crl\" have "
		    "no list that \"%s\" has signed; add one", p->subject,
		    cannot, p->issuer);
	else if (p->e == X509_V_ERR_DIFFERENT_CRL_SCOPE)
		say(p, "the certificate \"%s\" %s: no list of \"%s\" in the "
		    "files of \"crl\" is for certificates like it, by their "
		    "issuingDistributionPoint; add one that is", p->subject,
		    cannot, p->issuer);
	else
		say(p, "the certificate \"%s\" %s: %s; make a new revocation "
		    "list of \"%s\"", p->subject, cannot,
		    X509_verify_cert_error_string(p->e), p->issuer);
}

static void
explain_rest(const struct parts *p)
{
	if (p->e == X509_V_ERR_CERT_REVOKED)
		say(p, "the certificate \"%s\" has been revoked; another "
		    "one has to take its place", p->subject);
	else if (p->e == X509_V_ERR_CERT_REJECTED && !cert_has_serial(p->cert))
		say(p, "the certificate \"%s\" has a serial number of more "
		    "than %d bytes, where RFC 5280 allows 20; make it anew "
		    "with a shorter one", p->subject, CERT_SERIAL_BYTES);
	else if (p->e == X509_V_ERR_INVALID_CA)
		say(p, "\"%s\" is no authority, though others have been "
		    "issued by it: its certificate lacks CA:TRUE as "
		    "basicConstraints, or keyCertSign as keyUsage; that of "
		    "the authority has to be made anew", p->subject);
	else
		say(p, "the certificate \"%s\" is not acceptable: %s",
		    p->subject, X509_verify_cert_error_string(p->e));
}

void
why_refused(const struct why_case *w, char out[TLS_TEXT_MAX])
{
	struct parts p = { .w = w, .out = out,
	    .e = X509_STORE_CTX_get_error(w->store),
	    .cert = X509_STORE_CTX_get_current_cert(w->store) };

	/* A foreign authority that comes along is not what is wrong, but whose
	 * it is. */
	if (p.cert == NULL || p.e == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN)
		p.cert = X509_STORE_CTX_get0_cert(w->store);
	(void)cert_name(X509_get_subject_name(p.cert), p.subject,
	    sizeof p.subject);
	(void)cert_name(X509_get_issuer_name(p.cert), p.issuer,
	    sizeof p.issuer);
	if (p.e == X509_V_ERR_CERT_HAS_EXPIRED ||
	    p.e == X509_V_ERR_CERT_NOT_YET_VALID)
		explain_dates(&p);
	else if (why_is_chain(p.e))
		explain_chain(&p);
	else if (p.e == X509_V_ERR_INVALID_PURPOSE)
		explain_purpose(&p);
	else if (why_is_list(p.e))
		explain_list(&p);
	else
		explain_rest(&p);
}
