# SPDX-License-Identifier: ISC
"""What no client should send, sent to a real aisd.

Each case gets the answer that ais-protocol(7) promises, nothing of it is
executed, and the daemon serves the next client as before.
"""

import os
import random
import signal
import struct
import threading
import time

import pytest

from aisd import wait_until
from wire import (BODY_MAX, ENV_MAX, ITEMS_MAX, PATH_MAX, PAYLOAD_MAX, STDIN_FIRST,
                  WINDOW_MAX, WORD_MAX, Closed, Code, Cut, Goodbye, Item, Operation,
                  Stream, Type, Waiting, body, code_payload, frame, item,
                  request_frames, retry, said, waiting_payload)

RUN = bytes([Operation.RUN])


def run_body(*words, **options):
    return body(Operation.RUN, words, **options)


def ends_with(client, code):
    """The session ends in order, with a GOODBYE of this code."""
    frames, end = client.until_end()
    assert isinstance(end, Closed), (frames, end)
    assert frames and frames[-1].type == Type.GOODBYE, frames
    said_code, text = said(frames[-1].payload)
    assert said_code == code, text
    assert 0 < len(text.encode()) <= 1024 and "\0" not in text
    return frames


def breaks(client, data=b""):
    """"data" breaks the protocol."""
    client.send_raw(data)
    return ends_with(client, Code.PROTOCOL)


def is_alive(client, token=b"alive?"):
    """The session goes on: frames up to the answer to a PING."""
    frames = []
    client.send(Type.PING, 0, token)
    while True:
        frames.append(client.receive())
        if frames[-1].type == Type.PONG and frames[-1].payload == token:
            return frames[:-1]


@pytest.fixture
def victim(tmp_path):
    """A command that leaves a trace: its words, and a check of the trace."""
    path = tmp_path / "executed"

    class Victim:
        words = ["touch", str(path)]

        @staticmethod
        def ran():
            return path.exists()
    return Victim


@pytest.fixture
def unharmed(aisd, connect, victim):
    """After the test: nothing was executed, the same daemon serves, and it has
    not grown.  A test that runs commands of its own says how many."""
    class Count:
        commands = 0
    with_session = connect()
    with_session.hello()
    with_session.close()
    aisd.wait_event("session-close")
    before = aisd.usage()
    yield Count
    assert not victim.ran()
    # The daemon waits for a session's end before it serves the next one.
    for client in connect.clients:
        client.close()
    assert len(aisd.events("command-start")) == Count.commands
    assert connect().run(["true"]).status == 0
    aisd.check_usage(before)


# Frames that are no frames.

@pytest.mark.parametrize("length", [PAYLOAD_MAX + 1, 0x10000, 0x7fffffff,
                                    0x80000000, 0xffffffff])
@pytest.mark.parametrize("type", [Type.REQUEST, Type.STDIN, Type.PING, 0xff])
def test_length_above_the_limit(unharmed, connect, type, length):
    """The header alone is enough."""
    breaks(connect(), struct.pack(">BII", type, 1, length))


@pytest.mark.alone
def test_length_above_the_limit_takes_no_memory(aisd, connect, measurable):
    def attack():
        breaks(connect(), struct.pack(">BII", Type.STDIN, 1, 0xffffffff))
    for _ in range(20):
        attack()
    before = aisd.usage()
    for _ in range(20):
        attack()
    aisd.check_usage(before, rss_kib=64)


def test_garbage(unharmed, connect):
    """Random bytes within TLS, and a lot of them."""
    rng = random.Random(1)
    for _ in range(30):
        client = connect()
        try:
            for _ in range(20):
                client.send_raw(rng.randbytes(rng.randrange(1, 5000)))
        except Cut:
            pass        # The server has left already, as it should.
        try:
            frames, end = client.until_end()
        except Cut:
            continue
        assert all(f.type in (Type.HELLO, Type.GOODBYE) for f in frames)


def test_bytes_beside_tls(unharmed, aisd, connect):
    """What is no TLS record ends the session without a word."""
    client = connect()
    client.hello()
    client.send_tcp(b"GET / HTTP/1.0\r\n\r\n")
    aisd.wait_event("session-close", count=2)


# Every type in every state, as the tables of the page have it.

STATES = ("new", "composing", "running", "ahead", "idle")
OF_SESSION = (Type.PING, Type.PONG, Type.GOODBYE)
OF_REQUEST = (Type.STDIN, Type.STDIN_EOF, Type.SIGNAL, Type.CANCEL, Type.CLOSE,
              Type.WINDOW)
BEGINNING = (Type.REQUEST, Type.REQUEST_PART)
PAYLOADS = {
    Type.STDIN: b"x", Type.SIGNAL: b"USR1",
    Type.CLOSE: bytes([Stream.STDERR]),
    Type.WINDOW: struct.pack(">BI", Stream.STDOUT, 1),
    Type.GOODBYE: code_payload(0),
}
# Numbers of a request: of the session, of one that has ended, of the one that
# the state is about, of one that waits, if the state has one, of none so far.
NONE, ENDED, CURRENT, WAITS, NEXT = 0, 3, 5, 7, 9


