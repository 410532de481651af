/*
 * trial.c - whether OpenSSL, as this machine has it configured, can do what is
 * asked of it.
 *
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <stdbool.h>
#include <stdio.h>

#include <openssl/conf.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "common/wire/proto.h"
#include "common/tls/cert.h"
#include "common/tls/trial.h"

/* TLS 1.3 takes three; more are no handshake. */
#define TURNS_MAX	10

/* Where OpenSSL's configuration is. */
static const char *
configuration(char out[256])
{
	char *file = CONF_get1_default_config_file();

	(void)snprintf(out, 256, "%s", file == NULL ? "openssl.cnf" : file);
	OPENSSL_free(file);
	return out;
}

void
trial_explain(struct failure *why)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());
	char file[256];

	if (reason == NULL || cert_lacked_memory())
		failure_set(why, TLS_FAILURE_MEMORY, "cannot make a TLS "
		    "context: out of memory");
	else {
		failure_set(why, TLS_FAILURE_FILES, "OpenSSL cannot do TLS on "
		    "this machine: %s", reason);
		failure_hint(why, "look at the providers in its configuration "
		    "%s", configuration(file));
	}
}

int
trial_versions(SSL_CTX *ssl, struct failure *why)
{
	long min = SSL_CTX_get_min_proto_version(ssl);
	long max = SSL_CTX_get_max_proto_version(ssl);	/* 0: any */
	bool none = (SSL_CTX_get_options(ssl) & SSL_OP_NO_TLSv1_3) != 0;
	char file[256];

	/* Without 1.3 there is 1.2, if it is taken. */
	if (min < TLS1_3_VERSION || (!none && (max == 0 || max >= min)))
		return 0;
	failure_set(why, TLS_FAILURE_FILES, "TLS 1.3 is switched off on this "
	    "machine, by MaxProtocol or Protocol in OpenSSL's configuration "
	    "%s", configuration(file));
	failure_hint(why, "allow it there");
	return -1;
}

/* A client as aisc is, but one that checks no certificate: that has been
 * done. */
static SSL *
make_client(SSL_CTX *server)
{
	static const unsigned char ours[] = "\x05" PROTO_ALPN;
	SSL_CTX *client = SSL_CTX_new(TLS_client_method());
	SSL *ssl = NULL;

	if (client == NULL)
		return NULL;
	SSL_CTX_set_security_level(client, SSL_CTX_get_security_level(server));
	if (SSL_CTX_set_min_proto_version(client,
	    (int)SSL_CTX_get_min_proto_version(server)) == 1 &&
	    SSL_CTX_set_alpn_protos(client, ours, sizeof ours - 1) == 0 &&
	    (ssl = SSL_new(client)) != NULL)
		SSL_set_connect_state(ssl);
	SSL_CTX_free(client);
	return ssl;
}

static SSL *
make_server(SSL_CTX *context)
{
	SSL *ssl = SSL_new(context);

	if (ssl != NULL) {
		SSL_set_verify(ssl, SSL_VERIFY_NONE, NULL);
		SSL_set_accept_state(ssl);
	}
	return ssl;
}

/* Connect both sides by queues in memory.  0, or -1 without memory. */
static int
connect_both(SSL *a, SSL *b)
{
	BIO *to_a = BIO_new(BIO_s_mem()), *to_b = BIO_new(BIO_s_mem());

	if (to_a == NULL || to_b == NULL || BIO_up_ref(to_a) != 1) {
		BIO_free(to_a);
		BIO_free(to_b);
		return -1;
	}
	(void)BIO_up_ref(to_b);
	SSL_set_bio(a, to_a, to_b);
	SSL_set_bio(b, to_b, to_a);
	return 0;
}

/* Go on with the handshake of one side.  1: done, 0: not yet, -1: failed. */
static int
go_on(SSL *ssl)
{
	int result = SSL_do_handshake(ssl);

	return result == 1 ? 1 : SSL_get_error(ssl, result) ==
	    SSL_ERROR_WANT_READ ? 0 : -1;
}

/* 0, or -1 and OpenSSL's queue says why. */
static int
shake_hands(SSL *client, SSL *server)
{
	int done[2] = { 0, 0 };

	ERR_clear_error();
	for (int i = 0; i < TURNS_MAX && (done[0] != 1 || done[1] != 1); i++) {
		if ((done[0] = go_on(client)) == -1 ||
		    (done[1] = go_on(server)) == -1)
			return -1;
	}
	return done[0] == 1 && done[1] == 1 ? 0 : -1;
}

/* What kind of key it is, such as "EC on secp256k1". */
static const char *
describe_key(EVP_PKEY *key, char out[80])
{
	const char *type = EVP_PKEY_get0_type_name(key);
	char group[64] = "";
	size_t n;

	if (EVP_PKEY_get_group_name(key, group, sizeof group, &n) != 1)
		group[0] = '\0';
	(void)snprintf(out, 80, "%.32s%s%.32s", type == NULL ? "unknown" : type,
	    *group == '\0' ? "" : " on ", group);
	return out;
}

static void
explain_failure(SSL_CTX *ssl, struct failure *why)
{
	unsigned long e = ERR_peek_error();
	int reason = ERR_GET_REASON(e);
	const char *text = ERR_reason_error_string(e);
	char key[80], file[256];

	/* A server whose key cannot sign in TLS 1.3 leaves that version out,
	 * which both sides of a connection take for the other's fault. */
	if (reason == SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM ||
	    reason == SSL_R_NO_SHARED_CIPHER ||
	    reason == SSL_R_UNSUPPORTED_PROTOCOL) {
		failure_set(why, TLS_FAILURE_FILES, "no client can take the "
		    "server's key: TLS has no signature by keys of its kind "
		    "(%s), or OpenSSL's configuration %s allows none",
		    describe_key(SSL_CTX_get0_privatekey(ssl), key),
		    configuration(file));
		failure_hint(why, "make the pair anew, with \"ais-ca server "
		    "NAME\" or another key such as P-256 or Ed25519");
	} else if (cert_lacked_memory())
		failure_set(why, TLS_FAILURE_MEMORY, "cannot try a handshake: "
		    "out of memory");
	else {
		failure_set(why, TLS_FAILURE_FILES, "no client can connect: a "
		    "TLS handshake with one of ours fails: %s", text == NULL ?
		    "it does not end" : text);
		failure_hint(why, "look at OpenSSL's configuration %s",
		    configuration(file));
	}
}

int
trial_handshake(SSL_CTX *ssl, struct failure *why)
{
	SSL *server = make_server(ssl), *client = make_client(ssl);
	int result = -1;

	if (server != NULL && client != NULL && connect_both(client, server)
	    == 0)
		result = shake_hands(client, server);
	if (result == -1)
		explain_failure(ssl, why);
	SSL_free(client);
	SSL_free(server);
	ERR_clear_error();
	return result;
}
