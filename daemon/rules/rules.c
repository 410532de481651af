/* Rules: whom each is for, and what it grants.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "common/conf/conf.h"
#include "common/base/date.h"
#include "common/base/text.h"
#include "common/tls/tls.h"
#include "daemon/exec/arena.h"
#include "daemon/rules/groups.h"
#include "daemon/rules/rules.h"

/* The limits that the system has as well. */
static const char *const limit_keys[] = {
	"memory_limit", "cpu_limit", "process_limit", "open_files"
};

#define LIMITS	(sizeof limit_keys / sizeof limit_keys[0])

struct rules {
	struct groups groups;
	struct rule *rules;
	size_t count;
	struct exec_options defaults;
	char *limits[LIMITS];	/* FILE:LINE of those of the defaults. */
};

static const struct conf_key rule_keys[] = {
	CONF_KEY(struct rule, name, CONF_STRING),
	MATCH_KEYS(struct rule, match),
	CONF_KEY(struct rule, groups, CONF_STRINGS),
	CONF_KEY(struct rule, anything, CONF_BOOL),
	CONF_KEY(struct rule, shell, CONF_BOOL),
	CONF_KEY(struct rule, learn_until, CONF_STRING),
	CONF_KEY(struct rule, sftp_server, CONF_STRINGS),
	EXEC_OPTIONS_KEYS(struct rule, options),
	CONF_LIST_OF_GROUPS(commands),
};

#define RULE_KEYS	(sizeof rule_keys / sizeof rule_keys[0])

/* --- loading -------------------------------------------------------------- */

/* A day as "YYYY-MM-DD" in UTC; the second after it, or -1. */
static int64_t
end_of_day(const char *text)
{
	struct tm tm;
	const char *end;

	memset(&tm, 0, sizeof tm);
	if (strlen(text) != 10 ||
	    (end = strptime(text, "%Y-%m-%d", &tm)) == NULL || *end != '\0')
		return -1;
	return date_seconds(&tm) + 86400;
}

/* Find the groups that the rule names. */
static int
join_groups(const struct rules *p, struct rule *rule,
    const struct conf_group *group)
{
	size_t n = text_list_length(rule->groups);
	int errors = 0;

	if (rule->groups == NULL)
		return 0;
	if (n == 0)
		return conf_complain(group, "groups", "an empty list fits "
		    "no client; remove it, or say whom it is for");
	/* Pointers.  NOLINTNEXTLINE(bugprone-sizeof-expression) */
	rule->in = calloc(n, sizeof *rule->in);
	if (rule->in == NULL)
		return conf_complain(group, NULL, "out of memory");
	for (size_t i = 0; i < n; i++) {
		rule->in[i] = groups_find(&p->groups, rule->groups[i]);
		if (rule->in[i] == NULL)
			errors += conf_complain(group, "groups", "there is no "
			    "group \"%.100s\"; name it in the list \"groups\" "
			    "at the top level", rule->groups[i]);
	}
	return errors;
}

static int
check_rule(const struct conf_group *group, struct rule *rule)
{
	int errors = match_prepare(&rule->match, group, rule->groups != NULL) +
	    grant_check_environment(&rule->options, group);

	if (rule->name != NULL && strlen(rule->name) >= RULE_NAME_MAX)
		errors += conf_complain(group, "name", "longer than %d bytes",
		    RULE_NAME_MAX - 1);
	if (rule->anything && conf_has(group, "commands"))
		errors += conf_complain(group, "commands", "the rule grants "
		    "anything already; remove one of the two");
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
	struct grant *grants;

	if ((rule->count & (rule->count - 1)) == 0) {
		grants = realloc(rule->grants,
		    2 * (rule->count + 1) * sizeof *grants);
		if (grants == NULL)
			return conf_complain(group, NULL, "out of memory");
		rule->grants = grants;
	}
	grants = &rule->grants[rule->count++];
	if (grant_load(grants, group, text, &rule->options) > 0)
		return 1;
	return !rule->shell || !grants->original_command ? 0 : conf_complain(
	    group, "original_command", "the rule grants a shell, which takes "
	    "each line; remove one of the two");
}

