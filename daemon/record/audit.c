/*
 * audit.c - one structured record for each thing that operators ask about.
 *
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/date.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/base/words.h"
#include "common/tls/tls.h"
#include "daemon/record/audit.h"

/* The longest argv on record; more is cut, and marked. */
#define ARGV_MAX	(64 * 1024)
#define FIELDS_MAX	32
#define NUMBERS_MAX	512
/* A sentence has so many bytes of a name and of a command's words, so that
 * there is always room for how the command ended. */
#define NAME_SHOWN	128
#define WORDS_SHOWN	400
#define COMMAND_SHOWN	(WORDS_SHOWN + sizeof "\"\"...")

/* An event under construction. */
struct record {
	struct log_event event;
	struct log_field fields[FIELDS_MAX];
	char numbers[NUMBERS_MAX];
	size_t used;
	char *argv;
	char peer[NAME_SHOWN];		/* Both as a sentence has them. */
	char command[COMMAND_SHOWN];
};

/* The level is the usual one: a failure has a more urgent one.  The last two
 * are events of common/conf and common/base/log. */
static const struct log_kind kinds[] = {
	{ "start", "0ccc175dcd15a3d46d7614c1303b91ac", LOG_LEVEL_NOTICE },
	{ "stop", "d2ec233de56a11fb19db0a577edb46f3", LOG_LEVEL_NOTICE },
	{ "reload", "f2379fb38971a9d4733d183b9b6a25e5", LOG_LEVEL_NOTICE },
	{ "handshake-failed", "703073d4200f02bd9e85385ade67ca56",
	    LOG_LEVEL_WARNING },
	{ "connections-dropped", "ba24a823afbf42beaa89ecc0fc2c63c8",
	    LOG_LEVEL_WARNING },
	{ "session-open", "4198a280296285705f5936226fb19ffb", LOG_LEVEL_INFO },
	{ "session-close", "49cc2f154488e8aa4c780d6c2d78127a", LOG_LEVEL_INFO },
	{ "command-start", "c8ca3bb4edb7358fd8396cafaa63de6b",
	    LOG_LEVEL_NOTICE },
	{ "command-end", "0031263d89a02fcbedc03a01e2e07e92", LOG_LEVEL_NOTICE },
	{ "command-refused", "501616ff489ad9dbda9509995c9661a4",
	    LOG_LEVEL_WARNING },
	{ "limit-hit", "c6b6e8a8a96545dda9963644e86c577d", LOG_LEVEL_WARNING },
	{ "expiry", "79242e230ff9b8121f9c808792aa3714", LOG_LEVEL_WARNING },
	{ "clock-jump", "f8644787707e4648a0b0c879c77737fc", LOG_LEVEL_WARNING },
	{ "config-error", "4489898d697b4a20a2821b33abe309c1", LOG_LEVEL_ERROR },
	{ "log-sink", "a49e99c1580b491c8919ccc71aa1080a", LOG_LEVEL_ERROR }
};

void
audit_init(void)
{
	log_set_kinds(kinds, sizeof kinds / sizeof kinds[0]);
}

/* What this daemon is known by, from audit_start() on; "" for one that serves a
 * single connection. */
static char daemon_name[256];

static void
audit_begin(struct record *r, const char *kind)
{
	memset(&r->event, 0, sizeof r->event);
	r->event.name = kind;
	r->event.fields = r->fields;
	r->used = 0;
	r->argv = NULL;
}

static void
record_put(struct record *r, const char *name, const char *value)
{
	struct log_field *f = &r->fields[r->event.count];

	if (value == NULL || r->event.count == FIELDS_MAX)
		return;
	f->name = name;
	f->value = value;
	f->length = strlen(value);
	r->event.count++;
}

static void __attribute__((format(printf, 3, 4)))
put_number(struct record *r, const char *name, const char *format, ...)
{
	size_t left = sizeof r->numbers - r->used;
	char *text = r->numbers + r->used;
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(text, left, format, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= left)
		return;
	r->used += (size_t)n + 1;
	record_put(r, name, text);
}

/* What is wrong and what to do; returns both as one sentence, in "out". */
static const char *
put_failure(struct record *r, const struct failure *why,
    char out[FAILURE_MAX])
{
	record_put(r, "reason", why->text);
	if (why->hint[0] != '\0')
		record_put(r, "hint", why->hint);
	return failure_sentence(why, out);
}

/* Microseconds, as milliseconds. */
static void
put_duration(struct record *r, const char *name, int64_t us)
{
	put_number(r, name, "%lld.%03lld", (long long)us / 1000,
	    (long long)us % 1000);
}

