# SPDX-License-Identifier: ISC
"""Rules in a real daemon: what they grant, limit, refuse and record."""

import os
import pathlib
import re
import signal
import subprocess
import threading
import time

import pytest

import wire
from aisd import wait_until
from machine import INSTRUMENTED
from wire import Code

INSIDE, OUTSIDE = b"inside\n", b"outside\n"


def commands(*entries, more=""):
    """A rule that grants these commands to everybody."""
    return '{ name = "r"; peers = [ "*" ]; ' + more + " commands = ( " + \
        ", ".join(entries) + " ); }"


def command(name, program, arguments="", more=""):
    return f'{{ name = "{name}"; program = "{program}"; ' \
        f"arguments = ( {arguments} ); {more} }}"


def shell(name, line, more=""):
    """A command that runs one fixed line."""
    return command(name, "/bin/sh", f'"-c", "{line}"', more)


def refused(result, code=Code.DENIED):
    assert result.refused and result.refused.code == code, result
    assert not result.started
    return result.refused.text


def last(daemon, kind):
    return wait_until(lambda: daemon.events(kind), kind)[-1]


# What is granted, and nothing else.

def test_slots(serve):
    daemon, session = serve(commands(command(
        "svc", "/bin/echo", '"svc", { one_of = [ "start", "stop" ]; }, '
        '{ match = [ "~[a-z]+" ]; }, { min = -1; max = 10; }')))
    assert session.run(["svc", "start", "web", "7"]).stdout == \
        b"svc start web 7\n"
    for words in (["svc", "restart", "web", "7"], ["svc", "start", "web\n", "7"],
                  ["svc", "start", "web;id", "7"], ["svc", "start", "web"],
                  ["svc", "start", "web", "07"], ["svc", "start", "web", "11"],
                  ["svc", "start", "web", "7", "8"], ["echo", "x"],
                  ["/bin/cat"], ["../bin/echo"], ["svc ", "start"]):
        before = len(daemon.events("command-refused"))
        assert "rule \"r\"" in refused(session.run(words)), words
        wait_until(lambda: len(daemon.events("command-refused")) == before + 1,
                   "a record")
    refused(session.shell("id"))
    refused(session.chdir("/"))
    assert len(daemon.events("command-start")) == 1


def test_several_entries_of_one_program(serve):
    """They are tried in order, by name and by path; a refusal names what would
    have fitted."""
    def echo(arguments):
        return f'{{ program = "/bin/echo"; arguments = ( {arguments} ); }}'
    daemon, session = serve(commands(
        echo('"status", { any = true; }'),
        echo('{ flag = "-n"; optional = true; }, "restart", '
             '{ one_of = [ "web", "cart" ]; }'),
        command("account", "/bin/echo", '"A", { one_of = [ "create" ]; }, '
                "{ any = true; }"),
        command("account", "/bin/echo", '"B", { one_of = [ "delete" ]; }, '
                "{ any = true; }", 'nice = 19;')))
    for words, out in ((["echo", "status", "x"], b"status x\n"),
                       (["/bin/echo", "status", "x"], b"status x\n"),
                       (["echo", "restart", "cart"], b"restart cart\n"),
                       (["/bin/echo", "-n", "restart", "web"],
                        b"restart web"),
                       (["account", "create", "joe"], b"A create joe\n"),
                       (["account", "delete", "joe"], b"B delete joe\n")):
        assert session.run(words).stdout == out, words
    for words, why in (
            (["/bin/echo", "db"], 'argument 1 of echo must be "status", or '
             '"-n", or "restart"'),
            (["echo", "restart", "db"], 'must be one of "web", "cart"'),
            (["echo", "restart"], "lacks its argument 2"),
            (["account", "rename", "joe"], 'must be "create", or "delete"'),
            (["account", "delete"], "lacks its argument 2, any word"),
            (["echo", "-n", "status", "x"], 'must be "restart"')):
        assert why in refused(session.run(words)), words
    assert last(daemon, "command-refused")["command"] == "echo"


