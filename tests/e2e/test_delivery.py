# SPDX-License-Identifier: ISC
"""ais-ca renews what ends soon, and brings what it has made to its machines."""

import fcntl
import json
import os
import re
import shutil
import subprocess
import time

import pytest
import wire

from e2e.pki import AIS_CA, DAY, SRCDIR, Pair, environment, run
from e2e.test_ais_ca import (ais_ca, bad, check_whole, copies, fixture_site,
                             good, kill_at, settings, table, text_of)

assert fixture_site             # The fixture "site".


def live(site, purpose, name):
    return os.path.basename(os.readlink(site / purpose / name))


def end_in(site, name, seconds, purpose="client"):
    """Let the live certificate of a name end, for the database, so soon."""
    serial = live(site, purpose, name) if purpose != "authority" else name
    when = time.strftime("%y%m%d%H%M%SZ", time.gmtime(time.time() + seconds))
    index = site / "index.txt"
    index.write_text("".join(
        re.sub(r"\t\d+Z", "\t" + when, line, count=1)
        if f"\t{serial}\t" in line else line
        for line in index.read_text().splitlines(keepends=True)))


@pytest.fixture
def deliver(site, tmp_path):
    """A program that takes down its arguments and what was in the files, and
    fails while "broken" is there."""
    program = site / "deliver"
    program.write_text(f"""#!/usr/bin/python3
import json, os, sys
words = sys.argv[1:]
files = [open(w).read() for w in words if w.startswith("/")]
with open({str(tmp_path / "delivered")!r}, "a") as out:
    out.write(json.dumps([words, files, sys.stdin.read()]) + "\\n")
sys.exit(os.path.exists({str(tmp_path / "broken")!r}))
""")
    program.chmod(0o755)
    return program


def delivered(tmp_path):
    """What has been handed over since the last time."""
    path = tmp_path / "delivered"
    if not path.exists():
        return []
    lines = path.read_text().splitlines()
    path.unlink()
    return [json.loads(line)[0] for line in lines]


def waiting(site):
    return sorted(os.listdir(site / "undelivered"))


# What ends soon.

def test_renew_what_ends_soon(site):
    """All of it and nothing else; it keeps names, days and kind of key."""
    said = settings(good(site, "server", "web", "10.0.0.1", "a.example",
                         "--days", "20", "--algorithm", "ed25519"))
    good(site, "client", "alice", "a@b.example", "--days", "29")
    good(site, "client", "bob")
    good(site, "client", "eve", "--days", "9")
    good(site, "revoke", "eve")
    before = {name: live(site, purpose, name) for purpose, name in (
        ("server", "web"), ("client", "alice"), ("client", "bob"))}
    output = good(site, "renew", "--expiring", "30")
    for purpose, name in ("server", "web"), ("client", "alice"):
        new = live(site, purpose, name)
        assert new != before[name]
        assert (f"Renewed the {purpose} certificate of {name}, serial {new}, "
                in output and before[name] in output)
    assert len(output.splitlines()) == 2
    assert live(site, "client", "bob") == before["bob"]
    assert len(table(site)) == 7
    text = text_of(said["certificate"])
    assert "DNS:web, IP Address:10.0.0.1, DNS:a.example" in text
    assert "ED25519" in text and "Server Authentication" in text
    assert "email:a@b.example" in text_of(site / "client/alice/cert.pem")
    for days, code in ((19, 0), (21, 1)):
        assert subprocess.run(
            ["openssl", "x509", "-in", said["certificate"], "-noout",
             "-checkend", str(days * DAY)], env=environment(),
            stdout=subprocess.DEVNULL).returncode == code
    check_whole(site)
    # What has been renewed for long is left alone.
    assert "No certificate" in good(site, "renew", "--expiring", "5")
    assert len(table(site)) == 7


def test_what_has_ended_is_not_renewed(site):
    """It may be that nobody is to have it any more."""
    good(site, "client", "alice")
    end_in(site, "alice", -DAY)
    output = good(site, "renew", "--expiring", "30")
    assert "alice" in output and "only by hand" in output
    assert len(table(site)) == 2
    good(site, "renew", "alice")
    assert len(table(site)) == 3


