# SPDX-License-Identifier: ISC
"""The commands that rules have learned, as their lists "commands" would have
them: exactly the words that ran, and no shell.
"""

import collections
import os
import re
import shlex

from records import harmless, unescape
from tables import count

COMMANDS_MAX = 4096     # Different ones that are kept, ...
BYTES_MAX = 16 << 20    # ...and so many bytes of words.
COLUMNS_MAX = 64        # Commands of more words are not merged.
WORD_MAX = 4096         # Of a string in aisd.conf, in bytes.
LEFT_MAX = 100          # That are left out, and named.
LEFT_WIDTH = 200
FEW = 3                 # Fewer different words say nothing of their kind.
NUMBER = re.compile(r"0|-?[1-9]\d{0,8}")
PATH = re.compile(r"(/[^/]+)+")
SHELLS = {"ash", "bash", "csh", "dash", "elvish", "fish", "ksh", "ksh93",
          "mksh", "nu", "posh", "pwsh", "rbash", "sh", "tcsh", "yash", "zsh"}
HEAD = """\
# What the rule "{}" has learned, from {} to {} (UTC).  Put this
# into the rule; where it has a list "commands", put the entries into that one,
# commas between.  Then try it: aisd -t, aisd --explain, aisc --can.
"""
NOTHING = """\
# The rule "{}" has learned nothing from {} to {} (UTC) that can be suggested.
"""


def quoted(text):
    """A string of aisd.conf(5), of what is printable."""
    return '"' + "".join(
        "\\" + char if char in '"\\' else
        char if char.isprintable() else
        "".join(f"\\x{byte:02x}" for byte in os.fsencode(char))
        for char in text) + '"'


class Calls:
    """How often something was called, and when for the last time."""

    def __init__(self):
        self.times, self.last = 0, ""

    def add(self, when, times=1):
        """One more."""
        self.times += times
        self.last = max(self.last, when)

    def __str__(self):
        return f"{count(self.times, 'time')}, last on {self.last[:10]}"


class Rule:
    """What one rule has learned."""

    def __init__(self):
        self.first, self.last = "~", ""
        # By program, by its arguments.
        self.programs = collections.defaultdict(
            lambda: collections.defaultdict(Calls))
        self.named = collections.defaultdict(str)       # By name, when last?
        self.left = collections.Counter()

    def leave(self, why, text):
        """What is not suggested, and why."""
        text = harmless(text)
        if len(text) > LEFT_WIDTH:
            text = text[:LEFT_WIDTH] + "..."
        key = f"{why}: {text}" if text else why
        if key not in self.left and len(self.left) >= LEFT_MAX:
            key = "others"
        self.left[key] += 1


class Suggestions:
    """All rules that have learned."""

    def __init__(self, args):
        self.since, self.until = args.since or "", args.until or "~"
        self.peer, self.generalise = args.peer, args.generalise
        self.rules = {}
        self.commands = self.bytes = 0

    def take(self, record):
        """Note what one record suggests.  Only the end tells what ran."""
        if record is None or record["event"] != "command-end" or \
                "learned" not in record or "rule" not in record or \
                not self.since <= record["time"] < self.until or \
                self.peer not in (None, record.get("peer") or
                                  record.get("subject")):
            return
        rule = self.rules.setdefault(record["rule"], Rule())
        rule.first = min(rule.first, record["time"])
        rule.last = max(rule.last, record["time"])
        program = unescape(record.get("program", ""))
        words, why = words_of(record, program)
        if words is None:
            rule.leave(why, record.get("argv", record.get("line", "")))
            return
        arguments = tuple(words[1:])
        calls = rule.programs[program]
        if arguments not in calls:
            size = len(program) + sum(map(len, words))
            if self.commands >= COMMANDS_MAX or self.bytes + size > BYTES_MAX:
                rule.leave("no room for more different commands", "")
                return
            self.commands += 1
            self.bytes += size
        calls[arguments].add(record["time"])
        if words[0] != program:
            rule.named[program] = max(rule.named[program], record["time"])

    def result(self):
        """The text, in pieces."""
        if not self.rules:
            yield "# No rule has let anything through while it was learning.\n"
        for name, rule in sorted(self.rules.items()):
            yield from text_of(name, rule, self.generalise)


def words_of(record, program):
    """The words that ran; or None, and why they cannot be suggested."""
    exit_status = record.get("exit")
    if "line" in record:
        return None, 'a line for a shell ("shell = true;" would grant all)'
    if record.get("reason") == "exit" and exit_status in ("126", "127"):
        return None, f"it ended with status {exit_status}, as what is not there"
    if not program:
        return None, "it did not start, or no program is on record"
    if program[0] != "/":
        return None, "its program has no absolute path"
    cut = record.get("cut", "").split(",")
    if "argv" not in record or "argv_cut" in record or "argv" in cut or \
            cut == ["true"]:
        return None, "not all of its words are on record"
    try:
        words = shlex.split(unescape(record["argv"]))
    except ValueError:
        return None, "not all of its words are on record"
    name = os.path.basename(program)
    if not words or words[0] not in (program, name) or "inserted" in record:
        return None, "an entry has run it by a name of its own"
    if name in SHELLS:
        return None, "a shell"
    if "command" in record and any("***" in word for word in words):
        return None, "the log masks a word"
    if any(len(os.fsencode(word)) >= WORD_MAX for word in (program, *words)):
        return None, "a word is too long for aisd.conf"
    return words, ""


