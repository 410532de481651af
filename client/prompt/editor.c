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

#include "common/base/words.h"

#include "client/core/outcome.h"
#include "client/core/signals.h"
#include "client/prompt/history.h"
#include "client/session/request.h"
#include "client/prompt/complete.h"

#include "client/prompt/editor.h"

/* More words than this are not shown, but only counted. */
#define SHOWN_MAX	200

/*
 * libedit is loaded by the first prompt and not with the program: it and what
 * it brings along would cost each command more than all that aisc itself does.
 */
#define LIBEDIT(X) \
	X(el_init) X(el_end) X(el_reset) X(el_resize) X(el_gets) X(el_set) \
	X(el_get) X(el_source) X(el_line) X(el_insertstr) X(el_deletestr) \
	X(history_init) X(history_end) X(history)
#define MEMBER(name)	__typeof__(name) *(name);
#define FIND(name)	&& find(library, #name, &lib.name)

static struct {
	LIBEDIT(MEMBER)
} lib;

struct editor {
	struct request *request;
	EditLine *edit;
	History *history;
	struct history_file *file;	/* Or NULL. */
	struct complete *complete;
	const char *text;
	char *line;
	struct outcome *outcome;
	bool ended;		/* There will be no more lines. */
	mbstate_t state;	/* Of a character that is not yet complete. */
};

/* Put the address of a function to where "place" points; whether there is
 * one. */
static bool
find(void *library, const char *name, void *place)
{
	void *address = dlsym(library, name);

	/* As POSIX wants it; C has no conversion. */
	memcpy(place, &address, sizeof address);
	return address != NULL;
}

/* Whether libedit is there; if not, after a message. */
static bool
load(void)
{
	void *library = dlopen(LIBEDIT_SONAME, RTLD_NOW | RTLD_LOCAL);

	if (library != NULL LIBEDIT(FIND))
		return true;
	outcome_say("lines cannot be edited: %s", dlerror());
	return false;
}

static char *
show(EditLine *edit)
{
	struct editor *e;

	(void)lib.el_get(edit, EL_CLIENTDATA, &e);
	/* libedit does not write to it, but says that it might. */
	return (char *)(uintptr_t)e->text;
}

