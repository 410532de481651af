/* One command: its child, its streams, its limits.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/endpoint/conn.h"
#include "common/base/log.h"
#include "common/base/pollset.h"
#include "daemon/record/audit.h"
#include "daemon/exec/command.h"
#include "daemon/exec/tree.h"

/* How often a pipe is read in one round of the loop. */
#define READS_PER_ROUND	4

/* So many bytes may come from a prompt: then the order of the two outputs
 * matters. */
#define FEW	4096

/* How many times output_wait may pass in all. */
#define WAITS_MAX	25
/* Where the peer takes the output slowly, so much of it is waited for, however
 * long that takes. */
#define LATE_BYTES	(16 * 1024 * 1024)

/* The peer has so many milliseconds to take what a command has written that we
 * have ended. */
#define CUT_TIMEOUT	2000

static uint64_t
sent_bytes(const struct command *c)
{
	return c->outputs[0].bytes + c->outputs[1].bytes;
}

/* What is in the pipes now is the last of the output. */
static void
settle_output(struct command *c)
{
	c->settled = true;
	c->last = clock_in(CUT_TIMEOUT);
	output_finish(&c->outputs[0]);
	output_finish(&c->outputs[1]);
}

/* How it has ended. */
static void
note_end(struct command *c, int status)
{
	c->reaped = true;
	c->status = status;
	c->ended_us = clock_now_us();
	c->quiet = clock_in(c->limits.output_wait);
	c->last = clock_in(c->limits.output_wait * WAITS_MAX);
	c->sent = sent_bytes(c);
	input_finish(&c->input);
}

void
command_init(struct command *c, struct tree *tree)
{
	*c = (struct command){ .tree = tree, .order = outputs_open(),
	    .deadline = CLOCK_NEVER };
	input_init(&c->input);
}

void
command_free(struct command *c)
{
	command_reset(c);
	fd_close(&c->order);
	buf_free(&c->input.queue);
}

void
command_reset(struct command *c)
{
	if (c->state != COMMAND_NONE)
		child_close(&c->child);
	input_drop(&c->input);
	*c = (struct command){ .tree = c->tree, .order = c->order,
	    .input = c->input, .deadline = CLOCK_NEVER };
}

/* There is a child, or what stands for one. */
static void
command_begin(struct command *c, uint32_t number, const uint32_t windows[2])
{
	c->state = COMMAND_STARTING;
	c->number = number;
	input_begin(&c->input, &c->child.in);
	output_begin(&c->outputs[0], PROTO_STDOUT, &c->child.out, windows[0]);
	output_begin(&c->outputs[1], PROTO_STDERR, &c->child.err, windows[1]);
}

int
command_start(struct command *c, uint32_t number, struct child_plan *plan,
    const uint32_t windows[2], int64_t grace)
{
	bool empty = tree_is_empty();
	int before = empty ? 0 : tree_count(c->tree);
	/*
	 * vfork(2) makes the daemon wait for the exec.  A process of the
	 * command's user could stop the child before it, and a directory that
	 * was not entered before may be on a server that is gone: then it has
	 * to be fork(2).
	 */
	bool alone = !plan->chdir && plan->directory[0] == '.' &&
	    plan->directory[1] == '\0' && empty;

	plan->order = c->order;
	plan->window = windows[0];
	if (child_start(&c->child, plan, alone) == -1)
		return -1;
	command_begin(c, number, windows);
	c->chdir = plan->chdir;
	c->limits = plan->limits;
	c->grace = grace;
	c->before = before;
	/* A millisecond that has begun is none: not 299.1 for 300. */
	if (c->limits.time_limit > 0)
		c->deadline = clock_in(c->limits.time_limit + 1);
	return 0;
}

void
command_answer(struct command *c, uint32_t number, int fd, int status,
    const uint32_t windows[2])
{
	c->child = (struct child){ .in = -1, .out = fd, .err = -1,
	    .report = -1, .program = -1, .started_us = clock_now_us() };
	command_begin(c, number, windows);
	note_end(c, status << 8);
	settle_output(c);
}

int
command_begun(struct command *c, struct child_failure *f)
{
	int begun = child_begun(&c->child, f);

	/* Abandoned before it has said so. */
	if (begun == 0 && c->reaped) {
		f->stage = CHILD_STAGE_SETUP;
		f->error = ETIMEDOUT;
		begun = -1;
	}
	if (begun == 1)
		c->state = COMMAND_RUNNING;
	/* The result of exec is unknown: kill the child. */
	if (begun == 1 && c->child.unknown)
		command_cut(c, PROTO_CODE_RESOURCES, "stream-lost");
	if (begun == -1)
		command_reset(c);
	return begun;
}

/* --- streams -------------------------------------------------------------- */

/* How many bytes of output the limit still allows. */
static size_t
allowed(const struct command *c)
{
	uint64_t limit = (uint64_t)c->limits.output_limit;
	uint64_t left = limit - sent_bytes(c);

	if (limit == 0 || left > PROTO_PAYLOAD_MAX)
		return PROTO_PAYLOAD_MAX;
	return (size_t)left;
}

