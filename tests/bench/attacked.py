#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""What an attack on the door costs a good client.

Strangers keep connections to an aisd with its defaults open, and open each
anew 0.1 s after it was closed.  Meanwhile a client runs "true" again and again,
each time by a new connection and in one try: it is wire.Client of the tests,
and not aisc, which would try again.  It prints the table of SECURITY.md: the
median and the worst time in ms from the first packet to the exit status, and
how many tries of how many were lost.

usage: attacked.py [TRIES]
"""

import os
import pathlib
import statistics
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
SRCDIR = pathlib.Path(os.environ.get("AIS_SRCDIR") or HERE.parent.parent)
BUILDDIR = pathlib.Path(os.environ.get("AIS_BUILDDIR") or SRCDIR / "build")
sys.path[:0] = [str(SRCDIR / "tests" / "e2e"), str(SRCDIR / "tests")]

import attack                                   # noqa: E402
import pki                                      # noqa: E402
from aisd import Daemon                         # noqa: E402
from strangers import attacked, visits          # noqa: E402

TRIES = 50
# How many connections, from how many addresses; 0: the client's own.
PLACES = [("200 from 1 address", 200, 1), ("200 from 5", 200, 5),
          ("200 from 40", 200, 40), ("200 from 200", 200, 200),
          ("50 from the client's own", 50, 0),
          ("200 from its own", 200, 0)]


def sources(addresses):
    return [f"127.0.3.{n + 1}" for n in range(addresses)] or ["127.0.0.1"]


def cell(took):
    """Median, worst, and how many were lost."""
    ms = [1000 * seconds for seconds in took if seconds is not None]
    lost = f", {len(took) - len(ms)} of {len(took)} lost" \
        if len(ms) < len(took) else ""
    if not ms:
        return "none is served"
    return f"{statistics.median(ms):.0f} / {max(ms):.0f}{lost}"


def main():
    tries = int(sys.argv[1]) if len(sys.argv) > 1 else TRIES
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        authority = pki.Authority(directory / "ca")
        server = authority.server("localhost", "127.0.0.1")
        client = authority.client("alice")
        number = 0

        def measure(kind=None, count=0, addresses=0):
            nonlocal number
            number += 1
            with Daemon([str(BUILDDIR / "aisd")], directory / str(number),
                        server, failure_penalty=None) as daemon:
                if kind is None:
                    return visits(daemon, client, tries)
                with attacked(daemon, kind, sources(addresses), count):
                    return visits(daemon, client, tries)
        print(f"Without an attack: {cell(measure())}\n")
        print("| what they do |", " | ".join(p[0] for p in PLACES), "|")
        print("|---|" + "---|" * len(PLACES))
        for kind in attack.KINDS:
            print(f"| {kind} |", " | ".join(
                cell(measure(kind, count, addresses))
                for _, count, addresses in PLACES), "|", flush=True)


if __name__ == "__main__":
    main()
