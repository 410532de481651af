/*
 * why.c - why a chain of certificates is refused, in words.
 *
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <stdio.h>

#include <openssl/x509v3.h>

#include "common/tls/cert.h"
#include "common/tls/revocation.h"
#include "common/tls/why.h"

/* What a sentence is made of. */
struct parts {
	const struct why_case *w;
	int e;				/* The X509_V_ERR. */
	X509 *cert;			/* The one that is at fault. */
	char subject[CERT_NAME_SHOWN];
	char issuer[CERT_NAME_SHOWN];
	struct failure *f;
};

/* Does "e" say that the chain does not lead to the authority? */
static bool
is_chain(int e)
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

/* Is there a certificate in "store" that has this name? */
static bool
has_authority(X509_STORE *store, const X509_NAME *name)
{
	STACK_OF(X509) *all = X509_STORE_get1_all_certs(store);
	bool found = X509_find_by_subject(all, name) != NULL;

	sk_X509_pop_free(all, X509_free);
	return found;
}

bool
why_is_alone(X509 *cert, STACK_OF(X509) *others, X509_STORE *store)
{
	const X509_NAME *issuer = X509_get_issuer_name(cert);

	for (int i = 0; i < sk_X509_num(others); i++) {
		if (X509_cmp(sk_X509_value(others, i), cert) != 0)
			return false;
	}
	return X509_NAME_cmp(X509_get_subject_name(cert), issuer) != 0 &&
	    !has_authority(store, issuer);
}

/* Is it the certificate that the chain begins with?  X509_cmp(3), since the
 * chain may hold the copy of it that is in the authority's file. */
static bool
is_first(const struct parts *p)
{
	return X509_cmp(p->cert, X509_STORE_CTX_get0_cert(p->w->store)) == 0;
}

static void
explain_chain(const struct parts *p)
{
	X509_STORE *store = X509_STORE_CTX_get0_store(p->w->store);

	if (is_first(p) && why_is_alone(p->cert,
	    X509_STORE_CTX_get0_untrusted(p->w->store), store)) {
		failure_set(p->f, TLS_FAILURE_AUTHORITY, "the certificate "
		    "\"%s\", issued by \"%s\", does not come from the "
		    "configured authority, and no other comes with it",
		    p->subject, p->issuer);
		failure_hint(p->f, "if its issuer is an intermediate "
		    "authority, add that one's certificate to the %s's file, "
		    "after this one", p->w->client ? "client" : "server");
	} else
		failure_set(p->f, TLS_FAILURE_AUTHORITY, "the certificate "
		    "\"%s\", issued by \"%s\", does not come from the "
		    "configured authority%s (%s)", p->subject, p->issuer,
		    has_authority(store, X509_get_issuer_name(p->cert)) ?
		    ", but from another of the same name" : "",
		    X509_verify_cert_error_string(p->e));
}

/* A certificate whose time has passed or is to come. */
static void
explain_dates(const struct parts *p)
{
	const char *whose = p->w->server ? "the server's" : "our";
	char what[CERT_NAME_SHOWN + 32];

	(void)snprintf(what, sizeof what, "the certificate \"%s\"",
	    p->subject);
	if (p->e == X509_V_ERR_CERT_HAS_EXPIRED)
		cert_expired(p->f, TLS_FAILURE_CERTIFICATE, what,
		    X509_get0_notAfter(p->cert), whose);
	else
		cert_not_yet(p->f, TLS_FAILURE_CERTIFICATE, what,
		    X509_get0_notBefore(p->cert), whose);
}

static const char anew[] = "make the authority's certificate anew";

static void
explain_use(const struct parts *p)
{
	bool client = p->w->client;
	bool silent = client && why_is_leaf(p->cert) &&
	    !cert_has_purpose(p->cert);
	int authority = X509_check_ca(p->cert);
	const char *role = client ? "client" : "server";
	const char *purpose = client ? "clientAuth" : "serverAuth";

	if (!is_first(p)) {
		(void)failure_make(p->f, TLS_FAILURE_CERTIFICATE, anew, "the "
		    "authority \"%s\" may not issue certificates for %ss: its "
		    "own has an extendedKeyUsage without %s", p->subject, role,
		    purpose);
		return;
	}
	if (authority != 0)
		failure_set(p->f, TLS_FAILURE_CERTIFICATE, "the certificate "
		    "\"%s\" is not for use as a %s: it is that of an "
		    "authority%s", p->subject, role, authority == 1 ?
		    " (CA:TRUE as basicConstraints), as \"openssl req "
		    "-x509\" makes them" : "");
	else if (silent)
		failure_set(p->f, TLS_FAILURE_CERTIFICATE, "the certificate "
		    "\"%s\" does not say that it is for clients: it has no "
		    "extendedKeyUsage with clientAuth", p->subject);
	else
		failure_set(p->f, TLS_FAILURE_CERTIFICATE, "the certificate "
		    "\"%s\" is not for use as a %s: that needs "
		    "digitalSignature as keyUsage and %s as extendedKeyUsage",
		    p->subject, role, purpose);
	failure_hint(p->f, "make one with \"ais-ca %s\"%s", role, silent ?
	    ", or set client_purpose = \"optional\" in aisd.conf" : "");
}

