# SPDX-License-Identifier: ISC
"""What all pytest folders share: where things are, and a limit of time.

AIS_SRCDIR and AIS_BUILDDIR are the top of the sources and of the build.
AIS_SANITIZERS is "yes" in a build with sanitizers, in which memory and time
are not to be measured.  AIS_VALGRIND is a command to put before a program, or
empty.  AIS_REPEATS is what alone differs from an earlier run of these sources
with these tests: "build" or "user", see the marks "same" and "each".
"""

import contextlib
import faulthandler
import os
import pathlib
import signal
import stat
import sys
import tempfile
import threading

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from machine import INSTRUMENTED, SLOWNESS, VALGRIND    # noqa: E402

SRCDIR = pathlib.Path(os.environ.get("AIS_SRCDIR") or HERE.parent)
BUILDDIR = pathlib.Path(os.environ.get("AIS_BUILDDIR") or SRCDIR / "build")

# What Python and pytest make of the sources of tests goes to the build, where
# each of the workers finds it: to read them all takes one of them seconds.
if os.access(BUILDDIR / "tests", os.W_OK):
    sys.pycache_prefix = str(BUILDDIR / "tests" / "pycache")
    sys.dont_write_bytecode = False

# What leaks without being ours; and nothing is to be said about it.
os.environ.setdefault("LSAN_OPTIONS", f"suppressions={HERE / 'lsan.supp'}:"
                      "print_suppressions=0")

# Programs that are not built, and their folders.
SCRIPTS = {"ais-ca": "certs", "aisd-report": "daemon"}

# Whoever runs the tests may ignore signals, as a job in the background does;
# what the tests start would ignore them as well.
for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1,
               signal.SIGUSR2, signal.SIGCHLD, signal.SIGALRM):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The seconds that a test may take.
LIMIT = 120


@pytest.fixture(scope="session")
def srcdir():
    """The top of the source tree."""
    return SRCDIR


@pytest.fixture(scope="session")
def builddir():
    """The top of the build tree."""
    return BUILDDIR


@pytest.fixture(scope="session")
def slowness():
    """How many times longer things may take in this build, on this machine."""
    return SLOWNESS


@pytest.fixture(scope="session")
def measurable():
    """Skip the test where time and memory say nothing about AIS."""
    if INSTRUMENTED:
        pytest.skip("not measured under sanitizers or valgrind")


@pytest.fixture(scope="session")
def brisk():
    """Skip the test where it would take too long."""
    if INSTRUMENTED:
        pytest.skip("takes too long under sanitizers or valgrind")


@pytest.fixture(scope="session")
def program():
    """A function from a program's name to the words that start it.

    Scripts come from the source tree, programs from the build, with valgrind
    before them where that is wanted.  A program that is not there skips the
    test.
    """
    def find(name):
        if name in SCRIPTS:
            path, before = SRCDIR / SCRIPTS[name] / name, []
        else:
            path, before = BUILDDIR / name, VALGRIND
        if not path.exists():
            pytest.skip(f"{name} is not built")
        return [*before, str(path)]
    return find


def everybody_writes(path):
    """May everybody write to "path", or to a directory above it?"""
    return any(one.stat().st_mode & stat.S_IWOTH
               for one in (path, *path.parents))


@contextlib.contextmanager
def trusted_directory():
    """A directory for programs that a rule lists: below none to which
    everybody may write, as they may to that of tmp_path."""
    for top in map(pathlib.Path, ("/var/lib", "/opt", pathlib.Path.home())):
        if not os.access(top, os.W_OK) or everybody_writes(top):
            continue
        with tempfile.TemporaryDirectory(prefix="ais-test-", dir=top) as name:
            path = pathlib.Path(name)
            path.chmod(0o755)
            yield path
        return
    pytest.skip("needs a directory that not everybody may write to")


@pytest.fixture
def trusted_path():
    """Such a directory for one test."""
    with trusted_directory() as path:
        yield path


@pytest.fixture(scope="session")
def trusted_place():
    """Such a directory for all tests."""
    with trusted_directory() as path:
        yield path


@contextlib.contextmanager
def limited(seconds):
    """End what takes too long, as a failure with a traceback."""
    def over(_signal, _frame):
        pytest.fail(f"took longer than {seconds} seconds")

    before = signal.signal(signal.SIGALRM, over)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def cut(seconds):
    """The same in a thread, where Python handles no signals.

    pytest-xdist runs tests in such a thread now and then.  The process ends,
    and pytest-xdist names the test in which it did and goes on with another.
    """
    faulthandler.dump_traceback_later(seconds, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def pytest_collection_modifyitems(items):
    """Begin with the long tests, so that none is left over at the end, and skip
    those that an earlier run has shown.

    Another user meets other rights, which are those of a test and hardly those
    of one of its cases: the first case stands for all, and those with the mark
    "each"."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
    repeats = os.environ.get("AIS_REPEATS", "").split()
    begun = set()
    for item in items:
        mark = item.get_closest_marker("same")
        for what in set(repeats).intersection(mark.args if mark else ()):
            item.add_marker(pytest.mark.skip(
                reason=f"the same for each {what}, and has been run"))
        test = item.parent.nodeid, getattr(item, "originalname", item.name)
        if "user" in repeats and test in begun and \
                not item.get_closest_marker("each"):
            item.add_marker(pytest.mark.skip(
                reason="one case is enough for another user"))
        begun.add(test)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    """Give each test a limit of time."""
    mark = item.get_closest_marker("limit")
    seconds = (mark.args[0] if mark else LIMIT) * SLOWNESS
    main = threading.current_thread() is threading.main_thread()
    with (limited if main else cut)(seconds):
        yield
