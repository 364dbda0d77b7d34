"""Runs a real program with and without the library and compares all that it leaves behind.

A test is a script that calls main(body). It is given the library's path as its first argument and
runs body(harness), in which most often harness.same(COMMAND) says all:

    COMMAND runs twice at the same time, each in an empty directory of its own, once with the
    library preloaded. The exit code, both outputs and every file left there must be equal.

A program that silently ran without the library would prove nothing. So each preloaded command must
name the library to ldd, and with libelasticpool.so (any other allocator can be given to try the
tests themselves) its processes must have left statistics with requests in them.

Exit codes: 0 the same, 1 a difference (one line, and what was said), 77 skipped.
"""

import concurrent.futures
import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

TIMEOUT_S = 600  # "did not hang"; no statement about speed
SKIPPED = 77
COMPLAINT = b"elasticpool:"
SHOWN_LINES = 15

running: set[int] = set()  # process groups that must not outlive the test


class Failure(Exception):
    """The library made a difference; the text is the line for a person."""


class Skip(Exception):
    """The test cannot run here; the text says why."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """All that one run of a command left behind."""

    code: int
    output: bytes
    errors: bytes
    files: dict[str, str]  # path → digest


class Side:
    """One of the two runs: a directory to work in and the environment to do it with."""

    def __init__(self, name: str, directory: pathlib.Path, library: pathlib.Path | None):
        self.name = name
        self.library = library
        self.directory = directory / "work"
        self.statistics = directory / "statistics"
        temporary = directory / "tmp"
        for folder in (self.directory, self.statistics, temporary):
            folder.mkdir(parents=True)
        self.statistics.chmod(0o1777)  # for processes that change their user
        self.environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(temporary),
            "TMPDIR": str(temporary),
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
        }
        if library:
            self.environment |= {
                "LD_PRELOAD": str(library),
                "MEMPOOL_STATS": "json",
                "MEMPOOL_STATS_FILE": str(self.statistics / "%p"),
            }

    @contextlib.contextmanager
    def start(self, command: list[str], *, stdin=subprocess.DEVNULL, environment=None):
        """Starts a command in the side's directory; all of it ends with the block at the latest."""
        self._check_loads(command[0])
        process = subprocess.Popen(
            command, cwd=self.directory, env=self.environment | (environment or {}), stdin=stdin,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )
        running.add(process.pid)
        try:
            yield process
        finally:
            kill_group(process.pid)
            process.communicate()
            running.discard(process.pid)

    def run(self, command: list[str], *, stdin: pathlib.Path | None = None,
            environment=None) -> Outcome:
        """Runs a command to its end and collects what it left."""
        with open(stdin or os.devnull, "rb") as source, \
                self.start(command, stdin=source, environment=environment) as process:
            try:
                output, errors = process.communicate(timeout=TIMEOUT_S)
            except subprocess.TimeoutExpired:
                raise Failure(f"{command[0]} ({self.name}) did not end in {TIMEOUT_S} s") from None
        self.check_errors(command[0], errors)
        return Outcome(process.returncode, output, errors, digests(self.directory))

    def check_errors(self, program: str, errors: bytes) -> None:
        for line in errors.splitlines():
            if line.startswith(COMPLAINT):
                raise Failure(f"{program} ({self.name}): the library said: {text(line)}")

    def check_took_effect(self, processes: int) -> None:
        """Fails unless at least so many processes report that the library served them."""
        if not self.library or not self.library.name.startswith("libelasticpool"):
            return
        reports = [json.loads(path.read_bytes()) for path in self.statistics.iterdir()]
        served = sum(1 for report in reports if report["requested"]["blocks"] > 0)
        if served < processes:
            raise Failure(f"{served} processes were served by the library, {processes} expected")

    def _check_loads(self, program: str) -> None:
        if not self.library:
            return
        path = shutil.which(program, path=self.environment["PATH"])
        if not path:
            raise Failure(f"{program} is not installed")
        listed = subprocess.run(["ldd", path], env=self.environment, capture_output=True,
                                check=False).stdout
        if os.fsencode(self.library) not in listed:
            raise Failure(f"{path} does not load {self.library.name}")