/* Something is wrong with the list that the certificate would be on. */
static void
explain_list(const struct parts *p)
{
	struct failure list;

	if (p->e == X509_V_ERR_KEYUSAGE_NO_CRL_SIGN)
		(void)failure_make(&list, 0, anew, "\"%s\" may not sign "
		    "lists, for its own certificate has a keyUsage without "
		    "cRLSign", p->issuer);
	else if (p->e == X509_V_ERR_UNABLE_TO_GET_CRL)
		(void)failure_make(&list, 0, "add one", "the files of \"crl\" "
		    "have no list that \"%s\" has signed", p->issuer);
	else if (p->e == X509_V_ERR_DIFFERENT_CRL_SCOPE)
		(void)failure_make(&list, 0, "add one that is", "no list of "
		    "\"%s\" in the files of \"crl\" is for certificates like "
		    "it, by their issuingDistributionPoint", p->issuer);
	else if (p->e != X509_V_ERR_CRL_NOT_YET_VALID ||
	    revocation_begins(p->w->lists, &list) == 0) {
		failure_set(&list, 0, "%s",
		    X509_verify_cert_error_string(p->e));
		failure_hint(&list, "make a new revocation list of \"%s\"",
		    p->issuer);
	}
	(void)failure_make(p->f, TLS_FAILURE_CERTIFICATE, list.hint, "the "
	    "certificate \"%s\" cannot be checked for revocation: %s",
	    p->subject, list.text);
}

static void
explain_rest(const struct parts *p)
{
	if (p->e == X509_V_ERR_CERT_REVOKED)
		(void)failure_make(p->f, TLS_FAILURE_CERTIFICATE, "use "
		    "another one in its place", "the certificate \"%s\" has "
		    "been revoked", p->subject);
	else if (p->e == X509_V_ERR_CERT_REJECTED &&
	    !cert_has_serial(p->cert))
		(void)failure_make(p->f, TLS_FAILURE_CERTIFICATE, "make it "
		    "anew with a shorter one", "the certificate \"%s\" has a "
		    "serial number of more than %d bytes, where RFC 5280 "
		    "allows 20", p->subject, CERT_SERIAL_BYTES);
	else if (p->e == X509_V_ERR_INVALID_CA)
		(void)failure_make(p->f, TLS_FAILURE_CERTIFICATE, anew,
		    "\"%s\" is no authority, though it has issued "
		    "certificates: its own lacks CA:TRUE as basicConstraints, "
		    "or keyCertSign as keyUsage", p->subject);
	else
		failure_set(p->f, TLS_FAILURE_CERTIFICATE, "the certificate "
		    "\"%s\" is not acceptable: %s", p->subject,
		    X509_verify_cert_error_string(p->e));
}

void
why_refused(const struct why_case *w, struct failure *f)
{
	struct parts p = { .w = w, .f = f,
	    .e = X509_STORE_CTX_get_error(w->store),
	    .cert = X509_STORE_CTX_get_current_cert(w->store) };

	/* A foreign authority that comes along is not what is wrong, but the
	 * certificate that it has issued. */
	if (p.cert == NULL || p.e == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN)
		p.cert = X509_STORE_CTX_get0_cert(w->store);
	(void)cert_name(X509_get_subject_name(p.cert), p.subject,
	    sizeof p.subject);
	(void)cert_name(X509_get_issuer_name(p.cert), p.issuer,
	    sizeof p.issuer);
	if (p.e == X509_V_ERR_CERT_HAS_EXPIRED ||
	    p.e == X509_V_ERR_CERT_NOT_YET_VALID)
		explain_dates(&p);
	else if (is_chain(p.e))
		explain_chain(&p);
	else if (p.e == X509_V_ERR_INVALID_PURPOSE)
		explain_use(&p);
	else if (why_is_list(p.e))
		explain_list(&p);
	else
		explain_rest(&p);
}
