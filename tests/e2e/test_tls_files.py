# SPDX-License-Identifier: ISC
"""What the daemon makes of the files that "certificate", "key", "authority"
and "crl" name: whatever stands in their place, and whoever has made them.
"""

import os
import random
import re
import shutil
import subprocess

import pytest

import aisc as client
import pki

NAMES = ("certificate", "key", "authority", "crl")


@pytest.fixture
def copies(authority, localhost, tmp_path):
    """The four files, to be changed."""
    return {name: shutil.copy(source, str(tmp_path / f"{name}.pem"))
            for name, source in zip(NAMES, (
                localhost.cert, localhost.key, authority.ca,
                pki.revocations(authority, tmp_path / "list.pem")))}


def check_config(daemon, *says, status=6, **how):
    """aisd -t ends with "status" and says this; returns what it says."""
    done = subprocess.run([*daemon.words, "-t", "-c", str(daemon.conf)],
                          capture_output=True, timeout=60,
                          stdin=subprocess.DEVNULL, **how)
    text = done.stderr.decode()
    assert done.returncode == status, text
    assert status != 0 or "is good" in text, text
    for part in says:
        assert part in text, text
    return text


# What is no file keeps nobody waiting.

def put_pipe(path):
    os.mkfifo(path, 0o600)


def put_device(path):
    """It never ends."""
    os.symlink("/dev/zero", path)


def put_terminal(path):
    """It never begins."""
    _, other = os.openpty()
    os.symlink(os.ttyname(other), path)


@pytest.mark.parametrize("put", [put_pipe, put_device, put_terminal])
@pytest.mark.parametrize("name", NAMES)
def test_reload_of_what_is_no_file(make_aisd, aisc, copies, name, put):
    """It fails, and says why; clients are served as before."""
    daemon = make_aisd(**copies, watch_interval=0)
    path = copies[name]
    os.rename(path, path + ".good")
    put(path)
    daemon.reload("failed")
    said = daemon.events("config-error")[-1]["msg"]
    # Of a key it may be said first that others can read it.
    assert path in said and ("it is no file" in said or
                             "is open to every user" in said)
    assert aisc.run(daemon.port, "true").returncode == 0
    os.rename(path + ".good", path)
    daemon.reload()


def test_pipe_in_a_directory_of_lists(make_aisd, aisc, copies, tmp_path):
    lists = tmp_path / "lists"
    lists.mkdir()
    shutil.move(copies["crl"], lists / "a.pem")
    daemon = make_aisd(**{**copies, "crl": lists}, watch_interval=0)
    os.mkfifo(lists / "b.pem")
    daemon.reload("failed")
    assert f"{lists}/b.pem: it is no file" in \
        daemon.events("config-error")[-1]["msg"]
    assert aisc.run(daemon.port, "true").returncode == 0


@pytest.mark.parametrize("name", NAMES[:3])
def test_file_that_is_too_long(make_aisd, copies, name):
    os.truncate(copies[name], 4 << 20 | 1)
    check_config(make_aisd(start=False, **copies), f"{name}: cannot read the "
                 f"{name} {copies[name]}: it is longer than 4 MiB")


def test_start_reads_pipes(make_aisd, aisc, copies):
    """As a shell's <(...) makes them; a reload cannot."""
    daemon = make_aisd(start=False, **copies, watch_interval=0)
    words = daemon.words
    pipes = {name: number for number, name in enumerate(NAMES[:3], 7)}
    daemon.words = ["bash", "-c", 'exec "$0" "$@" ' + " ".join(
        f"{number}< <(cat {copies[name]})"
        for name, number in pipes.items()), *words]
    daemon.configure(**{name: f"/dev/fd/{n}" for name, n in pipes.items()})
    daemon.start()
    daemon.words = words
    assert aisc.run(daemon.port, "true").returncode == 0
    daemon.reload("failed")
    assert "pipes are read by a start alone" in \
        daemon.events("config-error")[-1]["msg"]
    assert aisc.run(daemon.port, "true").returncode == 0
    daemon.configure(**copies)
    daemon.reload()