static int
add_rule(void *context, const struct conf_group *group, const char *text)
{
	struct rules *p = context;
	struct rule *rules, *rule;
	char name[32], where[CONF_STRING_MAX + 32];

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
	if (exec_options_copy(&rule->options, &p->defaults) == -1)
		return conf_complain(group, NULL, "out of memory");
	if (conf_read_group(group, rule_keys, RULE_KEYS, rule) > 0)
		return 1;
	(void)snprintf(name, sizeof name, "%zu", p->count);
	if (rule->name == NULL)
		rule->name = strdup(name);
	rule->where = strdup(conf_group_where(group, where, sizeof where));
	rule->learn_where = strdup(conf_key_where(group, "learn_until", where,
	    sizeof where));
	if (rule->name == NULL || rule->where == NULL ||
	    rule->learn_where == NULL)
		return conf_complain(group, NULL, "out of memory");
	return check_rule(group, rule) + join_groups(p, rule, group) +
	    conf_each_in(group, "commands", add_grant, rule);
}

struct rules *
rules_load(struct conf *conf, const struct exec_options *defaults, int *errors)
{
	struct rules *p = calloc(1, sizeof *p);
	char where[CONF_STRING_MAX + 32];

	if (p == NULL || exec_options_copy(&p->defaults, defaults) == -1) {
		rules_free(p);
		return NULL;
	}
	for (size_t i = 0; i < LIMITS; i++) {
		p->limits[i] = strdup(conf_where(conf, limit_keys[i], where,
		    sizeof where));
		if (p->limits[i] == NULL) {
			rules_free(p);
			return NULL;
		}
	}
	*errors += groups_load(&p->groups, conf);
	*errors += conf_each(conf, "rules", add_rule, p);
	return p;
}

void
rules_free(struct rules *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < p->count; i++) {
		struct rule *rule = &p->rules[i];

		match_free(&rule->match);
		free(rule->in);
		for (size_t k = 0; k < rule->count; k++)
			grant_free(&rule->grants[k]);
		free(rule->grants);
		free(rule->where);
		free(rule->learn_where);
		conf_free_values(rule_keys, RULE_KEYS, rule);
	}
	for (size_t i = 0; i < LIMITS; i++)
		free(p->limits[i]);
	groups_free(&p->groups);
	free(p->rules);
	exec_options_free(&p->defaults);
	free(p);
}

size_t
rules_count(const struct rules *p)
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
rules_print(FILE *out, const struct rules *p)
{
	groups_print(out, &p->groups);
	fputs("rules = (", out);
	for (size_t i = 0; i < p->count; i++) {
		fputs(i == 0 ? "\n\t{\n" : ",\n\t{\n", out);
		print_rule(out, &p->rules[i]);
		fputs("\t}", out);
	}
	fputs("\n);\n", out);
}

/* NULL, or the key because of which the peer does not match. */
static const char *
match_rule(const struct rule *rule, const struct tls_identity *identity,
    const char *address)
{
	const char *key = match_peer(&rule->match, identity, address);

	if (key != NULL || rule->in == NULL)
		return key;
	for (size_t i = 0; rule->groups[i] != NULL; i++) {
		if (match_peer(rule->in[i], identity, address) == NULL)
			return NULL;
	}
	return "groups";
}

const struct rule *
rules_find(const struct rules *p, const struct tls_identity *identity,
    const char *address)
{
	for (size_t i = 0; i < p->count; i++) {
		if (match_rule(&p->rules[i], identity, address) == NULL)
			return &p->rules[i];
	}
	return NULL;
}

const struct rule *
rules_explain(FILE *out, const struct rules *p,
    const struct tls_identity *identity, const char *address)
{
	for (size_t i = 0; i < p->count; i++) {
		const struct rule *rule = &p->rules[i];
		const char *key = match_rule(rule, identity, address);

		fprintf(out, "%s: rule \"%s\": %s%s\n", rule->where,
		    rule->name, key == NULL ? "matches" : "does not match, "
		    "because of its key ", key == NULL ? "" : key);
		if (key == NULL)
			return rule;
	}
	return NULL;
}

