/*
 * exec-options.h - how a command runs: directory, environment, limits.
 *
 * The same keys stand at the top level, in a rule and in a command.  Each
 * level begins as a copy of the one above it, and its own keys replace what
 * they name; so the options of a command are resolved when they are loaded.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_EXEC_OPTIONS_H
#define AIS_EXEC_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/conf/conf.h"

/* What a running command is held to; 0 is no limit. */
struct limits {
	int64_t time_limit;	/* Milliseconds. */
	int64_t output_limit;	/* Bytes of both streams. */
	int64_t memory_limit;	/* Bytes of address space, of a process. */
	int64_t cpu_limit;	/* Milliseconds, of a process. */
	int64_t process_limit;	/* Processes of the user. */
	int64_t open_files;	/* Descriptors, of a process. */
	int64_t nice;		/* Added to the daemon's own. */
	int64_t output_wait;	/* Milliseconds; see command.c. */
	int64_t finish;		/* Goes on when the client is lost. */
	int64_t keep;		/* What it leaves behind goes on. */
	bool no_new_privs;
};

struct exec_options {
	struct limits limits;
	bool stdin;
	int64_t umask;
	char *directory;		/* NULL: the home. */
	bool any_directory;		/* Clients may choose another. */
	char **environment;		/* NAME=VALUE to set. */
	char **accept_environment;	/* Patterns: names for clients. */
};

/* The words of two keys; the first is the default. */
extern const char *const exec_on_disconnect[], *const exec_background[];

#define EXEC_YEAR	(366LL * 86400 * 1000)
#define EXEC_PIB	(1LL << 50)

/* The keys, for a table of conf.h, where "at" of struct "type" is a struct
 * exec_options.  offsetof() takes no parentheses. */
/* NOLINTBEGIN(bugprone-macro-parentheses) */
#define EXEC_KEY(type, place, name, kind, min, max) \
	{ #name, kind, offsetof(type, place.name), min, max, NULL }
#define EXEC_OPTIONS_KEYS(type, at) \
	EXEC_KEY(type, at.limits, time_limit, CONF_SECONDS, 0, EXEC_YEAR), \
	EXEC_KEY(type, at.limits, output_limit, CONF_SIZE, 0, EXEC_PIB), \
	EXEC_KEY(type, at.limits, memory_limit, CONF_SIZE, 0, EXEC_PIB), \
	EXEC_KEY(type, at.limits, cpu_limit, CONF_SECONDS, 0, EXEC_YEAR), \
	EXEC_KEY(type, at.limits, process_limit, CONF_INT, 0, 1 << 22), \
	EXEC_KEY(type, at.limits, open_files, CONF_INT, 0, 1 << 20), \
	EXEC_KEY(type, at.limits, nice, CONF_INT, 0, 19), \
	EXEC_KEY(type, at.limits, output_wait, CONF_SECONDS, 0, 3600 * 1000), \
	EXEC_KEY(type, at.limits, no_new_privs, CONF_BOOL, 0, 0), \
	EXEC_KEY(type, at, stdin, CONF_BOOL, 0, 0), \
	EXEC_KEY(type, at, umask, CONF_OCTAL, 0, 0777), \
	EXEC_KEY(type, at, directory, CONF_PATH, 0, 0), \
	EXEC_KEY(type, at, any_directory, CONF_BOOL, 0, 0), \
	EXEC_KEY(type, at, environment, CONF_VARIABLES, 0, 0), \
	EXEC_KEY(type, at, accept_environment, CONF_STRINGS, 0, 0), \
	{ "on_disconnect", CONF_WORD, offsetof(type, at.limits.finish), \
	    0, 0, exec_on_disconnect }, \
	{ "background", CONF_WORD, offsetof(type, at.limits.keep), \
	    0, 0, exec_background }
/* NOLINTEND(bugprone-macro-parentheses) */

/* The defaults.  0, or -1 if memory is out; exec_options_free() in either
 * case. */
int exec_options_init(struct exec_options *t);

/* Make "t" a copy of its own.  0 or -1, as exec_options_init(). */
int exec_options_copy(struct exec_options *t, const struct exec_options *from);

/* Write limits in libconfig syntax, a tab deep: those that a rule can set. */
void limits_print(FILE *out, const struct limits *limits);

/* Free what the options own. */
void exec_options_free(struct exec_options *t);

#endif
