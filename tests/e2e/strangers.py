"""Connections that prove nothing, and how busy a process is with them."""

import os
import socket
import ssl
import time

import pytest

import wire


def tcp(daemon, source="127.0.0.1"):
    """A connection that has said nothing, from this address."""
    return socket.create_connection(("127.0.0.1", daemon.port), 10,
                                    (source, 0))


def half_hello(daemon, source="127.0.0.1"):
    """One that has sent half of what begins TLS."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = wire.context(False).wrap_bio(incoming, outgoing,
                                       server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    hello = outgoing.read()
    raw = tcp(daemon, source)
    raw.sendall(hello[:len(hello) // 2])
    return raw


def cpu(pid):
    """Seconds of processor time that a process has used."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def check_idle(pid, seconds=1.0):
    """It does not spin."""
    before = cpu(pid)
    time.sleep(seconds)         # This much time, and not an event.
    assert cpu(pid) - before < 0.05 * seconds
