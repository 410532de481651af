/*
 * Tests of daemon/session, and of daemon/command under it: a real session,
 * with TLS and processes, and a client that says what no aisc would.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/unit/conns.h"
#include "tests/unit/memory.h"
#include "tests/unit/unit.h"

#include "common/wire/body.h"
#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/wire/frame.h"
#include "common/endpoint/conn.h"
#include "common/base/log.h"
#include "common/base/pollset.h"
#include "common/tls/tls.h"
#include "daemon/exec/child.h"
#include "daemon/exec/command.h"
#include "daemon/front/session.h"
#include "daemon/conf/settings.h"
#include "daemon/exec/stream.h"
#include "daemon/exec/tree.h"

#define COUNT(rows)	(sizeof rows / sizeof rows[0])
/* How long a test waits for what must come, in milliseconds. */
#define PATIENCE	60000
/* Credit for more than any test reads. */
#define PLENTY		(1024 * 1024)

static char directory[UNIT_PATH_MAX];
static struct tls_context *client_context, *server_context;
static struct settings *settings;
static struct tree tree;
static struct pollset ps;
static struct session *session;
static struct conn *client;
static uint32_t number;		/* Of the newest request. */

/* --- the record ----------------------------------------------------------- */

static char record[65536];
static bool record_fails;

/* "EVENT reason=R exit=E" and so on, a line each. */
static int
take(void *context, const struct log_event *e)
{
	static const char *const shown[] = { "reason", "exit", "signal",
	    "commands", "stdout_bytes" };
	size_t used = strlen(record);

	(void)context;
	if (record_fails) {
		errno = ENOSPC;
		return -1;
	}
	used += (size_t)snprintf(record + used, sizeof record - used, "%s",
	    e->name);
	for (size_t i = 0; i < e->count; i++) {
		const struct log_field *f = &e->fields[i];

		for (size_t k = 0; k < COUNT(shown); k++) {
			if (strcmp(f->name, shown[k]) == 0)
				used += (size_t)snprintf(record + used,
				    sizeof record - used, " %s=%.*s", f->name,
				    (int)f->length, (const char *)f->value);
		}
	}
	(void)snprintf(record + used, sizeof record - used, "\n");
	return 0;
}

static struct log_sink sink = { .name = "record", .take = take };

static void
expect_record(const char *wanted)
{
	if (strstr(record, wanted) == NULL)
		fail_msg("no \"%s\" in: %s", wanted, record);
}

/* --- the two sides -------------------------------------------------------- */

/* What has come for the client: frames but for those of output... */
#define GOT_MAX		64
static struct got {
	uint8_t type;
	uint32_t request;
	size_t length;
	uint8_t payload[PROTO_TEXT_MAX + 64];
} got[GOT_MAX];
static size_t got_count, got_seen;
/* ...and the output. */
static char output[2][256 * 1024];
static size_t output_bytes[2];

static void
keep_frame(const struct frame *f)
{
	struct got *g = &got[got_count];
	size_t stream = f->type == PROTO_STDERR;

	if (f->type == PROTO_STDOUT || f->type == PROTO_STDERR) {
		assert_true(f->length < sizeof output[0] -
		    output_bytes[stream]);
		memcpy(output[stream] + output_bytes[stream], f->payload,
		    f->length);
		output_bytes[stream] += f->length;
		return;
	}
	assert_true(got_count < GOT_MAX);
	assert_true(f->length <= sizeof g->payload);
	g->type = f->type;
	g->request = f->request;
	g->length = f->length;
	memcpy(g->payload, f->payload, f->length);
	got_count++;
}

static void
turn_client(void)
{
	struct frame f;

	(void)conn_write(client);
	(void)conn_read(client);
	while (conn_peek(client, &f) == 1) {
		keep_frame(&f);
		conn_done(client, &f);
	}
}

static void
reap(void)
{
	struct rusage usage;
	int status;
	pid_t pid;

	while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0) {
		tree_reaped(&tree, pid);
		session_reaped(session, pid, status, &usage);
	}
}

/* One turn of both sides, which takes no longer than a few milliseconds. */
static void
turn(void)
{
	pollset_clear(&ps);
	session_poll(session, &ps);
	if (client != NULL)
		conn_poll(client, &ps, true);
	pollset_deadline(&ps, clock_in(5));
	assert_int_not_equal(pollset_wait(&ps, NULL), -1);
	reap();
	session_dispatch(session, &ps);
	if (client != NULL)
		turn_client();
}

