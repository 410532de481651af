/* Unit tests of daemon/conf/settings, and of what it takes for rules.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <errno.h>
#include <pwd.h>
#include <sys/stat.h>

#include "tests/unit/certificates.h"
#include "tests/unit/memory.h"
#include "tests/unit/messages.h"
#include "tests/unit/unit.h"

#include "common/tls/tls.h"
#include "daemon/conf/settings.h"
#include "daemon/conf/files.h"

static char directory[UNIT_PATH_MAX];
static char file[UNIT_PATH_MAX + 64];
/* What the last call has left of hope. */
static struct settings_hope hope;

#define SELF	"unprivileged = true;\n"

static int
enter(void **state)
{
	(void)state;
	unit_enter(directory);
	(void)snprintf(file, sizeof file, "%s/s.conf", directory);
	messages_begin();
	return 0;
}

static int
leave(void **state)
{
	(void)state;
	messages_end();
	unit_leave(directory);
	return 0;
}

/* The settings of "text", which are good. */
static struct settings *
load(const char *text)
{
	struct settings *s;

	unit_write("s.conf", text);
	if ((s = settings_load(file, &hope)) == NULL)
		fail_msg("not loaded: %s", messages);
	return s;
}

/* What settings_print() makes of them; the caller frees it. */
static char *
print(const struct settings *s)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	settings_print(out, s);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void
expect_list(char *const *list, const char *const *wanted)
{
	for (; *list != NULL && *wanted != NULL; list++, wanted++)
		assert_string_equal(*list, *wanted);
	assert_null(*list);
	assert_null(*wanted);
}

/* --- loading -------------------------------------------------------------- */

static void
defaults(void **state)
{
	static const char *const everywhere[] = { "*:4773", NULL };
	static const char *const path[] = { "/usr/local/sbin",
	    "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin", NULL };
	static const char *const accepted[] = { "LANG", "LC_*", "TERM", "TZ",
	    "GIT_PROTOCOL", NULL };
	static const char *const none[] = { NULL };
	struct settings *s = load(SELF);

	(void)state;
	expect_list(s->listen, everywhere);
	assert_string_equal(s->named[SETTINGS_CERTIFICATE], AIS_SYSCONFDIR
	    "/aisd/server.pem");
	assert_string_equal(s->named[SETTINGS_KEY],
	    AIS_SYSCONFDIR "/aisd/server.key");
	assert_string_equal(s->named[SETTINGS_AUTHORITY],
	    AIS_SYSCONFDIR "/aisd/ca.pem");
	assert_null(s->named[SETTINGS_CRL]);
	assert_int_equal(s->crl_expired, SETTINGS_CRL_ERROR);
	assert_int_equal(s->client_purpose, SETTINGS_PURPOSE_REQUIRED);
	assert_int_equal(s->watch_interval, 60000);
	assert_int_equal(s->expiry_warning, 30);
	assert_false(s->allow_tls12);
	assert_string_equal(s->user, "aisd");
	assert_string_equal(s->command_user, "aisd-run");
	assert_false(s->allow_setuid);
	assert_string_equal(s->log_file, AIS_LOCALSTATEDIR
	    "/log/aisd/server.log");
	assert_int_equal(s->log_system, SETTINGS_SYSTEM_AUTO);
	assert_int_equal(s->log_level, LOG_LEVEL_INFO - LOG_LEVEL_ERROR);
	assert_int_equal(s->max_handshakes, 64);
	assert_int_equal(s->max_waiting, 32);
	assert_int_equal(s->handshake_timeout, 10000);
	assert_int_equal(s->idle_timeout, 300000);
	assert_int_equal(s->stopped_timeout, 3600000);
	assert_int_equal(s->kill_grace, 2000);
	expect_list(s->path, path);
	assert_string_equal(s->shell_program, "/bin/sh");
	assert_int_equal(s->options.limits.time_limit, 0);
	assert_int_equal(s->options.limits.output_limit, 0);
	assert_int_equal(s->options.limits.memory_limit, 0);
	assert_int_equal(s->options.limits.cpu_limit, 0);
	assert_int_equal(s->options.limits.process_limit, 0);
	assert_int_equal(s->options.limits.open_files, 0);
	assert_int_equal(s->options.limits.nice, 0);
	assert_int_equal(s->options.limits.output_wait, 200);
	assert_true(s->options.limits.no_new_privs);
	assert_false(s->options.limits.finish || s->options.limits.keep);
	assert_true(s->options.stdin);
	assert_int_equal(s->options.umask, 022);
	assert_null(s->options.directory);
	assert_false(s->options.any_directory);
	expect_list(s->options.environment, none);
	expect_list(s->options.accept_environment, accepted);
	assert_int_equal(rules_count(s->rules), 0);
	messages_expect_none();
	settings_free(s);
	settings_free(NULL);
}

