"""Members by Bluetooth while everything below them ends, fails or loses what it carries."""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.lab.pi.air import Air
from tests.lab.pi.keeper import Keeper
from tests.lab.pi.radio import Conditions
from tests.lab.pi.store import Store, store
from tests.lab.pi.writer import Writer

pytestmark = pytest.mark.lab

# Restarts of all kinds together; with more of them see docs/lab.md.
RESTARTS = int(os.environ.get("LAB_RESTARTS", "12"))
# After what was ended is there again.
SERVED_SECONDS = 10.0
# A link ends, or goes on, within this.
STUCK_SECONDS = 20.0
POLL_SECONDS = 0.1
# Of each fault of the radio.
WEATHER_SECONDS = 4.0


@asynccontextmanager
async def writing(
    folder: Path, air: Air, phones: int = 2
) -> AsyncIterator[tuple[Store, list[Writer]]]:
    """A store with phones that write all the time; in the end all hold the same."""
    async with store(folder, air) as shop:
        members = [Keeper(air, number, "notes") for number in range(1, phones + 1)]
        for member in members:
            await member.__aenter__()
            await shop.pair(member)
            member.keep()
        writers = [Writer(member) for member in members]
        try:
            yield shop, writers
            for writer in writers:
                await writer.rest()
            await same(shop, writers)
            log = await shop.pi.read("/run/gateway.log")
            assert "Traceback" not in log and "a fault" not in log
        finally:
            for writer in writers:
                print(writer.phone.links, "links", writer.phone.codes, writer.phone.troubles)
                await writer.rest()
                await writer.phone.__aexit__(None, None, None)


async def same(shop: Store, writers: list[Writer]) -> None:
    """All phones and the gateway come to hold the same, and all that was acknowledged."""
    acknowledged = {name: keys for writer in writers for name, keys in writer.saved.items()}
    first, *others = (writer.phone for writer in writers)
    await first.until(
        lambda: all(other.fingerprints() == first.fingerprints() for other in others),
        STUCK_SECONDS,
    )
    ours = {name: first.read(name) for name in first.rows}
    async with asyncio.timeout(STUCK_SECONDS):
        # What was written last and not waited for is on its way.
        while True:
            if {name: await shop.read(name) for name in ours} == ours:
                break
            await asyncio.sleep(POLL_SECONDS)
    for name, keys in acknowledged.items():
        held = await shop.read(name)
        assert {key: held.get(key) for key in keys} == keys
    print(sum(map(len, acknowledged.values())), "acknowledged, none lost")


async def end(shop: Store, part: str) -> None:
    await shop.pi.run("sh", "-c", f"kill -9 $(cat /run/{part}.pid)")


async def start(shop: Store, part: str) -> None:
    await shop.pi.run("sh", f"/run/start-{part}")


async def daemon(shop: Store) -> None:
    """bluetoothd crashes; systemd starts it again after a second."""
    await end(shop, "bluetoothd")
    await asyncio.sleep(1.0)
    await start(shop, "bluetoothd")


async def controller(shop: Store) -> None:
    """The controller is gone for a moment, as in a reset of its bus."""
    await end(shop, "btattach")
    await asyncio.sleep(0.5)
    await start(shop, "btattach")


async def power(shop: Store) -> None:
    """Somebody switches Bluetooth off."""
    await shop.pi.run(
        "dbus-send", "--system", "--print-reply", "--dest=org.bluez", "/org/bluez/hci0",
        "org.freedesktop.DBus.Properties.Set", "string:org.bluez.Adapter1", "string:Powered",
        "variant:boolean:false",
    )  # fmt: skip


async def bus(shop: Store) -> None:
    """The system bus restarts, which ends bluetoothd as well."""
    await end(shop, "dbus")
    await asyncio.sleep(0.5)
    await start(shop, "dbus")
    await shop.pi.run("sh", "-c", "kill -9 $(cat /run/bluetoothd.pid) || true")
    await start(shop, "bluetoothd")


KINDS: tuple[Callable[[Store], Awaitable[None]], ...] = (daemon, controller, power, bus)


def test_phones_are_served_again_after_each_restart_and_nothing_is_lost(tmp_path: Path) -> None:
    async def main() -> None:
        air, loop = Air(), asyncio.get_running_loop()
        took: dict[str, list[float]] = {kind.__name__: [] for kind in KINDS}
        async with writing(tmp_path, air) as (shop, writers):
            for kind in itertools.islice(itertools.cycle(KINDS), RESTARTS):
                for writer in writers:
                    await writer.served(loop.time(), SERVED_SECONDS)
                await kind(shop)
                began = loop.time()
                times = [await writer.served(began, 60.0) for writer in writers]
                took[kind.__name__].append(max(times) - began)
                print(f"{kind.__name__}: {took[kind.__name__][-1]:.1f} s")
        for name, seconds in took.items():
            middle, worst = sorted(seconds)[len(seconds) // 2], max(seconds)
            print(f"{name}: {len(seconds)}, {middle:.1f} s, at most {worst:.1f} s")
            assert worst <= SERVED_SECONDS, name

    asyncio.run(main())


WEATHERS = {
    "delay": Conditions(delay=0.2, jitter=0.3),
    "rate": Conditions(rate=1500.0),
    "duplicates": Conditions(duplicates=0.2),
    "loss": Conditions(loss=0.1),
    "all": Conditions(0.03, 0.03, 0.05, 0.1, 4000.0),
}


def test_a_poor_radio_loses_nothing_and_no_link_is_stuck(tmp_path: Path) -> None:
    async def main() -> None:
        air, loop = Air(), asyncio.get_running_loop()
        async with writing(tmp_path, air) as (_, writers):
            for writer in writers:
                await writer.served(loop.time(), SERVED_SECONDS)
            for name, conditions in [*WEATHERS.items(), ("cut", None)]:
                if conditions is None:
                    air.cut("phone1")
                else:
                    # The other one has a clear sky, and is not to notice.
                    air.weather("phone1", conditions)
                before = len(writers[0].waits)
                await asyncio.sleep(WEATHER_SECONDS)
                during = len(writers[0].waits) - before
                air.weather("phone1", Conditions())
                air.mend("phone1")
                began = loop.time()
                served = [await writer.served(began, 40.0) - began for writer in writers]
                print(f"{name}: {during} meanwhile, then {served[0]:.1f} s, {served[1]:.1f} s")
                assert served[0] <= STUCK_SECONDS and served[1] <= 2.0, name
        stalls = [writer.stall() for writer in writers]
        print("longest stalls", stalls)
        assert max(stalls) <= STUCK_SECONDS

    asyncio.run(main())
