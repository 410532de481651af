# SPDX-License-Identifier: ISC
"""Programs that know nothing of AIS, over aisc-ssh."""

import filecmp
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tarfile

import pytest

from aisd import wait_until

# The programs are of others; what aisc-ssh does has tests of its own.
pytestmark = pytest.mark.same("build")

HERE = pathlib.Path(__file__).resolve().parent
SFTP_SERVER = "/usr/lib/openssh/sftp-server"
# Nothing here needs a shell of the server.
RULES = '{ peers = [ "*" ]; anything = true; ' \
    f'sftp_server = [ "{SFTP_SERVER}" ]; }}'
SHELL = RULES.replace("anything", "shell = true; anything")
MIB = 1024 * 1024


@pytest.fixture
def needs():
    """Skip the test where a program is not there."""
    def check(*names):
        for name in names:
            if not shutil.which(name):
                pytest.skip(f"there is no {name}")
    return check


class Place:
    """A directory to work in, from which aisc-ssh reaches a daemon by the
    name web.example.org, whose commands begin in "there"."""

    def __init__(self, path, aisc, daemon, pair, slowness):
        self.path = path / "here"
        self.there = daemon.directory / "there"
        self.home = path / "home"
        self.bin = path / "bin"
        self.daemon = daemon
        self.slowness = slowness
        for folder in (self.path, self.there, self.home, self.bin):
            folder.mkdir(exist_ok=True)
        (self.bin / "aisc-ssh").symlink_to(aisc)
        settings = self.home / ".config" / "ais"
        settings.mkdir(parents=True)
        (settings / "aisc.conf").write_text(
            f'authority = "{pair.ca}";\ncertificate = "{pair.cert}";\n'
            f'key = "{pair.key}";\nhosts = ( {{ match = [ "*" ];\n'
            f'host_name = "127.0.0.1"; server_name = "localhost";\n'
            f'port = {daemon.port}; }} );\n')
        self.environment = {
            "HOME": str(self.home), "LANG": "C.UTF-8",
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org",
            "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.org",
            "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1",
            "HGUSER": "a", "RESTIC_PASSWORD": "pass word",
            "BUP_DIR": str(self.home / "bup"),
            "BORG_BASE_DIR": str(self.home), "BORG_EXIT_CODES": "modern",
            "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
            "ANSIBLE_LOCAL_TEMP": str(self.home / "ansible"),
            "ANSIBLE_REMOTE_TEMP": str(self.there / "ansible"),
            "ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/python3",
            "ANSIBLE_NOCOLOR": "1", "ANSIBLE_DEPRECATION_WARNINGS": "False",
            **{name: value for name, value in os.environ.items()
               if name.endswith("SAN_OPTIONS")}}

    def start(self, line, env=None, **how):
        return subprocess.Popen(
            ["bash", "-ec", line], cwd=self.path, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**self.environment, **(env or {})}, **how)

    def run(self, line, status=0, env=None, timeout=100):
        """Run a line of bash; "status" None is any but 0."""
        process = self.start(line, env, start_new_session=True)
        try:
            out, err = process.communicate(timeout=timeout * self.slowness)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        done = subprocess.CompletedProcess(line, process.returncode, out, err)
        if status is None:
            assert done.returncode != 0, done
        else:
            assert done.returncode == status, done
        return done

    def check_over(self):
        """Nothing is left on the server, and all that began has ended."""
        daemon = self.daemon
        wait_until(lambda: not daemon.descendants(), "nothing runs any more",
                   20 * self.slowness)
        wait_until(lambda: len(daemon.events("command-start")) ==
                   len(daemon.events("command-end")), "all has ended")


@pytest.fixture
def make_place(program, tmp_path, make_aisd, alice, slowness):
    def make(rules=RULES, **keys):
        words = program("aisc")
        if len(words) > 1:
            pytest.skip("not under valgrind")
        there = tmp_path / "aisd0" / "there"
        there.mkdir(parents=True)
        daemon = make_aisd(rules=rules, directory=there, **keys)
        return Place(tmp_path, words[0], daemon, alice, slowness)
    return make


