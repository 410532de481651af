# SPDX-License-Identifier: ISC
"""aisc-ssh: ssh's command line, and what becomes of it on the server."""

import os
import shlex
import socket
import subprocess
import time

import pytest

import wire
from aisc import Aisc, said
from wire import Code, Operation, Type

BOTH = '{ peers = [ "*" ]; anything = true; %s }'
FEW = """{ name = "few"; peers = [ "*" ]; accept_environment = [ "LANG" ];
           commands = ( { program = "/usr/bin/printf"; arguments =
               ( { any = true; rest = true; } ); }, "/usr/bin/env" ); }"""


@pytest.fixture
def ssh(program, tmp_path, alice, slowness):
    """An aisc-ssh, with its settings where it looks for them."""
    client = Aisc(program("aisc"), tmp_path / "ssh", alice, slowness)
    client.program.append("--rsh")
    folder = client.directory / ".config" / "ais"
    folder.mkdir(parents=True)
    (folder / "aisc.conf").write_text(
        f'authority = "{alice.ca}";\ncertificate = "{alice.cert}";\n'
        f'key = "{alice.key}";\n')

    def run(*words, env=None, **how):
        how.setdefault("stdin", subprocess.DEVNULL)
        if "input" in how:
            del how["stdin"]
        return subprocess.run([*client.program, *words], timeout=30 * slowness,
                              capture_output=True,
                              env=client.environment(**(env or {})), **how)
    run.client = client
    return run


# The command line.

def shown(done):
    assert done.returncode == 0 and done.stderr == b"", done
    return dict(line.split(" ", 1)
                for line in done.stdout.decode().splitlines())


@pytest.mark.parametrize("words, host, port", [
    (["web"], "web", "4773"),
    (["me@web"], "web", "4773"),
    (["a@b@web"], "web", "4773"),
    (["-p", "22", "web"], "web", "22"),
    (["-p22", "web"], "web", "22"),
    (["web", "-p", "22"], "web", "22"),
    (["web", "-p", "22", "ls", "-p", "33"], "web", "22"),
    (["-oPort=22", "web"], "web", "22"),
    (["-o", "port 22", "web"], "web", "22"),
    (["-o", 'Port="22"', "web"], "web", "22"),
    (["-o", " Port = 22", "web"], "web", "22"),
    (["-p", "22", "-o", "Port=33", "web"], "web", "22"),
    (["--", "web"], "web", "4773"),
    (["web", "--", "-p", "33"], "web", "4773"),
    (["::1"], "::1", "4773"),
    (["[::1]"], "::1", "4773"),
    (["ssh://me@web:22"], "web", "22"),
    (["ssh://[::1]:22/"], "::1", "22"),
    (["ssh://web"], "web", "4773"),
    (["-p", "33", "ssh://web:22"], "web", "33"),
    # As the tools do it.
    (["-l", "me", "web", "rsync", "--server"], "web", "4773"),
    (["-lme", "web"], "web", "4773"),
    (["-o", "SendEnv=GIT_PROTOCOL", "-p", "22", "me@web"], "web", "22"),
    (["-oConnectTimeout=10", "-2", "-a", "-x", "-lbob", "web", "id"],
     "web", "4773"),
    (["-C", "-o", "ControlMaster=auto", "-o", "ControlPersist=60s", "-o",
      'User="bob"', "-o", 'ControlPath="/tmp/%h"', "-o", "IdentityFile=\"\"",
      "-o", "StrictHostKeyChecking=no", "-tt", "web", "/bin/sh -c 'true'"],
     "web", "4773"),
    (["-vvv", "-T", "-q", "-n", "-4", "-i", "/etc/passwd", "-S", "/p", "-e", "none",
      "web"], "web", "4773"),
    (["-M", "-S", "/p", "-o", "ControlPersist=1m", "web", "exit"],
     "web", "4773"),
])
def test_what_is_understood(ssh, words, host, port):
    seen = shown(ssh("-G", *words))
    assert (seen["host"], seen["port"]) == (host, port)


