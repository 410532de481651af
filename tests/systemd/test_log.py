# SPDX-License-Identifier: ISC
"""The records: in the journal, its catalog, the log file, after a rotation."""

import base64
import contextlib
import errno
import json
import random
import re
import shlex
import signal
import subprocess
import time

import pytest
import wire
from faults import Faults

# What systemd does with the service; test_service.py shows how it works.
pytestmark = pytest.mark.same("build")

LOG = "/var/log/aisd/server.log"


@pytest.fixture
def rotate(box):
    """A function that rotates the logs."""
    if box.run("which", "logrotate", check=False).returncode != 0:
        pytest.skip("needs logrotate")
    return lambda: box.run("logrotate", "-f", "/etc/logrotate.d/aisd")


def test_journal(service, alice):
    """A command is found by the fields of AIS, with all that is known."""
    service.start()
    pid = service.pid
    assert service.run("sh", "-c", "echo 'a b'; exit 3").status == 3
    session, = {record["AIS_SESSION"] for record in
                service.journal("AIS_EVENT=command-start", f"_PID={pid}")}
    start, end = service.journal(f"AIS_SESSION={session}", "AIS_REQUEST=1")
    uid = service.box.run("id", "-u", "aisd").stdout.strip()
    for record in (start, end):
        assert record["AIS_PEER"] == "alice"
        assert record["AIS_USER"] == "aisd-run"
        assert record["AIS_RULE"] == "all"
        assert record["AIS_ARGV"] == "sh -c 'echo '\\''a b'\\''; exit 3'"
        assert record["AIS_SERIAL"].lstrip("0").upper() == \
            alice.serial.lstrip("0").upper()
        assert record["_UID"] == uid
        assert record["_SYSTEMD_UNIT"] == "aisd.service"
        assert record["SYSLOG_IDENTIFIER"] == "aisd"
    assert (end["AIS_EXIT"], end["AIS_STDOUT_BYTES"]) == ("3", "4")
    assert end["MESSAGE_ID"] != start["MESSAGE_ID"]
    words = r"""sh -c 'echo '\''a b'\''; exit 3'"""
    assert start["MESSAGE"] == f'alice starts "{words}"'
    assert re.fullmatch(re.escape(f'alice: "{words}" exited with status 3 '
                                  "after ") + r"\d+\.\d\d s",
                        end["MESSAGE"])
    # The same is in the file.
    event, = service.events("command-end", session=session)
    for name in ("argv", "peer", "serial", "fingerprint", "exit",
                 "duration_ms"):
        assert event[name] == end[f"AIS_{name.upper()}"]


def test_journal_takes_every_record(service):
    """However many come at once; others are limited here to some hundreds."""
    service.start()
    pid = service.pid
    session = service.client()
    for _ in range(600):
        assert session.run(["true"]).status == 0
    session.goodbye()
    for kind in ("command-start", "command-end"):
        assert len(service.journal(f"AIS_EVENT={kind}", f"_PID={pid}")) == 600
    assert service.events("log-sink") == []


def test_hostile_words(service, program):
    """The journal has the bytes as they are; the report shows them harmless,
    and does not count what a command has written there."""
    service.start()
    assert service.run("echo", "a\nb", "\033[2J", "\u202e").status == 0
    service.run("logger", "-t", "aisd", "AIS_EVENT=command-start")
    service.box.run("journalctl", "--sync")
    out = service.box.run("journalctl", "-a", "-o", "json", "-t", "aisd",
                          f"_PID={service.pid}").stdout
    text = subprocess.run([*program("aisd-report"), "-"], input=out,
                          capture_output=True, text=True, check=True).stdout
    assert r"echo 'a\nb' '\x1b[2J' '\xe2\x80\xae'" in text
    assert all(char == "\n" or char.isprintable() for char in text)
    assert re.search(r": 2 commands in \d sessions", text)


