#include <config.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/asn1t.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "common/base/date.h"
#include "common/base/fd.h"
#include "common/tls/serials.h"
#include "common/tls/cert.h"
#include "common/tls/crl.h"

/* A shorter "der" than this has no place for a header of 4 GiB of content. */
#define HEADER_MAX	8

/* A million entries take 55 MiB. */
#define FILE_SIZE_MAX	(256L * 1024 * 1024)

/* What may pass, among all that is wrong with a file. */
static const char out_of_memory[] = "out of memory";
/* What is wrong with a list, for a sentence that names its file. */
#define WRONG_MAX	256

/* A piece of DER. */
struct span {
	const uint8_t *data;
	size_t size;
};

/* One list. */
struct list {
	char *path;			/* The file that it stands in. */
	X509_CRL *head;			/* All but the entries. */
	struct serials *serials;
	int64_t this_update;
	int64_t next_update;		/* 0: none. */
	EVP_PKEY *key;			/* Whose signature it has; NULL: not
					 * known yet, and then: */
	ASN1_STRING *tbs;		/* what is signed, entries and all. */
};

struct revocation {
	struct list *lists;
	size_t count;
};

static void
list_free(struct list *l)
{
	free(l->path);
	X509_CRL_free(l->head);
	serials_free(l->serials);
	EVP_PKEY_free(l->key);
	ASN1_STRING_free(l->tbs);
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

/* --- DER: where the pieces of a list are --------------------------------- */

/* Take the next value off "in": its whole into "whole" and its content into
 * "content", either of which may be NULL.  The tag, or -1. */
static int
take(struct span *in, struct span *whole, struct span *content)
{
	const uint8_t *p = in->data;
	long size;
	int tag, class, result;

	if (in->size == 0 || in->size > (size_t)INT32_MAX)
		return -1;
	result = ASN1_get_object(&p, &size, &tag, &class, (long)in->size);
	/* 0x80 is an error; 1 would be a length to be found out. */
	if ((result & 0x81) != 0 || size < 0)
		return -1;
	if (content != NULL)
		*content = (struct span){ p, (size_t)size };
	p += size;
	if (whole != NULL)
		*whole = (struct span){ in->data, (size_t)(p - in->data) };
	in->size -= (size_t)(p - in->data);
	in->data = p;
	return class == V_ASN1_UNIVERSAL ? tag : tag | class << 8;
}

/* The tag of the next value, or -1. */
static int
next_tag(struct span in)
{
	return take(&in, NULL, NULL);
}

static bool
is_time(int tag)
{
	return tag == V_ASN1_UTCTIME || tag == V_ASN1_GENERALIZEDTIME;
}

/*
 * RFC 5280, 5.1: find what is signed in the list "der", in that the entries,
 * which may be missing, and behind it the signature.  0, or -1.
 */
static int
find_parts(struct span der, struct span *tbs, struct span *entries,
    struct span *signature)
{
	struct span in, list;

	if (take(&der, NULL, &list) != V_ASN1_SEQUENCE || der.size != 0 ||
	    take(&list, tbs, &in) != V_ASN1_SEQUENCE)
		return -1;
	*signature = list;
	if (next_tag(in) == V_ASN1_INTEGER)
		(void)take(&in, NULL, NULL);		/* version */
	if (take(&in, NULL, NULL) != V_ASN1_SEQUENCE ||	/* algorithm */
	    take(&in, NULL, NULL) != V_ASN1_SEQUENCE ||	/* issuer */
	    !is_time(take(&in, NULL, NULL)))		/* thisUpdate */
		return -1;
	if (is_time(next_tag(in)))
		(void)take(&in, NULL, NULL);		/* nextUpdate */
	*entries = (struct span){ in.data, 0 };
	if (next_tag(in) == V_ASN1_SEQUENCE)
		(void)take(&in, entries, NULL);
	return 0;
}

/* Append bytes, of which there may be none. */
static uint8_t *
append(uint8_t *out, const uint8_t *data, size_t size)
{
	if (size > 0)
		memcpy(out, data, size);
	return out + size;
}

/*
 * Read the list as OpenSSL does, but without its entries.  What comes out is
 * good for the issuer, the dates, the extensions and the signature's value.
 */
static X509_CRL *
parse_head(struct span tbs, struct span entries, struct span signature)
{
	struct span in = tbs, content;
	size_t inner, before;
	uint8_t *der, *p, *start;
	const uint8_t *parse;
	X509_CRL *head = NULL;
	int outer;

	(void)take(&in, NULL, &content);
	before = (size_t)(entries.data - content.data);
	inner = content.size - entries.size;
	if ((der = malloc(inner + signature.size + (size_t)2 * HEADER_MAX)) ==
	    NULL)
		return NULL;
	p = der;
	outer = ASN1_object_size(1, (int)inner, V_ASN1_SEQUENCE) +
	    (int)signature.size;
	ASN1_put_object(&p, 1, outer, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL);
	ASN1_put_object(&p, 1, (int)inner, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL);
	start = append(p, content.data, before);
	start = append(start, entries.data + entries.size, inner - before);
	start = append(start, signature.data, signature.size);
	parse = der;
	head = d2i_X509_CRL(NULL, &parse, start - der);
	free(der);
	return head;
}

/* --- the entries --------------------------------------------------------- */

/* What the entry says behind its serial number that we do not understand, or
 * NULL. */
static const char *
more_than_plain(struct span entry)
{
	struct span all, one, content;

	if (!is_time(take(&entry, NULL, NULL)))
		return "has no date";
	if (entry.size == 0)
		return NULL;
	if (take(&entry, NULL, &all) != V_ASN1_SEQUENCE || entry.size != 0)
		return "is malformed";
	while (all.size > 0) {
		if (take(&all, NULL, &one) != V_ASN1_SEQUENCE ||
		    take(&one, NULL, NULL) != V_ASN1_OBJECT)
			return "is malformed";
		if (take(&one, NULL, &content) == V_ASN1_BOOLEAN &&
		    (content.size != 1 || content.data[0] != 0))
			return "has a critical extension, as one of another "
			    "issuer's certificate has";
	}
	return NULL;
}

/* Take the next entry off "in", and its serial number.  What is wrong with
 * it, or NULL. */
static const char *
take_entry(struct span *in, struct span *serial)
{
	struct span entry;

	*serial = (struct span){ NULL, 0 };
	if (take(in, NULL, &entry) != V_ASN1_SEQUENCE ||
	    take(&entry, NULL, serial) != V_ASN1_INTEGER || serial->size == 0)
		return "is malformed";
	/* X.690, 8.3.2: as short as it can be, or it would not be found. */
	if (serial->size > 1 && ((serial->data[0] == 0 &&
	    serial->data[1] < 0x80) || (serial->data[0] == 0xff &&
	    serial->data[1] >= 0x80)))
		return "has zeros before its number, which DER forbids";
	return more_than_plain(entry);
}

/* Say what is wrong with the entry number "n", counted from 0. */
static void
explain_entry(size_t n, struct span serial, const char *wrong,
    char why[WRONG_MAX])
{
	size_t used = (size_t)snprintf(why, WRONG_MAX, "the entry number %zu%s",
	    n + 1, serial.size > 0 ? ", of the certificate " : "");

	for (size_t i = 0; i < serial.size && i < SERIALS_BYTES_MAX; i++)
		used += (size_t)snprintf(why + used, WRONG_MAX - used, "%02X",
		    serial.data[i]);
	(void)snprintf(why + used, WRONG_MAX - used, "%s, %s",
	    serial.size > SERIALS_BYTES_MAX ? "..." : "", wrong);
}

/* Take the serial numbers.  0, or -1 with what is wrong. */
static int
load_entries(struct list *l, struct span whole, char why[WRONG_MAX])
{
	struct span all = { NULL, 0 }, in, serial;
	size_t count = 0, longest = 0;
	const char *wrong;

	if (whole.size > 0)
		(void)take(&whole, NULL, &all);
	for (in = all; in.size > 0; count++) {
		if ((wrong = take_entry(&in, &serial)) != NULL) {
			explain_entry(count, serial, wrong, why);
			return -1;
		}
		if (serial.size > longest && serial.size <= SERIALS_BYTES_MAX)
			longest = serial.size;
	}
	if ((l->serials = serials_new(count, longest)) == NULL) {
		(void)snprintf(why, WRONG_MAX, "%s", out_of_memory);
		return -1;
	}
	for (in = all; in.size > 0;) {
		(void)take_entry(&in, &serial);
		/* Of a longer number no certificate is accepted. */
		if (serial.size <= SERIALS_BYTES_MAX)
			serials_add(l->serials, serial.data, serial.size);
	}
	serials_sort(l->serials);
	return 0;
}

/* --- one list ------------------------------------------------------------ */

/* What the issuingDistributionPoint of "head" says of its scope; RFC 5280,
 * 5.2.5. */
static const char *
scope(X509_CRL *head)
{
	int critical;
	ISSUING_DIST_POINT *idp = X509_CRL_get_ext_d2i(head,
	    NID_issuing_distribution_point, &critical, NULL);
	const char *text = idp == NULL ? "for what cannot be read" :
	    idp->indirectCRL > 0 ? "of several issuers (indirect)" :
	    idp->onlysomereasons != NULL ? "for some reasons of revocation" :
	    idp->onlyattr > 0 ? "for attribute certificates" :
	    idp->onlyCA > 0 ? "for authorities' certificates" :
	    idp->onlyuser > 0 ? "for other certificates than authorities'" :
	    idp->distpoint != NULL ?
	    "for the certificates of one distribution point" :
	    "for what it does not name";

	ISSUING_DIST_POINT_free(idp);
	return text;
}

/*
 * Is the list a whole one, of its issuer's certificates?  Then it may be used
 * alone.  0, or -1 with what it is.  A scope counts whether or not its
 * extension is critical, as it has to be: some authorities forget that.
 */
static int
check_whole(X509_CRL *head, char why[WRONG_MAX])
{
	static const char whole[] = "AIS takes whole lists alone, without "
	    "issuingDistributionPoint";
	char name[64];

	if (X509_CRL_get_ext_by_NID(head, NID_delta_crl, -1) >= 0) {
		(void)snprintf(why, WRONG_MAX, "it has the changes since "
		    "another list alone (a delta list); %s", whole);
		return -1;
	}
	if (X509_CRL_get_ext_by_NID(head, NID_issuing_distribution_point, -1)
	    >= 0) {
		(void)snprintf(why, WRONG_MAX, "it is a list %s alone; %s",
		    scope(head), whole);
		return -1;
	}
	for (int i = 0; i < X509_CRL_get_ext_count(head); i++) {
		X509_EXTENSION *e = X509_CRL_get_ext(head, i);

		if (!X509_EXTENSION_get_critical(e))
			continue;
		(void)OBJ_obj2txt(name, sizeof name,
		    X509_EXTENSION_get_object(e), 0);
		(void)snprintf(why, WRONG_MAX, "it has the critical extension "
		    "%s, which AIS does not know", name);
		return -1;
	}
	return 0;
}

/* Make the list of "der".  0, or -1 with what is wrong. */
static int
list_load(struct list *l, const uint8_t *der, long size, struct span *tbs,
    char why[WRONG_MAX])
{
	struct span whole = { der, (size_t)size }, entries, signature;

	if (find_parts(whole, tbs, &entries, &signature) == -1 ||
	    (l->head = parse_head(*tbs, entries, signature)) == NULL) {
		(void)snprintf(why, WRONG_MAX, "it is malformed");
		return -1;
	}
	if (check_whole(l->head, why) == -1)
		return -1;
	l->this_update = cert_seconds(X509_CRL_get0_lastUpdate(l->head));
	l->next_update = cert_seconds(X509_CRL_get0_nextUpdate(l->head));
	return load_entries(l, entries, why);
}

/*
 * Has "issuer" signed the list?  Found out once: the list then remembers the
 * key, and forgets what was signed.
 */
static bool
list_is_of(struct list *l, X509 *issuer)
{
	EVP_PKEY *key = X509_get0_pubkey(issuer);
	const ASN1_BIT_STRING *signature;
	const X509_ALGOR *algorithm;
	bool good;

	if (key == NULL)
		return false;
	if (l->key != NULL)
		return EVP_PKEY_eq(l->key, key) == 1;
	X509_CRL_get0_signature(l->head, &signature, &algorithm);
	good = ASN1_item_verify(ASN1_ITEM_rptr(ASN1_SEQUENCE), algorithm,
	    signature, l->tbs, key) == 1;
	ERR_clear_error();
	if (!good || EVP_PKEY_up_ref(key) != 1)
		return false;
	l->key = key;
	ASN1_STRING_free(l->tbs);
	l->tbs = NULL;
	return true;
}

static bool
names_issuer(const struct list *l, const X509_NAME *name)
{
	return X509_NAME_cmp(X509_CRL_get_issuer(l->head), name) == 0;
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

/* The same of one list. */
static int
complain_list(char why[TLS_TEXT_MAX], const char *path, const char *wrong)
{
	return complain(strcmp(wrong, out_of_memory) == 0 ? ENOMEM : 0, why,
	    path, "%s", wrong);
}

/* Add the list "der", which is taken over, of the file "path".  0, or -1 with
 * what is wrong. */
static int
add_list(struct revocation *r, const char *path, uint8_t *der, long size,
    char wrong[WRONG_MAX])
{
	struct list *lists = realloc(r->lists, (r->count + 1) *
	    sizeof *lists), *l;
	struct span tbs = { NULL, 0 };

	(void)snprintf(wrong, WRONG_MAX, "%s", out_of_memory);
	if (lists == NULL) {
		OPENSSL_free(der);
		return -1;
	}
	r->lists = lists;
	l = &lists[r->count++];
	memset(l, 0, sizeof *l);
	if ((l->path = strdup(path)) == NULL ||
	    (l->tbs = ASN1_STRING_type_new(V_ASN1_SEQUENCE)) == NULL ||
	    list_load(l, der, size, &tbs, wrong) == -1) {
		OPENSSL_free(der);
		return -1;
	}
	/* In its place, so as to hold a long list only once. */
	memmove(der, tbs.data, tbs.size);
	ASN1_STRING_set0(l->tbs, der, (int)tbs.size);
	return 0;
}

/* Read the lists of a file in PEM. */
static int
load_pem(struct revocation *r, FILE *f, const char *path,
    char why[TLS_TEXT_MAX])
{
	char *name, *header, wrong[WRONG_MAX];
	uint8_t *der;
	size_t before = r->count;
	int result = 0;
	long size;
	unsigned long e;

	ERR_clear_error();
	while (result == 0 && PEM_read(f, &name, &header, &der, &size) == 1) {
		if (strcmp(name, PEM_STRING_X509_CRL) == 0)
			result = add_list(r, path, der, size, wrong);
		else
			OPENSSL_free(der);
		OPENSSL_free(name);
		OPENSSL_free(header);
	}
	e = ERR_peek_last_error();
	if (result == -1)
		return complain_list(why, path, wrong);
	/* After the last one there is nothing any more; before it, a list
	 * that is not whole or has been damaged. */
	if (ferror(f) || ERR_GET_REASON(e) != PEM_R_NO_START_LINE)
		return complain(ferror(f) ? EIO : cert_lacked_memory() ?
		    ENOMEM : 0, why, path, "%s; it must be PEM or DER",
		    ferror(f) ? strerror(EIO) : ERR_reason_error_string(e));
	if (r->count == before)
		return complain(0, why, path, "there is none in it; it must be "
		    "PEM or DER");
	ERR_clear_error();
	return 0;
}

/* Read the one list of a file in DER. */
static int
load_der(struct revocation *r, FILE *f, const char *path,
    char why[TLS_TEXT_MAX])
{
	char wrong[WRONG_MAX];
	struct stat st;
	uint8_t *der;
	size_t size;

	if (fstat(fileno(f), &st) == -1)
		return complain(errno, why, path, "%s", strerror(errno));
	if ((der = OPENSSL_malloc((size_t)st.st_size)) == NULL)
		return complain_list(why, path, out_of_memory);
	size = fread(der, 1, (size_t)st.st_size, f);
	if (ferror(f)) {
		OPENSSL_free(der);
		return complain(EIO, why, path, "%s", strerror(EIO));
	}
	return add_list(r, path, der, (long)size, wrong) == 0 ? 0 :
	    complain_list(why, path, wrong);
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
			result = complain(ENOMEM, why, path, out_of_memory);
			error = errno;
		}
		free(names[i]);
	}
	free(names);
	errno = error;
	return n == 0 ? complain(0, why, path, "no file *.pem is in it") :
	    result;
}

