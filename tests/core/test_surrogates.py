"""Characters of two clocks that an edit cuts in two."""

import json
from pathlib import Path

import pytest

from gateway.core.document import Document, merge
from gateway.core.structs import read_update
from gateway.core.surrogates import Pairs, may_hold_pairs, mended
from tests.core.facts import apply, document_of

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "fingerprint.json").read_text())

# Client 5: "a👍b", then the second half of the emoji deleted, another half in its place.
INSERTED = bytes.fromhex("01010500040101740661f09f918d6200")
HALF_DELETED = bytes.fromhex("000105010201")
HALF_INSERTED = bytes.fromhex("01010504c40502050303efbfbd00")
CUT = [INSERTED, HALF_DELETED, HALF_INSERTED]
# What Yjs shows: a, the half that is left, the half that came, b.
SHOWN = {"t": "a\ufffd\ufffdb"}


def text_of(document: Document) -> list[dict]:
    shown = document.project().get("text", "")
    if isinstance(shown, dict):
        operations: list[dict] = shown["$text"]
        return operations
    return [{"insert": shown}] if shown else []


def as_shown(delta: list[dict]) -> list[dict]:
    """A Yjs delta with runs joined and lone halves as UTF-8 has them: U+FFFD."""
    runs: list[dict] = []
    for operation in delta:
        raw = operation["insert"].encode("utf-16-le", "surrogatepass")
        run = {**operation, "insert": raw.decode("utf-16-le", "replace")}
        if runs and runs[-1].get("attributes") == run.get("attributes"):
            runs[-1]["insert"] += run["insert"]
        else:
            runs.append(run)
    return runs


@pytest.mark.parametrize("case", VECTORS, ids=[case["name"] for case in VECTORS])
@pytest.mark.parametrize("restarts", [False, True])
def test_texts_are_what_yjs_shows(case: dict, restarts: bool) -> None:
    document, stored = Document("tests/one"), []
    for update in map(bytes.fromhex, case["updates"]):
        applied = apply(document, update)
        stored += [applied.delta] if applied.delta else [update] if applied.early else []
        if restarts:
            document = Document.load("tests/one", b"", stored)
    assert text_of(document) == as_shown(case["text"])
    assert text_of(Document.load("tests/one", document.snapshot(), ())) == as_shown(case["text"])


def test_nothing_behind_a_cut_character_is_lost() -> None:
    for document in (document_of(CUT), document_of([merge(CUT)]), document_of(CUT[::-1])):
        assert document.project() == SHOWN
        assert Document.load("tests/one", document.snapshot(), ()).project() == SHOWN
        assert document.clocks == {5: 5}


def test_a_cut_within_one_batch() -> None:
    document = Document("tests/one")
    apply(document, *CUT)
    assert document.project() == SHOWN
    assert Document.load("tests/one", document.snapshot(), ()).clocks == {5: 5}


def test_a_cut_after_loading_from_a_snapshot_or_from_changes() -> None:
    for document in (
        Document.load("tests/one", INSERTED, ()),
        Document.load("tests/one", b"", [INSERTED]),
    ):
        apply(document, HALF_DELETED, HALF_INSERTED)
        assert document.project() == SHOWN
    assert Document.load("tests/one", b"", CUT).project() == SHOWN
    assert Document.load("tests/one", INSERTED, CUT[1:]).project() == SHOWN


def test_whole_characters_stay() -> None:
    document = document_of([INSERTED, bytes.fromhex("000105010102")])
    assert document.project() == {"t": "ab"}


def test_a_struct_known_up_to_the_middle_of_a_character() -> None:
    half = bytes.fromhex("01010500040101740461efbfbd00")
    for document in (
        document_of([half, INSERTED]),
        Document.load("tests/one", b"", [half, INSERTED]),
    ):
        assert document.project() == {"t": "a\ufffd\ufffdb"}
        assert Document.load("tests/one", document.snapshot(), ()).clocks == {5: 4}


@pytest.mark.parametrize(
    ("info_and_origin", "text"),
    [("840501", "a\ufffd\ufffdbx"), ("440502", "a\ufffdx\ufffdb")],
    ids=["behind the first half", "before the second half"],
)
def test_an_insertion_between_the_halves_cuts(info_and_origin: str, text: str) -> None:
    pairs = Pairs()
    pairs.note(read_update(INSERTED))
    between = bytes.fromhex("01010600" + info_and_origin + "0178" + "00")
    assert pairs.cut_by(read_update(between)) == {(5, 2)}
    document = document_of([INSERTED, between])
    assert document.project() == {"t": text}
    assert Document.load("tests/one", document.snapshot(), ()).clocks == {5: 4, 6: 1}


def test_the_quick_look_may_be_wrong_in_one_direction_only() -> None:
    assert may_hold_pairs("x🙂".encode())
    assert may_hold_pairs(bytes([0xF1, 0x93, 0xB0, 0xA8, 0x05]))
    assert not may_hold_pairs("é€".encode())


def test_pairs_are_noted_once_and_forgotten_once_cut() -> None:
    pairs = Pairs()
    assert not pairs
    pairs.note(read_update(INSERTED))
    assert pairs
    assert pairs.cut_by(read_update(HALF_DELETED)) == {(5, 2)}
    assert pairs.cut_by(read_update(HALF_DELETED)) == set()


def test_only_pairs_across_the_clock_are_mended() -> None:
    assert mended(INSERTED, {(5, 2)}) == bytes.fromhex("0101050004010174" + "0861efbfbdefbfbd6200")
    assert mended(INSERTED, {(5, 1), (6, 2), (5, 3)}) == INSERTED
    embed = bytes.fromhex("01010500050101740622f09f918d2200")
    assert mended(embed, {(5, 0)}) == embed
