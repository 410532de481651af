/*
 * match.h - which peers a rule is for.
 *
 * A rule may set several conditions, which must all hold; each has several
 * values, of which one must fit.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_MATCH_H
#define AIS_MATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "common/conf/conf.h"

struct tls_identity;

/* The conditions, in the order in which they are looked at. */
enum match_kind {
	MATCH_CN, MATCH_DNS, MATCH_EMAIL, MATCH_URI, MATCH_IP, MATCH_UPN,
	/* Attributes of the subject. */
	MATCH_EACH_CN, MATCH_OU, MATCH_O, MATCH_DC, MATCH_UID,
	MATCH_SERIAL_NUMBER, MATCH_SUBJECT_EMAIL,
	MATCH_ISSUER, MATCH_FINGERPRINT, MATCH_NETWORK, MATCH_KINDS
};

struct match {
	char **values[MATCH_KINDS];	/* NULL: no such condition. */
	struct pattern_set *sets[MATCH_KINDS];
};

/* The keys, for a table of conf.h.  offsetof() takes no parentheses. */
/* NOLINTBEGIN(bugprone-macro-parentheses) */
#define MATCH_KEY(type, member, name, kind) \
	{ name, CONF_STRINGS, offsetof(type, member.values) + \
	    (kind) * sizeof(char **), 0, 0, NULL }
#define MATCH_KEYS(type, member) \
	MATCH_KEY(type, member, "peers", MATCH_CN), \
	MATCH_KEY(type, member, "dns", MATCH_DNS), \
	MATCH_KEY(type, member, "email", MATCH_EMAIL), \
	MATCH_KEY(type, member, "uri", MATCH_URI), \
	MATCH_KEY(type, member, "ip", MATCH_IP), \
	MATCH_KEY(type, member, "upn", MATCH_UPN), \
	MATCH_KEY(type, member, "cn", MATCH_EACH_CN), \
	MATCH_KEY(type, member, "ou", MATCH_OU), \
	MATCH_KEY(type, member, "o", MATCH_O), \
	MATCH_KEY(type, member, "dc", MATCH_DC), \
	MATCH_KEY(type, member, "uid", MATCH_UID), \
	MATCH_KEY(type, member, "serial_number", MATCH_SERIAL_NUMBER), \
	MATCH_KEY(type, member, "subject_email", MATCH_SUBJECT_EMAIL), \
	MATCH_KEY(type, member, "issuer", MATCH_ISSUER), \
	MATCH_KEY(type, member, "fingerprint", MATCH_FINGERPRINT), \
	MATCH_KEY(type, member, "network", MATCH_NETWORK)
/* NOLINTEND(bugprone-macro-parentheses) */

/*
 * Prepare what has been read into "m" from "group", which has another condition
 * as well if "more".  Returns the number of errors, each after a message.
 */
int match_prepare(struct match *m, const struct conf_group *group, bool more);

/* Free what match_prepare() has made; the values are conf.h's to free. */
void match_free(struct match *m);

/*
 * Does the peer match?  NULL, or the key of the first condition that it does
 * not meet.  "address" is where it comes from, without a port.
 */
const char *match_peer(const struct match *m, const struct tls_identity *id,
    const char *address);

/* Does the condition fit every peer there can be? */
bool match_is_everybody(const struct match *m);

#endif
