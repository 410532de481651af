#include <config.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/core/outcome.h"
#include "client/prompt/lines.h"
#include "client/prompt/editor.h"

#include "client/prompt/prompt.h"

struct prompt {
	struct editor *editor;	/* One of these two is there. */
	struct lines *lines;	/* The terminal edits no more than a line. */
};

struct prompt *
prompt_open(struct request *r, struct complete *complete)
{
	struct prompt *p = calloc(1, sizeof *p);

	if (p != NULL &&
	    ((p->editor = editor_open(r, complete)) != NULL ||
	    (p->lines = lines_open(r, NULL)) != NULL))
		return p;
	outcome_say("cannot open a prompt: out of memory");
	free(p);
	return NULL;
}

void
prompt_close(struct prompt *p)
{
	if (p == NULL)
		return;
	if (p->editor != NULL)
		editor_close(p->editor);
	else
		lines_close(p->lines);
	free(p);
}

int
prompt_read(struct prompt *p, const char *text, const char **line,
    struct outcome *o)
{
	int n;

	if (p->editor != NULL)
		return editor_read(p->editor, text, line, o);
	outcome_write(text);
	n = lines_read(p->lines, line, o);
	if (n != 1)
		outcome_write("\n");
	/* Ctrl-C gives up the line, and not the prompt. */
	if (n == 0 && o->class == OUTCOME_INTERRUPTED &&
	    o->status == OUTCOME_SIGNAL + SIGINT)
		return -1;
	return n;
}
