# SPDX-License-Identifier: ISC
"""The protocol ais/1 for tests: a codec, a client and a scriptable server.

ais-protocol(7) is the specification.  Nothing here is used by AIS itself; the
tests use it to speak to aisd as aisc does, and as no aisc would.

    with Client(port, certificate=..., key=..., authority=...) as c:
        result = c.run(["echo", "hello"])
        assert result.status == 0 and result.stdout == b"hello\\n"

    def script(peer):                   # One connection, after its handshake.
        peer.hello()
        request = peer.expect_request()
        peer.started(request)
        peer.stdout(request, b"half an ans")
        peer.cut()                      # FIN without close_notify, no EXIT.

    with FakeServer(script, certificate=..., key=..., authority=...) as s:
        subprocess.run(["aisc", "-p", str(s.port), "localhost", "true"])
"""

import enum
import signal
import socket
import ssl
import struct
import threading
import time
from dataclasses import dataclass, field
from typing import NamedTuple, Optional

ALPN = "ais/1"
HEADER = struct.Struct(">BII")
FRAME_MAX = 65536
PAYLOAD_MAX = FRAME_MAX - HEADER.size
BODY_MAX = 1024 * 1024
ITEMS_MAX = 65536
ENV_MAX = 1024
WORD_MAX = 128 * 1024 - 1
PATH_MAX = 4095
TEXT_MAX = 1024
STDIN_FIRST = 65536
WINDOW_MAX = 64 * 1024 * 1024
EXIT = struct.Struct(">BHIQQQQI")


class Type(enum.IntEnum):
    REQUEST_PART = 0x01
    REQUEST = 0x02
    STDIN = 0x03
    STDIN_EOF = 0x04
    SIGNAL = 0x05
    CANCEL = 0x06
    CLOSE = 0x07
    WINDOW = 0x10
    PING = 0x11
    PONG = 0x12
    GOODBYE = 0x13
    HELLO = 0x20
    WAITING = 0x21
    STARTED = 0x22
    STDOUT = 0x23
    STDERR = 0x24
    EXIT = 0x25
    REFUSED = 0x26
    DIRECTORY = 0x27


class Item(enum.IntEnum):
    OPERATION = 0x01
    WORD = 0x02
    ENV = 0x03
    DIRECTORY = 0x04
    STDIN = 0x05
    WINDOWS = 0x06
    IF = 0x07
    FEATURES = 0x80
    ARGUMENTS = 0x81
    SESSION = 0xa0
    SERVER = 0xa1
    PEER = 0xa2
    REVOCATIONS = 0xa3
    AHEAD = 0xa4
    TEXT = 0xb0
    RETRY = 0xb1
    SIGNAL = 0xb2
    HINT = 0xb3


class Operation(enum.IntEnum):
    RUN = 1
    SHELL = 2
    CHDIR = 3
    LIST = 4
    CAN = 5
    LINE = 6
    SUBSYSTEM = 7


class Waiting(enum.IntFlag):
    OWN = 1


class Stream(enum.IntEnum):
    STDIN = 0
    STDOUT = 1
    STDERR = 2


class Code(enum.IntEnum):
    NONE = 0
    PROTOCOL = 1
    DENIED = 2
    UNKNOWN = 3
    NOT_EXECUTABLE = 4
    DIRECTORY = 5
    RESOURCES = 6
    AUDIT = 7
    BUSY = 8
    TIMEOUT = 9
    OUTPUT = 10
    STOPPING = 11
    INVALID = 12
    TURN = 13
    UNSUPPORTED = 14
    CANCELLED = 15
    SKIPPED = 16


class End(enum.IntEnum):
    EXIT = 0
    SIGNAL = 1


# What can go wrong, apart from OSError of the socket.

class Closed(Exception):
    """The peer has ended the stream in order, by close_notify."""


class Cut(Exception):
    """The stream ended in any other way."""


class Mismatch(AssertionError):
    """A frame came that the caller did not expect."""


# The codec.

