# SPDX-License-Identifier: ISC
"""For as long as one likes: does it stay as it was?

"make soak" sets how long and how much; without it these are short.
"""

import os

import pytest

import wire
from mix import Mix

SECONDS = float(os.environ.get("AIS_SOAK_SECONDS", "3"))
SESSIONS = int(os.environ.get("AIS_SOAK_SESSIONS", "500"))
COMMANDS = int(os.environ.get("AIS_SOAK_COMMANDS", "5000"))
SEED = int(os.environ.get("AIS_FAULT_SEED", "1"))
WARM = 100
LIMIT = 60 + int(6 * SECONDS + SESSIONS / 10 + COMMANDS / 50)


@pytest.mark.limit(LIMIT)
def test_mix(make_aisd, aisc, alice, record_property):
    """Clients, strangers, streams, kills, cuts, reloads, a full disk, no
    descriptors: all against one daemon, which is the same afterwards."""
    daemon = make_aisd(kill_grace=0.5)
    mix = Mix(daemon, aisc, alice, SEED)
    for action in [action for _, action in mix.actions]:
        action()
        mix.check()
    # What is free between the pieces of its memory has to find its size, which
    # takes some hundred sessions.
    mix.run(min(SECONDS, 120))
    mix.settle()
    before = daemon.usage()
    mix.run(SECONDS)
    mix.settle()
    after = daemon.usage()
    record_property(
        "soak", f"{SECONDS:g} s, {mix.sessions} sessions, {mix.commands} "
        f"commands, {mix.bytes} bytes, {mix.faults} faults, RSS "
        f"{before.rss_kib} to {after.rss_kib} KiB, descriptors {before.fds} "
        f"to {after.fds}, {mix.leaked} processes leaked, {mix.false} false "
        f"successes, {len(mix.wrong)} wrong")
    assert not mix.wrong, f"seed {SEED}: " + "\n".join(mix.wrong)
    daemon.check_usage(before, fds=0, rss_kib=2048)


def trim(daemon):
    """The log is not what is to be measured, nor is it to be kept."""
    if daemon.log.stat().st_size > 4 * 1024 * 1024:
        os.truncate(daemon.log, 0)


@pytest.mark.limit(LIMIT)
def test_many_sessions(measurable, aisd, alice, record_property):
    """One after the other."""
    for i in range(WARM + SESSIONS):
        if i == WARM:
            before = aisd.usage()
        with wire.Client(aisd.port, *alice[:3]) as session:
            assert session.run(["true"]).status == 0
        trim(aisd)
    aisd.check_usage(before, fds=0, rss_kib=256)
    record_property("RSS", f"{before.rss_kib} KiB, after {SESSIONS} more "
                    f"sessions {aisd.usage().rss_kib} KiB")


@pytest.mark.limit(LIMIT)
def test_many_commands(measurable, aisd, connect, record_property):
    """In one session."""
    session = connect()
    for i in range(WARM + COMMANDS):
        if i == WARM:
            before = aisd.usage()
        assert session.run(["true"]).status == 0
        if i % 1000 == 0:
            trim(aisd)
    aisd.check_usage(before, fds=0, rss_kib=256)
    record_property("RSS", f"{before.rss_kib} KiB, after {COMMANDS} more "
                    f"commands {aisd.usage().rss_kib} KiB")