class Harness:
    """Both sides of each comparison, in directories that are gone afterwards."""

    def __init__(self, library: pathlib.Path, scratch: pathlib.Path):
        self.library = library
        self.scratch = scratch
        self._count = 0

    def need(self, program: str) -> None:
        """Skips the test where the program is not installed."""
        if not shutil.which(program, path="/usr/bin:/bin"):
            raise Skip(f"{program} is not installed")

    def both(self, action, *, processes: int = 1) -> tuple:
        """Calls action(side) for both sides at the same time; returns both results."""
        self._count += 1
        directory = self.scratch / str(self._count)
        sides = (Side("without the library", directory / "plain", None),
                 Side("with the library", directory / "preloaded", self.library))
        with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
            results = tuple(pool.map(action, sides))
        sides[1].check_took_effect(processes)
        shutil.rmtree(directory)
        return results

    def same(self, command: list[str], *, stdin: pathlib.Path | None = None, environment=None,
             processes: int = 1, succeeds: bool = True) -> Outcome:
        """Runs the command on both sides and fails at the first difference."""
        name = " ".join(" ".join(command).split())[:60]
        plain, preloaded = self.both(
            lambda side: side.run(command, stdin=stdin, environment=environment),
            processes=processes)
        if succeeds and plain.code != 0:
            raise Failure(f"{name}: fails without the library too:\n{tail(plain.errors)}")
        if plain.code != preloaded.code:
            raise Failure(f"{name}: {ending(preloaded.code)} instead of {ending(plain.code)}:\n"
                          f"{tail(preloaded.errors or preloaded.output)}")
        compare_lines(f"{name}: output", plain.output, preloaded.output)
        compare_lines(f"{name}: standard error", plain.errors, preloaded.errors)
        for path in sorted(plain.files.keys() | preloaded.files.keys()):
            if plain.files.get(path) != preloaded.files.get(path):
                raise Failure(f"{name}: leaves another {path} with the library")
        return preloaded


def ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"


def text(line: bytes) -> str:
    return line.decode(errors="backslashreplace")


def tail(said: bytes) -> str:
    return "\n".join(f"    {text(line)}" for line in said.splitlines()[-SHOWN_LINES:])


def compare_lines(what: str, plain: bytes, preloaded: bytes) -> None:
    """Fails, naming the first line that differs, unless both texts are equal."""
    if plain == preloaded:
        return
    left, right = plain.splitlines(), preloaded.splitlines()
    at = next((i for i, pair in enumerate(zip(left, right)) if pair[0] != pair[1]),
              min(len(left), len(right)))
    shown = [text(lines[at])[:200] if at < len(lines) else "(end)" for lines in (left, right)]
    raise Failure(f"{what} differs from line {at + 1}:\n"
                  f"    without: {shown[0]}\n    with:    {shown[1]}")


def digests(directory: pathlib.Path) -> dict[str, str]:
    """The digest of every file below the directory, by its path."""
    found = {}
    for path in directory.rglob("*"):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            found[str(path.relative_to(directory))] = digest
    return found


def kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def on_signal(number: int, _frame) -> None:
    for group in list(running):
        kill_group(group)
    sys.exit(128 + number)


def main(body) -> None:
    """Runs one test script."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)
    try:
        library = pathlib.Path(sys.argv[1]).resolve(strict=True)
        with tempfile.TemporaryDirectory(prefix="ep-programs-") as scratch:
            pathlib.Path(scratch).chmod(0o755)
            body(Harness(library, pathlib.Path(scratch)))
    except Skip as reason:
        print(f"skipped: {reason}")
        sys.exit(SKIPPED)
    except Failure as failure:
        print(failure)
        sys.exit(1)
