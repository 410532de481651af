/* Tests of common/link. */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>

#include "tests/unit/certificates.h"
#include "tests/unit/memory.h"
#include "tests/unit/unit.h"

#include "common/base/clock.h"
#include "common/wire/frame.h"
#include "common/endpoint/link.h"
#include "common/base/pollset.h"
#include "common/tls/tls.h"

static uint8_t payload[PROTO_PAYLOAD_MAX];

static struct tls_context *
context(bool server)
{
	struct tls_files f = {
		.certificate = server ? "server.pem" : "alice.pem",
		.key = server ? "server.key" : "alice.key",
		.authority = "site/ca.pem"
	};
	char why[TLS_TEXT_MAX];
	struct tls_context *c = server ? tls_server_new(&f, why) :
	    tls_client_new(&f, why);

	if (c == NULL)
		fail_msg("%s", why);
	return c;
}

/* Two links, joined, that have not shaken hands. */
static void
open_links(struct link *client, struct link *server)
{
	struct tls_context *c = context(false), *s = context(true);
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(link_open(client, c, fds[0], "localhost"), 0);
	assert_int_equal(link_open(server, s, fds[1], NULL), 0);
	assert_true(link_is_open(client));
	tls_context_free(c);
	tls_context_free(s);
}

static void
open_good(struct link *client, struct link *server)
{
	enum io a = IO_WAIT, b = IO_WAIT;

	open_links(client, server);
	for (int i = 0; i < 10 && (a != IO_OK || b != IO_OK); i++) {
		if (a == IO_WAIT)
			a = link_handshake(client);
		if (b == IO_WAIT)
			b = link_handshake(server);
	}
	assert_int_equal(a, IO_OK);
	assert_int_equal(b, IO_OK);
}

static bool
is_closed(int fd)
{
	return fcntl(fd, F_GETFD) == -1 && errno == EBADF;
}

static void
opening_and_closing(void **state)
{
	struct link client, server;
	int fds[2];

	(void)state;
	open_good(&client, &server);
	fds[0] = client.fd;
	fds[1] = server.fd;
	link_close(&client);
	assert_false(link_is_open(&client));
	assert_true(is_closed(fds[0]));
	link_close(&client);
	assert_int_equal(link_linger(&client), -1);
	/* It was said in order. */
	assert_int_equal(link_read(&server), IO_EOF);
	assert_true(server.eof);
	link_close(&server);
	assert_true(is_closed(fds[1]));
}

/* A descriptor is the link's from the first moment, and closed with it. */
static void
before_the_handshake(void **state)
{
	struct link client, server;
	int fd;

	(void)state;
	open_links(&client, &server);
	fd = client.fd;
	link_close(&client);
	assert_true(is_closed(fd));
	link_close(&server);
}

/* Also where there is no memory for the rest. */
static void
out_of_memory(void **state)
{
	struct tls_context *c = context(false);
	struct link l;
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	memory_fail_at(0);
	assert_int_equal(link_open(&l, c, fds[0], "localhost"), -1);
	assert_true(memory_has_failed());
	assert_true(is_closed(fds[0]));
	assert_false(link_is_open(&l));
	link_close(&l);
	close(fds[1]);
	tls_context_free(c);
}

/* The farewell is read, though the other side goes on sending. */
static void
lingering(void **state)
{
	struct link client, server;
	struct frame f;
	char c[65536];
	ssize_t n;
	int fd;

	(void)state;
	open_good(&client, &server);
	assert_int_equal(frame_put(&client.out, PROTO_STDIN, 1, payload, 100),
	    0);
	assert_int_equal(link_write(&client), IO_OK);
	assert_int_equal(frame_put_code(&server.out, PROTO_GOODBYE, 0,
	    PROTO_CODE_BUSY, "busy"), 0);
	assert_int_equal(link_write(&server), IO_OK);
	fd = link_linger(&server);
	assert_int_not_equal(fd, -1);
	assert_false(link_is_open(&server));
	assert_int_equal(server.fd, -1);
	/* What still comes can be read from it and dropped. */
	assert_true(read(fd, c, sizeof c) > 100);
	assert_int_equal(frame_put(&client.out, PROTO_STDIN, 1, payload, 100),
	    0);
	assert_int_equal(link_write(&client), IO_OK);
	assert_true(read(fd, c, sizeof c) > 100);
	/* The sending side is at its end. */
	assert_int_equal(link_read(&client), IO_OK);
	assert_int_equal(link_peek(&client, &f), 1);
	assert_int_equal(f.type, PROTO_GOODBYE);
	link_done(&client, &f);
	assert_int_equal(link_read(&client), IO_EOF);
	link_close(&client);
	/* close_notify, and then the end of the stream. */
	do
		n = read(fd, c, sizeof c);
	while (n > 0);
	assert_int_equal(n, 0);
	close(fd);
	link_close(&server);
}

