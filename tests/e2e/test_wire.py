# SPDX-License-Identifier: ISC
"""What somebody on the wire can read and do: nothing, and cut it."""

import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import threading

import pytest

import aisc as client
import wire
from aisd import wait_until
from proxy import APPLICATION_DATA, Cut, Proxy, flip

DATA = random.Random(4773).randbytes(100_000)
# A close_notify has two bytes, and no frame is as short.
CLOSE_NOTIFY = 2

SECRETS = {
    "command": b"Word-That-Nobody-Reads", "input": b"Input-That-Nobody-Reads",
    "output": b"Output-That-Nobody-Reads", "error": b"Error-Nobody-Reads",
    "variable": b"Variable_Nobody_Reads", "directory": b"Dir-Nobody-Reads",
    "client": b"client-that-nobody-knows"}


@pytest.fixture
def unknown(authority):
    """A client whose name must not be seen on the wire."""
    return authority.make(SECRETS["client"].decode())


def talk(aisc, port, unknown, tmp_path):
    """A session in which all SECRETS are transferred."""
    directory = tmp_path / SECRETS["directory"].decode()
    directory.mkdir(exist_ok=True)
    out = SECRETS["output"][::-1].decode()
    err = SECRETS["error"][::-1].decode()
    done = aisc.run(
        port, "sh", "-c", f"cat; echo {out} | rev; echo {err} | rev >&2; pwd",
        SECRETS["command"].decode(), pair=unknown, input=SECRETS["input"],
        options=["-C", str(directory), "-e",
                 f"X={SECRETS['variable'].decode()}"])
    assert done.returncode == 0, done.stderr
    for name in ("input", "output", "directory"):
        assert SECRETS[name] in done.stdout
    assert SECRETS["error"] in done.stderr


def readable(seen):
    return [name for name, secret in SECRETS.items() if secret in seen]


# Listening.

def test_nothing_is_readable(aisd, aisc, unknown, tmp_path):
    with Proxy(aisd.port) as proxy:
        talk(aisc, proxy.port, unknown, tmp_path)
        seen = proxy.bytes()
    assert len(seen) > 2000
    assert not readable(seen)
    assert b"AIS_CA" not in seen
    # It is about the right session: the daemon knows all of it.
    event = aisd.wait_event("command-end")
    assert event["peer"] == SECRETS["client"].decode()
    assert SECRETS["command"].decode() in event["argv"]


def test_the_probe_can_see(make_aisd, unknown):
    """With TLS 1.2, which is off unless configured, names can be read; the
    frames cannot."""
    daemon = make_aisd(allow_tls12=True)
    with Proxy(daemon.port) as proxy:
        tls = wire.context(False, *unknown[:3])
        tls.minimum_version = tls.maximum_version = ssl.TLSVersion.TLSv1_2
        raw = socket.create_connection(("127.0.0.1", proxy.port), 10)
        session = wire.Connection(tls.wrap_socket(raw, server_hostname=
                                                  "localhost"))
        session.send_raw(wire.request_frames(1, wire.body(
            wire.Operation.RUN, ["echo", SECRETS["command"]],
            windows=(99, 99))))
        session.expect(wire.Type.HELLO)
        session.expect(wire.Type.STARTED)
        assert SECRETS["command"] in session.expect(wire.Type.STDOUT).payload
        session.close()
        assert readable(proxy.bytes()) == ["client"]


