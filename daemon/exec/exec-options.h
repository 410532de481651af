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
	bool no_new_privs;
	bool finish;		/* Goes on when the client is lost. */
	bool keep;		/* What it leaves behind goes on. */
};

struct exec_options {
	struct limits limits;
	bool stdin;
	int64_t umask;
	char *directory;		/* NULL: the home. */
	bool any_directory;		/* Clients may choose another. */
	char **environment;		/* NAME=VALUE to set. */
	char **accept_environment;	/* Patterns: names for clients. */
	char *on_disconnect;		/* "kill" or "finish". */
	char *background;		/* "kill" or "keep". */
};

#define EXEC_OPTIONS_YEAR	(366LL * 86400 * 1000)
#define EXEC_OPTIONS_PIB	(1LL << 50)

/* The keys, for a table of conf.h, where "member" of struct "type" is a
 * struct exec_options.  offsetof() takes no parentheses. */
/* NOLINTBEGIN(bugprone-macro-parentheses) */
#define EXEC_OPTIONS_KEYS(type, member) \
	{ "time_limit", CONF_SECONDS, \
	    offsetof(type, member.limits.time_limit), 0, EXEC_OPTIONS_YEAR }, \
	{ "output_limit", CONF_SIZE, \
	    offsetof(type, member.limits.output_limit), 0, EXEC_OPTIONS_PIB }, \
	{ "memory_limit", CONF_SIZE, \
	    offsetof(type, member.limits.memory_limit), 0, EXEC_OPTIONS_PIB }, \
	{ "cpu_limit", CONF_SECONDS, \
	    offsetof(type, member.limits.cpu_limit), 0, EXEC_OPTIONS_YEAR }, \
	{ "process_limit", CONF_INT, \
	    offsetof(type, member.limits.process_limit), 0, 1 << 22 }, \
	{ "open_files", CONF_INT, \
	    offsetof(type, member.limits.open_files), 0, 1 << 20 }, \
	{ "nice", CONF_INT, offsetof(type, member.limits.nice), 0, 19 }, \
	{ "output_wait", CONF_SECONDS, \
	    offsetof(type, member.limits.output_wait), 0, 3600 * 1000 }, \
	{ "no_new_privs", CONF_BOOL, \
	    offsetof(type, member.limits.no_new_privs), 0, 0 }, \
	{ "stdin", CONF_BOOL, offsetof(type, member.stdin), 0, 0 }, \
	{ "umask", CONF_OCTAL, offsetof(type, member.umask), 0, 0777 }, \
	{ "directory", CONF_PATH, offsetof(type, member.directory), 0, 0 }, \
	{ "any_directory", CONF_BOOL, \
	    offsetof(type, member.any_directory), 0, 0 }, \
	{ "environment", CONF_STRINGS, \
	    offsetof(type, member.environment), 0, 0 }, \
	{ "accept_environment", CONF_STRINGS, \
	    offsetof(type, member.accept_environment), 0, 0 }, \
	{ "on_disconnect", CONF_STRING, \
	    offsetof(type, member.on_disconnect), 0, 0 }, \
	{ "background", CONF_STRING, \
	    offsetof(type, member.background), 0, 0 }
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

/* Check what has been read into "t", and derive from it.  NULL, or the key at
 * fault, and in "*why" what it must be. */
const char *exec_options_check(struct exec_options *t, const char **why);

#endif
