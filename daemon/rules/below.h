/*
 * below.h - an argument that is the path of something below a directory.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_BELOW_H
#define AIS_BELOW_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/exec/child.h"

struct arena;

/* Is "path", as it is written, below "directory", which is absolute, or that
 * itself?  Links are looked at when the program starts. */
bool below_has(const char *directory, const char *path);

/* A word with a path that below_has() is true for. */
struct below {
	const char *directory;
	enum child_pin pin;
	char *word;
	size_t skip;		/* The path comes after so many bytes. */
};

/*
 * Add the path to "plan", which has room for it, and set "*result", in argv,
 * to the word for the program.  0, or -1 if memory is out; it comes from "a".
 */
int below_plan(struct child_plan *plan, const struct below *b,
    struct arena *a, char **result);

#endif
