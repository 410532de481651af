/* Unit tests of common/base/net.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/un.h>

#include "tests/unit/unit.h"

#include "common/base/clock.h"
#include "common/base/failure.h"
#include "common/base/log.h"
#include "common/base/net.h"

#include "client/core/connect.h"

static char message[LOG_TEXT_MAX];

static int
take(void *context, const struct log_event *e)
{
	(void)context;
	(void)snprintf(message, sizeof message, "%s", e->text);
	return 0;
}

/* connect_host() to any family, within "ms". */
static int
dial(const char *host, const char *port, int64_t ms, char *why, size_t size)
{
	return connect_host(host, port, AF_UNSPEC, clock_in(ms), why, size);
}

/* Why an address could not be had. */
static struct failure reason;

static struct log_sink sink = { .name = "message", .take = take };

static void
split(void **state)
{
	static const struct {
		const char *text, *host, *port;	/* NULL: an error. */
	} examples[] = {
		{ "localhost", "localhost", "" },
		{ "localhost:22", "localhost", "22" },
		{ "192.0.2.1:4773", "192.0.2.1", "4773" },
		{ "::1", "::1", "" },
		{ "2001:db8::1", "2001:db8::1", "" },
		{ "[::1]", "::1", "" },
		{ "[::1]:0", "::1", "0" },
		{ "[host]:65535", "host", "65535" },
		{ ":22", "", "22" },
		{ "*:1", "*", "1" },
		{ "host:", NULL, NULL },
		{ "host:x", NULL, NULL },
		{ "host:65536", NULL, NULL },
		{ "host:99999", NULL, NULL },
		{ "host:100000", NULL, NULL },
		{ "host:-1", NULL, NULL },
		{ "host:+1", NULL, NULL },
		{ "host: 1", NULL, NULL },
		{ "host:1 ", NULL, NULL },
		{ "[::1", NULL, NULL },
		{ "[::1]x", NULL, NULL },
		{ "[::1]22", NULL, NULL },
		{ "[::1]:", NULL, NULL },
		{ "[::1]:x", NULL, NULL },
		{ ":", NULL, NULL },
	};
	char host[64], port[8];

	(void)state;
	for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
		int result = net_split(examples[i].text, host, sizeof host,
		    port, sizeof port);

		if (result != (examples[i].host == NULL ? -1 : 0))
			fail_msg("%s", examples[i].text);
		if (result == -1)
			continue;
		assert_string_equal(host, examples[i].host);
		assert_string_equal(port, examples[i].port);
	}
}

/* What is too long for its place is an error, and nothing is cut. */
static void
split_bounds(void **state)
{
	char host[8], port[8];

	(void)state;
	assert_int_equal(net_split("1234567:1", host, sizeof host, port,
	    sizeof port), 0);
	assert_string_equal(host, "1234567");
	assert_int_equal(net_split("12345678:1", host, sizeof host, port,
	    sizeof port), -1);
	assert_int_equal(net_split("[12345678]", host, sizeof host, port,
	    sizeof port), -1);
	assert_int_equal(net_split("a:123", host, sizeof host, port, 4), 0);
	assert_int_equal(net_split("a:1234", host, sizeof host, port, 4), -1);
}