static void
values(void **state)
{
	struct settings *s = load(SELF
	    "listen = \"127.0.0.1:1\"; crl = \"/c\"; allow_tls12 = true;\n"
	    "crl_expired = \"warning\"; watch_interval = 0;\n"
	    "log_file = \"\"; log_system = \"syslog\"; kill_grace = 0.5;\n"
	    "idle_timeout = \"2 h\"; handshake_timeout = \"100 ms\";\n"
	    "output_limit = \"1 MiB\"; umask = \"077\"; stdin = false;\n"
	    "on_disconnect = \"finish\"; background = \"keep\";\n"
	    "environment = [ \"A=1\", \"B=\" ]; accept_environment = [ ];\n");

	(void)state;
	assert_string_equal(s->listen[0], "127.0.0.1:1");
	assert_null(s->listen[1]);
	assert_string_equal(s->named[SETTINGS_CRL], "/c");
	assert_int_equal(s->crl_expired, SETTINGS_CRL_WARNING);
	assert_int_equal(s->watch_interval, 0);
	assert_true(s->allow_tls12);
	assert_null(s->log_file);
	assert_int_equal(s->kill_grace, 500);
	assert_int_equal(s->idle_timeout, 7200000);
	assert_int_equal(s->handshake_timeout, 100);
	assert_int_equal(s->options.limits.output_limit, 1048576);
	assert_int_equal(s->options.umask, 077);
	assert_false(s->options.stdin);
	assert_true(s->options.limits.finish && s->options.limits.keep);
	assert_string_equal(s->options.environment[1], "B=");
	assert_null(s->options.accept_environment[0]);
	settings_free(s);
}

