/* Unit tests of common/base/buf.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include "tests/unit/memory.h"
#include "tests/unit/unit.h"

#include "common/base/buf.h"

static void
empty(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	assert_int_equal(buf_used(&b), 0);
	assert_int_equal(buf_room(&b), 100);
	assert_null(b.data);		/* Nothing is allocated before use. */
	assert_int_equal(buf_put(&b, NULL, 0), 0);
	buf_consume(&b, 0);
	assert_int_equal(buf_used(&b), 0);
	buf_free(&b);
	buf_free(&b);
}

static void
first_in_first_out(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	assert_int_equal(buf_put(&b, "abc", 3), 0);
	assert_int_equal(buf_put(&b, "defg", 4), 0);
	assert_int_equal(buf_used(&b), 7);
	assert_int_equal(buf_room(&b), 93);
	assert_memory_equal(buf_data(&b), "abcdefg", 7);
	buf_consume(&b, 2);
	assert_int_equal(buf_used(&b), 5);
	assert_int_equal(buf_room(&b), 95);
	assert_memory_equal(buf_data(&b), "cdefg", 5);
	buf_consume(&b, 5);
	assert_int_equal(buf_used(&b), 0);
	assert_int_equal(buf_room(&b), 100);
	buf_free(&b);
}

/* Any limit can be reached and not be passed. */
static void
limit(void **state)
{
	static const size_t limits[] = { 0, 1, 2, 1023, 1024, 1025, 5000,
	    65536 };
	static char bytes[65537];
	struct buf b;

	(void)state;
	for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
		size_t n = limits[i];

		buf_init(&b, n);
		assert_int_equal(buf_put(&b, bytes, n + 1), -1);
		assert_int_equal(buf_used(&b), 0);
		assert_int_equal(buf_put(&b, bytes, n), 0);
		assert_int_equal(buf_room(&b), 0);
		assert_int_equal(buf_put_u8(&b, 1), -1);
		assert_null(buf_reserve(&b, 1));
		assert_null(buf_reserve(&b, SIZE_MAX));
		assert_int_equal(buf_used(&b), n);
		assert_true(b.size <= n);
		/* A byte consumed at the front is room for one at the end. */
		if (n > 0) {
			buf_consume(&b, 1);
			assert_int_equal(buf_put_u8(&b, 'x'), 0);
			assert_int_equal(buf_data(&b)[n - 1], 'x');
			assert_int_equal(buf_put_u8(&b, 'y'), -1);
		}
		buf_free(&b);
	}
}

static void
reserve_and_commit(void **state)
{
	struct buf b;
	uint8_t *p;

	(void)state;
	buf_init(&b, 10);
	p = buf_reserve(&b, 10);
	assert_non_null(p);
	assert_int_equal(buf_used(&b), 0);
	memcpy(p, "0123456789", 10);
	buf_commit(&b, 4);
	assert_int_equal(buf_used(&b), 4);
	assert_memory_equal(buf_data(&b), "0123", 4);
	assert_null(buf_reserve(&b, 7));
	p = buf_reserve(&b, 6);
	assert_non_null(p);
	memcpy(p, "456789", 6);
	buf_commit(&b, 6);
	assert_memory_equal(buf_data(&b), "0123456789", 10);
	buf_free(&b);
}

static void
freed_is_usable(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 8);
	assert_int_equal(buf_put(&b, "12345678", 8), 0);
	buf_free(&b);
	assert_null(b.data);
	assert_int_equal(buf_used(&b), 0);
	assert_int_equal(buf_room(&b), 8);
	assert_int_equal(buf_put(&b, "87654321", 8), 0);
	assert_memory_equal(buf_data(&b), "87654321", 8);
	buf_free(&b);
}

/* Any order of puts, reservations and consumptions, against a plain array. */
static void
as_an_array(void **state)
{
	static uint8_t model[3000], bytes[3000];
	uint64_t seed = 1;
	size_t used = 0;
	struct buf b;

	(void)state;
	buf_init(&b, sizeof model);
	for (int i = 0; i < 20000; i++) {
		size_t n = unit_below(&seed, unit_below(&seed, 8) == 0 ?
		    sizeof bytes : 200), taken;
		uint8_t *p;

		switch (unit_below(&seed, 4)) {
		case 0:
		case 1:
			unit_fill(&seed, bytes, n);
			assert_int_equal(buf_put(&b, bytes, n),
			    n <= sizeof model - used ? 0 : -1);
			if (n <= sizeof model - used) {
				memcpy(model + used, bytes, n);
				used += n;
			}
			break;
		case 2:
			p = buf_reserve(&b, n);
			assert_int_equal(p != NULL, n <= sizeof model - used);
			if (p == NULL)
				break;
			taken = unit_below(&seed, n + 1);
			unit_fill(&seed, p, n);
			memcpy(model + used, p, taken);
			buf_commit(&b, taken);
			used += taken;
			break;
		default:
			n = n < used ? n : used;
			buf_consume(&b, n);
			used -= n;
			memmove(model, model + n, used);
		}
		assert_int_equal(buf_used(&b), used);
		assert_int_equal(buf_room(&b), sizeof model - used);
		if (used > 0)
			assert_memory_equal(buf_data(&b), model, used);
		assert_true(b.size <= sizeof model);
	}
	buf_free(&b);
}

