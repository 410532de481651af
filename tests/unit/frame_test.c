/* Unit tests of common/wire/frame.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <signal.h>

#include "tests/unit/memory.h"
#include "tests/unit/unit.h"

#include "common/base/buf.h"
#include "common/base/failure.h"
#include "common/wire/frame.h"

static uint8_t payload[PROTO_PAYLOAD_MAX];

/* A frame that borrows its payload from "bytes". */
static struct frame
frame_of(const void *bytes, size_t n)
{
	struct frame f = { .payload = bytes, .length = n };

	return f;
}

static void
layout(void **state)
{
	static const uint8_t wire[] = { 0x23, 0x01, 0x02, 0x03, 0x04, 0, 0, 0,
	    3, 'h', 'i', '\n' };
	struct frame f;
	struct buf b;

	(void)state;
	assert_int_equal(PROTO_HEADER + PROTO_PAYLOAD_MAX, PROTO_FRAME_MAX);
	buf_init(&b, 100);
	assert_int_equal(frame_put(&b, PROTO_STDOUT, 0x01020304, "hi\n", 3),
	    0);
	assert_int_equal(buf_used(&b), sizeof wire);
	assert_memory_equal(buf_data(&b), wire, sizeof wire);
	assert_int_equal(frame_peek(&b, &f), 1);
	assert_int_equal(f.type, PROTO_STDOUT);
	assert_int_equal(f.request, 0x01020304);
	assert_int_equal(f.length, 3);
	assert_memory_equal(f.payload, "hi\n", 3);
	/* To look is not to consume. */
	assert_int_equal(buf_used(&b), sizeof wire);
	frame_consume(&b, &f);
	assert_int_equal(buf_used(&b), 0);
	assert_int_equal(frame_peek(&b, &f), 0);
	buf_free(&b);
}

/* A frame that is cut short is not there before its last byte. */
static void
cut_at_every_byte(void **state)
{
	static const size_t sizes[] = { 0, 1, 2, 255, 256, 300 };
	uint64_t seed = 3;
	struct frame f;
	struct buf b;

	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		size_t n = sizes[i], whole = PROTO_HEADER + n;
		uint8_t wire[PROTO_HEADER + 300];

		unit_fill(&seed, payload, n);
		buf_init(&b, sizeof wire);
		assert_int_equal(frame_put(&b, PROTO_STDIN, 7, payload, n),
		    0);
		memcpy(wire, buf_data(&b), whole);
		buf_free(&b);
		for (size_t cut = 0; cut < whole; cut++) {
			assert_int_equal(buf_put(&b, wire, cut), 0);
			assert_int_equal(frame_peek(&b, &f), 0);
			buf_free(&b);
		}
		assert_int_equal(buf_put(&b, wire, whole), 0);
		assert_int_equal(frame_peek(&b, &f), 1);
		assert_int_equal(f.length, n);
		if (n > 0)
			assert_memory_equal(f.payload, payload, n);
		buf_free(&b);
	}
}

/* A length that is too long is known from the header alone. */
static void
length(void **state)
{
	static const uint32_t bad[] = { PROTO_PAYLOAD_MAX + 1,
	    PROTO_FRAME_MAX, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff };
	struct frame f;
	struct buf b;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		buf_init(&b, 2 * PROTO_FRAME_MAX);
		assert_int_equal(buf_put_u8(&b, PROTO_STDIN), 0);
		assert_int_equal(buf_put(&b, "\0\0\0\1", 4), 0);
		for (int shift = 24; shift >= 0; shift -= 8) {
			assert_int_equal(frame_peek(&b, &f), 0);
			assert_int_equal(buf_put_u8(&b,
			    (uint8_t)(bad[i] >> shift)), 0);
		}
		assert_int_equal(frame_peek(&b, &f), -1);
		assert_int_equal(buf_put(&b, payload, sizeof payload), 0);
		assert_int_equal(frame_peek(&b, &f), -1);
		buf_free(&b);
	}
	buf_init(&b, PROTO_FRAME_MAX);
	assert_int_equal(frame_put(&b, PROTO_STDIN, 1, payload,
	    PROTO_PAYLOAD_MAX), 0);
	assert_int_equal(frame_peek(&b, &f), 1);
	assert_int_equal(f.length, PROTO_PAYLOAD_MAX);
	buf_free(&b);
}

