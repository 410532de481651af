#include <config.h>

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/body.h"
#include "common/conf.h"
#include "common/log.h"
#include "common/pattern.h"
#include "common/tls.h"
#include "daemon/policy.h"

struct rule {
	char *name;
	char **peers;		/* Patterns of common names. */
	bool anything;
	char **commands;	/* Absolute paths. */
	bool shell;
	char **accept_environment;
	struct policy_limits limits;
};

struct policy {
	struct rule *rules;
	size_t count;
	struct policy_limits defaults;
};

#define YEAR	(366LL * 86400 * 1000)
#define PIB	(1LL << 50)

static const struct conf_key rule_keys[] = {
	{ "name", CONF_STRING, offsetof(struct rule, name), 0, 0 },
	{ "peers", CONF_STRINGS, offsetof(struct rule, peers), 0, 0 },
	{ "anything", CONF_BOOL, offsetof(struct rule, anything), 0, 0 },
	{ "commands", CONF_STRINGS, offsetof(struct rule, commands), 0, 0 },
	{ "shell", CONF_BOOL, offsetof(struct rule, shell), 0, 0 },
	{ "accept_environment", CONF_STRINGS,
	    offsetof(struct rule, accept_environment), 0, 0 },
	{ "time_limit", CONF_SECONDS,
	    offsetof(struct rule, limits.time_limit), 0, YEAR },
	{ "output_limit", CONF_SIZE,
	    offsetof(struct rule, limits.output_limit), 0, PIB },
	{ "no_new_privs", CONF_BOOL,
	    offsetof(struct rule, limits.no_new_privs), 0, 0 },
};

#define RULE_KEYS	(sizeof rule_keys / sizeof rule_keys[0])

/*
 * What a pattern never grants: the loader's and the shells' own variables,
 * what systemd tells the daemon, and what AIS tells the command.  All but the
 * last can be granted by their full names.
 */
static const char *const dangerous[] = {
	"LD_*", "PATH", "IFS", "ENV", "BASH_ENV", "BASHOPTS", "SHELLOPTS",
	"PS4", "GCONV_PATH", "GLIBC_TUNABLES", "LOCPATH", "NLSPATH",
	"HOSTALIASES", "RES_OPTIONS", "TMPDIR", "NOTIFY_SOCKET", "LISTEN_*",
	"WATCHDOG_*", "JOURNAL_STREAM", "CREDENTIALS_DIRECTORY", "HOME",
	"USER", "LOGNAME", "SHELL", NULL
};

/* What rules accept that do not say. */
static const char *const usual[] = {
	"LANG", "LANGUAGE", "LC_*", "TERM", "TZ", "GIT_PROTOCOL", NULL
};

/* --- loading ----------------------------------------------------------- */

static int
check_rule(const struct conf_group *group, const struct rule *rule)
{
	int errors = 0;

	if (rule->peers == NULL)
		errors += conf_complain(group, NULL, "the rule has no \"peers\""
		    ": say whom it is for, as peers = [ \"*\" ];");
	if (rule->name != NULL && strlen(rule->name) >= POLICY_NAME_MAX)
		errors += conf_complain(group, "name", "longer than %d bytes",
		    POLICY_NAME_MAX - 1);
	if (rule->anything && rule->commands != NULL)
		errors += conf_complain(group, "commands", "the rule grants "
		    "anything already; remove one of the two");
	for (char **c = rule->commands; c != NULL && *c != NULL; c++) {
		if (**c != '/' || strlen(*c) > PROTO_PATH_MAX)
			errors += conf_complain(group, "commands", "\"%.100s\" "
			    "is not an absolute path", *c);
	}
	return errors;
}

