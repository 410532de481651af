# SPDX-License-Identifier: ISC
"""How much has passed, as aisc shows it on a terminal."""

import fcntl
import os
import queue
import re
import select
import signal
import struct
import termios
import time

import pytest

from aisc import said
import wire
from wire import Type

MIB = 1024 * 1024
DRAWN = re.compile(r"aisc: (?:([\d.]+) (B|KiB|MiB) sent)?(?:, )?"
                   r"(?:([\d.]+) (B|KiB|MiB) received)?, "
                   r"[\d.]+ (?:B|KiB|MiB|GiB)/s, \d+:\d\d"
                   r"(?: \[(#*)(\.*)\] (\d+)%, (?:\d+:\d\d|\?) left)?")


class Server:
    """A command that does one step after the other, as the test says."""

    def __init__(self):
        self.steps = queue.Queue()
        self.credit = wire.STDIN_FIRST      # Which nothing has to grant.

    def __call__(self, peer):
        peer.hello()
        request = peer.expect_request()
        peer.started(request, 0)
        while step := self.steps.get(timeout=60):
            step(peer, request)
        peer.exit(request)
        peer.drain()

    def take(self, n):
        """Read "n" bytes of standard input."""
        def step(peer, request):
            left = n
            if n > self.credit:
                peer.window(request, n - self.credit)
            self.credit = max(self.credit - n, 0)
            while left > 0:
                left -= len(peer.expect(Type.STDIN).payload)
        self.steps.put(step)

    def give(self, data, type=Type.STDOUT):
        self.steps.put(lambda peer, request:
                       peer.stdout(request, data, type))

    def end(self):
        self.steps.put(None)


class Screen:
    """A terminal of one size: what was written, and what stands there."""

    def __init__(self, columns=80):
        self.fd, self.side = os.openpty()
        attributes = termios.tcgetattr(self.side)
        attributes[1] &= ~termios.OPOST
        termios.tcsetattr(self.side, termios.TCSANOW, attributes)
        self.resize(columns)
        self.text = ""

    def resize(self, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ,
                    struct.pack("HHHH", 24, columns, 0, 0))

    def read(self, seconds=0):
        while select.select([self.fd], [], [], seconds)[0]:
            self.text += os.read(self.fd, 65536).decode()
            seconds = 0

    def drawn(self):
        """What was drawn, one line a time."""
        self.read()
        return [line.rstrip() for line in re.split(r"[\r\n]", self.text)
                if line.startswith("aisc: ")]

    def lines(self):
        """What stands there now."""
        self.read()
        shown = []
        for line in self.text.split("\n"):
            cells = []
            for part in line.split("\r"):
                cells[:len(part)] = part
            shown.append("".join(cells).rstrip())
        return shown

    def wait_for(self, condition, timeout=20):
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, self.text
            self.read(0.05)


@pytest.fixture
def screen():
    one = Screen()
    yield one
    os.close(one.fd)
    os.close(one.side)


@pytest.fixture
def show(aisc, fake_server, screen, tmp_path):
    """Start aisc with a terminal as its standard error, and a file of so many
    bytes as its input."""
    started = []

    def start(*options, size=0, stderr=None, **how):
        server = Server()
        path = tmp_path / "input"
        with open(path, "wb") as file:
            file.truncate(size)
        with open(path, "rb") as stdin:
            process = aisc.start(fake_server(server).port, "x", stdin=stdin,
                                 stderr=stderr or screen.side,
                                 options=options, **how)
        started.append(process)
        return process, server
    yield start
    for process in started:
        process.kill()
        process.communicate()


def finish(process, server):
    server.end()
    out = process.communicate(timeout=60)[0]
    assert process.returncode == 0
    return out


def test_shown_when_it_is_worth_it(show, screen):
    """A mebibyte and a second, and not before; and then it is gone."""
    process, server = show(size=4 * MIB)
    began = time.monotonic()
    server.take(2 * MIB)
    screen.wait_for(lambda: screen.drawn())
    assert time.monotonic() - began >= 1
    screen.wait_for(lambda: DRAWN.fullmatch(screen.drawn()[-1])[7] == "50")
    match = DRAWN.fullmatch(screen.drawn()[-1])
    assert match.group(1, 2) == ("2.0", "MiB")
    assert abs(len(match[5]) - len(match[6])) <= 1
    server.take(2 * MIB)
    screen.wait_for(lambda: DRAWN.fullmatch(screen.drawn()[-1])[7] == "100")
    assert finish(process, server) == b""
    assert screen.lines() == [""]
    assert len(screen.drawn()) < 5 * (time.monotonic() - began) + 2


def waits(process):
    """How often the process has gone to sleep by itself."""
    with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
        return int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)",
                             status.read(), re.M)[1])


