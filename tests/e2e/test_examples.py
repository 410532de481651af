# SPDX-License-Identifier: ISC
"""The examples of the manual pages and of the sample do what they say."""

import os
import re
import shutil
import subprocess

import pytest

import aisd as daemon

# Words of an example that this test does not run, and why.
ELSEWHERE = {
    "systemctl": "tests/systemd",
    "journalctl": "tests/systemd",
}


def literals(text, section="EXAMPLES"):
    """The literal blocks of a section of a manual page, as they are shown."""
    part = re.search(rf"^\.Sh {section}\n(.*?)(?=^\.Sh |\Z)", text, re.M | re.S)
    return [re.sub(r"\\(\(dq|&|-|e)", lambda m: {
        "(dq": '"', "&": "", "-": "-", "e": "\\"}[m[1]], block)
        for block in re.findall(r"^\.Bd -literal[^\n]*\n(.*?)^\.Ed",
                                part[1], re.M | re.S)]


def page(srcdir, name):
    return (srcdir / "man" / name).read_text()


def settings(text, **keys):
    """A configuration in which these keys stand in the place of those of
    "text", which may hide them behind "#"."""
    for key, value in keys.items():
        line = f"{key} = {daemon.setting(value)};"
        text, n = re.subn(rf"^#?{key} = .*?;$", lambda _: line, text, count=1,
                          flags=re.M)
        text = text if n else f"{line}\n{text}"
    return text


@pytest.fixture
def run_aisd(program):
    def run(*words, status=0, **options):
        done = subprocess.run([*program("aisd"), *map(str, words)],
                              stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=60, check=False, **options)
        assert done.returncode == status, done.stderr
        return done
    return run


def configured(builddir, name):
    """A directory of the build, such as sysconfdir."""
    text = (builddir / "Makefile").read_text()
    value = re.search(rf"^{name} = (.*)$", text, re.M)[1]
    return re.sub(r"\$\{(\w+)\}", lambda m: configured(builddir, m[1]), value)


@pytest.fixture
def shown(run_aisd, builddir, tmp_path):
    """A function from a configuration to what --show-config makes of it, in
    the places of which the pages and the sample speak."""
    def show(text):
        conf = tmp_path / "shown.conf"
        conf.write_text(text)
        out = run_aisd("-T", "-c", conf).stdout
        for name, place in ("sysconfdir", "/etc"), ("localstatedir", "/var"):
            out = out.replace(f'"{configured(builddir, name)}/', f'"{place}/')
        return out
    return show


# The sample.

def sample(srcdir):
    return (srcdir / "etc" / "aisd.conf").read_text()


# One commented setting, on one line, outside of the example.
HIDDEN = re.compile(r"^#([a-z][a-z0-9_]* = .*;)$", re.M)


def test_sample_is_ready_to_use(srcdir, run_aisd, tmp_path, localhost):
    conf = tmp_path / "aisd.conf"
    conf.write_text(settings(
        sample(srcdir), certificate=localhost.cert, key=localhost.key,
        authority=localhost.ca, unprivileged=True,
        log_file=tmp_path / "log"))
    done = run_aisd("-t", "-c", conf)
    assert done.stderr.endswith("is good: 1 rule\n")


def test_sample_grants_everything_and_says_so(srcdir, run_aisd, tmp_path):
    conf = tmp_path / "aisd.conf"
    conf.write_text(settings(sample(srcdir), unprivileged=True))
    done = run_aisd("-c", conf, "--explain", "CN=anybody", "--", "true")
    assert 'allowed by the rule "everybody"' in done.stdout
    assert "shell = true" in run_aisd("-T", "-c", conf).stdout
    assert "EVERY CERTIFICATE" in sample(srcdir)
    readme = " ".join((srcdir / "README.md").read_text().split())
    assert "every certificate of your authority may run every program and " \
        "every line of shell" in readme


def test_sample_hides_no_rule_of_a_drop_in(srcdir, run_aisd, tmp_path):
    conf = tmp_path / "aisd.conf"
    conf.write_text(settings(sample(srcdir), unprivileged=True))
    (tmp_path / "aisd.conf.d").mkdir()
    for name, program in ("20", "id"), ("10", "df"):
        (tmp_path / "aisd.conf.d" / f"{name}.conf").write_text(
            f'rules = ( {{ name = "{name}"; peers = "bob"; '
            f'commands = ( "/usr/bin/{program}" ); }} );')
    done = run_aisd("-c", conf, "--explain", "CN=bob", "--", "df")
    assert 'allowed by the rule "10"' in done.stdout
    run_aisd("-c", conf, "--explain", "CN=bob", "--", "id", status=1)
    done = run_aisd("-c", conf, "--explain", "CN=alice", "--", "id")
    assert 'allowed by the rule "everybody"' in done.stdout


