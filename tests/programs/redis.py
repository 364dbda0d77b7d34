#!/usr/bin/python3
"""redis-server: data that outlives saving and reloading under load, with the library and without.

Database 0 holds data that is the same in every run; redis-benchmark works on database 1 meanwhile.
The digest that the server makes of database 0 must never change: not by forking to save, not by
emptying and reloading everything, not by a new start from the file, and not by the library.
"""

import contextlib
import pathlib
import random
import socket
import subprocess
import time

import harness

SEED = 8
KEYS = 8_000
START_TIMEOUT_S = 60
# While it loads, the server must let clients wait: redis-benchmark gives up where it is refused.
SERVER = ["redis-server", "--loading-process-events-interval-bytes", str(2**31 - 1),
          "--port", "0", "--unixsocket", "socket", "--save", "", "--appendonly", "no",
          "--enable-debug-command", "yes", "--logfile", "log"]
LOAD = ["redis-benchmark", "-s", "socket", "--dbnum", "1", "-q", "-n", "25000", "-r", "20000",
        "-d", "500", "-P", "8", "-c", "20", "-t",
        "set,get,incr,lpush,rpush,lpop,sadd,hset,spop,zadd,zpopmin,lrange_100,mset"]


class Client:
    """One connection; commands and replies of the Redis protocol."""

    def __init__(self, path: pathlib.Path):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(harness.TIMEOUT_S)
        self._socket.connect(str(path))
        self._file = self._socket.makefile("rb")

    def send(self, *words) -> None:
        encoded = [str(word).encode() for word in words]
        self._socket.sendall(b"*%d\r\n" % len(encoded) +
                             b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded))

    def receive(self):
        line = self._file.readline()
        if not line:
            raise harness.Failure("redis-server closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise harness.Failure(f"redis-server: {rest.decode()}")
        if kind == b"$":
            return self._file.read(int(rest) + 2)[:-2] if rest != b"-1" else None
        if kind == b"*":
            return [self.receive() for _ in range(int(rest))]
        return rest

    def call(self, *words):
        self.send(*words)
        return self.receive()


@contextlib.contextmanager
def server(side: harness.Side):
    """A server and a connection to it; at the end it is shut down in good order."""
    with side.start(SERVER) as process:
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            with contextlib.suppress(OSError):
                client = Client(side.directory / "socket")
                break
            if process.poll() is not None or time.monotonic() > deadline:
                raise harness.Failure(f"redis-server ({side.name}) does not start")
            time.sleep(0.02)
        try:
            yield client
            client.send("SHUTDOWN", "NOSAVE")
            _, errors = process.communicate(timeout=harness.TIMEOUT_S)
        except (harness.Failure, OSError, subprocess.TimeoutExpired) as failure:
            log = (side.directory / "log").read_bytes()
            raise harness.Failure(f"redis-server ({side.name}): {failure}; its log ends with\n"
                                  f"{harness.tail(log)}") from None
        side.check_errors("redis-server", errors)
        if process.returncode != 0:
            raise harness.Failure(f"redis-server ({side.name}) ends with {process.returncode}")


def commands():
    """Fills every kind of value, in small and in large encodings."""
    chance = random.Random(SEED)

    def word() -> str:
        return "v" * chance.choice((1, 8, 40, 200, 3000)) + str(chance.getrandbits(30))

    for i in range(KEYS):
        yield "SET", f"string{i}", word()
        yield "APPEND", f"string{i // 2}", word()
        yield "RPUSH", f"list{i % 300}", word(), word()
        yield "HSET", f"hash{i % 500}", word(), word()
        yield "SADD", f"set{i % 400}", i, word()
        yield "ZADD", f"sorted{i % 200}", i, word()
        yield "XADD", f"stream{i % 50}", f"{i + 1}-1", "field", word()
        if i % 3 == 0:
            yield "DEL", f"string{chance.randrange(i + 1)}"
            yield "LPOP", f"list{chance.randrange(300)}"


def fill(client: Client) -> None:
    batch = 0
    for command in commands():
        client.send(*command)
        batch += 1
        if batch == 100:
            for _ in range(batch):
                client.receive()
            batch = 0
    for _ in range(batch):
        client.receive()


def save(client: Client) -> None:
    client.call("BGSAVE")
    while True:
        info = client.call("INFO", "persistence")
        if b"rdb_bgsave_in_progress:0" in info:
            break
        time.sleep(0.02)
    if b"rdb_last_bgsave_status:ok" not in info:
        raise harness.Failure("BGSAVE failed")


def digest_of_data(client: Client) -> bytes:
    """The digest of database 0; what the load has left in database 1 is thrown away."""
    client.call("SELECT", 1)
    client.call("FLUSHDB")
    client.call("SELECT", 0)
    return client.call("DEBUG", "DIGEST")


def must_equal(before: bytes, now: bytes, what: str) -> None:
    if before != now:
        raise harness.Failure(f"{what} changed the data: {before.decode()} became {now.decode()}")


def exercise(side: harness.Side) -> bytes:
    with server(side) as client:
        fill(client)
        digest = digest_of_data(client)
        with side.start(LOAD) as load:
            cycles = 0
            while load.poll() is None:
                save(client)
                client.call("DEBUG", "RELOAD")
                cycles += 1
            if cycles < 2 or load.returncode != 0:
                said = harness.tail(load.communicate()[0])
                raise harness.Failure(f"redis-benchmark ended with {load.returncode} after "
                                      f"{cycles} reloads:\n{said}")
        must_equal(digest, digest_of_data(client), f"saving and reloading ({side.name})")
        client.call("SAVE")
    with server(side) as client:
        must_equal(digest, digest_of_data(client), f"a new start ({side.name})")
    return digest


def body(trial: harness.Harness) -> None:
    plain, preloaded = trial.both(exercise, processes=2)
    must_equal(plain, preloaded, "the library")


if __name__ == "__main__":
    harness.main(body)
