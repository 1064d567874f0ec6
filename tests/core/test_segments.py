"""Messages over small writes that may be lost, doubled, mixed up or cut."""

import json
import random
from collections.abc import Callable

import pytest

from gateway.core.errors import Code, PeerError
from gateway.core.framing import MESSAGE_BYTES
from gateway.core.segments import (
    CONGESTED_BYTES,
    CREDITS,
    GRANT,
    MAX_SEGMENT_BYTES,
    MIN_SEGMENT_BYTES,
    PATIENCE_SECONDS,
    START,
    WINDOW,
    Segments,
)
from tests.vectors import make_segments as made

TRACES = 1_000


def drained(side: Segments, now: float = 0.0) -> list[bytes]:
    """All that a side writes without hearing anything."""
    return list(iter(lambda: side.next_segment(now), None))


def exchange(first: Segments, second: Segments) -> tuple[list[bytes], list[bytes]]:
    """Carry everything until both are silent; what each was given."""
    given: tuple[list[bytes], list[bytes]] = ([], [])
    while True:
        moved = False
        for sender, receiver, taken in ((first, second, given[1]), (second, first, given[0])):
            for segment in drained(sender):
                moved = True
                message = receiver.receive(segment, 0.0)
                taken.extend([message] if message is not None else [])
        if not moved:
            return given


def refused(side: Segments, *segments: bytes) -> Code:
    """The code with which the last of the segments ends the link."""
    for segment in segments[:-1]:
        side.receive(segment, 0.0)
    with pytest.raises(PeerError) as caught:
        side.receive(segments[-1], 0.0)
    return caught.value.code


@pytest.mark.parametrize("size", [MIN_SEGMENT_BYTES, 182, 244, MAX_SEGMENT_BYTES])
def test_messages_of_any_size_arrive_in_order_both_ways(size: int) -> None:
    chance = random.Random(size)
    up = [chance.randbytes(length) for length in (1, size - 2, size - 1, size, 5_000, 1, 40_000)]
    down = [chance.randbytes(length) for length in (3, 9_000)]
    phone, gateway = Segments(size), Segments(size)
    for message in up:
        phone.send(message)
    for message in down:
        gateway.send(message)
    assert exchange(phone, gateway) == (down, up)
    assert phone.waiting_bytes == gateway.waiting_bytes == 0


def test_a_status_change_is_one_segment_with_two_bytes_around_it() -> None:
    side = Segments(MAX_SEGMENT_BYTES)
    side.send(bytes(45 + 16))
    [segment] = drained(side)
    assert len(segment) == 45 + 16 + 2


def test_no_more_than_the_window_is_under_way() -> None:
    sender, receiver = Segments(20), Segments(20)
    sender.send(bytes(10_000))
    first = drained(sender)
    assert len(first) == WINDOW
    for segment in first[:GRANT]:
        assert receiver.next_segment(0.0) is None
        receiver.receive(segment, 0.0)
    [grant] = drained(receiver)
    assert len(grant) == 2
    assert sender.receive(grant, 0.0) is None
    assert len(drained(sender)) == GRANT


def test_credits_travel_with_data() -> None:
    sender, receiver = Segments(20), Segments(20)
    sender.send(b"one")
    receiver.receive(drained(sender)[0], 0.0)
    receiver.send(b"two")
    [segment] = drained(receiver)
    assert segment == bytes([CREDITS | START, 1, 3]) + b"two"
    assert sender.receive(segment, 0.0) == b"two"


def test_a_session_is_asked_to_hold_back_until_it_is_sent() -> None:
    sender, receiver = Segments(512), Segments(512)
    sender.send(bytes(CONGESTED_BYTES + 1))
    assert sender.congested
    exchange(sender, receiver)
    assert not sender.congested


def test_a_peer_that_takes_nothing_is_given_up() -> None:
    side = Segments(20)
    side.send(bytes(20 * WINDOW * 2))
    drained(side, 5.0)
    side.check(5.0 + PATIENCE_SECONDS - 0.1)
    assert side.next_segment(9.0) is None
    with pytest.raises(PeerError) as caught:
        side.check(5.0 + PATIENCE_SECONDS)
    assert caught.value.code is Code.TIMEOUT


def test_a_message_that_goes_no_further_is_given_up() -> None:
    side = Segments(20)
    side.receive(bytes([START, 9]) + b"begun", 5.0)
    side.check(5.0 + PATIENCE_SECONDS - 0.1)
    with pytest.raises(PeerError) as caught:
        side.check(5.0 + PATIENCE_SECONDS)
    assert caught.value.code is Code.TIMEOUT
    side.receive(bytes([1]) + b"done", 6.0)
    side.check(1_000.0)


