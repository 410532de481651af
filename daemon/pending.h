/*
 * pending.h - what was to be put in force and could not be: since when, why,
 * and when to try it again.
 *
 * A file that cannot be used now may be good a second later without a change:
 * its date comes, the clock is set, there is memory again.  So it is tried
 * until it is used or replaced.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_PENDING_H
#define AIS_PENDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/retry.h"
#include "daemon/conf/settings.h"

struct pollset;

/* Room for the reason. */
#define PENDING_WHY_MAX	512

struct pending {
	bool open;
	int64_t since;		/* Seconds since 1970. */
	struct settings_hope hope;
	struct retry retry;
	char why[PENDING_WHY_MAX];
};

/* There is nothing to be tried, any more. */
void pending_clear(struct pending *p);

/*
 * It could not be put in force, because of "why".  Returns whether that is
 * news: a try that fails as the one before is none.
 */
bool pending_failed(struct pending *p, const struct settings_hope *hope,
    const char *why);

/* The second of the calendar at which to try again, or CERTWATCH_NEVER; and the
 * same by the pauses of retry.h, for this turn. */
int64_t pending_second(const struct pending *p);
void pending_poll(const struct pending *p, struct pollset *ps);

/* Is it time to try again? */
bool pending_is_due(const struct pending *p);

/* For people, where there is something: "; WHAT since DATE: WHY", else "". */
void pending_describe(const struct pending *p, const char *what, char *out,
    size_t size);

#endif
