"""The plan of a radio, without any kernel."""

import pytest

from tests.lab.pi.radio import Conditions, Way

PACKETS = 10_000


def test_clear_air_delivers_at_once_in_order() -> None:
    way = Way("phone>pi", 1)
    plans = [way.send(100, 5.0, Conditions()) for _ in range(100)]
    times = [plan.arrivals for plan in plans]
    assert all(len(time) == 1 for time in times)
    assert times == sorted(set(times))
    assert times[-1][0] == pytest.approx(5.0, abs=0.001)
    assert {plan.left for plan in plans} == {5.0}


def test_loss_and_duplicates_are_the_shares_that_were_asked_for() -> None:
    way = Way("phone>pi", 1)
    weather = Conditions(loss=0.2, duplicates=0.1)
    copies = [len(way.send(20, 0.0, weather).arrivals) for _ in range(PACKETS)]
    assert copies.count(0) / PACKETS == pytest.approx(0.2, abs=0.02)
    assert copies.count(2) / (PACKETS - copies.count(0)) == pytest.approx(0.1, abs=0.02)


def test_jitter_never_swaps_two_packets() -> None:
    way = Way("phone>pi", 1)
    weather = Conditions(delay=0.05, jitter=0.2, duplicates=0.3)
    arrivals = [time for n in range(1000) for time in way.send(20, n / 1000, weather).arrivals]
    assert arrivals == sorted(set(arrivals))
    assert arrivals[0] >= 0.05


def test_a_rate_is_kept_and_an_idle_link_saves_nothing_up() -> None:
    way = Way("phone>pi", 1)
    slow = Conditions(rate=1000.0)
    assert [way.send(500, 0.0, slow).left for _ in range(4)] == [0.5, 1.0, 1.5, 2.0]
    assert way.send(500, 60.0, slow).left == 60.5


def test_the_same_seed_gives_the_same_day_and_another_another() -> None:
    def day(name: str, seed: int) -> list[tuple[float, ...]]:
        way = Way(name, seed)
        return [way.send(20, float(n), Conditions(loss=0.5)).arrivals for n in range(200)]

    assert day("phone>pi", 1) == day("phone>pi", 1)
    assert day("phone>pi", 1) != day("phone>pi", 2)
    assert day("phone>pi", 1) != day("pi>phone", 1)


def test_advertisements_wait_for_nothing_and_come_once() -> None:
    weather = Conditions(loss=0.1, duplicates=1.0, rate=1.0).of_broadcast()
    assert weather == Conditions(loss=0.1)


def test_a_new_link_waits_for_nothing_of_the_one_before() -> None:
    way = Way("phone>pi", 1)
    way.send(1000, 0.0, Conditions(rate=100.0, delay=5.0))
    way.restart()
    assert way.send(1000, 1.0, Conditions()).arrivals == (1.0,)
