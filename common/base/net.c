/* Listen, accept, print addresses.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/base/failure.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/net.h"
#include "common/base/number.h"

/* More would only hide from the operator that the daemon cannot keep up. */
#define BACKLOG	128
/* So many bytes wait in the kernel behind those that the path holds: what is
 * more urgent comes after them.  tcp(7), TCP_NOTSENT_LOWAT. */
#define UNSENT_MAX	(16 * 1024)

/* Copy "n" bytes as a string; -1 if they do not fit. */
static int
net_copy(char *out, size_t size, const char *text, size_t n)
{
	if (n >= size)
		return -1;
	memcpy(out, text, n);
	out[n] = '\0';
	return 0;
}

int
net_split(const char *text, char *host, size_t hsize, char *port,
    size_t psize)
{
	const char *colon = strrchr(text, ':'), *end;
	size_t n = strlen(text);
	int64_t number;

	if (text[0] == '[') {
		if ((end = strchr(text, ']')) == NULL)
			return -1;
		n = (size_t)(end - text) - 1;
		colon = end[1] == '\0' ? NULL : end + 1;
		if (colon != NULL && *colon != ':')
			return -1;
		text++;
	} else if (colon != NULL && strchr(text, ':') != colon)
		colon = NULL;	/* An IPv6 address without a port. */
	else if (colon != NULL)
		n = (size_t)(colon - text);
	if (net_copy(host, hsize, text, n) == -1)
		return -1;
	port[0] = '\0';
	if (colon == NULL)
		return 0;
	if (number_whole(colon + 1, 0, 65535, &number) == -1)
		return -1;
	return net_copy(port, psize, colon + 1, strlen(colon + 1));
}

/* The bytes of an address to "out"; their number. */
static size_t
get_address(const struct sockaddr *sa, uint8_t out[16])
{
	const struct sockaddr_in *v4 = (const void *)sa;
	const struct sockaddr_in6 *v6 = (const void *)sa;

	if (sa->sa_family == AF_INET) {
		memcpy(out, &v4->sin_addr, 4);
		return 4;
	}
	memcpy(out, &v6->sin6_addr, 16);
	return 16;
}

/* A numeric address into "host"; -1 if "text" is none. */
static int
parse_numeric(const char *text, struct net_host *host)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST,
	    .ai_socktype = SOCK_STREAM }, *list;
	char plain[INET6_ADDRSTRLEN];
	size_t n = strchr(text, ':') == NULL ? strlen(text) :
	    strcspn(text, "%");

	/* Whether there is such a zone is not asked here. */
	if (net_copy(plain, sizeof plain, text, n) == -1 ||
	    getaddrinfo(plain, NULL, &hints, &list) != 0)
		return -1;
	host->length = get_address(list->ai_addr, host->address);
	(void)inet_ntop(list->ai_family, host->address, host->name,
	    sizeof host->name);
	freeaddrinfo(list);
	return 0;
}

int
net_host(const char *text, struct net_host *host)
{
	size_t n = strlen(text), label = 0;

	memset(host, 0, sizeof *host);
	if (n > 0 && parse_numeric(text, host) == 0)
		return 0;
	n -= n > 0 && text[n - 1] == '.';
	if (n == 0 || n >= sizeof host->name)
		return -1;
	for (size_t i = 0; i < n; i++) {
		char c = text[i];

		label = c == '.' ? 0 : label + 1;
		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		else if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
		    (c != '\0' && strchr("-_.", c) != NULL)))
			return -1;
		if (label > 63 || (label == 0 && (i == 0 || i + 1 == n ||
		    text[i + 1] == '.')))
			return -1;
		host->name[i] = c;
	}
	host->name[n] = '\0';
	return 0;
}

static int
net_set_option(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof value);
}

/* Some kernels have none. */
static bool
has_ipv6(void)
{
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd == -1)
		return errno != EAFNOSUPPORT;
	fd_close(&fd);
	return true;
}