/* Heed the signals that matter to someone who types.  Whether to go on. */
static bool
heed_signals(struct editor *e)
{
	int signo;

	if (signals_take(SIGWINCH))
		lib.el_resize(e->edit);
	if (signals_take(SIGCONT)) {
		/* The shell has had the terminal in its own mode. */
		(void)lib.el_set(e->edit, EL_PREP_TERM, 1);
		(void)lib.el_set(e->edit, EL_REFRESH);
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

	(void)lib.el_get(edit, EL_CLIENTDATA, &e);
	for (;;) {
		n = request_wait(e->request, STDIN_FILENO, e->outcome);
		if (n == -1 || (n == 0 && !heed_signals(e)))
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
	int width = 0, columns = 80, across;
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		columns = size.ws_col;
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
	lib.el_deletestr(edit, (int)n);
	done = lib.el_insertstr(edit, quoted) == 0 &&
	    lib.el_insertstr(edit, " ") == 0;
	free(quoted);
	return done ? CC_REFRESH : CC_ERROR;
}

/* Tab. */
static unsigned char
complete_word(EditLine *edit, int key)
{
	const LineInfo *info = lib.el_line(edit);
	size_t n = (size_t)(info->cursor - info->buffer), typed, characters;
	char more[1024 + 1];
	struct completion found;
	struct editor *e;

	(void)key;
	(void)lib.el_get(edit, EL_CLIENTDATA, &e);
	found = complete_line(e->complete, info->buffer, n);
	if (found.count == 0)
		return CC_ERROR;
	typed = n - found.start;
	characters = 0;
	for (size_t i = found.start; i < n; i++)
		characters += (info->buffer[i] & 0xc0) != 0x80;
	if (found.count == 1)
		return insert_word(edit, found.words[0], characters);
	if (found.common > typed && found.common - typed < sizeof more) {
		memcpy(more, found.words[0] + typed, found.common - typed);
		more[found.common - typed] = '\0';
		/* Not half of what is to stand in quotes. */
		if (more[strcspn(more, " \t'\"\\$`|&;<>()*?[]{}#~!")] == '\0')
			return lib.el_insertstr(edit, more) == 0 ? CC_REFRESH :
			    CC_ERROR;
	}
	show_words(&found);
	return CC_REDISPLAY;
}

/* A line of an earlier prompt. */
static void
recall(void *context, const char *line)
{
	struct editor *e = context;
	HistEvent event;

	(void)lib.history(e->history, &event, H_ENTER, line);
}

struct editor *
editor_open(struct request *r, struct complete *complete)
{
	struct editor *e;
	HistEvent event;
	const char *mode;

	if (!load())
		return NULL;
	if ((e = calloc(1, sizeof *e)) == NULL)
		goto fail;
	e->request = r;
	e->complete = complete;
	/* So that a character of several bytes is one. */
	(void)setlocale(LC_CTYPE, "");
	e->edit = lib.el_init("aisc", stdin, stderr, stderr);
	e->history = lib.history_init();
	if (e->edit == NULL || e->history == NULL)
		goto fail;
	(void)lib.history(e->history, &event, H_SETSIZE, HISTORY_LINES);
	(void)lib.history(e->history, &event, H_SETUNIQUE, 1);
	(void)lib.el_set(e->edit, EL_CLIENTDATA, e);
	(void)lib.el_set(e->edit, EL_PROMPT, show);
	(void)lib.el_set(e->edit, EL_EDITOR, "emacs");
	(void)lib.el_set(e->edit, EL_HIST, lib.history, e->history);
	(void)lib.el_set(e->edit, EL_GETCFN, read_character);
	(void)lib.el_set(e->edit, EL_ADDFN, "ais-complete", "complete a word",
	    complete_word);
	(void)lib.el_set(e->edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
	(void)lib.el_set(e->edit, EL_BIND, "^I", "ais-complete", NULL);
	(void)lib.el_source(e->edit, NULL);
	/* "bind -v" takes all other keys back. */
	if (lib.el_get(e->edit, EL_EDITOR, &mode) == 0 &&
	    strcmp(mode, "vi") == 0)
		(void)lib.el_set(e->edit, EL_BIND, "^I", "ais-complete", NULL);
	e->file = history_open(recall, e);
	return e;

fail:
	outcome_say("lines cannot be edited: out of memory");
	editor_close(e);
	return NULL;
}

void
editor_close(struct editor *e)
{
	if (e == NULL)
		return;
	if (e->edit != NULL)
		lib.el_end(e->edit);
	if (e->history != NULL)
		lib.history_end(e->history);
	history_close(e->file);
	free(e->line);
	free(e);
}

/* Keep a line, unless it is blank or begins with a blank. */
static void
remember(struct editor *e, const char *line)
{
	if (*line == '\0' || strchr(" \t", line[0]) != NULL)
		return;
	recall(e, line);
	if (e->file != NULL)
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
	/* Whoever sees the prompt may type: libedit would show it first, and
	 * Ctrl-D between the two would be lost. */
	(void)lib.el_set(e->edit, EL_PREP_TERM, 1);
	got = lib.el_gets(e->edit, &n);
	if (got == NULL || n <= 0) {
		lib.el_reset(e->edit);
		outcome_write("\n");
		/* Ctrl-D on an empty line leaves nothing behind. */
		return e->ended || o->class == OUTCOME_DONE ? 0 : -1;
	}
	free(e->line);
	if ((e->line = strdup(got)) == NULL)
		return 0;
	e->line[strcspn(e->line, "\n")] = '\0';
	remember(e, e->line);
	*line = e->line;
	return 1;
}
