/*
 * common/tls/crl: a revocation list, in DER or in PEM.
 */
#include <config.h>

#include <stdlib.h>

#include <openssl/ec.h>

#include "common/tls/crl.h"

#include "tests/fuzz/pem.h"

const size_t fuzz_mutations = 4000;

static void
check_why(const char *why)
{
	must(*why != '\0' && strlen(why) < TLS_TEXT_MAX);
	must(fuzz_is_printable(why, strlen(why)));
}

/* A certificate of the name that the seeds' lists have, and of another key. */
static X509 *
authority(void)
{
	static X509 *cert;
	EVP_PKEY *key;
	X509_NAME *name;

	if (cert != NULL)
		return cert;
	key = EVP_EC_gen("P-256");
	must(key != NULL && (cert = X509_new()) != NULL);
	name = X509_get_subject_name(cert);
	must(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
	    (const unsigned char *)"site", -1, -1, 0) == 1);
	must(X509_set_issuer_name(cert, name) == 1);
	must(X509_set_pubkey(cert, key) == 1);
	EVP_PKEY_free(key);
	return cert;
}

/* A list waits for its issuer's certificate, and is worth nothing to one that
 * has not signed it. */
static void
check(struct revocation *r)
{
	STACK_OF(X509) *certs = sk_X509_new_null();
	struct tls_term *terms;
	char why[TLS_TEXT_MAX] = "";

	must(certs != NULL);
	must(revocation_verify(r, certs, why) == 0);
	must(sk_X509_push(certs, authority()) == 1);
	if (revocation_verify(r, certs, why) == -1)
		check_why(why);
	must(revocation_check(r, authority(), authority(), true) ==
	    X509_V_ERR_UNABLE_TO_GET_CRL);
	terms = calloc(revocation_count(r) + 1, sizeof *terms);
	must(terms != NULL);
	must(revocation_terms(r, terms) <= revocation_count(r));
	free(terms);
	sk_X509_free(certs);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *path = pem_file(data, size, "X509 CRL");
	char why[TLS_TEXT_MAX] = "";
	struct revocation *r = revocation_load(path, why);

	if (r == NULL)
		check_why(why);
	else
		check(r);
	revocation_free(r);
	return 0;
}