int
net_resolve(const char *host, const char *port, struct net_address *out,
    size_t max, struct failure *why)
{
	struct addrinfo hints = { .ai_flags = AI_PASSIVE | AI_NUMERICSERV,
	    .ai_socktype = SOCK_STREAM }, *list;
	bool all = *host == '\0' || strcmp(host, "*") == 0;
	size_t n = 0;
	int e = getaddrinfo(all ? NULL : host, port, &hints, &list);

	if (e != 0) {
		failure_set(why, 0, "cannot listen on %s port %s: %s", host,
		    port, e == EAI_SYSTEM ? strerror(errno) :
		    gai_strerror(e));
		return -1;
	}
	for (const struct addrinfo *ai = list; ai != NULL; ai = ai->ai_next) {
		/* No IPv6 is no reason not to serve IPv4. */
		if (ai->ai_family == AF_INET6 &&
		    (ai->ai_next != NULL || n > 0) && !has_ipv6())
			continue;
		if (n == max) {
			failure_set(why, 0, "cannot listen on %s port %s: "
			    "there are more addresses than can be listened on",
			    host, port);
			failure_hint(why, "name fewer in \"listen\"");
			freeaddrinfo(list);
			return -1;
		}
		memset(&out[n], 0, sizeof out[n]);
		memcpy(&out[n].storage, ai->ai_addr, ai->ai_addrlen);
		out[n++].length = ai->ai_addrlen;
	}
	freeaddrinfo(list);
	return (int)n;
}

/* Where the port is, in network order. */
static const in_port_t *
port_of(const struct net_address *address)
{
	return address->storage.ss_family == AF_INET ?
	    &((const struct sockaddr_in *)&address->storage)->sin_port :
	    &((const struct sockaddr_in6 *)&address->storage)->sin6_port;
}

/* Is it every address of its family? */
static bool
is_any(const struct net_address *address)
{
	static const uint8_t zeros[16];
	uint8_t bytes[16];
	size_t n = get_address((const struct sockaddr *)&address->storage,
	    bytes);

	return memcmp(bytes, zeros, n) == 0;
}

bool
net_same(const struct net_address *a, const struct net_address *b)
{
	return a->length == b->length &&
	    memcmp(&a->storage, &b->storage, a->length) == 0;
}

bool
net_covers(const struct net_address *all, const struct net_address *one)
{
	return is_any(all) &&
	    all->storage.ss_family == one->storage.ss_family &&
	    *port_of(all) == *port_of(one) && *port_of(all) != 0;
}

/* A socket that is bound, -1 with errno set. */
static int
bind_to(const struct net_address *address)
{
	int family = address->storage.ss_family;
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd == -1)
		return -1;
	/* IPv4 has a socket of its own, also without bindv6only. */
	if ((family == AF_INET6 &&
	    net_set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) == -1) ||
	    net_set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) == -1 ||
	    bind(fd, (const struct sockaddr *)&address->storage,
	    address->length) == -1)
		fd_close(&fd);
	return fd;
}

/* Say that we cannot listen, as errno says.  -1. */
static int
cannot_listen(const struct net_address *address, struct failure *why)
{
	struct net_address a = *address;
	char host[NET_TEXT_MAX];
	int error = errno;

	failure_set(why, 0, "cannot listen on %s port %d: %s", is_any(&a) ?
	    "every address" : net_text(&a, false, host), ntohs(*port_of(&a)),
	    strerror(error));
	failure_hint(why, "%s", error == EADDRNOTAVAIL ?
	    "this machine does not have that address now: see ip address" :
	    error == EADDRINUSE ? "see what has the port: ss -tlnp" :
	    error == EACCES ? "this user may not have that port" :
	    error == EINVAL ? "write IPv4 as 192.0.2.7, and a link-local "
	    "address with its zone, as fe80::1%eth0" : "");
	errno = error;
	return -1;
}

int
net_listen(const struct net_address *address, struct failure *why)
{
	int fd = bind_to(address);

	if (fd != -1 && listen(fd, BACKLOG) == -1)
		fd_close(&fd);
	return fd == -1 ? cannot_listen(address, why) : fd;
}

int
net_check(const struct net_address *address, bool with_port,
    struct failure *why)
{
	struct net_address a = *address;
	int fd;

	if (!with_port && a.storage.ss_family == AF_INET)
		((struct sockaddr_in *)&a.storage)->sin_port = 0;
	else if (!with_port)
		((struct sockaddr_in6 *)&a.storage)->sin6_port = 0;
	if ((fd = bind_to(&a)) == -1)
		return errno == EADDRINUSE ? 0 : cannot_listen(address, why);
	fd_close(&fd);
	return 0;
}

int
net_prepare(int fd)
{
	/* None of them exists on a Unix socket, which tests may use; what they
	 * bring is speed, and an earlier notice of a dead peer. */
	(void)net_set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	(void)net_set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	(void)net_set_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, UNSENT_MAX);
	return fd_set_blocking(fd, false);
}

