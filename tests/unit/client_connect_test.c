/*
 * Tests of client/core/connect: several addresses, some of which are silent,
 * and a lookup that does not end.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

#include "tests/unit/unit.h"

#include "common/base/clock.h"
#include "common/base/net.h"

#include "client/core/connect.h"

#define ANSWERS_MAX	64

/* What the lookup of "several" answers; all on the port asked for. */
static struct {
	struct addrinfo info[ANSWERS_MAX];
	struct sockaddr_storage address[ANSWERS_MAX];
	size_t count;
} answers;

static pthread_mutex_t hang = PTHREAD_MUTEX_INITIALIZER;
static bool thread_fails;

int __real_getaddrinfo(const char *, const char *, const struct addrinfo *,
    struct addrinfo **);
int __wrap_getaddrinfo(const char *, const char *, const struct addrinfo *,
    struct addrinfo **);
void __real_freeaddrinfo(struct addrinfo *);
void __wrap_freeaddrinfo(struct addrinfo *);
int __real_pthread_create(pthread_t *, const pthread_attr_t *,
    void *(*)(void *), void *);
int __wrap_pthread_create(pthread_t *, const pthread_attr_t *,
    void *(*)(void *), void *);

int
__wrap_getaddrinfo(const char *host, const char *port,
    const struct addrinfo *hints, struct addrinfo **list)
{
	if ((hints->ai_flags & AI_NUMERICHOST) != 0)
		return __real_getaddrinfo(host, port, hints, list);
	if (strcmp(host, "hangs") == 0) {
		assert_int_equal(pthread_mutex_lock(&hang), 0);
		assert_int_equal(pthread_mutex_unlock(&hang), 0);
		return EAI_AGAIN;
	}
	if (strcmp(host, "several") != 0)
		return __real_getaddrinfo(host, port, hints, list);
	*list = &answers.info[0];
	return 0;
}

void
__wrap_freeaddrinfo(struct addrinfo *list)
{
	if (list != &answers.info[0])
		__real_freeaddrinfo(list);
}

int
__wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
    void *(*run)(void *), void *argument)
{
	return thread_fails ? EAGAIN : __real_pthread_create(thread,
	    attributes, run, argument);
}

/* Add an address of the loopback network to the answers. */
static void
add(const char *host, int port)
{
	struct addrinfo *ai = &answers.info[answers.count];
	struct sockaddr_in *v4 = (void *)&answers.address[answers.count];
	struct sockaddr_in6 *v6 = (void *)v4;

	assert_true(answers.count < ANSWERS_MAX);
	memset(ai, 0, sizeof *ai);
	memset(v6, 0, sizeof *v6);
	ai->ai_socktype = SOCK_STREAM;
	ai->ai_addr = (void *)v4;
	if (strchr(host, ':') != NULL) {
		ai->ai_family = v6->sin6_family = AF_INET6;
		ai->ai_addrlen = sizeof *v6;
		v6->sin6_port = htons((uint16_t)port);
		assert_int_equal(inet_pton(AF_INET6, host, &v6->sin6_addr), 1);
	} else {
		ai->ai_family = v4->sin_family = AF_INET;
		ai->ai_addrlen = sizeof *v4;
		v4->sin_port = htons((uint16_t)port);
		assert_int_equal(inet_pton(AF_INET, host, &v4->sin_addr), 1);
	}
	if (answers.count > 0)
		answers.info[answers.count - 1].ai_next = ai;
	answers.count++;
}

/* A listener on 127.0.0.1. */
struct server {
	int fd;
	int port;
	int full[64];		/* Connections that are not accepted. */
	size_t count;
};

static void
server_open(struct server *s)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	socklen_t n = sizeof in;

	memset(s, 0, sizeof *s);
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(s->fd, (void *)&in, sizeof in), 0);
	assert_int_equal(listen(s->fd, 1), 0);
	assert_int_equal(getsockname(s->fd, (void *)&in, &n), 0);
	s->port = ntohs(in.sin_port);
}

/* A listener whose queue is full drops what comes, as a dead host does. */
static void
server_fill(struct server *s)
{
	char port[8], why[128];
	int fd;

	(void)snprintf(port, sizeof port, "%d", s->port);
	assert_int_equal(listen(s->fd, 0), 0);
	while ((fd = connect_host("127.0.0.1", port, AF_UNSPEC, clock_in(100),
	    why, sizeof why)) != -1) {
		assert_true(s->count < 64);
		s->full[s->count++] = fd;
	}
	assert_int_equal(errno, ETIMEDOUT);
}

static void
server_close(struct server *s)
{
	while (s->count > 0)
		close(s->full[--s->count]);
	close(s->fd);
}

