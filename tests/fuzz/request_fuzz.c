/*
 * client/request with dial, outlet and outcome below it, and conn and frame: a
 * session as the client sees it.  The input is a row of events: what the
 * server sends, what our standard streams and signals do, how time passes.
 *
 * Kept is the promise that nothing but the command's own EXIT looks like its
 * success, and that every request comes to an end.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/wire/body.h"
#include "common/base/clock.h"
#include "common/endpoint/conn.h"
#include "common/base/net.h"

#include "client/core/outcome.h"
#include "client/session/session.h"
#include "client/session/request.h"
#include "client/core/settings.h"
#include "client/core/signals.h"
#include "client/core/stream.h"

#include "tests/fuzz/wire.h"

const size_t fuzz_mutations = 20000;

/* Waits in which any request has come to its end, after the input has. */
#define WAITS_MAX	5000

int __wrap_pollset_wait(struct pollset *ps, const sigset_t *mask);
int __wrap_connect_host(const char *host, const char *port, int family,
    int64_t deadline, char *why, size_t size);
void __wrap_outcome_say(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

static struct input input;
static uint32_t number;		/* Of the newest request, on this connection. */
static int socket_fd = -1;
static size_t waits;
static unsigned signals;	/* That have come, a bit each. */
static struct buf server;	/* What it has said, and is no frame yet. */

/* What our standard streams do. */
static struct {
	size_t input;		/* Bytes to read... */
	bool input_ended, input_broken;
	size_t room;		/* ...and to write. */
	bool output_broken;
	size_t written;
} streams;

/* What came for the newest request, by a second reading of the frames. */
static struct {
	bool started, done;
	struct frame_exit exit;
	bool directory;
	size_t output;
} answer;

/* --- the server ----------------------------------------------------------- */

static void
read_frame(const struct frame *f)
{
	if (f->request != number || number == 0 || answer.done ||
	    answer.directory)
		return;
	if (f->type == PROTO_STARTED)
		answer.started = true;
	else if (f->type == PROTO_STDOUT)
		answer.output += f->length;
	else if (f->type == PROTO_EXIT && answer.started)
		answer.done = frame_get_exit(f, &answer.exit) == 0;
	else if (f->type == PROTO_DIRECTORY)
		answer.directory = f->length > 0;
}

static void
say(const void *bytes, size_t n)
{
	struct frame f;

	if (wire.eof || n > buf_room(&wire.to_us))
		return;
	wire_send(bytes, n);
	must(buf_put(&server, bytes, n) == 0);
	while (frame_peek(&server, &f) == 1) {
		read_frame(&f);
		frame_consume(&server, &f);
	}
}

static void
say_frame(uint8_t type, uint32_t request, const void *payload, size_t n)
{
	struct buf b;

	buf_init(&b, PROTO_FRAME_MAX);
	must(frame_put(&b, (enum proto_type)type, request, payload, n) == 0);
	say(buf_data(&b), buf_used(&b));
	buf_free(&b);
}

static void
say_u32(uint8_t type, uint32_t request, uint32_t v)
{
	uint8_t payload[4];

	store_u32(payload, v);
	say_frame(type, request, payload, sizeof payload);
}

/* The number of a request, a likely one for most inputs. */
static uint32_t
take_number(struct input *in)
{
	uint8_t choice = input_u8(in);

	return choice < 192 ? number : choice < 224 ? 0 : input_u16(in);
}

static void
on_bytes(struct input *in)
{
	size_t n = input_u8(in);
	const uint8_t *p = input_bytes(in, &n);

	say(p, n);
}

static void
on_frame(struct input *in)
{
	static const uint8_t types[] = { PROTO_WINDOW, PROTO_PING, PROTO_PONG,
	    PROTO_GOODBYE, PROTO_HELLO, PROTO_WAITING, PROTO_STARTED,
	    PROTO_STDOUT, PROTO_STDERR, PROTO_EXIT, PROTO_REFUSED,
	    PROTO_DIRECTORY, PROTO_REQUEST };
	uint8_t type = types[input_u8(in) % sizeof types];
	uint32_t request = take_number(in);
	size_t n = input_u8(in);
	const uint8_t *p = input_bytes(in, &n);

	say_frame(type, request, p, n);
}

static void
on_hello(struct input *in)
{
	static const char name[] = "0123abcd", can[] = "cancel close";
	struct buf b;
	size_t n = input_u8(in);
	const uint8_t *p = input_bytes(in, &n);

	buf_init(&b, PROTO_PAYLOAD_MAX);
	must(item_put(&b, PROTO_ITEM_SESSION, name, strlen(name)) == 0);
	must(item_put(&b, PROTO_ITEM_PEER, p, n) == 0);
	/* An older server says nothing of what it can do. */
	if (n % 2 == 1)
		must(item_put(&b, PROTO_ITEM_FEATURES, can, strlen(can)) == 0);
	say_frame(PROTO_HELLO, 0, buf_data(&b), buf_used(&b));
	buf_free(&b);
}

static void
on_waiting(struct input *in)
{
	struct buf b;
	struct frame f;

	buf_init(&b, PROTO_FRAME_MAX);
	must(frame_put_waiting(&b, input_u8(in), input_u8(in)) == 0);
	must(frame_peek(&b, &f) == 1);
	say_frame(PROTO_WAITING, 0, f.payload, f.length);
	buf_free(&b);
}

static void
on_started(struct input *in)
{
	say_u32(PROTO_STARTED, number, (uint32_t)input_u16(in) * 16);
}

static void
on_output(struct input *in)
{
	static const uint8_t bytes[PROTO_PAYLOAD_MAX];
	uint8_t which = input_u8(in);
	size_t n = input_u16(in);

	say_frame((which & 1) != 0 ? PROTO_STDERR : PROTO_STDOUT, number,
	    bytes, n < sizeof bytes ? n : sizeof bytes);
}

static void
on_exit_frame(struct input *in)
{
	uint8_t how = input_u8(in);
	struct frame_exit e = { .end = how < 192 ? PROTO_END_EXIT :
	    PROTO_END_SIGNAL, .status = how & 15,
	    .reason = (enum proto_code)((how & 16) != 0 ? how % 14 : 0) };
	struct buf b;

	buf_init(&b, PROTO_FRAME_MAX);
	must(frame_put_exit(&b, number, &e) == 0);
	say(buf_data(&b), buf_used(&b));
	buf_free(&b);
}

/* REFUSED or GOODBYE. */
static void
on_code(struct input *in)
{
	uint8_t code = input_u8(in);
	struct buf b;

	buf_init(&b, PROTO_FRAME_MAX);
	must(frame_put_code(&b, code < 128 ? PROTO_REFUSED : PROTO_GOODBYE,
	    code < 128 ? number : 0, (enum proto_code)(code % 16),
	    code % 3 == 0 ? "" : "\033no\n") == 0);
	say(buf_data(&b), buf_used(&b));
	buf_free(&b);
}

static void
on_directory(struct input *in)
{
	(void)in;
	say_frame(PROTO_DIRECTORY, number, "/srv", 4);
}

static void
on_leave(struct input *in)
{
	uint8_t how = input_u8(in);

	if (how < 128)
		wire.eof = true;
	else
		wire.cut = true;
	wire.altered = how >= 192;
}

static void
on_flow(struct input *in)
{
	uint8_t piece = input_u8(in);
	uint16_t room = input_u16(in);

	wire.piece = piece == 0 ? SIZE_MAX : piece;
	wire.room = room == UINT16_MAX ? SIZE_MAX : room;
}

/* --- this side of it ------------------------------------------------------ */

static void
on_time(struct input *in)
{
	wire_now_us += (int64_t)input_u16(in) * 1000;
}

static void
on_signal(struct input *in)
{
	signals |= 1u << input_u8(in) % 4;
}

static void
on_streams(struct input *in)
{
	uint8_t what = input_u8(in);

	streams.input += input_u16(in);
	streams.room = (what & 1) != 0 ? SIZE_MAX : input_u16(in);
	streams.input_ended = (what & 2) != 0;
	streams.input_broken = (what & 60) == 60;
	streams.output_broken = (what & 192) == 192;
}

static void
on_shaken(struct input *in)
{
	wire.shaken = input_u8(in) % 3 == 0 ? IO_WAIT : IO_OK;
}

static void
event(struct input *in)
{
	static void (*const events[])(struct input *) = { on_bytes, on_frame,
	    on_hello, on_waiting, on_started, on_output, on_exit_frame,
	    on_code, on_directory, on_leave, on_flow, on_time, on_signal,
	    on_streams, on_shaken };

	events[input_u8(in) % (sizeof events / sizeof events[0])](in);
}

/* Once the input is at its end, the server leaves and all else flows. */
static void
settle(const struct pollset *ps)
{
	must(waits++ < WAITS_MAX);
	wire.eof = true;
	wire.room = wire.piece = streams.room = SIZE_MAX;
	wire.shaken = IO_OK;
	if (ps->deadline != CLOCK_NEVER && ps->deadline > clock_now())
		wire_now_us = ps->deadline * 1000;
}

/* An event, and then what can be done. */
int
__wrap_pollset_wait(struct pollset *ps, const sigset_t *mask)
{
	int n = 0;

	(void)mask;
	if (input.left > 0)
		event(&input);
	else
		settle(ps);
	for (size_t i = 0; i < ps->count; i++) {
		struct pollfd *p = &ps->fds[i];

		p->revents = 0;
		if (p->fd == STDIN_FILENO && (streams.input > 0 ||
		    streams.input_ended || streams.input_broken))
			p->revents = POLLIN;
		else if (p->fd != STDIN_FILENO && p->fd != socket_fd &&
		    (streams.room > 0 || streams.output_broken))
			p->revents = POLLOUT;
	}
	wire_poll(ps, socket_fd);
	for (size_t i = 0; i < ps->count; i++)
		n += ps->fds[i].revents != 0;
	return n;
}

int
__wrap_connect_host(const char *host, const char *port, int family,
    int64_t deadline, char *why, size_t size)
{
	uint8_t how = input_u8(&input);

	must(*host != '\0' && *port != '\0' && family == AF_UNSPEC);
	if (how >= 224) {
		(void)snprintf(why, size, "cannot connect");
		errno = how % 2 == 0 && deadline != CLOCK_NEVER ? ETIMEDOUT :
		    ECONNREFUSED;
		return -1;
	}
	/* Another connection: nothing is under way on it. */
	buf_free(&wire.to_us);
	buf_free(&server);
	wire.eof = wire.cut = wire.altered = false;
	memset(&answer, 0, sizeof answer);
	wire.shaken = (how & 1) != 0 ? IO_WAIT : IO_OK;
	number = 1;
	socket_fd = wire_descriptor();
	return socket_fd;
}

void
__wrap_outcome_say(const char *format, ...)
{
	char text[2 * OUTCOME_TEXT_MAX];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	must(fuzz_is_printable(text, strlen(text)));
}

/* --- client/signals ------------------------------------------------------- */

void
signals_catch(void)
{
}

void
signals_release(void)
{
}

const sigset_t *
signals_mask(void)
{
	return NULL;
}

bool
signals_take(int signo)
{
	static const int numbers[] = { SIGINT, SIGQUIT, SIGTERM, SIGHUP };

	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		if (numbers[i] == signo && (signals & 1u << i) != 0) {
			signals &= ~(1u << i);
			return true;
		}
	}
	return false;
}

