# SPDX-License-Identifier: ISC
"""Daemon and commands are two users, and neither can be the other.

These tests start aisd as root, with two users that every machine has, and so
need no systemd; tests/systemd has the same with the users of AIS.
"""

import grp
import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile
import time

import pytest

import attacks
from aisd import Daemon, wait_until
from machine import SANITIZERS
from wire import Code, Type

USER, COMMAND_USER = "daemon", "nobody"
# Nothing that aisd inherits may matter to a command.
START = ["sh", "-c", "trap '' PIPE HUP USR2; umask 0; exec 9</etc/shadow; "
         "exec setpriv --groups 1,2,3 \"$@\"", "sh"]


def account(name):
    entry = pwd.getpwnam(name)
    return entry.pw_uid, entry.pw_gid


@pytest.fixture(scope="module")
def users(program):
    """(uid, gid) of the daemon and of commands."""
    if not shutil.which("setpriv"):
        pytest.skip("needs setpriv")
    if len(program("aisd")) > 1:
        pytest.skip("valgrind cannot do what it needs as another user")
    if os.geteuid() != 0:
        pytest.skip("needs root, to become other users")
    try:
        d, c = account(USER), account(COMMAND_USER)
        grp.getgrgid(d[1]), grp.getgrgid(c[1])
    except KeyError as e:
        pytest.skip(f"needs two users: {e}")
    if 0 in (*d, *c) or d[0] == c[0] or d[1] == c[1]:
        pytest.skip(f"{USER} and {COMMAND_USER} are not two ordinary users")
    return d, c


@pytest.fixture
def place(users):
    """A directory that other users can enter, as tmp_path is not."""
    with tempfile.TemporaryDirectory(prefix="ais-test-") as name:
        path = pathlib.Path(name)
        path.chmod(0o755)
        yield path


@pytest.fixture
def make(program, place, localhost, users, slowness):
    """A function that makes an aisd which drops to its user."""
    daemons = []

    def daemon(start=True, owner=(0, users[0][1]), mode=0o640, **keys):
        home = place / f"aisd{len(daemons)}"
        home.mkdir()
        os.chown(home, *users[0])
        pair = localhost
        for kind in ("cert", "key", "ca"):
            target = home / f"{kind}.pem"
            shutil.copyfile(getattr(localhost, kind), target)
            target.chmod(0o644)
            pair = pair._replace(**{kind: str(target)})
        os.chown(pair.key, *owner)
        os.chmod(pair.key, mode)
        # The daemon cannot be traced, and LeakSanitizer traces.
        env = dict(os.environ, ASAN_OPTIONS="detect_leaks=0")
        daemons.append(Daemon(
            [*START, *program("aisd")], home, pair, env=env, slowness=slowness,
            unprivileged=None, user=USER, command_user=COMMAND_USER,
            directory="/", **keys))
        daemons[-1].conf.chmod(0o640)
        os.chown(daemons[-1].conf, 0, users[0][1])
        return daemons[-1].start() if start else daemons[-1]
    yield daemon
    try:
        for one in daemons:
            one.stop()
    finally:
        for one in daemons:
            one.kill()


@pytest.fixture
def aisd(make):
    return make()


@pytest.fixture
def attacker(builddir, place):
    """attacker, where a command can run it."""
    source = builddir / "tests" / "attacker"
    if not source.exists():
        pytest.skip("attacker is not built; make check builds it")
    shutil.copy(source, place / "attacker")
    (place / "attacker").chmod(0o755)
    return str(place / "attacker")


def test_attacks(aisd, connect, attacker, users):
    """Nothing that a command can do reaches the daemon."""
    before = aisd.usage()
    session = connect()
    result = session.run([
        attacker, "daemon", str(aisd.pid), *map(str, users[0]),
        str(aisd.port), f"read:{aisd.directory}/key.pem",
        f"read:{aisd.conf}", f"read:{aisd.log}", f"write:{aisd.log}",
        f"remove:{aisd.log}", f"create:{aisd.directory}",
        "read:/etc/shadow"])
    attacks.check_attacks(result.stdout)
    assert result.status == 0
    assert session.run(["true"]).status == 0
    aisd.check_usage(before)
    assert aisd.events("stop") == []


