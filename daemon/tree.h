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
#include <stdint.h>
#include <sys/types.h>

/* How far the ending of a tree has come. */
enum tree_ending {
	TREE_AT_PEACE,
	TREE_ENDING_POLITELY,	/* TERM was sent. */
	TREE_ENDING_BY_FORCE	/* KILL is sent, again and again. */
};

struct account;

/* All zero at first. */
struct tree {
	bool shared;		/* Others have processes of the command user:
				 * no stroke may end all of that user. */
	pid_t *spared;		/* Children that are to be left alone. */
	size_t count;
	size_t size;
	enum tree_ending ending;
	int64_t next;		/* Deadline of the next step. */
	int64_t last;		/* Deadline of the last. */
	int64_t stroke;		/* When to end them all at one stroke. */
	uint64_t seen;		/* Tells what was left in the last round. */
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
 * far as /proc shows them; any but KILL to whole process groups at once.
 * Returns how many children there were, zombies not counted; or -1 with
 * errno set.
 */
int tree_signal(const struct tree *t, int sig);

/*
 * Begin to end every child that is not spared: TERM now, and KILL when
 * "grace" milliseconds have passed.  Nothing is begun where there is none, or
 * where an ending is under way.
 */
void tree_end(struct tree *t, int64_t grace);

/*
 * Go on with the ending, at tree_deadline() and whenever a child has been
 * reaped.  Processes that dodge KILL, by being another one at each moment, are
 * ended with all others of the user "command", if that is not NULL, the spared
 * among them; but not where the tree is shared.  Children that outlive KILL for
 * ten seconds, because they are root's or stuck in the kernel, are spared after
 * a message: returns -1 then, once; else 0.
 */
int tree_go_on(struct tree *t, const struct account *command);

/* Is an ending under way, and when does it want to go on? */
bool tree_is_ending(const struct tree *t);
int64_t tree_deadline(const struct tree *t);

/* Free the list of the spared. */
void tree_free(struct tree *t);

#endif
