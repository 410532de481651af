# SPDX-License-Identifier: ISC
"""Calls of a daemon that fail on purpose: the side of the tests.

    faults = Faults(builddir, directory)
    daemon = Daemon(words, directory, pair, env=faults.environment())
    faults.arm("memory", errno.ENOMEM, after=7)     # The 7th from now on.
    ...                                             # What shall survive it.
    if faults.disarm() == 0: ...                    # It was not reached.

tests/fault/inject.c is the other side, which is in the daemon.
"""

import contextlib
import mmap
import os
import random
import struct

HEAD = struct.Struct("=iiiiiiq")
ENTRY = struct.Struct("=24sII")
NONE = -1
# An error that is none: the call never returns.
HANG = 4095
# Of each kind of fault so many rounds are made, spread over all that can be
# met, instead of the number that a test has for daily use; 0: every one.
ROUNDS = os.environ.get("AIS_FAULT_ROUNDS", "")
SEED = int(os.environ.get("AIS_FAULT_SEED", "1"))


class Faults:
    """The control of one daemon's faults, in a file in "directory"."""

    def __init__(self, builddir, directory):
        self.library = builddir / "tests" / "fault" / "inject.so"
        self.path = directory / "faults"
        self.path.write_bytes(bytes(mmap.PAGESIZE))
        with open(self.path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), mmap.PAGESIZE)
        self.armed_call = memoryview(self.map)[:4].cast("i")
        self.clock = 0
        self.disarm()

    def environment(self):
        """What the daemon has to be started with."""
        return {**os.environ, "LD_PRELOAD": str(self.library),
                "AIS_FAULT_CONTROL": str(self.path)}

    def _write(self, armed, error=0, most=0, after=1, times=1):
        # What is armed comes last: the daemon may be reading.  It is set in
        # one step; struct.pack_into() would make it 0 for a moment, and that
        # is a call.
        self.armed_call[0] = NONE
        struct.pack_into("=iiii", self.map, 4, error, most, after, times)
        self.armed_call[0] = armed

    def arm(self, call, error, after=1, times=1):
        """Let calls fail: "error" is an errno, or a number of bytes below 0
        that are the most that a call can move."""
        self._done = self.count(call)[1]
        self._call = call
        if error > 0:
            self._write(self.names()[call], error, 0, after, times)
        else:
            self._write(self.names()[call], 0, -error, after, times)

    def disarm(self):
        """No call fails any more; returns how many did."""
        self._write(NONE)
        if self.names() and getattr(self, "_call", None):
            return self.count(self._call)[1] - self._done
        return 0

    def names(self):
        """The calls that can fail, with their places."""
        count = HEAD.unpack_from(self.map)[5]
        return {ENTRY.unpack_from(self.map, HEAD.size + i * ENTRY.size)[0]
                .rstrip(b"\0").decode(): i for i in range(count)}

    def count(self, call):
        """How many calls there were, and how many of them failed."""
        at = HEAD.size + self.names()[call] * ENTRY.size
        return ENTRY.unpack_from(self.map, at)[1:]

    def set_clock(self, seconds):
        """The daemon's time of day is off by so much."""
        struct.pack_into("=q", self.map, 24, seconds)

    @contextlib.contextmanager
    def armed(self, *arguments, **options):
        """While this lasts."""
        self.arm(*arguments, **options)
        try:
            yield
        finally:
            self.disarm()


def spread(total, rounds, seed=SEED):
    """So many of the numbers from 1 to "total", in order."""
    rounds = int(ROUNDS or rounds)
    numbers = range(1, total + 1)
    if rounds == 0 or rounds >= total:
        return list(numbers)
    return sorted(random.Random(seed).sample(numbers, rounds))
