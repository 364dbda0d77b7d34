"""Documents of nested lists and dictionaries: built, written as JSON, read again, compared."""

import hashlib
import json
import random
import sys

DOCUMENTS = 90


def document(generator, number):
    return {
        "id": number,
        "users": [
            {
                "name": f"user {generator.randrange(10**6)}",
                "score": generator.random(),
                "groups": [f"group {generator.randrange(50)}" for _ in range(5)],
                "address": {"street": "x" * generator.randrange(40), "zip": str(number)},
                "active": generator.random() < 0.5,
                "parent": None,
            }
            for _ in range(1200)
        ],
    }


def main():
    scale_percent = int(sys.argv[1].removeprefix("--scale="))
    documents = max(1, DOCUMENTS * scale_percent // 100)
    generator = random.Random(42)
    checksum = hashlib.sha256()
    kept = []
    for number in range(documents):
        original = document(generator, number)
        text = json.dumps(original, indent=number % 3 or None)
        again = json.loads(text)
        assert again == original
        checksum.update(text.encode())
        kept.append(again)
        if len(kept) > 10:
            kept.pop(generator.randrange(10))
    print(f"checksum={checksum.hexdigest()[:16]} operations={documents}")


main()
