/* Unit tests of tls.
 * SPDX-License-Identifier: ISC */
/* Tests of common/tls. */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>

#include "tests/unit/certificates.h"
#include "tests/unit/unit.h"

#include "common/base/buf.h"
#include "common/base/fd.h"
#include "common/tls/tls.h"

static struct failure why;
static char sentence[FAILURE_MAX];

static struct tls_files
files_of(const char *certificate, const char *key, const char *authority,
    const char *crl)
{
	struct tls_files f = { .certificate = certificate, .key = key,
	    .authority = authority, .crl = crl };

	return f;
}

static struct tls_context *
server_with(const char *crl)
{
	struct tls_files f = files_of("server.pem", "server.key",
	    "site/ca.pem", crl);
	struct tls_context *c = tls_server_new(&f, &why);

	if (c == NULL)
		fail_msg("%s", failure_sentence(&why, sentence));
	return c;
}

/* A client that trusts the site, whoever issued its own certificate. */
static struct tls_context *
client_with(const char *name)
{
	char pem[64], key[64];
	struct tls_files f = files_of(pem, key, "site/ca.pem", NULL);
	struct tls_context *c;

	(void)snprintf(pem, sizeof pem, "%s.pem", name);
	(void)snprintf(key, sizeof key, "%s.key", name);
	c = tls_client_new(&f, &why);
	if (c == NULL)
		fail_msg("%s", failure_sentence(&why, sentence));
	return c;
}

/*
 * Two ends, and between them two wires with the test in the middle: what one
 * end sends is passed on by carry(), or altered, or not.
 */
struct pair {
	struct tls *client, *server;
	int ends[2], wires[2];		/* Of the client, of the server. */
	enum io client_io, server_io;
	struct buf to_client, to_server, client_in, server_in;
};

static void
open_pair(struct pair *p, struct tls_context *client,
    struct tls_context *server, const char *name)
{
	int fds[2];

	memset(p, 0, sizeof *p);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM |
		    SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
		p->ends[i] = fds[0];
		p->wires[i] = fds[1];
	}
	p->client = tls_open(client, p->ends[0], name);
	p->server = tls_open(server, p->ends[1], NULL);
	assert_non_null(p->client);
	assert_non_null(p->server);
	tls_context_free(client);	/* Counted by their connections. */
	tls_context_free(server);
	p->client_io = p->server_io = IO_WAIT;
	buf_init(&p->to_client, 1 << 20);
	buf_init(&p->to_server, 1 << 20);
	buf_init(&p->client_in, 1 << 20);
	buf_init(&p->server_in, 1 << 20);
}

static void
close_pair(struct pair *p)
{
	tls_free(p->client);
	tls_free(p->server);
	fd_close_pair(p->ends);
	fd_close_pair(p->wires);
	buf_free(&p->to_client);
	buf_free(&p->to_server);
	buf_free(&p->client_in);
	buf_free(&p->server_in);
}

/* Take what the ends have sent off the wires, without passing it on. */
static void
collect(struct pair *p)
{
	while (fd_fill(p->wires[0], &p->to_server, 65536) == IO_OK)
		;
	while (fd_fill(p->wires[1], &p->to_client, 65536) == IO_OK)
		;
}

/* Pass on what has been collected. */
static void
deliver(struct pair *p)
{
	while (buf_used(&p->to_server) > 0 &&
	    fd_drain(p->wires[1], &p->to_server) == IO_OK)
		;
	while (buf_used(&p->to_client) > 0 &&
	    fd_drain(p->wires[0], &p->to_client) == IO_OK)
		;
}

static void
carry(struct pair *p)
{
	collect(p);
	deliver(p);
}

/* Shake hands, as far as it goes. */
static void
shake(struct pair *p)
{
	for (int i = 0; i < 20; i++) {
		if (p->client_io == IO_WAIT)
			p->client_io = tls_handshake(p->client);
		carry(p);
		if (p->server_io == IO_WAIT)
			p->server_io = tls_handshake(p->server);
		carry(p);
	}
}