@pytest.mark.limit(60)
def test_nothing_is_readable_for_tshark(aisd, aisc, unknown, tmp_path):
    if not shutil.which("tshark"):
        pytest.skip("there is no tshark")
    if os.getuid() != 0:
        pytest.skip("needs root, to capture")
    capture = tmp_path / "capture.pcapng"
    process = subprocess.Popen(
        ["tshark", "-q", "-i", "lo", "-f", f"tcp port {aisd.port}", "-w",
         str(capture)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE)
    try:
        for line in process.stderr:
            if b"Capturing on" in line:
                break
        else:
            pytest.skip("tshark cannot capture here")
        # It may not have begun with the words.
        wait_until(lambda: capture.exists() and
                   (aisc.run(aisd.port, "true").returncode,
                    capture.stat().st_size)[1] > 1000, "a packet is captured",
                   20, 0.1)
        before = capture.stat().st_size
        talk(aisc, aisd.port, unknown, tmp_path)
        assert aisc.run(aisd.port, "cat", input=DATA).stdout == DATA
        wait_until(lambda: capture.stat().st_size > before + 2 * len(DATA),
                   "all packets are captured", 20)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(10)
        process.stderr.close()
    assert not readable(capture.read_bytes())

    def dissect(display_filter, *fields):
        return subprocess.run(
            ["tshark", "-r", str(capture), "-d",
             f"tcp.port=={aisd.port},tls", "-Y", display_filter, "-T",
             "fields", *[word for field in fields for word in ("-e", field)]],
            check=True, capture_output=True).stdout.split()
    assert dissect("tls.app_data", "frame.number")
    assert not dissect("tls.handshake.certificate", "frame.number")
    assert set(dissect("tls.handshake.type == 2",
                       "tls.handshake.extensions.supported_version")) == \
        {b"0x0304"}


# Changing.

class Tampering:
    """One session whose records are tampered with: what came of it."""

    def __init__(self, daemon, aisc, file, change):
        seen = len(daemon.lines())
        file.unlink(missing_ok=True)
        with Proxy(daemon.port, change) as proxy:
            done = aisc.run(proxy.port, "tee", str(file), input=DATA,
                            options=["--timeout", "20"])
            self.status, self.out, self.err = \
                done.returncode, done.stdout, done.stderr
            self.records = list(proxy.records)
            self.touched = [r for r in self.records if r.touched]

        def look():
            self.events = daemon.events()[seen:]
            return {e["event"] for e in self.events} & {
                "session-close", "handshake-failed"}
        wait_until(look, "the session is over")
        self.received = file.read_bytes() if file.exists() else b""

    def event(self, name):
        return next((e for e in self.events if e["event"] == name), None)

    def reached(self, direction):
        """How many bytes came whole before anything was done this way."""
        total = 0
        for record in self.records:
            if record.direction == direction:
                if record.passed.startswith(record.data):
                    total += record.plain
                if record.touched:
                    break
        return total

    def came_too_late(self):
        """Was it done when the client had its EXIT?"""
        first = self.touched[0]
        frames = [i for i, r in enumerate(self.records) if
                  r.direction == "down" and r.plain not in (0, CLOSE_NOTIFY)]
        return self.records.index(first) > frames[-1] or (
            self.records.index(first) == frames[-1] and
            first.passed == first.data)

    def check(self):
        """What holds whatever was done to the connection.  Whether it was
        ended by that."""
        assert DATA.startswith(self.out) and DATA.startswith(self.received)
        for direction, got in (("down", self.out), ("up", self.received)):
            if any(r.direction == direction for r in self.touched):
                assert len(got) <= self.reached(direction)
        if self.status == 0:
            assert not self.touched or self.came_too_late()
            assert self.out == self.received == DATA
            assert self.event("command-end")["exit"] == "0"
            return False
        assert self.touched and self.status == 255, self.err
        if self.event("command-end"):
            assert self.event("session-close")["reason"] != "done"
        return True


def indices(aisd, aisc, tmp_path):
    """How many records a session has each way, and a few more."""
    plain = Tampering(aisd, aisc, tmp_path / "file", None)
    assert not plain.check()
    return {way: sum(r.direction == way for r in plain.records) + 2
            for way in ("up", "down")}


@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize("at", [0, 5, -1])
@pytest.mark.limit(60)
def test_one_bit(aisd, aisc, tmp_path, direction, at):
    """Each record in turn: its type, its first byte, its last byte."""
    seen = set()
    for index in range(indices(aisd, aisc, tmp_path)[direction]):
        def change(way, i, record):
            return flip(record, at) if (way, i) == (direction, index) \
                else record
        session = Tampering(aisd, aisc, tmp_path / "file", change)
        if not session.check():
            continue
        protected = session.touched[0].data[0] == APPLICATION_DATA
        began = session.event("session-open")
        said = client.said(session.err)
        if direction == "down":
            assert said == "tls", session.err
            if began and protected:
                assert b"altered" in session.err
                # The alert that says so may be lost with the connection.
                assert session.event("session-close")["reason"] in (
                    "altered", "the connection was cut")
                seen.add("session")
            continue
        # Upwards the server finds it, and the client hears of it.
        if began:
            assert session.event("session-close")["reason"] == "altered"
            assert said == "tls", session.err
            # A wrong type has an alert of its own.
            assert b"altered" in session.err or at == 0 and \
                b"the server ended the connection" in session.err
            seen.add("session")
        else:
            reason = session.event("handshake-failed")["reason"]
            assert reason and not session.event("command-start")
            assert said in ("tls", "lost"), session.err
            seen.add("handshake")
    assert "session" in seen
    assert direction == "down" or "handshake" in seen


@pytest.mark.parametrize("reset", [False, True], ids=["fin", "reset"])
@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize("part", [0, 0.5, 1], ids=["before", "within",
                                                   "behind"])
@pytest.mark.limit(60)
@pytest.mark.long
def test_cut(aisd, aisc, tmp_path, direction, part, reset):
    """At every record: before it, in the middle, and behind it."""
    kinds = set()
    for index in range(indices(aisd, aisc, tmp_path)[direction]):
        def change(way, i, record):
            if (way, i) == (direction, index):
                raise Cut(record[:int(len(record) * part)], reset)
            return record
        session = Tampering(aisd, aisc, tmp_path / "file", change)
        if session.check():
            kinds.add(client.said(session.err))
    assert kinds <= {"lost", "tls"} and "lost" in kinds


@pytest.mark.parametrize("what", ["twice", "left-out", "swapped"])
@pytest.mark.parametrize("direction", ["up", "down"])
def test_order_of_records(aisd, aisc, tmp_path, direction, what):
    """Records that are whole, and not what was sent."""
    held = []

    def change(way, i, record):
        if way != direction or len(record) < 1000 or held == [b""]:
            return record
        if held:
            return record + held.pop()
        held.append(record if what == "swapped" else b"")
        return record * 2 if what == "twice" else b""
    session = Tampering(aisd, aisc, tmp_path / "file", change)
    assert session.touched
    assert session.check()
    assert client.said(session.err) == "tls"
    assert b"altered" in session.err


def test_bytes_beside_tls(aisd, connect):
    """Frames in the clear, in the middle of a session."""
    session = connect()
    session.hello()
    assert session.run(["true"]).status == 0
    session.send_tcp(wire.request_frames(2, wire.body(
        wire.Operation.RUN, ["true"])) + bytes(100))
    event = aisd.wait_event("session-close")
    assert event["reason"] == "altered"
    assert len(aisd.events("command-start")) == 1


def test_replay(aisd, aisc, fake_server, tmp_path):
    """A recorded session runs nothing, and tells a client nothing."""
    file = tmp_path / "file"
    with Proxy(aisd.port) as proxy:
        done = aisc.run(proxy.port, "sh", "-c", f"echo run >>{file}; echo out")
        assert (done.returncode, done.stdout) == (0, b"out\n")
        up, down = proxy.bytes("up"), proxy.bytes("down")
    assert file.read_text() == "run\n"
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", aisd.port), 10) as raw:
            raw.sendall(up)
            try:
                raw.shutdown(socket.SHUT_WR)
                while raw.recv(65536):
                    pass
            except ConnectionError:
                pass
    aisd.wait_event("handshake-failed", count=5)
    assert file.read_text() == "run\n"
    assert len(aisd.events("command-start")) == 1
    assert len(aisd.events("session-open")) == 1

    def script(raw):
        raw.recv(65536)
        raw.sendall(down)
        try:
            while raw.recv(65536):
                pass
        except OSError:
            pass
    server = fake_server(script, plain=True)
    done = aisc.run(server.port, "sh", "-c", "echo out")
    assert (done.returncode, done.stdout) == (255, b"")
    assert client.said(done.stderr) == "tls"


# Third parties.

def test_third_party_comes_no_further_than_the_handshake(aisd, localhost,
                                                         connect):
    """Without a certificate of the authority, with a request right behind."""
    tls = wire.context(False, authority=localhost.ca)
    before = aisd.usage()
    request = wire.request_frames(1, wire.body(wire.Operation.RUN,
                                               ["touch", "/no/such"]))
    for count in range(1, 6):
        raw = socket.create_connection(("127.0.0.1", aisd.port), 10)
        session = None
        try:
            session = wire.Connection(tls.wrap_socket(
                raw, server_hostname="localhost"))
            session.send_raw(request)
            pytest.fail(f"{session.receive()} came")
        except (wire.Cut, OSError) as e:
            # The alert, unless the connection is reset before it is read.
            assert "certificate required" in str(e) or \
                isinstance(e, ConnectionError) or "reset" in str(e) or \
                "pipe" in str(e).lower(), e
        finally:
            (session or raw).close()
        aisd.wait_event("handshake-failed", count=count,
                        reason="the client showed no certificate")
    assert {e["event"] for e in aisd.events()} == {"start", "handshake-failed"}
    assert connect().run(["true"]).status == 0
    aisd.check_usage(before)


GARBAGE = {
    "http": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "proxy": b"CONNECT example.org:443 HTTP/1.1\r\n\r\n",
    "ssh": b"SSH-2.0-OpenSSH_9.2\r\n",
    "nothing": b"", "zeros": bytes(1000), "ones": b"\xff" * 70000,
    "random": random.Random(1).randbytes(70000),
    "frames": wire.request_frames(1, wire.body(wire.Operation.RUN, ["true"])),
    "sslv2": b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + bytes(37),
    "tls10": b"\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x01" + bytes(32) +
             b"\x00\x00\x04\x00\x2f\x00\xff\x01\x00",
    "alert": b"\x15\x03\x01\x00\x02\x02\x28",
    "long-record": b"\x16\x03\x01\xff\xff" + bytes(65535),
    "long-hello": b"\x16\x03\x01\x40\x00\x01\xff\xff\xff" + bytes(16380),
    "half-hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


def throw(port, data):
    """Send it, and read until the server has closed."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), 10) as raw:
        try:
            raw.sendall(data)
            raw.shutdown(socket.SHUT_WR)
            while True:
                piece = raw.recv(65536)
                if not piece:
                    break
                answer += piece
        except ConnectionError:
            pass
    return answer


@pytest.mark.parametrize("kind", sorted(GARBAGE))
def test_garbage(aisd, connect, kind):
    before = aisd.usage()
    for _ in range(10):
        answer = throw(aisd.port, GARBAGE[kind])
        # An alert, or nothing; never anything of TLS behind a hello.
        assert answer == b"" or answer[0] == 0x15 and len(answer) == 7
    aisd.wait_event("handshake-failed", count=10)
    assert connect().run(["true"]).status == 0
    assert {e["event"] for e in aisd.events("handshake-failed")} == \
        {"handshake-failed"}
    aisd.check_usage(before)


def test_much_garbage(aisd, connect, slowness):
    """From many sides at once: the same daemon, and a bounded log."""
    count, sides = 200 // slowness, 4
    before, size = aisd.usage(), aisd.log.stat().st_size
    kinds = list(GARBAGE.values())

    def side(number):
        for i in range(count):
            throw(aisd.port, kinds[(number + i) % len(kinds)])
    threads = [threading.Thread(target=side, args=(n,)) for n in range(sides)]
    for thread in threads:
        thread.start()
    with connect() as session:
        assert session.run(["true"]).status == 0
    for thread in threads:
        thread.join()
    assert connect().run(["true"]).status == 0
    aisd.check_usage(before)
    assert aisd.log.stat().st_size - size < 512 * count * sides


def test_flood_of_key_updates(aisd, connect, alice):
    """TLS lets a client ask for new keys as often as it likes: it costs the
    session its idle time, and the daemon nothing that stays."""
    first = connect()
    assert first.run(["true"]).status == 0
    first.close()
    aisd.wait_event("session-close")
    before = aisd.usage()
    with subprocess.Popen(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{aisd.port}",
             "-alpn", "ais/1", "-cert", alice.cert, "-key", alice.key,
             "-CAfile", alice.ca], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as flood:
        aisd.wait_event("session-open", count=2)
        asked = 0
        for line in flood.stdout:
            # One at a time: it reads a letter from each piece of its input.
            if asked == 0 and b"Verify return code" not in line:
                continue
            if asked == 500:
                break
            if asked == 0 or b"KEYUPDATE" in line:
                flood.stdin.write(b"K\n")
                flood.stdin.flush()
                asked += 1
        flood.stdin.close()
        flood.stdout.read()
    assert asked == 500
    aisd.check_usage(before)
    assert connect().run(["true"]).status == 0