/* Whatever is to come has come: nothing has for "ms". */
static void
settle(int64_t ms)
{
	int64_t end = clock_in(ms);

	while (!clock_past(end))
		turn();
}

/* The next frame that is no output, which must be of this type. */
static const struct got *
expect(enum proto_type type)
{
	int64_t end = clock_in(PATIENCE);

	while (got_seen == got_count) {
		if (clock_past(end) || session_is_over(session))
			fail_msg("no frame 0x%02x, but: %s", (unsigned)type,
			    record);
		turn();
	}
	if (got[got_seen].type != type)
		fail_msg("frame 0x%02x, not 0x%02x: %s",
		    got[got_seen].type, (unsigned)type,
		    (char *)got[got_seen].payload + 2);
	return &got[got_seen++];
}

static void
expect_nothing(void)
{
	settle(50);
	if (got_seen != got_count)
		fail_msg("frame 0x%02x", got[got_seen].type);
}

/* REFUSED or GOODBYE with this code. */
static const char *
expect_code(enum proto_type type, enum proto_code code)
{
	static char text[PROTO_TEXT_MAX + 1];
	const struct got *g = expect(type);
	struct frame f = { .type = g->type, .payload = g->payload,
	    .length = g->length };
	uint16_t value;

	assert_int_equal(frame_get_code(&f, &value, text), 0);
	if (value != code)
		fail_msg("code %u, not %u: %s", value, (unsigned)code, text);
	assert_string_not_equal(text, "");
	return text;
}

static struct frame_exit
expect_exit(void)
{
	const struct got *g = expect(PROTO_EXIT);
	struct frame f = { .type = g->type, .payload = g->payload,
	    .length = g->length };
	struct frame_exit e;

	assert_int_equal(g->request, number);
	assert_int_equal(frame_get_exit(&f, &e), 0);
	return e;
}

static void
expect_over(void)
{
	int64_t end = clock_in(PATIENCE);

	while (!session_is_over(session)) {
		if (clock_past(end))
			fail_msg("not over: %s", record);
		turn();
	}
}

static void
shake_hands(struct conn **server)
{
	enum io a = IO_WAIT, b = IO_WAIT;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0, fds), 0);
	client = conn_open(client_context, fds[0], "localhost");
	assert_non_null(client);
	*server = conn_open(server_context, fds[1], NULL);
	assert_non_null(*server);
	for (int i = 0; i < 10 && (a != IO_OK || b != IO_OK); i++) {
		if (a == IO_WAIT)
			a = conn_handshake(client);
		if (b == IO_WAIT)
			b = conn_handshake(*server);
	}
	assert_int_equal(a, IO_OK);
	assert_int_equal(b, IO_OK);
}

static const struct settings *
configure(const char *rules, const char *more)
{
	char file[UNIT_PATH_MAX + 16], text[4096];
	struct settings *s;

	(void)snprintf(file, sizeof file, "%s/aisd.conf", directory);
	(void)snprintf(text, sizeof text, "unprivileged = true; kill_grace = "
	    "0.1; log_file = \"\"; path = [ \"/usr/bin\", \"/bin\" ];\n"
	    "directory = \"%s\";\n%s\nrules = ( %s );\n", directory, more,
	    rules);
	unit_write("aisd.conf", text);
	s = settings_load(file, &(struct settings_hope){ 0 });
	if (s == NULL)
		fail_msg("not loaded: %s", record);
	settings_free(settings);
	settings = s;
	return s;
}

#define EVERYTHING "{ peers = \"*\"; anything = true; shell = true; }"

/* A session under "rules" and "more", whose HELLO has been read. */
static void
begin(const char *rules, const char *more)
{
	struct conn *server;

	(void)configure(rules, more);
	record[0] = '\0';
	got_count = got_seen = 0;
	output_bytes[0] = output_bytes[1] = 0;
	memset(output, 0, sizeof output);
	number = 0;
	shake_hands(&server);
	session = session_new(server, "192.0.2.7", "test", settings, &tree);
	assert_non_null(session);
	session_announce(session);
	(void)expect(PROTO_HELLO);
}

static void
close_client(void)
{
	conn_close(client);
	client = NULL;
}

