# SPDX-License-Identifier: ISC
"""Other users' rights by sudo, as the fixed words of a rule."""

import pytest

# What systemd does with the service; test_service.py shows how it works.
pytestmark = pytest.mark.same("build")

SUDOERS = "/etc/sudoers.d/aisd-test"
RULES = """{
  name = "root"; peers = [ "alice" ];
  commands = (
    { name = "whoami-root"; program = "/usr/bin/sudo"; no_new_privs = %s;
      arguments = ( "-n", "/usr/bin/id", { one_of = [ "-un", "-u" ]; } ); },
    { name = "status"; program = "/usr/bin/grep";
      arguments = ( "-E", "^(Cap|NoNewPrivs|Seccomp:)",
        "/proc/self/status" ); }
  );
}"""


@pytest.fixture
def sudo(service, srcdir):
    """The service with the drop-in that is shipped, and a line of sudoers."""
    box = service.box
    if box.run("test", "-x", "/usr/bin/sudo", check=False).returncode:
        pytest.skip("there is no sudo")
    box.path(SUDOERS).write_text(
        "aisd-run ALL=(root) NOPASSWD: /usr/bin/id\n")
    box.run("chmod", "0440", SUDOERS)
    service.drop_in((srcdir / "systemd/setuid.conf.example").read_text(),
                    "setuid")
    yield service
    box.run("rm", "-f", SUDOERS)


def test_sudo_where_all_three_agree(sudo):
    """The instance, the rule and the unit allow it: it works, as written."""
    sudo.configure(rules=RULES % "false", allow_setuid=True)
    sudo.start()
    client = sudo.client()
    assert client.run(["whoami-root", "-un"]).stdout == b"root\n"
    assert client.run(["whoami-root", "-G"]).refused
    assert client.run(["sudo", "id"]).refused
    # A command that does not need it is as closed as ever.
    status = dict(line.split(":\t") for line in
                  client.run(["status"]).stdout.decode().splitlines())
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(status[name], 16) == 0, name


@pytest.mark.parametrize("instance, waived", [(False, "false"),
                                              (True, "true")])
def test_sudo_where_one_does_not(sudo, instance, waived):
    sudo.configure(rules=RULES % waived, allow_setuid=instance)
    sudo.start()
    result = sudo.client().run(["whoami-root", "-un"])
    assert result.status != 0 and result.stdout == b""
    assert b"no new privileges" in result.stderr
