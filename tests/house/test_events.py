# SPDX-License-Identifier: ISC
"""The events of aisd are the same in the code, the catalog and the manual."""

import re

import pytest

LEVELS = {"error", "warning", "notice", "info"}


def table(text):
    """The table "kinds" of daemon/record/audit.c: {name: (id, level)}."""
    inside = re.search(r"\bkinds\[\] = \{\n(.*?)\n\};", text, re.S)[1]
    return {name: (number, level.lower()) for name, number, level in
            re.findall(r'\{ "([a-z-]+)",\s+"([0-9a-f]{32})",'
                       r"\s+LOG_LEVEL_([A-Z]+) \}", inside)}


def catalog(text):
    """The entries of the catalog: {id: (headers, text)}."""
    entries = {}
    for part in re.split(r"^-- ", text, flags=re.M)[1:]:
        head, _, body = part.partition("\n\n")
        number, *headers = head.split("\n")
        assert number not in entries
        entries[number] = (dict(line.split(": ", 1) for line in headers),
                           body)
    return entries


def section(text):
    """The items of the manual's list of events: {name: text}."""
    listed = re.search(r"^\.Ss Events\n(.*?)^\.El$", text, re.S | re.M)[1]
    items = re.split(r"^\.It Sy ([a-z-]+)\n", listed, flags=re.M)[1:]
    return dict(zip(items[::2], items[1::2]))


def fields(text):
    """What looks like the name of a field in the code of audit and log."""
    return set(re.findall(r'put(?:_number|_duration)?\(&?r, "([a-z_]+)"',
                          text)) | {"line", "argv"}


@pytest.fixture(scope="module")
def kinds(srcdir):
    found = table((srcdir / "daemon/record/audit.c").read_text())
    assert len(found) > 10, "daemon/record/audit.c has no table"
    return found


def test_numbers_are_unique(kinds):
    assert len({number for number, _ in kinds.values()}) == len(kinds)


def test_every_event_is_in_the_table(srcdir, kinds):
    """No module has a name or a number of its own but "message"."""
    for path in [*(srcdir / "common").rglob("*.c"),
                 *(srcdir / "daemon").rglob("*.c")]:
        text = path.read_text()
        for event in re.findall(r"struct log_event \w+ = \{(.*?)\};", text,
                                re.S):
            named = set(re.findall(r'\.name = "([a-z-]+)"', event))
            assert named <= {*kinds, "message"}, path
        if path.name != "audit.c":
            assert not re.findall(r'"[0-9a-f]{32}"', text), path


def test_catalog(srcdir, kinds):
    entries = catalog((srcdir / "systemd/aisd.catalog").read_text())
    assert set(entries) == {number for number, _ in kinds.values()}
    for headers, body in entries.values():
        assert set(headers) == {"Subject", "Defined-By", "Documentation"}
        assert headers["Defined-By"] == "AIS"
        assert len(body.split()) > 15, "it says nothing"


def test_catalog_uses_fields_that_are_there(srcdir):
    known = fields((srcdir / "daemon/record/audit.c").read_text()) | {
        "session", "sink", "state", "lost", "nowhere", "place"}
    text = (srcdir / "systemd/aisd.catalog").read_text()
    used = {name.lower() for name in re.findall(r"@AIS_([A-Z_]+)@", text)}
    assert used - known == set()


def test_manual(srcdir, kinds):
    items = section((srcdir / "man/aisd.8").read_text())
    assert set(items) == {*kinds, "message"}
    for name, (number, level) in kinds.items():
        said = re.search(r"^MESSAGE_ID ([0-9a-f]{32}), (.*)\.$", items[name],
                         re.M)
        assert said, name
        assert said[1] == number, name
        assert level in re.findall("[a-z]+", said[2]), name
        assert set(re.findall("[a-z]+", said[2])) <= LEVELS | {"or"}


def test_manual_names_every_field(srcdir):
    text = (srcdir / "man/aisd.8").read_text()
    described = {name for line in re.findall(r"^\.Cm (.*)$", text, re.M)
                 for name in re.findall(r"[a-z_]+", line)}
    names = fields((srcdir / "daemon/record/audit.c").read_text())
    assert names - described == set()


def test_the_checks_themselves():
    number = "0" * 32
    assert table('kinds[] = {\n[A] = { "a-b", "%s",\n  LOG_LEVEL_INFO },\n'
                 '};\n' % number) == {"a-b": (number, "info")}
    assert catalog("# x\n-- %s\nSubject: s\n\ntext\n" % number) == \
        {number: ({"Subject": "s"}, "text\n")}
    assert section(".Ss Events\n.Bl\n.It Sy a\nx\n.It Sy b\ny\n.El\n") == \
        {"a": "x\n", "b": "y\n"}
    assert fields('put(&r, "x", y);\nput_number(r, "z", "%d", 1);') == \
        {"x", "z", "line", "argv"}
