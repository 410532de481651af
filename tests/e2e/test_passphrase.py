# SPDX-License-Identifier: ISC
"""Encrypted keys: what opens those of aisc, and that aisd has none."""

import os
import pathlib
import pty
import select
import shutil
import subprocess
import time

import pytest

from aisc import said
from machine import INSTRUMENTED

SECRET = "correct horse"


@pytest.fixture
def locked(alice, tmp_path):
    """Alice with her key encrypted."""
    path = tmp_path / "locked.key"
    subprocess.run(["openssl", "pkey", "-in", alice.key, "-aes256", "-passout",
                    f"pass:{SECRET}", "-out", path], check=True)
    path.chmod(0o600)
    return alice._replace(key=str(path))


def command(aisc, *words):
    quoted = ", ".join('"%s"' % str(word).replace("\\", "\\\\").replace(
        '"', '\\"') for word in words)
    aisc.config.write_text(f"passphrase_command = [ {quoted} ];\n")


@pytest.mark.parametrize("script", [
    f"echo '{SECRET}'", f"printf '{SECRET}'", f"printf '{SECRET}\\r\\nmore\\n'"])
def test_command(aisd, aisc, locked, script):
    command(aisc, "/bin/sh", "-c", script)
    done = aisc.run(aisd.port, "cat", pair=locked, input=b"hello")
    assert done.returncode == 0 and done.stdout == b"hello", done.stderr


@pytest.mark.parametrize("script, says", [
    ("echo wrong", "its passphrase is wrong; give the right one"),
    (f"echo '{SECRET}'; echo once >&2; exit 3", "has ended with status 3"),
    ("kill -9 $$", "has ended with signal 9"),
    ("echo", "has written no line that can be a passphrase"),
    ("head -c 2000 /dev/zero | tr '\\0' x", "has written no line"),
    ("head -c 9000 /dev/zero | tr '\\0' x", "has written more than a line")])
def test_command_that_fails(aisc, locked, script, says):
    """It is told, and nobody is asked in its place."""
    command(aisc, "/bin/sh", "-c", script)
    done = aisc.run(1, "true", pair=locked)
    assert done.returncode == 255 and said(done.stderr) == "config"
    assert says in done.stderr.decode()
    assert done.stderr.count(b"once\n") == script.count("once")


def test_command_that_goes_on_unseen(program, aisc, locked, tmp_path):
    """Without a descriptor for its process there is no way to wait for it in
    bounded time: it is ended at once, and its passphrase does not count."""
    if INSTRUMENTED:
        pytest.skip("faults are not made under sanitizers or valgrind")
    if not shutil.which("strace"):
        pytest.skip("needs strace")
    script = tmp_path / "say"
    script.write_text(f"#!/bin/sh\necho '{SECRET}'\nexec sleep 600 >&-\n")
    script.chmod(0o755)
    command(aisc, script)
    traced = aisc.__class__(
        ["strace", "-o", "/dev/null", "-e", "trace=pidfd_open", "-e",
         "inject=pidfd_open:error=EMFILE", *program("aisc")],
        tmp_path / "traced", locked, 1)
    traced.config.write_text(aisc.config.read_text())
    done = traced.run(1, "true", timeout=30)
    if b"ptrace" in done.stderr:
        pytest.skip("strace may not trace here")
    assert b"has ended with signal 9" in done.stderr, done.stderr


def test_command_that_is_not_there(aisc, locked):
    command(aisc, "/no/such/program; echo x")
    done = aisc.run(1, "true", pair=locked)
    assert b"cannot run the passphrase_command /no/such/program; echo x: No " \
        in done.stderr


def test_neither_command_nor_terminal(aisc, locked):
    done = aisc.run(1, "true", pair=locked, popen={"start_new_session": True})
    text = done.stderr.decode()
    assert said(done.stderr) == "config"
    assert f"the key {locked.key} is encrypted, and there is no terminal" in \
        text and 'set "passphrase_command" in aisc.conf' in text


def at_terminal(words, env, typed, prompt="Passphrase of "):
    """Run it in a terminal of its own, and type that at the prompt.  What is
    shown, and the status."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execvpe(words[0], words, env)
    shown, end = b"", time.monotonic() + 60
    try:
        while time.monotonic() < end:
            if not select.select([fd], [], [], 1)[0]:
                continue
            try:
                part = os.read(fd, 4096)
            except OSError:
                break
            if not part:
                break
            shown += part
            if typed and prompt.encode() in shown and b": " in shown:
                os.write(fd, typed)
                typed = None
    finally:
        os.close(fd)
    return shown.decode(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.parametrize("typed, status, says", [
    (SECRET.encode() + b"\r", 0, "hello"),
    (b"oops\x15correct horsf\x7fe\r", 0, "hello"),
    (b"wrong\r", 255, "its passphrase is wrong"),
    (b"corr\x03", 255, "no passphrase of the key"),
    (b"\r", 255, "no passphrase of the key")])
def test_terminal(aisd, aisc, locked, typed, status, says):
    """Nothing of it is shown."""
    words = aisc.words(aisd.port, "echo", "hello", pair=locked)
    shown, ended = at_terminal(words, aisc.environment(TERM="dumb"), typed)
    assert ended == status and says in shown, shown
    assert f"Passphrase of {locked.key}: " in shown
    assert shown.partition(": ")[2].startswith("\r\n")


def test_aisd(make_aisd, localhost, tmp_path):
    path = tmp_path / "locked.key"
    subprocess.run(["openssl", "pkey", "-in", localhost.key, "-aes256",
                    "-passout", "pass:x", "-out", path], check=True)
    pathlib.Path(path).chmod(0o600)
    daemon = make_aisd(start=False, key=path)
    done = subprocess.run([*daemon.words, "-t", "-c", str(daemon.conf)],
                          capture_output=True, stdin=subprocess.DEVNULL,
                          timeout=60)
    assert done.returncode == 6
    assert b"it is encrypted with a passphrase, which cannot be asked for " \
        b"here; write it without" in done.stderr
