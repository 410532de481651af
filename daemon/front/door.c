#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/wire/frame.h"
#include "common/endpoint/conn.h"
#include "common/base/log.h"
#include "common/base/net.h"
#include "common/base/pollset.h"
#include "common/tls/tls.h"
#include "daemon/record/audit.h"
#include "daemon/front/door.h"
#include "daemon/front/penalty.h"
#include "daemon/rules/policy.h"
#include "daemon/conf/settings.h"

/* After a farewell the peer has this long to close its side, once it has all
 * that it was sent; it goes without that if it takes nothing for so long. */
#define LINGER_TIMEOUT	1000
#define LINGER_STALLED	5000
/* A client speaks first: within this time. */
#define FIRST_BYTE_TIMEOUT 3000
/* After accept(2) has failed for want of something, it is left alone so long,
 * instead of being asked again and again. */
#define ACCEPT_PAUSE	200
/* At most so many new connections a turn, so that the session has its own. */
#define ACCEPTS_PER_TURN 16
/* What a peer may still send after the farewell, in reads a turn. */
#define DISCARD_SIZE	4096
/* Dropped connections are counted, and on record once in so long. */
#define DROPS_INTERVAL	10000

/* Where a connection is. */
enum place {
	AT_THE_DOOR,		/* In its TLS handshake. */
	PROVED,			/* It has proved itself, in this turn. */
	IN_LINE,		/* A rule fits it, and it waits. */
	LEAVING			/* It has been told; "fd" lingers. */
};

struct peer {
	enum place place;
	struct conn *conn;	/* NULL while LEAVING. */
	int fd;			/* While LEAVING. */
	size_t slot;
	char address[NET_TEXT_MAX];
	struct net_network network;
	int64_t arrived;
	int64_t heard;		/* When it last sent something; 0: never. */
	int64_t deadline;
	uint64_t acked;		/* LEAVING: what it has taken, */
	int64_t taken;		/* and when it last took something. */
	uint32_t told;		/* Which place it was told, IN_LINE, */
	uint8_t flags;		/* and what with it. */
	bool early;		/* AT_THE_DOOR under an older context. */
	uint64_t round;		/* IN_LINE: see line_up(). */
	int64_t expires;	/* Its certificate, IN_LINE. */
};

/* Why a connection is dropped without a word. */
enum drop {
	DROP_PENALTY,		/* Its network has failed too often. */
	DROP_CROWD,		/* Its network has the most at the door. */
	DROP_UNFINISHED,	/* Its network leaves too many unfinished. */
	DROPS
};

struct door {
	const struct settings *settings;
	struct tls_context *context;
	/* Those IN_LINE are in the order of the line. */
	struct peer *peers;
	size_t count;
	size_t capacity;
	bool stopping;		/* Who leaves has little time. */
	int64_t accept_again;
	bool accept_failed;
	/* Who was served last: its round, and its certificate. */
	uint64_t round;
	char served[TLS_FINGERPRINT_MAX];
	struct penalty penalty;	/* For what has cost us arithmetic, */
	struct penalty noise;	/* and for what has cost a line of the log. */
	struct {
		uint64_t count;		/* Not yet on record. */
		char address[NET_TEXT_MAX];	/* Of the last one. */
		int64_t next;		/* When it may be on record again. */
	} drops[DROPS];
};

/* --- those who are here -------------------------------------------------- */

static size_t
count_place(const struct door *d, enum place place)
{
	size_t n = 0;

	for (size_t i = 0; i < d->count; i++)
		n += d->peers[i].place == place;
	return n;
}

/* Drop all who have left. */
static void
sweep(struct door *d)
{
	size_t kept = 0;

	for (size_t i = 0; i < d->count; i++) {
		struct peer *p = &d->peers[i];

		if (p->place == LEAVING && p->fd == -1)
			continue;
		if (kept != i)
			d->peers[kept] = *p;
		kept++;
	}
	d->count = kept;
}

/* Is there a place for one more?  Who is leaving anyway can leave now. */
static bool
make_room(struct door *d)
{
	if (d->count < d->capacity)
		return true;
	for (size_t i = 0; i < d->count; i++) {
		if (d->peers[i].place != LEAVING)
			continue;
		fd_close(&d->peers[i].fd);
		sweep(d);
		return true;
	}
	return false;
}

/* --- sending away -------------------------------------------------------- */

