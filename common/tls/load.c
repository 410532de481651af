/*
 * load.c - our files, into memory and then in use.
 *
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "common/base/fd.h"
#include "common/base/retry.h"
#include "common/tls/cert.h"
#include "common/tls/load.h"

/* All authorities that a system trusts are 0.3 MiB. */
#define FILE_MAX	(4 * 1024 * 1024)
/* In ms: the program that writes a key may ask for a passphrase. */
#define PIPE_WAIT	60000

int
load_fail(struct failure *why, const char *hint, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	failure_vset(why, TLS_FAILURE_FILES, format, ap);
	va_end(ap);
	failure_hint(why, "%s", hint);
	ERR_clear_error();
	return -1;
}

/* A daemon cannot ask for a passphrase. */
static int
no_passphrase(char *out, int size, int writing, void *context)
{
	(void)out;
	(void)size;
	(void)writing;
	(void)context;
	return 0;
}

/* --- files into memory --------------------------------------------------- */

/* What "error" means for a file that is to be read. */
static const char *
load_describe(int error, bool pipes)
{
	switch (error) {
	case EFBIG:
		return "it is longer than 4 MiB";
	case EINVAL:
		return pipes ? "it is neither a file nor a pipe" :
		    "it is no file, and pipes are read by a start alone";
	case ETIMEDOUT:
		return "it is a pipe, and its writer has not come to an end "
		    "within a minute";
	default:
		return strerror(error);
	}
}

void
load_close(struct load_file *s)
{
	BIO_free(s->bio);
	if (s->data != NULL)
		OPENSSL_cleanse(s->data, s->size);
	free(s->data);
	s->data = NULL;
}

int
load_open(struct load_file *s, const char *what, struct tls_files *files,
    struct failure *why)
{
	const char *path = files->at_fault;
	int error;

	memset(s, 0, sizeof *s);
	if (path == NULL)
		return load_fail(why, "", "no %s is configured", what);
	s->data = fd_read_file(path, FILE_MAX, &s->size);
	if (s->data == NULL && errno == EINVAL && files->pipes)
		s->data = fd_read_pipe(path, FILE_MAX, PIPE_WAIT, &s->size);
	if (s->data != NULL &&
	    (s->bio = BIO_new_mem_buf(s->data, (int)s->size)) != NULL)
		return 0;
	error = s->data == NULL ? errno : ENOMEM;
	load_close(s);
	files->may_pass = retry_may_help(error);
	return load_fail(why, error == EACCES ? "it must be readable for the "
	    "user that runs this" : "", "cannot read the %s %s: %s", what,
	    path, load_describe(error, files->pipes));
}

/* Read the certificate at which "bio" is. */
static X509 *
read_certificate(BIO *bio)
{
	return PEM_read_bio_X509_AUX(bio, NULL, no_passphrase, NULL);
}

/* Is the last error that no certificate follows?  Then all of them were whole.
 */
static bool
is_at_end(void)
{
	unsigned long e = ERR_peek_last_error();

	return ERR_GET_LIB(e) == ERR_LIB_PEM &&
	    ERR_GET_REASON(e) == PEM_R_NO_START_LINE;
}

/* --- our own certificate ------------------------------------------------- */

/* Does OpenSSL find a key or a signature too weak? */
static bool
is_weak(void)
{
	int reason = ERR_GET_REASON(ERR_peek_last_error());

	return reason == SSL_R_EE_KEY_TOO_SMALL ||
	    reason == SSL_R_CA_KEY_TOO_SMALL ||
	    reason == SSL_R_CA_MD_TOO_WEAK;
}

/* Use the certificates of "bio": our own, then those of its authorities. */
static int
use_chain(SSL_CTX *ssl, BIO *bio)
{
	X509 *cert = read_certificate(bio);
	int good = cert == NULL ? 0 : SSL_CTX_use_certificate(ssl, cert);

	X509_free(cert);
	if (good != 1)
		return -1;
	while ((cert = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)) !=
	    NULL) {
		if (SSL_CTX_add0_chain_cert(ssl, cert) != 1) {
			X509_free(cert);
			return -1;
		}
	}
	if (!is_at_end())
		return -1;
	ERR_clear_error();
	return 0;
}

