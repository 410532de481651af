# SPDX-License-Identifier: ISC
"""Where a chain of certificates may end: at each authority of the file
"authority", be that a root or an authority below one.
"""

import json
import shutil
from typing import NamedTuple

import pytest

import pki
from pki import DAY
from test_tls_files import check_config


def text(path):
    with open(path, encoding="ascii") as file:
        return file.read()


class Site(NamedTuple):
    """Files: of a root, of two authorities below it; and the pairs of a server
    and a client of the first, of a client of the second and of one of the
    root, each certificate alone in its file."""
    root: str
    branch: str
    other: str
    server: pki.Pair
    alice: pki.Pair
    bob: pki.Pair
    carol: pki.Pair


def alone(pair):
    path = f"{pair.cert}.alone"
    with open(path, "w", encoding="ascii") as file:
        file.write(text(pair.cert).split("-----END")[0] +
                   "-----END CERTIFICATE-----\n")
    return pair._replace(cert=path)


def by_openssl(work):
    root = pki.root(str(work), "Root")
    branch, other = root.intermediate("Branch"), root.intermediate("Other")
    return Site(root.cert, branch.cert, other.cert, *map(alone, (
        branch.make("localhost", "server"), branch.make("alice"),
        other.make("bob"), root.make("carol"))))


def by_certtool(work):
    def make(name, template, signer=None):
        key, cert, words = (str(work / f"{name}.{end}")
                            for end in ("key", "pem", "template"))
        with open(words, "w", encoding="ascii") as file:
            file.write(f'cn = "{name}"\nexpiration_days = 9\n{template}')
        pki.run("certtool", "--generate-privkey", "--key-type", "ecdsa",
                "--curve", "secp256r1", "--outfile", key)
        pki.run("certtool", "--load-privkey", key, "--template", words,
                "--outfile", cert, *(
                    ["--generate-certificate", "--load-ca-privkey",
                     signer.key, "--load-ca-certificate", signer.cert]
                    if signer else ["--generate-self-signed"]))
        return pki.Pair(cert, key, cert)
    work.mkdir()
    above = "ca\ncert_signing_key\ncrl_signing_key\n"
    user = "tls_www_client\nsigning_key\n"
    root = make("Root", above)
    branch, other = (make(name, above, root) for name in ("Branch", "Other"))
    return Site(root.cert, branch.cert, other.cert, make(
        "localhost", 'dns_name = "localhost"\ntls_www_server\nsigning_key\n',
        branch), make("alice", user, branch), make("bob", user, other),
        make("carol", user, root))


MAKERS = [by_openssl, pytest.param(by_certtool, marks=pytest.mark.skipif(
    not shutil.which("certtool"), reason="gnutls-bin is not installed"))]


def joined(path, *files):
    """A file of these."""
    path.write_text("".join(map(text, files)))
    return str(path)


@pytest.fixture
def root(tmp_path):
    return pki.root(str(tmp_path / "root"), "Root")


@pytest.mark.parametrize("maker", MAKERS)
def test_authority_below_a_root(make_aisd, aisc, tmp_path, maker):
    """It is trusted alone, on both sides, with all that a peer may send."""
    site = maker(tmp_path / "site")
    daemon = make_aisd(pair=site.server._replace(ca=site.branch))
    check_config(daemon, status=0)

    def run(pair, ca, *chain):
        cert = joined(tmp_path / "shown.pem", pair.cert, *chain)
        return aisc.run(daemon.port, "echo", "hello",
                        pair=pair._replace(cert=cert, ca=ca))
    for chain in (), (site.branch,), (site.branch, site.root), (site.root,):
        done = run(site.alice, site.branch, *chain)
        assert done.stdout == b"hello\n", (chain, done.stderr)
    # What the same root has signed besides is nothing to us.
    for pair, *chain in (site.bob, site.other), (site.carol,), (
            site.bob, site.other, site.root), (site.carol, site.root):
        done = run(pair, site.branch, *chain)
        assert done.returncode == 255 and not done.stdout
        assert b"does not trust its issuer" in done.stderr
    # A client that trusts the other one does not take this server.
    done = run(site.alice, site.other, site.branch)
    assert done.returncode == 255 and b"does not come from the configured" \
        in done.stderr
    assert len(daemon.events("command-start")) == 4


