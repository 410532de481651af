/*
 * pending.c - what could not be put in force, and is tried again.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/date.h"
#include "common/base/pollset.h"
#include "daemon/pending.h"
#include "daemon/certwatch.h"

void
pending_clear(struct pending *p)
{
	memset(p, 0, sizeof *p);
	retry_stop(&p->retry);
}

bool
pending_failed(struct pending *p, const struct settings_hope *hope,
    const char *why)
{
	int64_t now = date_now();
	bool news = !p->open;

	if (news) {
		retry_stop(&p->retry);
		p->since = now;
	} else if (hope->when > now || !hope->may_pass)
		/* Is it another reason than the last one? */
		news = hope->when != p->hope.when ||
		    hope->may_pass != p->hope.may_pass;
	p->open = true;
	p->hope = *hope;
	/* That second has come, and it did not help. */
	if (p->hope.when <= now)
		p->hope.when = 0;
	retry_later(&p->retry);
	(void)snprintf(p->why, sizeof p->why, "%s", why);
	return news;
}

int64_t
pending_second(const struct pending *p)
{
	return p->open && p->hope.when != 0 ? p->hope.when : CERTWATCH_NEVER;
}

void
pending_poll(const struct pending *p, struct pollset *ps)
{
	if (p->open)
		pollset_deadline(ps, p->retry.next);
}

bool
pending_is_due(const struct pending *p)
{
	return p->open && (clock_past(p->retry.next) ||
	    pending_second(p) <= date_now());
}

void
pending_describe(const struct pending *p, const char *what, char *out,
    size_t size)
{
	char date[DATE_TEXT_MAX];

	*out = '\0';
	if (p->open)
		(void)snprintf(out, size, "; %s since %s: %s", what,
		    date_words(p->since, date), p->why);
}