int
load_chain(SSL_CTX *ssl, struct tls_files *files, struct failure *why)
{
	struct load_file s;
	int result;

	files->at_fault = files->certificate;
	if (load_open(&s, "certificate", files, why) == -1)
		return -1;
	if ((result = use_chain(ssl, s.bio)) == -1)
		(void)load_fail(why, is_weak() ? "make it anew, with a key of "
		    "2048 bits (RSA) or 256 (EC) and SHA-256" : "it must be "
		    "PEM, the certificate itself first", "cannot use the "
		    "certificate %s: %s", files->certificate,
		    cert_last_reason());
	load_close(&s);
	return result;
}

/* --- the authority ------------------------------------------------------- */

/* Does it say of itself what it is trusted for, as x509 -addtrust writes it?
 * OpenSSL would end a chain there although its issuer is in the file, and what
 * that one says, and its lists, would not count. */
static bool
has_trust_settings(X509 *cert)
{
	return X509_get0_trust_objects(cert) != NULL ||
	    X509_get0_reject_objects(cert) != NULL;
}

/* Put the certificates of "all" into "store".  Returns how many there were; or
 * -1 where that fails, or where "all" has what must not be in it: a revocation
 * list, or a certificate with trust settings. */
static int
use_authorities(X509_STORE *store, STACK_OF(X509_INFO) *all, bool *lists,
    bool *settings)
{
	int count = 0;

	for (int i = 0; i < sk_X509_INFO_num(all); i++) {
		const X509_INFO *info = sk_X509_INFO_value(all, i);

		*lists = *lists || info->crl != NULL;
		if (info->x509 == NULL)
			continue;
		*settings = *settings || has_trust_settings(info->x509);
		if (X509_STORE_add_cert(store, info->x509) != 1)
			return -1;
		count++;
	}
	return *lists || *settings ? -1 : count;
}

int
load_authority(SSL_CTX *ssl, bool server, struct tls_files *files,
    struct failure *why)
{
	STACK_OF(X509_INFO) *all;
	struct load_file s;
	bool lists = false, settings = false;
	int count = -1;

	files->at_fault = files->authority;
	if (load_open(&s, "authority", files, why) == -1)
		return -1;
	all = PEM_X509_INFO_read_bio(s.bio, NULL, no_passphrase, NULL);
	load_close(&s);
	if (all != NULL)
		count = use_authorities(SSL_CTX_get_cert_store(ssl), all,
		    &lists, &settings);
	sk_X509_INFO_pop_free(all, X509_INFO_free);
	if (count > 0)
		return 0;
	if (lists)
		return load_fail(why, server ? "put it into a file of its "
		    "own, and name that by \"crl\"" : "take it out: aisc uses "
		    "no lists", "the authority %s has a revocation list in it, "
		    "which would be of no effect there", files->authority);
	if (settings)
		return load_fail(why, "take them off each certificate: openssl "
		    "x509 -in FILE -clrtrust -clrreject -out FILE", "a "
		    "certificate of the authority %s has trust settings "
		    "(BEGIN TRUSTED CERTIFICATE)", files->authority);
	return load_fail(why, "it must be the certificate of the authority, "
	    "in PEM", "cannot use the authority %s: %s", files->authority,
	    count == 0 ? "no certificate is in it" : cert_last_reason());
}

X509 *
load_first(const char *path, struct failure *why)
{
	struct tls_files files = { .at_fault = path };
	struct load_file s;
	X509 *cert;

	ERR_clear_error();
	if (load_open(&s, "certificate", &files, why) == -1)
		return NULL;
	if ((cert = read_certificate(s.bio)) == NULL)
		(void)load_fail(why, "it must be PEM", "cannot use the "
		    "certificate %s: %s", path, cert_last_reason());
	load_close(&s);
	return cert;
}
