/*
 * outcome.h - what came of a request: its class, the exit status of aisc, and
 * the words for it.
 *
 * SPDX-License-Identifier: ISC
 *
 * A command that has ended is one class; all else that can happen is another
 * each, so that no failure of AIS looks like an answer of the command.
 */
#ifndef AIS_OUTCOME_H
#define AIS_OUTCOME_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/failure.h"
#include "common/wire/frame.h"
#include "common/wire/proto.h"

/* The status of every failure that is AIS's own, as ssh has it. */
#define OUTCOME_FAILED	255
/* The end by a signal is this and the signal's number, as in a shell. */
#define OUTCOME_SIGNAL	128
/* The longest sentence on a failure. */
#define OUTCOME_TEXT_MAX FAILURE_MAX

struct json;

enum outcome_class {
	OUTCOME_DONE,		/* The command has ended, or the directory is
				 * changed. */
	OUTCOME_UNKNOWN,	/* There is no such command: 127. */
	OUTCOME_NOT_EXECUTABLE,	/* It cannot be executed: 126. */
	OUTCOME_CONNECT,	/* The server was not reached. */
	OUTCOME_TLS,		/* One side does not trust the other. */
	OUTCOME_NAME,		/* The server has another name. */
	OUTCOME_DENIED,		/* No rule allows it. */
	OUTCOME_BUSY,		/* Too many others wait. */
	OUTCOME_PROTOCOL,	/* The server does not keep to ais/1. */
	OUTCOME_LOST,		/* The session ended before the command. */
	OUTCOME_TURN,		/* It is the turn of others. */
	OUTCOME_TIMEOUT,	/* A time limit has passed, on either side. */
	OUTCOME_LIMIT,		/* The server's limit of output. */
	OUTCOME_STOPPED,	/* The server stops. */
	OUTCOME_DIRECTORY,	/* The directory cannot be entered. */
	OUTCOME_RESOURCES,	/* The server lacks memory or processes. */
	OUTCOME_AUDIT,		/* The server cannot put it on record. */
	OUTCOME_INVALID,	/* No server can run such a request. */
	OUTCOME_CONFIG,		/* Our settings do not suffice. */
	OUTCOME_INPUT,		/* Our standard input cannot be read. */
	OUTCOME_OUTPUT,		/* Our standard output cannot be written. */
	OUTCOME_PIPE,		/* Our standard output has no reader. */
	OUTCOME_INTERRUPTED	/* A signal told us to exit. */
};

struct outcome {
	enum outcome_class class;
	int status;			/* What aisc exits with. */
	struct failure failure;		/* Of all classes but the first. */
	bool answered;			/* All that was asked is. */
	bool again;			/* The session has ended, and nothing
					 * has begun: ask again in another. */
	size_t unsure;			/* So many that were sent behind it may
					 * have begun, or not. */
	uint32_t retry;			/* The server has said after how many
					 * ms to try again; 0: it has not. */
	bool interrupted;		/* It was passed a SIGINT. */
	bool passed;			/* A signal has ended the command that
					 * we had passed on to it. */
	bool has_exit;
	struct frame_exit exit;		/* As the server reported it. */
	char directory[PROTO_PATH_MAX + 1]; /* Of CHDIR; foreign bytes. */
};

/* The name of a class, as messages show it. */
const char *outcome_class_name(enum outcome_class class);

/*
 * Make "o" a failure of "class" with a text, in which foreign bytes must be
 * escaped.  outcome_hint() says after that what to do about it, beside
 * what "o" has said of that; without it the class has something for programs.
 */
void outcome_fail(struct outcome *o, enum outcome_class class,
    const char *format, ...) __attribute__((format(printf, 3, 4)));
void outcome_vfail(struct outcome *o, enum outcome_class class,
    const char *format, va_list ap) __attribute__((format(printf, 3, 0)));
void outcome_hint(struct outcome *o, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Make "o" a failure of "class" with all that "f" says. */
void outcome_failure(struct outcome *o, enum outcome_class class,
    const struct failure *f);

/* Make "o" what a REFUSED or GOODBYE says: text and hint are the server's, with
 * what cannot be shown escaped; without a text both are ours. */
void outcome_code(struct outcome *o, const struct frame_code *said);

/* Make "o" what an EXIT says. */
void outcome_exit(struct outcome *o, const struct frame_exit *e);

/* Make "o" the failure to write our standard output, for "error", an errno. */
void outcome_unwritten(struct outcome *o, int error);

/* Make "o" the end by a signal that came to us. */
void outcome_signal(struct outcome *o, int signo);

/* The signal that has ended aisc, or the command by way of aisc: what aisc is
 * to end by.  0: there is none. */
int outcome_signo(const struct outcome *o);

/*
 * Say on standard error what failed, in one line; nothing if nothing did.  A
 * signal by which people do not end commands has failed one.
 */
void outcome_report(const struct outcome *o);

/* Say how long the command took and what it used, if it has ended. */
void outcome_summary(const struct outcome *o);

/* The member "error" of a JSON object: what failed, and what to do about it. */
void outcome_json(struct json *j, const struct outcome *o);

/*
 * Write "aisc: ", the text and a newline to standard error, all of it, also
 * where that is slow and does not block.
 */
void outcome_say(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* Write just this text in the same way. */
void outcome_write(const char *text);

#endif
