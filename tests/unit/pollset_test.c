/* Unit tests of common/base/pollset.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>

#include "tests/unit/memory.h"
#include "tests/unit/unit.h"

#include "common/base/clock.h"
#include "common/base/pollset.h"

static volatile sig_atomic_t signals;

static void
count_signal(int signal)
{
	(void)signal;
	signals++;
}

/* A set that is cleared and has a deadline far enough to be a failure. */
static void
begin(struct pollset *ps, size_t capacity)
{
	assert_int_equal(pollset_init(ps, capacity), 0);
	pollset_clear(ps);
	pollset_deadline(ps, clock_in(30000));
}

static void
what_happened(void **state)
{
	struct pollset ps;
	size_t quiet, read_end, write_end;
	int one[2], two[2];

	(void)state;
	assert_int_equal(pipe(one), 0);
	assert_int_equal(pipe(two), 0);
	assert_int_equal(write(one[1], "x", 1), 1);
	begin(&ps, 3);
	quiet = pollset_add(&ps, two[0], POLLIN);
	read_end = pollset_add(&ps, one[0], POLLIN);
	write_end = pollset_add(&ps, two[1], POLLOUT);
	assert_int_equal(pollset_wait(&ps, NULL), 2);
	assert_int_equal(pollset_events(&ps, quiet), 0);
	assert_int_equal(pollset_events(&ps, read_end), POLLIN);
	assert_int_equal(pollset_events(&ps, write_end), POLLOUT);

	/* The next turn begins anew. */
	pollset_clear(&ps);
	pollset_deadline(&ps, clock_in(30000));
	assert_int_equal(close(two[1]), 0);
	quiet = pollset_add(&ps, two[0], POLLIN);
	assert_int_equal(pollset_events(&ps, quiet), 0);
	assert_int_equal(pollset_wait(&ps, NULL), 1);
	assert_int_equal(pollset_events(&ps, quiet), POLLHUP);
	close(one[0]);
	close(one[1]);
	close(two[0]);
	pollset_free(&ps);
}

/* A closed descriptor's -1 can be added like any other. */
static void
no_descriptor(void **state)
{
	struct pollset ps;
	size_t slot;

	(void)state;
	assert_int_equal(pollset_init(&ps, 1), 0);
	pollset_clear(&ps);
	for (int i = 0; i < 10; i++) {
		slot = pollset_add(&ps, -1, POLLIN);
		assert_true(slot == POLLSET_NONE);
	}
	pollset_deadline(&ps, clock_now());
	assert_int_equal(pollset_wait(&ps, NULL), 0);
	assert_int_equal(pollset_events(&ps, POLLSET_NONE), 0);
	pollset_free(&ps);
}

static void
nearest_deadline(void **state)
{
	struct pollset ps;
	int64_t before = clock_now(), after;

	(void)state;
	assert_int_equal(pollset_init(&ps, 1), 0);
	pollset_clear(&ps);
	pollset_deadline(&ps, CLOCK_NEVER);
	pollset_deadline(&ps, clock_in(60000));
	pollset_deadline(&ps, clock_in(50));
	pollset_deadline(&ps, clock_in(30000));
	pollset_deadline(&ps, CLOCK_NEVER);
	assert_int_equal(pollset_wait(&ps, NULL), 0);
	after = clock_now();
	assert_true(after - before >= 49);
	assert_true(after - before < 20000);

	/* One that has passed does not wait at all. */
	pollset_clear(&ps);
	pollset_deadline(&ps, before);
	assert_int_equal(pollset_wait(&ps, NULL), 0);
	pollset_free(&ps);
}

/* Clearing forgets the deadline: this turn waits for its descriptor. */
static void
deadlines_are_for_one_turn(void **state)
{
	struct pollset ps;
	struct sigaction sa = { .sa_handler = count_signal };
	int64_t before;

	(void)state;
	assert_int_equal(pollset_init(&ps, 1), 0);
	pollset_clear(&ps);
	pollset_deadline(&ps, clock_now());
	assert_int_equal(pollset_wait(&ps, NULL), 0);
	pollset_clear(&ps);
	assert_int_equal(sigaction(SIGALRM, &sa, NULL), 0);
	before = clock_now();
	(void)ualarm(50000, 0);
	assert_int_equal(pollset_wait(&ps, NULL), 0);
	assert_true(clock_now() - before >= 40);
	pollset_free(&ps);
}

