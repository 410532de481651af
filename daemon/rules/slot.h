/*
 * slot.h - one argument of a command: a fixed word, or what clients may give.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_SLOT_H
#define AIS_SLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/conf/conf.h"
#include "daemon/exec/child.h"

/* What a slot takes, by the key that says so; SLOT_FLAG is a flag alone. */
enum slot_kind {
	SLOT_FIXED, SLOT_FLAG, SLOT_ONE_OF, SLOT_MATCH, SLOT_INTEGER,
	SLOT_BELOW, SLOT_ANY
};

struct slot {
	enum slot_kind kind;
	char *fixed;
	char **flag;		/* What comes before the value; or NULL. */
	char **one_of;
	char **match;		/* Patterns, as of pattern_compile(). */
	struct pattern_set *set;
	int64_t min;
	int64_t max;
	char *below;
	bool pinned;
	enum child_pin pin;	/* What "pinned" says, if it is there. */
	bool any;
	bool optional;		/* No word will do. */
	bool repeat;		/* Several words will. */
	bool rest;		/* Both, and it is the last. */
};

/*
 * Read a slot: a group, or a fixed word as "text".  Returns the number of
 * errors, each after a message; slot_free() in either case.
 */
int slot_load(struct slot *s, const struct conf_group *group,
    const char *text);
void slot_free(struct slot *s);

/* Write it in libconfig syntax, four tabs deep. */
void slot_print(FILE *out, const struct slot *s);

/* Are the two the same? */
bool slot_same(const struct slot *a, const struct slot *b);

/* Does the slot take "value", which has no flag? */
bool slot_takes(const struct slot *s, const char *value);

/* Is "word" a flag of the slot?  Its value comes after "*skip" bytes, or in the
 * next word if that is 0. */
bool slot_is_flag(const struct slot *s, const char *word, size_t *skip);

/* A sentence that grows in "out" of "size" bytes; "..." ends what is cut. */
struct slot_text {
	char *out;
	size_t size;
	size_t used;
};

/* Add a text by a format. */
void slot_add(struct slot_text *t, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Add what the slot takes, as in: one of "a", "b".  With its flag, or "value"
 * alone. */
void slot_add_wanted(struct slot_text *t, const struct slot *s, bool value);

/* Add what a user may type for it, as in: [-n 1..9|--lines=1..9]... */
void slot_add_usage(struct slot_text *t, const struct slot *s);

#endif
