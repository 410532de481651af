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
#include "common/tls/tls.h"
#include "daemon/rules/rules.h"

struct rules {
	struct rule *rules;
	size_t count;
	struct exec_options defaults;
};

static const struct conf_key rule_keys[] = {
	CONF_KEY(struct rule, name, CONF_STRING),
	MATCH_KEYS(struct rule, match),
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

static int
check_rule(const struct conf_group *group, struct rule *rule)
{
	int errors = match_prepare(&rule->match, group);

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
	struct grant *grants = realloc(rule->grants,
	    (rule->count + 1) * sizeof *grants);

	if (grants == NULL)
		return conf_complain(group, NULL, "out of memory");
	rule->grants = grants;
	return grant_load(&grants[rule->count++], group, text, &rule->options);
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
	if (rule->name == NULL || rule->where == NULL)
		return conf_complain(group, NULL, "out of memory");
	return check_rule(group, rule) +
	    conf_each_in(group, "commands", add_grant, rule);
}

struct rules *
rules_load(struct conf *conf, const struct exec_options *defaults, int *errors)
{
	struct rules *p = calloc(1, sizeof *p);

	if (p == NULL || exec_options_copy(&p->defaults, defaults) == -1) {
		rules_free(p);
		return NULL;
	}
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
		for (size_t k = 0; k < rule->count; k++)
			grant_free(&rule->grants[k]);
		free(rule->grants);
		free(rule->where);
		conf_free_values(rule_keys, RULE_KEYS, rule);
	}
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
	fputs("rules = (", out);
	for (size_t i = 0; i < p->count; i++) {
		fputs(i == 0 ? "\n\t{\n" : ",\n\t{\n", out);
		print_rule(out, &p->rules[i]);
		fputs("\t}", out);
	}
	fputs("\n);\n", out);
}

const struct rule *
rules_find(const struct rules *p, const struct tls_identity *identity,
    const char *address)
{
	for (size_t i = 0; i < p->count; i++) {
		if (match_peer(&p->rules[i].match, identity, address) == NULL)
			return &p->rules[i];
	}
	return NULL;
}

const struct grant *
rule_call(const struct rule *rule, const char *name)
{
	for (size_t i = 0; i < rule->count; i++) {
		const struct grant *g = &rule->grants[i];

		if (strcmp(g->name, name) == 0 || strcmp(g->program, name) == 0)
			return g;
	}
	return NULL;
}

const struct rule *
rules_explain(FILE *out, const struct rules *p,
    const struct tls_identity *identity, const char *address)
{
	for (size_t i = 0; i < p->count; i++) {
		const struct rule *rule = &p->rules[i];
		const char *key = match_peer(&rule->match, identity, address);

		fprintf(out, "%s: rule \"%s\": %s%s\n", rule->where,
		    rule->name, key == NULL ? "matches" : "does not match, "
		    "because of its key ", key == NULL ? "" : key);
		if (key == NULL)
			return rule;
	}
	return NULL;
}

void
rule_list(FILE *out, const struct rule *rule)
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

/* --- warnings ---------------------------------------------- */

/* Write a line; 1, to be added to their number. */
static int __attribute__((format(printf, 3, 4)))
rules_warning(FILE *out, const char *where, const char *format, ...)
{
	char text[PATH_MAX + 512];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	fprintf(out, "%s%s%s\n", where == NULL ? "" : where,
	    where == NULL ? "" : ": ", text);
	return 1;
}

/* One limit against what the system allows us; "above" is that of the level
 * above, where it has been checked already. */
static int
warn_limit(FILE *out, const char *where, const char *name, int resource,
    int64_t value, int64_t above)
{
	struct rlimit r;

	if (value == 0 || value == above ||
	    getrlimit((__rlimit_resource_t)resource, &r) == -1 ||
	    r.rlim_max == RLIM_INFINITY || (uint64_t)value <= r.rlim_max)
		return 0;
	return rules_warning(out, where, "%s: above the hard limit of %llu, "
	    "which holds", name, (unsigned long long)r.rlim_max);
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
warn_rule(FILE *out, const struct rule *rule, const struct limits *above,
    const struct account *commands)
{
	const struct limits *ours = &rule->options.limits;
	char why[1024];
	int n = warn_limits(out, rule->where, ours, above);

	if (!rule->anything && !rule->shell && rule->count == 0 &&
	    rule->sftp_server == NULL && rule->learn_end == 0)
		n += rules_warning(out, rule->where, "the rule \"%s\" grants "
		    "nothing", rule->name);
	if (rule->sftp_server != NULL && grant_check_program(
	    rule->sftp_server[0], commands, why, sizeof why) != NULL)
		n += rules_warning(out, rule->where, "sftp_server: %s", why);
	for (size_t i = 0; i < rule->count; i++) {
		const struct grant *g = &rule->grants[i], *first;

		n += warn_limits(out, g->where, &g->options.limits, ours);
		if (grant_check_program(g->program, commands, why,
		    sizeof why) != NULL)
			n += rules_warning(out, g->where, "%s", why);
		if (grant_check_slots(g, commands, why, sizeof why) != NULL)
			n += rules_warning(out, g->where, "%s", why);
		if ((first = rule_call(rule, g->name)) != g)
			n += rules_warning(out, g->where, "the command \"%s\" "
			    "is never reached: %s has the same name", g->name,
			    first->where);
	}
	return n;
}

int
rules_warn(FILE *out, const struct rules *p, const struct account *commands)
{
	static const struct limits none;
	const struct rule *all = NULL;
	int n = warn_limits(out, "the top level", &p->defaults.limits, &none);

	if (p->count == 0)
		n += rules_warning(out, NULL, "there are no rules: everything "
		    "is refused");
	for (size_t i = 0; i < p->count; i++) {
		const struct rule *rule = &p->rules[i];

		n += warn_rule(out, rule, &p->defaults.limits, commands);
		if (all != NULL)
			n += rules_warning(out, rule->where, "the rule \"%s\" "
			    "is never reached: %s matches everybody",
			    rule->name, all->where);
		else if (match_is_everybody(&rule->match))
			all = rule;
	}
	return n;
}
