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

#include "common/base/clock.h"
#include "common/conf/conf.h"
#include "common/base/date.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/pollset.h"
#include "common/tls/tls.h"
#include "daemon/record/audit.h"
#include "daemon/conf/settings.h"
#include "daemon/upkeep.h"

#define DAY		86400
/* Files that have changed must look the same for so long before they are
 * read: a certificate and its key are not renewed in one step. */
#define SETTLE_TIME	2000
/* The clock that is set by more than so many seconds is worth a record.  What
 * keeps the time right sets it by less, except when a machine starts. */
#define JUMP		60
/* The timer is always set, for it tells of a clock that is set as well. */
#define FAR		(sizeof(time_t) > 4 ? INT64_C(253402300799) : INT32_MAX)
/* time(2) may lag behind the clock that wakes us by one tick. */
#define TICK		(20 * 1000 * 1000)

/* Nothing is spoken of before the last fifth of its own time: who renews a
 * list each day, or a certificate each month, has no end to be told of. */
#define SHARE		5

struct term {
	struct tls_term what;
	int64_t warned;		/* Seconds left at the last warning. */
	int64_t warned_at;
};

#define NOT_YET		INT64_MAX

/* How files look: certificate, key, authority, list. */
#define FILES		4
#define LIST		3
struct looks {
	uint64_t hash[FILES];
};

struct upkeep {
	const struct settings *settings;
	const struct tls_context *context;
	struct term *terms;
	size_t count;
	int64_t next;		/* When one of them is to be spoken of. */
	int64_t begins;		/* When another list takes one's place; 0. */
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
	u->read = look(settings);
	u->changes = compare(&u->read, &u->used);
}

void
upkeep_unused(struct upkeep *u)
{
	u->tried = u->read;
}

unsigned
upkeep_changes(const struct upkeep *u)
{
	return u->changes;
}

/* Have the files changed since they were tried, and settled? */
static bool
have_changed(struct upkeep *u)
{
	struct looks now = look(u->settings), before = u->seen;
	unsigned changes = compare(&now, &u->tried);

	u->seen = now;
	u->next_look = clock_in(changes == 0 ||
	    u->settings->watch_interval < SETTLE_TIME ?
	    u->settings->watch_interval : SETTLE_TIME);
	return changes != 0 && compare(&now, &before) == 0;
}

/* --- what runs out ------------------------------------------------------- */

/* How many seconds before its end a term is first spoken of. */
static int64_t
lead(const struct upkeep *u, const struct tls_term *t)
{
	int64_t days = u->settings->expiry_warning * DAY;
	int64_t share = (t->ends - t->begins) / SHARE;

	return share < 0 ? 0 : share < days ? share : days;
}

/*
 * How many seconds before the end to speak, the next time from "warned" on: at
 * first, when 14, 7 and 1 days are left, and at the end itself.  -1: not any
 * more.
 */
static int64_t
next_warning(const struct upkeep *u, const struct term *t)
{
	int64_t left[] = { lead(u, &t->what), 14 * DAY, 7 * DAY, DAY, 0 };

	for (size_t k = 0; k < 5; k++) {
		if (left[k] <= left[0] && left[k] < t->warned)
			return left[k];
	}
	return -1;
}

/* The second at which the term is next to be spoken of.  A list that is
 * overdue shuts people out, which is always worth a word. */
static int64_t
next_second(const struct upkeep *u, const struct term *t)
{
	int64_t left = next_warning(u, t);

	if (t->what.ends == 0 || (t->what.kind != TLS_TERM_LIST &&
	    u->settings->expiry_warning == 0))
		return UPKEEP_NEVER;
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
	int64_t left = t->ends - now;
	int n = snprintf(out, size, "the %s%s%.128s%s ", kinds[t->kind],
	    named ? " \"" : "", named ? t->name : "", named ? "\"" : "");

	if (n < 0 || (size_t)n >= size)
		return;
	out += n;
	size -= (size_t)n;
	if (left <= 0)
		(void)snprintf(out, size, "has expired");
	else if (left < DAY)
		(void)snprintf(out, size, "expires within a day");
	else
		(void)snprintf(out, size, "expires in %lld day%s",
		    (long long)(left / DAY), left < 2 * DAY ? "" : "s");
}

