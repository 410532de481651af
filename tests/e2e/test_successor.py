# SPDX-License-Identifier: ISC
"""From one authority to the next: each step is whole or not begun, and no
client is refused in between."""

import os
import shutil
import signal
import threading

import pytest

from e2e.aisc import Aisc
from e2e.aisd import wait_until
from e2e.pki import Pair, run
from e2e.test_ais_ca import (ais_ca, bad, check_pair, check_whole, copies,
                             fixture_site, good, kill_at, table, verifies)
from e2e.test_delivery import delivered, deliver

pytestmark = pytest.mark.same("build")

assert fixture_site and deliver     # The fixtures "site" and "deliver".
STEPS = "successor", "take-over", "retire"
# What there is beside the authority that signs, before and after each step.
BESIDE = {"successor": (None, "next"), "take-over": ("next", "last"),
          "retire": ("last", None)}


def names_in(path):
    """The names of the authorities in a file, in their order."""
    text = run("sh", "-c", f"openssl crl2pkcs7 -nocrl -certfile '{path}' | "
               "openssl pkcs7 -print_certs -noout").decode()
    return [line.split("CN = ")[1] for line in text.splitlines()
            if line.startswith("subject")]


def signers_of(path):
    """The names of those who have signed the lists in a file."""
    lists = path.read_text().split("-----END X509 CRL-----\n")[:-1]
    return [run("openssl", "crl", "-noout", "-issuer",
                data=(one + "-----END X509 CRL-----\n").encode()).decode()
            .strip().split("CN = ")[1] for one in lists]


def check_trust(where, beside):
    """The files are of one state: nobody else, or another, "next" or "last",
    beside the authority that signs."""
    check_whole(where)
    for name in "next", "last":
        for file in f"{name}.pem", f"private/{name}.key":
            assert (where / file).exists() == (name == beside), file
    trusted = names_in(where / "ca.pem")
    assert len(set(trusted)) == len(trusted) == (2 if beside else 1)
    assert sorted(signers_of(where / "crl.pem")) == sorted(trusted)
    if beside:
        check_pair(where / f"{beside}.pem", where / "private" /
                   f"{beside}.key")
        assert names_in(where / f"{beside}.pem") == trusted[1:]
    for name in os.listdir(where / "client"):
        done = verifies(where / "ca.pem", where / "client" / name /
                        "cert.pem", "-crl_check", "-CRLfile",
                        where / "crl.pem")
        assert done.returncode == 0, done.stderr


def before(site, step):
    """Bring an authority with a client and a list to where a step begins."""
    good(site, "client", "alice")
    good(site, "crl")
    if step != "successor":
        good(site, "init", "--successor")
    if step == "retire":
        good(site, "init", "--take-over")
        good(site, "renew", "--predecessor")


def test_the_three_steps(site, tmp_path):
    good(site, "client", "alice", "--out", str(tmp_path / "out"))
    good(site, "crl")
    check_trust(site, None)
    assert "AIS_CA 2" in good(site, "init", "--successor")
    check_trust(site, "next")
    assert names_in(site / "ca.pem") == ["AIS_CA", "AIS_CA 2"]
    good(site, "client", "bob")
    assert "AIS_CA\n" in run("openssl", "x509", "-noout", "-issuer", "-in",
                             site / "client/bob/cert.pem").decode()
    assert "renew --predecessor" in good(site, "init", "--take-over")
    check_trust(site, "last")
    assert names_in(site / "ca.pem") == ["AIS_CA 2", "AIS_CA"]
    # One at a time, in its old place.
    good(site, "renew", "alice", "--out", str(tmp_path / "out"))
    assert names_in(tmp_path / "out/ca.pem") == ["AIS_CA 2", "AIS_CA"]
    message = bad(site, "init", "--retire")
    assert "bob" in message and "alice" not in message
    assert "of bob" in good(site, "renew", "--predecessor")
    assert "No certificate" in good(site, "renew", "--predecessor")
    good(site, "init", "--retire")
    check_trust(site, None)
    assert names_in(site / "ca.pem") == ["AIS_CA 2"]
    assert table(site)[0][1:4] == ["AIS_CA", "authority", "revoked"]
    # Nobody takes what it has signed, which needs no revoking any more.
    states = [row[3] for row in table(site) if row[1] in ("alice", "bob")]
    assert sorted(states) == ["retired", "retired", "valid", "valid"]
    assert good(site, "revoke", "bob").count("Revoked ") == 1
    # And once more.
    assert "AIS_CA 3" in good(site, "init", "--successor")
    check_trust(site, "next")


