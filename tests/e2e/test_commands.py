# SPDX-License-Identifier: ISC
"""What a command gets, how it is looked up, and how it ends."""

import contextlib
import hashlib
import os
import pathlib
import pwd
import shutil
import signal
import ssl
import subprocess
import tempfile
import time

import pytest

import aisc as client
import aisd
import wire
from aisd import wait_until
from wire import Code, Operation, Type, body, request_frames

IGNORED = {signal.SIGCONT, signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN,
           signal.SIGTTOU, signal.SIGCHLD, signal.SIGURG, signal.SIGWINCH}
DEADLY = [number for number in range(1, 65) if number not in IGNORED]
# Numbers that the C library keeps to itself, and kill(1) does not know.
DEADLY = [number for number in DEADLY if number not in (32, 33)]

# Every word, each with a NUL behind it.
WORDS = ["sh", "-c", r'for w; do printf "%s\0" "$w"; done', "sh"]


def rule(name="r", peers=("*",), **keys):
    """A rule of aisd.conf."""
    keys = {"name": name, "peers": list(peers), **keys}
    return "{ " + "".join(f"{key} = {aisd.setting(value)}; "
                          for key, value in keys.items()) + "}"


def everything(**keys):
    return rule(anything=True, shell=True, **keys)


def refused(result, code, *words):
    """The request was refused with this code and these words."""
    assert result.refused and result.refused.code == code, result
    for word in words:
        assert word in result.refused.text
    assert not result.started
    return result.refused.text


# Ends.

def test_every_exit_status(connect):
    session = connect()
    for status in range(256):
        assert session.run(["sh", "-c", f"exit {status}"]).status == status


def test_every_deadly_signal(connect):
    session = connect()
    for number in DEADLY:
        result = session.run(["sh", "-c", f"kill -{number} $$; sleep 9"])
        assert result.signal == number


@pytest.mark.parametrize("status", [0, 1, 2, 126, 127, 128, 254, 255])
def test_exit_status_of_aisc(aisd, aisc, status):
    done = aisc.run(aisd.port, "sh", "-c", f"exit {status}")
    assert (done.returncode, done.stdout, done.stderr) == (status, b"", b"")
    event = aisd.wait_event("command-end")
    assert (event["exit"], event["reason"]) == (str(status), "exit")
    assert "signal" not in event


@pytest.mark.parametrize("name", ["HUP", "INT", "QUIT", "ABRT", "KILL", "SEGV",
                                  "PIPE", "TERM", "RTMAX"])
def test_signal_in_status_of_aisc(aisd, aisc, name):
    number = getattr(signal, f"SIG{name}")
    done = aisc.run(aisd.port, "sh", "-c", f"kill -{name} $$; sleep 9")
    assert (done.returncode, done.stdout) == (128 + number, b"")
    event = aisd.wait_event("command-end")
    assert (event["signal"], event["reason"]) == (str(int(number)), "signal")
    assert "exit" not in event


def test_statuses_that_look_alike_are_told_apart(aisd, aisc):
    """127 and 126 of the command are silent; those of AIS are not."""
    own = aisc.run(aisd.port, "sh", "-c", "exit 127")
    ours = aisc.run(aisd.port, "no-such-command-here")
    assert own.returncode == ours.returncode == 127
    assert own.stderr == b""
    assert ours.stderr == b"aisc: unknown command: no-such-command-here\n"
    done = aisc.run(aisd.port, "/etc/passwd")
    assert (done.returncode, done.stderr) == \
        (126, b"aisc: cannot execute /etc/passwd: Permission denied\n")


@pytest.mark.parametrize("name", ["HUP", "INT", "QUIT", "TERM", "USR1",
                                  "USR2"])
def test_signal_to_the_command(connect, name):
    session = connect()
    number = session.next_number()
    session.send_raw(request_frames(number, body(Operation.SHELL, [
        f"trap 'echo {name}; exit 7' {name}; echo ready; "
        "while :; do sleep 0.02; done"], windows=(99, 99))))
    session.hello()
    session.expect(Type.STARTED)
    assert session.expect(Type.STDOUT).payload == b"ready\n"
    session.signal(name)
    result = session.follow(number)
    assert (result.status, result.stdout) == (7, f"{name}\n".encode())


@pytest.mark.parametrize("name", ["HUP", "INT", "QUIT", "KILL", "TERM", "USR1",
                                  "USR2"])
def test_signal_that_is_not_caught(connect, name):
    session = connect()
    number = session.next_number()
    session.send_raw(request_frames(number, body(Operation.RUN,
                                                 ["sleep", "60"])))
    session.hello()
    session.expect(Type.STARTED)
    session.signal(name)
    assert session.follow(number).signal == getattr(signal, f"SIG{name}")