def test_one_failure_holds_up_no_other(site):
    for name in "alice", "bob", "carol":
        good(site, "client", name, "--days", "9")
    broken = live(site, "client", "bob")
    os.rename(site / "client/bob/cert.pem", site / "away")
    done = ais_ca(site, "renew", "--expiring", "30")
    assert done.returncode == 1
    assert f"cannot read {site}/issued/client/{broken}/cert.pem" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout.count("Renewed") == 2
    os.rename(site / "away", site / "client/bob/cert.pem")
    assert len(check_whole(site)) == 6
    # The pairs are gone, and nobody knows whose they were.
    shutil.move(site / "issued/client", site / "clients")
    done = ais_ca(site, "renew", "--expiring", "30")
    assert done.returncode == 1
    assert done.stderr.count("put the file back from a backup") == 3
    assert not (site / "work").exists()


def test_not_beyond_the_end_of_the_authority(site):
    good(site, "client", "alice")
    good(site, "client", "bob")
    end_in(site, table(site)[0][0], 9.5 * DAY, "authority")
    end_in(site, "alice", 3.5 * DAY)
    end_in(site, "bob", 9.5 * DAY)
    done = ais_ca(site, "renew", "--expiring", "30")
    assert done.returncode == 1
    assert "certificate of alice" in done.stdout
    assert [row[4] for row in table(site) if row[1] == "alice"][-1] in "89"
    assert "certificate of bob" in done.stderr
    assert "init --successor" in done.stderr


def test_without_the_authority_in_the_database(site):
    """The reason is said once, and by ais-ca alone."""
    good(site, "client", "alice", "--days", "9")
    index = site / "index.txt"
    index.write_text("".join(
        line for line in index.read_text().splitlines(keepends=True)
        if "CN=AIS_CA" not in line))
    assert "does not have the authority itself" in bad(
        site, "renew", "--expiring", "30")


def test_encrypted_key_in_a_timer(tmp_path):
    """Nobody is there to type; a file has it."""
    site, secret = tmp_path / "ca", tmp_path / "secret"
    secret.write_text("correct horse\n")
    good(site, "init", "--passphrase-file", str(secret))
    good(site, "client", "alice", "--days", "9", "--passphrase-file",
         str(secret))
    for words in (["renew", "--expiring", "30"], ["crl"]):
        assert "--passphrase-file" in bad(site, *words)
        missing = str(tmp_path / "none")
        assert missing in bad(site, *words, AIS_CA_PASSPHRASE_FILE=missing)
        good(site, *words, AIS_CA_PASSPHRASE_FILE=str(secret))
    assert len(table(site)) == 3


def test_list_what_ends_soon(site):
    """For monitoring: of what is in use, by the exit status as well."""
    good(site, "client", "alice")
    good(site, "client", "bob", "--days", "20")
    good(site, "client", "eve", "--days", "2")
    good(site, "revoke", "eve")
    good(site, "client", "dave", "--days", "20")
    good(site, "renew", "dave", "--days", "300")
    assert "Nothing" in good(site, "list", "--expiring", "9")

    def found(days):
        done = ais_ca(site, "list", "--expiring", str(days))
        assert done.returncode == 3 and done.stderr == ""
        return [line.split()[1:4] for line in done.stdout.splitlines()[1:]]
    assert found(30) == [["bob", "client", "valid"]]
    good(site, "crl", "--days", "8")
    assert found(9) == [["crl.pem", "list", "valid"]]
    row = [line.split() for line in good(site, "list").splitlines()][-1]
    number = run("openssl", "crl", "-in", site / "crl.pem", "-noout",
                 "-crlnumber").decode().strip()
    assert int(row[0], 16) == int(number.split("=")[1], 16)
    assert row[1:4] == ["crl.pem", "list", "valid"] and row[4] in "78"
    assert row[5] in [time.strftime("%Y-%m-%d", time.gmtime(
        time.time() + 8 * DAY - ago)) for ago in (0, 300)]
    end_in(site, "alice", -60)
    assert found(9) == [["alice", "client", "expired"],
                        ["crl.pem", "list", "valid"]]
    (site / "crl.pem").write_text("x\n")
    assert found(9)[1] == ["crl.pem", "list", "unreadable"]
    assert ["AIS_CA", "authority", "valid"] in found(3660)


# What goes to other machines.

