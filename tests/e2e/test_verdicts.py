# SPDX-License-Identifier: ISC
"""Verdicts that age: what cannot be used now is tried again until it can."""

import errno
import os
import re
import resource
import signal
import socket
import subprocess
import time

import pytest

import pki
import wire
from aisd import Daemon, wait_until
from faults import Faults
from machine import SANITIZERS
from test_identity import (                                 # noqa: F401
    client, crl, farewell, move, number, root, server, serves, sleep_in)

# How far ahead of the clock a date is, in seconds.
AHEAD = 3


@pytest.fixture
def session(client):
    """A function that begins a command of alice; it is closed afterwards."""
    sessions = []

    def begin(daemon):
        sessions.append(wire.Client(daemon.port, *client[:3]))
        sleep_in(sessions[-1])
        return sessions[-1]
    yield begin
    for one in sessions:
        one.close()


class Manager:
    """The service manager's end of the notification socket."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.setblocking(False)
        self.status = ""

    def wait_status(self, text, slowness=1):
        def said():
            try:
                while True:
                    for line in self.socket.recv(4096).decode().splitlines():
                        if line.startswith("STATUS="):
                            self.status = line[7:]
            except BlockingIOError:
                return text in self.status and self.status
        try:
            return wait_until(said, text, 10 * slowness)
        except AssertionError as e:
            raise AssertionError(f"{e}; it is {self.status!r}") from e


class NoFaults:
    """Where sanitizers stand in the place of faults."""

    def environment(self):
        return dict(os.environ)

    def disarm(self):
        pass

    def __getattr__(self, name):
        pytest.skip("faults are not for sanitizers")


@pytest.fixture
def faulty(builddir, program, tmp_path, slowness):
    """A function that starts an aisd whose calls can fail, and whose status
    is told to "manager"."""
    daemons = []

    def start(pair, start=True, **keys):
        directory = tmp_path / f"faulty{len(daemons)}"
        directory.mkdir()
        faults = NoFaults() if SANITIZERS else Faults(builddir, directory)
        manager = Manager(directory / "notify")
        daemon = Daemon(program("aisd"), directory, pair, slowness=slowness,
                        env={**faults.environment(),
                             "NOTIFY_SOCKET": str(directory / "notify")},
                        **{"watch_interval": 0.2, "kill_grace": 0.3, **keys})
        daemon.faults, daemon.manager = faults, manager
        daemons.append(daemon)
        return daemon.start() if start else daemon
    yield start
    try:
        for daemon in daemons:
            daemon.faults.disarm()
            daemon.stop()
    finally:
        for daemon in daemons:
            daemon.kill()


def shown(daemon, client):
    """The serial number of the certificate that the daemon shows."""
    tls = wire.context(False, *client[:3])
    with socket.create_connection(("127.0.0.1", daemon.port)) as raw:
        with tls.wrap_socket(raw, server_hostname="localhost") as s:
            return int(s.getpeercert()["serialNumber"], 16)


def results(daemon):
    return [event["result"] for event in daemon.events("reload")]


def errors(daemon):
    return [event["msg"] for event in daemon.events()
            if event["level"] == "error" and event["event"] != "reload"]


# At the moment when it becomes valid.

def test_list_ahead(faulty, root, server, client, crl, session, slowness):
    """The revoked client is served until the list begins, and no longer."""
    daemon = faulty(server, crl=crl)
    one = session(daemon)
    begins = time.time() + AHEAD
    pki.revocations(root, f"{crl}.new", [number(client)], start=AHEAD)
    os.rename(f"{crl}.new", crl)
    daemon.wait_event("reload", result="failed")
    status = daemon.manager.wait_status("not used since")
    assert "the renewed certificate files" in status
    assert "not valid before" in status
    assert "has been revoked" in farewell(one, 10 + AHEAD).text
    late = time.time() - begins
    assert -1 < late < 2 * slowness
    # One record when it began, and one when it was over.
    assert results(daemon) == ["failed", "done"]
    assert len(errors(daemon)) == 1
    assert f"{crl}" not in daemon.manager.wait_status("idle")
    assert "not used" not in daemon.manager.wait_status("idle since")


def test_certificate_ahead(faulty, root, server, client, tmp_path, slowness):
    """The old certificate is shown until the new one is valid."""
    for name in ("cert", "key"):
        move(getattr(server, name), tmp_path / f"live.{name}")
    pair = server._replace(cert=tmp_path / "live.cert",
                           key=tmp_path / "live.key")
    daemon = faulty(pair)
    new = root.make("localhost", "server", start=AHEAD)
    move(new.cert, pair.cert)
    move(new.key, pair.key)
    daemon.wait_event("reload", result="failed")
    assert shown(daemon, client) == number(server)
    assert "is not valid before" in \
        daemon.manager.wait_status("not used since")
    daemon.wait_event("reload", result="done", timeout=10 + AHEAD)
    assert shown(daemon, client) == number(new)
    assert results(daemon)[-1] == "done"


def test_next_list_in_place_early(make_aisd, root, server, client, session,
                                  tmp_path):
    """Of two lists the one that has begun is used, and the next one from its
    second on, without anybody's doing."""
    lists = tmp_path / "lists"
    lists.mkdir()
    pki.revocations(root, lists / "now.pem")
    pki.revocations(root, lists / "next.pem", [number(client)], start=AHEAD)
    daemon = make_aisd(pair=server, crl=lists, watch_interval=0)
    one = session(daemon)
    assert "has been revoked" in farewell(one, 10 + AHEAD).text
    assert not serves(daemon, client)
    assert not daemon.events("reload")


