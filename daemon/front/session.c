#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/wire/body.h"
#include "common/base/clock.h"
#include "common/base/date.h"
#include "common/base/fd.h"
#include "common/wire/frame.h"
#include "common/endpoint/conn.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/base/net.h"
#include "common/base/pollset.h"
#include "common/tls/tls.h"
#include "daemon/record/audit.h"
#include "daemon/exec/child.h"
#include "daemon/exec/command.h"
#include "daemon/rules/policy.h"
#include "daemon/front/session.h"
#include "daemon/conf/settings.h"
#include "daemon/exec/tree.h"

/* The peer has this long to take the last frames, or some of them. */
#define FLUSH_TIMEOUT	2000
/* What TCP carries of a PING and its PONG at most. */
#define PING_BYTES	256
/* A session whose turn is over may be followed by another at once: in ms. */
#define RETRY_TURN	1
/* For how many milliseconds word of a command's start waits for its output, or
 * its end, to go with it. */
#define STARTED_HELD	5

/* What the session is doing; a bit each, for the table of frames. */
enum state {
	IDLE = 1,		/* No request. */
	BODY = 2,		/* Some of a request has come. */
	BUSY = 4		/* There is a command. */
};

struct session {
	struct conn *conn;	/* NULL once it is gone. */
	struct audit_peer peer;
	char address[NET_TEXT_MAX];
	struct tls_identity identity;
	const struct settings *settings;
	struct tree *tree;
	const struct rule *rule;	/* Of the settings; NULL: it ends. */
	char directory[PROTO_PATH_MAX + 1];	/* "" before any change. */
	int64_t opened_us;	/* 0 once the end is on record. */
	int64_t idle_since;
	int64_t others_since;	/* When others began to wait; or NEVER. */
	int64_t heard;		/* When something came from the peer. */
	int64_t asked;		/* When it was asked to answer; 0: not. */
	uint64_t carried;	/* By TCP, both ways, until then. */
	uint64_t acked;		/* What the peer had taken, */
	int64_t taken;		/* and when it was seen to take output. */
	uint64_t given;		/* Output that had been sent then, */
	uint64_t owed;		/* and where TCP will be when it has that. */
	bool unhandled;		/* There are frames for the next turn. */
	struct buf pieces;	/* Of a request's body. */
	uint32_t last;		/* The newest request's number. */
	struct audit_sums sums;

	/* The request that is being served. */
	struct body body;
	struct decision decision;
	struct audit_command record;
	char user[ACCOUNT_NAME_MAX];	/* A reload may change the settings. */
	struct command command;
	bool limited;		/* A limit of it is on record. */

	/* The end. */
	enum proto_code stop_code;	/* With stop_text: end when idle. */
	const char *stop_reason;
	const char *stop_text;
	char judgement[TLS_TEXT_MAX];	/* The text, if we judged. */
	int64_t expires;
	bool closing;		/* GOODBYE is in the queue. */
	int64_t closing_deadline;
	bool gone;		/* The link is of no use any more. */
	const char *close_reason;
	int linger;
};

/* --- making and freeing ------------------------------------------------- */

/* When there has to be a new list, or the client is refused. */
static int
put_list(const struct session *s, struct buf *body)
{
	struct tls_term list;
	uint8_t bytes[16 + TLS_NAME_MAX];
	size_t n;

	if (tls_peer_list(conn_tls(s->conn), &list) == -1)
		return 0;
	n = strlen(list.name);
	store_u64(bytes, (uint64_t)list.begins);
	store_u64(bytes + 8, (uint64_t)list.ends);
	memcpy(bytes + 16, list.name, n);
	return item_put(body, PROTO_ITEM_REVOCATIONS, bytes, 16 + n);
}

static int
put_hello(struct session *s)
{
	static const char server[] = "aisd " PACKAGE_VERSION;
	const char *name = s->peer.session, *cn = s->identity.common_name;
	struct buf body;
	int result;

	buf_init(&body, PROTO_PAYLOAD_MAX);
	result = item_put(&body, PROTO_ITEM_SESSION, name, strlen(name)) ||
	    item_put(&body, PROTO_ITEM_SERVER, server, strlen(server)) ||
	    item_put(&body, PROTO_ITEM_FEATURES, PROTO_FEATURES,
	    strlen(PROTO_FEATURES)) ||
	    item_put(&body, PROTO_ITEM_PEER, cn, strlen(cn)) ||
	    put_list(s, &body) ||
	    frame_put(conn_out(s->conn), PROTO_HELLO, 0, buf_data(&body),
	    buf_used(&body));
	buf_free(&body);
	return result == 0 ? 0 : -1;
}

