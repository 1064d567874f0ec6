"""The document: one application a turn, deltas, early updates, forged ones, failures."""

import gc
import random
import weakref
from collections.abc import Callable
from typing import Any

import pycrdt
import pytest

from gateway.core import crdt
from gateway.core.crdt import MANY_KEYS, MERGED_AT_ONCE, Replica
from gateway.core.document import Applied, Document, DocumentBroken, merge
from gateway.core.early import MAX_EARLY_BYTES
from gateway.core.fingerprint import read_state_vector
from gateway.core.guard import Span, UpdateFacts
from gateway.core.selector import fields_of
from tests.core.edits import Author, facts
from tests.core.facts import apply, document_of, facts_of

NAME = "tests/one"


def edits(client: int, *steps: Callable[[pycrdt.Map], Any], start: bytes = b"") -> list[bytes]:
    """One update per step on a root map."""
    doc: pycrdt.Doc = pycrdt.Doc(client_id=client)
    root, updates = doc.get("map", type=pycrdt.Map), list[bytes]()
    if start:
        doc.apply_update(start)
    doc.observe(lambda event: updates.append(event.update))
    for step in steps:
        step(root)
    return updates


def put(key: str, value: Any) -> Callable[[pycrdt.Map], None]:
    return lambda root: root.update({key: value})


def drop(key: str) -> Callable[[pycrdt.Map], Any]:
    return lambda root: root.pop(key)


ONE, TWO, THREE = edits(5, put("a", 1), put("b", 2), put("a", 3))
MADE, DELETED = edits(5, put("a", 1), drop("a"))


def test_an_update_comes_back_as_the_delta() -> None:
    document = Document(NAME)
    assert apply(document, ONE) == Applied(ONE, ())
    assert document.project() == {"map": {"a": 1}}
    assert document.clocks == {5: 1}
    assert document.state_vector() == bytes((1, 5, 1))


def test_a_known_update_changes_nothing() -> None:
    document = document_of([MADE, DELETED])
    for update in (MADE, DELETED, merge([MADE, DELETED])):
        assert apply(document, update) == Applied(b"", ())


def test_a_batch_is_one_delta() -> None:
    document = Document(NAME)
    applied = apply(document, ONE, TWO, THREE, ONE)
    assert applied.early == ()
    again = Replica(NAME, applied.delta)
    assert again.clocks() == {5: 3}
    assert document_of([ONE, TWO, THREE]).fingerprint() == document.fingerprint()


def test_an_empty_batch_and_an_empty_update() -> None:
    assert Document(NAME).apply([]) == Applied(b"", ())
    assert apply(Document(NAME), b"\x00\x00") == Applied(b"", ())


def test_early_updates_wait_and_come_out_when_their_cause_arrives() -> None:
    document = Document(NAME)
    assert apply(document, THREE) == Applied(b"", (0,))
    assert apply(document, TWO, THREE) == Applied(b"", (0, 1))
    assert document.early == (THREE, TWO)
    assert document.clocks == {}
    assert document.diff(b"\x00") == b"\x00\x00"
    applied = apply(document, ONE)
    assert applied.early == ()
    assert not document.early
    assert document.project() == {"map": {"a": 3, "b": 2}}
    assert Replica(NAME, applied.delta).clocks() == {5: 3}


def test_early_within_a_batch_is_not_early() -> None:
    assert apply(Document(NAME), THREE, TWO, ONE).early == ()


def test_a_deletion_of_the_unseen_waits() -> None:
    document = Document(NAME)
    assert apply(document, DELETED) == Applied(b"", (0,))
    applied = apply(document, MADE)
    assert document.project() == {}
    assert not document.early
    assert Document.load(NAME, applied.delta, ()).fingerprint() == document.fingerprint()


def test_the_ready_part_of_an_early_update_is_integrated_now() -> None:
    """A diff with a gap, as a peer sends it that waits for something itself."""
    first, second, third = edits(5, put("a", 1), put("b", 2), put("c", 3))
    document = Document(NAME)
    gap = merge([first, third])
    applied = apply(document, gap)
    assert applied == Applied(first, (0,))
    assert document.early == (gap,)
    assert document.project() == {"map": {"a": 1}}
    assert apply(document, second).early == ()
    assert not document.early
    assert document.project() == {"map": {"a": 1, "b": 2, "c": 3}}