int
signals_take_end(void)
{
	return 0;
}

/* --- client/stream -------------------------------------------------------- */

void
stream_open(struct stream *s, int fd, bool writing)
{
	memset(s, 0, sizeof *s);
	s->fd = fd;
	s->writing = writing;
}

void
stream_close(struct stream *s)
{
	s->fd = -1;
}

enum io
stream_read(struct stream *s, void *bytes, size_t n, size_t *done)
{
	must(s->fd == STDIN_FILENO && n > 0);
	*done = n < streams.input ? n : streams.input;
	streams.input -= *done;
	memset(bytes, 'i', *done);
	errno = EIO;
	return *done > 0 ? IO_OK : streams.input_broken ? IO_ERROR :
	    streams.input_ended ? IO_EOF : IO_WAIT;
}

enum io
stream_write(struct stream *s, const void *bytes, size_t n, size_t *done)
{
	(void)bytes;
	must(s->writing);
	*done = 0;
	errno = EPIPE;
	if (streams.output_broken)
		return IO_ERROR;
	*done = n < streams.room ? n : streams.room;
	if (streams.room != SIZE_MAX)
		streams.room -= *done;
	if (s->fd == STDOUT_FILENO)
		streams.written += *done;
	return *done > 0 ? IO_OK : IO_WAIT;
}

