# SPDX-License-Identifier: ISC
"""What people are told of every failure that they can cause, on both sides.

FAILURES is the table.  A row says how the failure is made, with which status
aisc ends, every line that it prints, and every record that aisd writes of it.
Where aisd cannot know of a failure, there are no records.
"""

import contextlib
import ctypes
import errno
import json
import os
import re
import signal
import socket
import ssl
import subprocess
from typing import Callable, NamedTuple, Optional

import pytest

import aisc as client
import pki
import wire
from aisd import Daemon, wait_until
from faults import Faults
from machine import INSTRUMENTED
from pki import DAY

# What differs from one run to the next, as the table writes it.
PLACES = {
    "DATE": r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC",
    "FILE": r"/[\w./@-]+", "PORT": r"\d+", "SECONDS": r"[\d.e-]+",
    "CUT": r"the connection was cut(?:: Connection reset by peer)?",
    "SHUT": r"the connection was cut within the handshake"
            r"(?:: Connection reset by peer)?",
    # Which certificate of a chain is looked at first is OpenSSL's affair.
    "NAME": r"(?:alice|AIS_CA)", "HOURS": r"2[13] hours",
    # By which the kernel ends what does not even fit for its beginning.
    "SIGNAL": r"(?:11 \(Segmentation fault\)|9 \(Killed\))",
    "SIGNAME": r"SIG(?:SEGV|KILL|PIPE|TERM)",
    "COMMANDS": r"(?:0 commands|1 command)",
    # The client has gone while it waited, or in the middle.
    "CLOSED": r"(?:the connection was cut|"
              r"the client went away in the middle of a request)",
    # Where there is no name server, nobody can say.
    "LOOKUP": r"(?:Name or service not known; look at the name, and at "
              r'"host_name" in aisc\.conf|Temporary failure in name '
              r"resolution; the name servers do not answer: try again, or "
              r"use an address)",
}
# The fields of a record beside those that the table names.
ALWAYS = {"time", "event", "level", "msg"}
PEER = {"address", "peer", "subject", "issuer", "serial", "fingerprint"}
REQUEST = PEER | {"session", "request", "rule", "user", "directory", "argv"}
USED = {"duration_ms", "cpu_ms", "stdin_bytes", "stdout_bytes",
        "stderr_bytes"}
# They are no explanations.
QUIET = {"start", "expiry", "reload", "session-open", "command-start",
         "clock-jump"}

RULES = '''
{ name = "all"; peers = [ "alice", "alice-*" ]; anything = true;
  shell = true; any_directory = true; },
{ name = "few"; peers = "bob"; commands = (
  { name = "uptime"; program = "/usr/bin/uptime"; },
  { name = "show"; program = "/bin/echo";
    arguments = ( { match = "[a-z]+"; } ); }
); },
{ name = "quick"; peers = "quick"; anything = true; time_limit = 0.3; },
{ name = "terse"; peers = "terse"; anything = true; output_limit = 10; },
{ name = "small"; peers = "small"; anything = true;
  memory_limit = "200 KiB"; },
{ name = "brief"; peers = "brief"; anything = true; cpu_limit = 1; }
'''


class World:
    """All that rows need; what is expensive is made once."""

    def __init__(self, program, builddir, directory, authority, slowness):
        self.program, self.builddir = program, builddir
        self.directory, self.slowness = directory, slowness
        self.authority = authority
        self.pairs = {}
        self.count = 0
        self.told = directory / "told"      # The object of --status-fd.
        self.daemons = []
        self.crl = directory / "crl.pem"
        self.gone = authority.make("gone")
        pki.revocations(authority, self.crl, [int(self.gone.serial, 16)])
        self.other = pki.root(str(directory / "other"), "Other CA")
        self.twin = pki.root(str(directory / "twin"), "AIS_CA")
        self.localhost = self.make("localhost", "server")
        self.alice = self.make("alice", start=-9000, end=30 * DAY + 9000)
        self.shifted = None     # The daemon whose clock can be wrong.
        self.daemon = self.start()
        self.watch(self.daemon)

    def make(self, name, purpose="client", signer=None, **how):
        """A certificate, which trusts the authority; the same at the next
        call."""
        key = (name, purpose, signer and signer.cert, repr(how))
        if key not in self.pairs:
            pair = (signer or self.authority).make(name, purpose, **how)
            self.pairs[key] = pair._replace(ca=self.authority.ca)
        return self.pairs[key]

    def watch(self, daemon):
        """From now on it is this one whose records count."""
        self.watched, self.mark = daemon, len(daemon.events())

    def records(self, count):
        """What it has written since, when there is no more to come: "count"
        records, and those before the end of one more session."""
        daemon = self.watched

        def found():
            return [event for event in daemon.events()[self.mark:]
                    if event["event"] not in QUIET and
                    event.get("reason") != "done"]
        wait_until(lambda: len(found()) >= count, f"{count} records",
                   10 * self.slowness)
        if any(event["event"] == "stop" for event in found()):
            daemon.stop()
        elif daemon.process:
            with wire.Client(daemon.port, *self.alice[:3]) as session:
                session.hello()
                session.goodbye()
                name = session.session[wire.Item.SESSION].decode()
            daemon.wait_event("session-close", session=name)
        return found()

    def start(self, faults=None, **keys):
        directory = self.directory / f"aisd{len(self.daemons)}"
        self.daemons.append(Daemon(
            self.program("aisd"), directory, self.localhost, rules=RULES,
            env=faults and faults.environment(), slowness=self.slowness,
            **{"crl": self.crl, "kill_grace": 0.3, "max_waiting": 1,
               "directory": "/", **keys}))
        return self.daemons[-1].start()

    def file(self, name, text, mode=0o600):
        path = self.directory / name
        path.write_text(text)
        path.chmod(mode)
        return str(path)

    def aisc(self, config=""):
        self.count += 1
        made = client.Aisc(self.program("aisc"),
                           self.directory / f"aisc{self.count}", self.alice,
                           self.slowness)
        made.config.write_text(config)
        return made

    def ask(self, *words, port=None, config="", options=(), popen=None,
            **how):
        """Run aisc, against the daemon that all share."""
        with open(self.told, "wb") as file:
            return self.aisc(config).run(
                port or self.daemon.port, *words,
                options=["--status-fd", str(file.fileno()), *options],
                popen={"pass_fds": [file.fileno()], **(popen or {})},
                **how)

    def true(self, **how):
        """The same, for a command that needs no more than to be let in."""
        return self.ask("true", **how)

    def faults(self, name):
        """Calls that fail, and clocks that are wrong."""
        if INSTRUMENTED:
            pytest.skip("faults are not made under sanitizers or valgrind")
        where = self.directory / name
        where.mkdir()
        return Faults(self.builddir, where)

    def served(self, script=wire.answering(), pair=None, tls=None,
               plain=False, **how):
        """Run aisc against a server that follows a script."""
        with wire.FakeServer(script, *(pair or self.localhost)[:3], tls=tls,
                             plain=plain) as server:
            return self.true(port=server.port, **how)

    def close(self):
        try:
            for daemon in self.daemons:
                daemon.stop()
        finally:
            for daemon in self.daemons:
                daemon.kill()


