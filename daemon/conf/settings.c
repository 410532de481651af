/* aisd.conf into one struct; check it and print it.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <errno.h>
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
#include "daemon/conf/settings.h"

#define KEY(name, type, min, max) \
	{ #name, type, offsetof(struct settings, name), min, max }

#define SECOND	1000LL
#define DAY	(86400 * SECOND)
#define YEAR	(366 * DAY)

static const struct conf_key keys[] = {
	KEY(listen, CONF_STRINGS, 0, 0),
	KEY(certificate, CONF_PATH, 0, 0),
	KEY(key, CONF_PATH, 0, 0),
	KEY(authority, CONF_PATH, 0, 0),
	KEY(crl, CONF_PATH, 0, 0),
	KEY(crl_expired, CONF_STRING, 0, 0),
	KEY(client_purpose, CONF_STRING, 0, 0),
	KEY(watch_interval, CONF_SECONDS, 0, DAY),
	KEY(expiry_warning, CONF_INT, 0, 3650),
	KEY(allow_tls12, CONF_BOOL, 0, 0),
	KEY(user, CONF_STRING, 0, 0),
	KEY(command_user, CONF_STRING, 0, 0),
	KEY(unprivileged, CONF_BOOL, 0, 0),
	KEY(allow_setuid, CONF_BOOL, 0, 0),
	KEY(log_file, CONF_PATH, 0, 0),
	KEY(log_format, CONF_STRING, 0, 0),
	KEY(log_system, CONF_STRING, 0, 0),
	KEY(log_level, CONF_STRING, 0, 0),
	KEY(audit, CONF_STRING, 0, 0),
	KEY(max_handshakes, CONF_INT, 1, 1024),
	KEY(failure_penalty, CONF_SECONDS, 0, 3600 * SECOND),
	KEY(max_waiting, CONF_INT, 0, 1024),
	KEY(handshake_timeout, CONF_SECONDS, 100, 3600 * SECOND),
	KEY(idle_timeout, CONF_SECONDS, 100, YEAR),
	KEY(idle_timeout_waiting, CONF_SECONDS, 100, YEAR),
	KEY(session_timeout, CONF_SECONDS, 0, YEAR),
	KEY(turn, CONF_SECONDS, 0, YEAR),
	KEY(dead_timeout, CONF_SECONDS, 0, DAY),
	KEY(stopped_timeout, CONF_SECONDS, 0, YEAR),
	KEY(kill_grace, CONF_SECONDS, 0, 3600 * SECOND),
	KEY(path, CONF_STRINGS, 0, 0),
	KEY(shell_program, CONF_PATH, 0, 0),
	EXEC_OPTIONS_KEYS(struct settings, options),
	{ "rules", CONF_GROUPS, 0, 0, 0 },
};

#define KEYS	(sizeof keys / sizeof keys[0])

/* --- defaults ---------------------------------------------------------- */

/* The texts that are set at first, and the words that some must be one of. */
static const struct {
	const char *name;
	size_t offset;
	const char *value;
	const char *words[6];
} texts[] = {
#define TEXT(name, ...)	{ #name, offsetof(struct settings, name), __VA_ARGS__ }
	TEXT(certificate, AIS_SYSCONFDIR "/aisd/server.pem", { NULL }),
	TEXT(key, AIS_SYSCONFDIR "/aisd/server.key", { NULL }),
	TEXT(authority, AIS_SYSCONFDIR "/aisd/ca.pem", { NULL }),
	TEXT(crl_expired, "error", { "error", "warning" }),
	TEXT(client_purpose, "required", { "required", "optional" }),
	TEXT(user, "aisd", { NULL }),
	TEXT(command_user, "aisd-run", { NULL }),
	TEXT(log_file, AIS_LOCALSTATEDIR "/log/aisd/server.log", { NULL }),
	TEXT(log_format, "logfmt", { "logfmt", "json" }),
	TEXT(log_system, "auto", { "auto", "journal", "syslog", "none" }),
	TEXT(log_level, "info",
	    { "error", "warning", "notice", "info", "debug" }),
	TEXT(audit, "any", { "any", "strict" }),
	TEXT(shell_program, "/bin/sh", { NULL }),
#undef TEXT
};

static char **
text_at(struct settings *s, size_t offset)
{
	return (char **)(void *)((char *)s + offset);
}

/* 0, or -1 if memory is out. */
static int
set_defaults(struct settings *s)
{
	static const char *const everywhere[] = { "*:" PROTO_PORT_TEXT, NULL };
	static const char *const path[] = { "/usr/local/sbin",
	    "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin", NULL };

	s->listen = conf_list(everywhere);
	s->path = conf_list(path);
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		char **text = text_at(s, texts[i].offset);

		if ((*text = strdup(texts[i].value)) == NULL)
			return -1;
	}
	s->watch_interval = 60 * SECOND;
	s->expiry_warning = 30;
	s->max_handshakes = 64;
	s->failure_penalty = 1 * SECOND;
	s->max_waiting = 32;
	s->handshake_timeout = 10 * SECOND;
	s->idle_timeout = 300 * SECOND;
	s->idle_timeout_waiting = 10 * SECOND;
	s->turn = 60 * SECOND;
	s->dead_timeout = 30 * SECOND;
	s->stopped_timeout = 3600 * SECOND;
	s->kill_grace = 2 * SECOND;
	return exec_options_init(&s->options) == -1 || s->listen == NULL ||
	    s->path == NULL ? -1 : 0;
}

