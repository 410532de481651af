/*
 * inject.c - calls that fail when told to, below a program that does not know.
 *
 * Preloaded by LD_PRELOAD, this stands between aisd and libc.  The file that
 * AIS_FAULT_CONTROL names is mapped, and what stands there says which call is
 * to fail next, and how; whoever has mapped it as well can change that at any
 * time, and sees how many calls there were.  tests/e2e/faults.py is that side.
 *
 * The children of the program share the mapping until they execute another
 * program, so that a fault can hit them as well.
 * SPDX-License-Identifier: ISC
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netdb.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The calls that can fail.  "memory" is every way to allocate, and "fork" is
 * vfork(2) as well. */
#define CALLS(X) \
	X(memory) X(read) X(pread) X(write) X(recv) X(send) X(open) \
	X(fopen) X(opendir) X(close) X(fcntl) X(ioctl) X(pipe2) \
	X(accept4) X(fork) \
	X(ppoll) X(wait4) X(waitid) X(kill) X(getrandom) X(fstat) X(stat) \
	X(fstatat) X(lseek) X(memfd_create) X(fdopen) X(setsockopt) \
	X(getsockname) X(shutdown) X(timerfd_settime) X(dup2) X(dup3) \
	X(setsid) X(chdir) X(sigprocmask) X(prctl) X(getrlimit) \
	X(setrlimit) X(execve) X(syscall) X(getpgid) X(socket) X(connect) \
	X(poll) X(getsockopt) X(sigaction) \
	X(setgroups) X(setresgid) X(setresuid) X(setfsgid) X(setfsuid) \
	X(getgroups) X(getresgid) X(getresuid) X(getpwnam) X(getpwuid) \
	X(getgrgid) X(bind) X(listen) X(getaddrinfo) X(getnameinfo) \
	X(getpeername) X(gethostname) X(access) X(lstat) X(readlink) \
	X(readdir) X(scandir) X(getcwd) X(fchmod) X(nice) X(waitpid) \
	X(epoll_create1) X(epoll_ctl) X(epoll_wait) X(timerfd_create) \
	X(clock_gettime) X(open_memstream) X(fprintf) X(fputs) X(fputc) \
	X(fwrite) X(fflush) X(fclose) X(fgets) \
	X(fread) X(getc) X(sendmsg)

enum call {
#define NAME(name) CALL_##name,
	CALLS(NAME)
#undef NAME
	CALL_COUNT
};

/* An error that is none: the call never returns. */
#define HANG	4095

/* What both sides see; faults.py has the same. */
struct control {
	int32_t armed;		/* A call, or -1. */
	int32_t error;		/* What errno will be; 0: it is only short. */
	int32_t most;		/* So many bytes at most are done then. */
	int32_t countdown;	/* 1: the next call. */
	int32_t times;		/* So many in a row; -1: for ever. */
	int32_t count;		/* Of the calls below. */
	int64_t clock;		/* Seconds to add to the time of day. */
	struct {
		char name[24];
		uint32_t seen;	/* Calls of it, */
		uint32_t done;	/* and how many of them were made to fail. */
	} calls[CALL_COUNT];
};

static struct control *control;

static void __attribute__((constructor))
begin(void)
{
	static const char *const names[] = {
#define NAME(name) #name,
		CALLS(NAME)
#undef NAME
	};
	const char *path = getenv("AIS_FAULT_CONTROL");
	int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
	void *p;

	if (fd == -1)
		return;
	p = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED,
	    fd, 0);
	(void)close(fd);
	if (p == MAP_FAILED)
		return;
	control = p;
	for (int i = 0; i < CALL_COUNT; i++)
		(void)snprintf(control->calls[i].name,
		    sizeof control->calls[i].name, "%s", names[i]);
	control->count = CALL_COUNT;
}

/* Is it this call's turn to fail? */
static int
is_due(enum call call)
{
	struct control *c = control;

	if (c == NULL)
		return 0;
	(void)__atomic_add_fetch(&c->calls[call].seen, 1, __ATOMIC_RELAXED);
	if (__atomic_load_n(&c->armed, __ATOMIC_ACQUIRE) != (int)call)
		return 0;
	if (c->countdown > 1) {
		c->countdown--;
		return 0;
	}
	if (c->times == 0)
		return 0;
	if (c->times > 0)
		c->times--;
	c->calls[call].done++;
	if (c->error == HANG)
		for (;;)
			(void)pause();
	return 1;
}

/* Does this call fail?  Then errno is set. */
static int
fails(enum call call)
{
	if (!is_due(call))
		return 0;
	errno = control->error;
	return 1;
}