static int
add_rule(void *context, const struct conf_group *group, const char *text)
{
	struct policy *p = context;
	struct rule *rules, *rule;
	char name[32];

	if (text != NULL)
		return conf_complain(group, NULL, "rules: an entry must be a "
		    "group in braces");
	rules = realloc(p->rules, (p->count + 1) * sizeof *rules);
	if (rules == NULL)
		return conf_complain(group, NULL, "out of memory");
	p->rules = rules;
	rule = &rules[p->count++];
	memset(rule, 0, sizeof *rule);
	rule->limits = p->defaults;
	if (conf_read_group(group, rule_keys, RULE_KEYS, rule) > 0)
		return 1;
	(void)snprintf(name, sizeof name, "%zu", p->count);
	if (rule->name == NULL)
		rule->name = strdup(name);
	if (rule->accept_environment == NULL)
		rule->accept_environment = conf_list(usual);
	if (rule->name == NULL || rule->accept_environment == NULL)
		return conf_complain(group, NULL, "out of memory");
	return check_rule(group, rule);
}

struct policy *
policy_load(struct conf *conf, const struct policy_limits *defaults,
    int *errors)
{
	struct policy *p = calloc(1, sizeof *p);

	if (p == NULL)
		return NULL;
	p->defaults = *defaults;
	*errors += conf_each(conf, "rules", add_rule, p);
	return p;
}

void
policy_free(struct policy *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < p->count; i++)
		conf_free_values(rule_keys, RULE_KEYS, &p->rules[i]);
	free(p->rules);
	free(p);
}

size_t
policy_count(const struct policy *p)
{
	return p->count;
}

void
policy_print(FILE *out, const struct policy *p)
{
	fputs("rules = (", out);
	for (size_t i = 0; i < p->count; i++) {
		fputs(i == 0 ? "\n\t{\n" : ",\n\t{\n", out);
		conf_print(out, rule_keys, RULE_KEYS, &p->rules[i], 2);
		fputs("\t}", out);
	}
	fputs("\n);\n", out);
}

/* --- deciding ---------------------------------------------------------- */

static int __attribute__((format(printf, 3, 4)))
refuse(struct decision *d, enum proto_code code, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(d->reason, sizeof d->reason, format, ap);
	va_end(ap);
	d->allowed = false;
	d->code = code;
	return 0;
}

/* A list from the configuration, as one that is only read. */
static const char *const *
words_of(char **list)
{
	return (const char *const *)list;
}

static const struct rule *
find_rule(const struct policy *p, const struct tls_identity *identity)
{
	for (size_t i = 0; i < p->count; i++) {
		if (pattern_match_any(words_of(p->rules[i].peers),
		    identity->common_name))
			return &p->rules[i];
	}
	return NULL;
}

/* May a client set the variable "name"? */
static bool
accepts_variable(const struct rule *rule, const char *name)
{
	const char *const *patterns = words_of(rule->accept_environment);

	if (strncmp(name, "AIS_", 4) == 0)
		return false;
	if (!pattern_match_any(dangerous, name))
		return pattern_match_any(patterns, name);
	for (; *patterns != NULL; patterns++) {
		if (strcmp(*patterns, name) == 0)
			return true;
	}
	return false;
}

/* A name is what a shell can name: letters, digits and "_", no digit first. */
static size_t
name_length(const char *variable)
{
	size_t n = strspn(variable, "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");

	if (n == 0 || n > 255 || variable[n] != '=' ||
	    (*variable >= '0' && *variable <= '9'))
		return 0;
	return n;
}

static int
check_environment(const struct rule *rule, const struct body *request,
    struct decision *d)
{
	char name[256];
	size_t n;

	for (size_t i = 0; i < request->nenv; i++) {
		if ((n = name_length(request->env[i])) == 0)
			return refuse(d, PROTO_CODE_INVALID, "an environment "
			    "variable is not of the form NAME=VALUE");
		memcpy(name, request->env[i], n);
		name[n] = '\0';
		if (!accepts_variable(rule, name))
			return refuse(d, PROTO_CODE_DENIED, "the rule \"%s\" "
			    "does not let clients set the variable %s; its key "
			    "\"accept_environment\" would", d->rule, name);
	}
	return 0;
}

/* What the server sets by itself, beside the identity. */
#define OWN_VARIABLES	13

/* The environment is put together in one allocation. */
struct arena {
	char *p;
	size_t left;
};

static char *__attribute__((format(printf, 2, 3)))
print_to(struct arena *a, const char *format, ...)
{
	char *start = a->p;
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(a->p, a->left, format, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= a->left)
		return NULL;
	a->p += n + 1;
	a->left -= (size_t)n + 1;
	return start;
}

