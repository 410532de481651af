#include <config.h>

#include <stddef.h>

#include "client/prompt/editor.h"

struct editor *
editor_open(struct request *r, struct complete *complete)
{
	(void)r;
	(void)complete;
	return NULL;
}

void
editor_close(struct editor *e)
{
	(void)e;
}

int
editor_read(struct editor *e, const char *text, const char **line,
    struct outcome *o)
{
	(void)e;
	(void)text;
	(void)line;
	(void)o;
	return 0;
}
