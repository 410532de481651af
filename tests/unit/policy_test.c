/* Unit tests of policy.
 * SPDX-License-Identifier: ISC */
/* Tests of daemon/policy: how a request runs, and what is refused.
 * rules_test.c is about whom rules are for, and about typed arguments. */
#include <config.h>

#include <sys/stat.h>

#include "tests/unit/memory.h"
#include "tests/unit/messages.h"
#include "tests/unit/unit.h"

#include "common/wire/body.h"
#include "common/conf/conf.h"
#include "common/tls/tls.h"
#include "daemon/conf/settings.h"
#include "daemon/explain.h"
#include "daemon/rules/policy.h"

#define COUNT(rows)	(sizeof rows / sizeof rows[0])


static char usr_bin[] = "/usr/bin", bin[] = "/bin";
static char *path[] = { usr_bin, bin, NULL };

static const struct policy_defaults defaults = {
	.allow_setuid = true,
	.path = path, .shell = "/bin/sh", .user = "runner", .home = "/srv/r",
	.start = "/start"
};

/* The policy of "rules", the inside of the list, which is good. */
static struct rules *
load(const char *rules)
{
	struct exec_options options;
	struct conf *conf;
	struct rules *p;
	int errors = 0;
	FILE *f = fopen("p.conf", "w");

	assert_non_null(f);
	assert_true(fprintf(f, "rules = (\n%s\n);\n", rules) > 0);
	assert_int_equal(fclose(f), 0);
	conf = conf_open("p.conf", NULL);
	assert_non_null(conf);
	assert_int_equal(exec_options_init(&options), 0);
	p = rules_load(conf, &options, &errors);
	exec_options_free(&options);
	conf_close(conf);
	if (p == NULL || errors != 0)
		fail_msg("not loaded: %s", messages);
	return p;
}

/* --- questions ------------------------------------------------------------ */

#define WORDS_MAX	64

/* Who asks for what. */
struct question {
	struct tls_identity id;
	struct policy_peer peer;
	struct body body;
	char *words[WORDS_MAX + 1];
	char *env[WORDS_MAX + 1];
	char text[4096];
	char variables[4096];
};

/* The words of "text" between blanks, where '' is an empty one. */
static size_t
split(char *text, char **out)
{
	static char nothing[] = "";
	char *save = NULL, *word;
	size_t n = 0;

	for (word = strtok_r(text, " ", &save); word != NULL && n < WORDS_MAX;
	    word = strtok_r(NULL, " ", &save))
		out[n++] = strcmp(word, "''") == 0 ? nothing : word;
	out[n] = NULL;
	return n;
}

/* "who" is a common name; "env" has variables between blanks. */
static struct question *
question(const char *who, enum proto_operation operation, const char *line,
    const char *env)
{
	static struct question q;

	memset(&q, 0, sizeof q);
	(void)snprintf(q.id.common_name, sizeof q.id.common_name, "%s", who);
	(void)snprintf(q.id.subject, sizeof q.id.subject, "CN=%s", who);
	strcpy(q.id.serial, "0102");
	strcpy(q.id.fingerprint, "abcd");
	q.peer.identity = &q.id;
	q.peer.address = "192.0.2.9";
	q.peer.session = "s1";
	q.peer.request = 7;
	q.peer.now = 1000;
	(void)snprintf(q.text, sizeof q.text, "%s", line);
	(void)snprintf(q.variables, sizeof q.variables, "%s", env);
	q.body.operation = operation;
	q.body.words = q.words;
	q.body.env = q.env;
	q.words[0] = q.text;
	q.body.nwords = operation == PROTO_SHELL ? 1 :
	    split(q.text, q.words);
	q.body.nenv = split(q.variables, q.env);
	return &q;
}

/* Decide, and leave the answer in "d". */
static void
ask(const struct rules *p, const struct question *q, struct decision *d)
{
	struct policy_peer peer = q->peer;

	peer.rule = rules_find(p, &q->id, peer.address);
	assert_int_equal(policy_decide(&defaults, &peer, &q->body, d), 0);
	/* An answer is one or the other, and never both. */
	assert_int_equal(d->allowed, d->why.code == PROTO_CODE_NONE);
	if (!d->allowed)
		assert_string_not_equal(d->why.text, "");
	else if (q->body.operation <= PROTO_CHDIR)
		assert_non_null(d->plan.env);
}

static void
ask_run(const struct rules *p, const char *who, const char *line,
    struct decision *d)
{
	ask(p, question(who, PROTO_RUN, line, ""), d);
}

static void
expect_words(char *const *words, const char *line)
{
	char text[512], *wanted[WORDS_MAX + 1];
	size_t n = 0;

	(void)snprintf(text, sizeof text, "%s", line);
	(void)split(text, wanted);
	for (; wanted[n] != NULL && words[n] != NULL; n++)
		assert_string_equal(words[n], wanted[n]);
	assert_null(wanted[n]);
	assert_null(words[n]);
}

/* --- what is granted ------------------------------------------------------ */

static const char granted[] =
    "{ peers = \"all\"; anything = true; },\n"
    "{ peers = \"shell\"; shell = true; },\n"
    "{ name = \"some\"; peers = \"few\"; commands = (\n"
    "  \"/bin/ls\", \"/opt/tool\", { program = \"/bin/date\"; },\n"
    "  { name = \"up\"; program = \"/usr/bin/uptime\"; arguments = ( \"-p\" );"
    " },\n"
    "  { program = \"/bin/ctl\"; arguments = ( \"status\","
    "    { any = true; } ); },\n"
    "  { name = \"account\"; program = \"/opt/create\"; arguments = ("
    "    \"new\", { match = \"~create|joe\"; }, { any = true; } ); },\n"
    "  { program = \"/bin/ctl\"; arguments = ( \"restart\","
    "    { one_of = [ \"web\", \"cart\" ]; } ); },\n"
    "  { name = \"account\"; program = \"/opt/delete\"; arguments = ("
    "    \"old\", { one_of = \"delete\"; }, { any = true; } ); },\n"
    "  { name = \"cat\"; program = \"/bin/cat\"; arguments = (\n"
    "    { below = \"/srv/data\"; } ); } ); },\n"
    "{ peers = \"wrap\"; commands = ( { program = \"/bin/wrap\";"
    " original_command = true; } ); },\n"
    "{ peers = \"f*\"; anything = true; }";

