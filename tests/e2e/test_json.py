# SPDX-License-Identifier: ISC
"""What aisc tells other programs of each command."""

import base64
import json
import os
import re
import signal
import socket

import pytest

import wire
from aisc import said
from aisd import wait_until
from wire import Code, End

TYPES = {"string": str, "integer": int, "number": (int, float),
         "object": dict, "array": list}


def fits(value, schema):
    """Does it fit a part of JSON Schema that is large enough for ours?"""
    ok = True
    for word, rule in schema.items():
        if word == "type":
            ok &= isinstance(value, TYPES[rule]) and value is not True
        elif word == "required":
            ok &= set(rule) <= set(value)
        elif word == "properties":
            ok &= all(fits(value[name], part)
                      for name, part in rule.items() if name in value)
        elif word == "items":
            ok &= all(fits(item, rule) for item in value)
        elif word == "minimum":
            ok &= value >= rule
        elif word == "maximum":
            ok &= value <= rule
        elif word in ("enum", "const"):
            ok &= value in (rule if word == "enum" else [rule])
        elif word in ("oneOf", "anyOf"):
            count = sum(fits(value, part) for part in rule)
            ok &= count == 1 or (count > 1 and word == "anyOf")
        elif word == "not":
            ok &= not fits(value, rule)
        else:
            assert word in ("$schema", "title"), word
    return ok


def check(value, schema):
    """It fits, and what it has stands in the schema."""
    assert fits(value, schema), value
    assert set(value) <= set(schema["properties"]), value
    if "error" in value:
        assert set(value["error"]) - {"retry_ms"} == \
            {"code", "message", "hint"}
        assert value["error"]["code"] == value["class"]
        assert value["error"]["message"]
        assert bool(value["error"]["hint"]) == \
            (value["class"] not in ("pipe", "interrupted")), value
    for name in "stdout", "stderr":
        assert (name in value) == (name + "_encoding" in value)


@pytest.fixture(scope="session")
def schema(srcdir):
    return json.loads((srcdir / "client" / "command.schema.json").read_text())


@pytest.fixture
def tell(aisc, tmp_path, schema):
    """Run aisc with --status-fd 7; the process and the objects."""
    def run(port, *command, options=(), **how):
        path = tmp_path / "told"
        with open(path, "wb") as file:
            fd = file.fileno()
            done = aisc.run(port, *command,
                            options=["--status-fd", str(fd), *options],
                            popen={"pass_fds": [fd]}, **how)
        text = path.read_bytes()
        assert re.fullmatch(rb"[ -~\n]*", text)
        told = [json.loads(line) for line in text.splitlines()]
        for one in told:
            check(one, schema)
        return done, told
    return run


def test_what_is_left_behind(tell, aisd):
    """People and programs are told of what will not go on."""
    done, (told,) = tell(aisd.port, options=[
        "-v", "-c", "sleep 60 >/dev/null 2>&1 & sleep 60 >/dev/null 2>&1 &"])
    assert (done.returncode, told["exit"], told["left_processes"]) == (0, 0, 2)
    assert b"\naisc: 2 processes that the command has left behind are ended " \
        b"with the session; see \"background\" in aisd.conf(5)\n" in \
        done.stderr
    assert aisd.wait_event("session-close")["ended"] == "2"
    done, (told,) = tell(aisd.port, "true", options=["-v"])
    assert "left_processes" not in told and b"left behind" not in done.stderr


def test_one_command(tell, aisd):
    done, (told,) = tell(aisd.port, "sh", "-c", "printf abc; printf d >&2; "
                         "exit 3")
    assert (done.returncode, done.stdout, done.stderr) == (3, b"abc", b"d")
    end, = aisd.events("command-end")
    assert told["argv"] == ["sh", "-c", "printf abc; printf d >&2; exit 3"]
    assert (told["host"], told["session"]) == ("localhost", end["session"])
    assert (told["request"], told["class"]) == (1, "done")
    assert (told["status"], told["exit"]) == (3, 3) and "signal" not in told
    assert (told["stdout_bytes"], told["stderr_bytes"]) == (3, 1)
    assert abs(told["duration_seconds"] * 1000 -
               float(end["duration_ms"])) < 0.01
    assert told["cpu_seconds"] < told["duration_seconds"] + 1
    assert "error" not in told and "stdout" not in told


