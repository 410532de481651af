/*
 * revocation.c - certificate revocation lists, read and verified by OpenSSL.
 *
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "common/base/clock.h"
#include "common/base/date.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/tls/cert.h"
#include "common/tls/revocation.h"

/* A million entries take 55 MiB. */
#define FILE_SIZE_MAX	(256L * 1024 * 1024)
/* Loading that takes so long, in ms, is logged: a session waits for it. */
#define SLOW		100

/* What is wrong with a list, for a sentence that names its file. */
#define WRONG_MAX	256

struct list {
	char *path;			/* The file that has it. */
	X509_CRL *crl;
	ISSUING_DIST_POINT *scope;	/* NULL: all certificates. */
	int64_t this_update;
	int64_t next_update;		/* 0: none. */
	EVP_PKEY *key;			/* Has signed it; NULL: not known. */
};

struct revocation {
	struct list *lists;
	size_t count;
};

static void
list_free(struct list *l)
{
	free(l->path);
	X509_CRL_free(l->crl);
	ISSUING_DIST_POINT_free(l->scope);
	EVP_PKEY_free(l->key);
}

void
revocation_free(struct revocation *r)
{
	if (r == NULL)
		return;
	for (size_t i = 0; i < r->count; i++)
		list_free(&r->lists[i]);
	free(r->lists);
	free(r);
}

/* --- which certificates a list is for ------------------------------------ */

/*
 * Read the issuingDistributionPoint, RFC 5280, 5.2.5.  NULL, or for what the
 * list is if that cannot be judged by this list alone.
 */
static const char *
read_scope(struct list *l)
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

/* Would "cert" be on the list if its issuer had revoked it? */
static bool
covers(const struct list *l, X509 *cert)
{
	bool authority = (X509_get_extension_flags(cert) & EXFLAG_CA) != 0;

	if (l->scope == NULL)
		return true;
	if (authority ? l->scope->onlyuser > 0 : l->scope->onlyCA > 0)
		return false;
	return l->scope->distpoint == NULL ||
	    names_point(cert, l->scope->distpoint->name.fullname);
}

/* Are two lists for the same certificates, if they have one issuer? */
static bool
same_scope(const struct list *a, const struct list *b)
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

/* --- one list ------------------------------------------------------------ */

/* Does the list say what AIS understands, and can it be used without others?
 * 0, or -1 with what is wrong. */
static int
check_extensions(struct list *l, char wrong[WRONG_MAX])
{
	const char *scope;
	char name[64];

	if (X509_CRL_get_ext_by_NID(l->crl, NID_delta_crl, -1) >= 0) {
		(void)snprintf(wrong, WRONG_MAX, "it has only the changes "
		    "since another list (a delta list); use the whole one");
		return -1;
	}
	if ((scope = read_scope(l)) != NULL) {
		(void)snprintf(wrong, WRONG_MAX, "it is only %s, by its "
		    "issuingDistributionPoint; AIS cannot use such lists",
		    scope);
		return -1;
	}
	for (int i = 0; i < X509_CRL_get_ext_count(l->crl); i++) {
		X509_EXTENSION *e = X509_CRL_get_ext(l->crl, i);
		ASN1_OBJECT *type = X509_EXTENSION_get_object(e);

		if (!X509_EXTENSION_get_critical(e) ||
		    OBJ_obj2nid(type) == NID_issuing_distribution_point)
			continue;
		(void)OBJ_obj2txt(name, sizeof name, type, 0);
		(void)snprintf(wrong, WRONG_MAX, "it has the critical "
		    "extension %s, which AIS does not know", name);
		return -1;
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
check_entries(struct list *l, char wrong[WRONG_MAX])
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
		(void)snprintf(wrong, WRONG_MAX, "the entry number %d, of the "
		    "certificate %s, %s", i + 1, serial, what);
		ASN1_INTEGER_free(any);
		return -1;
	}
	(void)X509_CRL_get0_by_serial(l->crl, &entry, any);
	ASN1_INTEGER_free(any);
	return 0;
}

/*
 * Has "issuer" signed the list?  Found out once: the list then remembers the
 * key.
 */
static bool
list_is_of(struct list *l, X509 *issuer)
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

static bool
names_issuer(const struct list *l, const X509_NAME *name)
{
	return X509_NAME_cmp(X509_CRL_get_issuer(l->crl), name) == 0;
}

/* --- files --------------------------------------------------------------- */

