# SPDX-License-Identifier: ISC
"""Where the benchmark runs: a directory, certificates, users, a journal.

As root, and where the kernel lets us, it is a mount namespace of its own, in
which /etc/passwd knows the users that the servers want and /run is empty, so
that nothing of the machine is changed.  As anybody else, the servers run as
that user, and what needs root is left out.
"""

import contextlib
import getpass
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading

HERE = pathlib.Path(__file__).resolve().parent
SRCDIR = pathlib.Path(os.environ.get("AIS_SRCDIR") or HERE.parent.parent)
BUILDDIR = pathlib.Path(os.environ.get("AIS_BUILDDIR") or SRCDIR / "build")
sys.path[:0] = [str(SRCDIR / "tests" / "e2e"), str(SRCDIR / "tests")]

import pki                                      # noqa: E402

INSIDE = "AIS_BENCH_INSIDE"
DAEMON, COMMANDS, LOGIN = "aisd", "aisd-run", "ais-bench"
USERS = {DAEMON: 64101, COMMANDS: 64102, LOGIN: 64103}
JOURNAL = "/run/systemd/journal/socket"


def enter():
    """Become root of a namespace of mounts, by starting again in it."""
    unshare = shutil.which("unshare")
    if os.environ.get(INSIDE) or os.geteuid() != 0 or not unshare:
        return
    words = [unshare, "--mount", "--propagation", "private"]
    if subprocess.run([*words, "true"], stderr=subprocess.DEVNULL,
                      check=False).returncode == 0:
        os.environ[INSIDE] = "yes"
        os.execv(unshare, [*words, sys.executable, *sys.argv])


def bind_users(directory):
    """Let the users be there, for whoever looks from within."""
    for kind, line in (("passwd", "{0}:x:{1}:{1}::{2}:/bin/sh\n"),
                       ("group", "{0}:x:{1}:\n")):
        path = pathlib.Path("/etc", kind)
        kept = [text for text in path.read_text().splitlines(True)
                if text.split(":")[0] not in USERS]
        kept += [line.format(name, number, directory / "home")
                 for name, number in USERS.items()]
        ours = directory / kind
        ours.write_text("".join(kept))
        subprocess.run(["mount", "--bind", str(ours), str(path)], check=True)


def drain(datagrams):
    """Take what comes for the journal, and forget it."""
    with contextlib.suppress(OSError):
        while datagrams.recv(65536):
            pass


def open_journal():
    """A socket where the journal's is, with nothing behind it but us."""
    os.makedirs(os.path.dirname(JOURNAL))
    datagrams = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    datagrams.bind(JOURNAL)
    os.chmod(JOURNAL, 0o666)
    threading.Thread(target=drain, args=(datagrams,), daemon=True).start()


class Place:
    """All that servers and clients share."""

    def __init__(self):
        self.private = bool(os.environ.get(INSIDE))
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="ais-bench-"))
        self.path.chmod(0o755)
        self.user = getpass.getuser()
        self.big = None
        try:
            self._furnish()
        except BaseException:
            self.close()
            raise

    def _furnish(self):
        (self.path / "home").mkdir()
        if self.private:
            self.user = LOGIN
            subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs",
                            "/run"], check=True)
            bind_users(self.path)
            os.makedirs("/run/sshd")
            open_journal()
        self.authority = pki.Authority(self.path / "ca")
        for name, pair in (
                ("server", self.authority.server("localhost", "127.0.0.1")),
                ("client", self.authority.client("bench"))):
            shutil.copy(pair.cert, self.path / f"{name}.pem")
            shutil.copy(pair.key, self.path / f"{name}.key")
            both = self.path / f"{name}.both.pem"
            both.write_bytes((self.path / f"{name}.pem").read_bytes() +
                             (self.path / f"{name}.key").read_bytes())
            both.chmod(0o600)
        shutil.copy(self.authority.cert, self.path / "ca.pem")
        # Holes: to read them takes no disk, and in /dev/shm no memory.
        shm = "/dev/shm" if os.access("/dev/shm", os.W_OK) else self.path
        handle, self.big = tempfile.mkstemp(prefix="ais-bench-", dir=shm)
        os.ftruncate(handle, 1 << 30)
        os.close(handle)

    def hold(self, size):
        """Let the file for uploads be so long."""
        os.truncate(self.big, size)

    def write(self, name, text, mode=0o644):
        """Write a file; return its path as a string."""
        path = self.path / name
        path.write_text(text)
        path.chmod(mode)
        return str(path)

    def own(self, name, user):
        """Give a file or an empty directory to one of our users."""
        if self.private:
            os.chown(self.path / name, USERS[user], USERS[user])

    def close(self):
        """Remove all of it; the mounts end with the namespace."""
        if self.big:
            os.unlink(self.big)
        shutil.rmtree(self.path, ignore_errors=True)


def free_port():
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def program(name):
    """The path of an installed program, or None."""
    return shutil.which(name, path=os.environ.get("PATH", "") +
                        ":/usr/sbin:/sbin:/usr/lib/nagios/plugins")
