# SPDX-License-Identifier: ISC
"""aisc --list, --can and --check: what may I, and is all well?"""

import json
import os
import pty
import re
import subprocess
import time

import pytest

import pki
import wire
from aisc import said
from pki import DAY
from wire import Code, Operation

RULES = """
{ name = "ops"; peers = [ "alice" ];
  commands = (
    { name = "uptime"; program = "/usr/bin/uptime";
      summary = "how long it runs"; },
    { name = "say"; program = "/bin/echo"; summary = "";
      arguments = ( "-n", { one_of = [ "yes", "no" ]; } ); },
    { program = "/bin/date"; summary = "a\\tb\\nc"; arguments = (
        { flag = [ "-d", "--date=" ]; match = "~[0-9-]+"; optional = true; },
        { flag = "-u"; optional = true; repeat = true; },
        { flag = [ "-R", "-I" ]; }, "+%F", "it's", { min = -1; max = 9; },
        { below = "/srv"; }, { below = "/"; },
        { match = [ "a*", "~b|c" ]; repeat = true; },
        { any = true; rest = true; } ); }, "/bin/true" ); }
"""
# What may stand behind the names.
USAGE = ["", "(yes|no)", "[-d ~[0-9-]+|--date=~[0-9-]+] [-u]... (-R|-I) +%F "
         "'it'\\''s' -1..9 /srv/PATH /PATH (a*|~b|c)... [WORD]...", "[WORD]..."]
ODD = b"plain\tall well\nb\x1b[1m\tx\ty\xff\xe2\x80\xae\n\"q\\\t\nlonger-name\tz"


def answer(data, status=0, **fields):
    """A script that answers questions like this, and keeps what was asked."""
    asked = []

    def script(peer):
        peer.hello()
        while True:
            try:
                request = peer.expect_request()
            except (wire.Closed, wire.Cut, wire.Mismatch):
                return
            asked.append(request)
            peer.started(request)
            peer.stdout(request, data)
            peer.exit(request, status, **fields)
    script.asked = asked
    return script


@pytest.fixture
def ask(aisc, fake_server):
    """A function that runs aisc against a script."""
    def run(script, *command, **how):
        return aisc.run(fake_server(script).port, *command, **how)
    return run


@pytest.fixture
def ops(make_aisd):
    """An aisd that grants two commands to alice."""
    return make_aisd(rules=RULES)


def lines(done):
    return done.stdout.decode().splitlines()


# What may I run?

def test_list(aisc, ops):
    done = aisc.run(ops.port, options=["--list"])
    assert (done.returncode, done.stderr) == (0, b"")
    columns = list(zip(["uptime", "say", "date", "true"],
                       ["how long it runs", "", "a\\tb\\nc", ""], USAGE))
    assert [tuple(line.split("\t")) for line in lines(done)] == columns
    done = aisc.run(ops.port, options=["--list", "--json"])
    assert json.loads(done.stdout) == {"host": "localhost", "commands": [
        {"name": name, "summary": summary, "arguments": arguments}
        for name, summary, arguments in columns]}
    assert not ops.events("command-start")


def test_list_of_long_arguments(aisc, make_aisd):
    """They are cut, and say so."""
    words = ", ".join(f'"word{n}"' for n in range(999))
    daemon = make_aisd(rules='{ peers = "*"; commands = ( { program = '
                       f'"/bin/echo"; arguments = ( {{ one_of = [ {words} ]; '
                       '} ); } ); }')
    line, = lines(aisc.run(daemon.port, options=["--list"]))
    name, summary, arguments = line.split("\t")
    assert (name, summary) == ("echo", "")
    assert len(arguments) == 2047 and arguments.startswith("(word0|word1|")
    assert arguments.endswith("...")


