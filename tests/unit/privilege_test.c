/*
 * Tests of daemon/exec/privilege.  What cannot be undone is done in a child,
 * whose checks end it with a message; most of it needs root.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/unit/messages.h"
#include "tests/unit/unit.h"

#include "daemon/exec/privilege.h"

/* Numbers that no user of a test machine has. */
static const struct account d = { .uid = 61873, .gid = 61874, .name = "d",
    .home = "/" };
static const struct account c = { .uid = 61875, .gid = 61876, .name = "c",
    .home = "/" };


/* In a child: go on, or end it. */
#define CHECK(x) \
	do { \
		if (!(x)) { \
			fprintf(stderr, "%s:%d: not so: %s: %s\n", __FILE__, \
			    __LINE__, #x, strerror(errno)); \
			_exit(1); \
		} \
	} while (0)

/* Run "part" in a child, and expect that it returns. */
static void
in_child(void (*part)(void))
{
	int status;
	pid_t pid = fork();

	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		part();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* Why what only root can do is not tested; NULL where it is. */
static const char *
lacks_root(void)
{
	return geteuid() == 0 ? NULL : "needs root, to give it up";
}

/* The same for a rule that waives no_new_privs. */
static const char *
lacks_setuid(void)
{
	if (geteuid() == 0 && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
		return "no_new_privs is set here already";
	return lacks_root();
}

/* The field "name" of /proc/self/status, without blanks before it. */
static const char *
status_of(const char *name)
{
	static char line[256];
	FILE *f = fopen("/proc/self/status", "r");
	size_t n = strlen(name);

	CHECK(f != NULL);
	while (fgets(line, sizeof line, f) != NULL) {
		if (strncmp(line, name, n) != 0 || line[n] != ':')
			continue;
		(void)fclose(f);
		line[strcspn(line, "\n")] = '\0';
		return line + n + 1 + strspn(line + n + 1, "\t ");
	}
	(void)fclose(f);
	return "";
}

static bool
is_zero(const char *hexadecimal)
{
	return *hexadecimal != '\0' &&
	    hexadecimal[strspn(hexadecimal, "0")] == '\0';
}

/* --- accounts ------------------------------------------------------------- */

static void
accounts(void **state)
{
	struct account a;

	(void)state;
	assert_int_equal(account_find("root", &a), 0);
	assert_int_equal(a.uid, 0);
	assert_int_equal(a.gid, 0);
	assert_string_equal(a.name, "root");
	assert_int_equal(a.home[0], '/');
	messages_expect_none();
	assert_int_equal(account_find("no-such-user", &a), -1);
	messages_expect("there is no user no-such-user; make it", "");
	assert_int_equal(account_self(&a), 0);
	assert_int_equal(a.uid, getuid());
	assert_string_not_equal(a.name, "");
}

/* A number without a name has a name all the same. */
static void
be_nameless(void)
{
	struct account a;
	char name[32];

	CHECK(setgid(d.gid) == 0 && setuid(d.uid) == 0);
	CHECK(account_self(&a) == 0);
	(void)snprintf(name, sizeof name, "%lu", (unsigned long)d.uid);
	CHECK(strcmp(a.name, name) == 0);
	CHECK(a.uid == d.uid && a.gid == d.gid);
	CHECK(strcmp(a.home, "/") == 0);
}

static void
nameless(void **state)
{
	(void)state;
	in_child(be_nameless);
}

/* --- dropping ------------------------------------------------------------- */

/* What would be no protection is not begun. */
static void
bad_accounts(void **state)
{
	struct account root = { .uid = 0, .gid = 0 }, a = d, b = c;

	(void)state;
	assert_int_equal(privilege_drop(&root, &c, false), -1);
	messages_expect("refusing to run: ", "neither of them root");
	assert_int_equal(privilege_drop(&d, &root, false), -1);
	messages_expect("refusing to run: ", "neither of them root");
	a.gid = 0;
	assert_int_equal(privilege_drop(&a, &c, false), -1);
	messages_expect("refusing to run: ", "neither of them root");
	assert_int_equal(privilege_drop(&d, &d, false), -1);
	messages_expect("refusing to run: ", "different users");
	b.gid = d.gid;
	assert_int_equal(privilege_drop(&d, &b, false), -1);
	messages_expect("refusing to run: ", "different groups");
	b = c;
	b.uid = d.uid;
	assert_int_equal(privilege_drop(&d, &b, false), -1);
	messages_expect("refusing to run: ", "different users");
}

static void
drop_without_root(void)
{
	if (geteuid() == 0)
		CHECK(setgid(d.gid) == 0 && setuid(d.uid) == 0);
	CHECK(privilege_drop(&d, &c, false) == -1);
	CHECK(strstr(messages, "cannot drop privileges") != NULL);
}

static void
without_root(void **state)
{
	(void)state;
	in_child(drop_without_root);
}

static void
be_confined(void)
{
	struct rlimit r;
	int subreaper = 0;

	CHECK(privilege_confine(false) == 0);
	CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	CHECK(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
	CHECK(prctl(PR_GET_CHILD_SUBREAPER, &subreaper) == 0 && subreaper);
	CHECK(getrlimit(RLIMIT_CORE, &r) == 0);
	CHECK(r.rlim_cur == 0 && r.rlim_max == 0);
}

static void
be_confined_for_setuid(void)
{
	CHECK(privilege_confine(true) == 0);
	CHECK(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
	/* It is inherited, and cannot be taken back. */
	if (strcmp(status_of("NoNewPrivs"), "0") == 0)
		CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0);
}

static void
confinement(void **state)
{
	(void)state;
	in_child(be_confined);
	in_child(be_confined_for_setuid);
}

static void
be_dropped(void)
{
	static const char *const sets[] = { "CapInh", "CapPrm", "CapEff",
	    "CapBnd", "CapAmb" };
	const gid_t groups[] = { 1, 2, 3 };
	char line[128];
	struct stat st;
	int fd;

	CHECK(setgroups(3, groups) == 0);
	CHECK(chown(".", d.uid, d.gid) == 0);
	CHECK(privilege_drop(&d, &c, false) == 0);
	(void)snprintf(line, sizeof line, "%d\t%d\t%d\t%d", (int)d.uid,
	    (int)c.uid, (int)d.uid, (int)d.uid);
	CHECK(strcmp(status_of("Uid"), line) == 0);
	(void)snprintf(line, sizeof line, "%d\t%d\t%d\t%d", (int)d.gid,
	    (int)c.gid, (int)d.gid, (int)d.gid);
	CHECK(strcmp(status_of("Gid"), line) == 0);
	CHECK(getgroups(0, NULL) == 0);
	for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
		CHECK(is_zero(status_of(sets[i])));
	CHECK(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
	CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	/* Files are opened, and made, as the daemon's user. */
	CHECK((fd = open("made", O_WRONLY | O_CREAT | O_EXCL, 0600)) != -1);
	CHECK(fstat(fd, &st) == 0);
	CHECK(st.st_uid == d.uid && st.st_gid == d.gid);
	/* There is no way back. */
	CHECK(setuid(0) == -1 && seteuid(0) == -1 && setgid(0) == -1);
	CHECK(setresuid(0, 0, 0) == -1 && setgroups(0, NULL) == -1);
	CHECK(open("/etc/shadow", O_RDONLY) == -1);
}

static void
be_dropped_for_setuid(void)
{
	CHECK(chown(".", d.uid, d.gid) == 0);
	CHECK(privilege_drop(&d, &c, true) == 0);
	CHECK(is_zero(status_of("CapEff")) && is_zero(status_of("CapPrm")));
	CHECK(!is_zero(status_of("CapBnd")));
	CHECK(setuid(0) == -1);
}

static void
dropping(void **state)
{
	(void)state;
	in_child(be_dropped);
	in_child(be_dropped_for_setuid);
}

/* --- the child of the daemon ---------------------------------------------- */

/* The process that a command must not reach. */
static pid_t above;

/* What looks at an effective user, on "pid"; how many worked. */
static int
reschedule(pid_t pid)
{
	struct sched_param p = { .sched_priority = 0 };
	cpu_set_t cpus;
	int worked = 0;

	CHECK(sched_getaffinity(0, sizeof cpus, &cpus) == 0);
	worked += setpriority(PRIO_PROCESS, (id_t)pid, 10) == 0;
	worked += sched_setparam(pid, &p) == 0;
	worked += sched_setscheduler(pid, SCHED_OTHER, &p) == 0;
	worked += sched_setaffinity(pid, sizeof cpus, &cpus) == 0;
	return worked;
}

/* In a child of the dropped process, by fork: it becomes a command. */
static void
be_command(bool filtered)
{
	char line[128];
	int signal_ = 0;

	CHECK(privilege_enter(&c) == 0);
	/* From here on files are the command user's business. */
	CHECK(open("private", O_RDONLY) == -1);
	CHECK(privilege_become(&c, filtered) == 0);
	(void)snprintf(line, sizeof line, "%d\t%d\t%d\t%d", (int)c.uid,
	    (int)c.uid, (int)c.uid, (int)c.uid);
	CHECK(strcmp(status_of("Uid"), line) == 0);
	(void)snprintf(line, sizeof line, "%d\t%d\t%d\t%d", (int)c.gid,
	    (int)c.gid, (int)c.gid, (int)c.gid);
	CHECK(strcmp(status_of("Gid"), line) == 0);
	CHECK(prctl(PR_GET_PDEATHSIG, &signal_) == 0 && signal_ == SIGKILL);
	CHECK(setresuid(d.uid, d.uid, d.uid) == -1 && setuid(0) == -1);
	CHECK(setresgid(d.gid, d.gid, d.gid) == -1);
	CHECK(open("private", O_RDONLY) == -1);
	CHECK(kill(above, SIGTERM) == -1 && errno == EPERM);
	CHECK(kill(above, 0) == -1);
	CHECK(ptrace(PTRACE_ATTACH, above, NULL, NULL) == -1);
	CHECK(strcmp(status_of("NoNewPrivs"), filtered ? "1" : "0") == 0);
	CHECK(strcmp(status_of("Seccomp"), filtered ? "2" : "0") == 0);
	/* On itself all of this is allowed; on others, where it is filtered,
	 * nothing is, whoever they are. */
	CHECK(reschedule(0) == 4);
	if (filtered) {
		CHECK(reschedule(above) == 0 && errno == EPERM);
		CHECK(reschedule(getpid()) == 0 && errno == EPERM);
		CHECK(setpriority(PRIO_USER, c.uid, 10) == -1);
		CHECK(setpriority(PRIO_USER, 0, 11) == 0);
	}
}

/* Drop, fork, and be a command in the child. */
static void
lend(bool allow_setuid, bool filtered)
{
	int fd, status, nice;
	pid_t pid;

	CHECK(chown(".", d.uid, d.gid) == 0 && chmod(".", 0711) == 0);
	CHECK(privilege_drop(&d, &c, allow_setuid) == 0);
	CHECK((fd = open("private", O_WRONLY | O_CREAT, 0600)) != -1);
	above = getpid();
	/* What all commands are to be denied is denied to the daemon once. */
	CHECK(allow_setuid || strcmp(status_of("Seccomp"), "2") == 0);
	nice = getpriority(PRIO_PROCESS, 0);
	CHECK(setpriority(PRIO_PROCESS, 0, nice) == 0);
	CHECK((setpriority(PRIO_PROCESS, (id_t)above, nice) == 0) ==
	    allow_setuid);
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		be_command(filtered);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	/* What the child became has not come back to us. */
	CHECK(getuid() == d.uid && geteuid() == c.uid);
	CHECK(close(fd) == 0 && open("private", O_RDONLY) != -1);
}

static void
lend_filtered(void)
{
	lend(false, true);
}

static void
lend_filtered_all_the_same(void)
{
	lend(true, true);
}

static void
lend_open(void)
{
	lend(true, false);
}

static void
lending(void **state)
{
	(void)state;
	in_child(lend_filtered);
	in_child(lend_filtered_all_the_same);
}

/* Where the rule waives it, there is neither no_new_privs nor a filter. */
static void
lending_for_setuid(void **state)
{
	(void)state;
	in_child(lend_open);
}

/* The daemon can signal its commands, and end all of their user's. */
static void
end_all(void)
{
	int ready[2], status;
	char byte;
	pid_t pid, helper;

	CHECK(privilege_drop(&d, &c, false) == 0);
	CHECK(pipe(ready) == 0);
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		CHECK(privilege_enter(&c) == 0);
		CHECK(privilege_become(&c, true) == 0);
		/* One that has left everything behind. */
		if (fork() == 0) {
			(void)setsid();
			(void)signal(SIGTERM, SIG_IGN);
		}
		CHECK(write(ready[1], "x", 1) == 1);
		for (;;)
			pause();
	}
	CHECK(read(ready[0], &byte, 1) == 1 && read(ready[0], &byte, 1) == 1);
	CHECK(kill(pid, 0) == 0);
	helper = privilege_end_all(&c);
	CHECK(helper > 0);
	CHECK(waitpid(helper, &status, 0) == helper);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	/* Its child is ours now, for we are the subreaper, and ended too. */
	CHECK(waitpid(-1, &status, 0) > 0);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	CHECK(waitpid(-1, &status, 0) == -1 && errno == ECHILD);
}

static void
ending_all(void **state)
{
	(void)state;
	in_child(end_all);
}

/* Without a second user: no_new_privs and the death of the parent alone. */
static void
be_ordinary(void)
{
	uid_t before = getuid();
	int signal_ = 0;

	CHECK(privilege_confine(false) == 0);
	CHECK(privilege_enter(NULL) == 0 && privilege_become(NULL, true) == 0);
	CHECK(getuid() == before && geteuid() == before);
	CHECK(prctl(PR_GET_PDEATHSIG, &signal_) == 0 && signal_ == SIGKILL);
	CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
}

static void
ordinary(void **state)
{
	(void)state;
	in_child(be_ordinary);
}

/* Without the right to it nothing is lent. */
static void
enter_unlent(void)
{
	if (geteuid() == 0)
		CHECK(setgid(d.gid) == 0 && setuid(d.uid) == 0);
	CHECK(privilege_enter(&c) == -1 && errno == EPERM);
	CHECK(privilege_become(&c, true) == -1);
	CHECK(getuid() != c.uid);
}

static void
unlent(void **state)
{
	(void)state;
	in_child(enter_unlent);
}

int
main(void)
{
#define TEST(name)	cmocka_unit_test_setup_teardown(name, \
	messages_enter, messages_leave)
#define TEST_UNLESS(reason, name)	unit_test_unless(reason, name, \
	messages_enter, messages_leave)
	const struct CMUnitTest tests[] = {
		TEST(accounts), TEST_UNLESS(lacks_root(), nameless),
		TEST(bad_accounts), TEST(without_root), TEST(confinement),
		TEST_UNLESS(lacks_root(), dropping),
		TEST_UNLESS(lacks_root(), lending),
		TEST_UNLESS(lacks_setuid(), lending_for_setuid),
		TEST_UNLESS(lacks_root(), ending_all),
		TEST(ordinary), TEST(unlent),
	};

	return cmocka_run_group_tests_name("privilege", tests, NULL, NULL);
}
