# SPDX-License-Identifier: ISC
"""Small rules that a machine can check better than a reader."""

import os
import re
import subprocess

from house import source

COLUMNS = 80
LONG_FUNCTION = 60
LONG_FILE = 600
# Nobody's own directory: /home/alice and the like.
EXAMPLES = {"alice", "bob", "x", "user", "git", "backup", "monitor"}


def too_wide(text):
    """Numbers of the lines that are wider than COLUMNS, tabs being eight."""
    return [number for number, line in enumerate(text.splitlines(), 1)
            if len(line.expandtabs(8)) > COLUMNS]


def without_contract(text):
    """Prototypes of a header that no comment explains.

    A prototype is explained by a comment right above it; the prototypes that
    follow without an empty line between share it.
    """
    bare, explained, inside = [], False, False
    for line in text.splitlines():
        if inside or line.lstrip().startswith("/*"):
            inside = "*/" not in line
            explained = True
        elif not line.strip() or line.startswith("#"):
            explained = False
        elif re.match(r"[a-z].*[ *]([a-z_][a-z0-9_]*)\(", line) and \
                not line.startswith("static"):
            if not explained:
                bare.append(line)
    return bare


def foreign_paths(text):
    """Paths that exist on one person's machine only; examples may stay."""
    return [name for name in
            re.findall(r"(?<![\w.$}-])/(?:home|work|Users)/\w[\w./-]*", text)
            if name.split("/")[2] not in EXAMPLES]


def test_each_source_says_what_it_is_for(srcdir):
    """In its first comment, with its licence."""
    for path in [*source.c_files(srcdir),
                 *(srcdir / "tests").rglob("*.[ch]")]:
        text = (srcdir / path).read_text()
        first = re.match(r"/\*(.*?)\*/", text, re.S)
        assert first and "SPDX-License-Identifier: ISC" in first[1], path
        assert len(first[1].split()) > 4, path


def test_columns(srcdir):
    wide = [f"{path}:{number}" for path in source.c_files(srcdir)
            for number in too_wide((srcdir / path).read_text())]
    tests = [f"{path.relative_to(srcdir)}:{number}"
             for path in sorted((srcdir / "tests").rglob("*.c"))
             for number in too_wide(path.read_text())]
    assert not wide + tests


def test_every_public_function_has_a_contract(srcdir):
    bare = [f"{path}: {line}" for path in source.c_files(srcdir)
            if path.suffix == ".h"
            for line in without_contract((srcdir / path).read_text())]
    assert not bare


def test_no_path_of_one_machine(srcdir):
    found = []
    for path in source.all_files(srcdir):
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(srcdir)}: {name}"
                  for name in foreign_paths(text)]
    assert not found


def test_release_takes_every_file(srcdir):
    """What Makefile.am does not name is missing from the release; a folder
    that it names is there with all that is in it."""
    build = (srcdir / "Makefile.am").read_text()
    words = set(build.split())
    left_out = []
    for path in source.all_files(srcdir):
        name = str(path.relative_to(srcdir))
        names = {name} | {str(folder)
                          for folder in path.relative_to(srcdir).parents}
        if "/" in name and not name.endswith(("~", ".swp")) and \
                not names & words:
            left_out.append(name)
    assert not left_out


def test_every_test_program_is_built(srcdir):
    words = set()
    for kind in "unit", "fuzz":
        words.update((srcdir / f"tests/{kind}/{kind}.mk").read_text().split())
    left_out = [str(path) for kind in ("unit/*_test.c", "fuzz/*_fuzz.c")
                for path in (srcdir / "tests").glob(kind)
                if str(path.relative_to(srcdir).with_suffix("")) not in words]
    assert not left_out


def test_unit_tests_skip_as_tap_wants_it(srcdir):
    """skip() of cmocka prints "not ok", which counts as a failure."""
    assert not [path.name for path in (srcdir / "tests" / "unit").iterdir()
                if re.search(r"\bskip\(\)", path.read_text())]


def test_warnings_by_a_relative_name(srcdir, builddir, tmp_path):
    """Makefile calls it so in a build that "../configure" has made."""
    for name in ("gcc", "clang"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 0\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        [os.path.relpath(srcdir / "tests" / "house" / "warnings", builddir)],
        cwd=builddir, capture_output=True, text=True, env={
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "AIS_SRCDIR": str(srcdir), "AIS_BUILDDIR": str(builddir),
            "AIS_HAVE_LIBSYSTEMD": "", "AIS_HAVE_CMOCKA": ""})
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("files, none") == 2


def test_no_long_function(srcdir, record_property):
    lengths = [(lines, f"{path}:{start} {name}")
               for path in source.c_files(srcdir) if path.suffix == ".c"
               for name, start, lines in
               source.functions((srcdir / path).read_text())]
    lengths.sort(reverse=True)
    middle = lengths[len(lengths) // 2][0]
    record_property("functions", f"{len(lengths)}, median {middle} lines")
    assert not [row for row in lengths if row[0] > LONG_FUNCTION]


def test_no_long_file(srcdir):
    long = {str(path) for path in source.c_files(srcdir)
            if path.suffix == ".c" and
            len((srcdir / path).read_text().splitlines()) > LONG_FILE}
    assert not long


def uncalled(files):
    """Public functions that no file calls or takes the address of; "files" is
    their text by path."""
    code = {path: source.without_comments(text)
            for path, text in files.items()}
    public = {name for path, text in code.items() if str(path).endswith(".h")
              for name in re.findall(r"^[a-z][\w ]*?[ *]+([a-z_]\w*)\(", text,
                                     re.M)}
    used = set()
    for text in code.values():
        # A definition stands at the beginning of its line, a prototype after
        # its type there.
        inner = re.sub(r"^[a-z_][\w *]*\(", "", text, flags=re.M)
        used |= set(re.findall(r"\w+", inner))
    return public - used


def test_every_public_function_has_a_caller(srcdir, record_property):
    found = uncalled({path: (srcdir / path).read_text()
                      for path in source.c_files(srcdir)})
    assert not found


def test_the_checks_themselves():
    assert too_wide("\t" * 9 + "123456789\n" + "\t" * 9 + "12345678\n") == [1]
    assert without_contract("/* Why. */\nint a(void);\nint b(void);\n\n"
                            "int c(void);\n") == ["int c(void);"]
    assert foreign_paths("see /ho" + "me/me/x") == ["/ho" + "me/me/x"]
    assert not foreign_paths("see /home/alice/x")
    assert not foreign_paths("https://example.org/work/x $HOME/work/y")
    assert source.functions("int\nadd(int a)\n{\n\treturn a;\n}\n") == \
        [("add", 2, 4)]
    assert uncalled({"a.h": "int a_get(void);\nchar *a_put(int,\n    int);\n",
                     "a.c": "int\na_get(void)\n{\n\treturn 0;\n}\n"
                            "char *\na_put(int a, int b)\n{\n"
                            "\treturn a_get() + a;\n}\n"}) == {"a_put"}
