/*
 * commands.h - command after command on one session, from a prompt or from a
 * script.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_COMMANDS_H
#define AIS_COMMANDS_H

#include <stdbool.h>

struct report;
struct request;
struct settings;

/* What is read, and how far. */
struct script {
	const char *file;	/* NULL: standard input. */
	bool stop_on_error;	/* End with the first status that is not 0. */
	bool keep_going;	/* Go on after what the server has refused. */
	struct report *report;	/* Of each command; NULL: none. */
};

/*
 * Read lines from a file or standard input, with a prompt where the latter is
 * a terminal, and run each.  A script ends with the first line that is not run
 * to its end; one that has no line to run asks the server all the same whether
 * it would run any.  Returns what aisc is to exit with: the status of the last
 * one.
 */
int commands_run(const struct settings *settings, const struct script *script,
    struct request *r);

#endif
