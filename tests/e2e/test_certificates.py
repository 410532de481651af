# SPDX-License-Identifier: ISC
"""Who is let in, who is not, and what both sides say about it.

What aisd refuses comes from aisc wherever aisc can be brought to show such a
certificate, and from a client that does not mind otherwise.
"""

import re
import shutil
import signal
import socket
import ssl
import subprocess

import pytest

import aisc as client
import pki
import wire
from pki import DAY


def openssl(*words):
    return pki.run("openssl", *words)


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def others(work):
    """An authority with the same name, and another key."""
    return pki.Authority(work / "other" / "ca")


@pytest.fixture(scope="module")
def branch(work):
    """An authority below a root."""
    return pki.root(str(work), "Root").intermediate("Branch")


@pytest.fixture(scope="module")
def make(authority, others, branch, work):
    """A function from a kind of certificate to one; each trusts the right
    authority, and only that of the other side is to be wrong."""
    def made(purpose, kind):
        name = "localhost" if purpose == "server" else "alice"
        how = {
            "good": {}, "both": {"purpose": "both"},
            "p384": {"key": "p384"}, "ed25519": {"key": "ed25519"},
            "rsa2048": {"key": "rsa2048"}, "rsa1024": {"key": "rsa1024"},
            "sha1": {"digest": "sha1"},
            "expired": {"start": -2 * DAY, "end": -DAY},
            "not-yet-valid": {"start": DAY, "end": 2 * DAY},
            "no-signature": {"usage": "keyAgreement"},
            "mail": {"purpose": "email"},
            "wrong-purpose": {"purpose": "client" if purpose == "server"
                              else "server"},
        }
        if kind == "self-signed":
            pair = pki.self_signed(str(work), name, purpose)
        elif kind == "other-authority":
            pair = others.make(name, purpose)
        elif kind == "authority":
            pair = pki.Pair(authority.cert, authority.key, authority.ca)
        elif kind == "missing-intermediate":
            pair = branch.make(name, purpose)
            with open(pair.cert, encoding="ascii") as file:
                first = file.read().split("-----END")[0]
            with open(pair.cert, "w", encoding="ascii") as file:
                file.write(first + "-----END CERTIFICATE-----\n")
            return pair
        else:
            pair = authority.make(name, **{"purpose": purpose, **how[kind]})
        return pair._replace(ca=authority.ca)
    return made


