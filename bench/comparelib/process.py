"""One program under bench/workloads/launch.c: started, waited for, and what it used."""

import os
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass

START_SECONDS_MAX = 30


class Failure(Exception):
    """A run did not end as it should; the text is one line for a person."""


@dataclass(frozen=True)
class Usage:
    seconds: float
    cpu_seconds: float
    peak_rss_kib: int
    minor_faults: int


def parse_words(text):
    """'a=1 b=2' -> {'a': '1', 'b': '2'}; words without '=' are left out."""
    return dict(word.split("=", 1) for word in text.split() if "=" in word)


def clean_environment():
    return {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}


class Launched:
    """A running program. Leaving the with block kills it if it still runs, whatever happened."""

    def __init__(self, launcher, settings, argv):
        self.name = os.path.basename(argv[0])
        self._output = tempfile.TemporaryFile("w+")
        self._errors = tempfile.TemporaryFile("w+")
        reader, writer = os.pipe()
        self._report = os.fdopen(reader)
        try:
            # A session of its own: Ctrl-C reaches us alone, and we stop what we started.
            self._process = subprocess.Popen(
                [launcher, str(writer), *settings, "--", *argv],
                pass_fds=[writer],
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=self._errors,
                env=clean_environment(),
                start_new_session=True,
            )
        finally:
            os.close(writer)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for file in (self._report, self._output, self._errors):
            file.close()

    def ends_within(self, seconds):
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def wait_until(self, is_ready):
        """Waits for a server; is_ready() may raise OSError as long as nobody listens."""
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline:
            if self.ends_within(0):
                self.wait(START_SECONDS_MAX)
                raise Failure(f"{self.name}: the server ended at once")
            try:
                if is_ready():
                    return
            except OSError:
                pass
            time.sleep(0.01)
        raise Failure(f"{self.name}: the server did not answer within {START_SECONDS_MAX} s")

    def output(self):
        self._output.seek(0)
        return self._output.read()

    def wait(self, timeout_seconds):
        """Waits for a good end."""
        try:
            self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name}: did not end within {timeout_seconds} s") from None
        words = parse_words(self._report.read())
        if "wall_us" not in words:
            raise Failure(f"{self.name}: the launcher failed{self._last_error()}")
        if words["signal"] != "0":
            name = signal.Signals(int(words["signal"])).name
            raise Failure(f"{self.name}: killed by {name}{self._last_error()}")
        if words["status"] != "0":
            raise Failure(f'{self.name}: exit status {words["status"]}{self._last_error()}')
        return Usage(
            int(words["wall_us"]) / 1e6,
            int(words["cpu_us"]) / 1e6,
            int(words["peak_rss_kib"]),
            int(words["minor_faults"]),
        )

    def _last_error(self):
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines()
        return f": {lines[-1]}" if lines else ""