def test_not_shown(show, screen, measurable):
    """Too little, not wanted, no terminal; and then nothing wakes aisc up."""
    read, write = os.pipe()
    calls = [(show(*options, size=size, stderr=stderr), size)
             for options, size, stderr in (
                 ((), MIB // 2, None), (("--no-progress",), 2 * MIB, None),
                 (("-q",), 2 * MIB, None), ((), 2 * MIB, write))]
    os.close(write)
    for (process, server), size in calls:
        server.take(size)
        server.give(b"x")
        assert process.stdout.read(1) == b"x"
    time.sleep(0.3)
    before = [waits(process) for (process, _), _ in calls]
    time.sleep(1.2)
    assert [waits(process) for (process, _), _ in calls] == before
    for (process, server), _ in calls:
        finish(process, server)
    assert screen.lines() == [""] and screen.text == ""
    assert os.read(read, 1) == b""
    os.close(read)


def test_no_terminal(show):
    """For who asks for it."""
    read, write = os.pipe()
    process, server = show("--progress", size=2 * MIB, stderr=write)
    os.close(write)
    server.take(MIB)
    assert DRAWN.search(os.read(read, 100).decode())
    server.take(MIB)
    finish(process, server)
    os.close(read)


def test_received(show, screen):
    """What comes back, of which nobody knows how much it will be."""
    process, server = show("--progress", "-n")
    server.give(b"x" * 3000)
    screen.wait_for(lambda: screen.drawn())
    match = DRAWN.fullmatch(screen.drawn()[-1])
    assert match[1] is None and (match[3], match[4]) == ("2.9", "KiB")
    assert match[7] is None
    assert finish(process, server) == b"x" * 3000
    assert screen.lines() == [""]


def test_both_ways(show, screen):
    process, server = show("--progress", size=2 * MIB)
    server.take(MIB)
    server.give(b"x" * 512)
    screen.wait_for(lambda: any(
        DRAWN.fullmatch(line).group(1, 2, 3, 4, 7) ==
        ("1.0", "MiB", "512", "B", "50") for line in screen.drawn()))
    finish(process, server)


def test_way_for_error_output(show, screen):
    """Nothing is left of it around what the command says."""
    process, server = show("--progress", size=4 * MIB)
    server.take(MIB)
    screen.wait_for(lambda: screen.drawn())
    server.give(b"oh\n", Type.STDERR)
    screen.wait_for(lambda: "oh\n" in screen.text)
    assert screen.lines()[0] == "oh"
    count = len(screen.drawn())
    server.take(MIB)
    screen.wait_for(lambda: len(screen.drawn()) > count)
    server.give(b"no end", Type.STDERR)
    screen.wait_for(lambda: "no end" in screen.text)
    count = len(screen.drawn())
    server.take(MIB)
    server.give(b"x")
    assert process.stdout.read(1) == b"x"
    time.sleep(0.5)
    assert len(screen.drawn()) == count
    assert screen.lines() == ["oh", "no end"]
    server.give(b"\n", Type.STDERR)
    screen.wait_for(lambda: len(screen.drawn()) > count)
    finish(process, server)
    assert screen.lines() == ["oh", "no end", ""]


def test_width(show, screen):
    screen.resize(50)
    process, server = show("--progress", size=4 * MIB)
    server.take(MIB)
    screen.wait_for(lambda: screen.drawn())
    assert all(len(line) <= 49 for line in screen.drawn())
    count = len(screen.drawn())
    screen.resize(20)
    process.send_signal(signal.SIGWINCH)
    screen.wait_for(lambda: len(screen.drawn()) > count)
    screen.wait_for(lambda: len(screen.drawn()[-1]) <= 19)
    screen.resize(200)
    screen.wait_for(lambda: DRAWN.fullmatch(screen.drawn()[-1]))
    finish(process, server)


def test_wiped_when_aisc_is_ended(show, screen):
    process, server = show("--progress", size=4 * MIB)
    server.take(MIB)
    screen.wait_for(lambda: screen.drawn())
    process.terminate()
    assert process.wait(60) == -signal.SIGTERM
    assert screen.lines() == [""]


def test_wiped_before_a_message(show, screen):
    process, server = show("--progress", size=4 * MIB)
    server.take(MIB)
    screen.wait_for(lambda: screen.drawn())
    server.steps.put(lambda peer, request: peer.cut())
    assert process.wait(60) == 255
    assert [line[:12] for line in screen.lines()] == ["aisc: lost: ", ""]


def test_usage(aisc):
    done = aisc.run(1, "x", options=["--progress", "--no-progress"])
    assert done.returncode == 255 and said(done.stderr) == "usage"