def careless(pair, alpn=(wire.ALPN,), server=False):
    """A context that shows what a careful one does not load."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server
                         else ssl.PROTOCOL_TLS_CLIENT)
    tls.set_ciphers("ALL:@SECLEVEL=0")
    tls.check_hostname = False
    tls.verify_mode = ssl.CERT_NONE
    if pair:
        tls.load_cert_chain(str(pair.cert), str(pair.key))
    if alpn:
        tls.set_alpn_protocols(list(alpn))
    return tls


def knock(port, tls):
    """Connect, ask for something to be run, and return what comes: bytes of
    the session, or the text of the error."""
    raw = socket.create_connection(("127.0.0.1", port), 10)
    try:
        with tls.wrap_socket(raw, suppress_ragged_eofs=False) as wrapped:
            wrapped.sendall(wire.request_frames(1, wire.body(
                wire.Operation.RUN, ["true"])))
            return wrapped.recv(1000)
    except OSError as e:
        return str(e)
    finally:
        raw.close()


def check_nothing_done(daemon):
    names = {event["event"] for event in daemon.events()}
    assert names <= {"start", "handshake-failed", "message"}, names


# Clients.

CLIENTS = [
    # kind, what the log of aisd says, what aisc says; test_explanations.py
    # has those that aisc shows to aisd, and all of the words.
    ("expired", r"has expired on .* by the server's clock",
     "has expired on 20"),
    ("not-yet-valid", r"is not valid before .* by the server's clock",
     "is not valid before 20"),
    ("mail", "is not for use as a client",
     "refused our certificate .* it is not for use as a client"),
    ("no-signature", "is not for use as a client",
     "refused our certificate .* it is not for use as a client"),
    ("authority", "is not for use as a client",
     "refused our certificate .* it is not for use as a client"),
    ("rsa1024", "not acceptable: .*key too (weak|small)",
     "key too (weak|small)"),
    ("sha1", "not acceptable: .*(md|digest).* too weak", "too weak"),
]


@pytest.mark.parametrize("kind, log, says", CLIENTS,
                         ids=[row[0] for row in CLIENTS])
def test_client_is_refused(aisd, aisc, make, connect, kind, log, says):
    pair = make("client", kind)
    done = aisc.run(aisd.port, "true", pair=pair)
    assert (done.returncode, done.stdout) == (255, b"")
    # Some of them aisc itself does not show.
    said = client.said(done.stderr)
    assert said in ("tls", "config"), done.stderr
    seen = said == "tls"
    if seen:
        aisd.wait_event("handshake-failed")
    assert re.search(says, done.stderr.decode()), done.stderr
    assert done.stderr.count(b"\n") == 1

    answer = knock(aisd.port, careless(pair))
    assert isinstance(answer, str), answer
    event = aisd.wait_event("handshake-failed", count=seen + 1)
    assert re.search(log, event["reason"]), event
    assert event["level"] == "warning"
    assert event["address"].startswith("127.0.0.1")
    if kind != "authority":
        assert event["peer"] == "alice" and "CN=alice" in event["subject"]
        assert event["serial"] == pair.serial
    check_nothing_done(aisd)
    assert connect().run(["true"]).status == 0


@pytest.mark.parametrize("kind", ["good", "both", "p384", "ed25519",
                                  "rsa2048"])
def test_client_is_served(aisd, aisc, make, kind):
    done = aisc.run(aisd.port, "echo", "hello", pair=make("client", kind))
    assert (done.returncode, done.stdout, done.stderr) == \
        (0, b"hello\n", b"")


def test_client_without_certificate(aisd, localhost, aisc):
    answer = knock(aisd.port, careless(None))
    assert "certificate required" in answer, answer
    event = aisd.wait_event("handshake-failed")
    assert event["reason"] == "the client showed no certificate"
    assert "peer" not in event
    check_nothing_done(aisd)
    done = aisc.run(aisd.port, "true", pair=pki.Pair("", "", localhost.ca))
    assert done.returncode == 255
    assert client.said(done.stderr) == "config"


def test_intermediate_authority(make_aisd, aisc, branch, make):
    """It has to come along, and then it is as good as the root."""
    daemon = make_aisd(pair=branch.make("localhost", "server"))
    done = aisc.run(daemon.port, "echo", "chain", pair=branch.make("alice"))
    assert (done.returncode, done.stdout) == (0, b"chain\n")
    done = aisc.run(daemon.port, "true",
                    pair=make("client", "missing-intermediate"))
    assert done.returncode == 255
    assert client.said(done.stderr) == "tls"
    event = daemon.wait_event("handshake-failed")
    assert re.search('"CN=alice", issued by "CN=Branch", does not come from',
                     event["reason"])


def test_altered_signature(aisd, authority, tmp_path):
    """One bit of the certificate, where its signature is."""
    pair = authority.make("alice")
    with open(pair.cert, encoding="ascii") as file:
        der = bytearray(ssl.PEM_cert_to_DER_cert(file.read()))
    der[-5] ^= 1
    altered = tmp_path / "altered.pem"
    altered.write_text(ssl.DER_cert_to_PEM_cert(bytes(der)))
    assert isinstance(knock(aisd.port, careless(
        pair._replace(cert=str(altered)))), str)
    event = aisd.wait_event("handshake-failed")
    assert "signature" in event["reason"]
    check_nothing_done(aisd)


# Names.

def subject(authority, directory, name):
    """A client's certificate with any subject, as openssl takes it."""
    directory.mkdir(exist_ok=True)
    key, request, cert, extensions = (
        directory / n for n in ("key", "request", "cert", "extensions"))
    extensions.write_text("extendedKeyUsage = clientAuth\n"
                          "keyUsage = digitalSignature\n"
                          "basicConstraints = CA:false\n")
    openssl("req", "-new", "-noenc", *pki.KEYS["p256"], "-subj", name,
            "-utf8", "-keyout", key, "-out", request)
    openssl("x509", "-req", "-in", request, "-CA", authority.cert, "-CAkey",
            authority.key, "-days", "1", "-extfile", extensions, "-out", cert)
    return pki.Pair(str(cert), str(key), authority.ca)