def test_signal(tell, aisd):
    done, (told,) = tell(aisd.port, "sh", "-c", "kill -TERM $$")
    assert done.returncode == told["status"] == 128 + 15
    assert told["signal"] == 15 and "exit" not in told
    assert told["class"] == "done"


def test_refused(tell, make_aisd):
    daemon = make_aisd(rules='{ name = "few"; peers = [ "*" ]; '
                       'commands = ( "/bin/true" ); }')
    done, (told,) = tell(daemon.port, "id")
    assert done.returncode == told["status"] == 255
    assert told["class"] == told["error"]["code"] == "denied"
    assert told["error"]["message"] == \
        'the rule "few" does not grant the command id to "alice"'
    assert told["error"]["hint"] == "aisc --list shows what it does"
    assert "exit" not in told and "duration_seconds" not in told
    done, (told,) = tell(daemon.port, "/no/such")
    assert told["status"] == 255


def test_no_connection(tell, aisd):
    port = aisd.port
    aisd.stop()
    done, (told,) = tell(port, "id")
    assert done.returncode == 255 and told["class"] == "connect"
    assert "session" not in told and "request" not in told
    assert "Connection refused" in told["error"]["message"]
    assert told["error"]["hint"].startswith("look whether aisd runs")


def test_unknown_and_cut(tell, fake_server):
    def refuse(peer):
        peer.hello()
        peer.refuse(peer.expect_request(), Code.UNKNOWN, "unknown: \x1b\u20ac")
        peer.drain()

    def cut(peer):
        peer.hello()
        peer.started(peer.expect_request())
        peer.close()
    done, (told,) = tell(fake_server(refuse).port, "x")
    assert told["status"] == done.returncode == 127
    assert told["class"] == "unknown"
    assert told["error"]["message"] == "unknown: \\x1b\u20ac"
    done, (told,) = tell(fake_server(cut).port, "x")
    assert told["status"] == 255 and told["class"] == "lost"


def test_aisc_is_ended(aisc, aisd, tmp_path, schema):
    read, write = os.pipe()
    process = aisc.start(aisd.port, "sleep", "100", options=[
        "--status-fd", str(write)], popen={"pass_fds": [write]})
    os.close(write)
    wait_until(lambda: aisd.events("command-start"), "it runs")
    process.send_signal(signal.SIGTERM)
    process.communicate()
    with open(read, "rb") as file:
        told = json.loads(file.read())
    check(told, schema)
    assert process.returncode == -signal.SIGTERM
    assert told["status"] == 128 + signal.SIGTERM
    assert told["class"] == "interrupted"
    assert told["error"]["message"] == "a signal has ended aisc"


@pytest.mark.parametrize("text, kept, encoding", [
    ("plain", "plain", "utf-8"), ("caf\\303\\251 \\033", "caf\u00e9 \x1b",
                                  "utf-8"),
    ("\\377", base64.b64encode(b"\xff").decode(), "base64"),
    ("ab\\377", base64.b64encode(b"ab\xff").decode(), "base64"),
    ("\\357\\277\\275", "\ufffd", "utf-8"), ("", "", "utf-8"),
    ("\\355\\240\\200a", base64.b64encode(b"\xed\xa0\x80a").decode(),
     "base64")])
def test_capture(aisc, aisd, schema, text, kept, encoding):
    done = aisc.run(aisd.port, "sh", "-c", f"printf '{text}'; printf x >&2",
                    options=["--json", "--capture"])
    told = json.loads(done.stdout)
    check(told, schema)
    assert done.returncode == 0 and done.stderr == b""
    assert (told["stdout"], told["stdout_encoding"]) == (kept, encoding)
    assert (told["stderr"], told["stderr_encoding"]) == ("x", "utf-8")
    assert told["stdout_bytes"] == len(base64.b64decode(kept) if encoding ==
                                       "base64" else kept.encode())


@pytest.mark.parametrize("where", ["", ">&2"])
def test_capture_is_bounded(aisc, aisd, schema, where):
    done = aisc.run(aisd.port, "sh", "-c", "head -c 17000000 /dev/zero | "
                    f"tr '\\0' x {where}; sleep 100",
                    options=["--json", "--capture"])
    told = json.loads(done.stdout)
    check(told, schema)
    assert done.returncode == told["status"] == 255
    assert told["class"] == said(done.stderr) == "resources"
    assert "16777216 bytes" in told["error"]["message"]
    wait_until(lambda: aisd.events("command-end"), "the server ends it")


