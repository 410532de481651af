#include <config.h>

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "common/body.h"
#include "common/conf.h"
#include "common/log.h"
#include "common/tls.h"
#include "common/words.h"
#include "daemon/environ.h"
#include "daemon/match.h"
#include "daemon/policy.h"

/* A command of a rule by one of the two things that clients may call it. */
struct call {
	const char *text;
	const struct grant *grant;
};

struct rule {
	char *name;
	struct match match;
	bool anything;
	bool shell;
	char *learn_until;	/* The last day, "YYYY-MM-DD". */
	char **sftp_server;	/* argv of the subsystem "sftp", or NULL. */
	struct terms terms;
	struct grant *grants;
	size_t count;
	struct call *calls;	/* Two for each of the grants, sorted. */
	int64_t learn_end;	/* The second after it, since 1970; or 0. */
	char *where;		/* FILE:LINE. */
};

struct policy {
	struct rule *rules;
	size_t count;
	struct terms defaults;
};

static const struct conf_key rule_keys[] = {
	{ "name", CONF_STRING, offsetof(struct rule, name), 0, 0 },
	MATCH_KEYS(struct rule, match),
	{ "anything", CONF_BOOL, offsetof(struct rule, anything), 0, 0 },
	{ "shell", CONF_BOOL, offsetof(struct rule, shell), 0, 0 },
	{ "learn_until", CONF_STRING, offsetof(struct rule, learn_until), 0,
	    0 },
	{ "sftp_server", CONF_STRINGS, offsetof(struct rule, sftp_server), 0,
	    0 },
	TERMS_KEYS(struct rule, terms),
	{ "commands", CONF_GROUPS, 0, 0, 0 },
};

#define RULE_KEYS	(sizeof rule_keys / sizeof rule_keys[0])

/* --- loading -------------------------------------------------------------- */

/* A day as "YYYY-MM-DD" in UTC; the second after it, or -1. */
static int64_t
end_of_day(const char *text)
{
	struct tm tm;
	const char *end;
	time_t t;

	memset(&tm, 0, sizeof tm);
	if (strlen(text) != 10 ||
	    (end = strptime(text, "%Y-%m-%d", &tm)) == NULL || *end != '\0' ||
	    (t = timegm(&tm)) == (time_t)-1)
		return -1;
	return (int64_t)t + 86400;
}

static int
check_rule(const struct conf_group *group, struct rule *rule)
{
	char why[256];
	int errors = match_prepare(&rule->match, group);

	if (rule->name != NULL && strlen(rule->name) >= POLICY_NAME_MAX)
		errors += conf_complain(group, "name", "longer than %d bytes",
		    POLICY_NAME_MAX - 1);
	if (rule->anything && conf_has(group, "commands"))
		errors += conf_complain(group, "commands", "the rule grants "
		    "anything already; remove one of the two");
	if (terms_check(&rule->terms, why, sizeof why) != NULL)
		errors += conf_complain(group, NULL, "%s", why);
	if (rule->sftp_server != NULL && (rule->sftp_server[0] == NULL ||
	    rule->sftp_server[0][0] != '/'))
		errors += conf_complain(group, "sftp_server", "must begin with "
		    "the path of a program, as \"/usr/lib/openssh/"
		    "sftp-server\"");
	if (rule->learn_until != NULL &&
	    (rule->learn_end = end_of_day(rule->learn_until)) == -1)
		errors += conf_complain(group, "learn_until", "must be a day, "
		    "as \"2027-01-31\"");
	return errors;
}

static int
add_grant(void *context, const struct conf_group *group, const char *text)
{
	struct rule *rule = context;
	struct grant *grants = realloc(rule->grants,
	    (rule->count + 1) * sizeof *grants);

	if (grants == NULL)
		return conf_complain(group, NULL, "out of memory");
	rule->grants = grants;
	return grant_load(&grants[rule->count++], group, text, &rule->terms);
}

/* By text, and of the same text in the order of the file. */
static int
compare_calls(const void *a, const void *b)
{
	const struct call *x = a, *y = b;
	int order = strcmp(x->text, y->text);

	if (order != 0)
		return order;
	return (x->grant > y->grant) - (x->grant < y->grant);
}

