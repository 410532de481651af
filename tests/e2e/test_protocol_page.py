# SPDX-License-Identifier: ISC
"""ais-protocol(7) is enough to write a client, and agrees with proto.h."""

import os
import re
import socket
import ssl
import struct
import subprocess
import sys

import pytest

# The client.  It was written from the page, shares nothing with wire.py or
# with AIS, and is kept near a hundred lines.

REQUEST_PART, REQUEST, STDIN, STDIN_EOF, SIGNAL = 1, 2, 3, 4, 5
WINDOW, PING, PONG, GOODBYE = 0x10, 0x11, 0x12, 0x13
HELLO, WAITING, STARTED, STDOUT, STDERR = 0x20, 0x21, 0x22, 0x23, 0x24
EXIT, REFUSED, DIRECTORY = 0x25, 0x26, 0x27
OPERATION, WORD, ENV, IN_DIRECTORY, WITH_STDIN, WINDOWS = 1, 2, 3, 4, 5, 6
RUN, SHELL, CHDIR = 1, 2, 3
TEXT, BY_SIGNAL = 0xb0, 0xb2
PAYLOAD_MAX = 65527
CREDIT = 262144


class Failed(Exception):
    """The session ended before the answer."""


class Client:
    """One session with a server."""

    def __init__(self, host, port, certificate, key, authority, name):
        tls = ssl.create_default_context(cafile=authority)
        tls.load_cert_chain(certificate, key)
        tls.set_alpn_protocols(["ais/1"])
        tls.minimum_version = ssl.TLSVersion.TLSv1_3
        self.socket = tls.wrap_socket(
            socket.create_connection((host, port), 30), server_hostname=name)
        if self.socket.selected_alpn_protocol() != "ais/1":
            raise Failed("the server does not speak ais/1")
        self.stream = self.socket.makefile("rb")
        self.number = 0
        self.hello = None

    def send(self, type, request=0, payload=b""):
        self.socket.sendall(struct.pack(">BII", type, request, len(payload))
                            + payload)

    def receive(self):
        header = self.stream.read(9)
        if len(header) < 9:
            raise Failed("the connection has ended")
        type, request, length = struct.unpack(">BII", header)
        if length > PAYLOAD_MAX:
            raise Failed("a frame is too long")
        payload = self.stream.read(length)
        if len(payload) < length:
            raise Failed("the connection has ended")
        return type, request, payload

    @staticmethod
    def items(payload):
        while payload:
            kind, length = struct.unpack(">BI", payload[:5])
            yield kind, payload[5:5 + length]
            payload = payload[5 + length:]

    @staticmethod
    def item(kind, value):
        return struct.pack(">BI", kind, len(value)) + value

    def text(self, payload):
        """What GOODBYE and REFUSED say to people."""
        return dict(self.items(payload[2:])).get(TEXT, b"").decode()

    def ask(self, operation, words, env=(), directory=None, stdin=None):
        """Send a request; the answer is the last frame of it."""
        self.number += 1
        body = self.item(OPERATION, bytes([operation]))
        body += b"".join(self.item(WORD, word) for word in words)
        body += b"".join(self.item(ENV, pair) for pair in env)
        if directory is not None:
            body += self.item(IN_DIRECTORY, directory)
        if stdin is not None:
            body += self.item(WITH_STDIN, b"")
        body += self.item(WINDOWS, struct.pack(">II", CREDIT, CREDIT))
        while len(body) > PAYLOAD_MAX:
            self.send(REQUEST_PART, self.number, body[:PAYLOAD_MAX])
            body = body[PAYLOAD_MAX:]
        self.send(REQUEST, self.number, body)
        return self.follow(stdin)

    def follow(self, stdin):
        output, credit, ended = {STDOUT: b"", STDERR: b""}, None, stdin is None
        while True:
            type, request, payload = self.receive()
            if type == PING:
                self.send(PONG, 0, payload)
            elif type == HELLO:
                self.hello = dict(self.items(payload))
            elif type in (WAITING, PONG):
                continue
            elif type == GOODBYE:
                raise Failed(self.text(payload))
            elif request != self.number:
                raise Failed("a frame of another request")
            elif type in (STARTED, WINDOW):
                credit = (credit or 0) + struct.unpack(">I", payload[-4:])[0]
            elif type in (STDOUT, STDERR):
                output[type] += payload
                self.send(WINDOW, request, struct.pack(
                    ">BI", 1 if type == STDOUT else 2, len(payload)))
            elif type == EXIT:
                end, reason, status = struct.unpack(">BHI", payload[:7])
                for kind, name in self.items(payload[43:]):
                    status = name if kind == BY_SIGNAL else status
                return "exit", (end, reason, status), output
            elif type == REFUSED:
                code = struct.unpack(">H", payload[:2])[0]
                return "refused", code, self.text(payload)
            elif type == DIRECTORY:
                return "directory", payload
            else:
                raise Failed(f"an unknown frame {type}")
            while stdin and credit:
                piece = stdin[:min(credit, PAYLOAD_MAX)]
                self.send(STDIN, self.number, piece)
                stdin, credit = stdin[len(piece):], credit - len(piece)
            if credit is not None and not stdin and not ended:
                self.send(STDIN_EOF, self.number)
                ended = True

    def leave(self):
        self.send(GOODBYE, 0, struct.pack(">H", 0))
        self.stream.close()
        self.socket.close()


