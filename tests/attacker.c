/*
 * attacker - what a command could try to do to the daemon, for the tests.
 *
 *	attacker daemon PID UID GID PORT [HOW:PATH...] [everybody]
 *	attacker snoop PID PROGRAM FILE
 *	attacker tree COUNT
 *	attacker comets COUNT
 *	attacker ids
 *
 * "daemon" tries every way it knows to signal, trace, read, slow down or
 * replace the process PID, whose user is UID:GID and which listens on PORT,
 * and to get at files: HOW is "read", "write", "remove" or "create".  Each
 * attempt is one line, "NAME denied: REASON" or "NAME WORKED"; some say
 * "NAME tried", and it is the daemon that shows whether they worked.  With
 * "everybody" it also ends all processes of its user, on the whole machine.
 *
 * "snoop" tries to read the memory of each child of PID before it has become
 * a program other than PROGRAM, until SIGTERM, and then writes to FILE how
 * many children it met, how many it was kept from, and how many it read.
 *
 * "tree" starts COUNT processes that have left their parents and their
 * sessions and ignore TERM; "comets" COUNT of them that are a new process
 * every moment.  Both say "ready" when they are there, and go on.
 *
 * "ids" prints the real, effective and saved user id.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/perf_event.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* Younger than some C libraries. */
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif
#ifndef SYS_process_madvise
#define SYS_process_madvise 440
#endif

#define IOPRIO_WHO_PROCESS	1
#define IOPRIO_IDLE		(3 << 13)

static pid_t target;
static uid_t target_uid;
static gid_t target_gid;
static int failures;

/* Report an attempt: "result" is that of a call which sets errno. */
static void
report(const char *name, long result)
{
	if (result == -1)
		printf("%s denied: %s\n", name, strerrorname_np(errno));
	else {
		printf("%s WORKED\n", name);
		failures++;
	}
}

/* --- signals ------------------------------------------------------------- */

/* Let the kernel send the signal, when a pipe becomes readable. */
static void
signal_by_pipe(void)
{
	int fds[2];

	if (pipe(fds) == -1 || fcntl(fds[0], F_SETOWN, target) == -1 ||
	    fcntl(fds[0], F_SETSIG, SIGTERM) == -1 ||
	    fcntl(fds[0], F_SETFL, O_ASYNC) == -1 ||
	    write(fds[1], "x", 1) != 1) {
		report("signal by F_SETOWN", -1);
		return;
	}
	printf("signal by F_SETOWN tried\n");
}

static void
attack_by_signals(void)
{
	siginfo_t si;
	int fd = (int)syscall(SYS_pidfd_open, target, 0);

	memset(&si, 0, sizeof si);
	si.si_code = SI_QUEUE;
	report("kill CONT", kill(target, SIGCONT));
	report("kill TERM", kill(target, SIGTERM));
	report("kill STOP", kill(target, SIGSTOP));
	report("kill KILL", kill(target, SIGKILL));
	if (getpgid(target) > 1 && getpgid(target) != getpgrp())
		report("kill group", kill(-getpgid(target), SIGTERM));
	report("tgkill", syscall(SYS_tgkill, target, target, SIGTERM));
	report("rt_sigqueueinfo", syscall(SYS_rt_sigqueueinfo, target, SIGTERM,
	    &si));
	report("rt_tgsigqueueinfo", syscall(SYS_rt_tgsigqueueinfo, target,
	    target, SIGTERM, &si));
	report("pidfd_send_signal", syscall(SYS_pidfd_send_signal, fd, SIGTERM,
	    NULL, 0));
	signal_by_pipe();
}

/* --- memory and descriptors ---------------------------------------------- */

static long
open_of(const char *name, int flags)
{
	char path[64];

	(void)snprintf(path, sizeof path, "/proc/%ld/%s", (long)target, name);
	return open(path, flags | O_CLOEXEC);
}

static long
read_link_of(const char *name)
{
	char path[64], text[256];

	(void)snprintf(path, sizeof path, "/proc/%ld/%s", (long)target, name);
	return readlink(path, text, sizeof text);
}

/* To open some of these files is allowed; it is reading them that is not. */
static long
read_of(const char *name)
{
	char text[64];
	long fd = open_of(name, O_RDONLY), n;

	if (fd == -1)
		return -1;
	n = read((int)fd, text, sizeof text);
	(void)close((int)fd);
	if (n == 0)
		errno = ENODATA;
	return n > 0 ? n : -1;
}

static long
write_of(const char *name, const char *text)
{
	long fd = open_of(name, O_WRONLY), n;

	if (fd == -1)
		return -1;
	n = write((int)fd, text, strlen(text));
	(void)close((int)fd);
	return n;
}

