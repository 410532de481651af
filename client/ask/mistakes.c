/* What users of ssh type, and what to type instead.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/wire/body.h"
#include "common/wire/proto.h"
#include "common/base/words.h"
#include "common/base/text.h"

#include "client/core/outcome.h"

#include "client/ask/mistakes.h"

/* What of the words is shown. */
#define SHOWN_MAX	100

/* What a shell does itself, so that there is no program for it, or none that
 * would have an effect. */
static const char *const builtins[] = {
	".", "[[", "alias", "bg", "declare", "eval", "exec", "export", "fg",
	"history", "jobs", "local", "popd", "pushd", "set", "shopt", "source",
	"trap", "typeset", "ulimit", "umask", "unalias", "unset", NULL
};

/* One word that is a line: for a shell, or of several words. */
static void
mistakes_explain_line(struct outcome *o, const char *line)
{
	char shown[4 * SHOWN_MAX + 1], **words;
	size_t count, at;

	if (words_split(line, 1, &words, &count, &at) != WORDS_OK) {
		outcome_hint(o, "a line for a shell is asked for by \"aisc "
		    "-c LINE HOST\"");
		return;
	}
	words_free(words);
	outcome_hint(o, "each word is an argument of its own, as in \"aisc "
	    "HOST %s\"", text_printable(shown, sizeof shown, line,
	    strnlen(line, SHOWN_MAX)));
}

void
mistakes_explain(struct outcome *o, const struct body *body)
{
	const char *word = body->nwords > 0 ? body->words[0] : "";

	if (body->operation != PROTO_RUN || (o->class != OUTCOME_UNKNOWN &&
	    o->class != OUTCOME_DENIED))
		return;
	/* A program may have a blank in its path. */
	if (body->nwords == 1 && strpbrk(word, " \t\n") != NULL &&
	    (*word != '/' || o->class == OUTCOME_UNKNOWN))
		mistakes_explain_line(o, word);
	else if (*word == '-')
		outcome_hint(o, "options of aisc stand before HOST");
	else if (words_assignment(word) > 0)
		outcome_hint(o, "a variable is set by \"aisc -e NAME=VALUE "
		    "HOST PROGRAM\"");
	else if (strcmp(word, "cd") == 0)
		outcome_hint(o, "a program is run in a directory by \"aisc "
		    "-C DIR HOST PROGRAM\"");
	else if (text_list_has(builtins, word))
		outcome_hint(o, "this is done by a shell, which is asked "
		    "for by \"aisc -c LINE HOST\"");
}
