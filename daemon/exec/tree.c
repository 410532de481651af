/* The processes below the daemon: find, end, spare.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "daemon/exec/privilege.h"
#include "daemon/exec/tree.h"

/* How long a killed tree is given before the next look at it. */
#define KILL_ROUND	5
/* What has escaped KILL for so long is killed with all of its user. */
#define KILL_PATIENCE	100
/* What has not ended this long after KILL will not end. */
#define KILL_TIMEOUT	10000
/* Children may come faster than we look at them: so long may a look take. */
#define WALK_TIMEOUT	200
/* What is read at once of the list of children: a thousand or so. */
#define LIST_MAX	8192

/* The list of our children.  It stays open: to end a command must need no new
 * descriptor, and no /proc that may have been covered meanwhile. */
static const char list_path[] = "/proc/thread-self/children";
static int list_fd = -1;

/* --- sets of numbers ----------------------------------------------------- */

static bool
pids_has(const struct tree_pids *p, pid_t pid)
{
	for (size_t i = 0; i < p->count; i++) {
		if (p->list[i] == pid)
			return true;
	}
	return false;
}

static int
pids_add(struct tree_pids *p, pid_t pid)
{
	pid_t *grown;

	if (pids_has(p, pid))
		return 0;
	if (p->count == p->size) {
		grown = realloc(p->list, (p->size + 64) * sizeof *grown);
		if (grown == NULL)
			return -1;
		p->list = grown;
		p->size += 64;
	}
	p->list[p->count++] = pid;
	return 0;
}

/* --- our children -------------------------------------------------------- */

typedef int each_fn(void *context, pid_t pid);

/*
 * Call "each" for every child until it returns other than 0, and return that;
 * or -1 with errno set.  New children come last in the list, and only we reap,
 * so none is left out by what happens meanwhile.
 */
static int
each_child(each_fn *each, void *context)
{
	char list[LIST_MAX];
	size_t used = 0;
	off_t at = 0;
	int result = 0;
	ssize_t n = 1;

	while (n > 0 && result == 0) {
		char *p = list, *end;

		n = pread(list_fd, list + used, sizeof list - 1 - used, at);
		if (n > 0) {
			used += (size_t)n;
			at += n;
		}
		list[used] = '\0';
		/* A number is whole when a blank follows it. */
		while (result == 0 && (end = strchr(p, ' ')) != NULL) {
			result = each(context, (pid_t)strtol(p, NULL, 10));
			p = end + 1;
		}
		used -= (size_t)(p - list);
		memmove(list, p, used);
	}
	return n == -1 ? -1 : result;
}

static int
is_it(void *context, pid_t pid)
{
	return pid == *(const pid_t *)context;
}

int
tree_init(void)
{
	pid_t pid;
	int found;

	if (list_fd == -1)
		list_fd = open(list_path, O_RDONLY | O_CLOEXEC);
	if (list_fd == -1) {
		log_error("cannot open %s: %s; without it no command could be "
		    "ended: mount /proc here, or use a kernel with "
		    "CONFIG_PROC_CHILDREN", list_path, strerror(errno));
		return -1;
	}
	/* A child to be found; what has ended is there until it is reaped. */
	if ((pid = vfork()) == 0)
		_exit(0);
	if (pid == -1) {
		log_errno("cannot start a process");
		return -1;
	}
	found = each_child(is_it, &pid);
	(void)waitpid(pid, NULL, 0);
	if (found == 1)
		return 0;
	log_error("%s does not name the children of this process, and so no "
	    "command could be ended; mount the /proc of this PID namespace "
	    "here", list_path);
	return -1;
}

static int
spare_one(void *context, pid_t pid)
{
	struct tree *t = context;

	return pids_add(&t->spared, pid);
}

int
tree_spare(struct tree *t)
{
	return each_child(spare_one, t);
}

void
tree_reaped(struct tree *t, pid_t pid)
{
	for (size_t i = 0; i < t->spared.count; i++) {
		if (t->spared.list[i] == pid) {
			t->spared.list[i] = t->spared.list[--t->spared.count];
			return;
		}
	}
}

bool
tree_is_empty(void)
{
	siginfo_t si;

	return waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) == -1 &&
	    errno == ECHILD;
}

/* Does "pid" only wait to be reaped?  /proc cannot tell: there a process whose
 * first thread has ended looks like a zombie while others run. */
static bool
has_ended(pid_t pid)
{
	siginfo_t si = { 0 };

	return waitid(P_PID, (id_t)pid, &si, WEXITED | WNOHANG | WNOWAIT) ==
	    0 && si.si_pid == pid;
}

/* --- looking at them, and signals ---------------------------------------- */

