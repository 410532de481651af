# SPDX-License-Identifier: ISC
"""Requests that are sent before their turn, and scripts that send them."""

import contextlib
import json
import os
import random
import re
import signal
import struct
import subprocess
import threading
import time

import pytest

import wire
from aisc import said
from aisd import wait_until
from machine import SLOWNESS
from proxy import Proxy
from test_commands import everything
from wire import Code, Item, Operation, Type, body, request_frames

REQUESTS, BYTES = 16, 65536
ANY, ENDED, SUCCEEDED = None, 1, 2
CANCELS = wire.item(Item.FEATURES, b"cancel close")
OFFER = CANCELS + wire.item(Item.AHEAD, struct.pack(">II", REQUESTS, BYTES))


def run_frames(number, *words, condition=None, window=1 << 20):
    return request_frames(number, body(
        Operation.RUN, words, windows=(window, window), condition=condition))


def started(aisd):
    """The commands on record, in order."""
    return [e["argv"] for e in aisd.events("command-start")]


# What the server does.

def test_answers_in_order(aisd, connect):
    client = connect()
    client.send_raw(b"".join(run_frames(n, "sh", "-c", f"echo {n}; exit {n}")
                             for n in range(1, REQUESTS + 2)))
    client.hello()
    for n in range(1, REQUESTS + 2):
        result = client.follow(n)
        assert (result.status, result.stdout) == (n, b"%d\n" % n)
    records = aisd.events("command-start")
    assert [r["request"] for r in records] == [
        str(n) for n in range(1, REQUESTS + 2)]
    assert aisd.wait_event("command-end", REQUESTS + 1)


def test_hello_says_how_many(connect):
    client = connect()
    assert client.hello()[Item.AHEAD] == struct.pack(">II", REQUESTS, BYTES)


# What becomes of a request, for the conditions of those behind it: words, and
# what it meets.
KINDS = {
    "good": (["true"], SUCCEEDED),
    "bad": (["sh", "-c", "exit 3"], ENDED),
    "killed": (["sh", "-c", "kill -9 $$"], ENDED),
    "unknown": (["no-such-program"], 0),
    "invalid": (["echo", b"\0"], 0),
}


@pytest.mark.parametrize("seed", range(20))
def test_conditions(aisd, connect, seed):
    """Random rows, against what the page says of them."""
    chance = random.Random(seed)
    client = connect()
    client.hello()
    met, number, ran = SUCCEEDED, 0, []
    for _ in range(5):
        row = [(chance.choice(list(KINDS)),
                chance.choice([ANY, ENDED, SUCCEEDED]))
               for _ in range(REQUESTS)]
        client.send_raw(b"".join(
            run_frames(number + n + 1, *KINDS[kind][0], condition=condition)
            for n, (kind, condition) in enumerate(row)))
        for kind, condition in row:
            number += 1
            result = client.follow(number)
            if kind == "invalid":
                # It is looked at before its condition is.
                assert result.refused.code == Code.INVALID
                met = 0
            elif (condition or 0) > met:
                assert result.refused.code == Code.SKIPPED
            else:
                met = KINDS[kind][1]
                assert (result.exit is None) == (met == 0)
                if met:
                    ran.append(number)
    aisd.wait_event("command-end", len(ran))
    starts = {int(e["request"]) for e in aisd.events("command-start")}
    assert set(ran) <= starts
    # What was skipped is not on record.
    for n in set(range(1, number + 1)) - starts:
        assert not aisd.events(request=str(n))


def test_change_of_directory_is_a_success(connect, tmp_path):
    client = connect()
    client.send_raw(
        request_frames(1, body(Operation.CHDIR, [str(tmp_path)]))
        + run_frames(2, "pwd", condition=SUCCEEDED)
        + request_frames(3, body(Operation.CHDIR, ["/no/such"]))
        + run_frames(4, "pwd", condition=ENDED))
    client.hello()
    assert client.follow(1).directory == os.fsencode(tmp_path)
    assert client.follow(2).stdout == os.fsencode(tmp_path) + b"\n"
    assert client.follow(3).refused.code == Code.DIRECTORY
    assert client.follow(4).refused.code == Code.SKIPPED


