/*
 * Tests of common/endpoint/conn.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>

#include "tests/unit/conns.h"
#include "tests/unit/memory.h"
#include "tests/unit/unit.h"

#include "common/base/clock.h"
#include "common/wire/frame.h"
#include "common/endpoint/conn.h"
#include "common/base/pollset.h"
#include "common/tls/tls.h"

static uint8_t payload[PROTO_PAYLOAD_MAX];

static bool
is_closed(int fd)
{
	return fcntl(fd, F_GETFD) == -1 && errno == EBADF;
}

static void
opening_and_closing(void **state)
{
	struct conn *client, *server;
	int fds[2];

	(void)state;
	conns_shaken(&client, &server);
	fds[0] = conn_fd(client);
	fds[1] = conn_fd(server);
	conn_close(client);
	assert_true(is_closed(fds[0]));
	conn_close(NULL);
	assert_int_equal(conn_linger(NULL), -1);
	/* It was said in order. */
	assert_int_equal(conn_read(server), IO_EOF);
	assert_int_equal(conn_read(server), IO_WAIT);
	conn_close(server);
	assert_true(is_closed(fds[1]));
}

/* It owns its descriptor from the first moment, and closes it at the end. */
static void
before_the_handshake(void **state)
{
	struct conn *client, *server;
	int fd;

	(void)state;
	conns_open(&client, &server);
	fd = conn_fd(client);
	conn_close(client);
	assert_true(is_closed(fd));
	conn_close(server);
}

/* Also where there is no memory for the rest. */
static void
out_of_memory(void **state)
{
	struct tls_context *c = conns_context(false);
	int fds[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
		memory_fail_at(i);
		assert_null(conn_open(c, fds[0], "localhost"));
		assert_true(memory_has_failed());
		assert_true(is_closed(fds[0]));
		close(fds[1]);
	}
	tls_context_free(c);
}

/* The farewell is read, though the other side goes on sending. */
static void
lingering(void **state)
{
	struct conn *client, *server;
	struct frame f;
	char c[65536];
	ssize_t n;
	int fd;

	(void)state;
	conns_shaken(&client, &server);
	assert_int_equal(frame_put(conn_out(client), PROTO_STDIN, 1, payload,
	    100), 0);
	assert_int_equal(conn_write(client), IO_OK);
	assert_int_equal(frame_put_code(conn_out(server), PROTO_GOODBYE, 0,
	    PROTO_CODE_BUSY, "busy"), 0);
	/* It goes by itself, though it was held for more. */
	conn_hold(server, CLOCK_NEVER);
	fd = conn_linger(server);
	assert_int_not_equal(fd, -1);
	/* What still comes can be read from it and dropped. */
	assert_true(read(fd, c, sizeof c) > 100);
	assert_int_equal(frame_put(conn_out(client), PROTO_STDIN, 1, payload,
	    100), 0);
	assert_int_equal(conn_write(client), IO_OK);
	assert_true(read(fd, c, sizeof c) > 100);
	/* The sending side is at its end. */
	assert_int_equal(conn_read(client), IO_OK);
	assert_int_equal(conn_peek(client, &f), 1);
	assert_int_equal(f.type, PROTO_GOODBYE);
	conn_done(client, &f);
	assert_int_equal(conn_read(client), IO_EOF);
	conn_close(client);
	/* close_notify, and then the end of the stream. */
	do
		n = read(fd, c, sizeof c);
	while (n > 0);
	assert_int_equal(n, 0);
	close(fd);
}

/* Small frames have room beside a full load of data, always. */
static void
data_room(void **state)
{
	struct conn *client, *server;
	size_t room, sum = 0, frames = 0;

	(void)state;
	conns_shaken(&client, &server);
	assert_int_equal(conn_data_room(client), PROTO_PAYLOAD_MAX);
	assert_false(conn_has_output(client));
	while ((room = conn_data_room(client)) > 0) {
		assert_true(room <= PROTO_PAYLOAD_MAX);
		assert_int_equal(frame_put(conn_out(client), PROTO_STDIN, 1,
		    payload, room), 0);
		assert_true(conn_has_output(client));
		sum += PROTO_HEADER + room;
		frames++;
	}
	assert_true(sum <= CONN_DATA_MAX);
	assert_true(sum > CONN_DATA_MAX - PROTO_HEADER - 1);
	assert_int_equal(frames, 4);
	for (int i = 0; i < 400; i++)
		assert_int_equal(frame_put_window(conn_out(client), 1,
		    PROTO_STREAM_STDOUT, 1), 0);
	assert_int_equal(conn_data_room(client), 0);
	conn_close(client);
	conn_close(server);
}

