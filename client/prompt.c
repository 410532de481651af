#include <config.h>

#include <locale.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include <histedit.h>

#include "client/outcome.h"
#include "client/signals.h"
#include "client/request.h"

#include "client/prompt.h"

/* Lines of history. */
#define HISTORY_SIZE	1000

struct prompt {
	struct request *request;
	EditLine *editor;
	History *history;
	const char *text;
	char *line;
	struct outcome *outcome;
	bool ended;		/* There will be no more lines. */
	mbstate_t state;	/* Of a character that is not yet complete. */
};

static char *
show(EditLine *editor)
{
	struct prompt *p;

	(void)el_get(editor, EL_CLIENTDATA, &p);
	/* libedit does not write to it, but says that it might. */
	return (char *)(uintptr_t)p->text;
}

/* Heed the signals that matter to someone who types.  Whether to go on. */
static bool
heed_signals(struct prompt *p)
{
	int signo;

	if (signals_take(SIGWINCH))
		el_resize(p->editor);
	if (signals_take(SIGCONT)) {
		/* The shell has had the terminal in its own mode. */
		(void)el_set(p->editor, EL_PREP_TERM, 1);
		(void)el_set(p->editor, EL_REFRESH);
	}
	if ((signo = signals_take_end()) == 0)
		return true;
	outcome_signal(p->outcome, signo);
	p->ended = signo != SIGINT;
	return false;
}

/* Add a byte to the character that is under way; whether it is complete. */
static bool
add_byte(struct prompt *p, char byte, wchar_t *c)
{
	size_t n = mbrtowc(c, &byte, 1, &p->state);

	if (n == (size_t)-2)
		return false;
	if (n == (size_t)-1) {
		memset(&p->state, 0, sizeof p->state);
		return false;
	}
	return true;
}

/*
 * Read one character: libedit's el_rfunc_t.  Its own would let the server's
 * questions wait, and would swallow signals.
 */
static int
read_character(EditLine *editor, wchar_t *c)
{
	struct prompt *p;
	char byte;
	int n;

	(void)el_get(editor, EL_CLIENTDATA, &p);
	for (;;) {
		n = request_wait(p->request, STDIN_FILENO, p->outcome);
		if (n == -1 || (n == 0 && !heed_signals(p)))
			return -1;
		if (n == 1 && read(STDIN_FILENO, &byte, 1) != 1) {
			p->ended = true;
			return 0;
		}
		if (n == 1 && add_byte(p, byte, c))
			return 1;
	}
}

struct prompt *
prompt_open(struct request *r)
{
	struct prompt *p = calloc(1, sizeof *p);
	HistEvent event;

	if (p == NULL)
		goto fail;
	p->request = r;
	/* So that a character of several bytes is one. */
	(void)setlocale(LC_CTYPE, "");
	p->editor = el_init("aisc", stdin, stderr, stderr);
	p->history = history_init();
	if (p->editor == NULL || p->history == NULL)
		goto fail;
	(void)history(p->history, &event, H_SETSIZE, HISTORY_SIZE);
	(void)history(p->history, &event, H_SETUNIQUE, 1);
	(void)el_set(p->editor, EL_CLIENTDATA, p);
	(void)el_set(p->editor, EL_PROMPT, show);
	(void)el_set(p->editor, EL_EDITOR, "emacs");
	(void)el_set(p->editor, EL_HIST, history, p->history);
	(void)el_set(p->editor, EL_GETCFN, read_character);
	(void)el_source(p->editor, NULL);
	return p;

fail:
	outcome_say("cannot open a prompt: out of memory");
	prompt_close(p);
	return NULL;
}

void
prompt_close(struct prompt *p)
{
	if (p == NULL)
		return;
	if (p->editor != NULL)
		el_end(p->editor);
	if (p->history != NULL)
		history_end(p->history);
	free(p->line);
	free(p);
}

/* Keep a line, unless it is blank or begins with a blank. */
static void
remember(struct prompt *p, const char *line)
{
	HistEvent event;

	if (strchr(" \t\n", line[0]) == NULL)
		(void)history(p->history, &event, H_ENTER, line);
}

int
prompt_read(struct prompt *p, const char *text, const char **line,
    struct outcome *o)
{
	const char *got;
	int n = 0;

	p->text = text;
	p->outcome = o;
	memset(o, 0, sizeof *o);
	/* Whoever sees the prompt may type: libedit would show it first, and
	 * Ctrl-D between the two would be lost. */
	(void)el_set(p->editor, EL_PREP_TERM, 1);
	got = el_gets(p->editor, &n);
	if (got == NULL || n <= 0) {
		el_reset(p->editor);
		(void)fputc('\n', stderr);
		/* Ctrl-D on an empty line leaves nothing behind. */
		return p->ended || o->class == OUTCOME_DONE ? 0 : -1;
	}
	remember(p, got);
	free(p->line);
	if ((p->line = strdup(got)) == NULL)
		return 0;
	p->line[strcspn(p->line, "\n")] = '\0';
	*line = p->line;
	return 1;
}
