#include <config.h>

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/body.h"
#include "common/clock.h"
#include "common/frame.h"
#include "common/link.h"
#include "common/log.h"
#include "common/pollset.h"
#include "common/tls.h"
#include "daemon/audit.h"
#include "daemon/child.h"
#include "daemon/policy.h"
#include "daemon/session.h"
#include "daemon/settings.h"
#include "daemon/tree.h"

/* Credit for standard input: what may be under way to a command that does not
 * read. */
#define STDIN_WINDOW	(512 * 1024)
/* How long a killed tree is given before the next look at it. */
#define KILL_ROUND	5
/* What has not ended this long after KILL is root's, or stuck in the kernel. */
#define KILL_TIMEOUT	10000
/* The peer has this long to take the last frames. */
#define FLUSH_TIMEOUT	2000
/* How often a pipe is read in one turn, before others have theirs. */
#define READS_PER_TURN	4

/* What the session is doing. */
enum state {
	IDLE,			/* No request. */
	BODY,			/* Some of a request has come. */
	STARTING,		/* The child has been forked. */
	RUNNING,		/* It has become the command. */
	STATES
};

/* How far the ending of a tree has come. */
enum ending {
	NOT_ENDING,
	ENDING_POLITELY,	/* TERM was sent. */
	ENDING_BY_FORCE		/* KILL is sent, again and again. */
};

/* One of the command's outputs. */
struct output {
	enum proto_type type;
	int *fd;		/* In the child. */
	uint32_t credit;
	uint64_t bytes;		/* Sent. */
	int64_t left;		/* After the end: to be drained; -1: before. */
	size_t slot;
};

/* The request that is being served. */
struct request {
	uint32_t number;
	struct body body;
	struct decision decision;
	struct audit_command record;
	struct child child;
	struct output outputs[2];	/* Standard output and error. */
	struct buf input;	/* For the command's standard input. */
	uint32_t granted;	/* Input credit that the peer still has. */
	uint32_t consumed;	/* Taken by the command, not yet granted. */
	uint64_t in_bytes;
	bool input_ended;	/* STDIN_EOF has come. */
	bool input_refused;	/* The command reads no more. */
	bool reaped;
	int status;		/* Of wait(2). */
	int64_t cpu_us;
	int64_t ended_us;
	size_t in_slot, report_slot;
	int64_t deadline;	/* The time limit. */
	enum proto_code cut;	/* Why it is ended by us. */
	const char *cut_reason;
};

struct session {
	struct link link;
	struct audit_peer peer;
	char address[64];
	struct tls_identity identity;
	const struct settings *settings;
	struct tree *tree;
	char directory[PROTO_PATH_MAX + 1];
	int64_t opened_us;
	int64_t idle_since;
	enum state state;
	struct buf body;	/* The pieces of a request. */
	uint32_t last;		/* The newest request's number. */
	uint32_t commands;
	struct request request;
	enum ending ending;
	int64_t ending_next;	/* When to go on with it. */
	int64_t ending_last;	/* When to give up. */
	enum proto_code stop_code;	/* With stop_text: end when idle. */
	const char *stop_reason;
	const char *stop_text;
	bool closing;		/* GOODBYE is in the queue. */
	int64_t closing_deadline;
	bool gone;		/* The link is of no use any more. */
	const char *close_reason;
	int linger;
};

/* --- making and freeing ------------------------------------------------- */

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
	    item_put(&body, PROTO_ITEM_PEER, cn, strlen(cn)) ||
	    frame_put(&s->link.out, PROTO_HELLO, 0, buf_data(&body),
	    buf_used(&body));
	buf_free(&body);
	return result == 0 ? 0 : -1;
}

