"""What cannot be had, and what breaks: the daemon goes on, says so, and no
client takes a failure for a success.

Faults are made by tests/fault/inject.c, below the daemon.  AIS_FAULT_ROUNDS
says how many of each kind, 0 for all that there can be, and AIS_FAULT_SEED
which ones.
"""

import errno
import ssl

import pytest

import wire
from aisd import Daemon, wait_until
from faults import SEED, Faults, spread

INPUT = bytes(range(256)) * 300
LINE = "cat; echo err >&2"
LISTED = b"*\tany program, by its name or path\n-c LINE\ta line for the shell\n"
PAIRS = [("command-start", "command-end"), ("session-open", "session-close")]


@pytest.fixture
def faulty(program, builddir, tmp_path, localhost, slowness, measurable):
    """A function that starts an aisd with "faults", its control."""
    daemons = []

    def start(**keys):
        directory = tmp_path / f"faulty{len(daemons)}"
        directory.mkdir()
        faults = Faults(builddir, directory)
        daemon = Daemon(program("aisd"), directory, localhost,
                        env=faults.environment(), slowness=slowness,
                        **{"kill_grace": 0.3, **keys})
        daemon.faults = faults
        daemons.append(daemon)
        daemon.start()
        assert faults.names(), "the library is in the daemon"
        return daemon
    yield start
    try:
        for daemon in daemons:
            daemon.faults.disarm()
            daemon.stop()
    finally:
        for daemon in daemons:
            daemon.kill()


def check(result):
    """An answer that says that it is whole is whole."""
    if result.status is not None:
        assert result.status == 0
        assert result.stdout == INPUT and result.stderr == b"err\n"


def whole(client):
    """One command, of which every byte can be told."""
    result = client.shell(LINE, stdin=INPUT, timeout=5.0)
    check(result)
    return [result]


def everything(client):
    """All that a client can ask for."""
    results = whole(client)
    moved = client.chdir("/usr/bin")
    if moved.directory is not None:
        assert moved.directory == b"/usr/bin"
        there = client.run(["pwd"])
        assert there.status is None or there.stdout == b"/usr/bin\n"
        results.append(there)
    listed = client.request(wire.Operation.LIST, [])
    if listed.status is not None:
        assert listed.stdout == LISTED
    results.append(listed)
    return results


def session(daemon, pair, script=whole):
    """One session; whether all that it asked for was done."""
    try:
        with wire.Client(daemon.port, *pair[:3], timeout=5.0) as client:
            results = script(client)
            client.send(wire.Type.GOODBYE, 0, wire.code_payload(0))
            client.until_end(5.0)
            return all(result.status is not None for result in results)
    except (wire.Cut, wire.Closed, wire.Goodbye, ConnectionError,
            ssl.SSLError):
        return False


def check_serves(daemon, pair):
    """A plain session is served as if nothing had been."""
    assert session(daemon, pair, everything)


def check_records(daemon):
    """What has begun has ended, unless the log itself says that it lost
    something; and nothing of it is left."""
    def balanced():
        lost = sum(int(event["lost"]) for event in
                   daemon.events("log-sink", state="working"))
        return all(abs(len(daemon.events(begin)) - len(daemon.events(end)))
                   <= lost for begin, end in PAIRS)
    wait_until(balanced, "as many ends as starts: "
               f"{[e['event'] for e in daemon.events()][-12:]}")
    wait_until(lambda: not daemon.descendants(), "no process is left")


def step(daemon, pair, call, error, rounds, script=whole):
    """Let the first, the second... call of one session fail, or some of them;
    how many there are, and how many sessions noticed."""
    check_serves(daemon, pair)
    before = daemon.faults.count(call)[0]
    assert session(daemon, pair, script)
    total, noticed = daemon.faults.count(call)[0] - before, 0
    for n in spread(total, rounds):
        where = f"{call} number {n}, error {error}, seed {SEED}"
        try:
            with daemon.faults.armed(call, error, n):
                noticed += not session(daemon, pair, script)
            check_serves(daemon, pair)
        except (AssertionError, OSError) as e:
            raise AssertionError(f"after {where}: {e!r}") from e
    return total, noticed


RULES = """
    { name = "narrow"; dns = [ "carol.example" ]; issuer = [ "CN=AIS_CA" ];
      anything = true; shell = true; },
    { name = "wide"; peers = [ "*" ]; anything = true; shell = true; }
"""


@pytest.mark.limit(1200)
def test_every_allocation(faulty, authority, record_property):
    """During a handshake and during a request.  Nobody becomes somebody else:
    without a name that could not be read, another rule would match."""
    carol = authority.make("carol", sans=["DNS:carol.example"])
    daemon = faulty(rules=RULES)
    total, failures = step(daemon, carol, "memory", errno.ENOMEM, 40)
    record_property("allocations in a session", f"{total}, {failures} "
                    "rounds had no result")
    assert failures
    check_records(daemon)
    assert {event["rule"] for event in daemon.events("command-start")} == \
        {"narrow"}
    for name in "peer", "serial", "fingerprint":
        assert len({event[name] for event in
                    daemon.events("session-open")}) == 1
