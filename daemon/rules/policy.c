/* The question: may this peer run this, and how?
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/wire/body.h"
#include "common/conf/conf.h"
#include "common/base/text.h"
#include "common/tls/tls.h"
#include "common/base/words.h"
#include "daemon/exec/environ.h"
#include "daemon/rules/misfit.h"
#include "daemon/rules/policy.h"

/* --- deciding ------------------------------------------------------------- */

/* Say why not, and what to do about it ("": nothing). */
static int __attribute__((format(printf, 4, 5)))
policy_refuse(struct decision *d, enum proto_code code, const char *hint,
    const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	failure_vset(&d->why, (int)code, format, ap);
	va_end(ap);
	failure_hint(&d->why, "%s", hint);
	d->allowed = false;
	return 0;
}

/* Whether all variables are let through; else it is refused. */
static bool
check_environment(const struct exec_options *options,
    const struct body *request, struct decision *d)
{
	char name[256];

	for (size_t i = 0; i < request->nenv; i++) {
		if (!environ_name(request->env[i], name))
			(void)policy_refuse(d, PROTO_CODE_INVALID, "", "an "
			    "environment variable is not of the form "
			    "NAME=VALUE");
		else if (!environ_is_accepted(name,
		    (const char *const *)options->accept_environment))
			(void)policy_refuse(d, PROTO_CODE_DENIED,
			    environ_is_ours(name) ? "the server sets it" :
			    "its key \"accept_environment\" would",
			    "the rule \"%s\" "
			    "does not let clients set the variable %s",
			    d->record.rule, name);
		else if (!environ_value_is_accepted(name,
		    strchr(request->env[i], '=') + 1))
			(void)policy_refuse(d, PROTO_CODE_DENIED, "", "the "
			    "value of the variable %s is a path or a format, "
			    "and no name", name);
		else
			continue;
		return false;
	}
	return true;
}

/* What the variables that the server sets by itself say. */
static char **
own_environment(const struct policy_defaults *w,
    const struct policy_peer *peer, struct decision *d)
{
	const struct environ_facts facts = {
		.path = w->path, .home = w->home, .user = w->user,
		.shell = w->shell, .session = peer->session,
		.request = peer->request, .identity = peer->identity,
		.address = peer->address, .original = d->original
	};

	return environ_own(&facts, &d->memory);
}

/* Every path that the name of a command may mean. */
static char **
make_paths(struct arena *a, char *const *path, const char *name)
{
	size_t n = text_list_length(path);
	char **out;

	if ((out = arena_alloc(a, (n + 2) * sizeof *out)) == NULL)
		return NULL;
	/* With a slash it is a path, if need be from the directory that the
	 * child will be in. */
	if (strchr(name, '/') != NULL) {
		out[0] = arena_printf(a, "%s", name);
		out[1] = NULL;
		return out[0] == NULL ? NULL : out;
	}
	for (size_t i = 0; i < n; i++) {
		if ((out[i] = arena_printf(a, "%s/%s", path[i], name)) == NULL)
			return NULL;
	}
	out[n] = NULL;
	return out;
}

/*
 * May the client choose where the command runs?  Many programs read what lies
 * there, so a command that is granted alone runs where its rule says.
 */
static bool
chooses_directory(const struct rule *rule, const struct exec_options *options)
{
	return rule->anything || rule->shell || options->any_directory;
}

static int
refuse_directory(struct decision *d)
{
	return policy_refuse(d, PROTO_CODE_DENIED, "its key "
	    "\"any_directory\" would", "the rule \"%s\" does not let clients "
	    "choose the directory", d->record.rule);
}

/* What is decided on, so that it can be handed around as one. */
struct question {
	const struct policy_defaults *defaults;
	const struct policy_peer *peer;
	const struct body *request;
	const struct body *asked;	/* The request, as it came. */
};

