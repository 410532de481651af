# SPDX-License-Identifier: ISC
"""aisd-report: on logs that were made up, on torn and hostile ones, on a real
one, on the journal's format."""

import bz2
import gzip
import json
import lzma
import random
import re
import resource
import shlex
import shutil
import subprocess
import sys

import pytest

# What reads the records is a script.
pytestmark = pytest.mark.same("build")

DAY = "2026-01-"
SCHEMA = {
    "from": str, "to": str, "records": int, "unreadable": int,
    "clock_jumps": int, "sessions": int, "handshakes_failed": int,
    "commands": int, "failed": int, "refused": int, "seconds": float,
    "end_unknown": int, "peers": list, "rules": list, "days": list,
    "reasons": list, "failures": list, "refusals": list, "longest": list,
    "slowest": list, "running": list}
COMMAND = {"time": str, "peer": str, "address": str, "session": str,
           "request": str, "rule": str, "command": str, "how": str,
           "seconds": float}
COUNTS = {"commands": int, "failed": int, "refused": int, "seconds": float,
          "last": str}
ROWS = {
    "peers": {"peer": str, **COUNTS}, "days": {"day": str, **COUNTS},
    "rules": {"rule": str, **COUNTS},
    "reasons": {"reason": str, "failed": int, "refused": int},
    "slowest": {"program": str, "commands": int, "failed": int,
                "average": float, "most": float},
    **{name: COMMAND for name in ("failures", "refusals", "longest",
                                  "running")}}


@pytest.fixture
def report(program, tmp_path):
    """A function from options to what the program says; a dict for JSON."""
    def run(*options, status=0, data=None, cwd=tmp_path):
        done = subprocess.run([*program("aisd-report"), *options], cwd=cwd,
                              capture_output=True, timeout=100, input=data,
                              check=False)
        assert done.returncode == status, done.stderr
        if status == 0:
            assert done.stderr == b""
        text = done.stdout.decode("utf-8")
        return json.loads(text) if "--json" in options and text else text
    return run


def quote(value):
    """A value of logfmt, for text that needs no escapes."""
    return '"%s"' % value if re.search(r'[ =()\'"]', value) or not value \
        else value


def line(event, day=1, clock="12:00:00", peer="alice", session="s1", request=1,
         argv="true", level="notice", **fields):
    """A line as aisd writes it."""
    all_fields = {"session": session, "address": "192.0.2.1", "peer": peer,
                  "subject": "CN=" + peer, "request": str(request),
                  "rule": "ops", "user": "aisd-run", "directory": "/",
                  "argv": argv, **fields, "msg": "some words"}
    return f"time={DAY}{day:02}T{clock}.000000Z level={level} " \
        f"event={event} " + " ".join(
            f"{name}={quote(value)}" for name, value in all_fields.items()
            if value is not None) + "\n"


def start(**fields):
    return line("command-start", **fields)


def end(seconds=0.5, exit="0", reason="exit", **fields):
    return line("command-end", reason=reason, exit=exit,
                duration_ms=f"{seconds * 1000:.3f}", **fields)


LOG = "".join([
    "time=2026-01-01T00:00:00.000000Z level=notice event=start version=1 "
    "listen=x msg=y\n",
    line("session-open"),
    start(), end(),
    start(request=2, argv="sleep 100"),
    end(100, request=2, argv="sleep 100"),
    start(request=3, argv="false"), end(exit="1", request=3, argv="false"),
    line("session-close", reason="done"),
    line("session-open", 2, peer="bob", session="s2"),
    line("command-refused", 2, peer="bob", session="s2", argv="reboot",
         reason="no rule of this server allows it"),
    start(day=2, peer="bob", session="s2", request=2, argv="tar c /"),
    end(7, None, "time-limit", day=2, peer="bob", session="s2", request=2,
        argv="tar c /", signal="15"),
    start(day=2, peer="bob", session="s2", request=3, argv="lost"),
    line("session-close", 2, peer="bob", session="s2", reason="altered"),
    line("handshake-failed", 2, peer="eve"),
    f"time={DAY}03T11:59:00.000000Z level=warning event=clock-jump "
    f"seconds=90 before={DAY}03T11:57:30Z msg=\"the clock was set\"\n",
    start(day=3, session="s3", argv="vi"),
])


