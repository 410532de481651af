/* Unit tests of daemon/record/syslog.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <time.h>

#include "tests/unit/socket.h"
#include "tests/unit/unit.h"

#include "common/base/log.h"
#include "daemon/record/syslog.h"

/* 2023-11-05, a day of one digit, in UTC. */
#define TIME_US	(INT64_C(1699195205) * 1000000 + 999999)

static char folder[UNIT_PATH_MAX];

static void
message(void **state)
{
	static const struct log_field field = { "peer", "a\n\"", 3 };
	struct log_event e = { .level = LOG_LEVEL_WARNING,
	    .name = "command-refused", .text = "no", .fields = &field,
	    .count = 1, .time_us = TIME_US };
	char text[512], wanted[512];
	int fd = socket_bind("log", SOCK_DGRAM);
	struct log_sink *sink;

	(void)state;
	assert_int_equal(setenv("TZ", "UTC-3", 1), 0);
	sink = syslog_open("log", "aisx");
	assert_string_equal(sink->name, "syslog");
	assert_int_equal(sink->take(sink->context, &e), 0);
	(void)snprintf(wanted, sizeof wanted, "<28>Nov  5 17:40:05 aisx[%ld]: "
	    "event=command-refused peer=\"a\\n\\\"\" msg=no", (long)getpid());
	assert_int_not_equal(socket_read(fd, text, sizeof text), -1);
	assert_string_equal(text, wanted);
	/* One more is one datagram more. */
	e.level = LOG_LEVEL_NOTICE;
	assert_int_equal(sink->take(sink->context, &e), 0);
	assert_int_not_equal(socket_read(fd, text, sizeof text), -1);
	assert_memory_equal(text, "<29>", 4);
	assert_int_equal(socket_read(fd, text, sizeof text), -1);
	assert_int_equal(close(fd), 0);
	assert_int_equal(sink->take(sink->context, &e), -1);
	assert_int_equal(errno, ECONNREFUSED);
}

static int
enter(void **state)
{
	(void)state;
	unit_enter(folder);
	return 0;
}

static int
leave(void **state)
{
	(void)state;
	unit_leave(folder);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(message),
	};

	return cmocka_run_group_tests_name("syslog", tests, enter, leave);
}