struct revocation *
revocation_load(const char *path, char why[TLS_TEXT_MAX])
{
	struct revocation *r = calloc(1, sizeof *r);
	struct stat st;
	int result, error;

	if (r == NULL) {
		(void)complain(ENOMEM, why, path, out_of_memory);
		return NULL;
	}
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		result = load_directory(r, path, why);
	else
		result = load_file(r, path, why);
	if (result == 0)
		return r;
	error = errno;
	revocation_free(r);
	errno = error;
	return NULL;
}

/* --- questions ----------------------------------------------------------- */

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
		/* Escapes whatever is not printable ASCII. */
		(void)X509_NAME_oneline(X509_CRL_get_issuer(l->head), name,
		    sizeof name);
		(void)snprintf(why, TLS_TEXT_MAX, "the revocation list of "
		    "\"%s\" is not signed by the authority of this name",
		    name);
		return -1;
	}
	return 0;
}

/* Is "a" to be used, and not "b" of the same issuer?  A list whose time is to
 * come may have been put in place early. */
static bool
is_newer(const struct list *a, const struct list *b, int64_t now)
{
	bool begun = a->this_update <= now;

	if (begun != (b->this_update <= now))
		return begun;
	return a->this_update > b->this_update;
}

/* The list to use of "issuer" and its X509_NAME "name". */
static struct list *
newest(struct revocation *r, const X509_NAME *name, X509 *issuer, int64_t now)
{
	struct list *found = NULL;

	for (size_t i = 0; i < r->count; i++) {
		struct list *l = &r->lists[i];

		if (names_issuer(l, name) &&
		    (found == NULL || is_newer(l, found, now)) &&
		    list_is_of(l, issuer))
			found = l;
	}
	return found;
}

