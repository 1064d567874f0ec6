"""The gateway's radio on real BlueZ, with phones that are another Bluetooth stack."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.core.opening import INFO, RX, SERVICE, TX, read_info
from tests.lab.pi.air import Air
from tests.lab.pi.bluetooth import radio, start_bluetooth
from tests.lab.pi.machine import GUEST, VirtualPi
from tests.lab.pi.phone import MTU, Phone

pytestmark = pytest.mark.lab

# The most that BlueZ 5.66 takes in one write (docs/lab.md).
WHOLE = bytes(range(255)) * 2


@asynccontextmanager
async def serving(folder: Path, air: Air) -> AsyncIterator[VirtualPi]:
    """A virtual Pi with the gateway's radio."""
    async with radio(folder, air) as line, VirtualPi(folder, lines=(line,)) as pi:
        await start_bluetooth(pi)
        await pi.spawn("radio", sys.executable, str(GUEST / "radio.py"))
        try:
            yield pi
        finally:
            print(await pi.read("/run/radio.log"))


async def linked(phone: Phone) -> None:
    """Find the gateway, connect and ask for notifications."""
    assert await phone.connect((await phone.find(SERVICE)).address) == MTU
    await phone.subscribe(TX)


def head(number: int) -> bytes:
    """What notifications of a phone begin with."""
    return bytes([0xF4, number]) + (512).to_bytes(2, "little")


def test_a_phone_finds_connects_writes_and_is_notified(tmp_path: Path) -> None:
    async def main() -> None:
        air = Air()
        async with serving(tmp_path, air), Phone(air, 1) as phone:
            await linked(phone)
            info = read_info(await phone.read(INFO))
            assert (info.peer, info.phones, info.free) == (bytes(range(16)), 8, 8)
            assert 0x80 <= info.psm <= 0xFF
            for value, answered in ((b"hello", True), (WHOLE[:508], True), (WHOLE[:508], False)):
                await phone.write(RX, value, answered=answered)
                assert await phone.notified(TX) == head(1) + value

    asyncio.run(main())
