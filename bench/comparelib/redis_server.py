"""redis-server under load. Only the server is preloaded; its clients never are."""

import random
import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from .allocators import Missing
from .process import Failure, Launched, clean_environment
from .workload import Sample

SEED = 42
CLIENT_SECONDS_MAX = 300
# For a server that writes a report before it dies.
CRASH_SECONDS_MAX = 3
# Before the resident size is read: it would be unfair to look in the middle of a purge.
SETTLE_SECONDS = 1


@dataclass(frozen=True)
class Load:
    """One call of redis-benchmark: requests per test, requests in flight per client."""

    tests: str
    requests: int
    depth: int
    value_bytes: int

    def scaled(self, bench):
        # Whole pipelines: redis-benchmark sends no part of one.
        batches = max(1, bench.scaled(self.requests) // self.depth)
        return replace(self, requests=max(96, batches * self.depth))


class Benchmark:
    """Keys to start with, then redis-benchmark, whose keys are random and differ from run to run:
    only the length of its list is known beforehand."""

    def __init__(self, keys, loads):
        self._keys, self._loads = keys, loads

    def prepare(self, bench):
        """-> (operations, what puts the server under load)"""
        keys = max(100, bench.scaled(self._keys))
        loads = [load.scaled(bench) for load in self._loads]
        commands = _write_fill(bench.scratch, keys)

        def drive(address):
            send(address, commands)
            if ask(address, "DBSIZE") != f":{keys}":
                raise Failure(f"redis: the server does not hold the {keys} keys sent to it")
            for load in loads:
                options = f"-q -n {load.requests} -P {load.depth} -d {load.value_bytes} -r {keys}"
                _client(["redis-benchmark", "-s", address, "-t", load.tests, *options.split()])

        operations = keys + sum(len(load.tests.split(",")) * load.requests for load in loads)
        return operations, drive

    def result(self, address):
        """-> (checksum, details)"""
        return "mylist" + ask(address, "LLEN mylist"), {}


class Fragmentation:
    """Values of one size; half of them give way to larger ones; then most of all keys go. What the
    server then holds against what the system gave it is what fragmentation costs."""

    def __init__(self, keys):
        self._keys = keys

    def prepare(self, bench):
        keys = max(100, bench.scaled(self._keys))
        path = bench.scratch / f"redis-fragment-{keys}"
        if not path.exists():
            path.write_bytes(b"".join(fragment_commands(keys)))
        return sum(fragment_counts(keys)), lambda address: send(address, path)

    def result(self, address):
        digest = ask(address, "DEBUG DIGEST").lstrip("+")
        time.sleep(SETTLE_SECONDS)
        info = {}
        for line in ask(address, "INFO").splitlines():
            name, _, value = line.partition(":")
            info[name] = value
        used, resident = int(info["used_memory"]), resident_kib(int(info["process_id"]))
        return digest, {
            "used_memory": used,
            "used_memory_rss": int(info["used_memory_rss"]),
            "rss_kib": resident,
            "resident_per_mille": resident * 1024 * 1000 // used,
        }


def fragment_counts(keys):
    """-> (set, replaced, deleted)"""
    return keys, keys // 2, keys * 6 // 10


def fragment_commands(keys):
    """The commands in the protocol of redis, the same ones at each call."""
    generator = random.Random(SEED)
    _, replaced, deleted = fragment_counts(keys)
    for number in range(keys):
        yield encode(b"SET", b"key:%d" % number, b"a" * 200)
    for number in generator.sample(range(keys), replaced):
        yield encode(b"SET", b"key:%d" % number, b"b" * 350)
    for number in generator.sample(range(keys), deleted):
        yield encode(b"DEL", b"key:%d" % number)


def encode(*words):
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in words)


