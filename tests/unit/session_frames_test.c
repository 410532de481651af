/*
 * Tests of daemon/front/session: what a client may send, and when.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include "tests/unit/sessions.h"

#include "daemon/exec/stream.h"

enum { IDLE = 1, BODY = 2, BUSY = 4 };

/* The frames that a client may send, with a payload that is good, and when. */
static const struct {
	uint8_t type;
	bool of_request;
	unsigned states;
	const char *payload;
	size_t length;
} legal[] = {
	/* OPERATION is LIST, and the credit is none. */
	{ PROTO_REQUEST_PART, true, IDLE | BODY | BUSY, "\1\0\0\0\1\4", 6 },
	{ PROTO_REQUEST, true, IDLE | BODY | BUSY, "\1\0\0\0\1\4"
	    "\6\0\0\0\10\0\0\0\0\0\0\0\0", 19 },
	{ PROTO_STDIN, true, BUSY, "x", 1 },
	{ PROTO_STDIN_EOF, true, BUSY, "", 0 },
	{ PROTO_SIGNAL, true, BUSY, "USR1", 4 },
	{ PROTO_CANCEL, true, BUSY, "", 0 },
	{ PROTO_CLOSE, true, BUSY, "\2", 1 },
	{ PROTO_WINDOW, true, BUSY, "\1\0\0\0\1", 5 },
	{ PROTO_PING, false, IDLE | BODY | BUSY, "12345678", 8 },
	{ PROTO_PONG, false, IDLE | BODY | BUSY, "12345678", 8 },
	{ PROTO_GOODBYE, false, IDLE | BODY | BUSY, "\0\0", 2 },
};

/* Bring the session to "state". */
static void
reach(unsigned state)
{
	begin(EVERYTHING, "");
	number = 1;
	if (state == BODY) {
		put(PROTO_REQUEST_PART, number, legal[0].payload, 6);
		settle(10);
	} else if (state == BUSY) {
		number = 0;
		ask_shell("trap : USR1; while :; do sleep 1; done", true,
		    PLENTY);
		(void)expect_started();
	}
}

/* Every type in every state, with a request's number and without. */
static void
every_frame(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3 * 2 * 0x30; i++) {
		unsigned when = 1u << i % 3, type = i / 6;
		bool of_request = i / 3 % 2 == 0, good = false;
		size_t k = 0;

		while (k < COUNT(legal) && legal[k].type != type)
			k++;
		if (k < COUNT(legal))
			good = legal[k].of_request == of_request &&
			    (legal[k].states & when) != 0;
		reach(when);
		/* The next one would have a number of its own. */
		if (when == BUSY && (type == PROTO_REQUEST ||
		    type == PROTO_REQUEST_PART))
			number++;
		put((enum proto_type)type, of_request ? number : 0,
		    k < COUNT(legal) ? legal[k].payload : "x",
		    k < COUNT(legal) ? legal[k].length : 1);
		if (!good)
			(void)expect_code(PROTO_GOODBYE, PROTO_CODE_PROTOCOL);
		else if (type == PROTO_PING)
			assert_memory_equal(expect(PROTO_PONG)->payload,
			    "12345678", 8);
		else if (type == PROTO_GOODBYE)
			expect_over();
		else if (type != PROTO_REQUEST || when != BODY) {
			settle(5);
			for (; got_seen < got_count; got_seen++)
				assert_int_not_equal(got[got_seen].type,
				    PROTO_GOODBYE);
		}
		end();
	}
}

static void
types_of_no_meaning(void **state)
{
	(void)state;
	for (unsigned type = 0x30; type < 256; type += 7) {
		begin(EVERYTHING, "");
		put((enum proto_type)type, 0, "x", 1);
		(void)expect_code(PROTO_GOODBYE, PROTO_CODE_PROTOCOL);
		end();
	}
}