def test_command(aisd, connect, users):
    """A command has one user, no group and no right, three descriptors, a
    session of its own and an environment made from nothing."""
    session = connect()
    text = session.run(["cat", "/proc/self/status"]).stdout.decode()
    attacks.check_command(text, *users[1])
    words = session.run(["cat", "/proc/self/stat"]).stdout.split()
    assert words[0] == words[4] == words[5]
    listed = session.run(["sh", "-c", "ls /proc/$$/fd; :"]).stdout.split()
    assert listed == [b"0", b"1", b"2"]
    environ = session.run(["cat", "/proc/self/environ"]).stdout
    attacks.check_variables(environ, ["TEST_MARK"])


def test_daemon(aisd, connect, users):
    """The daemon is as it proved to itself, after a command as before."""
    for _ in range(2):
        path = pathlib.Path(f"/proc/{aisd.pid}")
        attacks.check_daemon((path / "status").read_text(),
                             (path / "environ").stat().st_uid, *users)
        session = connect()
        assert session.run(["true"]).status == 0
        session.goodbye()


def test_files(aisd, users):
    """The log is the daemon's and nobody else's to write."""
    stat = aisd.log.stat()
    assert (stat.st_uid, stat.st_mode & 0o7777) == (users[0][0], 0o640)


def test_reload(aisd, connect):
    """As another user than it was started by, it can read all of it again."""
    aisd.reload()
    assert connect().run(["true"]).status == 0


@pytest.mark.long
def test_snoop(aisd, connect, attacker, place, record_property):
    """A process that was left behind cannot read the memory of children that
    are not yet commands: there it would find the daemon's key."""
    count = 1000
    found = place / "snooped"
    found.touch()
    found.chmod(0o666)
    program = os.readlink(f"/proc/{aisd.pid}/exe")
    session = connect()
    left = session.shell(f"{attacker} snoop {aisd.pid} {program} {found} "
                         ">/dev/null 2>&1 & echo $!").stdout.decode().strip()
    for _ in range(count):
        assert session.run(["true"]).status == 0
    assert session.shell(f"kill {left}; while kill -0 {left} 2>/dev/null; "
                         "do :; done").status == 0
    met, denied, read = map(int, found.read_text().split())
    record_property("children met, kept from, read", f"{met} {denied} {read}")
    assert read == 0
    assert met > count / 10 and denied > 0


@pytest.mark.parametrize("owner, mode, said", [
    (lambda d, c: (0, d[1]), 0o644,
     "the key {key} is open to every user; run: chmod o= {key}"),
    (lambda d, c: (d[0], c[1]), 0o640,
     "the key {key} is open to the command user nobody; run: chown "
     "root:daemon {key} && chmod 0640 {key}"),
    (lambda d, c: (c[0], d[1]), 0o640,
     "the key {key} is open to the command user nobody; run: chown "
     "root:daemon {key} && chmod 0640 {key}"),
    (lambda d, c: (0, 0), 0o600,
     "the key {key} cannot be read by the user daemon; run: chown "
     "root:daemon {key} && chmod 0640 {key}"),
], ids=["others", "shared-group", "their-own", "root-only"])
def test_key(make, users, owner, mode, said):
    """A key that a command could read, or the daemon cannot, is refused, by
    the check as well."""
    daemon = make(start=False, owner=owner(*users), mode=mode)
    lines = daemon.conf.read_text().splitlines()
    at = 1 + next(n for n, line in enumerate(lines)
                  if line.startswith("key ="))
    said = f"aisd: {daemon.conf}:{at}: key: " + said.format(
        key=daemon.keys["key"]) + "\n"
    with pytest.raises(AssertionError, match="ended with 6"):
        daemon.start()
    assert daemon.stderr() == said
    daemon.kill()
    check = subprocess.run([*daemon.words, "-t", "-c", str(daemon.conf)],
                           capture_output=True, text=True, env=daemon.env)
    assert (check.returncode, check.stderr) == (6, said)