def test_sample_shows_the_defaults(srcdir, shown):
    """All that is behind a "#" is what holds without it, and all of it is
    there."""
    text = sample(srcdir)
    as_it_is = shown(settings(text, unprivileged=True))
    without = HIDDEN.sub(r"\1", text)
    assert without != text
    assert shown(settings(without, unprivileged=True)) == as_it_is
    top = as_it_is.split("\nrules = ")[0]
    keys = re.findall(r"^([a-z][a-z0-9_]*) = ", top, re.M)
    hidden = [line.split()[0] for line in HIDDEN.findall(text)]
    assert sorted(hidden) == sorted(keys)


def test_sample_each_key_has_its_line(srcdir):
    lines = sample(srcdir).splitlines()
    for at, line in enumerate(lines):
        if HIDDEN.match(line):
            assert re.match(r"# [A-Z]|# [a-z\"]", lines[at - 1]), line


def test_sample_of_narrower_rules(srcdir, shown):
    block = re.search(r"^#rules = \(\n(#.*\n)*?#\);\n", sample(srcdir), re.M)
    rules = re.sub(r"^#", "", block[0], flags=re.M)
    text = shown("unprivileged = true;\n" + rules)
    assert 'name = "monitoring"' in text and 'name = "operators"' in text


# aisd.conf(5).

def test_examples_of_aisd_conf(srcdir, run_aisd, tmp_path, localhost):
    blocks = literals(page(srcdir, "aisd.conf.5"))
    assert len(blocks) >= 4
    for block in blocks:
        conf = tmp_path / "aisd.conf"
        conf.write_text(settings(
            block, unprivileged=True, certificate=localhost.cert,
            key=localhost.key, authority=localhost.ca, crl=""))
        run_aisd("-t", "-q", "-c", conf)


@pytest.mark.parametrize("who, words, allowed", [
    ("URI=spiffe://example.org/deploy/7", "fetch 100 app.log", True),
    ("URI=spiffe://example.org/deploy/7", "fetch 1001 app.log", False),
    ("URI=spiffe://example.org/deploy/7", "fetch 5 ../passwd", False),
    ("URI=spiffe://example.org/build/7", "fetch 100 app.log", False),
    ("URI=spiffe://example.org/deploy/7", "restart web", True),
    ("URI=spiffe://example.org/deploy/7", "restart ssh", False),
    ("URI=spiffe://example.org/deploy/7", "login --token abc", True),
    ("URI=spiffe://example.org/deploy/7", "login --force", False),
    ("CN=nagios-1", "check_load -w 1", True),
    ("CN=nagios-1", "check_users", False),
    ("EMAIL=bob@example.org,FROM=198.51.100.9", "anything", True),
    ("EMAIL=bob@example.org,FROM=198.51.101.9", "anything", False),
    ("CN=carol", "date", True),
    ("CN=carol", "uptime", False),
    ("CN=operator-1", "systemctl status web", True),
    ("CN=operator-1", "/usr/bin/systemctl --full status db@1", True),
    ("CN=operator-1", "systemctl list-units --failed", True),
    ("CN=operator-1", "systemctl list-units", False),
    ("CN=operator-1", "systemctl restart web", False),
    ("CN=operator-1", "systemctl status -Hroot@db web", False),
    ("CN=operator-1", "systemctl web", False),
    ("CN=operator-1", "journalctl -u web", True),
    ("CN=operator-1", "journalctl -q --lines=50 --unit=cart", True),
    ("CN=operator-1", "journalctl -S today -u web -n 9", True),
    ("CN=operator-1", "journalctl -n 9", False),
    ("CN=operator-1", "journalctl -u ssh", False),
    ("CN=operator-1", "journalctl -u web -u cart", False),
    ("CN=operator-1", "journalctl -u web -D /tmp", False),
    ("CN=operator-1", "check_load -w 5,4,3 -c 10,8,6", True),
    ("CN=operator-1", "check_load -c 10,8,6 -r -w 5,4,3", True),
    ("CN=operator-1", "check_load -w 5,4,3", False),
    ("CN=operator-1", "check_load -w 5,4 -c 10,8,6", False),
    ("DNS=backup.example.org", "rsync --server .", True),
    ("DNS=www.example.org", "rsync --server .", False),
])
def test_what_the_examples_grant(who, words, allowed, srcdir, program,
                                 tmp_path):
    """One of the page's examples, and no more, lets this be done."""
    granted = []
    for block in literals(page(srcdir, "aisd.conf.5"))[1:]:
        conf = tmp_path / "aisd.conf"
        # Its day may be over when this is run, and it would learn until then.
        block = re.sub(r"learn_until = .*", "", block)
        conf.write_text(settings(block, unprivileged=True))
        done = subprocess.run(
            [*program("aisd"), "-c", str(conf), "--explain", who, "--",
             *words.split()], text=True, capture_output=True, timeout=60,
            check=False)
        assert done.returncode in (0, 1), done.stderr
        granted.append(done.returncode == 0)
    assert sum(granted) == allowed


