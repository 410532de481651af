/*
 * environ.h - the environment of a command, built from nothing.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_ENVIRON_H
#define AIS_ENVIRON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct body;
struct tls_identity;

/*
 * Is "variable" of the form NAME=VALUE, with a NAME of letters, digits and
 * "_", no digit first?  Then copies its name, at most 255 bytes, to "name".
 */
bool environ_name(const char *variable, char name[256]);

/* Is it the server alone that sets "name", AIS_* or SSH_ORIGINAL_COMMAND? */
bool environ_is_ours(const char *name);

/* The first of "variables" that is one of these, or NULL. */
const char *environ_find_ours(char *const *variables);

/*
 * May a client set "name", where a rule accepts "patterns"?  What the loader,
 * the shells, systemd and AIS itself read is never granted by a pattern with
 * "*"; all can be granted by their full name, but those that are ours.
 */
bool environ_is_accepted(const char *name, const char *const *patterns);

/*
 * May a client give "name" the value "value"?  A locale, a terminal and a time
 * zone are names of files that libraries open, and gettext(3) prints through
 * formats that it finds there: they have to stay names, and no paths.
 */
bool environ_value_is_accepted(const char *name, const char *value);

/* What the variables say that the server sets by itself. */
struct environ_facts {
	char *const *path;	/* Directories, for PATH. */
	const char *home;	/* Of the command user, */
	const char *user;	/* and its name. */
	const char *shell;
	const char *session;
	uint32_t request;
	const struct tls_identity *identity;	/* Of the peer, */
	const char *address;			/* and where it is. */
	char *original;		/* Of environ_original(), or NULL. */
};

/* These variables, NULL terminated; list and strings come from "a", but for
 * "original".  NULL if memory is out. */
char **environ_own(const struct environ_facts *facts, struct arena *a);

/*
 * SSH_ORIGINAL_COMMAND=VALUE, with what a client has asked for, as sshd(8)
 * gives it to a forced command: its line as it is; or its words, which sshd
 * does not know, so that a shell would give them back.  There is one word at
 * least.  It comes from "a"; NULL if memory is out.
 */
char *environ_original(const struct body *asked, struct arena *a);

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
