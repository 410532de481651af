# SPDX-License-Identifier: ISC
"""Fixtures of the table of fidelity: places in which its rows run."""

import contextlib
import os
import pathlib
import pwd
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
# None of those that other tests limit in their number of processes.
COMMAND_USERS = ("lp", "man", "www-data", "daemon", "bin", "list", "proxy",
                 "backup", "gnats")


def pytest_addoption(parser):
    parser.addoption("--table", action="store_true",
                     default=bool(os.environ.get("AIS_FIDELITY_TABLE")),
                     help="say of each row how each way has compared")


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return pki.Authority(tmp_path_factory.mktemp("pki") / "ca")


def command_user():
    """The entry of a user of this pytest process alone."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
    busy = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            busy.add(os.stat(f"/proc/{pid}").st_uid)
    found = []
    for name in COMMAND_USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid and entry.pw_gid and entry.pw_uid not in busy:
            found.append(entry)
    if number >= len(found):
        pytest.skip("needs more users of the system that run nothing")
    return found[number]


@pytest.fixture(scope="session")
def place(program, authority, slowness, trusted_place):
    """As root two users, else all as this one."""
    if len(program("aisd")) > 1:
        pytest.skip("not under valgrind")
    root = os.geteuid() == 0
    made = Place(trusted_place, [row for row in ROWS if not row.missing()],
                 program, authority, command_user() if root else
                 pwd.getpwuid(os.geteuid()), USER if root else None, slowness)
    try:
        made.start()
        yield made
        made.stop()
    finally:
        made.kill()
