/* Unit tests of daemon/record/audit.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <errno.h>
#include <signal.h>

#include "tests/unit/unit.h"

#include "common/base/log.h"
#include "common/tls/tls.h"
#include "common/base/words.h"
#include "daemon/record/audit.h"

/* What a sink has been given last, and whether it takes it. */
struct sample {
	struct log_sink sink;
	bool broken;
	int taken;
	char line[64 * 1024];
	char name[32];
	char id[40];
	char text[LOG_TEXT_MAX];
	char words[128 * 1024];		/* argv or line. */
	enum log_level level;
};

static int
take(void *context, const struct log_event *e)
{
	struct sample *s = context;

	if (s->broken) {
		errno = ENOSPC;
		return -1;
	}
	s->taken++;
	s->level = e->level;
	(void)log_format(s->line, sizeof s->line, e, true);
	(void)snprintf(s->name, sizeof s->name, "%s", e->name);
	(void)snprintf(s->id, sizeof s->id, "%s", e->message_id == NULL ? "" :
	    e->message_id);
	(void)snprintf(s->text, sizeof s->text, "%s", e->text);
	for (size_t i = 0; i < e->count; i++) {
		if (strcmp(e->fields[i].name, "argv") == 0 ||
		    strcmp(e->fields[i].name, "line") == 0)
			(void)snprintf(s->words, sizeof s->words, "%.*s",
			    (int)e->fields[i].length,
			    (const char *)e->fields[i].value);
	}
	return 0;
}

static struct sample one, two;

static void
open_sample(struct sample *s, const char *name)
{
	memset(s, 0, sizeof *s);
	s->sink.name = name;
	s->sink.take = take;
	s->sink.context = s;
}

static int
set_up(void **state)
{
	(void)state;
	log_set_sinks(NULL);
	audit_init();
	open_sample(&one, "one");
	open_sample(&two, "two");
	one.sink.next = &two.sink;
	log_set_sinks(&one.sink);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	log_set_sinks(NULL);
	return 0;
}

static struct tls_identity alice = { .common_name = "alice",
    .subject = "CN=alice", .issuer = "CN=AIS_CA", .serial = "0A",
    .fingerprint = "ff" };
static const struct audit_peer peer = { .session = "0123",
    .address = "192.0.2.1", .identity = &alice };

static char echo_name[] = "echo", echo_text[] = "a b";
static char *echo[] = { echo_name, echo_text, NULL };
static const struct audit_command command = { .request = 7, .rule = "all",
    .command = "", .user = "run", .directory = "/", .argv = echo };

/* --- what is on record -------------------------------------------------- */

static void
check(const char *name, enum log_level level)
{
	assert_string_equal(one.name, name);
	assert_int_equal(one.level, level);
	assert_int_equal(strlen(one.id), 32);
	assert_int_equal(strspn(one.id, "0123456789abcdef"), 32);
}

static void
has(const char *text)
{
	if (strstr(one.line, text) == NULL)
		fail_msg("no \"%s\" in %s", text, one.line);
}

static void
life(void **state)
{
	char host[128] = "";

	(void)state;
	assert_int_equal(gethostname(host, sizeof host - 1), 0);
	audit_start("1.2", "127.0.0.1:4773, 127.0.0.2:4773");
	check("start", LOG_LEVEL_NOTICE);
	has(" version=1.2 listen=\"127.0.0.1:4773, 127.0.0.2:4773\" daemon=");
	has(host);
	has("/127.0.0.1:4773 msg=");
	audit_reload(true, "certificate,rules", "it was read");
	check("reload", LOG_LEVEL_NOTICE);
	has(" result=done changed=certificate,rules msg=\"it was read; "
	    "changed: certificate,rules\"\n");
	audit_reload(false, "", "it was not");
	check("reload", LOG_LEVEL_ERROR);
	has(" result=failed changed=\"\" msg=\"it was not\"\n");
	audit_expiry("/x.pem", 0, true, "it has expired");
	check("expiry", LOG_LEVEL_ERROR);
	has(" file=/x.pem ends=1970-01-01T00:00:00Z ");
	audit_clock_jump(-90, 100);
	check("clock-jump", LOG_LEVEL_WARNING);
	has(" seconds=-90 before=1970-01-01T00:01:40Z msg=\"the clock was set "
	    "back by 90 seconds, from 1970-01-01 00:01:40 UTC to ");
	audit_stop("SIGTERM");
	check("stop", LOG_LEVEL_NOTICE);
	has(" reason=SIGTERM ");
}

