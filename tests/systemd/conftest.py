# SPDX-License-Identifier: ISC
"""Fixtures of the tests under systemd: a box with AIS installed in it."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e")]

import box as boxes                             # noqa: E402
import pki                                      # noqa: E402
from installed import build_for_the_system, install  # noqa: E402
from service import Service                     # noqa: E402

# Where no service's program lives: hidden from it, or from the box.
PRIVATE = ("/tmp/", "/var/tmp/", "/run/", "/home/", "/root/", "/dev/")


@pytest.fixture(scope="session")
def stage(builddir, tmp_path_factory, srcdir):
    """AIS as "make install" leaves it, below a directory."""
    why = boxes.missing()
    if why:
        pytest.skip(f"systemd cannot be booted here: {why}")
    if not (builddir / "Makefile").exists():
        pytest.skip(f"{builddir} is no build")
    stage = tmp_path_factory.mktemp("stage")
    if install(builddir, stage).startswith(PRIVATE):
        # As "make distcheck" does it in somebody's directory.
        stage = tmp_path_factory.mktemp("stage")
        install(build_for_the_system(srcdir, builddir,
                                     tmp_path_factory.mktemp("build")), stage)
    if not list(stage.rglob("aisd.service")):
        pytest.skip("this build installs no units")
    attacker = builddir / "tests" / "attacker"
    (stage / "opt").mkdir()
    shutil.copy(attacker if attacker.exists() else "/bin/false",
                stage / "opt" / "attacker")
    return stage


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return pki.Authority(tmp_path_factory.mktemp("pki") / "ca")


@pytest.fixture(scope="session")
def alice(authority):
    return authority.client("alice")


@pytest.fixture(scope="session")
def localhost(authority):
    return authority.server("localhost", "127.0.0.1", "::1")


@pytest.fixture(scope="session")
def box(stage, tmp_path_factory, localhost):
    """systemd, with AIS installed and its certificates in place."""
    box = boxes.Box(tmp_path_factory.mktemp("box"), stage)
    try:
        try:
            box.boot()
        except boxes.BoxError as e:
            pytest.skip(f"systemd cannot be booted here: {e}")
        # A package does this after it has put its files in place.
        box.run("journalctl", "--update-catalog")
        box.run("install", "-d", "-m", "0750", "-o", "root", "-g", "aisd",
                "/etc/aisd")
        for source, name in ((localhost.cert, "server.pem"),
                             (localhost.key, "server.key"),
                             (localhost.ca, "ca.pem")):
            box.path(f"/etc/aisd/{name}").write_bytes(
                pathlib.Path(source).read_bytes())
        box.path("/run/systemd/journald.conf.d").mkdir()
        box.path("/run/systemd/journald.conf.d/test.conf").write_text(
            "[Journal]\nRateLimitIntervalSec=30s\n"
            "RateLimitBurst=100\n")
        box.run("systemctl", "restart", "systemd-journald")
        yield box
    finally:
        box.close()


@pytest.fixture(scope="session")
def sysconfdir(stage):
    """Where this build looks for aisd.conf."""
    aisd, = stage.rglob("sbin/aisd")
    said = subprocess.run([str(aisd), "--help"], capture_output=True,
                          text=True).stdout
    return re.search(r"default: (.*)/aisd\.conf", said)[1]


@pytest.fixture
def service(box, alice, sysconfdir, slowness):
    """aisd.service as installed, configured and not started."""
    service = Service(box, alice, f"{sysconfdir}/aisd.conf", slowness)
    service.reset()
    yield service
    service.finish()
