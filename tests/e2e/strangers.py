# SPDX-License-Identifier: ISC
"""Connections that prove nothing, and how busy a process is with them."""

import contextlib
import os
import pathlib
import socket
import subprocess
import sys
import time

import attack
import wire


def tcp(daemon, source="127.0.0.1"):
    """A connection that has said nothing, from this address."""
    return socket.create_connection(("127.0.0.1", daemon.port), 10,
                                    (source, 0))


def half_hello(daemon, source="127.0.0.1"):
    """One that has sent half of what begins TLS."""
    raw = tcp(daemon, source)
    raw.sendall(attack.words("half a hello", attack.hello()))
    return raw


def cpu(pid):
    """Seconds of processor time that a process has used."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def check_idle(pid, seconds=1.0):
    """It does not spin."""
    before = cpu(pid)
    time.sleep(seconds)         # This much time, and not an event.
    assert cpu(pid) - before < 0.05 * seconds


@contextlib.contextmanager
def attacked(daemon, kind, addresses, count, pause=0.1):
    """Strangers of a kind of attack.py hold this many connections meanwhile,
    and come back when they are dropped."""
    script = pathlib.Path(__file__).with_name("attack.py")
    with subprocess.Popen(
            [sys.executable, str(script), str(daemon.port), kind, str(count),
             str(pause), *addresses], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout.readline() == b"ready\n"
            yield
        finally:
            process.stdin.close()
            process.wait()


def visits(daemon, pair, times, pause=0.02):
    """The seconds that a client takes from its first packet to the end of a
    command, again and again; None where it was not served.  It has one try
    each time, as a program without patience."""
    took = []
    for _ in range(times):
        began = time.monotonic()
        try:
            with wire.Client(daemon.port, *pair[:3], timeout=20) as session:
                assert session.run(["true"]).status == 0
            took.append(time.monotonic() - began)
        except (OSError, wire.Cut, wire.Closed, wire.Goodbye):
            took.append(None)
        time.sleep(pause)
    return took
