# SPDX-License-Identifier: ISC
"""The logs beside the file: one that does not take a record is told, counted
and tried again, decides with the others whether a command may run, and never
holds the daemon."""

import contextlib
import errno
import fcntl
import json
import os
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest
import wire
from aisd import Daemon, parse_line, wait_until
from faults import Faults
from test_faults import FAILURES
from test_record import HOSTILE, clean_disk, fill_disk

# A /dev of its own, in which log is a link to "$0".  The journal is hidden.
PRIVATE_DEV = """
set -e
mount -t tmpfs none "$1"
for node in null zero full random urandom tty; do
    : >"$1/$node"
    mount --bind "/dev/$node" "$1/$node"
done
ln -s /proc/self/fd "$1/fd"
for n in 0:stdin 1:stdout 2:stderr; do
    ln -s "fd/${n%%:*}" "$1/${n#*:}"
done
ln -s "$0" "$1/log"
mount --rbind "$1" /dev
test ! -d /run/systemd || mount -t tmpfs none /run/systemd
shift
exec "$@"
"""


def private_dev(directory, log):
    """Words to start a program where /dev/log is the socket "log"."""
    if not shutil.which("unshare"):
        pytest.skip("needs unshare")
    place = directory / "dev"
    place.mkdir(exist_ok=True)
    user = ["--user", "--map-root-user"] if os.geteuid() != 0 else []
    words = ["unshare", "--mount", *user, "sh", "-c", PRIVATE_DEV, str(log),
             str(place)]
    done = subprocess.run([*words, "true"], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"no /dev of its own here: {done.stderr.strip()}")
    return words


class Syslogd:
    """A socket as syslogd has it, which is read when the test says so.

    What comes is in "lines", and in the file "copy" where there is one.
    """

    def __init__(self, path, copy=None, kind=socket.SOCK_DGRAM):
        self.path = path
        self.copy = copy
        self.kind = kind
        self.lines = []
        self.socket = None
        self.thread = None
        self.reading = False

    def bind(self):
        """There is somebody at the path from now on."""
        self.socket = socket.socket(socket.AF_UNIX, self.kind)
        where = os.open(self.path.parent, os.O_RDONLY)
        # The path itself may be too long for an address.
        self.socket.bind(f"/proc/self/fd/{where}/{self.path.name}")
        os.close(where)
        if self.kind == socket.SOCK_STREAM:
            self.socket.listen()
        self.socket.settimeout(0.02)
        return self

    def start(self):
        """Read, until pause()."""
        self.reading = True
        self.thread = threading.Thread(target=self._read)
        self.thread.start()
        return self

    def _read(self):
        peer, rest = None, b""
        while self.reading:
            try:
                if self.kind == socket.SOCK_DGRAM:
                    self._take(self.socket.recv(1 << 18))
                    continue
                if peer is None:
                    peer = self.socket.accept()[0]
                    peer.settimeout(0.02)
                more = peer.recv(1 << 16)
                if not more:
                    peer = None
                *whole, rest = (rest + more).split(b"\0")
                for line in whole:
                    self._take(line)
            except TimeoutError:
                pass

    def _take(self, line):
        self.lines.append(line)
        if self.copy is not None:
            text = line.split(b"]: ", 1)[1]
            with open(self.copy, "ab") as f:
                f.write(text + b"\n")

    def pause(self):
        """Do not read any more."""
        if self.thread is not None:
            self.reading = False
            self.thread.join()
            self.thread = None

    def close(self, unlink=True):
        """Nobody is there any more; the path may stay."""
        self.pause()
        if self.socket is not None:
            self.socket.close()
            self.socket = None
        if unlink:
            self.path.unlink(missing_ok=True)

    def events(self, name):
        """The events of this name that have come."""
        found = [parse_line(line.split(b"]: ", 1)[1].decode())
                 for line in self.lines]
        return [event for event in found if event["event"] == name]


@pytest.fixture
def syslogd(tmp_path):
    syslogd = Syslogd(tmp_path / "syslog.socket")
    yield syslogd
    syslogd.close()


