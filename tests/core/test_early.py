"""What is early waits for the one thing it lacks, and costs no more than its share."""

from functools import partial

import pytest

from gateway.core import early as module
from gateway.core.crdt import merge, trimmed
from gateway.core.early import Early
from gateway.core.errors import PeerError
from gateway.core.fingerprint import write_delete_set
from gateway.core.structs import read_update


def collected(client: int, clock: int, length: int) -> bytes:
    """An update of one struct without causes but the one before it."""
    return bytes((1, 1, client, clock, 0, length, 0))


def behind(client: int, clock: int, cause: int, cause_clock: int) -> bytes:
    """An update of one struct that was inserted after another client's."""
    return bytes((1, 1, client, clock, 0x84, cause, cause_clock, 1)) + b"x\x00"


def waiting_room() -> Early:
    return Early(partial(trimmed, "tests/one"))


def spans(update: bytes) -> list[tuple[int, int, int]]:
    return [(s.client, s.clock, s.end) for s in read_update(update).structs] if update else []


def test_nothing_waits() -> None:
    room = waiting_room()
    assert not room
    assert room.raw == ()
    assert room.release({}, ()) == b""
    assert room.add(b"\x00\x00")
    assert not room


def test_a_chain_over_clients_comes_out_at_once() -> None:
    room, clocks = waiting_room(), {1: 1}
    chain = [behind(client, 0, client - 1, 0) for client in range(9, 2, -1)]
    for update in chain:
        assert room.add(update)
        assert room.release(clocks, ()) == b""
    assert room.raw == tuple(chain)
    clocks[2] = 1
    released = room.release(clocks, [2])
    assert sorted(spans(released)) == [(client, 0, 1) for client in range(3, 10)]
    assert clocks == dict.fromkeys(range(1, 10), 1)
    assert not room


def test_an_update_is_taken_once() -> None:
    room = waiting_room()
    assert room.add(collected(1, 5, 1))
    assert room.add(collected(1, 5, 1))
    assert room.raw == (collected(1, 5, 1),)
    assert collected(1, 5, 1) in room


def test_overlapping_structs_are_cut() -> None:
    room, clocks = waiting_room(), {1: 1}
    for clock, length in ((2, 4), (4, 5), (3, 1), (6, 3)):
        room.add(collected(1, clock, length))
    clocks[1] = 3
    assert spans(room.release(clocks, [1])) == [(1, 3, 6), (1, 6, 9)]
    assert clocks == {1: 9}
    assert not room


def test_a_new_head_of_a_queue_waits_in_its_own_right() -> None:
    room, clocks = waiting_room(), {1: 5}
    room.add(behind(3, 1, 1, 7))
    assert room.release(clocks, ()) == b""
    room.add(behind(3, 0, 2, 0))
    assert room.release(clocks, ()) == b""
    clocks[1] = 8
    assert room.release(clocks, [1]) == b""
    clocks[2] = 1
    assert spans(room.release(clocks, [2])) == [(3, 0, 1), (3, 1, 2)]


def test_waiting_for_the_same_is_noted_once() -> None:
    room, clocks = waiting_room(), {1: 1}
    room.add(behind(3, 0, 2, 4))
    room.release(clocks, ())
    room.add(collected(3, 1, 1))
    room.release(clocks, ())
    assert room._waiting == {2: [(5, 3)]}
    clocks[2] = 4
    assert room.release(clocks, [2]) == b""
    clocks[2] = 5
    assert spans(room.release(clocks, [2])) == [(3, 0, 1), (3, 1, 2)]


def test_deletions_come_out_as_far_as_they_are_known() -> None:
    room, clocks = waiting_room(), {1: 5}
    update = b"\x00" + write_delete_set({1: [(3, 4), (4, 9)], 2: [(0, 1)]})
    room.add(update)
    room.add(b"\x00" + write_delete_set({1: [(2, 5)]}))
    assert read_update(room.release(clocks, ())).deletes == {1: [(2, 5)]}
    assert room.raw == (update,)
    clocks[1] = 9
    assert read_update(room.release(clocks, [1])).deletes == {1: [(5, 9)]}
    clocks[2] = 1
    assert read_update(room.release(clocks, [2])).deletes == {2: [(0, 1)]}
    assert not room


def test_what_became_known_otherwise_is_let_go() -> None:
    room, clocks = waiting_room(), {1: 1}
    room.add(merge([collected(1, 2, 1), collected(1, 5, 1)]))
    assert room.release(clocks, ()) == b""
    clocks[1] = 9
    assert room.release(clocks, [1]) == b""
    assert not room


def test_a_right_origin_and_a_parent_are_causes() -> None:
    right = bytes((1, 1, 3, 0, 0x44, 7, 0, 1)) + b"x\x00"
    parent = bytes((1, 1, 4, 0, 0x04, 0, 8, 0, 1)) + b"x\x00"
    room, clocks = waiting_room(), dict[int, int]()
    room.add(right)
    room.add(parent)
    assert room.release(clocks, ()) == b""
    clocks[7] = 1
    assert spans(room.release(clocks, [7])) == [(3, 0, 1)]
    clocks[8] = 1
    assert spans(room.release(clocks, [8])) == [(4, 0, 1)]


def test_the_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_EARLY_PIECES", 2)
    room = waiting_room()
    assert room.add(collected(1, 5, 1))
    assert room.add(b"\x00" + write_delete_set({1: [(7, 8)]}))
    assert not room.add(collected(1, 9, 1))
    assert room.add(collected(1, 9, 1), bounded=False)
    assert len(room.raw) == 3
    monkeypatch.setattr(module, "MAX_EARLY_PIECES", 9)
    monkeypatch.setattr(module, "MAX_EARLY_BYTES", 20)
    assert not room.add(collected(1, 11, 1))
    clocks = {1: 5}
    room.release(clocks, [1])
    assert room.add(collected(1, 11, 1))


def test_what_came_out_makes_room_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_EARLY_PIECES", 1)
    room = waiting_room()
    for clock in (5, 7, 9):
        assert room.add(collected(1, clock, 1))
        assert not room.add(collected(1, 20, 1))
        assert room.release({1: clock}, [1])


def test_a_character_known_by_half_is_cut() -> None:
    room = waiting_room()
    room.add(bytes.fromhex("01010500040101740661f09f918d6200"))
    released = room.release({5: 2}, ())
    assert [struct.content for struct in read_update(released).structs] == ["\ufffdb"]


def test_what_cannot_be_read_is_not_kept() -> None:
    room = waiting_room()
    with pytest.raises(PeerError):
        room.add(b"\x01\x01")
    assert not room
