# SPDX-License-Identifier: ISC
"""The timers of ais-ca: what they run does its work within its sandbox."""

import pytest
from aisd import wait_until

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
    assert f"got server localhost {CA}/server/localhost/cert.pem" in text
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