static struct audit_peer
peer_record(const struct peer *p)
{
	struct audit_peer a;

	memset(&a, 0, sizeof a);
	a.address = p->address;
	a.identity = p->conn != NULL ? tls_peer(conn_tls(p->conn)) : NULL;
	return a;
}

/* Let "p" go: what still comes to "fd" is read and dropped for a moment. */
static void
linger(struct peer *p, int fd)
{
	p->fd = fd;
	p->slot = POLLSET_NONE;
	p->place = LEAVING;
	p->acked = 0;
	p->taken = clock_now();
	p->deadline = clock_in(LINGER_TIMEOUT);
}

static void
let_go(struct peer *p)
{
	linger(p, conn_linger(p->conn));
	p->conn = NULL;
}

/* Say goodbye to a peer that has proved itself. */
static void
turn_away(struct peer *p, enum proto_code code, const char *text)
{
	struct audit_peer record = peer_record(p);

	audit_handshake_failed(&record, text);
	/* A queue that cannot take this is a connection that is lost. */
	if (frame_put_code(conn_out(p->conn), PROTO_GOODBYE, 0, code,
	    text) == 0)
		(void)conn_write(p->conn);
	let_go(p);
}

/* Its network pays for "p". */
static void
penalise(struct door *d, const struct peer *p)
{
	penalty_add(&d->penalty, &p->network, d->settings->failure_penalty,
	    clock_now());
}

static void
record_drops(struct door *d)
{
	static const char *const reasons[DROPS] = {
		[DROP_PENALTY] = "penalty", [DROP_CROWD] = "crowd",
		[DROP_UNFINISHED] = "unfinished"
	};

	for (size_t i = 0; i < DROPS; i++) {
		if (d->drops[i].count == 0 || !clock_past(d->drops[i].next))
			continue;
		audit_dropped(reasons[i], d->drops[i].count,
		    d->drops[i].address);
		d->drops[i].count = 0;
		d->drops[i].next = clock_in(DROPS_INTERVAL);
	}
}

/* Count a connection that is dropped: in a flood a record each would be a
 * flood of its own. */
static void
count_drop(struct door *d, enum drop why, const char *address)
{
	d->drops[why].count++;
	memcpy(d->drops[why].address, address, NET_TEXT_MAX);
	record_drops(d);
}

/*
 * "p" has gone, or its time is over, before there was anything to answer.  It
 * had a place and no more of us.  So its network is not kept out for it, which
 * may be that of good clients as well; but the log is kept from growing.
 */
static void
refuse_unfinished(struct door *d, struct peer *p, const char *why)
{
	struct audit_peer record = peer_record(p);
	int64_t cost = d->settings->failure_penalty, now = clock_now();

	if (penalty_holds(&d->noise, &p->network, cost, now))
		count_drop(d, DROP_UNFINISHED, p->address);
	else
		audit_handshake_failed(&record, why);
	penalty_add(&d->noise, &p->network, cost, now);
	let_go(p);
}

/* It has failed at the door, by itself or because it has "gone". */
static void
refuse_peer(struct door *d, struct peer *p, bool gone, const char *why)
{
	struct audit_peer record = peer_record(p);

	if (gone && !tls_answered(conn_tls(p->conn))) {
		refuse_unfinished(d, p, why);
		return;
	}
	audit_handshake_failed(&record, why);
	penalise(d, p);
	let_go(p);
}

/* --- who comes in -------------------------------------------------------- */

static size_t
count_network(const struct door *d, const struct net_network *network)
{
	size_t n = 0;

	for (size_t i = 0; i < d->count; i++)
		n += d->peers[i].place == AT_THE_DOOR &&
		    memcmp(network, &d->peers[i].network,
		    sizeof *network) == 0;
	return n;
}

/*
 * From when on may "p" lose its place to somebody else of its own network?  To
 * say nothing, or half of something, costs an attacker nothing: such a place is
 * kept by nobody.  An answer has cost us arithmetic, and lets the slowest
 * network finish what it has begun.
 */
static int64_t
kept_until(const struct door *d, const struct peer *p)
{
	return p->arrived + (tls_answered(conn_tls(p->conn)) ?
	    d->settings->handshake_timeout / 2 : 0);
}

/*
 * The door is full, and one from "newcomer" comes: who gives up its place?  Of
 * the network that has the most of them, the newcomer's counted, the one whose
 * place was kept for the shortest time.  NULL: the newcomer, as all places that
 * its own network could give up are kept still.
 */
