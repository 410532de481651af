# SPDX-License-Identifier: ISC
"""Identity in time: revocation, expiry, renewed files, a second judgement."""

import os
import random
import re
import shutil
import socket
import ssl
import statistics
import subprocess
import time

import pytest

import pki
import wire
from pki import DAY


@pytest.fixture
def root(tmp_path):
    """An authority that may have others below it."""
    return pki.root(str(tmp_path / "root"), "Root")


@pytest.fixture
def server(root):
    return root.make("localhost", "server")


@pytest.fixture
def client(root):
    return root.make("alice")


@pytest.fixture
def crl(root, tmp_path):
    """A list on which there is nobody."""
    return pki.revocations(root, tmp_path / "crl.pem")


@pytest.fixture
def open_session():
    """A function that begins a session; all are closed after the test."""
    clients = []

    def connect(daemon, pair, **options):
        clients.append(wire.Client(daemon.port, *pair[:3], **options))
        return clients[-1]
    yield connect
    for session in clients:
        session.close()


def number(pair):
    return int(pair.serial, 16)


def move(source, target):
    """Put a copy of "source" into the place of "target", in one step."""
    shutil.copy(source, f"{target}.new")
    os.rename(f"{target}.new", target)


def serves(daemon, pair):
    """Whether the client's certificate is accepted."""
    try:
        with wire.Client(daemon.port, *pair[:3]) as session:
            return session.run(["true"]).status == 0
    except (wire.Goodbye, wire.Cut, wire.Closed, ssl.SSLError,
            ConnectionError):
        return False


def refusal(daemon, pair):
    """Why the certificate is refused, by the log."""
    seen = len(daemon.events("handshake-failed"))
    assert not serves(daemon, pair)
    return daemon.wait_event("handshake-failed", seen + 1)["reason"]


def sleep_in(session):
    """Let a command of five minutes run."""
    session.hello()
    session.send_raw(wire.request_frames(session.next_number(), wire.body(
        wire.Operation.RUN, ["sleep", "300"], windows=(99, 99))))
    session.expect(wire.Type.STARTED)


def farewell(session, timeout=10):
    """What the server says at the end."""
    frames, _ = session.until_end(timeout)
    said = [wire.said(f.payload) for f in frames
            if f.type == wire.Type.GOODBYE]
    assert len(said) == 1, frames
    return said[0]


# The judgement after a reload, and at the end of a certificate.

@pytest.mark.parametrize("busy", [True, False], ids=["busy", "idle"])
def test_revoked_in_session(make_aisd, root, server, client, crl,
                            open_session, busy):
    daemon = make_aisd(pair=server, crl=crl, watch_interval=0)
    session = open_session(daemon, client)
    if busy:
        sleep_in(session)
    else:
        assert session.run(["true"]).status == 0
    pki.revocations(root, crl, [number(client)])
    daemon.reload()
    code, text = farewell(session)
    assert code == wire.Code.DENIED and "has been revoked" in text
    assert daemon.wait_event("session-close")["reason"] == "revoked"
    end = daemon.wait_event("command-end")
    if busy:
        assert end["reason"] == "revoked" and end["signal"] == "15"
    assert not daemon.leftovers()
    assert "has been revoked" in refusal(daemon, client)


def test_good_in_session(make_aisd, root, server, client, crl, open_session):
    """Who is not on the new list goes on, command and all."""
    daemon = make_aisd(pair=server, crl=crl)
    session = open_session(daemon, client)
    sleep_in(session)
    pki.revocations(root, crl, [number(client) + 1])
    daemon.reload()
    session.signal("TERM", 1)
    assert session.follow(1).signal == 15
    assert session.run(["echo", "on"]).stdout == b"on\n"


def test_other_authority_in_session(make_aisd, root, server, client,
                                    open_session, tmp_path):
    """The authority is another after the reload."""
    other = pki.root(str(tmp_path / "other"), "Root")
    daemon = make_aisd(pair=server)
    session = open_session(daemon, client)
    sleep_in(session)
    pair = other.make("localhost", "server")
    daemon.configure(certificate=pair.cert, key=pair.key, authority=pair.ca)
    daemon.reload()
    code, text = farewell(session)
    assert code == wire.Code.DENIED and "configured authority" in text
    assert daemon.wait_event("session-close")["reason"] == "untrusted"