/* The codec knows no types: that is the session's business. */
static void
every_type(void **state)
{
	uint8_t wire[PROTO_HEADER] = { 0 };
	struct frame f;
	struct buf b;

	(void)state;
	for (unsigned type = 0; type < 256; type++) {
		buf_init(&b, 100);
		wire[0] = (uint8_t)type;
		store_u32(wire + 1, UINT32_MAX - type);
		assert_int_equal(buf_put(&b, wire, sizeof wire), 0);
		assert_int_equal(frame_peek(&b, &f), 1);
		assert_int_equal(f.type, type);
		assert_true(f.request == UINT32_MAX - type);
		assert_int_equal(f.length, 0);
		buf_free(&b);
	}
}

/* A row of frames in pieces of any size comes out as it went in. */
static void
rows_in_pieces(void **state)
{
	static uint8_t wire[40000];
	uint64_t seed = 4, expected;
	size_t used = 0, at = 0, sent = 0, got = 0, n;
	struct frame f;
	struct buf in, out;

	(void)state;
	buf_init(&out, sizeof wire);
	for (;;) {
		n = unit_below(&seed, 200);
		unit_fill(&seed, payload, n);
		payload[0] = (uint8_t)sent;
		if (frame_put(&out, PROTO_STDOUT, (uint32_t)sent, payload,
		    n) == -1)
			break;
		sent++;
	}
	assert_true(sent > 100);
	used = buf_used(&out);
	assert_true(used > sizeof wire - 200 - PROTO_HEADER);
	memcpy(wire, buf_data(&out), used);
	buf_free(&out);

	seed = 4;
	buf_init(&in, PROTO_FRAME_MAX);
	while (got < sent) {
		n = unit_below(&seed, 50);
		n = n < used - at ? n : used - at;
		assert_int_equal(buf_put(&in, wire + at, n), 0);
		at += n;
		while (frame_peek(&in, &f) == 1) {
			assert_int_equal(f.request, got);
			expected = f.length > 0 ? f.payload[0] :
			    (uint8_t)got;
			assert_int_equal(expected, (uint8_t)got);
			frame_consume(&in, &f);
			got++;
		}
	}
	assert_int_equal(buf_used(&in), 0);
	buf_free(&in);
}

/* A put that does not fit leaves no trace. */
static void
no_room(void **state)
{
	struct frame_exit e = { .end = PROTO_END_EXIT };
	struct buf b;

	(void)state;
	for (size_t room = 0; room < PROTO_HEADER + 5; room++) {
		buf_init(&b, 3 + room);
		assert_int_equal(buf_put(&b, "abc", 3), 0);
		assert_int_equal(frame_put(&b, PROTO_STDOUT, 1, "12345", 5),
		    -1);
		assert_int_equal(frame_put_window(&b, 1, PROTO_STREAM_STDOUT,
		    1), -1);
		assert_int_equal(frame_put_code(&b, PROTO_GOODBYE, 0,
		    PROTO_CODE_BUSY, "busy"), -1);
		assert_int_equal(frame_put_failure(&b, PROTO_GOODBYE, 0,
		    &(struct failure){ .code = PROTO_CODE_BUSY }, 1), -1);
		assert_int_equal(frame_put_exit(&b, 1, &e), -1);
		if (room < PROTO_HEADER + 4)
			assert_int_equal(frame_put_u32(&b, PROTO_STARTED, 1,
			    1), -1);
		assert_null(frame_reserve(&b, 5));
		assert_int_equal(buf_used(&b), 3);
		assert_memory_equal(buf_data(&b), "abc", 3);
		buf_free(&b);
	}
}

static void
out_of_memory(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100000);
	memory_fail_at(0);
	assert_int_equal(frame_put(&b, PROTO_STDOUT, 1, "12345", 5), -1);
	assert_true(memory_has_failed());
	memory_fail_at(0);
	assert_null(frame_reserve(&b, 5));
	assert_true(memory_has_failed());
	memory_fail_at(0);
	assert_int_equal(frame_put_failure(&b, PROTO_GOODBYE, 0,
	    &(struct failure){ .text = "busy" }, 1), -1);
	assert_true(memory_has_failed());
	assert_int_equal(buf_used(&b), 0);
	buf_free(&b);
}