static void
attack_by_proc(void)
{
	static const char *const secrets[] = { "mem", "maps", "smaps",
	    "pagemap", "environ", "auxv", "syscall", "stack", "io", "timers",
	    "numa_maps" };
	static const char *const links[] = { "exe", "cwd", "root", "fd/0",
	    "fd/3", "ns/mnt", "ns/user" };
	static const char *const directories[] = { "fd", "fdinfo",
	    "map_files" };
	static const char *const knobs[][2] = { { "oom_score_adj", "1000" },
	    { "coredump_filter", "0xff" }, { "clear_refs", "1" },
	    { "timerslack_ns", "1000000000" }, { "autogroup", "19" },
	    { "comm", "other" }, { "uid_map", "0 0 1" },
	    { "setgroups", "deny" }, { "attr/current", "unconfined" } };
	char label[64];

	for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++) {
		(void)snprintf(label, sizeof label, "read %s", secrets[i]);
		report(label, read_of(secrets[i]));
	}
	for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
		(void)snprintf(label, sizeof label, "follow %s", links[i]);
		report(label, read_link_of(links[i]));
	}
	for (size_t i = 0; i < sizeof directories / sizeof *directories;
	    i++) {
		(void)snprintf(label, sizeof label, "list %s",
		    directories[i]);
		report(label, open_of(directories[i], O_RDONLY |
		    O_DIRECTORY));
	}
	for (size_t i = 0; i < sizeof knobs / sizeof *knobs; i++) {
		(void)snprintf(label, sizeof label, "write %s", knobs[i][0]);
		report(label, write_of(knobs[i][0], knobs[i][1]));
	}
}

static void
attack_by_tracing(void)
{
	char text[16];
	struct iovec mine = { text, sizeof text };
	struct iovec theirs = { (void *)(uintptr_t)0x10000, sizeof text };
	struct perf_event_attr perf;
	unsigned long nodes = 1;
	void *head;
	size_t size;
	int fd = (int)syscall(SYS_pidfd_open, target, 0);

	memset(&perf, 0, sizeof perf);
	perf.size = sizeof perf;
	perf.type = PERF_TYPE_SOFTWARE;
	perf.config = PERF_COUNT_SW_TASK_CLOCK;
	perf.exclude_kernel = 1;
	report("ptrace attach", ptrace(PTRACE_ATTACH, target, NULL, NULL));
	report("ptrace seize", ptrace(PTRACE_SEIZE, target, NULL, NULL));
	/* EFAULT would mean that it may, and that nothing is there. */
	if (process_vm_readv(target, &mine, 1, &theirs, 1, 0) == -1 &&
	    errno == EFAULT)
		report("process_vm_readv", 0);
	else
		report("process_vm_readv", -1);
	if (process_vm_writev(target, &mine, 1, &theirs, 1, 0) == -1 &&
	    errno == EFAULT)
		report("process_vm_writev", 0);
	else
		report("process_vm_writev", -1);
	report("pidfd_getfd", syscall(SYS_pidfd_getfd, fd, 0, 0));
	report("process_madvise", syscall(SYS_process_madvise, fd, &theirs, 1,
	    21 /* MADV_PAGEOUT */, 0));
	report("kcmp", syscall(SYS_kcmp, target, getpid(), 0, 0, 0));
	report("move_pages", syscall(SYS_move_pages, target, 0, NULL, NULL,
	    NULL, 0));
	report("migrate_pages", syscall(SYS_migrate_pages, target, 64, &nodes,
	    &nodes));
	report("get_robust_list", syscall(SYS_get_robust_list, target, &head,
	    &size));
	report("perf_event_open", syscall(SYS_perf_event_open, &perf, target,
	    -1, -1, 0));
}

/* --- scheduling and limits ----------------------------------------------- */

/* struct sched_attr of sched_setattr(2), its first version. */
struct attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

