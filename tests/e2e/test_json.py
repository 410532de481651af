"""What aisc tells other programs of each command."""

import base64
import json
import os
import re
import signal

import pytest

from aisc import said
from aisd import wait_until
from wire import Code

TYPES = {"string": str, "integer": int, "number": (int, float),
         "object": dict, "array": list}


def check(value, schema, where="$"):
    """A part of JSON Schema that is large enough for ours."""
    if "enum" in schema:
        assert value in schema["enum"], where
        return
    assert isinstance(value, TYPES[schema["type"]]), where
    assert not isinstance(value, bool), where
    if "minimum" in schema:
        assert value >= schema["minimum"], where
    if "maximum" in schema:
        assert value <= schema["maximum"], where
    if schema["type"] == "array":
        for item in value:
            check(item, schema["items"], where + "[]")
    if schema["type"] == "object":
        assert set(schema["required"]) <= set(value), where
        for name, member in value.items():
            assert name in schema["properties"], f"{where}.{name}"
            check(member, schema["properties"][name], f"{where}.{name}")


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
    assert process.returncode == told["status"] == 128 + 15
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
    path = tmp_path / "script"
    path.write_text("true\nnonsense\ncd /\n'\nsh -c 'exit 4'\npwd\n")
    done, told = tell(aisd.port, options=["-f", str(path)])
    assert done.returncode == 0
    assert [(one["class"], one["status"]) for one in told] == [
        ("done", 0), ("unknown", 127), ("invalid", 255), ("done", 4)]
    assert [one.get("argv") for one in told] == [
        ["true"], ["nonsense"], None, ["sh", "-c", "exit 4"]]
    assert f"{path}:4: " in told[2]["error"]["message"]
    assert len({one["session"] for one in told}) == 1


@pytest.mark.parametrize("options, why", [
    (["--json"], b"add --status-fd N or --capture"),
    (["--capture"], b"--capture goes with --json"),
    (["--status-fd", "1"], b"--status-fd 1 would mix"),
    (["--status-fd", "99"], b"descriptor 99 is not open for writing"),
    (["--status-fd", "0"], b"0 is no N for --status-fd"),
    (["--status-fd", "x"], b"x is no N for --status-fd"),
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


def test_the_schema_is_schema(schema):
    """Every class that aisc has is in it, and the other way round."""
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(schema)


def test_classes(schema, srcdir):
    source = (srcdir / "client" / "outcome.c").read_text()
    assert schema["properties"]["class"]["enum"] == \
        re.findall(r'\{ OUTCOME_\w+, "([a-z-]+)"', source)
