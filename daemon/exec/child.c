/* Start a command, and learn whether it started.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <linux/openat2.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "daemon/exec/child.h"
#include "daemon/exec/openfiles.h"
#include "daemon/exec/privilege.h"
#include "daemon/exec/stream.h"
#include "daemon/exec/exec-options.h"
#include "daemon/exec/trust.h"

/* A pipe's size.  A larger one means fewer wake-ups; it is a wish, which
 * fs.pipe-user-pages-soft may refuse. */
#define PIPE_SIZE	(256 * 1024)

/* The first real-time signal of the kernel.  Those are never ours: main()
 * begins with all of them as they should be. */
#define SIGRTMIN_KERNEL	32

/* A process that has used up its processor time gets SIGXCPU, and KILL so many
 * seconds later. */
#define CPU_GRACE	5

/* What the child needs from its parent. */
struct start {
	const struct child_plan *plan;
	int fds[3];		/* What become 0, 1 and 2. */
	int report;
	sigset_t none;		/* The empty mask. */
};

static int null_fd = -1;

/*
 * The two signals that libc keeps to itself may be ignored where we come from,
 * and its sigaction(3) does not touch them.  The kernel's structure begins
 * with the handler, and is all zero for the default.
 */
static int
reset_private_signals(void)
{
	unsigned long none[8] = { 0 };

	for (int sig = SIGRTMIN_KERNEL; sig < SIGRTMIN; sig++) {
		if (syscall(SYS_rt_sigaction, sig, none, NULL,
		    (size_t)_NSIG / 8) == -1)
			return -1;
	}
	return 0;
}

int
child_init(void)
{
	if (reset_private_signals() == -1) {
		log_errno("cannot reset the signals that commands inherit");
		return -1;
	}
	if (null_fd == -1)
		null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null_fd != -1)
		return 0;
	log_errno("cannot open /dev/null");
	return -1;
}

/* --- between fork and exec: system calls only --------------------------- */

/* Tell the parent what failed, and end. */
static void __attribute__((noreturn))
give_up(int report, enum child_stage stage, int error)
{
	struct child_failure f;

	memset(&f, 0, sizeof f);
	f.stage = stage;
	f.error = error;
	/* The pipe is empty, so this neither blocks nor is cut. */
	if (write(report, &f, sizeof f) == -1)
		_exit(126);
	_exit(127);
}

static void
reset_signals(void)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof sa);
	sa.sa_handler = SIG_DFL;
	/* sigaction(2) refuses the two that always are, and those that libc
	 * keeps to itself. */
	for (int sig = 1; sig < SIGRTMIN_KERNEL; sig++)
		(void)sigaction(sig, &sa, NULL);
}

/*
 * Make fds[] 0, 1 and 2 and "report" 3, all others closed.  Every source is
 * at least 3, since main() has 0 to 2 open, so no step overwrites one that
 * is still to come but 3, which is moved out of the way first.
 */
static int
arrange(struct start *s)
{
	int report = fcntl(s->report, F_DUPFD_CLOEXEC, 10);

	if (report == -1)
		return -1;
	s->report = report;
	for (int i = 0; i < 3; i++) {
		if (dup2(s->fds[i], i) == -1)
			return -1;
	}
	if (dup3(report, 3, O_CLOEXEC) == -1)
		return -1;
	s->report = 3;
	return (int)syscall(SYS_close_range, 4, UINT_MAX, 0);
}

/* Is it worth trying the next path?  As execvp(3) has it. */
static bool
is_absent(int error)
{
	return error == ENOENT || error == ENOTDIR || error == EACCES ||
	    error == ELOOP || error == ENAMETOOLONG || error == ESTALE;
}

/* Set one limit, or what the hard limit leaves of it; 0 is none. */
static int
limit(int resource, int64_t value, int64_t extra)
{
	struct rlimit r;

	if (value == 0)
		return 0;
	if (getrlimit((__rlimit_resource_t)resource, &r) == -1)
		return -1;
	if (r.rlim_max > (rlim_t)(value + extra))
		r.rlim_max = (rlim_t)(value + extra);
	r.rlim_cur = (rlim_t)value < r.rlim_max ? (rlim_t)value : r.rlim_max;
	return setrlimit((__rlimit_resource_t)resource, &r);
}

static int
set_limits(const struct limits *l)
{
	errno = 0;
	if (l->nice > 0 && nice((int)l->nice) == -1 && errno != 0)
		return -1;
	if (limit(RLIMIT_AS, l->memory_limit, 0) == -1 ||
	    limit(RLIMIT_CPU, (l->cpu_limit + 999) / 1000, CPU_GRACE) == -1 ||
	    limit(RLIMIT_NPROC, l->process_limit, 0) == -1)
		return -1;
	return limit(RLIMIT_NOFILE, l->open_files, 0);
}