def test_a_limit_is_no_end(serve):
    _, client = serve(everything(time_limit=0.5))
    client.send_raw(run_frames(1, "sleep", "60")
                    + run_frames(2, "true", condition=ENDED)
                    + run_frames(3, "true"))
    assert client.follow(1).exit.reason == Code.TIMEOUT
    assert client.follow(2).refused.code == Code.SKIPPED
    assert client.follow(3).status == 0


def test_cancel_what_waits(aisd, connect):
    """It is refused in its turn; the others are as if it had not been sent."""
    client = connect()
    client.hello()
    client.send_raw(run_frames(1, "sleep", "60")
                    + run_frames(2, "touch", "/no/such/place")
                    + run_frames(3, "echo", "three", condition=ENDED)
                    + run_frames(4, "true", condition=SUCCEEDED))
    for number in 4, 2, 2:
        client.cancel(number)
    client.cancel(1)
    assert client.follow(1).exit
    client.send_raw(run_frames(5, "true", condition=ENDED))
    refused = [client.follow(n).refused for n in (2, 3, 4, 5)]
    assert [r.code for r in refused] == [
        Code.CANCELLED, Code.SKIPPED, Code.CANCELLED, Code.SKIPPED]
    assert len(started(aisd)) == 1


def test_refusals_that_are_taken_slowly(aisd, connect):
    """Behind output that fills the queue they have to wait for room."""
    client = connect()
    client.hello()
    client.send_raw(run_frames(1, "head", "-c", "300000", "/dev/zero")
                    + b"".join(run_frames(n, "n" * 900)
                               for n in range(2, REQUESTS + 2)))
    aisd.wait_event("command-start")
    time.sleep(0.5)
    assert client.follow(1).status == 0
    assert all(client.follow(n).refused for n in range(2, REQUESTS + 2))


def test_a_cancel_that_is_malformed(connect):
    client = connect()
    client.hello()
    client.send_raw(run_frames(1, "sleep", "60") + run_frames(2, "true"))
    client.expect(Type.STARTED, 1)
    client.send(Type.CANCEL, 2, b"x")
    assert client.until_end()[0][-1].type == Type.GOODBYE


def test_ping_is_answered_while_others_wait(connect):
    client = connect()
    client.hello()
    client.send_raw(run_frames(1, "sleep", "0.5")
                    + b"".join(run_frames(n, "true") for n in range(2, 18)))
    client.send(Type.PING, 0, b"hello")
    before = []
    while not before or before[-1] != Type.PONG:
        before.append(client.receive().type)
    assert Type.EXIT not in before
    if Type.STARTED not in before:
        client.expect(Type.STARTED, 1)
    assert client.expect(Type.EXIT, 1)
    for n in range(2, 18):
        assert client.follow(n).status == 0


@pytest.mark.parametrize("size", [0, 1])
def test_as_much_as_may_wait(aisd, connect, size):
    """So many, or so many bytes, and no more."""
    client = connect()
    client.hello()
    first = run_frames(1, "sleep", "60")
    rows = b"".join(run_frames(n, "true")
                    for n in range(2, REQUESTS + 2 + size))
    client.send_raw(first + rows)
    if size:
        assert client.until_end()[0][-1].type == Type.GOODBYE
    else:
        client.cancel(1)
        assert client.follow(1).exit
        assert all(client.follow(n).status == 0
                   for n in range(2, REQUESTS + 2))
    second = connect()
    second.hello()
    room = BYTES + size - len(body(Operation.RUN, ["true", ""],
                                   windows=(1, 1)))
    second.send_raw(
        first + request_frames(2, body(Operation.RUN, ["true", "x" * room],
                                       windows=(1, 1)), 1000))
    if size:
        assert second.until_end()[0][-1].type == Type.GOODBYE
    else:
        second.cancel(1)
        assert second.follow(1).exit
        assert second.follow(2).status == 0
    wait_until(lambda: not aisd.descendants(), "all have ended")


def test_what_waits_ends_with_the_session(aisd, connect, tmp_path):
    client = connect()
    client.hello()
    client.send_raw(run_frames(1, "sleep", "60") + b"".join(
        run_frames(n, "touch", str(tmp_path / "ran")) for n in range(2, 10)))
    client.expect(Type.STARTED, 1)
    client.close()
    aisd.wait_event("session-close")
    assert len(started(aisd)) == 1
    assert not (tmp_path / "ran").exists()


