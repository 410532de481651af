#include <config.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/wire/body.h"
#include "common/base/buf.h"
#include "common/base/text.h"

#include "client/core/outcome.h"
#include "client/session/request.h"

#include "client/prompt/complete.h"

/* The most words of a kind; and the most that the server may say of its. */
#define WORDS_MAX	4096
#define ANSWER_MAX	(1024 * 1024)
/* Longer words are nothing to complete. */
#define WORD_MAX	1024

struct list {
	char **words;		/* Sorted. */
	size_t count;
};

struct complete {
	struct request *request;
	const char *const *own;
	struct list commands;	/* Those and what the rules list, */
	char *session;		/* in the session of this name. */
	struct list visited;
};

static int
compare(const void *a, const void *b)
{
	char *const *x = a, *const *y = b;

	return strcmp(*x, *y);
}

static void
clear(struct list *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->words[i]);
	free(l->words);
	*l = (struct list){ NULL, 0 };
}

/* Would the word be shown as it is? */
static bool
is_plain(const char *word, size_t n)
{
	char text[4 * WORD_MAX + 1];

	return n > 0 && n <= WORD_MAX && strcmp(text_printable(text,
	    sizeof text, word, n), word) == 0;
}

/* Add a word, unless it is nothing that is shown as it is.  Want of memory
 * leaves it out.  sort() is due. */
static void
add(struct list *l, const char *word)
{
	char **words;

	if (l->count == WORDS_MAX || !is_plain(word, strlen(word)) ||
	    (words = realloc(l->words, (l->count + 1) * sizeof *words)) ==
	    NULL)
		return;
	l->words = words;
	if ((words[l->count] = strdup(word)) != NULL)
		l->count++;
}

/* Put the words in order, each once. */
static void
sort(struct list *l)
{
	size_t n = 0;

	if (l->count == 0)
		return;
	qsort(l->words, l->count, sizeof *l->words, compare);
	for (size_t i = 1; i < l->count; i++) {
		if (strcmp(l->words[n], l->words[i]) == 0)
			free(l->words[i]);
		else
			l->words[++n] = l->words[i];
	}
	l->count = n + 1;
}

struct complete *
complete_new(struct request *r, const char *const *own)
{
	struct complete *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	c->request = r;
	c->own = own;
	return c;
}

void
complete_free(struct complete *c)
{
	if (c == NULL)
		return;
	clear(&c->commands);
	clear(&c->visited);
	free(c->session);
	free(c);
}

void
complete_visited(struct complete *c, const char *directory)
{
	add(&c->visited, directory);
	sort(&c->visited);
}

/* Take the names from the answer to LIST: a line each, up to a tab. */
static void
take_names(struct complete *c, char *text)
{
	char *line, *rest, *name;

	for (line = strtok_r(text, "\n", &rest); line != NULL;
	    line = strtok_r(NULL, "\n", &rest)) {
		name = line;
		name[strcspn(name, "\t")] = '\0';
		/* "*" and "-c LINE" say what else is granted. */
		if (*name != '-' && *name != '*')
			add(&c->commands, name);
	}
}

/* Ask the server for its commands. */
static void
ask(struct complete *c)
{
	const struct body body = { .operation = PROTO_LIST };
	struct outcome o;
	struct buf answer;
	char *text;

	buf_init(&answer, ANSWER_MAX);
	request_answer(c->request, &body, &answer, NULL, &o);
	if (o.class == OUTCOME_DONE && o.status == 0 &&
	    buf_used(&answer) > 0 && (text = strndup((const char *)
	    buf_data(&answer), buf_used(&answer))) != NULL) {
		take_names(c, text);
		free(text);
	}
	buf_free(&answer);
}

/* Know the commands, if this is another session than the last. */
static void
learn(struct complete *c)
{
	const char *session = request_greeting(c->request)->session;

	if (c->session != NULL && (!request_is_open(c->request) ||
	    strcmp(c->session, session) == 0))
		return;
	free(c->session);
	c->session = strdup(session);
	clear(&c->commands);
	for (const char *const *own = c->own; *own != NULL; own++)
		add(&c->commands, *own);
	if (request_is_open(c->request))
		ask(c);
	sort(&c->commands);
}

/* How many bytes do two words begin with alike? */
static size_t
alike(const char *a, const char *b)
{
	size_t n = 0;

	while (a[n] != '\0' && a[n] == b[n])
		n++;
	return n;
}

/* The part of a sorted list that begins with the "n" bytes of "text". */
static struct completion
find(const struct list *l, const char *text, size_t n)
{
	struct completion out = { .start = 0 };
	size_t first = 0, end;

	while (first < l->count && strncmp(l->words[first], text, n) != 0)
		first++;
	for (end = first; end < l->count &&
	    strncmp(l->words[end], text, n) == 0; end++)
		;
	if (end == first)
		return out;
	out.words = l->words + first;
	out.count = end - first;
	out.common = alike(l->words[first], l->words[end - 1]);
	return out;
}

struct completion
complete_line(struct complete *c, const char *line, size_t n)
{
	struct completion out = { .start = n };
	size_t first = 0, start = n;

	while (first < n && strchr(" \t", line[first]) != NULL)
		first++;
	while (start > 0 && strchr(" \t", line[start - 1]) == NULL)
		start--;
	/* Half a quoted word is hard to guess the rest of. */
	for (size_t i = start; i < n; i++) {
		if (strchr("'\"\\", line[i]) != NULL)
			return out;
	}
	if (start > first && (strncmp(line + first, "cd", 2) != 0 ||
	    strchr(" \t", line[first + 2]) == NULL))
		return out;
	if (start <= first) {
		learn(c);
		out = find(&c->commands, line + start, n - start);
	} else
		out = find(&c->visited, line + start, n - start);
	out.start = start;
	return out;
}