/* What is needed to run "name" with "options"; -1 if memory is out. */
static int
prepare(const struct rule *rule, const struct exec_options *options,
    const struct question *q, const char *name, struct decision *d)
{
	const struct policy_peer *peer = q->peer;
	struct child_plan *plan = &d->plan;
	bool chooses = chooses_directory(rule, options);
	struct environ_lists lists = {
		.own = own_environment(q->defaults, peer, d),
		.set = options->environment, .asked = q->request->env
	};

	if (q->request->directory != NULL && !chooses)
		return refuse_directory(d);
	d->allowed = true;
	plan->account = q->defaults->account;
	plan->chdir = q->request->operation == PROTO_CHDIR;
	plan->limits = options->limits;
	plan->limits.no_new_privs |= !q->defaults->allow_setuid;
	plan->umask = (mode_t)options->umask;
	plan->wants_stdin = q->request->wants_stdin && options->stdin;
	/* The session's own directory, once it has one; else the rule's. */
	plan->base = options->directory != NULL ? options->directory :
	    q->defaults->start;
	if (peer->directory != NULL && chooses)
		plan->base = peer->directory;
	plan->directory = q->request->directory != NULL ?
	    q->request->directory : ".";
	plan->paths = make_paths(&d->memory, q->defaults->path, name);
	plan->base = arena_printf(&d->memory, "%s", plan->base);
	if (q->request->directory == NULL)
		d->record.directory = plan->base;
	if (lists.own == NULL ||
	    (plan->env = environ_build(&lists, &d->memory)) == NULL ||
	    plan->paths == NULL || plan->base == NULL)
		return -1;
	return 0;
}

/* Put what the client has asked for into a variable; where it has asked for
 * nothing there is none.  -1 if memory is out, else 0: it may be too long. */
static int
keep_original(const struct question *q, struct decision *d)
{
	if (q->asked->nwords == 0)
		return 0;
	d->original = environ_original(q->asked, &d->memory);
	if (d->original == NULL)
		return -1;
	return strlen(d->original) <= PROTO_WORD_MAX ? 0 : policy_refuse(d,
	    PROTO_CODE_INVALID, "", "what the client asks for is too long for "
	    "the variable SSH_ORIGINAL_COMMAND, in which the command "
	    "\"%.100s\" gets it", d->record.command);
}

/* The words that the client gives to the program of "g": its own are in a
 * variable for one that is for all words. */
static char *const *
given_words(const struct grant *g, const struct body *request)
{
	return request->words + (g->original_command ? request->nwords : 1);
}

/* One of the commands of "rule" that the words call, which "c" has chosen. */
static int
decide_granted(const struct rule *rule, const struct rule_choice *c,
    const struct question *q, struct decision *d)
{
	const struct grant *g = c->grant;
	char *const *words = q->request->words;
	char why[512], shown[640];

	d->record.command = arena_printf(&d->memory, "%s", g->name);
	if (q->request->operation == PROTO_RUN)
		d->record.argv = rule_mask(rule, words, &d->memory);
	if (d->record.command == NULL || d->record.argv == NULL)
		return -1;
	if (!c->fits) {
		(void)misfit_tell(rule, words, d->record.argv, c->words, why,
		    sizeof why);
		return policy_refuse(d, PROTO_CODE_DENIED, "", "the rule "
		    "\"%s\" does not grant this: %s", d->record.rule,
		    text_printable(shown, sizeof shown, why, strlen(why)));
	}
	if (!check_environment(&g->options, q->request, d))
		return 0;
	if (g->original_command && keep_original(q, d) == -1)
		return -1;
	if (d->why.code != PROTO_CODE_NONE)
		return 0;
	d->plan.argv = slots_fill(&g->slots, g->program, given_words(g,
	    q->request), &d->memory, &d->plan);
	if (d->plan.argv == NULL)
		return -1;
	d->plan.checked = true;
	return prepare(rule, &g->options, q, g->program, d);
}

static int
decide_anything(const struct rule *rule, const struct question *q,
    struct decision *d)
{
	if (!check_environment(&rule->options, q->request, d))
		return 0;
	d->plan.argv = q->request->words;
	return prepare(rule, &rule->options, q, q->request->words[0], d);
}