static void
commands(void **state)
{
	static const struct {
		const char *who, *line, *argv;	/* NULL: refused. */
		enum proto_code code;
	} rows[] = {
		{ "all", "ls", "ls", PROTO_CODE_NONE },
		{ "all", "ls -l ''", "ls -l ''", PROTO_CODE_NONE },
		{ "all", "/bin/ls", "/bin/ls", PROTO_CODE_NONE },
		{ "all", "../../bin/ls", "../../bin/ls", PROTO_CODE_NONE },
		{ "all", "''", NULL, PROTO_CODE_UNKNOWN },
		{ "shell", "ls", NULL, PROTO_CODE_DENIED },
		{ "shell", "sh -c id", NULL, PROTO_CODE_DENIED },
		{ "shell", "/bin/sh", NULL, PROTO_CODE_DENIED },
		{ "few", "ls", "/bin/ls", PROTO_CODE_NONE },
		{ "few", "ls -la /", "/bin/ls -la /", PROTO_CODE_NONE },
		{ "few", "/bin/ls -la", "/bin/ls -la", PROTO_CODE_NONE },
		{ "few", "tool", "/opt/tool", PROTO_CODE_NONE },
		{ "few", "''", NULL, PROTO_CODE_UNKNOWN },
		/* There is no other way to write a path that is granted. */
		{ "few", "/bin//ls", NULL, PROTO_CODE_DENIED },
		{ "few", "/bin/../bin/ls", NULL, PROTO_CODE_DENIED },
		{ "few", "/bin/./ls", NULL, PROTO_CODE_DENIED },
		{ "few", "/bin/ls/", NULL, PROTO_CODE_DENIED },
		{ "few", "./ls", NULL, PROTO_CODE_DENIED },
		{ "few", "../ls", NULL, PROTO_CODE_DENIED },
		{ "few", "bin/ls", NULL, PROTO_CODE_DENIED },
		{ "few", "/usr/bin/ls", NULL, PROTO_CODE_DENIED },
		{ "few", "..", NULL, PROTO_CODE_DENIED },
		{ "few", "/", NULL, PROTO_CODE_DENIED },
		{ "few", "lsx", NULL, PROTO_CODE_DENIED },
		{ "few", "LS", NULL, PROTO_CODE_DENIED },
		{ "few", "id", NULL, PROTO_CODE_DENIED },
		/* A group says all of its arguments. */
		{ "few", "date", "/bin/date", PROTO_CODE_NONE },
		{ "few", "date -s 0", NULL, PROTO_CODE_DENIED },
		{ "few", "date ''", NULL, PROTO_CODE_DENIED },
		{ "few", "up", "/usr/bin/uptime -p", PROTO_CODE_NONE },
		/* A name of its own is the only one. */
		{ "few", "/usr/bin/uptime", NULL, PROTO_CODE_DENIED },
		{ "few", "/usr/bin/uptime -p", NULL, PROTO_CODE_DENIED },
		{ "few", "uptime", NULL, PROTO_CODE_DENIED },
		/* Of several with one name the first that fits decides. */
		{ "few", "ctl status web", "/bin/ctl status web",
		    PROTO_CODE_NONE },
		{ "few", "/bin/ctl status web", "/bin/ctl status web",
		    PROTO_CODE_NONE },
		{ "few", "ctl restart web", "/bin/ctl restart web",
		    PROTO_CODE_NONE },
		{ "few", "ctl restart db", NULL, PROTO_CODE_DENIED },
		{ "few", "ctl web", NULL, PROTO_CODE_DENIED },
		{ "few", "account create joe", "/opt/create new create joe",
		    PROTO_CODE_NONE },
		{ "few", "account delete joe", "/opt/delete old delete joe",
		    PROTO_CODE_NONE },
		{ "few", "/opt/create new create joe", NULL,
		    PROTO_CODE_DENIED },
		{ "few", "up -p", NULL, PROTO_CODE_DENIED },
		/* What the first rule refuses, no later one grants. */
		{ "fewer", "id", "id", PROTO_CODE_NONE },
		{ "nobody", "ls", NULL, PROTO_CODE_DENIED },
	};
	struct rules *p = load(granted);
	struct decision d;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		ask_run(p, rows[i].who, rows[i].line, &d);
		if (d.why.code != (int)rows[i].code)
			fail_msg("%s: %s: %d %s", rows[i].who, rows[i].line,
			    (int)d.why.code, d.why.text);
		if (d.allowed)
			expect_words(d.plan.argv, rows[i].argv);
		decision_free(&d);
		decision_free(&d);
	}
	rules_free(p);
	rules_free(NULL);
}

static void
names(void **state)
{
	struct rules *p = load(granted);
	struct decision d;

	(void)state;
	assert_int_equal(rules_count(p), 5);
	ask_run(p, "all", "ls", &d);
	/* Its place in the list. */
	assert_string_equal(d.record.rule, "1");
	assert_string_equal(d.record.command, "");
	decision_free(&d);
	ask_run(p, "few", "up", &d);
	assert_string_equal(d.record.rule, "some");
	assert_string_equal(d.record.command, "up");
	decision_free(&d);
	ask_run(p, "few", "up x", &d);
	assert_false(d.allowed);
	assert_string_equal(d.record.rule, "some");
	assert_string_equal(d.record.command, "up");
	assert_non_null(strstr(d.why.text, "the rule \"some\" does not grant"));
	decision_free(&d);
	ask_run(p, "eve", "ls", &d);
	assert_string_equal(d.record.rule, "");
	assert_non_null(strstr(d.why.text, "no rule matches the client "
	    "\"CN=eve\""));
	decision_free(&d);
	rules_free(p);
}

/* Without rules nobody may do anything. */
static void
no_rules(void **state)
{
	static const enum proto_operation all[] = { PROTO_RUN, PROTO_SHELL,
	    PROTO_CHDIR, PROTO_LIST, PROTO_CAN };
	struct rules *p = load("");
	struct decision d;

	(void)state;
	for (size_t i = 0; i < COUNT(all); i++) {
		ask(p, question("alice", all[i], "ls", ""), &d);
		assert_int_equal(d.why.code, PROTO_CODE_DENIED);
		decision_free(&d);
	}
	rules_free(p);
}

static void
paths(void **state)
{
	struct rules *p = load(granted);
	struct question *q;
	struct decision d;
	char name[PROTO_PATH_MAX + 2];

	(void)state;
	/* A name is looked for in the directories; a path is itself. */
	ask_run(p, "all", "ls", &d);
	expect_words(d.plan.paths, "/usr/bin/ls /bin/ls");
	assert_false(d.plan.checked);
	decision_free(&d);
	ask_run(p, "all", "../x", &d);
	expect_words(d.plan.paths, "../x");
	decision_free(&d);
	/* What a rule lists is that file, by whatever name it is called. */
	ask_run(p, "few", "tool", &d);
	expect_words(d.plan.paths, "/opt/tool");
	assert_true(d.plan.checked);
	decision_free(&d);
	/* No file has a longer name than this. */
	memset(name, 'a', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	q = question("all", PROTO_RUN, "x", "");
	q->words[0] = name;
	ask(p, q, &d);
	assert_int_equal(d.why.code, PROTO_CODE_UNKNOWN);
	decision_free(&d);
	name[sizeof name - 2] = '\0';
	ask(p, q, &d);
	assert_true(d.allowed);
	decision_free(&d);
	rules_free(p);
}

static void
path_slots(void **state)
{
	static const struct {
		const char *line, *relative;	/* NULL: refused. */
	} rows[] = {
		{ "cat a", "a" }, { "cat a/b", "a/b" },
		{ "cat /srv/data/a/b", "a/b" }, { "cat /srv/data", "." },
		{ "cat /srv/data/", "." }, { "cat .", "." },
		{ "cat ''", "." }, { "cat ./a//b/./c/", "a/b/c" },
		{ "cat ...", "..." }, { "cat ..a/b..", "..a/b.." },
		{ "cat ..", NULL }, { "cat ../data/a", NULL },
		{ "cat a/../b", NULL }, { "cat a/..", NULL },
		{ "cat /srv/data/../x", NULL }, { "cat /srv/data/..", NULL },
		{ "cat /srv/dataset", NULL }, { "cat /srv/dat", NULL },
		{ "cat /etc/passwd", NULL }, { "cat /", NULL },
		{ "cat //srv/data/a", NULL }, { "cat a b", NULL },
		{ "cat", NULL },
	};
	struct rules *p = load(granted);
	struct decision d;
	char word[128];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		ask_run(p, "few", rows[i].line, &d);
		if (d.allowed != (rows[i].relative != NULL))
			fail_msg("%s: %s", rows[i].line, d.why.text);
		if (d.allowed) {
			assert_int_equal(d.plan.below_count, 1);
			assert_string_equal(d.plan.below[0].below,
			    "/srv/data");
			assert_string_equal(d.plan.below[0].relative,
			    rows[i].relative);
			assert_int_equal(d.plan.below[0].pin,
			    CHILD_PIN_NEEDED);
			/* The word is what was asked, made absolute. */
			assert_ptr_equal(d.plan.below[0].word,
			    &d.plan.argv[1]);
			(void)snprintf(word, sizeof word, "%s%.*s",
			    d.record.argv[1][0] == '/' ? "" : "/srv/data/",
			    100, d.record.argv[1]);
			assert_string_equal(d.plan.argv[1], word);
		}
		decision_free(&d);
	}
	rules_free(p);
}

