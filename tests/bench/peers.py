# SPDX-License-Identifier: ISC
"""Who is measured: how each is set up, started and called.

A peer is a server and its client.  Its client's words for a workload come from
client(), None where it cannot do that; note() says what else differs.
"""

import os
import shutil
import subprocess

import measure
from place import BUILDDIR, DAEMON, COMMANDS, LOGIN, free_port, program

# What the commands of the workloads are.
WORDS = {
    "cold": ["true"],
    "warm": ["true"],
    "echo": ["cat"],
    "lines": ["seq", "1000000"],
    "buffered": ["stdbuf", "-oL", "seq", "200000"],
    "download": ["head", "-c", "{size}", "/dev/zero"],
    "upload": ["sh", "-c", "cat >/dev/null"],
}
LINES = {name: " ".join(words) for name, words in WORDS.items()}
LINES["upload"] = "cat >/dev/null"
# Where all servers look for them, in the order of aisd.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NAMES = {"true", "cat", "seq", "head", "sh", "stdbuf"}


class Missing(Exception):
    """A peer cannot be had here; the text says why."""


def need(*names):
    """The paths of programs, all of which have to be there."""
    found = [program(name) for name in names]
    absent = [name for name, path in zip(names, found) if not path]
    if absent:
        raise Missing("not installed: " + ", ".join(absent))
    return found


class Peer:
    """What all of them have in common."""

    name = ""
    reference = "floor"
    remark = ""
    workloads = tuple(WORDS)

    def __init__(self, place, size):
        self.place = place
        self.size = str(size)
        self.port = free_port()
        self.ports = [self.port]
        self.servers = []       # Words of processes that stay in front.
        self.processes = []
        self.environment = {**os.environ, "PATH": PATH}
        self.log = str(place.path / f"{self.name}.log")
        self.errors = str(place.path / f"{self.name}.errors")
        self.prepare()

    def prepare(self):
        """Write configurations; Missing if it cannot be."""

    def client(self, workload):
        """The words of a client that runs a workload's command."""
        raise NotImplementedError

    def warm(self, count):
        """(words, standard input) of "count" commands on one session, or
        None."""
        del count

    def words(self, workload):
        """The words of a workload's command."""
        return [word.replace("{size}", self.size) for word in WORDS[workload]]

    def line(self, workload):
        """The same for a shell."""
        return LINES[workload].replace("{size}", self.size)

    def does(self, workload):
        return workload in self.workloads

    def start(self):
        """Start it, and wait until it listens."""
        with open(self.log, "ab") as log:
            for words in self.servers:
                self.processes.append(subprocess.Popen(
                    words, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    env=self.environment, start_new_session=True))
        for port in self.ports:
            try:
                measure.wait_until(lambda p=port: measure.listening(p),
                                   "it does not listen")
            except measure.Failure as e:
                raise measure.Failure(
                    f"{e}: {measure.last_line(self.log)}")

    def run(self, words, stdin=measure.NULL):
        """Run one of its clients; see measure.run()."""
        return measure.run(words, stdin, self.environment, self.errors)

    def stop(self):
        """End what has been started."""
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes = []

    @property
    def pids(self):
        return [process.pid for process in self.processes]

    def memory(self):
        """Resident MiB of the server, commands left out."""
        return measure.memory(self.pids, NAMES)


class Floor(Peer):
    name = "floor"
    remark = "the yardstick: no rules, no log, no limits, one user"
    options = []

    def prepare(self):
        path = str(BUILDDIR / "tests" / "bench" / "floor")
        self.base = [path, *self.options, "-p", str(self.port), "-d",
                     str(self.place.path)]
        self.servers = [[*self.base, "serve"]]

    def client(self, workload):
        return [*self.base, "run", *self.words(workload)]

    def warm(self, count):
        return [*self.base, "-n", str(count), "warm",
                *self.words("warm")], measure.NULL


class TunedFloor(Floor):
    name = "floor-tuned"
    remark = "the yardstick with large buffers, for bulk"
    reference = "floor-tuned"
    options = ["-t"]
    workloads = ("download", "upload")


