/*
 * following.h - the commands of a script that are sent before their turn.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_FOLLOWING_H
#define AIS_FOLLOWING_H

#include <stdbool.h>

#include "common/wire/body.h"

struct lines;
struct outcome;
struct request;
struct settings;

struct following {
	struct lines *lines;		/* All of these are borrowed. */
	struct request *request;
	const struct settings *settings;
	bool (*is_own)(const char *name);	/* A command of ours? */
	enum proto_condition condition;	/* For each of them. */
};

/*
 * The command of the line that was read last is going to be asked: put ahead
 * what is there of those that follow, up to the first line that is for us.  Its
 * own place among them.
 */
enum body_place following_next(struct following *f);

/* Say of a command that has no answer in "o" that those which were sent behind
 * it have none either. */
void following_explain(struct outcome *o);

#endif
