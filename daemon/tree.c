#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "daemon/privilege.h"
#include "daemon/tree.h"

/* Deeper trees are ended all the same, a generation each round. */
#define DEPTH_MAX	16
/* How long a killed tree is given before the next look at it. */
#define KILL_ROUND	5
/* Those who still dodge KILL after this are ended at one stroke. */
#define KILL_PATIENCE	100
/* What has not ended this long after KILL will not end. */
#define KILL_TIMEOUT	10000
/* Children may come faster than we look at them: a look has its end. */
#define WALK_TIMEOUT	200
/* What is read at once of a list of children: a thousand or so. */
#define LIST_MAX	8192

/* The list of the children of "pid", 0 for our own. */
static int
open_children(pid_t pid)
{
	char path[64];

	if (pid == 0)
		return open("/proc/thread-self/children",
		    O_RDONLY | O_CLOEXEC);
	(void)snprintf(path, sizeof path, "/proc/%ld/task/%ld/children",
	    (long)pid, (long)pid);
	return open(path, O_RDONLY | O_CLOEXEC);
}

bool
tree_is_supported(void)
{
	int fd = open_children(0);

	if (fd == -1)
		return false;
	fd_close(&fd);
	return true;
}

/* Is "pid" a process that has ended and waits for its parent? */
static bool
is_zombie(pid_t pid)
{
	char path[64], text[512], *state;
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return errno == ENOENT;
	n = read(fd, text, sizeof text - 1);
	fd_close(&fd);
	if (n <= 0)
		return true;
	text[n] = '\0';
	/* proc(5): the state follows the name, which may hold anything. */
	state = strrchr(text, ')');
	return state != NULL && state[1] == ' ' &&
	    (state[2] == 'Z' || state[2] == 'X');
}

static bool
is_spared(const struct tree *t, pid_t pid)
{
	for (size_t i = 0; t != NULL && i < t->count; i++) {
		if (t->spared[i] == pid)
			return true;
	}
	return false;
}

typedef int each_fn(void *context, pid_t pid);

/* Call "each" for every child of "pid", 0 for ours; -1 with errno set. */
static int
each_child(pid_t pid, each_fn *each, void *context)
{
	char list[LIST_MAX];
	size_t used = 0;
	int fd = open_children(pid), result = 0;
	ssize_t n = 1;

	if (fd == -1)
		return -1;
	while (n > 0 && result == 0) {
		char *p = list, *end;

		n = read(fd, list + used, sizeof list - 1 - used);
		if (n > 0)
			used += (size_t)n;
		list[used] = '\0';
		/* A number is whole when a blank follows it. */
		while (result == 0 && (end = strchr(p, ' ')) != NULL) {
			result = each(context, (pid_t)strtol(p, NULL, 10));
			p = end + 1;
		}
		used -= (size_t)(p - list);
		memmove(list, p, used);
	}
	fd_close(&fd);
	return n == -1 ? -1 : result;
}

static int
spare_one(void *context, pid_t pid)
{
	struct tree *t = context;
	pid_t *grown;

	if (is_spared(t, pid))
		return 0;
	if (t->count == t->size) {
		grown = realloc(t->spared, (t->size + 64) * sizeof *grown);
		if (grown == NULL)
			return -1;
		t->spared = grown;
		t->size += 64;
	}
	t->spared[t->count++] = pid;
	return 0;
}

int
tree_spare(struct tree *t)
{
	if (tree_is_empty())
		return 0;
	return each_child(0, spare_one, t);
}