/* Each with the line that is at fault, which is the last of its text. */
static const struct {
	const char *text;
	int line;
	const char *message;
} mistakes[] = {
	{ "listne = 1;", 2, "unknown key \"listne\"; did you mean "
	    "\"listen\"?" },
	{ "listen = 4773;", 2, "listen: must be a string or a list" },
	{ "\n\nlisten = [ \"a:b\" ];", 4, "\"a:b\" is no address" },
	{ "listen = [ \"*:4773\", \"*:70000\" ];", 2, "\"*:70000\" is no" },
	{ "listen = [ ];", 2, "listen: no address to listen on" },
	{ "certificate = \"server.pem\";", 2, "certificate: must be an "
	    "absolute path" },
	{ "key = [ \"/k\" ];", 2, "key: must be a string" },
	{ "key = \"k.pem\";", 2, "key: must be an absolute path, or "
	    "\"store:\" and a URI, or \"credential:\" and a name" },
	{ "crl = \"store:x\";", 2, "crl: must be an absolute path, or "
	    "\"credential:\" and a name" },
	{ "key = \"credential:\";", 2, "key: \"\" is no name of" },
	{ "key = \"credential:a/b\";", 2, "key: \"a/b\" is no name of" },
	{ "authority = \"credential:..\";", 2, "authority: \"..\" is no" },
	{ "crl = \"credential:...\";", 2, "crl: \"...\" is no name" },
	{ "certificate = \"credential:a:b\";", 2, "\"a:b\" is no name of" },
	{ "certificate = \"credential:a b\";", 2, "\"a b\" is no name of" },
	{ "crl_expired = \"maybe\";", 2, "crl_expired: must be \"error\"" },
	{ "client_purpose = \"any\";", 2, "client_purpose: must be "
	    "\"required\" or \"optional\"" },
	{ "watch_interval = \"2 d\";", 2, "watch_interval: out of range; it "
	    "may be from 0 to 86400" },
	{ "expiry_warning = -1;", 2, "expiry_warning: out of range" },
	{ "allow_tls12 = 1;", 2, "allow_tls12: must be true or false" },
	{ "log_system = \"jornal\";", 2, "log_system: must be \"auto\"" },
	{ "log_level = \"loud\";", 2, "log_level: must be \"error\"" },
	{ "log_level = \"\";", 2, "log_level: must be \"error\"" },
	{ "log_system = \"none\"; log_file = \"\";", 2, "log_file: must be "
	    "set where log_system is \"none\"" },
	{ "max_handshakes = 0;", 2, "out of range; it may be from 1 to 1024" },
	{ "max_waiting = 1025;", 2, "out of range; it may be from 0 to 1024" },
	{ "handshake_timeout = 0.05;", 2, "may be from 0.100 to 3600" },
	{ "idle_timeout = \"1 week\";", 2, "idle_timeout: must be a number of "
	    "seconds" },
	{ "kill_grace = \"2h\"; time_limit = true;", 2, "time_limit: must be "
	    "a number" },
	{ "path = [ ];", 2, "path: must name a directory" },
	{ "path = [ \"/bin\", \"bin\" ];", 2, "path: must be a list of "
	    "absolute" },
	{ "path = \"/bin:/usr/bin\";", 2, "without \":\"" },
	{ "shell_program = \"\";", 2, "shell_program: must be set" },
	{ "output_limit = \"1 KB\";", 2, "output_limit: must be a number of "
	    "bytes" },
	{ "umask = \"888\";", 2, "umask: must be octal" },
	{ "umask = \"1777\";", 2, "umask: out of range" },
	{ "nice = 20;", 2, "nice: out of range; it may be from 0 to 19" },
	{ "environment = [ \"A\" ];", 2, "environment: must be a list of "
	    "\"NAME=VALUE\"" },
	{ "on_disconnect = \"stay\";", 2, "on_disconnect: must be \"kill\"" },
	{ "background = \"\";", 2, "background: must be \"kill\" or" },
	{ "on_disconnect = \"\"; rules = ( { peers = \"*\"; } );", 2,
	    "on_disconnect: must be \"kill\"" },
	{ "rules = ( { peers = \"*\"; background = \"\"; commands = ( \"/x\" "
	    "); } );", 2, "background: must be" },
	{ "rules = ( { peers = \"*\"; commands = ( { program = \"/x\"; "
	    "on_disconnect = \"\"; } ); } );", 2, "on_disconnect: must be" },
	{ "open_files = 11; rules = ( { peers = \"*\"; commands = ( { "
	    "program = \"/x\"; arguments = ( { below = \"/a\"; }, { below "
	    "= \"/b\"; } ); } ); } );", 2, "open_files: must be at least 12 "
	    "for the paths" },
	{ "rules = ( { peers = \"*\"; commands = ( { program = \"/x\"; "
	    "open_files = 25; arguments = ( { below = \"/a\"; rest = true; "
	    "} ); } ); } );", 2, "open_files: must be at least 26" },
	{ "rules = [ 1 ];", 2, "rules: an entry of it must be a group" },
	{ "rules = ( \"x\" );", 2, "rules: an entry must be a group" },
	{ "rules = { };", 2, "rules: must be a list, in parentheses" },
	{ "rules = ( { } );", 2, "does not say whom it is for" },
	{ "rules = (\n{ peers = [ ]; } );", 3, "peers: an empty list fits "
	    "no client" },
	{ "rules = ( { peers = 1; } );", 2, "peers: must be a string or" },
	{ "rules = ( { peers = \"~(\"; } );", 2, "is no regular expression" },
	{ "rules = ( { fingerprint = \"abc\"; } );", 2, "no SHA-256 "
	    "fingerprint" },
	{ "rules = ( { network = \"10.0.0.0/33\"; } );", 2, "is no network" },
	{ "rules = ( { network = \"fe80::1%eth0\"; } );", 2, "is no network" },
	{ "rules = ( { ip = \"10.0.0\"; } );", 2, "is no address, network "
	    "or pattern" },
	{ "rules = ( { ip = [ \"*\", \"2001:db8::/129\" ]; } );", 2, "is no "
	    "address" },
	{ "rules = ( { network = \"10.0.0/8\"; } );", 2, "is no network" },
	{ "rules = ( { network = \"::/129\"; } );", 2, "is no network" },
	{ "rules = ( { network = \"::/ 1\"; } );", 2, "is no network" },
	{ "rules = ( { peers = \"*\"; user = \"x\"; } );", 2, "unknown "
	    "key \"user\"" },
	{ "rules = ( { peers = \"*\"; learn_until = \"2027-1-1\"; } );", 2,
	    "learn_until: must be a day" },
	{ "rules = ( { peers = \"*\"; learn_until = \"tomorrow\"; } );", 2,
	    "learn_until: must be a day" },
	{ "rules = ( { peers = \"*\"; name = \"0123456789012345678901234567890"
	    "123456789012345678901234567890123\"; } );", 2, "longer than 63" },
	{ "rules = ( { peers = \"*\"; anything = true;\ncommands = ( \"/x\" ); "
	    "} );", 3, "commands: the rule grants anything already" },
	{ "rules = ( { peers = \"*\"; background = \"x\"; } );", 2,
	    "background: must be" },
	{ "rules = ( { peers = \"*\"; commands = \"/bin/ls\"; } );", 2,
	    "commands: must be a list" },
	{ "rules = ( { peers = \"*\"; commands = ( \"ls\" ); } );", 2,
	    "\"ls\" is not an absolute path; write the program's" },
	{ "rules = ( { peers = \"*\"; commands = ( \"/bin/\" ); } );", 2,
	    "\"/bin/\" is not an absolute path" },
	{ "rules = ( { peers = \"*\"; commands = (\n{ } ); } );", 3,
	    "has no \"program\"" },
	{ "rules = ( { peers = \"*\"; commands = (\n{ program = \"ls\"; } ); }"
	    " );", 3, "program: must be an absolute path" },
	{ "rules = ( { peers = \"*\"; commands = ( { program = \"/x\"; "
	    "name = \"a/b\"; } ); } );", 2, "name: must have no \"/\"" },
	{ "rules = ( { peers = \"*\"; commands = ( { program = \"/x\"; "
	    "name = \"a\\tb\\nc\"; } ); } );", 2, "no control characters" },
	{ "environment = \"AIS_PEER_CN=a\";", 2, "environment: it is the "
	    "server that sets \"AIS_PEER_CN=a\"; remove it" },
	{ "rules = ( { peers = \"*\"; environment = [ \"A=\", "
	    "\"SSH_ORIGINAL_COMMAND=a\" ]; } );", 2, "environment: it is" },
	{ "rules = ( { peers = \"*\"; commands = ( { program = \"/x\"; "
	    "environment = \"AIS_X=\"; } ); } );", 2, "environment: it is" },
	{ "rules = ( { peers = \"a\"; commands = (\n{ program = \"/x\"; "
	    "original_command = true; arguments = ( \"a\", { any = true; } ); "
	    "} ); } );", 3,
	    "original_command: can only be where all \"arguments\" are" },
	{ "rules = ( { peers = \"a\"; commands = (\n{ program = \"/x\"; "
	    "original_command = true; log_mask = \"1\"; } ); } );", 3,
	    "log_mask: cannot be beside" },
	{ "rules = ( { peers = \"a\"; shell = true; commands = (\n"
	    "{ program = \"/x\"; original_command = true; } ); } );", 3,
	    "original_command: the rule grants a shell" },
	{ "rules = ( { peers = \"*\"; commands = ( { program = \"/x\"; "
	    "arguments = ( { } ); } ); } );", 2, "needs exactly one of" },
	{ "rules = ( { peers = \"*\"; commands = ( { program = \"/x\"; "
	    "arguments = ( { any = true; one_of = \"a\"; } ); } ); } );", 2,
	    "needs exactly one of" },
	{ "rules = ( { peers = \"*\"; commands = ( { program = \"/x\"; "
	    "arguments = ( { min = 1; } ); } ); } );", 2, "belong together" },
	{ "rules = ( { peers = \"*\"; commands = ( { program = \"/x\"; "
	    "arguments = ( { min = 2; max = 1; } ); } ); } );", 2, "the "
	    "smaller first" },
	{ "rules = ( { peers = \"*\"; commands = ( { program = \"/x\"; "
	    "arguments = ( { match = \"~[\"; } ); } ); } );", 2, "is no "
	    "regular expression" },
	{ "rules = ( { peers = \"*\"; commands = ( { program = \"/x\"; "
	    "arguments = ( { any = true; rest = true; }, \"x\" ); } ); } );",
	    2, "nothing can follow" },
};

