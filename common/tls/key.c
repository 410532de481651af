/*
 * key.c - the private key of our own certificate, from a file or from a store
 * of OpenSSL.
 *
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/store.h>
#include <openssl/ui.h>
#include <openssl/x509.h>

#include "common/base/text.h"
#include "common/tls/cert.h"
#include "common/tls/load.h"
#include "common/tls/trial.h"
#include "common/tls/key.h"

/* What a store may hold before its key. */
#define OBJECTS_MAX	64
/* The scheme of a URI. */
#define SCHEME_MAX	32
/* Of what a provider says. */
#define SAID_MAX	256

/* A passphrase that OpenSSL may ask for. */
struct question {
	const struct tls_files *files;
	struct failure *why;
	bool asked;
	bool refused;		/* With the reason in "why". */
};

static int
answer(char *out, int size, int writing, void *context)
{
	struct question *q = context;
	int length = -1;

	(void)writing;
	q->asked = true;
	/* OpenSSL asks again for each form that a key may have. */
	if (q->files->passphrase == NULL || q->refused)
		return -1;
	length = q->files->passphrase(q->files->asked, out, size, q->why);
	q->refused = length == -1;
	return length;
}

/* The key is encrypted, and that was not overcome. */
static void
explain_encrypted(const struct question *q)
{
	const char *name = q->files->key;

	if (q->refused) {
		q->why->code = TLS_FAILURE_FILES;
		ERR_clear_error();
	} else if (q->files->passphrase != NULL)
		(void)load_fail(q->why, "give the right one", "cannot open the "
		    "key %s: its passphrase is wrong", name);
	else
		(void)load_fail(q->why, "write it without, by \"openssl pkey "
		    "-in OLD -out NEW\", to a file that only this user can "
		    "read", "cannot use the key %s: it is encrypted with a "
		    "passphrase, which cannot be asked for here", name);
}

/* --- from a file --------------------------------------------------------- */

/* Is it a private key as ssh-keygen(1) makes them? */
static bool
is_openssh(const struct load_file *f)
{
	static const char begin[] = "-----BEGIN OPENSSH PRIVATE KEY";

	return strncmp(f->data, begin, sizeof begin - 1) == 0;
}

/* The key in the file of that name; NULL with "why". */
static EVP_PKEY *
read_file(struct tls_files *files, struct failure *why)
{
	struct load_file f;
	EVP_PKEY *key;
	struct question q = { .files = files, .why = why };

	if (load_open(&f, "key", files, why) == -1)
		return NULL;
	key = PEM_read_bio_PrivateKey(f.bio, NULL, answer, &q);
	if (key == NULL && is_openssh(&f))
		(void)load_fail(why, "use the private key of the certificate, "
		    "in PEM", "the key %s is one of OpenSSH", files->key);
	else if (key == NULL && q.asked)
		explain_encrypted(&q);
	else if (key == NULL)
		(void)load_fail(why, "it must be PEM",
		    "cannot use the key %s: %s", files->key,
		    cert_last_reason());
	load_close(&f);
	return key;
}

/* --- from a store -------------------------------------------------------- */

/* The scheme of "uri", or "". */
static const char *
scheme_of(const char *uri, char out[SCHEME_MAX])
{
	size_t n = strcspn(uri, ":");

	(void)snprintf(out, SCHEME_MAX, "%.*s", uri[n] == '\0' ||
	    n >= SCHEME_MAX ? 0 : (int)n, uri);
	return out;
}

/* Has a provider that is active a store for "scheme"? */
static bool
has_store(const char *scheme)
{
	OSSL_STORE_LOADER *loader = *scheme == '\0' ? NULL :
	    OSSL_STORE_LOADER_fetch(NULL, scheme, NULL);

	OSSL_STORE_LOADER_free(loader);
	return loader != NULL;
}

/* What OpenSSL and the provider say of the last failure. */
static const char *
describe(char out[SAID_MAX])
{
	const char *data = NULL, *reason = cert_last_reason();
	int flags = 0, n;

	(void)ERR_peek_last_error_data(&data, &flags);
	n = snprintf(out, SAID_MAX, "%.80s", reason);
	if (data != NULL && *data != '\0' && (flags & ERR_TXT_STRING) != 0) {
		out[n++] = ':';
		out[n++] = ' ';
		(void)text_printable(out + n, SAID_MAX - (size_t)n, data,
		    strlen(data));
	}
	return out;
}

/* The first key of the store that is open. */
static EVP_PKEY *
first_key(OSSL_STORE_CTX *store)
{
	OSSL_STORE_INFO *info;
	EVP_PKEY *key = NULL;

	/* A store may know better than to obey. */
	(void)OSSL_STORE_expect(store, OSSL_STORE_INFO_PKEY);
	for (int i = 0; i < OBJECTS_MAX && key == NULL &&
	    OSSL_STORE_eof(store) != 1; i++) {
		if ((info = OSSL_STORE_load(store)) == NULL)
			continue;
		if (OSSL_STORE_INFO_get_type(info) == OSSL_STORE_INFO_PKEY)
			key = OSSL_STORE_INFO_get1_PKEY(info);
		OSSL_STORE_INFO_free(info);
	}
	return key;
}

