/*
 * dial.c - from the settings to a connection, or why there is none.
 *
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "common/base/date.h"
#include "common/endpoint/conn.h"
#include "common/base/net.h"
#include "common/wire/proto.h"
#include "common/tls/tls.h"
#include "common/base/text.h"

#include "client/core/connect.h"
#include "client/core/outcome.h"
#include "client/core/passphrase.h"
#include "client/core/proxy.h"
#include "client/core/settings.h"

#include "client/session/dial.h"

struct tls_context *
dial_context(const struct settings *s, struct outcome *o)
{
	struct tls_files files = { .certificate = s->certificate,
	    .key = s->key, .authority = s->authority,
	    .passphrase = passphrase_get, .asked = s,
	    .allow_tls12 = s->allow_tls12, .pipes = true };
	struct failure why;
	struct tls_context *context = NULL;

	if (settings_check(s, &why) == 0)
		context = tls_client_new(&files, &why);
	if (context == NULL)
		outcome_failure(o, OUTCOME_CONFIG, &why);
	return context;
}

static const char *
dial_address(const struct settings *s)
{
	return s->host_name == NULL ? s->host : s->host_name;
}

/* What carries connections for "s", or NULL. */
static const char *
dial_proxy(const struct settings *s)
{
	return s->proxy_command == NULL ? NULL : s->proxy_command[0];
}

void
dial_proxy_ended(const struct settings *s, int status, struct outcome *o)
{
	char shown[DIAL_PEER_MAX];
	const char *proxy = dial_proxy(s), *name;

	assert(proxy != NULL);
	name = text_printable(shown, sizeof shown, proxy, strlen(proxy));
	if (WIFSIGNALED(status))
		outcome_fail(o, OUTCOME_CONNECT, "signal %d has ended the "
		    "proxy_command %s", WTERMSIG(status), name);
	else
		outcome_fail(o, OUTCOME_CONNECT, "the proxy_command %s has "
		    "ended with status %d", name, WEXITSTATUS(status));
	outcome_hint(o, "look whether it reaches port %d of %s", (int)s->port,
	    dial_address(s));
}

void
dial_no_answer(const struct settings *s, enum dial_stage stage,
    struct outcome *o)
{
	char within[TEXT_COUNT_MAX + 8] = "", time[TEXT_COUNT_MAX];

	if (s->connect_timeout > 0)
		(void)snprintf(within, sizeof within, " within %s",
		    text_count(time, (double)s->connect_timeout / 1000,
		    "second"));
	if (dial_proxy(s) != NULL && stage != DIAL_GREETING) {
		outcome_fail(o, OUTCOME_CONNECT, "%s port %d does not answer "
		    "by the proxy_command%s", dial_address(s), (int)s->port,
		    within);
		outcome_hint(o, "look whether that reaches it");
		return;
	}
	if (stage == DIAL_CONNECTING)
		outcome_fail(o, OUTCOME_CONNECT, "%s port %d does not "
		    "answer%s", dial_address(s), (int)s->port, within);
	else
		outcome_fail(o, OUTCOME_CONNECT, "%s port %d takes the "
		    "connection, but does not answer%s", dial_address(s),
		    (int)s->port, within);
	outcome_hint(o, stage == DIAL_CONNECTING ? "look whether the machine "
	    "is up and a firewall lets you through" : "look whether it is "
	    "aisd that listens there");
}

/* What to do about a connection that cannot be made, for errno. */
static const char *
dial_advice(int e)
{
	switch (e) {
	case ECONNREFUSED:
		return "look whether aisd runs there and listens on this port";
	case ENETUNREACH:
	case ENETDOWN:
		return "look at the network and the routes of this machine";
	case EHOSTUNREACH:
	case EHOSTDOWN:
		return "look whether the machine is up, and at the routes and "
		    "firewalls between";
	case ENOENT:
		return "look at the name, and at \"host_name\" in aisc.conf";
	case EBUSY:
		return "the name servers do not answer: try again, or use an "
		    "address";
	default:
		return "look whether the machine can be reached";
	}
}

