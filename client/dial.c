#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "common/link.h"
#include "common/net.h"
#include "common/tls.h"

#include "client/outcome.h"
#include "client/settings.h"

#include "client/dial.h"

/* A server whose machine or network is gone is given up after so long, in
 * ms; as long as aisd's own "dead_timeout" is by default. */
#define DEAD_TIMEOUT	30000

struct tls_context *
dial_context(const struct settings *s, struct outcome *o)
{
	struct tls_files files = { .certificate = s->certificate,
	    .key = s->key, .authority = s->authority,
	    .allow_tls12 = s->allow_tls12 };
	char why[TLS_TEXT_MAX];
	struct tls_context *context = NULL;

	if (settings_check(s, why, sizeof why) == 0)
		context = tls_client_new(&files, why);
	if (context == NULL)
		outcome_fail(o, OUTCOME_CONFIG, "%s", why);
	return context;
}

static const char *
address_of(const struct settings *s)
{
	return s->host_name == NULL ? s->host : s->host_name;
}

void
dial_no_answer(const struct settings *s, struct outcome *o)
{
	outcome_fail(o, OUTCOME_CONNECT, "%s port %d does not answer within "
	    "%.3g seconds; look whether the machine is up and a firewall lets "
	    "you through", address_of(s), (int)s->port,
	    (double)s->connect_timeout / 1000);
}

int
dial_connect(const struct settings *s, struct tls_context *context,
    int64_t deadline, struct link *link, struct outcome *o)
{
	char port[8], why[OUTCOME_TEXT_MAX / 2];
	int fd;

	(void)snprintf(port, sizeof port, "%d", (int)s->port);
	fd = net_connect(address_of(s), port, s->family, deadline, why,
	    sizeof why);
	if (fd == -1 && errno == ETIMEDOUT)
		dial_no_answer(s, o);
	else if (fd == -1 && errno == ECONNREFUSED)
		outcome_fail(o, OUTCOME_CONNECT, "%s; look whether aisd runs "
		    "there and listens on this port", why);
	else if (fd == -1)
		outcome_fail(o, OUTCOME_CONNECT, "%s; look at the name, and "
		    "whether the machine can be reached", why);
	if (fd == -1)
		return -1;
	net_dead_after(fd, DEAD_TIMEOUT);
	if (link_open(link, context, fd, s->server_name == NULL ? s->host :
	    s->server_name) == 0)
		return 0;
	outcome_fail(o, OUTCOME_CONNECT, "cannot begin TLS: out of memory, or "
	    "no certificate can be for such a name");
	return -1;
}

bool
dial_was_dropped(const struct link *link, bool shaking)
{
	enum tls_failure failure = tls_failure(link->tls);

	return shaking && tls_peer(link->tls) == NULL &&
	    (failure == TLS_FAILURE_CUT || failure == TLS_FAILURE_SYSTEM);
}

void
dial_explain(const struct settings *s, const struct link *link, bool shaking,
    struct outcome *o)
{
	const char *why = tls_error(link->tls);

	switch (tls_failure(link->tls)) {
	case TLS_FAILURE_NAME:
		outcome_fail(o, OUTCOME_NAME, "%s", why);
		break;
	case TLS_FAILURE_NOT_TLS:
	case TLS_FAILURE_PROTOCOL:
		outcome_fail(o, OUTCOME_TLS, "%s; look whether it is aisd "
		    "that listens on port %d of %s", why, (int)s->port,
		    address_of(s));
		break;
	case TLS_FAILURE_CERTIFICATE:
	case TLS_FAILURE_REFUSED:
	case TLS_FAILURE_ALTERED:
		outcome_fail(o, OUTCOME_TLS, "%s", why);
		break;
	case TLS_FAILURE_NONE:
	case TLS_FAILURE_CUT:
	case TLS_FAILURE_SYSTEM:
	case TLS_FAILURE_MEMORY:
		outcome_fail(o, OUTCOME_LOST, "%s, %s; look whether aisd still "
		    "runs on %s, and into its log", why, shaking ?
		    "before TLS was ready" : "before the answer was complete",
		    address_of(s));
		break;
	}
}

void
dial_describe(const struct link *link, double ms)
{
	const struct tls_identity *peer = tls_peer(link->tls);
	struct net_address address;
	char text[NET_TEXT_MAX], date[32];
	time_t until = (time_t)peer->not_after;
	struct tm tm;

	if (net_peer(link->fd, &address) == -1 ||
	    gmtime_r(&until, &tm) == NULL ||
	    strftime(date, sizeof date, "%Y-%m-%d", &tm) == 0)
		return;
	outcome_say("connected to %s after %.1f ms, %s, %s",
	    net_text(&address, true, text), ms, tls_version(link->tls),
	    tls_cipher(link->tls));
	outcome_say("the server is \"%s\", certified by \"%s\" until %s, "
	    "serial %s", peer->subject, peer->issuer, date, peer->serial);
}
