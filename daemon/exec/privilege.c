/* Become the service user for good, and prove it.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <errno.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pwd.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/log.h"
#include "daemon/exec/privilege.h"

/* --- accounts ---------------------------------------------------------- */

static int
account_fill(const struct passwd *pw, struct account *a)
{
	a->uid = pw->pw_uid;
	a->gid = pw->pw_gid;
	if (strlen(pw->pw_name) >= sizeof a->name ||
	    strlen(pw->pw_dir) >= sizeof a->home) {
		log_error("the user %s has a name or a home that is too long",
		    pw->pw_name);
		return -1;
	}
	memcpy(a->name, pw->pw_name, strlen(pw->pw_name) + 1);
	memcpy(a->home, pw->pw_dir, strlen(pw->pw_dir) + 1);
	return 0;
}

int
account_find(const char *name, struct account *a)
{
	struct passwd *pw;

	errno = 0;
	if ((pw = getpwnam(name)) != NULL)
		return account_fill(pw, a);
	if (errno != 0)
		log_errno("cannot look up the user %s", name);
	else
		log_error("there is no user %s; make it (systemd-sysusers, "
		    "useradd --system) or name another one", name);
	return -1;
}

int
account_self(struct account *a)
{
	struct passwd *pw;

	errno = 0;
	if ((pw = getpwuid(getuid())) != NULL)
		return account_fill(pw, a);
	/* A number without a name is common in containers. */
	a->uid = getuid();
	a->gid = getgid();
	(void)snprintf(a->name, sizeof a->name, "%lu",
	    (unsigned long)a->uid);
	memcpy(a->home, "/", sizeof "/");
	return 0;
}

/* --- the filter of commands -------------------------------------------- */

/*
 * setpriority(2), sched_setparam(2), sched_setscheduler(2),
 * sched_setaffinity(2) and sched_setattr(2) look at the target's effective
 * uid, which is the command user's in the daemon as well.  So a command may
 * use them on itself only: the target must be 0.
 */
struct denied {
	unsigned nr;
	unsigned argument;	/* Which one names the target. */
};

#define DENIED_MAX	5

struct arch {
	unsigned audit;		/* AUDIT_ARCH_*; 0: the one that we run on. */
	unsigned mask;		/* Bits of a number that do not count. */
	struct denied calls[DENIED_MAX];
};

#define NATIVE	{ { SYS_setpriority, 1 }, { SYS_sched_setparam, 0 }, \
	{ SYS_sched_setscheduler, 0 }, { SYS_sched_setaffinity, 0 }, \
	{ SYS_sched_setattr, 0 } }

static const struct arch arches[] = {
#if defined(__x86_64__)
	/* x32 has the same numbers, with a bit of its own. */
	{ AUDIT_ARCH_X86_64, 0x40000000, NATIVE },
	{ AUDIT_ARCH_I386, 0, { { 97, 1 }, { 154, 0 }, { 156, 0 }, { 241, 0 },
	    { 351, 0 } } },
#elif defined(__aarch64__)
	{ AUDIT_ARCH_AARCH64, 0, NATIVE },
	{ AUDIT_ARCH_ARM, 0, { { 97, 1 }, { 154, 0 }, { 156, 0 }, { 241, 0 },
	    { 380, 0 } } },
#else
	{ 0, 0, NATIVE },
#endif
};

#define ARCHES		(sizeof arches / sizeof arches[0])
/* Of an architecture: test it, load and mask the number; five times: test the
 * number, load the target, test it, deny; and allow. */
#define FILTER_MAX	(1 + ARCHES * (3 + 5 * DENIED_MAX + 1) + 1)

static struct sock_filter filter[FILTER_MAX];
static struct sock_fprog program = { 0, filter };
/* The daemon has the filter itself, and so has every process that it forks. */
static bool filter_inherited;

static void
filter_put(unsigned code, unsigned yes, unsigned no, unsigned k)
{
	filter[program.len].code = (unsigned short)code;
	filter[program.len].jt = (unsigned char)yes;
	filter[program.len].jf = (unsigned char)no;
	filter[program.len].k = k;
	program.len++;
}

/* Where the low and the high half of an argument are in seccomp_data.  A pid
 * is an int: what the kernel does not look at must not matter here. */
static unsigned
argument_at(unsigned i)
{
	unsigned at = (unsigned)offsetof(struct seccomp_data, args) + 8 * i;

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	at += 4;
#endif
	return at;
}

