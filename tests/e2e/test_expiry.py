# SPDX-License-Identifier: ISC
"""What ends by itself: certificates and revocation lists, before and after.

The lists are made by openssl(1) for two authorities: Home, whose certificate
the server has, and Away, of which some clients are."""

import json
import os
import shutil
import socket
import struct
import subprocess
import time

import pytest

import pki
import wire
from pki import DAY
from test_identity import farewell, refusal, serves, sleep_in
from test_questions import FIRST, check

YEAR = 365 * DAY


@pytest.fixture
def home(tmp_path):
    return pki.root(str(tmp_path / "home"), "Home", start=-YEAR, end=YEAR)


@pytest.fixture
def away(tmp_path):
    return pki.root(str(tmp_path / "away"), "Away", start=-YEAR, end=YEAR)


@pytest.fixture
def both(tmp_path, home, away):
    """The file with both authorities."""
    path = tmp_path / "both.pem"
    path.write_text(open(home.cert).read() + open(away.cert).read())
    return path


@pytest.fixture
def server(home, both):
    return server_of(home)._replace(ca=str(both))


@pytest.fixture
def anna(home):
    return home.make("alice")


@pytest.fixture
def bob(away, home):
    """A client of the other authority."""
    return away.make("bob")._replace(ca=home.ca)


def server_of(signer, end=YEAR / 2, start=-YEAR):
    return signer.make("localhost", "server", start=start, end=end)


def date(seconds):
    return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + seconds))


def gencrl(signer, path, left, lifetime=YEAR, revoked=()):
    """Let openssl ca(1) write a list that has been good for a part of its
    lifetime and has so much left, in seconds."""
    work = f"{os.path.dirname(path)}.work"  # A daemon may watch the other.
    shutil.rmtree(work, ignore_errors=True)
    os.mkdir(work)
    with open(f"{work}/cnf", "w", encoding="ascii") as file:
        file.write(f"[ca]\ndefault_ca=d\n[d]\ndatabase={work}/index\n"
                   f"crlnumber={work}/number\ndefault_md=sha256\n"
                   "crl_extensions=e\n[e]\n"
                   "authorityKeyIdentifier=keyid:always\n")
    for name, text in ("index", ""), ("number", "01\n"):
        with open(f"{work}/{name}", "w", encoding="ascii") as file:
            file.write(text)
    ca = ["openssl", "ca", "-config", f"{work}/cnf", "-cert", signer.cert,
          "-keyfile", signer.key]
    for pair in revoked:
        pki.run(*ca, "-revoke", pair.cert)
    pki.run(*ca, "-gencrl", "-crl_lastupdate", date(left - lifetime),
            "-crl_nextupdate", date(left), "-out", f"{work}/new")
    os.rename(f"{work}/new", path)
    return path


@pytest.fixture
def lists(tmp_path, home, away):
    """A directory with a good list of each authority."""
    where = tmp_path / "crl.d"
    where.mkdir()
    gencrl(home, where / "home.pem", YEAR / 2)
    gencrl(away, where / "away.pem", YEAR / 2)
    return where


def checked(daemon):
    """What aisd -t says: its status and its words."""
    done = subprocess.run([*daemon.words, "-t", "-c", daemon.conf],
                          capture_output=True, text=True, env=daemon.env)
    return done.returncode, done.stderr


def about(daemon, path):
    return daemon.events("expiry", file=str(path))


# Certificates.

@pytest.mark.parametrize("days, warns", [
    (2, True), (20, True), (29, True), (40, False)])
def test_warning_of_the_certificate(make_aisd, home, days, warns):
    daemon = make_aisd(pair=server_of(home, days * DAY + 3600))
    found = about(daemon, daemon.keys["certificate"])
    assert len(found) == warns
    if warns:
        assert f"the certificate expires in {days} days" in found[0]["msg"]
        assert found[0]["level"] == "warning"
    status, said = checked(daemon)
    assert (status, daemon.keys["certificate"] in said) == (
        (3, True) if warns else (0, False))
    # Once is enough.
    daemon.reload()
    assert len(about(daemon, daemon.keys["certificate"])) == warns


def test_warning_of_the_authority(make_aisd, tmp_path):
    old = pki.root(str(tmp_path / "old"), "Old", start=-YEAR,
                   end=20 * DAY + 3600)
    daemon = make_aisd(pair=server_of(old))
    event, = about(daemon, old.cert)
    assert "the authority's certificate expires in 20 days" in event["msg"]
    assert len(daemon.events("expiry")) == 1
    assert "the authority's certificate expires" in checked(daemon)[1]