# aisd(8) and aisc(1): commands, as one would type them.

@pytest.fixture
def typist(program, tmp_path, alice):
    """A function that runs a line of an example in a shell, in a directory
    where the programs are found by their names."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    here = tmp_path / "here"
    here.mkdir()

    def type_(line, wrappers, env=()):
        for name, words in wrappers.items():
            script = bin_ / name
            script.write_text("#!/bin/sh\nexec " + " ".join(
                f"'{word}'" for word in words) + ' "$@"\n')
            script.chmod(0o755)
        return subprocess.run(
            ["sh", "-c", line], cwd=here, text=True, capture_output=True,
            env={**os.environ, "PATH": f"{bin_}:{os.environ['PATH']}",
                 **dict(env)}, timeout=60, check=False)
    type_.here = here
    return type_


def lines_of(srcdir, name):
    found = []
    for block in literals(page(srcdir, name)):
        if block.lstrip().startswith("#!"):
            continue    # A script, with comments.
        found += [line[2:] for line in block.splitlines()
                  if line[:2] in ("$ ", "# ")]
    return [line for line in found if line.split()[0] not in ELSEWHERE]


def test_examples_of_aisd(srcdir, program, typist, make_aisd, connect, alice):
    """Each line runs and says something, against a log with all in it."""
    server = make_aisd(rules='{ name = "learns"; peers = [ "*" ]; '
                       'learn_until = "2099-12-31"; }')
    session = connect(daemon=server)
    assert session.run(["sh", "-c", "exit 3"]).status == 3
    assert session.run(["cat"], env={"LD_PRELOAD": "x"}).refused
    server.wait_event("command-end")
    shutil.copy(server.log, typist.here / "server.log")
    shutil.copy(alice.cert, typist.here / "alice.pem")
    server.configure(rules=daemon.EVERYTHING)

    lines = lines_of(srcdir, "aisd.8")
    assert len(lines) >= 6
    for line in lines:
        line = line.replace("/var/log/aisd/", "")
        done = typist(line, {"aisd": [*program("aisd"), "-c", server.conf]})
        assert done.returncode == 0, (line, done.stderr)
        assert done.stdout or done.stderr, line


def test_examples_of_aisc(srcdir, program, typist, make_aisd, alice):
    """As the page has them, but for the host and a directory."""
    plugins = typist.here / "plugins"
    plugins.mkdir()
    (plugins / "check_load").write_text("#!/bin/sh\necho LOAD OK: $*\n")
    (plugins / "check_load").chmod(0o755)
    server = make_aisd(path=["/usr/bin", "/bin", str(plugins)])
    web = typist.here / "www"
    web.mkdir()
    (typist.here / "site").mkdir()
    (typist.here / "site" / "index").write_text("hello\n")
    (typist.here / "commands").write_text("true\necho done\n")
    settings_ = typist.here / "aisc.conf"
    settings_.write_text(
        f'authority = "{alice.ca}"; certificate = "{alice.cert}"; '
        f'key = "{alice.key}"; port = {server.port}; '
        f'host_name = "127.0.0.1"; server_name = "localhost";')
    lines = lines_of(srcdir, "aisc.1")
    assert len(lines) >= 7
    shown = {}
    for line in lines:
        done = typist(line.replace("/srv/www", str(web)),
                      {"aisc": [*program("aisc"), "-F", settings_]})
        assert done.returncode == 0, (line, done.stderr)
        shown[line] = done.stdout
    assert (web / "site" / "index").read_text() == "hello\n"

    def of(word):
        return "".join(text for line, text in shown.items() if word in line)
    assert of("< commands") == "done\n"
    assert of("--plugin") == "LOAD OK: -w 5,4,3 -c 10,8,6\n"
    assert of("--check").startswith("AISC OK - web.example.org: TLSv1.3, ")
    assert "grants it" in of("--can") and of("--list")


@pytest.mark.parametrize("host", ["web-1", "www", "db"])
def test_examples_of_aisc_conf(host, srcdir, program, typist, make_aisd,
                               authority, alice):
    """A host of the example is reached as the example says, but for ports and
    addresses."""
    server = make_aisd(pair=authority.make(
        "server", "server", sans=["DNS:db.example.org", "DNS:" + host]))
    block, = literals(page(srcdir, "aisc.conf.5"))
    where = typist.here / "www"
    where.mkdir()
    here = typist.here / "aisc.conf"
    assert "port = 4774;" in block and '"192.0.2.7"' in block
    here.write_text(block.replace("4774", str(server.port)).replace(
        "192.0.2.7", "127.0.0.1").replace("/srv/www", str(where)).replace(
            "match = [", 'host_name = "127.0.0.1"; match = ['))
    for name, path in (("ca.pem", alice.ca), ("alice.pem", alice.cert),
                       ("alice.key", alice.key)):
        shutil.copy(path, typist.here / name)
    port = f" -p {server.port}" if host == "db" else ""
    done = typist(f"aisc{port} {host} pwd",
                  {"aisc": [*program("aisc"), "-F", here]})
    assert done.returncode == 0, done.stderr
    assert (done.stdout == f"{where}\n") == (host != "db")


def test_examples_of_ais_ca(srcdir, program, typist):
    """The authority's life, in the order of the page."""
    directory = typist.here / "ca"
    (typist.here / "pass").write_text("")
    lines = lines_of(srcdir, "ais-ca.8")
    assert len(lines) >= 8
    for line in lines:
        line = re.sub(r" --passphrase-file \S+| --owner \S+", "", line)
        done = typist(line, {"ais-ca": [*program("ais-ca"), "-d", directory]})
        assert done.returncode == 0, (line, done.stderr)
    listed = typist("ais-ca list", {})
    assert "web.example.org" in listed.stdout and "alice" in listed.stdout


