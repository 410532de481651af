/*
 * revocation.c - files of certificate revocation lists, and what is asked of
 * all of them.
 *
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

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
#include "common/tls/crl.h"
#include "common/tls/revocation.h"

/* A million entries take 55 MiB. */
#define FILE_SIZE_MAX	(256L * 1024 * 1024)
/* Loading that takes so long, in ms, is logged: a session waits for it. */
#define SLOW		100

struct revocation {
	struct crl *lists;
	size_t count;
	struct failure *why;	/* While it is loaded: what is wrong, */
	int error;		/* and the errno, or 0. */
};

void
revocation_free(struct revocation *r)
{
	if (r == NULL)
		return;
	for (size_t i = 0; i < r->count; i++)
		crl_free(&r->lists[i]);
	free(r->lists);
	free(r);
}

/* --- files --------------------------------------------------------------- */

/* Say what is wrong with "path", and what to do ("": nothing).  "error" is the
 * errno of the call that failed, 0 being for what a file says.  -1. */
static int __attribute__((format(printf, 5, 6)))
revocation_fail(struct revocation *r, int error, const char *hint,
    const char *path, const char *format, ...)
{
	char wrong[FAILURE_TEXT_MAX / 2];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(wrong, sizeof wrong, format, ap);
	va_end(ap);
	failure_set(r->why, TLS_FAILURE_FILES, "cannot %s the revocation list "
	    "%.600s: %s", error == 0 ? "use" : "read", path, wrong);
	failure_hint(r->why, "%s", hint);
	ERR_clear_error();
	r->error = error;
	return -1;
}

/* The same for a call that failed with "error". */
static int
revocation_fail_call(struct revocation *r, int error, const char *path)
{
	return revocation_fail(r, error, "", path, "%s",
	    error == EFBIG ? "it is longer than 256 MiB" : error == EINVAL ?
	    "it is no file" : error == ENOMEM ? "out of memory" :
	    strerror(error));
}

/* Add the list "crl", which is taken over, of the file "path". */
static int
add_list(struct revocation *r, const char *path, X509_CRL *crl)
{
	struct crl *lists = realloc(r->lists, (r->count + 1) *
	    sizeof *lists), *l;
	struct failure wrong;

	if (lists == NULL) {
		X509_CRL_free(crl);
		return revocation_fail_call(r, ENOMEM, path);
	}
	r->lists = lists;
	l = &lists[r->count++];
	if (crl_init(l, path, crl, &wrong) == 0)
		return 0;
	if (wrong.code == TLS_FAILURE_MEMORY || cert_lacked_memory())
		return revocation_fail_call(r, ENOMEM, path);
	return revocation_fail(r, 0, wrong.hint, path, "%s", wrong.text);
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
explain_reading(struct revocation *r, FILE *f, const char *path)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	if (ferror(f))
		return revocation_fail_call(r, EIO, path);
	if (cert_lacked_memory())
		return revocation_fail_call(r, ENOMEM, path);
	return revocation_fail(r, 0, "it must be PEM or DER", path, "it is "
	    "damaged (%s)", reason == NULL ? "cut off" : reason);
}

/* Read the one list of a file in DER. */
static int
load_der(struct revocation *r, FILE *f, const char *path)
{
	X509_CRL *crl = d2i_X509_CRL_fp(f, NULL);

	if (crl == NULL)
		return explain_reading(r, f, path);
	if (getc(f) == EOF)
		return add_list(r, path, crl);
	X509_CRL_free(crl);
	return revocation_fail(r, 0, "", path, "something follows the list, "
	    "and a file in DER has one list");
}

/* Read the lists of a file in PEM. */
static int
load_pem(struct revocation *r, FILE *f, const char *path)
{
	size_t before = r->count;
	X509_CRL *crl;

	while ((crl = PEM_read_X509_CRL(f, NULL, NULL, NULL)) != NULL) {
		if (add_list(r, path, crl) == -1)
			return -1;
	}
	/* After the last list there is nothing more; before it, a list that
	 * is not whole or has been damaged. */
	if (ferror(f) || ERR_GET_REASON(ERR_peek_last_error()) !=
	    PEM_R_NO_START_LINE)
		return explain_reading(r, f, path);
	ERR_clear_error();
	return r->count > before ? 0 : revocation_fail(r, 0, "it must be PEM "
	    "or DER", path, "there is none in it");
}

static int
load_file(struct revocation *r, const char *path)
{
	int fd = fd_open_file(path, FILE_SIZE_MAX), result;
	FILE *f = fd == -1 ? NULL : fdopen(fd, "r");

	if (f == NULL) {
		(void)revocation_fail_call(r, errno, path);
		fd_close(&fd);
		return -1;
	}
	result = is_der(f) ? load_der(r, f, path) : load_pem(r, f, path);
	(void)fclose(f);
	return result;
}

