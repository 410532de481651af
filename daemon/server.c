/*
 * server.c - the loop: listeners, acceptor, session, signals, reload, stop.
 *
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/date.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/net.h"
#include "common/base/pollset.h"
#include "common/tls/tls.h"
#include "daemon/record/audit.h"
#include "daemon/front/door.h"
#include "daemon/record/logfile.h"
#include "daemon/notify.h"
#include "daemon/pending.h"
#include "daemon/rules/policy.h"
#include "daemon/server.h"
#include "daemon/service.h"
#include "daemon/front/session.h"
#include "daemon/conf/settings.h"
#include "daemon/exec/tree.h"
#include "daemon/certwatch.h"

/* At most so many children are reaped in a round. */
#define REAPS_PER_ROUND	256
/* How often the status is told while a command runs. */
#define STATUS_INTERVAL	1000
/* Descriptors of one session: the link, the command's five. */
#define SESSION_FDS	8

struct server {
	const char *config;
	struct settings *settings;
	struct tls_context *context;
	int listeners[SERVER_LISTENERS_MAX];
	size_t slots[SERVER_LISTENERS_MAX];
	size_t listener_count;
	struct log_sink *file;
	struct door *door;
	struct session *session;
	struct certwatch *certwatch;
	struct pending files;	/* Renewed files that are not in force, */
	struct pending reload;	/* and a reload that was asked for. */
	struct tree tree;
	struct pollset ps;
	sigset_t waiting_mask;
	struct notify notify;
	bool stopping;
	bool single;		/* It serves one connection, and exits. */
	char idle[64];		/* "idle since...", or "". */
};

/* --- signals: handlers set flags, which are read after the wait ---------- */

static volatile sig_atomic_t got_stop, got_reload, got_reopen, got_child;

static void
note_signal(int sig)
{
	switch (sig) {
	case SIGTERM:
	case SIGINT:
		got_stop = sig;
		break;
	case SIGHUP:
		got_reload = 1;
		break;
	case SIGUSR1:
		got_reopen = 1;
		break;
	default:
		got_child = 1;
		break;
	}
}

static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD };

/* Signals are open in ppoll(2) alone. */
static int
catch_signals(struct server *s)
{
	struct sigaction sa;
	sigset_t blocked;

	memset(&sa, 0, sizeof sa);
	sa.sa_handler = note_signal;
	(void)sigemptyset(&sa.sa_mask);
	(void)sigemptyset(&blocked);
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		(void)sigaddset(&blocked, signals[i]);
	if (sigprocmask(SIG_BLOCK, &blocked, &s->waiting_mask) == -1)
		goto fail;
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
		(void)sigdelset(&s->waiting_mask, signals[i]);
		if (sigaction(signals[i], &sa, NULL) == -1)
			goto fail;
	}
	return 0;
fail:
	log_errno("cannot catch signals");
	return -1;
}

/* --- the session --------------------------------------------------------- */

/* A name to find a session by in years of logs. */
static void
make_name(char out[AUDIT_SESSION_MAX])
{
	uint8_t random[8];

	/* 8 bytes never block or fail once the kernel has started. */
	if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
		memset(random, 0, sizeof random);
	for (size_t i = 0; i < sizeof random; i++)
		(void)snprintf(out + 2 * i, 3, "%02x", random[i]);
}

/* Give the session to the first in line, if there is one. */
static void
begin_session(struct server *s)
{
	char name[AUDIT_SESSION_MAX];
	char address[NET_TEXT_MAX];
	struct conn *conn;

	while (s->session == NULL && door_take(s->door, &conn, address)) {
		make_name(name);
		s->session = session_new(conn, address, name, s->settings,
		    &s->tree);
		if (s->session != NULL) {
			session_announce(s->session);
			return;
		}
		log_error("cannot begin a session: out of memory");
		door_turn_away(s->door, conn, address,
		    PROTO_CODE_RESOURCES, "the server is out of memory");
	}
}

static void
end_session(struct server *s)
{
	door_linger(s->door, session_free(s->session));
	s->session = NULL;
}

/* --- reload, stop, reap --------------------------------------------------- */

/* Verify again every client that has shaken hands. */
static void
reverify_all(struct server *s)
{
	if (s->session != NULL)
		session_judge(s->session, s->context);
	door_judge(s->door);
}

/* Put the certificates of "context" in force. */
static void
renew(struct server *s, struct tls_context *context)
{
	pending_clear(&s->files);
	tls_context_free(s->context);
	s->context = context;
	door_configure(s->door, s->settings, context);
	certwatch_configure(s->certwatch, s->settings, context);
	reverify_all(s);
}

