# SPDX-License-Identifier: ISC
"""What TCP alone can do between two places, to compare with."""

import subprocess
import sys

# Takes all that comes, and says when it has arrived.
SINK = """
import socket, sys
with socket.create_server((sys.argv[1], 0)) as listener:
    print(listener.getsockname()[1], flush=True)
    connection, _ = listener.accept()
    while connection.recv(1 << 20):
        pass
    connection.sendall(b"x")
"""
SOURCE = """
import socket, sys, time
with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as c:
    began = time.monotonic()
    for _ in range(int(sys.argv[3])):
        c.sendall(bytes(1 << 20))
    c.shutdown(socket.SHUT_WR)
    c.recv(1)
    print(time.monotonic() - began)
"""


def tcp_seconds(near, far, address, mib):
    """How long so many MiB take to "address" of the near place; "near" and
    "far" are words to put before a program."""
    with subprocess.Popen([*near, sys.executable, "-c", SINK, address],
                          stdout=subprocess.PIPE, text=True) as sink:
        port = sink.stdout.readline().strip()
        return float(subprocess.run(
            [*far, sys.executable, "-c", SOURCE, address, port, str(mib)],
            check=True, capture_output=True, text=True).stdout)
