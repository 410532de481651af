# SPDX-License-Identifier: ISC
"""AIS has not become slower, as instructions have it.

tests/bench/instructions.py counts them.  After a change that is worth what it
costs, or that saves something, "make bench-instructions" writes the new
figures, which are committed with the change that explains them.
"""

import json
import shutil
import sys

import pytest

MOST = 1.1


@pytest.fixture(scope="module")
def instructions(srcdir, measurable):
    if not shutil.which("valgrind"):
        pytest.skip("valgrind is not installed, which counts instructions")
    sys.path.insert(0, str(srcdir / "tests" / "bench"))
    import instructions as module
    return module


@pytest.fixture(scope="module")
def committed(instructions):
    """The figures, where they are of our conditions."""
    expected = json.loads(instructions.COMMITTED.read_text())
    now = instructions.conditions()
    other = [f"{name} is {now[name]!r} and not {value!r}"
             for name, value in expected["conditions"].items()
             if now[name] != value]
    if other:
        pytest.skip("the figures are of another build: " + "; ".join(other))
    return expected["instructions"]


@pytest.mark.same("user")
def test_instructions(instructions, committed, tmp_path, localhost, alice,
                      record_property):
    now = instructions.figures(tmp_path, localhost, alice)
    for name, before in committed.items():
        record_property(f"instructions, {name}",
                        f"{now[name]}, {now[name] / before:.3f} of what it was")
    grown = [name for name, before in committed.items()
             if now[name] > MOST * before]
    assert not grown, f"more than {MOST} of {committed}: {now}"