static struct peer *
find_victim(struct door *d, const struct net_network *newcomer)
{
	struct peer *victim = NULL;
	size_t most = 0, n;
	bool own, own_victim = false;

	for (size_t i = 0; i < d->count; i++) {
		struct peer *p = &d->peers[i];

		if (p->place != AT_THE_DOOR)
			continue;
		own = memcmp(newcomer, &p->network, sizeof *newcomer) == 0;
		n = count_network(d, &p->network) + (own ? 1 : 0);
		if (victim != NULL && (n < most || (n == most &&
		    kept_until(d, p) >= kept_until(d, victim))))
			continue;
		most = n;
		victim = p;
		own_victim = own;
	}
	return own_victim && kept_until(d, victim) > clock_now() ? NULL :
	    victim;
}

/* Drop "p" for another. */
static void
drop(struct door *d, struct peer *p)
{
	/* Arithmetic for nothing, and that it was in time is not the reason. */
	if (tls_answered(conn_tls(p->conn)) && clock_past(kept_until(d, p)))
		penalise(d, p);
	count_drop(d, DROP_CROWD, p->address);
	conn_close(p->conn);
	p->conn = NULL;
	p->place = LEAVING;
	p->fd = -1;
	sweep(d);
}

/* Is there a place for one from "network"?  Writes why not. */
static bool
may_enter(struct door *d, const struct net_network *network, enum drop *why)
{
	struct peer *victim;

	*why = DROP_PENALTY;
	if (penalty_holds(&d->penalty, network, d->settings->failure_penalty,
	    clock_now()))
		return false;
	*why = DROP_CROWD;
	if (count_place(d, AT_THE_DOOR) >=
	    (size_t)d->settings->max_handshakes) {
		if ((victim = find_victim(d, network)) == NULL)
			return false;
		drop(d, victim);
	}
	return make_room(d);
}

void
door_admit(struct door *d, int fd, const struct net_address *address)
{
	struct net_network network = net_network(address);
	char text[NET_TEXT_MAX];
	enum drop why;
	struct peer *p;

	/* Which rule is for it may depend on its address. */
	if (strcmp(net_text(address, false, text), NET_UNKNOWN) == 0) {
		log_error("cannot tell the address of a client; its "
		    "connection is closed");
		fd_close(&fd);
		return;
	}
	if (!may_enter(d, &network, &why)) {
		count_drop(d, why, text);
		fd_close(&fd);
		return;
	}
	net_dead_after(fd, d->settings->dead_timeout);
	p = &d->peers[d->count];
	memset(p, 0, sizeof *p);
	p->fd = -1;
	p->place = AT_THE_DOOR;
	p->network = network;
	memcpy(p->address, text, sizeof p->address);
	p->arrived = clock_now();
	if ((p->conn = conn_open(d->context, fd, NULL)) != NULL)
		d->count++;
	else
		log_error("cannot serve %s: out of memory", p->address);
}

static void
pause_accepting(struct door *d)
{
	d->accept_again = clock_in(ACCEPT_PAUSE);
	if (!d->accept_failed)
		log_errno("cannot accept connections; trying again until it "
		    "works");
	d->accept_failed = true;
}

bool
door_is_open(const struct door *d)
{
	return clock_past(d->accept_again);
}

void
door_accept(struct door *d, int listener)
{
	struct net_address address;
	int fd;

	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		fd = net_accept(listener, &address);
		if (fd == -1 && (errno == EAGAIN || errno == EINTR))
			return;
		/* accept(2): errors of the connection, not of ours. */
		if (fd == -1 && errno != EMFILE && errno != ENFILE &&
		    errno != ENOBUFS && errno != ENOMEM)
			continue;
		if (fd == -1) {
			pause_accepting(d);
			return;
		}
		d->accept_failed = false;
		door_admit(d, fd, &address);
	}
}

/* --- the handshake ------------------------------------------------------- */

/* Is its certificate good still?  Who has none any more is sent away. */
static bool
judge_certificate(struct door *d, struct peer *p)
{
	char why[TLS_TEXT_MAX];
	const char *reason;

	if (tls_recheck(conn_tls(p->conn), d->context, &reason, why) == 0) {
		p->expires = tls_peer_expires(conn_tls(p->conn));
		return true;
	}
	turn_away(p, PROTO_CODE_DENIED, why);
	return false;
}

/* Does a rule fit it?  A client that may do nothing is sent away as well. */
static bool
judge_rules(struct door *d, struct peer *p)
{
	char why[POLICY_REASON_MAX];

	if (policy_admits(d->settings->rules, tls_peer(conn_tls(p->conn)),
	    p->address, why))
		return true;
	turn_away(p, PROTO_CODE_DENIED, why);
	return false;
}

