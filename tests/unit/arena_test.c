/* Unit tests of daemon/exec/arena.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include "tests/unit/memory.h"
#include "tests/unit/unit.h"

#include "daemon/exec/arena.h"

/* Pieces of any size are apart, aligned, and stay where they are. */
static void
pieces(void **state)
{
	enum { PIECES = 2000 };
	static uint8_t *p[PIECES];
	static size_t sizes[PIECES];
	struct arena a = { .used = 0 };
	uint64_t seed = 19;

	(void)state;
	for (size_t i = 0; i < PIECES; i++) {
		sizes[i] = unit_below(&seed, i % 50 == 0 ? 20000 : 100);
		p[i] = arena_alloc(&a, sizes[i]);
		assert_non_null(p[i]);
		assert_int_equal((uintptr_t)p[i] % sizeof(void *), 0);
		memset(p[i], (int)(i & 0xff), sizes[i]);
	}
	for (size_t i = 0; i < PIECES; i++) {
		for (size_t k = 0; k < sizes[i]; k++)
			assert_int_equal(p[i][k], i & 0xff);
	}
	arena_free(&a);
}

static void
freed_is_new(void **state)
{
	struct arena a = { .used = 0 };

	(void)state;
	arena_free(&a);
	assert_non_null(arena_alloc(&a, 10));
	arena_free(&a);
	assert_null(a.chunks);
	arena_free(&a);
	assert_non_null(arena_alloc(&a, 10));
	arena_free(&a);
}

static void
impossible_sizes(void **state)
{
	struct arena a = { .used = 0 };

	(void)state;
	assert_null(arena_alloc(&a, SIZE_MAX));
	assert_null(arena_alloc(&a, SIZE_MAX - 1));
	assert_null(arena_alloc(&a, SIZE_MAX - sizeof(void *)));
	assert_non_null(arena_alloc(&a, 0));
	arena_free(&a);
}

static void
formats(void **state)
{
	static char text[10001];
	struct arena a = { .used = 0 };
	char *one, *two, *three;

	(void)state;
	memset(text, 'x', sizeof text - 1);
	one = arena_printf(&a, "%s=%d", "A", 42);
	two = arena_printf(&a, "%s", "");
	three = arena_printf(&a, "<%s>", text);
	assert_string_equal(one, "A=42");
	assert_string_equal(two, "");
	assert_int_equal(strlen(three), sizeof text + 1);
	assert_string_equal(three + sizeof text - 1, "x>");
	arena_free(&a);
}

/* What was there before a failure is there after it. */
static void
out_of_memory(void **state)
{
	struct arena a = { .used = 0 };
	char *one;

	(void)state;
	memory_fail_at(0);
	assert_null(arena_alloc(&a, 1));
	assert_true(memory_has_failed());
	one = arena_printf(&a, "%s", "one");
	assert_non_null(one);
	memory_fail_at(0);
	assert_null(arena_alloc(&a, 100000));
	assert_true(memory_has_failed());
	memory_fail_at(0);
	assert_null(arena_printf(&a, "%100000d", 1));
	assert_true(memory_has_failed());
	assert_string_equal(one, "one");
	assert_non_null(arena_alloc(&a, 1));
	assert_string_equal(one, "one");
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces),
		cmocka_unit_test(freed_is_new),
		cmocka_unit_test(impossible_sizes),
		cmocka_unit_test(formats),
		cmocka_unit_test(out_of_memory),
	};

	return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