@pytest.fixture
def place(make_place):
    return make_place()


def site(path):
    """A small directory."""
    path.mkdir()
    (path / "index.html").write_text("<p>Hello")
    (path / "a file").write_text("with a blank in its name")
    return path


# What the manual says.

def lines_of(srcdir, section):
    """The lines to type of a section of aisc-ssh(1)."""
    text = (srcdir / "man" / "aisc-ssh.1").read_text()
    text = text[re.search(f"^.S[hs] {section}\n", text, re.M).start():]
    block = re.search(r"^\.Bd .*\n((?:[^.].*\n)+)\.Ed", text, flags=re.M)[1]
    block = block.replace("\\(dq", '"')
    return block.replace("\\e", "\\").replace("\\\\", "\\")


def make_hg(there):
    for words in (["init", "project"], ["-R", "project", "add", "-q"],
                  ["-R", "project", "commit", "-qm", "first"]):
        subprocess.run(["hg", *words], cwd=there, check=True,
                       env={**os.environ, "HGUSER": "a", "HGRCPATH": ""})
        if words[0] == "init":
            (there / "project" / "file").write_text("text\n")


def make_svn(there):
    """A repository, which is the rule's directory / project."""
    subprocess.run(["svnadmin", "create", there / "project"], check=True)
    subprocess.run(["svn", "mkdir", "-qm", "first", "--parents",
                    f"file://{there}/project/trunk"], check=True)


def make_annex(there):
    env = {**os.environ, "HOME": str(there), "GIT_CONFIG_GLOBAL": "/dev/null",
           "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org",
           "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.org"}
    annex = there / "annex"
    annex.mkdir()
    (annex / "large").write_bytes(b"x" * MIB)
    for words in (["init", "-q", "-b", "main"], ["annex", "init", "there"],
                  ["annex", "add", "large"], ["commit", "-qm", "first"]):
        subprocess.run(["git", *words], cwd=annex, check=True, env=env,
                       stdout=subprocess.DEVNULL)


def make_project(there):
    git = ["git", "-C", str(there)]
    bare = str(there / "project.git")
    env = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null",
           "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org",
           "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.org"}
    work = there / "work"
    for words in (["init", "-q", "-b", "main", "--bare", bare],
                  ["clone", "-q", bare, str(work)]):
        subprocess.run([*git, *words], check=True, env=env,
                       stderr=subprocess.DEVNULL)
    (work / "file").write_text("text\n")
    for words in (["add", "file"], ["commit", "-qm", "first"],
                  ["push", "-q", "origin", "HEAD:main"]):
        subprocess.run(["git", "-C", str(work), *words], check=True, env=env)
    shutil.rmtree(work)


SECTIONS = {
    "rsync": ["rsync"], "git": ["git"], "borg": ["borg"],
    "sftp and scp": ["sftp", "scp", SFTP_SERVER],
    "GNU parallel": ["parallel", "perl", "rsync"], "pdsh": ["pdsh"],
    "ClusterShell": ["clush"], "Ansible": ["ansible"],
    "unison": ["unison"], "Mercurial": ["hg"],
    "Subversion": ["svn", "svnserve", "svnadmin"],
    "git-annex": ["git", "git-annex"], "rdiff-backup": ["rdiff-backup"],
    "restic": ["restic", SFTP_SERVER], "duplicity": ["duplicity", "rsync"],
    "bup": ["bup"], "sshfs": ["sshfs", "fusermount", SFTP_SERVER],
    "lftp": ["lftp", SFTP_SERVER],
}