/* A pair that has shaken hands. */
static void
open_good(struct pair *p)
{
	open_pair(p, client_with("alice"), server_with(NULL), "localhost");
	shake(p);
	if (p->client_io != IO_OK)
		fail_msg("client: %s", tls_failure(p->client)->text);
	if (p->server_io != IO_OK)
		fail_msg("server: %s", tls_failure(p->server)->text);
}

static void
send_text(struct tls *tls, const char *text)
{
	struct buf b;

	buf_init(&b, 1000);
	assert_int_equal(buf_put(&b, text, strlen(text)), 0);
	assert_int_equal(tls_drain(tls, &b), IO_OK);
	assert_int_equal(buf_used(&b), 0);
	buf_free(&b);
}

static void
expect_text(struct buf *b, const char *text)
{
	assert_int_equal(buf_used(b), strlen(text));
	assert_memory_equal(buf_data(b), text, strlen(text));
	buf_consume(b, strlen(text));
}

static void
handshake(void **state)
{
	const struct tls_identity *id;
	struct pair p;

	(void)state;
	open_pair(&p, client_with("alice"), server_with(NULL), "localhost");
	assert_null(tls_peer(p.server));
	shake(&p);
	assert_int_equal(p.client_io, IO_OK);
	assert_int_equal(p.server_io, IO_OK);
	assert_int_equal(tls_failure(p.client)->code, TLS_FAILURE_NONE);
	assert_string_equal(tls_version(p.client), "TLSv1.3");
	assert_string_equal(tls_version(p.server), "TLSv1.3");
	assert_true(strlen(tls_cipher(p.server)) > 5);
	id = tls_peer(p.server);
	assert_non_null(id);
	assert_string_equal(id->common_name, "alice");
	assert_string_equal(id->subject, "CN=alice");
	assert_string_equal(id->issuer, "CN=AIS_TEST_CA");
	assert_true(strlen(id->serial) >= 10);
	assert_int_equal(strspn(id->serial, "0123456789ABCDEF"),
	    strlen(id->serial));
	assert_int_equal(strlen(id->fingerprint), 64);
	assert_int_equal(strspn(id->fingerprint, "0123456789abcdef"), 64);
	assert_true(id->not_before == INT64_C(1577836800));
	assert_true(id->not_after == INT64_C(4070908800));
	assert_string_equal(tls_peer(p.client)->common_name, "server");
	close_pair(&p);
}

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

static void
bytes_both_ways(void **state)
{
	static uint8_t bytes[400000];
	uint64_t seed = 16;
	struct buf out[2], *in[2];
	size_t sent[2] = { 0, 0 }, got[2] = { 0, 0 };
	struct pair p;
	struct tls *tls[2];

	(void)state;
	unit_fill(&seed, bytes, sizeof bytes);
	open_good(&p);
	tls[0] = p.client;
	tls[1] = p.server;
	in[0] = &p.client_in;
	in[1] = &p.server_in;
	buf_init(&out[0], 100000);
	buf_init(&out[1], 100000);
	for (int i = 0; got[0] < sizeof bytes || got[1] < sizeof bytes; i++) {
		assert_true(i < 100000);
		for (int side = 0; side < 2; side++) {
			size_t n = unit_below(&seed, 50000);
			enum io io;

			n = n < sizeof bytes - sent[side] ? n :
			    sizeof bytes - sent[side];
			n = n < buf_room(&out[side]) ? n :
			    buf_room(&out[side]);
			assert_int_equal(buf_put(&out[side],
			    bytes + sent[side], n), 0);
			sent[side] += n;
			io = tls_drain(tls[side], &out[side]);
			assert_true(io == IO_OK || io == IO_WAIT);
			carry(&p);
			/* The other end reads into little room, or much. */
			in[!side]->limit = 1 + unit_below(&seed, 70000);
			io = tls_fill(tls[!side], in[!side]);
			assert_true(io == IO_OK || io == IO_WAIT);
			n = buf_used(in[!side]);
			assert_int_equal(io == IO_OK, n > 0);
			if (n > 0)
				assert_memory_equal(buf_data(in[!side]),
				    bytes + got[!side], n);
			got[!side] += n;
			buf_consume(in[!side], n);
		}
	}
	buf_free(&out[0]);
	buf_free(&out[1]);
	close_pair(&p);
}

