/*
 * daemon/policy, daemon/match, daemon/grant, daemon/environ: a configuration,
 * and behind it, with a NUL between them, who asks for what.  The answer is
 * the same twice, and never more than the rules, as they are printed, hold.
 *
 * The configuration "" stands for rules that this file knows by itself.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/wire/body.h"
#include "common/tls/tls.h"
#include "daemon/rules/policy.h"
#include "daemon/conf/settings.h"

#include "tests/fuzz/fuzz.h"

const size_t fuzz_mutations = 2500;

static const char known[] = "rules = ( { name = \"known\"; peers = \"al*\"; "
    "dns = \"*.example\"; network = \"192.0.2.0/24\"; commands = ( "
    "{ name = \"show\"; program = \"/opt/show\"; arguments = ( \"-v\", "
    "{ one_of = [ \"red\", \"blue\" ]; }, { min = -2; max = 12; }, "
    "{ below = \"/srv/www\"; }, { match = \"~[a-c]+x?\"; rest = true; } "
    "); }, { program = \"/opt/list\"; arguments = ( "
    "{ flag = [ \"-n\", \"--n=\" ]; min = 0; max = 12; optional = true; }, "
    "{ flag = \"-v\"; optional = true; repeat = true; }, \"all\", "
    "{ flag = \"if=\"; below = \"/srv/www\"; optional = true; } ); }, "
    "{ program = \"/opt/list\"; arguments = ( \"one\", "
    "{ one_of = [ \"red\", \"blue\" ]; repeat = true; } ); } ); } );";

/* Who asks, and for what. */
struct question {
	struct tls_identity identity;
	const char *address;
	struct body body;
	char **words;
};

/* --- the question --------------------------------------------------------- */

static void
take_name(struct input *in, char *out, size_t size)
{
	char *text = input_text(in);

	(void)snprintf(out, size, "%s", text);
	free(text);
}

/* Names of a certificate, with an empty one as their end. */
static void
take_sans(struct input *in, char out[TLS_SANS_MAX])
{
	size_t count = input_u8(in) % 4, used = 0;

	while (count-- > 0) {
		take_name(in, out + used, TLS_NAME_MAX);
		if (out[used] != '\0')
			used += strlen(out + used) + 1;
	}
	out[used] = '\0';
}

/* The last of the words go where the bits of "parts" say. */
static void
take_body(struct input *in, struct body *b, char **words, size_t n,
    uint8_t parts)
{
	static char *none[] = { NULL };

	(void)in;
	b->operation = (enum proto_operation)(PROTO_RUN + (parts & 7) % 7);
	b->wants_stdin = (parts & 8) != 0;
	b->env = none;
	if ((parts & 16) != 0 && n > 0)
		b->directory = words[--n];
	if ((parts & 32) != 0 && n > 0) {
		b->env = &words[n - 1];
		b->nenv = 1;
		n--;
	}
	if (b->operation == PROTO_LIST)
		n = 0;
	else if (n > 1 && b->operation != PROTO_RUN &&
	    b->operation != PROTO_CAN)
		n = 1;
	/* As body_parse() sees to. */
	if (n == 0 && b->operation != PROTO_CHDIR &&
	    b->operation != PROTO_LIST)
		b->operation = PROTO_CAN;
	b->nwords = n;
}

static void
take_question(struct input *in, struct question *q)
{
	static const char *const addresses[] = { "192.0.2.7", "2001:db8::7",
	    "127.0.0.1", "::1" };
	uint8_t parts;
	size_t n;

	memset(q, 0, sizeof *q);
	take_name(in, q->identity.common_name, TLS_NAME_MAX);
	take_name(in, q->identity.issuer, TLS_NAME_MAX);
	(void)snprintf(q->identity.subject, TLS_NAME_MAX, "CN=%.400s",
	    q->identity.common_name);
	take_sans(in, q->identity.sans);
	q->address = addresses[input_u8(in) % 4];
	parts = input_u8(in);
	q->words = input_texts(in, &n);
	take_body(in, &q->body, q->words, n, parts);
}

/* The words proper: a copy of the list, whose end is theirs. */
static char **
cut_words(struct question *q)
{
	char **words = calloc(q->body.nwords + 1, sizeof *words);

	must(words != NULL);
	memcpy(words, q->words, q->body.nwords * sizeof *words);
	q->body.words = words;
	return words;
}

/* --- the answer ----------------------------------------------------------- */

static bool
same_list(char *const *a, char *const *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	while (*a != NULL && *b != NULL && strcmp(*a, *b) == 0) {
		a++;
		b++;
	}
	return *a == NULL && *b == NULL;
}

