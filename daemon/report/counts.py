# SPDX-License-Identifier: ISC
"""What the records of a log come to.

Every table has a bound, so that memory does not grow with the log.
"""

import collections
import heapq

from records import EVENTS, harmless

ROWS_MAX = 10000        # Of a table, and of commands that have not ended.
SHOWN_MAX = 500         # Commands, and sessions, that a page draws.
WORDS_MAX = 4096        # Characters of a command that are kept.
OTHERS = "(others)"
TABLES = ("peers", "rules", "days", "reasons", "failures", "refusals",
          "longest", "slowest", "running")
# Durations are counted up to each of these seconds, and above the last.
STEPS = (0.01, 0.1, 1, 10, 60, 600, 3600)

class Row:
    """What many commands come to."""

    def __init__(self):
        self.commands = self.failed = self.refused = 0
        self.ended = 0
        self.seconds = self.most = 0.0
        self.last = ""

    def add_end(self, failed, seconds):
        """A command has ended."""
        self.ended += 1
        self.failed += failed
        self.seconds += seconds
        self.most = max(self.most, seconds)


class Table(dict):
    """Rows by name; more than ROWS_MAX names share one."""

    def __missing__(self, name):
        if len(self) >= ROWS_MAX:
            name = OTHERS
            if name in self:
                return self[name]
        self[name] = Row()
        return self[name]


