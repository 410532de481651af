# SPDX-License-Identifier: ISC
"""aisc against a server that does what the test wants, and worse."""

import errno
import fcntl
import json
import os
import pty
import re
import resource
import select
import shlex
import signal
import socket
import subprocess
import termios
import threading
import time

import pytest

import pki
import wire
from aisc import said
from aisd import wait_until
from machine import SLOWNESS
from wire import Code, Operation, Type

MIB = 1024 * 1024


class Recorder:
    """A script that answers each request and keeps it.  "answer" has the
    status or the refusal of a program; those in "ignoring" read no input."""

    def __init__(self, stdout=b"", answer=None, ignoring=()):
        self.requests, self.inputs = [], []
        self.stdout, self.answer = stdout, answer or {}
        self.ignoring = ignoring

    def __call__(self, peer):
        peer.hello()
        here = b"/home/x"
        while True:
            try:
                request = peer.expect_request()
            except (wire.Closed, wire.Cut, wire.Mismatch):
                return
            self.requests.append(request)
            words = request.words
            if request.operation == Operation.CHDIR:
                if words == [b"/nowhere"]:
                    peer.refuse(request, Code.DIRECTORY, "no such directory")
                    continue
                here = words[0] if words and words != [b"."] else here
                peer.send(Type.DIRECTORY, request.number, here)
                continue
            code = self.answer.get(words[0] if words else None)
            if isinstance(code, tuple):
                peer.refuse(request, *code)
                continue
            peer.started(request)
            if request.stdin and words[0] not in self.ignoring:
                self.inputs.append(peer.read_stdin(request))
            peer.stdout(request, self.stdout)
            peer.exit(request, code or 0)


def following(*steps):
    """A script: greet, take the request, start it, then each step(peer,
    request)."""
    def script(peer):
        peer.hello()
        request = peer.expect_request()
        peer.started(request)
        for step in steps:
            step(peer, request)
        peer.drain()
    return script


def over(peer, request):
    peer.exit(request, 0)


@pytest.fixture
def ask(aisc, fake_server):
    """A function that runs aisc against a script."""
    def run(script, *command, **how):
        return aisc.run(fake_server(script).port, *command, **how)
    return run


# What is asked.

@pytest.mark.parametrize("argv", [
    ["true"], ["-v", "--help", "--"], ["", "a b", "\n", "'\"$*"],
    ["x" * 100000, "y"], [b"\xff\xfe\x01".decode("utf-8", "surrogateescape")],
])
def test_argv_is_exact(ask, argv):
    script = Recorder()
    assert ask(script, *argv, input=b"").returncode == 0
    request, = script.requests
    assert request.operation == Operation.RUN
    assert request.words == [os.fsencode(word) for word in argv]
    assert request.stdin and request.directory is None


def test_two_dashes(ask):
    script = Recorder()
    ask(script, "--", "--", "x", options=["--"])
    assert script.requests[0].words == [b"--", b"x"]


def test_shell_directory_environment(ask):
    script = Recorder()
    done = ask(script, options=["-c", "a | b", "-C", "/tmp", "-e", "A=1",
                                "--env", "B=2 3", "-e", "A=4", "-n"])
    assert done.returncode == 0 and done.stderr == b""
    request, = script.requests
    assert request.operation == Operation.SHELL
    assert request.words == [b"a | b"]
    assert request.directory == b"/tmp"
    assert request.env == [b"A=4", b"B=2 3"]
    assert not request.stdin


def test_request_does_not_wait_for_hello(ask):
    def script(peer):
        request = peer.expect_request()
        peer.waiting(2)
        peer.waiting(0)
        peer.hello()
        peer.started(request)
        peer.exit(request, 5)
        peer.drain()
    done = ask(script, "true", options=["-v"])
    assert done.returncode == 5
    assert [line for line in done.stderr.splitlines() if b"wait" in line] == [
        b"aisc: waiting: 2 before you", b"aisc: waiting: 0 before you"]
    # A short wait is not worth a word.
    assert ask(script, "true").stderr == b""


OWN = (b"; the session that is served is your own (it has the same "
       b"certificate): a tool that needs two at once needs aisd-each.socket "
       b"there")


@pytest.mark.parametrize("flags, says", [(0, b""), (1, OWN), (0xfe, b"")])
def test_waiting_is_said_after_a_second(aisc, fake_server, flags, says):
    """Terminal or not, once; and once more when we wait for ourselves."""
    said_it = threading.Event()

    def script(peer):
        peer.waiting(2, flags)
        assert said_it.wait(30)
        peer.waiting(1, flags)
        peer.waiting(1, 1)
        peer.hello()
        request = peer.expect_request()
        peer.started(request)
        peer.exit(request, 0)
        peer.drain()
    began = time.monotonic()
    process = aisc.start(fake_server(script).port, "x")
    assert process.stderr.readline() == (b"aisc: waiting: 2 before you" +
                                         says + b"\n")
    assert time.monotonic() - began >= 1
    said_it.set()
    rest = process.communicate(timeout=60)[1]
    assert rest == (b"" if flags == 1 else
                    b"aisc: waiting: 1 before you" + OWN + b"\n")
    assert process.returncode == 0


@pytest.mark.parametrize("options", [["--wait", "1.5"], ["--timeout", "1.5"]])
def test_quiet_is_quiet_in_the_line(ask, options):
    """What remains is the failure; a time limit in the line is one, too, and
    has ended no command."""
    def script(peer):
        peer.waiting(3)
        peer.drain()
    done = ask(script, "x", options=["-q", *options])
    assert done.returncode == 255
    assert done.stderr == (
        b"aisc: busy: our turn did not come within 1.5 seconds, with 3 "
        b"clients still before us; try again later, or wait for longer: \"wait\" in "
        b"aisc.conf\n")


def test_body_of_many_frames(ask):
    script = Recorder()
    argv = [str(n) * 20000 for n in range(9)] * 4
    assert ask(script, "echo", *argv).returncode == 0
    assert script.requests[0].argv == ["echo", *argv]


def test_body_too_large(ask):
    done = ask(Recorder(), *["x" * 100000] * 12)
    assert (done.returncode, said(done.stderr)) == (255, "invalid")


# How it ends.

@pytest.mark.parametrize("fields, status, says", [
    (dict(status=0), 0, b""), (dict(status=255), 255, b""),
    (dict(status=9, end=wire.End.SIGNAL), 137, b"signal 9 (Killed)"),
    (dict(status=15, end=wire.End.SIGNAL), 143, b""),
    (dict(status=2, end=wire.End.SIGNAL), 130, b""),
    (dict(status="FROB", end=wire.End.SIGNAL), 128, b"signal FROB, which")])
def test_status(ask, fields, status, says):
    """A signal by which people end commands is no news; and one that did not
    come by way of aisc is the command's own."""
    done = ask(wire.answering(b"out", b"err\n", **fields), "x")
    assert (done.returncode, done.stdout) == (status, b"out")
    assert done.stderr.startswith(b"err\n") and says in done.stderr
    assert done.stderr.count(b"\n") == 1 + bool(says)


@pytest.mark.parametrize("reason, name", [
    (Code.TIMEOUT, "timeout"), (Code.OUTPUT, "limit"),
    (Code.STOPPING, "stopped")])
def test_ended_by_the_server(ask, reason, name):
    done = ask(wire.answering(b"out", status=0, reason=reason), "x")
    assert (done.returncode, said(done.stderr)) == (255, name)
    assert done.stdout == b"out"


CODES = [
    (Code.DENIED, "denied"), (Code.DIRECTORY, "directory"),
    (Code.RESOURCES, "resources"), (Code.AUDIT, "audit"),
    (Code.BUSY, "busy"), (Code.TIMEOUT, "timeout"),
    (Code.STOPPING, "stopped"), (Code.INVALID, "invalid"),
    (Code.PROTOCOL, "protocol"), (Code.UNSUPPORTED, "protocol"),
    (99, "protocol")]


@pytest.mark.parametrize("code, name", CODES)
@pytest.mark.parametrize("text", ["", "because of \x1b[1m \"it\""])
def test_refusals(ask, code, name, text):
    for script in wire.refusing(code, text), wire.leaving(code, text):
        done = ask(script, "x")
        assert (done.returncode, said(done.stderr)) == (255, name)
        assert b"\x1b" not in done.stderr
        if text and code != 99:
            assert b'because of \\x1b[1m "it"' in done.stderr


def test_input_needs_no_answer(aisc, fake_server):
    """Three round trips from nothing: connection, handshake, and all the rest.
    The server says nothing before it has the request and its whole input."""
    def script(peer):
        request = peer.expect_request()
        assert peer.expect(Type.STDIN).payload == b"x\n"
        peer.expect(Type.STDIN_EOF)
        peer.hello()
        peer.started(request, 0)
        peer.stdout(request, b"got it")
        peer.exit(request)
        peer.drain()
    server = fake_server(script)
    done = aisc.run(server.port, "cat", input=b"x\n")
    assert (done.returncode, done.stdout) == (0, b"got it"), done.stderr
    server.join()
    assert not server.errors


def test_answers_of_a_later_server(ask):
    """Every answer may have items that this client does not know."""
    more = wire.item(0x7e, b"more") + wire.item(0xfe)

    def script(peer):
        peer.waiting(1, more=more)
        peer.hello(more=more)
        request = peer.expect_request()
        peer.send(Type.STARTED, request.number, bytes(4) + more)
        peer.stdout(request, b"out")
        peer.exit(request, 3, more=more)
        peer.drain()
    done = ask(script, "x")
    assert (done.returncode, done.stdout) == (3, b"out"), done.stderr

    for frame in Type.REFUSED, Type.GOODBYE:
        def refuses(peer):
            peer.hello()
            number = peer.expect_request().number
            peer.send(frame, number if frame == Type.REFUSED else 0,
                      wire.code_payload(Code.DENIED, "not you", more))
            peer.drain()
        done = ask(refuses, "x")
        assert (done.returncode, said(done.stderr)) == (255, "denied")
        assert b"not you" in done.stderr