static void
complaints(void **state)
{
	char text[2048], place[sizeof file + 16];

	(void)state;
	for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
		(void)snprintf(text, sizeof text, SELF "%s\n",
		    mistakes[i].text);
		unit_write("s.conf", text);
		if (settings_load(file, &hope) != NULL)
			fail_msg("loaded: %s", text);
		assert_false(hope.may_pass);
		(void)snprintf(place, sizeof place, "%s:%d: ", file,
		    mistakes[i].line);
		messages_expect(place, mistakes[i].message);
	}
}

/* All that is wrong is said at once. */
static void
many_complaints(void **state)
{
	(void)state;
	unit_write("s.conf", "unprivileged = true; nice = 99; umask = 22;\n"
	    "rules = ( { }, { peers = \"*\"; nice = 99; } );\n");
	assert_null(settings_load(file, &hope));
	assert_non_null(strstr(messages, "s.conf:1: nice: out of range"));
	assert_non_null(strstr(messages, "s.conf:1: umask: must be octal"));
	assert_non_null(strstr(messages, "s.conf:2: the rule does not say"));
	assert_non_null(strstr(messages, "s.conf:2: nice: out of range"));
}

static void
files(void **state)
{
	struct settings *s;

	(void)state;
	assert_null(settings_load(file, &hope));
	messages_expect("cannot read the configuration ", file);
	assert_true(hope.may_pass);
	unit_write("s.conf", "path = [ \"/bin\"\n");
	assert_null(settings_load(file, &hope));
	messages_expect(file, "syntax error");
	unit_write("s.conf", "@include \"part\"\n" SELF);
	unit_write("part", "nice = 7;\n");
	s = load("@include \"part\"\n" SELF);
	assert_int_equal(s->options.limits.nice, 7);
	settings_free(s);
	unit_write("part", "\nnice = 70;\n");
	assert_null(settings_load(file, &hope));
	messages_expect("", "part:2: nice: out of range");
}