def test_secrets_of_other_entries(serve):
    """A word that any entry of the name masks is in no log, whichever entry
    the words are for."""
    daemon, session = serve(commands(
        command("login", "/bin/echo", '{ one_of = [ "in" ]; }, { any = true; }',
                'log_mask = [ "2" ];'),
        command("login", "/bin/echo", '{ one_of = [ "out" ]; }, '
                '{ match = "u*"; }', 'log_mask = [ "--token" ];')))
    assert session.run(["login", "out", "uSECRET1"]).status == 0
    refused(session.run(["login", "out", "SECRET2"]))
    refused(session.run(["login", "up", "--token", "SECRET3"]))
    refused(session.run(["login", "--token=SECRET4"]))
    wait_until(lambda: len(daemon.events("command-refused")) == 3, "records")
    assert "SECRET" not in daemon.log.read_text()


def test_a_path_in_an_option(serve, tree):
    daemon, session = serve(commands(command(
        "copy", "/bin/dd", '"status=none", { flag = "if="; below = '
        f'"{tree}/pub"; }}')))
    for word in ("if=file", f"if={tree}/pub/file", "if=./in"):
        assert session.run(["copy", word]).stdout == INSIDE, word
    for word in ("if=../secret/file", "if=/etc/passwd", "file", "of=file",
                 "if=out"):
        refused(session.run(["copy", word]))
    for more in ("pinned = true;", "pinned = false;"):
        daemon, session = serve(commands(command(
            "copy", "/bin/dd", '"status=none", { flag = "if="; below = '
            f'"{tree}/pub"; {more} }}')))
        assert session.run(["copy", "if=in"]).stdout == INSIDE


def test_a_word_with_a_nul(serve):
    daemon, session = serve(commands('"/bin/echo"'))
    refused(session.run([b"echo", b"a\0b"]), Code.INVALID)
    assert not daemon.events("command-start")


@pytest.mark.parametrize("name", ["LD_PRELOAD", "PATH", "BASH_ENV", "IFS",
                                  "ENV", "AIS_PEER_CN", "LD_LIBRARY_PATH"])
def test_variables_that_no_pattern_grants(serve, name):
    daemon, session = serve('{ name = "r"; peers = [ "*" ]; anything = true; '
                            'accept_environment = [ "*" ]; }')
    assert name in refused(session.run(["true"], env={name: "/tmp/x"}))
    assert last(daemon, "command-refused")["argv"] == "true"
    assert session.run(["sh", "-c", "echo $OTHER"],
                       env={"OTHER": "x"}).stdout == b"x\n"


def test_a_program_that_others_can_change(serve, trusted_path):
    program = trusted_path / "program"
    program.write_text("#!/bin/sh\necho ran\n")
    program.chmod(0o757)
    daemon, session = serve(commands(command("p", program)))
    assert "could change" in refused(session.run(["p"]), Code.NOT_EXECUTABLE)
    program.chmod(0o755)
    assert session.run(["p"]).stdout == b"ran\n"
    # A directory on its way, sticky or not, and a link's own way.
    trusted_path.chmod(0o1777)
    refused(session.run(["p"]), Code.NOT_EXECUTABLE)
    trusted_path.chmod(0o755)
    real = trusted_path / "open"
    real.mkdir()
    real.chmod(0o777)
    program.rename(real / "program")
    program.symlink_to("open/program")
    refused(session.run(["p"]), Code.NOT_EXECUTABLE)
    real.chmod(0o755)
    assert session.run(["p"]).stdout == b"ran\n"
    program.unlink()
    refused(session.run(["p"]), Code.UNKNOWN)


