# SPDX-License-Identifier: ISC
"""An attack on the door, as a process of its own.

usage: attack.py PORT KIND COUNT PAUSE ADDRESS...

It keeps COUNT connections to the port of 127.0.0.1 open, from the addresses in
turn, and opens each anew PAUSE seconds after it was closed.  None proves
anything; KIND says what they do.  It says "ready" when each has been opened
once, ends when its standard input does, and says then how many it has opened.
"""

import heapq
import selectors
import socket
import ssl
import sys
import time

KINDS = ("mute", "one byte", "half a hello", "dripping", "whole hello")
DRIP = 0.02


def hello():
    """What begins TLS, as a client of ais/1 says it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.set_alpn_protocols(["ais/1"])
    outgoing = ssl.MemoryBIO()
    try:
        context.wrap_bio(ssl.MemoryBIO(), outgoing).do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


class Stranger:
    """One connection, and those that take its place."""

    def __init__(self, source):
        self.source = source
        self.raw = None
        self.rest = b""         # What is left to drip.


def words(kind, data):
    """What is sent at once."""
    return {"mute": b"", "one byte": data[:1], "dripping": b"",
            "half a hello": data[:len(data) // 2], "whole hello": data}[kind]


def attack(port, kind, count, pause, addresses):
    data, opened = hello(), 0
    selector = selectors.DefaultSelector()
    selector.register(sys.stdin, selectors.EVENT_READ)
    now = time.monotonic()
    due = [(now, n, Stranger(addresses[n % len(addresses)]))
           for n in range(count)]
    drip, ready = now, False
    serial = count
    while True:
        now = time.monotonic()
        while due and due[0][0] <= now:
            one = heapq.heappop(due)[2]
            one.raw = socket.socket()
            one.raw.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            one.rest = data if kind == "dripping" else b""
            one.raw.setblocking(False)
            one.raw.bind((one.source, 0))
            one.raw.connect_ex(("127.0.0.1", port))
            one.begun = False
            selector.register(one.raw, selectors.EVENT_READ |
                              selectors.EVENT_WRITE, one)
            opened += 1
        if not ready and opened >= count:
            ready = True
            print("ready", flush=True)
        dripping = kind == "dripping" and now >= drip
        if dripping:
            drip = now + DRIP
        lost = set()
        for key, events in selector.select(
                min(DRIP, max(0, due[0][0] - now) if due else DRIP)):
            one = key.data
            if one is None:
                print(opened, flush=True)
                return
            try:
                if events & selectors.EVENT_WRITE and not one.begun:
                    one.begun = True
                    one.raw.send(words(kind, data))
                    selector.modify(one.raw, selectors.EVENT_READ, one)
                if events & selectors.EVENT_READ and not one.raw.recv(65536):
                    lost.add(one)
            except BlockingIOError:
                pass
            except OSError:
                lost.add(one)
        if dripping:
            for key in list(selector.get_map().values()):
                one = key.data
                if one is None or not one.begun or len(one.rest) < 2:
                    continue
                try:
                    one.raw.send(one.rest[:1])
                    one.rest = one.rest[1:]
                except OSError:
                    lost.add(one)
        for one in lost:
            selector.unregister(one.raw)
            one.raw.close()
            serial += 1
            heapq.heappush(due, (time.monotonic() + pause, serial, one))


if __name__ == "__main__":
    attack(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]),
           float(sys.argv[4]), sys.argv[5:])