static int
sort_calls(struct rule *rule, const struct conf_group *group)
{
	size_t n = 0;

	if (rule->count == 0)
		return 0;
	rule->calls = calloc(2 * rule->count, sizeof *rule->calls);
	if (rule->calls == NULL)
		return conf_complain(group, NULL, "out of memory");
	for (size_t i = 0; i < rule->count; i++) {
		const struct grant *g = &rule->grants[i];

		rule->calls[n++] = (struct call){ g->name, g };
		rule->calls[n++] = (struct call){ g->program, g };
	}
	qsort(rule->calls, n, sizeof *rule->calls, compare_calls);
	return 0;
}

/* The first command of "rule" that "name" calls, or NULL. */
static const struct grant *
call_grant(const struct rule *rule, const char *name)
{
	size_t low = 0, high = rule->calls == NULL ? 0 : 2 * rule->count;
	size_t end = high;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(rule->calls[middle].text, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < end && strcmp(rule->calls[low].text, name) == 0 ?
	    rule->calls[low].grant : NULL;
}

static int
add_rule(void *context, const struct conf_group *group, const char *text)
{
	struct policy *p = context;
	struct rule *rules, *rule;
	char name[32], where[CONF_STRING_MAX + 32];
	int errors;

	if (text != NULL)
		return conf_complain(group, NULL, "rules: an entry must be a "
		    "group in braces");
	if ((p->count & (p->count - 1)) == 0) {
		rules = realloc(p->rules, 2 * (p->count + 1) * sizeof *rules);
		if (rules == NULL)
			return conf_complain(group, NULL, "out of memory");
		p->rules = rules;
	}
	rule = &p->rules[p->count++];
	memset(rule, 0, sizeof *rule);
	if (terms_copy(&rule->terms, &p->defaults) == -1)
		return conf_complain(group, NULL, "out of memory");
	if (conf_read_group(group, rule_keys, RULE_KEYS, rule) > 0)
		return 1;
	(void)snprintf(name, sizeof name, "%zu", p->count);
	if (rule->name == NULL)
		rule->name = strdup(name);
	rule->where = strdup(conf_group_where(group, where, sizeof where));
	if (rule->name == NULL || rule->where == NULL)
		return conf_complain(group, NULL, "out of memory");
	errors = check_rule(group, rule) +
	    conf_each_in(group, "commands", add_grant, rule);
	/* A command with an error may lack its name. */
	return errors > 0 ? errors : sort_calls(rule, group);
}

struct policy *
policy_load(struct conf *conf, const struct terms *defaults, int *errors)
{
	struct policy *p = calloc(1, sizeof *p);

	if (p == NULL || terms_copy(&p->defaults, defaults) == -1) {
		policy_free(p);
		return NULL;
	}
	*errors += conf_each(conf, "rules", add_rule, p);
	return p;
}

void
policy_free(struct policy *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < p->count; i++) {
		struct rule *rule = &p->rules[i];

		match_free(&rule->match);
		for (size_t k = 0; k < rule->count; k++)
			grant_free(&rule->grants[k]);
		free(rule->grants);
		free(rule->calls);
		free(rule->where);
		conf_free_values(rule_keys, RULE_KEYS, rule);
	}
	free(p->rules);
	terms_free(&p->defaults);
	free(p);
}

size_t
policy_count(const struct policy *p)
{
	return p->count;
}

/* Of the conditions, those that are set; of the rest, all. */
static void
print_rule(FILE *out, const struct rule *rule)
{
	for (size_t i = 0; i < RULE_KEYS; i++) {
		const char *name = rule_keys[i].name;
		size_t at = rule_keys[i].offset;
		char *const *value = (char *const *)(const void *)
		    ((const char *)rule + at);

		if ((at >= offsetof(struct rule, match) &&
		    at < offsetof(struct rule, anything) && *value == NULL) ||
		    ((strcmp(name, "learn_until") == 0 ||
		    strcmp(name, "sftp_server") == 0) && *value == NULL))
			continue;
		conf_print(out, &rule_keys[i], 1, rule, 2);
	}
	if (rule->count == 0)
		return;
	fputs("\t\tcommands = (", out);
	for (size_t i = 0; i < rule->count; i++) {
		fputs(i == 0 ? "\n" : ",\n", out);
		grant_print(out, &rule->grants[i]);
	}
	fputs("\n\t\t);\n", out);
}