def check_schema(result, tables=ROWS):
    """The object is as the manual has it."""
    assert {name: type(value) for name, value in result.items()} == \
        {name: kind for name, kind in SCHEMA.items()
         if name not in ROWS or name in tables}
    for name in tables:
        for row in result[name]:
            assert {key: type(value) for key, value in row.items()} == \
                ROWS[name], name


def test_all(report, tmp_path):
    (tmp_path / "server.log").write_text(LOG)
    result = report("--json", "server.log")
    check_schema(result)
    assert (result["from"], result["to"]) == (
        DAY + "01T00:00:00.000000Z", DAY + "03T12:00:00.000000Z")
    assert (result["records"], result["unreadable"],
            result["clock_jumps"]) == (18, 0, 1)
    assert (result["sessions"], result["handshakes_failed"]) == (2, 1)
    assert (result["commands"], result["failed"], result["refused"],
            result["end_unknown"]) == (6, 2, 1, 1)
    assert [(row["peer"], row["commands"], row["failed"], row["refused"],
             row["seconds"]) for row in result["peers"]] == \
        [("alice", 4, 1, 0, 101.0), ("bob", 2, 1, 1, 7.0)]
    assert [(row["day"][-2:], row["commands"], row["failed"], row["refused"])
            for row in result["days"]] == \
        [("01", 3, 1, 0), ("02", 2, 1, 1), ("03", 1, 0, 0)]
    assert [(row["command"], row["how"]) for row in result["failures"]] == \
        [("false", "exit 1"), ("tar c /", "time-limit")]
    assert [(row["command"], row["how"], row["peer"])
            for row in result["refusals"]] == \
        [("reboot", "no rule of this server allows it", "bob")]
    assert [row["command"] for row in result["longest"]][:2] == \
        ["sleep 100", "tar c /"]
    assert [row["program"] for row in result["slowest"]][:2] == \
        ["sleep", "tar"]
    assert [(row["command"], row["session"], row["how"])
            for row in result["running"]] == [("vi", "s3", "no end on record")]


def began(day, clock="12:00:00", **fields):
    return f"time={DAY}{day:02}T{clock}.000000Z level=notice event=start " + \
        " ".join(f"{name}={quote(value)}" for name, value in
                 {"version": "1", **fields, "msg": "x"}.items()) + "\n"


def test_daemon_that_was_killed(report, tmp_path):
    """What it has not ended has failed, when the next one says so; what other
    daemons run, or one of which nothing is known, runs on."""
    place, other = "plc7/[::]:4773", "plc7/[::]:4774"
    log = [
        began(1, daemon=place),
        start(session="a", argv="lost", daemon=place),
        start(session="b", argv="other", daemon=other),
        start(session="c", argv="each"),
        start(session="d", argv="elsewhere", daemon="plc8/[::]:4773"),
        start(session="e", argv="done", daemon=place), end(session="e"),
        began(2, listen="x"),
        began(3, daemon=place),
        start(session="f", day=3, argv="new", daemon=place)]
    # The command's start is in what was rotated.
    (tmp_path / "server.log.1").write_text("".join(log[:7]))
    (tmp_path / "server.log").write_text("".join(log[7:]))
    for options in [], ["-p", "alice"]:
        result = report("--json", *options, "server.log", "server.log.1")
        assert [(row["command"], row["how"], row["time"], row["seconds"])
                for row in result["failures"]] == [
            ("lost", "daemon-lost", DAY + "03T12:00:00.000000Z", 0.0)]
        assert [row["command"] for row in result["running"]] == [
            "other", "each", "elsewhere", "new"]
        assert (result["commands"], result["failed"]) == (6, 1)
        assert [row["failed"] for row in result["peers"]] == [1]
    assert "daemon-lost" in report("server.log.1", "server.log")
    assert report("--json", "-p", "bob", "server.log", "server.log.1"
                  )["failures"] == []
    # A report on the days before it does not know of the end.
    assert len(report("--json", "-u", "2026-01-03", "server.log.1",
                      "server.log")["running"]) == 4


def test_real_daemon_that_was_killed(report, aisd, aisc):
    """From the command, by the end of its daemon, to the report."""
    process = aisc.start(aisd.port, "sh", "-c", "echo; sleep 600")
    assert process.stdout.readline() == b"\n"
    first = str(aisd.log)
    assert len(report("--json", first)["running"]) == 1
    port = aisd.port
    aisd.kill()
    process.communicate()
    # Nobody says that it runs: the log alone does not tell.
    text = report(first)
    assert "running" not in text and "1 without an end" in text
    assert [row["how"] for row in report("--json", first)["running"]] == [
        "no end on record"]
    aisd.configure(listen=[f"127.0.0.1:{port}"])
    aisd.start()
    result = report("--json", first)
    assert result["running"] == []
    assert [row["how"] for row in result["failures"]] == ["daemon-lost"]


