/*
 * certwatch.c - renewed files, and certificates and lists that expire.
 *
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/conf/conf.h"
#include "common/base/date.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/pollset.h"
#include "common/base/text.h"
#include "common/tls/tls.h"
#include "daemon/record/audit.h"
#include "daemon/conf/settings.h"
#include "daemon/certwatch.h"

#define DAY		86400
/* Files that have changed must look the same for so long before they are
 * read: a certificate and its key are not renewed in one step. */
#define SETTLE_TIME	2000
/* The clock that is set by more than so many seconds is worth a record.  What
 * keeps the time right sets it by less, except when a machine starts. */
#define JUMP		60
/* The timer is always armed: it also reports a clock that was set. */
#define FAR		(sizeof(time_t) > 4 ? INT64_C(253402300799) : INT32_MAX)
/* time(2) may lag behind the clock that wakes us by one tick. */
#define TICK		(20 * 1000 * 1000)

/* No warning comes before the last fifth of a term: a list that is renewed each
 * day, or a certificate each month, needs none. */
#define SHARE		5

struct term {
	struct tls_term what;
	int64_t warned;		/* Seconds left at the last warning. */
	int64_t warned_at;
};

#define NOT_YET		INT64_MAX

/* How the files of TLS look. */
struct looks {
	uint64_t hash[SETTINGS_FILES];
};

struct certwatch {
	const struct settings *settings;
	const struct tls_context *context;
	struct term *terms;
	size_t count;
	int64_t next;		/* When the next warning is due. */
	int64_t begins;		/* When a later list comes into use; 0. */
	int timer;
	size_t slot;
	int64_t armed;		/* The timer's second. */
	int64_t alarmed;	/* When it last went off. */
	int64_t ahead;		/* The clock, by date_ahead(). */
	struct looks used;	/* How the files look that are in force, */
	struct looks tried;	/* those that were tried last, */
	struct looks read;	/* those that are being read, */
	struct looks seen;	/* and the files at the last look. */
	unsigned changes;	/* What is read and not in force; a bit each. */
	int64_t next_look;	/* A deadline of common/base/clock. */
};

/* --- files --------------------------------------------------------------- */

static void
mix(uint64_t *hash, const void *data, size_t size)
{
	const uint8_t *p = data;

	/* FNV-1a. */
	while (size-- > 0)
		*hash = (*hash ^ *p++) * UINT64_C(0x100000001b3);
}

static void
mix_number(uint64_t *hash, int64_t number)
{
	uint8_t bytes[8];

	store_u64(bytes, (uint64_t)number);
	mix(hash, bytes, sizeof bytes);
}

/* Links are followed: the file at the end counts, and its age. */
static void
mix_file(uint64_t *hash, int directory, const char *name, struct stat *st)
{
	if (fstatat(directory, name, st, 0) == -1)
		memset(st, 0, sizeof *st);
	mix_number(hash, (int64_t)st->st_dev);
	mix_number(hash, (int64_t)st->st_ino);
	mix_number(hash, (int64_t)st->st_size);
	mix_number(hash, (int64_t)st->st_mtim.tv_sec);
	mix_number(hash, (int64_t)st->st_mtim.tv_nsec);
	mix_number(hash, (int64_t)st->st_ctim.tv_sec);
	mix_number(hash, (int64_t)st->st_ctim.tv_nsec);
}

/* The files of a directory, in any order. */
static void
mix_directory(uint64_t *hash, const char *path)
{
	DIR *d = opendir(path);
	struct dirent *entry;
	struct stat st;
	uint64_t sum = 0, one;

	if (d == NULL)
		return;
	while ((entry = readdir(d)) != NULL) {
		/* The directory itself counts already, and its parent not. */
		if (entry->d_name[0] == '.')
			continue;
		one = *hash;
		mix(&one, entry->d_name, strlen(entry->d_name));
		mix_file(&one, dirfd(d), entry->d_name, &st);
		sum += one;
	}
	(void)closedir(d);
	mix(hash, &sum, sizeof sum);
}

/* How the files look now. */
static struct looks
look_at_files(const struct settings *s)
{
	char *const *files = s->files;
	struct looks now;
	struct stat st;

	for (size_t i = 0; i < SETTINGS_FILES; i++) {
		now.hash[i] = UINT64_C(0xcbf29ce484222325);
		if (files[i] == NULL)
			continue;
		mix_file(&now.hash[i], AT_FDCWD, files[i], &st);
		if (S_ISDIR(st.st_mode))
			mix_directory(&now.hash[i], files[i]);
	}
	return now;
}

