#!/usr/bin/python3
"""git: a generated history repacked by two threads, collected, cloned and checked."""

import random

import harness

COMMITS = 400
FILES = 150
SEED = 6
# Which delta goes with which object depends on the threads' timing, so packs differ from run to run
# and only what is in them is compared.
SCRIPT = """
git init --quiet --bare repository.git
cd repository.git
git config pack.threads 2
git fast-import --quiet < "$0"
git repack -a -d -f --quiet --depth=50 --window=20
git fsck --full --strict --no-progress
git cat-file --batch-all-objects --batch-check | sort
git log --all --stat --format=%H%n%an%n%B | sha256sum
git repack -a -d -f --quiet --write-bitmap-index
git gc --quiet --prune=now
git clone --quiet --no-local . ../clone
git -C ../clone fsck --full --no-progress
git -C ../clone blame file7 | sha256sum
git -C ../clone grep -c 9f | sort
rm -rf ../repository.git ../clone/.git
"""


def history(chance: random.Random) -> str:
    """A stream for git fast-import: each commit changes a few lines of a few files."""
    files = {f"file{i}": [f"{chance.getrandbits(64):x}" for _ in range(200)] for i in range(FILES)}
    stream = []
    for commit in range(COMMITS):
        stream.append(f"commit refs/heads/master\ncommitter A U Thor <author@example.com> "
                      f"{1_700_000_000 + commit} +0000\ndata 9\nchange {commit % 100:02}\n")
        for name in chance.sample(sorted(files), 8) if commit else files:
            lines = files[name]
            for _ in range(5):
                lines[chance.randrange(len(lines))] = f"{chance.getrandbits(64):x}"
            content = "\n".join(lines) + "\n"
            stream.append(f"M 644 inline {name}\ndata {len(content)}\n{content}\n")
    return "".join(stream)


def body(trial: harness.Harness) -> None:
    stream = trial.scratch / "stream"
    stream.write_text(history(random.Random(SEED)))
    identity = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}
    trial.same(["bash", "-euc", SCRIPT, str(stream)], environment=identity, processes=15)


if __name__ == "__main__":
    harness.main(body)
