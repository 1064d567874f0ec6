"""Which documents go to the broker, in which order, and what is known to be there."""

import pytest

from gateway.core import projections as module
from gateway.core.bridge import LONGEST_PAUSE_SECONDS
from gateway.core.projections import REST_SECONDS, Mark, Projections, digest_of, read_mark

ONE, TWO = digest_of(b"1"), digest_of(b"2")


def projections() -> Projections:
    """Of two collections that were looked through."""
    fresh = Projections(["orders", "menu"], "start")
    fresh.connected(None)
    for collection in ("orders", "menu"):
        fresh.begin(collection)
        fresh.seen(collection)
    return fresh


def sent(these: Projections, document: str, now: float, digest: bytes = ONE) -> None:
    these.changed([document], now)
    assert these.next(now) == document
    these.done(document, digest, now)


def test_a_mark_is_read() -> None:
    assert read_mark(b'{"start": "a", "number": 5}') == Mark("a", 5)


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"{}", b"[]", b"\xff", b"[" * 100_000, b'{"start": "a"}',
        b'{"start": "a", "number": 1e999}', b'{"start": "a", "number": NaN}',
        b'{"start": "a", "number": true}', b'{"start": 1, "number": 1}',
        b'{"start": "a", "number": ' + b"9" * 5_000 + b"}",
    ],
)  # fmt: skip
def test_what_is_no_mark_is_none(payload: bytes) -> None:
    assert read_mark(payload) is None


def test_only_collections_that_are_shown_wait() -> None:
    these = projections()
    assert not these.changed(["private/1", "orders2/1"], 0.0)
    assert these.changed(["private/1", "orders/1", "menu/1"], 0.0)
    assert these.waiting == 2 and these.waiting_of("orders") == 1
    assert {these.next(0.0), these.next(0.0)} == {"orders/1", "menu/1"}
    assert these.next(0.0) is None and these.waiting == 2
    these.left("menu/1")
    assert these.waiting == 1


def test_a_document_that_changes_again_waits_a_second_and_goes_once() -> None:
    these = projections()
    sent(these, "orders/1", 0.0)
    for now in (0.1, 0.2, 0.3):
        these.changed(["orders/1"], now)
    assert these.waiting == 1
    assert these.next(0.3 + REST_SECONDS / 2) is None
    assert these.next(0.1 + REST_SECONDS) == "orders/1"
    assert these.next(9.0) is None


def test_what_changes_while_it_is_sent_goes_after_it() -> None:
    these = projections()
    these.changed(["orders/1"], 0.0)
    assert these.next(0.0) == "orders/1"
    these.changed(["orders/1"], 0.1)
    # It is slow.
    assert these.next(5.0) is None and these.waiting == 1
    these.done("orders/1", ONE, 5.0)
    assert these.next(5.0) is None
    assert these.next(5.0 + REST_SECONDS) == "orders/1"


def test_what_is_known_is_known_by_its_digest() -> None:
    these = projections()
    sent(these, "orders/1", 0.0)
    assert these.has("orders/1", ONE)
    assert not these.has("orders/1", TWO) and not these.has("orders/2", ONE)


def test_the_broker_still_has_everything() -> None:
    these = projections()
    sent(these, "orders/1", 0.0)
    these.connected(these.mark)
    assert these.waiting == 0 and these.has("orders/1", ONE)


def test_the_broker_has_an_older_state() -> None:
    these = projections()
    sent(these, "orders/1", 0.0)
    mark = these.mark
    sent(these, "orders/2", 0.0)
    sent(these, "menu/1", 0.0)
    these.connected(mark)
    assert mark == Mark("start", 1) and these.waiting == 2
    assert {these.next(9.0), these.next(9.0)} == {"orders/2", "menu/1"}


@pytest.mark.parametrize("mark", [None, Mark("another", 1), Mark("start", 2)])
def test_the_broker_has_another_state(mark: Mark | None) -> None:
    these = projections()
    sent(these, "orders/1", 0.0)
    these.connected(mark)
    assert not these.has("orders/1", ONE)
    assert these.is_unseen("orders") and these.is_unseen("menu") and these.waiting == 2
    these.begin("orders")
    assert not these.is_unseen("orders") and these.waiting == 2
    these.seen("orders")
    assert these.waiting == 1


def test_a_collection_that_was_not_looked_through_to_its_end_is_so_again() -> None:
    these = Projections(["orders"], "start")
    these.begin("orders")
    these.connected(these.mark)
    assert these.is_unseen("orders") and these.waiting == 1


def test_what_failed_goes_again() -> None:
    these = projections()
    these.changed(["orders/1"], 0.0)
    assert these.next(0.0) == "orders/1"
    these.failed("orders/1")
    assert these.next(0.0) == "orders/1"


def test_a_collection_that_is_refused_waits_longer_each_time_and_others_go_on() -> None:
    these = projections()
    pauses, now = [], 0.0
    these.changed(["orders/1"], now)
    for _ in range(11):
        assert these.next(now) == "orders/1"
        these.refused("orders/1", now)
        these.changed(["menu/1"], now)
        assert these.next(now) == "menu/1"
        these.done("menu/1", ONE, now)
        began = now
        while these.next(now + 0.5) is None:
            now += 0.5
        these.failed("orders/1")
        now += 0.5
        pauses.append(now - began)
    assert pauses[:3] == [1.0, 2.0, 4.0] and pauses[-1] == LONGEST_PAUSE_SECONDS
    assert these.next(now) == "orders/1"
    these.done("orders/1", ONE, now)
    sent(these, "orders/2", now)
    these.changed(["orders/3"], now)
    these.next(now)
    these.refused("orders/3", now)
    assert these.next(now + 1.0) == "orders/3"


def test_a_new_connection_ends_all_pauses() -> None:
    these = projections()
    these.changed(["orders/1"], 0.0)
    these.next(0.0)
    these.refused("orders/1", 0.0)
    assert these.next(0.0) is None
    these.connected(these.mark)
    assert these.next(0.0) == "orders/1"


def test_too_many_names_are_a_collection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 10)
    these = projections()
    these.changed(["menu/1"], 0.0)
    these.changed([f"orders/{number}" for number in range(10)], 0.0)
    assert these.is_unseen("orders") and not these.is_unseen("menu")
    assert these.waiting == 2 and these.waiting_of("orders") == 0


def test_of_many_documents_the_last_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_KNOWN", 2)
    these = projections()
    for number in range(3):
        sent(these, f"orders/{number}", 0.0)
    assert [these.has(f"orders/{number}", ONE) for number in range(3)] == [False, True, True]