/* A payload written in place, of which less is used than was reserved. */
static void
in_place(void **state)
{
	struct frame f;
	struct buf b;
	uint8_t *p;

	(void)state;
	buf_init(&b, PROTO_FRAME_MAX);
	p = frame_reserve(&b, PROTO_PAYLOAD_MAX);
	assert_non_null(p);
	assert_int_equal(buf_used(&b), 0);
	memset(p, 'x', PROTO_PAYLOAD_MAX);
	memcpy(p, "hello", 5);
	frame_commit(&b, PROTO_STDERR, 9, 5);
	assert_int_equal(buf_used(&b), PROTO_HEADER + 5);
	assert_int_equal(frame_peek(&b, &f), 1);
	assert_int_equal(f.type, PROTO_STDERR);
	assert_int_equal(f.request, 9);
	assert_int_equal(f.length, 5);
	assert_memory_equal(f.payload, "hello", 5);
	frame_consume(&b, &f);

	/* All of it, and after another frame. */
	assert_int_equal(frame_put(&b, PROTO_PING, 0, NULL, 0), 0);
	p = frame_reserve(&b, 3);
	assert_non_null(p);
	memcpy(p, "abc", 3);
	frame_commit(&b, PROTO_STDOUT, 10, 3);
	assert_int_equal(frame_peek(&b, &f), 1);
	assert_int_equal(f.type, PROTO_PING);
	frame_consume(&b, &f);
	assert_int_equal(frame_peek(&b, &f), 1);
	assert_int_equal(f.request, 10);
	assert_memory_equal(f.payload, "abc", 3);
	buf_free(&b);
}

static void
window(void **state)
{
	static const uint32_t good[] = { 0, 1, 65536, PROTO_WINDOW_MAX };
	static const uint32_t bad[] = { PROTO_WINDOW_MAX + 1, 0x80000000,
	    0xffffffff };
	static const enum proto_stream streams[] = { PROTO_STREAM_STDIN,
	    PROTO_STREAM_STDOUT, PROTO_STREAM_STDERR };
	uint8_t wire[8] = { 0 }, stream;
	uint32_t credit;
	struct frame f;
	struct buf b;

	(void)state;
	for (size_t i = 0; i < 3 * sizeof good / sizeof good[0]; i++) {
		buf_init(&b, 100);
		assert_int_equal(frame_put_window(&b, 5, streams[i % 3],
		    good[i / 3]), 0);
		assert_int_equal(frame_peek(&b, &f), 1);
		assert_int_equal(f.type, PROTO_WINDOW);
		assert_int_equal(f.request, 5);
		assert_int_equal(f.length, 5);
		assert_int_equal(frame_get_window(&f, &stream, &credit), 0);
		assert_int_equal(stream, streams[i % 3]);
		assert_int_equal(credit, good[i / 3]);
		buf_free(&b);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		store_u32(wire + 1, bad[i]);
		f = frame_of(wire, 5);
		assert_int_equal(frame_get_window(&f, &stream, &credit), -1);
	}
	memset(wire, 0, sizeof wire);
	for (unsigned s = 3; s < 256; s++) {
		wire[0] = (uint8_t)s;
		f = frame_of(wire, 5);
		assert_int_equal(frame_get_window(&f, &stream, &credit), -1);
	}
	wire[0] = 0;
	for (size_t n = 0; n <= sizeof wire; n++) {
		f = frame_of(wire, n);
		assert_int_equal(frame_get_window(&f, &stream, &credit),
		    n == 5 ? 0 : -1);
	}
}

static void
code_and_text(void **state)
{
	char long_text[PROTO_TEXT_MAX + 100];
	struct frame_code said;
	struct frame f;
	struct buf b;

	(void)state;
	buf_init(&b, PROTO_FRAME_MAX);
	assert_int_equal(frame_put_code(&b, PROTO_REFUSED, 3,
	    PROTO_CODE_UNKNOWN, "unknown command: x"), 0);
	assert_int_equal(frame_peek(&b, &f), 1);
	assert_int_equal(f.type, PROTO_REFUSED);
	assert_int_equal(f.request, 3);
	assert_int_equal(f.length, 2 + 5 + strlen("unknown command: x"));
	assert_int_equal(f.payload[2], PROTO_ITEM_TEXT);
	assert_int_equal(frame_get_code(&f, &said), 0);
	assert_int_equal(said.code, PROTO_CODE_UNKNOWN);
	assert_string_equal(said.text, "unknown command: x");
	frame_consume(&b, &f);

	/* A longer text is cut when sent. */
	memset(long_text, 'x', sizeof long_text);
	long_text[sizeof long_text - 1] = '\0';
	assert_int_equal(frame_put_code(&b, PROTO_GOODBYE, 0,
	    PROTO_CODE_BUSY, long_text), 0);
	assert_int_equal(frame_peek(&b, &f), 1);
	assert_int_equal(f.length, 2 + 5 + PROTO_TEXT_MAX);
	assert_int_equal(frame_get_code(&f, &said), 0);
	assert_int_equal(strlen(said.text), PROTO_TEXT_MAX);
	frame_consume(&b, &f);
	buf_free(&b);
}