def test_credential_of_another(make, place):
    """One that its user will never see is no failure that passes; a reload may
    see it, though its check does not."""
    closed = place / "credentials"
    closed.mkdir(mode=0o500)
    daemon = make(start=False)
    daemon.configure(key="credential:key")
    for options, status in ([], 6), (["-t"], 6), (["-t", "-q"], 75):
        done = subprocess.run(
            [*daemon.words, *options, "-c", str(daemon.conf)],
            env={**daemon.env, "CREDENTIALS_DIRECTORY": str(closed)},
            capture_output=True, text=True, timeout=60)
        assert (done.returncode, "cannot be seen" in done.stderr) == \
            (status, True), done


def test_missing_log_for_each_user(make, users):
    """It needs no other user to see that there is no log at all."""
    if os.path.exists("/run/systemd/journal/socket"):
        pytest.skip("there is a journal")
    daemon = make(start=False)
    daemon.configure(log_file="", log_system="journal")
    daemon.conf.chmod(0o644)
    uid, gid = map(str, users[1])
    done = subprocess.run(
        ["setpriv", "--reuid", uid, "--regid", gid, "--clear-groups",
         daemon.words[-1], "-t", "-c", str(daemon.conf)],
        env=daemon.env, capture_output=True, text=True, timeout=60)
    assert "there is no journal here" in done.stderr, done
    assert done.returncode != 0


def test_port_for_who_can_drop(make, users):
    """Started as its user, with what it needs to drop, it may not have this
    port: -t and a start say so alike."""
    daemon = make(start=False)
    daemon.configure(listen=["127.0.0.1:1"])
    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start") as file:
        if int(file.read()) <= 1:
            pytest.skip("each user may have each port")
    uid, gid = map(str, users[0])
    caps = "+setuid,+setgid,+setpcap"
    for options in [], ["-t"]:
        done = subprocess.run(
            ["setpriv", "--reuid", uid, "--regid", gid, "--clear-groups",
             "--inh-caps", caps, "--ambient-caps", caps, daemon.words[-1],
             *options, "-c", str(daemon.conf)],
            env=daemon.env, capture_output=True, text=True, timeout=60)
        assert "127.0.0.1 port 1: Permission denied" in done.stderr, done
        assert done.returncode == 75


@pytest.mark.parametrize("keys", [
    {"command_user": USER}, {"user": "root"}, {"command_user": "root"}])
def test_users(make, users, keys):
    """The two must be two, and neither of them root."""
    daemon = make(start=False)
    daemon.configure(**keys)
    with pytest.raises(AssertionError, match="ended with 4"):
        daemon.start()
    assert "refusing to run" in daemon.stderr()
    daemon.kill()


# What can be seen in /proc.

# Where it hides what it knows of processes of other users.
HIDDEN = ["unshare", "--mount", "sh", "-c",
          'mount -t proc -o "$0" proc /proc && exec "$@"']
# Where there is none, or one that counts processes otherwise.
NOT_OURS = {
    "none": ["unshare", "--mount", "sh", "-c",
             'mount -t tmpfs none /proc && exec "$@"', "sh"],
    "other": ["unshare", "--pid", "--fork", "--kill-child", "sh", "-c",
              'exec "$@"', "sh"],
}


def usable(words):
    """Skip where this cannot be made."""
    if not shutil.which("unshare"):
        pytest.skip("needs unshare")
    done = subprocess.run([*words, "true"], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"this cannot be made here: {done.stderr.strip()}")


