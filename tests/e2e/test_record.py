# SPDX-License-Identifier: ISC
"""The record: before the command, on a full disk, through rotations, of bytes
that nobody should send to a terminal."""

import os
import re
import resource
import shlex
import signal
import subprocess
import threading
import time

import pytest

import wire
from aisd import parse_line, unescape, wait_until
from machine import INSTRUMENTED

UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


def fill_disk(daemon, room=0):
    """From now on no file of the daemon can be longer than its log is."""
    size = os.stat(daemon.log).st_size + room
    resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE,
                     (size, resource.RLIM_INFINITY))


def clean_disk(daemon):
    """There is room again."""
    resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, UNLIMITED)


def argv_of(line):
    """The exact words of a line of the log, as bytes."""
    event = parse_line(line)
    assert "argv" not in event.get("cut", "").split(",")
    assert event.get("cut") != "true" and "argv_cut" not in event
    return [os.fsencode(word) for word in shlex.split(event["argv"])]


def test_no_record_no_command(aisd, connect, tmp_path):
    """What cannot be put on record does not run, until there is room."""
    session = connect()
    assert session.run(["true"]).status == 0
    fill_disk(aisd)
    for i in range(3):
        result = session.run(["touch", str(tmp_path / "made")])
        assert result.refused.code == wire.Code.AUDIT
        assert "cannot be put on record" in result.refused.text
    assert not (tmp_path / "made").exists()
    clean_disk(aisd)
    assert session.run(["touch", str(tmp_path / "made")]).status == 0
    assert (tmp_path / "made").exists()
    # Three starts, and that they were refused, are missing.
    sink = aisd.wait_event("log-sink", state="working")
    assert (sink["lost"], sink["nowhere"]) == ("6", "6")
    assert sink["sink"] == str(aisd.log)
    assert len(aisd.events("command-start")) == 2


def test_start_is_written_first(aisd, connect):
    """A command finds its own start in the log, and not its end."""
    out = connect().run(["cat", str(aisd.log)]).stdout.decode()
    events = [parse_line(line) for line in out.splitlines()]
    start, = [e for e in events if e["event"] == "command-start"]
    assert start["argv"] == f"cat {aisd.log}"
    assert "command-end" not in [e["event"] for e in events]


def test_nothing_secret_is_written(aisd, aisc, localhost):
    """Neither what a command reads and writes, nor the values of variables,
    nor a key."""
    done = aisc.run(aisd.port, "sh", "-c", "cat; printenv TOKEN",
                    options=["-e", "TOKEN=of-a-variable"], input=b"of-input ")
    assert done.stdout == b"of-input of-a-variable\n"
    aisd.wait_event("command-end")
    text = aisd.log.read_text() + aisd.stderr()
    assert "TOKEN" in text
    assert "of-input" not in text and "of-a-variable" not in text
    with open(localhost.key) as key:
        assert not any(line.strip() in text for line in key
                       if not line.startswith("-"))


def test_end_that_is_lost(aisd, connect, tmp_path):
    """A command that ended while the disk was full is told of."""
    session = connect()
    session.hello()
    session.send_raw(wire.request_frames(session.next_number(), wire.body(
        wire.Operation.RUN, ["sleep", "1000"])))
    aisd.wait_event("command-start")
    fill_disk(aisd, 30)
    session.signal("TERM")
    assert session.follow(session.number).signal == signal.SIGTERM
    clean_disk(aisd)
    assert session.run(["true"]).status == 0
    sink = aisd_event(aisd, "log-sink")
    assert (sink["state"], sink["lost"], sink["nowhere"]) == \
        ("working", "1", "1")
    assert "everywhere" in sink["msg"]


def aisd_event(daemon, name):
    """The one event of this name, in a log that may have a torn line."""
    def find():
        return [parse_line(line) for line in
                daemon.log.read_text().splitlines()
                if f" event={name} " in line and " msg=" in line]
    return wait_until(find, f"an event {name}")[-1]


def test_strict(make_aisd, connect):
    """Each log must take it; standard error shows that the command was
    refused."""
    daemon = make_aisd(audit="strict")
    session = connect(daemon=daemon)
    assert session.run(["true"]).status == 0
    daemon.stop()
    session.close()
    daemon.words.append("-v")
    daemon.start()
    session = connect(daemon=daemon)
    assert session.run(["true"]).status == 0
    # It is a file as well, and the shorter one: only the log is full.
    assert os.stat(daemon.errors).st_size < os.stat(daemon.log).st_size
    fill_disk(daemon)
    assert session.run(["true"]).refused.code == wire.Code.AUDIT
    clean_disk(daemon)
    assert session.run(["true"]).status == 0
    assert 'alice: "true" refused: the command cannot be put on record' in \
        daemon.stderr()
    assert "its records are lost until it can be written again" in \
        daemon.stderr()