class Frame(NamedTuple):
    type: int
    request: int
    payload: bytes

    def __repr__(self):
        try:
            name = Type(self.type).name
        except ValueError:
            name = f"type 0x{self.type:02x}"
        shown = self.payload[:40] + (b"..." if len(self.payload) > 40 else b"")
        return f"<{name} {self.request} {len(self.payload)}: {shown!r}>"


class Said(NamedTuple):
    """The payload of GOODBYE and REFUSED."""
    code: int
    text: str


class Exit(NamedTuple):
    end: int
    reason: int
    status: int
    duration_us: int
    cpu_us: int
    out_bytes: int
    err_bytes: int
    left: int
    signal: str = ""        # Its name, where one has ended the command.


def frame(type, request=0, payload=b""):
    """The bytes of one frame; nothing is checked."""
    return HEADER.pack(type, request, len(payload)) + payload


def item(kind, value=b""):
    return struct.pack(">BI", kind, len(value)) + value


def items(data):
    """The (kind, value) pairs of a body."""
    pairs, at = [], 0
    while at < len(data):
        if len(data) - at < 5:
            raise Mismatch(f"an item's header is cut: {data[at:]!r}")
        kind, length = struct.unpack_from(">BI", data, at)
        at += 5
        if length > len(data) - at:
            raise Mismatch(f"an item of {length} bytes is cut")
        pairs.append((kind, data[at:at + length]))
        at += length
    return pairs


def body(operation, words=(), env=None, directory=None, stdin=False,
         windows=None, condition=None):
    """The body of a request; "env" maps names to values, "condition" is the
    item IF."""
    parts = [item(Item.OPERATION, bytes([operation]))]
    parts += [item(Item.WORD, octets(word)) for word in words]
    parts += [item(Item.ENV, octets(name) + b"=" + octets(value))
              for name, value in (env or {}).items()]
    if directory is not None:
        parts.append(item(Item.DIRECTORY, octets(directory)))
    if stdin:
        parts.append(item(Item.STDIN))
    if windows is not None:
        parts.append(item(Item.WINDOWS, struct.pack(">II", *windows)))
    if condition is not None:
        parts.append(item(Item.IF, bytes([condition])))
    return b"".join(parts)


def request_frames(request, data, piece=PAYLOAD_MAX):
    """A body as REQUEST_PART frames of "piece" bytes and one REQUEST."""
    out = b""
    while len(data) > piece:
        out += frame(Type.REQUEST_PART, request, data[:piece])
        data = data[piece:]
    return out + frame(Type.REQUEST, request, data)


def code_payload(code, text="", more=b""):
    return (struct.pack(">H", code)
            + (item(Item.TEXT, octets(text)) if text else b"") + more)


def waiting_payload(before, flags=0):
    return struct.pack(">IB", before, flags)


def exit_payload(status=0, end=End.EXIT, reason=Code.NONE, duration_us=1000,
                 cpu_us=500, out_bytes=0, err_bytes=0, left=0, more=b""):
    """The end by a signal is its number here, or its name, as "status"."""
    name = b""
    if end == End.SIGNAL:
        status, name = 0, item(Item.SIGNAL, octets(
            signal.Signals(status).name[3:] if isinstance(status, int)
            else status))
    return EXIT.pack(end, reason, status, duration_us, cpu_us, out_bytes,
                     err_bytes, left) + name + more


def parse_exit(payload):
    name = dict(items(payload[EXIT.size:])).get(Item.SIGNAL, b"")
    return Exit(*EXIT.unpack(payload[:EXIT.size]), name.decode())


def retry(payload):
    """RETRY of a GOODBYE in ms, or None."""
    ms = dict(items(payload[2:])).get(Item.RETRY)
    return ms and struct.unpack(">I", ms)[0]


def said(payload):
    """Code and text; the hint is a part of that, as people read it."""
    of = dict(items(payload[2:]))
    text = b"; ".join(of[kind] for kind in (Item.TEXT, Item.HINT)
                      if kind in of)
    return Said(struct.unpack(">H", payload[:2])[0],
                text.decode("utf-8", "backslashreplace"))