/* Read all that has come; it has to go on with "bytes".  Returns how much. */
static size_t
expect_more(struct pair *p, const uint8_t *bytes)
{
	size_t n;

	(void)tls_fill(p->server, &p->server_in);
	n = buf_used(&p->server_in);
	if (n > 0)
		assert_memory_equal(buf_data(&p->server_in), bytes, n);
	buf_consume(&p->server_in, n);
	return n;
}

/* Records that the socket has no room for are kept, told of, and written when
 * it has, without anything new to write. */
static void
gathered(void **state)
{
	static uint8_t bytes[4000000];
	uint64_t seed = 17;
	size_t sent = 0, got = 0, n;
	struct pair p;
	struct buf out;

	(void)state;
	unit_fill(&seed, bytes, sizeof bytes);
	open_good(&p);
	buf_init(&out, 20000);
	assert_false(tls_has_output(p.client));
	while (!tls_has_output(p.client)) {
		assert_int_equal(buf_used(&out), 0);
		assert_true(sizeof bytes - sent >= 20000);
		assert_int_equal(buf_put(&out, bytes + sent, 20000), 0);
		sent += 20000;
		assert_int_equal(tls_drain(p.client, &out), IO_OK);
	}
	assert_int_equal(buf_used(&out), 0);
	assert_int_equal(tls_drain(p.client, &out), IO_WAIT);
	assert_int_equal(tls_events(p.client, false, true), POLLOUT);
	while (tls_has_output(p.client)) {
		carry(&p);
		got += expect_more(&p, bytes + got);
		assert_int_not_equal(tls_drain(p.client, &out), IO_ERROR);
	}
	do {
		carry(&p);
		got += n = expect_more(&p, bytes + got);
	} while (n > 0);
	assert_int_equal(got, sent);
	buf_free(&out);
	close_pair(&p);
}

/* How many records of "b" are as long as a KeyUpdate: RFC 8446, 4.6.3 and 5.2;
 * as one of application data with 5 bytes, too. */
static int
count_updates(const struct buf *b)
{
	const uint8_t *p = buf_data(b);
	int count = 0;

	for (size_t i = 0, n; i + 5 <= buf_used(b); i += 5 + n) {
		n = (size_t)p[i + 3] << 8 | p[i + 4];
		count += n == 5 + 1 + 16;
	}
	return count;
}

/* A pair that replaces keys after so many records or ms. */
static void
open_renewing(struct pair *p, uint64_t records, int64_t age)
{
	struct tls_files server = files_of("server.pem", "server.key",
	    "site/ca.pem", NULL);
	struct tls_files client = files_of("alice.pem", "alice.key",
	    "site/ca.pem", NULL);

	server.key_records = client.key_records = records;
	server.key_age = client.key_age = age;
	open_pair(p, tls_client_new(&client, &why),
	    tls_server_new(&server, &why), "localhost");
	shake(p);
	assert_int_equal(p->client_io, IO_OK);
	assert_int_equal(p->server_io, IO_OK);
}

/* Send a text each way; returns the KeyUpdates of both sides. */
static void
exchange(struct pair *p, int updates[2])
{
	send_text(p->client, "question");
	collect(p);
	updates[0] += count_updates(&p->to_server);
	deliver(p);
	assert_int_equal(tls_fill(p->server, &p->server_in), IO_OK);
	expect_text(&p->server_in, "question");
	send_text(p->server, "the answer");
	collect(p);
	updates[1] += count_updates(&p->to_client);
	deliver(p);
	assert_int_equal(tls_fill(p->client, &p->client_in), IO_OK);
	expect_text(&p->client_in, "the answer");
}

