/*
 * Tests of common/endpoint/endpoint, and of common/wire/credit in its handlers.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include "tests/unit/conns.h"
#include "tests/unit/unit.h"

#include "common/base/clock.h"
#include "common/base/pollset.h"
#include "common/endpoint/endpoint.h"
#include "common/wire/credit.h"

#define IDLE	1U
#define BODY	2U
#define BUSY	4U
#define WRONG	"the handler says so"
/* Of the stream that comes; small, so that it is overrun often. */
#define WINDOW	8

/* What has become of a frame. */
enum fate { NOTHING, HANDLED, VIOLATED, FULL, PONGED, LEFT };

static struct side {
	struct endpoint end;
	unsigned state;
	enum fate fate;
	struct frame last;	/* Its payload may have gone. */
	size_t handled;
	const char *wrong;	/* What the handler answers, */
	bool pauses;		/* and does, */
	bool holds;
	char what[128];
	uint16_t code;
	char text[PROTO_TEXT_MAX + 1];
	uint32_t retry;
	struct window in;	/* Of STDIN, */
	struct credit out[2];	/* and of what WINDOW is for. */
} side;
/* What is left of the three, said once more. */
static uint64_t left_in, left_out[2];
static struct conn *peer;

static const char *
on_any(void *owner, const struct frame *f)
{
	struct side *s = owner;

	s->fate = HANDLED;
	s->last = *f;
	s->handled++;
	s->end.paused = s->pauses;
	s->end.held = s->holds;
	return s->wrong;
}

static const char *
on_stdin(void *owner, const struct frame *f)
{
	const char *wrong = window_take(&side.in, f->length);

	return wrong != NULL ? wrong : on_any(owner, f);
}

static const char *
on_window(void *owner, const struct frame *f)
{
	const char *wrong = credit_window((struct credit *[]){ NULL,
	    &side.out[0], &side.out[1] }, f);

	return wrong != NULL ? wrong : on_any(owner, f);
}

static unsigned
state_of(const void *owner)
{
	return ((const struct side *)owner)->state;
}

static void
on_violation(void *owner, const char *what)
{
	struct side *s = owner;

	s->fate = VIOLATED;
	(void)snprintf(s->what, sizeof s->what, "%s", what);
	s->end.over = true;
}

static void
on_full(void *owner)
{
	struct side *s = owner;

	s->fate = FULL;
	s->end.over = true;
}

static void
on_pong(void *owner, const struct frame *f)
{
	struct side *s = owner;

	s->fate = PONGED;
	s->last = *f;
}

static void
on_goodbye(void *owner, const struct frame_code *said)
{
	struct side *s = owner;

	s->fate = LEFT;
	s->code = said->code;
	s->retry = said->retry;
	(void)snprintf(s->text, sizeof s->text, "%s", said->text);
	s->end.over = true;
}

static const struct endpoint_frame frames[] = {
	{ PROTO_REQUEST, ENDPOINT_ANY, IDLE | BODY, on_any },
	{ PROTO_STDIN, ENDPOINT_TRAILS, BUSY, on_stdin },
	{ PROTO_EXIT, ENDPOINT_REQUEST, BUSY, on_any },
	{ PROTO_WINDOW, ENDPOINT_REQUEST, BUSY | IDLE, on_window },
	{ PROTO_HELLO, ENDPOINT_SESSION, IDLE, on_any }
};

static const struct endpoint_side table = {
	.frames = frames, .nframes = sizeof frames / sizeof *frames,
	.state = state_of, .on_violation = on_violation, .on_full = on_full,
	.on_pong = on_pong, .on_goodbye = on_goodbye
};

static int
begin(void **state)
{
	struct conn *c;

	(void)state;
	conns_shaken(&peer, &c);
	side = (struct side){ .state = IDLE, .end = { .side = &table,
	    .owner = &side, .conn = c } };
	return 0;
}

static int
end(void **state)
{
	(void)state;
	if (peer != NULL)
		conn_close(peer);
	conn_close(side.end.conn);
	return 0;
}

/* Let the peer send what is in its queue, and the endpoint look. */
static enum io
pass(void)
{
	while (conn_has_output(peer))
		assert_int_equal(conn_write(peer), IO_OK);
	return endpoint_receive(&side.end);
}

/* What becomes of a frame from the peer. */
static enum fate
fate_of(uint8_t type, uint32_t request, const void *bytes, size_t n)
{
	side.fate = NOTHING;
	side.end.over = false;
	assert_int_equal(frame_put(conn_out(peer), type, request, bytes, n), 0);
	assert_int_equal(pass(), IO_OK);
	return side.fate;
}