/* Of both kinds of text the same holds. */
static void
texts_from_outside(void **state)
{
	static const uint8_t kinds[] = { PROTO_ITEM_TEXT, PROTO_ITEM_HINT };
	uint8_t wire[2 + 5 + PROTO_TEXT_MAX + 1 + 5];
	struct frame_code said;
	struct frame f;

	(void)state;
	memset(wire, 0xff, sizeof wire);
	for (size_t n = 0; n < 7; n++) {
		f = frame_of(wire, n);
		assert_int_equal(frame_get_code(&f, &said), n == 2 ? 0 : -1);
	}
	assert_int_equal(said.code, 0xffff);
	assert_string_equal(said.text, "");
	assert_string_equal(said.hint, "");
	for (size_t k = 0; k < sizeof kinds; k++) {
		const char *text = k == 0 ? said.text : said.hint;

		wire[2] = kinds[k];
		store_u32(wire + 3, PROTO_TEXT_MAX);
		f = frame_of(wire, 7 + PROTO_TEXT_MAX);
		assert_int_equal(frame_get_code(&f, &said), 0);
		assert_int_equal(strlen(text), PROTO_TEXT_MAX);
		store_u32(wire + 3, PROTO_TEXT_MAX + 1);
		f = frame_of(wire, 7 + PROTO_TEXT_MAX + 1);
		assert_int_equal(frame_get_code(&f, &said), -1);
		/* A NUL would hide what comes after it. */
		store_u32(wire + 3, 8);
		for (size_t i = 7; i < 15; i++) {
			wire[i] = '\0';
			f = frame_of(wire, 15);
			assert_int_equal(frame_get_code(&f, &said), -1);
			wire[i] = 0xff;
		}
	}
	/* Items of another kind are skipped, before the text and after. */
	memcpy(wire + 2, "\x7f\0\0\0\1x" "\xb0\0\0\0\2no" "\xff\0\0\0\0",
	    18);
	f = frame_of(wire, 20);
	assert_int_equal(frame_get_code(&f, &said), 0);
	assert_string_equal(said.text, "no");
	f = frame_of(wire, 19);
	assert_int_equal(frame_get_code(&f, &said), -1);
}

/* A failure as it was put: with any text, hint and time, or none of them. */
static void
failures(void **state)
{
	static const uint32_t times[] = { 0, 1, 0x80000000, UINT32_MAX };
	static const size_t lengths[] = { 0, 4, FAILURE_HINT_MAX - 1,
	    FAILURE_TEXT_MAX - 1 };
	struct frame_code said;
	struct failure why = { .code = PROTO_CODE_BUSY };
	struct frame f;
	struct buf b;

	(void)state;
	for (size_t i = 0; i < 4 * 4 * 3; i++) {
		size_t n = lengths[i % 4], hint = lengths[i / 4 % 3];
		uint32_t ms = times[i / 12];

		memset(why.text, 'x', n);
		why.text[n] = '\0';
		memset(why.hint, 'y', hint);
		why.hint[hint] = '\0';
		if (n > PROTO_TEXT_MAX)
			n = PROTO_TEXT_MAX;	/* It is cut when put. */
		buf_init(&b, PROTO_FRAME_MAX);
		assert_int_equal(frame_put_failure(&b, PROTO_GOODBYE, 0, &why,
		    ms), 0);
		assert_int_equal(frame_peek(&b, &f), 1);
		assert_int_equal(f.length, 2 + (n > 0 ? 5 + n : 0) +
		    (hint > 0 ? 5 + hint : 0) + (ms > 0 ? 9 : 0));
		assert_int_equal(frame_get_code(&f, &said), 0);
		assert_int_equal(said.code, PROTO_CODE_BUSY);
		assert_true(said.retry == ms);
		assert_int_equal(strlen(said.text), n);
		assert_memory_equal(said.text, why.text, n);
		assert_string_equal(said.hint, why.hint);
		buf_free(&b);
	}
	/* What it is about goes before the text. */
	(void)failure_make(&why, PROTO_CODE_DENIED, "do it", "is wrong");
	failure_about(&why, "this");
	buf_init(&b, PROTO_FRAME_MAX);
	assert_int_equal(frame_put_failure(&b, PROTO_REFUSED, 3, &why, 7), 0);
	assert_int_equal(frame_peek(&b, &f), 1);
	assert_int_equal(frame_get_code(&f, &said), 0);
	assert_string_equal(said.text, "this: is wrong");
	assert_string_equal(said.hint, "do it");
	/* Cut short within an item, by any number of bytes, it says nothing. */
	for (size_t cut = f.length; cut-- > 0;) {
		struct frame part = frame_of(f.payload, cut);

		assert_int_equal(frame_get_code(&part, &said), cut == 2 ||
		    cut == 2 + 5 + 14 || cut == 2 + 5 + 14 + 5 + 5 ? 0 : -1);
	}
	buf_free(&b);
}