/* Which files differ, a bit each. */
static unsigned
compare(const struct looks *a, const struct looks *b)
{
	unsigned bits = 0;

	for (unsigned i = 0; i < SETTINGS_FILES; i++)
		bits |= (unsigned)(a->hash[i] != b->hash[i]) << i;
	return bits;
}

void
certwatch_mark(struct certwatch *w, const struct settings *settings)
{
	w->read = look_at_files(settings);
	w->changes = compare(&w->read, &w->used);
}

void
certwatch_unused(struct certwatch *w)
{
	w->tried = w->read;
}

unsigned
certwatch_changes(const struct certwatch *w)
{
	return w->changes;
}

/* Have the files changed since they were tried, and settled? */
static bool
have_changed(struct certwatch *w)
{
	struct looks now = look_at_files(w->settings), before = w->seen;
	unsigned changes = compare(&now, &w->tried);

	w->seen = now;
	w->next_look = clock_in(changes == 0 ||
	    w->settings->watch_interval < SETTLE_TIME ?
	    w->settings->watch_interval : SETTLE_TIME);
	return changes != 0 && compare(&now, &before) == 0;
}

/* --- what expires -------------------------------------------------------- */

/* How many seconds before its end the first warning of a term is due. */
static int64_t
lead(const struct certwatch *w, const struct tls_term *t)
{
	int64_t days = w->settings->expiry_warning * DAY;
	int64_t share = (t->ends - t->begins) / SHARE;

	return share < 0 ? 0 : share < days ? share : days;
}

/*
 * How many seconds before the end the next warning after "warned" is due: the
 * first one, then with 14, 7 and 1 days left, and at the end.  -1: none.
 */
static int64_t
next_warning(const struct certwatch *w, const struct term *t)
{
	int64_t left[] = { lead(w, &t->what), 14 * DAY, 7 * DAY, DAY, 0 };

	for (size_t k = 0; k < 5; k++) {
		if (left[k] <= left[0] && left[k] < t->warned)
			return left[k];
	}
	return -1;
}

/* The second at which the next warning of a term is due.  An overdue list locks
 * clients out, so it has its warnings even where they are off. */
static int64_t
next_second(const struct certwatch *w, const struct term *t)
{
	int64_t left = next_warning(w, t);

	if (t->what.ends == 0 || (t->what.kind != TLS_TERM_LIST &&
	    w->settings->expiry_warning == 0))
		return CERTWATCH_NEVER;
	return left == -1 ? t->warned_at + DAY : t->what.ends - left;
}

/* "the certificate expires in 6 days". */
static void
describe(const struct tls_term *t, int64_t now, char *out, size_t size)
{
	static const char *const kinds[] = { "certificate",
	    "intermediate certificate", "authority's certificate",
	    "revocation list of" };
	bool named = t->kind == TLS_TERM_INTERMEDIATE ||
	    t->kind == TLS_TERM_LIST;
	int64_t left = t->ends - now, days = left / DAY;
	char count[TEXT_COUNT_MAX];

	(void)snprintf(out, size, "the %s%s%.128s%s %s%s", kinds[t->kind],
	    named ? " \"" : "", named ? t->name : "", named ? "\"" : "",
	    left <= 0 ? "has expired" : left < DAY ? "expires within a day" :
	    "expires in ", left < DAY ? "" : text_count(count, (double)days,
	    "day"));
}

/* Which clients an overdue list locks out, and from when on. */
static void
describe_locked_out(const struct settings *s, const struct tls_term *t,
    int64_t now, char *out, size_t size)
{
	const char *when = t->ends <= now ? "until then" :
	    "once it has expired";

	*out = '\0';
	if (t->kind != TLS_TERM_LIST)
		return;
	if (s->crl_expired == SETTINGS_CRL_WARNING)
		(void)snprintf(out, size, "; %s the old one is used", when);
	else
		(void)snprintf(out, size, "; %s every client whose certificate "
		    "comes from \"%.128s\", or from an authority below it, is "
		    "refused", when, t->name);
}

/* The key that names that file. */
static const char *
key_of(const struct tls_term *t)
{
	return t->kind == TLS_TERM_LIST ? "crl" : t->kind ==
	    TLS_TERM_AUTHORITY ? "authority" : "certificate";
}

static const char *
file_of(const struct settings *s, const struct tls_term *t)
{
	return t->kind == TLS_TERM_LIST ? t->file :
	    s->named[t->kind == TLS_TERM_AUTHORITY ? SETTINGS_AUTHORITY :
	    SETTINGS_CERTIFICATE];
}