def test_an_early_update_covered_by_another_is_let_go() -> None:
    document = document_of([THREE])
    apply(document, merge([ONE, TWO, THREE]))
    assert not document.early


def test_a_clock_in_a_needed_client_counts() -> None:
    first = edits(5, put("a", 1))[0]
    second = edits(6, put("a", 2), start=first)[0]
    document = Document(NAME)
    assert apply(document, second).early == (0,)
    assert apply(document, first).early == ()
    assert document.project() == {"map": {"a": 2}}
    assert Document(NAME).apply([(second, facts_of(second)), (first, facts_of(first))]).early == ()


def test_what_does_not_fit_overflows_and_is_not_kept() -> None:
    large = edits(5, put("a", 0), put("a", "x" * (MAX_EARLY_BYTES // 2)))[1]
    other = edits(6, put("a", 0), put("a", "x" * (MAX_EARLY_BYTES // 2)))[1]
    document = Document(NAME)
    assert apply(document, large, other) == Applied(b"", (0,), (1,))
    assert document.early == (large,)


def test_a_partly_known_update_is_trimmed() -> None:
    document = document_of([ONE])
    applied = apply(document, merge([ONE, TWO, THREE]))
    assert document.clocks == {5: 3}
    assert Replica(NAME, merge([ONE, applied.delta])).clocks() == {5: 3}


def test_a_struct_known_in_part_is_cut() -> None:
    doc: pycrdt.Doc = pycrdt.Doc(client_id=5)
    text = doc.get("t", type=pycrdt.Text)
    text += "abc"
    short = doc.get_update()
    text += "def"
    document = document_of([short, doc.get_update()])
    assert document.project() == {"t": "abcdef"}
    assert document.clocks == {5: 6}
    backwards = Document(NAME)
    second = merge([doc.get_update(read) for read in [bytes((1, 5, 2))]])
    assert apply(backwards, second).early == (0,)
    apply(backwards, short)
    assert backwards.project() == {"t": "abcdef"}


def test_a_forged_repetition_changes_nothing_known() -> None:
    """The same client and clocks with other content: a library panic when shown whole."""
    forged = edits(5, put("z", "forged"), put("y", "forged"), put("x", 1))
    document = document_of([ONE, TWO])
    before = document.fingerprint()
    assert apply(document, forged[0]) == Applied(b"", ())
    assert apply(document, merge(forged[:2])) == Applied(b"", ())
    assert document.fingerprint() == before
    apply(document, merge(forged))
    assert document.project() == {"map": {"a": 1, "b": 2, "x": 1}}
    assert document.snapshot()


def test_structs_that_need_each_other_break_the_document() -> None:
    """Client 1 builds on client 2 and the reverse; the library would hide both."""
    circle = bytes.fromhex(
        "02" + "010200" + "84010001" + "61" + "010100" + "84020001" + "62" + "00"
    )
    document = Document(NAME)
    with pytest.raises(DocumentBroken) as broken:
        apply(document, circle)
    assert broken.value.name == NAME
    assert broken.value.code == "document-broken"


def test_the_offender_is_found_one_by_one() -> None:
    """A parent that is no shared type is refused by the library itself."""
    offender = edits(6, put("q", 1))[0].replace(b"\x28\x01\x03map\x01q", b"\x28\x00\x05\x00\x01q")
    with pytest.raises(DocumentBroken):
        apply(document_of([ONE]), TWO, offender)
    document = document_of([ONE])
    apply(document, TWO)
    with pytest.raises(DocumentBroken) as broken:
        apply(document, offender)
    assert isinstance(broken.value.cause, RuntimeError)
    assert Document.load(NAME, b"", [ONE, TWO]).clocks == {5: 2}


def forged_early() -> bytes:
    """Early until client 5 is known, and then refused by the library."""
    return edits(6, put("q", 1))[0].replace(b"\x28\x01\x03map\x01q", b"\x28\x00\x05\x00\x01q")


def test_a_forged_early_update_does_not_harm_who_brings_its_cause() -> None:
    document = Document(NAME)
    assert apply(document, forged_early()).early == (0,)
    applied = apply(document, ONE)
    assert applied == Applied(ONE, ())
    assert document.clocks == {5: 1}
    assert not document.early
    apply(document, TWO)
    assert document.project() == {"map": {"a": 1, "b": 2}}
    again = Document.load(NAME, b"", [forged_early(), ONE, TWO])
    assert again.fingerprint() == document.fingerprint()
    assert again.clocks == document.clocks
    assert (again.forgotten, document.forgotten) == ((forged_early(),), ())


def test_loading_around_a_forged_early_update() -> None:
    """What waits for more goes on waiting, what waited for what comes later comes out."""
    lone = edits(7, put("n", 1), put("m", 1))[1]
    stored = [forged_early(), THREE, lone, ONE, TWO]
    document = Document.load(NAME, b"", stored)
    assert document.project() == {"map": {"a": 3, "b": 2}}
    assert document.clocks == {5: 3}
    assert document.early == (lone,)
    assert document.forgotten == (forged_early(),)


def test_a_deletion_with_known_structs_counts() -> None:
    document = document_of([MADE])
    both = MADE[:-1] + DELETED[1:]
    assert apply(document, both).delta
    assert document.project() == {}


def test_a_forged_update_whose_ready_part_breaks_is_blamed() -> None:
    gap = merge([forged_early(), THREE])
    with pytest.raises(DocumentBroken):
        apply(document_of([ONE]), gap)


def test_a_panic_becomes_document_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    class PanicException(BaseException):
        pass

    def panic(*_: object) -> None:
        raise PanicException

    monkeypatch.setattr(pycrdt, "get_update", panic)
    with pytest.raises(DocumentBroken) as broken:
        crdt.trimmed(NAME, ONE, {5: 1})
    assert isinstance(broken.value.cause, PanicException)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_the_end_of_the_process_is_no_failure(error: type[BaseException]) -> None:
    def stop() -> None:
        raise error

    with pytest.raises(error):
        crdt.guarded(NAME, stop)


def test_a_snapshot_is_proven(monkeypatch: pytest.MonkeyPatch) -> None:
    document = document_of([MADE, DELETED])
    assert Document.load(NAME, document.snapshot(), ()).fingerprint() == document.fingerprint()
    monkeypatch.setattr(Replica, "diff", lambda self, known=b"\x00": MADE)
    with pytest.raises(DocumentBroken):
        document.snapshot()


def test_a_diff_is_what_a_replica_lacks() -> None:
    document = document_of([ONE, TWO, THREE])
    replica = Replica(NAME, ONE)
    replica.apply(document.diff(bytes((1, 5, 1))))
    assert replica.canonical() == Replica(NAME, document.snapshot()).canonical()


def test_the_fingerprint_follows_every_change() -> None:
    document, seen = Document(NAME), set()
    for update in (b"\x00\x00", ONE, TWO, THREE):
        apply(document, update)
        seen.add(document.fingerprint())
        assert document.fingerprint() == Document.load(NAME, document.snapshot(), ()).fingerprint()
    assert len(seen) == 4
    assert {len(each) for each in seen} == {16}


def test_projecting_does_not_touch_the_document() -> None:
    document = document_of([ONE, TWO])
    before = document.snapshot()
    document.project()
    assert document.snapshot() == before
    assert apply(document, THREE).delta == THREE


def test_loading_with_nothing_stored() -> None:
    document = Document.load(NAME, b"", ())
    assert (document.clocks, document.early) == ({}, ())
    assert document.project() == {}


@pytest.mark.parametrize(
    ("stored", "early"),
    [
        ([ONE, THREE], (THREE,)),
        ([THREE, TWO], (THREE, TWO)),
        ([THREE, ONE, TWO], ()),
        ([ONE, DELETED], ()),
        ([DELETED], (DELETED,)),
        ([b"\x00\x00", ONE, ONE], ()),
    ],
)
def test_loading_makes_early_what_was_early(stored: list[bytes], early: tuple[bytes, ...]) -> None:
    document = Document.load(NAME, b"", stored)
    assert document.early == early
    assert document.fingerprint() == document_of(stored).fingerprint()
    after = Document.load(NAME, ONE, stored)
    assert after.fingerprint() == document_of([ONE, *stored]).fingerprint()


def test_early_deletions_wait_after_loading() -> None:
    """Structs all known, a deletion not: the state vector alone would not tell."""
    other = edits(6, put("b", 1), drop("b"))[1]
    document = Document.load(NAME, b"", [ONE, other])
    assert document.early == (other,)


def test_a_snapshot_that_cannot_be_loaded() -> None:
    with pytest.raises(DocumentBroken):
        Document.load(NAME, b"\x05", ())
    with pytest.raises(DocumentBroken):
        Document.load(NAME, b"", [b"\x05"])


def test_the_clocks_are_those_of_the_library() -> None:
    document = document_of([ONE, TWO, *edits(9, put("n", 1))])
    assert (
        read_state_vector(document.state_vector())[0]
        == Replica(NAME, document.snapshot()).clocks()
        == {5: 2, 9: 1}
    )


def test_facts_with_several_spans_of_one_client() -> None:
    """Spans of one client that follow each other count on; a gap is early."""
    whole = merge([ONE, TWO])
    spans = (Span(5, 0, 1), Span(5, 1, 2))
    document = Document(NAME)
    document.apply([(whole, UpdateFacts(spans, (), {}, frozenset(), 2))])
    assert document.clocks == {5: 2}


def test_many_updates_merge_in_groups() -> None:
    updates = edits(5, *(put(f"k{number}", number) for number in range(MERGED_AT_ONCE**2 + 1)))
    assert document_of([merge(updates)]).fingerprint() == document_of(updates).fingerprint()
    assert merge([ONE]) == ONE


def test_a_document_let_go_is_freed() -> None:
    document = document_of([ONE])
    doc = weakref.ref(document._replica._doc)
    document.fingerprint()
    del document
    gc.collect()
    assert doc() is None


def test_fields_are_those_of_the_projection() -> None:
    chance = random.Random(5)
    values = ["grill", True, False, 1, 2.5, None, [1], {"a": 1}, float("inf"), "", 2**40]
    names = ["a", "b", "c", "d", "map", "text", "$x", "$$y"]
    quick = 0
    for number in range(300):
        author = Author(number + 1)
        for _ in range(chance.randrange(6)):
            root = chance.choice(["map", "other", "a"])
            key = chance.choice(["a", "b", "c", "$y"])
            author.set(key, chance.choice(values), root=root)
        if chance.random() < 0.3:
            author.write("some text")
        document = Document("orders/1")
        document.apply([(author.whole(), facts(author.whole()))])
        expected = fields_of(document.project())
        wanted = chance.sample(names, chance.randrange(4))
        plain = document.plain_fields(wanted)
        found = document.all_fields() if plain is None else plain
        quick += plain is not None and bool(wanted)
        if plain is not None:
            assert document.plain_fields([*wanted, *map(str, range(MANY_KEYS))]) == plain
        for name in wanted:
            assert (name in found, found.get(name)) == (name in expected, expected.get(name))
    assert quick > 30


def edit_anything(chance: random.Random, doc: pycrdt.Doc) -> None:
    """One step on a root of each kind."""
    text = doc.get("text", type=pycrdt.Text)
    listed = doc.get("list", type=pycrdt.Array)
    fields = doc.get("map", type=pycrdt.Map)
    match chance.randrange(7):
        case 0:
            text.insert(len(text), chance.choice(["é", "abc"]))
        case 1:
            text.format(0, len(text), {"bold": chance.choice([True, None])})
        case 2:
            text.clear()
        case 3:
            listed.append(chance.choice([1, pycrdt.Map({"a": 1})]))
        case 4:
            listed.clear()
        case 5:
            fields[chance.choice("ab")] = chance.choice([1, pycrdt.Map({"a": 2})])
        case _:
            tree = doc.get("tree", type=pycrdt.XmlFragment)
            tree.children.append(pycrdt.XmlElement("p", {"a": "1"}))


def test_looking_at_fields_changes_nothing_that_is_encoded() -> None:
    chance = random.Random(6)
    for number in range(100):
        read, unread = Document("orders/1"), Document("orders/1")
        doc: pycrdt.Doc = pycrdt.Doc(client_id=number + 1)
        for _ in range(20):
            before = doc.get_state()
            edit_anything(chance, doc)
            update = doc.get_update(before)
            for document in (read, unread):
                document.apply([(update, facts(update))])
            read.plain_fields(chance.sample(["a", "b", "$y"], 2))
        assert read.fingerprint() == unread.fingerprint()
        assert read.diff(b"\x00") == unread.diff(b"\x00") == doc.get_update()
        assert read.project() == unread.project()


def test_nobody_is_passed_the_encoding_of_another() -> None:
    # Structs of two clients; the library writes the higher client id first.
    one, two = Author(1).set("a", 1), Author(2).set("b", 2)
    own = merge([one, two])
    strange = b"\x02" + one[1:-1] + two[1:-1] + b"\x00"
    assert strange != own
    document = Document("a/b")
    assert document.apply([(strange, facts(strange))]).delta == own