# After what passes by itself.

FAILURES = {
    "descriptors": ("open", errno.EMFILE),
    "disk": ("read", errno.EIO),
    "memory": ("memory", errno.ENOMEM),
}


@pytest.mark.parametrize("name", FAILURES)
def test_passing_failure(faulty, root, server, client, crl, session, name):
    """A list that could not be read is read when it can be."""
    daemon = faulty(server, crl=crl)
    one = session(daemon)
    pki.revocations(root, f"{crl}.new", [number(client)])
    with daemon.faults.armed(*FAILURES[name], times=-1):
        os.rename(f"{crl}.new", crl)
        daemon.wait_event("reload", result="failed")
    assert "has been revoked" in farewell(one).text
    assert results(daemon) == ["failed", "done"]
    assert len(errors(daemon)) == 1


def first_free(pid):
    """The number that the next descriptor gets."""
    try:
        used = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
    except PermissionError:
        pytest.skip("only root sees the descriptors of aisd")
    return next(n for n in range(len(used) + 1) if n not in used)


def test_no_descriptor_left(make_aisd, root, server, client, crl, session):
    """The same by the kernel's own limit."""
    daemon = make_aisd(pair=server, crl=crl, watch_interval=0.2)
    one = session(daemon)
    pki.revocations(root, f"{crl}.new", [number(client)])
    before = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE,
                     (first_free(daemon.pid), before[1]))
    os.rename(f"{crl}.new", crl)
    daemon.wait_event("reload", result="failed")
    assert "Too many open files" in errors(daemon)[0]
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, before)
    assert "has been revoked" in farewell(one).text