/* What a certificate has to have for each; an "@" before an address. */
static const struct host {
	const char *text, *name;
} hosts[] = {
	{ "localhost", "localhost" },
	{ "WEB-1.Example.ORG", "web-1.example.org" },
	{ "srv.example.test.", "srv.example.test" }, { "a_b", "a_b" },
	{ "xn--bcher-kva.example", "xn--bcher-kva.example" },
	{ "1.2.3.4.5", "1.2.3.4.5" }, { "example.", "example" },
	{ "127.0.0.1", "@127.0.0.1" }, { "::1", "@::1" },
	{ "2001:DB8:0:0::1", "@2001:db8::1" },
	{ "2001:db8::ffff:192.0.2.1", "@2001:db8::ffff:c000:201" },
	{ "::ffff:192.0.2.1", "@::ffff:192.0.2.1" },
	/* Such a zone there is not, but this is not what is asked. */
	{ "fe80::1%none0", "@fe80::1" }, { "fe80::1%1", "@fe80::1" },
	/* As getaddrinfo(3) has it, and so what is connected to. */
	{ "127.1", "@127.0.0.1" }, { "0x7f.0.0.1", "@127.0.0.1" },
	{ "", NULL }, { ".", NULL }, { "..", NULL }, { ".example.org", NULL },
	{ "a..b", NULL }, { "a..", NULL }, { "*.example.org", NULL },
	{ "a b", NULL }, { "a/b", NULL }, { "[::1]", NULL }, { "::g", NULL },
	{ "127.0.0.1%1", NULL }, { "127.0.0.1 x", NULL },
	{ "b\xc3\xbc" "cher.example", NULL }, { "a\n", NULL }
};

static void
as_certificates_have_it(void **state)
{
	char address[INET6_ADDRSTRLEN];
	struct net_host h;

	(void)state;
	for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
		const char *text = hosts[i].text, *name = hosts[i].name;
		int result = net_host(text, &h);

		if (result != (name == NULL ? -1 : 0) || (name != NULL &&
		    strcmp(h.name, name + (*name == '@')) != 0))
			fail_msg("%s: %d, %s", text, result, h.name);
		if (name == NULL)
			continue;
		assert_int_equal(h.length > 0, *name == '@');
		if (h.length > 0)
			assert_string_equal(inet_ntop(h.length == 4 ? AF_INET :
			    AF_INET6, h.address, address, sizeof address),
			    name + 1);
	}
}

/* RFC 1035, 2.3.4: 63 bytes a label, 253 in all. */
static void
long_names(void **state)
{
	char text[300];
	struct net_host h;

	(void)state;
	memset(text, 'a', sizeof text);
	text[63] = '\0';
	assert_int_equal(net_host(text, &h), 0);
	text[63] = 'a';
	text[64] = '\0';
	assert_int_equal(net_host(text, &h), -1);
	memset(text, 'a', sizeof text);
	for (size_t i = 63; i < 254; i += 64)
		text[i] = '.';
	text[253] = '.';
	text[254] = '\0';
	assert_int_equal(net_host(text, &h), 0);
	assert_int_equal(strlen(h.name), 253);
	text[253] = 'a';
	assert_int_equal(net_host(text, &h), -1);
}

static void
check_text(int family, const char *host, uint16_t port, const char *with,
    const char *without)
{
	struct net_address a;
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	char out[NET_TEXT_MAX];

	memset(&a, 0, sizeof a);
	in.sin_port = in6.sin6_port = htons(port);
	if (family == AF_INET) {
		assert_int_equal(inet_pton(AF_INET, host, &in.sin_addr), 1);
		memcpy(&a.storage, &in, sizeof in);
		a.length = sizeof in;
	} else {
		assert_int_equal(inet_pton(AF_INET6, host, &in6.sin6_addr),
		    1);
		memcpy(&a.storage, &in6, sizeof in6);
		a.length = sizeof in6;
	}
	assert_ptr_equal(net_text(&a, true, out), out);
	assert_string_equal(out, with);
	assert_string_equal(net_text(&a, false, out), without);
}

static void
text(void **state)
{
	struct net_address local;
	char out[NET_TEXT_MAX];

	(void)state;
	check_text(AF_INET, "192.0.2.1", 4773, "192.0.2.1:4773", "192.0.2.1");
	check_text(AF_INET6, "2001:db8::1", 1, "[2001:db8::1]:1",
	    "2001:db8::1");
	check_text(AF_INET6, "::ffff:192.0.2.1", 22, "192.0.2.1:22",
	    "192.0.2.1");
	check_text(AF_INET6, "2001:db8:1111:2222:3333:4444:5555:6666", 65535,
	    "[2001:db8:1111:2222:3333:4444:5555:6666]:65535",
	    "2001:db8:1111:2222:3333:4444:5555:6666");
	/* Neither: something to read all the same. */
	memset(&local, 0, sizeof local);
	local.storage.ss_family = AF_UNIX;
	local.length = sizeof(sa_family_t);
	assert_true(strlen(net_text(&local, true, out)) > 0);
}

