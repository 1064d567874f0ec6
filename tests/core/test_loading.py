"""What loading a stored document would cost."""

import pytest

from gateway.core import loading
from gateway.core.cloud_answers import loaded
from gateway.core.crdt import merge
from gateway.core.document import DocumentBroken
from gateway.core.guard import inspect_update
from gateway.core.loading import affordable
from gateway.core.records import StoredDocument
from gateway.core.varint import write_varint
from tests.support.cloud import HandGateway


def number(*values: int) -> bytes:
    return b"".join(map(write_varint, values))


def crowd(client: int, count: int = 900) -> bytes:
    """So many insertions at one place, behind those of the client before: nothing for the guard,
    and each is compared with all that are there."""
    first = b"" if client == 1 else b"\x84" + number(client - 1, count - 1) + b"\x01b"
    body = (first + b"\x04\x01\x01x\x01a" * count) if first else b"\x04\x01\x01x\x01a" * count
    update = number(1, count + bool(first), client, 0) + body + b"\0"
    inspect_update(update)
    return update


def nested(first: int, count: int = 30) -> bytes:
    """Maps in maps, on from those before."""
    update = number(1, count, 7, first)
    for clock in range(first, first + count):
        parent = number(0, 7, clock - 1) if clock else b"\x01\x01f"
        update += b"\x27" + parent + b"\x01a\x01"
    update += b"\0"
    inspect_update(update)
    return update


def test_what_costs_little_is_loaded_whole() -> None:
    gateway = HandGateway(1)
    changes = tuple(gateway.put("orders/1", **{f"k{n}": "x" * 90}).update for n in range(300))
    stored = StoredDocument(gateway.documents["orders/1"].snapshot(), changes)
    assert affordable(stored) == 300 and affordable(StoredDocument(b"", ())) == 0
    assert affordable(StoredDocument(b"", changes)) == 300


def test_changes_that_together_take_the_library_a_minute_are_not_shown_to_it() -> None:
    changes = tuple(map(crowd, range(1, 8)))
    count = affordable(StoredDocument(b"", changes))
    assert 0 < count < 4
    document = loaded("orders/1", StoredDocument(b"", changes))
    assert document.forgotten == changes[count:] and len(document.clocks) == count


def test_types_so_deep_that_they_would_end_the_process_are_not_shown_to_it() -> None:
    deep = [nested(first) for first in range(0, 90_000, 30)]
    wiped = b"\0" + number(1, 7, 1, 0, 1)
    document = loaded("orders/1", StoredDocument(b"", (*deep, wiped)))
    assert document.forgotten and 0 < document.clocks.get(7, 0) <= 10_000


def test_structs_that_wait_for_each_other_are_not_shown_to_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loading, "SMALL_BYTES", 0)
    monkeypatch.setattr("gateway.core.walk._REHEARSED_STRUCTS", 1)
    circle = tuple(
        number(1, 1, one, 0) + b"\x84" + number(other, 0, 100) + b"b" * 100 + b"\0"
        for one, other in ((1, 2), (2, 1))
    )
    assert affordable(StoredDocument(b"", circle)) == 1


def test_only_so_many_parts_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = HandGateway(1)
    gateway.put("orders/1", a=1)
    snapshot = gateway.documents["orders/1"].snapshot()
    changes = (crowd(1, 1_000), *map(crowd, range(2, 9)), *(b"\0\0",) * 4_000)
    monkeypatch.setattr(loading, "MAX_TRIES", 1)
    assert affordable(StoredDocument(snapshot, changes)) == 0


def test_a_snapshot_that_costs_too_much_breaks_the_document() -> None:
    snapshot = merge([*map(crowd, range(1, 8))])
    for changes in ((), (b"\0\0",)):
        stored = StoredDocument(snapshot, changes)
        assert affordable(stored) == -1
        with pytest.raises(DocumentBroken):
            loaded("orders/1", stored)