def test_out_of_order(site):
    """Each step says what comes first."""
    for words, said in (
            (["init", "--take-over"], "init --successor"),
            (["init", "--retire"], "init --take-over"),
            (["renew", "--predecessor"], "init --take-over")):
        assert said in bad(site, *words)
    good(site, "init", "--successor")
    assert "already" in bad(site, "init", "--successor")
    assert "init --take-over" in bad(site, "init", "--retire")
    good(site, "init", "--take-over")
    assert "already" in bad(site, "init", "--take-over")
    assert "init --retire" in bad(site, "init", "--successor")


def test_a_revoked_or_ended_certificate_is_not_in_the_way(site):
    good(site, "client", "alice")
    good(site, "init", "--successor")
    good(site, "init", "--take-over")
    good(site, "revoke", "alice")
    assert signers_of(site / "crl.pem") == ["AIS_CA 2", "AIS_CA"]
    good(site, "init", "--retire")
    check_trust(site, None)


@pytest.mark.parametrize("name, code", [
    ("A B", 1), ("a b", 1), ("A  B", 1), ("a/b", 2), ("-x", 2), ("x" * 65, 2)])
def test_names_of_a_successor(tmp_path, name, code):
    """X.509 takes the first three for the same, by which a list would be
    taken for the other's."""
    site = tmp_path / "ca"
    good(site, "init", "--name", "A B")
    assert "name" in bad(site, "init", "--successor", "--name=" + name,
                         code=code)
    assert names_in(site / "ca.pem") == ["A B"]


@pytest.mark.parametrize("name, successor", [
    ("A", "A 2"), ("A 9", "A 10"), ("A B", "A B 2"), ("A 09", "A 09 2"),
    ("7", "7 2")])
def test_the_name_by_default(tmp_path, name, successor):
    site = tmp_path / "ca"
    good(site, "init", "--name", name)
    assert f" {successor} " in good(site, "init", "--successor")


def test_links_and_other_files_in_the_way(site, tmp_path):
    """What is where a new key or certificate goes is not written through."""
    victim = tmp_path / "victim"
    victim.write_text("kept")
    good(site, "client", "alice")
    good(site, "crl")
    (site / "private/next.key").symlink_to(victim)
    good(site, "init", "--successor")
    (site / "last.pem").symlink_to(tmp_path / "nowhere")
    (site / "private/last.key").symlink_to(victim)
    good(site, "init", "--take-over")
    good(site, "renew", "--predecessor")
    good(site, "init", "--retire")
    check_trust(site, None)
    assert victim.read_text() == "kept"


def test_half_a_certificate(site):
    """A successor's file that was cut by other hands is noticed before it
    counts."""
    good(site, "init", "--successor")
    (site / "next.pem").write_text("-----BEGIN CERTIFICATE-----\nMII\n")
    assert "next.pem" in bad(site, "init", "--take-over")
    assert names_in(site / "ca.pem") == ["AIS_CA", "AIS_CA 2"]
    assert (site / "private/next.key").exists()
    check_whole(site)


@pytest.mark.parametrize("words", [
    ["init", "--take-over", "--days", "3"], ["init", "--retire", "extra"],
    ["init", "--successor", "--retire"], ["client", "a", "--successor"],
    ["renew", "--predecessor", "a"], ["crl", "--predecessor"],
    ["renew", "--predecessor", "--expiring", "3"]])
def test_usage(site, words):
    bad(site, *words, code=2)
    check_whole(site)


def test_passphrases(tmp_path):
    """A successor is opened by the passphrase that its predecessor has; after
    one without any it may have one."""
    site, right, wrong = tmp_path / "ca", tmp_path / "right", tmp_path / "no"
    right.write_text("correct horse\n")
    wrong.write_text("correct house\n")
    good(site, "init")
    good(site, "client", "alice")
    by = "--passphrase-file", str(right)
    good(site, "init", "--successor", *by)
    assert "ENCRYPTED" in (site / "private/next.key").read_text()
    assert "passphrase" in bad(site, "crl")
    good(site, "crl", *by)
    good(site, "init", "--take-over", *by)
    good(site, "renew", "--predecessor", *by)
    good(site, "init", "--retire", *by)
    assert "is wrong" in bad(site, "init", "--successor", "--passphrase-file",
                             str(wrong))
    assert not (site / "next.pem").exists()
    good(site, "init", "--successor", *by)
    good(site, "init", "--take-over", *by)
    assert "ENCRYPTED" in (site / "private/ca.key").read_text()
    good(site, "client", "bob", *by)


