/*
 * attempts.c - when a connection that failed is tried again.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include "common/base/clock.h"

#include "client/core/outcome.h"
#include "client/core/settings.h"
#include "client/session/session.h"

#include "client/session/attempts.h"

/* A server may drop a connection before TLS says anything, as it does with some
 * of many that come from one address: how often, and after how many ms, it is
 * tried again.  The time is longer at each. */
#define TRIES		4
#define TRY_AGAIN	100
/* Between the attempts that the user asked for, in ms, as ssh(1) has it. */
#define ATTEMPT_AGAIN	1000

void
attempts_begin(struct attempts *a, const struct settings *settings)
{
	*a = (struct attempts){ .limit = settings->connect_timeout,
	    .left = settings->attempts };
}

int64_t
attempts_deadline(struct attempts *a)
{
	if (a->connected == 0)
		a->connected = clock_in(a->limit > 0 ? a->limit : -1);
	return a->connected;
}

int64_t
attempts_next(struct attempts *a, const struct session *s,
    const struct outcome *o)
{
	int64_t until = clock_in((int64_t)TRY_AGAIN << a->tries);

	if (s->dropped && a->tries < TRIES && until <= a->connected) {
		a->tries++;
		return until;
	}
	if (--a->left <= 0 || !(s->dropped || o->class == OUTCOME_CONNECT ||
	    (o->class == OUTCOME_BUSY && !s->greeting.waits)))
		return CLOCK_NEVER;
	a->tries = 0;
	a->connected = 0;
	return clock_in(o->retry > ATTEMPT_AGAIN ? o->retry : ATTEMPT_AGAIN);
}
