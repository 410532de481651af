# SPDX-License-Identifier: ISC
"""A real aisd for the tests: configured, started, watched and stopped.

    with Daemon(["build/aisd"], tmp_path, server_pair) as d:
        wire.Client(d.port, *alice[:3]).run(["true"])
        d.wait_event("command-end", exit="0")

It runs as an ordinary process on a free port of 127.0.0.1.  stop() asserts
that it ended well: exit status 0, no report of a sanitizer or of valgrind, and
no process left behind.
"""

import base64
import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import time
import uuid
from typing import NamedTuple

from machine import INSTRUMENTED

LOG = "server.log"
EVERYTHING = '{ name = "all"; peers = [ "*" ]; anything = true; ' \
    'shell = true; accept_environment = [ "*" ]; }'
REPORTS = re.compile(r"AddressSanitizer|LeakSanitizer|runtime error:|"
                     r"^==\d+== (?!.*Warning: set address range)|"
                     r"Assertion .* failed", re.M)


class Usage(NamedTuple):
    """What a daemon has of the machine."""
    pid: int
    started: int        # In clock ticks since boot.
    fds: int            # None where they cannot be counted.
    rss_kib: int        # Without the pages of files, which come and go.


def wait_until(condition, what, timeout=30.0, pause=0.005):
    """The first true value of condition(); AssertionError after "timeout"."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


def quote(text):
    """A string of libconfig."""
    return '"' + str(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def setting(value):
    """A value of libconfig; lists are arrays, other text stands as it is."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "[ " + ", ".join(quote(v) for v in value) + " ]"
    if isinstance(value, (int, float)):
        return str(value)
    return quote(value)


def unescape(text):
    """Undo the escapes of the log: bytes."""
    named = {"n": b"\n", "r": b"\r", "t": b"\t", "\\": b"\\", '"': b'"'}
    out, at = b"", 0
    for match in re.finditer(r"\\(?:x([0-9a-f]{2})|(.))", text):
        out += text[at:match.start()].encode()
        out += bytes.fromhex(match[1]) if match[1] else named[match[2]]
        at = match.end()
    return out + text[at:].encode()


FIELD = re.compile(r'([a-z][a-z0-9_]*)=(?:"((?:[^"\\]|\\.)*)"|([^ "]*))(?: |$)')


def parse_line(line):
    """One line of the file log as a dict; values are text as it was logged,
    escapes undone where they are UTF-8."""
    if line.startswith("{"):
        event = json.loads(line)
        for name in [name for name in event if name.endswith("_base64")]:
            event[name.removesuffix("_base64")] = base64.b64decode(
                event.pop(name)).decode("utf-8", "surrogateescape")
        return event
    event, at = {}, 0
    for match in FIELD.finditer(line):
        assert match.start() == at, f"not logfmt: {line!r}"
        value = match[3] if match[2] is None else match[2]
        event[match[1]] = unescape(value).decode("utf-8", "surrogateescape")
        at = match.end()
    assert at == len(line) and "event" in event, f"not logfmt: {line!r}"
    return event


def descriptors(pid):
    """How many descriptors a process has; None where nobody tells.

    /proc/PID/fd of a process that is not dumpable, as aisd is not, is closed
    to its own user.  Since Linux 6.2 the directory's size is their number.
    """
    path = f"/proc/{pid}/fd"
    try:
        return len(os.listdir(path))
    except PermissionError:
        return os.stat(path).st_size or None


def children(pid):
    """The pids of a process's children."""
    found = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as f:
                found += [int(word) for word in f.read().split()]
    except OSError:
        pass
    return found


def descendants(pid):
    """The pids of all processes below a process."""
    found = []
    for child in children(pid):
        found += [child, *descendants(child)]
    return found


