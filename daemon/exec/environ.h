/*
 * environ.h - the environment of a command, built from nothing.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_ENVIRON_H
#define AIS_ENVIRON_H

#include <stdbool.h>
#include <stddef.h>

struct arena;

/*
 * Is "variable" of the form NAME=VALUE, with a NAME of letters, digits and
 * "_", no digit first?  Then copies its name, at most 255 bytes, to "name".
 */
bool environ_name(const char *variable, char name[256]);

/*
 * May a client set "name", where a rule accepts "patterns"?  What the loader,
 * the shells, systemd and AIS itself read is never granted by a pattern with
 * "*"; all but AIS_* can be granted by its full name.
 */
bool environ_is_accepted(const char *name, const char *const *patterns);

/*
 * May a client give "name" the value "value"?  A locale, a terminal and a time
 * zone are names of files that libraries open, and gettext(3) prints through
 * formats that it finds there: they have to stay names, and no paths.
 */
bool environ_value_is_accepted(const char *name, const char *value);

/* Lists of NAME=VALUE, put together in this order; a later one wins.  Each
 * may be NULL. */
struct environ_lists {
	char *const *own;
	char *const *set;
	char *const *asked;
};

/* All of them, NULL terminated, each name once.  The list comes from "a",
 * the strings are borrowed.  NULL if memory is out. */
char **environ_build(const struct environ_lists *lists, struct arena *a);

#endif