def test_script(tell, aisd, tmp_path):
    """An object for each line that is a command, also for our own; the numbers
    of requests go to those that have made one."""
    path = tmp_path / "script"
    path.write_text("true\nnonsense\n\n# x\ncd /\nsh -c 'exit 4'\npwd\nlist\n"
                    "help\ncd /nowhere\nexit 3\n")
    done, told = tell(aisd.port, options=["--keep-going", "-f", str(path)])
    assert done.returncode == 255 and b"\n/\n" in b"\n" + done.stdout
    assert [(one["line"], one["class"], one["status"], one.get("argv"),
             one.get("request")) for one in told] == [
        (1, "done", 0, ["true"], 1), (2, "unknown", 127, ["nonsense"], 2),
        (5, "done", 0, ["cd", "/"], 3),
        (6, "done", 4, ["sh", "-c", "exit 4"], 4),
        (7, "done", 0, ["pwd"], None), (8, "done", 0, ["list"], 5),
        (9, "done", 0, ["help"], None),
        (10, "directory", 255, ["cd", "/nowhere"], 6)]
    assert f"{path}:2: " in told[1]["error"]["message"]
    assert len({one["session"] for one in told if "session" in one}) == 1
    # What is not understood has no words.
    path.write_text("true\n'\ntrue\n")
    done, told = tell(aisd.port, options=["-f", str(path)])
    assert [(one["line"], one["class"], one.get("argv")) for one in told] == [
        (1, "done", ["true"]), (2, "invalid", None)]
    assert f"{path}:2: " in told[1]["error"]["message"]
    assert done.returncode == 255


def test_script_captured(aisc, aisd, schema):
    """Nothing stands between the objects."""
    done = aisc.run(aisd.port, options=["--json", "--capture", "-C", "/"],
                    input=b"echo a\npwd\nhelp\necho b\nlist\n")
    told = [json.loads(line) for line in done.stdout.splitlines()]
    for one in told:
        check(one, schema)
    assert [one["line"] for one in told] == [1, 2, 3, 4, 5]
    assert [one["stdout"] for one in told[:2] + told[3:]] == [
        "a\n", "/\n", "b\n", ""]
    assert "cd [DIR]" in told[2]["stdout"]
    assert "aisc --list --json" in told[4]["error"]["hint"]
    assert said(done.stderr) == "invalid"


def test_hint_for_a_mistake(tell, aisd):
    _, (told,) = tell(aisd.port, "ls -la /x")
    assert told["error"]["message"] == "unknown command: ls -la /x"
    assert told["error"]["hint"].startswith("each word is an argument")


def test_what_was_asked_is_no_hint(tell, aisd):
    """What another has written does not become our advice."""
    _, (told,) = tell(aisd.port, "/no/foo; rm -rf x")
    assert told["error"]["message"] == "unknown command: /no/foo; rm -rf x"
    assert "rm -rf" not in told["error"]["hint"]


def test_shell(tell, make_aisd):
    daemon = make_aisd(rules='{ peers = [ "*" ]; anything = true; '
                       'shell = true; }')
    done, (told,) = tell(daemon.port, options=["-c", "cat; exit 2"],
                         input=b"12345")
    assert (done.returncode, done.stdout) == (2, b"12345")
    assert (told["argv"], told["shell"]) == (["cat; exit 2"], True)
    assert told["stdin_bytes"] == told["stdout_bytes"] == 5
    assert told["stderr_bytes"] == 0 and told["port"] == daemon.port


# Whatever comes of it, there is an object, and no failure has an "exit".

@pytest.mark.parametrize("reason, name", [
    (Code.TIMEOUT, "timeout"), (Code.OUTPUT, "limit"),
    (Code.STOPPING, "stopped"), (Code.DENIED, "denied")])
