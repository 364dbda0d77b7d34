#!/usr/bin/python3
"""sort: two threads, a buffer far smaller than the data, and merging from temporary files."""

import random

import harness

LINES = 1_000_000
SEED = 1


def body(trial: harness.Harness) -> None:
    chance = random.Random(SEED)
    data = trial.scratch / "lines"
    data.write_text("".join(f"{chance.getrandbits(60):x} {i}\n" for i in range(LINES)))
    sort = ["sort", "--parallel=2", "--buffer-size=16M"]
    trial.same([*sort, "--output=sorted", str(data)])
    trial.same([*sort, "--key=2,2n", "--unique", "--output=sorted", str(data)])


if __name__ == "__main__":
    harness.main(body)