static void
shells(void **state)
{
	struct rules *p = load(granted);
	struct decision d;

	(void)state;
	ask(p, question("shell", PROTO_SHELL, "ls | wc; exit 3", ""), &d);
	assert_true(d.allowed);
	assert_string_equal(d.plan.argv[0], "sh");
	assert_string_equal(d.plan.argv[1], "-c");
	assert_string_equal(d.plan.argv[2], "ls | wc; exit 3");
	assert_null(d.plan.argv[3]);
	expect_words(d.plan.paths, "/bin/sh");
	decision_free(&d);
	/* Without a line it reads its standard input. */
	ask(p, question("shell", PROTO_LINE, "", ""), &d);
	assert_true(d.allowed);
	expect_words(d.plan.argv, "sh");
	expect_words(d.plan.paths, "/bin/sh");
	decision_free(&d);
	/* Neither "anything" nor a list of commands grants one. */
	ask(p, question("all", PROTO_SHELL, "ls", ""), &d);
	assert_int_equal(d.why.code, PROTO_CODE_DENIED);
	assert_non_null(strstr(d.why.hint, "\"shell\""));
	decision_free(&d);
	ask(p, question("few", PROTO_SHELL, "ls", ""), &d);
	assert_int_equal(d.why.code, PROTO_CODE_DENIED);
	decision_free(&d);
	rules_free(p);
}

/* --- environment ---------------------------------------------------------- */

static const char *
value_of(char *const *env, const char *name)
{
	const char *found = NULL;
	size_t n = strlen(name);

	for (; *env != NULL; env++) {
		if (strncmp(*env, name, n) != 0 || (*env)[n] != '=')
			continue;
		assert_null(found);	/* Each name once. */
		found = *env + n + 1;
	}
	return found;
}

static void
own_environment(void **state)
{
	static const char *const own[][2] = {
		{ "PATH", "/usr/bin:/bin" }, { "HOME", "/srv/r" },
		{ "USER", "runner" }, { "LOGNAME", "runner" },
		{ "SHELL", "/bin/sh" }, { "LANG", "C.UTF-8" },
		{ "AIS_SESSION", "s1" }, { "AIS_REQUEST", "7" },
		/* A name is foreign, and no line of it may break. */
		{ "AIS_PEER_CN", "al\\nice" },
		{ "AIS_PEER_SUBJECT", "CN=al\nice" },
		{ "AIS_PEER_SERIAL", "0102" },
		{ "AIS_PEER_FINGERPRINT", "abcd" },
		{ "AIS_PEER_ADDR", "192.0.2.9" },
	};
	struct rules *p = load("{ peers = \"*\"; anything = true; }");
	struct decision d;
	size_t n = 0;

	(void)state;
	ask_run(p, "al\nice", "env", &d);
	for (size_t i = 0; i < COUNT(own); i++) {
		if (value_of(d.plan.env, own[i][0]) == NULL)
			fail_msg("no %s", own[i][0]);
		assert_string_equal(value_of(d.plan.env, own[i][0]), own[i][1]);
	}
	/* Nothing of the daemon's own comes along. */
	while (d.plan.env[n] != NULL)
		n++;
	assert_int_equal(n, COUNT(own));
	decision_free(&d);
	rules_free(p);
}

#define ALL	"accept_environment = \"*\";"