@pytest.mark.parametrize("how", ["limit", "gone", "stopping", "left"])
@pytest.mark.parametrize("option", ["hidepid=1", "hidepid=2"])
def test_hidden_processes(make, connect, slowness, option, how):
    """Where /proc does not show the command to the daemon, it is ended as
    anywhere else: in time, and without a word of an error."""
    usable([*HIDDEN, option])
    daemon = make(start=False, kill_grace=1, rules='{ name = "all"; '
                  'peers = [ "*" ]; anything = true; shell = true; %s }' %
                  ("time_limit = 1;" if how == "limit" else ""))
    daemon.words = [*HIDDEN, option, *daemon.words]
    daemon.start()
    session = connect(daemon=daemon)
    session.hello()
    began = time.monotonic()
    # One in a group of its own, and one that does not hear TERM.
    number = session.ask(["sh", "-c", "setsid sleep 600 & (trap '' TERM; "
                          "sleep 601) & echo; %s" %
                          ("" if how == "left" else "sleep 602")],
                         windows=(9, 9))
    session.expect(Type.STARTED, number)
    session.expect(Type.STDOUT, number)
    if how == "limit":
        assert session.follow(number).exit.reason == Code.TIMEOUT
        session.close()
    elif how == "gone":
        session.reset()
    elif how == "left":
        assert session.follow(number).status == 0
        session.close()
    else:
        daemon.process.terminate()
        daemon.process.wait(10 * slowness)
    daemon.wait_event("session-close")
    assert not daemon.leftovers()
    assert time.monotonic() - began < 4 * slowness
    assert [e for e in daemon.events("message") if e["level"] == "error"] == []
    if how != "stopping":
        assert connect(daemon=daemon).run(["echo", "a"]).stdout == b"a\n"


@pytest.mark.parametrize("proc", [*NOT_OURS])
def test_children_that_cannot_be_seen(make, proc):
    """Then no command could be ended: it does not start, and says why."""
    usable(NOT_OURS[proc])
    if proc == "none" and SANITIZERS:
        pytest.skip("sanitizers need /proc")
    daemon = make(start=False)
    for options in [], ["-t"]:
        done = subprocess.run(
            [*NOT_OURS[proc], *daemon.words, "-c", str(daemon.conf),
             *options], env=daemon.env, capture_output=True, text=True,
            timeout=60)
        assert done.returncode == 4, done
        assert "could be ended" in done.stderr
        assert "mount" in done.stderr
    assert daemon.events("start") == []


# What the command user could change.

def rule(*entries):
    return '{ name = "r"; peers = [ "*" ]; commands = ( ' + \
        ", ".join(entries) + " ); }"


@pytest.fixture
def tool(trusted_path):
    """A program that nobody but root can change."""
    program = trusted_path / "bin" / "tool"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho ran\n")
    program.chmod(0o755)
    return program


def check(daemon):
    """What "aisd -t" says, and its exit status."""
    done = subprocess.run([*daemon.words, "-t", "-c", str(daemon.conf)],
                          capture_output=True, text=True, env=daemon.env)
    return done.returncode, done.stderr


def set_acl(path, text):
    if not shutil.which("setfacl") or subprocess.run(
            ["setfacl", "-m", text, path], capture_output=True).returncode:
        pytest.skip("needs setfacl and a file system with access lists")


@pytest.mark.parametrize("spoil, said", [
    (lambda p, c: os.chown(p, *c), "tool belongs to the user nobody"),
    (lambda p, c: os.chown(p.parent, *c), "bin belongs to the user nobody"),
    (lambda p, c: (os.chown(p, 0, c[1]), p.chmod(0o775)),
     "tool is writable for the user nobody"),
    (lambda p, c: set_acl(p, f"u:{c[0]}:rwx"),
     "tool is writable for the user nobody"),
    (lambda p, c: set_acl(p.parent, f"u:{c[0]}:rwx"),
     "bin is writable for the user nobody"),
    (lambda p, c: p.parent.chmod(0o1777), "bin is writable for everybody"),
    (lambda p, c: p.chmod(0o757), "tool is writable for everybody"),
], ids=["owned", "directory-owned", "group", "acl", "directory-acl", "sticky",
        "everybody"])