# What is written down twice.

def test_events(srcdir):
    """aisd(8), the catalog and the source name the same events."""
    source = (srcdir / "daemon/record/audit.c").read_text()
    known = dict(re.findall(r'\{ "([a-z-]+)",\s*"([0-9a-f]{32})"', source))
    assert len(known) > 5
    items = re.findall(r"^\.It Sy ([a-z-]+)\n(.*?)(?=^\.It |^\.El)",
                       page(srcdir, "aisd.8"), re.M | re.S)
    described = {name: match[1] for name, text in items
                 if (match := re.search(r"MESSAGE_ID ([0-9a-f]{32})", text))}
    assert described == known
    catalog = (srcdir / "systemd" / "aisd.catalog").read_text()
    assert set(re.findall(r"^-- ([0-9a-f]{32})$", catalog, re.M)) == \
        set(known.values())


def test_fields(srcdir):
    """Every field that a record can have is in aisd(8)."""
    source = (srcdir / "daemon/record/audit.c").read_text()
    fields = set(re.findall(
        r'\b(?:record_put|put_number)\(&?r, "([a-z_]+)"', source)) | \
        set(re.findall(r'\? "(line)" : "(argv)"', source)[0])
    text = page(srcdir, "aisd.8")
    described = set(re.findall(r"^\.Cm ([a-z_]+)", text, re.M))
    assert len(fields) > 20
    assert fields - described == set()


def test_names_that_no_pattern_grants(srcdir):
    source = (srcdir / "daemon/exec/environ.c").read_text()
    names = re.search(r"dangerous\[\] = \{(.*?)NULL", source, re.S)[1]
    text = page(srcdir, "aisd.conf.5")
    part = text[text.index("never grants these"):text.index("are never granted")]
    assert set(re.findall(r'"([^"]+)"', names)) == \
        set(re.findall(r"^\.Ev (\S+)", part, re.M)) - {"AIS_"}


def test_defaults_in_the_page(srcdir, shown):
    """Where aisd.conf(5) says "The default is X", it is X."""
    text = page(srcdir, "aisd.conf.5")
    values = dict(re.findall(r"^([a-z][a-z0-9_]*) = (.*);$", shown(
        'unprivileged = true; rules = ( { peers = "*"; } );').split(
            "\nrules = ")[0], re.M))
    values["unprivileged"] = "false"
    checked = 0
    for key, body in re.findall(r"^\.It Ic ([a-z][a-z0-9_]*)\n"
                                r"(.*?)(?=^\.It Ic |^\.El|^\.Ss )", text,
                                re.M | re.S):
        said = re.search(r"[Tt]he default is (false|true|\d+)\b|"
                         r"[Tt]he default is(?: none)?\n\.(?:Ql|Pa) "
                         r"(?:\\\(dq)?([^ \\\n]+)", body)
        if key not in values or not said or values[key].startswith("["):
            continue
        assert values[key].strip('"') == (said[1] or said[2]), key
        checked += 1
    assert checked > 15