struct session *
session_new(struct link *l, const char *address, const char *name,
    const struct settings *settings, struct tree *tree)
{
	struct session *s = calloc(1, sizeof *s);
	struct policy_world world;

	if (s == NULL)
		return NULL;
	if (tree_spare(tree) == -1) {
		free(s);
		return NULL;
	}
	s->settings = settings;
	s->tree = tree;
	s->identity = *tls_peer(l->tls);
	(void)snprintf(s->address, sizeof s->address, "%s", address);
	(void)snprintf(s->peer.session, sizeof s->peer.session, "%s", name);
	s->peer.address = s->address;
	s->peer.identity = &s->identity;
	settings_world(settings, &world);
	(void)snprintf(s->directory, sizeof s->directory, "%s", world.home);
	s->opened_us = clock_now_us();
	s->idle_since = clock_now();
	s->linger = -1;
	buf_init(&s->body, PROTO_BODY_MAX);
	buf_init(&s->request.input, STDIN_WINDOW);
	s->link = *l;
	if (put_hello(s) == -1) {
		free(s);
		return NULL;
	}
	memset(l, 0, sizeof *l);
	l->fd = -1;
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
		fd = link_linger(&s->link);
	buf_free(&s->body);
	buf_free(&s->request.input);
	free(s);
	return fd;
}

void
session_configure(struct session *s, const struct settings *settings)
{
	s->settings = settings;
}

bool
session_is_idle(const struct session *s)
{
	return s->state == IDLE;
}

bool
session_is_over(const struct session *s)
{
	return s->gone && s->state == IDLE && s->ending == NOT_ENDING;
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
	s->linger = link_linger(&s->link);
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
		check_put(s, frame_put_code(&s->link.out, PROTO_REFUSED,
		    s->request.number, code, text));
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
	check_put(s, frame_put_code(&s->link.out, PROTO_GOODBYE, 0, code,
	    text));
}

static void
protocol_error(struct session *s, const char *what)
{
	close_politely(s, PROTO_CODE_PROTOCOL, what, what);
}

/* --- the end of what was started ---------------------------------------- */

/* Begin to end everything that this session has started. */
static void
end_tree(struct session *s)
{
	if (s->ending != NOT_ENDING)
		return;
	if (tree_signal(s->tree, SIGTERM) == 0)
		return;
	/* A stopped process sees TERM only when it goes on. */
	(void)tree_signal(s->tree, SIGCONT);
	s->ending = ENDING_POLITELY;
	s->ending_next = clock_in(s->settings->kill_grace);
	s->ending_last = clock_in(s->settings->kill_grace + KILL_TIMEOUT);
}

/* End the request's command for "code"; it stays until it is reaped. */
static void
cut_command(struct session *s, enum proto_code code, const char *reason)
{
	struct request *r = &s->request;

	if (r->cut_reason != NULL)
		return;
	r->cut = code;
	r->cut_reason = reason;
	r->deadline = CLOCK_NEVER;
	end_tree(s);
}

/* Has the process of the request ended, if there is one? */
static bool
is_command_over(const struct session *s)
{
	return (s->state != STARTING && s->state != RUNNING) ||
	    s->request.reaped;
}

/* Not even KILL has helped: go on without what is left. */
static void
give_up_ending(struct session *s, int left)
{
	struct request *r = &s->request;

	log_error("%d processes of the session %s cannot be ended; they are "
	    "left alone", left, s->peer.session);
	if (tree_spare(s->tree) == -1)
		log_errno("cannot note which they are");
	s->ending = NOT_ENDING;
	if (!is_command_over(s)) {
		r->reaped = true;
		r->status = SIGKILL;
		r->ended_us = clock_now_us();
		r->outputs[0].left = r->outputs[1].left = 0;
	}
}

static void
go_on_ending(struct session *s)
{
	int left;

	if (s->ending == NOT_ENDING)
		return;
	if (s->ending == ENDING_POLITELY && !clock_past(s->ending_next)) {
		/* Whatever has gone early need not be waited for. */
		if (is_command_over(s) && tree_signal(s->tree, 0) == 0)
			s->ending = NOT_ENDING;
		return;
	}
	if (!clock_past(s->ending_next))
		return;
	s->ending = ENDING_BY_FORCE;
	left = tree_signal(s->tree, SIGKILL);
	if (left == 0 && is_command_over(s))
		s->ending = NOT_ENDING;
	else if (clock_past(s->ending_last))
		give_up_ending(s, left);
	else
		s->ending_next = clock_in(KILL_ROUND);
}

