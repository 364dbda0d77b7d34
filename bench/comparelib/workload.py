"""What every workload is made of, and the plainest one: a program of ours."""

from dataclasses import dataclass, field
from pathlib import Path

from .allocators import Missing
from .process import Failure, Launched, Usage, parse_words

RUN_SECONDS_MAX = 600


@dataclass(frozen=True)
class Bench:
    """Where things lie and how much is done."""

    programs: Path
    scratch: Path
    scale_percent: int = 100
    # Of what programs sleep; less in a trial only.
    waits_percent: int = 100

    def launcher(self):
        return str(self.programs / "launch")

    def scaled(self, count):
        return max(1, count * self.scale_percent // 100)


@dataclass(frozen=True)
class Sample:
    """What one run gave. The checksum has to be the same under every allocator."""

    usage: Usage
    operations: int
    checksum: str = ""
    details: dict = field(default_factory=dict)


def run_scaled(name, bench, settings, argv):
    """Runs what takes --scale=PERCENT and prints checksum=... operations=... and more words."""
    argv = [*argv, f"--scale={bench.scale_percent}"]
    with Launched(bench.launcher(), settings, argv) as launched:
        usage = launched.wait(RUN_SECONDS_MAX)
        words = parse_words(launched.output())
    if "checksum" not in words or "operations" not in words:
        raise Failure(f"{name}: printed no checksum")
    checksum, operations = words.pop("checksum"), int(words.pop("operations"))
    details = {name: int(value) for name, value in words.items() if value.isdigit()}
    return Sample(usage, operations, checksum, details)


@dataclass(frozen=True)
class Program:
    """A program of ours: all its work counts, from start to end. {scratch} is a folder for it."""

    name: str
    about: str
    argv: tuple

    def check(self, bench):
        if not (bench.programs / self.argv[0]).is_file():
            raise Missing(f"workload {self.name}: {bench.programs / self.argv[0]} is not built")

    def run(self, bench, settings):
        arguments = [word.replace("{scratch}", str(bench.scratch)) for word in self.argv[1:]]
        return run_scaled(
            self.name, bench, settings, [str(bench.programs / self.argv[0]), *arguments]
        )
