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
#include "common/wire/frame.h"
#include "common/endpoint/conn.h"
#include "daemon/exec/child.h"
#include "daemon/exec/tree.h"
#include "daemon/conf/settings.h"
#include "daemon/front/peer.h"
#include "daemon/front/request.h"

/* For how many milliseconds word of a command's start waits for its output, or
 * its end, to go with it. */
#define STARTED_HELD	5

static void
refuse(struct request *r, enum proto_code code, const char *text)
{
	peer_refuse(r->peer, r->peer->end.request, code, text);
}

enum request_state
request_state(const struct request *r)
{
	if (r->command.state != COMMAND_NONE)
		return REQUEST_BUSY;
	return buf_used(&r->pieces) > 0 ? REQUEST_BODY : REQUEST_IDLE;
}

void
request_init(struct request *r, struct peer *peer, struct tree *tree)
{
	r->peer = peer;
	r->tree = tree;
	r->idle_since = clock_now();
	buf_init(&r->pieces, PROTO_BODY_MAX);
	command_init(&r->command, tree);
}

void
request_clear(struct request *r)
{
	decision_free(&r->decision);
	body_free(&r->body);
	buf_free(&r->pieces);
	command_free(&r->command);
}

void
request_configure(struct request *r, const struct settings *settings)
{
	r->settings = settings;
	r->rule = rules_find(settings->rules, &r->peer->identity,
	    r->peer->address);
}

void
request_reset(struct request *r)
{
	command_reset(&r->command);
	decision_free(&r->decision);
	body_free(&r->body);
	buf_free(&r->pieces);
	r->limited = false;
	r->idle_since = clock_now();
}

/* The end of a request whose command never ran. */
static void
drop_request(struct request *r, enum proto_code code, const char *text)
{
	struct audit_end e = { .reason = text, .exit = -1 };

	if (r->body.operation != PROTO_CHDIR)
		audit_command_end(&r->peer->audit, &r->decision.record, &e);
	refuse(r, code, text);
	request_reset(r);
}

static void
start_command(struct request *r)
{
	struct child_plan *plan = &r->decision.plan;
	char text[256];

	if (command_start(&r->command, r->peer->end.request, plan,
	    r->body.windows, r->settings->kill_grace) == 0) {
		if (r->body.wants_stdin)
			input_offer(&r->command.input);
		return;
	}
	(void)snprintf(text, sizeof text, "the server cannot start a process: "
	    "%s; try again later", strerror(errno));
	log_error("%s", text);
	drop_request(r, PROTO_CODE_RESOURCES, text);
}

/* May the words of the request be run?  Writes why; the exit status, or -1 if
 * memory is out. */
static int
answer_can(struct request *r, const struct policy_peer *peer, FILE *out)
{
	struct body run = r->body;
	struct decision d;
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
		fprintf(out, "%s\n", d.reason);
	decision_free(&d);
	return status;
}

/* LIST and CAN: the answer is text, and goes the way of a command's. */
static void
answer_question(struct request *r, const struct policy_peer *peer)
{
	int fd = memfd_create("answer", MFD_CLOEXEC), copy = -1, status = 0;
	FILE *out = NULL;
	bool failed;

	if (fd != -1 && (copy = fcntl(fd, F_DUPFD_CLOEXEC, 0)) != -1)
		out = fdopen(copy, "w");
	if (out == NULL)
		fd_close(&copy);
	else if (r->body.operation == PROTO_LIST)
		rule_list(out, r->rule);
	else
		status = answer_can(r, peer, out);
	failed = out == NULL || status == -1 || ferror(out) != 0;
	if (out != NULL && fclose(out) == EOF)
		failed = true;
	if (failed || lseek(fd, 0, SEEK_SET) == -1) {
		fd_close(&fd);
		refuse(r, PROTO_CODE_RESOURCES, "the server cannot answer: it "
		    "lacks memory or descriptors; try again later");
		request_reset(r);
		return;
	}
	command_answer(&r->command, r->peer->end.request, fd, status,
	    r->body.windows);
	if (r->body.wants_stdin)
		input_offer(&r->command.input);
}

bool
request_is_question(const struct request *r)
{
	return r->body.operation == PROTO_LIST ||
	    r->body.operation == PROTO_CAN;
}