static void
session(void **state)
{
	struct failure why;
	const struct audit_sums sums = { .commands = 2, .duration_us = 12003,
	    .in_bytes = 1, .out_bytes = UINT64_MAX, .err_bytes = 3,
	    .ended = 2 };
	const struct audit_peer stranger = { .address = "192.0.2.9" };

	(void)state;
	audit_session_open(&peer);
	check("session-open", LOG_LEVEL_INFO);
	has(" session=0123 address=192.0.2.1 peer=alice subject=\"CN=alice\" "
	    "issuer=\"CN=AIS_CA\" serial=0A fingerprint=ff msg=\"session "
	    "opened: alice from 192.0.2.1\"\n");
	audit_session_close(&peer, "done", &sums);
	check("session-close", LOG_LEVEL_INFO);
	has(" reason=done commands=2 duration_ms=12.003 stdin_bytes=1 "
	    "stdout_bytes=18446744073709551615 stderr_bytes=3 ended=2 "
	    "msg=\"session closed: alice from 192.0.2.1, after 0.01 s and 2 "
	    "commands: the client ended it\"\n");
	failure_set(&why, 0, "no certificate");
	audit_handshake_failed(&stranger, &why);
	check("handshake-failed", LOG_LEVEL_WARNING);
	has("event=handshake-failed address=192.0.2.9 reason=\"no "
	    "certificate\" msg=\"TLS handshake failed for 192.0.2.9: no "
	    "certificate\"\n");
	failure_set(&why, 0, "expired");
	failure_hint(&why, "renew it");
	audit_handshake_failed(&(struct audit_peer){ .address = "x",
	    .identity = &alice }, &why);
	has(" serial=0A fingerprint=ff reason=expired hint=\"renew it\" msg="
	    "\"connection of alice from x refused: expired; renew it\"\n");
}

static void
one_command(void **state)
{
	const struct audit_end end = { .reason = "exit", .exit = 3,
	    .program = "/bin/echo", .duration_us = 1500, .cpu_us = 7,
	    .in_bytes = 1, .out_bytes = 2, .err_bytes = 3 };
	const struct audit_end killed = { .reason = "time-limit", .exit = -1,
	    .signal = 15, .duration_us = 5001000 };
	struct failure why;

	(void)state;
	assert_true(audit_command_start(&peer, &command, true));
	check("command-start", LOG_LEVEL_NOTICE);
	has(" fingerprint=ff request=7 rule=all user=run directory=/ "
	    "argv=\"echo 'a b'\" msg=\"alice starts \\\"echo 'a b'\\\"\"\n");
	audit_command_end(&peer, &command, &end);
	check("command-end", LOG_LEVEL_NOTICE);
	has(" reason=exit program=/bin/echo exit=3 duration_ms=1.500 "
	    "cpu_ms=0.007 stdin_bytes=1 stdout_bytes=2 stderr_bytes=3 msg=");
	assert_string_equal(one.text,
	    "alice: \"echo 'a b'\" exited with status 3 after 0.00 s");
	audit_limit_hit(&peer, &command, "time_limit", 5000);
	check("limit-hit", LOG_LEVEL_WARNING);
	has(" limit=time_limit value=5000 msg=");
	assert_string_equal(one.text,
	    "alice: \"echo 'a b'\" has reached its time_limit of 5.00 s");
	audit_limit_hit(&peer, &command, "output_limit", 5000);
	assert_string_equal(one.text,
	    "alice: \"echo 'a b'\" has reached its output_limit of 5000 bytes");
	audit_command_end(&peer, &command, &killed);
	has(" reason=time-limit signal=15 ");
	assert_string_equal(one.text, "alice: \"echo 'a b'\" ended by SIGTERM "
	    "after 5.00 s: time_limit");
	failure_set(&why, 0, "no rule");
	failure_hint(&why, "add one");
	audit_command_refused(&peer, &command, &why);
	check("command-refused", LOG_LEVEL_WARNING);
	has(" reason=\"no rule\" hint=\"add one\" msg=");
	assert_string_equal(one.text,
	    "alice: \"echo 'a b'\" refused: no rule; add one");
}