static void
attack_by_scheduling(void)
{
	struct sched_param parameter = { .sched_priority = 0 };
	struct attributes attributes = { .size = sizeof attributes,
	    .policy = SCHED_IDLE };
	struct rlimit limit = { 3, 3 };
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	report("setpriority", setpriority(PRIO_PROCESS, (id_t)target, 19));
	report("setpriority of its group", setpriority(PRIO_PGRP,
	    (id_t)getpgid(target), 19));
	report("setpriority of its user", setpriority(PRIO_USER, target_uid,
	    19));
	report("sched_setscheduler", sched_setscheduler(target, SCHED_IDLE,
	    &parameter));
	report("sched_setparam", sched_setparam(target, &parameter));
	report("sched_setattr", syscall(SYS_sched_setattr, target, &attributes,
	    0));
	report("sched_setaffinity", sched_setaffinity(target, sizeof cpus,
	    &cpus));
	report("ioprio_set", syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS,
	    target, IOPRIO_IDLE));
	report("prlimit", prlimit(target, RLIMIT_NOFILE, &limit, NULL));
	report("prlimit, reading", prlimit(target, RLIMIT_NOFILE, NULL,
	    &limit));
	report("setpgid", setpgid(target, 0));
}

/* --- rights -------------------------------------------------------------- */

static long
raise_capabilities(void)
{
	struct __user_cap_header_struct header = {
	    .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	memset(data, 0, sizeof data);
	data[0].effective = data[0].permitted = 1u << CAP_SETUID;
	return syscall(SYS_capset, &header, data);
}

static void
attack_by_rights(void)
{
	gid_t group = target_gid;
	int wanted = (int)target_uid, fd;

	report("setresuid to the daemon", setresuid(target_uid, target_uid,
	    target_uid));
	report("seteuid to the daemon", seteuid(target_uid));
	report("setreuid to the daemon", setreuid(target_uid, (uid_t)-1));
	report("setresgid to the daemon", setresgid(target_gid, target_gid,
	    target_gid));
	report("setgroups of the daemon", setgroups(1, &group));
	report("setresuid to root", setresuid(0, 0, 0));
	report("setuid to root", setuid(0));
	report("setgid to root", setgid(0));
	report("setgroups to none", setgroups(0, NULL));
	report("capset", raise_capabilities());
	report("chroot", chroot("/"));
	/* It returns the old id, and no error. */
	(void)syscall(SYS_setfsuid, wanted);
	errno = EPERM;
	report("setfsuid to the daemon", syscall(SYS_setfsuid, -1) == wanted ?
	    0 : -1);
	/* Namespaces cannot be entered without being opened. */
	fd = (int)open_of("ns/mnt", O_RDONLY);
	report("setns", fd == -1 ? -1 : setns(fd, 0));
}

/* --- the port, the service manager, files -------------------------------- */

static long
steal_port(unsigned port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	sin.sin_port = htons((uint16_t)port);
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
	if (bind(fd, (struct sockaddr *)&sin, sizeof sin) == -1)
		return -1;
	return listen(fd, 1);
}

static long
connect_to(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(sun.sun_path, path, strlen(path));
	return connect(fd, (struct sockaddr *)&sun, sizeof sun);
}

static void
attack_file(const char *how, const char *path)
{
	char label[512], name[512];

	(void)snprintf(label, sizeof label, "%s %s", how, path);
	(void)snprintf(name, sizeof name, "%s/attacker-%ld", path,
	    (long)getpid());
	if (strcmp(how, "read") == 0)
		report(label, open(path, O_RDONLY | O_CLOEXEC));
	else if (strcmp(how, "write") == 0)
		report(label, open(path, O_WRONLY | O_APPEND | O_CLOEXEC));
	else if (strcmp(how, "remove") == 0)
		report(label, unlink(path));
	else
		report(label, open(name, O_WRONLY | O_CREAT | O_CLOEXEC,
		    0600));
}

static int
attack_daemon(int argc, char **argv)
{
	if (argc < 4)
		return 2;
	target = (pid_t)strtol(argv[0], NULL, 10);
	target_uid = (uid_t)strtoul(argv[1], NULL, 10);
	target_gid = (gid_t)strtoul(argv[2], NULL, 10);
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	attack_by_signals();
	attack_by_proc();
	attack_by_tracing();
	attack_by_scheduling();
	attack_by_rights();
	report("its port", steal_port((unsigned)strtoul(argv[3], NULL, 10)));
	report("the service manager", connect_to("/run/systemd/private"));
	for (char **p = argv + 4; *p != NULL; p++) {
		char *path = strchr(*p, ':');

		if (path != NULL) {
			*path++ = '\0';
			attack_file(*p, path);
		} else if (strcmp(*p, "everybody") == 0) {
			(void)kill(-1, SIGTERM);
			printf("kill everybody tried\n");
		} else
			return 2;
	}
	return failures > 0;
}

/* --- children of the daemon, before they are anybody else ---------------- */

static volatile sig_atomic_t over;

static void
on_term(int sig)
{
	(void)sig;
	over = 1;
}

/* What was met. */
struct count {
	unsigned long met, denied, read;
};

static void
snoop_on(pid_t pid, const char *program, struct count *count)
{
	char path[64], exe[512], text[16];
	struct iovec mine = { text, sizeof text };
	struct iovec theirs = { (void *)(uintptr_t)0x10000, sizeof text };
	ssize_t n;

	(void)snprintf(path, sizeof path, "/proc/%ld/exe", (long)pid);
	/* Both ask the same question of the kernel: may this be traced? */
	n = readlink(path, exe, sizeof exe - 1);
	if (n == -1 && errno == EACCES)
		count->denied++;
	if (n > 0) {
		exe[n] = '\0';
		count->read += strcmp(exe, program) == 0;
		return;
	}
	if (process_vm_readv(pid, &mine, 1, &theirs, 1, 0) == -1 &&
	    errno != EFAULT)
		return;
	/* Allowed by now.  Was it, while it was still the daemon's image? */
	n = readlink(path, exe, sizeof exe - 1);
	if (n > 0) {
		exe[n] = '\0';
		count->read += strcmp(exe, program) == 0;
	}
}

static int
snoop(int argc, char **argv)
{
	struct count count = { 0, 0, 0 };
	char path[64], list[4096];
	struct sigaction sa;
	pid_t last = 0;
	ssize_t n;
	FILE *f;
	int fd;

	if (argc != 3)
		return 2;
	memset(&sa, 0, sizeof sa);
	sa.sa_handler = on_term;
	(void)sigaction(SIGTERM, &sa, NULL);
	(void)snprintf(path, sizeof path, "/proc/%s/task/%s/children",
	    argv[0], argv[0]);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return 3;
	while (!over) {
		char *p = list;

		n = pread(fd, list, sizeof list - 1, 0);
		list[n > 0 ? n : 0] = '\0';
		while (*p != '\0') {
			pid_t pid = (pid_t)strtol(p, &p, 10);

			p += *p == ' ';
			if (pid == getpid())
				continue;
			count.met += pid != last;
			last = pid;
			snoop_on(pid, argv[1], &count);
		}
	}
	if ((f = fopen(argv[2], "w")) == NULL)
		return 3;
	fprintf(f, "%lu %lu %lu\n", count.met, count.denied, count.read);
	return fclose(f) == 0 ? 0 : 3;
}

/* --- processes that do not want to end ----------------------------------- */

/* In a process of its own, without a parent, in a session of its own. */
static void
leave(void)
{
	(void)setsid();
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGINT, SIG_IGN);
}