def test_unknown_and_not_executable(ask):
    done = ask(wire.refusing(Code.UNKNOWN, "unknown command: foo"), "foo")
    assert (done.returncode, done.stderr) == \
        (127, b"aisc: unknown command: foo\n")
    done = ask(wire.refusing(Code.NOT_EXECUTABLE,
                             "cannot execute x: permission denied"), "x")
    assert (done.returncode, done.stderr) == \
        (126, b"aisc: cannot execute x: permission denied\n")


@pytest.mark.parametrize("how", ["close", "cut", "reset"])
@pytest.mark.parametrize("stage", wire.STAGES)
def test_cut_is_never_success(ask, stage, how):
    if stage == "accepted":
        done = ask_plain(ask, wire.ending(stage, how))
    else:
        done = ask(wire.ending(stage, how), "x")
    assert done.returncode == 255
    # A reset may come while aisc still asks whether it is connected.
    assert said(done.stderr) == "lost" or (
        (stage, how) == ("accepted", "reset") and
        said(done.stderr) == "connect")
    if how != "reset":      # It may take with it what has not been read.
        assert done.stdout == (b"output\n" if stage == "output" else b"")


def ask_plain(ask, script):
    aisc = ask.__closure__[0].cell_contents
    with wire.FakeServer(script, plain=True) as server:
        return aisc.run(server.port, "x")


def test_after_the_end_nothing_can_fail(ask):
    for last in (lambda p, r: p.cut(), lambda p, r: p.reset(),
                 lambda p, r: p.send_raw(b"\xff" * 100)):
        done = ask(following(lambda p, r: p.stdout(r, b"all"), over, last),
                   "x")
        assert (done.returncode, done.stdout, done.stderr) == (0, b"all", b"")


@pytest.mark.parametrize("send", [
    lambda p, r: p.send(0x77, r.number),
    lambda p, r: p.send(Type.STDOUT, r.number, b""),
    lambda p, r: p.send(Type.STDOUT, r.number + 1, b"x"),
    lambda p, r: p.send(Type.STDOUT, 0, b"x"),
    lambda p, r: p.send(Type.EXIT, r.number, b"short"),
    lambda p, r: p.send(Type.EXIT, r.number, wire.exit_payload(256)),
    lambda p, r: p.send(Type.STARTED, r.number, bytes(4)),
    lambda p, r: p.send(Type.DIRECTORY, r.number, b"/"),
    lambda p, r: p.send(Type.PING, 0, bytes(9)),
    lambda p, r: p.send(Type.REQUEST, r.number, b"x"),
    lambda p, r: p.window(r, wire.WINDOW_MAX + 1),
    lambda p, r: p.window(r, 1, wire.Stream.STDOUT),
    lambda p, r: p.send_raw(wire.HEADER.pack(Type.STDOUT, 1, 65528)),
    lambda p, r: p.hello(),
    lambda p, r: p.waiting(1),
])
def test_protocol_errors(aisc, fake_server, send):
    told = []

    def rest(peer, request):
        frames, _ = peer.until_end()
        told.extend(f for f in frames if f.type == Type.GOODBYE)
    server = fake_server(following(send, rest))
    done = aisc.run(server.port, "x")
    assert (done.returncode, said(done.stderr)) == (255, "protocol")
    server.join()
    assert [wire.said(f.payload).code for f in told] == [Code.PROTOCOL]


def test_a_directory_is_no_end_of_a_command(ask):
    """Only EXIT is, whatever else looks like an answer."""
    def script(peer):
        peer.hello()
        request = peer.expect_request()
        peer.send(Type.DIRECTORY, request.number, b"/")
        peer.drain()
    done = ask(script, "x")
    assert (done.returncode, said(done.stderr)) == (255, "protocol")


def test_an_end_is_no_change_of_directory(terminal):
    def script(peer):
        peer.hello()
        home = peer.expect_request()
        peer.send(Type.DIRECTORY, home.number, b"/home/x")
        to = peer.expect_request()
        peer.started(to)
        peer.exit(to, 0)
        peer.drain()
    t = terminal(script)
    t.wait_for(PROMPT)
    t.type(b"cd /srv\r")
    t.wait_for(b"STARTED for a change of directory")