/* Numbers are big endian, and no part of one is put where all do not fit. */
static void
numbers(void **state)
{
	static const uint8_t wire[] = { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab,
	    0xcd, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd };
	uint8_t p[sizeof wire] = { 0x01 };

	(void)state;
	store_u16(p + 1, 0x2345);
	store_u32(p + 3, 0x6789abcd);
	store_u64(p + 7, UINT64_C(0xef0123456789abcd));
	assert_memory_equal(p, wire, sizeof wire);
}

static void
store_and_fetch(void **state)
{
	static const uint64_t edges[] = { 0, 1, 0x7f, 0x80, 0xff, 0x100,
	    0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000,
	    0xffffffff, UINT64_C(0x100000000), INT64_MAX,
	    UINT64_C(0x8000000000000000), UINT64_MAX };
	uint64_t seed = 2, v;
	uint8_t p[8];

	(void)state;
	for (size_t i = 0; i < 1000; i++) {
		v = i < sizeof edges / sizeof edges[0] ? edges[i] :
		    unit_random(&seed);
		store_u16(p, (uint16_t)v);
		assert_int_equal(fetch_u16(p), (uint16_t)v);
		assert_int_equal(p[0], (v >> 8) & 0xff);
		store_u32(p, (uint32_t)v);
		assert_int_equal(fetch_u32(p), (uint32_t)v);
		assert_int_equal(p[0], (v >> 24) & 0xff);
		assert_int_equal(p[3], v & 0xff);
		store_u64(p, v);
		assert_true(fetch_u64(p) == v);
		for (int k = 0; k < 8; k++)
			assert_int_equal(p[k], (v >> (56 - 8 * k)) & 0xff);
	}
}

static void
reader(void **state)
{
	static const uint8_t wire[] = { 1, 0, 0, 0, 3, 'a', 'b', 'c' };
	struct reader r = { wire, sizeof wire };
	const uint8_t *p;
	uint32_t u32;
	uint8_t u8;

	(void)state;
	assert_int_equal(reader_u8(&r, &u8), 0);
	assert_int_equal(u8, 1);
	assert_int_equal(reader_u32(&r, &u32), 0);
	assert_int_equal(u32, 3);
	assert_int_equal(reader_bytes(&r, &p, 4), -1);
	assert_int_equal(reader_bytes(&r, &p, SIZE_MAX), -1);
	assert_int_equal(r.left, 3);
	assert_int_equal(reader_bytes(&r, &p, 3), 0);
	assert_memory_equal(p, "abc", 3);
	assert_int_equal(r.left, 0);
	assert_int_equal(reader_bytes(&r, &p, 0), 0);
	assert_int_equal(reader_u8(&r, &u8), -1);
}

/* What is too short is left alone, to the byte. */
static void
reader_takes_all_or_nothing(void **state)
{
	static const uint8_t wire[8] = { 9, 8, 7, 6, 5, 4, 3, 2 };

	(void)state;
	for (size_t n = 0; n <= 8; n++) {
		struct reader r = { wire, n };
		uint32_t u32;

		assert_int_equal(reader_u32(&r, &u32), n >= 4 ? 0 : -1);
		assert_int_equal(r.left, n >= 4 ? n - 4 : n);
		if (n < 4)
			assert_ptr_equal(r.p, wire);
	}
}

static void
no_reader(void **state)
{
	struct reader r = { NULL, 0 };
	const uint8_t *p;

	(void)state;
	assert_int_equal(reader_bytes(&r, &p, 0), 0);
	assert_int_equal(reader_bytes(&r, &p, 1), -1);
}

/* Without memory a queue keeps what it has, and works on afterwards. */
static void
out_of_memory(void **state)
{
	static const uint8_t bytes[4000];
	struct buf b;

	(void)state;
	buf_init(&b, 10000);
	memory_fail_at(0);
	assert_int_equal(buf_put(&b, "abc", 3), -1);
	assert_true(memory_has_failed());
	assert_int_equal(buf_used(&b), 0);
	assert_int_equal(buf_put(&b, "abc", 3), 0);
	memory_fail_at(0);
	assert_int_equal(buf_put(&b, bytes, sizeof bytes), -1);
	assert_true(memory_has_failed());
	memory_fail_at(0);
	assert_null(buf_reserve(&b, sizeof bytes));
	assert_true(memory_has_failed());
	assert_int_equal(buf_used(&b), 3);
	assert_memory_equal(buf_data(&b), "abc", 3);
	assert_int_equal(buf_put(&b, bytes, sizeof bytes), 0);
	assert_int_equal(buf_used(&b), 4003);
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty),
		cmocka_unit_test(first_in_first_out),
		cmocka_unit_test(limit),
		cmocka_unit_test(reserve_and_commit),
		cmocka_unit_test(freed_is_usable),
		cmocka_unit_test(as_an_array),
		cmocka_unit_test(numbers),
		cmocka_unit_test(store_and_fetch),
		cmocka_unit_test(reader),
		cmocka_unit_test(reader_takes_all_or_nothing),
		cmocka_unit_test(no_reader),
		cmocka_unit_test(out_of_memory),
	};

	return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