@pytest.fixture
def make(program, tmp_path, localhost, slowness, syslogd):
    """A function that starts a daemon whose /dev/log is that of "syslogd";
    without a log file, what syslogd reads is in the file of that name."""
    daemons = []

    def start(**keys):
        # There the user may be root by name alone, without root's home.
        keys = {"log_system": "syslog", "directory": str(tmp_path), **keys}
        daemon = Daemon([*private_dev(tmp_path, syslogd.path),
                         *program("aisd")], tmp_path / "aisd", localhost,
                        slowness=slowness, **keys)
        if keys.get("log_file") == "":
            syslogd.copy = daemon.log
        daemons.append(daemon)
        return daemon.start()
    yield start
    try:
        for daemon in daemons:
            daemon.stop()
    finally:
        for daemon in daemons:
            daemon.kill()


# How syslogd can be away: its socket, but nobody at it; no socket.
AWAY = pytest.mark.parametrize("unlink", [False, True])


@AWAY
def test_syslogd_away(make, connect, syslogd, unlink):
    """The other log has the record and says so; the records that syslog lacks
    are counted, and told once there is a syslogd again."""
    syslogd.bind().start()
    daemon = make()
    session = connect(daemon=daemon)
    assert session.run(["true", "one"]).status == 0
    wait_until(lambda: syslogd.events("command-end"), "a record")
    syslogd.close(unlink)
    for _ in range(3):
        assert session.run(["true", "two"]).status == 0
    failing, = daemon.events("log-sink")
    assert (failing["sink"], failing["state"], failing["level"]) == \
        ("syslog", "failing", "error")
    syslogd.path.unlink(missing_ok=True)
    syslogd.bind().start()
    assert session.run(["true", "three"]).status == 0
    working = daemon.wait_event("log-sink", state="working")
    assert working["lost"] == "6"
    wait_until(lambda: syslogd.events("log-sink"), "the report")
    assert syslogd.events("log-sink")[0]["lost"] == "6"
    assert [event["argv"] for event in syslogd.events("command-start")] == \
        ["true one", "true three"]


@AWAY
def test_strict(make, connect, syslogd, unlink):
    """Each log must have the record, syslog as well."""
    syslogd.bind().start()
    daemon = make(audit="strict")
    session = connect(daemon=daemon)
    assert session.run(["true"]).status == 0
    syslogd.close(unlink)
    assert session.run(["true"]).refused.code == wire.Code.AUDIT
    syslogd.path.unlink(missing_ok=True)
    syslogd.bind().start()
    assert session.run(["true"]).status == 0


@AWAY
def test_syslog_alone(make, connect, syslogd, unlink):
    """Where no log takes the record the command does not run."""
    syslogd.bind().start()
    daemon = make(log_file="")
    session = connect(daemon=daemon)
    assert session.run(["true"]).status == 0
    daemon.wait_event("command-end")
    syslogd.close(unlink)
    for _ in range(2):
        assert session.run(["true"]).refused.code == wire.Code.AUDIT
    syslogd.path.unlink(missing_ok=True)
    syslogd.bind().start()
    assert session.run(["true"]).status == 0
    # A start and a refusal, twice.
    event = daemon.wait_event("log-sink")
    assert (event["state"], event["lost"], event["nowhere"]) == \
        ("working", "4", "4")
    assert daemon.events("command-end")[-1]["exit"] == "0"


def test_any(make, connect, syslogd):
    """One of two logs will do; the failing one is reported once, and says what
    it lost."""
    syslogd.bind().start()
    daemon = make()
    session = connect(daemon=daemon)
    assert session.run(["true"]).status == 0
    fill_disk(daemon)
    for _ in range(2):
        assert session.run(["true"]).status == 0
    clean_disk(daemon)
    assert session.run(["true"]).status == 0
    sink = daemon.wait_event("log-sink", state="working")
    assert (sink["lost"], sink["nowhere"]) == ("4", "0")
    wait_until(lambda: len(syslogd.events("log-sink")) == 2, "two reports")
    failing, working = syslogd.events("log-sink")
    assert (failing["state"], failing["sink"]) == ("failing", str(daemon.log))
    assert (working["state"], working["lost"]) == ("working", "4")


