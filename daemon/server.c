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
#include "daemon/front/acceptor.h"
#include "daemon/front/linger.h"
#include "daemon/front/queue.h"
#include "daemon/record/logfile.h"
#include "daemon/notify.h"
#include "daemon/rules/policy.h"
#include "daemon/reload.h"
#include "daemon/server.h"
#include "daemon/service.h"
#include "daemon/front/session.h"
#include "daemon/conf/settings.h"
#include "daemon/exec/tree.h"

/* At most so many children are reaped in a round. */
#define REAPS_PER_ROUND	256
/* How often the status is told while a command runs. */
#define STATUS_INTERVAL	1000
/* Descriptors of one session: the connection, the command's five. */
#define SESSION_FDS	8

struct server {
	struct reload *reload;
	const struct settings *settings;	/* Those in force. */
	int listeners[SERVER_LISTENERS_MAX];
	size_t slots[SERVER_LISTENERS_MAX];
	size_t listener_count;
	struct log_sink *file;
	struct lingers *linger;
	struct queue *queue;
	struct acceptor *acceptor;
	struct session *session;
	struct tree tree;
	struct pollset ps;
	sigset_t waiting_mask;
	struct notify notify;
	bool draining;		/* No new session; after this one, stop. */
	bool stopping;
	bool single;		/* It serves one connection, and exits. */
	char idle[64];		/* "idle since...", or "". */
};

/* --- signals: handlers set flags, which are read after the wait ---------- */

static volatile sig_atomic_t got_stop, got_reload, got_reopen, got_drain,
    got_child;

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
	case SIGUSR2:
		got_drain = 1;
		break;
	default:
		got_child = 1;
		break;
	}
}

static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2,
    SIGCHLD };

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

/* Give the session to the first in the queue, if there is one and the daemon
 * goes on. */
static void
begin_session(struct server *s)
{
	char name[AUDIT_SESSION_MAX];
	char address[NET_TEXT_MAX];
	struct conn *conn;
	struct failure why;

	while (s->session == NULL && !s->draining &&
	    queue_take(s->queue, &conn, address)) {
		make_name(name);
		s->session = session_new(conn, address, name, s->settings,
		    &s->tree);
		if (s->session != NULL) {
			session_announce(s->session);
			return;
		}
		log_error("cannot begin a session: out of memory");
		failure_set(&why, 0, "the server is out of memory");
		queue_refuse(s->queue, conn, address, PROTO_CODE_RESOURCES,
		    &why);
	}
}

static void
end_session(struct server *s)
{
	linger_add(s->linger, session_free(s->session));
	s->session = NULL;
}

/* --- reload, stop, reap --------------------------------------------------- */

/* Take over what is in force now, and verify every client again. */
static void
reverify(struct server *s)
{
	struct tls_context *context = reload_context(s->reload);

	s->settings = reload_settings(s->reload);
	queue_configure(s->queue, s->settings, context);
	acceptor_configure(s->acceptor, s->settings, context);
	if (s->session != NULL) {
		session_configure(s->session, s->settings);
		session_reverify(s->session, context);
	}
	queue_reverify(s->queue);
	acceptor_reverify(s->acceptor);
}

static void
explain_stop(struct failure *why)
{
	(void)failure_make(why, PROTO_CODE_STOPPING, "try again later",
	    "the server stops");
}

/* "why" is the name of a signal. */
static void
stop(struct server *s, const char *why)
{
	struct failure told;

	if (s->stopping)
		return;
	explain_stop(&told);
	s->stopping = true;
	reload_stop(s->reload);
	audit_stop(why);
	/* The command's grace, and the time that KILL may take. */
	notify_status(&s->notify, "stopping");
	notify_state(&s->notify, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%lld",
	    (long long)(s->settings->kill_grace + 15000) * 1000);
	for (size_t i = 0; i < s->listener_count; i++)
		fd_close(&s->listeners[i]);
	queue_stop(s->queue, &told);
	acceptor_stop(s->acceptor);
	linger_stop(s->linger);
	if (s->session != NULL)
		session_stop(s->session, &told, "stopping");
}

/* Let the command that runs end, and make room for another daemon then.  Until
 * then clients may come and wait as ever. */