class Daemon:
    """One aisd, in "directory"; "pair" is its certificate, as pki.Pair.

    "rules" is the inside of the list of rules in libconfig's syntax, and each
    keyword a key of aisd.conf.  "words" start the program.
    """

    def __init__(self, words, directory, pair, /, rules=EVERYTHING, env=None,
                 slowness=1, **keys):
        self.words = list(words)
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.conf = self.directory / "aisd.conf"
        self.log = self.directory / LOG
        self.errors = self.directory / "stderr"
        self.mark = "TEST_MARK=" + uuid.uuid4().hex
        self.env = env
        self.slowness = slowness
        self.process = None
        self.port = None
        self._inode = self._at = 0      # How far the log has been read.
        self._lines, self._events = [], []
        self.rules = rules
        self.keys = {
            "listen": ["127.0.0.1:0"], "unprivileged": True,
            "certificate": pair.cert, "key": pair.key, "authority": pair.ca,
            "log_file": self.log, "log_system": "none",
            "failure_penalty": 0, "environment": [self.mark],
            **keys}
        self.configure()

    def configure(self, rules=None, **keys):
        """Write the configuration anew, with these changes.  A key that is
        None is left out."""
        self.keys.update(keys)
        self.rules = rules or self.rules
        lines = [f"{name} = {setting(value)};"
                 for name, value in self.keys.items() if value is not None]
        self.conf.write_text("\n".join(lines) + f"\nrules = ( {self.rules} "
                             ");\n")

    # Its life.

    def start(self, timeout=30.0):
        """Start it and wait until it serves."""
        seen = len(self.events("start"))
        with open(self.errors, "ab") as errors:
            self.process = subprocess.Popen(
                [*self.words, "-c", str(self.conf)], env=self.env,
                stdin=subprocess.DEVNULL, stdout=errors, stderr=errors,
                start_new_session=True)

        def serves():
            if self.process.poll() is not None:
                raise AssertionError(
                    f"aisd ended with {self.process.returncode}: "
                    f"{self.stderr()}")
            return self.events("start")[seen:]
        try:
            event = wait_until(serves, "aisd serves", timeout * self.slowness)
        except BaseException:
            self.kill()
            raise
        self.port = int(event[0]["listen"].rsplit(":", 1)[1])
        return self

    def stop(self, status=0, timeout=15.0):
        """End it by SIGTERM and check how it ended."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            ended = self.process.wait(timeout * self.slowness)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"aisd does not end: {self.stderr()}")
        self.process = None
        self.check_reports()
        assert ended == status, f"aisd ended with {ended}: {self.stderr()}"
        wait_until(lambda: not self.leftovers(),
                   f"nothing is left of {self.leftovers()}", 3.0)

    def kill(self):
        """End it without asking, and its processes."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
        for pid in self.leftovers():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def reload(self, result="done"):
        """SIGHUP, and wait until it has been dealt with."""
        seen = len(self.events("reload"))
        self.process.send_signal(signal.SIGHUP)
        event, = wait_until(lambda: self.events("reload")[seen:], "a reload",
                            10 * self.slowness)
        assert event["result"] == result, self.lines()[-5:]
        return event

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        if kind is None:
            self.stop()
        else:
            self.kill()

    # What can be seen of it.

    @property
    def pid(self):
        return self.process.pid

    def stderr(self):
        return self.errors.read_text(errors="backslashreplace") \
            if self.errors.exists() else ""

    def check_reports(self):
        """No sanitizer and no valgrind has complained."""
        text = self.stderr()
        assert not REPORTS.search(text), text

    def lines(self):
        """The whole lines of the log, and of what it was before a rotation
        that happened since the last look."""
        with contextlib.suppress(FileNotFoundError), open(self.log, "rb") as f:
            file = os.fstat(f.fileno())
            if (file.st_ino, file.st_size >= self._at) != (self._inode, True):
                self._inode, self._at = file.st_ino, 0
            f.seek(self._at)
            data = f.read()
            data = data[:data.rfind(b"\n") + 1]
            self._at += len(data)
            self._lines += data.decode("utf-8").split("\n")[:-1]
        return self._lines

    def events(self, name=None, **fields):
        """The events of the log, those of one name with these fields."""
        lines = self.lines()
        self._events += map(parse_line, lines[len(self._events):])
        return [event for event in self._events
                if name in (None, event["event"]) and
                fields.items() <= event.items()]

    def wait_event(self, name, count=1, timeout=30.0, **fields):
        """The last of "count" such events, when it has come."""
        return wait_until(
            lambda: self.events(name, **fields)[count - 1:],
            f"{count} event(s) {name} {fields} in {self.lines()[-20:]}",
            timeout * self.slowness)[0]

    def usage(self):
        """What it uses now."""
        with open(f"/proc/{self.pid}/stat") as f:
            started = int(f.read().rsplit(")", 1)[1].split()[19])
        with open(f"/proc/{self.pid}/status") as f:
            rss = int(re.search(r"RssAnon:\s*(\d+)", f.read())[1])
        return Usage(self.pid, started, descriptors(self.pid), rss)

    def check_usage(self, before, fds=2, rss_kib=8192):
        """The same process, not grown by more than this."""
        def settled():
            now = self.usage()
            return (now.fds or 0) <= (before.fds or 0) + fds and now
        now = wait_until(settled, f"{before.fds} descriptors, "
                         f"not {self.usage().fds}")
        assert now[:2] == before[:2]
        if not INSTRUMENTED:
            grown = now.rss_kib - before.rss_kib
            assert grown <= rss_kib, f"grown by {grown} KiB"
        self.check_reports()

    def descendants(self):
        """The pids of what runs below it."""
        return descendants(self.pid)

    def leftovers(self):
        """The pids of all of its commands' processes that still run, below it
        or not.  They are known by a variable that no other process has."""
        found = []
        for name in os.listdir("/proc"):
            if name.isdigit():
                try:
                    with open(f"/proc/{name}/environ", "rb") as f:
                        if self.mark.encode() in f.read().split(b"\0"):
                            found.append(int(name))
                except OSError:
                    pass
        return found