def test_a_turn_is_over_between_two(make_aisd, connect, alice):
    """Others are not kept waiting by what a client has sent ahead."""
    aisd = make_aisd(turn=1)
    client = connect(daemon=aisd)
    client.hello()
    client.send_raw(b"".join(run_frames(n, "sleep", "0.6")
                             for n in range(1, 12)))
    client.expect(Type.STARTED, 1)
    other = connect(daemon=aisd)
    with pytest.raises(wire.Goodbye) as said_it:
        for n in range(1, 12):
            client.follow(n)
    assert said_it.value.code == Code.TURN
    other.hello()
    assert other.run(["true"]).status == 0
    assert len(started(aisd)) < 8


def test_nothing_begins_while_it_stops(make_aisd, connect):
    aisd = make_aisd()
    client = connect(daemon=aisd)
    client.hello()
    client.send_raw(run_frames(1, "sleep", "60")
                    + b"".join(run_frames(n, "true") for n in range(2, 10)))
    client.expect(Type.STARTED, 1)
    aisd.process.send_signal(signal.SIGTERM)
    frames, _ = client.until_end()
    assert [f.type for f in frames] == [Type.EXIT, Type.GOODBYE]
    assert len(started(aisd)) == 1


# What aisc does with it.

class Server:
    """A script of a server that runs nothing; "offer" is what HELLO has."""

    def __init__(self, offer=OFFER):
        self.offer = offer
        self.most = 0           # Requests that were there at once.
        self.words = []
        self.conditions = []

    def answer(self, peer, request):
        peer.started(request)
        peer.stdout(request, b" ".join(request.words) + b"\n")
        peer.exit(request, int(request.words[1]))

    def __call__(self, peer):
        request = peer.expect_request()
        waiting = [request]
        peer.hello(more=self.offer)
        while waiting:
            try:
                while True:
                    waiting.append(peer.expect_request(0.2 * SLOWNESS))
            except TimeoutError:
                pass
            except (wire.Closed, wire.Cut):
                return
            self.most = max(self.most, len(waiting))
            request = waiting.pop(0)
            self.words.append(request.words)
            self.conditions.append(request.condition)
            self.answer(peer, request)
            if not waiting:
                try:
                    waiting.append(peer.expect_request())
                except (wire.Closed, wire.Cut):
                    return


def test_a_script_goes_ahead(aisc, fake_server, tmp_path):
    server, file = Server(), tmp_path / "script"
    file.write_text("# A comment.\n\n" + "".join(
        f"say {n % 3}\n" for n in range(25)))
    done = aisc.run(fake_server(server).port, options=["-f", str(file)])
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == b"".join(b"say %d\n" % (n % 3) for n in range(25))
    assert server.most == REQUESTS + 1
    assert server.conditions == [0] + 24 * [ENDED]


@pytest.mark.parametrize("offer", [
    b"", CANCELS, CANCELS + wire.item(Item.AHEAD, bytes(8)),
    CANCELS + wire.item(Item.AHEAD, struct.pack(">II", 9, 10)),
    # What was sent could not be taken back.
    wire.item(Item.AHEAD, struct.pack(">II", 9, 9000))])
def test_a_server_that_takes_none(aisc, fake_server, offer):
    server = Server(offer)
    done = aisc.run(fake_server(server).port, input=b"say 0\n" * 5)
    assert (done.returncode, done.stdout) == (0, b"say 0\n" * 5)
    assert server.most == 1
    assert server.conditions == 5 * [0]


@pytest.mark.parametrize("options, condition", [
    ([], ENDED), (["--stop-on-error"], SUCCEEDED), (["--keep-going"], 0)])
def test_on_which_condition(aisc, fake_server, options, condition):
    server = Server()
    done = aisc.run(fake_server(server).port, input=b"say 0\n" * 4,
                    options=options)
    assert done.returncode == 0
    assert server.conditions == [0] + 3 * [condition]


def test_only_up_to_a_line_of_our_own(aisc, fake_server):
    """What is for aisc, and what is no command, comes in its turn."""
    server = Server()
    done = aisc.run(fake_server(server).port,
                    input=b"say 0\nsay 1\npwd | x\nsay 2\n")
    assert (done.returncode, said(done.stderr)) == (255, "invalid")
    assert server.words == [[b"say", b"0"], [b"say", b"1"]]
    server.words.clear()
    done = aisc.run(fake_server(server).port,
                    input=b"say 0\nsay 1\nexit 7\nsay 2\n")
    assert done.returncode == 7
    assert server.words == [[b"say", b"0"], [b"say", b"1"]]


