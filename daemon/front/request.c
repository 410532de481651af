/*
 * request.c - one request, from its body to its end.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/date.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/wire/frame.h"
#include "common/endpoint/conn.h"
#include "daemon/exec/child.h"
#include "daemon/exec/exec-failure.h"
#include "daemon/exec/tree.h"
#include "daemon/conf/settings.h"
#include "daemon/front/peer.h"
#include "daemon/front/request.h"

/* For how many milliseconds word of a command's start waits for its output, or
 * its end, to go with it. */
#define STARTED_HELD	5

static void
request_refuse(struct request *r, const struct failure *why)
{
	peer_refuse(r->peer, r->peer->end.request, why);
}

enum request_state
request_state(const struct request *r)
{
	return r->command.state != COMMAND_NONE ? REQUEST_BUSY : REQUEST_IDLE;
}

void
request_init(struct request *r, struct peer *peer, struct tree *tree)
{
	r->peer = peer;
	r->tree = tree;
	r->idle_since = clock_now();
	r->met = PROTO_IF_SUCCEEDED;
	command_init(&r->command, tree);
}

void
request_clear(struct request *r)
{
	decision_free(&r->decision);
	body_free(&r->body);
	command_free(&r->command);
}

void
request_configure(struct request *r, const struct settings *settings)
{
	r->settings = settings;
	r->rule = rules_find(settings->rules, &r->peer->identity,
	    r->peer->address);
}

/* Forget the one that is served. */
static void
request_reset(struct request *r)
{
	command_reset(&r->command);
	decision_free(&r->decision);
	body_free(&r->body);
	r->limited = false;
	r->idle_since = clock_now();
}

/* Refuse what is asked, and put that on record. */
static void
request_deny(struct request *r, const struct failure *why)
{
	audit_command_refused(&r->peer->audit, &r->decision.record, why);
	request_refuse(r, why);
	request_reset(r);
}

/* The end of a request whose command never ran. */
static void
request_drop(struct request *r, const struct failure *why)
{
	char text[FAILURE_MAX];
	struct audit_end e = { .reason = failure_sentence(why, text),
	    .exit = -1 };

	if (r->body.operation != PROTO_CHDIR)
		audit_command_end(&r->peer->audit, &r->decision.record, &e);
	request_refuse(r, why);
	request_reset(r);
}

static void
request_start(struct request *r)
{
	struct child_plan *plan = &r->decision.plan;
	struct failure why;

	if (command_start(&r->command, r->peer->end.request, plan,
	    r->body.windows, r->settings->kill_grace) == 0) {
		if (r->body.wants_stdin)
			input_offer(&r->command.input);
		return;
	}
	(void)failure_make(&why, PROTO_CODE_RESOURCES, "try again later",
	    "the server cannot start a process: %s", strerror(errno));
	log_error("%s", why.text);
	request_drop(r, &why);
}

/* May the words of the request be run?  Writes why; the exit status, or -1 if
 * memory is out. */
static int
request_answer_can(struct request *r, const struct policy_peer *peer, FILE *out)
{
	struct body run = r->body;
	struct decision d;
	char why[FAILURE_MAX];
	int status;

	if (run.nwords == 0) {
		fprintf(out, "the rule \"%s\" applies\n",
		    r->decision.record.rule);
		return 0;
	}
	run.operation = PROTO_RUN;
	if (policy_decide(&r->settings->policy, peer, &run, &d) == -1)
		return -1;
	status = d.allowed ? 0 : 1;
	if (d.allowed)
		fprintf(out, "the rule \"%s\" grants it%s%s%s\n",
		    d.record.rule, *d.record.command == '\0' ? "" :
		    " as its command ", d.record.command,
		    d.record.learned ? ", because it is learning" : "");
	else
		fprintf(out, "%s\n", failure_sentence(&d.why, why));
	decision_free(&d);
	return status;
}