static void
put_sums(struct record *r, uint64_t in, uint64_t out, uint64_t err)
{
	put_number(r, "stdin_bytes", "%llu", (unsigned long long)in);
	put_number(r, "stdout_bytes", "%llu", (unsigned long long)out);
	put_number(r, "stderr_bytes", "%llu", (unsigned long long)err);
}

static void
put_peer(struct record *r, const struct audit_peer *p)
{
	const struct tls_identity *id = p->identity;
	const char *shown;

	if (p->session[0] != '\0')
		record_put(r, "session", p->session);
	record_put(r, "address", p->address);
	if (id == NULL)
		return;
	record_put(r, "peer", id->common_name);
	record_put(r, "subject", id->subject);
	record_put(r, "issuer", id->issuer);
	record_put(r, "serial", id->serial);
	record_put(r, "fingerprint", id->fingerprint);
	shown = id->common_name[0] != '\0' ? id->common_name : id->subject;
	(void)text_printable(r->peer, sizeof r->peer, shown, strlen(shown));
}

const char *
audit_command_name(const struct audit_command *c)
{
	return c->shell ? "a shell line" : c->argv[0];
}

/* The command in a sentence: its words in double quotes; "..." after them: the
 * field has more. */
static void
show_command(const struct audit_command *c, char out[COMMAND_SHOWN])
{
	char words[WORDS_SHOWN];
	bool whole;

	if (c->shell) {
		(void)snprintf(out, COMMAND_SHOWN, "%s", *c->argv[0] == '\0' ?
		    "a shell" : audit_command_name(c));
		return;
	}
	whole = words_show(words, sizeof words, c->argv);
	(void)snprintf(out, COMMAND_SHOWN, "\"%s\"%s", words,
	    whole ? "" : "...");
}

static void
put_command(struct record *r, const struct audit_command *c)
{
	put_number(r, "request", "%lu", (unsigned long)c->request);
	record_put(r, "rule", c->rule);
	if (c->command != NULL && c->command[0] != '\0')
		record_put(r, "command", c->command);
	if (c->learned)
		record_put(r, "learned", "true");
	if (c->inserted)
		record_put(r, "inserted", "true");
	record_put(r, "user", c->user);
	record_put(r, "directory", c->directory);
	/* Without memory the record goes without it, which the "?" says. */
	r->argv = words_join(c->argv, ARGV_MAX);
	record_put(r, c->shell ? "line" : "argv", r->argv == NULL ? "?" :
	    r->argv);
	/* The cut of words_join() can be told from no word of a client. */
	if (r->argv != NULL && strlen(r->argv) > ARGV_MAX)
		record_put(r, "argv_cut", "true");
	show_command(c, r->command);
}

/* Begin a record about a command of a peer. */
static void
begin_command(struct record *r, const char *kind, const struct audit_peer *p,
    const struct audit_command *c)
{
	audit_begin(r, kind);
	put_peer(r, p);
	put_command(r, c);
}

static int __attribute__((format(printf, 2, 3)))
audit_emit(struct record *r, const char *format, ...)
{
	char text[LOG_TEXT_MAX];
	va_list ap;
	int taken;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	r->event.text = text;
	taken = log_emit(&r->event);
	free(r->argv);
	return taken;
}

/* How long it took, for people. */
static const char *
show_duration(int64_t us, char out[32])
{
	int64_t s = us / 1000000;

	if (s < 100)
		(void)snprintf(out, 32, "%lld.%02d s", (long long)s,
		    (int)(us % 1000000 / 10000));
	else
		(void)snprintf(out, 32, "%lld:%02d:%02d", (long long)s / 3600,
		    (int)(s / 60 % 60), (int)(s % 60));
	return out;
}

/* The words of a sentence for a reason that is one word in its field; the
 * reason itself if it has no words of its own. */
static const char *
show_reason(const char *reason)
{
	static const struct {
		const char *reason;
		const char *text;
	} table[] = {
		{ "done", "the client ended it" },
		{ "idle", "it was idle for too long" },
		{ "turn", "its turn was over, and others waited" },
		{ "session-timeout", "session_timeout" },
		{ "stopping", "aisd stops" },
		{ "revoked", "the client's certificate has been revoked" },
		{ "expired", "the client's certificate has expired" },
		{ "untrusted", "the client's certificate is not trusted any "
		    "more" },
		{ "no-rule", "no rule matches the client any more" },
		{ "altered", "bytes were changed on the way" },
		{ "time-limit", "time_limit" },
		{ "output-limit", "output_limit" },
		{ "cancelled", "its client has cancelled it" },
		{ "stream-lost", "a part of its input or output was lost" },
		{ "penalty", "from there too many failed (failure_penalty)" },
		{ "crowd", "there were too many, most of them from there "
		    "(max_handshakes)" },
		{ "unfinished", "from there too many begin and do not go on "
		    "(failure_penalty)" },
	};

	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		if (strcmp(table[i].reason, reason) == 0)
			return table[i].text;
	}
	return reason;
}