def test_bodies_that_do_not_fit(aisc, fake_server):
    """A long command waits until there is room, or goes in its own turn."""
    server = Server()
    words = ["x" * 20_000, "y" * 50_000, "z" * 130_000, "w"]
    done = aisc.run(fake_server(server).port, input="".join(
        f"say 0 {word}\n" for word in words * 3).encode())
    assert done.returncode == 0, done.stderr
    assert [w[2].decode() for w in server.words] == words * 3
    assert server.most < 5


@contextlib.contextmanager
def told_to(tmp_path):
    """Options and keywords for aisc to tell of each command; and what it has
    told, once it has ended."""
    told = []
    with open(tmp_path / "told", "w+b") as file:
        yield ([f"--status-fd={file.fileno()}"],
               {"popen": {"pass_fds": [file.fileno()]}}, told)
        file.seek(0)
        told += [json.loads(line) for line in file]


LINES = {
    "true": (0, "done"), "sh -c 'exit 3'": (3, "done"),
    "sh -c 'echo out; echo err >&2'": (0, "done"),
    "sh -c 'kill -9 $$'": (128 + 9, "done"),
    "no-such-program": (127, "unknown"),
    "head -c 100000 /dev/zero": (0, "done"),
    "# nothing": None, "pwd": (0, "done"), "cd /": (0, "done"),
    "cd /no/such": (255, "directory"),
}


@pytest.mark.parametrize("seed", range(25))
def test_the_same_as_one_after_the_other(aisc, aisd, tmp_path, seed):
    """Random scripts: what runs, what is on record and what is told of each
    line is what it would be if the next line were not yet written."""
    chance = random.Random(seed)
    lines = chance.choices(list(LINES), k=chance.randrange(1, 40))
    if chance.random() < 0.7:
        lines = [x for x in lines if x not in ("no-such-program",
                                               "cd /no/such")]
    stop, going = chance.choice([(0, 0), (0, 1), (1, 0)])
    expected, status = [], 0
    for number, line in enumerate(lines, 1):
        if LINES[line] is None:
            continue
        status, how = LINES[line]
        expected.append((number, status, how))
        if status != 0 and stop or how != "done" and not (
                going and line == "no-such-program"):
            break
    with told_to(tmp_path) as (options, how, told):
        done = aisc.run(aisd.port, input="\n".join(lines + [""]).encode(),
                        options=options + ["--stop-on-error"] * stop
                        + ["--keep-going"] * going, **how)
    assert [(t.get("line"), t["status"], t["class"]) for t in told
            if "line" in t] == expected, (lines, done)
    assert done.returncode == status
    ran = [n for n, _, _ in expected
           if not lines[n - 1].startswith(("cd ", "pwd"))]
    assert len(started(aisd)) == len(ran)
    assert done.stdout.count(b"\0") == 100_000 * sum(
        lines[n - 1].startswith("head") for n in ran)


def test_interrupted(aisc, aisd, tmp_path):
    """At any moment: what has begun is the beginning of the script."""
    chance = random.Random(5)
    script = "".join(f"sh -c 'sleep 0.02; echo {n} >>{tmp_path}/ran'\n"
                     for n in range(100))
    for _ in range(15):
        (tmp_path / "ran").write_text("")
        before = len(started(aisd))
        process = aisc.start(aisd.port, stdin=subprocess.PIPE)
        process.stdin.write(script.encode())
        process.stdin.close()
        wait_until(lambda: (tmp_path / "ran").read_text(), "one has run")
        time.sleep(chance.random() / 3)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == -signal.SIGINT, process.stderr.read()
        process.stdout.close()
        process.stderr.close()
        wait_until(lambda: len(aisd.events("command-end"))
                   == len(aisd.events("command-start")), "all have ended")
        ran = (tmp_path / "ran").read_text().split()
        assert ran == [str(n) for n in range(len(ran))]
        assert len(ran) <= len(started(aisd)) - before <= len(ran) + 1 < 100


