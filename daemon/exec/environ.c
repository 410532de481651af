/* The environment of a command, from nothing.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <string.h>

#include "daemon/exec/arena.h"
#include "common/base/pattern.h"
#include "common/base/text.h"
#include "daemon/exec/environ.h"

static const char *const dangerous[] = {
	"LD_*", "PATH", "IFS", "ENV", "BASH_ENV", "BASHOPTS", "SHELLOPTS",
	"PS4", "GCONV_PATH", "GLIBC_TUNABLES", "LOCPATH", "NLSPATH",
	"HOSTALIASES", "RES_OPTIONS", "TMPDIR", "NOTIFY_SOCKET", "LISTEN_*",
	"WATCHDOG_*", "JOURNAL_STREAM", "CREDENTIALS_DIRECTORY", "HOME",
	"USER", "LOGNAME", "SHELL", NULL
};

/* Libraries make the name of a file of their values. */
static const char *const of_files[] = {
	"LANG", "LANGUAGE", "LC_*", "TERM", "TZ", NULL
};

bool
environ_name(const char *variable, char name[256])
{
	size_t n = strspn(variable, "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");

	if (n == 0 || n > 255 || variable[n] != '=' ||
	    (*variable >= '0' && *variable <= '9'))
		return false;
	memcpy(name, variable, n);
	name[n] = '\0';
	return true;
}

bool
environ_is_accepted(const char *name, const char *const *patterns)
{
	if (strncmp(name, "AIS_", 4) == 0)
		return false;
	if (!pattern_match_any(dangerous, name))
		return pattern_match_any(patterns, name);
	return text_list_has(patterns, name);
}

bool
environ_value_is_accepted(const char *name, const char *value)
{
	if (!pattern_match_any(of_files, name))
		return true;
	if (strchr(value, '%') != NULL || strstr(value, "..") != NULL)
		return false;
	/* A zone has parts, "Europe/Berlin"; tzset(3) reads a path, too, and
	 * that of musl one of the current directory. */
	if (strcmp(name, "TZ") == 0) {
		value += strspn(value, ":");
		return *value != '/' && *value != '.';
	}
	return strchr(value, '/') == NULL;
}

/* Does a later entry set what "variable" sets? */
static bool
is_overridden(const char *variable, char *const *later, size_t n)
{
	size_t name = strcspn(variable, "=") + 1;

	for (size_t i = 0; i < n; i++) {
		if (strncmp(variable, later[i], name) == 0)
			return true;
	}
	return false;
}

char **
environ_build(const struct environ_lists *lists, struct arena *a)
{
	char *const *const parts[] = { lists->own, lists->set, lists->asked };
	size_t most = 0, n = 0, kept = 0;
	char **env;

	for (size_t i = 0; i < 3; i++)
		most += text_list_length(parts[i]);
	if ((env = arena_alloc(a, (most + 1) * sizeof *env)) == NULL)
		return NULL;
	for (size_t i = 0; i < 3; i++) {
		for (char *const *p = parts[i]; p != NULL && *p != NULL; p++)
			env[n++] = *p;
	}
	for (size_t i = 0; i < n; i++) {
		if (!is_overridden(env[i], env + i + 1, n - i - 1))
			env[kept++] = env[i];
	}
	env[kept] = NULL;
	return env;
}
