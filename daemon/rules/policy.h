/*
 * policy.h - the pure question: may this peer run this, and how?
 *
 * policy_decide() neither logs nor touches a file: what it answers depends on
 * its arguments alone.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_POLICY_H
#define AIS_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/base/failure.h"
#include "common/wire/proto.h"
#include "daemon/record/audit.h"
#include "daemon/exec/arena.h"
#include "daemon/rules/rules.h"

struct body;
struct rules;
struct rule;
struct tls_identity;

/* What holds for every decision of an instance. */
struct policy_defaults {
	char *const *path;	/* Directories for names without a slash. */
	const char *shell;	/* The program that is given a line. */
	const char *user;	/* Of the command user: name and home. */
	const char *home;
	const char *start;	/* Where a session begins. */
	const struct account *account;	/* Of commands; NULL: the daemon's. */
	bool allow_setuid;	/* Rules may waive no_new_privs. */
};

/* Who asks, from where, when, in which session. */
struct policy_peer {
	const struct tls_identity *identity;
	const char *address;
	const struct rule *rule;	/* Of rules_find(), or NULL: refused. */
	const char *session;
	uint32_t request;
	const char *directory;	/* The session's, or NULL: where it begins. */
	int64_t now;		/* Seconds since 1970, for learn_until. */
};

/* The answer.  Freed by decision_free(). */
struct decision {
	bool allowed;
	struct failure why;	/* Why not; its code is an enum proto_code. */
	struct audit_command record;	/* What was asked, and which rule and
					 * which of its commands decided. */
	struct child_plan plan;	/* What to start, but for its "order". */
	char *original;		/* The variable with the client's own words, as
				 * NAME=VALUE; or NULL. */
	struct arena memory;
};

/*
 * Does any rule fit this peer at all?  A rule that learns is one too.  Where
 * none does, "why" says why the peer is denied, for its user.
 */
bool policy_admits(const struct rules *rules,
    const struct tls_identity *identity, const char *address,
    struct failure *why);

/*
 * May "peer" do what "request" asks?  Fills "d", which borrows from "defaults",
 * from "peer" and its rule, and from "request".  0, or -1 if memory is out and
 * "d" is nothing.
 */
int policy_decide(const struct policy_defaults *defaults,
    const struct policy_peer *peer, const struct body *request,
    struct decision *d);

/* Free what a decision owns; it may be done twice. */
void decision_free(struct decision *d);

#endif