/* Does the credit allow this STDIN or WINDOW?  Counts it if so. */
static enum fate
right_credit(uint8_t type, const uint8_t *bytes, size_t n)
{
	uint32_t more = n == 5 ? fetch_u32(bytes + 1) : 0;
	uint64_t *out;

	if (type == PROTO_STDIN) {
		if (n == 0 || n > left_in)
			return VIOLATED;
		left_in -= n;
		return HANDLED;
	}
	if (n != 5 || bytes[0] < 1 || bytes[0] > 2)
		return VIOLATED;
	out = &left_out[bytes[0] - 1];
	if (*out + more > PROTO_WINDOW_MAX)
		return VIOLATED;
	*out += more;
	return HANDLED;
}

/* What is right for a frame of the table, said once more. */
static enum fate
right(uint8_t type, uint32_t request, const uint8_t *bytes, size_t n)
{
	bool idle = side.state == IDLE, busy = side.state == BUSY;
	bool newest = request == side.end.request;

	switch (type) {
	case PROTO_HELLO:
		return request == 0 && idle ? HANDLED : VIOLATED;
	case PROTO_REQUEST:
		return request != 0 && !busy ? HANDLED : VIOLATED;
	case PROTO_EXIT:
		return request != 0 && newest && busy ? HANDLED : VIOLATED;
	case PROTO_WINDOW:
		return request != 0 && newest && (busy || idle) ?
		    right_credit(type, bytes, n) : VIOLATED;
	case PROTO_STDIN:
		if (request == 0 || request > side.end.request)
			return VIOLATED;
		return newest && busy ? right_credit(type, bytes, n) :
		    NOTHING;
	default:
		return VIOLATED;
	}
}

/* A payload for "type", often one that is right; returns its length. */
static size_t
any_payload(uint8_t type, uint64_t r, uint8_t bytes[WINDOW + 1])
{
	const uint32_t most = PROTO_WINDOW_MAX;
	const uint32_t credits[] = { 0, 1, 1000, most / 3, most - 1, most,
	    most + 1, UINT32_MAX };

	memset(bytes, 0, WINDOW + 1);
	if (type != PROTO_WINDOW)
		return r % (WINDOW + 2);
	bytes[0] = (uint8_t)(r % 4);
	store_u32(bytes + 1, credits[r >> 8 & 7]);
	return r >> 16 & 7 ? 5 : 4;
}

/* Send of the outputs, and grant what has been used up of the input. */
static void
move_on(uint64_t r)
{
	uint32_t owed = side.in.owed, credit;
	struct buf b;
	struct frame f;
	uint8_t stream;

	for (size_t i = 0; i < 2; i++) {
		size_t n = side.out[i].left >> (r & 31);

		credit_spend(&side.out[i], n);
		left_out[i] -= n;
	}
	buf_init(&b, r >> 8 & 1 ? PROTO_FRAME_MAX : PROTO_HEADER);
	if (window_renew(&side.in, -1, &b, 7, PROTO_STREAM_STDIN) == -1)
		assert_int_equal(b.limit, PROTO_HEADER);
	else if (owed < WINDOW / 2)
		assert_int_equal(frame_peek(&b, &f), 0);
	else {
		assert_int_equal(frame_peek(&b, &f), 1);
		assert_int_equal(frame_get_window(&f, &stream, &credit), 0);
		assert_int_equal(credit, owed);
		left_in += owed;
	}
	buf_free(&b);
}

/* Any frame, in any state, with any credit. */
static void
any_frame(void **state)
{
	static const unsigned states[] = { IDLE, BODY, BUSY };
	uint64_t seed = 1, overrun = 0, taken = 0;
	uint8_t bytes[WINDOW + 1];

	(void)state;
	side.in = (struct window){ .left = WINDOW, .size = WINDOW,
	    .most = WINDOW };
	left_in = WINDOW;
	left_out[0] = left_out[1] = 0;
	for (int i = 0; i < 20000; i++) {
		uint64_t r = unit_random(&seed), p = unit_random(&seed);
		uint8_t type = (uint8_t)(r & 3 ? frames[(r >> 2) %
		    (sizeof frames / sizeof *frames)].type : r >> 8);
		uint32_t request = (uint32_t)(r >> 16 & 7);
		size_t n;

		if (type == PROTO_PING || type == PROTO_PONG ||
		    type == PROTO_GOODBYE)
			continue;
		side.state = states[(r >> 24) % 3];
		side.end.request = p >> 63 ? request :
		    (uint32_t)(r >> 32 & 7);
		n = any_payload(type, p, bytes);
		assert_int_equal(fate_of(type, request, bytes, n),
		    right(type, request, bytes, n));
		if (side.fate == HANDLED) {
			assert_int_equal(side.last.type, type);
			assert_int_equal(side.last.request, request);
		}
		if (type == PROTO_STDIN && side.fate == HANDLED)
			side.in.owed += (uint32_t)n;
		taken += type == PROTO_STDIN && side.fate == HANDLED;
		overrun += side.fate == VIOLATED && n > left_in;
		move_on(p >> 32);
		assert_int_equal(side.in.left, left_in);
		assert_int_equal(side.out[0].left, left_out[0]);
		assert_int_equal(side.out[1].left, left_out[1]);
	}
	/* Both were tried, again and again. */
	assert_true(taken > 100 && overrun > 100);
}

