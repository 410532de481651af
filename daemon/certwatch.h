/*
 * certwatch.h - renewed files, and certificates and revocation lists that
 * expire.
 *
 * It wakes the loop at a second of the calendar, which stays right when the
 * clock is set, and once an interval to look at the files.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_CERTWATCH_H
#define AIS_CERTWATCH_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct pollset;
struct settings;
struct tls_context;
struct certwatch;

/* No second of the calendar. */
#define CERTWATCH_NEVER	INT64_MAX

/* What certwatch_dispatch() has found, a bit each. */
enum {
	CERTWATCH_ALARM = 1,	/* The second has come, or the clock was set. */
	CERTWATCH_FILES = 2	/* There are other files; read them. */
};

/* NULL after a message. */
struct certwatch *certwatch_new(void);
void certwatch_free(struct certwatch *w);

/*
 * Remember how the files that "settings" name look.  To be called before they
 * are read, so that no change is missed.  Then certwatch_configure() puts them
 * in force; or certwatch_unused() says that they could not be used: the caller
 * tries them again, and CERTWATCH_FILES comes once they have changed.
 */
void certwatch_mark(struct certwatch *w, const struct settings *settings);
void certwatch_unused(struct certwatch *w);

/* Which of certificate, key, authority and crl, a bit each in this order, are
 * other files by certwatch_mark() than those in force. */
unsigned certwatch_changes(const struct certwatch *w);

/*
 * These are in force from now on; both must outlive "u", or be replaced.  What
 * of them will soon expire is put on record.  certwatch_mark() was called.
 */
void certwatch_configure(struct certwatch *w, const struct settings *settings,
    const struct tls_context *context);

/* Add the timer to the poll set.  "second" is when the caller wants to be
 * woken, in seconds since 1970, or CERTWATCH_NEVER.  One that has passed wakes
 * it at once, and if it is given again, once a second. */
void certwatch_poll(struct certwatch *w, struct pollset *ps, int64_t second);

/* Handle the timer and look at the files; returns the bits above. */
int certwatch_dispatch(struct certwatch *w, const struct pollset *ps);

/* What expires soon: "; the certificate expires in 6 days", or "". */
void certwatch_describe(const struct certwatch *w, char *out, size_t size);

/* The same of what there is in "context", to "out": a line each by
 * conf_warning(), with what to do.  Returns how many. */
int certwatch_warn(FILE *out, const struct settings *settings,
    const struct tls_context *context);

/*
 * May aisd begin to listen with the lists of "context"?  An overdue one keeps
 * it from starting, unless "crl_expired" allows it; a daemon that runs goes on
 * with it, and refuses the clients that it concerns.  0, or -1 after a message
 * for each.
 */
int certwatch_may_start(const struct settings *settings,
    const struct tls_context *context);

#endif
