/* Unit tests of common/wire/body.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include "tests/unit/memory.h"
#include "tests/unit/unit.h"

#include "common/wire/body.h"
#include "common/wire/frame.h"
#include "common/base/buf.h"

/* Append an item; the bytes need not make sense. */
static void
put(struct buf *b, unsigned kind, const void *bytes, size_t n)
{
	uint8_t size[4];

	store_u32(size, (uint32_t)n);
	assert_int_equal(buf_put_u8(b, (uint8_t)kind), 0);
	assert_int_equal(buf_put(b, size, sizeof size), 0);
	assert_int_equal(buf_put(b, bytes, n), 0);
}

static void
put_operation(struct buf *b, unsigned operation)
{
	uint8_t byte = (uint8_t)operation;

	put(b, PROTO_ITEM_OPERATION, &byte, 1);
}

static void
put_word(struct buf *b, const char *word)
{
	put(b, PROTO_ITEM_WORD, word, strlen(word));
}

/* Begin a RUN of "true" in an empty "b". */
static void
begin(struct buf *b)
{
	buf_init(b, 2 * PROTO_BODY_MAX);
	put_operation(b, PROTO_RUN);
	put_word(b, "true");
}

/* Parse and free "b", and check that the answer is "code"; NONE is success. */
static void
expect(struct buf *b, enum proto_code code)
{
	enum proto_code got = PROTO_CODE_NONE;
	struct body body;
	const char *why;

	memset(&body, 0xaa, sizeof body);
	why = body_parse(&body, buf_data(b), buf_used(b), &got);
	if (code == PROTO_CODE_NONE) {
		assert_null(why);
	} else {
		assert_non_null(why);
		assert_true(strlen(why) > 0);
		assert_true(strlen(why) <= PROTO_TEXT_MAX);
		assert_int_equal(got, code);
	}
	if (why == NULL)
		body_free(&body);
	buf_free(b);
}

static void
items(void **state)
{
	static const uint8_t wire[] = { 2, 0, 0, 0, 3, 'a', 'b', 'c',
	    5, 0, 0, 0, 0 };
	struct reader r = { wire, sizeof wire };
	const uint8_t *bytes;
	uint8_t kind;
	struct buf b;
	size_t n;

	(void)state;
	buf_init(&b, sizeof wire);
	assert_int_equal(item_put(&b, PROTO_ITEM_WORD, "abc", 3), 0);
	assert_int_equal(item_put(&b, PROTO_ITEM_STDIN, NULL, 0), 0);
	assert_int_equal(buf_used(&b), sizeof wire);
	assert_memory_equal(buf_data(&b), wire, sizeof wire);
	/* Full: nothing of an item is put. */
	assert_int_equal(item_put(&b, PROTO_ITEM_STDIN, NULL, 0), -1);
	assert_int_equal(buf_used(&b), sizeof wire);
	buf_free(&b);

	assert_int_equal(item_get(&r, &kind, &bytes, &n), 1);
	assert_int_equal(kind, PROTO_ITEM_WORD);
	assert_int_equal(n, 3);
	assert_ptr_equal(bytes, wire + 5);
	assert_int_equal(item_get(&r, &kind, &bytes, &n), 1);
	assert_int_equal(kind, PROTO_ITEM_STDIN);
	assert_int_equal(n, 0);
	assert_int_equal(item_get(&r, &kind, &bytes, &n), 0);
	assert_int_equal(item_get(&r, &kind, &bytes, &n), 0);
}

static void
cut_items(void **state)
{
	static const uint8_t wire[] = { 2, 0, 0, 0, 3, 'a', 'b', 'c' };
	static const uint8_t endless[] = { 2, 0xff, 0xff, 0xff, 0xff, 'a' };
	const uint8_t *bytes;
	struct reader r;
	uint8_t kind;
	size_t n;

	(void)state;
	for (size_t cut = 1; cut < sizeof wire; cut++) {
		r = (struct reader){ wire, cut };
		assert_int_equal(item_get(&r, &kind, &bytes, &n), -1);
	}
	r = (struct reader){ endless, sizeof endless };
	assert_int_equal(item_get(&r, &kind, &bytes, &n), -1);
	r = (struct reader){ NULL, 0 };
	assert_int_equal(item_get(&r, &kind, &bytes, &n), 0);
}

