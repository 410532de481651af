/*
 * editor.c - lines from a terminal, with editing, history and Tab, by libedit.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <dlfcn.h>
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

#include "common/base/text.h"
#include "common/base/words.h"

#include "client/core/outcome.h"
#include "client/core/memory.h"
#include "client/core/signals.h"
#include "client/prompt/history.h"
#include "client/session/request.h"
#include "client/prompt/complete.h"

#include "client/prompt/editor.h"

/* More words than this are not shown, but only counted. */
#define SHOWN_MAX	200

/* The most lines that a prompt remembers. */
#define HISTORY_LINES	1000

/*
 * libedit is loaded by the first prompt and not with the program: it and what
 * it brings along would cost each command more than all that aisc itself does.
 * The name of a function is looked up at each call, which is nothing beside a
 * key that is pressed; LIBEDIT_SONAME says that all of them are there.  By way
 * of a number, since C converts no pointer to one to a function.
 */
#define LIB(name)	((__typeof__(name) *)(uintptr_t)dlsym(libedit, #name))

static void *libedit;

struct editor {
	struct request *request;
	EditLine *edit;
	History *history;
	int file;		/* Of the history; -1: none. */
	struct complete *complete;
	const char *text;
	char *line;
	struct outcome *outcome;
	bool ended;		/* There will be no more lines. */
	mbstate_t state;	/* Of a character that is not yet complete. */
};

static char *
editor_prompt(EditLine *edit)
{
	struct editor *e;

	(void)LIB(el_get)(edit, EL_CLIENTDATA, &e);
	/* libedit does not write to it, but says that it might. */
	return (char *)(uintptr_t)e->text;
}

/* How wide the terminal is. */
static size_t
terminal_columns(void)
{
	struct winsize size;

	return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 &&
	    size.ws_col > 0 ? size.ws_col : 80;
}

/* Have the terminal do "what", a name of terminfo(5) with two letters.  One
 * that cannot does nothing. */
static void
terminal_do(struct editor *e, const char *what)
{
	char *bytes = NULL;

	if (LIB(el_get)(e->edit, EL_GETTC, what, &bytes) == 0 && bytes != NULL)
		outcome_write(bytes);
}

/*
 * The terminal has another width, and has folded our line anew: go to where it
 * begins now and draw it from there.  libedit alone would begin where the
 * cursor is, and leave the first part above.
 */
static void
editor_resize(struct editor *e)
{
	const LineInfo *line = LIB(el_line)(e->edit);
	size_t before = text_columns(e->text, strlen(e->text)) +
	    text_columns(line->buffer, (size_t)(line->cursor - line->buffer));

	outcome_write("\r");
	for (size_t n = before / terminal_columns(); n > 0; n--)
		terminal_do(e, "up");
	terminal_do(e, "cd");
	LIB(el_resize)(e->edit);
	(void)LIB(el_set)(e->edit, EL_REFRESH);
}

/* Handle the signals that matter at a prompt.  Whether to go on. */
static bool
editor_signals(struct editor *e)
{
	int signo;

	if (signals_take(SIGWINCH))
		editor_resize(e);
	if (signals_take(SIGCONT)) {
		/* The shell has had the terminal in its own mode, of which
		 * libedit knows nothing: it sets what it has not set. */
		(void)LIB(el_set)(e->edit, EL_PREP_TERM, 0);
		(void)LIB(el_set)(e->edit, EL_PREP_TERM, 1);
		(void)LIB(el_set)(e->edit, EL_REFRESH);
	}
	if ((signo = signals_take_end()) == 0)
		return true;
	outcome_signal(e->outcome, signo);
	e->ended = signo != SIGINT;
	return false;
}

/* Add a byte to the character that is under way; whether it is complete. */
static bool
add_byte(struct editor *e, char byte, wchar_t *c)
{
	size_t n = mbrtowc(c, &byte, 1, &e->state);

	if (n == (size_t)-2)
		return false;
	if (n == (size_t)-1) {
		memset(&e->state, 0, sizeof e->state);
		/* It is left out, and not without a sign. */
		outcome_write("\a");
		return false;
	}
	return true;
}

/*
 * Read one character: libedit's el_rfunc_t.  Its own would let the server's
 * questions wait, and would swallow signals.
 */
static int
read_character(EditLine *edit, wchar_t *c)
{
	struct editor *e;
	char byte;
	int n;

	(void)LIB(el_get)(edit, EL_CLIENTDATA, &e);
	for (;;) {
		n = request_wait(e->request, STDIN_FILENO, e->outcome);
		if (n == -1 || (n == 0 && !editor_signals(e)))
			return -1;
		if (n == 1 && read(STDIN_FILENO, &byte, 1) != 1) {
			e->ended = true;
			return 0;
		}
		if (n == 1 && add_byte(e, byte, c))
			return 1;
	}
}