def test_warning_of_the_intermediate(make_aisd, home):
    """The server's certificate is good for long, and of no use when the one
    between it and the authority has ended."""
    branch = home.intermediate("Branch", start=-YEAR, end=9 * DAY + 3600)
    pair = server_of(branch)
    daemon = make_aisd(pair=pair)
    event, = daemon.events("expiry")
    assert event["file"] == pair.cert
    assert ('the intermediate certificate "CN=Branch" expires in 9 days' in
            event["msg"])
    status, said = checked(daemon)
    assert status == 3 and '"CN=Branch" expires in 9 days' in said
    assert pair.cert in said


@pytest.mark.parametrize("configured, warns", [(0, False), (3, False),
                                               (10, True), (60, True)])
def test_when_to_warn(make_aisd, home, configured, warns):
    daemon = make_aisd(pair=server_of(home, 5 * DAY),
                       expiry_warning=configured)
    assert len(daemon.events("expiry")) == warns


@pytest.mark.parametrize("lifetime, left, warns", [
    (DAY, DAY * 2 / 3, False), (DAY, DAY / 6, True),
    (90 * DAY, 29 * DAY, False), (90 * DAY, 17 * DAY, True)])
def test_short_certificates_are_quiet(make_aisd, home, lifetime, left, warns):
    """Who renews one in time is not warned all the time."""
    daemon = make_aisd(pair=server_of(home, left, left - lifetime))
    assert len(daemon.events("expiry")) == warns


def test_certificate_of_the_server_expires(make_aisd, home, slowness):
    """It is an error then."""
    pair = server_of(home, 3 * slowness)
    daemon = make_aisd(pair=pair)
    event = daemon.wait_event("expiry", file=pair.cert, level="error")
    assert "has expired" in event["msg"]


# Lists.

@pytest.mark.parametrize("lifetime, left, warns", [
    (7, 6, False), (7, 1, True), (30, 7, False), (30, 5, True),
    (365, 31, False), (365, 29, True)])
def test_when_to_warn_of_a_list(make_aisd, home, lists, server, lifetime,
                                left, warns):
    """In its last 30 days, but no sooner than in the last fifth of its time:
    a list that is renewed each day is never spoken of."""
    gencrl(home, lists / "home.pem", left * DAY + 3600, lifetime * DAY)
    daemon = make_aisd(pair=server, crl=lists)
    found = daemon.events("expiry")
    assert len(found) == warns
    if warns:
        assert found[0]["level"] == "warning"
        assert found[0]["file"] == str(lists / "home.pem")
        assert (f'the revocation list of "CN=Home" expires in {left} day' in
                found[0]["msg"])
        assert ('once it has expired every client whose certificate comes '
                'from "CN=Home", or from an authority below it, is refused'
                in found[0]["msg"])
    assert checked(daemon)[0] == (3 if warns else 0)


def test_list_of_another_authority(make_aisd, away, lists, server, anna, bob):
    """Its end is spoken of as that of the server's own: in the log and by -t,
    with the file and whom it concerns."""
    gencrl(away, lists / "away.pem", 10 * DAY + 3600)
    daemon = make_aisd(pair=server, crl=lists)
    event, = daemon.events("expiry")
    assert event["file"] == str(lists / "away.pem")
    assert '"CN=Away" expires in 10 days' in event["msg"]
    status, said = checked(daemon)
    assert status == 3 and "Home" not in said
    assert '"CN=Away" expires in 10 days' in said
    assert str(lists / "away.pem") in said
    assert serves(daemon, anna) and serves(daemon, bob)
    daemon.reload()
    assert len(daemon.events("expiry")) == 1


def test_list_in_the_status(make_aisd, home, lists, server, tmp_path,
                            builddir):
    if "#define HAVE_LIBSYSTEMD 1" not in (builddir / "config.h").read_text():
        pytest.skip("built without libsystemd")
    gencrl(home, lists / "home.pem", 5 * DAY + 3600)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "n"))
        manager.settimeout(10)
        pair = server_of(home, 6 * DAY + 3600)._replace(ca=server.ca)
        make_aisd(pair=pair, crl=lists, env={
            **os.environ, "NOTIFY_SOCKET": str(tmp_path / "n")})
        said = b""
        while b"STATUS=" not in said:
            said = manager.recv(4096)
    assert b"; the certificate expires in 6 days" in said
    assert b'; the revocation list of "CN=Home" expires in 5 days' in said