/* Close-on-exec, and non-blocking. */
static void
check_flags(int fd)
{
	assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
}

static int
option(int fd, int level, int name)
{
	int value = -1;
	socklen_t n = sizeof value;

	assert_int_equal(getsockopt(fd, level, name, &value, &n), 0);
	return value;
}

static void
check_connection(int fd)
{
	check_flags(fd);
	assert_true(option(fd, IPPROTO_TCP, TCP_NODELAY) != 0);
	assert_true(option(fd, SOL_SOCKET, SO_KEEPALIVE) != 0);
}

/* Listen on a free port of 127.0.0.1, which goes to "port". */
static int
listen_somewhere(char port[8])
{
	struct net_address a;
	char out[NET_TEXT_MAX], host[64];
	int fd;

	assert_int_equal(net_resolve("127.0.0.1", "0", &a, 1, &reason), 1);
	fd = net_listen(&a, &reason);
	assert_int_equal(net_local(fd, &a), 0);
	assert_int_equal(net_split(net_text(&a, true, out), host, sizeof host,
	    port, 8), 0);
	assert_string_equal(host, "127.0.0.1");
	assert_string_not_equal(port, "0");
	return fd;
}

static void
connection(void **state)
{
	struct net_address peer, other, local;
	char port[8], why[256] = "", one[NET_TEXT_MAX], two[NET_TEXT_MAX];
	int listener = listen_somewhere(port), client, server;
	struct pollfd p = { .fd = listener, .events = POLLIN };

	(void)state;
	check_flags(listener);
	errno = 0;
	assert_int_equal(net_accept(listener, &peer), -1);
	assert_int_equal(errno, EAGAIN);
	client = dial("127.0.0.1", port, 10000, why,
	    sizeof why);
	assert_int_not_equal(client, -1);
	check_connection(client);
	assert_int_equal(poll(&p, 1, 10000), 1);
	server = net_accept(listener, &peer);
	assert_int_not_equal(server, -1);
	check_connection(server);
	assert_int_equal(net_local(client, &local), 0);
	assert_string_equal(net_text(&peer, true, one), net_text(&local, true,
	    two));
	assert_int_equal(net_peer(server, &other), 0);
	assert_string_equal(net_text(&other, true, two), one);
	assert_int_equal(write(client, "x", 1), 1);
	close(client);
	close(server);
	close(listener);
	errno = 0;
	assert_int_equal(net_peer(-1, &other), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(net_local(-1, &other), -1);
}

/* By name, with any addresses: the one that answers is taken. */
static void
by_name(void **state)
{
	char port[8], why[256] = "";
	int listener = listen_somewhere(port), client;

	(void)state;
	client = dial("localhost", port, 10000, why,
	    sizeof why);
	if (client == -1)
		fail_msg("%s", why);
	check_connection(client);
	close(client);
	close(listener);
}

static void
nobody_there(void **state)
{
	char port[8], why[256] = "";

	(void)state;
	close(listen_somewhere(port));
	assert_int_equal(dial("127.0.0.1", port, 10000, why,
	    sizeof why), -1);
	assert_non_null(strstr(why, "127.0.0.1"));
	assert_non_null(strstr(why, port));
	assert_non_null(strstr(why, "refused"));

	why[0] = '\0';
	assert_int_equal(dial("no-such-host.invalid", port,
	    30000, why, sizeof why), -1);
	assert_non_null(strstr(why, "no-such-host.invalid"));
	/* However little room there is for it. */
	assert_int_equal(dial("127.0.0.1", port, 10000, why,
	    5), -1);
	assert_int_equal(strlen(why), 4);
}

/* A listener whose queue is full drops what comes, as a dead host does. */
static void
too_late(void **state)
{
	char port[8], why[256] = "";
	int listener = listen_somewhere(port), fds[64], n = 0, fd;
	int64_t before;

	(void)state;
	assert_int_equal(listen(listener, 0), 0);
	do {
		fd = dial("127.0.0.1", port, 100, why,
		    sizeof why);
		if (fd != -1)
			fds[n++] = fd;
	} while (fd != -1 && n < 64);
	assert_int_equal(fd, -1);
	before = clock_now();
	errno = 0;
	assert_int_equal(dial("127.0.0.1", port, 200, why,
	    sizeof why), -1);
	assert_int_equal(errno, ETIMEDOUT);
	assert_true(strlen(why) > 0);
	assert_true(clock_now() - before >= 190);
	assert_true(clock_now() - before < 30000);
	while (n > 0)
		close(fds[--n]);
	close(listener);
}

/* The one address of "host", on "port". */
static struct net_address
at(const char *host, const char *port)
{
	struct net_address a;

	assert_int_equal(net_resolve(host, port, &a, 1, &reason), 1);
	return a;
}

static void
listening(void **state)
{
	struct net_address all[8], again[8], a;
	char port[8], out[NET_TEXT_MAX];
	int one, fd, n;

	(void)state;
	/* Every address: IPv4 for certain, and IPv6 where there is any. */
	n = net_resolve("", "0", all, 8, &reason);
	assert_true(n == 1 || n == 2);
	assert_int_equal(net_resolve("*", "0", again, 8, &reason), n);
	for (int i = 0; i < n; i++) {
		assert_true(net_same(&all[i], &again[i]));
		fd = net_listen(&all[i], &reason);
		check_flags(fd);
		assert_int_equal(option(fd, SOL_SOCKET, SO_ACCEPTCONN), 1);
		assert_int_equal(net_local(fd, &a), 0);
		(void)net_text(&a, false, out);
		assert_true(strcmp(out, "0.0.0.0") == 0 ||
		    strcmp(out, "::") == 0);
		assert_int_equal(net_check(&all[i], true, &reason), 0);
		close(fd);
	}
	if (n == 2)
		assert_int_equal(net_resolve("", "0", all, 1, &reason), -1);
	assert_int_equal(net_resolve("127.0.0.1", "0", all, 0, &reason), -1);
	assert_non_null(strstr(reason.text, "more addresses"));
	assert_int_equal(net_resolve("no-such-host.invalid", "0", all, 8,
	    &reason), -1);
	assert_non_null(strstr(reason.text, "no-such-host.invalid"));

	/* Taken by another: a message, and no descriptor is left. */
	one = listen_somewhere(port);
	n = dup(0);
	close(n);
	a = at("127.0.0.1", port);
	assert_int_equal(net_listen(&a, &reason), -1);
	assert_non_null(strstr(reason.text, port));
	assert_non_null(strstr(reason.text, "in use"));
	assert_non_null(strstr(reason.hint, "ss -tlnp"));

	/* A check listens nowhere: it minds no other listener, and no other
	 * minds it. */
	assert_int_equal(net_check(&a, true, &reason), 0);
	for (int with_port = 0; with_port < 2; with_port++) {
		a = at("192.0.2.77", port);
		assert_int_equal(net_check(&a, with_port == 1, &reason), -1);
		assert_non_null(strstr(reason.text, "192.0.2.77 port "));
		assert_non_null(strstr(reason.text, port));
		assert_non_null(strstr(reason.hint, "does not have that"));
	}
	assert_int_equal(dup(0), n);
	close(n);
	close(one);
}

/* Which addresses are one, and which are part of another. */
static void
overlapping(void **state)
{
	struct net_address one = at("127.0.0.1", "9"), other;

	(void)state;
	other = at("127.1", "9");
	assert_true(net_same(&one, &other));
	assert_false(net_covers(&other, &one));
	other = at("127.0.0.1", "10");
	assert_false(net_same(&one, &other));
	other = at("0.0.0.0", "9");
	assert_false(net_same(&one, &other));
	assert_true(net_covers(&other, &one));
	assert_false(net_covers(&one, &other));
	other = at("0.0.0.0", "10");
	assert_false(net_covers(&other, &one));
	other = at("::", "9");
	assert_false(net_covers(&other, &one));
	one = at("::1", "9");
	assert_true(net_covers(&other, &one));
	/* Each of these gets a port of its own. */
	one = at("127.0.0.1", "0");
	other = at("0.0.0.0", "0");
	assert_false(net_covers(&other, &one));
}

/* A restart may bind at once, with old connections still in TIME_WAIT. */
static void
again_at_once(void **state)
{
	struct net_address a;
	char port[8], why[256];
	int listener = listen_somewhere(port), client, server;
	struct pollfd p = { .fd = listener, .events = POLLIN };

	(void)state;
	client = dial("127.0.0.1", port, 10000, why,
	    sizeof why);
	assert_int_not_equal(client, -1);
	assert_int_equal(poll(&p, 1, 10000), 1);
	server = net_accept(listener, &a);
	assert_int_not_equal(server, -1);
	/* The side that closes first is the one that waits. */
	close(server);
	close(client);
	close(listener);
	a = at("127.0.0.1", port);
	assert_int_not_equal(listener = net_listen(&a, &reason), -1);
	close(listener);
}

static void
adopting(void **state)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX,
	    .sun_path = "socket" };
	char folder[UNIT_PATH_MAX];
	struct net_address a;
	int pair[2], fd;

	(void)state;
	unit_enter(folder);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof un), 0);
	message[0] = '\0';
	assert_int_equal(net_adopt(fd, &a), -1);	/* It is neither. */
	assert_true(strlen(message) > 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(net_adopt(fd, &a), 1);
	check_flags(fd);
	close(fd);

	assert_int_equal(pipe(pair), 0);
	message[0] = '\0';
	assert_int_equal(net_adopt(pair[0], &a), -1);
	assert_true(strlen(message) > 0);
	close(pair[0]);
	close(pair[1]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	assert_int_equal(net_adopt(pair[0], &a), -1);
	close(pair[0]);
	close(pair[1]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(net_adopt(pair[0], &a), 0);
	check_flags(pair[0]);
	assert_int_equal(a.storage.ss_family, AF_UNIX);
	close(pair[0]);
	close(pair[1]);
	assert_int_equal(net_adopt(-1, &a), -1);
	unit_leave(folder);
}

static void
preparing(void **state)
{
	struct net_address a;
	char port[8], why[256];
	int listener = listen_somewhere(port), fd;

	(void)state;
	fd = dial("127.0.0.1", port, 10000, why, sizeof why);
	assert_int_not_equal(fd, -1);
	assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
	assert_int_equal(net_prepare(fd), 0);
	check_connection(fd);
	assert_int_equal(net_peer(fd, &a), 0);
	assert_int_equal(net_prepare(-1), -1);
	close(fd);
	close(listener);
}

static void
address_of(const char *text, struct net_address *a)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)&a->storage;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&a->storage;

	memset(a, 0, sizeof *a);
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1)
		a->storage.ss_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1)
		a->storage.ss_family = AF_INET6;
	else
		a->storage.ss_family = AF_UNIX;
}