/* How a term stands, and what to do. */
static void
explain(const struct settings *s, const struct tls_term *t, int64_t now,
    char out[LOG_TEXT_MAX])
{
	static const char *const advice[] = { "renew it",
	    "renew it, and put it after the server's own",
	    "make a new one, and give it to all servers and clients",
	    "make a new one" };
	char what[256], locked_out[256];

	describe(t, now, what, sizeof what);
	describe_locked_out(s, t, now, locked_out, sizeof locked_out);
	(void)snprintf(out, LOG_TEXT_MAX, "%s: %s, of the file %.600s%s", what,
	    advice[t->kind], file_of(s, t), locked_out);
}

/* Put a warning of a term on record, if one is due. */
static void
warn_of_term(const struct certwatch *w, struct term *t, int64_t now)
{
	const struct settings *s = w->settings;
	char text[LOG_TEXT_MAX];
	int64_t left;

	if (next_second(w, t) > now)
		return;
	while ((left = next_warning(w, t)) != -1 && t->what.ends - left <= now)
		t->warned = left;
	t->warned_at = now;
	explain(s, &t->what, now, text);
	audit_expiry(file_of(s, &t->what), t->what.ends, t->what.ends <= now &&
	    !(t->what.kind == TLS_TERM_LIST &&
	    s->crl_expired == SETTINGS_CRL_WARNING), text);
}

static void
warn_all(struct certwatch *w)
{
	int64_t now = date_now(), second;

	w->next = CERTWATCH_NEVER;
	for (size_t i = 0; i < w->count; i++) {
		warn_of_term(w, &w->terms[i], now);
		second = next_second(w, &w->terms[i]);
		if (second < w->next)
			w->next = second;
	}
}

/* Keep the warnings that were given of the same term.  An overdue list is new
 * with each reading of the files: its warning comes again. */
static void
remember(const struct certwatch *w, struct term *t)
{
	const struct tls_term *what = &t->what;

	t->warned = NOT_YET;
	if (what->kind == TLS_TERM_LIST && what->ends <= date_now())
		return;
	for (size_t i = 0; i < w->count; i++) {
		const struct term *old = &w->terms[i];

		if (old->what.kind == what->kind &&
		    old->what.ends == what->ends &&
		    strcmp(old->what.name, what->name) == 0) {
			t->warned = old->warned;
			t->warned_at = old->warned_at;
			return;
		}
	}
}

/* Watch the terms of "context".  -1 after a message: none is watched. */
static int
take_terms(struct certwatch *w, const struct tls_context *context)
{
	size_t count;
	struct tls_term *found = tls_context_terms(context, &count);
	struct term *terms = calloc(count + 1, sizeof *terms);

	if (found == NULL || terms == NULL) {
		log_error("cannot watch what expires: out of memory; reload "
		    "to try again");
		count = 0;
	}
	for (size_t i = 0; i < count; i++) {
		terms[i].what = found[i];
		remember(w, &terms[i]);
	}
	free(found);
	free(w->terms);
	w->terms = terms;
	w->count = count;
	w->begins = tls_context_crl_begins(context);
	return count == 0 ? -1 : 0;
}

void
certwatch_configure(struct certwatch *w, const struct settings *settings,
    const struct tls_context *context)
{
	w->settings = settings;
	w->context = context;
	w->used = w->tried = w->seen = w->read;
	(void)take_terms(w, context);
	w->next_look = clock_in(settings->watch_interval);
	warn_all(w);
}

/* Is the term about to end? */
static bool
is_near(const struct certwatch *w, const struct term *t, int64_t now)
{
	return next_second(w, t) != CERTWATCH_NEVER &&
	    t->what.ends - lead(w, &t->what) <= now;
}

void
certwatch_describe(const struct certwatch *w, char *out, size_t size)
{
	int64_t now = date_now();
	size_t used = 0;
	char what[256];

	*out = '\0';
	for (size_t i = 0; i < w->count && used < size; i++) {
		if (!is_near(w, &w->terms[i], now))
			continue;
		describe(&w->terms[i].what, now, what, sizeof what);
		used += (size_t)snprintf(out + used, size - used, "; %s",
		    what);
	}
}

