/* What a certificate says.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "common/base/date.h"
#include "common/base/text.h"
#include "common/tls/cert.h"

bool
cert_lacked_memory(void)
{
	bool lacked = false;
	unsigned long e;

	while ((e = ERR_get_error()) != 0)
		lacked = lacked || ERR_GET_REASON(e) == ERR_R_MALLOC_FAILURE;
	return lacked;
}

const char *
cert_last_reason(void)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	return reason == NULL ? "unknown error" : reason;
}

int64_t
cert_seconds(const ASN1_TIME *t)
{
	struct tm tm;

	return t != NULL && ASN1_TIME_to_tm(t, &tm) == 1 ?
	    date_seconds(&tm) : 0;
}

/* A length of time as people say it; returns "out". */
static const char *
write_span(int64_t seconds, char out[TEXT_COUNT_MAX])
{
	static const struct {
		int64_t length;
		const char *name;
	} units[] = {
		{ 86400, "day" }, { 3600, "hour" }, { 60, "minute" },
		{ 1, "second" }
	};
	size_t i = 0;

	/* Two of a unit, and more, are exact enough. */
	while (units[i].length > 1 && seconds < 2 * units[i].length)
		i++;
	seconds /= units[i].length;
	return text_count(out, (double)seconds, units[i].name);
}

const char *
cert_when(const ASN1_TIME *t, const char *whose, char out[CERT_WHEN_MAX])
{
	int64_t now = date_now(), then = cert_seconds(t), left = then - now;
	char span[TEXT_COUNT_MAX], date[DATE_TEXT_MAX], today[DATE_TEXT_MAX];

	(void)snprintf(out, CERT_WHEN_MAX, "%s, %s %s by %s clock (%s)",
	    date_words(then, date), write_span(left < 0 ? -left : left,
	    span), left < 0 ? "ago" : "from now", whose,
	    date_words(now, today));
	return out;
}

void
cert_expired(struct failure *f, int code, const char *what,
    const ASN1_TIME *t, const char *whose)
{
	char when[CERT_WHEN_MAX];

	failure_set(f, code, "%s has expired on %s", what,
	    cert_when(t, whose, when));
	failure_hint(f, "renew it, or set that clock");
}

void
cert_not_yet(struct failure *f, int code, const char *what,
    const ASN1_TIME *t, const char *whose)
{
	char when[CERT_WHEN_MAX];

	failure_set(f, code, "%s is not valid before %s", what,
	    cert_when(t, whose, when));
	failure_hint(f, "check that clock, and the authority's");
}

/* OpenSSL does not take anyExtendedKeyUsage for the purpose that it looks
 * for. */
bool
cert_allows(X509 *cert, bool client, bool authority)
{
	uint32_t usage = X509_get_extended_key_usage(cert);

	return (cert_has_purpose(cert) && (usage & XKU_ANYEKU) != 0) ||
	    X509_check_purpose(cert, client ? X509_PURPOSE_SSL_CLIENT :
	    X509_PURPOSE_SSL_SERVER, authority) > 0;
}

bool
cert_has_purpose(X509 *cert)
{
	return X509_get_extended_key_usage(cert) != UINT32_MAX;
}

#define TEXT_OF(number)	TEXT_OF_(number)
#define TEXT_OF_(number) #number

/* The common name, if there is exactly one; else "".  What it cannot be, or
 * NULL. */
static const char *
get_common_name(X509 *cert, char out[TLS_NAME_MAX])
{
	X509_NAME *name = X509_get_subject_name(cert);
	int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1), n;
	const char *lacks = NULL;
	unsigned char *text;

	out[0] = '\0';
	if (at < 0 || X509_NAME_get_index_by_NID(name, NID_commonName, at) >= 0)
		return NULL;
	n = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(
	    X509_NAME_get_entry(name, at)));
	if (n < 0)
		return "a common name that is no text";
	if (n < TLS_NAME_MAX && memchr(text, '\0', (size_t)n) == NULL) {
		memcpy(out, text, (size_t)n);
		out[n] = '\0';
	} else
		lacks = "a common name with a NUL in it, or of "
		    TEXT_OF(TLS_NAME_MAX) " bytes and more";
	OPENSSL_free(text);
	return lacks;
}

/* The attributes of a subject of which there are rules. */
static const struct {
	int nid;
	const char *kind;
} attributes[] = {
	{ NID_commonName, "CN:" }, { NID_organizationalUnitName, "OU:" },
	{ NID_organizationName, "O:" }, { NID_userId, "UID:" },
	{ NID_serialNumber, "SERIALNUMBER:" },
	{ NID_pkcs9_emailAddress, "EMAILADDRESS:" },
	{ NID_domainComponent, "DC:" },
};

/* An entry of a name as UTF-8 into "out", after "used" bytes.  Its length, or
 * -1: it has a NUL or is no text, or does not fit. */