static void
networks(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} examples[] = {
		{ "192.0.2.1", "192.0.2.1", true },
		{ "192.0.2.1", "192.0.2.2", false },
		{ "192.0.2.1", "::ffff:192.0.2.1", true },
		{ "::ffff:192.0.2.1", "::ffff:192.0.2.2", false },
		{ "2001:db8::1", "2001:db8::ffff:0:0:1", true },
		{ "2001:db8:0:1::1", "2001:db8:0:2::1", false },
		{ "::1", "192.0.2.1", false },
		{ "local", "local", true },
		{ "local", "192.0.2.1", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
		struct net_address a, b;
		struct net_network n, m;

		address_of(examples[i].a, &a);
		address_of(examples[i].b, &b);
		n = net_network(&a);
		m = net_network(&b);
		assert_int_equal(memcmp(&n, &m, sizeof n) == 0,
		    examples[i].same);
	}
}

static int
option_of(int fd, int name)
{
	int value = -1;
	socklen_t n = sizeof value;

	assert_int_equal(getsockopt(fd, IPPROTO_TCP, name, &value, &n), 0);
	return value;
}

static void
dead_peers(void **state)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	int idle = option_of(fd, TCP_KEEPIDLE);

	(void)state;
	net_dead_after(fd, 0);
	assert_int_equal(option_of(fd, TCP_USER_TIMEOUT), 0);
	assert_int_equal(option_of(fd, TCP_KEEPIDLE), idle);
	net_dead_after(fd, 30000);
	assert_int_equal(option_of(fd, TCP_USER_TIMEOUT), 30000);
	/* All questions are asked within the time. */
	assert_true(option_of(fd, TCP_KEEPIDLE) +
	    option_of(fd, TCP_KEEPCNT) * option_of(fd, TCP_KEEPINTVL) <= 30);
	net_dead_after(fd, 1);
	assert_int_equal(option_of(fd, TCP_KEEPIDLE), 1);
	close(fd);
}

