# SPDX-License-Identifier: ISC
"""What cannot be had, and what breaks: the daemon goes on, says so, and no
client takes a failure for a success.

Faults are made by tests/fault/inject.c, below the daemon.  AIS_FAULT_ROUNDS
says how many of each kind, 0 for all that there can be, and AIS_FAULT_SEED
which ones.
"""

import errno
import os
import re
import resource
import signal
import ssl
import subprocess
import time

import pytest

import aisc as client
import wire
from aisd import Daemon, wait_until
from faults import ROUNDS, SEED, Faults, spread

INPUT = bytes(range(256)) * 300
LINE = "cat; echo err >&2"
TREE = "sleep 600 & (setsid sleep 600 &); echo; sleep 600"
LISTED = b"*\tany program, by its name or path\n-c LINE\ta line for the shell\n"
PAIRS = [("command-start", "command-end"), ("session-open", "session-close")]

FAILURES = (wire.Cut, wire.Closed, wire.Goodbye, ConnectionError, ssl.SSLError)


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
        assert len(result.stdout) == len(INPUT)
        assert hash(result.stdout) == hash(INPUT), "other bytes"
        assert result.stderr == b"err\n"


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


def printed(client):
    """A command without input: for its own pipe EPIPE says that it has closed
    it, which it may."""
    result = client.run(["printf", "%s", "x" * 70000])
    if result.status is not None:
        assert result.stdout == b"x" * 70000
    return [result]


def session(daemon, pair, script=whole):
    """One session; whether all that it asked for was done."""
    try:
        with wire.Client(daemon.port, *pair[:3], timeout=5.0) as client:
            results = script(client)
            client.send(wire.Type.GOODBYE, 0, wire.code_payload(0))
            client.until_end(5.0)
            return all(result.status is not None for result in results)
    except FAILURES:
        return False


def plainly(daemon, pair):
    return session(daemon, pair)


def fully(daemon, pair):
    return session(daemon, pair, everything)


def without_input(daemon, pair):
    return session(daemon, pair, printed)


def abandoned(daemon, pair):
    """A client goes, and all that it has started goes as well."""
    try:
        with wire.Client(daemon.port, *pair[:3], timeout=5.0) as client:
            client.send_raw(wire.request_frames(1, wire.body(
                wire.Operation.SHELL, [TREE], windows=(9, 9))))
            client.hello()
            client.expect(wire.Type.STARTED)
            client.expect(wire.Type.STDOUT)
            client.reset()
        return True
    except FAILURES + (wire.Mismatch,):
        return False
    finally:
        wait_until(lambda: not daemon.descendants(), "all of it has ended")


def reloaded(daemon, _pair):
    """The configuration and the certificates are read again."""
    seen = len(daemon.events("reload"))
    daemon.process.send_signal(signal.SIGHUP)
    event, = wait_until(lambda: daemon.events("reload")[seen:], "a reload")
    return event["result"] == "done"


def check_serves(daemon, pair):
    """A plain session is served as if nothing had been."""
    assert session(daemon, pair, everything)


def check_records(daemon):
    """What has begun has ended, unless the log itself says that it lost
    something; and nothing of it is left."""
    def count(name):
        return sum(f" event={name} " in line for line in lines)

    def balanced():
        # A line that was torn has no end.
        lines[:] = [line for line in daemon.log.read_text().splitlines()
                    if " msg=" in line]
        lost = sum(int(re.search(r" lost=(\d+)", line)[1]) for line in lines
                   if " event=log-sink " in line)
        return all(abs(count(begin) - count(end)) <= lost
                   for begin, end in PAIRS)
    lines = []
    wait_until(balanced, f"as many ends as starts: {lines[-12:]}")
    wait_until(lambda: not daemon.descendants(), "no process is left")


