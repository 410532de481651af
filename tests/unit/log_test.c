/* Unit tests of common/base/log.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <time.h>

#include "tests/unit/memory.h"
#include "tests/unit/unit.h"

#include "common/base/log.h"

/* --- one line ------------------------------------------------------------ */

static void
line(void **state)
{
	static const struct log_field fields[] = {
		{ "peer", "alice", 5 },
		{ "argv", "a \"b\"\n", 6 },
		{ "empty", "", 0 },
		{ "path", "/srv/x-1_2.c:80@%+,", 19 },
		{ "pair", "a=b", 3 },
	};
	struct log_event e = { .level = LOG_LEVEL_NOTICE,
	    .name = "command-start", .text = "alice starts \"a\"",
	    .fields = fields, .count = 5,
	    .time_us = INT64_C(1700000000) * 1000000 + 42 };
	char out[512];
	size_t n = log_format(out, sizeof out, &e, true);

	(void)state;
	assert_string_equal(out, "time=2023-11-14T22:13:20.000042Z "
	    "level=notice event=command-start peer=alice "
	    "argv=\"a \\\"b\\\"\\n\" empty=\"\" path=/srv/x-1_2.c:80@%+, "
	    "pair=\"a=b\" msg=\"alice starts \\\"a\\\"\"\n");
	assert_int_equal(n, strlen(out));
}

static void
levels(void **state)
{
	(void)state;
	assert_string_equal(log_level_name(LOG_LEVEL_ERROR), "error");
	assert_string_equal(log_level_name(LOG_LEVEL_WARNING), "warning");
	assert_string_equal(log_level_name(LOG_LEVEL_NOTICE), "notice");
	assert_string_equal(log_level_name(LOG_LEVEL_INFO), "info");
	assert_string_equal(log_level_name(LOG_LEVEL_DEBUG), "debug");
}

/* A long value is cut and marked, and the fields after it are there. */
static void
long_value(void **state)
{
	static char value[3 * LOG_VALUE_MAX], out[4 * LOG_VALUE_MAX];
	struct log_field fields[] = {
		{ "long", value, sizeof value }, { "next", "here", 4 },
	};
	struct log_event e = { .level = LOG_LEVEL_INFO, .name = "message",
	    .text = "text", .fields = fields, .count = 2 };
	char *end;

	(void)state;
	memset(value, 'x', sizeof value);
	(void)log_format(out, sizeof out, &e, true);
	end = strstr(out, "...");
	assert_non_null(end);
	assert_true(strncmp(end, "... ", 4) == 0 ||
	    strncmp(end, "...\" ", 5) == 0);
	assert_non_null(strstr(out, " next=here "));
	assert_non_null(strstr(out, " msg=text cut=long\n"));
	assert_true(strlen(out) < LOG_VALUE_MAX + 200);
	assert_true(strlen(out) > LOG_VALUE_MAX - 10);
}

/* A line that does not fit ends before a field, and says so. */
static void
long_line(void **state)
{
	static const char *const names[] = { "a", "b", "c", "d", "e", "f",
	    "g", "h", "i", "j" };
	static char value[300];
	struct log_field fields[10];
	struct log_event e = { .level = LOG_LEVEL_INFO, .name = "message",
	    .text = "the text", .fields = fields };

	(void)state;
	memset(value, 'v', sizeof value);
	for (size_t i = 0; i < 10; i++)
		fields[i] = (struct log_field){ names[i], value,
		    sizeof value };
	for (size_t size = 512; size < 4000; size += 7) {
		for (e.count = 0; e.count <= 10; e.count++) {
			char *out = test_malloc(size), *at;
			size_t n = log_format(out, size, &e, true), kept = 0;

			assert_true(n < size);
			assert_int_equal(strlen(out), n);
			assert_int_equal(out[n - 1], '\n');
			assert_ptr_equal(strchr(out, '\n'), out + n - 1);
			assert_memory_equal(out, "time=", 5);
			for (at = out; (at = strstr(at, "=vvv")) != NULL;
			    kept++) {
				/* Each that is there is there to its end. */
				assert_int_equal(strspn(at + 1, "v"),
				    sizeof value);
				at += sizeof value;
			}
			if (strstr(out, " cut=true\n") == NULL) {
				assert_int_equal(kept, e.count);
				assert_non_null(strstr(out,
				    " msg=\"the text\"\n"));
			} else
				assert_true(1000 + 310 * e.count > size);
			if (size > 400 + 310 * e.count)
				assert_null(strstr(out, "cut=true"));
			test_free(out);
		}
	}
}

