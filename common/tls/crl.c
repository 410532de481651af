/*
 * crl.c - one certificate revocation list: whether it can be used, which
 * certificates it is for, and its signer.
 *
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "common/tls/cert.h"
#include "common/tls/crl.h"

void
crl_free(struct crl *l)
{
	free(l->path);
	X509_CRL_free(l->crl);
	ISSUING_DIST_POINT_free(l->scope);
	EVP_PKEY_free(l->key);
}

/* --- which certificates a list is for ------------------------------------ */

/*
 * Read the issuingDistributionPoint, RFC 5280, 5.2.5.  NULL, or for what the
 * list is if that cannot be judged by this list alone.
 */
static const char *
read_scope(struct crl *l)
{
	const ISSUING_DIST_POINT *p;
	int critical;

	p = l->scope = X509_CRL_get_ext_d2i(l->crl,
	    NID_issuing_distribution_point, &critical, NULL);
	if (p == NULL)
		return critical == -1 ? NULL : "for what cannot be read";
	if (p->indirectCRL > 0)
		return "of several issuers (indirect)";
	if (p->onlysomereasons != NULL)
		return "for some reasons of revocation";
	if (p->onlyattr > 0)
		return "for attribute certificates";
	if (p->distpoint != NULL && p->distpoint->type != 0)
		return "for a distribution point without a full name";
	return NULL;
}

/* Has "point", of a certificate, one of "names"?  Not if it says that more
 * lists than this one are needed. */
static bool
is_point(const DIST_POINT *point, const GENERAL_NAMES *names)
{
	const GENERAL_NAMES *own;

	if (point->distpoint == NULL || point->distpoint->type != 0 ||
	    point->CRLissuer != NULL || point->reasons != NULL)
		return false;
	own = point->distpoint->name.fullname;
	for (int i = 0; i < sk_GENERAL_NAME_num(own); i++) {
		for (int j = 0; j < sk_GENERAL_NAME_num(names); j++) {
			if (GENERAL_NAME_cmp(sk_GENERAL_NAME_value(own, i),
			    sk_GENERAL_NAME_value(names, j)) == 0)
				return true;
		}
	}
	return false;
}

/*
 * Does "cert" name the distribution point "names", or none at all?  There are
 * authorities, such as step-ca, whose list names a point and whose
 * certificates do not.
 */
static bool
names_point(X509 *cert, const GENERAL_NAMES *names)
{
	int critical;
	CRL_DIST_POINTS *all = X509_get_ext_d2i(cert,
	    NID_crl_distribution_points, &critical, NULL);
	bool found = all == NULL && critical == -1;

	for (int i = 0; i < sk_DIST_POINT_num(all) && !found; i++)
		found = is_point(sk_DIST_POINT_value(all, i), names);
	CRL_DIST_POINTS_free(all);
	return found;
}

bool
crl_covers(const struct crl *l, X509 *cert)
{
	bool authority = (X509_get_extension_flags(cert) & EXFLAG_CA) != 0;

	if (l->scope == NULL)
		return true;
	if (authority ? l->scope->onlyuser > 0 : l->scope->onlyCA > 0)
		return false;
	return l->scope->distpoint == NULL ||
	    names_point(cert, l->scope->distpoint->name.fullname);
}

bool
crl_same_scope(const struct crl *a, const struct crl *b)
{
	int i, j;

	if (a->scope == NULL || b->scope == NULL)
		return a->scope == b->scope;
	i = X509_CRL_get_ext_by_NID(a->crl, NID_issuing_distribution_point, -1);
	j = X509_CRL_get_ext_by_NID(b->crl, NID_issuing_distribution_point, -1);
	return ASN1_OCTET_STRING_cmp(
	    X509_EXTENSION_get_data(X509_CRL_get_ext(a->crl, i)),
	    X509_EXTENSION_get_data(X509_CRL_get_ext(b->crl, j))) == 0;
}

/* --- what it says, and its signer ---------------------------------------- */

/* Does the list say what AIS understands, and can it be used without others?
 * 0, or -1 with what is wrong. */
static int
check_extensions(struct crl *l, struct failure *wrong)
{
	const char *scope;
	char name[64];

	if (X509_CRL_get_ext_by_NID(l->crl, NID_delta_crl, -1) >= 0)
		return failure_make(wrong, TLS_FAILURE_FILES, "use the whole "
		    "one", "it has only the changes since another list (a "
		    "delta list)");
	if ((scope = read_scope(l)) != NULL)
		return failure_make(wrong, TLS_FAILURE_FILES, "AIS cannot use "
		    "such lists", "it is only %s, by its "
		    "issuingDistributionPoint", scope);
	for (int i = 0; i < X509_CRL_get_ext_count(l->crl); i++) {
		X509_EXTENSION *e = X509_CRL_get_ext(l->crl, i);
		ASN1_OBJECT *type = X509_EXTENSION_get_object(e);

		if (!X509_EXTENSION_get_critical(e) ||
		    OBJ_obj2nid(type) == NID_issuing_distribution_point)
			continue;
		(void)OBJ_obj2txt(name, sizeof name, type, 0);
		return failure_make(wrong, TLS_FAILURE_FILES, "", "it has the "
		    "critical extension %s, which AIS does not know", name);
	}
	return 0;
}

