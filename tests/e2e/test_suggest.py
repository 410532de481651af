# SPDX-License-Identifier: ISC
"""aisd-report --suggest: what a rule has learned, suggested, pasted and loaded
grants exactly the words that ran, and no shell."""

import base64
import json
import os
import random
import re
import shlex
import subprocess

import pytest

from wire import Operation

# What reads the records is a script.
pytestmark = pytest.mark.same("build")

HISTORIES = int(os.environ.get("AIS_HISTORIES", "100"))
TOGETHER = 200          # Histories of one log and one daemon.
WORDS = ["-h", "-n", "--all", "a b", "", "/", "/home", "/srv/www/x",
         "/srv/www/y", "..", "1", "2", "10", "-5", "007", "$HOME", "`id`",
         "it's", 'say "hi"', "back\\slash", "tab\t", "new\nline", "\x7f",
         "\u202egpj", "\udcff\udcfe", "\u00e9", "*", "***", "#", "@include",
         "\\x41", "%s", "x" * 300]
SHELLS = ["/bin/sh", "/usr/bin/bash"]


def suggest(program, *options, data=None):
    """What the program says."""
    done = subprocess.run([*program("aisd-report"), "--suggest", *options],
                          input=data, capture_output=True, check=True)
    assert done.stderr == b""
    return done.stdout.decode("utf-8")


def logged(call, status=0, when=0, **more):
    """The record of its end, as aisd writes it in JSON."""
    text = shlex.join(call["words"])
    record = {"time": f"2026-01-01T00:00:{when % 60:02}.000000Z",
              "level": "notice", "event": "command-end", "peer": "a",
              "rule": "r", "learned": "true", "argv": text,
              "reason": "exit", "program": call["program"],
              "exit": str(status), "msg": "x", **more}
    data = os.fsencode(text)
    if text != data.decode("utf-8", "replace"):
        record["argv"] = data.decode("utf-8", "replace")
        record["argv_base64"] = base64.b64encode(data).decode()
    return json.dumps({name: value for name, value in record.items()
                       if value is not None}) + "\n"


class History:
    """Random calls of a few programs that no other history has."""

    def __init__(self, number, choose):
        self.choose, self.log, self.ran, self.bad = choose, "", {}, []
        self.names = [f"h{number}{letter}" for letter in "ab"]
        self.programs = [f"{place}/{name}" for name in self.names
                         for place in ("/usr/bin", "/opt/bin")]
        # What the name has found.
        self.found = {name: choose.choice(self.programs[2 * n:2 * n + 2])
                      for n, name in enumerate(self.names)}
        words = choose.sample(WORDS, 4)
        self.calls = [self.call(words) for _ in range(choose.randint(1, 9))]
        for call in self.calls:
            for _ in range(choose.randint(1, 3)):
                self.note(call)

    def call(self, words):
        """One call."""
        name = self.choose.choice(self.names)
        program = self.found[name]
        first = name
        if self.choose.random() < 0.3:
            first = program = self.choose.choice(self.programs)
        size = self.choose.choice([0, 1, 1, 2, 2, 2, 3, 4])
        return {"program": program, "words": [
            first, *self.choose.choices(words, k=size)]}

    def note(self, call):
        """It has been, and worked or did not."""
        kind = self.choose.random()
        when = self.choose.randrange(60)
        if kind < 0.1:
            self.log += logged(call, self.choose.choice([126, 127]), when)
        elif kind < 0.2:
            self.log += logged(call, 0, when, learned=None)
        elif kind < 0.25:
            self.log += logged(call, 0, when, argv_cut="true")
        elif kind < 0.3:
            shell = self.choose.choice(SHELLS)
            self.log += logged({"program": shell, "words": [
                os.path.basename(shell), *call["words"][1:]]}, 0, when)
        elif kind < 0.33:
            self.log += logged(call, 0, when, argv=None, line="x; y")
        else:
            self.log += logged(call, self.choose.choice([0, 0, 1, 2]), when)
            self.ran.setdefault(call["program"], set()).add(
                tuple(call["words"][1:]))

    def questions(self):
        """Words, and whether they have to be granted: all that ran, and what
        is near to it, by other names and with other words."""
        for call in self.calls:
            words = tuple(call["words"][1:])
            at = self.choose.randint(0, len(words))
            near = self.choose.choice([
                words + ("more",), words[:-1], words[::-1],
                words[:at] + (self.choose.choice(WORDS),) + words[at + 1:]])
            other = self.choose.choice(self.names + self.programs)
            for first, asked in ((call["words"][0], words), (other, words),
                                 (call["words"][0], near)):
                yield [first, *asked], any(
                    asked in self.ran.get(program, ())
                    for program in self.programs
                    if first in (program, os.path.basename(program)))