def test_aisc_reads_pipes(aisd, aisc, alice):
    line = aisc.words(aisd.port, "echo", "served", pair=alice._replace(
        cert="@cert@", key="@key@", ca="@ca@"))
    text = " ".join(line)
    for word, path in (("@cert@", alice.cert), ("@key@", alice.key),
                       ("@ca@", alice.ca)):
        text = text.replace(word, f"<(cat {path})")
    done = subprocess.run(["bash", "-c", text], capture_output=True,
                          timeout=60, env=aisc.environment())
    assert (done.returncode, done.stdout) == (0, b"served\n"), done.stderr


# Keys and names.

# How openssl makes the keys of which TLS may have a signature, or not.
KEYS = {
    **{curve: ["-newkey", "ec", "-pkeyopt", f"ec_paramgen_curve:{curve}"]
       for curve in ("secp224r1", "secp256k1", "P-256", "P-521",
                     "brainpoolP256r1", "brainpoolP384t1", "sect283k1")},
    "ed448": ["-newkey", "ed448"],
    "rsa-pss": ["-newkey", "rsa-pss", "-pkeyopt", "rsa_keygen_bits:2048"],
}


def certified(authority, directory, name, key, *extensions):
    """A server's certificate whose key openssl makes by the words "key"."""
    files = [str(directory / f"{name}.{end}")
             for end in ("key", "csr", "pem", "cnf")]
    private, request, cert, config = files
    with open(config, "w", encoding="ascii") as file:
        file.write("[req]\ndistinguished_name = n\n[n]\n[made]\n" + "\n".join((
            "keyUsage = digitalSignature", "extendedKeyUsage = serverAuth",
            *extensions)))
    pki.run("openssl", "req", "-new", "-noenc", *key, "-subj", f"/CN={name}",
            "-keyout", private, "-out", request, "-config", config)
    pki.run("openssl", "x509", "-req", "-in", request, "-CA", authority.cert,
            "-CAkey", authority.key, "-days", "9", "-out", cert,
            "-extfile", config, "-extensions", "made")
    return pki.Pair(cert, private, authority.ca)