/* One look at all children that are not spared. */
struct look {
	struct tree *tree;
	int sig;		/* TERM, KILL or 0. */
	int64_t deadline;
	bool cut;		/* It came before all were seen. */
	int left;		/* So many are not reaped... */
	int running;		/* ...and of those so many run. */
	pid_t first;		/* One of these. */
	uint64_t sum;		/* Of those that take our KILL. */
};

/*
 * TERM to the whole group of "pid", once.  The kernel reaches all members
 * before any of them can be seen to have ended, so a script is told before it
 * runs its next command.  A group is of one session, and thus of one
 * command, but for a child that has not called setsid(2) yet.
 */
static void
send_term(struct tree *t, pid_t pid)
{
	pid_t group = getpgid(pid);

	if (group > 0 && pids_has(&t->told, group))
		return;
	if (group > 0 && group != getpgrp() && pids_add(&t->told, group) == 0)
		pid = -group;
	(void)kill(pid, SIGTERM);
	/* A stopped process sees TERM only when it goes on. */
	(void)kill(pid, SIGCONT);
}

static int
look_at_child(void *context, pid_t pid)
{
	struct look *l = context;
	bool taken;

	if (clock_past(l->deadline)) {
		l->cut = true;
		return 1;
	}
	if (pids_has(&l->tree->spared, pid))
		return 0;
	/* Before anything else: it may fork and end at any moment. */
	taken = l->sig == SIGKILL && kill(pid, SIGKILL) == 0;
	/* What has ended counts as well: its own children may have become ours
	 * after the list was read. */
	l->left++;
	if (has_ended(pid))
		return 0;
	l->running++;
	l->first = pid;
	/* It may be one that sudo has made root's: then it stays. */
	if (taken)
		l->sum += (uint64_t)pid;
	if (l->sig == SIGTERM)
		send_term(l->tree, pid);
	return 0;
}

/* Send "sig" to all.  What was not seen counts as one that is there. */
static struct look
tree_look(struct tree *t, int sig)
{
	struct look l = { .tree = t, .sig = sig,
	    .deadline = clock_in(WALK_TIMEOUT) };

	if ((each_child(look_at_child, &l) == -1 || l.cut) && l.left == 0)
		l.left = l.running = 1;
	return l;
}

int
tree_count(struct tree *t)
{
	return tree_look(t, 0).running;
}

/*
 * KILL to every child, once more.  What forks faster than we look is another
 * process in each round; what is stuck in the kernel is the same one.  The
 * first cannot escape a kill(2) of all processes of its user.
 */
static struct look
kill_round(struct tree *t, const struct account *command)
{
	struct look l = tree_look(t, SIGKILL);
	bool dodges = l.cut || (l.sum != 0 && l.sum != t->seen);
	pid_t pid;

	if (dodges && command != NULL && clock_past(t->kill_all_at)) {
		t->kill_all_at = clock_in(KILL_PATIENCE);
		if ((pid = privilege_end_all(command)) == -1)
			log_errno("cannot end what dodges its end");
		else if (pids_add(&t->spared, pid) == -1)
			log_errno("cannot spare the process %ld", (long)pid);
	}
	t->seen = l.sum;
	return l;
}

void
tree_end(struct tree *t, int64_t grace)
{
	if (t->ending != TREE_IDLE)
		return;
	t->told.count = 0;
	if (tree_look(t, SIGTERM).left == 0)
		return;
	t->ending = TREE_TERM_SENT;
	t->next = clock_in(grace);
	t->last = clock_in(grace + KILL_TIMEOUT);
	t->kill_all_at = clock_in(grace + KILL_PATIENCE);
	t->seen = 0;
}

int
tree_go_on(struct tree *t, const struct account *command)
{
	struct look l;

	if (t->ending == TREE_IDLE)
		return 0;
	if (clock_past(t->next))
		t->ending = TREE_KILLING;
	else if (t->ending == TREE_KILLING)
		return 0;
	l = t->ending == TREE_TERM_SENT ? tree_look(t, SIGTERM) :
	    kill_round(t, t->shared ? NULL : command);
	if (l.left == 0) {
		t->ending = TREE_IDLE;
		return 0;
	}
	if (t->ending == TREE_KILLING)
		t->next = clock_in(KILL_ROUND);
	if (!clock_past(t->last))
		return 0;
	log_error("%d processes that a session has started cannot be ended, "
	    "%ld among them; they are left alone", l.left, (long)l.first);
	if (tree_spare(t) == -1)
		log_errno("cannot note which they are");
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
	free(t->spared.list);
	free(t->told.list);
	memset(t, 0, sizeof *t);
}
