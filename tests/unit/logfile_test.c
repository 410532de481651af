/* Tests of daemon/logfile. */
#include <config.h>

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "tests/unit/memory.h"
#include "tests/unit/unit.h"

#include "common/log.h"
#include "daemon/logfile.h"

/* The last text that another sink was given. */
static char other_text[LOG_TEXT_MAX];

static int
take_text(void *context, const struct log_event *e)
{
	(void)context;
	(void)snprintf(other_text, sizeof other_text, "%s", e->text);
	return 0;
}
static void
file(void **state)
{
	struct log_sink *sink;
	struct stat st;
	char *text;

	(void)state;
	(void)umask(0);
	sink = logfile_open("log");
	assert_non_null(sink);
	assert_string_equal(sink->name, "log");
	assert_int_equal(stat("log", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(log_add_sink(sink), 0);
	log_info("one");
	log_info("two\nlines");
	text = unit_read("log");
	assert_non_null(strstr(text, " level=info event=message msg=one\n"));
	assert_non_null(strstr(text, " msg=\"two\\nlines\"\n"));
	free(text);
	log_reset();
	logfile_close(sink);

	/* What is there stays. */
	sink = logfile_open("log");
	assert_non_null(sink);
	assert_int_equal(log_add_sink(sink), 0);
	log_info("three");
	text = unit_read("log");
	assert_non_null(strstr(text, "msg=one\n"));
	assert_non_null(strstr(text, "msg=three\n"));
	free(text);
	log_reset();
	logfile_close(sink);
	logfile_close(NULL);
}

static void
reopen(void **state)
{
	struct log_sink *sink = logfile_open("rotated");
	char *text;

	(void)state;
	assert_non_null(sink);
	assert_int_equal(log_add_sink(sink), 0);
	log_info("before");
	assert_int_equal(rename("rotated", "rotated.1"), 0);
	log_info("between");
	assert_int_equal(logfile_reopen(sink), 0);
	log_info("after");
	text = unit_read("rotated.1");
	assert_non_null(strstr(text, "msg=before"));
	assert_non_null(strstr(text, "msg=between"));
	assert_null(strstr(text, "msg=after"));
	free(text);
	text = unit_read("rotated");
	assert_non_null(strstr(text, "msg=after"));
	assert_null(strstr(text, "msg=between"));
	free(text);

	/* A path that cannot be opened: the old file stays in use. */
	assert_int_equal(rename("rotated", "rotated.2"), 0);
	assert_int_equal(mkdir("rotated", 0700), 0);
	assert_int_equal(logfile_reopen(sink), -1);
	log_info("still");
	text = unit_read("rotated.2");
	assert_non_null(strstr(text, "msg=still"));
	assert_non_null(strstr(text, "level=error"));
	free(text);
	log_reset();
	logfile_close(sink);
}

/* Who deletes the file gets a new one, as soon as there can be one. */
static void
deleted(void **state)
{
	struct log_event e = { .level = LOG_LEVEL_NOTICE, .name = "event",
	    .text = "happened" };
	struct log_sink *sink;
	struct log_sink other = { .name = "other", .take = take_text };
	char *text;

	(void)state;
	assert_int_equal(mkdir("here", 0700), 0);
	sink = logfile_open("here/log");
	assert_non_null(sink);
	assert_int_equal(log_add_sink(sink), 0);
	assert_int_equal(log_add_sink(&other), 0);
	log_info("before");
	assert_int_equal(unlink("here/log"), 0);
	log_info("after");
	assert_string_equal(other_text, "after");
	text = unit_read("here/log");
	assert_non_null(strstr(text, "state=renewed"));
	assert_non_null(strstr(text, "msg=after"));
	assert_null(strstr(text, "msg=before"));
	free(text);

	/* Without its directory it fails like any other. */
	assert_int_equal(unlink("here/log"), 0);
	assert_int_equal(rmdir("here"), 0);
	assert_int_equal(log_emit(&e), 1);
	assert_int_equal(log_emit(&e), 1);
	assert_true(sink->failing);
	assert_int_equal(sink->lost, 2);
	assert_int_equal(mkdir("here", 0700), 0);
	assert_int_equal(log_emit(&e), 2);
	assert_false(sink->failing);
	text = unit_read("here/log");
	assert_non_null(strstr(text, "msg=happened"));
	assert_non_null(strstr(text, "2 records are missing there\""));
	free(text);
	log_reset();
	logfile_close(sink);
}

/* copytruncate: the next line begins at the new end. */
static void
truncated(void **state)
{
	struct log_sink *sink = logfile_open("cut");
	char *text;

	(void)state;
	assert_non_null(sink);
	assert_int_equal(log_add_sink(sink), 0);
	log_info("before");
	assert_int_equal(truncate("cut", 0), 0);
	log_info("after");
	text = unit_read("cut");
	assert_memory_equal(text, "time=", 5);
	free(text);
	log_reset();
	logfile_close(sink);
}

static void
not_through_a_link(void **state)
{
	(void)state;
	unit_write("target", "");
	assert_int_equal(symlink("target", "link"), 0);
	assert_null(logfile_open("link"));
	assert_null(logfile_open("no/such/folder/log"));
	assert_null(logfile_open("."));
}

static void
full_disk(void **state)
{
	struct log_event e = { .level = LOG_LEVEL_NOTICE, .name = "event",
	    .text = "happened" };
	struct log_sink *sink = logfile_open("/dev/full");

	(void)state;
	assert_non_null(sink);
	assert_int_equal(log_add_sink(sink), 0);
	assert_int_equal(log_emit(&e), 0);
	assert_true(sink->failing);
	assert_int_equal(sink->lost, 1);
	log_reset();
	logfile_close(sink);
}

/* A line that was torn by a full disk takes no other with it. */
static void
torn_line(void **state)
{
	struct log_event e = { .level = LOG_LEVEL_NOTICE, .name = "event",
	    .text = "happened" };
	struct rlimit before, little;
	struct log_sink *sink = logfile_open("torn");
	size_t good = 0, lines = 0;
	char *text, *line, *next;
	struct stat st;

	(void)state;
	assert_non_null(sink);
	assert_int_equal(log_add_sink(sink), 0);
	assert_int_equal(log_emit(&e), 1);
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	little = before;
	assert_int_equal(stat("torn", &st), 0);
	little.rlim_cur = (rlim_t)st.st_size + 20;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
	assert_int_equal(log_emit(&e), 0);
	assert_int_equal(log_emit(&e), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(log_emit(&e), 1);
	assert_int_equal(log_emit(&e), 1);
	text = unit_read("torn");
	for (line = text; (next = strchr(line, '\n')) != NULL; line = next) {
		*next++ = '\0';
		lines++;
		if (strstr(line, "msg=happened") != NULL) {
			assert_memory_equal(line, "time=", 5);
			assert_string_equal(line + strlen(line) - 12,
			    "msg=happened");
			assert_null(strstr(line + 5, "time="));
			good++;
		}
	}
	assert_int_equal(*line, '\0');
	assert_int_equal(good, 3);
	/* Those, the torn one, and that records are missing. */
	assert_int_equal(lines, 5);
	free(text);
	log_reset();
	logfile_close(sink);
}

static void
out_of_memory(void **state)
{
	(void)state;
	memory_fail_at(0);
	assert_null(logfile_open("log"));
	assert_true(memory_has_failed());
}

static char folder[UNIT_PATH_MAX];

static int
reset(void **state)
{
	(void)state;
	log_reset();
	return 0;
}

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
#define TEST(name)	cmocka_unit_test_teardown(name, reset)
	const struct CMUnitTest tests[] = {
		TEST(file), TEST(reopen), TEST(deleted), TEST(truncated),
		TEST(not_through_a_link), TEST(full_disk), TEST(torn_line),
		TEST(out_of_memory),
	};

	return cmocka_run_group_tests_name("logfile", tests, enter, leave);
}