/* The new files or settings cannot be used.  What was said of it meanwhile is
 * shown, unless it is tried "again" and the reason is that of before. */
static void
note_failure(struct pending *p, const struct settings_hope *hope,
    const char *why, bool again, const char *changes, const char *text)
{
	bool show = pending_failed(p, hope, why) || !again;

	log_release(show);
	if (show)
		audit_reload(false, changes, text);
}

/* There are new files of the same names.  "again": they are those that could
 * not be used before. */
static void
renew_files(struct server *s, bool again)
{
	struct settings_hope hope;
	struct tls_context *context;
	char changes[SETTINGS_CHANGES_MAX], why[PENDING_WHY_MAX];

	certwatch_mark(s->certwatch, s->settings);
	(void)settings_changes(s->settings, s->settings,
	    certwatch_changes(s->certwatch), changes, sizeof changes);
	log_hold(why, sizeof why);
	context = settings_tls(s->settings, true, &hope);
	if (context != NULL) {
		log_release(true);
		audit_reload(true, changes, again ? "the certificate files "
		    "that could not be used before have been read" :
		    "certificate files have changed, and have been read");
		renew(s, context);
		return;
	}
	certwatch_unused(s->certwatch);
	if (!again)
		pending_clear(&s->files);
	note_failure(&s->files, &hope, why, again, changes, "certificate "
	    "files have changed, and cannot be used; the old ones stay in "
	    "force, and the new ones are tried again until they can");
}

/* Look at the programs that the rules name, and log a warning for each that is
 * wrong. */
static void
warn_of_rules(const struct settings *settings)
{
	char *text = NULL, *line, *rest;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (out != NULL)
		(void)settings_warn(out, settings);
	if (out == NULL || fclose(out) == EOF) {
		log_errno("cannot look at the programs of the rules");
		free(text);
		return;
	}
	for (rest = text; (line = strsep(&rest, "\n")) != NULL;) {
		if (*line != '\0')
			log_warning("%s", line);
	}
	free(text);
}

/*
 * Read the configuration and its files.  NULL, or the settings with their
 * "context".  A failure that may pass, or is one of files that may be replaced,
 * is noted, to be tried "again".
 */
static struct settings *
read_again(struct server *s, struct tls_context **context, bool again)
{
	struct settings_hope hope;
	struct settings *settings;
	char why[PENDING_WHY_MAX];
	bool may_pass;

	log_hold(why, sizeof why);
	settings = settings_reload(s->config, s->settings, &hope);
	if (settings != NULL) {
		certwatch_mark(s->certwatch, settings);
		*context = settings_tls(settings, true, &hope);
	}
	if (settings != NULL && *context != NULL) {
		log_release(true);
		return settings;
	}
	may_pass = settings != NULL || hope.may_pass;
	settings_free(settings);
	note_failure(&s->reload, &hope, why, again, "", may_pass ?
	    "the new configuration cannot be used; the old one stays in "
	    "force, and the new one is tried again until it can" :
	    "the new configuration cannot be used; the old one stays in "
	    "force");
	if (!may_pass)
		pending_clear(&s->reload);
	return NULL;
}

static void
put_in_force(struct server *s, struct settings *settings,
    struct tls_context *context)
{
	struct settings *old = s->settings;
	char changes[SETTINGS_CHANGES_MAX];

	warn_of_rules(settings);
	s->settings = settings;
	if (s->session != NULL)
		session_configure(s->session, settings);
	(void)settings_changes(old, settings, certwatch_changes(s->certwatch),
	    changes, sizeof changes);
	/* On record once every client has been verified again. */
	renew(s, context);
	pending_clear(&s->reload);
	audit_reload(true, changes, "the configuration has been read again");
	settings_free(old);
}

/* Reload; or try a reload "again" that failed before. */
static void
reload(struct server *s, bool again)
{
	struct settings *settings;
	struct tls_context *context;

	if (!again)
		pending_clear(&s->reload);
	settings = read_again(s, &context, again);
	if (again && settings == NULL)
		return;
	notify_state(&s->notify, "RELOADING=1\nMONOTONIC_USEC=%lld",
	    (long long)clock_now_us());
	if (settings != NULL)
		put_in_force(s, settings, context);
	notify_state(&s->notify, "READY=1");
}