# What runs on the server.
PROGRAMS = {
    "rsync": {"rsync"}, "borg": {"borg"}, "sftp and scp": {SFTP_SERVER},
    "git": {"git-upload-pack", "git-receive-pack", "git-upload-archive"},
    "GNU parallel": {"line"}, "pdsh": {"uname"}, "ClusterShell": {"uname"},
    "Ansible": {"/bin/sh", "dd"},
    "unison": {"unison"}, "Mercurial": {"hg"}, "Subversion": {"svnserve"},
    "git-annex": {"git-upload-pack", "git-receive-pack", "git-annex-shell"},
    "rdiff-backup": {"rdiff-backup"}, "restic": {SFTP_SERVER},
    "duplicity": {"rsync"}, "bup": {"sh"}, "sshfs": {SFTP_SERVER},
    "lftp": {SFTP_SERVER},
}
# What has to be there before.
MAKE = {"git": make_project, "Mercurial": make_hg, "Subversion": make_svn,
        "git-annex": make_annex}
# Those with large interpreters are slow with sanitizers on two ends.
SLOW = "Ansible", "borg", "GNU parallel", "ClusterShell", "duplicity", "bup"


@pytest.mark.limit(300)
@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.long
def test_lines_of_the_manual(make_place, needs, srcdir, section, request):
    needs(*SECTIONS[section])
    if section == "sshfs" and not os.access("/dev/fuse", os.W_OK):
        pytest.skip("there is no /dev/fuse for us")
    if section in SLOW:
        request.getfixturevalue("brisk")
    place = make_place(SHELL if section == "GNU parallel" else RULES)
    site(place.path / "site")
    MAKE.get(section, lambda there: None)(place.there)
    if section == "duplicity":
        (place.there / "backup").mkdir()
    if section == "sshfs":
        shutil.copytree(place.path / "site", place.there / "site")
    if section == "GNU parallel":
        shutil.rmtree(place.path / "site")
        (place.path / "some file").write_text("12345")
    if section == "sftp and scp":
        (place.there / "a copy").write_text("x")
    lines = lines_of(srcdir, section).replace("/srv", str(place.there))
    if "bin:$PATH" in lines:
        lines = lines_of(srcdir, "TOOLS") + lines
    place.run(lines)
    place.check_over()
    ran = {event["argv"].split()[0] if "argv" in event else "line"
           for event in place.daemon.events("command-end")}
    assert ran == PROGRAMS[section]
    check = {
        "rsync": lambda: (place.path / "copy" / "a file").exists(),
        "git": lambda: "file" in tarfile.open(place.path / "project.tar"
                                              ).getnames(),
        "borg": lambda: b"blank" in (place.path / "all").read_bytes(),
        "sftp and scp": lambda: (place.path / "a copy").exists() and
        (place.there / "pages" / "index.html").exists(),
        "Ansible": lambda: (place.there / "page").exists(),
        "unison": lambda: (place.there / "site" / "a file").exists(),
        "Mercurial": lambda: b"more" in subprocess.check_output(
            ["hg", "-R", place.there / "project", "log"]),
        "git-annex": lambda: (place.path / "annex" / "large").stat(
            ).st_size == MIB,
        "rdiff-backup": lambda: (place.path / "copy" / "a file").exists(),
        "restic": lambda: list((place.path / "copy").rglob("a file")),
        "duplicity": lambda: (place.path / "copy" / "a file").exists(),
        "bup": lambda: b"site" in subprocess.check_output(
            ["bup", "-d", place.there / "backup", "ls"]),
        "sshfs": lambda: (place.path / "page").exists(),
        "lftp": lambda: (place.there / "pages" / "a file").exists() and
        (place.path / "page").exists(),
    }
    assert check.get(section, lambda: True)()


def test_rsnapshot(place, needs, srcdir):
    """With the lines of the manual in its configuration."""
    needs("rsnapshot", "rsync")
    site(place.there / "site")
    lines = lines_of(srcdir, "rsnapshot").replace(
        "/srv", str(place.there)).replace("/usr/bin", str(place.bin))
    (place.path / "rsnapshot.conf").write_text(
        "config_version\t1.2\n"
        f"snapshot_root\t{place.path}/shots/\n"
        f"cmd_rsync\t{shutil.which('rsync')}\n"
        f"retain\tdaily\t2\n{lines}")
    place.run("rsnapshot -c rsnapshot.conf daily")
    shot, = (place.path / "shots" / "daily.0" / "web").rglob("a file")
    assert shot.read_text() == "with a blank in its name"
    place.check_over()


