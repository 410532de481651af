/* aisd.conf into one struct; check it and print it.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/conf/conf.h"
#include "common/base/log.h"
#include "common/base/net.h"
#include "common/wire/proto.h"
#include "common/base/retry.h"
#include "common/base/text.h"
#include "common/tls/tls.h"
#include "daemon/exec/environ.h"
#include "daemon/conf/credential.h"
#include "daemon/conf/settings.h"

#define SECOND	1000LL
#define DAY	(86400 * SECOND)
#define YEAR	(366 * DAY)

/* The words of keys, as the enumerations of settings.h number them; the first
 * is the default. */
static const char *const lists[] = { "error", "warning", NULL };
static const char *const purposes[] = { "required", "optional", NULL };
static const char *const formats[] = { "logfmt", "json", NULL };
static const char *const systems[] = {
	"auto", "journal", "syslog", "none", NULL
};
static const char *const levels[] = {
	"error", "warning", "notice", "info", "debug", NULL
};
static const char *const audits[] = { "any", "strict", NULL };

#define KEY(name, type)	CONF_KEY(struct settings, name, type)
#define NAMED(key, file) \
	{ key, CONF_STRING, offsetof(struct settings, named[file]), 0, 0, NULL }
#define WORD(name, words)	CONF_CHOICE(struct settings, name, words)
#define NUMBER(name, type, min, max) \
	CONF_NUMBER(struct settings, name, type, min, max)

static const struct conf_key keys[] = {
	KEY(listen, CONF_STRINGS),
	NAMED("certificate", SETTINGS_CERTIFICATE),
	NAMED("key", SETTINGS_KEY),
	NAMED("authority", SETTINGS_AUTHORITY),
	NAMED("crl", SETTINGS_CRL),
	WORD(crl_expired, lists),
	WORD(client_purpose, purposes),
	NUMBER(watch_interval, CONF_SECONDS, 0, DAY),
	NUMBER(expiry_warning, CONF_INT, 0, 3650),
	KEY(allow_tls12, CONF_BOOL),
	KEY(user, CONF_STRING),
	KEY(command_user, CONF_STRING),
	KEY(unprivileged, CONF_BOOL),
	KEY(allow_setuid, CONF_BOOL),
	KEY(log_file, CONF_PATH),
	WORD(log_format, formats),
	WORD(log_system, systems),
	WORD(log_level, levels),
	WORD(audit, audits),
	NUMBER(max_handshakes, CONF_INT, 1, 1024),
	NUMBER(failure_penalty, CONF_SECONDS, 0, 3600 * SECOND),
	NUMBER(max_waiting, CONF_INT, 0, 1024),
	NUMBER(handshake_timeout, CONF_SECONDS, 100, 3600 * SECOND),
	NUMBER(idle_timeout, CONF_SECONDS, 100, YEAR),
	NUMBER(idle_timeout_waiting, CONF_SECONDS, 100, YEAR),
	NUMBER(session_timeout, CONF_SECONDS, 0, YEAR),
	NUMBER(turn, CONF_SECONDS, 0, YEAR),
	NUMBER(dead_timeout, CONF_SECONDS, 0, DAY),
	NUMBER(stopped_timeout, CONF_SECONDS, 0, YEAR),
	NUMBER(kill_grace, CONF_SECONDS, 0, 3600 * SECOND),
	KEY(path, CONF_STRINGS),
	KEY(shell_program, CONF_PATH),
	EXEC_OPTIONS_KEYS(struct settings, options),
	CONF_LIST_OF_GROUPS(groups),
	CONF_LIST_OF_GROUPS(rules),
};

#define KEYS	(sizeof keys / sizeof keys[0])

/* --- defaults ---------------------------------------------------------- */