def test_plain(report, tmp_path):
    (tmp_path / "server.log").write_text(LOG)
    text = report("server.log")
    assert text.startswith("2026-01-01 00:00:00 to 2026-01-03 12:00:00 UTC: "
                           "6 commands in 2 sessions, 2 failed, 1 refused, "
                           "1 without an end; 1 connection refused\n")
    assert "\nthe clock was set once: " in text
    assert "  peer   commands  failed  refused  " in text
    assert re.search(r"^  alice +4 +1 +0 +0:01:41$", text, re.M)
    assert re.search(r"^  2026-01-02 12:00:00  bob +reboot +no rule of this "
                     r"server allows it$", text, re.M)
    assert re.search(r"^  2026-01-03 12:00:00  alice  192.0.2.1  vi$", text,
                     re.M)
    assert "Still" not in report("-t", "peers,days", "server.log")


def test_whole_texts(report, tmp_path):
    """What is too wide for its column is not cut."""
    why = "the argument 3 of check must be a number from 1 to 100, and no more"
    argv = "check " + "x" * 100
    (tmp_path / "server.log").write_text(
        line("command-refused", argv=argv, reason=why) +
        line("command-refused", argv="short", reason="no", request=2) +
        line("handshake-failed", peer="e" * 50) * 2)
    text = report("server.log")
    table = text[text.index("The last that were refused"):
                 text.index("The longest")].splitlines()
    assert table[2] == f"  2026-01-01 12:00:00  alice  {argv}"
    assert table[3].strip() == why
    assert table[4].split() == ["2026-01-01", "12:00:00", "alice", "short",
                                "no"]
    assert table[3].index(why) == table[4].index("no")
    assert "2 connections refused" in text and "0 commands in" in text
    assert report("-", data=b"") .startswith("no records\n")
    # Nothing to read is not nothing that happened.
    assert report("no-such.log", status=1) == ""


def test_version(report, srcdir):
    version = re.search(r"^AC_INIT\(\[ais\], \[(.*)\]\)",
                        (srcdir / "configure.ac").read_text(), re.M)[1]
    assert report("--version") == report("-V") == f"aisd-report {version}\n"


def test_options(report, tmp_path):
    (tmp_path / "server.log").write_text(LOG)

    def commands(*options):
        return report("--json", *options, "server.log")["commands"]
    assert commands("-p", "bob") == 2
    assert commands("-p", "nobody") == 0
    assert commands("-s", "2026-01-02") == 3
    assert commands("-u", "2026-01-02") == 3
    assert commands("-s", "2026-01-02", "-u", "2026-01-03T12:00:00Z") == 2
    assert commands("-u", "2026-01-03T13:00:01+01:00") == 6
    assert commands("--since", "1h") == 0
    assert commands("--since", "yesterday", "--until", "today") == 0
    check_schema(report("--json", "-t", "days", "server.log"), ["days"])
    assert len(report("--json", "-n", "1", "server.log")["failures"]) == 1
    for wrong in (["--json", "--suggest"], ["--html", "x", "--json"],
                  ["--generalise"], ["-s", "soon"], ["-n", "0"], ["-n", "x"], ["-t", "x"],
                  ["-J", "server.log"], ["--no-such"], ["-U", "no-such"]):
        report(*wrong, status=2)
    assert "6 commands" in report("no-such.log", "server.log", status=1)


