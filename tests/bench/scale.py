# SPDX-License-Identifier: ISC
"""What aisd takes where there is much of something: rules, revoked
certificates, records, peers in line, commands in one session.

Each is an aisd of its own beside one with an ordinary configuration, "plain".
They are measured in turns, each with a session that stays, to which commands
are given in batches; and by cold starts.  See README.
"""

import os
import random
import socket
import statistics
import subprocess
import time

import measure
import peers
import pki
from place import BUILDDIR, DAEMON

PLAIN = "plain"
RULES, ENTRIES, WAITING, LOG, COMMANDS = 10000, 1000000, 32, 10 << 30, 100000
BEFORE = 100            # Commands before the first that is measured.
BATCH = 100
ROUNDS, COLD_ROUNDS, COLD, STARTS = 41, 15, 8, 21
IDLE = 10


class Session:
    """An aisc that reads commands from a pipe."""

    def __init__(self, peer):
        self.process = subprocess.Popen(
            peer.base, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, env=peer.environment, bufsize=0)

    def batch(self, count):
        """Seconds that so many commands take, of which the last answers."""
        began = time.perf_counter()
        os.write(self.process.stdin.fileno(),
                 b"true\n" * (count - 1) + b"echo\n")
        if os.read(self.process.stdout.fileno(), 16) != b"\n":
            raise measure.Failure("the session has ended")
        return time.perf_counter() - began

    def close(self):
        measure.end_echo(self.process)


class Plain(peers.Aisd):
    name = PLAIN
    remark = "one of the benchmark's own rules, no list, no log, no line"
    columns = ("warm", "cold")
    session = None

    def prepare(self):
        remark = self.remark
        super().prepare()
        self.remark = remark

    def configuration(self, where):
        # The first batch may be a long time after the session's begin.
        return super().configuration(where) + 'turn = 0;\n' \
            'idle_timeout = "1 h";\nidle_timeout_waiting = "1 h";\n'

    def open(self):
        """Begin the session in which commands are measured."""
        self.session = Session(self)
        self.session.batch(BEFORE)

    def shut(self):
        """End it."""
        if self.session:
            self.session.close()
            self.session = None


class Rules(Plain):
    name = "rules"
    remark = f"{RULES:,} rules, of which the last applies"

    def prepare(self):
        others = "".join(
            f"""	{{ name = "rule-{n}"; peers = [ "client-{n}", "host-{n}-*" ];
	    commands = ( "/usr/bin/uptime", "/bin/df" ); }},\n"""
            for n in range(RULES - 1))
        self.RULES = f"""rules = (
{others}	{{ name = "bench"; peers = [ "bench" ]; anything = true; }}
);
"""
        super().prepare()


class Revoked(Plain):
    name = "revoked"
    remark = f"a revocation list of {ENTRIES:,} entries"

    def configuration(self, where):
        # Numbers of 20 bytes, as authorities give them, in any order.
        chance = random.Random(1)
        path = pki.revocations(
            self.place.authority, self.place.path / where / "crl.pem",
            [chance.getrandbits(159) for _ in range(ENTRIES)])
        return super().configuration(where) + f'crl = "{path}";\n'


class Log(Plain):
    name = "log"
    remark = f"a log that is {LOG >> 30} GiB long already, most of it a hole"

    def prepare(self):
        super().prepare()
        with open(self.record, "wb") as file:
            file.truncate(LOG)
        os.chmod(self.record, 0o600)
        self.place.own(f"{self.name}.d/server.log", DAEMON)


class Waiting(Plain):
    name = "waiting"
    remark = f"{WAITING} peers wait behind the session"
    columns = ("warm",)
    line = ()

    def open(self):
        super().open()
        words = [*self.base[:-1], "--verbose", *self.client("cold")[-2:]]
        self.line = [subprocess.Popen(
            words, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            env=self.environment) for _ in range(WAITING)]
        for process in self.line:
            if not any(b"waiting" in line for line in process.stderr):
                raise measure.Failure("a client that should wait does not")

    def shut(self):
        while self.line:
            process = self.line.pop()
            process.kill()
            process.communicate()
        super().shut()


class Long(Plain):
    name = "long"
    remark = f"a session that has had {COMMANDS:,} commands, not {BEFORE}"
    columns = ("warm",)

    def open(self):
        super().open()
        for _ in range(COMMANDS // 1000):
            self.session.batch(1000)


ALL = [Plain, Rules, Revoked, Log, Waiting, Long]


def run(bench):
    """Measure all of it; the figures are noted in "bench"."""
    servers = bench.scaled
    try:
        for kind in ALL:
            bench.set_up(kind, servers)
        warm(bench, servers)
        cold(bench, [peer for peer in servers if "cold" in peer.columns])
        for peer in servers:
            if peer.name == PLAIN:
                bench.note(peer, "wakeups", wakeups(peer.pids[0]))
            if peer.name == "rules":
                bench.note(peer, "check", measure.run(
                    [*peer.servers[0], "--check-config"]).wall)
    finally:
        for peer in servers:
            peer.stop()
    starts(bench, [peer for peer in servers if peer.name == PLAIN])


def warm(bench, servers):
    """A command more; each in the session that is there."""
    try:
        for peer in servers:
            peer.open()
        for _ in range(ROUNDS):
            for peer in random.sample(servers, len(servers)):
                bench.note(peer, "warm", peer.session.batch(BATCH) / BATCH)
    finally:
        for peer in servers:
            peer.shut()


def cold(bench, servers):
    for _ in range(COLD_ROUNDS):
        for peer in random.sample(servers, len(servers)):
            bench.note(peer, "cold", statistics.median(
                peer.run(peer.client("cold")).wall for _ in range(COLD)))


def wakeups(pid):
    """How often an idle process wakes up in IDLE seconds."""
    def count():
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            return sum(int(line.split()[1]) for line in file
                       if "ctxt_switches" in line)
    time.sleep(1)
    before = count()
    time.sleep(IDLE)
    return count() - before


def starts(bench, servers):
    """From the exec to the READY that the service manager hears."""
    if "#define HAVE_LIBSYSTEMD 1" not in (BUILDDIR / "config.h").read_text():
        return
    for peer in servers:
        path = str(peer.place.path / "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
            heard.bind(path)
            os.chmod(path, 0o666)
            heard.settimeout(10)
            for _ in range(STARTS):
                bench.note(peer, "ready", start(peer, heard, path))


def start(peer, heard, path):
    """One start, and its end."""
    began = time.perf_counter()
    process = subprocess.Popen(
        peer.servers[0], stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**peer.environment, "NOTIFY_SOCKET": path})
    try:
        while b"READY=1" not in heard.recv(4096):
            pass
        return time.perf_counter() - began
    except TimeoutError:
        raise measure.Failure("aisd does not become ready") from None
    finally:
        process.terminate()
        process.wait()
        heard.setblocking(False)
        try:
            while heard.recv(4096):
                pass
        except BlockingIOError:
            heard.settimeout(10)