static int
open_descriptors(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

/* The thread that has looked up a name may close its own a moment later. */
static void
no_more_descriptors(int before)
{
	int64_t deadline = clock_in(10000);

	while (open_descriptors() > before && !clock_past(deadline))
		(void)poll(NULL, 0, 1);
	assert_true(open_descriptors() <= before);
}

static void
connects_to(const struct server *s, int64_t least)
{
	char why[256] = "";
	struct net_address a;
	int64_t before = clock_now();
	int open = open_descriptors();
	int fd = connect_host("several", "1", AF_UNSPEC, clock_in(60000), why,
	    sizeof why);

	if (fd == -1)
		fail_msg("%s", why);
	assert_int_equal(net_peer(fd, &a), 0);
	assert_int_equal(ntohs(((struct sockaddr_in *)&a.storage)->sin_port),
	    s->port);
	close(fd);
	no_more_descriptors(open);
	/* A silent address did not take the time that there is. */
	assert_true(clock_now() - before >= least);
	assert_true(clock_now() - before < 30000);
}

static void
first_silent(void **state)
{
	struct server silent, good;

	(void)state;
	server_open(&silent);
	server_open(&good);
	server_fill(&silent);
	answers.count = 0;
	add("127.0.0.1", silent.port);
	add("127.0.0.1", silent.port);
	add("127.0.0.1", good.port);
	connects_to(&good, 2 * CONNECT_DELAY - 10);
	server_close(&silent);
	server_close(&good);
}

/* What is refused costs no wait. */
static void
first_refused(void **state)
{
	struct server gone, good;

	(void)state;
	server_open(&gone);
	server_open(&good);
	server_close(&gone);
	answers.count = 0;
	add("127.0.0.1", gone.port);
	add("127.0.0.1", good.port);
	connects_to(&good, 0);
	server_close(&good);
}

/* One of the second family comes after the first of the first. */
static void
families_in_turn(void **state)
{
	struct server silent, good;

	(void)state;
	server_open(&silent);
	server_open(&good);
	server_fill(&silent);
	answers.count = 0;
	for (int i = 0; i < 40; i++)
		add("127.0.0.1", silent.port);
	add("::ffff:127.0.0.1", good.port);
	connects_to(&good, CONNECT_DELAY - 10);
	server_close(&silent);
	server_close(&good);
}

static void
all_silent(void **state)
{
	struct server silent;
	char why[256] = "";
	int open;

	(void)state;
	server_open(&silent);
	server_fill(&silent);
	open = open_descriptors();
	answers.count = 0;
	for (int i = 0; i < 3; i++)
		add("127.0.0.1", silent.port);
	assert_int_equal(connect_host("several", "1", AF_UNSPEC, clock_in(600),
	    why, sizeof why), -1);
	assert_int_equal(errno, ETIMEDOUT);
	assert_non_null(strstr(why, "several"));
	no_more_descriptors(open);
	server_close(&silent);
}

static void
all_refused(void **state)
{
	struct server gone;
	char why[256] = "";

	(void)state;
	server_open(&gone);
	server_close(&gone);
	answers.count = 0;
	for (int i = 0; i < 40; i++)
		add("127.0.0.1", gone.port);
	assert_int_equal(connect_host("several", "1", AF_UNSPEC,
	    clock_in(60000), why, sizeof why), -1);
	assert_int_equal(errno, ECONNREFUSED);
}

static void
lookup_hangs(void **state)
{
	char why[256] = "";
	int64_t before = clock_now();

	(void)state;
	assert_int_equal(pthread_mutex_lock(&hang), 0);
	assert_int_equal(connect_host("hangs", "1", AF_UNSPEC, clock_in(200),
	    why, sizeof why), -1);
	assert_int_equal(errno, EBUSY);
	assert_string_equal(why, "cannot look up hangs in time");
	assert_true(clock_now() - before < 30000);
	assert_int_equal(pthread_mutex_unlock(&hang), 0);
	/* It answers after all. */
	assert_int_equal(connect_host("hangs", "1", AF_UNSPEC, CLOCK_NEVER,
	    why, sizeof why), -1);
	assert_int_equal(errno, EBUSY);
	assert_non_null(strstr(why, "cannot look up hangs: "));
}

static void
without_a_thread(void **state)
{
	struct server good;

	(void)state;
	thread_fails = true;
	server_open(&good);
	answers.count = 0;
	add("127.0.0.1", good.port);
	connects_to(&good, 0);
	server_close(&good);
	thread_fails = false;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_silent),
		cmocka_unit_test(first_refused),
		cmocka_unit_test(families_in_turn),
		cmocka_unit_test(all_silent),
		cmocka_unit_test(all_refused),
		cmocka_unit_test(lookup_hangs),
		cmocka_unit_test(without_a_thread),
	};

	return cmocka_run_group_tests_name("connect", tests, NULL, NULL);
}
