"""Writes tests/vectors/reconcile.json: exchanges of two catalogues, payload by payload.

Run as ``python -m tests.vectors.make_reconcile``; a test fails when the file is not current.
"""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from gateway.core.reconcile import Catalogue, answer, opening

VECTORS = Path(__file__).parent / "reconcile.json"
SALT = bytes(range(8))

Documents = dict[str, bytes]


def documents(names: list[str], state: str = "") -> Documents:
    """Documents whose fingerprints follow from their names and a state."""
    return {name: sha256(f"{name} {state}".encode()).digest()[:16] for name in names}


ORDERS = [f"orders/2026-11-23-{number:06d}" for number in range(150)]
CHANGED = [ORDERS[3], ORDERS[112]]
CASES: list[tuple[str, Documents, Documents]] = [
    ("nothing on either side", {}, {}),
    ("equal", documents(ORDERS), documents(ORDERS)),
    ("one side is empty", documents(ORDERS[:20]), {}),
    ("the other side is empty", {}, documents(ORDERS[:20])),
    ("few, listed", documents(["menu/café", "menu/tea"]), documents(["menu/café", "menu/rice"])),
    ("two changed", documents(ORDERS), documents(ORDERS) | documents(CHANGED, "changed")),
    ("the last ones missing", documents(ORDERS), documents(ORDERS[:-30])),
]


def vectors() -> list[dict[str, Any]]:
    """The content of reconcile.json; the first of ``sides`` sends the first payload."""
    return [_case(name, [one, other]) for name, one, other in CASES]


def _case(name: str, sides: list[Documents]) -> dict[str, Any]:
    catalogues = [Catalogue(side.items()) for side in sides]
    payloads = [opening(catalogues[0], SALT)]
    found: list[set[str]] = [set(), set()]
    while True:
        side = len(payloads) % 2
        result = answer(catalogues[side], payloads[-1])
        found[side].update(result.differing)
        if result.reply is None:
            break
        payloads.append(result.reply)
    assert found[0] == found[1]
    return {
        "name": name,
        "sides": [{key: value.hex() for key, value in side.items()} for side in sides],
        "payloads": [payload.hex() for payload in payloads],
        "differing": sorted(found[0]),
    }


def main() -> None:
    """Write the file."""
    VECTORS.write_text(json.dumps(vectors(), indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
