/*
 * question.c - aisc --list and --can: what may I run there?
 *
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <errno.h>
#include <signal.h>
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
cut(struct piece *rest, char end)
{
	const char *at = memchr(rest->text, end, rest->length);
	const struct piece first = { rest->text, at == NULL ? rest->length :
	    (size_t)(at - rest->text) };
	size_t taken = first.length + (at != NULL);

	rest->text += taken;
	rest->length -= taken;
	return first;
}

/* How many columns a printable text takes, one for each character. */
static size_t
columns(const char *text)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
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
		line = cut(&rest, '\n');
		text = printable(cut(&line, '\t'));
		n = columns(text);
		if (n > width && n <= NAMES_MAX)
			width = n;
		free(text);
	}
	for (rest = all; rest.length > 0;) {
		line = cut(&rest, '\n');
		name = cut(&line, '\t');
		text = printable(name);
		summary = printable(line);
		n = columns(text);
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
list_members(struct json *j, struct piece rest)
{
	struct piece line, name;

	json_open(j, "commands", '[');
	while (rest.length > 0) {
		line = cut(&rest, '\n');
		name = cut(&line, '\t');
		json_open(j, NULL, '{');
		json_bytes(j, "name", name.text, name.length);
		json_bytes(j, "summary", line.text, line.length);
		json_close(j, '}');
	}
	json_close(j, ']');
}

/* Open the object, which holds all there is to say of a failure. */
static void
open_object(struct json *j, const struct settings *s, const struct outcome *o)
{
	json_open(j, NULL, '{');
	json_text(j, "host", s->host);
	if (o->class != OUTCOME_DONE)
		outcome_json(j, o);
}

static void
close_object(struct json *j)
{
	json_close(j, '}');
	(void)fputc('\n', j->out);
}

/* Ask, and get an answer that is no more than 0 or 1. */
static void
ask(struct request *r, const struct body *body, struct buf *answer,
    struct outcome *o)
{
	buf_init(answer, ANSWER_MAX);
	request_answer(r, body, answer, NULL, o);
	if (o->class == OUTCOME_DONE && o->status > 1)
		outcome_fail(o, OUTCOME_PROTOCOL, "the server answers with "
		    "the status %d, which means nothing", o->status);
}

static struct piece
all_of(const struct buf *answer)
{
	struct piece p = { "", buf_used(answer) };

	if (p.length > 0)
		p.text = (const char *)buf_data(answer);
	return p;
}

/* Done with an answer and what was written of it: the exit status. */
static int
conclude(struct printer *p, struct buf *answer, struct outcome *o)
{
	printer_finish(p, o);
	printer_close(p);
	outcome_report(o);
	buf_free(answer);
	return o->status;
}

int
question_list(const struct settings *s, struct request *r, bool json,
    struct outcome *o)
{
	const struct body body = { .operation = PROTO_LIST };
	struct json j = { .more = false };
	struct printer p;
	struct buf answer;

	ask(r, &body, &answer, o);
	printer_open(&p, STDOUT_FILENO);
	j.out = p.out;
	if (json) {
		open_object(&j, s, o);
		if (o->class == OUTCOME_DONE)
			list_members(&j, all_of(&answer));
		close_object(&j);
	} else if (o->class == OUTCOME_DONE)
		show_list(p.out, all_of(&answer), isatty(STDOUT_FILENO) == 1);
	return conclude(&p, &answer, o);
}

int
question_can(const struct settings *s, struct request *r,
    const struct body *body, bool json, struct outcome *o)
{
	struct json j = { .more = false };
	struct printer p;
	struct buf answer;
	struct piece rest, why;
	char *text;

	ask(r, body, &answer, o);
	rest = all_of(&answer);
	why = cut(&rest, '\n');
	printer_open(&p, STDOUT_FILENO);
	j.out = p.out;
	if (json) {
		open_object(&j, s, o);
		if (o->class == OUTCOME_DONE) {
			json_bool(&j, "allowed", o->status == 0);
			json_bytes(&j, "why", why.text, why.length);
		}
		close_object(&j);
	} else if (o->class == OUTCOME_DONE) {
		text = printable(why);
		(void)fprintf(p.out, "%s\n", text);
		free(text);
	}
	return conclude(&p, &answer, o);
}
