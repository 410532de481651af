#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""A chart of the benchmark's figures, as SVG.

usage: chart.py FIGURES.json >CHART.svg
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
WIDTH, LABEL, BAR, GAP, HEAD, FOOT = 760, 130, 15, 5, 34, 30
ROOM = WIDTH - LABEL - 70
OURS, THEIRS, YARDSTICK = "#2f6f9f", "#b8b8b8", "#e0c060"


def colour(name):
    return OURS if name == "aisd" else \
        YARDSTICK if name.startswith("floor") else THEIRS


def text(x, y, words, anchor="start", size=12, weight="normal"):
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" ' \
        f'font-size="{size}" font-weight="{weight}">{html.escape(words)}' \
        "</text>"


def panel(figures, column, title, value_of, form, top):
    """The lines of one panel, and where it ends."""
    rows = [(name, value_of(columns[column]["median"]))
            for name, columns in figures.items()
            if column in columns and columns[column]["median"]]
    rows.sort(key=lambda row: row[1], reverse=column.endswith("load"))
    lines = [text(0, top + 20, title, size=13, weight="bold")]
    most = max((value for _, value in rows), default=1)
    y = top + HEAD
    for name, value in rows:
        width = max(1, round(ROOM * value / most))
        lines += [
            text(LABEL - 8, y + BAR - 3, name, "end"),
            f'<rect x="{LABEL}" y="{y}" width="{width}" height="{BAR}" '
            f'fill="{colour(name)}"/>',
            text(LABEL + width + 6, y + BAR - 3, form.format(value))]
        y += BAR + GAP
    return lines, y


def draw(result):
    """The whole chart."""
    lines, y = [], 0
    for column, title, value_of, form in PANELS:
        if any(column in columns for columns in result["figures"].values()):
            more, y = panel(result["figures"], column, title, value_of, form,
                            y)
            lines += more
    machine = result["machine"]
    lines.append(text(
        0, y + 20, f"{result['date']}, {machine['processors']} processors, "
        f"{machine['system']}, {machine['openssl']}, over 127.0.0.1; "
        "medians", size=11))
    height = y + FOOT
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" ' \
        f'height="{height}" viewBox="0 0 {WIDTH} {height}" ' \
        'font-family="sans-serif">\n' \
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>\n' + \
        "\n".join(lines) + "\n</svg>\n"


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as figures_file:
        sys.stdout.write(draw(json.load(figures_file)))
