# SPDX-License-Identifier: ISC
"""systemctl: start, status, reload, stop, restart, watchdog, sockets."""

import pathlib
import re
import signal
import threading
import time

import pki
import pytest
import wire
from aisd import wait_until

IDLE = re.compile(r"idle since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$")
ALICE_ONLY = '{ name = "some"; peers = [ "alice" ]; ' \
    'commands = [ "/bin/true" ]; }'


class Running:
    """A command that runs in a session of its own; result() waits for it."""

    def __init__(self, service, line):
        self.client = service.client()
        self.result = None
        self.error = None
        self.thread = threading.Thread(target=self._run, args=(line,))
        self.thread.start()

    def _run(self, line):
        try:
            self.result = self.client.shell(line, timeout=60)
            self.client.until_end()
        except Exception as e:
            self.error = e
        finally:
            self.client.close()     # The server waits for that a moment.

    def join(self):
        self.thread.join(60)
        assert not self.thread.is_alive()
        return self.result


def begin(service, line, mark):
    """Start a command that makes the file "mark" when it is ready."""
    running = Running(service, line)
    path = service.box.path(f"/var/lib/aisd-run/{mark}")

    def ready():
        assert running.error is None and running.result is None, \
            (running.error, running.result)
        return path.exists()
    service.wait(ready, "the command runs")
    return running


def test_boot(box, record_property):
    """The users and directories are there after a boot."""
    record_property("seconds to boot", round(box.took, 2))
    said = box.run("getent", "passwd", "aisd", "aisd-run").stdout
    assert [line.split(":")[5:] for line in said.splitlines()] == [
        ["/", "/usr/sbin/nologin"],
        ["/var/lib/aisd-run", "/usr/sbin/nologin"]]
    said = box.run("stat", "-c", "%U:%G %a", "/var/log/aisd",
                   "/var/lib/aisd-run").stdout.split("\n")
    assert said[:2] == ["aisd:adm 2750", "aisd-run:aisd-run 700"]


def test_start(service):
    """It is active when it serves, and says what it does."""
    service.start()
    assert service.show("ActiveState", "SubState", "NRestarts") == \
        ["active", "running", "0"]
    assert IDLE.match(service.show("StatusText"))
    assert service.run("true").status == 0
    assert service.run("id", "-un").stdout == b"aisd-run\n"
    assert service.run("pwd").stdout == b"/var/lib/aisd-run\n"
    service.stop()


def test_status(service):
    """The status says who is served, with what, and for how long."""
    service.start()
    client = service.client()
    client.hello()
    client.send_raw(wire.request_frames(client.next_number(), wire.body(
        wire.Operation.RUN, ["sleep", "1000"])))
    service.wait_status(
        lambda text: re.match(r"serving alice from 127\.0\.0\.1.*: sleep "
                              r"\(\d+ s\)$", text),
        "serving alice")
    # The time goes on without anything else to do.
    service.wait_status(lambda text: re.search(r"\([1-9]\d* s\)$", text),
                        "the seconds go on")
    client.signal("TERM")
    assert client.follow(client.number).signal == signal.SIGTERM
    service.wait_status(lambda text: re.match(
        r"serving alice from 127\.0\.0\.1.*: idle$", text), "alice idles")
    client.goodbye()
    service.wait_status(IDLE.match, "idle")


def test_reload(service):
    """A new rule is in force when it has been read, in a session that goes
    on."""
    service.start()
    pid = service.pid
    client = service.client()
    assert client.run(["false"]).status == 1
    service.configure(ALICE_ONLY)
    service.systemctl("reload")
    service.wait(lambda: service.events("reload", result="done"), "a reload")
    assert client.run(["true"]).status == 0
    assert client.run(["false"]).refused.code == wire.Code.DENIED
    assert service.pid == pid
    assert service.show("ActiveState") == "active"


@pytest.mark.parametrize("text, said", [
    ("listn = 5;", "listn"),
    ("log_level = \"loud\";", "log_level"),
    ("rules = (", "aisd.conf:"),
], ids=["unknown", "value", "syntax"])
def test_bad_reload(service, text, said):
    """A configuration that is no good fails the reload, with the reason, and
    the old one stays in force."""
    service.start()
    service.box.path(service.config).write_text(text + "\n")
    assert service.systemctl("reload", check=False).returncode != 0
    assert service.show("ActiveState") == "active"
    service.wait_said(said)
    assert service.events("reload") == []
    assert service.run("true").status == 0


