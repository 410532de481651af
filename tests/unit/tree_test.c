/* Unit tests of daemon/exec/tree.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/unit/unit.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "daemon/exec/tree.h"

/* How long a test waits for what must come, in milliseconds. */
#define PATIENCE	20000

static struct tree tree;

static int
set_up(void **state)
{
	(void)state;
	memset(&tree, 0, sizeof tree);
	if (tree_init() == -1)
		return -1;
	return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

static int
tear_down(void **state)
{
	(void)state;
	/* Those that a test has spared as well. */
	tree_free(&tree);
	tree_end(&tree, 0);
	while (tree_is_ending(&tree)) {
		(void)waitpid(-1, NULL, WNOHANG);
		(void)tree_go_on(&tree, NULL);
	}
	tree_free(&tree);
	return 0;
}

/* Reap what has ended. */
static void
reap(void)
{
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
		tree_reaped(&tree, pid);
}

/* A child that sleeps until a signal ends it; "pipe" says that it is there. */
static pid_t
sleeper(bool ignores_term)
{
	int ready[2];
	char c;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		if (ignores_term)
			(void)signal(SIGTERM, SIG_IGN);
		if (write(ready[1], "x", 1) == 1)
			for (;;)
				pause();
		_exit(1);
	}
	(void)close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	(void)close(ready[0]);
	return pid;
}

/* "n" processes that have left their session, their parent and TERM behind. */
static void
dodgers(int n)
{
	int ready[2];
	char c;

	assert_int_equal(pipe(ready), 0);
	for (int i = 0; i < n; i++) {
		pid_t pid = fork();

		assert_int_not_equal(pid, -1);
		if (pid > 0) {
			(void)waitpid(pid, NULL, 0);
			continue;
		}
		(void)setsid();
		if (fork() == 0) {
			(void)setsid();
			(void)signal(SIGTERM, SIG_IGN);
			if (write(ready[1], "x", 1) == 1)
				for (;;)
					pause();
		}
		_exit(0);
	}
	for (int i = 0; i < n; i++)
		assert_int_equal(read(ready[0], &c, 1), 1);
	(void)close(ready[0]);
	(void)close(ready[1]);
}

/* Wait until /proc shows a process in this state. */
static void
wait_for_state(pid_t pid, char wanted)
{
	int64_t deadline = clock_in(PATIENCE);
	char path[64], text[512], *state;

	(void)snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
	do {
		FILE *f = fopen(path, "r");

		assert_non_null(f);
		assert_non_null(fgets(text, sizeof text, f));
		(void)fclose(f);
		state = strrchr(text, ')');
		assert_non_null(state);
		assert_false(clock_past(deadline));
	} while (state[2] != wanted);
}

/* Go on with the ending until it is done; how long it took. */
static int64_t
finish(void)
{
	int64_t start = clock_now(), deadline = clock_in(PATIENCE);

	while (tree_is_ending(&tree)) {
		assert_false(clock_past(deadline));
		reap();
		assert_int_equal(tree_go_on(&tree, NULL), 0);
		(void)usleep(1000);
	}
	reap();
	return clock_now() - start;
}

static void
empty_tree(void **state)
{
	(void)state;
	assert_true(tree_is_empty());
	assert_int_equal(tree_count(&tree), 0);
	assert_int_equal(tree_spare(&tree), 0);
	assert_int_equal(tree.spared.count, 0);
	tree_end(&tree, 1000);
	assert_false(tree_is_ending(&tree));
	assert_true(tree_deadline(&tree) == CLOCK_NEVER);
	assert_int_equal(tree_go_on(&tree, NULL), 0);
}

/* What has ended does not run; but it is there until it is reaped, for its own
 * children may become ours at any moment before. */
static void
zombies(void **state)
{
	pid_t pid = fork();
	siginfo_t si;

	(void)state;
	if (pid == 0)
		_exit(0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT), 0);
	assert_false(tree_is_empty());
	assert_int_equal(tree_count(&tree), 0);
	tree_end(&tree, PATIENCE);
	assert_true(tree_is_ending(&tree));
	assert_int_equal(tree_go_on(&tree, NULL), 0);
	assert_true(tree_is_ending(&tree));
	assert_true(finish() < PATIENCE / 2);
	assert_true(tree_is_empty());
}

static void
politely(void **state)
{
	pid_t pid = sleeper(false);

	(void)state;
	assert_int_equal(tree_count(&tree), 1);
	tree_end(&tree, PATIENCE);
	assert_true(tree_is_ending(&tree));
	assert_true(finish() < PATIENCE / 2);
	assert_true(tree_is_empty());
	assert_int_equal(kill(pid, 0), -1);
}

static void
by_force(void **state)
{
	(void)state;
	(void)sleeper(true);
	tree_end(&tree, 100);
	/* Not before the grace is over. */
	assert_true(tree_deadline(&tree) <= clock_in(100));
	assert_true(finish() >= 95);
	assert_true(tree_is_empty());
}

static void *
sleep_on(void *context)
{
	(void)context;
	for (;;)
		(void)pause();
	return NULL;
}

