# SPDX-License-Identifier: ISC
"""Nothing in the daemon's loop waits for what need not come.

doc/decisions.md has the table of the calls that could; this is its other side.
"""

import contextlib
import os
import socket

import pytest

import faults
from aisd import Daemon, wait_until

pytestmark = pytest.mark.limit(100)


# The service manager.

@pytest.fixture
def manager(tmp_path):
    """The socket of a service manager that reads nothing by itself."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(20)
        yield sock


def fill(path):
    """From now on it has no room for one message more."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.connect(str(path))
        sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                sock.send(b"filler")


def read_all(manager):
    """What it has been told, and not read so far."""
    told = []
    manager.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            told.append(manager.recv(4096).decode())
    manager.settimeout(20)
    return [text for text in told if text != "filler"]


def environment(tmp_path, **more):
    return {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify"), **more}


def test_manager_that_does_not_read(make_aisd, connect, manager, tmp_path):
    """Commands, a reload and the end are as they are without it; what is
    still true is told when it reads again."""
    daemon = make_aisd(env=environment(tmp_path, WATCHDOG_USEC="400000"))
    assert manager.recv(4096) == b"READY=1"
    fill(tmp_path / "notify")
    session = connect(daemon=daemon)
    for _ in range(30):
        assert session.run(["true"]).status == 0
    daemon.reload()
    assert session.run(["true"]).status == 0
    read_all(manager)
    told = set()
    while not {"READY=1", "WATCHDOG=1"} <= told or \
            not any(text.startswith("STATUS=serving alice") for text in told):
        told.add(manager.recv(4096).decode())
    fill(tmp_path / "notify")
    session.close()
    daemon.stop()


def test_manager_that_begins_late(make_aisd, manager, tmp_path):
    """Nothing that the start has to say is lost."""
    fill(tmp_path / "notify")
    make_aisd(env=environment(tmp_path))
    read_all(manager)
    told = [manager.recv(4096).decode()]
    while "READY=1" not in told:
        told.append(manager.recv(4096).decode())


def test_last_word_counts(make_aisd, manager, tmp_path):
    """However many reloads it has missed: it knows that the last is done."""
    daemon = make_aisd(env=environment(tmp_path))
    for _ in range(5):
        for _ in range(8):
            daemon.reload()
        read = read_all(manager)
        while [text for text in read if text[0] == "R"][-1:] != ["READY=1"]:
            read.append(manager.recv(4096).decode())


# The configuration.

@pytest.mark.parametrize("place", ["itself", "include", "directory",
                                   "include of an include"])
def test_pipe_in_the_configuration(make_aisd, aisc, place):
    """A reload says so and goes on."""
    daemon = make_aisd()
    conf, text = daemon.conf, daemon.conf.read_text()
    pipe = conf.with_name("pipe.conf")
    if place == "itself":
        pipe = conf
        conf.unlink()
    elif place == "directory":
        conf.with_name("aisd.conf.d").mkdir()
        pipe = conf.with_name("aisd.conf.d") / "pipe.conf"
    elif place == "include":
        conf.write_text(f'@include "{pipe.name}"\n{text}')
    else:
        conf.with_name("inner.conf").write_text(f' \t@include\t"{pipe.name}"\n')
        conf.write_text(f'@include "inner.conf"\n{text}')
    os.mkfifo(pipe)
    daemon.reload("failed")
    event = daemon.events("config-error")[-1]
    assert f"{pipe}: it is no file" in event["msg"]
    assert aisc.run(daemon.port, "true").returncode == 0
    pipe.unlink()
    conf.write_text(text)
    daemon.reload()


def test_start_reads_a_pipe(make_aisd, aisc):
    """As a shell's <(...) makes it, or standard input; a reload cannot."""
    daemon = make_aisd(start=False)
    words, conf = daemon.words, daemon.conf
    daemon.words = ["bash", "-c", f'exec "$@" -c /dev/fd/7 7< <(cat {conf})',
                    "bash", *words]
    daemon.conf = "/dev/null"
    try:
        daemon.start()
    finally:
        daemon.words, daemon.conf = words, conf
    assert aisc.run(daemon.port, "true").returncode == 0
    daemon.reload("failed")
    assert "it is no file" in daemon.events("config-error")[-1]["msg"]
    assert aisc.run(daemon.port, "true").returncode == 0


# The directory service.

@pytest.fixture
def faulty(program, builddir, tmp_path, localhost, slowness, measurable):
    """An aisd whose calls can be made to hang."""
    control = faults.Faults(builddir, tmp_path)
    daemon = Daemon(program("aisd"), tmp_path / "faulty", localhost,
                    env=control.environment(), slowness=slowness)
    daemon.faults = control
    with daemon:
        yield daemon


@pytest.mark.parametrize("call", ["getpwnam", "getpwuid", "getaddrinfo"])
def test_directory_service_that_hangs(faulty, aisc, call):
    """A reload does not ask it: what users are can change by a restart only,
    and so can addresses."""
    faulty.configure(
        user="other", command_user="another", listen=["localhost:0"],
        rules='{ peers = [ "*" ]; network = [ "127.0.0.0/8", "::1/128" ]; '
              'anything = true; }')
    with faulty.faults.armed(call, faults.HANG, times=-1):
        faulty.reload()
        assert aisc.run(faulty.port, "true").returncode == 0
    said = [event["msg"] for event in faulty.events("message")]
    for key in "user", "command_user", "listen":
        assert f'the new value of "{key}" takes effect only after a ' \
            "restart" in said