def test_list_asks_for_arguments(ops, alice, ask):
    """By an item that may be skipped: who does not ask is told what it knows,
    and a server that does not know it has no such column."""
    with wire.Client(ops.port, *alice[:3]) as session:
        session.hello()
        plain = session.request(Operation.LIST, [])
        assert plain.stdout == b"uptime\thow long it runs\nsay\t\n" \
            b"date\ta\\tb\\nc\ntrue\t\n"
        number = session.next_number()
        session.send_raw(wire.request_frames(number, wire.body(
            Operation.LIST, windows=(99999, 99999)) + wire.item(
                wire.Item.ARGUMENTS)))
        full = session.follow(number)
        assert full.stdout.splitlines()[1] == b"say\t\t(yes|no)"
    script = answer(b"up\thow long\ndown\t\n")
    assert ask(script, options=["--list"]).stdout == b"up\thow long\ndown\t\n"
    assert script.asked[0].arguments
    done = ask(script, options=["--list", "--json"])
    assert json.loads(done.stdout)["commands"] == [
        {"name": "up", "summary": "how long"}, {"name": "down", "summary": ""}]


def test_list_escapes(ask):
    script = answer(ODD)
    assert ask(script, options=["--list"]).stdout.splitlines() == [
        b"plain\tall well", b"b\\x1b[1m\tx\ty\\xff\\xe2\\x80\\xae",
        b'"q\\\t', b"longer-name\tz"]
    request, = script.asked
    assert request.operation == Operation.LIST and request.words == []
    assert not request.stdin and not request.env
    done = ask(answer(ODD), options=["--list", "--json"])
    assert done.stdout.isascii()
    assert json.loads(done.stdout)["commands"] == [
        {"name": "plain", "summary": "all well"},
        {"name": "b\x1b[1m", "summary": "x",
         "arguments": "y\ufffd\u202e"},
        {"name": '"q\\', "summary": ""},
        {"name": "longer-name", "summary": "z"}]


def test_list_on_a_terminal(aisc, fake_server):
    ours, theirs = pty.openpty()
    process = aisc.start(fake_server(answer(ODD)).port, stdout=theirs,
                         options=["--list"])
    os.close(theirs)
    shown = b""
    try:
        while True:
            shown += os.read(ours, 4096)
    except OSError:     # The other end is closed.
        pass
    os.close(ours)
    process.stderr.close()
    assert process.wait(20) == 0
    assert shown.decode().splitlines() == [
        "plain                       all well",
        "b\\x1b[1m y\\xff\\xe2\\x80\\xae  x", '"q\\',
        "longer-name                 z"]


def test_list_of_nothing_and_of_much(ask):
    assert ask(answer(b""), options=["--list"]).stdout == b""
    done = ask(answer(b""), options=["--list", "--json"])
    assert json.loads(done.stdout)["commands"] == []
    much = b"".join(b"command-%d\tdoes %d\n" % (n, n) for n in range(100000))
    assert ask(answer(much), options=["--list"]).stdout == much
    done = ask(answer(bytes(17 * 1024 * 1024)), options=["--list"])
    assert (done.returncode, said(done.stderr)) == (255, "resources")
    assert done.stdout == b""


# May I run this?

@pytest.mark.parametrize("words, status, why", [
    (["uptime"], 0, "ops"), (["say", "yes"], 0, "say"),
    (["say", "maybe"], 1, ""), (["reboot"], 1, ""), ([], 0, '"ops"')])
def test_can(aisc, ops, words, status, why):
    done = aisc.run(ops.port, *words, options=["--can"])
    assert (done.returncode, done.stderr) == (status, b"")
    line, = lines(done)
    assert why in line and line
    done = aisc.run(ops.port, *words, options=["--can", "--json"])
    assert done.returncode == status
    assert json.loads(done.stdout) == {
        "host": "localhost", "allowed": status == 0, "why": line}
    assert not ops.events("command-start")


def test_can_asks_for_all_of_it(ask):
    script = answer(b"no: \x1b[1m\xff\nmore\n", 1)
    done = ask(script, "a", "--json", "",
               options=["--can", "-e", "A=1", "-C", "/tmp"])
    assert (done.returncode, done.stdout) == (1, b"no: \\x1b[1m\\xff\n")
    request, = script.asked
    assert request.operation == Operation.CAN
    assert request.words == [b"a", b"--json", b""]
    assert (request.env, request.directory) == ([b"A=1"], b"/tmp")
    assert not request.stdin