def test_revoked_in_line(make_aisd, root, server, client, crl, open_session):
    daemon = make_aisd(pair=server, crl=crl)
    first = open_session(daemon, client)
    assert first.run(["true"]).status == 0
    bob, eve = root.make("bob"), root.make("eve")
    waiting = [open_session(daemon, pair) for pair in (eve, bob)]
    for session in waiting:
        session.expect(wire.Type.WAITING)
    pki.revocations(root, crl, [number(eve)])
    daemon.reload()
    code, text = farewell(waiting[0])
    assert code == wire.Code.DENIED and "has been revoked" in text
    assert daemon.wait_event("handshake-failed", peer="eve")
    # Bob is the first in line now, and then has the session.
    assert waiting[1].expect(wire.Type.WAITING).payload[:4] == b"\0\0\0\1"
    first.goodbye()
    assert waiting[1].run(["true"]).status == 0


def test_revoked_at_the_door(make_aisd, root, server, client, crl):
    """A handshake that began before the reload ends by the new list."""
    daemon = make_aisd(pair=server, crl=crl)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = wire.context(False, *client[:3]).wrap_bio(
        incoming, outgoing, server_hostname="localhost")
    raw = socket.create_connection(("127.0.0.1", daemon.port), 10)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    raw.sendall(outgoing.read())
    incoming.write(raw.recv(65536))
    pki.revocations(root, crl, [number(client)])
    daemon.reload()
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            incoming.write(raw.recv(65536))
    raw.sendall(outgoing.read())
    event = daemon.wait_event("handshake-failed")
    assert "has been revoked" in event["reason"]
    assert not daemon.events("session-open")
    raw.close()


@pytest.mark.parametrize("who", ["client", "authority"])
@pytest.mark.long
def test_expires_in_session(make_aisd, root, server, open_session, who,
                            slowness):
    """The session ends at the second, be it the certificate's or that of the
    authority between it and the root."""
    life = 4 * slowness
    ends = time.time() + life
    if who == "client":
        pair = root.make("alice", end=life)
    else:
        pair = root.intermediate("Branch", end=life).make("alice")
    daemon = make_aisd(pair=server)
    session = open_session(daemon, pair)
    sleep_in(session)
    line = open_session(daemon, pair)
    line.expect(wire.Type.WAITING)
    for peer in (session, line):
        code, text = farewell(peer, life + 10)
        assert code == wire.Code.DENIED and "has expired" in text
        assert ends - 1.1 < time.time() < ends + slowness
    assert daemon.wait_event("command-end")["reason"] == "expired"
    assert daemon.wait_event("session-close")["reason"] == "expired"
    assert "has expired" in refusal(daemon, pair)
    assert not daemon.leftovers()


# Revocation lists.

@pytest.fixture
def branch(root):
    return root.intermediate("Branch")


def lists(form, tmp_path, *paths):
    """The lists in one file or in a directory."""
    if form == "directory":
        where = tmp_path / "lists"
        where.mkdir(exist_ok=True)
        for path in paths:
            shutil.copy(path, where)
        (where / "README").write_text("This is not a list.\n")
        return where
    where = tmp_path / "lists.pem"
    where.write_text("".join(open(path).read() for path in paths))
    return where


@pytest.mark.parametrize("form", ["file", "directory"])
def test_lists_of_the_whole_chain(make_aisd, root, branch, server, client,
                                  tmp_path, form):
    below = branch.make("below")
    number_of_branch = int(pki.run("openssl", "x509", "-in", branch.cert,
                                   "-noout", "-serial").split(b"=")[1], 16)
    mine = pki.revocations(root, tmp_path / "mine.pem")
    theirs = pki.revocations(branch, tmp_path / "theirs.pem")
    daemon = make_aisd(pair=server, crl=lists(form, tmp_path, mine, theirs))
    assert serves(daemon, below) and serves(daemon, client)
    pki.revocations(branch, theirs, [5, number(below), 7])
    lists(form, tmp_path, mine, theirs)
    daemon.reload()
    assert "has been revoked" in refusal(daemon, below)
    assert serves(daemon, client)
    pki.revocations(branch, theirs)
    pki.revocations(root, mine, [number_of_branch])
    lists(form, tmp_path, mine, theirs)
    daemon.reload()
    assert 'CN=Branch" has been revoked' in refusal(daemon, below)
    assert serves(daemon, client)


