/*
 * start.h - what a start and the check of one share.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_START_H
#define AIS_START_H

#include <stddef.h>

struct settings;
struct settings_hope;

/* Exit codes, as the LSB has them for services. */
enum {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_WARNINGS = 3,
	EXIT_PRIVILEGE = 4,
	EXIT_CONFIG = 6,
	EXIT_DRAINED = 7
};

/* sysexits(3), EX_TEMPFAIL: what may pass by itself. */
#define EXIT_TEMPORARY	75

/* What to exit with after a failure of the configuration or its files. */
int start_failure(const struct settings_hope *hope);

/* The same after one of the log, as errno says. */
int start_log_failure(void);

/* How many files can be open at once by "s": clients, the places where we
 * listen, and what the daemon has beside. */
size_t start_files(const struct settings *s);

/*
 * Listen on each address that "listen" means, once; on "port", unless that is
 * NULL, in the place of every port.  "*count" descriptors go to "fds", with
 * room for SERVER_LISTENERS_MAX.  Returns EXIT_DONE, or what to exit with after
 * a message: EXIT_CONFIG where one address is part of another, and else
 * EXIT_TEMPORARY, since a port may become free, and an address come up.
 */
int start_listen(const struct settings *s, const char *port, int *fds,
    size_t *count);

/* Could start_listen() do so?  Nothing listens, and a port that is in use is
 * good: a daemon may run.  Returns the same, after a message for each. */
int start_check_listen(const struct settings *s, const char *port);

/* Warn where every command runs as root.  A configuration can be good that does
 * it, in a container or for a try. */
void start_warn(const struct settings *s);

/* Become the user of "s" for good, or stay who we are where it says so.  0, or
 * -1 after a message. */
int start_drop(const struct settings *s);

#endif