@pytest.fixture
def client(aisd, alice):
    """The client above, in a session with a real aisd."""
    c = Client("127.0.0.1", aisd.port, alice.cert, alice.key,
               alice.ca, "localhost")
    yield c
    c.leave()


def test_run(client):
    assert client.ask(RUN, [b"echo", b"hi"]) == \
        ("exit", (0, 0, 0), {STDOUT: b"hi\n", STDERR: b""})
    assert client.hello[0xa2] == b"alice"
    assert client.hello[0xa0] and client.hello[0xa1].startswith(b"aisd")


def test_words_arrive_unchanged(client):
    words = [b"a b", b"", b"$(id)`id`;\n'\"\\", bytes(range(1, 256))]
    answer = client.ask(RUN, [b"printf", b"%s\\0", *words])
    assert answer[2][STDOUT] == b"".join(word + b"\0" for word in words)


def test_large_body(client):
    answer = client.ask(RUN, [b"printf", b"%s", b"x" * 100000, b"y" * 70000])
    assert answer[2][STDOUT] == b"x" * 100000 + b"y" * 70000


def test_status_signal_and_stderr(client):
    assert client.ask(RUN, [b"sh", b"-c", b"echo no >&2; exit 7"]) == \
        ("exit", (0, 0, 7), {STDOUT: b"", STDERR: b"no\n"})
    assert client.ask(RUN, [b"sh", b"-c", b"kill -9 $$"])[1] == \
        (1, 0, b"KILL")


def test_stdin(client):
    data = os.urandom(3000000)
    answer = client.ask(RUN, [b"cat"], stdin=data)
    assert answer[1] == (0, 0, 0) and answer[2][STDOUT] == data
    assert client.ask(RUN, [b"cat"], stdin=b"")[1:] == \
        ((0, 0, 0), {STDOUT: b"", STDERR: b""})


def test_shell_environment_and_directory(client, tmp_path):
    where = os.fsencode(tmp_path.resolve())
    answer = client.ask(SHELL, [b'echo "$WHAT $((1+1))"; pwd'],
                        env=[b"WHAT=one"], directory=where)
    assert answer[2][STDOUT] == b"one 2\n" + where + b"\n"


def test_change_of_directory(client, tmp_path):
    where = os.fsencode(tmp_path.resolve())
    assert client.ask(CHDIR, [where]) == ("directory", where)
    assert client.ask(RUN, [b"pwd"])[2][STDOUT] == where + b"\n"
    assert client.ask(CHDIR, [b"/no/such/place"])[:2] == ("refused", 5)
    assert client.ask(RUN, [b"pwd"])[2][STDOUT] == where + b"\n"
    assert client.ask(CHDIR, [])[0] == "directory"


def test_unknown_command_and_on(client):
    kind, code, text = client.ask(RUN, [b"no-such-command"])
    assert (kind, code) == ("refused", 3) and "no-such-command" in text
    assert client.ask(RUN, [b"true"])[1] == (0, 0, 0)


# The page against proto.h.

PROTO = "common/wire/proto.h"

def page(srcdir):
    return (srcdir / "man" / "ais-protocol.7").read_text()


def rows(text, heading):
    """The rows of the first table behind a heading, as lists of cells."""
    part = re.split(rf"^\.S[sh] {heading}$", text, flags=re.M)[1]
    table = part.split(".Bl -column", 1)[1].split(".El", 1)[0]
    cells = [re.sub(r"\s+", " ", row).strip().split(" Ta ")
             for row in table.split(".It ")[1:]]
    return [row for row in cells if not row[0].startswith("Em ")]


def numbers(text, heading):
    """The name and number at the beginning of each row."""
    table = {}
    for name, number, *_ in rows(text, heading):
        assert name not in table
        table[name] = int(number, 0)
    return table


