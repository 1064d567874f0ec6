"""What a message between a gateway and a hub holds."""

import pytest

from gateway.core import messages as m
from gateway.core.bridge_items import (
    MAX_BATCH_BYTES,
    MAX_WANTED,
    Answer,
    Ask,
    Change,
    Item,
    Nothing,
    Ping,
    Pong,
    Revoked,
    Turn,
    Wants,
    read,
    written,
)
from gateway.core.errors import Code, PeerError
from gateway.core.framing import MAX_RECORDS, frame

EVERYTHING: list[Item] = [
    Ping(7),
    Wants(("menu", "orders")),
    Revoked(b"an entry"),
    Change("orders/1", b"one"),
    Change("orders/1", b"two"),
    Ask("orders/2", b"\x01\x02\x03"),
    Answer("orders/2", b"f" * 16, b"lacking"),
    Answer("menu/1", b"", b"\x00\x00"),
    Turn(b"saltsaltranges"),
    Pong(8),
]


def test_what_was_written_is_read() -> None:
    ((batch, count),) = written(EVERYTHING)
    assert (read(batch), count) == (EVERYTHING, len(EVERYTHING))


def test_nothing_to_say_of_a_document_comes_last() -> None:
    items: list[Item] = [Nothing("menu/1"), Change("menu/2", b"one"), Ask("menu/3", b"\x01\x02")]
    ((batch, count),) = written(items)
    assert (read(batch), count) == ([*items[1:], items[0]], 3)


def test_whatever_else_is_said_of_a_document_is_not_nothing() -> None:
    bound = m.Open(1, "menu/1", b"")
    assert read(_batch(bound, bound, m.Update(1, b"one"), bound)) == [Change("menu/1", b"one")]
    assert read(_batch(bound, m.Open(1, "menu/1", b"\0"))) == [Ask("menu/1", b"\0")]


def test_a_small_batch_is_not_deflated_and_a_repetitive_one_is() -> None:
    ((small, _),) = written([Ping(1)])
    assert small == frame(m.encode(m.Ping(1)))
    many: list[Item] = [Change(f"orders/{number}", b"same" * 10) for number in range(100)]
    ((large, _),) = written(many)
    assert large[2] == m.DEFLATED
    assert len(large) < 2_000
    assert read(large) == many


def test_batches_end_at_their_bytes_and_handles_begin_anew() -> None:
    items: list[Item] = [Change("a/1", bytes(400)), Change("a/1", bytes(400)), Ask("a/1", b"\0")]
    parts = list(written(items, 500))
    assert [count for _, count in parts] == [1, 2]
    assert [item for batch, _ in parts for item in read(batch)] == items


def test_batches_end_at_their_records() -> None:
    items: list[Item] = [Change(f"a/{number}", b"u") for number in range(MAX_RECORDS)]
    parts = list(written(items))
    assert [count for _, count in parts] == [MAX_RECORDS // 2, MAX_RECORDS // 2]


def test_nothing_makes_no_batch() -> None:
    assert list(written([])) == []


def test_wanting_nothing_is_said() -> None:
    ((batch, _),) = written([Wants(())])
    assert read(batch) == [Wants(())]


def _batch(*records: m.Record) -> bytes:
    return b"".join(frame(m.encode(record)) for record in records)


def test_records_that_mean_nothing_here_are_skipped() -> None:
    batch = _batch(m.Hello(1, 1, bytes(16), 0, 1), m.Subscribe(1, "menu", ""), m.Ping(1))
    unknown = frame(b"\xff\x01abc")
    wanted = _batch(m.Unsubscribe(5), m.Unsubscribe(0), m.Subscribe(1, "menu", "{}"))
    compared = _batch(m.Reconcile(2, b"ranges"))
    assert read(batch + unknown + wanted + compared) == [Ping(1), Wants(())]


@pytest.mark.parametrize(
    ("batch", "code"),
    [
        (b"", Code.MALFORMED),
        (_batch(m.Update(1, b"u")), Code.MALFORMED),
        (_batch(m.Diff(1, 0, b"", b"u")), Code.MALFORMED),
        (_batch(m.Open(1, "a/1", b""), m.Open(1, "a/2", b"")), Code.MALFORMED),
        (_batch(m.Open(0, "a/1", b"")), Code.MALFORMED),
        (_batch(m.Open(1, "a/../b", b"")), Code.BAD_NAME),
        (_batch(m.Unsubscribe(0), m.Subscribe(1, "a/b", "")), Code.BAD_NAME),
        (
            _batch(m.Unsubscribe(0), *(m.Subscribe(1, "a", "") for _ in range(MAX_WANTED + 1))),
            Code.TOO_MANY,
        ),
        (frame(bytes([m.DEFLATED]) + b"junk"), Code.MALFORMED),
        (frame(bytes([m.DEFLATED])) + frame(b"\x05\x01"), Code.MALFORMED),
    ],
)
def test_what_is_wrong_is_said(batch: bytes, code: Code) -> None:
    with pytest.raises(PeerError) as caught:
        read(batch)
    assert caught.value.code is code


def test_a_bomb_is_not_inflated() -> None:
    from gateway.core.packing import pack

    bomb = frame(bytes([m.DEFLATED]) + pack(bytes(MAX_BATCH_BYTES + 1)))
    with pytest.raises(PeerError) as caught:
        read(bomb)
    assert caught.value.code is Code.TOO_BIG