class Report:
    """All that is counted."""

    def __init__(self, args):
        # Times are compared as text; every one is before "~".
        self.since, self.until = args.since or "", args.until or "~"
        self.peer, self.limit = args.peer, args.number
        self.records = self.unreadable = 0
        self.sessions = self.handshakes = self.unknown_ends = 0
        self.first = self.last = ""
        self.all = Row()
        self.peers, self.rules, self.days = Table(), Table(), Table()
        self.programs, self.reasons = Table(), Table()
        self.steps = [0] * (len(STEPS) + 1)
        self.open = {}          # Sessions, and the last that were closed.
        self.closed = collections.deque(maxlen=SHOWN_MAX)
        self.drawn = collections.deque(maxlen=SHOWN_MAX)
        self.failures = collections.deque(maxlen=self.limit)
        self.refusals = collections.deque(maxlen=self.limit)
        self.longest = []
        self.running = {}
        self.clock_jumps = 0

    def take(self, record):
        """Count one record; None is a line that could not be read."""
        if record is None:
            self.unreadable += 1
            return
        time, event = record["time"], record["event"]
        if event == "foreign" or time < self.since or time >= self.until:
            return
        self.records += 1
        self.first = min(self.first, time) if self.first else time
        self.last = max(self.last, time)
        if event not in EVENTS:
            return
        if event == "start":
            self.lose(record)
            return
        if event == "clock-jump":
            self.clock_jumps += 1
            return
        peer = record.get("peer") or record.get("subject") or "(unknown)"
        if self.peer is None or self.peer == peer:
            handler = getattr(self, "on_" + event.replace("-", "_"))
            handler(record, harmless(peer))

    def rows(self, record, peer):
        """Where a command counts."""
        return (self.all, self.peers[peer], self.days[record["time"][:10]],
                self.rules[harmless(record.get("rule", ""))],
                self.programs[program(record)])

    def on_session_open(self, record, peer):
        """A session."""
        self.sessions += 1
        if len(self.open) < ROWS_MAX:
            self.open[record.get("session")] = record["time"], peer

    def on_handshake_failed(self, _record, _peer):
        """Somebody who got none."""
        self.handshakes += 1

    def lose(self, start):
        """A daemon starts: one that was in its place has been killed, with
        what ran.  When that was, and how long it took, is not known."""
        lost = [key for key, (record, _) in self.running.items()
                if record.get("daemon", "") == start.get("daemon")]
        for key in lost:
            record, peer = self.running.pop(key)
            record = {**record, "event": "command-end",
                      "time": start["time"], "reason": "daemon-lost"}
            for row in self.rows(record, peer):
                row.failed += 1
            self.fail(record, peer)

    def fail(self, record, peer):
        """A command has failed, in the rows for all but that of its reason."""
        self.reasons[harmless(how_of(record))].failed += 1
        self.failures.append(self.entry(record, peer))

    def on_session_close(self, record, peer):
        """What of it has no end by now will not get one."""
        session = record.get("session")
        began, _ = self.open.pop(session, (record["time"], peer))
        self.closed.append((began, record["time"], peer))
        for key in [key for key in self.running if key[0] == session]:
            del self.running[key]
            self.unknown_ends += 1

    def on_command_start(self, record, peer):
        """A command that runs from now on."""
        for row in self.rows(record, peer):
            row.commands += 1
            row.last = max(row.last, record["time"])
        if len(self.running) < ROWS_MAX:
            self.running[key_of(record)] = record, peer

    def on_command_end(self, record, peer):
        """One that has ended."""
        self.running.pop(key_of(record), None)
        failed = how_of(record) != "exit 0"
        seconds = seconds_of(record)
        for row in self.rows(record, peer):
            row.add_end(failed, seconds)
        if failed:
            self.fail(record, peer)
        self.steps[sum(seconds > step for step in STEPS)] += 1
        self.drawn.append(("failed" if failed else "done",
                           self.entry(record, peer)))
        full = len(self.longest) == self.limit
        if full and seconds <= self.longest[0][0]:
            return
        item = (seconds, -self.records, self.entry(record, peer))
        if full:
            heapq.heapreplace(self.longest, item)
        else:
            heapq.heappush(self.longest, item)

    def on_command_refused(self, record, peer):
        """One that was not allowed, or could not be put on record."""
        self.running.pop(key_of(record), None)
        for row in self.rows(record, peer):
            row.refused += 1
            row.last = max(row.last, record["time"])
        self.reasons[harmless(how_of(record))].refused += 1
        self.refusals.append(self.entry(record, peer))
        self.drawn.append(("refused", self.refusals[-1]))

    @staticmethod
    def entry(record, peer):
        """One command, for a list."""
        return {"time": record["time"], "peer": peer,
                "address": harmless(record.get("address", "")),
                "session": harmless(record.get("session", "")),
                "request": harmless(record.get("request", "")),
                "rule": harmless(record.get("rule", "")),
                "command": harmless(words_of(record)),
                "how": harmless(how_of(record)),
                "seconds": seconds_of(record)}

    def result(self):
        """Everything, as --json writes it."""
        groups = (("peers", "peer", self.peers), ("rules", "rule", self.rules),
                  ("days", "day", self.days))
        out = {
            "from": self.first, "to": self.last, "records": self.records,
            "unreadable": self.unreadable,
            "clock_jumps": self.clock_jumps, "sessions": self.sessions,
            "handshakes_failed": self.handshakes,
            "commands": self.all.commands, "failed": self.all.failed,
            "refused": self.all.refused, "end_unknown": self.unknown_ends,
            "seconds": round(self.all.seconds, 6)}
        for name, key, table in groups:
            out[name] = [
                {key: what, "commands": row.commands, "failed": row.failed,
                 "refused": row.refused, "seconds": round(row.seconds, 6),
                 "last": row.last} for what, row in table.items()]
        for name, key in ("peers", "peer"), ("rules", "rule"):
            out[name].sort(key=lambda row, key=key: (-row["commands"],
                                                     row[key]))
        out["days"].sort(key=lambda row: row["day"])
        out["reasons"] = sorted(
            ({"reason": reason, "failed": row.failed, "refused": row.refused}
             for reason, row in self.reasons.items()),
            key=lambda row: (-row["failed"] - row["refused"], row["reason"]))
        out["failures"] = list(self.failures)
        out["refusals"] = list(self.refusals)
        out["longest"] = [item[2] for item in sorted(self.longest,
                                                     reverse=True)]
        out["slowest"] = sorted(
            ({"program": name, "commands": row.ended, "failed": row.failed,
              "average": round(row.seconds / row.ended, 6),
              "most": row.most} for name, row in self.programs.items()
             if row.ended), key=lambda row: (-row["average"],
                                             row["program"]))[:self.limit]
        out["running"] = [self.entry(*pair)
                          for pair in self.running.values()]
        return out



def key_of(record):
    """What the start and the end of a command have in common."""
    return record.get("session"), record.get("request")


def how_of(record):
    """How a command has ended, or has not."""
    if record["event"] == "command-start":
        return "no end on record"
    reason = record.get("reason", "")
    if reason in ("exit", "signal"):
        return f"{reason} {record.get(reason, '?')}"
    return reason


def seconds_of(record):
    """How long it took."""
    try:
        seconds = float(record.get("duration_ms", 0)) / 1000
    except ValueError:
        return 0.0
    return seconds if 0 <= seconds < 1e12 else 0.0


def words_of(record):
    """The command as it is on record."""
    return record.get("argv", record.get("line", ""))[:WORDS_MAX]


def program(record):
    """What a command is counted as: its name in the rule, or its first word;
    lines of a shell are all one."""
    if record.get("command"):
        return harmless(record["command"])
    if "argv" not in record:
        return "(shell)"
    words = record["argv"]
    if words[:1] == "'":
        return harmless(words[:words.find("'", 1) + 1 or WORDS_MAX])
    return harmless(words.split(" ", 1)[0])
