/*
 * tls.c - one connection: the handshake, bytes to and from records, and who
 * the peer is.
 *
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/net.h"
#include "common/wire/proto.h"
#include "common/tls/cert.h"
#include "common/tls/revocation.h"
#include "common/tls/load.h"
#include "common/tls/state.h"
#include "common/tls/tls-failure.h"
#include "common/tls/verify.h"
#include "common/tls/tls.h"

/* How many bytes of records one write(2) takes; and from how many bytes on it
 * is worth to gather them, which are those of more than one record. */
#define GATHER		(8 * 16384 + 1024)
#define GATHER_FROM	16384
/* An alert that has no key yet, RFC 8446, section 5.1 and 6: header, level,
 * description. */
#define ALERT_SIZE	7

/* On a client: the name to expect and to ask for.  verify_peer() compares. */
static int
expect_name(struct tls *tls, const char *name)
{
	if (net_host(name, &tls->host) == -1)
		return -1;
	return tls->host.length > 0 || SSL_set_tlsext_host_name(tls->ssl,
	    tls->host.name) == 1 ? 0 : -1;
}

/* Keep the first bytes that come from the peer. */
static long
keep_first(BIO *bio, int operation, const char *bytes, size_t length, int i,
    long l, int result, size_t *done)
{
	struct tls *tls = (void *)BIO_get_callback_arg(bio);
	size_t n = done == NULL ? 0 : *done;

	(void)length;
	(void)i;
	(void)l;
	if (operation != (BIO_CB_READ | BIO_CB_RETURN) || result <= 0)
		return result;
	if (n > TLS_FIRST_MAX - tls->first_used)
		n = TLS_FIRST_MAX - tls->first_used;
	memcpy(tls->first + tls->first_used, bytes, n);
	tls->first_used += n;
	return result;
}

struct tls *
tls_open(struct tls_context *c, int fd, const char *name)
{
	struct tls *tls = calloc(1, sizeof *tls);

	if (tls == NULL)
		return NULL;
	c->users++;
	tls->context = c;
	tls->handshake_events = POLLIN;
	if ((tls->ssl = SSL_new(c->ssl)) == NULL ||
	    SSL_set_fd(tls->ssl, fd) != 1 ||
	    SSL_set_app_data(tls->ssl, (void *)tls) != 1 ||
	    (name != NULL && expect_name(tls, name) == -1))
		goto fail;
	BIO_set_callback_ex(SSL_get_rbio(tls->ssl), keep_first);
	BIO_set_callback_arg(SSL_get_rbio(tls->ssl), (char *)tls);
	if (c->server)
		SSL_set_accept_state(tls->ssl);
	else
		SSL_set_connect_state(tls->ssl);
	return tls;

fail:
	ERR_clear_error();
	tls_free(tls);
	return NULL;
}

void
tls_free(struct tls *tls)
{
	if (tls == NULL)
		return;
	SSL_free(tls->ssl);
	tls_context_free(tls->context);
	free(tls);
}

/* The socket has failed, with "error", or has ended. */
static void
tls_cut(struct tls *tls, int error)
{
	tls_failure_cut(tls, error);
	ERR_clear_error();
	tls->broken = true;
}