def test_syslogd_that_does_not_read(make, connect, syslogd, slowness):
    """It costs one short wait in all, and not one for each record; the daemon
    serves, and ends when it is told to."""
    syslogd.bind().start()
    daemon = make()
    session = connect(daemon=daemon)
    assert session.run(["true"]).status == 0
    syslogd.pause()
    began = time.monotonic()
    for _ in range(30):
        assert session.run(["true"]).status == 0
    assert time.monotonic() - began < 3 * slowness
    assert daemon.events("log-sink")[0]["state"] == "failing"
    syslogd.start()
    wait_until(lambda: session.run(["true"]).status == 0 and
               daemon.events("log-sink", state="working"), "it works again")
    # Each record is there, or was counted.
    session.goodbye()
    daemon.wait_event("session-close")
    wait_until(lambda: syslogd.events("session-close"), "the last record")
    missing = sum(int(event["lost"]) for event in
                  daemon.events("log-sink", state="working"))
    sinks = len(daemon.events("log-sink"))
    assert missing == len(daemon.events()) - sinks - len(
        [line for line in syslogd.lines if b"event=log-sink" not in line])
    syslogd.pause()
    session = connect(daemon=daemon)
    for _ in range(20):
        assert session.run(["true"]).status == 0
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.process.wait(5 * slowness) == 0


@pytest.mark.parametrize("call, error", [
    ("sendmsg", errno.EINTR), ("sendmsg", errno.EAGAIN),
    ("sendmsg", errno.ECONNREFUSED), ("sendmsg", errno.ENOBUFS),
    ("socket", errno.EMFILE), ("connect", errno.EAGAIN)])
def test_call_that_fails(make, connect, syslogd, builddir, tmp_path, call,
                         error, measurable):
    """Once: the command runs, and the record is there or is missed."""
    syslogd.bind()
    faults = Faults(builddir, tmp_path)
    daemon = make(env=faults.environment())
    session = connect(daemon=daemon)
    assert session.run(["true"]).status == 0
    syslogd.start()
    if call in ("socket", "connect"):
        # So that it has to connect once more.
        syslogd.close()
        syslogd.bind().start()
    with faults.armed(call, error):
        assert session.run(["true"]).status == 0
        assert faults.count(call)[1] == 1
    assert session.run(["true", "last"]).status == 0
    wait_until(lambda: [event for event in syslogd.events("command-end")
                        if event["argv"] == "true last"], "the last record")
    lost = daemon.events("log-sink", state="working")
    again = call == "sendmsg" and error != errno.ENOBUFS
    assert [event["lost"] for event in lost] == ([] if again else ["1"])


def test_no_memory_to_wait(make, connect, syslogd, builddir, tmp_path,
                           measurable):
    """A log that cannot be waited for has no room."""
    syslogd.bind()
    faults = Faults(builddir, tmp_path)
    daemon = make(env=faults.environment())
    session = connect(daemon=daemon)
    with faults.armed("poll", errno.ENOMEM, times=-1):
        while not daemon.events("log-sink"):
            assert session.run(["true"]).status == 0
        assert faults.count("poll")[1] == 1


class Reader:
    """A pipe in the file system, which is read when the test says so; what
    comes is in the file "copy"."""

    def __init__(self, path, copy):
        self.path = path
        self.copy = copy
        self.fd = None
        self.thread = None
        self.reading = False
        os.mkfifo(path)

    def open(self):
        """There is a reader, and room for one page."""
        self.fd = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        fcntl.fcntl(self.fd, fcntl.F_SETPIPE_SZ, 4096)
        return self

    def start(self):
        """Read, until pause()."""
        self.reading = True
        self.thread = threading.Thread(target=self._read)
        self.thread.start()
        return self

    def _read(self):
        while self.reading:
            if select.select([self.fd], [], [], 0.02)[0]:
                with contextlib.suppress(BlockingIOError):
                    data = os.read(self.fd, 1 << 16)
                    if not data:
                        time.sleep(0.01)        # Nobody writes yet.
                    with open(self.copy, "ab") as f:
                        f.write(data)

    def pause(self):
        """Do not read any more."""
        if self.thread is not None:
            self.reading = False
            self.thread.join()
            self.thread = None

    def close(self):
        """Nobody reads any more."""
        self.pause()
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None