def test_delivery(site, tmp_path, deliver):
    """The new ca.pem goes to everyone; what has not arrived holds the next
    step back."""
    good(site, "server", "web")
    good(site, "client", "alice")
    good(site, "crl")
    delivered(tmp_path)
    (tmp_path / "broken").touch()
    assert ais_ca(site, "init", "--successor").returncode == 1
    assert sorted(words[0] for words in delivered(tmp_path)) == [
        "client", "crl", "server"]
    message = bad(site, "init", "--take-over")
    assert f"{site}/undelivered" in message
    (tmp_path / "broken").unlink()
    good(site, "crl")
    assert {words[0] for words in delivered(tmp_path)} == {
        "client", "crl", "server"}
    good(site, "init", "--take-over")
    good(site, "renew", "--predecessor")
    delivered(tmp_path)
    good(site, "init", "--retire")
    assert sorted(words[0] for words in delivered(tmp_path)) == [
        "client", "crl", "server"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.long
@pytest.mark.limit(600)
def test_killed_at_every_step(site, tmp_path, step):
    """It has been done or not, and what has not been done can be repeated."""
    words, (old, new) = ["init", "--" + step], BESIDE[step]
    before(site, step)
    check_trust(site, old)
    for at, where in copies(site, tmp_path):
        if not kill_at(at, tmp_path, where, words):
            break
        good(where, "list")
        done = (where / f"{new}.pem").exists() if new else \
            not (where / f"{old}.pem").exists()
        check_trust(where, new if done else old)
        assert ais_ca(where, *words).returncode == done
        check_trust(where, new)
        shutil.rmtree(where)
    assert at > 10


def tree(where):
    """All that is in a directory, but for what belongs to a single run."""
    found = {}
    for path in sorted(where.rglob("*")):
        name = str(path.relative_to(where))
        if name != ".lock" and not name.startswith("work"):
            found[name] = (os.readlink(path) if path.is_symlink() else
                           path.is_file() and path.read_bytes())
    return found


@pytest.fixture(name="tools")
def fixture_tools(tmp_path):
    """An environment whose mv, when it would commit, kills the run "before" or
    "after" that, or lets it "fail", as END says; and whose rm, if ONE is set,
    kills the run after the first file: the index, where that is among them."""
    tools = tmp_path / "tools"
    tools.mkdir()
    real = {name: shutil.which(name) for name in ("mv", "rm", "find")}
    (tools / "mv").write_text(f"""#!/bin/sh
[ "$*" = "-fT work/index.txt index.txt" ] || exec {real["mv"]} "$@"
case $END in
before)	kill -KILL 0 ;;
fail)	exit 1 ;;
esac
{real["mv"]} "$@"
kill -KILL 0
""")
    (tools / "rm").write_text(f"""#!/bin/sh
[ -n "$ONE" ] || exec {real["rm"]} "$@"
for word; do
	case $word in -*) continue ;; esac
	for one in "$word/index.txt" $({real["find"]} "$word" -depth 2>/dev/null); do
		[ -e "$one" ] || [ -L "$one" ] || continue
		{real["rm"]} -df "$one"
		kill -KILL 0
	done
done
""")
    for name in "mv", "rm":
        (tools / name).chmod(0o755)
    return {"PATH": f"{tools}:{os.environ['PATH']}", "END": "", "ONE": ""}


@pytest.mark.parametrize("words", [
    *(["init", "--" + step] for step in STEPS), ["renew", "alice"],
    ["revoke", "alice"]], ids=lambda words: words[-1])
@pytest.mark.parametrize("end", ["before", "after"])
@pytest.mark.long
@pytest.mark.limit(600)
def test_stopped_after_each_file_that_it_takes_away(site, tmp_path, tools,
                                                    words, end):
    """What is being undone does not come back, and what counts is completed,
    wherever the one and the other is stopped."""
    before(site, words[1].strip("-") if words[0] == "init" else "successor")
    old = tree(site)
    tools["END"] = end
    assert ais_ca(site, *words, **tools).returncode == -signal.SIGKILL
    where = tmp_path / "copy"
    shutil.copytree(site, where, symlinks=True)
    good(where, "list")
    assert (tree(where) == old) == (end == "before")
    tools["ONE"] = "yes"
    stopped = 0
    while ais_ca(site, "list", **tools).returncode == -signal.SIGKILL:
        stopped += 1
    assert stopped > 8
    assert tree(site) == tree(where)
    check_whole(site)


def test_a_failure_that_is_not_undone_at_once(site, tools):
    """Stopped by a signal while it cleans up."""
    before(site, "successor")
    old = tree(site)
    for _ in range(2):
        assert ais_ca(site, "init", "--successor", **dict(
            tools, END="fail", ONE="yes")).returncode == -signal.SIGKILL
    good(site, "list")
    assert tree(site) == old
    check_trust(site, None)


# ---- a daemon and clients that ask all the time -------------------------

class Asker(threading.Thread):
    """A client that asks again and again, with the files of its directory."""

    def __init__(self, aisc, port, directory):
        super().__init__(daemon=True)
        self.aisc, self.port, self.directory = aisc, port, directory
        self.pair = Pair(directory / "cert.pem", directory / "key.pem",
                         directory / "ca.pem")
        self.files = threading.Lock()       # Held while they are exchanged.
        self.over = threading.Event()
        self.count, self.failed = 0, []

    def run(self):
        while not self.over.is_set():
            with self.files:
                done = self.aisc.run(self.port, "true", pair=self.pair)
            self.count += 1
            if done.returncode != 0:
                self.failed.append((self.count, done.stderr))

    def stop(self):
        self.over.set()
        self.join()


def put(source, target):
    """Copy a file in one step."""
    shutil.copy(source, f"{target}.new")
    os.rename(f"{target}.new", target)


@pytest.mark.parametrize("first", ["server", "clients"])
@pytest.mark.long
@pytest.mark.limit(600)
def test_no_client_is_refused(site, tmp_path, make_aisd, program, slowness,
                              first):
    """Whoever is first to get the files of a step, server or clients: both go
    on, as long as a step begins when the one before is everywhere."""
    names = "alice", "bob"
    good(site, "server")
    for name in names:
        good(site, "client", name)
    good(site, "crl")
    server = tmp_path / "server"
    server.mkdir()

    def to_server(*which):
        for file in which:
            put(site / ("server/localhost" if file in (
                "cert.pem", "key.pem") else "") / file, server / file)

    def to_client(asker, *which):
        with asker.files:
            for file in which:
                put(site / ("client/" + asker.directory.name if file in (
                    "cert.pem", "key.pem") else "") / file,
                    asker.directory / file)

    to_server("cert.pem", "key.pem", "ca.pem", "crl.pem")
    daemon = make_aisd(
        pair=Pair(server / "cert.pem", server / "key.pem", server / "ca.pem"),
        crl=server / "crl.pem", watch_interval=0.2, max_waiting=8)
    askers = []
    for name in names:
        (tmp_path / name).mkdir()
        asker = Asker(Aisc(program("aisc"), tmp_path / f"{name}-aisc", None,
                           slowness), daemon.port, tmp_path / name)
        to_client(asker, "cert.pem", "key.pem", "ca.pem")
        askers.append(asker)
    shutil.copytree(askers[0].directory, tmp_path / "old")

    def everyone_asks():
        for asker, count in [(asker, asker.count) for asker in askers]:
            wait_until(lambda a=asker, n=count: a.count > n + 1,
                       "a client asks", 60 * slowness)

    def bring(of_server, of_client):
        """To both sides, in the order that is tried."""
        for side in ("server", "clients") if first == "server" else (
                "clients", "server"):
            if side == "server":
                known = len(daemon.events("reload", result="done"))
                to_server(*of_server)
                daemon.wait_event("reload", known + 1, timeout=60,
                                  result="done")
            else:
                for asker in askers:
                    to_client(asker, *of_client)
                    everyone_asks()
            everyone_asks()

    for asker in askers:
        asker.start()
    everyone_asks()
    good(site, "init", "--successor")
    bring(["ca.pem", "crl.pem"], ["ca.pem"])
    good(site, "init", "--take-over")
    everyone_asks()
    good(site, "renew", "--predecessor")
    bring(["cert.pem", "key.pem"], ["cert.pem", "key.pem"])
    good(site, "init", "--retire")
    bring(["ca.pem", "crl.pem"], ["ca.pem"])
    for asker in askers:
        asker.stop()
    assert [asker.failed for asker in askers] == [[], []]
    assert "AIS_CA 2" in daemon.events("session-open")[-1]["issuer"]
    # And the old one is over.
    old = Pair(*(tmp_path / "old" / file for file in (
        "cert.pem", "key.pem", "ca.pem")))
    done = askers[0].aisc.run(daemon.port, "true", pair=old._replace(
        ca=site / "ca.pem"))
    assert done.returncode == 255, done