/* Small frames have room beside a full load of data, always. */
static void
data_room(void **state)
{
	struct link client, server;
	size_t room, sum = 0, frames = 0;

	(void)state;
	open_good(&client, &server);
	assert_int_equal(link_data_room(&client), PROTO_PAYLOAD_MAX);
	assert_false(link_has_output(&client));
	while ((room = link_data_room(&client)) > 0) {
		assert_true(room <= PROTO_PAYLOAD_MAX);
		assert_int_equal(frame_put(&client.out, PROTO_STDIN, 1,
		    payload, room), 0);
		assert_true(link_has_output(&client));
		sum += PROTO_HEADER + room;
		frames++;
	}
	assert_true(sum <= LINK_DATA_MAX);
	assert_true(sum > LINK_DATA_MAX - PROTO_HEADER - 1);
	assert_int_equal(frames, 4);
	for (int i = 0; i < 400; i++)
		assert_int_equal(frame_put_window(&client.out, 1,
		    PROTO_STREAM_STDOUT, 1), 0);
	assert_int_equal(link_data_room(&client), 0);
	link_close(&client);
	link_close(&server);
}

/* One turn of one side; whether the other's bytes may have come. */
static bool
turn(struct link *l, struct pollset *ps, bool reading, int64_t wait)
{
	pollset_clear(ps);
	pollset_deadline(ps, clock_in(wait));
	link_poll(l, ps, reading);
	assert_int_not_equal(pollset_wait(ps, NULL), -1);
	return link_ready(l, ps);
}

/* Nobody waits for what cannot be done, and nobody misses what can. */
static void
interest(void **state)
{
	struct link client, server;
	struct pollset ps;
	struct frame f;
	int64_t before;

	(void)state;
	assert_int_equal(pollset_init(&ps, 2), 0);
	open_good(&client, &server);
	/* With nothing to do, it sleeps. */
	before = clock_now();
	assert_false(turn(&server, &ps, true, 20));
	assert_true(clock_now() - before >= 19);
	assert_int_equal(frame_put(&client.out, PROTO_PING, 0, NULL, 0), 0);
	/* Something waits to be written, and it can be. */
	assert_true(turn(&client, &ps, false, 10000));
	assert_int_equal(link_write(&client), IO_OK);
	assert_false(link_has_output(&client));
	assert_false(turn(&client, &ps, true, 0));
	/* The other side may leave it alone. */
	assert_false(turn(&server, &ps, false, 0));
	assert_true(turn(&server, &ps, true, 10000));
	assert_int_equal(link_read(&server), IO_OK);
	assert_int_equal(link_peek(&server, &f), 1);
	assert_int_equal(f.type, PROTO_PING);
	link_done(&server, &f);
	assert_int_equal(link_peek(&server, &f), 0);
	assert_int_equal(link_read(&server), IO_WAIT);
	assert_int_equal(link_write(&server), IO_WAIT);

	/* A closed link is no part of a turn. */
	link_close(&client);
	before = clock_now();
	assert_false(turn(&client, &ps, true, 20));
	assert_true(clock_now() - before >= 19);
	link_close(&server);
	pollset_free(&ps);
}

