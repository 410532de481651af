/*
 * split.c - a line of a prompt or a script into words.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/core/memory.h"

#include "client/prompt/split.h"

/* Is the "~" at "at" of "line" that of "cd ~" or "cd ~/DIR"? */
static bool
is_home(const char *line, size_t at)
{
	return line[at] == '~' && strncmp(line, "cd", 2) == 0 && at > 2 &&
	    strspn(line + 2, " \t") == at - 2 &&
	    strchr("/ \t", line[at + 1]) != NULL;
}

enum words_error
split_line(const char *line, char ***words, size_t *count, size_t *at,
    bool *tilde)
{
	enum words_error e = words_split(line, 1, words, count, at);
	size_t n = strlen(line);
	char *quoted;

	*tilde = e == WORDS_SHELL && is_home(line, *at);
	if (!*tilde)
		return e;
	quoted = memory_get(n + 2);
	(void)snprintf(quoted, n + 2, "%.*s\\%s", (int)*at, line,
	    line + *at);
	e = words_split(quoted, 1, words, count, at);
	*at -= e != WORDS_OK;
	free(quoted);
	return e;
}
