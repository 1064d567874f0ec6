"""The fingerprint: one canonical form in Python and JavaScript."""

import json
import random
from hashlib import sha256
from pathlib import Path

import pytest

from gateway.core.document import Document, merge
from gateway.core.errors import PeerError
from gateway.core.fingerprint import (
    canonical,
    fingerprint,
    merged,
    read_delete_set,
    read_state_vector,
    write_delete_set,
    write_varints,
)
from gateway.core.varint import read_varint
from tests.core.facts import apply, document_of

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "fingerprint.json").read_text())
IDS = [case["name"] for case in VECTORS]


@pytest.mark.parametrize("case", VECTORS, ids=IDS)
@pytest.mark.parametrize("order", ["as made", "backwards", "shuffled", "at once", "merged"])
def test_what_yjs_computes_whatever_the_order(case: dict, order: str) -> None:
    updates = [bytes.fromhex(update) for update in case["updates"]]
    if order == "backwards":
        updates.reverse()
    if order == "shuffled":
        random.Random(case["name"]).shuffle(updates)
    if order == "merged" and updates:
        updates = [merge(updates)]
    document = Document("tests/one")
    for batch in [updates] if order == "at once" else [[update] for update in updates]:
        apply(document, *batch)
    assert document.early == ()
    assert document.fingerprint().hex() == case["fingerprint"]
    assert fingerprint(bytes.fromhex(case["canonical"])).hex() == case["fingerprint"]


@pytest.mark.parametrize("case", VECTORS, ids=IDS)
def test_the_canonical_bytes_of_yjs(case: dict) -> None:
    document = document_of(bytes.fromhex(update) for update in case["updates"])
    whole = document.snapshot()
    again = Document.load("tests/one", whole, ())
    assert again.fingerprint().hex() == case["fingerprint"]
    assert document.clocks == _clocks(bytes.fromhex(case["canonical"]))


def _clocks(data: bytes) -> dict[int, int]:
    """The state vector in canonical bytes, read by the description of the form."""
    numbers, position = [], 0
    while position < len(data):
        number, position = read_varint(data, position)
        numbers.append(number)
    clocks, at = {}, 1
    for _ in range(numbers[0]):
        clocks[numbers[at]] = numbers[at + 1]
        at += 3 + 2 * numbers[at + 2]
    assert at == len(numbers)
    return clocks


def test_canonical_bytes_by_hand() -> None:
    form = canonical({300: 5, 7: 9, 8: 0}, {7: [(4, 6), (1, 2), (2, 3), (5, 7)], 9: [(0, 1)]})
    assert form.hex() == "02" + "070902" + "0102" + "0403" + "ac020500"
    assert fingerprint(form) == sha256(form).digest()[:16]


def test_a_deletion_changes_it_and_the_state_vector_does_not_tell() -> None:
    assert canonical({1: 3}, {}) != canonical({1: 3}, {1: [(0, 1)]})


def test_ranges_are_merged_where_they_touch_or_overlap() -> None:
    assert merged([(5, 7), (0, 1), (1, 2), (0, 2), (6, 9)]) == [(0, 2), (5, 9)]
    assert merged([(0, 9), (1, 2), (9, 10)]) == [(0, 10)]
    assert merged([]) == []


def test_delete_sets_and_state_vectors_are_read_as_written() -> None:
    deletes = {70_000: [(20_000, 20_001), (3, 9)], 2: [(0, 5)]}
    data = b"\xff" + write_delete_set(deletes)
    assert read_delete_set(data, 1) == (deletes, len(data))
    assert read_state_vector(write_varints([2, 5, 6, 70_000, 8])) == ({5: 6, 70_000: 8}, 7)


def test_cut_off_data_is_a_peer_error() -> None:
    with pytest.raises(PeerError):
        read_delete_set(b"\x01\x05")
    with pytest.raises(PeerError):
        read_state_vector(b"\x01\x05")
