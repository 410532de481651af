# SPDX-License-Identifier: ISC
"""The roads: what the pages of doc/roads and README's "Install" say to type,
typed, in a booted systemd."""

import pathlib
import re
import shutil

import box as boxes
import pytest
import roads
from installed import build_for_the_system, install

TOP = pathlib.Path(__file__).resolve().parents[2]
PAGES = sorted((TOP / "doc" / "roads").glob("*.md"))

# The pages tell of the machine and not of the build.
pytestmark = [pytest.mark.same("build", "user"), pytest.mark.long]


@pytest.fixture(scope="session")
def system(stage, sysconfdir, srcdir, builddir, tmp_path_factory):
    """A build whose files are where the pages say, and its stage."""
    if sysconfdir == "/etc":
        return builddir, stage
    build = build_for_the_system(srcdir, builddir,
                                 tmp_path_factory.mktemp("build"))
    there = tmp_path_factory.mktemp("stage")
    install(build, there)
    return build, there


@pytest.fixture
def machine(system, tmp_path):
    """A machine on which AIS has just been built and installed, and nothing
    been done."""
    build, stage = system
    box = boxes.Box(tmp_path, stage)
    try:
        try:
            box.boot()
        except boxes.BoxError as e:
            pytest.skip(f"systemd cannot be booted here: {e}")
        box.run("rm", "-rf", "/root/.config/ais", "/root/.ssh")
        box.run("mkdir", "/root/ais")
        box.run("ln", "-s", build.resolve(), "/root/ais/build")
        yield box
    finally:
        box.close()


def readme():
    """What README's "Install" says to type, but for what builds AIS."""
    section = re.search(r"^## Install\n(.*?)^## ", (TOP / "README.md")
                        .read_text(), re.DOTALL | re.MULTILINE)[1]
    blocks = re.findall(r"(?:^ {4}.*\n)+", section, re.MULTILINE)
    building, _, rest = blocks[0].partition("sudo make install\n")
    assert "\n    ./autogen.sh" in building and rest
    return [roads.Command(0, "root", "server", "~", f"set -e\n{block}", [])
            for block in [rest, *blocks[1:]]]


def install_as_readme_says(box):
    if not shutil.which("sudo"):
        box.path("/usr/bin/sudo").write_text('#!/bin/sh\nexec "$@"\n')
        box.run("chmod", "+x", "/usr/bin/sudo")
    roads.walk(box, readme())


def test_install(machine):
    """README's Install, literally, on a machine whose name has no domain."""
    assert machine.run("hostname").stdout == "box\n"
    install_as_readme_says(machine)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_road(machine, page):
    text = page.read_text()
    absent = [name for name in roads.needs(text)
              if not (shutil.which(name) or pathlib.Path(name).exists())]
    if absent:
        pytest.skip(f"needs {', '.join(absent)}")
    steps = roads.read(text)
    roads.people(machine, steps)
    machine.run("hostname", f"server.{roads.DOMAIN}")
    install_as_readme_says(machine)
    roads.walk(machine, steps)


def test_all_pages_are_read():
    """No page without a step; each is named in README and installed."""
    assert PAGES
    for page in PAGES:
        assert roads.read(page.read_text()), page
        for where in "README.md", "Makefile.am":
            assert f"doc/roads/{page.name}" in (TOP / where).read_text()


@pytest.mark.parametrize("text, said", [
    ("```console\nls\n```\n", "line 2: no prompt"),
    ("```console\nroot@server:~# ls\n", "does not end"),
    ("```perl\n```\n", "no known kind"),
    ("`/f`\n```console\na@b:~$ c\n```\n```conf /f\n```\n",
     "line 5: the text before"),
])
def test_bad_page(text, said):
    with pytest.raises(roads.RoadError, match=said):
        roads.read(text)


def test_reading():
    """Commands, what they print, here documents, files."""
    steps = roads.read("x\n```console\nroot@server:~# a \\\n  b <<E\nc\nE\n"
                       "said\n...\nbob@desk:/tmp$ d\n```\n`/etc/f`:\n"
                       "```conf /etc/f\nkey = 1;\n```\n")
    assert [(s.user, s.directory, s.command, s.printed) for s in steps[:2]] \
        == [("root", "~", "a \\\n  b <<E\nc\nE", ["said", "..."]),
            ("bob", "/tmp", "d", [])]
    assert (steps[2].path, steps[2].text) == ("/etc/f", "key = 1;\n")


@pytest.mark.parametrize("said, right", [
    ("one 1 x\nmore\neven\nend", True), ("one  x\n\nend", True),
    ("one 1 y\nmore\nend", False), ("one 1 x\nend more", False)])
def test_what_is_printed(said, right):
    assert roads.fits(["one ... x", "...", "end"], said) is right