class Piped(Daemon):
    """A daemon whose log is a pipe, by its name or as a stream."""

    def __init__(self, words, directory, pair, /, how, **keys):
        super().__init__(words, directory, pair, **keys)
        self.reader = Reader(self.directory / "pipe", self.log)
        self.configure(log_file=self.reader.path if how == "name" else
                       f"/dev/{how}")
        stream = {"stdout": ">", "stderr": "2>"}.get(how)
        if stream:
            self.words = ["sh", "-c", f'exec "$@" {stream}"$0"',
                          str(self.reader.path), *self.words]

    def lines(self):
        # A line that was torn is no line.
        return [line for line in super().lines()
                if line.endswith("}") or " msg=" in line]

    def events(self, name=None, **fields):
        return [event for event in map(parse_line, self.lines())
                if name in (None, event["event"]) and
                fields.items() <= event.items()]


@pytest.fixture
def piped(program, tmp_path, localhost, slowness):
    daemons = []

    def make(how, start=True, **keys):
        daemon = Piped(program("aisd"), tmp_path / "piped", localhost,
                       how=how, slowness=slowness, **keys)
        daemons.append(daemon)
        if start:
            daemon.reader.open().start()
            daemon.start()
        return daemon
    yield make
    try:
        for daemon in daemons:
            daemon.stop()
    finally:
        for daemon in daemons:
            daemon.kill()
            daemon.reader.close()


@pytest.mark.parametrize("log_format", ["logfmt", "json"])
@pytest.mark.parametrize("how", ["name", "stdout", "stderr"])
def test_pipe(piped, connect, slowness, how, log_format):
    """A reader that stops costs no time but one short wait; commands that no
    log takes do not run; a record that had no room has an end, so that the next
    one is whole."""
    daemon = piped(how, log_format=log_format)
    session = connect(daemon=daemon)
    assert session.run(["true", "one"]).status == 0
    daemon.wait_event("command-end")
    daemon.reader.pause()
    began = time.monotonic()
    refused = [session.run(["true", "two"]).refused for _ in range(20)]
    assert time.monotonic() - began < 3 * slowness
    assert refused[-1].code == wire.Code.AUDIT
    daemon.reader.start()

    def works():
        return session.run(["true", "three"]).status == 0 and \
            daemon.events("log-sink")
    event, = wait_until(works, "it works again")
    assert event["state"] == "working"
    assert int(event["lost"]) >= 2 * refused.count(refused[-1]) > 0
    assert daemon.wait_event("command-end", argv="true three")["exit"] == "0"
    # It is the peer that opens it again, and not the signal for files.
    if how != "name":
        daemon.process.send_signal(signal.SIGUSR1)
    assert session.run(["true", "four"]).status == 0
    assert not daemon.events("message", msg="the log file has been opened "
                             "again")
    daemon.reader.pause()
    for _ in range(20):
        session.run(["true"])
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.process.wait(5 * slowness) == 0


def test_pipe_that_nobody_reads(piped, connect):
    """A log that takes no record at the start is none; one that loses its
    reader is tried again."""
    daemon = piped("name", start=False)
    checked = subprocess.run([*daemon.words, "-t", "-c", str(daemon.conf)],
                             capture_output=True, text=True)
    assert checked.returncode == 3 and \
        f"{daemon.conf}:6: log_file: aisd starts only while" in checked.stderr
    with pytest.raises(AssertionError, match="ended with 75"):
        daemon.start()
    assert daemon.stderr().splitlines()[-1] == \
        f"aisd: {daemon.conf}:6: log_file: no program reads the pipe " \
        f"{daemon.reader.path}, and there is no other log; start its reader " \
        "first"
    daemon.kill()
    daemon.reader.open().start()
    daemon.start()
    session = connect(daemon=daemon)
    assert session.run(["true"]).status == 0
    daemon.wait_event("command-end")
    daemon.reader.close()
    assert session.run(["true"]).refused.code == wire.Code.AUDIT
    daemon.reader.open().start()
    assert session.run(["true", "again"]).status == 0
    daemon.wait_event("command-end", argv="true again")
    assert daemon.wait_event("log-sink")["lost"] == "2"


@pytest.mark.parametrize("how", ["null", "closed", "path"])
def test_log_that_keeps_nothing(make_aisd, how):
    """What is written to /dev/null is on no record."""
    path = "/dev/null" if how == "path" else "/dev/stdout"
    daemon = make_aisd(start=False, log_file=path)
    to = {"null": ">/dev/null", "closed": ">&-", "path": ""}[how]
    daemon.words = ["sh", "-c", f'exec "$@" {to}', "sh", *daemon.words]
    with pytest.raises(AssertionError, match="ended with 6"):
        daemon.start()
    assert f"cannot open the log file {path}: " in daemon.stderr()
    daemon.kill()


