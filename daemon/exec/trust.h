/*
 * trust.h - could the user of commands change what a path leads to?
 *
 * A program that a rule lists is executed by its path.  So a user that the
 * rule restricts must not be able to put another one there: neither by writing
 * to the file, nor by exchanging it, a directory or a link on its way.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_TRUST_H
#define AIS_TRUST_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* No user: only what everybody may change counts. */
#define TRUST_NOBODY	((uid_t)-1)

/* How something could be changed. */
enum trust_how {
	TRUST_OWNED,		/* It is the user's own. */
	TRUST_WRITABLE,		/* The user may write to it. */
	TRUST_BY_ALL		/* Everybody may, in a sticky directory too. */
};

/* What was found. */
struct trust {
	char where[PATH_MAX];	/* What can be changed, or not be examined. */
	enum trust_how how;
	gid_t group;		/* May write to some of it; 0: root's alone.
				 * By itself this changes no answer. */
};

/*
 * Could "user" change what "path", which is absolute, leads to: a directory or
 * a link on its way, or, with "itself", what is there?  0: no.  1: yes, and
 * "t" says what.  -1 with errno set: "t" says what cannot be examined.
 *
 * The caller has the file system ids of "user", because access(2), which knows
 * groups and access lists, goes by them; see privilege_enter().  Only system
 * calls are made, so that a child can ask between fork and exec.
 */
int trust_ask(const char *path, uid_t user, bool itself, struct trust *t);

/* The answer 1, or -1 with this errno, as the end of a sentence in "out" of
 * "size" bytes: "/srv/bin is writable for everybody".  Returns "out". */
const char *trust_explain(const struct trust *t, int answer, int error,
    const char *user, char *out, size_t size);

#endif