/* LIST and CAN: the answer is text, and goes the way of a command's. */
static void
request_answer_question(struct request *r, const struct policy_peer *peer)
{
	int fd = memfd_create("answer", MFD_CLOEXEC), copy = -1, status = 0;
	struct failure why;
	FILE *out = NULL;
	bool failed;

	if (fd != -1 && (copy = fcntl(fd, F_DUPFD_CLOEXEC, 0)) != -1)
		out = fdopen(copy, "w");
	if (out == NULL)
		fd_close(&copy);
	else if (r->body.operation == PROTO_LIST)
		rule_list(out, r->rule, r->body.arguments);
	else
		status = request_answer_can(r, peer, out);
	failed = out == NULL || status == -1 || ferror(out) != 0;
	if (out != NULL && fclose(out) == EOF)
		failed = true;
	if (failed || lseek(fd, 0, SEEK_SET) == -1) {
		fd_close(&fd);
		(void)failure_make(&why, PROTO_CODE_RESOURCES,
		    "try again later", "the server cannot answer: it lacks "
		    "memory or descriptors");
		request_refuse(r, &why);
		request_reset(r);
		return;
	}
	command_answer(&r->command, r->peer->end.request, fd, status,
	    r->body.windows);
	if (r->body.wants_stdin)
		input_offer(&r->command.input);
}

/* Is it one that is answered without a command of the peer's? */
static bool
request_is_question(const struct request *r)
{
	return r->body.operation == PROTO_LIST ||
	    r->body.operation == PROTO_CAN;
}

/* Decide on the one whose body and number are there, and act on it. */
static void
request_decide(struct request *r)
{
	struct failure why;
	struct policy_peer peer = {
		.identity = &r->peer->identity, .address = r->peer->address,
		.rule = r->rule, .session = r->peer->audit.session,
		.request = r->peer->end.request, .now = date_now(),
		.directory = *r->directory == '\0' ? NULL : r->directory
	};

	if (policy_decide(&r->settings->policy, &peer, &r->body,
	    &r->decision) == -1) {
		failure_set(&why, PROTO_CODE_RESOURCES, "the server is out of "
		    "memory");
		request_refuse(r, &why);
		request_reset(r);
		return;
	}
	if (!r->decision.allowed) {
		request_deny(r, &r->decision.why);
		return;
	}
	if (request_is_question(r)) {
		request_answer_question(r, &peer);
		return;
	}
	if (r->body.operation != PROTO_CHDIR) {
		if (!audit_command_start(&r->peer->audit, &r->decision.record,
		    r->settings->audit == SETTINGS_AUDIT_STRICT)) {
			/* A log that has the start has this as its end. */
			failure_set(&why, PROTO_CODE_AUDIT, "the command "
			    "cannot be put on record, so it does not run");
			failure_hint(&why, "the server's log needs its "
			    "operator");
			request_deny(r, &why);
			return;
		}
		r->sums.commands++;
	}
	request_start(r);
}

/* It is as if it had not been sent: the record has no word of it, and what the
 * next one asks for is about the one before. */
static void
request_skip(struct request *r)
{
	struct failure why;

	failure_set(&why, PROTO_CODE_SKIPPED, "the request before it did not "
	    "%s", r->body.condition == PROTO_IF_SUCCEEDED ? "succeed" :
	    "run to its end");
	request_refuse(r, &why);
	request_reset(r);
}

const char *
request_begin(struct request *r, const uint8_t *bytes, size_t n)
{
	enum proto_code code;
	const char *wrong = body_parse(&r->body, bytes, n, &code);
	struct failure why;

	if (wrong == NULL && r->met < r->body.condition) {
		request_skip(r);
		return NULL;
	}
	r->met = PROTO_IF_ANY;
	if (wrong == NULL) {
		request_decide(r);
		return NULL;
	}
	if (code != PROTO_CODE_PROTOCOL) {
		(void)failure_make(&why, (int)code, code ==
		    PROTO_CODE_UNSUPPORTED ? "it may be older than the client" :
		    "", "%s", wrong);
		request_refuse(r, &why);
	}
	request_reset(r);
	return code == PROTO_CODE_PROTOCOL ? wrong : NULL;
}

/* Has the command started? */
static void
request_check_begun(struct request *r)
{
	struct child_failure f;
	struct failure why;
	int begun = command_begun(&r->command, &f);
	bool alone = peer_can_speak(r->peer) &&
	    !conn_has_output(r->peer->end.conn);
	uint32_t credit;

	if (begun == -1) {
		exec_failure_explain(&f, r->decision.record.shell ?
		    r->settings->shell_program : r->decision.record.argv[0],
		    &r->decision.plan, &why);
		request_drop(r, &why);
	} else if (begun == 1 && !r->command.chdir &&
	    peer_can_speak(r->peer)) {
		credit = input_start(&r->command.input);
		peer_put(r->peer, frame_put_u32(conn_out(r->peer->end.conn),
		    PROTO_STARTED, r->peer->end.request, credit));
		/* Only a peer with input to give is in need of it now. */
		if (alone && credit == 0)
			conn_hold(r->peer->end.conn, clock_in(STARTED_HELD));
	}
}