@pytest.mark.parametrize("option", ["--list", "--can"])
@pytest.mark.parametrize("script, name", [
    (answer(b"", 2), "protocol"),
    (answer(b"", 9, end=wire.End.SIGNAL), "protocol"),
    (answer(b"", 0, reason=Code.TIMEOUT), "timeout"),
    (wire.refusing(Code.DENIED, "no"), "denied"),
    (wire.leaving(Code.BUSY), "busy"), (wire.ending("output"), "lost")])
def test_no_answer(ask, option, script, name):
    for more in [], ["--json"]:
        done = ask(script, options=[option, *more])
        assert (done.returncode, said(done.stderr)) == (255, name)
        if more:
            error = json.loads(done.stdout)["error"]
            assert set(error) == {"code", "message", "hint"}
            assert error["code"] == name
            assert error["message"] and error["hint"]
        else:
            assert done.stdout == b""


@pytest.mark.parametrize("option", ["--list", "--can", "--check"])
def test_answers_that_cannot_be_written(aisc, ops, option):
    with open("/dev/full", "wb") as full:
        done = aisc.run(ops.port, options=[option], stdout=full)
    assert done.returncode == (3 if option == "--check" else 255)


@pytest.mark.parametrize("words, says", [
    (["--list", "--can", "h"], "exclude"), (["--check", "--list", "h"], ""),
    (["--can", "-c", "x", "h"], "exclude"), (["--json", "h"], "--json"),
    (["--list", "h", "x"], "x"), (["--check", "h", "x"], "x"),
    (["--check", "--warn-days", "x", "h"], "--warn-days"),
    (["--critical-days", "-1", "--check", "h"], "--critical-days"),
    (["--frob", "--check", "h"], "--frob"), (["--check"], "no HOST")])
def test_usage(program, words, says):
    done = subprocess.run([*program("aisc"), *words], capture_output=True,
                          stdin=subprocess.DEVNULL, timeout=20, check=False)
    assert said(done.stderr) == "usage" and says in done.stderr.decode()
    assert done.stderr.count(b"\n") == 1
    if "--check" in words:
        assert done.returncode == 3
        assert done.stdout.startswith(b"AISC UNKNOWN - ")
    else:
        assert (done.returncode, done.stdout) == (255, b"")


# Is all well?

FIRST = re.compile(
    r"AISC (\w+) - localhost: (?:(.*); )?TLSv1\.3, (\d+\.\d) ms, "
    r"server certificate (-?\d+) days, own (-?\d+) days "
    r"\| rtt=(\d+\.\d{6})s;;; server_days=(-?\d+) own_days=(-?\d+) "
    r"authority_days=(-?\d+)(?: crl_days=(-?\d+))?$")


def check(aisc, port, *options, **how):
    """Both forms of a check: the first line and the rest, and the object."""
    done = aisc.run(port, options=["--check", *options], **how)
    other = aisc.run(port, options=["--check", "--json", *options], **how)
    assert done.returncode == other.returncode
    assert done.stderr == other.stderr
    found = json.loads(other.stdout)
    status = ["OK", "WARNING", "CRITICAL", "UNKNOWN"][done.returncode]
    assert (found["status"], found["code"]) == (status, done.returncode)
    first, *rest = lines(done)
    assert first.startswith(f"AISC {status} - ")
    assert not any("|" in line for line in rest)
    return done.returncode, first, "\n".join(rest), found


