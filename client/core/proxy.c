/*
 * proxy.c - a connection that a command of the user's carries.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/fd.h"
#include "common/base/text.h"

#include "client/core/memory.h"
#include "client/core/spawn.h"

#include "client/core/proxy.h"

#define SHOWN_MAX	256

/* What stands for "%" and this letter, or NULL. */
static const char *
proxy_token(char letter, const char *host, const char *port)
{
	switch (letter) {
	case 'h':
		return host;
	case 'p':
		return port;
	case '%':
		return "%";
	default:
		return NULL;
	}
}

int
proxy_check(char *const *words, struct failure *why)
{
	char shown[SHOWN_MAX];

	if (words[0][0] == '\0')
		return failure_make(why, 0, "its first word is a program",
		    "proxy_command begins with an empty word");
	for (; *words != NULL; words++) {
		for (const char *p = *words; (p = strchr(p, '%')) != NULL;
		    p += 2) {
			if (proxy_token(p[1], "", "") == NULL)
				return failure_make(why, 0, "write "
				    PROXY_TOKENS, "the word \"%s\" of "
				    "proxy_command has a %% that stands for "
				    "nothing", text_printable(shown,
				    sizeof shown, *words, strlen(*words)));
		}
	}
	return 0;
}

/* "word" with what its tokens stand for, for free(3). */
static char *
proxy_expand(const char *word, const char *host, const char *port)
{
	const char *token;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		memory_out();
	for (const char *p = word; *p != '\0'; p++) {
		token = *p == '%' ? proxy_token(p[1], host, port) : NULL;
		if (token == NULL)
			(void)putc(*p, out);
		else {
			(void)fputs(token, out);
			p++;
		}
	}
	if (fclose(out) == EOF)
		memory_out();
	return text;
}

static char **
proxy_words(char *const *words, const char *host, const char *port)
{
	char **all;
	size_t n = 0;

	while (words[n] != NULL)
		n++;
	all = memory_get((n + 1) * sizeof *all);
	for (size_t i = 0; i < n; i++)
		all[i] = proxy_expand(words[i], host, port);
	return all;
}

int
proxy_connect(char *const *words, const char *host, const char *port,
    pid_t *pid, struct failure *why)
{
	char **all = proxy_words(words, host, port), shown[SHOWN_MAX];
	int ends[2] = { -1, -1 };
	pid_t process = -1;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0 &&
	    fd_set_blocking(ends[0], false) == 0)
		process = spawn_start(all, ends[1], ends[1], true);
	if (process != -1)
		*pid = process;
	else {
		failure_set(why, 0, "cannot run the proxy_command %s: %s",
		    text_printable(shown, sizeof shown, all[0],
		    strlen(all[0])), strerror(errno));
		fd_close(&ends[0]);
	}
	fd_close(&ends[1]);
	fd_list_free(all);
	return ends[0];
}
