/*
 * history.h - the lines that were typed at the prompt, kept in a file.
 * SPDX-License-Identifier: ISC
 *
 * One line an entry, the oldest first, in $XDG_STATE_HOME/ais/history or
 * ~/.local/state/ais/history, with mode 0600.  libedit's own file is written
 * as a whole at the end, and of two prompts only the last would be kept; here
 * each line is appended when it is typed.
 */
#ifndef AIS_HISTORY_H
#define AIS_HISTORY_H

/* So many bytes of the file are read; one that has become more than twice as
 * long is cut to them. */
#define HISTORY_BYTES	(256 * 1024)

/*
 * Open the file, and put its last lines into "*lines", for free(3).  Returns a
 * descriptor for history_add() and close(2), or -1 if there is no place for the
 * file, or if it is not ours alone to write: a link, another user's, no plain
 * file.  "*lines" is NULL then.
 */
int history_open(char **lines);

/* Append a line, which has no newline.  A failure is not told. */
void history_add(int fd, const char *line);

#endif