@pytest.mark.limit(36000)
def test_random_histories(make_aisd, connect, program, tmp_path):
    """AIS_HISTORIES says how many."""
    seed = random.Random(os.environ.get("AIS_SEED", "4"))
    asked = granted = 0
    for first in range(0, HISTORIES, TOGETHER):
        together = [History(n, seed) for n in
                    range(first, min(first + TOGETHER, HISTORIES))]
        log = "".join(history.log for history in together)
        text = suggest(program, "-", data=log.encode())
        rule = '{ name = "r"; peers = [ "*" ];\n%s }' % text
        daemon = make_aisd(rules=rule, start=False)
        check = subprocess.run([*program("aisd"), "-c", str(daemon.conf),
                                "-t"], capture_output=True, check=False)
        said = (check.stdout + check.stderr).decode()
        # The programs are not there, which is all that it may say.
        assert check.returncode in (0, 3), said
        assert "never" not in said and "error" not in said, said
        daemon.start()
        with connect(daemon=daemon) as session:
            for history in together:
                for words, wanted in history.questions():
                    answer = session.request(Operation.CAN, [
                        os.fsencode(word) for word in words])
                    assert (answer.exit.status == 0) == wanted, \
                        (words, wanted, answer.stdout, history.log, text)
                    asked += 1
                    granted += wanted
            for line in "id", "x; y", "":
                assert session.shell(line).refused
        daemon.stop()
    assert HISTORIES < granted < asked - HISTORIES
    print(f"{HISTORIES} histories, {asked} questions, {granted} granted")