def test_check_of_such_a_chain(make_aisd, aisc, tmp_path):
    site = by_openssl(tmp_path / "site")
    daemon = make_aisd(pair=site.server._replace(ca=site.branch))
    done = aisc.run(daemon.port, pair=site.alice._replace(ca=site.branch),
                    options=["--check", "--json"])
    found = json.loads(done.stdout)
    for chain, leaf in (("own_chain", "CN=alice"),
                        ("server_chain", "CN=localhost")):
        assert [cert["subject"] for cert in found[chain]] == [
            leaf, "CN=Branch"]
    # The one authority is warned of as any other.
    root = pki.root(str(tmp_path / "ends"), "Root")
    branch = root.intermediate("Ends", end=5 * DAY + 3600, start=-99 * DAY)
    daemon = make_aisd(pair=alone(branch.make("localhost", "server"))._replace(
        ca=branch.cert))
    check_config(daemon, "the authority's certificate expires in 5 days",
                 status=3)


def serves(aisc, daemon, pair):
    """None, or what the log says of the client that shows this."""
    seen = len(daemon.events("handshake-failed"))
    if aisc.run(daemon.port, "true", pair=pair).returncode == 0:
        return None
    return daemon.wait_event("handshake-failed", seen + 1)["reason"]


@pytest.fixture
def lead(make_aisd, tmp_path):
    """A function from files to an aisd that trusts them and an authority of
    its own."""
    own = pki.root(str(tmp_path / "own"), "Own")

    def start(*files, **keys):
        both = joined(tmp_path / "authority.pem", *files, own.cert)
        return make_aisd(pair=own.make("localhost", "server")._replace(
            ca=both), **keys)
    start.own = own
    return start


def trusting(lead, pair):
    return pair._replace(ca=lead.own.cert)


@pytest.mark.parametrize("when, says", [
    ({"start": -2 * DAY, "end": -DAY}, "has expired"),
    ({"start": DAY, "end": 2 * DAY}, "is not valid before")])
def test_dates_of_the_last_one(make_aisd, aisc, root, lead, when, says):
    bad = root.intermediate("Bad", **when)
    pair = trusting(lead, bad.make("bob"))
    assert f'the certificate "CN=Bad" {says}' in serves(
        aisc, lead(bad.cert), pair)
    pair = bad.make("localhost", "server")._replace(ca=bad.cert)
    check_config(make_aisd(start=False, pair=pair),
                 f'the certificate "CN=Bad" {says}', status=75)


def renewed(root, pair, path):
    """Another certificate of this authority, with the same name and key."""
    request = path.with_suffix(".req")
    pki.run("openssl", "x509", "-x509toreq", "-copy_extensions", "copyall",
            "-in", pair.cert, "-signkey", pair.key, "-out", request)
    pki.run("openssl", "x509", "-req", "-in", request, "-out", path,
            "-CA", root.cert, "-CAkey", root.key, "-days", "9",
            "-copy_extensions", "copyall", "-set_serial", "77")
    return str(path)


@pytest.mark.parametrize("shown", ["none", "old", "new"])
def test_renewed_authority(aisc, root, lead, tmp_path, shown):
    """In the file it takes the place of the one that has expired, whether or
    not that is there as well, and whichever clients send."""
    old = root.intermediate("Branch", start=-9 * DAY, end=-DAY)
    new = renewed(root, old, tmp_path / "new.pem")
    pair = alone(old.make("alice"))
    sent = {"none": [], "old": [old.cert], "new": [new]}[shown]
    pair = trusting(lead, pair._replace(cert=joined(
        tmp_path / "sent.pem", pair.cert, *sent)))
    for files in [old.cert, new], [new, old.cert], [new]:
        assert serves(aisc, lead(*files), pair) is None


