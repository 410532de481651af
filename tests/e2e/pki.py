# SPDX-License-Identifier: ISC
"""Certificates for the tests.

Authority is a real authority, made and used by ais-ca; its server() and
client() give certificates as a site would have them.  Its make(), inherited
from Signer, gives those that ais-ca refuses to make: expired, for the wrong
purpose, with a weak key, with a subject full of odd bytes.

    site = Authority(tmp_path / "ca")
    server = site.server("localhost")           # a Pair: .cert .key .ca
    alice = site.client("alice")
    late = site.make("alice", start=-2 * DAY, end=-DAY)
    stranger = Authority(tmp_path / "other").client("alice")
    loner = self_signed(tmp_path, "alice")
    below = site_root.intermediate("Branch").make("alice")
    mixed = alice._replace(key=server.key)
    site.revoke(alice)
    site.crl()                                  # the path of the list
"""

import base64
import os
import re
import subprocess
import tempfile
import time
from typing import NamedTuple

SRCDIR = os.environ.get("AIS_SRCDIR") or os.path.abspath(
    os.path.join(os.path.dirname(__file__), "..", ".."))
AIS_CA = os.path.join(SRCDIR, "certs", "ais-ca")
DAY = 86400

LOOPBACK = ("DNS:localhost", "IP:127.0.0.1", "IP:::1")
PURPOSES = {
    "server": "serverAuth",
    "client": "clientAuth",
    "both": "serverAuth, clientAuth",
    "email": "emailProtection",
    None: "",
}
KEYS = {
    "p256": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "p384": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
    "ed25519": ["-newkey", "ed25519"],
    "rsa1024": ["-newkey", "rsa:1024"],
    "rsa2048": ["-newkey", "rsa:2048"],
}


class Pair(NamedTuple):
    """A certificate (with its chain, if any), its key and its root."""
    cert: str
    key: str
    ca: str
    name: object = ""
    serial: str = ""


def environment(**more):
    """The environment without what would steer ais-ca or openssl."""
    env = {name: value for name, value in os.environ.items()
           if not name.startswith(("AIS_CA_", "OPENSSL_"))}
    env.update(SSL_CERT_FILE="/dev/null", SSL_CERT_DIR="/dev/null", **more)
    return env


def run(*argv, data=None, cwd=None):
    """Run a command that has to succeed; return its standard output."""
    done = subprocess.run([str(word) for word in argv], input=data or b"",
                          capture_output=True, env=environment(), cwd=cwd)
    if done.returncode != 0:
        raise RuntimeError("%r: %s" % (argv, done.stderr.decode("utf-8",
                                                                "replace")))
    return done.stdout


class Signer:
    """An authority that signs whatever it is asked to."""

    def __init__(self, work, cert, key, root=None, chain=""):
        """Sign with "cert" and "key"; put what is made below "work".  For an
        intermediate authority "root" is the file to trust and "chain" the
        text to append to each certificate."""
        self.work, self.cert = str(work), os.path.abspath(cert)
        self.key = os.path.abspath(key)
        self.ca = os.path.abspath(root or cert)
        self.chain = chain

    def make(self, name, purpose="client", **how):
        """Make a Pair.  "name", the subject's CN, is text or bytes and may
        hold anything, a NUL or broken UTF-8 too.  See _certify for "how"."""
        return _certify(self.work, name, purpose, issuer=self, **how)

    def intermediate(self, name, **how):
        """Return the Signer of an authority below this one."""
        pair = self.make(name, None, authority=True, **how)
        with open(pair.cert, encoding="ascii") as file:
            chain = file.read()
        return Signer(self.work, pair.cert, pair.key, self.ca, chain)