/* The longest text of arguments in a list. */
#define USAGE_MAX	2048

/* A line of the list.  What stands in the configuration for people is escaped,
 * so that there are as many lines and columns as there should be. */
static void
list_line(FILE *out, const char *name, const char *summary,
    const char *arguments)
{
	const char *const columns[] = { summary, arguments };
	char shown[TEXT_ESCAPED_MAX(CONF_STRING_MAX)];

	fputs(name, out);
	for (size_t i = 0; i < 2 && columns[i] != NULL; i++)
		fprintf(out, "\t%s", text_printable(shown, sizeof shown,
		    columns[i], strlen(columns[i])));
	fputc('\n', out);
}

static void
list_grant(FILE *out, const struct grant *g, bool arguments)
{
	const char *summary = g->summary != NULL ? g->summary : "";
	char usage[USAGE_MAX];

	usage[0] = '\0';
	/* Where words are masked, what they may be is a secret as well. */
	if (g->log_mask == NULL || g->log_mask[0] == NULL)
		(void)slots_usage(&g->slots, usage, sizeof usage);
	if (g->original_command)
		list_line(out, "*", g->summary != NULL ? summary : "any words, "
		    "for a program that reads them", arguments ? "" : NULL);
	else
		list_line(out, g->name, summary, arguments ? usage : NULL);
}

void
rule_list(FILE *out, const struct rule *rule, bool arguments)
{
	const char *none = arguments ? "" : NULL;

	if (rule->anything)
		list_line(out, "*", "any program, by its name or path", none);
	if (rule->shell)
		list_line(out, "-c LINE", "a line for the shell", none);
	if (rule->sftp_server != NULL)
		list_line(out, "-s sftp", "files, by sftp and scp over "
		    "aisc-ssh", none);
	for (size_t i = 0; i < rule->count; i++)
		list_grant(out, &rule->grants[i], arguments);
}

/* --- the commands of a rule --------------------------------- */

const struct grant *
rule_call(const struct rule *rule, const char *name, const struct grant *after)
{
	size_t i = after == NULL ? 0 : (size_t)(after - rule->grants) + 1;

	for (; i < rule->count; i++) {
		if (grant_is_called(&rule->grants[i], name))
			return &rule->grants[i];
	}
	return NULL;
}

const struct grant *
rule_catches_all(const struct rule *rule)
{
	for (size_t i = 0; i < rule->count; i++) {
		if (rule->grants[i].original_command)
			return &rule->grants[i];
	}
	return NULL;
}

struct rule_choice
rule_choose(const struct rule *rule, char *const *words)
{
	struct rule_choice c = { .grant = NULL };
	const struct grant *g = NULL;
	struct slots_misfit m;

	while ((g = rule_call(rule, words[0], g)) != NULL) {
		if (grant_fits(g, words, &m))
			return (struct rule_choice){ g, true, 0 };
		if (c.grant == NULL || m.words > c.words)
			c = (struct rule_choice){ g, false, m.words };
	}
	return c;
}

char **
rule_mask(const struct rule *rule, char *const *words, struct arena *a)
{
	size_t n = text_list_length(words);
	char **masked = arena_alloc(a, (n + 1) * sizeof *masked);
	const struct grant *g = NULL;

	if (masked == NULL)
		return NULL;
	memcpy(masked, words, (n + 1) * sizeof *masked);
	while ((g = rule_call(rule, words[0], g)) != NULL) {
		if (grant_mask(g, words, masked, a) == -1)
			return NULL;
	}
	return masked;
}

/* --- warnings ---------------------------------------------- */

/* Write those of "l" that are above what the system allows us, and differ from
 * "above", the level above, where they have been looked at already.  Each is
 * set at its place of "places", or else all are at "where". */
