/*
 * Tests of daemon/exec/trust.  What another user could change is asked in a
 * child that has become this user, which needs root; the kernel is the judge of
 * it.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/unit/unit.h"

#include "daemon/exec/trust.h"

/* A user that a test machine does not have. */
#define USER	61875

static char top[UNIT_PATH_MAX];
static struct trust found;

/* Each test has a private directory below none that every user may write to. */
static int
enter(void **state)
{
	(void)state;
	unit_enter_trusted(top);
	return 0;
}

static int
leave(void **state)
{
	(void)state;
	unit_leave(top);
	return 0;
}

/* Ask about "name" of the private directory, which begins as nobody's to
 * change; the answer, with errno behind a "-". */
static int
ask(const char *name, uid_t user, bool itself)
{
	char path[2 * UNIT_PATH_MAX];
	int answer;

	(void)snprintf(path, sizeof path, "%s/%s", top, name);
	answer = trust_ask(path, user, itself, &found);
	return answer == -1 ? -errno : answer;
}

/* In a child: be USER, or end with 100. */
static void
become_user(void)
{
	if (setgroups(0, NULL) == -1 ||
	    setresgid(USER, USER, USER) == -1 ||
	    setresuid(USER, USER, USER) == -1)
		_exit(100);
}

/* Reap the child, which has not ended with 100; its exit status. */
static int
status_of(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 100);
	return WEXITSTATUS(status);
}

/* As ask(), in a child with the ids of USER. */
static int
ask_as_user(const char *name, bool itself)
{
	int answer;
	pid_t pid = fork();

	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		become_user();
		answer = ask(name, USER, itself);
		_exit(answer < 0 ? 101 : answer);
	}
	return status_of(pid);
}

static void
what_everybody_can_change(void **state)
{
	(void)state;
	assert_int_equal(mkdir("d", 0755), 0);
	unit_write("d/f", "");
	assert_int_equal(chmod("d/f", 0755), 0);
	assert_int_equal(ask("d/f", TRUST_NOBODY, true), 0);
	assert_int_equal(ask("d//./../d/f", TRUST_NOBODY, true), 0);
	assert_int_equal(chmod("d/f", 0757), 0);
	assert_int_equal(ask("d/f", TRUST_NOBODY, true), 1);
	assert_int_equal(found.how, TRUST_BY_ALL);
	/* What is there is another question than what leads there. */
	assert_int_equal(ask("d/f", TRUST_NOBODY, false), 0);
	assert_int_equal(chmod("d/f", 0755), 0);
	assert_int_equal(chmod("d", 01777), 0);
	assert_int_equal(ask("d/f", TRUST_NOBODY, false), 1);
	assert_string_equal(strrchr(found.where, '/'), "/d");
	/* A link is looked at where it leads. */
	assert_int_equal(symlink("d/f", "l"), 0);
	assert_int_equal(ask("l", TRUST_NOBODY, true), 1);
	assert_int_equal(chmod("d", 0755), 0);
	assert_int_equal(ask("l", TRUST_NOBODY, true), 0);
	assert_int_equal(symlink("/tmp", "t"), 0);
	assert_int_equal(ask("t/..", TRUST_NOBODY, true), 1);
	/* A group is told, and changes no answer. */
	if (chown("d/f", (uid_t)-1, getegid() != 0 ? getegid() : 7) == 0) {
		assert_int_equal(chmod("d/f", 0775), 0);
		assert_int_equal(ask("l", TRUST_NOBODY, true), 0);
		assert_int_not_equal(found.group, 0);
	}
}

static void
what_cannot_be_looked_at(void **state)
{
	char longer[PATH_MAX + 2], text[256];

	(void)state;
	assert_int_equal(trust_ask("/no/such", TRUST_NOBODY, true, &found), -1);
	assert_int_equal(errno, ENOENT);
	assert_string_equal(trust_explain(&found, -1, ENOENT, "", text,
	    sizeof text), "/no cannot be looked at: No such file or directory");
	assert_int_equal(trust_ask("/etc/passwd/x", TRUST_NOBODY, true,
	    &found), -1);
	assert_int_equal(errno, ENOTDIR);
	memset(longer, 'x', sizeof longer);
	longer[0] = '/';
	longer[sizeof longer - 1] = '\0';
	assert_int_equal(trust_ask(longer, TRUST_NOBODY, true, &found), -1);
	assert_int_equal(errno, ENAMETOOLONG);
	assert_int_equal(trust_ask("/", TRUST_NOBODY, true, &found), 0);
}

static void
links_without_end(void **state)
{
	char path[UNIT_PATH_MAX + 8];

	(void)state;
	assert_int_equal(symlink("b", "a"), 0);
	assert_int_equal(symlink("a", "b"), 0);
	(void)snprintf(path, sizeof path, "%s/a", top);
	assert_int_equal(trust_ask(path, TRUST_NOBODY, true, &found), -1);
	assert_int_equal(errno, ELOOP);
}