def octets(value):
    return value if isinstance(value, bytes) else str(value).encode()


def context(server, certificate=None, key=None, authority=None, alpn=(ALPN,)):
    """A context of TLS 1.3 alone; a stream without close_notify is an error."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server
                         else ssl.PROTOCOL_TLS_CLIENT)
    tls.minimum_version = ssl.TLSVersion.TLSv1_3
    tls.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0x80)
    if authority:
        tls.load_verify_locations(str(authority))
        tls.verify_mode = ssl.CERT_REQUIRED
    else:
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    if certificate:
        tls.load_cert_chain(str(certificate), str(key))
    if alpn:
        tls.set_alpn_protocols(list(alpn))
    return tls


class Connection:
    """Frames over one TLS connection, either side."""

    def __init__(self, tls, timeout=30.0):
        self.tls = tls
        self.tls.settimeout(timeout)
        self.pending = bytearray()

    # Sending.

    def send_raw(self, data):
        """Send bytes within TLS, whatever they are."""
        try:
            self.tls.sendall(data)
        except (ssl.SSLError, ConnectionError) as e:
            raise Cut(str(e)) from e

    def send(self, type, request=0, payload=b""):
        self.send_raw(frame(type, request, payload))

    def send_tcp(self, data):
        """Send bytes beside TLS: the peer must find the stream broken."""
        raw = socket.socket(fileno=self.tls.detach())
        self.tls = raw
        raw.sendall(data)

    # Receiving.

    def receive(self, timeout=None):
        """The next frame.  Closed, Cut or TimeoutError if there is none."""
        deadline = time.monotonic() + (timeout or self.tls.gettimeout() or 30)
        while True:
            if len(self.pending) >= HEADER.size:
                type, request, length = HEADER.unpack_from(self.pending)
                if length > PAYLOAD_MAX:
                    raise Mismatch(f"a frame of {length} bytes")
                if len(self.pending) >= HEADER.size + length:
                    payload = bytes(self.pending[HEADER.size:][:length])
                    del self.pending[:HEADER.size + length]
                    return Frame(type, request, payload)
            self.pending += self.receive_raw(deadline - time.monotonic())

    def receive_raw(self, timeout=None):
        """Some bytes from within TLS."""
        if timeout is not None:
            if timeout <= 0:
                raise TimeoutError("no frame came in time")
            before = self.tls.gettimeout()
            self.tls.settimeout(timeout)
        try:
            data = self.tls.recv(65536)
        except (ssl.SSLError, ConnectionError) as e:
            raise Cut(str(e)) from e
        finally:
            if timeout is not None and self.tls.fileno() != -1:
                self.tls.settimeout(before)
        if not data:
            raise Closed()
        return data

    def expect(self, type, request=None, timeout=None):
        """The next frame, which must be of this type."""
        got = self.receive(timeout)
        if got.type != type or request not in (None, got.request):
            raise Mismatch(f"{got} came where {Type(type).name} was expected")
        return got

    def until_end(self, timeout=30.0):
        """All frames up to the end, and how it came: Closed or Cut."""
        frames, deadline = [], time.monotonic() + timeout
        while True:
            try:
                frames.append(self.receive(deadline - time.monotonic()))
            except (Closed, Cut) as end:
                return frames, end

    # Ending.

    def close_notify(self):
        """Send close_notify; does not wait for the peer's."""
        self.tls.setblocking(False)
        try:
            self.tls.unwrap()
        except (ssl.SSLError, OSError, ValueError):
            pass

    def close(self):
        """End in order: close_notify, then the socket."""
        if self.tls.fileno() != -1:
            if isinstance(self.tls, ssl.SSLSocket):
                self.close_notify()
            self.tls.close()

    def cut(self, linger=2.0):
        """FIN without close_notify, then wait for the peer to leave."""
        raw = socket.socket(fileno=self.tls.detach())
        raw.settimeout(linger)
        try:
            raw.shutdown(socket.SHUT_WR)
            while raw.recv(65536):
                pass
        except OSError:
            pass
        raw.close()

    def reset(self):
        """RST."""
        raw = socket.socket(fileno=self.tls.detach())
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                       struct.pack("ii", 1, 0))
        raw.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@dataclass