/* --- sinks --------------------------------------------------------------- */

struct sample {
	struct log_sink sink;
	bool broken;
	int room;		/* For so many; 0: any number, -1: none. */
	int taken;
	char text[LOG_TEXT_MAX];
	char name[64];
	char id[40];
	char field[4];		/* The first bytes of the first one. */
	enum log_level level;
	int64_t time_us;
};

static int
take(void *context, const struct log_event *e)
{
	struct sample *s = context;

	if (s->broken) {
		errno = ENOSPC;
		return -1;
	}
	if (s->room < 0) {
		errno = EAGAIN;
		return -1;
	}
	if (s->room > 0 && --s->room == 0)
		s->room = -1;
	s->taken++;
	if (e->count > 0 && e->fields[0].length < sizeof s->field)
		memcpy(s->field, e->fields[0].value, e->fields[0].length);
	s->level = e->level;
	s->time_us = e->time_us;
	(void)snprintf(s->text, sizeof s->text, "%s", e->text);
	(void)snprintf(s->name, sizeof s->name, "%s", e->name);
	(void)snprintf(s->id, sizeof s->id, "%s", e->message_id == NULL ? "" :
	    e->message_id);
	return 0;
}

static struct log_sink *added;

static void
add_sink(struct log_sink *sink)
{
	struct log_sink **end = &added;

	while (*end != NULL)
		end = &(*end)->next;
	sink->next = NULL;
	*end = sink;
	log_set_sinks(added);
}

static void
remove_sinks(void)
{
	added = NULL;
	log_set_sinks(NULL);
}

static void
open_sample(struct sample *s, const char *name)
{
	memset(s, 0, sizeof *s);
	s->sink.name = name;
	s->sink.take = take;
	s->sink.context = s;
	add_sink(&s->sink);
}

static int
reset(void **state)
{
	(void)state;
	remove_sinks();
	log_set_level(LOG_LEVEL_INFO);
	log_set_prefix("");
	return 0;
}

static void
every_sink(void **state)
{
	struct log_event e = { .level = LOG_LEVEL_NOTICE, .name = "event",
	    .text = "happened" };
	struct sample one, two;
	int64_t now = (int64_t)time(NULL) * 1000000;

	(void)state;
	open_sample(&one, "one");
	open_sample(&two, "two");
	assert_int_equal(log_sinks(), 2);
	errno = EXDEV;
	assert_int_equal(log_emit(&e), 2);
	assert_int_equal(errno, EXDEV);
	assert_int_equal(one.taken, 1);
	assert_int_equal(two.taken, 1);
	assert_string_equal(one.text, "happened");
	assert_string_equal(one.name, "event");
	assert_int_equal(one.level, LOG_LEVEL_NOTICE);
	assert_true(one.time_us >= now - 1000000);
	assert_true(one.time_us < now + 60000000);

	log_warning("%d of %s", 3, "three");
	assert_int_equal(one.taken, 2);
	assert_string_equal(two.text, "3 of three");
	assert_string_equal(two.name, "message");
	assert_int_equal(two.level, LOG_LEVEL_WARNING);
	remove_sinks();
	assert_int_equal(log_sinks(), 1);	/* Standard error. */
}

/* Messages below the level are dropped, and events never. */
static void
threshold(void **state)
{
	struct log_event e = { .level = LOG_LEVEL_DEBUG, .name = "event",
	    .text = "happened" };
	struct sample s;

	(void)state;
	open_sample(&s, "sample");
	log_info("info");
	log_debug("debug");
	assert_int_equal(s.taken, 1);
	assert_string_equal(s.text, "info");
	log_set_level(LOG_LEVEL_DEBUG);
	log_debug("debug");
	assert_int_equal(s.taken, 2);
	log_set_level(LOG_LEVEL_ERROR);
	log_warning("warning");
	assert_int_equal(s.taken, 2);
	log_error("error");
	assert_int_equal(s.taken, 3);
	assert_int_equal(log_emit(&e), 1);
	assert_int_equal(s.taken, 4);
}

static void
with_errno(void **state)
{
	struct sample s;

	(void)state;
	open_sample(&s, "sample");
	errno = ENOENT;
	log_errno("cannot open %s", "x");
	assert_string_equal(s.text, "cannot open x: No such file or "
	    "directory");
	assert_int_equal(s.level, LOG_LEVEL_ERROR);
}