static void
retry_from_outside(void **state)
{
	static const struct {
		const char *payload;
		size_t length;
		uint32_t ms;
	} rows[] = {
		{ "\0\10", 2, 0 },
		{ "\0\10" "\xb1\0\0\0\4\0\0\1\2", 11, 258 },
		/* Before the text, and among items that are not known. */
		{ "\0\10" "\xff\0\0\0\0" "\xb1\0\0\0\4\0\0\0\7"
		    "\xb0\0\0\0\2no", 23, 7 },
		/* The first of two. */
		{ "\0\10" "\xb1\0\0\0\4\0\0\0\1"
		    "\xb1\0\0\0\4\0\0\0\2", 20, 1 },
		/* Of another size. */
		{ "\0\10" "\xb1\0\0\0\3\0\0\1", 10, 0 },
		{ "\0\10" "\xb1\0\0\0\5\0\0\0\0\1", 12, 0 },
		{ "\0\10" "\xb1\0\0\0\0", 7, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct frame f = frame_of(rows[i].payload, rows[i].length);
		struct frame_code said;

		assert_int_equal(frame_get_code(&f, &said), 0);
		assert_true(said.retry == rows[i].ms);
	}
}

/* CLOSE: one of the two outputs, and items alone after it. */
static void
close_of_an_output(void **state)
{
	uint8_t wire[1 + 6] = { 0, 0xff, 0, 0, 0, 1, 'x' };
	struct frame f;
	uint8_t stream;

	(void)state;
	for (unsigned s = 0; s < 256; s++) {
		wire[0] = (uint8_t)s;
		for (size_t n = 0; n <= sizeof wire; n++) {
			bool good = (n == 1 || n == sizeof wire) &&
			    (s == PROTO_STREAM_STDOUT ||
			    s == PROTO_STREAM_STDERR);

			f = frame_of(wire, n);
			assert_int_equal(frame_get_close(&f, &stream),
			    good ? 0 : -1);
			if (good)
				assert_int_equal(stream, s);
		}
	}
}

/* Append an item of random size; the bytes of it. */
static const uint8_t *
put_random_item(struct buf *b, uint64_t *seed, uint8_t kind, size_t *n)
{
	uint8_t bytes[9];

	*n = unit_below(seed, sizeof bytes);
	unit_fill(seed, bytes, sizeof bytes);
	assert_int_equal(item_put(b, (enum proto_item)kind, bytes, *n), 0);
	return buf_data(b) + buf_used(b) - *n;
}

/* In rows of random items the first of a kind is found, and in what is left
 * of such a row nothing, if it was not cut between two items. */
static void
items_at_random(void **state)
{
	static const uint8_t kinds[] = { PROTO_ITEM_TEXT, PROTO_ITEM_RETRY,
	    PROTO_ITEM_SIGNAL, 0x00, 0x7f, 0xff };
	uint64_t seed = 12;
	const uint8_t *bytes, *p;
	struct buf b;
	size_t n, length;

	(void)state;
	for (int round = 0; round < 3000; round++) {
		size_t items = unit_below(&seed, 6), ends[7] = { 0 };
		size_t at[256] = { 0 }, lengths[256] = { 0 }, whole = 0;

		buf_init(&b, 200);
		for (size_t i = 1; i <= items; i++) {
			uint8_t kind = kinds[unit_below(&seed, sizeof kinds)];

			p = put_random_item(&b, &seed, kind, &n);
			ends[i] = buf_used(&b);
			if (at[kind] == 0) {
				at[kind] = (size_t)(p - buf_data(&b));
				lengths[kind] = n;
			}
		}
		for (size_t i = 0; i < sizeof kinds; i++) {
			uint8_t kind = kinds[i];

			assert_int_equal(item_find(buf_data(&b), buf_used(&b),
			    (enum proto_item)kind, &bytes, &length),
			    at[kind] > 0);
			assert_int_equal(length, lengths[kind]);
			if (at[kind] > 0)
				assert_ptr_equal(bytes, buf_data(&b) +
				    at[kind]);
		}
		for (size_t cut = 0; cut < buf_used(&b); cut++) {
			while (whole < items && ends[whole + 1] <= cut)
				whole++;
			/* No item has the kind 1. */
			assert_int_equal(item_find(buf_data(&b), cut,
			    PROTO_ITEM_OPERATION, &bytes, &length),
			    cut == ends[whole] ? 0 : -1);
		}
		buf_free(&b);
	}
}

static void
features(void **state)
{
	static const struct {
		const char *names, *name;
		bool is_in;
	} rows[] = {
		{ "", "close", false },
		{ "close", "close", true },
		{ "cancel close", "close", true },
		{ "cancel close", "cancel", true },
		{ "  close  ", "close", true },
		{ "clos", "close", false },
		{ "closed", "close", false },
		{ "disclose", "close", false },
		{ "close-2 cancel", "close", false },
		{ "Close", "close", false },
		{ "close\n", "close", false },
		{ "cancel\tclose", "close", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_int_equal(feature_is_in((const uint8_t *)rows[i].names,
		    strlen(rows[i].names), rows[i].name), rows[i].is_in);
	/* What comes after the item's end does not count. */
	assert_false(feature_is_in((const uint8_t *)"cancel", 3, "cancel"));
	assert_true(feature_is_in((const uint8_t *)"cancel", 6, "cancel"));
	/* Nor does a NUL end it. */
	assert_true(feature_is_in((const uint8_t *)"a\0b close", 9, "close"));
	assert_false(feature_is_in((const uint8_t *)"a\0 b", 4, "a"));
}

/* The same answer as by a search for " name " in the text between blanks. */
static void
features_at_random(void **state)
{
	uint64_t seed = 13;
	char names[16], padded[20], name[8], wanted[12];
	unsigned found = 0;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		size_t n = unit_below(&seed, sizeof names - 1);
		size_t k = 1 + unit_below(&seed, 3);

		for (size_t i = 0; i < n; i++)
			names[i] = " ab"[unit_below(&seed, 3)];
		for (size_t i = 0; i < k; i++)
			name[i] = "ab"[unit_below(&seed, 2)];
		names[n] = name[k] = '\0';
		(void)snprintf(padded, sizeof padded, " %s ", names);
		(void)snprintf(wanted, sizeof wanted, " %s ", name);
		assert_int_equal(feature_is_in((const uint8_t *)names, n,
		    name), strstr(padded, wanted) != NULL);
		found += strstr(padded, wanted) != NULL;
	}
	assert_true(found > 1000);
}

/* A fixed part may be followed by items, of any kind, and by nothing else. */
static void
fixed_parts_grow(void **state)
{
	uint8_t wire[PROTO_EXIT_SIZE + 6] = { 0 }, flags;
	static const size_t fixed[] = { 4, 5, PROTO_EXIT_SIZE };
	struct frame_exit e;
	struct frame f;
	uint32_t v;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		memset(wire, 0, sizeof wire);
		wire[fixed[i] + 4] = 1;
		for (size_t n = 0; n <= fixed[i] + 6; n++) {
			int good = n == fixed[i] || n == fixed[i] + 6 ? 0 : -1;

			f = frame_of(wire, n);
			assert_int_equal(i == 0 ? frame_get_u32(&f, &v) :
			    i == 1 ? frame_get_waiting(&f, &v, &flags) :
			    frame_get_exit(&f, &e), good);
		}
	}
}

static void
one_number(void **state)
{
	static const uint8_t wire[] = { 0xfe, 0xdc, 0xba, 0x98, 0x76 };
	struct frame f;
	struct buf b;
	uint32_t v;

	(void)state;
	buf_init(&b, 100);
	assert_int_equal(frame_put_u32(&b, PROTO_STARTED, 8, 0xfedcba98), 0);
	assert_int_equal(frame_peek(&b, &f), 1);
	assert_int_equal(f.type, PROTO_STARTED);
	assert_int_equal(f.request, 8);
	assert_memory_equal(f.payload, wire, 4);
	assert_int_equal(frame_get_u32(&f, &v), 0);
	assert_true(v == 0xfedcba98);
	buf_free(&b);
}

static void
waiting(void **state)
{
	static const uint8_t wire[] = { 0xfe, 0xdc, 0xba, 0x98, 1, 0 };
	uint8_t flags;
	struct frame f;
	struct buf b;
	uint32_t v;

	(void)state;
	buf_init(&b, 100);
	assert_int_equal(frame_put_waiting(&b, 0xfedcba98,
	    PROTO_WAITING_OWN), 0);
	assert_int_equal(frame_peek(&b, &f), 1);
	assert_int_equal(f.type, PROTO_WAITING);
	assert_int_equal(f.request, 0);
	assert_int_equal(f.length, 5);
	assert_memory_equal(f.payload, wire, 5);
	assert_int_equal(frame_get_waiting(&f, &v, &flags), 0);
	assert_true(v == 0xfedcba98);
	assert_int_equal(flags, PROTO_WAITING_OWN);
	buf_free(&b);
}

static void
the_end(void **state)
{
	static const struct frame_exit ends[] = {
		{ PROTO_END_EXIT, PROTO_CODE_NONE, 0, 0, 0, 0, 0, 0, "" },
		{ PROTO_END_EXIT, PROTO_CODE_NONE, 255, 1, 2, 3, 4, 5, "" },
		{ PROTO_END_SIGNAL, PROTO_CODE_TIMEOUT, 9,
		    UINT64_MAX, UINT64_MAX - 1, UINT64_MAX - 2,
		    UINT64_MAX - 3, UINT32_MAX, "KILL" },
	};
	struct frame_exit e;
	struct frame f;
	struct buf b;

	(void)state;
	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
		buf_init(&b, 100);
		assert_int_equal(frame_put_exit(&b, 6, &ends[i]), 0);
		assert_int_equal(frame_peek(&b, &f), 1);
		assert_int_equal(f.type, PROTO_EXIT);
		assert_int_equal(f.request, 6);
		assert_int_equal(f.length, PROTO_EXIT_SIZE +
		    (*ends[i].signal == '\0' ? 0 : 9));
		memset(&e, 0xaa, sizeof e);
		assert_int_equal(frame_get_exit(&f, &e), 0);
		assert_int_equal(e.end, ends[i].end);
		assert_int_equal(e.reason, ends[i].reason);
		assert_int_equal(e.status, ends[i].status);
		assert_true(e.duration_us == ends[i].duration_us);
		assert_true(e.cpu_us == ends[i].cpu_us);
		assert_true(e.out_bytes == ends[i].out_bytes);
		assert_true(e.err_bytes == ends[i].err_bytes);
		assert_int_equal(e.left, ends[i].left);
		assert_string_equal(e.signal, ends[i].signal);
		buf_free(&b);
	}
}