@pytest.mark.parametrize("directory", [None, "/tmp"])
def test_signal_right_behind_the_request(connect, directory):
    """It is not lost, whatever the child is doing at that moment."""
    session = connect()
    session.hello()
    for _ in range(20):
        number = session.next_number()
        session.send_raw(request_frames(number, body(
            Operation.RUN, ["sleep", "60"], directory=directory)) +
            wire.frame(Type.SIGNAL, number, b"TERM"))
        assert session.follow(number, timeout=5).signal == signal.SIGTERM


def test_signal_goes_to_the_group(aisd, connect):
    session = connect()
    number = session.next_number()
    session.send_raw(request_frames(number, body(
        Operation.SHELL, ["sleep 61 & sleep 62 & echo ready; wait"],
        windows=(9, 9))))
    session.hello()
    session.expect(Type.STARTED)
    session.expect(Type.STDOUT)
    session.signal("TERM")
    assert session.follow(number).signal == signal.SIGTERM
    wait_until(lambda: not aisd.leftovers(), "the whole group has ended")


# Words.

@pytest.mark.parametrize("words", [
    [""], ["", "", "a", ""], ["$(id)", "`id`", "; id", "| id", "&& id", "*",
                              "~", "$HOME", "a b", "a\nb", "'", '"', "\\"],
    ["-n", "--", "-"], [bytes(range(1, 256))], ["\N{SNOWMAN}", b"\xff\xfe"],
    ["x" * 100 * 1024], ["x" * wire.WORD_MAX], ["y" * 102400] * 8])
def test_words_arrive_unchanged(connect, words):
    result = connect().run([*WORDS, *words])
    assert result.status == 0
    assert result.stdout == b"".join(
        wire.octets(word) + b"\0" for word in words)


def test_words_of_aisc_arrive_unchanged(aisd, aisc):
    words = [b"", bytes(range(1, 256)), b"$(id) `id`; id\n", b"--help", b"-c",
             b"x" * 100 * 1024, b"y" * wire.WORD_MAX, b""]
    done = aisc.run(aisd.port, *WORDS, *words)
    assert done.returncode == 0, done.stderr
    assert done.stdout == b"".join(word + b"\0" for word in words)


def test_a_word_too_long(connect):
    session = connect()
    refused(session.run(["echo", "x" * (wire.WORD_MAX + 1)]), Code.INVALID,
            "too long")
    refused(session.run(["echo", b"a\0b"]), Code.INVALID, "NUL")
    assert session.run(["echo", "next"]).stdout == b"next\n"


def test_most_items(connect):
    """The operation, the windows, and words up to the bound."""
    session = connect()
    most = wire.ITEMS_MAX - 2
    program = ["sh", "-c", "echo $#", "sh"]
    result = session.run(program + [""] * (most - len(program)))
    assert result.stdout == b"%d\n" % (most - len(program))
    refused(session.run(program + [""] * (most - len(program) + 1)),
            Code.INVALID, "too many")
    assert session.run(["true"]).status == 0


def test_longest_body(connect):
    """Eight words of 128 KiB are more than a request may have."""
    session = connect()
    room = wire.BODY_MAX - len(body(Operation.RUN, [*WORDS, ""],
                                    windows=(0, 0)))
    words = []
    while room > 0:
        words.append("z" * min(wire.WORD_MAX, room))
        room -= len(words[-1]) + 5
    result = session.run([*WORDS, *words])
    assert result.stdout == b"".join(w.encode() + b"\0" for w in words)
    with pytest.raises(wire.Goodbye) as goodbye:
        session.run([*WORDS, *words, "a"])
    assert goodbye.value.code == Code.PROTOCOL


def test_a_command_too_long_for_aisc(aisd, aisc):
    done = aisc.run(aisd.port, "echo", *["x" * 131000] * 9)
    assert (done.returncode, done.stdout) == (255, b"")
    assert client.said(done.stderr) == "invalid"
    assert b"1048576" in done.stderr


# Finding and starting.

def test_unknown_command_and_on(aisd, connect):
    session = connect()
    for name in ("no-such-command", "/no/such/command", "./no-such-command",
                 "", "x" * 5000, "a\nb"):
        result = session.run([name, "argument"])
        text = refused(result, Code.UNKNOWN)
        assert text.startswith("unknown command: ")
        assert session.run(["echo", "still here"]).stdout == b"still here\n"
    refused(session.run(["a\nb"]), Code.UNKNOWN)
    assert all("\n" not in line for line in aisd.lines())
    event = aisd.wait_event("command-end", reason="unknown command: "
                            "no-such-command")
    assert "exit" not in event and "signal" not in event


