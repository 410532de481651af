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
struct conf;
struct rules;
struct tls_identity;

#define RULE_NAME_MAX		64

/* One rule.  What it grants is the rule's business; rules_load() has checked
 * it. */
struct rule {
	char *name;
	struct match match;
	bool anything;
	bool shell;
	char *learn_until;	/* The last day, "YYYY-MM-DD". */
	char **sftp_server;	/* argv of the subsystem "sftp", or NULL. */
	struct exec_options options;
	struct grant *grants;
	size_t count;
	int64_t learn_end;	/* The second after it, since 1970; or 0. */
	char *where;		/* FILE:LINE. */
};

/*
 * Read the list "rules" of "conf", with "defaults" for what a rule does not
 * set.  Adds the number of errors, each after a message, to "*errors".  NULL
 * if memory is out.
 */
struct rules *rules_load(struct conf *conf, const struct exec_options *defaults,
    int *errors);
void rules_free(struct rules *rules);

/* How many rules there are. */
size_t rules_count(const struct rules *rules);

/* Write the rules in libconfig syntax. */
void rules_print(FILE *out, const struct rules *rules);

/*
 * Look for what is not wrong and hardly meant: rules that are never reached,
 * programs that are missing or others' to change, limits that the system will
 * not give.  "commands" is as for grant_check_program().  Writes a line each
 * to "out", and returns how many.
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

/* The first command of "rule" that "name" calls, or NULL. */
const struct grant *rule_call(const struct rule *rule, const char *name);

/* Write what "rule" grants, a line for each command: name, tab, summary. */
void rule_list(FILE *out, const struct rule *rule);

#endif
