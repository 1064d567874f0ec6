"""Genuine histories to mutate: those Yjs made (corpus/golden.json) and some of pycrdt."""

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pycrdt import Array, Doc, Map, Text, XmlElement, XmlFragment, XmlText, merge_updates

CORPUS = Path(__file__).parent / "corpus"
MADE_BY_PYCRDT = 12


@dataclass(frozen=True, slots=True)
class History:
    """Updates that build on each other in this order, and other forms of the same content."""

    name: str
    updates: tuple[bytes, ...]
    others: tuple[bytes, ...]

    def base(self, position: int) -> bytes:
        """The first updates as one; b"" for none."""
        return merge_updates(*self.updates[:position]) if position else b""


@dataclass(frozen=True, slots=True)
class Malformed:
    """A case that broke the library unguarded: applied to ``base``, followed by ``then``."""

    name: str
    base: bytes
    update: bytes
    then: bytes


def histories() -> tuple[History, ...]:
    """All histories, always the same."""
    golden = json.loads((CORPUS / "golden.json").read_text())
    made = (written_by_pycrdt(seed) for seed in range(MADE_BY_PYCRDT))
    return (*(_history(entry) for entry in golden), *made)


def malformed() -> tuple[Malformed, ...]:
    """The cases of corpus/malformed.json."""
    cases = json.loads((CORPUS / "malformed.json").read_text())
    fields = ("base", "update", "then")
    return tuple(
        Malformed(case["id"], *(bytes.fromhex(case[field]) for field in fields)) for case in cases
    )


def parsed(text: str) -> tuple[History, ...]:
    """The histories in what make_golden.mjs prints."""
    return tuple(_history(entry) for entry in json.loads(text))


def written_by_pycrdt(seed: int, steps: int = 16) -> History:
    """A history of two authors who use every shared type of pycrdt."""
    chance = random.Random(seed)
    authors: list[Doc] = [Doc(client_id=chance.randrange(2**53)) for _ in range(2)]
    updates: list[bytes] = []
    subscriptions = [
        author.observe(lambda event: updates.append(event.update)) for author in authors
    ]
    seen = [0, 0]
    for _ in range(steps):
        number = chance.randrange(2)
        author = authors[number]
        if chance.random() < 0.6:
            for update in list(updates[seen[number] :]):
                # What comes in is emitted again, which repeats it, as peers do.
                author.apply_update(update)
            seen[number] = len(updates)
        _edit(author, chance)
    for author, subscription in zip(authors, subscriptions, strict=True):
        author.unobserve(subscription)
    whole = [author.get_update() for author in authors]
    others = (*whole, merge_updates(*whole), merge_updates(*updates[len(updates) // 2 :]))
    return History(f"pycrdt-{seed}", tuple(updates), others)


def _history(entry: dict[str, Any]) -> History:
    others = (entry["whole"], *entry["others"])
    return History(
        entry["name"],
        tuple(bytes.fromhex(update) for update in entry["updates"]),
        tuple(bytes.fromhex(update) for update in others),
    )


def _edit(doc: Doc, chance: random.Random) -> None:
    words = chance.choice(["a", "Tisch 7", "grüße", "👩‍🍳", "x" * 40])
    orders, lines = doc.get("orders", type=Map), doc.get("lines", type=Array)
    notes, page = doc.get("notes", type=Text), doc.get("page", type=XmlFragment)
    at = chance.randint(0, len(notes))
    match chance.randrange(10):
        case 0:
            orders[chance.choice("abc")] = chance.choice([1, 2.5, None, True, words, {"k": [1]}])
        case 1:
            orders[chance.choice("abc")] = Map({"status": words, "lines": Array([1, words])})
        case 2:
            lines.insert(chance.randint(0, len(lines)), chance.choice([7, words, [1, 2]]))
        case 3 if len(lines) > 1:
            del lines[chance.randrange(len(lines))]
        case 4 if len(notes) > 8:
            notes.format(0, 4, {"bold": chance.choice([True, None])})
        case 5:
            notes.insert_embed(at, {"image": words})
        case 6:
            page.children.append(XmlElement("p", {"class": "c"}, [XmlText(words)]))
        case 7 if "a" in orders:
            del orders["a"]
        case 8:
            title = doc.get("title", type=Text)
            title.insert(len(title), words)
        case _:
            # pycrdt counts bytes here, and lets an edit go through the middle of a character;
            # what it then writes names itself as its neighbour. So: ASCII only.
            notes.insert(at, "Tisch 7")
