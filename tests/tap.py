# SPDX-License-Identifier: ISC
"""Run pytest on one folder of tests and print TAP.

usage: tap.py FOLDER [PYTEST-ARGUMENT...]

Each test becomes one line; the story of a failure follows it as comments.
Where pytest-xdist is there, three tests run at once for each processor, since
many of them wait for most of their time; those with the mark "alone" run one by
one after the others.  AIS_JOBS sets how many at once.
"""

import importlib.util
import os
import sys
import tempfile

import pytest

SERIAL_FOLDERS = ("house", "systemd")
# Each worker there takes a user of the system that runs nothing.
MOST = {"fidelity": 6}
NOTHING_SELECTED = 5


class Tap:
    """A pytest plugin that prints a TAP line for each finished test."""

    def __init__(self, out):
        self.out = out
        self.count = 0
        self.failed = False

    def line(self, ok, name, directive=""):
        self.count += 1
        if not ok and not directive:
            self.failed = True
        name = name.replace("#", "%")
        self.out.write(f"{'ok' if ok else 'not ok'} {self.count} - {name}"
                       f"{' # ' + directive if directive else ''}\n")
        self.out.flush()

    def comment(self, text):
        for line in text.splitlines():
            self.out.write(f"# {line}\n")
        self.out.flush()

    def properties(self, report):
        for key, value in report.user_properties:
            self.comment(f"{key}: {value}")

    def story(self, report):
        self.properties(report)
        self.comment(report.longreprtext)
        for title, text in report.sections:
            self.comment(f"--- {title}\n{text}")

    def pytest_runtest_logreport(self, report):
        name = report.nodeid
        expected = getattr(report, "wasxfail", None)
        if report.when == "call" and report.passed:
            self.line(True, name)
            self.properties(report)
        elif report.skipped and expected is not None:
            self.line(False, name, f"TODO {expected}")
            self.properties(report)
        elif report.skipped:
            self.line(True, name, f"SKIP {reason(report.longrepr)}")
        elif report.failed:
            when = {"call": "", "???": " (crashed)"}.get(
                report.when, f" ({report.when})")
            self.line(False, name + when)
            self.story(report)

    def pytest_collectreport(self, report):
        if report.failed:
            self.line(False, f"{report.nodeid or 'tests'} (collect)")
            self.story(report)
        elif report.skipped:
            self.line(True, report.nodeid, f"SKIP {reason(report.longrepr)}")


def reason(longrepr):
    """The words of a skip, on one line."""
    text = longrepr[2] if isinstance(longrepr, tuple) else str(longrepr)
    return " ".join(text.replace("Skipped: ", "", 1).split())


def jobs(folder):
    """The arguments that make pytest run several tests at once."""
    if folder in SERIAL_FOLDERS or not importlib.util.find_spec("xdist"):
        return []
    count = int(os.environ.get("AIS_JOBS") or
                3 * len(os.sched_getaffinity(0)))
    return ["-n", str(min(count, MOST.get(folder, count)))]


class Short:
    """A pytest plugin that lets no worker have tests in store while another
    one is idle: two at a time, where pytest-xdist begins with a quarter."""

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config, log):
        from xdist.scheduler.load import LoadScheduling

        class ShortScheduling(LoadScheduling):
            def _send_tests(self, node, num):
                super()._send_tests(
                    node, min(num, 2 - len(self.node2pending[node])))
        return ShortScheduling(config, log)


def main():
    folder, extra = sys.argv[1], sys.argv[2:]
    here = os.path.dirname(os.path.abspath(__file__))
    if not os.path.isdir(os.path.join(here, folder)):
        print(f"1..0 # SKIP there is no tests/{folder}")
        return 0

    # Standard output is TAP and nothing else.  What pytest says besides is
    # kept for the case that it cannot do its work.
    tap = Tap(os.fdopen(os.dup(1), "w"))
    said = tempfile.TemporaryFile("w+", errors="replace")
    os.dup2(said.fileno(), 1)
    os.chdir(here)
    sys.path.insert(0, here)

    parallel = jobs(folder)
    passes = [[*parallel, "-m", "not alone"], ["-m", "alone"]] \
        if parallel else [[]]
    for arguments in passes:
        status = pytest.main(["-vv", *arguments, *extra, folder],
                             plugins=[tap, Short()])
        if status > 1 and status != NOTHING_SELECTED and not tap.failed:
            tap.line(False, f"tests/{folder}: pytest ended with {status:d}")
            said.seek(0)
            tap.comment(said.read())
    if tap.count == 0:
        tap.out.write(f"1..0 # SKIP no test in tests/{folder} is to run\n")
    else:
        tap.out.write(f"1..{tap.count}\n")
    tap.out.flush()
    return 0    # What failed has been said, line by line.


if __name__ == "__main__":
    sys.exit(main())
