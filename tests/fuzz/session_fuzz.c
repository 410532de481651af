/*
 * daemon/session with command, stream, policy and audit below it, and conn and
 * frame: a whole session.  The input is a row of events: what the client
 * sends, what the command does, what the daemon wants, how time passes.
 *
 * Kept are the promises of talk.c to the client, and to the log that what has
 * started ends; in each case the session comes to its end, and neither
 * memory nor descriptors are lost.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "common/wire/body.h"
#include "common/base/clock.h"
#include "common/endpoint/conn.h"
#include "common/base/log.h"
#include "daemon/record/audit.h"
#include "daemon/front/session.h"
#include "daemon/conf/settings.h"
#include "daemon/exec/tree.h"

#include "tests/fuzz/children.h"
#include "tests/fuzz/talk.h"
#include "tests/fuzz/wire.h"

const size_t fuzz_mutations = 8000;

/* Turns in which any session has come to its end. */
#define TURNS_MAX	20000

/* Three configurations: of much, of little, and of nothing. */
#define CONFIGURATIONS	3
static const char *const configurations[CONFIGURATIONS] = {
	"rules = ( { name = \"much\"; peers = \"*\"; anything = true; "
	    "shell = true; output_limit = 200000; time_limit = 60; } );",
	"rules = ( { name = \"little\"; peers = \"alice\"; "
	    "commands = ( \"/bin/true\", { name = \"cat\"; "
	    "program = \"/bin/cat\"; on_disconnect = \"finish\"; "
	    "background = \"keep\"; accept_environment = \"LC_*\"; "
	    "arguments = ( { below = \"/srv\"; rest = true; } ); } ); } );",
	"rules = ( { peers = \"nobody\"; anything = true; } );"
};

static struct settings *settings[CONFIGURATIONS];
static struct session *session;
static struct tree tree;
static struct pollset ps;
static int socket_fd;
static uint32_t number;		/* Of the newest request. */

/* --- the record ----------------------------------------------------------- */

static struct {
	bool failing;
	size_t opened, closed;		/* Sessions. */
	size_t starts, ends;		/* Commands. */
} record;

/* A start that no log has taken must not begin anything, so that it counts
 * for nothing; an end that none has taken has ended all the same. */
static int
take(void *context, const struct log_event *e)
{
	(void)context;
	if (strcmp(e->name, "session-close") == 0)
		record.closed++;
	else if (strcmp(e->name, "command-end") == 0)
		record.ends++;
	errno = ENOSPC;
	if (record.failing)
		return -1;
	if (strcmp(e->name, "session-open") == 0)
		record.opened++;
	else if (strcmp(e->name, "command-start") == 0)
		record.starts++;
	return 0;
}

/* --- a turn --------------------------------------------------------------- */

/* What the session has written. */
static void
hear(void)
{
	talk_server(buf_data(&wire.from_us), buf_used(&wire.from_us));
	buf_consume(&wire.from_us, buf_used(&wire.from_us));
}

static void
turn(void)
{
	pollset_clear(&ps);
	session_poll(session, &ps);
	(void)poll(ps.fds, (nfds_t)ps.count, 0);
	wire_poll(&ps, socket_fd);
	children_reap(session);
	session_dispatch(session, &ps);
	hear();
	/* A client that is there has its answer. */
	if (session_is_idle(session) && wire.open && wire.room == SIZE_MAX &&
	    !talk.parted)
		must(talk.running == 0);
}

/* Let time pass up to what the session waits for. */
static void
wait(void)
{
	int64_t now = clock_now();

	if (ps.deadline != CLOCK_NEVER && ps.deadline > now)
		wire_now_us += (ps.deadline - now) * 1000;
}

/* --- events: the client --------------------------------------------------- */

