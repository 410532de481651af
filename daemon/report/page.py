# SPDX-License-Identifier: ISC
"""The report as one page of HTML: nothing is loaded, and no script runs.

All text goes through text(): names and words are those of clients.
"""

import collections
import datetime
import html

from counts import SHOWN_MAX, STEPS
from records import harmless
from tables import HEADS, count, is_number, rows_of, show_seconds, summary

LANES = 20              # Peers that the timeline shows by themselves.
WIDTH, LANE, LEFT = 1000, 22, 150      # Of the timeline, in its own units.
DAYS = 92               # That are drawn; the table has all.
KINDS = ("done", "failed", "refused", "running")
KINDS_OF_CELLS = {"command": "code", "program": "code", "time": "time",
                  "ended": "time", "started": "time"}
STYLE = """
:root { --back: #fff; --text: #1b1f24; --faint: #5b6570; --line: #d5dade;
  --done: #2f7d4f; --failed: #c0392b; --refused: #b7791f; --running: #2b6cb0;
  --session: #d3dae2 }
@media (prefers-color-scheme: dark) { :root { --back: #15191e; --text: #e6e9ec;
  --faint: #9aa5b0; --line: #363f48; --done: #5fb583; --failed: #ef7b6d;
  --refused: #dfa94e; --running: #74aee6; --session: #2a323a } }
body { background: var(--back); color: var(--text); margin: 2em auto;
  max-width: 72em; padding: 0 1em; font: 15px/1.45 system-ui, sans-serif }
h1 { font-size: 1.5em } h2 { font-size: 1.15em; margin: 2em 0 .5em }
p.note { color: var(--faint); margin: .3em 0 }
ul.sums { display: flex; flex-wrap: wrap; gap: 1em; list-style: none;
  padding: 0 }
ul.sums li { border: 1px solid var(--line); border-radius: 6px;
  padding: .5em 1em; min-width: 6em }
ul.sums b { display: block; font-size: 1.6em }
div.wide { overflow-x: auto }
table { border-collapse: collapse }
th, td { text-align: left; vertical-align: top; padding: .25em .9em .25em 0;
  border-bottom: 1px solid var(--line); unicode-bidi: isolate }
td { overflow-wrap: anywhere; min-width: 4em }
td.number, th.number { text-align: right; white-space: nowrap }
td.time { white-space: nowrap }
td.code { font-family: ui-monospace, monospace; font-size: .9em }
svg { width: 100%; height: auto; display: block }
svg text { fill: var(--text); font: 12px system-ui, sans-serif }
svg .faint { fill: var(--faint) } svg .line { stroke: var(--line) }
.done { fill: var(--done); background: var(--done) }
.failed { fill: var(--failed); background: var(--failed) }
.refused { fill: var(--refused); background: var(--refused) }
.running { fill: var(--running); background: var(--running) }
.session { fill: var(--session); background: var(--session) }
.key span { display: inline-block; width: .8em; height: .8em;
  margin: 0 .3em 0 1em }
"""
HEAD = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none';\
 style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<title>{}</title>
