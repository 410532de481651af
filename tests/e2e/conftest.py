# SPDX-License-Identifier: ISC
"""Fixtures of the end-to-end tests: an authority, a daemon, a client."""

import os
import pathlib
import shlex
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import pki                                      # noqa: E402
import wire                                     # noqa: E402
from aisc import Aisc                           # noqa: E402
from aisd import Daemon                         # noqa: E402

# A command to put before aisd and aisc, such as strace.
WRAPPER = shlex.split(os.environ.get("AIS_WRAPPER", ""))


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """One authority for all tests that do not spoil it."""
    return pki.Authority(tmp_path_factory.mktemp("pki") / "ca")


@pytest.fixture(scope="session")
def localhost(authority):
    """The certificate of a server on this machine."""
    return authority.server("localhost", "127.0.0.1", "::1")


@pytest.fixture(scope="session")
def alice(authority):
    """The certificate of a client."""
    return authority.client("alice")


@pytest.fixture
def make_aisd(program, tmp_path, localhost, slowness):
    """A function that starts one more aisd, with keys of aisd.conf as
    keywords; all are stopped and checked after the test."""
    daemons = []

    def make(start=True, pair=localhost, **keys):
        daemon = Daemon([*WRAPPER, *program("aisd")],
                        tmp_path / f"aisd{len(daemons)}", pair,
                        slowness=slowness, **keys)
        daemons.append(daemon)
        return daemon.start() if start else daemon
    yield make
    try:
        for daemon in daemons:
            daemon.stop()
    finally:
        for daemon in daemons:
            daemon.kill()


@pytest.fixture
def aisd(make_aisd):
    """An aisd that lets everybody do everything."""
    return make_aisd()


@pytest.fixture
def connect(aisd, alice):
    """A function that begins a session with the daemon of "aisd"; it takes
    the keywords of wire.Client, and "pair" for another certificate.  Its
    sessions are in "clients"; those that are open after the test are closed.
    """
    def open_session(pair=alice, daemon=aisd, **options):
        session = wire.Client(daemon.port, *pair[:3], **options)
        open_session.clients.append(session)
        return session
    open_session.clients = []
    yield open_session
    for session in open_session.clients:
        session.close()


@pytest.fixture
def serve(make_aisd, alice):
    """A function from rules to a daemon and a session with it."""
    clients = []

    def start(rules, **keys):
        daemon = make_aisd(rules=rules, **keys)
        clients.append(wire.Client(daemon.port, *alice[:3]))
        clients[-1].hello()
        return daemon, clients[-1]
    yield start
    for client in clients:
        client.close()


@pytest.fixture
def aisc(program, tmp_path, alice, slowness):
    """An aisc that shows alice's certificate, unless told otherwise."""
    return Aisc([*WRAPPER, *program("aisc")], tmp_path / "aisc", alice,
                slowness)


@pytest.fixture
def fake_server(localhost):
    """A function from a script to a wire.FakeServer."""
    servers = []

    def make(script, pair=localhost, **options):
        servers.append(wire.FakeServer(script, *pair[:3], **options))
        return servers[-1]
    yield make
    for server in servers:
        server.close()


@pytest.fixture
def own_network():
    """Words to put before a program, for a network of its own: with nothing
    but "lo", and as its root."""
    for name in "unshare", "nsenter", "ip":
        if shutil.which(name) is None:
            pytest.skip(f"{name} is not installed")
    private = ["unshare", "--user", "--map-root-user", "--net"]
    if subprocess.run([*private, "ip", "link", "set", "lo", "up"],
                      stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("nobody may have a network of its own here")
    # The network is entered by way of this process: a daemon's own /proc/PID
    # is closed to its user.
    keeper = subprocess.Popen(
        [*private, "sh", "-c", "ip link set lo up && echo up && exec cat"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with keeper:
        assert keeper.stdout.readline() == b"up\n"
        yield ["nsenter", "--user", "--net", "--preserve-credentials",
               "--target", str(keeper.pid)]