def enter(client, state):
    """Bring a session into a state."""
    client.hello()
    if state == "new":
        return
    client.number = ENDED - 1
    assert client.run(["true"]).status == 0
    client.number = CURRENT
    if state == "composing":
        client.send(Type.REQUEST_PART, CURRENT, run_body("true"))
    elif state in ("running", "ahead"):
        client.send(Type.REQUEST, CURRENT, run_body(
            "sh", "-c", "trap : USR1; echo; while :; do sleep 1; done",
            stdin=True, windows=(100, 100)))
        client.expect(Type.STARTED)
        client.expect(Type.STDOUT)
        if state == "ahead":
            client.send(Type.REQUEST, WAITS, run_body("true"))
    elif state == "idle":
        client.number = CURRENT - 1
        assert client.run(["true"]).status == 0


def is_legal(state, type, number):
    """The page's table of what a client may send."""
    if type in OF_SESSION:
        return number == NONE
    if type in BEGINNING:
        if state == "composing":
            return number == CURRENT
        return number > {"new": NONE, "ahead": WAITS}.get(state, CURRENT)
    if type in OF_REQUEST:
        if number == CURRENT:
            return state in ("running", "ahead", "idle")
        if number == WAITS:
            return state == "ahead" and type == Type.CANCEL
        return number == ENDED and state != "new"
    return False


ALL_TYPES = [*range(0x00, 0x30), 0x40, 0x7f, 0x80, 0xff]


@pytest.mark.parametrize("number", [NONE, ENDED, CURRENT, WAITS, NEXT])
@pytest.mark.parametrize("state", STATES)
def test_every_type_in_every_state(aisd, connect, victim, state, number):
    before = aisd.usage()
    good = bad = 0
    for type in ALL_TYPES:
        client = connect()
        enter(client, state)
        commands = len(aisd.events("command-start"))
        payload = PAYLOADS.get(type, b"")
        if (state, type) == ("composing", Type.REQUEST_PART):
            payload = item(Item.WORD, b"more")
        elif type in BEGINNING and state != "composing":
            payload = run_body(*victim.words)
        if not is_legal(state, type, number):
            breaks(client, frame(type, number, payload))
            assert len(aisd.events("command-start")) == commands
            assert not victim.ran()
            bad += 1
        else:
            client.send(type, number, payload)
            if type == Type.GOODBYE:
                assert client.until_end()[0] == []
            elif type == Type.REQUEST:
                if state in ("running", "ahead"):
                    client.send(Type.CANCEL, CURRENT)
                    assert client.follow(CURRENT).exit
                if state == "ahead":
                    assert client.follow(WAITS).status == 0
                assert client.follow(number).status == 0
                os.unlink(victim.words[1]) if victim.ran() else None
            else:
                is_alive(client)
            good += 1
        client.close()
        aisd.wait_event("session-close", count=good + bad)
        assert not aisd.descendants()
    assert good == sum(is_legal(state, t, number) for t in ALL_TYPES)
    assert connect().run(["true"]).status == 0
    aisd.check_usage(before)


def test_server_types_from_a_client(unharmed, connect):
    """What only a server may send, with payloads as a server sends them."""
    payloads = {
        Type.HELLO: item(Item.PEER, b"root"), Type.WAITING: bytes(5),
        Type.STARTED: bytes(4), Type.STDOUT: b"x", Type.STDERR: b"x",
        Type.EXIT: bytes(39), Type.REFUSED: code_payload(2),
        Type.DIRECTORY: b"/",
    }
    for type, payload in payloads.items():
        for number in (0, 1):
            breaks(connect(), frame(type, number, payload))


# Payloads that are not what their type says.

BAD_PAYLOADS = [
    (Type.STDIN, b""),
    (Type.STDIN_EOF, b"x"),
    (Type.SIGNAL, b""), (Type.SIGNAL, b"term"), (Type.SIGNAL, b"TERM\0"),
    (Type.SIGNAL, b"TERMTERMTERM"), (Type.SIGNAL, b"\x0f"),
    (Type.SIGNAL, b"T" * PAYLOAD_MAX),
    (Type.CANCEL, b"x"), (Type.CANCEL, item(0x90)[:-1]),
    (Type.CLOSE, b""), (Type.CLOSE, b"\0"), (Type.CLOSE, b"\3"),
    (Type.CLOSE, b"\1x"), (Type.CLOSE, b"\1" + item(0x90)[:-1]),
    (Type.WINDOW, b""), (Type.WINDOW, bytes([1, 0, 0, 0])),
    (Type.WINDOW, bytes([1, 0, 0, 0, 1, 0])),
    (Type.WINDOW, struct.pack(">BI", Stream.STDIN, 1)),
    (Type.WINDOW, struct.pack(">BI", 3, 1)),
    (Type.WINDOW, struct.pack(">BI", 255, 1)),
    (Type.WINDOW, struct.pack(">BI", Stream.STDOUT, WINDOW_MAX)),
    (Type.WINDOW, struct.pack(">BI", Stream.STDERR, 0xffffffff)),
]