@pytest.mark.parametrize("words, name, value", [
    (["-4"], "addressfamily", "inet"),
    (["-6"], "addressfamily", "inet6"),
    ([], "addressfamily", "any"),
    (["-o", "AddressFamily=inet6", "-4"], "addressfamily", "inet6"),
    (["-oConnectTimeout=7"], "connecttimeout", "7"),
    (["-oConnectTimeout=none"], "connecttimeout", "0"),
    (["-oHostName=192.0.2.7"], "hostname", "192.0.2.7"),
    (["-i", "/etc/passwd"], "identityfile", "/etc/passwd"),
    (["-i", "/etc/passwd", "-i", "/etc/group"], "identityfile",
     "/etc/passwd"),
    (["-oIdentityFile=none", "-i", "/etc/passwd"], "identityfile", None),
    (["-oCertificateFile=~/a/pem"], "certificatefile", "HOME/a/pem"),
    (["-oIdentityFile=~/.config/ais/aisc.conf"], "identityfile",
     "HOME/.config/ais/aisc.conf"),
    (["-i~/.config/ais/aisc.conf"], "identityfile",
     "HOME/.config/ais/aisc.conf"),
    (["-F", "none"], "identityfile", None),
    (["-Fnone"], "identityfile", None),
    (["-F", "/dev/null"], "identityfile", None),
    (["-oCertificateFile=/a/pem"], "certificatefile", "/a/pem"),
    (["-oSetEnv=A=b"], "setenv", "A=b"),
    (["-oSetEnv=A=\"b c\""], "setenv", "A=b c"),
    (["-oSendEnv=NO_SUCH_* MARK*"], "setenv", "MARKED=yes"),
])
def test_values(ssh, alice, words, name, value):
    seen = shown(ssh("-G", *words, "web", env={"MARKED": "yes"}))
    value = value or str(alice.key)
    assert seen.get(name) == value.replace("HOME", str(ssh.client.directory))


def test_a_key_that_is_not_there(ssh, alice):
    words = "-i", "/nonexistent/key", "-oIdentityFile=~/nokey", "web"
    nokey = os.fsencode(ssh.client.directory / "nokey")
    done = ssh("-G", *words)
    assert done.returncode == 0
    assert f"identityfile {alice.key}\n" in done.stdout.decode()
    assert done.stderr == b"aisc: there is no key %s; going on without it\n" \
        % nokey
    assert ssh("-G", *words, "-q").stderr == b""
    seen = shown(ssh("-qG", "-i", "/nonexistent/key", "-i", "/etc/passwd",
                     "web"))
    assert seen["identityfile"] == "/etc/passwd"


def test_a_file_of_options_for_ssh(ssh, tmp_path):
    config = tmp_path / "ssh_config"
    config.write_text("Host *\n    IdentityFile ~/.ssh/id_ed25519\n")
    done = ssh("-F", config, "-G", "web")
    assert done.returncode == 255 and said(done.stderr) == "config"
    assert (b"-F takes a file as aisc.conf(5) says, and not one of "
            b"ssh_config(5)") in done.stderr
    done = ssh("-F", tmp_path / "missing", "-G", "web")
    assert done.returncode == 255 and b"-F takes" not in done.stderr


def test_a_key_of_openssh(ssh, tmp_path):
    key = tmp_path / "id_ed25519"
    key.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXkt\n"
                   "-----END OPENSSH PRIVATE KEY-----\n")
    key.chmod(0o600)
    done = ssh("-p", "1", "-i", key, "localhost", "true")
    assert done.returncode == 255 and said(done.stderr) == "config"
    assert b"is one of OpenSSH" in done.stderr


@pytest.mark.parametrize("words", [
    ["::1%$(touch ${HOME}/pwned)"], ["[::1%$(touch ${HOME}/pwned)]"],
    ["ssh://[::1%`touch pwned`]"], ["-oHostName=::1%;touch pwned", "web"],
    ["-oHostName=-oProxyCommand=x", "web"]])
def test_a_host_is_no_line_for_a_shell(ssh, words, tmp_path):
    """A proxy_command may give it to one, and URLs come from others."""
    ran = tmp_path / "ran"
    with open(ssh.client.directory / ".config/ais/aisc.conf", "a") as config:
        config.write(f'proxy_command = [ "sh", "-c", "echo >{ran}; exec '
                     'false %h %p" ];\n')
    assert ssh("web", "true").returncode == 255 and ran.exists()
    ran.unlink()
    done = ssh(*words, "true")
    assert done.returncode == 255 and b"is no name of a host" in done.stderr
    assert not ran.exists()


