/*
 * path - a long, slow or lossy network between two places, for the tests.
 *
 *	path DELAY-MS [RATE-KBIT [LOSS-PERMILLE [QUEUE-KIB [LARGEST]]]]
 *
 * Makes two network namespaces that only see each other, 10.99.0.1 and
 * 10.99.0.2, and carries what the kernel sends from one to the other: each
 * packet takes DELAY-MS, those of one direction share RATE-KBIT (0: as much as
 * there is), LOSS-PERMILLE of a thousand are lost, and so are those that find
 * QUEUE-KIB before them (0: no bound), or are larger than LARGEST bytes, and
 * the sender is not told (0: none is).  Prints a process of each namespace, to
 * be entered by nsenter(1) with --user and --net, and goes on until its
 * standard input ends.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <linux/if_tun.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define DEVICE		"path0"
#define MTU		1500
/* Packets read in one go, so that the other direction has its turn. */
#define BURST		128
/* What one direction may hold where there is no other bound. */
#define HELD_MAX	(256 * 1024 * 1024)

struct packet {
	struct packet *next;
	int64_t due;		/* When it arrives, in nanoseconds. */
	size_t length;
	uint8_t bytes[MTU];
};

struct direction {
	int from, to;		/* TUN devices. */
	struct packet *first, **last;
	int64_t busy;		/* The line is free again. */
	size_t held;		/* Bytes on the way. */
};

/* What the command line says. */
static int64_t delay_ns, rate_kbit, loss, queue_kib, largest;

static void
fail(const char *what)
{
	fprintf(stderr, "path: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t
now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void
write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd == -1 || write(fd, text, strlen(text)) == -1)
		fail(path);
	(void)close(fd);
}

/* Be root of a user namespace, which may make networks. */
static void
become_root(void)
{
	char uids[32], gids[32];

	(void)snprintf(uids, sizeof uids, "0 %u 1", (unsigned)getuid());
	(void)snprintf(gids, sizeof gids, "0 %u 1", (unsigned)getgid());
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) == -1)
		fail("unshare");
	write_file("/proc/self/setgroups", "deny");
	write_file("/proc/self/uid_map", uids);
	write_file("/proc/self/gid_map", gids);
}

static void
set_up(int fd, struct ifreq *r, const char *name)
{
	(void)snprintf(r->ifr_name, sizeof r->ifr_name, "%s", name);
	if (ioctl(fd, SIOCGIFFLAGS, r) == -1)
		fail(name);
	r->ifr_flags |= IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, r) == -1)
		fail(name);
}

/* Make the device of the network that we are in, with this address. */
static int
open_device(const char *address)
{
	struct ifreq r = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	struct sockaddr_in in = { .sin_family = AF_INET };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)snprintf(r.ifr_name, sizeof r.ifr_name, DEVICE);
	if (fd == -1 || s == -1 || ioctl(fd, TUNSETIFF, &r) == -1)
		fail("/dev/net/tun");
	(void)inet_pton(AF_INET, address, &in.sin_addr);
	memcpy(&r.ifr_addr, &in, sizeof in);
	if (ioctl(s, SIOCSIFADDR, &r) == -1)
		fail("SIOCSIFADDR");
	(void)inet_pton(AF_INET, "255.255.255.0", &in.sin_addr);
	memcpy(&r.ifr_netmask, &in, sizeof in);
	if (ioctl(s, SIOCSIFNETMASK, &r) == -1)
		fail("SIOCSIFNETMASK");
	set_up(s, &r, DEVICE);
	set_up(s, &r, "lo");
	(void)close(s);
	return fd;
}

/* Put a packet on the line, or lose it. */
static void
carry(struct direction *d, struct packet *p)
{
	int64_t now = now_ns();
	size_t most = queue_kib > 0 ? (size_t)queue_kib * 1024 : HELD_MAX;

	if (d->busy < now)
		d->busy = now;
	/* What waits is what the line has not sent yet. */
	if ((rate_kbit > 0 && queue_kib > 0 && (d->busy - now) * rate_kbit /
	    8000000 > queue_kib * 1024) || d->held > most + HELD_MAX ||
	    drand48() * 1000 < (double)loss ||
	    (largest > 0 && p->length > (size_t)largest)) {
		free(p);
		return;
	}
	if (rate_kbit > 0)
		d->busy += (int64_t)p->length * 8000000 / rate_kbit;
	p->due = d->busy + delay_ns;
	p->next = NULL;
	*d->last = p;
	d->last = &p->next;
	d->held += p->length;
}

