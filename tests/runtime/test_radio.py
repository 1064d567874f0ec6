"""The radio is served, lost, repaired and served again: a fake radio, hours in virtual time."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from gateway.core.beacon import Beacon
from gateway.core.errors import GatewayError
from gateway.core.ladder import GOOD_SECONDS, IDLE_SECONDS, PAUSE_SECONDS, TRY_SECONDS
from gateway.core.radio import NO_BUS, NO_DAEMON, Controller, Facts, Repair
from gateway.ports import Channel, Phones
from gateway.runtime.radio import DEAD_SECONDS, LOOK_SECONDS, SET_UP_SECONDS, RadioKeeper
from tests.support.virtual_time import VirtualLoop, run

HCI0, HCI1 = Controller("hci0"), Controller("hci1")
LOST = "bluetooth-lost"
# A look, and the second after a repair or an accident.
SOON = 3 * LOOK_SECONDS


class World:
    """Satisfies ``Radio`` and ``RadioTools``: a device with faults."""

    def __init__(self) -> None:
        self.said = Facts((HCI0,))
        # What serving ends with at once, or "".
        self.fault = ""
        # Adapters that serve nobody.
        self.broken: set[str] = set()
        # Serving begins and gets no further.
        self.hangs = False
        self.fails = False
        self.heals: Callable[[Repair], None] = lambda repair: None
        self.refused: dict[Repair, str] = {}
        self.repairs: list[tuple[float, Repair, str]] = []
        self.tries: list[float] = []
        self.phones: Phones | None = None
        self.adapter = ""
        self._use = ""
        self._lost = asyncio.Event()

    async def facts(self) -> Facts:
        """See ``RadioTools``."""
        if self.fails:
            raise ValueError("a fault of ours")
        return self.said

    async def repair(self, repair: Repair, adapter: str) -> str:
        """See ``RadioTools``."""
        if repair in self.refused:
            return self.refused[repair]
        self.repairs.append((now(), repair, adapter))
        self.heals(repair)
        return ""

    def use(self, adapter: str) -> None:
        """See ``Radio``."""
        self._use = adapter

    async def serve(self, phones: Phones) -> None:
        """See ``Radio``."""
        self.tries.append(now())
        self._lost.clear()
        if self.fault == "mistake":
            raise ValueError("a fault of ours")
        if not self.fault and self._use not in self.broken:
            self.phones = phones
            self.adapter = "" if self.hangs else self._use
            try:
                await self._lost.wait()
            finally:
                self.adapter = ""
        raise GatewayError(self.fault or LOST, "the radio is lost")

    def lose(self, fault: str = "") -> None:
        """The service ends; with a fault it cannot be offered again."""
        self.fault = fault
        self._lost.set()

    async def advertise(self, beacon: Beacon | None) -> None:
        """See ``Radio``."""

    def notify(self, phone: str, place: int, value: bytes) -> bool:
        """See ``Radio``."""
        return True

    def disconnect(self, phone: str) -> None:
        """See ``Radio``."""


class Heard:
    """Satisfies ``Phones``."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []

    def connected(self, phone: str) -> None:
        self.calls.append(("connected", phone))

    def disconnected(self, phone: str) -> None:
        self.calls.append(("disconnected", phone))

    def info(self, phone: str, psm: int) -> bytes:
        return bytes([psm])

    def written(self, phone: str, value: bytes, mtu: int) -> None:
        self.calls.append(("written", phone, value, mtu))

    def room(self, phone: str) -> None:
        self.calls.append(("room", phone))

    def channel(self, phone: str, channel: Channel) -> None:
        self.calls.append(("channel", phone))


def now() -> float:
    return asyncio.get_running_loop().time()


class Desk:
    """A keeper at work, and what it says."""

    def __init__(self, named: str = "") -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self.world, self.heard = World(), Heard()
        self.keeper = RadioKeeper(self.world, self.world, self.heard, loop, named)

    @property
    def state(self) -> str:
        return str(self.keeper.status()["state"])

    async def until(self, state: str, within: float) -> None:
        end = now() + within
        while self.state != state:
            assert now() < end, f"{self.state} in place of {state}"
            await asyncio.sleep(0.25)

    @contextmanager
    def at_work(self) -> Iterator[World]:
        task = asyncio.ensure_future(self.keeper.keep())
        yield self.world
        assert not task.done(), task
        task.cancel()


