#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""How many instructions AIS takes, as callgrind counts them.

They hardly depend on the machine and not at all on what else it does: another
run differs by less than a thousandth.  So a change that makes AIS slower shows
where times show nothing.  They do depend on who has compiled what; conditions()
says what matters, and figures of other conditions are not to be compared.

usage: instructions.py          print conditions and figures, as JSON
       instructions.py --write  put them in the place of instructions.json
"""

import concurrent.futures
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
SRCDIR = pathlib.Path(os.environ.get("AIS_SRCDIR") or HERE.parent.parent)
BUILDDIR = pathlib.Path(os.environ.get("AIS_BUILDDIR") or SRCDIR / "build")
sys.path[:0] = [str(SRCDIR / "tests" / "e2e"), str(SRCDIR / "tests")]

import pki                                      # noqa: E402
from aisc import Aisc                           # noqa: E402
from aisd import Daemon                         # noqa: E402

COMMITTED = HERE / "instructions.json"
WARM = "aisd: one more command in a session"
COLD = "aisc: one command from a cold start"
COMMANDS = 20
SLOWNESS = 20


def output_of(*words):
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).splitlines()[0].strip()


def conditions():
    """What decides how many instructions there are."""
    makefile = (BUILDDIR / "Makefile").read_text()
    variables = dict(re.findall(r"^([A-Za-z_]+) = (.*)$", makefile, re.M))
    cpu = pathlib.Path("/proc/cpuinfo").read_text()
    used = " ".join(variables.get(name, "") for name in (
        "CFLAGS", "AIS_HARDENING_CPPFLAGS", "AIS_HARDENING_CFLAGS",
        "AIS_DEBUG_CFLAGS"))
    return {
        "compiler": output_of(*variables["CC"].split(), "--version"),
        "flags": " ".join(used.split()),
        "libraries": variables.get("LIBSYSTEMD_LIBS", "").strip(),
        "libc": " ".join(platform.libc_ver()),
        "openssl": output_of("openssl", "version").split(" (")[0],
        "processor": platform.machine() + (
            " avx2" if re.search(r"\bavx2\b", cpu) else ""),
        "valgrind": output_of("valgrind", "--version"),
    }


def counted(program, out):
    """The words that run a program and count in the files "out".PID."""
    return ["valgrind", "--quiet", "--tool=callgrind",
            f"--callgrind-out-file={out}.%p", str(BUILDDIR / program)]


def count(path):
    """What such a file says."""
    return int(re.search(r"^(?:summary|totals): (\d+)", path.read_text(),
                         re.M)[1])


def of_server(directory, server, client, commands):
    """Instructions of an aisd from its start to its end, with one session of
    so many commands."""
    out = directory / "count"
    daemon = Daemon(counted("aisd", out), directory, server,
                    slowness=SLOWNESS)
    with daemon:
        pid = daemon.pid
        aisc = Aisc([str(BUILDDIR / "aisc")], directory / "aisc", client,
                    SLOWNESS)
        done = aisc.run(daemon.port, input=b"true\n" * commands,
                        host="127.0.0.1")
        assert done.returncode == 0, done
    return count(directory / f"count.{pid}")


def of_client(directory, server, client):
    """Instructions of an aisc that runs one command."""
    out = directory / "count"
    with Daemon([str(BUILDDIR / "aisd")], directory, server) as daemon:
        aisc = Aisc(counted("aisc", out), directory / "aisc", client)
        process = aisc.start(daemon.port, "true", host="127.0.0.1")
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    return count(directory / f"count.{process.pid}")


def figures(directory, server, client):
    """What COMMITTED has; three programs run at the same time."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        few, many, cold = [pool.submit(*call) for call in (
            (of_server, directory / "few", server, client, 1),
            (of_server, directory / "many", server, client, 1 + COMMANDS),
            (of_client, directory / "cold", server, client))]
        return {WARM: (many.result() - few.result()) // COMMANDS,
                COLD: cold.result()}


def main():
    if not shutil.which("valgrind"):
        sys.exit("instructions.py: valgrind is not installed")
    with tempfile.TemporaryDirectory(prefix="ais-bench-") as name:
        path = pathlib.Path(name)
        site = pki.Authority(path / "ca")
        found = {"conditions": conditions(), "instructions": figures(
            path, site.server("localhost", "127.0.0.1"),
            site.client("alice"))}
    text = json.dumps(found, indent=1) + "\n"
    if sys.argv[1:] == ["--write"]:
        COMMITTED.write_text(text)
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