/* Who is shut out by an overdue list, and from when on. */
static void
describe_victims(const struct settings *s, const struct tls_term *t,
    int64_t now, char *out, size_t size)
{
	const char *when = t->ends <= now ? "until then" :
	    "once it has expired";

	*out = '\0';
	if (t->kind != TLS_TERM_LIST)
		return;
	if (settings_old_crl(s))
		(void)snprintf(out, size, "; %s the old one is used", when);
	else
		(void)snprintf(out, size, "; %s every client whose certificate "
		    "comes from \"%.128s\", or from an authority below it, is "
		    "refused", when, t->name);
}

static const char *
file_of(const struct settings *s, const struct tls_term *t)
{
	return t->kind == TLS_TERM_LIST ? t->file :
	    t->kind == TLS_TERM_AUTHORITY ? s->authority : s->certificate;
}

/* What there is to say of a term and what to do. */
static void
explain(const struct settings *s, const struct tls_term *t, int64_t now,
    char out[LOG_TEXT_MAX])
{
	static const char *const advice[] = { "renew it",
	    "renew it, and put it behind the server's own",
	    "make a new one, and give it to all servers and clients",
	    "make a new one" };
	char what[256], victims[256];

	describe(t, now, what, sizeof what);
	describe_victims(s, t, now, victims, sizeof victims);
	(void)snprintf(out, LOG_TEXT_MAX, "%s: %s, of the file %.600s%s", what,
	    advice[t->kind], file_of(s, t), victims);
}

/* Speak of a term, if it is time. */
static void
warn(const struct upkeep *u, struct term *t, int64_t now)
{
	const struct settings *s = u->settings;
	char text[LOG_TEXT_MAX];
	int64_t left;

	if (next_second(u, t) > now)
		return;
	while ((left = next_warning(u, t)) != -1 && t->what.ends - left <= now)
		t->warned = left;
	t->warned_at = now;
	explain(s, &t->what, now, text);
	audit_expiry(file_of(s, &t->what), t->what.ends, t->what.ends <= now &&
	    !(t->what.kind == TLS_TERM_LIST && settings_old_crl(s)), text);
}

static void
warn_all(struct upkeep *u)
{
	int64_t now = date_now(), second;

	u->next = UPKEEP_NEVER;
	for (size_t i = 0; i < u->count; i++) {
		warn(u, &u->terms[i], now);
		second = next_second(u, &u->terms[i]);
		if (second < u->next)
			u->next = second;
	}
}

/* When has this been spoken of?  An overdue list is spoken of again with each
 * reading of the files, as if it were new. */
static void
remember(const struct upkeep *u, struct term *t)
{
	const struct tls_term *what = &t->what;

	t->warned = NOT_YET;
	if (what->kind == TLS_TERM_LIST && what->ends <= date_now())
		return;
	for (size_t i = 0; i < u->count; i++) {
		const struct term *old = &u->terms[i];

		if (old->what.kind == what->kind &&
		    old->what.ends == what->ends &&
		    strcmp(old->what.name, what->name) == 0) {
			t->warned = old->warned;
			t->warned_at = old->warned_at;
			return;
		}
	}
}

/* Watch what ends of "context".  0, or -1 after a message: that is nothing. */
static int
take_terms(struct upkeep *u, const struct tls_context *context)
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
		remember(u, &terms[i]);
	}
	free(found);
	free(u->terms);
	u->terms = terms;
	u->count = count;
	u->begins = tls_context_crl_begins(context);
	return count == 0 ? -1 : 0;
}

void
upkeep_configure(struct upkeep *u, const struct settings *settings,
    const struct tls_context *context)
{
	u->settings = settings;
	u->context = context;
	u->used = u->tried = u->seen = u->read;
	(void)take_terms(u, context);
	u->next_look = clock_in(settings->watch_interval);
	warn_all(u);
}

/* Is the term about to end? */
static bool
is_near(const struct upkeep *u, const struct term *t, int64_t now)
{
	return next_second(u, t) != UPKEEP_NEVER &&
	    t->what.ends - lead(u, &t->what) <= now;
}

void
upkeep_describe(const struct upkeep *u, char *out, size_t size)
{
	int64_t now = date_now();
	size_t used = 0;
	char what[256];

	*out = '\0';
	for (size_t i = 0; i < u->count && used < size; i++) {
		if (!is_near(u, &u->terms[i], now))
			continue;
		describe(&u->terms[i].what, now, what, sizeof what);
		used += (size_t)snprintf(out + used, size - used, "; %s",
		    what);
	}
}

