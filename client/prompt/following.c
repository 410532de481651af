/*
 * following.c - the commands of a script that are sent before their turn.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "common/base/text.h"

#include "client/core/outcome.h"
#include "client/session/request.h"
#include "client/ask/run.h"
#include "client/prompt/lines.h"
#include "client/prompt/split.h"

#include "client/prompt/following.h"

/* Put a line ahead that is a command, or is none at all.  False if it is
 * something else, or there is no room. */
static bool
following_put(struct following *f, const char *line)
{
	struct body body = { .operation = PROTO_RUN,
	    .condition = f->condition };
	bool put = true, tilde;
	size_t at;

	line += strspn(line, " \t");
	if (*line == '\0' || *line == '#')
		return true;
	if (split_line(line, &body.words, &body.nwords, &at, &tilde) !=
	    WORDS_OK)
		return false;
	if (body.nwords > 0) {
		run_prepare(f->settings, &body);
		put = !f->is_own(body.words[0]) &&
		    request_put_ahead(f->request, &body);
	}
	words_free(body.words);
	return put;
}

enum body_place
following_next(struct following *f)
{
	enum body_place place = request_has_ahead(f->request) ?
	    BODY_FOLLOWS : BODY_LEADS;
	char *line;
	bool put = true;

	while (put && (line = lines_look_ahead(f->lines)) != NULL) {
		put = following_put(f, line);
		if (put)
			lines_pass(f->lines);
		free(line);
	}
	return place;
}

void
following_explain(struct outcome *o)
{
	char count[TEXT_COUNT_MAX];

	if (o->unsure > 0)
		failure_more(&o->failure, "of what follows in the script, up "
		    "to %s may have run too", text_count(count,
		    (double)o->unsure, "command"));
}
