/*
 * common/tls-crl: a revocation list, in DER or in PEM.
 */
#include <config.h>

#include "common/tls-crl.h"

#include "tests/fuzz/pem.h"

const size_t fuzz_mutations = 4000;

static void
check_why(const char *why)
{
	must(*why != '\0' && strlen(why) < TLS_TEXT_MAX);
	must(fuzz_is_printable(why, strlen(why)));
}

/* As long as there is no certificate of its issuer, a list waits. */
static void
check(struct revocation *r)
{
	STACK_OF(X509) *none = sk_X509_new_null();
	char why[TLS_TEXT_MAX] = "";

	must(none != NULL);
	must(revocation_verify(r, none, why) == 0);
	(void)revocation_ends(r);
	sk_X509_free(none);
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