/* 0, or -1 if memory is out. */
static int
set_defaults(struct settings *s)
{
	static const char *const everywhere[] = { "*:" PROTO_PORT_TEXT, NULL };
	static const char *const path[] = { "/usr/local/sbin",
	    "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin", NULL };

	*s = (struct settings){
		.listen = conf_list(everywhere),
		.named = {
			strdup(AIS_SYSCONFDIR "/aisd/server.pem"),
			strdup(AIS_SYSCONFDIR "/aisd/server.key"),
			strdup(AIS_SYSCONFDIR "/aisd/ca.pem"), NULL
		},
		.watch_interval = 60 * SECOND, .expiry_warning = 30,
		.user = strdup("aisd"), .command_user = strdup("aisd-run"),
		.log_file = strdup(AIS_LOCALSTATEDIR "/log/aisd/server.log"),
		.log_level = LOG_LEVEL_INFO - LOG_LEVEL_ERROR,
		.max_handshakes = 64, .failure_penalty = 1 * SECOND,
		.max_waiting = 32, .handshake_timeout = 10 * SECOND,
		.idle_timeout = 300 * SECOND,
		.idle_timeout_waiting = 10 * SECOND, .turn = 60 * SECOND,
		.dead_timeout = 30 * SECOND, .stopped_timeout = 3600 * SECOND,
		.kill_grace = 2 * SECOND,
		.path = conf_list(path), .shell_program = strdup("/bin/sh")
	};
	return exec_options_init(&s->options) == -1 || s->listen == NULL ||
	    s->named[SETTINGS_CERTIFICATE] == NULL ||
	    s->named[SETTINGS_KEY] == NULL ||
	    s->named[SETTINGS_AUTHORITY] == NULL ||
	    s->user == NULL || s->command_user == NULL || s->log_file == NULL ||
	    s->path == NULL || s->shell_program == NULL ? -1 : 0;
}

/* --- checks ------------------------------------------------------------ */

/* Say what is wrong with the value of "name", and what to do ("": nothing),
 * with its place if a file sets it.  1. */
static int __attribute__((format(printf, 4, 5)))
settings_complain(struct conf *conf, const char *name, const char *hint,
    const char *format, ...)
{
	char place[CONF_STRING_MAX + 32];
	struct failure f;
	va_list ap;

	va_start(ap, format);
	failure_vset(&f, 0, format, ap);
	va_end(ap);
	failure_about(&f, "%s", name);
	failure_hint(&f, "%s", hint);
	return conf_failure(conf_where(conf, name, place, sizeof place), &f);
}

static int
check_listen(struct conf *conf, const struct settings *s)
{
	char host[256], port[8];
	int errors = 0;

	if (s->listen[0] == NULL)
		errors += settings_complain(conf, "listen", "", "no address "
		    "to listen on");
	for (char **p = s->listen; *p != NULL; p++) {
		if (net_split(*p, host, sizeof host, port, sizeof port) == 0)
			continue;
		errors += settings_complain(conf, "listen", "write it as "
		    "\"*:4773\", \"192.0.2.1:4773\" or "
		    "\"[2001:db8::1]:4773\"", "\"%.200s\" is no address", *p);
	}
	return errors;
}

const char *const settings_file_keys[SETTINGS_FILES] = {
	[SETTINGS_CERTIFICATE] = "certificate", [SETTINGS_KEY] = "key",
	[SETTINGS_AUTHORITY] = "authority", [SETTINGS_CRL] = "crl"
};

/* Each of the files is a path, a credential, or for the key a URI. */
static int
check_files(struct conf *conf, const struct settings *s)
{
	int errors = 0;

	for (size_t i = 0; i < SETTINGS_FILES; i++) {
		const char *key = settings_file_keys[i], *value = s->named[i];
		const char *name = credential_name(value);

		if (name != NULL && !credential_is_valid(name))
			errors += settings_complain(conf, key, "it has up to "
			    "255 letters, digits and signs but \"/\" and "
			    "\":\", as LoadCredential= of systemd takes them",
			    "\"%.300s\" is no name of a credential", name);
		else if (name == NULL && value != NULL && *value != '/' &&
		    (i != SETTINGS_KEY || tls_store_uri(value) == NULL))
			errors += settings_complain(conf, key, "", "must be an "
			    "absolute path, or %s\"" CREDENTIAL "\" and a name",
			    i == SETTINGS_KEY ? "\"" TLS_STORE "\" and a URI, "
			    "or " : "");
	}
	return errors;
}

static int
check_values(struct conf *conf, const struct settings *s)
{
	const char *ours = environ_find_ours(s->options.environment);
	int errors = check_files(conf, s);

	if (ours != NULL)
		errors += settings_complain(conf, "environment", "remove it",
		    "it is the server that sets \"%.200s\"", ours);

	if (s->log_system == SETTINGS_SYSTEM_NONE && s->log_file == NULL)
		errors += settings_complain(conf, "log_file", "", "must be "
		    "set where log_system is \"none\", or nothing would be on "
		    "record");
	if (s->shell_program == NULL)
		errors += settings_complain(conf, "shell_program", "",
		    "must be set");
	if (s->path[0] == NULL)
		errors += settings_complain(conf, "path", "", "must name a "
		    "directory");
	for (char **p = s->path; *p != NULL; p++) {
		if (**p != '/' || strchr(*p, ':') != NULL)
			errors += settings_complain(conf, "path", "", "must be "
			    "a list of absolute directories, without \":\"");
	}
	return errors;
}

