# SPDX-License-Identifier: ISC
"""How a row of the table is run: plainly, and over AIS in each way.

A Place is one aisd, the folders that its commands see, and the certificates
of four clients, one for each kind of rule.  run(row, way) returns a Result,
which can be compared with that of the way "plain".

    plain       by execve(2), as the command user, as aisd(8) describes it
    anything    by path, from a client whose rule grants anything
    bare        the same by its name, where it is found by the key path
    path        by path, from a client to whom the path is granted
    last        the same by the path's last part
    name        by a name, with its arguments in the rule and paths in slots
    line        the words as one line of aisc-ssh, without a shell
    shell       the same, from a client to whom a shell is granted
    sshd        the same over OpenSSH
"""

import contextlib
import ctypes
import os
import pathlib
import pwd
import shlex
import shutil
import stat
import subprocess
import time
from typing import NamedTuple

import aisd
from rows import Slot

WAYS = ("anything", "bare", "path", "last", "name", "line", "shell", "sshd")
PATH = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin",
        "/bin"]
RULE_OF = {"anything": "anything", "bare": "anything", "line": "anything",
           "path": "path", "last": "path", "name": "name", "shell": "shell"}
SSHD = "/usr/sbin/sshd"
LIMIT = 30.0
libc = ctypes.CDLL(None, use_errno=True)


class Result(NamedTuple):
    """What came of a run; the names of its parts are those of Differs."""
    status: int
    out: bytes
    err: bytes
    files: dict

    def differences(self, other):
        return [part for part in self._fields
                if getattr(self, part) != getattr(other, part)]


# rt_sigaction(2): whoever runs the tests may have ignored any signal, and libc's
# own sigaction(3) does not touch the two that it keeps to itself.
SIGACTION = {"x86_64": 13, "aarch64": 134, "i686": 174, "armv7l": 174}.get(
    os.uname().machine)


def reset_signals():
    """As aisd does it for itself and for a command."""
    if SIGACTION:
        for number in range(1, 65):
            libc.syscall(SIGACTION, number, bytes(64), None, 8)


def begin():
    """What aisd does for a command, before it is executed."""
    reset_signals()
    if libc.prctl(38, 1, 0, 0, 0) != 0:         # PR_SET_NO_NEW_PRIVS
        raise OSError(ctypes.get_errno(), "prctl")


def snapshot(top):
    """Names, types, modes and contents of all that is in a directory."""
    found = {}
    for folder, folders, files in os.walk(top):
        for name in folders + files:
            path = os.path.join(folder, name)
            mode = os.lstat(path).st_mode
            content = None
            if stat.S_ISLNK(mode):
                content = os.readlink(path)
            elif stat.S_ISREG(mode):
                content = pathlib.Path(path).read_bytes()
            found[os.path.relpath(path, top)] = (stat.filemode(mode), content)
    return found


def write(top, files, owner=None):
    """Write files into a directory: text, bytes, (text, mode), None for a
    directory, or a pathlib.Path for a link to it."""
    for name, content in files.items():
        path, mode = top / name, None
        if isinstance(content, tuple):
            content, mode = content
        missing = [p for p in path.parents if not p.exists()]
        for folder in reversed(missing):
            folder.mkdir()
            folder.chmod(0o755)
            if owner:
                os.chown(folder, *owner)
        if isinstance(content, pathlib.Path):
            path.symlink_to(content)
        elif content is None:
            path.mkdir(exist_ok=True)
            path.chmod(mode or 0o755)
        else:
            path.write_bytes(content if isinstance(content, bytes)
                             else content.encode())
            path.chmod(mode or 0o644)
        if owner:
            os.chown(path, *owner, follow_symlinks=False)
    # The same time in each run.
    for folder, _, names in os.walk(top, topdown=False):
        for name in [*names, "."]:
            os.utime(os.path.join(folder, name), (10 ** 9, 10 ** 9),
                     follow_symlinks=False)


def literal(word):
    """Can this word stand in a rule?"""
    return len(word) < 4096 and word.isprintable() and word.isascii()


