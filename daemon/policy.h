/*
 * policy.h - rules, and the pure question: may this peer run this, and how?
 *
 * The first rule that matches a peer decides; where none does, all is
 * refused.  policy_decide() neither logs nor touches a file: what it answers
 * depends on its arguments alone.
 */
#ifndef AIS_POLICY_H
#define AIS_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/proto.h"

struct body;
struct conf;
struct policy;
struct tls_identity;

/* Room for a sentence that says why not. */
#define POLICY_REASON_MAX	512
#define POLICY_NAME_MAX		64

/* What rules may set for their commands; the top level has the defaults. */
struct policy_limits {
	int64_t time_limit;	/* Milliseconds; 0: none. */
	int64_t output_limit;	/* Bytes of both streams; 0: none. */
	bool no_new_privs;
};

/* What holds for every decision of an instance. */
struct policy_world {
	char *const *path;	/* Directories for names without a slash. */
	const char *shell;	/* The program that is given a line. */
	char *const *environment; /* NAME=VALUE for every command. */
	const char *user;	/* Of the command user: name and home. */
	const char *home;
	struct policy_limits limits;
};

/* Who asks, from where, in which session. */
struct policy_peer {
	const struct tls_identity *identity;
	const char *address;
	const char *session;
	uint32_t request;
	const char *directory;	/* The session's; absolute. */
};

/* The answer.  Freed by decision_free(). */
struct decision {
	bool allowed;
	enum proto_code code;		/* Why not. */
	char reason[POLICY_REASON_MAX];	/* Why not, for people. */
	char rule[POLICY_NAME_MAX];	/* Which rule decided; "" for none. */
	char **paths;		/* What execve(2) is to try, in order. */
	char *const *argv;	/* The words of the request, or "shell". */
	char **env;		/* All of the command's environment. */
	const char *base;	/* The session's directory. */
	const char *directory;	/* The request's, seen from "base". */
	struct policy_limits limits;
	char *shell[4];		/* argv for a line. */
	void *memory;
};

/*
 * Read the list "rules" of "conf", with "defaults" for what a rule does not
 * set.  Adds the number of errors, each after a message, to "*errors".  NULL
 * if memory is out.
 */
struct policy *policy_load(struct conf *conf,
    const struct policy_limits *defaults, int *errors);
void policy_free(struct policy *policy);

/* How many rules there are. */
size_t policy_count(const struct policy *policy);

/* Write the rules in libconfig syntax. */
void policy_print(FILE *out, const struct policy *policy);

/*
 * May "peer" do what "request" asks?  Fills "d", which borrows from "world",
 * "peer" and "request".  0, or -1 if memory is out and "d" is nothing.
 */
int policy_decide(const struct policy *policy,
    const struct policy_world *world, const struct policy_peer *peer,
    const struct body *request, struct decision *d);

/* Free what a decision owns; it may be done twice. */
void decision_free(struct decision *d);

#endif