/* Open "path" below "dir", never above it, by whatever links. */
static int
open_beneath(int dir, const char *path, unsigned long long flags)
{
	struct open_how how;

	memset(&how, 0, sizeof how);
	how.flags = O_PATH | O_CLOEXEC | flags;
	how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
	return (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
}

/* Is the last part of "p", in the open directory "place", not there at all?
 * What is made there is not to be made where a link leads. */
static bool
is_new(const struct child_path *p, int place)
{
	struct stat st;

	if (fstatat(place, p->last, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return errno == ENOENT;
	errno = ELOOP;
	return false;
}

/* Must the program get "p" by a descriptor?  1, 0, or -1 with errno set. */
static int
must_pin(const struct child_path *p, uid_t user)
{
	struct trust t;

	if (p->pin != CHILD_PIN_NEEDED)
		return p->pin == CHILD_PIN_ALWAYS;
	/* Who can do all that the daemon can is not to be kept from that. */
	return user == TRUST_NOBODY ? 0 : trust_ask(p->way, user, false, &t);
}

/*
 * Look whether "p" is below its directory, whatever links there are, and hand
 * over its descriptor as "number" where that has to be.
 */
static int
settle_path(const struct child_path *p, int number, uid_t user)
{
	int below = open(p->below, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int file, place, pin, fd;

	if (below == -1)
		return -1;
	file = open_beneath(below, p->relative, 0);
	if (file == -1 && errno != ENOENT)
		return -1;
	place = open_beneath(below, p->directory, O_DIRECTORY);
	if (place == -1 || (file == -1 && !is_new(p, place)) ||
	    (pin = must_pin(p, user)) == -1)
		return -1;
	if (pin == 1) {
		bool whole = p->pin == CHILD_PIN_ALWAYS && file != -1;

		fd = whole ? file : place;
		if (dup2(fd, number) == -1)
			return -1;
		*p->word = whole ? p->open_file : p->open_place;
	}
	(void)close(below);
	(void)close(place);
	return file == -1 ? 0 : close(file);
}

/* See to every path that has to be below a directory. */
static int
settle_paths(const struct child_plan *plan, uid_t user)
{
	for (size_t i = 0; i < plan->below_count; i++) {
		if (settle_path(&plan->below[i], CHILD_PATH_FD + (int)i,
		    user) == -1)
			return -1;
	}
	return 0;
}

/* What the user could change is no program that a rule has listed. */
static void
check_program(const struct child_plan *plan, uid_t user, int report)
{
	struct trust t;

	switch (trust_ask(plan->paths[0], user, true, &t)) {
	case 0:
		return;
	case 1:
		give_up(report, CHILD_STAGE_UNSAFE, EACCES);
	default:
		give_up(report, CHILD_STAGE_EXEC, errno);
	}
}

static void __attribute__((noreturn))
execute(const struct child_plan *plan, int report)
{
	enum child_stage stage = CHILD_STAGE_EXEC;
	int error = ENOENT;

	for (char *const *path = plan->paths; *path != NULL; path++) {
		(void)execve(*path, plan->argv, plan->env);
		/* What exists and cannot be executed is the better answer. */
		if (errno != ENOENT && errno != ENOTDIR)
			error = errno;
		if (!is_absent(errno))
			break;
		if (errno == ENOENT && access(*path, F_OK) == 0)
			stage = CHILD_STAGE_INTERPRETER;
	}
	give_up(report, error == ENOENT ? stage : CHILD_STAGE_EXEC, error);
}

static void __attribute__((noreturn))
report_directory(int report)
{
	char path[PATH_MAX];
	/* The call itself: getcwd(3) may allocate. */
	long n = syscall(SYS_getcwd, path, sizeof path);

	if (n <= 0)
		give_up(report, CHILD_STAGE_DIRECTORY, errno);
	/* "(unreachable)/..." is no path. */
	if (path[0] != '/')
		give_up(report, CHILD_STAGE_DIRECTORY, ENOENT);
	if (write(STDOUT_FILENO, path, (size_t)n - 1) != n - 1)
		give_up(report, CHILD_STAGE_DIRECTORY, EIO);
	_exit(0);
}

static void __attribute__((noreturn))
become(struct start *s)
{
	const struct child_plan *plan = s->plan;
	uid_t user = plan->account == NULL ? TRUST_NOBODY : plan->account->uid;

	reset_signals();
	if (setsid() == -1 || arrange(s) == -1)
		give_up(s->report, CHILD_STAGE_SETUP, errno);
	(void)umask(plan->umask);
	if (openfiles_restore() == -1 || set_limits(&plan->limits) == -1)
		give_up(s->report, CHILD_STAGE_SETUP, errno);
	if (privilege_enter(plan->account) == -1)
		give_up(s->report, CHILD_STAGE_USER, errno);
	if ((plan->directory[0] != '/' && chdir(plan->base) == -1) ||
	    chdir(plan->directory) == -1)
		give_up(s->report, CHILD_STAGE_DIRECTORY, errno);
	if (settle_paths(plan, user) == -1)
		give_up(s->report, CHILD_STAGE_PATH, errno);
	if (plan->checked)
		check_program(plan, user, s->report);
	if (sigprocmask(SIG_SETMASK, &s->none, NULL) == -1)
		give_up(s->report, CHILD_STAGE_SETUP, errno);
	if (privilege_become(plan->account, plan->limits.no_new_privs) == -1)
		give_up(s->report, CHILD_STAGE_USER, errno);
	if (plan->chdir)
		report_directory(s->report);
	execute(plan, s->report);
}

/* --- in the parent ------------------------------------------------------ */

/* The four pipes of a child; -1 where there is none. */
struct pipes {
	int in[2], out[2], err[2], report[2];
};

/*
 * The pipes are the daemon's, and the command has to be able to open its own
 * by a name such as /dev/stderr.  Nobody else gets at such a name: it leads
 * through /proc/PID/fd of the command.
 */
static int
open_pipes(struct pipes *p, bool wants_stdin)
{
	if ((wants_stdin && (fd_pipe(p->in, 1) == -1 ||
	    fchmod(p->in[0], 0666) == -1)) ||
	    fd_pipe(p->out, 0) == -1 || fchmod(p->out[1], 0666) == -1 ||
	    fd_pipe(p->err, 0) == -1 || fchmod(p->err[1], 0666) == -1 ||
	    fd_pipe(p->report, 0) == -1)
		return -1;
	(void)fcntl(p->out[0], F_SETPIPE_SZ, PIPE_SIZE);
	if (wants_stdin)
		(void)fcntl(p->in[1], F_SETPIPE_SZ, PIPE_SIZE);
	return 0;
}

static void
close_pipes(struct pipes *p)
{
	fd_close_pair(p->in);
	fd_close_pair(p->out);
	fd_close_pair(p->err);
	fd_close_pair(p->report);
}

/* Keep our ends in "c", and close the child's. */
static void
keep(struct child *c, struct pipes *p)
{
	c->in = p->in[1];
	c->out = p->out[0];
	c->err = p->err[0];
	c->report = p->report[0];
	fd_close(&p->in[0]);
	fd_close(&p->out[1]);
	fd_close(&p->err[1]);
	fd_close(&p->report[1]);
}

int
child_start(struct child *c, const struct child_plan *plan, bool alone)
{
	struct pipes p = { { -1, -1 }, { -1, -1 }, { -1, -1 }, { -1, -1 } };
	struct start s = { .plan = plan };
	pid_t pid;

	memset(c, 0, sizeof *c);
	c->in = c->out = c->err = c->report = -1;
	if (open_pipes(&p, plan->wants_stdin) == -1)
		goto fail;
	(void)sigemptyset(&s.none);
	s.fds[0] = plan->wants_stdin ? p.in[0] : null_fd;
	s.fds[1] = p.out[1];
	s.fds[2] = p.err[1];
	s.report = p.report[1];
	outputs_watch(plan->order, p.out[0], p.err[0]);
	c->started_us = clock_now_us();
	/*
	 * Signals are blocked here, as everywhere but in ppoll(2), so no
	 * handler of ours runs in the memory that vfork(2) shares.
	 */
	pid = alone ? vfork() : fork();
	if (pid == 0)
		become(&s);
	if (pid == -1)
		goto fail;
	c->pid = pid;
	keep(c, &p);
	return 0;

fail:
	close_pipes(&p);
	return -1;
}

int
child_begun(struct child *c, struct child_failure *f)
{
	ssize_t n;

	if (c->report == -1)
		return 1;
	do
		n = read(c->report, f, sizeof *f);
	while (n == -1 && errno == EINTR);
	if (n == -1 && errno == EAGAIN)
		return 0;
	if (n != 0 && n != (ssize_t)sizeof *f) {
		log_error("cannot learn whether a command has started");
		c->unknown = true;
	}
	fd_close(&c->report);
	/* Closed without a word: by exec, or by a kill before it, which the
	 * wait status will tell. */
	return n == (ssize_t)sizeof *f ? -1 : 1;
}

int
child_signal(const struct child *c, int sig)
{
	/* Before it has become the leader of its group it is alone. */
	if (kill(-c->pid, sig) == 0)
		return 0;
	return errno == ESRCH ? kill(c->pid, sig) : -1;
}

void
child_close(struct child *c)
{
	fd_close(&c->in);
	fd_close(&c->out);
	fd_close(&c->err);
	fd_close(&c->report);
}