class Aisd(Peer):
    name = "aisd"
    reference = "floor"

    RULES = """rules = (
	{ name = "monitoring"; peers = [ "nagios-*" ]; commands = (
	    "/usr/bin/uptime", { name = "disk"; program = "/bin/df";
	    arguments = ( "-h", { one_of = [ "/", "/srv" ]; } ); } ); },
	{ name = "operators"; peers = [ "alice", "bob" ]; anything = true; },
	{ name = "bench"; peers = [ "bench" ]; anything = true;
	    time_limit = "1 h"; output_limit = "64 GiB"; cpu_limit = "1 h";
	    process_limit = 4096; open_files = 4096; }
);
"""

    def prepare(self):
        place, where = self.place, f"{self.name}.d"
        (place.path / where).mkdir()
        place.own(where, DAEMON)
        for name in ("server.pem", "server.key", "ca.pem"):
            shutil.copy(place.path / name, place.path / where / name)
        (place.path / where / "server.key").chmod(0o600)
        place.own(f"{where}/server.key", DAEMON)
        self.record = place.path / where / "server.log"
        self.conf = place.write(f"{self.name}.conf", self.configuration(where))
        place.own(f"{self.name}.conf", DAEMON)
        self.servers = [[str(BUILDDIR / "aisd"), "-c", self.conf]]
        client = place.write("aisc.conf", "")
        self.base = [str(BUILDDIR / "aisc"), "-F", client,
                     "--ca", f"{place.path}/ca.pem",
                     "--cert", f"{place.path}/client.pem",
                     "--key", f"{place.path}/client.key",
                     "-p", str(self.port), "127.0.0.1"]
        self.remark = "rules, limits, deadlines, records to a file" + (
            " and the journal, commands as another user" if place.private
            else "; everything as one user")

    def configuration(self, where):
        files = self.place.path / where
        users = f'user = "{DAEMON}";\ncommand_user = "{COMMANDS}";\n' \
            'log_system = "journal";\ndirectory = "/";\n' \
            if self.place.private \
            else 'unprivileged = true;\nlog_system = "none";\n'
        return f"""listen = [ "127.0.0.1:{self.port}" ];
certificate = "{files}/server.pem";
key = "{files}/server.key";
authority = "{files}/ca.pem";
log_file = "{self.record}";
{users}{self.RULES}"""

    def client(self, workload):
        return [*self.base, *self.words(workload)]

    def memory(self):
        """It is one process; what it forks is about to be another."""
        return measure.resident(self.pids[0])[1]

    def warm(self, count):
        return self.base, self.place.write(
            f"script-{count}", (self.line("warm") + "\n") * count)


def ssh_keys(place):
    """A key that may log in; the path of its private half."""
    ssh, keygen = need("ssh", "ssh-keygen")
    key = place.path / "id"
    if not key.exists():
        for name in ("id", "host"):
            subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f",
                            str(place.path / name)], check=True)
        home = place.path / "home" / ".ssh"
        home.mkdir(mode=0o700)
        shutil.copy(f"{key}.pub", home / "authorized_keys")
        for name in ("home", "home/.ssh", "home/.ssh/authorized_keys"):
            place.own(name, LOGIN)
    return ssh, str(key)


class OpenSSH(Peer):
    name = "openssh"
    remark = "sshd without PAM; the command goes through /bin/sh"
    workloads = tuple(set(WORDS) - {"warm"})

    def prepare(self):
        place = self.place
        sshd, = need("sshd")
        ssh, key = ssh_keys(place)
        config = place.write("sshd_config", f"""Port {self.port}
ListenAddress 127.0.0.1
HostKey {place.path}/host
AuthorizedKeysFile {place.path}/home/.ssh/authorized_keys
StrictModes no
PermitRootLogin yes
PasswordAuthentication no
UsePAM no
PidFile none
""")
        if not place.private:
            self.remark = self.remark.replace("/bin/sh", "the user's shell")
            if os.geteuid() == 0 and not os.path.isdir("/run/sshd"):
                raise Missing("sshd of root needs the directory /run/sshd")
        self.servers = [[sshd, "-D", "-e", "-f", config]]
        self.options = [
            ssh, "-F", "none", "-i", key, "-o", "IdentitiesOnly=yes",
            "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=accept-new",
            "-o", f"UserKnownHostsFile={place.path}/known-{self.name}",
            "-o", "LogLevel=ERROR", "-p", str(self.port)]
        self.target = f"{place.user}@127.0.0.1"

    def client(self, workload):
        return [*self.options, self.target, self.line(workload)]


class SharedSSH(OpenSSH):
    name = "openssh-shared"
    remark = "one connection kept by a ControlMaster, an ssh for each command"
    workloads = ("warm",)
    each = True                 # One client for one command.

    def prepare(self):
        super().prepare()
        self.socket = str(self.place.path / "master")

    def start(self):
        super().start()
        self.processes.append(subprocess.Popen(
            [*self.options, "-M", "-N", "-S", self.socket, self.target],
            stdin=subprocess.DEVNULL, start_new_session=True))
        measure.wait_until(lambda: os.path.exists(self.socket),
                           "no connection of a ControlMaster")

    def client(self, workload):
        return [self.options[0], "-F", "none", "-S", self.socket, self.target,
                self.line(workload)]


