/*
 * logs.h - open the logs that the configuration names.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_LOGS_H
#define AIS_LOGS_H

#include <stdbool.h>

struct log_sink;
struct settings;

/*
 * Open those of our own streams that "s" names as "log_file", and standard
 * error if "verbose".  To be called before privileges are dropped: only the
 * user that has started us may have the right to open them again.  0, or -1
 * after a message, with errno set.
 */
int logs_open_streams(const struct settings *s, bool verbose);

/*
 * Open the other logs, and let events go to all of them, from the level of "s"
 * on, or from debug on if "verbose".  Warnings and errors go to standard error
 * before.  Where one log takes records, another one that is not there is
 * reported and tried again, as at any other time.  "file" is what to open again
 * after a rotation, or NULL.  0, or -1 after a message, with errno set.
 */
int logs_open(const struct settings *s, bool verbose, struct log_sink **file);

/*
 * Could logs_open() open "log_file", or the log of the system where there is no
 * file, now and as this user?  Nothing is written.  0; 1 after a warning, since
 * it is a pipe, of which only a start sees whether it has a reader; or -1 after
 * the same message, with errno set.
 */
int logs_check(const struct settings *s);

#endif