static void
put_arch(const struct arch *a)
{
	const unsigned body = 2 + 4 * DENIED_MAX + 1;

	/* The architecture is in the accumulator here. */
	if (a->audit != 0)
		filter_put(BPF_JMP | BPF_JEQ | BPF_K, 0, body, a->audit);
	filter_put(BPF_LD | BPF_W | BPF_ABS, 0, 0,
	    offsetof(struct seccomp_data, nr));
	filter_put(BPF_ALU | BPF_AND | BPF_K, 0, 0, ~a->mask);
	for (size_t i = 0; i < DENIED_MAX; i++) {
		/* The target is loaded only for the call that is meant, and
		 * from there it is a yes or a no: the number is not needed
		 * again. */
		filter_put(BPF_JMP | BPF_JEQ | BPF_K, 0, 3, a->calls[i].nr);
		filter_put(BPF_LD | BPF_W | BPF_ABS, 0, 0,
		    argument_at(a->calls[i].argument));
		filter_put(BPF_JMP | BPF_JEQ | BPF_K,
		    (unsigned)(4 * (DENIED_MAX - 1 - i)) + 1, 0, 0);
		filter_put(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EPERM);
	}
	filter_put(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
}

static void
make_filter(void)
{
	program.len = 0;
	filter_put(BPF_LD | BPF_W | BPF_ABS, 0, 0,
	    offsetof(struct seccomp_data, arch));
	for (size_t i = 0; i < ARCHES; i++)
		put_arch(&arches[i]);
	/* An architecture that this machine does not run. */
	filter_put(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | ENOSYS);
}

static int
set_filter(void)
{
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

/* --- dropping ---------------------------------------------------------- */

/* Say what could not be done, and fail. */
static int
drop_failed(const char *what)
{
	log_errno("cannot drop privileges: %s", what);
	return -1;
}

static int
drop_refused(const char *what)
{
	log_error("refusing to run: %s after privileges were dropped", what);
	return -1;
}

static int
empty_bounding_set(void)
{
	/* Until the kernel knows no more of them, EINVAL. */
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0;
	    cap++) {
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == -1)
			return -1;
	}
	return 0;
}

static int
set_ids(const struct account *d, const struct account *c)
{
	if (setgroups(0, NULL) == -1)
		return drop_failed("setgroups");
	if (setresgid(d->gid, c->gid, d->gid) == -1)
		return drop_failed("setresgid");
	if (setresuid(d->uid, c->uid, d->uid) == -1)
		return drop_failed("setresuid");
	/* These two have no error to return; they are read back below. */
	(void)setfsgid(d->gid);
	(void)setfsuid(d->uid);
	return 0;
}

static bool
has_capabilities(void)
{
	struct __user_cap_header_struct header = {
	    .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, data) == -1)
		return true;
	for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		if (data[i].effective != 0 || data[i].permitted != 0 ||
		    data[i].inheritable != 0)
			return true;
	}
	return false;
}

/* A process that was not root keeps them when its ids change. */
static int
drop_capabilities(void)
{
	struct __user_cap_header_struct header = {
	    .version = _LINUX_CAPABILITY_VERSION_3 };
	const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] =
	    { 0 };

	return syscall(SYS_capset, &header, none) == -1 ?
	    drop_failed("capset") : 0;
}