struct session *
session_new(struct conn *c, const char *address, const char *name,
    const struct settings *settings, struct tree *tree)
{
	struct session *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	if (tree_spare(tree) == -1) {
		free(s);
		return NULL;
	}
	s->settings = settings;
	s->tree = tree;
	s->identity = *tls_peer(conn_tls(c));
	s->expires = tls_peer_expires(conn_tls(c));
	(void)snprintf(s->address, sizeof s->address, "%s", address);
	(void)snprintf(s->peer.session, sizeof s->peer.session, "%s", name);
	s->peer.address = s->address;
	s->peer.identity = &s->identity;
	s->rule = rules_find(settings->rules, &s->identity, s->address);
	s->opened_us = clock_now_us();
	s->idle_since = s->heard = clock_now();
	/* Who is there is asked by us, who know a slow one from a dead one. */
	net_dead_after(conn_fd(c), 0);
	s->others_since = CLOCK_NEVER;
	s->linger = -1;
	buf_init(&s->pieces, PROTO_BODY_MAX);
	command_init(&s->command, tree);
	s->conn = c;
	if (put_hello(s) == -1) {
		command_free(&s->command);
		free(s);
		return NULL;
	}
	return s;
}

void
session_announce(const struct session *s)
{
	audit_session_open(&s->peer);
}

int
session_free(struct session *s)
{
	int fd = s->linger;

	if (fd == -1)
		fd = conn_linger(s->conn);
	decision_free(&s->decision);
	body_free(&s->body);
	buf_free(&s->pieces);
	command_free(&s->command);
	free(s);
	return fd;
}

void
session_configure(struct session *s, const struct settings *settings)
{
	s->settings = settings;
	s->rule = rules_find(settings->rules, &s->identity, s->address);
	if (s->rule == NULL)
		session_stop(s, PROTO_CODE_DENIED, "no-rule", "no rule of the "
		    "server matches this client any more");
}

void
session_judge(struct session *s, struct tls_context *context)
{
	const char *reason;

	/* Judged once, it need not be woken for that again. */
	s->expires = INT64_MAX;
	if (s->gone)
		return;
	if (tls_recheck(conn_tls(s->conn), context, &reason,
	    s->judgement) == 0) {
		s->expires = tls_peer_expires(conn_tls(s->conn));
		return;
	}
	session_stop(s, PROTO_CODE_DENIED, reason, s->judgement);
}

const struct tls_identity *
session_identity(const struct session *s)
{
	return &s->identity;
}

int64_t
session_expires(const struct session *s)
{
	return s->expires;
}

static enum state
state_of(const struct session *s)
{
	if (s->command.state != COMMAND_NONE)
		return BUSY;
	return buf_used(&s->pieces) > 0 ? BODY : IDLE;
}

void
session_others_wait(struct session *s, bool wait)
{
	if (!wait)
		s->others_since = CLOCK_NEVER;
	else if (s->others_since == CLOCK_NEVER)
		s->others_since = clock_now();
}

bool
session_is_idle(const struct session *s)
{
	return state_of(s) == IDLE;
}

bool
session_is_over(const struct session *s)
{
	return s->gone && s->command.state == COMMAND_NONE &&
	    !tree_is_ending(s->tree);
}

/* --- saying things to the peer ------------------------------------------ */

/*
 * The link is lost, or of no use: nothing more is read or written.  What runs
 * for nobody is ended.
 */
static void
end_link(struct session *s, const char *reason)
{
	if (s->gone)
		return;
	s->gone = true;
	if (s->close_reason == NULL)
		s->close_reason = reason;
	s->linger = conn_linger(s->conn);
	s->conn = NULL;
}

/* The peer has left in order, whether by GOODBYE or by close_notify alone. */
static void
leave(struct session *s)
{
	end_link(s, state_of(s) == IDLE ? "done" :
	    "the client went away in the middle of a request");
}

/* The queue is full of small frames: the peer asks and does not listen. */
static void
check_put(struct session *s, int result)
{
	if (result == -1)
		end_link(s, "the client does not read what it asks for");
}

/* Is there still somebody to talk to? */
static bool
can_speak(const struct session *s)
{
	return !s->gone && !s->closing;
}

static void
refuse(struct session *s, enum proto_code code, const char *text)
{
	if (can_speak(s))
		check_put(s, frame_put_code(conn_out(s->conn), PROTO_REFUSED,
		    s->record.request, code, text));
}

/* Say goodbye; what is running will be ended. */
static void
close_politely(struct session *s, enum proto_code code, const char *text,
    const char *reason)
{
	if (!can_speak(s))
		return;
	s->closing = true;
	s->close_reason = reason;
	s->closing_deadline = clock_in(FLUSH_TIMEOUT);
	/* Who comes again at once finds its place in the line. */
	check_put(s, frame_put_retry(conn_out(s->conn), code, text,
	    code == PROTO_CODE_TURN ? RETRY_TURN : 0));
}