@pytest.mark.parametrize("section, words", [
    ("docker", "docker system dial-stdio"),
    ("systemctl", "systemd-stdio-bridge")])
def test_what_talks_to_a_daemon_there(place, needs, srcdir, section, words):
    """These two hand their conversation to a program of the server, which is
    asked for by these words and answers for itself here."""
    needs(section)
    stub = place.home / "stub"
    stub.mkdir()
    program = words.split()[0]
    (stub / program).write_text("#!/bin/sh\nread line\necho \"$line\" >"
                                f"{place.there}/heard\n")
    (stub / program).chmod(0o755)
    place.daemon.configure(path=[str(stub), "/usr/bin", "/bin"])
    place.daemon.reload()
    place.run(lines_of(srcdir, "TOOLS") + lines_of(srcdir, section), None)
    place.check_over()
    start = place.daemon.events("command-start")[0]
    assert start["argv"].startswith(words)
    assert (place.there / "heard").stat().st_size > 0


SYNCOID_ZFS = """\
#!/bin/sh
case "$*" in
"get -H name"*) echo "$4\tname\t$4\t-" ;;
*) exit 1 ;;
esac
"""


def test_syncoid(make_place, needs, srcdir):
    """It begins with a master connection, which is none, and goes on."""
    needs("syncoid")
    place = make_place(SHELL)
    place.run(lines_of(srcdir, "TOOLS") + lines_of(srcdir, "syncoid"), None)
    place.check_over()
    lines = [event["line"] for event in place.daemon.events("command-start")]
    assert "exit" in lines and any("zfs" in line for line in lines), lines


TRAMP = """\
(setq tramp-verbose 3 make-backup-files nil)
(with-temp-buffer
  (insert-file-contents "/ais:web.example.org:%(there)s/site/index.html")
  (goto-char (point-max))
  (insert " there\n")
  (write-region (point-min) (point-max)
                "/ais:web.example.org:%(there)s/new file"))
(let ((default-directory "/ais:web.example.org:%(there)s/"))
  (princ (shell-command-to-string "echo err >&2; pwd")))
"""


def test_tramp(make_place, needs, srcdir, brisk):
    needs("emacs")
    place = make_place()
    site(place.there / "site")
    (place.path / "tramp.el").write_text(
        lines_of(srcdir, "Emacs TRAMP") + TRAMP % {"there": place.there})
    done = place.run("emacs -Q --batch -l tramp.el")
    assert os.fsencode(place.there) in done.stdout
    assert (place.there / "new file").read_text() == "<p>Hello there\n"
    place.check_over()


def test_tramp_with_its_own_method(place, needs, srcdir, brisk):
    """It is refused at once, as there is no terminal, and does not take the
    prompt of AIS for a shell's."""
    needs("emacs")
    done = place.run(lines_of(srcdir, "TOOLS") + "PATH=$PWD/bin:$PATH "
                     "emacs -Q --batch --eval '(progn (require (quote tramp)) "
                     "(insert-file-contents \"/ssh:web.example.org:/etc/"
                     "passwd\"))'", None)
    assert b"failed to connect" in done.stderr
    assert place.daemon.events("command-start") == []


# Each of them in earnest, and with a transport that dies.

def cut(place, size):
    """The words of a transport that dies after so many bytes."""
    return f"{HERE}/cut-rsh {size} aisc-ssh"


def check_cut(place):
    """A transport that was killed leaves nothing behind, and the record says
    what has become of the command."""
    place.check_over()
    end = place.daemon.events("command-end")[-1]
    assert "connection was cut" in end.get("reason", ""), end


@pytest.fixture
def tree(tmp_path):
    """5,000 files with names and sizes of all kinds."""
    top = tmp_path / "tree"
    names = ["plain", "a b", "it's", 'say "x"', "new\nline", "tab\tx",
             "\xfc\xf1\xed", "\u65e5\u672c", "$HOME", "*", "-x", "back\\slash",
             "semi;colon", "#x", "~", "`x`"]
    for i in range(50):
        folder = top / f"{names[i % len(names)]}{i}"
        folder.mkdir(parents=True)
        for k in range(100):
            (folder / f"{names[k % len(names)]}{k}").write_bytes(
                b"x" * (i * k % 500))
    return top