def resident_kib(process):
    with open(f"/proc/{process}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))


@dataclass(frozen=True)
class Redis:
    """redis-server under load: the clients' time, the server's memory."""

    name: str
    about: str
    session: Benchmark | Fragmentation

    def check(self, bench):
        del bench
        for tool in ("redis-server", "redis-benchmark", "redis-cli"):
            if shutil.which(tool) is None:
                raise Missing(
                    f"workload {self.name}: {tool} is not installed "
                    "(Debian packages redis-server, redis-tools)"
                )

    def run(self, bench, settings):
        """Time is the clients'; CPU time, faults and memory the server's."""
        operations, drive = self.session.prepare(bench)
        # A short path of its own: the name of a socket may have 107 bytes at most.
        with tempfile.TemporaryDirectory(prefix="compare-") as folder:
            address = f"{folder}/redis.sock"
            options = f"--port 0 --unixsocket {address} --appendonly no"
            options += " --enable-debug-command local"
            argv = ["redis-server", *options.split(), "--dir", folder, "--save", ""]
            with Launched(bench.launcher(), settings, argv) as server:
                server.wait_until(lambda: ask(address, "PING") == "+PONG")
                try:
                    start = time.monotonic()
                    drive(address)
                    seconds = time.monotonic() - start
                    checksum, details = self.session.result(address)
                except (Failure, OSError):
                    # Clients that fail may have lost their server: then its end is the reason.
                    if server.ends_within(CRASH_SECONDS_MAX):
                        server.wait(0)
                    raise
                # The reply to a shutdown is the end of the connection.
                ask(address, "SHUTDOWN NOSAVE")
                usage = server.wait(CLIENT_SECONDS_MAX)
        return Sample(replace(usage, seconds=seconds), operations, checksum, details)


def _write_fill(scratch, keys):
    """SET commands for keys as redis-benchmark names them; values of 16 to 1024 bytes."""
    path = Path(scratch) / f"redis-fill-{keys}"
    if path.exists():
        return path
    generator = random.Random(SEED)
    with open(path, "wb") as file:
        for number in range(keys):
            key = b"key:%012d" % number
            value = b"v" * int(16 * 2 ** (6 * generator.random()))
            file.write(encode(b"SET", key, value))
    return path


def ask(address, command):
    """The reply, or its first line where it is not a single string."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(CLIENT_SECONDS_MAX)
        connection.connect(address)
        connection.sendall(command.encode() + b"\r\n")
        with connection.makefile("rb") as replies:
            line = replies.readline().decode().strip()
            return replies.read(int(line[1:])).decode() if line.startswith("$") else line


def send(address, path):
    with open(path, "rb") as commands:
        _client(["redis-cli", "-s", address, "--pipe"], commands)


def _client(argv, commands=subprocess.DEVNULL):
    try:
        result = subprocess.run(
            argv,
            stdin=commands,
            capture_output=True,
            text=True,
            check=False,
            env=clean_environment(),
            timeout=CLIENT_SECONDS_MAX,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        raise Failure(f"redis: {argv[0]} did not end within {CLIENT_SECONDS_MAX} s") from None
    if result.returncode != 0:
        lines = (result.stderr or result.stdout).strip().splitlines()
        raise Failure(f'redis: {argv[0]} failed{": " + lines[-1] if lines else ""}')


TESTS = "set,get,incr,lpush,rpush,lpop,rpop,sadd,hset,zadd,mset"
# The last line replaces values by larger ones, so that the memory of the old ones has to be found
# again.
MIXED = [
    Load(TESTS, 10_000, 1, 100),
    Load(TESTS, 80_000, 16, 200),
    Load("set", 150_000, 16, 700),
]
EACH = "set,get,incr,lpush,lpop,sadd,hset,zadd,mset,lrange_100"
COMMANDS = [Load(EACH, 32_000, 16, 200), Load(EACH, 6_400, 1, 200)]

REDIS = [
    Redis(
        "redis",
        "redis-server: 200 000 keys, then redis-benchmark, pipelined and not",
        Benchmark(200_000, MIXED),
    ),
    Redis(
        "redis_commands",
        "redis-server: ten commands of redis-benchmark, lists of 100 among them",
        Benchmark(100_000, COMMANDS),
    ),
    Redis(
        "redis_fragment",
        "redis-server: fill, replace half by larger values, delete 60 %",
        Fragmentation(300_000),
    ),
]