def test_a_command_that_takes_the_interrupt(aisc, aisd):
    """The script ends behind it all the same: who typed Ctrl-C did not do it
    for a command that takes a hundredth of a second."""
    script = ("sh -c 'trap \"echo taken; exit 0\" INT; echo ready; "
              "while :; do sleep 0.1; done'\n" +
              "".join(f"echo {n}\n" for n in range(30)))
    process = aisc.start(aisd.port, stdin=subprocess.PIPE)
    process.stdin.write(script.encode())
    process.stdin.close()
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGINT)
    assert process.stdout.read() == b"taken\n"
    assert process.wait(60) == -signal.SIGINT, process.stderr.read()
    assert len(started(aisd)) == 1
    process.stdout.close()
    process.stderr.close()


def test_interrupted_as_the_turn_ends(aisc, fake_server):
    """The command is not run in another session after its Ctrl-C."""
    second, ready = [], threading.Event()

    def first(peer):
        request = peer.expect_request()
        peer.hello()
        peer.started(request)
        peer.exit(request)
        peer.expect_request()
        ready.set()
        assert peer.expect(Type.SIGNAL).payload == b"INT"
        peer.goodbye(Code.TURN, "enough")
        peer.drain()

    def again(peer):
        second.append(peer)
        peer.drain()
    process = aisc.start(fake_server([first, again]).port,
                         stdin=subprocess.PIPE)
    process.stdin.write(b"one\ntwo\nthree\n")
    process.stdin.close()
    assert ready.wait(30)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == -signal.SIGINT, process.stderr.read()
    assert not second
    process.stdout.close()
    process.stderr.close()


@pytest.mark.parametrize("script", [b"list\nafter\n", b"one\nafter\n"])
def test_interrupted_and_the_server_answers_all_the_same(aisc, fake_server,
                                                         script):
    ran, ready = [], threading.Event()

    def serve(peer):
        request = peer.expect_request()
        peer.hello()
        ran.append(request.words)
        peer.started(request)
        ready.set()
        assert peer.expect(Type.SIGNAL).payload == b"INT"
        peer.exit(request)
        try:
            ran.append(peer.expect_request().words)
        except (wire.Closed, wire.Cut):
            pass
    process = aisc.start(fake_server(serve).port, stdin=subprocess.PIPE)
    process.stdin.write(script)
    process.stdin.close()
    assert ready.wait(30)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == -signal.SIGINT, process.stderr.read()
    assert len(ran) == 1
    process.stdout.close()
    process.stderr.close()


def test_quit_is_for_the_command_alone(aisc, aisd):
    """A thread dump of Java's, say, and the script goes on."""
    process = aisc.start(aisd.port, stdin=subprocess.PIPE)
    process.stdin.write(b"sh -c 'trap \"echo dump; exit 0\" QUIT; echo ready; "
                        b"while :; do sleep 0.1; done'\n"
                        b"echo two\necho three\n")
    process.stdin.close()
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGQUIT)
    assert process.stdout.read() == b"dump\ntwo\nthree\n"
    assert process.wait(60) == 0, process.stderr.read()
    process.stdout.close()
    process.stderr.close()


def test_capture_that_is_full(aisc, aisd):
    """One output too long to be kept is no reason to leave out others."""
    done = aisc.run(aisd.port, input=b"head -c 17000000 /dev/zero\n"
                    + b"echo x\n" * 20,
                    options=["--json", "--capture", "--keep-going"])
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [t["class"] for t in told] == ["resources"] + 20 * ["done"]
    assert done.returncode == 0


def test_capture_is_looked_at_first(aisc, fake_server):
    """What ends the script may be known only when a command has ended."""
    server = Server()
    done = aisc.run(fake_server(server).port, input=b"say 0\n" * 4,
                    options=["--json", "--capture"])
    assert (done.returncode, server.most) == (0, 1)


def test_questions_that_wait(connect):
    """LIST and CAN have their turn at once as well."""
    client = connect()
    client.hello()
    began = time.monotonic()
    client.send_raw(run_frames(1, "sleep", "0.2") + b"".join(
        request_frames(n, body(operation, windows=(1 << 20, 1 << 20)))
        for n, operation in ((2, Operation.LIST), (3, Operation.CAN),
                             (4, Operation.LIST))))
    assert all(client.follow(n).status == 0 for n in range(1, 5))
    assert time.monotonic() - began < 3 * SLOWNESS