void
audit_start(const char *version, const char *listen)
{
	char host[128] = "";
	struct record r;

	/* One address of one machine has one daemon at a time. */
	(void)gethostname(host, sizeof host - 1);
	(void)snprintf(daemon_name, sizeof daemon_name, "%s/%.*s", host,
	    (int)strcspn(listen, ","), listen);
	audit_begin(&r, "start");
	record_put(&r, "version", version);
	record_put(&r, "listen", listen);
	record_put(&r, "daemon", daemon_name);
	(void)audit_emit(&r, "aisd %s serves on %s", version, listen);
}

void
audit_stop(const char *reason)
{
	struct record r;

	audit_begin(&r, "stop");
	record_put(&r, "reason", reason);
	(void)audit_emit(&r, "aisd stops: %s", reason);
}

void
audit_reload(bool done, const char *changed, const char *text)
{
	struct record r;

	audit_begin(&r, "reload");
	if (!done)
		r.event.level = LOG_LEVEL_ERROR;
	record_put(&r, "result", done ? "done" : "failed");
	record_put(&r, "changed", changed);
	(void)audit_emit(&r, "%s%s%s", text,
	    *changed == '\0' ? "" : "; changed: ", changed);
}

void
audit_expiry(const char *file, int64_t ends, bool bad, const char *text)
{
	struct record r;
	char date[DATE_TEXT_MAX];

	audit_begin(&r, "expiry");
	if (bad)
		r.event.level = LOG_LEVEL_ERROR;
	record_put(&r, "file", file);
	record_put(&r, "ends", date_record(ends, date));
	(void)audit_emit(&r, "%s", text);
}

void
audit_clock_jump(int64_t seconds, int64_t before)
{
	struct record r;
	char date[DATE_TEXT_MAX], from[DATE_TEXT_MAX], to[DATE_TEXT_MAX];

	audit_begin(&r, "clock-jump");
	put_number(&r, "seconds", "%lld", (long long)seconds);
	record_put(&r, "before", date_record(before, date));
	(void)audit_emit(&r, "the clock was set %s by %lld seconds, from %s to "
	    "%s; certificates and lists are judged by it now", seconds < 0 ?
	    "back" : "forward", (long long)(seconds < 0 ? -seconds : seconds),
	    date_words(before, from), date_words(before + seconds, to));
}

void
audit_handshake_failed(const struct audit_peer *p, const struct failure *why)
{
	struct record r;
	char reason[FAILURE_MAX];

	audit_begin(&r, "handshake-failed");
	put_peer(&r, p);
	(void)put_failure(&r, why, reason);
	if (p->identity == NULL)
		(void)audit_emit(&r, "TLS handshake failed for %s: %s",
		    p->address, reason);
	else
		(void)audit_emit(&r, "connection of %s from %s refused: %s",
		    r.peer, p->address, reason);
}

void
audit_dropped(const char *reason, uint64_t count, const char *address)
{
	struct record r;

	audit_begin(&r, "connections-dropped");
	record_put(&r, "address", address);
	record_put(&r, "reason", reason);
	put_number(&r, "count", "%llu", (unsigned long long)count);
	(void)audit_emit(&r, "%llu %s closed before the handshake was done, "
	    "the last one from %s: %s", (unsigned long long)count, count == 1 ?
	    "connection was" : "connections were", address,
	    show_reason(reason));
}

void
audit_session_open(const struct audit_peer *p)
{
	struct record r;

	audit_begin(&r, "session-open");
	put_peer(&r, p);
	(void)audit_emit(&r, "session opened: %s from %s", r.peer, p->address);
}

