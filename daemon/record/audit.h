/*
 * audit.h - one structured record for each thing that operators ask about.
 * SPDX-License-Identifier: ISC
 *
 * The names of events and fields, and the MESSAGE_IDs, are an interface:
 * aisd(8) documents them, systemd/aisd.catalog explains them.  The text has a
 * command's words as argv has them, masks included, but never a shell's line.
 */
#ifndef AIS_AUDIT_H
#define AIS_AUDIT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/failure.h"

struct tls_identity;

/* Room for a session's name. */
#define AUDIT_SESSION_MAX	24

/* Whom a record is about.  "identity" is NULL where none was shown. */
struct audit_peer {
	char session[AUDIT_SESSION_MAX];
	const char *address;
	const struct tls_identity *identity;
};

/* How a command ended. */
struct audit_end {
	const char *reason;	/* "exit", "signal", "lost", "time-limit"... */
	const char *program;	/* The path that was executed; NULL: none. */
	int exit;		/* -1: none. */
	int signal;		/* 0: none. */
	int64_t memory_limit;	/* That held, in bytes; 0: none. */
	int64_t duration_us;
	int64_t cpu_us;
	uint64_t in_bytes;
	uint64_t out_bytes;
	uint64_t err_bytes;
	int left;		/* Processes that it has left behind, */
	bool kept;		/* and whether they may stay. */
};

/* What a session comes to. */
struct audit_sums {
	uint32_t commands;	/* That were started. */
	int64_t duration_us;
	uint64_t in_bytes;
	uint64_t out_bytes;
	uint64_t err_bytes;
	int ended;		/* Processes that commands had left. */
};

/* A command, as it is on record: its words are what the log may see, those
 * that a rule masks having been replaced. */
struct audit_command {
	uint32_t request;
	const char *rule;
	const char *command;	/* Of the rule's list; "" or NULL: none. */
	bool learned;		/* It runs because the rule is learning. */
	bool inserted;		/* And words of its entry come first. */
	const char *user;
	const char *directory;
	char *const *argv;
	bool shell;		/* argv is one line for a shell. */
};

/* How the status, which all users of the machine can read, names the command:
 * by its first word. */
const char *audit_command_name(const struct audit_command *c);

/* Give every event its MESSAGE_ID, those of other modules too.  Once, before
 * there are any. */
void audit_init(void);

/* The daemon's life.  From its start on the start of a command says which
 * daemon's it is, by the first address of "listen": the next daemon that starts
 * there tells that this one is gone.  "changed" names the keys that have other
 * values now, or whose files have other contents, with commas between. */
void audit_start(const char *version, const char *listen);
void audit_stop(const char *reason);
void audit_reload(bool done, const char *changed, const char *text);

/* A certificate or list in "file" runs out at "ends", in seconds since 1970;
 * "bad": it has, and aisd or its clients cannot do without a new one. */
void audit_expiry(const char *file, int64_t ends, bool bad, const char *text);

/* The clock was set, by so many seconds; it had been "before", in seconds since
 * 1970. */
void audit_clock_jump(int64_t seconds, int64_t before);

/* A connection that did not become a session. */
void audit_handshake_failed(const struct audit_peer *p,
    const struct failure *why);

/* So many connections were dropped before the handshake, the last one from
 * "address"; "reason" is one word. */
void audit_dropped(const char *reason, uint64_t count, const char *address);

/* A session's life; "reason" and the sums are of its end. */
void audit_session_open(const struct audit_peer *p);
void audit_session_close(const struct audit_peer *p, const char *reason,
    const struct audit_sums *sums);

/*
 * A command begins.  Returns whether a sink took the record or, where
 * "strict", all did: if not, the command must not run.
 */
bool audit_command_start(const struct audit_peer *p,
    const struct audit_command *c, bool strict);

/* The limit of this key, which has this value, ends the command. */
void audit_limit_hit(const struct audit_peer *p,
    const struct audit_command *c, const char *limit, int64_t value);

/* It has ended, or could not be started. */
void audit_command_end(const struct audit_peer *p,
    const struct audit_command *c, const struct audit_end *e);

/* It is not allowed; "argv" of "c" is what was asked for. */
void audit_command_refused(const struct audit_peer *p,
    const struct audit_command *c, const struct failure *why);

#endif
