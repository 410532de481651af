/* TLS and the clock in memory.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/endpoint/conn.h"

#include "tests/fuzz/wire.h"

/* More than either side has under way. */
#define QUEUE		(64 * CONN_QUEUE)
#define BEGINNING	1000000000

struct tls_context {
	int unused;
};

struct tls {
	bool shaken;
};

struct wire wire;
int64_t wire_now_us;

static struct tls_context the_context;

/* --- the peer's end ------------------------------------------------------- */

void
wire_reset(void)
{
	buf_free(&wire.to_us);
	buf_free(&wire.from_us);
	memset(&wire, 0, sizeof wire);
	buf_init(&wire.to_us, QUEUE);
	buf_init(&wire.from_us, QUEUE);
	wire.piece = wire.room = SIZE_MAX;
	wire.shaken = IO_OK;
	(void)snprintf(wire.identity.common_name, TLS_NAME_MAX, "alice");
	(void)snprintf(wire.identity.subject, TLS_NAME_MAX, "CN=alice");
	(void)snprintf(wire.identity.issuer, TLS_NAME_MAX, "CN=site");
	(void)snprintf(wire.identity.serial, TLS_SERIAL_MAX, "01");
	wire_now_us = BEGINNING;
}

static int
open_null(void)
{
	static int fd = -1;

	if (fd == -1)
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	must(fd != -1);
	return fd;
}

int
wire_descriptor(void)
{
	int fd = fcntl(open_null(), F_DUPFD_CLOEXEC, 0);

	must(fd != -1);
	return fd;
}

int
wire_lowest_descriptor(void)
{
	int fd = wire_descriptor();

	(void)close(fd);
	return fd;
}

bool
wire_is_ready(short events)
{
	return wire.cut || ((events & POLLIN) != 0 &&
	    (wire.eof || buf_used(&wire.to_us) > 0)) ||
	    ((events & POLLOUT) != 0 && wire.room > 0);
}

void
wire_poll(struct pollset *ps, int fd)
{
	for (size_t i = 0; i < ps->count; i++) {
		if (ps->fds[i].fd == fd)
			ps->fds[i].revents = wire_is_ready(ps->fds[i].events) ?
			    ps->fds[i].events : 0;
	}
}

void
wire_send(const void *bytes, size_t n)
{
	if (!wire.eof && n <= buf_room(&wire.to_us))
		must(buf_put(&wire.to_us, bytes, n) == 0);
}

/* --- common/clock --------------------------------------------------------- */

int64_t
clock_now(void)
{
	return wire_now_us / 1000;
}

int64_t
clock_now_us(void)
{
	return wire_now_us;
}

int64_t
clock_in(int64_t ms)
{
	return ms < 0 || ms > CLOCK_NEVER - clock_now() ? CLOCK_NEVER :
	    clock_now() + ms;
}

int64_t
clock_after(int64_t since, int64_t limit)
{
	return limit == 0 || since == CLOCK_NEVER ? CLOCK_NEVER :
	    since + limit;
}

bool
clock_past(int64_t deadline)
{
	return deadline != CLOCK_NEVER && clock_now() >= deadline;
}

int
clock_left(int64_t deadline)
{
	if (deadline == CLOCK_NEVER)
		return -1;
	if (clock_past(deadline))
		return 0;
	return deadline - clock_now() > INT_MAX ? INT_MAX :
	    (int)(deadline - clock_now());
}

/* --- common/tls: bytes ---------------------------------------------------- */

struct tls *
tls_open(struct tls_context *context, int fd, const char *name)
{
	struct tls *tls = calloc(1, sizeof *tls);

	(void)fd;
	(void)name;
	must(context == &the_context && tls != NULL);
	wire.open = true;
	return tls;
}

void
tls_free(struct tls *tls)
{
	wire.open = false;
	free(tls);
}

enum io
tls_handshake(struct tls *tls)
{
	tls->shaken = wire.shaken == IO_OK;
	return wire.cut ? IO_ERROR : wire.shaken;
}

short
tls_events(const struct tls *tls, bool reading, bool writing)
{
	(void)tls;
	return (short)((reading ? POLLIN : 0) | (writing ? POLLOUT : 0));
}

bool
tls_pending(const struct tls *tls)
{
	(void)tls;
	return false;
}

