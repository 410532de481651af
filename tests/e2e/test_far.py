# SPDX-License-Identifier: ISC
"""Over a long path: as fast as TCP itself, in a window that grows."""

import signal
import subprocess
import time

import aisc as client
import pytest
from aisd import Daemon, wait_until
from machine import SLOWNESS
from tcp import tcp_seconds

MIB = 1024 * 1024
HERE, THERE = "10.99.0.1", "10.99.0.2"


class Path:
    """A network between two places; "near" and "far" are words to put before a
    program."""

    def __init__(self, program, *numbers):
        self.process = subprocess.Popen(
            [program, *map(str, numbers)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        pids = self.process.stdout.readline().split()
        if len(pids) != 2:
            why = self.process.communicate()[1].strip()
            pytest.skip(f"there is no network of our own here: {why}")
        self.near, self.far = (
            ["nsenter", "--user", "--net", "--preserve-credentials",
             "--target", pid] for pid in pids)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()


@pytest.fixture(scope="session")
def here(authority):
    return authority.server(HERE)


@pytest.fixture
def far(program, builddir, here, alice, tmp_path, slowness):
    """A function from numbers of tests/path.c to a path, a daemon at its near
    end and an aisc at its far one."""
    made = []

    def make(*numbers):
        path = Path(str(builddir / "tests" / "path"), *numbers)
        made.append(path)
        daemon = Daemon([*path.near, *program("aisd")], tmp_path / "near",
                        here, listen=[f"{HERE}:0"],
                        slowness=slowness, directory=tmp_path)
        made.append(daemon)
        daemon.start()
        return path, daemon, client.Aisc([*path.far, *program("aisc")],
                                         tmp_path / "far", alice, slowness)
    yield make
    for one in reversed(made):
        one.__exit__(None, None, None)


@pytest.mark.long
@pytest.mark.alone
@pytest.mark.same("user")
def test_as_fast_as_tcp(far, measurable):
    """64 MiB over a path with a round trip of 100 ms, which a window of 1 MiB
    that is granted again by halves would carry in 12 seconds at the least."""
    path, daemon, aisc = far(50)
    mib = 64

    def seconds(*words, **how):
        began = time.monotonic()
        done = aisc.run(daemon.port, *words, host=HERE, timeout=100, **how)
        assert done.returncode == 0, done.stderr
        return done, time.monotonic() - began

    plain = tcp_seconds(path.near, path.far, HERE, mib)
    done, down = seconds("head", "-c", str(mib * MIB), "/dev/zero")
    assert done.stdout == bytes(mib * MIB)
    done, up = seconds("wc", "-c", input=bytes(mib * MIB))
    assert int(done.stdout) == mib * MIB
    # The handshake, and the round trips in which the window grows.
    assert down < 1.5 * plain + 2 and up < 1.5 * plain + 2, (plain, down, up)


@pytest.mark.long
def test_reader_that_stands_still(far, measurable, slowness):
    """It is no long path: what waits for it stays within the first window."""
    _, daemon, aisc = far(20)
    with aisc.start(daemon.port, "sh", "-c", "head -c 64M /dev/zero; echo "
                    "over >&2", host=HERE) as process:
        # Ten round trips, in which a window that grows would have done so.
        time.sleep(0.4 * slowness)
        assert process.poll() is None
        grown = memory(process.pid)
        assert grown < 8 * 1024, grown
        # It has all of it in the end.
        assert len(process.stdout.read()) == 64 * MIB
        assert process.stderr.read() == b"over\n"
        assert process.wait() == 0


@pytest.mark.long
@pytest.mark.alone
def test_command_that_stops_reading(far, measurable, slowness):
    """Its window has grown, and what comes until it is used up is kept; the
    memory goes back with the command."""
    _, daemon, aisc = far(150)
    with open("/dev/zero", "rb") as zero, aisc.start(
            daemon.port, "sh", "-c", "head -c 40000000 >/dev/null; echo; "
            "exec sleep 1000", host=HERE, stdin=zero) as process:
        try:
            assert process.stdout.read(1) == b"\n"
            wait_until(lambda: memory(daemon.pid) > 8 * 1024,
                       "more than the first window is kept", 10 * slowness)
            time.sleep(0.4 * slowness)
            assert memory(daemon.pid) < 24 * 1024
        finally:
            process.kill()
    daemon.wait_event("command-end")
    wait_until(lambda: memory(daemon.pid) < 8 * 1024, "the memory is back",
               10 * slowness)


def memory(pid):
    """KiB of its own."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        for line in file:
            if line.startswith("RssAnon:"):
                return int(line.split()[1])
    raise AssertionError("no RssAnon")


@pytest.mark.long
@pytest.mark.alone
@pytest.mark.same("user")
@pytest.mark.parametrize("queue", [64, 0])
def test_signal_behind_bulk(far, measurable, slowness, record_property, queue):
    """Over 1 MB/s and a round trip of 100 ms, with a short queue in the network
    and with one that takes all: what the kernel has in store, which was a
    second of it, does not hold a signal up."""
    _, daemon, aisc = far(50, 8000, 0, queue)
    with open("/dev/zero", "rb") as zero, aisc.start(
            daemon.port, "sh", "-c", "exec cat >/dev/null", host=HERE,
            stdin=zero) as process:
        # Some round trips, until the window is what limits it.
        time.sleep(4)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        daemon.wait_event("command-end")
        there = time.monotonic() - began
        process.wait()
    record_property("seconds", f"{there:.2f}")
    assert there < 0.8 * slowness


# What happens to networks.

def ends_as(classes, aisc, process, within):
    began = time.monotonic()
    _, err = process.communicate(timeout=60 * aisc.slowness)
    assert process.returncode == 255 and client.said(err) in classes, err
    assert time.monotonic() - began < within * aisc.slowness


@pytest.mark.long
def test_path_that_swallows_large_packets(far):
    """A session begins, and bulk never comes: no size is told to the sender,
    as where a firewall drops ICMP."""
    _, daemon, aisc = far(5, 0, 0, 0, 600)
    aisc.config.write_text("dead_timeout = 3;\nconnect_timeout = 4;")
    began = time.monotonic()
    done = aisc.run(daemon.port, "true", host=HERE)
    # Certificates are in large packets.
    assert done.returncode == 255
    assert client.said(done.stderr) in ("connect", "lost"), done
    assert time.monotonic() - began < 8 * aisc.slowness


@pytest.mark.long
def test_network_that_goes_away(far):
    """Another address of the server, a cable, a router: neither end hears
    anything, and each gives up in its time."""
    path, daemon, aisc = far(5)
    daemon.configure(dead_timeout=3)
    daemon.reload()
    aisc.config.write_text("dead_timeout = 2;")
    process = aisc.start(daemon.port, "sh", "-c", "echo; sleep 1000",
                         host=HERE)
    assert process.stdout.readline() == b"\n"
    path.process.send_signal(signal.SIGSTOP)
    try:
        ends_as(["lost"], aisc, process, 6)
        event = daemon.wait_event("command-end")
        assert event["reason"] not in ("exit", "signal"), event
    finally:
        path.process.send_signal(signal.SIGCONT)


@pytest.mark.long
def test_client_that_sleeps(far):
    """A laptop whose lid was closed for longer than the server waits."""
    path, daemon, aisc = far(5)
    daemon.configure(dead_timeout=2)
    daemon.reload()
    process = aisc.start(daemon.port, "sh", "-c", "echo; sleep 1000",
                         host=HERE)
    assert process.stdout.readline() == b"\n"
    # The machine is gone with it, and so nothing answers the server.
    process.send_signal(signal.SIGSTOP)
    path.process.send_signal(signal.SIGSTOP)
    try:
        daemon.wait_event("session-close")
    finally:
        path.process.send_signal(signal.SIGCONT)
        process.send_signal(signal.SIGCONT)
    # What the server has said of it may still arrive.
    ends_as(["lost", "timeout"], aisc, process, 20)


@pytest.mark.same("user")
def test_a_script_takes_one_round_trip_more(far, measurable, tmp_path):
    """Not one for each command."""
    _, daemon, aisc = far(50)
    script = tmp_path / "script"

    def seconds(lines):
        script.write_text("true\n" * lines)
        took = []
        for _ in range(3):
            began = time.monotonic()
            done = aisc.run(daemon.port, host=HERE,
                            options=["-f", str(script)])
            took.append(time.monotonic() - began)
            assert done.returncode == 0, done.stderr
        return sorted(took)[1]
    one, ten = seconds(1), seconds(10)
    assert ten < one + 0.25 * SLOWNESS, (one, ten)