static int
get_entry(const X509_NAME_ENTRY *entry, char *out, size_t used)
{
	unsigned char *text;
	int n = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(entry));

	if (n < 0)
		return -1;
	if ((size_t)n >= TLS_NAME_MAX || (size_t)n + 2 > TLS_DN_MAX - used ||
	    memchr(text, '\0', (size_t)n) != NULL)
		n = -1;
	else
		memcpy(out + used, text, (size_t)n);
	OPENSSL_free(text);
	return n;
}

/*
 * Add the attributes of one kind that the subject has, the most special one
 * first, to the "*used" bytes in "out"; domain components as one domain.
 * Whether all could be added.
 */
static bool
get_attributes_of(X509_NAME *name, size_t kind, char out[TLS_DN_MAX],
    size_t *used)
{
	bool domain = attributes[kind].nid == NID_domainComponent, first = true;
	const char *prefix = attributes[kind].kind;

	for (int i = X509_NAME_entry_count(name) - 1; i >= 0; i--) {
		const X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, i);
		int n;

		if (OBJ_obj2nid(X509_NAME_ENTRY_get_object(entry)) !=
		    attributes[kind].nid)
			continue;
		if (domain && !first) {
			/* In place of the NUL of the one before. */
			out[*used - 1] = '.';
		} else if (strlen(prefix) >= TLS_DN_MAX - *used)
			return false;
		else {
			memcpy(out + *used, prefix, strlen(prefix));
			*used += strlen(prefix);
		}
		first = false;
		if ((n = get_entry(entry, out, *used)) == -1)
			return false;
		*used += (size_t)n;
		out[(*used)++] = '\0';
	}
	return true;
}

/* The attributes of the subject.  What it has that cannot be compared, or
 * NULL. */
static const char *
get_attributes(X509 *cert, char out[TLS_DN_MAX])
{
	const char *lacks = NULL;
	size_t used = 0;

	for (size_t i = 0; i < sizeof attributes / sizeof attributes[0] &&
	    lacks == NULL; i++) {
		if (!get_attributes_of(X509_get_subject_name(cert), i, out,
		    &used))
			lacks = "a part of the subject that is no text, with "
			    "a NUL in it, or of " TEXT_OF(TLS_NAME_MAX)
			    " bytes and more";
	}
	memset(out + used, 0, TLS_DN_MAX - used);
	return lacks;
}

int
cert_name(X509_NAME *name, char *out, size_t size)
{
	BIO *bio = BIO_new(BIO_s_mem());
	int length = -1, n = 0;
	bool cut;

	if (bio != NULL)
		length = X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253);
	if (length > 0)
		n = BIO_read(bio, out, (int)size - 1);
	out[n > 0 ? n : 0] = '\0';
	cut = n > 0 && BIO_pending(bio) > 0;
	if (cut)
		memcpy(out + n - 3, "...", 3);
	BIO_free(bio);
	return length == 0 || n > 0 ? cut : -1;
}

void
cert_serial(const ASN1_INTEGER *serial, char out[TLS_SERIAL_MAX])
{
	BIGNUM *n = ASN1_INTEGER_to_BN(serial, NULL);
	char *text = n == NULL ? NULL : BN_bn2hex(n);

	(void)snprintf(out, TLS_SERIAL_MAX, "%s", text == NULL ? "" : text);
	OPENSSL_free(text);
	BN_free(n);
}

bool
cert_has_serial(X509 *cert)
{
	/* A tag and a length stand before it. */
	int size = i2d_ASN1_INTEGER(X509_get0_serialNumber(cert), NULL) - 2;

	return size > 0 && size <= CERT_SERIAL_BYTES;
}

static void
get_fingerprint(X509 *cert, char out[TLS_FINGERPRINT_MAX])
{
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	out[0] = '\0';
	if (X509_digest(cert, EVP_sha256(), md, &n) != 1)
		return;
	for (unsigned i = 0; i < n && 2 * i + 2 < TLS_FINGERPRINT_MAX; i++)
		(void)snprintf(out + (size_t)2 * i, 3, "%02x", md[i]);
}

/*
 * A name of a subjectAltName with its kind before it, into "out".  Returns its
 * length, 0 for a kind of which there are no rules, or -1: it is malformed, or
 * does not fit, and so cannot be compared with safety.
 */
