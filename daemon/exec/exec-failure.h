/*
 * exec-failure.h - why a command has not started, for its client.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_EXEC_FAILURE_H
#define AIS_EXEC_FAILURE_H

struct child_failure;
struct child_plan;
struct failure;

/* Say in "why" what the client is told of such a failure of "plan", with a code
 * of enum proto_code; "name" is the program as the client knows it. */
void exec_failure_explain(const struct child_failure *f, const char *name,
    const struct child_plan *plan, struct failure *why);

#endif
