# SPDX-License-Identifier: ISC
"""Calls that fail while aisd starts as root, becomes its user and starts
commands as another: it ends and says why, or is exactly who it has to be.

Faults are made by tests/fault/inject.c; see test_faults.py.
"""

import errno as E
import os
import re
import signal
import socket
import subprocess

import pytest

import attacks
import wire
from aisd import Daemon, wait_until
from faults import SEED, Faults, spread
from test_faults import FAILURES, check_records, session
# Fixtures.
from test_privilege import (COMMAND_USER, USER, account, make,  # noqa: F401
                            place, users)

PROGRAM = "/usr/bin/cat"
# What nice(1) says within a rule of nice = 5.
NICE = b"%d\n" % min(19, os.nice(0) + 5)

# What is called once or a few times, from main() to the first ppoll(2).
CALLS = {
    "access": [E.EIO],
    "bind": [E.EADDRINUSE, E.EACCES],
    "clock_gettime": [E.EINVAL],
    "getaddrinfo": [E.ENOMEM],
    "getcwd": [E.ENOENT],
    "getgroups": [E.EINVAL],
    "gethostname": [E.ENAMETOOLONG],
    "getpwnam": [E.EIO, E.EMFILE],
    "getrlimit": [E.EPERM],
    "getresgid": [E.EFAULT],
    "getresuid": [E.EFAULT],
    "listen": [E.EADDRINUSE],
    "open": [E.EMFILE],
    "pread": [E.EIO],
    "prctl": [E.EPERM, E.EINVAL],
    "scandir": [E.ENOMEM],
    "setfsgid": [E.EPERM],
    "setfsuid": [E.EPERM],
    "setgroups": [E.EPERM],
    "setresgid": [E.EPERM, E.EAGAIN],
    "setresuid": [E.EPERM, E.EAGAIN],
    "setrlimit": [E.EPERM],
    "setsockopt": [E.ENOBUFS],
    "sigaction": [E.EINVAL],
    "socket": [E.EMFILE],
    "syscall": [E.ENOSYS],
    "timerfd_create": [E.EMFILE],
    "timerfd_settime": [E.EINVAL],
    "waitpid": [E.ECHILD],
}


@pytest.fixture
def dropped(measurable, make, builddir, place, users):     # noqa: F811
    """A function that makes an aisd with faults, which becomes its user."""
    def new(**keys):
        faults = Faults(builddir, place)
        # Any program makes the table of names.
        subprocess.run(["true"], env=faults.environment(), check=True)
        daemon = make(start=False, **keys)
        # Faults are for aisd alone, and not for what would start it.
        daemon.words = daemon.words[-1:]
        daemon.env = faults.environment()
        daemon.faults = faults
        return daemon
    return new


def check_who(daemon, pair, users):                         # noqa: F811
    """The daemon and its command are the two users, with no right left."""
    with open(f"/proc/{daemon.pid}/status") as file:
        text = file.read()
    (uid, gid), (command_uid, command_gid) = users
    for name, own, effective in (("Uid", uid, command_uid),
                                 ("Gid", gid, command_gid)):
        ids = list(map(int, re.search(rf"{name}:\s*(.*)", text)[1].split()))
        assert ids == [own, effective, own, own], text
    assert re.search(r"Groups:\s*\n", text), text
    for name in "CapInh", "CapPrm", "CapEff", "CapBnd":
        assert re.search(rf"{name}:\s*0+\n", text), text
    with wire.Client(daemon.port, *pair[:3], timeout=5.0) as client:
        result = client.run([PROGRAM, "/proc/self/status"])
    assert result.status == 0
    attacks.check_command(result.stdout.decode(), *users[1])


def try_start(daemon, pair, users):                         # noqa: F811
    """It serves as it should, or has ended with words that say why."""
    words = daemon.stderr()
    errors = len(daemon.events("message", level="error"))
    try:
        daemon.start()
    except AssertionError as e:
        status = re.match(r"aisd ended with (-?\d+)", str(e))
        assert status and status[1] in ("1", "4", "6", "75"), e
        said = daemon.stderr()[len(words):] + "".join(
            f"aisd: {event['msg']}\n" for event in
            daemon.events("message", level="error")[errors:])
        assert re.search(r"^aisd: (?!warning).{10}", said, re.M), said
        assert not daemon.leftovers()
        return False
    check_who(daemon, pair, users)
    daemon.faults.disarm()
    daemon.stop()
    return True


