# SPDX-License-Identifier: ISC
"""The completions offer the options that --help shows, with what they take."""

import re
import subprocess

import pytest

PROGRAMS = ["ais-ca", "aisc", "aisd", "aisd-report"]
OPTION = r"(?<![\w-])(?:-\w|--[a-z][a-z-]+)(?![\w-])"


def of_help(text):
    """Each option of --help, and whether it takes a value.

    In "-c, --command LINE" both do; in "-q, --quiet" none.
    """
    found = {}
    for line in text.splitlines():
        row = re.match(r" {2,8}(-.*?)(?:  |$)", line)
        if not row:
            continue
        words = row[1].split(", ")
        for n, word in enumerate(words):
            name = word.split()[0]
            both = n + 1 < len(words) and len(name) == 2 and \
                words[n + 1].startswith("--")
            found[name] = " " in (words[n + 1] if both else word)
    return found


def of_bash(text):
    """Of lists of words: those that take nothing are the flags."""
    lists = re.findall(r"^\tlocal (\w+)=' ([^']*)'$", text, flags=re.M)
    return {word: name != "flags" for name, words in lists
            for word in words.split()}


def of_zsh(text):
    """Of specifications: '(-c --command)'{-c,--command}'[what]:line:'."""
    rows = re.findall(r"^\t'([^\[\n]*)\[(.*)' \\$", text, flags=re.M)
    return {name: bool(re.search(r"(?<!\\):", rest)) for names, rest in rows
            for name in re.findall(OPTION, names)}


def of_fish(text):
    """Of complete -s c -l command -x."""
    found = {}
    for line in re.findall(r"^complete (.*)$", text.replace("\\\n", ""),
                           flags=re.M):
        words = line.split(" -d ")[0].split()
        for sign, dashes in ("-s", "-"), ("-l", "--"):
            if sign in words:
                found[dashes + words[words.index(sign) + 1]] = \
                    "-x" in words or "-r" in words
    return found


SHELLS = {"bash": ("bash/{}", of_bash), "zsh": ("zsh/_{}", of_zsh),
          "fish": ("fish/{}.fish", of_fish)}


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_options(name, shell, srcdir, program):
    done = subprocess.run([*program(name), "--help"], capture_output=True,
                          stdin=subprocess.DEVNULL, text=True, timeout=60,
                          check=True)
    path, parse = SHELLS[shell]
    text = (srcdir / "completion" / path.format(name)).read_text()
    assert parse(text) == of_help(done.stdout)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("command, option", [
    ("init", "algorithm"), ("revoke", "reason")])
def test_values_of_ais_ca(command, option, shell, srcdir, program):
    """They are those that it names when it gets another one."""
    done = subprocess.run(
        [*program("ais-ca"), command, "--" + option, "nonsense", "name"],
        capture_output=True, stdin=subprocess.DEVNULL, text=True, timeout=60)
    taken = re.split(r", | and ", re.search(r" is none of ([^;]*)",
                                            done.stderr)[1])
    text = (srcdir / "completion" / SHELLS[shell][0].format("ais-ca")
            ).read_text()
    assert ' '.join(taken) in text


def test_the_checks_themselves():
    assert of_help("usage: x [-z]\n  -c, --command LINE  with -y\n  -q, -v\n"
                   "      --one N, --two N  three\n  -d DIR   four\n") == {
        "-c": True, "--command": True, "-q": False, "-v": False,
        "--one": True, "--two": True, "-d": True}
    assert of_bash("\tlocal flags=' -q\n\t\t--quiet '\n\tlocal x=' -c '\n") == {
        "-q": False, "--quiet": False, "-c": True}
    assert of_zsh("\t'(-c --co)'{-c,--co}'[x-y -z]:line:' \\\n"
                  "\t'--list[all]' \\\n") == {
        "-c": True, "--co": True, "--list": False}
    assert of_fish("complete -c x -s c -l co -x \\\n    -d 'y -l z'\n"
                   "complete -c x -l list\n") == {
        "-c": True, "--co": True, "--list": False}
