# SPDX-License-Identifier: ISC
"""AIS, installed below a directory."""

import os
import pathlib
import shlex
import subprocess

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