def step(daemon, pair, call, error, rounds, work=plainly):
    """Let the first, the second... call during some work fail, or some of
    them; how many there are, and how often the work was not done."""
    check_serves(daemon, pair)
    before = daemon.faults.count(call)[0]
    assert work(daemon, pair)
    # The daemon makes its last calls when the client is content already.
    total = wait_until(lambda: daemon.faults.count(call)[0] - before,
                       f"{call} is met")
    noticed = 0
    for n in spread(total, rounds):
        where = f"{call} number {n}, error {error}, seed {SEED}"
        try:
            with daemon.faults.armed(call, error, n):
                noticed += not work(daemon, pair)
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
    assert failures or ROUNDS       # A few may all be of no consequence.
    check_records(daemon)
    assert {event["rule"] for event in daemon.events("command-start")} == \
        {"narrow"}
    for name in "peer", "serial", "fingerprint":
        assert len({event[name] for event in
                    daemon.events("session-open")}) == 1


# System calls.  A number below 0 stands for what is done only in part.

E = errno
CALLS = {
    "read": [E.EINTR, E.EAGAIN, E.EIO, E.ECONNRESET, -1],
    "write": [E.EINTR, E.EAGAIN, E.EIO, E.ENOSPC, -1],
    "access": [E.EIO],
    "clock_gettime": [E.EINVAL],
    "close": [E.EINTR],
    "epoll_create1": [E.EMFILE, E.ENOMEM],
    "epoll_ctl": [E.ENOMEM, E.ENOSPC],
    "epoll_wait": [E.EINTR],
    "fchmod": [E.EPERM],
    "fclose": [E.ENOSPC],
    "fcntl": [E.EMFILE],
    "getnameinfo": [E.ENOMEM],
    "fdopen": [E.ENOMEM],
    "fork": [E.EAGAIN, E.ENOMEM],
    "fstat": [E.EIO],
    "getrandom": [E.EAGAIN],
    "ioctl": [E.EFAULT],
    "lseek": [E.EIO],
    "memfd_create": [E.ENFILE],
    "pipe2": [E.EMFILE, E.ENFILE],
    "accept4": [E.EMFILE, E.ENFILE, E.ENOMEM, E.EINTR, E.EAGAIN,
                E.ECONNABORTED],
    "ppoll": [E.EINTR, E.EAGAIN, E.ENOMEM],
    "setsockopt": [E.ENOBUFS],
    "shutdown": [E.ENOTCONN],
    "wait4": [E.EINTR],
    "waitid": [E.EINTR],
    # Of a child before it is the command.
    "chdir": [E.EIO],
    "dup2": [E.EINTR],
    "dup3": [E.EINTR],
    "execve": [E.ENOMEM, E.EIO, E.EAGAIN],
    "getrlimit": [E.EPERM],
    "setrlimit": [E.EPERM],
    "prctl": [E.EPERM],
    "setsid": [E.EPERM],
    "sigaction": [E.EINVAL],
    "sigprocmask": [E.EINVAL],
    "syscall": [E.ENOSYS],
}


@pytest.mark.limit(1200)
@pytest.mark.parametrize("call", CALLS)
def test_every_system_call(faulty, alice, record_property, call):
    daemon = faulty(open_files=100)
    for error in CALLS[call]:
        total, noticed = step(daemon, alice, call, error, 5, fully)
        record_property(f"{call}, {error}", f"{total} calls, {noticed} "
                        "sessions noticed")
    check_records(daemon)


@pytest.mark.parametrize("error", [E.EPIPE, E.ECONNRESET])
def test_connection_that_breaks(faulty, alice, error):
    """At each of the daemon's writes."""
    daemon = faulty()
    _, noticed = step(daemon, alice, "write", error, 10, without_input)
    assert noticed or ROUNDS
    check_records(daemon)


WORK = [
    (abandoned, "memory", [E.ENOMEM]),
    (abandoned, "pread", [E.EIO, E.ENOMEM, -1]),
    (abandoned, "read", [E.EIO, E.EINTR, -1]),
    (abandoned, "kill", [E.EPERM]),
    (abandoned, "close", [E.EINTR]),
    (abandoned, "waitid", [E.EINTR]),
    (abandoned, "wait4", [E.EINTR]),
    (abandoned, "getpgid", [E.EPERM]),
    (abandoned, "ppoll", [E.ENOMEM]),
    (reloaded, "clock_gettime", [E.EINVAL]),
    (reloaded, "fclose", [E.ENOSPC]),
    (reloaded, "fopen", [E.EMFILE]),
    (reloaded, "fprintf", [E.ENOMEM]),
    (reloaded, "fputc", [E.ENOMEM]),
    (reloaded, "fputs", [E.ENOMEM]),
    (reloaded, "fwrite", [E.ENOMEM]),
    (reloaded, "open_memstream", [E.ENOMEM]),
    (reloaded, "scandir", [E.EMFILE, E.ENOMEM]),
    (reloaded, "fstat", [E.EIO]),
    (reloaded, "stat", [E.EIO]),
    (reloaded, "fstatat", [E.EIO]),
]


