/* Unit tests of common/base/text.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include "tests/unit/unit.h"

#include "common/base/text.h"

static void
check_escape(const char *bytes, size_t n, const char *expected)
{
	char out[200];

	assert_ptr_equal(text_escape(out, sizeof out, bytes, n), out);
	assert_string_equal(out, expected);
}

static void
escapes(void **state)
{
	(void)state;
	check_escape("", 0, "");
	check_escape("plain text, 'quoted' = fine; $(x) `y`", 37,
	    "plain text, 'quoted' = fine; $(x) `y`");
	check_escape("a\"b\\c", 5, "a\\\"b\\\\c");
	check_escape("\n\r\t", 3, "\\n\\r\\t");
	check_escape("\0\1\033\177", 4, "\\x00\\x01\\x1b\\x7f");
	/* UTF-8 of two, three and four bytes. */
	check_escape("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x8e\x82", 11,
	    "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x8e\x82");
	/* Alone, too long, a surrogate, above the last, cut. */
	check_escape("\x80", 1, "\\x80");
	check_escape("\xff", 1, "\\xff");
	check_escape("\xc0\xaf", 2, "\\xc0\\xaf");
	check_escape("\xe0\x80\xaf", 3, "\\xe0\\x80\\xaf");
	check_escape("\xed\xa0\x80", 3, "\\xed\\xa0\\x80");
	check_escape("\xf4\x90\x80\x80", 4, "\\xf4\\x90\\x80\\x80");
	check_escape("\xe2\x82", 2, "\\xe2\\x82");
	check_escape("\xc3(", 2, "\\xc3(");
	/* C1 controls, NEL, line separator, override of direction, BOM. */
	check_escape("\xc2\x80\xc2\x85\xc2\x9b", 6,
	    "\\xc2\\x80\\xc2\\x85\\xc2\\x9b");
	check_escape("\xe2\x80\xa8\xe2\x80\xae", 6,
	    "\\xe2\\x80\\xa8\\xe2\\x80\\xae");
	check_escape("\xe2\x80\x8f\xe2\x81\xa6", 6,
	    "\\xe2\\x80\\x8f\\xe2\\x81\\xa6");
	check_escape("\xef\xbb\xbf", 3, "\\xef\\xbb\\xbf");
	check_escape("\xd8\x9c", 2, "\\xd8\\x9c");
	check_escape("\xc2\xa0\xc3\xbf", 4, "\xc2\xa0\xc3\xbf");
}

static int
hex(int c)
{
	return c <= '9' ? c - '0' : c - 'a' + 10;
}

/* Turn a text back into its bytes; returns how many. */
static size_t
unescape(const char *text, uint8_t *out)
{
	size_t n = 0;

	for (; *text != '\0'; text++) {
		int c = (unsigned char)*text;

		if (c == '\\') {
			switch (*++text) {
			case 'n':
				c = '\n';
				break;
			case 'r':
				c = '\r';
				break;
			case 't':
				c = '\t';
				break;
			case 'x':
				c = hex(text[1]) << 4 | hex(text[2]);
				text += 2;
				break;
			default:
				c = *text;
			}
		}
		out[n++] = (uint8_t)c;
	}
	return n;
}

/* The code point at "p" of a text that is taken for UTF-8, and its length. */
static size_t
decode(const unsigned char *p, uint32_t *c)
{
	static const struct {
		uint32_t mask, mark, keep, least;
	} forms[] = {
		{ 0x80, 0x00, 0x7f, 0 }, { 0xe0, 0xc0, 0x1f, 0x80 },
		{ 0xf0, 0xe0, 0x0f, 0x800 }, { 0xf8, 0xf0, 0x07, 0x10000 },
	};

	for (size_t i = 0; i < 4; i++) {
		if ((p[0] & forms[i].mask) != forms[i].mark)
			continue;
		*c = p[0] & forms[i].keep;
		for (size_t k = 1; k <= i; k++) {
			assert_int_equal(p[k] & 0xc0, 0x80);
			*c = *c << 6 | (p[k] & 0x3f);
		}
		assert_true(*c >= forms[i].least);
		return i + 1;
	}
	fail_msg("not UTF-8: %s", (const char *)p);
	return 0;
}

