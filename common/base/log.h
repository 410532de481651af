/*
 * log.h - events, and the sinks that they go to.
 *
 * An event has a level, a stable name, a text and named fields.  It goes to
 * every sink of log_set_sinks(); a plain message is an event as well.
 * log_format() makes a line of it, in logfmt, with the time in UTC.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_LOG_H
#define AIS_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/text.h"

/* The levels, numbered as syslog(3) does. */
enum log_level {
	LOG_LEVEL_USUAL = 0,	/* As log_set_kinds() has it. */
	LOG_LEVEL_ERROR = 3,
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_NOTICE = 5,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7
};

/* One field: a name in lower case and its bytes, which may be foreign. */
struct log_field {
	const char *name;
	const void *value;
	size_t length;
};

struct log_event {
	enum log_level level;
	const char *name;	/* Stable, such as "command-start". */
	const char *message_id;	/* 32 hexadecimal digits; NULL: as
				 * log_set_kinds() has it. */
	const char *text;	/* One sentence for people; escaped. */
	const struct log_field *fields;
	size_t count;		/* Of fields. */
	int64_t time_us;	/* Since 1970; set by log_emit(). */
};

/* The longest field value in a line of text, escaped; the rest is cut, and the
 * line says so. */
#define LOG_VALUE_MAX	4096
/* The longest text of one event. */
#define LOG_TEXT_MAX	2048
/*
 * How long a sink may wait for a reader that has kept up until now to make
 * room, in milliseconds, for one event.  The queue of a socket is 10 messages
 * long unless an operator has set net.unix.max_dgram_qlen, and a burst fills
 * it.  One that is failing does not wait.
 */
#define LOG_WAIT_MS	150
/* Room for a line of text: a dozen fields at their longest would not fit, and
 * are then cut between fields. */
#define LOG_LINE_MAX	(8 * LOG_VALUE_MAX)

/*
 * A sink takes one event and returns 0, or -1 with errno set if the event is
 * not on record there.  "name" is for messages: "journal", a file's path.
 */
struct log_sink {
	const char *name;
	int (*take)(void *context, const struct log_event *e);
	void *context;
	bool shows;		/* It only shows what happens: what it takes is
				 * not on record. */
	bool failing;		/* Kept by log_emit(), as is what follows. */
	int error;		/* Why it fails; 0: that has been reported. */
	uint64_t lost;		/* Events lost since it began to fail. */
	struct log_sink *next;	/* Of those that are given events; or NULL. */
};

/* A kind of event: the names and numbers that never change. */
struct log_kind {
	const char *name;
	const char *message_id;
	enum log_level level;	/* The usual one. */
};

/*
 * Events of these names have these MESSAGE_IDs.  The table of "count" kinds
 * is kept by the caller for good.
 */
void log_set_kinds(const struct log_kind *kinds, size_t count);

/*
 * Give events to "first" and those that follow it, and to no others from now
 * on; the caller keeps them alive.  NULL: messages go to standard error.
 */
void log_set_sinks(struct log_sink *first);

/* Only messages of this level and more urgent ones are emitted, INFO at first;
 * an event that log_emit() is given always is. */
void log_set_level(enum log_level level);

/*
 * Give "e" to every sink, or to standard error where there is no sink.
 * Returns how many sinks have it on record.  A sink that begins to fail is
 * reported to the others, once; one that works again, with what it lost and
 * what no sink had, to all.  These reports are events named "log-sink".
 */
int log_emit(struct log_event *e);

/*
 * Hold all events back from now on, and keep the text of the first error in
 * "first" of "size" bytes, which is "" until there is one.  log_release() ends
 * that: it gives the events to the sinks if "emit", and drops them if not.  An
 * event for which there is no memory is not held back.
 */
void log_hold(char *first, size_t size);
void log_release(bool emit);

/* The number of sinks that have an event on record if all of them take it,
 * which is at least one. */
size_t log_sinks(void);

/* Emit a plain message, an event named "message". */
void log_message(enum log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#define log_error(...)		log_message(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...)	log_message(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...)		log_message(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...)		log_message(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)		log_message(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* As log_error(), with ": " and the text of errno after it. */
void log_errno(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What standard error shows before each message, such as "aisc: ". */
void log_set_prefix(const char *prefix);

/*
 * Write "e" as one logfmt line, newline included, into "out".  Without "dated"
 * it has no time and no level, and begins with the event.  Returns its length.
 * Values that were cut are named at the end of the line, as in cut=argv; a line
 * that does not fit is cut before a field and marked with cut=true.  "size" is
 * at least 512.
 */
size_t log_format(char *out, size_t size, const struct log_event *e,
    bool dated);

/*
 * Write the text of "e" for people, after the prefix and "warning: " where it
 * is one, newline included, into "out" of LOG_SHOWN_MAX bytes.  Returns its
 * length.
 */
size_t log_show(char *out, const struct log_event *e);
#define LOG_SHOWN_MAX	(TEXT_ESCAPED_MAX(LOG_TEXT_MAX) + 64)

#define LOG_TIME_MAX	40
/* Write a time in microseconds since 1970 by RFC 3339, in UTC; returns "out",
 * which is empty for a time that cannot be written so. */
char *log_time(char out[LOG_TIME_MAX], int64_t time_us);

/* Add "name" to "cut", the names of values that were cut, a text of "size"
 * bytes with commas between them. */
void log_add_cut(char *cut, size_t size, const char *name);

/* The level's name: "error", "warning", "notice", "info", "debug". */
const char *log_level_name(enum log_level level);

/* "sink" has been begun anew; "text" says why, in a report to all. */
void log_sink_renewed(const struct log_sink *sink, const char *text);

#endif