/* --- a request: from its body to its command ---------------------------- */

static void
reset_request(struct session *s)
{
	struct request *r = &s->request;
	struct buf input = r->input;

	child_close(&r->child);
	decision_free(&r->decision);
	body_free(&r->body);
	buf_consume(&input, buf_used(&input));
	memset(r, 0, sizeof *r);
	r->input = input;
	r->child.in = r->child.out = r->child.err = r->child.report = -1;
	s->state = IDLE;
	s->idle_since = clock_now();
}

/* The words of the request, for the record. */
static void
fill_record(struct session *s)
{
	static char nothing[] = "";
	static char *none[] = { nothing, NULL };
	struct request *r = &s->request;

	r->record.request = r->number;
	r->record.rule = r->decision.rule;
	r->record.user = s->settings->command.name;
	r->record.directory = r->body.directory != NULL ? r->body.directory :
	    s->directory;
	r->record.argv = r->body.nwords > 0 ? r->body.words : none;
	r->record.shell = r->body.operation == PROTO_SHELL;
}

static void
plan_child(const struct session *s, struct child_plan *plan)
{
	const struct decision *d = &s->request.decision;

	memset(plan, 0, sizeof *plan);
	plan->paths = d->paths;
	plan->argv = d->argv;
	plan->env = d->env;
	plan->base = d->base;
	plan->directory = d->directory;
	plan->umask = (mode_t)s->settings->umask;
	plan->wants_stdin = s->request.body.wants_stdin;
	plan->no_new_privs = d->limits.no_new_privs ||
	    !s->settings->allow_setuid;
	plan->account = settings_command_account(s->settings);
}

static void
set_output(struct output *o, enum proto_type type, int *fd, uint32_t credit)
{
	o->type = type;
	o->fd = fd;
	o->credit = credit;
	o->left = -1;
	o->slot = POLLSET_NONE;
}

/* The end of a request whose command never ran. */
static void
drop_request(struct session *s, enum proto_code code, const char *text)
{
	struct audit_end e = { .reason = text, .exit = -1 };

	if (s->request.body.operation != PROTO_CHDIR)
		audit_command_end(&s->peer, &s->request.record, &e);
	refuse(s, code, text);
}

static void
start_child(struct session *s)
{
	struct request *r = &s->request;
	struct child_plan plan;
	char text[256];
	/* vfork(2) makes the daemon wait, so it is not for a directory that
	 * nobody has entered before: it may be on a server that is gone. */
	bool alone = r->body.operation != PROTO_CHDIR &&
	    r->body.directory == NULL && tree_is_empty();
	int result;

	plan_child(s, &plan);
	if (r->body.operation == PROTO_CHDIR)
		result = child_start_chdir(&r->child, &plan, alone);
	else
		result = child_start(&r->child, &plan, alone);
	if (result == -1) {
		(void)snprintf(text, sizeof text, "the server cannot start a "
		    "process: %s; try again later", strerror(errno));
		log_error("%s", text);
		drop_request(s, PROTO_CODE_RESOURCES, text);
		reset_request(s);
		return;
	}
	set_output(&r->outputs[0], PROTO_STDOUT, &r->child.out,
	    r->body.windows[0]);
	set_output(&r->outputs[1], PROTO_STDERR, &r->child.err,
	    r->body.windows[1]);
	r->deadline = r->decision.limits.time_limit > 0 ?
	    clock_in(r->decision.limits.time_limit) : CLOCK_NEVER;
	s->state = STARTING;
}

