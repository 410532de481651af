/*
 * report.h - what came of each command, as JSON for programs: one object a
 * command, each on a line of its own.
 *
 * It is there for each result of a command, also when a signal ends aisc, but
 * not while that still connects; and it has "exit" only where the command has
 * ended by itself.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_REPORT_H
#define AIS_REPORT_H

#include <stdbool.h>
#include <stddef.h>

struct body;
struct outcome;
struct report;
struct request;
struct settings;

/* What is kept of each output of a command, in bytes. */
#define REPORT_KEEP_MAX	(16 * 1024 * 1024)

/*
 * Make ready to write objects to the descriptor "fd", which stays open; with
 * "capture" they hold what the command writes, which then goes nowhere else.
 *
 * For all that follow NULL is one that reports nothing.
 */
struct report *report_new(int fd, bool capture);
void report_free(struct report *p);

/* Does "p" hold what commands write? */
bool report_captures(const struct report *p);

/*
 * A command for the server of "s" begins: "body", or NULL if it is none that
 * can be asked for; "line" is its number in a script, or 0.  All are borrowed
 * until report_tell().
 */
void report_begin(struct report *p, const struct settings *s,
    struct request *r, const struct body *body, size_t line);

/* As request_ask(), and as "p" wants it. */
void report_ask(struct report *p, struct request *r, const struct body *body,
    struct outcome *o);

/* If "p" holds what commands write, add "text" to that and return true. */
bool report_take(struct report *p, const char *text);

/* Write what came of the command.  If that cannot be written, a success
 * becomes a failure that says so. */
void report_tell(struct report *p, struct outcome *o);

/* Write that nothing could be begun, for settings of which a message has said
 * what is wrong with them. */
void report_refuse(struct report *p, const char *host);

#endif
