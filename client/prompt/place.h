/*
 * place.h - the directory on the server in which the commands of a prompt or a
 * script run, over one session after the other.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_PLACE_H
#define AIS_PLACE_H

#include <stdbool.h>

struct complete;
struct outcome;
struct request;

struct place {
	struct request *request;	/* Borrowed, as is the next. */
	struct complete *complete;	/* It learns of each; or NULL. */
	bool tells;		/* A new session is told to the user. */
	char *directory;	/* Where we are; NULL: not known. */
	bool moved;		/* Not where sessions begin. */
	char *before;		/* Where we were before the last change, if */
	bool changed;		/* there was one; NULL: where they begin. */
};

/* Free what it holds. */
void place_clear(struct place *p);

/* Say that the session is over, for the reason in "o", and that there will be
 * another, where that is to be told. */
void place_say_again(const struct place *p, const struct outcome *o);

/*
 * Go back to where we are, if the session is a new one: each begins in the same
 * directory.  To be done before anything that depends on it.  False with the
 * reason in "o".
 */
bool place_return(struct place *p, struct outcome *o);

/* Ask where we are; as place_change(). */
void place_ask(struct place *p, struct outcome *o);

/*
 * Change to "path", or, if that is NULL, to where sessions begin; "o" is of
 * class OUTCOME_DONE if that is done.  A session that has to end for others
 * just now has not seen it: the next one does, from where this one was.
 */
void place_change(struct place *p, const char *path, struct outcome *o);

/* The same, but "path" is seen from where sessions begin; and back to where we
 * were before the last change.  Both fail if there is no such place. */
void place_change_from_home(struct place *p, const char *path,
    struct outcome *o);
void place_change_back(struct place *p, struct outcome *o);

#endif
