/* The environment of a command, from nothing.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/pattern.h"
#include "common/base/text.h"
#include "common/base/words.h"
#include "common/wire/body.h"
#include "common/tls/types.h"
#include "daemon/exec/arena.h"
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
environ_is_ours(const char *name)
{
	return strncmp(name, "AIS_", 4) == 0 ||
	    strcmp(name, "SSH_ORIGINAL_COMMAND") == 0;
}

const char *
environ_find_ours(char *const *variables)
{
	char name[256];

	for (char *const *p = variables; *p != NULL; p++) {
		if (environ_name(*p, name) && environ_is_ours(name))
			return *p;
	}
	return NULL;
}

bool
environ_is_accepted(const char *name, const char *const *patterns)
{
	if (environ_is_ours(name))
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

static char *
join_path(struct arena *a, char *const *path)
{
	size_t size = sizeof "PATH=", used;
	char *out;

	for (char *const *p = path; *p != NULL; p++)
		size += strlen(*p) + 1;
	if ((out = arena_alloc(a, size)) == NULL)
		return NULL;
	used = (size_t)snprintf(out, size, "PATH=");
	for (char *const *p = path; *p != NULL; p++)
		used += (size_t)snprintf(out + used, size - used, "%s%s",
		    p == path ? "" : ":", *p);
	return out;
}

/* How many variables there are of our own. */
#define OWN_VARIABLES	14

char **
environ_own(const struct environ_facts *f, struct arena *a)
{
	const struct tls_identity *id = f->identity;
	char cn[TEXT_ESCAPED_MAX(TLS_NAME_MAX)];
	char **env = arena_alloc(a, (OWN_VARIABLES + 1) * sizeof *env);
	size_t n = 0;

	if (env == NULL)
		return NULL;
	env[n++] = join_path(a, f->path);
	env[n++] = arena_printf(a, "HOME=%s", f->home);
	env[n++] = arena_printf(a, "USER=%s", f->user);
	env[n++] = arena_printf(a, "LOGNAME=%s", f->user);
	env[n++] = arena_printf(a, "SHELL=%s", f->shell);
	env[n++] = arena_printf(a, "LANG=C.UTF-8");
	env[n++] = arena_printf(a, "AIS_SESSION=%s", f->session);
	env[n++] = arena_printf(a, "AIS_REQUEST=%lu",
	    (unsigned long)f->request);
	env[n++] = arena_printf(a, "AIS_PEER_CN=%s", text_escape(cn, sizeof cn,
	    id->common_name, strlen(id->common_name)));
	env[n++] = arena_printf(a, "AIS_PEER_SUBJECT=%s", id->subject);
	env[n++] = arena_printf(a, "AIS_PEER_SERIAL=%s", id->serial);
	env[n++] = arena_printf(a, "AIS_PEER_FINGERPRINT=%s", id->fingerprint);
	env[n++] = arena_printf(a, "AIS_PEER_ADDR=%s", f->address);
	if (f->original != NULL)
		env[n++] = f->original;
	env[n] = NULL;
	while (n > 0 && env[n - 1] != NULL)
		n--;
	return n == 0 ? env : NULL;
}

char *
environ_original(const struct body *asked, struct arena *a)
{
	char *joined = NULL, *variable = NULL;

	if (asked->operation == PROTO_RUN)
		joined = words_join(asked->words, 0);
	if (asked->operation != PROTO_RUN || joined != NULL)
		variable = arena_printf(a, "SSH_ORIGINAL_COMMAND=%s",
		    joined != NULL ? joined : asked->words[0]);
	free(joined);
	return variable;
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