static void
protocol_error(struct session *s, const char *what)
{
	close_politely(s, PROTO_CODE_PROTOCOL, what, what);
}

/* --- a request: from its body to its command ---------------------------- */

static void
reset_request(struct session *s)
{
	command_reset(&s->command);
	decision_free(&s->decision);
	body_free(&s->body);
	buf_free(&s->pieces);
	s->limited = false;
	s->idle_since = clock_now();
}

/* The request as it is on record. */
static void
fill_record(struct session *s)
{
	static char nothing[] = "";
	static char *none[] = { nothing, NULL };

	s->record.rule = s->decision.rule;
	(void)snprintf(s->user, sizeof s->user, "%s",
	    s->settings->command.name);
	s->record.user = s->user;
	s->record.command = s->decision.command;
	s->record.learned = s->decision.learned;
	s->record.directory = s->body.directory != NULL ? s->body.directory :
	    s->decision.plan.base != NULL ? s->decision.plan.base :
	    *s->directory != '\0' ? s->directory : s->settings->start;
	s->record.argv = s->body.nwords > 0 ? s->body.words : none;
	if (s->decision.logged != NULL)
		s->record.argv = s->decision.logged;
	s->record.shell = s->decision.shell;
}

/* The end of a request whose command never ran. */
static void
drop_request(struct session *s, enum proto_code code, const char *text)
{
	struct audit_end e = { .reason = text, .exit = -1 };

	if (s->body.operation != PROTO_CHDIR)
		audit_command_end(&s->peer, &s->record, &e);
	refuse(s, code, text);
	reset_request(s);
}

static void
start_command(struct session *s)
{
	struct child_plan *plan = &s->decision.plan;
	char text[256];

	if (command_start(&s->command, s->record.request, plan,
	    s->body.windows, s->settings->kill_grace) == 0) {
		if (s->body.wants_stdin)
			input_offer(&s->command.input);
		return;
	}
	(void)snprintf(text, sizeof text, "the server cannot start a process: "
	    "%s; try again later", strerror(errno));
	log_error("%s", text);
	drop_request(s, PROTO_CODE_RESOURCES, text);
}

/* May the words of the request be run?  Writes why; the exit status, or -1 if
 * memory is out. */
static int
answer_can(struct session *s, const struct policy_defaults *defaults,
    const struct policy_peer *peer, FILE *out)
{
	struct body run = s->body;
	struct decision d;
	int status;

	if (run.nwords == 0) {
		fprintf(out, "the rule \"%s\" applies\n", s->decision.rule);
		return 0;
	}
	run.operation = PROTO_RUN;
	if (policy_decide(defaults, peer, &run, &d) == -1)
		return -1;
	status = d.allowed ? 0 : 1;
	if (d.allowed)
		fprintf(out, "the rule \"%s\" grants it%s%s%s\n", d.rule,
		    *d.command == '\0' ? "" : " as its command ", d.command,
		    d.learned ? ", because it is learning" : "");
	else
		fprintf(out, "%s\n", d.reason);
	decision_free(&d);
	return status;
}

/* LIST and CAN: the answer is text, and goes the way of a command's. */
static void
answer_question(struct session *s, const struct policy_defaults *defaults,
    const struct policy_peer *peer)
{
	int fd = memfd_create("answer", MFD_CLOEXEC), copy = -1, status = 0;
	FILE *out = NULL;
	bool failed;

	if (fd != -1 && (copy = fcntl(fd, F_DUPFD_CLOEXEC, 0)) != -1)
		out = fdopen(copy, "w");
	if (out == NULL)
		fd_close(&copy);
	else if (s->body.operation == PROTO_LIST)
		rule_list(out, s->rule);
	else
		status = answer_can(s, defaults, peer, out);
	failed = out == NULL || status == -1 || ferror(out) != 0;
	if (out != NULL && fclose(out) == EOF)
		failed = true;
	if (failed || lseek(fd, 0, SEEK_SET) == -1) {
		fd_close(&fd);
		refuse(s, PROTO_CODE_RESOURCES, "the server cannot answer: it "
		    "lacks memory or descriptors; try again later");
		reset_request(s);
		return;
	}
	command_answer(&s->command, s->record.request, fd, status,
	    s->body.windows);
	if (s->body.wants_stdin)
		input_offer(&s->command.input);
}

static bool
is_question(const struct session *s)
{
	return s->body.operation == PROTO_LIST ||
	    s->body.operation == PROTO_CAN;
}

