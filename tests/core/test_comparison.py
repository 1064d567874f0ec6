"""One comparison with a hub, and when the next one is due."""

import pytest

from gateway.core import comparison as module
from gateway.core import reconcile
from gateway.core.comparison import (
    ASKED_AT_ONCE,
    FAILED_PAUSE_SECONDS,
    LEAST_SECONDS,
    MOST_ASKED,
    PATIENCE_SECONDS,
    PAUSE_SECONDS,
    STARTED_SECONDS,
    Comparison,
    Due,
)
from gateway.core.errors import Code, PeerError
from gateway.core.reconcile import Catalogue

SALT = b"saltsalt"
# Wanted.
ALL = ["a", "b", "c", "d"]


def catalogue(*names: str, state: bytes = b"f") -> Catalogue:
    return Catalogue((name, state * 16) for name in names)


def compared(one: Comparison, other: Catalogue) -> None:
    """Exchange turns with somebody who holds these until there are no more."""
    turn: bytes | None = one.opening()
    while turn is not None:
        reply = reconcile.answer(other, turn).reply
        if reply is None:
            return
        turn = one.turn(reply, 0.0)


def nothing_waits(document: str) -> bool:
    return False


def test_what_differs_is_asked_about_once_and_then_it_is_over() -> None:
    one = Comparison(catalogue("a/1", "a/2", "b/1"), SALT, None, ALL, 1 << 20, 0.0)
    assert one.look(0.0) and not one.heard
    compared(one, catalogue("a/2", "a/3", "b/1"))
    assert one.left == 2 and one.heard
    assert sorted(one.next(nothing_waits)) == ["a/1", "a/3"] and one.next(nothing_waits) == []
    one.answered("a/1", 1.0)
    one.answered("a/1", 1.0)
    one.answered("x/1", 1.0)
    assert one.left == 1 and not one.is_whole and one.look(1.0)
    one.answered("a/3", 2.0)
    assert one.is_whole and not one.look(2.0) and one.differed == 2


def test_equal_sides_are_done_at_once() -> None:
    one = Comparison(catalogue("a/1"), SALT, None, ALL, 1 << 20, 0.0)
    compared(one, catalogue("a/1"))
    assert one.is_whole and not one.look(0.0) and one.differed == 0


def test_only_some_collections_take_part() -> None:
    one = Comparison(catalogue("a/1", "b/1", "c/1"), SALT, ["a", "c", "d"], ALL, 1 << 20, 0.0)
    compared(one, catalogue("a/2", "b/2", "d/1", "e/1"))
    assert sorted(one.next(nothing_waits)) == ["a/1", "a/2", "c/1", "d/1"]
    # Whatever the other side says.
    stranger = Comparison(catalogue(), SALT, ["a"], ALL, 1 << 20, 0.0)
    whole = reconcile.opening(catalogue("b/1"), SALT)
    stranger.turn(whole, 0.0)
    named = reconcile.answer(catalogue("b/1"), reconcile.opening(catalogue(), SALT)).reply
    assert named is not None
    stranger.turn(named, 0.0)
    assert stranger.left == 0


def test_what_is_not_here_and_not_wanted_is_not_asked_about() -> None:
    one = Comparison(catalogue("a/1", "b/1"), SALT, None, ["b"], 1 << 20, 0.0)
    compared(one, catalogue("a/2", "b/2"))
    assert sorted(one.next(nothing_waits)) == ["a/1", "b/1", "b/2"]


def test_turns_of_another_exchange_and_late_ones_are_ignored() -> None:
    one = Comparison(catalogue("a/1"), SALT, None, ALL, 1 << 20, 0.0)
    assert one.turn(b"another!", 0.0) is None and not one.heard
    compared(one, catalogue("a/1"))
    assert one.turn(one.opening(), 0.0) is None


