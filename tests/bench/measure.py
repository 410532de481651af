# SPDX-License-Identifier: ISC
"""Times, processor time and memory of processes."""

import contextlib
import ctypes
import os
import pathlib
import statistics
import subprocess
import time
from typing import NamedTuple

TICK = 1 / os.sysconf("SC_CLK_TCK")
NULL = "/dev/null"
WARMING = 5
PR_SET_CHILD_SUBREAPER = 36


class Failure(Exception):
    """A client has failed; the text says how."""


class Took(NamedTuple):
    """Seconds of a process: by the clock, and of the processor."""
    wall: float
    cpu: float


def run(words, stdin=NULL, environment=None, errors=NULL):
    """Run a client to its end, with its output thrown away and what it says
    on standard error added to the file "errors"."""
    environment = os.environ if environment is None else environment
    actions = [(os.POSIX_SPAWN_OPEN, 0, stdin, os.O_RDONLY, 0),
               (os.POSIX_SPAWN_OPEN, 1, NULL, os.O_WRONLY, 0),
               (os.POSIX_SPAWN_OPEN, 2, errors,
                os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)]
    began = time.perf_counter()
    pid = os.posix_spawn(words[0], words, environment, file_actions=actions)
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - began
    if status != 0:
        raise Failure(f"{' '.join(words)}: exit status "
                      f"{os.waitstatus_to_exitcode(status)}: "
                      f"{last_line(errors)}")
    return Took(wall, usage.ru_utime + usage.ru_stime)


def last_line(path):
    """What was last said there."""
    lines = pathlib.Path(path).read_text(errors="replace").splitlines()
    return lines[-1] if lines else "(nothing)"


def start_echo(words, environment=None, errors=NULL):
    """A client whose command is cat; it has answered once."""
    with open(errors, "ab") as file:
        process = subprocess.Popen(words, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=file,
                                   env=environment, bufsize=0)
    ping_pong(process, 1)
    return process


def ping_pong(process, rounds):
    """Seconds that 64 bytes take there and back, each time."""
    line = b"x" * 63 + b"\n"
    there, back = process.stdin.fileno(), process.stdout.fileno()
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        os.write(there, line)
        got = b""
        while not got.endswith(b"\n"):
            piece = os.read(back, 64)
            if not piece:
                raise Failure(f"{process.args[0]}: no echo")
            got += piece
        took.append(time.perf_counter() - began)
    return took


def echo(words, rounds, environment=None, errors=NULL):
    """The median of the seconds of an echo."""
    process = start_echo(words, environment, errors)
    try:
        ping_pong(process, WARMING)
        return statistics.median(ping_pong(process, rounds))
    finally:
        end_echo(process)


def end_echo(process):
    """Close its input, and wait until it has ended."""
    process.stdin.close()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()


def cpu(pids):
    """Processor seconds of processes and of all that they have reaped."""
    ticks = 0
    for pid in pids:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
        ticks += sum(map(int, stat.rsplit(")", 1)[1].split()[11:15]))
    return ticks * TICK


def tree(pids):
    """These processes and all below them."""
    return [found for pid in pids for found in [pid, *tree(children(pid))]]


def resident(pid):
    """The name of a process, and how many MiB are resident of it."""
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return "", 0
    fields = dict(line.split(":\t", 1) for line in status.splitlines()
                  if ":\t" in line)
    return fields["Name"], int(fields.get("VmRSS", "0").split()[0]) / 1024


def memory(pids, left_out=()):
    """Resident MiB of these and all below, but for commands by name."""
    return sum(mib for name, mib in map(resident, tree(pids))
               if name not in left_out)


def most_memory(look, words, stdin=NULL, environment=None):
    """The most that look() has said while a client ran to its end."""
    most = look()
    with open(stdin, "rb") as source:
        process = subprocess.Popen(
            words, stdin=source, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env=environment)
    while process.poll() is None:
        most = max(most, look())
        time.sleep(0.01)
    return most


def adopt():
    """Become the parent of what servers leave behind, so that it counts."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children(pid):
    """The pids of a process's children; none if it has ended."""
    found = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                text = pathlib.Path(
                    f"/proc/{pid}/task/{task}/children").read_text()
                found += [int(word) for word in text.split()]
    return found


def settle(pids, servers):
    """Wait until nothing but these servers is left of their trees.  Return
    the processor seconds of what was left to us, who know "servers"."""
    deadline, seconds = time.monotonic() + 5, 0
    while time.monotonic() < deadline:
        orphans = set(children(os.getpid())) - set(servers)
        if not orphans and len(tree(pids)) == len(pids):
            break
        for pid in orphans:
            ended, _, usage = os.wait4(pid, os.WNOHANG)
            if ended:
                seconds += usage.ru_utime + usage.ru_stime
        time.sleep(0.002)
    return seconds


def listening(port):
    """Does anybody listen there?  Seen without a connection."""
    want = f"0100007F:{port:04X}"
    lines = pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]
    return any(line.split()[1] == want and line.split()[3] == "0A"
               for line in lines)


def wait_until(condition, what, seconds=10):
    """Wait for a condition; Failure if it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Failure(what)
        time.sleep(0.005)
