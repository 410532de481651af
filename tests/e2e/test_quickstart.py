# SPDX-License-Identifier: ISC
"""What ./quickstart shows, without its building: that is make's."""

import os
import pty
import re
import select
import subprocess
import time

import pytest


@pytest.fixture
def script(srcdir, builddir, program, tmp_path):
    """A copy that takes the programs as they are."""
    if len(program("aisc")) > 1:
        pytest.skip("not under valgrind")
    text = (srcdir / "quickstart").read_text()
    for old, new in (('cd "$(dirname "$0")"', f"cd '{srcdir}'"),
                     ("build=$top/build", f"build='{builddir}'"),
                     ('\tprepare "$for_build"\n\tbuild "$build" "AIS"\n', "")):
        assert text.count(old) == 1
        text = text.replace(old, new)
    path = tmp_path / "quickstart"
    path.write_text(text)
    return path


@pytest.fixture
def home(tmp_path):
    """The home of somebody whose settings of aisc are of no use here."""
    conf = tmp_path / "home" / ".config" / "ais" / "aisc.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text('foo = 1; hosts = ( { match = "localhost"; '
                    'server_name = "x"; } );\n')
    return tmp_path / "home"


def environment(home):
    return {**os.environ, "HOME": str(home), "LANG": "C.UTF-8",
            "TERM": "dumb", "TMPDIR": str(home.parent)}


def files(home):
    return sorted(str(p.relative_to(home)) for p in home.rglob("*"))


def test_quickstart_shows_and_leaves_nothing(script, home):
    before = files(home)
    done = subprocess.run(["sh", str(script)], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=120,
                          env=environment(home))
    assert (done.returncode, done.stderr.count("aisc: unknown command")) == \
        (0, 1), done.stdout + done.stderr
    assert "HELLO, FAR SIDE" in done.stdout
    assert "(exit status 127)" in done.stdout
    # The record as people read it, and no raw line of it.
    assert re.search(r"visitor +5 +2 ", done.stdout)
    assert "event=" not in done.stdout
    assert files(home) == before
    private, = re.findall(r"aisc stands for (/\S+)/aisc,", done.stdout)
    assert not os.path.exists(private)


def test_quickstart_and_a_second_terminal(script, home, slowness):
    before = files(home)
    pid, fd = pty.fork()
    if pid == 0:
        os.execve("/bin/sh", ["sh", str(script)], environment(home))
    shown = b""
    deadline = time.monotonic() + 60 * slowness

    def wait_for(text):
        nonlocal shown
        while text not in shown:
            assert time.monotonic() < deadline, shown
            if select.select([fd], [], [], 1)[0]:
                shown += os.read(fd, 4096)
    try:
        wait_for(b"localhost:")
        alias, = re.findall(rb"alias aisc=(\S+)", shown)
        # The shell that the prompt's hint offers is granted.
        done = subprocess.run([alias, "-c", "echo one | tr a-z A-Z",
                               "localhost"], capture_output=True, timeout=30,
                              stdin=subprocess.DEVNULL, env=environment(home))
        assert (done.returncode, done.stdout) == (0, b"ONE\n"), done.stderr
        wait_for(b"> ")
        os.write(fd, b"echo typed\r")
        wait_for(b"\ntyped\r\n")
        # What is typed before the prompt is the command's.
        shown = shown[shown.index(b"\ntyped\r\n"):]
        wait_for(b"> ")
        os.write(fd, b"exit\r")
        wait_for(b"Stopped.")
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        pid = None
    finally:
        if pid is not None:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
        os.close(fd)
    assert files(home) == before
    assert not os.path.exists(alias)