void
request_begin(struct request *r)
{
	static const char unrecorded[] = "the command cannot be put on record, "
	    "so it does not run; the server's log needs its operator";
	struct policy_peer peer = {
		.identity = &r->peer->identity, .address = r->peer->address,
		.rule = r->rule, .session = r->peer->audit.session,
		.request = r->peer->end.request, .now = date_now(),
		.directory = *r->directory == '\0' ? NULL : r->directory
	};

	if (policy_decide(&r->settings->policy, &peer, &r->body,
	    &r->decision) == -1) {
		refuse(r, PROTO_CODE_RESOURCES, "the server is out of memory");
		request_reset(r);
		return;
	}
	if (!r->decision.allowed) {
		audit_command_refused(&r->peer->audit, &r->decision.record,
		    r->decision.reason);
		refuse(r, r->decision.code, r->decision.reason);
		request_reset(r);
		return;
	}
	if (request_is_question(r)) {
		answer_question(r, &peer);
		return;
	}
	if (r->body.operation != PROTO_CHDIR) {
		if (!audit_command_start(&r->peer->audit, &r->decision.record,
		    r->settings->audit == SETTINGS_AUDIT_STRICT)) {
			/* A log that has the start has this as its end. */
			audit_command_refused(&r->peer->audit,
			    &r->decision.record, unrecorded);
			refuse(r, PROTO_CODE_AUDIT, unrecorded);
			request_reset(r);
			return;
		}
		r->sums.commands++;
	}
	start_command(r);
}

/* Is "error" one of the server's own lacks?  EBADF: a descriptor's number is
 * above the limit "open_files", see dup(2). */
static bool
is_lack(int error)
{
	return error == EAGAIN || error == ENOMEM || error == ENFILE ||
	    error == EMFILE || error == EBADF;
}

/* A sentence for the peer, and its code, for a start that has failed. */
static enum proto_code
explain_failure(const struct request *r, const struct child_failure *f,
    char *out, size_t size)
{
	const char *name = r->decision.record.shell ?
	    r->settings->shell_program : r->decision.record.argv[0];
	const struct child_plan *plan = &r->decision.plan;

	if (f->stage == CHILD_STAGE_DIRECTORY) {
		/* "." is the directory of the rule or of the session. */
		(void)snprintf(out, size, "cannot enter the directory %.500s: "
		    "%s", strcmp(plan->directory, ".") == 0 ? plan->base :
		    plan->directory, strerror(f->error));
		return PROTO_CODE_DIRECTORY;
	}
	if (f->stage == CHILD_STAGE_PATH && !is_lack(f->error)) {
		(void)snprintf(out, size, "a path in the arguments of %.500s "
		    "%s%s", name, f->error == EXDEV ? "leads out of its "
		    "directory" : "cannot be opened: ", f->error == EXDEV ? "" :
		    strerror(f->error));
		return PROTO_CODE_DENIED;
	}
	if (f->stage == CHILD_STAGE_UNSAFE) {
		(void)snprintf(out, size, "commands could change the program "
		    "of %.500s, or a directory on its way, so it is not "
		    "executed; the server's operator has to mend that, and "
		    "aisd -t says where", name);
		return PROTO_CODE_NOT_EXECUTABLE;
	}
	if (f->stage == CHILD_STAGE_INTERPRETER) {
		(void)snprintf(out, size, "cannot execute %.500s: the "
		    "interpreter in its first line, or its loader, is not "
		    "there", name);
		return PROTO_CODE_NOT_EXECUTABLE;
	}
	if (f->stage != CHILD_STAGE_EXEC || is_lack(f->error)) {
		(void)snprintf(out, size, "cannot start %.500s: %s; the server "
		    "lacks resources", name, strerror(f->error));
		return PROTO_CODE_RESOURCES;
	}
	if (f->error == ENOENT || f->error == ENOTDIR) {
		(void)snprintf(out, size, "unknown command: %.500s", name);
		return PROTO_CODE_UNKNOWN;
	}
	(void)snprintf(out, size, "cannot execute %.500s: %s", name,
	    strerror(f->error));
	return PROTO_CODE_NOT_EXECUTABLE;
}