@pytest.mark.parametrize("whose", ["home", "away"])
def test_overdue_list_at_the_start(make_aisd, home, away, lists, server,
                                   anna, bob, whose):
    """One verdict for all lists, whosever they are."""
    path = gencrl({"home": home, "away": away}[whose],
                  lists / f"{whose}.pem", -5)
    daemon = make_aisd(pair=server, crl=lists, start=False)
    says = f'the revocation list of "CN={whose.title()}" has expired'
    status, said = checked(daemon)
    assert status == 75 and says in said and str(path) in said
    assert f"{daemon.conf}:" in said and "crl: " in said
    assert "Home" not in said or whose == "home"
    with pytest.raises(AssertionError, match=f"(?s){status}: .*{says}"):
        daemon.start()

    # The same list, where the configuration allows it.
    daemon.configure(crl_expired="warning")
    status, said = checked(daemon)
    assert status == 3 and says in said and "the old one is used" in said
    daemon.start()
    event, = daemon.events("expiry")
    assert event["level"] == "warning" and event["file"] == str(path)
    assert "until then the old one is used" in event["msg"]
    assert serves(daemon, anna) and serves(daemon, bob)
    # An overdue list is spoken of at each reading.
    daemon.reload()
    assert len(daemon.events("expiry")) == 2


def test_list_becomes_overdue(make_aisd, away, lists, server, anna, bob,
                              slowness):
    """Whom it concerns is refused, a running session of his ends, and nobody
    else is; a new list lets him in again."""
    path = gencrl(away, lists / "away.pem", 4 * slowness)
    daemon = make_aisd(pair=server, crl=lists, watch_interval=0)
    assert serves(daemon, anna)
    with wire.Client(daemon.port, *bob[:3]) as session:
        sleep_in(session)
        event = daemon.wait_event("expiry", file=str(path), level="error")
        assert "CRL has expired" in farewell(session).text
    assert ('; until then every client whose certificate comes from "CN=Away"'
            ', or from an authority below it, is refused' in event["msg"])
    assert "CRL has expired" in refusal(daemon, bob)
    assert serves(daemon, anna)
    gencrl(away, path, DAY)
    daemon.reload()
    assert serves(daemon, bob)


@pytest.mark.parametrize("overdue", ["home", "away"])
def test_overdue_list_holds_up_no_other(make_aisd, home, away, lists, server,
                                        anna, bob, overdue, slowness):
    """A new list is in force although the one beside it is overdue: else who
    is on it would still be let in."""
    late, fresh, victim = {"home": (home, away, bob),
                           "away": (away, home, anna)}[overdue]
    gencrl(late, lists / f"{overdue}.pem", 3 * slowness)
    daemon = make_aisd(pair=server, crl=lists, watch_interval=0.2)
    daemon.wait_event("expiry", level="error")
    assert serves(daemon, victim)
    gencrl(fresh, lists / f"{'away' if overdue == 'home' else 'home'}.pem",
           DAY, revoked=[victim])
    daemon.wait_event("reload", result="done")
    assert "has been revoked" in refusal(daemon, victim)


def test_newest_list_counts(make_aisd, home, lists, server):
    """The newest is the one that is asked, and so its end is the one that
    matters, also where an older list is good for longer."""
    gencrl(home, lists / "older.pem", YEAR, 3 * YEAR)
    daemon = make_aisd(pair=server, crl=lists, start=False)
    assert checked(daemon)[0] == 0
    gencrl(home, lists / "home.pem", 5 * DAY + 3600, YEAR)
    status, said = checked(daemon)
    assert status == 3 and '"CN=Home" expires in 5 days' in said
    gencrl(home, lists / "home.pem", -5, DAY)
    assert "has expired" in checked(daemon)[1]


def test_two_authorities_of_one_name(make_aisd, home, lists, server, tmp_path):
    """As in a change of keys: each has lists of its own."""
    new = pki.root(str(tmp_path / "new"), "Home")
    both = tmp_path / "all.pem"
    both.write_text(open(server.ca).read() + open(new.cert).read())
    gencrl(new, lists / "new.pem", DAY - 5, DAY)
    daemon = make_aisd(pair=server._replace(ca=both), crl=lists, start=False)
    assert checked(daemon)[0] == 0
    gencrl(home, lists / "home.pem", 3 * DAY + 3600, YEAR)
    status, said = checked(daemon)
    assert status == 3 and str(lists / "home.pem") in said


