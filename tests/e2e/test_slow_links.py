# SPDX-License-Identifier: ISC
"""What is slow is not dead, and nothing of it is lost; what stands still has its
end."""

import subprocess
import time

import pytest

import aisc as client
import wire
from proxy import Proxy
from wire import Type

pytestmark = pytest.mark.long
RATE = 20000
# Of which a client's windows and a PING know nothing for 10 seconds.
MUCH = 200000
# So much that the client grants more before it has all.
MORE = 700000


def download(aisc, proxy, size):
    """Begin a download by this link."""
    return aisc.start(proxy.port, "sh", "-c", f"head -c {size} /dev/zero | "
                      "tr '\\0' x; echo >&2 end; exit 3")


def check_whole(process, size, slowness):
    out, err = process.communicate(timeout=60 * slowness)
    client.check_reports(err)
    assert (process.returncode, err) == (3, b"end\n")
    assert out == b"x" * size


def test_slow_download(make_aisd, aisc, slowness):
    """Bytes that TCP has acknowledged are a sign of life."""
    daemon = make_aisd(dead_timeout=1.5)
    with Proxy(daemon.port, rate=RATE) as proxy:
        began = time.monotonic()
        check_whole(download(aisc, proxy, MUCH), MUCH, slowness)
        assert time.monotonic() - began > 6
        assert daemon.wait_event("session-close")["reason"] == "done"


def test_slow_download_and_others_wait(make_aisd, aisc, slowness):
    """The command has ended long ago, and the next session begins when the
    client has its output, or a part of it is on its way."""
    daemon = make_aisd(dead_timeout=1.5, idle_timeout_waiting=1, turn=1)
    with Proxy(daemon.port, rate=2 * RATE) as proxy:
        process = download(aisc, proxy, MORE)
        daemon.wait_event("command-end", exit="3")
        assert aisc.run(daemon.port, "true", timeout=60).returncode == 0
        check_whole(process, MORE, slowness)


@pytest.mark.parametrize("wait", [False, True])
def test_slow_upload(make_aisd, aisc, slowness, wait):
    """Parts of a record are a sign of life as well."""
    daemon = make_aisd(dead_timeout=1, idle_timeout_waiting=1, turn=1)
    with Proxy(daemon.port, rate=RATE // 2) as proxy:
        process = aisc.start(proxy.port, "wc", "-c", stdin=subprocess.PIPE)
        daemon.wait_event("command-start")
        other = aisc.start(daemon.port, "true") if wait else None
        out, err = process.communicate(bytes(MUCH // 4),
                                       timeout=60 * slowness)
        assert (process.returncode, out, err) == \
            (0, b"%d\n" % (MUCH // 4), b"")
        assert other is None or other.wait(30 * slowness) == 0


def test_slow_helper(make_aisd, aisc, slowness, tmp_path):
    """Time in which the client takes output is not that of a helper that
    writes it."""
    daemon = make_aisd(output_wait=0.1)
    with Proxy(daemon.port, rate=4 * RATE) as proxy:
        process = aisc.start(
            proxy.port, "bash", "-c", f"cd {tmp_path}; exec > >(cat; sleep "
            "0.01; echo end); head -c 600000 /dev/zero; exit 3")
        out, err = process.communicate(timeout=60 * slowness)
    assert (process.returncode, err) == (3, b"")
    assert out == bytes(600000) + b"end\n"


def test_goodbye_on_a_slow_link(make_aisd, aisc, slowness):
    """Its output stands before the GOODBYE, and all of it arrives."""
    daemon = make_aisd(idle_timeout=0.5)
    with Proxy(daemon.port, rate=2 * RATE) as proxy:
        process = aisc.start(proxy.port, stdin=subprocess.PIPE,
                             options=["--stop-on-error"])
        process.stdin.write(b"head -c %d /dev/zero\n" % MORE)
        process.stdin.flush()
        daemon.wait_event("session-close", timeout=60 * slowness)
        out, err = process.communicate(timeout=60 * slowness)
        assert (process.returncode, len(out), err) == (0, MORE, b"")


# Who takes nothing.

def deaf(daemon, connect):
    """A client with much credit, which reads no more after a while."""
    session = connect(daemon=daemon)
    session.ask(["yes"], windows=(wire.WINDOW_MAX, 0))
    session.hello()
    session.expect(Type.STARTED)
    return session


def in_time(began, daemon, reason, slowness):
    """kill_grace and five seconds, at most."""
    daemon.wait_event("session-close", timeout=40)
    assert time.monotonic() - began < 6 * slowness
    assert daemon.events("command-end")[0]["reason"] == reason
    assert not daemon.leftovers()


@pytest.mark.parametrize("after", [0.1, 0.25, 0.5, 1])
def test_stop_with_a_deaf_client(make_aisd, connect, slowness, after):
    daemon = make_aisd(kill_grace=1)
    session = deaf(daemon, connect)
    time.sleep(after)           # Whatever queue is full then.
    began = time.monotonic()
    daemon.process.terminate()
    assert daemon.process.wait(40) == 0
    in_time(began, daemon, "stopping", slowness)
    session.close()


def test_time_limit_of_a_deaf_client(make_aisd, connect, slowness):
    daemon = make_aisd(kill_grace=1, time_limit=0.5, idle_timeout_waiting=0.2)
    session = deaf(daemon, connect)
    began = time.monotonic()
    daemon.wait_event("command-end", timeout=40)
    assert connect(daemon=daemon).run(["true"], timeout=40).status == 0
    in_time(began, daemon, "time-limit", slowness)
    session.close()


def test_revoked_deaf_client(make_aisd, connect, slowness):
    daemon = make_aisd(kill_grace=1)
    session = deaf(daemon, connect)
    time.sleep(0.5)
    daemon.configure(rules='{ peers = [ "bob" ]; anything = true; }')
    began = time.monotonic()
    daemon.reload()
    in_time(began, daemon, "no-rule", slowness)
    session.close()