/* One turn of one side; whether the other's bytes may have come. */
static bool
turn(struct conn *c, struct pollset *ps, bool reading, int64_t wait)
{
	pollset_clear(ps);
	pollset_deadline(ps, clock_in(wait));
	conn_poll(c, ps, reading);
	assert_int_not_equal(pollset_wait(ps, NULL), -1);
	return conn_ready(c, ps);
}

/* Nobody waits for what cannot be done, and nobody misses what can. */
static void
interest(void **state)
{
	struct conn *client, *server;
	struct pollset ps;
	struct frame f;
	int64_t before;

	(void)state;
	assert_int_equal(pollset_init(&ps, 2), 0);
	conns_shaken(&client, &server);
	/* With nothing to do, it sleeps. */
	before = clock_now();
	assert_false(turn(server, &ps, true, 20));
	assert_true(clock_now() - before >= 19);
	assert_int_equal(frame_put(conn_out(client), PROTO_PING, 0, NULL,
	    0), 0);
	/* Something waits to be written, and it can be. */
	assert_true(turn(client, &ps, false, 10000));
	assert_int_equal(conn_write(client), IO_OK);
	assert_false(conn_has_output(client));
	assert_false(turn(client, &ps, true, 0));
	/* The other side may leave it alone. */
	assert_false(turn(server, &ps, false, 0));
	assert_true(turn(server, &ps, true, 10000));
	assert_int_equal(conn_read(server), IO_OK);
	assert_int_equal(conn_peek(server, &f), 1);
	assert_int_equal(f.type, PROTO_PING);
	conn_done(server, &f);
	assert_int_equal(conn_peek(server, &f), 0);
	assert_int_equal(conn_read(server), IO_WAIT);
	assert_int_equal(conn_write(server), IO_WAIT);

	/* A closed connection is no part of a turn. */
	conn_close(client);
	before = clock_now();
	assert_false(turn(NULL, &ps, true, 20));
	assert_true(clock_now() - before >= 19);
	conn_close(server);
	pollset_free(&ps);
}

/* Frames that are held wait for others, or for their time. */
static void
held(void **state)
{
	struct conn *client, *server;
	struct pollset ps;
	struct frame f;
	int64_t before = clock_now();

	(void)state;
	assert_int_equal(pollset_init(&ps, 2), 0);
	conns_shaken(&client, &server);
	assert_int_equal(frame_put(conn_out(client), PROTO_PING, 0, NULL,
	    0), 0);
	conn_hold(client, clock_in(50));
	assert_false(conn_has_output(client));
	assert_int_equal(conn_write(client), IO_WAIT);
	while (!conn_has_output(client))
		(void)turn(client, &ps, false, 10000);
	assert_in_range(clock_now() - before, 50, 9999);
	assert_int_equal(conn_write(client), IO_OK);

	assert_int_equal(frame_put(conn_out(client), PROTO_PONG, 0, NULL,
	    0), 0);
	conn_hold(client, CLOCK_NEVER);
	assert_int_equal(conn_write(client), IO_WAIT);
	assert_int_equal(frame_put(conn_out(client), PROTO_PING, 0, NULL,
	    0), 0);
	assert_true(conn_has_output(client));
	assert_int_equal(conn_write(client), IO_OK);
	/* What comes next is not held. */
	assert_int_equal(frame_put(conn_out(client), PROTO_PONG, 0, NULL,
	    0), 0);
	assert_int_equal(conn_write(client), IO_OK);

	for (int i = 0; i < 4; i++) {
		while (conn_peek(server, &f) == 0) {
			(void)turn(server, &ps, true, 10000);
			(void)conn_read(server);
		}
		assert_int_equal(f.type, i % 2 == 0 ? PROTO_PING : PROTO_PONG);
		conn_done(server, &f);
	}
	conn_close(client);
	conn_close(server);
	pollset_free(&ps);
}