ONLY_ALICE = '{ name = "only"; peers = [ "alice" ]; anything = true; }'
NOT_ALICE = [
    b"Alice", b"alice ", b" alice", b"alic",
    b"alice\n", b"alice\x1b[2J", b"al\xffice", b"alice\xff", b"*", b"a*",
    # A Cyrillic letter that looks like the last one.
    "alic\u0435".encode(), b"alice,CN=bob", b'alice" event=start x="',
    b"x" * 64]


@pytest.mark.parametrize("number", range(len(NOT_ALICE)))
def test_names_that_are_not_alice(make_aisd, connect, authority, number):
    """They match no rule; and each is one line of the log."""
    daemon = make_aisd(rules=ONLY_ALICE)
    session = connect(authority.make(NOT_ALICE[number]), daemon)
    assert session.sent_away().code == wire.Code.DENIED
    session.close()
    daemon.wait_event("handshake-failed")
    assert [e["event"] for e in daemon.events()] == \
        ["start", "handshake-failed"]
    assert all(line.isprintable() for line in daemon.lines())


@pytest.mark.parametrize("name", ["/CN=alice/CN=bob", "/CN=bob/CN=alice",
                                  "/CN=alice/CN=alice", "/O=alice", "/L=x"])
def test_subjects_that_are_not_alice(make_aisd, connect, authority, tmp_path,
                                     name):
    daemon = make_aisd(rules=ONLY_ALICE)
    session = connect(subject(authority, tmp_path / "made", name), daemon)
    said = session.sent_away()
    assert said.code == wire.Code.DENIED and "no rule matches" in said.text
    event = daemon.wait_event("handshake-failed")
    assert event["peer"] == ""
    assert set(event["subject"].split(",")) == set(name[1:].split("/"))


def test_subject_with_more_around_the_name(make_aisd, connect, authority,
                                           tmp_path):
    daemon = make_aisd(rules=ONLY_ALICE)
    session = connect(subject(authority, tmp_path / "made",
                              "/O=x/OU=y/CN=alice"), daemon)
    assert session.run(["true"]).status == 0


@pytest.mark.parametrize("name", ["al\nice", "al\x1b[31mice", "\u00e9",
                                  "\u202ex"],
                         ids=["newline", "colour", "accent", "right-to-left"])
def test_odd_names_are_escaped_for_commands(connect, authority, name):
    session = connect(authority.make(name))
    result = session.run(["sh", "-c", 'printf "%s|" "$AIS_PEER_CN" '
                          '"$AIS_PEER_SUBJECT"'])
    cn, whole, _ = result.stdout.decode().split("|")
    assert cn.isprintable() and whole.isprintable() and whole.isascii()


# Versions, protocols, sessions that come again.

def only(tls, version):
    tls.minimum_version = tls.maximum_version = version
    return tls


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_versions(make_aisd, alice, aisd):
    allows = make_aisd(allow_tls12=True)
    versions = ssl.TLSVersion
    for version in (versions.TLSv1, versions.TLSv1_1, versions.TLSv1_2):
        answer = knock(aisd.port, only(careless(alice), version))
        assert "protocol version" in answer, answer
    event = aisd.wait_event("handshake-failed", count=3)
    assert "does not speak TLS 1.3" in event["reason"]
    check_nothing_done(aisd)
    for version in (versions.TLSv1, versions.TLSv1_1):
        answer = knock(allows.port, only(careless(alice), version))
        assert "protocol version" in answer, answer
    for count, version in enumerate((versions.TLSv1_2, versions.TLSv1_3), 1):
        answer = knock(allows.port, only(careless(alice), version))
        assert answer[0] == wire.Type.HELLO
        # The next one does not wait for its turn.
        allows.wait_event("session-close", count=count)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tls12_of_aisc(aisc, fake_server, localhost):
    """aisc takes it where it is told to, and not otherwise."""
    tls = careless(localhost, server=True)
    tls.set_ciphers("DEFAULT")
    server = fake_server(wire.answering(b"old\n"),
                         tls=only(tls, ssl.TLSVersion.TLSv1_2))
    done = aisc.run(server.port, "true")
    assert (done.returncode, client.said(done.stderr)) == (255, "tls")
    server.join()
    assert server.handshake_errors and not server.errors
    aisc.config.write_text("allow_tls12 = true;\n")
    done = aisc.run(server.port, "true")
    assert (done.returncode, done.stdout) == (0, b"old\n")