/* Decide on a request that is complete, and act on it. */
static void
begin_request(struct session *s)
{
	struct request *r = &s->request;
	struct policy_world world;
	struct policy_peer peer = {
		.identity = &s->identity, .address = s->address,
		.session = s->peer.session, .request = r->number,
		.directory = s->directory
	};

	settings_world(s->settings, &world);
	if (policy_decide(s->settings->policy, &world, &peer, &r->body,
	    &r->decision) == -1) {
		refuse(s, PROTO_CODE_RESOURCES, "the server is out of memory");
		reset_request(s);
		return;
	}
	fill_record(s);
	if (!r->decision.allowed) {
		audit_command_refused(&s->peer, &r->record,
		    r->decision.reason);
		refuse(s, r->decision.code, r->decision.reason);
		reset_request(s);
		return;
	}
	if (r->body.operation != PROTO_CHDIR) {
		if (!audit_command_start(&s->peer, &r->record)) {
			refuse(s, PROTO_CODE_AUDIT, "the command cannot be put "
			    "on record, so it does not run; the server's log "
			    "needs its operator");
			reset_request(s);
			return;
		}
		s->commands++;
	}
	start_child(s);
}

/* --- the start's outcome ------------------------------------------------ */

/* A sentence for the peer, and its code, for a start that has failed. */
static enum proto_code
explain_failure(const struct session *s, const struct child_failure *f,
    char *out, size_t size)
{
	const struct request *r = &s->request;
	const char *name = r->body.operation == PROTO_SHELL ?
	    s->settings->shell_program : r->record.argv[0];

	if (f->stage == CHILD_STAGE_DIRECTORY) {
		(void)snprintf(out, size, "cannot enter the directory %.500s: "
		    "%s", r->decision.directory, strerror(f->error));
		return PROTO_CODE_DIRECTORY;
	}
	if (f->stage != CHILD_STAGE_EXEC || f->error == EAGAIN ||
	    f->error == ENOMEM || f->error == ENFILE || f->error == EMFILE) {
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

/* The child has said whether it started. */
static void
check_begun(struct session *s)
{
	struct request *r = &s->request;
	struct child_failure f;
	enum proto_code code;
	char text[PROTO_TEXT_MAX];

	switch (child_begun(&r->child, &f)) {
	case 0:
		return;
	case -1:
		code = explain_failure(s, &f, text, sizeof text);
		drop_request(s, code, text);
		reset_request(s);
		return;
	default:
		s->state = RUNNING;
	}
	if (r->body.operation == PROTO_CHDIR)
		return;
	r->granted = r->body.wants_stdin ? STDIN_WINDOW : 0;
	if (can_speak(s))
		check_put(s, frame_put_u32(&s->link.out, PROTO_STARTED,
		    r->number, r->granted));
}

/* --- the command's streams ---------------------------------------------- */

/* How many bytes of output the limit still allows. */
static uint64_t
output_allowed(const struct request *r)
{
	uint64_t limit = (uint64_t)r->decision.limits.output_limit;

	if (limit == 0)
		return UINT64_MAX;
	return limit - r->outputs[0].bytes - r->outputs[1].bytes;
}

/*
 * Is output of no use to anybody?  Then it is read and dropped, so that the
 * command meets its end and not a pipe that is stuck.
 */
static bool
drops_output(const struct session *s)
{
	return !can_speak(s) || output_allowed(&s->request) == 0;
}

static size_t
smaller(size_t a, uint64_t b)
{
	return a < b ? a : (size_t)b;
}

/* May bytes of "o" be read now, and how many? */
static size_t
output_room(const struct session *s, const struct output *o)
{
	size_t room = PROTO_PAYLOAD_MAX;

	if (*o->fd == -1)
		return 0;
	if (!drops_output(s)) {
		room = smaller(link_data_room(&s->link), o->credit);
		room = smaller(room, output_allowed(&s->request));
	}
	if (o->left >= 0)
		room = smaller(room, (uint64_t)o->left);
	return room;
}

/* "n" bytes of "o" have been read, and dropped, or put into a frame. */
static void
count_output(struct session *s, struct output *o, size_t n, bool dropped)
{
	if (o->left > 0)
		o->left -= (int64_t)n;
	if (!dropped) {
		o->bytes += n;
		o->credit -= (uint32_t)n;
		frame_commit(&s->link.out, o->type, s->request.number, n);
	} else if (can_speak(s))
		cut_command(s, PROTO_CODE_OUTPUT, "output-limit");
}

/* Read once from a pipe into a frame.  Whether there may be more. */
static bool
read_output(struct session *s, struct output *o)
{
	size_t room = output_room(s, o);
	static uint8_t nowhere[PROTO_PAYLOAD_MAX];
	bool drop = drops_output(s);
	uint8_t *p = nowhere;
	ssize_t n;

	if (room == 0)
		return false;
	if (!drop && (p = frame_reserve(&s->link.out, room)) == NULL) {
		end_link(s, "out of memory");
		return false;
	}
	n = read(*o->fd, p, room);
	if (n > 0) {
		count_output(s, o, (size_t)n, drop);
		return (size_t)n == room;
	}
	if (n == 0 || (errno != EAGAIN && errno != EINTR))
		fd_close(o->fd);
	return false;
}

/*
 * The command is reaped: what it has left in its pipes is taken, and not what
 * a process that it has left behind may still write.
 */
static void
mark_rest(struct output *o)
{
	int n = 0;

	if (*o->fd == -1)
		return;
	if (ioctl(*o->fd, FIONREAD, &n) == -1 || n < 0)
		n = 0;
	o->left = n;
}

/* Is everything of this stream on its way?  A command that we have cut does
 * not wait for a peer that gives no credit. */
static bool
is_drained(const struct session *s, const struct output *o)
{
	return *o->fd == -1 || o->left == 0 || !can_speak(s) ||
	    (s->request.cut_reason != NULL && output_room(s, o) == 0);
}

/* Hand what has come for the command's standard input on to it. */
static void
write_input(struct session *s)
{
	struct request *r = &s->request;
	size_t before = buf_used(&r->input), taken;
	enum io io;

	if (r->child.in == -1)
		return;
	io = fd_drain(r->child.in, &r->input);
	taken = before - buf_used(&r->input);
	r->consumed += (uint32_t)taken;
	r->in_bytes += taken;
	if (io == IO_ERROR) {
		/* The command has closed it, and that is its right. */
		fd_close(&r->child.in);
		r->input_refused = true;
		buf_consume(&r->input, buf_used(&r->input));
		return;
	}
	if (r->input_ended && buf_used(&r->input) == 0)
		fd_close(&r->child.in);
	else if (r->consumed >= STDIN_WINDOW / 2 && !r->input_ended &&
	    can_speak(s)) {
		check_put(s, frame_put_window(&s->link.out, r->number,
		    PROTO_STREAM_STDIN, r->consumed));
		r->granted += r->consumed;
		r->consumed = 0;
	}
}

/* --- frames from the peer ----------------------------------------------- */

static void
on_request_part(struct session *s, const struct frame *f)
{
	if (s->state == IDLE && f->request <= s->last) {
		protocol_error(s, "a request's number is not above the last");
		return;
	}
	if (s->state == BODY && f->request != s->last) {
		protocol_error(s, "a request began within another");
		return;
	}
	s->last = f->request;
	s->state = BODY;
	if (f->length > buf_room(&s->body))
		protocol_error(s, "a request is too long");
	else if (buf_put(&s->body, f->payload, f->length) == -1)
		close_politely(s, PROTO_CODE_RESOURCES,
		    "the server is out of memory", "out of memory");
}

static void
on_request(struct session *s, const struct frame *f)
{
	struct request *r = &s->request;
	enum proto_code code;
	const char *why;

	on_request_part(s, f);
	if (!can_speak(s))
		return;
	r->number = f->request;
	why = body_parse(&r->body, buf_data(&s->body), buf_used(&s->body),
	    &code);
	buf_free(&s->body);
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
	struct request *r = &s->request;

	if (f->length == 0) {
		protocol_error(s, "a frame of standard input is empty");
		return;
	}
	if (r->input_ended || f->length > r->granted) {
		protocol_error(s, r->input_ended ? "standard input went on "
		    "after its end" : "standard input overran its window");
		return;
	}
	r->granted -= (uint32_t)f->length;
	if (r->input_refused)
		return;
	if (buf_put(&r->input, f->payload, f->length) == -1)
		close_politely(s, PROTO_CODE_RESOURCES,
		    "the server is out of memory", "out of memory");
}

static void
on_stdin_eof(struct session *s, const struct frame *f)
{
	if (f->length != 0 || s->request.input_ended ||
	    !s->request.body.wants_stdin)
		protocol_error(s, "the end of standard input is out of place");
	s->request.input_ended = true;
}

static void
on_window(struct session *s, const struct frame *f)
{
	struct output *o;
	uint8_t stream;
	uint32_t credit;

	if (frame_get_window(f, &stream, &credit) == -1 ||
	    stream == PROTO_STREAM_STDIN) {
		protocol_error(s, "a window is malformed");
		return;
	}
	o = &s->request.outputs[stream - PROTO_STREAM_STDOUT];
	if (credit > PROTO_WINDOW_MAX - o->credit)
		protocol_error(s, "a window is too large");
	else
		o->credit += credit;
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
			if (!s->request.reaped)
				(void)child_signal(&s->request.child,
				    signals[i].number);
			return;
		}
	}
	protocol_error(s, "a signal has an unknown name");
}

