/*
 * settings.c - aisc.conf and the options, in one struct.
 *
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/conf/conf.h"
#include "common/base/failure.h"
#include "common/base/log.h"
#include "common/base/pattern.h"
#include "common/tls/types.h"
#include "common/wire/proto.h"

#include "client/core/memory.h"

#include "client/core/proxy.h"
#include "client/core/settings.h"

#define SYSTEM_FILE	AIS_SYSCONFDIR "/aisc.conf"
#define USER_FILE	"ais/aisc.conf"

#define CONNECT_TIMEOUT	10000		/* ms */
/* As long as that of aisd, in ms. */
#define DEAD_TIMEOUT	30000
/* A year: no limit is written as 0. */
#define TIMEOUT_MAX	(INT64_C(365) * 86400 * 1000)
/* The most sections for hosts in one file. */
#define SECTIONS_MAX	4096

/* A section and what it needs beyond the settings: its patterns. */
struct section {
	struct settings settings;
	char **match;
};

#define KEY(name, type, min, max) \
	{ #name, type, offsetof(struct section, settings.name), min, max, NULL }

/* A section's keys.  All but the first may stand at the top level as well. */
static const struct conf_key keys[] = {
	CONF_KEY(struct section, match, CONF_STRINGS),
	KEY(authority, CONF_STRING, 0, 0),
	KEY(certificate, CONF_STRING, 0, 0),
	KEY(key, CONF_STRING, 0, 0),
	KEY(passphrase_command, CONF_STRINGS, 0, 0),
	KEY(port, CONF_INT, 1, 65535),
	KEY(host_name, CONF_STRING, 0, 0),
	KEY(proxy_command, CONF_STRINGS, 0, 0),
	KEY(server_name, CONF_STRING, 0, 0),
	KEY(directory, CONF_STRING, 0, 0),
	KEY(environment, CONF_VARIABLES, 0, 0),
	KEY(timeout, CONF_SECONDS, 0, TIMEOUT_MAX),
	KEY(connect_timeout, CONF_SECONDS, 0, TIMEOUT_MAX),
	KEY(wait, CONF_SECONDS, 0, TIMEOUT_MAX),
	KEY(dead_timeout, CONF_SECONDS, 0, TIMEOUT_MAX),
	KEY(allow_tls12, CONF_BOOL, 0, 0),
	CONF_LIST_OF_GROUPS(hosts)
};

#define COUNT		(sizeof keys / sizeof keys[0])
/* A section's: all but "hosts".  Top level: all but "match".  To be printed:
 * neither of them. */
#define SECTION_KEYS	keys, COUNT - 1
#define TOP_KEYS	keys + 1, COUNT - 1
#define VALUE_KEYS	keys + 1, COUNT - 2

/* The sections of one file that are for "host". */
struct matching {
	const char *host;
	const struct conf_group *groups[SECTIONS_MAX];
	size_t count;
};

bool
settings_is_host(const char *host)
{
	if (*host == '\0' || *host == '-')
		return false;
	for (const char *p = host; *p != '\0'; p++) {
		/* "%" is of a scope in IPv6, other bytes of foreign scripts.
		 * None of these means something to a shell. */
		if (!isalnum((unsigned char)*p) && (signed char)*p >= 0 &&
		    strchr(".-_:%", *p) == NULL)
			return false;
	}
	return true;
}

/* The length of "NAME=" in "variable", 0 if it has no such beginning. */
static size_t
settings_name_length(const char *variable)
{
	const char *equals = strchr(variable, '=');

	if (equals == NULL || equals == variable)
		return 0;
	return (size_t)(equals - variable) + 1;
}

int
settings_add_environment(struct settings *s, const char *variable)
{
	size_t length = settings_name_length(variable), n = 0;

	if (length == 0)
		return -1;
	for (; s->environment != NULL && s->environment[n] != NULL; n++) {
		if (strncmp(s->environment[n], variable, length) == 0) {
			memory_set(&s->environment[n], variable);
			return 0;
		}
	}
	s->environment = memory_grow(s->environment, n + 2,
	    sizeof *s->environment);
	s->environment[n] = memory_copy(variable);
	s->environment[n + 1] = NULL;
	return 0;
}

/* --- files ------------------------------------------------------------- */

/* Is a section with the patterns "match" for "host", ignoring case? */
static bool
settings_is_for(char *const *match, const char *host)
{
	const struct pattern_fold all = { 0, SIZE_MAX };

	for (; match != NULL && *match != NULL; match++) {
		if (pattern_match_folded(*match, host, all))
			return true;
	}
	return false;
}

/* Check one section, and keep it in mind if it is for the host. */
static int
settings_take_section(void *context, const struct conf_group *group,
    const char *text)
{
	struct matching *m = context;
	struct section scratch = { .match = NULL };
	int errors;

	if (text != NULL)
		return conf_complain(group, NULL, "an entry of \"hosts\" must "
		    "be a group in braces");
	errors = conf_read_group(group, SECTION_KEYS, &scratch);
	if (!conf_has(group, "match"))
		errors += conf_complain(group, NULL, "a section of \"hosts\" "
		    "needs \"match\", the names that it is for");
	if (m->host != NULL && settings_is_for(scratch.match, m->host)) {
		if (m->count == SECTIONS_MAX)
			errors += conf_complain(group, NULL, "more than %d "
			    "sections match", SECTIONS_MAX);
		else
			m->groups[m->count++] = group;
	}
	conf_free_values(SECTION_KEYS, &scratch);
	return errors;
}

void
settings_resolve(char **place, const char *file)
{
	const char *path = *place, *base = file, *slash = strrchr(file, '/');
	int n = slash == NULL ? 0 : (int)(slash - file) + 1;
	char *whole;

	if (path == NULL || *path == '/' || tls_store_uri(path) != NULL)
		return;
	if (path[0] == '~' && path[1] == '/' &&
	    (base = getenv("HOME")) != NULL) {
		n = (int)strlen(base);
		path++;
	}
	if (asprintf(&whole, "%.*s%s", n, base == NULL ? "" : base,
	    path) == -1)
		memory_out();
	free(*place);
	*place = whole;
}

/* Lay what "conf", the file "path", says over "section". */
static int
settings_apply(struct conf *conf, const char *path, const char *host,
    struct section *section)
{
	struct settings *s = &section->settings;
	struct matching *m = memory_get(sizeof *m);
	int errors;

	m->host = host;
	errors = conf_each(conf, "hosts", settings_take_section, m);
	errors += conf_read(conf, TOP_KEYS, section);
	/* What is read later wins here, so the first section comes last. */
	for (size_t i = m->count; errors == 0 && i > 0; i--)
		errors += conf_read_group(m->groups[i - 1], SECTION_KEYS,
		    section);
	free(m);
	if (errors > 0)
		return -1;
	settings_resolve(&s->authority, path);
	settings_resolve(&s->certificate, path);
	settings_resolve(&s->key, path);
	return 0;
}

/* Read one file; one that is not there is an error if it "must" be. */
static int
settings_read(const char *path, bool must, const char *host,
    struct section *section)
{
	struct conf *conf;
	int result;

	if (!must && access(path, F_OK) == -1 &&
	    (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if ((conf = conf_open(path, NULL)) == NULL)
		return -1;
	result = settings_apply(conf, path, host, section);
	conf_close(conf);
	return result;
}

char *
settings_own_file(const char *variable, const char *below, const char *name)
{
	const char *base = getenv(variable);
	char *path;

	/* The XDG Base Directory Specification: a relative one is invalid. */
	if (base != NULL && *base == '/')
		below = "";
	else
		base = getenv("HOME");
	if (base == NULL || *base == '\0')
		return NULL;
	if (asprintf(&path, "%s%s/%s", base, below, name) == -1)
		memory_out();
	return path;
}

int
settings_load(struct settings *s, const char *file, const char *host,
    int64_t wait)
{
	struct section section = { .settings = { .port = PROTO_PORT,
	    .connect_timeout = CONNECT_TIMEOUT, .wait = wait,
	    .dead_timeout = DEAD_TIMEOUT } };
	char *own = NULL;
	int result;

	log_set_prefix("aisc: config: ");
	if (file != NULL)
		result = settings_read(file, true, host, &section);
	else {
		result = settings_read(SYSTEM_FILE, false, host, &section);
		own = settings_own_file("XDG_CONFIG_HOME", "/.config",
		    USER_FILE);
		if (result == 0 && own != NULL)
			result = settings_read(own, false, host, &section);
		free(own);
	}
	*s = section.settings;
	section.settings = (struct settings){ .port = 0 };
	conf_free_values(SECTION_KEYS, &section);
	if (result == 0 && host != NULL)
		memory_set(&s->host, host);
	return result;
}

void
settings_free(struct settings *s)
{
	struct section section = { .settings = *s };

	conf_free_values(SECTION_KEYS, &section);
	free(s->host);
	memset(s, 0, sizeof *s);
}

void
settings_print(const struct settings *s, FILE *out)
{
	struct section section = { .settings = *s };

	conf_print(out, VALUE_KEYS, &section, 0);
}

/* --- before connecting ------------------------------------------------- */

/* A key that others can read proves nothing. */
static int
settings_check_key(const char *path, struct failure *why)
{
	struct stat st;
	mode_t others = S_IROTH | S_IWOTH;

	assert(path != NULL);
	if (tls_store_uri(path) != NULL)
		return 0;
	/* What stops this stops its opening as well, which reports it. */
	if (stat(path, &st) == -1)
		return 0;
	/* A key of another owner may be lent to a group. */
	if (st.st_uid == geteuid())
		others |= S_IRGRP | S_IWGRP;
	if ((st.st_mode & others) == 0)
		return 0;
	failure_set(why, 0, "the key %s can be read or changed by other users",
	    path);
	failure_hint(why, "run: chmod 600 %s", path);
	return -1;
}

int
settings_check(const struct settings *s, struct failure *why)
{
	const struct {
		const char *value;
		const char *what;
		const char *key;
		const char *option;
	} needed[] = {
		{ s->authority, "the certificate of the authority",
		    "authority", "--ca" },
		{ s->certificate, "your certificate", "certificate",
		    "--cert" },
		{ s->key, "your certificate's private key", "key", "--key" }
	};

	for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
		if (needed[i].value != NULL)
			continue;
		failure_set(why, 0, "there is no %s to connect with",
		    needed[i].key);
		failure_hint(why, "name the file of %s by the option %s, or "
		    "by \"%s\" in ~/.config/" USER_FILE " or " SYSTEM_FILE,
		    needed[i].what, needed[i].option, needed[i].key);
		return -1;
	}
	if (s->proxy_command != NULL && s->proxy_command[0] != NULL &&
	    proxy_check(s->proxy_command, why) == -1)
		return -1;
	return settings_check_key(s->key, why);
}
