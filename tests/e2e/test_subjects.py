# SPDX-License-Identifier: ISC
"""Certificates as other authorities make them: each has a rule that fits."""

import subprocess

import pytest

import pki
import wire

UPN = "otherName:1.3.6.1.4.1.311.20.2.3;UTF8:"

# A subject, alternative names, and keys of a rule that fit it alone.
SHAPES = {
    # AD CS, the template "User": the path in the directory and a UPN.
    "ad-user": ("/DC=com/DC=example/DC=corp/CN=Users/CN=Anna Muster/"
                "emailAddress=anna@example.com",
                UPN + "anna@corp.example.com,email:anna@example.com",
                'upn = "anna@CORP.example.com"; dc = "corp.example.com";'),
    "ad-by-name": ("/DC=com/DC=example/CN=Users/CN=Bert", UPN + "bert@x.com",
                   'cn = "Bert"; dc = "*example.com";'),
    # The template "Computer", and one that takes the subject from the request.
    "ad-computer": ("/CN=WEB01.corp.example.com",
                    "DNS:WEB01.corp.example.com",
                    'dns = "web01.corp.example.com";'),
    "ad-no-subject": ("/", "critical," + UPN + "svc-x@corp.example.com",
                      'upn = "svc-x@*";'),
    # Vault: "ou" and "organization" of the role, as one set each; "user_ids";
    # "other_sans".
    "vault": ("/O=Example/OU=ops+OU=platform/CN=deploy.example.com/UID=deploy",
              "DNS:deploy.example.com", 'ou = "platform"; o = "Example";'),
    "vault-uid": ("/CN=x/UID=u-17", UPN + "x@y", 'uid = "u-17";'),
    # EJBCA: a login certificate, and a personal one.
    "ejbca": ("/C=DE/O=Organization/OU=Finance/UID=firstnamelastname/"
              "CN=Firstname Lastname", "email:f.l@example.org",
              'uid = "firstnamelastname"; ou = "Finance";'),
    "ejbca-serial": ("/C=SE/serialNumber=213243-1234/GN=Firstname/SN=Lastname/"
                     "CN=Firstname Lastname", None,
                     'serial_number = "213243-1234";'),
    "utf8": ("/O=M\u00fcller GmbH/CN=J\u00f6rg", None, 'o = "M\u00fcller*";'),
}


@pytest.fixture
def issue(tmp_path, authority):
    """A function from a subject and names to a client's Pair."""
    def make(subject, names):
        here = tmp_path / "issued"
        here.mkdir()
        extensions = "extendedKeyUsage = clientAuth\n" \
            "keyUsage = critical, digitalSignature\n"
        if names:
            extensions += f"subjectAltName = {names}\n"
        (here / "extensions").write_text(extensions, encoding="utf-8")
        pki.run("openssl", "req", "-new", "-utf8", "-noenc", "-newkey", "ec",
                "-pkeyopt", "ec_paramgen_curve:P-256", "-keyout", here / "key",
                "-out", here / "request", "-subj", subject)
        pki.run("openssl", "x509", "-req", "-in", here / "request", "-CA",
                authority.cert, "-CAkey", authority.key, "-days", "2",
                "-extfile", here / "extensions", "-out", here / "cert")
        return pki.Pair(str(here / "cert"), str(here / "key"), authority.ca)
    return make


@pytest.mark.parametrize("shape", SHAPES)
def test_a_rule_for_each(shape, issue, make_aisd):
    subject, names, keys = SHAPES[shape]
    pair = issue(subject, names)
    rules = ", ".join(f'{{ name = "{name}"; {row[2]} '
                      f'commands = ( "/bin/echo" ); }}'
                      for name, row in SHAPES.items())
    daemon = make_aisd(rules=rules)
    with wire.Client(daemon.port, *pair[:3]) as session:
        assert session.run(["echo", "x"]).stdout == b"x\n"
        assert session.run(["true"]).refused
    assert daemon.wait_event("command-start")["rule"] == shape
    done = subprocess.run([*daemon.words, "-c", str(daemon.conf), "--explain",
                           pair.cert, "--", "echo"], capture_output=True)
    assert f'rule "{shape}": matches'.encode() in done.stdout


def test_groups(make_aisd):
    """Peers by a name that several rules use."""
    daemon = make_aisd(start=False)
    text = daemon.conf.read_text()
    daemon.conf.write_text(text[:text.index("rules")] + """
groups = (
    { name = "ops"; ou = "ops"; },
    { name = "dev"; peers = [ "bob", "carol" ]; }
);
rules = (
    { name = "hosts"; groups = [ "ops", "dev" ]; dns = "*.example.com";
      commands = ( "/bin/true" ); },
    { name = "people"; groups = "ops"; commands = ( "/bin/echo" ); }
);
""")

    def explain(who, *words):
        done = subprocess.run(
            [*daemon.words, "-c", str(daemon.conf), "--explain", who, "--",
             *words], capture_output=True, text=True)
        return done.returncode, done.stdout
    assert explain("CN=x,OU=ops", "echo")[0] == 0
    assert explain("OU=a,OU=ops", "echo")[0] == 0
    assert explain("CN=x,OU=ops,DNS=a.example.com", "true")[0] == 0
    assert explain("CN=bob,DNS=a.example.com", "true")[0] == 0
    status, out = explain("CN=bob", "echo")
    assert status == 1 and 'because of its key groups' in out
    assert explain("CN=x,UPN=a@b,DC=example.com,O=x,UID=y,SERIALNUMBER=1,"
                   "EMAILADDRESS=a@b", "echo")[0] == 1
