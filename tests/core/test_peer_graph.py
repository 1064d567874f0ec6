"""Announcements of links: newest wins, passed on once, bounded, forgotten."""

from dataclasses import replace

import pytest

from gateway.core import messages as m
from gateway.core import peer_graph
from gateway.core.peer_graph import (
    BURST,
    LIFETIME_SECONDS,
    MAX_LINKS,
    MAX_ORIGINS,
    MAX_REACHED,
    MAX_ROUND_TRIP_MS,
    MAX_SEQUENCE,
    RENEW_SECONDS,
    Entries,
    PeerGraph,
    link_entry,
)


def peer(number: int) -> bytes:
    return number.to_bytes(16, "big")


def own(number: int, **about: str) -> m.PeerEntry:
    return m.PeerEntry(peer(number), 1, b"", 0, 0, tuple(about.items()))


def link(number: int, via: int, **about: str) -> m.PeerEntry:
    return m.PeerEntry(peer(number), 0, peer(via), 1, 5, tuple(about.items()))


def said(origin: int, *links: int, seq: int = 1, age: int = 0) -> Entries:
    entries = (link(number, origin) for number in links)
    return own(origin, seq=str(seq), age=str(age)), *entries


def ids(graph: PeerGraph, *links: int, now: float = 0.0) -> list[tuple[int, int]]:
    """Who is reached, and in how many hops."""
    reached = graph.reached([link(number, 1) for number in links], now)
    return [(int(one.peer, 16), one.hops) for one in reached]


def hear(graph: PeerGraph, entries: Entries, sender: int = 2, now: float = 0.0) -> Entries | None:
    return graph.hear("link", peer(sender), entries, {peer(2)}, now)


def test_what_lies_beyond_a_peer() -> None:
    graph = PeerGraph(own(1))
    assert hear(graph, said(2, 1, 3)) == said(2, 1, 3)
    assert hear(graph, said(3, 2, 4)) == said(3, 2, 4)
    assert ids(graph, 2) == [(2, 1), (3, 2), (4, 3)]
    # Nobody there any more who leads on.
    assert ids(graph) == []
    assert ids(graph, 3) == [(3, 1), (2, 2), (4, 2)]


def test_the_newest_counts_and_is_passed_on_once() -> None:
    graph = PeerGraph(own(1))
    assert hear(graph, said(2, 3, seq=5)) is not None
    assert hear(graph, said(2, 3, seq=5)) is None
    assert hear(graph, said(2, 4, seq=4)) is None
    assert hear(graph, said(2, 5, seq=6)) is not None
    assert ids(graph, 2) == [(2, 1), (5, 2)]


def test_a_peer_that_is_linked_speaks_for_itself() -> None:
    graph = PeerGraph(own(1))
    assert hear(graph, said(2, 9, seq=9), sender=3) is None
    assert hear(graph, said(2, 4), sender=2) is not None


def test_age_travels_with_it() -> None:
    graph = PeerGraph(own(1))
    heard = hear(graph, said(2, 3, age=100), now=10.0)
    assert heard is not None and dict(heard[0].about)["age"] == "100"
    (again,) = graph.everything(30.0)
    assert dict(again[0].about) == {"seq": "1", "age": "120"}
    graph.expire(LIFETIME_SECONDS - 91.0)
    assert ids(graph, 2)[1:]
    graph.expire(LIFETIME_SECONDS - 90.0)
    assert list(graph.everything(LIFETIME_SECONDS - 90.0)) == []
    assert hear(graph, said(2, 3, age=LIFETIME_SECONDS)) is None


def test_own_links_are_told_when_they_change_and_again() -> None:
    graph = PeerGraph(own(1, name="one"))
    assert list(graph.everything(0.0)) == []
    first = graph.announce([link(2, 1, name="a", since="1")], 0.0)
    assert first is not None
    assert dict(first[0].about) == {"seq": "1", "age": "0", "name": "one"}
    # Older and faster only.
    same = [replace(link(2, 1, name="a", since="9"), round_trip_ms=1)]
    assert graph.announce(same, 5.0) is None
    changed = graph.announce([link(2, 1, name="b")], 6.0)
    assert changed is not None and dict(changed[0].about)["seq"] == "2"
    assert graph.announce([link(2, 1, name="b")], 6.0 + RENEW_SECONDS) is not None
    assert dict(next(graph.everything(70.0))[0].about)["age"] == "4"