def test_check(aisc, ops, alice, localhost):
    status, first, rest, found = check(aisc, ops.port)
    assert status == 0, first
    match = FIRST.match(first)
    assert match and match[2] is None and 0 < float(match[6]) < 5, first
    assert match[4] == match[7] and match[5] == match[8]
    assert "TLS_AES_256_GCM_SHA384" in rest and 'rule "ops"' in rest
    assert "knows us as: alice" in rest and "server: aisd " in rest
    session = ops.wait_event("session-open", count=2)["session"]
    assert re.search(r"^session: \S+$", rest, re.M)
    assert found["session"] == session
    assert found["peer"] == "alice" and found["tls_version"] == "TLSv1.3"
    assert found["address"] == f"127.0.0.1:{ops.port}"
    assert found["port"] == ops.port and found["host"] == "localhost"
    assert found["cipher"] == "TLS_AES_256_GCM_SHA384"
    assert found["server"].startswith("aisd ") and '"ops"' in found["rule"]
    assert found["text"] == "" and not {"class", "error"} & set(found)
    assert 0 < found["rtt_seconds"] < 5 and 0 < found["handshake_seconds"] < 5
    for chain, name, pair in (("own_chain", "CN=alice", alice),
                              ("server_chain", "CN=localhost", localhost)):
        leaf, authority = found[chain]
        assert leaf["subject"] == name
        assert leaf["serial"].lower() == pair.serial.lower() or \
            not pair.serial
        assert re.fullmatch("[0-9a-f]{64}", leaf["fingerprint"])
        assert leaf["issuer"] == authority["subject"] == authority["issuer"]
        for cert in leaf, authority:
            ends = time.mktime(time.strptime(
                cert["not_after"], "%Y-%m-%dT%H:%M:%SZ")) - time.timezone
            assert abs((ends - time.time()) // DAY - cert["days"]) <= 1
            assert cert["not_before"] < cert["not_after"]
            assert cert["subject"] in rest
    assert not ops.events("command-start")


@pytest.mark.parametrize("own, server, options, status, whose", [
    (31, 40, (), 0, None), (29, 40, (), 1, "our own"),
    (40, 29, (), 1, "the server"), (6, 40, (), 2, "our own"),
    (29, 6, (), 2, "the server"), (40, 40, ("--warn-days", "41"), 1, "our"),
    (6, 6, ("--warn-days", "6", "--critical-days", "3"), 0, None),
    (12, 6, ("--warn-days", "0", "--critical-days", "10"), 2, "server")])
def test_days_left(aisc, make_aisd, authority, own, server, options, status,
                   whose):
    ours = authority.make("alice", end=own * DAY + 3600)
    daemon = make_aisd(pair=authority.make("localhost", "server",
                                           end=server * DAY + 3600))
    got, first, _, found = check(aisc, daemon.port, *options, pair=ours)
    assert got == status, first
    match = FIRST.match(first)
    assert (int(match[4]), int(match[5])) == (server, own)
    assert (match[2] is None) == (whose is None)
    if whose:
        assert whose in match[2] and "renew" in match[2]
        assert match[2] == found["text"]


def test_days_of_an_authority(aisc, make_aisd, tmp_path):
    root = pki.root(tmp_path / "pki", end=400 * DAY)
    branch = root.intermediate("Branch", end=10 * DAY + 3600)
    daemon = make_aisd(pair=branch.make("localhost", "server", end=90 * DAY))
    for signer, count in (root, 2), (branch, 3):
        status, first, rest, found = check(
            aisc, daemon.port, pair=signer.make("alice", end=90 * DAY))
        assert status == 1 and 'CN=Branch' in first
        assert FIRST.match(first)[9] == "10"
        assert [len(found["own_chain"]), len(found["server_chain"])] == \
            [count, 3]
        assert "server authority: " in rest


def authorities(path, *files):
    path.write_text("".join(open(file).read() for file in files))
    return str(path)


def test_authority_that_is_not_ours(aisc, make_aisd, authority, tmp_path):
    """A file of two: the one that counts is the one that has signed."""
    other = pki.root(tmp_path / "other", "Other", end=5 * DAY)
    ours = authority.make("alice", end=90 * DAY)
    both = authorities(tmp_path / "both", other.make("x").ca, ours.ca)
    daemon = make_aisd()
    status, first, _, found = check(aisc, daemon.port,
                                    pair=ours._replace(ca=both))
    assert status == 0, first
    assert len(found["own_chain"]) == 2
    assert found["own_chain"][0]["issuer"] == found["own_chain"][1]["subject"]
    # And the other way round.
    ours = other.make("alice", end=4 * DAY)
    both = authorities(tmp_path / "both", ours.ca, authority.make("x").ca)
    _, _, _, found = check(aisc, daemon.port, pair=ours._replace(ca=both))
    assert found["own_chain"][1]["subject"] == "CN=Other"


def test_authority_in_openssl_s_own_form(aisc, make_aisd, authority, tmp_path):
    pair = authority.make("alice", end=90 * DAY)
    trusted = tmp_path / "trusted"
    subprocess.run(["openssl", "x509", "-in", pair.ca, "-trustout", "-out",
                    trusted], check=True)
    assert "TRUSTED" in trusted.read_text()
    status, _, rest, found = check(aisc, make_aisd().port,
                                   pair=pair._replace(ca=str(trusted)))
    assert status == 0 and len(found["own_chain"]) == 2
    assert "own authority: " in rest


# Explained before connecting.

def broken(kind, pair, authority, tmp_path):
    """What can be wrong with our own files: the pair, and what is said."""
    other = authority.make("other")
    away = str(tmp_path / "away")
    if kind == "no certificate":
        return pair._replace(cert=away), 3, "cannot read the certificate"
    if kind == "no key":
        return pair._replace(key=away), 3, "cannot read the key"
    if kind == "no authority":
        return pair._replace(ca=away), 3, "cannot read the authority"
    if kind == "not set":
        return pair._replace(key=""), 3, "--key"
    if kind == "another key":
        return pair._replace(key=other.key), 3, "does not belong to"
    if kind == "no PEM":
        (tmp_path / "away").write_text("hello\n")
        return pair._replace(cert=away), 3, "must be PEM"
    if kind == "open key":
        (tmp_path / "open").write_bytes(open(pair.key, "rb").read())
        (tmp_path / "open").chmod(0o644)
        return pair._replace(key=str(tmp_path / "open")), 3, "chmod 600"
    if kind == "expired":
        return authority.make("alice", start=-2 * DAY, end=-DAY), 2, "expired"
    if kind == "not yet valid":
        return authority.make("alice", start=DAY, end=2 * DAY), 3, "not valid"
    if kind.startswith("unreadable"):
        what = {"certificate": "cert", "key": "key", "authority": "ca"}[
            kind.split()[1]]
        copy = tmp_path / "copy"
        copy.write_bytes(open(getattr(pair, what), "rb").read())
        copy.chmod(0)
        return pair._replace(**{what: str(copy)}), 3, \
            f"cannot read the {kind.split()[1]} {copy}: Permission denied"
    if kind == "a folder":
        return pair._replace(cert=str(tmp_path)), 3, str(tmp_path)
    if kind == "empty authority":
        (tmp_path / "away").touch()
        return pair._replace(ca=away), 3, "must be the certificate of the auth"
    if kind == "passphrase":
        subprocess.run(["openssl", "pkey", "-in", pair.key, "-aes256",
                        "-passout", "pass:x", "-out", away], check=True)
        return pair._replace(key=away), 3, "is encrypted"
    if kind == "authority has expired":
        old = pki.root(tmp_path / "pki", start=-2 * DAY, end=-DAY)
        return old.make("alice"), 2, "expired"
    if kind == "authority is none":
        return pair._replace(ca=other.cert), 2, "configured authority"
    if kind == "purpose":
        return authority.make("alice", "server"), 2, "not for use as a client"
    stranger = pki.self_signed(tmp_path / "s", "alice")
    return stranger._replace(ca=pair.ca), 2, "configured authority"


@pytest.mark.parametrize("kind", [
    "no certificate", "no key", "no authority", "not set", "another key",
    "no PEM", "open key", "expired", "purpose", "another authority",
    "not yet valid", "unreadable certificate", "unreadable key",
    "unreadable authority", "a folder", "empty authority", "passphrase",
    "authority has expired", "authority is none"])
def test_what_is_wrong_here(aisc, fake_server, authority, alice, tmp_path,
                            kind):
    server = fake_server(answer(b""))
    pair, wanted, says = broken(kind, alice, authority, tmp_path)
    if os.geteuid() == 0:       # For whom files are always readable.
        aisc.program[:0] = ["setpriv", "--bounding-set=-all",
                            "--inh-caps=-all"]
    status, first, _, found = check(aisc, server.port, pair=pair)
    assert (status, server.count) == (wanted, 0), first
    assert says in first and says in found["text"] and "|" not in first
    assert found["class"] == found["error"]["code"] == (
        "tls" if kind in ("purpose", "another authority",
                          "authority has expired", "authority is none")
        else "config")
    assert found["error"]["message"] and found["error"]["hint"]
    assert "--check" not in found["error"]["hint"]
    assert found["server_chain"] == [] and "rtt_seconds" not in found
    if kind == "expired":
        assert found["own_chain"][0]["days"] in (-1, -2)


def test_bad_settings(aisc, ops):
    aisc.config.write_text("colour = 1;\n")
    done = aisc.run(ops.port, options=["--check"])
    assert done.returncode == 3 and b"colour" in done.stderr
    first, = lines(done)
    assert first.startswith("AISC UNKNOWN - localhost: ")
    done = aisc.run(ops.port, options=["--check", "--json"])
    assert json.loads(done.stdout)["host"] == "localhost"


# Not well.

def test_nobody_there(aisc):
    with wire.FakeServer(lambda peer: None) as server:
        port = server.port
    status, first, _, found = check(aisc, port)
    assert status == 2 and "look whether aisd runs" in first
    assert found["class"] == "connect" and len(found["own_chain"]) == 2


@pytest.mark.parametrize("script, name", [
    (wire.leaving(Code.DENIED, "no rule | \x1b[1m"), "denied"),
    (wire.leaving(Code.BUSY), "busy"), (wire.ending("started"), "lost"),
    (wire.refusing(Code.RESOURCES), "resources"),
    (answer(b"x", 1), "protocol")])
def test_refused(aisc, fake_server, script, name):
    status, first, _, found = check(aisc, fake_server(script).port)
    assert (status, found["class"]) == (2, name)
    assert name + ": " in first and "\x1b" not in first and "|" not in first


@pytest.mark.parametrize("what, name", [
    (dict(end=-DAY, start=-2 * DAY), "expired"),
    (dict(sans=["DNS:web.example.org"]), "web.example.org"),
    (dict(purpose="client"), "not for use as a server")])
def test_server_that_is_not_good(aisc, fake_server, authority, what, name):
    what = {"purpose": "server", **what}
    server = fake_server(answer(b""), pair=authority.make("localhost", **what))
    status, first, _, found = check(aisc, server.port)
    assert status == 2 and name in first
    assert found["class"] in ("tls", "name")


def test_no_rule(aisc, make_aisd, authority):
    daemon = make_aisd(rules=RULES)
    status, first, _, found = check(aisc, daemon.port,
                                    pair=authority.client("mallory"))
    assert (status, found["class"]) == (2, "denied"), first


def test_silence_ends(aisc, fake_server):
    """At any point, within the time limit."""
    def no_pong(peer):
        peer.hello()
        request = peer.expect_request()
        peer.started(request)
        peer.exit(request)
        peer.drain()
    for script in (lambda p: p.drain()), no_pong:
        status, first, _, found = check(aisc, fake_server(script).port,
                                        "--timeout", "0.3")
        assert (status, found["class"]) == (2, "timeout"), first


@pytest.mark.parametrize("ahead, clients", [(1, "1 client"), (2, "2 clients")])
def test_waiting_is_a_warning(aisc, fake_server, slowness, ahead, clients):
    def script(peer):
        peer.waiting(ahead)
        peer.drain()
    status, first, _, found = check(aisc, fake_server(script).port,
                                    "--timeout", str(slowness))
    assert (status, found["class"]) == (1, "busy")
    assert f"the server is up, but busy: {clients} before us for " in first


def test_pongs_that_nobody_asked_for(aisc, fake_server):
    def script(peer):
        peer.hello()
        request = peer.expect_request()
        peer.send(wire.Type.PONG, 0, b"12345678")
        peer.started(request)
        peer.stdout(request, b"the rule | \x1b applies\n")
        peer.exit(request)
        ping = peer.expect(wire.Type.PING)
        peer.send(wire.Type.PONG, 0, b"")
        peer.send(wire.Type.PONG, 0, b"x" * 8)
        time.sleep(0.2)
        peer.send(wire.Type.PONG, 0, ping.payload)
        peer.drain()
    status, first, rest, found = check(aisc, fake_server(script).port)
    assert status == 0 and found["rtt_seconds"] >= 0.19
    assert found["rule"] == "the rule | \\x1b applies"
    assert "rule: the rule \\x7c \\x1b applies" in rest