bool
privilege_can_drop(void)
{
	const unsigned needed = 1U << CAP_SETUID | 1U << CAP_SETGID |
	    1U << CAP_SETPCAP;
	struct __user_cap_header_struct header = {
	    .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	return geteuid() == 0 || (syscall(SYS_capget, &header, data) == 0 &&
	    (data[0].effective & needed) == needed);
}

static bool
has_bounding_set(void)
{
	int in;

	for (unsigned long cap = 0;
	    (in = prctl(PR_CAPBSET_READ, cap, 0, 0, 0)) >= 0; cap++) {
		if (in != 0)
			return true;
	}
	return false;
}

/* Read everything back, and try to become root again. */
static int
drop_prove(const struct account *d, const struct account *c, bool allow_setuid)
{
	uid_t r, e, s;
	gid_t rg, eg, sg;

	if (getresuid(&r, &e, &s) == -1 || r != d->uid || e != c->uid ||
	    s != d->uid)
		return drop_refused("the user ids are not as set");
	if (getresgid(&rg, &eg, &sg) == -1 || rg != d->gid || eg != c->gid ||
	    sg != d->gid)
		return drop_refused("the group ids are not as set");
	if (setfsuid((uid_t)-1) != (int)d->uid ||
	    setfsgid((gid_t)-1) != (int)d->gid)
		return drop_refused("the file system ids are not as set");
	if (getgroups(0, NULL) != 0)
		return drop_refused("supplementary groups are left");
	if (has_capabilities())
		return drop_refused("capabilities are left");
	if (!allow_setuid && has_bounding_set())
		return drop_refused("the bounding set is not empty");
	if (!allow_setuid && prctl(PR_GET_SECCOMP, 0, 0, 0, 0) !=
	    SECCOMP_MODE_FILTER)
		return drop_refused("there is no filter");
	if (setuid(0) != -1 || setgid(0) != -1 || seteuid(0) != -1)
		return drop_refused("root can be had again");
	/* The attempt has changed nothing. */
	if (getresuid(&r, &e, &s) == -1 || r != d->uid || e != c->uid ||
	    s != d->uid)
		return drop_refused("the user ids have moved");
	return 0;
}

int
privilege_confine(bool allow_setuid)
{
	struct rlimit none = { 0, 0 };

	if (!allow_setuid && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return drop_failed("no_new_privs");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1)
		return drop_failed("dumpable");
	if (setrlimit(RLIMIT_CORE, &none) == -1)
		return drop_failed("the core limit");
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == -1)
		return drop_failed("subreaper");
	make_filter();
	if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
		return drop_refused("the process can be traced");
	if (!allow_setuid && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return drop_refused("no_new_privs is not set");
	return 0;
}

int
privilege_drop(const struct account *d, const struct account *c,
    bool allow_setuid)
{
	if (d->uid == 0 || c->uid == 0 || d->gid == 0 || c->gid == 0) {
		log_error("refusing to run: \"user\" and \"command_user\" must "
		    "be ordinary users, neither of them root");
		return -1;
	}
	if (d->uid == c->uid || d->gid == c->gid) {
		log_error("refusing to run: \"user\" and \"command_user\" must "
		    "be different users with different groups, or a command "
		    "could do to the daemon what it likes");
		return -1;
	}
	if (!allow_setuid && empty_bounding_set() == -1)
		return drop_failed("the bounding set");
	if (set_ids(d, c) == -1 || drop_capabilities() == -1 ||
	    privilege_confine(allow_setuid) == -1)
		return -1;
	/* It takes nothing from the daemon that it needs.  For the kernel to
	 * compile it once a command would be a sixth of a short one's time. */
	if (!allow_setuid && set_filter() == -1)
		return drop_failed("the filter");
	filter_inherited = !allow_setuid;
	return drop_prove(d, c, allow_setuid);
}

/* --- in the child ------------------------------------------------------ */

/*
 * With each new id the kernel sets "dumpable" to fs.suid_dumpable, and where
 * that is 1, for somebody who debugs, other processes of the command user
 * could read this memory, which is the daemon's until exec.
 */
static int
stay_private(void)
{
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

/* Open files as "a", whose ids are real, effective or saved ones of ours. */
static int
see_as(const struct account *a)
{
	/* Both return the old id, and cannot fail for such ids. */
	(void)setfsgid(a->gid);
	(void)setfsuid(a->uid);
	if (setfsuid((uid_t)-1) != (int)a->uid ||
	    setfsgid((gid_t)-1) != (int)a->gid) {
		errno = EPERM;
		return -1;
	}
	return stay_private();
}

int
privilege_enter(const struct account *c)
{
	return c == NULL ? 0 : see_as(c);
}

void
privilege_leave(const struct account *d)
{
	if (see_as(d) == 0)
		return;
	log_errno("cannot open files as the user %s again", d->name);
	abort();
}

int
privilege_become(const struct account *c, bool no_new_privs)
{
	if (no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return -1;
	/* The kernel clears PDEATHSIG when an effective or file system id
	 * changes.  Both are the command user's since privilege_enter(), so
	 * it outlives the setresuid() below, and nothing comes after that. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == -1)
		return -1;
	if (c == NULL)
		return 0;
	/* Without no_new_privs only root may set a filter. */
	if (no_new_privs && !filter_inherited && set_filter() == -1)
		return -1;
	if (setresgid(c->gid, c->gid, c->gid) == -1 ||
	    setresuid(c->uid, c->uid, c->uid) == -1)
		return -1;
	return stay_private();
}

pid_t
privilege_end_all(const struct account *command)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	/* As the command user alone: the daemon's processes are not met. */
	if (privilege_enter(command) == -1 ||
	    privilege_become(command, true) == -1)
		_exit(1);
	/* All but this one. */
	_exit(kill(-1, SIGKILL) == -1);
}
