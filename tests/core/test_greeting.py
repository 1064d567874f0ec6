"""Whether the hub is there."""

from itertools import count

from gateway.core.greeting import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, Greeting


def greeting() -> Greeting:
    numbers = count(1)
    return Greeting(lambda size: next(numbers).to_bytes(size, "big"))


def test_only_the_answer_to_the_last_question_counts() -> None:
    one = greeting()
    assert not one.answered(0) and not one.heard
    first, second = one.ask(), one.ask()
    assert not one.answered(first) and not one.heard
    assert one.answered(second) and one.heard
    # It was heard on the way, and is said again.
    one.begin()
    assert not one.answered(second) and not one.heard


def test_it_is_asked_again_less_and_less_often_until_it_answers() -> None:
    one = greeting()
    pauses = [one.pause(0.0) for _ in range(6)]
    assert pauses[:3] == [FIRST_PAUSE_SECONDS, 60.0, 120.0]
    assert pauses[-1] == LONGEST_PAUSE_SECONDS and one.pause(1.0) == LONGEST_PAUSE_SECONDS / 2
    one.begin()
    assert one.pause(0.0) == LONGEST_PAUSE_SECONDS
    one.answered(one.ask())
    assert one.pause(0.0) == FIRST_PAUSE_SECONDS
