"""Who is called, who is not and why, and which of two links goes."""

from collections.abc import Hashable
from dataclasses import replace
from itertools import permutations

import pytest

from gateway.core.announcement import Neighbour
from gateway.core.neighbours import (
    CROSSING_SECONDS,
    MAX_CALLS,
    MAX_NEIGHBOURS,
    PATIENCE_SECONDS,
    PROBLEM_CHARACTERS,
    Neighbours,
    Own,
)

LOW, OUR, HIGH = "1" * 32, "5" * 32, "9" * 32
IP = "10.0.0.1"


def made(*, large: bool = True, announced: bool = True, peer: str = OUR) -> Neighbours:
    return Neighbours(Own(peer, 1, 1, "", large, announced))


def it(peer: str, *, large: bool = True, addresses: tuple[str, ...] = (IP,)) -> Neighbour:
    return Neighbour(peer, 1, 1, "", large, 8787, addresses)


def state(neighbours: Neighbours, peer: str, now: float) -> object:
    return next(row["state"] for row in neighbours.listed(now) if row["peer"] == peer)


def sentence(neighbours: Neighbours, peer: str) -> str:
    return next(str(row["sentence"]) for row in neighbours.listed(0.0) if row["peer"] == peer)


def open_link(
    neighbours: Neighbours,
    key: str,
    peer: str,
    *,
    calling: bool = True,
    ip: str = "",
    now: float = 0.0,
) -> Hashable | None:
    return neighbours.opened(key, peer, calling=calling, announced_ip=ip, now=now)


@pytest.mark.parametrize(
    ("our_size", "their_size", "announced", "peer", "at_once", "later"),
    [
        ("large", "large", True, HIGH, "called", "called"),
        ("large", "large", True, LOW, "waits", "called"),
        ("large", "small", True, HIGH, "calls-us", "calls-us"),
        ("large", "small", True, LOW, "calls-us", "calls-us"),
        ("small", "large", True, LOW, "called", "called"),
        ("small", "large", False, LOW, "called", "called"),
        ("small", "small", True, HIGH, "called", "called"),
        ("small", "small", True, LOW, "waits", "called"),
        # Whom nobody sees nobody calls.
        ("small", "small", False, LOW, "called", "called"),
        ("large", "large", False, LOW, "called", "called"),
    ],
)
def test_who_calls_whom(
    our_size: str, their_size: str, announced: bool, peer: str, at_once: str, later: str
) -> None:
    neighbours = made(large=our_size == "large", announced=announced)
    assert neighbours.seen(it(peer, large=their_size == "large"), 100.0) == []
    assert state(neighbours, peer, 100.0) == at_once
    assert state(neighbours, peer, 99.9 + PATIENCE_SECONDS) == at_once
    assert state(neighbours, peer, 100.0 + PATIENCE_SECONDS) == later
    assert (neighbours.calls(100.0) == {peer}) == (at_once == "called")


def test_ourselves_are_no_neighbour() -> None:
    neighbours = made()
    neighbours.seen(it(OUR), 0.0)
    assert neighbours.listed(0.0) == [] and neighbours.neighbour(OUR) is None


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"store": "ab"}, "other-store"),
        ({"lowest": 2, "highest": 3}, "version"),
        ({"addresses": ()}, "no-address"),
    ],
)
def test_who_is_not_called_and_why(change: dict[str, object], why: str) -> None:
    neighbours = made()
    neighbours.seen(replace(it(HIGH), **change), 0.0)  # type: ignore[arg-type]
    assert state(neighbours, HIGH, 99.0) == why and neighbours.calls(99.0) == set()
    assert sentence(neighbours, HIGH)
    # It may be mended.
    neighbours.seen(it(HIGH), 1.0)
    assert state(neighbours, HIGH, 99.0) == "called"


@pytest.mark.parametrize("calling", [True, False])
def test_who_is_linked_is_not_called(calling: bool) -> None:
    neighbours = made()
    neighbours.seen(it(HIGH), 0.0)
    assert open_link(neighbours, "a", HIGH, calling=calling) is None
    assert neighbours.calls(99.0) == set() and state(neighbours, HIGH, 99.0) == "linked"
    assert neighbours.linked(HIGH) and not neighbours.linked(LOW)
    neighbours.closed("a", HIGH, 50.0)
    neighbours.closed("a", HIGH, 50.0)
    assert neighbours.calls(50.0) == {HIGH}