static const struct {
	const char *accepts, *variable;
	enum proto_code code;
} variables[] = {
	/* The usual ones. */
	{ "", "LANG=de", PROTO_CODE_NONE },
	{ "", "LC_ALL=de", PROTO_CODE_NONE },
	{ "", "TERM=xterm", PROTO_CODE_NONE },
	{ "", "TZ=UTC", PROTO_CODE_NONE },
	{ "", "GIT_PROTOCOL=version=2", PROTO_CODE_NONE },
	{ "", "LANGUAGE=de", PROTO_CODE_DENIED },
	/* What libraries make the names of files of. */
	{ ALL, "LANGUAGE=de:en", PROTO_CODE_NONE },
	{ ALL, "LANGUAGE=../../../tmp/x", PROTO_CODE_DENIED },
	{ "accept_environment = \"LANGUAGE\";", "LANGUAGE=/tmp",
	    PROTO_CODE_DENIED },
	{ "", "LANG=de_DE.UTF-8@euro", PROTO_CODE_NONE },
	{ "", "LANG=/tmp/x", PROTO_CODE_DENIED },
	{ "", "LC_MESSAGES=..", PROTO_CODE_DENIED },
	{ "", "LC_ALL=%n", PROTO_CODE_DENIED },
	{ "", "TERM=screen.xterm-256color", PROTO_CODE_NONE },
	{ "", "TERM=x/../../tmp/x", PROTO_CODE_DENIED },
	{ "", "TZ=Europe/Berlin", PROTO_CODE_NONE },
	{ "", "TZ=:America/Argentina/Salta", PROTO_CODE_NONE },
	{ "", "TZ=<+03>-3", PROTO_CODE_NONE },
	{ "", "TZ=/tmp/x", PROTO_CODE_DENIED },
	{ "", "TZ=:/tmp/x", PROTO_CODE_DENIED },
	{ "", "TZ=./x", PROTO_CODE_DENIED },
	{ "", "TZ=:.x", PROTO_CODE_DENIED },
	{ "", "TZ=../../../tmp/x", PROTO_CODE_DENIED },
	{ ALL, "OTHER=/a/../%s", PROTO_CODE_NONE },
	{ "", "GIT_DIR=/x", PROTO_CODE_DENIED },
	{ "", "LANGX=de", PROTO_CODE_DENIED },
	{ "", "lang=de", PROTO_CODE_DENIED },
	{ "", "A=1", PROTO_CODE_DENIED },
	{ "accept_environment = [ ];", "LANG=de", PROTO_CODE_DENIED },
	{ "accept_environment = \"A\";", "A=1", PROTO_CODE_NONE },
	{ "accept_environment = \"A\";", "LANG=1", PROTO_CODE_DENIED },
	{ "accept_environment = \"A\";", "AB=1", PROTO_CODE_DENIED },
	{ "accept_environment = \"A*\";", "AB=1", PROTO_CODE_NONE },
	{ "accept_environment = \"A*\";", "a=1", PROTO_CODE_DENIED },
	{ ALL, "ANYTHING=1", PROTO_CODE_NONE },
	/* What a pattern never grants, and its own name does. */
	{ ALL, "LD_PRELOAD=/x", PROTO_CODE_DENIED },
	{ "accept_environment = \"LD_*\";", "LD_PRELOAD=/x",
	    PROTO_CODE_DENIED },
	{ "accept_environment = \"LD_PRELOAD\";", "LD_PRELOAD=/x",
	    PROTO_CODE_NONE },
	{ "accept_environment = [ \"*\", \"LD_PRELOAD\" ];", "LD_AUDIT=/x",
	    PROTO_CODE_DENIED },
	{ ALL, "PATH=/x", PROTO_CODE_DENIED },
	{ "accept_environment = \"PATH\";", "PATH=/x", PROTO_CODE_NONE },
	{ ALL, "PATHX=/x", PROTO_CODE_NONE },
	{ ALL, "IFS=x", PROTO_CODE_DENIED },
	{ ALL, "ENV=x", PROTO_CODE_DENIED },
	{ ALL, "BASH_ENV=x", PROTO_CODE_DENIED },
	{ ALL, "BASHOPTS=x", PROTO_CODE_DENIED },
	{ ALL, "SHELLOPTS=x", PROTO_CODE_DENIED },
	{ ALL, "PS4=x", PROTO_CODE_DENIED },
	{ ALL, "GCONV_PATH=x", PROTO_CODE_DENIED },
	{ ALL, "GLIBC_TUNABLES=x", PROTO_CODE_DENIED },
	{ ALL, "LOCPATH=x", PROTO_CODE_DENIED },
	{ ALL, "NLSPATH=x", PROTO_CODE_DENIED },
	{ ALL, "HOSTALIASES=x", PROTO_CODE_DENIED },
	{ ALL, "RES_OPTIONS=x", PROTO_CODE_DENIED },
	{ ALL, "TMPDIR=x", PROTO_CODE_DENIED },
	{ ALL, "NOTIFY_SOCKET=x", PROTO_CODE_DENIED },
	{ ALL, "LISTEN_FDS=3", PROTO_CODE_DENIED },
	{ ALL, "WATCHDOG_USEC=3", PROTO_CODE_DENIED },
	{ ALL, "JOURNAL_STREAM=3", PROTO_CODE_DENIED },
	{ ALL, "CREDENTIALS_DIRECTORY=/", PROTO_CODE_DENIED },
	{ ALL, "HOME=/", PROTO_CODE_DENIED },
	{ "accept_environment = \"HOME\";", "HOME=/", PROTO_CODE_NONE },
	{ ALL, "USER=root", PROTO_CODE_DENIED },
	{ ALL, "LOGNAME=root", PROTO_CODE_DENIED },
	{ ALL, "SHELL=/x", PROTO_CODE_DENIED },
	/* What nothing grants. */
	{ ALL, "AIS_PEER_CN=root", PROTO_CODE_DENIED },
	{ "accept_environment = [ \"AIS_PEER_CN\", \"AIS_*\" ];",
	    "AIS_PEER_CN=root", PROTO_CODE_DENIED },
	{ "accept_environment = \"AIS_X\";", "AIS_X=1", PROTO_CODE_DENIED },
	{ ALL, "AIS=1", PROTO_CODE_NONE },
	/* What is no variable. */
	{ ALL, "A", PROTO_CODE_INVALID },
	{ ALL, "=1", PROTO_CODE_INVALID },
	{ ALL, "1A=1", PROTO_CODE_INVALID },
	{ ALL, "A-B=1", PROTO_CODE_INVALID },
	{ ALL, "BASH_FUNC_a%%=()", PROTO_CODE_INVALID },
	{ ALL, "\xc3\xa4=1", PROTO_CODE_INVALID },
	{ ALL, "_=1", PROTO_CODE_NONE },
	{ ALL, "A=", PROTO_CODE_NONE },
};

static void
accepted_environment(void **state)
{
	static const char *const kinds[] = {
		"anything = true;", "commands = ( \"/bin/env\" );"
	};
	char text[1024];
	struct decision d;

	(void)state;
	for (size_t i = 0; i < 2 * COUNT(variables); i++) {
		enum proto_code code = variables[i / 2].code;
		const char *variable = variables[i / 2].variable;
		struct rules *p;

		(void)snprintf(text, sizeof text, "{ peers = \"*\"; shell = "
		    "true; %s %s }", kinds[i % 2], variables[i / 2].accepts);
		p = load(text);
		ask(p, question("a", PROTO_RUN, "env", variable), &d);
		if (d.why.code != (int)code)
			fail_msg("%s %s: %s", text, variable, d.why.text);
		if (d.allowed)
			assert_string_equal(value_of(d.plan.env, "LOGNAME"),
			    "runner");
		decision_free(&d);
		ask(p, question("a", PROTO_SHELL, "env", variable), &d);
		assert_int_equal(d.why.code, code);
		decision_free(&d);
		/* One that is bad spoils all. */
		(void)snprintf(text, sizeof text, "TZ=1 %s TZ=2", variable);
		ask(p, question("a", PROTO_RUN, "env", text), &d);
		if (code != PROTO_CODE_NONE)
			assert_false(d.allowed);
		decision_free(&d);
		rules_free(p);
	}
}

/* Ours, the rule's, the client's: the later one wins. */
static void
merged_environment(void **state)
{
	struct rules *p = load("{ peers = \"*\"; anything = true;\n"
	    "environment = [ \"A=rule\", \"B=rule\", \"HOME=/rule\" ];\n"
	    "accept_environment = [ \"A\", \"C\" ]; }");
	struct decision d;

	(void)state;
	ask(p, question("a", PROTO_RUN, "env", "A=1 A=client C=client"), &d);
	assert_true(d.allowed);
	assert_string_equal(value_of(d.plan.env, "A"), "client");
	assert_string_equal(value_of(d.plan.env, "B"), "rule");
	assert_string_equal(value_of(d.plan.env, "C"), "client");
	assert_string_equal(value_of(d.plan.env, "HOME"), "/rule");
	assert_string_equal(value_of(d.plan.env, "USER"), "runner");
	decision_free(&d);
	rules_free(p);
}

/* The name of a variable has 255 bytes at most. */
static void
long_variables(void **state)
{
	struct rules *p = load("{ peers = \"*\"; anything = true; " ALL " }");
	struct question *q = question("a", PROTO_RUN, "env", "X=1");
	char variable[300];
	struct decision d;

	(void)state;
	memset(variable, 'A', sizeof variable);
	strcpy(variable + 255, "=1");
	q->env[0] = variable;
	ask(p, q, &d);
	assert_true(d.allowed);
	decision_free(&d);
	memset(variable, 'A', 256);
	strcpy(variable + 256, "=1");
	ask(p, q, &d);
	assert_int_equal(d.why.code, PROTO_CODE_INVALID);
	decision_free(&d);
	rules_free(p);
}

/* --- the client's own words ----------------------------------------------- */

#define CATCHES	"{ peers = \"a\"; accept_environment = \"*\"; " \
	"commands = ( \"/bin/date\", { program = \"/bin/wrap\"; " \
	"arguments = ( \"-ro\", \"/srv\" ); original_command = true; " \
	"accept_environment = [ \"*\", \"SSH_ORIGINAL_COMMAND\" ]; } ); }"

