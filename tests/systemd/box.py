# SPDX-License-Identifier: ISC
"""A throwaway systemd, for tests.

    with Box(tmp_path, stage) as box:
        box.run("systemctl", "start", "aisd")
        with box.network():
            client = wire.Client(4773, ...)

A box is systemd as PID 1 of namespaces of its own: processes, mounts, network,
host name, System V objects and control groups.  Its file system is the running
one with the files of "stage" on it; what it writes is lost with it.  It keeps
tests apart from the machine; it does not confine programs that want to get
out.

It needs root, overlayfs, a cgroup2 file system that can be written, and the
programs of systemd and util-linux.  missing() says what is not there.
"""

import contextlib
import ctypes
import itertools
import os
import pathlib
import shutil
import signal
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parent
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# No box loads modules, sets the clock or reaches for the hardware.
LIMITS = ["setpriv", "--bounding-set",
          "-sys_module,-sys_time,-sys_rawio,-syslog"]
PROGRAMS = ("unshare", "nsenter", "setpriv", "pivot_root", "systemctl",
            "journalctl", "systemd-sysusers", "systemd-tmpfiles")
CLONE_NEWNET = 0x40000000

numbers = itertools.count()
libc = ctypes.CDLL(None, use_errno=True)


class BoxError(Exception):
    """No box can be had here; the text says why."""


def cgroup2():
    """Our own group in the cgroup2 file system, as a path."""
    mounts = [line.split() for line in
              pathlib.Path("/proc/self/mountinfo").read_text().splitlines()]
    points = [m[4] for m in mounts if m[m.index("-") + 1] == "cgroup2"]
    if not points:
        return None
    for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
        if line.startswith("0::"):
            return pathlib.Path(points[0] + line[3:])
    return None


def missing():
    """Why there can be no box here; None where there can be one."""
    if os.geteuid() != 0:
        return "needs root"
    search = os.environ.get("PATH", "") + ":" + PATH
    absent = [name for name in PROGRAMS if not shutil.which(name, path=search)]
    if absent:
        return "needs " + ", ".join(absent)
    if not any(os.access(f"{d}/systemd/systemd", os.X_OK)
               for d in ("/lib", "/usr/lib")):
        return "needs systemd"
    filesystems = pathlib.Path("/proc/filesystems").read_text().split()
    if "overlay" not in filesystems and subprocess.run(
            ["modprobe", "overlay"], capture_output=True).returncode != 0:
        return "needs overlayfs"
    group = cgroup2()
    if group is None:
        return "needs a cgroup2 file system"
    if not os.access(group, os.W_OK):
        return f"needs to write to {group}"
    return None


class Box:
    """One box.  "directory" is an empty one for its use."""

    def __init__(self, directory, stage, unit="basic.target"):
        self.directory = pathlib.Path(directory)
        self.stage = stage
        self.unit = unit
        self.log = self.directory / "log"
        self.group = None
        self.launcher = None
        self.init = None        # The pid of its systemd, seen from outside.
        self.took = None        # Seconds to boot.

    # Its life.

    def boot(self, timeout=60.0):
        began = time.monotonic()
        self.group = cgroup2() / f"ais-box-{os.getpid()}-{next(numbers)}"
        try:
            self.group.mkdir()
        except OSError as e:
            self.group = None
            raise BoxError(f"cannot make a control group: {e}")
        root = self.directory / "root"
        root.mkdir()
        # Whatever ends this process ends the launcher, and that ends PID 1,
        # and that all of the box.
        with open(self.log, "wb") as log:
            self.launcher = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "sh", "-c",
                 'echo 0 >"$0/cgroup.procs" && exec "$@"', str(self.group),
                 "unshare", "--fork", "--kill-child", "--mount", "--uts",
                 "--ipc", "--net", "--pid", "--cgroup", *LIMITS,
                 str(HERE / "box-init"), str(root), str(self.stage),
                 self.unit],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={"PATH": os.environ.get("PATH", "") + ":" + PATH})
        while not self._is_up():
            if self.launcher.poll() is not None:
                raise BoxError("does not boot: " +
                               " ".join(self.log.read_text().split()))
            if time.monotonic() > began + timeout:
                raise BoxError(f"did not boot within {timeout} s")
            time.sleep(0.02)
        self.took = time.monotonic() - began
        return self

    def _is_up(self):
        if self.init is None:
            tid = self.launcher.pid
            try:
                words = pathlib.Path(f"/proc/{tid}/task/{tid}/children"
                                     ).read_text().split()
                if not words or not os.readlink(
                        f"/proc/{words[0]}/exe").endswith("/systemd"):
                    return False
                self.init = int(words[0])
            except OSError:
                return False
        state = self.run("systemctl", "is-system-running", check=False)
        return state.stdout.strip() in ("running", "degraded")

    def close(self):
        if self.launcher is not None:
            self.launcher.kill()
            self.launcher.wait()
            self.launcher = None
        if self.group is None:
            return
        # Processes that die still have their groups for a moment.
        deadline = time.monotonic() + 10
        while self.group.exists() and time.monotonic() < deadline:
            for path, _, _ in os.walk(self.group, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(path)
            time.sleep(0.01)
        self.group = None

    def __enter__(self):
        return self.boot()

    def __exit__(self, *_):
        self.close()

    # What can be done in it.

    def run(self, *argv, data=None, check=True, timeout=60.0, env=()):
        """Run a command as its root; the result has text.  With "check", one
        that fails is an AssertionError that shows what it said."""
        done = subprocess.run(
            ["nsenter", "--target", str(self.init), "--mount", "--uts",
             "--ipc", "--net", "--pid", "--cgroup", *LIMITS, "env", "-i",
             f"PATH={PATH}", "LC_ALL=C.UTF-8", *env,
             *[str(word) for word in argv]],
            input=data, stdin=None if data is not None else
            subprocess.DEVNULL, capture_output=True, text=True,
            errors="surrogateescape", timeout=timeout, cwd="/",
            env={"PATH": os.environ.get("PATH", "") + ":" + PATH})
        if check and done.returncode != 0:
            raise AssertionError(f"{argv} ended with {done.returncode}: "
                                 f"{done.stdout}{done.stderr}")
        return done

    def path(self, name):
        """A file of the box, seen from outside.  Symbolic links with an
        absolute target would lead out."""
        return pathlib.Path(f"/proc/{self.init}/root{name}")

    def pid(self, inside):
        """The number that a process of the box has outside."""
        namespace = os.readlink(f"/proc/{self.init}/ns/pid")
        for name in os.listdir("/proc"):
            if not name.isdigit():
                continue
            try:
                if os.readlink(f"/proc/{name}/ns/pid") != namespace:
                    continue
                with open(f"/proc/{name}/status") as f:
                    numbers = [line for line in f
                               if line.startswith("NSpid:")]
            except OSError:
                continue
            if numbers and int(numbers[0].split()[-1]) == inside:
                return int(name)
        raise ProcessLookupError(inside)

    def kill(self, inside, sig=signal.SIGKILL):
        self.run("kill", f"-{int(sig)}", inside)

    @contextlib.contextmanager
    def network(self):
        """Sockets that are made meanwhile by this thread are the box's."""
        ours = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        theirs = os.open(f"/proc/{self.init}/ns/net", os.O_RDONLY)
        try:
            enter(theirs)
            try:
                yield
            finally:
                enter(ours)
        finally:
            os.close(ours)
            os.close(theirs)


def enter(namespace):
    if libc.setns(namespace, CLONE_NEWNET) == -1:
        raise OSError(ctypes.get_errno(), "setns")
