# SPDX-License-Identifier: ISC
"""Records of aisd's log, from files and from the journal.

A record is a dict of the fields, with "time" and "event".  Lines are read one
by one and forgotten.  Text is kept as the log escapes it, and so it is harmless
wherever it is shown.
"""

import base64
import bz2
import datetime
import gzip
import importlib
import io
import json
import lzma
import os
import re
import subprocess
import sys
import zlib

LOG = "/var/log/aisd/server.log"
LINE_MAX = 4 << 20      # What is longer is no line of aisd's.
EVENTS = {"start", "command-start", "command-end", "command-refused",
          "session-open", "session-close", "handshake-failed", "clock-jump"}
# "event=..." stands at the beginning of a line, before anything foreign.
HEAD = re.compile(r"time=(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z) "
                  r"level=[a-z]+ event=([a-z-]+) ")
FIELD = re.compile(r'([a-z][a-z0-9_]*)=(?:"([^"\\]*(?:\\.[^"\\]*)*)"|'
                   r'([^ "]*))(?: |$)')
LINE = re.compile("(?:" + FIELD.pattern.replace("(", "(?:").replace(
    "(?:?:", "(?:") + ")+")
# The log, and what logrotate makes of its name, with "dateext" or without, with
# "extension" or without; and packed.
NAMES = re.compile(r"server(\.log([-.]\d[\d-]*)?|[-.]\d[\d-]*\.log)"
                   r"(\.(gz|bz2|xz|zst))?")


# Text, as aisd's log escapes it, but for double quotes.

def escape(data):
    """Foreign bytes as printable text from which they can be had again."""
    out = []
    for char in data.decode("utf-8", "surrogateescape"):
        if char == "\\":
            out.append("\\\\")
        else:
            out.append(char if char.isprintable() else hide(char))
    return "".join(out)