def test_delivery(site, deliver, tmp_path):
    """Each thing that was made, with its files, and by no shell."""
    good(site, "server", "web", "--days", "9")
    good(site, "client", "a:b@c", "--days", "9")
    good(site, "client", "bob")
    assert delivered(tmp_path) == []
    output = good(site, "renew", "--expiring", "30")
    assert output.count("Delivered the ") == 2
    rows = [json.loads(line)
            for line in (tmp_path / "delivered").read_text().splitlines()]
    pair = f"{site}/issued/server/{live(site, 'server', 'web')}"
    assert sorted(rows)[1] == [
        ["server", "web", f"{pair}/cert.pem", f"{pair}/key.pem",
         f"{site}/ca.pem"],
        [(site / name).read_text() for name in (
            "server/web/cert.pem", "server/web/key.pem", "ca.pem")], ""]
    assert sorted(delivered(tmp_path))[0][:2] == ["client", "a:b@c"]
    assert waiting(site) == []
    good(site, "renew", "bob")
    assert [words[:2] for words in delivered(tmp_path)] == [["client", "bob"]]
    good(site, "revoke", "bob")
    good(site, "crl")
    assert delivered(tmp_path) == [["crl", f"{site}/crl.pem"]] * 2
    assert waiting(site) == []


def test_what_has_not_been_delivered_is_not_forgotten(site, deliver, tmp_path):
    broken = tmp_path / "broken"
    good(site, "client", "alice", "--days", "9")
    good(site, "client", "bob", "--days", "9")
    broken.touch()
    done = ais_ca(site, "-q", "renew", "--expiring", "30")
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert len(lines) == 2 and all(re.match(
        r"ais-ca: the client certificate of \w+, serial \w+, has not been "
        r"delivered: /.*/deliver ended with status 1; ", line)
        for line in lines), lines
    assert waiting(site) == sorted(live(site, "client", name)
                                   for name in ("alice", "bob"))
    # Bob's are made once more, and alice is revoked: what is old is not
    # brought any more, and the new list is.
    assert ais_ca(site, "renew", "bob").returncode == 1
    assert ais_ca(site, "revoke", "alice").returncode == 1
    delivered(tmp_path)
    broken.unlink()
    good(site, "renew", "--expiring", "2")
    assert sorted(words[:2] for words in delivered(tmp_path)) == [
        ["client", "bob"], ["crl", f"{site}/crl.pem"]]
    assert waiting(site) == []
    good(site, "renew", "--expiring", "2")
    assert delivered(tmp_path) == []


def test_program_that_cannot_be_run(site, deliver):
    """It is said before anything is made."""
    good(site, "client", "alice", "--days", "9")
    deliver.chmod(0o644)
    for words in (["renew", "--expiring", "30"], ["crl"], ["revoke", "alice"]):
        assert "chmod +x" in bad(site, *words)
    assert len(table(site)) == 2 and not (site / "crl.pem").exists()
    deliver.write_text("#!/no/such/program\n")
    deliver.chmod(0o755)
    done = ais_ca(site, "crl")
    assert done.returncode == 1 and "ended with status 12" in done.stderr


def test_others_need_not_wait_for_a_delivery(site, deliver):
    """The lock is free, and nothing of ais-ca's is open."""
    deliver.write_text(f"""#!/bin/sh -e
ls -l /proc/self/fd >{site}.fds
sh {SRCDIR}/certs/ais-ca -d {site} -w 1 client {'x$1'} >/dev/null
""")
    good(site, "crl")
    assert ".lock" not in open(f"{site}.fds").read()
    assert len(table(site)) == 2


@pytest.mark.long
@pytest.mark.same("build")
def test_killed_before_the_delivery(site, deliver, tmp_path):
    """At every step: what counts as made is delivered by the next run."""
    good(site, "client", "alice", "--days", "9")
    old = live(site, "client", "alice")
    for step, where in copies(site, tmp_path):
        words = ["renew", "--expiring", "30"]
        went_on = kill_at(step, tmp_path, where, words)
        good(where, "list")     # Completes or undoes it.
        check_whole(where)
        new = live(where, "client", "alice")
        good(where, "crl")
        mine = f"{where}/issued/client/{new}/cert.pem"
        assert (mine in [words[2] for words in delivered(tmp_path)
                         if words[0] == "client"]) == (new != old)
        assert waiting(where) == []
        shutil.rmtree(where)
        if not went_on:
            break
    assert step > 8


