# SPDX-License-Identifier: ISC
"""The prompt as a person sees it, in a terminal of tmux; and scripts."""

import os
import shlex
import shutil
import signal
import stat
import subprocess
import termios
import uuid

import pytest

from aisc import said
from aisd import wait_until

RULES = """{ name = "few"; peers = [ "*" ]; any_directory = true; commands = (
    { name = "restart"; program = "/bin/echo"; summary = "again";
      arguments = ( { any = true; rest = true; } ); },
    { name = "restore"; program = "/bin/echo"; },
    { name = "two words"; program = "/bin/echo";
      arguments = ( { any = true; } ); },
    "/usr/bin/seq", "/bin/sh", "/bin/echo", "/bin/sleep", "/bin/cat" ); }"""


class Screen:
    """A terminal with a program in it."""

    def __init__(self, words, env, slowness=1, width=200):
        self.socket = "ais-" + uuid.uuid4().hex
        self.slowness = slowness
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", str(width),
                  "-y", "24", *words, ";", "set", "remain-on-exit", "on",
                  env=env)

    def tmux(self, *words, env=None):
        return subprocess.run(
            ["tmux", "-L", self.socket, *words], check=True,
            capture_output=True, text=True, env=env).stdout

    def lines(self):
        text = self.tmux("capture-pane", "-p", "-t", "0")
        return [line.rstrip() for line in text.rstrip("\n").split("\n")]

    def keys(self, *keys):
        """Keys by their names."""
        self.tmux("send-keys", "-t", "0", *keys)

    def type(self, text):
        self.tmux("send-keys", "-t", "0", "-l", text)

    def resize(self, width, height):
        """tmux tells the terminal of it a moment later."""
        self.tmux("resize-window", "-t", "0", "-x", str(width),
                  "-y", str(height))
        tty = self.tmux("display-message", "-p", "-t", "0",
                        "#{pane_tty}").strip()
        fd = os.open(tty, os.O_RDONLY | os.O_NOCTTY)
        try:
            wait_until(lambda: os.get_terminal_size(fd) == (width, height),
                       "the terminal has its size", 10 * self.slowness)
        finally:
            os.close(fd)

    def shows(self, *last):
        """Wait until these are the last lines that are not empty."""
        def seen():
            lines = [line for line in self.lines() if line]
            return lines[-len(last):] == list(last)
        try:
            wait_until(seen, "it is shown", 10 * self.slowness)
        except AssertionError:
            raise AssertionError(f"{last} are not the last of "
                                 f"{self.lines()}") from None

    def cursor(self, column):
        """Wait until the cursor is there: the terminal has drawn it all."""
        wait_until(lambda: self.tmux(
            "display-message", "-p", "-t", "0", "#{cursor_x}") ==
            f"{column}\n", "the cursor is there", 10 * self.slowness)

    def close(self):
        subprocess.run(["tmux", "-L", self.socket, "kill-server"],
                       capture_output=True, check=False)


@pytest.fixture
def place(make_aisd, tmp_path):
    """A daemon of few commands, which begin in a directory of theirs."""
    there = tmp_path / "there"
    (there / "sub").mkdir(parents=True)
    daemon = make_aisd(rules=RULES, directory=there)
    daemon.there = there
    return daemon


@pytest.fixture
def screen(program, aisc, place, builddir, slowness):
    if not shutil.which("tmux"):
        pytest.skip("there is no tmux")
    if "#define HAVE_LIBEDIT 1" not in (builddir / "config.h").read_text():
        pytest.skip("aisc is built without libedit")
    screens = []

    def start(width=200, daemon=place, shell=False, **environment):
        words = ["bash", "--norc"] if shell else aisc.words(daemon.port)
        screens.append(Screen(
            words, {"PATH": os.environ["PATH"], "PS1": "$ ",
                    **aisc.environment(**environment)},
            slowness, width))
        screens[-1].shows("$" if shell else f"localhost:{place.there}>")
        screens[-1].prompt = f"localhost:{place.there}>"
        return screens[-1]
    yield start
    for one in screens:
        one.close()


@pytest.fixture
def without_libedit(tmp_path):
    """The environment of a machine that has no libedit, or no good one."""
    folder = tmp_path / "libraries"
    folder.mkdir()
    for version in (0, 2):
        (folder / f"libedit.so.{version}").write_text("no library")
    return {"LD_LIBRARY_PATH": str(folder)}