def test_a_name_may_come_again() -> None:
    one = Comparison(catalogue("a/1", "b/1", "b/2"), SALT, None, ALL, 1 << 20, 0.0)
    writer = reconcile._Writer(SALT, 1 << 16)
    writer.add(reconcile._Range(b"", b"b", reconcile.LIST, names=[b"a/1"], shorts=[b"another!"]))
    writer.add(reconcile._Range(b"b", b"", reconcile.DIGEST, digest=b"another!"))
    for _ in range(2):
        assert one.turn(bytes(writer.payload), 0.0) is not None
    assert one.left == 1 and one.next(nothing_waits) == ["a/1"]


def test_turns_without_end_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "most_turns", lambda limit: 2)
    one = Comparison(catalogue("a/1"), SALT, None, ALL, 1, 0.0)
    asks = reconcile.opening(catalogue("a/2"), SALT)
    for _ in range(2):
        assert one.turn(asks, 0.0) is not None
    with pytest.raises(PeerError) as met:
        one.turn(asks, 0.0)
    assert met.value.code is Code.TOO_MANY


def test_what_waits_to_be_sent_is_not_asked_about() -> None:
    one = Comparison(catalogue("a/1", "a/2"), SALT, None, ALL, 1 << 20, 0.0)
    compared(one, catalogue())
    assert one.next(lambda document: document == "a/1") == ["a/2"] and one.left == 1


def test_so_many_are_asked_about_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_DIFFERING", 700)
    names = [f"a/{number:04}" for number in range(800)]
    one = Comparison(catalogue(*names), SALT, None, ALL, 1 << 20, 0.0)
    compared(one, catalogue())
    assert one.left == 700 and one.more
    asked = one.next(nothing_waits)
    asked += one.next(nothing_waits)
    assert len(asked) == MOST_ASKED == 2 * ASKED_AT_ONCE and one.next(nothing_waits) == []
    for document in asked[:ASKED_AT_ONCE]:
        one.answered(document, 1.0)
    assert len(one.next(nothing_waits)) == ASKED_AT_ONCE


def test_who_says_nothing_is_not_waited_for() -> None:
    one = Comparison(catalogue("a/1", "a/2"), SALT, None, ALL, 1 << 20, 0.0)
    assert not one.look(PATIENCE_SECONDS) and not one.is_whole and not one.heard
    one = Comparison(catalogue("a/1", "a/2"), SALT, None, ALL, 1 << 20, 0.0)
    compared(one, catalogue())
    one.next(nothing_waits)
    one.answered("a/1", 10.0)
    one.said(20.0)
    assert one.look(79.0) and not one.look(80.0)
    # It came to its end, without one.
    assert one.is_whole and one.unanswered == 1


def test_when_it_is_due() -> None:
    due = Due()
    assert due.seconds(5.0) == 0.0
    due.began(5.0)
    due.ended(10.0, 0.0, more=False)
    assert due.seconds(10.0) == PAUSE_SECONDS
    due.started(20.0, 0.5)
    assert due.seconds(20.0) == 5.0 + LEAST_SECONDS - 20.0
    due.began(70.0)
    due.ended(80.0, 1.0, more=False)
    assert due.seconds(80.0) == 0.75 * PAUSE_SECONDS
    due.started(1_000.0, 1.0)
    due.started(1_001.0, 1.0)
    assert due.seconds(1_000.0) == STARTED_SECONDS
    due.ended(1_100.0, 0.0, more=True)
    assert due.seconds(1_100.0) == 0.0
    due.ended(1_100.0, 0.0, more=False)
    due.connected()
    assert due.seconds(1_100.0) == 0.0


def test_after_failures_it_is_less_and_less_often() -> None:
    due = Due()
    pauses = []
    for _ in range(7):
        due.failed(0.0, 0.0)
        pauses.append(due.seconds(0.0))
    assert pauses[:2] == [FAILED_PAUSE_SECONDS, 2 * FAILED_PAUSE_SECONDS]
    assert pauses[-1] == PAUSE_SECONDS
    due.ended(0.0, 0.0, more=False)
    due.failed(0.0, 0.0)
    assert due.seconds(0.0) == FAILED_PAUSE_SECONDS