<style>{}</style>
</head>
<body>
<h1>{}</h1>
"""


def text(value):
    """Text of whatever origin, as text of the page."""
    return html.escape(harmless(str(value)))


def seconds_at(time):
    """A time of the log in seconds."""
    return datetime.datetime.fromisoformat(time.replace("Z", "+00:00")
                                           ).timestamp()


def bar(kind, left, top, width, height, title):
    """A rectangle with a title, which shows under the mouse."""
    return (f'<rect class="{kind}" x="{left:.1f}" y="{top:.1f}" '
            f'width="{width:.1f}" height="{height:.1f}">'
            f"<title>{text(title)}</title></rect>\n")


def key(*kinds):
    """What the colours mean."""
    return '<p class="note key">' + "".join(
        f'<span class="{kind}"></span>{kind}' for kind in kinds) + "</p>\n"


class Timeline:
    """The last commands and sessions, a lane for each peer."""

    def __init__(self, report, result):
        self.commands = [(kind, entry, seconds_at(entry["time"]))
                         for kind, entry in report.drawn]
        last = seconds_at(result["to"]) if result["to"] else 0
        ends = [end for _, _, end in self.commands]
        self.running = [(entry, seconds_at(entry["time"]))
                        for entry in result["running"][-SHOWN_MAX:]]
        starts = [end - entry["seconds"] for _, entry, end in self.commands] + \
            [start for _, start in self.running]
        self.sessions = [(seconds_at(began), seconds_at(end), peer)
                         for began, end, peer in report.closed] + \
            [(seconds_at(began), last, peer)
             for began, peer in list(report.open.values())[-SHOWN_MAX:]]
        self.start = min(starts, default=last)
        self.sessions = [(max(began, self.start), end, peer)
                         for began, end, peer in self.sessions
                         if end >= self.start]
        self.end = max([last, *ends])
        peers = collections.Counter(
            [entry["peer"] for _, entry, _ in self.commands] +
            [entry["peer"] for entry, _ in self.running] +
            [peer for _, _, peer in self.sessions])
        self.peers = [peer for peer, _ in peers.most_common(LANES)]
        self.others = len(peers) - len(self.peers)

    def at(self, seconds):
        """Where a time is, from the left."""
        span = max(self.end - self.start, 1)
        part = (seconds - self.start) / span
        return LEFT + min(max(part, 0), 1) * (WIDTH - LEFT - 4)

    def top(self, peer):
        """Where a peer's lane is."""
        lane = self.peers.index(peer) if peer in self.peers else \
            len(self.peers)
        return 24 + lane * LANE

    def bars(self):
        """All of them."""
        for began, end, peer in self.sessions:
            left = self.at(began)
            yield bar("session", left, self.top(peer) + 2,
                      max(self.at(end) - left, 2), LANE - 4,
                      f"session of {peer}, {show_seconds(end - began)}")
        for kind, entry, end in self.commands:
            left = self.at(end - entry["seconds"])
            yield bar(kind, left, self.top(entry["peer"]) + 6,
                      max(self.at(end) - left, 2), LANE - 12,
                      f"{entry['time'][:19]} {entry['peer']}: "
                      f"{entry['command'][:200]}: {entry['how']}, "
                      f"{show_seconds(entry['seconds'])}")
        for entry, start in self.running:
            left = self.at(start)
            yield bar("running", left, self.top(entry["peer"]) + 6,
                      max(self.at(self.end) - left, 2), LANE - 12,
                      f"{entry['time'][:19]} {entry['peer']}: "
                      f"{entry['command'][:200]}: no end on record")

    def scale(self, height):
        """Times, and a line below each."""
        for step in range(5):
            seconds = self.start + (self.end - self.start) * step / 4
            when = datetime.datetime.fromtimestamp(seconds,
                                                   datetime.timezone.utc)
            left = self.at(seconds)
            anchor = "start" if step == 0 else "end" if step == 4 else "middle"
            yield (f'<line class="line" x1="{left:.1f}" x2="{left:.1f}" '
                   f'y1="18" y2="{height}"/>'
                   f'<text class="faint" x="{left:.1f}" y="12" '
                   f'text-anchor="{anchor}">{when:%Y-%m-%d %H:%M:%S}</text>\n')

    def write(self, out):
        """The section."""
        out.write("<h2>Timeline</h2>\n")
        if not self.peers:
            out.write('<p class="note">nothing to draw</p>\n')
            return
        lanes = self.peers + (["(others)"] if self.others else [])
        height = 28 + LANE * len(lanes)
        out.write(key("session", *KINDS))
        out.write(f'<div class="wide"><svg viewBox="0 0 {WIDTH} {height}" '
                  'role="img" aria-label="sessions and commands of each peer '
                  'over time">\n')
        out.writelines(self.scale(height))
        for lane, peer in enumerate(lanes):
            shown = peer if len(peer) <= 22 else peer[:21] + "\u2026"
            out.write(f'<text x="0" y="{38 + lane * LANE}">{text(shown)}'
                      f"<title>{text(peer)}</title></text>\n")
        out.writelines(self.bars())
        out.write("</svg></div>\n"
                  f'<p class="note">The last {SHOWN_MAX} commands that ended '
                  f"or were refused, the last {SHOWN_MAX} sessions, and what "
                  "has no end; times are UTC.</p>\n")