def test_prompt_without_libedit(screen, without_libedit):
    """Lines are read as the terminal gives them."""
    s = screen(**without_libedit)
    assert "aisc: lines cannot be edited: " in " ".join(s.lines())
    s.type("echo plain\r")
    s.shows("plain", s.prompt)


def test_commands_do_not_load_libedit(aisc, place, without_libedit):
    """It and what it brings along would cost each of them time."""
    done = aisc.run(place.port, "echo", "one", env=without_libedit)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"one\n", b"")


def history(aisc):
    return aisc.directory / ".local" / "state" / "ais" / "history"


def test_status_of_the_last_command(screen):
    s = screen()
    s.type("sh -c 'exit 3'\r")
    s.shows(s.prompt[:-1] + " [3]>")
    s.type("echo 'a  b'\r")
    s.shows("a  b", s.prompt)
    s.type("nonsense\r")
    s.shows(s.prompt[:-1] + " [255]>")
    s.keys("C-c")
    s.shows(s.prompt[:-1] + " [255]>", s.prompt[:-1] + " [255]>")


def test_history(screen, aisc, place):
    s = screen()
    s.type("echo first\r")
    s.shows("first", s.prompt)
    s.type("echo second\r")
    s.shows("second", s.prompt)
    for line in (" echo secret", "echo second"):
        s.type(line + "\r")
        s.shows(line.split()[1], s.prompt)
    s.keys("Up", "Up")
    s.shows(s.prompt + " echo first")
    s.keys("Down", "Enter")
    s.shows("second", s.prompt)
    s.keys("C-d")
    wait_until(lambda: place.events("session-close"), "it has left")
    path = history(aisc)
    assert path.read_text() == "echo first\necho second\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    # Another one remembers.
    s = screen()
    s.keys("Up", "Up", "Enter")
    s.shows("first", s.prompt)
    s.keys("C-r")
    s.type("sec")
    s.keys("Enter")
    s.shows("second", s.prompt)


def test_history_of_two(screen, aisc):
    """What both have typed is there, line by line."""
    a = screen()
    a.type("echo a\r")
    a.shows("a", a.prompt)
    a.type("exit\r")
    b = screen(HOME=str(aisc.directory))
    b.type("echo b\r")
    b.shows("b", b.prompt)
    assert history(aisc).read_text() == "echo a\nexit\necho b\n"


def test_history_is_bounded(screen, aisc):
    path = history(aisc)
    path.parent.mkdir(parents=True)
    path.write_text("".join(f"echo {i:0100}\n" for i in range(10000)))
    path.chmod(0o644)
    s = screen()
    s.type("echo new\r")
    s.shows("new", s.prompt)
    assert path.stat().st_size <= 256 * 1024 + 10
    lines = path.read_text().splitlines()
    assert lines[-2:] == [f"echo {9999:0100}", "echo new"]
    assert {len(line) for line in lines[:-1]} == {105}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("kind", ["link", "fifo", "directory", "no home"])
def test_no_history_file(screen, aisc, tmp_path, kind):
    path = history(aisc)
    path.parent.mkdir(parents=True)
    other = tmp_path / "other"
    other.write_text("")
    home = str(aisc.directory)
    if kind == "link":
        path.symlink_to(other)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    else:
        home = ""
    s = screen(HOME=home)
    s.type("echo x\r")
    s.shows("x", s.prompt)
    s.keys("Up")
    s.shows(s.prompt + " echo x")
    assert other.read_text() == ""


def test_completion(screen, place):
    s = screen()
    s.type("rest\t")
    s.type("\t")
    s.shows(s.prompt + " rest", "restart  restore", s.prompt + " rest")
    s.type("a\t")
    s.shows(s.prompt + " restart")
    s.type("now\r")
    s.shows("now", s.prompt)
    s.type("pw\t\r")
    s.shows(s.prompt + " pwd", str(place.there), s.prompt)
    s.type("tw\tx\r")
    s.shows(s.prompt + " 'two words' x", "x", s.prompt)
    s.type("cd sub\r")
    s.shows(f"localhost:{place.there}/sub>")
    s.type(f"cd {place.there}/s\t\r")
    s.shows(f"localhost:{place.there}/sub>")
    # What cannot be known is not guessed, and LIST is asked for once.
    s.keys("C-u")
    s.type("echo re\tx\r")
    s.shows("rex", f"localhost:{place.there}/sub>")