/*
 * Counts in "unknown" the users that are not there, who may be later.  A reload
 * cannot change them, and so it does not ask for them: a directory service that
 * hangs must not hold the daemon.
 */
static int
find_accounts(struct conf *conf, struct settings *s,
    const struct settings *old, int *unknown)
{
	if (s->unprivileged && old == NULL) {
		if (account_self(&s->daemon) == -1)
			return 1;
		s->command = s->daemon;
		return 0;
	}
	if (!s->unprivileged && (s->user == NULL || s->command_user == NULL))
		return settings_complain(conf, s->user == NULL ? "user" :
		    "command_user", "", "must be set");
	if (old != NULL) {
		s->daemon = old->daemon;
		s->command = old->command;
		return 0;
	}
	*unknown = (account_find(s->user, &s->daemon) == -1) +
	    (account_find(s->command_user, &s->command) == -1);
	return *unknown;
}

/* Where the files are.  0, or -1 if memory is out. */
static int
derive_files(struct settings *s)
{
	for (size_t i = 0; i < SETTINGS_FILES; i++) {
		if (s->named[i] != NULL &&
		    (s->files[i] = credential_path(s->named[i])) == NULL)
			return -1;
	}
	return 0;
}

/* What the policy needs to know beside the rules.  A session begins in the
 * home of the command user, or in the root where there is none. */
static void
derive_policy(struct settings *s)
{
	struct stat st;
	bool home = stat(s->command.home, &st) == 0 && S_ISDIR(st.st_mode);

	s->policy = (struct policy_defaults){
		.path = s->path, .shell = s->shell_program,
		.user = s->command.name, .home = s->command.home,
		.start = home ? s->command.home : "/",
		.account = s->unprivileged ? NULL : &s->command,
		.allow_setuid = s->allow_setuid
	};
}

/* Say which keys differ that only a restart can change, and keep in "s" what
 * they are in "old". */
static void
inherit(struct settings *s, const struct settings *old)
{
	static const char *const fixed[] = { "listen", "user", "command_user",
	    "unprivileged", "allow_setuid", "log_file", "log_format",
	    "log_system", "log_level", "max_handshakes", "max_waiting", NULL };

	for (const struct conf_key *key = keys; key < keys + KEYS; key++) {
		if (text_list_has(fixed, key->name) && !conf_same(key, old, s))
			log_warning("the new value of \"%s\" takes effect only "
			    "after a restart", key->name);
	}
	/* What a start has made of them cannot be undone: another user, say,
	 * would be one that nobody may become any more. */
	s->unprivileged = old->unprivileged;
	s->allow_setuid = old->allow_setuid;
	s->max_handshakes = old->max_handshakes;
	s->max_waiting = old->max_waiting;
}

/* Note where each key is set.  0, or -1 if memory is out. */
static int
note_places(struct settings *s, struct conf *conf)
{
	char place[CONF_STRING_MAX + 32];

	if ((s->where = calloc(KEYS, sizeof *s->where)) == NULL)
		return -1;
	for (size_t i = 0; i < KEYS; i++) {
		s->where[i] = strdup(conf_where(conf, keys[i].name, place,
		    sizeof place));
		if (s->where[i] == NULL)
			return -1;
	}
	return 0;
}

const char *
settings_where(const struct settings *s, const char *name)
{
	size_t i = 0;

	while (i < KEYS && strcmp(keys[i].name, name) != 0)
		i++;
	return i < KEYS && s->where != NULL ? s->where[i] : "";
}

/* "old" is what is in force at a reload, and else NULL. */
static int
load_into(struct settings *s, struct conf *conf, const struct settings *old,
    struct settings_hope *hope)
{
	int errors = conf_read(conf, keys, KEYS, s), unknown = 0;

