/*
 * question.c - aisc --list and --can: what may I run there?
 *
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/wire/body.h"
#include "common/base/buf.h"
#include "common/base/json.h"
#include "common/base/text.h"

#include "client/core/outcome.h"
#include "client/core/memory.h"
#include "client/core/settings.h"
#include "client/core/printer.h"
#include "client/session/request.h"

#include "client/ask/question.h"

/* The longest answer that is kept. */
#define ANSWER_MAX	(16 * 1024 * 1024)
/* Longer names are not what the column of the summaries goes by. */
#define NAMES_MAX	40

/* A part of the answer. */
struct piece {
	const char *text;
	size_t length;
};

/* Cut what is before the first "end", or all, from the front of "rest". */
static struct piece
question_cut(struct piece *rest, char end)
{
	const char *at = memchr(rest->text, end, rest->length);
	const struct piece first = { rest->text, at == NULL ? rest->length :
	    (size_t)(at - rest->text) };
	size_t taken = first.length + (at != NULL);

	rest->text += taken;
	rest->length -= taken;
	return first;
}

/* "p" so that it can be shown, for free(3). */
static char *
printable(struct piece p)
{
	size_t size = TEXT_ESCAPED_MAX(p.length);

	return text_printable(memory_get(size), size, p.text, p.length);
}

/* Show the commands in two columns; for a program, with a tab. */
static void
show_list(FILE *out, struct piece all, bool aligned)
{
	struct piece rest = all, line, name;
	size_t width = 0, n;
	char *text, *summary;

	while (aligned && rest.length > 0) {
		line = question_cut(&rest, '\n');
		text = printable(question_cut(&line, '\t'));
		n = text_columns(text, strlen(text));
		if (n > width && n <= NAMES_MAX)
			width = n;
		free(text);
	}
	for (rest = all; rest.length > 0;) {
		line = question_cut(&rest, '\n');
		name = question_cut(&line, '\t');
		text = printable(name);
		summary = printable(line);
		n = text_columns(text, strlen(text));
		if (!aligned)
			(void)fprintf(out, "%s\t%s\n", text, summary);
		else if (*summary == '\0')
			(void)fprintf(out, "%s\n", text);
		else
			(void)fprintf(out, "%s%*s  %s\n", text, n < width ?
			    (int)(width - n) : 0, "", summary);
		free(text);
		free(summary);
	}
}

static void
question_json_list(struct json *j, struct piece rest)
{
	struct piece line, name;

	json_open(j, "commands", '[');
	while (rest.length > 0) {
		line = question_cut(&rest, '\n');
		name = question_cut(&line, '\t');
		json_open(j, NULL, '{');
		json_bytes(j, "name", name.text, name.length);
		json_bytes(j, "summary", line.text, line.length);
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void
show_why(FILE *out, struct piece why)
{
	char *text = printable(why);

	(void)fprintf(out, "%s\n", text);
	free(text);
}

/* The answer as one object, which holds all there is to say of a failure. */
static void
show_json(FILE *out, const struct settings *s, enum proto_operation operation,
    struct piece all, const struct outcome *o)
{
	struct json j = { .out = out };

	json_open(&j, NULL, '{');
	json_text(&j, "host", s->host);
	if (o->class != OUTCOME_DONE)
		outcome_json(&j, o);
	else if (operation == PROTO_LIST)
		question_json_list(&j, all);
	else {
		const struct piece why = question_cut(&all, '\n');

		json_bool(&j, "allowed", o->status == 0);
		json_bytes(&j, "why", why.text, why.length);
	}
	json_close(&j, '}');
	(void)fputc('\n', out);
}

int
question_ask(const struct settings *s, struct request *r,
    const struct body *body, bool json, struct outcome *o)
{
	struct piece all = { .text = "" };
	struct printer p;
	struct buf answer;

	buf_init(&answer, ANSWER_MAX);
	request_answer(r, body, &answer, NULL, o);
	if (o->class == OUTCOME_DONE && o->status > 1)
		outcome_fail(o, OUTCOME_PROTOCOL, "the server answers with "
		    "the status %d, which means nothing", o->status);
	if ((all.length = buf_used(&answer)) > 0)
		all.text = (const char *)buf_data(&answer);
	printer_open(&p, STDOUT_FILENO);
	if (json)
		show_json(p.out, s, body->operation, all, o);
	else if (o->class == OUTCOME_DONE && body->operation == PROTO_LIST)
		show_list(p.out, all, isatty(STDOUT_FILENO) == 1);
	else if (o->class == OUTCOME_DONE)
		show_why(p.out, question_cut(&all, '\n'));
	printer_close(&p, o);
	outcome_report(o);
	buf_free(&answer);
	return o->status;
}