@pytest.mark.limit(300)
@pytest.mark.parametrize("call", CALLS)
def test_start(dropped, alice, users, call, record_property,   # noqa: F811
               monkeypatch):
    daemon = dropped()
    monkeypatch.chdir(daemon.directory)
    daemon.conf = daemon.conf.relative_to(daemon.directory)
    before = daemon.faults.count(call)[0]
    daemon.start()
    total = daemon.faults.count(call)[0] - before
    check_who(daemon, alice, users)
    daemon.stop()
    assert total, f"{call} is met"
    for error in CALLS[call]:
        rounds, failed = spread(total, 3), 0
        for n in rounds:
            with daemon.faults.armed(call, error, n):
                try:
                    failed += not try_start(daemon, alice, users)
                except AssertionError as e:
                    raise AssertionError(f"{call} number {n}, error {error}, "
                                         f"seed {SEED}: {e}") from e
        record_property(f"{call}, {error}", f"{failed} of {len(rounds)} did "
                        "not start")


def test_start_at_an_unknown_place(dropped, alice):
    """It does not say where it listens, and serves there."""
    daemon = dropped()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        daemon.port = free.getsockname()[1]
    daemon.configure(listen=[f"127.0.0.1:{daemon.port}"])
    with open(daemon.errors, "ab") as errors, \
            daemon.faults.armed("getsockname", E.ENOBUFS, times=-1):
        daemon.process = subprocess.Popen(
            [*daemon.words, "-c", str(daemon.conf)], env=daemon.env,
            stdin=subprocess.DEVNULL, stdout=errors, stderr=errors)
        assert daemon.wait_event("start")["listen"] == ""
    assert session(daemon, alice)


def test_kernel_without_ipv6(dropped, alice):
    """It serves IPv4."""
    daemon = dropped()
    daemon.configure(listen=["*:0"])
    with daemon.faults.armed("socket", E.EAFNOSUPPORT, 1):
        daemon.start()
    assert daemon.faults.count("socket")[1] == 1
    assert daemon.wait_event("start")["listen"].startswith("0.0.0.0:")
    assert session(daemon, alice)


def test_connection_of_nobody(dropped):
    """A connection that was passed, and whose other end cannot be told."""
    daemon = dropped()
    here, there = socket.socketpair()

    def third():
        os.dup2(there.fileno(), 3, inheritable=True)
    with here, there, daemon.faults.armed("getpeername", E.ENOTCONN):
        done = subprocess.run(
            ["sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh", *daemon.words, "-c",
             str(daemon.conf)], env={**daemon.env, "LISTEN_FDS": "1"},
            preexec_fn=third, close_fds=False, capture_output=True,
            text=True, check=False, timeout=10)
    assert done.returncode == 1
    assert daemon.faults.count("getpeername") == (1, 1)
    assert "cannot use the passed descriptor 3" in done.stderr


# In a session: each call by which a command becomes its user.

RULES = f"""
    {{ peers = [ "*" ]; nice = 5;
       commands = [ "{PROGRAM}", "/usr/bin/nice", "UNSAFE" ]; }}
"""


def served(daemon, pair, work):
    """Whether "work" came to an end; a result that is none is no matter."""
    try:
        with wire.Client(daemon.port, *pair[:3], timeout=5.0) as client:
            return work(client)
    except FAILURES:
        return False


@pytest.fixture
def limited(dropped, place, trusted_path, users):           # noqa: F811
    """A daemon with a few programs; "unsafe" is one that the command user
    could change."""
    unsafe = place / "unsafe"
    unsafe.write_text("#!/bin/sh\necho unsafe\n")
    unsafe.chmod(0o755)
    os.chown(unsafe, *users[1])
    link = trusted_path / "unsafe"
    link.symlink_to(unsafe)
    daemon = dropped(rules=RULES.replace("UNSAFE", str(link)))
    return daemon.start()


IN_A_SESSION = {
    "lstat": [E.EIO, E.EACCES],
    "nice": [E.EPERM],
    "prctl": [E.EPERM],
    "readlink": [E.EIO],
    "setfsgid": [E.EPERM],
    "setfsuid": [E.EPERM],
    "setresgid": [E.EPERM],
    "setresuid": [E.EPERM, E.EAGAIN],
    "syscall": [E.ENOSYS],
}


@pytest.mark.limit(300)
@pytest.mark.parametrize("call", IN_A_SESSION)
def test_command_as_another_user(limited, alice, users, call,   # noqa: F811
                                 record_property):
    """Nothing runs as the wrong user, with more than its rule grants, or
    though the user could have changed it."""
    def work(client):
        results = [client.run([name, *words]) for name, words in (
            ("cat", ["/proc/self/status"]), ("nice", []), ("unsafe", []))]
        cat, nice, unsafe = results
        if cat.status is not None:
            attacks.check_command(cat.stdout.decode(), *users[1])
        assert nice.status is None or nice.stdout == NICE
        assert unsafe.status is None and b"unsafe" not in unsafe.stdout
        return cat.status == 0 and nice.status == 0

    daemon = limited
    assert served(daemon, alice, work)
    before = daemon.faults.count(call)[0]
    assert served(daemon, alice, work)
    total = daemon.faults.count(call)[0] - before
    assert total, f"{call} is met"
    for error in IN_A_SESSION[call]:
        noticed = 0
        for n in spread(total, 8):
            with daemon.faults.armed(call, error, n):
                noticed += not served(daemon, alice, work)
            assert served(daemon, alice, work), f"after number {n}"
        record_property(f"{call}, {error}", f"{total} calls, {noticed} "
                        "noticed")
    check_records(daemon)


