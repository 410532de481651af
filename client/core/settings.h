/*
 * settings.h - aisc.conf and the options, in one struct.
 *
 * As with ssh, the first to set a value wins: the options, then the user's
 * file, then the system's; within a file its sections for hosts, in their
 * order, and then its top level.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_SETTINGS_H
#define AIS_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Whether to show how much has passed. */
enum settings_progress {
	PROGRESS_OFF,
	PROGRESS_AUTO,		/* On a terminal, when it is worth it. */
	PROGRESS_ON
};

/* How long aisc waits in the server's line by default, in ms. */
#define SETTINGS_WAIT	600000

struct failure;

/* Durations are milliseconds; 0 is no limit, but of "wait". */
struct settings {
	/* What the files can set.  Strings are from malloc(3), or NULL. */
	char *authority;
	char *certificate;
	char *key;
	char **passphrase_command;	/* Words, NULL terminated, or NULL. */
	int64_t port;
	char *host_name;	/* Where to connect to; NULL: "host". */
	char **proxy_command;	/* Words, NULL terminated; NULL, or none: it is
				 * done without. */
	char *server_name;	/* To find in the certificate; NULL: "host". */
	char *directory;
	char **environment;	/* NAME=VALUE, NULL terminated, or NULL. */
	int64_t timeout;
	int64_t connect_timeout;
	int64_t wait;		/* In the server's line; 0: not at all. */
	int64_t dead_timeout;	/* How long a server may be silent. */
	bool allow_tls12;

	/* What only the command line sets. */
	char *host;		/* As the user named it, without its port. */
	int64_t attempts;	/* To connect, a second apart; 0 is 1. */
	int family;		/* AF_INET, AF_INET6, or AF_UNSPEC. */
	bool quiet;
	bool verbose;
	bool no_stdin;
	enum settings_progress progress;
};

/*
 * Set "s" to the defaults, of which "wait" is one, and then to what the files
 * say for "host" (NULL: for none).  "file" replaces both files and must be
 * there; NULL is $XDG_CONFIG_HOME/ais/aisc.conf or ~/.config/ais/aisc.conf and
 * then the system's aisc.conf, which need not be there.  0, or -1 after a
 * message.  settings_free() is due in either case.
 */
int settings_load(struct settings *s, const char *file, const char *host,
    int64_t wait);
void settings_free(struct settings *s);

/* Can "host" be the name or address of one, or a name for it in aisc.conf? */
bool settings_is_host(const char *host);

/*
 * Resolve the path at "place", if there is one: "~/" is the user's home, and
 * another that does not begin with "/" is beside "file"; "" for where we are.
 * What tls_store_uri() knows stays as it is.
 */
void settings_resolve(char **place, const char *file);

/*
 * The user's own file "name", for free(3): in the directory that the variable
 * "variable" of the XDG Base Directory Specification names, or else in "below",
 * which begins with a slash, of the home.  NULL if there is no place for it.
 */
char *settings_own_file(const char *variable, const char *below,
    const char *name);

/* Add "variable", NAME=VALUE, to the environment, in the place of one of the
 * same name.  0, or -1: it is not NAME=VALUE. */
int settings_add_environment(struct settings *s, const char *variable);

/*
 * Is everything there to connect, and the key closed to other users?  0, or -1
 * with the reason in "why".
 */
int settings_check(const struct settings *s, struct failure *why);

/* Write what is in force, as a file would have it. */
void settings_print(const struct settings *s, FILE *out);

#endif