int
revocation_check(struct revocation *r, X509 *cert, X509 *issuer, bool old)
{
	int64_t now = date_now();
	struct list *l = newest(r, X509_get_issuer_name(cert), issuer, now);
	const ASN1_INTEGER *number = X509_get0_serialNumber(cert);
	uint8_t serial[SERIALS_BYTES_MAX + 8], *p = serial;
	struct span in, content;
	int size;

	if (l == NULL)
		return X509_V_ERR_UNABLE_TO_GET_CRL;
	if ((X509_get_key_usage(issuer) & KU_CRL_SIGN) == 0)
		return X509_V_ERR_KEYUSAGE_NO_CRL_SIGN;
	/* One that cannot be looked up is not let in before it comes here. */
	size = i2d_ASN1_INTEGER(number, NULL);
	if (size <= 0 || size > (int)sizeof serial)
		return X509_V_ERR_CERT_REJECTED;
	(void)i2d_ASN1_INTEGER(number, &p);
	in = (struct span){ serial, (size_t)size };
	if (take(&in, NULL, &content) != V_ASN1_INTEGER)
		return X509_V_ERR_CERT_REJECTED;
	if (serials_has(l->serials, content.data, content.size))
		return X509_V_ERR_CERT_REVOKED;
	if (l->this_update > now)
		return X509_V_ERR_CRL_NOT_YET_VALID;
	if (l->next_update != 0 && l->next_update <= now && !old)
		return X509_V_ERR_CRL_HAS_EXPIRED;
	return X509_V_OK;
}