/* One command is for all that no other before it takes. */
static void
original_words(void **state)
{
	static const struct {
		enum proto_operation operation;
		const char *line, *original;	/* NULL: there is none. */
		const char *record;
	} rows[] = {
		{ PROTO_RUN, "rsync --server . /x", "rsync --server . /x",
		    "rsync --server . /x" },
		{ PROTO_RUN, "wrap '' it's $HOME;", "wrap '' 'it'\\''s' "
		    "'$HOME;'", "wrap '' it's $HOME;" },
		{ PROTO_RUN, "/bin/wrap", "/bin/wrap", "/bin/wrap" },
		{ PROTO_RUN, "''", "''", "''" },
		{ PROTO_RUN, "\xff\n", "'\xff\n'", "\xff\n" },
		{ PROTO_SHELL, "ls *.jpg | wc", "ls *.jpg | wc", NULL },
		/* A line is handed on as it is, whether or not it is words. */
		{ PROTO_LINE, "a  b\\ c", "a  b\\ c", NULL },
		{ PROTO_LINE, "exec \"a", "exec \"a", NULL },
		{ PROTO_LINE, "ls *", "ls *", NULL },
		{ PROTO_LINE, " ", " ", NULL },
		{ PROTO_LINE, NULL, NULL, NULL },
	};
	struct rules *p = load(CATCHES);
	struct decision d;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct question *q = question("a", rows[i].operation,
		    rows[i].line == NULL ? "" : rows[i].line,
		    "X=1");
		const char *original;

		if (rows[i].operation == PROTO_LINE) {
			(void)snprintf(q->text, sizeof q->text, "%s",
			    rows[i].line == NULL ? "" : rows[i].line);
			q->body.nwords = rows[i].line != NULL;
			q->words[0] = rows[i].line != NULL ? q->text : NULL;
			q->words[1] = NULL;
		}
		ask(p, q, &d);
		if (!d.allowed)
			fail_msg("%s: %s", rows[i].line, d.why.text);
		assert_string_equal(d.record.command, "wrap");
		assert_false(d.record.shell);
		assert_string_equal(d.plan.paths[0], "/bin/wrap");
		expect_words(d.plan.argv, "/bin/wrap -ro /srv");
		if (rows[i].record != NULL)
			expect_words(d.record.argv, rows[i].record);
		original = value_of(d.plan.env, "SSH_ORIGINAL_COMMAND");
		if (rows[i].original == NULL)
			assert_null(original);
		else
			assert_string_equal(original, rows[i].original);
		assert_string_equal(value_of(d.plan.env, "X"), "1");
		decision_free(&d);
	}
	/* What stands before it is asked first. */
	ask(p, question("a", PROTO_RUN, "date", ""), &d);
	assert_string_equal(d.record.command, "date");
	assert_null(value_of(d.plan.env, "SSH_ORIGINAL_COMMAND"));
	decision_free(&d);
	/* The variable is never the client's to set. */
	ask(p, question("a", PROTO_RUN, "x", "SSH_ORIGINAL_COMMAND=y"), &d);
	assert_int_equal(d.why.code, PROTO_CODE_DENIED);
	assert_string_equal(d.why.hint, "the server sets it");
	decision_free(&d);
	/* A subsystem, and a directory, are no words of a command. */
	ask(p, question("a", PROTO_SUBSYSTEM, "sftp", ""), &d);
	assert_int_equal(d.why.code, PROTO_CODE_DENIED);
	decision_free(&d);
	ask(p, question("a", PROTO_CHDIR, "/tmp", ""), &d);
	assert_int_equal(d.why.code, PROTO_CODE_DENIED);
	decision_free(&d);
	rules_free(p);
}

/* A variable is as long as the kernel takes it, and no longer. */
static void
long_original(void **state)
{
	static char line[PROTO_WORD_MAX + 1];
	const size_t most = PROTO_WORD_MAX - strlen("SSH_ORIGINAL_COMMAND=");
	static const enum proto_operation ways[] = { PROTO_RUN, PROTO_SHELL };
	struct rules *p = load(CATCHES);
	struct decision d;

	(void)state;
	for (size_t i = 0; i < COUNT(ways) * 2; i++) {
		struct question *q = question("a", ways[i / 2], "x", "");

		memset(line, 'x', sizeof line);
		line[most + i % 2] = '\0';
		/* A name that long is none. */
		if (ways[i / 2] == PROTO_RUN)
			line[4] = ' ';
		q->words[0] = line;
		if (ways[i / 2] == PROTO_RUN)
			q->body.nwords = split(line, q->words);
		ask(p, q, &d);
		assert_int_equal(d.why.code, i % 2 == 0 ? PROTO_CODE_NONE :
		    PROTO_CODE_INVALID);
		assert_int_equal(d.plan.argv == NULL, i % 2 == 1);
		decision_free(&d);
	}
	rules_free(p);
}

/* While the rule learns, what its program is given stays as it is. */
static void
original_learning(void **state)
{
	struct rules *p = load("{ peers = \"a\"; learn_until = "
	    "\"2027-01-01\"; commands = ( { name = \"w\"; program = "
	    "\"/bin/wrap\"; original_command = true; } ); }");
	struct question *q = question("a", PROTO_RUN, "rsync . /x", "");
	char directory[] = "/tmp";
	struct decision d;

	(void)state;
	q->body.directory = directory;
	ask(p, q, &d);
	assert_true(d.allowed && d.record.learned && d.record.inserted);
	expect_words(d.plan.argv, "/bin/wrap");
	assert_string_equal(value_of(d.plan.env, "SSH_ORIGINAL_COMMAND"),
	    "rsync . /x");
	decision_free(&d);
	rules_free(p);
}

/* --- options -------------------------------------------------------------- */

/* The top level, the rule, the command: each replaces what it names. */
static void
options(void **state)
{
	struct rules *p = load(
	    "{ peers = \"rule\"; anything = true; time_limit = 5; nice = 3;\n"
	    "  umask = \"027\"; stdin = false; open_files = 9; },\n"
	    "{ peers = \"command\"; time_limit = 5; output_limit = \"1 KiB\";\n"
	    "  on_disconnect = \"finish\"; commands = ( \"/bin/a\",\n"
	    "  { program = \"/bin/b\"; time_limit = 6; memory_limit = 7;\n"
	    "    cpu_limit = 0.5; process_limit = 8; no_new_privs = false;\n"
	    "    on_disconnect = \"kill\"; background = \"keep\"; } ); }");
	struct question *q = question("rule", PROTO_RUN, "x", "");
	struct decision d;

	(void)state;
	q->body.wants_stdin = true;
	ask(p, q, &d);
	assert_int_equal(d.plan.limits.time_limit, 5000);
	assert_int_equal(d.plan.limits.nice, 3);
	assert_int_equal(d.plan.limits.open_files, 9);
	assert_int_equal(d.plan.limits.output_limit, 0);
	assert_true(d.plan.limits.no_new_privs);
	assert_int_equal(d.plan.umask, 027);
	assert_false(d.plan.wants_stdin);
	decision_free(&d);

	q = question("command", PROTO_RUN, "a", "");
	q->body.wants_stdin = true;
	ask(p, q, &d);
	assert_int_equal(d.plan.limits.time_limit, 5000);
	assert_int_equal(d.plan.limits.output_limit, 1024);
	assert_true(d.plan.limits.finish);
	assert_false(d.plan.limits.keep);
	assert_true(d.plan.limits.no_new_privs);
	assert_int_equal(d.plan.umask, 022);
	assert_true(d.plan.wants_stdin);
	decision_free(&d);

	ask_run(p, "command", "b", &d);
	assert_int_equal(d.plan.limits.time_limit, 6000);
	assert_int_equal(d.plan.limits.output_limit, 1024);
	assert_int_equal(d.plan.limits.memory_limit, 7);
	assert_int_equal(d.plan.limits.cpu_limit, 500);
	assert_int_equal(d.plan.limits.process_limit, 8);
	assert_false(d.plan.limits.no_new_privs);
	assert_false(d.plan.limits.finish);
	assert_true(d.plan.limits.keep);
	assert_false(d.plan.wants_stdin);
	decision_free(&d);
	rules_free(p);
}