/* --- checks ------------------------------------------------------------ */

/* Complain about the value of "name", with its place if a file sets it. */
static int
complain(struct conf *conf, const char *name, const char *text)
{
	char place[CONF_STRING_MAX + 32];

	return conf_error(conf_where(conf, name, place, sizeof place),
	    "%s: %s", name, text);
}

static int
check_listen(struct conf *conf, const struct settings *s)
{
	char host[256], port[8], text[512];
	int errors = 0;

	if (s->listen[0] == NULL)
		errors += complain(conf, "listen", "no address to listen on");
	for (char **p = s->listen; *p != NULL; p++) {
		if (net_split(*p, host, sizeof host, port, sizeof port) == 0)
			continue;
		(void)snprintf(text, sizeof text, "\"%.200s\" is no address; "
		    "write it as \"*:4773\", \"192.0.2.1:4773\" or "
		    "\"[2001:db8::1]:4773\"", *p);
		errors += complain(conf, "listen", text);
	}
	return errors;
}

/* "a", "b" or "c": the words of a choice, in "out" of "size" bytes. */
static void
name_words(const char *const *words, char *out, size_t size)
{
	size_t used = 0;

	for (size_t i = 0; words[i] != NULL; i++)
		used += (size_t)snprintf(out + used, size - used, "%s\"%s\"",
		    i == 0 ? "" : words[i + 1] == NULL ? " or " : ", ",
		    words[i]);
}

static int
check_words(struct conf *conf, struct settings *s)
{
	char wanted[128] = "must be ";
	int errors = 0;

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		const char *text = *text_at(s, texts[i].offset);
		const char *const *words = texts[i].words;

		if (*words == NULL ||
		    (text != NULL && text_list_has(words, text)))
			continue;
		name_words(words, wanted + 8, sizeof wanted - 8);
		errors += complain(conf, texts[i].name, wanted);
	}
	if (s->log_system != NULL && strcmp(s->log_system, "none") == 0 &&
	    s->log_file == NULL)
		errors += complain(conf, "log_file", "must be set where "
		    "log_system is \"none\", or nothing would be on record");
	if (s->shell_program == NULL)
		errors += complain(conf, "shell_program", "must be set");
	return errors;
}