/* Turn the failure of an SSL call into an answer. */
static enum io
tls_answer(struct tls *tls, int result, short *wants)
{
	int keep = errno;

	switch (SSL_get_error(tls->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		*wants = POLLIN;
		return IO_WAIT;
	case SSL_ERROR_WANT_WRITE:
		*wants = POLLOUT;
		return IO_WAIT;
	case SSL_ERROR_ZERO_RETURN:
		return IO_EOF;
	case SSL_ERROR_SYSCALL:
		/* A KeyUpdate that had no room: our buffer is below that of
		 * OpenSSL 3.0, which does not pass on that it can be tried
		 * again.  A read goes on with it, too. */
		if (keep == EAGAIN && SSL_want_write(tls->ssl)) {
			*wants = POLLOUT;
			return IO_WAIT;
		}
		tls_cut(tls, keep);
		break;
	default:
		tls_failure_protocol(tls);
		break;
	}
	ERR_clear_error();
	tls->broken = true;
	return IO_ERROR;
}

bool
tls_answered(const struct tls *tls)
{
	/* One BIO of the socket is for both ways. */
	return BIO_number_written(SSL_get_rbio(tls->ssl)) > ALERT_SIZE;
}

/* A verified client that speaks no protocol of ours is probably a person with
 * another program: say what it has reached. */
static void
tls_greet(struct tls *tls)
{
	static const char line[] = "AIS: this is aisd; it speaks " PROTO_ALPN
	    ", named by ALPN: use aisc, or see ais-protocol(7)\n";

	ERR_clear_error();
	(void)SSL_write(tls->ssl, line, sizeof line - 1);
	ERR_clear_error();
}

enum io
tls_handshake(struct tls *tls)
{
	const unsigned char *alpn;
	unsigned length;
	X509 *cert;
	int result;

	ERR_clear_error();
	errno = 0;
	if ((result = SSL_do_handshake(tls->ssl)) != 1)
		return tls_answer(tls, result, &tls->handshake_events);
	tls->done = true;
	BIO_set_callback_ex(SSL_get_rbio(tls->ssl), NULL);
	if ((cert = SSL_get0_peer_certificate(tls->ssl)) == NULL ||
	    SSL_get_verify_result(tls->ssl) != X509_V_OK) {
		/* Cannot be, with SSL_VERIFY_PEER; so much the worse. */
		failure_set(&tls->failure, TLS_FAILURE_CERTIFICATE, "the peer "
		    "has no verified certificate");
		return IO_ERROR;
	}
	if (!tls->has_peer && cert_identity(cert, &tls->peer) == -1) {
		tls_failure_memory(tls);
		return IO_ERROR;
	}
	tls->has_peer = true;
	tls->expires = verify_expires(SSL_get0_verified_chain(tls->ssl));
	tls->renewed = clock_now();
	/* The first frames may have been read along with the handshake. */
	tls->more = SSL_has_pending(tls->ssl) == 1;
	SSL_get0_alpn_selected(tls->ssl, &alpn, &length);
	if (length != sizeof PROTO_ALPN - 1 ||
	    memcmp(alpn, PROTO_ALPN, length) != 0) {
		failure_set(&tls->failure, TLS_FAILURE_PROTOCOL, "the %s does "
		    "not speak " PROTO_ALPN, tls->context->server ? "client" :
		    "server");
		if (tls->context->server && length == 0)
			tls_greet(tls);
		return IO_ERROR;
	}
	return IO_OK;
}

short
tls_events(const struct tls *tls, bool reading, bool writing)
{
	int events = 0;

	if (!tls->done)
		return tls->handshake_events;
	if (reading)
		events |= tls->read_wants_write ? POLLOUT : POLLIN;
	if (writing)
		events |= tls->write_wants_read ? POLLIN : POLLOUT;
	return (short)events;
}

bool
tls_pending(const struct tls *tls)
{
	return tls->more;
}

/*
 * Has TLS itself failed?  Then it stays so, for the reason that it had.  After
 * a failure of the socket alone there may still be something to read: what
 * the other side said before its end.
 */
static bool
is_lost(const struct tls *tls)
{
	return tls->broken && tls->failure.code != TLS_FAILURE_CUT &&
	    tls->failure.code != TLS_FAILURE_SYSTEM;
}

enum io
tls_fill(struct tls *tls, struct buf *b)
{
	size_t room = buf_room(b), n, total = 0;
	uint8_t *p;
	short wants = POLLIN;
	enum io io = IO_OK;

	tls->more = false;
	if (is_lost(tls))
		return IO_ERROR;
	while (room - total > 0) {
		size_t piece = room - total < 16384 ? room - total : 16384;

		if ((p = buf_reserve(b, piece)) == NULL) {
			tls_failure_memory(tls);
			return IO_ERROR;
		}
		ERR_clear_error();
		errno = 0;
		if (SSL_read_ex(tls->ssl, p, piece, &n) != 1) {
			io = tls_answer(tls, 0, &wants);
			break;
		}
		buf_commit(b, n);
		total += n;
	}
	tls->read_wants_write = io == IO_WAIT && wants == POLLOUT;
	if (io == IO_OK)
		tls->more = true;	/* It stopped for lack of room. */
	/* What was read before an end or a failure is delivered first; the
	 * next call meets the end again. */
	if (total > 0) {
		tls->more = tls->more || io != IO_WAIT;
		return IO_OK;
	}
	return io;
}

/*
 * From now on gather records: to write each of them by itself costs a sixth of
 * the processor time of bulk.  Without memory it stays as it was.  A peer that
 * is sent little, such as one that waits in line, never needs it.
 */
static void
tls_gather(struct tls *tls)
{
	BIO *gatherer = BIO_new(BIO_f_buffer());

	if (gatherer == NULL || BIO_set_write_buffer_size(gatherer, GATHER)
	    != 1) {
		BIO_free(gatherer);
		return;
	}
	(void)BIO_up_ref(SSL_get_rbio(tls->ssl));
	SSL_set0_wbio(tls->ssl, BIO_push(gatherer, SSL_get_rbio(tls->ssl)));
	tls->gathers = true;
}

bool
tls_has_output(const struct tls *tls)
{
	return tls->gathers && BIO_wpending(SSL_get_wbio(tls->ssl)) > 0;
}

/* Write what has been gathered. */
static enum io
tls_flush(struct tls *tls)
{
	BIO *out = SSL_get_wbio(tls->ssl);

	errno = 0;
	if (BIO_flush(out) == 1)
		return IO_OK;
	if (BIO_should_retry(out))
		return IO_WAIT;
	tls_cut(tls, errno);
	return IO_ERROR;
}

/*
 * If it is time, have OpenSSL replace the key that we send with, before the
 * next record; not within one.  The other side does so for its own: to request
 * it ends connections with OpenSSL 3.0, where a write is pending there.
 */
static void
renew_keys(struct tls *tls)
{
	const struct tls_context *c = tls->context;

	if (tls->write_pending || SSL_version(tls->ssl) != TLS1_3_VERSION ||
	    (tls->records < c->key_records &&
	    clock_now() - tls->renewed < c->key_age))
		return;
	if (SSL_key_update(tls->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1) {
		tls->records = 0;
		tls->renewed = clock_now();
	}
}

enum io
tls_drain(struct tls *tls, struct buf *b)
{
	short wants = POLLOUT;
	size_t n, total = 0;
	enum io io = IO_OK;

	if (is_lost(tls))
		return IO_ERROR;
	if (buf_used(b) > GATHER_FROM && !tls->gathers &&
	    SSL_in_init(tls->ssl) == 0)
		tls_gather(tls);
	while (buf_used(b) > 0) {
		ERR_clear_error();
		renew_keys(tls);
		errno = 0;
		tls->write_pending = SSL_write_ex(tls->ssl, buf_data(b),
		    buf_used(b), &n) != 1;
		if (tls->write_pending) {
			io = tls_answer(tls, 0, &wants);
			break;
		}
		buf_consume(b, n);
		total += n;
		tls->records++;
	}
	tls->write_wants_read = io == IO_WAIT && wants == POLLIN;
	if (io == IO_OK && tls_has_output(tls))
		io = tls_flush(tls);
	return io == IO_WAIT && total > 0 ? IO_OK : io;
}

void
tls_shutdown(struct tls *tls)
{
	if (tls->done && !tls->broken) {
		ERR_clear_error();
		(void)SSL_shutdown(tls->ssl);
		ERR_clear_error();
	}
}

int
tls_recheck(struct tls *tls, struct tls_context *context, const char **reason,
    struct failure *why)
{
	struct verdict v = { .client = tls->context->server, .why = why };

	if (verify_alone(context, SSL_get0_peer_certificate(tls->ssl),
	    SSL_get_peer_cert_chain(tls->ssl), &v) == 0) {
		tls->expires = v.expires;
		return 0;
	}
	*reason = v.reason;
	return -1;
}

int64_t
tls_peer_expires(const struct tls *tls)
{
	return tls->expires;
}

int
tls_peer_list(const struct tls *tls, struct tls_term *list)
{
	STACK_OF(X509) *chain = SSL_get0_verified_chain(tls->ssl);
	int n = sk_X509_num(chain);

	list->ends = 0;
	for (int i = 0; i < n && tls->context->crl != NULL; i++)
		revocation_first(tls->context->crl, sk_X509_value(chain, i),
		    sk_X509_value(chain, i + 1 < n ? i + 1 : i), list);
	return list->ends == 0 ? -1 : 0;
}

const struct failure *
tls_failure(const struct tls *tls)
{
	return &tls->failure;
}

const struct tls_identity *
tls_peer(const struct tls *tls)
{
	return tls->has_peer ? &tls->peer : NULL;
}

int
tls_peer_certificate(const struct tls *tls, size_t n, struct tls_identity *id)
{
	return cert_identity(sk_X509_value(SSL_get0_verified_chain(tls->ssl),
	    (int)n), id);
}

int
tls_identity_load(const char *path, struct tls_identity *id,
    struct failure *why)
{
	X509 *cert = load_first(path, why);
	int result;

	if (cert == NULL)
		return -1;
	if ((result = cert_identity(cert, id)) == -1)
		failure_set(why, TLS_FAILURE_MEMORY, "cannot read the "
		    "certificate %s: out of memory", path);
	X509_free(cert);
	return result;
}

const char *
tls_version(const struct tls *tls)
{
	return SSL_get_version(tls->ssl);
}

const char *
tls_cipher(const struct tls *tls)
{
	return SSL_get_cipher_name(tls->ssl);
}