/* The client goes, if it is there still, and the session is over. */
static void
end(void)
{
	int fd;
	int64_t patience = clock_in(PATIENCE);

	close_client();
	expect_over();
	assert_false(tree_is_ending(&tree));
	/* Nothing is left but what has ended already. */
	assert_int_equal(tree_count(&tree), 0);
	while (!tree_is_empty() && !clock_past(patience))
		reap();
	assert_true(tree_is_empty());
	if ((fd = session_free(session)) != -1)
		(void)close(fd);
	session = NULL;
}

/* --- requests ------------------------------------------------------------- */

static void
put(enum proto_type type, uint32_t request, const void *payload, size_t n)
{
	assert_int_equal(frame_put(conn_out(client), type, request, payload,
	    n), 0);
}

static void
put_body(struct body *b)
{
	struct buf bytes;

	buf_init(&bytes, PROTO_BODY_MAX);
	assert_int_equal(body_put(&bytes, b), 0);
	put(PROTO_REQUEST, ++number, buf_data(&bytes), buf_used(&bytes));
	buf_free(&bytes);
}

/* Ask for a line of the shell, whose output has this credit. */
static void
ask_shell(const char *line, bool wants_stdin, uint32_t credit)
{
	char text[1024], *words[] = { text, NULL }, *env[] = { NULL };
	struct body b = { .operation = PROTO_SHELL, .words = words,
	    .nwords = 1, .env = env, .wants_stdin = wants_stdin,
	    .windows = { credit, PLENTY } };

	(void)snprintf(text, sizeof text, "%s", line);
	put_body(&b);
}

/* Ask for one word, or with "word" NULL for none. */
static void
ask_word(enum proto_operation operation, const char *word)
{
	char text[1024], *words[] = { text, NULL }, *env[] = { NULL };
	struct body b = { .operation = operation, .words = words,
	    .nwords = word != NULL, .env = env,
	    .windows = { PLENTY, PLENTY } };

	(void)snprintf(text, sizeof text, "%s", word == NULL ? "" : word);
	if (word == NULL)
		words[0] = NULL;
	put_body(&b);
}

static uint32_t
expect_started(void)
{
	const struct got *g = expect(PROTO_STARTED);
	struct frame f = { .payload = g->payload, .length = g->length };
	uint32_t credit;

	assert_int_equal(g->request, number);
	assert_int_equal(frame_get_u32(&f, &credit), 0);
	return credit;
}

/* A command that ends with 0, to show that all is well still. */
static void
expect_served(void)
{
	ask_word(PROTO_RUN, "true");
	assert_int_equal(expect_started(), 0);
	assert_int_equal(expect_exit().status, 0);
}

static void
wait_for_output(size_t n)
{
	int64_t end = clock_in(PATIENCE);

	while (output_bytes[0] < n) {
		assert_false(clock_past(end));
		turn();
	}
}

/* --- fixtures ------------------------------------------------------------- */