int
upkeep_warn(FILE *out, const struct settings *settings,
    const struct tls_context *context)
{
	struct upkeep u = { .settings = settings };
	int64_t now = date_now();
	char text[LOG_TEXT_MAX];
	int n = take_terms(&u, context) == 0 ? 0 : 1;

	for (size_t i = 0; i < u.count; i++) {
		if (!is_near(&u, &u.terms[i], now))
			continue;
		explain(settings, &u.terms[i].what, now, text);
		(void)fprintf(out, "%s\n", text);
		n++;
	}
	free(u.terms);
	return n;
}

int
upkeep_judge(const struct settings *settings,
    const struct tls_context *context)
{
	struct upkeep u = { .settings = settings };
	int64_t now = date_now();
	int result = take_terms(&u, context);
	char what[256];

	for (size_t i = 0; i < u.count && !settings_old_crl(settings); i++) {
		const struct tls_term *t = &u.terms[i].what;

		if (t->kind != TLS_TERM_LIST || t->ends == 0 || t->ends > now)
			continue;
		describe(t, now, what, sizeof what);
		(void)conf_error(settings->where[LIST], "crl: %s: make a new "
		    "one, of the file %.600s, or set \"crl_expired\" to "
		    "\"warning\" to go on with the old one", what, t->file);
		result = -1;
	}
	free(u.terms);
	return result;
}

/* --- the timer ----------------------------------------------------------- */

struct upkeep *
upkeep_new(void)
{
	struct upkeep *u = calloc(1, sizeof *u);

	if (u != NULL && (u->timer = timerfd_create(CLOCK_REALTIME,
	    TFD_NONBLOCK | TFD_CLOEXEC)) != -1) {
		u->slot = POLLSET_NONE;
		(void)date_ahead(&u->ahead);
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
	free(u->terms);
	free(u);
}

/*
 * Let the timer end at "second".  What is due before the last alarm was looked
 * at then, and may be so again a second later: a verdict that differs from
 * ours about what has passed must not keep the loop from sleeping.
 */
static void
arm(struct upkeep *u, int64_t second)
{
	struct itimerspec t;

	if (second <= u->alarmed && u->alarmed <= date_now())
		second = u->alarmed + 1;
	if (second > FAR)
		second = FAR;
	if (u->armed == second)
		return;
	memset(&t, 0, sizeof t);
	t.it_value.tv_sec = (time_t)(second > 0 ? second : 1);
	t.it_value.tv_nsec = TICK;
	if (timerfd_settime(u->timer, TFD_TIMER_ABSTIME |
	    TFD_TIMER_CANCEL_ON_SET, &t, NULL) == -1 && errno != ECANCELED)
		log_errno("cannot set a timer");
	u->armed = second;
}

void
upkeep_poll(struct upkeep *u, struct pollset *ps, int64_t second)
{
	if (u->next < second)
		second = u->next;
	if (u->begins != 0 && u->begins < second)
		second = u->begins;
	arm(u, second);
	u->slot = pollset_add(ps, u->timer, POLLIN);
	if (u->settings->watch_interval > 0)
		pollset_deadline(ps, u->next_look);
}

/* Was the clock set by more than a bit since the last turn?  The kernel wakes
 * us when it is, but what it says is that it was. */
static bool
has_jumped(struct upkeep *u)
{
	int64_t before = u->ahead, by;

	/* What cannot be seen is no jump; the next turn looks again. */
	(void)date_ahead(&u->ahead);
	by = u->ahead - before;
	if (by >= -JUMP && by <= JUMP)
		return false;
	audit_clock_jump(by, date_now() - by);
	return true;
}

int
upkeep_turn(struct upkeep *u, const struct pollset *ps)
{
	uint64_t times;
	int news = 0;

	if (has_jumped(u) || pollset_events(ps, u->slot) != 0) {
		/* ECANCELED: the clock was set, and the timer is off. */
		(void)!read(u->timer, &times, sizeof times);
		u->armed = 0;
		u->alarmed = date_now();
		if (u->begins != 0 && u->begins <= u->alarmed)
			(void)take_terms(u, u->context);
		warn_all(u);
		news |= UPKEEP_ALARM;
	}
	if (u->settings->watch_interval > 0 && clock_past(u->next_look) &&
	    have_changed(u))
		news |= UPKEEP_FILES;
	return news;
}
