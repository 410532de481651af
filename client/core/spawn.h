/*
 * spawn.h - a program of the user's that helps: it is asked for a passphrase,
 * or carries a connection.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_SPAWN_H
#define AIS_SPAWN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Start "words", NULL terminated, the first of which is looked for in PATH,
 * without a shell.  "in" and "out" become its standard input and output, -1
 * being /dev/null, and its standard error is ours.  Signals are as at the start
 * of a program, but that "deaf" blocks those of the terminal's keys for it.
 * The process, for spawn_end(), or -1 with errno set.
 */
pid_t spawn_start(char *const *words, int in, int out, bool deaf);

/*
 * Wait for its end until "deadline", a time of clock_now(), and kill it then.
 * Its status as waitpid(2) has it, or -1.
 */
int spawn_end(pid_t pid, int64_t deadline);

#endif