def same(a, b):
    """Are two directories the same, byte by byte?"""
    found = filecmp.dircmp(a, b)
    assert not found.left_only and not found.right_only, (a, b)
    _, wrong, errors = filecmp.cmpfiles(a, b, found.common_files, False)
    assert not wrong and not errors, (a, b)
    for folder in found.common_dirs:
        same(pathlib.Path(a) / folder, pathlib.Path(b) / folder)


def big_file(path, size):
    block = os.urandom(MIB)
    with open(path, "wb") as file:
        for i in range(size):
            file.write(i.to_bytes(4, "big") + block[4:])


@pytest.mark.limit(600)
@pytest.mark.long
def test_rsync(place, needs, tree, brisk):
    needs("rsync")
    place.path.mkdir(exist_ok=True)
    tree.rename(place.path / "tree")
    rsync = "rsync -e aisc-ssh "
    place.run(rsync + "-a tree/ web.example.org:far")
    same(place.path / "tree", place.there / "far")
    place.run(rsync + "-a web.example.org:far/ back")
    same(place.path / "tree", place.path / "back")
    (place.there / "far" / "too much").write_text("x")
    big_file(place.path / "tree" / "big", 300)
    place.run(rsync + "-a -s --delete tree/ web.example.org:far")
    same(place.path / "tree", place.there / "far")
    assert not (place.there / "far" / "too much").exists()
    place.check_over()


def test_rsync_and_globs(make_place, needs):
    needs("rsync")
    place = make_place('{ name = "few"; peers = [ "*" ]; '
                       'commands = ( "/usr/bin/rsync" ); }')
    site(place.there / "site")
    rsync = "rsync -e aisc-ssh -a "
    done = place.run(rsync + "'web.example.org:site/*.html' .", None)
    assert b"aisc: denied: the rule \"few\" grants no shell to " \
        b"\"alice\", which the * in it needs; its key \"shell\" " \
        b"would\n" in done.stderr
    place.run(rsync + "-s 'web.example.org:site/*.html' .")
    assert (place.path / "index.html").exists()
    place.run(rsync + "'web.example.org:site/a file' .")
    assert (place.path / "a file").exists()


@pytest.mark.parametrize("size", [0, 100, 3000])
def test_rsync_cut(place, needs, size):
    needs("rsync")
    folder = place.path / "tree"
    folder.mkdir()
    for i in range(500):
        (folder / f"file{i}").write_text("x" * i)
    place.run(f"rsync -a -e '{cut(place, size)}' tree/ web.example.org:far",
              None)
    check_cut(place)


def test_git(place, needs):
    needs("git")
    make_project(place.there)
    git = "export GIT_SSH=aisc-ssh; git "
    # A user and a port, and the other way to name them.
    place.run(git + f"clone -q ssh://me@web.example.org:{place.daemon.port}"
              f"{place.there}/project.git one")
    place.run(git + "clone -q -4 'me@web.example.org:project.git' two")
    place.run("cd one; echo more >> file; " + git + "commit -qam second; " +
              git + "push -q")
    place.run("cd two; " + git + "pull -q; grep -q more file")
    place.run(git + "archive --remote=web.example.org:project.git HEAD file "
              "| tar -x; grep -q more file")
    place.check_over()
    lines = {event["argv"] for event in
                place.daemon.events("command-start")}
    assert {"git-upload-pack project.git",
            f"git-receive-pack {place.there}/project.git",
            "git-upload-archive project.git"} <= lines