static void
drop_ins(void **state)
{
	char place[sizeof file + 32];
	struct settings *s;
	char *text;

	(void)state;
	assert_int_equal(mkdir("s.conf.d", 0700), 0);
	unit_write("s.conf.d/20.conf", "nice = 2; rules = ( { name = \"c\"; "
	    "peers = \"*\"; } );");
	unit_write("s.conf.d/10.conf", "nice = 1; idle_timeout = 7; "
	    "rules = ( { name = \"b\"; peers = \"*\"; } );");
	unit_write("s.conf.d/30.conf.bak", "nice = 3;");
	unit_write("s.conf.d/.40.conf", "nice = 4;");
	s = load(SELF "nice = 5; kill_grace = 9;\n"
	    "rules = ( { name = \"a\"; peers = \"*\"; } );");
	/* The last file wins; a rule begins with what the end result is. */
	assert_int_equal(s->options.limits.nice, 2);
	assert_int_equal(s->idle_timeout, 7000);
	assert_int_equal(s->kill_grace, 9000);
	assert_int_equal(rules_count(s->rules), 3);
	text = print(s);
	/* The main file's rules come last. */
	assert_true(strstr(text, "\"b\"") < strstr(text, "\"c\""));
	assert_true(strstr(text, "\"c\"") < strstr(text, "\"a\""));
	assert_null(strstr(text, "nice = 5"));
	free(text);
	settings_free(s);
	unit_write("s.conf.d/20.conf", "\n\nnice = -2;");
	assert_null(settings_load(file, &hope));
	(void)snprintf(place, sizeof place, "%s.d/20.conf:3: ", file);
	messages_expect(place, "nice: out of range");
	/* One that takes itself for the whole of it. */
	unit_write("s.conf.d/20.conf", "log_system = \"none\";");
	unit_write("s.conf.d/10.conf", "log_file = \"\";");
	assert_null(settings_load(file, &hope));
	(void)snprintf(place, sizeof place, "%s.d/10.conf:1: ", file);
	messages_expect(place, "log_file: must be set");
}