@pytest.mark.parametrize("words, what", [
    (["-A"], b"-A is not supported"),
    (["-L", "1:b:2"], b"-L is not supported"),
    (["-R1:b:2"], b"-R is not supported"),
    (["-D", "1"], b"-D is not supported"),
    (["-W", "a:1"], b"-W is not supported"),
    (["-X"], b"-X is not supported"),
    (["-J", "gate"], b'ProxyJump is not supported: set "proxy_command" in '
     b"aisc.conf(5)"),
    (["-oProxyCommand=nc a"], b"ProxyCommand is not supported"),
    (["-oForwardAgent=yes"], b"ForwardAgent is not supported"),
    (["-oSessionType=none"], b"SessionType=none is not supported"),
    (["-z"], b"unknown option -z"),
    (["-p", "0"], b'Port takes a number from 1 to 65535 and not "0"'),
    (["-p", "22x"], b'not "22x"'),
    (["-oConnectTimeout=soon"], b'not "soon"'),
    (["-oAddressFamily=ipx"], b'not "ipx"'),
    (["-oConnectionAttempts=0"], b'not "0"'),
    (["-oSetEnv=="], b"= is not NAME=VALUE"),
    (["-oPort='1"], b"-o Port has no value that can be read"),
])
def test_what_is_refused(ssh, words, what):
    for more in ([], ["-G"]):
        done = ssh(*more, *words, "web", "id")
        assert done.returncode == 255 and said(done.stderr) == "usage"
        assert what in done.stderr and done.stdout == b""


@pytest.mark.parametrize("words", [
    ["-oForwardAgent=no", "-oForwardX11=no"], ["-oProxyCommand=none"],
    ["-oNoSuchOption=yes"], ["-oClearAllForwardings=yes"],
    ["-oForwardAgent=no", "-oForwardAgent=yes"]])
def test_what_is_off(ssh, words):
    assert ssh("-G", *words, "web").returncode == 0


def test_no_master(ssh):
    done = ssh("-O", "check", "web")
    assert done.returncode == 255 and b"no master" in done.stderr


def test_version_and_nothing(ssh):
    assert ssh("-V").stderr.startswith(b"aisc (ais) ")
    for words in ([], ["-v"], [""], ["me@"], ["ssh://:22"]):
        done = ssh(*words)
        assert done.returncode == 255 and b"there is no HOST" in done.stderr
    assert b"-s takes one word" in ssh("-s", "web").stderr
    assert b"-p needs a value" in ssh("-p").stderr


@pytest.mark.parametrize("name", ["ssh", "aisc-ssh"])
def test_by_name(program, tmp_path, name):
    words = program("aisc")
    if len(words) > 1:
        pytest.skip("valgrind has the name")
    (tmp_path / name).symlink_to(words[0])
    done = subprocess.run([tmp_path / name, "-G", "web"], capture_output=True)
    assert done.stdout.startswith(b"host web\n")


# What is asked of the server.

@pytest.fixture
def asked(ssh, fake_server):
    """What a request for these words asks for."""
    def ask(*words, env=None, **how):
        requests = []

        def script(peer):
            peer.hello()
            request = peer.expect_request()
            requests.append(request)
            peer.started(request)
            peer.exit(request, 3)
            peer.drain()
        done = ssh("-p", str(fake_server(script).port), *words, env=env,
                   **how)
        assert done.returncode == 3, done
        return requests[0]
    return ask


def test_words_are_joined(asked):
    request = asked("localhost", "-n", "a", "b  c", "--x", "'d e'")
    assert request.operation == Operation.LINE
    assert request.words == [b"a b  c --x 'd e'"] and not request.stdin


def test_subsystem(asked):
    request = asked("-oForwardX11 no", "-s", "--", "localhost", "sftp",
                    input=b"")
    assert request.operation == Operation.SUBSYSTEM
    assert request.words == [b"sftp"] and request.stdin


