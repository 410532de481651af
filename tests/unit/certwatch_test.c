/* Unit tests of certwatch.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <stdint.h>
#include <string.h>

#include "certificates.h"
#include "unit.h"

#include "common/base/clock.h"
#include "common/base/date.h"
#include "common/base/pollset.h"
#include "common/tls/tls.h"
#include "daemon/conf/settings.h"
#include "daemon/certwatch.h"

static char directory[UNIT_PATH_MAX];
static struct tls_context *context;
static struct settings settings;
static struct certwatch *certwatch;
static struct pollset ps;

static int
enter(void **state)
{
	struct tls_files files = { .certificate = "server.pem",
	    .key = "server.key", .authority = "site/ca.pem" };
	struct failure why;

	(void)state;
	unit_enter(directory);
	assert_int_equal(certificates_make(), 0);
	assert_non_null(context = tls_server_new(&files, &why));
	assert_int_equal(pollset_init(&ps, 4), 0);
	return 0;
}

static int
leave(void **state)
{
	(void)state;
	pollset_free(&ps);
	tls_context_free(context);
	unit_leave(directory);
	return 0;
}

static int
begin(void **state)
{
	(void)state;
	assert_non_null(certwatch = certwatch_new());
	memset(&settings, 0, sizeof settings);
	certwatch_configure(certwatch, &settings, context);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	certwatch_free(certwatch);
	return 0;
}

/* Take turns for "ms", with "second" to be woken at.  How many turns; and how
 * many alarms are in "alarms". */
static int
turns(int64_t second, int64_t ms, int *alarms)
{
	int64_t deadline = clock_in(ms);
	int count = 0;

	for (*alarms = 0; !clock_past(deadline); count++) {
		pollset_clear(&ps);
		pollset_deadline(&ps, deadline);
		certwatch_poll(certwatch, &ps, second);
		assert_true(pollset_wait(&ps, NULL) >= 0);
		*alarms += certwatch_dispatch(certwatch, &ps) ==
		    CERTWATCH_ALARM;
	}
	return count;
}

/* Who goes on to ask for it is answered, and does not keep the loop busy. */
static void
second_that_has_passed(void **state)
{
	int alarms, count;

	(void)state;
	count = turns(date_now() - 10, 500, &alarms);
	assert_int_equal(alarms > 0, 1);
	assert_true(count < 10);
	/* As a certificate of 2050 was where timegm(3) knows no such year. */
	assert_true(turns(-1, 500, &alarms) < 10);
}

static void
second_that_comes(void **state)
{
	int64_t before = date_now();
	int alarms;

	(void)state;
	(void)turns(before - 10, 10, &alarms);
	while (alarms == 0 || date_now() <= before) {
		(void)turns(before + 1, 100, &alarms);
		assert_true(date_now() < before + 60);
	}
}

/* Beyond what a time_t of 32 bits can hold. */
static void
second_of_2050(void **state)
{
	int alarms;

	(void)state;
	assert_true(turns(INT64_C(2524608000), 100, &alarms) < 10);
	assert_int_equal(alarms, 0);
	assert_true(turns(CERTWATCH_NEVER, 100, &alarms) < 10);
	assert_int_equal(alarms, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(second_that_has_passed, begin,
		    end),
		cmocka_unit_test_setup_teardown(second_that_comes, begin, end),
		cmocka_unit_test_setup_teardown(second_of_2050, begin, end),
	};

	return cmocka_run_group_tests_name("certwatch", tests, enter, leave);
}
