# SPDX-License-Identifier: ISC
"""Whom a certificate is for, and what for: purposes, names, addresses."""

import glob
import ssl
import subprocess
import sys

import pytest

import pki
import wire
from aisc import Aisc
from aisd import Daemon, wait_until


@pytest.fixture
def root(tmp_path):
    """An authority that may have others below it, and serves all ends."""
    return pki.root(str(tmp_path / "root"), "Root")


@pytest.fixture
def server(root):
    return root.make("localhost", "server")


def serves(daemon, pair):
    """Whether the client's certificate is accepted."""
    try:
        with wire.Client(daemon.port, *pair[:3]) as session:
            return session.run(["true"]).status == 0
    except (wire.Cut, wire.Closed, ssl.SSLError, ConnectionError):
        return False


def refusal(daemon, pair):
    """Why the certificate is refused, by the log."""
    seen = len(daemon.events("handshake-failed"))
    assert not serves(daemon, pair)
    return daemon.wait_event("handshake-failed", seen + 1)["reason"]


# Purposes: RFC 5280, 4.2.1.12.

def usage(*values):
    return ["extendedKeyUsage = " + ", ".join(values)] if values else []


NONE = usage()
ANY = usage("anyExtendedKeyUsage")
CLIENT = usage("clientAuth")
SERVER = usage("serverAuth")
MIXED = usage("emailProtection", "clientAuth")
OTHER = usage("emailProtection", "1.3.6.1.4.1.311.20.2.2")


@pytest.mark.parametrize("branch, leaf, required, optional", [
    # An authority's restricts those below it, where it has one.
    (NONE, NONE, False, True), (NONE, CLIENT, True, True),
    (NONE, ANY, True, True), (NONE, MIXED, True, True),
    (NONE, SERVER, False, False), (NONE, OTHER, False, False),
    (ANY, CLIENT, True, True), (ANY, NONE, False, True),
    (CLIENT, CLIENT, True, True), (MIXED, ANY, True, True),
    (SERVER, CLIENT, False, False), (SERVER, NONE, False, False),
    (OTHER, ANY, False, False),
])
def test_purpose_of_a_client(make_aisd, root, server, branch, leaf, required,
                             optional):
    signer = root.intermediate("Branch", more=branch) if branch else root
    pair = signer.make("alice", None, more=leaf)
    daemon = make_aisd(pair=server)
    if required:
        assert serves(daemon, pair)
    else:
        assert "extendedKeyUsage" in refusal(daemon, pair)
    daemon.configure(client_purpose="optional")
    daemon.reload()
    if optional:
        assert serves(daemon, pair)
    else:
        assert "extendedKeyUsage" in refusal(daemon, pair)


def test_purpose_is_asked_for_again(make_aisd, root, server):
    """Who is in a session when the rule becomes stricter loses it."""
    daemon = make_aisd(pair=server, client_purpose="optional")
    pair = root.make("alice", None)
    with wire.Client(daemon.port, *pair[:3]) as session:
        assert session.run(["true"]).status == 0
        daemon.configure(client_purpose="required")
        daemon.reload()
        frames, _ = session.until_end()
    texts = [wire.said(f.payload)[1] for f in frames
             if f.type == wire.Type.GOODBYE]
    assert len(texts) == 1 and "extendedKeyUsage" in texts[0]
    assert daemon.wait_event("session-close")["reason"] == "untrusted"


@pytest.mark.parametrize("leaf, good", [
    (NONE, True), (ANY, True), (SERVER, True), (CLIENT, False),
    (OTHER, False)])
def test_purpose_of_a_server(make_aisd, aisc, root, leaf, good):
    """Its name in the certificate is what makes it a server: a purpose need
    not be there, but must not be another one."""
    pair = root.make("localhost", None, sans=pki.LOOPBACK, more=leaf)
    daemon = make_aisd(pair=pair, start=False)
    if good:
        daemon.start()
        done = aisc.run(daemon.port, "true", pair=root.make("alice"))
        assert (done.returncode, done.stderr) == (0, b"")
    else:
        with pytest.raises(AssertionError, match="not for use as a server"):
            daemon.start()


