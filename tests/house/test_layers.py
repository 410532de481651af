"""Includes point down the ranks of HACKING.md, and libraries stay at home."""

import re

import pytest

from house import source

# Header of an outside library, and the one module that may include it.
LIBRARIES = {
    r"openssl/": "common/tls",
    r"libconfig\.h": "common/conf",
    r"systemd/": "daemon/service",
    r"(editline/|histedit\.h)": "client/editor",
}
# A flavour of a module, or a part of one that would be too long in one file.
FLAVOURS = {
    "common/conf-files": "common/conf",
    "common/tls-cert": "common/tls",
    "common/tls-crl": "common/tls",
    "common/tls-load": "common/tls",
    "common/tls-term": "common/tls",
    "common/tls-trial": "common/tls",
    "common/tls-why": "common/tls",
    "daemon/service-plain": "daemon/service",
    "client/editor-none": "client/editor",
}


def module(path):
    """common/buf.c and common/buf.h are both the module common/buf."""
    name = re.sub(r"\.[ch]$", "", str(path))
    return FLAVOURS.get(name, name)


def ranks(text):
    """The table of HACKING.md: module to rank."""
    lines = re.findall(r"^ *(\d+)\s+([a-z]+/[a-z-]+)(?:\.[ch])?\s+\S.*$",
                       text, flags=re.M)
    return {module(name): int(rank) for rank, name in lines}


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
            yield f"{path}: not in the table of ranks"
            continue
        for number, name in includes(top / path):
            yield from wrong(table, f"{path}:{number}", own, name)


def wrong(table, where, own, name):
    """Whether the module "own" may include "name"."""
    for pattern, home in LIBRARIES.items():
        if re.match(pattern, name) and own != home:
            yield f"{where}: <{name}> belongs to {home}"
    if not name.startswith(tuple(f + "/" for f in source.FOLDERS)):
        return
    other = module(name)
    if other == own:
        return
    if other not in table:
        yield f"{where}: {name} is not in the table of ranks"
    elif {own.split("/")[0], other.split("/")[0]} == {"daemon", "client"}:
        yield f"{where}: daemon and client do not know each other"
    elif table[other] >= table[own]:
        yield (f"{where}: rank {table[own]} includes {name} "
               f"of rank {table[other]}")
    elif own.startswith("common/") and not other.startswith("common/"):
        yield f"{where}: common/ uses {name}"


@pytest.fixture(scope="module")
def table(srcdir):
    found = ranks((srcdir / "HACKING.md").read_text())
    assert len(found) > 10, "HACKING.md has no table of ranks"
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
    ("common/buf.c", '#include "common/log.h"\n', "rank 0 includes"),
    ("common/clock.h", '#include "daemon/child.h"\n', "rank 0 includes"),
    ("common/log.c", "#include <openssl/err.h>\n", "belongs to common/tls"),
    ("daemon/main.c", "#include <histedit.h>\n", "belongs to client/editor"),
    ("daemon/main.c", '#include "client/prompt.h"\n', "do not know"),
    ("daemon/stray.c", "", "not in the table"),
])
def test_the_check_itself(tmp_path, table, name, text, says):
    path = tmp_path / name
    path.parent.mkdir()
    path.write_text(text)
    found = list(problems(tmp_path, table))
    assert len(found) == 1 and says in found[0]


def test_the_circle_check_itself(tmp_path):
    (tmp_path / "common").mkdir()
    (tmp_path / "common/a.h").write_text('#include "common/b.h"\n')
    (tmp_path / "common/b.h").write_text('#include "common/a.h"\n')
    with pytest.raises(AssertionError):
        test_no_circle(tmp_path)