def test_user_that_cannot_be_left(limited, alice):
    """A reload looks at programs as the command user, and comes back; if it
    could not, aisd would go on with a log and a key that it cannot open."""
    with limited.faults.armed("setfsuid", E.EPERM, 3):
        limited.process.send_signal(signal.SIGHUP)
        assert limited.process.wait(10) == -signal.SIGABRT
    limited.process = None
    assert f"cannot open files as the user {USER} again" in \
        limited.log.read_text()
    limited.start()
    assert served(limited, alice, lambda c: c.run(
        ["cat", "/dev/null"]).status == 0)


OF_DIRECTORIES = ["opendir", "readdir", "scandir", "fstatat", "open",
                  "fread", "getc"]


def test_lists_in_a_directory(dropped, authority, alice, place):  # noqa: F811
    """Whatever cannot be seen of it, a revoked client stays out."""
    lists = place / "lists"
    lists.mkdir()
    lists.chmod(0o755)
    mallory = authority.client("mallory-of-a-directory")
    serial = int(mallory.serial, 16)
    from pki import revocations
    path = revocations(authority, str(lists / "one.pem"), [serial])
    os.chmod(path, 0o644)
    daemon = dropped(crl=str(lists)).start()
    for call in OF_DIRECTORIES:
        with daemon.faults.armed(call, E.EIO, times=-1):
            seen = len(daemon.events("reload"))
            daemon.process.send_signal(signal.SIGHUP)
            wait_until(lambda: daemon.events("reload")[seen:], "a reload")
        assert not session(daemon, mallory)
        assert session(daemon, alice)
        with daemon.faults.armed("readdir", E.EIO):
            daemon.reload()


def test_configuration_that_cannot_be_read_on(measurable, program, make_aisd,
                                              builddir, tmp_path):
    daemon = make_aisd()
    faults = Faults(builddir, tmp_path)
    words = [*program("aisd"), "-c", str(daemon.conf), "-t"]
    assert subprocess.run(words, env=faults.environment(),
                          capture_output=True).returncode == 0
    with faults.armed("fgets", E.EIO, 3):
        done = subprocess.run(words, env=faults.environment(),
                              capture_output=True)
    assert done.returncode != 0
    assert f"cannot read the configuration {daemon.conf}" in \
        done.stderr.decode()


OF_ANSWERS = [
    ("fputs", ["--help"]),
    ("fputs", ["-T"]), ("fprintf", ["-T"]), ("fputc", ["-T"]),
    ("fflush", ["-T"]), ("fflush", ["--version"])]


@pytest.mark.parametrize("call, arguments", OF_ANSWERS)
def test_answer_that_is_cut(measurable, program, make_aisd, builddir,
                            tmp_path, call, arguments):
    """Half of an answer is none."""
    daemon = make_aisd()
    faults = Faults(builddir, tmp_path)

    def ask():
        return subprocess.run(
            [*program("aisd"), "-c", str(daemon.conf), *arguments],
            capture_output=True, env=faults.environment(), check=False)
    assert ask().returncode == 0
    before = faults.count(call)[0]
    assert ask().returncode == 0
    for n in spread(faults.count(call)[0] - before, 4):
        with faults.armed(call, E.EIO, n):
            done = ask()
        assert done.returncode == 1, n
        assert b"cannot" in done.stderr


def test_account_without_a_name(measurable, program, make_aisd, builddir,
                                tmp_path, aisc):
    """Unprivileged, a number is name enough."""
    daemon = make_aisd(start=False)
    daemon.env = Faults(builddir, tmp_path).environment()
    faults = Faults(builddir, tmp_path)
    subprocess.run(["true"], env=faults.environment(), check=True)
    with faults.armed("getpwuid", E.EIO, times=-1):
        daemon.start()
        assert aisc.run(daemon.port, "id", "-u").stdout == \
            b"%d\n" % os.getuid()


def test_group_without_a_name(dropped, trusted_path):
    """A program that a group could change: its number is told."""
    path = trusted_path / "program"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o775)
    os.chown(path, 0, 54321)
    daemon = dropped(rules=f'{{ peers = [ "*" ]; commands = [ "{path}" ]; }}')
    done = subprocess.run([*daemon.words, "-t", "-c", str(daemon.conf)],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stderr
    assert "members of the group 54321 could change" in done.stderr