/* Bytes move when they are taken; who has no room answers all the same. */
static void
carried(void **state)
{
	char why[256], bytes[65536] = "", port[8];
	int listener = listen_somewhere(port), client, server, pair[2];
	struct pollfd p = { .fd = listener, .events = POLLIN };
	struct net_address address;
	struct net_carried before, after;

	(void)state;
	client = dial("127.0.0.1", port, 10000, why, sizeof why);
	assert_int_equal(poll(&p, 1, 10000), 1);
	server = net_accept(listener, &address);
	assert_true(client != -1 && server != -1);
	net_carried(server, &before);
	assert_true(before.answers && before.unacked == 0);
	assert_int_equal(write(server, "12345", 5), 5);
	do
		net_carried(server, &after);
	while (after.unacked > 0);
	assert_int_equal(after.acked - before.acked, 5);
	net_carried(client, &after);
	assert_int_equal(after.received, 5);
	while (write(server, bytes, sizeof bytes) > 0)
		;
	net_carried(server, &after);
	assert_true(after.unacked > 0 && after.answers);
	close(client);
	close(server);
	close(listener);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(write(pair[0], "1", 1), 1);
	net_carried(pair[0], &after);
	assert_true(after.acked == 0 && after.unacked > 0 && !after.answers);
	close(pair[0]);
	close(pair[1]);
}

static int
enter(void **state)
{
	(void)state;
	log_set_sinks(&sink);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(split),
		cmocka_unit_test(split_bounds),
		cmocka_unit_test(as_certificates_have_it),
		cmocka_unit_test(long_names),
		cmocka_unit_test(text),
		cmocka_unit_test(connection),
		cmocka_unit_test(by_name),
		cmocka_unit_test(nobody_there),
		cmocka_unit_test(too_late),
		cmocka_unit_test(listening),
		cmocka_unit_test(overlapping),
		cmocka_unit_test(again_at_once),
		cmocka_unit_test(adopting),
		cmocka_unit_test(preparing),
		cmocka_unit_test(networks),
		cmocka_unit_test(dead_peers),
		cmocka_unit_test(carried),
	};

	return cmocka_run_group_tests_name("net", tests, enter, NULL);
}
