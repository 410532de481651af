# SPDX-License-Identifier: ISC
"""What a command can do to the daemon, and what outlives it, with the users
and the unit as they are installed."""

import re
import signal
import time

import pytest
import wire

import attacks

# What systemd does with the service; test_service.py shows how it works.
pytestmark = pytest.mark.same("build")

ATTACKER = "/opt/attacker"
NOT_SAFE = '{ name = "root"; peers = [ "*" ]; anything = true; ' \
    'shell = true; no_new_privs = false; }'


@pytest.fixture(scope="module")
def users(box):
    """(uid, gid) of the daemon and of commands."""
    return [tuple(int(n) for n in box.run("getent", "passwd", name)
                  .stdout.split(":")[2:4]) for name in ("aisd", "aisd-run")]


def test_attacks(service, users):
    """Nothing that a command can do reaches the daemon."""
    service.start()
    pid = service.pid
    result = service.run(
        ATTACKER, "daemon", str(pid), *map(str, users[0]), "4773",
        "read:/etc/aisd/server.key", f"read:{service.config}",
        "create:/etc/aisd", "read:/var/log/aisd/server.log",
        "write:/var/log/aisd/server.log", "remove:/var/log/aisd/server.log",
        "create:/var/log/aisd", "read:/etc/shadow", "everybody")
    attacks.check_attacks(result.stdout)
    assert result.status == 0
    assert service.run("true").status == 0
    assert service.show("MainPID", "NRestarts") == [str(pid), "0"]
    assert service.events("stop") == []


@pytest.mark.parametrize("line", [
    "systemctl stop aisd", "systemctl kill aisd", "systemctl restart aisd",
    "systemctl set-property --runtime aisd TasksMax=1",
    "systemd-run -q true", "echo 1 >/sys/fs/cgroup/system.slice/"
    "aisd.service/cgroup.kill", "echo $$ >/sys/fs/cgroup/cgroup.procs"])
def test_manager(service, line):
    """The service manager and the control groups do not listen to a
    command."""
    service.start()
    pid = service.pid
    result = service.run("sh", "-c", f"{line} </dev/null")
    assert result.status not in (0, None), result
    assert service.show("MainPID", "NRestarts") == [str(pid), "0"]
    assert service.run("true").status == 0


@pytest.mark.parametrize("pinned", ["", "pinned = true;", "pinned = false;"])
def test_path_slot(service, pinned):
    """A path is looked at under what the unit forbids, openat2(2) among it."""
    box = service.box
    box.run("sh", "-ec", "mkdir -p /srv/slot/in; echo yes >/srv/slot/in/file; "
            "ln -sf /etc/passwd /srv/slot/out; ln -sf in/file /srv/slot/link")
    service.configure('{ name = "x"; peers = [ "*" ]; commands = ( '
                      '{ program = "/bin/cat"; arguments = ( '
                      f'{{ below = "/srv/slot"; {pinned} }} ); }} ); }}')
    service.start()
    for path in "in/file", "/srv/slot/in/file", "link":
        assert service.run("cat", path).stdout == b"yes\n"
    refused = service.run("cat", "out").refused
    assert refused.code == wire.Code.DENIED
    assert "leads out of its directory" in str(refused)


def test_command(service, users):
    """A command has one user, no group and no right, three descriptors, a
    session of its own and an environment made from nothing."""
    service.drop_in("[Service]\nSupplementaryGroups=adm tty\nUMask=0")
    service.start()
    session = service.client()
    text = session.run(["cat", "/proc/self/status"]).stdout.decode()
    attacks.check_command(text, *users[1])
    words = session.run(["cat", "/proc/self/stat"]).stdout.split()
    assert words[0] == words[4] == words[5]
    listed = session.run(["sh", "-c", "ls /proc/$$/fd; :"]).stdout.split()
    assert listed == [b"0", b"1", b"2"]
    environ = session.run(["cat", "/proc/self/environ"]).stdout
    attacks.check_variables(environ)
    assert session.run(["cat", "/proc/self/oom_score_adj"]).stdout == b"0\n"


def test_daemon(service, users):
    """The daemon is as it proved to itself, after a command and after a
    reload as before."""
    service.drop_in("[Service]\nSupplementaryGroups=adm tty")
    service.start()
    for step in (lambda: None, lambda: service.run("true"),
                 lambda: service.systemctl("reload")):
        step()
        path = service.box.path(f"/proc/{service.pid}")
        attacks.check_daemon((path / "status").read_text(),
                             (path / "environ").stat().st_uid, *users)


ORDINARY = [
    "nice -n 5 true", "taskset -c 0 true", "chrt --idle 0 true",
    "sh -c 'ulimit -n 100; true'", "ps aux", "free", "uptime", "df",
    "ip addr", "ss -tln", "getent hosts localhost", "mktemp", "id",
    "python3 -c 'import ctypes, mmap; mmap.mmap(-1, 4096, prot=7)'",
    "perl -e 'fork // die'", "tar -cf - /etc/hostname", "git init repository",
    "sh -c 'cp /etc/hostname x && chmod 755 x && rm x'",
    "script -qc true /dev/null"]


def test_ordinary_commands(service):
    """What the unit forbids is nothing that ordinary commands miss."""
    service.start()
    session = service.client()
    tried, failed = 0, []
    for line in ORDINARY:
        if session.shell(f"command -v {line.split()[0]}").status != 0:
            continue
        result = session.shell(line)
        tried += 1
        if result.status != 0:
            failed.append((line, result.status, result.stderr))
    assert failed == []
    assert tried > 10