def test_more_output_than_granted(aisc, fake_server):
    def flood(peer, request):
        peer.send_raw(wire.frame(Type.STDOUT, request.number, bytes(65000))
                      * (MIB // 65000 + 1))
    read, write = os.pipe()
    process = aisc.start(fake_server(following(flood)).port, "x",
                         stdout=write, options=["-n"])
    os.close(write)
    time.sleep(0.5)
    with os.fdopen(read, "rb") as f:
        assert len(f.read()) == MIB // 65000 * 65000
    err = process.stderr.read()
    assert (process.wait(30), said(err)) == (255, "protocol"), err
    process.stderr.close()


def test_ping(ask):
    def ping(peer, request):
        peer.send(Type.PING, 0, b"12345678")
        assert peer.expect(Type.PONG).payload == b"12345678"
        peer.exit(request, 0)

    def script(peer):
        peer.send(Type.PING, 0, b"")
        peer.expect(Type.REQUEST)
        assert peer.expect(Type.PONG).payload == b""
        peer.hello()
        peer.refuse(wire.Request(1, 1, [], [], None, False, {}), Code.DENIED)
        peer.drain()
    assert ask(following(ping), "x", options=["-n"]).returncode == 0
    assert said(ask(script, "x").stderr) == "denied"


# Streams.

def test_input_waits_for_its_credit(aisc, fake_server):
    """No more goes before the server takes it than the first credit."""
    def receive(peer, size):
        got = b""
        while len(got) < size:
            got += peer.expect(Type.STDIN).payload
        assert len(got) == size
        with pytest.raises(TimeoutError):
            peer.receive(0.2)
        return got

    def script(peer):
        peer.hello()
        request = peer.expect_request()
        # What may have to be sent again is kept as one frame.
        first = receive(peer, wire.PAYLOAD_MAX)
        peer.started(request, 5)
        rest = receive(peer, wire.STDIN_FIRST - len(first) + 5)
        peer.window(request, 100)
        assert peer.expect(Type.STDIN).payload == b"56789"
        assert first + rest == bytes(wire.STDIN_FIRST) + b"01234"
        peer.expect(Type.STDIN_EOF)
        peer.exit(request, 3)
        peer.drain()
    server = fake_server(script)
    assert aisc.run(server.port, "x", input=bytes(wire.STDIN_FIRST) +
                    b"0123456789").returncode == 3
    server.join()
    assert not server.errors


def test_unread_input_stays(aisc, fake_server, tmp_path):
    """What goes beyond the first credit, or is not wanted, is still there for
    the next program."""
    (tmp_path / "f").write_bytes(bytes(3 * wire.STDIN_FIRST))
    with open(tmp_path / "f", "rb") as f:
        for options, most in (["-n"], 0), ([], wire.STDIN_FIRST):
            server = fake_server(wire.refusing(Code.DENIED))
            aisc.run(server.port, "x", stdin=f, options=options)
            assert os.lseek(f.fileno(), 0, os.SEEK_CUR) <= most


def test_flags_of_the_inherited_files_stay(aisc, fake_server):
    """O_NONBLOCK would be set for everybody who has the pipe."""
    seen = []
    read, write = os.pipe()
    other, inner = os.pipe()

    def look(peer, request):
        seen.extend(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK
                    for fd in (read, write, other, inner))
    server = fake_server(following(
        lambda p, r: p.stdout(r, bytes(100)), look, over))
    os.write(inner, b"input")
    aisc.run(server.port, "x", stdin=other, stdout=write)
    assert seen == [0, 0, 0, 0]
    for fd in read, write, other, inner:
        os.close(fd)


def test_window_is_granted_when_written(aisc, fake_server):
    """A reader that does not read stops the server at 1 MiB."""
    got = []

    def fill(peer, request):
        assert request.credit[Type.STDOUT] == MIB
        peer.stdout(request, bytes(MIB))
        try:
            while True:
                got.append(peer.receive(0.5))
        except TimeoutError:
            got.append(None)
        frame = peer.expect(Type.WINDOW, request.number, 10)
        got.append(frame.payload)
        peer.exit(request, 0)
    read, write = os.pipe()
    process = aisc.start(fake_server(following(fill)).port, "x",
                         stdout=write, options=["-n"])
    os.close(write)
    while None not in got:
        time.sleep(0.01)
    assert got == [None]
    with os.fdopen(read, "rb") as f:
        assert f.read() == bytes(MIB)
    assert process.wait(30) == 0
    stream, credit = got[1][0], int.from_bytes(got[1][1:], "big")
    assert stream == wire.Stream.STDOUT and MIB // 2 <= credit <= MIB
    process.stderr.close()


@pytest.mark.parametrize("kind", ["pipe", "socket", "non-blocking", "fifo",
                                  "file"])
def test_output_is_complete(aisc, fake_server, tmp_path, kind):
    data = os.urandom(3 * MIB + 17)
    server = fake_server(wire.answering(data))
    if kind == "socket":
        ours, theirs = [s.detach() for s in socket.socketpair()]
    elif kind == "fifo":
        os.mkfifo(tmp_path / "fifo")
        ours = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
        theirs = os.open(tmp_path / "fifo", os.O_WRONLY)
        os.set_blocking(ours, True)
    elif kind == "file":
        theirs = os.open(tmp_path / "out", os.O_WRONLY | os.O_CREAT)
        ours = os.open(tmp_path / "out", os.O_RDONLY)
    else:
        ours, theirs = os.pipe()
        os.set_blocking(theirs, kind != "non-blocking")
    process = aisc.start(server.port, "x", stdout=theirs)
    os.close(theirs)
    if kind == "file":
        process.wait(20)
    time.sleep(0.2)
    with os.fdopen(ours, "rb") as f:
        assert f.read() == data
    assert process.wait(30) == 0
    process.stderr.close()


def test_reader_that_has_gone(aisc, fake_server):
    server = fake_server(following(
        lambda p, r: p.stdout(r, b"x" * 4 * MIB), over))
    read, write = os.pipe()
    process = aisc.start(server.port, "x", stdout=write)
    os.close(write)
    os.read(read, 1)
    os.close(read)
    assert process.wait(30) == 128 + signal.SIGPIPE
    assert process.stderr.read() == b""
    process.stderr.close()


def sockets_of(process):
    """The descriptors of a process that are sockets."""
    return [fd for fd in os.listdir(f"/proc/{process.pid}/fd") if os.readlink(
        f"/proc/{process.pid}/fd/{fd}").startswith("socket:")]


def test_reader_that_goes_after_the_server(aisc, fake_server):
    """What has arrived is still being written when nothing is connected."""
    def script(peer):
        peer.hello(more=wire.item(wire.Item.FEATURES, b"cancel close"))
        peer.started(request := peer.expect_request())
        peer.stdout(request, b"x" * MIB)
        peer.close()
    read, write = os.pipe()
    process = aisc.start(fake_server(script).port, "x", stdout=write)
    os.close(write)
    os.read(read, 1)
    wait_until(lambda: not sockets_of(process), "the connection has ended")
    os.close(read)
    assert process.wait(30) == 128 + signal.SIGPIPE
    process.stderr.close()


@pytest.mark.parametrize("goes_on", [False, True])
def test_reader_that_has_gone_costs_no_session(aisc, aisd, tmp_path, goes_on):
    """The command gets SIGPIPE, as it would here; the script goes on in the
    same session, and so do those commands that have nothing to say."""
    script = tmp_path / "script"
    script.write_text("yes\ntouch %s\nyes\nsh -c 'exit 7'\n"
                      % (tmp_path / "touched"))
    read, write = os.pipe()
    process = aisc.start(aisd.port, stdout=write, options=[
        "-f", str(script), *(["--keep-going"] if goes_on else [])])
    os.close(write)
    assert os.read(read, 2) == b"y\n"
    os.close(read)
    assert process.wait(30) == 7
    assert process.stderr.read() == b""
    process.stderr.close()
    assert (tmp_path / "touched").exists()
    aisd.wait_event("session-close")
    ends = aisd.events("command-end")
    assert [(e["reason"], e.get("signal")) for e in ends] == [
        ("signal", "13"), ("exit", None), ("signal", "13"), ("exit", None)]
    assert len(aisd.events("session-open")) == 1


@pytest.mark.parametrize("features", [b"", b"fly", b"cancel close"])
def test_what_a_server_cannot_do(aisc, fake_server, features):
    """Without CLOSE and CANCEL, the end of the session is what ends it."""
    got = []

    def script(peer):
        peer.hello(more=wire.item(wire.Item.FEATURES, features))
        request = peer.expect_request()
        assert set(request.features.split()) == {b"cancel", b"close"}
        peer.started(request)
        peer.stdout(request, b"x" * 10)
        try:
            while True:
                got.append(peer.receive())
                if got[-1].type == Type.CANCEL:
                    peer.exit(request, reason=Code.CANCELLED)
        except (wire.Closed, wire.Cut):
            pass
    with open("/dev/full", "wb") as full:
        done = aisc.run(fake_server(script).port, "x", stdout=full)
    assert (done.returncode, said(done.stderr)) == (255, "output")
    assert (Type.CANCEL in [f.type for f in got]) == (b"cancel" in features)


def test_full_disk(aisc, fake_server):
    with open("/dev/full", "wb") as full:
        done = aisc.run(fake_server(wire.answering(b"x")).port, "x",
                        stdout=full)
    assert (done.returncode, said(done.stderr)) == (255, "output")


def test_nobody_reads_errors(aisc, fake_server):
    """Like ssh, aisc can do without."""
    read, write = os.pipe()
    os.close(read)
    server = fake_server(wire.answering(b"out", b"e" * 2 * MIB, status=4))
    done = aisc.run(server.port, "x", stderr=write)
    os.close(write)
    assert (done.returncode, done.stdout) == (4, b"out")


@pytest.mark.parametrize("options, input, has", [
    (["--list"], None, b"\ncommand-9999\t"),
    (["--list", "--json"], None, b'"command-9999"'),
    (["--can"], None, b"command-0\n"),
    (["--can", "--json"], None, b'"why": "command-0'),
    (["--check"], None, b"AISC OK"), (["--check", "--json"], None, b'"OK"'),
    (["--help"], None, b"--show-config"), (["--version"], None, b"aisc"),
    (["--show-config"], None, b"connect_timeout"),
    ([], b"pwd\n", b"\n/home/x\n"), ([], b"help\n", b"cd [DIR]"),
    ([], b"list\n", b"\ncommand-9999\t")])
def test_reader_of_answers_is_slow(aisc, fake_server, options, input, has):
    """What is not for us to be written now is written later, whatever prints
    it."""
    lines = b"".join(b"command-%d\n" % n for n in range(10000))

    def script(peer):
        peer.hello()
        while True:
            try:
                request = peer.expect_request()
            except (wire.Closed, wire.Cut, wire.Mismatch):
                return
            if request.operation == Operation.CHDIR:
                peer.send(Type.DIRECTORY, request.number, b"/home/x")
                continue
            peer.started(request)
            peer.stdout(request, lines if request.operation ==
                        Operation.LIST else b"command-0\n")
            peer.exit(request)
    read, write = os.pipe()
    os.set_blocking(write, False)
    filler = b"\n" * os.write(write, b"\n" * MIB)
    process = aisc.start(fake_server(script).port, options=options,
                         stdin=subprocess.PIPE, stdout=write)
    os.close(write)
    process.stdin.write(input or b"")
    process.stdin.close()
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5 * aisc.slowness)
    with os.fdopen(read, "rb") as file:
        answer = file.read()
    assert process.wait(30) == 0
    assert answer.startswith(filler) and has in answer[len(filler) - 1:]
    assert process.stderr.read() == b""
    process.stderr.close()


def test_reader_of_an_answer_never_reads(aisc, fake_server):
    """A signal ends the wait."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    os.write(write, b"\n" * MIB)
    process = aisc.start(fake_server(wire.answering(b"x\n")).port,
                         options=["--list"], stdout=write)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5 * aisc.slowness)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == -signal.SIGTERM
    os.close(read)
    os.close(write)


@pytest.mark.parametrize("where", ["one pipe", "two pipes", "stdout later"])
def test_nobody_reads_anything(aisc, fake_server, where):
    """But not without both, whichever of them the command writes to."""
    gone = threading.Event()

    def script(peer):
        peer.hello()
        request = peer.expect_request()
        peer.started(request)
        peer.stderr(request, b"e")
        assert gone.wait(30)
        peer.stderr(request, b"e" * 4 * MIB)
        peer.drain()
    read, write = os.pipe()
    other, more = (read, write) if where == "one pipe" else os.pipe()
    process = aisc.start(fake_server(script).port, "x", stdout=more,
                         stderr=write)
    for fd in {write, more}:
        os.close(fd)
    assert os.read(read, 1) == b"e"
    os.close(read)
    if where == "two pipes":
        os.close(other)
    gone.set()
    if where == "stdout later":
        # Its errors are read by nobody now.
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        os.close(other)
    assert process.wait(30) == 128 + signal.SIGPIPE


@pytest.mark.skipif(bool(os.environ.get("AIS_VALGRIND")),
                    reason="valgrind has descriptors of its own")
def test_closed_descriptors(aisc, fake_server):
    """No socket lands on them."""
    script = Recorder(b"x" * 100)
    server = fake_server(script)
    words = aisc.words(server.port, "x")
    for closed in "0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-":
        done = subprocess.run(
            ["sh", "-c", 'exec "$@" ' + closed, "sh", *words],
            capture_output=True, stdin=subprocess.DEVNULL,
            env=aisc.environment(), timeout=60)
        assert done.returncode == 0
        assert done.stdout == (b"" if "1" in closed else b"x" * 100)
    assert script.inputs == []
    assert not server.errors


# Signals and time.

@pytest.fixture
def running(aisc, fake_server):
    """Start aisc with a command that runs; a function that sends it a signal
    and returns the frames that come."""
    class Running:
        def __init__(self, **popen):
            self.frames, self.started = [], threading.Event()

            def script(peer):
                peer.hello()
                self.request = peer.expect_request()
                peer.started(self.request)
                self.peer = peer
                # Until aisc has seen that, a signal ends itself.
                peer.send(Type.PING, 0, b"x")
                peer.expect(Type.PONG)
                self.started.set()
                try:
                    while True:
                        self.frames.append(peer.receive())
                except (wire.Closed, wire.Cut) as end:
                    self.end = end
            self.server = fake_server(script)
            self.process = aisc.start(self.server.port, "x", popen=popen,
                                      options=["-n"])
            assert self.started.wait(30)

        def signals(self, count):
            deadline = time.monotonic() + 10
            while len(self.frames) < count and time.monotonic() < deadline:
                time.sleep(0.005)
            return [f.payload for f in self.frames if f.type == Type.SIGNAL]

        def ended(self):
            out, err = self.process.communicate(timeout=60)
            assert out == b""
            return self.process.returncode, err
    return Running


def test_interrupt_goes_to_the_command(running):
    r = running()
    r.process.send_signal(signal.SIGINT)
    assert r.signals(1) == [b"INT"]
    r.process.send_signal(signal.SIGQUIT)
    assert r.signals(2) == [b"INT", b"QUIT"]
    time.sleep(1.1)
    r.process.send_signal(signal.SIGINT)
    assert r.signals(3) == [b"INT", b"QUIT", b"INT"]
    r.peer.exit(r.request, 7)
    assert r.ended() == (7, b"")


def test_interrupt_twice(running):
    r = running()
    r.process.send_signal(signal.SIGINT)
    assert r.signals(1) == [b"INT"]
    r.process.send_signal(signal.SIGINT)
    assert r.ended() == (-signal.SIGINT, b"")
    r.server.join()
    assert isinstance(r.end, wire.Closed)


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGHUP])
def test_ended_by_a_signal(running, signo):
    r = running()
    r.process.send_signal(signo)
    assert r.ended() == (-signo, b"")


@pytest.mark.parametrize("signo", [signal.SIGINT, signal.SIGQUIT])
def test_ends_by_the_signal_that_ended_the_command(running, signo, tmp_path):
    """Without a core, also where cores are wanted."""
    def cores():
        os.chdir(tmp_path)
        limit = resource.getrlimit(resource.RLIMIT_CORE)[1]
        resource.setrlimit(resource.RLIMIT_CORE, (limit, limit))
    r = running(preexec_fn=cores)
    r.process.send_signal(signo)
    r.signals(1)
    r.peer.exit(r.request, signo, end=wire.End.SIGNAL)
    assert r.ended() == (-signo, b"")
    assert not list(tmp_path.glob("core*"))


@pytest.mark.parametrize("how", [
    dict(status=7), dict(status=130),
    dict(status=signal.SIGTERM, end=wire.End.SIGNAL)])
def test_command_that_has_dealt_with_an_interrupt(running, how):
    """Its end is its own."""
    r = running()
    r.process.send_signal(signal.SIGINT)
    r.signals(1)
    r.peer.exit(r.request, **how)
    assert r.ended() == (how["status"] + (128 if "end" in how else 0), b"")


def until_signalled(peer):
    """A command that ends by the signal that comes, if that is INT."""
    peer.hello()
    request = peer.expect_request()
    peer.started(request)
    peer.stdout(request, b"running\n")
    assert peer.expect(Type.SIGNAL).payload == b"INT"
    peer.exit(request, signal.SIGINT, end=wire.End.SIGNAL)
    peer.drain()


@pytest.mark.parametrize("options, script", [
    ([], None), (["--status-fd", "9"], None), (["-f"], "one\ntwo\n")])
def test_interrupt_ends_a_loop(aisc, bash, fake_server, tmp_path, options,
                               script):
    """A shell's, because aisc ends by the signal as the command did; and that
    of a script of aisc.  What is told of the command is whole."""
    server = fake_server(until_signalled)
    words = aisc.words(server.port, *([] if script else ["x"]), options=[
        *options, *([str(tmp_path / "script")] if script else [])])
    (tmp_path / "script").write_text(script or "")
    t = bash("-c", 'for i in 1 2 3; do echo round $i; "$@" '
             f"9>{tmp_path}/told; done; echo after", "bash", *words)
    t.wait_for(b"round 1\r\nrunning\r\n")
    t.type(b"\x03")
    assert t.status() == -signal.SIGINT
    assert b"round" not in t.shown and b"after" not in t.shown
    assert b"running" not in t.shown and server.count == 1
    if options and not script:
        told = json.loads((tmp_path / "told").read_text())
        assert (told["class"], told["signal"], told["status"]) == \
            ("done", 2, 130)


def test_ignored_signals_stay_ignored(running):
    r = running(preexec_fn=lambda: signal.signal(signal.SIGINT,
                                                 signal.SIG_IGN))
    for _ in range(3):
        r.process.send_signal(signal.SIGINT)
    r.process.send_signal(signal.SIGQUIT)
    assert r.signals(1) == [b"QUIT"]
    r.peer.exit(r.request, 0)
    assert r.ended() == (0, b"")


def test_interrupt_before_the_command_runs(aisc, fake_server):
    """It is passed on as well, and so the session survives it."""
    asked = threading.Event()

    def script(peer):
        peer.hello()
        request = peer.expect_request()
        peer.send(Type.PING, 0, b"x")
        assert peer.expect(Type.PONG)
        asked.set()
        assert peer.expect(Type.SIGNAL).payload == b"INT"
        peer.started(request)
        peer.exit(request, 2, end=wire.End.SIGNAL)
        peer.drain()
    process = aisc.start(fake_server(script).port, "sleep", "100")
    assert asked.wait(30)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=15)
    assert (process.returncode, err) == (-signal.SIGINT, b"")


def test_interrupt_while_waiting(aisc, fake_server):
    waiting = threading.Event()

    def script(peer):
        peer.waiting(3)
        waiting.set()
        peer.drain()
    process = aisc.start(fake_server(script).port, "x")
    assert waiting.wait(30)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == -signal.SIGINT
    process.communicate()


def test_time_limit(ask, slowness):
    def script(peer):
        peer.hello()
        request = peer.expect_request()
        peer.started(request)
        peer.stdout(request, b"so far")
        peer.drain()
    begin = time.monotonic()
    done = ask(script, "x", options=["--timeout", str(slowness)])
    assert (done.returncode, said(done.stderr)) == (255, "timeout")
    assert done.stdout == b"so far"
    assert 0.9 < time.monotonic() - begin < 10 * slowness


def test_silent_server(aisc):
    """It accepts and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        done = aisc.run(port, "x", options=["--connect-timeout", "0.3"])
        assert (done.returncode, said(done.stderr)) == (255, "connect")
        assert b"does not answer within 0.3 seconds" in done.stderr
        done = aisc.run(port, "x", options=["--timeout", "0.3"])
        assert (done.returncode, said(done.stderr)) == (255, "timeout")
        assert b"nothing has been run" in done.stderr


def mute(peer):
    """Not a word after the handshake."""
    peer.hold()


def half_a_hello(peer):
    peer.send_raw(wire.frame(wire.Type.HELLO, 0, b"x" * 100)[:50])
    peer.hold()


def pinging(peer):
    """It is there, and never comes to the point."""
    while not peer.server.stopped.wait(0.05):
        peer.send(wire.Type.PING)


def always_waiting(peer):
    before = 1
    while not peer.server.stopped.wait(0.05):
        before += 1
        peer.waiting(before)


def waiting_and_mute(peer):
    peer.waiting(1)
    peer.hold()


@pytest.mark.parametrize("asks", [["x"], ["--list"], ["--check"]],
                         ids=["command", "list", "check"])
@pytest.mark.parametrize("script, limit, means", [
    (mute, "--connect-timeout", "connect"),
    (half_a_hello, "--connect-timeout", "connect"),
    (pinging, "--connect-timeout", "connect"),
    (waiting_and_mute, "--wait", "busy"),
    (always_waiting, "--wait", "busy")])
def test_server_that_never_serves(ask, slowness, script, limit, means, asks):
    """Whatever it does meanwhile, its time is what was given."""
    began = time.monotonic()
    options = [limit, "0.5"] + [a for a in asks if a != "x"]
    done = ask(script, *[a for a in asks if a == "x"], options=options)
    assert 0.4 < time.monotonic() - began < 5 * slowness
    if "--check" not in asks:
        assert (done.returncode, said(done.stderr)) == (255, means)
    else:                       # A server that lets us wait is up.
        assert done.returncode == (1 if means == "busy" else 2)


def test_waiting_is_no_connecting(ask, slowness):
    def script(peer):
        peer.waiting(1)
        time.sleep(0.8 * slowness)
        peer.hello()
        request = peer.expect_request()
        peer.started(request)
        peer.exit(request, 0)
        peer.drain()
    done = ask(script, "x", options=["-q", "--connect-timeout",
                                     str(0.5 * slowness)])
    assert (done.returncode, done.stderr) == (0, b"")


# Before there is a session.

def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def test_name(aisc, fake_server, authority, tmp_path):
    server = fake_server(wire.answering(), authority.make(
        "web", "server", sans=["DNS:web.example.org", "DNS:*.site.example"]))
    done = aisc.run(server.port, "x")
    assert (done.returncode, said(done.stderr)) == (255, "name")
    assert b"web.example.org" in done.stderr
    aisc.config.write_text('hosts = ( { match = "web*"; host_name = '
                           '"127.0.0.1"; server_name = "a.site.example"; } );')
    assert aisc.run(server.port, "x", host="web").returncode == 0


@pytest.mark.parametrize("name, address", [("localhost", "localhost"),
                                           ("127.0.0.1", "127.0.0.1")])
def test_addresses(ask, name, address):
    assert ask(wire.answering(), "x", host=address).returncode == 0


def test_port_behind_the_host(aisc, fake_server):
    port = fake_server(wire.answering()).port
    words = aisc.words(port, "x", host=f"localhost:{port}")
    at = words.index("-p")
    del words[at:at + 2]
    assert subprocess.run(words, env=aisc.environment(), timeout=20,
                          stdin=subprocess.DEVNULL).returncode == 0


def test_refused_certificate(aisc, fake_server, tmp_path):
    """In TLS 1.3 the client has finished before it is refused."""
    stranger = pki.Authority(tmp_path / "other").client("alice")
    server = fake_server(wire.answering())
    for command in ["x"], ["x", *["y" * 100000] * 9]:
        done = aisc.run(server.port, *command, pair=stranger._replace(
            ca=aisc.pair.ca))
        assert (done.returncode, said(done.stderr)) == (255, "tls")
        assert b"refused our certificate" in done.stderr


def test_key_that_others_can_read(aisc, fake_server, alice, tmp_path):
    key = tmp_path / "key.pem"
    key.write_bytes(open(alice.key, "rb").read())
    port = fake_server(wire.answering()).port
    for mode in 0o640, 0o604, 0o620:
        key.chmod(mode)
        done = aisc.run(port, "x", pair=alice._replace(key=str(key)))
        assert (done.returncode, said(done.stderr)) == (255, "config")
        assert f"chmod 600 {key}".encode() in done.stderr
    key.chmod(0o400)
    assert aisc.run(port, "x", pair=alice._replace(
        key=str(key))).returncode == 0


@pytest.mark.parametrize("missing, option", [
    ("ca", "--ca"), ("cert", "--cert"), ("key", "--key")])
def test_missing_setting(aisc, alice, missing, option):
    done = aisc.run(1, "x", pair=alice._replace(**{missing: None}))
    assert (done.returncode, said(done.stderr)) == (255, "config")
    assert option.encode() in done.stderr and b"aisc.conf" in done.stderr


# Options and files.

@pytest.mark.parametrize("words, says", [
    ([], b"no HOST"), (["-p"], b"-p"), (["-p", "0", "h", "x"], b"--port"),
    (["-p", "65536", "h", "x"], b"--port"), (["--frob", "h"], b"--frob"),
    (["--jsn", "h"], b"unknown option --jsn; did you mean --json?"),
    (["--prot=1", "h"], b"unknown option --prot; did you mean --port?"),
    (["-Z", "h"], b"unknown option -Z; see aisc --help"),
    (["--json=1", "h"], b"--json takes no value"),
    (["--\x1b[1mx", "h"], rb"unknown option --\x1b[1mx; see"),
    (["-p", "47731.9", "h", "x"], b"--port"),
    (["-p", "4.77e4", "h", "x"], b"--port"),
    (["--timeout", "1e3", "h", "x"], b"--timeout"),
    (["--warn-days", "1.5", "h"], b"--warn-days"),
    (["--status-fd", "3 ", "h", "x"], b"--status-fd"),
    (["--timeout", "-1", "h"], b"--timeout"), (["-e", "A", "h"], b"--env"),
    (["-c", "x", "h", "y"], b"-c"), (["h:99999", "x"], b"h:99999"),
    ([":80", "x"], b":80"), (["h:0", "x"], b"0"), (["", "x"], b"HOST is empty"),
    (["--stop-on-error", "h", "x"], b"are for scripts"),
    (["--keep-going", "--list", "h"], b"are for scripts"),
    (["-n", "--list", "h"], b"-n is for commands"),
    (["-q", "-v", "h", "x"], b"-q and -v exclude each other"),
    (["--warn-days", "3", "h", "x"], b"go with --check"),
    (["--timeout", "5 parsecs", "h", "x"], b'"10 min", of a year')])
def test_usage(program, words, says):
    done = subprocess.run([*program("aisc"), *words], capture_output=True,
                          stdin=subprocess.DEVNULL, timeout=60)
    assert (done.returncode, said(done.stderr)) == (255, "usage")
    assert says in done.stderr and done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("port", ["", "1:2", "65536", "-1", "1.0", "1e3"])
def test_port_of_aisd(program, port):
    done = subprocess.run([*program("aisd"), "-c", "/dev/null", "-p", port],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr == \
        "aisd: the port must be a number from 0 to 65535\n"


def test_argument_of_aisd(program):
    done = subprocess.run([*program("aisd"), "-c", "/dev/null", "extra"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == \
        'aisd: unexpected argument "extra"\nTry: aisd --help\n'


def test_help_fits_one_screen(program):
    for option in "-h", "--help":
        done = subprocess.run([*program("aisc"), option], timeout=20,
                              capture_output=True, text=True)
        assert done.returncode == 0 and done.stderr == ""
        lines = done.stdout.splitlines()
        assert len(lines) <= 24 and max(map(len, lines)) <= 79


def shown(aisc, host=None, options=(), **env):
    """The settings that aisc shows, as a dict of text."""
    done = subprocess.run(
        [*aisc.program, *options, "--show-config", *([host] if host else [])],
        capture_output=True, text=True, timeout=20,
        env=aisc.environment(**env))
    assert done.returncode == 0, done.stderr
    return dict(line.rstrip(";").split(" = ", 1)
                for line in done.stdout.splitlines())


def test_which_setting_wins(aisc, tmp_path):
    user = tmp_path / "xdg" / "ais"
    user.mkdir(parents=True)
    (user / "aisc.conf").write_text("""
        directory = "/top"; key = "key.pem"; authority = "/ca.pem";
        certificate = "~/cert.pem"; timeout = "2 min";
        hosts = (
            { match = [ "x", "web-*" ]; port = 1001; directory = "/first"; },
            { match = "web-*"; port = 1002; connect_timeout = 3;
              environment = [ "A=1", "B=2" ]; },
            { match = "*z"; allow_tls12 = true; }
        );""")
    env = dict(XDG_CONFIG_HOME=str(tmp_path / "xdg"))
    got = shown(aisc, "web-1", ["--ca", "own.pem", "-e", "B=3", "-e", "C=4"],
                **env)
    assert got["port"] == "1001" and got["directory"] == '"/first"'
    assert got["connect_timeout"] == "3" and got["timeout"] == "120"
    assert got["key"] == f'"{user}/key.pem"'
    assert got["certificate"] == f'"{aisc.directory}/cert.pem"'
    assert got["authority"] == '"own.pem"'
    assert got["environment"] == '[ "A=1", "B=3", "C=4" ]'
    assert got["allow_tls12"] == "false"
    assert shown(aisc, "a-z", **env)["allow_tls12"] == "true"
    got = shown(aisc, "other", ["-p", "5"], **env)
    assert got["port"] == "5" and got["directory"] == '"/top"'
    assert shown(aisc, **env)["port"] == "4773"
    got = shown(aisc, "web-1", ["-F", str(aisc.config)], **env)
    assert got["port"] == "4773" and got["directory"] == '""'


def test_file_in_the_home_directory(aisc):
    path = aisc.directory / ".config" / "ais"
    path.mkdir(parents=True)
    (path / "aisc.conf").write_text("port = 1234;")
    assert shown(aisc)["port"] == "1234"


@pytest.mark.parametrize("text, says", [
    ("port = 0;", b":1: port: out of range"),
    ("\nprot = 1;", b":2: unknown key \"prot\"; did you mean \"port\"?"),
    ("port = ;", b":1: syntax error"),
    ("match = \"x\";", b"unknown key \"match\""),
    ("hosts = ( { port = 1; } );", b"needs \"match\""),
    ("hosts = ( { match = \"other\"; port = \"x\"; } );", b"port: must be"),
    ("environment = [ \"A\" ];", b"must be a list of \"NAME=VALUE\"")])
def test_bad_file(aisc, text, says):
    aisc.config.write_text(text)
    done = aisc.run(1, "x")
    assert (done.returncode, said(done.stderr)) == (255, "config")
    assert says in done.stderr and str(aisc.config).encode() in done.stderr


def test_file_that_is_not_there(aisc):
    aisc.config.unlink()
    done = aisc.run(1, "x")
    assert (done.returncode, said(done.stderr)) == (255, "config")


def test_sample_is_all_defaults(aisc, srcdir):
    assert shown(aisc, "web-1", ["-F", str(srcdir / "etc/aisc.conf")]) == \
        shown(aisc, "web-1", ["-F", str(aisc.config)])


def test_verbose(ask):
    done = ask(wire.answering(b"out", status=3), "x", options=["-v"])
    text = done.stderr.decode()
    assert (done.returncode, done.stdout) == (3, b"out")
    for words in ("TLSv1.3", "CN=localhost", "session: s1", "server: fake",
                  "knows us as: client", "exit status 3 after 0.001 s",
                  "3 bytes of output"):
        assert words in text
    assert all(line.startswith("aisc: ") for line in text.splitlines())


# Scripts.

def test_script(ask):
    script = Recorder(b"out\n", {b"false": 1})
    done = ask(script, input=b"""# A comment.
echo 'a  b' "c" d\\ e

  # And another.
cd /srv
ls
pwd
cd
false""", options=["-e", "A=1"])
    assert done.stderr == b""
    assert done.stdout == b"out\nout\n/srv\nout\n"
    assert done.returncode == 1
    first, cd, ls, home, false = script.requests
    assert first.argv == ["echo", "a  b", "c", "d e"]
    assert first.env == [b"A=1"] and not first.stdin
    assert (cd.operation, cd.words) == (Operation.CHDIR, [b"/srv"])
    assert (home.operation, home.words) == (Operation.CHDIR, [])
    assert [r.number for r in script.requests] == [1, 2, 3, 4, 5]


def test_script_and_refusals(ask):
    """It ends with the first, or goes on if told so; never in a directory
    which it should have left."""
    answer = {b"foo": (Code.UNKNOWN, "unknown command: foo"),
              b"bar": (Code.DENIED, ""), b"baz": (Code.NOT_EXECUTABLE, "no")}
    for word, status, says in (
            (b"foo", 127, b"aisc: line 2: the script ends here: unknown "
             b"command: foo\n"),
            (b"baz", 126, b"aisc: line 2: the script ends here: no\n"),
            (b"bar", 255, b"aisc: denied: line 2: the script ends here: no "
             b"rule of the server allows this\n"),
            (b"cd /nowhere", 255, b"aisc: directory: line 2: the script ends "
             b"here: no such directory\n")):
        script = Recorder(b"", answer)
        done = ask(script, input=b"\n" + word + b"\nx\n")
        assert (done.returncode, done.stderr) == (status, says)
        assert len(script.requests) == 1
    script = Recorder(b"", answer)
    done = ask(script, input=b"foo\nbar\nx\ncd /nowhere\nx\n",
               options=["--keep-going"])
    assert done.returncode == 255 and len(script.requests) == 4
    assert done.stderr == (
        b"aisc: line 1: unknown command: foo\n"
        b"aisc: denied: line 2: no rule of the server allows this\n"
        b"aisc: directory: line 4: the script ends here: no such directory\n")
    assert ask(script, input=b"x\nfoo").returncode == 127
    assert ask(script, input=b"exit 9\nx").returncode == 9


@pytest.mark.parametrize("line, says", [
    (b"ls | wc", b"line 2: the script ends here: | needs a shell"),
    (b"ls *.c", b"* needs a shell, and there is none here; to pass it on, "
     b"quote it: '*'; where the server's rule grants a shell: aisc -c LINE "
     b"localhost\n"),
    (b"echo $HOME", b"$ needs a shell"), (b"echo 'x", b"quote is not closed"),
    (b"cd a b", b"cd takes one directory"), (b"x\0y", b"NUL byte")])
def test_script_with_a_bad_line(ask, line, says):
    script = Recorder()
    done = ask(script, input=b"a\n" + line + b"\n")
    assert (done.returncode, said(done.stderr)) == (255, "invalid")
    assert says in done.stderr and len(script.requests) == 1


def test_script_in_a_directory(ask):
    script = Recorder()
    assert ask(script, input=b"pwd\n", options=["-C", "/x"]).stdout == b"/x\n"
    done = ask(script, input=b"y\n", options=["-C", "/nowhere"])
    assert (done.returncode, said(done.stderr)) == (255, "directory")
    assert not [r for r in script.requests if r.words == [b"y"]]


def test_script_ends_with_its_session(ask):
    done = ask(wire.ending("started"), input=b"a\nb\n")
    assert (done.returncode, said(done.stderr)) == (255, "lost")


def test_script_keeps_the_session_alive(aisc, fake_server):
    """PING is answered while the script has no next line."""
    def script(peer):
        peer.hello()
        for number in range(2):
            if number > 0:
                peer.send(Type.PING, 0, b"?")
                peer.expect(Type.PONG)
            request = peer.expect_request()
            peer.started(request)
            peer.exit(request, 0)
        peer.drain()
    server = fake_server(script)
    process = aisc.start(server.port, stdin=subprocess.PIPE)
    process.stdin.write(b"a\n")
    process.stdin.flush()
    time.sleep(0.3)
    out, err = process.communicate(b"b\n", 10)
    assert (process.returncode, out, err) == (0, b"", b"")
    server.join()
    assert not server.errors


@pytest.mark.parametrize("text", [b"", b"\n\n# nothing\n"])
def test_empty_script(ask, aisc, text):
    """The server is asked whether it would run something."""
    script = Recorder(b"rule")
    done = ask(script, input=text)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert [(r.operation, r.words) for r in script.requests] == \
        [(Operation.CAN, [])]
    done = ask(wire.refusing(Code.DENIED, "you are nobody"), input=text)
    assert (done.returncode, done.stdout, done.stderr) == \
        (255, b"", b"aisc: denied: you are nobody\n")
    done = aisc.run(free_port(), input=text)
    assert (done.returncode, said(done.stderr)) == (255, "connect")
    done = aisc.run(free_port(), input=text,
                    pair=aisc.pair._replace(cert=None))
    assert (done.returncode, said(done.stderr)) == (255, "config")


@pytest.mark.parametrize("host, says", [
    ("web uptime", b"apart"), ("web\tx", b"apart"), ("root@web", b"no users"),
    ("http://web", b""), ("web;x", b""), ("we\x1bb", b"we\\x1bb"),
    ("'web'", b""), ("/bin/ls", b"")])
def test_no_host(aisc, host, says):
    """Not looked up, and no success either where nothing is to be done."""
    for command in [], ["x"]:
        done = aisc.run(9, *command, host=host)
        assert (done.returncode, said(done.stderr)) == (255, "usage")
        assert b"this is no HOST[:PORT]: " in done.stderr
        assert says in done.stderr and b"\x1b" not in done.stderr


# In the background of a shell.

def test_job_in_the_background(aisc, bash, fake_server):
    """It leaves the terminal to the shell, and is not stopped; brought to the
    front, it reads on."""
    go = threading.Event()
    inputs = []

    def script(peer):
        peer.hello()
        request = peer.expect_request()
        peer.started(request)
        assert request.stdin
        peer.stdout(request, b"running\n")
        assert go.wait(30)
        peer.stdout(request, b"goes on\n")
        inputs.append(peer.read_stdin(request))
        peer.exit(request, 0)
        peer.drain()
    t = bash("--norc", "--noprofile", "-i")
    words = aisc.words(fake_server(script).port, "x")
    t.type((shlex.join(map(str, words)) + " &\r").encode())
    t.wait_for(b"running\r\n")
    for n in range(3):
        t.type(b"echo typed-$((1+%d))\r" % n)
        t.wait_for(b"typed-%d\r\n" % (n + 1))
    go.set()
    t.wait_for(b"goes on\r\n")
    t.type(b"jobs -r\r")
    t.wait_for(b"Running")
    t.type(b"fg\r")
    # What is typed sooner is read by the shell.
    wait_until(lambda: os.tcgetpgrp(t.fd) != t.pid, "it is in front")
    t.type(b"for the command\r\x04")
    t.wait_for(b"$ ")
    t.type(b"echo $?\r")
    t.wait_for(b"0\r\n")
    assert inputs == [b"for the command\n"]


# The prompt, as a person sees it.

class Terminal:
    """aisc with a terminal, and what it shows."""

    def __init__(self, words, env):
        self.shown = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(words[0], words, env)

    def wait_for(self, text, timeout=30):
        """What is shown up to "text", which is taken away."""
        deadline = time.monotonic() + timeout * SLOWNESS
        while text not in self.shown:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                raise AssertionError(f"{text!r} is not in {self.shown!r}")
            try:
                self.shown += os.read(self.fd, 4096)
            except OSError as e:
                assert e.errno == errno.EIO
                raise AssertionError(f"it ended: {self.shown!r}") from None
        before, _, self.shown = self.shown.partition(text)
        return before

    def type(self, text):
        os.write(self.fd, text)

    def status(self, timeout=30):
        """Its exit status."""
        deadline = time.monotonic() + timeout * SLOWNESS
        while True:
            if select.select([self.fd], [], [], 0.05)[0]:
                try:
                    self.shown += os.read(self.fd, 4096)
                except OSError:
                    pass
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = None
                return os.waitstatus_to_exitcode(status)
            assert time.monotonic() < deadline, "it does not end"

    def close(self):
        """End what has not ended by itself."""
        if self.pid is not None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)


@pytest.fixture
def bash(aisc):
    """A function that starts bash on a terminal."""
    shells = []

    def start(*words):
        shells.append(Terminal(["/bin/bash", *words],
                               aisc.environment(TERM="dumb", PS1="$ ")))
        return shells[-1]
    yield start
    for one in shells:
        one.close()


@pytest.fixture
def terminal(aisc, fake_server):
    terminals = []

    def start(script, *command, options=(), **environment):
        server = script if hasattr(script, "port") else fake_server(script)
        terminals.append(Terminal(
            aisc.words(server.port, *command, options=options),
            aisc.environment(TERM="xterm", **environment)))
        return terminals[-1]
    yield start
    for one in terminals:
        one.close()


PROMPT = b"localhost:/home/x> "
FAILED = b"localhost:/home/x [255]> "


def test_prompt(terminal):
    script = Recorder(b"hello\n", {b"foo": (Code.UNKNOWN,
                                            "unknown command: foo")})
    t = terminal(script)
    t.wait_for(PROMPT)
    t.type(b"cd /srv\r")
    t.wait_for(b"localhost:/srv> ")
    t.type(b"echo 'a b' c | wc\r")
    t.wait_for(b"aisc: invalid: | needs a shell")
    t.wait_for(b"localhost:/srv [255]> ")
    t.type(b"foo\r")
    t.wait_for(b"aisc: unknown command: foo\r\n")
    t.wait_for(b"> ")
    t.type(b"pwd\r")
    t.wait_for(b"/srv\r\n")
    t.wait_for(b"> ")
    t.type(b"help\r")
    t.wait_for(b"exit [N]")
    t.wait_for(b"> ")
    t.type(b"exit 3\r")
    assert t.status() == 3


def test_prompt_edits_and_remembers(terminal, builddir):
    if "#define HAVE_LIBEDIT 1" not in (builddir / "config.h").read_text():
        pytest.skip("aisc is built without libedit")
    script = Recorder(b"", {b"echo": (Code.DENIED, "no echo")})
    t = terminal(script)
    t.wait_for(PROMPT)
    # Keys are typed once the line before them is seen, as people do.
    t.type(b"exho x")
    t.wait_for(b"exho x")
    t.type(b"\x01\x1b[C\x1b[C\x08c\r")       # ^A, right, right, ^H
    t.wait_for(b"aisc: denied")
    t.wait_for(FAILED)
    t.type(b"\x1b[A\r")                             # Up.
    t.wait_for(b"aisc: denied")
    t.wait_for(FAILED)
    t.type(b"\x04")
    assert t.status() == 255
    assert [r.argv for r in script.requests[1:]] == [["echo", "x"]] * 2


def test_prompt_interrupted(terminal):
    script = Recorder()
    t = terminal(script)
    t.wait_for(PROMPT)
    t.type(b"half a line\x03")
    t.wait_for(PROMPT)
    t.type(b"\x03")
    t.wait_for(PROMPT)
    t.type(b"\x04")
    assert t.status() == 0
    assert len(script.requests) == 1


def test_prompt_command_reads_the_terminal(terminal):
    script = Recorder(b"thanks\n", ignoring=[b"one", b"two"])
    t = terminal(script)
    t.wait_for(PROMPT)
    t.type(b"cat\r")
    t.wait_for(b"cat\r\n")
    while len(script.requests) < 2:
        time.sleep(0.01)
    t.type(b"some text\n\x04")
    t.wait_for(b"thanks\r\n")
    t.wait_for(PROMPT)
    assert script.inputs == [b"some text\n"]
    # What is typed ahead is not for the command.
    t.type(b"one\rtwo\r")
    t.wait_for(PROMPT)
    t.wait_for(PROMPT)
    t.type(b"\x04")
    assert t.status() == 0
    assert [r.argv for r in script.requests[1:]] == [["cat"], ["one"], ["two"]]


def test_prompt_interrupts_the_command(terminal):
    def script(peer):
        peer.hello()
        home = peer.expect_request()
        peer.send(Type.DIRECTORY, home.number, b"/home/x")
        for _ in range(2):
            request = peer.expect_request()
            peer.started(request)
            peer.stdout(request, b"running\n")
            assert peer.expect(Type.SIGNAL).payload == b"INT"
            peer.exit(request, 2, end=wire.End.SIGNAL)
        request = peer.expect_request()
        peer.started(request)
        peer.stdout(request, b"running\n")
        peer.drain()
    t = terminal(script)
    for _ in range(2):
        t.wait_for(b"> ")
        t.type(b"sleep 100\r")
        t.wait_for(b"running\r\n")
        t.type(b"\x03")
    t.wait_for(b"localhost:/home/x [130]> ")
    t.type(b"stubborn\r")
    t.wait_for(b"running\r\n")
    t.type(b"\x03")
    time.sleep(0.2)
    t.type(b"\x03")
    # The server cannot end a command alone, so its session ends.
    t.wait_for(b"localhost:/home/x [130]> ")
    t.type(b"\x04")
    assert t.status() == 130


def test_prompt_ends_a_stubborn_command(terminal):
    """By a second Ctrl-C; the session goes on.  By a third one the session
    ends with a server that does not answer, and the prompt goes on."""
    def first(peer):
        peer.hello(more=wire.item(wire.Item.FEATURES, b"cancel"))
        where = peer.expect_request()
        peer.send(Type.DIRECTORY, where.number, b"/home/x")
        for answers in (True, False):
            request = peer.expect_request()
            peer.started(request)
            peer.stdout(request, b"running\n")
            assert peer.expect(Type.SIGNAL).payload == b"INT"
            peer.stdout(request, b"no\n")
            peer.expect(Type.CANCEL)
            if answers:
                peer.exit(request, 9, end=wire.End.SIGNAL,
                          reason=Code.CANCELLED)
        peer.stdout(request, b"never\n")
        peer.drain()
    second = Recorder(b"here\n", ignoring=[b"ls"])
    t = terminal([first, second])
    t.wait_for(PROMPT)
    for word in (b"stubborn", b"lost"):
        t.type(word + b"\r")
        t.wait_for(b"running\r\n")
        t.type(b"\x03")
        t.wait_for(b"no\r\n")
        t.type(b"\x03")
        if word == b"lost":
            t.wait_for(b"never\r\n")
            t.type(b"\x03")
        between = t.wait_for(b"localhost:/home/x [130]> ")
        assert b"aisc: " not in between
    t.type(b"ls\r")
    t.wait_for(b"here\r\n")
    t.wait_for(PROMPT)
    t.type(b"quit\r")
    assert t.status() == 0
    assert [r.words for r in second.requests] == [[b"."], [b"ls"]]


def test_prompt_drops_a_flood(terminal):
    """What a terminal has not shown when Ctrl-C is typed is not shown later,
    and no more than a little is under way."""
    granted, come = [], threading.Event()

    def script(peer):
        peer.hello()
        where = peer.expect_request()
        peer.send(Type.DIRECTORY, where.number, b"/home/x")
        request = peer.expect_request()
        granted.append(request.credit[Type.STDOUT])
        peer.started(request)
        peer.stdout(request, b"begins\n")
        for _ in range(15):
            peer.stdout(request, b"y\n" * 2000)
        peer.send(Type.PING, 0, b"all")
        peer.expect(Type.PONG)
        come.set()
        assert peer.expect(Type.SIGNAL).payload == b"INT"
        peer.exit(request, 2, end=wire.End.SIGNAL)
        peer.drain()
    t = terminal(script)
    t.wait_for(PROMPT)
    t.type(b"yes\r")
    t.wait_for(b"begins\r\n")
    assert come.wait(30)
    t.type(b"\x03")
    shown = t.wait_for(b"localhost:/home/x [130]> ")
    assert granted == [64 * 1024]
    assert len(shown) < 32 * 1024 < 15 * 4000


def written(pid):
    """How many bytes the one process below "pid" has written."""
    with open(f"/proc/{pid}/io", encoding="ascii") as file:
        return int(re.search(r"wchar: (\d+)", file.read())[1])


def test_prompt_drops_a_flood_of_a_command(terminal, aisd, slowness):
    """The pipe of a command that writes to a terminal holds no more than the
    window."""
    t = terminal(aisd)
    t.wait_for(b"> ")
    t.type(b"yes\r")
    t.wait_for(b"y\r\ny\r\n")
    child, = wait_until(aisd.descendants, "yes runs")
    at = [-1]

    def stands_still():
        before, at[0] = at[0], written(child)
        return before == at[0]
    wait_until(stands_still, "nothing is taken any more", 10 * slowness,
               pause=0.2)
    t.type(b"\x03")
    shown = len(t.wait_for(b" [130]> "))
    assert shown < 240_000


def test_prompt_in_no_locale(terminal):
    """What is typed is UTF-8 where nothing says so, and nothing is lost."""
    for name in ("C", "no_SUCH.UTF-8"):
        script = Recorder(b"", ignoring=[b"touch"])
        t = terminal(script, LC_ALL=name)
        t.wait_for(PROMPT)
        t.type("touch rapport-é.txt\r".encode())
        t.wait_for(b"\r\n")
        t.wait_for(PROMPT)
        t.type(b"\x04")
        assert t.status() == 0
        assert script.requests[1].words == [b"touch",
                                            "rapport-é.txt".encode()]


def test_prompt_beeps_at_half_a_character(terminal):
    script = Recorder(b"", ignoring=[b"echo"])
    t = terminal(script)
    t.wait_for(PROMPT)
    t.type(b"echo a\xff")
    t.wait_for(b"\a")
    t.type(b"b\r")
    t.wait_for(PROMPT)
    assert script.requests[1].words == [b"echo", b"ab"]


def test_prompt_outlives_an_interrupted_command(terminal):
    """It ends with that status, when it is left, and not by the signal."""
    def script(peer):
        peer.hello()
        home = peer.expect_request()
        peer.send(Type.DIRECTORY, home.number, b"/home/x")
        request = peer.expect_request()
        peer.started(request)
        peer.stdout(request, b"running\n")
        assert peer.expect(Type.SIGNAL).payload == b"INT"
        peer.exit(request, 2, end=wire.End.SIGNAL)
        peer.drain()
    t = terminal(script)
    t.wait_for(b"> ")
    t.type(b"sleep 100\r")
    t.wait_for(b"running\r\n")
    t.type(b"\x03")
    t.wait_for(b"localhost:/home/x [130]> ")
    t.type(b"\x04")
    assert t.status() == 130


def test_prompt_comes_back_after_a_loss(terminal, fake_server):
    def first(peer):
        peer.hello()
        home = peer.expect_request()
        peer.send(Type.DIRECTORY, home.number, b"/home/x")
        to = peer.expect_request()
        peer.send(Type.DIRECTORY, to.number, b"/srv")
        peer.send(Type.PING, 0, b"")
        peer.expect(Type.PONG)
        peer.goodbye(Code.STOPPING, "the server is updated")
    second = Recorder(b"here\n", ignoring=[b"ls"])
    t = terminal(fake_server([first, second]))
    t.wait_for(PROMPT)
    t.type(b"cd /srv\r")
    t.wait_for(b"aisc: stopped: the server is updated\r\n")
    t.wait_for(b"localhost:/srv> ")
    t.type(b"ls\r")
    t.wait_for(b"here\r\n")
    t.wait_for(b"localhost:/srv> ")
    t.type(b"\x04")
    assert t.status() == 0
    assert [r.words for r in second.requests] == [[b"/srv"], [b"ls"]]


def test_place_in_the_line_is_shown(terminal):
    """On a terminal each change is, after the first second."""
    shown = threading.Event()

    def script(peer):
        request = peer.expect_request()
        peer.waiting(2)
        assert shown.wait(30)
        peer.waiting(1)
        peer.hello()
        peer.started(request)
        peer.exit(request, 3)
        peer.drain()
    t = terminal(script, "x")
    t.wait_for(b"aisc: waiting: 2 before you\r\n")
    shown.set()
    t.wait_for(b"aisc: waiting: 1 before you\r\n")
    assert t.status() == 3


def losing_its_turn(peer):
    """A server that takes one command, and ends the turn at the next."""
    peer.hello()
    request = peer.expect_request()
    while request.operation == Operation.CHDIR:
        peer.send(Type.DIRECTORY, request.number, b"/home/x")
        request = peer.expect_request()
    peer.started(request)
    peer.exit(request, 0)
    peer.expect_request()
    peer.goodbye(Code.TURN, "others wait")


def test_prompt_goes_on_in_another_turn(terminal, fake_server):
    """It says so, and the command that came too late is not lost."""
    second = Recorder(b"here\n", ignoring=[b"two"])
    t = terminal(fake_server([losing_its_turn, second]))
    t.wait_for(PROMPT)
    t.type(b"one\r")
    t.wait_for(PROMPT)
    t.type(b"two\r")
    t.wait_for(b"aisc: others wait; beginning another session\r\n")
    t.wait_for(b"here\r\n")
    t.wait_for(PROMPT)
    t.type(b"\x04")
    assert t.status() == 0
    assert [r.words for r in second.requests] == [[b"."], [b"two"]]


def test_script_goes_on_in_another_turn(aisc, fake_server):
    second = Recorder(b"here\n")
    server = fake_server([losing_its_turn, second])
    done = aisc.run(server.port, input=b"one\ntwo\nthree\n")
    assert (done.returncode, done.stdout, done.stderr) == \
        (0, b"here\nhere\n", b"")
    assert [r.argv for r in second.requests] == [["two"], ["three"]]


def last_of_its_turn(peer):
    """A server that changes the directory and ends the turn, in one record."""
    peer.hello()
    request = peer.expect_request()
    assert request.operation == Operation.CHDIR
    peer.send_raw(
        wire.frame(Type.DIRECTORY, request.number, b"/srv") +
        wire.frame(Type.GOODBYE, 0, wire.code_payload(Code.TURN, "wait")))
    peer.drain()


def test_no_line_runs_in_another_directory(aisc, fake_server):
    """The session may end with the answer to "cd" and again with the one to
    the way back there: what follows does not run in the home."""
    last = Recorder(b"here\n")
    server = fake_server([last_of_its_turn, last_of_its_turn, last])
    done = aisc.run(server.port, input=b"cd /srv\none\ntwo\n")
    assert (done.returncode, done.stdout, done.stderr) == \
        (0, b"here\nhere\n", b"")
    assert [(r.operation, r.words) for r in last.requests] == [
        (Operation.CHDIR, [b"/srv"]), (Operation.RUN, [b"one"]),
        (Operation.RUN, [b"two"])]


def test_relative_change_in_another_turn(aisc, fake_server):
    """What is relative is so to the directory of the session that has ended."""
    def first(peer):
        peer.hello()
        request = peer.expect_request()
        peer.send(Type.DIRECTORY, request.number, b"/srv")
        peer.expect_request()
        peer.goodbye(Code.TURN, "others wait")
    second = Recorder(b"here\n")
    server = fake_server([first, second])
    done = aisc.run(server.port, input=b"cd /srv\ncd www\none\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"here\n", b"")
    assert [r.words for r in second.requests] == [[b"/srv"], [b"www"],
                                                  [b"one"]]


def test_turns_too_short_for_a_line(aisc, fake_server):
    """A server all of whose sessions end with the change of directory is left,
    and not asked for ever."""
    server = fake_server(last_of_its_turn)
    done = aisc.run(server.port, input=b"cd /srv\none\n")
    assert (done.returncode, done.stdout) == (255, b"")
    assert b"one session after the other has ended" in done.stderr
    assert server.count < 20


def test_turn_of_a_first_command(ask):
    """A server that ends a session before it has begun is not asked for
    ever."""
    def script(peer):
        peer.hello()
        peer.expect_request()
        peer.goodbye(Code.TURN, "others wait")
    done = ask(script, "x")
    assert (done.returncode, said(done.stderr)) == (255, "turn")


def test_prompt_shows_no_foreign_bytes(terminal):
    def script(peer):
        peer.hello()
        home = peer.expect_request()
        peer.send(Type.DIRECTORY, home.number, b"/\x1b]0;x\x07/\xff")
        peer.drain()
    t = terminal(script)
    t.wait_for(rb"localhost:/\x1b]0;x\x07/\xff> ")
    t.type(b"\x04")
    assert t.status() == 0


def test_prompt_leaves_the_terminal_as_it_was(terminal):
    t = terminal(Recorder(ignoring=[b"ls"]))
    before = termios.tcgetattr(t.fd)
    t.wait_for(PROMPT)
    t.type(b"ls\r")
    t.wait_for(PROMPT)
    t.type(b"exit\r")
    slave_mode = None
    while True:
        pid, _ = os.waitpid(t.pid, os.WNOHANG)
        slave_mode = termios.tcgetattr(t.fd)
        if pid:
            break
        time.sleep(0.01)
    t.pid = None
    assert slave_mode[:4] == before[:4]


def test_prompt_changes_directories(terminal):
    script = Recorder()
    t = terminal(script)
    t.wait_for(PROMPT)
    t.type(b"cd -\r")
    t.wait_for(b"aisc: invalid: the directory has not been changed yet\r\n")
    t.wait_for(FAILED)
    for line, words, shown, where in (
            ("cd /a", [[b"/a"]], "", "/a"), ("cd /b", [[b"/b"]], "", "/b"),
            ("cd -", [[b"/a"]], "/a", "/a"), ("cd -", [[b"/b"]], "/b", "/b"),
            ("cd", [[]], "", None), ("cd -", [[b"/b"]], "/b", "/b"),
            ("cd ~", [[]], "", None), ("cd -", [[b"/b"]], "/b", "/b"),
            ("cd ~/", [[]], "", None), ("cd -", [[b"/b"]], "/b", "/b"),
            ("cd  ~//'x y'", [[], [b"x y"]], "", "x y"),
            ("cd -", [[b"/b"]], "/b", "/b"),
            ("cd '~'", [[b"~"]], "", "~"), ("cd -", [[b"/b"]], "/b", "/b"),
            ("cd ~/../nowhere", [[], [b"../nowhere"]], "", "../nowhere"),
            ("cd -", [[b"/b"]], "/b", "/b")):
        del script.requests[:]
        t.type(line.encode() + b"\r")
        t.wait_for(line.encode() + b"\r\n")
        if where is None:
            where = "/b"    # The script stays where it was.
        prompt = f"localhost:{where}> ".encode()
        assert shown in t.wait_for(prompt).decode()
        assert [r.words for r in script.requests] == words
    # What cannot be entered changes nothing, nor does half of the way.
    del script.requests[:]
    t.type(b"cd ~//nowhere\r")
    t.wait_for(b"localhost:nowhere> ")
    for line, says in ((b"cd ~bob", b"~ needs a shell"),
                       (b"cd ~ b", b"cd takes one directory"),
                       (b"cd ~/*", b"* needs a shell"),
                       (b"ls ~", b"~ needs a shell"),
                       (b"exit 1 2", b"exit takes one number")):
        t.type(line + b"\r")
        t.wait_for(says)
        t.wait_for(b"[255]> ")
    t.type(b"quit\r")
    assert t.status() == 255


def test_directory_that_cannot_be_entered(terminal):
    """Half of the way to it is not gone.  The first one asked for is needed."""
    def script(peer):
        peer.hello()
        for words, answer in (
                ([b"."], b"/home/x"), ([b"/b"], b"/b"), ([], b"/home/x"),
                ([b"sub"], None), ([b"/b"], b"/b")):
            request = peer.expect_request()
            assert request.words == words
            if answer is None:
                peer.refuse(request, Code.DIRECTORY, "it is not there")
            else:
                peer.send(Type.DIRECTORY, request.number, answer)
        peer.drain()
    t = terminal(script)
    t.wait_for(PROMPT)
    t.type(b"cd /b\r")
    t.wait_for(b"localhost:/b> ")
    t.type(b"cd ~/sub\r")
    t.wait_for(b"aisc: directory: it is not there\r\n")
    t.wait_for(b"localhost:/b [255]> ")
    t.type(b"\x04")
    assert t.status() == 255
    t = terminal(Recorder(), options=["-C", "/nowhere"])
    assert t.status() == 255
    assert b"aisc: directory: no such directory" in t.shown
    assert b"> " not in t.shown


def test_prompt_without_a_directory(terminal):
    """The question is ours, and what comes of it is no command's status."""
    def script(peer):
        peer.hello()
        for _ in range(2):
            request = peer.expect_request()
            assert request.operation == Operation.CHDIR
            peer.refuse(request, Code.DIRECTORY, "the home is gone")
        peer.drain()
    t = terminal(script)
    t.wait_for(b"aisc: directory: the home is gone\r\n")
    t.wait_for(b"localhost> ")
    t.type(b"\x04")
    assert t.status() == 0
    t = terminal(script)
    t.wait_for(b"localhost> ")
    t.type(b"pwd\r")
    t.wait_for(b"aisc: directory: the home is gone\r\n")
    t.wait_for(b"localhost [255]> ")


def test_interrupt_before_the_prompt(terminal):
    """It ends aisc, as there is nothing else to end."""
    asked = threading.Event()

    def script(peer):
        peer.hello()
        peer.expect_request()
        asked.set()
        peer.drain()
    t = terminal(script)
    assert asked.wait(30)
    t.type(b"\x03")
    assert t.status() == -signal.SIGINT


def test_no_server_no_prompt(aisc):
    t = Terminal(aisc.words(free_port()), aisc.environment(TERM="xterm"))
    assert t.status() == 255
    t.close()
    assert b"aisc: connect: " in t.shown and b"> " not in t.shown