class Result:
    """What came of one request."""
    request: int
    started: bool = False
    stdout: bytes = b""
    stderr: bytes = b""
    exit: Optional[Exit] = None
    refused: Optional[Said] = None
    directory: Optional[bytes] = None
    chunks: list = field(default_factory=list)

    @property
    def status(self):
        """The exit status of a command that ended by itself, else None."""
        if self.exit and (self.exit.end, self.exit.reason) == (End.EXIT, 0):
            return self.exit.status
        return None

    @property
    def signal(self):
        if self.exit and self.exit.end == End.SIGNAL:
            name, _, above = self.exit.signal.partition("+")
            return signal.Signals["SIG" + name] + int(above or 0)
        return None


class Goodbye(Exception):
    """The server ended the session; "code" and "text" say why."""

    def __init__(self, payload):
        self.code, self.text = said(payload)
        super().__init__(f"GOODBYE {self.code}: {self.text}")


class Client(Connection):
    """A client of one session.  "name" is what the server's certificate says.

    The constructor connects and shakes hands; it does not wait for HELLO,
    which hello() and every request do.
    """

    def __init__(self, port, certificate=None, key=None, authority=None,
                 host="127.0.0.1", name="localhost", timeout=30.0,
                 alpn=(ALPN,)):
        tls = context(False, certificate, key, authority, alpn)
        raw = socket.create_connection((host, port), timeout)
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            super().__init__(tls.wrap_socket(raw, server_hostname=name,
                                             suppress_ragged_eofs=False),
                             timeout)
        except BaseException:
            raw.close()
            raise
        self.number = 0         # Of the last request.
        self.session = None     # The items of HELLO, by kind.
        self.waited = []        # The numbers of all WAITING frames.

    def next_number(self):
        self.number += 1
        return self.number

    def ask(self, words, **options):
        """Ask for a command, without waiting for anything; "options" are
        body()'s.  The number of the request."""
        number = self.next_number()
        self.send_raw(request_frames(number, body(Operation.RUN, words,
                                                  **options)))
        return number

    def hello(self, timeout=None):
        """Wait for the session to begin."""
        while self.session is None:
            self.other(self.receive(timeout))
        return self.session

    def sent_away(self, timeout=None):
        """The Goodbye that comes in the place of HELLO."""
        try:
            self.hello(timeout)
        except Goodbye as said:
            return said
        raise Mismatch("the session has begun")

    def other(self, got):
        """Take a frame that belongs to no request."""
        if got.type == Type.HELLO and self.session is None:
            self.session = dict(items(got.payload))
        elif got.type == Type.WAITING and self.session is None:
            self.waited.append(struct.unpack(">IB", got.payload)[0])
        elif got.type == Type.PING:
            self.send(Type.PONG, 0, got.payload)
        elif got.type == Type.GOODBYE:
            raise Goodbye(got.payload)
        else:
            raise Mismatch(f"{got} came")

    def run(self, words, **options):
        """Run argv."""
        return self.request(Operation.RUN, words, **options)

    def shell(self, line, **options):
        return self.request(Operation.SHELL, [line], **options)

    def chdir(self, *path):
        """Change the session's directory; without a path, to the home."""
        return self.request(Operation.CHDIR, path, window=None)

    def request(self, operation, words, stdin=None, env=None, directory=None,
                window=1024 * 1024, timeout=30.0):
        """One request from beginning to end.  "stdin": bytes, or None."""
        number = self.next_number()
        windows = None if window is None else (window, window)
        self.send_raw(request_frames(number, body(
            operation, words, env, directory, stdin is not None, windows)))
        return self.follow(number, stdin, timeout)

    def follow(self, number, stdin=None, timeout=30.0):
        """Take the frames of a request until it has ended.

        Every byte that comes is granted again.  Sending may block: a server
        never stops reading.
        """
        result = Result(number)
        out = {Type.STDOUT: bytearray(), Type.STDERR: bytearray()}
        credit, data = STDIN_FIRST, memoryview(stdin or b"")
        eof = stdin is None
        deadline = time.monotonic() + timeout
        while not (result.exit or result.refused
                   or result.directory is not None):
            while data and credit:
                n = min(len(data), credit, PAYLOAD_MAX)
                self.send(Type.STDIN, number, bytes(data[:n]))
                data, credit = data[n:], credit - n
            if not eof and not data:
                self.send(Type.STDIN_EOF, number)
                eof = True
            got = self.receive(deadline - time.monotonic())
            if got.request == 0:
                self.other(got)
                continue
            if got.request != number:
                raise Mismatch(f"{got} came during request {number}")
            if got.type == Type.STARTED:
                result.started = True
                credit += struct.unpack(">I", got.payload)[0]
            elif got.type in out:
                out[got.type] += got.payload
                result.chunks.append((got.type, len(got.payload)))
                self.send(Type.WINDOW, number, struct.pack(
                    ">BI", got.type - Type.STDOUT + Stream.STDOUT,
                    len(got.payload)))
            elif got.type == Type.WINDOW:
                stream, more = struct.unpack(">BI", got.payload)
                if stream != Stream.STDIN:
                    raise Mismatch(f"{got} came")
                credit += more
            elif got.type == Type.EXIT:
                result.exit = parse_exit(got.payload)
            elif got.type == Type.REFUSED:
                result.refused = said(got.payload)
            elif got.type == Type.DIRECTORY:
                result.directory = got.payload
            else:
                raise Mismatch(f"{got} came during request {number}")
        result.stdout = bytes(out[Type.STDOUT])
        result.stderr = bytes(out[Type.STDERR])
        return result

    def cancel(self, number=None):
        self.send(Type.CANCEL, number or self.number)

    def close_output(self, stream, number=None):
        self.send(Type.CLOSE, number or self.number, bytes([stream]))

    def signal(self, name, number=None):
        self.send(Type.SIGNAL, number or self.number, octets(name))

    def goodbye(self):
        """End the session as a client does, and wait for the server's end."""
        self.send(Type.GOODBYE, 0, code_payload(Code.NONE))
        return self.until_end()