void
policy_print(FILE *out, const struct policy *p)
{
	fputs("rules = (", out);
	for (size_t i = 0; i < p->count; i++) {
		fputs(i == 0 ? "\n\t{\n" : ",\n\t{\n", out);
		print_rule(out, &p->rules[i]);
		fputs("\t}", out);
	}
	fputs("\n);\n", out);
}

const char *
policy_rule_name(const struct rule *rule)
{
	return rule->name;
}

/* --- deciding ------------------------------------------------------------- */

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

const struct rule *
policy_find(const struct policy *p, const struct tls_identity *identity,
    const char *address)
{
	for (size_t i = 0; i < p->count; i++) {
		if (match_peer(&p->rules[i].match, identity, address) == NULL)
			return &p->rules[i];
	}
	return NULL;
}

static void
check_environment(const struct terms *terms, const struct body *request,
    struct decision *d)
{
	char name[256];

	for (size_t i = 0; i < request->nenv; i++) {
		if (!environ_name(request->env[i], name)) {
			(void)refuse(d, PROTO_CODE_INVALID, "an environment "
			    "variable is not of the form NAME=VALUE");
			return;
		}
		if (environ_is_accepted(name,
		    (const char *const *)terms->accept_environment))
			continue;
		(void)refuse(d, PROTO_CODE_DENIED, "the rule \"%s\" does not "
		    "let clients set the variable %s; its key "
		    "\"accept_environment\" would", d->rule, name);
		return;
	}
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

/* What the server sets by itself. */
#define OWN_VARIABLES	13

/* Whether all of it could be made. */
static bool
own_environment(char *env[OWN_VARIABLES + 1], struct arena *a,
    const struct policy_world *w, const struct policy_peer *peer)
{
	const struct tls_identity *id = peer->identity;
	char cn[LOG_ESCAPED_MAX(TLS_NAME_MAX)];
	size_t n = 0;

	env[n++] = join_path(a, w->path);
	env[n++] = arena_printf(a, "HOME=%s", w->home);
	env[n++] = arena_printf(a, "USER=%s", w->user);
	env[n++] = arena_printf(a, "LOGNAME=%s", w->user);
	env[n++] = arena_printf(a, "SHELL=%s", w->shell);
	env[n++] = arena_printf(a, "LANG=C.UTF-8");
	env[n++] = arena_printf(a, "AIS_SESSION=%s", peer->session);
	env[n++] = arena_printf(a, "AIS_REQUEST=%lu",
	    (unsigned long)peer->request);
	env[n++] = arena_printf(a, "AIS_PEER_CN=%s", log_escape(cn, sizeof cn,
	    id->common_name, strlen(id->common_name)));
	env[n++] = arena_printf(a, "AIS_PEER_SUBJECT=%s", id->subject);
	env[n++] = arena_printf(a, "AIS_PEER_SERIAL=%s", id->serial);
	env[n++] = arena_printf(a, "AIS_PEER_FINGERPRINT=%s",
	    id->fingerprint);
	env[n++] = arena_printf(a, "AIS_PEER_ADDR=%s", peer->address);
	env[n] = NULL;
	while (n > 0 && env[n - 1] != NULL)
		n--;
	return n == 0;
}

/* Every path that the name of a command may mean. */
static char **
make_paths(struct arena *a, char *const *path, const char *name)
{
	size_t n = 0;
	char **out;

	while (path[n] != NULL)
		n++;
	if ((out = arena_alloc(a, (n + 2) * sizeof *out)) == NULL)
		return NULL;
	/* With a slash it is a path, if need be from the directory that the
	 * child will be in. */
	if (strchr(name, '/') != NULL) {
		out[0] = arena_printf(a, "%s", name);
		out[1] = NULL;
		return out[0] == NULL ? NULL : out;
	}
	for (size_t i = 0; i < n; i++) {
		if ((out[i] = arena_printf(a, "%s/%s", path[i], name)) == NULL)
			return NULL;
	}
	out[n] = NULL;
	return out;
}

/*
 * May the client choose where the command runs?  Many programs read what lies
 * there, so a command that is granted alone runs where its rule says.
 */
static bool
chooses_directory(const struct rule *rule, const struct terms *terms)
{
	return rule->anything || rule->shell || terms->any_directory;
}

static int
refuse_directory(struct decision *d)
{
	return refuse(d, PROTO_CODE_DENIED, "the rule \"%s\" does not let "
	    "clients choose the directory; its key \"any_directory\" would",
	    d->rule);
}

/* What is decided on, so that it can be handed around as one. */
struct question {
	const struct policy_world *world;
	const struct policy_peer *peer;
	const struct body *request;
};

/* What is needed to run "name" on "terms"; -1 if memory is out. */
static int
prepare(const struct rule *rule, const struct terms *terms,
    const struct question *q, const char *name, struct decision *d)
{
	const struct policy_peer *peer = q->peer;
	bool chooses = chooses_directory(rule, terms);
	char *own[OWN_VARIABLES + 1];
	struct environ_lists lists = {
		.own = own, .set = terms->environment, .asked = q->request->env
	};

	if (q->request->directory != NULL && !chooses)
		return refuse_directory(d);
	d->allowed = true;
	d->limits = terms->limits;
	d->umask = terms->umask;
	d->wants_stdin = q->request->wants_stdin && terms->stdin;
	/* The session's own directory, once it has one; else the rule's. */
	d->base = terms->directory != NULL ? terms->directory :
	    q->world->start;
	if (peer->directory != NULL && chooses)
		d->base = peer->directory;
	d->directory = q->request->directory != NULL ? q->request->directory :
	    ".";
	if (!own_environment(own, &d->memory, q->world, peer) ||
	    (d->paths = make_paths(&d->memory, q->world->path, name)) ==
	    NULL ||
	    (d->env = environ_build(&lists, &d->memory)) == NULL ||
	    (d->base = arena_printf(&d->memory, "%s", d->base)) == NULL)
		return -1;
	return 0;
}

static int
decide_granted(const struct rule *rule, const struct grant *g,
    const struct question *q, struct decision *d)
{
	char why[POLICY_REASON_MAX / 2];
	int fits;

	(void)snprintf(d->command, sizeof d->command, "%s", g->name);
	d->logged = grant_mask(g, q->request->words, &d->memory);
	if (d->logged == NULL)
		return -1;
	check_environment(&g->terms, q->request, d);
	if (d->code != PROTO_CODE_NONE)
		return 0;
	fits = grant_fit(g, q->request->words, &d->memory, &d->argv, why,
	    sizeof why);
	if (fits == 0)
		return refuse(d, PROTO_CODE_DENIED, "the rule \"%s\" does not "
		    "grant this: %s", d->rule, why);
	if (fits == -1)
		return -1;
	d->checked = true;
	return prepare(rule, &g->terms, q, g->program, d);
}

static int
decide_anything(const struct rule *rule, const struct question *q,
    struct decision *d)
{
	check_environment(&rule->terms, q->request, d);
	if (d->code != PROTO_CODE_NONE)
		return 0;
	d->argv.argv = q->request->words;
	return prepare(rule, &rule->terms, q, q->request->words[0], d);
}

/* The command of "rule" that the request calls, or NULL. */
static const struct grant *
find_grant(const struct rule *rule, const struct body *request)
{
	if (request->operation != PROTO_RUN)
		return NULL;
	return call_grant(rule, request->words[0]);
}

static int
decide_run(const struct rule *rule, const struct question *q,
    struct decision *d)
{
	const struct grant *g = find_grant(rule, q->request);
	const char *name = q->request->words[0];