static int
warn_limits(FILE *out, char *const *places, const char *where,
    const struct limits *l, const struct limits *above)
{
	const struct {
		int resource;
		int64_t value, above;
	} all[LIMITS] = {
		{ RLIMIT_AS, l->memory_limit, above->memory_limit },
		{ RLIMIT_CPU, l->cpu_limit / 1000, above->cpu_limit / 1000 },
		{ RLIMIT_NPROC, l->process_limit, above->process_limit },
		{ RLIMIT_NOFILE, l->open_files, above->open_files }
	};
	struct rlimit r;
	int n = 0;

	for (size_t i = 0; i < LIMITS; i++) {
		if (all[i].value == 0 || all[i].value == all[i].above ||
		    getrlimit((__rlimit_resource_t)all[i].resource, &r) ==
		    -1 || r.rlim_max == RLIM_INFINITY ||
		    (uint64_t)all[i].value <= r.rlim_max)
			continue;
		n += conf_warning(out, places == NULL ? where : places[i],
		    "%s: above the hard limit of %llu, which holds",
		    limit_keys[i], (unsigned long long)r.rlim_max);
	}
	return n;
}

/* Is the command never reached, since one before it takes all its words, under
 * each of its names?  That one, or NULL. */
static const struct grant *
hidden_by(const struct rule *rule, const struct grant *g)
{
	const char *call = g->slots.inserted ? g->name : g->program;
	const struct grant *first = NULL;

	while ((first = rule_call(rule, call, first)) != NULL && first != g) {
		if (first->original_command || (!g->original_command &&
		    slots_cover(&first->slots, &g->slots)))
			return first;
	}
	return NULL;
}

static int
warn_rule(FILE *out, const struct rule *rule, const struct limits *above,
    const struct account *commands)
{
	const struct limits *ours = &rule->options.limits;
	bool learns = rule->learn_end > date_now();
	char why[1024];
	int n = warn_limits(out, NULL, rule->where, ours, above);

	if (learns)
		n += conf_warning(out, rule->learn_where, "the rule \"%s\" "
		    "learns until the end of %s (UTC), and runs all that its "
		    "clients ask for: remove \"learn_until\" when it has "
		    "learned enough", rule->name, rule->learn_until);
	if (!rule->anything && !rule->shell && rule->count == 0 &&
	    rule->sftp_server == NULL && !learns)
		n += conf_warning(out, rule->where, "the rule \"%s\" grants "
		    "nothing%s", rule->name, rule->learn_end == 0 ? "" :
		    ", since it has learned and got no commands");
	if (rule->sftp_server != NULL && grant_check_program(
	    rule->sftp_server[0], commands, why, sizeof why) != NULL)
		n += conf_warning(out, rule->where, "sftp_server: %s", why);
	for (size_t i = 0; i < rule->count; i++) {
		const struct grant *g = &rule->grants[i], *first;

		n += warn_limits(out, NULL, g->where, &g->options.limits,
		    ours);
		if (grant_check_program(g->program, commands, why,
		    sizeof why) != NULL)
			n += conf_warning(out, g->where, "%s", why);
		if (slots_check(&g->slots, commands, why, sizeof why) != NULL)
			n += conf_warning(out, g->where, "%s", why);
		if ((first = hidden_by(rule, g)) != NULL)
			n += conf_warning(out, g->where, "the command \"%s\" "
			    "is never reached: %s %s", g->name, first->where,
			    first->original_command ? "takes all words" :
			    "has the same name and takes all its words");
	}
	return n;
}

int
rules_warn(FILE *out, const struct rules *p, const struct account *commands)
{
	static const struct limits none;
	const struct rule *all = NULL;
	int n = warn_limits(out, p->limits, NULL, &p->defaults.limits, &none);

	if (p->count == 0)
		n += conf_warning(out, NULL, "there are no rules: everything "
		    "is refused");
	for (size_t i = 0; i < p->count; i++) {
		const struct rule *rule = &p->rules[i];

		n += warn_rule(out, rule, &p->defaults.limits, commands);
		if (all != NULL)
			n += conf_warning(out, rule->where, "the rule \"%s\" "
			    "is never reached: %s matches everybody",
			    rule->name, all->where);
		else if (rule->in == NULL && match_is_everybody(&rule->match))
			all = rule;
	}
	return n;
}