@dataclass
class Request:
    """A request as a FakeServer got it."""
    number: int
    operation: int
    words: list
    env: list
    directory: Optional[bytes]
    stdin: bool
    credit: dict            # Of Type.STDOUT and Type.STDERR.
    features: Optional[bytes] = None
    arguments: bool = False
    condition: int = 0

    @property
    def argv(self):
        return [word.decode() for word in self.words]


class Peer(Connection):
    """The server's side of one connection, for the script of a FakeServer."""

    def __init__(self, tls, server, timeout=30.0):
        super().__init__(tls, timeout)
        self.server = server
        self.request = None
        self.received = []      # Frames that expect_request() passed over.

    def hello(self, session=b"s1", server=b"fake", peer=b"client", more=b""):
        self.send(Type.HELLO, 0, item(Item.SESSION, octets(session))
                  + item(Item.SERVER, octets(server))
                  + item(Item.PEER, octets(peer)) + more)

    def waiting(self, before, flags=0, more=b""):
        self.send(Type.WAITING, 0, waiting_payload(before, flags) + more)

    def expect_request(self, timeout=None):
        """The next request, parsed.  PING is answered meanwhile."""
        data = b""
        while True:
            got = self.receive(timeout)
            if got.type == Type.PING:
                self.send(Type.PONG, 0, got.payload)
            elif got.type in (Type.REQUEST_PART, Type.REQUEST):
                data += got.payload
                if got.type == Type.REQUEST:
                    break
            elif self.request is None or got.request > self.request.number:
                raise Mismatch(f"{got} came where a request was expected")
            else:
                self.received.append(got)   # Late: it crossed with EXIT.
        self.request = parse_request(got.request, data)
        return self.request

    def started(self, request, credit=None):
        """The default credit is 64 KiB where there is a standard input."""
        if credit is None:
            credit = 65536 if request.stdin else 0
        self.send(Type.STARTED, request.number, struct.pack(">I", credit))

    def stdout(self, request, data, type=Type.STDOUT):
        """Send output, as the client grants it."""
        while data:
            while request.credit[type] == 0:
                got = self.receive()
                if got.type != Type.WINDOW:
                    self.received.append(got)
                    continue
                stream, more = struct.unpack(">BI", got.payload)
                request.credit[Type.STDOUT + stream - Stream.STDOUT] += more
            n = min(len(data), request.credit[type], PAYLOAD_MAX)
            self.send(type, request.number, data[:n])
            request.credit[type] -= n
            data = data[n:]

    def stderr(self, request, data):
        self.stdout(request, data, Type.STDERR)

    def read_stdin(self, request, credit=65536):
        """All of standard input, up to STDIN_EOF, granted as it comes."""
        data = bytearray()
        while True:
            got = self.received.pop(0) if self.received else self.receive()
            if got.type == Type.STDIN:
                data += got.payload
                self.window(request, len(got.payload))
            elif got.type == Type.STDIN_EOF:
                return bytes(data)

    def window(self, request, credit, stream=Stream.STDIN):
        self.send(Type.WINDOW, request.number,
                  struct.pack(">BI", stream, credit))

    def exit(self, request, status=0, **fields):
        self.send(Type.EXIT, request.number, exit_payload(status, **fields))

    def refuse(self, request, code, text=""):
        self.send(Type.REFUSED, request.number, code_payload(code, text))

    def goodbye(self, code=Code.NONE, text=""):
        self.send(Type.GOODBYE, 0, code_payload(code, text))

    def hold(self):
        """Neither read nor write until the server is closed."""
        self.server.stopped.wait()

    def drain(self):
        """Read until the client leaves."""
        try:
            while True:
                self.received.append(self.receive())
        except (Closed, Cut, TimeoutError):
            pass

    def close(self):
        """End in order, and take what the client still sends.

        To close a socket that has unread bytes would reset the connection,
        and the client might lose what it has not read yet.
        """
        if isinstance(self.tls, ssl.SSLSocket) and self.tls.fileno() != -1:
            self.close_notify()
            self.cut()
        super().close()


