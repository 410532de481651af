# SPDX-License-Identifier: ISC
"""A TPM of software, and keys that it does not give away.

    tpm = Tpm(directory)                # Stops with stop().
    key = tpm.key("handle")             # A URI for a store of OpenSSL.
    request = tpm.request(key, "alice") # What ais-ca signs.
    env = tpm.env                       # With the provider tpm2 active.

It takes one connection at a time, as no TPM of hardware does: who holds one,
such as a running aisd, has it for himself.
"""

import os
import pathlib
import shutil
import subprocess
import tempfile

from aisd import wait_until

NEEDED = ("swtpm", "tpm2_createprimary", "openssl")
MODULES = subprocess.run(["openssl", "version", "-m"], capture_output=True,
                         text=True).stdout.partition('"')[2].rstrip('"\n')
CONFIGURATION = """\
openssl_conf = openssl_init
[openssl_init]
providers = providers
[providers]
default = active
tpm2 = active
[active]
activate = 1
"""


def missing():
    """What is not installed, or ""."""
    lacks = [name for name in NEEDED if shutil.which(name) is None]
    if not os.path.exists(os.path.join(MODULES, "tpm2.so")):
        lacks.append("tpm2-openssl")
    return ", ".join(lacks)


class Tpm:
    def __init__(self):
        # The path of a socket is short.
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="ais-tpm-"))
        self.socket = self.directory / "s"
        self.handles = iter(range(0x81000001, 0x81000100))
        self.conf = self.directory / "openssl.cnf"
        self.conf.write_text(CONFIGURATION)
        where = f"swtpm:path={self.socket}"
        self.env = {"OPENSSL_CONF": str(self.conf),
                    "TPM2OPENSSL_TCTI": where, "TSS2_LOG": "all+NONE"}
        self.process = subprocess.Popen(
            ["swtpm", "socket", "--tpm2", "--tpmstate",
             f"dir={self.directory}", "--server",
             f"type=unixio,path={self.socket}", "--ctrl",
             f"type=unixio,path={self.socket}.ctrl", "--flags",
             "not-need-init,startup-clear"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        wait_until(self.socket.exists, "the TPM listens")
        self._tool("createprimary", "-C", "o", "-G", "ecc", "-c", "primary")

    def stop(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.directory)

    def _run(self, *words):
        # The tools use OpenSSL, which is not to use the TPM for them.
        env = self.env if words[0] == "openssl" else \
            {"TPM2TOOLS_TCTI": self.env["TPM2OPENSSL_TCTI"]}
        done = subprocess.run(
            [str(word) for word in words], cwd=self.directory,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
        assert done.returncode == 0, (words, done.stderr)

    def _tool(self, name, *words):
        self._run("tpm2_" + name, "-Q", *words)
        # Nobody tidies up its three places for objects.
        self._run("tpm2_flushcontext", "-Q", "-t")

    def key(self, kind, algorithm="ecc:ecdsa-sha256", uses="sign", pin=None):
        """Make a key that cannot be taken out, and return its URI: of the
        kind "handle" or "object"."""
        handle = f"{next(self.handles):#x}"
        self._tool("create", "-C", "primary", "-G", algorithm,
                   "-u", "public", "-r", "private", "-a",
                   "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|" +
                   uses, *(["-p", pin] if pin else []))
        self._run("tpm2_load", "-Q", "-C", "primary", "-u", "public",
                  "-r", "private", "-c", "key")
        self._tool("evictcontrol", "-C", "o", "-c", "key", "-o",
                   f"object-{handle}", handle)
        return f"handle:{handle}" if kind == "handle" else \
            f"object:{self.directory}/object-{handle}"

    def request(self, key, name):
        """A certificate request for "key"; its path."""
        path = self.directory / f"{name}.csr"
        self._run("openssl", "req", "-new", "-key", key, "-propquery",
                  "?tpm2.signature=yes", "-subj", f"/CN={name}", "-out", path)
        return path
