/*
 * children.h - commands that are no processes: daemon/child and daemon/tree
 * as the target of the session has them.
 *
 * There is one command at a time, with real pipes, whose other ends the target
 * holds; and a number of processes that it has left behind.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_FUZZ_CHILDREN_H
#define AIS_FUZZ_CHILDREN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/exec/child.h"

struct session;

extern struct children {
	pid_t pid;		/* Of the newest; they are counted. */
	bool alive;
	bool ended;		/* A zombie, with its status. */
	int status;
	bool chdir;
	int begun;		/* What child_begun() answers, */
	struct child_failure failure;	/* and why -1. */
	int in, out, err;	/* The command's ends. */
	size_t others;		/* What has been left behind. */
	bool stubborn;		/* Only KILL ends them... */
	bool immortal;		/* ...or not even that. */
	bool lacking;		/* The next start fails. */
} children;

/* As new: none, and none has been. */
void children_reset(void);

/* The command becomes its program, or fails to. */
void children_begin(void);
void children_fail(enum child_stage stage, int error);

/* It ends, with a status of wait(2), and closes what it has open. */
void children_end(int status);

/* Tell the session what has ended. */
void children_reap(struct session *s);

/* Write "n" bytes to standard output or error, or read as many, as far as the
 * pipe lets. */
void children_write(bool error, size_t n);
void children_read(size_t n);

#endif