/* Frames that are held wait for others, or for their time. */
static void
held(void **state)
{
	struct link client, server;
	struct pollset ps;
	struct frame f;
	int64_t before = clock_now();

	(void)state;
	assert_int_equal(pollset_init(&ps, 2), 0);
	open_good(&client, &server);
	assert_int_equal(frame_put(&client.out, PROTO_PING, 0, NULL, 0), 0);
	link_hold(&client, clock_in(50));
	assert_false(link_has_output(&client));
	assert_int_equal(link_write(&client), IO_WAIT);
	while (!link_has_output(&client))
		(void)turn(&client, &ps, false, 10000);
	assert_in_range(clock_now() - before, 50, 9999);
	assert_int_equal(link_write(&client), IO_OK);

	assert_int_equal(frame_put(&client.out, PROTO_PONG, 0, NULL, 0), 0);
	link_hold(&client, CLOCK_NEVER);
	assert_int_equal(link_write(&client), IO_WAIT);
	assert_int_equal(frame_put(&client.out, PROTO_PING, 0, NULL, 0), 0);
	assert_true(link_has_output(&client));
	assert_int_equal(link_write(&client), IO_OK);
	/* What comes next is not held. */
	assert_int_equal(frame_put(&client.out, PROTO_PONG, 0, NULL, 0), 0);
	assert_int_equal(link_write(&client), IO_OK);

	for (int i = 0; i < 4; i++) {
		while (link_peek(&server, &f) == 0) {
			(void)turn(&server, &ps, true, 10000);
			(void)link_read(&server);
		}
		assert_int_equal(f.type, i % 2 == 0 ? PROTO_PING : PROTO_PONG);
		link_done(&server, &f);
	}
	link_close(&client);
	link_close(&server);
	pollset_free(&ps);
}

/* A queue that is full is not read into; what was left is not waited for. */
static void
full_queue(void **state)
{
	struct link client, server;
	struct pollset ps;
	struct frame f;
	size_t sent = 0, got = 0;
	int idle = 0;

	(void)state;
	assert_int_equal(pollset_init(&ps, 2), 0);
	open_good(&client, &server);
	while (idle < 3) {
		if (link_data_room(&client) == PROTO_PAYLOAD_MAX) {
			assert_int_equal(frame_put(&client.out, PROTO_STDIN,
			    (uint32_t)++sent, payload, PROTO_PAYLOAD_MAX), 0);
		}
		idle = link_write(&client) == IO_WAIT ? idle + 1 : 0;
		if (turn(&server, &ps, true, 0))
			(void)link_read(&server);
		assert_true(buf_used(&server.in) <= LINK_QUEUE);
	}
	assert_int_equal(buf_used(&server.in), LINK_QUEUE);
	assert_int_equal(link_read(&server), IO_WAIT);
	/* Full: it does not ask for more, though more is there. */
	assert_false(turn(&server, &ps, true, 0));

	/* With room again, all of it comes. */
	while (got < sent) {
		while (link_peek(&server, &f) == 1) {
			assert_int_equal(f.request, got + 1);
			assert_int_equal(f.length, PROTO_PAYLOAD_MAX);
			link_done(&server, &f);
			got++;
		}
		(void)link_write(&client);
		if (got < sent) {
			assert_true(turn(&server, &ps, true, 10000));
			assert_int_equal(link_read(&server), IO_OK);
		}
	}
	link_close(&client);
	link_close(&server);
	pollset_free(&ps);
}

/* Frames that came in one piece with the handshake wake nobody later. */
static void
early_frames(void **state)
{
	struct link client, server;
	struct pollset ps;
	struct frame f;
	int64_t before;

	(void)state;
	assert_int_equal(pollset_init(&ps, 2), 0);
	open_links(&client, &server);
	assert_int_equal(link_handshake(&client), IO_WAIT);
	assert_int_equal(link_handshake(&server), IO_WAIT);
	assert_int_equal(link_handshake(&client), IO_OK);
	assert_int_equal(frame_put(&client.out, PROTO_REQUEST, 1, "body", 4),
	    0);
	assert_int_equal(link_write(&client), IO_OK);
	assert_int_equal(link_handshake(&server), IO_OK);
	before = clock_now();
	assert_true(turn(&server, &ps, true, 60000));
	assert_true(clock_now() - before < 30000);
	assert_int_equal(link_read(&server), IO_OK);
	assert_int_equal(link_peek(&server, &f), 1);
	assert_int_equal(f.type, PROTO_REQUEST);
	assert_memory_equal(f.payload, "body", 4);
	link_close(&client);
	link_close(&server);
	pollset_free(&ps);
}

