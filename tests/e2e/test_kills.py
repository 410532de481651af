# SPDX-License-Identifier: ISC
"""Processes that end at any moment: a daemon by TERM or KILL, a command, a
client, and what is between them.

No failure is taken for a success, nothing stays behind, and a daemon that
lives puts the end of everything on record.  AIS_FAULT_ROUNDS says how often
each is tried, 0 for as often as the full suite has it; AIS_FAULT_SEED begins
the random numbers that choose the moments.
"""

import contextlib
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest

import aisc as client
from aisd import wait_until

ROUNDS = int(os.environ.get("AIS_FAULT_ROUNDS", "25"))
SEED = int(os.environ.get("AIS_FAULT_SEED", "1"))
# Longer than what the sockets and the pipes hold, so that it takes a while.
INPUT = random.Random(0).randbytes(4 * 1024 * 1024)
PROXY = pathlib.Path(__file__).parent / "proxy.py"

# What aisc may say of its failure, by who has ended.
SAYS = {
    "TERM": ("stopped", "lost", "connect", "tls"),
    "daemon": ("lost", "connect", "tls"),
    "proxy": ("lost", "connect", "tls"),
    "command": (None,),
    "client": (None,),
}


def rounds(full, slowness):
    """How often something is to be tried."""
    return full if ROUNDS == 0 else max(ROUNDS // slowness, 3)


@pytest.fixture
def cat(aisc, tmp_path):
    """A function that starts an aisc which sends INPUT through cat(1).  Its
    output goes to a file, so that it waits for nobody."""
    given, taken = tmp_path / "given", tmp_path / "taken"
    given.write_bytes(INPUT)

    def start(port):
        with open(given, "rb") as stdin, open(taken, "wb") as stdout:
            process = aisc.start(port, "cat", stdin=stdin, stdout=stdout)
        process.taken = taken
        return process
    return start


def outcome(process):
    """What an aisc has said, and what it has written."""
    _, err = process.communicate(timeout=30)
    return process.taken.read_bytes(), err


def finish(process, says, where):
    """Take the end of an aisc: either it is a failure, and said to be one, or
    all that should be there is.  Whether it was a success."""
    out, err = outcome(process)
    client.check_reports(err)
    if process.returncode == 0:
        assert out == INPUT, f"a false success, {where}"
        assert err == b"", where
        return True
    said = client.said(err)
    assert said in says, f"{said}, {where}: {err}"
    assert process.returncode == (255 if said else
                                  process.returncode), where
    assert INPUT.startswith(out), where
    return False


def moments(count, start):
    """So many moments, from before the beginning of what start() begins to
    after its end, and what to say of each."""
    began = time.monotonic()
    process = start()
    out, _ = outcome(process)
    span = 1.3 * (time.monotonic() - began)
    assert process.returncode == 0 and out == INPUT
    chance = random.Random(SEED)
    for i in range(count):
        moment = chance.uniform(0, span)
        yield moment, f"round {i}, after {1000 * moment:.1f} ms, seed {SEED}"


def check_balance(daemon, where):
    """What has begun has ended, and nothing of it is left."""
    def balanced():
        count = {name: len(daemon.events(name)) for name in (
            "command-start", "command-end", "session-open", "session-close")}
        return count["command-start"] == count["command-end"] and \
            count["session-open"] == count["session-close"]
    wait_until(balanced, f"as many ends as beginnings, {where}: "
               f"{daemon.lines()[-6:]}", 10 * daemon.slowness)
    assert not daemon.leftovers(), where


def check_whole(daemon):
    """No line of the log is torn."""
    text = daemon.log.read_bytes()
    assert text.endswith(b"\n")
    assert daemon.events()


@pytest.mark.limit(600)
def test_terminated_at_any_moment(aisd, cat, slowness, record_property):
    """The daemon ends in order, whatever it does at the moment."""
    done = 0
    count = rounds(200, slowness)
    for moment, where in moments(count, lambda: cat(aisd.port)):
        process = cat(aisd.port)
        time.sleep(moment)
        aisd.process.terminate()
        assert aisd.process.wait(10 * slowness) == 0, where
        done += finish(process, SAYS["TERM"], where)
        check_balance(aisd, where)
        aisd.check_reports()
        aisd.start()
    check_whole(aisd)
    assert aisd.events("stop") and len(aisd.events("start")) == count + 1
    record_property("SIGTERM", f"{count} times, {done} clients had finished")


@pytest.mark.limit(600)
def test_daemon_is_killed_at_any_moment(aisd, cat, slowness, record_property):
    """Its command ends with it, and no line of the log is torn."""
    done = 0
    count = rounds(200, slowness)
    for moment, where in moments(count, lambda: cat(aisd.port)):
        process = cat(aisd.port)
        time.sleep(moment)
        aisd.process.kill()
        aisd.process.wait()
        done += finish(process, SAYS["daemon"], where)
        wait_until(lambda: not aisd.leftovers(), f"nothing is left, {where}")
        aisd.check_reports()
        aisd.start()
    check_whole(aisd)
    record_property("SIGKILL of the daemon",
                    f"{count} times, {done} clients had finished")


@pytest.mark.limit(600)
@pytest.mark.parametrize("victim", ["client", "command"])
def test_killed_at_any_moment(aisd, cat, slowness, record_property, victim):
    """The daemon goes on, with the descriptors it had."""
    done = 0
    count = rounds(100, slowness)
    all_moments = moments(count, lambda: cat(aisd.port))
    for i, (moment, where) in enumerate(all_moments):
        # What is free between the pieces of its memory has to find its size,
        # which takes some hundred sessions and up to 2 MiB.  A queue that is
        # kept is 1 MiB each time; what is leaked, LeakSanitizer finds.
        if i == count // 2:
            before = aisd.usage()
        process = cat(aisd.port)
        time.sleep(moment)
        if victim == "client":
            process.kill()
        else:
            # It may end by itself just now.
            for pid in aisd.descendants():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        done += finish(process, SAYS[victim], where)
        check_balance(aisd, where)
    check_whole(aisd)
    aisd.check_usage(before, fds=0, rss_kib=2048)
    # A command that was killed is on record as that.
    killed = aisd.events("command-end", reason="signal", signal="9")
    assert bool(killed) == (victim == "command" and done < count)
    assert outcome(cat(aisd.port))[0] == INPUT
    record_property(f"SIGKILL of the {victim}",
                    f"{count} times, {done} clients had finished")


@pytest.mark.limit(600)
def test_proxy_is_killed_at_any_moment(aisd, cat, slowness, record_property):
    """A line between the two that is cut anywhere."""
    done = 0
    count = rounds(100, slowness)
    for moment, where in moments(count, lambda: cat(aisd.port)):
        with subprocess.Popen(
                [sys.executable, str(PROXY), str(aisd.port)],
                stdout=subprocess.PIPE) as proxy:
            try:
                process = cat(int(proxy.stdout.readline()))
                time.sleep(moment)
            finally:
                proxy.kill()
        done += finish(process, SAYS["proxy"], where)
        check_balance(aisd, where)
    check_whole(aisd)
    record_property("SIGKILL of a proxy",
                    f"{count} times, {done} clients had finished")
