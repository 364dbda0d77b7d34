"""memcached under load: items of random sizes, set and got in pipelines by a client of ours.

Not a server of databases: postgres refuses to run as root, and as another user it may not read the
library that is to be preloaded, of which the dynamic linker would say nothing to us.
"""

import hashlib
import os
import random
import shutil
import socket
import tempfile
import threading
import time
from dataclasses import dataclass, replace

from .allocators import Missing
from .process import Failure, Launched
from .workload import Sample

SEED = 42
CLIENTS = 4
COMMANDS = 60_000
PASSES = 4
KEYS = 10_000
BATCH = 100
VALUE_BYTES_MAX = 1000
SECONDS_MAX = 120
# The answer to `mn`: all that came before is answered too.
LAST = b"MN\r\n"


def batches(client, commands):
    """Requests of one client, which alone uses its keys, so that the answers are known. A batch and
    its answers are smaller than the buffers of a socket: nobody waits for the other to read."""
    generator = random.Random(SEED * 1000 + client)
    for start in range(0, commands, BATCH):
        lines = []
        for _ in range(min(BATCH, commands - start)):
            key = b"client%d:%d" % (client, int(KEYS * generator.random() ** 2))
            if generator.random() < 0.4:
                size = int(VALUE_BYTES_MAX ** generator.random())
                value = bytes([97 + generator.randrange(26)]) * size
                lines.append(b"set %b 0 0 %d\r\n%b\r\n" % (key, size, value))
            else:
                lines.append(b"get %b\r\n" % key)
        yield b"".join(lines) + b"mn\r\n"


class Client(threading.Thread):
    """One connection; its requests are made before the time counts."""

    def __init__(self, number, commands):
        super().__init__()
        self._requests = list(batches(number, commands))
        self._hash = hashlib.sha256()
        self.address = self.checksum = self.problem = None

    def run(self):
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(SECONDS_MAX)
                connection.connect(self.address)
                for request in self._requests * PASSES:
                    connection.sendall(request)
                    self._read_answers(connection)
            self.checksum = self._hash.hexdigest()
        except OSError as problem:
            self.problem = problem

    def _read_answers(self, connection):
        answers = b""
        while not answers.endswith(LAST):
            some = connection.recv(1 << 16)
            if not some:
                raise ConnectionError("the server closed a connection")
            answers += some
        self._hash.update(answers)


@dataclass(frozen=True)
class Memcached:
    """The clients' time, the server's memory."""

    name: str
    about: str

    def check(self, bench):
        del bench
        if shutil.which("memcached") is None:
            raise Missing(
                f"workload {self.name}: memcached is not installed (Debian package memcached)"
            )

    def run(self, bench, settings):
        commands = bench.scaled(COMMANDS)
        clients = [Client(number, commands) for number in range(CLIENTS)]
        with tempfile.TemporaryDirectory(prefix="compare-") as folder:
            address = f"{folder}/memcached.sock"
            # -A: it may be told to end.
            argv = ["memcached", *f"-A -t 2 -m 256 -s {address}".split()]
            argv += ["-u", "root"] if os.geteuid() == 0 else []
            with Launched(bench.launcher(), settings, argv) as server:
                server.wait_until(lambda: _listens(address))
                start = time.monotonic()
                for client in clients:
                    client.address = address
                    client.start()
                for client in clients:
                    client.join()
                seconds = time.monotonic() - start
                problem = next((client.problem for client in clients if client.problem), None)
                if problem is None:
                    _shut_down(address)
                elif not server.ends_within(1):
                    raise Failure(f"memcached: {problem}")
                usage = server.wait(SECONDS_MAX)
        checksum = hashlib.sha256("".join(client.checksum for client in clients).encode())
        return Sample(
            replace(usage, seconds=seconds), commands * PASSES * CLIENTS, checksum.hexdigest()[:16]
        )


def _listens(address):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
    return True


def _shut_down(address):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        connection.sendall(b"shutdown\r\n")
        connection.settimeout(SECONDS_MAX)
        connection.recv(100)