@pytest.mark.parametrize("end", [End.EXIT, End.SIGNAL])
def test_cut_short(tell, fake_server, reason, name, end):
    def script(peer):
        peer.hello()
        request = peer.expect_request()
        peer.started(request)
        peer.exit(request, 0 if end == End.EXIT else 9, end=end,
                  reason=reason)
        peer.drain()
    done, (told,) = tell(fake_server(script).port, "x")
    assert done.returncode == told["status"] == 255
    assert told["class"] == name and "duration_seconds" in told


def test_output_is_lost(tell, aisd):
    with open("/dev/full", "wb") as full:
        done, (told,) = tell(aisd.port, "echo", "x", stdout=full)
    assert done.returncode == told["status"] == 255
    assert told["class"] == "output" and told["error"]["hint"]


def test_reader_has_gone(tell, aisd):
    read, write = os.pipe()
    os.close(read)
    done, (told,) = tell(aisd.port, "echo", "x", stdout=write)
    os.close(write)
    assert done.returncode == told["status"] == 141
    assert told["class"] == "pipe"


def test_time_limit(tell, aisd, slowness):
    done, (told,) = tell(aisd.port, "sleep", "100",
                         options=["--timeout", str(slowness)])
    assert done.returncode == 255 and told["class"] == "timeout"
    assert told["error"]["message"].endswith("the server ends the command")
    assert told["error"]["hint"].startswith("allow more time")


def test_bad_files(tell, aisc, aisd, tmp_path):
    """The settings, the certificate, the script."""
    done, (told,) = tell(aisd.port, "true", options=["--key", "/nowhere"])
    assert told["class"] == said(done.stderr) == "config"
    assert "/nowhere" in told["error"]["message"]
    done, (told,) = tell(aisd.port, options=["-f", "/nowhere"])
    assert told["class"] == said(done.stderr) == "input"
    aisc.config.write_text("colour = 1;\n")
    done, (told,) = tell(aisd.port, "true")
    assert told["class"] == said(done.stderr) == "config"
    assert told["host"] == "localhost" and b"colour" in done.stderr
    assert told["error"]["message"] == \
        f'{aisc.config}:1: unknown key "colour"'
    assert told["error"]["hint"] == \
        "the manual page says which keys stand here"
    aisc.config.write_text("port = 0;\ncolour = 1;\n")
    done, (told,) = tell(aisd.port, "true")
    assert told["error"]["message"] == f"{aisc.config}:1: port: out of range"
    assert told["error"]["hint"] == "it may be from 1 to 65535"
    assert not aisd.events("command-start")


def test_script_that_cannot_go_on(tell, fake_server):
    """The session has had its turn, and the next one does not begin."""
    def script(peer):
        peer.hello()
        peer.send(wire.Type.DIRECTORY, peer.expect_request().number, b"/x")
        request = peer.expect_request()
        peer.started(request)
        peer.exit(request, 0)
        peer.expect_request()
        peer.goodbye(Code.TURN, "others wait")

    def busy(peer):
        peer.send(wire.Type.GOODBYE, 0, wire.code_payload(
            Code.BUSY, "full", wire.item(wire.Item.RETRY, b"\0\0\x0b\xb8")))
    server = fake_server([script, busy])
    done, told = tell(server.port, input=b"cd /x\ntrue\nfalse\ntrue\n")
    assert [(one["argv"][0], one["class"]) for one in told] == [
        ("cd", "done"), ("true", "done"), ("false", "busy")]
    assert done.returncode == 255 and said(done.stderr) == "busy"
    assert told[-1]["error"]["retry_ms"] == 3000