# Hosts: RFC 9525, 6; RFC 6066, 3.  Half of the names are from the tests of
# curl (unit1397) and of OpenSSL (v3nametest).

SANS = ["DNS:srv.example.test", "DNS:UPPER.Example.test",
        "DNS:*.wild.example.test", "DNS:*.test", "DNS:f*.part.example.test",
        "DNS:*part.example.com", "DNS:www.*.com", "DNS:*.example.",
        "DNS:xn--bcher-kva.example", "DNS:*.xn--rger-koa.example.com",
        "DNS:dot.example.test.", "DNS:10.1.2.3", "DNS:*.168.0.0",
        "IP:127.0.0.1", "IP:fe80::1", "IP:2001:db8::1"]


@pytest.fixture(scope="module")
def named(tmp_path_factory):
    """A root and a server's certificate with all of these names."""
    root = pki.root(str(tmp_path_factory.mktemp("named")), "Root")
    return root.make("alice"), root.make("srv", "server", sans=SANS)


def called(aisc, fake_server, named, name):
    """What comes of calling the server so, and the SNI that it has seen."""
    alice, pair = named
    seen = []
    tls = wire.context(True, *pair[:3])
    tls.sni_callback = lambda _, sni, __: seen.append(sni)
    server = fake_server(wire.answering(b"there\n"), tls=tls)
    aisc.config.write_text(
        'hosts = ( { match = "x"; host_name = "127.0.0.1"; '
        'server_name = "%s"; } );\n' % name, encoding="utf-8")
    done = aisc.run(server.port, "true", pair=alice, host="x")
    return done, seen


@pytest.mark.parametrize("name, sni", [
    ("srv.example.test", "srv.example.test"),
    ("srv.example.test.", "srv.example.test"),
    ("SRV.Example.TEST", "srv.example.test"),
    ("upper.example.test", "upper.example.test"),
    ("a.wild.example.test", "a.wild.example.test"),
    ("A.WILD.example.test.", "a.wild.example.test"),
    ("xn--bcher-kva.example", "xn--bcher-kva.example"),
    ("XN--Bcher-KVA.example.", "xn--bcher-kva.example"),
    ("www.xn--rger-koa.example.com", "www.xn--rger-koa.example.com"),
    ("127.0.0.1", None), ("127.1", None), ("fe80::1", None),
    ("fe80::1%lo", None), ("FE80:0::1%eth9", None),
    ("2001:DB8:0:0:0::1", None)])
def test_host_that_the_certificate_is_for(aisc, fake_server, named, name, sni):
    done, seen = called(aisc, fake_server, named, name)
    assert (done.returncode, done.stdout) == (0, b"there\n"), done.stderr
    assert seen == [sni]


@pytest.mark.parametrize("name", [
    "example.test", "wild.example.test", "b.a.wild.example.test",
    "a.test", "foo.part.example.test", "f.part.example.test",
    "apart.example.com", "www.example.com", "srv.example.tes",
    "rv.example.test", "x.srv.example.test", "www.example", "www.example.",
    "rger-koa.example.com", "dot.example.test.", "srv",
    # A DNS name that looks like an address is none.
    "10.1.2.3", "192.168.0.0", "127.0.0.2", "fe80::2%lo", "::1",
    "::ffff:127.0.0.1"])
def test_host_that_the_certificate_is_not_for(aisc, fake_server, named, name):
    done, _ = called(aisc, fake_server, named, name)
    assert (done.returncode, done.stdout) == (255, b"")
    assert done.stderr.startswith(b"aisc: name: "), done.stderr


@pytest.mark.parametrize("name", [
    # For OpenSSL the first two stand for whatever is below.
    ".example.test", ".test", ".", "..", "srv.example.test..",
    "srv..example.test", "*.wild.example.test", "*", "127.0.0.1 ",
    "b\u00fccher.example", "\u0441rv.example.test"])
def test_no_name_of_a_host(aisc, fake_server, named, name):
    done, seen = called(aisc, fake_server, named, name)
    assert (done.returncode, done.stdout) == (255, b"")
    assert b"aisc: connect: " in done.stderr and \
        b"is no name of a host" in done.stderr
    assert (b"xn--" in done.stderr) is not name.isascii()
    assert not seen


