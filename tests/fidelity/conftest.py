# SPDX-License-Identifier: ISC
"""Fixtures of the table of fidelity: places in which its rows run."""

import contextlib
import os
import pathlib
import pwd
import socket
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e")]

import pki                                      # noqa: E402
from rows import ROWS                           # noqa: E402
from ways import Place                          # noqa: E402

# Users that Debian has and that run nothing; each pytest process takes one,
# because a daemon may end all processes of its command user.
USER = "sys"
# Those that other tests use, or limit in their number of processes, are last or
# missing; none has a home that it can write to, or is locked (sshd).
COMMAND_USERS = ("lp", "bin", "www-data", "_apt", "gnats", "sync", "list",
                 "proxy", "backup")


def pytest_addoption(parser):
    parser.addoption("--table", action="store_true",
                     default=bool(os.environ.get("AIS_FIDELITY_TABLE")),
                     help="say of each row how each way has compared")


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return pki.Authority(tmp_path_factory.mktemp("pki") / "ca")


def command_user():
    """The entry of a user that runs nothing, and the claim of this process to
    it: a name that the kernel forgets when the socket is closed."""
    busy = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            busy.add(os.stat(f"/proc/{pid}").st_uid)
    for name in COMMAND_USERS:
        with contextlib.suppress(KeyError, OSError):
            entry = pwd.getpwnam(name)
            if entry.pw_uid and entry.pw_gid and entry.pw_uid not in busy:
                claim = socket.socket(socket.AF_UNIX)
                claim.bind(f"\0ais-tests-fidelity-{entry.pw_uid}")
                return entry, claim
    pytest.skip("needs more users of the system that run nothing")


@pytest.fixture(scope="session")
def place(program, authority, slowness, trusted_place):
    """As root two users, else all as this one."""
    if len(program("aisd")) > 1:
        pytest.skip("not under valgrind")
    root = os.geteuid() == 0
    user, claim = command_user() if root else (pwd.getpwuid(os.geteuid()), None)
    made = Place(trusted_place, [row for row in ROWS if not row.missing()],
                 program, authority, user, USER if root else None, slowness)
    try:
        made.start()
        yield made
        made.stop()
    finally:
        made.kill()
        if claim is not None:
            claim.close()
