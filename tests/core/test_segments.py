"""Messages over small writes that may be lost, doubled, mixed up or cut."""

import json
import random
from collections.abc import Callable

import pytest

from gateway.core.errors import Code, PeerError
from gateway.core.noise_transport import SEALED_BYTES
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
    up.append(chance.randbytes(SEALED_BYTES))
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
    known.limit_bytes = SEALED_BYTES
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


class Course:
    """Two sides that say things, move, and are given what the other said, with faults on the way.

    What did not go whole when a side moved, and all it says after, is handed over by another way,
    which is read once MOVED came.
    """

    def __init__(self, seed: str) -> None:
        self.chance = random.Random(seed)
        size = self.chance.randint(MIN_SEGMENT_BYTES, MAX_SEGMENT_BYTES)
        self.sides = Segments(size), Segments(size)
        self.sent: tuple[list[bytes], list[bytes]] = ([], [])
        self.given: tuple[list[bytes], list[bytes]] = ([], [])
        self.elsewhere: list[list[bytes] | None] = [None, None]
        self.moves = self.chance.randrange(40)
        self.moving = self.chance.random() < 0.5

    def say(self, number: int, message: bytes) -> None:
        self.sent[number].append(message)
        elsewhere = self.elsewhere[number]
        if elsewhere is None:
            self.sides[number].send(message)
        else:
            elsewhere.append(message)

    def move(self, number: int) -> None:
        if self.elsewhere[number] is None:
            self.elsewhere[number] = self.sides[number].move()

    def carry(self, now: float, faults: float) -> None:
        for sender, receiver in ((0, 1), (1, 0)):
            wire = drained(self.sides[sender], now)
            if wire and self.chance.random() < faults:
                self.chance.choice(FAULTS)(self.chance, wire)
            given = self.given[receiver]
            for segment in wire:
                whole = self.sides[receiver].receive(segment, now)
                given.extend([whole] if whole is not None else [])
            elsewhere = self.elsewhere[sender]
            if elsewhere and self.sides[receiver].moved_in:
                given += elsewhere
                elsewhere.clear()

    def run(self, faults: float) -> None:
        """Until both sides are content; raises ``PeerError`` where a link ends."""
        for turn in range(60):
            for number in (0, 1):
                if turn < 20 and self.chance.random() < 0.5:
                    self.say(number, self.chance.randbytes(self.chance.choice([1, 45, 600, 6_000])))
            if self.moving and turn == self.moves:
                self.move(0)
            if self.sides[1].moved_in:
                self.move(1)
            self.carry(float(turn), faults)
        # Nobody has anything to say: what is missing is noticed by time, or by what comes next.
        for number, side in enumerate(self.sides):
            side.check(1_000.0)
            self.say(number, b"still there?")
        for _ in range(400):
            self.carry(1_000.0, 0.0)
        for side in self.sides:
            side.check(2_000.0)


@pytest.mark.parametrize("seed", range(TRACES // 50))
def test_the_very_bytes_arrive_or_the_link_ends(seed: int) -> None:
    for trace in range(50):
        course = Course(f"{seed} {trace}")
        ended = False
        try:
            course.run(course.chance.choice([0.0, 0.02, 0.2]))
        except PeerError:
            ended = True
        for one, other in ((0, 1), (1, 0)):
            given, sent = course.given[one], course.sent[other]
            assert given == sent[: len(given)]
            assert ended or given == sent
        assert ended or course.sides[0].moved_in is course.moving


def test_a_move_hands_back_what_did_not_go_whole() -> None:
    sender, receiver = Segments(20), Segments(20)
    messages = [b"first", bytes(10_000), b"last"]
    for message in messages:
        sender.send(message)
    [first, *_] = [receiver.receive(segment, 0.0) for segment in drained(sender)]
    assert first == b"first"
    assert sender.move() == messages[1:]
    assert sender.waiting_bytes == 0
    [moved] = drained(sender)
    assert len(moved) == 1
    assert receiver.receive(moved, 0.0) is None
    assert sender.moved_out
    assert receiver.moved_in
    receiver.move()
    assert sender.receive(drained(receiver)[0], 0.0) is None
    # What was missing of the message is not waited for.
    receiver.check(1_000.0)
    sender.check(1_000.0)


@pytest.mark.parametrize("mover", [0, 1])
def test_a_side_that_moves_alone_is_given_up(mover: int) -> None:
    sides = Segments(20), Segments(20)
    sides[mover].move()
    [moved] = drained(sides[mover], 5.0)
    sides[1 - mover].receive(moved, 5.0)
    for side in sides:
        side.check(5.0 + PATIENCE_SECONDS - 0.1)
        with pytest.raises(PeerError) as caught:
            side.check(5.0 + PATIENCE_SECONDS)
        assert caught.value.code is Code.TIMEOUT


def test_no_credits_are_given_while_too_much_is_there() -> None:
    sender, receiver = Segments(20), Segments(20)
    receiver.holding = True
    sender.send(bytes(1_000))
    for segment in drained(sender):
        receiver.receive(segment, 0.0)
    receiver.send(b"busy")
    [segment] = drained(receiver)
    assert not segment[0] & CREDITS
    receiver.holding = False
    [segment] = drained(receiver)
    assert segment[1] == WINDOW