/*
 * Where output goes: to "l", or nowhere, NULL, if there is no "l" or the limit
 * is reached, so that the command meets its end and not a full pipe.
 */
static struct conn *
destination(const struct command *c, struct conn *l)
{
	return allowed(c) == 0 ? NULL : l;
}

static size_t
room(const struct command *c, const struct output *o, const struct conn *l)
{
	size_t max = allowed(c);

	if (l == NULL)
		return *o->fd == -1 ? 0 : PROTO_PAYLOAD_MAX;
	if (max > conn_data_room(l))
		max = conn_data_room(l);
	return output_room(o, max);
}

/*
 * Until when may more come after the command's end, or be taken by the peer
 * where we have ended it?  A shell's ">(tee log)" writes when the command
 * itself has ended, and ends then: so long as a process of the command is left,
 * its output is waited for, until there was none for a moment.  A service that
 * stays is not waited for longer.  Counts the processes that are left.
 */
static int64_t
settle_deadline(struct command *c, const struct conn *l)
{
	bool open = false, pending = false, stuck = false;

	if (!c->reaped || (c->cut_reason != NULL && tree_is_ending(c->tree)))
		return CLOCK_NEVER;
	if (c->settled)
		return c->cut_reason != NULL ? c->last : CLOCK_NEVER;
	c->left = 0;
	if (c->cut_reason != NULL || tree_is_empty())
		return 0;
	if ((c->left = tree_count(c->tree) - c->before) < 0)
		c->left = 0;
	for (size_t i = 0; i < 2; i++) {
		struct output *o = &c->outputs[i];

		open = open || *o->fd != -1;
		if (output_pending(o) == 0)
			continue;
		pending = true;
		stuck = stuck || room(c, o, l) == 0;
	}
	if (!open && (c->limits.keep || c->left == 0))
		return 0;
	/* Then we wait for the peer. */
	if (stuck && sent_bytes(c) - c->sent < LATE_BYTES)
		return CLOCK_NEVER;
	return pending || c->quiet > c->last ? c->last : c->quiet;
}

void
command_poll(struct command *c, struct pollset *ps, struct conn *l)
{
	c->report_slot = c->input.slot = POLLSET_NONE;
	c->outputs[0].slot = c->outputs[1].slot = POLLSET_NONE;
	if (c->state == COMMAND_NONE)
		return;
	pollset_deadline(ps, c->deadline);
	/* An answer of ours has begun as soon as somebody looks. */
	if (c->state == COMMAND_STARTING && c->child.report == -1)
		pollset_deadline(ps, clock_now());
	if (c->state == COMMAND_STARTING)
		c->report_slot = pollset_add(ps, c->child.report, POLLIN);
	if (c->state == COMMAND_STARTING || c->chdir)
		return;
	if (buf_used(&c->input.queue) > 0)
		c->input.slot = pollset_add(ps, *c->input.fd, POLLOUT);
	l = destination(c, l);
	pollset_deadline(ps, settle_deadline(c, l));
	for (size_t i = 0; i < 2; i++) {
		struct output *o = &c->outputs[i];

		if (room(c, o, l) > 0)
			o->slot = pollset_add(ps, *o->fd, POLLIN);
	}
}

/* Read one stream, as often as is fair; of it no more than the "few" bytes that
 * it had when the order of both was asked for, or, with 0, what there is. */
static int
read_output(struct command *c, struct output *o, struct conn *l, size_t few)
{
	for (int i = 0; i < READS_PER_ROUND; i++) {
		struct conn *to = destination(c, l);
		size_t most = room(c, o, to);
		int n;

		if (most == 0)
			return 0;
		if (few > 0 && most > few)
			most = few;
		n = output_read(o, to == NULL ? NULL : conn_out(to), c->number,
		    most);
		if (n == -1)
			return -1;
		if (n > 0 && c->reaped)
			c->quiet = clock_in(c->limits.output_wait);
		/* More than the limit, and somebody who would take it. */
		if (n > 0 && to == NULL && l != NULL)
			command_cut(c, PROTO_CODE_OUTPUT, "output-limit");
		if ((size_t)n < most || (size_t)n == few)
			return 0;
	}
	return 0;
}

/* Bytes that are lost between us and the command must not look like the end of
 * a stream. */
static void
check_streams(struct command *c)
{
	int error = c->input.error;

	for (size_t i = 0; i < 2 && error == 0; i++)
		error = c->outputs[i].error;
	if (error == 0 || c->cut_reason != NULL)
		return;
	log_error("a stream of a command is lost: %s", strerror(error));
	command_cut(c, PROTO_CODE_RESOURCES, "stream-lost");
}