class Authority(Signer):
    """An authority kept by ais-ca in "path", made if it is not there."""

    def __init__(self, path, name="AIS_CA", algorithm="p256", **how):
        self.path, self.name = os.path.abspath(path), name
        super().__init__(self.path + ".made",
                         os.path.join(self.path, "ca.pem"),
                         os.path.join(self.path, "private", "ca.key"))
        os.makedirs(self.work, exist_ok=True)
        if not os.path.exists(self.cert):
            self.run("init", name=name, algorithm=algorithm, **how)

    def run(self, *words, **options):
        """Run ais-ca, with an option --KEY VALUE for each keyword."""
        argv = ["sh", AIS_CA, "-q", "-d", self.path]
        for option, value in options.items():
            argv += ["--" + option.replace("_", "-"), value]
        return run(*argv, "--", *words)

    def server(self, name="localhost", *alts, **options):
        """A server's Pair; its files stay there when it is revoked."""
        self.run("server", name, *alts, **options)
        return self._live("server", name)

    def client(self, name, *alts, **options):
        """A client's Pair; its files stay there when it is revoked."""
        self.run("client", name, *alts, **options)
        return self._live("client", name)

    def renew(self, pair, **options):
        """The Pair that takes the place of "pair", which stays valid."""
        purpose = os.path.basename(os.path.dirname(
            os.path.dirname(pair.cert)))
        self.run("renew", pair.serial, **options)
        return self._live(purpose, pair.name)

    def revoke(self, what, **options):
        """Revoke a Pair, or all of a name; this writes crl.pem too."""
        self.run("revoke", getattr(what, "serial", what), **options)
        return os.path.join(self.path, "crl.pem")

    def crl(self, **options):
        """Write the list of revoked certificates; return its path."""
        self.run("crl", **options)
        return os.path.join(self.path, "crl.pem")

    def _live(self, purpose, name):
        where = os.path.realpath(os.path.join(self.path, purpose, name))
        return Pair(os.path.join(where, "cert.pem"),
                    os.path.join(where, "key.pem"), self.ca, name,
                    os.path.basename(where))


def self_signed(work, name, purpose="client", **how):
    """A Pair whose certificate is its own authority."""
    return _certify(str(work), name, purpose, issuer=None, **how)


def root(work, name="AIS_CA", **how):
    """A Signer that, unlike ais-ca's, may have authorities below it."""
    pair = self_signed(work, name, None, authority=True, **how)
    return Signer(work, pair.cert, pair.key)


def _certify(work, name, purpose, issuer, *, sans=None, start=-300,
             end=30 * DAY, key="p256", digest="sha256",
             usage="digitalSignature", authority=False, more=()):
    """Make a key and a certificate.

    purpose   a key of PURPOSES
    sans      like "DNS:a.example", "URI:urn:x"; by default a server's are
              LOOPBACK and there are none for others
    start     validity in seconds from now, negative for the past
    end
    key       a key of KEYS
    digest    for the signature: "sha256", "sha1"
    usage     keyUsage, "" for none
    authority whether it may sign others
    more      further lines of openssl's section of extensions
    """
    os.makedirs(work, exist_ok=True)
    here = tempfile.mkdtemp(dir=os.path.abspath(work))
    raw = name if isinstance(name, bytes) else name.encode()
    plain = re.fullmatch(rb"[A-Za-z0-9._@-]{1,64}", raw)
    subject = raw.decode() if plain else "Q" * len(raw)
    if sans is None:
        sans = LOOPBACK if purpose in ("server", "both") else ()
    if authority:
        usage = "keyCertSign, cRLSign"
    _write_config(here, subject, purpose, sans, usage, authority, more)

    config = os.path.join(here, "openssl.cnf")
    request = os.path.join(here, "request.pem")
    pair = Pair(os.path.join(here, "cert.pem"), os.path.join(here, "key.pem"),
                issuer.ca if issuer else os.path.join(here, "cert.pem"), name)
    run("openssl", "req", "-config", config, "-new", "-noenc", *KEYS[key],
        "-keyout", pair.key, "-out", request)
    signer = (["-cert", issuer.cert, "-keyfile", issuer.key] if issuer
              else ["-selfsign", "-keyfile", pair.key])
    run("openssl", "ca", "-config", config, "-batch", "-notext",
        "-extensions", "made", "-md", digest, *signer,
        "-startdate", _date(start), "-enddate", _date(end),
        "-in", request, "-out", pair.cert, cwd=here)
    serial, = (entry[:-4] for entry in os.listdir(os.path.join(here, "new")))

    if not plain:
        _put_subject(pair.cert, subject.encode(), raw,
                     issuer.key if issuer else pair.key)
    if issuer and issuer.chain:
        with open(pair.cert, "a", encoding="ascii") as file:
            file.write(issuer.chain)
    return pair._replace(serial=serial)


def _date(seconds):
    return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + seconds))