/* Both sides replace their keys, after so many records or so long. */
static void
keys_are_renewed(void **state)
{
	struct pair p;
	int updates[2] = { 0, 0 };

	(void)state;
	open_renewing(&p, 10, 0);
	for (int k = 0; k < 35; k++)
		exchange(&p, updates);
	assert_int_equal(updates[0], 3);
	assert_int_equal(updates[1], 3);
	close_pair(&p);

	open_renewing(&p, 0, 200);
	exchange(&p, updates);
	(void)poll(NULL, 0, 250);
	exchange(&p, updates);
	assert_true(updates[0] >= 4 && updates[1] >= 4);
	close_pair(&p);

	/* Not before it is time. */
	updates[0] = updates[1] = 0;
	open_good(&p);
	for (int k = 0; k < 30; k++)
		exchange(&p, updates);
	assert_int_equal(updates[0] + updates[1], 0);
	close_pair(&p);
}

/* Bulk in both directions at once, with records that are written in part, and
 * new keys after every third record. */
static void
keys_are_renewed_in_bulk(void **state)
{
	static uint8_t bytes[3000000];
	struct buf out[2];
	size_t sent[2] = { 0, 0 }, got[2] = { 0, 0 };
	uint64_t seed = 18;
	struct pair p;

	(void)state;
	unit_fill(&seed, bytes, sizeof bytes);
	open_renewing(&p, 3, 0);
	buf_init(&out[0], 300000);
	buf_init(&out[1], 300000);
	for (int i = 0; got[0] < sizeof bytes || got[1] < sizeof bytes; i++) {
		assert_true(i < 100000);
		for (int side = 0; side < 2; side++) {
			struct tls *tls = side == 0 ? p.client : p.server;
			struct buf *in = side == 0 ? &p.client_in :
			    &p.server_in;
			size_t n = sizeof bytes - sent[side];

			n = n < buf_room(&out[side]) ? n :
			    buf_room(&out[side]);
			assert_int_equal(buf_put(&out[side],
			    bytes + sent[side], n), 0);
			sent[side] += n;
			if (tls_drain(tls, &out[side]) == IO_ERROR)
				fail_msg("%s", tls_failure(tls)->text);
			/* Fill the sockets before anything is carried on. */
			if (i % 3 == 2)
				carry(&p);
			if (tls_fill(tls, in) == IO_ERROR)
				fail_msg("%s", tls_failure(tls)->text);
			n = buf_used(in);
			if (n > 0)
				assert_memory_equal(buf_data(in),
				    bytes + got[side], n);
			got[side] += n;
			buf_consume(in, n);
		}
	}
	buf_free(&out[0]);
	buf_free(&out[1]);
	close_pair(&p);
}

/* The other side leaves while there is something gathered. */
static void
gathered_for_nobody(void **state)
{
	static uint8_t bytes[20000];
	struct pair p;
	struct buf out;

	(void)state;
	open_good(&p);
	buf_init(&out, sizeof bytes);
	while (!tls_has_output(p.client)) {
		assert_int_equal(buf_put(&out, bytes, sizeof bytes), 0);
		assert_int_equal(tls_drain(p.client, &out), IO_OK);
	}
	fd_close(&p.wires[0]);
	assert_int_equal(tls_drain(p.client, &out), IO_ERROR);
	assert_int_equal(tls_failure(p.client)->code, TLS_FAILURE_CUT);
	buf_free(&out);
	close_pair(&p);
}

/* What is left within OpenSSL for want of room is told by tls_pending(). */
static void
pending(void **state)
{
	struct pair p;

	(void)state;
	open_good(&p);
	send_text(p.client, "0123456789");
	carry(&p);
	p.server_in.limit = 4;
	assert_int_equal(tls_fill(p.server, &p.server_in), IO_OK);
	expect_text(&p.server_in, "0123");
	assert_true(tls_pending(p.server));
	p.server_in.limit = 100;
	assert_int_equal(tls_fill(p.server, &p.server_in), IO_OK);
	expect_text(&p.server_in, "456789");
	assert_false(tls_pending(p.server));
	assert_int_equal(tls_fill(p.server, &p.server_in), IO_WAIT);
	close_pair(&p);
}