def test_output_that_nobody_reads_for_long(aisc, make_aisd):
    """As where a pager shows it: sessions end meanwhile, and each command runs
    once."""
    aisd = make_aisd(idle_timeout=1, dead_timeout=3)
    script = "".join(f"sh -c 'yes {n} | head -c 200000'\n"
                     for n in range(12))
    process = aisc.start(aisd.port, stdin=subprocess.PIPE)
    process.stdin.write(script.encode())
    process.stdin.close()
    wait_until(lambda: aisd.events("session-close"), "it was idle")
    out = process.stdout.read()
    assert process.wait(60) == 0, process.stderr.read()
    process.stdout.close()
    process.stderr.close()
    assert out == b"".join((b"%d\n" % n * 200000)[:200000]
                           for n in range(12))
    assert len(started(aisd)) == 12


def test_ping_while_output_is_not_read(aisc, fake_server):
    """What waits behind output does not keep the server from seeing us."""
    answers = []

    def script(peer):
        request = peer.expect_request()
        peer.hello(more=OFFER)
        other = peer.expect_request()
        peer.started(request)
        peer.stdout(request, bytes(1_000_000))
        peer.exit(request)
        peer.started(other)
        peer.stdout(other, b"x")
        for _ in range(3):
            peer.send(Type.PING, 0, b"there?")
            while True:
                got = peer.receive()
                if got.type == Type.PONG:
                    break
            answers.append(got.payload)
        peer.exit(other)
        peer.drain()
    process = aisc.start(fake_server(script).port, stdin=subprocess.PIPE)
    process.stdin.write(b"one\ntwo\n")
    process.stdin.close()
    wait_until(lambda: len(answers) == 3, "it has answered")
    assert process.stdout.read() == bytes(1_000_000) + b"x"
    assert process.wait(60) == 0, process.stderr.read()
    assert answers == 3 * [b"there?"]
    process.stdout.close()
    process.stderr.close()


@pytest.mark.parametrize("end", ["eof", "goodbye", "cut"])
def test_the_session_ends_behind_output_that_waits(aisc, fake_server, end):
    """The answers that had come count, and what has begun is not run again."""
    rest = []

    def first(peer):
        request = peer.expect_request()
        peer.hello(more=OFFER)
        others = [peer.expect_request() for _ in range(3)]
        peer.started(request)
        peer.stdout(request, bytes(500_000))
        peer.exit(request)
        peer.started(others[0])
        peer.exit(others[0], 0)
        if end == "goodbye":
            peer.goodbye(Code.TURN, "enough")
        elif end == "cut":
            peer.started(others[1])
            peer.cut()
        peer.drain() if end == "goodbye" else None

    def second(peer):
        peer.hello()
        for _ in range(2):
            request = peer.expect_request()
            rest.append(request.words)
            peer.started(request)
            peer.exit(request)
        peer.drain()
    process = aisc.start(fake_server([first, second]).port,
                         stdin=subprocess.PIPE)
    process.stdin.write(b"one\ntwo\nthree\nfour\n")
    process.stdin.close()
    time.sleep(0.5)
    assert len(process.stdout.read()) == 500_000
    err = process.stderr.read()
    status = process.wait(60)
    process.stdout.close()
    process.stderr.close()
    if end == "goodbye":
        assert (status, rest) == (0, [[b"three"], [b"four"]]), err
    else:
        assert (status, said(err), rest) == (255, "lost", []), err
        assert b"line 3" in err
        assert b"of what follows in the script, up to 1 command may have " \
            b"run too" in err


def test_lost_at_any_moment(aisc, aisd, tmp_path):
    """What may have run and what cannot have is told, wherever it is cut."""
    chance = random.Random(7)
    for _ in range(15):
        before = len(started(aisd))
        between = Proxy(aisd.port)
        with told_to(tmp_path) as (options, how, told):
            process = aisc.start(between.port, stdin=subprocess.PIPE,
                                 options=options, **how)
            process.stdin.write(b"sh -c 'sleep 0.01'\n" * 200)
            process.stdin.close()
            wait_until(lambda: len(started(aisd)) > before, "one has begun")
            time.sleep(chance.random() / 2)
            between.close()
            err = process.stderr.read()
            process.wait(60)
            process.stdout.close()
            process.stderr.close()
        wait_until(lambda: len(aisd.events("command-end"))
                   == len(aisd.events("command-start")), "all have ended")
        begun = len(started(aisd)) - before
        answered = sum(t["class"] == "done" for t in told)
        assert (process.returncode, said(err)) == (255, "lost"), err
        unsure = int((re.search(rb"up to (\d+) command", err)
                      or [0, 0])[1])
        assert answered <= begun <= answered + 1 + unsure, err
