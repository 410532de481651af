# SPDX-License-Identifier: ISC
"""A real aisc for the tests.

    aisc = Aisc(["build/aisc"], tmp_path, alice)
    done = aisc.run(daemon.port, "echo", "hello")
    assert done.returncode == 0 and done.stdout == b"hello\\n"

It reads no configuration but its own options, and gets nothing of the caller's
environment that could matter.  A report of a sanitizer or of valgrind fails
the test.
"""

import os
import pathlib
import re
import subprocess

import aisd

SAID = re.compile(rb"^aisc: (?!waiting)([a-z]+): ", re.M)


def said(stderr):
    """The class of the one failure that aisc reports, or None."""
    found = SAID.findall(stderr)
    assert len(found) < 2, stderr
    return found[0].decode() if found else None


def check_reports(stderr):
    """No sanitizer and no valgrind has complained."""
    text = stderr.decode("utf-8", "backslashreplace")
    assert not aisd.REPORTS.search(text), text


class Aisc:
    """How to start aisc; "pair" is the certificate to show, as pki.Pair."""

    def __init__(self, words, directory, pair, slowness=1):
        self.program = list(words)
        self.pair = pair
        self.slowness = slowness
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.config = self.directory / "aisc.conf"
        self.config.touch()

    def words(self, port, *command, pair=None, host="localhost", options=()):
        """The whole command line."""
        pair = pair or self.pair
        shown = [word for option, value in (
            ("--ca", pair.ca), ("--cert", pair.cert), ("--key", pair.key))
            if value for word in (option, str(value))]
        return [*self.program, "-F", str(self.config), *shown,
                "-p", str(port), *options, host, *command]

    def environment(self, **more):
        kept = {name: value for name, value in os.environ.items()
                if name in ("PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS",
                            "LSAN_OPTIONS")}
        return {**kept, "HOME": str(self.directory), "LANG": "C.UTF-8", **more}

    def start(self, port, *command, stdin=subprocess.DEVNULL,
              stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=None,
              popen=None, **how):
        """Start it and return the process; "how" as for words()."""
        return subprocess.Popen(
            self.words(port, *command, **how), stdin=stdin, stdout=stdout,
            stderr=stderr, env=self.environment(**(env or {})),
            **(popen or {}))

    def run(self, port, *command, input=None, stdin=None, timeout=60, **how):
        """Run it to its end; "input" are bytes for its standard input."""
        if input is not None:
            stdin = subprocess.PIPE
        elif stdin is None:
            stdin = subprocess.DEVNULL
        process = self.start(port, *command, stdin=stdin, **how)
        try:
            out, err = process.communicate(input, timeout * self.slowness)
        except BaseException:
            process.kill()
            process.communicate()
            raise
        check_reports(err or b"")
        return subprocess.CompletedProcess(process.args, process.returncode,
                                           out, err)