enum io
tls_fill(struct tls *tls, struct buf *b)
{
	size_t n = buf_used(&wire.to_us);

	must(tls->shaken);
	if (n > buf_room(b))
		n = buf_room(b);
	if (n > wire.piece)
		n = wire.piece;
	if (n > 0) {
		must(buf_put(b, buf_data(&wire.to_us), n) == 0);
		buf_consume(&wire.to_us, n);
		return IO_OK;
	}
	return wire.cut ? IO_ERROR : wire.eof ? IO_EOF : IO_WAIT;
}

enum io
tls_drain(struct tls *tls, struct buf *b)
{
	size_t n = buf_used(b);

	must(tls->shaken);
	if (wire.cut)
		return IO_ERROR;
	if (n > wire.room)
		n = wire.room;
	if (n == 0)
		return n == buf_used(b) ? IO_OK : IO_WAIT;
	must(buf_put(&wire.from_us, buf_data(b), n) == 0);
	buf_consume(b, n);
	if (wire.room != SIZE_MAX)
		wire.room -= n;
	return IO_OK;
}

bool
tls_has_output(const struct tls *tls)
{
	(void)tls;
	return false;		/* tls_drain() keeps nothing back. */
}

void
tls_shutdown(struct tls *tls)
{
	(void)tls;
}

/* --- common/tls: what there is to know ------------------------------------ */

struct tls_context *
tls_server_new(struct tls_files *files, struct failure *why)
{
	(void)files;
	(void)why;
	return &the_context;
}

struct tls_context *
tls_client_new(struct tls_files *files, struct failure *why)
{
	return tls_server_new(files, why);
}

int
tls_server_check(struct tls_context *context, struct tls_files *files,
    struct failure *why)
{
	(void)context;
	(void)files;
	(void)why;
	return 0;
}

int
tls_client_check(struct tls_context *context, struct failure *why)
{
	return tls_server_check(context, NULL, why);
}

int
tls_context_certificate(const struct tls_context *context, size_t n,
    struct tls_identity *id)
{
	(void)context;
	(void)n;
	*id = wire.identity;
	return 0;
}

void
tls_context_free(struct tls_context *context)
{
	(void)context;
}

struct tls_term *
tls_context_terms(const struct tls_context *context, size_t *count)
{
	(void)context;
	*count = 0;
	return calloc(1, sizeof(struct tls_term));
}

int64_t
tls_context_crl_begins(const struct tls_context *context)
{
	(void)context;
	return 0;
}

int
tls_recheck(struct tls *tls, struct tls_context *context,
    const char **reason, struct failure *why)
{
	(void)tls;
	(void)context;
	if (!wire.untrusted)
		return 0;
	*reason = "revoked";
	failure_set(why, TLS_FAILURE_CERTIFICATE, "the certificate is "
	    "revoked");
	return -1;
}

int64_t
tls_peer_expires(const struct tls *tls)
{
	(void)tls;
	return INT64_MAX;
}

int
tls_peer_list(const struct tls *tls, struct tls_term *list)
{
	(void)tls;
	*list = (struct tls_term){ .name = "CN=x", .begins = 1, .ends = 2 };
	return 0;
}

const struct tls_identity *
tls_peer(const struct tls *tls)
{
	return tls->shaken ? &wire.identity : NULL;
}

int
tls_peer_certificate(const struct tls *tls, size_t n, struct tls_identity *id)
{
	(void)tls;
	return tls_context_certificate(&the_context, n, id);
}

int
tls_identity_load(const char *path, struct tls_identity *id,
    struct failure *why)
{
	(void)path;
	(void)why;
	return tls_context_certificate(&the_context, 0, id);
}

const struct failure *
tls_failure(const struct tls *tls)
{
	static struct failure failure;

	(void)tls;
	failure_set(&failure, wire.altered ? TLS_FAILURE_ALTERED : wire.cut ?
	    TLS_FAILURE_CUT : TLS_FAILURE_NONE, "the connection was cut");
	return &failure;
}

const char *
tls_version(const struct tls *tls)
{
	(void)tls;
	return "TLSv1.3";
}

const char *
tls_cipher(const struct tls *tls)
{
	(void)tls;
	return "none";
}