@pytest.fixture(scope="module")
def world(program, builddir, tmp_path_factory, authority, slowness):
    made = World(program, builddir, tmp_path_factory.mktemp("explanations"),
                 authority, slowness)
    yield made
    made.close()


# How failures are made.  Each of these functions takes the world, or returns
# one that does, and gives the end of aisc.

def careless(pair, alpn=(wire.ALPN,)):
    """A server that shows any certificate, and asks for none."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.set_ciphers("ALL:@SECLEVEL=0")
    tls.load_cert_chain(str(pair.cert), str(pair.key))
    if alpn:
        tls.set_alpn_protocols(list(alpn))
    return tls


def trusting(name):
    """aisc trusts another authority than that of aisd."""
    return lambda w: w.true(pair=w.alice._replace(ca=getattr(w, name).ca))


def server_with(name="localhost", signer=None, alpn=(wire.ALPN,), **how):
    """A server has this certificate."""
    return lambda w: w.served(tls=careless(w.make(
        name, signer=signer and getattr(w, signer),
        **{"purpose": "server", **how}), alpn))


def self_signed_server(w):
    return w.served(tls=careless(pki.self_signed(
        str(w.directory), "localhost", "server")))


def client_with(name="alice", signer=None, **how):
    """aisc shows this certificate to aisd."""
    return lambda w: w.true(pair=w.make(
        name, signer=signer and getattr(w, signer), **how))


def self_signed_client(w):
    pair = pki.self_signed(str(w.directory), "alice")
    return w.true(pair=pair._replace(ca=w.authority.ca))


def without_intermediate(w):
    pair = w.twin.intermediate("Branch").make("alice")
    with open(pair.cert, encoding="ascii") as file:
        first = file.read().split("-----END")[0]
    cert = w.file("alone.pem", first + "-----END CERTIFICATE-----\n")
    return w.true(pair=pair._replace(cert=cert, ca=w.authority.ca))


def called(name, *sans):
    """aisc calls a server by a name that it does not have."""
    return lambda w: w.served(
        pair=w.make("web", "server", sans=sans), host=name,
        config='hosts = ( { match = "web"; host_name = "127.0.0.1"; } );')


def server_clock(seconds):
    """The clock of aisd is wrong."""
    def make(w):
        if not w.shifted:
            faults = w.faults("shifted")
            w.shifted = w.start(faults, crl=pki.revocations(
                w.authority, w.directory / "shifted.pem"))
            w.shifted.faults = faults
        w.watch(w.shifted)
        w.shifted.faults.set_clock(seconds)
        try:
            return w.true(port=w.shifted.port)
        finally:
            w.shifted.faults.set_clock(0)
    return make


def client_clock(seconds):
    """The clock of aisc is wrong."""
    def make(w):
        faults = w.faults(f"clock{seconds}")
        faults.set_clock(seconds)
        return w.true(env=faults.environment())
    return make


def failing(call, error):
    """A call of aisc fails."""
    def make(w):
        faults = w.faults(call + str(error))
        # The first run makes the table of calls.
        w.ask(env=faults.environment(), options=["--version"])
        faults.arm(call, error)
        return w.true(env=faults.environment(), host="127.0.0.1")
    return make


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def says(data):
    """Something listens that is not TLS, and says this."""
    def script(sock):
        sock.sendall(data)
        sock.recv(4096)
    return lambda w: w.served(script, plain=True)


def silent(w):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return w.true(port=listener.getsockname()[1],
                      options=["--connect-timeout", "3"])


def dropping(w):
    """A backlog that is full drops what asks to connect, as firewalls do."""
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        return w.true(host="127.0.0.1", port=listener.getsockname()[1],
                      options=["--connect-timeout", "3"])


def s_server(*options):
    """"openssl s_server" listens."""
    def make(w):
        server = subprocess.Popen(
            ["openssl", "s_server", "-accept", "127.0.0.1:0", "-cert",
             w.localhost.cert, "-key", w.localhost.key, *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        try:
            found = None
            while not found:
                line = server.stdout.readline()
                assert line, "it listens"
                found = re.match(rb"ACCEPT .*:(\d+)", line)
            return w.true(port=int(found[1]))
        finally:
            server.kill()
            server.communicate()
    return make


def ending(stage, how):
    """The connection ends when it has come so far."""
    return lambda w: w.served(wire.ending(stage, how),
                              plain=stage == "accepted")


def newer(peer):
    """A server of another version: it sends what nobody knows."""
    peer.hello()
    request = peer.expect_request()
    peer.send(0x77, request.number)
    peer.drain()


def caller(data):
    """Somebody else calls aisd, and says this."""
    def make(w):
        with socket.create_connection(("127.0.0.1", w.daemon.port)) as raw:
            raw.settimeout(10)
            if isinstance(data, bytes):
                raw.sendall(data)
                while raw.recv(4096):
                    pass
            else:
                with pytest.raises(OSError):
                    with data(w).wrap_socket(raw) as tls:
                        tls.recv(1)
        return None
    return make


def client_of_another_version(w):
    with wire.Client(w.daemon.port, *w.alice[:3]) as session:
        session.hello()
        session.send(0x77, 1)
        frames, _ = session.until_end()
        assert [wire.said(f.payload) for f in frames] == [
            (wire.Code.PROTOCOL, "an unknown type of frame")]


def killed_client(w):
    process = w.aisc().start(w.daemon.port, "sh", "-c", "echo; sleep 60")
    assert process.stdout.readline() == b"\n"
    process.kill()
    process.communicate()


def nameless(_):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname = False
    tls.verify_mode = ssl.CERT_NONE
    tls.set_alpn_protocols([wire.ALPN])
    return tls


def older(w):
    tls = nameless(w)
    tls.maximum_version = ssl.TLSVersion.TLSv1_2
    return tls


def stranger_to_ais(w):
    tls = nameless(w)
    tls.load_cert_chain(w.alice.cert, w.alice.key)
    tls.set_alpn_protocols(["h2"])
    return tls


def line_is_full(w):
    clients = []
    try:
        for n in range(2):
            clients.append(wire.Client(w.daemon.port, *w.alice[:3]))
            clients[-1].expect(wire.Type.WAITING if n else wire.Type.HELLO)
        return w.true()
    finally:
        for each in reversed(clients):
            each.close()


def others_are_served(w, pair=None, wait="0.5"):
    pair = pair or w.make("bob")
    with wire.Client(w.daemon.port, *pair[:3]) as session:
        session.hello()
        done = w.true(options=["--wait", wait])
        session.goodbye()
        return done


def in_the_middle(what):
    """A command runs on a daemon of its own, and then what(w, daemon)."""
    def make(w):
        crl = pki.revocations(w.authority, w.directory / "own.pem")
        daemon = w.start(crl=crl)
        w.watch(daemon)
        process = w.aisc().start(daemon.port, "sh", "-c", "echo; sleep 60")
        try:
            # From then on it has begun for aisc as well.
            assert process.stdout.readline() == b"\n"
            what(w, daemon)
            out, err = process.communicate(timeout=20)
        finally:
            process.kill()
            process.communicate()
        return subprocess.CompletedProcess([], process.returncode, out, err)
    return make


def revoke(w, daemon):
    pki.revocations(w.authority, w.directory / "own.pem",
                    [int(w.alice.serial, 16)])
    daemon.reload()
    daemon.wait_event("session-close", reason="revoked")
    # Whoever looks whether there is more has to get in.
    pki.revocations(w.authority, w.directory / "own.pem")
    daemon.reload()


def unreadable_key(w):
    """Nobody may read it; root may, unless it gives up that right."""
    libc = ctypes.CDLL(None)
    key = w.file("locked.pem", open(w.alice.key, encoding="ascii").read(), 0)

    def give_up():
        for capability in 1, 2:     # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
            libc.prctl(24, capability, 0, 0, 0)     # PR_CAPBSET_DROP
    if os.geteuid() != 0:
        give_up = None
    return w.true(pair=w.alice._replace(key=key), popen={
        "preexec_fn": give_up})


def open_key(w):
    key = w.file("open.pem", open(w.alice.key, encoding="ascii").read(), 0o644)
    return w.true(pair=w.alice._replace(key=key))


# The rows.

class Failure(NamedTuple):
    """One row: how it is made; the status of aisc, and its class, if it has
    one; its lines; and the records of aisd."""
    make: Callable
    status: object          # Or a tuple of some.
    kind: Optional[str]
    says: str
    records: tuple = ()


class Record(NamedTuple):
    event: str
    level: str
    msg: str
    fields: dict            # With values that the table knows,
    others: set             # and with others.


def not_in(who, why, hint=None):
    """A client, or None for a stranger, does not get a session."""
    said = f"{why}; {hint}" if hint else why
    return Record("handshake-failed", "warning",
                  f"connection of {who} from 127.0.0.1 refused: {said}" if who
                  else f"TLS handshake failed for 127.0.0.1: {said}",
                  {"reason": why, **({"peer": who} if who else {}),
                   **({"hint": hint} if hint else {})},
                  PEER if who else {"address"})


def refused(who, what, why, hint=None, *, command=(), shell=False):
    said = f"{why}; {hint}" if hint else why
    return Record("command-refused", "warning",
                  f"{who}: {what} refused: {said}",
                  {"reason": why, "peer": who,
                   **({"hint": hint} if hint else {})},
                  (REQUEST - {"argv"} | {"line"} if shell else REQUEST) |
                  set(command))


def reached(who, what, limit, value, text):
    return Record("limit-hit", "warning",
                  f"{who}: {what} has reached its {limit} of {text}",
                  {"limit": limit, "value": value, "peer": who}, REQUEST)


def ended(who, what, how, reason, **fields):
    return Record("command-end", "notice", f"{who}: {what} {how}",
                  {"reason": reason, "peer": who, **fields},
                  REQUEST | USED | {"program"})


def not_started(who, what, why):
    record = ended(who, what, f"did not start: {why}", why)
    return record._replace(others=record.others - {"program"})


def left(reason, text=None, commands="{COMMANDS}", who="alice"):
    return Record("session-close", "info",
                  f"session closed: {who} from 127.0.0.1, after {{SECONDS}} "
                  f"s and {commands}: {text or reason}",
                  {"reason": reason, "peer": who},
                  PEER | USED - {"cpu_ms"} | {"session", "commands"})


FULL = ("the server is busy and its line is full; this certificate has 1 of "
        "the 1 places there", "try again in 3 seconds, or start fewer at once")
LEFT_LINE = Record("message", "info",
                   "connection of alice from 127.0.0.1 closed while it waited "
                   "in line", {}, set())
ELSEWHERE = 'aisc: tls: the certificate "CN={who}", issued by "CN={issuer}"' \
    ", does not come from the configured authority{more}; look whether " \
    "{{FILE}} is the right authority, and aisd listens on port {{PORT}} of " \
    "localhost"
FOREIGN = 'the certificate "CN=alice", issued by "CN={issuer}", does not ' \
    "come from the configured authority{more}"
UNTRUSTED = "the client refused the server's certificate \"CN=localhost\": " \
    'the client does not trust its issuer "CN=AIS_CA"'
REFUSED = 'aisc: tls: the server refused our certificate "CN={who}": {why}; ' \
    "our certificate is in {{FILE}}, and the log of aisd on localhost says more"
UNKNOWN = " (unable to get local issuer certificate)"
ALONE = ", and no other comes with it"
ADD_ISSUER = "if its issuer is an intermediate authority, add that one's " \
    "certificate to the {}'s file, after this one"
BETWEEN = "; if that is an intermediate authority, add its certificate to " \
    "the file of this one, after it"
CLOCKS = "check that clock, and the authority's"
RENEW = "renew it, or set that clock"
TWIN = ", but from another of the same name"
LOST = "aisc: lost: {CUT}, before the answer was complete; the command may " \
    "have begun: look whether aisd still runs on localhost, and into its log"
IS_AISD = "look whether it is aisd that listens on port {PORT} of localhost"
PORT = "look at the port {PORT} of localhost: aisd listens on 4773 by default"

FAILURES = {
    # Who trusts whom.
    "client trusts another authority": Failure(
        trusting("other"), 255, "tls", ELSEWHERE.format(
            who="localhost", issuer="AIS_CA",
            more=" (self-signed certificate in certificate chain)"),
        (not_in(None, UNTRUSTED),)),
    "client trusts another authority of the name": Failure(
        trusting("twin"), 255, "tls", ELSEWHERE.format(
            who="localhost", issuer="AIS_CA", more=TWIN +
            " (self-signed certificate in certificate chain)"),
        (not_in(None, UNTRUSTED),)),
    "server of another authority": Failure(
        server_with("www", "other"), 255, "tls", ELSEWHERE.format(
            who="www", issuer="Other CA", more=f"{ALONE}; " + ADD_ISSUER.format("server"))),
    "server with its own authority": Failure(
        self_signed_server, 255, "tls", ELSEWHERE.format(
            who="localhost", issuer="localhost",
            more=" (self-signed certificate)")),
    "client of another authority": Failure(
        client_with(signer="other"), 255, "tls", REFUSED.format(
            who="alice", why="the server does not trust its issuer "
            '"CN=Other CA"' + BETWEEN),
        (not_in("alice", FOREIGN.format(issuer="Other CA",
                                        more=ALONE), ADD_ISSUER.format("client")),)),
    "client of another authority of the name": Failure(
        client_with(signer="twin"), 255, "tls", REFUSED.format(
            who="alice", why="the server does not trust its issuer "
            '"CN=AIS_CA"'),
        (not_in("alice", FOREIGN.format(issuer="AIS_CA",
                                        more=TWIN + UNKNOWN)),)),
    "client with its own authority": Failure(
        self_signed_client, 255, "tls", REFUSED.format(
            who="alice", why='the server does not trust its issuer '
            '"CN=alice"'),
        (not_in("alice", FOREIGN.format(
            issuer="alice", more=" (self-signed certificate)")),)),
    "authority between is missing": Failure(
        without_intermediate, 255, "tls", REFUSED.format(
            who="alice", why='the server does not trust its issuer '
            '"CN=Branch"' + BETWEEN),
        (not_in("alice", FOREIGN.format(issuer="Branch",
                                        more=ALONE), ADD_ISSUER.format("client")),)),

    # Dates and clocks.
    "server has expired": Failure(
        server_with(start=-3 * DAY, end=-DAY), 255, "tls",
        'aisc: tls: the certificate "CN=localhost" has expired on {DATE}, '
        "24 hours ago by our clock ({DATE}); " + RENEW),
    "server is not yet valid": Failure(
        server_with(start=2 * DAY + 60, end=9 * DAY), 255, "tls",
        'aisc: tls: the certificate "CN=localhost" is not valid before '
        "{DATE}, 2 days from now by our clock ({DATE}); check that clock, "
        "and the authority's"),
    "client has expired": Failure(
        client_with(start=-2 * DAY, end=-DAY), 255, "config",
        "aisc: config: the certificate {FILE} has expired on {DATE}, 24 "
        "hours ago by this machine's clock ({DATE}); renew it, or set that "
        "clock"),
    "client is not yet valid": Failure(
        client_with(start=9000, end=DAY), 255, "config",
        "aisc: config: the certificate {FILE} is not valid before {DATE}, "
        "2 hours from now by this machine's clock ({DATE}); check that "
        "clock, and the authority's"),
    "client's clock is ahead": Failure(
        client_clock(37 * DAY), 255, "config",
        "aisc: config: the certificate {FILE} has expired on {DATE}, 6 days "
        "ago by this machine's clock ({DATE}); renew it, or set that clock"),
    "client's clock is behind": Failure(
        client_clock(-DAY), 255, "config",
        "aisc: config: the certificate {FILE} is not valid before {DATE}, "
        "21 hours from now by this machine's clock ({DATE}); check that "
        "clock, and the authority's"),
    "server's clock is ahead": Failure(
        server_clock(37 * DAY), 255, "tls", REFUSED.format(
            who="alice", why="by the server's clock it, or its issuer, has "
            "expired; it is valid until {DATE}, 30 days from now by our "
            "clock ({DATE})"),
        (not_in("alice", 'the certificate "CN=alice" has expired on {DATE}, '
                "6 days ago by the server's clock ({DATE})", RENEW),)),
    "server's clock is behind": Failure(
        server_clock(-DAY), 255, "tls", REFUSED.format(
            who="alice", why="by the server's clock it is not yet valid, or "
            "it is too weak; it is valid from {DATE}, 2 hours ago by our "
            "clock ({DATE})"),
        (not_in("alice", 'the certificate "CN={NAME}" is not valid before '
                "{DATE}, {HOURS} from now by the server's clock ({DATE})",
                CLOCKS),)),

    # Revocation and purpose.
    "revoked": Failure(
        lambda w: w.true(pair=w.gone), 255, "tls", REFUSED.format(
            who="gone", why="it has been revoked; use another one in its "
            "place"),
        (not_in("gone", 'the certificate "CN=gone" has been revoked',
                "use another one in its place"),)),
    "revocation list is overdue": Failure(
        server_clock(2 * DAY), 255, "tls", REFUSED.format(
            who="alice", why="the server cannot tell whether it is good, as "
            "when its revocation list is overdue"),
        (not_in("alice", 'the certificate "CN=alice" cannot be checked for '
                "revocation: CRL has expired",
                'make a new revocation list of "CN=AIS_CA"'),)),
    "server's certificate of a client": Failure(
        client_with(purpose="server"), 255, "tls", REFUSED.format(
            who="alice", why="it is not for use as a client"),
        (not_in("alice", 'the certificate "CN=alice" is not for use as a '
                "client: that needs digitalSignature as keyUsage and "
                "clientAuth as extendedKeyUsage",
                'make one with "ais-ca client"'),)),
    "client's certificate of an authority": Failure(
        client_with(authority=True), 255, "tls", REFUSED.format(
            who="alice", why="it is not for use as a client"),
        (not_in("alice", 'the certificate "CN=alice" is not for use as a '
                "client: it is that of an authority (CA:TRUE as "
                'basicConstraints), as "openssl req -x509" makes them',
                'make one with "ais-ca client"'),)),
    "client's certificate without a purpose": Failure(
        client_with(purpose=None), 255, "tls", REFUSED.format(
            who="alice", why="it is not for use as a client; it has no "
            "extendedKeyUsage with clientAuth, which the server asks for"),
        (not_in("alice", 'the certificate "CN=alice" does not say that it is '
                "for clients: it has no extendedKeyUsage with clientAuth",
                'make one with "ais-ca client", or set client_purpose = '
                '"optional" in aisd.conf'),)),
    "client's certificate of a server": Failure(
        server_with(purpose="client"), 255, "tls",
        'aisc: tls: the certificate "CN=localhost" is not for use as a '
        "server: that needs digitalSignature as keyUsage and serverAuth as "
        'extendedKeyUsage; make one with "ais-ca server"'),
    "weak key": Failure(
        client_with(key="rsa1024"), 255, "config",
        "aisc: config: cannot use the certificate {FILE}: ee key too small; "
        "make it anew, with a key of 2048 bits (RSA) or 256 (EC) and "
        "SHA-256"),

    # Names.
    "server has another name": Failure(
        called("web", "DNS:web.example.org"), 255, "name",
        "aisc: name: the server's certificate is for DNS:web.example.org, "
        'not for DNS:web; use a name that it has, or set "server_name" in aisc.conf'),
    "server has names, and was called by address": Failure(
        called("127.0.0.1", "DNS:a.example.org", "DNS:b.example.org"), 255,
        "name", "aisc: name: the server's certificate is for "
        "DNS:a.example.org, DNS:b.example.org, not for IP:127.0.0.1; use a "
        "name that it has, or set "
        '"server_name" in aisc.conf'),
    "server has no name": Failure(
        called("web", "email:root@localhost"), 255, "name",
        "aisc: name: the server's certificate is for no name at all, not for "
        'DNS:web; use a name that it has, or set "server_name" in aisc.conf'),

    # On the way.
    "port is closed": Failure(
        lambda w: w.true(port=free_port()), 255, "connect",
        "aisc: connect: cannot connect to localhost port {PORT}: Connection "
        "refused; look whether aisd runs there and listens on this port"),
    "host cannot be reached": Failure(
        failing("connect", errno.EHOSTUNREACH), 255, "connect",
        "aisc: connect: cannot connect to 127.0.0.1 port {PORT}: No route to "
        "host; look whether the machine is up, and at the routes and "
        "firewalls between"),
    "network cannot be reached": Failure(
        failing("connect", errno.ENETUNREACH), 255, "connect",
        "aisc: connect: cannot connect to 127.0.0.1 port {PORT}: Network is "
        "unreachable; look at the network and the routes of this machine"),
    "host does not answer": Failure(
        failing("connect", errno.ETIMEDOUT), 255, "connect",
        "aisc: connect: 127.0.0.1 port {PORT} does not answer within 10 "
        "seconds; look whether the machine is up and a firewall lets you "
        "through"),
    "packets are dropped": Failure(
        dropping, 255, "connect",
        "aisc: connect: 127.0.0.1 port {PORT} does not answer within 3 "
        "seconds; look whether the machine is up and a firewall lets you "
        "through"),
    "host is unknown": Failure(
        lambda w: w.true(host="no.such.host.invalid"), 255, "connect",
        "aisc: connect: cannot look up no.such.host.invalid: {LOOKUP}"),

    # Other servers.
    "server that says nothing": Failure(
        silent, 255, "connect",
        "aisc: connect: localhost port {PORT} takes the connection, but does "
        "not answer within 3 seconds; look whether it is aisd that listens "
        "there"),
    "server that hangs up": Failure(
        ending("accepted", "cut"), 255, "lost",
        "aisc: lost: {SHUT}; " + IS_AISD + ", and into its log; "
        "or, if many connect from here at once, at MaxConnectionsPerSource of "
        "its aisd-each.socket"),
    "ssh server": Failure(
        says(b"SSH-2.0-OpenSSH_9.2\r\n"), 255, "tls",
        'aisc: tls: an ssh server answers ("SSH-2.0-OpenSSH_9.2"), and not '
        f"aisd; {PORT}"),
    "HTTP server": Failure(
        says(b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n"), 255, "tls",
        'aisc: tls: an HTTP server answers ("HTTP/1.1 400 Bad Request"), and '
        f"not aisd; {PORT}"),
    "plain-text server": Failure(
        says(b"220 mail ESMTP \x1b[1m\xff \"x\"\r\n"), 255, "tls",
        "aisc: tls: what the server sends is not TLS, but begins with \"220 "
        f'mail ESMTP \\x1b[1m\\xff \\"x\\""; {PORT}'),
    "TLS server that is not aisd": Failure(
        s_server("-tls1_3"), 255, "tls",
        f"aisc: tls: the server does not speak ais/1; {IS_AISD}"),
    "TLS 1.2 server": Failure(
        s_server("-tls1_2"), 255, "tls",
        'aisc: tls: the server does not speak TLS 1.3; "allow_tls12" would '
        f"take 1.2; {IS_AISD}"),
    "HTTP/2 server": Failure(
        server_with(alpn=["h2"]), 255, "tls",
        f"aisc: tls: the server does not speak ais/1; {IS_AISD}"),
    "server of another version": Failure(
        lambda w: w.served(newer), 255, "protocol",
        "aisc: protocol: the server does not keep to the protocol (an "
        'unknown type of frame); compare "aisc -V" here with "aisd -V" '
        "there"),

    # Other clients: aisc has no part in it.
    "ssh client": Failure(
        caller(b"SSH-2.0-OpenSSH_9.2\r\n"), None, None, "",
        (not_in(None, 'an ssh client has called ("SSH-2.0-OpenSSH_9.2"), and '
                "not aisc"),)),
    "HTTP client": Failure(
        caller(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"), None, None, "",
        (not_in(None, 'an HTTP client has called ("GET / HTTP/1.1"), and not '
                "aisc"),)),
    "client that speaks something": Failure(
        caller(b"\x00\xff hello\n" * 3), None, None, "",
        (not_in(None, "what the client sends is not TLS, but begins with "
                '"\\x00\\xff hello"'),)),
    "TLS client without a certificate": Failure(
        caller(nameless), None, None, "",
        (not_in(None, "the client showed no certificate"),)),
    "TLS 1.2 client": Failure(
        caller(older), None, None, "",
        (not_in(None, "the client does not speak TLS 1.3",
                '"allow_tls12" would take 1.2'),)),

    "client of another version": Failure(
        client_of_another_version, None, None, "",
        (left("an unknown type of frame"),)),

    # The session.
    "line is full": Failure(
        line_is_full, 255, "busy",
        f"aisc: busy: {FULL[0]}; {FULL[1]}",
        (not_in("alice", *FULL), LEFT_LINE)),
    "others are served": Failure(
        others_are_served, 255, "busy",
        "aisc: busy: our turn did not come within 0.5 seconds, with 1 client "
        'still before us; try again later, or wait for longer: "wait" in '
        "aisc.conf",
        (LEFT_LINE,)),
    "our own session is served": Failure(
        lambda w: others_are_served(w, w.alice, "0"), 255, "busy",
        "aisc: busy: others are served, with 1 client before us, and we do "
        "not wait; the session that is served is your own (it has the same "
        "certificate): a tool that needs two at once needs aisd-each.socket "
        "there", (LEFT_LINE,)),
    "no rule": Failure(
        client_with("eve"), 255, "denied",
        'aisc: denied: no rule matches the client "CN=eve"; aisd.conf needs '
        "one for it",
        (not_in("eve", 'no rule matches the client "CN=eve"',
                "aisd.conf needs one for it"),)),
    "rule without the command": Failure(
        client_with("bob"), 255, "denied",
        'aisc: denied: the rule "few" does not grant the command true to '
        '"bob"; aisc --list shows what it does',
        (refused("bob", '"true"', 'the rule "few" does not grant the command '
                 'true to "bob"', "aisc --list shows what it does"),)),
    "rule without the argument": Failure(
        lambda w: w.ask("show", "A", pair=w.make("bob")), 255, "denied",
        'aisc: denied: the rule "few" does not grant this: the argument 1 of '
        'show must be of the form "[a-z]+"',
        (refused("bob", '"show A"', 'the rule "few" does not grant this: the '
                 'argument 1 of show must be of the form "[a-z]+"',
                 command=["command"]),)),
    "no shell": Failure(
        lambda w: w.ask(options=["-c", "ls | wc"], pair=w.make("bob")), 255,
        "denied", 'aisc: denied: the rule "few" grants no shell to "bob", '
        'which the | in it needs; its key "shell" would',
        (refused("bob", "a shell line", 'the rule "few" grants no '
                 'shell to "bob", which the | in it needs',
                 'its key "shell" would', shell=True),)),
    "rule without the directory": Failure(
        lambda w: w.ask("uptime", options=["-C", "/tmp"],
                        pair=w.make("bob")), 255, "denied",
        'aisc: denied: the rule "few" does not let clients choose the '
        'directory; its key "any_directory" would',
        (refused("bob", '"uptime"', 'the rule "few" does not let clients '
                 'choose the directory', 'its key "any_directory" would',
                 command=["command"]),)),
    "rule without the variable": Failure(
        lambda w: w.true(options=["-e", "LD_PRELOAD=x"]), 255, "denied",
        'aisc: denied: the rule "all" does not let clients set the variable '
        'LD_PRELOAD; its key "accept_environment" would',
        (refused("alice", '"true"', 'the rule "all" does not let clients set '
                 'the variable LD_PRELOAD',
                 'its key "accept_environment" would'),)),
    "unknown command": Failure(
        lambda w: w.ask("no-such-command"), 127, None,
        "aisc: unknown command: no-such-command",
        (not_started("alice", '"no-such-command"',
                     "unknown command: no-such-command"),)),
    "words in one": Failure(
        lambda w: w.ask("ls -la /x"), 127, None,
        "aisc: unknown command: ls -la /x; each word is an argument of its "
        'own, as in "aisc HOST ls -la /x"',
        (not_started("alice", "\"'ls -la /x'\"",
                     "unknown command: ls -la /x"),)),
    "words in one, and no rule for them": Failure(
        lambda w: w.ask("ls -la /x", pair=w.make("bob")), 255, "denied",
        'aisc: denied: the rule "few" does not grant the command ls -la /x '
        'to "bob"; aisc --list shows what it does; each word is an argument '
        'of its own, as in "aisc HOST ls -la /x"',
        (refused("bob", "\"'ls -la /x'\"", 'the rule "few" does not grant the '
                 'command ls -la /x to "bob"',
                 "aisc --list shows what it does"),)),
    "line for a shell as a word": Failure(
        lambda w: w.ask("ls | wc -l"), 127, None,
        "aisc: unknown command: ls | wc -l; a line for a shell is asked for "
        'by "aisc -c LINE HOST"',
        (not_started("alice", "\"'ls | wc -l'\"",
                     "unknown command: ls | wc -l"),)),
    "option behind the host": Failure(
        lambda w: w.ask("-c", "ls"), 127, None,
        "aisc: unknown command: -c; options of aisc stand before HOST",
        (not_started("alice", '"-c ls"', "unknown command: -c"),)),
    "assignment as a word": Failure(
        lambda w: w.ask("LANG=C", "date"), 127, None,
        'aisc: unknown command: LANG=C; a variable is set by "aisc -e '
        'NAME=VALUE HOST PROGRAM"',
        (not_started("alice", "\"'LANG=C' date\"",
                     "unknown command: LANG=C"),)),
    "cd as a program": Failure(
        lambda w: w.ask("cd", "/x", pair=w.make("bob")), 255, "denied",
        'aisc: denied: the rule "few" does not grant the command cd to '
        '"bob"; aisc --list shows what it does; a program is run in a '
        'directory by "aisc -C DIR HOST PROGRAM"',
        (refused("bob", '"cd /x"', 'the rule "few" does not grant the command cd '
                 'to "bob"', "aisc --list shows what it does"),)),
    "user before the host": Failure(
        lambda w: w.true(host="root@localhost"), 255, "usage",
        "aisc: usage: this is no HOST[:PORT]: root@localhost; there are no "
        "users here: the server's rules say who runs what", ()),
    "not executable": Failure(
        lambda w: w.ask("/etc/passwd"), 126, None,
        "aisc: cannot execute /etc/passwd: Permission denied",
        (not_started("alice", '"/etc/passwd"',
                     "cannot execute /etc/passwd: Permission denied"),)),
    "interpreter is missing": Failure(
        lambda w: w.ask(w.file("orphan", "#!/no/such/interpreter\n", 0o755)),
        126, None, "aisc: cannot execute {FILE}: the interpreter in its first "
        "line, or its loader, is not there",
        (not_started("alice", '"{FILE}"', "cannot execute {FILE}: the "
                     "interpreter in its first line, or its loader, is not "
                     "there"),)),
    "bad directory": Failure(
        lambda w: w.true(options=["-C", "/nowhere"]), 255, "directory",
        "aisc: directory: cannot enter the directory /nowhere: No such file "
        "or directory",
        (not_started("alice", '"true"', "cannot enter the directory "
                     "/nowhere: No such file or directory"),)),

    # Limits.
    "time limit": Failure(
        lambda w: w.ask("sleep", "60", pair=w.make("quick")), 255, "timeout",
        "aisc: timeout: the command was ended after {SECONDS} s and 0 bytes "
        "of output: a time limit of the server has passed; its log says "
        "which one",
        (reached("quick", '"sleep 60"', "time_limit", "300", "0.30 s"),
         ended("quick", '"sleep 60"', "ended by SIGTERM after {SECONDS} s: "
               "time_limit", "time-limit", signal="15"))),
    "time limit of aisc": Failure(
        lambda w: w.ask("sleep", "60", options=["--timeout", "1.5"]), 255,
        "timeout", "aisc: timeout: not done within 1.5 seconds, the time "
        "limit given to aisc; the server ends the command",
        (ended("alice", '"sleep 60"', "ended by SIGTERM after {SECONDS} s: "
               "{CLOSED}", "{CLOSED}", signal="15"), left("{CLOSED}"))),
    "output limit": Failure(
        lambda w: w.ask("seq", "99999", pair=w.make("terse")), 255, "limit",
        "aisc: limit: the command was ended after {SECONDS} s and 10 bytes "
        "of output: the limit of output of its rule has been reached",
        (reached("terse", '"seq 99999"', "output_limit", "10", "10 bytes"),
         ended("terse", '"seq 99999"', "ended by {SIGNAME} after {SECONDS} s: "
               "output_limit", "output-limit", signal="{PORT}"))),
    "memory limit": Failure(
        lambda w: w.true(pair=w.make("small")),
        (128 + signal.SIGSEGV, 128 + signal.SIGKILL), None,
        "aisc: the command was ended by signal {SIGNAL}; if that was for "
        "lack of memory, the server's log shows its limit",
        (ended("small", '"true"', "ended by {SIGNAME} after {SECONDS} s, with "
               "a memory_limit of 204800 bytes", "signal", signal="{PORT}",
               memory_limit="204800"),)),
    "processor time limit": Failure(
        lambda w: w.ask("sh", "-c", "kill -XCPU $$", pair=w.make("brief")),
        128 + signal.SIGXCPU, None,
        "aisc: the command was ended by signal 24 (CPU time limit exceeded)",
        (reached("brief", "\"sh -c 'kill -XCPU $$'\"", "cpu_limit", "1000",
                 "1.00 s"),
         ended("brief", "\"sh -c 'kill -XCPU $$'\"", "ended by SIGXCPU after "
               "{SECONDS} s", "signal", signal="24"))),

    # In the middle.
    "server is stopped": Failure(
        in_the_middle(lambda w, d: d.process.terminate()), 255, "stopped",
        "aisc: stopped: the command was ended after {SECONDS} s and 1 byte "
        "of output: the server stops; try again later",
        (Record("stop", "notice", "aisd stops: SIGTERM",
                {"reason": "SIGTERM"}, set()),
         ended("alice", "\"sh -c 'echo; sleep 60'\"", "ended by SIGTERM "
               "after {SECONDS} s: aisd stops", "stopping", signal="15"),
         left("stopping", "aisd stops"))),
    "client is killed": Failure(
        killed_client, None, None, "",
        (Record("message", "info", "session of alice from 127.0.0.1: {CUT}",
                {}, set()),
         ended("alice", "\"sh -c 'echo; sleep 60'\"", "ended by SIGTERM "
               "after {SECONDS} s: {CLOSED}", "{CLOSED}", signal="15"),
         left("{CLOSED}"))),
    "server is killed": Failure(
        in_the_middle(lambda w, d: d.kill()), 255, "lost", LOST),
    "certificate is revoked": Failure(
        in_the_middle(revoke), 255, "denied",
        "aisc: denied: the command was ended after {SECONDS} s and 1 byte "
        "of output: the server has withdrawn its permission, for our "
        "certificate or its rules have changed",
        (ended("alice", "\"sh -c 'echo; sleep 60'\"", "ended by SIGTERM "
               "after {SECONDS} s: the client's certificate has been "
               "revoked", "revoked", signal="15"),
         left("revoked", "the client's certificate has been revoked"))),
    "connection is cut in the middle": Failure(
        ending("output", "cut"), 255, "lost", LOST),
    "connection is reset in the middle": Failure(
        ending("started", "reset"), 255, "lost", LOST),
    "session ends in the middle": Failure(
        ending("started", "close"), 255, "lost",
        "aisc: lost: the server ended the session before the answer was "
        "complete; look into the log of aisd on localhost"),
    "reset takes the alert along": Failure(
        ending("handshaken", "reset"), 255, "lost",
        "aisc: lost: {CUT}, before the server had greeted us; it may have "
        "refused our certificate {FILE}: look into the log of aisd on "
        "localhost"),

    # Here.
    "no certificate": Failure(
        lambda w: w.true(pair=w.alice._replace(cert=None)), 255, "config",
        "aisc: config: there is no certificate to connect with; name the "
        "file of your certificate by the option --cert, or by "
        '"certificate" in ~/.config/ais/aisc.conf or {FILE}'),
    "key cannot be read": Failure(
        unreadable_key, 255, "config",
        "aisc: config: cannot read the key {FILE}: Permission denied; it "
        "must be readable for the user that runs this"),
    "key is open": Failure(
        open_key, 255, "config",
        "aisc: config: the key {FILE} can be read or changed by other users; "
        "run: chmod 600 {FILE}"),
    "key of another": Failure(
        lambda w: w.true(pair=w.alice._replace(key=w.make("bob").key)), 255,
        "config", "aisc: config: the key {FILE} does not belong to the "
        "certificate {FILE}; use the pair that was made together"),
    "syntax error": Failure(
        lambda w: w.true(config="port = 4773;\nkey = ;\n"), 255, "config",
        "aisc: config: {FILE}:2: syntax error; look at this line, and at the "
        "end of the one before"),
    "mark of an editor": Failure(
        lambda w: w.true(config="\ufeffport = 4773;\n"), 255, "config",
        "aisc: config: cannot read the configuration {FILE}: it begins with a "
        "byte order mark, which an editor has put there; save it as plain "
        "UTF-8"),
    "unknown key": Failure(
        lambda w: w.true(config="prot = 4773;\n"), 255, "config",
        "aisc: config: {FILE}:1: unknown key \"prot\"; did you mean "
        '"port"?'),
    "wrong option": Failure(
        lambda w: w.true(options=["--frob"]), 255, "usage",
        "aisc: usage: unknown option --frob; see aisc --help"),
}


def pattern(template):
    """A regular expression for a text of the table."""
    parts = re.split(r"\{([A-Z]+)\}", template)
    return "".join(PLACES[part] if n % 2 else re.escape(part)
                   for n, part in enumerate(parts))


def check_text(template, text):
    assert re.fullmatch(pattern(template), text), \
        f"is:        {text}\nshould be: {template}"


def check_object(line, kind, text):
    """What programs are told is what people are, in its parts: the hint is
    that very failure's, where it has one."""
    for told in map(json.loads, text.splitlines()):
        # The settings may be wrong in more than one place.
        if told["class"] == "done" or \
                told["error"]["message"].startswith("the settings are not"):
            continue
        error = told["error"]
        said = (f"aisc: {kind}: " if kind else "aisc: ") + error["message"]
        assert line in (said, f"{said}; {error['hint']}"), error
        if kind in ("tls", "name", "config"):
            assert line != said, error


