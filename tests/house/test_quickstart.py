# SPDX-License-Identifier: ISC
"""What quickstart does about packages that are not there."""

import os
import subprocess

import pytest

MISSING = "command no-such-command-here apt-pkg dnf-pkg pacman-pkg zypper-pkg\n"
LINE = "\tapt-get update && apt-get install --no-install-recommends apt-pkg\n"


@pytest.fixture
def quickstart(srcdir, tmp_path):
    """A function that runs quickstart, with a package missing, as the user
    with this number, beside programs which write their names to a file.  It
    returns how that went, and what was called."""
    script = (srcdir / "quickstart").read_text()
    before, table = script.split("for_build='\n")
    copy = tmp_path / "quickstart"
    copy.write_text(f"{before}for_build='\n{MISSING}{table}")
    copy.chmod(0o755)
    calls = tmp_path / "calls"
    calls.touch()
    programs = tmp_path / "programs"
    programs.mkdir()

    def program(name, text):
        (programs / name).write_text(
            f"#!/bin/sh\necho {name} >>{calls}\n{text}\n")
        (programs / name).chmod(0o755)

    def run(*arguments, uid=0, sudo=1):
        program("id", f"case $1 in -u) echo {uid};; *) echo somebody; esac")
        program("apt-get", "exit 1")
        program("sudo", f"exit {sudo}")
        done = subprocess.run(
            ["sh", str(copy), *arguments], stdin=subprocess.DEVNULL,
            capture_output=True, text=True,
            env={"PATH": f"{programs}:{os.environ['PATH']}"})
        assert done.returncode == 1
        return done, set(calls.read_text().split()) - {"id"}
    return run


def test_nobody_to_ask(quickstart):
    done, called = quickstart()
    assert "no terminal to ask at, and no -y" in done.stderr
    assert done.stderr.endswith(LINE)
    assert not called


def test_no_right_to_install(quickstart):
    done, called = quickstart("-y", uid=1000)
    assert "sudo does not let somebody install packages" in done.stderr
    assert done.stderr.endswith(LINE)
    assert called == {"sudo"}


def test_installation_fails(quickstart):
    done, called = quickstart("-y")
    assert "the installation failed" in done.stderr
    assert done.stderr.endswith(LINE)
    assert "install_packages" not in done.stderr
    assert called == {"apt-get"}


def test_usage(srcdir):
    """An option that would mean nothing is none."""
    for arguments in ([], ["check"]):
        done = subprocess.run(
            ["sh", str(srcdir / "quickstart"), "--no-such", *arguments],
            capture_output=True, text=True)
        assert done.returncode == 2
        assert "--no-sanitizers" in done.stderr
    done = subprocess.run(["sh", str(srcdir / "quickstart"),
                           "--no-sanitizers"], capture_output=True)
    assert done.returncode == 2
