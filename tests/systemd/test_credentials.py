# SPDX-License-Identifier: ISC
"""Certificate, key, authority and list as credentials of the service."""

import pathlib
import re

import pki
import pytest
import wire

pytestmark = pytest.mark.same("build")

PAGE = pathlib.Path(__file__).resolve().parents[2] / "man" / "aisd.conf.5"
# Where the files are that systemd reads, as root.
SITE = "/etc/pki/aisd"
FILES = {"certificate": "server.pem", "key": "server.key",
         "authority": "ca.pem", "crl": "crl.pem"}


def the_drop_in():
    """The one of the manual, with two more files."""
    section = PAGE.read_text().split(".Sh CREDENTIALS")[1].split(".Sh ")[0]
    text, = [block for block in re.findall(
        r"\.Bd -literal[^\n]*\n(.*?)\n\.Ed", section, re.S)
        if block.startswith("[Service]")]
    return text + "".join(f"\nLoadCredential={name}:{SITE}/{name}"
                          for name in ("ca.pem", "crl.pem"))


def systemd(box):
    """The number of its version."""
    return int(re.search(r"systemd (\d+)", box.run(
        "systemctl", "--version").stdout)[1])


def put(box, pair, serials=(), authority=None, tmp=None):
    """Put a pair where systemd reads it; with a list, if one is wanted."""
    for source, key in ((pair.cert, "certificate"), (pair.key, "key"),
                        (pair.ca, "authority")):
        path = box.path(f"{SITE}/{FILES[key]}")
        path.write_bytes(pathlib.Path(source).read_bytes())
        path.chmod(0o600)
    if authority:
        box.path(f"{SITE}/crl.pem").write_text(pki.revocations(
            authority, tmp / "crl.pem", serials).read_text())


@pytest.fixture
def given(service, authority, localhost, tmp_path):
    """The service with all four as credentials, not started."""
    box = service.box
    box.run("install", "-d", "-m", "0700", SITE)
    put(box, localhost, (), authority, tmp_path)
    service.drop_in(the_drop_in(), "credentials")
    service.configure(watch_interval=0, **{
        key: f"credential:{name}" for key, name in FILES.items()})
    yield service
    service.systemctl("stop")
    box.run("rm", "-rf", SITE)


def served_serial(service):
    """The serial of the certificate that the daemon shows."""
    client = service.client()
    shown = client.tls.getpeercert()["serialNumber"]
    client.goodbye()
    return shown


def test_at_the_start(given):
    """The daemon has them, a command does not, and the files are root's."""
    given.start()
    assert given.run("id", "-un").stdout == b"aisd-run\n"
    assert given.run("sh", "-c", "ls /run/credentials/aisd.service; "
                     "cat /run/credentials/aisd.service/server.key"
                     ).status != 0
    assert given.run("sh", "-c", "echo $CREDENTIALS_DIRECTORY"
                     ).stdout == b"\n"
    # All capabilities that the unit gave are gone.
    status = given.box.path(f"/proc/{given.pid}/status").read_text()
    assert set(re.findall(r"Cap\w+:\s*(\w+)", status)) == {"0" * 16}
    assert re.search(r"^Groups:\s*$", status, re.M)


def test_renewed(given, authority, alice, tmp_path):
    """systemd 252 reads them again for a reload, and 260 does where the unit
    says so; with others it takes a restart."""
    given.start()
    before, pid = served_serial(given), given.pid
    renewed = authority.make("localhost", "server")
    put(given.box, renewed, [int(alice.serial, 16)], authority, tmp_path)
    given.systemctl("reload")
    given.wait(lambda: given.events("reload", result="done"), "a reload")
    if systemd(given.box) == 252:
        changed = given.events("reload")[-1]["changed"].split(",")
        assert {"certificate", "key", "crl"} <= set(changed)
        assert given.pid == pid
    else:
        assert served_serial(given) == before
        given.systemctl("restart")
    given.pair = authority.client("bob")
    assert served_serial(given) not in (before, None)
    given.pair = alice
    with pytest.raises((wire.Cut, wire.Closed, OSError)):
        given.run("true")


def test_renewed_by_a_drain(given, authority):
    """The command that runs comes to its end, and then aisd starts anew."""
    given.start()
    before, pid = served_serial(given), given.pid
    put(given.box, authority.make("localhost", "server"))
    client = given.client()
    client.ask(["sh", "-c", "sleep 2; echo whole"],
               windows=(1024, 1024))
    given.wait(lambda: given.events("command-start"), "the command runs")
    given.box.run("systemctl", "kill", "--kill-whom=main", "--signal=USR2",
                  "aisd")
    assert client.follow(client.number).stdout == b"whole\n"
    given.wait_restart(pid)
    assert served_serial(given) != before


def test_a_pair_that_does_not_fit(given, authority):
    """It is told, and the old one stays in force."""
    given.start()
    before = served_serial(given)
    other = authority.make("localhost", "server")
    given.box.path(f"{SITE}/server.pem").write_text(
        pathlib.Path(other.cert).read_text())
    given.systemctl("reload")
    if systemd(given.box) == 252:
        given.wait_said("does not belong to the certificate "
                        "/run/credentials/aisd.service/server.pem")
    assert served_serial(given) == before


def test_a_bad_configuration_fails_the_reload(given):
    given.start()
    given.box.path(given.config).write_text("listn = 5;\n")
    assert given.systemctl("reload", check=False).returncode != 0
    given.wait_said("listn")


def test_a_credential_that_is_not_there(given):
    given.configure(key="credential:other.key")
    assert given.systemctl("start", check=False).returncode != 0
    assert given.show("ExecMainStatus") == "75"
    given.wait_said("/run/credentials/aisd.service/other.key: No such file")


def test_without_the_user(given):
    """Root's credentials cannot be read again after privileges are dropped:
    the start says so."""
    given.drop_in("[Service]\nUser=\nAmbientCapabilities=", "late")
    assert given.systemctl("start", check=False).returncode != 0
    given.wait_said('the credential "server.pem" cannot be seen by this '
                    "process: /run/credentials/aisd.service: Permission "
                    "denied")
    given.wait_said("User=")
    given.drop_in("", "late")


def test_by_hand(given):
    """aisd -t says what is missing, and works with it."""
    box = given.box
    given.start()
    done = box.run("aisd", "-t", check=False)
    assert done.returncode == 6
    assert "certificate: the credential \"server.pem\" cannot be had: " \
        "$CREDENTIALS_DIRECTORY is not set; let systemd" in done.stderr
    assert 'certificate = "credential:server.pem"' in box.run(
        "aisd", "-T").stdout
    box.run("aisd", "-t", "-q", env=[
        "CREDENTIALS_DIRECTORY=/run/credentials/aisd.service"])
