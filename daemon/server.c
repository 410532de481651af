#include <config.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/frame.h"
#include "common/link.h"
#include "common/log.h"
#include "common/net.h"
#include "common/pollset.h"
#include "common/tls.h"
#include "daemon/audit.h"
#include "daemon/policy.h"
#include "daemon/server.h"
#include "daemon/service.h"
#include "daemon/session.h"
#include "daemon/settings.h"
#include "daemon/tree.h"
#include "daemon/upkeep.h"

/* After a farewell the peer has this long to close its side. */
#define LINGER_TIMEOUT	1000
/* After accept(2) has failed for want of something, it is left alone so long,
 * instead of being asked again and again. */
#define ACCEPT_PAUSE	200
/* At most so many new connections a turn, so that the session has its own. */
#define ACCEPTS_PER_TURN 16
/* At most so many children are reaped in a turn. */
#define REAPS_PER_TURN	256
/* How often the status is told while a command runs. */
#define STATUS_INTERVAL	1000
/* Descriptors of one session: the link, the command's five. */
#define SESSION_FDS	8
/* What a peer may still send after the farewell, in reads a turn. */
#define DISCARD_SIZE	4096

/* Where a connection is. */
enum place {
	AT_THE_DOOR,		/* In its TLS handshake. */
	IN_LINE,		/* It has proved itself, and waits. */
	LEAVING			/* It has been told; "fd" lingers. */
};

struct peer {
	enum place place;
	struct link link;
	int fd;			/* While LEAVING. */
	size_t slot;
	char address[NET_TEXT_MAX];
	int64_t deadline;
	uint32_t told;		/* Which place it was told, IN_LINE. */
	bool early;		/* AT_THE_DOOR under an older context. */
	int64_t expires;	/* Its certificate, IN_LINE. */
};

struct server {
	const char *config;
	struct settings *settings;
	struct tls_context *context;
	int listeners[SERVER_LISTENERS_MAX];
	size_t slots[SERVER_LISTENERS_MAX];
	size_t listener_count;
	int64_t accept_again;
	bool accept_failed;
	struct log_sink *file;
	/* In the order of their arrival, which is that of the line. */
	struct peer *peers;
	size_t count;
	size_t capacity;
	struct session *session;
	struct upkeep *upkeep;
	struct tree tree;
	struct pollset ps;
	sigset_t waiting_mask;
	int64_t watchdog;	/* Interval in ms; 0: none. */
	int64_t watchdog_next;
	bool stopping;
	bool managed;		/* A service manager listens. */
	char status[512];	/* What the service manager was told. */
	char idle[64];		/* "idle since...", or "". */
};

/* --- signals: handlers set flags, which are read after the wait ---------- */

static volatile sig_atomic_t got_stop, got_reload, got_reopen, got_child;

static void
on_signal(int sig)
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
	sa.sa_handler = on_signal;
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
	/* A peer that has gone and a log that may not grow are errors of
	 * write(2), and not the end of the daemon. */
	sa.sa_handler = SIG_IGN;
	if (sigaction(SIGPIPE, &sa, NULL) == 0 &&
	    sigaction(SIGXFSZ, &sa, NULL) == 0)
		return 0;
fail:
	log_errno("cannot catch signals");
	return -1;
}

/* --- peers --------------------------------------------------------------- */

static size_t
count_place(const struct server *s, enum place place)
{
	size_t n = 0;

	for (size_t i = 0; i < s->count; i++)
		n += s->peers[i].place == place;
	return n;
}

static struct audit_peer
peer_record(const struct peer *p)
{
	struct audit_peer a;

	memset(&a, 0, sizeof a);
	a.address = p->address;
	a.identity = link_is_open(&p->link) ? tls_peer(p->link.tls) : NULL;
	return a;
}

/* Let "p" go: what still comes is read and dropped for a moment. */
static void
let_go(struct peer *p)
{
	p->fd = link_linger(&p->link);
	p->slot = POLLSET_NONE;
	p->place = LEAVING;
	p->deadline = clock_in(LINGER_TIMEOUT);
}

/* Say goodbye to a peer that is not the session's. */
static void
turn_away(struct peer *p, enum proto_code code, const char *text)
{
	struct audit_peer record = peer_record(p);

	audit_handshake_failed(&record, text);
	/* A queue that cannot take this is a connection that is lost. */
	if (frame_put_code(&p->link.out, PROTO_GOODBYE, 0, code, text) == 0)
		(void)link_write(&p->link);
	let_go(p);
}