def test_what_cannot_be_executed(connect, tmp_path):
    session = connect()
    plain = tmp_path / "plain"
    plain.write_text("#!/bin/sh\n")
    refused(session.run([str(plain)]), Code.NOT_EXECUTABLE,
            "Permission denied")
    refused(session.run([str(tmp_path)]), Code.NOT_EXECUTABLE,
            "Permission denied")
    refused(session.run([f"{plain}/below"]), Code.UNKNOWN)

    garbage = tmp_path / "garbage"
    garbage.write_bytes(b"no program\n")
    garbage.chmod(0o755)
    refused(session.run([str(garbage)]), Code.NOT_EXECUTABLE,
            "Exec format error")

    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    refused(session.run([str(loop)]), Code.NOT_EXECUTABLE, "symbolic")

    orphan = tmp_path / "orphan"
    orphan.write_text("#!/no/such/interpreter\n")
    orphan.chmod(0o755)
    refused(session.run([str(orphan)]), Code.NOT_EXECUTABLE, "interpreter")

    busy = tmp_path / "busy"
    shutil.copy(shutil.which("true"), busy)
    with open(busy, "r+b"):
        refused(session.run([str(busy)]), Code.NOT_EXECUTABLE,
                "Text file busy")
    assert session.run([str(busy)]).status == 0


def test_search_of_a_name(make_aisd, connect, tmp_path):
    """The first directory of the path that has a program of the name."""
    for name, mode in (("a", 0o644), ("b", 0o755), ("c", 0o755)):
        (tmp_path / name).mkdir()
        program = tmp_path / name / "found"
        program.write_text(f"#!/bin/sh\necho {name}\n")
        program.chmod(mode)
    daemon = make_aisd(path=[str(tmp_path / n) for n in ("no", *"abc")])
    session = connect(daemon=daemon)
    result = session.run(["found"])
    assert result.stdout == b"b\n"
    result = session.run(["/bin/sh", "-c", "echo $PATH"])
    assert result.stdout.decode().strip() == \
        ":".join(str(tmp_path / n) for n in ("no", *"abc"))
    (tmp_path / "b" / "found").chmod(0o644)
    (tmp_path / "c" / "found").chmod(0o644)
    refused(session.run(["found"]), Code.NOT_EXECUTABLE)
    refused(session.run(["ls"]), Code.UNKNOWN)


def test_arguments_longer_than_the_system_takes(make_aisd, connect):
    """The kernel refuses: too much for a small stack."""
    daemon = make_aisd(start=False)
    limited = ["sh", "-c", 'ulimit -s 512 && exec "$@"', "sh"]
    daemon.words = [*limited, *daemon.words]
    daemon.start()
    session = connect(daemon=daemon)
    refused(session.run(["echo", *["x" * 100000] * 4]), Code.NOT_EXECUTABLE,
            "too long")
    assert session.run(["true"]).status == 0


# Directories.

def test_change_of_directory(aisd, connect, tmp_path):
    (tmp_path / "one" / "two").mkdir(parents=True)
    (tmp_path / "link").symlink_to("one")
    (tmp_path / "file").touch()
    session = connect()
    home = os.fsencode(pwd.getpwuid(os.getuid()).pw_dir)

    def here():
        return session.run(["pwd", "-P"]).stdout.rstrip(b"\n")
    assert here() == home
    top = os.fsencode(os.path.realpath(tmp_path))
    for path, where in ((tmp_path, top), ("one", top + b"/one"),
                        ("two", top + b"/one/two"), (".", top + b"/one/two"),
                        ("../..", top), ("link", top + b"/one"),
                        ("/", b"/"), ("..", b"/"), (tmp_path, top)):
        assert session.chdir(str(path)).directory == where
        assert here() == where
    for path, why in (("missing", "No such file"), ("file", "Not a dir"),
                      ("x" * 300, "too long"), ("", "No such file")):
        text = refused(session.chdir(path), Code.DIRECTORY, why)
        assert text.startswith("cannot enter the directory ")
        assert here() == top
    assert session.chdir().directory == home
    assert here() == home
    # It is the session's and no one else's.
    session.chdir(str(tmp_path))
    session.close()
    assert connect().run(["pwd", "-P"]).stdout.rstrip(b"\n") == home


def test_directory_of_one_command(connect, tmp_path):
    (tmp_path / "one").mkdir()
    session = connect()
    assert session.chdir(str(tmp_path)).directory
    for path in ("one", str(tmp_path / "one"), "./one/../one"):
        assert session.run(["pwd", "-P"], directory=path).stdout == \
            os.fsencode(os.path.realpath(tmp_path / "one")) + b"\n"
        assert session.run(["pwd", "-P"]).stdout == \
            os.fsencode(os.path.realpath(tmp_path)) + b"\n"
    refused(session.run(["true"], directory="two"), Code.DIRECTORY)
    refused(session.run(["true"], directory="a\0b"), Code.INVALID)
    refused(session.run(["true"], directory="x" * 4096), Code.INVALID)
    refused(session.chdir("x" * 5000), Code.DIRECTORY)
    # A program with a slash is looked for from there.
    script = tmp_path / "one" / "script"
    script.write_text("#!/bin/sh\necho found\n")
    script.chmod(0o755)
    assert session.run(["./script"], directory="one").stdout == b"found\n"
    refused(session.run(["./script"]), Code.UNKNOWN)


