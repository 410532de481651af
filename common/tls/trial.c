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

#include "common/tls/types.h"
#include "common/tls/cert.h"
#include "common/tls/trial.h"

/* TLS 1.3 takes three; more are no handshake. */
#define TURNS_MAX	10
/* Bytes on the way: OpenSSL accepts no longer chain of certificates. */
#define QUEUE		(128 * 1024)

const char *
trial_configuration(char out[TRIAL_FILE_MAX])
{
	char *file = CONF_get1_default_config_file();

	(void)snprintf(out, TRIAL_FILE_MAX, "%s", file == NULL ? "openssl.cnf" :
	    file);
	OPENSSL_free(file);
	return out;
}

void
trial_explain(struct failure *why)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());
	char file[TRIAL_FILE_MAX];

	if (reason == NULL || cert_lacked_memory())
		failure_set(why, TLS_FAILURE_MEMORY, "cannot make a TLS "
		    "context: out of memory");
	else {
		failure_set(why, TLS_FAILURE_FILES, "OpenSSL cannot do TLS on "
		    "this machine: %s", reason);
		failure_hint(why, "look at the providers in its configuration "
		    "%s", trial_configuration(file));
	}
}

int
trial_versions(SSL_CTX *ssl, struct failure *why)
{
	long min = SSL_CTX_get_min_proto_version(ssl);
	long max = SSL_CTX_get_max_proto_version(ssl);	/* 0: any */
	bool none = (SSL_CTX_get_options(ssl) & SSL_OP_NO_TLSv1_3) != 0;
	char file[TRIAL_FILE_MAX];

	/* Without 1.3 there is 1.2, if it is taken. */
	if (min < TLS1_3_VERSION || (!none && (max == 0 || max >= min)))
		return 0;
	return failure_make(why, TLS_FAILURE_FILES, "allow it there", "TLS 1.3 "
	    "is switched off on this machine, by MaxProtocol or Protocol in "
	    "OpenSSL's configuration %s", trial_configuration(file));
}

/* A client as aisc is, but one that checks no certificate: that has been
 * done. */
static SSL *
make_client(SSL_CTX *server)
{
	static const unsigned char list[] = TLS_ALPN_LIST;
	SSL_CTX *client = SSL_CTX_new(TLS_client_method());
	SSL *ssl = NULL;

	if (client == NULL)
		return NULL;
	SSL_CTX_set_security_level(client, SSL_CTX_get_security_level(server));
	if (SSL_CTX_set_min_proto_version(client,
	    (int)SSL_CTX_get_min_proto_version(server)) == 1 &&
	    SSL_CTX_set_alpn_protos(client, list, sizeof list - 1) == 0)
		ssl = SSL_new(client);
	SSL_CTX_free(client);
	return ssl;
}

/* Go on with the handshake of one side.  1: done, 0: not yet, -1: failed. */
static int
go_on(SSL *ssl)
{
	int result = SSL_do_handshake(ssl);
	int error = SSL_get_error(ssl, result);

	return result == 1 ? 1 : error == SSL_ERROR_WANT_READ ||
	    error == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

/* 0, or -1 and OpenSSL's queue says why. */
static int
shake_hands(SSL *client, SSL *server)
{
	BIO *ends[2];
	int a, b;

	if (BIO_new_bio_pair(&ends[0], QUEUE, &ends[1], QUEUE) != 1)
		return -1;
	SSL_set_bio(client, ends[0], ends[0]);
	SSL_set_bio(server, ends[1], ends[1]);
	SSL_set_connect_state(client);
	SSL_set_accept_state(server);
	SSL_set_verify(server, SSL_VERIFY_NONE, NULL);
	ERR_clear_error();
	for (int i = 0; i < TURNS_MAX; i++) {
		if ((a = go_on(client)) == -1 || (b = go_on(server)) == -1)
			return -1;
		if (a == 1 && b == 1)
			return 0;
	}
	return -1;
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
explain_handshake(SSL_CTX *ssl, const char *stored, struct failure *why)
{
	unsigned long e = ERR_peek_error();
	int reason = ERR_GET_REASON(e);
	const char *text = ERR_reason_error_string(e);
	char key[80], file[TRIAL_FILE_MAX];

	/* A server whose key cannot sign in TLS 1.3 leaves that version out,
	 * which both sides of a connection take for the other's fault. */
	if (reason == SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM ||
	    reason == SSL_R_NO_SHARED_CIPHER ||
	    reason == SSL_R_UNSUPPORTED_PROTOCOL) {
		failure_set(why, TLS_FAILURE_FILES, "no client can take the "
		    "server's key: TLS has no signature by keys of its kind "
		    "(%s), or OpenSSL's configuration %s allows none",
		    describe_key(SSL_CTX_get0_privatekey(ssl), key),
		    trial_configuration(file));
		failure_hint(why, "make the pair anew, with \"ais-ca server "
		    "NAME\" or another key such as P-256 or Ed25519");
	} else if (cert_lacked_memory())
		failure_set(why, TLS_FAILURE_MEMORY, "cannot try a handshake: "
		    "out of memory");
	else if (stored != NULL) {
		failure_set(why, TLS_FAILURE_FILES, "the key %s cannot sign "
		    "in TLS: %s", stored, text == NULL ? "unknown error" :
		    text);
		failure_hint(why, "it must be a key for signatures, and of the "
		    "providers in OpenSSL's configuration %s \"default\" must "
		    "be the first", trial_configuration(file));
	} else {
		failure_set(why, TLS_FAILURE_FILES, "no client can connect: a "
		    "TLS handshake with one of ours fails: %s", text == NULL ?
		    "it does not end" : text);
		failure_hint(why, "look at OpenSSL's configuration %s",
		    trial_configuration(file));
	}
}

int
trial_handshake(SSL_CTX *ssl, const char *stored, struct failure *why)
{
	SSL *server = SSL_new(ssl), *client = make_client(ssl);
	int result = server == NULL || client == NULL ? -1 :
	    shake_hands(client, server);

	if (result == -1)
		explain_handshake(ssl, stored, why);
	SSL_free(client);
	SSL_free(server);
	ERR_clear_error();
	return result;
}