/* Signals have names, in which two machines need not agree. */
static void
the_end_by_a_signal(void **state)
{
	static const char *const bad[] = { "", "term", "TERM ", "TER\n",
	    "NINECHARS" };
	struct frame_exit e = { .end = PROTO_END_SIGNAL }, got;
	struct frame f;
	struct buf b;
	size_t n;

	(void)state;
	for (unsigned signo = 0; signo < 70; signo++) {
		buf_init(&b, 100);
		e.status = signo;
		assert_int_equal(frame_put_exit(&b, 6, &e), 0);
		assert_int_equal(frame_peek(&b, &f), 1);
		assert_int_equal(fetch_u32(f.payload + 3), 0);
		assert_int_equal(frame_get_exit(&f, &got), 0);
		assert_int_equal(got.status,
		    signo <= (unsigned)SIGRTMAX ? signo : 0);
		buf_free(&b);
	}
	assert_string_equal(got.signal, "69");
	e.status = (uint32_t)SIGRTMIN + 3;
	assert_int_equal(frame_put_exit(&b, 6, &e), 0);
	assert_int_equal(frame_peek(&b, &f), 1);
	assert_int_equal(frame_get_exit(&f, &got), 0);
	assert_string_equal(got.signal, "RTMIN+3");
	buf_free(&b);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		uint8_t wire[PROTO_EXIT_SIZE + 14] = { PROTO_END_SIGNAL };

		n = strlen(bad[i]);
		wire[PROTO_EXIT_SIZE] = PROTO_ITEM_SIGNAL;
		wire[PROTO_EXIT_SIZE + 4] = (uint8_t)n;
		memcpy(wire + PROTO_EXIT_SIZE + 5, bad[i], n);
		f = frame_of(wire, PROTO_EXIT_SIZE + 5 + n);
		assert_int_equal(frame_get_exit(&f, &got), -1);
		f = frame_of(wire, PROTO_EXIT_SIZE);
		assert_int_equal(frame_get_exit(&f, &got), -1);
	}
}