/* A sink that fails is reported to the others once, its return to all. */
static void
failing(void **state)
{
	struct log_event e = { .level = LOG_LEVEL_NOTICE, .name = "event",
	    .text = "happened" };
	struct sample good, bad;

	(void)state;
	open_sample(&bad, "the/bad/one");
	open_sample(&good, "good");
	bad.broken = true;
	for (int i = 0; i < 5; i++)
		assert_int_equal(log_emit(&e), 1);
	/* Five events and one report. */
	assert_int_equal(good.taken, 6);
	assert_int_equal(bad.sink.lost, 5);
	bad.broken = false;
	assert_int_equal(log_emit(&e), 2);
	/* The event, and to all the report that some are missing there. */
	assert_int_equal(bad.taken, 2);
	assert_non_null(strstr(bad.text, "the/bad/one"));
	assert_non_null(strstr(bad.text, "5"));
	assert_int_equal(good.taken, 8);
	assert_int_equal(log_emit(&e), 2);
	assert_int_equal(good.taken, 9);
	assert_int_equal(bad.taken, 3);
	assert_int_equal(bad.sink.lost, 0);
}

static void
report_of_failing(void **state)
{
	struct log_event e = { .level = LOG_LEVEL_NOTICE, .name = "event",
	    .text = "happened" };
	struct sample good, bad;

	(void)state;
	open_sample(&good, "good");
	open_sample(&bad, "the/bad/one");
	bad.broken = true;
	/* Added later, it fails after "good" has had the event. */
	(void)log_emit(&e);
	assert_non_null(strstr(good.text, "the/bad/one"));
	assert_non_null(strstr(good.text, strerror(ENOSPC)));
	(void)log_emit(&e);
	(void)log_emit(&e);
	assert_string_equal(good.text, "happened");
	bad.broken = false;
	(void)log_emit(&e);
	assert_non_null(strstr(good.text, "the/bad/one"));
	assert_non_null(strstr(good.text, "3"));
	assert_null(strstr(good.text, "everywhere"));
	/* With none left no log has it, which is told when one is back. */
	bad.broken = good.broken = true;
	for (int i = 0; i < 7; i++)
		assert_int_equal(log_emit(&e), 0);
	good.broken = false;
	assert_int_equal(log_emit(&e), 1);
	assert_string_equal(good.text, "good can be written again; 7 records "
	    "are missing there, and 7 of them everywhere");
	assert_int_equal(good.level, LOG_LEVEL_ERROR);
	/* The other one misses two that "good" has, one of them the report that
	 * that failed; it is told but once. */
	bad.broken = false;
	assert_int_equal(log_emit(&e), 2);
	assert_non_null(strstr(good.text, "9 records are missing there"));
	assert_null(strstr(good.text, "everywhere"));
}

/* Events that are held back are given later, whole and in order, or dropped. */
static void
held(void **state)
{
	char foreign[] = "a\0b";
	const struct log_field field = { "word", foreign, 3 };
	struct log_event e = { .level = LOG_LEVEL_WARNING, .name = "event",
	    .text = "second", .fields = &field, .count = 1 };
	struct sample s;
	char first[32];

	(void)state;
	open_sample(&s, "sink");
	log_hold(first, sizeof first);
	assert_string_equal(first, "");
	log_info("first");
	assert_int_equal(log_emit(&e), 1);
	memset(foreign, 'x', sizeof foreign);
	log_error("an \033 error");
	log_error("another");
	assert_string_equal(first, "an \\x1b error");
	assert_int_equal(s.taken, 0);
	log_release(false);
	assert_int_equal(s.taken, 0);
	memcpy(foreign, "a\0b", 3);
	log_hold(first, sizeof first);
	log_info("first");
	(void)log_emit(&e);
	memset(foreign, 'x', sizeof foreign);
	log_release(true);
	assert_int_equal(s.taken, 2);
	assert_string_equal(s.text, "second");
	assert_memory_equal(s.field, "a\0b", 3);
	/* Without memory they come at once. */
	log_hold(first, sizeof first);
	memory_fail_at(0);
	log_info("now");
	assert_true(memory_has_failed());
	assert_string_equal(s.text, "now");
	log_release(true);
	assert_int_equal(s.taken, 3);
}