def parse_request(number, data):
    pairs = items(data)
    if not pairs or pairs[0][0] != Item.OPERATION:
        raise Mismatch("a request does not begin with its operation")

    def of(kind):
        return [value for k, value in pairs if k == kind]
    windows = struct.unpack(">II", (of(Item.WINDOWS) or [bytes(8)])[0])
    return Request(number, pairs[0][1][0], of(Item.WORD), of(Item.ENV),
                   (of(Item.DIRECTORY) or [None])[0], bool(of(Item.STDIN)),
                   {Type.STDOUT: windows[0], Type.STDERR: windows[1]},
                   (of(Item.FEATURES) or [None])[0],
                   bool(of(Item.ARGUMENTS)),
                   (of(Item.IF) or [b"\0"])[0][0])


# Scripts that many tests want.

def answering(stdout=b"", stderr=b"", status=0, **fields):
    """Answer every request alike, until the client leaves."""
    def script(peer):
        peer.hello()
        try:
            while True:
                request = peer.expect_request()
                if request.operation == Operation.CHDIR:
                    peer.send(Type.DIRECTORY, request.number, b"/")
                    continue
                peer.started(request)
                peer.stdout(request, stdout)
                peer.stderr(request, stderr)
                peer.exit(request, status, out_bytes=len(stdout),
                          err_bytes=len(stderr), **fields)
        except (Closed, Cut, Mismatch):
            pass        # Mismatch: the client's GOODBYE.
    return script