/* The command of "rule" that the request calls, if it calls one: a line is only
 * for one that is for all words. */
static struct rule_choice
choose(const struct rule *rule, const struct body *request)
{
	if (request->operation == PROTO_RUN)
		return rule_choose(rule, request->words);
	return (struct rule_choice){ request->operation == PROTO_SHELL ||
	    request->operation == PROTO_LINE ? rule_catches_all(rule) : NULL,
	    true, 0 };
}

static int
decide_run(const struct rule *rule, const struct question *q,
    struct decision *d)
{
	const char *name = q->request->words[0];

	if (*name == '\0')
		return policy_refuse(d, PROTO_CODE_UNKNOWN, "", "unknown "
		    "command: \"\"");
	if (strlen(name) > PROTO_PATH_MAX)
		return policy_refuse(d, PROTO_CODE_UNKNOWN, "", "unknown "
		    "command: its name is longer than %d bytes",
		    PROTO_PATH_MAX);
	if (rule->anything)
		return decide_anything(rule, q, d);
	return policy_refuse(d, PROTO_CODE_DENIED, "aisc --list shows what it "
	    "does", "the rule \"%s\" does not grant the command %.200s to "
	    "\"%.100s\"", d->record.rule, name,
	    q->peer->identity->common_name);
}

/* What in "line" (NULL: there is none) a shell is needed for, as the middle of
 * a sentence. */
static const char *
need_of_shell(const char *line, char out[64])
{
	char **words;
	size_t count, at;

	out[0] = '\0';
	if (line == NULL)
		return ", which commands on standard input need";
	switch (words_split(line, 1, &words, &count, &at)) {
	case WORDS_OK:
		words_free(words);
		break;
	case WORDS_SHELL:
		if (line[at] == '\n')
			return ", which a line of several lines needs";
		(void)snprintf(out, 64, ", which the %.*s in it needs",
		    (int)words_culprit(line, at), line + at);
		break;
	case WORDS_QUOTE:
	case WORDS_BACKSLASH:
	case WORDS_MEMORY:
		break;
	}
	return out;
}

/* The shell is given one line; or none, and reads its standard input. */
static int
decide_shell(const struct rule *rule, const struct question *q,
    struct decision *d)
{
	static char name[] = "sh", option[] = "-c";
	char **argv, need[64];

	d->record.shell = true;
	if (!rule->shell)
		return policy_refuse(d, PROTO_CODE_DENIED, "its key \"shell\" "
		    "would", "the rule \"%s\" grants no shell to \"%.100s\"%s",
		    d->record.rule, q->peer->identity->common_name,
		    need_of_shell(q->request->words[0], need));
	if (!check_environment(&rule->options, q->request, d))
		return 0;
	if ((argv = arena_alloc(&d->memory, 4 * sizeof *argv)) == NULL)
		return -1;
	argv[0] = name;
	argv[1] = q->request->nwords == 0 ? NULL : option;
	argv[2] = q->request->words[0];
	argv[3] = NULL;
	d->plan.argv = argv;
	return prepare(rule, &rule->options, q, q->defaults->shell, d);
}

static int
decide_subsystem(const struct rule *rule, const struct question *q,
    struct decision *d)
{
	const char *name = q->request->words[0];

	if (strcmp(name, "sftp") != 0)
		return policy_refuse(d, PROTO_CODE_UNKNOWN, "there is \"sftp\" "
		    "alone", "unknown subsystem: %.200s", name);
	if (rule->sftp_server == NULL)
		return policy_refuse(d, PROTO_CODE_DENIED, "its key "
		    "\"sftp_server\" would", "the rule \"%s\" names no sftp "
		    "server for \"%.100s\"", d->record.rule,
		    q->peer->identity->common_name);
	d->record.command = "sftp";
	if (!check_environment(&rule->options, q->request, d))
		return 0;
	d->plan.checked = true;
	/* A copy: rules may go while a command runs. */
	d->plan.argv = arena_copy_list(&d->memory, rule->sftp_server);
	if ((d->record.argv = d->plan.argv) == NULL)
		return -1;
	return prepare(rule, &rule->options, q, rule->sftp_server[0], d);
}

