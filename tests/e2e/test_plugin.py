# SPDX-License-Identifier: ISC
"""aisc --plugin, and the definitions for monitoring systems."""

import grp
import os
import pathlib
import pwd
import re
import shlex
import shutil
import signal
import subprocess

import pytest

import wire
from aisd import wait_until
from wire import Code, Operation

SOURCE = pathlib.Path(__file__).parents[2] / "etc" / "monitoring"

RULES = """{ name = "checks"; peers = [ "*" ]; commands = (
    { name = "check_it"; program = "/bin/sh"; arguments = ( "-c",
      { any = true; } ); },
    { name = "check_|"; program = "/bin/true"; },
    { name = "gone"; program = "/no/such/program"; } ); }"""


@pytest.fixture
def daemon(make_aisd):
    return make_aisd(rules=RULES)


@pytest.fixture
def plugin(aisc, daemon):
    def run(*words, options=(), port=None, **how):
        return aisc.run(port or daemon.port, *words,
                        options=["--plugin", *options], **how)
    return run


@pytest.mark.parametrize("status", [0, 1, 2, 3])
@pytest.mark.parametrize("output", [
    b"OK - fine\n", b"DISK OK - free space | /=2643MB;5948;5958;0;5968\n",
    b"first | a=1\nlong\nmore | b=2\nc=3\n", b"no newline",
    b"\xff\x1b[1mraw\0\n", b"|\n"])
def test_answer_of_a_plugin(plugin, status, output, tmp_path):
    """It is what the plugin has said, byte for byte."""
    path = tmp_path / "output"
    path.write_bytes(output)
    done = plugin("check_it", f"cat {path}; exit {status}")
    assert (done.returncode, done.stdout, done.stderr) == (status, output, b"")


def first(done):
    """The only line, without the host; AIS's own are one."""
    assert done.stdout.count(b"\n") == 1, done.stdout
    found = re.fullmatch(rb"AISC UNKNOWN - localhost: (.*)\n", done.stdout)
    assert found and done.returncode == 3, done
    return found[1].decode()


@pytest.mark.parametrize("line, says", [
    ("exit 4", "check_it exited with status 4, which is none of a plugin"),
    ("exit 127", "check_it exited with status 127, which is none of a plugin"),
    ("exit 255", "check_it exited with status 255, which is none of a plugin"),
    ("kill -9 $$", "check_it was ended by signal Killed"),
    ("kill -15 $$", "check_it was ended by signal Terminated")])
def test_what_is_no_status(plugin, line, says):
    """Its output is there all the same, after the line that says so."""
    assert first(plugin("check_it", line)) == says
    done = plugin("check_it", f"echo 'OK - no | a=1'; {line}")
    assert done.returncode == 3
    assert done.stdout.decode() == f"AISC UNKNOWN - localhost: {says}\n" \
        "OK - no | a=1\n"


@pytest.mark.parametrize("status, name", [
    (0, "OK"), (1, "WARNING"), (2, "CRITICAL"), (3, "UNKNOWN")])
@pytest.mark.parametrize("error, says", [
    (b"", b""), (b"bad | \x1b\nmore\n", rb", and to standard error: "
                 rb"bad \x7c \x1b")])
def test_plugin_that_says_nothing(plugin, tmp_path, status, name, error, says):
    path = tmp_path / "error"
    path.write_bytes(error)
    done = plugin("check_it", f"cat {path} >&2; exit {status}")
    assert (done.returncode, done.stderr) == (status, error)
    assert done.stdout == b"AISC " + name.encode() + \
        b" - localhost: check_it wrote nothing to standard output" + says + \
        b"\n"


def test_failures_of_ais(plugin, aisc, tmp_path, daemon):
    assert "has no result: denied: " in first(plugin("check_disk"))
    assert first(plugin("gone")).startswith("gone has no result: unknown: ")
    assert "connect: " in first(plugin("check_it", "true", port=1))
    slow = plugin("check_it", "echo half; exec sleep 60",
                  options=["--timeout", "0.5"])
    assert "has no result: timeout: " in first(slow)
    much = plugin("check_it", "exec cat /dev/zero")
    assert "has no result: resources: " in first(much)
    # What would be performance data is none.
    assert first(plugin("a|b")).startswith(r"a\x7cb has no result: denied: ")
    conf = tmp_path / "bad.conf"
    conf.write_text("nonsense = 1;\n")
    done = plugin("x", options=["-F", str(conf)])
    assert "nonsense" in first(done) and f"{conf}:1" in first(done)
    assert b"nonsense" in done.stderr
    done = plugin("x", options=["--nonsense"])
    assert done.returncode == 3 and b"\n" == done.stdout[-1:]
    assert done.stdout.startswith(b"AISC UNKNOWN - ")
    assert b"aisc: usage: " in done.stderr


def test_lost_half_way(aisc, fake_server):
    """What had come is not taken for the answer."""
    def script(peer):
        peer.hello()
        request = peer.expect_request()
        peer.started(request)
        peer.stdout(request, b"OK - all is well\n")
        peer.goodbye(Code.STOPPING, "the server stops")
    done = aisc.run(fake_server(script).port, "check",
                    options=["--plugin"])
    assert first(done) == "check has no result: stopped: the server stops"


def test_no_input_and_a_time_limit(aisc, fake_server):
    """A plugin is asked for without standard input, and in time."""
    requests = []

    def script(peer):
        peer.hello()
        requests.append(peer.expect_request())
        peer.started(requests[0])
        peer.stdout(requests[0], b"OK\n")
        peer.exit(requests[0], 0)
    done = aisc.run(fake_server(script).port, "check", options=["--plugin"],
                    input=b"not for it")
    assert (done.returncode, done.stdout) == (0, b"OK\n")
    assert not requests[0].stdin
    done = aisc.run(fake_server(script).port, input=b"",
                    options=["--plugin", "-c", "check | wc"])
    assert (done.returncode, done.stdout) == (0, b"OK\n")
    assert requests[1].operation == Operation.SHELL
    # 10 seconds, unless it is said.
    shown = aisc.run(1, options=["--plugin", "--show-config"])
    assert b"timeout = 10" in shown.stdout