/* The same for a call that moves bytes, which may also be cut short. */
static int
fails_or_cuts(enum call call, size_t *n)
{
	if (!is_due(call))
		return 0;
	if (control->error == 0) {
		if (*n > (size_t)control->most)
			*n = (size_t)control->most;
		return 0;
	}
	errno = control->error;
	return 1;
}

/* Declare "real" as libc's function of this name. */
#define REAL(result, name, ...) \
	static result (*real)(__VA_ARGS__); \
	if (real == NULL) \
		real = (result (*)(__VA_ARGS__))(uintptr_t)dlsym(RTLD_NEXT, \
		    #name)

/* --- memory ----------------------------------------------------------- */

void *
malloc(size_t size)
{
	REAL(void *, malloc, size_t);
	return fails(CALL_memory) ? NULL : real(size);
}

void *
calloc(size_t n, size_t size)
{
	REAL(void *, calloc, size_t, size_t);
	return fails(CALL_memory) ? NULL : real(n, size);
}

void *
realloc(void *p, size_t size)
{
	REAL(void *, realloc, void *, size_t);
	return fails(CALL_memory) ? NULL : real(p, size);
}

/* --- bytes ------------------------------------------------------------ */

ssize_t
read(int fd, void *p, size_t n)
{
	REAL(ssize_t, read, int, void *, size_t);
	return fails_or_cuts(CALL_read, &n) ? -1 : real(fd, p, n);
}

ssize_t
pread(int fd, void *p, size_t n, off_t at)
{
	REAL(ssize_t, pread, int, void *, size_t, off_t);
	return fails_or_cuts(CALL_pread, &n) ? -1 : real(fd, p, n, at);
}

ssize_t
write(int fd, const void *p, size_t n)
{
	REAL(ssize_t, write, int, const void *, size_t);
	return fails_or_cuts(CALL_write, &n) ? -1 : real(fd, p, n);
}

ssize_t
recv(int fd, void *p, size_t n, int flags)
{
	REAL(ssize_t, recv, int, void *, size_t, int);
	return fails_or_cuts(CALL_recv, &n) ? -1 : real(fd, p, n, flags);
}

ssize_t
send(int fd, const void *p, size_t n, int flags)
{
	REAL(ssize_t, send, int, const void *, size_t, int);
	return fails_or_cuts(CALL_send, &n) ? -1 : real(fd, p, n, flags);
}

ssize_t
getrandom(void *p, size_t n, unsigned flags)
{
	REAL(ssize_t, getrandom, void *, size_t, unsigned);
	return fails_or_cuts(CALL_getrandom, &n) ? -1 : real(p, n, flags);
}

/* --- calls whose arguments vary ---------------------------------------- */

int
open(const char *path, int flags, ...)
{
	REAL(int, open, const char *, int, ...);
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = (flags & O_CREAT) != 0 ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	return fails(CALL_open) ? -1 : real(path, flags, mode);
}

int
fcntl(int fd, int what, ...)
{
	REAL(int, fcntl, int, int, ...);
	va_list ap;
	long argument;

	va_start(ap, what);
	argument = va_arg(ap, long);
	va_end(ap);
	return fails(CALL_fcntl) ? -1 : real(fd, what, argument);
}

int
ioctl(int fd, unsigned long what, ...)
{
	REAL(int, ioctl, int, unsigned long, ...);
	va_list ap;
	void *argument;

	va_start(ap, what);
	argument = va_arg(ap, void *);
	va_end(ap);
	return fails(CALL_ioctl) ? -1 : real(fd, what, argument);
}

int
prctl(int what, ...)
{
	REAL(int, prctl, int, ...);
	unsigned long a[4];
	va_list ap;

	va_start(ap, what);
	for (int i = 0; i < 4; i++)
		a[i] = va_arg(ap, unsigned long);
	va_end(ap);
	return fails(CALL_prctl) ? -1 : real(what, a[0], a[1], a[2], a[3]);
}

long
syscall(long what, ...)
{
	REAL(long, syscall, long, ...);
	long a[6];
	va_list ap;

	va_start(ap, what);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	return fails(CALL_syscall) ? -1 :
	    real(what, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* --- processes -------------------------------------------------------- */

pid_t
fork(void)
{
	REAL(pid_t, fork, void);
	return fails(CALL_fork) ? -1 : real();
}

/* No function can stand before vfork(2), whose child may not return from the
 * one that has called it.  fork(2) does all that is promised of it. */
pid_t
vfork(void)
{
	return fork();
}

/* --- the others ------------------------------------------------------- */

#define INTERPOSE(result, failure, name, parameters, types, arguments) \
	result \
	name parameters \
	{ \
		static result (*real)types; \
		if (real == NULL) \
			real = (result (*)types)(uintptr_t)dlsym(RTLD_NEXT, \
			    #name); \
		return fails(CALL_##name) ? failure : real arguments; \
	}

INTERPOSE(FILE *, NULL, fopen, (const char *path, const char *mode),
    (const char *, const char *), (path, mode))
INTERPOSE(FILE *, NULL, fdopen, (int fd, const char *mode),
    (int, const char *), (fd, mode))
INTERPOSE(struct passwd *, NULL, getpwnam, (const char *name), (const char *),
    (name))
INTERPOSE(struct passwd *, NULL, getpwuid, (uid_t uid), (uid_t), (uid))
INTERPOSE(struct group *, NULL, getgrgid, (gid_t gid), (gid_t), (gid))
INTERPOSE(int, EAI_SYSTEM, getaddrinfo, (const char *node, const char *service,
    const struct addrinfo *hints, struct addrinfo **list),
    (const char *, const char *, const struct addrinfo *, struct addrinfo **),
    (node, service, hints, list))
INTERPOSE(DIR *, NULL, opendir, (const char *path), (const char *), (path))
INTERPOSE(int, -1, pipe2, (int fds[2], int flags), (int *, int), (fds, flags))
INTERPOSE(int, -1, accept4, (int fd, struct sockaddr *address,
    socklen_t *length, int flags), (int, struct sockaddr *, socklen_t *, int),
    (fd, address, length, flags))
INTERPOSE(int, -1, ppoll, (struct pollfd *fds, nfds_t n,
    const struct timespec *timeout, const sigset_t *mask), (struct pollfd *,
    nfds_t, const struct timespec *, const sigset_t *),
    (fds, n, timeout, mask))
INTERPOSE(pid_t, -1, wait4, (pid_t pid, int *status, int options,
    struct rusage *usage), (pid_t, int *, int, struct rusage *),
    (pid, status, options, usage))
INTERPOSE(int, -1, waitid, (idtype_t type, id_t id, siginfo_t *info,
    int options), (idtype_t, id_t, siginfo_t *, int),
    (type, id, info, options))
INTERPOSE(int, -1, kill, (pid_t pid, int sig), (pid_t, int), (pid, sig))
INTERPOSE(int, -1, fstat, (int fd, struct stat *st), (int, struct stat *),
    (fd, st))
INTERPOSE(int, -1, stat, (const char *path, struct stat *st),
    (const char *, struct stat *), (path, st))
INTERPOSE(int, -1, fstatat, (int fd, const char *path, struct stat *st,
    int flags), (int, const char *, struct stat *, int),
    (fd, path, st, flags))
INTERPOSE(off_t, -1, lseek, (int fd, off_t offset, int whence),
    (int, off_t, int), (fd, offset, whence))
INTERPOSE(int, -1, memfd_create, (const char *name, unsigned flags),
    (const char *, unsigned), (name, flags))
INTERPOSE(int, -1, setsockopt, (int fd, int level, int name,
    const void *value, socklen_t length),
    (int, int, int, const void *, socklen_t),
    (fd, level, name, value, length))
INTERPOSE(int, -1, getsockname, (int fd, struct sockaddr *address,
    socklen_t *length), (int, struct sockaddr *, socklen_t *),
    (fd, address, length))
INTERPOSE(int, -1, shutdown, (int fd, int how), (int, int), (fd, how))
INTERPOSE(int, -1, timerfd_settime, (int fd, int flags,
    const struct itimerspec *new, struct itimerspec *old),
    (int, int, const struct itimerspec *, struct itimerspec *),
    (fd, flags, new, old))
INTERPOSE(int, -1, dup2, (int from, int to), (int, int), (from, to))
INTERPOSE(int, -1, dup3, (int from, int to, int flags), (int, int, int),
    (from, to, flags))
INTERPOSE(pid_t, -1, setsid, (void), (void), ())
INTERPOSE(int, -1, chdir, (const char *path), (const char *), (path))
INTERPOSE(int, -1, sigprocmask, (int how, const sigset_t *set,
    sigset_t *old), (int, const sigset_t *, sigset_t *), (how, set, old))
INTERPOSE(int, -1, getrlimit, (__rlimit_resource_t resource,
    struct rlimit *limit), (__rlimit_resource_t, struct rlimit *),
    (resource, limit))
INTERPOSE(int, -1, setrlimit, (__rlimit_resource_t resource,
    const struct rlimit *limit), (__rlimit_resource_t,
    const struct rlimit *), (resource, limit))
INTERPOSE(int, -1, execve, (const char *path, char *const argv[],
    char *const env[]), (const char *, char *const *, char *const *),
    (path, argv, env))
INTERPOSE(pid_t, -1, getpgid, (pid_t pid), (pid_t), (pid))

INTERPOSE(int, -1, socket, (int domain, int type, int protocol),
    (int, int, int), (domain, type, protocol))
INTERPOSE(int, -1, connect, (int fd, const struct sockaddr *address,
    socklen_t length), (int, const struct sockaddr *, socklen_t),
    (fd, address, length))
INTERPOSE(ssize_t, -1, sendmsg, (int fd, const struct msghdr *message,
    int flags), (int, const struct msghdr *, int), (fd, message, flags))
INTERPOSE(int, -1, poll, (struct pollfd *fds, nfds_t n, int timeout),
    (struct pollfd *, nfds_t, int), (fds, n, timeout))
INTERPOSE(int, -1, getsockopt, (int fd, int level, int name, void *value,
    socklen_t *length), (int, int, int, void *, socklen_t *),
    (fd, level, name, value, length))
INTERPOSE(int, -1, sigaction, (int sig, const struct sigaction *sa,
    struct sigaction *old), (int, const struct sigaction *,
    struct sigaction *), (sig, sa, old))

/* --- users and names ----------------------------------------------------- */

INTERPOSE(int, -1, setgroups, (size_t n, const gid_t *groups),
    (size_t, const gid_t *), (n, groups))
INTERPOSE(int, -1, setresgid, (gid_t r, gid_t e, gid_t s),
    (gid_t, gid_t, gid_t), (r, e, s))
INTERPOSE(int, -1, setresuid, (uid_t r, uid_t e, uid_t s),
    (uid_t, uid_t, uid_t), (r, e, s))
INTERPOSE(int, -1, getgroups, (int n, gid_t *groups), (int, gid_t *),
    (n, groups))
INTERPOSE(int, -1, getresgid, (gid_t *r, gid_t *e, gid_t *s),
    (gid_t *, gid_t *, gid_t *), (r, e, s))
INTERPOSE(int, -1, getresuid, (uid_t *r, uid_t *e, uid_t *s),
    (uid_t *, uid_t *, uid_t *), (r, e, s))
INTERPOSE(int, EAI_SYSTEM, getnameinfo, (const struct sockaddr *address,
    socklen_t length, char *host, socklen_t host_size, char *service,
    socklen_t service_size, int flags), (const struct sockaddr *, socklen_t,
    char *, socklen_t, char *, socklen_t, int),
    (address, length, host, host_size, service, service_size, flags))
INTERPOSE(int, -1, gethostname, (char *name, size_t size), (char *, size_t),
    (name, size))

/* These two return the id that was, and do nothing where they fail. */
int
setfsuid(uid_t id)
{
	REAL(int, setfsuid, uid_t);
	return real(fails(CALL_setfsuid) ? (uid_t)-1 : id);
}

int
setfsgid(gid_t id)
{
	REAL(int, setfsgid, gid_t);
	return real(fails(CALL_setfsgid) ? (gid_t)-1 : id);
}

/* --- sockets, files and the rest ----------------------------------------- */

INTERPOSE(int, -1, bind, (int fd, const struct sockaddr *address,
    socklen_t length), (int, const struct sockaddr *, socklen_t),
    (fd, address, length))
INTERPOSE(int, -1, listen, (int fd, int backlog), (int, int), (fd, backlog))
INTERPOSE(int, -1, getpeername, (int fd, struct sockaddr *address,
    socklen_t *length), (int, struct sockaddr *, socklen_t *),
    (fd, address, length))
INTERPOSE(int, -1, access, (const char *path, int how), (const char *, int),
    (path, how))
INTERPOSE(int, -1, lstat, (const char *path, struct stat *st),
    (const char *, struct stat *), (path, st))
INTERPOSE(ssize_t, -1, readlink, (const char *path, char *out, size_t size),
    (const char *, char *, size_t), (path, out, size))
INTERPOSE(struct dirent *, NULL, readdir, (DIR *d), (DIR *), (d))
INTERPOSE(int, -1, scandir, (const char *path, struct dirent ***names,
    int (*filter)(const struct dirent *),
    int (*compare)(const struct dirent **, const struct dirent **)),
    (const char *, struct dirent ***, int (*)(const struct dirent *),
    int (*)(const struct dirent **, const struct dirent **)),
    (path, names, filter, compare))
INTERPOSE(char *, NULL, getcwd, (char *out, size_t size), (char *, size_t),
    (out, size))
INTERPOSE(int, -1, fchmod, (int fd, mode_t mode), (int, mode_t), (fd, mode))
INTERPOSE(int, -1, nice, (int more), (int), (more))
INTERPOSE(pid_t, -1, waitpid, (pid_t pid, int *status, int options),
    (pid_t, int *, int), (pid, status, options))
INTERPOSE(int, -1, epoll_create1, (int flags), (int), (flags))
INTERPOSE(int, -1, epoll_ctl, (int fd, int what, int of,
    struct epoll_event *event), (int, int, int, struct epoll_event *),
    (fd, what, of, event))
INTERPOSE(int, -1, epoll_wait, (int fd, struct epoll_event *events, int most,
    int timeout), (int, struct epoll_event *, int, int),
    (fd, events, most, timeout))
INTERPOSE(int, -1, timerfd_create, (clockid_t clock, int flags),
    (clockid_t, int), (clock, flags))

/* --- standard input and output ------------------------------------------- */

/* A stream remembers that it has failed: glibc in this bit of its flags. */
static int
fails_on(enum call call, FILE *f)
{
	if (!fails(call))
		return 0;
	f->_flags |= 0x20;
	return 1;
}

int
fputs(const char *text, FILE *f)
{
	REAL(int, fputs, const char *, FILE *);
	return fails_on(CALL_fputs, f) ? EOF : real(text, f);
}

int
fputc(int c, FILE *f)
{
	REAL(int, fputc, int, FILE *);
	return fails_on(CALL_fputc, f) ? EOF : real(c, f);
}

size_t
fwrite(const void *p, size_t size, size_t n, FILE *f)
{
	REAL(size_t, fwrite, const void *, size_t, size_t, FILE *);
	return fails_on(CALL_fwrite, f) ? 0 : real(p, size, n, f);
}

int
fflush(FILE *f)
{
	REAL(int, fflush, FILE *);
	return f != NULL && fails_on(CALL_fflush, f) ? EOF : real(f);
}

size_t
fread(void *p, size_t size, size_t n, FILE *f)
{
	REAL(size_t, fread, void *, size_t, size_t, FILE *);
	return fails_on(CALL_fread, f) ? 0 : real(p, size, n, f);
}

int
getc(FILE *f)
{
	REAL(int, getc, FILE *);
	return fails_on(CALL_getc, f) ? EOF : real(f);
}

char *
fgets(char *out, int size, FILE *f)
{
	REAL(char *, fgets, char *, int, FILE *);
	return fails_on(CALL_fgets, f) ? NULL : real(out, size, f);
}

int
fprintf(FILE *f, const char *format, ...)
{
	va_list ap;
	int result;

	if (fails_on(CALL_fprintf, f))
		return -1;
	va_start(ap, format);
	result = vfprintf(f, format, ap);
	va_end(ap);
	return result;
}

/* What fprintf(3) is called with _FORTIFY_SOURCE. */
int __fprintf_chk(FILE *f, int flag, const char *format, ...);

int
__fprintf_chk(FILE *f, int flag, const char *format, ...)
{
	va_list ap;
	int result;

	(void)flag;
	if (fails_on(CALL_fprintf, f))
		return -1;
	va_start(ap, format);
	result = vfprintf(f, format, ap);
	va_end(ap);
	return result;
}

INTERPOSE(FILE *, NULL, open_memstream, (char **text, size_t *size),
    (char **, size_t *), (text, size))

/* The stream is gone whatever fclose(3) says. */
int
fclose(FILE *f)
{
	REAL(int, fclose, FILE *);
	int result = real(f);

	return fails(CALL_fclose) ? EOF : result;
}

/* Linux has freed the descriptor whatever close(2) says, and so do we. */
int
close(int fd)
{
	REAL(int, close, int);
	int result = real(fd);

	return fails(CALL_close) ? -1 : result;
}

/* --- the time of day ---------------------------------------------------- */

static int
read_clock(clockid_t clock, struct timespec *ts)
{
	REAL(int, clock_gettime, clockid_t, struct timespec *);
	int result = real(clock, ts);

	if (result == 0 && clock == CLOCK_REALTIME && control != NULL)
		ts->tv_sec += (time_t)control->clock;
	return result;
}

int
clock_gettime(clockid_t clock, struct timespec *ts)
{
	return fails(CALL_clock_gettime) ? -1 : read_clock(clock, ts);
}

/* It has no error. */
time_t
time(time_t *out)
{
	struct timespec ts = { 0, 0 };

	(void)read_clock(CLOCK_REALTIME, &ts);
	if (out != NULL)
		*out = ts.tv_sec;
	return ts.tv_sec;
}