@pytest.mark.parametrize("size", [0, 300, 3000])
@pytest.mark.long
def test_git_cut(place, needs, size):
    needs("git")
    make_project(place.there)
    place.run("GIT_SSH=aisc-ssh git clone -q web.example.org:project.git one;"
              " cd one; head -c 1000000 /dev/urandom > noise; git add noise; "
              "git commit -qm noise; GIT_SSH=aisc-ssh git push -q")
    done = place.run(f"GIT_SSH_COMMAND='{cut(place, size)}' "
                     "GIT_SSH_VARIANT=ssh git clone -q "
                     "web.example.org:project.git two", 128)
    assert b"fatal" in done.stderr and not (place.path / "two").exists()
    place.check_over()


@pytest.mark.limit(300)
@pytest.mark.long
def test_borg(place, needs, brisk):
    needs("borg")
    site(place.path / "site")
    big_file(place.path / "site" / "noise", 5)
    borg = f"borg --rsh '{cut(place, 100)}' "
    place.run("borg --rsh aisc-ssh init -e none web.example.org:backup")
    done = place.run(borg + "create web.example.org:backup::one site", None)
    assert b"onnection closed by remote host" in done.stderr
    check_cut(place)
    place.run("borg --rsh aisc-ssh create web.example.org:backup::two site;"
              "mkdir new; cd new; "
              "borg --rsh aisc-ssh extract web.example.org:backup::two")
    same(place.path / "site", place.path / "new" / "site")
    place.check_over()


# Rules of the page that grant one tool and no more.

@pytest.fixture
def narrow(srcdir, make_place, tmp_path):
    """A place under the rule of a section of aisc-ssh(1), for a directory
    "data" in the place of the page's."""
    def make(section, directory):
        text = (srcdir / "man" / "aisc-ssh.1").read_text()
        text = text[text.index(f".Ss {section}\n"):]
        rule = re.search(r"^commands = \(.*?^\.Ed", text,
                         re.M | re.S)[0][:-3]
        assert directory in rule
        data = tmp_path / "aisd0" / "data"
        place = make_place('{ peers = [ "*" ]; ' +
                           rule.replace(directory, str(data)) + " }")
        data.mkdir()
        place.data = data
        return place
    return make


def test_rule_of_rsync(narrow, needs):
    needs("rsync")
    place = narrow("rsync", "/srv/data")
    site(place.path / "site")
    rsync = "rsync -e aisc-ssh "
    place.run(rsync + "-aHz --delete --numeric-ids site/ web.example.org:far")
    same(place.path / "site", place.data / "far")
    place.run(rsync + f"-rtv 'web.example.org:{place.data}/far/' back")
    assert (place.path / "back" / "index.html").exists()
    (place.there / "secret").write_text("x")
    for line in ("-a web.example.org:../there/secret .",
                 f"-a web.example.org:{place.there}/secret .",
                 f"-a -s web.example.org:{place.there}/secret .",
                 f"-a site/ web.example.org:{place.there}",
                 "-aL web.example.org:far back",
                 "-a --log-file=x --remote-option=--log-file=y site/ "
                 "web.example.org:far",
                 "-a --copy-dest=/etc site/ web.example.org:far"):
        done = place.run(rsync + line, None)
        assert b"does not grant this" in done.stderr, (line, done.stderr)
    assert not (place.path / "secret").exists()
    place.check_over()


def test_rule_of_git(narrow, needs):
    needs("git")
    place = narrow("git", "/srv/git")
    make_project(place.data)
    make_project(place.there)
    git = "export GIT_SSH=aisc-ssh; git "
    place.run(git + "clone -q web.example.org:project.git one")
    place.run(git + f"clone -q ssh://web.example.org{place.data}/project.git "
              "two")
    place.run("cd one; echo more >> file; " + git + "commit -qam second; " +
              git + "push -q")
    place.run("cd two; " + git + "pull -q; grep -q more file")
    for line in (f"clone -q ssh://web.example.org{place.there}/project.git x",
                 "clone -q web.example.org:../there/project.git x",
                 "clone -q --upload-pack='git-upload-pack --strict' "
                 "web.example.org:project.git x",
                 "archive --remote=web.example.org:project.git HEAD"):
        done = place.run(git + line, None)
        assert b"does not grant" in done.stderr, (line, done.stderr)
    place.check_over()


