# SPDX-License-Identifier: ISC
"""Includes point up in the table of HACKING.md, and libraries stay at home."""

import re

import pytest

from house import source

# Header of an outside library, and the room that may include it.
LIBRARIES = {
    r"openssl/": "common/tls/",
    r"libconfig\.h": "common/conf/",
    r"systemd/": "daemon/service",
    r"(editline/|histedit\.h)": "client/prompt/editor",
}
# A flavour of a module.
FLAVOURS = {
    "daemon/service-plain": "daemon/service",
    "client/prompt/editor-none": "client/prompt/editor",
}


def module(path):
    """common/base/buf.c and common/base/buf.h are both the module common/buf."""
    name = re.sub(r"\.[ch]$", "", str(path))
    return FLAVOURS.get(name, name)


def places(text):
    """The table of HACKING.md: each module, and how far down it stands."""
    found, folder = {}, None
    block = re.search(r"^```\n(common/base/ .*?)^```$", text, re.M | re.S)[1]
    for match in re.finditer(r"^([a-z/]+)/ +\S|^    ([a-z-]+)(?:\.h)? +\S",
                             block, flags=re.M):
        if match[1]:
            folder = match[1]
        elif folder:
            found.setdefault(module(f"{folder}/{match[2]}"), len(found))
    return found


def includes(path):
    """What a file includes: (line, name) for "..." and for <...>."""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = re.match(r'\s*#\s*include\s*[<"]([^>"]+)[>"]', line)
        if match:
            yield number, match.group(1)


def problems(top, table):
    """Each include that the rules of the house forbid, in words."""
    for path in source.c_files(top):
        own = module(path)
        if own not in table:
            yield f"{path}: not in the table of files"
            continue
        for number, name in includes(top / path):
            yield from wrong(table, f"{path}:{number}", own, name)


def wrong(table, where, own, name):
    """Whether the module "own" may include "name"."""
    for pattern, home in LIBRARIES.items():
        if re.match(pattern, name) and own != home and not (
                home.endswith("/") and own.startswith(home)):
            yield f"{where}: <{name}> belongs to {home}"
    if not name.startswith(tuple(f + "/" for f in source.FOLDERS)):
        return
    other = module(name)
    if other == own:
        return
    if other not in table:
        yield f"{where}: {name} is not in the table of files"
    elif {own.split("/")[0], other.split("/")[0]} == {"daemon", "client"}:
        yield f"{where}: daemon and client do not know each other"
    elif table[other] >= table[own]:
        yield f"{where}: {name} stands below {own}"


@pytest.fixture(scope="module")
def table(srcdir):
    found = places((srcdir / "HACKING.md").read_text())
    assert len(found) > 10, "HACKING.md has no table of files"
    return found


def test_includes_point_down(srcdir, table):
    assert not list(problems(srcdir, table))


def test_table_lists_only_what_is_there(srcdir, table):
    there = {module(path) for path in source.c_files(srcdir)}
    missing = sorted(set(table) - there)
    if missing:
        pytest.skip("not written yet: " + " ".join(missing))


def test_no_circle(srcdir):
    """Without trusting the table: headers and sources form no circle."""
    edges = {}
    for path in source.c_files(srcdir):
        edges.setdefault(module(path), set()).update(
            module(name) for _, name in includes(srcdir / path)
            if "/" in name and module(name) != module(path))

    done = set()

    def visit(name, above):
        assert name not in above, " -> ".join([*above, name])
        if name not in done:
            for other in sorted(edges.get(name, ())):
                visit(other, [*above, name])
            done.add(name)

    for name in sorted(edges):
        visit(name, [])


@pytest.mark.parametrize("name, text, says", [
    ("common/base/buf.c", '#include "common/base/log.h"\n', "stands below"),
    ("common/base/clock.h", '#include "daemon/exec/child.h"\n',
     "stands below"),
    ("common/base/log.c", "#include <openssl/err.h>\n",
     "belongs to common/tls"),
    ("daemon/main.c", "#include <histedit.h>\n",
     "belongs to client/prompt/editor"),
    ("daemon/main.c", '#include "client/prompt/lines.h"\n', "do not know"),
    ("daemon/stray.c", "", "not in the table"),
])
def test_the_check_itself(tmp_path, table, name, text, says):
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    path.write_text(text)
    found = list(problems(tmp_path, table))
    assert len(found) == 1 and says in found[0]


def test_the_circle_check_itself(tmp_path):
    (tmp_path / "common").mkdir()
    (tmp_path / "common/a.h").write_text('#include "common/b.h"\n')
    (tmp_path / "common/b.h").write_text('#include "common/a.h"\n')
    with pytest.raises(AssertionError):
        test_no_circle(tmp_path)