static const char *
fingerprint_of(const struct peer *p)
{
	return tls_peer(conn_tls(p->conn))->fingerprint;
}

/* How many in line show the certificate of "p", itself included? */
static size_t
count_certificate(const struct door *d, const struct peer *p)
{
	size_t n = 0;

	for (size_t i = 0; i < d->count; i++)
		n += d->peers[i].place == IN_LINE &&
		    strcmp(fingerprint_of(&d->peers[i]),
		    fingerprint_of(p)) == 0;
	return n;
}

/*
 * Where "p" stands in the line.  Certificates take turns: the first of each is
 * served before the second of any, so that a client waits for one session of
 * every other certificate, and not for all that one of them has asked for.
 */
static uint64_t
round_of(const struct door *d, const struct peer *p)
{
	uint64_t round = d->round +
	    (strcmp(d->served, fingerprint_of(p)) == 0 ? 1 : 0);

	for (size_t i = 0; i < d->count; i++) {
		const struct peer *other = &d->peers[i];

		if (other->place == IN_LINE && other->round >= round &&
		    strcmp(fingerprint_of(other), fingerprint_of(p)) == 0)
			round = other->round + 1;
	}
	return round;
}

/* Move the peer at "from" to its place in the line, and return it there. */
static struct peer *
line_up(struct door *d, size_t from)
{
	struct peer p = d->peers[from];
	size_t to = 0, last = d->count - 1;

	p.round = round_of(d, &p);
	p.place = IN_LINE;
	p.told = 0;
	memmove(&d->peers[from], &d->peers[from + 1],
	    (last - from) * sizeof p);
	for (size_t i = 0; i < last; i++) {
		if (d->peers[i].place == IN_LINE &&
		    d->peers[i].round <= p.round)
			to = i + 1;
	}
	memmove(&d->peers[to + 1], &d->peers[to], (last - to) * sizeof p);
	d->peers[to] = p;
	return &d->peers[to];
}

/*
 * One of the line has to go: the last of the certificate that has the most
 * places.  "newcomer" goes if no other certificate has more than its own.
 */
static void
shorten_line(struct door *d, struct peer *newcomer)
{
	size_t most = count_certificate(d, newcomer), n;
	struct peer *last = newcomer;
	char text[PROTO_TEXT_MAX];

	for (size_t i = 0; i < d->count; i++) {
		struct peer *p = &d->peers[i];

		if (p->place != IN_LINE)
			continue;
		n = count_certificate(d, p);
		if (n > most || (n == most && last != newcomer &&
		    strcmp(fingerprint_of(p), fingerprint_of(last)) == 0)) {
			most = n;
			last = p;
		}
	}
	if (most > 1)
		(void)snprintf(text, sizeof text, "the server is busy and its "
		    "line is full; this certificate has %zu of the %lld "
		    "places there; try again later, or start fewer at once",
		    most - 1, (long long)d->settings->max_waiting);
	else
		(void)snprintf(text, sizeof text, "the server is busy and its "
		    "line is full; try again later");
	turn_away(last, PROTO_CODE_BUSY, text);
}

/* The handshake is done: to the line, from which the session is taken. */
static void
let_in(struct door *d, size_t at, bool serving)
{
	struct peer *p = &d->peers[at];

	p->expires = tls_peer_expires(conn_tls(p->conn));
	/* An answer takes a handshake, so to ask again and again costs the
	 * network what a failure does. */
	if ((p->early && !judge_certificate(d, p)) || !judge_rules(d, p)) {
		penalise(d, p);
		return;
	}
	p = line_up(d, at);
	/* One more than the line holds, if that one can have the session. */
	if (count_place(d, IN_LINE) > (size_t)d->settings->max_waiting +
	    (serving ? 0 : 1))
		shorten_line(d, p);
}

/* Let in all who have proved themselves in this turn; each may move others. */
static void
fill_line(struct door *d, bool serving)
{
	for (size_t i = 0; i < d->count;) {
		if (d->peers[i].place == PROVED) {
			let_in(d, i, serving);
			i = 0;
		} else
			i++;
	}
}

static int64_t
handshake_deadline(const struct door *d, const struct peer *p)
{
	int64_t limit = d->settings->handshake_timeout;

	if (p->heard == 0 && limit > FIRST_BYTE_TIMEOUT)
		limit = FIRST_BYTE_TIMEOUT;
	return p->arrived + limit;
}