/* What it lacks has to stand in it: a sink that takes a record, and has no room
 * for the report, is no sink that works again. */
static void
report_that_is_not_taken(void **state)
{
	struct log_event e = { .level = LOG_LEVEL_NOTICE, .name = "event",
	    .text = "happened" };
	struct sample good, bad;

	(void)state;
	open_sample(&good, "good");
	open_sample(&bad, "bad");
	bad.broken = true;
	assert_int_equal(log_emit(&e), 1);
	assert_int_equal(log_emit(&e), 1);
	bad.broken = false;
	bad.room = 1;
	/* The record is there, and no log is told that all is well. */
	assert_int_equal(log_emit(&e), 2);
	assert_true(bad.sink.failing);
	assert_int_equal(bad.sink.lost, 2);
	assert_string_equal(good.text, "happened");
	bad.room = 2;
	assert_int_equal(log_emit(&e), 2);
	assert_false(bad.sink.failing);
	assert_non_null(strstr(bad.text, "2 records are missing there"));
	assert_non_null(strstr(good.text, "2 records are missing there"));
	assert_int_equal(bad.sink.lost, 0);
}

/* One that has no room for the moment has no error to tell. */
static void
report_of_no_room(void **state)
{
	struct log_event e = { .level = LOG_LEVEL_NOTICE, .name = "event",
	    .text = "happened" };
	struct sample good, bad;

	(void)state;
	open_sample(&good, "good");
	open_sample(&bad, "bad");
	bad.room = -1;
	assert_int_equal(log_emit(&e), 1);
	assert_string_equal(good.text, "cannot write to bad: it does not take "
	    "any more; its records are lost until it can be written again");
}

/* Names that stay have their numbers, from any caller. */
/* --- the promise ---------------------------------------------------------- */

/* A log that fails as it likes, and what it was told. */
#define LEDGERS	4

struct ledger {
	struct log_sink sink;
	char name[24];
	bool broken;
	int room;		/* -1: any number of records. */
	uint64_t missed;	/* Records that it did not take, but for the
				 * reports that it works again. */
	uint64_t told;		/* How many of them it was told of. */
	bool thought[LEDGERS];	/* Which others fail, as far as it
					 * knows. */
};

static struct ledger ledgers[LEDGERS];
static uint64_t told_nowhere;

static const char *
field_of(const struct log_event *e, const char *name)
{
	for (size_t i = 0; i < e->count; i++) {
		if (strcmp(e->fields[i].name, name) == 0)
			return e->fields[i].value;
	}
	fail_msg("no field %s", name);
	return NULL;
}

/* A report of the sink "about" comes to "s". */
static void
note_report(struct ledger *s, size_t about, const struct log_event *e)
{
	bool failing = strcmp(field_of(e, "state"), "failing") == 0;

	if (&ledgers[about] == s) {
		/* Its own: what it lacks. */
		assert_false(failing);
		s->told += strtoull(field_of(e, "lost"), NULL, 10);
		told_nowhere += strtoull(field_of(e, "nowhere"), NULL, 10);
		/* What it has missed may be reports of others. */
		memset(s->thought, 0, sizeof s->thought);
		return;
	}
	/* Once a failing period. */
	assert_false(failing && s->thought[about]);
	s->thought[about] = failing;
}

static int
take_ledger(void *context, const struct log_event *e)
{
	struct ledger *s = context;
	bool report = strcmp(e->name, "log-sink") == 0;
	size_t about = report ? (size_t)(*field_of(e, "sink") - '0') : 0;

	if (s->broken || s->room == 0) {
		s->missed += !report || &ledgers[about] != s;
		errno = s->broken ? ENOSPC : EAGAIN;
		return -1;
	}
	if (s->room > 0)
		s->room--;
	if (report)
		note_report(s, about, e);
	return 0;
}

/* One life of "count" logs; every loss is told in the end, and counted right,
 * in that log and over all. */