def test_a_device_that_started_anew_goes_on_above_its_old_number() -> None:
    graph = PeerGraph(own(1))
    graph.announce([], 0.0)
    assert hear(graph, said(1, 7, seq=50)) is None
    again = graph.announce([], 1.0)
    assert again is not None and dict(again[0].about)["seq"] == "51"
    # What it knows already, or what nobody reaches, changes nothing.
    for number in (50, 51, MAX_SEQUENCE // 2):
        hear(graph, said(1, 7, seq=number))
    assert graph.announce([], 2.0) is None


@pytest.mark.parametrize(
    "wrong",
    [
        (),
        (own(3),),
        (own(3, seq="1"),),
        (own(3, seq="-1", age="0"),),
        (own(3, seq="٣", age="0"),),
        (own(3, seq="1" * 16, age="0"),),
        said(3, seq=MAX_SEQUENCE),
        (*said(3), link(4, 5)),
        said(3, 4, 4),
        said(3, 3),
        (replace(said(3)[0], via=peer(2)),),
        said(3, *range(10, 11 + MAX_LINKS)),
        (*said(3), replace(link(4, 3), round_trip_ms=MAX_ROUND_TRIP_MS + 1)),
        (*said(3), *(link(n, 3, name="x" * 256) for n in range(10, 200))),
    ],
)
def test_what_is_not_right_is_dropped(wrong: Entries) -> None:
    graph = PeerGraph(own(1))
    assert hear(graph, wrong) is None
    assert list(graph.everything(0.0)) == []


def test_only_so_many_at_once() -> None:
    graph = PeerGraph(own(1))
    for number in range(BURST):
        assert hear(graph, said(2, seq=number + 1)) is not None
    assert hear(graph, said(2, seq=BURST + 1)) is None
    assert hear(graph, said(2, seq=BURST + 1), now=0.25) is not None
    assert hear(graph, said(2, seq=BURST + 2), now=0.25) is None
    graph.left("link")
    assert hear(graph, said(2, seq=BURST + 2), now=0.25) is not None


def test_who_is_linked_always_has_room() -> None:
    graph = PeerGraph(own(1))
    for number in range(10, 10 + MAX_ORIGINS):
        assert hear(graph, said(number)) is not None
    assert hear(graph, said(9)) is None
    assert hear(graph, said(2)) is not None
    assert len(list(graph.everything(0.0))) == MAX_ORIGINS
    everybody = {peer(number) for number in range(1000)}
    assert graph.hear("link", peer(9), said(9), everybody, 0.0) is None


def test_an_announcement_is_bounded() -> None:
    graph = PeerGraph(own(1))
    links = [link(number, 1) for number in range(10, 20 + MAX_LINKS)]
    few = graph.announce([*links, *links], 0.0)
    assert few is not None and len(few) == 1 + MAX_LINKS
    large = [link(number, 1, name="x" * 256) for number in range(10, 10 + MAX_LINKS)]
    cut = graph.announce(large, 1.0)
    assert cut is not None and 100 < len(cut) < MAX_LINKS
    assert len(m.encode(m.Peers(cut))) <= peer_graph.MAX_ANNOUNCEMENT_BYTES
    assert hear(PeerGraph(own(2)), cut) is not None


def test_a_link_as_it_is_told_and_shown() -> None:
    about = {"app": "kiosk", "name": "n" * 300, "client": "7", "schema": ""}
    wants = ["orders", "menu", "orders", *(f"{n:02}{'x' * 60}" for n in range(9))]
    entry = link_entry(
        peer(2), peer(1), large=True, round_trip_ms=0.4, about=about, since_seconds=7.9, wants=wants
    )
    bare = link_entry(
        peer(3), peer(2), large=False, round_trip_ms=None, about={}, since_seconds=0, wants=[]
    )
    assert dict(bare.about) == {"since": "0"} and bare.role == 0
    graph = PeerGraph(own(1))
    (row,) = graph.reached([entry], 50.0)
    assert (row.via, row.hops, row.large, row.since_seconds) == ("", 1, True, 7)
    assert row.about == {"app": "kiosk", "name": "n" * 48} and row.links == ()
    assert row.wants[:2] == ("orders", "menu") and len(row.wants) == 5
    hear(graph, (*said(2), bare), now=10.0)
    near, far = graph.reached([entry], 50.0)
    assert near.links == (peer(3).hex(),)
    assert (far.via, far.since_seconds) == (peer(2).hex(), 40)
    odd = replace(bare, about=(("since", "?"),))
    hear(graph, (*said(2, seq=2), odd), now=50.0)
    assert graph.reached([entry], 50.0)[1].since_seconds == 0


def test_five_in_a_ring_all_know_the_same_and_it_ends() -> None:
    graphs = [PeerGraph(own(number)) for number in range(5)]
    beside = [((n - 1) % 5, (n + 1) % 5) for n in range(5)]
    waiting: list[tuple[int, int, Entries]] = []
    for number, graph in enumerate(graphs):
        entries = graph.announce([link(other, number) for other in beside[number]], 0.0)
        assert entries is not None
        waiting += [(number, other, entries) for other in beside[number]]
    sent = 0
    while waiting:
        source, target, entries = waiting.pop(0)
        sent += 1
        direct = {peer(other) for other in beside[target]}
        passed = graphs[target].hear(source, peer(source), entries, direct, 0.0)
        if passed is not None:
            waiting += [(target, other, passed) for other in beside[target] if other != source]
    assert sent <= 5 * 2 * 5
    for number, graph in enumerate(graphs):
        reached = graph.reached([link(other, number) for other in beside[number]], 0.0)
        assert sorted(one.hops for one in reached) == [1, 1, 2, 2]


def test_a_graph_made_up_by_one_peer_is_listed_in_part() -> None:
    graph = PeerGraph(own(1))
    origins = range(3, MAX_ORIGINS)
    assert hear(graph, said(2, *origins)) is not None
    for origin in origins:
        assert hear(graph, said(origin, *range(1_000 * origin, 1_000 * origin + MAX_LINKS)))
    reached = ids(graph, 2)
    # The nearest are among them.
    assert len(reached) == MAX_REACHED and set(origins) <= {number for number, _ in reached}