def test_verbose_is_no_record(piped, connect):
    """What standard error shows does not let a command run, and a reader of
    it that stops holds nothing."""
    daemon = piped("name", audit="strict")
    daemon.stop()
    daemon.words = [*daemon.words, "-v"]
    shown = Reader(daemon.directory / "shown", os.devnull).open()
    daemon.words = ["sh", "-c", 'exec "$@" 2>"$0"', str(shown.path),
                    *daemon.words]
    try:
        daemon.start()
        session = connect(daemon=daemon)
        for _ in range(60):
            assert session.run(["true"]).status == 0
        assert daemon.events("log-sink")[0]["sink"] == "/dev/stderr"
        daemon.reader.close()
        assert session.run(["true"]).refused.code == wire.Code.AUDIT
        daemon.stop()
    finally:
        daemon.kill()
        shown.close()


@pytest.mark.parametrize("words", HOSTILE)
def test_json_has_the_words(make_aisd, connect, words):
    """An object a line, of printable ASCII, from which Python has the very
    words."""
    daemon = make_aisd(log_format="json")
    argv = [b"true", *words]
    assert connect(daemon=daemon).run(argv).status == 0
    daemon.wait_event("command-end")
    lines = [line for line in daemon.lines() if '"command-' in line]
    assert len(lines) == 2
    for line in lines:
        assert line.isascii() and line.isprintable()
        logged = parse_line(line)["argv"]
        assert [word.encode("utf-8", "surrogateescape")
                for word in shlex.split(logged)] == argv
    assert [*json.loads(lines[0])][:3] == ["time", "level", "event"]


LEARNING = '{ name = "learns"; peers = [ "*" ]; ' \
    'learn_until = "2099-12-31"; }'


def test_json_is_read_like_logfmt(make_aisd, connect, program):
    """By aisd-report, also where a log has both."""
    logs, suggested, reports = [], [], []
    for log_format in "logfmt", "json":
        daemon = make_aisd(log_format=log_format, rules=LEARNING)
        session = connect(daemon=daemon)
        for words in HOSTILE:
            assert session.run([b"true", *words]).status == 0
        assert session.run(["sh", "-c", "exit 3"]).status == 3
        session.goodbye()
        daemon.wait_event("session-close")
        logs.append(daemon.log)
        suggested.append(subprocess.run(
            [*program("aisd-report"), "--suggest", str(daemon.log)],
            capture_output=True, check=True).stdout)
    assert suggested[0] == suggested[1]
    assert 0 < suggested[0].count(b"program = ") <= len(HOSTILE)
    assert b"a shell: sh -c 'exit 3'" in suggested[0]

    both = logs[0].parent / "both"
    both.write_bytes(b"".join(log.read_bytes() for log in logs))
    for log in *logs, both:
        out = subprocess.run([*program("aisd-report"), "--json", "-n", "99",
                              str(log)], capture_output=True, check=True)
        reports.append(json.loads(out.stdout))
    plain, other, whole = reports
    for name in "commands", "failed", "records", "sessions", "unreadable":
        assert plain[name] == other[name] == whole[name] / 2, name
    for name in "failures", "longest":
        assert sorted(row["command"] for row in plain[name]) == \
            sorted(row["command"] for row in other[name])
    assert plain["failures"][0]["how"] == "exit 3"
    assert plain["commands"] == len(HOSTILE) + 1 and not plain["unreadable"]


# Those who read /dev/log, as Debian has them.

def busybox(directory, path, out):
    """Its words; it reads where /dev/log leads to."""
    return [*private_dev(directory, path), "busybox", "syslogd", "-n", "-O",
            str(out)]


def rsyslogd(directory, path, out):
    conf = directory / "rsyslog.conf"
    conf.write_text(f'module(load="imuxsock" SysSock.Name="{path}")\n'
                    f'*.* action(type="omfile" file="{out}" '
                    'template="RSYSLOG_TraditionalFileFormat")\n')
    return ["rsyslogd", "-n", "-i", str(directory / "rsyslog.pid"), "-f",
            str(conf)]


def inetutils(directory, path, out):
    conf = directory / "syslog.conf"
    conf.write_text(f"*.*\t{out}\n")
    return ["syslogd", "--no-detach", "--no-klog", "-f", str(conf),
            "-p", str(path), "-P", str(directory / "syslog.pid")]


