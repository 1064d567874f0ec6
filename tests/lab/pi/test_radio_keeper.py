"""The gateway's radio on real BlueZ in each fault: said, mended, phones served again."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.core.opening import RX, SERVICE, TX
from tests.lab.pi import release
from tests.lab.pi.air import Air
from tests.lab.pi.faults import Device, device
from tests.lab.pi.machine import GUEST
from tests.lab.pi.phone import Phone
from tests.support.gateway import ROOT

pytestmark = pytest.mark.lab

# From the end of a fault, or its beginning where the gateway ends it, until the service is offered.
BACK_SECONDS = 15.0
INTERVAL = 244
LOG = "/run/keeper.log"


class Keeper:
    """A device that keeps its radio going, and a phone."""

    def __init__(self, it: Device, phone: Phone, air: Air) -> None:
        self.it = it
        [self.chip] = [one for one in air.controllers if one.name == "pi"]
        self._phone = phone
        self._read = 0

    async def said(self) -> list[dict[str, Any]]:
        """All it said since the last ``until``."""
        lines = (await self.it.pi.read(LOG)).splitlines()
        return [json.loads(line) for line in lines[self._read :] if line.startswith("{")]

    async def until(self, state: str, seconds: float = BACK_SECONDS) -> dict[str, Any]:
        """Wait until it says so, from what it said before on."""
        end = asyncio.get_running_loop().time() + seconds
        while True:
            said = await self.said()
            for number, line in enumerate(said, 1):
                if line["state"] == state:
                    self._read += number
                    return line
            log = await self.it.pi.read(LOG)
            assert asyncio.get_running_loop().time() < end, f"no {state}:\n{log}"
            await asyncio.sleep(0.2)

    async def serves(self) -> None:
        """A phone finds it, connects and gets an answer; then goes."""
        await self._phone.connect((await self._phone.find(SERVICE)).address)
        await self._phone.subscribe(TX[0])
        await self._phone.write(RX, b"hello")
        assert await self._phone.notified(TX[0]) == b"hello"
        await self._phone.disconnect()


@asynccontextmanager
async def keeping(folder: Path, helper: str = "", debian: str = "") -> AsyncIterator[Keeper]:
    """A device whose radio is kept going; the log is shown when something fails."""
    air = Air()
    async with device(folder, air, debian) as it, Phone(air, 1) as phone:
        command = (sys.executable, str(GUEST / "keeper.py"), *([helper] if helper else []))
        await it.pi.spawn("keeper", "env", f"PYTHONPATH={ROOT}", *command)
        keeper = Keeper(it, phone, air)
        try:
            assert (await keeper.until("bluetooth-ok"))["adapter"] == "hci0"
            yield keeper
        finally:
            print(await it.pi.read(LOG))


def run(
    folder: Path,
    main: Callable[[Keeper], Coroutine[Any, Any, None]],
    helper: str = "",
    debian: str = "",
) -> None:
    async def inside() -> None:
        async with keeping(folder, helper, debian) as keeper:
            await main(keeper)

    asyncio.run(inside())


@pytest.mark.parametrize("debian", sorted({release.host(), "trixie"}))
def test_what_the_gateway_mends_by_itself(tmp_path: Path, debian: str) -> None:
    async def main(keeper: Keeper) -> None:
        await keeper.serves()
        # As the settings that ship say, in units of 0.625 ms.
        assert keeper.chip.le_legacy_advertiser.advertising_interval_min == INTERVAL
        await keeper.it.block()
        await keeper.until("bluetooth-blocked")
        assert (await keeper.until("bluetooth-ok"))["repairs"] >= 1
        await keeper.serves()
        # Switched off by somebody: serving anew switches it on, without a repair.
        await keeper.it.power_off()
        await keeper.until("bluetooth-adapter-off")
        await keeper.until("bluetooth-ok")
        await keeper.serves()

    run(tmp_path, main, debian=debian)


def test_a_chip_that_hangs_and_comes_to_itself(tmp_path: Path) -> None:
    async def main(keeper: Keeper) -> None:
        with pytest.MonkeyPatch.context() as hung:
            hung.setattr(keeper.chip, "on_packet", lambda packet: None)
            # Something it has to be told, which it does not take.
            await keeper.it.block()
            await keeper.it.block(0)
            await keeper.until("bluetooth-adapter-off", 30.0)
            end = asyncio.get_running_loop().time() + 60.0
            while (await keeper.until("bluetooth-adapter-off", 60.0))["repairs"] < 2:
                assert asyncio.get_running_loop().time() < end
        await keeper.until("bluetooth-ok", 60.0)
        await keeper.serves()

    run(tmp_path, main)


def test_a_controller_that_is_unplugged_and_back(tmp_path: Path) -> None:
    async def main(keeper: Keeper) -> None:
        await keeper.it.kill("btattach")
        said = await keeper.until("bluetooth-no-controller")
        assert said["lamp"] == "fast" and said["adapter"] == ""
        await keeper.it.start("btattach")
        await keeper.until("bluetooth-ok")
        await keeper.serves()

    run(tmp_path, main)


def test_a_daemon_that_nobody_may_start(tmp_path: Path) -> None:
    async def main(keeper: Keeper) -> None:
        await keeper.it.kill("bluetoothd")
        await keeper.until("bluetooth-no-daemon")
        async with asyncio.timeout(BACK_SECONDS):
            while not (await keeper.until("bluetooth-no-daemon"))["cannot"]:
                pass
        await keeper.it.start("bluetoothd")
        assert (await keeper.until("bluetooth-ok", 30.0))["repairs"] == 0
        await keeper.serves()

    run(tmp_path, main)


def test_a_daemon_that_is_restarted(tmp_path: Path) -> None:
    async def main(keeper: Keeper) -> None:
        await keeper.it.kill("bluetoothd")
        await keeper.until("bluetooth-no-daemon")
        assert (await keeper.until("bluetooth-ok"))["repairs"] == 1
        await keeper.serves()

    run(tmp_path, main, "/run/start-bluetoothd")


def test_a_bus_that_is_gone_and_back(tmp_path: Path) -> None:
    async def main(keeper: Keeper) -> None:
        await keeper.it.kill("dbus")
        await keeper.until("bluetooth-no-bus")
        await keeper.it.start("dbus")
        # BlueZ's daemon ends with the bus.
        await keeper.until("bluetooth-no-daemon")
        await keeper.until("bluetooth-ok")
        await keeper.serves()

    run(tmp_path, main, "/run/start-bluetoothd")


def test_a_second_adapter_when_the_first_is_gone(tmp_path: Path) -> None:
    async def main(keeper: Keeper) -> None:
        # The second does not answer, so nothing is gained by it, but it is taken and named.
        await keeper.it.pi.spawn("mute", "btattach", "-B", "/dev/ttyS2", "-P", "h4")
        await keeper.it.until({"up": False, "set_up": False, "soft": False, "hard": False}, "hci1")
        await keeper.serves()
        await keeper.it.kill("btattach")
        said = await keeper.until("bluetooth-no-firmware")
        assert said["adapter"] == "hci1"
        await keeper.it.start("btattach")
        assert (await keeper.until("bluetooth-ok", 30.0))["adapter"] == "hci0"
        await keeper.serves()

    run(tmp_path, main)