static void
users(void **state)
{
	struct settings *s;

	(void)state;
	unit_write("s.conf", "user = \"no-such-user\"; "
	    "command_user = \"root\";");
	assert_null(settings_load(file, &hope));
	messages_expect("there is no user no-such-user; make it", "name "
	    "another one");
	assert_true(hope.may_pass);
	/* The user is not waited for where more is wrong. */
	unit_write("s.conf", "user = \"no-such-user\"; "
	    "command_user = \"root\"; nice = 99;");
	assert_null(settings_load(file, &hope));
	assert_false(hope.may_pass);
	unit_write("s.conf", "user = \"\";");
	assert_null(settings_load(file, &hope));
	messages_expect(file, "user: must be set");
	s = load("user = \"root\"; command_user = \"root\";");
	assert_int_equal(s->daemon.uid, 0);
	assert_string_equal(s->command.name, "root");
	assert_ptr_equal(s->policy.account, &s->command);
	settings_free(s);
	s = load(SELF);
	assert_null(s->policy.account);
	assert_int_equal(s->command.uid, getuid());
	settings_free(s);
}

static void
world(void **state)
{
	struct settings *s = load(SELF "path = [ \"/a\", \"/b\" ]; "
	    "shell_program = \"/c\";");
	struct policy_defaults w = s->policy;
	struct stat st;

	(void)state;
	assert_ptr_equal(w.path, s->path);
	assert_string_equal(w.shell, "/c");
	assert_string_equal(w.user, s->command.name);
	assert_string_equal(w.home, s->command.home);
	assert_int_equal(stat(w.start, &st), 0);
	assert_true(S_ISDIR(st.st_mode));
	settings_free(s);
}

/* --- printing ------------------------------------------------------------- */

static const char *const whole[] = {
	SELF,
	SELF "nice = 3; rules = ( { peers = \"*\"; anything = true; shell = "
	    "true; }, { peers = \"*\"; nice = 0; } );",
	SELF "listen = [ \"[::1]:5\", \"127.0.0.1:6\" ]; kill_grace = 0.25;\n"
	    "memory_limit = \"3 GiB\"; umask = \"007\"; directory = \"/srv\";\n"
	    "log_system = \"none\"; crl = \"/crl\"; path = \"/bin\";\n"
	    "environment = [ \"A=\\\"quoted\\\" \\\\ \\n\\x01\" ];\n",
	SELF "rules = ( {\n"
	    "name = \"a \\\"b\\\"\"; peers = [ \"a*\", \"~b+\" ];\n"
	    "dns = \"d\"; email = \"e\"; uri = \"u:*\"; ip = \"192.0.2.1\";\n"
	    "issuer = \"CN=x\"; network = [ \"::1\", \"10.0.0.0/8\" ];\n"
	    "fingerprint = \"AB:cd:0000000000000000000000000000000000000000000"
	    "00000000000000000\";\n"
	    "learn_until = \"2030-02-28\"; output_limit = \"5 TiB\";\n"
	    "commands = ( \"/bin/ls\", {\n"
	    "program = \"/bin/cat\"; name = \"show\"; summary = \"s\";\n"
	    "log_mask = [ \"1\", \"--x\" ]; nice = 4; stdin = false;\n"
	    "arguments = ( \"--\", { one_of = [ \"a\", \"b\" ]; },\n"
	    "{ match = [ \"x*\", \"~[0-9]+\" ]; }, { min = -1; max = "
	    "9000000000L; },\n"
	    "{ below = \"/srv\"; pinned = false; }, { below = \"/s\"; },\n"
	    "{ any = true; rest = true; } ); } ); } );",
};