/* Decide on a request that is complete, and act on it. */
static void
begin_request(struct session *s)
{
	static const char unrecorded[] = "the command cannot be put on record, "
	    "so it does not run; the server's log needs its operator";
	struct policy_defaults defaults;
	struct policy_peer peer = {
		.identity = &s->identity, .address = s->address,
		.rule = s->rule, .session = s->peer.session,
		.request = s->record.request, .now = date_now(),
		.directory = *s->directory == '\0' ? NULL : s->directory
	};

	settings_policy_defaults(s->settings, &defaults);
	if (policy_decide(&defaults, &peer, &s->body, &s->decision) == -1) {
		refuse(s, PROTO_CODE_RESOURCES, "the server is out of memory");
		reset_request(s);
		return;
	}
	fill_record(s);
	if (!s->decision.allowed) {
		audit_command_refused(&s->peer, &s->record,
		    s->decision.reason);
		refuse(s, s->decision.code, s->decision.reason);
		reset_request(s);
		return;
	}
	if (is_question(s)) {
		answer_question(s, &defaults, &peer);
		return;
	}
	if (s->body.operation != PROTO_CHDIR) {
		if (!audit_command_start(&s->peer, &s->record,
		    settings_audit_strict(s->settings))) {
			/* A log that has the start has this as its end. */
			audit_command_refused(&s->peer, &s->record, unrecorded);
			refuse(s, PROTO_CODE_AUDIT, unrecorded);
			reset_request(s);
			return;
		}
		s->sums.commands++;
	}
	start_command(s);
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
explain_failure(const struct session *s, const struct child_failure *f,
    char *out, size_t size)
{
	const char *name = s->decision.shell ?
	    s->settings->shell_program : s->record.argv[0];
	const struct child_plan *plan = &s->decision.plan;

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
check_begun(struct session *s)
{
	struct child_failure f;
	enum proto_code code;
	char text[PROTO_TEXT_MAX];
	int begun = command_begun(&s->command, &f);
	bool alone = can_speak(s) && !conn_has_output(s->conn);
	uint32_t credit;

	if (begun == -1) {
		code = explain_failure(s, &f, text, sizeof text);
		drop_request(s, code, text);
	} else if (begun == 1 && !s->command.chdir && can_speak(s)) {
		credit = input_start(&s->command.input);
		check_put(s, frame_put_u32(conn_out(s->conn), PROTO_STARTED,
		    s->record.request, credit));
		/* Only a peer with input to give is in need of it now. */
		if (alone && credit == 0)
			conn_hold(s->conn, clock_in(STARTED_HELD));
	}
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
finish_chdir(struct session *s)
{
	const struct command *c = &s->command;
	char path[sizeof s->directory];
	ssize_t n = c->child.out == -1 ? -1 :
	    read_whole(c->child.out, path, sizeof path);

	if (n <= 0 || c->cut_reason != NULL || !WIFEXITED(c->status) ||
	    WEXITSTATUS(c->status) != 0) {
		refuse(s, c->cut == PROTO_CODE_CANCELLED ? c->cut :
		    PROTO_CODE_RESOURCES, "the directory could not be "
		    "changed; try again");
		return;
	}
	memcpy(s->directory, path, (size_t)n);
	s->directory[n] = '\0';
	check_put(s, frame_put(conn_out(s->conn), PROTO_DIRECTORY,
	    s->record.request, s->directory, (size_t)n));
}

static void
add_sums(struct session *s, const struct audit_end *e)
{
	s->sums.in_bytes += e->in_bytes;
	s->sums.out_bytes += e->out_bytes;
	s->sums.err_bytes += e->err_bytes;
}

static void
record_end(struct session *s)
{
	struct audit_end end;

	command_end(&s->command, &end);
	audit_command_end(&s->peer, &s->record, &end);
	add_sums(s, &end);
}

static void
report_exit(struct session *s)
{
	struct frame_exit e;

	command_exit(&s->command, &e);
	if (can_speak(s))
		check_put(s, frame_put_exit(conn_out(s->conn),
		    s->record.request, &e));
}

/* The command is finished: the record, and the peer, are told. */
static void
finish_request(struct session *s)
{
	if (s->command.limits.keep && tree_spare(s->tree) == -1)
		log_errno("cannot keep what %s has left behind",
		    audit_command_name(&s->record));
	if (!s->command.chdir && !is_question(s))
		record_end(s);
	if (!s->command.chdir)
		report_exit(s);
	else if (can_speak(s))
		finish_chdir(s);
	reset_request(s);
}

/* --- a turn among others ------------------------------------------------- */

/* "since" and the time of a key, for which 0 is without end. */
static int64_t
end_of(int64_t since, int64_t limit)
{
	return limit == 0 || since == CLOCK_NEVER ? CLOCK_NEVER :
	    since + limit;
}

/* Until when may the peer start something?  Once it may in any case. */
static int64_t
turn_deadline(const struct session *s)
{
	if (state_of(s) == BUSY || s->last == 0)
		return CLOCK_NEVER;
	return end_of(s->others_since, s->settings->turn);
}

/*
 * May the peer go on?  If its turn is over, it is told.  Asked for each request
 * as well: one may be there already when the answer to the last one is.
 */
static bool
has_turn(struct session *s)
{
	if (!clock_past(turn_deadline(s)))
		return true;
	close_politely(s, PROTO_CODE_TURN, "others wait, and this session's "
	    "turn is over", "turn");
	return false;
}

/* --- frames from the peer ----------------------------------------------- */

static void
on_request_part(struct session *s, const struct frame *f)
{
	bool more = state_of(s) == BODY;

	if (more && f->request != s->last) {
		protocol_error(s, "a request began within another");
		return;
	}
	if (!more && f->request <= s->last) {
		protocol_error(s, "a request's number is not above the last");
		return;
	}
	if (!more && !has_turn(s))
		return;
	if (f->type == PROTO_REQUEST_PART && f->length == 0) {
		protocol_error(s, "a part of a request is empty");
		return;
	}
	s->last = f->request;
	if (f->length > buf_room(&s->pieces))
		protocol_error(s, "a request is too long");
	else if (buf_put(&s->pieces, f->payload, f->length) == -1)
		close_politely(s, PROTO_CODE_RESOURCES,
		    "the server is out of memory", "out of memory");
}

static void
on_request(struct session *s, const struct frame *f)
{
	enum proto_code code;
	const char *why;

	on_request_part(s, f);
	if (!can_speak(s))
		return;
	s->record.request = f->request;
	why = body_parse(&s->body, buf_data(&s->pieces),
	    buf_used(&s->pieces), &code);
	buf_free(&s->pieces);
	if (why == NULL) {
		begin_request(s);
		return;
	}
	if (code == PROTO_CODE_PROTOCOL)
		protocol_error(s, why);
	else
		refuse(s, code, why);
	reset_request(s);
}

static void
on_stdin(struct session *s, const struct frame *f)
{
	const char *why = input_take(&s->command.input, f->payload, f->length);

	if (why != NULL)
		protocol_error(s, why);
}

static void
on_stdin_eof(struct session *s, const struct frame *f)
{
	if (f->length != 0 || s->command.input.ended)
		protocol_error(s, "the end of standard input is out of place");
	input_end(&s->command.input);
}

static void
on_window(struct session *s, const struct frame *f)
{
	uint8_t stream;
	uint32_t credit;

	if (frame_get_window(f, &stream, &credit) == -1 ||
	    stream == PROTO_STREAM_STDIN)
		protocol_error(s, "a window is malformed");
	else if (output_grant(&s->command.outputs[stream -
	    PROTO_STREAM_STDOUT], credit) == -1)
		protocol_error(s, "a window is too large");
}

static void
on_signal(struct session *s, const struct frame *f)
{
	static const struct {
		const char *name;
		int number;
	} signals[] = {
		{ "HUP", SIGHUP }, { "INT", SIGINT }, { "QUIT", SIGQUIT },
		{ "KILL", SIGKILL }, { "TERM", SIGTERM }, { "USR1", SIGUSR1 },
		{ "USR2", SIGUSR2 }
	};
	char name[PROTO_SIGNAL_MAX + 1];

	if (frame_get_signal(f, name) == 0) {
		for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
			if (strcmp(name, signals[i].name) != 0)
				continue;
			/* Reaped, its number may be another's. */
			if (!s->command.reaped)
				(void)child_signal(&s->command.child,
				    signals[i].number);
			return;
		}
	}
	protocol_error(s, "a signal has an unknown name");
}

/* It ends as by any other limit: with all that the session has started. */
static void
on_cancel(struct session *s, const struct frame *f)
{
	const uint8_t *item;
	size_t n;

	if (item_find(f->payload, f->length, PROTO_ITEM_TEXT, &item, &n) == -1)
		protocol_error(s, "a cancel is malformed");
	else
		command_cut(&s->command, PROTO_CODE_CANCELLED, "cancelled");
}

static void
on_close(struct session *s, const struct frame *f)
{
	uint8_t stream;

	if (frame_get_close(f, &stream) == -1)
		protocol_error(s, "a close is malformed");
	else
		command_close(&s->command, stream - PROTO_STREAM_STDOUT);
}

static void
on_ping(struct session *s, const struct frame *f)
{
	if (f->length > PROTO_PING_MAX)
		protocol_error(s, "a ping is too long");
	else
		check_put(s, frame_put(conn_out(s->conn), PROTO_PONG, 0,
		    f->payload, f->length));
}

static void
on_pong(struct session *s, const struct frame *f)
{
	if (f->length > PROTO_PING_MAX)
		protocol_error(s, "a pong is too long");
}

static void
on_goodbye(struct session *s, const struct frame *f)
{
	char text[PROTO_TEXT_MAX + 1];
	uint16_t code;

	if (frame_get_code(f, &code, text) == -1)
		protocol_error(s, "a goodbye is malformed");
	else
		leave(s);
}

#define ANY	(IDLE | BODY | BUSY)

/* Which frame is legal in which state, and about whom it is. */
static const struct rule_of_frame {
	uint8_t type;
	bool of_request;	/* It belongs to the request being served; a
				 * late one to a request before it. */
	bool of_session;	/* Its request number is 0. */
	unsigned states;
	void (*handle)(struct session *, const struct frame *);
} frames[] = {
	{ PROTO_REQUEST_PART, false, false, IDLE | BODY, on_request_part },
	{ PROTO_REQUEST, false, false, IDLE | BODY, on_request },
	{ PROTO_STDIN, true, false, BUSY, on_stdin },
	{ PROTO_STDIN_EOF, true, false, BUSY, on_stdin_eof },
	{ PROTO_SIGNAL, true, false, BUSY, on_signal },
	{ PROTO_CANCEL, true, false, BUSY, on_cancel },
	{ PROTO_CLOSE, true, false, BUSY, on_close },
	{ PROTO_WINDOW, true, false, BUSY, on_window },
	{ PROTO_PING, false, true, ANY, on_ping },
	{ PROTO_PONG, false, true, ANY, on_pong },
	{ PROTO_GOODBYE, false, true, ANY, on_goodbye },
};

/* Is the frame about a request that has ended, and crossed its end? */
static bool
is_late(const struct session *s, const struct frame *f)
{
	if (f->request == 0 || f->request > s->last)
		return false;
	return f->request < s->last || state_of(s) == IDLE;
}

static void
handle_frame(struct session *s, const struct frame *f)
{
	const struct rule_of_frame *r = NULL;

	for (size_t i = 0; i < sizeof frames / sizeof *frames; i++) {
		if (frames[i].type == f->type)
			r = &frames[i];
	}
	if (r == NULL)
		protocol_error(s, "a frame has a type that no client sends");
	else if (r->of_session != (f->request == 0))
		protocol_error(s, "a frame has a request's number where it "
		    "may not, or none where it must");
	else if (r->of_request && is_late(s, f))
		return;
	else if ((r->states & state_of(s)) == 0 ||
	    (r->of_request && f->request != s->record.request))
		protocol_error(s, "a frame came where it is not legal");
	else
		r->handle(s, f);
}

/*
 * Handle the frames that have come, up to the first request: to decide on one
 * may take its time, and the daemon has others to look after before the next.
 */
static void
handle_frames(struct session *s)
{
	struct frame f;
	bool asked = false;
	int got = 0;

	s->unhandled = false;
	while (can_speak(s) && (got = conn_peek(s->conn, &f)) == 1) {
		if (asked) {
			s->unhandled = true;
			return;
		}
		asked = f.type == PROTO_REQUEST;
		handle_frame(s, &f);
		if (!s->gone)
			conn_done(s->conn, &f);
	}
	if (got == -1 && can_speak(s))
		protocol_error(s, "a frame is too long");
}

void
session_reaped(struct session *s, pid_t pid, int status,
    const struct rusage *usage)
{
	command_reaped(&s->command, pid, status, usage);
}

/* --- the turn ----------------------------------------------------------- */

/* Where the command's output goes. */
static struct conn *
output_link(struct session *s)
{
	return can_speak(s) ? s->conn : NULL;
}

/*
 * Until when may the peer ask for nothing?  A command that has ended, but
 * whose last output the peer does not take, is not waited for any longer; one
 * that takes it slowly is not idle.
 */
static int64_t
idle_deadline(const struct session *s)
{
	int64_t since = s->idle_since;

	if (state_of(s) == BUSY && !s->command.reaped)
		return CLOCK_NEVER;
	if (state_of(s) == BUSY)
		since = s->command.ended_us / 1000;
	if (since < s->taken)
		since = s->taken;
	return since + (s->others_since == CLOCK_NEVER ?
	    s->settings->idle_timeout : s->settings->idle_timeout_waiting);
}

/* How long may all of it last? */
static int64_t
session_deadline(const struct session *s)
{
	if (s->stop_text != NULL)
		return CLOCK_NEVER;
	return end_of(s->opened_us / 1000, s->settings->session_timeout);
}

/* When is the peer to be asked whether it is there, or given up? */
static int64_t
dead_deadline(const struct session *s)
{
	int64_t patience = s->settings->dead_timeout / 3;

	if (s->asked != 0)
		return end_of(s->asked, s->settings->dead_timeout - patience);
	return end_of(s->heard, patience);
}

void
session_poll(struct session *s, struct pollset *ps)
{
	if (!s->gone)
		conn_poll(s->conn, ps, !s->closing);
	command_poll(&s->command, ps, output_link(s));
	pollset_deadline(ps, tree_deadline(s->tree));
	if (s->closing && !s->gone)
		pollset_deadline(ps, s->closing_deadline);
	if (!can_speak(s))
		return;
	if (s->unhandled)
		pollset_deadline(ps, clock_now());
	pollset_deadline(ps, idle_deadline(s));
	pollset_deadline(ps, turn_deadline(s));
	pollset_deadline(ps, session_deadline(s));
	pollset_deadline(ps, dead_deadline(s));
}

/* The link has failed: not ended, but altered or cut. */
static void
lose_link(struct session *s)
{
	enum tls_failure failure = tls_failure(conn_tls(s->conn));

	log_info("session of %s from %s: %s", s->identity.common_name,
	    s->address, tls_error(conn_tls(s->conn)));
	end_link(s, failure == TLS_FAILURE_ALTERED ? "altered" :
	    failure == TLS_FAILURE_MEMORY ? "out of memory" :
	    "the connection was cut");
}

static void
turn_link(struct session *s, const struct pollset *ps)
{
	enum io io;

	if (!can_speak(s))
		return;
	if (s->unhandled) {
		handle_frames(s);
		return;
	}
	if (!conn_ready(s->conn, ps))
		return;
	io = conn_read(s->conn);
	if (io == IO_OK) {
		s->heard = clock_now();
		s->asked = 0;
		handle_frames(s);
	}
	else if (io == IO_EOF)
		leave(s);
	else if (io == IO_ERROR)
		lose_link(s);
}

static void
turn_command(struct session *s, const struct pollset *ps)
{
	uint32_t credit;

	if (s->command.state == COMMAND_STARTING)
		check_begun(s);
	if (command_turn(&s->command, ps, output_link(s)) == -1)
		close_politely(s, PROTO_CODE_RESOURCES,
		    "the server is out of memory", "out of memory");
	if (s->command.state != COMMAND_RUNNING || s->command.chdir ||
	    !can_speak(s))
		return;
	if ((credit = input_regrant(&s->command.input)) > 0)
		check_put(s, frame_put_window(conn_out(s->conn),
		    s->record.request, PROTO_STREAM_STDIN, credit));
}

/* A limit that the command has reached is on record, once. */
static void
check_limit(struct session *s)
{
	const char *limit;
	int64_t value;

	if (s->limited || s->command.chdir || is_question(s) ||
	    (limit = command_limit(&s->command, &value)) == NULL)
		return;
	s->limited = true;
	audit_limit_hit(&s->peer, &s->record, limit, value);
}

/* Has the peer taken some of what it was sent since the last look? */
static bool
takes_more(struct session *s)
{
	struct net_carried c;
	bool more;

	net_carried(conn_fd(s->conn), &c);
	more = c.acked != s->acked &&
	    (c.unacked > 0 || conn_has_output(s->conn));
	s->acked = c.acked;
	return more;
}

/*
 * The same for the output of commands: what else the peer is sent, it has asked
 * for, and it could ask for ever.
 */
static bool
takes_output(struct session *s)
{
	const struct output *o = s->command.outputs;
	uint64_t given = s->sums.out_bytes + s->sums.err_bytes;
	struct net_carried c;
	bool more;

	if (state_of(s) == BUSY)
		given += o[0].bytes + o[1].bytes;
	net_carried(conn_fd(s->conn), &c);
	more = c.acked != s->acked && s->acked < s->owed;
	if (given != s->given) {
		s->given = given;
		s->owed = c.acked + c.unacked + buf_used(conn_out(s->conn));
		more = s->owed > c.acked;
	}
	s->acked = c.acked;
	return more;
}

/* Say why, if there is anybody, and end the session at once. */
static void
give_up(struct session *s, const char *reason, const char *text)
{
	check_put(s, frame_put_code(conn_out(s->conn), PROTO_GOODBYE, 0,
	    PROTO_CODE_TIMEOUT, text));
	if (!s->gone)
		(void)conn_write(s->conn);
	end_link(s, reason);
}

/* Until when may a peer be stopped, whose machine alone answers? */
static int64_t
stopped_deadline(const struct session *s)
{
	int64_t end = end_of(s->heard, s->settings->stopped_timeout);
	int64_t since = s->others_since, turn;

	if (since < s->heard)
		since = s->heard;
	turn = end_of(since, s->settings->turn);
	return turn < end ? turn : end;
}

/*
 * Ask a silent peer whether it is there, and give up one that is not.  One
 * that TCP has carried bytes for is there, however slowly they come.  One that
 * does not answer, while its machine does, is stopped.
 */
static void
check_dead(struct session *s)
{
	struct net_carried c;

	if (!can_speak(s) || !clock_past(dead_deadline(s)))
		return;
	net_carried(conn_fd(s->conn), &c);
	if (s->asked != 0 && c.acked + c.received > s->carried + PING_BYTES)
		s->heard = clock_now();
	else if (s->asked != 0 && !c.answers) {
		give_up(s, "the client does not answer any more", "this "
		    "client has not answered");
		return;
	} else if (s->asked != 0 && clock_past(stopped_deadline(s))) {
		give_up(s, "the client was stopped for too long", "this client "
		    "was stopped, or its connection stood still, for longer "
		    "than the server allows");
		return;
	}
	s->asked = clock_now();
	s->carried = c.acked + c.received;
	/* What is on its way already is as good a question. */
	if (!conn_has_output(s->conn))
		check_put(s, frame_put(conn_out(s->conn), PROTO_PING, 0,
		    NULL, 0));
}

/* Close an idle session, if it is that. */
static void
check_idle(struct session *s)
{
	if (!can_speak(s) || !clock_past(idle_deadline(s)))
		return;
	if (takes_output(s))
		s->taken = clock_now();
	else
		close_politely(s, PROTO_CODE_TIMEOUT, s->others_since ==
		    CLOCK_NEVER ? "the session was idle for too long" :
		    "the session was idle, and others wait", "idle");
}

/* Who has been told goodbye has time while it takes what it is sent; but not
 * when it has been sent away. */
static void
check_closing(struct session *s)
{
	if (!s->closing || s->gone || !clock_past(s->closing_deadline))
		return;
	if (s->stop_text == NULL && takes_more(s))
		s->closing_deadline = clock_in(FLUSH_TIMEOUT);
	else
		end_link(s, s->close_reason);
}

static void
check_deadlines(struct session *s)
{
	check_idle(s);
	if (can_speak(s))
		(void)has_turn(s);
	if (can_speak(s) && clock_past(session_deadline(s)))
		session_stop(s, PROTO_CODE_TIMEOUT, "session-timeout",
		    "the session has lasted as long as it may");
	check_dead(s);
	check_closing(s);
}

/* With nobody there any more, all that was started is ended. */
static void
check_gone(struct session *s)
{
	if (s->stop_text != NULL && state_of(s) != BUSY)
		close_politely(s, s->stop_code, s->stop_text, s->stop_reason);
	if (can_speak(s))
		return;
	/* A command may be one that goes on when its client is lost. */
	if (state_of(s) == BUSY && !s->closing && s->command.limits.finish)
		return;
	if (state_of(s) == BUSY)
		command_cut(&s->command, PROTO_CODE_NONE, s->close_reason);
	else if (!tree_is_ending(s->tree)) {
		s->sums.ended += tree_count(s->tree);
		tree_end(s->tree, s->settings->kill_grace);
	}
}

/* What runs cannot be ended; if it has not even started, it never will. */
static void
abandon(struct session *s)
{
	command_abandon(&s->command);
	if (s->command.state == COMMAND_STARTING)
		check_begun(s);
}

static void
flush(struct session *s)
{
	if (s->gone)
		return;
	if (conn_write(s->conn) == IO_ERROR) {
		/* An alert that has come may say why. */
		(void)conn_read(s->conn);
		lose_link(s);
	} else if (s->closing && !conn_has_output(s->conn))
		end_link(s, s->close_reason);
}

void
session_turn(struct session *s, const struct pollset *ps)
{
	turn_link(s, ps);
	turn_command(s, ps);
	check_limit(s);
	check_deadlines(s);
	check_gone(s);
	if (tree_go_on(s->tree,
	    settings_command_account(s->settings)) == -1)
		abandon(s);
	if (command_is_finished(&s->command, output_link(s)))
		finish_request(s);
	flush(s);
	check_gone(s);
	if (session_is_over(s) && s->opened_us != 0) {
		s->sums.duration_us = clock_now_us() - s->opened_us;
		audit_session_close(&s->peer, s->close_reason, &s->sums);
		s->opened_us = 0;
	}
}

void
session_stop(struct session *s, enum proto_code code, const char *reason,
    const char *text)
{
	s->stop_code = code;
	s->stop_reason = reason;
	s->stop_text = text;
	command_cut(&s->command, code, reason);
}

void
session_describe(const struct session *s, char *out, size_t size)
{
	char name[256];

	text_escape(name, sizeof name, s->identity.common_name,
	    strlen(s->identity.common_name));
	if (state_of(s) == BUSY) {
		const char *program = audit_command_name(&s->record);
		char command[128];

		text_printable(command, sizeof command, program,
		    strlen(program));
		(void)snprintf(out, size, "serving %s from %s: %s (%lld s)",
		    name, s->address, command, (long long)(clock_now_us() -
		    s->command.child.started_us) / 1000000);
	} else
		(void)snprintf(out, size, "serving %s from %s: idle", name,
		    s->address);
}