/* Has the connection ended, and the peer done nothing that is wrong? */
static bool
has_gone(const struct peer *p)
{
	enum tls_failure failure = tls_failure(conn_tls(p->conn));

	return failure == TLS_FAILURE_CUT || failure == TLS_FAILURE_SYSTEM;
}

static void
turn_handshake(struct door *d, const struct pollset *ps, struct peer *p)
{
	short events = conn_events(p->conn, ps);

	if ((events & POLLIN) != 0)
		p->heard = clock_now();
	if (events != 0) {
		switch (conn_handshake(p->conn)) {
		case IO_OK:
			p->place = PROVED;
			return;
		case IO_WAIT:
			break;
		default:
			refuse_peer(d, p, has_gone(p),
			    tls_error(conn_tls(p->conn)));
			return;
		}
	}
	if (clock_past(handshake_deadline(d, p)))
		refuse_peer(d, p, true, p->heard == 0 ?
		    "no data received" : "the handshake took too long");
}

/* --- the line ------------------------------------------------------------ */

/* Who waits is not read from: what it sends early is for its session.  That
 * it has gone is seen all the same. */
static void
turn_line(const struct pollset *ps, struct peer *p)
{
	short events = pollset_events(ps, p->slot);

	if ((events & (POLLRDHUP | POLLHUP | POLLERR)) != 0) {
		log_info("connection of %s from %s closed while it "
		    "waited in line",
		    tls_peer(conn_tls(p->conn))->common_name, p->address);
		let_go(p);
	} else if ((events & POLLOUT) != 0 &&
	    conn_write(p->conn) == IO_ERROR)
		let_go(p);
}

bool
door_take(struct door *d, struct conn **conn, char address[NET_TEXT_MAX])
{
	for (size_t i = 0; i < d->count; i++) {
		struct peer *p = &d->peers[i];

		if (p->place != IN_LINE)
			continue;
		d->round = p->round;
		memcpy(d->served, fingerprint_of(p), sizeof d->served);
		*conn = p->conn;
		memcpy(address, p->address, sizeof p->address);
		p->place = LEAVING;
		p->conn = NULL;
		p->fd = -1;
		sweep(d);
		return true;
	}
	return false;
}

void
door_turn_away(struct door *d, struct conn *conn, const char *address,
    enum proto_code code, const char *text)
{
	struct peer p = { .conn = conn };

	(void)snprintf(p.address, sizeof p.address, "%s", address);
	turn_away(&p, code, text);
	door_linger(d, p.fd);
}

/* What "p" may know about the session of "served". */
static uint8_t
waiting_flags(const struct peer *p, const struct tls_identity *served)
{
	return served != NULL && strcmp(served->fingerprint,
	    fingerprint_of(p)) == 0 ? PROTO_WAITING_OWN : 0;
}

void
door_tell(struct door *d, const struct tls_identity *served)
{
	uint32_t before = 0;
	uint8_t flags;

	for (size_t i = 0; i < d->count; i++) {
		struct peer *p = &d->peers[i];

		if (p->place != IN_LINE)
			continue;
		flags = waiting_flags(p, served);
		if (p->told == ++before && p->flags == flags)
			continue;
		p->told = before;
		p->flags = flags;
		if (frame_put_waiting(conn_out(p->conn), before, flags) == -1 ||
		    conn_write(p->conn) == IO_ERROR)
			let_go(p);
	}
	sweep(d);
}

size_t
door_waiting(const struct door *d)
{
	return count_place(d, IN_LINE);
}

void
door_judge(struct door *d)
{
	for (size_t i = 0; i < d->count; i++) {
		if (d->peers[i].place == IN_LINE)
			(void)(judge_certificate(d, &d->peers[i]) &&
			    judge_rules(d, &d->peers[i]));
		else if (d->peers[i].place == AT_THE_DOOR)
			d->peers[i].early = true;
	}
}

int64_t
door_expires(const struct door *d)
{
	int64_t first = INT64_MAX;

	for (size_t i = 0; i < d->count; i++) {
		if (d->peers[i].place == IN_LINE &&
		    d->peers[i].expires < first)
			first = d->peers[i].expires;
	}
	return first;
}

/* --- the way out --------------------------------------------------------- */

/*
 * May "p" be closed?  Closed while it has yet to take what it was sent, it
 * would be answered by a reset as soon as it sends anything, and lose the rest.
 */