def shop(
    named: str = "",
) -> Callable[[Callable[[Desk], Coroutine[Any, Any, None]]], Callable[[], None]]:
    """Run a test in virtual time with a desk, and end what it left at work."""

    def decorate(main: Callable[[Desk], Coroutine[Any, Any, None]]) -> Callable[[], None]:
        async def inside() -> None:
            await main(Desk(named))

        def test() -> None:
            run(inside())

        test.__name__ = main.__name__
        return test

    return decorate


@shop()
async def test_it_serves_and_says_so(desk: Desk) -> None:
    assert desk.state == "bluetooth-starting"
    with desk.at_work() as world:
        await desk.until("bluetooth-ok", SOON)
        await asyncio.sleep(100)
        assert world.tries == [0.0] and not world.repairs
        said = desk.keeper.status()
        assert said["adapter"] == "hci0" and 98 < said["since_s"] <= 100
        assert said["sentence"] == "Bluetooth works."


@shop()
async def test_phones_are_passed_on_counted_and_gone_with_the_radio(desk: Desk) -> None:
    with desk.at_work() as world:
        await desk.until("bluetooth-ok", SOON)
        assert world.phones is not None
        for name in ("A", "B", "C"):
            world.phones.connected(name)
        assert world.phones.info("A", 7) == b"\x07"
        world.phones.written("A", b"x", 20)
        world.phones.room("A")
        world.phones.disconnected("C")
        assert desk.keeper.status()["phones"] == 2
        world.lose()
        await asyncio.sleep(SOON)
        assert desk.keeper.status()["phones"] == 0
    assert desk.heard.calls[3:] == [
        ("written", "A", b"x", 20), ("room", "A"), ("disconnected", "C"),
        ("disconnected", "A"), ("disconnected", "B"),
    ]  # fmt: skip


@shop()
async def test_an_accident_is_over_in_seconds_without_a_repair(desk: Desk) -> None:
    with desk.at_work() as world:
        await desk.until("bluetooth-ok", SOON)
        for _ in range(20):
            await asyncio.sleep(GOOD_SECONDS + SOON)
            world.lose()
            await desk.until("bluetooth-interrupted", SOON)
            await desk.until("bluetooth-ok", SOON)
        assert not world.repairs


@shop()
async def test_a_soft_block_is_lifted(desk: Desk) -> None:
    with desk.at_work() as world:
        await desk.until("bluetooth-ok", SOON)
        world.said = Facts((replace(HCI0, soft=True, up=False),))

        def heal(repair: Repair) -> None:
            assert repair is Repair.UNBLOCK
            world.said, world.fault = Facts((HCI0,)), ""

        world.heals = heal
        world.lose("bluetooth-failed")
        await desk.until("bluetooth-blocked", SOON)
        await desk.until("bluetooth-ok", SOON)
        assert [repair for _, repair, _ in world.repairs] == [Repair.UNBLOCK]
        assert desk.keeper.status()["repairs"] == 1


@shop()
async def test_a_service_that_does_not_notice_is_ended(desk: Desk) -> None:
    with desk.at_work() as world:
        await desk.until("bluetooth-ok", SOON)
        world.said = Facts((replace(HCI0, up=False),))

        def heal(repair: Repair) -> None:
            world.said = Facts((HCI0,))

        world.heals = heal
        await desk.until("bluetooth-adapter-off", SOON)
        await desk.until("bluetooth-ok", DEAD_SECONDS + SOON)
        assert [repair for _, repair, _ in world.repairs] == [Repair.POWER_ON]
        assert len(world.tries) == 2


@shop()
async def test_advertising_that_does_not_come_back_is_repaired_when_nobody_is_cut_off(
    desk: Desk,
) -> None:
    with desk.at_work() as world:
        await desk.until("bluetooth-ok", SOON)
        assert world.phones is not None
        # A moment without, as whenever a phone comes, is nothing.
        world.phones.connected("A")
        world.adapter = ""
        await asyncio.sleep(DEAD_SECONDS - LOOK_SECONDS)
        assert desk.state == "bluetooth-ok"
        await desk.until("bluetooth-not-advertised", SOON)
        await asyncio.sleep(600)
        assert len(world.tries) == 1
        world.phones.disconnected("A")
        await asyncio.sleep(DEAD_SECONDS + SOON)
        assert len(world.tries) == 2 and desk.state == "bluetooth-ok"


