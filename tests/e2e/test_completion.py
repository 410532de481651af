# SPDX-License-Identifier: ISC
"""What Tab offers in the shells themselves."""

import os
import pty
import re
import select
import shutil
import subprocess
import time

import pytest

# What completes is a script of the shell.
pytestmark = pytest.mark.same("build")

CONF = """
# match = "commented";
hosts = (
  { match = [ "web", "*.example.org",
              "db-1.example.org" ]; port = 1; },     // match = "no";
  { match = "mail"; server_name = "nomatch"; },
  { match : ( "files", "$HOME" ); }, { match = [ "$(touch x)", "last" ]; }
);
rematch = "not-this";
"""
HOSTS = {"web", "db-1.example.org", "mail", "files", "last"}


class Bash:
    """The function that the file registers, called as bash calls it."""

    def __init__(self, folder, home):
        self.folder, self.home = folder / "bash", home

    def __call__(self, *words):
        name = words[0]
        script = f"""
            source {self.folder}/{name}
            COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
            $(complete -p {name} | sed 's/.*-F \\([^ ]*\\).*/\\1/')
            printf '%s\\n' "${{COMPREPLY[@]}}"
        """
        done = subprocess.run(
            ["bash", "--norc", "-c", script, "bash", *words], text=True,
            capture_output=True, timeout=60, cwd=self.home,
            env={"HOME": str(self.home), "PATH": os.environ["PATH"]})
        assert done.stderr == ""
        return set(done.stdout.split())


class Fish:
    """As fish does it for a line."""

    def __init__(self, folder, home):
        self.folder, self.home = folder / "fish", home

    def __call__(self, *words):
        script = f"source {self.folder}/{words[0]}.fish; complete -C \"$argv\""
        done = subprocess.run(
            ["fish", "--no-config", "-c", script, " ".join(words)], text=True,
            capture_output=True, timeout=60, cwd=self.home,
            env={"HOME": str(self.home), "PATH": os.environ["PATH"]})
        assert done.stderr == ""
        return {line.split("\t")[0] for line in done.stdout.splitlines()}


class Zsh:
    """At a terminal, for compsys lives in the line editor; what would be
    offered is taken where it is added."""

    START = """
        PS1='ready> '; unset zle_bracketed_paste; unsetopt prompt_cr beep
        fpath=({folder} $fpath); autoload -Uz compinit; compinit -u -D
        zstyle ':completion:*' verbose no
        LISTMAX=100000; bindkey '^I' list-choices; bindkey '^U' kill-whole-line
        print start''ed
    """

    def __init__(self, folder, home):
        pid, self.fd = pty.fork()
        if pid == 0:
            os.chdir(home)
            os.execvpe("zsh", ["zsh", "-f", "-i"], {
                "HOME": str(home), "PATH": os.environ["PATH"],
                "TERM": "dumb", "COLUMNS": "500", "LINES": "200"})
        self.pid, self.text = pid, b""
        start = self.START.format(folder=folder / "zsh")
        self.write("; ".join(line.strip() for line in
                             start.strip().splitlines()) + "\n")
        self.wait_for(rb"started\s+ready> ")

    def write(self, text):
        os.write(self.fd, text.encode())

    def wait_for(self, pattern):
        deadline = time.monotonic() + 60
        while not (match := re.search(pattern, self.text, re.S)):
            assert time.monotonic() < deadline, self.text
            if select.select([self.fd], [], [], 1)[0]:
                self.text += os.read(self.fd, 65536)
        self.text = self.text[match.end():]
        return match

    def __call__(self, *words):
        line = " ".join(words)
        # The line is not run: it is killed, and something else is.
        self.write(line + "\t")
        self.write("\x15print do''ne\n")
        match = self.wait_for(rb"(.*?)print do''ne\s+done\s+ready> ")
        text = match[1].decode().replace(line, "", 1)
        return set(re.sub(r"\x1b\[[\d;?]*[A-Za-z]", " ", text).split())

    def close(self):
        os.close(self.fd)
        os.waitpid(self.pid, 0)


@pytest.fixture(scope="module", params=[Bash, Fish, Zsh])
def complete(request, srcdir, tmp_path_factory):
    """A function from the words of a line to what is offered for the last."""
    name = request.param.__name__.lower()
    if not shutil.which(name):
        pytest.skip(f"{name} is not installed")
    home = tmp_path_factory.mktemp(name)
    (home / ".config" / "ais").mkdir(parents=True)
    (home / ".config" / "ais" / "aisc.conf").write_text(CONF)
    (home / "other.conf").write_text('hosts = ( { match = "other"; } );\n')
    (home / "folder").mkdir()
    shell = request.param(srcdir / "completion", home)
    yield shell
    assert not (home / "x").exists()
    if request.param is Zsh:
        shell.close()


def test_options_of_aisc(complete):
    offered = complete("aisc", "--")
    assert {"--ca", "--list", "--no-progress", "--version"} <= offered
    assert complete("aisc", "-p", "1", "--connect") >= {"--connect-timeout"} \
        or "seconds" in complete("aisc", "-p", "1", "--connect")


def test_hosts(complete):
    assert complete("aisc", "") & HOSTS == HOSTS
    assert not complete("aisc", "") & {"commented", "no", "nomatch",
                                       "not-this", "*.example.org"}
    assert complete("aisc", "-q", "--timeout", "5", "") >= HOSTS
    assert "other" in complete("aisc", "-F", "other.conf", "")
    assert "web" not in complete("aisc", "-F", "other.conf", "")


def test_nothing_behind_the_host(complete):
    for words in ("web", ""), ("web", "-"), ("-q", "web", "--"), \
            ("web", "ls", ""):
        offered = complete("aisc", *words)
        assert not offered & (HOSTS | {"--list", "-q", "folder"}), offered


def test_files(complete):
    for option in "--ca", "-F", "--config", "-f":
        assert "other.conf" in complete("aisc", option, "ot") or \
            "other.conf" in complete("aisc", option, "")
    assert "other.conf" not in complete("aisc", "-p", "")
    assert {"folder", "folder/"} & complete("ais-ca", "-d", "")
    assert "other.conf" not in complete("ais-ca", "--out", "")
    assert "other.conf" in complete("aisd", "--explain", "")
    assert "other.conf" in complete("aisd-report", "-j", "")


def test_words(complete):
    assert {"init", "server", "client", "revoke"} <= complete("ais-ca", "")
    assert not {"init", "server"} & complete("ais-ca", "server", "")
    assert {"p256", "ed25519"} <= complete("ais-ca", "init", "--algorithm", "")
    assert {"peers", "slowest"} <= complete("aisd-report", "-t", "")
    assert {"--explain", "--check-config"} <= complete("aisd", "--")
