"""Random edits of a Yjs document: text, maps, arrays, types inside types."""

import random
from collections.abc import Callable

from pycrdt import Array, Doc, Map, Text

WORDS = (
    "soup",
    "ä",
    "🍔",
    "x",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "  ",
    "a longer piece of text",
)
MOST_TEXT = 400


def edit(chance: random.Random, doc: Doc, operations: int) -> None:
    """So many random operations in one transaction."""
    with doc.transaction():
        for _ in range(operations):
            chance.choice(_EDITS)(chance, doc)


def _text(chance: random.Random, doc: Doc) -> None:
    text = doc.get("text", type=Text)
    _write(chance, text)


def _write(chance: random.Random, text: Text) -> None:
    length = len(text)
    if length > MOST_TEXT or (length and chance.random() < 0.4):
        # Positions are bytes of UTF-8; whole characters only.
        characters = str(text)
        at = chance.randrange(len(characters))
        end = min(len(characters), at + chance.randint(1, 6 if length < MOST_TEXT else 60))
        start_byte = len(characters[:at].encode())
        del text[start_byte : start_byte + len(characters[at:end].encode())]
    else:
        characters = str(text)
        at = len(characters[: chance.randint(0, len(characters))].encode())
        text.insert(at, chance.choice(WORDS))


def _map(chance: random.Random, doc: Doc) -> None:
    fields = doc.get("fields", type=Map)
    key = chance.choice(("station", "n", "status", "note", "nested"))
    if key in fields and chance.random() < 0.15:
        del fields[key]
    elif key == "station":
        fields[key] = chance.choice(("grill", "bar"))
    elif key == "n":
        fields[key] = chance.randrange(100)
    elif key == "nested":
        fields[key] = {"list": [1, None, "x"], "deep": {"er": chance.random()}}
    else:
        fields[key] = chance.choice(WORDS) * chance.choice((1, 1, 1, 40))


def _array(chance: random.Random, doc: Doc) -> None:
    items = doc.get("items", type=Array)
    if len(items) > 40 or (len(items) and chance.random() < 0.4):
        del items[chance.randrange(len(items))]
    else:
        value = chance.choice((1, "x", None, True, 2.5, {"a": [1]}, "ä🍔"))
        items.insert(chance.randint(0, len(items)), value)


def _nested(chance: random.Random, doc: Doc) -> None:
    lines = doc.get("lines", type=Array)
    if len(lines) > 12 or (len(lines) and chance.random() < 0.2):
        del lines[chance.randrange(len(lines))]
    elif not len(lines) or chance.random() < 0.3:
        lines.append(Map({"what": Text("tea"), "extras": Array([1])}))
    else:
        line = lines[chance.randrange(len(lines))]
        if chance.random() < 0.5:
            _write(chance, line["what"])
        else:
            line["extras"].append(chance.randrange(9))
            if len(line["extras"]) > 8:
                del line["extras"][0:4]


_EDITS: tuple[Callable[[random.Random, Doc], None], ...] = (
    _text,
    _text,
    _map,
    _map,
    _array,
    _nested,
)
