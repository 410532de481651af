# SPDX-License-Identifier: ISC
"""Commands that are hard to end, and that are ended all the same."""

import ctypes
import os
import select
import shutil
import signal
import socket
import subprocess
import sys

import pytest

from aisd import wait_until
from wire import Code, Type

PTRACE_SEIZE = 0x4206
# The first thread ends and another one lives on: /proc shows a zombie.
HEADLESS = [sys.executable, "-c", """
import ctypes, threading, time
threading.Thread(target=time.sleep, args=(600,)).start()
print("planted", flush=True)
ctypes.CDLL(None).pthread_exit(None)
"""]
RULE = '{ name = "%s"; peers = [ "*" ]; anything = true; %s }'


def headless(daemon, session):
    """Start the command, and wait until /proc shows a zombie."""
    number = session.ask(HEADLESS, windows=(99, 9999))
    session.expect(Type.STARTED, number)
    session.expect(Type.STDOUT, number)

    def looks_dead():
        with open(f"/proc/{daemon.descendants()[0]}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] == "Z"
    wait_until(looks_dead, "the first thread has ended")
    return number


def served(connect, daemon):
    """The next client is served, and meets nobody."""
    result = connect(daemon=daemon).run(["echo", "next"])
    assert result.stdout == b"next\n"
    assert not daemon.leftovers()


@pytest.mark.parametrize("how", ["limit", "gone", "stopping", "rule"])
def test_first_thread_has_ended(make_aisd, connect, how):
    """Every end ends the threads that are left."""
    daemon = make_aisd(kill_grace=1, rules=RULE % (
        "all", "time_limit = 1;" if how == "limit" else ""))
    session = connect(daemon=daemon)
    session.hello()
    number = headless(daemon, session)
    if how == "limit":
        result = session.follow(number)
        assert result.exit.reason == Code.TIMEOUT
        session.close()
    elif how == "gone":
        session.reset()
    elif how == "stopping":
        daemon.process.terminate()
    else:
        daemon.configure(rules='{ name = "bob"; peers = [ "bob" ]; '
                         "anything = true; }")
        daemon.reload()
    end = daemon.wait_event("command-end")
    assert end["signal"] == "15"
    daemon.wait_event("session-close")
    if how == "stopping":
        assert daemon.process.wait(30) == 0
        assert not daemon.leftovers()
        return
    daemon.configure(rules=RULE % ("all", ""))
    daemon.reload()
    served(connect, daemon)


def trace(pid):
    """Become its tracer: when it ends, it stays until we ask for it."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(PTRACE_SEIZE, pid, None, None) == -1:
        pytest.skip("no process can be traced here: "
                    f"{os.strerror(ctypes.get_errno())}")


@pytest.mark.parametrize("how", ["limit", "gone"])
@pytest.mark.long
def test_held_by_a_tracer(make_aisd, connect, slowness, how):
    """What stays after KILL is left alone, on record, and others are served
    although it is there."""
    daemon = make_aisd(kill_grace=0.1, rules=RULE % (
        "all", "time_limit = 1;" if how == "limit" else ""))
    session = connect(daemon=daemon, timeout=30 * slowness)
    session.hello()
    number = session.ask(["sleep", "600"])
    session.expect(Type.STARTED, number)
    pid, = wait_until(daemon.descendants, "a command")
    trace(pid)
    try:
        if how == "limit":
            result = session.follow(number)
            assert result.exit.reason == Code.TIMEOUT
            session.close()
        else:
            session.reset()
        end = daemon.wait_event("command-end", timeout=20)
        assert end["reason"] == "abandoned"
        said, = [e["msg"] for e in daemon.events("message")
                 if e["level"] == "error"]
        assert "cannot be ended" in said and str(pid) in said
        assert connect(daemon=daemon).run(["true"]).status == 0
        assert daemon.descendants() == [pid]
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    wait_until(lambda: daemon.descendants() == [], "it is reaped")
    served(connect, daemon)


def state(pid):
    """Of a process, a letter, as proc(5) has them."""
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]


def test_stopped_before_its_program(aisd, connect, tmp_path):
    """A child that is stopped before it is a program holds the daemon until it
    goes on."""
    if not shutil.which("strace"):
        pytest.skip("needs strace")
    session = connect()
    session.hello()
    tracer = subprocess.Popen(
        ["strace", "-f", "-o", tmp_path / "trace", "-e", "trace=setsid",
         "-e", "inject=setsid:signal=SIGSTOP", "-p", str(aisd.pid)],
        stderr=subprocess.PIPE)
    try:
        said = tracer.stderr.readline()
        if b"attached" not in said:
            pytest.skip(f"no process can be traced here: {said}")
        number = session.ask(["echo", "after"], windows=(99, 99))
        wait_until(lambda: "stopped by SIGSTOP" in
                   (tmp_path / "trace").read_text(), "a child is stopped")
    finally:
        tracer.kill()
        tracer.wait()
    with socket.create_connection(("127.0.0.1", aisd.port)) as stranger:
        stranger.sendall(b"this is not TLS\n" * 9)
        answers, _, _ = select.select([stranger], [], [], 0.3)
    assert not answers
    child, = [pid for pid in aisd.descendants() if state(pid) == "T"]
    os.kill(child, signal.SIGCONT)
    assert session.follow(number).stdout == b"after\n"
