/*
 * complete.c - what Tab makes of a line.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/wire/body.h"
#include "common/base/buf.h"
#include "common/base/text.h"

#include "client/core/outcome.h"
#include "client/core/memory.h"
#include "client/session/session.h"
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

static void
complete_clear(struct list *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->words[i]);
	free(l->words);
	*l = (struct list){ NULL, 0 };
}

/* Would the word be shown as it is? */
static bool
complete_is_plain(const char *word)
{
	char text[4 * WORD_MAX + 1];
	size_t n = strlen(word);

	return n > 0 && n <= WORD_MAX && strcmp(text_printable(text,
	    sizeof text, word, n), word) == 0;
}

/* Add a word that is shown as it is, in its place, unless it is there. */
static void
complete_add(struct list *l, const char *word)
{
	size_t at = 0;

	while (at < l->count && strcmp(l->words[at], word) < 0)
		at++;
	if (l->count == WORDS_MAX || !complete_is_plain(word) ||
	    (at < l->count && strcmp(l->words[at], word) == 0))
		return;
	l->words = memory_grow(l->words, l->count + 1, sizeof *l->words);
	memmove(l->words + at + 1, l->words + at,
	    (l->count - at) * sizeof *l->words);
	l->words[at] = memory_copy(word);
	l->count++;
}

struct complete *
complete_new(struct request *r, const char *const *own)
{
	struct complete *c = memory_get(sizeof *c);

	c->request = r;
	c->own = own;
	return c;
}

void
complete_free(struct complete *c)
{
	if (c == NULL)
		return;
	complete_clear(&c->commands);
	complete_clear(&c->visited);
	free(c->session);
	free(c);
}

void
complete_visited(struct complete *c, const char *directory)
{
	complete_add(&c->visited, directory);
}

/* Take the names from the answer to LIST: a line each, up to a tab. */
static void
complete_take_names(struct complete *c, char *text)
{
	char *line, *rest, *name;

	for (line = strtok_r(text, "\n", &rest); line != NULL;
	    line = strtok_r(NULL, "\n", &rest)) {
		name = line;
		name[strcspn(name, "\t")] = '\0';
		/* "*" and "-c LINE" say what else is granted. */
		if (*name != '-' && *name != '*')
			complete_add(&c->commands, name);
	}
}

/* Ask the server for its commands. */
static void
complete_ask(struct complete *c)
{
	const struct body body = { .operation = PROTO_LIST };
	struct outcome o;
	struct buf answer;

	buf_init(&answer, ANSWER_MAX);
	request_answer(c->request, &body, &answer, NULL, &o);
	if (o.class == OUTCOME_DONE && o.status == 0 &&
	    buf_put_u8(&answer, '\0') == 0)
		complete_take_names(c, (char *)answer.data + answer.start);
	buf_free(&answer);
}

/* Know the commands, if this is another session than the last. */
static void
complete_learn(struct complete *c)
{
	const char *session = request_session(c->request)->greeting.session;

	if (c->session != NULL && (!request_is_open(c->request) ||
	    strcmp(c->session, session) == 0))
		return;
	memory_set(&c->session, session);
	complete_clear(&c->commands);
	for (const char *const *own = c->own; *own != NULL; own++)
		complete_add(&c->commands, *own);
	if (request_is_open(c->request))
		complete_ask(c);
}

/* The part of a sorted list that begins with the "n" bytes of "text". */
static struct completion
complete_find(const struct list *l, const char *text, size_t n)
{
	struct completion out = { .start = 0 };
	const char *first, *last;

	for (size_t i = 0; i < l->count; i++) {
		if (strncmp(l->words[i], text, n) != 0)
			continue;
		if (out.count++ == 0)
			out.words = l->words + i;
	}
	if (out.count == 0)
		return out;
	first = out.words[0];
	last = out.words[out.count - 1];
	while (first[out.common] != '\0' &&
	    first[out.common] == last[out.common])
		out.common++;
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
		complete_learn(c);
		out = complete_find(&c->commands, line + start, n - start);
	} else
		out = complete_find(&c->visited, line + start, n - start);
	out.start = start;
	return out;
}