@pytest.mark.parametrize("kind", [busybox, rsyslogd, inetutils])
def test_real_syslogd(make, connect, syslogd, tmp_path, slowness, kind):
    """It takes the form of our records; one that is stopped or gone is told
    and holds nothing."""
    out = tmp_path / "messages"
    words = kind(tmp_path, syslogd.path, out)
    search = os.environ["PATH"] + ":/usr/sbin:/sbin"
    version = subprocess.run(
        ["sh", "-c", {busybox: "busybox --list", rsyslogd: "rsyslogd -v",
                      inetutils: "syslogd --version"}[kind]],
        capture_output=True, text=True, env={"PATH": search}).stdout
    if not re.search({busybox: "^syslogd$", rsyslogd: "^rsyslogd ",
                      inetutils: "inetutils"}[kind], version, re.M):
        pytest.skip(f"needs a syslogd: {kind.__name__}")

    def begin():
        process = subprocess.Popen(words, env={**os.environ, "PATH": search},
                                   stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)

        def listens():
            assert process.poll() is None
            with contextlib.suppress(OSError), \
                    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
                s.connect(str(syslogd.path))
                return True
        try:
            wait_until(listens, "it listens", 10 * slowness)
        except BaseException:
            process.kill()
            process.wait()
            raise
        return process
    process = begin()
    try:
        daemon = make(audit="strict")
        session = connect(daemon=daemon)
        assert session.run(["true", "'a' \"b\"", "\xff"]).status == 0
        end = daemon.wait_event("command-end")
        line, = wait_until(lambda: [
            line for line in out.read_text().splitlines()
            if out.exists() and "event=command-end" in line], "the record",
            10 * slowness)
        head, said = re.fullmatch(r"(.*aisd\[\d+\]: )(event=.*)",
                                  line).groups()
        assert f"aisd[{daemon.pid}]" in head
        assert parse_line(said)["argv"] == end["argv"]

        process.send_signal(signal.SIGSTOP)
        refused = [session.run(["true"]).refused for _ in range(30)]
        assert refused[-1].code == wire.Code.AUDIT
        process.send_signal(signal.SIGCONT)
        # It works again with the first event that finds room for the report
        # as well.
        wait_until(lambda: session.run(["true"]).status == 0 and
                   daemon.events("log-sink", state="working"), "it goes on")

        process.terminate()
        process.wait()
        assert session.run(["true"]).refused.code == wire.Code.AUDIT
        process = begin()
        assert session.run(["true"]).status == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("there", [True, False])
def test_auto(make, connect, syslogd, there):
    """It is what is there at the start; that none is there is said."""
    if there:
        syslogd.bind().start()
    daemon = make(log_system="auto")
    assert connect(daemon=daemon).run(["true"]).status == 0
    if there:
        wait_until(lambda: syslogd.events("command-end"), "a record")
    said = daemon.events("message", level="notice")
    assert [event["msg"] for event in said] == ([] if there else [
        "there is neither a journal nor a syslog here, so "
        f"{daemon.log} alone has the records until aisd is started again"])


@pytest.mark.parametrize("which, what", [
    ("syslog", "no syslog"), ("journal", "no journal"),
    ("auto", "neither a journal nor a syslog")])
def test_no_log_at_the_start(make, which, what):
    with pytest.raises(AssertionError, match="ended with 75") as e:
        make(log_system=which, log_file="")
    assert f'log_system: there is {what} here; set "log_file"' in str(e.value)


def test_no_memory_for_json(program, builddir, tmp_path, localhost, connect,
                            slowness, measurable):
    """A record that cannot be put together is missed, and no line is torn."""
    faults = Faults(builddir, tmp_path)
    with Daemon(program("aisd"), tmp_path / "aisd", localhost,
                slowness=slowness, log_format="json",
                env=faults.environment()) as daemon:
        for n in range(1, 31, 2):
            with faults.armed("memory", errno.ENOMEM, after=n), \
                    contextlib.suppress(*FAILURES):
                connect(daemon=daemon).run(["true"])
            # It serves the next one as if nothing had been.
            session = connect(daemon=daemon)
            assert session.run(["true"]).status == 0
            session.goodbye()
        assert len(daemon.events("command-start")) >= 15