static int
load_directory(struct revocation *r, const char *path)
{
	char **files = fd_list(path, ".pem");
	int result = 0;

	if (files == NULL)
		return revocation_fail_call(r, errno, path);
	if (files[0] == NULL)
		result = revocation_fail(r, 0, "", path, "no file *.pem is in "
		    "it");
	for (char **p = files; *p != NULL && result == 0; p++)
		result = load_file(r, *p);
	fd_list_free(files);
	return result;
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
revocation_load(const char *path, struct failure *why)
{
	struct revocation *r = calloc(1, sizeof *r);
	int64_t began = clock_now(), took;
	struct stat st;
	int result, error;

	if (r == NULL) {
		(void)revocation_fail_call(&(struct revocation){ .why = why },
		    ENOMEM, path);
		errno = ENOMEM;
		return NULL;
	}
	r->why = why;
	result = stat(path, &st) == 0 && S_ISDIR(st.st_mode) ?
	    load_directory(r, path) : load_file(r, path);
	if ((took = clock_now() - began) >= SLOW && result == 0)
		log_info("loading the revocation lists of %.250s took %lld ms, "
		    "for %lld entries", path, (long long)took,
		    count_entries(r));
	if (result == 0)
		return r;
	error = r->error;
	revocation_free(r);
	errno = error;
	return NULL;
}

int
revocation_verify(struct revocation *r, STACK_OF(X509) *certs,
    struct failure *why)
{
	char name[CERT_NAME_SHOWN];

	for (size_t i = 0; i < r->count; i++) {
		struct crl *l = &r->lists[i];
		bool named = false, good = false;

		for (int j = 0; j < sk_X509_num(certs) && !good; j++) {
			X509 *issuer = sk_X509_value(certs, j);

			if (!crl_names_issuer(l, X509_get_subject_name(issuer)))
				continue;
			named = true;
			good = crl_is_of(l, issuer);
		}
		if (!named || good)
			continue;
		(void)cert_name(X509_CRL_get_issuer(l->crl), name,
		    sizeof name);
		failure_set(why, TLS_FAILURE_FILES, "the revocation list of "
		    "\"%s\" is not signed by the authority of this name",
		    name);
		return -1;
	}
	return 0;
}

/* --- questions ----------------------------------------------------------- */

/* Does the list number "i" take the place of the number "n", if they have one
 * issuer?  Of two that are as new it is the first. */
static bool
replaces(const struct revocation *r, size_t i, size_t n, int64_t now)
{
	const struct crl *a = &r->lists[i], *b = &r->lists[n];

	return i != n && crl_same_scope(a, b) && (crl_is_newer(a, b, now) ||
	    (i < n && !crl_is_newer(b, a, now)));
}

/* Has "issuer", named "name", signed the list number "n", and none that takes
 * its place? */
static bool
is_current(struct revocation *r, size_t n, const X509_NAME *name, X509 *issuer,
    int64_t now)
{
	if (!crl_names_issuer(&r->lists[n], name) ||
	    !crl_is_of(&r->lists[n], issuer))
		return false;
	for (size_t i = 0; i < r->count; i++) {
		if (crl_names_issuer(&r->lists[i], name) &&
		    replaces(r, i, n, now) && crl_is_of(&r->lists[i], issuer))
			return false;
	}
	return true;
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
		if (!crl_covers(&r->lists[i], cert)) {
			if (e != X509_V_OK)
				e = X509_V_ERR_DIFFERENT_CRL_SCOPE;
			continue;
		}
		e = crl_check(&r->lists[i], cert, stale, now);
		if (e != X509_V_OK)
			return e;
	}
	return e;
}

bool
revocation_says(const struct revocation *r, X509 *cert)
{
	int64_t now = date_now();

	for (size_t i = 0; i < r->count; i++) {
		if (crl_names_issuer(&r->lists[i],
		    X509_get_issuer_name(cert)) &&
		    crl_check(&r->lists[i], cert, true, now) ==
		    X509_V_ERR_CERT_REVOKED)
			return true;
	}
	return false;
}

/* Is the list number "n" in use, as far as the signers of lists are known? */
static bool
is_newest(const struct revocation *r, size_t n, int64_t now)
{
	for (size_t i = 0; i < r->count; i++) {
		if (replaces(r, i, n, now) &&
		    crl_same_issuer(&r->lists[i], &r->lists[n]))
			return false;
	}
	return true;
}

int64_t
revocation_begins(const struct revocation *r, struct failure *why)
{
	int64_t now = date_now();
	const struct crl *last = NULL;
	char name[CERT_NAME_SHOWN], what[CERT_NAME_SHOWN + 32];

	/* Where the newest has not begun, there is none that has. */
	for (size_t i = 0; i < r->count; i++) {
		const struct crl *l = &r->lists[i];

		if (l->this_update > now && is_newest(r, i, now) &&
		    (last == NULL || l->this_update > last->this_update))
			last = l;
	}
	if (last == NULL)
		return 0;
	(void)cert_name(X509_CRL_get_issuer(last->crl), name, sizeof name);
	(void)snprintf(what, sizeof what, "the revocation list of \"%s\"",
	    name);
	cert_not_yet(why, TLS_FAILURE_FILES, what,
	    X509_CRL_get0_lastUpdate(last->crl), "this machine's");
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

void
revocation_first(struct revocation *r, X509 *cert, X509 *issuer,
    struct tls_term *term)
{
	int64_t now = date_now();

	for (size_t i = 0; i < r->count; i++) {
		const struct crl *l = &r->lists[i];

		if (l->next_update != 0 && (term->ends == 0 ||
		    l->next_update < term->ends) && crl_covers(l, cert) &&
		    is_current(r, i, X509_get_issuer_name(cert), issuer, now))
			crl_describe(l, term);
	}
}

size_t
revocation_terms(const struct revocation *r, struct tls_term *terms)
{
	int64_t now = date_now();
	size_t n = 0;

	for (size_t i = 0; i < r->count; i++) {
		if (is_newest(r, i, now))
			crl_describe(&r->lists[i], &terms[n++]);
	}
	return n;
}
