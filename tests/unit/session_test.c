/*
 * Tests of daemon/front/session: its limits, its end, a reload.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "tests/unit/sessions.h"

static void
hello(void **state)
{
	static const uint8_t wanted[] = {
		PROTO_ITEM_SESSION, 0, 0, 0, 4, 't', 'e', 's', 't',
		PROTO_ITEM_SERVER, 0, 0, 0,
		sizeof "aisd " PACKAGE_VERSION - 1
	};
	char text[256];

	(void)state;
	begin(EVERYTHING, "");
	assert_int_equal(got[0].request, 0);
	assert_memory_equal(got[0].payload, wanted, sizeof wanted);
	assert_memory_equal(got[0].payload + got[0].length - 5, "alice", 5);
	assert_true(session_is_idle(session));
	assert_false(session_is_over(session));
	session_describe(session, text, sizeof text);
	assert_string_equal(text, "serving alice from 192.0.2.7: idle");
	end();
	assert_string_equal(record, "session-open\nsession-close reason=done "
	    "commands=0 stdout_bytes=0\n");
}

static void
idle_limit(void **state)
{
	(void)state;
	begin(EVERYTHING, "idle_timeout = \"200 ms\";");
	/* A command is not idle, however long it takes. */
	ask_shell("sleep 0.5", false, PLENTY);
	(void)expect_started();
	(void)expect_exit();
	assert_non_null(strstr(expect_code(PROTO_GOODBYE, PROTO_CODE_TIMEOUT),
	    "idle"));
	expect_over();
	expect_record("session-close reason=idle");
	end();
}

static void
stopping(void **state)
{
	struct frame_exit e;
	struct failure why;

	(void)state;
	failure_set(&why, PROTO_CODE_STOPPING, "it stops");
	begin(EVERYTHING, "");
	session_stop(session, &why, "stopping");
	assert_string_equal(expect_code(PROTO_GOODBYE, PROTO_CODE_STOPPING),
	    "it stops");
	expect_over();
	expect_record("session-close reason=stopping");
	end();

	/* First the command's end, with the reason, and then the session's. */
	begin(EVERYTHING, "");
	ask_shell("trap 'echo bye; exit 5' TERM; while :; do sleep 0.05; done",
	    false, PLENTY);
	(void)expect_started();
	settle(100);
	session_stop(session, &why, "stopping");
	e = expect_exit();
	assert_int_equal(e.reason, PROTO_CODE_STOPPING);
	assert_int_equal(e.end, PROTO_END_EXIT);
	assert_int_equal(e.status, 5);
	assert_string_equal(output[0], "bye\n");
	(void)expect_code(PROTO_GOODBYE, PROTO_CODE_STOPPING);
	expect_over();
	expect_record("command-end reason=stopping exit=5");
	end();
}

/* Cut the connection: without a word, as a cable does. */
static void
cut(void)
{
	assert_int_equal(shutdown(conn_fd(client), SHUT_RDWR), 0);
	close_client();
}

static void
lost_client(void **state)
{
	struct stat st;

	(void)state;
	begin(EVERYTHING, "");
	ask_shell("trap '' TERM; (setsid sleep 61 &); echo x; sleep 60; "
	    "touch went-on", false, PLENTY);
	(void)expect_started();
	wait_for_output(2);
	cut();
	expect_over();
	expect_record("command-end reason=the connection was cut signal=9");
	expect_record("session-close reason=the connection was cut");
	end();
	assert_int_equal(stat("went-on", &st), -1);

	/* It said goodbye, in the middle of its command. */
	begin(EVERYTHING, "");
	ask_shell("sleep 60", false, PLENTY);
	(void)expect_started();
	put(PROTO_GOODBYE, 0, "\0\0", 2);
	expect_over();
	expect_record("command-end reason=the client went away in the middle "
	    "of a request signal=15");
	end();
}

/* Where the rule says so, a command outlives its client. */
static void
lost_client_of_one_that_finishes(void **state)
{
	struct stat st;

	(void)state;
	begin(EVERYTHING, "on_disconnect = \"finish\";");
	ask_shell("echo x; sleep 0.3; echo y; touch went-on", false, PLENTY);
	(void)expect_started();
	wait_for_output(2);
	cut();
	settle(50);
	assert_false(session_is_over(session));
	expect_over();
	expect_record("command-end reason=exit exit=0");
	end();
	assert_int_equal(stat("went-on", &st), 0);
}

/* What a command has left behind is ended with the session, or kept. */
static void
left_behind(void **state)
{
	(void)state;
	begin(EVERYTHING, "");
	ask_shell("setsid sleep 60 >/dev/null 2>&1 &", false, PLENTY);
	(void)expect_started();
	assert_int_equal(expect_exit().status, 0);
	expect_served();
	assert_false(tree_is_empty());
	end();

	begin(EVERYTHING, "background = \"keep\";");
	ask_shell("setsid sleep 60 >/dev/null 2>&1 & echo $!", false, PLENTY);
	(void)expect_started();
	assert_int_equal(expect_exit().status, 0);
	close_client();
	expect_over();
	assert_false(tree_is_empty());
	assert_int_equal(kill((pid_t)strtol(output[0], NULL, 10), SIGKILL),
	    0);
	while (!tree_is_empty())
		reap();
	end();
}

static void
reloaded(void **state)
{
	struct settings *old;

	(void)state;
	begin(EVERYTHING, "");
	expect_served();
	/* The next request is decided by the new rules. */
	old = settings;
	settings = NULL;
	session_configure(session, configure("{ peers = \"alice\"; commands = "
	    "( \"/bin/true\" ); }", ""));
	settings_free(old);
	expect_served();
	ask_word(PROTO_RUN, "id");
	(void)expect_code(PROTO_REFUSED, PROTO_CODE_DENIED);
	/* And where none is for this client any more, that is its end. */
	old = settings;
	settings = NULL;
	session_configure(session, configure("{ peers = \"bob\"; anything = "
	    "true; }", ""));
	settings_free(old);
	(void)expect_code(PROTO_GOODBYE, PROTO_CODE_DENIED);
	expect_over();
	expect_record("session-close reason=no-rule");
	end();
}

static void
judged(void **state)
{
	struct tls_files f = { .certificate = "server.pem",
	    .key = "server.key", .authority = "other/ca.pem" };
	struct failure why;
	struct tls_context *other = tls_server_new(&f, &why);

	(void)state;
	assert_non_null(other);
	begin(EVERYTHING, "");
	assert_true(session_expires(session) > 0);
	session_reverify(session, server_context);
	expect_served();
	ask_shell("sleep 60", false, PLENTY);
	(void)expect_started();
	session_reverify(session, other);
	assert_int_equal(expect_exit().reason, PROTO_CODE_DENIED);
	(void)expect_code(PROTO_GOODBYE, PROTO_CODE_DENIED);
	expect_over();
	expect_record("command-end reason=untrusted");
	expect_record("session-close reason=untrusted");
	end();
	tls_context_free(other);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hello),
		cmocka_unit_test(idle_limit),
		cmocka_unit_test(stopping),
		cmocka_unit_test(lost_client),
		cmocka_unit_test(lost_client_of_one_that_finishes),
		cmocka_unit_test(left_behind),
		cmocka_unit_test(reloaded),
		cmocka_unit_test(judged),
	};

	return cmocka_run_group_tests_name("session", tests,
	    sessions_enter, sessions_leave);
}