def test_half_a_file(faulty, root, server, client, crl, session):
    """A list that is written slowly is used when it is whole."""
    daemon = faulty(server, crl=crl)
    one = session(daemon)
    with open(pki.revocations(root, f"{crl}.new", [number(client)]),
              encoding="ascii") as file:
        text = file.read()
    with open(crl, "w", encoding="ascii") as file:
        file.write(text[:len(text) // 2])
        file.flush()
        daemon.wait_event("reload", result="failed")
        file.write(text[len(text) // 2:])
    assert "has been revoked" in farewell(one).text
    assert results(daemon) == ["failed", "done"]


def test_told_once(faulty, root, server, client, crl):
    """However often it is tried."""
    daemon = faulty(server, crl=crl)
    stranger = pki.root(os.path.dirname(crl) + "/other", "Root")
    seen = daemon.faults.count("open")[0]
    pki.revocations(stranger, f"{crl}.new")
    os.rename(f"{crl}.new", crl)
    daemon.wait_event("reload", result="failed")
    # A try opens certificate, key, authority and list.
    wait_until(lambda: daemon.faults.count("open")[0] >= seen + 3 * 4,
               "the third try", 20)
    assert results(daemon) == ["failed"]
    assert len(errors(daemon)) == 1
    assert serves(daemon, client)
    # Another bad file is other news.
    pki.revocations(stranger, f"{crl}.new", [1])
    os.rename(f"{crl}.new", crl)
    daemon.wait_event("reload", 2, result="failed")
    pki.revocations(root, f"{crl}.new")
    os.rename(f"{crl}.new", crl)
    daemon.wait_event("reload", result="done")
    assert results(daemon) == ["failed", "failed", "done"]


# A reload that somebody has asked for.

def test_reload_is_done_later(faulty, root, server, client, crl, session):
    """Where nobody looks at the files too."""
    daemon = faulty(server, crl=crl, watch_interval=0)
    one = session(daemon)
    daemon.configure(max_waiting=7, idle_timeout=77)
    pki.revocations(root, crl, [number(client)], start=AHEAD)
    daemon.reload("failed")
    assert "not valid before" in \
        daemon.manager.wait_status("a reload has not been done since")
    assert "has been revoked" in farewell(one, 10 + AHEAD).text
    event = daemon.wait_event("reload", result="done")
    assert {"crl", "idle_timeout"} <= set(event["changed"].split(","))
    assert results(daemon) == ["failed", "done"]
    # What a reload has to say is not lost.
    assert [e["msg"] for e in daemon.events() if "max_waiting" in e["msg"]]


def test_reload_without_a_descriptor(faulty, server, client):
    """The configuration itself cannot be read for a while."""
    daemon = faulty(server, watch_interval=0)
    daemon.configure(idle_timeout=77)
    with daemon.faults.armed("fopen", errno.EMFILE, times=-1):
        daemon.reload("failed")
        assert "Too many open files" in \
            daemon.manager.wait_status("a reload has not been done since")
    event = daemon.wait_event("reload", result="done")
    assert event["changed"] == "idle_timeout"
    assert results(daemon) == ["failed", "done"]


def test_reload_that_only_people_can_mend(faulty, server):
    """It is not tried again."""
    daemon = faulty(server, watch_interval=0)
    good = daemon.conf.read_text()
    daemon.conf.write_text(good + "listn = 5;\n")
    daemon.reload("failed")
    daemon.conf.write_text(good)
    assert "reload" not in daemon.manager.wait_status("idle")
    seen = daemon.faults.count("fopen")[0]
    time.sleep(1.5)             # This long nothing is to happen.
    assert daemon.faults.count("fopen")[0] == seen
    assert results(daemon) == ["failed"]


def test_failed_reload_hides_no_file(faulty, root, server, client, crl,
                                     session):
    """A list that was renewed before a reload that failed for another reason
    is found all the same."""
    daemon = faulty(server, crl=crl, watch_interval=0.5)
    one = session(daemon)
    good = daemon.conf.read_text()
    daemon.conf.write_text(good + "listn = 5;\n")
    pki.revocations(root, f"{crl}.new", [number(client)])
    os.rename(f"{crl}.new", crl)
    daemon.process.send_signal(signal.SIGHUP)
    assert "has been revoked" in farewell(one).text
    assert sorted(results(daemon)) == ["done", "failed"]


# At the start.

TEMPORARY = 75
DAY = 86400
CONFIGURATION = 6


def ends_with(daemon, *options):
    """The status of an aisd that does not serve, and what it says."""
    done = subprocess.run([*daemon.words, *options, "-c", daemon.conf],
                          env=daemon.env, capture_output=True, text=True,
                          timeout=30)
    return done.returncode, done.stderr


def keys_for(what, directory, root, server):
    """What keeps aisd from starting: keys of its configuration."""
    certificate, made = None, directory / "made"
    if what in ("certificate ahead", "certificate expired"):
        certificate = root.make(
            "localhost", "server", **({"start": 60} if "ahead" in what else
                                      {"start": -60, "end": -30}))
    elif what == "intermediate ahead":
        # Its own date is good.
        certificate = root.intermediate("Branch", start=60).make(
            "localhost", "server")
    elif what in ("list ahead", "list overdue"):
        return {"crl": pki.revocations(
            root, made, **({"start": 60} if "ahead" in what else
                           {"end": -5}))}
    elif what == "another key":
        return {"key": root.make("localhost", "server").key}
    elif what == "no subjectAltName":
        certificate = root.make("localhost", "server", sans=())
    elif what == "log is a link":
        made.symlink_to(directory / "target")
        return {"log_file": made}
    if certificate:
        return {"certificate": certificate.cert, "key": certificate.key}
    return {
        "certificate missing": {"certificate": made},
        "list missing": {"crl": made},
        "user unknown": {"unprivileged": None, "user": "no-such-user"},
        "log directory missing": {"log_file": made / "server.log"},
        "address not ours": {"listen": ["192.0.2.77:4773"]},
        "addresses that overlap": {"listen": ["*:47", "127.0.0.1:47"]},
        "addresses in other words": {"listen": ["localhost:48", "0.0.0.0:48"]},
        "log is nothing": {"log_file": "/dev/null"},
        "unknown key": {"listn": 5},
    }[what]


@pytest.mark.parametrize("what, status", [
    ("certificate ahead", TEMPORARY),
    ("certificate expired", TEMPORARY),
    ("certificate missing", TEMPORARY),
    ("intermediate ahead", TEMPORARY),
    ("list ahead", TEMPORARY),
    ("list overdue", TEMPORARY),
    ("list missing", TEMPORARY),
    ("user unknown", TEMPORARY),
    ("log directory missing", TEMPORARY),
    ("address not ours", TEMPORARY),
    ("another key", CONFIGURATION),
    ("log is a link", CONFIGURATION),
    ("log is nothing", CONFIGURATION),
    ("unknown key", CONFIGURATION),
    ("addresses that overlap", CONFIGURATION),
    ("addresses in other words", CONFIGURATION),
    ("no subjectAltName", CONFIGURATION),
])
def test_start(make_aisd, root, server, tmp_path, what, status):
    """What may pass is told from what only people can mend, by the start and
    by -t alike."""
    daemon = make_aisd(pair=server, start=False,
                       **keys_for(what, tmp_path, root, server))
    assert ends_with(daemon)[0] == status
    checked, said = ends_with(daemon, "-t")
    assert checked == status and said
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize("call, error, says", [
    ("fopen", errno.EMFILE, "cannot read the configuration"),
    ("read", errno.EIO, "cannot read the certificate"),
])
def test_start_that_a_call_prevents(faulty, server, call, error, says):
    daemon = faulty(server, start=False)
    assert ends_with(daemon, "-V")[0] == 0      # Now the calls are known.
    for option in (), ("-t",):
        with daemon.faults.armed(call, error, times=-1):
            status, said = ends_with(daemon, *option)
        assert status == TEMPORARY and says in said


def test_port_in_use(make_aisd, server):
    """It may be free soon; -t cannot tell whose it is."""
    first = make_aisd(pair=server)
    second = make_aisd(pair=server, start=False,
                       listen=[f"127.0.0.1:{first.port}"])
    status, said = ends_with(second)
    assert status == TEMPORARY and "Address already in use" in said
    assert ends_with(second, "-t")[0] in (0, 3)


def test_port_that_is_part_of_another(make_aisd, server):
    """Each address counts as what it means; a port that is free is another."""
    daemon = make_aisd(pair=server, start=False, listen=["127.0.0.1:99", ":99"])
    for options in ["-t"], ["-t", "-p", "98"]:
        status, said = ends_with(daemon, *options)
        assert status == CONFIGURATION
        assert re.search(r"aisd\.conf:\d+: listen: \"127.0.0.1:99\" is "
                         r"part of \":99\"; remove one of the two$", said, re.M), said
    assert "is part of" not in ends_with(daemon, "-t", "-p", "0")[1]


def test_address_in_two_ways(make_aisd, server):
    """It is listened on once."""
    daemon = make_aisd(pair=server)
    daemon.stop()
    daemon.configure(listen=[f"localhost:{daemon.port}",
                             f"127.0.0.1:{daemon.port}"])
    assert ends_with(daemon, "-t")[0] in (0, 3)
    daemon.start()


def test_check_of_a_reload(make_aisd, server, tmp_path):
    """What a start alone needs keeps nobody from a reload."""
    for keys in ({"listen": ["192.0.2.77:4773"]},
                 {"log_file": tmp_path / "none" / "server.log"}):
        daemon = make_aisd(pair=server, start=False, **keys)
        assert ends_with(daemon, "-t", "-q")[0] == 0


def test_check_says_all_at_once(make_aisd, root, server, tmp_path):
    """Each with the place of its key, and what to do; a certificate that is no
    good hides neither address nor log."""
    other = root.make("localhost", "server")
    daemon = make_aisd(pair=server, start=False, key=other.key,
                       listen=["192.0.2.77:4773", "192.0.2.78:4773",
                               "127.0.0.1:99", "0.0.0.0:99"],
                       log_file=tmp_path / "none" / "server.log")
    status, said = ends_with(daemon, "-t")
    assert status == CONFIGURATION
    conf = daemon.conf.read_text().splitlines()

    def line(key):
        return 1 + next(i for i, text in enumerate(conf)
                        if text.startswith(f"{key} ="))
    for key, text in (
            ("listen", "192.0.2.77 port 4773: Cannot assign"),
            ("listen", "192.0.2.78 port 4773: Cannot assign"),
            ("listen", '"127.0.0.1:99" is part of "0.0.0.0:99"'),
            ("key", "does not belong to the certificate"),
            ("log_file", "No such file or directory; make its directory")):
        assert re.search(f"^aisd: {re.escape(str(daemon.conf))}:{line(key)}: "
                         f"{key}: .*{re.escape(text)}", said, re.M), said


def test_check_beside_a_daemon(make_aisd, connect):
    """It finds its own address in use, and the daemon does not notice."""
    daemon = make_aisd()
    daemon.configure(listen=[f"127.0.0.1:{daemon.port}"])
    session = connect(daemon=daemon)
    for _ in range(3):
        assert ends_with(daemon, "-t")[0] in (0, 3)
    assert session.run(["true"]).status == 0
    session.close()
    assert connect(daemon=daemon).run(["true"]).status == 0


def test_warnings_of_a_reload(make_aisd, root, server):
    """A reload says what -t says, in the same words."""
    soon = root.make("localhost", "server", start=-80 * DAY, end=5 * DAY)
    daemon = make_aisd(pair=server)
    daemon.configure(
        certificate=soon.cert, key=soon.key,
        rules='{ name = "l"; peers = [ "*" ];\nlearn_until = "2099-12-31"; }, '
              '{ name = "dead"; peers = [ "x" ]; '
              'commands = ( "/no/such/program" ); }')
    status, said = ends_with(daemon, "-t")
    # That commands run as root here is no matter of the configuration.
    told = [line for line in re.findall(r"^aisd: warning: (.*)", said, re.M)
            if '"unprivileged" is set' not in line]
    assert status == 3 and len(told) == 4
    for text, word in zip(told, ("the certificate expires in [45] days",
                                 '"l" learns until', "cannot be found: .*; install it",
                                 "never reached")):
        assert re.match(rf"{re.escape(str(daemon.conf))}:\d+: .*{word}", text)
    daemon.reload()
    logged = [event["msg"] for event in daemon.events("message")
              if event["level"] == "warning"]
    assert [text for text in logged if text in told] == told


def test_check_makes_no_log(make_aisd, server):
    daemon = make_aisd(pair=server, start=False)
    assert ends_with(daemon, "-t")[0] in (0, 3)
    assert not daemon.log.exists()