/* What is printed is read again as the same. */
static void
round_trip(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
		struct settings *s = load(whole[i]);
		char *first = print(s), *second;

		settings_free(s);
		s = load(first);
		second = print(s);
		assert_string_equal(first, second);
		settings_free(s);
		free(first);
		free(second);
	}
	messages_expect_none();
}

static void
printed(void **state)
{
	struct settings *s = load(whole[3]);
	char *text = print(s);

	(void)state;
	assert_non_null(strstr(text, "name = \"a \\\"b\\\"\";"));
	assert_non_null(strstr(text, "\"abcd00"));
	assert_non_null(strstr(text, "output_limit = 5497558138880L;"));
	assert_non_null(strstr(text, "unprivileged = true;"));
	free(text);
	settings_free(s);
}

/* --- replacing ------------------------------------------------------------ */

static struct settings *
reload(const char *text, const struct settings *old)
{
	struct settings *s;

	unit_write("s.conf", text);
	if ((s = settings_reload(file, old, &hope)) == NULL)
		fail_msg("not loaded: %s", messages);
	return s;
}

static void
comparison(void **state)
{
	static const struct {
		const char *key, *text;
	} rows[] = {
		{ "listen", "listen = \"*:1\";" },
		{ "listen", "listen = [ \"*:4773\", \"*:1\" ];" },
		{ "user", "user = \"x\";" },
		{ "command_user", "command_user = \"x\";" },
		{ "allow_setuid", "allow_setuid = true;" },
		{ "log_file", "log_file = \"\";" },
		{ "log_file", "log_file = \"/x\";" },
		{ "log_system", "log_system = \"syslog\";" },
		{ "log_level", "log_level = \"debug\";" },
		{ "max_handshakes", "max_handshakes = 1;" },
		{ "max_waiting", "max_waiting = 1;" },
	};
	struct settings *a = load(SELF), *b;
	char text[512], quoted[64];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		(void)snprintf(text, sizeof text, SELF "%s", rows[i].text);
		(void)snprintf(quoted, sizeof quoted, "\"%s\" takes effect "
		    "only after a restart", rows[i].key);
		b = reload(text, a);
		messages_expect("the new value of ", quoted);
		settings_free(b);
	}
	b = reload(SELF "log_level = \"error\"; max_waiting = 2; "
	    "listen = \"*\";", a);
	assert_non_null(strstr(messages, "\"listen\""));
	assert_non_null(strstr(messages, "\"log_level\""));
	assert_non_null(strstr(messages, "\"max_waiting\""));
	settings_free(b);
	messages[0] = '\0';
	b = reload(SELF "idle_timeout = 1; nice = 3; kill_grace = 1;\n"
	    "path = \"/x\"; time_limit = 4; expiry_warning = 0;\n"
	    "rules = ( { peers = \"*\"; } );", a);
	messages_expect_none();
	/* What may change has changed, and what may not has not. */
	assert_int_equal(b->idle_timeout, 1000);
	assert_int_equal(b->options.limits.nice, 3);
	assert_int_equal(rules_count(b->rules), 1);
	settings_free(b);
	/* Users that are not known: none is asked about. */
	b = reload("user = \"no-such-user\"; command_user = \"nor-this\"; "
	    "allow_setuid = true; max_handshakes = 7; max_waiting = 8;", a);
	assert_true(b->unprivileged);
	assert_false(b->allow_setuid);
	assert_int_equal(b->daemon.uid, a->daemon.uid);
	assert_int_equal(b->command.uid, a->command.uid);
	assert_string_equal(b->policy.start, a->policy.start);
	assert_int_equal(b->max_handshakes, 64);
	assert_int_equal(b->max_waiting, 32);
	settings_free(a);
	settings_free(b);
}

