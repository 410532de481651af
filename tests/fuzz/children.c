/* Children of a session that are none: what a command would do, by the input.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fd.h"
#include "daemon/rules/grant.h"
#include "daemon/front/session.h"
#include "daemon/exec/tree.h"

#include "tests/fuzz/children.h"
#include "tests/fuzz/wire.h"

/* As daemon/exec/tree.c has it. */
#define KILL_TIMEOUT	10000

struct children children;

static void
close_all(void)
{
	fd_close(&children.in);
	fd_close(&children.out);
	fd_close(&children.err);
}

void
children_reset(void)
{
	memset(&children, 0, sizeof children);
	children.in = children.out = children.err = -1;
}

void
children_begin(void)
{
	if (children.alive)
		children.begun = 1;
}

void
children_fail(enum child_stage stage, int error)
{
	if (!children.alive || children.begun != 0)
		return;
	children.begun = -1;
	children.failure.stage = stage;
	children.failure.error = error;
	children_end(1 << 8);
}

void
children_end(int status)
{
	static const char directory[] = "/srv/new";

	if (!children.alive)
		return;
	/* Its pipe is closed before its status can be seen. */
	if (children.begun == 0)
		children.begun = 1;
	if (children.chdir && status == 0 && children.out != -1)
		(void)!write(children.out, directory, sizeof directory - 1);
	children.alive = false;
	children.ended = true;
	children.status = status;
	close_all();
}

void
children_reap(struct session *s)
{
	struct rusage usage;

	if (!children.ended)
		return;
	memset(&usage, 0, sizeof usage);
	children.ended = false;
	session_reaped(s, children.pid, children.status, &usage);
}

void
children_write(bool error, size_t n)
{
	static const char bytes[65536];
	int fd = error ? children.err : children.out;

	if (fd != -1 && !children.chdir && children.begun == 1)
		(void)!write(fd, bytes, n < sizeof bytes ? n : sizeof bytes);
}

void
children_read(size_t n)
{
	static char bytes[65536];

	if (children.in != -1)
		(void)!read(children.in, bytes, n < sizeof bytes ? n :
		    sizeof bytes);
}

/* --- daemon/child --------------------------------------------------------- */

int
child_init(void)
{
	return 0;
}

/* What a decision promises about what is started. */
static void
check_plan(const struct child_plan *plan)
{
	must(plan->env != NULL && plan->directory != NULL);
	must(plan->directory[0] == '/' || plan->base != NULL);
	if (plan->chdir)
		return;
	must(plan->argv != NULL && plan->argv[0] != NULL);
	must(plan->paths != NULL && plan->paths[0] != NULL);
	for (size_t i = 0; i < plan->below_count; i++)
		must(plan->below[i].word > plan->argv &&
		    *plan->below[i].word != NULL);
}

/* A pipe; "ours" is the session's end, and the other does not block either:
 * there is none to wait for. */
static int
open_pipe(int *ours, int which)
{
	int ends[2];

	must(fd_pipe(ends, which) == 0);
	*ours = ends[which];
	must(fd_set_blocking(ends[1 - which], false) == 0);
	return ends[1 - which];
}

int
child_start(struct child *c, const struct child_plan *plan, bool alone)
{
	must(!alone || (children.others == 0 && !plan->chdir));
	check_plan(plan);
	must(!children.alive);
	memset(c, 0, sizeof *c);
	c->in = c->out = c->err = c->report = c->program = -1;
	if (children.lacking) {
		children.lacking = false;
		errno = EAGAIN;
		return -1;
	}
	children.pid++;
	children.alive = true;
	children.ended = false;
	children.begun = 0;
	children.chdir = plan->chdir;
	if (plan->wants_stdin)
		children.in = open_pipe(&c->in, 1);
	children.out = open_pipe(&c->out, 0);
	children.err = open_pipe(&c->err, 0);
	c->report = wire_descriptor();
	c->pid = children.pid;
	c->started_us = clock_now_us();
	return 0;
}

int
child_begun(struct child *c, struct child_failure *f)
{
	if (c->report == -1)
		return 1;
	must(c->pid == children.pid);
	if (children.begun == 0)
		return 0;
	fd_close(&c->report);
	*f = children.failure;
	return children.begun;
}

int
child_signal(const struct child *c, int sig)
{
	/* A number that has been reaped may be another's. */
	must(c->pid == children.pid && (children.alive || children.ended));
	if (sig == SIGKILL ? !children.immortal : !children.stubborn)
		children_end(sig);
	return 0;
}

void
child_close(struct child *c)
{
	fd_close(&c->in);
	fd_close(&c->out);
	fd_close(&c->err);
	fd_close(&c->report);
}

/* --- daemon/tree ---------------------------------------------------------- */

int
tree_init(void)
{
	return 0;
}

int
tree_spare(struct tree *t)
{
	(void)t;
	children.others = 0;
	return 0;
}

void
tree_reaped(struct tree *t, pid_t pid)
{
	(void)t;
	(void)pid;
}

bool
tree_is_empty(void)
{
	return !children.alive && !children.ended && children.others == 0;
}

int
tree_count(struct tree *t)
{
	(void)t;
	return (int)children.others + children.alive;
}

/* Send "sig" to all; how many there were. */
static int
send_all(struct tree *t, int sig)
{
	int left = tree_count(t);

	if (sig == SIGKILL ? !children.immortal :
	    sig == SIGTERM && !children.stubborn) {
		children.others = 0;
		children_end(sig);
	}
	return left;
}

void
tree_end(struct tree *t, int64_t grace)
{
	if (t->ending != TREE_IDLE || send_all(t, SIGTERM) == 0)
		return;
	t->ending = TREE_TERM_SENT;
	t->next = clock_in(grace);
	t->last = clock_in(grace + KILL_TIMEOUT);
}

int
tree_go_on(struct tree *t, const struct account *command)
{
	(void)command;
	if (t->ending == TREE_IDLE)
		return 0;
	if (clock_past(t->next))
		t->ending = TREE_KILLING;
	if (send_all(t, t->ending == TREE_KILLING ? SIGKILL :
	    0) == 0) {
		t->ending = TREE_IDLE;
		return 0;
	}
	if (t->ending == TREE_KILLING)
		t->next = clock_in(5);
	if (!clock_past(t->last))
		return 0;
	/* They are spared, and so nobody's business any more. */
	children.alive = false;
	children.others = 0;
	close_all();
	t->ending = TREE_IDLE;
	return -1;
}

bool
tree_is_ending(const struct tree *t)
{
	return t->ending != TREE_IDLE;
}

int64_t
tree_deadline(const struct tree *t)
{
	return t->ending == TREE_IDLE ? CLOCK_NEVER : t->next;
}

void
tree_free(struct tree *t)
{
	memset(t, 0, sizeof *t);
}