def test_directory_that_goes_away(connect, tmp_path):
    session = connect()
    gone = tmp_path / "gone"
    gone.mkdir()
    assert session.chdir(str(gone)).directory
    gone.rmdir()
    refused(session.run(["true"]), Code.DIRECTORY)
    assert session.chdir("/").directory == b"/"
    assert session.run(["true"]).status == 0


def test_configured_directory(make_aisd, connect, tmp_path):
    """A session begins there; the home is another thing."""
    home = os.fsencode(pwd.getpwuid(os.getuid()).pw_dir)
    daemon = make_aisd(directory=str(tmp_path))
    session = connect(daemon=daemon)
    top = os.fsencode(os.path.realpath(tmp_path))
    assert session.run(["sh", "-c", "pwd -P; echo $HOME"]).stdout == \
        top + b"\n" + home + b"\n"
    session.chdir("/")
    assert session.chdir().directory == top


def test_directory_of_aisc(aisd, aisc, tmp_path):
    top = os.path.realpath(tmp_path)
    done = aisc.run(aisd.port, "pwd", "-P", options=["-C", top])
    assert (done.returncode, done.stdout) == (0, os.fsencode(top) + b"\n")
    done = aisc.run(aisd.port, "pwd", options=["-C", f"{top}/missing"])
    assert (done.returncode, done.stdout) == (255, b"")
    assert client.said(done.stderr) == "directory"
    done = aisc.run(aisd.port, input=b"cd %s\npwd -P\ncd /\npwd\n/bin/pwd\n"
                    b"cd nowhere\n/bin/pwd\n" % os.fsencode(top))
    assert done.stdout == os.fsencode(top) + b"\n/\n/\n"
    assert client.said(done.stderr) == "directory"


# The environment.

def environment(result):
    assert result.status == 0
    return dict(line.split("=", 1) for line in
                result.stdout.decode().splitlines())


def test_environment_is_built_from_nothing(make_aisd, connect, alice):
    """Nothing that aisd was started with is in it."""
    daemon = make_aisd(start=False)
    dirty = {name: "dirty" for name in (
        "IFS", "BASH_ENV", "ENV", "LC_ALL", "LANGUAGE", "LD_LIBRARY_PATH",
        "CREDENTIALS_DIRECTORY", "TMPDIR", "JOURNAL_STREAM", "INVOCATION_ID",
        "SECRET", "HOME", "USER", "SHELL")}
    daemon.env = {**{name: value for name, value in os.environ.items()
                     if name.endswith("SAN_OPTIONS")}, **dirty,
                  "PATH": "/dirty:" + os.environ["PATH"],
                  "LISTEN_FDS": "2", "LISTEN_PID": "1"}
    daemon.start()
    session = connect(daemon=daemon)
    got = environment(session.run(["env"]))
    account = pwd.getpwuid(os.getuid())
    with open(alice.cert, encoding="ascii") as file:
        der = ssl.PEM_cert_to_DER_cert(file.read())
    mark, value = daemon.mark.split("=")
    event = daemon.wait_event("session-open")
    assert got == {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:"
                "/bin",
        "HOME": account.pw_dir, "USER": account.pw_name,
        "LOGNAME": account.pw_name, "SHELL": "/bin/sh", "LANG": "C.UTF-8",
        "AIS_SESSION": session.hello()[wire.Item.SESSION].decode(),
        "AIS_REQUEST": "1", "AIS_PEER_CN": "alice",
        "AIS_PEER_SUBJECT": event["subject"],
        "AIS_PEER_SERIAL": alice.serial,
        "AIS_PEER_FINGERPRINT": hashlib.sha256(der).hexdigest(),
        "AIS_PEER_ADDR": "127.0.0.1", mark: value}
    assert "CN=alice" in got["AIS_PEER_SUBJECT"].split(",")
    again = environment(session.run(["env"]))
    assert again == {**got, "AIS_REQUEST": "2"}
    # The same for a shell.
    shell = environment(session.shell("env"))
    assert {**shell, "AIS_REQUEST": "1"} == \
        {**got, "PWD": shell["PWD"], **{n: shell[n] for n in
                                        ("OLDPWD", "SHLVL", "_")
                                        if n in shell}}