/* The first of a kind is found, and a row that is none at once. */
static void
find_item(void **state)
{
	static const uint8_t wire[] = { 2, 0, 0, 0, 1, 'a', 5, 0, 0, 0, 0,
	    2, 0, 0, 0, 1, 'b' };
	const uint8_t *p;
	size_t n;

	(void)state;
	assert_int_equal(item_find(wire, sizeof wire, PROTO_ITEM_WORD, &p, &n),
	    1);
	assert_ptr_equal(p, wire + 5);
	assert_int_equal(n, 1);
	assert_int_equal(item_find(wire, sizeof wire, PROTO_ITEM_STDIN, &p,
	    &n), 1);
	assert_int_equal(n, 0);
	assert_int_equal(item_find(wire, sizeof wire, PROTO_ITEM_ENV, &p, &n),
	    0);
	assert_int_equal(n, 0);
	assert_int_equal(item_find(wire, 0, PROTO_ITEM_ENV, &p, &n), 0);
	for (size_t cut = 1; cut < sizeof wire; cut++)
		assert_int_equal(item_find(wire, cut, PROTO_ITEM_WORD, &p, &n),
		    cut == 6 || cut == 11 ? 1 : -1);
}

static void
round_trip(void **state)
{
	char program[] = "printf", empty[] = "", blank[] = "a b\n\x01\xff",
	    one[] = "A=1", two[] = "B=", directory[] = "/srv";
	char *words[] = { program, empty, blank, NULL };
	char *env[] = { one, two, NULL };
	struct body in = { .operation = PROTO_RUN, .words = words,
	    .nwords = 3, .env = env, .nenv = 2, .directory = directory,
	    .wants_stdin = true, .arguments = true,
	    .condition = PROTO_IF_SUCCEEDED,
	    .windows = { 1, PROTO_WINDOW_MAX } }, out;
	enum proto_code code;
	struct buf b;

	(void)state;
	buf_init(&b, PROTO_BODY_MAX);
	assert_int_equal(body_put(&b, &in), 0);
	assert_null(body_parse(&out, buf_data(&b), buf_used(&b), &code));
	/* The strings are the body's own. */
	memset(buf_reserve(&b, 0) - buf_used(&b), 0xee, buf_used(&b));
	buf_free(&b);
	assert_int_equal(out.operation, PROTO_RUN);
	assert_int_equal(out.nwords, 3);
	for (size_t i = 0; i < 3; i++)
		assert_string_equal(out.words[i], words[i]);
	assert_null(out.words[3]);
	assert_int_equal(out.nenv, 2);
	assert_string_equal(out.env[0], "A=1");
	assert_string_equal(out.env[1], "B=");
	assert_null(out.env[2]);
	assert_string_equal(out.directory, "/srv");
	assert_true(out.wants_stdin && out.arguments);
	assert_int_equal(out.condition, PROTO_IF_SUCCEEDED);
	assert_int_equal(out.windows[0], 1);
	assert_int_equal(out.windows[1], PROTO_WINDOW_MAX);
	body_free(&out);
	body_free(&out);
}

static void
smallest(void **state)
{
	enum proto_code code;
	struct body body;
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	put_operation(&b, PROTO_CHDIR);
	assert_null(body_parse(&body, buf_data(&b), buf_used(&b), &code));
	assert_int_equal(body.operation, PROTO_CHDIR);
	assert_int_equal(body.nwords, 0);
	assert_null(body.words[0]);
	assert_int_equal(body.nenv, 0);
	assert_null(body.env[0]);
	assert_null(body.directory);
	assert_false(body.wants_stdin || body.arguments);
	assert_int_equal(body.condition, PROTO_IF_ANY);
	assert_int_equal(body.windows[0], 0);
	assert_int_equal(body.windows[1], 0);
	body_free(&body);
	buf_free(&b);

	memset(&body, 0, sizeof body);
	body_free(&body);
}