/* Every way to end, in a sentence. */
static void
endings(void **state)
{
	static const struct {
		struct audit_end end;
		const char *text;
	} rows[] = {
		{ { .reason = "exit", .duration_us = 12345 },
		    "exited with status 0 after 0.01 s" },
		{ { .reason = "exit", .exit = 255, .duration_us = 99990000 },
		    "exited with status 255 after 99.99 s" },
		{ { .reason = "stopping", .exit = 1, .duration_us = 100000000 },
		    "exited with status 1 after 0:01:40: aisd stops" },
		{ { .reason = "signal", .exit = -1, .signal = SIGSEGV,
		    .duration_us = 360000000000 },
		    "ended by SIGSEGV after 100:00:00" },
		{ { .reason = "signal", .exit = -1, .signal = 40,
		    .memory_limit = 1024 }, "ended by signal 40 after 0.00 s, "
		    "with a memory_limit of 1024 bytes" },
		{ { .reason = "the client is \"gone\"", .exit = -1,
		    .signal = SIGKILL },
		    "ended by SIGKILL after 0.00 s: the client is \"gone\"" },
		{ { .reason = "abandoned", .exit = -1, .signal = SIGKILL,
		    .duration_us = 13000000 },
		    "is left alone after 13.00 s: SIGKILL did not end it" },
		{ { .reason = "unknown command: echo", .exit = -1 },
		    "did not start: unknown command: echo" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char text[200];

		audit_command_end(&peer, &command, &rows[i].end);
		(void)snprintf(text, sizeof text, "alice: \"echo 'a b'\" %s",
		    rows[i].text);
		assert_string_equal(one.text, text);
	}
}

/* How it ended is in the sentence in any case. */
static void
endings_are_not_cut(void **state)
{
	static char word[2000], reason[1000];
	char *argv[] = { word, NULL };
	struct tls_identity id = alice;
	const struct audit_peer p = { .session = "1", .address = "x",
	    .identity = &id };
	const struct audit_command c = { .rule = "r", .user = "u",
	    .directory = "/", .argv = argv };
	const struct audit_end end = { .reason = reason, .exit = 3 };
	uint64_t seed = 6;

	(void)state;
	for (int i = 0; i < 2000; i++) {
		static const char bytes[] = "\xff\033'\"\\a";

		memset(id.common_name, bytes[unit_below(&seed, 6)],
		    sizeof id.common_name - 1);
		memset(word, bytes[unit_below(&seed, 6)], sizeof word - 1);
		memset(reason, bytes[unit_below(&seed, 6)],
		    sizeof reason - 1);
		audit_command_end(&p, &c, &end);
		/* As it is shown, and in the line, quoted once more. */
		assert_non_null(strstr(one.text,
		    "... exited with status 3 after 0.00 s: "));
		has("... exited with status 3 after 0.00 s: ");
	}
}

/* --- sinks that do not take it ------------------------------------------ */

static void
any_or_all(void **state)
{
	(void)state;
	assert_true(audit_command_start(&peer, &command, false));
	assert_true(audit_command_start(&peer, &command, true));
	two.broken = true;
	assert_true(audit_command_start(&peer, &command, false));
	assert_false(audit_command_start(&peer, &command, true));
	one.broken = true;
	assert_false(audit_command_start(&peer, &command, false));
	assert_false(audit_command_start(&peer, &command, true));
	one.broken = two.broken = false;
	assert_true(audit_command_start(&peer, &command, true));
}

/* An end that no log has is told of when one works again. */
static void
lost_end(void **state)
{
	const struct audit_end end = { .reason = "exit" };

	(void)state;
	assert_true(audit_command_start(&peer, &command, false));
	one.broken = two.broken = true;
	audit_command_end(&peer, &command, &end);
	one.broken = false;
	audit_stop("SIGTERM");
	check("log-sink", LOG_LEVEL_ERROR);
	has(" sink=one state=working lost=1 nowhere=1 ");
}

/* --- words -------------------------------------------------------------- */

/* Undo the escapes of a log line's value, up to its quote. */
static size_t
unescape(const char *p, char *out)
{
	const char *from = "nrt", *to = "\n\r\t", *named;
	size_t n = 0;
	unsigned byte;

	while (*p != '"') {
		if (*p != '\\') {
			out[n++] = *p++;
		} else if (p[1] == 'x') {
			assert_int_equal(sscanf(p + 2, "%2x", &byte), 1);
			out[n++] = (char)byte;
			p += 4;
		} else {
			named = strchr(from, p[1]);
			out[n++] = named == NULL ? p[1] : to[named - from];
			p += 2;
		}
	}
	out[n] = '\0';
	return n;
}

/* The words are those of the record, of the sink's field and of its line. */
static void
check_words(char **argv)
{
	const struct audit_command c = { .rule = "r", .user = "u",
	    .directory = "/", .argv = argv };
	char back[8192], *joined, *at, **words;
	size_t count, place, i;

	assert_true(audit_command_start(&peer, &c, true));
	joined = words_join(argv, 0);
	assert_non_null(joined);
	assert_string_equal(one.words, joined);
	at = strstr(one.line, " argv=");
	assert_non_null(at);
	at += strlen(" argv=");
	if (*at == '"')
		(void)unescape(at + 1, back);
	else
		(void)snprintf(back, sizeof back, "%.*s",
		    (int)strcspn(at, " "), at);
	assert_string_equal(back, joined);
	free(joined);
	assert_int_equal(words_split(back, 0, &words, &count, &place),
	    WORDS_OK);
	for (i = 0; argv[i] != NULL; i++)
		assert_string_equal(words[i], argv[i]);
	assert_int_equal(count, i);
	words_free(words);
}

/* One line, no control character, and no byte beyond a safe character. */
static void
check_line(const char *line)
{
	size_t n = strlen(line);

	assert_int_equal(line[n - 1], '\n');
	for (size_t i = 0; i + 1 < n; i++)
		assert_true((unsigned char)line[i] >= 0x20 && line[i] != 0x7f);
	assert_null(strstr(line, "\xe2\x80\xae"));
	assert_null(strstr(line, "\xe2\x80\x8f"));
	assert_null(strstr(line, "\xff"));
}

static void
hostile_words(void **state)
{
	static char cases[][3][40] = {
		{ "echo", "", "'" },
		{ "a\nb", "\" msg=\"x\" time=1" },
		{ "\033[2J\033]0;x\007", "\r\b\177" },
		{ "\xff\xfe\xc3", "\xc2\x9b" "31m" },
		{ "\xe2\x80\xaegpj.exe", "\xe2\x80\x8f" },
		{ "\\", "\\n", "\\x1b" },
		{ "A=b", "$(x) `y` ; | & *" },
		{ "***", "...", " ..." },
	};
	uint64_t seed = 5;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char *argv[] = { cases[i][0], cases[i][1], cases[i][2], NULL };

		check_words(argv);
		check_line(one.line);
	}
	for (int i = 0; i < 3000; i++) {
		char word[3][100];
		char *argv[4] = { word[0], word[1], word[2], NULL };

		for (size_t k = 0; k < 3; k++) {
			size_t n = unit_below(&seed, sizeof word[k]);

			unit_fill(&seed, word[k], n);
			word[k][n] = '\0';
		}
		check_words(argv);
		check_line(one.line);
	}
}