@shop()
async def test_a_set_up_that_hangs_is_ended(desk: Desk) -> None:
    with desk.at_work() as world:
        world.hangs = True
        await asyncio.sleep(SET_UP_SECONDS - LOOK_SECONDS)
        assert desk.state == "bluetooth-starting"
        await desk.until("bluetooth-interrupted", SOON)
        await desk.until("bluetooth-wedged", SET_UP_SECONDS + SOON)
        assert [repair for _, repair, _ in world.repairs] == [Repair.POWER_CYCLE]
        world.hangs = False
        await desk.until("bluetooth-ok", SET_UP_SECONDS + PAUSE_SECONDS[0] + SOON)


@pytest.mark.parametrize("cure", [Repair.POWER_CYCLE, Repair.RESET, Repair.RESTART_DAEMON])
def test_the_ladder_is_climbed_up_to_what_helps(cure: Repair) -> None:
    async def main() -> None:
        desk = Desk()
        ladder = [Repair.POWER_CYCLE, Repair.RESET, Repair.RESTART_DAEMON]
        with desk.at_work() as world:
            await desk.until("bluetooth-ok", SOON)

            def heal(repair: Repair) -> None:
                if repair is cure:
                    world.fault = ""

            world.heals = heal
            world.lose("bluetooth-failed")
            await desk.until("bluetooth-wedged", SOON)
            await desk.until("bluetooth-ok", 3 * PAUSE_SECONDS[0] + SOON)
            made = [repair for _, repair, _ in world.repairs]
            assert made == ladder[: ladder.index(cure) + 1]

    run(main())


@shop()
async def test_a_daemon_that_is_gone_is_restarted(desk: Desk) -> None:
    with desk.at_work() as world:
        await desk.until("bluetooth-ok", SOON)

        def heal(repair: Repair) -> None:
            world.fault = ""

        world.heals = heal
        world.lose(NO_DAEMON)
        await desk.until(NO_DAEMON, SOON)
        await desk.until("bluetooth-ok", SOON)
        assert [repair for _, repair, _ in world.repairs] == [Repair.RESTART_DAEMON]


@shop()
async def test_without_rights_it_says_so_and_goes_on_looking(desk: Desk) -> None:
    with desk.at_work() as world:
        world.refused = dict.fromkeys(Repair, "it may not")
        world.fault = NO_DAEMON
        await desk.until(NO_DAEMON, SOON)
        await asyncio.sleep(3600)
        assert desk.keeper.status()["sentence"].endswith("(bluetoothd) does not run; it may not.")
        assert 100 < len(world.tries) <= 3600 / TRY_SECONDS + 1 and not world.repairs
        # Somebody starts it.
        world.fault = ""
        await desk.until("bluetooth-ok", TRY_SECONDS + SOON)
        assert desk.keeper.status()["cannot"] == []


@shop()
async def test_what_may_not_be_done_gives_way_to_what_may(desk: Desk) -> None:
    with desk.at_work() as world:
        await desk.until("bluetooth-ok", SOON)
        world.refused = dict.fromkeys((Repair.POWER_CYCLE, Repair.RESET), "it may not")
        world.lose("bluetooth-failed")
        await desk.until("bluetooth-wedged", SOON)
        await asyncio.sleep(LOOK_SECONDS)
        assert [repair for _, repair, _ in world.repairs] == [Repair.RESTART_DAEMON]


@shop()
async def test_what_was_wrong_before_is_not_said_of_what_is_wrong_now(desk: Desk) -> None:
    with desk.at_work() as world:
        world.fault = NO_DAEMON
        await desk.until(NO_DAEMON, SOON)
        world.fault = ""
        await desk.until("bluetooth-ok", PAUSE_SECONDS[0] + SOON)
        world.said = Facts((replace(HCI0, up=False),))
        await asyncio.sleep(SOON)
        assert desk.state == "bluetooth-adapter-off"