static void
drain(struct server *s)
{
	struct failure told;

	explain_stop(&told);
	s->draining = true;
	if (s->session != NULL)
		session_drain(s->session, &told, "stopping");
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
	if (got_reload) {
		got_reload = 0;
		reload_request(s->reload);
	}
	if (got_drain) {
		got_drain = 0;
		drain(s);
	}
	if (sig != 0) {
		got_stop = 0;
		s->draining = false;
		stop(s, sig == SIGINT ? "SIGINT" : "SIGTERM");
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
tell_status(struct server *s)
{
	char status[NOTIFY_STATUS_MAX];
	size_t used;

	if (s->stopping || !s->notify.managed)
		return;
	if (s->session != NULL) {
		s->idle[0] = '\0';
		session_describe(s->session, status, sizeof status);
	} else
		(void)snprintf(status, sizeof status, "%s", idle_text(s));
	used = strlen(status);
	reload_describe(s->reload, status + used, sizeof status - used);
	used = strlen(status);
	if (s->draining)
		(void)snprintf(status + used, sizeof status - used,
		    "; stops after that");
	notify_status(&s->notify, status);
}

/* --- the loop ------------------------------------------------------------ */

/* When the first certificate of a client expires. */
static int64_t
first_expiry(const struct server *s)
{
	int64_t first = queue_expires(s->queue);

	if (s->session != NULL && session_expires(s->session) < first)
		first = session_expires(s->session);
	return first;
}

static void
poll_all(struct server *s)
{
	bool open = acceptor_is_open(s->acceptor);

	pollset_clear(&s->ps);
	for (size_t i = 0; i < s->listener_count; i++)
		s->slots[i] = pollset_add(&s->ps, open ? s->listeners[i] : -1,
		    POLLIN);
	linger_poll(s->linger, &s->ps);
	queue_poll(s->queue, &s->ps);
	acceptor_poll(s->acceptor, &s->ps);
	if (s->session != NULL)
		session_poll(s->session, &s->ps);
	reload_poll(s->reload, &s->ps, first_expiry(s));
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
		session_dispatch(s->session, &s->ps);
		if (session_is_over(s->session))
			end_session(s);
	}
	linger_dispatch(s->linger, &s->ps);
	queue_dispatch(s->queue, &s->ps);
	acceptor_dispatch(s->acceptor, &s->ps, s->session != NULL);
	for (size_t i = 0; i < s->listener_count; i++) {
		if (pollset_events(&s->ps, s->slots[i]) != 0)
			acceptor_accept(s->acceptor, s->listeners[i]);
	}
	begin_session(s);
	queue_tell(s->queue, s->session == NULL ? NULL :
	    session_identity(s->session));
	if (s->session != NULL)
		session_others_wait(s->session, queue_length(s->queue) > 0);
	else if (s->draining)
		stop(s, "SIGUSR2");
}

/* Handle reloads, renewed files and expiry alarms. */
static void
handle_reload(struct server *s)
{
	enum reload_news news = reload_dispatch(s->reload, &s->ps);

	if (news != RELOAD_NOTHING)
		reverify(s);
	if (news == RELOAD_NEW)
		reload_done(s->reload);
}

/* Is there nothing more to do, and nothing to come? */
static bool
is_done(const struct server *s)
{
	return (s->stopping || s->single) && s->session == NULL &&
	    acceptor_is_empty(s->acceptor) && queue_length(s->queue) == 0 &&
	    linger_is_empty(s->linger);
}

static int
loop(struct server *s)
{
	while (!is_done(s)) {
		tell_status(s);
		poll_all(s);
		if (pollset_wait(&s->ps, &s->waiting_mask) == -1) {
			log_errno("cannot wait for events");
			return -1;
		}
		notify_dispatch(&s->notify);
		handle_signals(s);
		handle_reload(s);
		dispatch_all(s);
	}
	return 0;
}

/* --- the whole ----------------------------------------------------------- */

size_t
server_connections(const struct settings *s)
{
	/* As many can be on their way out. */
	return 2 * (acceptor_capacity(s) + queue_capacity(s));
}

static int
prepare(struct server *s)
{
	struct tls_context *context = reload_context(s->reload);
	size_t places = server_connections(s->settings);

	s->linger = linger_new(places / 2);
	s->queue = queue_new(s->settings, context, s->linger);
	s->acceptor = acceptor_new(s->settings, context, s->queue, s->linger);
	if (s->linger == NULL || s->queue == NULL || s->acceptor == NULL ||
	    pollset_init(&s->ps, places + SERVER_LISTENERS_MAX + SESSION_FDS +
	    1) == -1) {
		log_error("cannot serve: out of memory");
		return -1;
	}
	return catch_signals(s);
}

static void
server_finish(struct server *s)
{
	acceptor_free(s->acceptor);
	queue_free(s->queue);
	linger_free(s->linger);
	for (size_t i = 0; i < s->listener_count; i++)
		fd_close(&s->listeners[i]);
	pollset_free(&s->ps);
	tree_free(&s->tree);
	reload_free(s->reload);
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
	reload_warn(s->reload);
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
	s.file = start->file;
	s.listener_count = start->count;
	memcpy(s.listeners, start->listeners, sizeof s.listeners);
	s.single = start->count == 0;
	s.tree.shared = s.single;
	/* Each handshake is a process here: newcomers cannot replace it. */
	if (s.single)
		start->settings->handshake_timeout /= 2;
	notify_init(&s.notify, service_watchdog());
	s.reload = reload_new(start->config, start->settings, start->context,
	    &s.notify);
	if (s.reload == NULL)
		return -1;
	s.settings = start->settings;
	result = prepare(&s);
	if (result == 0) {
		announce(&s);
		if (s.single)
			acceptor_add(s.acceptor, start->connection,
			    &start->peer);
		result = loop(&s);
	}
	if (s.session != NULL)
		end_session(&s);
	server_finish(&s);
	return result == 0 && s.draining ? 1 : result;
}