/* A change of directory is on record as the words that ask for it. */
static int
refuse_chdir(const struct body *request, struct decision *d)
{
	static char name[] = "cd";
	char *argv[] = { name, request->words[0], NULL };

	d->record.argv = arena_copy_list(&d->memory, argv);
	return d->record.argv == NULL ? -1 : refuse_directory(d);
}

/* A directory is entered as the command's user, who may or may not.  Where
 * commands run, and so the way back to where they began, anyone may ask. */
static int
decide_chdir(const struct rule *rule, const struct question *q,
    struct decision *d)
{
	const struct body *request = q->request;

	if (!chooses_directory(rule, &rule->options) && request->nwords > 0 &&
	    strcmp(request->words[0], ".") != 0)
		return refuse_chdir(request, d);
	if (prepare(rule, &rule->options, q, "chdir", d) == -1)
		return -1;
	d->plan.directory = request->nwords > 0 ? request->words[0] :
	    rule->options.directory != NULL ? rule->options.directory :
	    q->defaults->start;
	d->plan.directory = arena_printf(&d->memory, "%s", d->plan.directory);
	return d->plan.directory == NULL ? -1 : 0;
}

static int
refuse_line(const struct question *q, struct decision *d)
{
	const char *line = q->request->words[0];
	enum words_error e;
	char **words;
	size_t count, at;

	if ((e = words_split(line, 1, &words, &count, &at)) == WORDS_OK)
		words_free(words);
	return policy_refuse(d, PROTO_CODE_INVALID, "", "the line cannot be "
	    "run: %s", e == WORDS_OK ? "it has no word" : words_strerror(e));
}

static int
decide(const struct rule *rule, const struct question *q, struct decision *d)
{
	struct rule_choice c = choose(rule, q->request);

	if (c.grant != NULL)
		return decide_granted(rule, &c, q, d);
	switch (q->request->operation) {
	case PROTO_RUN:
		return decide_run(rule, q, d);
	case PROTO_SHELL:
		return decide_shell(rule, q, d);
	case PROTO_CHDIR:
		return decide_chdir(rule, q, d);
	case PROTO_SUBSYSTEM:
		return decide_subsystem(rule, q, d);
	case PROTO_LINE:
		/* What can be run is settled, and a LINE no more. */
		return refuse_line(q, d);
	case PROTO_LIST:
	case PROTO_CAN:
		break;
	}
	/* These two are about what may be run, and run nothing. */
	d->allowed = true;
	return 0;
}

/* While the rule learns, what it would refuse is run, and said to be so. */
static int
learn(const struct rule *rule, const struct question *q, struct decision *d)
{
	struct rule open = *rule;
	const struct grant *g;
	int result;

	if (d->allowed || d->why.code != PROTO_CODE_DENIED ||
	    q->peer->now >= rule->learn_end)
		return 0;
	g = choose(rule, q->request).grant;
	open.anything = open.shell = true;
	d->why.code = PROTO_CODE_NONE;
	/* A variable may mean more to a program than any argument. */
	if (g != NULL && !check_environment(&g->options, q->request, d))
		return 0;
	if (g == NULL)
		result = decide(&open, q, d);
	else if ((d->plan.argv = slots_open(&g->slots, g->program,
	    given_words(g, q->request), &d->memory)) == NULL)
		result = -1;
	else
		result = prepare(&open, &g->options, q, g->program, d);
	d->record.learned = d->allowed;
	d->record.inserted = d->allowed && g != NULL &&
	    (g->original_command || slots_insert(&g->slots));
	return result;
}

/* --- LINE, as ssh(1) and sshd(8) would have it -------------------------- */

/* Make "words" the argv of "b", without a first word that only a shell knows:
 * "exec" before a command. */
static int
settle_words(struct body *b, char *const *words, size_t count,
    struct arena *a)
{
	size_t skip = count > 1 && strcmp(words[0], "exec") == 0;