/* Try again what could not be used before. */
static void
try_again(struct server *s)
{
	if (pending_is_due(&s->files))
		renew_files(s, true);
	if (pending_is_due(&s->reload))
		reload(s, true);
}

static void
stop(struct server *s, int sig)
{
	static const char text[] = "the server stops; try again later";

	if (s->stopping)
		return;
	s->stopping = true;
	audit_stop(sig == SIGINT ? "SIGINT" : "SIGTERM");
	/* The command's grace, and the time that KILL may take. */
	notify_status(&s->notify, "stopping");
	notify_state(&s->notify, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%lld",
	    (long long)(s->settings->kill_grace + 15000) * 1000);
	for (size_t i = 0; i < s->listener_count; i++)
		fd_close(&s->listeners[i]);
	door_stop(s->door, PROTO_CODE_STOPPING, text);
	if (s->session != NULL)
		session_stop(s->session, PROTO_CODE_STOPPING, "stopping",
		    text);
}

static void
reap(struct server *s)
{
	struct rusage usage;
	int status;
	pid_t pid;

	/* Processes may end as fast as we can count them. */
	for (int i = 0; i < REAPS_PER_ROUND; i++) {
		pid = wait4(-1, &status, WNOHANG, &usage);
		if (pid == -1 && errno == EINTR)
			continue;
		if (pid <= 0)
			return;
		tree_reaped(&s->tree, pid);
		if (s->session != NULL)
			session_reaped(s->session, pid, status, &usage);
	}
	got_child = 1;
}

static void
handle_signals(struct server *s)
{
	int sig = got_stop;

	if (got_child) {
		got_child = 0;
		reap(s);
	}
	if (got_reopen) {
		got_reopen = 0;
		if (s->file != NULL && logfile_reopen(s->file) == 0)
			log_info("the log file has been opened again");
	}
	if (got_reload && !s->stopping) {
		got_reload = 0;
		reload(s, false);
	}
	if (sig != 0) {
		got_stop = 0;
		stop(s, sig);
	}
}

/* --- the service manager ------------------------------------------------- */

/* What is said of an idle server. */
static const char *
idle_text(struct server *s)
{
	char date[DATE_TEXT_MAX];

	if (s->idle[0] == '\0')
		(void)snprintf(s->idle, sizeof s->idle, "idle since %s",
		    date_words(date_now(), date));
	return s->idle;
}

static void
add_status(char *status, size_t size, const char *more)
{
	size_t used = strlen(status);

	(void)snprintf(status + used, size - used, "%s", more);
}

static void
tell_status(struct server *s)
{
	char status[NOTIFY_STATUS_MAX], more[768];

	if (s->stopping || !s->notify.managed)
		return;
	if (s->session != NULL) {
		s->idle[0] = '\0';
		session_describe(s->session, status, sizeof status);
	} else
		(void)snprintf(status, sizeof status, "%s", idle_text(s));
	pending_describe(&s->files, "the renewed certificate files are not "
	    "used", more, sizeof more);
	add_status(status, sizeof status, more);
	pending_describe(&s->reload, "a reload has not been done", more,
	    sizeof more);
	add_status(status, sizeof status, more);
	certwatch_describe(s->certwatch, more, sizeof more);
	add_status(status, sizeof status, more);
	notify_status(&s->notify, status);
}

/* --- the loop ------------------------------------------------------------ */

static int64_t
earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* When the first certificate of a client expires, or something pending can be
 * used. */
static int64_t
next_second(const struct server *s)
{
	int64_t first;

	if (s->stopping)
		return CERTWATCH_NEVER;
	first = earlier(door_expires(s->door), pending_second(&s->files));
	first = earlier(first, pending_second(&s->reload));
	if (s->session != NULL)
		first = earlier(first, session_expires(s->session));
	return first;
}

static void
poll_all(struct server *s)
{
	bool open = door_is_open(s->door);

	pollset_clear(&s->ps);
	for (size_t i = 0; i < s->listener_count; i++)
		s->slots[i] = pollset_add(&s->ps, open ? s->listeners[i] : -1,
		    POLLIN);
	door_poll(s->door, &s->ps);
	if (s->session != NULL)
		session_poll(s->session, &s->ps);
	certwatch_poll(s->certwatch, &s->ps, next_second(s));
	if (!s->stopping) {
		pending_poll(&s->files, &s->ps);
		pending_poll(&s->reload, &s->ps);
	}
	pollset_deadline(&s->ps, notify_deadline(&s->notify));
	/* The status counts the seconds of a command. */
	if (s->notify.managed && s->session != NULL &&
	    !session_is_idle(s->session))
		pollset_deadline(&s->ps, clock_in(STATUS_INTERVAL));
	/* More children ended than one round reaps. */
	if (got_child)
		pollset_deadline(&s->ps, clock_now());
}

