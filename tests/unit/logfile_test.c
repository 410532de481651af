/* Unit tests of daemon/record/logfile.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>

#include "tests/unit/memory.h"
#include "tests/unit/unit.h"

#include "common/base/failure.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "daemon/record/logfile.h"

/* The last text that another sink was given. */
static char other_text[LOG_TEXT_MAX];

/* Why the last log could not be opened. */
static struct failure why;

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
	sink = logfile_open("log", LOGFILE_LOGFMT, &why);
	assert_non_null(sink);
	assert_string_equal(sink->name, "log");
	assert_int_equal(stat("log", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	log_set_sinks(sink);
	log_info("one");
	log_info("two\nlines");
	text = unit_read("log");
	assert_non_null(strstr(text, " level=info event=message msg=one\n"));
	assert_non_null(strstr(text, " msg=\"two\\nlines\"\n"));
	free(text);
	log_set_sinks(NULL);
	logfile_close(sink);

	/* What is there stays. */
	sink = logfile_open("log", LOGFILE_LOGFMT, &why);
	assert_non_null(sink);
	log_set_sinks(sink);
	log_info("three");
	text = unit_read("log");
	assert_non_null(strstr(text, "msg=one\n"));
	assert_non_null(strstr(text, "msg=three\n"));
	free(text);
	log_set_sinks(NULL);
	logfile_close(sink);
	logfile_close(NULL);
}

static void
reopen(void **state)
{
	struct log_sink *sink = logfile_open("rotated", LOGFILE_LOGFMT, &why);
	char *text;

	(void)state;
	assert_non_null(sink);
	log_set_sinks(sink);
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
	log_set_sinks(NULL);
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
	sink = logfile_open("here/log", LOGFILE_LOGFMT, &why);
	assert_non_null(sink);
	sink->next = &other;
	log_set_sinks(sink);
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
	log_set_sinks(NULL);
	logfile_close(sink);
}

/* copytruncate: the next line begins at the new end. */
static void
truncated(void **state)
{
	struct log_sink *sink = logfile_open("cut", LOGFILE_LOGFMT, &why);
	char *text;

	(void)state;
	assert_non_null(sink);
	log_set_sinks(sink);
	log_info("before");
	assert_int_equal(truncate("cut", 0), 0);
	log_info("after");
	text = unit_read("cut");
	assert_memory_equal(text, "time=", 5);
	free(text);
	log_set_sinks(NULL);
	logfile_close(sink);
}

static void
not_through_a_link(void **state)
{
	(void)state;
	unit_write("target", "");
	assert_int_equal(symlink("target", "link"), 0);
	assert_null(logfile_open("link", LOGFILE_LOGFMT, &why));
	assert_int_equal(logfile_check("link", &why), -1);
	assert_null(logfile_open("no/such/folder/log", LOGFILE_LOGFMT, &why));
	assert_null(logfile_open(".", LOGFILE_LOGFMT, &why));
}

static void
full_disk(void **state)
{
	struct log_event e = { .level = LOG_LEVEL_NOTICE, .name = "event",
	    .text = "happened" };
	struct log_sink *sink = logfile_open("/dev/full", LOGFILE_LOGFMT, &why);

	(void)state;
	assert_non_null(sink);
	log_set_sinks(sink);
	assert_int_equal(log_emit(&e), 0);
	assert_true(sink->failing);
	assert_int_equal(sink->lost, 1);
	log_set_sinks(NULL);
	logfile_close(sink);
}

/* A line that was torn by a full disk takes no other with it. */
static void
torn_line(void **state)
{
	struct log_event e = { .level = LOG_LEVEL_NOTICE, .name = "event",
	    .text = "happened" };
	struct rlimit before, little;
	struct log_sink *sink = logfile_open("torn", LOGFILE_LOGFMT, &why);
	size_t good = 0, lines = 0;
	char *text, *line, *next;
	struct stat st;

	(void)state;
	assert_non_null(sink);
	log_set_sinks(sink);
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
	log_set_sinks(NULL);
	logfile_close(sink);
}

static void
out_of_memory(void **state)
{
	(void)state;
	memory_fail_at(0);
	assert_null(logfile_open("log", LOGFILE_LOGFMT, &why));
	assert_true(memory_has_failed());
}

/* --- pipes and our own streams -------------------------------------------- */

static struct log_event happened = { .level = LOG_LEVEL_NOTICE,
    .name = "event", .text = "happened" };

/* Open the log for standard error, which is "fd" meanwhile; NULL after a
 * message in the file "said". */
static struct log_sink *
open_for(int fd)
{
	int keep = dup(STDERR_FILENO);
	struct log_sink *sink;

	assert_int_not_equal(keep, -1);
	assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	sink = logfile_open(LOGFILE_STDERR, LOGFILE_LOGFMT, &why);
	(void)fflush(stderr);
	assert_int_equal(dup2(keep, STDERR_FILENO), STDERR_FILENO);
	assert_int_equal(close(keep), 0);
	return sink;
}

/* Write until there is no room, and see that no call waits for ever; then that
 * the first line which "reader" gets after the torn one is whole. */
static void
check_stream(int reader, struct log_sink *sink)
{
	static char text[1 << 20];
	size_t used = 0;
	int taken = 0;
	ssize_t n;
	char *line;

	assert_non_null(sink);
	log_set_sinks(sink);
	while (log_emit(&happened) == 1)
		taken++;
	assert_true(taken > 0 && sink->failing);
	assert_int_equal(log_emit(&happened), 0);
	assert_int_equal(fd_set_blocking(reader, false), 0);
	while ((n = read(reader, text + used, sizeof text / 2 - used)) > 0)
		used += (size_t)n;
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(log_emit(&happened), 1);
	while ((n = read(reader, text + used, sizeof text - 1 - used)) > 0)
		used += (size_t)n;
	text[used] = '\0';
	line = strstr(text, "2 records are missing there");
	assert_non_null(line);
	for (line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
		assert_non_null(strchr(line, '\n'));
		if (strncmp(line, "time=", 5) == 0)
			taken -= strcspn(line + 5, "\n") > 40 &&
			    strncmp(strchr(line, '\n') - 12, "msg=happened",
			    12) == 0;
	}
	/* Those, and the last one. */
	assert_int_equal(taken, -1);
	log_set_sinks(NULL);
	logfile_close(sink);
}

static void
pipe_stream(void **state)
{
	int pair[2];

	(void)state;
	assert_int_equal(pipe(pair), 0);
	check_stream(pair[0], open_for(pair[1]));
	/* What we were given is as it was. */
	assert_int_equal(fcntl(pair[1], F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(close(pair[0]), 0);
	assert_int_equal(close(pair[1]), 0);
}

static void
socket_stream(void **state)
{
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	check_stream(pair[0], open_for(pair[1]));
	assert_int_equal(fcntl(pair[1], F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(close(pair[0]), 0);
	assert_int_equal(close(pair[1]), 0);
}

/* A terminal whose user has stopped it. */
static void
terminal_stream(void **state)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), terminal;
	struct log_sink *sink;

	(void)state;
	assert_int_not_equal(master, -1);
	assert_int_equal(grantpt(master) | unlockpt(master), 0);
	terminal = open(ptsname(master), O_RDWR | O_NOCTTY);
	assert_int_not_equal(terminal, -1);
	sink = open_for(terminal);
	assert_non_null(sink);
	log_set_sinks(sink);
	assert_int_equal(log_emit(&happened), 1);
	assert_int_equal(tcflow(terminal, TCOOFF), 0);
	assert_int_equal(log_emit(&happened), 0);
	assert_int_equal(tcflow(terminal, TCOON), 0);
	assert_int_equal(log_emit(&happened), 1);
	log_set_sinks(NULL);
	logfile_close(sink);
	assert_int_equal(close(terminal), 0);
	assert_int_equal(close(master), 0);
}

static void
file_stream(void **state)
{
	int fd = open("stream", O_WRONLY | O_CREAT | O_TRUNC, 0600);
	struct log_sink *sink = open_for(fd);
	char *text;

	(void)state;
	assert_non_null(sink);
	log_set_sinks(sink);
	assert_int_equal(log_emit(&happened), 1);
	/* Who gave it reads it, by whatever name. */
	assert_int_equal(rename("stream", "other"), 0);
	assert_int_equal(log_emit(&happened), 1);
	text = unit_read("other");
	assert_non_null(strstr(strchr(text, '\n'), "msg=happened\n"));
	free(text);
	assert_int_equal(unlink("other"), 0);
	assert_int_equal(log_emit(&happened), 1);
	assert_int_equal(close(fd), 0);
	log_set_sinks(NULL);
	logfile_close(sink);
}

static void
keeps_nothing(void **state)
{
	int fd = open("/dev/null", O_RDWR);

	(void)state;
	assert_null(open_for(fd));
	assert_null(logfile_open("/dev/null", LOGFILE_LOGFMT, &why));
	assert_int_equal(close(fd), 0);
}

/* What a check says is what an opening would, and it leaves no trace. */
static void
checking(void **state)
{
	struct stat st;
	int reader;

	(void)state;
	assert_int_equal(logfile_check("new", &why), 0);
	assert_int_equal(stat("new", &st), -1);
	assert_int_equal(logfile_check(LOGFILE_STDERR, &why), 0);
	assert_int_equal(logfile_check("/dev/null", &why), -1);
	assert_int_equal(errno, ENODEV);
	assert_non_null(strstr(why.hint, "no record stays"));
	assert_int_equal(logfile_check("no/such/folder/log", &why), -1);
	assert_int_equal(errno, ENOENT);
	assert_non_null(strstr(why.text, "no/such/folder/log"));

	/* The reader of a pipe goes on waiting for its first writer. */
	assert_int_equal(mkfifo("quiet", 0600), 0);
	reader = open("quiet", O_RDONLY | O_NONBLOCK);
	assert_int_equal(logfile_check("quiet", &why), 0);
	assert_int_equal(poll(&(struct pollfd){ reader, POLLIN, 0 }, 1, 0), 0);
	assert_int_equal(close(reader), 0);
}

static void
pipe_by_name(void **state)
{
	struct log_sink *sink;
	int reader;

	(void)state;
	assert_int_equal(mkfifo("pipe", 0600), 0);
	sink = logfile_open("pipe", LOGFILE_LOGFMT, &why);
	assert_non_null(sink);
	assert_false(logfile_is_open(sink));
	log_set_sinks(sink);
	assert_int_equal(log_emit(&happened), 0);
	reader = open("pipe", O_RDONLY | O_NONBLOCK);
	assert_int_equal(log_emit(&happened), 1);
	assert_true(logfile_is_open(sink));
	log_set_sinks(NULL);
	logfile_close(sink);
	assert_int_equal(close(reader), 0);
}

static char folder[UNIT_PATH_MAX];

static int
reset(void **state)
{
	(void)state;
	log_set_sinks(NULL);
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
		TEST(out_of_memory), TEST(pipe_stream), TEST(socket_stream),
		TEST(terminal_stream), TEST(file_stream),
		TEST(keeps_nothing), TEST(checking),
		TEST(keeps_nothing), TEST(pipe_by_name),
	};

	return cmocka_run_group_tests_name("logfile", tests, enter, leave);
}
