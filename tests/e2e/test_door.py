# SPDX-License-Identifier: ISC
"""The door, the line, turns, and who is not there any more."""

import contextlib
import functools
import os
import re
import resource
import select
import signal
import socket
import ssl
import statistics
import struct
import subprocess
import threading
import time

import pytest

import aisc as client
import attack
import wire
from aisd import Daemon, wait_until
from machine import INSTRUMENTED
from strangers import attacked, check_idle, half_hello, tcp, visits
from wire import Code, Operation, Type, body, request_frames


@pytest.fixture(scope="session")
def client_named(authority):
    """A function from a name to its certificate, the same at each call."""
    return functools.cache(authority.client)


def place(process):
    """The next place in the line that aisc -v tells."""
    for line in process.stderr:
        found = re.fullmatch(rb"aisc: waiting: (\d+) before you(;.*)?\n", line)
        if found:
            return int(found[1])
    raise AssertionError("aisc has ended")


def connections(port):
    """How many connections to this port of 127.0.0.1 its server holds open."""
    with open("/proc/net/tcp") as f:
        rows = [line.split() for line in f][1:]
    return sum(row[1] == f"0100007F:{port:04X}" and row[3] != "0A" and
               row[9] != "0" for row in rows)


@contextlib.contextmanager
def stopped(pid):
    """This process is stopped meanwhile."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


# The line.

def test_first_come_first_served(aisd, aisc, connect, tmp_path):
    holder = connect()
    holder.hello()
    order = tmp_path / "order"
    waiting = []
    for i in range(5):
        process = aisc.start(aisd.port, "sh", "-c", f"echo {i} >>{order}",
                             options=["-v"])
        assert place(process) == i + 1
        waiting.append(process)
    # The third leaves: those behind it are told.
    waiting[2].kill()
    assert place(waiting[3]) == 3
    assert place(waiting[4]) == 4
    holder.close()
    for i, process in enumerate(waiting):
        process.communicate(timeout=60)
        assert process.returncode == (-signal.SIGKILL if i == 2 else 0)
    assert order.read_text().split() == ["0", "1", "3", "4"]


def test_full_line_is_said_at_once(make_aisd, aisc, connect, slowness):
    daemon = make_aisd(max_waiting=2)
    holder = connect(daemon=daemon)
    holder.hello()
    waiting = []
    for i in range(2):
        waiting.append(aisc.start(daemon.port, "true", options=["-v"]))
        assert place(waiting[i]) == i + 1
    began = time.monotonic()
    done = aisc.run(daemon.port, "true")
    assert (done.returncode, client.said(done.stderr)) == (255, "busy")
    assert time.monotonic() - began < slowness
    holder.close()
    for process in waiting:
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert aisc.run(daemon.port, "true").returncode == 0


def test_waiting_while_the_session_is_stuck(aisd, aisc, connect):
    """A client that reads nothing does not keep others from an answer."""
    session = connect()
    session.ask(["yes"], windows=(wire.WINDOW_MAX, 0))
    session.hello()
    session.expect(Type.STARTED)
    process = aisc.start(aisd.port, "echo", "mine", options=["-v"])
    assert place(process) == 1
    session.reset()
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, b"mine\n")


# Who may stand in it.

ONLY_BOB = '{ name = "only"; peers = [ "bob" ]; anything = true; }'


def knock_on(daemon, pair):
    """Shake hands, and read what is said until the end."""
    try:
        with wire.Client(daemon.port, *pair[:3]) as session:
            return session.sent_away()
    except (OSError, wire.Cut):
        return None


def test_client_without_a_rule(make_aisd, connect, client_named, alice,
                               slowness):
    """It is told at the door, and neither has the session nor waits for it,
    however often it comes; the others do not notice."""
    daemon = make_aisd(rules=ONLY_BOB)
    said = connect(daemon=daemon).sent_away()
    assert said.code == Code.DENIED
    assert said.text == 'no rule matches the client "CN=alice"; aisd.conf ' \
        "needs one for it"
    event = daemon.wait_event("handshake-failed", peer="alice")
    assert f'{event["reason"]}; {event["hint"]}' == said.text
    over = threading.Event()

    def ask_again():
        while not over.is_set():
            knock_on(daemon, alice)
    again = [threading.Thread(target=ask_again) for _ in range(8)]
    for thread in again:
        thread.start()
    bob = client_named("bob")
    took = []
    try:
        for _ in range(10):
            began = time.monotonic()
            with wire.Client(daemon.port, *bob[:3]) as session:
                assert session.run(["true"]).status == 0
            took.append(time.monotonic() - began)
    finally:
        over.set()
        for thread in again:
            thread.join()
    assert max(took) < 2 * slowness
    assert {e["peer"] for e in daemon.events("session-open")} == {"bob"}


def test_client_without_a_rule_pays(make_aisd, alice):
    """Each answer takes a handshake, so its address pays as for a failure."""
    daemon = make_aisd(rules=ONLY_BOB, failure_penalty=60)
    assert [knock_on(daemon, alice) is not None for _ in range(8)] == \
        [True] * 6 + [False] * 2
    wait_until(lambda: dropped(daemon, reason="penalty") > 0, "a record")


def test_rule_that_learns_is_a_rule(make_aisd, connect):
    """Though it names no command yet."""
    daemon = make_aisd(rules='{ name = "new"; peers = [ "alice" ]; '
                       'learn_until = "2100-01-01"; commands = ( ); }')
    assert connect(daemon=daemon).run(["true"]).status == 0


def test_rule_that_goes_while_its_client_waits(make_aisd, connect,
                                               client_named):
    """A reload asks those in line as well; who has a rule still stays."""
    daemon = make_aisd()
    bob = client_named("bob")
    holder = connect(bob, daemon)
    holder.hello()
    waiting, other = connect(daemon=daemon), connect(bob, daemon)
    waiting.expect(Type.WAITING)
    other.expect(Type.WAITING)
    daemon.configure(rules=ONLY_BOB)
    daemon.reload()
    assert waiting.sent_away().code == Code.DENIED
    assert daemon.wait_event("handshake-failed")["peer"] == "alice"
    holder.close()
    assert other.run(["true"]).status == 0


def before(session):
    """What the next WAITING says."""
    return struct.unpack(">IB", session.expect(Type.WAITING).payload)[0]


def test_one_certificate_cannot_fill_the_line(make_aisd, connect, client_named,
                                              alice):
    """In a full line the last of the certificate with the most places makes
    room, and is told why."""
    daemon = make_aisd(max_waiting=3)
    bob, carol, dave, erin = map(client_named,
                                 ("bob", "carol", "dave", "erin"))
    full = "the server is busy and its line is full; "
    share = full + "this certificate has {} of the 3 places there; try " \
        "again in 3 seconds, or start fewer at once"
    connect(bob, daemon).hello()
    first, second, third = (connect(alice, daemon) for _ in range(3))
    assert [before(s) for s in (first, second, third)] == [1, 2, 3]

    def busy(session):
        said = session.sent_away()
        assert said.code == Code.BUSY
        return said.text
    assert busy(connect(alice, daemon)) == share.format(3)
    waiting = connect(carol, daemon)
    assert before(waiting) == 2
    assert busy(third) == share.format(2)
    # Nobody has more places than it would have.
    assert busy(connect(carol, daemon)) == share.format(1)
    assert before(connect(dave, daemon)) == 3
    assert busy(second) == share.format(1)
    assert busy(connect(erin, daemon)) == full + "try again in 3 seconds"


def test_certificates_take_turns(make_aisd, connect, client_named, alice):
    """Who comes once is served before another certificate's second one, and
    those who are overtaken are told."""
    daemon = make_aisd()
    bob, carol = client_named("bob"), client_named("carol")
    holder = connect(bob, daemon)
    holder.hello()
    a1, a2, a3 = (connect(alice, daemon) for _ in range(3))
    assert [before(s) for s in (a1, a2, a3)] == [1, 2, 3]
    c1 = connect(carol, daemon)
    assert [before(s) for s in (c1, a2, a3)] == [2, 3, 4]
    c2 = connect(carol, daemon)
    assert [before(s) for s in (c2, a3)] == [4, 5]
    # The one that is served has had its turn.
    b2 = connect(bob, daemon)
    assert [before(s) for s in (b2, a3)] == [5, 6]
    holder.close()
    for session in a1, c1, a2, c2, b2, a3:
        assert session.run(["true"]).status == 0
        session.close()
    daemon.wait_event("session-open", count=7)
    assert [e["peer"] for e in daemon.events("session-open")] == \
        ["bob", "alice", "carol", "alice", "carol", "bob", "alice"]


# Whose turn it is.

def test_wait(aisd, aisc, connect, slowness):
    holder = connect()
    holder.hello()
    for seconds in 0, 0.5:
        began = time.monotonic()
        done = aisc.run(aisd.port, "true", options=["--wait", str(seconds)])
        assert (done.returncode, client.said(done.stderr)) == (255, "busy")
        assert b"with 1 client " in done.stderr
        assert seconds <= time.monotonic() - began < seconds + slowness
    assert not aisd.events("command-start")
    # Who is served does not wait any more.
    holder.close()
    done = aisc.run(aisd.port, "sleep", "0.7", options=["--wait", "0.5"])
    assert (done.returncode, done.stderr) == (0, b"")


def test_job_that_waits_for_itself(aisd, aisc, client_named, slowness):
    """Two sessions of one job, of which the first goes on only with the
    second: both say so and end, and who has another certificate is told
    nothing of whose session it is."""
    first = aisc.start(aisd.port, "yes", options=["-q"])
    aisd.wait_event("command-start")
    second = aisc.start(aisd.port, "head", "-1", stdin=first.stdout,
                        options=["--wait", "2"])
    first.stdout.close()
    other = aisc.start(aisd.port, "true", options=["--wait", "2"],
                       pair=client_named("bob"))
    said = second.communicate(timeout=10 * slowness)[1]
    assert (second.returncode, client.said(said)) == (255, "busy")
    assert said.count(b"the session that is served is your own") == 2
    assert b"aisc: waiting: " in said and b"aisd-each.socket" in said
    # Its reader has gone, and so it ends as well.
    assert first.wait(10) == 128 + signal.SIGPIPE
    said = other.communicate(timeout=10 * slowness)[1]
    assert b"your own" not in said


def test_idle_while_others_wait(make_aisd, connect, slowness):
    daemon = make_aisd(idle_timeout_waiting=1)
    idle = connect(daemon=daemon)
    idle.hello()
    time.sleep(1.2)             # Nobody waits: so be it.
    assert idle.run(["true"]).status == 0
    began = time.monotonic()
    waiting = connect(daemon=daemon)
    waiting.hello()
    assert 0.9 < time.monotonic() - began < 1 + slowness
    with pytest.raises(wire.Goodbye) as said:
        idle.run(["true"])
    assert said.value.code == Code.TIMEOUT
    assert daemon.wait_event("session-close")["reason"] == "idle"
    assert waiting.run(["true"]).status == 0


def test_turn(make_aisd, connect, slowness):
    """It ends with the command that runs then, and only if others wait."""
    daemon = make_aisd(turn=0.5)
    first = connect(daemon=daemon)
    began = time.monotonic()
    while time.monotonic() - began < 0.8:
        assert first.run(["true"]).status == 0
    waiting = connect(daemon=daemon)
    waiting.send_raw(request_frames(1, body(Operation.RUN, ["true"])))
    waiting.expect(Type.WAITING)
    began = time.monotonic()
    assert first.run(["true"]).status == 0
    assert first.run(["sleep", "1"]).status == 0
    with pytest.raises(wire.Goodbye) as said:
        while True:
            first.run(["true"])
    assert said.value.code == Code.TURN
    assert 0.9 < time.monotonic() - began < 2 * slowness
    waiting.hello()
    waiting.number = 1
    assert waiting.follow(1).status == 0
    assert daemon.wait_event("session-close")["reason"] == "turn"


def test_requests_cannot_overrun_a_turn(make_aisd, connect):
    """Many that come at once, each slow to be decided on: their client's turn
    ends between two of them, and who comes meanwhile is seen."""
    # A back-reference makes regexec(3) try everything.
    daemon = make_aisd(turn=0.3, rules='{ peers = [ "*" ]; commands = ( '
                       '"/bin/true", { name = "slow"; program = "/bin/true"; '
                       'arguments = ( { match = [ "~(a*)\\\\2b" ]; } ); } '
                       '); }')
    session = connect(daemon=daemon)
    assert session.run(["true"]).status == 0
    requests = b"".join(
        request_frames(number, body(Operation.RUN, ["slow", "a" * 1000]))
        for number in range(2, 202))
    # The daemon has all of them before it looks at the first.
    with stopped(daemon.pid):
        session.send_raw(requests)
    waiting = connect(daemon=daemon)
    waiting.expect(Type.WAITING)
    frames, _ = session.until_end(60)
    assert frames[-1].type == Type.GOODBYE
    assert wire.said(frames[-1].payload).code == Code.TURN
    answers = len(frames) - 1
    assert {f.type for f in frames[:-1]} == {Type.REFUSED}
    assert answers < 150
    waiting.hello()


@pytest.mark.long
def test_script_goes_on_in_another_turn(make_aisd, aisc, slowness):
    """Two scripts that take turns: each is served whole, in its directory."""
    daemon = make_aisd(turn=0.1)
    # Long enough that the second comes while the first is served.
    script = b"cd /tmp\n" + b"sh -c 'sleep 0.05; pwd'\n" * 40
    processes = [aisc.start(daemon.port, stdin=subprocess.PIPE, options=["-q"])
                 for _ in range(2)]
    for process in processes:
        process.stdin.write(script)
        process.stdin.close()
        process.stdin = None
    for process in processes:
        out, err = process.communicate(timeout=60 * slowness)
        assert (process.returncode, out, err) == (0, b"/tmp\n" * 40, b"")
    assert len(daemon.events("session-close", reason="turn")) >= 2


def test_session_timeout(make_aisd, connect, slowness):
    """The end of all, also of a command that runs."""
    daemon = make_aisd(session_timeout=1)
    session = connect(daemon=daemon)
    began = time.monotonic()
    assert session.run(["true"]).status == 0
    result = session.run(["sleep", "60"])
    assert result.exit.reason == Code.TIMEOUT and result.status is None
    with pytest.raises(wire.Goodbye) as said:
        session.run(["true"])
    assert said.value.code == Code.TIMEOUT
    assert 0.9 < time.monotonic() - began < 3 * slowness
    assert daemon.wait_event("command-end", signal="15")["reason"] == \
        "session-timeout"
    assert daemon.wait_event("session-close")["reason"] == "session-timeout"


# Who is not there any more.

SILENT = [None, ["sleep", "60"], ["sh", "-c", "yes"]]


@pytest.mark.parametrize("words", SILENT)
@pytest.mark.parametrize("others", [False, True])
def test_stopped_client(make_aisd, connect, slowness, words, others):
    """Nothing comes of it, but its machine answers; it has less time when
    others wait."""
    daemon = make_aisd(dead_timeout=0.6, turn=2 if others else 600,
                       stopped_timeout=600 if others else 2)
    session = connect(daemon=daemon)
    session.hello()
    if words is not None:
        session.ask(words, windows=(wire.WINDOW_MAX, 0))
        session.expect(Type.STARTED)
    if others:
        connect(daemon=daemon).expect(Type.WAITING)
    began = time.monotonic()
    close = daemon.wait_event("session-close")
    assert close["reason"] == "the client was stopped for too long"
    assert 1.4 < time.monotonic() - began < 4 * slowness
    wait_until(lambda: not daemon.leftovers(), "its command has ended")
    if words is not None:
        assert daemon.wait_event("command-end")["reason"] == close["reason"]


@pytest.fixture
def cut_cable(own_network, program, tmp_path, localhost, alice, slowness):
    """A daemon, an aisc and a "cable" between them, in a network of their
    own: (daemon, aisc, cut)."""
    with Daemon([*own_network, *program("aisd")], tmp_path / "private",
                localhost, slowness=slowness, dead_timeout=1.5,
                # It is root there, and cannot enter that one's home.
                directory=tmp_path, stopped_timeout=600) as daemon:
        yield (daemon, client.Aisc([*own_network, *program("aisc")],
                                   tmp_path / "c", alice, slowness),
               lambda: subprocess.run([*own_network, "ip", "link", "set",
                                       "lo", "down"], check=True))


@pytest.mark.parametrize("words", SILENT[1:])
def test_dead_client(cut_cable, slowness, words):
    """Its cable is cut: nothing comes, nothing ends, nothing answers."""
    daemon, aisc, cut = cut_cable
    process = aisc.start(daemon.port, *words, stdout=subprocess.DEVNULL)
    daemon.wait_event("command-start")
    cut()
    began = time.monotonic()
    close = daemon.wait_event("session-close")
    process.kill()
    process.communicate()
    assert close["reason"] == "the client does not answer any more"
    assert 0.9 < time.monotonic() - began < 4 * slowness
    assert not daemon.leftovers()
    assert daemon.wait_event("command-end")["reason"] == close["reason"]


def test_living_client(make_aisd, aisc, connect):
    """Who answers stays, whatever it does not do."""
    daemon = make_aisd(dead_timeout=0.9)
    done = aisc.run(daemon.port, "sleep", "2")
    assert (done.returncode, done.stderr) == (0, b"")
    session = connect(daemon=daemon)
    session.hello()
    for _ in range(4):
        ping = session.expect(Type.PING)
        session.send(Type.PONG, 0, ping.payload)
    assert session.run(["true"]).status == 0


@pytest.mark.parametrize("words", SILENT[1:])
def test_aisc_that_is_stopped(make_aisd, aisc, slowness, words):
    """It goes on where it was, though it has not answered for longer than a
    dead client may."""
    daemon = make_aisd(dead_timeout=0.5)
    process = aisc.start(daemon.port, *words)
    daemon.wait_event("command-start")
    process.send_signal(signal.SIGSTOP)
    time.sleep(3)                       # As long as it may be.
    assert not daemon.events("command-end")
    process.send_signal(signal.SIGCONT)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10 * slowness)
    assert daemon.wait_event("command-end")["signal"] == "15"


def test_aisc_that_is_stopped_for_too_long(make_aisd, aisc, slowness):
    """It is told why its session has ended when it goes on."""
    daemon = make_aisd(dead_timeout=0.5, stopped_timeout=1)
    process = aisc.start(daemon.port, "sleep", "60")
    daemon.wait_event("command-start")
    process.send_signal(signal.SIGSTOP)
    end = daemon.wait_event("command-end", timeout=10 * slowness)
    assert end["reason"] == "the client was stopped for too long"
    wait_until(lambda: connections(daemon.port) == 0, "the daemon has hung up")
    process.send_signal(signal.SIGCONT)
    _, err = process.communicate(timeout=10 * slowness)
    assert (process.returncode, client.said(err)) == (255, "timeout")
    assert b"was stopped" in err


# The door.

def test_strangers_do_not_delay_others(aisd, aisc, slowness):
    """Some are mute, some have begun, some send a byte at a time."""
    strangers = [tcp(aisd, f"127.0.4.{i + 1}") for i in range(50)]
    strangers += [half_hello(aisd) for _ in range(50)]
    over = threading.Event()

    def drip():
        while not over.wait(0.02):
            for raw in strangers[:20]:
                try:
                    raw.sendall(b"\x16")
                except OSError:
                    pass
    dripping = threading.Thread(target=drip)
    dripping.start()
    try:
        began = time.monotonic()
        for _ in range(5):
            assert aisc.run(aisd.port, "true").returncode == 0
        assert time.monotonic() - began < 2 * slowness
    finally:
        over.set()
        dripping.join()
        for raw in strangers:
            raw.close()


def test_thousand_connections(aisd, aisc, slowness):
    """They are held open; the daemon neither spins nor forgets others."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 1200:
        pytest.skip("fewer than 1200 descriptors are allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1200), hard))
    before = aisd.usage()
    strangers = []
    try:
        for i in range(1000):
            strangers.append(tcp(aisd, f"127.0.5.{i % 250 + 1}"))
        began = time.monotonic()
        assert aisc.run(aisd.port, "true").returncode == 0
        assert time.monotonic() - began < 2 * slowness
        if not INSTRUMENTED:
            check_idle(aisd.pid)
        assert sum(not is_closed(raw) for raw in strangers) <= 64
    finally:
        for raw in strangers:
            raw.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert aisc.run(aisd.port, "true").returncode == 0
    aisd.check_usage(before)


def test_handshake_deadline(make_aisd, connect, slowness):
    """Each stranger is sent away when its own time is over."""
    daemon = make_aisd(handshake_timeout=1)
    before = daemon.usage()
    began = time.monotonic()
    strangers = [tcp(daemon) for _ in range(5)] + \
        [half_hello(daemon) for _ in range(5)]
    for raw in strangers:
        raw.settimeout(10)
        assert raw.recv(1000) == b""
        raw.close()
    assert 0.9 < time.monotonic() - began < 2 * slowness
    for reason in "the handshake took too long", "no data received":
        daemon.wait_event("handshake-failed", count=5, reason=reason)
    daemon.check_usage(before)
    assert connect(daemon=daemon).run(["true"]).status == 0


def sources(n):
    """So many addresses of this machine."""
    return [f"127.0.1.{i + 1}" for i in range(n)]


def is_closed(raw):
    """Has the other end closed it?"""
    if not select.select([raw], [], [], 0)[0]:
        return False
    try:
        return raw.recv(1) == b""
    except ConnectionResetError:
        return True


def is_closed_now(raw):
    """The same, of one that was sent something before."""
    raw.setblocking(False)
    try:
        return raw.recv(65536) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


def dropped(daemon, **fields):
    """How many were dropped, as the records so far have it."""
    return sum(int(event["count"]) for event in
               daemon.events("connections-dropped", **fields))


def test_full_door(make_aisd, connect):
    """The address with the most places gives up its oldest, and whoever comes
    gets in."""
    daemon = make_aisd(max_handshakes=4)
    begun = half_hello(daemon, "127.0.1.99")
    strangers = [tcp(daemon, "127.0.1.1") for _ in range(3)]
    session = connect(daemon=daemon)
    assert session.run(["true"]).status == 0
    session.close()
    # A place is needed only while the handshake lasts.
    wait_until(lambda: is_closed(strangers[0]), "the oldest has gone")
    assert dropped(daemon, reason="crowd") == 1
    more = [tcp(daemon, source) for source in ("127.0.1.1", "127.0.1.1")]
    wait_until(lambda: is_closed(strangers[1]), "the next one has gone")
    assert not any(map(is_closed, [begun, strangers[2], *more]))
    for raw in [begun, *more, *strangers]:
        raw.close()


def test_what_has_been_answered_is_kept(make_aisd):
    """For half of its time, and while its address has its share: it goes after
    those of its address that have said less, and who comes then is the one
    that goes."""
    daemon = make_aisd(max_handshakes=3, handshake_timeout=4)
    data = attack.hello()

    def answered():
        raw = tcp(daemon, "127.0.1.1")
        raw.sendall(data)
        assert raw.recv(65536)
        return raw
    old, mute = answered(), tcp(daemon, "127.0.1.1")
    others = [answered()]
    assert not is_closed(mute)
    others.append(answered())
    wait_until(lambda: is_closed(mute), "the one that has said less")
    late = tcp(daemon, "127.0.1.1")
    wait_until(lambda: is_closed(late), "the one that comes")
    # Another address has a share.
    other = tcp(daemon, "127.0.1.2")
    wait_until(lambda: is_closed_now(old), "the oldest of those with most")
    more = tcp(daemon, "127.0.1.1")
    wait_until(lambda: is_closed(more), "it has as much as before")
    time.sleep(2)               # Half of the time is over: none is kept.
    last = tcp(daemon, "127.0.1.1")
    wait_until(lambda: is_closed_now(others[0]), "the oldest")
    assert not is_closed(last)
    for raw in [old, mute, late, other, more, last, *others]:
        raw.close()


def test_more_addresses_than_places(make_aisd):
    """Each has one, and the first of them loses it."""
    daemon = make_aisd(max_handshakes=3)
    strangers = []
    for source in sources(4):
        strangers.append(tcp(daemon, source))
        strangers[-1].sendall(attack.hello())
        if len(strangers) < 4:
            assert strangers[-1].recv(65536)
    wait_until(lambda: is_closed_now(strangers[0]), "the first has gone")
    assert not any(map(is_closed_now, strangers[1:3]))
    for raw in strangers:
        raw.close()


HERE, MANY = ["127.0.0.1"], [f"127.0.3.{i + 1}" for i in range(40)]


@pytest.mark.parametrize("kind", attack.KINDS)
@pytest.mark.parametrize("addresses, count", [
    (HERE, 50), (MANY[:1], 200), (MANY[:5], 200), (MANY, 200)],
    ids=["here", "1", "5", "40"])
def test_attack(make_aisd, alice, slowness, kind, addresses, count):
    """A client with one try is served each time: by 50 that do not go on from
    its own address, and by many more than there are places from others."""
    daemon = make_aisd(failure_penalty=1)
    with attacked(daemon, kind, addresses, count):
        took = visits(daemon, alice, 10)
    assert None not in took
    assert statistics.median(took) < slowness


@pytest.mark.long
def test_answered_strangers_of_the_own_address(make_aisd, alice, slowness):
    """They keep it out while they go on, and not for ever afterwards."""
    daemon = make_aisd(failure_penalty=0.1)
    with attacked(daemon, "whole hello", HERE, 200):
        assert None in visits(daemon, alice, 10)
    wait_until(lambda: visits(daemon, alice, 1) != [None], "it is served",
               10 * slowness)


def test_slow_network_under_attack(make_aisd, alice, slowness):
    """A handshake whose messages take 600 ms each, beside strangers of its own
    address and of others."""
    daemon = make_aisd(failure_penalty=1)
    tls = wire.context(False, *alice[:3])
    for turn, (addresses, count) in enumerate([(HERE, 50), (MANY, 200)], 1):
        with attacked(daemon, "half a hello", addresses, count):
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            end = tls.wrap_bio(incoming, outgoing, server_hostname="localhost")
            with tcp(daemon) as raw:
                raw.settimeout(10 * slowness)
                while True:
                    try:
                        end.do_handshake()
                        break
                    except ssl.SSLWantReadError:
                        pass
                    raw.sendall(outgoing.read())
                    incoming.write(raw.recv(65536))
                    time.sleep(0.6)
                raw.sendall(outgoing.read())
                daemon.wait_event("session-open", count=turn)
        daemon.wait_event("session-close", count=turn)


def test_strangers_that_go_do_not_cost_their_address(make_aisd, connect):
    """It may be good clients' as well.  The log is kept from growing."""
    daemon = make_aisd(failure_penalty=1)
    for _ in range(50):
        half_hello(daemon).close()
    wait_until(lambda: len(daemon.events("handshake-failed")) >= 6 and
               dropped(daemon, reason="unfinished") > 0, "records")
    assert connect(daemon=daemon).run(["true"]).status == 0
    assert len(daemon.events("handshake-failed")) < 25


def test_burst_of_good_clients(make_aisd, aisc):
    """None of them stands still."""
    daemon = make_aisd(max_handshakes=8)
    processes = [aisc.start(daemon.port, "true", options=["-q"])
                 for _ in range(20)]
    for process in processes:
        _, err = process.communicate(timeout=30)
        assert (process.returncode, err) == (0, b"")


def test_burst_of_a_controller(make_aisd, alice):
    """200 at once from one address, each with one try."""
    daemon = make_aisd(max_waiting=200)
    statuses = []

    def one():
        with wire.Client(daemon.port, *alice[:3], timeout=60) as session:
            statuses.append(session.run(["true"]).status)
    threads = [threading.Thread(target=one) for _ in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [0] * 200


def test_penalty(make_aisd, connect, slowness):
    """Who fails again and again is kept out for a while, and nobody else."""
    daemon = make_aisd(failure_penalty=1)

    def knock(source):
        with tcp(daemon, source) as raw:
            raw.sendall(b"GET / HTTP/1.1\r\n\r\n")
            raw.settimeout(10)
            try:
                while raw.recv(1000):
                    pass
            except ConnectionResetError:
                pass
    for _ in range(30):
        knock("127.0.1.7")
    failed = len(daemon.events("handshake-failed"))
    assert 6 <= failed <= 6 + 3 * slowness
    wait_until(lambda: daemon.events("connections-dropped"), "a record")
    event, = daemon.events("connections-dropped")
    assert event["address"] == "127.0.1.7"
    assert (event["reason"], event["count"]) == ("penalty", "1")
    assert connect(daemon=daemon).run(["true"]).status == 0
    # It is let in again.

    def gets_in():
        knock("127.0.1.7")
        return len(daemon.events("handshake-failed")) > failed
    wait_until(gets_in, "the penalty is over", 20 * slowness, 0.5)


def test_aisc_comes_back(aisc, localhost, aisd):
    """A door that drops connections does not disappoint aisc."""
    seen = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve():
            for _ in range(3):
                raw, _ = listener.accept()
                seen.append(time.monotonic())
                raw.close()
            raw, _ = listener.accept()
            with raw, tcp(aisd) as to:
                relay(raw, to)
        thread = threading.Thread(target=serve)
        thread.start()
        done = aisc.run(listener.getsockname()[1], "echo", "here")
        thread.join()
    assert (done.returncode, done.stdout, done.stderr) == (0, b"here\n", b"")
    assert seen[1] - seen[0] > 0.09 and seen[2] - seen[1] > 0.19


def relay(a, b):
    """Pass on what comes, both ways, until one has closed."""
    other = {a: b, b: a}
    while True:
        for raw in select.select([a, b], [], [])[0]:
            data = raw.recv(65536)
            if not data:
                return
            other[raw].sendall(data)


def test_aisc_gives_up(aisc, slowness):
    """But not for ever."""
    count = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve():
            while True:
                raw, _ = listener.accept()
                raw.close()
                count.append(1)
        threading.Thread(target=serve, daemon=True).start()
        began = time.monotonic()
        done = aisc.run(listener.getsockname()[1], "true")
        assert time.monotonic() - began < 4 * slowness
        assert (done.returncode, client.said(done.stderr)) == (255, "lost")
        wait_until(lambda: len(count) == 5, "five tries")


def test_no_descriptors_left(make_aisd, connect):
    """It waits until there are some, says so once, and does not spin."""
    daemon = make_aisd(handshake_timeout=60)
    hard = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (24, hard))
    session = connect(daemon=daemon)
    session.hello()
    strangers = [tcp(daemon) for _ in range(30)]
    event = daemon.wait_event("message", level="error")
    assert "cannot accept" in event["msg"]
    if not INSTRUMENTED:
        check_idle(daemon.pid)
    # Nothing can be started, and the session goes on.
    result = session.run(["true"])
    assert result.refused.code == Code.RESOURCES
    for raw in strangers:
        raw.close()
    wait_until(lambda: len(daemon.events("handshake-failed")) +
               dropped(daemon) >= 30, "all of them are gone", 20)
    assert session.run(["true"]).status == 0
    session.close()
    assert connect(daemon=daemon).run(["true"]).status == 0
    assert len([e for e in daemon.events("message", level="error")
                if "cannot accept" in e["msg"]]) <= 2