	s->rules = rules_load(conf, &s->options, &errors);
	if (s->rules == NULL || note_places(s, conf) == -1 ||
	    derive_files(s) == -1) {
		log_error("cannot read the rules: out of memory");
		hope->may_pass = true;
		return -1;
	}
	errors += check_listen(conf, s) + check_values(conf, s) +
	    find_accounts(conf, s, old, &unknown);
	hope->may_pass = errors == unknown;
	return errors == 0 ? 0 : -1;
}

static struct settings *
load(const char *path, const struct settings *old, struct settings_hope *hope)
{
	struct settings *s = calloc(1, sizeof *s);
	char directory[CONF_STRING_MAX];
	struct conf *conf;
	int result;

	*hope = (struct settings_hope){ .may_pass = true };
	if (s == NULL || set_defaults(s) == -1) {
		log_error("cannot read the configuration: out of memory");
		settings_free(s);
		return NULL;
	}
	(void)snprintf(directory, sizeof directory, "%s%s", path,
	    SETTINGS_DIRECTORY_SUFFIX);
	conf = old == NULL ? conf_open(path, directory) :
	    conf_reopen(path, directory);
	if (conf == NULL) {
		hope->may_pass = retry_may_help(errno);
		settings_free(s);
		return NULL;
	}
	result = load_into(s, conf, old, hope);
	conf_close(conf);
	if (result == -1) {
		settings_free(s);
		return NULL;
	}
	if (old != NULL)
		inherit(s, old);
	derive_policy(s);
	return s;
}

struct settings *
settings_load(const char *path, struct settings_hope *hope)
{
	return load(path, NULL, hope);
}

struct settings *
settings_reload(const char *path, const struct settings *old,
    struct settings_hope *hope)
{
	return load(path, old, hope);
}

void
settings_free(struct settings *s)
{
	if (s == NULL)
		return;
	conf_free_values(keys, KEYS, s);
	for (size_t i = 0; i < SETTINGS_FILES; i++)
		free(s->files[i]);
	rules_free(s->rules);
	for (size_t i = 0; s->where != NULL && i < KEYS; i++)
		free(s->where[i]);
	free(s->where);
	free(s);
}

/* --- views ------------------------------------------------------------- */

int
settings_warn(FILE *out, const struct settings *s)
{
	const struct account *commands = s->policy.account;
	int n;

	if (commands == NULL)
		return rules_warn(out, s->rules, NULL);
	if (privilege_enter(commands) == -1) {
		n = conf_warning(out, settings_where(s, "command_user"),
		    "whether %s can change the programs that the rules name "
		    "cannot be seen: not started as root", commands->name);
		return n + rules_warn(out, s->rules, NULL);
	}
	n = rules_warn(out, s->rules, commands);
	privilege_leave(&s->daemon);
	return n;
}

void
settings_print(FILE *out, const struct settings *s)
{
	conf_print(out, keys, KEYS, s, 0);
	rules_print(out, s->rules);
}

/* The rules as rules_print() has them; NULL: memory is out. */
static char *
rules_text(const struct rules *rules)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (f == NULL)
		return NULL;
	rules_print(f, rules);
	if (fclose(f) == EOF) {
		free(text);
		return NULL;
	}
	return text;
}

/* Do both have the same rules?  That they differ may be wrong. */
static bool
same_rules(const struct rules *a, const struct rules *b)
{
	char *x = rules_text(a), *y = rules_text(b);
	bool same = x != NULL && y != NULL && strcmp(x, y) == 0;

	free(x);
	free(y);
	return same;
}

/* Whether the file of the key has changed, by the bits of "files". */
static bool
has_new_file(const char *key, unsigned files)
{
	for (size_t i = 0; i < SETTINGS_FILES; i++) {
		if (strcmp(settings_file_keys[i], key) == 0)
			return (files & 1U << i) != 0;
	}
	return false;
}

char *
settings_changes(const struct settings *a, const struct settings *b,
    unsigned files, char *out, size_t size)
{
	size_t used = 0;

	*out = '\0';
	for (const struct conf_key *key = keys; key < keys + KEYS; key++) {
		/* Groups are told as what they are part of. */
		bool same = key->type != CONF_GROUPS ? conf_same(key, a, b) :
		    strcmp(key->name, "rules") != 0 ||
		    same_rules(a->rules, b->rules);

		if (used < size && (!same || has_new_file(key->name, files)))
			used += (size_t)snprintf(out + used, size - used,
			    "%s%s", used > 0 ? "," : "", key->name);
	}
	return out;
}
