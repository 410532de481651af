# SPDX-License-Identifier: ISC
"""ais-ca makes, lists, renews and revokes certificates, whatever happens."""

import fcntl
import os
import re
import shutil
import signal
import stat
import subprocess
import time

import pytest

from e2e.pki import (AIS_CA, DAY, SRCDIR, Authority, environment, root, run,
                 self_signed)

# It is one shell script, and no test here runs anything that is compiled.
pytestmark = pytest.mark.same("build")
PAGE = os.path.join(SRCDIR, "man", "ais-ca.8")
# What ais-ca runs to change files; each call is a place to be killed at.
STEPS = ("chmod", "cp", "ln", "mkdir", "mv", "openssl", "rm", "touch")


def ais_ca(where, *words, **env):
    """Run ais-ca on the authority in "where"; return what it did."""
    return subprocess.run(["sh", AIS_CA, "-d", str(where), *words],
                          capture_output=True, text=True, errors="replace",
                          stdin=subprocess.DEVNULL, env=environment(**env),
                          start_new_session=True)


def good(where, *words, **env):
    done = ais_ca(where, *words, **env)
    assert done.returncode == 0, done.stderr
    assert "PRIVATE KEY" not in done.stdout + done.stderr
    return done.stdout


def bad(where, *words, code=1, **env):
    """Run what has to fail with one line on standard error; return that."""
    done = ais_ca(where, *words, **env)
    assert done.returncode == code, (words, done)
    assert done.stdout == ""
    assert re.fullmatch(r"ais-ca: [ -~]+\n", done.stderr), done.stderr
    assert "PRIVATE KEY" not in done.stderr
    return done.stderr


def text_of(cert):
    return run("openssl", "x509", "-in", cert, "-noout", "-text").decode()


def table(where):
    """The rows of "list" for certificates, as lists of words without the last
    day."""
    rows = [line.split() for line in good(where, "list").splitlines()[1:]]
    return [row[:-1] for row in rows if row[2] != "list"]


def settings(output):
    return dict(re.findall(r'^  (\w+) = "(.*)";$', output, re.M))


def verifies(ca, cert, *options):
    return subprocess.run(["openssl", "verify", *options, "-x509_strict",
                           "-CAfile", str(ca), str(cert)],
                          capture_output=True, text=True, env=environment())


@pytest.fixture(name="site")
def fixture_site(tmp_path):
    good(tmp_path / "ca", "init")
    return tmp_path / "ca"


def check_whole(where):
    """Every live pair belongs together, the database knows every certificate,
    and nothing half done lies about."""
    assert not os.path.exists(where / "work")
    with open(where / "index.txt", encoding="ascii") as file:
        serials = [line.split("\t")[3] for line in file]
    assert len(set(serials)) == len(serials)
    for purpose in ("authority", "server", "client"):
        for serial in os.listdir(where / "issued" / purpose):
            assert serial in serials
    for purpose in ("server", "client"):
        for name in os.listdir(where / purpose):
            pair = where / purpose / name
            assert ((pair / "key.pem").exists() !=
                    (pair / "request.pem").exists())
            if (pair / "request.pem").exists():
                continue
            check_pair(pair / "cert.pem", pair / "key.pem")
    check_pair(where / "ca.pem", where / "private" / "ca.key")
    return serials


def check_pair(cert, key):
    assert (run("openssl", "x509", "-in", cert, "-noout", "-pubkey") ==
            run("openssl", "pkey", "-in", key, "-pubout"))


# ---- what certificates are like ----------------------------------------

def test_the_authority(site):
    text = text_of(site / "ca.pem")
    assert "Subject: CN = AIS_CA" in text
    assert "CA:TRUE, pathlen:0" in text
    assert re.search(r"Key Usage: critical\n\s+Certificate Sign, CRL Sign\n",
                     text)
    assert "ecdsa-with-SHA256" in text and "prime256v1" in text
    assert table(site)[0][1:4] == ["AIS_CA", "authority", "valid"]
    assert "already" in bad(site, "init")


def test_a_server(site):
    output = good(site, "server", "web.example.org", "192.0.2.7",
                  "*.example.org", "2001:db8::7", "web.example.org")
    said = settings(output)
    text = text_of(said["certificate"])
    assert "Subject: CN = web.example.org" in text
    assert ("DNS:web.example.org, IP Address:192.0.2.7, DNS:*.example.org, "
            "IP Address:2001:DB8:0:0:0:0:0:7\n") in text
    assert "TLS Web Server Authentication\n" in text
    assert re.search(r"Basic Constraints: critical\n\s+CA:FALSE\n", text)
    assert re.search(r"Key Usage: critical\n\s+Digital Signature\n", text)
    assert "Subject Key Identifier" in text
    assert "Authority Key Identifier" in text
    assert ("\nNames: web.example.org, 192.0.2.7, *.example.org, "
            "2001:db8::7\n") in output
    assert set(said) == {"certificate", "key", "authority"}
    assert said["authority"] == str(site / "ca.pem")
    check_pair(said["certificate"], said["key"])
    done = verifies(site / "ca.pem", said["certificate"], "-purpose",
                    "sslserver", "-verify_hostname", "web.example.org")
    assert done.returncode == 0, done.stderr
    assert verifies(site / "ca.pem", said["certificate"], "-purpose",
                    "sslclient").returncode != 0


def test_a_server_is_localhost_by_default(site):
    said = settings(good(site, "server"))
    assert ("DNS:localhost, IP Address:127.0.0.1, "
            "IP Address:0:0:0:0:0:0:0:1\n") in text_of(said["certificate"])
    assert "localhost" in bad(site, "server", "localhost")


