/*
 * editor.h - lines from a terminal, with editing, history and Tab.
 * SPDX-License-Identifier: ISC
 *
 * Where AIS is built without libedit no editor opens.
 */
#ifndef AIS_EDITOR_H
#define AIS_EDITOR_H

#include <stddef.h>

struct complete;
struct editor;
struct outcome;
struct request;

#ifdef HAVE_LIBEDIT

/*
 * Make ready to read lines from the terminal that is standard input.  The
 * prompt is shown on standard error, so that standard output stays clean.
 * "r" is kept alive meanwhile, and Tab is answered by "complete".  NULL after a
 * message if libedit cannot be loaded.
 */
struct editor *editor_open(struct request *r, struct complete *complete);
void editor_close(struct editor *e);

/*
 * Show "text", in which foreign bytes must be escaped, and read a line.
 * 1: "*line" is the line without its newline, valid until the next call.
 * 0: the input has ended, or "o" is the signal that ends it.  -1: there is no
 * line, and "o" says why; Ctrl-C is an "o" of class OUTCOME_INTERRUPTED.
 */
int editor_read(struct editor *e, const char *text, const char **line,
    struct outcome *o);

#else

/* Without libedit: NULL, and the others are never called. */
#define editor_open(r, complete)		(NULL)
#define editor_close(e)				((void)(e))
#define editor_read(e, text, line, o)		((void)(e), 0)

#endif

#endif
