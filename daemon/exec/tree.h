/*
 * tree.h - the processes below the daemon: find, signal, spare.
 *
 * The daemon is a child subreaper (prctl(2)): whatever a command leaves
 * behind becomes the daemon's own child when its parent ends, however often
 * it has forked or called setsid(2).  So to kill all children again and again
 * until there are none is to end a whole tree.  A child is there until it is
 * reaped: its entries in /proc, which may be hidden, are not looked at.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_TREE_H
#define AIS_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* How far the ending of a tree has come. */
enum tree_ending {
	TREE_IDLE,
	TREE_TERM_SENT,
	TREE_KILLING	/* KILL is sent, again and again. */
};

struct account;

/* A set of process numbers. */
struct tree_pids {
	pid_t *list;
	size_t count;
	size_t size;
};

/* All zero at first. */
struct tree {
	bool shared;		/* Others have processes of the command user:
				 * that user's are never killed all at once. */
	struct tree_pids spared; /* Children that are to be left alone. */
	struct tree_pids told;	/* Process groups that were sent TERM. */
	enum tree_ending ending;
	int64_t next;		/* Deadline of the next step. */
	int64_t last;		/* Deadline of the last. */
	int64_t kill_all_at;	/* When to kill all of the user at once. */
	uint64_t seen;		/* Tells what was left in the last round. */
};

/*
 * Before all else: open the kernel's list of our children, and see that it
 * names one.  0, or -1 after a message: then no command could be ended.
 */
int tree_init(void);

/* Leave alone all children that there are now.  0, or -1 with errno set. */
int tree_spare(struct tree *t);

/* "pid" has been reaped: its number may come to mean another process. */
void tree_reaped(struct tree *t, pid_t pid);

/* Has this process any child, a zombie included? */
bool tree_is_empty(void);

/* How many children are not spared and run?  At least 1 if that cannot be
 * seen. */
int tree_count(struct tree *t);

/*
 * Begin to end every child that is not spared: TERM to its process group now,
 * or as soon as it is a child, and KILL when "grace" milliseconds have passed.
 * Nothing is begun where there is none, or where an ending is under way.
 */
void tree_end(struct tree *t, int64_t grace);

/*
 * Go on with the ending, at tree_deadline() and whenever a child has been
 * reaped.  Processes that escape KILL by forking all the time are ended with
 * all others of the user "command", if that is not NULL, the spared ones too;
 * but not where the tree is shared.  Children that live on for ten seconds
 * after KILL, because they are root's, traced, or stuck in the kernel, are
 * spared after a message: returns -1 then, once; else 0.
 */
int tree_go_on(struct tree *t, const struct account *command);

/* Is an ending under way, and when does it want to go on? */
bool tree_is_ending(const struct tree *t);
int64_t tree_deadline(const struct tree *t);

/* Free what "t" has allocated. */
void tree_free(struct tree *t);

#endif