/* Nothing in "text" moves a cursor, ends a line or turns it round. */
static void
check_harmless(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	uint32_t c = 0;

	while (*p != '\0') {
		p += decode(p, &c);
		assert_true(c >= 0x20 && c != 0x7f);
		assert_true(c < 0x80 || c >= 0xa0);
		assert_true(c < 0xd800 || c > 0xdfff);
		assert_true(c <= 0x10ffff);
		assert_true(c != 0x2028 && c != 0x2029);
		assert_true(c < 0x202a || c > 0x202e);
		assert_true(c < 0x2066 || c > 0x2069);
		assert_true(c != 0x200e && c != 0x200f && c != 0x61c);
	}
}

/* Random bytes, with a liking for those that are special. */
static void
some_bytes(uint64_t *seed, uint8_t *bytes, size_t n)
{
	static const char *const pieces[] = { "\\", "\"", "\n", "\xc3\xa9",
	    "\xe2\x80\xae", "\xe2\x82\xac", "\xf0\x9f\x8e\x82", "\xe2\x82",
	    "\xed\xa0\x80", "\xc2\x9b", "\xef\xbf\xbd", "x", "\\x", "..." };
	size_t used = 0;

	while (used < n) {
		const char *piece = pieces[unit_below(seed,
		    sizeof pieces / sizeof pieces[0])];
		size_t length = strlen(piece);

		if (unit_below(seed, 3) == 0 || length > n - used) {
			bytes[used++] = (uint8_t)unit_random(seed);
		} else {
			memcpy(bytes + used, piece, length);
			used += length;
		}
	}
}

static void
any_bytes(void **state)
{
	uint8_t bytes[64], back[64 * 4];
	char out[TEXT_ESCAPED_MAX(64)];
	uint64_t seed = 13;

	(void)state;
	for (int i = 0; i < 30000; i++) {
		size_t n = unit_below(&seed, sizeof bytes);

		some_bytes(&seed, bytes, n);
		(void)text_escape(out, TEXT_ESCAPED_MAX(n), bytes, n);
		check_harmless(out);
		for (const char *p = out; *p != '\0'; p++) {
			assert_int_not_equal(*p, '"');
			if (*p == '\\')
				p++;
		}
		assert_int_equal(unescape(out, back), n);
		assert_memory_equal(back, bytes, n);
	}
}

/* However little room there is: what fits, "..." where something does not,
 * and never half an escape. */
static void
any_room(void **state)
{
	uint8_t bytes[24], back[200];
	char whole[TEXT_ESCAPED_MAX(24)];
	uint64_t seed = 14;

	(void)state;
	for (int i = 0; i < 2000; i++) {
		size_t n = unit_below(&seed, sizeof bytes), full;

		some_bytes(&seed, bytes, n);
		(void)text_escape(whole, sizeof whole, bytes, n);
		full = strlen(whole);
		for (size_t size = 1; size <= full + 2; size++) {
			char *out = test_malloc(size);
			size_t used;

			(void)text_escape(out, size, bytes, n);
			used = strlen(out);
			assert_true(used < size);
			if (full < size) {
				assert_string_equal(out, whole);
			} else if (size > 3) {
				assert_string_equal(out + used - 3, "...");
				out[used - 3] = '\0';
				assert_memory_equal(out, whole, used - 3);
				check_harmless(out);
				/* As much as fits: 3 of "...", 4 at most of
				 * what was left out. */
				assert_true(used + 4 >= size);
				assert_true(unescape(out, back) <= n);
				assert_memory_equal(back, bytes,
				    unescape(out, back));
			}
			test_free(out);
		}
	}
	whole[0] = 'x';
	(void)text_escape(whole, 0, "abc", 3);
	assert_int_equal(whole[0], 'x');
}

