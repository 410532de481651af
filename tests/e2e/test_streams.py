# SPDX-License-Identifier: ISC
"""Standard input, output and error: every byte, in order, and an end."""

import fcntl
import hashlib
import os
import signal
import socket
import struct
import subprocess
import time

import pytest

import aisc as client
from aisd import wait_until
from machine import INSTRUMENTED
from wire import Operation, PAYLOAD_MAX, Stream, Type, body, request_frames

ALL = bytes(range(256))
MIB = 1024 * 1024
# Output that depends on every byte before it, made faster than it is sent.
STREAM = "head -c {} /dev/zero | openssl enc -aes-128-ctr -nosalt " \
    "-K 000102030405060708090a0b0c0d0e0f -iv {:032x}"


@pytest.fixture(scope="module")
def much():
    """How many bytes are many: a GiB, where that takes seconds."""
    return 1024 * MIB if not INSTRUMENTED else 32 * MIB


def digest_of(file):
    digest = hashlib.sha1()
    for piece in iter(lambda: file.read(MIB), b""):
        digest.update(piece)
    return digest.hexdigest()


def local_stream(size, seed):
    return subprocess.Popen(["sh", "-c", STREAM.format(size, seed)],
                            stdout=subprocess.PIPE)


def local_digest(size, seed):
    with local_stream(size, seed) as process:
        return digest_of(process.stdout)


def told(result):
    """What EXIT says of the bytes must be what came."""
    assert result.exit.out_bytes == len(result.stdout)
    assert result.exit.err_bytes == len(result.stderr)
    return result


# Through the protocol alone.

@pytest.mark.parametrize("size", [
    0, 1, 256, 4096, PAYLOAD_MAX - 1, PAYLOAD_MAX, PAYLOAD_MAX + 1,
    512 * 1024, 512 * 1024 + 1, 3 * MIB + 7])