def shown_program(page):
    """The program "deliver" that a page of the manual or of the roads has."""
    with open(os.path.join(SRCDIR, page), encoding="utf-8") as file:
        return re.search(r"^#!/bin/sh -e\n.*?^esac$", file.read(),
                         re.M | re.S)[0] + "\n"


def test_program_of_the_pages():
    """It is one, and both pages have the same."""
    script = shown_program("man/ais-ca.8")
    assert script == shown_program("doc/roads/renewal.md")
    subprocess.run(["sh", "-n"], input=script, text=True, check=True)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", "-"], input=script, text=True,
                       check=True, stdout=subprocess.DEVNULL)
    assert "ssh -n" in script    # Which would eat the list of hosts.


def test_program_of_the_pages_brings_all(site, tmp_path, monkeypatch):
    """What is made here, what was signed for a key that is elsewhere, and the
    list.  A client in no list stops nothing, and is named."""
    tools, desk, etc = (tmp_path / name for name in ("bin", "desk", "etc"))
    for directory in tools, desk / ".config/ais", etc:
        directory.mkdir(parents=True)
    for name, script in (
            ("scp", f'cd {desk} && cp "$2" "${{3#*:}}"'),
            ("ssh", f'echo "$2" >>{tmp_path}/hosts; cd {desk} && sh -ec "$3"'),
            ("chgrp", "")):
        (tools / name).write_text(f"#!/bin/sh -e\n{script}\n")
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    (etc / "hosts").write_text("web.example\n")
    (etc / "clients").write_text("alice alice@desk\nlaptop alice@laptop\n")
    good(site, "server", "web.example")
    good(site, "client", "alice")
    good(site, "client", "eve")
    run("openssl", "req", "-new", "-noenc", "-subj", "/CN=x", "-keyout",
        tmp_path / "key", "-out", tmp_path / "csr")
    good(site, "sign", "client", str(tmp_path / "csr"), "laptop")
    deliver = site / "deliver"
    deliver.write_text(shown_program("doc/roads/renewal.md")
                       .replace("/etc/aisd", str(etc)))
    deliver.chmod(0o755)

    for name in "web.example", "alice", "laptop":
        good(site, "renew", name)
    done = ais_ca(site, "renew", "eve")
    assert done.returncode == 0 and "eve" in done.stderr, done.stderr
    good(site, "crl")
    there = desk / ".config/ais"
    for place, source in (
            (etc / "server.pem", "server/web.example/cert.pem"),
            (etc / "server.key", "server/web.example/key.pem"),
            (etc / "ca.pem", "ca.pem"), (etc / "crl.pem", "crl.pem"),
            (there / "alice.pem", "client/alice/cert.pem"),
            (there / "alice.key", "client/alice/key.pem"),
            (there / "laptop.pem", "client/laptop/cert.pem"),
            (there / "ca.pem", "ca.pem")):
        assert place.read_text() == (site / source).read_text(), place
    assert sorted(os.listdir(there)) == ["alice.key", "alice.pem", "ca.pem",
                                         "laptop.pem"]
    assert (there / "alice.key").stat().st_mode & 0o777 == 0o600
    assert set((tmp_path / "hosts").read_text().split()) == {
        "root@web.example", "alice@desk", "alice@laptop"}


def test_revoked_on_one_machine_refused_on_another(site, deliver, make_aisd,
                                                   program, tmp_path):
    """All of it: ais-ca revoke, a delivery by aisc, and aisd refuses."""
    pairs = {}
    for purpose, name in (("server", "localhost"), ("client", "robot"),
                          ("client", "eve")):
        good(site, purpose, name)
        there = os.path.realpath(site / purpose / name)
        pairs[name] = Pair(f"{there}/cert.pem", f"{there}/key.pem",
                           f"{site}/ca.pem")
    deliver.unlink()
    good(site, "crl")
    there = tmp_path / "there.pem"
    shutil.copy(site / "crl.pem", there)
    daemon = make_aisd(pair=pairs["localhost"], crl=there, watch_interval=0.2)
    conf = tmp_path / "aisc.conf"
    conf.write_text("".join(f'{key} = "{value}";\n' for key, value in zip(
        ("certificate", "key", "authority"), pairs["robot"])))
    aisc = " ".join(program("aisc"))
    deliver.write_text(f"""#!/bin/sh -e
test "$1" = crl
{aisc} -F {conf} -p {daemon.port} localhost sh -c \\
    'cat >{there}.new && mv {there}.new {there}' <"$2"
""")
    deliver.chmod(0o755)
    with wire.Client(daemon.port, *pairs["eve"][:3]) as session:
        assert session.run(["true"]).status == 0
    good(site, "revoke", "eve")
    daemon.wait_event("reload", result="done")
    with pytest.raises((wire.Cut, wire.Closed, OSError)):
        with wire.Client(daemon.port, *pairs["eve"][:3]) as session:
            session.run(["true"])
    assert "has been revoked" in daemon.wait_event("handshake-failed")[
        "reason"]