bool
stream_input_is_lost(void)
{
	return true;
}

bool
stream_input_is_null(void)
{
	return false;
}

int
stream_fill_gaps(void)
{
	return 0;
}

/* --- requests ------------------------------------------------------------- */

/* Nothing but an answer of the server looks like one. */
static void
check(const struct outcome *o, const struct body *b)
{
	char why[FAILURE_MAX];

	must(o->status >= 0 && o->status <= 255);
	(void)failure_sentence(&o->failure, why);
	must(fuzz_is_printable(why, strlen(why)));
	must(*outcome_class_name(o->class) != '\0');
	if (o->class != OUTCOME_DONE) {
		must(o->status != 0);
		return;
	}
	if (b->operation == PROTO_CHDIR) {
		must(answer.directory && *o->directory != '\0');
		return;
	}
	must(answer.started && answer.done && o->has_exit);
	must(answer.exit.reason == PROTO_CODE_NONE);
	must(o->status == (answer.exit.end == PROTO_END_EXIT ? 0 :
	    OUTCOME_SIGNAL) + (int)answer.exit.status);
}

/* What is sent while a request runs are whole frames, of it alone: only what
 * the server has said that it can, and no end of a thing twice. */
static void
check_sent(const struct request *r)
{
	const struct greeting *g = &request_session(r)->greeting;
	unsigned cancels = 0, closes[PROTO_STREAM_STDERR + 1] = { 0 };
	struct frame f;
	uint8_t stream;

	while (frame_peek(&wire.from_us, &f) == 1) {
		if (f.type == PROTO_CANCEL)
			must(g->cancels && ++cancels == 1 && f.length == 0);
		else if (f.type == PROTO_CLOSE)
			must(g->closes && frame_get_close(&f, &stream) == 0 &&
			    ++closes[stream] == 1);
		else
			must(f.type <= PROTO_SIGNAL ||
			    (f.type >= PROTO_WINDOW &&
			    f.type <= PROTO_GOODBYE));
		frame_consume(&wire.from_us, &f);
	}
	buf_free(&wire.from_us);
}