def test_sizes(connect, size):
    data = (ALL * (size // 256 + 1))[:size]
    result = told(connect().run(["cat"], stdin=data))
    assert (result.status, result.stdout, result.stderr) == (0, data, b"")


def test_streams_are_apart(connect):
    result = told(connect().run(
        ["sh", "-c", "printf out; printf err >&2; cat >&2"], stdin=ALL))
    assert (result.stdout, result.stderr) == (b"out", b"err" + ALL)


def test_without_input_it_is_empty(connect):
    session = connect()
    assert session.run(["cat"]).stdout == b""
    assert session.run(["readlink", "/proc/self/fd/0"]).stdout == \
        b"/dev/null\n"


def test_small_window(connect):
    """A byte at a time is slow, and complete."""
    result = told(connect().run(["echo", "one byte"], window=1))
    assert (result.status, result.stdout) == (0, b"one byte\n")
    assert {size for _, size in result.chunks} == {1}


def test_no_output_beyond_the_window(connect):
    session = connect()
    session.hello()
    number = session.next_number()
    session.send_raw(request_frames(number, body(
        Operation.RUN, ["sh", "-c", "printf 0123456789; printf abcdef >&2"],
        windows=(4, 2))))
    session.expect(Type.STARTED, number)
    got = {Type.STDOUT: b"", Type.STDERR: b""}
    while sum(map(len, got.values())) < 6:
        frame = session.receive()
        got[frame.type] += frame.payload
    with pytest.raises(TimeoutError):
        session.receive(timeout=0.3)    # Neither more bytes nor EXIT.
    assert got == {Type.STDOUT: b"0123", Type.STDERR: b"ab"}
    session.send(Type.WINDOW, number, struct.pack(">BI", Stream.STDOUT, 99))
    assert session.expect(Type.STDOUT).payload == b"456789"
    session.send(Type.WINDOW, number, struct.pack(">BI", Stream.STDERR, 99))
    assert session.expect(Type.STDERR).payload == b"cdef"
    session.expect(Type.EXIT, number)


def test_what_is_left_in_the_pipe_is_sent(aisd, connect):
    """The command has long ended when its output is taken."""
    session = connect()
    number = session.next_number()
    session.send_raw(request_frames(number, body(
        Operation.RUN, ["sh", "-c", "echo $$; exec head -c 60000 /dev/zero"],
        windows=(0, 0))))
    session.hello()
    session.expect(Type.STARTED, number)
    wait_until(lambda: not aisd.descendants(), "the command has ended")
    session.send(Type.WINDOW, number,
                 struct.pack(">BI", Stream.STDOUT, MIB))
    result = session.follow(number)
    assert result.status == 0
    assert result.stdout.split(b"\n", 1)[1] == bytes(60000)


def test_nobody_waits_for_who_stays_behind(aisd, connect, slowness):
    """A process in the background holds the output open."""
    session = connect()
    before = time.monotonic()
    result = told(session.run(["sh", "-c", "sleep 60 & echo now"]))
    assert (result.status, result.stdout) == (0, b"now\n")
    result = told(session.run(
        ["sh", "-c", "(trap '' PIPE; while echo late 2>&-; do sleep 1; done) "
         "& exec head -c 300000 /dev/zero"]))
    assert result.status == 0
    assert result.stdout.replace(b"late\n", b"") == bytes(300000)
    assert time.monotonic() - before < 5 * slowness
    assert aisd.leftovers()             # Until the session is over.
    session.close()
    wait_until(lambda: not aisd.leftovers(), "what stayed behind has ended")


# What writes on when the command itself has ended, and where to.
HELPERS = {
    "tee": ["bash", "-c", "exec > >(tee -a log) 2>&1; seq 1000; exit 3"],
    "tee with a filter": [
        "bash", "-c", "exec > >(while read -r l; do echo \"$l\"; done | "
        "tee -a log); seq 1000; exit 3"],
    "sed of the errors": [
        "bash", "-c", "exec 2> >(sed s/^// | tee -a log >&2); seq 1000 >&2; "
        "exit 3"],
    "sort": ["bash", "-c", "exec > >(sort -n | tee -a log); seq 1000 | tac; "
             "exit 3"],
    "python": ["python3", "-c", """import subprocess, sys
p = subprocess.Popen("tee -a log", shell=True, stdin=subprocess.PIPE)
for i in range(1, 1001):
    p.stdin.write(b"%d\\n" % i)
p.stdin.flush()
sys.stdout.flush()
__import__("os")._exit(3)"""],
    "a log alone": ["bash", "-c", "exec 3>&1 > >(sleep 0.1; cat >>log); "
                    "seq 1000; seq 1000 >&3; exit 3"],
}


@pytest.mark.parametrize("helper", HELPERS)
def test_a_helper_that_ends_after_the_command(make_aisd, connect, tmp_path,
                                              helper):
    """All that it hands on arrives, and its file is whole, each time."""
    # For a helper that has to wait for a processor; it is not slower for it.
    aisd = make_aisd(output_wait=5)
    whole = b"".join(b"%d\n" % i for i in range(1, 1001))
    for _ in range(30):
        log = tmp_path / "log"
        log.unlink(missing_ok=True)
        with connect(daemon=aisd) as session:
            result = told(session.run(HELPERS[helper],
                                      directory=str(tmp_path)))
        assert result.status == 3
        assert result.stdout + result.stderr == whole
        wait_until(lambda: not aisd.leftovers(), "the helper has ended")
        assert log.read_bytes() == whole


@pytest.mark.parametrize("service, least", [
    # This one may have to wait for a processor for longer than it has.
    ("while echo tick; do sleep 0.01; done", 0.2),
    ("yes", 4.5), ("yes >&2", 4.5)])
def test_a_service_that_writes_on(make_aisd, connect, service, least):
    """It has its time in all, and no more.  A moment without a processor, for
    it or for who takes its output, looks like its end."""
    session = connect(daemon=make_aisd(output_wait=0.2))
    took = []
    while len(took) < 5 and max(took, default=0) < least:
        before = time.monotonic()
        assert told(session.run(
            ["sh", "-c", f"({service}) & exit 4"])).status == 4
        took.append(time.monotonic() - before)
    assert least < max(took) < 15, took


@pytest.mark.parametrize("how", [
    "output_wait = 0;", 'output_wait = 60; background = "keep";'])
def test_a_service_that_is_not_waited_for(make_aisd, connect, how):
    """No wait is wanted, or there is nothing to wait for."""
    daemon = make_aisd(rules='{ peers = [ "*" ]; anything = true; '
                       f"{how} }}")
    session = connect(daemon=daemon)
    before = time.monotonic()
    result = session.run(["sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!"])
    assert time.monotonic() - before < 5
    os.kill(int(result.stdout), signal.SIGKILL)


def test_what_was_left_by_others_is_not_waited_for(make_aisd, connect):
    """Only the command that has left something behind waits for it."""
    session = connect(daemon=make_aisd(output_wait=2))
    session.run(["sh", "-c", "sleep 60 >/dev/null 2>&1 &"])
    before = time.monotonic()
    session.run(["true"])
    assert time.monotonic() - before < 1.5


def test_closed_outputs(connect):
    """The command closes both, and goes on for a while."""
    session = connect()
    result = session.run(["sh", "-c", "exec >&- 2>&-; sleep 0.2; exit 5"])
    assert result.status == 5
    assert result.exit.duration_us >= 200000
    result = session.run(["sh", "-c", "exec >&-; sleep 0.1; echo late >&2"])
    assert (result.status, result.stderr) == (0, b"late\n")


def test_input_nobody_reads(connect):
    """Its window is used up, and no more of it is asked for."""
    session = connect()
    number = session.next_number()
    session.send_raw(request_frames(number, body(
        Operation.RUN, ["sh", "-c", "read -r line; kill -STOP $$"],
        stdin=True, windows=(99, 99))))
    session.hello()
    credit, = struct.unpack(">I", session.expect(Type.STARTED).payload)
    sent = 0
    while sent < credit:
        piece = min(PAYLOAD_MAX, credit - sent)
        session.send(Type.STDIN, number, b"\n" * piece)
        sent += piece
        try:
            got = session.receive(0.3 if sent == credit else 0.001)
        except TimeoutError:
            continue
        assert got.type == Type.WINDOW
        credit += struct.unpack(">BI", got.payload)[1]
    assert sent < 4 * MIB               # A bound, whatever it is.
    session.signal("KILL")              # A signal is not behind the data.
    assert session.follow(number).signal == signal.SIGKILL
    assert session.run(["echo", "next"]).stdout == b"next\n"


def test_input_after_it_was_closed(connect):
    session = connect()
    result = session.run(["sh", "-c", "exec <&-; sleep 0.1; echo done"],
                         stdin=bytes(2 * MIB))
    assert (result.status, result.stdout) == (0, b"done\n")
    assert session.run(["cat"], stdin=b"x").stdout == b"x"


def test_input_that_never_ends_by_itself(connect):
    """STDIN_EOF may be left out."""
    session = connect()
    number = session.next_number()
    session.send_raw(request_frames(number, body(
        Operation.RUN, ["head", "-c", "3"], stdin=True, windows=(9, 9))))
    session.hello()
    session.expect(Type.STARTED)
    session.send(Type.STDIN, number, b"abcdef")
    assert session.follow(number).stdout == b"abc"


# Through aisc.

@pytest.mark.parametrize("data", [b"", b"x", ALL, ALL * 4096],
                         ids=["empty", "byte", "all-values", "MiB"])
def test_bytes(aisd, aisc, data):
    done = aisc.run(aisd.port, "cat", input=data)
    assert (done.returncode, done.stdout, done.stderr) == (0, data, b"")
    done = aisc.run(aisd.port, "sh", "-c", "cat >&2", input=data)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", data)


@pytest.mark.limit(240)
def test_gigabyte_up(aisd, aisc, much):
    with local_stream(much, 1) as source:
        done = aisc.run(aisd.port, "openssl", "dgst", "-sha1", "-r",
                        stdin=source.stdout, timeout=200)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0].decode() == local_digest(much, 1)
    event = aisd.wait_event("command-end")
    assert event["stdin_bytes"] == str(much)


@pytest.mark.limit(240)
def test_gigabyte_down(aisd, aisc, much):
    process = aisc.start(aisd.port, "sh", "-c", STREAM.format(much, 2))
    assert digest_of(process.stdout) == local_digest(much, 2)
    assert process.wait(10) == 0
    client.check_reports(process.stderr.read())
    event = aisd.wait_event("command-end")
    assert event["stdout_bytes"] == str(much)


def test_both_ways_at_once(aisd, aisc, much):
    size = much // 16
    with local_stream(size, 3) as source:
        process = aisc.start(aisd.port, "cat", stdin=source.stdout)
        assert digest_of(process.stdout) == local_digest(size, 3)
    assert process.wait(10) == 0


def test_many_lines_on_both_outputs(aisd, aisc):
    done = aisc.run(aisd.port, "sh", "-c",
                    "seq 100000 & seq 100001 200000 >&2; wait")
    assert done.returncode == 0
    assert done.stdout == b"".join(b"%d\n" % n for n in range(1, 100001))
    assert done.stderr == b"".join(b"%d\n" % n for n in range(100001, 200001))


def test_reader_on_the_server_leaves_early(aisd, aisc):
    assert aisc.run(aisd.port, "sh", "-c", "yes | head -1").stdout == b"y\n"
    with subprocess.Popen(["yes"], stdout=subprocess.PIPE) as source:
        done = aisc.run(aisd.port, "head", "-1", stdin=source.stdout)
        source.stdout.close()
    assert (done.returncode, done.stdout) == (0, b"y\n")


def test_reader_of_aisc_leaves_early(aisd, aisc):
    process = aisc.start(aisd.port, "yes")
    assert process.stdout.read(2) == b"y\n"
    process.stdout.close()
    assert process.wait(10) == 128 + signal.SIGPIPE
    assert process.stderr.read() == b""
    wait_until(lambda: not aisd.leftovers(), "yes has ended")
    assert aisc.run(aisd.port, "true").returncode == 0


@pytest.mark.parametrize("command", [["true"], ["sleep", "0.3"]])
def test_input_is_never_read(aisd, aisc, command):
    with subprocess.Popen(["yes"], stdout=subprocess.PIPE) as source:
        done = aisc.run(aisd.port, *command, stdin=source.stdout)
        source.stdout.close()
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_aisc_does_not_wait_for_its_input(aisd, aisc):
    """The command is done while the input is still open and silent."""
    reading, writing = os.pipe()
    try:
        done = aisc.run(aisd.port, "echo", "done", stdin=reading, timeout=60)
        assert (done.returncode, done.stdout) == (0, b"done\n")
    finally:
        os.close(reading)
        os.close(writing)


def test_input_that_comes_slowly(aisd, aisc):
    process = aisc.start(aisd.port, "cat", stdin=subprocess.PIPE)
    for line in (b"one\n", b"two\n", b"three\n"):
        process.stdin.write(line)
        process.stdin.flush()
        assert process.stdout.readline() == line
    process.stdin.close()
    assert process.stdout.read() == b""
    assert process.wait(10) == 0


def test_output_after_the_end_of_input(aisd, aisc, slowness):
    size = 100 * MIB // slowness
    command = "cat; " + STREAM.format(size, 4)
    process = aisc.start(aisd.port, "sh", "-c", command,
                         stdin=subprocess.PIPE)
    process.stdin.write(b"seed")
    process.stdin.close()
    assert process.stdout.read(4) == b"seed"
    assert digest_of(process.stdout) == local_digest(size, 4)
    assert process.wait(10) == 0


@pytest.mark.parametrize("kind", ["file", "sparse", "null", "closed",
                                  "socket", "no-stdin"])
def test_kinds_of_input(aisd, aisc, tmp_path, kind):
    data, options, how = b"", [], {}
    if kind == "file":
        data = ALL * 2000
    elif kind == "sparse":
        data = bytes(5 * MIB)
    (tmp_path / "input").write_bytes(data if kind != "sparse" else b"")
    if kind == "sparse":
        os.truncate(tmp_path / "input", len(data))
    if kind == "null":
        how = {"stdin": subprocess.DEVNULL}
    elif kind == "closed":
        how = {"popen": {"preexec_fn": lambda: os.close(0)}}
    elif kind == "no-stdin":
        how, options = {"input": b"not this"}, ["-n"]
    elif kind == "socket":
        ours, theirs = socket.socketpair()
        data = b"by socket"
        ours.sendall(data)
        ours.shutdown(socket.SHUT_WR)
        how = {"stdin": theirs}
    with open(tmp_path / "input", "rb") as file:
        done = aisc.run(aisd.port, "cat", options=options,
                        **(how or {"stdin": file}))
    assert (done.returncode, done.stdout, done.stderr) == (0, data, b"")


@pytest.mark.parametrize("kind", ["reading", "writing", "closed"])
def test_null_is_passed_on(aisd, aisc, kind):
    """Without anything to send, the command has its own /dev/null."""
    how = {"popen": {"preexec_fn": lambda: os.close(0)}}
    if kind != "closed":
        mode = os.O_RDONLY if kind == "reading" else os.O_WRONLY
        how = {"stdin": os.open(os.devnull, mode)}
    done = aisc.run(aisd.port, "readlink", "/proc/self/fd/0", **how)
    if "stdin" in how:
        os.close(how["stdin"])
    assert (done.returncode, done.stdout) == (0, b"/dev/null\n")


def test_input_that_cannot_be_read(aisd, aisc, tmp_path):
    """It is not for the command to take that for the end of its input."""
    directory = os.open(tmp_path, os.O_RDONLY)
    done = aisc.run(aisd.port, "sh", "-c", "cat; echo complete",
                    stdin=directory)
    os.close(directory)
    assert (done.returncode, done.stdout) == (255, b"")
    assert client.said(done.stderr) == "input"
    assert aisd.wait_event("command-end")["reason"] != "exit"
    # As nohup(1) has it: nothing is to be read at all.
    with open(tmp_path / "output", "wb") as nothing:
        done = aisc.run(aisd.port, "sh", "-c", "cat; echo complete",
                        stdin=nothing)
    assert (done.returncode, done.stdout) == (0, b"complete\n")


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_closed_outputs_of_aisc(aisd, aisc, name):
    """What it opens itself does not take their place."""
    fd = 1 if name == "stdout" else 2
    done = aisc.run(aisd.port, "sh", "-c", "echo out; echo err >&2",
                    popen={"preexec_fn": lambda: os.close(fd)})
    assert (done.stdout, done.stderr) == \
        ((b"", b"err\n") if fd == 1 else (b"out\n", b""))
    assert done.returncode == 0


def test_non_blocking_output(aisd, aisc):
    """A pipe that others have made non-blocking, as node and ssh do."""
    size = 8 * MIB
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETFL, os.O_NONBLOCK)
    process = aisc.start(aisd.port, "sh", "-c", STREAM.format(size, 5),
                         stdout=writing)
    os.close(writing)
    with open(reading, "rb") as file:
        # It is full before anything is read.
        wait_until(lambda: pipe_is_full(reading), "the pipe is full")
        assert digest_of(file) == local_digest(size, 5)
    assert process.wait(10) == 0
    assert process.stderr.read() == b""