@pytest.mark.parametrize("number", range(len(BAD_PAYLOADS)))
def test_bad_payload_while_running(aisd, connect, number):
    """The session ends, and its command with it."""
    type, payload = BAD_PAYLOADS[number]
    client = connect()
    enter(client, "running")
    assert aisd.descendants()
    breaks(client, frame(type, CURRENT, payload))
    aisd.wait_event("command-end", request=str(CURRENT))
    aisd.wait_event("session-close")
    assert not aisd.descendants()
    assert connect().run(["true"]).status == 0


def test_unknown_signal(unharmed, connect):
    """A name that the server does not know, or gives to nobody: the command and
    the session go on."""
    unharmed.commands = 2
    client = connect()
    enter(client, "running")
    for name in b"STOP", b"SIGTERM", b"TER", b"WINCH", b"9", b"RTMIN+1":
        client.send(Type.SIGNAL, CURRENT, name)
    assert is_alive(client) == []
    client.send(Type.SIGNAL, CURRENT, b"TERM")
    assert client.follow(CURRENT).signal == signal.SIGTERM


def test_bad_payload_of_the_session(unharmed, connect):
    for type, payload in [
            (Type.PING, bytes(9)), (Type.PONG, bytes(9)),
            (Type.PING, bytes(PAYLOAD_MAX)), (Type.GOODBYE, b""),
            (Type.GOODBYE, b"\0"), (Type.GOODBYE, code_payload(0, "a\0b")),
            (Type.GOODBYE, code_payload(0, "x" * 1025))]:
        breaks(connect(), frame(type, 0, payload))


def test_credit_adds_up(aisd, connect):
    """No single WINDOW is too large, but their sum is."""
    client = connect()
    client.send(Type.REQUEST, 1, run_body("sleep", "60",
                                          windows=(1, WINDOW_MAX)))
    client.hello()
    client.expect(Type.STARTED)
    client.send(Type.WINDOW, 1, struct.pack(">BI", 1, WINDOW_MAX - 1))
    client.send(Type.WINDOW, 1, struct.pack(">BI", 2, 0))
    assert is_alive(client) == []
    breaks(client, frame(Type.WINDOW, 1, struct.pack(">BI", 2, 1)))


@pytest.mark.parametrize("how", ["over", "after-eof", "eof-twice",
                                 "not-asked-for", "eof-not-asked-for"])
def test_input_out_of_place(aisd, connect, how):
    client = connect()
    client.send(Type.REQUEST, 1, run_body(
        "sleep", "60", stdin="asked" not in how))
    client.hello()
    credit, = struct.unpack(">I", client.expect(Type.STARTED).payload)
    assert (credit > 0) == ("asked" not in how)
    if how == "over":
        credit += STDIN_FIRST
        # To the last byte of the credit, of which sleep takes none.
        for at in range(0, credit, PAYLOAD_MAX):
            client.send(Type.STDIN, 1, bytes(min(PAYLOAD_MAX, credit - at)))
        assert all(f.type == Type.WINDOW for f in is_alive(client))
    if "eof" in how:
        client.send(Type.STDIN_EOF, 1)
    if how == "over":
        # The pipe has taken some, for which credit may have come.
        breaks(client, b"".join(frame(Type.STDIN, 1, bytes(PAYLOAD_MAX))
                                for _ in range(10)))
    elif how == "eof-twice":
        breaks(client, frame(Type.STDIN_EOF, 1))
    elif how == "eof-not-asked-for":
        ends_with(client, Code.PROTOCOL)
    else:
        breaks(client, frame(Type.STDIN, 1, b"x"))
    aisd.wait_event("session-close")
    assert not aisd.descendants()


# Bodies.

BROKEN_BODIES = {
    "empty": b"",
    "no operation": item(Item.WORD, b"true"),
    "operation last": item(Item.WORD, b"true") + item(1, RUN),
    "operation twice": item(1, RUN) + item(1, RUN) + item(2, b"true"),
    "operation of no bytes": item(1) + item(2, b"true"),
    "operation of two bytes": item(1, b"\1\1") + item(2, b"true"),
    "operation 0": item(1, b"\0") + item(2, b"true"),
    "line with two words": item(1, b"\6") + item(2, b"true"),
    "list with a word": item(1, b"\4") + item(2, b"true"),
    "run nothing": item(1, RUN),
    "run nothing, with more": item(1, RUN) + item(Item.STDIN),
    "shell without a line": item(1, b"\2"),
    "shell with two lines": item(1, b"\2") + item(2, b"a") + item(2, b"b"),
    "two directories": item(1, b"\3") + item(2, b"/") + item(2, b"/"),
    "unknown kind, first": item(9) + run_body("true"),
    "stdin with bytes": run_body("true") + item(Item.STDIN, b"x"),
    "stdin twice": run_body("true") + 2 * item(Item.STDIN),
    "directory twice": run_body("true") + 2 * item(Item.DIRECTORY, b"/"),
    "windows twice": run_body("true") + 2 * item(Item.WINDOWS, bytes(8)),
    "windows of 7 bytes": run_body("true") + item(Item.WINDOWS, bytes(7)),
    "windows of 9 bytes": run_body("true") + item(Item.WINDOWS, bytes(9)),
    "window above the limit": run_body("true", windows=(WINDOW_MAX + 1, 0)),
    "error's above the limit": run_body("true", windows=(0, 0xffffffff)),
    "one byte more": run_body("true") + b"\2",
    "length cut": run_body("true") + b"\2\0\0\0",
    "word cut": run_body("true") + b"\2\0\0\0\2x",
    "endless word": run_body("true") + b"\2\xff\xff\xff\xffx",
    "text": b"true\n",
    "zeros": bytes(1000),
}


