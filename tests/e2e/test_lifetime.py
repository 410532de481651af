# SPDX-License-Identifier: ISC
"""Clients that go, daemons that go, and what they leave to others."""

import hashlib
import os
import re
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest

import aisc as client
import wire
from aisd import wait_until
from strangers import check_idle, cpu, half_hello, tcp
from wire import Code, Operation, Type, body, frame, request_frames

MIB = 1024 * 1024
TREE = "sleep 600 & (setsid sleep 600 &); echo planted; sleep 600"


def end_socket(raw, how):
    if how == "reset":
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                       struct.pack("ii", 1, 0))
    raw.close()


# The client goes.

STAGES = ["connected", "half-hello", "handshaken", "half-request", "asked",
          "running", "stuck"]


@pytest.mark.parametrize("how", ["close", "cut", "reset"])
@pytest.mark.parametrize("stage", STAGES)
def test_client_goes(make_aisd, connect, slowness, stage, how):
    """At each stage, in each way: ended, on record, and the next is served."""
    daemon = make_aisd(kill_grace=1)
    before = daemon.usage()
    began = time.monotonic()
    if stage in ("connected", "half-hello"):
        raw = tcp(daemon) if stage == "connected" else half_hello(daemon)
        end_socket(raw, how)
        reason = daemon.wait_event("handshake-failed")["reason"]
        assert reason
    else:
        session = connect(daemon=daemon)
        if stage != "handshaken":
            session.hello()
        if stage == "half-request":
            session.send(Type.REQUEST_PART, 1, b"\1\0\0\0\1\1\2\0\0")
        elif stage == "asked":
            session.ask(["sh", "-c", TREE], windows=(99, 99))
        elif stage == "running":
            session.ask(["sh", "-c", TREE], windows=(99, 99))
            session.expect(Type.STARTED)
            session.expect(Type.STDOUT)
            wait_until(lambda: len(daemon.leftovers()) >= 4, "the tree")
        elif stage == "stuck":
            session.ask(["yes"], windows=(wire.WINDOW_MAX, 0))
            session.expect(Type.STARTED)
            session.expect(Type.STDOUT)
        getattr(session, how)()
        reason = daemon.wait_event("session-close")["reason"]
        assert (reason == "done") == (
            how == "close" and stage == "handshaken"), reason
    if stage in ("running", "stuck"):
        end = daemon.wait_event("command-end")
        assert end["reason"] == reason
        # A shell may see the end of its own child before its own.
        assert end.get("signal") == "15" or end.get("exit") == "143"
    assert not daemon.leftovers()
    assert time.monotonic() - began < 3 * slowness
    assert len(daemon.events("command-start")) == \
        len(daemon.events("command-end"))
    assert connect(daemon=daemon).run(["echo", "next"]).stdout == b"next\n"
    daemon.check_usage(before, fds=8)


@pytest.mark.parametrize("where", ["running", "stuck", "waiting"])
def test_aisc_is_killed(aisd, aisc, connect, where):
    holder = None
    if where == "waiting":
        holder = connect()
        holder.hello()
    command = ["yes"] if where == "stuck" else ["sh", "-c", TREE]
    process = aisc.start(aisd.port, *command,
                         options=["-v"] if where == "waiting" else [])
    if where == "waiting":
        assert any(b"waiting" in line for line in process.stderr)
    else:
        assert process.stdout.read(2)
    process.kill()
    process.communicate()
    if where == "waiting":
        holder.close()
        aisd.wait_event("session-close")
        assert not aisd.events("command-start")
    else:
        end = aisd.wait_event("command-end")
        assert end["reason"] == "the connection was cut"
        assert not aisd.leftovers()
    assert aisc.run(aisd.port, "true").returncode == 0


# The daemon goes.

def test_daemon_is_killed(aisd, aisc, connect):
    """aisc says so, nothing stays behind, and the port is free at once."""
    process = aisc.start(aisd.port, "sh", "-c", TREE)
    assert process.stdout.readline() == b"planted\n"
    port, pids = aisd.port, aisd.leftovers()
    aisd.process.kill()
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (255, b"")
    assert client.said(err) == "lost"
    aisd.process.wait()
    aisd.configure(listen=[f"127.0.0.1:{port}"])
    aisd.start()
    assert aisd.port == port
    assert aisc.run(port, "true").returncode == 0
    # The command itself is ended by the kernel; what it had sent to the
    # background belongs to nobody now, and is the service manager's.
    def first_has_ended():
        return not any(is_shell(pid) for pid in pids)
    wait_until(first_has_ended, "the command has ended")
    for pid in aisd.leftovers():
        os.kill(pid, signal.SIGKILL)


