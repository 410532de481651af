/* Unit tests of verify and why.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include "tests/unit/pairs.h"

static void
names(void **state)
{
	static const struct {
		const char *name;
		bool good;
	} examples[] = {
		{ "localhost", true }, { "LOCALHOST", true },
		{ "127.0.0.1", true }, { "127.0.0.2", false },
		{ "server", false },	/* Its CN, which does not count. */
		{ "localhost.example", false }, { "::1", false },
	};
	struct pair p;

	(void)state;
	for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
		open_pair(&p, client_with("alice"), server_with(NULL),
		    examples[i].name);
		shake(&p);
		if ((p.client_io == IO_OK) != examples[i].good)
			fail_msg("%s: %s", examples[i].name,
			    tls_failure(p.client)->text);
		if (!examples[i].good) {
			assert_int_equal(tls_failure(p.client)->code,
			    TLS_FAILURE_NAME);
			assert_non_null(strstr(tls_failure(p.client)->text,
			    examples[i].name));
			assert_non_null(strstr(tls_failure(p.client)->text,
			    "localhost"));
			assert_int_equal(p.server_io, IO_ERROR);
			assert_int_equal(tls_failure(p.server)->code,
			    TLS_FAILURE_REFUSED);
		}
		close_pair(&p);
	}
}

/* "client" with "crl" is refused by the server, which says "text". */
static void
refused(struct tls_context *client, const char *crl, const char *text)
{
	struct pair p;

	open_pair(&p, client, server_with(crl), "localhost");
	shake(&p);
	assert_int_equal(p.server_io, IO_ERROR);
	assert_int_equal(tls_failure(p.server)->code,
	    strcmp(text, "authority") == 0 ?
	    TLS_FAILURE_AUTHORITY : TLS_FAILURE_CERTIFICATE);
	if (strstr(tls_failure(p.server)->text, text) == NULL)
		fail_msg("%s", tls_failure(p.server)->text);
	/* It knows whom it has refused. */
	assert_non_null(tls_peer(p.server));
	assert_true(strlen(tls_peer(p.server)->subject) > 3);
	/* In TLS 1.3 a client learns it by its first read. */
	if (p.client_io == IO_OK)
		p.client_io = tls_fill(p.client, &p.client_in);
	assert_int_equal(p.client_io, IO_ERROR);
	assert_int_equal(tls_failure(p.client)->code, TLS_FAILURE_REFUSED);
	assert_int_equal(buf_used(&p.client_in), 0);
	close_pair(&p);
}

static struct tls_context *
client_that_trusts(const char *name, const char *authority)
{
	char pem[64], key[64];
	struct tls_files f = files_of(pem, key, authority, NULL);

	(void)snprintf(pem, sizeof pem, "%s.pem", name);
	(void)snprintf(key, sizeof key, "%s.key", name);
	return tls_client_new(&f, &why);
}

static void
refused_clients(void **state)
{
	struct pair p;

	(void)state;
	refused(client_with("stranger"), NULL, "authority");
	refused(client_with("server"), NULL, "keyUsage");
	refused(client_with("revoked"), "crl.pem", "revoked");
	/* Where the list is of no use, nobody is let in. */
	refused(client_with("alice"), "oldcrl.pem", "revocation");

	/* With a good list, or without one. */
	open_pair(&p, client_with("alice"), server_with("crl.pem"),
	    "localhost");
	shake(&p);
	assert_int_equal(p.server_io, IO_OK);
	close_pair(&p);
	open_pair(&p, client_with("revoked"), server_with(NULL), "localhost");
	shake(&p);
	assert_int_equal(p.server_io, IO_OK);
	close_pair(&p);
	open_pair(&p, client_with("both"), server_with("crl.pem"),
	    "localhost");
	shake(&p);
	assert_int_equal(p.server_io, IO_OK);
	close_pair(&p);
}

static void
refused_server(void **state)
{
	struct pair p;

	(void)state;
	open_pair(&p, client_that_trusts("alice", "other/ca.pem"),
	    server_with(NULL), "localhost");
	shake(&p);
	assert_int_equal(p.client_io, IO_ERROR);
	assert_int_equal(tls_failure(p.client)->code, TLS_FAILURE_AUTHORITY);
	assert_non_null(strstr(tls_failure(p.client)->text, "authority"));
	assert_int_equal(p.server_io, IO_ERROR);
	assert_int_equal(tls_failure(p.server)->code, TLS_FAILURE_REFUSED);
	assert_null(tls_peer(p.server));
	close_pair(&p);
}

/* A client's certificate does not make a server. */
static void
client_as_server(void **state)
{
	struct tls_files f = files_of("alice.pem", "alice.key", "site/ca.pem",
	    NULL);
	struct tls_context *c = tls_server_new(&f, &why);
	struct pair p;

	(void)state;
	assert_non_null(c);
	open_pair(&p, client_with("both"), c, "localhost");
	shake(&p);
	assert_int_equal(p.client_io, IO_ERROR);
	assert_int_equal(tls_failure(p.client)->code, TLS_FAILURE_CERTIFICATE);
	close_pair(&p);
}

/* The same peer, judged by one context after the other. */
static void
judged_again(void **state)
{
	static const struct {
		const char *name, *authority, *crl;
		bool old;
		const char *reason;		/* NULL: good. */
	} examples[] = {
		{ "alice", "site/ca.pem", NULL, false, NULL },
		{ "alice", "site/ca.pem", "crl.pem", false, NULL },
		{ "alice", "site/ca.pem", "oldcrl.pem", true, NULL },
		{ "alice", "site/ca.pem", "oldcrl.pem", false, "untrusted" },
		{ "alice", "other/ca.pem", NULL, false, "untrusted" },
		{ "revoked", "site/ca.pem", NULL, false, NULL },
		{ "revoked", "site/ca.pem", "crl.pem", false, "revoked" },
		{ "revoked", "site/ca.pem", "oldcrl.pem", true, "revoked" },
		{ "revoked", "site/ca.pem", "lists", false, "revoked" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
		struct tls_context *c = context_with(examples[i].authority,
		    examples[i].crl, examples[i].old);
		const char *reason = NULL;
		struct pair p;
		int result;

		open_pair(&p, client_with(examples[i].name), server_with(NULL),
		    "localhost");
		shake(&p);
		assert_int_equal(p.server_io, IO_OK);
		assert_true(tls_peer_expires(p.server) <
		    tls_peer(p.server)->not_after);
		why.text[0] = '\0';
		result = tls_recheck(p.server, c, &reason, &why);
		assert_int_equal(result, examples[i].reason == NULL ? 0 : -1);
		if (result == -1)
			assert_string_equal(reason, examples[i].reason);
		assert_int_equal(why.text[0] == '\0', result == 0);
		close_pair(&p);
		tls_context_free(c);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(refused_clients),
		cmocka_unit_test(refused_server),
		cmocka_unit_test(client_as_server),
		cmocka_unit_test(judged_again),
	};

	return cmocka_run_group_tests_name("verify", tests, pairs_enter,
	    pairs_leave);
}
