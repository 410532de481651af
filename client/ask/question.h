/*
 * question.h - what one may do there: aisc --list and aisc --can.
 *
 * Both run nothing.  The answer goes to standard output, as text or as one
 * JSON object; a failure goes to standard error as well.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_QUESTION_H
#define AIS_QUESTION_H

#include <stdbool.h>

struct body;
struct outcome;
struct request;
struct settings;

/* Show what may be run at the server of "s"; "o" is what came of that.  The
 * exit status of aisc. */
int question_list(const struct settings *s, struct request *r, bool json,
    struct outcome *o);

/* Ask whether what is in "body" may be run, or with no words which rule
 * applies, and say why; "o" is what came of that.  The exit status: 0 yes, 1
 * no, or OUTCOME_FAILED. */
int question_can(const struct settings *s, struct request *r,
    const struct body *body, bool json, struct outcome *o);

#endif
