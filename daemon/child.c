#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "daemon/child.h"
#include "daemon/privilege.h"

/* A pipe's size.  A larger one means fewer wake-ups; it is a wish, which
 * fs.pipe-user-pages-soft may refuse. */
#define PIPE_SIZE	(256 * 1024)

/* The first real-time signal of the kernel.  Those are never ours: main()
 * begins with all of them as they should be. */
#define SIGRTMIN_KERNEL	32

/* The two programs that a child can turn into. */
enum purpose { EXECUTE, REPORT_DIRECTORY };

/* What the child needs from its parent. */
struct start {
	const struct child_plan *plan;
	enum purpose purpose;
	int fds[3];		/* What become 0, 1 and 2. */
	int report;
	sigset_t none;		/* The empty mask. */
};

static int null_fd = -1;

int
child_init(void)
{
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

static void __attribute__((noreturn))
execute(const struct child_plan *plan, int report)
{
	int error = ENOENT;

	for (char *const *path = plan->paths; *path != NULL; path++) {
		(void)execve(*path, plan->argv, plan->env);
		/* What exists and cannot be executed is the better answer. */
		if (errno != ENOENT && errno != ENOTDIR)
			error = errno;
		if (!is_absent(errno))
			break;
	}
	give_up(report, CHILD_STAGE_EXEC, error);
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

	reset_signals();
	if (setsid() == -1 || arrange(s) == -1)
		give_up(s->report, CHILD_STAGE_SETUP, errno);
	(void)umask(plan->umask);
	if (privilege_enter(plan->account) == -1)
		give_up(s->report, CHILD_STAGE_USER, errno);
	if ((plan->directory[0] != '/' && chdir(plan->base) == -1) ||
	    chdir(plan->directory) == -1)
		give_up(s->report, CHILD_STAGE_DIRECTORY, errno);
	if (sigprocmask(SIG_SETMASK, &s->none, NULL) == -1)
		give_up(s->report, CHILD_STAGE_SETUP, errno);
	if (privilege_become(plan->account, plan->no_new_privs) == -1)
		give_up(s->report, CHILD_STAGE_USER, errno);
	if (s->purpose == REPORT_DIRECTORY)
		report_directory(s->report);
	execute(plan, s->report);
}

/* --- in the parent ------------------------------------------------------ */

/* The four pipes of a child; -1 where there is none. */
struct pipes {
	int in[2], out[2], err[2], report[2];
};

static int
open_pipes(struct pipes *p, bool wants_stdin)
{
	if ((wants_stdin && fd_pipe(p->in, 1) == -1) ||
	    fd_pipe(p->out, 0) == -1 || fd_pipe(p->err, 0) == -1 ||
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

static int
start(struct child *c, const struct child_plan *plan, bool alone,
    enum purpose purpose)
{
	struct pipes p = { { -1, -1 }, { -1, -1 }, { -1, -1 }, { -1, -1 } };
	struct start s = { .plan = plan, .purpose = purpose };
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
child_start(struct child *c, const struct child_plan *plan, bool alone)
{
	return start(c, plan, alone, EXECUTE);
}

int
child_start_chdir(struct child *c, const struct child_plan *plan, bool alone)
{
	return start(c, plan, alone, REPORT_DIRECTORY);
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