void
audit_session_close(const struct audit_peer *p, const char *reason,
    const struct audit_sums *sums)
{
	char time[32];
	struct record r;

	audit_begin(&r, "session-close");
	put_peer(&r, p);
	record_put(&r, "reason", reason);
	put_number(&r, "commands", "%lu", (unsigned long)sums->commands);
	put_duration(&r, "duration_ms", sums->duration_us);
	put_sums(&r, sums->in_bytes, sums->out_bytes, sums->err_bytes);
	if (sums->ended > 0)
		put_number(&r, "ended", "%d", sums->ended);
	(void)audit_emit(&r, "session closed: %s from %s, after %s and %lu "
	    "command%s: %s", r.peer, p->address,
	    show_duration(sums->duration_us, time),
	    (unsigned long)sums->commands, sums->commands == 1 ? "" : "s",
	    show_reason(reason));
}

bool
audit_command_start(const struct audit_peer *p, const struct audit_command *c,
    bool strict)
{
	size_t needed = strict ? log_sinks() : 1;
	struct record r;

	audit_begin(&r, "command-start");
	if (daemon_name[0] != '\0')
		record_put(&r, "daemon", daemon_name);
	put_peer(&r, p);
	put_command(&r, c);
	return (size_t)audit_emit(&r, "%s starts %s", r.peer, r.command) >=
	    needed;
}

void
audit_limit_hit(const struct audit_peer *p, const struct audit_command *c,
    const char *limit, int64_t value)
{
	char most[32];
	struct record r;

	begin_command(&r, "limit-hit", p, c);
	record_put(&r, "limit", limit);
	put_number(&r, "value", "%lld", (long long)value);
	if (strcmp(limit, "output_limit") == 0)
		(void)snprintf(most, sizeof most, "%lld bytes",
		    (long long)value);
	else
		(void)show_duration(value * 1000, most);
	(void)audit_emit(&r, "%s: %s has reached its %s of %s",
	    r.peer, r.command, limit, most);
}

/* How a command has ended, as the rest of a sentence about it. */
static void
describe_end(const struct audit_end *e, char *out, size_t size)
{
	bool own = strcmp(e->reason, "exit") == 0 ||
	    strcmp(e->reason, "signal") == 0;
	const char *why = own ? "" : show_reason(e->reason);
	const char *colon = own ? "" : ": ", *name;
	char time[32], number[16], memory[64] = "";

	(void)show_duration(e->duration_us, time);
	if (strcmp(e->reason, "abandoned") == 0)
		(void)snprintf(out, size, "is left alone after %s: SIGKILL did "
		    "not end it", time);
	else if (e->signal > 0) {
		name = sigabbrev_np(e->signal);
		(void)snprintf(number, sizeof number, "%d", e->signal);
		if (e->memory_limit > 0)
			(void)snprintf(memory, sizeof memory, ", with a "
			    "memory_limit of %lld bytes",
			    (long long)e->memory_limit);
		(void)snprintf(out, size, "ended by %s%s after %s%s%s%s",
		    name == NULL ? "signal " : "SIG", name == NULL ? number :
		    name, time, memory, colon, why);
	} else if (e->exit >= 0)
		(void)snprintf(out, size, "exited with status %d after %s%s%s",
		    e->exit, time, colon, why);
	else
		(void)snprintf(out, size, "did not start: %s", e->reason);
}

void
audit_command_end(const struct audit_peer *p, const struct audit_command *c,
    const struct audit_end *e)
{
	char how[LOG_TEXT_MAX];
	struct record r;

	begin_command(&r, "command-end", p, c);
	record_put(&r, "reason", e->reason);
	if (e->program != NULL)
		record_put(&r, "program", e->program);
	if (e->exit >= 0)
		put_number(&r, "exit", "%d", e->exit);
	if (e->signal > 0)
		put_number(&r, "signal", "%d", e->signal);
	/* Whether memory was the reason is not known; the limit is. */
	if (e->signal > 0 && e->memory_limit > 0)
		put_number(&r, "memory_limit", "%lld",
		    (long long)e->memory_limit);
	put_duration(&r, "duration_ms", e->duration_us);
	put_duration(&r, "cpu_ms", e->cpu_us);
	put_sums(&r, e->in_bytes, e->out_bytes, e->err_bytes);
	if (e->left > 0)
		put_number(&r, e->kept ? "kept" : "left", "%d", e->left);
	describe_end(e, how, sizeof how);
	(void)audit_emit(&r, "%s: %s %s", r.peer, r.command, how);
}

void
audit_command_refused(const struct audit_peer *p,
    const struct audit_command *c, const struct failure *why)
{
	struct record r;
	char reason[FAILURE_MAX];

	begin_command(&r, "command-refused", p, c);
	(void)audit_emit(&r, "%s: %s refused: %s", r.peer, r.command,
	    put_failure(&r, why, reason));
}