static int
check_lists(struct conf *conf, const struct settings *s)
{
	int errors = 0;

	if (s->path[0] == NULL)
		errors += complain(conf, "path", "must name a directory");
	for (char **p = s->path; *p != NULL; p++) {
		if (**p != '/' || strchr(*p, ':') != NULL)
			errors += complain(conf, "path", "must be a list of "
			    "absolute directories, without \":\"");
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
		return complain(conf, s->user == NULL ? "user" :
		    "command_user", "must be set");
	if (old != NULL) {
		s->daemon = old->daemon;
		s->command = old->command;
		return 0;
	}
	*unknown = (account_find(s->user, &s->daemon) == -1) +
	    (account_find(s->command_user, &s->command) == -1);
	return *unknown;
}

/* The keys whose files are read after the configuration is closed. */
static const char *const tls_keys[] = {
	"certificate", "key", "authority", "crl"
};

/* What the keys that rules have as well are worth at the top level. */
static int
check_terms(struct conf *conf, struct settings *s)
{
	const char *why, *key = exec_options_check(&s->options, &why);

	return key == NULL ? 0 : complain(conf, key, why);
}

/* The home of the command user, or the root where it has none. */
static const char *
find_start(const struct settings *s)
{
	struct stat st;

	return stat(s->command.home, &st) == 0 && S_ISDIR(st.st_mode) ?
	    s->command.home : "/";
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

/* "old" is what is in force at a reload, and else NULL. */
static int
load_into(struct settings *s, struct conf *conf, const struct settings *old,
    struct settings_hope *hope)
{
	int errors = conf_read(conf, keys, KEYS, s), unknown = 0;

	errors += check_terms(conf, s);
	s->rules = rules_load(conf, &s->options, &errors);
	if (s->rules == NULL) {
		log_error("cannot read the rules: out of memory");
		hope->may_pass = true;
		return -1;
	}
	for (size_t i = 0; i < 4; i++)
		(void)conf_where(conf, tls_keys[i], s->where[i],
		    sizeof s->where[i]);
	errors += check_listen(conf, s) + check_words(conf, s) +
	    check_lists(conf, s) + find_accounts(conf, s, old, &unknown);
	s->start = find_start(s);
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
	rules_free(s->rules);
	free(s);
}

/* --- certificates ------------------------------------------------------ */

/* Neither other users nor commands may be able to read the key. */
static int
check_key_mode(const struct settings *s)
{
	struct stat st;

	if (s->key == NULL)
		return 0;	/* Reading it will say why. */
	if (!s->unprivileged && getuid() == s->daemon.uid &&
	    access(s->key, R_OK) == -1 && errno == EACCES) {
		(void)conf_error("", "the key %s cannot be read by "
		    "the user %s; run: chown root:%s %s && chmod 0640 %s",
		    s->key,
		    s->daemon.name, s->daemon.name, s->key, s->key);
		return -1;
	}
	if (stat(s->key, &st) == -1)
		return 0;
	if ((st.st_mode & S_IRWXO) != 0) {
		(void)conf_error("", "the key %s is open to every "
		    "user; run: chmod o= %s", s->key, s->key);
		return -1;
	}
	if (s->unprivileged)
		return 0;
	if (st.st_uid == s->command.uid || (st.st_gid == s->command.gid &&
	    (st.st_mode & S_IRWXG) != 0)) {
		(void)conf_error("", "the key %s is open to the "
		    "command user %s; run: chown root:%s %s && chmod 0640 %s",
		    s->key,
		    s->command.name, s->daemon.name, s->key, s->key);
		return -1;
	}
	return 0;
}

/* Say what is wrong with one of the files, and where it is named. */
static void
complain_tls(const struct settings *s, const struct tls_files *files,
    const char *why)
{
	const char *names[] = { files->certificate, files->key,
	    files->authority, files->crl };

	for (size_t i = 0; i < 4 && files->at_fault != NULL; i++) {
		if (names[i] == files->at_fault) {
			(void)conf_error(s->where[i], "%s: %s", tls_keys[i],
			    why);
			return;
		}
	}
	(void)conf_error("", "%s", why);
}

struct tls_context *
settings_tls(const struct settings *s, bool serving,
    struct settings_hope *hope)
{
	struct tls_files files = {
		.certificate = s->certificate, .key = s->key,
		.authority = s->authority, .crl = s->crl,
		.old_crl = settings_old_crl(s), .allow_tls12 = s->allow_tls12,
		.pipes = !serving,
		.any_purpose = strcmp(s->client_purpose, "optional") == 0
	};
	char why[TLS_TEXT_MAX];
	struct tls_context *context;

	*hope = (struct settings_hope){ .may_pass = false };
	if (check_key_mode(s) == -1)
		return NULL;
	if ((context = tls_server_new(&files, why)) != NULL &&
	    tls_server_check(context, &files, why) == 0)
		return context;
	hope->may_pass = files.may_pass;
	hope->when = files.when;
	complain_tls(s, &files, why);
	tls_context_free(context);
	return NULL;
}

bool
settings_old_crl(const struct settings *s)
{
	return strcmp(s->crl_expired, "warning") == 0;
}

bool
settings_audit_strict(const struct settings *s)
{
	return strcmp(s->audit, "strict") == 0;
}

/* --- views ------------------------------------------------------------- */

const struct account *
settings_command_account(const struct settings *s)
{
	return s->unprivileged ? NULL : &s->command;
}

int
settings_warn(FILE *out, const struct settings *s)
{
	const struct account *commands = settings_command_account(s);
	int n;

	if (commands == NULL)
		return rules_warn(out, s->rules, NULL);
	if (privilege_enter(commands) == -1) {
		fprintf(out, "whether %s can change the programs that the "
		    "rules name cannot be seen: not started as root\n",
		    commands->name);
		return 1 + rules_warn(out, s->rules, NULL);
	}
	n = rules_warn(out, s->rules, commands);
	privilege_leave(&s->daemon);
	return n;
}

void
settings_policy_defaults(const struct settings *s, struct policy_defaults *d)
{
	memset(d, 0, sizeof *d);
	d->path = s->path;
	d->shell = s->shell_program;
	d->user = s->command.name;
	d->home = s->command.home;
	d->start = s->start;
	d->account = settings_command_account(s);
	d->allow_setuid = s->allow_setuid;
}

void
settings_print(FILE *out, const struct settings *s)
{
	conf_print(out, keys, KEYS, s, 0);
	rules_print(out, s->rules);
}

/* Do both have the same rules? */
static bool
same_rules(const struct rules *a, const struct rules *b)
{
	char *text[2] = { NULL, NULL };
	size_t size[2] = { 0, 0 };
	bool same = false;

	for (size_t i = 0; i < 2; i++) {
		FILE *f = open_memstream(&text[i], &size[i]);

		if (f == NULL)
			goto end;	/* A false report is harmless. */
		rules_print(f, i == 0 ? a : b);
		if (fclose(f) == EOF)
			goto end;
	}
	same = strcmp(text[0], text[1]) == 0;
end:
	free(text[0]);
	free(text[1]);
	return same;
}

/* Whether the file of the key has changed, by the bits of "files". */
static bool
has_new_file(const char *key, unsigned files)
{
	for (size_t i = 0; i < 4; i++) {
		if (strcmp(tls_keys[i], key) == 0)
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
		bool same = key->type == CONF_GROUPS ?
		    same_rules(a->rules, b->rules) : conf_same(key, a, b);

		if (used < size && (!same || has_new_file(key->name, files)))
			used += (size_t)snprintf(out + used, size - used,
			    "%s%s", used > 0 ? "," : "", key->name);
	}
	return out;
}
