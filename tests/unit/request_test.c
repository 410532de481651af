/*
 * Tests of daemon/front/request: how requests are answered.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <sys/stat.h>

#include "tests/unit/memory.h"
#include "tests/unit/sessions.h"

#include "daemon/exec/stream.h"

static void
one_command(void **state)
{
	struct frame_exit e;
	char text[256];

	(void)state;
	begin(EVERYTHING, "");
	ask_shell("echo out; echo err >&2; read line; exit 7", true, PLENTY);
	assert_int_equal(expect_started(),
	    STREAM_INPUT_WINDOW - PROTO_STDIN_FIRST);
	assert_false(session_is_idle(session));
	session_describe(session, text, sizeof text);
	assert_memory_equal(text, "serving alice from 192.0.2.7: ", 30);
	assert_non_null(strstr(text, " (0 s)"));
	/* It was put on record before it ran. */
	expect_record("command-start\n");
	assert_null(strstr(record, "command-end"));
	put(PROTO_STDIN, number, "x\n", 2);
	put(PROTO_STDIN_EOF, number, NULL, 0);
	e = expect_exit();
	assert_int_equal(e.end, PROTO_END_EXIT);
	assert_int_equal(e.status, 7);
	assert_int_equal(e.reason, PROTO_CODE_NONE);
	assert_int_equal(e.out_bytes, 4);
	assert_int_equal(e.err_bytes, 4);
	assert_true(e.duration_us > 0 && e.duration_us < 60000000);
	assert_string_equal(output[0], "out\n");
	assert_string_equal(output[1], "err\n");
	assert_true(session_is_idle(session));
	expect_record("command-end reason=exit exit=7");
	/* One after the other, on one session. */
	for (int i = 0; i < 20; i++)
		expect_served();
	end();
	expect_record("session-close reason=done commands=21");
}

/* What cannot run is answered, each in its own way, and the session goes on. */
static void
refusals(void **state)
{
	static const struct {
		const char *word;
		enum proto_code code;
		const char *event;
	} rows[] = {
		{ "no-such-command", PROTO_CODE_UNKNOWN, "command-end" },
		{ "/no/such", PROTO_CODE_UNKNOWN, "command-end" },
		{ "", PROTO_CODE_UNKNOWN, "command-refused" },
		{ "/etc/passwd", PROTO_CODE_NOT_EXECUTABLE, "command-end" },
		{ "/etc", PROTO_CODE_NOT_EXECUTABLE, "command-end" },
	};

	(void)state;
	begin(EVERYTHING, "");
	for (size_t i = 0; i < COUNT(rows); i++) {
		record[0] = '\0';
		ask_word(PROTO_RUN, rows[i].word);
		(void)expect_code(PROTO_REFUSED, rows[i].code);
		expect_record(rows[i].event);
		expect_served();
	}
	end();
	begin("{ peers = \"alice\"; commands = ( \"/bin/true\" ); }", "");
	ask_word(PROTO_RUN, "id");
	assert_non_null(strstr(expect_code(PROTO_REFUSED, PROTO_CODE_DENIED),
	    "does not grant the command id"));
	expect_record("command-refused reason=the rule");
	ask_shell("true", false, PLENTY);
	(void)expect_code(PROTO_REFUSED, PROTO_CODE_DENIED);
	ask_word(PROTO_CHDIR, "/");
	(void)expect_code(PROTO_REFUSED, PROTO_CODE_DENIED);
	expect_served();
	end();
	assert_null(strstr(record, "command-start\ncommand-refused"));
}

/* A value that cannot be used ends the request, and not the session. */
static void
unusable_values(void **state)
{
	char nul[] = "\1\0\0\0\1\1\2\0\0\0\3a\0b";

	(void)state;
	begin(EVERYTHING, "");
	put(PROTO_REQUEST, ++number, nul, sizeof nul - 1);
	(void)expect_code(PROTO_REFUSED, PROTO_CODE_INVALID);
	expect_served();
	end();
}

/* A command that no log takes does not run. */
static void
no_record(void **state)
{
	struct stat st;

	(void)state;
	begin(EVERYTHING, "");
	record_fails = true;
	ask_shell("touch it-ran", false, PLENTY);
	(void)expect_code(PROTO_REFUSED, PROTO_CODE_AUDIT);
	record_fails = false;
	expect_served();
	end();
	assert_int_equal(stat("it-ran", &st), -1);
}