def enums(header):
    """enum name to {constant: value}, comments left out."""
    header = re.sub(r"/\*.*?\*/", "", header, flags=re.S)
    found = {}
    for name, inside in re.findall(r"enum (\w+) \{(.*?)\}", header, re.S):
        pairs = re.findall(r"(\w+)\s*=\s*(\w+)", inside)
        assert len(pairs) == len([x for x in inside.split(",") if x.strip()])
        found[name] = {key: int(value, 0) for key, value in pairs}
    return found


def defines(header):
    """Macros with a value, evaluated."""
    header = re.sub(r"/\*.*?\*/", "", header, flags=re.S)
    found = {}
    for name, value in re.findall(r"^#define (\w+)[ \t]+(\S.*)$", header,
                                  re.M):
        value = re.sub(r"\b(\d+)u\b", r"\1", value)
        value = re.sub(r"\bPROTO_\w+", lambda m: repr(found[m.group()]), value)
        assert re.fullmatch(r'[\d\s()*/+-]+|"[^"\\]*"', value), value
        found[name] = eval(value)   # Numbers and operators, as just checked.
    return found


@pytest.mark.parametrize("enum, prefix, heading", [
    ("proto_type", "PROTO_", "FRAME TYPES"),
    ("proto_item", "PROTO_ITEM_", "ITEMS"),
    ("proto_operation", "PROTO_", "OPERATIONS"),
    ("proto_stream", "PROTO_STREAM_", "WINDOWS"),
    ("proto_code", "PROTO_CODE_", "CODES"),
])
def test_constants(srcdir, enum, prefix, heading):
    header = enums((srcdir / PROTO).read_text())[enum]
    assert numbers(page(srcdir), heading) == \
        {name.removeprefix(prefix): value for name, value in header.items()}


def test_all_enums_are_compared(srcdir):
    header = enums((srcdir / PROTO).read_text())
    assert set(header) == {"proto_type", "proto_item", "proto_operation",
                           "proto_stream", "proto_code", "proto_end",
                           "proto_waiting", "proto_condition"}
    text = page(srcdir)
    # Bit 0, in words.
    assert header["proto_waiting"] == {"PROTO_WAITING_OWN": 1 << 0}
    assert "Bit 0 of the flags, the lowest," in text
    assert header["proto_condition"].pop("PROTO_IF_ANY") == 0
    for name, value in header["proto_condition"].items():
        assert f"\n{value}, {name.removeprefix('PROTO_IF_')}: " in text
    for name, value in header["proto_end"].items():
        assert f"{value} {name.removeprefix('PROTO_END_')}," in text


def test_limits(srcdir):
    header = defines((srcdir / PROTO).read_text())
    text = page(srcdir)
    assert f".Dq {header.pop('PROTO_ALPN')}" in text
    port = header.pop("PROTO_PORT")
    assert header.pop("PROTO_PORT_TEXT") == str(port)
    for name in header.pop("PROTO_FEATURES").split():
        assert f".Ql {name}\n" in text
    assert f"TCP port, {port} " in text
    assert numbers(text, "LIMITS") == \
        {name.removeprefix("PROTO_"): value for name, value in header.items()}


def test_limits_in_the_text(srcdir):
    """Numbers of four digits and more are limits, or of the example."""
    header = defines((srcdir / PROTO).read_text())
    known = {str(value) for value in header.values()}
    text = page(srcdir).split(".Sh EXAMPLES")[0]
    text = re.sub(r"^\.(Dd|%R).*$|RFC \d+", "", text, flags=re.M)
    assert set(re.findall(r"(?<![\w.])\d{4,}(?!\w)", text)) <= \
        known | {"262144"}


def sides(srcdir, errors=False):
    """The bytes of the page's example, or of its errors, by the side that
    sends them."""
    text = page(srcdir).split(".Sh EXAMPLES")[1]
    part = 1 if errors else 0
    text = text.split(".Ss Errors")[part].split(".Ss A client")[0]
    out = {"C": b"", "S": b""}
    for side, octets in re.findall(r"^([CS])((?: +[0-9a-f]{2})+)$", text,
                                   re.M):
        out[side] += bytes.fromhex(octets)
    return out["C"], out["S"]


def frames(data):
    found = []
    while data:
        type, request, length = struct.unpack(">BII", data[:9])
        assert len(data) >= 9 + length
        found.append((type, request, data[9:9 + length]))
        data = data[9 + length:]
    return found


