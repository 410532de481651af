/* How a command runs: limits, environment, directory.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/exec/exec-options.h"

const char *const exec_on_disconnect[] = { "kill", "finish", NULL };
const char *const exec_background[] = { "kill", "keep", NULL };

/* What clients may set where no rule says otherwise. */
static const char *const usual[] = {
	"LANG", "LC_*", "TERM", "TZ", "GIT_PROTOCOL", NULL
};

int
exec_options_init(struct exec_options *t)
{
	*t = (struct exec_options){
		.limits = { .no_new_privs = true, .output_wait = 200 },
		.stdin = true, .umask = 022,
		.environment = conf_list((const char *[]){ NULL }),
		.accept_environment = conf_list(usual)
	};
	return t->environment != NULL && t->accept_environment != NULL ? 0 : -1;
}

int
exec_options_copy(struct exec_options *t, const struct exec_options *from)
{
	*t = *from;
	if (from->directory != NULL)
		t->directory = strdup(from->directory);
	t->environment = conf_list((const char *const *)from->environment);
	t->accept_environment = conf_list(
	    (const char *const *)from->accept_environment);
	return (from->directory != NULL && t->directory == NULL) ||
	    t->environment == NULL || t->accept_environment == NULL ? -1 : 0;
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