def test_variables(asked):
    request = asked("-oSendEnv=GIT_*", "-oSetEnv=A=1 B=2", "localhost", "x",
                    env={"GIT_PROTOCOL": "version=2"})
    assert request.env == [b"GIT_PROTOCOL=version=2", b"A=1", b"B=2"]


# What the server makes of it.

@pytest.fixture
def line(make_aisd, connect):
    """The result of a line under the rules."""
    def run(rules, text, operation=Operation.LINE, env=None, stdin=None):
        if rules not in run.clients:
            run.daemon = make_aisd(rules=rules)
            run.clients[rules] = connect(daemon=run.daemon)
            run.clients[rules].hello()
        words = [] if text is None else [text]
        return run.clients[rules].request(operation, words, stdin, env)
    run.clients = {}
    return run


@pytest.mark.parametrize("text, out", [
    ("printf %s, a 'b  c' \"d\"", b"a,b  c,d,"),
    ("printf '%s,' a\\ b '*' \\*", b"a b,*,*,"),
    ("exec printf %s, x", b"x,"),
    ("  printf\t%s,  x  ", b"x,"),
    ("printf '%s,' 'it'\\''s'", b"it's,"),
    ("printf %s, \"a\nb\"\n", b"a\nb,"),
])
def test_a_line_without_a_shell(line, text, out):
    for rules in BOTH % "", FEW:
        done = line(rules, text)
        assert (done.status, done.stdout) == (0, out)
        line.clients.popitem()[1].close()


def test_a_line_with_a_shell(line):
    done = line(BOTH % "shell = true;", "printf %s, a | tr a b; echo $0")
    assert done.stdout == b"b,sh\n"
    event, = line.daemon.events("command-start")
    assert event["line"] == "'printf %s, a | tr a b; echo $0'"


@pytest.mark.parametrize("text, what", [
    ("ls *.c", "*"), ("a | b", "|"), ("a > b", ">"), ("a; b", ";"),
    ("echo $HOME", "$"), ('echo "$HOME"', "$"), ("ls ~", "~")])
def test_a_line_that_needs_a_shell(line, text, what):
    done = line(FEW, text)
    assert done.refused.code == Code.DENIED
    assert done.refused.text == (f'the rule "few" grants no shell to "alice", which '
                         f'the {what} in it needs; its key "shell" would')
    event, = line.daemon.events("command-refused")
    assert shlex.split(event["line"]) == [text]


def test_several_lines_need_a_shell(line):
    assert ("which a line of several lines needs"
            in line(FEW, "printf a\nprintf b").refused.text)


@pytest.mark.parametrize("text, what", [
    ("", "it has no word"), ("  ", "it has no word"),
    ("echo 'a", "quote"), ("echo a\\", "backslash")])
def test_a_line_that_is_none(line, text, what):
    done = line(FEW, text)
    assert done.refused.code == Code.INVALID and what in done.refused.text


def test_no_line_is_the_shell_itself(line):
    done = line(BOTH % "shell = true;", None, stdin=b"echo $0 $-; exit 5\n")
    assert (done.status, done.stdout.split()[:1]) == (5, [b"sh"])
    assert b"i" not in done.stdout.split()[1]
    event, = line.daemon.events("command-start")
    assert event["line"] == "''" and "argv" not in event


def test_no_line_without_a_shell(line):
    done = line(FEW, None, stdin=b"printf x\n")
    assert done.refused.code == Code.DENIED
    assert done.refused.text == (
        'the rule "few" grants no shell to "alice", which commands on '
        'standard input need; its key "shell" would')
    event, = line.daemon.events("command-refused")
    assert event["line"] == "''"


def test_a_learning_rule_learns_the_shell_itself(line, program):
    rules = FEW.replace("peers", 'learn_until = "2100-01-01"; peers')
    assert line(rules, None, stdin=b"echo x").stdout == b"x\n"
    done = subprocess.run([*program("aisd-report"), "--suggest",
                           str(line.daemon.log)],
                          capture_output=True, check=True)
    assert b"shell = true;" in done.stdout


def test_a_line_is_held_to_the_rule(line):
    for text in "id", "exec id", "/usr/bin/id":
        done = line(FEW, text)
        assert done.refused.code == Code.DENIED and "grant the command" in done.refused.text
    assert line(FEW, "exec").refused.code == Code.DENIED


