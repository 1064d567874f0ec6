"""Random edits of three peers, delivered in any order, twice, with restarts: all agree.

The peers are pycrdt documents; what they show is the oracle for the projection too.
"""

import random
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pycrdt
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.document import Document, merge
from gateway.core.fingerprint import read_state_vector
from tests.core.facts import facts_of

EXAMPLES = 120
WORDS = ("a", "bc", "🙂x", "dé", "hello ")
VALUES: tuple[Any, ...] = (1, 2.5, None, True, b"\x01", "s", [1, {"k": 2}], {"z": []})


class Peer:
    """A tablet with one root of each kind."""

    def __init__(self, client: int) -> None:
        self.doc: pycrdt.Doc = pycrdt.Doc(client_id=client)
        self.updates: list[bytes] = []
        self.doc.observe(lambda event: self.updates.append(event.update))
        self.map = self.doc.get("map", type=pycrdt.Map)
        self.list = self.doc.get("list", type=pycrdt.Array)
        self.text = self.doc.get("text", type=pycrdt.Text)
        self.xml = self.doc.get("xml", type=pycrdt.XmlFragment)

    def edit(self, dice: random.Random) -> None:
        """One random edit."""
        dice.choice((self.edit_map, self.edit_list, self.edit_text, self.edit_xml))(dice)

    def edit_map(self, dice: random.Random) -> None:
        key, kind = dice.choice("abc"), dice.randrange(6)
        held = self.map.get(key)
        if kind == 0 and held is not None:
            del self.map[key]
        elif kind == 1:
            self.map[key] = pycrdt.Map({"n": dice.randrange(9)})
        elif kind == 2:
            self.map[key] = pycrdt.Array([1, 2])
        elif isinstance(held, pycrdt.Map):
            held["q"] = dice.randrange(99)
        elif isinstance(held, pycrdt.Array):
            held.append(dice.randrange(5))
        else:
            self.map[key] = dice.choice(VALUES)

    def edit_list(self, dice: random.Random) -> None:
        if len(self.list) and dice.random() < 0.4:
            del self.list[dice.randrange(len(self.list))]
        else:
            item = dice.choice((1, "z", pycrdt.Map({"i": 1}), pycrdt.Text("tt")))
            self.list.insert(dice.randrange(len(self.list) + 1), item)

    def edit_text(self, dice: random.Random) -> None:
        text = str(self.text)
        start = dice.randrange(len(text) + 1)
        end = min(len(text), start + 1 + dice.randrange(4))
        first, last = len(text[:start].encode()), len(text[:end].encode())
        if start == end or dice.random() < 0.6:
            self.text.insert(first, dice.choice(WORDS))
        elif dice.random() < 0.6:
            del self.text[first:last]
        else:
            self.text.format(first, last, {dice.choice("bi"): dice.choice((True, None, "x"))})

    def edit_xml(self, dice: random.Random) -> None:
        count = len(self.xml.children)
        if count > 3 or (count and dice.random() < 0.4):
            del self.xml.children[dice.randrange(count)]
        else:
            child = pycrdt.XmlElement("p", {"c": "1"}, [pycrdt.XmlText("hi")])
            self.xml.children.insert(dice.randrange(count + 1), child)

    def shows(self) -> dict[str, Any]:
        """What the library shows, in the form of the projection."""
        roots = {
            "list": plain(self.list) or None,
            "map": plain(self.map) or None,
            "text": plain(self.text) or None,
            "xml": {"$xml": str(self.xml)} if len(self.xml.children) else None,
        }
        return {name: value for name, value in roots.items() if value is not None}


def plain(value: Any) -> Any:
    """A value of pycrdt in the form of the projection."""
    if isinstance(value, pycrdt.Text):
        return runs(value)
    if isinstance(value, pycrdt.Map):
        return {key: plain(value[key]) for key in value.keys()}  # noqa: SIM118
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, pycrdt.Array)):
        return [plain(item) for item in value]
    if isinstance(value, (bytes, bytearray)):
        return {"$bytes": b64encode(value).decode()}
    return int(value) if isinstance(value, float) and value.is_integer() else value


def runs(text: pycrdt.Text) -> Any:
    """A text as a string or as runs with attributes."""
    joined: list[list[Any]] = []
    for part, given_marks in text.diff():
        marks = {key: mark for key, mark in (given_marks or {}).items() if mark is not None}
        if joined and joined[-1][1] == marks:
            joined[-1][0] += part
        else:
            joined.append([part, marks])
    if not any(marks for _, marks in joined):
        return "".join(part for part, _ in joined)
    operations = [{"insert": part, "attributes": marks} for part, marks in joined]
    return {"$text": [{k: v for k, v in operation.items() if v} for operation in operations]}


def history(dice: random.Random) -> tuple[list[bytes], Peer]:
    """What three peers who sometimes meet wrote, and one of them once they all agree."""
    peers = [Peer(client) for client in (dice.choice((10, 2**32)), 20, 2**53 - 1)]
    log: list[bytes] = []
    for _ in range(dice.randrange(5, 40)):
        peer, other = dice.choice(peers), dice.choice(peers)
        peer.edit(dice)
        if dice.random() < 0.3:
            other.doc.apply_update(peer.doc.get_update(other.doc.get_state()))
        for each in peers:
            log += each.updates
            each.updates.clear()
    for update in log:
        peers[0].doc.apply_update(update)
    return log, peers[0]


def deliveries(dice: random.Random, log: list[bytes]) -> Iterator[list[bytes]]:
    """The log shuffled, with repetitions and merged pieces with gaps, in batches."""
    updates = log * dice.randrange(1, 3)
    dice.shuffle(updates)
    for start in range(0, len(log), 7):
        piece = dice.sample(log, min(3, len(log)))
        updates.insert(dice.randrange(len(updates)), merge(piece) if start % 2 else log[start])
    while updates:
        count = dice.randrange(1, 6)
        yield updates[:count]
        del updates[:count]


@settings(max_examples=EXAMPLES, derandomize=True, deadline=None)
@given(st.integers(0, 2**32))
def test_all_agree_whatever_happens_on_the_way(seed: int) -> None:
    dice = random.Random(seed)
    log, peer = history(dice)
    document, snapshot, stored = Document("tests/one"), b"", list[bytes]()
    relayed: pycrdt.Doc = pycrdt.Doc()
    for batch in deliveries(dice, log):
        waiting = document.early
        applied = document.apply([(update, facts_of(update)) for update in batch])
        assert applied.overflow == ()
        if applied.delta:
            stored.append(applied.delta)
            relayed.apply_update(applied.delta)
        stored += [batch[i] for i in applied.early if batch[i] not in waiting]
        assert document.clocks == read_state_vector(relayed.get_state())[0]
        if dice.random() < 0.2:
            if dice.random() < 0.5:
                snapshot, stored = document.snapshot(), list(document.early)
            again = Document.load("tests/one", snapshot, stored)
            assert (again.clocks, again.fingerprint()) == (document.clocks, document.fingerprint())
            assert set(again.early) == set(document.early)
            document = again
    whole = Document.load("tests/one", peer.doc.get_update(), ())
    from_relays = Document.load("tests/one", relayed.get_update(), ())
    assert document.early == ()
    assert document.clocks == whole.clocks == from_relays.clocks
    assert document.fingerprint() == whole.fingerprint() == from_relays.fingerprint()
    assert document.project() == whole.project() == from_relays.project() == peer.shows()
