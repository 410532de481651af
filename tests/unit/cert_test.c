/* Unit tests of cert.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include "tests/unit/pairs.h"

/* The certificate's own number and fingerprint, as openssl has them. */
static void
identity(void **state)
{
	char *text, line[256];
	struct pair p;
	const struct tls_identity *id;

	(void)state;
	assert_int_equal(system("openssl x509 -in alice.pem -noout -serial "
	    "> id; openssl x509 -in alice.pem -noout -fingerprint -sha256 | "
	    "tr -d : | tr A-F a-f >> id"), 0);
	text = unit_read("id");
	open_good(&p);
	id = tls_peer(p.server);
	(void)snprintf(line, sizeof line, "serial=%s\n", id->serial);
	assert_non_null(strstr(text, line));
	(void)snprintf(line, sizeof line, "=%s\n", id->fingerprint);
	assert_non_null(strstr(text, line));
	close_pair(&p);
	free(text);
}

/* Make san.pem with the alternative names "value"; load it into "id". */
static void
load_san(const char *value, struct tls_identity *id)
{
	static char command[3 * TLS_SANS_MAX];

	(void)snprintf(command, sizeof command, "openssl req -new -x509 "
	    "-key alice.key -config site/cnf -subj /CN=x -out san.pem "
	    "-addext 'subjectAltName=%s' 2>/dev/null", value);
	assert_int_equal(system(command), 0);
	if (tls_identity_load("san.pem", id, &why) == -1)
		fail_msg("%s", failure_sentence(&why, sentence));
}

/* The names in "id", with a ";" behind each. */
static const char *
joined(const struct tls_identity *id)
{
	static char text[TLS_SANS_MAX + 1];
	size_t used = 0;

	for (const char *p = id->sans; *p != '\0'; p += strlen(p) + 1)
		used += (size_t)snprintf(text + used, sizeof text - used,
		    "%s;", p);
	text[used] = '\0';
	return text;
}

static void
alternative_names(void **state)
{
	static const struct {
		const char *value, *names;
		bool lacks;
	} examples[] = {
		{ "DNS:a.example,email:a@b.example,URI:spiffe://x/y,"
		    "IP:192.0.2.1,IP:2001:db8::1,RID:1.2.3",
		    "DNS:a.example;EMAIL:a@b.example;URI:spiffe://x/y;"
		    "IP:192.0.2.1;IP:2001:db8::1;", false },
		/* "a", NUL, "b"; then "c". */
		{ "DER:30:08:82:03:61:00:62:82:01:63", "DNS:c;", true },
		/* A line break, an escape, DEL, a byte of UTF-8, nothing. */
		{ "DER:30:03:82:01:0a", "", true },
		{ "DER:30:03:81:01:1b", "", true },
		{ "DER:30:03:86:01:7f", "", true },
		{ "DER:30:03:82:01:c3", "", true },
		{ "DER:30:02:82:00", "", true },
		/* Addresses of 3 and of 8 bytes, which are none. */
		{ "DER:30:05:87:03:61:62:63", "", true },
		{ "DER:30:0a:87:08:61:62:63:64:65:66:67:68", "", true },
		/* User principal names, by UTF-8 and by another type. */
		{ "otherName:1.3.6.1.4.1.311.20.2.3;UTF8:anna@corp.example,"
		    "DNS:a", "UPN:anna@corp.example;DNS:a;", false },
		{ "DER:30:15:a0:13:06:0a:2b:06:01:04:01:82:37:14:02:03:"
		    "a0:05:0c:03:6a:c3:b6", "UPN:j\xc3\xb6;", false },
		{ "DER:30:15:a0:13:06:0a:2b:06:01:04:01:82:37:14:02:03:"
		    "a0:05:0c:03:6a:c3:28", "", true },
		{ "otherName:msUPN;IA5:anna@corp.example", "", true },
		{ "otherName:1.2.3.4;UTF8:anna", "", false },
		/* No list of names at all. */
		{ "DER:04:01:61", "", true },
		{ "DNS:~", "DNS:~;", false },
	};
	struct tls_identity id;

	(void)state;
	for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
		load_san(examples[i].value, &id);
		assert_string_equal(joined(&id), examples[i].names);
		assert_int_equal(id.lacks != NULL, examples[i].lacks);
	}
	assert_int_equal(tls_identity_load("alice.pem", &id, &why), 0);
	assert_string_equal(id.common_name, "alice");
	assert_string_equal(id.sans, "");
	assert_string_equal(id.issuer, "CN=AIS_TEST_CA");
	assert_null(id.lacks);
}

/* All of them are there, or it is said that they are not. */
static void
many_names(void **state)
{
	static char value[2 * TLS_SANS_MAX];
	struct tls_identity id;
	size_t n = 0, last = 0;

	(void)state;
	/* 26 bytes each, and a NUL. */
	for (; n < TLS_SANS_MAX / 27; n++)
		last = (size_t)snprintf(value + 27 * n, sizeof value - 27 * n,
		    "DNS:host%03zu.domain.example,", n);
	assert_int_equal(last, 27);
	value[27 * n - 1] = '\0';
	load_san(value, &id);
	assert_null(id.lacks);
	for (char *p = value; (p = strchr(p, ',')) != NULL; )
		*p = ';';
	(void)snprintf(value + 27 * n - 1, 2, ";");
	assert_string_equal(joined(&id), value);
	for (char *p = value; (p = strchr(p, ';')) != NULL; )
		*p = ',';
	(void)snprintf(value + 27 * n, sizeof value - 27 * n, "DNS:x%022d", 0);
	load_san(value, &id);
	assert_non_null(id.lacks);
	memset(value, 'n', 1000);
	(void)snprintf(value + 1000, sizeof value - 1000, ",DNS:y");
	memcpy(value, "DNS:", 4);
	load_san(value, &id);
	assert_string_equal(joined(&id), "DNS:y;");
	assert_non_null(id.lacks);
}

static void
identity_files(void **state)
{
	struct tls_identity id;

	(void)state;
	assert_int_equal(tls_identity_load("missing.pem", &id, &why), -1);
	assert_non_null(strstr(why.text, "missing.pem: No such file"));
	assert_int_equal(tls_identity_load("alice.key", &id, &why), -1);
	assert_non_null(strstr(why.text,
	    "cannot use the certificate alice.key"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(identity),
		cmocka_unit_test(alternative_names),
		cmocka_unit_test(many_names),
		cmocka_unit_test(identity_files),
	};

	return cmocka_run_group_tests_name("cert", tests, pairs_enter,
	    pairs_leave);
}
