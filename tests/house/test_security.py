# SPDX-License-Identifier: ISC
"""Each sentence of SECURITY.md has a test that shows it."""

import re

import pytest


def sentences(text):
    """The sentences, and the rows of the tables, each in one line."""
    found = []
    for block in re.split(r"\n\s*\n|\n(?=- |\|)", text):
        block = re.sub(r"^- ", "", " ".join(block.split()))
        if block.startswith(("#", "|--")):
            continue
        if block.startswith("|"):
            found.append(row(block, found))
        else:
            found += re.split(r"(?<=[.?!])\s+(?=\S)", block)
    return [s for s in found if s]


def row(block, before):
    """A row of a table: "who: what".  An empty first cell is that above."""
    cells = [cell.strip() for cell in block.strip("|").split("|")]
    if cells[0] in ("part", "who"):
        return ""
    above = next((s for s in reversed(before) if ": " in s), "")
    return f"{cells[0] or above.split(': ')[0]}: {' | '.join(cells[1:])}"


@pytest.fixture(scope="module")
def table(srcdir):
    """{beginning of a sentence: ["advice"], or its tests}."""
    entries = {}
    lines = (srcdir / "tests/house/security.table").read_text().splitlines()
    for line in lines:
        if line and not line.startswith("#"):
            beginning, _, tests = line.partition(" | ")
            assert beginning not in entries, beginning
            entries[beginning] = tests.split()
    return entries


def test_each_sentence_has_a_test(srcdir, table):
    text = (srcdir / "SECURITY.md").read_text()
    unused, unproved = set(table), []
    for sentence in sentences(text):
        fitting = {key for key in table if sentence.startswith(key)}
        unused -= fitting
        if not fitting:
            unproved.append(sentence)
    assert unproved == []
    assert unused == set(), "no sentence begins like this"


def test_each_test_is_there(srcdir, table):
    for beginning, tests in table.items():
        assert tests, beginning
        for test in tests:
            if test == "advice":
                continue
            path, name = test.split(":")
            text = (srcdir / "tests" / path).read_text()
            defined = rf"^{name}\(" if path.endswith(".c") else \
                rf"^def {name}\("
            assert re.search(defined, text, re.M), test