static void
on_ping(struct session *s, const struct frame *f)
{
	if (f->length > PROTO_PING_MAX)
		protocol_error(s, "a ping is too long");
	else
		check_put(s, frame_put(&s->link.out, PROTO_PONG, 0, f->payload,
		    f->length));
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
		end_link(s, "done");
}

#define IN(state)	(1u << (state))
#define ANY		(IN(IDLE) | IN(BODY) | IN(STARTING) | IN(RUNNING))
#define BUSY		(IN(STARTING) | IN(RUNNING))

/* Which frame is legal in which state, and about whom it is. */
static const struct rule_of_frame {
	uint8_t type;
	bool of_request;	/* It belongs to the request being served; a
				 * late one to a request before it. */
	bool of_session;	/* Its request number is 0. */
	unsigned states;
	void (*handle)(struct session *, const struct frame *);
} frames[] = {
	{ PROTO_REQUEST_PART, false, false, IN(IDLE) | IN(BODY),
	    on_request_part },
	{ PROTO_REQUEST, false, false, IN(IDLE) | IN(BODY), on_request },
	{ PROTO_STDIN, true, false, BUSY, on_stdin },
	{ PROTO_STDIN_EOF, true, false, BUSY, on_stdin_eof },
	{ PROTO_SIGNAL, true, false, BUSY, on_signal },
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
	return f->request < s->last || s->state == IDLE;
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
	else if ((r->states & IN(s->state)) == 0 ||
	    (r->of_request && f->request != s->request.number))
		protocol_error(s, "a frame came where it is not legal");
	else
		r->handle(s, f);
}