class LibSSH(OpenSSH):
    name = "openssh-libssh"
    remark = "a program with libssh, one connection"
    workloads = ("warm",)

    def prepare(self):
        super().prepare()
        self.driver = BUILDDIR / "tests" / "bench" / "warm-ssh"
        if not self.driver.exists():
            raise Missing("not built: install libssh-dev, and run configure "
                          "again")

    def warm(self, count):
        return [str(self.driver), str(self.port), self.place.user,
                str(self.place.path / "id"), str(count),
                self.line("warm")], measure.NULL


class Dropbear(Peer):
    name = "dropbear"
    remark = "its client is dbclient; the command goes through /bin/sh"
    workloads = tuple(set(WORDS) - {"warm"})

    def prepare(self):
        place = self.place
        server, client, convert, keygen = need(
            "dropbear", "dbclient", "dropbearconvert", "dropbearkey")
        if not place.private:
            raise Missing("needs root, and a namespace of mounts")
        _, key = ssh_keys(place)
        ours, host = f"{place.path}/dropbear", f"{place.path}/dropbear-host"
        for words in ([convert, "openssh", "dropbear", key, ours],
                      [keygen, "-t", "ed25519", "-f", host]):
            subprocess.run(words, check=True, capture_output=True)
        self.environment["HOME"] = str(place.path)
        self.servers = [[server, "-F", "-E", "-s", "-r", host, "-P",
                         f"{place.path}/dropbear.pid", "-p",
                         f"127.0.0.1:{self.port}"]]
        self.base = [client, "-y", "-y", "-i", ours, "-p", str(self.port),
                     f"{LOGIN}@127.0.0.1"]

    def client(self, workload):
        return [*self.base, self.line(workload)]


class Fixed(Peer):
    """One port for one command, as those have it who know no commands."""

    workloads = ("cold", "echo", "lines", "buffered", "download", "upload")

    def prepare(self):
        self.socat, = need("socat")
        self.each_port = {name: free_port() for name in self.workloads}
        self.ports = list(self.each_port.values())

    def tls(self, who):
        path = self.place.path
        return f"cert={path}/{who}.both.pem,cafile={path}/ca.pem,verify=1," \
            "nodelay"

    def client(self, workload):
        return [self.socat, "-t", "30", "-",
                f"OPENSSL:127.0.0.1:{self.each_port[workload]},"
                f"{self.tls('client')}"]

    def script(self, workload):
        """A program without arguments that is a workload's command."""
        return self.place.write(f"{self.name}-{workload}",
                                f"#!/bin/sh\nexec {self.line(workload)}\n",
                                0o755)


class Socat(Fixed):
    name = "socat"
    remark = "one fixed command a port, no exit status"

    def prepare(self):
        super().prepare()
        self.servers = [
            [self.socat, "-t", "30",
             f"OPENSSL-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork,"
             f"{self.tls('server')}",
             f"SYSTEM:{self.line(workload)}" if workload == "upload" else
             f"EXEC:{self.line(workload)}"]
            for workload, port in self.each_port.items()]

    def memory(self):
        """One of the servers, which are copies of one another."""
        others = sum(measure.memory([pid]) for pid in self.pids) * (
            1 - 1 / len(self.pids))
        return super().memory() - others


class Stunnel(Fixed):
    name = "stunnel"
    remark = "one fixed command a port, no exit status; its client is socat"

    def prepare(self):
        super().prepare()
        stunnel, = need("stunnel4")
        path = self.place.path
        text = f"foreground = yes\npid =\ndebug = 3\n" \
            f"cert = {path}/server.pem\nkey = {path}/server.key\n" \
            f"CAfile = {path}/ca.pem\nverifyChain = yes\n" \
            "socket = a:TCP_NODELAY=1\nsocket = l:TCP_NODELAY=1\n" \
            "socket = r:TCP_NODELAY=1\n"
        for workload, port in self.each_port.items():
            words = self.words(workload)
            if workload == "upload":
                words = [self.script(workload)]
            text += f"[{workload}]\naccept = 127.0.0.1:{port}\n" \
                f"exec = {program(words[0])}\nexecArgs = {' '.join(words)}\n"
        self.servers = [[stunnel, self.place.write("stunnel.conf", text)]]