def test_list_is_missing_for_one_authority(make_aisd, branch, server, client,
                                           crl):
    daemon = make_aisd(pair=server, crl=crl)
    reason = refusal(daemon, branch.make("below"))
    assert "cannot be checked for revocation" in reason
    assert "CN=Branch" in reason
    assert serves(daemon, client)


def test_newest_list_counts(make_aisd, root, server, client, tmp_path):
    old = pki.revocations(root, tmp_path / "a.pem", [number(client)],
                          start=-600)
    new = pki.revocations(root, tmp_path / "b.pem", start=-300)
    daemon = make_aisd(pair=server, crl=lists("file", tmp_path, new, old))
    assert serves(daemon, client)


BAD_LISTS = {
    # A scope that cannot be judged; an entry of another issuer's.
    "partial": ({"extensions": bytes.fromhex(
        "300f0603551d1c0101ff04053003840101")},
        "it is only of several issuers (indirect)"),
    "indirect": ({"serials": [1], "entry": bytes.fromhex(
        "300e300c0603551d1d0101ff04023000")}, "the entry number 1, of the"),
}


@pytest.mark.parametrize("kind", [*BAD_LISTS, "empty", "missing", "cut",
                                  "forged", "no-files"])
def test_lists_that_cannot_be_used(make_aisd, root, server, client, crl,
                                   tmp_path, kind):
    """An error at a start; at a reload the old list stays in force."""
    daemon = make_aisd(pair=server, crl=crl, watch_interval=0)
    bad = tmp_path / "bad.pem"
    if kind in BAD_LISTS:
        how, says = BAD_LISTS[kind]
        pki.revocations(root, bad, **how)
    elif kind == "forged":
        other = pki.root(str(tmp_path / "other"), "Root")
        pki.revocations(other, bad)
        says = "is not signed by the authority of this name"
    elif kind == "no-files":
        bad.mkdir()
        says = "no file *.pem is in it"
    elif kind == "cut":
        bad.write_text(crl.read_text()[:200])
        says = "it must be PEM"
    elif kind == "empty":
        bad.write_text("")
        says = "there is none in it"
    else:
        says = "No such file"
    daemon.configure(crl=bad)
    daemon.reload("failed")
    said = daemon.events("config-error")[-1]["msg"]
    assert says in said and "aisd.conf:" in said and "crl: " in said
    assert serves(daemon, client)
    done = subprocess.run([*daemon.words, "-t", "-c", daemon.conf],
                          capture_output=True)
    # What is not there may be there later.
    assert done.returncode == (75 if kind == "missing" else 6)
    assert says.encode() in done.stderr


def test_words_of_crl_expired(make_aisd):
    daemon = make_aisd(start=False, crl_expired="ignore")
    with pytest.raises(AssertionError, match='"error" or "warning"'):
        daemon.start()


# What an authority may sign.

@pytest.mark.parametrize("names, good", [
    (["DNS:a.site.example"], True), (["DNS:a.other.example"], False),
    (["DNS:a.site.example", "DNS:a.other.example"], False), ([], True),
])
def test_name_constraints(make_aisd, root, server, names, good):
    branch = root.intermediate("Branch", more=[
        "nameConstraints = critical, permitted;DNS:.site.example"])
    daemon = make_aisd(pair=server)
    pair = branch.make("below", sans=names)
    if good:
        assert serves(daemon, pair)
    else:
        assert "permitted subtree violation" in refusal(daemon, pair)


def test_constraints_do_not_bind_common_names(make_aisd, root, server,
                                              client):
    """An authority below ours can issue any common name; a rule that names
    the issuer, or a name that is constrained, is not deceived."""
    branch = root.intermediate("Branch", more=[
        "nameConstraints = critical, permitted;DNS:.site.example"])
    other = branch.make("alice", sans=["DNS:x.site.example"])
    rules = {key: "{ %s anything = true; }" % key for key in (
        'peers = [ "alice" ];', 'peers = [ "alice" ]; issuer = [ "CN=Root" ];',
        'dns = [ "alice.example" ];')}
    deceived = [key for key, rule in rules.items()
                if serves(make_aisd(pair=server, rules=rule), other)]
    assert deceived == ['peers = [ "alice" ];']
    assert serves(make_aisd(pair=server, rules=[*rules.values()][1]), client)


