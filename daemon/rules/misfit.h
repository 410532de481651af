/*
 * misfit.h - why words do not fit the commands of a rule.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_MISFIT_H
#define AIS_MISFIT_H

#include <stddef.h>
#include <stdio.h>

struct rule;

/*
 * Write to "out", of "size" bytes, why the words do not fit the nearest
 * commands, as in: the argument 1 of svc must be "start", or "stop".  What is
 * "***" in "masked", the words of rule_mask(), is not told.  Returns "out".
 */
const char *misfit_tell(const struct rule *rule, char *const *words,
    char *const *masked, size_t fitting, char *out, size_t size);

/* Write for each command that the words call why they do or do not fit. */
void misfit_explain(FILE *out, const struct rule *rule, char *const *words);

#endif
