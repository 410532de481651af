/*
 * sessions.c - a session with a client that a test speaks for.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "tests/unit/conns.h"
#include "tests/unit/sessions.h"

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "daemon/exec/child.h"

/* How long a test waits for what must come, in milliseconds. */
#define PATIENCE	60000

char directory[UNIT_PATH_MAX];
struct tls_context *server_context;
struct settings *settings;
struct tree tree;
struct pollset ps;
struct session *session;
struct conn *client;
uint32_t number;
static struct tls_context *client_context;

/* --- the record ----------------------------------------------------------- */

char record[65536];
bool record_fails;

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

void
expect_record(const char *wanted)
{
	if (strstr(record, wanted) == NULL)
		fail_msg("no \"%s\" in: %s", wanted, record);
}

/* --- the two sides -------------------------------------------------------- */

/* What has come for the client: frames but for those of output... */
struct got got[GOT_MAX];
size_t got_count, got_seen;
/* ...and the output. */
char output[2][OUTPUT_MAX];
size_t output_bytes[2];

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
client_round(void)
{
	struct frame f;

	(void)conn_write(client);
	(void)conn_read(client);
	while (conn_peek(client, &f) == 1) {
		keep_frame(&f);
		conn_done(client, &f);
	}
}

void
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

void
one_round(void)
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
		client_round();
}

void
settle(int64_t ms)
{
	int64_t end = clock_in(ms);

	while (!clock_past(end))
		one_round();
}

const struct got *
expect(enum proto_type type)
{
	int64_t end = clock_in(PATIENCE);

	while (got_seen == got_count) {
		if (clock_past(end) || session_is_over(session))
			fail_msg("no frame 0x%02x, but: %s", (unsigned)type,
			    record);
		one_round();
	}
	if (got[got_seen].type != type)
		fail_msg("frame 0x%02x, not 0x%02x: %s",
		    got[got_seen].type, (unsigned)type,
		    (char *)got[got_seen].payload + 2);
	return &got[got_seen++];
}

void
expect_nothing(void)
{
	settle(50);
	if (got_seen != got_count)
		fail_msg("frame 0x%02x", got[got_seen].type);
}

const char *
expect_code(enum proto_type type, enum proto_code code)
{
	static struct frame_code said;
	const struct got *g = expect(type);
	struct frame f = { .type = g->type, .payload = g->payload,
	    .length = g->length };

	assert_int_equal(frame_get_code(&f, &said), 0);
	if (said.code != code)
		fail_msg("code %u, not %u: %s", said.code, (unsigned)code,
		    said.text);
	assert_string_not_equal(said.text, "");
	return said.text;
}

struct frame_exit
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

void
expect_over(void)
{
	int64_t end = clock_in(PATIENCE);

	while (!session_is_over(session)) {
		if (clock_past(end))
			fail_msg("not over: %s", record);
		one_round();
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

const struct settings *
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

void
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

void
close_client(void)
{
	conn_close(client);
	client = NULL;
}

void
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

void
put(enum proto_type type, uint32_t request, const void *payload, size_t n)
{
	assert_int_equal(frame_put(conn_out(client), type, request, payload,
	    n), 0);
}

void
put_body(struct body *b)
{
	struct buf bytes;

	buf_init(&bytes, PROTO_BODY_MAX);
	assert_int_equal(body_put(&bytes, b), 0);
	put(PROTO_REQUEST, ++number, buf_data(&bytes), buf_used(&bytes));
	buf_free(&bytes);
}

void
ask_shell(const char *line, bool wants_stdin, uint32_t credit)
{
	char text[1024], *words[] = { text, NULL }, *env[] = { NULL };
	struct body b = { .operation = PROTO_SHELL, .words = words,
	    .nwords = 1, .env = env, .wants_stdin = wants_stdin,
	    .windows = { credit, PLENTY } };

	(void)snprintf(text, sizeof text, "%s", line);
	put_body(&b);
}

void
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

uint32_t
expect_started(void)
{
	const struct got *g = expect(PROTO_STARTED);
	struct frame f = { .payload = g->payload, .length = g->length };
	uint32_t credit;

	assert_int_equal(g->request, number);
	assert_int_equal(frame_get_u32(&f, &credit), 0);
	return credit;
}

void
expect_served(void)
{
	ask_word(PROTO_RUN, "true");
	assert_int_equal(expect_started(), 0);
	assert_int_equal(expect_exit().status, 0);
}

void
wait_for_output(size_t n)
{
	int64_t end = clock_in(PATIENCE);

	while (output_bytes[0] < n) {
		assert_false(clock_past(end));
		one_round();
	}
}

void
put_window(uint32_t request, uint8_t stream, uint32_t credit)
{
	assert_int_equal(frame_put_window(conn_out(client), request,
	    (enum proto_stream)stream, credit), 0);
}

/* --- fixtures ------------------------------------------------------------- */

int
sessions_enter(void **state)
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

int
sessions_leave(void **state)
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
