# SPDX-License-Identifier: ISC
"""Programs that were forced commands of sshd, and read what the client asks for
in SSH_ORIGINAL_COMMAND.
"""

import json
import random

import pytest

import wire
from aisd import quote
from test_tools import make_place, needs, site      # noqa: F401
from wire import Code, Operation

RRSYNC = "/usr/bin/rrsync"
# It takes the words apart as a shell does, and shows each.
SHOW = 'eval "set -- $SSH_ORIGINAL_COMMAND"; printf "<%s>" "$@"'


def forced(program, *arguments, before="", more=""):
    words = ", ".join(map(quote, arguments))
    return '{ name = "few"; peers = [ "*" ]; commands = ( ' + before + \
        f'{{ name = "all"; program = "{program}"; arguments = ( {words} ); ' \
        f'original_command = true; {more} }} ); }}'


def test_rrsync(make_place, needs, aisc):           # noqa: F811
    needs("rsync", RRSYNC)
    place = make_place()
    open_ = site(place.there / "site")
    (place.there / "secret").write_text("secret")
    place.daemon.configure(rules=forced(RRSYNC, "-ro", open_))
    place.daemon.reload()
    rsync = "rsync -e aisc-ssh -a "
    # A pattern, and a blank in a name, are for the program to read.
    place.run(rsync + "'web.example.org:*.html' .")
    place.run(rsync + "'web.example.org:a file' .")
    assert (place.path / "index.html").read_text() == "<p>Hello"
    assert (place.path / "a file").exists()
    place.run(rsync + "web.example.org: all")
    assert (place.path / "all" / "a file").exists()
    place.run(rsync + "web.example.org:../secret .", None)
    assert not (place.path / "secret").exists()
    place.run("rsync -e aisc-ssh -a all/ web.example.org:new", None)
    assert not (open_ / "new").exists()
    done = place.run("aisc-ssh web.example.org cat /etc/passwd", 1)
    assert b"SSH_ORIGINAL_COMMAND does not run rsync" in done.stderr
    place.check_over()
    # On record is what was asked for, and what has run.
    pattern, *_, last = place.daemon.events("command-end")
    assert pattern["argv"].startswith("'rsync --server --sender ")
    assert "*.html'" in pattern["argv"]
    assert pattern["command"] == "all" and pattern["program"] == RRSYNC
    assert last["argv"] == "cat /etc/passwd"
    assert (last["command"], last["program"], last["exit"]) == (
        "all", RRSYNC, "1")


def test_git_shell(make_place, needs):              # noqa: F811
    needs("git", "git-shell")
    place = make_place(forced("/bin/sh", "-c", 'exec git-shell -c '
                              '"$SSH_ORIGINAL_COMMAND"'))
    place.run(f"git init -q --bare '{place.there}/a site.git'")
    place.run("git init -q w; cd w; git commit -q --allow-empty -m first; "
              "GIT_SSH=aisc-ssh git push -q "
              f"'web.example.org:{place.there}/a site.git' HEAD:main")
    place.run(f"GIT_SSH=aisc-ssh git clone -q -b main "
              f"'web.example.org:{place.there}/a site.git' copy")
    done = place.run("aisc-ssh web.example.org id", None)
    assert b"unrecognized command 'id'" in done.stderr
    place.check_over()


def test_words_come_back(serve):
    """Whatever they are, a shell takes them for the same."""
    _, session = serve(forced("/bin/bash", "-c", SHOW))
    rand = random.Random(7)
    samples = [[b"it's", b'"', b"$HOME `id` ; & | > *", b"", b"\\", b"\n", b"#",
                b"~", b"-n", b"a=b", b"if"], [b"x", b"\xff\xfe\x80"],
               [b"'" * 400], [b"if", b"!"], [b"a=b", b"c"], [b"x", b"\n" * 99]]
    samples += [[bytes(rand.choice(b"ab '\"\\$\n\t*;\xc3\xa4\xff") for _ in
                       range(rand.randrange(1, 9)))
                 for _ in range(rand.randrange(1, 6))] for _ in range(60)]
    for words in samples:
        done = session.run(words)
        assert done.stdout == b"".join(b"<%s>" % word for word in words), \
            (words, done)


def test_lines_are_handed_on(serve):
    """A line arrives as it is, and none is no variable."""
    daemon, session = serve(forced(
        "/bin/sh", "-c", 'printf %s "${SSH_ORIGINAL_COMMAND-none}"'))
    for line in (b"ls *.jpg | wc", b'"open', b" ", b"a\nb\n", b"\xff", b"a  b"):
        for operation in (Operation.SHELL, Operation.LINE):
            assert session.request(operation, [line]).stdout == line
    assert session.request(Operation.LINE, []).stdout == b"none"
    events = daemon.events("command-end")
    assert all(event["command"] == "all" for event in events)
    assert events[0]["argv"] == "'ls *.jpg | wc'"


def test_as_long_as_a_variable(serve):
    daemon, session = serve(forced(
        "/bin/sh", "-c", 'printf %s "$SSH_ORIGINAL_COMMAND" | wc -c'))
    most = 128 * 1024 - 1 - len("SSH_ORIGINAL_COMMAND=")
    for size in (64 * 1024, most):
        done = session.request(Operation.SHELL, [b"x" * size])
        assert int(done.stdout) == size
    for words, operation in (([b"x" * (most + 1)], Operation.SHELL),
                             ([b"x"] + [b"y" * 1000] * 200, Operation.RUN)):
        refused = session.request(operation, words).refused
        assert refused.code == Code.INVALID
        assert "too long for the variable SSH_ORIGINAL_COMMAND" in refused.text
    assert daemon.wait_event("command-refused")["command"] == "all"


def test_narrow_commands_come_first(serve, aisc):
    daemon, session = serve(forced(
        "/bin/sh", "-c", 'echo all', more='summary = "anything else";',
        before='{ program = "/bin/echo"; arguments = ( "hello" ); }, '))
    assert session.run(["echo", "hello"]).stdout == b"hello\n"
    assert session.run(["echo", "x"]).stdout == b"all\n"
    done = aisc.run(daemon.port, options=["--list", "--json"])
    assert [(c["name"], c["summary"]) for c in json.loads(done.stdout)[
        "commands"]] == [("echo", ""), ("*", "anything else")]
    done = aisc.run(daemon.port, "rm", "x", options=["--can"])
    assert b'grants it as its command all' in done.stdout
