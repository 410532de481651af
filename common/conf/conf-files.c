#include <config.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/conf/conf-files.h"
#include "common/conf/conf.h"
#include "common/base/fd.h"

/* libconfig follows includes no deeper. */
#define DEPTH_MAX	10
/* A longer file than any that a reload reads. */
#define FILE_MAX	(64 * 1024 * 1024)

/* As libconfig has it: at the beginning of a line, in quotes.  One in a comment
 * is looked at as well, which does no harm.  Whether "line" is one, with its
 * path in "out". */
static bool
get_include(const char *line, char out[CONF_STRING_MAX])
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
		if (n == CONF_STRING_MAX - 1)
			return false;
		out[n++] = *line;
	}
	out[n] = '\0';
	return *line == '"';
}

static int check(const char *path, const char *from, int depth, char *why,
    size_t size);

/* An include by this name, if there is one. */
static int
check_include(const char *path, const char *from, int depth, char *why,
    size_t size)
{
	struct stat st;

	if (stat(path, &st) == -1 || S_ISDIR(st.st_mode))
		return 0;
	return check(path, from, depth + 1, why, size);
}

/* What "text" includes. */
static int
check_includes(const char *text, const char *from, int depth, char *why,
    size_t size)
{
	char name[CONF_STRING_MAX], path[2 * CONF_STRING_MAX];

	for (; text != NULL; text = strchr(text, '\n')) {
		text += *text == '\n';
		if (!get_include(text, name))
			continue;
		(void)snprintf(path, sizeof path, "%s/%s", from, name);
		if (check_include(path, from, depth, why, size) == -1)
			return -1;
		/* Newer versions take an absolute one as it stands. */
		if (name[0] == '/' &&
		    check_include(name, from, depth, why, size) == -1)
			return -1;
	}
	return 0;
}

static int
check(const char *path, const char *from, int depth, char *why, size_t size)
{
	char *text;
	size_t n;
	int result;

	if (depth > DEPTH_MAX)
		return 0;
	if ((text = fd_read_file(path, FILE_MAX, &n)) == NULL) {
		(void)snprintf(why, size, "%s: %s", path, errno == EINVAL ?
		    "it is no file, and pipes are read by a start alone" :
		    strerror(errno));
		return -1;
	}
	result = check_includes(text, from, depth, why, size);
	free(text);
	return result;
}

int
conf_files_check(const char *path, const char *from, char *why, size_t size)
{
	return check(path, from, 0, why, size);
}