@pytest.mark.limit(300)
@pytest.mark.long
def test_rule_of_borg(narrow, needs):
    needs("borg")
    place = narrow("borg", "/srv/borg/web")
    site(place.path / "site")
    borg = "borg --rsh aisc-ssh "
    here = f"web.example.org:{place.data}"
    place.run(borg + f"init -e none {here}")
    place.run(borg + f"--info create {here}::one site")
    assert b"one" in place.run(borg + f"list {here}").stdout
    assert place.run(borg + f"init -e none web.example.org:{place.there}/x",
                     None)
    assert not (place.there / "x").exists()
    for line in ("borg create /tmp/x::a /etc", "borg serve --restrict-to-path "
                 "/", "borg serve --umask=x"):
        done = place.run(f"aisc-ssh web.example.org {line}", 255)
        assert b"does not grant this" in done.stderr, (line, done.stderr)
    words = {event["argv"] for event in place.daemon.events("command-start")}
    assert words == {"borg serve", "borg serve --info"}
    place.check_over()


@pytest.mark.parametrize("size", [0, 100, 20000])
def test_sftp_cut(place, needs, size):
    needs("scp", SFTP_SERVER)
    big_file(place.path / "big", 3)
    transport = place.bin / "cut"
    transport.write_text(f'#!/bin/sh\nexec {cut(place, size)} "$@"\n')
    transport.chmod(0o755)
    done = place.run("scp -q -S aisc-ssh big web.example.org:far; "
                     f"scp -q -S {transport} web.example.org:far near", None)
    assert done.returncode == 255, done
    assert filecmp.cmp(place.path / "big", place.there / "far", False)
    check_cut(place)


@pytest.mark.limit(300)
@pytest.mark.long
def test_parallel(make_place, needs, brisk):
    needs("parallel", "perl")
    place = make_place(SHELL)
    # By itself it asks for the number of processors first, 9 at a time.
    done = place.run("parallel --ssh aisc-ssh -S 8/me@web.example.org "
                     "-k 'echo {}; echo {} >&2; exit 0' ::: $(seq 60)")
    assert done.stdout.split() == [b"%d" % i for i in range(1, 61)]
    # Who has to wait for longer than a second is told so.
    errors = [line for line in done.stderr.splitlines()
              if not line.startswith(b"aisc: waiting: ")]
    assert sorted(errors) == sorted(done.stdout.split())
    done = place.run("parallel --ssh aisc-ssh -S 2/web.example.org "
                     "'exit {}' ::: 0 3", 1)
    place.check_over()


def test_parallel_cut(make_place, needs):
    needs("parallel", "perl")
    place = make_place(SHELL)
    place.run(f"parallel --ssh '{cut(place, 10)}' -S 2/web.example.org "
              "'echo {}; seq 100000; sleep 1000' ::: 1 2", None)
    place.check_over()


def test_parallel_without_a_shell(place, needs):
    """It begins its line with "exec", and has perl do the rest."""
    needs("parallel", "perl")
    done = place.run("parallel --ssh aisc-ssh -S 1/web.example.org echo "
                     "::: 1 2 3")
    assert sorted(done.stdout.split()) == [b"1", b"2", b"3"]


@pytest.fixture
def fleet(make_place, make_aisd, brisk):
    """20 daemons on 20 addresses, as n1 to n20."""
    place = make_place(SHELL)
    daemons = [make_aisd(listen=[f"127.0.1.{i}:0"], rules=SHELL)
               for i in range(1, 21)]
    hosts = "".join(
        f'{{ match = [ "n{i}" ]; host_name = "127.0.1.{i}"; '
        f'port = {daemon.port}; server_name = "localhost"; }},\n'
        for i, daemon in enumerate(daemons, 1))
    conf = place.home / ".config" / "ais" / "aisc.conf"
    conf.write_text(conf.read_text().replace("hosts = (", "hosts = (" + hosts))
    return place, daemons