static bool
same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void
check_same(const struct decision *a, const struct decision *b)
{
	must(a->allowed == b->allowed &&
	    a->record.learned == b->record.learned);
	must(a->why.code == b->why.code && a->plan.checked == b->plan.checked);
	must(strcmp(a->why.text, b->why.text) == 0);
	must(strcmp(a->record.rule, b->record.rule) == 0);
	must(strcmp(a->record.command, b->record.command) == 0);
	must(same_list(a->plan.paths, b->plan.paths));
	must(same_list(a->plan.argv, b->plan.argv));
	must(a->plan.below_count == b->plan.below_count);
	must(same_list(a->plan.env, b->plan.env) &&
	    same_list(a->record.argv, b->record.argv));
	must(same_text(a->plan.base, b->plan.base));
	must(same_text(a->plan.directory, b->plan.directory));
	must(a->plan.wants_stdin == b->plan.wants_stdin &&
	    a->plan.umask == b->plan.umask);
	must(a->plan.limits.time_limit == b->plan.limits.time_limit);
	must(a->plan.limits.no_new_privs == b->plan.limits.no_new_privs);
}

/* Does the configuration hold this text in quotes?  One that is printed with
 * escapes is not looked for. */
static bool
holds(const char *rules, const char *text)
{
	size_t n = strlen(text);

	for (const char *p = text; *p != '\0'; p++) {
		if (!isprint((unsigned char)*p) || *p == '"' || *p == '\\')
			return true;
	}
	for (const char *p = strstr(rules, text); p != NULL;
	    p = strstr(p + 1, text)) {
		if (p > rules && p[-1] == '"' && p[n] == '"')
			return true;
	}
	return false;
}

/* A path stays below its directory, which is one of the rules. */
static void
check_path(const char *rules, const struct child_path *path)
{
	must(holds(rules, path->below));
	must(*path->relative != '\0' && *path->relative != '/');
	/* The word is below it as well, as far as its text tells; an option
	 * may come before it. */
	must(strstr(*path->word, path->below) != NULL);
	for (const char *p = path->relative; p != NULL; p = strchr(p, '/')) {
		p += *p == '/';
		must(strncmp(p, "..", 2) != 0 ||
		    (p[2] != '/' && p[2] != '\0'));
	}
}

/* What starts a program, for words that name it. */
static void
check_run(const char *rules, const struct question *q,
    const struct decision *d)
{
	const struct body *b = &q->body;

	must(d->plan.argv != NULL && d->plan.argv[0] != NULL);
	must(d->plan.paths != NULL && d->plan.paths[0] != NULL);
	must(d->plan.env != NULL && d->plan.directory != NULL);
	for (char **p = d->plan.paths; *p != NULL; p++)
		must(**p == '/' || strchr(*p, '/') != NULL);
	for (size_t i = 0; i < d->plan.below_count; i++)
		check_path(rules, &d->plan.below[i]);
	if (d->record.learned) {
		must(strstr(rules, "learn_until") != NULL);
		return;
	}
	if (b->operation == PROTO_SHELL)
		must(strstr(rules, "shell = true") != NULL ||
		    (strstr(rules, "original_command = true") != NULL &&
		    d->plan.checked && d->original != NULL));
	else if (strstr(rules, "anything = true") == NULL)
		must(d->plan.checked && d->plan.paths[1] == NULL &&
		    holds(rules, d->plan.paths[0]));
	if (b->directory != NULL)
		must(strstr(rules, "any_directory = true") != NULL ||
		    strstr(rules, "anything = true") != NULL ||
		    strstr(rules, "shell = true") != NULL);
}

static void
check(const char *rules, const struct question *q, const struct rule *rule,
    const struct decision *d)
{
	if (!d->allowed) {
		must(d->why.code != PROTO_CODE_NONE && *d->why.text != '\0');
		return;
	}
	must(rule != NULL && d->why.code == PROTO_CODE_NONE);
	must(strcmp(d->record.rule, rule->name) == 0);
	if (q->body.operation == PROTO_RUN || q->body.operation == PROTO_SHELL)
		check_run(rules, q, d);
}

/* --- the rules that are known --------------------------------------------- */

static bool
is_number(const char *text)
{
	static const char *const numbers[] = { "-2", "-1", "0", "1", "2", "3",
	    "4", "5", "6", "7", "8", "9", "10", "11", "12" };

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		if (strcmp(text, numbers[i]) == 0)
			return true;
	}
	return false;
}

static bool
is_expression(const char *text)
{
	size_t n = strspn(text, "abc");

	return n > 0 && (text[n] == '\0' || strcmp(text + n, "x") == 0);
}

static bool
has_dns(const char *sans)
{
	for (; *sans != '\0'; sans += strlen(sans) + 1) {
		const char *end = strlen(sans) < 12 ? "" :
		    sans + strlen(sans) - 8;

		if (strncmp(sans, "DNS:", 4) == 0 &&
		    strcasecmp(end, ".example") == 0)
			return true;
	}
	return false;
}

