/*
 * grant.h - one command that a rule grants: its program and its arguments.
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
#include "daemon/rules/slots.h"

struct account;
struct arena;

struct grant {
	char *name;		/* What clients call it. */
	char *program;		/* Absolute. */
	char *summary;		/* For the list; or NULL. */
	char **log_mask;	/* What is not to be logged; or NULL. */
	bool is_path;		/* It was given as a path alone. */
	bool original_command;	/* It is for all words, and they go into a
				 * variable. */
	struct exec_options options;
	struct slots slots;	/* Fixed words are inserted where it has a name
				 * of its own; else clients give them. */
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

/* Is it what a client calls "name"?  By a name of its own alone; or, without
 * one, by the path of its program or the last part of that.  One that is for
 * all words is called by each. */
bool grant_is_called(const struct grant *g, const char *name);

/* Complain of a variable of "environment", where "group" sets it, that the
 * server alone sets.  The number of errors. */
int grant_check_environment(const struct exec_options *options,
    const struct conf_group *group);

/* Do "words", by which it is called, fit its arguments?  As slots_fit(). */
bool grant_fits(const struct grant *g, char *const *words,
    struct slots_misfit *m);

/*
 * Replace in "masked", a copy of "words", what "log_mask" names by "***".
 * What is "***" already stays so.  Memory comes from "a"; 0, or -1: it is out.
 */
int grant_mask(const struct grant *g, char *const *words, char **masked,
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

#endif