/* After the peer's end nothing is asked for, and what had come is there. */
static void
the_end(void **state)
{
	struct link client, server;
	struct pollset ps;
	struct frame f;

	(void)state;
	assert_int_equal(pollset_init(&ps, 2), 0);
	open_good(&client, &server);
	assert_int_equal(frame_put(&client.out, PROTO_PING, 0, "1", 1), 0);
	assert_int_equal(link_write(&client), IO_OK);
	link_close(&client);
	assert_true(turn(&server, &ps, true, 10000));
	assert_int_equal(link_read(&server), IO_OK);
	assert_false(server.eof);
	assert_true(turn(&server, &ps, true, 10000));
	assert_int_equal(link_read(&server), IO_EOF);
	assert_true(server.eof);
	assert_int_equal(link_peek(&server, &f), 1);
	assert_int_equal(f.type, PROTO_PING);
	link_done(&server, &f);
	assert_int_equal(link_read(&server), IO_WAIT);
	link_close(&server);
	pollset_free(&ps);
}

static void
cut(void **state)
{
	struct link client, server;

	(void)state;
	open_good(&client, &server);
	assert_int_equal(shutdown(client.fd, SHUT_WR), 0);
	assert_int_equal(link_read(&server), IO_ERROR);
	assert_int_equal(tls_failure(server.tls), TLS_FAILURE_CUT);
	assert_false(server.eof);
	link_close(&client);
	link_close(&server);
}

/* A frame that can never be whole is known while the rest is missing. */
static void
bad_length(void **state)
{
	static const uint8_t header[PROTO_HEADER] = { PROTO_PING, 0, 0, 0, 0,
	    0xff, 0xff, 0xff, 0xff };
	struct link client, server;
	struct frame f;

	(void)state;
	open_good(&client, &server);
	assert_int_equal(buf_put(&client.out, header, sizeof header), 0);
	assert_int_equal(link_write(&client), IO_OK);
	assert_int_equal(link_read(&server), IO_OK);
	assert_int_equal(link_peek(&server, &f), -1);
	link_close(&client);
	link_close(&server);
}

/* Frames of any size, both ways at once, at any pace, come as they went. */
static void
any_frames(void **state)
{
	enum { FRAMES = 300 };
	struct link links[2];
	struct pollset ps;
	struct frame f;
	uint32_t sent[2] = { 0, 0 }, got[2] = { 0, 0 };
	uint64_t seed = 18;
	int64_t deadline = clock_in(60000);

	(void)state;
	unit_fill(&seed, payload, sizeof payload);
	assert_int_equal(pollset_init(&ps, 2), 0);
	open_good(&links[0], &links[1]);
	while (got[0] < FRAMES || got[1] < FRAMES) {
		assert_false(clock_past(deadline));
		pollset_clear(&ps);
		pollset_deadline(&ps, clock_in(10000));
		for (int side = 0; side < 2; side++) {
			struct link *l = &links[side];
			size_t n = unit_below(&seed, PROTO_PAYLOAD_MAX + 1);

			if (sent[side] < FRAMES && n <= link_data_room(l))
				assert_int_equal(frame_put(&l->out,
				    PROTO_STDOUT, ++sent[side], payload, n),
				    0);
			link_poll(l, &ps, got[side] < FRAMES);
			if (sent[side] < FRAMES && link_data_room(l) > 0)
				pollset_deadline(&ps, 0);
		}
		assert_int_not_equal(pollset_wait(&ps, NULL), -1);
		for (int side = 0; side < 2; side++) {
			struct link *l = &links[side];
			enum io io;

			if (!link_ready(l, &ps))
				continue;
			if (unit_below(&seed, 4) != 0) {
				io = link_read(l);
				assert_true(io == IO_OK || io == IO_WAIT);
			}
			while (unit_below(&seed, 3) != 0 &&
			    link_peek(l, &f) == 1) {
				assert_int_equal(f.request, ++got[side]);
				if (f.length > 0)
					assert_memory_equal(f.payload, payload,
					    f.length);
				link_done(l, &f);
			}
			io = link_write(l);
			assert_true(io == IO_OK || io == IO_WAIT);
		}
		/* What was not taken above is taken before the next wait. */
		for (int side = 0; side < 2; side++) {
			while (link_peek(&links[side], &f) == 1) {
				assert_int_equal(f.request, ++got[side]);
				link_done(&links[side], &f);
			}
		}
	}
	link_close(&links[0]);
	link_close(&links[1]);
	pollset_free(&ps);
}

static char folder[UNIT_PATH_MAX];

static int
enter(void **state)
{
	(void)state;
	(void)signal(SIGPIPE, SIG_IGN);
	unit_enter(folder);
	return certificates_make();
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

	return cmocka_run_group_tests_name("link", tests, enter, leave);
}
