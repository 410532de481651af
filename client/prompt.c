#include <config.h>

#include <locale.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include <histedit.h>

#include "common/words.h"

#include "client/outcome.h"
#include "client/signals.h"
#include "client/history.h"
#include "client/request.h"
#include "client/complete.h"

#include "client/prompt.h"

/* More words than this are not shown, but only counted. */
#define SHOWN_MAX	200

struct prompt {
	struct request *request;
	EditLine *editor;
	History *history;
	struct history_file *file;	/* Or NULL. */
	struct complete *complete;
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

/* Show the words that fit, below the line. */
static void
show_words(const struct completion *found)
{
	int width = 0, columns = 80, across;
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		columns = size.ws_col;
	(void)fputc('\n', stderr);
	if (found->count > SHOWN_MAX) {
		(void)fprintf(stderr, "%zu commands fit\n", found->count);
		return;
	}
	for (size_t i = 0; i < found->count; i++) {
		if ((int)strlen(found->words[i]) > width)
			width = (int)strlen(found->words[i]);
	}
	across = columns > width + 2 ? columns / (width + 2) : 1;
	for (size_t i = 0; i < found->count; i++)
		(void)fprintf(stderr, "%-*s%s", width, found->words[i],
		    (i + 1) % (size_t)across == 0 ||
		    i + 1 == found->count ? "\n" : "  ");
}

/* Put the one word that fits in the place of the "n" characters before the
 * cursor, in quotes if it needs them. */
static unsigned char
insert_word(EditLine *editor, char *word, size_t n)
{
	char *words[] = { word, NULL }, *quoted = words_join(words, 0);
	bool done;

	if (quoted == NULL)
		return CC_ERROR;
	el_deletestr(editor, (int)n);
	done = el_insertstr(editor, quoted) == 0 &&
	    el_insertstr(editor, " ") == 0;
	free(quoted);
	return done ? CC_REFRESH : CC_ERROR;
}

/* Tab. */
static unsigned char
complete_word(EditLine *editor, int key)
{
	const LineInfo *info = el_line(editor);
	size_t n = (size_t)(info->cursor - info->buffer), typed, characters;
	char more[1024 + 1];
	struct completion found;
	struct prompt *p;

	(void)key;
	(void)el_get(editor, EL_CLIENTDATA, &p);
	found = complete_line(p->complete, info->buffer, n);
	if (found.count == 0)
		return CC_ERROR;
	typed = n - found.start;
	characters = 0;
	for (size_t i = found.start; i < n; i++)
		characters += (info->buffer[i] & 0xc0) != 0x80;
	if (found.count == 1)
		return insert_word(editor, found.words[0], characters);
	if (found.common > typed && found.common - typed < sizeof more) {
		memcpy(more, found.words[0] + typed, found.common - typed);
		more[found.common - typed] = '\0';
		/* Not half of what is to stand in quotes. */
		if (more[strcspn(more, " \t'\"\\$`|&;<>()*?[]{}#~!")] == '\0')
			return el_insertstr(editor, more) == 0 ? CC_REFRESH :
			    CC_ERROR;
	}
	show_words(&found);
	return CC_REDISPLAY;
}

/* A line of an earlier prompt. */
static void
recall(void *context, const char *line)
{
	struct prompt *p = context;
	HistEvent event;

	(void)history(p->history, &event, H_ENTER, line);
}

struct prompt *
prompt_open(struct request *r, struct complete *complete)
{
	struct prompt *p = calloc(1, sizeof *p);
	HistEvent event;
	const char *mode;

	if (p == NULL)
		goto fail;
	p->request = r;
	p->complete = complete;
	/* So that a character of several bytes is one. */
	(void)setlocale(LC_CTYPE, "");
	p->editor = el_init("aisc", stdin, stderr, stderr);
	p->history = history_init();
	if (p->editor == NULL || p->history == NULL)
		goto fail;
	(void)history(p->history, &event, H_SETSIZE, HISTORY_LINES);
	(void)history(p->history, &event, H_SETUNIQUE, 1);
	(void)el_set(p->editor, EL_CLIENTDATA, p);
	(void)el_set(p->editor, EL_PROMPT, show);
	(void)el_set(p->editor, EL_EDITOR, "emacs");
	(void)el_set(p->editor, EL_HIST, history, p->history);
	(void)el_set(p->editor, EL_GETCFN, read_character);
	(void)el_set(p->editor, EL_ADDFN, "ais-complete", "complete a word",
	    complete_word);
	(void)el_set(p->editor, EL_BIND, "^R", "em-inc-search-prev", NULL);
	(void)el_set(p->editor, EL_BIND, "^I", "ais-complete", NULL);
	(void)el_source(p->editor, NULL);
	/* "bind -v" takes all other keys back. */
	if (el_get(p->editor, EL_EDITOR, &mode) == 0 &&
	    strcmp(mode, "vi") == 0)
		(void)el_set(p->editor, EL_BIND, "^I", "ais-complete", NULL);
	p->file = history_open(recall, p);
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
	history_close(p->file);
	free(p->line);
	free(p);
}

/* Keep a line, unless it is blank or begins with a blank. */
static void
remember(struct prompt *p, const char *line)
{
	if (*line == '\0' || strchr(" \t", line[0]) != NULL)
		return;
	recall(p, line);
	if (p->file != NULL)
		history_add(p->file, line);
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
	free(p->line);
	if ((p->line = strdup(got)) == NULL)
		return 0;
	p->line[strcspn(p->line, "\n")] = '\0';
	remember(p, p->line);
	*line = p->line;
	return 1;
}