@pytest.mark.limit(1200)
@pytest.mark.parametrize("number", range(len(WORK)))
def test_work_that_fails(faulty, alice, record_property, number):
    """A client that goes, and a reload."""
    work, call, errors = WORK[number]
    daemon = faulty()
    for error in errors:
        total, noticed = step(daemon, alice, call, error, 5, work)
        assert total > 0, call
        record_property(f"{work.__name__}: {call}, {error}",
                        f"{total} calls, {noticed} noticed")
    check_records(daemon)


def listing(daemon, pair):
    """Only what is answered by the daemon itself."""
    def ask(client):
        listed = client.request(wire.Operation.LIST, [])
        if listed.status is not None:
            assert listed.stdout == LISTED
        return [listed]
    return session(daemon, pair, ask)


@pytest.mark.parametrize("work", [listing, plainly])
def test_each_read_that_would_block(faulty, alice, work):
    """What was to be read is not gone then, and no answer lacks it."""
    daemon = faulty()
    _, noticed = step(daemon, alice, "read", errno.EAGAIN, 0, work)
    assert noticed == 0
    check_records(daemon)


def test_first_allocations_of_a_connection(faulty, alice):
    """Each of them: there the connection gets all that it is checked by."""
    daemon = faulty()
    check_serves(daemon, alice)
    for n in range(1, 61):
        with daemon.faults.armed("memory", E.ENOMEM, n):
            plainly(daemon, alice)
        assert daemon.process.poll() is None, n
    check_serves(daemon, alice)


# What there is too little of, or what is gone, by the system's own means.