@pytest.mark.parametrize("name", BROKEN_BODIES)
def test_broken_body(unharmed, connect, victim, name):
    data = BROKEN_BODIES[name].replace(item(2, b"true"), b"".join(
        item(2, word.encode()) for word in victim.words))
    breaks(connect(), request_frames(1, data))


UNSUPPORTED_BODIES = {
    "operation 8": body(8, ["true"]),
    "operation 255": body(255, []),
    "kind 0": run_body("true") + item(0),
    "kind 8": run_body("true") + item(8, b"more"),
    "condition 3": run_body("true") + item(Item.IF, b"\3"),
    "kind 127": run_body("true") + item(127),
    "an operation and a kind": body(9, ["true"]) + item(9),
    "a value of no use, too": run_body("true", b"\0") + item(8),
}


@pytest.mark.parametrize("name", UNSUPPORTED_BODIES)
def test_unsupported(unharmed, connect, victim, name):
    """What a later client may ask for is refused, and the session goes on."""
    client = connect()
    client.number = 1
    client.send_raw(request_frames(1, UNSUPPORTED_BODIES[name].replace(
        item(2, b"true"), b"".join(item(2, word.encode())
                                   for word in victim.words))))
    result = client.follow(1)
    assert result.refused and result.refused.code == Code.UNSUPPORTED, result
    assert result.refused.text and not result.started
    assert client.run(["true"]).status == 0
    unharmed.commands += 1


@pytest.mark.parametrize("kind", [0x80, Item.SESSION, Item.TEXT, 0xff])
def test_items_that_may_be_skipped(connect, kind):
    client = connect()
    data = body(Operation.RUN, ["echo", "hi"], windows=(9, 9))
    client.send_raw(request_frames(1, data + item(kind, b"\0anything")))
    assert client.follow(1).stdout == b"hi\n"


USELESS_BODIES = {
    "NUL in the program": run_body(b"tr\0ue"),
    "NUL in a word": run_body("true", b"\0"),
    "NUL at the end": run_body("true", b"x\0"),
    "NUL in the environment": run_body("true", env={"A": b"\0"}),
    "NUL in the directory": run_body("true", directory=b"/\0"),
    "NUL in a new directory": body(Operation.CHDIR, [b"/\0"]),
    "NUL in a line": body(Operation.SHELL, [b"true\0"]),
    "word too long": run_body("true", b"x" * (WORD_MAX + 1)),
    "program too long": run_body(b"x" * (WORD_MAX + 1)),
    "line too long": body(Operation.SHELL, [b"#" * (WORD_MAX + 1)]),
    "environment too long": run_body(
        "true", env={"A": b"x" * (WORD_MAX - 1)}),
    "directory too long": run_body("true", directory="/" * (PATH_MAX + 1)),
    "too many items": run_body(*["true"] * ITEMS_MAX),
    "variable without =": run_body("true") + item(Item.ENV, b"A"),
    "variable of nothing": run_body("true") + item(Item.ENV, b""),
    "variable without a name": run_body("true", env={"": "x"}),
    "variable with a digit": run_body("true", env={"1A": "x"}),
    "variable with a blank": run_body("true", env={"A B": "x"}),
    "variable with a minus": run_body("true", env={"A-B": "x"}),
    "name too long": run_body("true", env={"A" * 256: "x"}),
}


@pytest.mark.parametrize("name", USELESS_BODIES)
def test_useless_value(aisd, connect, victim, name):
    """Refused, and the session goes on."""
    client = connect()
    client.hello()
    client.number = 1
    client.send_raw(request_frames(1, USELESS_BODIES[name]))
    result = client.follow(1)
    assert result.refused and result.refused.code == Code.INVALID, result
    assert result.refused.text and not result.started
    assert not aisd.events("command-start")
    assert client.run(["true"]).status == 0


def test_values_at_their_limits(connect):
    """One less than what is refused is carried out."""
    client = connect()
    for words in (["true", b"x" * WORD_MAX], ["true"] * (ITEMS_MAX - 2),
                  ["true"], ["true", ""]):
        assert client.run(words).status == 0, len(words)
    assert client.run(["true"], env={"A": b"x" * (WORD_MAX - 2)}).status == 0
    assert client.run(["true"], env={"A" * 255: "x"}).status == 0
    result = client.run(["true"], directory="/" * PATH_MAX)
    assert result.status == 0 or result.refused.code == Code.DIRECTORY
    assert client.shell(b"#" * WORD_MAX).status == 0


