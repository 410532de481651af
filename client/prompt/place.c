/*
 * place.c - the directory in which the commands of a prompt or a script run.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "common/base/failure.h"
#include "common/wire/body.h"
#include "common/wire/proto.h"

#include "client/core/outcome.h"
#include "client/core/memory.h"
#include "client/session/request.h"
#include "client/prompt/complete.h"

#include "client/prompt/place.h"

/* In so many sessions a directory is gone back to for one command. */
#define SESSIONS_MAX	8

/* This word changes nothing, and asks where we are. */
static const char here[] = ".";

void
place_clear(struct place *p)
{
	free(p->directory);
	free(p->before);
}

void
place_say_again(const struct place *p, const struct outcome *o)
{
	char why[FAILURE_MAX];

	if (p->tells)
		outcome_say("%s; beginning another session",
		    failure_sentence(&o->failure, why));
}

/* One request: change to "path", NULL being where sessions begin, and learn
 * where that is. */
static void
place_request(struct place *p, const char *path, struct outcome *o)
{
	char *word = path == NULL ? NULL : memory_copy(path);
	char *words[] = { word, NULL };
	const struct body body = { .operation = PROTO_CHDIR, .words = words,
	    .nwords = word != NULL };

	request_ask(p->request, &body, o);
	if (o->class == OUTCOME_DONE) {
		if (path == NULL || strcmp(path, here) != 0)
			p->moved = path != NULL;
		memory_set(&p->directory, o->directory);
		if (p->complete != NULL)
			complete_visited(p->complete, o->directory);
	}
	free(word);
}

/*
 * A session may end with the very answer to this, or before it, and the next
 * one begins where all do again.
 */
bool
place_return(struct place *p, struct outcome *o)
{
	char *path;

	if (p->directory == NULL)
		return true;
	for (int i = 0; !request_is_open(p->request); i++) {
		if (i == SESSIONS_MAX) {
			outcome_fail(o, OUTCOME_TURN, "one session after the "
			    "other has ended in the directory, before the "
			    "command");
			outcome_hint(o, "try again when fewer wait for the "
			    "server");
			return false;
		}
		path = memory_copy(p->moved ? p->directory : here);
		place_request(p, path, o);
		free(path);
		if (o->class != OUTCOME_DONE && !o->again)
			return false;
	}
	return true;
}

/* As place_request(), if need be in another session. */
static void
place_try(struct place *p, const char *path, struct outcome *o)
{
	if (path != NULL && !place_return(p, o))
		return;
	place_request(p, path, o);
	if (!o->again)
		return;
	place_say_again(p, o);
	if (path == NULL || place_return(p, o))
		place_request(p, path, o);
}

void
place_ask(struct place *p, struct outcome *o)
{
	place_try(p, here, o);
}

/* What place_change_back() goes back to, for free(3). */
static char *
place_note(const struct place *p)
{
	return p->moved ? memory_copy(p->directory) : NULL;
}

/* We have come from "before", which was noted. */
static void
place_keep(struct place *p, char *before)
{
	free(p->before);
	p->before = before;
	p->changed = true;
}

void
place_change(struct place *p, const char *path, struct outcome *o)
{
	char *before = place_note(p);

	place_try(p, path, o);
	if (o->class == OUTCOME_DONE)
		place_keep(p, before);
	else
		free(before);
}

void
place_change_from_home(struct place *p, const char *path, struct outcome *o)
{
	char *before = place_note(p);
	struct outcome back;

	place_try(p, NULL, o);
	if (o->class == OUTCOME_DONE && *path != '\0')
		place_try(p, path, o);
	if (o->class == OUTCOME_DONE) {
		place_keep(p, before);
		return;
	}
	/* Not there, so not half way to it either. */
	if (before != NULL)
		place_try(p, before, &back);
	free(before);
}

void
place_change_back(struct place *p, struct outcome *o)
{
	char *path = p->before == NULL ? NULL : memory_copy(p->before);

	if (p->changed)
		place_change(p, path, o);
	else
		outcome_fail(o, OUTCOME_INVALID, "the directory has not been "
		    "changed yet");
	free(path);
}