static void
ask(struct request *r, enum proto_operation operation, bool keep,
    bool wants_stdin)
{
	static char word[] = "true", *words[] = { word, NULL },
	    *none[] = { NULL };
	struct body b = { .operation = operation, .words = words,
	    .nwords = 1, .env = none, .wants_stdin = wants_stdin };
	struct outcome o;
	struct buf kept;

	memset(&answer, 0, sizeof answer);
	streams.written = 0;
	/* Unless there is a new connection, where it is the first. */
	number++;
	buf_init(&kept, 100000);
	if (keep)
		request_answer(r, &b, &kept, NULL, &o);
	else
		request_ask(r, &b, &o);
	check(&o, &b);
	must(buf_used(&kept) <= answer.output);
	must(streams.written <= answer.output);
	buf_free(&kept);
	check_sent(r);
}

static void
check_other(struct request *r, uint8_t what)
{
	struct outcome o;

	must((request_session(r)->end.conn != NULL) == request_is_open(r));
	if (what < 86 && request_is_open(r)) {
		if (request_ping(r, &o) == -1)
			must(o.class != OUTCOME_DONE);
	} else if (what < 172 && request_is_open(r)) {
		if (request_wait(r, STDIN_FILENO, &o) == -1)
			must(o.status != 0 || *o.failure.text == '\0');
	}
}

static void
run(uint8_t options, uint8_t requests)
{
	static char host[] = "host.example", file[] = "/nonexistent/file";
	struct settings s = { .authority = file, .certificate = file,
	    .key = file, .port = 4773, .host = host,
	    .timeout = (options & 1) != 0 ? 30000 : 0,
	    .connect_timeout = (options & 2) != 0 ? 10000 : 0,
	    .wait = 20000, .quiet = (options & 4) != 0,
	    .verbose = (options & 8) != 0 };
	struct request *r = request_new(&s);

	must(r != NULL);
	for (int i = 0; i < 3; i++) {
		uint8_t what = (uint8_t)(requests >> 2 * i);

		ask(r, (what & 3) == 3 ? PROTO_CHDIR : PROTO_RUN,
		    (what & 3) == 2, (what & 3) == 1);
		if (input.left == 0)
			break;
		check_other(r, input_u8(&input));
	}
	request_free(r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int lowest = wire_lowest_descriptor();
	uint8_t options;

	fuzz_listen(NULL);
	wire_reset();
	buf_free(&server);
	buf_init(&server, 64 * CONN_QUEUE);
	memset(&streams, 0, sizeof streams);
	streams.room = SIZE_MAX;
	signals = 0;
	waits = 0;
	number = 0;
	input = (struct input){ data, size };
	options = input_u8(&input);
	run(options, input_u8(&input));
	must(wire_lowest_descriptor() == lowest);
	buf_free(&wire.to_us);
	buf_free(&wire.from_us);
	buf_free(&server);
	return 0;
}