def test_reload_without_memory(aisd, connect, measurable):
    """libconfig would end the program; it is not asked then."""
    session = connect()
    assert session.run(["true"]).status == 0
    with open(f"/proc/{aisd.pid}/statm") as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    for more in 0, 256, 1024:
        resource.prlimit(aisd.pid, resource.RLIMIT_AS,
                         (size + more * 1024, resource.RLIM_INFINITY))
        aisd.reload("failed")
        assert "memory" in aisd.events("config-error")[-1]["msg"]
    resource.prlimit(aisd.pid, resource.RLIMIT_AS,
                     (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    # One that failed is tried again by itself as well.
    aisd.process.send_signal(signal.SIGHUP)
    wait_until(lambda: aisd.events("reload")[-1]["result"] == "done",
               "a reload", 20)
    assert session.run(["true"]).status == 0


def test_reload_of_a_directory(aisd, connect):
    """libconfig ends the program at what it cannot read to its end."""
    session = connect()
    aisd.conf.rename(aisd.directory / "elsewhere")
    aisd.conf.mkdir()
    aisd.reload("failed")
    assert os.strerror(E.EISDIR) in aisd.events("config-error")[-1]["msg"]
    assert session.run(["true"]).status == 0


@pytest.mark.parametrize("error", [E.EMFILE, E.ENFILE])
def test_no_descriptor(faulty, aisc, alice, error):
    """At accept, at a pipe, and at the log: on record, and the client knows
    what it was."""
    daemon = faulty()
    with daemon.faults.armed("accept4", error, times=3):
        assert aisc.run(daemon.port, "true").returncode == 0
    event, = daemon.events("message", level="error")
    assert event["msg"] == "cannot accept connections; trying again until " \
        f"it works: {os.strerror(error)}"
    with daemon.faults.armed("pipe2", error):
        done = aisc.run(daemon.port, "true")
    assert (done.returncode, client.said(done.stderr)) == (255, "resources")
    assert os.strerror(error).encode() in done.stderr
    assert os.strerror(error) in daemon.wait_event(
        "command-end", count=2)["reason"]
    with daemon.faults.armed("open", error):
        daemon.process.send_signal(signal.SIGUSR1)
        daemon.wait_event("message", count=3)
    assert "stays in use" in daemon.events("message", level="error")[-1]["msg"]
    assert aisc.run(daemon.port, "true").returncode == 0
    check_records(daemon)


@pytest.mark.parametrize("call", ["fork", "execve"])
def test_no_process(faulty, aisc, call):
    daemon = faulty()
    with daemon.faults.armed(call, E.EAGAIN):
        done = aisc.run(daemon.port, "/bin/true")
    assert (done.returncode, client.said(done.stderr)) == (255, "resources")
    assert "exit" not in daemon.wait_event("command-end")
    assert aisc.run(daemon.port, "true").returncode == 0


@pytest.mark.parametrize("years", [1, -1])
def test_clock_that_jumps(faulty, aisc, years):
    """Deadlines do not mind, certificates do, and all of them are judged at
    once: the daemon says why it refuses while the clock is wrong, and serves
    when it is right."""
    daemon = faulty(time_limit=20)
    process = aisc.start(daemon.port, "cat", stdin=subprocess.PIPE)
    daemon.wait_event("command-start")
    # So much is not worth a word, however often.
    for seconds in 50, 100, 150, 100:
        daemon.faults.set_clock(seconds)
        process.stdin.write(b"x")
        process.stdin.flush()
        assert process.stdout.read(1) == b"x"
    assert not daemon.events("clock-jump")
    by = years * 366 * 86400
    daemon.faults.set_clock(100 + by)
    process.stdin.write(b"x")
    process.stdin.flush()
    event = daemon.wait_event("clock-jump")
    assert abs(int(event["seconds"]) - by) <= 1
    assert event["before"][:4] == time.strftime("%Y", time.gmtime(
        time.time() + 100))
    # Its time limit has not passed.
    closed = daemon.wait_event("session-close")
    assert closed["reason"] == ("expired" if years > 0 else "untrusted")
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 255
    done = aisc.run(daemon.port, "true")
    assert done.returncode == 255 and client.said(done.stderr) == "tls"
    reason = daemon.wait_event("handshake-failed")["reason"]
    assert ("has expired" if years > 0 else "is not valid before") in reason
    daemon.faults.set_clock(0)
    assert aisc.run(daemon.port, "true").returncode == 0
    assert len(daemon.events("clock-jump")) == 2
    check_records(daemon)


def test_directory_of_the_log_is_closed(aisd, connect):
    """A log that was deleted, and cannot be made again until somebody opens
    its directory; and of what was lost there is a record."""
    if os.getuid() == 0:
        deny = ["chattr", "+i"]
        allow = ["chattr", "-i"]
        probe = aisd.directory / "probe"
        probe.mkdir()
        if subprocess.run([*deny, probe], capture_output=True).returncode:
            pytest.skip("as root, and without chattr(1) here")
        subprocess.run([*allow, probe], check=True)
    else:
        deny, allow = ["chmod", "a-w"], ["chmod", "u+w"]
    session = connect()
    assert session.run(["true"]).status == 0
    aisd.log.unlink()
    subprocess.run([*deny, aisd.directory], check=True)
    try:
        refused = session.run(["true"]).refused
        assert refused.code == wire.Code.AUDIT
    finally:
        subprocess.run([*allow, aisd.directory], check=True)
    assert session.run(["true"]).status == 0
    assert aisd.wait_event("log-sink", state="working")["lost"] == "2"


def test_no_memory_to_wait(faulty, aisc):
    """The kernel may lack it even for ppoll(2): said once, and tried again."""
    daemon = faulty()
    with daemon.faults.armed("ppoll", E.ENOMEM, times=5):
        assert aisc.run(daemon.port, "true").returncode == 0
    event, = daemon.events("message", level="error")
    assert event["msg"] == "cannot wait for events; trying again until it " \
        f"works: {os.strerror(E.ENOMEM)}"
    check_records(daemon)