def test_environment_of_the_client(make_aisd, connect):
    """A rule says which variables it accepts."""
    daemon = make_aisd(rules=everything(
        accept_environment=["OK", "A_*", "*_END", "LD_PRELOAD", "PATH",
                            "AIS_REQUEST"]))
    session = connect(daemon=daemon)

    def env(**variables):
        return session.run(["/usr/bin/env"], env=variables)
    got = environment(env(OK="1", A_="x", A_b="y = z", B_END="", LD_PRELOAD="",
                          PATH="/bin"))
    for name, value in (("OK", "1"), ("A_", "x"), ("A_b", "y = z"),
                        ("B_END", ""), ("PATH", "/bin"), ("LD_PRELOAD", "")):
        assert got[name] == value
    for name in ("NO", "OKAY", "ok", "A", "LD_LIBRARY_PATH", "LD_A_END",
                 "BASH_ENV", "AIS_REQUEST", "AIS_PEER_CN", "HOME"):
        refused(env(**{name: "x"}), Code.DENIED, name)
    for name in ("", "1A_", "A_-b", "A_ b", "A_\N{SNOWMAN}", "A_" + "x" * 254):
        refused(env(**{name: "x"}), Code.INVALID)
    assert env(**{"A_" + "x" * 253: "1"}).status == 0
    # The last one of a name counts.
    number = session.next_number()
    session.send_raw(request_frames(number, body(
        Operation.RUN, ["printenv", "OK"], {"OK": "first"}, windows=(99, 99)) +
        wire.item(wire.Item.ENV, b"OK=last")))
    assert session.follow(number).stdout == b"last\n"
    # All or nothing.
    refused(env(OK="1", NO="2"), Code.DENIED, "NO")


def test_usual_environment(make_aisd, connect):
    """What a rule accepts that does not say."""
    daemon = make_aisd(rules=everything())
    session = connect(daemon=daemon)
    for name in ("LANG", "LC_ALL", "TERM", "TZ"):
        got = environment(session.run(["env"], env={name: "value"}))
        assert got[name] == "value"
    refused(session.run(["env"], env={"ANY": "1"}), Code.DENIED, "ANY")


# What reads the environment, each with something to do.
READERS = [
    ["bash", "-c", "true; printf '%(%c)T' -1; [[ a < b ]]"],
    ["bash", "-lic", "echo x"], ["dash", "-c", "date"],
    ["perl", "-MPOSIX", "-e", "setlocale(LC_ALL, ''); print localtime(0)"],
    ["python3", "-c", "import locale, time; locale.setlocale(0, 'C'); "
     "time.tzset(); print(time.ctime())"],
    ["date"], ["ls", "-l", "/"], ["sort", "/etc/passwd"], ["tput", "cols"],
    ["git", "--version"], ["awk", "BEGIN { print 1 }"], ["sed", "s/x/y/"]]


def test_accepted_variables_are_no_code(make_aisd, connect, tmp_path):
    """No value that passes is run, or opened, by what reads it."""
    made = tmp_path / "made"
    touch = "touch made"
    session = connect(daemon=make_aisd(rules=everything()))
    for value in (f"$({touch})", f"`{touch}`", f"() {{ :; }}; {touch}",
                  f"a[$({touch})]", f"x; {touch}", f"| {touch}", f"\n{touch}\n",
                  f"@{{[`{touch}`]}}", "made", ":made", "C.made", "made@made"):
        env = {name: value for name in ("LANG", "LC_ALL", "LC_MESSAGES",
                                        "LC_X", "TERM", "TZ", "GIT_PROTOCOL")}
        for words in READERS:
            result = session.run(words, env=env, directory=str(tmp_path))
            assert result.refused is None or \
                result.refused.code == Code.UNKNOWN, words
        assert not made.exists(), value


def test_environment_of_aisc(aisd, aisc, make_aisd):
    done = aisc.run(aisd.port, "sh", "-c", 'echo "$ONE-$TWO"',
                    options=["-e", "ONE=1 1", "--env", "TWO="])
    assert done.stdout == b"1 1-\n"
    # Its own environment stays where it is.
    done = aisc.run(aisd.port, "env", env={"LC_ALL": "de_DE", "X_SECRET": "y"})
    assert b"de_DE" not in done.stdout and b"X_SECRET" not in done.stdout
    other = make_aisd(rules=everything())
    done = aisc.run(other.port, "env", options=["-e", "LD_PRELOAD=/x.so"])
    assert (done.returncode, done.stdout) == (255, b"")
    assert client.said(done.stderr) == "denied"
    assert b"LD_PRELOAD" in done.stderr


# What else a command is born with.

DESCRIPTORS = """import fcntl, os
for fd in range(4096):
    try:
        fcntl.fcntl(fd, fcntl.F_GETFD)
    except OSError:
        continue
    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    print(fd, os.readlink(f"/proc/self/fd/{fd}").split(":")[0], bool(
        flags & os.O_NONBLOCK))"""


def test_descriptors(aisd, connect):
    expected = b"0 pipe False\n1 pipe False\n2 pipe False\n"
    session = connect()
    probe = ["python3", "-c", DESCRIPTORS]
    assert session.run(probe, stdin=b"").stdout == expected
    for _ in range(100):
        assert session.run(["true"]).status == 0
    aisd.reload()
    assert session.run(probe, stdin=b"").stdout == expected
    assert session.run(probe).stdout == \
        expected.replace(b"0 pipe", b"0 /dev/null")
    # Beside a process that has stayed behind, a start is another one.
    session.shell("sleep 30 >&- 2>&- &")
    assert session.run(probe, stdin=b"").stdout == expected


