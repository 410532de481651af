# SPDX-License-Identifier: ISC
"""A party in the middle, who sees and may change every byte of a connection.

    with Proxy(daemon.port) as p:                   # Only listens.
        aisc.run(p.port, "true")
        assert b"true" not in p.bytes("up")

    def change(direction, index, record):           # Flips a bit.
        if (direction, index) == ("down", 7):
            return flip(record, 5)
        return record
    with Proxy(daemon.port, change) as p: ...

It takes the stream apart into TLS records, header and all, and passes each on
as a whole.  "up" is from the client to the server, "down" the other way, and
each direction counts from 0.

    with Proxy(daemon.port, rate=10000) as p: ...   # A slow link.

So many bytes a second pass each way, a few at a time and not by records; its
own buffers are small, so that all else waits in those of the two ends.

As a program it passes everything on to the port of its argument, says where
it listens, and runs until it is killed.
"""

import signal
import socket
import struct
import sys
import threading
import time
from typing import NamedTuple

HEADER = 5
# Of TLS 1.3: the content type and the tag that a protected record has.
OVERHEAD = 17
APPLICATION_DATA = 23


class Record(NamedTuple):
    direction: str
    index: int
    data: bytes         # As it came.
    passed: bytes       # As it was passed on.
    touched: bool       # Was anything done to it, or right behind it?

    @property
    def plain(self):
        """How many bytes a protected record protects, 0 for others."""
        if self.data[0] != APPLICATION_DATA:
            return 0
        return max(0, len(self.data) - HEADER - OVERHEAD)


class Cut(Exception):
    """Raised by a change: pass "first" on, and then end both connections."""

    def __init__(self, first=b"", reset=False):
        super().__init__()
        self.first = first
        self.reset = reset


def flip(record, at):
    """The record with one bit of the byte "at" changed."""
    return bytes(byte ^ (at % len(record) == i)
                 for i, byte in enumerate(record))


class Proxy:
    """Listens on a free port of 127.0.0.1 and passes all on to "port"."""

    def __init__(self, port, change=None, rate=None):
        self.server_port = port
        self.rate = rate
        self.change = change or (lambda direction, index, record: record)
        self.records = []       # In the order in which they came.
        self.lock = threading.Lock()
        self.threads = []
        self.sockets = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        if rate:
            self._shrink(self.listener)
        self.port = self.listener.getsockname()[1]
        self._thread(self._accept)

    def _thread(self, target, *arguments):
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        with self.lock:
            self.threads.append(thread)
        thread.start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.socket()
            if self.rate:
                self._shrink(server)
            server.connect(("127.0.0.1", self.server_port))
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.sockets += [client, server]
            if self.rate:
                self._thread(self._crawl, client, server)
                self._thread(self._crawl, server, client)
                continue
            over = threading.Event()
            self._thread(self._pump, "up", client, server, over)
            self._thread(self._pump, "down", server, client, over)

    @staticmethod
    def _shrink(end):
        """Small buffers; before the connection is made."""
        for option in socket.SO_RCVBUF, socket.SO_SNDBUF:
            end.setsockopt(socket.SOL_SOCKET, option, 4096)

    def _crawl(self, source, sink):
        """Pass on what comes, at the rate."""
        due = time.monotonic()
        try:
            while True:
                data = source.recv(1024)
                if not data:
                    sink.shutdown(socket.SHUT_WR)
                    return
                due = max(due, time.monotonic()) + len(data) / self.rate
                time.sleep(max(0, due - time.monotonic()))
                sink.sendall(data)
        except OSError:
            for end in source, sink:
                self._end(end, reset=True)

    def _pump(self, direction, source, sink, over):
        pending, index = b"", 0
        try:
            while True:
                data = source.recv(65536)
                if not data:
                    sink.sendall(pending)
                    sink.shutdown(socket.SHUT_WR)
                    return
                pending += data
                while len(pending) >= HEADER:
                    length = HEADER + struct.unpack(">H", pending[3:5])[0]
                    if len(pending) < length:
                        break
                    record, pending = pending[:length], pending[length:]
                    self._pass(direction, index, record, sink, over)
                    index += 1
        except OSError:
            pass
        except Cut as cut:
            try:
                sink.sendall(cut.first)
            except OSError:
                pass
            for end in (source, sink):
                self._end(end, cut.reset)

    def _pass(self, direction, index, record, sink, over):
        cut = None
        try:
            passed = self.change(direction, index, record)
        except Cut as e:
            cut, passed = e, e.first
        with self.lock:
            if over.is_set():       # Nothing goes back behind a cut.
                raise ConnectionError()
            self.records.append(Record(direction, index, record, passed,
                                       cut is not None or passed != record))
            if cut:
                over.set()
                raise cut
        sink.sendall(passed)

    @staticmethod
    def _end(end, reset):
        try:
            if reset:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                               struct.pack("ii", 1, 0))
                # Not closed here: the other thread may be reading from it.
                end.shutdown(socket.SHUT_RD)
                end.close()
            else:
                end.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def count(self, direction):
        """How many records went this way."""
        with self.lock:
            return sum(r.direction == direction for r in self.records)

    def bytes(self, direction=None):
        """All that went this way, or both ways."""
        with self.lock:
            return b"".join(r.data for r in self.records
                            if direction in (None, r.direction))

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for end in self.sockets:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self.threads:
            thread.join(5)
        for end in self.sockets:
            end.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


if __name__ == "__main__":
    print(Proxy(int(sys.argv[1])).port, flush=True)
    signal.pause()