	if (*name == '\0')
		return refuse(d, PROTO_CODE_UNKNOWN, "unknown command: \"\"");
	if (strlen(name) > PROTO_PATH_MAX)
		return refuse(d, PROTO_CODE_UNKNOWN, "unknown command: its "
		    "name is longer than %d bytes", PROTO_PATH_MAX);
	if (rule->anything)
		return decide_anything(rule, q, d);
	if (g != NULL)
		return decide_granted(rule, g, q, d);
	return refuse(d, PROTO_CODE_DENIED, "the rule \"%s\" does not grant "
	    "the command %.200s to \"%.100s\"; aisc --list shows what it "
	    "does", d->rule, name,
	    q->peer->identity->common_name);
}

/* What in "line" a shell is needed for, as the middle of a sentence. */
static const char *
need_of_shell(const char *line, char out[64])
{
	char **words;
	size_t count, at;

	out[0] = '\0';
	switch (words_split(line, 1, &words, &count, &at)) {
	case WORDS_OK:
		words_free(words);
		break;
	case WORDS_SHELL:
		if (line[at] == '\n')
			return ", which a line of several lines needs";
		(void)snprintf(out, 64, ", which the %c in it needs",
		    line[at]);
		break;
	case WORDS_QUOTE:
	case WORDS_BACKSLASH:
	case WORDS_MEMORY:
		break;
	}
	return out;
}

static int
decide_shell(const struct rule *rule, const struct question *q,
    struct decision *d)
{
	static char name[] = "sh", option[] = "-c";
	char **argv, need[64];

