#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""A chart of the benchmark's figures, as SVG: AIS and what people would use in
its place, near and, from what far.py has measured, far.

usage: chart.py FIGURES.json [FAR.json] >CHART.svg
"""

import html
import json
import sys

# Column, title, and how a figure is written.
PANELS = [
    ("cold", "a command from a cold start, ms", lambda v: v * 1e3, "{:.1f}"),
    ("warm", "a command more in a session, ms", lambda v: v * 1e3, "{:.2f}"),
    ("download", "download, MB/s", lambda v: (1 << 30) / 1e6 / v, "{:.0f}"),
    ("upload", "upload, MB/s", lambda v: (1 << 30) / 1e6 / v, "{:.0f}"),
]
# Of far.py, over a round trip of so many ms.
TRIP = "100"
FAR = [
    ("cold", f"a command from a cold start over {TRIP} ms, ms",
     lambda v: v * 1e3, "{:.0f}"),
    ("download", f"download over {TRIP} ms, MB/s", lambda v: v, "{:.0f}"),
    ("upload", f"upload over {TRIP} ms, MB/s", lambda v: v, "{:.0f}"),
]
# Who is shown, and under which name.
NAMES = {"aisd": "AIS", "openssh": "OpenSSH",
         "openssh-shared": "ControlMaster", "openssh-libssh": "libssh to sshd",
         "dropbear": "dropbear", "socat": "socat", "stunnel": "stunnel",
         "NRPE": "NRPE", "remctl": "remctl", "tcp": "TCP alone"}
WIDTH, LABEL, BAR, GAP, HEAD, FOOT = 760, 130, 15, 5, 34, 30
ROOM = WIDTH - LABEL - 70
OURS, THEIRS, YARDSTICK = "#2f6f9f", "#b8b8b8", "#e0c060"


def colour(name):
    return OURS if name == "aisd" else YARDSTICK if name == "tcp" else THEIRS


def text(x, y, words, anchor="start", size=12, weight="normal"):
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" ' \
        f'font-size="{size}" font-weight="{weight}">{html.escape(words)}' \
        "</text>"


def panel(figures, column, title, value_of, form, top):
    """The lines of one panel, and where it ends."""
    rows = [(name, value_of(columns[column]["median"]))
            for name, columns in figures.items()
            if name in NAMES and column in columns
            and columns[column]["median"]]
    rows.sort(key=lambda row: row[1], reverse=column.endswith("load"))
    lines = [text(0, top + 20, title, size=13, weight="bold")]
    most = max((value for _, value in rows), default=1)
    y = top + HEAD
    for name, value in rows:
        width = max(1, round(ROOM * value / most))
        lines += [
            text(LABEL - 8, y + BAR - 3, NAMES[name], "end"),
            f'<rect x="{LABEL}" y="{y}" width="{width}" height="{BAR}" '
            f'fill="{colour(name)}"/>',
            text(LABEL + width + 6, y + BAR - 3, form.format(value))]
        y += BAR + GAP
    return lines, y


def draw(result, far=None):
    """The whole chart."""
    lines, y = [], 0
    parts = [(PANELS, result["figures"])]
    if far:
        parts.append((FAR, far["figures"][TRIP]))
    for panels, figures in parts:
        for column, title, value_of, form in panels:
            if any(column in columns for columns in figures.values()):
                more, y = panel(figures, column, title, value_of, form, y)
                lines += more
    machine = result["machine"]
    captions = [f"{result['date']}, {machine['processors']} processors, "
                f"{machine['system']}, {machine['openssl'].split(' (')[0]}",
                "Medians, over 127.0.0.1" + (
                    f", and over a path of tests/path.c, {far['date']}"
                    if far else "")]
    for caption in captions:
        lines.append(text(0, y + 20, caption, size=11))
        y += 16
    height = y + FOOT
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" ' \
        f'height="{height}" viewBox="0 0 {WIDTH} {height}" ' \
        'font-family="sans-serif">\n' \
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>\n' + \
        "\n".join(lines) + "\n</svg>\n"


if __name__ == "__main__":
    loaded = []
    for name in sys.argv[1:3]:
        with open(name, encoding="utf-8") as figures_file:
            loaded.append(json.load(figures_file))
    sys.stdout.write(draw(*loaded))
