/*
 * report.h - what came of each command, as JSON for programs: one object a
 * command, each on a line of its own.
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
 * NULL with the reason in errno.
 */
struct report *report_new(int fd, bool capture);

/* NULL is none. */
void report_free(struct report *p);

/* Does "p" hold what commands write?  NULL does not. */
bool report_captures(const struct report *p);

/* As request_ask(), and as "p" wants it; NULL: nothing is to be reported. */
void report_ask(struct report *p, struct request *r, const struct body *body,
    struct outcome *o);

/*
 * Write what came of the command "words" (NULL terminated, or NULL: not
 * known).  If that cannot be written, "o" says so instead.
 */
void report_tell(struct report *p, const struct settings *s,
    const struct request *r, char *const *words, struct outcome *o);

#endif
