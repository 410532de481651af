/*
 * candidates.h - which of many lists of patterns may match a text.
 *
 * A list is known by its number and kept by the beginnings of its patterns: a
 * pattern without "*" is one beginning, "web-*" has "web-", and "*", like an
 * expression, begins as everything does.  To ask takes time for each length
 * that a beginning of some list has, up to that of the text, and for the lists
 * that begin as the text does; and none for all the others.
 */
#ifndef AIS_CANDIDATES_H
#define AIS_CANDIDATES_H

#include <stdbool.h>
#include <stddef.h>

struct candidates {
	struct candidate *all;	/* Sorted by candidates_sort(). */
	size_t count;
	size_t size;
};

/* No number. */
#define CANDIDATES_NONE	((size_t)-1)

/* Begin with no lists; free what was added. */
void candidates_init(struct candidates *c);
void candidates_free(struct candidates *c);

/*
 * Add the list with the number "number": "patterns", NULL terminated, as for
 * pattern_compile(), which must outlive "c"; NULL in its place stands for "*".
 * 0, or -1 if memory is out.
 */
int candidates_add(struct candidates *c, char *const *patterns, size_t number);

/* All have been added; to be called before candidates_first(). */
void candidates_sort(struct candidates *c);

/*
 * The lowest number of a list that may match "text" and for which fits() says
 * yes, which is asked with "context" and the number; or CANDIDATES_NONE.  No
 * list that does match is left out; fits() looks whether it does.
 */
size_t candidates_first(const struct candidates *c, const char *text,
    bool (*fits)(void *context, size_t number), void *context);

#endif
