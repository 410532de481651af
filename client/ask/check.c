/*
 * check.c - aisc --check: is all well between here and a server?
 *
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/wire/body.h"
#include "common/base/buf.h"
#include "common/base/date.h"
#include "common/base/json.h"
#include "common/endpoint/conn.h"
#include "common/base/net.h"
#include "common/tls/tls.h"
#include "common/base/text.h"

#include "client/core/outcome.h"
#include "client/core/memory.h"
#include "client/core/settings.h"
#include "client/session/dial.h"
#include "client/core/printer.h"
#include "client/session/session.h"
#include "client/session/request.h"
#include "client/ask/question.h"

#include "client/ask/check.h"

#define DAY		86400
/* See SHARE in daemon/certwatch.c. */
#define LIST_SHARE	5
/* The most certificates of one side that are shown. */
#define CHAIN_MAX	10
/* The most of the server's answer about its rule. */
#define RULE_MAX	1024
/* What there is to say in the first line. */
#define TEXT_MAX	(OUTCOME_TEXT_MAX + 512)

/* The certificates of one side, its own first. */
struct chain {
	struct tls_identity certs[CHAIN_MAX];
	size_t count;
};

/* All that has been found. */
struct report {
	const struct check *check;
	const struct settings *settings;
	struct outcome outcome;
	enum check_status status;
	char text[TEXT_MAX];	/* The first line, without what is measured. */
	int64_t now;		/* Seconds since 1970. */
	struct chain own;
	struct chain server;	/* None, and nothing below, if there was no
				 * answer. */
	struct greeting greeting;
	char address[DIAL_PEER_MAX];
	const char *version;
	const char *cipher;
	char rule[RULE_MAX];
	int64_t rtt_us;
};

static const char *const status_names[] = {
	[CHECK_OK] = "OK", [CHECK_WARNING] = "WARNING",
	[CHECK_CRITICAL] = "CRITICAL", [CHECK_UNKNOWN] = "UNKNOWN"
};

/* Whole days from now to "t", fewer than 0 if it is over. */
static int64_t
check_days(const struct report *r, int64_t t)
{
	int64_t left = t - r->now;

	return left >= 0 ? left / DAY : -((-left + DAY - 1) / DAY);
}

/* The same as "3 days". */
static char *
check_days_text(const struct report *r, int64_t t, char out[TEXT_COUNT_MAX])
{
	return text_count(out, (double)check_days(r, t), "day");
}

/* The authorities' certificate that ends first, or NULL if none is known. */
static const struct tls_identity *
check_first_authority(const struct report *r)
{
	const struct chain *chains[] = { &r->own, &r->server };
	const struct tls_identity *first = NULL;

	for (size_t i = 0; i < 2; i++) {
		for (size_t k = 1; k < chains[i]->count; k++) {
			const struct tls_identity *id = &chains[i]->certs[k];

			if (first == NULL || id->not_after < first->not_after)
				first = id;
		}
	}
	return first;
}

/* --- what is found ----------------------------------------------------- */

/* Set the status and the text. */
static void __attribute__((format(printf, 3, 4)))
check_finds(struct report *r, enum check_status status, const char *format, ...)
{
	va_list ap;

	r->status = status;
	va_start(ap, format);
	(void)vsnprintf(r->text, sizeof r->text, format, ap);
	va_end(ap);
}

/* Say what the outcome of a request is to a plugin.  Always -1. */
static int
check_failed(struct report *r)
{
	const struct outcome *o = &r->outcome;
	const struct settings *s = r->settings;
	enum check_status status = CHECK_CRITICAL;
	char why[FAILURE_MAX], ahead[TEXT_COUNT_MAX], time[TEXT_COUNT_MAX];

	if (o->class == OUTCOME_CONFIG || o->class == OUTCOME_INTERRUPTED)
		status = CHECK_UNKNOWN;
	if (o->class == OUTCOME_BUSY && r->greeting.waits)
		check_finds(r, CHECK_WARNING, "the server is up, but busy: %s "
		    "before us for %s", text_count(ahead, r->greeting.ahead,
		    "client"), text_count(time, (double)(s->wait < s->timeout ?
		    s->wait : s->timeout) / 1000, "second"));
	else
		check_finds(r, status, "%s: %s", outcome_class_name(o->class),
		    failure_sentence(&o->failure, why));
	return -1;
}