@pytest.mark.parametrize("size", [19, 513])
def test_a_segment_has_the_size_of_a_write(size: int) -> None:
    with pytest.raises(ValueError, match="20 to 512"):
        Segments(size)


@pytest.mark.parametrize(("name", "segments", "code"), made.REFUSED)
def test_what_does_not_fit_ends_the_link(name: str, segments: list[str], code: int) -> None:
    assert refused(Segments(20), *map(bytes.fromhex, segments)) == code


def test_the_vectors_are_current() -> None:
    assert made.vectors() == json.loads(made.VECTORS.read_text())


def test_a_stranger_is_given_less_room() -> None:
    side = Segments(20, limit_bytes=100)
    assert refused(side, bytes([START, 101]) + b"a") is Code.TOO_BIG
    known = Segments(20, limit_bytes=100)
    known.limit_bytes = MESSAGE_BYTES
    assert known.receive(bytes([START, 101]) + b"a", 0.0) is None


def test_who_sends_without_a_credit_is_cut_off() -> None:
    data = [bytes([number & 31]) + b"a" for number in range(1, WINDOW + 1)]
    side = Segments(20)
    assert refused(side, bytes([START, 100]) + b"a", *data) is Code.MALFORMED


def lose(chance: random.Random, wire: list[bytes]) -> None:
    del wire[chance.randrange(len(wire))]


def double(chance: random.Random, wire: list[bytes]) -> None:
    place = chance.randrange(len(wire))
    wire.insert(place, wire[place])


def swap(chance: random.Random, wire: list[bytes]) -> None:
    place = chance.randrange(len(wire))
    wire.insert(chance.randrange(len(wire)), wire.pop(place))


def cut(chance: random.Random, wire: list[bytes]) -> None:
    place = chance.randrange(len(wire))
    wire[place] = wire[place][: chance.randrange(len(wire[place]))]


def lose_a_run(chance: random.Random, wire: list[bytes]) -> None:
    del wire[chance.randrange(len(wire)) :]


FAULTS: list[Callable[[random.Random, list[bytes]], None]] = [lose, double, swap, cut, lose_a_run]


@pytest.mark.parametrize("seed", range(TRACES // 50))
def test_the_very_bytes_arrive_or_the_link_ends(seed: int) -> None:
    for trace in range(50):
        chance = random.Random(f"{seed} {trace}")
        size = chance.randint(MIN_SEGMENT_BYTES, MAX_SEGMENT_BYTES)
        sides = Segments(size), Segments(size)
        sent: tuple[list[bytes], list[bytes]] = ([], [])
        given: tuple[list[bytes], list[bytes]] = ([], [])
        faults = chance.choice([0.0, 0.02, 0.2])
        ended = _course(chance, sides, sent, given, faults)
        for one, other in ((0, 1), (1, 0)):
            assert given[one] == sent[other][: len(given[one])]
            assert ended or given[one] == sent[other]


def _course(
    chance: random.Random,
    sides: tuple[Segments, Segments],
    sent: tuple[list[bytes], list[bytes]],
    given: tuple[list[bytes], list[bytes]],
    faults: float,
) -> bool:
    """Run a link until it ended or both are silent and content; whether it ended."""
    try:
        for turn in range(60):
            for sender, receiver in ((0, 1), (1, 0)):
                if turn < 20 and chance.random() < 0.5:
                    message = chance.randbytes(chance.choice([1, 45, 600, 6_000]))
                    sides[sender].send(message)
                    sent[sender].append(message)
                wire = drained(sides[sender], float(turn))
                if wire and chance.random() < faults:
                    chance.choice(FAULTS)(chance, wire)
                for segment in wire:
                    whole = sides[receiver].receive(segment, float(turn))
                    given[receiver].extend([whole] if whole is not None else [])
        # Nobody has anything to say: what is missing is noticed by time, or by what comes next.
        for side, messages in zip(sides, sent, strict=True):
            side.check(1_000.0)
            side.send(b"still there?")
            messages.append(b"still there?")
        for _ in range(400):
            for sender, receiver in ((0, 1), (1, 0)):
                for segment in drained(sides[sender], 1_000.0):
                    whole = sides[receiver].receive(segment, 1_000.0)
                    given[receiver].extend([whole] if whole is not None else [])
        for side in sides:
            side.check(2_000.0)
    except PeerError:
        return True
    return False