/* Drop everybody who is marked by a closed link and descriptor. */
static void
sweep(struct server *s)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->count; i++) {
		struct peer *p = &s->peers[i];

		if (p->place == LEAVING && p->fd == -1)
			continue;
		if (kept != i)
			s->peers[kept] = *p;
		kept++;
	}
	s->count = kept;
}

/* Is there a place for one more?  Who is leaving anyway can leave now. */
static bool
make_room(struct server *s)
{
	if (s->count < s->capacity)
		return true;
	for (size_t i = 0; i < s->count; i++) {
		if (s->peers[i].place != LEAVING)
			continue;
		fd_close(&s->peers[i].fd);
		sweep(s);
		return true;
	}
	return false;
}

/* --- the session --------------------------------------------------------- */

/* A name that is unique enough to find a session by in years of logs. */
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

/* Give the session to "p". */
static void
begin_session(struct server *s, struct peer *p)
{
	struct audit_peer record = peer_record(p);

	make_name(record.session);
	s->session = session_new(&p->link, p->address, record.session,
	    s->settings, &s->tree);
	if (s->session == NULL) {
		log_error("cannot begin a session: out of memory");
		turn_away(p, PROTO_CODE_RESOURCES, "the server is out of "
		    "memory");
		return;
	}
	/* The session has its own copies; the link was moved. */
	p->place = LEAVING;
	p->fd = -1;
	session_announce(s->session);
}

static void
end_session(struct server *s)
{
	struct peer *p;
	int fd = session_free(s->session);

	s->session = NULL;
	if (fd == -1)
		return;
	if (!make_room(s)) {
		fd_close(&fd);
		return;
	}
	p = &s->peers[s->count++];
	memset(p, 0, sizeof *p);
	p->place = LEAVING;
	p->fd = fd;
	p->slot = POLLSET_NONE;
	p->deadline = clock_in(LINGER_TIMEOUT);
}

/* The first in line gets the session when it is free; the others are told
 * how many are before them. */
static void
move_line(struct server *s)
{
	uint32_t before = 0;

	for (size_t i = 0; i < s->count; i++) {
		struct peer *p = &s->peers[i];

		if (p->place != IN_LINE)
			continue;
		if (s->session == NULL) {
			begin_session(s, p);
			continue;
		}
		before++;
		if (p->told == before)
			continue;
		p->told = before;
		if (frame_put_u32(&p->link.out, PROTO_WAITING, 0,
		    before) == -1 || link_write(&p->link) == IO_ERROR)
			let_go(p);
	}
}

/* --- the door ------------------------------------------------------------ */

static void
pause_accepting(struct server *s)
{
	s->accept_again = clock_in(ACCEPT_PAUSE);
	if (!s->accept_failed)
		log_errno("cannot accept connections; trying again until it "
		    "works");
	s->accept_failed = true;
}

static bool
has_door(const struct server *s)
{
	return count_place(s, AT_THE_DOOR) <
	    (size_t)s->settings->max_handshakes &&
	    count_place(s, AT_THE_DOOR) + count_place(s, IN_LINE) <
	    s->capacity;
}

static void
admit(struct server *s, int fd, const struct net_address *address)
{
	struct peer *p = &s->peers[s->count];

	memset(p, 0, sizeof *p);
	p->fd = -1;
	p->place = AT_THE_DOOR;
	(void)net_text(address, false, p->address);
	p->deadline = clock_in(s->settings->handshake_timeout);
	if (link_open(&p->link, s->context, fd, NULL) == 0)
		s->count++;
	else
		log_error("cannot serve %s: out of memory", p->address);
}

static void
accept_from(struct server *s, int listener)
{
	struct net_address address;
	int fd;

	for (int i = 0; i < ACCEPTS_PER_TURN && has_door(s); i++) {
		fd = net_accept(listener, &address);
		if (fd == -1 && (errno == EAGAIN || errno == EINTR))
			return;
		/* accept(2): errors of the connection, not of ours. */
		if (fd == -1 && errno != EMFILE && errno != ENFILE &&
		    errno != ENOBUFS && errno != ENOMEM)
			continue;
		if (fd == -1) {
			pause_accepting(s);
			return;
		}
		s->accept_failed = false;
		if (make_room(s))
			admit(s, fd, &address);
		else
			fd_close(&fd);
	}
}