/* Say what is wrong; errno will be "error", 0 being for what a file says. */
static int __attribute__((format(printf, 4, 5)))
complain(int error, char why[TLS_TEXT_MAX], const char *path,
    const char *format, ...)
{
	va_list ap;
	int n = snprintf(why, TLS_TEXT_MAX, "cannot use the revocation list "
	    "%.250s: ", path);

	va_start(ap, format);
	(void)vsnprintf(why + n, TLS_TEXT_MAX - (size_t)n, format, ap);
	va_end(ap);
	ERR_clear_error();
	errno = error;
	return -1;
}

/* Add the list "crl", which is taken over, of the file "path".  0, or -1 with
 * a sentence. */
static int
add_list(struct revocation *r, const char *path, X509_CRL *crl,
    char why[TLS_TEXT_MAX])
{
	struct list *lists = realloc(r->lists, (r->count + 1) *
	    sizeof *lists), *l;
	char wrong[WRONG_MAX] = "out of memory";

	if (lists == NULL) {
		X509_CRL_free(crl);
		return complain(ENOMEM, why, path, "%s", wrong);
	}
	r->lists = lists;
	l = &lists[r->count++];
	*l = (struct list){ .path = strdup(path), .crl = crl,
	    .this_update = cert_seconds(X509_CRL_get0_lastUpdate(crl)),
	    .next_update = cert_seconds(X509_CRL_get0_nextUpdate(crl)) };
	if (l->path != NULL && check_extensions(l, wrong) == 0 &&
	    check_entries(l, wrong) == 0)
		return 0;
	return complain(l->path == NULL || cert_lacked_memory() ? ENOMEM : 0,
	    why, path, "%s", wrong);
}

/* Does the file begin as a list in DER does: a SEQUENCE of more than 127
 * bytes?  No text has such a second byte. */
static bool
is_der(FILE *f)
{
	int first = getc(f), second = getc(f);

	rewind(f);
	return first == 0x30 && second > 0x80;
}

/* Why the last list of a file could not be read; -1. */
static int
explain_reading(FILE *f, const char *path, char why[TLS_TEXT_MAX])
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	if (ferror(f))
		return complain(EIO, why, path, "%s", strerror(EIO));
	if (cert_lacked_memory())
		return complain(ENOMEM, why, path, "out of memory");
	return complain(0, why, path, "it is damaged (%s); it must be PEM or "
	    "DER", reason == NULL ? "cut off" : reason);
}

/* Read the one list of a file in DER. */
static int
load_der(struct revocation *r, FILE *f, const char *path,
    char why[TLS_TEXT_MAX])
{
	X509_CRL *crl = d2i_X509_CRL_fp(f, NULL);

	if (crl == NULL)
		return explain_reading(f, path, why);
	if (getc(f) == EOF)
		return add_list(r, path, crl, why);
	X509_CRL_free(crl);
	return complain(0, why, path, "something follows the list; a file in "
	    "DER has one list");
}

/* Read the lists of a file in PEM. */
static int
load_pem(struct revocation *r, FILE *f, const char *path,
    char why[TLS_TEXT_MAX])
{
	size_t before = r->count;
	X509_CRL *crl;

	while ((crl = PEM_read_X509_CRL(f, NULL, NULL, NULL)) != NULL) {
		if (add_list(r, path, crl, why) == -1)
			return -1;
	}
	/* After the last one there is nothing any more; before it, a list
	 * that is not whole or has been damaged. */
	if (ferror(f) || ERR_GET_REASON(ERR_peek_last_error()) !=
	    PEM_R_NO_START_LINE)
		return explain_reading(f, path, why);
	ERR_clear_error();
	if (r->count == before)
		return complain(0, why, path, "there is none in it; it must be "
		    "PEM or DER");
	return 0;
}

static int
load_file(struct revocation *r, const char *path, char why[TLS_TEXT_MAX])
{
	int fd = fd_open_file(path, FILE_SIZE_MAX), result = -1, error;
	FILE *f = fd == -1 ? NULL : fdopen(fd, "r");

	if (f == NULL) {
		error = errno;
		(void)snprintf(why, TLS_TEXT_MAX, "cannot read the revocation "
		    "list %s: %s", path, error == EFBIG ? "it is longer than "
		    "256 MiB" : error == EINVAL ? "it is no file" :
		    strerror(error));
		fd_close(&fd);
	} else {
		result = is_der(f) ? load_der(r, f, path, why) :
		    load_pem(r, f, path, why);
		error = errno;
		(void)fclose(f);
	}
	errno = error;
	return result;
}