# Words to entries.

def boxes_of(calls):
    """Sets of argument lists of which each is a product: lists of columns,
    each a set of words.  Together they are what was called, no more and no less,
    and no two have one in common: two are made one only where a single column
    differs."""
    by_length = collections.defaultdict(list)
    for arguments in calls:
        by_length[len(arguments)].append(
            (tuple(frozenset([word]) for word in arguments), [arguments]))
    for length, boxes in sorted(by_length.items()):
        before = -1
        while length <= COLUMNS_MAX and before != len(boxes):
            before = len(boxes)
            for column in reversed(range(length)):
                boxes = merge(boxes, column)
        yield from boxes


def merge(boxes, column):
    """Make one of those that differ in this column alone."""
    merged = {}
    for box, members in boxes:
        key = box[:column] + box[column + 1:]
        words, others = merged.setdefault(key, (set(), []))
        words |= box[column]
        others += members
    return [(key[:column] + (frozenset(words),) + key[column:], members)
            for key, (words, members) in merged.items()]


class Slot:
    """What one argument may be."""

    def __init__(self, words, generalise):
        self.words, self.place, self.numbers = words, None, None
        if not generalise or len(words) < FEW:
            return
        if all(NUMBER.fullmatch(word) for word in words):
            numbers = [int(word) for word in words]
            self.numbers = min(numbers), max(numbers)
        elif all(map(is_path, words)):
            place = os.path.commonpath(map(os.path.dirname, words))
            self.place = place if place != "/" else None

    def fits(self, word):
        """Does it grant the word?"""
        if self.numbers and NUMBER.fullmatch(word):
            return self.numbers[0] <= int(word) <= self.numbers[1]
        if self.place and is_path(word):
            return word.startswith(self.place + "/")
        return word in self.words

    def lines(self, seen, comma):
        """Its text, and how often each word was seen."""
        if self.numbers or self.place:
            return [("{ min = %d; max = %d; }" % self.numbers if self.numbers
                     else f"{{ below = {quoted(self.place)}; }}") + comma +
                    f"\t# {len(self.words)} different ones"]
        if len(self.words) == 1:
            return [quoted(*self.words) + comma]
        words = sorted(self.words)
        return ["{ one_of = ["] + [
            f"\t{quoted(word)}{'' if word == words[-1] else ','}"
            f"\t# {count(seen[word], 'time')}" for word in words] + \
            ["]; }" + comma]


def is_path(word):
    """Is it an absolute one, and written plainly?"""
    return PATH.fullmatch(word) and not {".", ".."} & {*word.split("/")}


class Entry:
    """One of "commands": a program, slots, and the calls that it is for."""

    def __init__(self, program, box, members, generalise):
        self.program, self.members = program, members
        self.slots = [Slot(words, generalise) for words in box]

    def fits(self, arguments):
        """Does it grant these?"""
        return len(arguments) == len(self.slots) and all(
            slot.fits(word) for slot, word in zip(self.slots, arguments))

    def text(self, calls):
        """The entry; "calls" has how often each member was called."""
        whole = Calls()
        seen = [collections.Counter() for _ in self.slots]
        for arguments in self.members:
            whole.add(calls[arguments].last, calls[arguments].times)
            for counter, word in zip(seen, arguments):
                counter[word] += calls[arguments].times
        lines = ["{", f"\t# {whole}", f"\tprogram = {quoted(self.program)};",
                 "\targuments = (" if self.slots else "\targuments = ( );"]
        for slot, counter in zip(self.slots, seen):
            comma = "" if slot is self.slots[-1] else ","
            lines += ["\t\t" + line for line in slot.lines(counter, comma)]
        return "\n".join("\t" + line for line in [
            *lines, *["\t);"] * bool(self.slots), "}"])


def entries_of(program, calls, generalise):
    """Entries for the calls of a program; none is inside of another."""
    entries = []
    for box, members in sorted(boxes_of(calls), key=lambda pair: (
            -len(pair[1]), sorted(pair[1]))):
        for entry in entries if generalise else ():
            if all(map(entry.fits, members)):
                entry.members += members
                break
        else:
            entries.append(Entry(program, box, members, generalise))
    return entries


def text_of(name, rule, generalise):
    """What is suggested for a rule, and what is left out."""
    # Of two programs of one name it is the one that was found last.
    programs = sorted(sorted(rule.programs, key=lambda p: (
        rule.named[p], p), reverse=True), key=os.path.basename)
    texts = [entry.text(rule.programs[program]) for program in programs
             for entry in entries_of(program, rule.programs[program],
                                     generalise)]
    yield (HEAD if texts else NOTHING).format(
        harmless(name), rule.first[:10], rule.last[:10])
    if texts:
        yield "commands = (\n" + ",\n".join(texts) + "\n);\n"
    for text, times in rule.left.items():
        yield f"# Left out, {count(times, 'time')}: {text}\n"