/* Look at our own files, before a server sees them. */
static int
check_here(struct report *r)
{
	const struct settings *s = r->settings;
	struct tls_context *context = dial_context(s, &r->outcome);
	struct chain *own = &r->own;
	struct failure why;

	if (context == NULL) {
		(void)check_failed(r);
		/* Of what can be wrong here, time alone brings this. */
		if (s->certificate != NULL && tls_identity_load(s->certificate,
		    &own->certs[0], &why) == 0)
			own->count = 1;
		if (own->count > 0 && own->certs[0].not_after < r->now)
			r->status = CHECK_CRITICAL;
		return -1;
	}
	if (tls_client_check(context, &why) == -1) {
		outcome_failure(&r->outcome, OUTCOME_TLS, &why);
		failure_more(&r->outcome.failure, "see %s and %s",
		    s->certificate, s->authority);
	}
	while (own->count < CHAIN_MAX && tls_context_certificate(context,
	    own->count, &own->certs[own->count]) == 0)
		own->count++;
	tls_context_free(context);
	return r->outcome.class == OUTCOME_DONE ? 0 : check_failed(r);
}

/* Take down what the connection says of the server. */
static void
check_conn(struct report *r, const struct conn *conn)
{
	struct chain *server = &r->server;

	dial_peer(r->settings, conn, r->address);
	r->version = tls_version(conn_tls(conn));
	r->cipher = tls_cipher(conn_tls(conn));
	while (server->count < CHAIN_MAX && tls_peer_certificate(conn_tls(conn),
	    server->count, &server->certs[server->count]) == 0)
		server->count++;
}

/* Ask which rule applies, and how long an answer takes. */
static int
check_there(struct report *r, struct request *request)
{
	const struct body body = { .operation = PROTO_CAN };
	struct outcome *o = &r->outcome;
	struct buf rule;
	size_t n;

	buf_init(&rule, RULE_MAX);
	question_put(request, &body, &rule, o);
	r->greeting = request_session(request)->greeting;
	n = buf_used(&rule);
	if (n > 0 && buf_data(&rule)[n - 1] == '\n')
		n--;
	if (n > 0)
		text_printable(r->rule, sizeof r->rule, buf_data(&rule), n);
	buf_free(&rule);
	if (o->class != OUTCOME_DONE)
		return check_failed(r);
	r->rtt_us = request_ping(request, o);
	if (r->rtt_us == -1)
		return check_failed(r);
	check_conn(r, request_session(request)->end.conn);
	return 0;
}

/* Is "left", in seconds, too little? */
static enum check_status
check_time(int64_t left, int64_t warn, int64_t critical)
{
	return left < critical ? CHECK_CRITICAL : left < warn ?
	    CHECK_WARNING : CHECK_OK;
}

/* Judge a certificate by the days that it has left. */
static void
check_certificate(struct report *r, const struct tls_identity *id,
    const char *whose)
{
	enum check_status status;
	char left[TEXT_COUNT_MAX];

	if (id == NULL)
		return;
	status = check_time(id->not_after - r->now, r->check->warn_days * DAY,
	    r->check->critical_days * DAY);
	if (status > r->status)
		check_finds(r, status, "renew the certificate \"%s\" of %s, %s "
		    "left", id->subject, whose, check_days_text(r,
		    id->not_after, left));
}

/*
 * Judge the server's list likewise, but no sooner than in the last fifth of its
 * own time, as aisd does: one that is renewed each day is never found wrong.
 */
static void
check_list(struct report *r)
{
	const struct greeting *g = &r->greeting;
	int64_t share = (g->list_ends - g->list_begins) / LIST_SHARE;
	int64_t warn = r->check->warn_days * DAY;
	int64_t critical = r->check->critical_days * DAY;
	enum check_status status;
	char time[TEXT_COUNT_MAX];

	if (g->list_ends == 0)
		return;
	if (share >= 0 && share < warn) {
		critical = critical * share / warn;
		warn = share;
	}
	status = check_time(g->list_ends - r->now, warn, critical);
	if (status > r->status)
		check_finds(r, status, "the server needs a new revocation "
		    "list of \"%s\", %s left", g->list, check_days_text(r,
		    g->list_ends, time));
}