	d->shell = true;
	if (!rule->shell)
		return refuse(d, PROTO_CODE_DENIED, "the rule \"%s\" grants no "
		    "shell to \"%.100s\"%s; its key \"shell\" would", d->rule,
		    q->peer->identity->common_name,
		    need_of_shell(q->request->words[0], need));
	check_environment(&rule->terms, q->request, d);
	if (d->code != PROTO_CODE_NONE)
		return 0;
	if ((argv = arena_alloc(&d->memory, 4 * sizeof *argv)) == NULL)
		return -1;
	argv[0] = name;
	argv[1] = option;
	argv[2] = q->request->words[0];
	argv[3] = NULL;
	d->argv.argv = argv;
	return prepare(rule, &rule->terms, q, q->world->shell, d);
}

/* A list of strings, as it is now: rules may go while a command runs. */
static char **
copy_words(char *const *words, struct arena *a)
{
	size_t n = 0;
	char **copy;

	while (words[n] != NULL)
		n++;
	if ((copy = arena_alloc(a, (n + 1) * sizeof *copy)) == NULL)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		if ((copy[i] = arena_printf(a, "%s", words[i])) == NULL)
			return NULL;
	}
	copy[n] = NULL;
	return copy;
}

static int
decide_subsystem(const struct rule *rule, const struct question *q,
    struct decision *d)
{
	const char *name = q->request->words[0];

	if (strcmp(name, "sftp") != 0)
		return refuse(d, PROTO_CODE_UNKNOWN, "unknown subsystem: "
		    "%.200s; there is \"sftp\" alone", name);
	if (rule->sftp_server == NULL)
		return refuse(d, PROTO_CODE_DENIED, "the rule \"%s\" names no "
		    "sftp server for \"%.100s\"; its key \"sftp_server\" "
		    "would", d->rule, q->peer->identity->common_name);
	(void)snprintf(d->command, sizeof d->command, "%s", name);
	check_environment(&rule->terms, q->request, d);
	if (d->code != PROTO_CODE_NONE)
		return 0;
	d->checked = true;
	d->argv.argv = copy_words(rule->sftp_server, &d->memory);
	if ((d->logged = d->argv.argv) == NULL)
		return -1;
	return prepare(rule, &rule->terms, q, rule->sftp_server[0], d);
}

/* A directory is entered as the command's user, who may or may not. */
static int
decide_chdir(const struct rule *rule, const struct question *q,
    struct decision *d)
{
	const struct body *request = q->request;

	if (!chooses_directory(rule, &rule->terms))
		return refuse_directory(d);
	if (prepare(rule, &rule->terms, q, "chdir", d) == -1)
		return -1;
	d->directory = request->nwords > 0 ? request->words[0] :
	    rule->terms.directory != NULL ? rule->terms.directory :
	    q->world->start;
	d->directory = arena_printf(&d->memory, "%s", d->directory);
	return d->directory == NULL ? -1 : 0;
}