int
net_adopt(int fd, struct net_address *address)
{
	int listens = 0, type = 0;
	socklen_t n = sizeof listens, m = sizeof type;

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &n) == -1 ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &m) == -1) {
		log_errno("cannot use the passed descriptor %d", fd);
		return -1;
	}
	if (type != SOCK_STREAM ||
	    (listens == 0 && net_peer(fd, address) == -1)) {
		log_error("cannot use the passed descriptor %d: it is neither "
		    "a listening stream socket nor a connection; the socket "
		    "unit needs ListenStream=", fd);
		return -1;
	}
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 && (listens != 0 ?
	    fd_set_blocking(fd, false) : net_prepare(fd)) == 0)
		return listens != 0;
	log_errno("cannot use the passed descriptor %d", fd);
	return -1;
}

void
net_dead_after(int fd, int64_t ms)
{
	/* Three questions, the last of which still has time for an answer. */
	int seconds = (int)(ms / 4000 > 0 ? ms / 4000 : 1);

	(void)net_set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT,
	    (int)(ms < INT_MAX ? ms : INT_MAX));
	if (ms == 0)
		return;
	(void)net_set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, seconds);
	(void)net_set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, seconds);
	(void)net_set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
}

void
net_carried(int fd, struct net_carried *c)
{
	struct tcp_info info;
	socklen_t length = sizeof info;
	int unacked;

	memset(c, 0, sizeof *c);
	/* libc's own struct lacks what kernels have had since Linux 4.1. */
	memset(&info, 0, sizeof info);
	if (ioctl(fd, SIOCOUTQ, &unacked) == 0 && unacked > 0)
		c->unacked = (uint64_t)unacked;
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) == -1)
		return;
	c->acked = info.tcpi_bytes_acked;
	c->received = info.tcpi_bytes_received;
	/* The kernel says this where it has not measured it yet. */
	if (info.tcpi_min_rtt != UINT32_MAX)
		c->round_trip = info.tcpi_min_rtt;
	/* The one question of tcpi_probes may be on its way just now. */
	c->answers = c->unacked == 0 ||
	    (info.tcpi_retransmits == 0 && info.tcpi_probes <= 1);
}

int
net_accept(int fd, struct net_address *address)
{
	int conn;

	address->length = sizeof address->storage;
	conn = accept4(fd, (struct sockaddr *)&address->storage,
	    &address->length, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (conn != -1)
		(void)net_prepare(conn);
	return conn;
}

int
net_peer(int fd, struct net_address *address)
{
	address->length = sizeof address->storage;
	return getpeername(fd, (struct sockaddr *)&address->storage,
	    &address->length);
}

int
net_local(int fd, struct net_address *address)
{
	address->length = sizeof address->storage;
	return getsockname(fd, (struct sockaddr *)&address->storage,
	    &address->length);
}

struct net_network
net_network(const struct net_address *address)
{
	const struct sockaddr_in *v4 =
	    (const struct sockaddr_in *)&address->storage;
	const struct sockaddr_in6 *v6 =
	    (const struct sockaddr_in6 *)&address->storage;
	struct net_network n;

	memset(&n, 0, sizeof n);
	if (address->storage.ss_family == AF_INET) {
		memset(n.bytes + 10, 0xff, 2);
		memcpy(n.bytes + 12, &v4->sin_addr, 4);
	} else if (address->storage.ss_family == AF_INET6)
		memcpy(n.bytes, &v6->sin6_addr,
		    IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr) ? 16 : 8);
	return n;
}

const char *
net_text(const struct net_address *address, bool port, char out[NET_TEXT_MAX])
{
	const struct sockaddr *sa = (const struct sockaddr *)&address->storage;
	char host[NET_TEXT_MAX - 10], service[8];
	const char *plain = host;

	if (sa->sa_family == AF_UNIX)
		return memcpy(out, "local", sizeof "local");
	if (getnameinfo(sa, address->length, host, sizeof host, service,
	    sizeof service, NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return memcpy(out, NET_UNKNOWN, sizeof NET_UNKNOWN);
	if (strncmp(host, "::ffff:", 7) == 0 && strchr(host, '.') != NULL)
		plain = host + 7;
	if (!port)
		(void)snprintf(out, NET_TEXT_MAX, "%s", plain);
	else if (strchr(plain, ':') != NULL)
		(void)snprintf(out, NET_TEXT_MAX, "[%s]:%s", plain, service);
	else
		(void)snprintf(out, NET_TEXT_MAX, "%s:%s", plain, service);
	return out;
}