def test_files_in_any_order(report, tmp_path):
    """Rotated and packed files; the start of a command in another than its
    end."""
    lines = LOG.splitlines(keepends=True)
    (tmp_path / "server.log").write_text("".join(lines[9:]))
    (tmp_path / "server.log.1").write_text("".join(lines[3:9]))
    with gzip.open(tmp_path / "server.log.2.gz", "wt") as packed:
        packed.write("".join(lines[:3]))
    whole = report("--json", "-", data=LOG.encode())
    for names in (["server.log", "server.log.1", "server.log.2.gz"],
                  ["server.log.2.gz", "server.log", "server.log.1"]):
        assert report("--json", *names) == whole
    # By any packer of Python's, and by logrotate's dates.
    (tmp_path / "server.log-20260102.xz").write_bytes(
        lzma.compress("".join(lines[3:9]).encode()))
    (tmp_path / "server.log-20260101.bz2").write_bytes(
        bz2.compress("".join(lines[:3]).encode()))
    assert report("--json", "server.log", "server.log-20260102.xz",
                  "server.log-20260101.bz2") == whole
    for name in "server.log-20260102.xz", "server.log-20260101.bz2":
        (tmp_path / "cut").write_bytes((tmp_path / name).read_bytes()[:-20])
        report("cut", "server.log", status=1)
    # A packed file that is cut: what there is is reported.
    packed = (tmp_path / "server.log.2.gz").read_bytes()
    (tmp_path / "cut.gz").write_bytes(packed[:-9])
    report("cut.gz", "server.log", status=1)


def test_zstd(report, tmp_path):
    """Read where Python can; else it says what to do."""
    if not shutil.which("zstd"):
        pytest.skip("zstd(1) is not installed")
    packed = subprocess.run(["zstd", "-q"], input=LOG.encode(),
                            capture_output=True, check=True).stdout
    (tmp_path / "server.log.zst").write_bytes(packed)
    if sys.version_info >= (3, 14):
        assert report("server.log.zst") == report("-", data=LOG.encode())
    else:
        report("server.log.zst", status=1)


def test_names_of_the_log(srcdir):
    """Those that logrotate(8) makes, and no others."""
    text = (srcdir / "daemon/report/records.py").read_text()
    names = re.compile("".join(re.findall(
        r'r"(.*)"', text[text.index("NAMES"):text.index("# Text")])))
    assert names.fullmatch("server.log")
    for name in ("server.log.1", "server.log.12.gz", "server.log-20261129",
                 "server.log-20261129.xz", "server.log-20261129.zst",
                 "server.log-20261129-1764415000.gz", "server-20261129.log",
                 "server-20261129.log.gz", "server.1.log.bz2"):
        assert names.fullmatch(name), name
    for name in ("server.log.tmp", "server.logs", "server.log.gz.1", "aserver.log",
                 "server.log.1.old", "server.lo"):
        assert not names.fullmatch(name), name


def test_torn_and_hostile_lines(report):
    """A line that is none takes no other with it, whatever it holds."""
    torn = start(session="t", request=9)
    torn_ones = [torn[:n] + "\n" for n in (0, 3, 30, 60, 130, len(torn) - 4)]
    hostile = [
        b"\xff\xfe\0\n", b"{\n", b"{}\n", b"[" * 100000 + b"\n",
        b"{" + b'"a":{' * 100000 + b"\n",
        b'{"AIS_EVENT": 7, "__REALTIME_TIMESTAMP": "9999999999999999999"}\n',
        b'{"AIS_EVENT": "start", "__REALTIME_TIMESTAMP": []}\n',
        end(session="t").replace("reason=exit", "reason=\033[2J").encode(),
        line("command-end", session="t", duration_ms="nan").encode(),
        line("command-end", session="t", duration_ms="x").encode(),
        b"x" * (5 << 20) + b"\n", b"\n", b"no newline at the end"]
    data = LOG.encode() + b"".join(map(str.encode, torn_ones)) + \
        LOG.encode().replace(b"=s", b"=z") + b"".join(hostile)
    whole = report("--json", "-", data=data)
    assert whole["commands"] == 12
    assert whole["unreadable"] >= 10
    text = report("-", data=data)
    check_harmless(text)
    seed = random.Random(4)
    for _ in range(5):
        noise = bytearray(data[:30000])
        for _ in range(300):
            noise[seed.randrange(len(noise))] = seed.randrange(256)
        check_harmless(report("-", data=bytes(noise)))
        check_schema(report("--json", "-", data=bytes(noise)))


def check_harmless(text):
    """Nothing in it moves a cursor or turns the text round."""
    assert all(char == "\n" or char.isprintable() for char in text)