def test_variables_that_are_not_let_through(line):
    env = {"LANG": "x", "SECRET": "1", "LD_PRELOAD": "x", "no name": ""}
    done = line(FEW, "env", env=env)
    assert b"LANG=x\n" in done.stdout and b"SECRET" not in done.stdout
    assert b"LD_PRELOAD" not in done.stdout
    assert line(FEW, "env", Operation.RUN, env).refused


def test_the_record_has_the_words(line):
    line(FEW, "exec printf 'a b'")
    event, = line.daemon.events("command-start")
    assert event["argv"] == "printf 'a b'" and event["command"] == "printf"


def test_a_learning_rule_learns_lines(line):
    rules = FEW.replace("peers", 'learn_until = "2100-01-01"; peers')
    assert line(rules, "echo x").stdout == b"x\n"
    assert line(rules, "echo x | tr x y").stdout == b"y\n"
    first, second = line.daemon.events("command-start")
    assert first["learned"] == second["learned"] == "true"
    assert first["argv"] == "echo x" and second["line"] == "'echo x | tr x y'"


def test_sftp_server(line):
    def ask(rules, name="sftp"):
        done = line(rules, name, Operation.SUBSYSTEM)
        line.clients.clear()
        return done
    server = 'sftp_server = [ "/usr/bin/printf", "%s,", "a b" ];'
    for rules in BOTH % server, FEW.replace("peers", server + " peers"):
        assert ask(rules).stdout == b"a b,"
        event, = line.daemon.events("command-start")
        assert event["argv"] == "/usr/bin/printf %s, 'a b'"
        assert event["command"] == "sftp"
    done = ask(FEW)
    assert done.refused.code == Code.DENIED
    assert done.refused.text == ('the rule "few" names no sftp server for "alice"; '
                         'its key "sftp_server" would')
    assert ask(BOTH % server, "netconf").refused.code == Code.UNKNOWN


def test_sftp_server_alone(make_aisd, aisc):
    """A rule may grant nothing else, and is told when it does not."""
    rules = '{ peers = [ "*" ]; sftp_server = [ "%s" ]; }'
    daemon = make_aisd(rules=rules % "/usr/bin/env")
    check = [*daemon.words, "-t", "-c", str(daemon.conf)]
    assert subprocess.run(check).returncode == 0
    assert aisc.run(daemon.port, options=["--list"]).stdout == \
        b"-s sftp\tfiles, by sftp and scp over aisc-ssh\t\n"
    daemon.configure(rules=rules % "/no/such/program")
    done = subprocess.run(check, capture_output=True)
    assert done.returncode == 3
    assert b"sftp_server: the program /no/such/program cannot be found" in \
        done.stdout + done.stderr


@pytest.mark.parametrize("value", ['[ ]', '[ "sftp-server" ]'])
def test_sftp_server_is_a_path(make_aisd, value):
    daemon = make_aisd(start=False, rules=BOTH % f"sftp_server = {value};")
    done = subprocess.run([*daemon.words, "-t", "-c", str(daemon.conf)],
                          capture_output=True)
    assert done.returncode == 6
    assert b"sftp_server: must begin with the path of a program" in done.stderr


# All of it together.

def test_run(ssh, aisd):
    port = "-p", str(aisd.port)
    done = ssh(*port, "localhost", "cat;", "exit", "7", input=b"abc")
    assert (done.returncode, done.stdout, done.stderr) == (7, b"abc", b"")
    done = ssh(*port, "-4", "-q", "localhost", "kill -9 $$")
    assert done.returncode == 128 + 9


# Without a command: a script on standard input, and a terminal.

SCRIPT = b"""\
if test -e /nonexistent
then
    echo ran in spite of that
fi
cat <<END
$((6 * 7)) $1
END
cd / && X=$(pwd)
printf '%s\\n' "$X" | tr / _
set -e
false
echo went on
"""