def connecting(port):
    """How many connections to "port" wait for an answer."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        return sum(1 for line in table.readlines()[1:]
                   if line.split()[2].endswith(f":{port:04X}") and
                   line.split()[3] == "02")


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGINT])
def test_aisc_is_ended_while_it_connects(aisc, schema, signo):
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        others = [socket.socket() for _ in range(3)]
        for other in others:
            other.setblocking(False)
            other.connect_ex(("127.0.0.1", port))
        wait_until(lambda: connecting(port) > 0, "it is full")
        before = connecting(port)
        read, write = os.pipe()
        process = aisc.start(port, "true", host="127.0.0.1", options=[
            "--status-fd", str(write)], popen={"pass_fds": [write]})
        os.close(write)
        wait_until(lambda: connecting(port) > before, "it connects")
        process.send_signal(signo)
        process.communicate()
        for other in others:
            other.close()
    # The exit status says it.  If there is an object, it is a whole one.
    assert process.returncode == -signo
    with open(read, "rb") as file:
        for line in file:
            told = json.loads(line)
            check(told, schema)
            assert (told["class"], told["status"]) == ("interrupted",
                                                       128 + signo)


# The descriptor.

def test_reader_that_is_slow(aisc, aisd, schema):
    """On a pipe that does not block, an object that is larger than it."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    process = aisc.start(aisd.port, "head", "-c", "300000", "/dev/zero",
                         options=["--json", "--capture", "--status-fd",
                                  str(write)], popen={"pass_fds": [write]})
    os.close(write)
    text = b""
    while more := os.read(read, 1000):
        text += more
    os.close(read)
    assert process.wait(60) == 0
    process.communicate()
    told = json.loads(text)
    check(told, schema)
    assert told["stdout"] == "\0" * 300000


def test_reader_that_reads_nothing(aisc, aisd):
    read, write = os.pipe()
    process = aisc.start(aisd.port, "head", "-c", "300000", "/dev/zero",
                         options=["--json", "--capture"], stdout=write)
    os.close(write)
    aisd.wait_event("command-end")
    assert os.read(read, 1) == b"{"
    process.terminate()
    assert process.wait(60) == -signal.SIGTERM
    process.communicate()
    os.close(read)


@pytest.mark.parametrize("options, why", [
    (["--json"], b"add --status-fd N or --capture"),
    (["--capture"], b"--capture goes with --json"),
    (["--status-fd", "1"], b"--status-fd 1 would mix"),
    (["--status-fd", "99"], b"descriptor 99 is not open for writing"),
    (["--status-fd", "0"],
     b'--status-fd takes a number from 1 to 2147483647 and not "0"'),
    (["--status-fd", "x"], b'not "x"'),
    (["--status-fd", "1.5"], b'not "1.5"'),
    (["--status-fd", "2"], b"--status-fd 2 would mix"),
    (["--list", "--capture", "--json"], b"are for commands"),
])
def test_usage(aisc, aisd, options, why):
    done = aisc.run(aisd.port, *([] if "--list" in options else ["true"]),
                    options=options)
    assert done.returncode == 255 and said(done.stderr) == "usage"
    assert why in done.stderr and not aisd.events("command-start")


def test_not_at_a_prompt(aisc, aisd):
    master, slave = os.openpty()
    done = aisc.run(aisd.port, options=["--json", "--capture"], stdin=slave)
    os.close(master)
    os.close(slave)
    assert done.returncode == 255 and b"not for a prompt" in done.stderr


def test_nowhere_to_write_it(aisc, aisd):
    """What cannot be told is a failure, for somebody waits for it."""
    with open("/dev/full", "wb") as full:
        done = aisc.run(aisd.port, "true",
                        options=["--status-fd", str(full.fileno())],
                        popen={"pass_fds": [full.fileno()]})
    assert done.returncode == 255 and said(done.stderr) == "output"
    assert b"No space left on device" in done.stderr


def test_nowhere_to_write_a_failure(aisc, make_aisd):
    """The first failure is the one that is told."""
    daemon = make_aisd(rules='{ peers = [ "nobody" ]; anything = true; }')
    with open("/dev/full", "wb") as full:
        done = aisc.run(daemon.port, "true",
                        options=["--status-fd", str(full.fileno())],
                        popen={"pass_fds": [full.fileno()]})
    assert done.returncode == 255 and said(done.stderr) == "denied"


def test_classes(schema, srcdir):
    source = (srcdir / "client" / "core" / "outcome.c").read_text()
    assert schema["properties"]["class"]["enum"] == \
        re.findall(r'\[OUTCOME_\w+\] = \{ "([a-z-]+)"', source)


def test_manual(schema, srcdir):
    """The page names all members, and those of the error."""
    page = (srcdir / "man" / "aisc.1").read_text()
    page = page[page.index(".Ss JSON"):page.index("The object of\n.Fl -check")]
    named = {name for line in re.findall(r"^\.(?:It )?Cm (.*)$", page, re.M)
             for name in re.findall(r"[a-z_]+", line)}
    members = schema["properties"]
    assert set(members) | set(members["error"]["properties"]) <= named
