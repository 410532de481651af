/*
 * Tests of daemon/exec/command, in a session: signals, windows, limits.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <fcntl.h>
#include <signal.h>

#include "tests/unit/sessions.h"

#include "common/base/fd.h"
#include "daemon/exec/child.h"
#include "daemon/exec/command.h"
#include "daemon/exec/stream.h"

static void
signals(void **state)
{
	static const struct {
		const char *name;
		int number;
	} rows[] = {
		{ "HUP", SIGHUP }, { "INT", SIGINT }, { "QUIT", SIGQUIT },
		{ "KILL", SIGKILL }, { "TERM", SIGTERM }, { "USR1", SIGUSR1 },
		{ "USR2", SIGUSR2 },
	};
	static const char *const unknown[] = { "STOP", "SIGTERM", "9", "WINCH",
	    "TER", "RTMIN+3" };

	(void)state;
	begin(EVERYTHING, "");
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct frame_exit e;

		ask_shell("ulimit -c 0; exec sleep 60", false, PLENTY);
		(void)expect_started();
		put(PROTO_SIGNAL, number, rows[i].name,
		    strlen(rows[i].name));
		e = expect_exit();
		assert_int_equal(e.end, PROTO_END_SIGNAL);
		assert_int_equal(e.status, rows[i].number);
		assert_int_equal(e.reason, PROTO_CODE_NONE);
	}
	expect_record("command-end reason=signal signal=15");
	/* A name that we do not know changes nothing. */
	ask_shell("exec cat", true, PLENTY);
	(void)expect_started();
	for (size_t i = 0; i < COUNT(unknown); i++)
		put(PROTO_SIGNAL, number, unknown[i], strlen(unknown[i]));
	put(PROTO_STDIN, number, "x", 1);
	put(PROTO_STDIN_EOF, number, NULL, 0);
	assert_int_equal(expect_exit().out_bytes, 1);
	expect_served();
	end();
}

/* Not a byte more comes than there is credit for. */
static void
output_windows(void **state)
{
	(void)state;
	begin(EVERYTHING, "");
	ask_shell("head -c 3000 /dev/zero; echo x >&2", false, 10);
	(void)expect_started();
	wait_for_output(10);
	settle(50);
	assert_int_equal(output_bytes[0], 10);
	/* The other stream is not held up. */
	assert_int_equal(output_bytes[1], 2);
	put_window(number, PROTO_STREAM_STDOUT, 5);
	wait_for_output(15);
	settle(50);
	assert_int_equal(output_bytes[0], 15);
	/* It has ended, and its output waits for us all the same. */
	assert_false(session_is_idle(session));
	put_window(number, PROTO_STREAM_STDOUT, PROTO_WINDOW_MAX);
	assert_int_equal(expect_exit().out_bytes, 3000);
	assert_int_equal(output_bytes[0], 3000);
	end();
}

static void
input_windows(void **state)
{
	static uint8_t bytes[PROTO_PAYLOAD_MAX];
	uint32_t left = STREAM_INPUT_WINDOW;
	const struct got *g;
	struct frame f;
	uint8_t stream;
	uint32_t credit;

	(void)state;
	begin(EVERYTHING, "");
	ask_shell("read go; wc -c; sleep 0.1", true, PLENTY);
	assert_int_equal(expect_started(),
	    STREAM_INPUT_WINDOW - PROTO_STDIN_FIRST);
	put(PROTO_STDIN, number, "g\n", 2);
	left -= 2;
	/* What was taken is granted again, in time for more to follow. */
	for (size_t n; left > 0; left -= (uint32_t)n) {
		n = left > 50000 ? 50000 : left;
		put(PROTO_STDIN, number, bytes, n);
		one_round();
		one_round();
	}
	g = expect(PROTO_WINDOW);
	f.payload = g->payload;
	f.length = g->length;
	assert_int_equal(frame_get_window(&f, &stream, &credit), 0);
	assert_int_equal(stream, PROTO_STREAM_STDIN);
	assert_true(credit > 0 && credit <= STREAM_INPUT_WINDOW);
	put(PROTO_STDIN, number, bytes, 1);
	put(PROTO_STDIN_EOF, number, NULL, 0);
	(void)expect_exit();
	assert_int_equal(strtol(output[0], NULL, 10),
	    STREAM_INPUT_WINDOW - 1);
	end();
}