/* Is its certificate good still?  Who has none any more is sent away. */
static bool
judge_peer(struct server *s, struct peer *p)
{
	char why[TLS_TEXT_MAX];
	const char *reason;

	if (tls_recheck(p->link.tls, s->context, &reason, why) == 0) {
		p->expires = tls_peer_expires(p->link.tls);
		return true;
	}
	turn_away(p, PROTO_CODE_DENIED, why);
	return false;
}

/* The handshake is done: to the line, from which the session is taken. */
static void
let_in(struct server *s, struct peer *p)
{
	p->place = IN_LINE;
	p->told = 0;
	p->expires = tls_peer_expires(p->link.tls);
	if (p->early && !judge_peer(s, p))
		return;
	/* One more than the line holds, if that one can have the session. */
	if (count_place(s, IN_LINE) <= (size_t)s->settings->max_waiting +
	    (s->session == NULL))
		return;
	turn_away(p, PROTO_CODE_BUSY, "the server is busy and its line is "
	    "full; try again later");
}

static void
refuse_peer(struct peer *p, const char *why)
{
	struct audit_peer record = peer_record(p);

	audit_handshake_failed(&record, why);
	let_go(p);
}

static void
turn_door(struct server *s, struct peer *p)
{
	if (pollset_events(&s->ps, p->link.slot) != 0) {
		switch (link_handshake(&p->link)) {
		case IO_OK:
			let_in(s, p);
			return;
		case IO_WAIT:
			break;
		default:
			refuse_peer(p, tls_error(p->link.tls));
			return;
		}
	}
	if (clock_past(p->deadline))
		refuse_peer(p, "the handshake took too long");
}

/* Who waits is not read from: what it sends early is for its session.  That
 * it has gone is seen all the same. */
static void
turn_line(struct server *s, struct peer *p)
{
	short events = pollset_events(&s->ps, p->slot);

	if ((events & (POLLRDHUP | POLLHUP | POLLERR)) != 0) {
		log_info("%s has left the line", p->address);
		let_go(p);
	} else if ((events & POLLOUT) != 0 &&
	    link_write(&p->link) == IO_ERROR)
		let_go(p);
}

static void
turn_leaving(struct server *s, struct peer *p)
{
	char nowhere[DISCARD_SIZE];
	ssize_t n = 1;

	if (p->fd == -1)
		return;
	if (pollset_events(&s->ps, p->slot) != 0) {
		n = read(p->fd, nowhere, sizeof nowhere);
		if (n == -1 && (errno == EAGAIN || errno == EINTR))
			n = 1;
	}
	if (n <= 0 || clock_past(p->deadline))
		fd_close(&p->fd);
}

/* --- signals' work ------------------------------------------------------- */

/* Everybody who has proved itself is asked whether that holds now. */
static void
judge_all(struct server *s)
{
	if (s->session != NULL)
		session_judge(s->session, s->context);
	for (size_t i = 0; i < s->count; i++) {
		if (s->peers[i].place == IN_LINE)
			(void)judge_peer(s, &s->peers[i]);
		else if (s->peers[i].place == AT_THE_DOOR)
			s->peers[i].early = true;
	}
}

/* Put the certificates of "context" in force. */
static void
renew(struct server *s, struct tls_context *context)
{
	tls_context_free(s->context);
	s->context = context;
	upkeep_configure(s->upkeep, s->settings, context);
	judge_all(s);
}

/* There are new files of the same names. */
static void
renew_files(struct server *s)
{
	struct tls_context *context = settings_tls(s->settings);
	char changes[SETTINGS_CHANGES_MAX];

	(void)settings_changes(s->settings, s->settings,
	    upkeep_changes(s->upkeep), changes, sizeof changes);
	if (context == NULL) {
		audit_reload(false, changes, "certificate files have changed, "
		    "and cannot be used; the old ones stay in force");
		return;
	}
	audit_reload(true, changes, "certificate files have changed, and have "
	    "been read");
	renew(s, context);
}

