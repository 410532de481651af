# SPDX-License-Identifier: ISC
"""A build without what can be left out, and with OpenSSL within aisc:
configure --without-systemd --without-libedit --enable-static-openssl."""

import os
import shutil
import subprocess

import pytest
from aisc import Aisc
from aisd import Daemon


# What is built is the same for every user, and each run begins with a build.
pytestmark = pytest.mark.same("user")


@pytest.fixture(scope="module")
def configure(srcdir, measurable, tmp_path_factory):
    """A function that configures a build, and returns it and its end."""
    if not shutil.which("readelf"):
        pytest.skip("readelf is not installed, which shows what is linked")
    if (srcdir / "config.status").exists():
        pytest.skip("the source tree is configured, and no other build can "
                    "use it")

    def run(**environment):
        build = tmp_path_factory.mktemp("build")
        return build, subprocess.run(
            [srcdir / "configure", "-q", "--enable-static-openssl",
             "--without-systemd", "--without-libedit", "CFLAGS=-O0"],
            cwd=build, env={**os.environ, **environment}, text=True,
            capture_output=True, check=False)
    return run


def needed(program):
    """What the dynamic linker loads for it."""
    return subprocess.run(["readelf", "-d", program], text=True,
                          capture_output=True, check=True).stdout


@pytest.mark.long
@pytest.mark.limit(300)
def test_build(configure, tmp_path, localhost, alice):
    build, done = configure()
    if "needs libssl.a" in done.stderr:
        pytest.skip("there is no libssl.a, or it cannot be linked")
    assert done.returncode == 0, done.stderr
    done = subprocess.run(["make", "-s", "-j2", "aisc", "aisd"], cwd=build, text=True,
                          capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    ours = needed(build / "aisc")
    assert "libconfig" in ours
    assert "libssl" not in ours and "libcrypto" not in ours
    ours = needed(build / "aisd")
    assert "libssl" in ours
    assert "libsystemd" not in ours and "liblzma" not in ours
    aisc = Aisc([build / "aisc"], tmp_path / "aisc", alice)
    with Daemon([build / "aisd"], tmp_path / "aisd", localhost) as daemon:
        assert aisc.run(daemon.port, "echo", "x").stdout == b"x\n"
        assert daemon.wait_event("command-end", exit="0")


def test_no_archives(configure, tmp_path):
    """It is said, and nothing is built with another library in its place."""
    fake = tmp_path / "pkg-config"
    fake.write_text('#!/bin/sh\ncase "$*" in\n'
                    f'*--static*) echo "-L{tmp_path} -lssl-none" ;;\n'
                    f'*) exec {shutil.which("pkg-config")} "$@" ;;\nesac\n')
    fake.chmod(0o755)
    _, done = configure(PKG_CONFIG=str(fake))
    assert done.returncode != 0
    assert "--enable-static-openssl needs libssl.a" in done.stderr
