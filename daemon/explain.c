/*
 * explain.c - what the rules do for a client, for operators.
 *
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/wire/body.h"
#include "common/base/date.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/base/net.h"
#include "common/tls/tls.h"
#include "common/base/words.h"
#include "daemon/rules/policy.h"
#include "daemon/conf/settings.h"
#include "daemon/rules/misfit.h"
#include "daemon/explain.h"

/* --- the client ---------------------------------------------------------- */

/* A client as it is described. */
struct client {
	struct tls_identity *id;
	char domain[TLS_NAME_MAX];	/* Of its domain components. */
	char from[64];			/* "" if it is not said. */
};

/* Where "NAME=" of a description goes. */
struct part {
	const char *name;
	const char *prefix;	/* In a list; NULL: there is one at most. */
	size_t offset;		/* In struct tls_identity. */
	size_t size;
};

#define PART(name, prefix, member) \
	{ name, prefix, offsetof(struct tls_identity, member), \
	    sizeof ((struct tls_identity *)NULL)->member }

static const struct part parts[] = {
	PART("CN", "CN:", attributes),
	PART("SUBJECT", NULL, subject), PART("ISSUER", NULL, issuer),
	PART("FINGERPRINT", NULL, fingerprint),
	PART("DNS", "DNS:", sans), PART("EMAIL", "EMAIL:", sans),
	PART("URI", "URI:", sans), PART("IP", "IP:", sans),
	PART("UPN", "UPN:", sans), PART("OU", "OU:", attributes),
	PART("O", "O:", attributes),
	PART("UID", "UID:", attributes),
	PART("SERIALNUMBER", "SERIALNUMBER:", attributes),
	PART("EMAILADDRESS", "EMAILADDRESS:", attributes),
};

/* Append "PREFIX:value" to a list of "size" bytes.  NULL, or what is wrong. */
static const char *
add_name(char *list, size_t size, const char *prefix, const char *value)
{
	char *p = list, *end = list + size;
	size_t n = strlen(value);

	while (*p != '\0')
		p += strlen(p) + 1;
	if (n >= TLS_NAME_MAX || (size_t)(end - p) < strlen(prefix) + n + 2)
		return "is too long";
	memcpy(p, prefix, strlen(prefix));
	p += strlen(prefix);
	memcpy(p, value, n + 1);
	p[n + 1] = '\0';
	return NULL;
}

/* Set what there is once at most.  NULL, or what is wrong. */
static const char *
set_once(char *out, size_t size, const char *value)
{
	if (*out != '\0')
		return "stands there twice";
	if (strlen(value) >= size)
		return "is too long";
	memcpy(out, value, strlen(value) + 1);
	return NULL;
}

/* The address of the client. */
static const char *
set_from(struct client *c, const char *value)
{
	struct net_host host;

	/* A name would silently be in no network. */
	if (net_host(value, &host) == -1 || host.length == 0)
		return "is no address";
	return set_once(c->from, sizeof c->from, value);
}

/* One more component of its domain. */
static const char *
add_component(struct client *c, const char *value)
{
	size_t used = strlen(c->domain);
	int n = snprintf(c->domain + used, sizeof c->domain - used, "%s%s",
	    used > 0 ? "." : "", value);

	return n < 0 || (size_t)n >= sizeof c->domain - used ? "is too long" :
	    NULL;
}

/* Take "NAME=value", whose "=" is a NUL now.  NULL, or what is wrong. */
static const char *
add_part(struct client *c, const char *name, const char *value)
{
	char *base = (char *)c->id;

	if (*value == '\0')
		return "has no value";
	if (strcmp(name, "FROM") == 0)
		return set_from(c, value);
	if (strcmp(name, "DC") == 0)
		return add_component(c, value);
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		const struct part *p = &parts[i];

		if (strcmp(p->name, name) == 0)
			return p->prefix == NULL ? set_once(base + p->offset,
			    p->size, value) : add_name(base + p->offset,
			    p->size, p->prefix, value);
	}
	return "is unknown; there are CN, SUBJECT, ISSUER, FINGERPRINT, DNS, "
	    "EMAIL, URI, IP, UPN, OU, O, DC, UID, SERIALNUMBER, EMAILADDRESS "
	    "and FROM";
}

/* What follows from the parts, as it does from those of a certificate: its
 * common name is the one that it has, and no one of several. */
static const char *
finish(struct client *c, const char *who)
{
	struct tls_identity *id = c->id;
	const char *name = NULL;
	int names = 0;

	for (const char *p = id->attributes; *p != '\0'; p += strlen(p) + 1) {
		if (strncmp(p, "CN:", 3) == 0) {
			name = p + 3;
			names++;
		}
	}
	if (names == 1)
		(void)snprintf(id->common_name, sizeof id->common_name, "%s",
		    name);
	if (id->subject[0] == '\0')
		(void)snprintf(id->subject, sizeof id->subject, "%.500s", who);
	return c->domain[0] == '\0' ? NULL : add_name(id->attributes,
	    sizeof id->attributes, "DC:", c->domain);
}