/* Can "name" be that of a host in the DNS, and in a certificate? */
static int
dial_check_name(const char *name, struct outcome *o)
{
	char shown[4 * NET_HOST_MAX];
	struct net_host host;
	bool ascii = true;

	/* The proxy_command may be one that gives it to a shell. */
	if (net_host(name, &host) == 0 && settings_is_host(name))
		return 0;
	for (const char *p = name; *p != '\0'; p++)
		ascii = ascii && (signed char)*p >= 0;
	(void)text_printable(shown, sizeof shown, name, strlen(name));
	outcome_fail(o, OUTCOME_CONNECT, "\"%s\" is no name of a host%s",
	    shown, ascii ? "" : " in ASCII");
	outcome_hint(o, ascii ? "look at the name, and at \"host_name\" and "
	    "\"server_name\" in aisc.conf" : "write it as the DNS and "
	    "certificates have it, with \"xn--\": idn2(1) shows how");
	return -1;
}

/* A connection by TCP; -1 with the reason in "o". */
static int
dial_directly(const struct settings *s, const char *port, int64_t deadline,
    struct outcome *o)
{
	char why[OUTCOME_TEXT_MAX / 2];
	int fd = connect_host(dial_address(s), port, s->family, deadline, why,
	    sizeof why);

	if (fd == -1 && errno == ETIMEDOUT)
		dial_no_answer(s, DIAL_CONNECTING, o);
	else if (fd == -1) {
		outcome_fail(o, OUTCOME_CONNECT, "%s", why);
		outcome_hint(o, "%s", dial_advice(errno));
	} else
		net_dead_after(fd, s->dead_timeout);
	return fd;
}

/* The same by the proxy_command. */
static int
dial_by_proxy(const struct settings *s, const char *port, pid_t *proxy,
    struct outcome *o)
{
	struct failure why;
	int fd = proxy_connect(s->proxy_command, dial_address(s), port, proxy,
	    &why);

	if (fd == -1)
		outcome_failure(o, OUTCOME_CONNECT, &why);
	return fd;
}

struct conn *
dial_connect(const struct settings *s, struct tls_context *context,
    int64_t deadline, struct outcome *o, pid_t *proxy)
{
	const char *name = s->server_name == NULL ? s->host : s->server_name;
	struct conn *conn;
	char port[8];
	int fd;

	*proxy = 0;
	if (dial_check_name(dial_address(s), o) == -1 ||
	    dial_check_name(name, o) == -1)
		return NULL;
	(void)snprintf(port, sizeof port, "%d", (int)s->port);
	fd = dial_proxy(s) == NULL ? dial_directly(s, port, deadline, o) :
	    dial_by_proxy(s, port, proxy, o);
	if (fd == -1)
		return NULL;
	if ((conn = conn_open(context, fd, name)) == NULL)
		outcome_fail(o, OUTCOME_CONNECT, "cannot begin TLS: out of "
		    "memory");
	return conn;
}

bool
dial_was_dropped(const struct conn *conn, bool shaking)
{
	int code = tls_failure(conn_tls(conn))->code;

	return shaking && tls_peer(conn_tls(conn)) == NULL &&
	    (code == TLS_FAILURE_CUT || code == TLS_FAILURE_SYSTEM);
}

/* The stream has ended for "why", and the server has not said that it would. */
static void
dial_explain_loss(const struct settings *s, const char *why,
    enum dial_stage stage, struct outcome *o)
{
	const char *host = dial_address(s);