static int
refuse_line(const struct question *q, struct decision *d)
{
	const char *line = q->request->words[0];
	enum words_error e;
	char **words;
	size_t count, at;

	if ((e = words_split(line, 1, &words, &count, &at)) == WORDS_OK)
		words_free(words);
	return refuse(d, PROTO_CODE_INVALID, "the line cannot be run: %s",
	    e == WORDS_OK ? "it has no word" : words_strerror(e));
}

static int
decide(const struct rule *rule, const struct question *q, struct decision *d)
{
	switch (q->request->operation) {
	case PROTO_RUN:
		return decide_run(rule, q, d);
	case PROTO_SHELL:
		return decide_shell(rule, q, d);
	case PROTO_CHDIR:
		return decide_chdir(rule, q, d);
	case PROTO_SUBSYSTEM:
		return decide_subsystem(rule, q, d);
	case PROTO_LINE:
		/* What can be run is settled, and a LINE no more. */
		return refuse_line(q, d);
	case PROTO_LIST:
	case PROTO_CAN:
		break;
	}
	/* These two are about what may be run, and run nothing. */
	d->allowed = true;
	return 0;
}

/* While the rule learns, what it would refuse is run, and said to be so. */
static int
learn(const struct rule *rule, const struct question *q, struct decision *d)
{
	const struct grant *g = find_grant(rule, q->request);
	struct rule open = *rule;
	int result;

	if (d->allowed || d->code != PROTO_CODE_DENIED ||
	    q->peer->now >= rule->learn_end)
		return 0;
	open.anything = open.shell = true;
	d->code = PROTO_CODE_NONE;
	/* A variable may mean more to a program than any argument: it is
	 * refused while the rule learns as well. */
	if (g != NULL)
		check_environment(&g->terms, q->request, d);
	if (d->code != PROTO_CODE_NONE)
		return 0;
	if (g == NULL)
		result = decide(&open, q, d);
	else if ((d->argv.argv = grant_open(g, q->request->words,
	    &d->memory)) == NULL)
		result = -1;
	else
		result = prepare(&open, &g->terms, q, g->program, d);
	d->learned = d->allowed;
	return result;
}

/* --- LINE, as ssh(1) and sshd(8) would have it -------------------------- */

/* Make "words" the argv of "b", without a first word that only a shell knows:
 * "exec" before a command. */
static int
settle_words(struct body *b, char *const *words, size_t count,
    struct arena *a)
{
	size_t skip = count > 1 && strcmp(words[0], "exec") == 0;

	b->operation = PROTO_RUN;
	b->nwords = count - skip;
	b->words = copy_words(words + skip, a);
	return b->words == NULL ? -1 : 0;
}

/* Leave out the variables that are not let through: sshd does not refuse a
 * command for them either, and tools send them on the chance. */
static int
settle_variables(const struct rule *rule, struct body *b, struct arena *a)
{
	const struct grant *g = find_grant(rule, b);
	const struct terms *terms = g == NULL ? &rule->terms : &g->terms;
	char **env = arena_alloc(a, (b->nenv + 1) * sizeof *env);
	char name[256];
	size_t n = 0;

	if (env == NULL)
		return -1;
	for (size_t i = 0; i < b->nenv; i++) {
		if (environ_name(b->env[i], name) &&
		    environ_is_accepted(name,
		    (const char *const *)terms->accept_environment))
			env[n++] = b->env[i];
	}
	env[n] = NULL;
	b->env = env;
	b->nenv = n;
	return 0;
}

/* Make "b" what its line asks for under "rule": SHELL, or RUN, or LINE as
 * before if it is neither.  0, or -1 if memory is out. */
static int
settle_line(const struct rule *rule, struct body *b, struct decision *d)
{
	enum words_error e;
	char **words;
	size_t count, at;
	int result = 0;

	e = words_split(b->words[0], 1, &words, &count, &at);
	if (e == WORDS_MEMORY)
		return -1;
	if (rule->shell || e == WORDS_SHELL)
		b->operation = PROTO_SHELL;
	else if (e == WORDS_OK && count > 0) {
		result = settle_words(b, words, count, &d->memory);
		d->logged = b->words;
	}
	if (e == WORDS_OK)
		words_free(words);
	return result == -1 ? -1 : settle_variables(rule, b, &d->memory);
}