def test_kinds_of_names_are_told(aisc, fake_server, named):
    done, _ = called(aisc, fake_server, named, "10.1.2.3")
    assert b"for DNS:srv.example.test, " in done.stderr
    assert b", IP:2001:db8::1, not for IP:10.1.2.3; " in done.stderr


def test_names_that_are_too_many_to_tell(aisc, fake_server, root):
    pair = root.make("srv", "server",
                     sans=[f"DNS:node{n}.example.org" for n in range(200)])
    done, _ = called(aisc, fake_server, (root.make("alice"), pair), "x.test")
    assert b"for DNS:node0.example.org, " in done.stderr
    assert b", ..., not for DNS:x.test; " in done.stderr


def test_link_local(own_network, program, tmp_path, root, slowness):
    """An address of the link alone has a zone, which is nothing that a
    certificate or a rule could name."""
    subprocess.run([*own_network, "ip", "-6", "address", "add", "fe80::1/64",
                    "dev", "lo", "nodad"], check=True)
    # The kernel makes its route a moment later.
    wait_until(lambda: subprocess.run(
        [*own_network, "ip", "-6", "route", "get", "fe80::1", "oif", "lo"],
        capture_output=True).returncode == 0, "a route to it")
    server = root.make("srv", "server", sans=["IP:fe80::1"])
    with Daemon([*own_network, *program("aisd")], tmp_path / "d", server,
                rules='{ network = [ "fe80::/10" ]; anything = true; }',
                slowness=slowness, listen=["[fe80::1%lo]:0"],
                directory=tmp_path) as daemon:
        aisc = Aisc([*own_network, *program("aisc")], tmp_path / "c",
                    root.make("alice"), slowness)
        done = aisc.run(daemon.port, "echo", "near", host="fe80::1%lo")
        assert (done.returncode, done.stdout) == (0, b"near\n"), done.stderr
        assert daemon.wait_event("session-open")["address"] == "fe80::1%lo"
    done = subprocess.run(
        [*program("aisd"), "-c", str(daemon.conf), "--explain",
         "CN=alice,FROM=FE80::1%lo"], capture_output=True, check=True)
    assert b'rule "1": matches' in done.stdout
    done = subprocess.run(
        [*program("aisd"), "-c", str(daemon.conf), "--explain",
         "CN=alice,FROM=near.example.org"], capture_output=True)
    assert done.returncode != 0 and b'"FROM" is no address' in done.stderr


def test_sections_for_hosts(aisc, aisd):
    """The host is a name in whatever case; "aisc" goes by the section."""
    aisc.config.write_text(
        'hosts = ( { match = [ "Web-*" ]; host_name = "127.0.0.1"; '
        'server_name = "LOCALHOST."; } );\n')
    for host in "web-1", "WEB-1":
        done = aisc.run(aisd.port, "true", host=host)
        assert (done.returncode, done.stderr) == (0, b"")


# Names of a client: a rule for one that aisd does not see would be passed
# over, for a wider one.

NARROW = ('{ %s = [ "%s" ]; commands = [ "/bin/echo" ]; }, '
          '{ peers = [ "*" ]; anything = true; }')


@pytest.mark.parametrize("count", [200, 450])
def test_last_of_many_names(make_aisd, root, server, count):
    names = [f"DNS:node{n}.domain.example.org" for n in range(count)]
    pair = root.make("alice", sans=names)
    daemon = make_aisd(pair=server, rules=NARROW % ("dns", names[-1][4:]))
    with wire.Client(daemon.port, *pair[:3]) as session:
        assert session.run(["/bin/echo"]).status == 0
        assert session.run(["true"]).refused


BYTES = "DER:30:%02x:%02x:%02x:%s"


def raw(kind, name):
    """A subjectAltName of one name, byte for byte."""
    return ["subjectAltName = " + BYTES % (
        len(name) + 2, kind, len(name), name.hex(":"))]


