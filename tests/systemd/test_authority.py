# SPDX-License-Identifier: ISC
"""The timers of ais-ca: what they run does its work within its sandbox, and a
running aisd takes what they make."""

import pki
import pytest
import wire
from aisd import wait_until

# What systemd does with the service; test_service.py shows how it works.
pytestmark = pytest.mark.same("build")

CA = "/etc/aisd/ca"
UNITS = "ais-ca-crl", "ais-ca-renew"


@pytest.fixture
def site(box):
    """The authority of the machine, by default."""
    box.run("ais-ca", "-q", "init")
    yield box
    box.run("systemctl", "disable", "--now", *(f"{u}.timer" for u in UNITS),
            check=False)
    box.run("systemctl", "reset-failed", check=False)
    for unit in UNITS:
        box.run("rm", "-rf", f"/run/systemd/system/{unit}.service.d",
                f"/run/systemd/system/{unit}.timer.d")
    box.run("rm", "-rf", CA, "/srv/ca", "/etc/credstore/ais-ca.pass")
    box.run("systemctl", "daemon-reload")


def drop_in(box, unit, text):
    box.run("mkdir", "-p", f"/run/systemd/system/{unit}.d")
    box.path(f"/run/systemd/system/{unit}.d/test.conf").write_text(text)
    box.run("systemctl", "daemon-reload")


def said(box, unit):
    return box.run("journalctl", "-b", "-u", unit, "-o", "cat").stdout


def test_nothing_is_enabled(box):
    for unit in UNITS:
        done = box.run("systemctl", "is-enabled", f"{unit}.timer", check=False)
        assert done.stdout.strip() == "disabled"


def test_renewed_and_delivered(site):
    """A delivery that fails is seen, and made up for by the next run."""
    box = site
    box.run("ais-ca", "-q", "server", "localhost", "--owner", "aisd",
            "--days", "20")
    old = box.run("readlink", f"{CA}/server/localhost").stdout
    box.path(f"{CA}/deliver").write_text(
        '#!/bin/sh -e\necho "got $*"\ntest -r "$2" || cat "$4" | '
        'grep -q "PRIVATE KEY"\ntest -e /run/reachable\n')
    box.run("chmod", "+x", f"{CA}/deliver")
    assert box.run("systemctl", "start", "ais-ca-renew",
                   check=False).returncode != 0
    assert box.run("systemctl", "is-failed",
                   "ais-ca-renew").stdout.strip() == "failed"
    text = said(box, "ais-ca-renew")
    assert "Renewed the server certificate of localhost" in text
    assert "has not been delivered" in text
    assert box.run("readlink", f"{CA}/server/localhost").stdout != old
    key = f"{CA}/server/localhost/key.pem"
    assert box.run("stat", "-L", "-c", "%U %a", key).stdout == "aisd 600\n"

    box.path("/run/reachable").touch()
    box.run("systemctl", "start", "ais-ca-crl")
    text = said(box, "ais-ca-crl")
    live = box.run("readlink", "-f", f"{CA}/server/localhost").stdout.strip()
    assert f"got server localhost {live}/cert.pem" in text
    assert f"got crl {CA}/crl.pem" in text
    assert text.count("Delivered the ") == 2
    assert box.run("ls", f"{CA}/undelivered").stdout == ""
    assert "crl.pem" in box.run("ais-ca", "list", "--expiring", "31",
                                check=False).stdout


def test_encrypted_key(site):
    """In another place, with the passphrase as a credential; without it the
    service fails, and says what is missing."""
    box = site
    box.path("/run/pass").write_text("correct horse\n")
    box.run("ais-ca", "-q", "-d", "/srv/ca", "init", "--passphrase-file",
            "/run/pass")
    drop_in(box, "ais-ca-crl.service", "[Service]\nEnvironment="
            "AIS_CA_DIR=/srv/ca\nReadWritePaths=/srv/ca\n")
    assert box.run("systemctl", "start", "ais-ca-crl",
                   check=False).returncode != 0
    assert "cannot read the passphrase file" in said(box, "ais-ca-crl")
    box.run("install", "-D", "-m", "0600", "/run/pass",
            "/etc/credstore/ais-ca.pass")
    box.run("systemctl", "start", "ais-ca-crl")
    assert box.path("/srv/ca/crl.pem").exists()