def test_notify(service):
    """What a command says in the daemon's name, systemd does not hear."""
    service.start()
    pid = service.pid
    result = service.run(
        "env", "NOTIFY_SOCKET=/run/systemd/notify", "systemd-notify",
        "--ready", "--status=FAKE", "MAINPID=1", "STOPPING=1")
    assert result.status == 0, result

    def refused():
        return [record for record in service.journal("_PID=1") if re.search(
            r"notification message from PID \d+, but reception only "
            r"permitted for main PID", str(record["MESSAGE"]))]
    service.wait(refused, "systemd refuses it")
    assert "FAKE" not in service.show("StatusText")
    assert service.show("MainPID", "ActiveState") == [str(pid), "active"]


def test_watchdog_cannot_be_fed(service):
    """A command does not keep a daemon alive that hangs."""
    service.drop_in("[Service]\nWatchdogSec=1")
    service.start()
    before = service.pid
    client = service.client()
    client.hello()
    client.send_raw(wire.request_frames(client.next_number(), wire.body(
        wire.Operation.SHELL, ["export NOTIFY_SOCKET=/run/systemd/notify; "
                               ">fed; while :; do systemd-notify "
                               "WATCHDOG=1; done"])))
    service.wait(service.box.path("/var/lib/aisd-run/fed").exists,
                 "the command runs")
    service.signal(signal.SIGSTOP)
    service.wait_restart(before)
    service.wait(lambda: service.processes() == [], "no command is left")


def test_snoop(service, record_property):
    """A process that was left behind cannot read the memory of children that
    are not yet commands: there it would find the daemon's key."""
    count = 1000
    service.start()
    pid = service.pid
    program = service.box.run("readlink", f"/proc/{pid}/exe").stdout.strip()
    session = service.client()
    left = session.shell(f"{ATTACKER} snoop {pid} {program} $PWD/snooped "
                         ">/dev/null 2>&1 & echo $!").stdout.decode().strip()
    for _ in range(count):
        assert session.run(["true"]).status == 0
    result = session.shell(f"kill {left}; while kill -0 {left} 2>/dev/null; "
                           "do :; done; cat snooped")
    met, denied, read = map(int, result.stdout.split())
    record_property("children met, kept from, read", f"{met} {denied} {read}")
    assert read == 0
    assert met > count / 10 and denied > 0


# What commands leave behind.

def left_by(service, *words):
    """Start a command that says when it is ready, leave, and return the
    seconds until nothing is left of it."""
    client = service.client(timeout=60.0)
    client.hello()
    client.send_raw(wire.request_frames(client.next_number(), wire.body(
        wire.Operation.RUN, words, windows=(1024, 1024))))
    got = client.receive()
    while got.type != wire.Type.STDOUT:
        got = client.receive()
    assert got.payload == b"ready\n"
    began = time.monotonic()
    client.reset()
    service.wait(lambda: service.events("session-close"),
                 "the session is over", 30)
    took = time.monotonic() - began
    service.wait(lambda: service.processes() == [], "nothing is left")
    return took


def test_tree(service, record_property):
    """Processes that left their parents and their sessions, and ignore TERM,
    are gone when the grace is over."""
    service.start()
    took = left_by(service, ATTACKER, "tree", "8")
    record_property("seconds, 2 of them grace", round(took, 3))
    assert took < 2 + service.slowness


def test_bomb(service, record_property):
    """So are three thousand of them."""
    service.configure(kill_grace=0)
    service.start()
    took = left_by(service, ATTACKER, "tree", "3000")
    record_property("seconds, without a grace", round(took, 3))
    # About a second on two cores that have nothing else to do.
    assert took < 3 * service.slowness
    assert service.run("true").status == 0


def test_comets(service, record_property):
    """So are those that are another process at every moment, although they
    leave the daemon little of the processors' time."""
    service.configure(kill_grace=0)
    # For the sake of the machine: each is a zombie until it is reaped.
    service.drop_in("[Service]\nLimitNPROC=5000")
    service.start()
    took = left_by(service, ATTACKER, "comets", "20")
    record_property("seconds, without a grace", round(took, 3))
    assert took < 5 * service.slowness
    assert service.run("true").status == 0


# Setuid programs.

@pytest.fixture
def setuid(box):
    """Two programs that make whoever runs them root."""
    for source, name in ((ATTACKER, "ids"), ("/usr/bin/touch", "touch")):
        box.run("cp", source, f"/opt/{name}")
        box.run("chown", "root:root", f"/opt/{name}")
        box.run("chmod", "4755", f"/opt/{name}")
    yield
    box.run("rm", "-f", "/opt/ids", "/opt/touch", "/usr/lib/ais-test")


@pytest.mark.parametrize("unit, instance, rule, root", [
    (True, True, True, True),
    (False, True, True, False),
    (True, False, True, False),
    (True, True, False, False),
], ids=["all", "no-drop-in", "no-allow_setuid", "no-rule"])
def test_setuid(service, setuid, users, stage, unit, instance, rule, root):
    """It takes the drop-in, the instance and the rule for a command to become
    root; and then it can change the system."""
    if unit:
        example, = stage.rglob("doc/*/setuid.conf.example")
        service.drop_in(example.read_text(), "setuid")
    service.configure(NOT_SAFE if rule else None, allow_setuid=instance)
    service.start()
    uid = users[1][0]
    ids = service.run("/opt/ids", "ids").stdout.decode().split()
    assert ids == [str(uid), *(["0", "0"] if root else [str(uid)] * 2)]
    assert (service.run("/opt/touch", "/usr/lib/ais-test").status == 0) == \
        root