@pytest.mark.parametrize("what", ["key", "configuration"])
def test_reload_unreadable(service, what):
    """What root can read and aisd cannot fails the reload as well."""
    service.start()
    if what == "key":
        service.key_mode("root:root", "0600")
        said = "the key /etc/aisd/server.key cannot be read by the user " \
            "aisd; run: chown root:aisd /etc/aisd/server.key && " \
            "chmod 0640 /etc/aisd/server.key"
    else:
        service.box.run("chown", "root:root", service.config)
        said = service.config
    assert service.systemctl("reload", check=False).returncode != 0
    service.wait_said(said)
    assert service.run("true").status == 0


def test_reload_beside_an_overdue_list(service, authority, tmp_path):
    """A start would fail, but the new list beside it has to be in force: else
    who is on that would still be served."""
    box, lists = service.box, "/etc/aisd/crl.d"
    other = pki.root(str(tmp_path / "other"), "Other")
    box.run("mkdir", "-p", lists)
    try:
        good = pki.revocations(authority, tmp_path / "good.pem")
        box.path(f"{lists}/good.pem").write_text(good.read_text())
        service.configure(crl=lists, watch_interval=0)
        service.start()
        assert service.run("true").status == 0
        pki.revocations(other, good, end=-5)
        box.path(f"{lists}/other.pem").write_text(good.read_text())
        pki.revocations(authority, good, [int(service.pair.serial, 16)],
                        start=-200)
        box.path(f"{lists}/good.pem").write_text(good.read_text())
        service.systemctl("reload")
        service.wait(lambda: service.events("reload", result="done"),
                     "a reload")
        service.wait(lambda: service.events("expiry", level="error"),
                     "word of the overdue list")
        with pytest.raises((wire.Cut, wire.Closed, OSError)):
            service.run("true")
    finally:
        box.run("rm", "-r", lists)


def test_stop(service):
    """The command gets TERM, the client is told, and all is over."""
    service.start()
    running = begin(service, "trap 'echo term; exit 3' TERM; >ready; "
                    "sleep 1000 & wait; wait", "ready")
    began = time.monotonic()
    service.stop()
    took = time.monotonic() - began
    result = running.join()
    assert result is not None, running.error
    assert result.stdout == b"term\n"
    assert (result.exit.end, result.exit.status, result.exit.reason) == \
        (wire.End.EXIT, 3, wire.Code.STOPPING)
    assert service.processes() == []
    assert took < 3 * service.slowness
    end, = service.events("command-end")
    assert (end["reason"], end["exit"]) == ("stopping", "3")
    assert service.events()[-1]["event"] in ("session-close", "stop")


def test_stop_deaf(service, record_property):
    """A command that ignores TERM is killed after the grace."""
    service.configure(kill_grace=1)
    service.start()
    running = begin(service, "trap '' TERM HUP INT; >ready; "
                    "while :; do sleep 1000; done", "ready")
    began = time.monotonic()
    service.stop()
    took = time.monotonic() - began
    record_property("seconds to stop, 1 of them grace", round(took, 2))
    result = running.join()
    assert (result.signal, result.exit.reason) == \
        (signal.SIGKILL, wire.Code.STOPPING)
    assert 1 <= took < 1 + 1.5 * service.slowness
    assert service.processes() == []


def test_shared_memory(service):
    """What commands leave of it is the unit's alone, and goes with it."""
    made = "ipcmk -M 4096 >&2 && ipcs -m | grep -c ^0x"
    service.start()
    assert service.run("sh", "-c", made).stdout == b"1\n"
    assert service.run("sh", "-c", made).stdout == b"2\n"
    assert "\n0x" not in service.box.run("ipcs", "-m").stdout
    service.systemctl("restart")
    assert service.run("sh", "-c", made).stdout == b"1\n"


def test_killed(service):
    """A daemon that was killed is there again, and its command is not."""
    service.start()
    before = service.pid
    running = begin(service, "(sleep 1000; :) & >ready; wait; :", "ready")
    service.signal(signal.SIGKILL)
    service.wait_restart(before)
    assert running.join() is None
    assert isinstance(running.error, (wire.Closed, wire.Cut, OSError)), \
        running.error
    assert service.show("NRestarts") == "1"
    service.wait(lambda: service.processes() == [], "no command is left")
    # Both say that they are in one place: so the report knows of the end.
    lost, = {event["daemon"] for event in service.events("command-start")}
    assert [event["daemon"] for event in service.events("start")] == [lost] * 2
    assert service.run("true").status == 0