def test_one_port_for_several_addresses(make_aisd):
    """Those that differ by nothing but the port are one with -p."""
    daemon = make_aisd(start=False, listen=["127.0.0.1:1", "127.0.0.1:2"])
    daemon.words += ["-p", "0"]
    daemon.start()
    start, = daemon.events("start")
    assert start["listen"] == f"127.0.0.1:{daemon.port}"


def is_shell(pid):
    try:
        with open(f"/proc/{pid}/comm") as file:
            return file.read() == "sh\n"
    except OSError:
        return False


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_stop_with_a_command(make_aisd, aisc, slowness, sig):
    """It is ended, its client hears why, and all of it is on record."""
    daemon = make_aisd(kill_grace=1)
    process = aisc.start(daemon.port, "sh", "-c", TREE)
    assert process.stdout.readline() == b"planted\n"
    waiting = aisc.start(daemon.port, "true", options=["-v"])
    assert any(b"waiting" in line for line in waiting.stderr)
    began = time.monotonic()
    daemon.process.send_signal(sig)
    for one in (process, waiting):
        out, err = one.communicate(timeout=10 * slowness)
        assert (one.returncode, out) == (255, b"")
        assert client.said(err) == "stopped", err
    assert daemon.process.wait(10) == 0
    assert time.monotonic() - began < 2 * slowness
    assert not daemon.leftovers()
    assert [e["event"] for e in daemon.events() if e["event"] != "message"] \
        == ["start", "session-open", "command-start", "stop",
            "handshake-failed", "command-end", "session-close"]
    end, = daemon.events("command-end")
    assert end["reason"] == "stopping"
    assert daemon.events("stop")[0]["reason"] == sig.name


def drained(daemon, slowness):
    """Wait for its end, and see that it is the one that was asked for."""
    daemon.process.wait(10 * slowness)
    daemon.stop(status=7)


def test_drain(make_aisd, aisc, connect, tmp_path, slowness):
    """The command that runs ends as it would; a second one does not begin, and
    who waits is told."""
    daemon = make_aisd()
    session = connect(daemon=daemon)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    number = session.ask(["sh", "-c", f"read line <{fifo}; echo $line; "
                          "exit 3"], windows=(99, 99))
    session.hello()
    session.expect(Type.STARTED)
    daemon.process.send_signal(signal.SIGUSR2)
    waiting = aisc.start(daemon.port, "true", options=["-v"])
    assert any(b"waiting" in line for line in waiting.stderr)
    assert daemon.process.poll() is None
    fifo.write_text("done\n")
    result = session.follow(number)
    assert (result.stdout, result.status) == (b"done\n", 3)
    assert result.exit.reason == Code.NONE
    with pytest.raises(wire.Goodbye) as goodbye:
        session.run(["true"])
    assert goodbye.value.code == Code.STOPPING
    out, err = waiting.communicate(timeout=10 * slowness)
    assert (waiting.returncode, client.said(err)) == (255, "stopped"), err
    drained(daemon, slowness)
    assert daemon.events("stop")[0]["reason"] == "SIGUSR2"
    assert len(daemon.events("command-start")) == 1


def test_drain_with_nobody_there(aisd, slowness):
    aisd.process.send_signal(signal.SIGUSR2)
    drained(aisd, slowness)


def test_drain_of_an_idle_session(aisd, connect, slowness):
    session = connect()
    session.run(["true"])
    aisd.process.send_signal(signal.SIGUSR2)
    with pytest.raises(wire.Goodbye) as goodbye:
        session.other(session.receive())
    assert goodbye.value.code == Code.STOPPING
    drained(aisd, slowness)


@pytest.mark.parametrize("limit", ["time_limit", "session_timeout"])
def test_drain_keeps_limits(make_aisd, connect, slowness, limit):
    """What bounds a command or a session still does."""
    daemon = make_aisd(**{limit: 1})
    session = connect(daemon=daemon)
    number = session.ask(["sleep", "600"])
    session.hello()
    session.expect(Type.STARTED)
    daemon.process.send_signal(signal.SIGUSR2)
    assert session.follow(number).exit.reason == Code.TIMEOUT
    drained(daemon, slowness)


