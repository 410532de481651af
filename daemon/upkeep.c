#include <config.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/pollset.h"
#include "common/tls.h"
#include "daemon/audit.h"
#include "daemon/settings.h"
#include "daemon/upkeep.h"

#define DAY		86400
/* Files that have changed must look the same for so long before they are
 * read: a certificate and its key are not renewed in one step. */
#define SETTLE_TIME	2000
/* time(2) may lag behind the clock that wakes us by one tick. */
#define TICK		(20 * 1000 * 1000)

/* What can run out. */
enum { CERTIFICATE, AUTHORITY, LIST, TERMS };

struct term {
	int64_t ends;		/* 0: never. */
	int warned;		/* Days left at the last warning; NOT_YET. */
	int64_t warned_at;
};

#define NOT_YET		INT32_MAX

/* How files look: certificate, key, authority, list. */
#define FILES		4
struct looks {
	uint64_t hash[FILES];
};

struct upkeep {
	const struct settings *settings;
	struct term terms[TERMS];
	int timer;
	size_t slot;
	int64_t armed;		/* The timer's second. */
	struct looks known;	/* How the files looked when they were read, */
	struct looks seen;	/* and at the last look. */
	unsigned changes;	/* What was not as known; a bit each. */
	int64_t next_look;
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

/* Links are followed: what counts is which file there is, and its age. */
static void
mix_file(uint64_t *hash, int directory, const char *name, struct stat *st)
{
	int64_t numbers[7] = { 0 };

	memset(st, 0, sizeof *st);
	if (fstatat(directory, name, st, 0) == 0) {
		numbers[0] = (int64_t)st->st_dev;
		numbers[1] = (int64_t)st->st_ino;
		numbers[2] = (int64_t)st->st_size;
		numbers[3] = (int64_t)st->st_mtim.tv_sec;
		numbers[4] = (int64_t)st->st_mtim.tv_nsec;
		numbers[5] = (int64_t)st->st_ctim.tv_sec;
		numbers[6] = (int64_t)st->st_ctim.tv_nsec;
	}
	mix(hash, numbers, sizeof numbers);
}

/* The files of a directory, in whatever order it has them. */
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
look(const struct settings *s)
{
	const char *const files[FILES] = { s->certificate, s->key,
	    s->authority, s->crl };
	struct looks now;
	struct stat st;

	for (size_t i = 0; i < FILES; i++) {
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

	for (unsigned i = 0; i < FILES; i++)
		bits |= (unsigned)(a->hash[i] != b->hash[i]) << i;
	return bits;
}

void
upkeep_mark(struct upkeep *u, const struct settings *settings)
{
	struct looks now = look(settings);

	u->changes = compare(&now, &u->known);
	u->known = u->seen = now;
}

unsigned
upkeep_changes(const struct upkeep *u)
{
	return u->changes;
}

/* Have the files changed, and settled? */
static bool
have_changed(struct upkeep *u)
{
	struct looks now = look(u->settings), before = u->seen;
	unsigned changes = compare(&now, &u->known);

	u->seen = now;
	u->next_look = clock_in(changes == 0 ||
	    u->settings->watch_interval < SETTLE_TIME ?
	    u->settings->watch_interval : SETTLE_TIME);
	if (changes == 0 || compare(&now, &before) != 0)
		return false;
	u->changes = changes;
	u->known = now;
	return true;
}

/* --- what runs out ------------------------------------------------------- */

/*
 * How many days before the end to speak, the next time from "warned" on: the
 * configured number, 14, 7, 1, and at the end itself.  -1: not any more.
 */
static int
next_warning(const struct upkeep *u, size_t i, int warned)
{
	int days[] = { (int)u->settings->expiry_warning, 14, 7, 1, 0 };

	/* A list is renewed every few days: its end alone is worth a word. */
	for (size_t k = i == LIST ? 4 : 0; k < 5; k++) {
		if (days[k] <= days[0] && days[k] < warned)
			return days[k];
	}
	return -1;
}

/* The second at which the term is next to be spoken of. */
static int64_t
next_second(const struct upkeep *u, size_t i)
{
	const struct term *t = &u->terms[i];
	int days = next_warning(u, i, t->warned);

	if (t->ends == 0 || (i != LIST && u->settings->expiry_warning == 0))
		return UPKEEP_NEVER;
	return days == -1 ? t->warned_at + DAY :
	    t->ends - (int64_t)days * DAY;
}

static void
describe(const struct upkeep *u, size_t i, int64_t now, char *out,
    size_t size)
{
	static const char *const names[] = { "certificate",
	    "authority's certificate", "revocation list" };
	int64_t left = u->terms[i].ends - now;

	if (left <= 0)
		(void)snprintf(out, size, "the %s has expired", names[i]);
	else if (left < DAY)
		(void)snprintf(out, size, "the %s expires within a day",
		    names[i]);
	else
		(void)snprintf(out, size, "the %s expires in %lld day%s",
		    names[i], (long long)(left / DAY), left < 2 * DAY ? "" :
		    "s");
}

/* Speak of a term, if it is time. */
static void
warn(struct upkeep *u, size_t i, int64_t now)
{
	static const char *const advice[] = { "renew it",
	    "make a new one, and give it to all servers and clients",
	    "make a new one" };
	struct term *t = &u->terms[i];
	const struct settings *s = u->settings;
	const char *const files[] = { s->certificate, s->authority, s->crl };
	char what[128], text[LOG_TEXT_MAX];
	int days;

	if (next_second(u, i) > now)
		return;
	while ((days = next_warning(u, i, t->warned)) != -1 &&
	    t->ends - (int64_t)days * DAY <= now)
		t->warned = days;
	t->warned_at = now;
	describe(u, i, now, what, sizeof what);
	(void)snprintf(text, sizeof text, "%s: %s, of the file %.600s%s", what,
	    advice[i], files[i], i != LIST ? "" : settings_old_crl(s) ?
	    "; until then the old one is used" :
	    "; until then every client is refused");
	audit_expiry(files[i], t->ends, t->ends <= now &&
	    !(i == LIST && settings_old_crl(s)), text);
}

static void
warn_all(struct upkeep *u)
{
	int64_t now = (int64_t)time(NULL);

	for (size_t i = 0; i < TERMS; i++)
		warn(u, i, now);
}

static void
set_term(struct term *t, int64_t ends)
{
	if (t->ends == ends)
		return;
	t->ends = ends;
	t->warned = NOT_YET;
}

void
upkeep_configure(struct upkeep *u, const struct settings *settings,
    const struct tls_context *context)
{
	u->settings = settings;
	set_term(&u->terms[CERTIFICATE], tls_context_expires(context));
	set_term(&u->terms[AUTHORITY], tls_context_authority_expires(context));
	set_term(&u->terms[LIST], tls_context_crl_expires(context));
	u->terms[LIST].warned = NOT_YET;
	u->next_look = clock_in(settings->watch_interval);
	warn_all(u);
}

void
upkeep_describe(const struct upkeep *u, char *out, size_t size)
{
	int64_t now = (int64_t)time(NULL);
	size_t used = 0;
	char what[128];

	*out = '\0';
	for (size_t i = 0; i < TERMS && used < size; i++) {
		const struct term *t = &u->terms[i];
		int days = i == LIST ? 0 : (int)u->settings->expiry_warning;

		if (next_second(u, i) == UPKEEP_NEVER ||
		    t->ends - (int64_t)days * DAY > now)
			continue;
		describe(u, i, now, what, sizeof what);
		used += (size_t)snprintf(out + used, size - used, "; %s",
		    what);
	}
}

/* --- the timer ----------------------------------------------------------- */

struct upkeep *
upkeep_new(void)
{
	struct upkeep *u = calloc(1, sizeof *u);

	if (u != NULL && (u->timer = timerfd_create(CLOCK_REALTIME,
	    TFD_NONBLOCK | TFD_CLOEXEC)) != -1) {
		u->slot = POLLSET_NONE;
		return u;
	}
	log_errno("cannot make a timer");
	free(u);
	return NULL;
}

void
upkeep_free(struct upkeep *u)
{
	if (u == NULL)
		return;
	fd_close(&u->timer);
	free(u);
}

/* Let the timer end at "second". */
static void
arm(struct upkeep *u, int64_t second)
{
	struct itimerspec t;

	if (u->armed == second)
		return;
	memset(&t, 0, sizeof t);
	if (second != UPKEEP_NEVER) {
		t.it_value.tv_sec = (time_t)(second > 0 ? second : 1);
		t.it_value.tv_nsec = TICK;
	}
	if (timerfd_settime(u->timer, TFD_TIMER_ABSTIME |
	    TFD_TIMER_CANCEL_ON_SET, &t, NULL) == -1 && errno != ECANCELED)
		log_errno("cannot set a timer");
	u->armed = second;
}

void
upkeep_poll(struct upkeep *u, struct pollset *ps, int64_t second)
{
	for (size_t i = 0; i < TERMS; i++) {
		if (next_second(u, i) < second)
			second = next_second(u, i);
	}
	arm(u, second);
	u->slot = pollset_add(ps, second == UPKEEP_NEVER ? -1 : u->timer,
	    POLLIN);
	if (u->settings->watch_interval > 0)
		pollset_deadline(ps, u->next_look);
}

int
upkeep_turn(struct upkeep *u, const struct pollset *ps)
{
	uint64_t times;
	int news = 0;

	if (pollset_events(ps, u->slot) != 0) {
		/* ECANCELED: the clock was set, and the timer is off. */
		(void)!read(u->timer, &times, sizeof times);
		u->armed = 0;
		warn_all(u);
		news |= UPKEEP_ALARM;
	}
	if (u->settings->watch_interval > 0 && clock_past(u->next_look) &&
	    have_changed(u))
		news |= UPKEEP_FILES;
	return news;
}