@shop()
async def test_a_lost_bus_is_waited_for(desk: Desk) -> None:
    with desk.at_work() as world:
        await desk.until("bluetooth-ok", SOON)
        world.said = replace(world.said, bus=0)
        world.lose(NO_BUS)
        await desk.until(NO_BUS, SOON)
        await asyncio.sleep(100)
        world.said, world.fault = replace(world.said, bus=7), ""
        await desk.until("bluetooth-ok", SOON)
        assert not world.repairs


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        (Facts((replace(HCI0, hard=True, up=False),)), "bluetooth-blocked-by-switch"),
        (Facts(), "bluetooth-no-controller"),
    ],
)
def test_what_cannot_be_helped_is_looked_at_again_when_it_changes(facts: Facts, state: str) -> None:
    async def main() -> None:
        desk = Desk()
        with desk.at_work() as world:
            world.said, world.fault = facts, "bluetooth-no-adapter"
            await asyncio.sleep(3600)
            assert desk.state == state and not world.repairs
            assert len(world.tries) <= 3600 / IDLE_SECONDS + 1
            world.said, world.fault = Facts((HCI0,)), ""
            await desk.until("bluetooth-ok", SOON)

    run(main())


@shop()
async def test_a_second_adapter_is_used_when_the_first_is_gone(desk: Desk) -> None:
    with desk.at_work() as world:
        await desk.until("bluetooth-ok", SOON)
        world.said = Facts((HCI1,))
        world.lose()
        await desk.until("bluetooth-interrupted", SOON)
        await desk.until("bluetooth-ok", SOON)
        assert desk.keeper.status()["adapter"] == "hci1"


@shop()
async def test_a_second_adapter_is_the_last_rung(desk: Desk) -> None:
    with desk.at_work() as world:
        world.said = Facts((HCI0, HCI1))
        await desk.until("bluetooth-ok", SOON)
        world.broken = {"hci0"}
        world.lose()
        await desk.until("bluetooth-wedged", SOON)
        await desk.until("bluetooth-ok", 3 * PAUSE_SECONDS[0] + SOON)
        assert [adapter for _, _, adapter in world.repairs] == ["hci0"] * 3
        said = desk.keeper.status()
        assert (said["adapter"], said["repairs"]) == ("hci1", 4)


@shop(named="hci1")
async def test_an_adapter_that_was_named_is_never_left(desk: Desk) -> None:
    with desk.at_work() as world:
        world.fault = "bluetooth-no-adapter"
        await desk.until("bluetooth-no-such-adapter", SOON)
        world.said, world.fault = Facts((HCI0, HCI1)), "bluetooth-failed"
        await asyncio.sleep(600)
        assert {adapter for _, _, adapter in world.repairs} == {"hci1"}


@shop()
async def test_no_storm_whatever_happens(desk: Desk) -> None:
    with desk.at_work() as world:
        await desk.until("bluetooth-ok", SOON)
        world.lose("bluetooth-failed")
        for second in range(3600):
            # A controller that comes and goes, blocked and not.
            world.said = Facts((replace(HCI0, soft=second % 2 == 0, up=second % 3 == 0),))
            await asyncio.sleep(1.0)
        times = [time for time, _, _ in world.repairs]
        gaps = [after - before for before, after in pairwise(times)]
        assert min(gaps) >= PAUSE_SECONDS[0]
        tries = [after - before for before, after in pairwise(world.tries)]
        assert min(tries) >= LOOK_SECONDS


@shop()
async def test_tools_that_fail_do_not_end_it(desk: Desk) -> None:
    with desk.at_work() as world:
        world.fails = True
        await asyncio.sleep(600)
        world.fails = False
        await desk.until("bluetooth-ok", IDLE_SECONDS + SOON)


@shop()
async def test_a_fault_of_ours_does_not_end_it(desk: Desk) -> None:
    with desk.at_work() as world:
        world.fault = "mistake"
        await desk.until("bluetooth-wedged", 2 * SOON)
        world.fault = ""
        await desk.until("bluetooth-ok", PAUSE_SECONDS[0] + SOON)
