/*
 * complete.h - what Tab makes of a line: the words that may stand where the
 * cursor is.
 * SPDX-License-Identifier: ISC
 *
 * The first word is one of aisc's own or one of those that the server's rules
 * list; after "cd" it is a directory where this prompt has been.
 */
#ifndef AIS_COMPLETE_H
#define AIS_COMPLETE_H

#include <stddef.h>

struct complete;
struct request;

/* The words that fit.  All is borrowed until the next call. */
struct completion {
	size_t start;		/* Of the word in the line. */
	char *const *words;	/* Printable, sorted, each once. */
	size_t count;
	size_t common;		/* So many bytes they all begin with. */
};

/* "own" are the words of aisc itself, NULL terminated; they are borrowed. */
struct complete *complete_new(struct request *r, const char *const *own);
void complete_free(struct complete *c);

/* Keep in mind that "directory" is one. */
void complete_visited(struct complete *c, const char *directory);

/*
 * What fits the end of the "n" bytes of "line".  It may ask the server, once a
 * session, and only if a session is open.
 */
struct completion complete_line(struct complete *c, const char *line,
    size_t n);

#endif