static bool
has_lingered(const struct door *d, struct peer *p)
{
	struct net_carried c;

	if (!clock_past(p->deadline))
		return false;
	net_carried(p->fd, &c);
	if (c.acked != p->acked)
		p->taken = clock_now();
	p->acked = c.acked;
	p->deadline = clock_in(LINGER_TIMEOUT);
	return d->stopping || clock_past(p->taken + (c.unacked > 0 ?
	    LINGER_STALLED : LINGER_TIMEOUT));
}

static void
turn_leaving(const struct door *d, const struct pollset *ps, struct peer *p)
{
	char nowhere[DISCARD_SIZE];
	ssize_t n = 1;

	if (p->fd == -1)
		return;
	if (pollset_events(ps, p->slot) != 0) {
		n = read(p->fd, nowhere, sizeof nowhere);
		if (n == -1 && (errno == EAGAIN || errno == EINTR))
			n = 1;
	}
	if (n <= 0 || has_lingered(d, p))
		fd_close(&p->fd);
}

void
door_linger(struct door *d, int fd)
{
	struct peer *p;

	if (fd == -1)
		return;
	if (!make_room(d)) {
		fd_close(&fd);
		return;
	}
	p = &d->peers[d->count++];
	memset(p, 0, sizeof *p);
	linger(p, fd);
}

void
door_stop(struct door *d, enum proto_code code, const char *text)
{
	d->stopping = true;
	for (size_t i = 0; i < d->count; i++) {
		if (d->peers[i].place == IN_LINE)
			turn_away(&d->peers[i], code, text);
		else if (d->peers[i].place == AT_THE_DOOR)
			let_go(&d->peers[i]);
	}
}

bool
door_is_empty(const struct door *d)
{
	return d->count == 0;
}

/* --- a turn -------------------------------------------------------------- */

static void
poll_peer(const struct door *d, struct peer *p, struct pollset *ps)
{
	p->slot = POLLSET_NONE;
	switch (p->place) {
	case AT_THE_DOOR:
	case PROVED:		/* Within a turn alone. */
		conn_poll(p->conn, ps, true);
		pollset_deadline(ps, handshake_deadline(d, p));
		break;
	case IN_LINE:
		p->slot = pollset_add(ps, conn_fd(p->conn), (short)(POLLRDHUP |
		    (conn_has_output(p->conn) ? POLLOUT : 0)));
		break;
	case LEAVING:
		p->slot = pollset_add(ps, p->fd, POLLIN);
		pollset_deadline(ps, p->deadline);
		break;
	}
}

void
door_poll(struct door *d, struct pollset *ps)
{
	if (!door_is_open(d))
		pollset_deadline(ps, d->accept_again);
	for (size_t i = 0; i < DROPS; i++) {
		if (d->drops[i].count > 0)
			pollset_deadline(ps, d->drops[i].next);
	}
	for (size_t i = 0; i < d->count; i++)
		poll_peer(d, &d->peers[i], ps);
}

void
door_dispatch(struct door *d, const struct pollset *ps, bool serving)
{
	for (size_t i = 0; i < d->count; i++) {
		struct peer *p = &d->peers[i];

		if (p->place == AT_THE_DOOR)
			turn_handshake(d, ps, p);
		else if (p->place == IN_LINE)
			turn_line(ps, p);
		else
			turn_leaving(d, ps, p);
	}
	fill_line(d, serving);
	record_drops(d);
	sweep(d);
}

/* --- the whole ----------------------------------------------------------- */

size_t
door_capacity(const struct door *d)
{
	return d->capacity;
}

void
door_configure(struct door *d, const struct settings *s,
    struct tls_context *context)
{
	d->settings = s;
	d->context = context;
}

size_t
door_places(const struct settings *s)
{
	/* Those at the door, in line, and on their way out. */
	return 2 * (size_t)s->max_handshakes + (size_t)s->max_waiting + 2;
}

struct door *
door_new(const struct settings *s, struct tls_context *context)
{
	struct door *d = calloc(1, sizeof *d);

	if (d == NULL)
		return NULL;
	d->capacity = door_places(s);
	if ((d->peers = calloc(d->capacity, sizeof *d->peers)) == NULL) {
		free(d);
		return NULL;
	}
	penalty_init(&d->penalty);
	penalty_init(&d->noise);
	door_configure(d, s, context);
	return d;
}

void
door_free(struct door *d)
{
	if (d == NULL)
		return;
	for (size_t i = 0; i < d->count; i++) {
		conn_close(d->peers[i].conn);
		fd_close(&d->peers[i].fd);
	}
	free(d->peers);
	free(d);
}