static void
dispatch_all(struct server *s)
{
	/* The session first: its commands matter most. */
	if (s->session != NULL) {
		session_turn(s->session, &s->ps);
		if (session_is_over(s->session))
			end_session(s);
	}
	door_dispatch(s->door, &s->ps, s->session != NULL);
	for (size_t i = 0; i < s->listener_count; i++) {
		if (pollset_events(&s->ps, s->slots[i]) != 0)
			door_accept(s->door, s->listeners[i]);
	}
	begin_session(s);
	door_tell(s->door, s->session == NULL ? NULL :
	    session_identity(s->session));
	if (s->session != NULL)
		session_others_wait(s->session, door_waiting(s->door) > 0);
}

/* Handle renewed files and expiry alarms. */
static void
handle_certificates(struct server *s)
{
	int found = certwatch_dispatch(s->certwatch, &s->ps);

	if (s->stopping)
		return;
	if ((found & CERTWATCH_FILES) != 0)
		renew_files(s, false);
	else if ((found & CERTWATCH_ALARM) != 0)
		reverify_all(s);
	try_again(s);
}

static int
loop(struct server *s)
{
	while ((!s->stopping && !s->single) || s->session != NULL ||
	    !door_is_empty(s->door)) {
		tell_status(s);
		poll_all(s);
		if (pollset_wait(&s->ps, &s->waiting_mask) == -1) {
			log_errno("cannot wait for events");
			return -1;
		}
		notify_dispatch(&s->notify);
		handle_signals(s);
		handle_certificates(s);
		dispatch_all(s);
	}
	return 0;
}

/* --- the whole ----------------------------------------------------------- */

static int
prepare(struct server *s)
{
	s->door = door_new(s->settings, s->context);
	if (s->door == NULL || pollset_init(&s->ps, door_capacity(s->door) +
	    SERVER_LISTENERS_MAX + SESSION_FDS + 1) == -1) {
		log_error("cannot serve: out of memory");
		return -1;
	}
	if ((s->certwatch = certwatch_new()) == NULL)
		return -1;
	certwatch_mark(s->certwatch, s->settings);
	pending_clear(&s->files);
	pending_clear(&s->reload);
	notify_init(&s->notify, service_watchdog());
	return catch_signals(s);
}

static void
finish(struct server *s)
{
	door_free(s->door);
	for (size_t i = 0; i < s->listener_count; i++)
		fd_close(&s->listeners[i]);
	pollset_free(&s->ps);
	tree_free(&s->tree);
	certwatch_free(s->certwatch);
	tls_context_free(s->context);
	settings_free(s->settings);
}

/* Where we listen, for the record. */
static void
announce(struct server *s)
{
	char text[512] = "", one[NET_TEXT_MAX];
	struct net_address address;
	size_t used = 0;

	for (size_t i = 0; i < s->listener_count && used < sizeof text; i++) {
		if (net_local(s->listeners[i], &address) == 0)
			used += (size_t)snprintf(text + used,
			    sizeof text - used, "%s%s", i == 0 ? "" : ", ",
			    net_text(&address, true, one));
	}
	/* Warnings come before the record of the start. */
	certwatch_configure(s->certwatch, s->settings, s->context);
	/* A single connection has the records of its session. */
	if (!s->single)
		audit_start(PACKAGE_VERSION, text);
	notify_state(&s->notify, "READY=1");
}

int
server_run(struct server_start *start)
{
	struct server s;
	int result;

	memset(&s, 0, sizeof s);
	s.config = start->config;
	s.settings = start->settings;
	s.context = start->context;
	s.file = start->file;
	s.listener_count = start->count;
	memcpy(s.listeners, start->listeners, sizeof s.listeners);
	s.single = start->count == 0;
	s.tree.shared = s.single;
	/* Each handshake is a process here: newcomers cannot replace it. */
	if (s.single)
		s.settings->handshake_timeout /= 2;
	result = prepare(&s);
	if (result == 0) {
		announce(&s);
		if (s.single)
			door_admit(s.door, start->connection, &start->peer);
		result = loop(&s);
	}
	if (s.session != NULL)
		end_session(&s);
	finish(&s);
	return result;
}
