/* What came of each command, as JSON for programs.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/wire/body.h"
#include "common/base/buf.h"
#include "common/base/json.h"
#include "common/conf/conf.h"

#include "client/core/outcome.h"
#include "client/core/memory.h"
#include "client/core/settings.h"
#include "client/core/printer.h"
#include "client/session/exchange.h"
#include "client/session/request.h"

#include "client/ask/report.h"

struct report {
	struct printer printer;
	bool capture;
	struct buf kept[2];	/* Of standard output and of error. */

	/* The command. */
	const struct settings *settings;
	struct request *request;
	const struct body *body;
	size_t line;
};

struct report *
report_new(int fd, bool capture)
{
	struct report *p = memory_get(sizeof *p);

	printer_open(&p->printer, fd);
	p->capture = capture;
	for (size_t i = 0; i < 2; i++)
		buf_init(&p->kept[i], REPORT_KEEP_MAX);
	return p;
}

static void
report_drop_kept(struct report *p)
{
	buf_free(&p->kept[0]);
	buf_free(&p->kept[1]);
}

void
report_free(struct report *p)
{
	struct outcome o = { .class = OUTCOME_DONE };

	if (p == NULL)
		return;
	/* Each object was flushed, and told what came of that. */
	printer_close(&p->printer, &o);
	report_drop_kept(p);
	free(p);
}

/* --- the object -------------------------------------------------------- */

static void
report_words(struct json *j, const struct body *body)
{
	json_open(j, "argv", '[');
	for (size_t i = 0; i < body->nwords; i++)
		json_text(j, NULL, body->words[i]);
	json_close(j, ']');
	if (body->operation == PROTO_SHELL)
		json_bool(j, "shell", true);
}

/* What was asked. */
static void
report_command(struct json *j, const struct report *p)
{
	const char *session = request_session(p->request)->greeting.session;
	uint32_t number = request_number(p->request);

	json_text(j, "host", p->settings->host);
	json_integer(j, "port", p->settings->port);
	if (number > 0 && *session != '\0') {
		json_text(j, "session", session);
		json_integer(j, "request", (int64_t)number);
	}
	if (p->line > 0)
		json_integer(j, "line", (int64_t)p->line);
	if (p->body != NULL)
		report_words(j, p->body);
}

/*
 * What came of it.  A failure has no "exit", also where the command has ended
 * with one: a caller that reads nothing else must not take a failure for a
 * success.
 */
static void
report_outcome(struct json *j, const struct outcome *o)
{
	const struct frame_exit *e = &o->exit;

	json_text(j, "class", outcome_class_name(o->class));
	json_integer(j, "status", o->status);
	if (o->class != OUTCOME_DONE)
		outcome_json(j, o);
	else if (o->has_exit && e->end == PROTO_END_SIGNAL)
		json_integer(j, "signal", (int64_t)e->status);
	else
		json_integer(j, "exit", o->status);
	if (!o->has_exit)
		return;
	json_seconds(j, "duration_seconds", (int64_t)e->duration_us);
	json_seconds(j, "cpu_seconds", (int64_t)e->cpu_us);
	if (e->left > 0)
		json_integer(j, "left_processes", (int64_t)e->left);
}

static void
report_traffic(struct json *j, const struct request *r)
{
	const struct traffic *t = request_traffic(r);

	if (request_number(r) == 0)
		return;
	json_integer(j, "stdin_bytes", (int64_t)t->in);
	json_integer(j, "stdout_bytes", (int64_t)t->out);
	json_integer(j, "stderr_bytes", (int64_t)t->err);
}

static void
report_kept(struct json *j, const char *name, const char *encoding,
    const struct buf *kept)
{
	size_t n = buf_used(kept);
	const void *bytes = n == 0 ? "" : (const void *)buf_data(kept);
	bool text = json_is_text(bytes, n);

	if (text)
		json_bytes(j, name, bytes, n);
	else
		json_base64(j, name, bytes, n);
	json_text(j, encoding, text ? "utf-8" : "base64");
}

static void
report_write(FILE *out, const struct report *p, const struct outcome *o)
{
	struct json j = { .out = out };

	json_open(&j, NULL, '{');
	report_command(&j, p);
	report_outcome(&j, o);
	report_traffic(&j, p->request);
	if (p->capture) {
		report_kept(&j, "stdout", "stdout_encoding", &p->kept[0]);
		report_kept(&j, "stderr", "stderr_encoding", &p->kept[1]);
	}
	json_close(&j, '}');
	(void)fputc('\n', out);
}

/* --- a command --------------------------------------------------------- */

bool
report_captures(const struct report *p)
{
	return p != NULL && p->capture;
}

bool
report_take(struct report *p, const char *text)
{
	if (!report_captures(p))
		return false;
	(void)buf_put(&p->kept[0], text, strlen(text));
	return true;
}

void
report_begin(struct report *p, const struct settings *s, struct request *r,
    const struct body *body, size_t line)
{
	if (p == NULL)
		return;
	report_drop_kept(p);
	request_forget(r);
	p->settings = s;
	p->request = r;
	p->body = body;
	p->line = line;
}

void
report_ask(struct report *p, struct request *r, const struct body *body,
    struct outcome *o)
{
	if (!report_captures(p)) {
		request_ask(r, body, o);
		return;
	}
	report_drop_kept(p);
	request_answer(r, body, &p->kept[0], &p->kept[1], o);
}

void
report_tell(struct report *p, struct outcome *o)
{
	if (p == NULL)
		return;
	report_write(p->printer.out, p, o);
	report_drop_kept(p);
	p->body = NULL;
	printer_finish(&p->printer, o);
}

void
report_refuse(struct report *p, const char *host)
{
	struct json j = { .more = false };
	struct outcome o = { .class = OUTCOME_DONE };

	if (p == NULL)
		return;
	if (conf_first_failure() != NULL)
		outcome_failure(&o, OUTCOME_CONFIG, conf_first_failure());
	else
		outcome_fail(&o, OUTCOME_CONFIG, "the options or the settings "
		    "are not good; standard error says what is wrong with "
		    "them");
	j.out = p->printer.out;
	json_open(&j, NULL, '{');
	json_text(&j, "host", host);
	report_outcome(&j, &o);
	json_close(&j, '}');
	(void)fputc('\n', p->printer.out);
	/* If that fails, our exit status still tells it. */
	(void)fflush(p->printer.out);
}
