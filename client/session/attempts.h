/*
 * attempts.h - when a connection that failed is tried again.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_ATTEMPTS_H
#define AIS_ATTEMPTS_H

#include <stdint.h>

struct outcome;
struct session;
struct settings;

struct attempts {
	int64_t limit;		/* For each, in ms; 0: none. */
	int64_t left;		/* As the user asked for, this one included. */
	int tries;		/* Within this one. */
	int64_t connected;	/* Until when it has to be ready; 0: it has not
				 * begun. */
};

/* Make ready for the first attempt to reach the server of "settings". */
void attempts_begin(struct attempts *a, const struct settings *settings);

/* An attempt begins, or goes on with another try.  When it has to be ready, as
 * a time of clock.h. */
int64_t attempts_deadline(struct attempts *a);

/*
 * It has come to "o".  When to try again, if nothing has begun and that may
 * come to more; CLOCK_NEVER: not at all.
 */
int64_t attempts_next(struct attempts *a, const struct session *s,
    const struct outcome *o);

#endif