int
policy_decide(const struct policy *p, const struct policy_world *w,
    const struct policy_peer *peer, const struct body *request,
    struct decision *d)
{
	struct body settled = *request;
	const struct question q = { w, peer, &settled };
	const struct rule *rule = peer->rule;

	memset(d, 0, sizeof *d);
	if (rule == NULL)
		rule = policy_find(p, peer->identity, peer->address);
	if (rule == NULL)
		return refuse(d, PROTO_CODE_DENIED, "no rule matches the "
		    "client \"%.200s\"; aisd.conf needs one for it",
		    peer->identity->subject);
	(void)snprintf(d->rule, sizeof d->rule, "%s", rule->name);
	if ((settled.operation != PROTO_LINE ||
	    settle_line(rule, &settled, d) == 0) &&
	    decide(rule, &q, d) == 0 && learn(rule, &q, d) == 0)
		return 0;
	decision_free(d);
	return -1;
}

void
decision_free(struct decision *d)
{
	arena_free(&d->memory);
	d->paths = d->env = d->logged = d->argv.argv = NULL;
	d->base = d->directory = NULL;
}

/* --- for people ----------------------------------------------------------- */

void
policy_list(FILE *out, const struct rule *rule)
{
	if (rule->anything)
		fputs("*\tany program, by its name or path\n", out);
	if (rule->shell)
		fputs("-c LINE\ta line for the shell\n", out);
	if (rule->sftp_server != NULL)
		fputs("-s sftp\tfiles, by sftp and scp over aisc-ssh\n", out);
	for (size_t i = 0; i < rule->count; i++)
		fprintf(out, "%s\t%s\n", rule->grants[i].name,
		    rule->grants[i].summary == NULL ? "" :
		    rule->grants[i].summary);
}

static void
print_limits(FILE *out, const struct limits *l)
{
	static const struct conf_key keys[] = {
		{ "time_limit", CONF_SECONDS,
		    offsetof(struct limits, time_limit), 0, 0 },
		{ "output_limit", CONF_SIZE,
		    offsetof(struct limits, output_limit), 0, 0 },
		{ "memory_limit", CONF_SIZE,
		    offsetof(struct limits, memory_limit), 0, 0 },
		{ "cpu_limit", CONF_SECONDS,
		    offsetof(struct limits, cpu_limit), 0, 0 },
		{ "process_limit", CONF_INT,
		    offsetof(struct limits, process_limit), 0, 0 },
		{ "open_files", CONF_INT,
		    offsetof(struct limits, open_files), 0, 0 },
		{ "nice", CONF_INT, offsetof(struct limits, nice), 0, 0 },
		{ "no_new_privs", CONF_BOOL,
		    offsetof(struct limits, no_new_privs), 0, 0 },
	};

	conf_print(out, keys, sizeof keys / sizeof keys[0], l, 1);
}

static void
explain_decision(FILE *out, const struct decision *d)
{
	char *argv;

	if (!d->allowed) {
		fprintf(out, "refused: %s\n", d->reason);
		return;
	}
	fprintf(out, "allowed by the rule \"%s\"%s%s%s\n", d->rule,
	    d->learned ? ", which is learning" : "",
	    *d->command == '\0' ? "" : ", as its command ", d->command);
	if (d->argv.argv != NULL &&
	    (argv = words_join(d->argv.argv, 4096)) != NULL) {
		fprintf(out, "\targv: %s\n", argv);
		free(argv);
	}
	for (char **p = d->paths; p != NULL && *p != NULL; p++)
		fprintf(out, "\tprogram: %s\n", *p);
	/* A question runs nothing, anywhere. */
	if (d->directory == NULL)
		return;
	fprintf(out, "\tdirectory: %s\n", d->directory[0] == '.' ?
	    d->base : d->directory);
	print_limits(out, &d->limits);
}

