"""Dictionaries and strings: words are counted, indexed, grouped, sorted, and given up again."""

import hashlib
import random
import sys

WORDS = 360_000
ROUNDS = 3


def words(generator, count):
    for _ in range(count):
        yield "w" + hex(int(60_000 * generator.random() ** 3)) + "-" * generator.randrange(8)


def count_and_group(all_words):
    counts, index = {}, {}
    for position, word in enumerate(all_words):
        counts[word] = counts.get(word, 0) + 1
        index.setdefault(word[:4], {}).setdefault(word, []).append(position)
    return counts, index


def main():
    scale_percent = int(sys.argv[1].removeprefix("--scale="))
    count = max(100, WORDS // ROUNDS * scale_percent // 100)
    generator = random.Random(42)
    checksum = hashlib.sha256()
    for _ in range(ROUNDS):
        counts, index = count_and_group(words(generator, count))
        most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:1000]
        checksum.update(repr(most).encode())
        for prefix in sorted(index):
            text = ",".join(f"{word}:{sum(index[prefix][word])}" for word in sorted(index[prefix]))
            checksum.update(text.upper().encode())
    print(f"checksum={checksum.hexdigest()[:16]} operations={count * ROUNDS}")


main()