/* Read "NAME=value,..." into "c", whose identity is empty.  0, or -1 after a
 * message. */
static int
parse_who(struct client *c, const char *who)
{
	char *copy = strdup(who), *rest = copy, *name = copy, *value;
	const char *why = NULL;

	if (copy == NULL) {
		log_error("out of memory");
		return -1;
	}
	while (why == NULL && (name = strsep(&rest, ",")) != NULL) {
		if ((value = strchr(name, '=')) == NULL) {
			why = "is no NAME=VALUE";
			break;
		}
		*value = '\0';
		why = add_part(c, name, value + 1);
	}
	if (why == NULL) {
		name = copy;
		why = finish(c, who);
	}
	if (why != NULL)
		log_error("--explain \"%s\": \"%s\" %s", who, name, why);
	free(copy);
	return why == NULL ? 0 : -1;
}

/* --- the decision --------------------------------------------------------- */

/* The first of the paths that the user of this process could execute, as the
 * child looks for it; NULL: there is none. */
static const char *
find_program(const struct child_plan *plan, char path[PATH_MAX])
{
	struct stat st;

	for (char **p = plan->paths; *p != NULL; p++) {
		int n = snprintf(path, PATH_MAX, "%s%s%s", **p == '/' ? "" :
		    plan->base, **p == '/' ? "" : "/", *p);

		if (n > 0 && n < PATH_MAX && stat(path, &st) == 0 &&
		    S_ISREG(st.st_mode) &&
		    faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0)
			return path;
	}
	return NULL;
}

/* The one program that would run, and what it is where that is a link. */
static void
explain_program(FILE *out, const struct child_plan *plan)
{
	char path[PATH_MAX], real[PATH_MAX];

	if (find_program(plan, path) == NULL) {
		fprintf(out, "\tprogram: not found%s", plan->paths[0] == NULL ||
		    plan->paths[1] == NULL ? ":" : ", in this order:");
		for (char **p = plan->paths; *p != NULL; p++)
			fprintf(out, " %s", *p);
		fputc('\n', out);
	} else if (realpath(path, real) != NULL && strcmp(path, real) != 0)
		fprintf(out, "\tprogram: %s, which is %s\n", path, real);
	else
		fprintf(out, "\tprogram: %s\n", path);
}

/* Put the paths that the child will have opened into argv, as they are. */
static void
fill_paths(struct decision *d)
{
	for (size_t i = 0; i < d->plan.below_count; i++) {
		struct child_path *p = &d->plan.below[i];
		char *path = arena_printf(&d->memory, "%s/%s", p->below,
		    p->relative);

		if (path != NULL)
			*p->word = path;
	}
}

static void
explain_decision(FILE *out, struct decision *d)
{
	char *argv, why[FAILURE_MAX];

	if (!d->allowed) {
		fprintf(out, "refused: %s\n", failure_sentence(&d->why, why));
		return;
	}
	fprintf(out, "allowed by the rule \"%s\"%s%s%s\n", d->record.rule,
	    d->record.learned ? ", which is learning" : "",
	    *d->record.command == '\0' ? "" : ", as its command ",
	    d->record.command);
	fill_paths(d);
	if ((argv = words_join(d->plan.argv, 4096)) != NULL) {
		fprintf(out, "\targv: %s\n", argv);
		free(argv);
	}
	if (d->original != NULL && (argv = words_join((char *[]){ d->original,
	    NULL }, 4096)) != NULL) {
		fprintf(out, "\tenvironment: %s\n", argv);
		free(argv);
	}
	explain_program(out, &d->plan);
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
	struct tls_identity id = { .common_name = "" };
	struct client client = { .id = &id, .from = "" };
	char sentence[FAILURE_MAX];
	struct failure why;
	struct policy_peer peer = {
		.identity = &id, .address = client.from, .session = "explain",
		.now = date_now()
	};

	if (strchr(who, '=') != NULL) {
		if (parse_who(&client, who) == -1)
			return -1;
	} else if (tls_identity_load(who, &id, &why) == -1) {
		log_error("%s", failure_sentence(&why, sentence));
		return -1;
	} else if (id.lacks != NULL) {
		log_error("the certificate %s is refused: it has %s, which "
		    "cannot be compared with the rules", who, id.lacks);
		return -1;
	}
	if (client.from[0] == '\0')
		(void)snprintf(client.from, sizeof client.from, "127.0.0.1");
	request.nwords = text_list_length(argv);
	peer.rule = rules_explain(out, s->rules, &id, client.from);
	if (peer.rule == NULL) {
		fputs("no rule matches: everything is refused\n", out);
		return 1;
	}
	if (request.nwords == 0)
		return 0;
	if (!peer.rule->anything)
		misfit_explain(out, peer.rule, argv);
	return explain_request(out, s, &peer, &request);
}
