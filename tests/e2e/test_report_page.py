# SPDX-License-Identifier: ISC
"""aisd-report --html: a page that needs nothing else, whatever clients are
called and have said."""

import html.parser
import re
import shutil
import subprocess

import pytest

# What makes the page is a script.
pytestmark = pytest.mark.same("build")

TEXTS = ["<script>document.title='bad'</script>", "\"'><img src=x onerror=1>",
         "</title></style></table>", "&lt;&amp;", "a\\nb", "\\x1b[2J",
         "\\xe2\\x80\\xaegpj", "\\xff\\xfe", "{{}} %s", "\u05d0\u05d1"]
VOID = {"meta"}


def record(number, event, peer, **fields):
    """A line of the log; the texts are escaped as aisd does it."""
    fields = {"session": f"s{number}", "address": "192.0.2.1", "peer": peer,
              "request": "1", **fields, "msg": "x"}
    return f"time=2026-01-0{number % 9 + 1}T12:00:00.000000Z level=notice " \
        f"event={event} " + " ".join(
            '%s="%s"' % (name, value.replace('"', '\\"'))
            for name, value in fields.items()) + "\n"


@pytest.fixture
def page(program, tmp_path):
    """A function from a log to the page of it, in a file."""
    def make(log, *options):
        (tmp_path / "server.log").write_text(log)
        done = subprocess.run(
            [*program("aisd-report"), "--html", "page.html", *options,
             "server.log"], cwd=tmp_path, capture_output=True, timeout=100,
            check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        return tmp_path / "page.html"
    return make


def hostile():
    """A log whose every text wants out of its place."""
    log = ""
    for n, text in enumerate(TEXTS):
        same = {"rule": text, "argv": text}
        log += record(n, "session-open", text) + \
            record(n, "command-start", text, **same) + \
            record(n, "command-end", text, **same, reason=text,
                   duration_ms="1.5") + \
            record(n, "command-refused", text, **same, reason=text) + \
            record(n, "session-close", text, reason=text) + \
            record(n + 50, "command-start", text, **same)
    return log


class Page(html.parser.HTMLParser):
    """Its elements, in place; its text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.texts = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def check(path):
    """What holds for every page."""
    text = path.read_text(encoding="utf-8")
    assert all(c == "\n" or c.isprintable() for c in text)
    parsed = Page(text)
    assert parsed.open == []
    assert {*parsed.tags} <= {
        "html", "head", "meta", "title", "style", "body", "h1", "h2", "p",
        "ul", "li", "b", "div", "span", "svg", "g", "rect", "line", "text",
        "table", "tr", "th", "td"}
    assert not [name for name, _ in parsed.attributes
                if name.startswith("on") or name in ("src", "href", "style")]
    assert not re.search(r"url\(|@import|https?:", text)
    return parsed


def test_page(page):
    path = page(hostile())
    assert path.stat().st_mode & 0o007 == 0
    parsed = check(path)
    for text in TEXTS:
        # As peer, rule, reason and command, each in a cell of its own.
        assert parsed.texts.count(text) >= 5, text
    assert "sessions" in parsed.texts and "Timeline" in parsed.texts


def test_page_of_nothing(page):
    parsed = check(page(""))
    assert "no records" in parsed.texts


def test_page_of_a_real_log(page, aisd, connect):
    session = connect()
    session.run(["echo", "<b>&", "\u202e"])
    session.run(["sh", "-c", "exit 3"])
    session.run(["no-such"])
    session.close()
    aisd.wait_event("session-close")
    parsed = check(page(aisd.log.read_text()))
    for text in ("exit 3", "unknown command: no-such", "alice",
                 r"echo '<b>&' '\xe2\x80\xae'"):
        assert text in parsed.texts, text


def test_page_that_cannot_be_written(program, tmp_path):
    (tmp_path / "server.log").write_text(hostile())
    for where, why in ("/dev/full", "No space left"), ("no/page", "No such"):
        done = subprocess.run(
            [*program("aisd-report"), "--html", where, "server.log"],
            cwd=tmp_path, capture_output=True, check=False)
        assert done.returncode == 1
        assert f"cannot write {where}: {why}".encode() in done.stderr


@pytest.mark.limit(300)
def test_page_in_a_browser(page, tmp_path, slowness):
    """It is laid out, nothing runs, and the browser has nothing to say."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if not browser:
        pytest.skip("chromium is not installed")
    path = page(hostile() + "".join(
        record(n, "command-end", "peer%d" % (n % 40), argv="true", rule="r",
               reason="exit", exit="0", duration_ms=str(3.0 ** (n % 16)))
        for n in range(700)))
    done = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu",
         "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--no-first-run", "--disable-dev-shm-usage",
         "--enable-logging=stderr",
         f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1000,1400",
         f"--screenshot={tmp_path / 'page.png'}", "--dump-dom",
         path.as_uri()], capture_output=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    assert b"CONSOLE" not in done.stderr
    dom = done.stdout.decode("utf-8")
    # What it has understood is what we have meant: no element more or less.
    meant = Page(path.read_text(encoding="utf-8"))
    seen = Page(dom)
    assert [tag for tag in seen.tags if tag != "tbody"] == meant.tags
    assert "<title>Commands of aisd</title>" in dom
    picture = tmp_path / "page.png"
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert picture.stat().st_size > 20000       # Not one colour.