/* --- certificates --------------------------------------------------------- */

/* Settings with the certificates of the current directory, and "more". */
static struct settings *
with_certificates(const char *key, const char *more)
{
	char text[4 * UNIT_PATH_MAX + 512];

	(void)snprintf(text, sizeof text, "%s\ncertificate = "
	    "\"%s/server.pem\";\nkey = \"%s/%s\";\nauthority = "
	    "\"%s/site/ca.pem\";\n", more, directory, directory, key,
	    directory);
	return load(text);
}

static void
expect_refused(struct settings *s, const char *place, const char *message)
{
	assert_null(files_load(s, false, &hope));
	messages_expect(place, message);
	settings_free(s);
}

static void
certificates(void **state)
{
	char place[sizeof file + 32], text[sizeof file + 64];
	struct tls_context *context;
	struct settings *s;
	struct passwd *pw = getpwuid(getuid());

	(void)state;
	assert_int_equal(certificates_make(), 0);
	assert_int_equal(chmod("server.key", 0600), 0);
	s = with_certificates("server.key", SELF);
	context = files_load(s, false, &hope);
	assert_non_null(context);
	messages_expect_none();
	tls_context_free(context);
	settings_free(s);

	/* The place is that of the key that names the file. */
	(void)snprintf(place, sizeof place, "%s:4: key: ", file);
	expect_refused(with_certificates("none.key", SELF), place,
	    "cannot read the key");
	expect_refused(with_certificates("alice.key", SELF), place,
	    "does not belong to the certificate");
	(void)snprintf(text, sizeof text, SELF "crl = \"%s/none\";",
	    directory);
	(void)snprintf(place, sizeof place, "%s:2: crl: ", file);
	expect_refused(with_certificates("server.key", text), place,
	    "cannot read");

	assert_int_equal(chmod("server.key", 0604), 0);
	(void)snprintf(place, sizeof place, "%s:4: key: the key ", file);
	expect_refused(with_certificates("server.key", SELF), place,
	    "is open to every user; run: chmod o= ");
	assert_int_equal(chmod("server.key", 0600), 0);
	if (pw == NULL)
		return;
	/* Commands that run as the owner of the key. */
	(void)snprintf(text, sizeof text, "user = \"root\"; "
	    "command_user = \"%s\";", pw->pw_name);
	(void)snprintf(place, sizeof place, "%s:3: key: the key ", file);
	expect_refused(with_certificates("server.key", text), place,
	    "is open to the command user");
}

/* --- memory --------------------------------------------------------------- */

/* Wherever memory is out, there are no settings: never half of them. */
static void
without_memory(void **state)
{
	struct settings *s = NULL;
	int i = 0;

	(void)state;
	unit_write("s.conf", whole[3]);
	for (; s == NULL && i < 10000; i++) {
		messages[0] = '\0';
		memory_fail_at(i);
		s = settings_load(file, &hope);
		if (memory_has_failed()) {
			if (s != NULL)
				fail_msg("the %dth allocation is not missed",
				    i);
			assert_string_not_equal(messages, "");
		}
	}
	assert_true(i > 100);
	assert_non_null(s);
	settings_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(defaults, enter, leave),
		cmocka_unit_test_setup_teardown(values, enter, leave),
		cmocka_unit_test_setup_teardown(complaints, enter, leave),
		cmocka_unit_test_setup_teardown(many_complaints, enter, leave),
		cmocka_unit_test_setup_teardown(files, enter, leave),
		cmocka_unit_test_setup_teardown(drop_ins, enter, leave),
		cmocka_unit_test_setup_teardown(users, enter, leave),
		cmocka_unit_test_setup_teardown(world, enter, leave),
		cmocka_unit_test_setup_teardown(round_trip, enter, leave),
		cmocka_unit_test_setup_teardown(printed, enter, leave),
		cmocka_unit_test_setup_teardown(comparison, enter, leave),
		cmocka_unit_test_setup_teardown(certificates, enter, leave),
		cmocka_unit_test_setup_teardown(without_memory, enter, leave),
	};

	return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}