static void
printable(void **state)
{
	static const char text[] = "say \"hi\"\\\n\033[31m\xe2\x80\xae";
	char out[100];

	(void)state;
	assert_ptr_equal(text_printable(out, sizeof out, text, sizeof text - 1),
	    out);
	assert_string_equal(out,
	    "say \"hi\"\\\\n\\x1b[31m\\xe2\\x80\\xae");
	(void)text_printable(out, 6, "abcdefgh", 8);
	assert_string_equal(out, "ab...");
}

static void
characters(void **state)
{
	static const struct {
		const char *bytes;
		uint32_t c;
		size_t length;
	} cases[] = {
		{ "a", 'a', 1 }, { "\xc3\xa9", 0xe9, 2 },
		{ "\xe2\x82\xac", 0x20ac, 3 },
		{ "\xf4\x8f\xbf\xbf", 0x10ffff, 4 },
		{ "\xf4\x90\x80\x80", TEXT_NO_CHARACTER, 1 },
		{ "\xed\xa0\x80", TEXT_NO_CHARACTER, 1 },
		{ "\xc0\xaf", TEXT_NO_CHARACTER, 1 },
		{ "\x80", TEXT_NO_CHARACTER, 1 },
		{ "\xe2\x82", TEXT_NO_CHARACTER, 1 }
	};
	size_t length;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_int_equal(text_character(cases[i].bytes,
		    strlen(cases[i].bytes), &length), cases[i].c);
		assert_int_equal(length, cases[i].length);
	}
}

/* --- English ------------------------------------------------------------- */

static void
counts(void **state)
{
	char out[TEXT_COUNT_MAX];

	(void)state;
	assert_string_equal(text_count(out, 1, "second"), "1 second");
	assert_string_equal(text_count(out, 0, "byte"), "0 bytes");
	assert_string_equal(text_count(out, 1.5, "second"), "1.5 seconds");
	assert_string_equal(text_count(out, 3600, "second"), "3600 seconds");
	assert_string_equal(text_count(out, 1e9, "byte"), "1000000000 bytes");
}

static void
lists(void **state)
{
	char one[] = "one", two[] = "two";
	char *list[] = { one, two, NULL };

	(void)state;
	assert_int_equal(text_list_length(list), 2);
	assert_true(text_list_has((const char *const *)list, list[1]));
	assert_false(text_list_has((const char *const *)list, "no such"));
	assert_int_equal(text_columns("abc", 3), 3);
	assert_int_equal(text_columns("abc", 0), 0);
	assert_int_equal(text_columns("a\u00e4\u20ac\U0001f600", 10), 4);
	assert_int_equal(text_list_length(list + 2), 0);
	assert_int_equal(text_list_length(NULL), 0);
}

static void
closest(void **state)
{
	static const struct {
		const char *name;
		int other;
	} rows[] = {
		{ "listen", 0 }, { NULL, 0 }, { "json", 0 }, { "key", 0 },
		{ "certificate", 0 }, { "connect_timeout", 0 }
	};
	static const struct {
		const char *word;
		const char *meant;
	} cases[] = {
		{ "lissten", "listen" }, { "lisetn", "listen" },
		{ "jsn", "json" }, { "kye", "key" }, { "yek", NULL },
		{ "kay", "key" },
		{ "certifcat", "certificate" }, { "", NULL }, { "x", NULL },
		{ "conect_timout", "connect_timeout" },
		{ "something else", NULL }
	};
	char longest[200];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const char *found = text_closest(cases[i].word,
		    &rows[0].name, sizeof rows / sizeof rows[0],
		    sizeof rows[0]);

		if (cases[i].meant == NULL)
			assert_null(found);
		else {
			assert_non_null(found);
			assert_string_equal(found, cases[i].meant);
		}
	}
	memset(longest, 'x', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	assert_null(text_closest(longest, &rows[0].name, 1, sizeof rows[0]));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(escapes),
		cmocka_unit_test(any_bytes),
		cmocka_unit_test(any_room),
		cmocka_unit_test(printable),
		cmocka_unit_test(characters),
		cmocka_unit_test(counts),
		cmocka_unit_test(lists),
		cmocka_unit_test(closest)
	};

	return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