def test_body_up_to_its_limit(unharmed, connect, victim):
    """A body of exactly the limit is taken, in pieces of any size; one byte
    more breaks the protocol, and is known before its REQUEST."""
    fixed = len(run_body("true", windows=(0, 0)))
    words = []
    while fixed + sum(5 + len(word) for word in words) < BODY_MAX:
        left = BODY_MAX - fixed - sum(5 + len(word) for word in words) - 5
        words.append(b"x" * min(left if left <= WORD_MAX else left - 5,
                                WORD_MAX))
    data = run_body("true", *words, windows=(0, 0))
    assert len(data) == BODY_MAX
    client = connect()
    client.send_raw(request_frames(1, data))
    assert client.follow(1).status == 0
    unharmed.commands += 1
    client.send_raw(b"".join(
        frame(Type.REQUEST_PART, 2, data[at:at + PAYLOAD_MAX])
        for at in range(0, BODY_MAX, PAYLOAD_MAX)))
    is_alive(client)
    breaks(client, frame(Type.REQUEST_PART, 2, b"\2"))


def test_many_parts(unharmed, connect):
    """Of one byte each; one of none breaks the protocol, since any number of
    them would make no request."""
    client = connect()
    data = run_body("true")
    client.send_raw(b"".join(frame(Type.REQUEST_PART, 1, bytes([byte]))
                             for byte in data) + frame(Type.REQUEST, 1))
    assert client.follow(1).status == 0
    unharmed.commands += 1
    client.send(Type.REQUEST_PART, 2, data)
    breaks(client, frame(Type.REQUEST_PART, 2))
    breaks(connect(), frame(Type.REQUEST_PART, 1))


def test_numbers(unharmed, connect):
    """Any that are greater than those before, and no others."""
    for numbers in ([1, 2, 3], [7, 1000, 0x80000000, 0xfffffffe, 0xffffffff],
                    [0xffffffff]):
        client = connect()
        for number in numbers:
            client.send_raw(request_frames(number, run_body("true")))
            assert client.follow(number).status == 0
            unharmed.commands += 1
        breaks(client, request_frames(numbers[-1], run_body("true")))
    for first, second in ((5, 5), (5, 4), (0xffffffff, 1)):
        client = connect()
        client.send_raw(request_frames(first, body(Operation.CHDIR, ["/"])))
        client.follow(first)
        breaks(client, request_frames(second, run_body("true")))
        # A refused request has used up its number, too.
        client = connect()
        client.send_raw(request_frames(first, run_body("no-such-command")))
        assert client.follow(first).refused.code == Code.UNKNOWN
        unharmed.commands += 1      # It was tried, and is on record.
        breaks(client, request_frames(second, run_body("true")))


def test_no_request_within_another(unharmed, connect, victim):
    client = connect()
    breaks(client, frame(Type.REQUEST_PART, 1, run_body("true"))
           + request_frames(2, run_body(*victim.words)))
    # Nor where it waits for its turn.
    client = connect()
    breaks(client, request_frames(1, run_body("sleep", "60"))
           + frame(Type.REQUEST_PART, 2, run_body(*victim.words))
           + request_frames(3, run_body(*victim.words)))
    unharmed.commands += 1


def test_many_variables(connect, slowness):
    """As many as may be are looked at in no time, while others wait."""
    variables = [item(Item.ENV, b"LC_%06d=%0500d" % (n, n))
                 for n in range(ENV_MAX + 1)]
    client = connect()
    client.hello()
    start = time.monotonic()
    client.send_raw(request_frames(1, run_body("env", windows=(1 << 20, 0))
                                   + b"".join(variables[1:])))
    result = client.follow(1)
    assert result.stdout.count(b"LC_") == ENV_MAX
    assert time.monotonic() - start < 2 * slowness
    client.send_raw(request_frames(2, run_body("env") + b"".join(variables)))
    assert client.follow(2).refused.code == Code.INVALID


# Cuts.

def ends_of(client, how):
    """Three ways to leave without a GOODBYE."""
    {"close": client.close, "cut": lambda: client.cut(5),
     "reset": client.reset}[how]()


@pytest.mark.parametrize("how", ["close", "cut", "reset"])
def test_request_cut_at_every_byte(aisd, connect, victim, how):
    """A request is carried out whole or not at all."""
    data = request_frames(1, run_body(*victim.words, env={"A": "b"},
                                      windows=(1, 1)), piece=40)
    before = aisd.usage()
    for count, at in enumerate(range(len(data)), 1):
        client = connect()
        client.send_raw(data[:at])
        ends_of(client, how)
        aisd.wait_event("session-close", count=count)
    assert not victim.ran()
    assert not aisd.events("command-start")
    # All of it, on the other hand, runs.
    client = connect()
    client.send_raw(data)
    assert client.follow(1).status == 0
    assert victim.ran()
    client.close()
    aisd.check_usage(before)


def test_request_byte_by_byte(connect):
    """Delivered in single bytes it is the same request."""
    client = connect()
    data = request_frames(1, run_body("printf", "%s|", "a", "", "b c",
                                      windows=(100, 100)), piece=20)
    for byte in data:
        client.send_raw(bytes([byte]))
    result = client.follow(1)
    assert result.stdout == b"a||b c|" and result.status == 0


@pytest.mark.parametrize("how", ["close", "cut", "reset", "goodbye",
                                 "half a frame", "altered"])