static void
bad_payloads(void **state)
{
	static const struct {
		unsigned when;
		enum proto_type type;
		const char *payload;
		size_t length;
	} rows[] = {
		{ IDLE, PROTO_REQUEST_PART, "", 0 },
		{ IDLE, PROTO_REQUEST, "", 0 },
		{ IDLE, PROTO_REQUEST, "\1\0\0\0\1", 5 },
		{ IDLE, PROTO_REQUEST, "\1\0\0\0\1\7", 6 },
		{ IDLE, PROTO_REQUEST, "\1\0\0\0\1\0", 6 },
		{ IDLE, PROTO_REQUEST, "\1\377\377\377\377\1", 6 },
		{ IDLE, PROTO_REQUEST, "\2\0\0\0\1a", 6 },
		{ IDLE, PROTO_PING, "123456789", 9 },
		{ IDLE, PROTO_PONG, "123456789", 9 },
		{ IDLE, PROTO_GOODBYE, "\0", 1 },
		{ BUSY, PROTO_STDIN, "", 0 },
		{ BUSY, PROTO_STDIN_EOF, "x", 1 },
		{ BUSY, PROTO_SIGNAL, "", 0 },
		{ BUSY, PROTO_SIGNAL, "term", 4 },
		{ BUSY, PROTO_SIGNAL, "TERMTERMTERM", 12 },
		{ BUSY, PROTO_SIGNAL, "TERM ", 5 },
		{ BUSY, PROTO_CANCEL, "x", 1 },
		{ BUSY, PROTO_CLOSE, "", 0 },
		{ BUSY, PROTO_CLOSE, "\0", 1 },
		{ BUSY, PROTO_CLOSE, "\1\xff\0\0\0", 5 },
		{ BUSY, PROTO_WINDOW, "\1\0\0\0", 4 },
		{ BUSY, PROTO_WINDOW, "\1\0\0\0\1\0", 6 },
		{ BUSY, PROTO_WINDOW, "\0\0\0\0\1", 5 },
		{ BUSY, PROTO_WINDOW, "\3\0\0\0\1", 5 },
		{ BUSY, PROTO_WINDOW, "\377\0\0\0\1", 5 },
		/* With PLENTY, it is one above PROTO_WINDOW_MAX. */
		{ BUSY, PROTO_WINDOW, "\1\3\360\0\1", 5 },
		{ BUSY, PROTO_WINDOW, "\1\377\377\377\377", 5 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		bool none = rows[i].type >= PROTO_PING;

		reach(rows[i].when);
		put(rows[i].type, none ? 0 : number, rows[i].payload,
		    rows[i].length);
		(void)expect_code(PROTO_GOODBYE, PROTO_CODE_PROTOCOL);
		end();
	}
	/* Input after its end, and its end a second time. */
	reach(BUSY);
	put(PROTO_STDIN_EOF, number, NULL, 0);
	put(PROTO_STDIN, number, "x", 1);
	(void)expect_code(PROTO_GOODBYE, PROTO_CODE_PROTOCOL);
	end();
	reach(BUSY);
	put(PROTO_STDIN_EOF, number, NULL, 0);
	put(PROTO_STDIN_EOF, number, NULL, 0);
	(void)expect_code(PROTO_GOODBYE, PROTO_CODE_PROTOCOL);
	end();
}

/* A client that sends more than it may is sent away. */
static void
input_without_credit(void **state)
{
	static uint8_t bytes[PROTO_PAYLOAD_MAX];
	uint32_t sent = 0;

	(void)state;
	begin(EVERYTHING, "");
	ask_shell("sleep 60", true, PLENTY);
	(void)expect_started();
	while (sent + sizeof bytes <= STREAM_INPUT_WINDOW) {
		put(PROTO_STDIN, number, bytes, sizeof bytes);
		sent += (uint32_t)sizeof bytes;
		settle(10);
	}
	put(PROTO_STDIN, number, bytes, STREAM_INPUT_WINDOW - sent);
	expect_nothing();
	put(PROTO_STDIN, number, bytes, 1);
	assert_non_null(strstr(expect_code(PROTO_GOODBYE,
	    PROTO_CODE_PROTOCOL), "window"));
	end();
	/* And one that has no credit at all. */
	begin(EVERYTHING, "");
	ask_shell("sleep 60", false, PLENTY);
	(void)expect_started();
	put(PROTO_STDIN, number, bytes, 1);
	(void)expect_code(PROTO_GOODBYE, PROTO_CODE_PROTOCOL);
	end();
}

/* Numbers go up, and a request is not begun within another. */
static void
request_numbers(void **state)
{
	(void)state;
	begin(EVERYTHING, "");
	number = 4;
	expect_served();
	number = 99;
	expect_served();
	number = UINT32_MAX - 1;
	expect_served();
	end();

	/* The same again, and one before it. */
	for (uint32_t back = 1; back < 4; back += 2) {
		begin(EVERYTHING, "");
		number = 4;
		expect_served();
		number -= back;
		ask_word(PROTO_RUN, "true");
		(void)expect_code(PROTO_GOODBYE, PROTO_CODE_PROTOCOL);
		end();
	}

	begin(EVERYTHING, "");
	put(PROTO_REQUEST_PART, 1, legal[0].payload, 6);
	put(PROTO_REQUEST, 2, legal[0].payload, 6);
	(void)expect_code(PROTO_GOODBYE, PROTO_CODE_PROTOCOL);
	end();

	/* A frame about a request that has not been. */
	reach(BUSY);
	put(PROTO_SIGNAL, number + 1, "TERM", 4);
	(void)expect_code(PROTO_GOODBYE, PROTO_CODE_PROTOCOL);
	end();
}

/* What crosses the end of its command on the way is no mistake. */
static void
late_frames(void **state)
{
	uint32_t before;

	(void)state;
	begin(EVERYTHING, "");
	expect_served();
	for (int i = 0; i < 2; i++) {
		before = number;
		put(PROTO_STDIN, before, "x", 1);
		put(PROTO_STDIN_EOF, before, NULL, 0);
		put(PROTO_SIGNAL, before, "TERM", 4);
		put_window(before, PROTO_STREAM_STDOUT, 1);
		expect_nothing();
		/* While another one runs as well. */
		ask_shell("read line; exit 3", true, PLENTY);
		(void)expect_started();
		put(PROTO_SIGNAL, before, "KILL", 4);
		put(PROTO_STDIN, before, "x\n", 2);
		expect_nothing();
		put(PROTO_STDIN, number, "x\n", 2);
		assert_int_equal(expect_exit().status, 3);
	}
	end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_frame),
		cmocka_unit_test(types_of_no_meaning),
		cmocka_unit_test(bad_payloads),
		cmocka_unit_test(input_without_credit),
		cmocka_unit_test(request_numbers),
		cmocka_unit_test(late_frames),
	};

	return cmocka_run_group_tests_name("session_frames", tests,
	    sessions_enter, sessions_leave);
}