def write_bars(out, title, rows):
    """Bars from the left; a row is a name and a number for each kind."""
    most = max((sum(numbers.values()) for _, numbers in rows), default=0) or 1
    out.write(f"<h2>{title}</h2>\n<div class=\"wide\">"
              f'<svg viewBox="0 0 {WIDTH} {LANE * len(rows)}" role="img" '
              f'aria-label="{title}">\n')
    for number, (name, numbers) in enumerate(rows):
        top, left = number * LANE, float(LEFT)
        out.write(f'<text x="0" y="{top + 15}">{text(name)}</text>\n')
        for kind, value in numbers.items():
            width = value / most * (WIDTH - LEFT - 60)
            if value:
                out.write(bar(kind, left, top + 4, width, LANE - 8,
                              f"{name}: {value} {kind}"))
            left += width
        out.write(f'<text class="faint" x="{left + 6:.1f}" y="{top + 15}">'
                  f"{sum(numbers.values())}</text>\n")
    out.write("</svg></div>\n")


def write_table(out, result, name, limit):
    """One of the tables of the plain report, with the same words."""
    title, heads = HEADS[name]
    rows = rows_of(result, name, limit)
    out.write(f"<h2>{text(title)}</h2>\n")
    if not rows:
        out.write('<p class="note">none</p>\n')
        return
    right = [all(is_number(row[i]) for row in rows) for i in range(len(heads))]
    out.write('<div class="wide"><table>\n<tr>')
    for head, flush in zip(heads, right):
        out.write(f'<th scope="col"{" class=number" * flush}>{head}</th>')
    out.write("</tr>\n")
    for row in rows:
        out.write("<tr>")
        for cell, head, flush in zip(row, heads, right):
            kind = "number" if flush else KINDS_OF_CELLS.get(head)
            out.write(f"<td{f' class={kind}' * bool(kind)}>{text(cell)}</td>")
        out.write("</tr>\n")
    out.write("</table></div>\n")


def write_results(out, result):
    """How many of each kind."""
    sums = (("commands", result["commands"]), ("failed", result["failed"]),
            ("refused", result["refused"]),
            ("without an end", len(result["running"])),
            ("sessions", result["sessions"]),
            ("connections refused", result["handshakes_failed"]))
    out.write('<ul class="sums">\n')
    for name, number in sums:
        out.write(f"<li><b>{number}</b>{name}</li>\n")
    out.write("</ul>\n")


def durations(report):
    """How many commands took how long."""
    names = [f"up to {step:g} s" if step < 60 else
             f"up to {count(int(step / 60), 'minute')}" if step < 3600 else
             "up to 1 hour" for step in STEPS] + ["more than 1 hour"]
    return [(name, {"done": number})
            for name, number in zip(names, report.steps)]


def print_page(out, report, result, tables, limit):
    """The whole page, to a file of text."""
    title = "Commands of aisd"
    out.write(HEAD.format(title, STYLE, title))
    for line in summary(result):
        out.write(f"<p>{text(line)}</p>\n")
    write_results(out, result)
    Timeline(report, result).write(out)
    days = [(row["day"], {"done": max(row["commands"] - row["failed"], 0),
                          "failed": row["failed"], "refused": row["refused"]})
            for row in result["days"][-DAYS:]]
    write_bars(out, "Commands by day (UTC)", days)
    write_bars(out, "How long commands took", durations(report))
    for name in tables:
        write_table(out, result, name, limit)
    out.write("</body>\n</html>\n")