def test_example(srcdir):
    """The example is whole frames, and says what the text around it says."""
    client, server = (frames(side) for side in sides(srcdir))
    assert [f[:2] for f in client] == \
        [(REQUEST, 1), (REQUEST, 2), (REQUEST, 3), (STDIN, 3), (STDIN_EOF, 3),
         (WINDOW, 3), (GOODBYE, 0)]
    assert [f[:2] for f in server] == \
        [(HELLO, 0), (STARTED, 1), (STDOUT, 1), (EXIT, 1), (DIRECTORY, 2),
         (STARTED, 3), (WINDOW, 3), (STDOUT, 3), (EXIT, 3)]
    assert list(Client.items(server[0][2])) == \
        [(0xa0, b"5f2c"), (0xa1, b"aisd 0.1.0"), (0xa2, b"alice")]
    windows = struct.pack(">II", 65536, 65536)
    assert list(Client.items(client[0][2])) == \
        [(1, b"\x01"), (2, b"echo"), (2, b"hi"), (6, windows)]
    assert list(Client.items(client[1][2])) == [(1, b"\x03"), (2, b"/tmp")]
    assert list(Client.items(client[2][2])) == \
        [(1, b"\x01"), (2, b"cat"), (5, b""), (6, windows)]
    assert struct.unpack(">BHIQQQQI", server[3][2]) == \
        (0, 0, 0, 1234, 600, 3, 0, 0)
    assert struct.unpack(">BHIQQQQI", server[8][2]) == \
        (0, 0, 0, 2000, 700, 4, 0, 0)
    assert server[5][2] == struct.pack(">I", 262144)


def test_example_is_what_a_server_says(srcdir, aisd, alice):
    """The client's side, sent as it is, gets the frames of the example."""
    c = Client("127.0.0.1", aisd.port, alice.cert, alice.key,
               alice.ca, "localhost")
    client, server = (frames(side) for side in sides(srcdir))
    ends, got = (EXIT, REFUSED, DIRECTORY), []
    for type, request, payload in client:
        if type == STDIN:       # A credit is granted by STARTED.
            got.append(c.receive())
            assert got[-1][0] == STARTED
        c.send(type, request, payload)
        if type == REQUEST and not any(k == WITH_STDIN for k, _ in
                                       Client.items(payload)):
            got.append(c.receive())
            while got[-1][0] not in ends:
                got.append(c.receive())
    while True:
        try:
            got.append(c.receive())
        except Failed:
            break
    c.stream.close()
    c.socket.close()
    assert {t for t, _, _ in got} >= {HELLO, STARTED, STDOUT, DIRECTORY}
    outputs = [(t, r, p) for t, r, p in got if t in (STDOUT, DIRECTORY)]
    assert outputs[0] == (STDOUT, 1, b"hi\n")
    assert outputs[1] == (DIRECTORY, 2, b"/tmp")


def test_errors_are_what_a_server_says(srcdir, aisd, alice):
    """The client's side of the errors gets the very bytes of the page; but how
    long a command took may differ."""
    c = Client("127.0.0.1", aisd.port, alice.cert, alice.key,
               alice.ca, "localhost")
    client, server = (frames(side) for side in sides(srcdir, errors=True))
    assert [f[:2] for f in client] == [(REQUEST, 1), (REQUEST, 2), (STDIN, 9)]
    assert c.receive()[0] == HELLO
    got = []
    for one in client:
        c.send(*one)
        while not got or got[-1][0] not in (REFUSED, EXIT, GOODBYE) \
                or got[-1][1] != (one[1] if one[0] == REQUEST else 0):
            got.append(c.receive())

    def without_times(frame):
        type, request, payload = frame
        return type, request, payload if type != EXIT else \
            payload[:7] + bytes(16) + payload[23:]
    assert list(map(without_times, got)) == list(map(without_times, server))
    c.leave()


@pytest.mark.parametrize("words, status, stdout, stderr", [
    (["echo", "hi"], 0, b"hi\n", b""),
    (["sh", "-c", "yes | head -c 3000000; exit 7"], 7, b"y\n" * 1500000, b""),
    (["sh", "-c", "kill -9 $$"], 255, b"", b""),
    (["no-such-command"], 1, b"", b"code 3\n")],
    ids=["output", "much", "signal", "refused"])
def test_client_of_the_page(srcdir, aisd, alice, words, status, stdout,
                            stderr):
    """It is cut out of the page, and runs as it stands there."""
    text = page(srcdir).split(".Ss A client\n")[1]
    program = text.split(".Bd -literal\n")[1].split(".Ed\n")[0]
    assert "\\" not in program and len(program.splitlines()) < 40
    done = subprocess.run(
        [sys.executable, "-c", program, "localhost", str(aisd.port), alice.ca,
         alice.cert, alice.key, *words], capture_output=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == \
        (status, stdout, stderr)


def test_client_is_small():
    """About a hundred lines, as promised."""
    with open(__file__) as f:
        source = f.read()
    client = source.split("REQUEST_PART, REQUEST")[1].split("@pytest")[0]
    assert len([line for line in client.splitlines() if line.strip()]) < 125