def test_a_program_that_commands_could_change(make, connect, users, tool,
                                              spoil, said):
    """It is refused at each start, and told by the check and at a reload."""
    daemon = make(rules=rule(f'"{tool}"'))
    session = connect(daemon=daemon)
    assert session.run(["tool"]).stdout == b"ran\n"
    assert check(daemon) == (0, f"aisd: the configuration {daemon.conf} is "
                             "good: 1 rule\n")
    spoil(tool, users[1])
    result = session.run(["tool"])
    assert not result.started and "could change" in result.refused.text
    status, text = check(daemon)
    assert status == 3 and said in text
    daemon.reload()
    wait_until(lambda: any(said in line for line in daemon.lines()), said)
    # It sees as itself again, and can read all of its files.
    daemon.reload()
    assert not session.run(["tool"]).started


def test_a_program_of_other_people(make, connect, users, tool):
    """Who is in a group is trusted with the program, and the check says so."""
    os.chown(tool, 0, users[0][1])
    tool.chmod(0o775)
    daemon = make(rules=rule(f'"{tool}"'))
    assert connect(daemon=daemon).run(["tool"]).stdout == b"ran\n"
    status, text = check(daemon)
    assert status == 3 and "members of the group daemon could change" in text


@pytest.fixture
def srv(trusted_path, users):
    """Directories: root's, with one that is the command user's."""
    for name in ("data", "data/sub", "own", "own/sub", "outside"):
        (trusted_path / name).mkdir()
        (trusted_path / name / "file").write_text(name)
    for name in ("own", "own/sub", "own/sub/file", "data/sub"):
        os.chown(trusted_path / name, *users[1])
    return trusted_path


def test_paths_as_programs_get_them(make, connect, srv):
    """By name, unless the command user could exchange the way to it."""
    daemon = make(rules=rule(
        '{ name = "say"; program = "/bin/echo"; arguments = ( '
        f'{{ below = "{srv}"; }} ); }}',
        '{ name = "cat"; program = "/bin/cat"; arguments = ( '
        f'{{ below = "{srv}"; }} ); }}',
        '{ name = "list"; program = "/bin/ls"; arguments = ( "-1", '
        f'{{ below = "{srv}"; }} ); }}'))
    session = connect(daemon=daemon)
    for path, wanted in (
            ("data", f"{srv}/data"), ("data/file", f"{srv}/data/file"),
            ("data/sub/new", f"{srv}/data/sub/new"), ("own", f"{srv}/own"),
            ("own/file", f"{srv}/own/file"), (".", f"{srv}/."),
            ("own/sub/file", "/proc/self/fd/10/file"),
            ("own/sub/new", "/proc/self/fd/10/new")):
        assert session.run(["say", path]).stdout.decode() == wanted + "\n"
        if "new" not in path and "file" in path:
            assert session.run(["cat", path]).stdout.decode() == \
                os.path.dirname(path)
    assert session.run(["list", "own/sub"]).stdout == b"file\n"


def test_a_directory_that_moves(make, connect, srv, place):
    """Whoever exchanges a directory on the way is too early, or too late."""
    daemon = make(rules=rule(
        '{ name = "cat"; program = "/bin/cat"; arguments = ( '
        f'{{ below = "{srv}/own"; }} ); }}'))
    flip = subprocess.Popen(
        ["setpriv", "--reuid", COMMAND_USER, "--clear-groups", "perl", "-e",
         "chdir shift or die; while (1) { rename 'sub', 'real'; "
         "symlink '../outside', 'sub'; unlink 'sub'; rename 'real', 'sub' }",
         srv / "own"])
    try:
        session = connect(daemon=daemon)
        seen = [session.run(["cat", "sub/file"]) for _ in range(300)]
    finally:
        flip.kill()
        flip.wait()
    assert {r.stdout for r in seen} <= {b"own/sub", b""}
    assert any(r.stdout == b"own/sub" for r in seen)