def test_deleted_log(aisd, connect):
    session = connect()
    assert session.run(["true"]).status == 0
    aisd.log.unlink()
    assert session.run(["false"]).status == 1
    lines = aisd.log.read_text().splitlines()
    assert " event=log-sink " in lines[0] and "state=renewed" in lines[0]
    assert [parse_line(line)["event"] for line in lines[1:3]] == \
        ["command-start", "command-end"]


def test_reopening_that_fails(aisd, connect):
    """The old file stays in use, and says so."""
    session = connect()
    assert session.run(["true"]).status == 0
    old = aisd.log.with_suffix(".1")
    aisd.log.rename(old)
    aisd.log.mkdir()
    os.kill(aisd.pid, signal.SIGUSR1)
    wait_until(lambda: "stays in use" in old.read_text(), "a message")
    assert session.run(["false"]).status == 1
    assert "argv=false" in old.read_text()
    aisd.log.rmdir()
    os.kill(aisd.pid, signal.SIGUSR1)
    wait_until(lambda: aisd.log.exists() and "opened again" in
               aisd.log.read_text(), "a new log")


@pytest.mark.limit(300)
def test_rotation_under_load(aisd, connect):
    """200 times: no line is lost or torn."""
    rounds = 200 if not INSTRUMENTED else 30
    session = connect()
    done, stop = [], threading.Event()

    def work():
        while not stop.is_set():
            assert session.run(["echo", str(len(done))]).status == 0
            done.append(len(done))
    worker = threading.Thread(target=work)
    worker.start()
    try:
        for i in range(rounds):
            rotated = aisd.directory / f"rotated.{i:03}"
            aisd.log.rename(rotated)
            os.kill(aisd.pid, signal.SIGUSR1)
            wait_until(aisd.log.exists, "a new log")
            if i % 10 == 0:
                time.sleep(0.02)
    finally:
        stop.set()
        worker.join()
    wait_until(lambda: "opened again" in aisd.log.read_text(), "the last one")
    files = [*sorted(aisd.directory.glob("rotated.*")), aisd.log]
    assert len(files) == rounds + 1
    lines = "".join(file.read_text() for file in files)
    assert lines.endswith("\n")
    events = [parse_line(line) for line in lines[:-1].split("\n")]
    for name in ("command-start", "command-end"):
        assert [event["argv"] for event in events
                if event["event"] == name] == [f"echo {i}" for i in done]


