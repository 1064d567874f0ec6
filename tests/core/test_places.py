"""Who has a place among the phones, and who goes for whom."""

import random

from gateway.core.opening import PLACES
from gateway.core.places import (
    GRACE_SECONDS,
    IDLE_SECONDS,
    REFUSED_SECONDS,
    RESERVE,
    STRANGER_SECONDS,
    Places,
)


def filled(count: int, *, enrolled: bool = True, now: float = 0.0) -> Places:
    places = Places()
    for number in range(count):
        assert places.joined(f"old {number}", now) == []
        if enrolled:
            places.enrolled(f"old {number}", now)
    return places


def test_places_are_counted() -> None:
    places = filled(2)
    assert places.free == PLACES - 2
    places.left("old 0")
    places.left("nobody")
    assert places.free == PLACES - 1


def test_who_does_not_authenticate_goes_whether_it_opens_a_link_or_not() -> None:
    places = filled(1)
    places.joined("silent", 0.0)
    places.joined("busy", 0.0)
    places.heard("busy", STRANGER_SECONDS - 1)
    assert places.due(STRANGER_SECONDS - 0.1) == []
    assert places.due(STRANGER_SECONDS) == ["silent", "busy"]
    assert places.due(STRANGER_SECONDS + 1) == ["silent", "busy"]
    places.left("silent")
    assert places.due(STRANGER_SECONDS + 1) == ["busy"]
    assert places.free == PLACES - 1


def test_places_are_left_for_members_the_stranger_silent_for_longest_goes() -> None:
    places = filled(PLACES - RESERVE, enrolled=False)
    for number in range(PLACES - RESERVE):
        places.heard(f"old {number}", 3.0 - 0.1 * number)
    assert places.joined("new", 3.0 + GRACE_SECONDS) == [f"old {PLACES - RESERVE - 1}"]
    assert places.free == RESERVE


def test_who_is_busy_authenticating_is_let_finish() -> None:
    places = filled(PLACES - 1)
    places.joined("honest", 10.0)
    places.heard("honest", 11.9)
    assert places.joined("new", 10.0 + GRACE_SECONDS) == []
    assert not places.number("new", 12.0)


def test_a_member_that_is_idle_is_rotated_out_the_longest_first() -> None:
    places = filled(PLACES - RESERVE)
    places.heard("old 0", 5.0)
    assert places.joined("early", IDLE_SECONDS - 0.1) == []
    places.left("early")
    assert places.joined("new", IDLE_SECONDS) == ["old 1"]
    # The newcomer is within its grace, and one member is idle for long enough, too.
    assert places.joined("newer", IDLE_SECONDS + 1) == ["old 2"]


def test_a_newcomer_is_refused_when_nobody_can_go_and_let_in_when_somebody_left() -> None:
    places = filled(PLACES)
    assert places.free == 0
    assert places.joined("new", 1.0) == []
    assert not places.number("new", 1.0)
    places.left("old 3")
    assert places.number("new", 2.0)
    assert places.due(1.0 + REFUSED_SECONDS) == []
    assert places.joined("newer", 2.0) == []
    assert places.due(2.0 + REFUSED_SECONDS) == ["newer"]
    assert not places.number("newer", 2.0 + REFUSED_SECONDS)


def test_each_phone_has_a_number_of_its_own_as_long_as_it_is_connected() -> None:
    places = filled(3)
    assert [places.number(f"old {number}", 1.0) for number in range(3)] == [1, 2, 3]
    places.left("old 1")
    places.joined("new", 2.0)
    assert [places.number(name, 2.0) for name in ("new", "old 2", "new")] == [2, 3, 2]


def test_who_is_to_go_keeps_its_number_until_it_left() -> None:
    places = Places()
    for number in range(1, PLACES):
        places.joined(f"old {number}", float(number))
        assert places.number(f"old {number}", float(number)) == number
    assert places.joined("new", 9.0) == ["old 2"]
    assert places.number("new", 9.0) == PLACES
    assert places.joined("newer", 9.0) == ["old 3"]
    # There is a place for it, but all numbers are still used.
    assert places.number("newer", 9.0) == 0
    assert places.number("old 2", 9.0) == 0
    places.left("old 2")
    assert places.number("newer", 9.0) == 2


def test_who_was_known_may_open_another_link_a_stranger_has_its_time_once() -> None:
    places = filled(1)
    places.unlinked("old 0", 100.0)
    assert places.due(100.0 + STRANGER_SECONDS - 0.1) == []
    assert places.due(100.0 + STRANGER_SECONDS) == ["old 0"]
    places.joined("stranger", 200.0)
    places.unlinked("stranger", 209.0)
    assert "stranger" in places.due(200.0 + STRANGER_SECONDS)


def test_what_is_told_of_who_left_changes_nothing() -> None:
    places = Places()
    places.heard("gone", 1.0)
    places.enrolled("gone", 1.0)
    places.unlinked("gone", 1.0)
    assert places.free == PLACES


def test_strangers_that_come_again_and_again_push_out_nobody_who_is_busy() -> None:
    for seed in range(200):
        chance = random.Random(seed)
        places = filled(4)
        now, ended, honest, done = 100.0, [], False, 0.0
        for number in range(2_000):
            now += chance.choice([0.01, 0.1, 0.5])
            for member in range(4):
                places.heard(f"old {member}", now)
            ended += places.joined(f"stranger {number}", now) + places.due(now)
            # A radio that is full takes nobody more; who was ended is gone soon.
            for phone in set(ended):
                places.left(phone)
            if not honest and places.free:
                ended += places.joined("honest", now)
                honest = places.number("honest", now) > 0
                done = now + 6.0
            elif honest and now < done:
                places.heard("honest", now)
            elif honest:
                places.enrolled("honest", now)
                break
        assert honest
        assert not [phone for phone in ended if not phone.startswith("stranger")]
