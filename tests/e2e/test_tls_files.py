"""What the daemon makes of the files that "certificate", "key", "authority"
and "crl" name: whatever stands in their place, and whoever has made them.
"""

import os
import shutil
import subprocess

import pytest

import aisc as client
import pki

NAMES = ("certificate", "key", "authority", "crl")


@pytest.fixture
def copies(authority, localhost, tmp_path):
    """The four files, to be changed."""
    return {name: shutil.copy(source, str(tmp_path / f"{name}.pem"))
            for name, source in zip(NAMES, (
                localhost.cert, localhost.key, authority.ca,
                pki.revocations(authority, tmp_path / "list.pem")))}


def check_config(daemon, *says, status=6, **how):
    """aisd -t ends with "status" and says this; returns what it says."""
    done = subprocess.run([*daemon.words, "-t", "-c", str(daemon.conf)],
                          capture_output=True, timeout=60,
                          stdin=subprocess.DEVNULL, **how)
    text = done.stderr.decode()
    assert done.returncode == status, text
    for part in says:
        assert part in text, text
    return text


# What is no file keeps nobody waiting.

def put_pipe(path):
    os.mkfifo(path, 0o600)


def put_device(path):
    """It never ends."""
    os.symlink("/dev/zero", path)


def put_terminal(path):
    """It never begins."""
    _, other = os.openpty()
    os.symlink(os.ttyname(other), path)


@pytest.mark.parametrize("put", [put_pipe, put_device, put_terminal])
@pytest.mark.parametrize("name", NAMES)
def test_reload_of_what_is_no_file(make_aisd, aisc, copies, name, put):
    """It fails, and says why; clients are served as before."""
    daemon = make_aisd(**copies, watch_interval=0)
    path = copies[name]
    os.rename(path, path + ".good")
    put(path)
    daemon.reload("failed")
    said = daemon.events("config-error")[-1]["msg"]
    # Of a key it may be said first that others can read it.
    assert path in said and ("it is no file" in said or
                             "is open to every user" in said)
    assert aisc.run(daemon.port, "true").returncode == 0
    os.rename(path + ".good", path)
    daemon.reload()


def test_pipe_in_a_directory_of_lists(make_aisd, aisc, copies, tmp_path):
    lists = tmp_path / "lists"
    lists.mkdir()
    shutil.move(copies["crl"], lists / "a.pem")
    daemon = make_aisd(**{**copies, "crl": lists}, watch_interval=0)
    os.mkfifo(lists / "b.pem")
    daemon.reload("failed")
    assert f"{lists}/b.pem: it is no file" in \
        daemon.events("config-error")[-1]["msg"]
    assert aisc.run(daemon.port, "true").returncode == 0


@pytest.mark.parametrize("name", NAMES[:3])
def test_file_that_is_too_long(make_aisd, copies, name):
    os.truncate(copies[name], 4 << 20 | 1)
    check_config(make_aisd(start=False, **copies), f"{name}: cannot read the "
                 f"{name} {copies[name]}: it is longer than 4 MiB")


def test_start_reads_pipes(make_aisd, aisc, copies):
    """As a shell's <(...) makes them; a reload cannot."""
    daemon = make_aisd(start=False, **copies, watch_interval=0)
    words = daemon.words
    pipes = {name: number for number, name in enumerate(NAMES[:3], 7)}
    daemon.words = ["bash", "-c", 'exec "$0" "$@" ' + " ".join(
        f"{number}< <(cat {copies[name]})"
        for name, number in pipes.items()), *words]
    daemon.configure(**{name: f"/dev/fd/{n}" for name, n in pipes.items()})
    daemon.start()
    daemon.words = words
    assert aisc.run(daemon.port, "true").returncode == 0
    daemon.reload("failed")
    assert "pipes are read by a start alone" in \
        daemon.events("config-error")[-1]["msg"]
    assert aisc.run(daemon.port, "true").returncode == 0
    daemon.configure(**copies)
    daemon.reload()


def test_aisc_reads_pipes(aisd, aisc, alice):
    line = aisc.words(aisd.port, "echo", "served", pair=alice._replace(
        cert="CERT", key="KEY", ca="CA"))
    text = " ".join(line)
    for word, path in (("CERT", alice.cert), ("KEY", alice.key),
                       ("CA", alice.ca)):
        text = text.replace(word, f"<(cat {path})")
    done = subprocess.run(["bash", "-c", text], capture_output=True,
                          timeout=60, env=aisc.environment())
    assert (done.returncode, done.stdout) == (0, b"served\n"), done.stderr


# Lists.

def test_list_in_the_authority(make_aisd, aisc, aisd, copies, alice):
    """As FreeRADIUS and Dovecot have it; it would be of no effect."""
    with open(copies["authority"], "ab") as both, \
            open(copies["crl"], "rb") as one:
        both.write(one.read())
    daemon = make_aisd(start=False, **copies)
    check_config(daemon, ": authority: ", "has a revocation list in it",
                 'name that by "crl"')
    done = aisc.run(aisd.port, "true",
                    pair=alice._replace(ca=copies["authority"]))
    assert (done.returncode, client.said(done.stderr)) == (255, "config")
    assert b"has a revocation list in it" in done.stderr