def test_a_client(site):
    said = settings(good(site, "client", "alice", "alice@example.org"))
    text = text_of(said["certificate"])
    assert "Subject: CN = alice\n" in text
    assert "TLS Web Client Authentication\n" in text
    assert "email:alice@example.org\n" in text
    assert verifies(site / "ca.pem", said["certificate"], "-purpose",
                    "sslclient").returncode == 0
    assert verifies(site / "ca.pem", said["certificate"], "-purpose",
                    "sslserver").returncode != 0
    assert "Alternative" not in text_of(settings(
        good(site, "client", "bob"))["certificate"])
    assert "a client" not in good(site, "server", "alice")


@pytest.mark.parametrize("algorithm, words", [
    ("p384", "secp384r1"),
    ("ed25519", "Public Key Algorithm: ED25519"),
    ("rsa2048", "Public-Key: (2048 bit)"),
])
def test_algorithms(tmp_path, algorithm, words):
    site = tmp_path / "ca"
    good(site, "init", "--algorithm", algorithm)
    assert words in text_of(site / "ca.pem")
    said = settings(good(site, "client", "alice", "--algorithm=" + algorithm))
    assert words in text_of(said["certificate"])
    good(site, "renew", "alice")
    assert words in text_of(said["certificate"])
    assert verifies(site / "ca.pem", said["certificate"]).returncode == 0
    # A key of the default kind is kept, whatever the authority has.
    said = settings(good(site, "server", "web"))
    good(site, "renew", "web")
    assert "prime256v1" in text_of(said["certificate"])
    good(site, "crl")
    check_whole(site)


def test_modes(site):
    good(site, "server")
    good(site, "client", "alice")
    good(site, "crl")
    seen = 0
    for folder, _, files in os.walk(site):
        for name in files:
            mode = stat.S_IMODE(os.stat(os.path.join(folder, name)).st_mode)
            public = name in ("cert.pem", "ca.pem", "crl.pem")
            assert mode == (0o644 if public else 0o600), (folder, name)
            seen += name.endswith("key.pem") or name == "ca.key"
    assert seen == 3
    assert stat.S_IMODE(os.stat(site / "private").st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, whose files "
                    "others could have changed")
@pytest.mark.parametrize("owner, mode, fits", [
    ("nobody", 0o755, False), ("root", 0o777, False), ("root", 0o775, True),
    ("root", 0o1777, True), ("root", 0o755, True)])
@pytest.mark.parametrize("above", [False, True])
def test_out_where_others_can_write(site, trusted_path, owner, mode, fits,
                                    above):
    out = trusted_path / "out"
    out.mkdir()
    shutil.chown(out, owner)
    out.chmod(mode)
    where = out / "below" if above else out
    where.mkdir(exist_ok=True)
    if fits:
        good(site, "client", "alice", "--out", str(where))
        return
    assert f"exchange files in {out}" in bad(site, "client", "alice", "--out",
                                             str(where))
    assert list(where.iterdir()) == []
    bad(site, "client", "alice", "--out", str(where / "new"))
    assert list(where.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, whose files "
                    "others could have changed")
@pytest.mark.parametrize("owner, mode", [("nobody", 0o700), ("root", 0o777)])
@pytest.mark.parametrize("above", [False, True])
def test_an_authority_that_others_can_change(trusted_path, owner, mode, above):
    """Nothing there is done for them, and nothing is written through their
    links."""
    top = trusted_path / "top"
    site = top / "ca" if above else top
    good(site, "init")
    good(site, "client", "alice")
    victim = trusted_path / "victim"
    victim.write_text("kept")
    (site / "work").mkdir()
    (site / "work/gone").write_text("../victim\n../../victim\n")
    (site / ".lock").unlink()
    (site / ".lock").symlink_to(victim)
    (site / "deliver").write_text(f"#!/bin/sh\n: >{trusted_path}/run\n")
    (site / "deliver").chmod(0o755)
    shutil.chown(top, owner)
    top.chmod(mode)
    for words in (["list"], ["crl"], ["renew", "alice"], ["client", "bob"]):
        message = bad(site, *words)
        assert f"exchange files in {top}, " in message
        assert "the user that owns" in message
    # Before anything is made, or asked for.
    message = bad(top / "new/ca", "init", "--passphrase")
    assert f"exchange files in {top}, " in message
    assert not (top / "new").exists()
    assert victim.read_text() == "kept"
    assert not (trusted_path / "run").exists()


def test_out(site, tmp_path):
    out = tmp_path / "to alice"
    said = settings(good(site, "client", "alice", "--out", str(out)))
    assert said == {"certificate": str(out / "alice.pem"),
                    "key": str(out / "alice.key"),
                    "authority": str(out / "ca.pem")}
    check_pair(said["certificate"], said["key"])
    assert stat.S_IMODE(os.stat(said["key"]).st_mode) == 0o600
    assert "exists already" in bad(site, "server", "alice", "--out", str(out))
    before = text_of(said["certificate"])
    good(site, "renew", "alice", "--out", str(out))
    assert text_of(said["certificate"]) != before
    check_pair(said["certificate"], said["key"])
    assert sorted(os.listdir(out)) == ["aisc.conf", "alice.key", "alice.pem",
                                       "ca.pem"]
    good(tmp_path / "other", "init")
    assert "another authority" in bad(tmp_path / "other", "client", "bob",
                                      "--out", str(out))


def test_out_is_a_whole_configuration(site, tmp_path, program):
    """Copied elsewhere it is all that aisc needs; what its user changes in it
    stays."""
    good(site, "client", "alice", "--out", str(tmp_path / "out"))
    copied = tmp_path / "home" / "ais"
    shutil.copytree(tmp_path / "out", copied)
    shutil.rmtree(tmp_path / "out")
    shown = subprocess.run(
        [*program("aisc"), "--show-config", "web"], text=True, check=True,
        env=environment(XDG_CONFIG_HOME=str(tmp_path / "home")),
        capture_output=True).stdout
    for name in ("alice.pem", "alice.key", "ca.pem"):
        assert f'"{copied / name}"' in shown
    (copied / "aisc.conf").write_text("port = 4774;\n")
    good(site, "renew", "alice", "--out", str(copied))
    assert (copied / "aisc.conf").read_text() == "port = 4774;\n"