AISD_LINE = (b"AIS: this is aisd; it speaks ais/1, named by ALPN: use aisc, "
             b"or see ais-protocol(7)\n")


@pytest.mark.parametrize("alpn", [(), ("http/1.1",), ("ais/2", "h2"),
                                  ("ais/1 ",), ("AIS/1",)])
def test_protocol_name(aisd, alice, alpn):
    answer = knock(aisd.port, careless(alice, alpn))
    assert answer == AISD_LINE if alpn == () else isinstance(answer, str), \
        answer
    event = aisd.wait_event("handshake-failed")
    assert re.search("protocol|ais/1", event["reason"]), event
    check_nothing_done(aisd)
    assert knock(aisd.port, careless(alice, ("x", wire.ALPN)))[0] == \
        wire.Type.HELLO


def test_line_for_another_program(aisd, alice, others):
    """What a person reads who tries openssl's client, then the end; one
    without a certificate of ours reads nothing."""
    def reads(pair):
        return subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{aisd.port}",
             "-quiet", "-cert", pair.cert, "-key", pair.key, "-CAfile",
             alice.ca], stdin=subprocess.DEVNULL, capture_output=True,
            timeout=30).stdout
    assert reads(alice) == AISD_LINE
    assert reads(others.make("alice")) == b""
    events = [aisd.wait_event("handshake-failed", count=n + 1)
              for n in range(2)]
    assert events[0]["reason"] == "the client does not speak ais/1"


GOODBYE = wire.frame(wire.Type.GOODBYE, 0, wire.code_payload(0))


def s_client(port, pair, *words, data=GOODBYE):
    return subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-alpn",
         wire.ALPN, "-CAfile", pair.ca, "-cert", pair.cert, "-key", pair.key,
         "-ign_eof", *words], input=data, capture_output=True, timeout=30)


@pytest.mark.parametrize("old", [False, True], ids=["tls1.3", "tls1.2"])
def test_no_resumption(make_aisd, alice, tmp_path, old):
    """No ticket is given, and no session is taken up again."""
    daemon = make_aisd(allow_tls12=old)
    version = ["-tls1_2"] if old else []
    stored = tmp_path / "session"
    done = s_client(daemon.port, alice, *version, "-sess_out", str(stored))
    assert b"session ticket" not in done.stdout
    if not old:
        assert not stored.exists() or stored.stat().st_size == 0
    if stored.exists() and stored.stat().st_size:
        done = s_client(daemon.port, alice, *version, "-sess_in", str(stored))
        assert b"New, TLS" in done.stdout and b"Reused" not in done.stdout
    raw = socket.create_connection(("127.0.0.1", daemon.port), 10)
    with careless(alice).wrap_socket(raw) as wrapped:
        wrapped.sendall(GOODBYE)
        while wrapped.recv(1000):
            pass
        session = wrapped.session
    assert session is None or not session.has_ticket
    daemon.wait_event("session-close", count=2)


# Servers, as aisc sees them.

SERVERS = [
    # Others are in test_explanations.py.
    ("mail", "is not for use as a server"),
    ("no-signature", "is not for use as a server|key ?usage"),
    ("authority", "is not for use as a server|key ?usage"),
    ("rsa1024", "key too (weak|small)"),
    ("sha1", "too weak"),
]


@pytest.mark.parametrize("kind, says", SERVERS, ids=[r[0] for r in SERVERS])
def test_server_is_refused(aisc, fake_server, make, kind, says):
    """Nothing is said to it, and its certificate is named."""
    server = fake_server(wire.answering(b"forged\n"),
                         tls=careless(make("server", kind), server=True))
    done = aisc.run(server.port, "echo", "secret")
    assert (done.returncode, done.stdout) == (255, b"")
    assert client.said(done.stderr) == "tls", done.stderr
    assert re.search(says, done.stderr.decode()), done.stderr
    assert done.stderr.count(b"\n") == 1
    server.join()
    assert len(server.handshake_errors) == 1 and not server.errors


