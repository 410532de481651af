/*
 * command.h - one command, from its decision to its end.
 *
 * A command is a child, its streams, and the limits that its rule sets.  The
 * session tells it what the peer says, and when it is finished, what it was.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_COMMAND_H
#define AIS_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "common/wire/proto.h"
#include "daemon/exec/child.h"
#include "daemon/exec/stream.h"
#include "daemon/exec/exec-options.h"

struct audit_end;
struct conn;
struct pollset;
struct tree;

enum command_state {
	COMMAND_NONE,		/* There is none. */
	COMMAND_STARTING,	/* The child has been forked. */
	COMMAND_RUNNING		/* It has become the program. */
};

struct command {
	enum command_state state;
	uint32_t number;	/* Of its request. */
	bool chdir;		/* No program: see struct child_plan. */
	struct child child;
	struct input input;
	struct output outputs[2];	/* Standard output and error. */
	int order;		/* Of them, as outputs_open() has it. */
	struct limits limits;
	int64_t deadline;	/* Of the time limit. */
	int64_t grace;		/* Between TERM and KILL, in ms. */
	struct tree *tree;
	enum proto_code cut;	/* Why the server ends it, for the peer... */
	const char *cut_reason;	/* ...and for the record; NULL: it does not. */
	int before;		/* Processes that earlier ones have left. */
	bool reaped;
	int status;		/* Of wait(2), once it is reaped. */
	bool settled;		/* And it is known what its output is. */
	int64_t quiet;		/* Until then, unless more output comes... */
	int64_t last;		/* ...and until then in any case. */
	uint64_t sent;		/* Of output, when it was reaped. */
	int left;		/* Processes that it has left behind. */
	int64_t cpu_us;
	int64_t ended_us;
	size_t report_slot;
};

/* Once, before the first command. */
void command_init(struct command *c, struct tree *tree);
void command_free(struct command *c);

/*
 * Start "plan", whose "order" and "window" are set here, with the credit that
 * the peer has given for the two outputs; after a cut its processes have
 * "grace" ms from TERM to KILL.  0, or -1 with errno set and no command.
 */
int command_start(struct command *c, uint32_t number, struct child_plan *plan,
    const uint32_t windows[2], int64_t grace);

/*
 * Begin what is answered as if a command had run, and has ended: its output is
 * the rest of the file "fd", which is closed; its exit status is "status".
 */
void command_answer(struct command *c, uint32_t number, int fd, int status,
    const uint32_t windows[2]);

/* As child_begun(): 1 and the state is RUNNING; 0; or -1, "f" is filled, and
 * there is no command any more.  -1 too if it was abandoned before. */
int command_begun(struct command *c, struct child_failure *f);

/* Add to "ps" what the command waits for.  "l" is where its output goes, or
 * NULL if it is read and dropped. */
void command_poll(struct command *c, struct pollset *ps, struct conn *l);

/* Move bytes, and apply the limits.  0, or -1 if memory is out. */
int command_dispatch(struct command *c, const struct pollset *ps,
    struct conn *l);

/*
 * End it with all that the session has started: politely, then by force.
 * The first reason counts.  It is finished when nothing is left.
 */
void command_cut(struct command *c, enum proto_code code,
    const char *reason);

/* The peer wants no more of an output, 0 or 1: its pipe is closed, and what
 * writes to it gets SIGPIPE. */
void command_close(struct command *c, size_t output);

/* A child has been reaped; if it is this command's, note how it ended.  While
 * other processes of it are left, their output is taken for a moment. */
void command_reaped(struct command *c, pid_t pid, int status,
    const struct rusage *usage);

/* Not even KILL has ended it: take it as ended, for this reason. */
void command_abandon(struct command *c);

/* Has it ended, and is all that it wrote in the queue of "l"? */
bool command_is_finished(const struct command *c, const struct conn *l);

/* What there is to say about the end. */
void command_end(const struct command *c, struct audit_end *e);

/* The key of the limit that ends it or has ended it, and its value; or NULL.
 * Those on memory, processes and files are not known: a call fails in it. */
const char *command_limit(const struct command *c, int64_t *value);

/* Forget it: there is no command. */
void command_reset(struct command *c);

#endif