static const char placed[] =
    "{ peers = \"all\"; anything = true; },\n"
    "{ peers = \"shell\"; shell = true; directory = \"/rule\"; },\n"
    "{ peers = \"dir\"; anything = true; directory = \"/rule\"; },\n"
    "{ peers = \"few\"; directory = \"/rule\"; commands = ( \"/bin/ls\" ); },\n"
    "{ peers = \"any\"; directory = \"/rule\"; any_directory = true;\n"
    "  commands = ( \"/bin/ls\" ); }";

static void
directories(void **state)
{
	static char here[] = ".", there[] = "/x", below[] = "x";
	static const struct {
		const char *who;
		char *own;
		const char *session, *base, *directory;
	} rows[] = {
		{ "all", NULL, NULL, "/start", "." },
		{ "all", there, NULL, "/start", "/x" },
		{ "all", below, NULL, "/start", "x" },
		{ "all", NULL, "/s", "/s", "." },
		{ "all", below, "/s", "/s", "x" },
		{ "dir", NULL, NULL, "/rule", "." },
		{ "dir", below, NULL, "/rule", "x" },
		{ "dir", NULL, "/s", "/s", "." },
		{ "few", NULL, NULL, "/rule", "." },
		/* A session that could change it once cannot any more. */
		{ "few", NULL, "/s", "/rule", "." },
		{ "few", there, NULL, NULL, NULL },
		{ "few", here, NULL, NULL, NULL },
		{ "any", there, NULL, "/rule", "/x" },
		{ "any", NULL, "/s", "/s", "." },
	};
	struct rules *p = load(placed);
	struct decision d;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct question *q = question(rows[i].who, PROTO_RUN, "ls",
		    "");

		q->peer.directory = rows[i].session;
		q->body.directory = rows[i].own;
		ask(p, q, &d);
		assert_int_equal(d.allowed, rows[i].base != NULL);
		if (d.allowed) {
			assert_string_equal(d.plan.base, rows[i].base);
			assert_string_equal(d.plan.directory,
			    rows[i].directory);
		} else
			assert_non_null(strstr(d.why.hint, "any_directory"));
		decision_free(&d);
	}
	rules_free(p);
}

static void
changes_of_directory(void **state)
{
	static const struct {
		const char *who, *to, *directory;	/* NULL: refused. */
	} rows[] = {
		{ "all", "/x", "/x" }, { "all", "..", ".." },
		{ "all", "", "/start" }, { "dir", "", "/rule" },
		{ "shell", "/x", "/x" }, { "any", "x", "x" },
		{ "few", "/x", NULL }, { "few", "./", NULL },
		/* Where commands run anyone may ask. */
		{ "few", "", "/rule" }, { "few", ".", "." },
		{ "nobody", "/x", NULL }, { "nobody", ".", NULL },
	};
	struct rules *p = load(placed);
	struct decision d;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		ask(p, question(rows[i].who, PROTO_CHDIR, rows[i].to, ""), &d);
		assert_int_equal(d.allowed, rows[i].directory != NULL);
		if (d.allowed)
			assert_string_equal(d.plan.directory,
			    rows[i].directory);
		else
			assert_int_equal(d.why.code, PROTO_CODE_DENIED);
		if (strcmp(rows[i].who, "few") == 0 && !d.allowed) {
			assert_string_equal(d.record.argv[0], "cd");
			assert_string_equal(d.record.argv[1], rows[i].to);
			assert_null(d.record.argv[2]);
		}
		decision_free(&d);
	}
	rules_free(p);
}

/* --- masks, learning ------------------------------------------------------ */

static void
masks(void **state)
{
	static const char *const rows[][2] = {
		{ "in a b c", "in a *** c" },
		{ "in --pass x y", "in --pass *** y" },
		{ "in a --pass", "in a ***" },
		{ "in a q --pass=secret", "in a *** --pass=***" },
		{ "in a q --password=x", "in a *** --password=x" },
		{ "in a q --pass", "in a *** --pass" },
		{ "in a q -p x -px", "in a *** -p *** -p***" },
		{ "in a q --pa x --pas=x --p=x", "in a *** --pa *** --pas=*** "
		    "--p=***" },
		/* The end of options is none. */
		{ "in a q -- x -", "in a *** -- x -" },
		{ "in", "in" },
		/* What is refused is masked as well. */
		{ "in deny --pass secret", "in deny *** ***" },
	};
	struct rules *p = load("{ peers = \"*\"; commands = (\n"
	    "{ program = \"/bin/in\"; log_mask = [ \"2\", \"--pass\", \"-p\" ];"
	    " arguments = ( { match = \"~[^d].*\"; rest = true; } ); } ); }");
	struct decision d;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		ask_run(p, "a", rows[i][0], &d);
		assert_int_equal(d.allowed, i + 1 < COUNT(rows));
		expect_words(d.record.argv, rows[i][1]);
		decision_free(&d);
	}
	rules_free(p);
}

/* What another command of the same name masks is masked as well, and what a
 * secret would have to be is not told. */
static void
masks_of_all(void **state)
{
	static const char *const rows[][3] = {
		{ "p set x", "p *** ***", "" },
		{ "p get x", "p *** ***", "" },
		{ "p put x", "p *** ***", "argument 1 of p must be another" },
		{ "p get y", "p *** ***", "argument 2 of p must be another" },
		{ "p --key=y x", "p *** ***", "argument 1 of p must be anoth" },
		{ "q --key=y x", "q --key=*** ***", "must be another" },
		{ "q put --key", "q put ***", "1 of q must be \"get\"" },
		{ "q get --key", "q get ***", "must be another" },
	};
	struct rules *p = load("{ peers = \"*\"; commands = (\n"
	    "{ name = \"p\"; program = \"/bin/p\"; log_mask = \"2\";"
	    " arguments = ( { one_of = \"get\"; }, { one_of = \"x\"; } ); },\n"
	    "{ name = \"p\"; program = \"/bin/p\"; log_mask = [ \"1\","
	    " \"--key\" ]; arguments = ( { one_of = \"set\"; },"
	    " { one_of = \"x\"; } ); },\n"
	    "{ program = \"/bin/q\"; log_mask = [ \"--key\", \"2\" ];"
	    " arguments = ( \"get\", { one_of = \"x\"; } ); } ); }");
	struct decision d;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		ask_run(p, "a", rows[i][0], &d);
		assert_int_equal(d.allowed, *rows[i][2] == '\0');
		expect_words(d.record.argv, rows[i][1]);
		if (strstr(d.why.text, rows[i][2]) == NULL)
			fail_msg("%s: %s", rows[i][0], d.why.text);
		decision_free(&d);
	}
	rules_free(p);
}