/* Has the command started? */
static void
check_begun(struct request *r)
{
	struct child_failure f;
	enum proto_code code;
	char text[PROTO_TEXT_MAX];
	int begun = command_begun(&r->command, &f);
	bool alone = peer_can_speak(r->peer) &&
	    !conn_has_output(r->peer->end.conn);
	uint32_t credit;

	if (begun == -1) {
		code = explain_failure(r, &f, text, sizeof text);
		drop_request(r, code, text);
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

int
request_signal(struct request *r, const char *name)
{
	static const struct {
		const char *name;
		int number;
	} signals[] = {
		{ "HUP", SIGHUP }, { "INT", SIGINT }, { "QUIT", SIGQUIT },
		{ "KILL", SIGKILL }, { "TERM", SIGTERM }, { "USR1", SIGUSR1 },
		{ "USR2", SIGUSR2 }
	};

	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
		if (strcmp(name, signals[i].name) != 0)
			continue;
		/* Reaped, its number may be another's. */
		if (!r->command.reaped)
			(void)child_signal(&r->command.child,
			    signals[i].number);
		return 0;
	}
	return -1;
}

/* Read from "fd" to its end; the number of bytes, or -1. */
static ssize_t
read_whole(int fd, char *out, size_t size)
{
	size_t used = 0;
	ssize_t n;

	while (used < size) {
		n = read(fd, out + used, size - used);
		if (n == 0)
			return (ssize_t)used;
		if (n > 0)
			used += (size_t)n;
		else if (errno != EINTR)
			return -1;
	}
	return -1;
}

/* A change of directory: what the child has written is the new one. */
static void
finish_chdir(struct request *r)
{
	const struct command *c = &r->command;
	char path[sizeof r->directory];
	ssize_t n = c->child.out == -1 ? -1 :
	    read_whole(c->child.out, path, sizeof path);

	if (n <= 0 || c->cut_reason != NULL || !WIFEXITED(c->status) ||
	    WEXITSTATUS(c->status) != 0) {
		refuse(r, c->cut == PROTO_CODE_CANCELLED ? c->cut :
		    PROTO_CODE_RESOURCES, "the directory could not be "
		    "changed; try again");
		return;
	}
	memcpy(r->directory, path, (size_t)n);
	r->directory[n] = '\0';
	peer_put(r->peer, frame_put(conn_out(r->peer->end.conn),
	    PROTO_DIRECTORY, r->peer->end.request, r->directory, (size_t)n));
}

static void
add_sums(struct request *r, const struct audit_end *e)
{
	r->sums.in_bytes += e->in_bytes;
	r->sums.out_bytes += e->out_bytes;
	r->sums.err_bytes += e->err_bytes;
}

static void
record_end(struct request *r)
{
	struct audit_end end;

	command_end(&r->command, &end);
	audit_command_end(&r->peer->audit, &r->decision.record, &end);
	add_sums(r, &end);
}

static void
report_exit(struct request *r)
{
	struct frame_exit e;

	command_exit(&r->command, &e);
	if (peer_can_speak(r->peer))
		peer_put(r->peer, frame_put_exit(conn_out(r->peer->end.conn),
		    r->peer->end.request, &e));
}

void
request_finish(struct request *r)
{
	if (r->command.limits.keep && tree_spare(r->tree) == -1)
		log_errno("cannot keep what %s has left behind",
		    audit_command_name(&r->decision.record));
	if (!r->command.chdir && !request_is_question(r))
		record_end(r);
	if (!r->command.chdir)
		report_exit(r);
	else if (peer_can_speak(r->peer))
		finish_chdir(r);
	request_reset(r);
}

void
request_dispatch(struct request *r, const struct pollset *ps)
{
	uint32_t credit;

	if (r->command.state == COMMAND_STARTING)
		check_begun(r);
	if (command_turn(&r->command, ps, peer_output(r->peer)) == -1)
		peer_goodbye(r->peer, PROTO_CODE_RESOURCES,
		    "the server is out of memory", "out of memory");
	if (r->command.state != COMMAND_RUNNING || r->command.chdir ||
	    !peer_can_speak(r->peer))
		return;
	if ((credit = input_regrant(&r->command.input)) > 0)
		peer_put(r->peer, frame_put_window(conn_out(r->peer->end.conn),
		    r->peer->end.request, PROTO_STREAM_STDIN, credit));
}

void
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
request_abandon(struct request *r)
{
	command_abandon(&r->command);
	if (r->command.state == COMMAND_STARTING)
		check_begun(r);
}
