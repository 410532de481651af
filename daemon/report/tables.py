# SPDX-License-Identifier: ISC
"""The report for people, in columns."""

import re


def show_time(text):
    """A time for people: to the second, UTC."""
    return text[:19].replace("T", " ")


def show_seconds(value):
    """A duration for people."""
    if value < 100:
        return f"{value:.2f} s"
    minutes, seconds = divmod(int(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"


def count(number, one, many=None):
    """So many of something, in words."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def summary(result):
    """The first lines: what it is about, and what is wrong with the log."""
    if not result["records"]:
        yield "no records"
    else:
        yield (f"{show_time(result['from'])} to {show_time(result['to'])} UTC: "
               f"{count(result['commands'], 'command')} in "
               f"{count(result['sessions'], 'session')}, "
               f"{result['failed']} failed, {result['refused']} refused, "
               f"{len(result['running'])} without an end; "
               f"{count(result['handshakes_failed'], 'connection')} refused")
    if result["end_unknown"]:
        yield count(result["end_unknown"], "command has", "commands have") + \
            " no end on record, although the session has one"
    if result["clock_jumps"]:
        yield ("the clock was set " +
               ("once" if result["clock_jumps"] == 1 else
                f"{result['clock_jumps']} times") +
               ": records may be out of order, and times wrong")
    if result["unreadable"]:
        yield count(result["unreadable"], "line") + " could not be read"


COUNTS = ("commands", "failed", "refused", "time")
# The tables: their titles and heads.
HEADS = {
    "peers": ("By peer", ("peer", *COUNTS)),
    "rules": ("By rule", ("rule", *COUNTS)),
    "days": ("By day (UTC)", ("day", *COUNTS)),
    "reasons": ("By reason", ("failed", "refused", "reason")),
    "failures": ("The last that failed", ("ended", "peer", "command", "how")),
    "refusals": ("The last that were refused",
                 ("time", "peer", "command", "why")),
    "longest": ("The longest", ("ended", "peer", "time", "command", "how")),
    "slowest": ("The slowest on average",
                ("program", "commands", "failed", "average", "most")),
    "running": ("No end on record: they run, or their daemon is gone",
                ("started", "peer", "address", "command")),
}


def rows_of(result, name, limit):
    """The cells of a table, as text and whole."""
    rows = result[name]
    if name in ("peers", "rules", "days"):
        shown = rows if name == "days" else rows[:limit]
        return [[row[name[:-1]], str(row["commands"]), str(row["failed"]),
                 str(row["refused"]), show_seconds(row["seconds"])]
                for row in shown]
    if name == "reasons":
        return [[str(row["failed"]), str(row["refused"]), row["reason"]]
                for row in rows[:limit]]
    if name == "slowest":
        return [[row["program"], str(row["commands"]), str(row["failed"]),
                 show_seconds(row["average"]), show_seconds(row["most"])]
                for row in rows]
    more = {"longest": ("seconds", "command", "how"),
            "running": ("address", "command")}.get(name, ("command", "how"))
    return [[show_time(row["time"]), row["peer"],
             *(show_seconds(row[key]) if key == "seconds" else row[key]
               for key in more)] for row in rows[-limit:]]


def is_number(text):
    """Does it stand at the right of its column?"""
    return re.fullmatch(r"\d+(\.\d\d s|:\d\d:\d\d)?", text) is not None


WIDE = 40       # What is wider than a column stands in a line of its own.


def print_table(out, title, heads, rows):
    """Rows under their heads, in columns; nothing is cut: a cell that is too
    wide ends its line, and the next stands below itself."""
    out.write(f"\n{title}\n")
    if not rows:
        out.write("  none\n")
        return
    widths = [max(min(len(row[i]), WIDE) for row in [heads, *rows])
              for i in range(len(heads))]
    right = [all(is_number(row[i]) for row in rows) for i in range(len(heads))]
    for row in [heads, *rows]:
        line, before = "  ", 2
        for cell, width, flush in zip(row, widths, right):
            if line.strip() and len(line) > before - 2:
                out.write(line.rstrip() + "\n")
                line = " " * before
            line = line.ljust(before) + (cell.rjust(width) if flush else cell)
            before += width + 2
        out.write(line.rstrip() + "\n")


def print_plain(out, result, tables, limit):
    """All tables that are wanted."""
    for line in summary(result):
        out.write(line + "\n")
    for name in tables:
        title, heads = HEADS[name]
        print_table(out, title, heads, rows_of(result, name, limit))
