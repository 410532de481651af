# SPDX-License-Identifier: ISC
"""What the two programs are made of: libraries, hardening, signal handlers."""

import re
import shutil
import subprocess

import pytest

# Of glibc, and of compilers that have part of it in a library of its own.
OURS = {"libssl", "libcrypto", "libconfig"}
SYSTEM = {"libc", "libdl", "libpthread", "libgcc_s", "libatomic", "ld-linux",
          "ld-linux-x86-64", "ld-linux-aarch64", "ld64", "libm", "librt",
          "libresolv"}
PROGRAMS = pytest.mark.parametrize("name", ["aisd", "aisc"])


def tool(*words):
    if not shutil.which(words[0]):
        pytest.skip(f"{words[0]} is not installed")
    return subprocess.run(words, capture_output=True, text=True,
                          check=True).stdout


@pytest.fixture
def built(measurable, program):
    """A function to the file of a program, as it is shipped."""
    return lambda name: program(name)[-1]


@PROGRAMS
def test_libraries(built, builddir, name):
    """Nothing more to keep up to date than is said."""
    found = {re.split(r"\.so|-[0-9]", library)[0] for library in re.findall(
        r"\(NEEDED\).*\[(.*)\]", tool("readelf", "-d", built(name)))}
    config = (builddir / "config.h").read_text()
    allowed = OURS | SYSTEM
    if name == "aisd" and "#define HAVE_LIBSYSTEMD 1" in config:
        assert "libsystemd" in found
        allowed = allowed | {"libsystemd"}
    assert "libc" in found and found <= allowed


@PROGRAMS
def test_hardening(built, builddir, name):
    """At addresses by chance, read-only where it can be, with guards."""
    if "-fstack-protector-strong" not in \
            (builddir / "Makefile").read_text().split("AIS_HARDENING")[1]:
        pytest.skip("this build is without hardening")
    file = built(name)
    assert re.search(r"Type:\s+DYN", tool("readelf", "-h", file))
    dynamic = tool("readelf", "-d", file)
    assert re.search(r"BIND_NOW|\bNOW\b", dynamic)
    assert "(TEXTREL)" not in dynamic
    segments = tool("readelf", "-lW", file)
    assert "GNU_RELRO" in segments
    stack, = re.findall(r"GNU_STACK.*", segments)
    assert "E" not in stack.split()[-2]
    # None can be written to and executed.
    assert not re.search(r"^ +LOAD .* RWE ", segments, re.MULTILINE)
    symbols = tool("readelf", "-sW", file)
    assert "__stack_chk_fail" in symbols


def test_signal_handlers(built, srcdir):
    """They note what has come, and call nothing."""
    handlers = {}
    for folder, name in ("daemon", "aisd"), ("client", "aisc"):
        for source in (srcdir / folder).rglob("*.c"):
            for handler in re.findall(r"sa_handler = (\w+)",
                                      source.read_text()):
                if not handler.startswith("SIG_"):
                    handlers.setdefault(name, set()).add(handler)
    assert handlers == {"aisd": {"note_signal"},
                        "aisc": {"signals_note"}}
    for name, names in handlers.items():
        code = tool("objdump", "-d", "--no-show-raw-insn", built(name))
        bodies = dict(re.findall(r"^[0-9a-f]+ <([^>]+)>:\n((?:.+\n)+)", code,
                                 re.MULTILINE))
        for handler in names:
            assert not re.findall(r"\b(?:call|bl)\s.*<([^>@+]+)",
                                  bodies[handler])