static void
handle_frames(struct session *s)
{
	struct frame f;
	int got = 0;

	while (can_speak(s) && (got = link_peek(&s->link, &f)) == 1) {
		handle_frame(s, &f);
		if (!s->gone)
			link_done(&s->link, &f);
	}
	if (got == -1 && can_speak(s))
		protocol_error(s, "a frame is too long");
}

/* --- the end of a request ----------------------------------------------- */

static void
report_exit(struct session *s)
{
	struct request *r = &s->request;
	struct frame_exit e;

	memset(&e, 0, sizeof e);
	e.end = WIFSIGNALED(r->status) ? PROTO_END_SIGNAL : PROTO_END_EXIT;
	e.status = (uint32_t)(WIFSIGNALED(r->status) ? WTERMSIG(r->status) :
	    WEXITSTATUS(r->status));
	e.reason = r->cut;
	e.duration_us = (uint64_t)(r->ended_us - r->child.started_us);
	e.cpu_us = (uint64_t)r->cpu_us;
	e.out_bytes = r->outputs[0].bytes;
	e.err_bytes = r->outputs[1].bytes;
	if (can_speak(s))
		check_put(s, frame_put_exit(&s->link.out, r->number, &e));
}

static void
record_end(struct session *s)
{
	struct request *r = &s->request;
	struct audit_end e = {
		.exit = WIFEXITED(r->status) ? WEXITSTATUS(r->status) : -1,
		.signal = WIFSIGNALED(r->status) ? WTERMSIG(r->status) : 0,
		.duration_us = r->ended_us - r->child.started_us,
		.cpu_us = r->cpu_us, .in_bytes = r->in_bytes,
		.out_bytes = r->outputs[0].bytes,
		.err_bytes = r->outputs[1].bytes
	};

	e.reason = WIFSIGNALED(r->status) ? "signal" : "exit";
	if (r->cut_reason != NULL)
		e.reason = r->cut_reason;
	audit_command_end(&s->peer, &r->record, &e);
}

