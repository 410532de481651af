/*
 * connect.c - from the name of a host to a TCP connection, in bounded time.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/net.h"

#include "client/core/memory.h"

#include "client/core/connect.h"

/* More addresses of one host are not tried. */
#define ADDRESSES_MAX	32

/*
 * getaddrinfo(3) waits for name servers as long as resolv.conf says, so a
 * thread asks it, which is left alone when the deadline has passed.  The last
 * of the two to be done with a lookup frees it.
 */
struct lookup {
	char *host;
	char *port;
	struct addrinfo hints;
	struct addrinfo *list;
	int result;		/* Of getaddrinfo(3), with the errno it set. */
	int error;
	int done;		/* An eventfd(2), readable after that. */
	atomic_bool released;	/* By the first of the two. */
};

static void
connect_release(struct lookup *l)
{
	if (l == NULL || !atomic_exchange(&l->released, true))
		return;
	if (l->list != NULL)
		freeaddrinfo(l->list);
	fd_close(&l->done);
	free(l->host);
	free(l->port);
	free(l);
}

static void
connect_ask(struct lookup *l)
{
	l->result = getaddrinfo(l->host, l->port, &l->hints, &l->list);
	l->error = errno;
	(void)eventfd_write(l->done, 1);
}

static void *
connect_look_up(void *argument)
{
	connect_ask(argument);
	connect_release(argument);
	return NULL;
}

/* Start it, or NULL with errno set. */
static struct lookup *
connect_start(const char *host, const char *port,
    const struct addrinfo *hints)
{
	struct lookup *l = memory_get(sizeof *l);
	sigset_t all, before;
	pthread_t thread;

	l->hints = *hints;
	l->host = memory_copy(host);
	l->port = memory_copy(port);
	if ((l->done = eventfd(0, EFD_CLOEXEC)) == -1) {
		l->released = true;
		connect_release(l);
		return NULL;
	}
	/* Signals are for the thread that waits. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	/* A number is no wait, and a late answer better than none. */
	if ((hints->ai_flags & AI_NUMERICHOST) != 0 ||
	    pthread_create(&thread, NULL, connect_look_up, l) != 0) {
		l->released = true;
		connect_ask(l);
	} else
		(void)pthread_detach(thread);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return l;
}

/* Wait for one of "n" descriptors, until "deadline".  0: it has passed. */
static int
connect_wait(struct pollfd *p, size_t n, int64_t deadline)
{
	int result;

	do
		result = poll(p, (nfds_t)n, clock_left(deadline));
	while (result == -1 && errno == EINTR);
	return result;
}

/* Begin to connect.  The descriptor, or -1 with errno set. */
static int
connect_begin(const struct addrinfo *ai)
{
	int fd = socket(ai->ai_family, ai->ai_socktype | SOCK_CLOEXEC |
	    SOCK_NONBLOCK, ai->ai_protocol);

	if (fd != -1 && connect(fd, ai->ai_addr, ai->ai_addrlen) == -1 &&
	    errno != EINPROGRESS)
		fd_close(&fd);
	return fd;
}

/* What has come of a connection that has an event: 0, or an errno. */
static int
connect_result(int fd)
{
	int error = 0;
	socklen_t length = sizeof error;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == -1 ||
	    (error == 0 && net_prepare(fd) == -1))
		error = errno;
	return error;
}

/* The addresses of "list", both families in turn, to "order"; their number. */
static size_t
connect_sort(const struct addrinfo *list,
    const struct addrinfo *order[ADDRESSES_MAX])
{
	const struct addrinfo *own = list, *other = list;
	int family = list->ai_family;
	size_t n = 0;

	while (n < ADDRESSES_MAX) {
		while (own != NULL && own->ai_family != family)
			own = own->ai_next;
		while (other != NULL && other->ai_family == family)
			other = other->ai_next;
		if (own == NULL && other == NULL)
			break;
		if (other == NULL || (own != NULL && n % 2 == 0)) {
			order[n++] = own;
			own = own->ai_next;
		} else {
			order[n++] = other;
			other = other->ai_next;
		}
	}
	return n;
}

/*
 * Connect to the first of the addresses that answers.  A silent one must not
 * take the time of the others (RFC 8305): after CONNECT_DELAY, or where one
 * has failed, the next is tried as well.  The descriptor, or -1 with errno
 * set.
 */
static int
connect_first(const struct addrinfo *list, int64_t deadline)
{
	const struct addrinfo *order[ADDRESSES_MAX];
	struct pollfd tries[ADDRESSES_MAX];
	size_t count = connect_sort(list, order), n = 0, open = 0;
	int64_t next = 0;
	int error = 0, winner = -1;

	while (winner == -1 && (n < count || open > 0)) {
		if (n < count && (open == 0 || clock_past(next))) {
			tries[n].fd = connect_begin(order[n]);
			tries[n].events = POLLOUT;
			tries[n].revents = 0;
			if (tries[n++].fd == -1) {
				error = errno;
				continue;
			}
			open++;
			next = clock_in(CONNECT_DELAY);
		}
		if (connect_wait(tries, n, n < count && next < deadline ? next :
		    deadline) == -1) {
			error = errno;
			break;
		}
		for (size_t i = 0; i < n && winner == -1; i++) {
			if (tries[i].fd == -1 || tries[i].revents == 0)
				continue;
			if ((error = connect_result(tries[i].fd)) == 0) {
				winner = tries[i].fd;
				tries[i].fd = -1;
				break;
			}
			fd_close(&tries[i].fd);
			open--;
			next = 0;
		}
		if (winner == -1 && clock_past(deadline)) {
			error = ETIMEDOUT;
			break;
		}
	}
	for (size_t i = 0; i < n; i++)
		fd_close(&tries[i].fd);
	errno = error;
	return winner;
}

/* Say why the lookup of "host" has failed. */
static int
connect_lookup_failed(const struct lookup *l, const char *host, char *why,
    size_t size)
{
	int e = l == NULL ? EAI_SYSTEM : l->result;
	int reason = e == EAI_AGAIN ? EBUSY : e != EAI_SYSTEM ? ENOENT :
	    l == NULL ? errno : l->error;

	(void)snprintf(why, size, "cannot look up %s: %s", host,
	    e == EAI_SYSTEM ? strerror(reason) : gai_strerror(e));
	return reason;
}

int
connect_host(const char *host, const char *port, int family, int64_t deadline,
    char *why, size_t size)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICSERV,
	    .ai_family = family, .ai_socktype = SOCK_STREAM };
	struct pollfd p = { .events = POLLIN };
	struct net_host parsed;
	struct lookup *l;
	int error = 0, fd = -1, n;

	hints.ai_flags |= net_host(host, &parsed) == 0 && parsed.length > 0 ?
	    AI_NUMERICHOST : AI_ADDRCONFIG;
	if ((l = connect_start(host, port, &hints)) == NULL) {
		errno = connect_lookup_failed(l, host, why, size);
		return -1;
	}
	p.fd = l->done;
	if ((n = connect_wait(&p, 1, deadline)) != 1) {
		error = n == 0 ? EBUSY : errno;
		(void)snprintf(why, size, "cannot look up %s%s%s", host,
		    n == 0 ? " in time" : ": ", n == 0 ? "" : strerror(error));
	} else if (l->result != 0)
		error = connect_lookup_failed(l, host, why, size);
	else if ((fd = connect_first(l->list, deadline)) == -1) {
		error = errno;
		(void)snprintf(why, size, "cannot connect to %s port %s: %s",
		    host, port, strerror(error));
	}
	connect_release(l);
	errno = error;
	return fd;
}
