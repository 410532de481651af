/*
 * proxy.h - a connection that a command of the user's carries.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_PROXY_H
#define AIS_PROXY_H

#include <sys/types.h>

#include "common/base/failure.h"

/* What a proxy_command may have in a word, for people. */
#define PROXY_TOKENS	"%h for the host, %p for the port, %% for a %"

/* Can "words" be such a command?  0, or -1 with the reason in "why". */
int proxy_check(char *const *words, struct failure *why);

/*
 * Start the command "words", NULL terminated, and speak through it: what we
 * send it reads from its standard input, and what we receive it writes to its
 * standard output.  In its words PROXY_TOKENS stand for "host" and "port".
 * Returns our end, non-blocking and close-on-exec; when that is shut down for
 * writing, spawn_end() of "*pid" is due.  Or -1 with the reason in "why", and
 * "*pid" unchanged.  The words are good for proxy_check().
 */
int proxy_connect(char *const *words, const char *host, const char *port,
    pid_t *pid, struct failure *why);

#endif