def refusing(code, text=""):
    """Refuse one request, then take the client's leave."""
    def script(peer):
        peer.hello()
        peer.refuse(peer.expect_request(), code, text)
        peer.drain()
    return script


def leaving(code, text=""):
    """End the session at once."""
    def script(peer):
        peer.goodbye(code, text)
    return script


# In the order in which a session passes them.
STAGES = ("accepted", "handshaken", "greeted", "requested", "started",
          "half-frame", "output")


def ending(stage, how="cut"):
    """End at a stage by "close" (in order), "cut" (FIN) or "reset".

    "accepted" is before the handshake, and needs FakeServer(plain=True).
    """
    def script(peer):
        if stage == "accepted":
            if how == "reset":
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                struct.pack("ii", 1, 0))
            peer.close()
            return
        reached = STAGES.index(stage)
        if reached >= STAGES.index("greeted"):
            peer.hello()
        if reached >= STAGES.index("requested"):
            request = peer.expect_request()
        if reached >= STAGES.index("started"):
            peer.started(request)
        if stage == "half-frame":
            peer.send_raw(frame(Type.STDOUT, request.number, b"cut")[:-1])
        if stage == "output":
            peer.stdout(request, b"output\n")
        getattr(peer, how)()
    return script


class FakeServer:
    """A server on a free loopback port that follows a script.

    "script" is called with a Peer for each connection, in a thread of its
    own; a list gives each connection the next script, the last one again and
    again.  With plain=True it is called with the bare socket, before any
    handshake.  "tls" replaces the context.  What a script raises is kept in
    "errors"; so is a failed handshake in "handshake_errors".
    """

    def __init__(self, script, certificate=None, key=None, authority=None,
                 plain=False, tls=None, host="127.0.0.1", timeout=30.0):
        self.scripts = list(script) if isinstance(script, (list, tuple)) \
            else [script]
        self.plain = plain
        self.tls = tls or (None if plain else
                           context(True, certificate, key, authority))
        self.timeout = timeout
        self.stopped = threading.Event()
        self.errors = []
        self.handshake_errors = []
        self.count = 0          # Of connections accepted.
        self.changed = threading.Condition()
        self.sockets = []
        self.threads = []
        self.listener = socket.create_server((host, 0))
        self.port = self.listener.getsockname()[1]
        self.acceptor = threading.Thread(target=self._accept, daemon=True)
        self.acceptor.start()

    def _accept(self):
        while True:
            try:
                raw, _ = self.listener.accept()
            except OSError:
                return
            with self.changed:
                script = self.scripts[min(self.count, len(self.scripts) - 1)]
                self.count += 1
                thread = threading.Thread(target=self._serve,
                                          args=(raw, script), daemon=True)
                self.threads.append(thread)
                thread.start()
                self.changed.notify_all()

    def _serve(self, raw, script):
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        raw.settimeout(self.timeout)
        peer = raw
        try:
            if self.plain:
                script(raw)
                return
            try:
                peer = Peer(self.tls.wrap_socket(
                    raw, server_side=True, suppress_ragged_eofs=False),
                    self, self.timeout)
            except OSError as e:
                self.handshake_errors.append(e)
                return
            script(peer)
        except Exception as e:      # Shown to the test, which may expect it.
            self.errors.append(e)
        finally:
            try:
                peer.close()
            except OSError:
                pass

    def wait_connections(self, count, timeout=30.0):
        """Wait until "count" connections have been accepted."""
        with self.changed:
            if not self.changed.wait_for(lambda: self.count >= count, timeout):
                raise TimeoutError(f"{self.count} connections, not {count}")

    def join(self, timeout=30.0):
        """Wait until every script has ended."""
        deadline = time.monotonic() + timeout
        for thread in list(self.threads):
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                raise TimeoutError("a script goes on")

    def close(self):
        self.stopped.set()
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self.acceptor.join(5)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