/* What a handler finds wrong is told; but once it is over nothing is. */
static void
wrong(void **state)
{
	(void)state;
	side.wrong = WRONG;
	assert_int_equal(fate_of(PROTO_HELLO, 0, NULL, 0), VIOLATED);
	assert_string_equal(side.what, WRONG);
	assert_int_equal(frame_put(conn_out(peer), PROTO_HELLO, 0, NULL, 0),
	    0);
	side.handled = 0;
	(void)pass();
	assert_int_equal(side.handled, 0);
}

static void
ping(void **state)
{
	uint8_t long_one[PROTO_PING_MAX + 1] = { 0 };
	struct frame f;

	(void)state;
	for (unsigned s = IDLE; s <= BUSY; s *= 2) {
		side.state = s;
		assert_int_equal(fate_of(PROTO_PING, 0, "abc", 3), NOTHING);
		assert_int_equal(conn_write(side.end.conn), IO_OK);
		assert_int_equal(conn_read(peer), IO_OK);
		assert_int_equal(conn_peek(peer, &f), 1);
		assert_int_equal(f.type, PROTO_PONG);
		assert_int_equal(f.length, 3);
		assert_memory_equal(f.payload, "abc", 3);
		conn_done(peer, &f);
	}
	assert_int_equal(fate_of(PROTO_PING, 1, "abc", 3), VIOLATED);
	assert_int_equal(fate_of(PROTO_PING, 0, long_one, sizeof long_one),
	    VIOLATED);
	assert_int_equal(fate_of(PROTO_PONG, 0, long_one, sizeof long_one),
	    VIOLATED);
	assert_int_equal(fate_of(PROTO_PONG, 0, "ab", 2), PONGED);
	assert_int_equal(side.last.length, 2);
}

/* A peer that asks, and reads no answer. */
static void
pings_that_fill_the_queue(void **state)
{
	uint8_t bytes[PROTO_PING_MAX] = { 0 };
	size_t n = 0;

	(void)state;
	while (fate_of(PROTO_PING, 0, bytes, sizeof bytes) == NOTHING)
		assert_true(n++ < CONN_QUEUE);
	assert_int_equal(side.fate, FULL);
}

static void
goodbye(void **state)
{
	struct failure why;

	(void)state;
	failure_set(&why, PROTO_CODE_TURN, "others wait");
	assert_int_equal(frame_put_failure(conn_out(peer), PROTO_GOODBYE, 0,
	    &why, 7), 0);
	assert_int_equal(frame_put(conn_out(peer), PROTO_HELLO, 0, NULL, 0),
	    0);
	(void)pass();
	/* Nothing is heard after it. */
	assert_int_equal(side.fate, LEFT);
	assert_int_equal(side.handled, 0);
	assert_int_equal(side.code, PROTO_CODE_TURN);
	assert_string_equal(side.text, "others wait");
	assert_int_equal(side.retry, 7);
}

static void
malformed_goodbye(void **state)
{
	(void)state;
	assert_int_equal(fate_of(PROTO_GOODBYE, 0, "x", 1), VIOLATED);
}

/* A handler may leave what follows to the next dispatch, which does not wait
 * for more to come. */
static void
pausing(void **state)
{
	struct pollset ps;

	(void)state;
	assert_int_equal(pollset_init(&ps, 1), 0);
	side.pauses = true;
	for (int i = 0; i < 3; i++)
		assert_int_equal(frame_put(conn_out(peer), PROTO_HELLO, 0,
		    NULL, 0), 0);
	assert_int_equal(pass(), IO_OK);
	for (size_t i = 1; i < 3; i++) {
		assert_int_equal(side.handled, i);
		assert_true(side.end.paused);
		assert_true(endpoint_ready(&side.end, &ps));
		pollset_clear(&ps);
		endpoint_poll(&side.end, &ps);
		assert_true(ps.deadline <= clock_now());
		assert_int_equal(endpoint_receive(&side.end), IO_WAIT);
	}
	assert_int_equal(side.handled, 3);
	assert_false(side.end.paused);
	pollset_free(&ps);
}

