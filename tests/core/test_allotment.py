"""What the subscriptions of one link may take together."""

import json

import pytest

from gateway.core import allotment as allotment_module
from gateway.core import messages as m
from gateway.core.allotment import (
    CHANGE_BYTES,
    CHANGES_BYTES,
    CHANGES_BYTES_A_TICK,
    MAX_FIELDS,
    MAX_SELECTOR_BYTES,
    MAX_SUBSCRIPTIONS,
    MAX_TERMS,
    PEERS_BYTES,
    PEERS_BYTES_A_TICK,
    Allotment,
)
from gateway.core.errors import Code, PeerError


def hold(allotment: Allotment, number: int, wanted: object) -> None:
    text = json.dumps(wanted)
    allotment.hold(number, allotment.read(text), text)


def most(allotment: Allotment, *wanted: object) -> int:
    """How many of these subscriptions are taken before it is too much."""
    for number, one in enumerate(wanted):
        try:
            hold(allotment, number, one)
        except PeerError as error:
            return number if error.code is Code.TOO_MANY else -1
        allotment.renew()
    raise AssertionError("no end")


def test_subscriptions_terms_bytes_and_fields_are_bounded() -> None:
    assert most(Allotment(), *[{}] * 300) == MAX_SUBSCRIPTIONS
    terms = {"a": {"$in": list(range(100))}}
    assert most(Allotment(), *[terms] * 300) == MAX_TERMS // 102
    text = {"a": "x" * 4_000}
    assert most(Allotment(), *[text] * 300) == MAX_SELECTOR_BYTES // len(json.dumps(text))
    fields = [{f"{number}": 1, f"{number}.b": 2} for number in range(300)]
    assert most(Allotment(), *fields) == MAX_FIELDS


def test_what_was_changed_or_ended_counts_no_more() -> None:
    allotment = Allotment()
    for number in range(1_000):
        wanted = {f"{number}": {"$in": list(range(250))}}
        hold(allotment, number, wanted)
        hold(allotment, number, {})
        allotment.drop(number)
        allotment.drop(number)
        allotment.renew()


def test_changes_take_their_time() -> None:
    allotment = Allotment()
    for _ in range(CHANGES_BYTES // CHANGE_BYTES):
        allotment.change()
    with pytest.raises(PeerError):
        allotment.change()
    allotment.renew()
    for _ in range(CHANGES_BYTES_A_TICK // CHANGE_BYTES - 1):
        allotment.change()
    with pytest.raises(PeerError):
        allotment.read("{}")


def test_reading_a_large_selector_counts_before_it_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: list[str] = []
    monkeypatch.setattr(allotment_module, "Selector", read.append)
    allotment = Allotment()
    for _ in range(CHANGES_BYTES // (4_096 + CHANGE_BYTES)):
        allotment.read("x" * 4_096)
    before = len(read)
    with pytest.raises(PeerError):
        allotment.read("x" * 4_096)
    assert len(read) == before


def test_of_peers_only_so_much_is_read() -> None:
    allotment = Allotment()
    record = m.encode(m.Peers(())) + bytes(PEERS_BYTES_A_TICK - 2)
    read = [allotment.reads(record) for _ in range(6)]
    assert read == [True] * (PEERS_BYTES // PEERS_BYTES_A_TICK) + [False] * 2
    assert allotment.reads(m.encode(m.Ping(1)))
    allotment.renew()
    assert [allotment.reads(record) for _ in range(2)] == [True, False]
    for _ in range(10):
        allotment.renew()
    assert [allotment.reads(record) for _ in range(5)] == [True] * 4 + [False]