def test_a_program_is_executed_by_its_path(serve, trusted_path):
    """Whatever a script asks about itself, it is told as without us."""
    program = trusted_path / "tool"
    program.write_text('#!/bin/sh\necho "$0 $(basename "$0")"\n'
                       '. "$(dirname "$0")/lib.sh"\nls /proc/$$/fd\n')
    program.chmod(0o755)
    (trusted_path / "lib.sh").write_text("echo sourced\n")
    (trusted_path / "other").symlink_to("tool")
    perl = trusted_path / "check.pl"
    perl.write_text('#!/usr/bin/perl\nprint "CRITICAL $0\\n"; exit 2;\n')
    perl.chmod(0o755)
    daemon, session = serve(commands(
        f'"{program}", "{perl}", "{trusted_path}/other", ' +
        command("named", program)))
    for call, name in (("tool", "tool"), (str(program), "tool"),
                       ("named", "tool"), ("other", "other")):
        result = session.run([call])
        shell_own = {b"10"}     # Where dash(1) has its script.
        words = result.stdout.split()
        assert result.status == 0
        assert words[:3] == [f"{trusted_path}/{name}".encode(),
                             name.encode(), b"sourced"]
        assert set(words[3:]) - shell_own == {b"0", b"1", b"2"}
    result = session.run(["check.pl"])
    assert (result.stdout, result.status) == \
        (f"CRITICAL {perl}\n".encode(), 2)


# Paths.