static void __attribute__((noreturn))
rest(void)
{
	for (;;)
		(void)poll(NULL, 0, -1);
}

/* Every moment a new process, with a number that nobody has seen. */
static void __attribute__((noreturn))
fly(void)
{
	for (;;) {
		if (fork() > 0)
			_exit(0);
	}
}

/* "count" processes below processes that have ended. */
static int
scatter(long count, bool comets)
{
	int fds[2];
	char ready[256];
	long left = count;
	ssize_t n;

	if (pipe(fds) == -1)
		return 3;
	for (long i = 0; i < count; i++) {
		pid_t pid = fork();

		if (pid == -1)
			return 3;
		if (pid == 0) {
			leave();
			if (fork() != 0)
				_exit(0);
			leave();
			if (write(fds[1], "r", 1) != 1)
				_exit(1);
			(void)close(0);
			(void)close(1);
			(void)close(2);
			if (comets)
				fly();
			rest();
		}
		(void)waitpid(pid, NULL, 0);
	}
	while (left > 0) {
		n = read(fds[0], ready, sizeof ready);
		if (n <= 0)
			return 3;
		left -= n;
	}
	printf("ready\n");
	(void)fflush(stdout);
	leave();
	rest();
}

static int
print_ids(void)
{
	uid_t r, e, s;

	if (getresuid(&r, &e, &s) == -1)
		return 3;
	printf("%lu %lu %lu\n", (unsigned long)r, (unsigned long)e,
	    (unsigned long)s);
	return 0;
}

int
main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (strcmp(what, "daemon") == 0)
		return attack_daemon(argc - 2, argv + 2);
	if (strcmp(what, "snoop") == 0)
		return snoop(argc - 2, argv + 2);
	if (strcmp(what, "tree") == 0 && argc == 3)
		return scatter(strtol(argv[2], NULL, 10), false);
	if (strcmp(what, "comets") == 0 && argc == 3)
		return scatter(strtol(argv[2], NULL, 10), true);
	if (strcmp(what, "ids") == 0)
		return print_ids();
	fprintf(stderr, "usage: see the beginning of attacker.c\n");
	return 2;
}
