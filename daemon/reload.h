/*
 * reload.h - the configuration and certificates that are in force, and how
 * they are replaced.
 * SPDX-License-Identifier: ISC
 *
 * They are read again when that is requested, when certificate files were
 * renewed, and when what could not be used before may be good now.
 */
#ifndef AIS_RELOAD_H
#define AIS_RELOAD_H

#include <stddef.h>
#include <stdint.h>

struct notify;
struct pollset;
struct reload;
struct settings;
struct tls_context;

/* What reload_dispatch() wants of its caller. */
enum reload_news {
	RELOAD_NOTHING,
	RELOAD_VERIFY,		/* Verify all clients again. */
	RELOAD_NEW		/* The same, by new settings and context; then
				 * call reload_done(). */
};

/*
 * "settings" and "context" are in force, read from "config"; both are owned
 * from here on, also on failure.  "notify" tells the service manager.  NULL
 * after a message.
 */
struct reload *reload_new(const char *config, struct settings *settings,
    struct tls_context *context, struct notify *notify);
void reload_free(struct reload *r);

/* Put warnings of what expires soon on record. */
void reload_warn(struct reload *r);

/* What is in force: borrowed until the next reload_done(). */
struct settings *reload_settings(const struct reload *r);
struct tls_context *reload_context(const struct reload *r);

/* Read everything again, by the next reload_dispatch(). */
void reload_request(struct reload *r);

/* Read nothing any more. */
void reload_stop(struct reload *r);

/* Add what is waited for to the poll set.  "second" as for certwatch_poll(). */
void reload_poll(struct reload *r, struct pollset *ps, int64_t second);

/* Do what is due. */
enum reload_news reload_dispatch(struct reload *r, const struct pollset *ps);

/* The new settings and context are in use everywhere: free the old ones, and
 * put the reload on record. */
void reload_done(struct reload *r);

/* What is not in force and what expires, for people, as "; ...", or "". */
void reload_describe(const struct reload *r, char *out, size_t size);

#endif
