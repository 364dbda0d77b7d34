#!/usr/bin/python3
"""xz: blocks compressed and decompressed by two threads."""

import random

import harness

BYTES = 6 << 20
SEED = 2
# Compresses, decompresses and checks; the block size makes enough blocks for both threads.
SCRIPT = """
xz -T2 -2 --block-size=2MiB --stdout > data.xz
xz -T2 --decompress --stdout data.xz > data
xz --list data.xz
xz -T2 -6 --block-size=4MiB --stdout data | xz --test
"""


def body(trial: harness.Harness) -> None:
    chance = random.Random(SEED)
    words = [chance.randbytes(chance.randint(2, 12)) for _ in range(5000)]
    data = trial.scratch / "data"
    with data.open("wb") as file:
        while file.tell() < BYTES:
            file.write(b" ".join(chance.choices(words, k=10_000)))
    trial.same(["sh", "-ec", SCRIPT], stdin=data, processes=4)


if __name__ == "__main__":
    harness.main(body)