/* As many words as each operation takes. */
static void
words_of_operations(void **state)
{
	static const struct {
		unsigned operation;
		size_t least, most;
	} rules[] = {
		{ PROTO_RUN, 1, SIZE_MAX },
		{ PROTO_SHELL, 1, 1 },
		{ PROTO_CHDIR, 0, 1 },
		{ PROTO_LIST, 0, 0 },
		{ PROTO_CAN, 0, SIZE_MAX },
		{ PROTO_LINE, 0, 1 },
		{ PROTO_SUBSYSTEM, 1, 1 },
	};
	struct buf b;

	(void)state;
	for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
		for (size_t n = 0; n < 4; n++) {
			buf_init(&b, 1000);
			put_operation(&b, rules[i].operation);
			for (size_t k = 0; k < n; k++)
				put_word(&b, "word");
			expect(&b, n >= rules[i].least && n <= rules[i].most ?
			    PROTO_CODE_NONE : PROTO_CODE_PROTOCOL);
		}
	}
}

static void
operations(void **state)
{
	struct buf b;

	(void)state;
	for (unsigned v = 0; v < 256; v++) {
		buf_init(&b, 1000);
		put_operation(&b, v);
		put_word(&b, "word");
		expect(&b, v == 0 || v == PROTO_LIST ? PROTO_CODE_PROTOCOL :
		    v > PROTO_SUBSYSTEM ? PROTO_CODE_UNSUPPORTED :
		    PROTO_CODE_NONE);
	}
	/* Of exactly one byte, first, and once. */
	buf_init(&b, 1000);
	put(&b, PROTO_ITEM_OPERATION, "\1\1", 2);
	put_word(&b, "word");
	expect(&b, PROTO_CODE_PROTOCOL);
	buf_init(&b, 1000);
	put(&b, PROTO_ITEM_OPERATION, "", 0);
	put_word(&b, "word");
	expect(&b, PROTO_CODE_PROTOCOL);
	buf_init(&b, 1000);
	put_word(&b, "word");
	put_operation(&b, PROTO_RUN);
	expect(&b, PROTO_CODE_PROTOCOL);
	begin(&b);
	put_operation(&b, PROTO_RUN);
	expect(&b, PROTO_CODE_PROTOCOL);
	buf_init(&b, 1000);
	expect(&b, PROTO_CODE_PROTOCOL);
	buf_init(&b, 1000);
	put_word(&b, "word");
	expect(&b, PROTO_CODE_PROTOCOL);
}

static void
kinds(void **state)
{
	struct buf b;

	(void)state;
	for (unsigned kind = 0; kind < 256; kind++) {
		if (kind >= PROTO_ITEM_OPERATION && kind <= PROTO_ITEM_IF)
			continue;
		begin(&b);
		put(&b, kind, "", 0);
		expect(&b, kind < 0x80 ? PROTO_CODE_UNSUPPORTED :
		    PROTO_CODE_NONE);
	}
	/* It weighs more than a value of no use, and less than what breaks the
	 * protocol. */
	begin(&b);
	put(&b, PROTO_ITEM_WORD, "a\0b", 3);
	put(&b, 0x7f, "x", 1);
	expect(&b, PROTO_CODE_UNSUPPORTED);
	begin(&b);
	put(&b, 0x7f, "x", 1);
	put(&b, PROTO_ITEM_STDIN, "x", 1);
	expect(&b, PROTO_CODE_PROTOCOL);
	begin(&b);
	put(&b, PROTO_ITEM_ARGUMENTS, "x", 1);
	expect(&b, PROTO_CODE_PROTOCOL);
}

static void
conditions(void **state)
{
	struct buf b;

	(void)state;
	for (unsigned value = 0; value < 256; value++) {
		const uint8_t byte = (uint8_t)value;

		begin(&b);
		put(&b, PROTO_ITEM_IF, &byte, 1);
		expect(&b, value == 0 ? PROTO_CODE_PROTOCOL : value <=
		    PROTO_IF_SUCCEEDED ? PROTO_CODE_NONE :
		    PROTO_CODE_UNSUPPORTED);
	}
	for (size_t n = 0; n <= 2; n += 2) {
		begin(&b);
		put(&b, PROTO_ITEM_IF, "\1\1", n);
		expect(&b, PROTO_CODE_PROTOCOL);
	}
	begin(&b);
	put(&b, PROTO_ITEM_IF, "\1", 1);
	put(&b, PROTO_ITEM_IF, "\1", 1);
	expect(&b, PROTO_CODE_PROTOCOL);
}

