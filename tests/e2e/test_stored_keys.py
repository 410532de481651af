# SPDX-License-Identifier: ISC
"""Keys that a provider of OpenSSL has and that no file does: those of a TPM,
by swtpm and the provider tpm2."""

import os
import signal
import subprocess

import pytest

import pki
import tpm as tpms
from aisc import said

# The provider is not free of leaks.
pytestmark = [pytest.mark.same("build"),
              pytest.mark.skipif(bool(tpms.missing()), reason=(
                  f"not installed: {tpms.missing()}"))]


@pytest.fixture
def make_tpm():
    made = []

    def make(*how):
        made.append(tpms.Tpm(*how))
        return made[-1]
    yield make
    for tpm in made:
        tpm.stop()


@pytest.fixture
def tpm(make_tpm):
    return make_tpm()


@pytest.fixture
def site(tmp_path):
    return pki.Authority(tmp_path / "site")


def signed(site, tpm, purpose, name, uri):
    """The Pair of a key in "tpm"."""
    site.run("sign", purpose, str(tpm.request(uri, name)))
    return pki.Pair(os.path.join(site.path, purpose, name, "cert.pem"),
                    "store:" + uri, site.ca)


def environment(tpm):
    return {**os.environ, **tpm.env}


@pytest.mark.long
@pytest.mark.parametrize("ours, theirs", [
    (("handle", "ecc:ecdsa-sha256"), ("object", "ecc384:ecdsa-sha384")),
    (("object", "ecc:ecdsa-sha256"), ("handle", "rsa2048"))])
def test_both_sides(make_tpm, make_aisd, aisc, site, ours, theirs):
    """Server and client, each with a key of its own TPM."""
    one, other = make_tpm(), make_tpm()
    server = signed(site, one, "server", "localhost", one.key(*ours))
    alice = signed(site, other, "client", "alice", other.key(*theirs))
    daemon = make_aisd(pair=server, env=environment(one))
    for _ in range(4):
        done = aisc.run(daemon.port, "ls", "/proc/self/fd", pair=alice,
                        env=other.env)
        assert done.returncode == 0, done.stderr
        # No descriptor of the TPM: the fourth is that of ls.
        assert done.stdout.split() == [b"0", b"1", b"2", b"3"]
        daemon.reload()
    assert daemon.events("command-start")[-1]["peer"] == "alice"


def test_busy(tpm, make_aisd, aisc, site):
    """It is waited for."""
    server = signed(site, tpm, "server", "localhost", tpm.key("handle"))
    daemon = make_aisd(pair=server, env=environment(tpm))
    alice = site.client("alice")
    tpm.process.send_signal(signal.SIGSTOP)
    waiting = aisc.start(daemon.port, "echo", "hello", pair=alice)
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(0.5)
    tpm.process.send_signal(signal.SIGCONT)
    assert waiting.communicate(timeout=30)[0] == b"hello\n"


def refusals(daemon, aisc, pair, env):
    """What aisd -t says of the key of "pair", and what aisc; where nobody
    listens: it does not come to that."""
    daemon.configure(key=pair.key, certificate=pair.cert, authority=pair.ca)
    test = subprocess.run(
        [*daemon.words, "-t", "-c", str(daemon.conf)], capture_output=True,
        stdin=subprocess.DEVNULL, timeout=60, env={**os.environ, **env})
    assert test.returncode in (6, 75) and b"key: " in test.stderr
    done = aisc.run(1, "true", pair=pair, env=env,
                    popen={"start_new_session": True})
    assert done.returncode == 255 and said(done.stderr) == "config"
    return test.returncode, test.stderr.decode(), done.stderr.decode()


def test_unusable(tpm, make_aisd, aisc, site, tmp_path):
    """Each failure names the key and says what to do."""
    daemon = make_aisd(start=False)
    pair = signed(site, tpm, "server", "localhost", tpm.key("handle"))

    def refused(key, *says, status=75, env=tpm.env):
        ended, *texts = refusals(daemon, aisc, pair._replace(key=key), env)
        for text in texts:
            for part in (str(key), *says):
                assert part in text
        assert ended == status
        return texts
    refused(pair.key, "no provider of OpenSSL", "openssl list -store-loaders",
            "/openssl.cnf", env={})
    refused("store:handle:0x81000099", "cannot load the key", "look whether")
    texts = refused("store:" + tpm.key("handle", pin="secret") + "?pass")
    assert "needs a PIN" in texts[0] and "no terminal to ask" in texts[1]
    refused("store:" + tpm.key("handle"), "does not belong to the "
            "certificate", status=6)
    refused(f"store:file:{site.path}/private/ca.key", "name the file itself",
            status=6)
    # Its provider's algorithms are preferred for everything.
    last = tpm.conf.read_text().replace(
        "default = active\ntpm2 = active", "tpm2 = active\ndefault = active")
    (tmp_path / "openssl.cnf").write_text(last)
    refused(pair.key, "cannot sign in TLS", '"default" must be the first',
            status=6, env={**tpm.env,
                           "OPENSSL_CONF": str(tmp_path / "openssl.cnf")})
