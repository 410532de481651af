/* Unit tests of daemon/exec/child.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/unit/unit.h"

#include "common/base/fd.h"
#include "daemon/exec/child.h"
#include "daemon/rules/grant.h"
#include "daemon/exec/privilege.h"
#include "daemon/exec/exec-options.h"

static char top[UNIT_PATH_MAX];
static struct child child;
static struct child_plan plan;
static char texts[3][512], *words[5], *paths[4];
static char *env[] = { (char[]){ "A=1" }, NULL };
static char output[65536];
static bool alone, changing;

static int
set_up(void **state)
{
	(void)state;
	memset(&plan, 0, sizeof plan);
	plan.paths = paths;
	plan.argv = words;
	plan.env = env;
	plan.base = top;
	plan.directory = ".";
	plan.umask = 027;
	plan.limits.no_new_privs = true;
	changing = false;
	return child_init();
}

/* Set argv, and with it the program. */
static void
set_words(const char *a, const char *b, const char *c)
{
	const char *from[] = { a, b, c };

	memset(words, 0, sizeof words);
	for (size_t i = 0; i < 3 && from[i] != NULL; i++) {
		words[i] = texts[i];
		assert_true(strlen(from[i]) < sizeof texts[i]);
		(void)snprintf(texts[i], sizeof texts[i], "%s", from[i]);
	}
	paths[0] = words[0];
	paths[1] = NULL;
}

/* Is the child another program than we are, or has it ended as one? */
static bool
has_executed(void)
{
	char path[64];
	struct stat ours, theirs;

	(void)snprintf(path, sizeof path, "/proc/%d/exe", (int)child.pid);
	assert_int_equal(stat("/proc/self/exe", &ours), 0);
	if (stat(path, &theirs) == -1)
		return errno == ENOENT || errno == ESRCH;
	return ours.st_ino != theirs.st_ino || ours.st_dev != theirs.st_dev;
}

/* Wait for what child_begun() says. */
static int
wait_begun(struct child_failure *f)
{
	struct pollfd p = { .fd = child.report, .events = POLLIN };
	int begun = child_begun(&child, f);

	/* After vfork the exec has been, unless there is none; but the kernel
	 * lets us go on before it closes the report. */
	assert_true(begun != 0 || !alone || changing || has_executed());
	/* It says what it tries, and then no more. */
	while (begun == 0) {
		assert_int_equal(poll(&p, 1, 20000), 1);
		begun = child_begun(&child, f);
	}
	assert_int_not_equal(begun, 0);
	return begun;
}

/* Read standard output to its end, reap, and return the wait status. */
static int
finish(void)
{
	size_t used = 0;
	int status;
	ssize_t n;

	assert_int_equal(fd_set_blocking(child.out, true), 0);
	while ((n = read(child.out, output + used,
	    sizeof output - 1 - used)) > 0)
		used += (size_t)n;
	output[used] = '\0';
	assert_int_equal(waitpid(child.pid, &status, 0), child.pid);
	child_close(&child);
	return status;
}

static int
run(void)
{
	struct child_failure f;

	assert_int_equal(child_start(&child, &plan, alone), 0);
	assert_int_equal(wait_begun(&f), 1);
	return finish();
}

/* Start what cannot run; why it does not. */
static struct child_failure
refused(void)
{
	struct child_failure f;
	int status;

	assert_int_equal(child_start(&child, &plan, alone), 0);
	assert_int_equal(wait_begun(&f), -1);
	assert_int_equal(waitpid(child.pid, &status, 0), child.pid);
	child_close(&child);
	return f;
}

static void
statuses_and_words(void **state)
{
	(void)state;
	set_words("/bin/sh", "-c", "printf '%s|' \"$0\" \"$A\" \"$B\"; exit 3");
	assert_int_equal(WEXITSTATUS(run()), 3);
	assert_string_equal(output, "/bin/sh|1||");
	set_words("/bin/sh", "-c", "kill -9 $$");
	assert_int_equal(WTERMSIG(run()), SIGKILL);
}