/* What may stand in a request once does so once. */
static void
twice(void **state)
{
	static const uint8_t windows[8];
	struct buf b;

	(void)state;
	begin(&b);
	put(&b, PROTO_ITEM_DIRECTORY, "/a", 2);
	put(&b, PROTO_ITEM_DIRECTORY, "/a", 2);
	expect(&b, PROTO_CODE_PROTOCOL);
	begin(&b);
	put(&b, PROTO_ITEM_STDIN, "", 0);
	put(&b, PROTO_ITEM_STDIN, "", 0);
	expect(&b, PROTO_CODE_PROTOCOL);
	begin(&b);
	put(&b, PROTO_ITEM_WINDOWS, windows, 8);
	put(&b, PROTO_ITEM_WINDOWS, windows, 8);
	expect(&b, PROTO_CODE_PROTOCOL);
}

/* Only the operation has its place; words keep their order. */
static void
any_order(void **state)
{
	static const uint8_t windows[8] = { 0, 0, 0, 1, 0, 0, 0, 2 };
	enum proto_code code;
	struct body body;
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	put_operation(&b, PROTO_RUN);
	put(&b, PROTO_ITEM_WINDOWS, windows, 8);
	put_word(&b, "one");
	put(&b, PROTO_ITEM_STDIN, "", 0);
	put(&b, PROTO_ITEM_ENV, "A=1", 3);
	put_word(&b, "two");
	put(&b, PROTO_ITEM_DIRECTORY, "/", 1);
	put(&b, PROTO_ITEM_ENV, "A=2", 3);
	assert_null(body_parse(&body, buf_data(&b), buf_used(&b), &code));
	assert_int_equal(body.nwords, 2);
	assert_string_equal(body.words[0], "one");
	assert_string_equal(body.words[1], "two");
	assert_int_equal(body.nenv, 2);
	assert_string_equal(body.env[0], "A=1");
	assert_string_equal(body.env[1], "A=2");
	assert_string_equal(body.directory, "/");
	assert_true(body.wants_stdin);
	assert_int_equal(body.windows[0], 1);
	assert_int_equal(body.windows[1], 2);
	body_free(&body);
	buf_free(&b);
}

static void
sizes_of_items(void **state)
{
	static const uint8_t zero[16];
	struct buf b;

	(void)state;
	for (size_t n = 0; n <= sizeof zero; n++) {
		begin(&b);
		put(&b, PROTO_ITEM_WINDOWS, zero, n);
		expect(&b, n == 8 ? PROTO_CODE_NONE : PROTO_CODE_PROTOCOL);
		begin(&b);
		put(&b, PROTO_ITEM_STDIN, zero, n);
		expect(&b, n == 0 ? PROTO_CODE_NONE : PROTO_CODE_PROTOCOL);
	}
}

static void
windows(void **state)
{
	static const uint32_t credits[] = { 0, 1, PROTO_WINDOW_MAX,
	    PROTO_WINDOW_MAX + 1, 0x80000000, 0xffffffff };
	uint8_t bytes[8];
	struct buf b;

	(void)state;
	for (size_t i = 0; i < sizeof credits / sizeof credits[0]; i++) {
		for (size_t which = 0; which < 2; which++) {
			memset(bytes, 0, sizeof bytes);
			store_u32(bytes + 4 * which, credits[i]);
			begin(&b);
			put(&b, PROTO_ITEM_WINDOWS, bytes, 8);
			expect(&b, credits[i] <= PROTO_WINDOW_MAX ?
			    PROTO_CODE_NONE : PROTO_CODE_PROTOCOL);
		}
	}
}

/* Strings: as long as allowed and no longer; any byte but NUL. */
static void
strings(void **state)
{
	static const struct {
		unsigned kind;
		size_t most;
	} rules[] = {
		{ PROTO_ITEM_WORD, PROTO_WORD_MAX },
		{ PROTO_ITEM_ENV, PROTO_WORD_MAX },
		{ PROTO_ITEM_DIRECTORY, PROTO_PATH_MAX },
	};
	static char text[PROTO_WORD_MAX + 1];
	struct buf b;

	(void)state;
	for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
		memset(text, '=', sizeof text);
		text[0] = 'A';
		begin(&b);
		put(&b, rules[i].kind, text, rules[i].most);
		expect(&b, PROTO_CODE_NONE);
		begin(&b);
		put(&b, rules[i].kind, text, rules[i].most + 1);
		expect(&b, PROTO_CODE_INVALID);
		for (size_t at = 1; at < 8; at++) {
			text[at] = '\0';
			begin(&b);
			put(&b, rules[i].kind, text, 8);
			expect(&b, PROTO_CODE_INVALID);
			text[at] = '=';
		}
	}
}