/* Ask for "n" bytes under a limit of "most". */
static void
limited_output(size_t most, size_t n)
{
	char text[64];
	struct frame_exit e;

	(void)snprintf(text, sizeof text, "output_limit = %zu;", most);
	begin(EVERYTHING, text);
	(void)snprintf(text, sizeof text, "head -c %zu /dev/zero%s", n,
	    n > most ? "; sleep 60" : "");
	ask_shell(text, false, PLENTY);
	(void)expect_started();
	e = expect_exit();
	assert_int_equal(e.reason, n > most ? PROTO_CODE_OUTPUT :
	    PROTO_CODE_NONE);
	assert_int_equal(e.out_bytes, n > most ? most : n);
	assert_int_equal(output_bytes[0], e.out_bytes);
	expect_record(n > most ? "command-end reason=output-limit" :
	    "command-end reason=exit exit=0");
	expect_served();
	end();
}

/* Exactly so many bytes, of both streams together. */
static void
output_limit(void **state)
{
	static const size_t limits[] = { 1, 1000, PROTO_PAYLOAD_MAX - 500,
	    PROTO_PAYLOAD_MAX, PROTO_PAYLOAD_MAX + 1, 200000 };
	struct frame_exit e;

	(void)state;
	for (size_t i = 0; i < COUNT(limits); i++) {
		limited_output(limits[i], limits[i]);
		limited_output(limits[i], limits[i] + 1);
		limited_output(limits[i], 2 * limits[i] + 100000);
	}
	begin(EVERYTHING, "output_limit = 1000;");
	ask_shell("head -c 600 /dev/zero; sleep 0.1; head -c 600 /dev/zero >&2;"
	    " sleep 60", false, PLENTY);
	(void)expect_started();
	e = expect_exit();
	assert_int_equal(e.reason, PROTO_CODE_OUTPUT);
	assert_int_equal(e.out_bytes + e.err_bytes, 1000);
	assert_int_equal(output_bytes[0] + output_bytes[1], 1000);
	end();
}

static void
time_limit(void **state)
{
	struct frame_exit e;

	(void)state;
	begin(EVERYTHING, "time_limit = \"300 ms\";");
	expect_served();
	ask_shell("sleep 60", false, PLENTY);
	(void)expect_started();
	e = expect_exit();
	assert_int_equal(e.reason, PROTO_CODE_TIMEOUT);
	assert_int_equal(e.end, PROTO_END_SIGNAL);
	assert_int_equal(e.status, SIGTERM);
	assert_true(e.duration_us >= 300000 && e.duration_us < 30000000);
	expect_record("command-end reason=time-limit");
	/* One that does not hear TERM, nor what it has started. */
	ask_shell("trap '' TERM; (trap '' TERM; sleep 61) & sleep 60; sleep 62",
	    false, PLENTY);
	(void)expect_started();
	e = expect_exit();
	assert_int_equal(e.reason, PROTO_CODE_TIMEOUT);
	assert_int_equal(e.status, SIGKILL);
	assert_int_equal(tree_count(&tree), 0);
	expect_served();
	end();
}

/* A holder of the pipes does not hold up the answer. */
static void
held_pipes(void **state)
{
	(void)state;
	begin(EVERYTHING, "");
	ask_shell("sleep 60 & echo done", false, PLENTY);
	(void)expect_started();
	assert_int_equal(expect_exit().status, 0);
	assert_string_equal(output[0], "done\n");
	end();
}

/* What cannot be ended on its way to its program has not started: the session
 * is not to wait for what it will never say. */
static void
stuck_before_its_start(void **state)
{
	struct child_failure f;
	struct command c;
	int report[2];

	(void)state;
	assert_int_equal(fd_pipe(report, 0), 0);
	command_init(&c, &tree);
	c.state = COMMAND_STARTING;
	c.child = (struct child){ .in = -1, .out = -1, .err = -1,
	    .report = report[0] };
	input_begin(&c.input, &c.child.in);
	output_begin(&c.outputs[0], PROTO_STDOUT, &c.child.out, 0);
	output_begin(&c.outputs[1], PROTO_STDERR, &c.child.err, 0);
	assert_int_equal(command_begun(&c, &f), 0);
	command_abandon(&c);
	assert_int_equal(command_begun(&c, &f), -1);
	assert_int_equal(f.stage, CHILD_STAGE_SETUP);
	assert_int_equal(c.state, COMMAND_NONE);
	assert_int_equal(fcntl(report[0], F_GETFD), -1);
	fd_close(&report[1]);
	command_free(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signals),
		cmocka_unit_test(output_windows),
		cmocka_unit_test(input_windows),
		cmocka_unit_test(output_limit),
		cmocka_unit_test(time_limit),
		cmocka_unit_test(held_pipes),
		cmocka_unit_test(stuck_before_its_start),
	};

	return cmocka_run_group_tests_name("command", tests,
	    sessions_enter, sessions_leave);
}