static void
take(struct direction *d)
{
	for (int i = 0; i < BURST; i++) {
		struct packet *p = malloc(sizeof *p);
		ssize_t n;

		if (p == NULL)
			fail("malloc");
		n = read(d->from, p->bytes, sizeof p->bytes);
		if (n <= 0) {
			free(p);
			return;
		}
		p->length = (size_t)n;
		carry(d, p);
	}
}

/* Deliver what has arrived; nanoseconds until more does, or -1. */
static int64_t
deliver(struct direction *d)
{
	struct packet *p;

	while ((p = d->first) != NULL) {
		int64_t left = p->due - now_ns();

		if (left > 0)
			return left;
		/* What a device does not take is lost. */
		if (write(d->to, p->bytes, p->length) == -1 &&
		    errno != EAGAIN && errno != EINVAL && errno != EIO)
			fail("write");
		d->held -= p->length;
		if ((d->first = p->next) == NULL)
			d->last = &d->first;
		free(p);
	}
	return -1;
}

static void
run(int near, int far)
{
	struct direction ways[2] = { { .from = near, .to = far },
	    { .from = far, .to = near } };
	struct pollfd fds[] = { { near, POLLIN, 0 }, { far, POLLIN, 0 },
	    { STDIN_FILENO, POLLIN, 0 } };
	char byte;

	ways[0].last = &ways[0].first;
	ways[1].last = &ways[1].first;
	for (;;) {
		int64_t a = deliver(&ways[0]), b = deliver(&ways[1]);
		int64_t left = b == -1 || (a != -1 && a < b) ? a : b;
		struct timespec t = { .tv_sec = left / 1000000000,
		    .tv_nsec = left % 1000000000 };

		if (ppoll(fds, 3, left == -1 ? NULL : &t, NULL) == -1)
			fail("ppoll");
		if (fds[0].revents != 0)
			take(&ways[0]);
		if (fds[1].revents != 0)
			take(&ways[1]);
		if (fds[2].revents != 0 && read(STDIN_FILENO, &byte, 1) <= 0)
			return;
	}
}

/* A process of the network that we are in. */
static pid_t
keep(void)
{
	pid_t pid = fork();

	if (pid == -1)
		fail("fork");
	if (pid > 0)
		return pid;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1)
		_exit(1);
	for (;;)
		(void)pause();
}

/* The argument "i", times "factor"; 0 where there is none. */
static int64_t
number(char *argv[], int argc, int i, double factor)
{
	char *end;
	double n;

	if (i >= argc)
		return 0;
	n = strtod(argv[i], &end);
	if (end == argv[i] || *end != '\0' || !(n >= 0 && n <= 100000000)) {
		fprintf(stderr, "path: not a number: %s\n", argv[i]);
		exit(2);
	}
	return (int64_t)(n * factor);
}

int
main(int argc, char *argv[])
{
	int near, far;
	pid_t keeper;

	if (argc < 2 || argc > 6) {
		fprintf(stderr, "usage: path DELAY-MS [RATE-KBIT "
		    "[LOSS-PERMILLE [QUEUE-KIB [LARGEST]]]]\n");
		return 2;
	}
	delay_ns = number(argv, argc, 1, 1e6);
	rate_kbit = number(argv, argc, 2, 1);
	loss = number(argv, argc, 3, 1);
	queue_kib = number(argv, argc, 4, 1);
	largest = number(argv, argc, 5, 1);
	srand48(1);
	become_root();
	near = open_device("10.99.0.1");
	keeper = keep();
	if (unshare(CLONE_NEWNET) == -1)
		fail("unshare");
	far = open_device("10.99.0.2");
	printf("%d %d\n", (int)keeper, (int)getpid());
	(void)fflush(stdout);
	run(near, far);
	return 0;
}
