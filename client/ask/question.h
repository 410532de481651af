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
struct buf;
struct outcome;
struct request;
struct settings;

/* Ask what is in "body", as below, and append the answer to "answer".  "o" is
 * what came of that; a status that such an answer cannot have is a failure. */
void question_put(struct request *r, const struct body *body,
    struct buf *answer, struct outcome *o);

/*
 * Ask the server of "s" what is in "body", and show the answer: PROTO_LIST,
 * what may be run; PROTO_CAN, whether its words may be run, or without any
 * which rule applies, and why.  "o" is what came of that.  The exit status of
 * aisc: 0, with PROTO_CAN 1 for no, or OUTCOME_FAILED.
 */
int question_ask(const struct settings *s, struct request *r,
    const struct body *body, bool json, struct outcome *o);

#endif
