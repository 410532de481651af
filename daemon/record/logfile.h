/*
 * logfile.h - a file as a sink of the log: a line for each event.
 *
 * SPDX-License-Identifier: ISC
 *
 * The file may also be a pipe, or our own standard output or error.  If their
 * reader is stopped or gone, the event is not taken, and nothing waits.
 */
#ifndef AIS_LOGFILE_H
#define AIS_LOGFILE_H

#include <stdbool.h>

struct failure;
struct log_sink;

/* What a line looks like. */
enum logfile_form {
	LOGFILE_LOGFMT,		/* log_format() */
	LOGFILE_JSON,		/* logjson_format() */
	LOGFILE_SHOWN		/* log_show(): for people, and no record. */
};

#define LOGFILE_STDOUT	"/dev/stdout"
#define LOGFILE_STDERR	"/dev/stderr"

/* Is "path" one of these two?  It must be opened as the user that has started
 * us: no other may have the right to. */
bool logfile_is_stream(const char *path);

/*
 * A sink that appends to a file.  logfile_open() opens "path" (mode 0640,
 * created if missing, never through a symbolic link) and returns the sink, or
 * NULL with the reason in "why", and errno set.  A pipe without a reader is
 * tried again at each event, and until then logfile_is_open() is false.
 *
 * logfile_reopen() opens the path again, for a file that has been rotated away;
 * 0, or -1 after a message, with the old file still in use.  A file that was
 * deleted is begun anew at the next event, which is reported.  logfile_close()
 * closes and frees.
 */
struct log_sink *logfile_open(const char *path, enum logfile_form form,
    struct failure *why);
bool logfile_is_open(const struct log_sink *sink);

/* Could logfile_open() do so, now and as this user?  Nothing is created, and
 * whether a pipe has a reader is not asked.  0, or -1 with the same "why" and
 * errno. */
int logfile_check(const char *path, struct failure *why);
int logfile_reopen(struct log_sink *sink);
void logfile_close(struct log_sink *sink);

#endif