static int
get_san(const GENERAL_NAME *g, char out[TLS_NAME_MAX])
{
	const ASN1_STRING *text = g->d.ia5;
	const char *kind = g->type == GEN_DNS ? "DNS:" :
	    g->type == GEN_EMAIL ? "EMAIL:" : g->type == GEN_URI ? "URI:" :
	    g->type == GEN_IPADD ? "IP:" : NULL;
	const unsigned char *p;
	size_t used, n;

	if (g->type == GEN_OTHERNAME &&
	    OBJ_obj2nid(g->d.otherName->type_id) == NID_ms_upn) {
		if (g->d.otherName->value->type != V_ASN1_UTF8STRING)
			return -1;
		text = g->d.otherName->value->value.utf8string;
		kind = "UPN:";
	}
	if (kind == NULL)
		return 0;
	p = ASN1_STRING_get0_data(text);
	n = (size_t)ASN1_STRING_length(text);
	used = strlen(kind);
	memcpy(out, kind, used);
	if (g->type == GEN_IPADD) {
		if ((n != 4 && n != 16) || inet_ntop(n == 4 ? AF_INET :
		    AF_INET6, p, out + used, (socklen_t)(TLS_NAME_MAX - used))
		    == NULL)
			return -1;
		return (int)strlen(out);
	}
	if (n == 0 || n >= TLS_NAME_MAX - used)
		return -1;
	for (size_t i = 0, length = 1; i < n; i += length) {
		/* The others are IA5Strings. */
		if (p[i] < ' ' || p[i] == 0x7f || (p[i] > '~' &&
		    (g->type != GEN_OTHERNAME || text_character(p + i, n - i,
		    &length) == TEXT_NO_CHARACTER)))
			return -1;
	}
	memcpy(out + used, p, n);
	out[used + n] = '\0';
	return (int)(used + n);
}

/* What the names have that "out" cannot hold, or NULL. */
static const char *
get_sans(X509 *cert, char out[TLS_SANS_MAX])
{
	int critical, n;
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name,
	    &critical, NULL);
	const char *lacks = names == NULL && critical != -1 ?
	    "subjectAltNames that cannot be read" : NULL;
	char name[TLS_NAME_MAX];
	size_t used = 0;

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		n = get_san(sk_GENERAL_NAME_value(names, i), name);
		if (n == -1)
			lacks = "a subjectAltName that is malformed, not "
			    "printable ASCII, or of " TEXT_OF(TLS_NAME_MAX)
			    " bytes and more";
		else if ((size_t)n + 1 >= TLS_SANS_MAX - used)
			lacks = "more subjectAltNames than fit into "
			    TEXT_OF(TLS_SANS_MAX) " bytes";
		else if (n > 0) {
			memcpy(out + used, name, (size_t)n + 1);
			used += (size_t)n + 1;
		}
	}
	out[used] = '\0';
	GENERAL_NAMES_free(names);
	return lacks;
}

int
cert_identity(X509 *cert, struct tls_identity *id)
{
	int subject, issuer;
	const char *names;

	if (cert == NULL)
		return -1;
	memset(id, 0, sizeof *id);
	ERR_clear_error();
	id->lacks = get_attributes(cert, id->attributes);
	if ((names = get_common_name(cert, id->common_name)) != NULL)
		id->lacks = names;
	subject = cert_name(X509_get_subject_name(cert), id->subject,
	    sizeof id->subject);
	issuer = cert_name(X509_get_issuer_name(cert), id->issuer,
	    sizeof id->issuer);
	if (subject == 1 || issuer == 1)
		id->lacks = "a subject or an issuer of " TEXT_OF(TLS_DN_MAX)
		    " bytes and more";
	cert_serial(X509_get0_serialNumber(cert), id->serial);
	get_fingerprint(cert, id->fingerprint);
	if ((names = get_sans(cert, id->sans)) != NULL)
		id->lacks = names;
	id->not_before = cert_seconds(X509_get0_notBefore(cert));
	id->not_after = cert_seconds(X509_get0_notAfter(cert));
	return cert_lacked_memory() || subject == -1 || issuer == -1 ||
	    id->serial[0] == '\0' ||
	    id->fingerprint[0] == '\0' ? -1 : 0;
}

/* The name of a host in a subjectAltName, with its kind; whether it is one. */
static bool
get_host(const GENERAL_NAME *g, char out[TLS_NAME_MAX])
{
	int n = g->type == GEN_DNS || g->type == GEN_IPADD ?
	    get_san(g, out) : 0;

	if (n != -1 || g->type != GEN_DNS)
		return n > 0;
	memcpy(out, "DNS:", 4);
	text_escape(out + 4, TLS_NAME_MAX - 4, ASN1_STRING_get0_data(g->d.ia5),
	    (size_t)ASN1_STRING_length(g->d.ia5));
	return true;
}

bool
cert_names(X509 *cert, char *out, size_t size)
{
	static const char more[] = ", ...";
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name,
	    NULL, NULL);
	char name[TLS_NAME_MAX];
	size_t used = 0;
	bool has_host = false;

	(void)snprintf(out, size, "no name at all");
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		if (!get_host(sk_GENERAL_NAME_value(names, i), name))
			continue;
		has_host = true;
		if (strlen(name) + sizeof more + 2 > size - used) {
			(void)snprintf(out + used, size - used, "%s",
			    used > 0 ? more : "names too long to show");
			break;
		}
		used += (size_t)snprintf(out + used, size - used, "%s%s",
		    used > 0 ? ", " : "", name);
	}
	GENERAL_NAMES_free(names);
	return has_host;
}
