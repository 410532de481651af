# SPDX-License-Identifier: ISC
"""What the house tests know about the source tree."""

import os
import pathlib
import re

FOLDERS = ("common", "daemon", "client")
SKIPPED = {".git", "autom4te.cache", "build-aux", "__pycache__"}


def c_files(top):
    """The C files of the programs, as paths relative to "top"."""
    return sorted(path.relative_to(top) for folder in FOLDERS
                  for path in (top / folder).rglob("*.[ch]"))


def all_files(top):
    """Every file of the source tree that a person wrote."""
    found = []
    for where, folders, names in os.walk(top):
        folders[:] = [name for name in folders
                      if name not in SKIPPED and
                      not (pathlib.Path(where) / name / "config.status")
                      .exists() and not name.startswith(("build", "ais-"))]
        found += [pathlib.Path(where) / name for name in names
                  if name not in SKIPPED]       # .git, in a worktree.
    return sorted(found)


def is_script(path, interpreter):
    """Whether the first line of "path" names "interpreter"."""
    with open(path, "rb") as f:
        first = f.readline(80)
    return first.startswith(b"#!") and interpreter in first


def without_comments(text):
    """C text with comments and strings blanked, line for line."""
    def blank(match):
        if match.group(0).startswith(("/*", "//")):
            return re.sub(r"[^\n]", " ", match.group(0))
        return '""'
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', blank, text,
                  flags=re.S)


def functions(text):
    """Each function defined in "text": (name, first line, lines)."""
    found, name, start = [], None, 0
    lines = without_comments(text).splitlines()
    for number, line in enumerate(lines, 1):
        match = re.match(r"([a-z_][a-z0-9_]*)\(", line)
        if match:
            name, start = match.group(1), number
        elif line.startswith("}") and name:
            found.append((name, start, number - start + 1))
            name = None
        elif line.endswith(";") and not line[:1].isspace():
            name = None
    return found