class Place:
    """Where rows are run; "account" is the command user's entry of passwd(5),
    "user" the daemon's name, or None for a daemon of this very user."""

    def __init__(self, top, rows, program, authority, account, user, slowness):
        self.top, self.rows, self.slowness = top, rows, slowness
        self.account, self.user = account, user
        self.owner = (account.pw_uid, account.pw_gid) if user else None
        self.bin, self.work, self.own, self.fixed = (
            top / name for name in ("bin", "work", "own", "fixed"))
        for folder in (self.bin, self.fixed, top / "aisd"):
            folder.mkdir()
            folder.chmod(0o755)
        for row in rows:
            if row.files:
                write(self.bin / row.name, self.filled(row.files))
            if row.tree:
                write(self.fixed / row.name, self.filled(row.tree))
        self.aisc = program("aisc")
        self.pairs = {}
        for name in ("anything", "path", "name", "shell"):
            pair = authority.client(f"fidelity-{name}")
            self.pairs[name] = pair
            (top / f"{name}.conf").write_text(
                f'authority = "{pair.ca}";\ncertificate = "{pair.cert}";\n'
                f'key = "{pair.key}";\n')
        self.daemon = self.make_daemon(program("aisd"), authority)
        self.sshd = Sshd(self)

    # The daemon and its rules.

    def make_daemon(self, words, authority):
        home, pair, keys = self.top / "aisd", authority.server(), {}
        if self.user:
            entry = pwd.getpwnam(self.user)
            os.chown(home, entry.pw_uid, entry.pw_gid)
            for kind in ("cert", "key", "ca"):
                target = home / f"{kind}.pem"
                shutil.copyfile(getattr(pair, kind), target)
                os.chown(target, 0, entry.pw_gid)
                target.chmod(0o640)
                pair = pair._replace(**{kind: str(target)})
            keys = {"unprivileged": None, "user": self.user,
                    "command_user": self.account.pw_name}
            env = dict(os.environ, ASAN_OPTIONS="detect_leaks=0")
        else:
            env = None
        daemon = aisd.Daemon(
            words, home, pair, rules=",\n".join(self.rules()), env=env,
            slowness=self.slowness, directory=self.work,
            # Shorter than what some rows leave behind goes on for.
            output_wait=0.5 * min(self.slowness, 4),
            path=[*PATH, self.bin / "found-by-name"],
            accept_environment=["*"], **keys)
        if self.user:
            daemon.conf.chmod(0o640)
            os.chown(daemon.conf, 0, entry.pw_gid)
        return daemon

    def rules(self):
        callable_rows = [row for row in self.rows if row.program]
        paths = dict.fromkeys(self.program(row) for row in callable_rows)
        yield '{ name = "anything"; peers = [ "fidelity-anything" ]; ' \
            'anything = true; }'
        yield '{ name = "shell"; peers = [ "fidelity-shell" ]; ' \
            'anything = true; shell = true; }'
        yield '{ name = "path"; peers = [ "fidelity-path" ]; commands = (\n' + \
            ",\n".join(map(aisd.quote, paths)) + ' ); }'
        yield '{ name = "name"; peers = [ "fidelity-name" ]; commands = (\n' + \
            ",\n".join(map(self.group, callable_rows)) + ' ); }'

    def group(self, row):
        """The entry of a rule that grants a row by its name."""
        words, as_it_stands = [], self.as_it_stands(row)
        for word in row.args:
            if isinstance(word, Slot):
                more = f"pinned = {aisd.setting(row.pinned)}; " \
                    if row.pinned is not None else ""
                words.append(f"{{ below = {aisd.quote(self.below(row, word))};"
                             f" {more}}}")
            elif as_it_stands:
                words.append(aisd.quote(self.fill(word)))
        if not as_it_stands:
            words = ["{ any = true; rest = true; }"]
        return f'{{ name = {aisd.quote(row.name)}; ' \
            f'program = {aisd.quote(self.program(row))}; ' \
            f'arguments = ( {", ".join(words)} ); }}'

    def as_it_stands(self, row):
        return all(isinstance(word, Slot) or literal(self.fill(word))
                   for word in row.args)

    # Words and paths of a row.

    def program(self, row):
        return row.program if row.program.startswith("/") \
            else str(self.bin / row.name / row.program)

    def below(self, row, slot):
        return self.own if slot.own else self.fixed / row.name

    def fill(self, text):
        """Put the places where they are meant."""
        if isinstance(text, bytes):
            return self.fill(text.decode("latin-1")).encode("latin-1")
        for name in ("bin", "work", "own", "fixed"):
            text = text.replace(f"@{name}@", str(getattr(self, name)))
        return text

    def filled(self, files):
        return {name: self.fill(content) if isinstance(content, (str, bytes))
                else (self.fill(content[0]), content[1])
                if isinstance(content, tuple) and content[0] is not None
                else content for name, content in files.items()}

    def words(self, row):
        return [str(self.below(row, word) / word.path)
                if isinstance(word, Slot) else self.fill(word)
                for word in row.args]

    def environment(self):
        """What aisd.conf(5) says of a command's environment, but for the
        variables of a session."""
        name, value = self.daemon.mark.split("=")
        return {"PATH": ":".join(map(str, self.daemon.keys["path"])),
                "HOME": self.account.pw_dir, "USER": self.account.pw_name,
                "LOGNAME": self.account.pw_name, "SHELL": "/bin/sh",
                "LANG": "C.UTF-8", name: value}

    # Running.

    def prepare(self, row):
        """Fresh directories for one run."""
        for folder, files in ((self.work, row.work), (self.own, row.tree)):
            if folder.exists():
                shutil.rmtree(folder)
            folder.mkdir()
            folder.chmod(0o755)
            if self.owner:
                os.chown(folder, *self.owner)
            write(folder, self.filled(files), self.owner)
        if row.tree and not self.user:      # Nobody keeps it from changing.
            shutil.rmtree(self.fixed / row.name, ignore_errors=True)
            (self.fixed / row.name).mkdir()
            write(self.fixed / row.name, self.filled(row.tree))

    def reason_not_to(self, row, way):
        """Why a row is not run in this way, or None."""
        if way in row.without:
            return row.without[way]
        if row.program is None and way not in ("shell", "sshd"):
            return "has no program"
        if way == "bare" and os.path.dirname(self.program(row)) \
                not in map(str, self.daemon.keys["path"]):
            return "not found by its name"
        if way == "sshd":
            return self.sshd.missing()
        return None

    def run(self, row, way):
        """Run a row in one way, in fresh directories."""
        self.prepare(row)
        start = self.plainly if way in ("plain", "plain-bare") else self.called
        process = start(row, way)
        if process is None:
            status, out, err = 126, b"", b""
        else:
            out, err = collect(process, row, LIMIT * self.slowness)
            status = process.returncode
        if row.leaves:
            self.settle(row, way)
        files = {"work": snapshot(self.work), "own": snapshot(self.own)}
        return Result(128 - status if status < 0 else status,
                      row.normal(out), row.normal(err), files)

    def settle(self, row, way):
        """Wait until what a row leaves behind has ended by itself; end it
        where it would not.  Over AIS the end of the session does that."""
        patience = row.leaves if way in ("plain", "plain-bare", "sshd") else 5
        with contextlib.suppress(AssertionError):
            aisd.wait_until(lambda: not self.daemon.leftovers(), "its end",
                            patience)
        for pid in self.daemon.leftovers():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
            assert way in ("plain", "plain-bare", "sshd"), "left behind"
        aisd.wait_until(lambda: not self.daemon.leftovers(), "the end of all")

    def streams(self, row, words, owner=None, **how):
        """Start it with pipes, which "owner" may open by a name as well."""
        pipes = [os.pipe() for _ in range(3)]
        (stdin, to_stdin), (out, stdout), (err, stderr) = pipes
        for pipe, _ in pipes:
            if owner:
                os.fchown(pipe, *owner)
        try:
            process = subprocess.Popen(
                words, stdout=stdout, stderr=stdout if row.merged else stderr,
                stdin=subprocess.DEVNULL if row.stdin is None else stdin, **how)
        except OSError:
            for fd in (to_stdin, out, err):
                os.close(fd)
            return None         # It cannot be executed.
        finally:
            for fd in (stdin, stdout, stderr):
                os.close(fd)
        process.stdout, process.stderr = open(out, "rb"), open(err, "rb")
        if row.stdin is None:
            os.close(to_stdin)
        else:
            process.stdin = open(to_stdin, "wb")
        return process

    def plainly(self, row, way):
        if row.program is None:
            path = "/bin/sh"
            words = ["sh", *(["-c", self.fill(row.line)] if row.line else [])]
        else:
            path = self.program(row)
            words = [path, *self.words(row)]
        if way == "plain-bare":
            words[0] = os.path.basename(path)
        how = {"user": self.account.pw_uid, "group": self.account.pw_gid,
               "extra_groups": []} if self.user else {}
        return self.streams(
            row, words, self.owner, executable=path, cwd=self.work,
            umask=0o022, env=self.environment(), start_new_session=True,
            preexec_fn=begin, **how)

    def called(self, row, way):
        if way == "sshd":
            words = self.sshd.words(row)
        else:
            rsh = way in ("line", "shell")
            conf = self.top / f"{RULE_OF[way]}.conf"
            words = [*self.aisc, *(["--rsh"] if rsh else []), "-F", str(conf),
                     "-p", str(self.daemon.port), "localhost",
                     *self.command(row, way)]
        env = {name: value for name, value in os.environ.items()
               if name == "PATH" or name.endswith("SAN_OPTIONS")}
        # A caller's locale is nothing of the command's.
        return self.streams(row, words, env={**env, "HOME": str(self.top)})

    def command(self, row, way):
        if row.program is None:
            return [self.fill(row.line)] if row.line else []
        words, program = self.words(row), self.program(row)
        if way in ("line", "shell"):
            return [shlex.join([program, *words])]
        if way == "name":
            if self.as_it_stands(row):
                words = [word for word, given in zip(words, row.args)
                         if isinstance(given, Slot)]
            return [row.name, *words]
        if way in ("bare", "last"):
            program = os.path.basename(program)
        return [program, *words]

    # Its life.

    def start(self):
        self.prepare(self.rows[0])
        self.daemon.start()

    def stop(self):
        self.sshd.stop()
        self.daemon.stop()

    def kill(self):
        self.sshd.stop()
        self.daemon.kill()