int
command_dispatch(struct command *c, const struct pollset *ps, struct conn *l)
{
	size_t first, n = 0, few[2];
	bool ready[2];

	if (c->state != COMMAND_NONE && clock_past(c->deadline))
		command_cut(c, PROTO_CODE_TIMEOUT, "time-limit");
	if (c->state != COMMAND_RUNNING || c->chdir)
		return 0;
	input_write(&c->input);
	if (!c->settled && clock_past(settle_deadline(c, destination(c, l))))
		settle_output(c);
	for (size_t i = 0; i < 2; i++) {
		/* What is left after the end is there without a poll. */
		ready[i] = c->outputs[i].left > 0 ||
		    pollset_events(ps, c->outputs[i].slot) != 0;
		n += ready[i];
	}
	first = n > 0 ? outputs_first(c->order) : 0;
	/* What is written from here on has its order in the next step; but bulk
	 * is read as it comes. */
	for (size_t i = 0; i < 2; i++) {
		few[i] = ready[i] ? (size_t)output_pending(&c->outputs[i]) : 0;
		if (few[i] > FEW)
			few[i] = 0;
	}
	for (size_t i = 0; i < 2; i++) {
		if (ready[i ^ first] && read_output(c, &c->outputs[i ^ first],
		    l, few[i ^ first]) == -1)
			return -1;
	}
	check_streams(c);
	return 0;
}

/* --- the end -------------------------------------------------------------- */

void
command_cut(struct command *c, enum proto_code code, const char *reason)
{
	if (c->state == COMMAND_NONE || c->cut_reason != NULL)
		return;
	c->cut = code;
	c->cut_reason = reason;
	c->deadline = CLOCK_NEVER;
	c->last = clock_in(CUT_TIMEOUT);
	tree_end(c->tree, c->grace);
}

void
command_close(struct command *c, size_t output)
{
	/* What a change of directory writes is for us. */
	if (!c->chdir)
		fd_close(c->outputs[output].fd);
}

void
command_reaped(struct command *c, pid_t pid, int status,
    const struct rusage *usage)
{
	if (c->state == COMMAND_NONE || c->reaped || pid != c->child.pid)
		return;
	note_end(c, status);
	c->cpu_us = (int64_t)(usage->ru_utime.tv_sec +
	    usage->ru_stime.tv_sec) * 1000000 + usage->ru_utime.tv_usec +
	    usage->ru_stime.tv_usec;
}

void
command_abandon(struct command *c)
{
	if (c->state == COMMAND_NONE || c->reaped)
		return;
	c->cut_reason = "abandoned";
	note_end(c, SIGKILL);
	settle_output(c);
}

/* Is a stream through?  What we have cut does not wait for a peer that gives
 * no credit, and not for long for one that takes nothing. */
static bool
is_through(const struct command *c, const struct output *o,
    const struct conn *l)
{
	return l == NULL || output_is_done(o) ||
	    (c->cut_reason != NULL && (output_room(o, allowed(c)) == 0 ||
	    clock_past(c->last)));
}

bool
command_is_finished(const struct command *c, const struct conn *l)
{
	if (c->state != COMMAND_RUNNING || !c->reaped)
		return false;
	/* When we end it, all that it started has to be gone as well. */
	if (c->cut_reason != NULL && tree_is_ending(c->tree))
		return false;
	return c->chdir || (c->settled && is_through(c, &c->outputs[0], l) &&
	    is_through(c, &c->outputs[1], l));
}

void
command_end(const struct command *c, struct audit_end *e)
{
	bool killed = WIFSIGNALED(c->status);

	memset(e, 0, sizeof *e);
	e->reason = killed ? "signal" : "exit";
	if (c->cut_reason != NULL)
		e->reason = c->cut_reason;
	e->exit = killed ? -1 : WEXITSTATUS(c->status);
	e->signal = killed ? WTERMSIG(c->status) : 0;
	e->memory_limit = c->limits.memory_limit;
	e->duration_us = c->ended_us - c->child.started_us;
	e->cpu_us = c->cpu_us;
	e->in_bytes = c->input.bytes;
	e->out_bytes = c->outputs[0].bytes;
	e->err_bytes = c->outputs[1].bytes;
	e->left = c->left;
	e->kept = c->limits.keep;
}

const char *
command_limit(const struct command *c, int64_t *value)
{
	int sig = c->reaped && WIFSIGNALED(c->status) ? WTERMSIG(c->status) : 0;

	if (c->state == COMMAND_NONE)
		return NULL;
	if (c->cut == PROTO_CODE_TIMEOUT) {
		*value = c->limits.time_limit;
		return "time_limit";
	}
	if (c->cut == PROTO_CODE_OUTPUT) {
		*value = c->limits.output_limit;
		return "output_limit";
	}
	/* The kernel's signal, and what comes where that is ignored. */
	if (c->limits.cpu_limit > 0 && (sig == SIGXCPU || (sig == SIGKILL &&
	    c->cpu_us / 1000 >= c->limits.cpu_limit))) {
		*value = c->limits.cpu_limit;
		return "cpu_limit";
	}
	return NULL;
}