static void
check_look(struct report *r, struct request *request)
{
	if (check_here(r) == -1 || check_there(r, request) == -1)
		return;
	check_certificate(r, &r->own.certs[0], "our own");
	check_certificate(r, &r->server.certs[0], "the server");
	check_certificate(r, check_first_authority(r), "an authority");
	check_list(r);
}

/* --- what is said ------------------------------------------------------ */

const char *
check_status_name(enum check_status status)
{
	return status_names[status];
}

void
check_put(FILE *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '|')
			(void)fputs("\\x7c", out);
		else
			(void)putc(*text, out);
	}
}

/* What is measured: for people, and after "|" for machines. */
static void
check_put_measures(FILE *out, const struct report *r)
{
	const struct tls_identity *authority = check_first_authority(r);
	int64_t server = check_days(r, r->server.certs[0].not_after);
	int64_t own = check_days(r, r->own.certs[0].not_after);

	(void)fprintf(out, "%s, %.1f ms, server certificate %" PRId64 " days, "
	    "own %" PRId64 " days | rtt=%" PRId64 ".%06" PRId64 "s;;; "
	    "server_days=%" PRId64 " own_days=%" PRId64, r->version,
	    (double)r->rtt_us / 1000, server, own, r->rtt_us / 1000000,
	    r->rtt_us % 1000000, server, own);
	if (authority != NULL)
		(void)fprintf(out, " authority_days=%" PRId64,
		    check_days(r, authority->not_after));
	if (r->greeting.list_ends != 0)
		(void)fprintf(out, " crl_days=%" PRId64,
		    check_days(r, r->greeting.list_ends));
}

/* Until when something is valid, at the end of a line. */
static void
check_put_until(FILE *out, const struct report *r, int64_t t)
{
	char until[DATE_TEXT_MAX], days[TEXT_COUNT_MAX];

	(void)fprintf(out, ", until %s, %s left\n", date_record(t, until),
	    check_days_text(r, t, days));
}

static void
check_put_chain(FILE *out, const struct report *r, const char *whose,
    const struct chain *chain)
{
	for (size_t i = 0; i < chain->count; i++) {
		const struct tls_identity *id = &chain->certs[i];

		(void)fprintf(out, "%s %s: \"", whose, i == 0 ?
		    "certificate" : "authority");
		check_put(out, id->subject);
		(void)fputs("\", issued by \"", out);
		check_put(out, id->issuer);
		(void)fprintf(out, "\", serial %s", id->serial);
		check_put_until(out, r, id->not_after);
	}
}

/* What the server has said of the session. */
static void
check_put_answer(FILE *out, const struct report *r)
{
	const struct greeting *g = &r->greeting;
	const struct {
		const char *name;
		const char *text;
	} lines[] = {
		{ "server", g->server }, { "session", g->session },
		{ "knows us as", g->peer }, { "rule", r->rule }
	};

	(void)fprintf(out, "address: %s, TLS ready after %.1f ms\n"
	    "connection: %s, %s\n", r->address, (double)g->shaken_us / 1000,
	    r->version, r->cipher);
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		(void)fprintf(out, "%s: ", lines[i].name);
		check_put(out, lines[i].text);
		(void)putc('\n', out);
	}
}

static void
check_put_lines(FILE *out, const struct report *r)
{
	const struct greeting *g = &r->greeting;

	(void)fprintf(out, "AISC %s - %s: ", status_names[r->status],
	    r->settings->host);
	check_put(out, r->text);
	if (r->server.count > 0) {
		(void)fputs(*r->text == '\0' ? "" : "; ", out);
		check_put_measures(out, r);
	}
	(void)putc('\n', out);
	if (r->server.count > 0)
		check_put_answer(out, r);
	if (g->list_ends != 0) {
		(void)fputs("server's revocation list: \"", out);
		check_put(out, g->list);
		(void)putc('"', out);
		check_put_until(out, r, g->list_ends);
	}
	check_put_chain(out, r, "own", &r->own);
	check_put_chain(out, r, "server", &r->server);
}