static char *
print_path(struct arena *a, char *const *path)
{
	char *start = print_to(a, "PATH=");

	for (char *const *p = path; start != NULL && *p != NULL; p++) {
		a->p--;		/* Over the NUL. */
		a->left++;
		if (print_to(a, "%s%s", p == path ? "" : ":", *p) == NULL)
			return NULL;
	}
	return start;
}

static size_t
list_length(char *const *list, size_t *bytes)
{
	size_t n = 0;

	for (; list != NULL && list[n] != NULL; n++)
		*bytes += strlen(list[n]) + 2;
	return n;
}

/* Does a later entry of "env" set what "variable" sets? */
static bool
is_overridden(const char *variable, char *const *later, size_t n)
{
	size_t length = strcspn(variable, "=") + 1;

	for (size_t i = 0; i < n; i++) {
		if (strncmp(variable, later[i], length) == 0)
			return true;
	}
	return false;
}

/* Keep of the first "n" what nothing behind it overrides. */
static size_t
drop_overridden(char **env, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		if (!is_overridden(env[i], env + i + 1, n - i - 1))
			env[kept++] = env[i];
	}
	return kept;
}

/* The variables of our own, into "env"; their number, 0 if memory is short. */
static size_t
own_environment(char **env, struct arena *a, const struct policy_world *w,
    const struct policy_peer *peer)
{
	const struct tls_identity *id = peer->identity;
	char name[LOG_ESCAPED_MAX(TLS_NAME_MAX)];
	size_t n = 0;

	env[n++] = print_path(a, w->path);
	env[n++] = print_to(a, "HOME=%s", w->home);
	env[n++] = print_to(a, "USER=%s", w->user);
	env[n++] = print_to(a, "LOGNAME=%s", w->user);
	env[n++] = print_to(a, "SHELL=%s", w->shell);
	env[n++] = print_to(a, "LANG=C.UTF-8");
	env[n++] = print_to(a, "AIS_SESSION=%s", peer->session);
	env[n++] = print_to(a, "AIS_REQUEST=%lu",
	    (unsigned long)peer->request);
	env[n++] = print_to(a, "AIS_PEER_CN=%s", log_escape(name, sizeof name,
	    id->common_name, strlen(id->common_name)));
	env[n++] = print_to(a, "AIS_PEER_SUBJECT=%s", id->subject);
	env[n++] = print_to(a, "AIS_PEER_SERIAL=%s", id->serial);
	env[n++] = print_to(a, "AIS_PEER_FINGERPRINT=%s", id->fingerprint);
	env[n++] = print_to(a, "AIS_PEER_ADDR=%s", peer->address);
	for (size_t i = 0; i < n; i++) {
		if (env[i] == NULL)
			return 0;
	}
	return n;
}

/* Bytes that the own variables may take, names included. */
#define OWN_BYTES	(8 * TLS_NAME_MAX + 1024)

/* Every path that the name of a command may mean. */
static size_t
put_paths(char **paths, struct arena *a, const struct policy_world *w,
    const char *name)
{
	size_t n = 0;

	/* With a slash it is a path, if need be from the directory that the
	 * child will be in. */
	if (strchr(name, '/') != NULL)
		paths[n++] = print_to(a, "%s", name);
	else {
		for (char *const *p = w->path; *p != NULL; p++)
			paths[n++] = print_to(a, "%s/%s", *p, name);
	}
	paths[n] = NULL;
	return n;
}