/* The PONGs that have come to the peer. */
static size_t
pongs(void)
{
	struct frame f;
	size_t n = 0;

	while (conn_has_output(side.end.conn))
		assert_int_equal(conn_write(side.end.conn), IO_OK);
	(void)conn_read(peer);
	while (conn_peek(peer, &f) == 1) {
		assert_int_equal(f.type, PROTO_PONG);
		conn_done(peer, &f);
		n++;
	}
	return n;
}

/* What waits is not acted on, but a PING is answered, once; and the end of the
 * connection comes behind it. */
static void
held(void **state)
{
	struct pollset ps;

	(void)state;
	assert_int_equal(pollset_init(&ps, 1), 0);
	side.holds = true;
	assert_int_equal(frame_put(conn_out(peer), PROTO_HELLO, 0, NULL, 0),
	    0);
	assert_int_equal(frame_put(conn_out(peer), PROTO_PING, 0, "1", 1), 0);
	assert_int_equal(frame_put(conn_out(peer), PROTO_HELLO, 0, NULL, 0),
	    0);
	assert_int_equal(pass(), IO_OK);
	assert_int_equal(side.handled, 1);
	assert_int_equal(pongs(), 1);
	assert_int_equal(frame_put(conn_out(peer), PROTO_PING, 0, "2", 1), 0);
	assert_int_equal(pass(), IO_OK);
	assert_int_equal(pongs(), 1);
	assert_int_equal(frame_put(conn_out(peer), PROTO_GOODBYE, 0, "\0\0",
	    2), 0);
	assert_int_equal(pass(), IO_OK);
	conn_close(peer);
	peer = NULL;
	assert_int_equal(endpoint_receive(&side.end), IO_OK);
	/* The end is seen once, and wakes nobody up. */
	pollset_clear(&ps);
	endpoint_poll(&side.end, &ps);
	assert_int_equal(ps.deadline, CLOCK_NEVER);
	assert_false(endpoint_ready(&side.end, &ps));
	assert_int_equal(side.handled, 1);
	assert_false(side.end.over);

	side.holds = false;
	endpoint_release(&side.end);
	assert_true(endpoint_ready(&side.end, &ps));
	(void)endpoint_receive(&side.end);
	assert_int_equal(side.handled, 2);
	assert_int_equal(side.fate, LEFT);
	pollset_free(&ps);
}

/* The end of the connection, behind frames that wait, is told after them. */
static void
end_behind_frames(void **state)
{
	(void)state;
	side.pauses = true;
	for (int i = 0; i < 2; i++)
		assert_int_equal(frame_put(conn_out(peer), PROTO_HELLO, 0,
		    NULL, 0), 0);
	while (conn_has_output(peer))
		assert_int_equal(conn_write(peer), IO_OK);
	conn_close(peer);
	peer = NULL;
	while (endpoint_receive(&side.end) == IO_OK && side.handled < 2)
		;
	assert_int_equal(side.handled, 2);
	assert_int_equal(endpoint_receive(&side.end), IO_EOF);
}

/* What waited when it ended is no reason to wake up. */
static void
over_while_pausing(void **state)
{
	struct pollset ps;

	(void)state;
	assert_int_equal(pollset_init(&ps, 1), 0);
	side.pauses = true;
	for (int i = 0; i < 2; i++)
		assert_int_equal(frame_put(conn_out(peer), PROTO_HELLO, 0,
		    NULL, 0), 0);
	assert_int_equal(pass(), IO_OK);
	assert_true(side.end.paused);
	side.end.over = true;
	pollset_clear(&ps);
	endpoint_poll(&side.end, &ps);
	assert_true(ps.deadline == CLOCK_NEVER);
	assert_false(endpoint_ready(&side.end, &ps));
	pollset_free(&ps);
}

static void
length_that_is_too_long(void **state)
{
	static const uint8_t header[PROTO_HEADER] = { PROTO_HELLO, 0, 0, 0, 0,
	    0xff, 0xff, 0xff, 0xff };

	(void)state;
	assert_int_equal(buf_put(conn_out(peer), header, sizeof header), 0);
	assert_int_equal(pass(), IO_OK);
	assert_int_equal(side.fate, VIOLATED);
	assert_string_equal(side.what, "a frame is too long");
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(any_frame),
		TEST(wrong),
		TEST(ping),
		TEST(pings_that_fill_the_queue),
		TEST(goodbye),
		TEST(malformed_goodbye),
		TEST(pausing),
		TEST(held),
		TEST(end_behind_frames),
		TEST(over_while_pausing),
		TEST(length_that_is_too_long),
	};

	return cmocka_run_group_tests_name("endpoint", tests, conns_enter,
	    conns_leave);
}