@pytest.fixture
def tree(tmp_path):
    """A directory with a file, and one outside of it."""
    for name, text in (("pub", INSIDE), ("secret", OUTSIDE)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(text)
    (tmp_path / "pub" / "out").symlink_to("../secret/file")
    (tmp_path / "pub" / "in").symlink_to("file")
    return tmp_path


def show(tree, more=""):
    return commands(command("show", "/bin/cat",
                            f'{{ below = "{tree}/pub"; {more} }}'))


@pytest.mark.parametrize("more", ["", "pinned = false;", "pinned = true;"])
def test_paths(serve, tree, more):
    daemon, session = serve(show(tree, more))
    for path in ("file", "./file", "in", f"{tree}/pub/file", ".//file"):
        assert session.run(["show", path]).stdout == INSIDE, path
    for path in ("../secret/file", "out", "/etc/passwd", f"{tree}/secret/file",
                 f"{tree}/pub/../secret/file", "x/../../secret/file",
                 f"{tree}/public"):
        refused(session.run(["show", path]))
    # Either the words were refused, or the start, which is on record.
    ends = [e for e in daemon.events("command-end")
            if "leads out" in e["reason"]]
    assert ends and daemon.events("command-refused")


def test_what_a_path_is_handed_over_as(serve, tree):
    """A path as it was asked for, made absolute; or a descriptor, on demand."""
    for more, path, wanted in (
            ("", "file", f"{tree}/pub/file"),
            ("", "./a//", f"{tree}/pub/./a//"),
            ("", f"{tree}/pub//file", f"{tree}/pub//file"),
            ("", ".", f"{tree}/pub/."), ("", "new", f"{tree}/pub/new"),
            ("pinned = false;", "in", f"{tree}/pub/in"),
            ("pinned = true;", "in", "/proc/self/fd/10"),
            ("pinned = true;", "new", "/proc/self/fd/10/new")):
        (tree / "pub" / "a").mkdir(exist_ok=True)
        daemon, session = serve(commands(command(
            "echo", "/bin/echo", f'{{ below = "{tree}/pub"; {more} }}')))
        assert session.run(["echo", path]).stdout.decode() == wanted + "\n"


def test_a_link_that_moves(serve, tree, slowness):
    """Whoever swaps what a path names is too early, or too late."""
    daemon, session = serve(show(tree, "pinned = true;"))
    (tree / "pub" / "dir").mkdir()
    (tree / "pub" / "dir" / "file").write_bytes(INSIDE)
    stop = threading.Event()

    def flip():
        while not stop.is_set():
            os.rename(tree / "pub/dir", tree / "pub/real")
            os.symlink("../secret", tree / "pub/dir")
            os.unlink(tree / "pub/dir")
            os.rename(tree / "pub/real", tree / "pub/dir")
    thread = threading.Thread(target=flip)
    thread.start()
    try:
        seen = []
        while len(seen) < 400 or (len(seen) < 20000 and not any(
                r.stdout == INSIDE for r in seen)):
            seen.append(session.run(["show", "dir/file"]))
    finally:
        stop.set()
        thread.join()
    assert {r.stdout for r in seen} <= {INSIDE, b""}
    assert any(r.stdout == INSIDE for r in seen)


def test_a_program_that_is_replaced(serve, trusted_path):
    """What is executed is a whole program, the old one or the new."""
    def write(name, word):
        path = trusted_path / name
        path.write_text(f"#!/bin/sh\necho {word}\n")
        path.chmod(0o755)
        return path
    program = write("program", "one")
    daemon, session = serve(commands(command("p", program)))
    stop = threading.Event()

    def replace():
        n = 0
        while not stop.is_set():
            n += 1
            write("new", "one" if n % 2 else "two").rename(program)
    thread = threading.Thread(target=replace)
    thread.start()
    try:
        seen = [session.run(["p"]) for _ in range(200)]
    finally:
        stop.set()
        thread.join()
    assert {r.stdout for r in seen} <= {b"one\n", b"two\n"}
    assert all(r.status == 0 for r in seen)


# Terms and limits.

def test_terms(serve, tmp_path):
    nice = min(os.nice(0) + 4, 19)
    daemon, session = serve(commands(
        shell("where", "pwd; umask; echo $A$B; ulimit -n; ps -o ni= -p $$",
              f'directory = "{tmp_path}"; umask = "077"; nice = 4; '
              'environment = [ "A=a", "B=b" ]; open_files = 33;'),
        command("cat", "/bin/cat", more="stdin = false;")))
    out = session.run(["where"]).stdout.split()
    assert out == [str(tmp_path).encode(), b"0077", b"ab", b"33",
                   str(nice).encode()]
    # It is given no standard input, and may say that it has none.
    assert session.run(["cat"], stdin=b"").stdout == b""
    assert "any_directory" in refused(session.run(["where"], directory="/"))


def test_where_commands_run(serve, tmp_path):
    """Anyone may ask; what that changes is nothing.  A directory that may not
    be chosen is refused by the words that ask for it."""
    start, own = tmp_path / "start", tmp_path / "own"
    for path in (start, own):
        path.mkdir()
    daemon, session = serve(commands(
        shell("here", "pwd"),
        shell("free", "pwd", f'directory = "{own}"; any_directory = true;'),
        more=f'directory = "{start}";'))
    for words in (["."], []):
        assert session.chdir(*words).directory == bytes(start)
        assert session.run(["here"]).stdout.strip() == bytes(start)
        assert session.run(["free"]).stdout.strip() == bytes(own)
    assert not daemon.events("command-refused")
    for path in ("/", "", "./", ".."):
        assert "any_directory" in refused(session.chdir(path))
        event = last(daemon, "command-refused")
        assert event["argv"] == f"cd {path}" if path else "cd ''"
        assert event["command"] == "" if "command" in event else True
    assert session.run(["free"]).stdout.strip() == bytes(own)


def test_way_back_while_a_rule_learns(serve, tmp_path):
    """It may choose, and comes back to where it began."""
    daemon, session = serve(commands(
        more=f'directory = "{tmp_path}"; learn_until = "2099-01-01";'))
    for words, where in ((["/"], b"/"), (["."], b"/"),
                         ([], bytes(tmp_path))):
        session.chdir(*words)
        assert session.run(["pwd", "-P"]).stdout.strip() == where


def test_limits(serve):
    daemon, session = serve(commands(
        shell("spin", "while :; do :; done", "cpu_limit = 1;"),
        shell("sleep", "sleep 60", 'time_limit = "300 ms";'),
        command("yes", "/usr/bin/yes", more="output_limit = 10000;"),
        shell("eat", "head -c 200000000 /dev/zero | tail -c 200000000",
              'memory_limit = "60 MiB";')), kill_grace=0.1)
    assert session.run(["spin"]).signal == signal.SIGXCPU
    ended = session.run(["sleep"])
    assert ended.exit.reason == Code.TIMEOUT
    assert last(daemon, "limit-hit")["limit"] == "time_limit"
    ended = session.run(["yes"])
    assert ended.exit.reason == Code.OUTPUT and len(ended.stdout) == 10000
    assert last(daemon, "limit-hit")["limit"] == "output_limit"
    eaten = session.run(["eat"])
    if not INSTRUMENTED:
        assert eaten.status != 0 and eaten.exit.out_bytes < 200000000
    assert session.run(["sleep"]).exit.reason == Code.TIMEOUT


def running(mark):
    """Is there a process whose command line has this mark?"""
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if mark.encode() in path.read_bytes().split(b"\0"):
                return int(path.parent.name)
        except OSError:
            pass
    return None


@pytest.mark.parametrize("choice", ["kill", "finish"])
def test_on_disconnect(serve, tmp_path, choice):
    done = tmp_path / "done"
    daemon, session = serve(commands(
        shell("job", f"while ! test -e {tmp_path}/go; do sleep 0.01; done; "
              f"touch {done}", f'on_disconnect = "{choice}";')))
    number = session.next_number()
    session.send(wire.Type.REQUEST, number,
                 wire.body(wire.Operation.RUN, [b"job"]))
    session.expect(wire.Type.STARTED)
    session.cut()
    if choice == "kill":
        last(daemon, "command-end")
    (tmp_path / "go").touch()
    end = last(daemon, "command-end")
    assert done.exists() == (choice == "finish")
    assert (end["reason"] == "exit") == (choice == "finish")


@pytest.mark.parametrize("choice", ["kill", "keep"])
def test_background(serve, tmp_path, choice):
    mark = f"31{os.getpid()}{len(choice)}"
    daemon, session = serve(commands(
        shell("leave", f"sleep {mark} >/dev/null 2>&1 & exit 0",
              f'background = "{choice}";')))
    result = session.run(["leave"])
    assert result.status == 0
    end = last(daemon, "command-end")
    wait_until(lambda: running(mark), "it runs")
    session.close()
    close = last(daemon, "session-close")
    if choice == "kill":
        wait_until(lambda: not running(mark), "it has been ended")
        assert result.exit.left == 1
        assert (end["left"], close["ended"], "kept" in end) == ("1", "1", False)
    else:
        assert running(mark)
        assert result.exit.left == 0
        assert "left" not in end and "ended" not in close
        os.kill(running(mark), signal.SIGKILL)


# Time.

def test_learning(serve, program):
    daemon, session = serve(commands('"/bin/echo"',
                                     more='learn_until = "2999-01-01";'))
    assert session.run(["echo", "x"]).stdout == b"x\n"
    assert "learned" not in last(daemon, "command-start")
    assert session.run(["/bin/printf", "a b"]).stdout == b"a b"
    assert daemon.events("command-start")[-1]["learned"] == "true"
    text = subprocess.run([*program("aisd-report"), "--suggest",
                           str(daemon.log)],
                          capture_output=True, check=True).stdout.decode()
    assert 'program = "/bin/printf"' in text and '"a b"' in text
    assert "echo" not in text

    daemon.configure(rules=commands('"/bin/echo"',
                                    more='learn_until = "2001-01-01";'))
    daemon.reload()
    refused(session.run(["/bin/printf", "a b"]))


def test_a_rule_that_goes(serve):
    daemon, session = serve(commands('"/bin/sleep"'), kill_grace=1)
    number = session.next_number()
    session.send(wire.Type.REQUEST, number,
                 wire.body(wire.Operation.RUN, [b"sleep", b"60"]))
    session.expect(wire.Type.STARTED)
    daemon.configure(rules='{ peers = [ "bob" ]; anything = true; }')
    daemon.reload()
    session.expect(wire.Type.EXIT)
    code, text = wire.said(session.expect(wire.Type.GOODBYE).payload)
    assert code == Code.DENIED and "no rule" in text
    assert last(daemon, "session-close")["reason"] == "no-rule"
    assert last(daemon, "command-end")["reason"] == "no-rule"


def test_configuration_that_moves(serve, tmp_path, slowness):
    """A reload sees one file or the other, and never half of one."""
    daemon, session = serve(commands('"/bin/echo"'))
    texts = []
    for names in (("echo", "true"), ("echo", "false")):
        daemon.configure(rules=commands(*(f'"/bin/{n}"' for n in names)))
        texts.append(daemon.conf.read_text())
    for n in range(50):
        new = tmp_path / "new"
        new.write_text(texts[n % 2])
        new.rename(daemon.conf)
        daemon.reload()
        works, not_ = (["true"], ["false"])[::1 if n % 2 == 0 else -1]
        assert session.run(works).started
        refused(session.run(not_))


# Questions.

def test_list_and_can(serve):
    daemon, session = serve(commands(
        command("disk", "/bin/df", '{ one_of = [ "/" ]; }',
                'summary = "how full it is";'), '"/bin/echo"'))

    def ask(operation, *words):
        return session.request(operation, words)
    assert ask(wire.Operation.LIST).stdout == \
        b"disk\thow full it is\necho\t\n"
    yes = ask(wire.Operation.CAN, b"disk", b"/")
    assert yes.status == 0 and b"disk" in yes.stdout
    no = ask(wire.Operation.CAN, b"disk", b"/etc")
    assert no.status == 1 and b"argument 1" in no.stdout
    assert b'"r"' in ask(wire.Operation.CAN).stdout
    assert not daemon.events("command-start")
    assert not daemon.events("command-refused")


def test_masked_words(serve):
    daemon, session = serve(commands(
        command("login", "/bin/echo", "{ any = true; rest = true; }",
                'log_mask = [ "2", "--password" ];')))
    session.run(["login", "alice", "SECRET1", "--password", "SECRET2",
                 "--password=SECRET3"])
    end = daemon.wait_event("command-end")
    text = daemon.log.read_text()
    assert "SECRET" not in text
    assert end["msg"].startswith("""alice: "login alice '***' --password """
                                 """'***' '--password=***'" exited""")


def test_check_tells_warnings_from_errors(program, make_aisd):
    daemon = make_aisd(start=False, rules=commands('"/no/such/program"'))

    def check(*options):
        return subprocess.run([*daemon.words, "-c", str(daemon.conf), "-t",
                               *options], capture_output=True)
    done = check()
    assert done.returncode == 3 and b"cannot be found" in done.stderr
    assert check("-q").returncode == 0
    daemon.configure(rules=commands('"/bin/true"') + ", " +
                     commands('"/bin/false"'))
    done = check()
    assert done.returncode == 3 and b"never reached" in done.stderr
    daemon.configure(rules='{ fingerprint = [ "*" ]; anything = true; }')
    done = check()
    assert done.returncode == 6 and b"fingerprint" in done.stderr
    daemon.configure(rules=commands('"/bin/true"'))
    done = check()
    assert done.returncode == 0
    assert (b"every command runs as root" in done.stderr) == \
        (os.geteuid() == 0)
    daemon.configure(rules='{ peers = [ "*" ]; commands = ( { program = '
                     '"/bin/echo"; arguments = ( { one_of = [ ]; } ); } ); }')
    done = check()
    assert done.returncode == 6
    assert b"one_of: an empty list fits nothing; remove" in done.stderr


def test_explain(program, make_aisd, alice):
    daemon = make_aisd(start=False, rules='{ name = "net"; peers = [ "alice" ];'
                       ' network = [ "192.0.2.0/24" ]; anything = true; }, ' +
                       commands('"/bin/echo"'))

    def explain(who, *words):
        return subprocess.run(
            [*daemon.words, "-c", str(daemon.conf), "--explain", who, "--",
             *words], capture_output=True, text=True)
    near = explain("CN=alice,FROM=192.0.2.9", "id")
    assert near.returncode == 0 and 'allowed by the rule "net"' in near.stdout
    far = explain(str(alice.cert), "id")
    assert far.returncode == 1 and "its key network" in far.stdout
    assert "does not grant the command id" in far.stdout
    assert explain("CN=x", "echo", "y").returncode == 0
    for who, said in (("WHAT=x", '"WHAT" is unknown; there are CN, '),
                      ("cn=x", '"cn" is unknown'),
                      ("CN=x,", '"" is no NAME=VALUE'),
                      ("CN=x,y", '"y" is no NAME=VALUE'),
                      ("CN=", '"CN" has no value'),
                      ("CN=x,FROM=host", '"FROM" is no address'),
                      ("FROM=::1,CN=x,FROM=::1", '"FROM" stands there twice'),
                      ("ISSUER=x,ISSUER=x", '"ISSUER" stands there twice'),
                      ("CN=" + 1000 * "x", '"CN" is too long'),
                      (",".join(8 * ["DC=" + 80 * "x"]), '"DC" is too long')):
        done = explain(who, "echo")
        assert done.returncode == 2 and said in done.stderr, who


def test_explain_several_of_a_kind(make_aisd):
    """They are taken as those of a certificate are."""
    daemon = make_aisd(start=False, rules="""
        { name = "one"; peers = [ "a", "b" ]; anything = true; },
        { name = "each"; cn = "b"; dc = "x.example.org"; anything = true; },
        { name = "rest"; peers = [ "*" ]; anything = true; }""")

    def rule(who):
        return re.search(r'rule "(\w+)": matches', subprocess.run(
            [*daemon.words, "-c", str(daemon.conf), "--explain", who],
            capture_output=True, text=True, check=True).stdout)[1]
    assert rule("CN=b") == rule("DC=org,CN=b") == "one"
    assert rule("CN=a,CN=b") == "rest"
    assert rule("CN=a,CN=b,DC=x,OU=y,DC=example,DC=org") == "each"
    assert rule("CN=a,CN=b,DC=x.example.org") == "each"
    assert rule("CN=a,CN=c,DC=x.example.org") == "rest"


def test_explain_what_would_run(make_aisd, tmp_path):
    """The one program, and its words as it gets them."""
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second, tmp_path / "files"):
        folder.mkdir()
    (second / "tool").symlink_to("/bin/echo")
    (first / "tool").write_text("no program")
    daemon = make_aisd(
        start=False, path=[str(first), str(second)],
        rules='{ peers = [ "all" ]; anything = true; directory = "' +
        f'{tmp_path}"; }}, ' + commands(command(
            "show", "/bin/cat",
            f'"-n", {{ below = "{tmp_path}/files"; }}')))

    def explain(who, *words):
        done = subprocess.run(
            [*daemon.words, "-c", str(daemon.conf), "--explain", who, "--",
             *words], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return [line[1:] for line in done.stdout.split("\n")
                if line.startswith(("\targv: ", "\tprogram: "))]
    real = os.path.realpath("/bin/echo")
    assert explain("CN=all", "tool", "a b") == [
        "argv: tool 'a b'", f"program: {second}/tool, which is {real}"]
    assert explain("CN=all", "second/tool") == [
        "argv: second/tool",
        f"program: {second}/tool, which is {real}"]
    assert explain("CN=all", "none") == [
        "argv: none",
        f"program: not found, in this order: {first}/none {second}/none"]
    assert explain("CN=all", "/no/such") == [
        "argv: /no/such", "program: not found: /no/such"]
    assert explain("CN=x", "show", f"{tmp_path}/files//b")[0] == \
        f"argv: /bin/cat -n {tmp_path}/files/b"


def test_explain_each_entry(program, make_aisd):
    daemon = make_aisd(start=False, rules=commands(
        '{ program = "/bin/echo"; arguments = ( "a", { min = 1; max = 3; } ); }',
        '{ program = "/bin/echo"; arguments = ( "b", '
        '{ match = [ "x*", "~y+" ]; } ); }'))

    def explain(*words):
        return subprocess.run(
            [*daemon.words, "-c", str(daemon.conf), "--explain", "CN=x", "--",
             *words], capture_output=True, text=True).stdout
    assert 'command "echo": does not fit: the argument 1 of echo must be ' \
        '"a"\n' in explain("echo", "b", "z")
    assert "does not fit: the argument 2 of echo must be of one of the forms " \
        '"x*", "~y+"\n' in explain("echo", "b", "z")
    assert 'command "echo": fits\n' in explain("/bin/echo", "b", "yy")
    assert "argv: /bin/echo b yy\n" in explain("echo", "b", "yy")
