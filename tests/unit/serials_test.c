/* Tests of common/serials. */
#include <config.h>

#include "tests/unit/unit.h"

#include "common/tls/serials.h"

static bool
has(const struct serials *s, const char *bytes)
{
	return serials_has(s, (const uint8_t *)bytes, strlen(bytes));
}

static void
add(struct serials *s, const char *bytes)
{
	serials_add(s, (const uint8_t *)bytes, strlen(bytes));
}

static void
empty(void **state)
{
	struct serials *s = serials_new(0, 0);

	(void)state;
	assert_non_null(s);
	serials_sort(s);
	assert_int_equal(serials_count(s), 0);
	assert_false(has(s, "a"));
	assert_false(has(s, "a string that is longer than any number"));
	serials_free(s);
	serials_free(NULL);
}

/* A number is its bytes and their count: a prefix is another, and so is one
 * that ends in zeros. */
static void
lengths(void **state)
{
	struct serials *s = serials_new(4, 3);

	(void)state;
	add(s, "b");
	add(s, "abc");
	add(s, "ab");
	add(s, "abc");
	serials_sort(s);
	assert_int_equal(serials_count(s), 4);
	assert_true(has(s, "b"));
	assert_true(has(s, "ab"));
	assert_true(has(s, "abc"));
	assert_false(has(s, "a"));
	assert_false(has(s, "bb"));
	assert_false(has(s, "abcd"));
	assert_false(serials_has(s, (const uint8_t *)"b\0", 2));
	assert_false(serials_has(s, (const uint8_t *)"ab\0", 3));
	assert_false(serials_has(s, (const uint8_t *)"", 0));
	serials_free(s);
}

/* Against a plain search, in every order that a list may have. */
static void
many(void **state)
{
	static uint8_t numbers[3000][SERIALS_BYTES_MAX];
	static size_t sizes[3000];
	uint64_t seed = 5;
	struct serials *s = serials_new(1500, SERIALS_BYTES_MAX);

	(void)state;
	assert_non_null(s);
	for (size_t i = 0; i < 3000; i++) {
		sizes[i] = 3 + unit_below(&seed, SERIALS_BYTES_MAX - 2);
		unit_fill(&seed, numbers[i], sizes[i]);
		if (i < 1500)
			serials_add(s, numbers[i], sizes[i]);
	}
	serials_sort(s);
	serials_sort(s);
	for (size_t i = 0; i < 3000; i++) {
		bool there = false;

		for (size_t j = 0; j < 1500 && !there; j++)
			there = sizes[i] == sizes[j] && memcmp(numbers[i],
			    numbers[j], sizes[i]) == 0;
		assert_int_equal(serials_has(s, numbers[i], sizes[i]), there);
	}
	serials_free(s);
}

static void
too_many(void **state)
{
	(void)state;
	assert_null(serials_new(SIZE_MAX / 2, 20));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty),
		cmocka_unit_test(lengths),
		cmocka_unit_test(many),
		cmocka_unit_test(too_many),
	};

	return cmocka_run_group_tests_name("serials", tests, NULL, NULL);
}