/* Why the store has given no key. */
static void
explain_store(const struct tls_files *files, const char *scheme,
    const struct question *q, struct failure *why)
{
	char said[SAID_MAX], hint[FAILURE_HINT_MAX], file[TRIAL_FILE_MAX];

	if (q->asked && files->passphrase != NULL)
		explain_encrypted(q);
	else if (q->asked)
		(void)load_fail(why, "give it to the provider, in OpenSSL's "
		    "configuration or in the URI, or make a key without one",
		    "the key %s needs a PIN or a passphrase, which cannot be "
		    "asked for here", files->key);
	else if (has_store(scheme))
		(void)load_fail(why, "look whether the device and the key are "
		    "there, and whether this user may use them", "cannot load "
		    "the key %s: %s", files->key, describe(said));
	else {
		(void)snprintf(hint, sizeof hint, "activate the one that does "
		    "in %s, and look whether it can be loaded: openssl list "
		    "-store-loaders", trial_configuration(file));
		(void)load_fail(why, hint, "no provider of OpenSSL here loads "
		    "the key %s", files->key);
	}
}

/*
 * Keys of providers are kept for as long as the process lives.  A handle of a
 * TPM that is loaded by two keys is closed with the first of them, as by the
 * end of a context after a reload, and the other one can sign no more
 * (tpm2-openssl 1.1).
 */
static struct kept {
	struct kept *next;
	EVP_PKEY *key;
	char uri[];
} *keys;

/* The key of "cert" that was loaded by "uri" before, or NULL. */
static EVP_PKEY *
find_kept(const char *uri, X509 *cert)
{
	for (struct kept *k = keys; k != NULL; k = k->next) {
		if (strcmp(k->uri, uri) == 0 &&
		    X509_check_private_key(cert, k->key) == 1 &&
		    EVP_PKEY_up_ref(k->key) == 1)
			return k->key;
	}
	return NULL;
}

/* 0, or -1 without memory. */
static int
keep(const char *uri, EVP_PKEY *key)
{
	size_t size = strlen(uri) + 1;
	struct kept *k = malloc(sizeof *k + size);

	if (k == NULL || EVP_PKEY_up_ref(key) != 1) {
		free(k);
		return -1;
	}
	memcpy(k->uri, uri, size);
	k->key = key;
	k->next = keys;
	keys = k;
	return 0;
}

/* The key that a provider loads by "uri"; NULL with "why". */
static EVP_PKEY *
read_store(const char *uri, struct tls_files *files, struct failure *why)
{
	struct question q = { .files = files, .why = why };
	char scheme[SCHEME_MAX];
	UI_METHOD *ui = UI_UTIL_wrap_read_pem_callback(answer, 0);
	OSSL_STORE_CTX *store = NULL;
	EVP_PKEY *key = NULL;

	/* We look at the mode of a key's file, and a store does not. */
	if (strcmp(scheme_of(uri, scheme), "file") == 0) {
		UI_destroy_method(ui);
		(void)load_fail(why, "name the file itself", "the key %s is a "
		    "file, and no key of a provider", files->key);
		return NULL;
	}
	if (ui != NULL)
		store = OSSL_STORE_open(uri, ui, &q, NULL, NULL);
	if (store != NULL)
		key = first_key(store);
	if (key != NULL && keep(uri, key) == -1) {
		EVP_PKEY_free(key);
		key = NULL;
	}
	if (key == NULL) {
		/* A device may be there later. */
		files->may_pass = true;
		explain_store(files, scheme, &q, why);
	}
	(void)OSSL_STORE_close(store);
	UI_destroy_method(ui);
	return key;
}

/* --- and in use ---------------------------------------------------------- */

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

int
key_load(SSL_CTX *ssl, struct tls_files *files, struct failure *why)
{
	const char *uri = tls_store_uri(files->key);
	X509 *cert = SSL_CTX_get0_certificate(ssl);
	EVP_PKEY *key;
	int result = 0;

	files->at_fault = files->key;
	if (uri == NULL)
		key = read_file(files, why);
	else if ((key = find_kept(uri, cert)) == NULL)
		key = read_store(uri, files, why);
	if (key == NULL)
		return -1;
	/* A provider may have tried this and that on its way to the key. */
	ERR_clear_error();
	if (X509_check_private_key(cert, key) != 1)
		result = explain_mismatch(ssl, key, files, why);
	else if (SSL_CTX_use_PrivateKey(ssl, key) != 1)
		result = load_fail(why, "", "cannot use the key %s: %s",
		    files->key, cert_last_reason());
	EVP_PKEY_free(key);
	return result;
}