def test_completion_of_foreign_names(aisc, make_aisd, screen, place):
    place.configure(rules='{ peers = [ "*" ]; any_directory = true; '
                    'commands = ( { name = "re\\xc2\\x9b2J"; '
                    'program = "/bin/echo"; }, { name = "red"; '
                    'program = "/bin/echo"; arguments = ( "x" ); } ); }')
    seen = len(place.events("reload"))
    place.process.send_signal(signal.SIGHUP)
    wait_until(lambda: place.events("reload")[seen:], "a reload")
    s = screen()
    s.type("re\t\r")
    s.shows(s.prompt + " red", "x", s.prompt)


def test_interrupt(screen, place):
    s = screen()
    s.type("half a line")
    # Ctrl-C throws away what the terminal has and nobody has read yet.
    s.shows(s.prompt + " half a line")
    s.keys("C-c")
    s.shows(s.prompt + " half a line", s.prompt)
    s.keys("C-c")
    s.shows(s.prompt, s.prompt)
    s.type("sleep 100\r")
    wait_until(lambda: place.events("command-start"), "it runs")
    s.keys("C-c")
    s.shows(s.prompt + " sleep 100", "^C", s.prompt[:-1] + " [130]>")
    s.type("echo the same session\r")
    s.shows("the same session", s.prompt)
    assert len(place.events("session-open")) == 1


def test_second_interrupt(screen, place):
    """It ends the command, and neither the prompt nor the session."""
    s = screen()
    s.type("cd sub\r")
    s.shows(f"localhost:{place.there}/sub>")
    s.type("sh -c 'trap \"\" INT; echo stubborn; sleep 100'\r")
    wait_until(lambda: "stubborn" in s.lines(), "it runs", 10 * s.slowness)
    s.keys("C-c")
    # A terminal drops what it has not shown of the first at the second.
    s.shows("stubborn", "^C")
    s.keys("C-c")
    s.shows("stubborn", "^C^C", f"localhost:{place.there}/sub [130]>")
    s.type("pwd\r")
    s.shows(f"{place.there}/sub", f"localhost:{place.there}/sub>")
    assert len(place.events("session-open")) == 1
    assert place.events("command-end")[-1]["reason"] == "cancelled"


def test_prompt_of_few_commands(screen, make_aisd, aisc, place):
    """A rule that grants commands and no choice of a directory: the prompt
    asks for nothing that is refused."""
    daemon = make_aisd(rules=RULES.replace("any_directory = true;", ""),
                       directory=place.there)
    s = screen(daemon=daemon)
    s.type("pwd\r")
    s.shows(str(place.there), s.prompt)
    s.type("cd\r")
    s.type("echo x\r")
    s.shows("x", s.prompt)
    assert not daemon.events("command-refused")
    s.type("cd /etc\r")
    s.shows('aisc: denied: the rule "few" does not let clients choose the '
            'directory; its key "any_directory" would',
            s.prompt[:-1] + " [255]>")
    event = daemon.wait_event("command-refused")
    assert event["argv"] == "cd /etc"
    assert '"cd /etc" refused: ' in event["msg"]
    s.type("pwd\r")
    s.shows(str(place.there), s.prompt)
    done = aisc.run(daemon.port, input=b"pwd\necho y\n")
    assert (done.returncode, done.stdout) == (
        0, f"{place.there}\ny\n".encode())


def test_output_is_the_commands(screen):
    """Nothing of ours is in it, however long it takes."""
    s = screen()
    s.type("sh -c 'for i in 1 2 3; do sleep 0.4; echo $i; done'\r")
    s.shows("1", "2", "3", s.prompt)


def test_resize(screen):
    s = screen()
    s.type("cd /\r")
    s.shows("localhost:/>")
    s.resize(50, 20)
    text = "echo " + "x" * 60
    s.type(text)
    s.shows("localhost:/> " + text[:37], text[37:])
    # In the middle of it: the rest of the line moves along.
    s.keys("C-a")
    s.type("sh -c true; "[:6])
    s.shows("localhost:/> sh -c " + text[:31], text[31:])
    s.resize(150, 20)
    s.keys("C-u", "C-k")
    s.type(text + "\r")
    s.shows("x" * 60, "localhost:/>")


@pytest.mark.parametrize("back", [0, 3, 40])
def test_resize_of_half_a_line(screen, back):
    """It is shown once, wherever the cursor is, and so is what comes next."""
    s = screen()
    s.type("cd /\r")
    s.shows("localhost:/>")
    text = "echo " + "a" * 20 + "b" * 20 + "c" * 20
    line = "localhost:/> " + text
    s.type(text)
    s.shows(line)
    s.keys(*["C-b"] * back)
    at = len(line) - back
    s.cursor(at)
    for width in (50, 30, 120):
        s.resize(width, 20)
        s.type("x")
        line = line[:at] + "x" + line[at:]
        at += 1
        s.cursor(at % width)
        s.shows(*[line[i:i + width] for i in range(0, len(line), width)])
        assert "".join(s.lines()).count("localhost:/> ") == 1