def test_signals_umask_and_session(make_aisd, connect):
    """aisd was started with a mask and with signals that are ignored."""
    daemon = make_aisd(start=False)
    daemon.words = ["env", "--ignore-signal=HUP,INT,QUIT,PIPE,USR2,TTOU",
                    "--block-signal=TERM,USR1,CHLD,WINCH", *daemon.words]
    daemon.start()
    session = connect(daemon=daemon)
    for directory in (None, "/tmp"):    # Two ways to start.
        status = dict(
            line.split(":\t", 1) for line in
            session.run(["cat", "/proc/self/status"],
                        directory=directory).stdout.decode().splitlines())
        for name in ("SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt"):
            assert int(status[name], 16) == 0, name
        assert status["Umask"] == "0022"
        assert status["NoNewPrivs"] == "1"
        # Process, parent, group and session, as stat(5) has them.
        fields = session.run(["cat", "/proc/self/stat"],
                             directory=directory).stdout.split()
        assert fields[0] == fields[4] == fields[5] != b"%d" % daemon.pid
        assert fields[3] == b"%d" % daemon.pid and fields[6] == b"0"
    daemon.configure(umask="077")
    daemon.reload()
    assert session.run(["sh", "-c", "umask"]).stdout == b"0077\n"


# Rules.

def test_first_rule_that_matches(make_aisd, connect, authority):
    daemon = make_aisd(rules=", ".join((
        rule("ops", ["ops-*", "root.example"], anything=True),
        rule("some", ["al*e", "bob"], commands=["/usr/bin/id", "/bin/echo"]),
        rule("late", ["alice"], anything=True, shell=True),
        rule("none", ["nobody"]))))
    alice, bob, ops, nobody, other, sneaky = (
        authority.make(name) for name in (
            "alice", "bob", "ops-1", "nobody", "malice", "xops-1"))

    session = connect(alice, daemon)
    assert session.run(["echo", "x"]).stdout == b"x\n"
    assert session.run(["/bin/echo", "x"]).stdout == b"x\n"
    assert session.run(["id", "-u"]).status == 0
    for words in (["ls"], ["/bin/ls"], ["/usr/bin/../bin/id"], ["./id"],
                  ["/tmp/echo"], ["ECHO"], ["echo "], ["sh", "-c", "id"]):
        refused(session.run(words), Code.DENIED, "some", "alice")
    text = refused(session.shell("id"), Code.DENIED, "some", "shell")
    assert "alice" in text
    refused(session.run([""]), Code.UNKNOWN)

    assert connect(ops, daemon).run(["ls", "/"]).status == 0
    refused(connect(ops, daemon).shell("ls"), Code.DENIED, "shell")
    assert connect(bob, daemon).run(["echo"]).status == 0
    refused(connect(nobody, daemon).run(["echo"]), Code.DENIED)
    for pair in (other, sneaky):
        said = connect(pair, daemon).sent_away()
        assert said.code == Code.DENIED
        assert "no rule" in said.text and str(pair.name) in said.text
    event = daemon.wait_event("command-refused", peer="alice", count=8)
    assert event["rule"] == "some" and "reason" in event
    assert not daemon.events("command-start", argv="ls")


@pytest.fixture
def connect(aisd, alice):
    """As the common one, but for one session after another: a new one closes
    those before it."""
    clients = []

    def open_session(pair=alice, daemon=aisd, **options):
        while clients:
            clients.pop().close()
        clients.append(wire.Client(daemon.port, *pair[:3], **options))
        return clients[-1]
    yield open_session
    for session in clients:
        session.close()


def test_no_rules(make_aisd, connect, aisc):
    daemon = make_aisd(rules=" ")
    said = connect(daemon=daemon).sent_away()
    assert said.code == Code.DENIED and "no rule" in said.text
    done = aisc.run(daemon.port, "true")
    assert done.returncode == 255
    assert client.said(done.stderr) == "denied"
    assert not daemon.events("command-start")


def test_shell(make_aisd, connect, aisc, tmp_path):
    """It is granted by a rule, and is what is configured."""
    program = tmp_path / "shell"
    program.write_text('#!/bin/sh\nprintf "%s|" "$0" "$@"\n')
    program.chmod(0o755)
    daemon = make_aisd(rules=everything(), shell_program=str(program))
    line = "one 'two  three' $(four) ; five"
    done = aisc.run(daemon.port, options=["-c", line])
    assert done.stdout == f"{program}|-c|{line}|".encode()
    event = daemon.wait_event("command-end")
    assert "argv" not in event and line in event["line"].replace("'\\''", "'")
    daemon.configure(rules=rule(anything=True))
    daemon.reload()
    done = aisc.run(daemon.port, options=["-c", line])
    assert (done.returncode, done.stdout) == (255, b"")
    assert client.said(done.stderr) == "denied"


# Limits.

