/*
 * lines.h - lines from standard input or a file, while the session is kept
 * alive.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_LINES_H
#define AIS_LINES_H

struct lines;
struct outcome;
struct request;

/* The longest line; no request could hold a longer one. */
#define LINES_MAX	(1024 * 1024)

/*
 * Make ready to read lines from "file", or from standard input where that is
 * NULL; "r" is kept alive while they are waited for.  NULL with the reason in
 * errno.
 */
struct lines *lines_open(struct request *r, const char *file);
void lines_close(struct lines *l);

/*
 * Read a line.  1: "*line" is the line without its newline, valid until the
 * next call; the last one may lack it.  0: the input has ended, or "o" is the
 * signal that ends it.  -1: there is no line, and "o" says why: it is too long
 * or holds a NUL, it cannot be read, or the session has ended.
 */
int lines_read(struct lines *l, const char **line, struct outcome *o);

/* A copy, for free(3), of the next line that can be had without waiting, beyond
 * the one that lines_read() has given and those that were passed; or NULL.
 * lines_pass() passes it. */
char *lines_look_ahead(const struct lines *l);
void lines_pass(struct lines *l);

#endif