/* A queue that is full is not read into; what was left is not waited for. */
static void
full_queue(void **state)
{
	struct conn *client, *server;
	struct pollset ps;
	struct frame f;
	size_t sent = 0, got = 0;
	int idle = 0;

	(void)state;
	assert_int_equal(pollset_init(&ps, 2), 0);
	conns_shaken(&client, &server);
	while (idle < 3) {
		if (conn_data_room(client) == PROTO_PAYLOAD_MAX) {
			assert_int_equal(frame_put(conn_out(client),
			    PROTO_STDIN, (uint32_t)++sent, payload,
			    PROTO_PAYLOAD_MAX), 0);
		}
		idle = conn_write(client) == IO_WAIT ? idle + 1 : 0;
		if (turn(server, &ps, true, 0))
			(void)conn_read(server);
	}
	/* More than the queue was sent, and the rest waits. */
	assert_true(sent * PROTO_FRAME_MAX > CONN_QUEUE);
	assert_int_equal(conn_read(server), IO_WAIT);
	/* Full: it does not ask for more, though more is there. */
	assert_false(turn(server, &ps, true, 0));

	/* With room again, all of it comes. */
	while (got < sent) {
		while (conn_peek(server, &f) == 1) {
			assert_int_equal(f.request, got + 1);
			assert_int_equal(f.length, PROTO_PAYLOAD_MAX);
			conn_done(server, &f);
			got++;
		}
		(void)conn_write(client);
		if (got < sent) {
			assert_true(turn(server, &ps, true, 10000));
			assert_int_equal(conn_read(server), IO_OK);
		}
	}
	conn_close(client);
	conn_close(server);
	pollset_free(&ps);
}

/* Frames that came in one piece with the handshake wake nobody later. */
static void
early_frames(void **state)
{
	struct conn *client, *server;
	struct pollset ps;
	struct frame f;
	int64_t before;

	(void)state;
	assert_int_equal(pollset_init(&ps, 2), 0);
	conns_open(&client, &server);
	assert_int_equal(conn_handshake(client), IO_WAIT);
	assert_int_equal(conn_handshake(server), IO_WAIT);
	assert_int_equal(conn_handshake(client), IO_OK);
	assert_int_equal(frame_put(conn_out(client), PROTO_REQUEST, 1, "body",
	    4), 0);
	assert_int_equal(conn_write(client), IO_OK);
	assert_int_equal(conn_handshake(server), IO_OK);
	before = clock_now();
	assert_true(turn(server, &ps, true, 60000));
	assert_true(clock_now() - before < 30000);
	assert_int_equal(conn_read(server), IO_OK);
	assert_int_equal(conn_peek(server, &f), 1);
	assert_int_equal(f.type, PROTO_REQUEST);
	assert_memory_equal(f.payload, "body", 4);
	conn_close(client);
	conn_close(server);
	pollset_free(&ps);
}

/* After the peer's end nothing is asked for, and what had come is there. */
static void
the_end(void **state)
{
	struct conn *client, *server;
	struct pollset ps;
	struct frame f;

	(void)state;
	assert_int_equal(pollset_init(&ps, 2), 0);
	conns_shaken(&client, &server);
	assert_int_equal(frame_put(conn_out(client), PROTO_PING, 0, "1", 1), 0);
	assert_int_equal(conn_write(client), IO_OK);
	conn_close(client);
	assert_true(turn(server, &ps, true, 10000));
	assert_int_equal(conn_read(server), IO_OK);
	assert_true(turn(server, &ps, true, 10000));
	assert_int_equal(conn_read(server), IO_EOF);
	assert_int_equal(conn_peek(server, &f), 1);
	assert_int_equal(f.type, PROTO_PING);
	conn_done(server, &f);
	assert_int_equal(conn_read(server), IO_WAIT);
	conn_close(server);
	pollset_free(&ps);
}

