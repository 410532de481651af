# SPDX-License-Identifier: ISC
"""A command from a cold start, beside ssh on the same machine."""

import getpass
import os
import shutil
import socket
import statistics
import subprocess
import time

import pytest

from aisd import wait_until
from strangers import half_hello

ROUNDS = 15
CROWD_ROUNDS = 21


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def answers(port):
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as s:
            return s.recv(4) == b"SSH-"
    except OSError:
        return False


@pytest.fixture
def ssh(tmp_path):
    """The words of an ssh that runs a command by key; its sshd is ours."""
    sshd = shutil.which("sshd", path=os.environ["PATH"] + ":/usr/sbin")
    if not sshd or not shutil.which("ssh"):
        pytest.skip("no OpenSSH server and client to compare with")
    if os.geteuid() == 0 and not os.path.isdir("/run/sshd"):
        pytest.skip("sshd of root needs the directory /run/sshd")
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f",
                        str(tmp_path / name)], check=True)
    shutil.copy(tmp_path / "user.pub", tmp_path / "authorized")
    port = free_port()
    config = tmp_path / "sshd_config"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {tmp_path}/host\n"
        f"AuthorizedKeysFile {tmp_path}/authorized\nStrictModes no\n"
        "PermitRootLogin yes\nUsePAM no\nPidFile none\n"
        "PasswordAuthentication no\n")
    server = subprocess.Popen([sshd, "-D", "-f", str(config)],
                              stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: answers(port), "sshd answers")
        yield ["ssh", "-F", "none", "-i", str(tmp_path / "user"), "-p",
               str(port), "-o", "BatchMode=yes",
               "-o", "StrictHostKeyChecking=no",
               "-o", f"UserKnownHostsFile={tmp_path}/known",
               "-o", "LogLevel=ERROR", f"{getpass.getuser()}@127.0.0.1"]
    finally:
        server.terminate()
        server.wait()


def in_turns(commands, rounds):
    """The median of the milliseconds that each command takes."""
    took = {name: [] for name in commands}
    for _ in range(rounds):
        for name, words in commands.items():
            start = time.perf_counter()
            subprocess.run(words, check=True, stdin=subprocess.DEVNULL)
            took[name].append(time.perf_counter() - start)
    return {name: 1000 * statistics.median(t) for name, t in took.items()}


@pytest.mark.alone
def test_stalled_strangers(measurable, make_aisd, aisc, record_property):
    """With 50 of them at the door a good client is served as at an idle
    daemon."""
    idle = make_aisd()
    crowded = make_aisd(handshake_timeout=60)
    strangers = [half_hello(crowded, f"127.0.3.{i + 1}") for i in range(50)]
    medians = in_turns({"idle": aisc.words(idle.port, "true"),
                        "crowded": aisc.words(crowded.port, "true")},
                       CROWD_ROUNDS)
    for name, ms in medians.items():
        record_property(f"ms, median of {CROWD_ROUNDS}: {name}", round(ms, 1))
    assert not crowded.events("connections-dropped")
    assert medians["crowded"] <= 1.5 * medians["idle"]
    for raw in strangers:
        raw.close()


@pytest.mark.alone
def test_faster_than_ssh(measurable, aisd, aisc, ssh, record_property):
    """aisc HOST true takes less time than ssh HOST true, in turns."""
    commands = {"aisc": aisc.words(aisd.port, "true"), "ssh": [*ssh, "true"]}
    medians = in_turns(commands, ROUNDS)
    for name, ms in medians.items():
        record_property(f"ms, median of {ROUNDS}: {name}", round(ms, 1))
    assert medians["aisc"] < medians["ssh"]