/* A change of directory: what the child has written is where it has come to.
 * "." is the question where that is, and changes nothing; without a word the
 * session is where it began. */
static void
request_finish_chdir(struct request *r)
{
	const struct command *c = &r->command;
	enum io io = c->child.out == -1 ? IO_ERROR : IO_OK;
	struct failure why;
	struct buf path;
	size_t n;

	buf_init(&path, sizeof r->directory);
	while (io == IO_OK)
		io = fd_fill(c->child.out, &path, sizeof r->directory);
	n = buf_used(&path);
	if (io != IO_EOF || n == 0 || c->cut_reason != NULL ||
	    !WIFEXITED(c->status) || WEXITSTATUS(c->status) != 0) {
		(void)failure_make(&why, c->cut == PROTO_CODE_CANCELLED ?
		    PROTO_CODE_CANCELLED : PROTO_CODE_RESOURCES, "try again",
		    "the directory could not be changed");
		request_refuse(r, &why);
	} else {
		if (r->body.nwords == 0)
			r->directory[0] = '\0';
		else if (strcmp(r->body.words[0], ".") != 0) {
			memcpy(r->directory, buf_data(&path), n);
			r->directory[n] = '\0';
		}
		r->met = PROTO_IF_SUCCEEDED;
		peer_put(r->peer, frame_put(conn_out(r->peer->end.conn),
		    PROTO_DIRECTORY, r->peer->end.request, buf_data(&path),
		    n));
	}
	buf_free(&path);
}

/* Put the end of its command on record, and tell the peer. */
static void
request_tell_end(struct request *r)
{
	const struct child *child = &r->command.child;
	struct audit_end end;
	struct frame_exit e;

	command_end(&r->command, &end);
	if (!request_is_question(r)) {
		if (child->program >= 0)
			end.program = r->decision.plan.paths[child->program];
		audit_command_end(&r->peer->audit, &r->decision.record, &end);
		r->sums.in_bytes += end.in_bytes;
		r->sums.out_bytes += end.out_bytes;
		r->sums.err_bytes += end.err_bytes;
	}
	if (r->command.cut == PROTO_CODE_NONE)
		r->met = end.signal == 0 && end.exit == 0 ?
		    PROTO_IF_SUCCEEDED : PROTO_IF_ENDED;
	if (!peer_can_speak(r->peer))
		return;
	e = (struct frame_exit){ .end = end.signal != 0 ? PROTO_END_SIGNAL :
	    PROTO_END_EXIT, .status = (uint32_t)(end.signal != 0 ? end.signal :
	    end.exit), .reason = r->command.cut,
	    .duration_us = (uint64_t)end.duration_us,
	    .cpu_us = (uint64_t)end.cpu_us, .out_bytes = end.out_bytes,
	    .err_bytes = end.err_bytes,
	    .left = end.kept ? 0 : (uint32_t)end.left };
	peer_put(r->peer, frame_put_exit(conn_out(r->peer->end.conn),
	    r->peer->end.request, &e));
}

void
request_check_finished(struct request *r)
{
	if (!command_is_finished(&r->command, peer_output(r->peer)))
		return;
	if (r->command.limits.keep && tree_spare(r->tree) == -1)
		log_errno("cannot keep what %s has left behind",
		    audit_command_name(&r->decision.record));
	if (!r->command.chdir)
		request_tell_end(r);
	else if (peer_can_speak(r->peer))
		request_finish_chdir(r);
	request_reset(r);
}

static const char *
request_on_stdin(void *owner, const struct frame *f)
{
	struct request *r = owner;

	return input_take(&r->command.input, f->payload, f->length);
}

static const char *
request_on_stdin_eof(void *owner, const struct frame *f)
{
	struct request *r = owner;

	if (f->length != 0 || r->command.input.ended)
		return "the end of standard input is out of place";
	input_end(&r->command.input);
	return NULL;
}

static const char *
request_on_window(void *owner, const struct frame *f)
{
	struct output *o = ((struct request *)owner)->command.outputs;

	return credit_window((struct credit *[]){ NULL, &o[0].credit,
	    &o[1].credit }, f);
}