/* Where each number of EXIT stands, as ais-protocol(7) says. */
static void
the_end_on_the_wire(void **state)
{
	static const struct frame_exit e = { PROTO_END_EXIT,
	    PROTO_CODE_OUTPUT, 15, 0x0102030405060708, 0x1112131415161718,
	    0x2122232425262728, 0x3132333435363738, 0x41424344, "" };
	uint8_t wire[PROTO_EXIT_SIZE] = { 0, 0, 10, 0, 0, 0, 15 };
	struct frame f;
	struct buf b;

	(void)state;
	for (unsigned i = 0; i < 36; i++)
		wire[7 + i] = (uint8_t)(i / 8 * 16 + i % 8 + 1);
	buf_init(&b, 100);
	assert_int_equal(frame_put_exit(&b, 6, &e), 0);
	assert_int_equal(frame_peek(&b, &f), 1);
	assert_memory_equal(f.payload, wire, sizeof wire);
	buf_free(&b);
}

static void
the_end_from_outside(void **state)
{
	uint8_t wire[PROTO_EXIT_SIZE + 2] = { 0 };
	struct frame_exit e;
	struct frame f;

	(void)state;
	for (unsigned end = 2; end < 256; end++) {
		wire[0] = (uint8_t)end;
		f = frame_of(wire, PROTO_EXIT_SIZE);
		assert_int_equal(frame_get_exit(&f, &e), -1);
	}
	wire[0] = PROTO_END_EXIT;
	store_u32(wire + 3, 255);
	f = frame_of(wire, PROTO_EXIT_SIZE);
	assert_int_equal(frame_get_exit(&f, &e), 0);
	/* No status that could be taken for another by the low byte alone. */
	store_u32(wire + 3, 256);
	assert_int_equal(frame_get_exit(&f, &e), -1);
	store_u32(wire + 3, 0xffffff00);
	assert_int_equal(frame_get_exit(&f, &e), -1);
}