FLEETS = {
    "pdsh-exec": ("pdsh -R exec -S -w 'n[1-20]' {} %h {}", "aisc-ssh"),
    "pdsh-ssh": ("PATH=bin:$PATH; pdsh -R ssh -S -w 'n[1-20]' {1}", ""),
    "clush": ("clush -S -O ssh_path={} -w 'n[1-20]' {}", "aisc-ssh"),
    "clush-worker": ("clush -S --worker=exec -w 'n[1-20]' {} %h {}",
                     "aisc-ssh"),
}


@pytest.mark.parametrize("tool", FLEETS)
@pytest.mark.long
def test_fleet(fleet, needs, tool):
    place, daemons = fleet
    needs(tool.split("-")[0])
    (place.path / "bin").mkdir()
    (place.path / "bin" / "ssh").symlink_to(place.bin / "aisc-ssh")
    line, transport = FLEETS[tool]
    done = place.run(line.format(transport, "'echo one two'"))
    assert sorted(done.stdout.decode().splitlines()) == \
        sorted(f"n{i}: one two" for i in range(1, 21))
    # What the worst one has ended with is what it ends with.
    assert place.run(line.format(transport, "'exit 3'"), None).returncode == 3
    # All but one get through.
    daemons[6].stop()
    done = place.run(line.format(transport, "'echo up'"), None)
    assert done.returncode == 255 and done.stdout.count(b"up") == 19
    assert b"n7: aisc: connect: " in done.stderr
    place.check_over()


@pytest.mark.parametrize("tool", FLEETS)
@pytest.mark.long
def test_fleet_cut(fleet, needs, tool):
    place, daemons = fleet
    needs(tool.split("-")[0])
    (place.path / "bin").mkdir()
    killer = place.path / "bin" / "ssh"
    killer.write_text(f'#!/bin/sh\nexec {cut(place, 2)} "$@"\n')
    killer.chmod(0o755)
    line, transport = FLEETS[tool]
    done = place.run(line.format(transport and killer, "'seq 1000000000'"),
                     0 if tool.startswith("pdsh") else None)
    # All that pdsh has to say of a signal is this.
    assert not tool.startswith("pdsh") or \
        done.stderr.count(b"killed by signal 9") == 20
    for daemon in daemons:
        place.daemon = daemon
        check_cut(place)


INVENTORY = """
web.example.org
[all:vars]
ansible_ssh_executable = {}
ansible_ssh_transfer_method = piped
ansible_pipelining = {}
"""
PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - ping:
    - copy: {src: site/a file, dest: "copied file"}
    - template: {src: template.j2, dest: made}
    - command: cat made
      register: made
    - shell: wc -c < "copied file" | tr -d ' '
      register: count
    - assert: {that: [made.stdout == "Hello web", count.stdout == "24"]}
"""


@pytest.mark.limit(600)
@pytest.mark.parametrize("pipelining", ["true", "false"])
@pytest.mark.long
def test_ansible(place, needs, pipelining, brisk):
    needs("ansible-playbook")
    site(place.path / "site")
    (place.path / "template.j2").write_text("Hello {{ 'web' }}")
    (place.path / "play.yml").write_text(PLAY)
    (place.path / "hosts").write_text(INVENTORY.format("aisc-ssh", pipelining))
    place.run("ansible-playbook -i hosts play.yml", timeout=300)
    assert (place.there / "made").read_text() == "Hello web"
    place.check_over()
    before = len(place.daemon.events("session-open"))
    place.run("ansible -i hosts all -m ping")
    count = len(place.daemon.events("session-open")) - before
    assert count in ([1] if pipelining == "true" else [5, 6])


def test_ansible_cut(place, needs):
    needs("ansible")
    transport = place.bin / "cut"
    transport.write_text(f'#!/bin/sh\nexec {cut(place, 1)} "$@"\n')
    transport.chmod(0o755)
    (place.path / "hosts").write_text(INVENTORY.format(transport, "true"))
    done = place.run("ansible -i hosts all -m raw -a 'sh -c \"echo x; sleep "
                     "1000\"'", None)
    assert b"web.example.org | " in done.stdout and b"SUCCESS" not in \
        done.stdout
    check_cut(place)