/* A name in a certificate is as foreign as a word. */
static void
hostile_names(void **state)
{
	struct tls_identity id = alice;
	const struct audit_peer p = { .session = "1", .address = "x",
	    .identity = &id };

	(void)state;
	(void)snprintf(id.common_name, sizeof id.common_name,
	    "eve\nevent=start \033[31m\xff\xe2\x80\xae\"");
	audit_session_open(&p);
	check_line(one.line);
	has(" peer=\"eve\\nevent=start \\x1b[31m\\xff\\xe2\\x80\\xae\\\"\" ");
}

/* What is long is cut, and that is said. */
static void
long_words(void **state)
{
	static char word[100 * 1024];
	char *argv[] = { echo_name, word, NULL };
	const struct audit_command c = { .rule = "r", .user = "u",
	    .directory = "/", .argv = argv };
	size_t n;

	(void)state;
	memset(word, 'x', sizeof word - 1);
	assert_true(audit_command_start(&peer, &c, true));
	check_line(one.line);
	has(" argv_cut=true ");
	has("xxx\\\"...\" cut=argv\n");
	assert_true(strlen(one.text) < 500);
	assert_true(strlen(one.line) < 8192);
	n = strlen(one.words);
	assert_true(n > 64 * 1024 && n < 64 * 1024 + 8);
	assert_string_equal(one.words + n - 4, " ...");
	/* All of it in a record, but not in a line. */
	word[60000] = '\0';
	assert_true(audit_command_start(&peer, &c, true));
	assert_null(strstr(one.line, "argv_cut"));
	has(" cut=argv\n");
	assert_int_equal(strlen(one.words), strlen("echo ") + 60000);
	word[1000] = '\0';
	assert_true(audit_command_start(&peer, &c, true));
	assert_null(strstr(one.line, "cut="));
}

/* A line for a shell is one word, and in no sentence. */
static void
shell_line(void **state)
{
	char line[] = "mysql -p'secret' | less";
	char *argv[] = { line, NULL };
	const struct audit_command c = { .rule = "r", .user = "u",
	    .directory = "/", .argv = argv, .shell = true };
	const struct audit_end end = { .reason = "exit" };

	(void)state;
	assert_true(audit_command_start(&peer, &c, true));
	has(" line=\"'mysql -p'\\\\''secret'\\\\'' | less'\" ");
	assert_string_equal(one.text, "alice starts a shell line");
	audit_command_end(&peer, &c, &end);
	assert_null(strstr(one.text, "secret"));
	audit_command_refused(&peer, &c, &(struct failure){ .text = "no" });
	assert_null(strstr(one.text, "secret"));
	audit_limit_hit(&peer, &c, "time_limit", 1);
	assert_null(strstr(one.text, "secret"));
	assert_null(strstr(audit_command_name(&c), "secret"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(life, set_up, tear_down),
		cmocka_unit_test_setup_teardown(session, set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_command, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(endings, set_up, tear_down),
		cmocka_unit_test_setup_teardown(endings_are_not_cut, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(any_or_all, set_up, tear_down),
		cmocka_unit_test_setup_teardown(lost_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(hostile_words, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(hostile_names, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(long_words, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shell_line, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("audit", tests, NULL, NULL);
}
