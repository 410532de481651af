/* How a command runs: limits, environment, directory.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/exec/exec-options.h"

/* What clients may set where no rule says otherwise. */
static const char *const usual[] = {
	"LANG", "LC_*", "TERM", "TZ", "GIT_PROTOCOL", NULL
};

int
exec_options_init(struct exec_options *t)
{
	static const char *const nothing[] = { NULL };

	memset(t, 0, sizeof *t);
	t->limits.no_new_privs = true;
	t->limits.output_wait = 200;
	t->stdin = true;
	t->umask = 022;
	t->environment = conf_list(nothing);
	t->accept_environment = conf_list(usual);
	t->on_disconnect = strdup("kill");
	t->background = strdup("kill");
	return t->environment != NULL && t->accept_environment != NULL &&
	    t->on_disconnect != NULL && t->background != NULL ? 0 : -1;
}

/* A copy of "text", or NULL of NULL; "*failed" if memory is out. */
static char *
copy(const char *text, bool *failed)
{
	char *out = text == NULL ? NULL : strdup(text);

	*failed = *failed || (text != NULL && out == NULL);
	return out;
}

int
exec_options_copy(struct exec_options *t, const struct exec_options *from)
{
	bool failed = false;

	*t = *from;
	t->directory = copy(from->directory, &failed);
	t->environment = conf_list((const char *const *)from->environment);
	t->accept_environment = conf_list(
	    (const char *const *)from->accept_environment);
	/* An empty string in a file is NULL: see exec_options_check(). */
	t->on_disconnect = copy(from->on_disconnect, &failed);
	t->background = copy(from->background, &failed);
	return !failed && t->environment != NULL &&
	    t->accept_environment != NULL ? 0 : -1;
}

/* For a table of the options alone. */
struct only {
	struct exec_options t;
};

static const struct conf_key keys[] = { EXEC_OPTIONS_KEYS(struct only, t) };

#define KEYS	(sizeof keys / sizeof keys[0])

void
exec_options_free(struct exec_options *t)
{
	conf_free_values(keys, KEYS, t);
}

void
limits_print(FILE *out, const struct limits *limits)
{
	struct only only = { .t.limits = *limits };

	for (size_t i = 0; i < KEYS; i++) {
		if (keys[i].offset < sizeof *limits)
			conf_print(out, &keys[i], 1, &only, 1);
	}
}

/* One of two words, or none of them: 0, 1, -1. */
static int
choose(const char *word, const char *zero, const char *one)
{
	if (word != NULL && strcmp(word, zero) == 0)
		return 0;
	return word != NULL && strcmp(word, one) == 0 ? 1 : -1;
}

const char *
exec_options_check(struct exec_options *t, const char **why)
{
	int finish = choose(t->on_disconnect, "kill", "finish");
	int keep = choose(t->background, "kill", "keep");

	*why = "must be \"kill\" or \"finish\"";
	if (finish == -1)
		return "on_disconnect";
	*why = "must be \"kill\" or \"keep\"";
	if (keep == -1)
		return "background";
	t->limits.finish = finish == 1;
	t->limits.keep = keep == 1;
	*why = "must be a list of \"NAME=VALUE\"";
	for (char **p = t->environment; p != NULL && *p != NULL; p++) {
		if (**p == '=' || strchr(*p, '=') == NULL)
			return "environment";
	}
	return NULL;
}