/* In /proc this process is a zombie, and it runs. */
static void
first_thread_has_ended(void **state)
{
	int ready[2];
	pthread_t thread;
	pid_t pid;
	char c;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		(void)close(ready[0]);
		/* This thread alone: the other one keeps the pipe open. */
		if (pthread_create(&thread, NULL, sleep_on, NULL) == 0 &&
		    write(ready[1], "x", 1) == 1)
			(void)syscall(SYS_exit, 0);
		_exit(1);
	}
	(void)close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	wait_for_state(pid, 'Z');
	assert_int_equal(tree_count(&tree), 1);
	tree_end(&tree, PATIENCE);
	assert_true(tree_is_ending(&tree));
	assert_true(finish() < PATIENCE / 2);
	/* No thread of it holds the pipe any more. */
	assert_int_equal(read(ready[0], &c, 1), 0);
	(void)close(ready[0]);
}

/* A child of a process that has ended is told when it has become ours: the
 * polite way does not depend on what /proc shows of others. */
static void
orphans_hear_term(void **state)
{
	int ready[2];
	pid_t pid;
	char c;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		(void)setsid();
		if (fork() == 0) {
			(void)setsid();
			if (write(ready[1], "x", 1) != 1)
				_exit(1);
		}
		for (;;)
			pause();
	}
	(void)close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_int_equal(tree_count(&tree), 1);
	tree_end(&tree, PATIENCE);
	assert_true(finish() < PATIENCE / 2);
	assert_int_equal(read(ready[0], &c, 1), 0);
	(void)close(ready[0]);
}

static void
stopped_processes_hear_term(void **state)
{
	pid_t pid = sleeper(false);
	siginfo_t si;

	(void)state;
	assert_int_equal(kill(pid, SIGSTOP), 0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &si, WSTOPPED | WNOWAIT), 0);
	tree_end(&tree, PATIENCE);
	assert_true(finish() < PATIENCE / 2);
}

static void
on_term(int sig)
{
	(void)sig;
	_exit(7);
}

/* How many processes a step has: to find them all takes its time. */
#define STEP	40

/* A script that waits for its step, and would go on to the next. */
static pid_t
script(void)
{
	int ready[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		(void)setsid();
		(void)signal(SIGTERM, on_term);
		for (int i = 0; i < STEP; i++) {
			if (fork() > 0)
				continue;
			(void)signal(SIGTERM, SIG_DFL);
			if (write(ready[1], "x", 1) == 1)
				for (;;)
					pause();
			_exit(1);
		}
		(void)waitpid(-1, NULL, 0);
		_exit(9);
	}
	for (int i = 0; i < STEP; i++)
		assert_int_equal(read(ready[0], &c, 1), 1);
	(void)close(ready[0]);
	(void)close(ready[1]);
	return pid;
}

/* No process sees another of its group end before it is told itself. */
static void
no_script_goes_on(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		pid_t pid = script();
		int status;

		tree_end(&tree, PATIENCE);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		tree_reaped(&tree, pid);
		assert_int_equal(WEXITSTATUS(status), 7);
		(void)finish();
	}
}

static void
those_that_hide(void **state)
{
	(void)state;
	dodgers(30);
	assert_int_equal(tree_count(&tree), 30);
	tree_end(&tree, 0);
	(void)finish();
	assert_true(tree_is_empty());
}

static void
the_spared_stay(void **state)
{
	pid_t kept = sleeper(false), ended;

	(void)state;
	assert_int_equal(tree_spare(&tree), 0);
	assert_int_equal(tree_spare(&tree), 0);
	assert_int_equal(tree.spared.count, 1);
	assert_int_equal(tree_count(&tree), 0);
	ended = sleeper(false);
	tree_end(&tree, 0);
	(void)finish();
	assert_int_equal(kill(kept, 0), 0);
	assert_int_equal(kill(ended, 0), -1);
	/* Once it is reaped, its number is free. */
	assert_int_equal(kill(kept, SIGKILL), 0);
	assert_int_equal(waitpid(kept, NULL, 0), kept);
	tree_reaped(&tree, kept);
	assert_int_equal(tree.spared.count, 0);
	tree_reaped(&tree, kept);
	assert_int_equal(tree.spared.count, 0);
}

static void
many_are_spared(void **state)
{
	(void)state;
	dodgers(200);
	assert_int_equal(tree_spare(&tree), 0);
	assert_int_equal(tree.spared.count, 200);
	assert_int_equal(tree_count(&tree), 0);
	tree_end(&tree, 0);
	assert_false(tree_is_ending(&tree));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(empty_tree, set_up, tear_down),
		cmocka_unit_test_setup_teardown(zombies, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(politely, set_up, tear_down),
		cmocka_unit_test_setup_teardown(by_force, set_up, tear_down),
		cmocka_unit_test_setup_teardown(first_thread_has_ended, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(orphans_hear_term, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(stopped_processes_hear_term,
		    set_up, tear_down),
		cmocka_unit_test_setup_teardown(no_script_goes_on, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(those_that_hide, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(the_spared_stay, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(many_are_spared, set_up,
		    tear_down),
	};

	return cmocka_run_group_tests_name("tree", tests, NULL, NULL);
}