/* Bytes that come in one piece with the end of the handshake. */
static void
early_bytes(void **state)
{
	struct pair p;

	(void)state;
	open_pair(&p, client_with("alice"), server_with(NULL), "localhost");
	p.client_io = tls_handshake(p.client);
	carry(&p);
	assert_int_equal(tls_handshake(p.server), IO_WAIT);
	carry(&p);
	assert_int_equal(tls_handshake(p.client), IO_OK);
	send_text(p.client, "early");
	carry(&p);
	/* The descriptor has nothing more to tell after this. */
	assert_int_equal(tls_handshake(p.server), IO_OK);
	assert_true(tls_pending(p.server));
	assert_int_equal(tls_fill(p.server, &p.server_in), IO_OK);
	expect_text(&p.server_in, "early");
	close_pair(&p);
}

static void
events(void **state)
{
	struct pair p;

	(void)state;
	open_pair(&p, client_with("alice"), server_with(NULL), "localhost");
	assert_int_equal(tls_handshake(p.server), IO_WAIT);
	assert_int_equal(tls_events(p.server, true, true), POLLIN);
	shake(&p);
	/* The server's first call was made before. */
	assert_int_equal(p.server_io, IO_OK);
	assert_int_equal(tls_events(p.server, false, false), 0);
	assert_int_equal(tls_events(p.server, true, false), POLLIN);
	assert_int_equal(tls_events(p.server, false, true), POLLOUT);
	assert_int_equal(tls_events(p.server, true, true), POLLIN | POLLOUT);
	close_pair(&p);
}

static void
the_end(void **state)
{
	struct pair p;

	(void)state;
	open_good(&p);
	send_text(p.client, "last words");
	tls_shutdown(p.client);
	carry(&p);
	assert_int_equal(tls_fill(p.server, &p.server_in), IO_OK);
	expect_text(&p.server_in, "last words");
	assert_int_equal(tls_fill(p.server, &p.server_in), IO_EOF);
	assert_int_equal(tls_fill(p.server, &p.server_in), IO_EOF);
	assert_int_equal(tls_failure(p.server)->code, TLS_FAILURE_NONE);
	/* The other direction is open still. */
	send_text(p.server, "and mine");
	close_pair(&p);
}

static void
cut(void **state)
{
	struct pair p;

	(void)state;
	open_good(&p);
	send_text(p.client, "half a");
	carry(&p);
	fd_close(&p.wires[1]);
	assert_int_equal(tls_fill(p.server, &p.server_in), IO_OK);
	expect_text(&p.server_in, "half a");
	assert_int_equal(tls_fill(p.server, &p.server_in), IO_ERROR);
	assert_int_equal(tls_failure(p.server)->code, TLS_FAILURE_CUT);
	assert_true(strlen(tls_failure(p.server)->text) > 0);
	assert_int_equal(tls_fill(p.server, &p.server_in), IO_ERROR);
	assert_int_equal(tls_failure(p.server)->code, TLS_FAILURE_CUT);
	close_pair(&p);

	/* In the handshake. */
	open_pair(&p, client_with("alice"), server_with(NULL), "localhost");
	assert_int_equal(tls_handshake(p.client), IO_WAIT);
	fd_close(&p.wires[0]);
	assert_int_equal(tls_handshake(p.client), IO_ERROR);
	assert_int_equal(tls_failure(p.client)->code, TLS_FAILURE_CUT);
	close_pair(&p);
}

/* Within a record, at any byte of it, nothing of it is delivered. */
static void
cut_within_a_record(void **state)
{
	struct pair p;
	size_t whole = 1000;

	(void)state;
	for (size_t at = 1; at < whole; at += 5) {
		open_good(&p);
		send_text(p.client, "a record");
		collect(&p);
		whole = buf_used(&p.to_server);
		assert_true(whole > 8);
		p.to_server.used = at;
		deliver(&p);
		fd_close(&p.wires[1]);
		assert_int_equal(tls_fill(p.server, &p.server_in), IO_ERROR);
		assert_int_equal(tls_failure(p.server)->code, TLS_FAILURE_CUT);
		assert_int_equal(buf_used(&p.server_in), 0);
		close_pair(&p);
	}
}

