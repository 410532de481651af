# SPDX-License-Identifier: ISC
"""How fast the machine is, and what stands between it and the programs."""

import os
import shlex
import subprocess
import time

VALGRIND = shlex.split(os.environ.get("AIS_VALGRIND", ""))
SANITIZERS = os.environ.get("AIS_SANITIZERS") == "yes"

# Where memory and time say nothing about AIS.
INSTRUMENTED = bool(VALGRIND or SANITIZERS)

# An idle machine starts a program in a millisecond or two, and so does a quick
# one on which other tests begin.
QUICK_MS = 4
STARTS = 10
SLOWEST = 8


def start_ms():
    """How long it takes now to start a program, in milliseconds."""
    began = time.monotonic()
    for _ in range(STARTS):
        subprocess.run(["true"], check=True)
    return (time.monotonic() - began) * 1000 / STARTS


# So many processes that want a processor of their own are usual here: the tests
# that run at once, and what they start.
USUAL = 4 * len(os.sched_getaffinity(0))


class Slowness(int):
    """How many times longer things may take here: a whole number, and more as
    a factor or a summand while others want the processors as well.  Limits are
    there to end what hangs."""

    def now(self):
        return max(int(self), min(SLOWEST, round(os.getloadavg()[0] / USUAL)))

    def __mul__(self, other):
        return self.now() * other

    def __add__(self, other):
        return self.now() + other

    __rmul__, __radd__ = __mul__, __add__


SLOWNESS = Slowness(max(10 if VALGRIND else 3 if SANITIZERS else 1,
                        min(SLOWEST, round(start_ms() / QUICK_MS))))
