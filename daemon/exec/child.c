/* Start a command, and learn whether it started.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
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
 * fs.pipe-user-pages-soft may refuse.  A client that lets less be under way has
 * a terminal, and no use for what was written before Ctrl-C. */
#define PIPE_SIZE	(256 * 1024)

/* The first real-time signal of the kernel.  Those are never ours: main()
 * begins with all of them as they should be. */
#define SIGRTMIN_KERNEL	32

/* A process that has used up its processor time gets SIGXCPU, and KILL so many
 * seconds later. */
#define CPU_GRACE	5

/* The directory of our open files, proc(5). */
#define FD_DIRECTORY	"/proc/self/fd/"

/* What the child needs from its parent. */
struct start {
	const struct child_plan *plan;
	int fds[3];		/* What become 0, 1 and 2. */
	int report;
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

/* Tell the parent what happens; -1 if that cannot be written.  The pipe has
 * room for hundreds of these, so this neither blocks nor is cut. */
static int
child_tell(int report, enum child_stage stage, int error)
{
	struct child_failure f = { .stage = stage, .error = error };

	return write(report, &f, sizeof f) == sizeof f ? 0 : -1;
}

/* Tell the parent what failed, and end. */
static void __attribute__((noreturn))
child_give_up(int report, enum child_stage stage, int error)
{
	_exit(child_tell(report, stage, error) == -1 ? 126 : 127);
}

static void
reset_signals(void)
{
	struct sigaction sa = { .sa_handler = SIG_DFL };

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
set_limit(int resource, int64_t value, int64_t extra)
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
	if (set_limit(RLIMIT_AS, l->memory_limit, 0) == -1 ||
	    set_limit(RLIMIT_CPU, (l->cpu_limit + 999) / 1000,
	    CPU_GRACE) == -1 ||
	    set_limit(RLIMIT_NPROC, l->process_limit, 0) == -1)
		return -1;
	return set_limit(RLIMIT_NOFILE, l->open_files, 0);
}

/* The kernel's name of an open file, without links, as proc(5) has it; its
 * length, or -1 with errno set. */
static ssize_t
kernel_name(int fd, char name[PATH_MAX])
{
	char link[sizeof FD_DIRECTORY + 3 * sizeof fd] = FD_DIRECTORY;
	char digits[3 * sizeof fd];
	size_t n = sizeof digits, end = sizeof FD_DIRECTORY - 1;
	ssize_t length;

	do {
		digits[--n] = (char)('0' + fd % 10);
		fd /= 10;
	} while (fd > 0);
	memcpy(link + end, digits + n, sizeof digits - n);
	link[end + sizeof digits - n] = '\0';
	length = readlink(link, name, PATH_MAX);
	if (length < PATH_MAX)
		return length;
	errno = ENAMETOOLONG;
	return -1;
}

/* Is the open "fd" below the open directory "dir", or this itself?  1, 0, or -1
 * with errno set. */
static int
is_beneath(int dir, int fd)
{
	char top[PATH_MAX], name[PATH_MAX];
	ssize_t used = kernel_name(dir, top), length = kernel_name(fd, name);

	if (used == -1 || length == -1)
		return -1;
	/* What is on no file system has a name without "/". */
	if (top[0] != '/' || length < used ||
	    memcmp(name, top, (size_t)used) != 0)
		return 0;
	return used == 1 || length == used || name[used] == '/';
}

/*
 * Open "path" below "dir"; no link may lead out of it in the end.  openat2(2)
 * would refuse each link that leaves, but RestrictSUIDSGID= of systemd denies
 * it, as it does in our unit: systemd.exec(5).
 */
static int
open_beneath(int dir, const char *path, int flags)
{
	int fd = openat(dir, path, O_PATH | O_CLOEXEC | flags), error = EXDEV;

	if (fd == -1)
		return -1;
	switch (is_beneath(dir, fd)) {
	case 1:
		return fd;
	case -1:
		error = errno;
	}
	(void)close(fd);
	errno = error;
	return -1;
}

/* Is there nothing at the last part of "p", in the open directory "place"?  The
 * program must not create a file where a link leads. */
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
	/* A command that runs as the daemon's user can change it anyway. */
	return user == TRUST_NOBODY ? 0 : trust_ask(p->way, user, false, &t);
}

/* Check that "p" is below its directory, with all links followed, and pass its
 * descriptor on as "number" where the program must get it by that. */
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

/* A program that the user could change is not the one that a rule lists. */
static void
check_program(const struct child_plan *plan, uid_t user, int report)
{
	struct trust t;

	switch (trust_ask(plan->paths[0], user, true, &t)) {
	case 0:
		return;
	case 1:
		child_give_up(report, CHILD_STAGE_UNSAFE, EACCES);
	default:
		child_give_up(report, CHILD_STAGE_EXEC, errno);
	}
}

