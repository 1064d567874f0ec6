"""Learns the preset dictionary of gateway/core/dictionary.py from typical traffic.

Run as ``python -m tests.vectors.learn_dictionary``; it prints the module's text, with
``ts`` that of web/client/src/dictionary.ts. The dictionary is part of the wire: another one needs
another feature bit.
"""

import random
import sys
import textwrap
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from typing import Any

from pycrdt import Array, Doc, Map

DICTIONARY_BYTES = 1_024
SUBSTRINGS = range(4, 49)
# Of the messages that hold a substring; what is rarer belongs to one device or one order.
LEAST_SHARE = 0.03
DISHES = ("Espresso", "Cappuccino", "Margherita", "Burger", "Fries", "Lemonade", "Water", "Salad")
CHOICES = ("no onion", "extra shot", "oat milk", "gluten free")
NOTES = ("", "", "allergic to nuts", "to table 4")
STATES = ("open", "preparing", "ready", "done")
READINGS = ("temperature", "pulse", "systolic", "diastolic", "oxygen", "weight")


def traffic(seed: int, devices: int, orders: int) -> Iterator[bytes]:
    """Updates as kiosks, kitchens and clinics make them, each device under an id of its own."""
    chance = random.Random(seed)
    for _ in range(devices):
        document: Doc[Any] = Doc(client_id=chance.getrandbits(32))
        made: list[bytes] = []
        document.observe(lambda event, made=made: made.append(event.update))
        for number in range(orders):
            _order(chance, document, number)
        _visit(chance, document)
        yield from made


def learn(messages: list[bytes], size: int) -> bytes:
    """The substrings that save most, the best last, where they cost the fewest bits."""
    counts: Counter[bytes] = Counter()
    for message in messages:
        counts.update({
            message[start : start + length]
            for length in SUBSTRINGS
            for start in range(len(message) - length + 1)
        })  # fmt: skip
    least = len(messages) * LEAST_SHARE
    worth = [(-count * (len(text) - 3), text) for text, count in counts.items() if count >= least]
    picked: list[bytes] = []
    known: set[bytes] = set()
    for _, text in sorted(worth):
        pieces = {text[start : start + 4] for start in range(len(text) - 3)}
        fits = sum(map(len, picked)) + len(text) <= size
        if fits and len(pieces - known) * 2 >= len(pieces):
            picked.append(text)
            known |= pieces
    return b"".join(reversed(picked))


def _order(chance: random.Random, document: Doc[Any], number: int) -> None:
    orders: Map[Any] = document.get("orders", type=Map)
    key = f"{chance.getrandbits(96):024x}"
    with document.transaction():
        orders[key] = Map(
            {
                "schema": float(chance.randint(1, 3)),
                "number": float(number),
                "kiosk": chance.choice("ABC"),
                "status": STATES[0],
                "lines": Array([_line(chance) for _ in range(chance.randint(1, 4))]),
                "note": chance.choice(NOTES),
                "service": chance.choice(("here", "away")),
                "total": chance.randint(300, 4_000) / 100,
                "placed": float(chance.randint(1_790_000_000_000, 1_800_000_000_000)),
            }
        )
    for state in STATES[1:]:
        orders[key]["status"] = state


def _line(chance: random.Random) -> Map[Any]:
    return Map(
        {
            "item": chance.choice(DISHES),
            "qty": float(chance.randint(1, 4)),
            "price": chance.randint(200, 1_500) / 100,
            "mods": Array(chance.choices(CHOICES, k=chance.randint(0, 2))),
        }
    )


def _visit(chance: random.Random, document: Doc[Any]) -> None:
    patients: Map[Any] = document.get("patients", type=Map)
    key = f"{chance.getrandbits(96):024x}"
    patients[key] = Map({"name": chance.choice(DISHES), "schema": 2.0, "vitals": Map()})
    for reading in READINGS:
        patients[key]["vitals"][reading] = str(chance.randint(20, 180))


def python_module(text: str) -> str:
    """gateway/core/dictionary.py."""
    lines = "\n".join(f'    "{line}"' for line in textwrap.wrap(text, 88))
    return (
        '"""The preset dictionary of DEFLATED records: part of the wire, never changed.\n\n'
        "Learned by tests/vectors/learn_dictionary.py from orders and visits of many devices.\n"
        f'"""\n\nfrom base64 import b64decode\n\nDICTIONARY = b64decode(\n{lines}\n)\n'
    )


def typescript_module(text: str) -> str:
    """web/client/src/dictionary.ts."""
    lines = " +\n".join(f"  '{line}'" for line in textwrap.wrap(text, 120))
    return (
        "// The preset dictionary of DEFLATED records: part of the wire, never changed.\n"
        "// Learned by tests/vectors/learn_dictionary.py from orders and visits of many devices.\n"
        f"const TEXT =\n{lines}\n\n"
        "export const DICTIONARY = Uint8Array.from(atob(TEXT), (letter) => letter.charCodeAt(0))\n"
    )


def main() -> None:
    """Print the module."""
    text = b64encode(learn(list(traffic(1, 60, 3)), DICTIONARY_BYTES)).decode()
    print((typescript_module if sys.argv[1:] == ["ts"] else python_module)(text), end="")


if __name__ == "__main__":
    main()
