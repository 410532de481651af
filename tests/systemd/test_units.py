# SPDX-License-Identifier: ISC
"""The files themselves: do systemd, the journal and logrotate take them?"""

import re

import pytest

# What systemd does with the service; test_service.py shows how it works.
pytestmark = pytest.mark.same("build")


def test_verify(box):
    """systemd finds nothing to say."""
    done = box.run("systemd-analyze", "verify", "--man=no", "aisd.service",
                   "aisd@two.service", "aisd-each@1.service", "aisd.socket",
                   "aisd-each.socket", "ais-ca-crl.timer",
                   "ais-ca-crl.service", "ais-ca-renew.timer",
                   "ais-ca-renew.service")
    assert done.stdout + done.stderr == ""


@pytest.mark.parametrize("unit, most", [
    ("aisd", 2.5), ("ais-ca-crl", 2.3), ("ais-ca-renew", 2.3)])
def test_exposure(box, record_property, unit, most):
    """The exposure that the unit's comment promises."""
    said = box.run("systemd-analyze", "security", "--no-pager",
                   "--offline=true", f"{unit}.service").stdout
    level = float(re.search(r"exposure level for \S+ (\d+\.\d+)", said)[1])
    record_property("exposure", level)
    assert level <= most, said


def test_catalog(srcdir):
    """Each kind of record has an entry, and each field in it is one that such
    a record has."""
    source = (srcdir / "daemon/record/audit.c").read_text()
    ids = set(re.findall(r'"([0-9a-f]{32})"', source))
    catalog = (srcdir / "systemd/aisd.catalog").read_text()
    entries = re.findall(r"^-- (\S+)$", catalog, re.M)
    assert sorted(entries) == sorted(ids)
    source += (srcdir / "common/base/log.c").read_text()
    known = set(re.findall(r'(?:put(?:_\w+)?\(r?&?r?,|\t{) "(\w+)",',
                           source))
    used = set(re.findall(r"@AIS_(\w+)@", catalog))
    assert {name.lower() for name in used} <= known


@pytest.mark.parametrize("unit", ["aisd", "ais-ca"])
def test_reasons(srcdir, unit):
    """No directive of the service stands without a comment before it."""
    text = (srcdir / f"systemd/{unit}.service.in").read_text()
    service = text[text.index("[Service]"):].split("[Install]")[0]
    for block in re.split(r"\n\s*\n", service):
        lines = block.splitlines()
        if any(re.match(r"\w+=", line) for line in lines):
            assert any(line.startswith("#") for line in lines), block
