# SPDX-License-Identifier: ISC
"""aisd-each.socket: one daemon for each connection."""

import threading
import time

import pki
import pytest
import wire
from aisd import wait_until
from strangers import half_hello

# What systemd does with the service; test_service.py shows how it works.
pytestmark = pytest.mark.same("build")

AT_ONCE = 50


@pytest.fixture
def each(service):
    """The socket, open for as many connections as the test has."""
    service.drop_in("[Socket]\nMaxConnectionsPerSource=100",
                    unit="aisd-each.socket")
    service.configure()
    service.box.run("systemctl", "start", "aisd-each.socket")
    return service


def units(service):
    """The services of connections that systemd knows."""
    out = service.box.run("systemctl", "list-units", "--all", "--plain",
                          "--no-legend", "aisd-each@*.service").stdout
    return out.splitlines()


def wait_gone(service):
    service.wait(lambda: not units(service), "no unit is left")


def test_many_sessions_at_once(each):
    """Each has its own daemon, and all commands run at the same time."""
    together = threading.Barrier(AT_ONCE, timeout=60 * each.slowness)
    statuses = []

    def one():
        client = each.client(timeout=60.0 * each.slowness)
        number = client.ask(["sh", "-c", "echo begun; read x; exit 7"],
                            stdin=True, windows=(99, 99))
        client.hello()
        client.expect(wire.Type.STARTED)
        client.expect(wire.Type.STDOUT)
        together.wait()
        client.send(wire.Type.STDIN_EOF, number)
        statuses.append(client.follow(number).status)
        client.goodbye()
    threads = [threading.Thread(target=one) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [7] * AT_ONCE
    wait_gone(each)
    assert not each.processes()
    # No start of another daemon tells of the end of these.
    assert not any("daemon" in event for event in each.events())
    assert len(each.events("command-start")) == AT_ONCE
    ends = each.events("command-end", exit="7")
    assert len({end["session"] for end in ends}) == AT_ONCE
    assert {event["reason"] for event in each.events("session-close")} == \
        {"done"}


def test_strangers_leave_nothing(each):
    """Neither a unit that has failed nor a process."""
    with pytest.raises((OSError, wire.Cut)):
        with each.box.network():
            wire.Client(each.port, authority=each.pair.ca,
                        timeout=10.0 * each.slowness).hello()
    each.wait(lambda: each.events("handshake-failed"), "the record")
    wait_gone(each)
    assert each.run("true").status == 0


def test_handshake_is_short(each):
    """A stranger has half of the time that it has at a door of many."""
    each.configure(handshake_timeout=8)
    with each.box.network():
        raw = half_hello(each)
    began = time.monotonic()
    raw.settimeout(20 * each.slowness)
    assert raw.recv(1) == b""
    raw.close()
    assert 3 < time.monotonic() - began < 7 * each.slowness
    each.wait(lambda: each.events("handshake-failed",
                                  reason="the handshake took too long"),
              "the record")
    wait_gone(each)


def test_strangers_do_not_keep_others_out(each):
    """64 from four addresses, which stand still, while it starts for each."""
    with each.box.network():
        strangers = [half_hello(each, f"127.0.3.{i % 4 + 1}")
                     for i in range(64)]
    with each.box.network():
        client = wire.Client(each.port, *each.pair[:3],
                             timeout=60 * each.slowness)
    with client:
        assert client.run(["true"]).status == 0
    for raw in strangers:
        raw.close()
    each.wait(lambda: not units(each), "no unit is left", 60)


def test_what_a_session_leaves(each):
    """It goes with its session, and those of another session stay."""
    other = each.client()
    assert other.run(["sh", "-c", "setsid sleep 600 >/dev/null 2>&1 & "
                      "echo"]).status == 0
    assert each.run("sh", "-c", "setsid sleep 600 >/dev/null 2>&1 & "
                    "echo").status == 0
    each.wait(lambda: len(each.processes()) == 1, "one is left")
    assert other.run(["true"]).status == 0
    other.goodbye()
    wait_gone(each)
    assert not each.processes()


LEAVE = ["sh", "-c", "setsid sleep 600 >/dev/null 2>&1 & echo"]


def test_what_may_stay(each):
    """It outlives its session, and can be ended all the same."""
    each.configure(rules='{ peers = [ "*" ]; anything = true; '
                   'background = "keep"; }')
    assert each.run(*LEAVE).status == 0
    assert each.run("true").status == 0
    each.wait(lambda: len(each.events("session-close")) == 2, "their end")

    def settled():
        return [line.split()[0] for line in units(each)
                if line.split()[2] == "inactive"]
    name, = each.wait(lambda: len(units(each)) == 1 and settled(),
                      "one unit, which is over")
    assert len(each.processes()) == 1
    each.box.run("systemctl", "kill", name)
    wait_gone(each)
    assert not each.processes()


def segments(text):
    """The numbers of the segments that "ipcs -m" lists."""
    return [line.split()[1] for line in text.splitlines()
            if line.startswith("0x")]


def test_shared_memory_ends_with_its_session(each):
    """Neither the next session nor the rest of the machine sees it."""
    session = each.client()
    assert session.run(["ipcmk", "-M", "4096"]).status == 0
    assert segments(session.run(["ipcs", "-m"]).stdout.decode())
    assert not segments(each.run("ipcs", "-m").stdout.decode())
    assert not segments(each.box.run("ipcs", "-m").stdout)


def test_a_daemon_that_is_killed(each):
    """Nothing of it stays, whatever its rule lets stay."""
    each.configure(rules='{ peers = [ "*" ]; anything = true; '
                   'background = "keep"; }')
    client = each.client()
    assert client.run(LEAVE).status == 0
    client.ask(["sh", "-c", "sleep 600; :"])
    client.expect(wire.Type.STARTED)
    each.wait(lambda: len(each.processes()) == 3, "all that runs")
    each.box.run("systemctl", "kill", "--signal=KILL", "--kill-who=main",
                 "aisd-each@*.service")
    wait_gone(each)
    assert not each.processes()


def test_stop_of_one(each):
    """systemctl stop: its client hears why, and it is on record."""
    client = each.client()
    number = client.ask(["sleep", "60"])
    client.hello()
    client.expect(wire.Type.STARTED)
    each.box.run("systemctl", "stop", "aisd-each@*.service")
    assert client.follow(number).exit.reason == wire.Code.STOPPING
    wait_gone(each)
    assert each.events("stop") and not each.events("start")
    end, = each.events("command-end")
    assert end["reason"] == "stopping"


def test_limit_of_connections(each):
    each.drop_in("[Socket]\nMaxConnections=2", name="two",
                 unit="aisd-each.socket")
    each.box.run("systemctl", "restart", "aisd-each.socket")
    first, second = each.client(), each.client()
    assert first.run(["true"]).status == second.run(["true"]).status == 0
    with pytest.raises((OSError, wire.Cut)):
        each.client().hello()
    first.goodbye()

    def served():
        try:
            return each.run("true").status == 0
        except (OSError, wire.Closed, wire.Cut):
            time.sleep(0.1)
            return False
    wait_until(served, "there is room again", 20 * each.slowness)


def test_overdue_list(each, authority, tmp_path):
    """One of another authority keeps nobody from his connection; one of the
    client's own does."""
    lists, path = "/etc/aisd/crl.d", tmp_path / "list.pem"
    other = pki.root(str(tmp_path / "other"), "Other")
    each.box.run("mkdir", "-p", lists)
    try:
        for name, signer, end in (("good", authority, 900),
                                  ("other", other, -5)):
            pki.revocations(signer, path, end=end)
            each.box.path(f"{lists}/{name}.pem").write_text(path.read_text())
        each.configure(crl=lists)
        assert each.run("true").status == 0
        pki.revocations(authority, path, end=-5)
        each.box.path(f"{lists}/good.pem").write_text(path.read_text())
        with pytest.raises((wire.Cut, wire.Closed, OSError)):
            each.run("true")
        event, = each.wait(lambda: each.events("handshake-failed"),
                           "the record")
        assert "CRL has expired" in event["reason"]
    finally:
        each.box.run("rm", "-r", lists)
    wait_gone(each)