def collect(process, row, limit):
    """Read the outputs until their ends, or, where the row leaves somebody
    behind who keeps them open, for a while after the process has ended."""
    ended, until = False, time.monotonic() + limit
    while True:
        try:
            return process.communicate(row.stdin, row.holds or limit)
        except subprocess.TimeoutExpired as over:
            if ended:
                out, err = over.stdout, over.stderr
                process.stdout.close()
                process.stderr.close()
                return out or b"", err or b""
            # Once more, for what it wrote just before its end.
            ended = row.holds and process.poll() is not None
            if not ended and time.monotonic() > until:
                process.kill()
                process.communicate()
                raise AssertionError(f"does not end: {over}") from None


class Sshd:
    """OpenSSH's server beside a Place, for the one connection that all rows
    share: it has no port that another process could have.  Started as root, it
    sees the command user with a shell, in a passwd(5) of its own."""

    def __init__(self, place):
        self.place, self.master, self.why = place, None, None
        self.socket = place.top / "ssh"
        self.log = place.top / "sshd.log"

    def missing(self):
        """Start it with the first row; why there is none, or None."""
        if self.master is None and self.why is None:
            try:
                self.start()
            except (OSError, AssertionError, subprocess.SubprocessError) as e:
                self.why = f"sshd does not run here: {e}"
        return self.why

    def start(self):
        place, top = self.place, self.place.top
        if not os.path.exists(SSHD):
            raise OSError("openssh-server is not installed")
        for key in ("hostkey", "userkey"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "",
                            "-f", str(top / key)], check=True)
        shutil.copy(top / "userkey.pub", top / "authorized")
        (top / "authorized").chmod(0o644)
        variables = " ".join(f'{name}="{value}"' for name, value
                             in place.environment().items())
        (top / "sshd_config").write_text(
            f"HostKey {top}/hostkey\n"
            f"AuthorizedKeysFile {top}/authorized\nStrictModes no\n"
            "UsePAM no\nPasswordAuthentication no\nPrintLastLog no\n"
            f"PidFile none\nPrintMotd no\nSetEnv {variables}\n")
        words = [SSHD, "-i", "-e", "-f", str(top / "sshd_config")]
        if place.user:
            words = self.apart(words)
        with open(self.log, "wb") as log:
            self.master = subprocess.Popen(
                ["ssh", *self.options(), "-o", "ProxyCommand="
                 + shlex.join(words).replace("%", "%%"), "-M", "-N",
                 self.address()], stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, preexec_fn=reset_signals)
        try:
            aisd.wait_until(
                lambda: self.master.poll() is not None or
                self.control("check").returncode == 0, "a session", 30)
            assert self.master.poll() is None, "ssh has ended"
        except AssertionError:
            self.stop()
            raise AssertionError(self.log.read_text(errors="replace")[-300:]
                                 ) from None

    def address(self):
        return f"{self.place.account.pw_name}@127.0.0.1"

    def control(self, what):
        """Ask the client that holds the connection."""
        return subprocess.run(["ssh", *self.options(), "-O", what,
                               self.address()], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, check=False)

    def apart(self, words):
        """In a mount namespace where the user has a shell, and where sshd
        finds its empty directory."""
        account, lines = self.place.account, []
        for entry in pwd.getpwall():
            if entry.pw_name == account.pw_name:
                entry = account
                lines.append(f"{entry.pw_name}:*:{entry.pw_uid}:{entry.pw_gid}"
                             "::/:/bin/sh")
            else:
                lines.append(":".join(map(str, entry)))
        passwd = self.place.top / "passwd"
        passwd.write_text("\n".join(lines) + "\n")
        passwd.chmod(0o644)
        return ["unshare", "-m", "sh", "-c",
                'mount --bind "$1" /etc/passwd && '
                'mount -t tmpfs -o mode=755 none /run && '
                'mkdir -m 755 /run/sshd && shift && exec "$@"', "sh",
                str(passwd), *words]

    def options(self):
        return ["-F", "none", "-S", str(self.socket), "-T", "-q",
                "-i", str(self.place.top / "userkey"),
                "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=no",
                "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes"]

    def words(self, row):
        """Whatever shell the user has, it only enters the directory."""
        line = "exec sh"
        if row.program:
            line = "exec " + self.place.command(row, "shell")[0]
        elif row.line:
            line = shlex.join(["exec", "sh", "-c", self.place.fill(row.line)])
        return ["ssh", *self.options(), self.address(),
                f"cd {shlex.quote(str(self.place.work))} && {line}"]

    def stop(self):
        if self.master is not None:
            self.control("exit")
            self.master.terminate()
            self.master.wait()
            self.master = None
