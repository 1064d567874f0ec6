"""Writes tests/vectors/segments.json: two sides of a link, segment by segment.

Run as ``python -m tests.vectors.make_segments``; a test fails when the file is not current.
"""

import json
import random
from pathlib import Path
from typing import Any

from gateway.core.segments import Segments

VECTORS = Path(__file__).parent / "segments.json"
# Segment size, the sizes of what the two sides say before they hear anything, and the turns in
# which they move, before they write.
CASES: list[tuple[str, int, list[int], list[int], tuple[int, int] | None]] = [
    ("a status change", 512, [61], [], None),
    ("the smallest segments, beyond the window both ways", 20, [900, 1, 18], [400], None),
    ("a message that just fits, and one that does not", 182, [179, 180, 181], [], None),
    ("a length of two octets", 512, [4_000], [300, 300], None),
    ("a move at once", 182, [300], [200], (0, 1)),
    ("a move in the middle of messages of both sides", 20, [18, 900, 5], [700, 7], (2, 3)),
    ("a move when all was said", 244, [500], [500], (2, 3)),
]
# What ends a link: segments that are taken, then one that is not, and the code.
REFUSED: list[tuple[str, list[str], int]] = [
    ("nothing", [""], 4400),
    ("MOVED with more behind it", ["8001"], 4400),
    ("MOVED, and no message to come again", ["a0"], 4400),
    ("MOVED in a message that is not to come again", ["200461", "81"], 4400),
    ("MOVED with credits", ["c001"], 4400),
    ("a message after MOVED", ["80", "210161"], 4400),
    ("MOVED twice", ["80", "81"], 4400),
    ("MOVED out of order", ["81"], 4400),
    ("nothing in it", ["00"], 4400),
    ("not the next sequence", ["0164617461"], 4400),
    ("no message is open", ["0064617461"], 4400),
    ("a beginning without data", ["2004"], 4400),
    ("a length of nothing", ["2000"], 4400),
    ("more than the message holds", ["20046d6f7265207468616e"], 4400),
    ("a length that is not in its shortest form", ["208400"], 4400),
    ("a beginning inside a message", ["200461", "210461"], 4400),
    ("a sequence again", ["200461", "006161"], 4400),
    ("credits that are missing", ["40"], 4400),
    ("no credits", ["4000"], 4400),
    ("credits for nothing", ["4001"], 4400),
    ("too large by one", ["20d1801061"], 1009),
]


def vectors() -> dict[str, Any]:
    """The content of segments.json; the sides write by turns all they can, ``first`` first.

    ``rest``: what had not gone whole when they moved.
    """
    refused = [{"name": n, "segments": s, "code": code} for n, s, code in REFUSED]
    return {"links": [_link(*case) for case in CASES], "refused": refused}


def _link(
    name: str, size: int, up: list[int], down: list[int], moves: tuple[int, int] | None
) -> dict[str, Any]:
    chance = random.Random(name)
    messages = [[chance.randbytes(length) for length in lengths] for lengths in (up, down)]
    sides = [Segments(size), Segments(size)]
    for side, said in zip(sides, messages, strict=True):
        for message in said:
            side.send(message)
    turns: list[list[str]] = []
    rest: list[list[bytes]] = [[], []]
    while not turns or any(turns[-2:]):
        number = len(turns) % 2
        sender, receiver = sides[number], sides[1 - number]
        if moves is not None and len(turns) == moves[number]:
            rest[number] = sender.move()
        written = _drained(sender)
        for segment in written:
            receiver.receive(segment, 0.0)
        turns.append([segment.hex() for segment in written])
    return {
        "name": name,
        "segment_bytes": size,
        "first": [message.hex() for message in messages[0]],
        "second": [message.hex() for message in messages[1]],
        "moves": moves and list(moves),
        "rest": [[message.hex() for message in side] for side in rest],
        "turns": turns,
    }


def _drained(side: Segments) -> list[bytes]:
    return list(iter(lambda: side.next_segment(0.0), None))


def main() -> None:
    """Write the file."""
    VECTORS.write_text(json.dumps(vectors(), indent=1) + "\n")


if __name__ == "__main__":
    main()
