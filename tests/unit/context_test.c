/* Unit tests of context, and of what it loads.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <time.h>

#include "tests/unit/pairs.h"

/* When the first of a kind ends of what is in "c"; -1: there is none. */
static int64_t
end_of(const struct tls_context *c, enum tls_term_kind kind)
{
	size_t n;
	struct tls_term *terms = tls_context_terms(c, &n);
	int64_t first = -1;

	assert_non_null(terms);
	for (size_t i = 0; i < n; i++) {
		if (terms[i].kind == kind && (first == -1 ||
		    terms[i].ends < first))
			first = terms[i].ends;
	}
	free(terms);
	return first;
}

/* No context, and a sentence that names the file. */
static void
no_context(const char *certificate, const char *key, const char *authority,
    const char *crl, const char *named)
{
	struct tls_files f = files_of(certificate, key, authority, crl);

	why.text[0] = '\0';
	assert_null(tls_server_new(&f, &why));
	if (strstr(failure_sentence(&why, sentence), named) == NULL)
		fail_msg("no %s in: %s", named,
		    failure_sentence(&why, sentence));
	why.text[0] = '\0';
	assert_null(tls_client_new(&f, &why));
	if (strstr(failure_sentence(&why, sentence), named) == NULL)
		fail_msg("no %s in: %s", named,
		    failure_sentence(&why, sentence));
}

static void
contexts(void **state)
{
	static const char s[] = "server.pem", k[] = "server.key",
	    a[] = "site/ca.pem";
	struct tls_files f = files_of(s, k, a, NULL);
	struct tls_context *c;

	(void)state;
	unit_write("garbage", "not PEM");
	unit_write("nothing", "");
	no_context("gone.pem", k, a, NULL, "gone.pem");
	no_context("garbage", k, a, NULL, "garbage");
	no_context(s, "gone.key", a, NULL, "gone.key");
	no_context(s, "garbage", a, NULL, "garbage");
	no_context(s, "alice.key", a, NULL, "alice.key");
	no_context(s, k, "gone", NULL, "gone");
	no_context(s, k, "garbage", NULL, "garbage");
	no_context(s, k, "nothing", NULL, "nothing");
	no_context(s, k, a, "gone.crl", "gone.crl");
	no_context(s, k, a, "garbage", "garbage");
	no_context("expired.pem", "expired.key", a, NULL, "expired");
	no_context("future.pem", "future.key", a, NULL, "2098");
	no_context(NULL, k, a, NULL, "certificate");
	no_context(s, NULL, a, NULL, "key");
	no_context(s, k, NULL, NULL, "authority");
	tls_context_free(NULL);
	c = tls_server_new(&f, &why);
	assert_non_null(c);
	assert_true(end_of(c, TLS_TERM_CERTIFICATE) == INT64_C(4070908800));
	tls_context_free(c);
}

/* A key that asks for a passphrase must not make a daemon wait for one. */
static void
passphrase(void **state)
{
	(void)state;
	assert_int_equal(system("openssl ec -aes256 -passout pass:secret "
	    "-in server.key -out locked.key 2> openssl.log"), 0);
	no_context("server.pem", "locked.key", "site/ca.pem", NULL,
	    "locked.key");
}