NAMES = [
    (["IP:127.0.0.2"], "127.0.0.1"),
    (["DNS:127.0.0.1"], "127.0.0.1"), (["DNS:*"], "localhost"),
    ([], "localhost"), (["email:root@localhost"], "localhost"),
    (["URI:https://localhost/"], "localhost"),
    (["DNS:localhost.x"], "localhost"), (["DNS:localhos"], "localhost")]


@pytest.mark.parametrize("sans, host", NAMES,
                         ids=["".join(row[0]) or "none" for row in NAMES])
def test_name_of_the_server(aisc, fake_server, authority, sans, host):
    """Its subject says "localhost", which does not count."""
    pair = authority.make("localhost", "server", sans=sans)
    server = fake_server(wire.answering(b"forged\n"),
                         tls=careless(pair, server=True))
    done = aisc.run(server.port, "echo", "secret", host=host)
    assert (done.returncode, done.stdout) == (255, b"")
    assert client.said(done.stderr) == "name", done.stderr
    assert host.encode() in done.stderr
    server.join()
    assert len(server.handshake_errors) == 1 and not server.errors


def test_key_of_the_client(aisc, aisd, alice, authority, tmp_path):
    """What is wrong with it is found before anything is sent."""
    empty, locked = tmp_path / "empty", tmp_path / "locked"
    empty.touch(0o600)
    openssl("pkey", "-in", alice.key, "-aes128", "-passout", "pass:word",
            "-out", locked)
    locked.chmod(0o600)
    for pair, says in (
            (alice._replace(key=authority.make("other").key),
             "does not belong"),
            (alice._replace(key=authority.make("old", key="rsa2048").key),
             "does not belong"),
            (alice._replace(key=str(tmp_path / "none")), "No such file"),
            (alice._replace(key=str(empty)), "cannot use the key"),
            (alice._replace(key=str(locked)), "passphrase"),
            (alice._replace(cert=alice.key), "cannot use the certificate"),
            (alice._replace(ca=str(empty)), "cannot use the authority"),
            (authority.make("alice", start=-2 * DAY, end=-DAY),
             "has expired")):
        done = aisc.run(aisd.port, "true", pair=pair)
        assert (done.returncode, done.stdout) == (255, b"")
        assert client.said(done.stderr) == "config", done.stderr
        assert says in done.stderr.decode(), done.stderr
    assert [e["event"] for e in aisd.events()] == ["start"]


# What aisd finds wrong with its own files.

@pytest.fixture
def refuses(make_aisd):
    """A function: aisd does not start with these keys, and says so."""
    def check(*says, **keys):
        daemon = make_aisd(start=False, **keys)
        for words in ([], ["-t"]):
            done = subprocess.run(
                [*daemon.words, "-c", str(daemon.conf), *words],
                capture_output=True, timeout=30, stdin=subprocess.DEVNULL)
            text = done.stderr.decode()
            # What time may mend is no verdict for ever.
            assert done.returncode == (75 if any(
                words in text for words in (
                    "No such file", "has expired", "not valid before"))
                else 6), text
            for part in says:
                assert str(part) in text, text
            assert text.startswith("aisd: ")
        assert not daemon.events("start")
    return check


def test_files_that_cannot_be_used(refuses, localhost, tmp_path):
    missing, empty = tmp_path / "missing", tmp_path / "empty"
    empty.touch(0o600)
    for key, what in (("certificate", "certificate"), ("key", "key"),
                      ("authority", "authority"), ("crl", "revocation list")):
        refuses(what, missing, "No such file", **{key: missing})
        refuses(f"cannot use the {what}", empty, **{key: empty})
    refuses("cannot use the certificate", localhost.key,
            certificate=localhost.key)
    refuses("cannot use the revocation list", localhost.cert,
            crl=localhost.cert)