static void
one_life(uint64_t *seed, size_t count)
{
	struct log_event e = { .level = LOG_LEVEL_NOTICE, .name = "event",
	    .text = "happened" };
	uint64_t nowhere = 0;

	remove_sinks();
	memset(ledgers, 0, sizeof ledgers);
	told_nowhere = 0;
	for (size_t i = 0; i < count; i++) {
		struct ledger *s = &ledgers[i];

		(void)snprintf(s->name, sizeof s->name, "%zu", i);
		s->sink.name = s->name;
		s->sink.take = take_ledger;
		s->sink.context = s;
		s->room = -1;
		add_sink(&s->sink);
	}
	for (int i = 0; i < 60; i++) {
		struct ledger *s = &ledgers[unit_below(seed, count)];

		if (unit_below(seed, 3) == 0)
			s->broken = !s->broken;
		if (unit_below(seed, 3) == 0)
			s->room = (int)unit_below(seed, 5) - 1;
		nowhere += log_emit(&e) == 0;
	}
	for (size_t i = 0; i < count; i++) {
		ledgers[i].broken = false;
		ledgers[i].room = -1;
	}
	assert_int_equal(log_emit(&e), count);
	for (size_t i = 0; i < count; i++) {
		assert_false(ledgers[i].sink.failing);
		assert_int_equal(ledgers[i].sink.lost, 0);
		assert_int_equal(ledgers[i].told, ledgers[i].missed);
		for (size_t k = 0; k < count; k++)
			assert_false(ledgers[i].thought[k]);
	}
	assert_int_equal(told_nowhere, nowhere);
}

static void
every_loss_is_told(void **state)
{
	uint64_t seed = 15;

	(void)state;
	for (int i = 0; i < 4000; i++)
		one_life(&seed, 1 + (size_t)i % LEDGERS);
}

static void
numbers_of_kinds(void **state)
{
	static const struct log_kind kinds[] = {
		{ "one", "11111111111111111111111111111111", LOG_LEVEL_INFO },
		{ "log-sink", "22222222222222222222222222222222",
		    LOG_LEVEL_ERROR },
	};
	struct log_event e = { .level = LOG_LEVEL_INFO, .name = "one",
	    .text = "text" };
	struct sample s, bad;

	(void)state;
	open_sample(&s, "sample");
	log_set_kinds(kinds, 2);
	(void)log_emit(&e);
	assert_string_equal(s.id, kinds[0].message_id);
	e.name = "two";
	e.message_id = NULL;
	(void)log_emit(&e);
	assert_string_equal(s.id, "");
	open_sample(&bad, "bad");
	bad.broken = true;
	(void)log_emit(&e);
	assert_string_equal(s.name, "log-sink");
	assert_string_equal(s.id, kinds[1].message_id);
	log_set_kinds(NULL, 0);
}

/* What goes to standard error while "act" runs; the caller frees it. */
static char *
stderr_of(void (*act)(void))
{
	int keep = dup(2), fd = open("stderr", O_RDWR | O_CREAT | O_TRUNC,
	    0600);

	assert_int_not_equal(fd, -1);
	(void)fflush(stderr);
	assert_int_equal(dup2(fd, 2), 2);
	act();
	(void)fflush(stderr);
	assert_int_equal(dup2(keep, 2), 2);
	close(keep);
	close(fd);
	return unit_read("stderr");
}

static void
two_messages(void)
{
	log_error("it broke: \033[31m\n");
	log_warning("it may");
	log_debug("never");
}

static void
standard_error(void **state)
{
	char *text;

	(void)state;
	log_set_prefix("aisx: ");
	text = stderr_of(two_messages);
	assert_string_equal(text, "aisx: it broke: \\x1b[31m\\n\n"
	    "aisx: warning: it may\n");
	free(text);
}

static char folder[UNIT_PATH_MAX];

static int
enter(void **state)
{
	unit_enter(folder);
	return reset(state);
}

static int
leave(void **state)
{
	(void)state;
	unit_leave(folder);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(line),
		cmocka_unit_test(levels),
		cmocka_unit_test(long_value),
		cmocka_unit_test(long_line),
		cmocka_unit_test_teardown(every_sink, reset),
		cmocka_unit_test_teardown(threshold, reset),
		cmocka_unit_test_teardown(with_errno, reset),
		cmocka_unit_test_teardown(held, reset),
		cmocka_unit_test_teardown(failing, reset),
		cmocka_unit_test_teardown(report_of_failing, reset),
		cmocka_unit_test_teardown(report_that_is_not_taken, reset),
		cmocka_unit_test_teardown(report_of_no_room, reset),
		cmocka_unit_test_teardown(every_loss_is_told, reset),
		cmocka_unit_test_teardown(standard_error, reset),
		cmocka_unit_test_teardown(numbers_of_kinds, reset),
	};

	return cmocka_run_group_tests_name("log", tests, enter, leave);
}
