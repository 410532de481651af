# SPDX-License-Identifier: ISC
"""RLIMIT_NOFILE: raised to what the configuration can need, or refused."""

import re
import resource
import subprocess

import pytest

NUMBER = re.compile(r"(\d+) files can be open at once, and only (\d+) may be: "
                    r"set LimitNOFILE=(\d+) in the unit")


def under(daemon, soft, hard):
    """Let it start with these limits."""
    daemon.words = ["prlimit", f"--nofile={soft}:{hard}", *daemon.words]
    return daemon


@pytest.mark.parametrize("soft", [8, 20, 1024])
def test_raised(make_aisd, aisc, soft):
    """For the daemon; a command has the soft limit that was there."""
    daemon = under(make_aisd(start=False, max_waiting=1000), soft, 4096)
    daemon.start()
    limits = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
    assert 1128 < limits[0] <= limits[1] == 4096
    done = aisc.run(daemon.port, "sh", "-c", "ulimit -Sn; ulimit -Hn")
    assert done.stdout.split() == [b"%d" % soft, b"4096"]


def test_not_raised_where_it_is_enough(make_aisd, aisc):
    daemon = under(make_aisd(start=False, open_files=77), 2000, 4096).start()
    assert resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE) == \
        (2000, 4096)
    done = aisc.run(daemon.port, "sh", "-c", "ulimit -Sn; ulimit -Hn")
    assert done.stdout.split() == [b"77", b"77"]


@pytest.mark.parametrize("hard", [16, 20, 64])
@pytest.mark.parametrize("check", [[], ["-t"]])
def test_refused(make_aisd, hard, check):
    """With the number, which then is enough."""
    daemon = under(make_aisd(start=False), hard, hard)
    done = subprocess.run([*daemon.words, *check, "-c", str(daemon.conf)],
                          capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    found = NUMBER.search(done.stderr)
    assert found and found[1] == found[3] and int(found[2]) == hard
    daemon.words[1] = f"--nofile={hard}:{found[1]}"
    daemon.start()
