#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""AIS and OpenSSH over a long path, beside plain TCP.

The path is tests/path.c: two networks that see each other alone, through the
kernel's own TCP.  It prints a table, a column for each round trip, or for one
and how many of a hundred packets are lost each way; times are medians, and bulk
is in MB/s.  Needs root, who can enter the networks as what it is, for sshd.

usage: far.py [--rounds N] [--size MIB] [--json FILE] [MS[:PERCENT]...]
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import measure
from peers import Missing, OpenSSH
from place import BUILDDIR, Place, enter

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / "e2e")]

from aisd import Daemon                         # noqa: E402
from tcp import tcp_seconds                     # noqa: E402

TRIPS = ["1", "20", "100", "300", "100:1"]
HERE = "10.99.0.1"
MIB = 1 << 20
SFTP = "/usr/lib/openssh/sftp-server"
FILES = 1000

class FarSSH(OpenSSH):
    """An sshd at the near end."""

    def prepare(self):
        super().prepare()
        path = self.place.path / "sshd_config"
        path.write_text(path.read_text().replace("127.0.0.1", HERE)
                        + f"Subsystem sftp {SFTP}\n")
        self.target = f"{self.place.user}@{HERE}"


class Path:
    """The path, and what runs at its ends."""

    def __init__(self, where, trip, size):
        self.size = size
        self.place = where
        ms, _, lost = trip.partition(":")
        self.process = subprocess.Popen(
            [str(BUILDDIR / "tests" / "path"), str(float(ms) / 2), "0",
             str(round(10 * float(lost or 0)))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        pids = self.process.stdout.readline().split()
        if len(pids) != 2:
            raise measure.Failure("no network of our own can be made here")
        self.near, self.far = (["nsenter", "--net", "--target", pid]
                               for pid in pids)
        self.directory = pathlib.Path(tempfile.mkdtemp(dir=where.path))
        self.directory.chmod(0o755)
        self.server = Daemon([*self.near, str(BUILDDIR / "aisd")],
                             self.directory / "aisd", where.far_pair,
                             listen=[f"{HERE}:0"], slowness=10, rules='{ peers '
                             '= [ "*" ]; anything = true; shell = true; '
                             f'sftp_server = [ "{SFTP}" ]; }}')
        self.server.start()
        client = self.directory / "aisc.conf"
        client.write_text(f'authority = "{where.path}/ca.pem";\n'
                          f'certificate = "{where.path}/client.pem";\n'
                          f'key = "{where.path}/client.key";\n'
                          f"port = {self.server.port};\n")
        self.aisc = [str(BUILDDIR / "aisc"), "-F", str(client), HERE]
        rsh = self.directory / "aisc-ssh"
        rsh.write_text(f'#!/bin/sh\nexec {BUILDDIR}/aisc --rsh -F {client} '
                       '"$@"\n')
        rsh.chmod(0o755)
        self.rsh = str(rsh)
        self.ssh = None
        if shutil.which("sshd", path="/usr/sbin:" + os.environ["PATH"]):
            self.ssh = FarSSH(where, size)
            self.sshd = subprocess.Popen(
                [*self.near, *self.ssh.servers[0]], stderr=subprocess.DEVNULL)
            measure.wait_until(lambda: self.call(
                [*self.ssh.options, self.ssh.target, "true"], False) == 0,
                "sshd does not answer")

    def close(self):
        self.server.stop()
        if self.ssh:
            self.sshd.terminate()
            self.sshd.wait()
        self.process.stdin.close()
        self.process.wait()

    def call(self, words, check=True, stdin=None, stdout=subprocess.DEVNULL):
        """Run a client at the far end."""
        done = subprocess.run(
            [*self.far, *words], stdin=stdin or subprocess.DEVNULL,
            stdout=stdout, stderr=subprocess.PIPE, check=False)
        if check and done.returncode != 0:
            raise measure.Failure(f"{words}: {done.stderr.decode()}")
        return done.returncode

    def seconds(self, *words, **how):
        began = time.monotonic()
        self.call(list(words), **how)
        return time.monotonic() - began

    def tcp(self):
        return tcp_seconds(self.near, self.far, HERE, self.size // MIB)

    # The rows: what a client does, by AIS or by ssh.

    def run(self, ours, line):
        return [*self.aisc, *line.split()] if ours else \
            [*self.ssh.options, self.ssh.target, line]

    def cold(self, ours):
        return self.seconds(*self.run(ours, "true"))

    def echo(self, ours):
        with open("/etc/hostname", "rb") as file:
            return self.seconds(*self.run(ours, "cat"), stdin=file)

    def ten(self, ours):
        """Ten commands, one after the other."""
        if ours:
            script = self.directory / "ten"
            script.write_text("true\n" * 10)
            return self.seconds(*self.aisc[:-1], "-f", str(script), HERE)
        master = ["-S", str(self.directory / "master")]
        began = time.monotonic()
        self.call([*self.ssh.options, "-M", "-f", "-N", *master,
                   "-oControlPersist=no", self.ssh.target])
        for _ in range(10):
            self.call([*self.ssh.options, *master, self.ssh.target, "true"])
        took = time.monotonic() - began
        self.call([*self.ssh.options, *master, "-O", "exit",
                   self.ssh.target])
        return took

    def down(self, ours):
        return self.seconds(*self.run(
            ours, f"head -c {self.size} /dev/zero"))

    def up(self, ours):
        with open(self.place.big, "rb") as file:
            return self.seconds(*self.run(ours, "wc -c"), stdin=file)

    def rsh_words(self, ours):
        return [self.rsh] if ours else self.ssh.options

    def rsync(self, ours):
        """Many small files."""
        to = tempfile.mkdtemp(dir=self.directory)
        os.chmod(to, 0o777)
        where = HERE if ours else self.ssh.target
        return self.seconds("rsync", "-r", "-e",
                            " ".join(self.rsh_words(ours)),
                            f"{self.place.files}/", f"{where}:{to}/")

    def sftp(self, ours, batch):
        path = self.directory / "batch"
        path.write_text(batch)
        words = self.rsh_words(ours)
        # "-b" asks for BatchMode, which both know.
        shell = self.directory / "shell"
        shell.write_text("#!/bin/sh\nexec " + " ".join(words) + ' "$@"\n')
        shell.chmod(0o755)
        where = HERE if ours else self.ssh.target
        return self.seconds("sftp", "-q", "-b", str(path), "-S", str(shell),
                            where)

    def get(self, ours):
        return self.sftp(ours, f"get {self.place.big} /dev/null\n")

    def put(self, ours):
        return self.sftp(ours, f"put {self.place.big} /dev/null\n")


# Column, words, how it is measured, rounds, and how a figure is shown: seconds,
# or MB/s where it is bulk.
ROWS = [("cold", "cold `true`, ms", Path.cold, 5, "{:.0f}", 1e3),
        ("echo", "`echo` to `cat`, ms", Path.echo, 5, "{:.0f}", 1e3),
        ("ten", "ten commands, ms", Path.ten, 3, "{:.0f}", 1e3),
        ("download", "download, MB/s", Path.down, 3, "{:.1f}", None),
        ("upload", "upload, MB/s", Path.up, 3, "{:.1f}", None),
        ("rsync", "rsync of 1,000 small files, s", Path.rsync, 3, "{:.1f}", 1),
        ("get", "sftp get, MB/s", Path.get, 1, "{:.1f}", None),
        ("put", "sftp put, MB/s", Path.put, 1, "{:.1f}", None)]
WHO = {"aisd": "AIS", "openssh": "OpenSSH", "tcp": "TCP alone"}


def of_path(where, trip, size, most):
    """What was measured over one round trip, by whom and by column; each round
    goes through all, in turns, and of what takes long there are "most"."""
    samples = {name: {} for name in WHO}
    path = Path(where, trip, size)
    try:
        for column, what, row, rounds, form, unit in ROWS:
            for _ in range(rounds if unit == 1e3 else min(rounds, most)):
                for name in WHO:
                    if (name == "openssh" and not path.ssh) or (
                            name == "tcp" and column not in ("download",
                                                             "upload")):
                        continue
                    try:
                        took = path.tcp() if name == "tcp" else \
                            row(path, name == "aisd")
                    except measure.Failure as e:
                        print(f"far: {what}, {name}: {e}", file=sys.stderr)
                        continue
                    samples[name].setdefault(column, []).append(
                        took if unit else size / 1e6 / took)
            print(f"far: {title(trip)}, {what}: " + ", ".join(
                f"{WHO[name]} {shown(samples[name], column)}" for name in WHO
                if column in samples[name]), file=sys.stderr, flush=True)
    finally:
        path.close()
    return {name: {column: {"median": statistics.median(values),
                            "lowest": min(values), "highest": max(values),
                            "rounds": len(values)}
                   for column, values in columns.items()}
            for name, columns in samples.items()}


def title(trip):
    ms, _, lost = trip.partition(":")
    return f"{ms} ms" + (f", {lost} % lost" if lost else "")


def shown(columns, column):
    """A figure as a reader wants it."""
    if column not in columns:
        return "-"
    form, unit = next(row[4:] for row in ROWS if row[0] == column)
    value = columns[column]
    value = value["median"] if isinstance(value, dict) else \
        statistics.median(value)
    return form.format(value * (unit or 1))


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--json")
    parser.add_argument("trips", nargs="*", default=TRIPS)
    options = parser.parse_args()
    size = options.size * MIB
    enter()
    measure.adopt()
    where = Place()
    try:
        if not where.private:
            raise Missing("needs root, and a namespace of mounts")
        where.hold(size)
        os.chmod(where.big, 0o644)
        where.far_pair = where.authority.server(HERE)
        where.files = where.path / "files"
        where.files.mkdir()
        for n in range(FILES):
            (where.files / f"file{n}").write_text(f"{n}\n" * 100)
        figures = {trip: of_path(where, trip, size, options.rounds)
                   for trip in options.trips}
    except (Missing, measure.Failure) as e:
        sys.exit(f"far: {e}")
    finally:
        where.close()
    print("| round trip | |", " | ".join(map(title, figures)), "|")
    print("|---|---|" + "---|" * len(figures))
    for column, what, *_ in ROWS:
        for name, words in WHO.items():
            cells = [shown(figures[trip][name], column) for trip in figures]
            if set(cells) != {"-"}:
                print(f"| {what} | {words} |", " | ".join(cells), "|")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"date": time.strftime("%Y-%m-%d", time.gmtime()),
                       "transfer_bytes": size, "figures": figures}, file,
                      indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
