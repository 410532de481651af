/*
 * child.h - start a command with its pipes, and learn whether it started.
 *
 * A command runs in a session of its own, with default signal handling,
 * nothing inherited but its three streams, and an environment and limits that
 * the plan gives.  Between fork and exec only system calls are made.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_CHILD_H
#define AIS_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/fd.h"
#include "daemon/exec/exec-options.h"

struct account;

/* The most paths in one argv that have to lie below a directory. */
#define CHILD_PATHS_MAX	16
/* The descriptor of the first of them, where it has to be one; the others
 * follow. */
#define CHILD_PATH_FD	10

/* How the program gets such a path. */
enum child_pin {
	CHILD_PIN_NEEDED,	/* By name, where its way cannot be changed;
				 * else by name in an open directory. */
	CHILD_PIN_NEVER,	/* By name. */
	CHILD_PIN_ALWAYS	/* As an open descriptor. */
};

/*
 * A path that has to be below a directory when the program is executed.  Its
 * word of argv is the path, until it is replaced by one for a descriptor.
 */
struct child_path {
	const char *below;	/* The directory. */
	char *relative;		/* The path, seen from it; never above it. */
	char *directory;	/* Where its last part is, seen from it. */
	const char *last;	/* That part; "." for the directory itself. */
	char *way;		/* "directory", from the root. */
	enum child_pin pin;
	char *open_file;	/* The word by descriptor of the file, ... */
	char *open_place;	/* ...or of the directory, and its name. */
	char **word;		/* In argv. */
};

/* What is to be started, and as whom.  All is borrowed by child_start(). */
struct child_plan {
	bool chdir;		/* No program: enter "directory" as the account,
				 * and write its absolute name. */
	char **paths;		/* To try in this order. */
	bool checked;		/* The first, and there is no other, unless
				 * the account can change it. */
	char **argv;
	struct child_path below[CHILD_PATHS_MAX];	/* In argv. */
	size_t below_count;
	struct limits limits;
	char **env;
	const char *base;	/* Absolute; what "directory" is seen from. */
	const char *directory;	/* To run in. */
	mode_t umask;
	int order;		/* Of its outputs, by outputs_open(). */
	bool wants_stdin;	/* Else its standard input is /dev/null. */
	uint32_t window;	/* Bytes of its standard output that the client
				 * lets be under way. */
	const struct account *account;	/* NULL: the daemon's own. */
};

/* Where a start can fail. */
enum child_stage {
	CHILD_STAGE_SETUP,	/* Descriptors, signals, session. */
	CHILD_STAGE_DIRECTORY,	/* The directory cannot be entered. */
	CHILD_STAGE_USER,	/* The user cannot be changed to. */
	CHILD_STAGE_PATH,	/* A path is not below its directory. */
	CHILD_STAGE_UNSAFE,	/* The account can change the program. */
	CHILD_STAGE_INTERPRETER, /* A program is there, and what is to read
				 * or to load it is not. */
	CHILD_STAGE_EXEC,	/* None of the paths can be executed. */
	CHILD_STAGE_TRIAL	/* No failure: a path is tried. */
};

struct child_failure {
	enum child_stage stage;
	int error;		/* errno; of a trial: which path. */
};

/* A child; its descriptors are -1 when closed. */
struct child {
	pid_t pid;		/* Also its process group's; 0: none. */
	int in;			/* Our end of its standard input. */
	int out;
	int err;
	int report;		/* Says whether exec has worked. */
	bool unknown;		/* It could not be read. */
	int program;		/* Which path was tried last; -1: none yet.
				 * Once the exec has worked, it runs. */
	int64_t started_us;	/* clock_now_us(). */
};

/* Prepare for starting children: opens /dev/null, and resets what they would
 * inherit.  0, or -1 after a message. */
int child_init(void);

/*
 * Start a child.  0 and the caller owns "c"; or -1 with errno set, if a
 * descriptor, a process or memory is lacking, and nothing is left behind.
 * "alone" says that no process of the command's user can be there to stop
 * the child before its exec; then vfork(2) is used, which waits for that,
 * and child_begun() knows the answer at once.
 */
int child_start(struct child *c, const struct child_plan *plan, bool alone);

/*
 * Has the exec worked?  1: yes, of the path c->program; 0: not known yet, wait
 * for c->report; -1: no, and "f" says why; the child is a zombie, or soon will
 * be.  If that cannot be learnt, it is 1, and c->unknown is set.
 */
int child_begun(struct child *c, struct child_failure *f);

/* Send "sig" to the child's process group, or to the child if it has none yet.
 * 0, or -1 with errno set. */
int child_signal(const struct child *c, int sig);

/* Close what is open. */
void child_close(struct child *c);

#endif
