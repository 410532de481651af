/*
 * conf-files.c - whether libconfig can read a file and what it includes.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/fd.h"
#include "common/conf/conf-files.h"

/* libconfig follows includes no deeper. */
#define DEPTH_MAX	10
/* What parsing a file takes at most: so much, and for each of its bytes. */
#define PARSE_MEMORY	(4 * 1024 * 1024)
#define PARSE_FACTOR	64

/* What a check was asked for. */
struct question {
	struct failure *why;
	bool only_files;
};

/* As libconfig has it: at the beginning of a line, in quotes.  One in a comment
 * is checked as well, which does no harm.  Whether "line" is one, with its
 * path in "out". */
static bool
get_include(const char *line, char out[PATH_MAX])
{
	static const char word[] = "@include";
	size_t n = 0;

	line += strspn(line, " \t");
	if (strncmp(line, word, sizeof word - 1) != 0)
		return false;
	line += sizeof word - 1;
	if (line[strspn(line, " \t")] != '"' || *line == '"')
		return false;
	line += strspn(line, " \t") + 1;
	for (; *line != '"' && *line != '\n' && *line != '\0'; line++) {
		if (*line == '\\' && (line[1] == '\\' || line[1] == '"'))
			line++;
		if (n == PATH_MAX - 1)
			return false;
		out[n++] = *line;
	}
	out[n] = '\0';
	return *line == '"';
}

static int check_file(const char *path, const char *from, int depth,
    const struct question *q);

/* An include by this name, if there is one. */
static int
check_include(const char *path, const char *from, int depth,
    const struct question *q)
{
	struct stat st;

	if (stat(path, &st) == -1 || S_ISDIR(st.st_mode))
		return 0;
	return check_file(path, from, depth + 1, q);
}

/* What "line" includes. */
static int
check_line(const char *line, const char *from, int depth,
    const struct question *q)
{
	char name[PATH_MAX], path[2 * PATH_MAX];

	if (!get_include(line, name))
		return 0;
	(void)snprintf(path, sizeof path, "%s/%s", from, name);
	if (check_include(path, from, depth, q) == -1)
		return -1;
	/* Newer versions take an absolute one as it stands. */
	return name[0] == '/' ? check_include(name, from, depth, q) : 0;
}

static int
files_fail(const struct question *q, const char *path, int error,
    const char *what, const char *hint)
{
	failure_set(q->why, 0, "cannot read the configuration %s: %s", path,
	    what);
	failure_hint(q->why, "%s", hint);
	errno = error;
	return -1;
}

/*
 * Is there memory to parse "f"?  Where there is none libconfig ends the
 * program, so it is asked only where there is more than it will take.
 */
static bool
has_memory(FILE *f)
{
	struct stat st;
	void *p = NULL;

	if (fstat(fileno(f), &st) == 0) {
		errno = ENOMEM;
		if ((uintmax_t)st.st_size < SIZE_MAX / PARSE_FACTOR / 2)
			p = malloc(PARSE_MEMORY +
			    PARSE_FACTOR * (size_t)st.st_size);
	}
	free(p);
	return p != NULL;
}

static int
check_file(const char *path, const char *from, int depth,
    const struct question *q)
{
	char line[PATH_MAX + 64];
	bool first = true;
	int fd, error, result = 0;
	FILE *f = NULL;

	if (depth > DEPTH_MAX)
		return 0;
	if ((fd = fd_open_file(path, CONF_FILE_MAX)) == -1 && errno == EINVAL)
		return !q->only_files ? 0 : files_fail(q, path, EINVAL, "it is "
		    "no file, and pipes are read by a start alone", "");
	if (fd == -1 || (f = fdopen(fd, "r")) == NULL) {
		result = files_fail(q, path, errno, strerror(errno), "");
		fd_close(&fd);
		return result;
	}
	/* The scanner of libconfig ends the program where it cannot read.  It
	 * uses fread(3), and so do we. */
	while (fread(line, 1, sizeof line, f) == sizeof line)
		continue;
	if (!ferror(f)) {
		rewind(f);
		if (!has_memory(f))
			result = files_fail(q, path, errno, strerror(errno),
			    "");
	}
	while (result == 0 && !ferror(f) &&
	    fgets(line, sizeof line, f) != NULL) {
		/* Some editors put it before UTF-8, and it cannot be seen. */
		if (first && strncmp(line, "\xef\xbb\xbf", 3) == 0)
			result = files_fail(q, path, 0, "it begins with a byte "
			    "order mark, which an editor has put there",
			    "save it as plain UTF-8");
		else
			result = check_line(line, from, depth, q);
		first = false;
	}
	error = errno;
	if (result == 0 && ferror(f))
		result = files_fail(q, path, error, strerror(error), "");
	(void)fclose(f);
	errno = error;
	return result;
}

int
conf_files_check(const char *path, const char *from, bool only_files,
    struct failure *why)
{
	return check_file(path, from, 0, &(struct question){ why, only_files });
}
