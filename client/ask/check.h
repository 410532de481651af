/*
 * check.h - aisc --check: is all well between here and a server?
 *
 * It looks at our own files, connects, asks which rule applies and how long an
 * answer takes, and says what it has found as the plugins of monitoring
 * systems do: by the exit status, and by a first line that says it all.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_CHECK_H
#define AIS_CHECK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct request;
struct settings;

/* What a plugin exits with. */
enum check_status {
	CHECK_OK = 0,
	CHECK_WARNING = 1,
	CHECK_CRITICAL = 2,
	CHECK_UNKNOWN = 3
};

/* What to find wrong, and how to say it. */
struct check {
	int64_t warn_days;	/* Fewer days left than this: a warning, */
	int64_t critical_days;	/* or worse. */
	bool json;
};

/* The time limit of a check or a plugin for which none is set, in ms. */
#define CHECK_TIMEOUT		10000
/* What "warn_days" and "critical_days" are unless they are set. */
#define CHECK_WARN_DAYS		30
#define CHECK_CRITICAL_DAYS	7

/* As they are called in a plugin's line. */
const char *check_status_name(enum check_status status);

/* Write a text to a plugin's line, where "|" has a meaning. */
void check_put(FILE *out, const char *text);

/* Check the server of "s" by way of "r", and say what came of it on standard
 * output.  The exit status of aisc. */
int check_run(const struct check *check, const struct settings *s,
    struct request *r);

/* The same where options or settings do not even allow to try; a message has
 * said why, and "why" is that of the settings, or "".  "host" may be NULL. */
int check_unknown(const struct check *check, const char *host,
    const char *why);

#endif
