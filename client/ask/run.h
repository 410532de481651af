/*
 * run.h - one command from the question to the messages about its end.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_RUN_H
#define AIS_RUN_H

struct body;
struct outcome;
struct report;
struct request;
struct settings;

/* Put the environment that "s" has for commands into "body", which borrows
 * it. */
void run_prepare(const struct settings *s, struct body *body);

/* Ask for "body", of which a report has begun if it is to; "o" is what came of
 * it, with what to type instead where the words look like a mistake. */
void run_ask(struct request *r, struct report *report,
    const struct body *body, struct outcome *o);

/* Tell what came of it: to the report, to standard error and with --verbose
 * what it used.  Returns the exit status. */
int run_tell(const struct settings *s, struct report *report,
    struct outcome *o);

/* All of these, with a report from its beginning.  "report" may be NULL. */
int run_once(const struct settings *s, struct request *r,
    struct report *report, struct body *body, struct outcome *o);

#endif