def test_job_control(screen, aisc, place, slowness):
    """After fg the terminal is the prompt's before a key is pressed."""
    s = screen(shell=True)
    tty = os.open(s.tmux("display-message", "-p", "-t", "0",
                         "#{pane_tty}").strip(), os.O_RDONLY | os.O_NOCTTY)

    def edits():
        return not termios.tcgetattr(tty)[3] & (termios.ECHO | termios.ICANON)
    try:
        line = shlex.join(aisc.words(place.port))
        s.type("clear; " + line + "\r")
        s.shows(f"localhost:{place.there}>")
        s.type("echo half")
        s.shows(f"localhost:{place.there}> echo half")
        for _ in range(2):
            s.keys("C-z")
            s.shows("$")
            # bash has set its own mode as well.
            subprocess.run(["stty", "-F", os.ttyname(tty), "sane"], check=True)
            assert not edits()
            s.type("fg\r")
            s.shows(f"localhost:{place.there}> echo half")
            wait_until(edits, "the prompt has the terminal", 10 * slowness)
        s.type(" way\r")
        s.shows("half way", f"localhost:{place.there}>")
    finally:
        os.close(tty)


def test_lost_line(screen, place):
    s = screen()
    s.type("cd sub\r")
    prompt = f"localhost:{place.there}/sub>"
    s.shows(prompt)
    port = place.port
    place.kill()
    wait_until(lambda: any("aisc: lost: " in line for line in s.lines()),
               "the prompt says so", 10 * s.slowness)
    s.type("echo x\r")
    wait_until(lambda: any("aisc: connect: " in line for line in s.lines()),
               "it has tried", 10 * s.slowness)
    failed = prompt[:-1] + " [255]>"
    s.shows(failed)
    # Ctrl-C is the line's still.
    s.type("half a line")
    s.shows(failed + " half a line")
    s.keys("C-c")
    s.shows(failed + " half a line", failed)
    place.configure(listen=[f"127.0.0.1:{port}"])
    place.start()
    s.keys("Up", "Enter")
    s.shows("x", prompt)
    s.type("pwd\r")
    s.shows(f"{place.there}/sub", prompt)


def test_vi_keys(screen, aisc, place):
    (aisc.directory / ".editrc").write_text("bind -v\n")
    s = screen()
    s.type("pw\t\r")
    s.shows(s.prompt + " pwd", str(place.there), s.prompt)
    s.type("exho vi")
    s.shows(s.prompt + " exho vi")
    s.keys("Escape")
    s.type("0lrc")
    s.shows(s.prompt + " echo vi")
    s.keys("Enter")
    s.shows("vi", s.prompt)


def test_list(screen):
    s = screen()
    s.type("list\r")
    s.shows("restart [WORD]...  again", "restore", "two words WORD",
            *(f"{name} [WORD]..." for name in ("seq", "sh", "echo", "sleep",
                                               "cat")), s.prompt)
    s.type("list x\r")
    s.shows("aisc: invalid: list takes no word", s.prompt[:-1] + " [255]>")


# Scripts.

@pytest.fixture
def script(aisc, place, tmp_path):
    def run(text, *options, **how):
        path = tmp_path / "script"
        path.write_text(text)
        return aisc.run(place.port, options=["-f", str(path), *options], **how)
    return run


def test_file(script):
    done = script("# A comment\n\necho one\ncd sub\npwd\nsh -c 'exit 4'\n")
    assert done.stdout.startswith(b"one\n/") and done.returncode == 4
    assert done.stdout.endswith(b"/there/sub\n") and done.stderr == b""


def test_line_that_is_too_long(script):
    """It is not sent, nor is a part of it, and the next one is run."""
    long = "echo" + 60000 * " is-too-long-x"   # Each word costs 5 bytes.
    done = script(f"echo one\n{long}\n# {'x' * 500000}\necho two\n",
                  "--keep-going")
    assert (done.stdout, said(done.stderr)) == (b"one\ntwo\n", "invalid")
    assert b"protocol" not in done.stderr


def test_file_and_standard_input(script):
    """It is nobody's."""
    done = script("cat\necho done\n", input=b"not to be read")
    assert done.stdout == b"done\n" and done.returncode == 0