# ---- requests made elsewhere --------------------------------------------

def request(folder, tool, purpose, name="alice"):
    """A key and a request for it as "tool" makes them, which asks for more
    than it may get; their paths."""
    key, made = folder / "elsewhere.key", folder / "elsewhere.csr"
    san = "web.example.org" if purpose == "server" else "a.example.org"
    if tool == "openssl":
        run("openssl", "req", "-new", "-newkey", "rsa:2048", "-noenc",
            "-subj", f"/C=DE/O=Site, CN=root/CN={name}", "-keyout", key,
            "-out", made, "-addext", f"subjectAltName=DNS:{san}", "-addext",
            "basicConstraints=critical,CA:TRUE", "-addext",
            "keyUsage=keyCertSign", "-addext", "extendedKeyUsage=anyExtended"
            "KeyUsage")
    elif tool == "certtool":
        template = folder / "template"
        template.write_text(f'cn = "{name}"\nou = "x"\ndns_name = "{san}"\n'
                            "ca\ncert_signing_key\ntls_www_server\n"
                            "tls_www_client\n")
        run("certtool", "--generate-privkey", "--ecc", "--outfile", key)
        run("certtool", "--generate-request", "--load-privkey", key,
            "--template", template, "--outfile", made)
    else:
        pytest.importorskip("cryptography")
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization as form
        from cryptography.hazmat.primitives.asymmetric import ed25519
        private = ed25519.Ed25519PrivateKey.generate()
        built = x509.CertificateSigningRequestBuilder().subject_name(
            x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
        for extension in (
                x509.SubjectAlternativeName([x509.DNSName(san)]),
                x509.BasicConstraints(ca=True, path_length=None)):
            built = built.add_extension(extension, critical=True)
        made.write_bytes(built.sign(private, None).public_bytes(
            form.Encoding.PEM))
        key.write_bytes(private.private_bytes(
            form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()))
    return key, str(made)


@pytest.mark.parametrize("tool", ["openssl", "certtool", "cryptography"])
@pytest.mark.parametrize("purpose", ["client", "server"])
def test_sign(site, tmp_path, tool, purpose):
    """Its names alone are taken from a request, after the checks."""
    if tool != "cryptography" and not shutil.which(tool):
        pytest.skip(f"there is no {tool}")
    name = "web.example.org" if purpose == "server" else "alice"
    key, made = request(tmp_path, tool, purpose, name)
    out = tmp_path / "out"
    said = settings(good(site, "sign", purpose, made, "--out", str(out)))
    check_pair(said["certificate"], key)
    text = text_of(said["certificate"])
    assert f"Subject: CN = {name}\n" in text
    assert re.search(r"Basic Constraints: critical\n\s+CA:FALSE\n", text)
    assert re.search(r"Key Usage: critical\n\s+Digital Signature\n", text)
    assert re.search(r"Extended Key Usage: *\n\s+TLS Web %s Authentication\n"
                     % purpose.capitalize(), text)
    san, = re.findall(r"Alternative Name: *\n\s+(.*)\n", text)
    assert san == ("DNS:web.example.org" if purpose == "server" else
                   "DNS:a.example.org")
    assert verifies(site / "ca.pem", said["certificate"], "-purpose",
                    f"ssl{purpose}").returncode == 0
    assert set(os.listdir(out)) == {"ca.pem", f"{name}.pem"} | (
        {"aisc.conf"} if purpose == "client" else set())
    assert "already" in bad(site, "sign", purpose, made)
    # The key stays; a new one cannot be made here.
    good(site, "renew", name, "--out", str(out))
    assert text_of(said["certificate"]) != text
    check_pair(said["certificate"], key)
    assert "sign another" in bad(site, "renew", name, "--algorithm", "p384")
    assert "key=" not in good(site, "show", name)
    good(site, "revoke", name)
    check_whole(site)


def test_sign_under_the_name_that_is_given(site, tmp_path):
    """Then the request chooses none of its names."""
    _, made = request(tmp_path, "openssl", "client", "root")
    said = settings(good(site, "sign", "client", made, "bob", "b@example.org"))
    text = text_of(said["certificate"])
    assert "Subject: CN = bob\n" in text and "email:b@example.org\n" in text
    assert "a.example.org" not in text and "root" not in text


@pytest.mark.parametrize("subject, more, words", [
    ("/O=only", (), "a name is empty"),
    ("/CN=a/CN=b", (), "may have only"),
    ("/CN=a b", (), "may have only"),
    ("/CN=a\nb", (), "may have only"),
    ("/CN=..\\/..\\/x", (), "has to begin"),
    ("/CN=a+O=b", ("-multivalue-rdn",), "may have only"),
    ("/CN=a", ("-addext", "subjectAltName=URI:urn:x"), "no kind"),
    ("/CN=a", ("-addext", "subjectAltName=DNS:*.*.a"), "neither"),
    ("/CN=a", ("-addext", "subjectAltName=otherName:1.3.6.1.4.1.311.20.2.3;"
               "UTF8:u@x"), "no kind"),
    ("/CN=a", ("-newkey", "rsa:1024"), "does not take"),
    ("/CN=a/OU=NIST CURVE: P-256", ("-newkey", "ec", "-pkeyopt",
     "ec_paramgen_curve:brainpoolP256r1"), "does not take"),
])
def test_requests_that_are_refused(site, tmp_path, subject, more, words):
    made = str(tmp_path / "csr")
    more = more if "-newkey" in more else ("-newkey", "ed25519", *more)
    run("openssl", "req", "-new", "-noenc", "-subj", subject, *more,
        "-keyout", tmp_path / "key", "-out", made)
    assert words in bad(site, "sign", "client", made)
    assert len(table(site)) == 1
    check_whole(site)


def test_files_that_are_no_requests(site, tmp_path):
    """Nor is one that its key has not signed."""
    _, made = request(tmp_path, "openssl", "client")
    der = bytearray(run("openssl", "req", "-in", made, "-outform", "DER"))
    der[-1] ^= 1
    altered = tmp_path / "altered"
    altered.write_bytes(run("openssl", "req", "-inform", "DER", data=der))
    assert "not signed by its key" in bad(site, "sign", "client",
                                          str(altered))
    for other in (site / "ca.pem", tmp_path / "none", tmp_path, "/dev/zero",
                  "/dev/null"):
        bad(site, "sign", "client", str(other))
    for words in ([], ["client"], ["authority", made], [made]):
        bad(site, "sign", *words, code=2)
    assert len(table(site)) == 1
    check_whole(site)


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_the_owner_of_a_key_stays(site):
    said = settings(good(site, "server", "--owner", "nobody"))
    owner = os.stat(said["key"]).st_uid
    assert owner != 0
    good(site, "renew", "localhost")
    assert os.stat(said["key"]).st_uid == owner
    assert "failed" in bad(site, "client", "x", "--owner", "no-such-user")
    assert os.listdir(site / "client") == []
    check_whole(site)


def test_days(site):
    said = settings(good(site, "client", "alice", "--days", "3"))
    for days, code in ((2, 0), (4, 1)):
        assert subprocess.run(
            ["openssl", "x509", "-in", said["certificate"], "-noout",
             "-checkend", str(days * DAY)], env=environment(),
            stdout=subprocess.DEVNULL).returncode == code
    assert table(site)[1][4] in ("2", "3")
    assert "outlive" in bad(site, "client", "bob", "--days", "3651")


# ---- the life of certificates ------------------------------------------

def test_list_tells_the_states_apart(site, tmp_path):
    good(site, "client", "alice")
    good(site, "client", "bob")
    good(site, "server", "web")
    good(site, "revoke", "bob")
    # Let alice's year pass by moving her last day in the database.
    index = site / "index.txt"
    lines = index.read_text().splitlines(keepends=True)
    index.write_text("".join(
        re.sub(r"\t\d+Z", "\t200101000000Z", line) if "CN=alice" in line
        else line for line in lines))
    rows = {row[1]: row[2:] for row in table(site)}
    assert rows["alice"] == ["client", "expired", "-"]
    assert rows["bob"] == ["client", "revoked", "-"]
    assert rows["web"][:2] == ["server", "valid"]
    assert rows["web"][2] in ("364", "365")
    starts = {line.index(word) for line, word in
              zip(good(site, "list").splitlines()[1:],
                  ("authority", "client", "client", "server"))}
    assert len(starts) == 1
    # What has expired may be made anew without "renew".
    good(site, "client", "alice")
    assert "expired" not in good(site, "show", "alice")


def test_a_live_name_is_not_made_twice(site):
    good(site, "client", "alice")
    message = bad(site, "client", "alice")
    assert "renew" in message
    assert table(site)[1][0] in message
    good(site, "server", "alice")
    assert len(table(site)) == 3


def test_renew(site):
    said = settings(good(site, "server", "web", "10.0.0.1", "::1"))
    old = text_of(said["certificate"])
    old_key = run("openssl", "pkey", "-in", said["key"], "-pubout")
    serial = table(site)[1][0]
    output = good(site, "renew", "web")
    assert serial in output and "stays valid" in output
    assert settings(output) == said
    new = text_of(said["certificate"])
    assert "DNS:web, IP Address:10.0.0.1, IP Address:0:0:0:0:0:0:0:1" in new
    assert "Server Authentication" in new and new != old
    assert run("openssl", "pkey", "-in", said["key"], "-pubout") != old_key
    check_pair(said["certificate"], said["key"])
    assert [row[3] for row in table(site)] == ["valid"] * 3
    good(site, "renew", table(site)[2][0])
    # As server and as client: only a serial says which.
    good(site, "client", "web")
    assert "serial" in bad(site, "renew", "web")
    assert len(good(site, "show", "web").split("name=web")) == 3
    assert "no certificate" in bad(site, "renew", "nobody")
    assert "no certificate" in bad(site, "renew", "AIS_CA")


def test_renew_with_more_names(site):
    """They come beside those that there are, after the same checks."""
    said = settings(good(site, "server", "web", "10.0.0.1"))
    hint = bad(site, "server", "web", "web.example", "10.0.0.2")
    words = re.search(r'"ais-ca -d \S+ (renew [^"]*)"', hint)[1].split()
    assert words[2:] == ["web.example", "10.0.0.2"]
    output = good(site, *words, "web")
    assert "Names: web, 10.0.0.1, web.example, 10.0.0.2" in output
    assert ("DNS:web, IP Address:10.0.0.1, DNS:web.example, "
            "IP Address:10.0.0.2\n") in text_of(said["certificate"])
    check_pair(said["certificate"], said["key"])
    assert "neither" in bad(site, "renew", "web", "a..b", code=2)
    assert "neither" in bad(site, "renew", "web", "a@b.example", code=2)
    good(site, "client", "alice")
    good(site, "renew", "alice", "a@b.example")
    assert "email:a@b.example" in text_of(site / "client/alice/cert.pem")
    assert len(table(site)) == 5
    check_whole(site)


def test_revoke(site):
    alice = settings(good(site, "client", "alice"))["certificate"]
    alice = os.path.realpath(alice)
    bob = settings(good(site, "client", "bob"))["certificate"]
    assert "crl" not in settings(good(site, "server", "before"))
    output = good(site, "revoke", "alice", "--reason", "keyCompromise")
    assert settings(output) == {"crl": str(site / "crl.pem")}
    check = ["-crl_check", "-CRLfile", str(site / "crl.pem")]
    assert "revoked" in verifies(site / "ca.pem", alice, *check).stderr
    assert verifies(site / "ca.pem", bob, *check).returncode == 0
    text = run("openssl", "crl", "-in", site / "crl.pem", "-noout",
               "-text").decode()
    assert "Key Compromise" in text
    assert not os.path.lexists(site / "client" / "alice")
    assert settings(good(site, "server"))["crl"] == str(site / "crl.pem")
    for command in ("revoke", "renew"):
        bad(site, command, "alice")
        bad(site, command, table(site)[1][0])
    good(site, "client", "alice")
    check_whole(site)


def test_names_are_compared_as_text(site):
    """Names that are equal as numbers are different ones."""
    for name in ("7", "007", "7.0", "1000", "1e3"):
        good(site, "client", name)
    good(site, "revoke", "7")
    good(site, "revoke", "1000")
    states = {line.split()[1]: line.split()[3]
              for line in good(site, "list").splitlines()
              if line.split()[1:] and line.split()[1][0] in "017"}
    assert states == {"7": "revoked", "007": "valid", "7.0": "valid",
                      "1000": "revoked", "1e3": "valid"}


def test_revoke_by_name_means_all_and_by_serial_one(site):
    good(site, "client", "alice")
    good(site, "renew", "alice")
    good(site, "server", "alice")
    first = table(site)[1][0]
    pairs = ":".join(re.findall("..", first.lower()))
    good(site, "revoke", pairs)
    assert [row[3] for row in table(site)[1:]] == ["revoked", "valid", "valid"]
    assert os.path.lexists(site / "client" / "alice")
    good(site, "revoke", "alice")
    assert [row[3] for row in table(site)[1:]] == ["revoked"] * 3
    assert os.listdir(site / "client") + os.listdir(site / "server") == []


def test_crl_numbers_rise(site):
    numbers = []
    for _ in range(3):
        good(site, "crl", "--days", "3")
        text = run("openssl", "crl", "-in", site / "crl.pem", "-noout",
                   "-crlnumber").decode()
        numbers.append(int(text.split("0x")[1], 16))
    assert numbers == [1, 2, 3]


def test_show(site):
    good(site, "server", "web")
    shown = good(site, "show", "web")
    assert "state=valid\n" in shown and "DNS:web" in shown
    assert "sha256 Fingerprint=" in shown
    assert shown == good(site, "show", table(site)[1][0])
    assert "list" in bad(site, "show", "nobody")


# ---- the passphrase ----------------------------------------------------

def test_a_wrong_passphrase_that_seems_to_fit(tmp_path):
    """As openssl says it for one of 256 wrong ones."""
    site, text, bin_ = (tmp_path / name for name in ("ca", "text", "bin"))
    text.write_text("battery staple\n")
    good(site, "init", "--passphrase-file", str(text))
    bin_.mkdir()
    stub = bin_ / "openssl"
    stub.write_text(f"""#!/bin/sh
[ "$1" = ca ] || exec {shutil.which("openssl")} "$@"
echo "error:1E08010C:DECODER routines:OSSL_DECODER_from_bio:unsupported" >&2
exit 1
""")
    stub.chmod(0o755)
    assert "the passphrase is wrong" in bad(
        site, "client", "bob", "--passphrase-file", str(text),
        PATH=f"{bin_}:{os.environ['PATH']}")


def test_passphrase_file(tmp_path):
    site, right, wrong = (tmp_path / name for name in ("ca", "right", "wrong"))
    right.write_text("correct horse $(id) `id` \"'\\\n")
    wrong.write_text("battery staple\n")
    good(site, "init", "--passphrase-file", str(right))
    head = (site / "private" / "ca.key").read_text().splitlines()[0]
    assert head == "-----BEGIN ENCRYPTED PRIVATE KEY-----"
    good(site, "client", "alice", "--passphrase-file", str(right))
    good(site, "revoke", "alice", AIS_CA_PASSPHRASE_FILE=str(right))
    good(site, "crl", AIS_CA_PASSPHRASE_FILE=str(right))
    assert "wrong" in bad(site, "client", "bob",
                          "--passphrase-file", str(wrong))
    assert "terminal" in bad(site, "client", "bob")
    assert "cannot read" in bad(site, "crl", "--passphrase-file",
                                str(tmp_path / "none"))
    assert len(table(site)) == 2
    assert not os.path.exists(site / "work")


def on_terminal(answers, *words):
    """Run ais-ca on a terminal of its own and type an answer each time it
    asks; return its exit status and what the terminal showed."""
    pid, terminal = os.forkpty()
    if pid == 0:
        os.execvpe("sh", ["sh", AIS_CA, *words], environment())
    shown = b""
    answers = list(answers)
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:         # The other end is closed.
            break
        if not piece:
            break
        shown += piece
        if answers and shown.endswith(b": "):
            os.write(terminal, answers.pop(0) + b"\n")
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown


def test_passphrase_on_the_terminal(tmp_path):
    site = str(tmp_path / "ca")
    code, shown = on_terminal([b"one secret", b"another"], "-d", site, "init",
                              "--passphrase")
    assert code == 1 and b"differ" in shown
    code, shown = on_terminal([b"one secret", b"one secret"], "-d", site,
                              "init", "--passphrase")
    assert code == 0 and b"secret" not in shown
    code, shown = on_terminal([b"one secret"], "-d", site, "client", "alice")
    assert code == 0 and b"secret" not in shown
    code, shown = on_terminal([b"a guess"], "-d", site, "client", "bob")
    assert code == 1 and b"wrong" in shown


# ---- hostile and mistaken command lines --------------------------------

@pytest.mark.parametrize("name", [
    "", "a/b", "/etc/passwd", "..", ".hidden", "-x", "a b", "a\nb", "a\x1bb",
    "a\tb", "a,CN=root", "a+OU=x", "a=b", "a\\b", "a'b", 'a"b', "a#b", "a;b",
    "$(id)", "${ENV::HOME}", "$HOME", "`id`", "a*", "a?", "[a]", "a" * 65,
    "zo\u00eb", "\udcff\udcfe", "@san", "a%n", "a&b", "a|b", "a<b", "~root",
])
def test_hostile_names(site, name):
    for command in ("client", "server"):
        bad(site, command, "--", name, code=2)
    bad(site, "server", "--", "fine", name.replace("a" * 65, "a" * 254),
        code=2)
    for command in ("show", "renew", "revoke"):
        done = ais_ca(site, command, "--", name)
        assert done.returncode in (1, 2) and done.stdout == ""
    bad(site.parent / "new", "init", "--name", name + "$", code=2)
    assert len(table(site)) == 1
    check_whole(site)


@pytest.mark.parametrize("name", [
    "256.1.1.1", "1.2.3", "1.2.3.4.5", "1.2.3.", "1234", "1:2", ":::",
    "1::2::3", "12345::", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7::8", "::g",
    "1:2:3:4:5:6:7:", "a..b", "a.", "a-", "a.-b", "a@b", "a:b", "x.*",
    "*.*.a", "a" * 64 + ".b", "*",
])
def test_neither_host_nor_address(site, name):
    message = bad(site, "server", "web", name, code=2)
    assert "neither" in message and name[:60] in message


@pytest.mark.parametrize("name", [
    "::", "::1", "1::", "1:2:3:4:5:6:7:8", "1::8", "::2:3:4:5:6:7:8",
    "1:2:3:4:5:6:7::", "1:2:3:4:5:6::8", "fe80::1:2", "0.0.0.0",
    "255.255.255.255", "a", "a_b", "9.example", "*.example", "x--y.example",
    "a" * 63 + ".example",
])
def test_hosts_and_addresses(site, name):
    said = settings(good(site, "server", "web", name))
    kind = ("IP Address:" if ":" in name or name.replace(".", "").isdigit()
            else "DNS:")
    assert text_of(said["certificate"]).count(kind) == (
        2 if kind == "DNS:" else 1)


@pytest.mark.parametrize("words", [
    [], ["frobnicate"], ["init", "extra"], ["client"], ["revoke"], ["show"],
    ["renew"], ["list", "x"], ["crl", "x"], ["--nonsense", "list"],
    ["-d"], ["list", "-d", ""], ["list", "-d", "a\nb"], ["list", "-w", "x"],
    ["client", "a", "--days", "0"], ["client", "a", "--days", "08"],
    ["client", "a", "--days", "-1"], ["client", "a", "--days", "1;id"],
    ["client", "a", "--days", "999999999999999999999"],
    ["client", "a", "--algorithm", "rsa1024"],
    ["client", "a", "--algorithm", "p256 -x"], ["client", "a", "--name", "b"],
    ["client", "a", "--owner", "-R"], ["client", "a", "--owner", "a b"],
    ["init", "--reason", "x"], ["revoke", "a", "--reason", "holiday"],
    ["client", "a", "--days"], ["renew", "--expiring"],
    ["renew", "--expiring", "soon"], ["renew", "--expiring", "30", "a"],
    ["renew", "--expiring", "30", "--out", "x"], ["crl", "--expiring", "3"],
])
def test_usage_errors(site, words):
    bad(site, *words, code=2)


def test_help_and_version():
    for option in ("-h", "--help"):
        done = subprocess.run(["sh", AIS_CA, option], capture_output=True,
                              text=True)
        assert done.returncode == 0 and done.stderr == ""
        for command in ("init", "server", "client", "sign", "list", "show",
                        "renew", "revoke", "crl"):
            assert "\n  %s " % command in done.stdout
    done = subprocess.run(["sh", AIS_CA, "--version"], capture_output=True,
                          text=True)
    assert re.fullmatch(r"ais-ca \d+\.\d+\.\d+\n", done.stdout)


def test_odd_directories(tmp_path):
    for name in ("a b", "a'b", 'a"b\\c', "$HOME", "-x", "a,b=c", "#x", "-"):
        done = subprocess.run(["sh", AIS_CA, "-d", name, "-q", "init"],
                              cwd=tmp_path, env=environment())
        assert done.returncode == 0
        done = subprocess.run(["sh", AIS_CA, "-d", name, "client", "alice"],
                              cwd=tmp_path, env=environment(), text=True,
                              capture_output=True)
        value = settings(done.stdout)["certificate"]
        value = re.sub(r"\\(.)", r"\1", value)
        assert value == str(tmp_path / name / "client" / "alice" / "cert.pem")
        assert os.path.exists(value)


def test_where_the_directory_comes_from(tmp_path):
    def init(*words, **env):
        done = subprocess.run(["sh", AIS_CA, *words, "list"], text=True,
                              capture_output=True, env=environment(**env))
        return done.stderr

    assert str(tmp_path / "env") in init(AIS_CA_DIR=str(tmp_path / "env"))
    assert str(tmp_path / "opt") in init("-d", str(tmp_path / "opt"),
                                         AIS_CA_DIR=str(tmp_path / "env"))
    assert "init" in bad(tmp_path / "none", "client", "alice")


def test_a_lost_certificate_does_not_cost_the_key(site):
    os.rename(site / "ca.pem", site / "aside")
    assert "ca.key" in bad(site, "init")
    os.rename(site / "aside", site / "ca.pem")
    good(site, "client", "alice")
    check_whole(site)


# ---- many at once, and stopped half way --------------------------------

def test_ten_at_once(site):
    runs = [subprocess.Popen(["sh", AIS_CA, "-q", "-w", "100", "-d", str(site),
                              "client", "c%d" % number], env=environment())
            for number in range(10)]
    assert [one.wait() for one in runs] == [0] * 10
    assert {row[1] for row in table(site)[1:]} == {
        "c%d" % number for number in range(10)}
    check_whole(site)


def test_of_two_who_want_the_same_name_one_gets_it(site):
    runs = [subprocess.Popen(["sh", AIS_CA, "-q", "-d", str(site), "client",
                              "alice"], env=environment(),
                             stderr=subprocess.DEVNULL)
            for _ in range(4)]
    assert sorted(one.wait() for one in runs) == [0, 1, 1, 1]
    assert len(table(site)) == 2


def test_the_lock_is_waited_for_and_named(site):
    with open(site / ".lock", "w", encoding="ascii") as lock:
        lock.write("process 4711 (ais-ca renew)\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        message = bad(site, "-w", "1", "client", "alice")
        assert "process 4711 (ais-ca renew)" in message
        # One that waits goes on as soon as it may.
        with subprocess.Popen(["sh", AIS_CA, "-q", "-d", str(site), "client",
                               "alice"], env=environment()) as waiter:
            fcntl.flock(lock, fcntl.LOCK_UN)
            assert waiter.wait() == 0
    # The dead hold nothing, whatever the file says.
    (site / ".lock").write_text("process 4711 (ais-ca renew)\n")
    good(site, "-w", "1", "client", "bob")


def kill_at(step, folder, where, words):
    """Run ais-ca and kill it with all its children just before it changes
    something for the "step"th time.  Return whether it got that far."""
    shims, count = folder / "shims", folder / "count"
    if not shims.exists():
        shims.mkdir()
        for name in STEPS:
            shim = shims / name
            shim.write_text("#!/bin/sh\necho >>%s\n"
                            "[ $(wc -l <%s) != $STEP ] || kill -KILL 0\n"
                            "exec %s \"$@\"\n"
                            % (count, count, shutil.which(name)))
            shim.chmod(0o755)
    count.write_text("")
    done = ais_ca(where, *words, STEP=str(step),
                  PATH="%s:%s" % (shims, os.environ["PATH"]))
    if done.returncode == -signal.SIGKILL:
        return True
    assert done.returncode == 0, done.stderr
    return False


def copies(site, folder):
    """Give the number and a fresh copy of an authority, without end."""
    step = 0
    while True:
        step += 1
        where = folder / ("copy%d" % step)
        if site is not None:
            shutil.copytree(site, where, symlinks=True)
        yield step, where


@pytest.mark.parametrize("words", [
    ["client", "bob"], ["renew", "alice"], ["revoke", "alice"], ["crl"],
], ids=lambda words: words[0])
@pytest.mark.long
def test_killed_at_every_step(site, tmp_path, words):
    good(site, "client", "alice")
    good(site, "crl")
    old = check_whole(site)
    for step, where in copies(site, tmp_path):
        if not kill_at(step, tmp_path, where, words):
            break
        good(where, "list")
        assert check_whole(where)[:len(old)] == old
        row = next(row for row in table(where) if row[1] == "alice")
        listed = ("Serial Number: " + row[0]).encode() in run(
            "openssl", "crl", "-in", where / "crl.pem", "-noout", "-text")
        assert listed == (row[3] == "revoked")
        done = words[0] == "client" and len(check_whole(where)) > len(old)
        assert ais_ca(where, *words).returncode == (done or listed)
        check_whole(where)
        shutil.rmtree(where)
    assert step > 8


@pytest.mark.long
def test_init_killed_at_every_step(tmp_path):
    for step, where in copies(None, tmp_path):
        if not kill_at(step, tmp_path, where, ["init"]):
            break
        made = (where / "ca.pem").exists()
        assert ais_ca(where, "init").returncode == (1 if made else 0)
        good(where, "client", "alice")
        assert len(check_whole(where)) == 2
    assert step > 8


def test_killed_alone_at_any_moment(site):
    """The shell is killed and its openssl lives on for a while."""
    began = time.monotonic()
    good(site, "client", "alice")
    took = time.monotonic() - began
    known = set(check_whole(site))
    for turn in range(30):
        with subprocess.Popen(["sh", AIS_CA, "-q", "-d", str(site), "renew",
                               "alice"], env=environment(),
                              stderr=subprocess.DEVNULL) as one:
            try:
                one.wait(took * turn / 30)
            except subprocess.TimeoutExpired:
                one.kill()
        good(site, "list")
        now = set(check_whole(site))
        assert known <= now
        known = now
    good(site, "renew", "alice")
    check_whole(site)


def test_stopped_by_a_signal_it_cleans_up(site, tmp_path):
    stub = tmp_path / "bin" / "openssl"
    stub.parent.mkdir()
    # In the midst of a change, and run by ais-ca itself, not by a subshell.
    stub.write_text("#!/bin/sh\n[ \"$1\" != req ] || kill -TERM %s\n"
                    "exec %s \"$@\"\n"
                    % ("$(ps -o sid= -p $$)", shutil.which("openssl")))
    stub.chmod(0o755)
    done = ais_ca(site, "client", "alice",
                  PATH="%s:%s" % (stub.parent, os.environ["PATH"]))
    assert done.returncode == 143
    assert not os.path.exists(site / "work")
    assert len(check_whole(site)) == 1


# ---- the helper, the script and the manual -----------------------------

def test_pki(tmp_path):
    site = Authority(tmp_path / "ca")
    assert Authority(tmp_path / "ca").client("alice").ca == site.ca
    server = site.server()
    assert verifies(site.ca, server.cert, "-purpose",
                    "sslserver").returncode == 0
    for how, reason in (
            ({"start": -2 * DAY, "end": -DAY}, "expired"),
            ({"start": DAY, "end": 2 * DAY}, "not yet valid"),
            ({"purpose": "server"}, "purpose"),
            ({"purpose": "email"}, "purpose"),
            ({"usage": "keyAgreement"}, "")):
        pair = site.make("alice", **how)
        check_pair(pair.cert, pair.key)
        done = verifies(site.ca, pair.cert, "-purpose", "sslclient")
        assert reason in done.stderr
        assert (done.returncode == 0) == (reason == "")
    for name in ("a\nb", "a\x1b[2Jb", b"a\0b", b"\xff\xfe", "zo\u00eb",
                 "x" * 60 + " y"):
        pair = site.make(name, sans=["URI:urn:x:y", "email:a@b.example"])
        assert verifies(site.ca, pair.cert).returncode == 0
        check_pair(pair.cert, pair.key)
    assert "(1024 bit)" in text_of(site.make("weak", key="rsa1024").cert)
    assert "ecdsa-with-SHA1" in text_of(site.make("old", digest="sha1").cert)
    other = Authority(tmp_path / "other").client("alice")
    assert verifies(site.ca, other.cert).returncode != 0
    loner = self_signed(tmp_path, "alice")
    assert "self-signed" in verifies(site.ca, loner.cert).stderr
    leaf = root(tmp_path).intermediate("Branch").make("leaf")
    assert verifies(leaf.ca, leaf.cert, "-untrusted",
                    leaf.cert).returncode == 0
    alice = site.make("alice")
    assert alice._replace(key=server.key).cert == alice.cert
    site.revoke(server)
    assert os.path.exists(server.cert) and os.path.exists(site.crl())


def test_the_script_is_plain_sh():
    if not shutil.which("shellcheck"):
        pytest.skip("there is no shellcheck")
    done = subprocess.run(["shellcheck", "-s", "sh", "-S", "warning", AIS_CA],
                          capture_output=True, text=True)
    assert done.stdout + done.stderr == ""


def test_the_manual_is_sound():
    if not shutil.which("mandoc"):
        pytest.skip("there is no mandoc")
    done = subprocess.run(["mandoc", "-T", "lint", PAGE],
                          capture_output=True, text=True)
    assert [line for line in done.stdout.splitlines()
            if "referenced manual not found" not in line and
            "operating system explicitly specified" not in line] == []


def test_the_examples_of_the_manual_work(tmp_path):
    with open(PAGE, encoding="ascii") as file:
        examples = file.read().split(".Sh EXAMPLES")[1]
    commands = re.findall(r"^[#$] ((?:ais-ca|openssl) .*)$", examples, re.M)
    assert len(commands) > 5
    for command in commands:
        words = command.replace("--owner aisd ", "").split()
        if words[0] == "ais-ca":
            words[:1] = "sh", AIS_CA
        done = subprocess.run(words, cwd=tmp_path, text=True,
                              env=environment(AIS_CA_DIR=str(tmp_path / "ca")),
                              capture_output=True)
        assert done.returncode == 0, done.stderr


# Ways around the guard of places.


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, whose "
                                "files others could have changed")


@needs_root
def test_a_name_with_a_newline(site, trusted_path):
    """What is checked is what is used, though a shell drops the last newline
    of what it reads."""
    theirs = trusted_path / "theirs"
    theirs.mkdir(mode=0o700)
    shutil.chown(theirs, "nobody")
    (trusted_path / "p").mkdir(mode=0o700)
    trap = trusted_path / "p\n"
    trap.mkdir()
    shutil.chown(trap, "nobody")
    (theirs / "out").symlink_to(trap)
    assert "exchange files in" in bad(site, "client", "bob", "--out",
                                      str(theirs / "out"))
    assert not list(trap.iterdir())


@needs_root
def test_a_way_through_a_link(site, trusted_path):
    """".." after a link is where the system says, and not where the shell
    does."""
    (trusted_path / "h/sub").mkdir(parents=True)
    (trusted_path / "h/target").mkdir()
    (trusted_path / "target").mkdir()
    shutil.chown(trusted_path / "h", "nobody")
    (trusted_path / "lnk").symlink_to(trusted_path / "h/sub")
    assert "exchange files in" in bad(
        site, "client", "bob", "--out", f"{trusted_path}/lnk/../target")
    assert not list((trusted_path / "h/target").iterdir())


@needs_root
def test_an_access_control_list(site, trusted_path):
    """It lets somebody write whom the mode does not show."""
    if not shutil.which("setfacl"):
        pytest.skip("there is no setfacl")
    out = trusted_path / "acl"
    out.mkdir()
    if subprocess.run(["setfacl", "-m", "u:nobody:rwx", out],
                      capture_output=True, check=False).returncode != 0:
        pytest.skip("there are no access control lists here")
    assert "exchange files in" in bad(site, "client", "bob", "--out", str(out))


@needs_root
@pytest.mark.parametrize("how", ["mode", "owner", "link"])
def test_deliver_of_another(site, trusted_path, how):
    program = site / "deliver"
    ran = trusted_path / "ran"
    text = f"#!/bin/sh\n: >{ran}\n"
    if how == "link":
        theirs = trusted_path / "theirs"
        theirs.mkdir()
        (theirs / "d").write_text(text)
        (theirs / "d").chmod(0o755)
        shutil.chown(theirs, "nobody")
        program.symlink_to(theirs / "d")
    else:
        program.write_text(text)
        program.chmod(0o777 if how == "mode" else 0o755)
    if how == "owner":
        shutil.chown(program, "nobody")
    assert "other users can change the program" in bad(site, "crl")
    assert not ran.exists()