/* Build the paths of "name" and the environment. */
static int
build(const struct policy_world *w, const struct policy_peer *peer,
    const struct body *request, const char *name, struct decision *d)
{
	size_t bytes = OWN_BYTES, dirs, extra, most, n;
	struct arena a;

	dirs = list_length(w->path, &bytes);
	bytes += (dirs + 1) * (strlen(name) + 2) + bytes + strlen(w->home) +
	    2 * strlen(w->user) + strlen(w->shell);
	extra = list_length(w->environment, &bytes);
	most = (dirs + 2) + (OWN_VARIABLES + extra + request->nenv + 1);
	d->memory = malloc(most * sizeof(char *) + bytes);
	if (d->memory == NULL)
		return -1;
	d->paths = d->memory;
	d->env = d->paths + dirs + 2;
	a.p = (char *)(d->paths + most);
	a.left = bytes;
	(void)put_paths(d->paths, &a, w, name);
	if ((n = own_environment(d->env, &a, w, peer)) == 0) {
		decision_free(d);
		return -1;
	}
	/* In this order a later one wins: the instance's over ours, the
	 * client's, which the rule has accepted, over both. */
	for (size_t i = 0; i < extra; i++)
		d->env[n++] = w->environment[i];
	for (size_t i = 0; i < request->nenv; i++)
		d->env[n++] = request->env[i];
	n = drop_overridden(d->env, n);
	d->env[n] = NULL;
	return 0;
}

/* The listed path that "name" means, by itself or by its last part; NULL. */
static const char *
find_command(const struct rule *rule, const char *name)
{
	for (char **c = rule->commands; c != NULL && *c != NULL; c++) {
		const char *last = strrchr(*c, '/') + 1;

		if (strcmp(*c, name) == 0 || strcmp(last, name) == 0)
			return *c;
	}
	return NULL;
}

static int
decide_run(const struct rule *rule, const struct policy_world *w,
    const struct policy_peer *peer, const struct body *request,
    struct decision *d)
{
	const char *name = request->words[0];

	if (*name == '\0')
		return refuse(d, PROTO_CODE_UNKNOWN, "unknown command: \"\"");
	if (strlen(name) > PROTO_PATH_MAX)
		return refuse(d, PROTO_CODE_UNKNOWN, "unknown command: its "
		    "name is longer than %d bytes", PROTO_PATH_MAX);
	if (!rule->anything && (name = find_command(rule, name)) == NULL)
		return refuse(d, PROTO_CODE_DENIED, "the rule \"%s\" does not "
		    "grant the command %.200s to \"%.100s\"", d->rule,
		    request->words[0], peer->identity->common_name);
	d->argv = request->words;
	d->allowed = true;
	return build(w, peer, request, name, d);
}

static int
decide_shell(const struct rule *rule, const struct policy_world *w,
    const struct policy_peer *peer, const struct body *request,
    struct decision *d)
{
	static char name[] = "sh", option[] = "-c";

	if (!rule->shell)
		return refuse(d, PROTO_CODE_DENIED, "the rule \"%s\" grants no "
		    "shell to \"%.100s\"; its key \"shell\" would", d->rule,
		    peer->identity->common_name);
	d->shell[0] = name;
	d->shell[1] = option;
	d->shell[2] = request->words[0];
	d->argv = d->shell;
	d->allowed = true;
	return build(w, peer, request, w->shell, d);
}

int
policy_decide(const struct policy *p, const struct policy_world *w,
    const struct policy_peer *peer, const struct body *request,
    struct decision *d)
{
	const struct rule *rule = find_rule(p, peer->identity);

	memset(d, 0, sizeof *d);
	if (rule == NULL)
		return refuse(d, PROTO_CODE_DENIED, "no rule matches the "
		    "client \"%.200s\"", peer->identity->subject);
	(void)snprintf(d->rule, sizeof d->rule, "%s", rule->name);
	d->limits = rule->limits;
	d->base = peer->directory;
	d->directory = request->directory != NULL ? request->directory : ".";
	if (check_environment(rule, request, d) != 0 || d->code != 0)
		return 0;
	switch (request->operation) {
	case PROTO_RUN:
		return decide_run(rule, w, peer, request, d);
	case PROTO_SHELL:
		return decide_shell(rule, w, peer, request, d);
	case PROTO_CHDIR:
		break;
	}
	/* A directory is entered as the command's user, who may or may not. */
	d->directory = request->nwords > 0 ? request->words[0] : w->home;
	d->allowed = true;
	return build(w, peer, request, "chdir", d);
}

void
decision_free(struct decision *d)
{
	free(d->memory);
	d->memory = NULL;
	d->paths = NULL;
	d->env = NULL;
}