HOSTILE = [
    [b"a\nb", b"\n", b"\r\n"],
    [b"\033[2J\033]0;title\007", b"\x9b31m", b"\xc2\x9b31m"],
    [b"\xff\xfe", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"],
    ["\u202egpj.exe".encode(), "\u200f\u2066x\u2069".encode(), b"\x7f\x01"],
    [b"", b"'", b'"', b"\\", b"\\n", b"\\x1b", b"$(x)", b"`y`", b"#", b"~"],
    [b'" msg="all is well"', b"event=start", b"x cut=true", b"***", b"..."],
    [bytes(range(1, 256))],
    ["grüße €".encode(), "\U0001f382".encode(), b"=", b"A=b"],
]


@pytest.mark.parametrize("words", HOSTILE)
def test_hostile_words(aisd, connect, words):
    """One line, of harmless characters, that gives back the exact words."""
    argv = [b"true", *words]
    assert connect().run(argv).status == 0
    aisd.wait_event("command-end")
    data = aisd.log.read_bytes()
    lines = [line for line in data.decode("utf-8").split("\n")
             if "event=command-" in line]
    assert len(lines) == 2
    for line in lines:
        assert line.isprintable()
        assert argv_of(line) == argv
    assert all(char == "\n" or char.isprintable()
               for char in data.decode("utf-8"))


@pytest.mark.parametrize("words", HOSTILE[:6] + HOSTILE[7:])
def test_words_can_be_pasted(aisd, connect, words):
    """The sentence has them as bash takes them, and says how it ended."""
    argv = [b"false", *words]
    assert connect().run(argv).status == 1
    said = aisd.wait_event("command-end")["msg"]
    shown, = re.fullmatch(r'alice: "(.*)" exited with status 1 after '
                          r"\d+\.\d\d s", said).groups()
    assert shown.isprintable()
    assert aisd.events("command-start")[-1]["msg"] == f'alice starts "{shown}"'
    done = subprocess.run(["bash"], input=f"printf '%s\\0' {shown}".encode(),
                          stdout=subprocess.PIPE, check=True)
    assert done.stdout.split(b"\0")[:-1] == argv


def test_long_words(aisd, connect):
    """100 KiB: one line that says that it was cut, and everything else."""
    assert connect().run(["true", "x" * 100 * 1024]).status == 0
    event = aisd.wait_event("command-end")
    assert (event["cut"], event["argv_cut"], event["exit"]) == \
        ("argv", "true", "0")
    assert event["argv"].startswith("true xxxx")
    assert event["argv"].endswith("xxx...")
    assert re.fullmatch(r'alice: "true x{390,400}"\.\.\. exited with status 0 '
                        r"after \d+\.\d\d s", event["msg"])
    assert all(len(line) < 8192 for line in aisd.lines())


def test_hostile_name(aisd, connect, authority):
    """The name in a certificate cannot do more than a word."""
    name = "eve\n\033[2J\u202e\" event=start \\"
    assert connect(pair=authority.make(name)).run(["true"]).status == 0
    assert aisd.wait_event("command-end")["peer"] == name
    assert all(line.isprintable() for line in aisd.lines())


def test_shell_line_is_in_its_field_alone(aisd, connect):
    assert connect().shell("echo geheim >/dev/null").status == 0
    event = aisd.wait_event("command-end")
    assert event["line"] == "'echo geheim >/dev/null'"
    for line in aisd.lines():
        fields = re.sub(r'\bline="(?:[^"\\]|\\.)*"', "", line)
        assert "geheim" not in fields


def test_limits(make_aisd, connect):
    """A limit that was reached is on record before the end."""
    daemon = make_aisd(time_limit="300 ms", output_limit="10 KiB",
                       kill_grace="1 s")
    session = connect(daemon=daemon)
    session.run(["sleep", "1000"])
    session.run(["yes"])
    session.run(["true"])
    daemon.wait_event("command-end", count=3)
    first, second = daemon.events("limit-hit")
    assert (first["limit"], first["value"], first["argv"]) == \
        ("time_limit", "300", "sleep 1000")
    assert (second["limit"], second["value"], second["request"]) == \
        ("output_limit", "10240", "2")
    assert [event["event"] for event in daemon.events()
            if event.get("request") == "1"] == \
        ["command-start", "limit-hit", "command-end"]


@pytest.mark.limit(60)
def test_limit_of_cpu(make_aisd, connect):
    daemon = make_aisd(cpu_limit="1 s")
    session = connect(daemon=daemon)
    session.run(["sh", "-c", "while :; do :; done"], timeout=50.0)
    event = daemon.wait_event("limit-hit")
    assert (event["limit"], event["value"]) == ("cpu_limit", "1000")


def test_sums_of_a_session(aisd, connect):
    session = connect()
    session.run(["cat"], stdin=b"12345")
    session.run(["sh", "-c", "echo abc; echo de >&2"])
    session.run(["/no/such/program"])
    session.close()
    event = aisd.wait_event("session-close")
    assert [event[name] for name in
            ("commands", "stdin_bytes", "stdout_bytes", "stderr_bytes")] == \
        ["3", "5", "9", "3"]
    assert float(event["duration_ms"]) > 0


def test_program_that_ran(make_aisd, connect, tmp_path):
    """By its path, as it was found; no other word tells."""
    first, second = tmp_path / "first", tmp_path / "second"
    for directory in first, second:
        directory.mkdir()
        directory.chmod(0o755)
    (first / "mine").write_text("no program, and its mode says so\n")
    (second / "mine").write_text("#!/bin/sh\nexit 3\n")
    (second / "mine").chmod(0o755)
    daemon = make_aisd(path=[str(first), str(second), "/bin"])
    session = connect(daemon=daemon)
    assert session.run(["mine"]).status == 3
    assert session.run([str(second / "mine"), "x"]).status == 3
    assert session.run(["sh", "-c", "exit 3"]).status == 3
    assert session.shell("exit 3").status == 3
    assert session.run(["no-such"]).refused
    assert session.run([str(first / "mine")]).refused
    ends = [(event["event"], event.get("program"))
            for event in daemon.events() if event["event"] == "command-end"]
    assert [program for _, program in ends] == [
        str(second / "mine"), str(second / "mine"), "/bin/sh", "/bin/sh",
        None, None]


def test_reload_says_what_changed(aisd):
    assert aisd.reload()["changed"] == ""
    aisd.configure(idle_timeout=77, audit="strict")
    assert aisd.reload()["changed"] == "audit,idle_timeout"
    aisd.configure('{ name = "other"; peers = [ "*" ]; anything = true; }')
    event = aisd.reload()
    assert event["changed"] == "rules"
    assert event["msg"].endswith("; changed: rules")


def test_error_of_the_configuration(aisd):
    aisd.configure(idle_timeout="soon")
    aisd.reload("failed")
    event, = aisd.events("config-error")
    assert re.fullmatch(re.escape(str(aisd.conf)) + r":\d+", event["place"])
    assert event["msg"].startswith(event["place"] + ": idle_timeout: ")
    aisd.conf.write_text("rules = (\n")
    aisd.reload("failed")
    assert "syntax error" in aisd.events("config-error")[-1]["msg"]


def test_unescape():
    """The tests' own undoing of escapes."""
    assert unescape(r'a\nb\x1b\\\"' + "\u20ac") == \
        b'a\nb\x1b\\"' + "\u20ac".encode()