@pytest.mark.parametrize("end", ["limit", "stop"])
def test_invisible(service, end):
    """Where the unit hides the processes of others, all ends work."""
    service.drop_in("[Service]\nProtectProc=invisible\nProcSubset=pid")
    service.configure(
        rules='{ name = "all"; peers = [ "*" ]; shell = true; %s }' %
        ("time_limit = 1;" if end == "limit" else ""), kill_grace=1)
    service.start()
    tree = "setsid sleep 600 & (trap '' TERM; sleep 601) & >ready; sleep 602"
    began = time.monotonic()
    if end == "stop":
        running = begin(service, tree, "ready")
        service.stop()
        running.join()
    else:
        client = service.client()
        assert client.shell(tree).exit.reason == wire.Code.TIMEOUT
        client.goodbye()
    assert time.monotonic() - began < 5 * service.slowness
    service.wait(lambda: service.events("session-close"), "its end")
    assert service.processes() == []
    assert not [e for e in service.events("message") if e["level"] == "error"]
    if end == "limit":
        assert service.client().shell("true").status == 0


def test_watchdog(service):
    """A daemon that hangs is replaced."""
    service.drop_in("[Service]\nWatchdogSec=1")
    service.start()
    before = service.pid
    service.signal(signal.SIGSTOP)
    service.wait_restart(before)
    assert service.run("true").status == 0
    assert any("watchdog" in record["MESSAGE"].lower() for record in
               service.journal("_PID=1", f"UNIT={service.unit}"))


def test_watchdog_is_fed(service):
    """A command that takes its time, or fills its output, is no hang."""
    service.drop_in("[Service]\nWatchdogSec=1")
    service.start()
    pid = service.pid
    assert service.run("sleep", "2.5").status == 0
    assert service.run("sh", "-c", "timeout 2.5 yes; :").status == 0
    assert (service.pid, service.show("NRestarts")) == (pid, "0")


def test_no_restart(service):
    """What does not become right by trying again is not tried again."""
    service.configure(log_level="loud")
    assert service.systemctl("start", check=False).returncode != 0
    assert service.show("ExecMainStatus", "NRestarts", "ActiveState") == \
        ["6", "0", "failed"]
    service.wait_said("log_level")


def test_socket(service):
    """systemd listens, and the first client starts the daemon."""
    box = service.box
    service.configure(listen=["127.0.0.1:1"])
    box.run("systemctl", "start", "aisd.socket")
    assert service.show("ActiveState") == "inactive"
    assert service.run("true").status == 0
    assert service.show("ActiveState") == "active"
    with box.network():
        v6 = wire.Client(service.port, *service.pair[:3], host="::1")
    assert v6.run(["true"]).status == 0
    v6.goodbye()
    # Stopped, it comes again with the next client.
    before = service.pid
    service.stop()
    assert service.run("true").status == 0
    assert service.pid not in (0, before)
    # The daemon has closed nothing that is systemd's.
    assert box.run("systemctl", "is-active", "aisd.socket").stdout == \
        "active\n"


def test_instance(service, sysconfdir):
    """A second instance has a port, rules and a user for its commands."""
    box = service.box
    service.start()
    config = f"{sysconfdir}/aisd/two.conf"
    box.path(config).write_text(
        'listen = [ "127.0.0.1:4774" ]; command_user = "daemon"; '
        'log_file = "/var/log/aisd/two.log"; directory = "/"; '
        'rules = ( { name = "id"; peers = [ "alice" ]; '
        'commands = [ "/usr/bin/id" ]; } );\n')
    box.run("systemctl", "start", "aisd@two")
    try:
        client = service.client(port=4774)
        assert client.run(["id", "-un"]).stdout == b"daemon\n"
        assert client.run(["true"]).refused
        client.goodbye()
        assert service.run("id", "-un").stdout == b"aisd-run\n"
        box.run("systemctl", "reload", "aisd@two")
        log = box.path("/var/log/aisd/two.log")
        wait_until(lambda: 'result=done' in log.read_text(), "a reload")
    finally:
        box.run("systemctl", "stop", "aisd@two")
        box.path(config).unlink()


