/*
 * groups.h - peers that rules have one name for.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_GROUPS_H
#define AIS_GROUPS_H

#include <stddef.h>
#include <stdio.h>

#include "common/conf/conf.h"
#include "daemon/rules/match.h"

struct group;

/* All groups of a configuration; all zero at first. */
struct groups {
	struct group *list;
	size_t count;
};

/* Read the list "groups" of "conf".  Returns the number of errors, each after a
 * message; groups_free() in either case. */
int groups_load(struct groups *g, struct conf *conf);
void groups_free(struct groups *g);

/* Which peers the group "name" has, or NULL: there is no such group.  It is
 * borrowed. */
const struct match *groups_find(const struct groups *g, const char *name);

/* Write the list, if there is any group, in libconfig syntax. */
void groups_print(FILE *out, const struct groups *g);

#endif