def test_client_cannot_sign(make_aisd, root, server, client):
    """A leaf is no authority, whatever it signs."""
    signer = pki.Signer(root.work, client.cert, client.key, root.ca,
                        open(client.cert, encoding="ascii").read())
    daemon = make_aisd(pair=server)
    assert refusal(daemon, signer.make("eve")) == (
        f'"CN={client.name}" is no authority, though it has issued '
        "certificates: its own lacks CA:TRUE as basicConstraints, or "
        "keyCertSign as keyUsage")


def test_intermediate_that_has_expired(make_aisd, root, server):
    branch = root.intermediate("Branch", start=-2 * DAY, end=-DAY)
    daemon = make_aisd(pair=server)
    reason = refusal(daemon, branch.make("below"))
    assert 'CN=Branch" has expired' in reason


def test_unknown_critical_extension(make_aisd, root, server):
    daemon = make_aisd(pair=server)
    pair = root.make("odd", more=["1.2.3.4.5 = critical, ASN1:NULL"])
    assert "unhandled critical extension" in refusal(daemon, pair)


def test_long_chain(make_aisd, root, server, client):
    """200 authorities one below the other: refused, and nothing is left."""
    signer, texts = root, []
    pair = root.make("deep")
    with open(root.intermediate("Any").cert, encoding="ascii") as file:
        texts = [file.read()] * 200
    with open(pair.cert, "a", encoding="ascii") as file:
        file.write("".join(texts))
    daemon = make_aisd(pair=server)
    serves(daemon, client)
    before = daemon.usage()
    serves(daemon, pair)
    assert serves(daemon, client)
    daemon.check_usage(before)


# Renewed files.

def test_renewed_files_are_noticed(make_aisd, root, client, tmp_path):
    """By renaming, by a link that is swapped, and key after certificate."""
    first, second = (root.make("localhost", "server") for _ in range(2))
    live = tmp_path / "live"
    for name, pair in (("1", first), ("2", second)):
        (tmp_path / name).mkdir()
        shutil.copy(pair.cert, tmp_path / name / "cert.pem")
        shutil.copy(pair.key, tmp_path / name / "key.pem")
    live.symlink_to(tmp_path / "1")
    pair = first._replace(cert=live / "cert.pem", key=live / "key.pem")
    daemon = make_aisd(pair=pair, watch_interval=0.2)

    def serial():
        tls = wire.context(False, *client[:3])
        with socket.create_connection(("127.0.0.1", daemon.port)) as raw:
            with tls.wrap_socket(raw, server_hostname="localhost") as s:
                return int(s.getpeercert()["serialNumber"], 16)
    assert serial() == number(first)
    (tmp_path / "live.new").symlink_to(tmp_path / "2")
    os.rename(tmp_path / "live.new", live)
    daemon.wait_event("reload", 1, result="done")
    assert serial() == number(second)
    # Half a renewal is not used, and is spoken of once.
    move(first.cert, tmp_path / "2" / "cert.pem")
    daemon.wait_event("reload", 1, result="failed")
    assert serial() == number(second)
    move(first.key, tmp_path / "2" / "key.pem")
    daemon.wait_event("reload", 2, result="done")
    assert serial() == number(first)
    assert len(daemon.events("reload")) == 3


def test_renewed_list_is_noticed(make_aisd, root, server, client, crl,
                                 tmp_path, open_session):
    """In a directory; the session is judged at once."""
    where = lists("directory", tmp_path, crl)
    daemon = make_aisd(pair=server, crl=where, watch_interval=0.2)
    session = open_session(daemon, client)
    sleep_in(session)
    move(pki.revocations(root, crl, [number(client)], start=-200),
         where / "crl.pem")
    assert "has been revoked" in farewell(session).text
    assert daemon.events("reload", result="done")


