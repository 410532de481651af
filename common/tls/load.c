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

/* Say why a file cannot be used, and what to do ("": nothing).  -1. */
static int __attribute__((format(printf, 3, 4)))
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

/* The reason of the last entry in OpenSSL's queue. */
static const char *
last_reason(void)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	return reason == NULL ? "unknown error" : reason;
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

/* A file's bytes, and OpenSSL's reader of them. */
struct source {
	char *data;
	size_t size;
	BIO *bio;
};

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

/* It may be a key: clear its memory. */
static void
source_close(struct source *s)
{
	BIO_free(s->bio);
	if (s->data != NULL)
		OPENSSL_cleanse(s->data, s->size);
	free(s->data);
}

/* Read the file at fault, which is the "what".  0, or -1 with "why". */
static int
source_open(struct source *s, const char *what, struct tls_files *files,
    struct failure *why)
{
	const char *path = files->at_fault;
	int error;

	memset(s, 0, sizeof *s);
	if (path == NULL) {
		(void)load_fail(why, "", "no %s is configured", what);
		return -1;
	}
	s->data = fd_read_file(path, FILE_MAX, &s->size);
	if (s->data == NULL && errno == EINVAL && files->pipes)
		s->data = fd_read_pipe(path, FILE_MAX, PIPE_WAIT, &s->size);
	if (s->data != NULL &&
	    (s->bio = BIO_new_mem_buf(s->data, (int)s->size)) != NULL)
		return 0;
	error = s->data == NULL ? errno : ENOMEM;
	source_close(s);
	files->may_pass = retry_may_help(error);
	(void)load_fail(why, error == EACCES ? "it must be readable for the "
	    "user that runs this" : "", "cannot read the %s %s: %s", what,
	    path, load_describe(error, files->pipes));
	return -1;
}

/* Read the certificate at which "bio" is. */
static X509 *
read_certificate(BIO *bio)
{
	return PEM_read_bio_X509_AUX(bio, NULL, no_passphrase, NULL);
}

/* Has the last one been read, and was all before it whole? */
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

static int
load_chain(SSL_CTX *ssl, struct tls_files *files, struct failure *why)
{
	struct source s;
	int result;

	files->at_fault = files->certificate;
	if (source_open(&s, "certificate", files, why) == -1)
		return -1;
	if ((result = use_chain(ssl, s.bio)) == -1)
		(void)load_fail(why, is_weak() ? "make it anew, with a key of "
		    "2048 bits (RSA) or 256 (EC) and SHA-256" : "it must be "
		    "PEM, the certificate itself first", "cannot use the "
		    "certificate %s: %s", files->certificate, last_reason());
	source_close(&s);
	return result;
}

/* --- its key ------------------------------------------------------------- */

/* Is it a private key as ssh-keygen(1) makes them? */
static bool
is_openssh(const struct source *s)
{
	static const char begin[] = "-----BEGIN OPENSSH PRIVATE KEY";

	return strncmp(s->data, begin, sizeof begin - 1) == 0;
}

/* Why "key" is not that of the first certificate. */
static int
explain_mismatch(SSL_CTX *ssl, EVP_PKEY *key, const struct tls_files *files,
    struct failure *why)
{
	STACK_OF(X509) *chain = NULL;
	char name[CERT_NAME_SHOWN];

	(void)SSL_CTX_get0_chain_certs(ssl, &chain);
	for (int i = 0; i < sk_X509_num(chain); i++) {
		X509 *cert = sk_X509_value(chain, i);

		if (X509_check_private_key(cert, key) != 1)
			continue;
		(void)cert_name(X509_get_subject_name(cert), name,
		    sizeof name);
		return load_fail(why, "put that certificate before those of "
		    "its authorities", "the key %s belongs to the certificate "
		    "number %d of the file %s, \"%s\", and must belong to the "
		    "first", files->key, i + 2, files->certificate, name);
	}
	return load_fail(why, "use the pair that was made together",
	    "the key %s does not belong to the certificate %s", files->key,
	    files->certificate);
}

/* Use the key in "s", with the certificate that is there already. */
static int
use_key(SSL_CTX *ssl, struct source *s, const struct tls_files *files,
    struct failure *why)
{
	EVP_PKEY *key = PEM_read_bio_PrivateKey(s->bio, NULL, no_passphrase,
	    NULL);
	int result = 0;

	if (key == NULL)
		return is_openssh(s) ? load_fail(why, "use the private key of "
		    "the certificate, in PEM", "the key %s is one of OpenSSH",
		    files->key) : load_fail(why, "it must be PEM, without a "
		    "passphrase", "cannot use the key %s: %s", files->key,
		    last_reason());
	if (X509_check_private_key(SSL_CTX_get0_certificate(ssl), key) != 1)
		result = explain_mismatch(ssl, key, files, why);
	else if (SSL_CTX_use_PrivateKey(ssl, key) != 1)
		result = load_fail(why, "", "cannot use the key %s: %s",
		    files->key, last_reason());
	EVP_PKEY_free(key);
	return result;
}

int
load_own(SSL_CTX *ssl, struct tls_files *files, struct failure *why)
{
	struct source s;
	int result;

	if (load_chain(ssl, files, why) == -1)
		return -1;
	files->at_fault = files->key;
	if (source_open(&s, "key", files, why) == -1)
		return -1;
	result = use_key(ssl, &s, files, why);
	source_close(&s);
	return result;
}

/* --- the authority ------------------------------------------------------- */

/* Count the certificates of "all" and put them into "store".  -1: it cannot,
 * or there is a list among them, which is told by "lists". */
static int
use_authorities(X509_STORE *store, STACK_OF(X509_INFO) *all, bool *lists)
{
	int count = 0;

	for (int i = 0; i < sk_X509_INFO_num(all); i++) {
		const X509_INFO *info = sk_X509_INFO_value(all, i);

		*lists = *lists || info->crl != NULL;
		if (info->x509 == NULL)
			continue;
		if (X509_STORE_add_cert(store, info->x509) != 1)
			return -1;
		count++;
	}
	return *lists ? -1 : count;
}

int
load_authority(SSL_CTX *ssl, bool server, struct tls_files *files,
    struct failure *why)
{
	STACK_OF(X509_INFO) *all;
	struct source s;
	bool lists = false;
	int count = -1;

	files->at_fault = files->authority;
	if (source_open(&s, "authority", files, why) == -1)
		return -1;
	all = PEM_X509_INFO_read_bio(s.bio, NULL, no_passphrase, NULL);
	source_close(&s);
	if (all != NULL)
		count = use_authorities(SSL_CTX_get_cert_store(ssl), all,
		    &lists);
	sk_X509_INFO_pop_free(all, X509_INFO_free);
	if (count > 0)
		return 0;
	if (lists)
		return load_fail(why, server ? "put it into a file of its "
		    "own, and name that by \"crl\"" : "take it out: aisc uses "
		    "no lists", "the authority %s has a revocation list in it, "
		    "which would be of no effect there", files->authority);
	return load_fail(why, "it must be the certificate of the authority, "
	    "in PEM", "cannot use the authority %s: %s", files->authority,
	    count == 0 ? "no certificate is in it" : last_reason());
}

X509 *
load_first(const char *path, struct failure *why)
{
	struct tls_files files = { .at_fault = path };
	struct source s;
	X509 *cert;

	ERR_clear_error();
	if (source_open(&s, "certificate", &files, why) == -1)
		return NULL;
	if ((cert = read_certificate(s.bio)) == NULL)
		(void)load_fail(why, "it must be PEM", "cannot use the "
		    "certificate %s: %s", path, last_reason());
	source_close(&s);
	return cert;
}
