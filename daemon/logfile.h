/*
 * logfile.h - a file as a sink of the log: a line for each event.
 */
#ifndef AIS_LOGFILE_H
#define AIS_LOGFILE_H

struct log_sink;

/*
 * A sink that appends to a file.  logfile_open() opens "path" (mode 0640,
 * created if missing, never through a symbolic link) and returns the sink, or
 * NULL after a message.  logfile_reopen() opens the path again, for a file
 * that has been rotated away; 0, or -1 after a message, with the old file
 * still in use.  A file that was deleted is begun anew at the next event, which
 * is reported.  logfile_close() closes and frees.
 */
struct log_sink *logfile_open(const char *path);
int logfile_reopen(struct log_sink *sink);
void logfile_close(struct log_sink *sink);

#endif
