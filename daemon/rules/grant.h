/*
 * grant.h - one command that a rule grants: its program, its fixed words, and
 * the slots that clients may fill.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_GRANT_H
#define AIS_GRANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "daemon/exec/child.h"
#include "daemon/exec/exec-options.h"

struct account;
struct arena;
struct slot;

struct grant {
	char *name;		/* What clients call it. */
	char *program;		/* Absolute. */
	char *summary;		/* For the list; or NULL. */
	char **log_mask;	/* What is not to be logged; or NULL. */
	bool any_arguments;	/* It was given as a path alone. */
	struct exec_options options;
	struct slot *slots;
	size_t count;
	char *where;		/* FILE:LINE. */
};

/*
 * Read one entry of a rule's list "commands": a group, or a path as "text".
 * "defaults" are the rule's options.  Returns the number of errors, each after
 * a message; grant_free() in either case.
 */
int grant_load(struct grant *g, const struct conf_group *group,
    const char *text, const struct exec_options *defaults);
void grant_free(struct grant *g);

/*
 * Make argv of "plan", and the paths in it, from the client's "words", the
 * first included.  Memory comes from "a".  1; 0 and a sentence in "why" of
 * "size" bytes if they do not fit; -1 if memory is out.
 */
int grant_fit(const struct grant *g, char *const *words, struct arena *a,
    struct child_plan *plan, char *why, size_t size);

/*
 * The argv that the client's words make if its slots take anything: the
 * program, the fixed words that come first, and the client's.  Memory comes
 * from "a"; NULL if it is out.
 */
char **grant_open(const struct grant *g, char *const *words, struct arena *a);

/*
 * The words as they may be logged: those that "log_mask" names are "***".
 * Memory comes from "a"; NULL if it is out.
 */
char **grant_mask(const struct grant *g, char *const *words,
    struct arena *a);

/* Write it in libconfig syntax, two tabs deep. */
void grant_print(FILE *out, const struct grant *g);

/*
 * Look at "program", a path, as it is now and as the user "commands", whose
 * file system ids the caller has; NULL: there is none beside the daemon's.
 * NULL, or a sentence in "why" of "size" bytes: it is missing, cannot be
 * executed, or others can change it.
 */
const char *grant_check_program(const char *program,
    const struct account *commands, char *why, size_t size);

/* The same for the directories of path slots: the first whose way the user
 * can change. */
const char *grant_check_slots(const struct grant *g,
    const struct account *commands, char *why, size_t size);

#endif
