# SPDX-License-Identifier: ISC
"""The manual pages, the programs' --help and the samples say the same."""

import re
import subprocess

import pytest

PROGRAMS = {"aisd": "aisd.8", "aisc": "aisc.1", "ais-ca": "ais-ca.8",
            "aisd-report": "aisd-report.8"}
CONFIGURED = {"aisd": "aisd.conf", "aisc": "aisc.conf"}
# The least configuration that makes a program show every key it knows.
LEAST = {
    "aisd": 'unprivileged = true;\n'
            'rules = ( { peers = [ "*" ]; anything = true; } );\n',
    "aisc": "",
}


def page(srcdir, name):
    """The source of a manual page, or skip."""
    path = srcdir / "man" / name
    if not path.exists():
        pytest.skip(f"man/{name} is not written")
    return path.read_text()


def output(words):
    """What a program says on standard output when all is well."""
    done = subprocess.run(words, stdin=subprocess.DEVNULL, text=True,
                          capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def help_options(text):
    """Options that begin a line of --help: "  -c, --config FILE  ..."."""
    found = set()
    for line in text.splitlines():
        match = re.match(r"\s*((?:(?:-\w|--[a-z][a-z-]+)"
                         r"(?:[ =][A-Z](?:[A-Z=:,_-]*[A-Z])?)?"
                         r"(?:, *| +or +)?)+)", line)
        if match:
            found |= set(re.findall(r"(?<![\w-])(?:-\w|--[a-z][a-z-]+)\b",
                                    match.group(1)))
    return found


def page_options(text):
    """Options that a page lists: ".It Fl c Ar FILE , Fl -config", ".Op Fl q".

    Elsewhere an option may be another program's.
    """
    found = set()
    for line in re.findall(r"^\.(?:It|Op) (.*)$", text, flags=re.M):
        for name in re.findall(r"\bFl ((?:Fl )?-?[\w-]+)", line):
            found.add("-" + name.replace("Fl ", "-"))
    return found


def config_keys(text):
    """Keys that are set in libconfig text: "key = value;"."""
    return set(re.findall(r"^\s*([a-z][a-z0-9_]*)\s*(?:=|:\s*[({\[])", text,
                          flags=re.M))


def sample_keys(text):
    """The same, where a sample shows some keys behind a "#"."""
    return config_keys(re.sub(r"^\s*#\s?(?=\s*[a-z][a-z0-9_]*\s*[=:])", "",
                              text, flags=re.M))


def page_keys(text):
    """Keys that a page lists as items: ".It Ic listen"."""
    return {name for line in re.findall(r"^\.It ((?:Ic|Va|Cm) .*)$", text,
                                        flags=re.M)
            for name in re.findall(r"\b(?:Ic|Va|Cm) ([a-z][a-z0-9_]*)", line)}


@pytest.mark.parametrize("name", PROGRAMS)
def test_options(name, srcdir, program):
    offered = help_options(output([*program(name), "--help"]))
    described = page_options(page(srcdir, PROGRAMS[name]))
    assert offered, f"{name} --help shows no option"
    assert offered - described == set(), "not in the manual"
    assert described - offered == set(), "not in --help"


@pytest.mark.parametrize("name", CONFIGURED)
def test_configuration_keys(name, srcdir, program, tmp_path):
    least = tmp_path / "least.conf"
    least.write_text(LEAST[name])
    least.chmod(0o600)
    option = {"aisd": "-c", "aisc": "-F"}[name]
    known = config_keys(output([*program(name), option, str(least),
                                "--show-config"]))
    described = page_keys(page(srcdir, CONFIGURED[name] + ".5"))
    assert known, f"{name} --show-config shows no key"
    assert known - described == set(), "not in the manual"
    sample = srcdir / "etc" / CONFIGURED[name]
    if not sample.exists():
        pytest.skip(f"etc/{sample.name} is not written")
    shown = sample_keys(sample.read_text())
    assert shown - described == set(), "in the sample, not in the manual"


def test_options_of_ssh(srcdir):
    """Each that aisc-ssh knows stands in its page, and no other."""
    source = (srcdir / "client" / "ssh.c").read_text()
    text = page(srcdir, "aisc-ssh.1")
    text = text[text.index(".Ss Options"):text.index(".Sh TOOLS")]
    letters = re.findall(r"\w", "".join(re.findall(
        r'"([^"]*)"', source[source.index("#define LETTERS"):]
        .replace("\\\n", "").split("\n")[0])))
    names = re.findall(r'^\t\{ "(\w+)",', source, flags=re.M)
    assert len(letters) > 40 and len(names) > 20
    described = [letter for line in
                 re.findall(r"^\.(?:It )?Fl (.*)$", text, flags=re.M)
                 for letter in re.findall(r"(?<![\w-])\w(?!\w)", line)]
    assert sorted(set(letters)) == sorted(set(described))
    assert set(names) == set(re.findall(r"\b[A-Z][a-z]+[A-Z]\w*|Port|Tunnel",
                                        " ".join(re.findall(
                                            r"^\.Cm (.*)$", text,
                                            flags=re.M))))


def test_the_checks_themselves():
    assert help_options("usage: x [-q]\n  -c, --config FILE  as in -z\n"
                        "  -p PORT   a port\n  --all\nsee --other\n"
                        "  --ca FILE, --key FILE, -k N  of -x\n") == \
        {"-c", "--config", "-p", "--all", "--ca", "--key", "-k"}
    assert page_options(".It Fl c Ar FILE , Fl -config Ar FILE\n"
                        ".It Fl Fl ca Ar FILE\n.Op Fl q\n.Fl z\n") == \
        {"-c", "--config", "--ca", "-q"}
    assert config_keys('a = 1;\nb : (\n  { c = 2; }\n') == {"a", "b"}
    assert sample_keys("# Words: here.\n#d = 1;\n# e = 2;\n") == {"d", "e"}
    assert page_keys(".It Ic listen Li = [ ] ;\n.It Va log_file\n") == \
        {"listen", "log_file"}