static void
a_clean_process(void **state)
{
	char expected[512];

	(void)state;
	/* Descriptors, with the one that ls opens; session; umask. */
	set_words("/bin/sh", "-c", "ls /proc/self/fd | tr '\\n' ' '; "
	    "umask; pwd; test $(ps -o sid= -p $$) = $$ && echo leader; "
	    "sed -n '/^Sig[BIC]/p;/NoNewPrivs/p' /proc/self/status | "
	    "tr '\\n\\t' '  '");
	assert_int_equal(WEXITSTATUS(run()), 0);
	(void)snprintf(expected, sizeof expected, "0 1 2 3 0027\n%s\nleader\n"
	    "SigBlk: 0000000000000000 SigIgn: 0000000000000000 "
	    "SigCgt: 0000000000000000 NoNewPrivs: 1 ", top);
	assert_string_equal(output, expected);
}

static void
standard_input(void **state)
{
	struct child_failure f;

	(void)state;
	set_words("/bin/cat", NULL, NULL);
	assert_int_equal(WEXITSTATUS(run()), 0);
	assert_string_equal(output, "");
	plan.wants_stdin = true;
	assert_int_equal(child_start(&child, &plan, alone), 0);
	assert_int_equal(wait_begun(&f), 1);
	assert_int_equal(write(child.in, "hello", 5), 5);
	fd_close(&child.in);
	assert_int_equal(WEXITSTATUS(finish()), 0);
	assert_string_equal(output, "hello");
}

static void
programs_that_cannot_run(void **state)
{
	struct child_failure f;

	(void)state;
	set_words("/no/such/program", NULL, NULL);
	f = refused();
	assert_int_equal(f.stage, CHILD_STAGE_EXEC);
	assert_int_equal(f.error, ENOENT);
	unit_write("text", "text\n");
	set_words("./text", NULL, NULL);
	f = refused();
	assert_int_equal(f.stage, CHILD_STAGE_EXEC);
	assert_int_equal(f.error, EACCES);
	/* The next path is tried; but what exists is the better answer. */
	set_words("./text", NULL, NULL);
	paths[1] = (char[]){ "/no/such/program" };
	paths[2] = NULL;
	assert_int_equal(refused().error, EACCES);
	paths[1] = (char[]){ "/bin/true" };
	assert_int_equal(WEXITSTATUS(run()), 0);
	assert_int_equal(child.program, 1);
	/* What is not there at all, and what is there and cannot run. */
	paths[0] = (char[]){ "/no/such/program" };
	paths[1] = (char[]){ "./text" };
	paths[2] = (char[]){ "/bin/true" };
	paths[3] = NULL;
	assert_int_equal(WEXITSTATUS(run()), 0);
	assert_int_equal(child.program, 2);
	plan.directory = "/no/such/directory";
	f = refused();
	assert_int_equal(f.stage, CHILD_STAGE_DIRECTORY);
	assert_int_equal(f.error, ENOENT);
}

static void
checked_programs(void **state)
{
	char private[UNIT_PATH_MAX], script[UNIT_PATH_MAX + 32];
	char expected[UNIT_PATH_MAX + 96];

	(void)state;
	plan.checked = true;
	set_words("/bin/echo", "hello", NULL);
	assert_int_equal(WEXITSTATUS(run()), 0);
	assert_string_equal(output, "hello\n");

	unit_enter_trusted(private);
	(void)snprintf(script, sizeof script, "%s/script", private);
	unit_write("script", "#!/bin/ls /proc/self/fd\n");
	assert_int_equal(chmod("script", 0755), 0);
	set_words(script, NULL, NULL);
	assert_int_equal(WEXITSTATUS(run()), 0);
	/* By its path; and nothing is open but what ls(1) itself opens. */
	(void)snprintf(expected, sizeof expected, "%s\n\n/proc/self/fd:\n0\n1"
	    "\n2\n3\n", script);
	assert_string_equal(output, expected);

	assert_int_equal(chmod("script", 0757), 0);
	assert_int_equal(refused().stage, CHILD_STAGE_UNSAFE);
	assert_int_equal(unlink("script"), 0);
	assert_int_equal(refused().error, ENOENT);
	/* A directory on its way is enough, sticky or not. */
	unit_write("script", "#!/bin/sh\n");
	assert_int_equal(chmod("script", 0755), 0);
	assert_int_equal(chmod(".", 01777), 0);
	assert_int_equal(refused().stage, CHILD_STAGE_UNSAFE);
	unit_leave(private);
	assert_int_equal(chdir(top), 0);
}

