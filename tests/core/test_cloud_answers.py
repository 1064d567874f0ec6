"""What a hub answers, cut into messages."""

import pytest

from gateway.core import cloud_answers
from gateway.core.bridge_envelope import MAX_MESSAGE_BYTES, open_down
from gateway.core.bridge_items import (
    MAX_BATCH_BYTES,
    Answer,
    Ask,
    Change,
    Nothing,
    Ping,
    Turn,
    read,
)
from gateway.core.cloud_answers import (
    COMPACT_ROWS,
    ENVELOPE_BYTES,
    Address,
    Post,
    asked,
    loaded,
    slice_of,
    to_compact,
    turned,
)
from gateway.core.cloud_records import Held
from gateway.core.document import Document
from gateway.core.errors import PeerError
from gateway.core.primitives import public_of
from gateway.core.reconcile import Catalogue, opening
from gateway.core.records import StoredDocument
from tests.core.test_document import forged_early
from tests.support.cloud import HUB_PRIVATE, ROOT, HandGateway

GATEWAY = HandGateway(1)
TO = Address(GATEWAY.store.hex(), GATEWAY.peer.hex())
LIMIT = 8_704


def document(entries: int = 3, size: int = 10) -> Document:
    GATEWAY.documents.pop("orders/1", None)
    GATEWAY.put("orders/1", **{f"k{number}": "x" * size for number in range(entries)})
    return GATEWAY.documents["orders/1"]


def test_an_answer_is_what_is_lacking_and_what_the_hub_has() -> None:
    held = document()
    answer, ask = asked(held, b"\0", LIMIT, wants=True, writes=True)
    assert answer == Answer("orders/1", held.fingerprint(), held.diff(b"\0"))
    assert ask == Ask("orders/1", held.state_vector())


def test_who_may_not_write_is_not_asked_and_who_wants_nothing_gets_nothing() -> None:
    held = document()
    (only,) = asked(held, b"\0", LIMIT, wants=True, writes=False)
    assert isinstance(only, Answer)
    (only,) = asked(held, b"\0", LIMIT, wants=False, writes=True)
    assert isinstance(only, Ask)


def test_who_neither_wants_nor_writes_is_told_that_there_is_nothing_to_say() -> None:
    found = list(asked(document(), b"\0", LIMIT, wants=False, writes=False))
    assert found == [Nothing("orders/1")]
    found = list(asked(Document("orders/2"), b"\0", LIMIT, wants=True, writes=False))
    assert found == [Nothing("orders/2")]


def test_nothing_is_said_of_a_document_that_is_not_there() -> None:
    found = list(asked(Document("orders/1"), b"\0", LIMIT, wants=True, writes=True))
    assert found == [Ask("orders/1", b"\0")]


def test_a_large_answer_is_cut() -> None:
    held = document(40, 1_000)
    *parts, last, _ = asked(held, b"\0", LIMIT, wants=True, writes=True)
    assert len(parts) > 3 and all(isinstance(part, Change) for part in parts)
    assert isinstance(last, Answer)
    whole = Document.load("orders/1", b"", [part.update for part in (*parts, last)])
    assert whole.fingerprint() == held.fingerprint() == last.fingerprint


def test_a_turn_is_answered() -> None:
    held = [Held("s", f"orders/{number}", 1, bytes(16), 1, 0) for number in range(5)]
    first = opening(Catalogue([("orders/9", bytes(16))]), b"12345678")
    (turn,) = turned(held, first, LIMIT)
    assert isinstance(turn, Turn)
    # All that was asked agrees: said once, and not again.
    same = opening(Catalogue((one.document, one.fingerprint) for one in held), b"12345678")
    (turn,) = turned(held, same, 100)
    assert turned(held, turn.ranges, 1_000_000) == []
    with pytest.raises(PeerError):
        turned(held, b"junk", LIMIT)


def test_when_a_document_is_written_anew() -> None:
    changes = tuple(GATEWAY.put("orders/2", n=number).update for number in range(COMPACT_ROWS))
    for stored, expected in (
        (StoredDocument(b"", changes), True),
        (StoredDocument(b"", changes[:-1]), False),
        # What waits stays, so it is no reason.
        (StoredDocument(b"", (*changes[1:], changes[1])), False),
        (StoredDocument(b"", (forged_early(), *ready())), True),
    ):
        assert to_compact(loaded("orders/2", stored), stored) is expected


def ready() -> list[bytes]:
    from tests.core.test_document import ONE, TWO

    return [ONE, TWO]


def test_messages_are_sealed_and_bounded() -> None:
    post = Post(ROOT, HUB_PRIVATE)
    assert post.limit(MAX_MESSAGE_BYTES) == MAX_BATCH_BYTES
    limit = post.limit(10_000)
    assert limit == 10_000 - len(ROOT) - ENVELOPE_BYTES
    items = [Change(f"orders/{number}", bytes(range(256)) * 8) for number in range(20)]
    sent = list(post.messages(TO, items, limit))
    assert len(sent) > 4
    public = public_of(HUB_PRIVATE)
    assert all(one.topic == GATEWAY.topics.down for one in sent)
    assert all(len(one.topic) + len(one.payload) <= 10_000 for one in sent)
    opened = [open_down(one.payload, public, GATEWAY.store, GATEWAY.peer) for one in sent]
    assert [item for batch in opened for item in read(batch)] == items


def test_what_is_longer_than_a_message_is_left_out() -> None:
    post = Post(ROOT, HUB_PRIVATE)
    sent = list(post.messages(TO, [Change("a/b", bytes(LIMIT)), Ping(1)], LIMIT))
    batch = open_down(sent[0].payload, public_of(HUB_PRIVATE), GATEWAY.store, GATEWAY.peer)
    assert (read(batch), post.unsent) == ([Ping(1)], 1)


def test_a_slice_is_bounded_by_number_and_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    small = [Held("s", f"a/{number}", 1, b"", 1, 0) for number in range(100)]
    assert slice_of(small) == cloud_answers.SLICE_DOCUMENTS
    assert (slice_of(small[:3]), slice_of([])) == (3, 0)
    monkeypatch.setattr(cloud_answers, "SLICE_BYTES", 2)
    assert slice_of(small) == 3
