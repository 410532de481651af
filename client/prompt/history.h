/*
 * history.h - the lines that were typed at the prompt, kept in a file.
 *
 * One line an entry, the oldest first, in $XDG_STATE_HOME/ais/history or
 * ~/.local/state/ais/history, for nobody else to read.  Several prompts may
 * add to it at once.  Without such a file a prompt works as well.
 */
#ifndef AIS_HISTORY_H
#define AIS_HISTORY_H

/* What is kept: so many lines at the prompt, and in the file so many bytes. */
#define HISTORY_LINES	1000
#define HISTORY_BYTES	(256 * 1024)

struct history_file;

/*
 * Open the file, and give each of its lines to "each" with "context".  NULL if
 * there is no place for it, or it is not ours alone to write: a link, another
 * user's, no plain file.
 */
struct history_file *history_open(void (*each)(void *context,
    const char *line), void *context);

/* Add a line, which has no newline, unless it is the same as the last one. */
void history_add(struct history_file *h, const char *line);

/* NULL is none. */
void history_close(struct history_file *h);

#endif