# What all commands have in common: their user.

KEEPS = '{ name = "all"; peers = [ "*" ]; anything = true; shell = true; ' \
    'background = "keep"; }'
# Waits for the number of a process, and writes what it sees of it.
WATCH = r"""cd {place}
until read pid <pid; do sleep 0.05; done 2>/dev/null
tr '\0' '\n' </proc/$pid/environ | sed -n 's/^AIS_SESSION=/environ /p' >seen
at=$(sed -n '1s/-.*//p' /proc/$pid/maps)
dd if=/proc/$pid/mem bs=4 count=1 skip=$((0x$at)) iflag=skip_bytes 2>/dev/null |
    sed -n 's/.*ELF.*/memory/p' >>seen
mv seen seen.whole
"""


def tracing_is_open():
    """Whether a process may trace others of its user (Yama)."""
    try:
        scope = pathlib.Path("/proc/sys/kernel/yama/ptrace_scope").read_text()
    except FileNotFoundError:
        return True
    return scope.strip() == "0"


def test_what_is_kept_sees_other_commands(make, connect, place, users):
    """A process that was kept reads the environment of the commands of other
    sessions; and their memory, unless Yama keeps it from that."""
    os.chown(place, *users[1])
    daemon = make(rules=KEEPS)
    first = connect(daemon=daemon)
    assert first.shell(f"({WATCH.format(place=place)}) >/dev/null 2>&1 "
                       "</dev/null &").status == 0
    first.goodbye()
    second = connect(daemon=daemon)
    result = second.shell(
        f"echo $$ >{place}/new && mv {place}/new {place}/pid; "
        f"until test -e {place}/seen.whole; do sleep 0.05; done; "
        f"echo environ $AIS_SESSION; cat {place}/seen.whole")
    mine, seen, *memory = result.stdout.decode().splitlines()
    assert seen == mine
    assert memory == (["memory"] if tracing_is_open() else [])


def test_shared_memory_outlives_its_session(make, connect):
    """System V shared memory is nobody's child: it stays, and the next
    command can use it."""
    if not shutil.which("ipcmk"):
        pytest.skip("needs ipcmk and ipcs")
    daemon = make()
    first = connect(daemon=daemon)
    made = first.run(["ipcmk", "-M", "4096"]).stdout.split()[-1].decode()
    first.goodbye()
    second = connect(daemon=daemon)
    try:
        listed = second.run(["ipcs", "-m"]).stdout.decode()
        assert any(line.split()[1:2] == [made] for line in
                   listed.splitlines()), listed
    finally:
        assert second.run(["ipcrm", "-m", made]).status == 0


def test_arguments_are_visible(make, connect, users):
    """Any user of the machine sees the words of a command, masked in the log
    or not; where /proc hides them, none but its own user and root."""
    words = ["sleep", "600.31"]
    daemon = make(rules='{ name = "sleep"; peers = [ "*" ]; commands = ( '
                  '{ program = "/bin/sleep"; arguments = ( { any = true; } ); '
                  'log_mask = [ "1" ]; } ); }')
    session = connect(daemon=daemon)
    session.hello()
    session.ask(words)
    session.expect(Type.STARTED)
    start = daemon.wait_event("command-start")
    uid, gid = map(str, users[0])
    child, = pathlib.Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children"
                          ).read_text().split()
    look = ["setpriv", "--reuid", uid, "--regid", gid, "--clear-groups",
            "cat", f"/proc/{child}/cmdline"]

    def seen(*before):
        return b"600.31" in subprocess.run([*before, *look],
                                           capture_output=True).stdout
    assert "600.31" not in str(start)
    assert seen()
    usable([*HIDDEN, "hidepid=2"])
    assert not seen(*HIDDEN, "hidepid=2")