@pytest.mark.parametrize("option", [[], ["--stop-on-error"],
                                    ["--keep-going"]])
@pytest.mark.parametrize("line, status, ends", [
    ("sh -c 'exit 4'", 4, "--stop-on-error"),
    ("nonsense", 255, "--stop-on-error"), ("a | b", 255, "always"),
    ("if test -e /", 255, "always"), ("LANG=C", 255, "always"),
    ("cd /no/such", 255, "always"), ("cd a b", 255, "always"),
    ("exit x", 255, "always")])
def test_end_of_a_script(script, line, status, ends, option):
    """What is not understood ends it, whatever the options; what the server
    refuses, unless told otherwise; the status of a command, if told so."""
    done = script(f"echo one\n{line}\necho two\n", *option)
    if ends == "always" or ends in option or (status == 255 and not option):
        assert (done.stdout, done.returncode) == (b"one\n", status)
    else:
        assert (done.stdout, done.returncode) == (b"one\ntwo\n", 0)
    if status == 255:
        assert done.stderr.count(b"script:2") == 1
        assert (b": the script ends here: " in done.stderr) == \
            (b"two" not in done.stdout)
    else:
        assert done.stderr == b""


@pytest.mark.parametrize("option", [[], ["--keep-going"]])
@pytest.mark.parametrize("text", [
    "echo 1\nif test -e /none\nthen\n\techo no\nfi\necho no\n",
    "echo 1\nfor i in a b c\ndo\necho no\ndone\n",
    "echo 1\n{\necho no\n}\n", "echo 1\nf() {\necho no\n}\n",
    "echo 1\nwhile read x; do\necho no\ndone\n",
    "echo 1\ncase x in\n x)\n echo no\nesac\n",
    "echo 1\ncat <<EOF\necho no\nEOF\n", "echo 1\necho \\\n\techo no\n",
    "echo 1\necho 'no\necho no\n'\n", "echo 1\n! true\necho no\n",
    "echo 1\ntest -e /none &&\necho no\n"])
def test_half_of_a_construct(script, text, option):
    """Never runs, though each of its lines by itself might."""
    done = script(text, *option)
    assert (done.stdout, done.returncode) == (b"1\n", 255)
    assert said(done.stderr) == "invalid" and b"script:2: " in done.stderr


def test_keep_going_or_stop(script):
    done = script("echo one\n", "--stop-on-error", "--keep-going")
    assert (done.returncode, said(done.stderr)) == (255, "usage")


def test_file_and_line(script, tmp_path):
    done = script("echo one\necho 'two\n")
    assert said(done.stderr) == "invalid"
    assert f"{tmp_path}/script:2: ".encode() in done.stderr


@pytest.mark.parametrize("name, why", [
    ("missing", "No such file or directory"), ("folder", "Is a directory")])
def test_no_file(aisc, place, tmp_path, name, why):
    (tmp_path / "folder").mkdir()
    done = aisc.run(place.port, options=["-f", str(tmp_path / name)])
    assert done.returncode == 255 and said(done.stderr) == "input"
    assert f"cannot read {tmp_path}/{name}: {why}".encode() in done.stderr


def test_file_leaves_no_place(script):
    for words in (["echo"], ):
        done = script("", "--", "localhost", *words)
        assert done.returncode == 255 and said(done.stderr) == "usage"
    done = script("", "-c", "line")
    assert b"exclude each other" in done.stderr


def test_script_with_an_interpreter(aisc, place, tmp_path, program):
    """#!/usr/bin/env -S aisc -f"""
    if len(program("aisc")) > 1:
        pytest.skip("not under valgrind")
    settings = aisc.directory / ".config" / "ais"
    settings.mkdir(parents=True)
    (settings / "aisc.conf").write_text(
        f'authority = "{aisc.pair.ca}"; certificate = "{aisc.pair.cert}";\n'
        f'key = "{aisc.pair.key}"; port = {place.port};\n')
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "aisc").symlink_to(program("aisc")[0])
    path = tmp_path / "check"
    path.write_text("#!/usr/bin/env -S aisc --stop-on-error -f\n"
                    "echo from a script\nsh -c 'exit 5'\necho no\n")
    path.chmod(0o755)
    done = subprocess.run(
        [path, "localhost"], capture_output=True, stdin=subprocess.DEVNULL,
        env={**aisc.environment(), "PATH": f"{folder}:{os.environ['PATH']}"})
    assert (done.returncode, done.stdout) == (5, b"from a script\n")