def test_drain_that_takes_too_long(aisd, connect):
    """TERM goes first."""
    session = connect()
    number = session.ask(["sleep", "600"])
    session.hello()
    session.expect(Type.STARTED)
    aisd.process.send_signal(signal.SIGUSR2)
    aisd.process.send_signal(signal.SIGTERM)
    assert session.follow(number).exit.reason == Code.STOPPING
    assert aisd.process.wait(10) == 0


def test_unprivileged_commands_reach_the_daemon(aisd, connect):
    """Where one user is both, a command reads the key, and stops aisd."""
    session = connect()
    with open(aisd.keys["key"], "rb") as file:
        assert session.run(["cat", aisd.keys["key"]]).stdout == file.read()
    session.ask(["kill", str(aisd.pid)])
    aisd.wait_event("stop")


def test_stop_with_a_command_that_will_not(make_aisd, connect, slowness):
    daemon = make_aisd(kill_grace=0.5)
    session = connect(daemon=daemon)
    session.ask(["sh", "-c", "trap '' TERM; echo; sleep 600; sleep 600"],
        windows=(9, 9))
    session.hello()
    session.expect(Type.STARTED)
    session.expect(Type.STDOUT)
    began = time.monotonic()
    daemon.process.terminate()
    result = session.follow(1)
    assert result.exit.reason == Code.STOPPING
    assert result.signal == signal.SIGKILL
    with pytest.raises(wire.Goodbye) as goodbye:
        session.other(session.receive())
    assert goodbye.value.code == Code.STOPPING
    assert daemon.process.wait(30) == 0
    assert 0.5 <= time.monotonic() - began < 2 * slowness


def test_stop_with_strangers(aisd, connect, slowness):
    """Nobody at the door can delay it."""
    strangers = [tcp(aisd) for _ in range(5)] + \
        [half_hello(aisd) for _ in range(5)]
    session = connect()
    session.hello()
    began = time.monotonic()
    aisd.process.terminate()
    with pytest.raises(wire.Goodbye) as goodbye:
        session.other(session.receive())
    assert goodbye.value.code == Code.STOPPING
    assert aisd.process.wait(5 * slowness) == 0
    assert time.monotonic() - began < 2 * slowness
    for raw in strangers:
        raw.close()


def test_stop_with_a_client_that_never_reads(aisd, connect, slowness):
    session = connect()
    session.ask(["yes"], windows=(wire.WINDOW_MAX, 0))
    session.hello()
    session.expect(Type.STARTED)
    began = time.monotonic()
    aisd.process.terminate()
    # It has some seconds to take what it was sent.
    assert aisd.process.wait(10 * slowness) == 0
    assert time.monotonic() - began < 9 * slowness
    assert aisd.wait_event("command-end")["reason"] == "stopping"


# Reload.

def test_reload_takes_rules(aisd, connect):
    """In the session that is there as well, from its next request on."""
    session = connect()
    assert session.run(["ls", "/"]).status == 0
    number = session.ask(["sleep", "60"])
    session.expect(Type.STARTED, number)
    aisd.configure(rules='{ name = "less"; peers = [ "alice" ]; '
                   'commands = [ "/bin/true" ]; }', kill_grace=0.1)
    event = aisd.reload()
    assert event["result"] == "done"
    session.signal("TERM")              # It was not touched.
    assert session.follow(number).signal == signal.SIGTERM
    assert session.run(["ls", "/"]).refused.code == Code.DENIED
    assert session.run(["true"]).status == 0


BAD = [
    # What is written behind a good file, and what is said about it.
    ("unknown_key = 1;", "unknown_key"),
    ("kill_grace = -1;", "kill_grace"),
    ('kill_grace = "soon";', "kill_grace"),
    ('umask = "999";', "umask"),
    ('listen = [ "127.0.0.1:99999" ];', "listen"),
    ("rules = (", None),
    ('path = [ "relative" ];', "path"),
    ('certificate = "/no/such/certificate";', "/no/such/certificate"),
    ("@include \"/no/such/file\"", None),
]