@pytest.mark.parametrize("words", [[], [""], ["-T"], ["-tt"]])
def test_a_script_on_standard_input(ssh, make_aisd, words):
    daemon = make_aisd(rules=BOTH % "shell = true;")
    options = [word for word in words if word]
    done = ssh("-p", str(daemon.port), *options, "localhost",
               *(word for word in words if not word), input=SCRIPT)
    assert (done.returncode, done.stdout, done.stderr) == (
        1, b"42 \n_\n", b"")


def test_a_script_is_refused_as_a_whole(ssh, make_aisd, tmp_path):
    daemon = make_aisd(rules=BOTH % "")
    mark = tmp_path / "made"
    done = ssh("-p", str(daemon.port), "localhost",
               input=b"touch %s\n" % os.fsencode(mark))
    assert done.returncode == 255 and said(done.stderr) == "denied"
    assert b"grants no shell" in done.stderr and not mark.exists()


@pytest.mark.parametrize("how", [{}, {"stdin": subprocess.DEVNULL}])
def test_an_empty_script(ssh, make_aisd, how):
    how = how or {"input": b""}
    granted = make_aisd(rules=BOTH % "shell = true;")
    done = ssh("-p", str(granted.port), "localhost", **how)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    denied = make_aisd(rules=BOTH % "")
    done = ssh("-p", str(denied.port), "localhost", **how)
    assert done.returncode == 255 and said(done.stderr) == "denied"


def test_no_command_is_no_words(asked):
    for words in [], ["-n"]:
        request = asked(*words, "localhost", input=b"")
        assert request.operation == Operation.LINE and request.words == []
        assert request.stdin == (not words)


@pytest.fixture
def terminal():
    """A terminal: our side, and the other."""
    ours, theirs = os.openpty()
    yield ours, theirs
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize("words", [[], ["-t"], ["-tt"], ["-oRequestTTY=yes"]])
def test_no_terminal(ssh, terminal, words):
    done = ssh("-p", "1", *words, "localhost", stdin=terminal[1])
    assert done.returncode == 255 and said(done.stderr) == "usage"
    assert done.stdout == b""
    assert b"no terminals" in done.stderr and b"aisc localhost" in done.stderr


@pytest.mark.parametrize("words", [["-T"], ["-oRequestTTY=no"]])
def test_a_shell_without_a_terminal(ssh, make_aisd, terminal, words):
    daemon = make_aisd(rules=BOTH % "shell = true;")
    os.write(terminal[0], b"X=1; echo $((X + 1))\nexit 4\n")
    done = ssh("-p", str(daemon.port), *words, "localhost",
               stdin=terminal[1])
    assert (done.returncode, done.stdout, done.stderr) == (4, b"2\n", b"")


def test_no_input_on_a_terminal(ssh, make_aisd, terminal):
    daemon = make_aisd(rules=BOTH % "shell = true;")
    done = ssh("-p", str(daemon.port), "-n", "localhost", stdin=terminal[1])
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")




# Attempts, and how long they may take.

def begin_to_try(ssh, port, *options):
    """An aisc-ssh that has failed to connect once."""
    process = subprocess.Popen(
        [*ssh.client.program, "-v", "-p", str(port), *options, "localhost",
         "echo", "there"], env=ssh.client.environment(),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE)
    line = process.stderr.readline()
    while line and b"trying again" not in line:
        line = process.stderr.readline()
    return process, line


def test_attempts_when_refused(ssh, make_aisd):
    with socket.socket() as place:
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        place.bind(("127.0.0.1", 0))
        port = place.getsockname()[1]
    daemon = make_aisd(start=False, listen=[f"127.0.0.1:{port}"])
    process, line = begin_to_try(ssh, port, "-4", "-oConnectionAttempts=60")
    try:
        assert b"Connection refused" in line
        daemon.start()
        out, err = process.communicate(timeout=30 * ssh.client.slowness)
    finally:
        process.kill()
    assert (process.returncode, out) == (0, b"there\n"), err


def test_attempts_when_busy(ssh, make_aisd, connect):
    daemon = make_aisd(max_waiting=1)
    first = connect(daemon=daemon)
    first.hello()
    second = connect(daemon=daemon)
    assert second.receive(10).type == Type.WAITING
    process, line = begin_to_try(ssh, daemon.port, "-oConnectionAttempts=60")
    try:
        assert b"its line is full" in line
        first.close()
        second.close()
        out, err = process.communicate(timeout=30 * ssh.client.slowness)
    finally:
        process.kill()
    assert (process.returncode, out) == (0, b"there\n"), err


