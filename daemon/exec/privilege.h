/*
 * privilege.h - become the service user for good, prove it, and lend the
 * command user to a child.
 *
 * The daemon ends up with real and saved uid D and effective uid C, files
 * opened as D, and no capability: kill(2) looks at the target's real and
 * saved uid, so a command, all C, cannot signal the daemon, while the daemon
 * can signal its commands; and the child can become C without privilege.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_PRIVILEGE_H
#define AIS_PRIVILEGE_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

/* No system that we know allows longer names of users. */
#define ACCOUNT_NAME_MAX	64

/* A user, as passwd(5) has it. */
struct account {
	uid_t uid;
	gid_t gid;
	char name[ACCOUNT_NAME_MAX];
	char home[PATH_MAX];
};

/* Look up a user by name.  0, or -1 after a message if there is none. */
int account_find(const char *name, struct account *a);

/* The user that runs this process.  0, or -1 after a message. */
int account_self(struct account *a);

/* Can privilege_drop() be called: is this root, or a process that has
 * CAP_SETUID, CAP_SETGID and CAP_SETPCAP from its service manager? */
bool privilege_can_drop(void);

/*
 * Drop what privilege_can_drop() asks for, and all else.  The process
 * becomes "daemon", able to lend "command" and nothing else, with a
 * filter that keeps it and its commands from re-scheduling other processes,
 * and read everything back.  "allow_setuid" leaves the bounding set and
 * no_new_privs alone and sets no filter, so that sudo works in commands whose
 * rule waives no_new_privs.  0, or -1 after a message; the caller then exits.
 */
int privilege_drop(const struct account *daemon, const struct account *command,
    bool allow_setuid);

/*
 * What an ordinary user can do for itself: no_new_privs unless "allow_setuid",
 * no core dumps, no tracing.  0, or -1 after a message.
 */
int privilege_confine(bool allow_setuid);

/*
 * In the child, between fork and exec; only system calls.  With "command",
 * become it for good; with NULL, stay.  Sets PDEATHSIG and, where
 * "no_new_privs", that and, with "command", the filter, unless the daemon has
 * it already.  0, or -1 with errno set.
 *
 * privilege_enter() comes first: from then on files are opened as the command
 * user, while other processes of that user cannot yet signal this one; so the
 * window in which they could stop it before exec is a single system call.
 */
int privilege_enter(const struct account *command);
int privilege_become(const struct account *command, bool no_new_privs);

/*
 * In the daemon: open files as "daemon" again, after privilege_enter() for a
 * look at files as the command user.  The kernel does not refuse a process its
 * own ids; if it ever does, the process ends here.
 */
void privilege_leave(const struct account *daemon);

/*
 * End all processes of the user "command", on the whole machine, by one system
 * call, which none of them can escape by forking.  A child does it, which the
 * caller spares and reaps.  Returns its pid, or -1 with errno set.
 */
pid_t privilege_end_all(const struct account *command);

#endif