def test_keys_that_cannot_be_used(refuses, localhost, authority, tmp_path):
    locked, shared = tmp_path / "locked", tmp_path / "shared"
    openssl("pkey", "-in", localhost.key, "-aes128", "-passout", "pass:word",
            "-out", locked)
    locked.chmod(0o600)
    refuses("cannot use the key", locked, "passphrase", key=locked)
    shutil.copy(localhost.key, shared)
    shared.chmod(0o644)
    refuses(shared, "open to every user", "chmod", key=shared)
    other = authority.make("localhost").key
    refuses("does not belong to the certificate", other, localhost.cert,
            key=other)


@pytest.mark.parametrize("kind, says", [
    ("expired", "has expired on 20"), ("not-yet-valid", "is not valid before "
                                       "20"),
    ("wrong-purpose", "is not for use as a server"),
    ("mail", "is not for use as a server"),
    ("no-signature", "is not for use as a server"),
    ("authority", "is not for use as a server"),
    ("self-signed", "does not come from"),
    ("other-authority", "does not come from"), ("rsa1024", "too small"),
    ("sha1", "too weak")])
def test_certificates_that_cannot_be_used(refuses, make, kind, says):
    pair = make("server", kind)
    refuses(says, certificate=pair.cert, key=pair.key)


# Revocation and renewal.

@pytest.fixture
def site(tmp_path):
    """An authority of the test's own, to revoke from."""
    return pki.Authority(tmp_path / "site")


def test_revoked(site, make_aisd, aisc):
    server = site.server("localhost")
    alice, bob = site.client("alice"), site.client("bob")
    daemon = make_aisd(pair=server, crl=site.crl())
    for pair in (alice, bob):
        assert aisc.run(daemon.port, "true", pair=pair).returncode == 0
    site.revoke(alice)
    daemon.reload()
    done = aisc.run(daemon.port, "true", pair=alice)
    assert (done.returncode, client.said(done.stderr)) == (255, "tls")
    assert b"revoked" in done.stderr
    event = daemon.wait_event("handshake-failed", peer="alice")
    assert "has been revoked" in event["reason"]
    assert event["serial"] == alice.serial
    assert aisc.run(daemon.port, "true", pair=bob).returncode == 0
    assert len(daemon.events("command-start")) == 3


def test_revocation_list_that_cannot_be_used(site, make_aisd, aisc, others,
                                             tmp_path):
    """A bad one is not taken, and one that does not tell lets nobody in."""
    alice = site.client("alice")
    crl = tmp_path / "crl.pem"
    shutil.copy(site.crl(), crl)
    daemon = make_aisd(pair=site.server("localhost"), crl=crl)
    assert aisc.run(daemon.port, "true", pair=alice).returncode == 0
    crl.write_text("no list\n")
    daemon.reload("failed")
    assert str(crl) in daemon.wait_event("config-error")["msg"]
    assert aisc.run(daemon.port, "true", pair=alice).returncode == 0
    # A list of somebody else says nothing about our certificates.
    shutil.copy(others.crl(), crl)
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait_event("reload", count=2)
    if daemon.events("reload")[-1]["result"] == "done":
        done = aisc.run(daemon.port, "true", pair=alice)
        assert (done.returncode, client.said(done.stderr)) == (255, "tls")


def test_renewed_certificate(site, make_aisd, aisc):
    """A reload takes a new certificate of the server."""
    alice, old = site.client("alice"), site.server("localhost")
    daemon = make_aisd(pair=old)

    def serial():
        done = s_client(daemon.port, alice)
        text = subprocess.run(["openssl", "x509", "-noout", "-serial"],
                              input=done.stdout, capture_output=True,
                              check=True).stdout
        return text.decode().strip().split("=")[1]
    assert serial() == old.serial
    new = site.renew(old)
    assert new.serial != old.serial
    assert serial() == old.serial
    daemon.configure(certificate=new.cert, key=new.key)
    assert daemon.reload()["changed"] == "certificate,key"
    assert serial() == new.serial
    # A bad one is not taken, and the file is named.
    daemon.configure(certificate=new.cert, key=old.key)
    daemon.reload("failed")
    assert old.key in daemon.events("config-error")[-1]["msg"]
    assert serial() == new.serial
    assert aisc.run(daemon.port, "true", pair=alice).returncode == 0