def test_time_limit(make_aisd, connect, aisc):
    daemon = make_aisd(rules=everything(time_limit=0.5), kill_grace=5)
    session = connect(daemon=daemon)
    result = session.run(["sh", "-c", "echo begun; sleep 60"])
    assert result.exit.reason == Code.TIMEOUT and result.status is None
    assert result.stdout == b"begun\n"
    assert 500000 <= result.exit.duration_us < 5000000
    # It may still say something at its end.
    result = session.run(["sh", "-c", "trap 'echo bye; exit 0' TERM; "
                          "while :; do sleep 0.02; done"])
    assert result.exit.reason == Code.TIMEOUT
    assert (result.exit.end, result.exit.status) == (wire.End.EXIT, 0)
    assert result.stdout == b"bye\n"
    assert session.run(["echo", "quick"]).stdout == b"quick\n"
    event = daemon.wait_event("command-end", reason="time-limit", count=2)
    assert event["exit"] == "0"
    session.close()
    done = aisc.run(daemon.port, "sleep", "60")
    assert done.returncode == 255
    assert client.said(done.stderr) == "timeout"


@pytest.mark.parametrize("limit", [1, 4096, 100000])
def test_output_limit(make_aisd, connect, aisc, limit):
    daemon = make_aisd(rules=everything(output_limit=limit))
    session = connect(daemon=daemon)
    result = session.run(["head", "-c", str(limit), "/dev/zero"])
    assert (result.status, result.stdout) == (0, bytes(limit))
    result = session.run(["head", "-c", str(limit + 1), "/dev/zero"])
    assert result.exit.reason == Code.OUTPUT
    assert result.stdout == bytes(limit) and result.exit.out_bytes == limit
    result = session.run(["yes"])
    assert result.exit.reason == Code.OUTPUT
    assert len(result.stdout) == limit
    # Both outputs count.
    result = session.run(["sh", "-c",
                          f"head -c {limit} /dev/zero; echo x >&2"])
    assert result.exit.reason == Code.OUTPUT
    assert result.exit.out_bytes + result.exit.err_bytes == limit
    session.close()
    process = aisc.start(daemon.port, "yes")
    out, err = process.communicate()
    assert (process.returncode, len(out)) == (255, limit)
    assert client.said(err) == "limit"
    assert daemon.wait_event("command-end", reason="output-limit", count=4)


TREE = """
trap '' TERM HUP INT
for i in 1 2 3 4; do (setsid sleep 300 & sleep 300 &) & done
(setsid sh -c "(sleep 300 &) & sleep 300" &)
echo planted
sleep 300
"""


@pytest.mark.parametrize("how", ["time-limit", "gone", "stop"])
def test_trees_that_ignore_term(make_aisd, connect, slowness, how):
    """They get a grace, and are gone right behind it."""
    daemon = make_aisd(kill_grace=0.3, rules=everything(
        time_limit=2 if how == "time-limit" else 0))
    session = connect(daemon=daemon)
    number = session.next_number()
    session.send_raw(request_frames(number, body(Operation.SHELL, [TREE],
                                                 windows=(99, 99))))
    session.hello()
    session.expect(Type.STARTED)
    assert session.expect(Type.STDOUT).payload == b"planted\n"
    wait_until(lambda: len(daemon.leftovers()) >= 11, "the tree has grown")
    if how == "time-limit":
        assert session.follow(number).exit.reason == Code.TIMEOUT
        assert not daemon.leftovers()
        assert session.run(["true"]).status == 0
        return
    before = time.monotonic()
    if how == "gone":
        session.reset()
        daemon.wait_event("session-close")
    else:
        daemon.process.terminate()
        assert session.follow(number).exit.reason == Code.STOPPING
    assert not daemon.leftovers()
    assert 0.3 <= time.monotonic() - before < 1.5 * slowness


def test_grace(make_aisd, connect, tmp_path):
    """Who wants to tidy up after TERM can do so."""
    daemon = make_aisd(kill_grace=20)
    session = connect(daemon=daemon)
    number = session.next_number()
    session.send_raw(request_frames(number, body(Operation.SHELL, [
        f"trap 'sleep 0.3; echo tidy >{tmp_path}/done; exit 0' TERM; "
        "echo ready; while :; do sleep 0.02; done"], windows=(99, 99))))
    session.hello()
    session.expect(Type.STARTED)
    session.expect(Type.STDOUT)
    session.cut()
    event = daemon.wait_event("command-end", timeout=5)
    assert event["exit"] == "0"
    assert (tmp_path / "done").read_text() == "tidy\n"


def test_stopped_tree(make_aisd, connect):
    """SIGSTOP does not save a command from TERM."""
    daemon = make_aisd(kill_grace=20)
    session = connect(daemon=daemon)
    number = session.next_number()
    session.send_raw(request_frames(number, body(
        Operation.SHELL, ["kill -STOP $$"])))
    session.hello()
    session.expect(Type.STARTED)

    def is_stopped():
        pids = daemon.descendants()
        return pids and open(f"/proc/{pids[0]}/stat").read().split()[2] == "T"
    wait_until(is_stopped, "it has stopped")
    session.cut()
    event = daemon.wait_event("command-end", timeout=5)
    assert event["signal"] == str(int(signal.SIGTERM))


