/* Could the command user change what a path leads to?
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/exec/trust.h"

/* As many as the kernel follows; path_resolution(7). */
#define LINKS_MAX	40

/* access(2) by the file system ids.  The call itself: a C library may answer
 * from the mode alone, which knows no access lists. */
static long
trust_access(const char *path, int mode)
{
	return syscall(SYS_faccessat2, AT_FDCWD, path, mode, AT_EACCESS);
}

/* May the user write to "path"?  1, 0, or -1 with errno set. */
static int
trust_may_write(const char *path)
{
	if (trust_access(path, W_OK) == 0)
		return 1;
	if (errno == EACCES || errno == EROFS)
		return 0;
	/* EPERM is an immutable file, or a filter that denies the call. */
	return errno == EPERM && trust_access("/", F_OK) == 0 ? 0 : -1;
}

/* Could the user change what t->where is?  As trust_ask(). */
static int
trust_ask_one(struct trust *t, uid_t user, const struct stat *st)
{
	int writable = 0;

	t->how = TRUST_OWNED;
	if (user != TRUST_NOBODY && st->st_uid == user)
		return 1;
	/* A link's mode says nothing; to exchange it is its directory's. */
	if (S_ISLNK(st->st_mode))
		return 0;
	t->how = TRUST_BY_ALL;
	if ((st->st_mode & S_IWOTH) != 0)
		return 1;
	t->how = TRUST_WRITABLE;
	if (user != TRUST_NOBODY && (writable = trust_may_write(t->where)) != 0)
		return writable;
	if ((st->st_mode & S_IWGRP) != 0 && st->st_gid != 0)
		t->group = st->st_gid;
	return 0;
}

/* Put the target of the link at t->where before "rest". */
static int
trust_follow(struct trust *t, char rest[PATH_MAX])
{
	char target[PATH_MAX];
	ssize_t n = readlink(t->where, target, sizeof target);
	size_t left = strlen(rest);

	if (n == -1)
		return -1;
	if ((size_t)n + 1 + left >= PATH_MAX) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memmove(rest + n + 1, rest, left + 1);
	memcpy(rest, target, (size_t)n);
	rest[n] = '/';
	/* It is seen from the directory of the link. */
	if (target[0] == '/')
		t->where[1] = '\0';
	else {
		char *slash = strrchr(t->where, '/');

		slash[slash == t->where] = '\0';
	}
	return 0;
}

/* Move the next part of "rest" to the end of t->where, which has no links in
 * it.  1; 0 if there is none; -1 with errno set. */
static int
trust_descend(struct trust *t, char rest[PATH_MAX])
{
	size_t used = strlen(t->where), skip = strspn(rest, "/");
	size_t n = strcspn(rest + skip, "/");
	char *part = rest + skip;

	if (n == 0)
		return 0;
	if (n == 2 && memcmp(part, "..", 2) == 0) {
		char *slash = strrchr(t->where, '/');

		slash[slash == t->where] = '\0';
	} else if (n > 1 || *part != '.') {
		if (used + 1 + n >= sizeof t->where) {
			errno = ENAMETOOLONG;
			return -1;
		}
		if (used > 1)
			t->where[used++] = '/';
		memcpy(t->where + used, part, n);
		t->where[used + n] = '\0';
	}
	memmove(rest, part + n, strlen(part + n) + 1);
	return 1;
}

int
trust_ask(const char *path, uid_t user, bool itself, struct trust *t)
{
	char rest[PATH_MAX];
	int links = 0, answer;
	struct stat st;

	memcpy(t->where, "/", sizeof "/");
	t->group = 0;
	if (strlen(path) >= sizeof rest) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(rest, path, strlen(path) + 1);
	do {
		bool last = rest[strspn(rest, "/")] == '\0';

		if (lstat(t->where, &st) == -1)
			return -1;
		if (last && !itself && !S_ISLNK(st.st_mode))
			return 0;
		if ((answer = trust_ask_one(t, user, &st)) != 0)
			return answer;
		if (!S_ISLNK(st.st_mode))
			continue;
		if (++links > LINKS_MAX) {
			errno = ELOOP;
			return -1;
		}
		if (trust_follow(t, rest) == -1)
			return -1;
	} while ((answer = trust_descend(t, rest)) == 1);
	return answer;
}

const char *
trust_explain(const struct trust *t, int answer, int error, const char *user,
    char *out, size_t size)
{
	if (answer == -1)
		(void)snprintf(out, size, "%.500s cannot be looked at: %s",
		    t->where, strerror(error));
	else if (t->how == TRUST_BY_ALL)
		(void)snprintf(out, size, "%.500s is writable for everybody",
		    t->where);
	else
		(void)snprintf(out, size, "%.500s %s the user %s", t->where,
		    t->how == TRUST_OWNED ? "belongs to" : "is writable for",
		    user);
	return out;
}