static int
enter(void **state)
{
	(void)state;
	unit_enter(directory);
	log_set_sinks(&sink);
	assert_int_equal(certificates_make(), 0);
	client_context = conns_context(false);
	server_context = conns_context(true);
	assert_int_equal(pollset_init(&ps, 32), 0);
	assert_int_equal(child_init(), 0);
	assert_int_equal(tree_init(), 0);
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
	assert_true(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
	return 0;
}

static int
leave(void **state)
{
	(void)state;
	log_set_sinks(NULL);
	settings_free(settings);
	tls_context_free(client_context);
	tls_context_free(server_context);
	pollset_free(&ps);
	tree_free(&tree);
	unit_leave(directory);
	return 0;
}

/* --- commands ------------------------------------------------------------- */

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
	static const char *const bad[] = { "", "STOP", "SIGTERM", "term", "9",
	    "TERMTERMTERM", "TERM " };

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
	end();
	for (size_t i = 0; i < COUNT(bad); i++) {
		begin(EVERYTHING, "");
		ask_shell("sleep 60", false, PLENTY);
		(void)expect_started();
		put(PROTO_SIGNAL, number, bad[i], strlen(bad[i]));
		(void)expect_code(PROTO_GOODBYE, PROTO_CODE_PROTOCOL);
		end();
	}
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

/* --- windows -------------------------------------------------------------- */

static void
put_window(uint32_t request, uint8_t stream, uint32_t credit)
{
	assert_int_equal(frame_put_window(conn_out(client), request,
	    (enum proto_stream)stream, credit), 0);
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
bad_windows(void **state)
{
	static const struct {
		uint8_t stream;
		uint32_t credit;
	} rows[] = {
		{ PROTO_STREAM_STDIN, 1 }, { 3, 1 }, { 255, 1 },
		/* With what it has, it is one too many. */
		{ PROTO_STREAM_STDOUT, PROTO_WINDOW_MAX - 9 },
		{ PROTO_STREAM_STDOUT, UINT32_MAX },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		begin(EVERYTHING, "");
		ask_shell("sleep 60", false, 10);
		(void)expect_started();
		put_window(number, PROTO_STREAM_STDOUT, 0);
		put_window(number, rows[i].stream, rows[i].credit);
		(void)expect_code(PROTO_GOODBYE, PROTO_CODE_PROTOCOL);
		end();
	}
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
		turn();
		turn();
	}
	g = expect(PROTO_WINDOW);
	f.payload = g->payload;
	f.length = g->length;
	assert_int_equal(frame_get_window(&f, &stream, &credit), 0);
	assert_int_equal(stream, PROTO_STREAM_STDIN);
	assert_true(credit > 0 && credit <= STREAM_INPUT_WINDOW);
	put(PROTO_STDIN, number, bytes, 1);
	put(PROTO_STDIN_EOF, number, NULL, 0);
	while (expect(PROTO_EXIT)->type != PROTO_EXIT)
		;
	assert_int_equal(strtol(output[0], NULL, 10),
	    STREAM_INPUT_WINDOW - 1);
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

/* --- frames and states ---------------------------------------------------- */

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
	{ PROTO_REQUEST_PART, true, IDLE | BODY, "\1\0\0\0\1\4", 6 },
	{ PROTO_REQUEST, true, IDLE | BODY, "\1\0\0\0\1\4"
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
		else if (type != PROTO_REQUEST || when == IDLE) {
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
		{ BUSY, PROTO_CANCEL, "x", 1 },
		{ BUSY, PROTO_CLOSE, "", 0 },
		{ BUSY, PROTO_CLOSE, "\0", 1 },
		{ BUSY, PROTO_CLOSE, "\1\xff\0\0\0", 5 },
		{ BUSY, PROTO_WINDOW, "\1\0\0\0", 4 },
		{ BUSY, PROTO_WINDOW, "\1\0\0\0\1\0", 6 },
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

/* --- limits --------------------------------------------------------------- */

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

/* --- the end -------------------------------------------------------------- */

static void
stopping(void **state)
{
	struct frame_exit e;

	(void)state;
	begin(EVERYTHING, "");
	session_stop(session, PROTO_CODE_STOPPING, "stopping", "it stops");
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
	session_stop(session, PROTO_CODE_STOPPING, "stopping", "it stops");
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

/* --- a reload ------------------------------------------------------------- */

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
	session_judge(session, server_context);
	expect_served();
	ask_shell("sleep 60", false, PLENTY);
	(void)expect_started();
	session_judge(session, other);
	assert_int_equal(expect_exit().reason, PROTO_CODE_DENIED);
	(void)expect_code(PROTO_GOODBYE, PROTO_CODE_DENIED);
	expect_over();
	expect_record("command-end reason=untrusted");
	expect_record("session-close reason=untrusted");
	end();
	tls_context_free(other);
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
			turn();
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hello),
		cmocka_unit_test(one_command),
		cmocka_unit_test(signals),
		cmocka_unit_test(refusals),
		cmocka_unit_test(no_record),
		cmocka_unit_test(directories),
		cmocka_unit_test(questions),
		cmocka_unit_test(output_windows),
		cmocka_unit_test(bad_windows),
		cmocka_unit_test(input_windows),
		cmocka_unit_test(input_without_credit),
		cmocka_unit_test(every_frame),
		cmocka_unit_test(types_of_no_meaning),
		cmocka_unit_test(bad_payloads),
		cmocka_unit_test(request_numbers),
		cmocka_unit_test(unusable_values),
		cmocka_unit_test(late_frames),
		cmocka_unit_test(output_limit),
		cmocka_unit_test(time_limit),
		cmocka_unit_test(idle_limit),
		cmocka_unit_test(stopping),
		cmocka_unit_test(lost_client),
		cmocka_unit_test(lost_client_of_one_that_finishes),
		cmocka_unit_test(left_behind),
		cmocka_unit_test(held_pipes),
		cmocka_unit_test(stuck_before_its_start),
		cmocka_unit_test(reloaded),
		cmocka_unit_test(judged),
		cmocka_unit_test(can_without_memory),
		cmocka_unit_test(not_started),
	};

	return cmocka_run_group_tests_name("session", tests, enter, leave);
}