def pipe_is_full(fd):
    waiting = struct.unpack("i", fcntl.ioctl(fd, 0x541b, bytes(4)))[0]
    return waiting >= fcntl.fcntl(fd, 1032) - 4096      # F_GETPIPE_SZ


def test_slow_reader(aisd, aisc, slowness):
    """It slows the command down, and loses nothing."""
    size = 24 * MIB
    before = aisd.usage()
    process = aisc.start(aisd.port, "sh", "-c", STREAM.format(size, 6))
    wait_until(lambda: pipe_is_full(process.stdout.fileno()), "it is full")

    def written():
        total = 0
        for pid in aisd.descendants():
            with open(f"/proc/{pid}/io") as file:
                total += int(file.read().split()[3])    # wchar
        return total
    seen = []
    wait_until(lambda: seen.append(written()) or len(seen) > 20 and
               len(set(seen[-20:])) == 1, "nothing moves", 10 * slowness)
    assert 0 < seen[-1] < size
    aisd.check_usage(before, fds=10)
    digest = hashlib.sha1()
    while True:
        piece = os.read(process.stdout.fileno(), 50000)
        if not piece:
            break
        digest.update(piece)
    assert digest.hexdigest() == local_digest(size, 6)
    assert process.wait(10) == 0


def test_readers_of_one_output_only(aisd, aisc):
    """Nobody reads standard error; standard output goes on for its window."""
    process = aisc.start(aisd.port, "sh", "-c",
                         "seq 300000 >&2 & seq 20000; wait")
    lines = [process.stdout.readline() for _ in range(20000)]
    assert lines[-1] == b"20000\n"
    assert process.poll() is None
    assert process.stderr.read().count(b"\n") == 300000
    assert process.wait(10) == 0