@pytest.mark.parametrize("unit", UNITS)
def test_timer(site, unit, slowness):
    """The timer starts the service, and has a next time."""
    box = site
    box.run("ais-ca", "-q", "client", "alice", "--days", "20")
    drop_in(box, f"{unit}.timer", "[Timer]\nOnCalendar=\nOnCalendar=*:*:*\n"
            "RandomizedDelaySec=0\nAccuracySec=100ms\n")
    box.run("systemctl", "enable", "--now", f"{unit}.timer")
    made = {"ais-ca-crl": "Wrote ", "ais-ca-renew": "Renewed "}[unit]
    wait_until(lambda: made in said(box, unit), "the timer", 15 * slowness)
    assert f"{unit}.timer" in box.run("systemctl", "list-timers").stdout


def pair_of(box, name="alice"):
    """The files of a client, outside of the box."""
    here = box.directory / f"pair-{name}"
    here.mkdir(exist_ok=True)
    for file, source in (("cert.pem", f"client/{name}/cert.pem"),
                         ("key.pem", f"client/{name}/key.pem"),
                         ("ca.pem", "ca.pem")):
        (here / file).write_text(box.run("cat", f"{CA}/{source}").stdout)
    return pki.Pair(here / "cert.pem", here / "key.pem", here / "ca.pem", name)


def shown_serial(service):
    """The serial of the certificate that aisd shows, in a session or not."""
    client = service.client()
    serial = client.tls.getpeercert()["serialNumber"]
    client.close()
    return serial


def live_serial(box, of="server/localhost"):
    return box.run("readlink", f"{CA}/{of}").stdout.strip().split("/")[-1]


@pytest.fixture
def serving(site, service):
    """aisd with a pair that ends soon and a list, both where ais-ca has made
    them, and a client."""
    box = site
    box.run("ais-ca", "-q", "server", "--owner", "aisd", "--days", "20")
    box.run("ais-ca", "-q", "client", "alice")
    box.run("ais-ca", "-q", "crl")
    service.pair = pair_of(box)
    service.configure(certificate=f"{CA}/server/localhost/cert.pem",
                      key=f"{CA}/server/localhost/key.pem",
                      authority=f"{CA}/ca.pem", crl=f"{CA}/crl.pem",
                      watch_interval=0.5)
    return service


def wait_taken(service, *files):
    """Wait until these keys have new files in force."""
    def seen():
        changed = {name for event in service.events("reload", result="done")
                   for name in event["changed"].split(",")}
        return set(files) <= changed
    service.wait(seen, f"new files of {files}", 20)
    assert not service.events("reload", result="failed")


def test_aisd_takes_what_the_timer_renews(serving):
    """By itself, with the session that is open, and without a delivery."""
    box = serving.box
    serving.start()
    pid, client, old = serving.pid, serving.client(), live_serial(box)
    assert shown_serial(serving) == old
    box.run("systemctl", "start", "ais-ca-renew")
    assert live_serial(box) != old
    wait_taken(serving, "certificate", "key")
    assert shown_serial(serving) == live_serial(box)
    box.run("systemctl", "start", "ais-ca-crl")
    wait_taken(serving, "crl")
    assert client.run(["true"]).status == 0
    assert serving.pid == pid


def test_aisd_takes_what_is_delivered(serving):
    """To another place of this machine, which the timer's service may write to
    where it is told so; and what was revoked is shut out there."""
    box, there = serving.box, "/etc/aisd/here"
    box.run("install", "-d", "-g", "aisd", "-m", "0750", there)
    box.path(f"{CA}/deliver").write_text(f"""#!/bin/sh -e
cd {there}
put() {{ install -m "$3" -g aisd "$1" "$2.new" && mv "$2.new" "$2"; }}
case $1 in
server)	put "$5" ca.pem 644; put "$4" server.key 640; put "$3" server.pem 644 ;;
crl)	put "$2" crl.pem 644 ;;
esac
""")
    box.run("chmod", "+x", f"{CA}/deliver")
    for unit in UNITS:
        drop_in(box, f"{unit}.service",
                f"[Service]\nReadWritePaths={there}\n")
    try:
        box.run("systemctl", "start", "ais-ca-renew", "ais-ca-crl")
        serving.configure(
            certificate=f"{there}/server.pem", key=f"{there}/server.key",
            authority=f"{there}/ca.pem", crl=f"{there}/crl.pem")
        serving.start()
        old = live_serial(box)
        assert shown_serial(serving) == old
        # Again for 20 days, and so it is renewed again.
        box.run("systemctl", "start", "ais-ca-renew")
        wait_taken(serving, "certificate", "key")
        assert shown_serial(serving) == live_serial(box) != old
        box.run("ais-ca", "-q", "revoke", "alice")
        wait_taken(serving, "crl")
        with pytest.raises((wire.Cut, wire.Closed, OSError)):
            serving.run("true")
    finally:
        serving.systemctl("stop")
        box.run("rm", "-rf", there)
