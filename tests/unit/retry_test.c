/* Unit tests of common/base/retry.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <errno.h>

#include "tests/unit/unit.h"

#include "common/base/clock.h"
#include "common/base/retry.h"

/* Pauses grow, and not without end. */
static void
pauses(void **state)
{
	static const int64_t lengths[] = { 1000, 2000, 4000, 8000, 16000,
	    32000, 60000, 60000 };
	struct retry r;

	(void)state;
	for (int round = 0; round < 2; round++) {
		retry_stop(&r);
		assert_false(clock_past(r.next));
		assert_int_equal(clock_left(r.next), -1);
		for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
			retry_later(&r);
			assert_in_range(clock_left(r.next), lengths[i] - 500,
			    lengths[i]);
		}
	}
}

static void
errors(void **state)
{
	static const int pass[] = { EMFILE, ENFILE, ENOMEM, EIO, ENOENT,
	    ENOSPC, ESTALE, ETIMEDOUT, EADDRINUSE, EADDRNOTAVAIL };
	static const int stay[] = { 0, EACCES, EPERM, EISDIR, ENOTDIR, ELOOP,
	    ENAMETOOLONG, EINVAL, EFBIG, ENODEV };

	(void)state;
	for (size_t i = 0; i < sizeof pass / sizeof *pass; i++)
		assert_true(retry_may_help(pass[i]));
	for (size_t i = 0; i < sizeof stay / sizeof *stay; i++)
		assert_false(retry_may_help(stay[i]));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pauses),
		cmocka_unit_test(errors),
	};

	return cmocka_run_group_tests_name("retry", tests, NULL, NULL);
}
