"""Which repair is next and when: in order, one at a time, and ever less often in vain."""

from itertools import pairwise

from gateway.core.ladder import (
    IDLE_SECONDS,
    PAUSE_SECONDS,
    SETTLE_SECONDS,
    TRY_SECONDS,
    Ladder,
    Step,
)
from gateway.core.radio import (
    INTERRUPTED,
    NO_DAEMON,
    Controller,
    Facts,
    Repair,
    Service,
    diagnose,
)

HCI0 = Controller("hci0")
WEDGED = diagnose(Facts((HCI0,)), Service(failures=2), "hci0", named=False)
BLOCKED = diagnose(Facts(soft=True), Service(failures=1), "", named=False)
NO_CONTROLLER = diagnose(Facts(), Service(failures=1), "", named=False)
DAEMONLESS = diagnose(Facts((HCI0,)), Service(ended=NO_DAEMON, failures=1), "hci0", named=False)
FIRST = PAUSE_SECONDS[0]


def climb(ladder: Ladder, seconds: float, *, other: bool = False) -> list[tuple[float, Repair]]:
    """When which repair is made while a controller stays wedged."""
    made, now = [], 0.0
    while now < seconds:
        step = ladder.next(WEDGED, now, other=other)
        if step.repair:
            made.append((now, step.repair))
        now += step.wait_seconds
    return made


def test_one_after_the_other_with_time_to_work() -> None:
    cycle, reset, restart = Repair.POWER_CYCLE, Repair.RESET, Repair.RESTART_DAEMON
    assert climb(Ladder(), 40.0) == [
        (0.0, cycle), (5.0, reset), (10.0, restart),  # then a pause, and twice as slow
        (20.0, cycle), (30.0, reset),
    ]  # fmt: skip


def test_in_vain_it_becomes_slow_and_stays_so() -> None:
    times = [time for time, _ in climb(Ladder(), 3600.0)]
    gaps = [after - before for before, after in pairwise(times)]
    slowest = PAUSE_SECONDS[-1]
    assert min(gaps) == FIRST and min(gaps[-10:]) == slowest and max(gaps) == 2 * slowest


def test_another_controller_comes_last_and_gets_its_own_ladder() -> None:
    made = [repair for _, repair in climb(Ladder(), 60.0, other=True)]
    assert made[:5] == [
        Repair.POWER_CYCLE, Repair.RESET, Repair.RESTART_DAEMON, Repair.OTHER_ADAPTER,
        Repair.POWER_CYCLE,
    ]  # fmt: skip


def test_what_is_impossible_gives_way_at_once() -> None:
    ladder = Ladder()
    assert ladder.next(WEDGED, 0.0, other=False) == Step(Repair.POWER_CYCLE, SETTLE_SECONDS)
    assert ladder.next(WEDGED, 0.0, other=False) == Step(None, FIRST)
    ladder.impossible(0.0)
    assert ladder.next(WEDGED, 0.0, other=False).repair is Repair.RESET
    ladder.impossible(0.0)
    assert ladder.next(WEDGED, 0.0, other=False).repair is Repair.RESTART_DAEMON
    ladder.impossible(0.0)
    # Nothing can be done: that is no reason to try it all the time.
    assert ladder.next(WEDGED, 0.0, other=False) == Step(None, FIRST)


def test_a_daemon_that_comes_back_by_itself_is_noticed_however_often_it_ends() -> None:
    ladder, now, restarts = Ladder(), 0.0, []
    while now < 600.0:
        step = ladder.next(DAEMONLESS, now, other=False)
        restarts += [now] if step.repair else []
        assert step.wait_seconds <= TRY_SECONDS
        now += step.wait_seconds
    # It is restarted ever less often all the same.
    assert len(restarts) <= 600 / PAUSE_SECONDS[-1]


def test_an_accident_is_tried_again_and_what_cannot_be_helped_waited_for() -> None:
    assert Ladder().next(INTERRUPTED, 0.0, other=True) == Step(None, SETTLE_SECONDS)
    assert Ladder().next(NO_CONTROLLER, 0.0, other=False) == Step(None, IDLE_SECONDS)


def test_another_cause_does_not_wait_for_the_long_pause_of_the_one_before() -> None:
    ladder = Ladder()
    made = climb(ladder, 300.0)
    last = made[-1][0]
    assert ladder.next(WEDGED, last + FIRST, other=False).repair is None
    # But a repair has its time whatever comes.
    assert ladder.next(BLOCKED, last + FIRST - 1, other=False) == Step(None, 1.0)
    assert ladder.next(BLOCKED, last + FIRST, other=False).repair is Repair.UNBLOCK


def test_a_good_minute_begins_anew() -> None:
    ladder = Ladder()
    climb(ladder, 300.0)
    assert not ladder.served(59.0)
    assert ladder.next(WEDGED, 400.0, other=False).repair is not Repair.POWER_CYCLE
    assert ladder.served(60.0)
    assert ladder.next(WEDGED, 401.0, other=False).repair is Repair.POWER_CYCLE
    assert ladder.next(WEDGED, 401.0 + FIRST, other=False).repair is Repair.RESET