/* What a refusal says of the words. */
static void
misfits(void **state)
{
	static const char *const rows[][2] = {
		{ "ctl", "ctl lacks its argument 1, \"status\", or "
		    "\"restart\"" },
		{ "ctl stop", "the argument 1 of ctl must be \"status\", or "
		    "\"restart\"" },
		{ "ctl restart", "ctl lacks its argument 2, one of \"web\", "
		    "\"cart\"" },
		{ "ctl restart db", "the argument 2 of ctl must be one of "
		    "\"web\", \"cart\"" },
		{ "ctl status a b", "ctl takes no argument 3" },
		{ "tail /x", "the argument 1 of tail must be \"-f\", or one of "
		    "\"-n\", \"--lines=\" with a number from 1 to 9" },
		{ "tail -f -n x", "the argument 3 of tail must be a number "
		    "from 1 to 9" },
		{ "tail -n", "tail lacks its argument 2, a number from 1 to "
		    "9" },
		{ "tail --lines=3", "with a number from 1 to 9, or a path "
		    "below /srv" },
		{ "tail --lines=3 /etc/x", "the argument 2 of tail must be "
		    "\"-f\", or one of" },
		{ "tail --lines=3 x y", "the argument 3 of tail must be of one "
		    "of the forms \"a*\", \"~b+\", or left out" },
		{ "date -u", "date takes no argument 1" },
	};
	struct rules *p = load("{ peers = \"*\"; commands = (\n"
	    "{ program = \"/bin/ctl\"; arguments = ( \"status\","
	    "  { any = true; } ); },\n"
	    "{ program = \"/bin/ctl\"; arguments = ( \"restart\","
	    "  { one_of = [ \"web\", \"cart\" ]; } ); },\n"
	    "{ name = \"date\"; program = \"/bin/date\"; },\n"
	    "{ name = \"tail\"; program = \"/bin/tail\"; arguments = (\n"
	    "  { flag = \"-f\"; optional = true; }, { optional = true;\n"
	    "    flag = [ \"-n\", \"--lines=\" ]; min = 1; max = 9; }, \"--\","
	    "  { below = \"/srv\"; }, { match = [ \"a*\", \"~b+\" ];"
	    "    optional = true; } ); } ); }");
	struct decision d;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		ask_run(p, "a", rows[i][0], &d);
		assert_false(d.allowed);
		if (strstr(d.why.text, rows[i][1]) == NULL)
			fail_msg("%s: %s", rows[i][0], d.why.text);
		decision_free(&d);
	}
	rules_free(p);
}

/* The last second of 1970-01-05, in UTC. */
#define LAST	(5 * 86400 - 1)

static void
learning(void **state)
{
	static const struct {
		enum proto_operation operation;
		const char *line, *env;
		int64_t now;
		enum proto_code code;
		bool learned;
	} rows[] = {
		{ PROTO_RUN, "date", "", 0, PROTO_CODE_NONE, false },
		{ PROTO_RUN, "date -u", "", 0, PROTO_CODE_NONE, true },
		{ PROTO_RUN, "id", "", 0, PROTO_CODE_NONE, true },
		{ PROTO_RUN, "id", "", LAST, PROTO_CODE_NONE, true },
		{ PROTO_RUN, "id", "", LAST + 1, PROTO_CODE_DENIED, false },
		{ PROTO_RUN, "date -u", "", LAST + 1, PROTO_CODE_DENIED,
		    false },
		{ PROTO_RUN, "date", "", LAST + 1, PROTO_CODE_NONE, false },
		{ PROTO_SHELL, "id", "", LAST, PROTO_CODE_NONE, true },
		{ PROTO_SHELL, "id", "", LAST + 1, PROTO_CODE_DENIED, false },
		{ PROTO_RUN, "''", "", 0, PROTO_CODE_UNKNOWN, false },
		/* A variable is refused all the same. */
		{ PROTO_RUN, "id", "LD_PRELOAD=/x", 0, PROTO_CODE_DENIED,
		    false },
		{ PROTO_RUN, "date", "LD_PRELOAD=/x", 0, PROTO_CODE_DENIED,
		    false },
		{ PROTO_RUN, "date -u", "AIS_PEER_CN=root", 0,
		    PROTO_CODE_DENIED, false },
		{ PROTO_RUN, "date -u", "1=", 0, PROTO_CODE_INVALID, false },
	};
	struct rules *p = load("{ peers = \"*\"; learn_until = "
	    "\"1970-01-05\"; commands = ( { program = \"/bin/date\"; } ); }");
	struct decision d;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct question *q = question("a", rows[i].operation,
		    rows[i].line, rows[i].env);

		q->peer.now = rows[i].now;
		ask(p, q, &d);
		if (d.why.code != (int)rows[i].code ||
		    d.record.learned != rows[i].learned)
			fail_msg("%s %s at %lld: %d, %d", rows[i].env,
			    rows[i].line, (long long)rows[i].now,
			    d.why.code, d.record.learned);
		decision_free(&d);
	}
	rules_free(p);
}

/* --- for people ----------------------------------------------------------- */

/* What explain_rights() writes and answers about a client and its words. */
static void
expect_explained(struct rules *p, const char *who, const char *line,
    int answer, const char *wanted)
{
	struct settings s = { .rules = p, .policy = {
	    .path = (char **)(uintptr_t)path, .user = "", .home = "",
	    .shell = "", .start = "/start" } };
	struct question *q = question("", PROTO_RUN, line, "");
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	assert_int_equal(explain_rights(out, &s, who, q->words), answer);
	assert_int_equal(fclose(out), 0);
	if (strstr(text, wanted) == NULL)
		fail_msg("no \"%s\" in: %s", wanted, text);
	free(text);
}

static void
explanations(void **state)
{
	struct rules *p = load("{ name = \"a\"; peers = \"a\"; dns = \"d\"; },"
	    "\n{ name = \"b\"; peers = [ \"a\", \"b\" ]; nice = 9;\n"
	    "commands = ( \"/bin/ls\" ); }");
	static const char ls[] = "ls -l";

	(void)state;
	expect_explained(p, "CN=a", ls, 0, "p.conf:2: rule \"a\": does not "
	    "match, because of its key dns\np.conf:3: rule \"b\": matches\n");
	expect_explained(p, "CN=a", ls, 0, "allowed by the rule \"b\"");
	expect_explained(p, "CN=a", ls, 0, "argv: /bin/ls -l\n");
	expect_explained(p, "CN=a", ls, 0, "program: /bin/ls");
	expect_explained(p, "CN=a", ls, 0, "directory: /start\n");
	expect_explained(p, "CN=a", ls, 0, "nice = 9;\n");
	expect_explained(p, "CN=a", "id", 1, "refused: the rule \"b\" does not "
	    "grant the command id");
	expect_explained(p, "CN=x", "ls", 1, "because of its key peers\n");
	expect_explained(p, "CN=x", "ls", 1, "no rule matches");
	expect_explained(p, "CN=b", "", 0, "rule \"b\": matches\n");
	rules_free(p);
	p = load(CATCHES);
	expect_explained(p, "CN=a", "x y", 0, "command \"wrap\": fits\n"
	    "allowed by the rule \"1\", as its command wrap\n"
	    "\targv: /bin/wrap -ro /srv\n"
	    "\tenvironment: 'SSH_ORIGINAL_COMMAND=x y'\n");
	rules_free(p);
}

/* The rules are warned of "count" times, once with "wanted". */
static void
expect_warnings(const char *rules, int count, const char *wanted)
{
	struct rules *p = load(rules);
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	int n;

	assert_non_null(out);
	n = rules_warn(out, p, NULL);
	assert_int_equal(fclose(out), 0);
	if (n != count || strstr(text, wanted) == NULL)
		fail_msg("%d warnings: %s", n, text);
	free(text);
	rules_free(p);
}

