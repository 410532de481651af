# SPDX-License-Identifier: ISC
"""Reads a road, a page that says what to type, and walks it in a box.

A page has blocks of two kinds.  One shows terminals:

    ```console
    root@server:~# systemctl is-active aisd
    active
    alice@desk:~$ aisc server.example.org cat <<'EOF'
    two words
    EOF
    two words
    ```

Each line with a prompt is run as that user in that directory, and must end
with 0.  What stands under it is what it prints, to the letter; "..." stands
for anything, within a line or for any number of lines.  Where nothing stands
under it, what it prints does not matter.  A line that ends in a backslash, and
a here document, go on in the next.  The other kind is a file, as a whole:

    This is `/etc/aisd.conf.d/nagios.conf`:

    ```conf /etc/aisd.conf.d/nagios.conf
    rules = ( ... );
    ```

The text before it names the file as well: a reader does not see the fence.

"<!-- needs: NAME ... -->" names programs without which it cannot be walked.
All machines of a page are one box: their names are on the page alone.
"""

import dataclasses
import re

PROMPT = re.compile(r"(?P<user>[a-z][a-z0-9-]*)@(?P<machine>[a-z0-9]+)"
                    r":(?P<directory>[~/]\S*)[#$] (?P<command>.*)")
HERE_DOCUMENT = re.compile(r"<<'?(\w+)'?")
DOMAIN = "example.org"


class RoadError(Exception):
    """The page is not as it has to be; the text says where."""


@dataclasses.dataclass
class Command:
    line: int
    user: str
    machine: str
    directory: str
    command: str
    printed: list


@dataclasses.dataclass
class File:
    line: int
    path: str
    text: str


def needs(text):
    """The programs that a page asks for."""
    return [name for words in re.findall(r"<!-- needs: (.*?) -->", text)
            for name in words.split()]


def read(text):
    """The steps of a page, in order."""
    steps, prose, lines = [], "", iter(enumerate(text.splitlines(), 1))
    for number, line in lines:
        if not line.startswith("```"):
            prose += line + "\n"
            continue
        kind, _, path = line[3:].partition(" ")
        block = []
        for at, inner in lines:
            if inner == "```":
                break
            block.append((at, inner))
        else:
            raise RoadError(f"line {number}: the block does not end")
        if kind == "console":
            steps += commands(block)
        elif kind == "conf" and path:
            if f"`{path}`" not in prose:
                raise RoadError(f"line {number}: the text before the block "
                                f"does not name {path}")
            steps.append(File(number, path, "".join(
                inner + "\n" for _, inner in block)))
        else:
            raise RoadError(f"line {number}: a block of no known kind")
        prose = ""
    return steps


def commands(block):
    """The commands of a block that shows terminals."""
    found, lines = [], iter(block)
    for number, line in lines:
        prompt = PROMPT.fullmatch(line)
        if not prompt:
            if not found:
                raise RoadError(f"line {number}: no prompt: {line}")
            found[-1].printed.append(line)
            continue
        parts = [prompt["command"]]
        while parts[-1].endswith("\\"):
            parts.append(next(lines)[1])
        word = HERE_DOCUMENT.search(parts[-1])
        while word and parts[-1] != word[1]:
            parts.append(next(lines)[1])
        found.append(Command(number, prompt["user"], prompt["machine"],
                             prompt["directory"], "\n".join(parts), []))
    return found


def fits(printed, said):
    """Whether a command said what the page has."""
    pattern = "".join(
        "(?:.*\n)*" if line == "..." else
        re.escape(line).replace(r"\.\.\.", ".*") + "\n" for line in printed)
    return re.fullmatch(pattern, said.rstrip("\n") + "\n") is not None


def home(user):
    return "/root" if user == "root" else f"/home/{user}"


def people(box, steps):
    """The machines and the users of a page.  Root reaches all of them by ssh,
    where there is a server for it."""
    typed = [step for step in steps if isinstance(step, Command)]
    names = sorted({"server"} | {step.machine for step in typed})
    box.run("sed", "-i", "/^127.0.1.1/d", "/etc/hosts")
    with box.path("/etc/hosts").open("a") as hosts:
        for name in names:
            hosts.write(f"127.0.0.1 {name}.{DOMAIN} {name}\n")
    users = sorted({step.user for step in typed} - {"root"})
    for user in users:
        box.run("useradd", "-m", "-s", "/bin/bash", user)
    if not any("scp" in (step.command if isinstance(step, Command) else
                         step.text) for step in steps):
        return
    box.run("sh", "-ec", """
        test -e /etc/ssh/ssh_host_ed25519_key || ssh-keygen -q -A
        install -d -m 755 /run/sshd
        systemctl start systemd-user-sessions
        /usr/sbin/sshd
        for user in root "$@"
        do
            home=$(eval echo ~"$user")
            rm -rf "$home/.ssh"
            install -d -m 700 -o "$user" "$home/.ssh"
            ssh-keygen -q -t ed25519 -N '' -f "$home/.ssh/id_ed25519"
            cat "$home/.ssh/id_ed25519.pub" >>/run/keys
            echo "StrictHostKeyChecking accept-new" >"$home/.ssh/config"
        done
        for user in root "$@"
        do
            home=$(eval echo ~"$user")
            cp /run/keys "$home/.ssh/authorized_keys"
            chown -R "$user" "$home/.ssh"
        done""", "sh", *users)


def walk(box, steps, timeout=120):
    """Do in the box what a page says; AssertionError with the line where it
    does not come out as it says."""
    for step in steps:
        if isinstance(step, File):
            box.run("mkdir", "-p", step.path.rpartition("/")[0] or "/")
            box.path(step.path).write_text(step.text)
            continue
        done = box.run(
            "runuser", "-u", step.user, "--", "env",
            f"HOME={home(step.user)}", f"USER={step.user}", "bash", "-c",
            f"exec 2>&1; cd {step.directory} || exit; {step.command}",
            check=False, timeout=timeout)
        told = f"line {step.line}: {step.command}\nended with " \
            f"{done.returncode}, and said:\n{done.stdout}{done.stderr}"
        assert done.returncode == 0, told
        assert not step.printed or fits(step.printed, done.stdout), \
            told + "\nThe page has:\n" + "\n".join(step.printed)