/* A change of directory: what the child has written is the new one. */
static void
finish_chdir(struct session *s)
{
	struct request *r = &s->request;
	ssize_t n = r->child.out == -1 ? -1 :
	    read(r->child.out, s->directory, sizeof s->directory - 1);

	if (n <= 0 || !WIFEXITED(r->status) || WEXITSTATUS(r->status) != 0) {
		refuse(s, PROTO_CODE_RESOURCES, "the directory could not be "
		    "changed; try again");
		return;
	}
	s->directory[n] = '\0';
	check_put(s, frame_put(&s->link.out, PROTO_DIRECTORY, r->number,
	    s->directory, (size_t)n));
}

/* The command is reaped and its pipes are drained. */
static void
finish_request(struct session *s)
{
	if (s->request.body.operation == PROTO_CHDIR) {
		if (can_speak(s))
			finish_chdir(s);
	} else {
		record_end(s);
		report_exit(s);
	}
	reset_request(s);
}

static bool
is_finished(const struct session *s)
{
	const struct request *r = &s->request;

	if (s->state != RUNNING || !r->reaped)
		return false;
	/* When we end it, all that it started has to be gone as well. */
	if (r->cut_reason != NULL && s->ending != NOT_ENDING)
		return false;
	if (r->body.operation == PROTO_CHDIR)
		return true;
	return is_drained(s, &r->outputs[0]) && is_drained(s, &r->outputs[1]);
}

void
session_reaped(struct session *s, pid_t pid, int status,
    const struct rusage *usage)
{
	struct request *r = &s->request;

	if ((s->state != STARTING && s->state != RUNNING) ||
	    pid != r->child.pid)
		return;
	r->reaped = true;
	r->status = status;
	r->ended_us = clock_now_us();
	r->cpu_us = (int64_t)(usage->ru_utime.tv_sec +
	    usage->ru_stime.tv_sec) * 1000000 + usage->ru_utime.tv_usec +
	    usage->ru_stime.tv_usec;
	mark_rest(&r->outputs[0]);
	mark_rest(&r->outputs[1]);
	fd_close(&r->child.in);
	r->input_refused = true;
	r->deadline = CLOCK_NEVER;
}

/* --- the turn ----------------------------------------------------------- */

static void
poll_request(struct session *s, struct pollset *ps)
{
	struct request *r = &s->request;

	r->in_slot = r->report_slot = POLLSET_NONE;
	r->outputs[0].slot = r->outputs[1].slot = POLLSET_NONE;
	if (s->state == STARTING)
		r->report_slot = pollset_add(ps, r->child.report, POLLIN);
	if (s->state != RUNNING || r->body.operation == PROTO_CHDIR)
		return;
	pollset_deadline(ps, r->deadline);
	if (buf_used(&r->input) > 0)
		r->in_slot = pollset_add(ps, r->child.in, POLLOUT);
	for (size_t i = 0; i < 2; i++) {
		struct output *o = &r->outputs[i];

		if (output_room(s, o) > 0)
			o->slot = pollset_add(ps, *o->fd, POLLIN);
	}
}

void
session_poll(struct session *s, struct pollset *ps)
{
	if (!s->gone)
		link_poll(&s->link, ps, !s->closing);
	poll_request(s, ps);
	if (s->ending != NOT_ENDING)
		pollset_deadline(ps, s->ending_next);
	if (s->closing && !s->gone)
		pollset_deadline(ps, s->closing_deadline);
	else if (!s->gone && (s->state == IDLE || s->state == BODY))
		pollset_deadline(ps, s->idle_since +
		    s->settings->idle_timeout);
}