bool
policy_explain(FILE *out, const struct policy *p,
    const struct policy_world *w, const struct policy_peer *peer,
    const struct body *request)
{
	const struct rule *rule = NULL;
	struct decision d;
	bool allowed;

	for (size_t i = 0; i < p->count && rule == NULL; i++) {
		const char *key = match_peer(&p->rules[i].match,
		    peer->identity, peer->address);

		fprintf(out, "%s: rule \"%s\": %s%s\n", p->rules[i].where,
		    p->rules[i].name, key == NULL ? "matches" :
		    "does not match, because of its key ", key == NULL ? "" :
		    key);
		if (key == NULL)
			rule = &p->rules[i];
	}
	if (rule == NULL)
		fputs("no rule matches: everything is refused\n", out);
	if (rule == NULL || request == NULL)
		return rule != NULL;
	if (policy_decide(p, w, peer, request, &d) == -1) {
		fputs("out of memory\n", out);
		return false;
	}
	allowed = d.allowed;
	explain_decision(out, &d);
	decision_free(&d);
	return allowed;
}

/* One limit against what the system allows us; "above" is that of the level
 * above, where it has been looked at already. */
static int
warn_limit(FILE *out, const char *where, const char *name, int resource,
    int64_t value, int64_t above)
{
	struct rlimit r;

	if (value == 0 || value == above ||
	    getrlimit((__rlimit_resource_t)resource, &r) == -1 ||
	    r.rlim_max == RLIM_INFINITY || (uint64_t)value <= r.rlim_max)
		return 0;
	fprintf(out, "%s: %s: above the hard limit of %llu, which holds\n",
	    where, name, (unsigned long long)r.rlim_max);
	return 1;
}

static int
warn_limits(FILE *out, const char *where, const struct limits *l,
    const struct limits *above)
{
	return warn_limit(out, where, "memory_limit", RLIMIT_AS,
	    l->memory_limit, above->memory_limit) +
	    warn_limit(out, where, "cpu_limit", RLIMIT_CPU,
	    l->cpu_limit / 1000, above->cpu_limit / 1000) +
	    warn_limit(out, where, "process_limit", RLIMIT_NPROC,
	    l->process_limit, above->process_limit) +
	    warn_limit(out, where, "open_files", RLIMIT_NOFILE,
	    l->open_files, above->open_files);
}

static int
warn_rule(FILE *out, const struct rule *rule, const struct limits *above)
{
	const struct limits *ours = &rule->terms.limits;
	char why[1024];
	int n = warn_limits(out, rule->where, ours, above);

	if (!rule->anything && !rule->shell && rule->count == 0 &&
	    rule->sftp_server == NULL && rule->learn_end == 0) {
		fprintf(out, "%s: the rule \"%s\" grants nothing\n",
		    rule->where, rule->name);
		n++;
	}
	if (rule->sftp_server != NULL && grant_check_program(
	    rule->sftp_server[0], why, sizeof why) != NULL) {
		fprintf(out, "%s: sftp_server: %s\n", rule->where, why);
		n++;
	}
	for (size_t i = 0; i < rule->count; i++) {
		const struct grant *g = &rule->grants[i], *first;

		n += warn_limits(out, g->where, &g->terms.limits, ours);
		if (grant_check_program(g->program, why, sizeof why) != NULL) {
			fprintf(out, "%s: %s\n", g->where, why);
			n++;
		}
		first = call_grant(rule, g->name);
		if (first != NULL && first != g) {
			fprintf(out, "%s: the command \"%s\" is never "
			    "reached: %s has the same name\n", g->where,
			    g->name, first->where);
			n++;
		}
	}
	return n;
}

int
policy_warn(FILE *out, const struct policy *p)
{
	static const struct limits none;
	const struct rule *all = NULL;
	int n = warn_limits(out, "the top level", &p->defaults.limits, &none);

	if (p->count == 0) {
		fputs("there are no rules: everything is refused\n", out);
		n++;
	}
	for (size_t i = 0; i < p->count; i++) {
		const struct rule *rule = &p->rules[i];

		n += warn_rule(out, rule, &p->defaults.limits);
		if (all != NULL) {
			fprintf(out, "%s: the rule \"%s\" is never reached: "
			    "%s matches everybody\n", rule->where, rule->name,
			    all->where);
			n++;
		} else if (match_is_everybody(&rule->match))
			all = rule;
	}
	return n;
}