/* Signals come only in the wait, and only those that the mask lets in. */
static void
signal_mask(void **state)
{
	struct sigaction sa = { .sa_handler = count_signal };
	struct pollset ps;
	sigset_t all, open;

	(void)state;
	signals = 0;
	assert_int_equal(sigaction(SIGUSR1, &sa, NULL), 0);
	sigfillset(&all);
	assert_int_equal(sigprocmask(SIG_SETMASK, &all, &open), 0);
	sigdelset(&open, SIGUSR1);
	assert_int_equal(raise(SIGUSR1), 0);
	assert_int_equal(signals, 0);
	begin(&ps, 1);
	/* With the mask unchanged the signal stays outside. */
	pollset_clear(&ps);
	pollset_deadline(&ps, clock_in(10));
	assert_int_equal(pollset_wait(&ps, NULL), 0);
	assert_int_equal(signals, 0);
	pollset_clear(&ps);
	pollset_deadline(&ps, clock_in(30000));
	assert_int_equal(pollset_wait(&ps, &open), 0);
	assert_int_equal(signals, 1);
	assert_int_equal(sigprocmask(SIG_SETMASK, &open, NULL), 0);
	pollset_free(&ps);
}

/* A descriptor that is ready at once does not keep a signal out. */
static void
signals_and_events(void **state)
{
	struct sigaction sa = { .sa_handler = count_signal };
	struct pollset ps;
	sigset_t all, open;
	size_t slot;
	int fds[2];

	(void)state;
	signals = 0;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	assert_int_equal(sigaction(SIGUSR1, &sa, NULL), 0);
	sigfillset(&all);
	assert_int_equal(sigprocmask(SIG_SETMASK, &all, &open), 0);
	sigdelset(&open, SIGUSR1);
	assert_int_equal(raise(SIGUSR1), 0);
	begin(&ps, 1);
	slot = pollset_add(&ps, fds[0], POLLIN);
	assert_int_equal(pollset_wait(&ps, &open), 1);
	assert_int_equal(pollset_events(&ps, slot), POLLIN);
	assert_int_equal(signals, 1);
	assert_int_equal(sigprocmask(SIG_SETMASK, &open, NULL), 0);
	close(fds[0]);
	close(fds[1]);
	pollset_free(&ps);
}

/* After a signal no old event is left to be acted upon. */
static void
no_stale_events(void **state)
{
	struct sigaction sa = { .sa_handler = count_signal };
	struct pollset ps;
	size_t slot;
	int fds[2];
	char c;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	begin(&ps, 1);
	slot = pollset_add(&ps, fds[0], POLLIN);
	assert_int_equal(pollset_wait(&ps, NULL), 1);
	assert_int_equal(pollset_events(&ps, slot), POLLIN);
	assert_int_equal(read(fds[0], &c, 1), 1);
	assert_int_equal(sigaction(SIGALRM, &sa, NULL), 0);
	(void)ualarm(20000, 0);
	assert_int_equal(pollset_wait(&ps, NULL), 0);
	assert_int_equal(pollset_events(&ps, slot), 0);
	close(fds[0]);
	close(fds[1]);
	pollset_free(&ps);
}

/* All slots of a large set can be used, and are told apart. */
static void
full(void **state)
{
	enum { COUNT = 200 };
	struct pollset ps;
	size_t slots[COUNT];
	int fds[COUNT][2];

	(void)state;
	begin(&ps, COUNT);
	for (int i = 0; i < COUNT; i++) {
		assert_int_equal(pipe(fds[i]), 0);
		if (i % 3 == 0)
			assert_int_equal(write(fds[i][1], "x", 1), 1);
		slots[i] = pollset_add(&ps, fds[i][0], POLLIN);
		assert_true(slots[i] != POLLSET_NONE);
	}
	assert_int_equal(pollset_wait(&ps, NULL), (COUNT + 2) / 3);
	for (int i = 0; i < COUNT; i++) {
		assert_int_equal(pollset_events(&ps, slots[i]),
		    i % 3 == 0 ? POLLIN : 0);
		close(fds[i][0]);
		close(fds[i][1]);
	}
	pollset_free(&ps);
}

static void
errors(void **state)
{
	struct rlimit before, none;
	struct pollset ps;
	size_t slot;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	begin(&ps, 1);
	slot = pollset_add(&ps, fds[0], POLLIN);
	/* poll(2) fails where it is to watch more than RLIMIT_NOFILE. */
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	errno = 0;
	assert_int_equal(pollset_wait(&ps, NULL), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(pollset_events(&ps, slot), 0);
	close(fds[0]);
	close(fds[1]);
	pollset_free(&ps);
}

static void
out_of_memory(void **state)
{
	struct pollset ps;

	(void)state;
	memory_fail_at(0);
	assert_int_equal(pollset_init(&ps, 10), -1);
	assert_true(memory_has_failed());
	pollset_free(&ps);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_happened),
		cmocka_unit_test(no_descriptor),
		cmocka_unit_test(nearest_deadline),
		cmocka_unit_test(deadlines_are_for_one_turn),
		cmocka_unit_test(signal_mask),
		cmocka_unit_test(signals_and_events),
		cmocka_unit_test(no_stale_events),
		cmocka_unit_test(full),
		cmocka_unit_test(errors),
		cmocka_unit_test(out_of_memory),
	};

	return cmocka_run_group_tests_name("pollset", tests, NULL, NULL);
}