/* What of an entry AIS does not understand, or NULL. */
static const char *
check_entry(const X509_REVOKED *entry)
{
	/* OpenSSL would not find it, nor those after it, for their issuer. */
	if (X509_REVOKED_get_ext_by_NID(entry, NID_certificate_issuer, -1) >= 0)
		return "is for another issuer's certificate";
	return X509_REVOKED_get_ext_by_critical(entry, 1, -1) >= 0 ?
	    "has a critical extension" : NULL;
}

/* The same of all; then sort them.  0, or -1 with what is wrong. */
static int
check_entries(struct crl *l, struct failure *wrong)
{
	STACK_OF(X509_REVOKED) *all = X509_CRL_get_REVOKED(l->crl);
	ASN1_INTEGER *any = ASN1_INTEGER_new();
	char serial[TLS_SERIAL_MAX];
	X509_REVOKED *entry;
	const char *what;

	/* A search sorts the entries.  X509_CRL_sort() would do more: it has
	 * the list encoded anew, so that its signature fails. */
	if (any == NULL)
		return -1;
	for (int i = 0; i < sk_X509_REVOKED_num(all); i++) {
		entry = sk_X509_REVOKED_value(all, i);
		if ((what = check_entry(entry)) == NULL)
			continue;
		cert_serial(X509_REVOKED_get0_serialNumber(entry), serial);
		failure_set(wrong, TLS_FAILURE_FILES, "the entry number %d, of "
		    "the certificate %s, %s", i + 1, serial, what);
		ASN1_INTEGER_free(any);
		return -1;
	}
	(void)X509_CRL_get0_by_serial(l->crl, &entry, any);
	ASN1_INTEGER_free(any);
	return 0;
}

int
crl_init(struct crl *l, const char *path, X509_CRL *crl,
    struct failure *wrong)
{
	failure_set(wrong, TLS_FAILURE_MEMORY, "out of memory");
	*l = (struct crl){ .path = strdup(path), .crl = crl,
	    .this_update = cert_seconds(X509_CRL_get0_lastUpdate(crl)),
	    .next_update = cert_seconds(X509_CRL_get0_nextUpdate(crl)) };
	return l->path != NULL && check_extensions(l, wrong) == 0 &&
	    check_entries(l, wrong) == 0 ? 0 : -1;
}

bool
crl_is_of(struct crl *l, X509 *issuer)
{
	EVP_PKEY *key = X509_get0_pubkey(issuer);
	bool good;

	if (key == NULL)
		return false;
	if (l->key != NULL)
		return EVP_PKEY_eq(l->key, key) == 1;
	good = X509_CRL_verify(l->crl, key) == 1;
	ERR_clear_error();
	if (!good || EVP_PKEY_up_ref(key) != 1)
		return false;
	l->key = key;
	return true;
}

bool
crl_names_issuer(const struct crl *l, const X509_NAME *name)
{
	return X509_NAME_cmp(X509_CRL_get_issuer(l->crl), name) == 0;
}

bool
crl_same_issuer(const struct crl *a, const struct crl *b)
{
	AUTHORITY_KEYID *x, *y;
	bool same;

	if (!crl_names_issuer(a, X509_CRL_get_issuer(b->crl)))
		return false;
	if (a->key != NULL && b->key != NULL)
		return EVP_PKEY_eq(a->key, b->key) == 1;
	x = X509_CRL_get_ext_d2i(a->crl, NID_authority_key_identifier, NULL,
	    NULL);
	y = X509_CRL_get_ext_d2i(b->crl, NID_authority_key_identifier, NULL,
	    NULL);
	same = x == NULL || y == NULL || x->keyid == NULL ||
	    y->keyid == NULL || ASN1_OCTET_STRING_cmp(x->keyid, y->keyid) == 0;
	AUTHORITY_KEYID_free(x);
	AUTHORITY_KEYID_free(y);
	ERR_clear_error();
	return same;
}

bool
crl_is_newer(const struct crl *a, const struct crl *b, int64_t now)
{
	bool begun = a->this_update <= now;

	if (begun != (b->this_update <= now))
		return begun;
	return a->this_update > b->this_update;
}

int
crl_check(const struct crl *l, X509 *cert, bool stale, int64_t now)
{
	X509_REVOKED *entry;

	if (X509_CRL_get0_by_serial(l->crl, &entry,
	    X509_get_serialNumber(cert)) != 0)
		return X509_V_ERR_CERT_REVOKED;
	if (l->this_update > now)
		return X509_V_ERR_CRL_NOT_YET_VALID;
	if (l->next_update != 0 && l->next_update <= now && !stale)
		return X509_V_ERR_CRL_HAS_EXPIRED;
	return X509_V_OK;
}

void
crl_describe(const struct crl *l, struct tls_term *term)
{
	*term = (struct tls_term){ .kind = TLS_TERM_LIST, .file = l->path,
	    .begins = l->this_update, .ends = l->next_update };
	(void)cert_name(X509_CRL_get_issuer(l->crl), term->name,
	    sizeof term->name);
}
