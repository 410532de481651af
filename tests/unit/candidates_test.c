/* Tests of daemon/candidates. */
#include <config.h>

#include "tests/unit/memory.h"
#include "tests/unit/unit.h"

#include "common/base/pattern.h"
#include "daemon/rules/candidates.h"

#define LISTS	12

static char texts[LISTS][2][8];
static char *lists[LISTS][3];

/* A text of up to "max" bytes. */
static void
make_text(uint64_t *seed, char *out, size_t max, const char *bytes)
{
	size_t n = unit_below(seed, max + 1);

	for (size_t i = 0; i < n; i++)
		out[i] = bytes[unit_below(seed, strlen(bytes))];
	out[n] = '\0';
}

static bool
matches(size_t i, const char *text)
{
	return lists[i][0] == NULL ||
	    pattern_match_any((const char *const *)lists[i], text);
}

struct asked {
	const char *text;
	size_t times;
};

static bool
fits(void *context, size_t number)
{
	struct asked *asked = context;

	asked->times++;
	return matches(number, asked->text);
}

/* It finds what a look at each list finds. */
static void
as_defined(void **state)
{
	uint64_t seed = 3;
	int found = 0, none = 0;

	(void)state;
	for (int i = 0; i < 300; i++) {
		struct candidates c;
		size_t count = unit_below(&seed, LISTS + 1);

		candidates_init(&c);
		for (size_t k = 0; k < count; k++) {
			size_t n = unit_below(&seed, 50) == 0 ? 0 :
			    1 + unit_below(&seed, 2);

			memset(lists[k], 0, sizeof lists[k]);
			for (size_t j = 0; j < n; j++) {
				make_text(&seed, texts[k][j], 6, "abc*");
				lists[k][j] = texts[k][j];
			}
			assert_int_equal(candidates_add(&c, n == 0 ? NULL :
			    lists[k], k), 0);
		}
		candidates_sort(&c);
		for (int k = 0; k < 30; k++) {
			char text[8];
			struct asked asked = { .text = text };
			size_t want = 0;

			make_text(&seed, text, 6, "abc");
			while (want < count && !matches(want, text))
				want++;
			if (want == count)
				want = CANDIDATES_NONE;
			assert_int_equal(candidates_first(&c, text, fits,
			    &asked), want);
			found += want != CANDIDATES_NONE;
			none += want == CANDIDATES_NONE;
		}
		candidates_free(&c);
	}
	assert_true(found > 1000 && none > 1000);
}

/* Of many lists, few are asked for. */
static void
many(void **state)
{
	static char names[10000][16];
	static char expression[] = "~x|y";
	char *list[] = { NULL, NULL };
	struct candidates c;
	struct asked asked = { .text = "nobody" };

	(void)state;
	lists[0][0] = texts[0][0];
	(void)snprintf(texts[0][0], sizeof texts[0][0], "no*");
	lists[0][1] = NULL;
	candidates_init(&c);
	for (size_t i = 0; i < 10000; i++) {
		(void)snprintf(names[i], sizeof names[i], "%s%zu%s",
		    i % 2 == 0 ? "host" : "", i, i % 3 == 0 ? "-*" : "");
		list[0] = names[i];
		assert_int_equal(candidates_add(&c, list, i + 1), 0);
	}
	/* An expression is always looked at. */
	list[0] = expression;
	assert_int_equal(candidates_add(&c, list, 0), 0);
	assert_int_equal(candidates_add(&c, lists[0], 0), 0);
	candidates_sort(&c);
	assert_int_equal(candidates_first(&c, "nobody", fits, &asked), 0);
	assert_true(asked.times <= 2);
	asked = (struct asked){ .text = "host777x" };
	assert_int_equal(candidates_first(&c, "host777x", fits, &asked),
	    CANDIDATES_NONE);
	assert_true(asked.times <= 5);
	candidates_free(&c);
	/* Without lists there is nothing to find. */
	assert_int_equal(candidates_first(&c, "nobody", fits, &asked),
	    CANDIDATES_NONE);
}

static void
without_memory(void **state)
{
	struct candidates c;
	int failures = 0;
	bool done;

	(void)state;
	do {
		candidates_init(&c);
		memory_fail_at(failures++);
		done = true;
		for (size_t i = 0; i < 40 && done; i++)
			done = candidates_add(&c, NULL, i) == 0;
		assert_int_equal(done, !memory_has_failed());
		candidates_free(&c);
	} while (!done);
	assert_true(failures > 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_defined),
		cmocka_unit_test(many),
		cmocka_unit_test(without_memory),
	};

	return cmocka_run_group_tests_name("candidates", tests, NULL, NULL);
}