static void
reload(struct server *s)
{
	struct settings *settings, *old = s->settings;
	struct tls_context *context = NULL;
	char changes[SETTINGS_CHANGES_MAX];

	service_notify("RELOADING=1\nMONOTONIC_USEC=%lld",
	    (long long)clock_now_us());
	settings = settings_load(s->config);
	upkeep_mark(s->upkeep, settings != NULL ? settings : old);
	if (settings != NULL) {
		settings_inherit(settings, old);
		context = settings_tls(settings);
	}
	if (context == NULL) {
		settings_free(settings);
		upkeep_mark(s->upkeep, old);
		audit_reload(false, "", "the new configuration cannot be used; "
		    "the old one stays in force");
	} else {
		s->settings = settings;
		if (s->session != NULL)
			session_configure(s->session, settings);
		(void)settings_changes(old, settings,
		    upkeep_changes(s->upkeep), changes, sizeof changes);
		/* Done is done: the record comes when all are judged. */
		renew(s, context);
		audit_reload(true, changes,
		    "the configuration has been read again");
		settings_free(old);
	}
	service_notify("READY=1");
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
	service_notify("STOPPING=1\nSTATUS=stopping\n"
	    "EXTEND_TIMEOUT_USEC=%lld",
	    (long long)(s->settings->kill_grace + 15000) * 1000);
	for (size_t i = 0; i < s->listener_count; i++)
		fd_close(&s->listeners[i]);
	for (size_t i = 0; i < s->count; i++) {
		if (s->peers[i].place == IN_LINE)
			turn_away(&s->peers[i], PROTO_CODE_STOPPING, text);
		else if (s->peers[i].place == AT_THE_DOOR)
			let_go(&s->peers[i]);
	}
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

	/* A command may end processes as fast as we can count them. */
	for (int i = 0; i < REAPS_PER_TURN; i++) {
		if ((pid = wait4(-1, &status, WNOHANG, &usage)) <= 0)
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
		if (s->file != NULL && log_file_reopen(s->file) == 0)
			log_info("the log file has been opened again");
	}
	if (got_reload && !s->stopping) {
		got_reload = 0;
		reload(s);
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
	time_t now = time(NULL);
	struct tm tm;

	if (s->idle[0] == '\0' && gmtime_r(&now, &tm) != NULL)
		(void)strftime(s->idle, sizeof s->idle,
		    "idle since %Y-%m-%d %H:%M:%S UTC", &tm);
	return s->idle;
}

static void
tell_status(struct server *s)
{
	char status[sizeof s->status], term[192];
	size_t used;

	if (s->stopping || !s->managed)
		return;
	if (s->session != NULL) {
		s->idle[0] = '\0';
		session_describe(s->session, status, sizeof status);
	} else
		(void)snprintf(status, sizeof status, "%s", idle_text(s));
	used = strlen(status);
	upkeep_describe(s->upkeep, term, sizeof term);
	(void)snprintf(status + used, sizeof status - used, "%s", term);
	if (strcmp(status, s->status) == 0)
		return;
	memcpy(s->status, status, sizeof status);
	service_notify("STATUS=%s", status);
}

static void
feed_watchdog(struct server *s)
{
	if (s->watchdog == 0 || !clock_past(s->watchdog_next))
		return;
	s->watchdog_next = clock_in(s->watchdog);
	service_notify("WATCHDOG=1");
}

/* --- the loop ------------------------------------------------------------ */

static void
poll_peer(struct server *s, struct peer *p)
{
	p->slot = POLLSET_NONE;
	switch (p->place) {
	case AT_THE_DOOR:
		link_poll(&p->link, &s->ps, true);
		pollset_deadline(&s->ps, p->deadline);
		break;
	case IN_LINE:
		p->slot = pollset_add(&s->ps, p->link.fd, (short)(POLLRDHUP |
		    (link_has_output(&p->link) ? POLLOUT : 0)));
		break;
	case LEAVING:
		p->slot = pollset_add(&s->ps, p->fd, POLLIN);
		pollset_deadline(&s->ps, p->deadline);
		break;
	}
}

/* When the first of those who have proved themselves cannot do it again. */
static int64_t
first_expiry(const struct server *s)
{
	int64_t first = UPKEEP_NEVER;

	if (s->stopping)
		return first;
	if (s->session != NULL)
		first = session_expires(s->session);
	for (size_t i = 0; i < s->count; i++) {
		if (s->peers[i].place == IN_LINE &&
		    s->peers[i].expires < first)
			first = s->peers[i].expires;
	}
	return first;
}

static void
poll_all(struct server *s)
{
	bool room = has_door(s);
	bool paused = !clock_past(s->accept_again) && s->accept_again != 0;

	pollset_clear(&s->ps);
	for (size_t i = 0; i < s->listener_count; i++)
		s->slots[i] = pollset_add(&s->ps, room && !paused ?
		    s->listeners[i] : -1, POLLIN);
	if (paused)
		pollset_deadline(&s->ps, s->accept_again);
	for (size_t i = 0; i < s->count; i++)
		poll_peer(s, &s->peers[i]);
	if (s->session != NULL)
		session_poll(s->session, &s->ps);
	upkeep_poll(s->upkeep, &s->ps, first_expiry(s));
	if (s->watchdog > 0)
		pollset_deadline(&s->ps, s->watchdog_next);
	/* The status counts the seconds of a command. */
	if (s->managed && s->session != NULL && !session_is_idle(s->session))
		pollset_deadline(&s->ps, clock_in(STATUS_INTERVAL));
	/* There was more to reap than one turn's share. */
	if (got_child)
		pollset_deadline(&s->ps, clock_now());
}

static void
turn_all(struct server *s)
{
	/* The session first: its commands are what all this is for. */
	if (s->session != NULL) {
		session_turn(s->session, &s->ps);
		if (session_is_over(s->session))
			end_session(s);
	}
	for (size_t i = 0; i < s->count; i++) {
		struct peer *p = &s->peers[i];

		if (p->place == AT_THE_DOOR)
			turn_door(s, p);
		else if (p->place == IN_LINE)
			turn_line(s, p);
		else
			turn_leaving(s, p);
	}
	for (size_t i = 0; i < s->listener_count; i++) {
		if (pollset_events(&s->ps, s->slots[i]) != 0)
			accept_from(s, s->listeners[i]);
	}
	sweep(s);
	move_line(s);
	sweep(s);
}

/* What has become of the certificates? */
static void
keep_up(struct server *s)
{
	int news = upkeep_turn(s->upkeep, &s->ps);

	if (s->stopping)
		return;
	if ((news & UPKEEP_FILES) != 0)
		renew_files(s);
	else if ((news & UPKEEP_ALARM) != 0)
		judge_all(s);
}

static int
loop(struct server *s)
{
	while (!s->stopping || s->session != NULL || s->count > 0) {
		tell_status(s);
		poll_all(s);
		if (pollset_wait(&s->ps, &s->waiting_mask) == -1) {
			log_errno("cannot wait for events");
			return -1;
		}
		feed_watchdog(s);
		handle_signals(s);
		keep_up(s);
		turn_all(s);
	}
	return 0;
}

/* --- the whole ----------------------------------------------------------- */

static int
prepare(struct server *s)
{
	/* Those at the door, in line, and on their way out. */
	s->capacity = 2 * (size_t)s->settings->max_handshakes +
	    (size_t)s->settings->max_waiting + 2;
	s->peers = calloc(s->capacity, sizeof *s->peers);
	if (s->peers == NULL || pollset_init(&s->ps, s->capacity +
	    SERVER_LISTENERS_MAX + SESSION_FDS + 1) == -1) {
		log_error("cannot serve: out of memory");
		return -1;
	}
	if ((s->upkeep = upkeep_new()) == NULL)
		return -1;
	upkeep_mark(s->upkeep, s->settings);
	s->managed = getenv("NOTIFY_SOCKET") != NULL;
	s->watchdog = service_watchdog();
	s->watchdog_next = 0;
	return catch_signals(s);
}

static void
finish(struct server *s)
{
	for (size_t i = 0; i < s->count; i++) {
		link_close(&s->peers[i].link);
		fd_close(&s->peers[i].fd);
	}
	for (size_t i = 0; i < s->listener_count; i++)
		fd_close(&s->listeners[i]);
	free(s->peers);
	pollset_free(&s->ps);
	tree_free(&s->tree);
	upkeep_free(s->upkeep);
	tls_context_free(s->context);
	settings_free(s->settings);
}

/* Where we listen, for the record. */
static void
announce(const struct server *s)
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
	/* What there is to warn of comes first: then it serves. */
	upkeep_configure(s->upkeep, s->settings, s->context);
	audit_start(PACKAGE_VERSION, text);
	service_notify("READY=1");
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
	result = prepare(&s);
	if (result == 0) {
		announce(&s);
		result = loop(&s);
	}
	if (s.session != NULL)
		end_session(&s);
	finish(&s);
	return result;
}