static void
turn_link(struct session *s, const struct pollset *ps)
{
	enum io io;

	if (!can_speak(s) || !link_ready(&s->link, ps))
		return;
	io = link_read(&s->link);
	if (io == IO_OK)
		handle_frames(s);
	else if (io == IO_EOF)
		end_link(s, s->state == IDLE ? "done" :
		    "the client went away in the middle of a request");
	else if (io == IO_ERROR) {
		log_info("%s from %s: %s", s->identity.common_name,
		    s->address, tls_error(s->link.tls));
		end_link(s, tls_failure(s->link.tls) == TLS_FAILURE_ALTERED ?
		    "altered" : "the connection was cut");
	}
}

static void
turn_streams(struct session *s, const struct pollset *ps)
{
	struct request *r = &s->request;

	write_input(s);
	if (r->body.operation == PROTO_CHDIR)
		return;
	for (size_t i = 0; i < 2; i++) {
		struct output *o = &r->outputs[i];

		/* What is left after the end is known without a poll. */
		if (pollset_events(ps, o->slot) == 0 && o->left <= 0)
			continue;
		for (int n = 0; n < READS_PER_TURN; n++) {
			if (!read_output(s, o))
				break;
		}
	}
}

static void
check_deadlines(struct session *s)
{
	if (s->state == RUNNING && clock_past(s->request.deadline))
		cut_command(s, PROTO_CODE_TIMEOUT, "time-limit");
	if (can_speak(s) && (s->state == IDLE || s->state == BODY) &&
	    clock_past(s->idle_since + s->settings->idle_timeout))
		close_politely(s, PROTO_CODE_TIMEOUT, "the session was idle "
		    "for too long", "idle");
	if (s->closing && !s->gone && clock_past(s->closing_deadline))
		end_link(s, s->close_reason);
}

/* With nobody there any more, all that was started is ended. */
static void
check_gone(struct session *s)
{
	if (s->stop_text != NULL && (s->state == IDLE || s->state == BODY))
		close_politely(s, s->stop_code, s->stop_text, s->stop_reason);
	if (can_speak(s))
		return;
	if (s->state == BODY)
		reset_request(s);
	if (s->state == STARTING || s->state == RUNNING)
		cut_command(s, PROTO_CODE_NONE, s->close_reason);
	else if (!tree_is_empty())
		end_tree(s);
}

static void
flush(struct session *s)
{
	if (s->gone)
		return;
	if (link_write(&s->link) == IO_ERROR)
		end_link(s, "the connection was cut");
	else if (s->closing && !link_has_output(&s->link))
		end_link(s, s->close_reason);
}

void
session_turn(struct session *s, const struct pollset *ps)
{
	turn_link(s, ps);
	if (s->state == STARTING)
		check_begun(s);
	if (s->state == RUNNING)
		turn_streams(s, ps);
	check_deadlines(s);
	check_gone(s);
	go_on_ending(s);
	if (is_finished(s))
		finish_request(s);
	flush(s);
	check_gone(s);
	if (session_is_over(s) && s->opened_us != 0) {
		audit_session_close(&s->peer, s->close_reason, s->commands,
		    clock_now_us() - s->opened_us);
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
	if (s->state == STARTING || s->state == RUNNING)
		cut_command(s, code, reason);
}

void
session_describe(const struct session *s, char *out, size_t size)
{
	char name[256];

	log_escape(name, sizeof name, s->identity.common_name,
	    strlen(s->identity.common_name));
	if (s->state == STARTING || s->state == RUNNING) {
		char command[128];

		log_escape(command, sizeof command, s->request.record.argv[0],
		    strlen(s->request.record.argv[0]));
		(void)snprintf(out, size, "serving %s from %s: %s (%lld s)",
		    name, s->address, command, (long long)(clock_now_us() -
		    s->request.child.started_us) / 1000000);
	} else
		(void)snprintf(out, size, "serving %s from %s: idle", name,
		    s->address);
}
