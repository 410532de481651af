# SPDX-License-Identifier: ISC
"""All that can happen to one daemon, in any order.

    mix = Mix(daemon, aisc, alice, seed=1)
    mix.run(seconds=60)
    assert mix.wrong == []

Each step is a client that behaves, or a fault and then a client that behaves
and has to be served.  What was wrong is kept in words, with its step, so that
a long run goes on; that it goes on well is for its caller to judge.
"""

import contextlib
import os
import random
import resource
import signal
import subprocess
import time

import aisc as client
import wire
from aisd import wait_until
from proxy import Proxy
from strangers import half_hello, tcp

STREAM = 2 * 1024 * 1024
UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
STRANGERS = 6
LOG_MAX = 4 * 1024 * 1024
TREE = "(sleep 600 &); sleep 600 & cat; sleep 600"


class Mix:
    """One daemon under load; "seed" decides what happens when."""

    def __init__(self, daemon, aisc, pair, seed=1):
        self.daemon = daemon
        self.aisc = aisc
        self.pair = pair
        self.chance = random.Random(seed)
        self.data = random.Random(0).randbytes(STREAM)
        self.input = aisc.directory / "mix-input"
        self.input.write_bytes(self.data)
        self.strangers = []
        self.steps = self.sessions = self.commands = self.bytes = 0
        self.faults = 0
        self.false = 0          # Successes that were none.
        self.leaked = 0         # Processes that were left behind.
        self.wrong = []
        self.actions = [
            (6, self.good_session), (3, self.good_streams),
            (3, self.killed_client), (3, self.killed_command),
            (2, self.cut_line), (2, self.lost_tree), (2, self.stranger),
            (1, self.reload), (1, self.reopen), (1, self.deleted_log),
            (1, self.full_disk), (1, self.no_descriptors)]

    def run(self, seconds):
        """Go on for so long."""
        over = time.monotonic() + seconds
        weights = [weight for weight, _ in self.actions]
        while time.monotonic() < over:
            self.steps += 1
            _, action = self.chance.choices(self.actions, weights)[0]
            try:
                action()
                self.check()
            except (AssertionError, OSError, wire.Cut, wire.Closed,
                    wire.Goodbye, subprocess.TimeoutExpired) as e:
                self.wrong.append(f"step {self.steps}, {action.__name__}: "
                                  f"{type(e).__name__}: {e}"[:2000])
                if self.daemon.process.poll() is not None:
                    break

    def settle(self):
        """Nobody is there any more."""
        for raw in self.strangers:
            raw.close()
        self.strangers = []
        self.check()

    def check(self):
        """What has begun has ended, and left nothing behind."""
        def balanced():
            count = [len(self.daemon.events(name)) for name in (
                "session-open", "session-close",
                "command-start", "command-end")]
            return count[0] == count[1] and count[2] == count[3]
        wait_until(balanced, "as many ends on record as beginnings",
                   10 * self.daemon.slowness)
        left = self.daemon.leftovers()
        self.leaked += len(left)
        assert not left, f"{left} are left behind"
        self.trim()

    def trim(self):
        """Whoever looks at the log for days shall not keep all of it."""
        daemon = self.daemon
        if daemon.log.stat().st_size > LOG_MAX:
            os.truncate(daemon.log, 0)
        if len(daemon._lines) > 10000:
            del daemon._lines[:], daemon._events[:]

    # Those that behave.

    def ask(self, session, line, stdin):
        """One command, and whether what came of it is so."""
        result = session.shell(line, stdin=stdin)
        self.commands += 1
        self.judge(result.status == 0, result.stdout, stdin)
        return result

    def judge(self, success, out, expected):
        self.bytes += 2 * len(out)
        if success and out != expected:
            self.false += 1
            raise AssertionError(f"a false success: {len(out)} bytes of "
                                 f"{len(expected)}")

    def session(self, port=None):
        self.sessions += 1
        return wire.Client(port or self.daemon.port, *self.pair[:3])

    def good_session(self, most=20):
        with self.session() as session:
            for _ in range(self.chance.randint(1, most)):
                size = self.chance.randint(0, 5000)
                result = self.ask(session, "cat", self.data[:size])
                assert result.status == 0, result

    def good_streams(self):
        with self.session() as session:
            result = self.ask(session, "cat", self.data)
            assert result.status == 0, result.exit

    # Those that do not: a fault, and then somebody who has to be served.

    def start_aisc(self, port=None):
        self.sessions += 1
        self.commands += 1
        with open(self.input, "rb") as stdin:
            return self.aisc.start(port or self.daemon.port, "cat",
                                   stdin=stdin)

    def end_aisc(self, process):
        out, err = process.communicate(timeout=30)
        client.check_reports(err)
        self.judge(process.returncode == 0, out, self.data)

    def moment(self):
        time.sleep(self.chance.uniform(0, 0.06) * self.daemon.slowness)

    def killed_client(self):
        self.faults += 1
        process = self.start_aisc()
        self.moment()
        process.send_signal(self.chance.choice(
            [signal.SIGKILL, signal.SIGTERM, signal.SIGINT]))
        self.end_aisc(process)

    def killed_command(self):
        self.faults += 1
        process = self.start_aisc()
        self.moment()
        for pid in self.daemon.descendants():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.end_aisc(process)
        self.good_session(2)

    def cut_line(self):
        self.faults += 1
        with Proxy(self.daemon.port) as proxy:
            process = self.start_aisc(proxy.port)
            self.moment()
        self.end_aisc(process)
        self.good_session(2)

    def lost_tree(self):
        """A client that goes away while its command's tree goes on."""
        self.faults += 1
        session = self.session()
        session.ask(["sh", "-c", TREE], windows=(99, 99))
        self.commands += 1
        self.moment()
        self.chance.choice([session.close, session.reset])()
        self.good_session(2)

    def stranger(self):
        self.faults += 1
        new = self.chance.choice([half_hello, tcp])
        self.strangers.append(new(self.daemon))
        if len(self.strangers) > STRANGERS:
            self.strangers.pop(0).close()
        self.good_session(2)

    def reload(self):
        self.daemon.process.send_signal(signal.SIGHUP)
        self.good_session(2)

    def reopen(self):
        old = self.daemon.log.with_suffix(".old")
        self.daemon.lines()
        self.daemon.log.rename(old)
        self.daemon.process.send_signal(signal.SIGUSR1)
        wait_until(self.daemon.log.exists, "a new log",
                   10 * self.daemon.slowness)
        self.good_session(2)

    def deleted_log(self):
        self.faults += 1
        self.daemon.lines()
        self.daemon.log.unlink()
        self.good_session(2)

    @contextlib.contextmanager
    def limited(self, what, most):
        """A limit of the daemon, for a while."""
        self.faults += 1
        pid = self.daemon.pid
        before = resource.prlimit(pid, what)
        resource.prlimit(pid, what, (most, before[1]))
        try:
            yield
        finally:
            resource.prlimit(pid, what, before)

    def full_disk(self):
        with self.session() as session:
            session.hello()
            with self.limited(resource.RLIMIT_FSIZE,
                              self.daemon.log.stat().st_size):
                result = self.ask(session, "cat", b"x")
                assert result.refused.code == wire.Code.AUDIT, result
            result = self.ask(session, "cat", b"x")
            assert result.status == 0, result

    def no_descriptors(self):
        with self.session() as session:
            session.hello()
            has = self.daemon.usage().fds or 8
            few = has + self.chance.randint(1, 7)
            with self.limited(resource.RLIMIT_NOFILE, few):
                result = self.ask(session, "cat", b"x")
                assert result.status == 0 or result.refused.code == \
                    wire.Code.RESOURCES, result
            result = self.ask(session, "cat", b"x")
            assert result.status == 0, result