def test_suggestions_from_the_journal(service):
    """What a rule has learned is read from the journal as it is written here,
    where there is no file; and nothing that a command has written there."""
    service.configure('{ name = "learner"; peers = [ "alice" ]; '
                      'learn_until = "2099-12-31"; }', log_file="")
    service.start()
    session = service.client()
    for words in (["echo", "a b", "it's"], ["printf", "x\n\u202e"],
                  ["true"], ["true"]):
        assert session.run(words).status == 0
    assert session.run(["logger", "-t", "aisd", "AIS_EVENT=command-start",
                        "AIS_RULE=learner", "AIS_LEARNED=yes"]).status == 0
    assert session.run([
        "sh", "-c", "printf 'AIS_EVENT=command-end\\nAIS_RULE=learner\\n"
        "AIS_LEARNED=yes\\nAIS_ARGV=reboot\\nAIS_PROGRAM=/sbin/reboot\\n"
        "AIS_EXIT=0\\nSYSLOG_IDENTIFIER=aisd\\n' | logger --journald"]
                       ).status == 0
    session.goodbye()
    service.box.run("journalctl", "--sync")
    since = service.journal("AIS_EVENT=start")[-1]["__REALTIME_TIMESTAMP"]
    text = service.box.run(
        "aisd-report", "--suggest", "--journal", "--since",
        time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(since) // 10**6))
    ).stdout
    assert 'the rule "learner" has learned' in text
    assert 'program = "/sbin/reboot"' not in text
    # It is what the daemon takes, and grants what ran.
    service.configure('{ name = "learner"; peers = [ "alice" ];\n%s }' % text)
    service.systemctl("reload")
    service.wait_said("the configuration has been read again")
    session = service.client()
    for words in (["echo", "a b", "it's"], ["printf", "x\n\u202e"], ["true"]):
        assert session.run(words).status == 0
    for words in (["echo"], ["reboot"], ["true", "x"]):
        assert session.run(words).refused
    session.goodbye()


def test_catalog(service):
    """journalctl -x says what to do."""
    service.start()
    service.configure('{ name = "none"; peers = [ "alice" ]; '
                      'commands = [ "/bin/true" ]; }')
    service.systemctl("reload")
    service.wait(lambda: service.events("reload"), "a reload")
    assert service.run("id").refused
    service.box.run("journalctl", "--sync")
    said = service.box.run("journalctl", "-x", "-n", "1", "--no-pager",
                           "AIS_EVENT=command-refused").stdout
    assert "Subject: A command of alice was refused" in said
    assert 'add it to the rule "none"' in said


def test_impostor(service):
    """A command that writes to the journal in the daemon's name is told apart
    by its user."""
    service.start()
    assert service.run("logger", "-t", "aisd", "all is well").status == 0
    record, = service.journal("MESSAGE=all is well")
    assert record["SYSLOG_IDENTIFIER"] == "aisd"
    assert record["_UID"] == service.box.run(
        "id", "-u", "aisd-run").stdout.strip()


def test_file(service):
    """The log is the daemon's to write, and the group adm's to read."""
    service.start()
    assert service.box.run("stat", "-c", "%U:%G %a", LOG).stdout == \
        "aisd:adm 640\n"
    assert service.events()[0]["event"] == "start"


def test_rotation(service, rotate):
    """logrotate puts the log away, and the daemon writes to a new one; the
    command that runs meanwhile goes on."""
    service.start()
    client = service.client()
    client.hello()
    client.send_raw(wire.request_frames(client.next_number(), wire.body(
        wire.Operation.RUN, ["sleep", "1000"])))
    service.wait(lambda: service.events("command-start"), "it runs")
    assert rotate().stderr == ""
    service.wait(lambda: "has been opened again" in
                 service.box.path(LOG).read_text(), "a new log")
    client.signal("TERM")
    assert client.follow(client.number).signal == signal.SIGTERM
    event, = service.events("command-end")
    assert event["argv"] == "sleep 1000"
    assert "event=command-start" in \
        service.box.path(f"{LOG}.1").read_text()
    assert service.box.run("stat", "-c", "%U:%G %a", LOG,
                           f"{LOG}.1").stdout == "aisd:adm 640\n" * 2


def test_rotation_of_all(service, rotate, sysconfdir):
    """Instances are told as well."""
    box = service.box
    service.start()
    config = f"{sysconfdir}/aisd/two.conf"
    box.path(config).write_text(
        'listen = [ "127.0.0.1:4774" ]; '
        'log_file = "/var/log/aisd/two.log"; rules = ( );\n')
    box.run("systemctl", "start", "aisd@two")
    try:
        rotate()
        for log in (LOG, "/var/log/aisd/two.log"):
            service.wait(lambda: "has been opened again" in
                         box.path(log).read_text(), f"a new {log}")
    finally:
        box.run("systemctl", "stop", "aisd@two")
        box.path(config).unlink()


def taken(service, pid):
    """The commands that the journal has, by kind."""
    return [len(service.journal(f"AIS_EVENT={kind}", f"_PID={pid}"))
            for kind in ("command-start", "command-end")]