def test_client_leaves_while_a_command_runs(aisd, connect, how, slowness):
    """Whatever way it leaves, all that it started is ended and on record."""
    client = connect()
    client.send(Type.REQUEST, 1, run_body(
        "sh", "-c", "sleep 1000 & (sleep 1000 &) ; echo; sleep 1000",
        windows=(100, 100)))
    client.hello()
    client.expect(Type.STARTED)
    client.expect(Type.STDOUT)
    # One that is about to become another program has no environment.
    wait_until(lambda: len(aisd.leftovers()) >= 3, "all of it runs")
    start = time.monotonic()
    if how == "goodbye":
        frames, end = client.goodbye()
        assert frames == [] and isinstance(end, Closed)
    elif how == "half a frame":
        client.send_raw(frame(Type.PING, 0, b"12345678")[:-1])
        client.cut(5)
    elif how == "altered":
        client.send_tcp(b"\x17\x03\x03\x00\x20" + bytes(32))
    else:
        ends_of(client, how)
    end = aisd.wait_event("command-end", request="1")
    assert end["reason"] not in ("", "exit"), end
    aisd.wait_event("session-close")
    assert not aisd.leftovers()
    assert time.monotonic() - start < 3 * slowness
    assert connect().run(["true"]).status == 0


def test_server_keeps_to_the_table(aisd, connect):
    """Its own frames, too, come in the states that the page allows."""
    client = connect()
    client.send_raw(request_frames(1, run_body(
        "sh", "-c", "echo out; echo err >&2; exit 3",
        windows=(65536, 65536))))
    frames = [client.receive()]
    while frames[-1].type != Type.EXIT:
        frames.append(client.receive())
    types = [f.type for f in frames]
    assert types[:2] == [Type.HELLO, Type.STARTED]
    assert sorted(types[2:]) == [Type.STDOUT, Type.STDERR, Type.EXIT]
    assert [f.request for f in frames] == [0, 1, 1, 1, 1]
    kinds = {kind for kind, _ in client_items(frames[0].payload)}
    assert kinds >= {Item.SESSION, Item.SERVER, Item.PEER}


def client_items(payload):
    """Items, by the letter of the page."""
    while payload:
        kind, length = struct.unpack(">BI", payload[:5])
        assert len(payload) >= 5 + length
        yield kind, payload[5:5 + length]
        payload = payload[5 + length:]


# Late frames, pings, early requests.

def test_late_frames_are_ignored(connect):
    """They have crossed with the end of their request; nobody looks at them,
    not even at their payload."""
    client = connect()
    assert client.run(["true"], stdin=b"").status == 0
    assert client.run(["no-such-command"]).refused
    assert client.chdir("/").directory == b"/"
    for number in (1, 2, 3):
        for type in OF_REQUEST:
            for payload in (b"", b"\0", b"x" * 100, PAYLOADS.get(type, b"")):
                client.send(type, number, payload)
    assert is_alive(client) == []
    # During the next one, as well.
    client.send(Type.REQUEST, 4, run_body("cat", stdin=True,
                                          windows=(100, 100)))
    client.expect(Type.STARTED)
    client.send(Type.STDIN, 3, b"not for this one")
    client.send(Type.STDIN, 4, b"this")
    client.send(Type.SIGNAL, 1, b"KILL")
    client.send(Type.STDIN_EOF, 2)
    client.send(Type.STDIN_EOF, 4)
    result = client.follow(4)
    assert (result.stdout, result.status) == (b"this", 0)


def test_features(aisd, connect):
    """Each side says what it can, and ignores what it does not know."""
    client = connect()
    assert client.hello()[Item.FEATURES].split() == [b"cancel", b"close"]
    for names in (b"cancel close", b"", b"  ", b"fly swim", b"\0\xff" * 500):
        number = client.next_number()
        client.send_raw(request_frames(number, run_body("true")
                                       + item(Item.FEATURES, names)))
        assert client.follow(number).status == 0


@pytest.mark.parametrize("words", [
    ["sleep", "60"], ["sh", "-c", "trap '' TERM; sleep 60 & sleep 60; wait"],
    ["sh", "-c", "setsid sleep 60 & sleep 60"]])
def test_cancel(make_aisd, connect, words):
    """One request ends with its whole tree, and the session goes on."""
    daemon = make_aisd(kill_grace=0.5)
    client = connect(daemon=daemon)
    number = client.ask(words)
    client.hello()
    client.expect(Type.STARTED)
    client.cancel()
    client.cancel()
    result = client.follow(number)
    assert result.exit.reason == Code.CANCELLED and result.status is None
    assert not daemon.leftovers()
    end = daemon.wait_event("command-end", request=str(number))
    assert end["reason"] == "cancelled"
    client.cancel(number)               # Late, and so ignored.
    assert client.run(["true"]).status == 0
    # Right after the request, and with more to say than we know of.
    number = client.ask(["sleep", "60"])
    client.send(Type.CANCEL, number, item(0x90, b"politely"))
    result = client.follow(number)
    assert result.refused or result.exit.reason == Code.CANCELLED
    assert client.run(["true"]).status == 0


