"""redis-server under load. Only the server is preloaded; its clients never are."""

import random
import socket
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from .process import Failure, Launched, clean_environment

KEYS = 200_000
SEED = 42
TESTS = "set,get,incr,lpush,rpush,lpop,rpop,sadd,hset,zadd,mset"
# Requests per test, requests in flight per client, bytes of a value. The last line replaces values
# by larger ones, so that the memory of the old ones has to be found again.
LOADS = [
    (TESTS, 10_000, 1, 100),
    (TESTS, 80_000, 16, 200),
    ("set", 150_000, 16, 700),
]
CLIENT_SECONDS_MAX = 300
START_SECONDS_MAX = 30
# For a server that writes a report before it dies.
CRASH_SECONDS_MAX = 3


def run_redis(bench, settings):
    """-> (usage, operations). Time is the clients'; CPU time, faults and memory the server's."""
    keys = max(100, KEYS * bench.scale_percent // 100)
    loads = [
        (tests, max(100, requests * bench.scale_percent // 100), depth, size)
        for tests, requests, depth, size in LOADS
    ]
    commands = _write_fill(bench.scratch, keys)
    # A short path of its own: the name of a socket may have 107 bytes at most.
    with tempfile.TemporaryDirectory(prefix="compare-") as folder:
        address = f"{folder}/redis.sock"
        server_command = f"redis-server --port 0 --unixsocket {address} --appendonly no"
        argv = [*server_command.split(), "--dir", folder, "--save", ""]
        with Launched(bench.launcher(), settings, argv) as server:
            _wait_until_ready(server, address)
            start = time.monotonic()
            try:
                _put_under_load(address, commands, keys, loads)
            except (Failure, OSError):
                # Clients that fail may have lost their server: then its end is the reason.
                if server.ends_within(CRASH_SECONDS_MAX):
                    server.wait(0)
                raise
            seconds = time.monotonic() - start
            # The reply to a shutdown is the end of the connection.
            _ask(address, "SHUTDOWN NOSAVE")
            usage = server.wait(CLIENT_SECONDS_MAX)
    operations = keys + sum(len(tests.split(",")) * requests for tests, requests, _, _ in loads)
    return replace(usage, seconds=seconds), operations


def _put_under_load(address, commands, keys, loads):
    with open(commands, "rb") as fill:
        _client(["redis-cli", "-s", address, "--pipe"], fill)
    if _ask(address, "DBSIZE") != f":{keys}":
        raise Failure(f"redis: the server does not hold the {keys} keys sent to it")
    for tests, requests, depth, size in loads:
        options = f"-q -t {tests} -n {requests} -P {depth} -d {size} -r {keys}"
        _client(["redis-benchmark", "-s", address, *options.split()])


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
            file.write(
                b"*3\r\n$3\r\nSET\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n"
                % (len(key), key, len(value), value)
            )
    return path


def _ask(address, command):
    """The first line of the reply."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(CLIENT_SECONDS_MAX)
        connection.connect(address)
        connection.sendall(command.encode() + b"\r\n")
        with connection.makefile("rb") as replies:
            return replies.readline().decode().strip()


def _wait_until_ready(server, address):
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        if server.ends_within(0):
            server.wait(START_SECONDS_MAX)
            raise Failure("redis: the server ended at once")
        try:
            if _ask(address, "PING") == "+PONG":
                return
        except OSError:
            pass
        time.sleep(0.01)
    raise Failure(f"redis: the server did not answer within {START_SECONDS_MAX} s")


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