	switch (stage) {
	case DIAL_CONNECTING:
	case DIAL_SHAKING:
		outcome_fail(o, OUTCOME_LOST, "%s", why);
		outcome_hint(o, "look whether it is aisd that listens on port "
		    "%d of %s, and into its log; or, if many connect from "
		    "here at once, at MaxConnectionsPerSource of its "
		    "aisd-each.socket", (int)s->port, host);
		break;
	case DIAL_GREETING:
		outcome_fail(o, OUTCOME_LOST, "%s, before the server had "
		    "greeted us", why);
		outcome_hint(o, "it may have refused our certificate %s: look "
		    "into the log of aisd on %s", s->certificate, host);
		break;
	case DIAL_SERVED:
		outcome_fail(o, OUTCOME_LOST, "%s, before the answer was "
		    "complete", why);
		outcome_hint(o, "the command may have begun: look whether "
		    "aisd still runs on %s, and into its log", host);
		break;
	}
}

void
dial_ended(const struct settings *s, enum dial_stage stage, struct outcome *o)
{
	outcome_fail(o, OUTCOME_LOST, "the server ended the session %s",
	    stage == DIAL_SERVED ? "before the answer was complete" :
	    "without a greeting");
	outcome_hint(o, "look into the log of aisd on %s", dial_address(s));
}

void
dial_explain(const struct settings *s, const struct conn *conn,
    enum dial_stage stage, struct outcome *o)
{
	const struct failure *f = tls_failure(conn_tls(conn));
	const char *host = dial_address(s);
	int port = (int)s->port;

	outcome_failure(o, f->code == TLS_FAILURE_NAME ? OUTCOME_NAME :
	    OUTCOME_TLS, f);
	switch ((enum tls_failure)f->code) {
	case TLS_FAILURE_NOT_TLS:
		failure_more(&o->failure, "look at the port %d of %s: aisd "
		    "listens on " PROTO_PORT_TEXT " by default", port, host);
		break;
	case TLS_FAILURE_PROTOCOL:
		failure_more(&o->failure, "look whether it is aisd that "
		    "listens on port %d of %s", port, host);
		break;
	case TLS_FAILURE_AUTHORITY:
		failure_more(&o->failure, "look whether %s is the right "
		    "authority, and aisd listens on port %d of %s",
		    s->authority, port, host);
		break;
	case TLS_FAILURE_REFUSED:
		failure_more(&o->failure, "our certificate is in %s, and the "
		    "log of aisd on %s says more", s->certificate, host);
		break;
	case TLS_FAILURE_ENDED:
		failure_more(&o->failure, "the log of aisd on %s says more",
		    host);
		break;
	case TLS_FAILURE_NAME:
	case TLS_FAILURE_CERTIFICATE:
	case TLS_FAILURE_ALTERED:
		break;
	case TLS_FAILURE_NONE:
	case TLS_FAILURE_FILES:
	case TLS_FAILURE_CUT:
	case TLS_FAILURE_SYSTEM:
	case TLS_FAILURE_MEMORY:
		dial_explain_loss(s, f->text, stage, o);
		break;
	}
}

void
dial_peer(const struct settings *s, const struct conn *conn,
    char out[DIAL_PEER_MAX])
{
	const char *proxy = dial_proxy(s);
	struct net_address address;
	char text[NET_TEXT_MAX], shown[DIAL_PEER_MAX / 2];

	if (proxy != NULL)
		(void)snprintf(out, DIAL_PEER_MAX, "%s:%d by %s",
		    dial_address(s), (int)s->port, text_printable(shown,
		    sizeof shown, proxy, strlen(proxy)));
	else
		(void)snprintf(out, DIAL_PEER_MAX, "%s",
		    net_peer(conn_fd(conn), &address) == -1 ?
		    "an unknown address" : net_text(&address, true, text));
}

void
dial_describe(const struct settings *s, const struct conn *conn, double ms)
{
	const struct tls_identity *peer = tls_peer(conn_tls(conn));
	char text[DIAL_PEER_MAX], date[DATE_TEXT_MAX];

	dial_peer(s, conn, text);
	outcome_say("connected to %s after %.1f ms, %s, %s", text, ms,
	    tls_version(conn_tls(conn)), tls_cipher(conn_tls(conn)));
	outcome_say("the server is \"%s\", certified by \"%s\" until %s, "
	    "serial %s", peer->subject, peer->issuer,
	    date_day(peer->not_after, date), peer->serial);
}