def test_signal(aisc, daemon):
    """The system gives up: it is told so."""
    process = aisc.start(daemon.port, "check_it", "sleep 100",
                         options=["--plugin"])
    wait_until(lambda: daemon.events("command-start"), "it runs")
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 3
    assert b"a signal has ended aisc" in out


@pytest.mark.parametrize("options", [
    [], ["-f", "/dev/null"], ["--list"], ["--can"], ["--check"],
    ["--json", "--capture"], ["--status-fd", "9"]])
def test_what_does_not_go_with_it(aisc, options):
    words = [] if options in ([], ["-f", "/dev/null"]) else ["x"]
    done = aisc.run(1, *words, options=["--plugin", *options])
    assert done.returncode == 3 and b"aisc: usage: " in done.stderr
    assert b"UNKNOWN" in done.stdout and done.stdout.count(b"\n") == 1


def test_reader_has_gone(aisc, daemon):
    """An answer that is not read is none."""
    read, write = os.pipe()
    os.close(read)
    process = aisc.start(daemon.port, "check_it", "echo OK",
                         options=["--plugin"], stdout=write)
    os.close(write)
    process.communicate(timeout=30)
    assert process.returncode == 3


# The definitions.

def test_nagios_loads_its_definitions(tmp_path):
    nagios = shutil.which("nagios4") or shutil.which("nagios") or \
        shutil.which("nagios4", path="/usr/sbin")
    if nagios is None:
        pytest.skip("there is no nagios4")
    for folder in ("spool", "objects"):
        (tmp_path / folder).mkdir()
    shutil.copy(SOURCE / "nagios.cfg", tmp_path / "objects" / "aisc.cfg")
    (tmp_path / "objects" / "site.cfg").write_text("""
define timeperiod {
    timeperiod_name always
    alias always
    monday 00:00-24:00
}
define contact {
    contact_name me
    host_notification_period always
    service_notification_period always
    host_notification_commands aisc-check
    service_notification_commands aisc-check
}
define host {
    host_name web1
    address web1.example.org
    max_check_attempts 3
    check_period always
    contacts me
    check_command aisc-check
}
define service {
    host_name web1
    service_description load
    check_command aisc!check_load -w 5,4,3 -c 10,8,6
    max_check_attempts 3
    check_period always
    contacts me
}
""")
    main = tmp_path / "nagios.cfg"
    main.write_text(f"""
cfg_dir={tmp_path}/objects
log_file={tmp_path}/nagios.log
object_cache_file={tmp_path}/objects.cache
status_file={tmp_path}/status.dat
state_retention_file={tmp_path}/retention.dat
command_file={tmp_path}/nagios.cmd
lock_file={tmp_path}/nagios.pid
temp_file={tmp_path}/nagios.tmp
check_result_path={tmp_path}/spool
nagios_user={pwd.getpwuid(os.getuid()).pw_name}
nagios_group={grp.getgrgid(os.getgid()).gr_name}
""")
    done = subprocess.run([nagios, "-v", str(main)], text=True,
                          capture_output=True, timeout=60)
    assert done.returncode == 0, done.stdout
    assert "Total Errors:   0" in done.stdout
    assert "Checked 1 services" in done.stdout


def test_icinga_loads_its_definitions(tmp_path):
    icinga = shutil.which("icinga2") or \
        shutil.which("icinga2", path="/usr/sbin")
    if icinga is None:
        pytest.skip("there is no icinga2")
    main = tmp_path / "icinga2.conf"
    main.write_text(f"""
include <itl>
include "{SOURCE}/icinga2.conf"
object Host "web1" {{
    address = "web1.example.org"
    check_command = "aisc-check"
}}
object Service "load" {{
    host_name = "web1"
    check_command = "aisc"
    vars.aisc_command = [ "check_load", "-w", "5,4,3", "-c", "10,8,6" ]
}}
""")
    for name in ("data", "log", "run", "cache", "spool"):
        (tmp_path / name).mkdir()
    done = subprocess.run(
        [icinga, "daemon", "-C", "-c", str(main),
         "-DDataDir=" + str(tmp_path / "data"),
         "-DLogDir=" + str(tmp_path / "log"),
         "-DInitRunDir=" + str(tmp_path / "run"),
         "-DCacheDir=" + str(tmp_path / "cache"),
         "-DSpoolDir=" + str(tmp_path / "spool")],
        text=True, capture_output=True, timeout=120,
        env={"PATH": os.environ["PATH"],
             "ICINGA2_USER": pwd.getpwuid(os.getuid()).pw_name,
             "ICINGA2_GROUP": grp.getgrgid(os.getgid()).gr_name})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Instantiated 1 Service" in done.stdout


def test_command_line_of_nagios(aisc, daemon, program, tmp_path):
    """As it is in the file, with the macros in place."""
    text = (SOURCE / "nagios.cfg").read_text()
    line, = re.findall(r"command_line\s+(aisc --plugin .*)", text)
    words = shlex.split(line.replace("$HOSTADDRESS$", "localhost").replace(
        "$ARG1$", "check_it 'echo OK; exit 1'"))
    assert words[0] == "aisc" and words[-3] == "localhost"
    done = aisc.run(daemon.port, *words[-2:], options=words[1:-3])
    assert (done.returncode, done.stdout) == (1, b"OK\n")