def test_memory(service, measurable, record_property):
    """Idle, it stays below 8 MiB."""
    service.start()
    assert service.run("true").status == 0
    status = service.box.path(f"/proc/{service.pid}/status").read_text()
    rss = int(re.search(r"VmRSS:\s*(\d+)", status)[1])
    record_property("KiB of resident memory, idle", rss)
    assert rss < 8192


@pytest.mark.parametrize("owner, mode, said", [
    ("root:aisd", "0644",
     "the key /etc/aisd/server.key is open to every user; "
     "run: chmod o= /etc/aisd/server.key"),
    ("root:aisd-run", "0640",
     "the key /etc/aisd/server.key cannot be read by the user aisd; "
     "run: chown root:aisd /etc/aisd/server.key && "
     "chmod 0640 /etc/aisd/server.key"),
    ("aisd:aisd-run", "0640",
     "the key /etc/aisd/server.key is open to the command user aisd-run; "
     "run: chown root:aisd /etc/aisd/server.key && "
     "chmod 0640 /etc/aisd/server.key"),
    ("aisd-run:aisd", "0640",
     "the key /etc/aisd/server.key is open to the command user aisd-run; "
     "run: chown root:aisd /etc/aisd/server.key && "
     "chmod 0640 /etc/aisd/server.key"),
    ("root:root", "0600",
     "the key /etc/aisd/server.key cannot be read by the user aisd; "
     "run: chown root:aisd /etc/aisd/server.key && "
     "chmod 0640 /etc/aisd/server.key"),
], ids=["others", "their-group", "shared-group", "their-own", "root-only"])
def test_key_mode(service, owner, mode, said):
    """A key that commands could read, or the daemon cannot, is refused."""
    service.key_mode(owner, mode)
    assert service.systemctl("start", check=False).returncode != 0
    assert service.show("ExecMainStatus") == "6"
    service.wait_said(f": key: {said}\n")


def late(name, service, directory):
    """Let something be missing at the start that comes by itself; returns what
    brings it."""
    box = service.box
    if name == "certificate":
        site = pki.root(str(directory / "site"), "Late")
        service.pair = site.make("alice")
        # The clock is wrong: it is 8 s before this certificate begins.
        pair = site.make("localhost", "server", start=8)
        for source, file in ((pair.cert, "late.pem"), (pair.key, "late.key"),
                             (pair.ca, "late-ca.pem")):
            box.path(f"/etc/aisd/{file}").write_bytes(
                pathlib.Path(source).read_bytes())
        box.run("chown", "root:aisd", "/etc/aisd/late.key")
        box.run("chmod", "0640", "/etc/aisd/late.key")
        service.configure(certificate="/etc/aisd/late.pem",
                          key="/etc/aisd/late.key",
                          authority="/etc/aisd/late-ca.pem")
        return lambda: None
    if name == "user":
        box.run("userdel", "late", check=False)
        service.configure(command_user="late", directory="/")
        return lambda: box.run("useradd", "--system", "--user-group", "late")
    service.configure(log_file="/var/log/aisd/later/server.log")
    return lambda: box.run("install", "-d", "-o", "aisd",
                           "/var/log/aisd/later")


@pytest.mark.parametrize("what", ["certificate", "user", "log"])
def test_start_later(service, tmp_path, what):
    """What is not there yet at the first try is waited for: "systemctl start"
    says that it has failed, and ends in a served client."""
    box = service.box
    needs = box.path("/run/systemd/system/needs.service")
    wants = box.path("/run/systemd/system/wants.service")
    for path, how in (needs, "Requires"), (wants, "Wants"):
        path.write_text(f"[Unit]\n{how}=aisd.service\nAfter=aisd.service\n"
                        "[Service]\nType=oneshot\nRemainAfterExit=yes\n"
                        "ExecStart=/bin/true\n")
    box.run("systemctl", "daemon-reload")
    try:
        # Last, since a certificate comes by itself, and soon.
        comes = late(what, service, tmp_path)
        done = box.run("systemctl", "start", "needs", "wants", check=False)
        assert done.returncode != 0
        assert service.show("ExecMainStatus") == "75"
        assert [box.run("systemctl", "is-active", f"{name}.service",
                        check=False).stdout.strip()
                for name in ("needs", "wants")] == ["inactive", "active"]
        comes()
        service.wait(lambda: service.show("ActiveState") == "active",
                     "it serves", 30)
        assert int(service.show("NRestarts")) > 0
        assert service.run("true").status == 0
    finally:
        box.run("systemctl", "stop", "needs", "wants", check=False)
        needs.unlink()
        wants.unlink()
