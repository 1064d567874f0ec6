"""The rehearsal puts structs in the library's order, and stops where that gets costly."""

import random
from collections.abc import Callable, Iterator

import pytest
from pycrdt import Array, Doc, Map, Text, merge_updates

from gateway.core.errors import Code, PeerError
from gateway.core.facts import Span
from gateway.core.guard import deepest_nesting, inspect_update
from gateway.core.limits import Limits
from gateway.core.rehearsal import Piece, _Rehearsal
from gateway.core.sequence import Item, restore
from gateway.core.structs import SKIP, read_update
from tests.fuzz import shapes
from tests.fuzz.shapes import child_of, item, text, update

FREE = Limits()


def rehearsed(data: bytes, limits: Limits = FREE) -> _Rehearsal:
    """The rehearsal of an update, whatever its size."""
    read = read_update(data)
    pieces = []
    for struct in read.structs:
        if struct.reference != SKIP:
            place = None if struct.parent is None else (struct.parent, struct.parent_sub)
            pieces.append(
                Piece(
                    struct.client, struct.clock, struct.end, struct.reference,
                    struct.origin, struct.right_origin, place,
                )
            )  # fmt: skip
    rehearsal = _Rehearsal(limits)
    rehearsal.take(pieces)
    for client, ranges in read.deletes.items():
        for start, end in ranges:
            rehearsal.delete(Span(client, start, end))
    return rehearsal


def clocks(first: Piece | Item | None) -> Iterator[tuple[int, int]]:
    """Every clock of a sequence, in order."""
    while first is not None:
        yield from ((first.client, clock) for clock in range(first.clock, first.end))
        first = first.right


def edited_together(seed: int) -> bytes:
    """The state of three authors who write concurrently and exchange now and then."""
    chance = random.Random(seed)
    authors: list[Doc] = [Doc(client_id=client) for client in chance.sample(range(1, 99), 3)]
    for _ in range(60):
        author = chance.choice(authors)
        words = author.get("text", type=Text)
        keyed = author.get("map", type=Map)
        match chance.randrange(6):
            case 0 | 1 | 2:
                words.insert(chance.randint(0, len(words)), chance.choice("ab") * 3)
            case 3 if len(words) > 2:
                start = chance.randrange(len(words) - 1)
                del words[start : start + 2]
            case 4:
                keyed[chance.choice("xy")] = chance.randrange(9)
            case _:
                author.apply_update(chance.choice(authors).get_update())
    return merge_updates(*(author.get_update() for author in authors))


@pytest.mark.parametrize("seed", range(40))
def test_the_order_is_that_of_the_document(seed: int) -> None:
    whole = edited_together(seed)
    roots = restore(read_update(whole))
    found = rehearsed(whole)._types
    if "text" in roots:
        assert list(clocks(found["text"].first)) == list(clocks(roots["text"].first))
    entries = roots["map"].entries if "map" in roots else {}
    for key, entry in entries.items():
        last = found["map"].entries[key]
        assert (last.client, last.end) == (entry.client, entry.end)


@pytest.mark.parametrize(
    "shape",
    [
        shapes.crossing_rights, shapes.crossing_rights_up, shapes.no_origin_rights,
        shapes.cut_up, shapes.cut_by_origins, shapes.cut_values, shapes.map_rivals,
        shapes.nested_types, shapes.nested_types_deleted,
    ],
)  # fmt: skip
def test_what_costs_too_much_is_refused(shape: Callable[[int], bytes]) -> None:
    data = shape(12_000)
    with pytest.raises(PeerError) as caught:
        inspect_update(data)
    assert caught.value.code is Code.TOO_BIG
    assert inspect_update(shape(30)).structs > 0


def test_ascending_clients_at_one_place_are_refused() -> None:
    with pytest.raises(PeerError):
        inspect_update(shapes.client_stairs(1_900))


@pytest.mark.parametrize(
    "shape",
    [
        shapes.one_character_structs, shapes.same_place, shapes.same_origin, shapes.same_right,
        shapes.map_overwrites, shapes.format_marks, shapes.collected, shapes.deleted_structs,
        shapes.deleted_one_by_one,
    ],
)  # fmt: skip
def test_what_is_only_large_is_taken(shape: Callable[[int], bytes]) -> None:
    assert inspect_update(shape(20_000)).structs >= 20_000


