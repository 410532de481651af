# SPDX-License-Identifier: ISC
"""Calls of aisc that fail: it says what is wrong, or does all that it was
asked to do.  AIS_FAULT_ROUNDS and AIS_FAULT_SEED are as in test_faults.py.
"""

import errno as E
import os
import socket
import subprocess

import pytest

import aisc as client
from faults import HANG, SEED, Faults, spread

INPUT = bytes(range(256)) * 800
SCRIPT = b"echo one\necho two\nfalse\necho three\n"
# Libraries ask for a lot of memory before there is anything to do.
ROUNDS = {"memory": 25}

# A number below 0 stands for what is done only in part.
CALLS = {
    "memory": [E.ENOMEM],
    "read": [E.EIO, E.EINTR, -1],
    "write": [E.EIO, E.ENOSPC, E.EPIPE, E.EINTR, -1],
    "open": [E.EMFILE],
    "fopen": [E.EMFILE, E.EIO],
    "clock_gettime": [E.EINVAL],
    "close": [E.EINTR],
    "fclose": [E.EIO],
    "fcntl": [E.EINVAL],
    "fstat": [E.EIO],
    "getaddrinfo": [E.ENOMEM],
    "shutdown": [E.ENOTCONN],
    "stat": [E.EIO],
    "socket": [E.EMFILE, E.EAFNOSUPPORT],
    "connect": [E.ENETUNREACH, E.ECONNREFUSED],
    "getsockopt": [E.EIO],
    "setsockopt": [E.ENOBUFS],
    "poll": [E.ENOMEM, E.EINTR],
    "ppoll": [E.ENOMEM, E.EINTR],
    "sigaction": [E.EINVAL],
    "sigprocmask": [E.EINVAL],
}


class Asking:
    """One way to call aisc: its words and input, and what comes of it when
    nothing fails."""

    def __init__(self, status, stdout, command=(), options=(), stdin=b""):
        self.status = status
        self.stdout = stdout
        self.command = command
        self.options = options
        self.stdin = stdin

    def __call__(self, aisc, port, faults):
        """What is wrong with what comes of it, or None."""
        given = aisc.directory / "given"
        taken = aisc.directory / "taken"
        given.write_bytes(self.stdin)
        with open(given, "rb") as stdin, open(taken, "wb") as stdout:
            done = aisc.run(
                port, *self.command, stdin=stdin, stdout=stdout,
                options=self.options, timeout=60,
                env={name: value for name, value in
                     faults.environment().items()
                     if name not in os.environ})
        out = taken.read_bytes()
        if done.returncode == self.status:
            return None if out == self.stdout else \
                f"its status is right, its output is not: {done.stderr}"
        if done.returncode == 128 + 13:         # Nobody reads the output.
            return None
        if done.returncode != 255 or not client.SAID.search(done.stderr):
            return f"status {done.returncode}, and it says {done.stderr}"
        if not self.stdout.startswith(out):
            return f"its output is wrong: {done.stderr}"
        return None


ASKING = {
    "command": Asking(3, INPUT, ["sh", "-c", "cat; echo err >&2; exit 3"],
                      stdin=INPUT),
    "script": Asking(0, b"one\ntwo\nthree\n", stdin=SCRIPT),
    "list": Asking(0, b"*\tany program, by its name or path\t\n"
                   b"-c LINE\ta line for the shell\t\n",
                   options=["--list"]),
}


@pytest.mark.limit(1800)
@pytest.mark.parametrize("asking", ASKING)
@pytest.mark.parametrize("call", CALLS)
def test_every_call_of_aisc(measurable, aisd, aisc, builddir, tmp_path, call,
                            asking, record_property):
    """The first, the second... in turn, until none fails."""
    ask, faults = ASKING[asking], Faults(builddir, tmp_path)
    assert ask(aisc, aisd.port, faults) is None
    before = faults.count(call)[0]
    assert ask(aisc, aisd.port, faults) is None
    total = faults.count(call)[0] - before
    for error in CALLS[call]:
        for n in spread(total, ROUNDS.get(call, 5)):
            faults.arm(call, error, n)
            wrong = ask(aisc, aisd.port, faults)
            faults.disarm()
            # As in a shell: a line that nothing reads is lost, and the last
            # one gives the status.
            if (asking, error) == ("script", E.EPIPE) and wrong:
                assert wrong.startswith("its status is right")
                continue
            assert wrong is None, \
                f"{call} number {n}, error {error}, seed {SEED}: {wrong}"
    record_property(f"{call} of a {asking}", total)
    # What it has left is a client that has gone.
    assert ask(aisc, aisd.port, faults) is None
    assert len(aisd.events("command-start")) == \
        len(aisd.events("command-end"))


@pytest.mark.parametrize("option", ["--help", "--version", "--show-config"])
@pytest.mark.parametrize("name", ["aisc", "aisd"])
def test_answer_that_cannot_be_written(program, aisd, aisc, name, option):
    words = aisc.words(aisd.port, options=[option]) if name == "aisc" else \
        [*program("aisd"), "-c", str(aisd.conf), option]
    with open("/dev/full", "w") as full:
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE,
                              check=False)
    assert done.returncode == (255 if name == "aisc" else 1)
    assert b"cannot write standard output: No space left" in done.stderr


def test_suggestion_that_cannot_be_written(program, make_aisd, connect):
    """Half of the rules would be other rules."""
    aisd = make_aisd(rules='{ name = "less"; peers = [ "*" ]; '
                     'learn_until = "2099-12-31"; '
                     'commands = [ "/bin/true" ]; }')
    assert connect(daemon=aisd).run(["ls", "/"]).status == 0
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*program("aisd-report"), "--suggest", str(aisd.log)],
            stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1
    assert b"cannot write standard output" in done.stderr


def test_lookup_that_hangs(measurable, aisc, builddir, tmp_path):
    """It ends with the time for connecting, and says what took it."""
    faults = Faults(builddir, tmp_path)
    how = {"env": {name: value for name, value in faults.environment().items()
                   if name not in os.environ}}
    with socket.socket() as unused:             # Bound, and not listening.
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        done = aisc.run(port, "true", **how)
        assert b"refused" in done.stderr
        # The last is the one of the name; the others read numbers.
        faults.arm("getaddrinfo", HANG, faults.count("getaddrinfo")[0])
        done = aisc.run(port, "true", options=["--connect-timeout", "1"],
                        **how)
    assert (done.returncode, client.said(done.stderr)) == (255, "connect")
    assert done.stderr == b"aisc: connect: cannot look up localhost in " \
        b"time; the name servers do not answer: try again, or use an " \
        b"address\n"


def test_script_that_cannot_be_read(aisd, aisc, tmp_path):
    """What was not read has not been done."""
    directory = os.open(tmp_path, os.O_RDONLY)
    done = aisc.run(aisd.port, stdin=directory)
    os.close(directory)
    assert (done.returncode, done.stdout) == (255, b"")
    assert client.said(done.stderr) == "input"
