#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Measure AIS beside its yardstick and its neighbours; see README.

usage: bench.py [--quick] [--peers NAME,...] [--workloads NAME,...]
                [--rounds FACTOR] [--json FILE] [--chart FILE]
"""

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import time

import chart
import measure
import peers
import place
import scale

MIB, GIB = 1 << 20, 1 << 30
# Workload: rounds, and how often each round does it.
PLAN = {"cold": (15, 8), "warm": (9, 200), "echo": (7, 500), "lines": (7, 1),
        "buffered": (5, 1), "download": (7, 1), "upload": (7, 1)}
QUICK = {"cold": (5, 3), "warm": (5, 60), "echo": (3, 200), "lines": (5, 1),
         "buffered": (3, 1), "download": (4, 1), "upload": (4, 1)}
QUICK_SIZE = GIB // 4
# Which part of the rounds those take part in who are not to be told apart by a
# few percent, and who they are not.
REST, QUICK_REST = 0.35, 0.2
CLOSE = ("floor", "floor-tuned", "aisd")

# Column, heading, workload, unit in seconds or MiB, format.
COLUMNS = [
    ("cold", "cold ms", 1e3, "{:.2f}"),
    ("cold_client_cpu", "client CPU ms", 1e3, "{:.2f}"),
    ("warm", "warm ms", 1e3, "{:.3f}"),
    ("echo", "echo us", 1e6, "{:.0f}"),
    ("lines", "lines s", 1, "{:.3f}"),
    ("buffered", "200k lines s", 1, "{:.3f}"),
    ("download", "download MB/s", None, "{:.0f}"),
    ("upload", "upload MB/s", None, "{:.0f}"),
    ("download_cpu", "server CPU s/GiB", 1, "{:.2f}"),
    ("upload_cpu", "server CPU s/GiB", 1, "{:.2f}"),
    ("idle", "idle MiB", 1, "{:.1f}"),
    ("session", "session MiB", 1, "{:.1f}"),
    ("transfer", "transfer MiB", 1, "{:.1f}"),
    ("check", "--check-config s", 1, "{:.3f}"),
    ("ready", "start to READY ms", 1e3, "{:.1f}"),
    ("wakeups", "wake-ups in 10 s", 1, "{:.0f}"),
]
SIZES = ("idle", "session", "transfer")
TABLES = [("cold", "cold_client_cpu", "warm", "echo"),
          ("lines", "buffered", *SIZES),
          ("download", "download_cpu", "upload", "upload_cpu")]
SCALE = ("warm", "cold", "check", "ready", "wakeups")
# What is not one of the workloads that go through all peers.
OTHERS = ["memory", "scale"]

# (peer, column, of whom, at most): in proportion to another, or itself.
BUDGETS = [
    ("aisd", "cold", "floor", 1.15),
    ("aisd", "cold_client_cpu", "floor", 1.1),
    ("aisd", "cold", "openssh", 1 / 15),
    ("aisd", "warm", "floor", 1.15),
    ("aisd", "warm", "openssh-libssh", 1 / 2.5),
    ("aisd", "warm", "openssh-shared", 1 / 7),
    ("aisd", "lines", "floor", 1.2),
    ("aisd", "buffered", "floor", 1.2),
    ("aisd", "download", "floor-tuned", 1 / 0.95),
    ("aisd", "upload", "floor-tuned", 1 / 0.95),
    ("aisd", "download_cpu", "floor-tuned", 1.1),
    ("aisd", "upload_cpu", "floor-tuned", 1.1),
    ("aisd", "idle", None, 8),
    *((kind.name, column, scale.PLAIN, 1.05)
      for kind in scale.ALL for column in kind.columns
      if kind.name != scale.PLAIN),
    ("rules", "check", None, 1),
    (scale.PLAIN, "ready", None, 50),
    # One look at its files a minute.
    (scale.PLAIN, "wakeups", None, 1),
]


def say(text):
    print(text, file=sys.stderr, flush=True)


class Bench:
    """One run: peers, and what was measured of them in each round."""

    def __init__(self, where, options):
        self.place = where
        self.plan = QUICK if options.quick else PLAN
        self.size = QUICK_SIZE if options.quick else GIB
        self.rest = QUICK_REST if options.quick else REST
        self.factor = options.rounds
        self.peers = []
        self.scaled = []        # Those of scale.py.
        self.absent = {}        # Name: why it is not measured.
        self.samples = {}       # (name, column): one figure a round.
        where.hold(self.size)
        for kind in peers.ALL:
            if (not options.peers or kind.name in options.peers) and \
                    options.workloads != ["scale"]:
                self.set_up(kind, self.peers)

    def set_up(self, kind, among):
        """Start a peer and add it there; or say why it is absent."""
        peer = None
        try:
            peer = kind(self.place, self.size)
            peer.start()
            among.append(peer)
        except peers.Missing as e:
            self.absent[kind.name] = str(e)
        except (measure.Failure, OSError,
                subprocess.CalledProcessError) as e:
            self.absent[kind.name] = f"cannot be set up: {e}"
        if kind.name in self.absent:
            # Before the minutes that the others take, not only after them.
            say(f"bench: {kind.name} is not measured: "
                f"{self.absent[kind.name]}")
            if peer:
                peer.stop()

    def close(self):
        for peer in self.peers:
            peer.stop()

    def note(self, peer, column, value):
        self.samples.setdefault((peer.name, column), []).append(value)

    def run(self, workloads):
        """Each workload, all peers in turns, in an order by chance."""
        for workload in workloads:
            rounds, times = self.plan[workload]
            rounds = max(1, round(rounds * self.factor))
            for at in range(rounds):
                able = [peer for peer in self.peers if peer.does(workload)
                        and peer.name not in self.absent
                        and (peer.name in CLOSE or at < rounds * self.rest)]
                for peer in random.sample(able, len(able)):
                    self.one(peer, workload, times)
            say(f"bench: {workload} is done")

    def one(self, peer, workload, times):
        """One round of one workload with one peer."""
        try:
            {"cold": self.cold, "warm": self.warm, "echo": self.echo,
             "download": self.bulk, "upload": self.bulk}.get(
                 workload, self.plain)(peer, workload, times)
        except (measure.Failure, OSError) as e:
            self.give_up(peer, workload, e)

    def give_up(self, peer, workload, why):
        self.absent[peer.name] = f"{workload} has failed: {why}"
        say(f"bench: {peer.name}: {self.absent[peer.name]}")

    def cold(self, peer, workload, times):
        took = [peer.run(peer.client(workload)) for _ in range(times)]
        self.note(peer, "cold", statistics.median(t.wall for t in took))
        self.note(peer, "cold_client_cpu",
                  statistics.mean(t.cpu for t in took))

    def warm(self, peer, workload, times):
        """What one more command costs a client that has a session."""
        if getattr(peer, "each", False):
            self.note(peer, workload, statistics.median(
                peer.run(peer.client(workload)).wall
                for _ in range(max(5, times // 10))))
            return
        few, many = (peer.run(*peer.warm(count)).wall
                     for count in (1, times + 1))
        self.note(peer, workload, (many - few) / times)

    def echo(self, peer, workload, times):
        self.note(peer, workload, measure.echo(
            peer.client(workload), times, peer.environment, peer.errors))

    def plain(self, peer, workload, times):
        self.note(peer, workload, statistics.median(
            peer.run(peer.client(workload)).wall for _ in range(times)))

    def bulk(self, peer, workload, _times):
        """Seconds for a GiB, of the clock and of the server's processor."""
        measure.settle(peer.pids, self.servers())
        before = measure.cpu(peer.pids)
        stdin = self.place.big if workload == "upload" else measure.NULL
        took = peer.run(peer.client(workload), stdin)
        left = measure.settle(peer.pids, self.servers())
        scale = GIB / self.size
        self.note(peer, workload, took.wall * scale)
        self.note(peer, workload + "_cpu",
                  (measure.cpu(peer.pids) - before + left) * scale)

    def memory(self):
        """Of each server."""
        for peer in self.peers:
            try:
                if peer.does("echo"):
                    self.sizes(peer)
            except (measure.Failure, OSError) as e:
                self.give_up(peer, "memory", e)
        say("bench: memory is done")

    def sizes(self, peer):
        """Idle, with a session in which cat waits, and in the transfers."""
        self.note(peer, "idle", peer.memory())
        process = measure.start_echo(
            peer.client("echo"), peer.environment, peer.errors)
        self.note(peer, "session", peer.memory())
        measure.end_echo(process)
        if peer.name not in CLOSE:
            return
        self.note(peer, "transfer", max(measure.most_memory(
            peer.memory, peer.client(workload), stdin, peer.environment)
            for workload, stdin in (("download", measure.NULL),
                                    ("upload", self.place.big))))

    def scale(self):
        """aisd alone, where there is much of something."""
        try:
            scale.run(self)
        except (measure.Failure, OSError) as e:
            self.absent["scale"] = f"it has failed: {e}"
            say(f"bench: scale: {self.absent['scale']}")
        say("bench: scale is done")

    def servers(self):
        return [process.pid for peer in self.peers
                for process in peer.processes]

    # What has come of it.

    def figure(self, name, column):
        values = self.samples.get((name, column))
        return statistics.median(values) if values else None

    def ratio(self, name, column, reference):
        """How many times what the reference takes; of rounds in pairs."""
        ours = self.samples.get((name, column))
        theirs = self.samples.get((reference, column))
        if not ours or not theirs or not all(theirs):
            return None
        if len(ours) == len(theirs):
            return statistics.median(a / b for a, b in zip(ours, theirs))
        return statistics.median(ours) / statistics.median(theirs)

    def spread(self, name, column):
        """Half of what the middle half of the rounds covers, in percent."""
        values = self.samples.get((name, column), [])
        middle = self.figure(name, column)
        if len(values) < 3 or not middle:
            return None
        low, _, high = statistics.quantiles(values, n=4)
        return 50 * (high - low) / middle

    def budgets(self):
        """(words, what it is, what it may be) of each that was measured."""
        for name, column, reference, most in BUDGETS:
            _, heading, unit, _ = of_column(column)
            value = self.ratio(name, column, reference) if reference \
                else self.figure(name, column)
            if value is not None and reference:
                yield f"{name}: {column}, of {reference}", value, most
            elif value is not None:
                yield f"{name}: {heading}", value * unit, most
        idle, most = (self.figure("aisd", c) for c in ("idle", "transfer"))
        if most is not None:
            yield "aisd: transfer - idle MiB", most - idle, 4