def test_nobody_looks(make_aisd, root, server, crl):
    """Without an interval files are not looked at, and aisd sleeps."""
    daemon = make_aisd(pair=server, crl=crl, watch_interval=0)
    with open(f"/proc/{daemon.pid}/status", encoding="ascii") as file:
        before = [line for line in file if "ctxt" in line]
    pki.revocations(root, crl, [1])
    time.sleep(2)               # This long nothing is to happen.
    with open(f"/proc/{daemon.pid}/status", encoding="ascii") as file:
        assert before == [line for line in file if "ctxt" in line]
    assert not daemon.events("reload")


@pytest.mark.long
def test_other_chain_after_the_first_has_expired(make_aisd, root, server,
                                                 open_session, slowness,
                                                 tmp_path):
    """A renewed authority between the two keeps the session alive."""
    life = 5 * slowness
    branch = root.intermediate("Branch", end=life)
    ends = time.time() + life
    pair = branch.make("alice")
    daemon = make_aisd(pair=server)
    session = open_session(daemon, pair)
    assert session.run(["true"]).status == 0
    renewed = tmp_path / "renewed.pem"
    request = tmp_path / "request.pem"
    pki.run("openssl", "x509", "-x509toreq", "-copy_extensions", "copyall",
            "-in", branch.cert, "-signkey", branch.key, "-out", request)
    pki.run("openssl", "x509", "-req", "-in", request, "-out", renewed,
            "-CA", root.cert, "-CAkey", root.key, "-days", "9",
            "-copy_extensions", "copyall", "-set_serial", "77")
    both = tmp_path / "both.pem"
    both.write_text(open(root.cert).read() + renewed.read_text())
    daemon.configure(authority=both)
    daemon.reload()
    time.sleep(max(0.0, ends + 1 - time.time()))
    assert session.run(["echo", "on"]).stdout == b"on\n"
    assert not daemon.events("session-close")


# A list of a million.

def handshake(daemon, tls):
    """Seconds from the connection to the first byte of the session."""
    began = time.perf_counter()
    with socket.create_connection(("127.0.0.1", daemon.port), 10) as raw:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with tls.wrap_socket(raw, server_hostname="localhost") as s:
            s.recv(1)
            return time.perf_counter() - began


def memory(daemon, name):
    """One of the sizes of /proc/PID/status, in MiB."""
    with open(f"/proc/{daemon.pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file
                    if line.startswith(name + ":")) // 1024


@pytest.mark.alone
@pytest.mark.limit(300)
@pytest.mark.same("user")
def test_a_million_entries(make_aisd, root, server, client, tmp_path,
                           measurable):
    """In the worst order: loaded in bounded time and memory, as
    aisd.conf(5) says; a handshake costs what it costs without."""
    bob, chance = root.make("bob"), random.Random(3)
    numbers = [chance.getrandbits(159) for _ in range(1000000)]
    numbers[chance.randrange(len(numbers))] = number(bob)
    plain = make_aisd(pair=server)
    big = make_aisd(pair=server, start=False, crl=pki.revocations(
        root, tmp_path / "crl.pem", numbers))
    began = time.monotonic()
    big.start(60)
    assert time.monotonic() - began < 15
    # Each entry is an object of OpenSSL's.
    assert memory(big, "VmHWM") < 340
    assert memory(big, "VmRSS") < 240
    assert "has been revoked" in refusal(big, bob)

    tls = wire.context(False, *client[:3])
    times = {plain: [], big: []}
    for _ in range(200):
        for daemon, taken in times.items():
            taken.append(handshake(daemon, tls))
    ratio = statistics.median(times[big]) / statistics.median(times[plain])
    assert ratio < 1.2


def test_long_loading_is_logged(make_aisd, root, server, client, crl):
    daemon = make_aisd(pair=server, crl=crl, watch_interval=0)
    pki.revocations(root, crl, [number(client) + n for n in range(500000)])
    daemon.reload()
    event = next(e for e in daemon.events("message") if "loading" in e["msg"])
    assert re.fullmatch(r"loading the revocation lists of \S+/crl\.pem took "
                        r"\d{3,5} ms, for 500000 entries", event["msg"])
    assert "has been revoked" in refusal(daemon, client)
