/*
 * explain.c - what the rules do for a client, for operators.
 *
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/wire/body.h"
#include "common/base/date.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/base/net.h"
#include "common/tls/tls.h"
#include "common/base/words.h"
#include "daemon/rules/policy.h"
#include "daemon/conf/settings.h"
#include "daemon/explain.h"

/* --- the client ---------------------------------------------------------- */

/* Where "NAME=" of a description goes. */
struct part {
	const char *name;
	const char *prefix;	/* Of an alternative name; or NULL. */
	size_t offset;		/* Else: in the identity. */
	size_t size;
};

static const struct part parts[] = {
	{ "CN", NULL, offsetof(struct tls_identity, common_name),
	    TLS_NAME_MAX },
	{ "SUBJECT", NULL, offsetof(struct tls_identity, subject),
	    TLS_DN_MAX },
	{ "ISSUER", NULL, offsetof(struct tls_identity, issuer),
	    TLS_DN_MAX },
	{ "FINGERPRINT", NULL, offsetof(struct tls_identity, fingerprint),
	    TLS_FINGERPRINT_MAX },
	{ "DNS", "DNS:", 0, 0 },
	{ "EMAIL", "EMAIL:", 0, 0 },
	{ "URI", "URI:", 0, 0 },
	{ "IP", "IP:", 0, 0 },
};

/* Append "PREFIX:name" to the alternative names; -1 if there is no room. */
static int
add_name(struct tls_identity *id, const char *prefix, const char *name,
    size_t n)
{
	char *p = id->sans, *end = id->sans + sizeof id->sans;

	while (*p != '\0')
		p += strlen(p) + 1;
	if ((size_t)(end - p) < strlen(prefix) + n + 2)
		return -1;
	memcpy(p, prefix, strlen(prefix));
	p += strlen(prefix);
	memcpy(p, name, n);
	p[n] = p[n + 1] = '\0';
	return 0;
}

/* One "NAME=value" of "n" bytes; -1 if it is none. */
static int
add_part(struct tls_identity *id, char *from, size_t size, const char *text,
    size_t n)
{
	const char *value = memchr(text, '=', n);
	struct net_host host;
	size_t name, length;

	if (value == NULL)
		return -1;
	name = (size_t)(value++ - text);
	length = n - name - 1;
	if (name == 4 && strncmp(text, "FROM", 4) == 0) {
		/* A name would silently be in no network. */
		(void)snprintf(from, size, "%.*s", (int)length, value);
		return net_host(from, &host) == 0 && host.length > 0 &&
		    length < size ? 0 : -1;
	}
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		const struct part *p = &parts[i];

		if (strlen(p->name) != name ||
		    strncmp(text, p->name, name) != 0)
			continue;
		if (p->prefix != NULL)
			return add_name(id, p->prefix, value, length);
		if (length >= p->size)
			return -1;
		memcpy((char *)id + p->offset, value, length);
		return 0;
	}
	return -1;
}

static int
parse_who(struct tls_identity *id, char *from, size_t size, const char *who)
{
	memset(id, 0, sizeof *id);
	for (const char *p = who; *p != '\0'; ) {
		size_t n = strcspn(p, ",");

		if (add_part(id, from, size, p, n) == -1) {
			log_error("\"%.*s\" is neither a certificate's file "
			    "nor NAME=VALUE with one of the names CN, SUBJECT, "
			    "ISSUER, FINGERPRINT, DNS, EMAIL, URI, IP and, "
			    "with an address, FROM", (int)n, p);
			return -1;
		}
		p += n + (p[n] == ',');
	}
	if (id->subject[0] == '\0')
		(void)snprintf(id->subject, sizeof id->subject, "CN=%.500s",
		    id->common_name);
	return 0;
}

/* --- the decision --------------------------------------------------------- */

static void
explain_decision(FILE *out, const struct decision *d)
{
	char *argv;

	if (!d->allowed) {
		fprintf(out, "refused: %s\n", d->reason);
		return;
	}
	fprintf(out, "allowed by the rule \"%s\"%s%s%s\n", d->record.rule,
	    d->record.learned ? ", which is learning" : "",
	    *d->record.command == '\0' ? "" : ", as its command ",
	    d->record.command);
	if ((argv = words_join(d->plan.argv, 4096)) != NULL) {
		fprintf(out, "\targv: %s\n", argv);
		free(argv);
	}
	for (char **p = d->plan.paths; *p != NULL; p++)
		fprintf(out, "\tprogram: %s\n", *p);
	fprintf(out, "\tdirectory: %s\n", d->plan.directory[0] == '.' ?
	    d->plan.base : d->plan.directory);
	limits_print(out, &d->plan.limits);
}

/* Write what is decided about "request"; as explain_rights(). */
static int
explain_request(FILE *out, const struct settings *s,
    const struct policy_peer *peer, const struct body *request)
{
	struct decision d;
	bool allowed;

	if (policy_decide(&s->policy, peer, request, &d) == -1) {
		log_error("out of memory");
		return -1;
	}
	allowed = d.allowed;
	explain_decision(out, &d);
	decision_free(&d);
	return allowed ? 0 : 1;
}

int
explain_rights(FILE *out, const struct settings *s, const char *who,
    char **argv)
{
	struct body request = { .operation = PROTO_RUN, .words = argv };
	struct tls_identity id;
	char from[64] = "127.0.0.1", sentence[FAILURE_MAX];
	struct failure why;
	struct policy_peer peer = {
		.identity = &id, .address = from, .session = "explain",
		.now = date_now()
	};

	if (strchr(who, '=') != NULL) {
		if (parse_who(&id, from, sizeof from, who) == -1)
			return -1;
	} else if (tls_identity_load(who, &id, &why) == -1) {
		log_error("%s", failure_sentence(&why, sentence));
		return -1;
	} else if (id.lacks != NULL) {
		log_error("the certificate %s is refused: it has %s, which "
		    "cannot be compared with the rules", who, id.lacks);
		return -1;
	}
	request.nwords = text_list_length(argv);
	peer.rule = rules_explain(out, s->rules, &id, from);
	if (peer.rule == NULL) {
		fputs("no rule matches: everything is refused\n", out);
		return 1;
	}
	return request.nwords == 0 ? 0 :
	    explain_request(out, s, &peer, &request);
}