def test_names_of_a_real_daemon(report, aisd, connect, authority):
    """Words and names with every kind of byte, from the daemon to a table."""
    words = ["echo", "a\nb", "\033[31m", "\u202egpj", 'say "hi" \\', ""]
    eve = authority.make("eve\n\033[2J\u202e\"\\")
    session = connect(pair=eve)
    session.run(words)
    session.run([b"printf", b"%s", b"\xff\xfe"])
    session.close()
    aisd.wait_event("session-close")
    text = report(str(aisd.log))
    check_harmless(text)
    assert r"echo 'a\nb' '\x1b[31m' '\xe2\x80\xaegpj' 'say " in text
    result = report("--json", str(aisd.log))
    check_schema(result)
    assert result["unreadable"] == 0
    assert result["commands"] == 2
    name = r'eve\n\x1b[2J\xe2\x80\xae"\\'
    assert [row["peer"] for row in result["peers"]] == [name]
    assert r"'\xff\xfe'" in {row["command"]: 1 for row in result[
        "longest"]}.__str__().replace("\\\\", "\\")
    assert report("--json", "-p", 'eve\n\033[2J\u202e"\\',
                  str(aisd.log))["commands"] == 2


def entry(event, uid="990", **fields):
    """A line of journalctl -o json."""
    return json.dumps({
        "__REALTIME_TIMESTAMP": "1767268800000000", "_UID": uid,
        "MESSAGE": "x", "AIS_EVENT": event, "AIS_SESSION": "s",
        "AIS_REQUEST": "1", "AIS_PEER": "alice",
        **{"AIS_" + name.upper(): value
           for name, value in fields.items()}}).encode() + b"\n"


def test_journal(report):
    data = entry("command-start", argv="true") + \
        entry("command-end", argv="true", reason="exit", exit="3",
              duration_ms="1500.000") + \
        entry("command-start", "991", argv="forged", session="f") + \
        entry("command-refused", reason="no", request="2",
              argv=list(b"a \xff\x1b[2J")) + \
        entry("command-refused", reason=None, request="3",
              argv=["one", "two"]) + \
        b'{"__REALTIME_TIMESTAMP":"1","MESSAGE":"other"}\n'
    result = report("--json", "--user", "990", "-", data=data)
    check_schema(result)
    assert (result["commands"], result["failed"], result["refused"],
            result["unreadable"]) == (1, 1, 2, 0)
    assert result["from"] == "2026-01-01T12:00:00.000000Z"
    assert [row["command"] for row in result["refusals"]] == \
        [r"a \xff\x1b[2J", "one"]
    # Who trusts everybody is told everything.
    assert report("--json", "-", data=data)["commands"] == 2
    check_harmless(report("-", data=data))


def test_memory_is_bounded(report, tmp_path, measurable):
    """Clients, programs and commands without end, and no end of them."""
    with open(tmp_path / "many.log", "w", encoding="ascii") as f:
        for i in range(60000):
            f.write(start(peer=f"p{i}", session=f"x{i}", argv=f"c{i}"))
            f.write(end(peer=f"p{i}", session=f"y{i}", argv=f"c{i}"))
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    result = report("--json", "many.log")
    assert result["commands"] == 60000
    assert len(result["peers"]) <= 10001
    assert len(result["running"]) <= 10000
    assert {"peer": "(others)", "commands": 50000}.items() <= \
        result["peers"][0].items()
    after = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert after == before or after < 200 * 1024    # KiB


def test_examples_of_the_manual(report, srcdir, tmp_path):
    """Each runs, with a log in the place of this machine's."""
    page = (srcdir / "man/aisd-report.8").read_text()
    examples = re.findall(r"^\$ aisd-report (.*)$", page, re.M)
    assert len(examples) >= 4
    (tmp_path / "server.log").write_text(LOG)
    (tmp_path / "journal.json").write_bytes(entry("command-start", "998"))
    for example in examples:
        example = example.replace("/var/log/aisd/", "")
        words, _, name = example.partition(" <")
        words = [word.rstrip("*") for word in shlex.split(words)]
        shown = report(*words, data=(tmp_path / name).read_bytes()
                       if name else None)
        # A page is in its file.
        assert bool(shown) != ("--html" in words)
    assert (tmp_path / "report.html").stat().st_size > 1000


def test_manual_has_the_schema(srcdir):
    page = (srcdir / "man/aisd-report.8").read_text()
    described = {name for line in re.findall(r"^\.(?:It )?Cm (.*)$", page,
                                             re.M)
                 for name in re.findall(r"[a-z_]+", line)}
    used = {*SCHEMA, *(name for row in ROWS.values() for name in row)}
    assert described == used