void
tree_reaped(struct tree *t, pid_t pid)
{
	for (size_t i = 0; i < t->count; i++) {
		if (t->spared[i] == pid) {
			t->spared[i] = t->spared[--t->count];
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

/* Process groups that a walk remembers; members of further ones are signalled
 * one by one. */
#define GROUPS_MAX	64

/* One walk over the tree. */
struct walk {
	const struct tree *tree;
	int sig;
	int depth;
	int count;
	uint64_t sum;		/* Of those that can be signalled. */
	int64_t deadline;
	bool cut;		/* The deadline came before the last child. */
	pid_t groups[GROUPS_MAX];	/* That have been signalled. */
	size_t group_count;
};

/*
 * Signal the whole group of "pid", once.  The kernel reaches all members before
 * any of them can be seen to have ended, so a script is told before it can miss
 * its step and go on to the next.  A group is of one session, and thus of one
 * command, but for a child that has not called setsid(2) yet.
 */
static void
signal_group(struct walk *w, pid_t pid)
{
	pid_t group = getpgid(pid);

	for (size_t i = 0; i < w->group_count; i++) {
		if (w->groups[i] == group)
			return;
	}
	if (group <= 0 || group == getpgrp() ||
	    w->group_count == GROUPS_MAX) {
		(void)kill(pid, w->sig);
		return;
	}
	w->groups[w->group_count++] = group;
	(void)kill(-group, w->sig);
}

static int
signal_one(void *context, pid_t pid)
{
	struct walk *w = context;
	int result = -1;

	if (clock_past(w->deadline)) {
		w->cut = true;
		return 1;
	}
	if (w->depth == 0) {
		if (is_spared(w->tree, pid))
			return 0;
		/* Before anything else: it may fork and end at any moment. */
		if (w->sig == SIGKILL)
			result = kill(pid, SIGKILL);
		if (is_zombie(pid))
			return 0;
		w->count++;
		if (result == 0)
			w->sum += (uint64_t)pid;
	}
	/* Children first: after its parent has ended, a process is a child of
	 * ours, and would be met a second time. */
	if (w->depth < DEPTH_MAX && w->sig != SIGKILL) {
		w->depth++;
		(void)each_child(pid, signal_one, w);
		w->depth--;
	}
	/* It may have ended, or be one that sudo has made root's: then it
	 * stays, and is counted. */
	if (w->sig != SIGKILL && w->sig != 0)
		signal_group(w, pid);
	return 0;
}

/* Fill "w" by a walk with "sig".  Returns as tree_signal(). */
static int
walk(struct walk *w, const struct tree *t, int sig)
{
	memset(w, 0, sizeof *w);
	w->tree = t;
	w->sig = sig;
	w->deadline = clock_in(WALK_TIMEOUT);
	if (tree_is_empty())
		return 0;
	if (each_child(0, signal_one, w) == -1)
		return -1;
	return w->cut && w->count == 0 ? 1 : w->count;
}

int
tree_signal(const struct tree *t, int sig)
{
	struct walk w;

	return walk(&w, t, sig);
}

/*
 * KILL to every child, once more.  What forks faster than we look is never the
 * process that we have seen; what is stuck in the kernel always is.  Those
 * who dodge cannot dodge kill(2) when it is meant for all of a user.
 */
static int
kill_round(struct tree *t, const struct account *command)
{
	struct walk w;
	int left = walk(&w, t, SIGKILL);
	bool dodges = w.cut || (w.sum != 0 && w.sum != t->seen);
	pid_t pid;

	if (dodges && command != NULL && clock_past(t->stroke)) {
		t->stroke = clock_in(KILL_PATIENCE);
		if ((pid = privilege_end_all(command)) == -1)
			log_errno("cannot end what dodges its end");
		else if (spare_one(t, pid) == -1)
			log_errno("cannot spare the process %ld", (long)pid);
	}
	t->seen = w.sum;
	return left;
}

void
tree_end(struct tree *t, int64_t grace)
{
	if (t->ending != TREE_AT_PEACE || tree_signal(t, SIGTERM) == 0)
		return;
	/* A stopped process sees TERM only when it goes on. */
	(void)tree_signal(t, SIGCONT);
	t->ending = TREE_ENDING_POLITELY;
	t->next = clock_in(grace);
	t->last = clock_in(grace + KILL_TIMEOUT);
	t->stroke = clock_in(grace + KILL_PATIENCE);
	t->seen = 0;
}

int
tree_go_on(struct tree *t, const struct account *command)
{
	int left;

	if (t->ending == TREE_AT_PEACE)
		return 0;
	if (clock_past(t->next))
		t->ending = TREE_ENDING_BY_FORCE;
	else if (t->ending == TREE_ENDING_BY_FORCE)
		return 0;
	left = t->ending == TREE_ENDING_POLITELY ? tree_signal(t, 0) :
	    kill_round(t, t->shared ? NULL : command);
	if (left == 0) {
		t->ending = TREE_AT_PEACE;
		return 0;
	}
	if (t->ending == TREE_ENDING_BY_FORCE)
		t->next = clock_in(KILL_ROUND);
	if (!clock_past(t->last))
		return 0;
	log_error("%d processes that a session has started cannot be ended; "
	    "they are left alone", left);
	if (tree_spare(t) == -1)
		log_errno("cannot note which they are");
	t->ending = TREE_AT_PEACE;
	return -1;
}

bool
tree_is_ending(const struct tree *t)
{
	return t->ending != TREE_AT_PEACE;
}

int64_t
tree_deadline(const struct tree *t)
{
	return t->ending == TREE_AT_PEACE ? CLOCK_NEVER : t->next;
}

void
tree_free(struct tree *t)
{
	free(t->spared);
	memset(t, 0, sizeof *t);
}
