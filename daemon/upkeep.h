/*
 * upkeep.h - what time does to identities: files that were renewed, and
 * certificates and revocation lists that run out.
 *
 * It wakes the loop at a second of the calendar, which stays right when
 * somebody sets the clock, and once an interval to look at the files.
 */
#ifndef AIS_UPKEEP_H
#define AIS_UPKEEP_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct pollset;
struct settings;
struct tls_context;
struct upkeep;

/* No second of the calendar. */
#define UPKEEP_NEVER	INT64_MAX

/* What upkeep_turn() answers, a bit each. */
enum {
	UPKEEP_ALARM = 1,	/* The second has come, or the clock was set. */
	UPKEEP_FILES = 2	/* There are other files; read them. */
};

/* NULL after a message. */
struct upkeep *upkeep_new(void);
void upkeep_free(struct upkeep *u);

/*
 * The files that "settings" name are read now: remember how they look.  To be
 * called before, so that no change is missed.  What has come of it is said by
 * upkeep_configure(), or by upkeep_unused(): those in force are other ones, and
 * the caller tries these again; here they are no news before they change.
 */
void upkeep_mark(struct upkeep *u, const struct settings *settings);
void upkeep_unused(struct upkeep *u);

/* Which of certificate, key, authority and crl, a bit each in this order, are
 * other files by upkeep_mark() than those in force. */
unsigned upkeep_changes(const struct upkeep *u);

/*
 * These are in force from now on; both must outlive "u", or be replaced.  What
 * of them will soon run out is put on record.  upkeep_mark() was called.
 */
void upkeep_configure(struct upkeep *u, const struct settings *settings,
    const struct tls_context *context);

/* Add to this turn what is waited for.  "second" is when the caller wants to
 * be woken, in seconds since 1970, or UPKEEP_NEVER.  One that has passed wakes
 * it at once, and if it is given again, once a second. */
void upkeep_poll(struct upkeep *u, struct pollset *ps, int64_t second);

/* Do what the turn has brought; the bits of what the caller must do. */
int upkeep_turn(struct upkeep *u, const struct pollset *ps);

/* What runs out, for people: "; the certificate expires in 6 days", or "". */
void upkeep_describe(const struct upkeep *u, char *out, size_t size);

/* The same of what there is in "context", to "out": a line each, with the file
 * and what to do.  Returns how many. */
int upkeep_warn(FILE *out, const struct settings *settings,
    const struct tls_context *context);

/*
 * May aisd begin to listen with what there is in "context"?  No list may be
 * overdue then, whosever it is, unless "crl_expired" allows it; a daemon that
 * runs takes such a one, and refuses whom it concerns.  0, or -1 after a
 * message for each.
 */
int upkeep_judge(const struct settings *settings,
    const struct tls_context *context);

#endif