def test_after_a_link_the_larger_waits_again() -> None:
    neighbours = made()
    neighbours.seen(it(LOW), 0.0)
    open_link(neighbours, "a", LOW, calling=False, now=1.0)
    neighbours.closed("a", LOW, 50.0)
    assert state(neighbours, LOW, 50.0) == "waits"
    assert state(neighbours, LOW, 50.0 + PATIENCE_SECONDS) == "called"


def test_a_link_outlives_the_announcement() -> None:
    neighbours = made()
    neighbours.seen(it(HIGH), 0.0)
    open_link(neighbours, "a", HIGH)
    neighbours.gone(HIGH)
    neighbours.gone(LOW)
    assert [row["announced"] for row in neighbours.listed(0.0)] == [False]
    neighbours.seen(it(HIGH), 1.0)
    assert [row["announced"] for row in neighbours.listed(0.0)] == [True]
    neighbours.all_gone()
    neighbours.closed("a", HIGH, 9.0)
    assert neighbours.listed(9.0) == []


def test_who_is_gone_is_forgotten() -> None:
    neighbours = made()
    neighbours.seen(it(HIGH), 0.0)
    neighbours.seen(it(LOW), 0.0)
    neighbours.gone(HIGH)
    assert neighbours.neighbour(HIGH) is None and neighbours.neighbour(LOW) == it(LOW)
    neighbours.all_gone()
    assert neighbours.listed(0.0) == []


def test_of_strangers_only_the_links_are_known() -> None:
    neighbours = made()
    assert open_link(neighbours, "a", HIGH, calling=False) is None
    neighbours.failed(HIGH, "no")
    assert neighbours.listed(0.0) == [] and neighbours.linked(HIGH)
    neighbours.closed("a", HIGH, 1.0)
    assert not neighbours.linked(HIGH)


@pytest.mark.parametrize("order", list(permutations(["low's", "high's"])))
@pytest.mark.parametrize("other_order", list(permutations(["low's", "high's"])))
@pytest.mark.parametrize("low_large", [True, False])
def test_of_crossing_calls_both_sides_drop_the_one_of_the_larger_id(
    order: tuple[str, ...], other_order: tuple[str, ...], low_large: bool
) -> None:
    def drops(own: str, peer: str, links: tuple[str, ...]) -> list[Hashable]:
        neighbours = made(peer=own, large=low_large)
        found = []
        for seconds, key in enumerate(links):
            calling = (key == "low's") == (own == LOW)
            ip = IP if calling else ""
            found.append(
                open_link(neighbours, key, peer, calling=calling, ip=ip, now=float(seconds))
            )
        assert not neighbours.calls(9.0)
        return found

    assert drops(LOW, HIGH, order) == drops(HIGH, LOW, other_order) == [None, "high's"]


@pytest.mark.parametrize("peer", [LOW, HIGH])
@pytest.mark.parametrize("calling", [True, False])
def test_who_calls_again_has_lost_the_link_there_was(peer: str, calling: bool) -> None:
    neighbours = made()
    open_link(neighbours, "old", peer, calling=not calling)
    now = CROSSING_SECONDS + 0.1
    assert open_link(neighbours, "new", peer, calling=calling, now=now) == "old"


def test_a_peer_may_call_us_twice() -> None:
    neighbours = made()
    open_link(neighbours, "a", LOW, calling=False)
    assert open_link(neighbours, "b", LOW, calling=False) is None
    neighbours.closed("a", LOW, 1.0)
    assert neighbours.linked(LOW)
    neighbours.closed("b", LOW, 1.0)
    assert not neighbours.linked(LOW)


def test_whom_we_were_told_to_call_is_not_called_by_discovery_too() -> None:
    neighbours = made()
    open_link(neighbours, "told", HIGH)
    assert open_link(neighbours, "found", HIGH, ip=IP) == "found"
    neighbours = made()
    open_link(neighbours, "found", HIGH, ip=IP)
    assert open_link(neighbours, "told", HIGH) == "found"
    neighbours = made()
    open_link(neighbours, "told", HIGH)
    assert open_link(neighbours, "told twice", HIGH) is None