/* One bit anywhere in a record: not a byte of it is delivered, and both sides
 * know why. */
static void
altered(void **state)
{
	struct pair p;
	size_t whole = 1000, headers = 0;

	(void)state;
	for (size_t at = 0; at < whole; at++) {
		open_good(&p);
		send_text(p.client, "a record");
		collect(&p);
		whole = buf_used(&p.to_server);
		p.to_server.data[p.to_server.start + at] ^= 1;
		deliver(&p);
		/* A header that promises more is waited for. */
		if (tls_fill(p.server, &p.server_in) == IO_WAIT) {
			assert_true(at == 3 || at == 4);
			headers++;
			close_pair(&p);
			continue;
		}
		assert_int_equal(buf_used(&p.server_in), 0);
		assert_int_equal(tls_failure(p.server)->code,
		    TLS_FAILURE_ALTERED);
		assert_true(strlen(tls_failure(p.server)->text) > 0);
		carry(&p);
		assert_int_equal(tls_fill(p.client, &p.client_in), IO_ERROR);
		/* By the alert, which is about the version if that was hit. */
		assert_true(tls_failure(p.client)->code ==
		    TLS_FAILURE_ALTERED ||
		    tls_failure(p.client)->code == TLS_FAILURE_ENDED);
		close_pair(&p);
	}
	assert_true(headers <= 2);
}

/* The good record before it is delivered, and the reason is not lost. */
static void
altered_behind_a_good_one(void **state)
{
	struct pair p;

	(void)state;
	open_good(&p);
	send_text(p.client, "good");
	send_text(p.client, "bad");
	collect(&p);
	p.to_server.data[p.to_server.start + p.to_server.used - 1] ^= 1;
	deliver(&p);
	assert_int_equal(tls_fill(p.server, &p.server_in), IO_OK);
	expect_text(&p.server_in, "good");
	assert_true(tls_pending(p.server));
	assert_int_equal(tls_fill(p.server, &p.server_in), IO_ERROR);
	assert_int_equal(tls_failure(p.server)->code, TLS_FAILURE_ALTERED);
	assert_non_null(strstr(tls_failure(p.server)->text, "integrity"));
	close_pair(&p);
}

/* After a failure nothing can be said any more, close_notify least of all. */
static void
no_farewell_after_a_failure(void **state)
{
	struct pair p;
	struct buf b;

	(void)state;
	open_good(&p);
	send_text(p.client, "bad");
	collect(&p);
	p.to_server.data[p.to_server.start + p.to_server.used - 1] ^= 1;
	deliver(&p);
	assert_int_equal(tls_fill(p.server, &p.server_in), IO_ERROR);
	carry(&p);
	tls_shutdown(p.server);
	collect(&p);
	assert_int_equal(buf_used(&p.to_client), 0);
	buf_init(&b, 10);
	assert_int_equal(buf_put(&b, "x", 1), 0);
	assert_int_equal(tls_drain(p.server, &b), IO_ERROR);
	assert_int_equal(tls_failure(p.server)->code, TLS_FAILURE_ALTERED);
	buf_free(&b);
	close_pair(&p);
}

/* What was said before the connection broke can be read after a write has
 * found it broken. */
static void
last_words(void **state)
{
	struct pair p;
	struct buf b;

	(void)state;
	open_good(&p);
	send_text(p.server, "goodbye");
	carry(&p);
	fd_close(&p.wires[0]);
	buf_init(&b, 10);
	assert_int_equal(buf_put(&b, "x", 1), 0);
	assert_int_equal(tls_drain(p.client, &b), IO_ERROR);
	assert_int_equal(tls_failure(p.client)->code, TLS_FAILURE_CUT);
	assert_int_equal(tls_fill(p.client, &p.client_in), IO_OK);
	expect_text(&p.client_in, "goodbye");
	assert_int_equal(tls_fill(p.client, &p.client_in), IO_ERROR);
	assert_int_equal(tls_failure(p.client)->code, TLS_FAILURE_CUT);
	buf_free(&b);
	close_pair(&p);
}

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