def openssl_can(pair):
    """Do "openssl s_server" and "openssl s_client" shake hands by it?"""
    with subprocess.Popen(
            ["openssl", "s_server", "-accept", "127.0.0.1:0", "-cert",
             pair.cert, "-key", pair.key, "-tls1_3", "-naccept", "1"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env=pki.environment()) as server:
        try:
            found = None
            while not found:
                line = server.stdout.readline()
                if not line:    # It refuses the key from the start.
                    return False
                found = re.match(rb"ACCEPT .*:(\d+)", line)
            done = subprocess.run(
                ["openssl", "s_client", "-connect", b"127.0.0.1:" + found[1],
                 "-CAfile", pair.ca, "-verify_return_error", "-tls1_3"],
                stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
                env=pki.environment())
            return done.returncode == 0
        finally:
            server.kill()


@pytest.mark.parametrize("tls12", [False, True], ids=["tls1.3", "tls1.2"])
@pytest.mark.parametrize("key", KEYS)
def test_key_that_clients_can_take(make_aisd, authority, tmp_path, key, tls12):
    """aisd -t says of a key what openssl says of it."""
    pair = certified(authority, tmp_path, "localhost", KEYS[key],
                     "subjectAltName = DNS:localhost")
    daemon = make_aisd(start=False, pair=pair, allow_tls12=tls12)
    if openssl_can(pair):
        check_config(daemon, status=0)
    else:
        check_config(daemon, "aisd.conf:3: certificate: ", key if key in
                     ("secp256k1", "brainpoolP256r1") else "", "make ")


@pytest.mark.parametrize("key", ["secp256k1", "brainpoolP256r1"])
def test_key_that_no_client_can_take(make_aisd, authority, tmp_path, key):
    """It is found at a start, and at a reload the old one stays."""
    pair = certified(authority, tmp_path, "localhost", KEYS[key],
                     "subjectAltName = DNS:localhost")
    daemon = make_aisd()
    daemon.configure(certificate=pair.cert, key=pair.key)
    daemon.reload("failed")
    assert f"(EC on {key}), or OpenSSL's configuration /" in \
        daemon.events("config-error")[-1]["msg"]
    daemon.stop()
    done = subprocess.run([*daemon.words, "-c", str(daemon.conf)],
                          capture_output=True, timeout=60)
    assert done.returncode == 6
    assert b"TLS has no signature by keys of its kind" in done.stderr


@pytest.mark.parametrize("names", [
    "", "subjectAltName = email:root@localhost",
    "subjectAltName = URI:https://localhost", "subjectAltName = RID:1.2.3"])
def test_certificate_for_no_host(make_aisd, authority, tmp_path, names):
    pair = certified(authority, tmp_path, "localhost", KEYS["P-256"], names)
    check_config(make_aisd(start=False, pair=pair), '"CN=localhost" is for '
                 "no host", 'make one with "ais-ca server NAME"')


# OpenSSL's own configuration.

CONFIGURATIONS = {
    "no provider": ("providers = p\n[p]\nlegacy = l\n[l]\nactivate = 1\n",
                    "OpenSSL cannot do TLS on this machine: library has no "
                    "ciphers; look at the providers in its configuration "),
    "no module": ("providers = p\nalg_section = a\n[p]\nbase = b\n[b]\n"
                  "activate = 1\n[a]\ndefault_properties = fips=yes\n",
                  "OpenSSL cannot do TLS on this machine: "),
    "TLS 1.2": ("ssl_conf = s\n[s]\nsystem_default = d\n[d]\n"
                "MaxProtocol = TLSv1.2\n",
                "TLS 1.3 is switched off on this machine, by MaxProtocol or "
                "Protocol in OpenSSL's configuration "),
    "no TLS 1.3": ("ssl_conf = s\n[s]\nsystem_default = d\n[d]\n"
                   "Protocol = -TLSv1.3\n", "TLS 1.3 is switched off"),
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_configuration_of_openssl(make_aisd, aisc, aisd, tmp_path, name):
    """Neither a file of ours nor the other side is to blame."""
    lines, says = CONFIGURATIONS[name]
    path = tmp_path / "openssl.cnf"
    path.write_text("openssl_conf = o\n[o]\n" + lines)
    env = {"OPENSSL_CONF": str(path)}
    text = check_config(make_aisd(start=False), says, str(path),
                        env={**os.environ, **env})
    assert text.startswith("aisd: " + says), text
    done = aisc.run(aisd.port, "true", env=env)
    assert (done.returncode, client.said(done.stderr)) == (255, "config")
    assert done.stderr.decode().startswith("aisc: config: " + says)
    assert str(path) in done.stderr.decode()


@pytest.mark.parametrize("lines, status", [
    ("MinProtocol = TLSv1.2\nCipherString = DEFAULT@SECLEVEL=2", 0),
    ("Groups = P-521\nCiphersuites = TLS_CHACHA20_POLY1305_SHA256", 0),
    ('Ciphersuites = ""', 6),
    ("SignatureAlgorithms = RSA+SHA256", 6)])
def test_handshake_under_a_policy(make_aisd, tmp_path, lines, status):
    path = tmp_path / "openssl.cnf"
    path.write_text("openssl_conf = o\n[o]\nssl_conf = s\n[s]\n"
                    "system_default = d\n[d]\n" + lines + "\n")
    check_config(make_aisd(start=False), "no client can" if status else "",
                 status=status,
                 env={**os.environ, "OPENSSL_CONF": str(path)})


# Lists.

class Site:
    """An authority as "openssl ca" has one, and its lists."""

    def __init__(self, directory):
        self.directory = directory
        self.signer = pki.root(str(directory / "site"), "Site")
        self.index = directory / "index.txt"
        self.index.touch()
        (directory / "crlnumber").write_text("01\n")
        self.server = self.signer.make("localhost", "server")
        self.alice = self.signer.make("alice")

    def client(self, name, serial, more=""):
        """Alice's key under another name and serial number."""
        made, config = self.directory / f"{name}.pem", \
            self.directory / "client.cnf"
        config.write_text("extendedKeyUsage = clientAuth\n"
                          "keyUsage = digitalSignature\n" + more)
        request = pki.run("openssl", "req", "-new", "-key", self.alice.key,
                          "-subj", f"/CN={name}")
        pki.run("openssl", "x509", "-req", "-CA", self.signer.cert, "-CAkey",
                self.signer.key, "-set_serial", hex(serial), "-days", "9",
                "-extfile", config, "-out", made, data=request)
        return self.alice._replace(cert=str(made))

    def point_server(self, more):
        """A server's certificate with more extensions."""
        return self.signer.make("localhost", "server", more=[more])

    def revoke(self, *serials):
        with open(self.index, "a", encoding="ascii") as file:
            for n in serials:
                digits = f"{n:X}"
                file.write("R\t301231235959Z\t251231235959Z\t"
                           f"{digits.zfill(len(digits) + len(digits) % 2)}"
                           f"\tunknown\t/CN=c{digits}\n")

    def list(self, *extensions, sections="", name="list.pem"):
        """The list as openssl makes it, with these extensions."""
        config = self.directory / "ca.cnf"
        config.write_text(
            "[ca]\ndefault_ca = d\n[d]\ndatabase = index.txt\n"
            "crlnumber = crlnumber\ndefault_md = sha256\n"
            "default_crl_days = 9\ncrl_extensions = e\n[e]\n"
            "authorityKeyIdentifier = keyid\n" + "\n".join(extensions) +
            "\n" + sections)
        made = self.directory / name
        pki.run("openssl", "ca", "-config", config, "-gencrl", "-cert",
                self.signer.cert, "-keyfile", self.signer.key, "-out", made,
                cwd=self.directory)
        return str(made)

    def check(self, crl, aisc, daemon, bob, slowness=1):
        """The list is in force: it lets Alice in, and Bob not."""
        daemon.configure(crl=crl)
        daemon.reload()
        assert aisc.run(daemon.port, "true", pair=self.alice).returncode == 0
        done = aisc.run(daemon.port, "true", pair=bob)
        assert done.returncode == 255 and b"has been revoked" in done.stderr


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def test_serial_numbers_of_any_length(site, make_aisd, aisc):
    """Whoever is on the list is kept out, and nobody else: but for those
    whose number cannot be looked up, who are kept out in any case."""
    random.seed(11)
    sizes = [*random.sample(range(1, 41), 12), 20, 21, 32, 64, 65, 80]
    # With the first bit set or not; some of the same beginning.
    numbers = [random.getrandbits(8 * size - 1) | 1 << (8 * size - 2) |
               (n % 2) << (8 * size - 1) for n, size in enumerate(sizes)]
    numbers += [numbers[3] << 8, numbers[3] + 1]
    listed = set(numbers[::3])
    site.revoke(*listed)
    daemon = make_aisd(pair=site.server, crl=site.list())
    for n, number in enumerate(numbers):
        done = aisc.run(daemon.port, "true",
                        pair=site.client(f"c{n}", number))
        too_long = number.bit_length() // 8 + 1 > 64
        good = number not in listed and not too_long
        assert done.returncode == (0 if good else 255), (number, done.stderr)
        if not good:
            event = daemon.wait_event("handshake-failed", peer=f"c{n}")
            assert ("serial number of more than 64 bytes" if too_long else
                    "has been revoked") in event["reason"]
            assert too_long or int(event["serial"], 16) == number


# Extensions of lists that cannot be judged alone, and what aisd says of them.
PARTS = {
    "reasons": (["issuingDistributionPoint = {}@p"],
                "[p]\nonlysomereasons = keyCompromise\n",
                "it is only for some reasons of revocation, by its "),
    "indirect": (["issuingDistributionPoint = {}@p"],
                 "[p]\nindirectCRL = TRUE\n",
                 "it is only of several issuers (indirect), by its "),
    "attributes": (["issuingDistributionPoint = {}@p"],
                   "[p]\nonlyAA = TRUE\n",
                   "it is only for attribute certificates, by its "),
    "relative": (["issuingDistributionPoint = {}@p"],
                 "[p]\nrelativename = r\n[r]\nCN = one\n",
                 "it is only for a distribution point without a full name, "),
    "malformed": (["2.5.29.28 = {}ASN1:INTEGER:1"], "",
                  "it is only for what cannot be read, by its "),
    "delta": (["2.5.29.27 = {}ASN1:INTEGER:1"], "",
              "it has only the changes since another list (a delta list)"),
}


@pytest.mark.parametrize("critical", ["critical, ", ""],
                         ids=["critical", "plain"])
@pytest.mark.parametrize("kind", PARTS)
def test_list_that_is_not_whole(site, make_aisd, kind, critical):
    """It is not taken for one, whether or not it says so as it should."""
    extensions, sections, says = PARTS[kind]
    crl = site.list(*(e.format(critical) for e in extensions),
                    sections=sections)
    daemon = make_aisd(start=False, pair=site.server, crl=crl)
    check_config(daemon, f": crl: cannot use the revocation list {crl}: "
                 f"{says}")


POINT = "URI:http://pki.example/1.crl"
OTHER = "URI:http://pki.example/2.crl"
# The lists' issuingDistributionPoint; the certificate's distribution point;
# whether that certificate is judged by the list.
SCOPES = {
    "users": ("onlyuser = TRUE\n", "", True),
    "authorities": ("onlyCA = TRUE\n", "", False),
    "point": (f"fullname = {POINT}\n", POINT, True),
    "one of two": (f"fullname = {OTHER}, {POINT}\n", POINT, True),
    "point, users": (f"fullname = {POINT}\nonlyuser = TRUE\n", POINT, True),
    "no point": (f"fullname = {POINT}\n", "", True),
    "other point": (f"fullname = {POINT}\n", OTHER, False),
}


@pytest.mark.parametrize("critical", ["critical, ", ""],
                         ids=["critical", "plain"])
@pytest.mark.parametrize("kind", SCOPES)
def test_list_with_a_scope(site, make_aisd, aisc, kind, critical):
    """As step-ca and AD CS make them.  It counts for the certificates that it
    covers; others are on no list, and so are not accepted."""
    section, point, covered = SCOPES[kind]
    points = f"crlDistributionPoints = {point}\n" if point else ""
    site.server = site.point_server(points)
    alice = site.client("alice", 0xa11ce, points)
    bob = site.client("bob", 0xb0b, points)
    site.revoke(0xb0b)
    crl = site.list(f"issuingDistributionPoint = {critical}@p",
                    sections="[p]\n" + section)
    daemon = make_aisd(start=False, pair=site.server, crl=crl)
    if not covered:
        check_config(daemon, 'cannot be checked for revocation: no list of '
                     '"CN=Site" in the files of "crl" is for certificates '
                     "like it, by their issuingDistributionPoint")
        return
    daemon.start()
    assert aisc.run(daemon.port, "true", pair=alice).returncode == 0
    done = aisc.run(daemon.port, "true", pair=bob)
    assert done.returncode == 255 and b"has been revoked" in done.stderr


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_lists_of_two_distribution_points(site, make_aisd, aisc, tmp_path,
                                          order):
    """Each is for its own certificates; the newer one replaces no other, and
    a certificate that names no point must be on neither."""
    points = {"a": f"crlDistributionPoints = {POINT}\n",
              "b": f"crlDistributionPoints = {OTHER}\n", "none": ""}
    site.server = site.point_server(points["a"])
    numbers = {name: 0xc0 + n for n, name in enumerate(points)}
    made = {}
    for name, point in ("a", POINT), ("b", OTHER):
        site.index.write_text("")
        site.revoke(numbers[name])
        if name == "b":
            site.revoke(numbers["none"])
        made[name] = site.list(
            "issuingDistributionPoint = critical, @p",
            sections=f"[p]\nfullname = {point}\n", name=f"{name}.pem")
    both = tmp_path / "both.pem"
    both.write_text("".join(open(made[name], encoding="ascii").read()
                            for name in order))
    daemon = make_aisd(pair=site.server, crl=both)
    good = site.client("good", 0x600d, points["b"])
    assert aisc.run(daemon.port, "true", pair=good).returncode == 0
    for name, number in numbers.items():
        done = aisc.run(daemon.port, "true",
                        pair=site.client(name, number, points[name]))
        assert b"has been revoked" in done.stderr, name


def test_list_for_users_and_an_authority(make_aisd, aisc, tmp_path):
    """An authority below another one needs a list that is for it."""
    root = pki.root(str(tmp_path / "root"), "Root")
    branch = root.intermediate("Branch")
    users = bytes.fromhex("300f0603551d1c0101ff04053003810101")
    authorities = bytes.fromhex("300f0603551d1c0101ff04053003820101")
    lists = {name: pki.revocations(signer, tmp_path / f"{name}.pem",
                                   extensions=extensions).read_text()
             for name, signer, extensions in (
                 ("root", root, users), ("branch", branch, users),
                 ("authorities", root, authorities))}
    crl = tmp_path / "crl.pem"
    crl.write_text(lists["root"] + lists["branch"])
    daemon = make_aisd(pair=root.make("localhost", "server"), crl=crl)
    alice = branch.make("alice")
    done = aisc.run(daemon.port, "true", pair=alice)
    assert done.returncode == 255
    assert ('"CN=Branch" cannot be checked for revocation: no list of '
            '"CN=Root"' in daemon.wait_event("handshake-failed")["reason"])
    crl.write_text("".join(lists.values()))
    daemon.reload()
    assert aisc.run(daemon.port, "true", pair=alice).returncode == 0


def test_list_with_an_unknown_extension(site, make_aisd):
    daemon = make_aisd(start=False, pair=site.server, crl=site.list(
        "1.2.3.4 = critical, ASN1:NULL"))
    check_config(daemon, "it has the critical extension 1.2.3.4, which AIS "
                 "does not know")
    daemon.configure(crl=site.list("1.2.3.4 = ASN1:NULL"))
    check_config(daemon, status=0)


@pytest.mark.parametrize("entry, says", [
    # certificateIssuer, critical as it has to be, and not.
    ("3012301006" "03551d1d" "0101ff" "0406" "3004a4023000",
     "is for another issuer's certificate"),
    ("300f300d06" "03551d1d" "0406" "3004a4023000",
     "is for another issuer's certificate"),
    # 1.2.3.4, critical.
    ("300e300c06" "032a0304" "0101ff" "0402" "0500",
     "has a critical extension")])
def test_entry_that_is_not_understood(authority, make_aisd, tmp_path, entry,
                                      says):
    """The entry is named, and why."""
    crl = pki.revocations(authority, tmp_path / "list.pem",
                          [0xabcdef, 0x123456], entry=bytes.fromhex(entry))
    daemon = make_aisd(start=False, crl=crl)
    check_config(daemon, "the entry number 1, of the certificate ABCDEF, "
                 + says)


@pytest.mark.parametrize("directory", [False, True])
def test_list_in_der(site, make_aisd, aisc, tmp_path, directory):
    bob = site.client("bob", 0xb0b)
    site.revoke(0xb0b)
    daemon = make_aisd(pair=site.server)
    lists = tmp_path / "lists"
    lists.mkdir()
    pki.run("openssl", "crl", "-in", site.list(), "-outform", "DER", "-out",
            lists / "der.pem")
    site.check(lists if directory else lists / "der.pem", aisc, daemon, bob)
    # One that has been cut, wherever, is none.
    size = os.path.getsize(lists / "der.pem")
    for end in (0, 1, 2, 100, size - 1):
        os.truncate(lists / "der.pem", end)
        daemon.reload("failed")
        assert f"{lists}/der.pem: " in daemon.events("config-error")[-1]["msg"]


needs_certtool = pytest.mark.skipif(not shutil.which("certtool"),
                                    reason="gnutls-bin is not installed")


@needs_certtool
@pytest.mark.parametrize("form", ["pem", "der"])
def test_list_of_gnutls(site, make_aisd, aisc, tmp_path, form):
    """A second implementation makes the list."""
    bob = site.client("bob", 0xb0b0b0b0b0b0)
    template, crl = tmp_path / "template", tmp_path / "gnutls.pem"
    template.write_text("crl_next_update = 9\ncrl_number = 7\n")
    pki.run("certtool", "--generate-crl", "--load-ca-privkey",
            site.signer.key, "--load-ca-certificate", site.signer.cert,
            "--load-certificate", bob.cert, "--template", template,
            "--outfile", crl, *(["--outder"] if form == "der" else []))
    site.check(crl, aisc, make_aisd(pair=site.server), bob)


@needs_certtool
def test_certificates_of_gnutls(make_aisd, aisc, tmp_path):
    """Authority, server and client of a second implementation."""
    def make(name, template, *words):
        paths = [str(tmp_path / f"{name}.{end}")
                 for end in ("key", "pem", "template")]
        with open(paths[2], "w", encoding="ascii") as file:
            file.write(template)
        pki.run("certtool", "--generate-privkey", "--key-type", "ecdsa",
                "--curve", "secp256r1", "--outfile", paths[0])
        pki.run("certtool", *words, "--load-privkey", paths[0], "--template",
                paths[2], "--outfile", paths[1])
        return paths
    key, ca, _ = make("ca", 'cn = "GnuTLS CA"\nca\ncert_signing_key\n'
                      "crl_signing_key\nexpiration_days = 9\n",
                      "--generate-self-signed")
    signed = ["--generate-certificate", "--load-ca-privkey", key,
              "--load-ca-certificate", ca]
    _, server, _ = make("server", 'cn = "s"\ndns_name = "localhost"\n'
                        "tls_www_server\nsigning_key\n", *signed)
    _, client_cert, _ = make("alice", 'cn = "alice"\ntls_www_client\n'
                             "signing_key\n", *signed)
    daemon = make_aisd(pair=pki.Pair(server, str(tmp_path / "server.key"),
                                     ca))
    done = aisc.run(daemon.port, "echo", "hello", pair=pki.Pair(
        client_cert, str(tmp_path / "alice.key"), ca))
    assert (done.returncode, done.stdout) == (0, b"hello\n"), done.stderr


def test_list_in_the_authority(make_aisd, aisc, aisd, copies, alice):
    """As FreeRADIUS and Dovecot have it; it would be of no effect."""
    with open(copies["authority"], "ab") as both, \
            open(copies["crl"], "rb") as one:
        both.write(one.read())
    daemon = make_aisd(start=False, **copies)
    check_config(daemon, ": authority: ", "has a revocation list in it",
                 'name that by "crl"')
    done = aisc.run(aisd.port, "true",
                    pair=alice._replace(ca=copies["authority"]))
    assert (done.returncode, client.said(done.stderr)) == (255, "config")
    assert b"has a revocation list in it" in done.stderr


# What is wrong with a chain.

@pytest.fixture
def root(tmp_path):
    return pki.root(str(tmp_path / "root"), "Root")


def refusal(make_aisd, aisc, root, pair):
    """What the log says of a client that shows this certificate."""
    daemon = make_aisd(pair=root.make("localhost", "server"))
    done = aisc.run(daemon.port, "true", pair=pair)
    assert (done.returncode, client.said(done.stderr)) == (255, "tls")
    event = daemon.wait_event("handshake-failed")
    return event["reason"], event["hint"]


def test_authority_for_another_purpose(make_aisd, aisc, root):
    mail = root.intermediate("Web", more=["extendedKeyUsage = serverAuth"])
    assert refusal(make_aisd, aisc, root, mail.make("alice")) == (
        'the authority "CN=Web" may not issue certificates for clients: its '
        "own has an extendedKeyUsage without clientAuth",
        "make the authority's certificate anew")


def put_alone(pair, path):
    """The same without what stands behind the certificate."""
    with open(pair.cert, encoding="ascii") as file:
        first = file.read().split("-----END")[0]
    path.write_text(first + "-----END CERTIFICATE-----\n")
    return pair._replace(cert=str(path))


def test_intermediate_is_missing(make_aisd, aisc, root, tmp_path):
    """Each side says it of its own file before the other one does."""
    branch = root.intermediate("Branch")
    alice = put_alone(branch.make("alice"), tmp_path / "alice.pem")
    server = put_alone(branch.make("localhost", "server"),
                       tmp_path / "server.pem")
    says = "does not come from the configured authority, and no other " \
        "comes with it"
    hint = "if its issuer is an intermediate authority, add that one's " \
        "certificate to the %s's file, after this one"
    check_config(make_aisd(start=False, pair=server),
                 f"{says}; {hint % 'server'}")
    daemon = make_aisd(pair=branch.make("localhost", "server"))
    done = aisc.run(daemon.port, pair=alice, options=["--check"])
    assert f"{says}; {hint % 'client'}" in \
        (done.stdout + done.stderr).decode()
    # And the other side of it.
    done = aisc.run(daemon.port, "true", pair=alice)
    assert ('does not trust its issuer "CN=Branch"; if that is an '
            "intermediate authority, add its certificate to the file of this "
            "one, after it") in done.stderr.decode()
    event = daemon.wait_event("handshake-failed")
    assert event["reason"].endswith(says) and event["hint"] == hint % "client"
    assert aisc.run(daemon.port, "true",
                    pair=branch.make("alice")).returncode == 0


def test_authority_first_in_the_file(make_aisd, aisc, root, tmp_path):
    branch = root.intermediate("Branch")
    pair = branch.make("localhost", "server")
    with open(pair.cert, encoding="ascii") as file:
        own, between = file.read().split("-----BEGIN")[1:3]
    turned = tmp_path / "turned.pem"
    turned.write_text("-----BEGIN" + between + "-----BEGIN" + own)
    turned = pair._replace(cert=str(turned))
    says = (f"the key {pair.key} belongs to the certificate number 2 of the "
            f'file {turned.cert}, "CN=localhost", and must belong to the '
            "first; put that certificate before those of its authorities")
    check_config(make_aisd(start=False, pair=turned), says)
    done = aisc.run(1, "true", pair=turned)
    assert says in done.stderr.decode()


def test_authority_that_may_sign_no_list(make_aisd, tmp_path):
    key, cert = str(tmp_path / "ca.key"), str(tmp_path / "ca.pem")
    pki.run("openssl", "req", "-x509", "-noenc", *KEYS["P-256"], "-subj",
            "/CN=Root", "-keyout", key, "-out", cert, "-addext",
            "keyUsage = critical, keyCertSign")
    signer = pki.Signer(tmp_path / "made", cert, key)
    crl = pki.revocations(signer, tmp_path / "list.pem")
    check_config(make_aisd(start=False, pair=signer.make(
        "localhost", "server"), crl=crl), 'cannot be checked for revocation: '
        '"CN=Root" may not sign lists, for its own certificate has a '
        "keyUsage without cRLSign; make the authority's certificate anew")


def test_list_of_one_authority_alone(make_aisd, root, tmp_path):
    branch = root.intermediate("Branch")
    crl = pki.revocations(branch, tmp_path / "list.pem")
    check_config(make_aisd(start=False, crl=crl, pair=branch.make(
        "localhost", "server")), 'the certificate "CN=Branch" cannot be '
        'checked for revocation: the files of "crl" have no list that '
        '"CN=Root" has signed; add one')