static void
signal_name(void **state)
{
	static const char long_name[] = "123456789";
	static const char *const bad[] = { "TERM\0", "", "term", "TERM ",
	    "\x1b[m" };
	char name[PROTO_SIGNAL_MAX + 1];
	struct frame f;

	(void)state;
	f = frame_of("TERM", 4);
	assert_int_equal(frame_get_signal(&f, name), 0);
	assert_string_equal(name, "TERM");
	f = frame_of(long_name, PROTO_SIGNAL_MAX);
	assert_int_equal(frame_get_signal(&f, name), 0);
	assert_string_equal(name, "12345678");
	f = frame_of(long_name, PROTO_SIGNAL_MAX + 1);
	assert_int_equal(frame_get_signal(&f, name), -1);
	f = frame_of("RTMIN+1", 7);
	assert_int_equal(frame_get_signal(&f, name), 0);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		f = frame_of(bad[i], i == 0 ? 5 : strlen(bad[i]));
		assert_int_equal(frame_get_signal(&f, name), -1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layout),
		cmocka_unit_test(cut_at_every_byte),
		cmocka_unit_test(length),
		cmocka_unit_test(every_type),
		cmocka_unit_test(rows_in_pieces),
		cmocka_unit_test(no_room),
		cmocka_unit_test(out_of_memory),
		cmocka_unit_test(in_place),
		cmocka_unit_test(window),
		cmocka_unit_test(code_and_text),
		cmocka_unit_test(texts_from_outside),
		cmocka_unit_test(failures),
		cmocka_unit_test(retry_from_outside),
		cmocka_unit_test(close_of_an_output),
		cmocka_unit_test(items_at_random),
		cmocka_unit_test(features),
		cmocka_unit_test(features_at_random),
		cmocka_unit_test(fixed_parts_grow),
		cmocka_unit_test(one_number),
		cmocka_unit_test(waiting),
		cmocka_unit_test(the_end),
		cmocka_unit_test(the_end_by_a_signal),
		cmocka_unit_test(the_end_on_the_wire),
		cmocka_unit_test(the_end_from_outside),
		cmocka_unit_test(signal_name),
	};

	return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