@pytest.mark.parametrize("number", range(len(BAD)))
def test_reload_of_a_bad_file(aisd, connect, number):
    """The old one stays in force, and the error says where it is."""
    session = connect()
    session.hello()
    good = aisd.conf.read_text()
    line, says = BAD[number]
    name = line.split(" ")[0]
    text = "\n".join(l for l in good.splitlines()
                     if not l.startswith(f"{name} ="))
    aisd.conf.write_text(f"{text}\n{line}\n")
    aisd.reload("failed")
    place = f"{aisd.conf}:{len(text.splitlines()) + 1}"
    errors = [e["msg"] for e in aisd.events()
              if e["level"] == "error" and e["event"] != "reload"]
    assert len(errors) == 1, errors
    if says:
        assert says in errors[0]
    assert errors[0].startswith(place) or place in errors[0] or \
        not says, errors
    assert session.run(["true"]).status == 0
    session.close()
    assert connect().run(["true"]).status == 0
    aisd.conf.write_text(good)
    aisd.reload()


def test_many_reloads_during_a_transfer(aisd, aisc, slowness):
    """Bytes are exact, descriptors are not lost."""
    size, count = 64 * MIB // slowness, 1000 // slowness
    line = "echo begun >&2; cat; " \
        f"head -c {size} /dev/zero | openssl enc -aes-128-ctr -nosalt " \
        "-K 000102030405060708090a0b0c0d0e0f -iv 00"
    expected = hashlib.sha1(subprocess.run(
        ["sh", "-c", line], input=b"", stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, check=True).stdout).hexdigest()
    assert aisc.run(aisd.port, "true").returncode == 0
    aisd.wait_event("session-close")
    before = aisd.usage()
    process = aisc.start(aisd.port, "sh", "-c", line, stdin=subprocess.PIPE)
    assert process.stderr.readline() == b"begun\n"
    digest, over = hashlib.sha1(), threading.Event()

    def read():
        for piece in iter(lambda: process.stdout.read(65536), b""):
            digest.update(piece)
        over.set()
    reader = threading.Thread(target=read)
    reader.start()
    for i in range(count):
        aisd.process.send_signal(signal.SIGHUP)
        if i == count // 3:
            process.stdin.close()
        if i % 50 == 0:
            wait_until(lambda: len(aisd.events("reload")) > i // 50,
                       "reloads go on", 20 * slowness)
    reader.join(60)
    assert over.is_set()
    assert process.wait(10) == 0
    process.stderr.close()
    assert digest.hexdigest() == expected
    assert {e["result"] for e in aisd.events("reload")} == {"done"}
    assert aisc.run(aisd.port, "true").returncode == 0
    aisd.check_usage(before, fds=0)


# The log.

def test_rotation(aisd, connect):
    """By renaming and SIGUSR1, again and again: no line is lost or torn."""
    session = connect()
    session.hello()
    logs = []
    for i in range(20):
        assert session.run(["true"]).status == 0
        old = aisd.log.with_name(f"{aisd.log.name}.{i}")
        aisd.log.rename(old)
        logs.append(old)
        if i % 2:
            assert session.run(["true"]).status == 0    # To the old one.
        aisd.process.send_signal(signal.SIGUSR1)
        wait_until(lambda: aisd.log.exists() and aisd.log.stat().st_size,
                   "there is a new one")
        assert "opened again" in aisd.log.read_text()
    text = "".join(log.read_text() for log in [*logs, aisd.log])
    for name in ("command-start", "command-end"):
        found = re.findall(rf"^time=\S+ level=\S+ event={name} .* request="
                           r"(\d+) .*$", text, re.M)
        assert found == [str(n) for n in range(1, 31)]
    assert (aisd.log.stat().st_mode & 0o777) == 0o640


def test_log_that_cannot_be_written(make_aisd, connect):
    """What cannot be put on record is not run."""
    daemon = make_aisd(start=False)
    # A file may grow to this size and no further.
    daemon.words = ["sh", "-c", 'ulimit -f 8; exec "$@"', "sh", *daemon.words]
    daemon.start()
    session = connect(daemon=daemon)
    results = [session.run(["true", "x" * 500]) for _ in range(20)]
    assert results[0].status == 0
    assert results[-1].refused.code == Code.AUDIT
    assert not results[-1].started
    os.truncate(daemon.log, 0)
    assert session.run(["true"]).status == 0
    # The first line ends the one that was torn.
    assert daemon.log.read_text().startswith("\ntime=")
    assert "records are missing there" in daemon.log.read_text()


# A bound on what a client can make the daemon do and hold.