def test_shell_line_keeps_its_streams(aisd, aisc):
    done = aisc.run(aisd.port, options=["-c", "cat; echo err >&2; exit 3"],
                    input=ALL)
    assert (done.returncode, done.stdout, done.stderr) == (3, ALL, b"err\n")


@pytest.mark.parametrize("script, order", [
    ("echo err >&2; echo out", [Type.STDERR, Type.STDOUT]),
    ("echo out; echo err >&2", [Type.STDOUT, Type.STDERR])])
def test_order_of_a_burst(connect, script, order):
    """However close together: what came first is sent first."""
    session = connect()
    session.hello()
    for _ in range(50):
        done = session.request(Operation.SHELL, [script])
        assert [kind for kind, _ in done.chunks] == order


def test_order_of_lines(aisd, aisc, slowness):
    """Both in one pipe, with some milliseconds between the lines.  Three lines
    that the daemon finds at once, since others had the processor, can come in
    another order; not each time."""
    for pause in (5, 10, 20, 40, 80):
        done = aisc.run(aisd.port, "python3", "-uc",
                        "import os, time\n"
                        "for i in range(40):\n"
                        "    os.write(1 + i % 2, b'%d ' % i)\n"
                        f"    time.sleep({pause * slowness / 1000})",
                        stderr=subprocess.STDOUT)
        if done.stdout == b"".join(b"%d " % i for i in range(40)):
            return
    raise AssertionError(done.stdout)