	b->operation = PROTO_RUN;
	b->nwords = count - skip;
	b->words = arena_copy_list(a, words + skip);
	return b->words == NULL ? -1 : 0;
}

/* Leave out the variables that are not let through: sshd does not refuse a
 * command for them either, and tools send them on the chance. */
static int
settle_variables(const struct rule *rule, struct body *b, struct arena *a)
{
	const struct grant *g = choose(rule, b).grant;
	const struct exec_options *options = g == NULL ? &rule->options :
	    &g->options;
	char **env = arena_alloc(a, (b->nenv + 1) * sizeof *env);
	char name[256];
	size_t n = 0;

	if (env == NULL)
		return -1;
	for (size_t i = 0; i < b->nenv; i++) {
		if (environ_name(b->env[i], name) &&
		    environ_is_accepted(name,
		    (const char *const *)options->accept_environment) &&
		    environ_value_is_accepted(name, strchr(b->env[i], '=') + 1))
			env[n++] = b->env[i];
	}
	env[n] = NULL;
	b->env = env;
	b->nenv = n;
	return 0;
}

/* Make "b" what its line asks for under "rule": SHELL, or RUN, or LINE as
 * before if it is neither.  0, or -1 if memory is out. */
static int
settle_line(const struct rule *rule, struct body *b, struct decision *d)
{
	enum words_error e = WORDS_SHELL;
	char **words;
	size_t count, at;
	int result = 0;

	if (b->nwords > 0)
		e = words_split(b->words[0], 1, &words, &count, &at);
	if (e == WORDS_MEMORY)
		return -1;
	if (rule->shell || e == WORDS_SHELL)
		b->operation = PROTO_SHELL;
	else if (e == WORDS_OK && count > 0) {
		result = settle_words(b, words, count, &d->memory);
		d->record.argv = b->words;
	}
	if (e == WORDS_OK)
		words_free(words);
	return result == -1 ? -1 : settle_variables(rule, b, &d->memory);
}

/* No rule fits: say so to the client, whose operator has to add one. */
static void
explain_no_rule(const struct tls_identity *identity, struct failure *why)
{
	failure_set(why, PROTO_CODE_DENIED, "no rule matches the client "
	    "\"%.200s\"", identity->subject);
	failure_hint(why, "aisd.conf needs one for it");
}

bool
policy_admits(const struct rules *rules, const struct tls_identity *identity,
    const char *address, struct failure *why)
{
	if (rules_find(rules, identity, address) != NULL)
		return true;
	explain_no_rule(identity, why);
	return false;
}

int
policy_decide(const struct policy_defaults *defaults,
    const struct policy_peer *peer, const struct body *request,
    struct decision *d)
{
	struct body settled = *request;
	const struct question q = { defaults, peer, &settled, request };
	const struct rule *rule = peer->rule;
	static char nothing[] = "";
	static char *none[] = { nothing, NULL };

	memset(d, 0, sizeof *d);
	d->record = (struct audit_command){
		.request = peer->request,
		.rule = rule == NULL ? "" : arena_printf(&d->memory, "%s",
		    rule->name),
		.command = "", .argv = request->nwords > 0 ? request->words :
		    none,
		.user = arena_printf(&d->memory, "%s", defaults->user),
		.directory = request->directory != NULL ? request->directory :
		    peer->directory != NULL ? peer->directory : defaults->start
	};
	if (rule == NULL && d->record.user != NULL) {
		explain_no_rule(peer->identity, &d->why);
		return 0;
	}
	if (d->record.rule != NULL && d->record.user != NULL &&
	    (settled.operation != PROTO_LINE ||
	    settle_line(rule, &settled, d) == 0) &&
	    decide(rule, &q, d) == 0 && learn(rule, &q, d) == 0)
		return 0;
	decision_free(d);
	return -1;
}

void
decision_free(struct decision *d)
{
	arena_free(&d->memory);
	memset(&d->plan, 0, sizeof d->plan);
	memset(&d->record, 0, sizeof d->record);
}