static void
every_byte(void **state)
{
	char word[256];
	enum proto_code code;
	struct body body;
	struct buf b;

	(void)state;
	for (unsigned i = 0; i < 255; i++)
		word[i] = (char)(i + 1);
	word[255] = '\0';
	begin(&b);
	put_word(&b, word);
	assert_null(body_parse(&body, buf_data(&b), buf_used(&b), &code));
	assert_int_equal(body.nwords, 2);
	assert_string_equal(body.words[1], word);
	body_free(&body);
	buf_free(&b);
}

static void
many_items(void **state)
{
	enum proto_code code;
	struct body body;
	struct buf b;

	(void)state;
	for (size_t extra = 0; extra < 2; extra++) {
		buf_init(&b, PROTO_BODY_MAX);
		put_operation(&b, PROTO_RUN);
		for (size_t i = 1; i < PROTO_ITEMS_MAX + extra; i++)
			put_word(&b, "x");
		if (extra == 0) {
			assert_null(body_parse(&body, buf_data(&b),
			    buf_used(&b), &code));
			assert_int_equal(body.nwords, PROTO_ITEMS_MAX - 1);
			assert_null(body.words[body.nwords]);
			assert_string_equal(body.words[body.nwords - 1], "x");
			body_free(&body);
			buf_free(&b);
		} else
			expect(&b, PROTO_CODE_INVALID);
	}
}

static void
many_variables(void **state)
{
	struct buf b;

	(void)state;
	for (size_t extra = 0; extra < 2; extra++) {
		begin(&b);
		for (size_t i = 0; i < PROTO_ENV_MAX + extra; i++)
			put(&b, PROTO_ITEM_ENV, "A=1", 3);
		expect(&b, extra == 0 ? PROTO_CODE_NONE : PROTO_CODE_INVALID);
	}
}

/* A body that is cut is whole only where an item ends. */
static void
cut_at_every_byte(void **state)
{
	static const uint8_t windows[8] = { 0 };
	enum proto_code code;
	struct body body;
	struct buf b;
	size_t whole = 0, n;

	(void)state;
	buf_init(&b, 1000);
	put_operation(&b, PROTO_RUN);
	put_word(&b, "echo");
	put_word(&b, "");
	put(&b, PROTO_ITEM_ENV, "A=1", 3);
	put(&b, PROTO_ITEM_WINDOWS, windows, 8);
	for (size_t cut = 0; cut <= buf_used(&b); cut++) {
		/* A copy of that size, so that a read beyond it is seen. */
		uint8_t *bytes = test_malloc(cut + 1);

		memcpy(bytes, buf_data(&b), cut);
		if (body_parse(&body, bytes, cut, &code) == NULL) {
			whole++;
			body_free(&body);
		} else
			assert_int_equal(code, PROTO_CODE_PROTOCOL);
		test_free(bytes);
	}
	/* After each item but the first, which lacks its word. */
	assert_int_equal(whole, 4);
	n = buf_used(&b);
	assert_true(n > 0);
	buf_free(&b);
}

/* The sentence and the code are about the same fault. */
static void
broken_behind_a_bad_value(void **state)
{
	struct buf b;

	(void)state;
	begin(&b);
	put(&b, PROTO_ITEM_WORD, "a\0b", 3);
	assert_int_equal(buf_put(&b, "\2\0\0", 3), 0);
	expect(&b, PROTO_CODE_PROTOCOL);
}