/* Could USER really do it?  By trying: to open the file for writing, and to
 * make an entry in each directory. */
static bool
could(const char *const *directories, size_t n, const char *file)
{
	pid_t pid = fork();

	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		become_user();
		if (chmod(file, 0755) == 0 || open(file, O_WRONLY) != -1)
			_exit(1);
		for (size_t i = 0; i < n; i++) {
			char name[64];

			(void)snprintf(name, sizeof name, "%s/x",
			    directories[i]);
			if (chmod(directories[i], 0755) == 0 ||
			    mkdir(name, 0755) == 0)
				_exit(1);
		}
		_exit(0);
	}
	return status_of(pid) == 1;
}

/* At random: owners, groups and modes of a directory, one within, and a file;
 * who answers "no" must be right, and "yes" as well. */
static void
whatever_the_modes_are(void **state)
{
	static const char *const directories[] = { "r", "r/s" };
	static const mode_t modes[] = { 0755, 0775, 0757, 01777, 02775, 0715,
	    0555, 0111 };
	static const uid_t owners[] = { 0, 0, 0, USER, 7 };
	uint64_t seed = 3;
	int yes = 0;

	(void)state;
	assert_int_equal(mkdir("r", 0755) | mkdir("r/s", 0755), 0);
	unit_write("r/s/f", "");
	for (int i = 0; i < 200; i++) {
		const char *const all[] = { "r", "r/s", "r/s/f" };
		bool expected = false;
		int answer;

		for (size_t k = 0; k < 3; k++) {
			mode_t mode = modes[unit_below(&seed, 8)];

			assert_int_equal(chown(all[k],
			    owners[unit_below(&seed, 5)],
			    owners[unit_below(&seed, 5)]), 0);
			assert_int_equal(chmod(all[k], mode), 0);
			/* All, even where the user's group may not. */
			expected = expected || (mode & S_IWOTH) != 0;
		}
		answer = ask_as_user("r/s/f", true);
		/* 101: it could not look, which is no "no". */
		if (answer == 101)
			continue;
		yes += answer;
		expected = could(directories, 2, "r/s/f") || expected;
		if (answer != (int)expected)
			fail_msg("%d: the answer is %d", i, answer);
		(void)rmdir("r/x");
		(void)rmdir("r/s/x");
	}
	assert_in_range(yes, 20, 180);
}

/* Access lists, by the tool that sets them. */
static void
access_lists(void **state)
{
	(void)state;
	unit_write("f", "");
	assert_int_equal(system("setfacl -m u:61875:rwx f"), 0);
	assert_int_equal(ask_as_user("f", true), 1);
	assert_int_equal(system("setfacl -b f"), 0);
	assert_int_equal(ask_as_user("f", true), 0);
}

/* The answer about "/", of a child that is denied the call with "error". */
static int
ask_blind(unsigned error)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		    offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_faccessat2, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
	};
	struct sock_fprog program = { 4, filter };
	pid_t pid = fork();

	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 ||
		    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == -1)
			_exit(100);
		_exit(trust_ask("/", USER, true, &found) == -1 ? 1 : 0);
	}
	return status_of(pid);
}

/* A kernel without the call, or a filter that denies it, is no "no". */
static void
what_cannot_be_asked(void **state)
{
	(void)state;
	assert_int_equal(ask_blind(ENOSYS), 1);
	assert_int_equal(ask_blind(EPERM), 1);
}

/* Why what another user may do cannot be tried; or NULL. */
static const char *
lacks_root(void)
{
	return geteuid() == 0 ? unit_lacks_trusted() :
	    "needs root, to become other users";
}

static const char *
lacks_lists(void)
{
	const char *reason = lacks_root();
	char private[UNIT_PATH_MAX];

	if (reason != NULL)
		return reason;
	unit_enter_trusted(private);
	unit_write("f", "");
	if (system("setfacl -m u:61875:rwx f 2>/dev/null") != 0)
		reason = "needs setfacl and a file system with access lists";
	unit_leave(private);
	return reason;
}

#define TEST_UNLESS(reason, name)	unit_test_unless(reason, name, enter, \
	leave)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_UNLESS(unit_lacks_trusted(), what_everybody_can_change),
		cmocka_unit_test(what_cannot_be_looked_at),
		cmocka_unit_test(what_cannot_be_asked),
		TEST_UNLESS(unit_lacks_trusted(), links_without_end),
		TEST_UNLESS(lacks_root(), whatever_the_modes_are),
		TEST_UNLESS(lacks_lists(), access_lists),
	};

	return cmocka_run_group_tests_name("trust", tests, NULL, NULL);
}