def of_column(name):
    return next(c for c in COLUMNS if c[0] == name)


def reference_of(name, column):
    """Whose figure this one is put in proportion to; None if nobody's."""
    if column in SIZES or column in ("check", "ready", "wakeups"):
        return None
    if name in [kind.name for kind in scale.ALL]:
        return scale.PLAIN
    bulk = ("download", "upload", "download_cpu", "upload_cpu")
    return "floor-tuned" if column in bulk else "floor"


def cell(bench, name, column):
    """A figure as a reader wants it: value, spread, ratio."""
    _, _, unit, form = of_column(column)
    value = bench.figure(name, column)
    if value is None:
        return "-"
    text = form.format(value * unit if unit else GIB / 1e6 / value)
    spread = bench.spread(name, column)
    if spread is not None:
        text += f" ±{spread:.0f}%"
    ratio = bench.ratio(name, column, reference_of(name, column))
    if ratio is not None:
        text += f" ({ratio if unit else 1 / ratio:.2f}x)"
    return text


def table(bench, columns, rows_of):
    """One table as lines of text, a row for each of these peers."""
    headings = {c[0]: c[1] for c in COLUMNS}
    rows = [["", *(headings[c] for c in columns)]]
    for peer in rows_of:
        row = [cell(bench, peer.name, column) for column in columns]
        if any(text != "-" for text in row):
            rows.append([peer.name, *row])
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        yield "  ".join([row[0].ljust(widths[0])] + [
            text.rjust(width) for text, width in
            zip(row[1:], widths[1:])]).rstrip()