def test_close_of_an_output(aisd, connect):
    """Who writes to it gets SIGPIPE, and nothing else of it comes."""
    client = connect()
    number = client.ask(["yes"], windows=(100, 100))
    client.hello()
    client.expect(Type.STARTED)
    client.expect(Type.STDOUT)
    client.close_output(Stream.STDOUT)
    client.close_output(Stream.STDOUT)
    result = client.follow(number)
    assert result.exit.signal == "PIPE" and result.exit.reason == 0
    assert not result.stdout
    # The other one goes on.
    number = client.ask(["sh", "-c", "read go; (echo out); echo err >&2"],
                        stdin=True, windows=(100, 100))
    client.close_output(Stream.STDOUT)
    client.send(Type.STDIN, number, b"go\n")
    result = client.follow(number)
    assert (result.stdout, b"err\n" in result.stderr) == (b"", True)
    # What is no command has nobody to tell.
    number = client.next_number()
    client.send_raw(request_frames(number, body(Operation.CHDIR, ["/"]))
                    + frame(Type.CLOSE, number, bytes([Stream.STDOUT])))
    assert client.follow(number).directory == b"/"


def test_input_right_after_the_request(connect):
    """The first credit needs no STARTED, also where nobody wants the input."""
    data = os.urandom(STDIN_FIRST)
    client = connect()

    def ask(words, operation=Operation.RUN):
        number = client.next_number()
        client.send_raw(
            request_frames(number, body(operation, words, stdin=True,
                                        windows=(1 << 20, 1 << 20)))
            + frame(Type.STDIN, number, data[:40000])
            + frame(Type.STDIN, number, data[40000:])
            + frame(Type.STDIN_EOF, number))
        return client.follow(number)
    assert ask(["cat"]).stdout == data
    assert ask(["true"]).status == 0
    assert ask(["no-such-command"]).refused.code == Code.UNKNOWN
    assert ask([b"a\0b"]).refused.code == Code.INVALID
    assert ask([], Operation.LIST).status == 0
    assert ask(["/"], Operation.CHDIR).directory == b"/"
    assert ask(["cat"]).stdout == data
    client.send_raw(request_frames(99, run_body("sleep", "60", stdin=True))
                    + frame(Type.STDIN, 99, data[:PAYLOAD_MAX]))
    is_alive(client)


@pytest.mark.parametrize("operation, words", [
    (Operation.RUN, ["sleep", "60"]), (Operation.LIST, [])])
