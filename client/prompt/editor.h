/*
 * editor.h - lines from a terminal, with editing, history and Tab.
 *
 * Two files implement this: editor.c over libedit, and editor-none.c where AIS
 * is built without it.
 */
#ifndef AIS_EDITOR_H
#define AIS_EDITOR_H

struct complete;
struct editor;
struct outcome;
struct request;

/*
 * Make ready, as prompt_open() does.  NULL if lines cannot be edited: after a
 * message, unless AIS is built so.
 */
struct editor *editor_open(struct request *r, struct complete *complete);
void editor_close(struct editor *e);

/* As prompt_read(). */
int editor_read(struct editor *e, const char *text, const char **line,
    struct outcome *o);

#endif
