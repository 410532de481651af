# SPDX-License-Identifier: ISC
"""Fixtures of the tests under systemd: a box with AIS installed in it."""

import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e")]

import box as boxes                             # noqa: E402
import pki                                      # noqa: E402
from service import Service                     # noqa: E402

# Where no service's program lives: hidden from it, or from the box.
PRIVATE = ("/tmp/", "/var/tmp/", "/run/", "/home/", "/root/", "/dev/")


# What else "make distcheck" puts there, and the system's places for it.
SYSTEM = ["--prefix=/usr", "--sysconfdir=/etc", "--localstatedir=/var",
          *(f"--with-{name}=yes" for name in (
              "systemdsystemunitdir", "sysusersdir", "tmpfilesdir",
              "catalogdir"))]


def run(*words, **options):
    """Run a program of the build, without the wishes of a make above us."""
    env = {name: value for name, value in os.environ.items()
           if not name.startswith(("MAKE", "MFLAGS", "DESTDIR"))}
    done = subprocess.run([str(word) for word in words], capture_output=True,
                          text=True, env=env, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def install(builddir, stage):
    """"make install" into a directory, as a package is made.  Returns the
    path of aisd on the machine to be."""
    run("make", "-C", builddir, "install", f"DESTDIR={stage}")
    found = list(pathlib.Path(stage).rglob("sbin/aisd"))
    assert len(found) == 1, found
    return "/" + str(found[0].relative_to(stage))


def build_for_the_system(srcdir, builddir, directory):
    """The same build once more, to be installed where services live: paths
    are in the programs."""
    arguments = shlex.split(run(builddir / "config.status", "--config"))
    srcdir = srcdir.resolve()
    run(srcdir / "configure", *arguments, *SYSTEM, f"--srcdir={srcdir}",
        cwd=directory)
    run("make", "-C", directory, "-j", len(os.sched_getaffinity(0)))
    return directory


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