static void
change_of_directory(void **state)
{
	struct child_failure f;
	char expected[UNIT_PATH_MAX + 8];

	(void)state;
	assert_true(mkdir("sub", 0755) == 0 || errno == EEXIST);
	set_words("/bin/true", NULL, NULL);
	plan.directory = "sub/../sub";
	changing = plan.chdir = true;
	assert_int_equal(child_start(&child, &plan, alone), 0);
	assert_int_equal(wait_begun(&f), 1);
	assert_int_equal(WEXITSTATUS(finish()), 0);
	(void)snprintf(expected, sizeof expected, "%s/sub", top);
	assert_string_equal(output, expected);
	plan.directory = "nowhere";
	assert_int_equal(child_start(&child, &plan, alone), 0);
	assert_int_equal(wait_begun(&f), -1);
	assert_int_equal(f.stage, CHILD_STAGE_DIRECTORY);
	assert_int_equal(waitpid(child.pid, NULL, 0), child.pid);
	child_close(&child);
}

static void
limits(void **state)
{
	struct limits l;
	char *end;
	int nice = getpriority(PRIO_PROCESS, 0) + 3;

	(void)state;
	memset(&l, 0, sizeof l);
	l.open_files = 17;
	l.cpu_limit = 2500;
	l.memory_limit = 1 << 30;
	l.nice = 3;
	l.no_new_privs = true;
	plan.limits = l;
	set_words("/bin/sh", "-c", "ulimit -n; ulimit -t; ulimit -v; "
	    "ps -o ni= -p $$");
	assert_int_equal(WEXITSTATUS(run()), 0);
	assert_int_equal(strtol(output, &end, 10), 17);
	assert_int_equal(strtol(end, &end, 10), 3);
	assert_int_equal(strtol(end, &end, 10), 1 << 20);
	assert_int_equal(strtol(end, &end, 10), nice < 19 ? nice : 19);
}

/* One path slot, whose word is the program's second; whether it ran. */
static bool
below(const char *directory, const char *last, enum child_pin pin,
    struct child_failure *f)
{
	static char relative[256], place[256], name[UNIT_PATH_MAX + 256];
	static char open_file[] = "/proc/self/fd/10", open_place[256];
	int begun;

	(void)snprintf(place, sizeof place, "%s", directory);
	(void)snprintf(relative, sizeof relative, "%s/%s", directory, last);
	(void)snprintf(name, sizeof name, "%s/%s/%s", top, directory, last);
	(void)snprintf(open_place, sizeof open_place, "%s/%s", open_file,
	    last);
	plan.below[0] = (struct child_path){ .below = top, .relative = relative,
	    .directory = place, .last = last, .way = top, .pin = pin,
	    .open_file = open_file, .open_place = open_place,
	    .word = &words[3] };
	words[3] = name;
	words[4] = NULL;
	plan.below_count = 1;
	assert_int_equal(child_start(&child, &plan, alone), 0);
	begun = wait_begun(f);
	(void)finish();
	return begun == 1;
}