def test_two_that_deliver(site, tmp_path):
    """One after the other: they would bring the same to the same places."""
    deliver = site / "deliver"
    deliver.write_text(f"""#!/bin/sh -e
mkdir {tmp_path}/here
sleep 0.3
rmdir {tmp_path}/here
""")
    deliver.chmod(0o755)
    good(site, "client", "alice")
    runs = [subprocess.Popen(["sh", AIS_CA, "-q", "-d", str(site), *words],
                             env=environment(), stderr=subprocess.PIPE)
            for words in (["renew", "alice"], ["crl"], ["crl"])]
    assert [(one.communicate()[1], one.returncode) for one in runs] == [
        (b"", 0)] * 3
    assert os.listdir(site / "undelivered") == []


def test_a_delivery_that_hangs_is_waited_for_in_vain(site):
    """The other run says so, and what it has made is still to be brought."""
    deliver = site / "deliver"
    deliver.write_text("#!/bin/sh\n")
    deliver.chmod(0o755)
    with open(site / ".delivering", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "waited 1 s" in ais_ca(site, "-w", "1", "crl").stderr
    assert len(os.listdir(site / "undelivered")) == 1
    good(site, "crl")
    assert os.listdir(site / "undelivered") == []


def test_delivery_that_cannot_begin(site, deliver, tmp_path):
    """Of what is made nothing is lost, and what to do is said."""
    (site / ".delivering").mkdir()
    done = ais_ca(site, "-q", "crl")
    assert done.returncode == 1
    assert re.fullmatch(f"ais-ca: cannot write {site}/.delivering; .*chown.*"
                        f"{site}/undelivered, .*\n", done.stderr), done.stderr
    assert delivered(tmp_path) == [] and len(waiting(site)) == 1
    (site / ".delivering").rmdir()
    good(site, "crl")
    assert delivered(tmp_path) == [["crl", f"{site}/crl.pem"]] * 2


def test_made_anew_while_it_is_delivered(site, tmp_path):
    """The files of a delivery are of one another until its end, and what was
    made in the meantime is brought after it."""
    deliver = site / "deliver"
    deliver.write_text(f"""#!/bin/sh
openssl x509 -in "$3" -noout -pubkey
if mkdir {tmp_path}/once 2>/dev/null; then
	sh {AIS_CA} -q -w 1 -d {site} renew alice 2>>{tmp_path}/other
fi
openssl pkey -in "$4" -pubout
""")
    deliver.chmod(0o755)
    good(site, "client", "alice")
    output = good(site, "-q", "renew", "alice")
    keys = re.findall("-----BEGIN .*?-----END", output, re.S)
    assert len(keys) == 4 and keys[0] == keys[1] != keys[2] == keys[3]
    assert "waited 1 s" in (tmp_path / "other").read_text()
    assert keys[3] in run("openssl", "pkey", "-pubout", "-in",
                          site / "client/alice/key.pem").decode()
    assert waiting(site) == []


def test_what_is_just_being_made_is_not_forgotten(site, tmp_path):
    """Its note is there before it counts, and is left alone by another run
    that delivers at this moment."""
    deliver = site / "deliver"
    deliver.write_text(f"#!/bin/sh\necho $1 $2 >>{tmp_path}/brought\n"
                       f": >{site}/undelivered/0123\n")
    deliver.chmod(0o755)
    good(site, "crl")
    assert waiting(site) == ["0123"]
    deliver.unlink()
    deliver.write_text("#!/bin/sh\n")
    deliver.chmod(0o755)
    good(site, "crl")
    assert waiting(site) == []