@pytest.mark.alone
@pytest.mark.parametrize("command", ["yes", "cat /dev/zero >&2"])
def test_client_that_never_reads(measurable, aisd, connect, command):
    """The command is held up, and so is everything else of it."""
    assert connect().run(["true"]).status == 0
    before = aisd.usage()
    session = connect()
    session.tls.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    number = session.next_number()
    # The first client is still there: this one waits for its turn.
    session.send_raw(request_frames(number, body(
        Operation.SHELL, [command],
        windows=(wire.WINDOW_MAX, wire.WINDOW_MAX))))
    session.expect(Type.WAITING)
    connect.clients[0].close()
    aisd.wait_event("command-start", count=2)
    stuck = []

    def is_stuck():
        stuck.append(sum(cpu(pid) for pid in aisd.descendants()))
        return len(stuck) > 5 and stuck[-1] == stuck[-5]
    wait_until(is_stuck, "the command is held up", 20, 0.05)
    check_idle(aisd.pid)
    aisd.check_usage(before, fds=8, rss_kib=2048)
    session.reset()
    aisd.wait_event("command-end", count=2)
    assert not aisd.leftovers()


@pytest.mark.alone
def test_input_that_nobody_reads(measurable, aisd, connect):
    """The client is held by its window; signals and PINGs pass all the
    same, both ways, while data is stuck both ways."""
    assert connect().run(["true"]).status == 0
    connect.clients[0].close()
    aisd.wait_event("session-close")
    before = aisd.usage()
    session = connect()
    number = session.ask(["sh", "-c", "trap 'exit 9' USR1; yes & "
                          "while :; do wait; done"], stdin=True,
                         windows=(300000, 0))
    session.hello()
    credit, = struct.unpack(">I", session.expect(Type.STARTED).payload)
    credit += wire.STDIN_FIRST
    taken = 0
    while True:                 # Until no more goes, nor comes.
        while credit > 0:
            piece = bytes(min(credit, wire.PAYLOAD_MAX))
            session.send(Type.STDIN, number, piece)
            credit -= len(piece)
        try:
            got = session.receive(1)
        except TimeoutError:
            break
        if got.type == Type.WINDOW:
            credit, = struct.unpack(">xI", got.payload)
        else:
            assert got.type == Type.STDOUT
            taken += len(got.payload)
    assert taken == 300000
    check_idle(aisd.pid, 0.3)
    # A queue of 1 MiB, and the halves that it was while it grew.
    aisd.check_usage(before, fds=8, rss_kib=3072)
    session.send(Type.PING, 0, b"there?")
    assert session.expect(Type.PONG).payload == b"there?"
    waiting = connect()
    waiting.expect(Type.WAITING)
    session.send(Type.SIGNAL, number, b"USR1")
    wait_until(lambda: len(aisd.leftovers()) == 0, "they got the signal")
    # What is left in the pipe is the client's still.
    session.send(Type.WINDOW, number, struct.pack(">BI", 1, 1 << 20))
    assert session.follow(number).status == 9
    session.close()
    assert waiting.run(["true"]).status == 0


@pytest.mark.alone
def test_client_that_never_stops_writing(measurable, aisd, connect):
    """Small frames that want answers, and nobody who reads them."""
    session = connect()
    session.hello()
    before = aisd.usage()
    session.tls.settimeout(1)
    ping = frame(Type.PING, 0, bytes(8)) * 3000
    with pytest.raises((wire.Cut, TimeoutError)):
        while True:
            session.send_raw(ping)
    check_idle(aisd.pid, 0.5)
    aisd.check_usage(before, fds=4, rss_kib=2048)
    session.reset()
    assert connect().run(["true"]).status == 0


@pytest.mark.alone
def test_resident_memory(measurable, aisd, connect, record_property):
    """Idle, and after a session.  Most of it are the libraries, which other
    processes share."""
    def measure(name):
        with open(f"/proc/{aisd.pid}/status") as file:
            found = dict(re.findall(r"(VmRSS|RssAnon):\s*(\d+) kB",
                                    file.read()))
        record_property(name, f"{found['VmRSS']} KiB, of which "
                        f"{found['RssAnon']} KiB are its own")
        assert int(found["RssAnon"]) < 2048
        assert int(found["VmRSS"]) < 10240
    measure("idle")
    session = connect()
    assert session.run(["head", "-c", "9000000", "/dev/zero"]).status == 0
    session.close()
    aisd.wait_event("session-close")
    measure("after a session")