static void
paths_below(void **state)
{
	char expected[UNIT_PATH_MAX + 32], beside[UNIT_PATH_MAX + 2];
	struct child_failure f;

	(void)state;
	unit_write("file", "inside");
	(void)unlink("in");
	(void)unlink("out");
	assert_int_equal(symlink("file", "in"), 0);
	assert_int_equal(symlink("/etc/passwd", "out"), 0);
	(void)snprintf(beside, sizeof beside, "%s-2", top);
	(void)snprintf(expected, sizeof expected, "../%s/file",
	    strrchr(top, '/') + 1);
	(void)unlink("beside");
	(void)unlink("pipe");
	(void)unlink("back");
	assert_int_equal(mkdir(beside, 0755), 0);
	assert_int_equal(symlink(beside, "beside"), 0);
	assert_int_equal(symlink("/proc/self/fd/0", "pipe"), 0);
	assert_int_equal(symlink(expected, "back"), 0);
	/* $0 is the slot's word. */
	set_words("/bin/sh", "-c", "cat \"$0\"");
	for (int pin = CHILD_PIN_NEEDED; pin <= CHILD_PIN_ALWAYS; pin++) {
		assert_true(below(".", "file", (enum child_pin)pin, &f));
		assert_string_equal(output, "inside");
		assert_true(below(".", "in", (enum child_pin)pin, &f));
		assert_string_equal(output, "inside");
		assert_false(below(".", "out", (enum child_pin)pin, &f));
		assert_int_equal(f.stage, CHILD_STAGE_PATH);
		assert_int_equal(f.error, EXDEV);
		assert_false(below("no", "file", (enum child_pin)pin, &f));
		assert_int_equal(f.error, ENOENT);
		/* Beside it, with a name that begins alike. */
		assert_false(below(".", "beside", (enum child_pin)pin, &f));
		assert_int_equal(f.error, EXDEV);
		/* On no file system, but in every process. */
		assert_false(below(".", "pipe", (enum child_pin)pin, &f));
		assert_int_equal(f.error, EXDEV);
		/* Where a link leads does not count, but where all lead. */
		assert_true(below(".", "back", (enum child_pin)pin, &f));
		assert_string_equal(output, "inside");
	}

	/* By name, no descriptor is left open; what is not there may be made,
	 * but not where a link leads. */
	set_words("/bin/sh", "-c", "echo \"$0\" /dev/fd/1*");
	(void)unlink("new");
	(void)snprintf(expected, sizeof expected, "%s/./new /dev/fd/1\n", top);
	assert_true(below(".", "new", CHILD_PIN_NEEDED, &f));
	assert_string_equal(output, expected);
	assert_true(below(".", "new", CHILD_PIN_NEVER, &f));
	assert_string_equal(output, expected);
	assert_true(below(".", "new", CHILD_PIN_ALWAYS, &f));
	assert_string_equal(output,
	    "/proc/self/fd/10/new /dev/fd/1 /dev/fd/10\n");
	assert_true(below(".", "file", CHILD_PIN_ALWAYS, &f));
	assert_string_equal(output, "/proc/self/fd/10 /dev/fd/1 /dev/fd/10\n");
	assert_int_equal(symlink("nowhere", "new"), 0);
	assert_false(below(".", "new", CHILD_PIN_NEEDED, &f));
	assert_int_equal(f.error, ELOOP);
	assert_int_equal(rmdir(beside), 0);
}

static void
no_descriptors(void **state)
{
	struct rlimit was, few = { 0, 0 };
	int left = open("/dev/null", O_RDONLY);

	(void)state;
	set_words("/bin/true", NULL, NULL);
	plan.wants_stdin = true;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	/* With room for none, one, two... of the eight that it takes. */
	for (int n = 0; n < 8; n++) {
		few.rlim_max = was.rlim_max;
		few.rlim_cur = (rlim_t)(left + n);
		(void)close(left);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
		assert_int_equal(child_start(&child, &plan, alone), -1);
		assert_int_equal(errno, EMFILE);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
		/* Nothing is left behind. */
		assert_int_equal(open("/dev/null", O_RDONLY), left);
	}
	(void)close(left);
}

static int
enter(void **state)
{
	(void)state;
	unit_enter(top);
	return signal(SIGPIPE, SIG_IGN) == SIG_ERR;
}

static int
leave(void **state)
{
	(void)state;
	unit_leave(top);
	return 0;
}

static int
by_vfork(void **state)
{
	alone = true;
	return set_up(state);
}

static int
by_fork(void **state)
{
	alone = false;
	return set_up(state);
}

/* Each test in both ways. */
#define BOTH(test) \
	{ #test " by vfork", test, by_vfork, NULL, NULL }, \
	{ #test " by fork", test, by_fork, NULL, NULL }

/* The same, where there is no reason against it. */
#define BOTH_UNLESS(reason, test) \
	UNLESS(reason, test, #test " by vfork", by_vfork), \
	UNLESS(reason, test, #test " by fork", by_fork)
#define UNLESS(reason, test, name, begin) \
	((reason) == NULL ? \
	    (struct CMUnitTest){ name, test, begin, NULL, NULL } : \
	    (struct CMUnitTest){ unit_skipped(name, reason), unit_nothing, \
		NULL, NULL, NULL })

int
main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(statuses_and_words),
		BOTH(a_clean_process),
		BOTH(standard_input),
		BOTH(programs_that_cannot_run),
		BOTH_UNLESS(unit_lacks_trusted(), checked_programs),
		BOTH(change_of_directory),
		BOTH(limits),
		BOTH(paths_below),
		BOTH(no_descriptors),
	};

	return cmocka_run_group_tests_name("child", tests, enter, leave);
}