@pytest.mark.parametrize("name, how", [
    ("alice", dict(sans=[f"DNS:node{n}.domain.example.org"
                         for n in range(2000)])),
    ("alice", dict(sans=["URI:urn:" + "x" * 600])),
    ("alice", dict(more=raw(0x82, b"narrow\0.example.org"))),
    ("alice", dict(more=raw(0x82, "b\u00fccher.example".encode()))),
    ("alice", dict(more=raw(0x81, b"alice@example.org\n"))),
    ("alice", dict(more=raw(0x87, b"\x7f\0\0"))),
    (b"alice\0.example", {}), (b"alice\0", {}),
], ids=["many", "long", "nul", "utf8", "newline", "address",
        "cn-nul", "cn-nul-end"])
def test_names_that_cannot_be_compared(make_aisd, aisc, root, server, name,
                                       how):
    daemon = make_aisd(pair=server, rules=NARROW % ("dns", "narrow*"))
    pair = root.make(name, **how)
    done = aisc.run(daemon.port, "true", pair=pair)
    assert done.returncode == 255
    assert b"which the server cannot compare with its rules" in done.stderr
    event = daemon.wait_event("handshake-failed")
    assert "cannot be compared with the rules" in event["reason"]
    assert event["serial"] == pair.serial
    assert not daemon.events("session-open")
    # The rules are not asked by --explain either.
    done = subprocess.run([*daemon.words, "-c", str(daemon.conf), "--explain",
                           pair.cert], capture_output=True)
    assert done.returncode == 2 and b"is refused: it has " in done.stderr


def test_certificate_of_python(make_aisd, server):
    """One with a NUL in each of its names, from Python's own tests."""
    found = [path for name in ("test", "test/certdata")
             for path in glob.glob(f"{sys.prefix}/lib*/python3*/{name}/"
                                   "nullbytecert.pem")]
    if not found:
        pytest.skip("libpython3-testsuite is not installed")
    daemon = make_aisd(pair=server, start=False)
    done = subprocess.run([*daemon.words, "-c", str(daemon.conf), "--explain",
                           found[0]], capture_output=True)
    assert done.returncode == 2 and b"is refused: it has " in done.stderr


def test_server_may_have_any_names(make_aisd, aisc, root):
    """No rule is for a server: its host is found, however many there are."""
    pair = root.make("localhost", "server", sans=[
        f"DNS:node{n}.domain.example.org" for n in range(1200)] +
        ["URI:urn:" + "x" * 600, *pki.LOOPBACK])
    daemon = make_aisd(pair=pair)
    done = aisc.run(daemon.port, "true", pair=root.make("alice"))
    assert (done.returncode, done.stderr) == (0, b"")


def long_subject(root, count):
    """A client's certificate with "count" units of 60 bytes."""
    pair = root.make("alice")
    subject = "/CN=alice" + "".join(
        f"/OU={n:02}{'u' * 58}" for n in range(count))
    request = pki.run("openssl", "req", "-new", "-key", pair.key, "-subj",
                      subject)
    made = pki.run("openssl", "x509", "-req", "-CA", root.cert, "-CAkey",
                   root.key, "-days", "1", "-extfile", "/dev/stdin", "-in",
                   written(pair, request), data=b"extendedKeyUsage=clientAuth")
    return pair._replace(cert=written(pair, made))


def written(pair, data):
    path = f"{pair.key}.{len(data)}"
    with open(path, "wb") as file:
        file.write(data)
    return path


def test_long_subjects(make_aisd, aisc, root, server):
    """Whole, or refused: and never compared as if a part were all of it."""
    daemon = make_aisd(pair=server)
    pair = long_subject(root, 30)
    with wire.Client(daemon.port, *pair[:3]) as session:
        got = session.run(["sh", "-c", "echo $AIS_PEER_SUBJECT"]).stdout
    assert got.count(b"OU=") == 30 and b"CN=alice" in got
    assert b"..." not in got
    pair = long_subject(root, 70)
    reason = refusal(daemon, pair)
    assert reason.startswith('the certificate "') and "a subject" in reason
    event = daemon.events("handshake-failed")[-1]
    assert event.get("cut") or event["subject"].endswith("...")