def test_shared_types_nest_to_the_limit_and_no_deeper() -> None:
    assert inspect_update(shapes.nested_types(32)).nested == 31
    with pytest.raises(PeerError):
        inspect_update(shapes.nested_types(40))


def test_the_nesting_of_a_state_is_measured_whatever_the_limits() -> None:
    """Built up over many messages, in bytes where children stand before their parents."""
    types = [item(7, shapes._ARRAY, parent=child_of((9, clock))) for clock in range(3_000)]
    others = [item(7, shapes._ARRAY, parent=child_of((5, clock))) for clock in range(2_999)]
    root = item(7, shapes._ARRAY)
    assert deepest_nesting(update([(9, 0, [root, *others]), (5, 0, types)])) == 6_000
    assert deepest_nesting(shapes.format_marks(9_000)) == 0
    assert deepest_nesting(b"\x00\x00") == 0


def test_types_beside_each_other_are_not_nested() -> None:
    document: Doc[Array] = Doc()
    orders = document.get("orders", type=Array)
    for number in range(60):
        orders.append(Map({"lines": Array([number])}))
    assert inspect_update(document.get_update()).nested > 32


def test_chains_of_two_clients_are_seen() -> None:
    """Two clients by turns nest deeper; in the bytes the children stand before the parents."""
    low, high = [item(7, shapes._ARRAY)], []
    for clock in range(40):
        high.append(item(7, shapes._ARRAY, parent=child_of((1, clock))))
        low.append(item(7, shapes._ARRAY, parent=child_of((2, clock))))
    with pytest.raises(PeerError) as caught:
        inspect_update(update([(2, 0, high), (1, 0, low)]))
    assert caught.value.code is Code.TOO_BIG


def test_structs_that_wait_for_each_other_are_refused() -> None:
    one = [item(4, text("x" * 300), origin=(2, 1)), item(4, text("x"), origin=(2, 0))]
    two = [item(4, text("y"), origin=(1, 300)), item(4, text("y"), origin=(1, 0))]
    with pytest.raises(PeerError):
        rehearsed(update([(2, 0, two), (1, 0, one)]))


def test_a_long_way_through_other_clients_needs_no_stack() -> None:
    rehearsed(shapes.client_chain(2_000))


def test_neighbours_that_are_collected_or_elsewhere() -> None:
    data = update(
        [
            (
                1,
                0,
                [
                    b"\x00\x02",
                    item(4, text("ab"), origin=(1, 0)),
                    item(4, text("c"), right=(1, 1)),
                    item(4, text("d"), origin=(9, 9), right=(9, 12)),
                    item(4, text("e"), origin=(9, 9), right=(9, 14)),
                    item(4, text("f"), right=(9, 12)),
                    b"\x0a\x03",
                    item(4, text("g"), origin=(1, 8)),
                ],
            ),
            (
                3,
                5,
                [item(4, text("h"), origin=(3, 1)), item(4, text("i"), parent=child_of((3, 2)))],
            ),
        ],
        [(1, [(0, 1), (2, 1), (20, 5)]), (7, [(0, 4)])],
    )
    rehearsal = rehearsed(data)
    assert [piece.end for piece in rehearsal._clients[1].placed] == [2, 3, 4, 5, 6, 7, 8, 12]


def test_a_rival_whose_origin_is_elsewhere_ends_the_search() -> None:
    one = [item(4, text("a"), origin=(9, 1)), item(4, text("b"), origin=(1, 0))]
    two = [item(4, text("c"), origin=(9, 1))]
    placed = rehearsed(update([(2, 0, two), (1, 0, one)]))._clients[1].placed
    assert placed[1].left is placed[0] and placed[1].right is not None
    assert placed[1].right.client == 2


def test_deletions_cut_at_both_ends_once() -> None:
    data = update([(1, 0, [item(4, text("abcdef"))])], [(1, [(1, 2), (3, 1)])])
    placed = rehearsed(data)._clients[1].placed
    assert [(piece.clock, piece.end, piece.deleted) for piece in placed] == [
        (0, 1, False), (1, 3, True), (3, 4, True), (4, 6, False),
    ]  # fmt: skip


def test_map_values_are_cut_with_their_key() -> None:
    data = update([(1, 0, [item(8, b"\x03\x7f\x7e\x7f", key="k")])], [(1, [(0, 1)])])
    rehearsal = rehearsed(data)
    assert rehearsal._types["a"].entries["k"].clock == 1