def test_a_link_to_an_address_that_is_announced_no_more_ends() -> None:
    neighbours = made()
    neighbours.seen(it(HIGH, addresses=("10.0.0.1", "10.0.0.2")), 0.0)
    open_link(neighbours, "told", HIGH)
    open_link(neighbours, "found", HIGH, ip="10.0.0.2")
    assert neighbours.seen(it(HIGH, addresses=("10.0.0.2", "10.0.0.3")), 1.0) == []
    assert neighbours.seen(it(HIGH, addresses=("10.0.0.3",)), 1.0) == ["found"]


def test_problems_are_shown_until_a_link_is_open_or_the_address_another() -> None:
    neighbours = made()
    neighbours.seen(it(HIGH), 0.0)
    neighbours.failed(HIGH, "x" * 999)
    assert sentence(neighbours, HIGH) == "x" * PROBLEM_CHARACTERS
    neighbours.seen(it(HIGH), 1.0)
    assert sentence(neighbours, HIGH).startswith("x")
    neighbours.seen(it(HIGH, addresses=("10.0.0.2",)), 1.0)
    assert sentence(neighbours, HIGH) == "being called"
    neighbours.failed(HIGH, "no")
    open_link(neighbours, "a", HIGH)
    assert sentence(neighbours, HIGH) == "linked"


def numbered(number: int) -> str:
    return f"{number:032x}"


def test_a_bounded_number_is_called_the_large_and_the_next_in_the_ring_first() -> None:
    neighbours = made(large=False, announced=False, peer=numbered(50))
    for number in range(100):
        if number != 50:
            neighbours.seen(it(numbered(number), large=number % 10 == 0), 0.0)
    called = {int(peer, 16) for peer in neighbours.calls(0.0)}
    large = {number for number in range(0, 100, 10) if number != 50}
    small = [number for number in range(51, 100) if number % 10][: MAX_CALLS - len(large)]
    assert called == large | set(small)
    assert state(neighbours, numbered(49), 0.0) == "enough"
    # Who does not answer makes room for others.
    neighbours.failed(numbered(51), "no")
    assert numbered(51) not in neighbours.calls(0.0)
    assert len(neighbours.calls(0.0)) == MAX_CALLS


def test_links_made_by_discovery_count() -> None:
    neighbours = made()
    for number in range(MAX_CALLS + 1):
        open_link(neighbours, f"a{number}", numbered(number), ip=IP)
        open_link(neighbours, f"b{number}", numbered(1_000 + number), calling=False)
    neighbours.seen(it(HIGH), 0.0)
    assert state(neighbours, HIGH, 0.0) == "enough"
    neighbours.closed("a0", numbered(0), 0.0)
    neighbours.closed("a1", numbered(1), 0.0)
    assert state(neighbours, HIGH, 0.0) == "called"


def test_in_a_ring_all_stay_connected() -> None:
    peers = [numbered(number * 7919) for number in range(1, 91)]
    edges = {}
    for own in peers:
        neighbours = made(large=False, peer=own)
        for peer in peers:
            neighbours.seen(it(peer, large=False), 0.0)
        edges[own] = neighbours.calls(PATIENCE_SECONDS)
        assert len(edges[own]) == MAX_CALLS
    reached, new = {peers[0]}, {peers[0]}
    while new := {peer for own in new for peer in edges[own]} - reached:
        reached |= new
    assert reached == set(peers)
    called = [sum(peer in calls for calls in edges.values()) for peer in peers]
    assert max(called) == MAX_CALLS


def test_who_is_of_use_is_remembered() -> None:
    neighbours = made()
    for number in range(MAX_NEIGHBOURS):
        neighbours.seen(it(numbered(number + 1)), 0.0)
    neighbours.seen(it(HIGH), 0.0)
    assert neighbours.neighbour(HIGH) is None
    open_link(neighbours, "a", numbered(7))
    neighbours.failed(numbered(7), "closed again")
    neighbours.seen(it(HIGH), 0.0)
    assert neighbours.neighbour(HIGH) is None
    neighbours.failed(numbered(9), "does not answer")
    neighbours.seen(it(HIGH), 0.0)
    assert neighbours.neighbour(HIGH) and neighbours.neighbour(numbered(9)) is None
    neighbours.seen(replace(it(numbered(3)), store="ab"), 0.0)
    neighbours.seen(it(LOW), 0.0)
    assert neighbours.neighbour(LOW) and neighbours.neighbour(numbered(3)) is None
    assert len(neighbours.listed(0.0)) == MAX_NEIGHBOURS
