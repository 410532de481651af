/*
 * reload.c - the configuration and certificates that are in force, and how
 * they are replaced.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/date.h"
#include "common/base/log.h"
#include "common/base/pollset.h"
#include "common/base/retry.h"
#include "common/tls/tls.h"
#include "daemon/record/audit.h"
#include "daemon/conf/settings.h"
#include "daemon/conf/files.h"
#include "daemon/certwatch.h"
#include "daemon/notify.h"
#include "daemon/warnings.h"
#include "daemon/reload.h"

/* Room for the reason of a failure. */
#define WHY_MAX		512

/*
 * What was to be put in force and could not be.  It may be good a second later
 * without a change: its date comes, the clock is set, there is memory again.
 * So it is tried until it is used or replaced.
 */
struct pending {
	struct retry retry;	/* Its pause is 0 where there is nothing. */
	int64_t since;		/* Seconds since 1970. */
	struct settings_hope hope;
	char why[WHY_MAX];
};

struct reload {
	const char *config;
	struct settings *settings;
	struct tls_context *context;
	struct settings *old_settings;	/* NULL: they stay the same. */
	struct tls_context *old_context;
	struct certwatch *certwatch;
	struct pending files;		/* Renewed files not in force, */
	struct pending reload;		/* and a reload that was requested. */
	struct notify *notify;
	bool requested;
	bool stopping;
	/* For the record of what has been put in force. */
	char changes[SETTINGS_CHANGES_MAX];
	const char *text;
};

/* --- what could not be put in force -------------------------------------- */

/* There is nothing to be tried, any more. */
static void
pending_clear(struct pending *p)
{
	memset(p, 0, sizeof *p);
	retry_stop(&p->retry);
}

/* It could not be put in force.  Returns whether that is news: a try that fails
 * as the one before is none. */
static bool
pending_failed(struct pending *p, const struct settings_hope *hope,
    const char *why)
{
	int64_t now = date_now();
	bool news = p->retry.pause == 0;

	if (news)
		p->since = now;
	else if (hope->when > now || !hope->may_pass)
		/* Is it another reason than the last one? */
		news = hope->when != p->hope.when ||
		    hope->may_pass != p->hope.may_pass;
	p->hope = *hope;
	/* That second has come, and it did not help. */
	if (p->hope.when <= now)
		p->hope.when = 0;
	retry_later(&p->retry);
	(void)snprintf(p->why, sizeof p->why, "%s", why);
	return news;
}

/* The second of the calendar at which to try again, or CERTWATCH_NEVER. */
static int64_t
pending_second(const struct pending *p)
{
	return p->hope.when != 0 ? p->hope.when : CERTWATCH_NEVER;
}

/* Is it time to try again? */
static bool
pending_is_due(const struct pending *p)
{
	return clock_past(p->retry.next) || pending_second(p) <= date_now();
}

/* For people, where there is something: "; WHAT since DATE: WHY", else "". */
static void
pending_describe(const struct pending *p, const char *what, char *out,
    size_t size)
{
	char date[DATE_TEXT_MAX];

	*out = '\0';
	if (p->retry.pause != 0)
		(void)snprintf(out, size, "; %s since %s: %s", what,
		    date_words(p->since, date), p->why);
}

/* --- what is in force ----------------------------------------------------- */

struct reload *
reload_new(const char *config, struct settings *settings,
    struct tls_context *context, struct notify *notify)
{
	struct reload *r = calloc(1, sizeof *r);

	if (r == NULL) {
		log_error("cannot serve: out of memory");
		tls_context_free(context);
		settings_free(settings);
		return NULL;
	}
	r->config = config;
	r->settings = settings;
	r->context = context;
	r->notify = notify;
	pending_clear(&r->files);
	pending_clear(&r->reload);
	if ((r->certwatch = certwatch_new()) == NULL) {
		reload_free(r);
		return NULL;
	}
	certwatch_mark(r->certwatch, settings);
	return r;
}

void
reload_free(struct reload *r)
{
	if (r == NULL)
		return;
	certwatch_free(r->certwatch);
	tls_context_free(r->context);
	settings_free(r->settings);
	free(r);
}

void
reload_warn(struct reload *r)
{
	certwatch_configure(r->certwatch, r->settings, r->context);
}

struct settings *
reload_settings(const struct reload *r)
{
	return r->settings;
}

struct tls_context *
reload_context(const struct reload *r)
{
	return r->context;
}

void
reload_request(struct reload *r)
{
	r->requested = true;
}

void
reload_stop(struct reload *r)
{
	r->stopping = true;
}

/* The new files or settings cannot be used.  What was said of it meanwhile is
 * shown, unless it is tried "again" and the reason is that of before. */
static void
note_failure(struct pending *p, const struct settings_hope *hope,
    const char *why, bool again, const char *changes, const char *text)
{
	bool show = pending_failed(p, hope, why) || !again;

	log_release(show);
	if (show)
		audit_reload(false, changes, text);
}

