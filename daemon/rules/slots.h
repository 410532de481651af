/*
 * slots.h - the arguments of a command, and which words fit them.
 *
 * Words are matched from left to right, and each goes to the first slot that
 * takes it; nothing is tried again.  So what fits could also be read as the
 * list says, and the time is bounded by the number of words times that of the
 * flags in a row.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_SLOTS_H
#define AIS_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "daemon/rules/slot.h"

struct account;
struct arena;

/* The most groups with "flag" in a row. */
#define SLOTS_FLAGS_MAX	64

/* A list of arguments; all zero at first. */
struct slots {
	struct slot *list;
	size_t count;
	bool inserted;		/* Clients do not give the fixed words. */
};

/* How far words fit, and what would have. */
struct slots_misfit {
	size_t words;		/* How many fit. */
	bool lacking;		/* There is no other; else the next one
				 * does not fit. */
	bool value;		/* It is the value of the flag before it. */
	size_t from, to;	/* Slots that were tried; none if equal. */
	bool optional;		/* It may be left out. */
};

/*
 * Add an entry of the list "arguments": a group, or a fixed word as "text".
 * Returns the number of errors, each after a message; slots_free() in either
 * case.
 */
int slots_add(struct slots *s, const struct conf_group *group,
    const char *text);
void slots_free(struct slots *s);

/* Make an empty list one that takes any words.  0, or -1: memory is out. */
int slots_add_rest(struct slots *s);

/* Write the key "arguments" in libconfig syntax, four tabs deep. */
void slots_print(FILE *out, const struct slots *s);

/* Are all of them fixed words? */
bool slots_are_fixed(const struct slots *s);

/* How many descriptors the paths of the list may need. */
size_t slots_descriptors(const struct slots *s);

/* Does "a" surely take all words that "b" does?  false if that is not known. */
bool slots_cover(const struct slots *a, const struct slots *b);

/* Do the client's "words", without its name for the command, fit?  Else "m"
 * says which does not.  Needs no memory. */
bool slots_fit(const struct slots *s, char *const *words,
    struct slots_misfit *m);

/*
 * The argv of "program" with "words", which fit; and the paths among them, in
 * "plan".  Memory comes from "a"; NULL if it is out.
 */
char **slots_fill(const struct slots *s, char *program, char *const *words,
    struct arena *a, struct child_plan *plan);

/* Does slots_open() put words before the client's, without which they would be
 * another command? */
bool slots_insert(const struct slots *s);

/* The argv that "words" make if the slots take anything: "program", the
 * inserted words that come first, and the client's.  As slots_fill(). */
char **slots_open(const struct slots *s, char *program, char *const *words,
    struct arena *a);

/* What the misfit would have to be, as in "one of \"a\", \"b\"", in "out" of
 * "size" bytes; "..." ends what is cut.  Returns "out". */
const char *slots_wanted(const struct slots *s, const struct slots_misfit *m,
    char *out, size_t size);

/* What a user may type behind the name of the command, as in "(web|db) [-v]",
 * in "out" of "size" bytes; "..." ends what is cut.  Returns "out". */
const char *slots_usage(const struct slots *s, char *out, size_t size);

/*
 * Look at the directories of path slots as the user "commands", whose file
 * system ids the caller has; NULL: there is none beside the daemon's.  NULL, or
 * a sentence in "why" of "size" bytes about the first whose way the user can
 * change.
 */
const char *slots_check(const struct slots *s, const struct account *commands,
    char *why, size_t size);

#endif