def test_attempts_come_to_an_end(ssh):
    begun = time.monotonic()
    done = ssh("-vp1", "-4", "-oConnectionAttempts=2", "localhost", "true")
    assert done.returncode == 255 and said(done.stderr) == "connect"
    assert time.monotonic() - begun > 1
    assert done.stderr.count(b"trying again") == 1
    done = ssh("-vp1", "-4", "localhost", "true")
    assert b"trying again" not in done.stderr


@pytest.mark.parametrize("options", [
    ["-oConnectTimeout=1"], ["-oConnectTimeout=1", "-oConnectionAttempts=2"]])
def test_connect_timeout_in_the_line(ssh, aisd, connect, options):
    connect().hello()
    done = ssh("-p", str(aisd.port), *options, "localhost", "true")
    assert done.returncode == 255 and said(done.stderr) == "busy"
    assert b"did not come within 1 second," in done.stderr
    assert b"aisd-each.socket" in done.stderr


def test_wait_of_the_settings(ssh, aisd, connect):
    connect().hello()
    settings = ssh.client.directory / ".config" / "ais" / "aisc.conf"
    with settings.open("a") as file:
        file.write("wait = 0.5;\n")
    done = ssh("-p", str(aisd.port), "localhost", "true")
    assert done.returncode == 255 and said(done.stderr) == "busy"
    assert b"did not come within 0.5 seconds" in done.stderr


def test_connect_timeout_without_a_greeting(ssh, fake_server):
    """A server that shakes hands, and then says nothing."""
    server = fake_server(lambda peer: peer.drain())
    done = ssh("-p", str(server.port), "-oConnectTimeout=1", "localhost",
               "true")
    assert done.returncode == 255 and said(done.stderr) == "connect"
    assert b"does not answer within 1 second;" in done.stderr


def test_inherited_descriptors(ssh, aisd):
    """The end of a pipe comes in spite of an end of it that is inherited."""
    ours, theirs = os.pipe()
    os.set_inheritable(theirs, True)
    process = subprocess.Popen(
        [*ssh.client.program, "-p", str(aisd.port), "localhost", "cat"],
        env=ssh.client.environment(), stdin=ours, stdout=subprocess.PIPE,
        close_fds=False)
    os.write(theirs, b"all")
    os.close(theirs)
    os.close(ours)
    try:
        out, _ = process.communicate(timeout=10 * ssh.client.slowness)
    finally:
        process.kill()
    assert (process.returncode, out) == (0, b"all")


def test_address_family(ssh, make_aisd):
    daemon = make_aisd(listen=["[::1]:0"])
    assert ssh("-6", "-p", str(daemon.port), "::1", "true").returncode == 0
    done = ssh("-4", "-p", str(daemon.port), "::1", "true")
    assert done.returncode == 255 and said(done.stderr) == "connect"


@pytest.mark.parametrize("size", [0, 10, 65527, 65536, 1000000])
def test_first_credit_is_kept(ssh, fake_server, size):
    """Not a byte more goes without STARTED; and what went to a server that
    sends the client away goes to the next one."""
    data = os.urandom(size)

    def busy(peer):
        request = peer.expect_request()
        taken = b""
        while len(taken) < min(size, wire.PAYLOAD_MAX):
            taken += peer.expect(Type.STDIN).payload
        assert taken == data[:len(taken)]
        peer.goodbye(Code.BUSY, "full")
        peer.drain()
        assert sum(len(f.payload) for f in peer.received
                   if f.type == Type.STDIN) + len(taken) <= wire.STDIN_FIRST

    def serve(peer):
        request = peer.expect_request()
        peer.hello()
        peer.started(request, 100000)
        assert peer.read_stdin(request) == data
        peer.exit(request)
        peer.drain()
    server = fake_server([busy, serve])
    done = ssh("-p", str(server.port), "-oConnectionAttempts=2", "localhost",
               "cat", input=data)
    assert done.returncode == 0, done.stderr
    server.join()
    assert not server.errors