/* Are two lists of one issuer?  Of those of one name by the key, and where no
 * certificate has told it by the number that the lists give it. */
static bool
same_issuer(const struct list *a, const struct list *b)
{
	AUTHORITY_KEYID *x, *y;
	bool same;

	if (!names_issuer(a, X509_CRL_get_issuer(b->head)))
		return false;
	if (a->key != NULL && b->key != NULL)
		return EVP_PKEY_eq(a->key, b->key) == 1;
	x = X509_CRL_get_ext_d2i(a->head, NID_authority_key_identifier, NULL,
	    NULL);
	y = X509_CRL_get_ext_d2i(b->head, NID_authority_key_identifier, NULL,
	    NULL);
	same = x == NULL || y == NULL || x->keyid == NULL ||
	    y->keyid == NULL || ASN1_OCTET_STRING_cmp(x->keyid, y->keyid) == 0;
	AUTHORITY_KEYID_free(x);
	AUTHORITY_KEYID_free(y);
	ERR_clear_error();
	return same;
}

/* Has the issuer of "l" a list that has begun? */
static bool
has_begun(const struct revocation *r, const struct list *l, int64_t now)
{
	for (size_t i = 0; i < r->count; i++) {
		if (r->lists[i].this_update <= now &&
		    same_issuer(&r->lists[i], l))
			return true;
	}
	return false;
}