/* What keeps a command from its start is told by its own name. */
static void
not_started(void **state)
{
	(void)state;
	/* The rule's directory, and not ".", cannot be entered. */
	begin("{ peers = \"*\"; shell = true; directory = "
	    "\"/no/such/place\"; }", "");
	ask_shell("true", false, PLENTY);
	assert_non_null(strstr(expect_code(PROTO_REFUSED,
	    PROTO_CODE_DIRECTORY), "cannot enter the directory "
	    "/no/such/place: "));
	end();
}

static void
directories(void **state)
{
	const struct got *g;

	(void)state;
	assert_int_equal(mkdir("below", 0700), 0);
	begin(EVERYTHING, "");
	ask_word(PROTO_CHDIR, "below");
	g = expect(PROTO_DIRECTORY);
	assert_int_equal(g->request, number);
	assert_int_equal(g->length, strlen(directory) + 6);
	assert_memory_equal(g->payload, directory, strlen(directory));
	ask_shell("pwd", false, PLENTY);
	(void)expect_started();
	(void)expect_exit();
	assert_non_null(strstr(output[0], "/below\n"));
	/* One that fails leaves it as it is. */
	ask_word(PROTO_CHDIR, "nowhere");
	(void)expect_code(PROTO_REFUSED, PROTO_CODE_DIRECTORY);
	ask_word(PROTO_CHDIR, "..");
	g = expect(PROTO_DIRECTORY);
	assert_int_equal(g->length, strlen(directory));
	ask_word(PROTO_CHDIR, "/");
	assert_int_equal(expect(PROTO_DIRECTORY)->length, 1);
	/* Without a word: where the session began. */
	ask_word(PROTO_CHDIR, NULL);
	assert_int_equal(expect(PROTO_DIRECTORY)->length, strlen(directory));
	end();
	/* These are no commands, and on no record. */
	expect_record("session-close reason=done commands=1");
}

static void
questions(void **state)
{
	(void)state;
	begin("{ name = \"r\"; peers = \"alice\"; commands = ( \"/bin/true\" );"
	    " }", "");
	ask_word(PROTO_LIST, NULL);
	(void)expect_started();
	assert_int_equal(expect_exit().status, 0);
	assert_string_equal(output[0], "true\t\n");
	output_bytes[0] = 0;
	ask_word(PROTO_CAN, "true");
	(void)expect_started();
	assert_int_equal(expect_exit().status, 0);
	ask_word(PROTO_CAN, "id");
	(void)expect_started();
	assert_int_equal(expect_exit().status, 1);
	output[0][output_bytes[0]] = '\0';
	assert_non_null(strstr(output[0], "does not grant the command id"));
	end();
	expect_record("session-close reason=done commands=0");
}

/* Lack of memory is no answer to "may I?". */
static void
can_without_memory(void **state)
{
	bool failed = true, refused = false;

	(void)state;
	for (int n = 0; failed; n++) {
		begin(EVERYTHING, "");
		ask_word(PROTO_CAN, "true");
		(void)conn_write(client);
		pollset_clear(&ps);
		session_poll(session, &ps);
		assert_true(pollset_wait(&ps, NULL) > 0);
		memory_fail_at(n);
		session_dispatch(session, &ps);
		failed = memory_has_failed();
		while (got_seen == got_count && !session_is_over(session))
			one_round();
		if (got_seen < got_count &&
		    got[got_seen].type == PROTO_STARTED) {
			(void)expect_started();
			assert_int_equal(expect_exit().status, 0);
		} else if (got_seen < got_count &&
		    got[got_seen].type == PROTO_REFUSED) {
			(void)expect_code(PROTO_REFUSED,
			    PROTO_CODE_RESOURCES);
			refused = true;
		}
		end();
	}
	assert_true(refused);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_command),
		cmocka_unit_test(refusals),
		cmocka_unit_test(unusable_values),
		cmocka_unit_test(no_record),
		cmocka_unit_test(not_started),
		cmocka_unit_test(directories),
		cmocka_unit_test(questions),
		cmocka_unit_test(can_without_memory),
	};

	return cmocka_run_group_tests_name("request", tests,
	    sessions_enter, sessions_leave);
}