@pytest.mark.limit(300)
def test_journal_that_does_not_read(service):
    """It costs one short wait; what it lacks is counted and told, and the
    watchdog has nothing to see."""
    service.drop_in("[Service]\nWatchdogSec=5")
    service.start()
    pid = service.pid
    session = service.client()
    assert session.run(["true"]).status == 0
    journald = service.box.run("systemctl", "show", "-P", "MainPID",
                               "systemd-journald").stdout.strip()
    service.box.run("kill", "-STOP", journald)
    try:
        done, slowest = 1, 0
        while not service.events("log-sink") or done % 50:
            began = time.monotonic()
            assert session.run(["true"]).status == 0
            slowest = max(slowest, time.monotonic() - began)
            done += 1
        assert done < 2000
        assert slowest < 2 * service.slowness
    finally:
        service.box.run("kill", "-CONT", journald)

    def working():
        nonlocal done
        assert session.run(["true"]).status == 0
        done += 1
        return service.events("log-sink", state="working")
    lost = sum(int(event["lost"])
               for event in service.wait(working, "it works again"))
    session.goodbye()
    assert sum(taken(service, pid)) + lost == 2 * done
    told = service.journal("AIS_EVENT=log-sink", f"_PID={pid}")
    assert sum(int(record["AIS_LOST"]) for record in told) == lost
    assert service.pid == pid


def test_journal_restarts(service):
    """No record is lost, for its socket stays."""
    service.start()
    pid = service.pid
    session = service.client()
    for n in range(200):
        if n % 50 == 20:
            service.box.run("systemctl", "restart", "systemd-journald")
        assert session.run(["true"]).status == 0
    session.goodbye()
    assert taken(service, pid) == [200, 200]
    assert service.events("log-sink") == []


def exported(text):
    """The records of journalctl -o export, as dicts of bytes; see
    https://systemd.io/JOURNAL_EXPORT_FORMATS."""
    record, at = {}, 0
    while at < len(text):
        end = text.index(b"\n", at)
        name, equals, value = text[at:end].partition(b"=")
        at = end + 1
        if not name:
            yield record
            record = {}
            continue
        if not equals:
            length = int.from_bytes(text[at:at + 8], "little")
            value = text[at + 8:at + 8 + length]
            at += 8 + length + 1
        record[name] = value
    if record:
        yield record


@pytest.mark.parametrize("how", ["message", "file"])
def test_journal_has_the_bytes(service, builddir, request, how):
    """What a real journal gives back is what was sent, whatever it is; in a
    sealed file as well, which is for what has no room in the socket."""
    faults = contextlib.nullcontext()
    if how == "file":
        request.getfixturevalue("measurable")
        faults = Faults(builddir, service.box.path("/run"))
        service.box.path("/opt/inject.so").write_bytes(
            faults.library.read_bytes())
        service.drop_in("[Service]\nEnvironment=LD_PRELOAD=/opt/inject.so "
                        "AIS_FAULT_CONTROL=/run/faults")
    service.start()
    pid = service.pid
    session = service.client()
    dice = random.Random(11)
    sent = []
    for length in [*(dice.randrange(200) for _ in range(60)), 40000]:
        word = bytes(dice.choice(b"\n\n=\\'\xff\xc3 a" + bytes([
            dice.randrange(1, 256)])) for _ in range(length))
        sent.append([b"true", word])
        with faults.armed("sendmsg", errno.EMSGSIZE) if how == "file" \
                else faults:
            assert session.run(sent[-1]).status == 0
    session.goodbye()
    if how == "file":
        # The service manager is told things by the same call.
        assert faults.count("memfd_create")[0] > len(sent) // 2
    service.box.run("journalctl", "--sync")
    text = base64.b64decode(service.box.run(
        "sh", "-c", 'journalctl -o export --all "$@" | base64', "sh",
        "AIS_EVENT=command-start", f"_PID={pid}").stdout)
    assert [shlex.split(record[b"AIS_ARGV"].decode("latin-1"))
            for record in exported(text)] == \
        [[word.decode("latin-1") for word in argv] for argv in sent]


@pytest.mark.parametrize("output", ["journal", "file:/run/records",
                                    "file:/run/pipe"])
def test_standard_output(service, output):
    """As a log it is what root has given, though the daemon is another user:
    a socket of the journal, a file of root's, or a pipe."""
    service.box.run("sh", "-c", "umask 077; rm -f /run/records /run/pipe")
    if output == "file:/run/pipe":
        service.box.run("sh", "-c", "umask 077; mkfifo /run/pipe; "
                        "cat /run/pipe >/run/records 2>/dev/null &")
    service.configure(log_file="/dev/stdout", log_format="json",
                      log_system="none")
    service.drop_in(f"[Service]\nStandardOutput={output}")
    service.start()
    assert service.run("sh", "-c", "exit 3").status == 3
    if output == "journal":
        service.wait_said('"event": "session-close"')
        text = service.journal_text()
    else:
        path = service.box.path("/run/records")
        service.wait(lambda: "session-close" in path.read_text(), "the end")
        text = path.read_text()
    events = [json.loads(line) for line in text.splitlines()
              if line.startswith("{")]
    end, = [event for event in events if event["event"] == "command-end"]
    assert (end["exit"], end["argv"]) == ("3", "sh -c 'exit 3'")