static int
is_pem(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return d->d_name[0] != '.' && n > 4 &&
	    strcmp(d->d_name + n - 4, ".pem") == 0;
}

static int
load_directory(struct revocation *r, const char *path, char why[TLS_TEXT_MAX])
{
	struct dirent **names;
	int n = scandir(path, &names, is_pem, alphasort), result = 0;
	int error = errno;

	if (n == -1) {
		(void)snprintf(why, TLS_TEXT_MAX, "cannot read the directory "
		    "of revocation lists %s: %s", path, strerror(error));
		errno = error;
		return -1;
	}
	for (int i = 0; i < n; i++) {
		size_t size = strlen(path) + strlen(names[i]->d_name) + 2;
		char *file = result == 0 ? malloc(size) : NULL;

		if (file != NULL) {
			(void)snprintf(file, size, "%s/%s", path,
			    names[i]->d_name);
			result = load_file(r, file, why);
			error = errno;
			free(file);
		} else if (result == 0) {
			result = complain(ENOMEM, why, path, "out of memory");
			error = errno;
		}
		free(names[i]);
	}
	free(names);
	errno = error;
	return n == 0 ? complain(0, why, path, "no file *.pem is in it") :
	    result;
}

/* How many entries all lists have. */
static long long
count_entries(const struct revocation *r)
{
	long long n = 0;

	for (size_t i = 0; i < r->count; i++) {
		int more = sk_X509_REVOKED_num(
		    X509_CRL_get_REVOKED(r->lists[i].crl));

		n += more > 0 ? more : 0;
	}
	return n;
}

struct revocation *
revocation_load(const char *path, char why[TLS_TEXT_MAX])
{
	struct revocation *r = calloc(1, sizeof *r);
	int64_t began = clock_now(), took;
	struct stat st;
	int result, error;

	if (r == NULL) {
		(void)complain(ENOMEM, why, path, "out of memory");
		return NULL;
	}
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		result = load_directory(r, path, why);
	else
		result = load_file(r, path, why);
	error = errno;
	if ((took = clock_now() - began) >= SLOW && result == 0)
		log_info("loading the revocation lists of %.250s took %lld ms, "
		    "for %lld entries", path, (long long)took,
		    count_entries(r));
	if (result == 0)
		return r;
	revocation_free(r);
	errno = error;
	return NULL;
}

int
revocation_verify(struct revocation *r, STACK_OF(X509) *certs,
    char why[TLS_TEXT_MAX])
{
	char name[128];

	for (size_t i = 0; i < r->count; i++) {
		struct list *l = &r->lists[i];
		bool named = false, good = false;

		for (int j = 0; j < sk_X509_num(certs) && !good; j++) {
			X509 *issuer = sk_X509_value(certs, j);

			if (!names_issuer(l, X509_get_subject_name(issuer)))
				continue;
			named = true;
			good = list_is_of(l, issuer);
		}
		if (!named || good)
			continue;
		/* It escapes what is not printable ASCII. */
		(void)X509_NAME_oneline(X509_CRL_get_issuer(l->crl), name,
		    sizeof name);
		(void)snprintf(why, TLS_TEXT_MAX, "the revocation list of "
		    "\"%s\" is not signed by the authority of this name",
		    name);
		return -1;
	}
	return 0;
}

/* --- questions ----------------------------------------------------------- */

/* Is "a" to be used, and not "b" of the same issuer and scope?  A list whose
 * time is to come may have been put in place early. */
static bool
is_newer(const struct list *a, const struct list *b, int64_t now)
{
	bool begun = a->this_update <= now;

	if (begun != (b->this_update <= now))
		return begun;
	return a->this_update > b->this_update;
}

/* Does the list number "i" take the place of the number "n", if they have one
 * issuer?  Of two that are as new it is the first. */
static bool
replaces(const struct revocation *r, size_t i, size_t n, int64_t now)
{
	const struct list *a = &r->lists[i], *b = &r->lists[n];

	return i != n && same_scope(a, b) && (is_newer(a, b, now) ||
	    (i < n && !is_newer(b, a, now)));
}

/* Has "issuer", named "name", signed the list number "n", and none that takes
 * its place? */
static bool
is_current(struct revocation *r, size_t n, const X509_NAME *name, X509 *issuer,
    int64_t now)
{
	if (!names_issuer(&r->lists[n], name) ||
	    !list_is_of(&r->lists[n], issuer))
		return false;
	for (size_t i = 0; i < r->count; i++) {
		if (names_issuer(&r->lists[i], name) &&
		    replaces(r, i, n, now) && list_is_of(&r->lists[i], issuer))
			return false;
	}
	return true;
}