static const char *
request_on_signal(void *owner, const struct frame *f)
{
	static const struct {
		const char *name;
		int number;
	} signals[] = {
		{ "HUP", SIGHUP }, { "INT", SIGINT }, { "QUIT", SIGQUIT },
		{ "KILL", SIGKILL }, { "TERM", SIGTERM }, { "USR1", SIGUSR1 },
		{ "USR2", SIGUSR2 }
	};
	struct command *c = &((struct request *)owner)->command;
	char name[PROTO_SIGNAL_MAX + 1];

	if (frame_get_signal(f, name) == -1)
		return "the name of a signal is malformed";
	/* A name that is not known changes nothing.  Reaped, its number may be
	 * another's. */
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
		if (!c->reaped && strcmp(name, signals[i].name) == 0)
			(void)child_signal(&c->child, signals[i].number);
	}
	return NULL;
}

/* It ends as by any other limit: with all that the session has started. */
void
request_cancel(struct request *r)
{
	command_cut(&r->command, PROTO_CODE_CANCELLED, "cancelled");
}

static const char *
request_on_close(void *owner, const struct frame *f)
{
	struct request *r = owner;
	uint8_t stream;

	if (frame_get_close(f, &stream) == -1)
		return "a close is malformed";
	command_close(&r->command, stream == PROTO_STREAM_STDERR);
	return NULL;
}

static const struct endpoint_frame request_frames[] = {
	{ PROTO_STDIN, ENDPOINT_TRAILS, REQUEST_BUSY, request_on_stdin },
	{ PROTO_STDIN_EOF, ENDPOINT_TRAILS, REQUEST_BUSY,
	    request_on_stdin_eof },
	{ PROTO_SIGNAL, ENDPOINT_TRAILS, REQUEST_BUSY, request_on_signal },
	{ PROTO_CLOSE, ENDPOINT_TRAILS, REQUEST_BUSY, request_on_close },
	{ PROTO_WINDOW, ENDPOINT_TRAILS, REQUEST_BUSY, request_on_window }
};

struct endpoint_table
request_table(struct request *r)
{
	return (struct endpoint_table){ request_frames,
	    sizeof request_frames / sizeof *request_frames, r };
}

/* Put a limit that its command has reached on record, once. */
static void
request_check_limit(struct request *r)
{
	const char *limit;
	int64_t value;

	if (r->limited || r->command.chdir || request_is_question(r) ||
	    (limit = command_limit(&r->command, &value)) == NULL)
		return;
	r->limited = true;
	audit_limit_hit(&r->peer->audit, &r->decision.record, limit, value);
}

void
request_dispatch(struct request *r, const struct pollset *ps)
{
	if (r->command.state == COMMAND_STARTING)
		request_check_begun(r);
	if (command_dispatch(&r->command, ps, peer_output(r->peer)) == -1)
		peer_out_of_memory(r->peer);
	if (r->command.state == COMMAND_RUNNING && !r->command.chdir &&
	    peer_can_speak(r->peer))
		peer_put(r->peer, input_renew(&r->command.input,
		    conn_fd(r->peer->end.conn), conn_out(r->peer->end.conn),
		    r->peer->end.request));
	request_check_limit(r);
}

void
request_abandon(struct request *r)
{
	command_abandon(&r->command);
	if (r->command.state == COMMAND_STARTING)
		request_check_begun(r);
}

void
request_lost(struct request *r)
{
	/* A command may be one that goes on without its client. */
	if (r->peer->closing || !r->command.limits.finish)
		command_cut(&r->command, PROTO_CODE_NONE,
		    r->peer->close_reason);
}

int64_t
request_idle_since(const struct request *r)
{
	if (request_state(r) != REQUEST_BUSY)
		return r->idle_since;
	return r->command.reaped ? r->command.ended_us / 1000 : CLOCK_NEVER;
}

uint64_t
request_output(const struct request *r)
{
	const struct output *o = r->command.outputs;

	return r->sums.out_bytes + r->sums.err_bytes + o[0].bytes + o[1].bytes;
}

void
request_describe(const struct request *r, char *out, size_t size)
{
	const char *program;
	char command[128];

	if (request_state(r) != REQUEST_BUSY) {
		(void)snprintf(out, size, "idle");
		return;
	}
	program = audit_command_name(&r->decision.record);
	(void)snprintf(out, size, "%s (%lld s)", text_printable(command,
	    sizeof command, program, strlen(program)), (long long)
	    (clock_now_us() - r->command.child.started_us) / 1000000);
}