static void
not_tls(void **state)
{
	static const char *const texts[] = { "GET / HTTP/1.0\r\n\r\n",
	    "SSH-2.0-OpenSSH_9.2\r\n", "\xff\xff\xff\xff\xff\xff\xff" };
	struct pair p;

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		open_pair(&p, client_with("alice"), server_with(NULL),
		    "localhost");
		assert_true(write(p.wires[1], texts[i],
		    strlen(texts[i])) > 0);
		assert_int_equal(tls_handshake(p.server), IO_ERROR);
		assert_true(tls_failure(p.server)->code ==
		    TLS_FAILURE_NOT_TLS ||
		    tls_failure(p.server)->code == TLS_FAILURE_PROTOCOL);
		assert_true(strlen(tls_failure(p.server)->text) > 0);
		assert_null(tls_peer(p.server));
		assert_int_equal(tls_handshake(p.client), IO_WAIT);
		assert_true(write(p.wires[0], texts[i],
		    strlen(texts[i])) > 0);
		assert_int_equal(tls_handshake(p.client), IO_ERROR);
		assert_true(tls_failure(p.client)->code ==
		    TLS_FAILURE_NOT_TLS ||
		    tls_failure(p.client)->code == TLS_FAILURE_PROTOCOL);
		close_pair(&p);
	}
}

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

/* A server's context that knows "authority", with the lists of "crl". */
static struct tls_context *
context_with(const char *authority, const char *crl, bool old)
{
	struct tls_files f = files_of("both.pem", "both.key", authority, crl);
	struct tls_context *c;

	f.allow_stale_crl = old;
	c = tls_server_new(&f, &why);
	if (c == NULL)
		fail_msg("%s", failure_sentence(&why, sentence));
	return c;
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

static char folder[UNIT_PATH_MAX];

static int
enter(void **state)
{
	(void)state;
	(void)signal(SIGPIPE, SIG_IGN);
	unit_enter(folder);
	if (certificates_make() != 0)
		return -1;
	return system("mkdir lists && cp crl.pem lists/b.pem && "
	    "cp oldcrl.pem lists/a.pem && cp alice.key lists/key");
}

static int
leave(void **state)
{
	(void)state;
	unit_leave(folder);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(handshake),
		cmocka_unit_test(identity),
		cmocka_unit_test(alternative_names),
		cmocka_unit_test(many_names),
		cmocka_unit_test(identity_files),
		cmocka_unit_test(bytes_both_ways),
		cmocka_unit_test(gathered),
		cmocka_unit_test(gathered_for_nobody),
		cmocka_unit_test(keys_are_renewed),
		cmocka_unit_test(keys_are_renewed_in_bulk),
		cmocka_unit_test(pending),
		cmocka_unit_test(early_bytes),
		cmocka_unit_test(events),
		cmocka_unit_test(the_end),
		cmocka_unit_test(cut),
		cmocka_unit_test(cut_within_a_record),
		cmocka_unit_test(altered),
		cmocka_unit_test(altered_behind_a_good_one),
		cmocka_unit_test(no_farewell_after_a_failure),
		cmocka_unit_test(last_words),
		cmocka_unit_test(names),
		cmocka_unit_test(refused_clients),
		cmocka_unit_test(refused_server),
		cmocka_unit_test(client_as_server),
		cmocka_unit_test(not_tls),
		cmocka_unit_test(contexts),
		cmocka_unit_test(passphrase),
		cmocka_unit_test(own_certificate),
		cmocka_unit_test(own_client_certificate),
		cmocka_unit_test(certificates),
		cmocka_unit_test(judged_again),
		cmocka_unit_test(ends),
		cmocka_unit_test(lists_that_cannot_be_used),
		cmocka_unit_test(damaged_lists),
	};

	return cmocka_run_group_tests_name("tls", tests, enter, leave);
}