def hide(char):
    """The escape of a character that must not be shown."""
    named = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
    return named.get(char) or "".join(
        f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogateescape"))


def harmless(text):
    """Text that is escaped already, and once more what should have been."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else hide(c) for c in text)


def unquote(text):
    """A quoted value: only its quotes lose their backslashes."""
    return re.sub(r"\\(.)", lambda m: '"' if m[1] == '"' else m[0], text) \
        if "\\" in text else text


def unescape(text):
    """What escape() has made such text of."""
    named = {"n": b"\n", "r": b"\r", "t": b"\t", "\\": b"\\"}
    data = re.sub(rb"\\(x([0-9a-f]{2})|.)",
                  lambda m: bytes.fromhex(m[2].decode()) if m[2] else
                  named[m[1].decode()],
                  text.encode("utf-8", "surrogateescape"))
    return data.decode("utf-8", "surrogateescape")


# Records: dicts of the fields, with "time" and "event".

def parse_line(line):
    """A line of the file log; None if it is none of ours, or is torn."""
    head = HEAD.match(line)
    if not head:
        return None
    if head[2] not in EVENTS:
        return {"time": head[1], "event": head[2]}
    if not LINE.fullmatch(line):
        return None
    fields = FIELD.findall(line)
    # The text is last, or the mark of a cut behind it.
    if fields[-1][0] not in ("msg", "cut"):
        return None
    if "\\" in line:
        return {name: unquote(quoted) or bare for name, quoted, bare in fields}
    return {name: quoted or bare for name, quoted, bare in fields}


def parse_json(entry):
    """A line of the file log in JSON, which has been loaded."""
    if not HEAD.match(f"time={entry['time']} level={entry['level']} "
                      f"event={entry['event']} "):
        return None
    return {name: escape(base64.b64decode(entry[name + "_base64"])
                         if name + "_base64" in entry else
                         value.encode("utf-8", "surrogatepass"))
            for name, value in entry.items()}


def journal_text(value):
    """The value of a field of journalctl -o json, escaped."""
    if isinstance(value, list) and value and not isinstance(value[0], int):
        value = value[0]        # Some fields can be there several times.
    if isinstance(value, list):
        return escape(bytes(value))
    return escape(value.encode("utf-8", "surrogatepass")) \
        if isinstance(value, str) else ""


def parse_object(line, uid):
    """A line of journalctl -o json, with a uid: of nobody else; or one of the
    file log in JSON.  No field of the journal is in lower case."""
    try:
        entry = json.loads(line)
        if "event" in entry:
            return parse_json(entry)
        if uid is not None and entry.get("_UID") != str(uid):
            return {"time": "", "event": "foreign"}
        if "AIS_EVENT" not in entry:
            return {"time": "", "event": "foreign"}
        record = {name[4:].lower(): journal_text(value)
                  for name, value in entry.items() if name[:4] == "AIS_"}
        micro = int(entry["__REALTIME_TIMESTAMP"])
        record["time"] = stamp(datetime.datetime.fromtimestamp(
            micro // 1000000, datetime.timezone.utc).replace(
                microsecond=micro % 1000000))
        return record
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError,
            OSError, RecursionError):
        return None


def stamp(when):
    """A time as the log writes it."""
    return when.astimezone(datetime.timezone.utc).strftime(
        "%Y-%m-%dT%H:%M:%S.%fZ")


def lines_of(stream):
    """The lines of a binary stream; None for one that is too long."""
    while True:
        line = stream.readline(LINE_MAX)
        if not line:
            return
        if len(line) < LINE_MAX or line.endswith(b"\n"):
            yield line.decode("utf-8", "surrogateescape").rstrip("\n")
            continue
        while line and not line.endswith(b"\n"):
            line = stream.readline(LINE_MAX)
        yield None


def records_of(stream, uid):
    """The records of a stream, in either format; None for what is none."""
    for line in lines_of(stream):
        if line is None:
            yield None
        elif line[:1] == "{":
            yield parse_object(line, uid)
        elif line:
            yield parse_line(line)


# Files.

try:                    # Python has it from 3.14 on.
    ZSTD = importlib.import_module("compression.zstd")
except ImportError:
    ZSTD = None


def open_zstd(stream):
    """A file of zstd(1)."""
    if ZSTD is None:
        raise OSError(0, "packed by zstd, which this Python cannot read; run: "
                      "zstdcat FILE | aisd-report -")
    return ZSTD.ZstdFile(stream)


# How a packed file begins, and what reads it.
PACKERS = {
    b"\x1f\x8b": lambda stream: gzip.GzipFile(fileobj=stream),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
    b"\x28\xb5\x2f\xfd": open_zstd,
}
# What they raise where a file is cut or damaged.
DAMAGE = (OSError, EOFError, lzma.LZMAError, zlib.error,
          *([ZSTD.ZstdError] if ZSTD else []))


def open_log(path):
    """A log, packed or not, as a binary stream."""
    stream = sys.stdin.buffer if path == "-" else \
        open(path, "rb", buffering=1 << 18)
    start = stream.peek(6)
    for magic, unpack in PACKERS.items():
        if start.startswith(magic):
            return io.BufferedReader(unpack(stream), 1 << 18)
    return stream


def first_time(path):
    """The time of the first record of a file, to read files in order."""
    if path == "-":
        return "~"
    with open_log(path) as stream:
        for number, record in enumerate(records_of(stream, None)):
            if record and record["time"]:
                return record["time"]
            if number > 1000:
                break
    return "~"


def default_logs():
    """The usual log, and what was rotated away from it."""
    folder = os.path.dirname(LOG)
    try:
        names = os.listdir(folder)
    except OSError:
        names = []
    return [os.path.join(folder, found) for found in names
            if NAMES.fullmatch(found)]


def read_journal():
    """journalctl, as a process."""
    return subprocess.Popen(
        ["journalctl", "--no-pager", "-a", "-q", "-o", "json", "-t", "aisd"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
