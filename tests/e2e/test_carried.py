# SPDX-License-Identifier: ISC
"""Connections that a proxy_command carries, and servers that fall silent."""

import contextlib
import os
import signal
import socket
import subprocess
import time

import pytest

from aisd import quote, wait_until
from aisc import said
from proxy import Proxy
from test_prompt import place, screen               # noqa: F401
from test_tools import needs                        # noqa: F401

SOCAT = ["socat", "-", "TCP:%h:%p"]


def set_words(aisc, words, more=""):
    aisc.config.write_text("proxy_command = [ "
                           + ", ".join(map(quote, words)) + f" ];\n{more}")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def processes(marker):
    """Those that have this among their arguments."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if marker.encode() in file.read().split(b"\0"):
                    found.append(int(pid))
    return found


def test_all_that_a_command_does(aisc, aisd, needs):    # noqa: F811
    """Both ways, with a status, and the server sees an end in order."""
    needs("socat")
    set_words(aisc, SOCAT)
    data = os.urandom(3_000_000)
    done = aisc.run(aisd.port, "sh", "-c", "cat; echo err >&2; exit 7",
                    input=data)
    assert (done.returncode, done.stderr) == (7, b"err\n")
    assert done.stdout == data
    assert aisd.wait_event("session-close")["reason"] == "done"
    done = aisc.run(aisd.port, options=["--check"])
    assert done.returncode == 0, done
    assert f"address: localhost:{aisd.port} by socat,".encode() in done.stdout
    done = aisc.run(aisd.port, "true", options=["-v"])
    assert f"connected to localhost:{aisd.port} by socat".encode() in \
        done.stderr


def test_signal_goes_on(aisc, aisd, needs):         # noqa: F811
    """One for aisc is one for its command, and not for what carries it."""
    needs("socat")
    set_words(aisc, SOCAT)
    process = aisc.start(aisd.port, "sh", "-c",
                         "trap 'echo caught; exit 5' INT; echo; sleep 60 & "
                         "wait", popen={"start_new_session": True})
    assert process.stdout.readline() == b"\n"
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (out, process.returncode) == (b"caught\n", 5), err


def test_socks(aisc, aisd, needs):                  # noqa: F811
    """A proxy that others wrote, to which the name of the server goes."""
    needs("microsocks", "nc")
    if b"SOCKS" not in subprocess.run(["nc", "-h"], capture_output=True,
                                      check=False).stderr:
        pytest.skip("this nc speaks no SOCKS")
    port = free_port()
    process = subprocess.Popen(
        ["microsocks", "-i", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        def listens():
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port)).close()
                return True
        wait_until(listens, "microsocks listens")
        set_words(aisc, ["nc", "-X", "5", "-x", f"127.0.0.1:{port}", "%h",
                         "%p"])
        done = aisc.run(aisd.port, "echo", "hello")
        assert (done.returncode, done.stdout) == (0, b"hello\n"), done
    finally:
        process.terminate()
        log = process.communicate()[1]
    assert f"connected to localhost:{aisd.port}".encode() in log


def test_by_another_aisd(aisc, aisd, make_aisd, program, alice, needs):  # noqa: F811
    """A machine between that only passes on, and sees nothing of it."""
    needs("socat")
    between = make_aisd(rules='{ name = "on"; peers = [ "*" ]; commands = ( '
                        '{ program = "/usr/bin/socat"; arguments = ( "-", '
                        f'"TCP:localhost:{aisd.port}" ); }} ); }}')
    set_words(aisc, [*program("aisc"), "-F", "/dev/null", "--ca", alice.ca,
                     "--cert", alice.cert, "--key", alice.key,
                     f"localhost:{between.port}", "socat", "-",
                     "TCP:%h:%p"])
    done = aisc.run(aisd.port, "sh", "-c", "cat; exit 3", input=b"x" * 200000)
    assert (done.returncode, done.stdout) == (3, b"x" * 200000), done
    assert between.wait_event("command-end")["argv"].startswith("socat - ")


@pytest.mark.parametrize("words, status, kind, text", [
    (["/no/such/program"], 255, "connect",
     b"cannot run the proxy_command /no/such/program: No such file"),
    ([""], 255, "config", b"proxy_command begins with an empty word; its "
     b"first word is a program"),
    (["socat", "-", "TCP:%x"], 255, "config",
     b'the word "TCP:%x" of proxy_command has a % that stands for nothing; '
     b"write %h for the host, %p for the port, %% for a %"),
    (["socat", "%"], 255, "config", b'the word "%" of proxy_command'),
    (["sh", "-c", "echo cannot get there >&2; exit 4"], 255, "connect",
     b"cannot get there\naisc: connect: the proxy_command sh has ended with "
     b"status 4; look whether it reaches port"),
    (["sh", "-c", "kill -9 $$"], 255, "connect",
     b"signal 9 has ended the proxy_command sh; look whether"),
    (["sh", "-c", "echo HTTP/1.0 407 No; cat >/dev/null"], 255, "tls",
     b"look at the port")])
def test_what_does_not_work(aisc, aisd, words, status, kind, text):
    set_words(aisc, words)
    began = time.monotonic()
    done = aisc.run(aisd.port, "true")
    assert (done.returncode, said(done.stderr)) == (status, kind), done
    assert text in done.stderr
    # It is not tried again and again.
    assert done.stderr.count(text) == 1
    assert time.monotonic() - began < 8 * aisc.slowness
    assert aisd.events("command-start") == []


def test_one_that_never_answers(aisc, aisd):
    """It is ended, though it does not see the end of its input."""
    marker = f"3{os.getpid()}.5"
    set_words(aisc, ["sleep", marker], "connect_timeout = 1;")
    done = aisc.run(aisd.port, "true")
    assert done.returncode == 255 and b"within 1 second" in done.stderr
    assert not processes(marker)


def test_none(aisc, aisd):
    """A section for a host can do without."""
    aisc.config.write_text(
        'proxy_command = [ "false" ];\nhosts = ( { match = "localhost"; '
        "proxy_command = [ ]; } );")
    assert aisc.run(aisd.port, "true").returncode == 0


def test_at_the_prompt(screen, place, aisc, needs):     # noqa: F811
    """Ctrl-C ends a command, and not what carries the session."""
    needs("socat")
    set_words(aisc, SOCAT)
    s = screen()
    s.type("sleep 60\n")
    wait_until(lambda: place.events("command-start"), "it runs")
    s.keys("C-c")
    assert place.wait_event("command-end")["signal"] == "2"
    s.type("echo still\n")
    wait_until(lambda: "still" in s.lines(), "the next one runs")
    s.keys("C-d")
    place.wait_event("session-close")
    assert len(place.events("session-open")) == 1


# A server that falls silent.

def silent(peer):
    """After STARTED nothing comes, whatever is asked."""
    peer.hello()
    peer.started(peer.expect_request())
    peer.hold()


def test_dead_server(aisc, fake_server):
    """Its kernel answers, and it does not: it is given up in time."""
    aisc.config.write_text('dead_timeout = "900 ms";')
    began = time.monotonic()
    done = aisc.run(fake_server(silent).port, "sleep", "100")
    took = time.monotonic() - began
    assert (done.returncode, said(done.stderr)) == (255, "lost")
    assert b"nothing has come from the server for 0.9 seconds; the command " \
        b"may have begun: look whether localhost can be reached" in done.stderr
    assert 0.9 <= took < 5 * aisc.slowness


def test_dead_server_behind_a_proxy(aisc, aisd, needs):     # noqa: F811
    """What carries the connection is alive, and nothing comes of it."""
    needs("socat")
    set_words(aisc, SOCAT, 'dead_timeout = "900 ms";')
    process = aisc.start(aisd.port, "sh", "-c", "echo; sleep 100")
    assert process.stdout.readline() == b"\n"
    aisd.process.send_signal(signal.SIGSTOP)
    try:
        _, err = process.communicate(timeout=30)
    finally:
        aisd.process.send_signal(signal.SIGCONT)
    assert process.returncode == 255 and said(err) == "lost"


def test_silent_command(aisc, aisd):
    """The server is there, though the command says nothing."""
    aisc.config.write_text('dead_timeout = "300 ms";')
    done = aisc.run(aisd.port, "sh", "-c", "sleep 2; echo done")
    assert (done.returncode, done.stdout) == (0, b"done\n")


def test_never_asked(aisc, fake_server):
    """With 0 a server is waited for, until another limit."""
    aisc.config.write_text("dead_timeout = 0;\ntimeout = 2;")
    done = aisc.run(fake_server(silent).port, "sleep", "100")
    assert said(done.stderr) == "timeout"


def test_slow_upload_is_no_silence(aisc, make_aisd, slowness):
    """The question waits behind data, which moves."""
    daemon = make_aisd(dead_timeout=60)
    aisc.config.write_text('dead_timeout = "500 ms";')
    with Proxy(daemon.port, rate=100000) as slow:
        done = aisc.run(slow.port, "wc", "-c", input=bytes(400000),
                        timeout=60)
    assert (done.returncode, done.stdout.split()) == (0, [b"400000"]), done