/* Is "cert" good by the list, of its issuer?  An X509_V_ERR. */
static int
check_list(const struct list *l, X509 *cert, bool stale, int64_t now)
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

int
revocation_check(struct revocation *r, X509 *cert, X509 *issuer, bool stale)
{
	int64_t now = date_now();
	int e = X509_V_ERR_UNABLE_TO_GET_CRL;

	for (size_t i = 0; i < r->count; i++) {
		if (!is_current(r, i, X509_get_issuer_name(cert), issuer, now))
			continue;
		if ((X509_get_key_usage(issuer) & KU_CRL_SIGN) == 0)
			return X509_V_ERR_KEYUSAGE_NO_CRL_SIGN;
		if (!covers(&r->lists[i], cert)) {
			if (e != X509_V_OK)
				e = X509_V_ERR_DIFFERENT_CRL_SCOPE;
			continue;
		}
		e = check_list(&r->lists[i], cert, stale, now);
		if (e != X509_V_OK)
			return e;
	}
	return e;
}

/* Are two lists of one issuer?  Of those of one name by the key, and where no
 * certificate has told it by the number that the lists give it. */
static bool
same_issuer(const struct list *a, const struct list *b)
{
	AUTHORITY_KEYID *x, *y;
	bool same;

	if (!names_issuer(a, X509_CRL_get_issuer(b->crl)))
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

/* Is the list number "n" in use, as far as it is known who has signed which? */
static bool
is_newest(const struct revocation *r, size_t n, int64_t now)
{
	for (size_t i = 0; i < r->count; i++) {
		if (replaces(r, i, n, now) &&
		    same_issuer(&r->lists[i], &r->lists[n]))
			return false;
	}
	return true;
}

int64_t
revocation_begins(const struct revocation *r, char why[TLS_TEXT_MAX])
{
	int64_t now = date_now();
	const struct list *last = NULL;
	const ASN1_TIME *begin;
	char name[128], date[DATE_TEXT_MAX], distance[128];

	/* Where the newest has not begun, there is none that has. */
	for (size_t i = 0; i < r->count; i++) {
		const struct list *l = &r->lists[i];

		if (l->this_update > now && is_newest(r, i, now) &&
		    (last == NULL || l->this_update > last->this_update))
			last = l;
	}
	if (last == NULL)
		return 0;
	begin = X509_CRL_get0_lastUpdate(last->crl);
	(void)X509_NAME_oneline(X509_CRL_get_issuer(last->crl), name,
	    sizeof name);
	(void)snprintf(why, TLS_TEXT_MAX, "the revocation list of \"%s\" is "
	    "not valid before %s, %s; check that clock, and the authority's",
	    name, cert_date(begin, date),
	    cert_distance(begin, "this machine's", distance));
	return last->this_update;
}

int64_t
revocation_next(const struct revocation *r)
{
	int64_t now = date_now(), first = 0;

	for (size_t i = 0; i < r->count; i++) {
		int64_t begin = r->lists[i].this_update;

		if (begin > now && (first == 0 || begin < first))
			first = begin;
	}
	return first;
}

size_t
revocation_count(const struct revocation *r)
{
	return r->count;
}

static void
describe_list(const struct list *l, struct tls_term *term)
{
	*term = (struct tls_term){ .kind = TLS_TERM_LIST, .file = l->path,
	    .begins = l->this_update, .ends = l->next_update };
	(void)cert_name(X509_CRL_get_issuer(l->crl), term->name,
	    sizeof term->name);
}

void
revocation_first(struct revocation *r, X509 *cert, X509 *issuer,
    struct tls_term *term)
{
	int64_t now = date_now();

	for (size_t i = 0; i < r->count; i++) {
		const struct list *l = &r->lists[i];

		if (l->next_update != 0 && (term->ends == 0 ||
		    l->next_update < term->ends) && covers(l, cert) &&
		    is_current(r, i, X509_get_issuer_name(cert), issuer, now))
			describe_list(l, term);
	}
}

size_t
revocation_terms(const struct revocation *r, struct tls_term *terms)
{
	int64_t now = date_now();
	size_t n = 0;

	for (size_t i = 0; i < r->count; i++) {
		if (is_newest(r, i, now))
			describe_list(&r->lists[i], &terms[n++]);
	}
	return n;
}