static void
warnings(void **state)
{
	(void)state;
	expect_warnings("{ peers = \"a\"; anything = true; }", 0, "");
	expect_warnings("", 1, "there are no rules");
	expect_warnings("{ peers = \"a\"; }", 1, "p.conf:2: the rule \"1\" "
	    "grants nothing");
	expect_warnings("{ peers = \"a\";\nlearn_until = \"2099-12-31\"; }", 1,
	    "p.conf:3: the rule \"1\" learns until the end of 2099-12-31");
	expect_warnings("{ peers = \"a\";\nlearn_until = \"2020-12-31\"; }", 1,
	    "p.conf:2: the rule \"1\" grants nothing, since it has learned");
	expect_warnings("{ peers = \"a\"; learn_until = \"2020-12-31\"; "
	    "anything = true; }", 0, "");
	expect_warnings("{ peers = \"*\"; anything = true; },\n"
	    "{ peers = \"a\"; anything = true; }", 1, "p.conf:3: the rule "
	    "\"2\" is never reached");
	expect_warnings("{ peers = \"*\"; dns = \"*\"; anything = true; },\n"
	    "{ peers = \"a\"; anything = true; }", 0, "");
	expect_warnings("{ peers = \"a\"; commands = ( \"/no/such\" ); }", 1,
	    "/no/such cannot be found: No such file or directory; install "
	    "it, or correct its path");
	expect_warnings("{ peers = \"a\"; commands = ( \"/bin/sh\",\n"
	    "{ name = \"sh\"; program = \"/bin/sh\"; } ); }", 1,
	    "\"sh\" is never reached");
	expect_warnings("{ peers = \"a\"; commands = ( { program = \"/bin/sh\";"
	    " arguments = ( \"-e\", { one_of = [ \"a\", \"b\" ]; } ); },\n"
	    "{ program = \"/bin/sh\"; arguments = ( \"-e\", { one_of = [ \"a\","
	    " \"b\" ]; } ); } ); }", 1, "takes all its words");
	/* What is for all words leaves none to those after it. */
	expect_warnings("{ peers = \"a\"; commands = ( \"/bin/sh\",\n"
	    "{ program = \"/bin/sh\"; original_command = true; } ); }", 0,
	    "");
	expect_warnings("{ peers = \"a\"; commands = ( { program = "
	    "\"/bin/sh\"; original_command = true; },\n\"/bin/sh\" ); }", 1,
	    "\"sh\" is never reached: p.conf:2 takes all words");
	/* Fixed words of names of their own are not seen by the client. */
	expect_warnings("{ peers = \"a\"; commands = ( { name = \"s\"; program "
	    "= \"/bin/sh\"; arguments = ( \"-e\", { any = true; } ); },\n"
	    "{ name = \"s\"; program = \"/bin/sh\"; arguments = ( \"-u\","
	    " { any = true; } ); } ); }", 1, "p.conf:3: the command \"s\"");
	expect_warnings("{ peers = \"a\"; commands = ( { program = \"/bin/sh\";"
	    " arguments = ( \"-e\", { any = true; } ); },\n"
	    "{ program = \"/bin/sh\"; arguments = ( \"-u\", { any = true; } );"
	    " }, \"/bin/sh\" ); }", 0, "");
}

/* Programs that the command user, or a group, could change. */
static void
warnings_of_trust(void **state)
{
	char rules[512], private[UNIT_PATH_MAX];

	(void)state;
	unit_enter_trusted(private);
	unit_write("tool", "#!/bin/sh\n");
	(void)snprintf(rules, sizeof rules, "{ peers = \"a\"; commands = ( "
	    "\"%s/tool\" ); }", private);
	assert_int_equal(chmod("tool", 0757), 0);
	expect_warnings(rules, 1, "/tool is writable for everybody; it, and");
	assert_int_equal(chmod("tool", 0600), 0);
	expect_warnings(rules, 1, "is not a program");
	assert_int_equal(chmod("tool", 0700), 0);
	expect_warnings(rules, 0, "");
	if (chown("tool", (uid_t)-1, getegid() != 0 ? getegid() : 1) == 0) {
		assert_int_equal(chmod("tool", 0770), 0);
		expect_warnings(rules, 1, "members of the group ");
	}
	unit_leave(private);
	assert_int_equal(chdir(messages_directory), 0);
}

static void
lists(void **state)
{
	struct rules *p = load("{ peers = \"all\"; anything = true; shell = "
	    "true; },\n{ peers = \"few\"; commands = ( \"/bin/ls\",\n"
	    "{ name = \"x\"; program = \"/bin/y\"; summary = \"what\"; },\n"
	    "{ name = \"m\"; program = \"/bin/m\"; log_mask = \"1\";\n"
	    "arguments = ( { one_of = [ \"s\", \"t\" ]; } ); },\n"
	    "{ program = \"/bin/z\"; original_command = true; } ); }");
	static const char *const who[] = { "all", "few", "all", "few" };
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	for (size_t i = 0; i < COUNT(who); i++)
		rule_list(out, rules_find(p, &question(who[i], PROTO_LIST,
		    "", "")->id, "::1"), i > 1);
	assert_int_equal(fclose(out), 0);
	assert_string_equal(text, "*\tany program, by its name or path\n"
	    "-c LINE\ta line for the shell\nls\t\nx\twhat\nm\t\n"
	    "*\tany words, for a program that reads them\n"
	    "*\tany program, by its name or path\t\n"
	    "-c LINE\ta line for the shell\t\nls\t\t[WORD]...\nx\twhat\t\n"
	    "m\t\t\n"
	    "*\tany words, for a program that reads them\t\n");
	free(text);
	assert_null(rules_find(p, &question("x", PROTO_LIST, "", "")->id,
	    "::1"));
	rules_free(p);
}

/* --- memory --------------------------------------------------------------- */

/* Where memory is out there is no answer: never a grant, and never a part. */
static void
without_memory(void **state)
{
	static const struct {
		enum proto_operation operation;
		const char *who, *line;
	} rows[] = {
		{ PROTO_RUN, "all", "ls -l" }, { PROTO_RUN, "few", "cat a/b" },
		{ PROTO_RUN, "few", "up" }, { PROTO_SHELL, "shell", "ls" },
		{ PROTO_CHDIR, "all", "/x" }, { PROTO_RUN, "wrap", "a b" },
		{ PROTO_SHELL, "wrap", "a|b" },
	};
	struct rules *p = load(granted);
	struct decision d;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct question *q = question(rows[i].who, rows[i].operation,
		    rows[i].line, "");
		int n = 0, result;

		q->peer.rule = rules_find(p, &q->id, q->peer.address);
		for (;; n++) {
			memory_fail_at(n);
			result = policy_decide(&defaults, &q->peer, &q->body,
			    &d);
			if (!memory_has_failed())
				break;
			assert_int_equal(result, -1);
			decision_free(&d);
		}
		assert_int_equal(result, 0);
		assert_true(d.allowed);
		assert_true(n > 0);
		decision_free(&d);
	}
	rules_free(p);
}

int
main(void)
{
#define TEST(name)	cmocka_unit_test_setup_teardown(name, \
	messages_enter, messages_leave)
	const struct CMUnitTest tests[] = {
		TEST(commands), TEST(names), TEST(no_rules), TEST(paths),
		TEST(path_slots), TEST(shells), TEST(own_environment),
		TEST(accepted_environment), TEST(merged_environment),
		TEST(long_variables), TEST(original_words),
		TEST(long_original), TEST(original_learning), TEST(options),
		TEST(directories),
		TEST(changes_of_directory), TEST(masks), TEST(masks_of_all),
		TEST(misfits), TEST(learning),
		TEST(explanations), TEST(warnings),
		unit_test_unless(unit_lacks_trusted(), warnings_of_trust,
		    messages_enter, messages_leave), TEST(lists),
		TEST(without_memory),
	};

	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