/* What the two entries of "list" allow. */
static void
check_list(const struct body *b, const struct decision *d)
{
	size_t i = 1, numbers = 0;

	must(strcmp(d->plan.argv[0], "/opt/list") == 0);
	if (strcmp(b->words[1], "one") == 0) {
		must(b->nwords > 2);
		for (i = 2; i < b->nwords; i++)
			must(strcmp(b->words[i], "red") == 0 ||
			    strcmp(b->words[i], "blue") == 0);
	} else {
		for (; strcmp(b->words[i], "all") != 0; i++) {
			const char *word = b->words[i], *number = NULL;

			if (strcmp(word, "-n") == 0)
				number = b->words[++i];
			else if (strncmp(word, "--n=", 4) == 0)
				number = word + 4;
			else
				must(strcmp(word, "-v") == 0);
			must(number == NULL || (*number != '-' &&
			    is_number(number)));
			numbers += number != NULL;
		}
		must(numbers <= 1 && i + 2 >= b->nwords);
		must(i + 2 != b->nwords || (d->plan.below_count == 1 &&
		    strncmp(b->words[i + 1], "if=", 3) == 0));
	}
	/* They are given to the program as they came, but for a path. */
	for (i = 1; i < b->nwords; i++)
		must(strcmp(d->plan.argv[i], b->words[i]) == 0 ||
		    strncmp(b->words[i], "if=", 3) == 0);
	must(d->plan.argv[b->nwords] == NULL);
}

/* What they allow, word for word. */
static void
check_known(const struct question *q, const struct decision *d)
{
	const struct body *b = &q->body;

	if (!d->allowed)
		return;
	must(strncmp(q->identity.common_name, "al", 2) == 0);
	must(has_dns(q->identity.sans));
	must(strcmp(q->address, "192.0.2.7") == 0);
	if (b->operation == PROTO_LIST || b->operation == PROTO_CAN)
		return;
	if (b->operation == PROTO_LINE) {
		must(!d->record.shell &&
		    (strcmp(d->plan.argv[0], "/opt/show") == 0 ||
		    strcmp(d->plan.argv[0], "/opt/list") == 0));
		return;
	}
	must(b->operation == PROTO_RUN && b->nwords >= 2);
	must(b->nenv == 0 && b->directory == NULL);
	if (strcmp(b->words[0], "show") != 0) {
		must(strcmp(b->words[0], "list") == 0 ||
		    strcmp(b->words[0], "/opt/list") == 0);
		check_list(b, d);
		return;
	}
	must(b->nwords >= 4);
	must(strcmp(b->words[1], "red") == 0 ||
	    strcmp(b->words[1], "blue") == 0);
	must(is_number(b->words[2]));
	must(*b->words[3] != '/' ||
	    strncmp(b->words[3], "/srv/www", 8) == 0);
	must(d->plan.below_count == 1);
	for (size_t i = 4; i < b->nwords; i++)
		must(is_expression(b->words[i]));
	must(strcmp(d->plan.argv[0], "/opt/show") == 0);
	must(strcmp(d->plan.argv[1], "-v") == 0);
	must(strcmp(d->plan.argv[2], b->words[1]) == 0);
}

/* --- */

static void
ask(const struct settings *s, struct question *q, bool is_known)
{
	struct policy_peer peer = { .identity = &q->identity,
	    .address = q->address, .session = "fuzz", .request = 1,
	    .now = 1700000000 };
	struct decision d, again;
	struct writing w;
	char *rules;

	peer.rule = rules_find(s->rules, &q->identity, q->address);
	must(policy_decide(&s->policy, &peer, &q->body, &d) == 0);
	must(policy_decide(&s->policy, &peer, &q->body, &again) == 0);
	check_same(&d, &again);
	settings_print(fuzz_write(&w), s);
	rules = fuzz_written(&w);
	check(rules, q, peer.rule, &d);
	if (is_known)
		check_known(q, &d);
	free(rules);
	must(rules_explain(fuzz_write(&w), s->rules, &q->identity,
	    q->address) == peer.rule);
	free(fuzz_written(&w));
	decision_free(&d);
	decision_free(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	char *text = input_text(&in);
	bool is_known = *text == '\0';
	const char *rules = is_known ? known : text;
	struct settings *s = NULL;
	struct settings_hope hope;
	struct question q;
	char **words;

	fuzz_listen(NULL);
	if (is_known || fuzz_is_tame(data, strlen(text)))
		s = settings_load(fuzz_file(rules, strlen(rules)), &hope);
	if (s != NULL) {
		take_question(&in, &q);
		words = cut_words(&q);
		ask(s, &q, is_known);
		free(words);
		fuzz_free_list(q.words);
	}
	settings_free(s);
	free(text);
	return 0;
}
