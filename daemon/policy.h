/*
 * policy.h - rules, and the pure question: may this peer run this, and how?
 *
 * The first rule that matches a peer decides; where none does, all is
 * refused.  Neither policy_find() nor policy_decide() logs or touches a file:
 * what they answer depends on their arguments alone.
 */
#ifndef AIS_POLICY_H
#define AIS_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/arena.h"
#include "common/proto.h"
#include "daemon/grant.h"
#include "daemon/terms.h"

struct body;
struct conf;
struct policy;
struct rule;
struct tls_identity;

/* Room for a sentence that says why not. */
#define POLICY_REASON_MAX	512
#define POLICY_NAME_MAX		64

/* What holds for every decision of an instance. */
struct policy_world {
	char *const *path;	/* Directories for names without a slash. */
	const char *shell;	/* The program that is given a line. */
	const char *user;	/* Of the command user: name and home. */
	const char *home;
	const char *start;	/* Where a session begins. */
};

/* Who asks, from where, when, in which session. */
struct policy_peer {
	const struct tls_identity *identity;
	const char *address;
	const struct rule *rule;	/* Of policy_find(), or NULL. */
	const char *session;
	uint32_t request;
	const char *directory;	/* The session's, or NULL: where it begins. */
	int64_t now;		/* Seconds since 1970, for learn_until. */
};

/* The answer.  Freed by decision_free(). */
struct decision {
	bool allowed;
	bool learned;		/* Allowed only because the rule learns. */
	bool shell;		/* A line for the shell. */
	enum proto_code code;		/* Why not. */
	char reason[POLICY_REASON_MAX];	/* Why not, for people. */
	char rule[POLICY_NAME_MAX];	/* Which rule decided; "" for none. */
	char command[POLICY_NAME_MAX];	/* Which of its commands; or "". */
	bool checked;		/* paths[0] must not be others' to change. */
	char **paths;		/* What execve(2) is to try, in order. */
	struct grant_argv argv;
	char **env;		/* All of the command's environment. */
	char **logged;		/* What was asked, as the log may see it. */
	const char *base;	/* Where "directory" is seen from. */
	const char *directory;
	bool wants_stdin;
	int64_t umask;
	struct limits limits;
	struct arena memory;
};

/*
 * Read the list "rules" of "conf", with "defaults" for what a rule does not
 * set.  Adds the number of errors, each after a message, to "*errors".  NULL
 * if memory is out.
 */
struct policy *policy_load(struct conf *conf, const struct terms *defaults,
    int *errors);
void policy_free(struct policy *policy);

/* How many rules there are. */
size_t policy_count(const struct policy *policy);

/* Write the rules in libconfig syntax. */
void policy_print(FILE *out, const struct policy *policy);

/*
 * Look for what is not wrong and hardly meant: rules that are never reached,
 * programs that are missing or others' to change, limits that the system will
 * not give.  Writes a line each to "out", and returns how many.
 */
int policy_warn(FILE *out, const struct policy *policy);

/*
 * The rule for a peer, or NULL.  It depends on nothing that changes during a
 * session, so it is asked once, and not for every request.
 */
const struct rule *policy_find(const struct policy *policy,
    const struct tls_identity *identity, const char *address);

/*
 * May "peer" do what "request" asks?  Fills "d", which borrows from "policy",
 * "world", "peer" and "request".  0, or -1 if memory is out and "d" is
 * nothing.
 */
int policy_decide(const struct policy *policy,
    const struct policy_world *world, const struct policy_peer *peer,
    const struct body *request, struct decision *d);

/* Free what a decision owns; it may be done twice. */
void decision_free(struct decision *d);

/* Write what "rule" grants, a line for each command: name, tab, summary. */
void policy_list(FILE *out, const struct rule *rule);

/* The name of a rule. */
const char *policy_rule_name(const struct rule *rule);

/*
 * Write, rule by rule, why it does or does not apply to "peer", and then what
 * is decided about "request" (NULL: nothing).  Returns whether it is allowed.
 */
bool policy_explain(FILE *out, const struct policy *policy,
    const struct policy_world *world, const struct policy_peer *peer,
    const struct body *request);

#endif