class NRPE(Peer):
    name = "NRPE"
    remark = "answers one command with its output, at the end"
    workloads = ("cold",)

    def prepare(self):
        place = self.place
        nrpe, self.check = need("nrpe", "check_nrpe")
        if not place.private:
            raise Missing("needs root, and a namespace of mounts")
        path = place.path / "nrpe"
        path.mkdir()
        for name in ("server.pem", "server.key", "ca.pem"):
            shutil.copy(place.path / name, path / name)
            place.own(f"nrpe/{name}", DAEMON)
        conf = place.write("nrpe.cfg", f"""server_address=127.0.0.1
server_port={self.port}
allowed_hosts=127.0.0.1
nrpe_user={DAEMON}
nrpe_group={DAEMON}
pid_file=/run/nrpe.pid
dont_blame_nrpe=0
ssl_version=TLSv1.2+
ssl_cacert_file={path}/ca.pem
ssl_cert_file={path}/server.pem
ssl_privatekey_file={path}/server.key
ssl_client_certs=2
command[true]=/bin/echo ok
""")
        self.servers = [[nrpe, "-c", conf, "-f"]]

    def client(self, workload):
        path = self.place.path
        return [self.check, "-H", "127.0.0.1", "-p", str(self.port),
                "-C", f"{path}/client.pem", "-K", f"{path}/client.key",
                "-A", f"{path}/ca.pem", "-S", "TLSv1.2+", "-c", "true"]


class Remctl(Peer):
    """remctld, and a key distribution center of our own, which is not
    measured: the tickets are there before."""

    name = "remctl"
    remark = "Kerberos, with tickets in a cache; no input in pieces"
    workloads = ("cold", "warm", "lines", "buffered", "download")
    realm = "BENCH.TEST"

    def prepare(self):
        server, client, kdc, create, admin, self.kinit = need(
            "remctld", "remctl", "krb5kdc", "kdb5_util", "kadmin.local",
            "kinit")
        self.driver = BUILDDIR / "tests" / "bench" / "warm-remctl"
        if not self.driver.exists():
            raise Missing("not built: install libremctl-dev, and run "
                          "configure again")
        where = self.place.path / "krb5"
        where.mkdir()
        self.keytab = where / "keytab"
        self.ports.append(free_port())
        self.principal = f"host/localhost@{self.realm}"
        self.kerberos(where, self.ports[1])
        for words in ([create, "create", "-s", "-r", self.realm, "-P", "x"],
                      *([admin, "-r", self.realm, *action, name]
                        for name in ("host/localhost", "bench")
                        for action in (["addprinc", "-randkey"],
                                       ["ktadd", "-k", str(self.keytab)]))):
            subprocess.run(words, env=self.environment, check=True,
                           capture_output=True)
        commands = "".join(f"bench {name} {self.script(name)} anyuser:auth\n"
                           for name in self.workloads)
        self.servers = [
            [kdc, "-n", "-r", self.realm, "-P", f"{where}/kdc.pid"],
            [server, "-m", "-F", "-b", "127.0.0.1", "-p", str(self.port),
             "-f", self.place.write("remctl.conf", commands),
             "-k", str(self.keytab), "-s", self.principal,
             "-P", f"{where}/remctld.pid"]]
        self.base = [client, "-p", str(self.port), "-s", self.principal,
                     "127.0.0.1", "bench"]

    def kerberos(self, where, port):
        """The files of Kerberos, all of them below "where"."""
        self.environment.update(
            KRB5_CONFIG=self.place.write("krb5/krb5.conf", f"""[libdefaults]
default_realm = {self.realm}
dns_lookup_kdc = false
dns_lookup_realm = false
dns_canonicalize_hostname = false
rdns = false
[realms]
{self.realm} = {{
	kdc = 127.0.0.1:{port}
}}
[domain_realm]
localhost = {self.realm}
"""),
            KRB5_KDC_PROFILE=self.place.write("krb5/kdc.conf", f"""[kdcdefaults]
kdc_listen = 127.0.0.1:{port}
kdc_tcp_listen = 127.0.0.1:{port}
[realms]
{self.realm} = {{
	database_name = {where}/principal
	key_stash_file = {where}/stash
	acl_file = {where}/acl
}}
"""),
            KRB5CCNAME=f"FILE:{where}/tickets",
            KRB5RCACHENAME=f"file2:{where}/replays")

    def script(self, workload):
        """The program of a command: remctl gives it the command's name."""
        if workload in ("cold", "warm"):
            return program("true")
        return self.place.write(f"krb5/{workload}",
                                f"#!/bin/sh\nexec {self.line(workload)}\n",
                                0o755)

    def start(self):
        super().start()
        for words in ([self.kinit, "-k", "-t", str(self.keytab), "bench"],
                      self.client("cold")):
            subprocess.run(words, env=self.environment, check=True,
                           capture_output=True)

    def client(self, workload):
        return [*self.base, workload]

    def warm(self, count):
        return [str(self.driver), str(self.port), self.principal, str(count),
                "bench", "warm"], measure.NULL

    @property
    def pids(self):
        return super().pids[1:]


ALL = [Floor, TunedFloor, Aisd, OpenSSH, SharedSSH, LibSSH, Dropbear, Socat,
       Stunnel, NRPE, Remctl]
