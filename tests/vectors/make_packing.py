"""Writes tests/vectors/packing.json: messages, and one deflated form of each.

Run as ``python -m tests.vectors.make_packing``. A writer may deflate as it likes, so readers are
held to the file and writers to what readers make of theirs.
"""

import json
from pathlib import Path

from gateway.core.dictionary import DICTIONARY
from gateway.core.packing import pack
from tests.vectors.learn_dictionary import traffic

VECTORS = Path(__file__).parent / "packing.json"
SEED = 2


def main() -> None:
    """Write the file."""
    messages = [b"\x05\x09\x01abc", bytes(1_000), *list(traffic(SEED, 1, 2))]
    cases = [{"plain": message.hex(), "packed": pack(message).hex()} for message in messages]
    vectors = {"dictionary": DICTIONARY.hex(), "cases": cases}
    VECTORS.write_text(json.dumps(vectors, indent=1) + "\n")


if __name__ == "__main__":
    main()
