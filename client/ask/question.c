/*
 * question.c - aisc --list and --can: what may I run there?
 *
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <stdbool.h>
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

/* A line of a list.  A server that is older than this has told no arguments. */
struct entry {
	struct piece name;
	struct piece summary;
	struct piece arguments;
	bool has_arguments;
};

/* Cut the next line from the front of "rest". */
static struct entry
entry_cut(struct piece *rest)
{
	struct piece line = question_cut(rest, '\n');
	struct entry e = { .name = question_cut(&line, '\t') };
	size_t left = line.length;

	e.summary = question_cut(&line, '\t');
	e.has_arguments = e.summary.length < left;
	e.arguments = line;
	return e;
}

/* The name and what may stand behind it, so that it can be shown; for
 * free(3). */
static char *
entry_call(const struct entry *e)
{
	char *name = printable(e->name), *call;
	char *arguments = printable(e->arguments);
	size_t size = strlen(name) + strlen(arguments) + 2;

	call = memory_get(size);
	(void)snprintf(call, size, "%s%s%s", name, *arguments == '\0' ? "" :
	    " ", arguments);
	free(name);
	free(arguments);
	return call;
}

/* One for a program, whose columns are apart by tabs. */
static void
entry_put(FILE *out, const struct entry *e)
{
	const struct piece columns[] = { e->name, e->summary, e->arguments };

	for (size_t i = 0; i < (e->has_arguments ? 3 : 2); i++) {
		char *text = printable(columns[i]);

		(void)fprintf(out, "%s%s", i == 0 ? "" : "\t", text);
		free(text);
	}
	(void)fputc('\n', out);
}

/* One for a person, whose summary begins behind "width" columns. */
static void
entry_show(FILE *out, const struct entry *e, size_t width)
{
	char *call = entry_call(e), *summary = printable(e->summary);
	size_t n = text_columns(call, strlen(call));

	if (*summary == '\0')
		(void)fprintf(out, "%s\n", call);
	else
		(void)fprintf(out, "%s%*s  %s\n", call, n < width ?
		    (int)(width - n) : 0, "", summary);
	free(call);
	free(summary);
}

/* Show the commands in two columns; for a program, with tabs. */
static void
show_list(FILE *out, struct piece all, bool aligned)
{
	struct piece rest = all;
	struct entry e;
	size_t width = 0, n;
	char *call;

	while (aligned && rest.length > 0) {
		e = entry_cut(&rest);
		call = entry_call(&e);
		n = text_columns(call, strlen(call));
		if (n > width && n <= NAMES_MAX)
			width = n;
		free(call);
	}
	for (rest = all; rest.length > 0;) {
		e = entry_cut(&rest);
		if (aligned)
			entry_show(out, &e, width);
		else
			entry_put(out, &e);
	}
}

static void
question_json_list(struct json *j, struct piece rest)
{
	json_open(j, "commands", '[');
	while (rest.length > 0) {
		const struct entry e = entry_cut(&rest);

		json_open(j, NULL, '{');
		json_bytes(j, "name", e.name.text, e.name.length);
		json_bytes(j, "summary", e.summary.text, e.summary.length);
		if (e.has_arguments)
			json_bytes(j, "arguments", e.arguments.text,
			    e.arguments.length);
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

void
question_put(struct request *r, const struct body *body, struct buf *answer,
    struct outcome *o)
{
	int most = body->operation == PROTO_CAN && body->nwords == 0 ? 0 : 1;

	request_answer(r, body, answer, NULL, o);
	if (o->class == OUTCOME_DONE && o->status > most)
		outcome_fail(o, OUTCOME_PROTOCOL, "the server answers with "
		    "the status %d, which means nothing", o->status);
}

int
question_ask(const struct settings *s, struct request *r,
    const struct body *body, bool json, struct outcome *o)
{
	struct piece all = { .text = "" };
	struct printer p;
	struct buf answer;

	buf_init(&answer, ANSWER_MAX);
	question_put(r, body, &answer, o);
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
