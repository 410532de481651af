# SPDX-License-Identifier: ISC
"""What must be true of the daemon and of a command, as the kernel shows it;
for the tests of privileges with and without systemd.  tests/attacker.c is the
other half."""

import re

# A process may not do it, whatever the target says.
DENIED = {"EPERM", "EACCES"}
# What a kernel may not have, and what only a port can say.
OTHERWISE = {
    "its port": {"EADDRINUSE"},
    "the service manager": {"ENOENT", "EACCES"},
    "setpgid": {"ESRCH"},       # It is no child of the command.
    "kcmp": DENIED | {"ENOSYS"},
    "perf_event_open": DENIED | {"ENOENT", "ENOSYS"},
    "process_madvise": DENIED | {"ENOSYS"},
    "migrate_pages": DENIED | {"ENOSYS"},
    "move_pages": DENIED | {"ENOSYS"},
}
OPTIONAL = re.compile(r"(read|write|list|follow) (numa_maps|stack|timers|"
                      r"autogroup|attr/current|map_files|fd/3|smaps|pagemap|"
                      r"clear_refs|syscall|io|timerslack_ns|uid_map|setgroups|"
                      r"comm)$")
ATTEMPTS = 70
VARIABLES = {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG",
             "AIS_SESSION", "AIS_REQUEST", "AIS_PEER_CN", "AIS_PEER_SUBJECT",
             "AIS_PEER_SERIAL", "AIS_PEER_FINGERPRINT", "AIS_PEER_ADDR"}


def check_attacks(output, attempts=ATTEMPTS):
    """No attempt of "attacker daemon" has worked, and each failed for want of
    a right and not by an accident."""
    wrong, count = [], 0
    for line in output.decode().splitlines():
        count += 1
        match = re.match(r"(.*) denied: (\w+)$", line)
        if line.endswith(" tried"):
            continue
        if not match:
            wrong.append(line)
            continue
        name, reason = match.groups()
        fine = OTHERWISE.get(name, DENIED)
        if OPTIONAL.match(name):
            fine = DENIED | {"ENOENT", "EINVAL"}
        if reason not in fine:
            wrong.append(line)
    assert not wrong, wrong
    assert count >= attempts, f"only {count} attempts"


def status(text):
    """/proc/PID/status as a dict of lists of words."""
    return {name: rest.split() for name, _, rest in
            (line.partition(":") for line in text.splitlines())}


def check_command(text, uid, gid):
    """The status of a command: one user, no group, no right, and nothing of
    the daemon's signals."""
    s = status(text)
    assert s["Uid"] == [str(uid)] * 4
    assert s["Gid"] == [str(gid)] * 4
    assert s["Groups"] == []
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(s[name][0], 16) == 0, name
    assert s["NoNewPrivs"] == ["1"]
    assert s["Seccomp"] == ["2"]
    for name in ("SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt"):
        assert int(s[name][0], 16) == 0, name
    assert s["Umask"] == ["0022"]


def check_daemon(text, owner, d, c):
    """The status of the daemon, and who owns its files in /proc; "d" and "c"
    are (uid, gid) of the daemon and of commands."""
    s = status(text)
    assert s["Uid"] == [str(n) for n in (d[0], c[0], d[0], d[0])]
    assert s["Gid"] == [str(n) for n in (d[1], c[1], d[1], d[1])]
    assert s["Groups"] == []
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(s[name][0], 16) == 0, name
    assert s["NoNewPrivs"] == ["1"]
    assert s["Threads"] == ["1"]
    # proc(5): not the process's user, if it is not dumpable.
    assert owner == 0


def check_variables(environ, more=()):
    """The names of a command's environment, from /proc/self/environ."""
    names = {entry.split(b"=", 1)[0].decode()
             for entry in environ.split(b"\0") if entry}
    assert names == VARIABLES | set(more)
