/*
 * settings.h - aisd.conf as a struct: defaults, load, check, print.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_DAEMON_SETTINGS_H
#define AIS_DAEMON_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "daemon/rules/policy.h"
#include "daemon/exec/privilege.h"

/* The keys that name files of TLS. */
enum settings_file {
	SETTINGS_CERTIFICATE,
	SETTINGS_KEY,
	SETTINGS_AUTHORITY,
	SETTINGS_CRL,
	SETTINGS_FILES
};
extern const char *const settings_file_keys[SETTINGS_FILES];

/* The words that some keys may have. */
enum settings_crl {
	SETTINGS_CRL_ERROR,
	SETTINGS_CRL_WARNING	/* A list past its nextUpdate is used. */
};
enum settings_purpose {
	SETTINGS_PURPOSE_REQUIRED,
	SETTINGS_PURPOSE_OPTIONAL
};
enum settings_system {
	SETTINGS_SYSTEM_AUTO,
	SETTINGS_SYSTEM_JOURNAL,
	SETTINGS_SYSTEM_SYSLOG,
	SETTINGS_SYSTEM_NONE
};
enum settings_audit {
	SETTINGS_AUDIT_ANY,
	SETTINGS_AUDIT_STRICT	/* Every log, before a command starts. */
};

/* The keys of the file are the names of these members, but those of files. */
struct settings {
	char **listen;
	char *named[SETTINGS_FILES];	/* Paths, credentials, a key's URI. */
	int64_t crl_expired;	/* enum settings_crl */
	int64_t client_purpose;	/* enum settings_purpose */
	int64_t watch_interval;
	int64_t expiry_warning;	/* Days. */
	bool allow_tls12;

	char *user;
	char *command_user;
	bool unprivileged;
	bool allow_setuid;

	char *log_file;
	int64_t log_format;	/* enum logfile_form */
	int64_t log_system;	/* enum settings_system */
	int64_t log_level;	/* From LOG_LEVEL_ERROR on. */
	int64_t audit;		/* enum settings_audit */

	int64_t max_handshakes;
	int64_t failure_penalty;
	int64_t max_waiting;
	int64_t handshake_timeout;
	int64_t idle_timeout;
	int64_t idle_timeout_waiting;
	int64_t session_timeout;
	int64_t turn;
	int64_t dead_timeout;
	int64_t stopped_timeout;
	int64_t kill_grace;

	char **path;
	char *shell_program;
	struct exec_options options;	/* Its keys stand among the others. */

	/* Derived: see settings_where(), and what follows. */
	char **where;
	char *files[SETTINGS_FILES];	/* Where the named ones are, or NULL. */
	struct rules *rules;
	struct account daemon;
	struct account command;
	struct policy_defaults policy;	/* Borrows from the others. */
};

/* The directory of further files for "file": FILE with ".d" behind it. */
#define SETTINGS_DIRECTORY_SUFFIX	".d"

/*
 * What there is to hope for after a failure.  Some of what is wrong only people
 * can mend; the rest may be over without them, and is worth to be tried again:
 * a clock that has not been set yet, memory or descriptors that are out, a user
 * that the directory does not know yet, a file system that is mounted later.
 */
struct settings_hope {
	bool may_pass;
	bool elsewhere;		/* Only another process may see a file. */
	int64_t when;		/* The second since 1970 at which it is over,
				 * by its date; 0: not known. */
};

/*
 * Read "path" and the files *.conf of the directory "path".d, and check what
 * can be checked without root: ranges, rules, users.  NULL after messages, and
 * "hope" is set.
 */
struct settings *settings_load(const char *path, struct settings_hope *hope);

/*
 * The same for a reload, which nothing may keep waiting: pipes are not read,
 * and the directory service is not asked for users.  What only a restart can
 * change is as in "old", with a warning for each key that has another value.
 */
struct settings *settings_reload(const char *path, const struct settings *old,
    struct settings_hope *hope);
void settings_free(struct settings *s);

/* Where the key "name" has been set, as "FILE:LINE"; "" for a default. */
const char *settings_where(const struct settings *s, const char *name);

/*
 * Look at the rules by rules_warn(), with the eyes of the command user, whom a
 * daemon that has dropped its privileges can be for a moment.  Writes a line
 * each to "out", by conf_warning(), and returns how many.
 */
int settings_warn(FILE *out, const struct settings *s);

/*
 * Name the keys whose values differ between "a" and "b", with commas between,
 * in "out" of "size" bytes; the files of the first four, in their order, have
 * changed where the bit of "files" is set.  Returns "out".
 */
char *settings_changes(const struct settings *a, const struct settings *b,
    unsigned files, char *out, size_t size);

/* Room for all of them. */
#define SETTINGS_CHANGES_MAX	1024

/* Write all keys in libconfig syntax, with their values in force. */
void settings_print(FILE *out, const struct settings *s);

#endif