def test_root_in_the_file_counts(aisc, lead, tmp_path):
    """A chain goes up as far as the file does: how long the root there is
    good, and what it allows those below it, holds as ever."""
    old = pki.root(str(tmp_path / "old"), "Old", start=-2 * DAY, end=-DAY)
    narrow = pki.root(str(tmp_path / "narrow"), "Narrow", more=[
        "nameConstraints = critical, permitted;DNS:.site.example"])
    for root, says in ((old, 'the certificate "CN=Old" has expired'),
                       (narrow, "permitted subtree violation")):
        branch = root.intermediate("Branch")
        pair = trusting(lead, branch.make("alice", sans=["DNS:a.b.example"]))
        assert says in serves(aisc, lead(branch.cert, root.cert), pair)
        # Without it there is only what the last one says.
        assert serves(aisc, lead(branch.cert), pair) is None


def test_what_the_last_one_may_sign(aisc, root, lead):
    narrow = root.intermediate("Narrow", more=[
        "nameConstraints = critical, permitted;DNS:.site.example"])
    web = root.intermediate("Web", more=["extendedKeyUsage = serverAuth"])
    wide = root.intermediate("Wide")
    daemon = lead(narrow.cert, web.cert, wide.cert)
    for signer, says in ((narrow, "permitted subtree violation"),
                         (web, "may not issue certificates for clients"),
                         (wide.intermediate("Below"), None)):
        pair = trusting(lead, signer.make("alice", sans=["DNS:a.b.example"]))
        said = serves(aisc, daemon, pair)
        assert says in said if says else said is None, said


def test_client_in_the_file_is_no_authority(aisc, root, lead):
    """Neither for itself nor for what it has signed."""
    alice = root.make("alice")
    daemon = lead(alice.cert)
    assert "does not come from the configured authority" in serves(
        aisc, daemon, trusting(lead, alice))
    signer = pki.Signer(root.work, alice.cert, alice.key, root.ca,
                        text(alice.cert))
    assert '"CN=alice" is no authority' in serves(
        aisc, daemon, trusting(lead, signer.make("eve")))


def test_trust_settings(lead, root, tmp_path):
    """A certificate with settings of its own would end a chain before the root
    that is in the file too, and so before that one's lists."""
    branch = root.intermediate("Branch")
    path = tmp_path / "trusted.pem"
    for settings in (["-addtrust", "clientAuth"], ["-addreject", "clientAuth"]):
        pki.run("openssl", "x509", "-in", branch.cert, "-trustout", "-out",
                path, *settings)
        check_config(lead(root.cert, path, start=False),
                     "has trust settings", "-clrtrust")


def test_lists_of_such_a_chain(make_aisd, aisc, root, lead, tmp_path):
    """The last one's own list is needed, and none of those above it: they
    could not be verified."""
    branch = root.intermediate("Branch")
    alice, bob = (trusting(lead, branch.make(name)) for name in ("alice",
                                                                 "bob"))
    own = pki.revocations(lead.own, tmp_path / "own.crl")
    of_root = pki.revocations(root, tmp_path / "root.crl",
                              [int(pki.run("openssl", "x509", "-in",
                                           branch.cert, "-noout",
                                           "-serial").split(b"=")[1], 16)])
    daemon = lead(branch.cert, crl=joined(tmp_path / "crl.pem", own, of_root))
    assert 'have no list that "CN=Branch" has signed' in serves(
        aisc, daemon, alice)
    lists = pki.revocations(branch, tmp_path / "branch.crl",
                            [int(bob.serial, 16)])
    daemon.configure(crl=joined(tmp_path / "both.pem", own, lists))
    daemon.reload()
    assert serves(aisc, daemon, alice) is None
    assert "has been revoked" in serves(aisc, daemon, bob)
    # One that is there counts where it says no, although nothing shows whose
    # it is.
    daemon.configure(crl=joined(tmp_path / "three.pem", own, lists, of_root))
    daemon.reload()
    assert '"CN=Branch" has been revoked' in serves(aisc, daemon, alice)
    # With the root in the file its list is asked, as of any other.
    daemon = lead(branch.cert, root.cert, crl=joined(
        tmp_path / "all.pem", own, lists, of_root))
    assert '"CN=Branch" has been revoked' in serves(aisc, daemon, alice)