def check_record(record, event):
    assert (event["event"], event["level"]) == (record.event, record.level)
    check_text(record.msg, event["msg"])
    for name, value in record.fields.items():
        check_text(value, event[name])
    assert set(event) == ALWAYS | record.others | set(record.fields)


@pytest.mark.parametrize("name", FAILURES)
def test_failure(world, name):
    """Both sides say it, in these words and no others."""
    row = FAILURES[name]
    world.told.write_bytes(b"")
    world.watch(world.daemon)
    done = row.make(world)
    if done is not None:
        lines = done.stderr.decode("ascii").splitlines()
        assert len(lines) == 1, lines
        check_text(row.says, lines[0])
        assert client.said(done.stderr) == row.kind
        assert done.returncode in (
            row.status if isinstance(row.status, tuple) else [row.status])
        assert lines[0].isprintable()
        check_object(lines[0], row.kind, world.told.read_text())
    records = world.records(len(row.records))
    assert [r["event"] for r in records] == [r.event for r in row.records], \
        records
    for record, event in zip(row.records, records):
        check_record(record, event)


def test_manual_quotes_what_is_said(srcdir):
    """Each message that aisc(1) explains begins as one of the table does;
    words in capitals stand for what differs."""
    page = (srcdir / "man/aisc.1").read_text().replace("\\\n", "")
    part = page.split(".Sh DIAGNOSTICS\n")[1].split(".Sh ")[0]
    quoted = [line[4:].replace("\\(dq", '"')
              for line in part.splitlines() if line.startswith(".It ")]
    said = [row.says.replace("{CUT}", "the connection was cut")
            for row in FAILURES.values()]
    assert len(quoted) > 10
    for text in quoted:
        parts = re.split(r"\.\.\.|\b[A-Z]+\b", text)
        begin = "aisc: " + ".*".join(map(re.escape, parts))
        assert any(re.match(begin, line) for line in said), text
