# SPDX-License-Identifier: ISC
"""What runs over AIS does as it does without it; the table is rows.py."""

import pathlib
import re

import pytest

from machine import INSTRUMENTED
from rows import ROWS
from ways import WAYS

# Pages that are not ours, and the ways of which they can speak.
FOREIGN = {"ssh": ("sshd",), "sshd": ("sshd",), "sh": ("shell", "sshd")}

SAMPLE = ("perl", "bash", "no-first-line", "check_log", "lib-by-dirname", "venv",
          "descriptors-of-script", "environment", "arguments", "tee",
          "first-thread-ends", "both-at-once", "through-cat", "dies-of-TERM",
          "slot-tar", "slot-tar-own", "here-document", "dev-stdout")


def words_of(page):
    """The text of one of our manual pages, its macros left out."""
    text = re.sub(r"^\.\w+ ", "", page.read_text(), flags=re.M)
    return " ".join(re.sub(r"\\&|\\$|\"", "", text, flags=re.M).split())


@pytest.mark.parametrize("row", [
    pytest.param(row, id=row.name,
                 marks=[pytest.mark.each] if row.name in SAMPLE else [])
    for row in ROWS])
def test_row(row, place, request, record_property):
    if INSTRUMENTED and row.name not in SAMPLE:
        pytest.skip("a sample is enough under sanitizers")
    missing = row.missing()
    if missing:
        pytest.skip(f"there is no {missing}")
    plain = {False: place.run(row, "plain")}
    told, wrong = [], []
    for way in WAYS:
        reason = place.reason_not_to(row, way)
        if reason:
            told.append(f"{way} -")
            continue
        bare = way == "bare"
        if bare and bare not in plain:
            plain[bare] = place.run(row, "plain-bare")
        result = place.run(row, way)
        parts = result.differences(plain[bare])
        expected = row.differs.get(way)
        if expected and expected.two_users and not place.user:
            expected = None
        if parts == (expected.parts.split() if expected else []):
            told.append(f"{way} {','.join(parts) or 'same'}")
            continue
        told.append(f"{way} {','.join(parts) or 'same'}!")
        wrong.append(f"{way}: {parts or 'nothing'} differs, and "
                     f"{expected or 'nothing is to'}")
        for part in parts:
            wrong.append(f"  {part}, plainly: {shown(plain[bare], part)}\n"
                         f"  {part}, {way}: {shown(result, part)}")
    if request.config.getoption("--table"):
        record_property("table", f"{row.name:24} {'  '.join(told)}")
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)


def test_openssh_is_there(place):
    """Without it rows are not compared with it, and that is to be seen."""
    why = place.sshd.missing()
    if why:
        pytest.skip(why)


def shown(result, part):
    text = repr(getattr(result, part))
    return text if len(text) < 2000 else f"{text[:1000]} ... {text[-900:]}"


def test_differences_are_in_the_pages(srcdir):
    """What differs by design is in the page that the row names."""
    pages = {}
    for row in ROWS:
        for way, differs in row.differs.items():
            assert way in WAYS and differs.parts
            name, section = differs.page.rstrip(")").split("(")
            path = pathlib.Path(srcdir, "man", f"{name}.{section}")
            if name in FOREIGN:
                assert way in FOREIGN[name]
                continue
            text = pages.setdefault(path, words_of(path))
            assert differs.words in text, (row.name, differs)


def test_names_are_unambiguous():
    """A last part by which a row is called is that of one program."""
    paths = {}
    for row in ROWS:
        if row.program and "last" not in row.without:
            paths.setdefault(pathlib.Path(row.program).name, set()).add(
                row.program if row.program.startswith("/") else row.name)
    assert not {n: p for n, p in paths.items() if len(p) > 1}