static void __attribute__((noreturn))
child_execute(const struct child_plan *plan, int report)
{
	enum child_stage stage = CHILD_STAGE_EXEC;
	int error = ENOENT;

	for (char *const *path = plan->paths; *path != NULL; path++) {
		/* What is not there is not worth a message. */
		bool there = access(*path, F_OK) == 0;

		if (there && child_tell(report, CHILD_STAGE_TRIAL,
		    (int)(path - plan->paths)) == -1)
			child_give_up(report, CHILD_STAGE_SETUP, errno);
		(void)execve(*path, plan->argv, plan->env);
		/* What exists and cannot be executed is the better answer. */
		if (errno != ENOENT && errno != ENOTDIR)
			error = errno;
		if (!is_absent(errno))
			break;
		if (errno == ENOENT && there)
			stage = CHILD_STAGE_INTERPRETER;
	}
	child_give_up(report, error == ENOENT ? stage : CHILD_STAGE_EXEC,
	    error);
}

static void __attribute__((noreturn))
report_directory(int report)
{
	char path[PATH_MAX];
	/* The call itself: getcwd(3) may allocate. */
	long n = syscall(SYS_getcwd, path, sizeof path);

	if (n <= 0)
		child_give_up(report, CHILD_STAGE_DIRECTORY, errno);
	/* "(unreachable)/..." is no path. */
	if (path[0] != '/')
		child_give_up(report, CHILD_STAGE_DIRECTORY, ENOENT);
	if (write(STDOUT_FILENO, path, (size_t)n - 1) != n - 1)
		child_give_up(report, CHILD_STAGE_DIRECTORY, EIO);
	_exit(0);
}

static void __attribute__((noreturn))
child_become(struct start *s)
{
	const struct child_plan *plan = s->plan;
	uid_t user = plan->account == NULL ? TRUST_NOBODY : plan->account->uid;
	sigset_t none;

	(void)sigemptyset(&none);
	reset_signals();
	if (setsid() == -1 || arrange(s) == -1)
		child_give_up(s->report, CHILD_STAGE_SETUP, errno);
	(void)umask(plan->umask);
	if (openfiles_restore() == -1 || set_limits(&plan->limits) == -1)
		child_give_up(s->report, CHILD_STAGE_SETUP, errno);
	if (privilege_enter(plan->account) == -1)
		child_give_up(s->report, CHILD_STAGE_USER, errno);
	if ((plan->directory[0] != '/' && chdir(plan->base) == -1) ||
	    chdir(plan->directory) == -1)
		child_give_up(s->report, CHILD_STAGE_DIRECTORY, errno);
	if (settle_paths(plan, user) == -1)
		child_give_up(s->report, CHILD_STAGE_PATH, errno);
	if (plan->checked)
		check_program(plan, user, s->report);
	if (sigprocmask(SIG_SETMASK, &none, NULL) == -1)
		child_give_up(s->report, CHILD_STAGE_SETUP, errno);
	if (privilege_become(plan->account, plan->limits.no_new_privs) == -1)
		child_give_up(s->report, CHILD_STAGE_USER, errno);
	if (plan->chdir)
		report_directory(s->report);
	child_execute(plan, s->report);
}

/* --- in the parent ------------------------------------------------------ */

/* The four pipes of a child; -1 where there is none. */
struct pipes {
	int in[2], out[2], err[2], report[2];
};

/*
 * The pipes are the daemon's, and the command has to be able to open its own
 * by a name such as /dev/stderr.  No other user can use such a name: it leads
 * through /proc/PID/fd of the command.
 */
static int
open_pipes(struct pipes *p, const struct child_plan *plan)
{
	if ((plan->wants_stdin && (fd_pipe(p->in, 1) == -1 ||
	    fchmod(p->in[0], 0666) == -1)) ||
	    fd_pipe(p->out, 0) == -1 || fchmod(p->out[1], 0666) == -1 ||
	    fd_pipe(p->err, 0) == -1 || fchmod(p->err[1], 0666) == -1 ||
	    fd_pipe(p->report, 0) == -1)
		return -1;
	if (plan->window >= PIPE_SIZE)
		(void)fcntl(p->out[0], F_SETPIPE_SZ, PIPE_SIZE);
	if (plan->wants_stdin)
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

/* Move our ends to "c". */
static void
keep_ours(struct child *c, struct pipes *p)
{
	c->in = p->in[1];
	c->out = p->out[0];
	c->err = p->err[0];
	c->report = p->report[0];
	p->in[1] = p->out[0] = p->err[0] = p->report[0] = -1;
}

int
child_start(struct child *c, const struct child_plan *plan, bool alone)
{
	struct pipes p = { { -1, -1 }, { -1, -1 }, { -1, -1 }, { -1, -1 } };
	struct start s = { .plan = plan };
	pid_t pid;

	*c = (struct child){ .in = -1, .out = -1, .err = -1, .report = -1,
	    .program = -1 };
	if (open_pipes(&p, plan) == -1)
		goto end;
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
		child_become(&s);
	if (pid != -1) {
		c->pid = pid;
		keep_ours(c, &p);
	}
end:
	close_pipes(&p);
	return c->pid == 0 ? -1 : 0;
}

int
child_begun(struct child *c, struct child_failure *f)
{
	ssize_t n;

	if (c->report == -1)
		return 1;
	for (;;) {
		n = read(c->report, f, sizeof *f);
		if (n == (ssize_t)sizeof *f && f->stage == CHILD_STAGE_TRIAL)
			c->program = f->error;
		else if (n != -1 || errno != EINTR)
			break;
	}
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