def test_list_without_an_end(make_aisd, home, away, lists, server, anna):
    """One without nextUpdate never ends."""
    pki.revocations(away, lists / "away.pem", end=None)
    daemon = make_aisd(pair=server, crl=lists)
    assert serves(daemon, anna)
    assert checked(daemon)[0] == 0 and not daemon.events("expiry")


# What clients are told.

@pytest.mark.parametrize("lifetime, left, options, status", [
    (365, 29, (), 1), (365, 31, (), 0), (365, 5, (), 2),
    (7, 6, (), 0), (7, 1, (), 1), (7, 0.2, (), 2),
    (365, 29, ("--warn-days", "20"), 0),
    (365, 5, ("--warn-days", "0", "--critical-days", "0"), 0)])
def test_check_of_the_list(make_aisd, aisc, home, away, lists, server, anna,
                           lifetime, left, options, status):
    """aisc --check knows of the list on which it is looked for, and of no
    other, and warns of it by the rule of aisd."""
    gencrl(home, lists / "home.pem", left * DAY + 3600, lifetime * DAY)
    gencrl(away, lists / "away.pem", DAY, YEAR)
    pair = home.make("alice", end=YEAR / 2)
    daemon = make_aisd(pair=server, crl=lists)
    got, first, rest, found = check(aisc, daemon.port, *options, pair=pair)
    assert got == status, first
    assert FIRST.match(first)[10] == str(int(left + 0.1))
    assert ('the server needs a new revocation list of "CN=Home"' in
            first) == (status > 0)
    assert 'server\'s revocation list: "CN=Home", until ' in rest
    known = found["revocation_list"]
    assert (known["issuer"], known["days"]) == ("CN=Home", int(left + 0.1))
    assert known["this_update"] < known["next_update"]


def test_check_without_a_list(make_aisd, aisc, home, away, lists, server):
    """No list, or one without an end: nothing is said."""
    pair = home.make("alice", end=YEAR / 2)
    pki.revocations(home, lists / "home.pem", end=None)
    for daemon in (make_aisd(pair=server),
                   make_aisd(pair=server, crl=lists)):
        status, first, rest, found = check(aisc, daemon.port, pair=pair)
        assert status == 0 and FIRST.match(first)[10] is None
        assert "revocation" not in rest + json.dumps(found)


def test_check_of_an_old_list(make_aisd, aisc, home, lists, server):
    """One that is overdue and used all the same."""
    gencrl(home, lists / "home.pem", -2 * DAY - 60)
    pair = home.make("alice", end=YEAR / 2)
    daemon = make_aisd(pair=server, crl=lists, crl_expired="warning")
    status, first, _, _ = check(aisc, daemon.port, pair=pair)
    assert status == 2 and FIRST.match(first)[10] == "-3"
    assert "-3 days left" in first


@pytest.mark.parametrize("value, good", [
    (b"", False), (bytes(15), False), (b"\xff" * 16, False),
    (b"\x7f" + b"\xff" * 15, False), (bytes(16), True),
    (bytes(8) + b"\x7f" + b"\xff" * 7 + b"CN=\x1b[31m|x" + b"y" * 9999, True)])
def test_check_of_what_no_server_sends(aisc, fake_server, value, good):
    """A strange item ends the check or is shown harmless."""
    def script(peer):
        peer.hello(more=wire.item(wire.Item.REVOCATIONS, value))
        peer.drain()
    server = fake_server(script)
    done = aisc.run(server.port, options=["--check", "--timeout", "1"])
    assert b"\x1b" not in done.stdout + done.stderr
    assert done.returncode == 2
    assert (b"malformed HELLO" in done.stdout) == (not good), done.stdout


def test_check_of_a_list_that_ends_before_it_begins(aisc, fake_server):
    """What is over is critical, however long the list seems to be for."""
    now = int(time.time())

    def script(peer):
        peer.hello(more=wire.item(wire.Item.REVOCATIONS, struct.pack(
            ">QQ", now + 36500 * DAY, now - 60) + b"CN=x"))
        request = peer.expect_request()
        peer.started(request)
        peer.exit(request, 0)
        peer.send(wire.Type.PONG, 0, peer.receive().payload)
        peer.drain()
    server = fake_server(script)
    done = aisc.run(server.port, options=["--check"])
    assert done.returncode == 2
    assert b"a new revocation list of \"CN=x\", -1 days left" in done.stdout