/* Bytes that are made up: an answer, and nothing out of bounds. */
static void
garbage(void **state)
{
	uint64_t seed = 5;
	enum proto_code code;
	struct body body;
	struct buf b;
	uint8_t *bytes;
	size_t good = 0, n, at;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		begin(&b);
		put(&b, PROTO_ITEM_ENV, "A=1", 3);
		put(&b, PROTO_ITEM_DIRECTORY, "/srv", 4);
		n = buf_used(&b);
		bytes = test_malloc(n);
		memcpy(bytes, buf_data(&b), n);
		for (size_t k = unit_below(&seed, 4); k > 0; k--) {
			at = unit_below(&seed, n);
			bytes[at] = unit_below(&seed, 2) == 0 ?
			    (uint8_t)unit_below(&seed, 8) :
			    (uint8_t)unit_random(&seed);
		}
		if (body_parse(&body, bytes, n, &code) == NULL) {
			for (size_t k = 0; k < body.nwords; k++)
				assert_non_null(body.words[k]);
			assert_null(body.words[body.nwords]);
			assert_null(body.env[body.nenv]);
			body_free(&body);
			good++;
		} else
			assert_true(code == PROTO_CODE_PROTOCOL ||
			    code == PROTO_CODE_UNSUPPORTED ||
			    code == PROTO_CODE_INVALID);
		test_free(bytes);
		buf_free(&b);
	}
	assert_true(good > 1000);
}

/* A body of random strings comes back as it was. */
static void
any_strings(void **state)
{
	uint64_t seed = 6;
	char *words[20], bytes[20][64];
	enum proto_code code;
	struct body in, out;
	struct buf b;

	(void)state;
	for (int i = 0; i < 2000; i++) {
		memset(&in, 0, sizeof in);
		in.operation = PROTO_RUN;
		in.words = words;
		in.nwords = 1 + unit_below(&seed, 18);
		for (size_t k = 0; k < in.nwords; k++) {
			size_t n = unit_below(&seed, sizeof bytes[0]);

			unit_fill(&seed, bytes[k], n);
			bytes[k][n] = '\0';
			words[k] = bytes[k];
		}
		words[in.nwords] = NULL;
		buf_init(&b, PROTO_BODY_MAX);
		assert_int_equal(body_put(&b, &in), 0);
		assert_null(body_parse(&out, buf_data(&b), buf_used(&b),
		    &code));
		assert_int_equal(out.nwords, in.nwords);
		for (size_t k = 0; k < in.nwords; k++)
			assert_string_equal(out.words[k], words[k]);
		body_free(&out);
		buf_free(&b);
	}
}

static void
out_of_memory(void **state)
{
	enum proto_code code;
	struct body body;
	struct buf b;

	(void)state;
	begin(&b);
	memory_fail_at(0);
	assert_non_null(body_parse(&body, buf_data(&b), buf_used(&b), &code));
	assert_true(memory_has_failed());
	assert_int_equal(code, PROTO_CODE_RESOURCES);
	buf_free(&b);
}

static void
put_without_room(void **state)
{
	char program[] = "true", variable[] = "A=1", directory[] = "/";
	char *words[] = { program, NULL }, *env[] = { variable, NULL };
	struct body in = { .operation = PROTO_RUN, .words = words,
	    .nwords = 1, .env = env, .nenv = 1, .directory = directory,
	    .wants_stdin = true };
	/* Six items, of 1, 4, 3, 1, 0 and 8 bytes. */
	size_t whole = 6 * 5 + 17;
	struct buf b;

	(void)state;
	for (size_t room = 0; room <= whole; room++) {
		buf_init(&b, room);
		assert_int_equal(body_put(&b, &in), room == whole ? 0 : -1);
		buf_free(&b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(items),
		cmocka_unit_test(cut_items),
		cmocka_unit_test(find_item),
		cmocka_unit_test(round_trip),
		cmocka_unit_test(smallest),
		cmocka_unit_test(words_of_operations),
		cmocka_unit_test(operations),
		cmocka_unit_test(kinds),
		cmocka_unit_test(conditions),
		cmocka_unit_test(twice),
		cmocka_unit_test(any_order),
		cmocka_unit_test(sizes_of_items),
		cmocka_unit_test(windows),
		cmocka_unit_test(strings),
		cmocka_unit_test(every_byte),
		cmocka_unit_test(many_items),
		cmocka_unit_test(many_variables),
		cmocka_unit_test(cut_at_every_byte),
		cmocka_unit_test(broken_behind_a_bad_value),
		cmocka_unit_test(garbage),
		cmocka_unit_test(any_strings),
		cmocka_unit_test(out_of_memory),
		cmocka_unit_test(put_without_room),
	};

	return cmocka_run_group_tests_name("body", tests, NULL, NULL);
}
