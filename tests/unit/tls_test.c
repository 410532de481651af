/* Unit tests of tls.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>

#include "tests/unit/pairs.h"

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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(handshake),
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
		cmocka_unit_test(not_tls),
	};

	return cmocka_run_group_tests_name("tls", tests, pairs_enter,
	    pairs_leave);
}