static void
cut(void **state)
{
	struct conn *client, *server;

	(void)state;
	conns_shaken(&client, &server);
	assert_int_equal(shutdown(conn_fd(client), SHUT_WR), 0);
	assert_int_equal(conn_read(server), IO_ERROR);
	assert_int_equal(tls_failure(conn_tls(server))->code, TLS_FAILURE_CUT);
	conn_close(client);
	conn_close(server);
}

/* A frame that can never be whole is known while the rest is missing. */
static void
bad_length(void **state)
{
	static const uint8_t header[PROTO_HEADER] = { PROTO_PING, 0, 0, 0, 0,
	    0xff, 0xff, 0xff, 0xff };
	struct conn *client, *server;
	struct frame f;

	(void)state;
	conns_shaken(&client, &server);
	assert_int_equal(buf_put(conn_out(client), header, sizeof header), 0);
	assert_int_equal(conn_write(client), IO_OK);
	assert_int_equal(conn_read(server), IO_OK);
	assert_int_equal(conn_peek(server, &f), -1);
	conn_close(client);
	conn_close(server);
}

/* Frames of any size, both ways at once, at any pace, come as they went. */
static void
any_frames(void **state)
{
	enum { FRAMES = 300 };
	struct conn *conns[2];
	struct pollset ps;
	struct frame f;
	uint32_t sent[2] = { 0, 0 }, got[2] = { 0, 0 };
	uint64_t seed = 18;
	int64_t deadline = clock_in(60000);

	(void)state;
	unit_fill(&seed, payload, sizeof payload);
	assert_int_equal(pollset_init(&ps, 2), 0);
	conns_shaken(&conns[0], &conns[1]);
	while (got[0] < FRAMES || got[1] < FRAMES) {
		assert_false(clock_past(deadline));
		pollset_clear(&ps);
		pollset_deadline(&ps, clock_in(10000));
		for (int side = 0; side < 2; side++) {
			struct conn *c = conns[side];
			size_t n = unit_below(&seed, PROTO_PAYLOAD_MAX + 1);

			if (sent[side] < FRAMES && n <= conn_data_room(c))
				assert_int_equal(frame_put(conn_out(c),
				    PROTO_STDOUT, ++sent[side], payload, n),
				    0);
			conn_poll(c, &ps, got[side] < FRAMES);
			if (sent[side] < FRAMES && conn_data_room(c) > 0)
				pollset_deadline(&ps, 0);
		}
		assert_int_not_equal(pollset_wait(&ps, NULL), -1);
		for (int side = 0; side < 2; side++) {
			struct conn *c = conns[side];
			enum io io;

			if (!conn_ready(c, &ps))
				continue;
			if (unit_below(&seed, 4) != 0) {
				io = conn_read(c);
				assert_true(io == IO_OK || io == IO_WAIT);
			}
			while (unit_below(&seed, 3) != 0 &&
			    conn_peek(c, &f) == 1) {
				assert_int_equal(f.request, ++got[side]);
				if (f.length > 0)
					assert_memory_equal(f.payload, payload,
					    f.length);
				conn_done(c, &f);
			}
			io = conn_write(c);
			assert_true(io == IO_OK || io == IO_WAIT);
		}
		/* What was not taken above is taken before the next wait. */
		for (int side = 0; side < 2; side++) {
			while (conn_peek(conns[side], &f) == 1) {
				assert_int_equal(f.request, ++got[side]);
				conn_done(conns[side], &f);
			}
		}
	}
	conn_close(conns[0]);
	conn_close(conns[1]);
	pollset_free(&ps);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opening_and_closing),
		cmocka_unit_test(before_the_handshake),
		cmocka_unit_test(out_of_memory),
		cmocka_unit_test(lingering),
		cmocka_unit_test(data_room),
		cmocka_unit_test(interest),
		cmocka_unit_test(held),
		cmocka_unit_test(full_queue),
		cmocka_unit_test(early_frames),
		cmocka_unit_test(the_end),
		cmocka_unit_test(cut),
		cmocka_unit_test(bad_length),
		cmocka_unit_test(any_frames),
	};

	return cmocka_run_group_tests_name("conn", tests, conns_enter,
	    conns_leave);
}