static void
say(const void *bytes, size_t n)
{
	if (wire.eof || n > buf_room(&wire.to_us))
		return;
	wire_send(bytes, n);
	talk_client(bytes, n);
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

/* A request's number, a likely one for most inputs. */
static uint32_t
take_number(struct input *in)
{
	uint8_t choice = input_u8(in);

	return choice < 128 ? number : choice < 160 ? ++number :
	    choice < 192 ? 0 : choice < 224 ? number - 1 : input_u16(in);
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
	static const uint8_t types[] = { PROTO_REQUEST_PART, PROTO_REQUEST,
	    PROTO_STDIN, PROTO_STDIN_EOF, PROTO_SIGNAL, PROTO_WINDOW,
	    PROTO_PING, PROTO_PONG, PROTO_GOODBYE, PROTO_STARTED,
	    PROTO_CANCEL, PROTO_CLOSE };
	uint8_t type = types[input_u8(in) % sizeof types];
	uint32_t request = take_number(in);
	size_t n = input_u8(in);
	const uint8_t *p = input_bytes(in, &n);

	say_frame(type, request, p, n);
}

/* A request that is well formed. */
static void
on_request(struct input *in)
{
	static char program[] = "true", cat[] = "cat", path[] = "a/b",
	    directory[] = "/srv", line[] = "exec cat 'a'/b";
	static char *words[][3] = { { program, NULL }, { cat, path, NULL },
	    { directory, NULL }, { NULL }, { line, NULL } };
	static char variable[] = "LC_ALL=C", own[] = "AIS_PEER=me";
	uint8_t what = input_u8(in), more = input_u8(in);
	char *env[] = { (more & 1) != 0 ? variable : own, NULL };
	struct body b = {
		.operation = (enum proto_operation)(PROTO_RUN + what % 7),
		.words = words[what / 7 % 5],
		.env = env, .nenv = (more & 2) != 0,
		.wants_stdin = (more & 4) != 0,
		.directory = (more & 8) != 0 ? directory : NULL,
		.windows = { (uint32_t)input_u16(in) << (more >> 4),
		    input_u16(in) }
	};
	struct buf bytes;

	while (b.words[b.nwords] != NULL)
		b.nwords++;
	buf_init(&bytes, PROTO_FRAME_MAX);
	must(body_put(&bytes, &b) == 0);
	say_frame(PROTO_REQUEST, ++number, buf_data(&bytes), buf_used(&bytes));
	buf_free(&bytes);
}

static void
on_window(struct input *in)
{
	uint8_t choice = input_u8(in), payload[5];

	payload[0] = choice % 4;
	store_u32(payload + 1, (uint32_t)input_u16(in) << (choice >> 4));
	say_frame(PROTO_WINDOW, number, payload, sizeof payload);
}

static void
on_stdin(struct input *in)
{
	static const uint8_t bytes[PROTO_PAYLOAD_MAX];
	size_t n = input_u16(in);

	say_frame(PROTO_STDIN, number, bytes,
	    n < sizeof bytes ? n : sizeof bytes);
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

/* How much of what is under way arrives. */
static void
on_flow(struct input *in)
{
	uint8_t piece = input_u8(in);
	uint16_t room = input_u16(in);

	wire.piece = piece == 0 ? SIZE_MAX : piece;
	wire.room = room == UINT16_MAX ? SIZE_MAX : room;
}

/* --- events: the command -------------------------------------------------- */

static void
on_begin(struct input *in)
{
	static const int errors[] = { ENOENT, EACCES, EAGAIN, EXDEV, ENOMEM };
	uint8_t how = input_u8(in);

	if (how < 192)
		children_begin();
	else
		children_fail((enum child_stage)(how % 6),
		    errors[how / 6 % 5]);
}

static void
on_output(struct input *in)
{
	uint8_t which = input_u8(in);

	children_write((which & 1) != 0, input_u16(in));
}

static void
on_input(struct input *in)
{
	children_read(input_u16(in));
}

static void
on_close(struct input *in)
{
	int *fds[] = { &children.in, &children.out, &children.err };

	fd_close(fds[input_u8(in) % 3]);
}

static void
on_end(struct input *in)
{
	uint8_t how = input_u8(in);

	children_end(how < 192 ? (how & 3) << 8 : SIGTERM);
}

/* --- events: the daemon and its machine ----------------------------------- */

static void
on_time(struct input *in)
{
	wire_now_us += (int64_t)input_u16(in) * 1000;
}

static void
on_daemon(struct input *in)
{
	uint8_t what = input_u8(in);
	struct failure why;
	char text[256];

	switch (what % 6) {
	case 0:
		failure_set(&why, PROTO_CODE_STOPPING, "the server stops");
		session_stop(session, &why, "stopping");
		break;
	case 1:
		session_configure(session, settings[what / 6 %
		    CONFIGURATIONS]);
		break;
	case 2:
		wire.untrusted = (what & 64) != 0;
		session_reverify(session, NULL);
		break;
	case 3:
		session_others_wait(session, (what & 64) != 0);
		break;
	case 4:
		session_describe(session, text, sizeof text);
		must(fuzz_is_printable(text, strlen(text)));
		break;
	default:
		record.failing = (what & 64) != 0;
		break;
	}
}

static void
on_machine(struct input *in)
{
	uint8_t what = input_u8(in);

	children.stubborn = (what & 1) != 0;
	children.immortal = (what & 2) != 0;
	children.lacking = (what & 4) != 0;
	if (children.alive)
		children.others = what >> 5;
}

static void
event(struct input *in)
{
	static void (*const events[])(struct input *) = { on_bytes, on_frame,
	    on_request, on_window, on_stdin, on_leave, on_flow, on_begin,
	    on_output, on_input, on_close, on_end, on_time, on_daemon,
	    on_machine };

	events[input_u8(in) % (sizeof events / sizeof events[0])](in);
}

/* --- the whole of it ------------------------------------------------------ */

static void
load(void)
{
	struct settings_hope hope;
	char text[2048];

	audit_init();
	for (size_t i = 0; i < CONFIGURATIONS; i++) {
		(void)snprintf(text, sizeof text, "unprivileged = true; "
		    "idle_timeout = 10; kill_grace = 1; %s\n",
		    configurations[i]);
		settings[i] = settings_load(fuzz_file(text, strlen(text)),
		    &hope);
		must(settings[i] != NULL);
	}
	must(pollset_init(&ps, 16) == 0);
	/* As aisd does it. */
	must(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
}

static void
begin(uint8_t configuration)
{
	struct conn *c;

	fuzz_listen(NULL);
	if (settings[0] == NULL)
		load();
	fuzz_listen(take);
	wire_reset();
	talk_reset();
	children_reset();
	memset(&tree, 0, sizeof tree);
	memset(&record, 0, sizeof record);
	number = 0;
	socket_fd = wire_descriptor();
	c = conn_open(tls_server_new(NULL, NULL), socket_fd, NULL);
	must(c != NULL && conn_handshake(c) == IO_OK);
	session = session_new(c, "192.0.2.7", "fuzz",
	    settings[configuration % CONFIGURATIONS], &tree);
	must(session != NULL);
	session_announce(session);
}

/* The command does what it can to end, and the client to hear of it. */
static void
settle(bool leaving)
{
	int turns = 0;

	record.failing = false;
	wire.piece = wire.room = SIZE_MAX;
	wire.eof = wire.eof || leaving;
	for (; !session_is_over(session) && (leaving ||
	    !session_is_idle(session) || buf_used(&wire.to_us) > 0);
	    turns++) {
		must(turns < TURNS_MAX);
		children_end(0);
		turn();
		wait();
	}
}

static void
end(void)
{
	int fd;

	settle(false);
	if (!session_is_over(session))
		turn();
	settle(true);
	must(!tree_is_ending(&tree));
	fd = session_free(session);
	must(fd == socket_fd);
	(void)close(fd);
	must(record.opened == 1 && record.closed == 1);
	must(record.starts == record.ends);
	must(talk.exits <= talk.started && talk.started <= talk.exits + 1);
	tree_free(&tree);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	int lowest;

	(void)fuzz_file("", 0);
	lowest = wire_lowest_descriptor();
	begin(input_u8(&in));
	while (in.left > 0 && !session_is_over(session)) {
		event(&in);
		turn();
	}
	end();
	must(wire_lowest_descriptor() == lowest);
	log_set_sinks(NULL);
	return 0;
}