# When there are no processes to be had.  The limit does not hold root, so
# aisd is started as root and becomes other users.

ROOM = 4                # So many processes more than there are.
CROWD = 3 * ROOM        # More than that, should some others end.


def processes_of(user):
    """How many processes, as RLIMIT_NPROC counts them, a user has now."""
    uid = str(pwd.getpwnam(user).pw_uid)
    count = 0
    for task in pathlib.Path("/proc").glob("[0-9]*/task/*/status"):
        with contextlib.suppress(OSError):
            count += task.read_text().split("\nUid:")[1].split()[0] == uid
    return count


@pytest.fixture
def privileged_aisd(program, localhost, slowness):
    """A function that starts an aisd as root, which becomes other users.
    "limited" is one of them, who can have few processes more than now."""
    daemons, directories = [], []

    def start(user, command_user, limited=None):
        if os.getuid() != 0:
            pytest.skip("needs root, to become other users")
        if limited and not shutil.which("prlimit"):
            pytest.skip("there is no prlimit(1)")
        try:
            uid = pwd.getpwnam(user).pw_uid
            pwd.getpwnam(command_user)
        except KeyError as e:
            pytest.skip(str(e))
        # It has to be where these users can go.
        directory = pathlib.Path(tempfile.mkdtemp())
        directories.append(directory)
        directory.chmod(0o755)
        pair = localhost._replace(**{
            part: shutil.copy(getattr(localhost, part), directory / part)
            for part in ("cert", "key", "ca")})
        os.chown(directory, uid, -1)    # For the log.
        os.chown(pair.key, uid, -1)
        words = program("aisd")
        if limited:
            most = processes_of(limited) + ROOM
            words = ["prlimit", f"--nproc={most}", *words]
        daemon = aisd.Daemon(
            words, directory, pair, slowness=slowness, unprivileged=None,
            user=user, command_user=command_user, directory="/",
            kill_grace=0.2,
            # The search for leaks needs a process, and to trace aisd.
            env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})
        daemons.append(daemon)
        return daemon.start()
    yield start
    try:
        for daemon in daemons:
            daemon.stop()
    finally:
        for daemon in daemons:
            daemon.kill()
        for directory in directories:
            shutil.rmtree(directory)


@contextlib.contextmanager
def crowd(user):
    """More processes of this user than the limit of the tests below."""
    with contextlib.ExitStack() as stack:
        for _ in range(CROWD):
            process = subprocess.Popen(["sleep", "60"], user=user,
                                       extra_groups=[])
            stack.callback(process.wait)
            stack.callback(process.kill)
        yield


def test_no_process_for_the_daemon(privileged_aisd, connect):
    daemon = privileged_aisd("games", "news", "games")
    session = connect(daemon=daemon)
    session.hello()
    with crowd("games"):
        for _ in range(3):
            refused(session.run(["true"]), Code.RESOURCES, "temporarily")
            refused(session.chdir("/"), Code.RESOURCES)
    event = daemon.wait_event("command-end", count=3)
    assert "exit" not in event
    assert session.run(["true"]).status == 0


def test_no_process_for_the_command(privileged_aisd, connect):
    daemon = privileged_aisd("irc", "uucp", "uucp")
    session = connect(daemon=daemon)
    assert session.run(["id", "-un"]).stdout == b"uucp\n"
    with crowd("uucp"):
        text = refused(session.run(["true"]), Code.RESOURCES)
        assert text.startswith("cannot start true: ")
        assert "temporarily" in text
    assert session.run(["true"]).status == 0


def test_directory_that_the_command_may_not_enter(privileged_aisd, connect,
                                                  tmp_path):
    daemon = privileged_aisd("list", "mail")
    session = connect(daemon=daemon)
    closed = tmp_path / "closed"        # pytest's are for their owner alone.
    closed.mkdir(mode=0o700)
    refused(session.chdir(str(closed)), Code.DIRECTORY, "Permission denied")
    refused(session.run(["true"], directory=str(closed)), Code.DIRECTORY,
            "Permission denied")
    assert session.run(["pwd"]).stdout == b"/\n"


def test_reload_does_not_change_users(privileged_aisd, connect):
    """What only a restart can change stays as it is until then."""
    daemon = privileged_aisd("proxy", "backup")
    session = connect(daemon=daemon)
    assert session.run(["id", "-un"]).stdout == b"backup\n"
    daemon.configure(command_user="lp", user="man", allow_setuid=True)
    daemon.reload()
    assert "restart" in daemon.wait_event("message", level="warning")["msg"]
    for _ in range(2):
        assert session.run(["id", "-un"]).stdout == b"backup\n"
        assert session.run(["sh", "-c", "echo $USER"]).stdout == b"backup\n"
        session = connect(daemon=daemon)