def report(bench):
    """All that was measured, in lines of text."""
    for columns, rows_of in [*((c, bench.peers) for c in TABLES),
                             (SCALE, bench.scaled)]:
        lines = list(table(bench, columns, rows_of))
        if len(lines) > 1:
            yield from [*lines, ""]
    for peer in bench.peers + bench.scaled:
        if peer.name not in bench.absent:
            yield f"{peer.name}: {peer.remark}"
    for name, why in bench.absent.items():
        yield f"{name}: not measured: {why}"
    yield ""
    for what, value, most in bench.budgets():
        word = "kept" if value <= most else "MISSED"
        yield f"{word:6}  {value:6.3f} of at most {most:6.3f}  {what}"


def output_of(*words):
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip().splitlines()[0]


def as_json(bench):
    """The same for programs; times are in seconds, for a GiB where bulk."""
    figures = {}
    for (name, column), values in sorted(bench.samples.items()):
        figures.setdefault(name, {})[column] = {
            "median": bench.figure(name, column),
            "lowest": min(values), "highest": max(values),
            "rounds": len(values),
            "ratio": bench.ratio(name, column, reference_of(name, column))}
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": {
            "system": f"{platform.system()} {platform.release()}",
            "processors": os.cpu_count(), "load": os.getloadavg()[0],
            "openssl": output_of("openssl", "version"),
            "openssh": output_of("ssh", "-V")
            if place.program("ssh") else None},
        "transfer_bytes": bench.size,
        "remarks": {peer.name: peer.remark
                    for peer in bench.peers + bench.scaled},
        "absent": bench.absent,
        "figures": figures,
        "budgets": [{"what": what, "is": value, "at_most": most}
                    for what, value, most in bench.budgets()],
    }


def parse(argv):
    def names(text):
        return text.split(",")
    parser = argparse.ArgumentParser(
        usage=__doc__.split("usage: ")[1], add_help=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--peers", type=names)
    parser.add_argument("--workloads", type=names,
                        default=None)
    parser.add_argument("--rounds", type=float, default=1)
    parser.add_argument("--json")
    parser.add_argument("--chart")
    options = parser.parse_args(argv)
    options.workloads = options.workloads or [
        *PLAN, *OTHERS[:1 if options.quick else None]]
    unknown = set(options.workloads) - {*PLAN, *OTHERS}
    unknown |= set(options.peers or ()) - {kind.name for kind in peers.ALL}
    if unknown:
        parser.error("there is no " + ", ".join(sorted(unknown)))
    return options


def main():
    options = parse(sys.argv[1:])
    place.enter()
    measure.adopt()
    where = place.Place()
    try:
        bench = Bench(where, options)
        try:
            if "memory" in options.workloads:
                bench.memory()
            bench.run([w for w in options.workloads if w not in OTHERS])
            if "scale" in options.workloads:
                bench.scale()
        finally:
            bench.close()
    finally:
        where.close()
    print("\n".join(report(bench)))
    result = as_json(bench)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=1, ensure_ascii=False)
            file.write("\n")
    if options.chart:
        with open(options.chart, "w", encoding="utf-8") as file:
            file.write(chart.draw(result))


if __name__ == "__main__":
    main()