def test_loop(make_aisd, connect, program):
    """A daemon learns, and its rule is replaced by what it has learned."""
    daemon = make_aisd(rules='{ name = "r"; peers = [ "*" ]; '
                       'learn_until = "2099-12-31"; }')
    ran = [["echo", "a b", "x"], ["echo", "a b", "y"], ["echo"],
           ["/bin/echo", "z"], ["printf", "%s|", "it's", "\u202e"],
           ["cat", "/no/such"], [b"echo", b"\xff\n\"\\"]]
    left = [["no-such", "x"], ["sh", "-c", "echo"], ["env", "no-such"]]
    session = connect(daemon=daemon)
    results = [session.run(words) for words in ran]
    for words in left:
        session.run(words)
    session.shell("echo x")
    session.close()
    daemon.wait_event("session-close")
    text = suggest(program, str(daemon.log))
    assert text.count("Left out, 1 time:") == 4
    daemon.configure(rules='{ name = "r"; peers = [ "*" ];\n%s }' % text)
    done = subprocess.run([*program("aisd"), "-c", str(daemon.conf), "-t"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert daemon.reload()
    session = connect(daemon=daemon)
    for words, before in zip(ran, results):
        again = session.run(words)
        assert (again.stdout, again.status) == (before.stdout, before.status)
    for words in left + [["echo", "a b"], ["echo", "a b", "x", "y"],
                         ["printf"], ["printf", "%s|"], ["id"]]:
        assert session.run(words).refused, words
    assert session.shell("echo x").refused
    done = subprocess.run([*program("aisd"), "-c", str(daemon.conf),
                           "--explain", "CN=alice", "echo", "a b", "y"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "allowed" in done.stdout, done.stderr


def test_words_of_an_entry_are_no_suggestion(make_aisd, connect, program):
    """What ran had more words than the client gave."""
    daemon = make_aisd(rules='{ name = "r"; peers = [ "*" ]; '
                       'learn_until = "2099-12-31"; commands = ( '
                       '{ name = "echo"; program = "/bin/echo"; arguments = '
                       '( "-n", { one_of = [ "a" ]; } ); } ); }')
    session = connect(daemon=daemon)
    assert session.run(["echo", "a"]).stdout == b"a"
    assert session.run(["echo", "b"]).stdout == b"b"
    assert session.run(["/bin/echo", "c"]).stdout == b"c\n"
    session.close()
    daemon.wait_event("session-close")
    assert [event.get("inserted") for event in daemon.events("command-end")
            ] == [None, "true", None]
    text = suggest(program, str(daemon.log))
    assert "by a name of its own: echo b" in text
    assert 'arguments = (\n\t\t\t"c"\n' in text and '"b"' not in text


def test_texts(program):
    """What a person reads."""
    def ran(words, **more):
        return logged({"program": "/usr/bin/" + words[0], "words": words},
                      **more)
    log = ran(["df", "-h", "/"]) * 2 + ran(["df", "-h", "/home"]) + \
        ran(["df"]) + ran(["nosuch"], status=127) + \
        ran(["x"], program=None, reason="no such") + \
        ran(["y"], program="./y") + ran(["sh"]) + \
        ran(["z", "***"], command="z") + ran(["other"], command="other",
                                            program="/usr/bin/z") + \
        ran(["named", "x"], command="named", inserted="true") + \
        ran(["x"] + ["w" * 5000])
    text = suggest(program, "-", data=log.encode())
    assert text == '''\
# What the rule "r" has learned, from 2026-01-01 to 2026-01-01 (UTC).  Put this
# into the rule; where it has a list "commands", put the entries into that one,
# commas between.  Then try it: aisd -t, aisd --explain, aisc --can.
commands = (
\t{
\t\t# 3 times, last on 2026-01-01
\t\tprogram = "/usr/bin/df";
\t\targuments = (
\t\t\t"-h",
\t\t\t{ one_of = [
\t\t\t\t"/",\t# 2 times
\t\t\t\t"/home"\t# 1 time
\t\t\t]; }
\t\t);
\t},
\t{
\t\t# 1 time, last on 2026-01-01
\t\tprogram = "/usr/bin/df";
\t\targuments = ( );
\t}
);
# Left out, 1 time: it ended with status 127, as what is not there: nosuch
# Left out, 1 time: it did not start, or no program is on record: x
# Left out, 1 time: its program has no absolute path: y
# Left out, 1 time: a shell: sh
# Left out, 1 time: the log masks a word: z '***'
# Left out, 1 time: an entry has run it by a name of its own: other
# Left out, 1 time: an entry has run it by a name of its own: named x
# Left out, 1 time: a word is too long for aisd.conf: x %s...
''' % ("w" * 198)
    assert suggest(program, "-p", "nobody", "-", data=log.encode()) == "# No rule has let anything through while it was "\
        "learning.\n"
    assert suggest(program, "-s", "2026-01-02", "-", data=log.encode()) == "# No rule has let anything through while it was "\
        "learning.\n"


def test_hostile_texts_in_comments(program):
    """Neither a name nor what is left out ends its comment."""
    log = "".join(
        logged({"program": "/bin/x", "words": ["x", text]}, rule=text,
               status=127) + logged({"program": "/bin/" + text.strip("/"),
                                     "words": [text.strip("/")]}, rule=text)
        for text in ('"\n}; shell = true;\n', "\u202e\x1b[2J", '";'))
    text = suggest(program, "-", data=log.encode())
    assert all(c in "\n\t" or c.isprintable() for c in text)
    for row in text.splitlines():
        assert re.match(r'#|commands = \(|\);|\t+(\{|\}|\);|arguments|'
                        r'program = "[^"\\]*(\\.[^"\\]*)*";|# )', row), row


def test_generalise(program):
    """Only where it is asked for, and where there are several of a kind."""
    def log(*words):
        return logged({"program": "/bin/x", "words": ["x", *words]})
    data = (log("a", "5") + log("a", "100") + log("a", "-3") + log("b", "7") +
            log("a", "7") + log("b", "8") +
            log("/srv/www/x") + log("/srv/www/y/z") + log("/srv/mail") +
            log("/srv/x/..")).encode()
    exact = suggest(program, "-", data=data)
    assert "min" not in exact and "below" not in exact
    wide = suggest(program, "--generalise", "-", data=data)
    assert "{ min = -3; max = 100; }\t# 4 different ones" in wide
    # With the last, which is no plain path, it is a list.
    assert "below" not in wide
    paths = (log("/srv/www/x") + log("/srv/www/y/z") + log("/srv/mail"))
    assert '{ below = "/srv"; }\t# 3 different ones' in suggest(
        program, "--generalise", "-", data=paths.encode())
    # Two are no kind.
    assert "min" not in suggest(program, "--generalise", "-", data=(
        log("1") + log("2")).encode())


def test_bounds(program):
    """More than there is room for is said, and takes no more memory."""
    log = "".join(logged({"program": "/bin/x", "words": [
        "x", str(i), *["w"] * (i % 3)]}) for i in range(6000))
    text = suggest(program, "-", data=log.encode())
    assert "# Left out, 1904 times: no room for more different commands" in text
    assert text.count("program = ") == 3
    left = "".join(logged({"program": "/bin/x", "words": ["x", str(i)]}, 127)
                   for i in range(500))
    text = suggest(program, "-", data=left.encode())
    assert text.count("# Left out") == 101
    assert "# Left out, 400 times: others" in text


def test_journal(program):
    """The same from journalctl -o json."""
    def entry(**fields):
        return json.dumps({
            "__REALTIME_TIMESTAMP": "1767268800000000", "_UID": "990",
            "AIS_EVENT": "command-end", "AIS_RULE": "r",
            "AIS_LEARNED": "true", "AIS_REASON": "exit", "AIS_EXIT": "0",
            "AIS_PROGRAM": "/bin/x", "AIS_ARGV": "x 'a b'", **fields}) + "\n"
    data = (entry() + entry(_UID="991", AIS_ARGV="x forged") +
            entry(AIS_ARGV=list(b"x \xff"))).encode()
    text = suggest(program, "--user", "990", "-", data=data)
    assert r'"\xff"' in text and '"a b"' in text and "forged" not in text
