/*
 * plugin.c - aisc --plugin: run the plugin of a monitoring system there.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/wire/body.h"
#include "common/base/buf.h"
#include "common/base/text.h"

#include "client/core/outcome.h"
#include "client/core/settings.h"
#include "client/core/printer.h"
#include "client/session/request.h"
#include "client/ask/check.h"
#include "client/ask/mistakes.h"
#include "client/ask/run.h"

#include "client/ask/plugin.h"

/* The most of each output; monitoring systems keep a few thousand bytes. */
#define OUTPUT_MAX	(1024 * 1024)
/* What is shown of a word, and of what a plugin says to standard error. */
#define SHOWN_MAX	256

/* All that came of it. */
struct run {
	const struct settings *settings;
	const struct body *body;
	struct outcome outcome;
	struct buf out, err;
};

/* Whether the command has ended as a plugin does; else why not, as the middle
 * of a sentence. */
static bool
is_answer(const struct outcome *o, char why[OUTCOME_TEXT_MAX])
{
	char sentence[OUTCOME_TEXT_MAX];

	if (o->class == OUTCOME_DONE && o->exit.end == PROTO_END_SIGNAL)
		(void)snprintf(why, OUTCOME_TEXT_MAX, "was ended by signal %s",
		    o->exit.status == 0 ? o->exit.signal :
		    strsignal((int)o->exit.status));
	else if (o->class == OUTCOME_DONE && o->status > CHECK_UNKNOWN)
		(void)snprintf(why, OUTCOME_TEXT_MAX, "exited with status %d, "
		    "which is none of a plugin", o->status);
	else if (o->class != OUTCOME_DONE)
		(void)snprintf(why, OUTCOME_TEXT_MAX, "has no result: %s: %s",
		    outcome_class_name(o->class),
		    failure_sentence(&o->failure, sentence));
	else
		return true;
	return false;
}

/* Write the beginning of a line of our own: the status and which command. */
static void
put_begin(FILE *out, const struct run *r, enum check_status status)
{
	char shown[TEXT_ESCAPED_MAX(SHOWN_MAX)];
	const char *word = r->body->words[0];

	(void)fprintf(out, "AISC %s - %s: ", check_status_name(status),
	    r->settings->host);
	check_put(out, text_printable(shown, sizeof shown, word,
	    strnlen(word, SHOWN_MAX)));
	(void)putc(' ', out);
}

/* Say that there was no output, and what went to standard error instead. */
static void
put_silence(FILE *out, const struct run *r)
{
	char shown[TEXT_ESCAPED_MAX(SHOWN_MAX)];
	const char *text = (const char *)buf_data(&r->err);
	size_t n = 0;

	while (n < buf_used(&r->err) && n < SHOWN_MAX && text[n] != '\n')
		n++;
	put_begin(out, r, (enum check_status)r->outcome.status);
	(void)fputs("wrote nothing to standard output", out);
	if (n > 0) {
		(void)fputs(", and to standard error: ", out);
		check_put(out, text_printable(shown, sizeof shown, text, n));
	}
	(void)putc('\n', out);
}

static void
put_buf(FILE *out, const struct buf *b)
{
	if (buf_used(b) > 0)
		(void)fwrite(buf_data(b), 1, buf_used(b), out);
}

/* Write all there is to tell, and return the status. */
static enum check_status
plugin_put(FILE *out, const struct run *r)
{
	char why[OUTCOME_TEXT_MAX];

	if (!is_answer(&r->outcome, why)) {
		put_begin(out, r, CHECK_UNKNOWN);
		check_put(out, why);
		(void)putc('\n', out);
		if (r->outcome.class == OUTCOME_DONE)
			put_buf(out, &r->out);
		return CHECK_UNKNOWN;
	}
	if (buf_used(&r->out) == 0)
		put_silence(out, r);
	put_buf(out, &r->out);
	return (enum check_status)r->outcome.status;
}

int
plugin_run(const struct settings *s, struct request *request,
    struct body *body)
{
	struct run r = { .settings = s, .body = body };
	struct outcome o = { .class = OUTCOME_DONE };
	enum check_status status;
	struct printer p;

	buf_init(&r.out, OUTPUT_MAX);
	buf_init(&r.err, OUTPUT_MAX);
	run_prepare(s, body);
	request_answer(request, body, &r.out, &r.err, &r.outcome);
	mistakes_explain(&r.outcome, body);
	printer_open(&p, STDOUT_FILENO);
	status = plugin_put(p.out, &r);
	printer_close(&p, &o);
	printer_open(&p, STDERR_FILENO);
	put_buf(p.out, &r.err);
	printer_close(&p, &r.outcome);
	buf_free(&r.out);
	buf_free(&r.err);
	/* An answer that has not been written whole is none. */
	return (int)(o.class == OUTCOME_DONE ? status : CHECK_UNKNOWN);
}