int64_t
revocation_begins(const struct revocation *r, char why[TLS_TEXT_MAX])
{
	int64_t now = date_now();
	const struct list *last = NULL;
	const ASN1_TIME *begin;
	char name[128], date[DATE_TEXT_MAX], distance[128];

	for (size_t i = 0; i < r->count; i++) {
		const struct list *l = &r->lists[i];

		if (!has_begun(r, l, now) && (last == NULL ||
		    l->this_update > last->this_update))
			last = l;
	}
	if (last == NULL)
		return 0;
	begin = X509_CRL_get0_lastUpdate(last->head);
	(void)X509_NAME_oneline(X509_CRL_get_issuer(last->head), name,
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

/* Is the list number "n" the one of its issuer that newest() takes? */
static bool
is_newest(const struct revocation *r, size_t n, int64_t now)
{
	const struct list *l = &r->lists[n];

	for (size_t i = 0; i < r->count; i++) {
		const struct list *other = &r->lists[i];

		/* Of two that are as new it takes the first. */
		if (i != n && (is_newer(other, l, now) ||
		    (i < n && !is_newer(l, other, now))) &&
		    same_issuer(l, other))
			return false;
	}
	return true;
}

size_t
revocation_count(const struct revocation *r)
{
	return r->count;
}

static void
take_down(const struct list *l, struct tls_term *term)
{
	*term = (struct tls_term){ .kind = TLS_TERM_LIST, .file = l->path,
	    .begins = l->this_update, .ends = l->next_update };
	(void)cert_name(X509_CRL_get_issuer(l->head), term->name,
	    sizeof term->name);
}

int
revocation_list(struct revocation *r, X509 *cert, X509 *issuer,
    struct tls_term *term)
{
	struct list *l = newest(r, X509_get_issuer_name(cert), issuer,
	    date_now());

	if (l == NULL)
		return -1;
	take_down(l, term);
	return 0;
}

size_t
revocation_terms(const struct revocation *r, struct tls_term *terms)
{
	int64_t now = date_now();
	size_t n = 0;

	for (size_t i = 0; i < r->count; i++) {
		if (is_newest(r, i, now))
			take_down(&r->lists[i], &terms[n++]);
	}
	return n;
}