static void
check_json_chain(struct json *j, const struct report *r, const char *name,
    const struct chain *chain)
{
	char text[DATE_TEXT_MAX];

	json_open(j, name, '[');
	for (size_t i = 0; i < chain->count; i++) {
		const struct tls_identity *id = &chain->certs[i];

		json_open(j, NULL, '{');
		json_text(j, "subject", id->subject);
		json_text(j, "issuer", id->issuer);
		json_text(j, "serial", id->serial);
		json_text(j, "fingerprint", id->fingerprint);
		json_text(j, "not_before", date_record(id->not_before, text));
		json_text(j, "not_after", date_record(id->not_after, text));
		json_integer(j, "days", check_days(r, id->not_after));
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void
check_json_list(struct json *j, const struct report *r)
{
	const struct greeting *g = &r->greeting;
	char text[DATE_TEXT_MAX];

	if (g->list_ends == 0)
		return;
	json_open(j, "revocation_list", '{');
	json_text(j, "issuer", g->list);
	json_text(j, "this_update", date_record(g->list_begins, text));
	json_text(j, "next_update", date_record(g->list_ends, text));
	json_integer(j, "days", check_days(r, g->list_ends));
	json_close(j, '}');
}

static void
check_json_answer(struct json *j, const struct report *r)
{
	json_text(j, "address", r->address);
	json_text(j, "tls_version", r->version);
	json_text(j, "cipher", r->cipher);
	json_text(j, "server", r->greeting.server);
	json_text(j, "session", r->greeting.session);
	json_text(j, "peer", r->greeting.peer);
	json_text(j, "rule", r->rule);
	check_json_list(j, r);
	json_seconds(j, "handshake_seconds", r->greeting.shaken_us);
	json_seconds(j, "rtt_seconds", r->rtt_us);
}

/* The members that are always there. */
static void
check_json_status(struct json *j, enum check_status status, const char *host,
    const char *text)
{
	json_text(j, "status", status_names[status]);
	json_integer(j, "code", status);
	if (host != NULL)
		json_text(j, "host", host);
	json_text(j, "text", text);
}

static void
check_put_json(FILE *out, const struct report *r)
{
	struct json j = { .out = out };

	json_open(&j, NULL, '{');
	check_json_status(&j, r->status, r->settings->host, r->text);
	if (r->outcome.class != OUTCOME_DONE) {
		json_text(&j, "class", outcome_class_name(r->outcome.class));
		outcome_json(&j, &r->outcome);
	}
	json_integer(&j, "port", r->settings->port);
	if (r->server.count > 0)
		check_json_answer(&j, r);
	check_json_chain(&j, r, "own_chain", &r->own);
	check_json_chain(&j, r, "server_chain", &r->server);
	json_close(&j, '}');
	(void)putc('\n', out);
}

int
check_run(const struct check *check, const struct settings *s,
    struct request *request)
{
	struct report *r = memory_get(sizeof *r);
	struct outcome o = { .class = OUTCOME_DONE };
	enum check_status status;
	struct printer p;

	printer_open(&p, STDOUT_FILENO);
	r->check = check;
	r->settings = s;
	r->now = date_now();
	check_look(r, request);
	if (check->json)
		check_put_json(p.out, r);
	else
		check_put_lines(p.out, r);
	status = r->status;
	free(r);
	/* An answer that has not been written whole is none. */
	printer_close(&p, &o);
	return (int)(o.class == OUTCOME_DONE ? status : CHECK_UNKNOWN);
}

int
check_unknown(const struct check *check, const char *host, const char *why)
{
	const char *text = *why != '\0' ? why : "the options are not good; "
	    "standard error says why";
	struct outcome o = { .class = OUTCOME_DONE };
	struct json j = { .more = false };
	struct printer p;

	printer_open(&p, STDOUT_FILENO);
	j.out = p.out;
	if (check->json) {
		json_open(&j, NULL, '{');
		check_json_status(&j, CHECK_UNKNOWN, host, text);
		json_close(&j, '}');
		(void)putc('\n', p.out);
	} else {
		(void)fprintf(p.out, "AISC UNKNOWN - %s%s", host == NULL ?
		    "" : host, host == NULL ? "" : ": ");
		check_put(p.out, text);
		(void)putc('\n', p.out);
	}
	printer_close(&p, &o);
	return CHECK_UNKNOWN;
}