int
certwatch_warn(FILE *out, const struct settings *settings,
    const struct tls_context *context)
{
	struct certwatch w = { .settings = settings };
	int64_t now = date_now();
	char text[LOG_TEXT_MAX];
	int n = take_terms(&w, context) == 0 ? 0 : 1;

	for (size_t i = 0; i < w.count; i++) {
		if (!is_near(&w, &w.terms[i], now))
			continue;
		explain(settings, &w.terms[i].what, now, text);
		n += conf_warning(out, settings_where(settings,
		    key_of(&w.terms[i].what)), "%s", text);
	}
	free(w.terms);
	return n;
}

int
certwatch_may_start(const struct settings *settings,
    const struct tls_context *context)
{
	struct certwatch w = { .settings = settings };
	int64_t now = date_now();
	int result = take_terms(&w, context);
	struct failure why;
	char what[256];

	for (size_t i = 0; i < w.count &&
	    settings->crl_expired == SETTINGS_CRL_ERROR; i++) {
		const struct tls_term *t = &w.terms[i].what;

		if (t->kind != TLS_TERM_LIST || t->ends == 0 || t->ends > now)
			continue;
		describe(t, now, what, sizeof what);
		failure_set(&why, 0, "%s", what);
		failure_about(&why, "crl");
		failure_hint(&why, "make a new one, of the file %s, or set "
		    "\"crl_expired\" to \"warning\" to go on with the old one",
		    t->file);
		(void)conf_failure(settings_where(settings, "crl"), &why);
		result = -1;
	}
	free(w.terms);
	return result;
}

/* --- the timer ----------------------------------------------------------- */

struct certwatch *
certwatch_new(void)
{
	struct certwatch *w = calloc(1, sizeof *w);

	if (w != NULL && (w->timer = timerfd_create(CLOCK_REALTIME,
	    TFD_NONBLOCK | TFD_CLOEXEC)) != -1) {
		w->slot = POLLSET_NONE;
		(void)date_ahead(&w->ahead);
		return w;
	}
	log_errno("cannot make a timer");
	free(w);
	return NULL;
}

void
certwatch_free(struct certwatch *w)
{
	if (w == NULL)
		return;
	fd_close(&w->timer);
	free(w->terms);
	free(w);
}

/*
 * Let the timer end at "second".  If that was due at the last alarm already, it
 * comes again a second later at the earliest: where others see the same second
 * as still ahead, the loop must not spin.
 */
static void
arm(struct certwatch *w, int64_t second)
{
	struct itimerspec t;

	if (second <= w->alarmed && w->alarmed <= date_now())
		second = w->alarmed + 1;
	if (second > FAR)
		second = FAR;
	if (w->armed == second)
		return;
	memset(&t, 0, sizeof t);
	t.it_value.tv_sec = (time_t)(second > 0 ? second : 1);
	t.it_value.tv_nsec = TICK;
	if (timerfd_settime(w->timer, TFD_TIMER_ABSTIME |
	    TFD_TIMER_CANCEL_ON_SET, &t, NULL) == -1 && errno != ECANCELED)
		log_errno("cannot set a timer");
	w->armed = second;
}

void
certwatch_poll(struct certwatch *w, struct pollset *ps, int64_t second)
{
	if (w->next < second)
		second = w->next;
	if (w->begins != 0 && w->begins < second)
		second = w->begins;
	arm(w, second);
	w->slot = pollset_add(ps, w->timer, POLLIN);
	if (w->settings->watch_interval > 0)
		pollset_deadline(ps, w->next_look);
}

/* Was the clock set by more than JUMP since the last call?  The kernel wakes us
 * when it is set, without saying by how much. */
static bool
has_jumped(struct certwatch *w)
{
	int64_t before = w->ahead, by;

	/* Without an answer there is no jump; the next call asks again. */
	(void)date_ahead(&w->ahead);
	by = w->ahead - before;
	if (by >= -JUMP && by <= JUMP)
		return false;
	audit_clock_jump(by, date_now() - by);
	return true;
}

int
certwatch_dispatch(struct certwatch *w, const struct pollset *ps)
{
	uint64_t times;
	int found = 0;

	if (has_jumped(w) || pollset_events(ps, w->slot) != 0) {
		/* ECANCELED: the clock was set, and the timer is off. */
		(void)!read(w->timer, &times, sizeof times);
		w->armed = 0;
		w->alarmed = date_now();
		if (w->begins != 0 && w->begins <= w->alarmed)
			(void)take_terms(w, w->context);
		warn_all(w);
		found |= CERTWATCH_ALARM;
	}
	if (w->settings->watch_interval > 0 && clock_past(w->next_look) &&
	    have_changed(w))
		found |= CERTWATCH_FILES;
	return found;
}