def test_first_credit_has_an_end(connect, operation, words):
    """Where no input is wanted, there is no other."""
    client = connect()
    client.send_raw(request_frames(1, body(operation, words, stdin=True)))
    client.hello()
    credit, = struct.unpack(">I", client.expect(Type.STARTED).payload)
    assert (credit == 0) == (operation == Operation.LIST)
    breaks(client, b"".join(
        frame(Type.STDIN, 1, bytes(PAYLOAD_MAX))
        for _ in range((credit + STDIN_FIRST) // PAYLOAD_MAX + 6)))


def test_end_of_input_right_after_the_request(connect):
    client = connect()
    client.send_raw(request_frames(1, run_body("cat", stdin=True))
                    + frame(Type.STDIN_EOF, 1))
    assert client.follow(1).status == 0


def test_pings(connect):
    """Each is answered with its own payload, in order, also in the middle of
    a command that does nothing and may send nothing."""
    client = connect()
    client.hello()
    for size in range(9):
        client.send(Type.PING, 0, bytes(range(size)))
        assert client.receive() == (Type.PONG, 0, bytes(range(size)))
    client.send(Type.REQUEST, 1, run_body("yes", stdin=True))
    client.expect(Type.STARTED)
    for n in range(300):
        client.send(Type.PING, 0, struct.pack(">I", n))
    for n in range(300):
        assert client.receive() == (Type.PONG, 0, struct.pack(">I", n))
    # And SIGNAL passes what waits; the rest comes when there is credit.
    client.signal("TERM", 1)
    client.send(Type.WINDOW, 1, struct.pack(">BI", Stream.STDOUT, 1 << 20))
    assert client.follow(1).signal == 15
    client.send(Type.PONG, 0, b"unasked")
    assert is_alive(client) == []


@pytest.mark.alone
def test_client_that_does_not_read_its_answers(aisd, connect, measurable):
    """It is dropped; the queue of answers does not grow without end."""
    first = connect()
    first.hello()
    first.close()
    aisd.wait_event("session-close")
    before = aisd.usage()
    client = connect(timeout=30)
    client.hello()
    pings = frame(Type.PING, 0, b"12345678") * 3000

    def flood():
        try:
            for _ in range(2000):
                client.send_raw(pings)
        except (Cut, TimeoutError):
            pass
    thread = threading.Thread(target=flood, daemon=True)
    thread.start()
    aisd.wait_event("session-close", count=2, timeout=30)
    aisd.check_usage(before, rss_kib=2048)
    thread.join(30)
    assert not thread.is_alive()


def test_request_before_hello(connect):
    """In one piece with the end of the handshake, and not lost."""
    for _ in range(20):
        client = connect()
        client.send_raw(request_frames(1, run_body("echo", "early",
                                                   windows=(9, 9))))
        assert client.follow(1).stdout == b"early\n"
        client.close()


# The line.

def test_waiting(aisd, connect, victim):
    """Places in the line are told, and nothing runs before its turn."""
    first, second, third = connect(), connect(), connect()
    first.hello()
    assert second.expect(Type.WAITING).payload == waiting_payload(1, Waiting.OWN)
    assert third.expect(Type.WAITING).payload == waiting_payload(2, Waiting.OWN)
    third.send_raw(request_frames(1, run_body(*victim.words)))
    assert first.run(["true"]).status == 0
    assert not victim.ran()
    first.close()
    second.hello()
    assert second.run(["true"]).status == 0
    assert third.expect(Type.WAITING).payload == waiting_payload(1, Waiting.OWN)
    assert not victim.ran()
    second.close()
    assert third.follow(1).status == 0
    assert victim.ran() and third.session


def test_leaving_the_line(aisd, connect):
    """Who leaves makes room for those behind."""
    first, second, third = connect(), connect(), connect()
    first.hello()
    second.expect(Type.WAITING)
    assert third.expect(Type.WAITING).payload == waiting_payload(2, Waiting.OWN)
    second.reset()
    assert third.expect(Type.WAITING).payload == waiting_payload(1, Waiting.OWN)
    first.close()
    third.hello()


def test_full_line(make_aisd, connect):
    daemon = make_aisd(max_waiting=1)
    first, second = connect(daemon=daemon), connect(daemon=daemon)
    first.hello()
    second.expect(Type.WAITING)
    frames = ends_with(connect(daemon=daemon), Code.BUSY)
    assert retry(frames[-1].payload) == 3000
    first.close()
    second.hello()


def test_idle_session(make_aisd, connect, slowness):
    """An idle session ends, whether it is silent, pings, or sends a request a
    byte at a time."""
    daemon = make_aisd(idle_timeout=1)
    silent = connect(daemon=daemon)
    start = time.monotonic()
    silent.hello()
    ends_with(silent, Code.TIMEOUT)
    assert 0.9 < time.monotonic() - start < 3 * slowness

    for before in (0, 1):
        busy = connect(daemon=daemon)
        busy.hello()
        if before:
            # Its output may be on its way still, which takes a look or two.
            assert busy.run(["seq", "1000"]).status == 0
        start = time.monotonic()
        with pytest.raises((Goodbye, Closed, Cut)) as ended:
            while True:
                busy.send(Type.REQUEST_PART, 9, b"x")
                busy.send(Type.PING, 0)
                got = busy.receive()
                if got.type != Type.PONG:
                    busy.other(got)
        assert ended.type != Goodbye or ended.value.code == Code.TIMEOUT
        assert 0.9 < time.monotonic() - start < (3 + 2 * before) * slowness
    # One whose command runs is not idle.
    third = connect(daemon=daemon)
    assert third.run(["sleep", "1.5"]).status == 0


@pytest.mark.parametrize("limit", ["time_limit", "idle_timeout"])
def test_output_that_nobody_takes(make_aisd, connect, limit, slowness):
    """A command that has ended does not hold the session for ever, because
    its client grants no credit for what it has left."""
    daemon = make_aisd(**{limit: 1})
    client = connect(daemon=daemon)
    client.send_raw(request_frames(1, run_body("echo", "x")))
    client.hello()
    start = time.monotonic()
    if limit == "time_limit":
        result = client.follow(1)
        client.number = 1
        assert result.exit.reason == Code.TIMEOUT and not result.stdout
        assert client.run(["true"]).status == 0
    else:
        client.expect(Type.STARTED)
        ends_with(client, Code.TIMEOUT)
    assert 0.9 < time.monotonic() - start < 3 * slowness
    daemon.wait_event("command-end", request="1")


def test_stopping(aisd, connect):
    """SIGTERM: the command is ended, and everybody is told why."""
    client, waiting = connect(), connect()
    client.hello()
    waiting.expect(Type.WAITING)
    client.send(Type.REQUEST, 1, run_body("sleep", "60", windows=(9, 9)))
    client.expect(Type.STARTED)
    aisd.process.terminate()
    ends_with(waiting, Code.STOPPING)
    result = client.follow(1)
    assert result.exit.reason == Code.STOPPING and result.status is None
    ends_with(client, Code.STOPPING)


# Many.

@pytest.mark.alone
def test_thousand_commands_in_one_session(aisd, connect, measurable):
    client = connect()

    def commands(count):
        for _ in range(count):
            assert client.run(["true"]).status == 0
    commands(100)
    before = aisd.usage()
    commands(1000)
    aisd.check_usage(before, fds=0, rss_kib=256)


@pytest.mark.alone
def test_thousand_sessions(aisd, connect, measurable):
    def sessions(count):
        for _ in range(count):
            client = connect()
            assert client.run(["true"]).status == 0
            client.close()
    sessions(100)
    aisd.wait_event("session-close", count=100)
    before = aisd.usage()
    sessions(1000)
    aisd.wait_event("session-close", count=1100)
    aisd.check_usage(before, fds=0, rss_kib=256)