static void
own_certificate(void **state)
{
	static const struct {
		const char *certificate, *key, *authority, *crl;
		bool good;
	} examples[] = {
		{ "server.pem", "server.key", "site/ca.pem", NULL, true },
		{ "server.pem", "server.key", "site/ca.pem", "crl.pem",
		    true },
		{ "both.pem", "both.key", "site/ca.pem", NULL, true },
		{ "alice.pem", "alice.key", "site/ca.pem", NULL, false },
		{ "server.pem", "server.key", "other/ca.pem", NULL, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
		struct tls_files f = files_of(examples[i].certificate,
		    examples[i].key, examples[i].authority, examples[i].crl);
		struct tls_context *c = tls_server_new(&f, &why);

		assert_non_null(c);
		why.text[0] = '\0';
		assert_int_equal(tls_server_check(c, &f, &why),
		    examples[i].good ? 0 : -1);
		assert_int_equal(strlen(why.text) == 0, examples[i].good);
		tls_context_free(c);
	}
}

/* What our own clients would think of our certificate. */
static void
own_client_certificate(void **state)
{
	static const struct {
		const char *certificate, *key, *authority, *says;
	} examples[] = {
		{ "alice.pem", "alice.key", "site/ca.pem", "" },
		{ "both.pem", "both.key", "site/ca.pem", "" },
		{ "server.pem", "server.key", "site/ca.pem", "as a client" },
		{ "stranger.pem", "stranger.key", "site/ca.pem",
		    "configured authority" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
		struct tls_files f = files_of(examples[i].certificate,
		    examples[i].key, examples[i].authority, NULL);
		struct tls_context *c = tls_client_new(&f, &why);
		bool good = examples[i].says[0] == '\0';

		assert_non_null(c);
		why.text[0] = '\0';
		assert_int_equal(tls_client_check(c, &why), good ? 0 : -1);
		assert_non_null(strstr(failure_sentence(&why, sentence),
		    examples[i].says));
		assert_int_equal(strlen(why.text) == 0, good);
		tls_context_free(c);
	}
}

static void
certificates(void **state)
{
	struct tls_context *c = client_with("alice");
	struct tls_identity id;
	struct pair p;

	(void)state;
	assert_int_equal(tls_context_certificate(c, 0, &id), 0);
	assert_string_equal(id.subject, "CN=alice");
	assert_int_equal(tls_context_certificate(c, 1, &id), -1);
	tls_context_free(c);
	open_good(&p);
	assert_int_equal(tls_peer_certificate(p.client, 0, &id), 0);
	assert_string_equal(id.subject, "CN=server");
	assert_int_equal(tls_peer_certificate(p.client, 1, &id), 0);
	assert_string_equal(id.subject, "CN=AIS_TEST_CA");
	assert_int_equal(tls_peer_certificate(p.client, 2, &id), -1);
	close_pair(&p);
}

/* What a context knows of its end. */
static void
ends(void **state)
{
	struct tls_context *c = context_with("site/ca.pem", "lists", false);
	int64_t now = (int64_t)time(NULL), month = 30 * 86400;

	(void)state;
	assert_true(end_of(c, TLS_TERM_CERTIFICATE) == INT64_C(4070908800));
	assert_in_range(end_of(c, TLS_TERM_AUTHORITY), now + month - 3600,
	    now + month);
	assert_in_range(end_of(c, TLS_TERM_LIST), now + month - 3600,
	    now + month);
	tls_context_free(c);
	/* The newest list of an authority counts, and a list in use. */
	c = context_with("site/ca.pem", "oldcrl.pem", true);
	assert_true(end_of(c, TLS_TERM_LIST) == INT64_C(1580515200));
	tls_context_free(c);
	c = context_with("site/ca.pem", NULL, false);
	assert_true(end_of(c, TLS_TERM_LIST) == -1);
	tls_context_free(c);
}

static void
lists_that_cannot_be_used(void **state)
{
	static const struct {
		const char *crl, *says;
	} examples[] = {
		{ "alice.pem", "there is none in it" },
		{ "missing.pem", "No such file" },
		{ "site", "there is none in it" },
		{ "empty", "no file *.pem is in it" },
		{ "forged.pem", "is not signed by the authority" },
	};

	(void)state;
	assert_int_equal(system("mkdir empty; cp crl.pem empty/crl; "
	    "cp crl.pem empty/.pem; "
	    "sed 's/AIS_TEST_CA/AIS_TEST_CB/' site/cnf > cnf; "
	    "openssl req -config cnf -x509 -newkey ec -pkeyopt "
	    "ec_paramgen_curve:P-256 -nodes -keyout cb.key -out cb.pem "
	    "-subj /CN=AIS_TEST_CA 2>/dev/null; openssl ca -config site/cnf "
	    "-cert cb.pem -keyfile cb.key -gencrl -out forged.pem "
	    "2>/dev/null"), 0);
	for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
		struct tls_files f = files_of("both.pem", "both.key",
		    "site/ca.pem", examples[i].crl);

		assert_null(tls_server_new(&f, &why));
		assert_ptr_equal(f.at_fault, f.crl);
		if (strstr(failure_sentence(&why, sentence),
		    examples[i].says) == NULL)
			fail_msg("%s: %s", examples[i].crl,
		    failure_sentence(&why, sentence));
	}
}

/* A list with one bit changed, anywhere, vouches for nobody. */
static void
damaged_lists(void **state)
{
	char *der;
	size_t n = 0;
	FILE *f;

	(void)state;
	assert_int_equal(system("openssl crl -in crl.pem -outform DER -out "
	    "crl.der"), 0);
	f = fopen("crl.der", "r");
	der = malloc(4096);
	assert_non_null(f);
	assert_non_null(der);
	n = fread(der, 1, 4096, f);
	assert_int_equal(fclose(f), 0);
	for (size_t i = 0; i < n; i++) {
		struct tls_files files = files_of("both.pem", "both.key",
		    "site/ca.pem", "damaged.pem");
		struct tls_context *c;
		bool accepted;

		der[i] ^= 1;
		f = fopen("damaged.der", "w");
		assert_non_null(f);
		assert_int_equal(fwrite(der, 1, n, f), n);
		assert_int_equal(fclose(f), 0);
		der[i] ^= 1;
		assert_int_equal(system("{ echo '-----BEGIN X509 CRL-----'; "
		    "openssl base64 -in damaged.der; "
		    "echo '-----END X509 CRL-----'; } > damaged.pem"), 0);
		/* With another issuer's name it is somebody else's, and then
		 * nobody can be checked. */
		c = tls_server_new(&files, &why);
		accepted = c != NULL && tls_server_check(c, &files, &why) == 0;
		assert_false(accepted);
		tls_context_free(c);
	}
	free(der);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(contexts),
		cmocka_unit_test(passphrase),
		cmocka_unit_test(own_certificate),
		cmocka_unit_test(own_client_certificate),
		cmocka_unit_test(certificates),
		cmocka_unit_test(ends),
		cmocka_unit_test(lists_that_cannot_be_used),
		cmocka_unit_test(damaged_lists),
	};

	return cmocka_run_group_tests_name("context", tests, pairs_enter,
	    pairs_leave);
}
