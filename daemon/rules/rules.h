/*
 * rules.h - rules as the configuration has them: whom each is for, and what it
 * grants.
 *
 * The first rule that matches a peer decides; where none does, all is
 * refused.  What a request comes to under a rule is in policy.h.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_RULES_H
#define AIS_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "daemon/rules/grant.h"
#include "daemon/rules/match.h"
#include "daemon/exec/exec-options.h"

struct account;
struct arena;
struct conf;
struct rules;
struct tls_identity;

#define RULE_NAME_MAX		64

/* One rule.  What it grants is the rule's business; rules_load() has checked
 * it. */
struct rule {
	char *name;
	struct match match;
	char **groups;		/* Peers of one of these; or NULL. */
	bool anything;
	bool shell;
	char *learn_until;	/* The last day, "YYYY-MM-DD". */
	char **sftp_server;	/* argv of the subsystem "sftp", or NULL. */
	struct exec_options options;
	const struct match **in;	/* What "groups" names. */
	struct grant *grants;
	size_t count;
	int64_t learn_end;	/* The second after it, since 1970; or 0. */
	char *where;		/* FILE:LINE, */
	char *learn_where;	/* and that of "learn_until". */
};

/*
 * Read the lists "groups" and "rules" of "conf", with "defaults" for what a
 * rule does not set.  Adds the number of errors, each after a message, to
 * "*errors".  NULL if memory is out.
 */
struct rules *rules_load(struct conf *conf, const struct exec_options *defaults,
    int *errors);
void rules_free(struct rules *rules);

/* How many rules there are. */
size_t rules_count(const struct rules *rules);

/* Write the rules in libconfig syntax. */
void rules_print(FILE *out, const struct rules *rules);

/*
 * Look for what is valid but probably not intended: rules that are never
 * reached or that learn, programs that are missing or others' to change, limits
 * that the system will not give.  "commands" is as for grant_check_program().
 * Writes a line each to "out", by conf_warning(), and returns how many.
 */
int rules_warn(FILE *out, const struct rules *rules,
    const struct account *commands);

/*
 * The rule for a peer, or NULL.  It depends on nothing that changes during a
 * session, so it is asked once, and not for every request.
 */
const struct rule *rules_find(const struct rules *rules,
    const struct tls_identity *identity, const char *address);

/* The same, and write for each rule up to this why it does or does not. */
const struct rule *rules_explain(FILE *out, const struct rules *rules,
    const struct tls_identity *identity, const char *address);

/* The next command of "rule" that "name" calls, after the command "after";
 * NULL is the first.  NULL if there is none. */
const struct grant *rule_call(const struct rule *rule, const char *name,
    const struct grant *after);

/* The first command of "rule" that is for all words, and so for lines as well;
 * or NULL. */
const struct grant *rule_catches_all(const struct rule *rule);

/* What words come to under a rule. */
struct rule_choice {
	const struct grant *grant;	/* NULL: none is called so. */
	bool fits;			/* Else it is the nearest. */
	size_t words;			/* How many arguments fit it then. */
};

/*
 * The first of the commands that the client's "words" call whose arguments they
 * fit; or else, of those, the first that more of them fit than any other.
 */
struct rule_choice rule_choose(const struct rule *rule, char *const *words);

/*
 * The words as they may be logged: what the "log_mask" of any command that
 * they call names is "***".  Memory comes from "a"; NULL if it is out.
 */
char **rule_mask(const struct rule *rule, char *const *words,
    struct arena *a);

/* Write what "rule" grants, a line for each command: name, tab, summary; and
 * with "arguments" a tab and what may stand behind the name. */
void rule_list(FILE *out, const struct rule *rule, bool arguments);

#endif