def _write_config(here, subject, purpose, sans, usage, authority, more):
    os.mkdir(os.path.join(here, "new"))
    open(os.path.join(here, "index.txt"), "w", encoding="ascii").close()
    lines = [
        "[ca]", "default_ca = default",
        "[default]", "database = index.txt",
        "new_certs_dir = new", "rand_serial = yes", "policy = policy",
        "[policy]", "commonName = supplied",
        "[req]", "distinguished_name = subject", "prompt = no",
        "string_mask = utf8only",
        "[subject]", "CN = " + subject,
        "[made]",
        "basicConstraints = critical, CA:" + str(authority).upper(),
        "subjectKeyIdentifier = hash",
        "authorityKeyIdentifier = keyid",
    ]
    lines += more
    if usage:
        lines.append("keyUsage = critical, " + usage)
    if PURPOSES[purpose]:
        lines.append("extendedKeyUsage = " + PURPOSES[purpose])
    if sans:
        lines += ["subjectAltName = @sans", "[sans]"]
    for number, san in enumerate(sans):
        kind, value = san.split(":", 1)
        lines.append("%s.%d = %s" % (kind, number, value))
    with open(os.path.join(here, "openssl.cnf"), "w",
              encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def _put_subject(path, old, new, key):
    """In the certificate "path" put "new" in the place of the equally long
    "old", and sign it again (with SHA-256 and an EC or RSA key).  What is not
    UTF-8 goes in as a T61String: OpenSSL loads no broken UTF8String."""
    with open(path, encoding="ascii") as file:
        text = "".join(file.read().split("-----")[2].split())
    signed, algorithm, _ = _der_parts(base64.b64decode(text))
    head, found, tail = signed.rpartition(
        b"\x0c" + _der_length(len(old)) + old)
    assert found, "the subject is not where it should be"
    try:
        new.decode()
        tag = b"\x0c"
    except UnicodeDecodeError:
        tag = b"\x14"
    signed = head + tag + _der_length(len(new)) + new + tail
    signature = run("openssl", "dgst", "-sha256", "-sign", key, data=signed)
    body = signed + algorithm + b"\x03" + _der_length(
        len(signature) + 1) + b"\0" + signature
    der = b"\x30" + _der_length(len(body)) + body
    with open(path, "w", encoding="ascii") as file:
        file.write("-----BEGIN CERTIFICATE-----\n%s-----END CERTIFICATE-----\n"
                   % base64.encodebytes(der).decode())


def revocations(signer, path, serials=(), start=-300, end=DAY, extensions=b"",
                entry=b""):
    """Write the revocation list of "signer", whose key is of EC, to "path".
    "serials" are numbers, "start" and "end" seconds from now (no "end": the
    list does not say), "extensions" DER for the list and "entry" for each
    entry.  Fast enough for a million."""
    with open(signer.cert, encoding="ascii") as file:
        cert = base64.b64decode("".join(file.read().split("-----")[2].split()))
    name = _der_parts(_der_parts(cert)[0])[5]
    when = _der(0x18, _date(start).encode())
    entries = b"".join(
        _der(0x30, _der(2, n.to_bytes(n.bit_length() // 8 + 1, "big")) + when
             + entry) for n in serials)
    algorithm = _der(0x30, bytes.fromhex("06082a8648ce3d040302"))
    signed = _der(0x30, b"\2\1\1" + algorithm + name + when + (
        b"" if end is None else _der(0x18, _date(end).encode())) + (
        _der(0x30, entries) if entries else b"") + (
        _der(0xa0, _der(0x30, extensions)) if extensions else b""))
    signature = run("openssl", "dgst", "-sha256", "-sign", signer.key,
                    data=signed)
    der = _der(0x30, signed + algorithm + _der(3, b"\0" + signature))
    with open(path, "w", encoding="ascii") as file:
        file.write("-----BEGIN X509 CRL-----\n%s-----END X509 CRL-----\n"
                   % base64.encodebytes(der).decode())
    return path


def _der(tag, content):
    return bytes([tag]) + _der_length(len(content)) + content


def _der_length(size):
    if size < 128:
        return bytes([size])
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([0x80 | len(octets)]) + octets


def _der_parts(der):
    """Split a SEQUENCE into the encodings of its parts."""
    def header(data, at):
        size, at = data[at + 1], at + 2
        if size & 0x80:
            octets = size & 0x7f
            size, at = int.from_bytes(data[at:at + octets], "big"), at + octets
        return at, at + size

    at, stop = header(der, 0)
    parts = []
    while at < stop:
        _, end = header(der, at)
        parts.append(der[at:end])
        at = end
    return parts
