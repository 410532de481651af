/*
 * tree.h - the processes below the daemon: find, signal, spare.
 *
 * The daemon is a child subreaper (prctl(2)): whatever a command leaves
 * behind becomes the daemon's own child when its parent ends, however often
 * it has forked or called setsid(2).  So to kill all children again and again
 * until there are none is to end a whole tree.
 */
#ifndef AIS_TREE_H
#define AIS_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Children that are to be left alone, by pid. */
struct tree {
	pid_t *spared;
	size_t count;
	size_t size;
};

/* Can the kernel tell a process its children (CONFIG_PROC_CHILDREN)? */
bool tree_is_supported(void);

/* Leave alone all children that there are now.  0, or -1 with errno set. */
int tree_spare(struct tree *t);

/* "pid" has been reaped: its number may come to mean another process. */
void tree_reaped(struct tree *t, pid_t pid);

/* Has this process any child, a zombie included? */
bool tree_is_empty(void);

/*
 * Send "sig" to every child that is not spared, and to their descendants as
 * far as /proc shows them.  Returns how many children there were, zombies
 * not counted; or -1 with errno set.
 */
int tree_signal(const struct tree *t, int sig);

void tree_free(struct tree *t);

#endif