/* Show the words that fit, below the line. */
static void
show_words(const struct completion *found)
{
	int width = 0, columns = (int)terminal_columns(), across;

	outcome_write("\n");
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
insert_word(EditLine *edit, char *word, size_t n)
{
	char *words[] = { word, NULL }, *quoted = words_join(words, 0);
	bool done;

	if (quoted == NULL)
		return CC_ERROR;
	LIB(el_deletestr)(edit, (int)n);
	done = LIB(el_insertstr)(edit, quoted) == 0 &&
	    LIB(el_insertstr)(edit, " ") == 0;
	free(quoted);
	return done ? CC_REFRESH : CC_ERROR;
}

/* Tab. */
static unsigned char
complete_word(EditLine *edit, int key)
{
	const LineInfo *info = LIB(el_line)(edit);
	size_t n = (size_t)(info->cursor - info->buffer), typed;
	char more[1024 + 1];
	struct completion found;
	struct editor *e;

	(void)key;
	(void)LIB(el_get)(edit, EL_CLIENTDATA, &e);
	found = complete_line(e->complete, info->buffer, n);
	if (found.count == 0)
		return CC_ERROR;
	typed = n - found.start;
	if (found.count == 1)
		return insert_word(edit, found.words[0],
		    text_columns(info->buffer + found.start, typed));
	if (found.common > typed && found.common - typed < sizeof more) {
		memcpy(more, found.words[0] + typed, found.common - typed);
		more[found.common - typed] = '\0';
		/* Not half of what is to stand in quotes. */
		if (more[strcspn(more, " \t'\"\\$`|&;<>()*?[]{}#~!")] == '\0')
			return LIB(el_insertstr)(edit, more) == 0 ? CC_REFRESH :
			    CC_ERROR;
	}
	show_words(&found);
	return CC_REDISPLAY;
}

/* Take what earlier prompts have left. */
static void
editor_recall(struct editor *e)
{
	char *lines, *line, *rest;
	HistEvent event;

	e->file = history_open(&lines);
	if (e->file == -1)
		return;
	for (line = strtok_r(lines, "\n", &rest); line != NULL;
	    line = strtok_r(NULL, "\n", &rest))
		(void)LIB(history)(e->history, &event, H_ENTER, line);
	free(lines);
}

/*
 * A character of several bytes is one.  Where no locale is set, or one that
 * this machine does not have, what people type is UTF-8 all the same.
 */
static void
set_characters(void)
{
	const char *name = setlocale(LC_CTYPE, "");

	if (name == NULL || strcmp(name, "C") == 0 ||
	    strcmp(name, "POSIX") == 0)
		(void)setlocale(LC_CTYPE, "C.UTF-8");
}

struct editor *
editor_open(struct request *r, struct complete *complete)
{
	struct editor *e;
	HistEvent event;
	const char *mode;

	if (libedit == NULL)
		libedit = dlopen(LIBEDIT_SONAME, RTLD_NOW | RTLD_LOCAL);
	if (libedit == NULL) {
		outcome_say("lines cannot be edited: %s", dlerror());
		return NULL;
	}
	e = memory_get(sizeof *e);
	e->request = r;
	e->complete = complete;
	set_characters();
	e->edit = LIB(el_init)("aisc", stdin, stderr, stderr);
	e->history = LIB(history_init)();
	if (e->edit == NULL || e->history == NULL)
		memory_out();
	(void)LIB(history)(e->history, &event, H_SETSIZE, HISTORY_LINES);
	(void)LIB(history)(e->history, &event, H_SETUNIQUE, 1);
	(void)LIB(el_set)(e->edit, EL_CLIENTDATA, e);
	(void)LIB(el_set)(e->edit, EL_PROMPT, editor_prompt);
	(void)LIB(el_set)(e->edit, EL_EDITOR, "emacs");
	(void)LIB(el_set)(e->edit, EL_HIST, LIB(history), e->history);
	(void)LIB(el_set)(e->edit, EL_GETCFN, read_character);
	(void)LIB(el_set)(e->edit, EL_ADDFN, "ais-complete", "complete a word",
	    complete_word);
	(void)LIB(el_set)(e->edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
	(void)LIB(el_set)(e->edit, EL_BIND, "^I", "ais-complete", NULL);
	(void)LIB(el_source)(e->edit, NULL);
	/* "bind -v" takes all other keys back. */
	if (LIB(el_get)(e->edit, EL_EDITOR, &mode) == 0 &&
	    strcmp(mode, "vi") == 0)
		(void)LIB(el_set)(e->edit, EL_BIND, "^I", "ais-complete", NULL);
	editor_recall(e);
	return e;
}

void
editor_close(struct editor *e)
{
	if (e == NULL)
		return;
	LIB(el_end)(e->edit);
	LIB(history_end)(e->history);
	if (e->file != -1)
		(void)close(e->file);
	free(e->line);
	free(e);
}

/* Keep a line, unless it is blank or begins with a blank, or is the same as the
 * last one. */
static void
editor_remember(struct editor *e, const char *line)
{
	HistEvent event;

	/* 1: it is new. */
	if (*line != '\0' && strchr(" \t", line[0]) == NULL &&
	    LIB(history)(e->history, &event, H_ENTER, line) == 1 &&
	    e->file != -1)
		history_add(e->file, line);
}

int
editor_read(struct editor *e, const char *text, const char **line,
    struct outcome *o)
{
	const char *got;
	int n = 0;

	e->text = text;
	e->outcome = o;
	memset(o, 0, sizeof *o);
	/* Before the prompt is shown, as libedit would do it after that: a
	 * Ctrl-D between the two would be lost. */
	(void)LIB(el_set)(e->edit, EL_PREP_TERM, 1);
	got = LIB(el_gets)(e->edit, &n);
	if (got == NULL || n <= 0) {
		LIB(el_reset)(e->edit);
		outcome_write("\n");
		/* Ctrl-D on an empty line is the end. */
		return e->ended || o->class == OUTCOME_DONE ? 0 : -1;
	}
	memory_set(&e->line, got);
	e->line[strcspn(e->line, "\n")] = '\0';
	editor_remember(e, e->line);
	*line = e->line;
	return 1;
}
