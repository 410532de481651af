# SPDX-License-Identifier: ISC
"""Certificates that end after 2038-01-19 03:14:07 UTC, where a time_t of 32
bits has no more seconds; and in 2050, where their dates are written in another
form (RFC 5280, 4.1.2.5).

tests/32bit runs this file in a build for a machine where time_t has 32 bits.
"""

import json
import os
import re
import signal
import subprocess
import time

import pytest

import pki
from aisd import Daemon, wait_until
from faults import Faults
from pki import DAY

NOW = int(time.time())
# Days until the middle of 2051, of 2049 and of 2037.
BEYOND, BEFORE_2050, BEFORE_2038 = (
    (seconds - NOW) // DAY
    for seconds in (2571998400, 2508840000, 2130148800))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """An authority that ends in 2051, as ais-ca makes it."""
    return pki.Authority(tmp_path_factory.mktemp("2051") / "ca",
                         days=str(BEYOND))


@pytest.fixture(scope="module")
def server(site):
    return site.server("localhost", "127.0.0.1", days=str(BEFORE_2050))


@pytest.fixture(scope="module")
def client(site):
    return site.client("alice", days=str(BEYOND - 1))


def dates(path):
    """What openssl(1) says of the end of a certificate: "2051-07-03 ..."."""
    said = pki.run("openssl", "x509", "-in", path, "-noout", "-enddate",
                   "-dateopt", "iso_8601").decode()
    return re.fullmatch(r"notAfter=(\S+ \S+)Z\n", said)[1]


def processor_time(pid):
    """Seconds that a process has had of a processor."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def test_command(make_aisd, aisc, server, client, slowness):
    """It ends, with its status; the daemon has nothing to do meanwhile, and
    does not hold the authority for one that has ended."""
    daemon = make_aisd(pair=server, expiry_warning=3650)
    before = processor_time(daemon.pid)
    done = aisc.run(daemon.port, "sh", "-c", "sleep 2; exit 3", pair=client)
    assert done.returncode == 3
    assert processor_time(daemon.pid) - before < 0.4 * slowness
    assert not daemon.events("expiry")


def test_stop_while_a_session_is_open(make_aisd, connect, server, client):
    """A signal is seen with a certificate of 2051 in the session."""
    daemon = make_aisd(pair=server)
    session = connect(pair=client, daemon=daemon)
    assert session.run(["true"]).status == 0
    daemon.process.send_signal(signal.SIGTERM)
    daemon.wait_event("stop")
    daemon.stop()


def test_dates_are_those_of_openssl(make_aisd, aisc, server, client):
    """In the client's words, and in its check."""
    daemon = make_aisd(pair=server)
    done = aisc.run(daemon.port, "true", options=["-v"], pair=client)
    assert done.returncode == 0
    assert f"until {dates(server.cert)[:10]}," in done.stderr.decode()
    done = aisc.run(daemon.port, options=["--check", "--json"], pair=client)
    found = {one[key] for one in members(json.loads(done.stdout))
             for key in one if key == "not_after"}
    assert {dates(pair).replace(" ", "T") + "Z"
            for pair in (server.cert, client.cert, client.ca)} <= found


def members(value):
    """All objects within a value of JSON."""
    inner = value.values() if isinstance(value, dict) else \
        value if isinstance(value, list) else []
    return ([value] if isinstance(value, dict) else []) + \
        [one for part in inner for one in members(part)]


def test_warning(make_aisd, site, client):
    """Its date is right, and so are the days that are left; the authority
    that stays longer is not spoken of."""
    short = site.make("short.example", "server", start=-20000 * DAY,
                      end=3600 * DAY)
    daemon = make_aisd(pair=short, expiry_warning=3650)
    event, = daemon.events("expiry")
    assert event["ends"] == dates(short.cert).replace(" ", "T") + "Z"
    assert event["level"] != "error"


def test_list_of_revoked_that_is_good_until_2051(make_aisd, aisc, site, server,
                                                 client):
    crl = pki.revocations(site, site.work + "/list.pem", [7], end=BEYOND * DAY)
    daemon = make_aisd(pair=server, crl=crl)
    assert aisc.run(daemon.port, "true", pair=client).returncode == 0
    assert not daemon.events("expiry")
    pki.revocations(site, crl, [int(client.serial, 16)], end=BEYOND * DAY)
    daemon.reload()
    done = aisc.run(daemon.port, "true", pair=client)
    assert (done.returncode, b"revoked" in done.stderr) == (255, True)


def test_not_valid_before_2038(make_aisd, aisc, site, server):
    """A certificate that begins later is told by its date."""
    late = site.make("alice", start=(BEFORE_2038 + 400) * DAY,
                     end=(BEYOND - 1) * DAY)
    daemon = make_aisd(pair=server)
    done = aisc.run(daemon.port, "true", pair=late)
    begins = pki.run("openssl", "x509", "-in", late.cert, "-noout",
                     "-startdate", "-dateopt", "iso_8601").decode()
    begins = re.fullmatch(r"notBefore=(\S+ \S+)Z\n", begins)[1]
    assert done.returncode == 255
    assert f"is not valid before {begins} UTC, " in done.stderr.decode()


def test_rule_that_learns_until_2099(make_aisd, aisc, server, client):
    daemon = make_aisd(pair=server, rules='{ peers = [ "*" ]; '
                       'learn_until = "2099-12-31"; '
                       'commands = [ "/bin/true" ]; }')
    assert aisc.run(daemon.port, "ls", "/", pair=client).returncode == 0


def test_daemon_in_2040(program, builddir, tmp_path, server, client, aisc,
                        measurable):
    """With a clock of that year: the record has it, and it serves."""
    with open(builddir / "aisd", "rb") as file:
        if file.read(5)[4] == 1:
            pytest.skip("libc's own clock ends in 2038, and OpenSSL's")
    faults = Faults(builddir, tmp_path)
    daemon = Daemon(program("aisd"), tmp_path / "late", server,
                    env=faults.environment())
    faults.set_clock(2225000000 - NOW)
    with daemon:
        session = subprocess.run(
            aisc.words(daemon.port, "true", pair=client), check=False,
            env=aisc.environment(LD_PRELOAD=str(faults.library),
                                 AIS_FAULT_CONTROL=str(faults.path)))
        assert session.returncode == 0
        wait_until(lambda: daemon.events("command-end"), "the end")
        assert {event["time"][:5] for event in daemon.events()} == {"2040-"}