/* Put "context" in force, and "settings" if they are others than now. */
static void
put_in_force(struct reload *r, struct settings *settings,
    struct tls_context *context, const char *text)
{
	(void)settings_changes(r->settings, settings,
	    certwatch_changes(r->certwatch), r->changes, sizeof r->changes);
	r->text = text;
	pending_clear(&r->files);
	r->old_context = r->context;
	r->context = context;
	if (settings != r->settings) {
		pending_clear(&r->reload);
		r->old_settings = r->settings;
		r->settings = settings;
	}
	certwatch_configure(r->certwatch, settings, context);
}

void
reload_done(struct reload *r)
{
	audit_reload(true, r->changes, r->text);
	if (r->old_settings != NULL)
		notify_state(r->notify, "READY=1");
	tls_context_free(r->old_context);
	settings_free(r->old_settings);
	r->old_context = NULL;
	r->old_settings = NULL;
}

/* Read files that were renewed; "again": that could not be used before.
 * Whether they are in force. */
static bool
read_files(struct reload *r, bool again)
{
	struct settings_hope hope;
	struct tls_context *context;
	char why[WHY_MAX];

	certwatch_mark(r->certwatch, r->settings);
	log_hold(why, sizeof why);
	context = files_load(r->settings, true, &hope);
	if (context != NULL) {
		log_release(true);
		put_in_force(r, r->settings, context, again ?
		    "the certificate files that could not be used before have "
		    "been read" :
		    "certificate files have changed, and have been read");
		return true;
	}
	(void)settings_changes(r->settings, r->settings,
	    certwatch_changes(r->certwatch), r->changes, sizeof r->changes);
	certwatch_unused(r->certwatch);
	if (!again)
		pending_clear(&r->files);
	note_failure(&r->files, &hope, why, again, r->changes, "certificate "
	    "files have changed, and cannot be used; the old ones stay in "
	    "force, and the new ones are tried again until they can");
	return false;
}

/*
 * Read the configuration and its files.  NULL, or the settings with their
 * "context".  A failure that may pass, or is one of files that may be replaced,
 * is noted, to be tried "again".
 */
static struct settings *
read_configuration(struct reload *r, struct tls_context **context, bool again)
{
	struct settings_hope hope;
	struct settings *settings;
	char why[WHY_MAX];
	bool may_pass;

	log_hold(why, sizeof why);
	settings = settings_reload(r->config, r->settings, &hope);
	if (settings != NULL) {
		certwatch_mark(r->certwatch, settings);
		*context = files_load(settings, true, &hope);
	}
	if (settings != NULL && *context != NULL) {
		log_release(true);
		return settings;
	}
	may_pass = settings != NULL || hope.may_pass;
	settings_free(settings);
	note_failure(&r->reload, &hope, why, again, "", may_pass ?
	    "the new configuration cannot be used; the old one stays in "
	    "force, and the new one is tried again until it can" :
	    "the new configuration cannot be used; the old one stays in "
	    "force");
	if (!may_pass)
		pending_clear(&r->reload);
	return NULL;
}

/* Read everything, as it was requested, or "again".  Whether it is in force. */
static bool
read_all(struct reload *r, bool again)
{
	struct settings *settings;
	struct tls_context *context;

	if (!again)
		pending_clear(&r->reload);
	settings = read_configuration(r, &context, again);
	if (settings == NULL && again)
		return false;
	notify_state(r->notify, "RELOADING=1\nMONOTONIC_USEC=%lld",
	    (long long)clock_now_us());
	if (settings == NULL) {
		notify_state(r->notify, "READY=1");
		return false;
	}
	(void)warnings_log(settings, context);
	put_in_force(r, settings, context,
	    "the configuration has been read again");
	return true;
}

enum reload_news
reload_dispatch(struct reload *r, const struct pollset *ps)
{
	int found = certwatch_dispatch(r->certwatch, ps);
	bool done = false;

	if (r->stopping)
		return RELOAD_NOTHING;
	if (r->requested) {
		r->requested = false;
		done = read_all(r, false);
	} else if ((found & CERTWATCH_FILES) != 0)
		done = read_files(r, false);
	else if (pending_is_due(&r->files))
		done = read_files(r, true);
	else if (pending_is_due(&r->reload))
		done = read_all(r, true);
	if (done)
		return RELOAD_NEW;
	return (found & CERTWATCH_ALARM) != 0 ? RELOAD_VERIFY :
	    RELOAD_NOTHING;
}

void
reload_poll(struct reload *r, struct pollset *ps, int64_t second)
{
	if (r->stopping) {
		certwatch_poll(r->certwatch, ps, CERTWATCH_NEVER);
		return;
	}
	if (pending_second(&r->files) < second)
		second = pending_second(&r->files);
	if (pending_second(&r->reload) < second)
		second = pending_second(&r->reload);
	certwatch_poll(r->certwatch, ps, second);
	pollset_deadline(ps, r->files.retry.next);
	pollset_deadline(ps, r->reload.retry.next);
}

void
reload_describe(const struct reload *r, char *out, size_t size)
{
	size_t used;

	pending_describe(&r->files, "the renewed certificate files are not "
	    "used", out, size);
	used = strlen(out);
	pending_describe(&r->reload, "a reload has not been done", out + used,
	    size - used);
	used = strlen(out);
	certwatch_describe(r->certwatch, out + used, size - used);
}
