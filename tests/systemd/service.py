# SPDX-License-Identifier: ISC
"""aisd.service in a box, for the tests."""

import json
import signal

import wire
from aisd import parse_line, setting, wait_until
from machine import SANITIZERS

EVERYTHING = '{ name = "all"; peers = [ "*" ]; anything = true; ' \
    'shell = true; }'
LOG = "/var/log/aisd/server.log"
KEY = "/etc/aisd/server.key"


class Service:
    """The unit, its configuration, and what can be seen of both.

    Everything that can be left to a default is left to it.
    """

    unit = "aisd.service"
    units = unit, "aisd@.service", "aisd-each@.service"
    port = 4773

    def __init__(self, box, pair, config, slowness=1):
        self.box = box
        self.pair = pair
        self.config = config
        self.slowness = slowness
        self.keys = {}
        self.rules = EVERYTHING
        self.clients = []
        self.cursor = None

    def reset(self):
        """As after the installation."""
        self.cursor = self.box.run(
            "journalctl", "-n", "0", "--show-cursor"
        ).stdout.split("-- cursor: ")[1].strip()
        self.undo()
        self.box.run("sh", "-c", "rm -rf /var/log/aisd/* && "
                     "find /var/lib/aisd-run -mindepth 1 -delete")
        self.box.run("chown", "root:aisd", self.config, KEY, check=False)
        self.configure()
        self.key_mode("root:aisd", "0640")
        if SANITIZERS:
            # The daemon cannot be traced, and LeakSanitizer traces.
            for unit in self.units:
                self.drop_in("[Service]\nEnvironment=ASAN_OPTIONS="
                             "detect_leaks=0", "sanitizers", unit)
        else:
            self.box.run("systemctl", "daemon-reload")

    def undo(self):
        """As the unit was installed."""
        for unit in *self.units, "aisd-each.socket":
            self.box.run("rm", "-rf", f"/run/systemd/system/{unit}.d")

    def finish(self):
        for client in self.clients:
            try:
                client.close()
            except OSError:
                pass
        self.box.run("systemctl", "stop", "aisd.socket", "aisd-each.socket",
                     "aisd.service", "aisd@*.service", "aisd-each@*.service",
                     check=False)
        self.box.run("systemctl", "reset-failed", check=False)
        self.undo()

    # Its configuration.

    def configure(self, rules=None, **keys):
        self.keys.update(keys)
        self.rules = rules or self.rules
        text = "".join(f"{name} = {setting(value)};\n"
                       for name, value in self.keys.items())
        path = self.box.path(self.config)
        path.write_text(f"{text}rules = ( {self.rules} );\n")
        self.box.run("chown", "root:aisd", self.config)
        path.chmod(0o640)

    def key_mode(self, owner, mode):
        self.box.run("chown", owner, KEY)
        self.box.run("chmod", mode, KEY)

    def drop_in(self, text, name="test", unit=unit):
        """Change the unit, as "systemctl edit" does."""
        directory = f"/run/systemd/system/{unit}.d"
        self.box.run("mkdir", "-p", directory)
        self.box.path(f"{directory}/{name}.conf").write_text(text + "\n")
        self.box.run("systemctl", "daemon-reload")

    # Its life.

    def systemctl(self, verb, check=True):
        return self.box.run("systemctl", verb, self.unit, check=check)

    def start(self):
        done = self.systemctl("start", check=False)
        assert done.returncode == 0, done.stderr + self.journal_text()
        return self

    def stop(self):
        """Stop it, and see that it has left in order."""
        self.systemctl("stop")
        assert self.show("Result", "ExecMainStatus") == ["success", "0"]

    def show(self, *properties):
        """Properties of the unit; one alone as a text, else a list."""
        out = self.box.run("systemctl", "show", "-p", ",".join(properties),
                           self.unit).stdout
        values = dict(line.split("=", 1) for line in out.splitlines())
        if len(properties) == 1:
            return values[properties[0]]
        return [values[name] for name in properties]

    @property
    def pid(self):
        """The pid of the daemon in the box."""
        return int(self.show("MainPID"))

    def signal(self, sig=signal.SIGTERM):
        self.box.kill(self.pid, sig)

    def wait(self, condition, what, timeout=10.0):
        return wait_until(condition, what, timeout * self.slowness)

    def wait_restart(self, before):
        """Wait for a daemon other than "before"."""
        def restarted():
            pid, state = self.show("MainPID", "ActiveState")
            return state == "active" and int(pid) not in (0, before)
        self.wait(restarted, "a new daemon")
        return self.pid

    def wait_status(self, matches, what):
        """Wait for a text of the status that matches."""
        def seen():
            text = self.show("StatusText")
            return matches(text) and text
        try:
            return self.wait(seen, what)
        except AssertionError as e:
            raise AssertionError(f"{e}; it is {self.show('StatusText')!r}")

    # Its clients.

    def client(self, pair=None, port=None, **options):
        """A session.  It is closed after the test."""
        options.setdefault("timeout", 10.0 * self.slowness)
        with self.box.network():
            client = wire.Client(port or self.port,
                                 *(pair or self.pair)[:3], **options)
        self.clients.append(client)
        return client

    def run(self, *words, **options):
        """One command in a session of its own."""
        client = self.client()
        result = client.run(list(words), **options)
        client.goodbye()
        return result

    # Its records.

    def journal(self, *matches):
        """The records of the journal that match, oldest first."""
        self.box.run("journalctl", "--sync")
        out = self.box.run("journalctl", "-o", "json", "--all", *matches,
                           check=False).stdout
        return [json.loads(line) for line in out.splitlines()
                if line.startswith("{")]

    def journal_text(self):
        """What the journal has of the unit since the test began."""
        self.box.run("journalctl", "--sync")
        return self.box.run(
            "journalctl", "--no-pager", "-o", "cat", "-u", self.unit,
            f"--after-cursor={self.cursor}", check=False).stdout

    def wait_said(self, text):
        """Wait until the journal has this of the unit.

        journald takes a stream's lines when it comes to it, which can be
        after it was asked to write down everything.
        """
        try:
            self.wait(lambda: text in self.journal_text(), repr(text))
        except AssertionError as e:
            raise AssertionError(f"{e}; there is: {self.journal_text()}")

    def events(self, name=None, **fields):
        """The events of the log file, those with these fields."""
        text = self.box.path(LOG).read_text()
        return [event for event in map(parse_line, text.splitlines())
                if name in (None, event["event"]) and
                fields.items() <= event.items()]

    def processes(self, user="aisd-run"):
        """The pids of the processes of a user."""
        return self.box.run("pgrep", "-U", user, check=False).stdout.split()
